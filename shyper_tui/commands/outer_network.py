"""Options about the outer network; the workstation, `run` and `machine` share them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from shyper_tui.network_options import NETWORKS, parse_forwards

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class NetworkOptions:
    """The user's choice. `forwards` None: the usual one; the file name is absolute."""

    network: str = "user"
    forwards: tuple[str, ...] | None = None
    pcap: str | None = None
    pcap_replace: bool = False

    def fields(self) -> dict[str, Any]:
        """As the fields of `EngineOptions`."""
        return {
            "network": self.network,
            "forwards": list(self.forwards) if self.forwards is not None else None,
            "pcap": self.pcap,
            "pcap_replace": self.pcap_replace,
        }


USUAL = NetworkOptions()


def network_options(function: F) -> F:
    """Adds the options and passes them as one argument `outer`."""

    @click.option(
        "--network", type=click.Choice(NETWORKS), default="user", show_default=True,
        help="Behind the network card: what this host reaches but its own loopback; that, too (as 10.0.2.2); nothing, "
        "though --forward works; or there is no card.",
    )  # fmt: skip
    @click.option(
        "--forward", "forwards", metavar="[HOST:]PORT:GUESTPORT", multiple=True, callback=_forwards,
        help="Connections to a TCP port of this host (127.0.0.1 unless told) go to one of the guest; may be given "
        "several times, and replaces the usual 5555:22.",
    )  # fmt: skip
    @click.option(
        "--pcap", metavar="FILE", type=click.Path(dir_okay=False),
        help="Write all frames that pass the switch or the network card to FILE (pcapng, for Wireshark), up to 1 GiB.",
    )  # fmt: skip
    @click.option("--pcap-replace", is_flag=True, help="Also when FILE is there already.")
    @functools.wraps(function)
    def with_network(
        *args: Any, network: str, forwards: tuple[str, ...], pcap: str | None, pcap_replace: bool, **more: Any
    ) -> Any:
        if network == "none" and forwards:
            raise click.UsageError("Without a network card (--network none) there is nothing to --forward to.")
        if pcap_replace and not pcap:
            raise click.UsageError("--pcap-replace needs --pcap FILE.")
        if pcap and not pcap_replace and os.path.lexists(pcap):
            raise click.UsageError(f"{pcap} is there already. Name another file, or add --pcap-replace.")
        file = os.path.abspath(pcap) if pcap else None
        return function(*args, outer=NetworkOptions(network, forwards or None, file, pcap_replace), **more)

    return with_network  # type: ignore[return-value]  # click's decorators do not keep the type


def _forwards(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        parse_forwards(list(texts))
    except ValueError as error:
        raise click.BadParameter(f"{error}.", ctx, param) from None
    return texts
