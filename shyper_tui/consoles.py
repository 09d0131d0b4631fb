"""The consoles of the VMs as the front end keeps them: terminal, place in the stream, bytes on their way to the guest.

`Feeder` is where a flood is tamed: it limits the time spent parsing per turn of the event loop, not the bytes, so
keys and painting always get their turn; what it has not parsed stays unacknowledged, and the engine stops sending.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from shyper_tui.ipc.messages import EngineError
from shyper_tui.ports import Engine
from shyper_tui.term.keys import encode_paste
from shyper_tui.term.screen import Terminal

OUTBOX_LIMIT = 1024 * 1024
"""Bytes that may wait for a guest that does not read."""
REPLY_LIMIT = 4096
"""With more than this waiting, answers to the guest's queries are dropped: a guest that asks in a loop feeds only
itself."""
WRITE_STEP = 1024
SETTLE_SECONDS = 0.15
"""A size that has not changed for so long is told to the guest."""


class Console:
    """One VM's console. Views register in `painters`; a painter is called when the picture has changed.

    Args:
        paste_controls: control characters in pasted text reach the guest.
    """

    def __init__(self, vm: int, feeder: Feeder, paste_controls: bool = False) -> None:
        self.vm = vm
        self.paste_controls = paste_controls
        self.terminal = Terminal(on_reply=self._reply)
        self.position = 0
        """Bytes of the stream shown so far, from power-on."""
        self.painters: list[Callable[[], None]] = []
        self.focused = False
        """A view of it has the focus: it is parsed first and painted at once."""
        self.unseen = False
        """Something arrived while no view showed it."""
        self.trouble = ""
        """Why nothing arrives any more."""
        self._feeder = feeder
        self._live = False
        self._outbox = bytearray()
        self._filled = asyncio.Event()
        self._fitted = False
        self.told: tuple[int, int] | None = None
        """Columns and rows that the engine was told."""
        self._resized = asyncio.Event()

    def resize(self, columns: int, rows: int) -> None:
        """The view that shows the console has this size, in character cells; the guest hears of it (`tell_size`)."""
        self.terminal.resize(columns, rows)
        self._fitted = True
        self._resized.set()

    def tell_again(self) -> None:
        """The VM has started: what was told before may have been refused, or told to another one."""
        self.told = None
        if self._fitted:
            self._resized.set()

    async def tell_size(self, engine: Engine) -> None:
        """Tell the engine the size whenever it has settled, for ever. A guest whose console is a serial line, or that
        is not there yet, has none."""
        self.tell_again()
        while True:
            await self._resized.wait()
            while self._resized.is_set():  # again and again while a pane is being dragged
                self._resized.clear()
                await asyncio.sleep(SETTLE_SECONDS)
            size = (self.terminal.columns, self.terminal.lines)
            if size == self.told:
                continue
            self.told = size
            try:
                await engine.console.resize(self.vm, *size)
            except EngineError:
                self.told = None  # asked again when the size changes or the VM starts

    def send(self, data: bytes) -> bool:
        """Queue bytes for the guest; False when its queue is full and they were not taken."""
        if len(self._outbox) + len(data) > OUTBOX_LIMIT:
            return False
        self._outbox += data
        self._filled.set()
        return True

    def paste(self, text: str) -> bool:
        """Queue pasted text for the guest; False when its queue is full and nothing was taken."""
        return self.send(encode_paste(text, self.terminal.modes, self.paste_controls))

    def paint(self) -> None:
        if not self.painters:
            self.unseen = True
        for painter in self.painters:
            painter()

    async def follow(self, engine: Engine) -> None:
        """Show the stream from where it was left, until the VM is removed or the engine is gone."""
        self._live = False
        self.trouble = ""
        try:
            kept = await engine.console.read(self.vm, self.position)
            await self._take(kept.offset, kept.data)
            self._live = True  # from now on the guest waits for answers to its queries
            async for chunk in engine.console.stream(self.vm, self.position):
                await self._take(chunk.offset, chunk.data)
        except EngineError as error:
            self.trouble = error.message

    async def _take(self, offset: int, data: bytes) -> None:
        if offset > self.position:
            lost = offset - self.position
            note = f"\x1b[0m\r\n[{lost} bytes are not shown here; the console's log has the latest]\r\n"
            await self._feeder.feed(self, note.encode())
        self.position = offset + len(data)
        if data:
            await self._feeder.feed(self, data)

    async def write_all(self, engine: Engine) -> None:
        """Hand the queued bytes to the engine in order, for ever."""
        while True:
            await self._filled.wait()
            while self._outbox:
                step = bytes(self._outbox[:WRITE_STEP])
                del self._outbox[:WRITE_STEP]
                try:
                    await engine.console.write(self.vm, step)
                except EngineError as error:
                    self.trouble = error.message
                    self._outbox.clear()
            self._filled.clear()

    def _reply(self, data: bytes) -> None:
        if self._live and len(self._outbox) < REPLY_LIMIT:
            self.send(data)


class Feeder:
    """Parses console output for all consoles in short turns."""

    FEED_SECONDS = 0.008
    """Parsing per turn."""
    GAP_SECONDS = 0.004
    """Pause between turns while there is more to parse."""
    PAINT_SECONDS = 0.05
    """How often an unfocused or flooded console is painted."""
    ECHO_SECONDS = 0.02
    """The focused console is painted at once, but not more often than this."""
    PIECE = 2048
    """Bytes parsed between two looks at the clock."""

    def __init__(self) -> None:
        self._waiting: dict[Console, deque[tuple[memoryview, asyncio.Future[None]]]] = {}
        self._work = asyncio.Event()
        self._unpainted: set[Console] = set()
        self._painted: dict[Console, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def feed(self, console: Console, data: bytes) -> None:
        """Returns when the data is in the console's terminal."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(console, deque()).append((memoryview(data), done))
        self._work.set()
        await done

    async def run(self) -> None:
        """Work for ever; one task per application."""
        while True:
            await self._work.wait()
            for console in self._turn():
                self._paint(console)
            if self._waiting:
                await asyncio.sleep(self.GAP_SECONDS)
            else:
                self._work.clear()

    def _turn(self) -> set[Console]:
        """Parse until the time of the turn is over; the consoles that changed."""
        fed: set[Console] = set()
        deadline = time.perf_counter() + self.FEED_SECONDS
        while self._waiting and time.perf_counter() < deadline:
            console = next((console for console in self._waiting if console.focused), None) or next(iter(self._waiting))
            queue = self._waiting.pop(console)
            data, done = queue.popleft()
            console.terminal.feed(bytes(data[: self.PIECE]))
            fed.add(console)
            if len(data) > self.PIECE:
                queue.appendleft((data[self.PIECE :], done))
            elif not done.done():
                done.set_result(None)
            if queue:
                self._waiting[console] = queue  # behind the others
        return fed

    def _paint(self, console: Console) -> None:
        """Paint now what has the focus, unless it was painted a moment ago; the rest when the timer comes."""
        now = time.perf_counter()
        rest = self.PAINT_SECONDS if console in self._waiting else self.ECHO_SECONDS
        if console.focused and now - self._painted.get(console, 0.0) >= rest:
            self._painted[console] = now
            self._unpainted.discard(console)
            console.paint()
            return
        self._unpainted.add(console)
        if self._timer is None:
            delay = self.ECHO_SECONDS if console.focused else self.PAINT_SECONDS
            self._timer = asyncio.get_running_loop().call_later(delay, self._paint_rest)

    def _paint_rest(self) -> None:
        self._timer = None
        consoles, self._unpainted = self._unpainted, set()
        for console in consoles:
            self._painted[console] = time.perf_counter()
            console.paint()
