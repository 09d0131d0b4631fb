"""What users say about the outer network: its kind, and ports of the host that lead to a guest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address

NETWORKS = ("user", "user,host-loopback", "isolated", "none")
"""Kinds of network: everything that the host reaches but its own loopback; that, too; nothing, but forwards from
outside work; no network card at all."""

LOOPBACK = IPv4Address("127.0.0.1")
MOST_FORWARDS = 64


@dataclass(frozen=True)
class Forward:
    """Connections to a TCP port of the host go to one of the guest."""

    host: IPv4Address
    port: int
    guest_port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


DEFAULT_FORWARD = Forward(LOOPBACK, 5555, 22)
"""What there is when nobody says anything, and as good as any other port when this one is taken."""


def parse_forward(text: str) -> Forward:
    """`[HOST:]PORT:GUESTPORT`. ValueError with a sentence that says what is wrong."""
    match = re.fullmatch(r"(?:([^:]*):)?(\d{1,5}):(\d{1,5})", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not of the form [HOST:]PORT:GUESTPORT, for example 8080:80")
    name, port, guest_port = match[1], int(match[2]), int(match[3])
    for number in (port, guest_port):
        if not 0 < number <= 65535:
            raise ValueError(f"{number} in {text!r} is no port: those are 1 to 65535")
    if name is None or name == "localhost":
        return Forward(LOOPBACK, port, guest_port)
    try:
        return Forward(IPv4Address(name), port, guest_port)
    except ValueError:
        message = f"{name!r} in {text!r} is no IPv4 address of this host, such as 127.0.0.1, or 0.0.0.0 for all of them"
        raise ValueError(message) from None


def parse_forwards(texts: list[str]) -> list[Forward]:
    """Several of them. ValueError when one is wrong, or a port of the host is named twice."""
    forwards = [parse_forward(text) for text in texts]
    if len(forwards) > MOST_FORWARDS:
        raise ValueError(f"there are {len(forwards)} forwards; at most {MOST_FORWARDS} are possible")
    for index, forward in enumerate(forwards):
        if any(str(other) == str(forward) for other in forwards[:index]):
            raise ValueError(f"port {forward.port} of {forward.host} is forwarded twice")
    return forwards
