"""`shyper-tui vm`: the VMs of a running workstation, from another terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from shyper_tui.ipc.client import Client

T = TypeVar("T")


@click.group("vm")
@click.option("--socket", metavar="PATH", help="Socket of the engine (default: the one started last).")
@click.pass_context
def command(ctx: click.Context, socket: str | None) -> None:
    """List and control the VMs of a running workstation.

    VM 0 is the managing VM; the others are guests. States: pending (not started), active, paused, stopped, failed.
    """
    ctx.obj = socket


def ask(socket: str | None, question: Callable[[Client], Awaitable[T]]) -> T:
    """Attaches to the engine, asks, and leaves it; a refusal becomes the command's error."""
    from shyper_tui.commands.check import print_diagnostic
    from shyper_tui.commands.workstation import newest_engine
    from shyper_tui.ipc.client import Client
    from shyper_tui.ipc.messages import EngineError

    async def attached() -> T:
        async with await Client.attach(socket or newest_engine()) as client:
            return await question(client)

    try:
        return asyncio.run(attached())
    except EngineError as error:
        for diagnostic in error.diagnostics:
            print_diagnostic(diagnostic)
        raise click.ClickException(error.message) from None


@command.command("list")
@click.pass_obj
def list_vms(socket: str | None) -> None:
    """List all VMs."""
    rows = [("ID", "NAME", "STATE", "VCPUS", "CORES", "MEMORY")]
    for info in ask(socket, lambda client: client.vm.list()):
        cores = ",".join(map(str, info.cores))
        rows.append((str(info.id), info.name, info.state, str(info.vcpus), cores, f"{info.memory >> 20} MiB"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@command.command("config")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--boot", is_flag=True, help="Boot it, too.")
@click.pass_obj
def config(socket: str | None, file: str, boot: bool) -> None:
    """Add a VM from a configuration FILE (Rust-Shyper's JSON)."""

    async def add(client: Client) -> int:
        info = await client.vm.config_file(file)
        if boot:
            await client.vm.boot(info.id)
        return info.id

    click.echo(f"vm{ask(socket, add)} is {'booting' if boot else 'configured'}.")


def _simple(name: str, help_text: str, done: str, action: Callable[[Client, int], Awaitable[object]]) -> None:
    @command.command(name, help=help_text)
    @click.argument("vm", type=click.IntRange(0, 7))
    @click.pass_obj
    def run(socket: str | None, vm: int) -> None:
        ask(socket, lambda client: action(client, vm))
        click.echo(f"vm{vm} is {done}.")


_simple("boot", "Start a configured VM.", "booting", lambda client, vm: client.vm.boot(vm))
_simple("stop", "Stop a VM at once.", "stopped", lambda client, vm: client.vm.stop(vm))
_simple("reboot", "Stop a VM and start it again.", "rebooting", lambda client, vm: client.vm.reboot(vm))
_simple("remove", "Stop and remove a guest VM.", "removed", lambda client, vm: client.vm.remove(vm))
