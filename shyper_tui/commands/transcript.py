"""The consoles of all VMs on one terminal: complete lines with the VM in front, without escape sequences."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import click

from shyper_tui.ipc.messages import EngineError

POLL_SECONDS = 0.5
"""How often new VMs are looked for."""
DRAIN_SECONDS = 1.0

_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


def plain(data: bytes) -> str:
    """Console output as text for another terminal: no escape sequences, no control characters but tab and line feed."""
    return _CONTROL.sub(b"", _ESCAPE.sub(b"", data)).decode("utf-8", "replace")


async def last_lines(client: Any, vm: int, count: int = 15) -> str:
    """The last lines of a VM's console, as plain text."""
    try:
        chunk = await client.console.read(vm, 0)
    except EngineError as error:
        return f"({error.message})"
    lines = plain(chunk.data[-20_000:]).splitlines()
    return "\n".join(lines[-count:]) or "(nothing)"


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
        rest = b""
        try:
            async for chunk in self._client.console.stream(vm):
                *lines, rest = (rest + chunk.data).split(b"\n")
                for line in lines:
                    click.echo(f"vm{vm} | {plain(line)}")
                self._offsets[vm] = chunk.offset + len(chunk.data)
                self._printed.set()
        except EngineError:
            return
        finally:
            if rest:
                click.echo(f"vm{vm} | {plain(rest)}")

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
