"""Addresses of the user network: those that QEMU's has by default."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

NETWORK = IPv4Network("10.0.2.0/24")
HOST = IPv4Address("10.0.2.2")
"""Gateway and DHCP server; answers ping."""
NAMESERVER = IPv4Address("10.0.2.3")
GUEST = IPv4Address("10.0.2.15")
"""What the DHCP server gives to the first client."""

HOST_MAC = bytes.fromhex("52550a000202")
"""libslirp's: 52:55 and the address of the host."""
NIC_MAC = bytes.fromhex("525400123456")
"""Of the board's network card."""

MTU = 1500
