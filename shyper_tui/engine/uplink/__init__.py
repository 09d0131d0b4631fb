"""The outer network: what is behind the board's network card.

A network of QEMU's numbers in user mode, by libslirp (`slirp.py`) or, without it, a peer that answers the simplest
questions (`peer.py`). The board knows nothing of it: `link.py` is the port of a network device.
"""
