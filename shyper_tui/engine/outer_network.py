"""Connects a machine's network card to the outer network that the user has chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from shyper_tui import images
from shyper_tui.engine.capture import Capture
from shyper_tui.engine.machine import Machine
from shyper_tui.engine.uplink.libslirp import LibraryError, load
from shyper_tui.engine.uplink.link import Uplink
from shyper_tui.engine.uplink.peer import BuiltInPeer
from shyper_tui.engine.uplink.slirp import SlirpNetwork
from shyper_tui.ipc.messages import EngineError
from shyper_tui.network_options import DEFAULT_FORWARD, NETWORKS, Forward, parse_forwards

NEARBY_PORTS = 100
"""Ports behind the usual one that are tried when it is taken."""
REMEDY = (
    "install it (Debian, Ubuntu: libslirp0; Fedora, Arch: libslirp), or run `shyper-tui images fetch`, which "
    "keeps it in the cache"
)


@dataclass(frozen=True)
class NetworkChoice:
    """`kind` is one of NETWORKS; `forwards` None: the usual one, from whichever port is free. `quiet`: that another
    port was taken is told in the log alone."""

    kind: str = "none"
    forwards: tuple[Forward, ...] | None = None
    quiet: bool = False


NO_NETWORK = NetworkChoice()


def network_choice(kind: str, forwards: Sequence[str] | None, quiet: bool = False) -> NetworkChoice:
    """From options; EngineError when they make no sense."""
    if kind not in NETWORKS:
        raise EngineError("options", f"network is one of {'; '.join(NETWORKS)}, not {kind[:60]!r}")
    try:
        chosen = None if forwards is None else tuple(parse_forwards(list(forwards)))
    except ValueError as error:
        raise EngineError("options", f"forward: {error}") from None
    if kind == "none" and chosen:
        raise EngineError("options", "without a network card (network none) no port can be forwarded")
    return NetworkChoice(kind, chosen, quiet)


def connect_network(
    machine: Machine,
    slot: int,
    choice: NetworkChoice,
    log: Callable[[str], None],
    capture: Capture | None = None,
    guest: str = "the managing VM",
) -> Uplink | None:
    """A network card in a slot of the board, with a network behind it; None when none is wanted. `guest` is who has the
    card. EngineError when a port cannot be forwarded; the capture's file is gone then."""
    if choice.kind == "none":
        return None
    tap = None if capture is None else capture.tap("uplink")
    uplink = Uplink(machine, tap)
    try:
        uplink.use(_network(machine, uplink, choice, log, guest))
    except BaseException:
        uplink.close()
        if capture is not None:
            capture.discard()
        raise
    machine.clock.outside = lambda: uplink.sockets > 0
    machine.before_rest = uplink.rests
    machine.board.connect(slot, uplink.net)
    return uplink


def _network(
    machine: Machine, uplink: Uplink, choice: NetworkChoice, log: Callable[[str], None], guest: str
) -> SlirpNetwork | BuiltInPeer:
    try:
        library = load(_fetched())
        network = SlirpNetwork(
            library,
            uplink.arrive,
            machine.now,
            restricted=choice.kind == "isolated",
            host_loopback=choice.kind.endswith("host-loopback"),
            complain=_Complaints(log),
        )
    except LibraryError as error:
        if choice.forwards:
            message = f"port {choice.forwards[0].port} cannot be forwarded: {error}; {REMEDY}"
            raise EngineError("network", message) from None
        log(f"warning: behind the network card is only a gateway that answers ping: {error}; {REMEDY}")
        return BuiltInPeer(uplink.arrive)
    try:
        _forward(network, choice, log, guest)
    except BaseException:
        network.close()
        raise
    return network


def _fetched() -> list[Path]:
    try:
        return images.fetched_libslirp()
    except OSError:
        return []


def _forward(network: SlirpNetwork, choice: NetworkChoice, log: Callable[[str], None], guest: str) -> None:
    if choice.forwards is None:
        port = _usual_forward(network)
        if port != DEFAULT_FORWARD.port:
            usual = f"port {DEFAULT_FORWARD.port} of {DEFAULT_FORWARD.host} is taken"
            now = f"port {port} leads to port {DEFAULT_FORWARD.guest_port} of {guest}" if port else "none is forwarded"
            log(f"{'' if choice.quiet else 'warning: '}{usual}: {now}")
        return
    for forward in choice.forwards:
        try:
            network.forward(forward.host, forward.port, forward.guest_port)
        except OSError as error:
            message = f"port {forward.port} of {forward.host} cannot be forwarded: {error.strerror or error}"
            raise EngineError("port", message) from None


def _usual_forward(network: SlirpNetwork) -> int:
    """Forwards the usual port of the guest; the host's port, 0 when none was free."""
    first = DEFAULT_FORWARD.port
    for port in range(first, first + NEARBY_PORTS):
        try:
            network.forward(IPv4Address(DEFAULT_FORWARD.host), port, DEFAULT_FORWARD.guest_port)
        except OSError:
            continue
        return port
    return 0


class _Complaints:
    """What the library says about guests' frames, the first time."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log, self._told = log, False

    def __call__(self, text: str) -> Any:
        if not self._told:
            self._told = True
            self._log(f"outer network: {text[:200]} (this and anything like it is not told again)")
