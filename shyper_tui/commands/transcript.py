"""The consoles of all VMs on one terminal: complete lines with the VM in front, without escape sequences."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from shyper_tui.commands.output import echo
from shyper_tui.ipc.messages import EngineError
from shyper_tui.plain_text import ConsoleText, plain

POLL_SECONDS = 0.5
"""How often new VMs are looked for."""
DRAIN_SECONDS = 1.0

LONGEST_LINE = 4096
"""Characters after which a line is printed though it goes on: a guest may never end one."""


async def last_lines(client: Any, vm: int, count: int = 15) -> str:
    """The last lines of a VM's console, as plain text."""
    try:
        chunk = await client.console.read(vm, 0)
    except EngineError as error:
        return f"({error.message})"
    lines = plain(chunk.data[-20_000:]).split("\n")
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines[-count:]) or "(nothing)"


class Lines:
    """Console output as lines of plain text, piece by piece. No line is longer than LONGEST_LINE, and no more of one is
    kept."""

    def __init__(self) -> None:
        self._text = ConsoleText()
        self._pieces: list[str] = []
        self._length = 0

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that are complete with the next bytes."""
        *ends, rest = self._text.feed(data).split("\n")
        for end in ends:
            yield from self._take(end)
            yield self._line()
        yield from self._take(rest)

    def rest(self) -> Iterator[str]:
        """What has no end yet, if anything."""
        yield from self._take(self._text.feed(b"", final=True))
        if self._length:
            yield self._line()

    def _take(self, text: str) -> Iterator[str]:
        """Keeps text of the line that is under way; a line that is too long leaves in parts."""
        at = 0
        while self._length + len(text) - at > LONGEST_LINE:
            part = text[at : at + LONGEST_LINE - self._length]
            at += len(part)
            self._pieces.append(part)
            yield self._line()
        if at < len(text):
            self._pieces.append(text[at:])
            self._length += len(text) - at

    def _line(self) -> str:
        line = "".join(self._pieces)
        self._pieces.clear()
        self._length = 0
        return line


class Transcript:
    """Prints every VM's console while the machine runs."""

    def __init__(self, client: Any, quiet: bool) -> None:
        self._client = client
        self._printers: dict[int, asyncio.Task[None]] = {}
        self._offsets: dict[int, int] = {}
        self._printed = asyncio.Event()
        self._finished = quiet
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with the OSError when standard output cannot be written any more."""
        self._finder = None if quiet else asyncio.get_running_loop().create_task(self._find())

    async def _find(self) -> None:
        while True:
            try:
                for info in await self._client.vm.list():
                    if info.id not in self._printers:
                        self._printers[info.id] = asyncio.get_running_loop().create_task(self._print(info.id))
            except EngineError:
                return  # the engine is gone, or failed: who started it reports that
            await asyncio.sleep(POLL_SECONDS)

    async def _print(self, vm: int) -> None:
        try:
            await self._print_lines(vm)
        except OSError as error:  # the reader of a pipe has left, or the disk is full
            if not self.broken.done():
                self.broken.set_exception(error)

    async def _print_lines(self, vm: int) -> None:
        lines, expected = Lines(), 0
        try:
            async for chunk in self._client.console.stream(vm):
                if chunk.offset > expected:
                    lost = chunk.offset - expected
                    echo(f"vm{vm} | [{lost} bytes came too fast to be printed; the log has the latest]")
                for line in lines.feed(chunk.data):
                    echo(f"vm{vm} | {line}")
                expected = self._offsets[vm] = chunk.offset + len(chunk.data)
                self._printed.set()
        except EngineError:
            return
        finally:
            for line in lines.rest():
                echo(f"vm{vm} | {line}")

    async def finish(self) -> None:
        """Prints what is still under way, then stops."""
        if self._finished:
            return
        self._finished = True
        if self._finder is not None:
            self._finder.cancel()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                for vm in list(self._printers):
                    chunk = await self._client.console.read(vm, self._offsets.get(vm, 0))
                    while self._offsets.get(vm, 0) < chunk.offset + len(chunk.data):
                        self._printed.clear()
                        await self._printed.wait()
        except (TimeoutError, EngineError):
            pass
        for printer in self._printers.values():
            printer.cancel()
        await asyncio.gather(*self._printers.values(), return_exceptions=True)
