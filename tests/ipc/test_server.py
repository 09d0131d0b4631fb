"""The server: who may connect, requests and their endings, console streams, slow clients, owners."""

from __future__ import annotations

import asyncio
import stat

import pytest

from shyper_tui.engine.console_stream import RING_SIZE
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.frames import MAX_FRAME, encode, read_frame
from shyper_tui.ipc.messages import CONSOLE_WINDOW, PROTOCOL, EngineError
from shyper_tui.ipc.session import REQUESTS_AT_ONCE
from tests.ipc.served import STATUS, Live


async def test_folder_and_socket_are_private(live: Live) -> None:
    path = live.server.path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_clients_get_their_own_answers(live: Live) -> None:
    clients = [await live.connect() for _ in range(4)]
    answers = await asyncio.gather(*(client.request("echo", n=n) for n, client in enumerate(clients)))
    assert answers == [{"n": n} for n in range(4)]
    for client in clients:
        await client.close()


async def test_requests_overtake_one_that_waits(live: Live) -> None:
    client = await live.connect()
    waiting = asyncio.create_task(client.request("wait"))
    assert await client.request("echo", n=1) == {"n": 1}
    assert not waiting.done()
    live.service.release.set()
    await waiting
    await client.close()


async def test_a_refusal_carries_code_message_and_diagnostics(live: Live) -> None:
    async with await Client.attach(live.server.path) as client:
        with pytest.raises(EngineError) as caught:
            await client.vm.config("{}")
        assert (caught.value.code, caught.value.diagnostics[0].line) == ("refused", 3)
        assert await client.status() == STATUS


async def test_a_defect_in_a_request_is_an_error_of_that_request_alone(live: Live) -> None:
    client = await live.connect()
    with pytest.raises(EngineError, match="ZeroDivisionError") as caught:
        await client.request("defect")
    assert caught.value.code == "internal"
    with pytest.raises(EngineError, match="cannot be sent"):
        await client.request("large", size=MAX_FRAME)
    assert await client.request("echo") == {}
    await client.close()


async def test_nobody_listening_is_one_sentence(live: Live) -> None:
    with pytest.raises(EngineError, match="no engine answers at"):
        await Client.attach("/nonexistent/engine.sock")


async def test_a_stream_gives_past_and_coming_bytes_in_order(live: Live) -> None:
    stream = live.service.streams[1]
    stream.write(b"before ")
    async with await Client.attach(live.server.path) as client:
        seen = b""
        async for chunk in client.console.stream(1):
            assert chunk.offset == len(seen)
            seen += chunk.data
            if seen == b"before ":
                await asyncio.to_thread(stream.write, b"after")  # from another thread, as the machine does
            if seen.endswith(b"after"):
                break
        assert seen == b"before after"
        assert (await client.console.read(1, 7)).data == b"after"


async def test_expect_goes_on_after_what_it_found(live: Live) -> None:
    async with await Client.attach(live.server.path) as client:
        live.service.streams[0].write("Grüße$ ls\r\na b\r\n$ ".encode())
        assert await client.console.expect(0, "$ ", timeout=5) == "Grüße$ "
        assert await client.console.expect(0, "$ ", timeout=5) == "ls\r\na b\r\n$ "
        await client.console.write(0, b"next$ ")
        assert await client.console.expect(0, "$ ", timeout=5) == "next$ "


async def test_expect_tells_what_it_saw_instead(live: Live) -> None:
    live.service.streams[0].write(b"kernel panic")
    async with await Client.attach(live.server.path) as client:
        with pytest.raises(EngineError, match=r"vm0 did not show 'login' within 0\.05 s; last: 'kernel panic'"):
            await client.console.expect(0, "login", timeout=0.05)
        with pytest.raises(EngineError, match="no VM 6"):
            await client.console.expect(6, "login")


async def test_a_stream_ends_when_its_vm_is_removed(live: Live) -> None:
    async with await Client.attach(live.server.path) as client:
        live.service.streams[1].write(b"bye")
        chunks = []
        async for chunk in client.console.stream(1):
            chunks.append(chunk.data)
            live.service.streams[1].close()
        assert chunks == [b"bye"]


async def test_a_slow_reader_finds_a_gap_and_costs_no_memory(live: Live) -> None:
    stream, block = live.service.streams[0], bytes(range(256)) * 256
    async with await Client.attach(live.server.path) as client:
        chunks = client.console.stream(0)
        stream.write(block)
        first = await anext(chunks)  # and reads no further: the credit is used up while the guest floods
        for _ in range(4 * RING_SIZE // len(block)):
            stream.write(block)
        expected, gaps, position = stream.end, 0, first.offset + len(first.data)
        while position < expected:
            chunk = await anext(chunks)
            gaps += chunk.offset != position
            assert chunk.data[0] == chunk.offset % 256  # the bytes are those of the offset
            position = chunk.offset + len(chunk.data)
        assert gaps == 1
        assert position == expected


async def test_an_unread_stream_stops_at_its_window(live: Live) -> None:
    reader, writer = await live.raw()
    writer.write(encode({"k": "req", "id": 1, "m": "hello", "a": {"protocol": PROTOCOL}}))
    opening = {"stream": 5, "vm": 0, "offset": 0, "window": CONSOLE_WINDOW}
    live.service.streams[0].write(bytes(2 * CONSOLE_WINDOW))
    writer.write(encode({"k": "req", "id": 2, "m": "console.open", "a": opening}))
    received = 0
    while received < CONSOLE_WINDOW:
        frame = await read_frame(reader)
        assert frame is not None
        received += len(frame["a"]["data"]) if frame["k"] == "ev" else 0
    writer.write(encode({"k": "req", "id": 3, "m": "echo", "a": {}}))
    frame = await read_frame(reader)
    assert frame == {"k": "rep", "id": 3, "r": {}}  # the next frame is the answer, not more output
    writer.write(encode({"k": "ev", "m": "console.credit", "a": {"stream": 5, "bytes": 10}}))
    frame = await read_frame(reader)
    assert frame is not None
    assert (frame["a"]["offset"], len(frame["a"]["data"])) == (CONSOLE_WINDOW, 10)
    writer.close()


async def test_a_client_that_never_reads_answers_is_not_read_either(live: Live) -> None:
    reader, writer = await live.raw()
    writer.write(encode({"k": "req", "id": 1, "m": "hello", "a": {"protocol": PROTOCOL}}))
    for number in range(2, 2 + 2 * REQUESTS_AT_ONCE):
        writer.write(encode({"k": "req", "id": number, "m": "wait", "a": {}}))
    await read_frame(reader)
    bystander = await live.connect()
    while live.service.started < REQUESTS_AT_ONCE:
        await bystander.request("echo")
    for _ in range(20):
        await bystander.request("echo")
    assert live.service.started == REQUESTS_AT_ONCE  # the other half is still unread
    live.service.release.set()
    for _ in range(2 * REQUESTS_AT_ONCE):
        assert await read_frame(reader) is not None
    await bystander.close()
    writer.close()


async def test_the_last_owner_is_noticed(live: Live) -> None:
    first, second, visitor = await live.connect(owner=True), await live.connect(owner=True), await live.connect()
    await first.close()
    assert await visitor.request("echo") == {}
    assert not live.owner_gone.is_set()
    await second.close()
    async with asyncio.timeout(5):
        await live.owner_gone.wait()
    await visitor.close()


async def test_an_attached_client_learns_that_the_engine_is_gone(live: Live) -> None:
    client = await Client.attach(live.server.path)
    waiting = asyncio.create_task(client.wait_state("stopped"))
    while not live.service.started:
        await client.status()
    await live.server.close()
    exited = await asyncio.wait_for(client.closed, 5)
    assert exited.status is None
    with pytest.raises(EngineError, match="closed the connection"):
        await waiting
    with pytest.raises(EngineError) as caught:
        await client.status()
    assert caught.value.code == "engine-gone"
