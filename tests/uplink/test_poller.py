"""The thread that waits for sockets."""

from __future__ import annotations

import os
import queue
import socket
import threading

import pytest

from shyper_tui.engine.uplink.libslirp import POLL_HUP, POLL_IN, POLL_OUT
from shyper_tui.engine.uplink.poller import Poller


@pytest.fixture
def woken() -> queue.SimpleQueue[int]:
    return queue.SimpleQueue()


def test_it_wakes_once_until_that_was_seen_to(woken: queue.SimpleQueue[int]) -> None:
    poller = Poller(lambda: woken.put(threading.get_ident()))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        poller.watch([(ours.fileno(), POLL_IN)])
        assert poller.ready() == {}
        theirs.send(b"x")
        assert woken.get(timeout=30) != threading.get_ident()
        assert poller.ready() == {ours.fileno(): POLL_IN}
        with pytest.raises(queue.Empty):
            woken.get(timeout=0.05)
        poller.go_on()
        woken.get(timeout=30)  # there is still something to read
        poller.watch([(ours.fileno(), POLL_IN | POLL_OUT)])
        assert poller.ready() == {ours.fileno(): POLL_IN | POLL_OUT}
        ours.recv(1)
        theirs.close()
        assert poller.ready()[ours.fileno()] & POLL_HUP
        poller.watch([])
        assert poller.ready() == {}
        poller.go_on()
        with pytest.raises(queue.Empty):
            woken.get(timeout=0.05)
        poller.close()


def test_a_number_that_another_socket_gets_is_waited_for_anew(woken: queue.SimpleQueue[int]) -> None:
    poller = Poller(lambda: woken.put(0))
    first, other = socket.socketpair()
    number = first.fileno()
    poller.watch([(number, POLL_IN)])
    poller.forget(number)
    first.close()
    other.close()
    again, writer = socket.socketpair()
    with writer:
        if again.fileno() != number:
            os.dup2(again.fileno(), number)
        poller.watch([(number, POLL_IN)])
        writer.send(b"x")
        woken.get(timeout=30)
        assert poller.ready() == {number: POLL_IN}
        poller.close()
    if again.fileno() != number:
        os.close(number)
    again.close()


def test_closing_ends_the_thread_and_gives_its_descriptors_back(woken: queue.SimpleQueue[int]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        poller = Poller(lambda: woken.put(0))
        poller.close()
        poller.close()
    assert len(os.listdir("/proc/self/fd")) == before
