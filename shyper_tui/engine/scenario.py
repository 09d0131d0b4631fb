"""A scripted run: wait for texts on consoles, type others.

The steps are done here, in the machine's thread at exact instructions, and not by a client: with the virtual clock two
runs of the same script repeat exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from shyper_tui.engine.console_stream import ConsoleStream
from shyper_tui.ipc.messages import TICKS_PER_SECOND, ScenarioStatus, ScenarioStep

LINGER = TICKS_PER_SECOND
"""Machine time that passes after the last text was typed, so that the answer is in the log."""

Later = Callable[[int, Callable[[], None]], object]
"""Calls a function in the machine's thread after so many ticks."""


class Matcher:
    """Finds a text in bytes that come in pieces."""

    def __init__(self, text: str) -> None:
        self._wanted = text.encode()
        self._tail = b""

    def feed(self, data: bytes) -> bool:
        """True when the text is complete with these bytes."""
        self._tail += data
        if self._wanted in self._tail:
            return True
        self._tail = self._tail[max(0, len(self._tail) - len(self._wanted) + 1) :]
        return False


class Scenario:
    """Goes through the steps in order. Consecutive `until` steps are waited for together, in any order of
    appearance; after a `send`, an `until` looks only at output that comes after it. `typed` types on a console,
    `later` plans a call, `on_end` is called once at the end, in the machine's thread."""

    def __init__(
        self, steps: Sequence[ScenarioStep],
        typed: Callable[[int, bytes], None], later: Later, on_end: Callable[[], None],
    ) -> None:  # fmt: skip
        self._steps = list(steps)
        self._done = [False] * len(self._steps)
        self._typed, self._later, self._on_end = typed, later, on_end
        self._matchers: dict[int, list[tuple[int, Matcher]]] = {}
        self._failure = ""
        self._finished = False
        self._planned = False
        self.ended = threading.Event()
        self._watch_group(0)

    def attach(self, vm: int, stream: ConsoleStream) -> None:
        """A VM's console exists from now on. To be called before the VM runs."""
        if self._steps:
            stream.tap(lambda data: self._output(vm, data))

    def fail(self, reason: str) -> None:
        """The script cannot go on: the machine stopped, or a VM of the options could not be started."""
        if self._steps and not self._finished and not self._failure:
            self._failure = reason
            self._end()

    def status(self) -> ScenarioStatus:
        """Where it stands. Any thread may ask."""
        pairs = zip(self._steps, self._done, strict=True)
        steps = [ScenarioStep(step.action, step.vm, step.text, done) for step, done in pairs]
        return ScenarioStatus(steps, self._finished, self._failure)

    def machine_stopped(self) -> None:
        """Nothing will come any more: that is an end when only the lingering after the last `send` was left."""
        if all(self._done) and not self._finished:
            self._finish()
        self.fail("the machine stopped before every text was seen")

    def _watch_group(self, first: int) -> None:
        """Looks for the texts of the `until` steps from `first` to the next `send`."""
        self._matchers = {}
        for index in range(first, len(self._steps)):
            step = self._steps[index]
            if step.action != "until":
                break
            self._matchers.setdefault(step.vm, []).append((index, Matcher(step.text)))

    def _output(self, vm: int, data: bytes) -> None:
        waiting = self._matchers.get(vm)
        if not waiting:
            return
        for entry in list(waiting):
            index, matcher = entry
            if matcher.feed(data):
                self._done[index] = True
                waiting.remove(entry)
        if not self._planned and not any(self._matchers.values()):
            self._planned = True
            self._later(1, self._advance)  # a device is being written to right now: type after that

    def begin(self) -> None:
        """The machine starts: does what the script begins with."""
        if self._steps and self._steps[0].action == "send":
            self._planned = True
            self._later(1, self._advance)

    def _advance(self) -> None:
        """Every text of the group was seen: types what follows and watches for the next group."""
        self._planned = False
        index = next((index for index, done in enumerate(self._done) if not done), len(self._steps))
        sent = bool(self._steps) and self._steps[-1].action == "send"
        following = index
        while following < len(self._steps) and self._steps[following].action == "send":
            following += 1
        self._watch_group(following)  # before typing: an echo belongs to the next group
        for number in range(index, following):
            self._typed(self._steps[number].vm, self._steps[number].text.encode())
            self._done[number] = True
        if following == len(self._steps):
            self._later(LINGER if sent else 1, self._finish)

    def _finish(self) -> None:
        if not self._finished and not self._failure:
            self._finished = True
            self._end()

    def _end(self) -> None:
        self.ended.set()
        self._on_end()
