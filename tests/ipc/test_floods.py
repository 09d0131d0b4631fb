"""Clients that send too much, too little, or nothing: they are refused in a moment, and the others notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.ipc import frames, server, session
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.frame_budget import MOST_OPEN, within
from shyper_tui.ipc.frames import MAX_FRAME, MOST_REQUEST_VALUES, MOST_VALUES, FrameError, decode, encode, read_frame
from shyper_tui.ipc.messages import EngineError
from tests.ipc.served import Live
from tests.ipc.test_frame_fuzz import HELLO, everything_until_the_end, framed, values

HEADER = b"\xdd" + (MAX_FRAME - 5).to_bytes(4, "big")


@pytest.mark.parametrize(
    "body",
    [
        HEADER + b"\x90" * (MAX_FRAME - 5),
        HEADER + b"\x80" * (MAX_FRAME - 5),
        HEADER + b"\xc0" * (MAX_FRAME - 5),
        HEADER + b"\xa0" * (MAX_FRAME - 5),
        b"\xdf" + (MAX_FRAME // 2).to_bytes(4, "big") + b"\xa0\x90" * (MAX_FRAME // 2),
        b"\x81\xa1a" + b"\xdc\xff\xff" * 5_000_000,
        b"\x91" * MAX_FRAME,
        (b"\x9f" + b"\x90" * 14) * (MAX_FRAME // 15),
    ],
    ids=["lists", "maps", "nil", "texts", "map", "long lists", "deep", "tree"],
)
def test_a_frame_of_millions_of_values_is_refused_before_it_is_decoded(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match="values, or lists more than 64 deep"):
            decode(body)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


async def test_a_flood_of_values_ends_that_client_and_no_other(live: Live) -> None:
    bystander = await live.connect()
    start = b"\x84\xa1k\xa3req\xa2id\x02\xa1m\xa4echo\xa1a\x81\xa1x\xdd"
    body = start + (1 << 20).to_bytes(4, "big") + b"\x90" * (1 << 20)
    began = time.process_time()
    got = await everything_until_the_end(live, HELLO + len(body).to_bytes(4, "big") + body)
    assert time.process_time() - began < 1.0  # it is some milliseconds; decoding took half a second
    assert (got[-1]["code"], got[-1]["id"]) == ("frame-too-large", 0)
    assert f"more than {MOST_REQUEST_VALUES} values" in got[-1]["message"]
    assert await bystander.request("echo", still="here") == {"still": "here"}
    await bystander.close()


async def test_a_long_text_is_a_request_as_any(live: Live) -> None:
    client = await live.connect()
    text = "é" * (4 << 20)
    assert await client.request("echo", text=text) == {"text": text}
    await client.close()


@settings(max_examples=300, deadline=None)
@given(value=values | st.lists(st.floats() | st.binary(max_size=400) | st.text(max_size=400), max_size=40))
def test_values_are_counted_as_they_are(value: Any) -> None:
    def count(part: Any) -> int:
        if isinstance(part, dict):
            return 1 + sum(1 + count(item) for item in part.values())
        return 1 + sum(map(count, part)) if isinstance(part, list) else 1

    body = msgpack.packb(value)
    number = count(value)
    padded = msgpack.packb([value, b"\0" * (number + 10)])  # larger than the limit, so that it is counted
    assert within(padded, number + 2)
    assert not within(padded, number + 1)
    assert within(body, len(body))


@given(body=st.binary(max_size=200), most=st.integers(0, 50))
def test_counting_any_bytes_ends(body: bytes, most: int) -> None:
    within(body, most)


def test_every_kind_of_value_is_stepped_over() -> None:
    extensions = [msgpack.ExtType(5, b"x" * size) for size in (1, 2, 3, 4, 8, 16, 300, 70_000)]
    plain: list[Any] = [bytes(70_000), "x" * 70_000, "x" * 300, b"x" * 300, "x" * 40, 1.5, 2**63, 2**20, 300, -300]
    for kind in (*extensions, *plain, [0] * 70_000, [0] * 20, dict.fromkeys(range(20), 0)):
        inside = len(kind) if isinstance(kind, list) else 2 * len(kind) if isinstance(kind, dict) else 0
        body = msgpack.packb([kind, b"\0" * 140_200])
        assert within(body, 3 + inside)
        assert not within(body, 2 + inside)


def test_depth_is_bounded() -> None:
    def nested(depth: int) -> bytes:
        return b"\x92" + b"\x91" * (depth - 2) + b"\x90" + b"\xc6" + (5000).to_bytes(4, "big") + bytes(5000)

    assert within(nested(MOST_OPEN - 1), 4096)
    assert not within(nested(MOST_OPEN + 2), 4096)


def test_answers_have_a_limit_too() -> None:
    with pytest.raises(FrameError, match=f"more than {MOST_VALUES} values"):
        decode(encode({"k": "rep", "id": 1, "r": [0] * (MOST_VALUES + 1)})[4:])


async def test_connections_that_say_nothing_lock_nobody_out(live: Live) -> None:
    first = await live.connect()
    silent = [await live.raw() for _ in range(3 * server.STRANGERS_AT_ONCE)]
    late = await live.connect()  # while all of them are silent
    assert await late.request("echo", n=1) == {"n": 1}
    reader, _ = silent[0]
    frame = await read_frame(reader)
    assert frame is not None
    assert frame["message"] == "more than 32 connections have not said hello; this one has waited longest"
    assert await read_frame(reader) is None
    assert await first.request("echo", n=2) == {"n": 2}
    for _, writer in silent:
        writer.close()
    for client in (first, late):
        await client.close()


async def test_a_connection_that_says_nothing_ends_after_a_time(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "HELLO_SECONDS", 0.05)
    for sent in (b"", b"\x00", HELLO[:-1], b"\x00\x00\x10\x00" + b"x" * 200):
        reader, writer = await live.raw()
        writer.write(sent)
        frame = await read_frame(reader)
        assert frame is not None
        assert frame["message"] == "no hello came within 0.05 s"
        assert await read_frame(reader) is None
        writer.close()


async def test_half_a_frame_is_not_waited_for_for_ever(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "FRAME_SECONDS", 0.2)
    idle = await live.connect()
    reader, writer = await live.raw()
    writer.write(HELLO + b"\x00\x00\x00\x09abc")
    got = [await read_frame(reader), await read_frame(reader)]
    assert got[1] is not None
    assert got[1]["code"] == "frame-slow"
    assert await read_frame(reader) is None
    assert await idle.request("echo") == {}  # who is silent between frames stays
    writer.close()
    await idle.close()


async def test_a_large_hello_is_refused(live: Live) -> None:
    got = await everything_until_the_end(live, framed({"k": "req", "id": 1, "m": "hello", "a": {"client": "x" * 5000}}))
    assert [frame["code"] for frame in got] == ["frame-too-large"]


async def test_one_client_too_many_is_told_so_and_the_others_stay(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLIENTS_OF_A_PROCESS", 1000)
    clients = [await live.connect() for _ in range(server.CLIENTS_AT_ONCE)]
    with pytest.raises(EngineError, match="serves 32 clients already, which is its limit") as caught:
        await Client.attach(live.server.path)
    assert caught.value.code == "too-many-clients"
    assert [await client.request("echo", n=1) for client in clients] == [{"n": 1}] * len(clients)
    await clients.pop().close()
    async with asyncio.timeout(10):
        while True:  # until the server has noticed
            with contextlib.suppress(EngineError):
                clients.append(await live.connect())
                break
    for client in clients:
        await client.close()


async def test_one_process_does_not_take_all_places(live: Live) -> None:
    clients = [await live.connect() for _ in range(server.CLIENTS_OF_A_PROCESS)]
    with pytest.raises(EngineError, match=r"process \d+ has 16 connections to the engine already"):
        await live.connect()
    for client in clients:
        await client.close()


async def test_answers_that_nobody_reads_cost_bounded_memory(live: Live) -> None:
    """Each answer has 1 MiB; they are made as the client reads them."""
    reader, writer = await live.raw()
    writer.write(HELLO)
    for number in range(2, 202):
        writer.write(encode({"k": "req", "id": number, "m": "large", "a": {"size": 1 << 20}}))
    await read_frame(reader)
    bystander = await live.connect()
    tracemalloc.start()
    for _ in range(300):
        await bystander.request("echo")
    assert tracemalloc.get_traced_memory()[1] < (session.REQUESTS_AT_ONCE + 8) << 20
    tracemalloc.stop()
    for _ in range(200):
        assert await read_frame(reader) is not None
    writer.close()
    await bystander.close()


async def test_streams_that_are_never_closed_are_bounded(live: Live) -> None:
    client = await live.connect()
    refused = 0
    for number in range(300):
        try:
            await client.request("console.open", stream=number, vm=0, offset=0, window=2**63)
        except EngineError as error:
            refused += error.code == "stream"
    assert refused == 300 - session.STREAMS_AT_ONCE
    await client.close()
    other = await live.connect()
    async with asyncio.timeout(10):
        while live.service.streams[0]._listeners:
            await other.request("echo")
    await other.close()


@pytest.mark.parametrize("stream", [[], {}, None, 1.5, "x", 2**64 - 1, True])
async def test_an_event_with_a_strange_stream_ends_nothing(live: Live, stream: Any) -> None:
    client = await live.connect()
    client._dispatch({"k": "ev", "m": "console", "a": {"stream": stream}})  # from the engine
    reader, writer = await live.raw()
    writer.write(HELLO)
    for name in ("console.credit", "console.close"):
        writer.write(encode({"k": "ev", "m": name, "a": {"stream": stream, "bytes": stream}}))
    writer.write(encode({"k": "req", "id": 5, "m": "echo", "a": {}}))
    assert (await read_frame(reader) or {})["k"] == "rep"
    assert (await read_frame(reader) or {})["id"] == 5
    assert await client.request("echo") == {}
    writer.close()
    await client.close()
