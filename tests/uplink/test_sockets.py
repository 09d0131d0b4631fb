"""Which sockets of the host are ready, and the machine's wait for them."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator

import pytest

from shyper_tui.engine.clock import VirtualClock
from shyper_tui.engine.machine import Machine
from shyper_tui.engine.uplink.libslirp import POLL_HUP, POLL_IN, POLL_OUT
from shyper_tui.engine.uplink.sockets import Sockets
from shyper_tui.engine.wake import Wake


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    made = Sockets()
    yield made
    made.close()


def test_sockets_are_ready_for_what_matters(sockets: Sockets) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sockets.watch([(ours.fileno(), POLL_IN)])
        assert sockets.ready() == {}
        theirs.send(b"x")
        assert select.select([sockets.descriptor], [], [], 30)[0]
        assert sockets.ready() == {ours.fileno(): POLL_IN}
        sockets.watch([(ours.fileno(), POLL_IN | POLL_OUT)])
        assert sockets.ready() == {ours.fileno(): POLL_IN | POLL_OUT}
        ours.recv(1)
        theirs.close()
        assert sockets.ready()[ours.fileno()] & POLL_HUP
        sockets.watch([])
        assert sockets.ready() == {}
        assert not select.select([sockets.descriptor], [], [], 0)[0]


def test_a_number_that_another_socket_gets_is_waited_for_anew(sockets: Sockets) -> None:
    first, other = socket.socketpair()
    number = first.fileno()
    sockets.watch([(number, POLL_IN)])
    sockets.forget(number)
    first.close()
    other.close()
    again, writer = socket.socketpair()
    with again, writer:
        copy = os.dup2(again.fileno(), number) if again.fileno() != number else number
        sockets.watch([(copy, POLL_IN)])
        writer.send(b"x")
        assert sockets.ready() == {number: POLL_IN}
        if again.fileno() != number:
            os.close(number)


def test_a_number_that_was_closed_unseen_is_waited_for_as_well(sockets: Sockets) -> None:
    first, other = socket.socketpair()
    number = first.fileno()
    sockets.watch([(number, POLL_IN)])
    first.close()
    other.close()
    again, writer = socket.socketpair()
    with again, writer:
        if again.fileno() != number:
            os.dup2(again.fileno(), number)
        sockets.watch([(number, POLL_IN | POLL_OUT)])
        assert sockets.ready() == {number: POLL_OUT}
        if again.fileno() != number:
            os.close(number)


def test_a_wait_ends_by_another_thread_or_by_the_descriptor() -> None:
    reader, writer = os.pipe()
    wake = Wake(reader)
    assert not wake.wait(0.001)
    threading.Timer(0.01, wake.set).start()
    assert wake.wait(30)
    assert wake.wait(0), "it stays set"
    wake.clear()
    wake.clear()
    assert not wake.wait(0)
    os.write(writer, b"x")
    assert wake.wait(30)
    threading.Timer(0.01, wake.set).start()
    wake.wait_until_set()
    os.close(reader)
    os.close(writer)


def test_a_machine_with_nothing_to_do_wakes_for_the_host_and_a_paused_one_does_not() -> None:
    machine = Machine(1, 16 << 20, clock=VirtualClock())
    machine.harts[0].wait()
    reader, writer = os.pipe()
    looks: list[bytes] = []

    def look() -> None:
        if select.select([reader], [], [], 0)[0]:
            looks.append(os.read(reader, 1))
            if len(looks) == 2:
                machine.stop()

    machine.watch(reader, look)
    os.write(writer, b"a")
    machine.pause()
    thread = threading.Thread(target=machine.run, daemon=True)
    thread.start()
    posted = threading.Event()
    machine.post(posted.set)
    assert posted.wait(30)
    assert looks == [], "it is paused"
    machine.resume()
    os.write(writer, b"b")
    thread.join(30)
    assert looks == [b"a", b"b"]
    machine.ignore()
    machine.stop()
    os.close(reader)
    os.close(writer)
