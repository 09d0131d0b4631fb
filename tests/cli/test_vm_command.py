"""`shyper-tui vm` against a running engine."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shyper_tui.config import sample_path
from shyper_tui.ipc.client import Client

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    with tempfile.TemporaryDirectory() as folder:  # not below tmp_path: socket paths are short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        async with await Client.start({"embedded": True, "log_dir": str(tmp_path)}) as client:
            yield client


async def vm(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shyper_tui.cli", "vm", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT, env=os.environ,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_guest_from_configuration_to_removal(engine: Client, tmp_path: Path) -> None:
    file = tmp_path / "second.json"
    file.write_text(sample_path("embedded-guest").read_text().replace('"embedded-guest"', '"second"'))
    assert await vm("config", str(file), "--boot") == (0, "vm2 is booting.\n", "")
    await engine.console.expect(2, "gvm# ", timeout=30)
    status, out, _ = await vm("list")
    assert status == 0
    assert [line.split()[:4] for line in out.splitlines()] == [
        ["ID", "NAME", "STATE", "VCPUS"],
        ["0", "supervisor", "active", "1"],
        ["1", "embedded-guest", "active", "1"],
        ["2", "second", "active", "1"],
    ]
    assert await vm("stop", "2") == (0, "vm2 is stopped.\n", "")
    assert (await engine.vm.list())[2].state == "pending"
    assert await vm("remove", "2") == (0, "vm2 is removed.\n", "")
    assert [info.id for info in await engine.vm.list()] == [0, 1]


async def test_refusals_are_one_sentence(engine: Client, tmp_path: Path) -> None:
    assert await vm("boot", "5") == (1, "", "Error: there is no VM 5\n")
    (tmp_path / "bad.json").write_text('{"name": 5}')
    status, _, errors = await vm("config", str(tmp_path / "bad.json"))
    assert status == 1
    assert f"{tmp_path}/bad.json:1:10: error[" in errors
    assert "Traceback" not in errors
