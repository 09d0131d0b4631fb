"""Ports of the host that lead to the guest."""

from __future__ import annotations

import gc
import os
import random
import socket
import threading
from ipaddress import IPv4Address
from typing import Any

import pytest

from shyper_tui.engine import outer_network
from shyper_tui.engine.clock import VirtualClock
from shyper_tui.engine.machine import Machine
from shyper_tui.engine.outer_network import connect_network, network_choice
from shyper_tui.engine.uplink.libslirp import LibraryError
from shyper_tui.engine.uplink.link import Uplink
from shyper_tui.ipc.messages import EngineError
from shyper_tui.network_options import Forward, parse_forward, parse_forwards
from tests.uplink.conftest import MakeUplink
from tests.uplink.frames import ACK, FIN, PSH, SYN, arp, segment, tcp
from tests.uplink.host import Guest, QuietHost


def free_server() -> socket.socket:
    """A server at a port that the host gives to no client."""
    for port in random.SystemRandom().sample(range(20_000, 30_000), 1000):
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            continue
    raise AssertionError("no port is free")


def free_port() -> int:
    with free_server() as server:
        port: int = server.getsockname()[1]
        return port


def test_forwards_are_written_as_host_port_and_port() -> None:
    loopback = IPv4Address("127.0.0.1")
    assert parse_forward("8080:80") == parse_forward("localhost:8080:80") == Forward(loopback, 8080, 80)
    assert parse_forward("0.0.0.0:5555:22") == Forward(IPv4Address("0.0.0.0"), 5555, 22)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("22", "'22' is not of the form [HOST:]PORT:GUESTPORT"),
        ("0:22", "0 in '0:22' is no port"),
        ("5555:65536", "65536 in '5555:65536' is no port"),
        ("host.example:1:2", "'host.example' in 'host.example:1:2' is no IPv4 address"),
        ("::1:5555:22", "is not of the form"),
        ("-1:22", "is not of the form"),
    ],
)
def test_a_forward_that_is_none_says_why(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("[", r"\[")):
        parse_forward(text)


def test_a_port_is_forwarded_once() -> None:
    with pytest.raises(ValueError, match=r"port 80 of 127\.0\.0\.1 is forwarded twice"):
        parse_forwards(["80:1", "127.0.0.1:80:2"])


def test_a_client_of_the_host_reaches_the_guest(host: QuietHost, slirp_uplink: MakeUplink) -> None:
    uplink, port = slirp_uplink(host_loopback=False), free_port()
    network = uplink.network
    assert network is not None
    network.forward(IPv4Address("127.0.0.1"), port, 22)
    uplink.serve()
    guest = Guest(uplink)
    guest.send(arp())
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setblocking(False)
        call = None
        while call is None:
            host.go_on()
            call = next((segment(f) for f in guest.frames() if f[12:14] == b"\x08\0" and segment(f).flags & SYN), None)
        assert (call.own, call.source) == (22, "10.0.2.2")
        mss = b"\x02\x04\x05\xb4"
        guest.send(tcp(call.port, SYN | ACK, 500, call.sequence + 1, own=22, options=mss))
        guest.send(tcp(call.port, ACK | PSH, 501, call.sequence + 1, b"greeting", own=22))
        greeting = b""
        while not greeting:
            host.go_on()
            try:
                greeting = client.recv(100)
            except BlockingIOError:
                continue
        assert greeting == b"greeting"
        client.sendall(bytes(100_000))
        received, largest = 0, 0
        while received < 100_000:
            host.go_on()
            for found in map(segment, guest.frames()):
                received += len(found.data)
                largest = max(largest, len(found.data))
                guest.send(tcp(call.port, ACK, 509, call.sequence + 1 + received, own=22))
        assert largest > 1460, "its SYN was changed on the way"
        assert uplink.sockets == 1
    assert FIN


def test_a_port_that_is_taken_is_an_error_or_another_one_is_found(library: Any, tmp_path: Any) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    with taken:
        port = taken.getsockname()[1]
        machine = Machine(1, 16 << 20, clock=VirtualClock())
        with pytest.raises(EngineError, match=f"port {port} of 127.0.0.1 cannot be forwarded"):
            connect_network(machine, 7, network_choice("user", [f"{port}:22"]), lambda line: None)


@pytest.mark.parametrize("quiet", [True, False])
def test_the_usual_port_gives_way_to_a_free_one(library: Any, monkeypatch: pytest.MonkeyPatch, quiet: bool) -> None:
    lines: list[str] = []
    with free_server() as taken:
        usual = Forward(IPv4Address("127.0.0.1"), taken.getsockname()[1], 22)
        monkeypatch.setattr(outer_network, "DEFAULT_FORWARD", usual)
        machine = Machine(1, 16 << 20, clock=VirtualClock())
        uplink = connect_network(machine, 7, network_choice("user", None, quiet), lines.append)
        assert uplink is not None
        (line,) = lines
        assert line.startswith("warning: ") is not quiet
        assert f"port {usual.port} of 127.0.0.1 is taken" in line
        other = int(line.split(" leads to ")[0].split()[-1])
        socket.create_connection(("127.0.0.1", other)).close()
        uplink.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", other))


def test_a_machine_that_ends_leaves_no_socket_and_no_thread(library: Any) -> None:
    before, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(3):
        machine = Machine(1, 16 << 20, clock=VirtualClock())
        uplink = connect_network(machine, 7, network_choice("user", [f"{free_port()}:22"]), lambda line: None)
        assert uplink is not None
        uplink.close()
        uplink.close()
    del machine, uplink
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() == threads


def test_without_the_library_a_peer_answers_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(fetched: object) -> None:
        raise LibraryError("the library libslirp.so.0 is not installed")

    monkeypatch.setattr(outer_network, "load", missing)
    lines: list[str] = []
    machine = Machine(1, 16 << 20, clock=VirtualClock())
    uplink = connect_network(machine, 7, network_choice("user", None), lines.append)
    assert isinstance(uplink, Uplink)
    assert uplink.network is None
    (line,) = lines
    assert line.startswith("warning: behind the network card is only a gateway that answers ping: the library libslirp")
    assert "shyper-tui images fetch" in line
    with pytest.raises(EngineError, match=r"port 8080 cannot be forwarded: the library libslirp\.so\.0 is not inst"):
        connect_network(machine, 6, network_choice("user", ["8080:80"]), lines.append)


@pytest.mark.parametrize(
    ("kind", "forwards", "sentence"),
    [
        ("bridge", None, "network is one of user; user,host-loopback; isolated; none, not 'bridge'"),
        ("user", ["80"], "forward: '80' is not of the form"),
        ("none", ["80:80"], "without a network card"),
    ],
)
def test_choices_that_make_no_sense_are_refused(kind: str, forwards: list[str] | None, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence):
        network_choice(kind, forwards)
