"""A VM that the managing VM's own command line makes, by hypercalls, is a VM of the workstation like any other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shyper_tui.ipc.client import Client


@pytest.fixture(autouse=True)
def private_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Not below tmp_path: socket paths are short."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


async def test_vm_config_in_the_managing_vm_makes_a_vm_with_console_and_network(tmp_path: Path) -> None:
    options = {"embedded": True, "clock": "wall", "log_dir": str(tmp_path / "logs")}
    async with await Client.start(options) as client:
        await client.console.expect(0, "mvm# ", timeout=30)
        await client.console.expect(1, "gvm# ", timeout=30)
        await client.console.write(0, b"shyper vm config second disk=0 memory=64 cpus=0xc\r")
        shown = await client.console.expect(0, "mvm# ", timeout=30)
        assert "Config VM [2] successfully" in shown
        await client.console.write(0, b"shyper vm boot 2\r")
        assert "harts, 64 MiB, virtio console)" in await client.console.expect(2, "gvm# ", timeout=30)
        second = (await client.vm.list())[2]
        assert (second.id, second.name, second.state, second.cores) == (2, "second", "active", [2, 3])
        await client.console.write(2, b"ping 10.0.0.1\r")
        assert "3 packets transmitted, 3 received" in await client.console.expect(2, "gvm# ", timeout=30)
        await client.vm.remove(2)
        assert [vm.id for vm in await client.vm.list()] == [0, 1]
        await client.shutdown()
