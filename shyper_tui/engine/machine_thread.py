"""The thread that owns the machine: builds it, runs it, and performs between slices what other threads ask for.

Nothing else touches the machine. A failure of the machine ends in state `failed` with a message, never in a silent
thread.
"""

from __future__ import annotations

import asyncio
import gc
import math
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Protocol, TypeVar

from shyper_tui.ipc.messages import EngineError, EngineState
from shyper_tui.plain_text import visible

T = TypeVar("T")

DRAIN_SECONDS = 0.002
"""For how long requests are performed between two slices of the machine; one that takes longer is not cut short."""


class Runnable(Protocol):
    """What the thread runs: a workstation, or a bare machine."""

    def start(self) -> None:
        """Loads and boots the guests (state `booting`)."""

    def run(self) -> None:
        """Runs until the machine stops or `stop` is called. May be called again after `stop`."""

    def post(self, call: Callable[[], None]) -> None:
        """Performs `call` in this thread between slices, also while the machine is paused. Any thread may post."""

    def stop(self) -> None:
        """Makes `run` return soon. Any thread may call it."""

    def close(self) -> None:
        """Flushes consoles and disks; the last call."""


class MachineThread:
    """Runs the `Runnable` that `build` makes. `on_change` hears, in this thread, of every new state."""

    def __init__(self, build: Callable[[], Runnable], on_change: Callable[[], None]) -> None:
        self._build = build
        self._on_change = on_change
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._drain_posted = False
        self._runnable: Runnable | None = None
        self._running = False
        self._closing = False
        self.state: EngineState = "booting"
        self.message = ""
        self._thread = threading.Thread(target=self._main, name="machine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Stops the machine and waits for the thread; False when it did not end in time."""
        self._closing = True
        self._calls.put(None)
        if self._runnable is not None:
            if self._running:
                self._runnable.post(self._runnable.stop)  # in case `run` is only just beginning
            self._runnable.stop()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    async def call(self, function: Callable[[], T]) -> T:
        """Performs `function` in the machine's thread between slices and returns its result or raises its exception."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def perform() -> None:
            try:
                value = function()
            except BaseException as error:
                _from_thread(loop, result, None, error)
            else:
                _from_thread(loop, result, value, None)

        self._calls.put(perform)
        self._ask_for_drain()
        return await result

    def _ask_for_drain(self) -> None:
        if self._running and self._runnable is not None and not self._drain_posted:
            self._drain_posted = True
            self._runnable.post(self._drain_some)

    def set_state(self, state: EngineState, message: str = "") -> None:
        """In the machine's thread: the machine is in another state now."""
        if (state, message) != (self.state, self.message):
            self.state, self.message = state, message
            self._on_change()

    def _main(self) -> None:
        try:
            self._runnable = runnable = self._build()
            runnable.start()
            _keep_from_collector()
            self._running = True
            self._drain()
            if not self._closing:
                self.set_state("running", self.message if self.state == "booting" else "")
                runnable.run()
            self.set_state("stopped", self.message)
        except EngineError as error:
            print(visible(f"failed: {error.message}"), file=sys.stderr, flush=True)
            self.set_state("failed", error.message)
        except BaseException as error:
            traceback.print_exc(file=sys.stderr)
            self.set_state("failed", f"{type(error).__name__}: {error}")
        self._running = False
        self._serve()
        self._close()

    def _drain_some(self) -> None:
        """Between slices: for DRAIN_SECONDS at most, so that a flood of requests does not keep the machine from
        running."""
        self._drain_posted = False  # before looking: a call after this asks again
        self._drain(time.perf_counter() + DRAIN_SECONDS)
        if not self._calls.empty():
            self._ask_for_drain()

    def _drain(self, end: float = math.inf) -> None:
        while time.perf_counter() < end:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                return
            if call is not None:
                call()

    def _serve(self) -> None:
        """The machine does not run any more: requests are still answered."""
        while not self._closing:
            call = self._calls.get()
            if call is not None:
                call()
        self._drain()

    def _close(self) -> None:
        if self._runnable is not None:
            try:
                self._runnable.close()
            except Exception:
                traceback.print_exc(file=sys.stderr)


def _keep_from_collector() -> None:
    """What is there now stays as long as the process: the garbage collector, which stops every thread while it looks
    through all objects (tens of milliseconds), does not look through these again."""
    gc.collect()
    gc.freeze()


def _from_thread(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], value: T | None, error: BaseException | None
) -> None:
    def settle() -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type]

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more
