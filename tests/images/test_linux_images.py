"""The fetched Linux images, booted by QEMU: what is wrong here is wrong in the images, not in the workstation."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from shyper_tui import images
from shyper_tui.images import LinuxImages

pytestmark = [pytest.mark.linux, pytest.mark.oracle]


@pytest.fixture(scope="module")
def linux() -> LinuxImages:
    found = images.linux_images()
    if found is None:
        pytest.skip("no Linux images; run `shyper-tui images fetch`")
    return found


def boot(linux: LinuxImages, initramfs: Path, command_line: str, *devices: str) -> str:
    """Everything the guest wrote until it powered itself off."""
    qemu = shutil.which("qemu-system-riscv64")
    if qemu is None:
        pytest.skip("qemu-system-riscv64 is not installed")
    command = [
        qemu, "-M", "virt", "-m", "512M", "-display", "none", "-monitor", "none", "-no-reboot",
        "-kernel", str(linux.kernel), "-initrd", str(initramfs), "-append", command_line, *devices,
    ]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=True)
    return done.stdout.decode(errors="replace")


def test_the_images_are_what_the_manifest_says(linux: LinuxImages) -> None:
    assert images.verify() == []


def test_shell_on_the_serial_line_with_network_and_disk(linux: LinuxImages, tmp_path: Path) -> None:
    disk = shutil.copy(linux.gvm_disk, tmp_path / "disk")
    text = boot(
        linux, linux.initramfs, 'console=ttyS0 run="hostname; ip addr show eth0; cat /mnt/etc/hostname; poweroff"',
        "-serial", "stdio",
        "-drive", f"file={disk},if=none,format=raw,id=disk", "-device", "virtio-blk-device,drive=disk",
        "-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net,mac=74:56:aa:0f:47:d1",
    )  # fmt: skip
    answer = text[text.index("GUEST-READY") :]
    assert "\ngvm1" in answer
    assert "inet 10.0.0.2/24" in answer
    assert "\ngvm\r\n" in answer
    assert "Power down" in answer


def test_shell_on_the_virtio_console(linux: LinuxImages) -> None:
    text = boot(
        linux, linux.initramfs, 'console=hvc0 quiet run="tty; poweroff"',
        "-serial", "none", "-chardev", "stdio,id=console", "-device", "virtio-serial-device",
        "-device", "virtconsole,chardev=console",
    )  # fmt: skip
    assert "/dev/hvc0" in text[text.index("GUEST-READY") :]


def test_the_smallest_initramfs(linux: LinuxImages) -> None:
    text = boot(linux, linux.initramfs_min, "console=ttyS0 quiet run=poweroff", "-serial", "stdio")
    assert "Power down" in text[text.index("GUEST-READY") :]
