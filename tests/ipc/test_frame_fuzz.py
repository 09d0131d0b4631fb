"""Whatever bytes a client sends, the server answers with a typed error at most, closes that client, and serves the
others."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.ipc.frames import MAX_FRAME, Frame, FrameError, decode, encode, read_frame
from shyper_tui.ipc.messages import PROTOCOL
from tests.ipc.served import Live, live_server

HELLO = encode({"k": "req", "id": 1, "m": "hello", "a": {"protocol": PROTOCOL}})

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8) | st.binary(max_size=8)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
methods = st.sampled_from(["echo", "console.open", "console.read", "console.credit", "console.close", "hello", "?"])
arguments = st.dictionaries(st.sampled_from(["vm", "offset", "stream", "window", "bytes", "x"]), scalars)
requests = st.fixed_dictionaries({"k": st.just("req"), "id": st.integers(2, 9), "m": methods, "a": arguments})
events = st.fixed_dictionaries({"k": st.just("ev"), "m": methods, "a": arguments})
maps = st.dictionaries(st.sampled_from(["k", "id", "m", "a"]), values)


def framed(body: Any) -> bytes:
    packed: bytes = msgpack.packb(body)
    return len(packed).to_bytes(4, "big") + packed


pieces = st.binary(max_size=64) | requests.map(framed) | events.map(framed) | maps.map(framed) | values.map(framed)


async def everything_until_the_end(live: Live, sent: bytes) -> list[Frame]:
    """Sends bytes, half-closes, and returns all frames of the server; any other end of the connection fails the
    test."""
    reader, writer = await live.raw()
    writer.write(sent)
    writer.write_eof()
    frames = []
    async with asyncio.timeout(5):
        while (frame := await read_frame(reader)) is not None:
            frames.append(frame)
    writer.close()
    return frames


@settings(max_examples=150, deadline=None)
@given(greet=st.booleans(), stream=st.lists(pieces, max_size=6))
def test_any_bytes_leave_the_server_serving(greet: bool, stream: list[bytes]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with live_server(Path(folder)) as live:
                bystander = await live.connect()
                frames = await everything_until_the_end(live, (HELLO if greet else b"") + b"".join(stream))
                assert all(frame["k"] in ("rep", "err", "ev") for frame in frames)
                codes = {frame["code"] for frame in frames if frame["k"] == "err"}
                assert "internal" not in codes
                assert await bystander.request("echo", still="here") == {"still": "here"}
                await bystander.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\xff\xff\xff\xff", "frame-too-large"),
        ((MAX_FRAME + 1).to_bytes(4, "big"), "frame-too-large"),
        (b"\x00\x00\x00\x04\xc1\xc1\xc1\xc1", "frame-garbage"),
        (b"\x00\x00\x00\x00", "frame-garbage"),
        (framed([1, 2]), "frame-garbage"),
        (framed({"k": "req", "id": "x", "m": "echo"}), "frame-garbage"),
        (framed({"k": "req", "id": 2, "m": 5}), "frame-garbage"),
        (framed({"k": "rep", "id": 2}), "frame-garbage"),
        (b"\x00\x00\x00\x09abc", "frame-truncated"),
        (b"\x00\x00", "frame-truncated"),
    ],
)
async def test_bad_frames_close_that_client_with_a_typed_error(live: Live, sent: bytes, code: str) -> None:
    frames = await everything_until_the_end(live, HELLO + sent)
    assert [frame["k"] for frame in frames] == ["rep", "err"]
    assert frames[1]["id"] == 0
    assert frames[1]["code"] == code


async def test_a_first_frame_that_is_no_hello_is_refused(live: Live) -> None:
    frames = await everything_until_the_end(live, framed({"k": "req", "id": 1, "m": "status", "a": {}}))
    assert [frame["code"] for frame in frames] == ["hello"]


async def test_another_protocol_version_is_refused_by_name(live: Live) -> None:
    frames = await everything_until_the_end(live, framed({"k": "req", "id": 1, "m": "hello", "a": {"protocol": 99}}))
    assert frames[0]["code"] == "protocol-version"
    assert f"protocol {PROTOCOL}" in frames[0]["message"]


def test_deeply_nested_garbage_is_a_frame_error() -> None:
    with pytest.raises(FrameError):
        decode(b"\x91" * 100_000)


def test_a_frame_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(FrameError, match="exceeds the limit"):
        encode({"k": "rep", "id": 1, "r": b"x" * (MAX_FRAME + 1)})


@pytest.mark.parametrize(
    ("value", "code"), [(1 << 64, "frame-number"), (-(1 << 70), "frame-number"), ("\ud83d", "frame-text")]
)
def test_what_msgpack_cannot_say_is_an_error_of_the_frame(value: object, code: str) -> None:
    with pytest.raises(FrameError) as caught:
        encode({"k": "req", "id": 1, "m": "vm.boot", "a": {"id": value}})
    assert caught.value.code == code
