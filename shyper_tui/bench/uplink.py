"""What the outer network carries: TCP to and from this host, and round trips, ours and QEMU's user network.

The system is Debian's Linux with the initramfs of the images, whose only programs are busybox's. The host's end is
here, on the loopback: nothing leaves the machine.
"""

from __future__ import annotations

import hashlib
import random
import socket
import statistics
import sys
import time
from dataclasses import dataclass

from shyper_tui.bench.configurations import SERIAL, command_line
from shyper_tui.bench.launch import LaunchError
from shyper_tui.bench.measurements import LINUX_MEMORY, READY, UnavailableError, module
from shyper_tui.bench.qemu import Qemu, find_qemu
from shyper_tui.bench.typed_console import TypedConsole

SIZE = 32 << 20
"""Bytes of a copy."""
ROUND_TRIPS = 200
BOOT_SECONDS, COPY_SECONDS = 120.0, 120.0
GUEST_PORT = 22
_APPEND = command_line(SERIAL)
_CARD = "52:54:00:12:34:56"


@dataclass(frozen=True)
class UplinkResult:
    """MB/s (10⁶ bytes) from the guest and to it, and the median of round trips over TCP (milliseconds)."""

    out_rate: float
    in_rate: float
    round_trip: float


def machine_command(port: int) -> tuple[str, ...]:
    """Linux on the bare machine, with `port` of the host leading to it."""
    kernel, initrd = _files()
    return module(
        "shyper_tui.cli", "machine", "--headless", "--network", "user,host-loopback",
        "--forward", f"{port}:{GUEST_PORT}",
        "--memory", LINUX_MEMORY, "--kernel", kernel, "--initrd", initrd, "--append", _APPEND,
    )  # fmt: skip


def mvm_command(port: int) -> tuple[str, ...]:
    """Linux in the managing VM."""
    return module("shyper_tui.bench.mvm_console", str(port))


def qemu_command(qemu: Qemu, port: int) -> tuple[str, ...]:
    """The same kernel and initramfs in QEMU, with its user network."""
    kernel, initrd = _files()
    return qemu.with_user_network(kernel, initrd, _APPEND, LINUX_MEMORY, port, GUEST_PORT)


def measure_uplink(command: tuple[str, ...], port: int, size: int = SIZE) -> UplinkResult:
    """Boots the system of a command, whose console is its standard input and output, and measures. Raises LaunchError,
    also when something arrives damaged."""
    with TypedConsole(command) as console:
        console.wait_for(READY, BOOT_SECONDS)
        console.run(
            f"cd /sys/class/net; for c in *; do grep -q {_CARD} $c/address && card=$c; done; cd /; "
            "ip link set $card up; ip addr add 10.0.2.15/24 dev $card; ip route add default via 10.0.2.2; "
            "ping -c 1 -w 5 10.0.2.2"
        )
        data = random.Random(size).randbytes(size)
        incoming = _to_guest(console, port, data)
        return UplinkResult(_from_guest(console, data), incoming, _round_trips(console, port))


def _to_guest(console: TypedConsole, port: int, data: bytes) -> float:
    listening = console.begin(f"nc -l -p {GUEST_PORT} > /tmp/data")
    connection = _connect(port)
    with connection:
        begun = time.perf_counter()
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
        seconds = time.perf_counter() - begun
    console.wait_for(listening, COPY_SECONDS)
    shown = console.run("md5sum /tmp/data")
    if hashlib.md5(data).hexdigest() not in shown:
        raise LaunchError("what was sent to the guest arrived damaged")
    return len(data) / seconds / 1e6


def _from_guest(console: TypedConsole, data: bytes) -> float:
    """The guest sends back what it has in its file."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(COPY_SECONDS)
        sending = console.begin(f"nc 10.0.2.2 {server.getsockname()[1]} < /tmp/data")
        connection, _ = server.accept()
        with connection:
            connection.settimeout(COPY_SECONDS)
            begun, arrived = time.perf_counter(), bytearray()
            while len(arrived) < len(data) and (piece := connection.recv(1 << 20)):
                arrived += piece
            seconds = time.perf_counter() - begun
        console.wait_for(sending, COPY_SECONDS)
    if arrived != data:
        raise LaunchError(f"of {len(data)} bytes {len(arrived)} came from the guest, or they were damaged")
    return len(data) / seconds / 1e6


def _round_trips(console: TypedConsole, port: int) -> float:
    listening = console.begin(f"nc -l -p {GUEST_PORT} -e cat")
    with _connect(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        times = []
        for _ in range(ROUND_TRIPS):
            begun = time.perf_counter()
            connection.sendall(b"?")
            if not connection.recv(1):
                raise LaunchError("the guest closed the connection")
            times.append(1000 * (time.perf_counter() - begun))
    console.wait_for(listening, COPY_SECONDS)
    return statistics.median(times)


def _connect(port: int) -> socket.socket:
    """A connection through the forward. Its other end may not listen yet, and then it is closed at once."""
    deadline = time.monotonic() + COPY_SECONDS
    while time.monotonic() < deadline:
        connection = socket.create_connection(("127.0.0.1", port), timeout=COPY_SECONDS)
        connection.settimeout(0.3)
        try:
            if connection.recv(1, socket.MSG_PEEK):
                break
        except TimeoutError:
            connection.settimeout(COPY_SECONDS)
            return connection
        except OSError:
            pass
        connection.close()
    raise LaunchError(f"the guest does not listen behind port {port}")


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _files() -> tuple[str, str]:
    from shyper_tui import images

    linux = images.linux_images()
    if linux is None:
        raise UnavailableError("The Linux images are not there; fetch them with `shyper-tui images fetch`.")
    return str(linux.kernel), str(linux.initramfs)


def main() -> int:
    """Measures machine mode, the managing VM, and QEMU where it is installed."""
    port = free_port()
    commands = {"machine": machine_command(port), "mvm": mvm_command(port)}
    if (qemu := find_qemu()) is not None:
        commands["qemu"] = qemu_command(qemu, port)
    for name in sys.argv[1:] or commands:
        print(f"{name:8} {measure_uplink(commands[name], port)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
