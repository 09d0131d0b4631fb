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
        self.forget()

    def forget(self) -> None:
        """What came before does not count."""
        self._tail = b""
        self.found = not self._wanted

    def feed(self, data: bytes) -> None:
        """Looks at the next bytes; sets `found` when the text is complete with them."""
        if self.found:
            return
        self._tail += data
        self.found = self._wanted in self._tail
        self._tail = self._tail[max(0, len(self._tail) - len(self._wanted) + 1) :]


class Scenario:
    """Goes through the steps in order.

    Every `until` looks at its console from power-on, or from the last text that an earlier `send` typed there. `typed`
    types on a console, `later` plans a call, `on_end` is called once at the end; all in the machine's thread.
    """

    def __init__(
        self, steps: Sequence[ScenarioStep],
        typed: Callable[[int, bytes], None], later: Later, on_end: Callable[[], None],
    ) -> None:  # fmt: skip
        self._steps = list(steps)
        self._matchers = [Matcher(step.text) for step in self._steps]
        self._next = 0
        self._typed, self._later, self._on_end = typed, later, on_end
        self._failure = ""
        self._finished = False
        self._planned = False
        self.ended = threading.Event()

    def begin(self) -> None:
        """The machine starts: does what the script begins with."""
        if self._steps:
            self._look()

    def attach(self, vm: int, stream: ConsoleStream) -> None:
        """A VM's console exists from now on. To be called before the VM runs."""
        mine = [matcher for step, matcher in self._pairs_from(0) if step.action == "until" and step.vm == vm]

        def output(data: bytes) -> None:
            for matcher in mine:
                matcher.feed(data)
            self._look()

        if mine:
            stream.tap(output)

    def fail(self, reason: str) -> None:
        """The script cannot go on: the machine stopped, or a VM of the options could not be started."""
        if self._steps and not self.ended.is_set():
            self._failure = reason
            self._end()

    def machine_stopped(self) -> None:
        """Nothing will come any more: that is an end when all texts are there and nothing was left to be typed."""
        left = self._pairs_from(self._next)
        if self._steps and all(step.action == "until" and matcher.found for step, matcher in left):
            self._next = len(self._steps)
            self._finish()
        self.fail("the machine stopped before every text was seen")

    def status(self) -> ScenarioStatus:
        """Where it stands. Any thread may ask."""
        steps = [
            ScenarioStep(step.action, step.vm, step.text, self._done(index)) for index, step in enumerate(self._steps)
        ]
        return ScenarioStatus(steps, self._finished, self._failure)

    def _pairs_from(self, first: int) -> list[tuple[ScenarioStep, Matcher]]:
        return list(zip(self._steps, self._matchers, strict=True))[first:]

    def _done(self, index: int) -> bool:
        waiting = self._steps[index].action == "until" and self._next <= index < self._group_end()
        return index < self._next or (waiting and self._matchers[index].found)

    def _group_end(self) -> int:
        """Index behind the `until` steps that are waited for together now."""
        end = self._next
        while end < len(self._steps) and self._steps[end].action == "until":
            end += 1
        return end

    def _look(self) -> None:
        """Plans the next steps when nothing is waited for any more: not at once, for a device is being written to."""
        if not self._planned and all(matcher.found for matcher in self._matchers[self._next : self._group_end()]):
            self._planned = True
            self._later(1, self._advance)

    def _advance(self) -> None:
        """All texts that were waited for are there: types what follows."""
        self._next = self._group_end()
        while self._next < len(self._steps) and self._steps[self._next].action == "send":
            step = self._steps[self._next]
            self._next += 1
            for later, matcher in self._pairs_from(self._next):
                if later.vm == step.vm:
                    matcher.forget()  # before typing: the echo counts
            self._typed(step.vm, step.text.encode())
        if self._next == len(self._steps):
            self._later(LINGER if self._steps[-1].action == "send" else 1, self._finish)
        else:
            self._planned = False
            self._look()

    def _finish(self) -> None:
        if not self.ended.is_set():
            self._finished = True
            self._end()

    def _end(self) -> None:
        self.ended.set()
        self._on_end()
