"""Frames on the socket: a 4-byte big-endian length and one msgpack map, at most 16 MiB and with a bounded number of
values in it.

Texts may be file names that are no UTF-8; they arrive as they were (`surrogateescape`).

Maps: `{"k": "req", "id": n, "m": method, "a": {…}}`, `{"k": "rep", "id": n, "r": …}`,
`{"k": "err", "id": n, "code": …, "message": …, "diagnostics": […]}`, `{"k": "ev", "m": name, "a": {…}}`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack

from shyper_tui.ipc.frame_budget import MOST_OPEN, within

MAX_FRAME = 16 * 1024 * 1024
"""Largest body of a frame in bytes."""

MOST_VALUES = 128 * 1024
"""Values in a frame: numbers, texts, lists, maps and all that they hold. The largest snapshot has some ten thousand."""
MOST_REQUEST_VALUES = 4096
"""The same in a frame from a client: a request is a text or two and a few numbers."""
FRAME_SECONDS = 30.0
"""How long a frame may take from its first byte to its last."""

LENGTH_SIZE = 4
KINDS = frozenset({"req", "rep", "err", "ev"})

Frame = dict[str, Any]


class FrameError(Exception):
    """The peer sent something that is no frame; `code` is one of frame-too-large, frame-garbage, frame-truncated,
    frame-slow."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def encode(frame: Frame) -> bytes:
    """The bytes of one frame; FrameError when its body would exceed MAX_FRAME or holds what msgpack cannot say."""
    try:
        body: bytes = msgpack.packb(frame, use_bin_type=True, unicode_errors="surrogateescape")
    except UnicodeEncodeError:
        raise FrameError("frame-text", "a text in the frame holds half of a surrogate pair") from None
    except OverflowError:
        raise FrameError("frame-number", "a number in the frame has more than 64 bits") from None
    if len(body) > MAX_FRAME:
        raise FrameError("frame-too-large", f"a frame of {len(body)} bytes exceeds the limit of {MAX_FRAME}")
    return len(body).to_bytes(LENGTH_SIZE, "big") + body


def decode(body: bytes, most_values: int = MOST_VALUES) -> Frame:
    """The map in a frame's body, with a known kind and the fields of that kind; FrameError for anything else."""
    if not within(body, most_values):
        sentence = f"the frame holds more than {most_values} values, or lists more than {MOST_OPEN} deep"
        raise FrameError("frame-too-large", sentence)
    try:
        frame = msgpack.unpackb(body, raw=False, strict_map_key=True, unicode_errors="surrogateescape")
    except Exception as error:  # msgpack raises its own family, ValueError, UnicodeDecodeError and RecursionError
        raise FrameError("frame-garbage", f"the frame is no msgpack map ({type(error).__name__})") from None
    if not isinstance(frame, dict):
        raise FrameError("frame-garbage", f"the frame is a {type(frame).__name__}, not a map")
    kind = frame.get("k")
    if not isinstance(kind, str) or kind not in KINDS:
        raise FrameError("frame-garbage", f"the frame has no known kind: {str(kind)[:40]!r}")
    if kind != "ev" and (not isinstance(frame.get("id"), int) or isinstance(frame["id"], bool)):
        raise FrameError("frame-garbage", f"the {kind} frame has no integer id")
    if kind in ("req", "ev"):
        if not isinstance(frame.get("m"), str):
            raise FrameError("frame-garbage", f"the {kind} frame has no method name")
        if not isinstance(frame.setdefault("a", {}), dict):
            raise FrameError("frame-garbage", f"the arguments of {frame['m'][:40]!r} are no map")
    return frame


async def read_frame(
    reader: asyncio.StreamReader, most_bytes: int = MAX_FRAME, most_values: int = MOST_VALUES
) -> Frame | None:
    """The next frame, or None at a clean end of the stream; FrameError when the stream holds something else."""
    first = await reader.read(1)
    if not first:
        return None
    try:
        async with asyncio.timeout(FRAME_SECONDS):
            body = await _body(reader, first, most_bytes)
    except TimeoutError:
        raise FrameError("frame-slow", f"a frame was not complete {FRAME_SECONDS:g} s after its first byte") from None
    return decode(body, most_values)


async def _body(reader: asyncio.StreamReader, first: bytes, most_bytes: int) -> bytes:
    try:
        header = first + await reader.readexactly(LENGTH_SIZE - 1)
    except asyncio.IncompleteReadError:
        raise FrameError("frame-truncated", "the connection ended inside a frame's length") from None
    length = int.from_bytes(header, "big")
    if length > most_bytes:
        raise FrameError("frame-too-large", f"a frame of {length} bytes exceeds the limit of {most_bytes}")
    try:
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        got = len(error.partial)
        raise FrameError("frame-truncated", f"the connection ended after {got} of {length} bytes") from None
