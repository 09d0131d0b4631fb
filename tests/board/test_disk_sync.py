"""Syncs of a disk in a thread of their own: what each includes, who hears of errors, and how they end."""

from __future__ import annotations

import threading

import pytest

from shyper_tui.engine.board.virtio import disk_sync
from shyper_tui.engine.board.virtio.disk_sync import DiskSync, Sync


class SlowDisk:
    """A flush that blocks until `let_go`, once for each flush; `begun` says that one is at work."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self._go = threading.Semaphore(0)
        self.errors: list[BaseException | None] = []
        self.written = 0
        self.stored: list[int] = []

    def flush(self) -> None:
        written = self.written
        self.begun.release()
        self._go.acquire()
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.stored.append(written)

    def let_go(self, count: int = 1) -> None:
        self._go.release(count)


def ended(syncs: DiskSync, sync: Sync) -> OSError | None:
    assert syncs.wait(sync)
    return syncs.result(sync)


def test_a_sync_includes_what_was_written_before_it_and_one_serves_all_who_wait() -> None:
    disk = SlowDisk()
    syncs = DiskSync(disk.flush)
    disk.written = 1
    first = syncs.begin()
    disk.begun.acquire()
    disk.written = 2
    others = [syncs.begin() for _ in range(100)]
    forgotten = syncs.begin()
    syncs.forget(forgotten)
    disk.let_go()
    assert ended(syncs, first) is None
    disk.begun.acquire()
    assert (disk.stored, any(sync.ended for sync in others)) == ([1], False)
    disk.let_go()
    assert [ended(syncs, sync) for sync in others] == [None] * 100
    assert disk.stored == [1, 2]
    assert not forgotten.ended


def test_the_thread_waits_for_more_and_ends_when_the_disk_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_sync, "LINGER", 3600)
    disk = SlowDisk()
    syncs = DiskSync(disk.flush)
    before = set(threading.enumerate())
    disk.let_go(3)
    assert ended(syncs, syncs.begin()) is None
    (thread,) = set(threading.enumerate()) - before
    assert ended(syncs, syncs.begin()) is None
    assert set(threading.enumerate()) - before == {thread}
    syncs.close()
    assert not thread.is_alive()
    assert len(disk.stored) == 3


def test_the_thread_ends_when_nothing_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_sync, "LINGER", 0)
    disk = SlowDisk()
    syncs = DiskSync(disk.flush)
    before = set(threading.enumerate())
    sync = syncs.begin()
    (thread,) = set(threading.enumerate()) - before
    disk.let_go(2)
    assert ended(syncs, sync) is None
    thread.join(20)
    assert not thread.is_alive()
    assert not syncs.under_way
    assert ended(syncs, syncs.begin()) is None  # by another


@pytest.mark.parametrize("error", [OSError(5, "a bad sector"), RuntimeError("a mistake of ours")], ids=repr)
def test_an_error_is_told_once_to_the_next_who_asks(error: BaseException) -> None:
    disk = SlowDisk()
    disk.errors = [error]
    syncs = DiskSync(disk.flush)
    disk.let_go(4)
    gone = syncs.begin()
    assert syncs.wait(gone)  # whoever asked has gone and never hears the result
    found = ended(syncs, syncs.begin())
    assert found is not None
    assert found.errno == 5
    assert ended(syncs, syncs.begin()) is None
    syncs.close()


def test_closing_waits_for_the_sync_under_way_and_syncs_what_was_written_since() -> None:
    disk = SlowDisk()
    syncs = DiskSync(disk.flush)
    disk.written = 1
    syncs.begin()
    disk.begun.acquire()
    disk.written = 2
    waiting = syncs.begin()
    closer = threading.Thread(target=syncs.close)
    closer.start()
    disk.let_go()
    disk.begun.acquire()
    assert closer.is_alive()
    disk.let_go()
    closer.join(20)
    assert not closer.is_alive()
    assert disk.stored == [1, 2]
    assert (waiting.ended, syncs.under_way) == (False, False)


def test_closing_tells_an_error_that_nobody_has_heard() -> None:
    disk = SlowDisk()
    disk.errors = [OSError(28, "the disk is full")]
    syncs = DiskSync(disk.flush)
    disk.let_go(2)
    assert syncs.wait(syncs.begin())
    with pytest.raises(OSError, match="the disk is full"):
        syncs.close()
    assert disk.stored == [0]


def test_whoever_waits_can_be_told_not_to() -> None:
    disk = SlowDisk()
    syncs = DiskSync(disk.flush)
    sync = syncs.begin()
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(syncs.wait(sync)))
    waiter.start()
    disk.begun.acquire()
    syncs.set_patient(False)
    waiter.join(20)
    assert answers == [False]
    syncs.set_patient(True)
    disk.let_go()
    assert ended(syncs, sync) is None


def test_a_host_without_threads_is_an_error_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    disk = SlowDisk()
    syncs = DiskSync(disk.flush)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(BlockingIOError, match="can't start new thread"):
            syncs.begin()
    disk.let_go()
    assert ended(syncs, syncs.begin()) is None
