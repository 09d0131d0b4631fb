"""The real engine behind the client: life cycle, VMs, consoles, snapshots, failures, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shyper_tui.config import sample_path
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.endpoint import running_engines
from shyper_tui.ipc.messages import EngineError, EngineOptions

SAMPLE = sample_path("embedded-guest")


@pytest.fixture(autouse=True)
def private_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Not below tmp_path: socket paths are short."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


def options(tmp_path: Path, **more: object) -> dict[str, object]:
    return {"embedded": True, "clock": "wall", "log_dir": str(tmp_path / "logs"), **more}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with await Client.start(options(tmp_path)) as client:
        yield client


async def test_both_vms_are_there_and_answer(client: Client, tmp_path: Path) -> None:
    mvm, guest = await client.vm.list()
    assert (mvm.id, mvm.name, mvm.state, mvm.cores, mvm.memory) == (0, "supervisor", "active", [0], 4 << 30)
    assert (guest.id, guest.name, guest.state, guest.cores) == (1, "embedded-guest", "active", [1])
    await client.console.expect(0, "mvm# ", timeout=30)
    await client.console.expect(1, "gvm# ", timeout=30)
    await client.console.write(1, b"echo one two\n")
    assert "\r\none two\r\n" in await client.console.expect(1, "gvm# ", timeout=30)
    status = await client.status()
    assert (status.state, status.clock, status.embedded, len(status.harts)) == ("running", "wall", True, 4)
    assert status.instructions > 0
    exited = await client.shutdown()
    assert exited.status == 0
    assert b"one two" in (tmp_path / "logs" / "vm1.log").read_bytes()


async def test_vcpus_show_where_the_guests_wait(client: Client) -> None:
    await client.console.expect(0, "mvm# ", timeout=30)
    await client.console.expect(1, "gvm# ", timeout=30)
    snapshot = await client.vcpus()
    while any(vcpu.state != "sleep" for vcpu in snapshot.vcpus):
        snapshot = await client.vcpus()
    assert [(vcpu.vm, vcpu.vcpu, vcpu.core, vcpu.mode) for vcpu in snapshot.vcpus] == [(0, 0, 0, "VS"), (1, 0, 1, "VS")]
    for vcpu in snapshot.vcpus:
        assert vcpu.symbol.startswith("wait_for+")
        assert vcpu.disassembly[0].address == vcpu.pc
        assert len(vcpu.x) == len(vcpu.f) == 32
        assert vcpu.x[0] == 0
        assert vcpu.csrs["hgatp"] >> 60 == 8  # Sv39x4
        assert vcpu.csrs["hgatp"] >> 44 & 0x3FFF == vcpu.vm


async def test_the_plic_view_has_the_serial_port_and_a_controller_for_each_vm(client: Client) -> None:
    await client.console.expect(0, "mvm# ", timeout=30)
    controllers = {controller.vm: controller for controller in (await client.plic()).controllers}
    assert sorted(controllers, key=str) == [0, 1, None]
    serial = next(source for source in controllers[None].sources if source.name == "uart")
    assert (serial.source, serial.priority > 0, serial.enabled) == (10, True, [1])
    before = next(source.count for source in controllers[0].sources if source.source == 10)
    await client.console.write(0, b"\n")
    await client.console.expect(0, "mvm# ", timeout=30)
    after = {controller.vm: controller for controller in (await client.plic()).controllers}[0]
    assert next(source.count for source in after.sources if source.source == 10) > before
    assert any("virtio_console" in source.name for source in controllers[1].sources)


async def test_a_guest_can_be_stopped_removed_and_come_again(client: Client, tmp_path: Path) -> None:
    await client.console.expect(1, "gvm# ", timeout=30)
    assert (await client.vm.stop(1)).state == "pending"
    assert (await client.vm.boot(1)).state == "active"
    await client.console.expect(1, "gvm# ", timeout=30)
    again = await client.vm.reboot(1)
    assert (again.asked, again.info.state) == (False, "active")
    await client.console.expect(1, "gvm# ", timeout=30)
    chunks = client.console.stream(1)
    await anext(chunks)
    await client.vm.remove(1)
    assert [vm.id for vm in await client.vm.list()] == [0]
    async for _ in chunks:
        pass  # the stream ends with its VM
    configured = await client.vm.config_file(SAMPLE)
    assert (configured.id, configured.state) == (1, "pending")
    await client.vm.boot(1)
    await client.console.expect(1, "gvm# ", timeout=30)
    assert (tmp_path / "logs" / "vm1-2.log").exists()


async def test_a_guest_that_powers_off_stops_alone(client: Client) -> None:
    await client.console.expect(1, "gvm# ", timeout=30)
    await client.console.write(1, b"poweroff\n")
    while (await client.vm.list())[1].state != "pending":
        assert (await client.status()).state == "running"
    assert (await client.vm.list())[0].state == "active"
    await client.console.expect(0, "mvm# ", timeout=30)
    assert (await client.status()).state == "running"


async def test_a_wrong_configuration_comes_back_with_its_line(client: Client) -> None:
    text = SAMPLE.read_text().replace('"0b0010"', '"0b10000"')
    with pytest.raises(EngineError) as caught:
        await client.vm.config(text, str(SAMPLE.parent), "vm2.json")
    found = next(found for found in caught.value.diagnostics if found.severity == "error")
    line = text[: text.index("0b10000")].count("\n") + 1
    assert (caught.value.code, found.file, found.line) == ("configuration", "vm2.json", line)
    for bad in ("", "{", "[]", "\x00", "{" * 5000):
        with pytest.raises(EngineError, match="in the configuration"):
            await client.vm.config(bad)
    assert len(await client.vm.list()) == 2


async def test_wrong_requests_are_refused_one_by_one(client: Client) -> None:
    for request in (client.vm.boot(5), client.vm.boot(0), client.vm.remove(0), client.console.write(5, b"x")):
        with pytest.raises(EngineError) as caught:
            await request
        assert caught.value.code == "vm"
    with pytest.raises(EngineError, match="no VM 5"):
        await client.console.read(5)
    with pytest.raises(EngineError, match="argument vm: int expected"):
        await client.vm.boot("1")  # type: ignore[arg-type]
    assert (await client.status()).state == "running"


async def test_pause_stands_still_and_resume_goes_on(client: Client) -> None:
    await client.console.expect(1, "gvm# ", timeout=30)
    await client.pause()
    before = await client.status()
    assert before.state == "paused"
    await client.console.write(1, b"echo later\n")
    assert (await client.status()).instructions == before.instructions
    await client.resume()
    await client.console.expect(1, "later\r\n", timeout=30)
    assert (await client.status()).state == "running"


async def test_several_clients_see_the_same_machine(client: Client) -> None:
    assert client.socket_path is not None
    assert running_engines() == [client.socket_path]
    async with await Client.attach(client.socket_path) as visitor:
        await visitor.console.expect(1, "gvm# ", timeout=30)
        await visitor.console.write(1, b"echo from the visitor\n")
        await client.console.expect(1, "from the visitor\r\n", timeout=30)
    assert (await client.status()).state == "running"  # a visitor who leaves stops nothing


async def test_a_killed_worker_is_noticed_with_its_status(client: Client) -> None:
    waiting = asyncio.create_task(client.console.expect(0, "never"))
    await client.console.expect(1, "gvm# ", timeout=30)
    os.kill(client.welcome.pid, signal.SIGKILL)
    exited = await asyncio.wait_for(client.closed, 30)
    assert exited.status == -signal.SIGKILL
    assert any("is active" in line for line in exited.log)
    with pytest.raises(EngineError) as caught:
        await waiting
    assert caught.value.code == "engine-gone"
    assert (await client.shutdown()).status == -signal.SIGKILL
    assert running_engines() == []


async def test_sigterm_stops_it_in_order(client: Client) -> None:
    await client.vm.list()
    os.kill(client.welcome.pid, signal.SIGTERM)
    assert (await asyncio.wait_for(client.closed, 30)).status == 0


async def test_a_detached_engine_goes_on_without_its_owner(tmp_path: Path) -> None:
    owner = await Client.start(options(tmp_path, detach=True))
    await owner.vm.list()
    path = owner.socket_path
    assert path is not None
    await owner.close()
    visitor = await Client.attach(path)
    try:
        assert (await visitor.status()).state == "running"
        assert running_engines() == [path]
    finally:
        assert (await visitor.shutdown()).status is None
    assert (await asyncio.wait_for(owner.closed, 30)).status == 0


async def test_it_stops_with_its_owner(tmp_path: Path) -> None:
    owner = await Client.start(options(tmp_path))
    await owner.close()
    assert (await asyncio.wait_for(owner.closed, 30)).status == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"{", "in "), (b"\xff\xfe", "in "), (None, "cannot be read: No such file or directory")],
)
async def test_a_wrong_managing_vm_is_a_failed_machine(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "mvm.json"
    if content is not None:
        file.write_bytes(content)
    async with await Client.start(options(tmp_path, mvm=str(file))) as client:
        status = await asyncio.wait_for(client.wait_state("failed"), 30)
        assert sentence in status.message
        assert str(file) in status.message
        with pytest.raises(EngineError, match="the machine did not start"):
            await client.vm.list()


async def test_a_wrong_guest_leaves_the_rest_running(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(SAMPLE.read_text().replace("images:embedded/guest", "missing.elf"))
    async with await Client.start(options(tmp_path, vms=[str(bad), str(SAMPLE)])) as client:
        assert [vm.name for vm in await client.vm.list()] == ["supervisor", "embedded-guest"]
        status = await client.status()
        assert status.state == "running"
        assert "bad.json is not booted" in status.message


async def test_options_that_do_not_exist_are_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no engine option 'colour'"):
        await Client.start({"colour": "red"})
    with pytest.raises(EngineError, match=r"EngineOptions\.vms"):
        await Client.start({"vms": 5})


async def test_an_option_with_a_word_that_does_not_exist_is_a_failed_machine(tmp_path: Path) -> None:
    async with await Client.start(options(tmp_path, mvm_off="explode")) as client:
        status = await asyncio.wait_for(client.wait_state("failed"), 30)
        assert status.message == "mvm_off is one of stay, end, restart, not 'explode'"


async def test_an_engine_that_cannot_listen_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shyper_tui.ipc.process.to_wire", lambda value: {"clock": 5})
    with pytest.raises(EngineError, match=r"status 2\): the options cannot be read: EngineOptions\.clock"):
        await Client.start(EngineOptions())
