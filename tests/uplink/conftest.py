"""The networks that are tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shyper_tui import images
from shyper_tui.engine.uplink.libslirp import LibraryError, load
from shyper_tui.engine.uplink.link import Uplink
from shyper_tui.engine.uplink.peer import BuiltInPeer
from shyper_tui.engine.uplink.slirp import SlirpNetwork
from tests.uplink.host import QuietHost

MakeUplink = Callable[..., Uplink]


@pytest.fixture(scope="session")
def library() -> Any:
    """libslirp; without it the tests that need it are skipped."""
    try:
        return load(images.fetched_libslirp())
    except LibraryError as error:
        pytest.skip(f"{error}: install libslirp0, or shyper-tui images fetch")


@pytest.fixture
def host() -> QuietHost:
    return QuietHost()


@pytest.fixture
def peer_uplink(host: QuietHost) -> Iterator[Uplink]:
    """A card with the built-in peer behind it."""
    uplink = Uplink(host)
    uplink.use(BuiltInPeer(uplink.arrive))
    yield uplink
    uplink.close()


@pytest.fixture
def slirp_uplink(host: QuietHost, library: Any) -> Iterator[MakeUplink]:
    """Makes cards with libslirp behind them."""
    made: list[Uplink] = []

    def make(*, host_loopback: bool = True, restricted: bool = False) -> Uplink:
        uplink = Uplink(host)
        made.append(uplink)
        network = SlirpNetwork(
            library, uplink.arrive, host.now, restricted=restricted, host_loopback=host_loopback
        )
        uplink.use(network)
        return uplink

    yield make
    for uplink in made:
        uplink.close()
