"""Every request that the real engine knows: answered or refused by one sentence, whatever its arguments are."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shyper_tui.config import sample_path
from shyper_tui.engine.requests import ACTIONS, NEEDING_POWER, SETTLING
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.connection import Connection
from shyper_tui.ipc.messages import PROTOCOL, EngineError

SAMPLE = sample_path("embedded-guest")
CASES = 1500
STRANGE: list[Any] = [
    None, True, False, -1, 0, 1, 2, 7, 8, 2**31, 2**63, 2**64 - 1, 1.5, float("nan"), "", "1", "\0", "/dev/zero", "/",
    "é" * 300, b"", b"\0\xff" * 50, [], [1, [2, []]], {}, {"vm": 1}, {"a": {"b": [None]}},
]  # fmt: skip
ARGUMENTS = ("vm", "force", "text", "directory", "file", "data", "columns", "rows", "states", "offset")
ENDING = ("system.shutdown", "system.reboot", "shutdown", "wait", "scenario.wait")
"""Not sent at random: they end what is tested, or are answered when something happens."""


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    with tempfile.TemporaryDirectory() as folder:  # socket paths are short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        async with await Client.start({"embedded": True, "log_dir": str(tmp_path / "logs")}) as client:
            await client.console.expect(0, "mvm# ", timeout=30)
            await client.console.expect(1, "gvm# ", timeout=30)
            yield client


async def test_requests_with_any_arguments_are_answered(client: Client) -> None:
    """Frames are the business of `test_frame_fuzz`; here they are right, and what they ask for is not."""
    chosen = random.Random(20240607)
    methods = [method for method in [*ACTIONS, "status", "console.open", "console.read", "?"] if method not in ENDING]
    assert client.socket_path is not None
    peer = await Connection.open(str(client.socket_path))
    await peer.request("hello", protocol=PROTOCOL, client="strange", owner=False)
    refused: Counter[str] = Counter()
    defects: list[tuple[str, dict[str, Any], str]] = []

    async def one(method: str, arguments: dict[str, Any]) -> None:
        try:
            await peer.request(method, **arguments)
        except EngineError as error:
            refused[error.code] += 1
            if error.code == "internal" or "\n" in error.message:
                defects.append((method, arguments, error.message))

    for _ in range(CASES // 10):
        batch = []
        for _ in range(10):
            method = chosen.choice(methods)
            names = chosen.sample(ARGUMENTS, chosen.randrange(len(ARGUMENTS)))
            arguments = {name: chosen.choice(STRANGE) for name in names}
            if chosen.random() < 0.5:
                arguments["vm"] = chosen.randrange(3)
            if chosen.random() < 0.3:
                arguments |= {"text": SAMPLE.read_text(), "directory": "/", "file": ""}
            if method == "vm.stop" and arguments.get("vm") == 0:
                continue
            batch.append(one(method, arguments))
        await asyncio.gather(*batch)
    assert defects == []
    assert refused["bad-arguments"] > 100
    assert refused["vm"] > 50
    await peer.close()
    assert (await client.system.test()).harts == 4
    assert (await client.vm.list())[0].name == "supervisor"


async def test_a_request_without_its_arguments_is_refused(client: Client) -> None:
    without = {"vm.list", "vm.all_statistics", "vm.audit", "system.test"}
    without |= {"vcpus", "plic", "pause", "resume", "scenario"}
    assert client.socket_path is not None
    peer = await Connection.open(str(client.socket_path))
    await peer.request("hello", protocol=PROTOCOL, client="sparse", owner=False)
    for method in ACTIONS:
        if method in without:
            await peer.request(method)
            continue
        with pytest.raises(EngineError, match=r"^argument (vm|text|force): (int|str|bool) expected, got NoneType$"):
            await peer.request(method)
    await peer.close()


async def test_a_peer_that_leaves_while_it_is_served_disturbs_nobody(client: Client) -> None:
    assert client.socket_path is not None
    for _ in range(5):
        peer = await Connection.open(str(client.socket_path))
        await peer.request("hello", protocol=PROTOCOL, client="hasty", owner=False)
        asking = [asyncio.create_task(peer.request("vm.reboot", vm=1, force=True)) for _ in range(8)]
        await peer.request("vm.list")
        await peer.close()
        await asyncio.gather(*asking, return_exceptions=True)
    await client.vm.stop(1)
    assert (await client.vm.boot(1)).state == "active"
    await client.console.expect(1, "gvm# ", timeout=30)


async def test_a_configuration_that_is_far_too_long_is_not_read(client: Client) -> None:
    for request in (client.vm.config, client.system.daemon):
        with pytest.raises(EngineError, match="the text is larger than 256 KiB"):
            await request("[" * 4_000_000)


def test_the_tables_of_requests_agree() -> None:
    assert {*SETTLING, *NEEDING_POWER} <= set(ACTIONS)


async def test_audit_and_faults_are_typed(client: Client) -> None:
    await client.console.write(1, b"hypercall 1 0x10 1\npeek 0x70000000\n")
    await client.console.expect(1, "peek 0x70000000\r\n", timeout=30)
    await client.console.expect(1, "gvm# ", timeout=30)
    (refused,) = await client.vm.audit()
    assert (refused.vm, refused.vcpu, refused.number) == (1, 0, 0x0A00_0110)
    assert refused.time_ticks > 0
    found = await client.vm.faults(1)
    assert (found.vm, found.unrecorded) == (1, 0)
    (fault,) = found.faults
    assert (fault.cause, fault.guest_physical, fault.count) == (21, 0x7000_0000, 1)


async def test_resize_reaches_a_guest_and_not_the_serial_line(client: Client) -> None:
    await client.console.resize(1, 132, 50)
    with pytest.raises(EngineError) as caught:
        await client.console.resize(0, 132, 50)
    assert caught.value.code == "no-size"
    for columns, rows in ((0, 50), (132, 0), (1 << 16, 50)):
        with pytest.raises(EngineError, match="1 to 65535 columns and rows"):
            await client.console.resize(1, columns, rows)
    before = {irq.source: irq.raised for irq in (await client.vm.statistics(1)).irqs}
    await client.console.resize(1, 80, 25)
    after = {irq.source: irq.raised for irq in (await client.vm.statistics(1)).irqs}
    assert after[21] == before[21] + 1  # the configuration has changed
