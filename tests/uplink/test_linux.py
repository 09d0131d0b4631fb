"""The network card and what is behind it, as real Linux sees them: on the bare machine, and in the managing VM."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shyper_tui import images
from shyper_tui.bench.configurations import SERIAL, command_line
from shyper_tui.engine.bare_machine import BareMachine
from shyper_tui.engine.capture import CaptureFile
from shyper_tui.engine.clock import VirtualClock
from shyper_tui.engine.hart.program import program
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from shyper_tui.engine.outer_network import network_choice
from shyper_tui.engine.shyper_machine import Hooks, ShyperMachine
from shyper_tui.ipc.messages import ScenarioStep
from tests.uplink.test_capture import read
from tests.uplink.test_forwards import free_port

pytestmark = [
    pytest.mark.linux,
    pytest.mark.skipif(images.linux_images() is None, reason="needs the Linux images: shyper-tui images fetch"),
]

APPEND = command_line(SERIAL)
SET_UP = (
    "ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2; "
    "ping -c 1 -w 5 10.0.2.2 > /dev/null"
)
SIZE = 1 << 20
DATA = random.Random(5).randbytes(SIZE)
CHECKSUM = hashlib.md5(DATA).hexdigest()


def script(*steps: tuple[str, str]) -> list[ScenarioStep]:
    """Lines to type at the first prompt and after each text that must be seen."""
    found = [ScenarioStep("until", 0, "# ")]
    for line, text in steps:
        found += [ScenarioStep("send", 0, f"{line}\r"), ScenarioStep("until", 0, text)]
    return found


def linux(
    steps: list[ScenarioStep], kind: str = "user", forwards: list[str] | None = None, pcap: Path | None = None
) -> tuple[BareMachine, Callable[[], str]]:
    """The machine with Linux, and a function that runs it and returns its console."""
    found, output = images.linux_images(), bytearray()
    assert found is not None
    machine = BareMachine(
        str(found.kernel),
        str(found.initramfs),
        APPEND,
        script=steps,
        on_console=output.extend,
        network=network_choice(kind, forwards, quiet=True),
        pcap=CaptureFile(pcap) if pcap else None,
    )

    def run() -> str:
        machine.run()
        shown = output.decode("utf-8", "replace")
        assert machine.missing == "", shown[-2000:]
        return shown

    return machine, run


def beside(work: Callable[[], None]) -> threading.Thread:
    """Does the host's part of a test while the machine runs in this thread."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.mark.usefixtures("library")
def test_linux_gets_its_address_by_dhcp_and_two_runs_are_equal(tmp_path: Path) -> None:
    steps = script(
        ("ip link set eth0 up; udhcpc -i eth0 -n -q -s /bin/true", "lease of 10.0.2.15 obtained from 10.0.2.2"),
        ("ip addr add 10.0.2.15/24 dev eth0; ping -c 3 10.0.2.2", "3 packets received"),
        ("ip neigh", "10.0.2.2 dev eth0 lladdr 52:55:0a:00:02:02"),
    )
    runs = []
    for name in ("first", "second"):
        machine, run = linux(steps, pcap=tmp_path / name)
        runs.append((run(), machine.machine.instructions, read(tmp_path / name)))
    assert runs[0] == runs[1]
    frames = runs[0][2].frames
    assert runs[0][2].names == ["uplink"]
    assert sum(frame[23:24] == b"\1" and sent for _, _, sent, frame in frames) == 3
    assert [ticks for _, ticks, _, _ in frames] == sorted(ticks for _, ticks, _, _ in frames)


@pytest.mark.usefixtures("library")
def test_linux_reaches_a_server_on_the_hosts_loopback_where_that_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        arrived = bytearray()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(DATA)
                connection.shutdown(socket.SHUT_WR)
            connection, _ = server.accept()
            with connection:
                while piece := connection.recv(1 << 16):
                    arrived.extend(piece)

        thread = beside(serve)
        address = f"10.0.2.2 {server.getsockname()[1]}"
        steps = script(
            (f"{SET_UP}; nc {address} < /dev/null > /tmp/data; md5sum /tmp/data", CHECKSUM),
            (f"nc {address} < /tmp/data; echo se''nt", "sent"),
        )
        _, run = linux(steps, "user,host-loopback")
        run()
        thread.join(60)
        assert bytes(arrived) == DATA


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("kind", ["user", "isolated"])
def test_a_client_of_the_host_copies_both_ways_through_a_forward(kind: str) -> None:
    port, arrived = free_port(), bytearray()
    listening, sent = threading.Event(), threading.Event()

    def client() -> None:
        listening.wait(60)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(DATA)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        sent.wait(60)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while piece := connection.recv(1 << 16):
                arrived.extend(piece)

    thread = beside(client)
    steps = script(
        (f"{SET_UP}; nc -l -p 22 < /dev/null > /tmp/data & sleep 1; echo list''ening", "listening"),
        ("wait; md5sum /tmp/data", CHECKSUM),
        ("nc -l -p 22 < /tmp/data & sleep 1; echo sen''ding; wait; echo fin''ished", "finished"),
    )
    machine, run = linux(steps, kind, [f"{port}:22"])
    watch(machine, {b"listening": listening, b"sending": sent})
    run()
    thread.join(60)
    assert bytes(arrived) == DATA


def watch(machine: BareMachine, events: dict[bytes, threading.Event]) -> None:
    """Sets an event when its text has been on the console."""
    seen = bytearray()

    def look(data: bytes) -> None:
        seen.extend(data)
        for text, event in events.items():
            if text in seen:
                event.set()

    machine.console.tap(look)


def test_the_managing_vm_has_the_card_as_its_second_interface(library: Any, tmp_path: Path) -> None:
    found = images.linux_images()
    assert found is not None
    output, path = bytearray(), tmp_path / "frames"
    hooks = Hooks(lambda vm, data: output.extend(data), lambda: None, lambda line: None)
    built = ShyperMachine(
        VirtualClock(), program(), hooks, found.mvm_disk, None,
        network=network_choice("user", None, quiet=True), pcap=CaptureFile(path),
    )  # fmt: skip
    definition = mvm_definition()
    definition.cmdline, definition.ramdisk_load_ipa = APPEND, 0xA000_0000
    built.hypervisor.manager.add(definition, found.kernel.read_bytes(), found.initramfs.read_bytes())
    built.hypervisor.manager.boot(0)
    built.power_on()

    def until(text: bytes) -> bytes:
        while (place := output.find(text)) < 0:
            built.machine.run_round()
        shown = bytes(output[:place])
        del output[: place + len(text)]
        return shown

    def run(line: str) -> str:
        built.machine.board.uart.receive(f"{line}; echo ready-''now\r".encode())
        return until(b"ready-now\r\n").decode()

    until(b"GUEST-READY")
    until(b"# ")
    assert "74:56:aa:0f:47:d0" in run("cat /sys/class/net/eth0/address")
    assert "52:54:00:12:34:56" in run("cat /sys/class/net/eth1/address")
    shown = run("ip link set eth1 up; ip addr add 10.0.2.15/24 dev eth1; ping -c 2 10.0.2.2")
    assert "2 packets received" in shown
    run("ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0; ping -c 1 -W 1 10.0.0.9")
    built.close()
    seen = read(path)
    assert seen.names == ["uplink", "vm0 virtio_net@40003000"]
    assert {name for name, *_ in seen.frames} == {"uplink", "vm0 virtio_net@40003000"}
