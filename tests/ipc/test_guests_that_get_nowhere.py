"""A guest that faults for ever is silent and active: what is known about it is told, and every command reaches it."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from shyper_tui.config import sample_path
from shyper_tui.ipc.client import Client

TRAPS_INTO_NOTHING = struct.pack("<III", 0x00000297, 0x00C28293, 0x10529073) + bytes(64)
"""auipc t0, 0; addi t0, t0, 12; csrw stvec, t0; and no instruction behind it."""


def damaged(folder: Path) -> Path:
    """A guest whose kernel is that."""
    (folder / "kernel.bin").write_bytes(TRAPS_INTO_NOTHING)
    text = sample_path("bare-metal").read_text()
    old = next(line for line in text.splitlines() if '"kernel_filename"' in line)
    file = folder / "vm.json"
    file.write_text(text.replace(old, f'"kernel_filename": {json.dumps(str(folder / "kernel.bin"))},'))
    return file


async def test_a_guest_that_only_faults_is_named_and_can_be_paused_rebooted_and_removed(tmp_path: Path) -> None:
    options = {"embedded": True, "vms": [str(damaged(tmp_path))], "clock": "virtual", "log_dir": str(tmp_path)}
    async with await Client.start(options) as client:
        await client.wait_state("running", "failed")
        message = ""
        while not message:
            message = next(vm.message for vm in await client.vm.list() if vm.id == 1)
        assert message.startswith("vCPU 0 only faults: its trap handler begins with: illegal instruction at 0x")
        assert (await client.vm.faults(1)).message == message
        answer = await client.vm.reboot(1, False)
        assert (answer.asked, answer.info.state) == (False, "active")
        assert (await client.vm.statistics(1)).boots == 2
        assert (await client.vm.pause(1)).state == "paused"
        assert (await client.vm.reboot(1, True)).info.state == "active"
        await client.vm.remove(1)
        assert [vm.id for vm in await client.vm.list()] == [0]


async def test_no_guest_leaves_id_1_to_the_first_that_is_configured(tmp_path: Path) -> None:
    options = {"embedded": True, "vms": [], "clock": "virtual", "log_dir": str(tmp_path)}
    async with await Client.start(options) as client:
        await client.wait_state("running", "failed")
        assert [vm.id for vm in await client.vm.list()] == [0]
        assert (await client.vm.config_file(str(damaged(tmp_path)))).id == 1
