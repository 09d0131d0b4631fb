"""The thread that owns the machine, with a real workstation in it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shyper_tui.engine.machine_thread import DRAIN_SECONDS, MachineThread
from shyper_tui.engine.workstation import Workstation
from shyper_tui.ipc.messages import EngineOptions


@pytest.fixture
def nothing_frozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_the_collector_does_not_look_through_the_machine(tmp_path: Path, nothing_frozen: None) -> None:
    """A full collection while guests run only sees what has been made since."""
    changed = threading.Event()
    options = EngineOptions(embedded=True, clock="wall", log_dir=str(tmp_path))
    thread = MachineThread(lambda: Workstation(options, thread.set_state, changed.set), changed.set)
    thread.start()
    try:
        while thread.state == "booting":
            assert changed.wait(60)
            changed.clear()
        assert thread.state == "running"
        assert gc.get_freeze_count() > 50_000
        assert len(gc.get_objects()) < gc.get_freeze_count() / 2
    finally:
        assert thread.stop(30)


async def test_a_flood_of_requests_leaves_the_machine_its_turns(tmp_path: Path) -> None:
    """Each of the requests takes longer than what is allowed between two slices: they alternate with the guests."""
    changed = threading.Event()
    options = EngineOptions(embedded=True, clock="wall", log_dir=str(tmp_path))
    thread = MachineThread(lambda: Workstation(options, thread.set_state, changed.set), changed.set)
    thread.start()
    try:
        while thread.state == "booting":
            assert await asyncio.to_thread(changed.wait, 60)
            changed.clear()
        station = thread._runnable
        assert isinstance(station, Workstation)
        rounds = 0
        run_round = station.machine.run_round

        def counted(limit: int | None = None) -> None:
            nonlocal rounds
            rounds += 1
            run_round(limit)

        def request() -> int:
            end = time.perf_counter() + 1.1 * DRAIN_SECONDS
            while time.perf_counter() < end:
                pass
            return rounds

        await thread.call(lambda: setattr(station.machine, "run_round", counted))
        seen = await asyncio.gather(*(thread.call(request) for _ in range(40)))
        assert seen == sorted(seen)
        assert len(set(seen)) >= 35
    finally:
        assert await asyncio.to_thread(thread.stop, 30)
