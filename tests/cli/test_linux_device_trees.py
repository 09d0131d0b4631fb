"""Real Linux reads the trees: an overlay's phandles, and a passthrough clock that only `dtb_device_list` tells of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shyper_tui.config import sample_path
from shyper_tui.images import linux_images
from tests.hypervisor.tree_tools import compile_overlay, needs_dtc

ROOT = Path(__file__).parents[2]
OVERLAY = """
&soc { led: led@70000000 { compatible = "example,led"; reg = <0 0x70000000 0 0x1000>; interrupt-parent = <&plic>; }; };
&{/chosen} { example-led = <&led>; };
"""
CLOCK = """{"name": "clock", "base_pa": "0x101000", "base_ipa": "0x20101000", "length": "0x1000",
            "irq_num": 1, "irq_list": [11]}"""
ENTRY = """{"name": "rtc@20101000", "type": "DTB_DEVICE_T_CONSOLE", "irq_num": 1, "irq_list": [11],
            "addr_region_ipa": "0x20101000", "addr_region_length": "0x1000"}"""


def configurations(folder: Path) -> tuple[Path, Path]:
    """A managing VM that leaves the clock to others, and a guest that has it, with an overlay."""
    mvm = sample_path("mvm").read_text()
    start = mvm.index('            {\n                "name": "rtc@')
    end = mvm.index('        ]\n    },\n    "dtb_device"')
    guest = sample_path("linux-guest").read_text()
    for old, new in {
        "root=/dev/vda rw ": "",  # the shell of the initramfs is enough
        '"device_tree_filename": ""': '"device_tree_filename": "extra.dtbo"',
        '"passthrough_device_list": []': f'"passthrough_device_list": [{CLOCK}]',
        '"dtb_device_list": []': f'"dtb_device_list": [{ENTRY}]',
    }.items():
        assert old in guest
        guest = guest.replace(old, new)
    (folder / "mvm.json").write_text(mvm[:start] + mvm[end:])
    (folder / "guest.json").write_text(guest)
    (folder / "extra.dtbo").write_bytes(compile_overlay(OVERLAY))
    return folder / "mvm.json", folder / "guest.json"


@needs_dtc
@pytest.mark.linux
def test_linux_finds_what_overlay_and_entries_tell_of(tmp_path: Path) -> None:
    if linux_images() is None:
        pytest.skip("no Linux images; run `shyper-tui images fetch`")
    mvm, guest = configurations(tmp_path)
    tree = "/proc/device-tree"
    look = f'cmp {tree}/chosen/example-led {tree}/soc/led*/phandle && dmesg | grep goldfish_rtc; echo D""ONE'
    command = [sys.executable, "-m", "shyper_tui.cli", "run", "--headless", "-q", "--clock", "virtual"]
    command += ["--log-dir", str(tmp_path / "logs"), "--mvm", str(mvm), "--vm", str(guest)]
    command += ["--until", "vm1:GUEST-READY", "--until", "vm1:~# ", "--send", f"vm1:{look}", "--until", "vm1:DONE"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=240, check=False)
    shown = (tmp_path / "logs" / "vm1.log").read_text(errors="replace")
    assert result.returncode == 0, shown[-2000:] + result.stderr
    assert "goldfish_rtc 20101000.rtc: registered as rtc0" in shown
    assert "differ" not in shown
