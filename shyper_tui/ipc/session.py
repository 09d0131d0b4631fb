"""One connected client on the engine's side."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from shyper_tui.ipc.frames import MAX_FRAME, MOST_REQUEST_VALUES, Frame, FrameError, encode, read_frame
from shyper_tui.ipc.messages import (
    PROTOCOL,
    ConsoleChunk,
    EngineError,
    Hello,
    MessageError,
    Welcome,
    from_wire,
    to_wire,
)
from shyper_tui.ipc.pump import ConsolePump
from shyper_tui.ipc.service import Service

HELLO_SECONDS = 5.0
"""How long a client may take to say hello."""
HELLO_BYTES = 4096
"""Largest hello."""
REQUESTS_AT_ONCE = 32
"""Unanswered requests of one client; more stay unread in its socket."""
STREAMS_AT_ONCE = 64
WRITE_BUFFER = 1024 * 1024
"""Unsent bytes after which a client's answers and streams wait for it."""
CONSOLE_READ_LIMIT = 1024 * 1024


class Session:
    """Reads one client's requests, performs each in a task of its own, and writes the answers. `admit` says why the
    client cannot be served, or "" when it can: it is asked once, when a right hello has come."""

    def __init__(
        self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        admit: Callable[[Session], str] = lambda session: "",
    ) -> None:  # fmt: skip
        self._service, self._reader, self._writer, self._admit = service, reader, writer, admit
        self._sending = asyncio.Lock()
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._pumps: dict[int, tuple[ConsolePump, asyncio.Task[None]]] = {}
        self.owner = False
        writer.transport.set_write_buffer_limits(high=WRITE_BUFFER)

    async def run(self) -> None:
        """Serves the client until it leaves or sends something unreadable."""
        try:
            await self._welcome()
            while (frame := await read_frame(self._reader, MAX_FRAME, MOST_REQUEST_VALUES)) is not None:
                await self._accept(frame)
        except FrameError as error:
            await self._refuse(0, error.code, error.message)
        except EngineError as error:
            await self._refuse(0, error.code, error.message)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            await self._end()

    async def _welcome(self) -> None:
        """The client's first frame must be a `hello` of this protocol version."""
        try:
            frame = await asyncio.wait_for(read_frame(self._reader, HELLO_BYTES, HELLO_BYTES), HELLO_SECONDS)
        except TimeoutError:
            raise EngineError("hello", f"no hello came within {HELLO_SECONDS:g} s") from None
        if frame is None:
            raise ConnectionResetError
        if frame["k"] != "req" or frame["m"] != "hello":
            raise EngineError("hello", "the first frame must be the request hello")
        version = frame["a"].get("protocol")
        try:
            if version != PROTOCOL:
                sentence = f"this engine speaks protocol {PROTOCOL}, the client {version!r}"
                raise EngineError("protocol-version", f"{sentence}; use the same release of both")
            hello = from_wire(Hello, frame["a"])
            if refusal := self._admit(self):
                raise EngineError("too-many-clients", refusal)
            self.owner = hello.owner
        except (EngineError, MessageError) as error:
            code = error.code if isinstance(error, EngineError) else "bad-arguments"
            await self._refuse(frame["id"], code, error.message if isinstance(error, EngineError) else str(error))
            raise ConnectionResetError from None
        welcome = Welcome(PROTOCOL, self._service.version, os.getpid())
        await self._send({"k": "rep", "id": frame["id"], "r": to_wire(welcome)})

    async def _accept(self, frame: Frame) -> None:
        if frame["k"] == "ev":
            self._client_event(frame["m"], frame["a"])
        elif frame["k"] == "req":
            await self._writer.drain()  # who does not read answers asks for no more
            await self._slots.acquire()
            self._start(self._perform(frame))
        else:
            raise FrameError("frame-garbage", f"a client does not send {frame['k']} frames")

    def _start(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _perform(self, frame: Frame) -> None:
        """One request; every outcome is an answer, no failure leaves this method."""
        number, method = frame["id"], frame["m"]
        try:
            result = await self._call(method, frame["a"])
            await self._send({"k": "rep", "id": number, "r": to_wire(result)})
        except EngineError as error:
            await self._refuse(number, error.code, error.message, to_wire(error.diagnostics))
        except FrameError as error:
            await self._refuse(number, error.code, f"the answer to {method} cannot be sent: {error.message}")
        except ConnectionError:
            pass  # the client is gone; the reading side ends the session
        except Exception as error:
            traceback.print_exc(file=sys.stderr)  # the worker's log: this is a defect of ours, not the client's
            await self._refuse(number, "internal", f"{method} failed in the engine: {type(error).__name__}: {error}")
        finally:
            self._slots.release()

    async def _call(self, method: str, arguments: dict[str, Any]) -> Any:
        match method:
            case "console.open":
                return await self._open_console(arguments)
            case "console.read":
                vm, offset = _integer(arguments, "vm"), _integer(arguments, "offset")
                source = await self._service.console(vm)
                return ConsoleChunk(vm, *source.read(offset, CONSOLE_READ_LIMIT))
            case _:
                return await self._service.call(method, arguments)

    async def _open_console(self, arguments: dict[str, Any]) -> None:
        number, vm = _integer(arguments, "stream"), _integer(arguments, "vm")
        if number in self._pumps or len(self._pumps) >= STREAMS_AT_ONCE:
            raise EngineError("stream", f"console stream {number} is open already, or more than {STREAMS_AT_ONCE} are")
        offset, window = _integer(arguments, "offset"), _integer(arguments, "window")
        pump = ConsolePump(number, vm, await self._service.console(vm), offset, window, self._send)
        self._pumps[number] = (pump, self._start(self._run_pump(number, pump)))

    async def _run_pump(self, number: int, pump: ConsolePump) -> None:
        try:
            await pump.run()
        except ConnectionError:
            pass
        finally:
            self._pumps.pop(number, None)

    def _client_event(self, name: str, arguments: dict[str, Any]) -> None:
        """Events for streams that have just ended are harmless, so they are ignored."""
        number, count = arguments.get("stream"), arguments.get("bytes", 0)
        if not isinstance(number, int) or not isinstance(count, int) or number not in self._pumps:
            return
        pump, task = self._pumps[number]
        if name == "console.credit":
            pump.acknowledge(count)
        elif name == "console.close":
            task.cancel()

    async def _refuse(self, number: int, code: str, message: str, diagnostics: Any = None) -> None:
        frame = {"k": "err", "id": number, "code": code, "message": message, "diagnostics": diagnostics or []}
        with contextlib.suppress(ConnectionError):
            await self._send(frame)

    async def _send(self, frame: Frame) -> None:
        async with self._sending:  # one frame at a time goes beyond WRITE_BUFFER
            if self._writer.is_closing():
                raise ConnectionResetError
            self._writer.write(encode(frame))
            await self._writer.drain()

    def dismiss(self, code: str, message: str) -> None:
        """Tells a client that has not said hello why the connection ends, without waiting for it."""
        self._writer.write(encode({"k": "err", "id": 0, "code": code, "message": message, "diagnostics": []}))

    async def _end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.close()


def _integer(arguments: dict[str, Any], name: str) -> int:
    value = arguments.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise EngineError("bad-arguments", f"argument {name} must be a number ≥ 0, got {value!r}")
    return value
