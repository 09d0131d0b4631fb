"""Options that say what the engine builds; the workstation and `run` share them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from shyper_tui.commands.outer_network import USUAL, NetworkOptions, network_options

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class EngineChoice:
    """The user's choice; `clock` None means the command's default. File names are absolute."""

    embedded: bool = False
    mvm: str | None = None
    vms: tuple[str, ...] = ()
    no_guest: bool = False
    mvm_disk: str | None = None
    snapshot: bool = False
    daemon: str | None = None
    mvm_off: str = "stay"
    clock: str | None = None
    log_dir: str | None = None
    outer: NetworkOptions = USUAL

    def options(self, default_clock: str, **more: Any) -> dict[str, Any]:
        """As the fields of `EngineOptions`."""
        return {
            "embedded": self.embedded,
            "mvm": self.mvm,
            "vms": [] if self.no_guest else list(self.vms) or None,
            "mvm_disk": self.mvm_disk,
            "snapshot": self.snapshot,
            "daemon": self.daemon,
            "mvm_off": self.mvm_off,
            "clock": self.clock or default_clock,
            "log_dir": self.log_dir,
            **self.outer.fields(),
            **more,
        }

    @property
    def guest_files(self) -> list[str]:
        """The files named that are about guests: their configurations, and their disks."""
        return [*self.vms, *([self.daemon] if self.daemon else [])]

    @property
    def files(self) -> list[str]:
        """The configuration files named."""
        return [*([self.mvm] if self.mvm else []), *self.guest_files]


EXISTING_FILE = click.Path(exists=True, dir_okay=False)


def engine_options(function: F) -> F:
    """Adds the options and passes them as one argument `choice`."""

    @click.option("--embedded", is_flag=True, help="The two built-in systems, even where Linux images are installed.")
    @click.option(
        "--mvm", metavar="FILE", type=EXISTING_FILE,
        help="Configuration of the managing VM (JSON). No guest is started then but those given with --vm.",
    )  # fmt: skip
    @click.option(
        "--vm", "vms", metavar="FILE", multiple=True, type=EXISTING_FILE,
        help="Configuration of a guest VM (Rust-Shyper's JSON); may be given several times.",
    )  # fmt: skip
    @click.option(
        "--no-guest", is_flag=True,
        help="Start the managing VM alone: the first guest that is configured in it becomes VM 1.",
    )  # fmt: skip
    @click.option(
        "--mvm-disk", metavar="FILE", type=EXISTING_FILE,
        help="Raw image of the managing VM's disk, which keeps what is written. Without it: your own copy of the "
        "installed one (`shyper-tui images path disk`).",
    )  # fmt: skip
    @click.option(
        "--snapshot", is_flag=True,
        help="Start with the installed disk of the managing VM, or the --mvm-disk, and forget what is written to it.",
    )  # fmt: skip
    @click.option(
        "--daemon", metavar="FILE", type=EXISTING_FILE,
        help="Disks for the guests, as of `shyper system daemon` (JSON); what guests write stays in them.",
    )  # fmt: skip
    @click.option(
        "--mvm-off", type=click.Choice(["stay", "end", "restart"]), default="stay", show_default=True,
        help="When the managing VM powers off: the guests go on, the machine ends, or it starts again.",
    )  # fmt: skip
    @click.option(
        "--clock", type=click.Choice(["virtual", "wall"]),
        help="Machine time follows executed instructions (runs repeat exactly), or the host's clock.",
    )  # fmt: skip
    @click.option(
        "--log-dir",
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="Folder of the raw console logs (64 MiB of each VM).",
    )
    @network_options
    @functools.wraps(function)
    def with_choice(
        *args: Any, embedded: bool, mvm: str | None, vms: tuple[str, ...], no_guest: bool, mvm_disk: str | None,
        snapshot: bool, daemon: str | None, mvm_off: str, clock: str | None, log_dir: str | None,
        outer: NetworkOptions, **more: Any,
    ) -> Any:  # fmt: skip
        if no_guest and vms:
            raise click.UsageError("--no-guest and --vm exclude each other.")
        choice = EngineChoice(
            embedded=embedded,
            mvm=os.path.abspath(mvm) if mvm else None,
            vms=tuple(os.path.abspath(file) for file in vms),
            no_guest=no_guest,
            mvm_disk=os.path.abspath(mvm_disk) if mvm_disk else None,
            snapshot=snapshot,
            daemon=os.path.abspath(daemon) if daemon else None,
            mvm_off=mvm_off,
            clock=clock,
            log_dir=os.path.abspath(log_dir) if log_dir else None,
            outer=outer,
        )
        return function(*args, choice=choice, **more)

    return with_choice  # type: ignore[return-value]  # click's decorators do not keep the type
