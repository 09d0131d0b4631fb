"""The thread that owns the machine, with a real workstation in it."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shyper_tui.engine.machine_thread import MachineThread
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
