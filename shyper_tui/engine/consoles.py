"""The console streams of all VMs, by id; a VM that takes the id of a removed one gets a stream of its own."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

from shyper_tui.engine.console_log import ConsoleLog
from shyper_tui.engine.console_stream import ConsoleStream

LOGS_PER_ID = 4
"""Logs of VMs of one id that stay: the managing VM may make and remove VMs for ever."""


class Consoles:
    """`streams` may be read from any thread; `folder` is that of the logs, None for no logs. `on_new(vm, stream)` is
    called before the first byte is in it."""

    def __init__(self, folder: Path | None, on_new: Callable[[int, ConsoleStream], None]) -> None:
        self.streams: dict[int, ConsoleStream] = {}
        self._owners: dict[int, object] = {}
        self._folder, self._on_new = folder, on_new
        self._opened: dict[int, int] = {}
        self._earlier: dict[int, deque[ConsoleLog]] = {}
        """Ended logs of each id that are still there."""

    def of(self, vm: int, owner: object) -> ConsoleStream:
        """The stream of VM `vm` as long as it is `owner`'s; made when there is none."""
        stream = self.streams.get(vm)
        if stream is not None and self._owners[vm] is owner:
            return stream
        if stream is not None:
            self._close(vm, stream)
        count = self._opened[vm] = self._opened.get(vm, 0) + 1
        name = f"vm{vm}.log" if count == 1 else f"vm{vm}-{count}.log"
        stream = ConsoleStream(self._folder / name if self._folder is not None else None)
        self.streams[vm], self._owners[vm] = stream, owner
        self._on_new(vm, stream)
        return stream

    def keep(self, owners: dict[int, object]) -> None:
        """Closes the streams of VMs that are not there any more, and opens those of new ones."""
        for vm in [vm for vm in self.streams if self._owners[vm] is not owners.get(vm)]:
            self._close(vm, self.streams.pop(vm))
            del self._owners[vm]
        for vm, owner in owners.items():
            self.of(vm, owner)

    def _close(self, vm: int, stream: ConsoleStream) -> None:
        stream.close()
        earlier = self._earlier.setdefault(vm, deque())
        if stream.log is not None:
            earlier.append(stream.log)
        if len(earlier) >= LOGS_PER_ID:
            with contextlib.suppress(OSError):
                earlier.popleft().remove()

    def close(self) -> None:
        """Ends all streams; their logs are complete then."""
        for stream in self.streams.values():
            stream.close()
