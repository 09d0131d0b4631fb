"""The client's end of the socket: requests with their answers, console streams, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator
from typing import Any

from shyper_tui.ipc.frames import Frame, FrameError, encode, read_frame
from shyper_tui.ipc.messages import (
    CONSOLE_WINDOW,
    ConsoleChunk,
    Diagnostic,
    EngineError,
    MessageError,
    from_wire,
)

ACKNOWLEDGE_STEP = CONSOLE_WINDOW // 4
"""Consumed bytes of a stream after which the engine is told, so that it may send more."""


class Connection:
    """One connection to an engine. All methods belong to the event loop that opened it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._streams: dict[int, asyncio.Queue[ConsoleChunk | None]] = {}
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = loop.create_future()
        """Set to one sentence when the connection has ended."""
        self._receiver = loop.create_task(self._receive(), name="ipc-receive")

    @classmethod
    async def open(cls, path: str) -> Connection:
        """Connects to the socket at `path`; EngineError when nobody listens there."""
        try:
            reader, writer = await asyncio.open_unix_connection(path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise EngineError("no-engine", f"no engine answers at {path}: {reason}") from None
        return cls(reader, writer)

    async def request(self, method: str, **arguments: Any) -> Any:
        """Sends a request and returns the result from its answer; EngineError when refused or the engine is gone."""
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._check_open()
        self._pending[number] = answer
        try:
            await self._send({"k": "req", "id": number, "m": method, "a": arguments})
            return await answer
        finally:
            self._pending.pop(number, None)

    async def stream(self, vm: int, offset: int) -> AsyncGenerator[ConsoleChunk, None]:
        """The VM's console from `offset` on. At most CONSOLE_WINDOW bytes wait here for the consumer."""
        number = next(self._numbers)
        queue: asyncio.Queue[ConsoleChunk | None] = asyncio.Queue()
        self._streams[number] = queue
        try:
            await self.request("console.open", stream=number, vm=vm, offset=offset, window=CONSOLE_WINDOW)
            consumed = 0
            while (chunk := await queue.get()) is not None:
                yield chunk
                consumed += len(chunk.data)
                if consumed >= ACKNOWLEDGE_STEP:
                    with contextlib.suppress(EngineError):
                        await self._send({"k": "ev", "m": "console.credit", "a": {"stream": number, "bytes": consumed}})
                    consumed = 0
        finally:
            del self._streams[number]
            with contextlib.suppress(EngineError):
                await self._send({"k": "ev", "m": "console.close", "a": {"stream": number}})

    async def close(self) -> None:
        """Ends the connection; harmless when it has ended already."""
        self._receiver.cancel()
        await asyncio.gather(self._receiver, return_exceptions=True)

    def _check_open(self) -> None:
        if self.lost.done():
            raise EngineError("engine-gone", self.lost.result())

    async def _send(self, frame: Frame) -> None:
        self._check_open()
        try:
            self._writer.write(encode(frame))
            await self._writer.drain()
        except FrameError as error:
            raise EngineError(error.code, error.message) from None
        except OSError:
            raise EngineError("engine-gone", "the connection to the engine is lost") from None

    async def _receive(self) -> None:
        reason = "the engine closed the connection"
        try:
            while (frame := await read_frame(self._reader)) is not None:
                refused = self._dispatch(frame)
                if refused:
                    reason = refused
        except (FrameError, MessageError) as error:
            reason = f"the engine sent something unreadable: {error}"
        except OSError as error:
            reason = f"the connection to the engine broke: {error.strerror or error}"
        except asyncio.CancelledError:
            reason = "the connection was closed"
            raise
        finally:
            self._end(reason)

    def _end(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
        self._writer.close()
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(EngineError("engine-gone", reason))
        for queue in self._streams.values():
            queue.put_nowait(None)

    def _dispatch(self, frame: Frame) -> str:
        """Handles one frame; returns the sentence of an error that concerns the whole connection, else ""."""
        kind = frame["k"]
        if kind == "ev":
            self._event(frame["m"], frame["a"])
            return ""
        answer = self._pending.get(frame["id"])
        if kind == "rep":
            if answer is not None and not answer.done():
                answer.set_result(frame.get("r"))
        elif kind == "err":
            message = str(frame.get("message", ""))
            if answer is None:
                return message if frame["id"] == 0 else ""
            if not answer.done():
                found = from_wire(list[Diagnostic], frame.get("diagnostics") or [])
                answer.set_exception(EngineError(str(frame.get("code", "")), message, found))
        return ""

    def _event(self, name: str, arguments: dict[str, Any]) -> None:
        number = arguments.get("stream")
        queue = self._streams.get(number) if isinstance(number, int) else None
        if queue is None:
            return  # the stream was closed while the frame was under way, or an event of a newer engine
        if name == "console":
            queue.put_nowait(from_wire(ConsoleChunk, arguments))
        elif name == "console.end":
            queue.put_nowait(None)
