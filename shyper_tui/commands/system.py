"""`shyper-tui system`: a running engine's machine as a whole, with the commands of Rust-Shyper's `shyper system`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import click

from shyper_tui.commands.engine_access import InOrder, ask, force_option, json_option, print_json, socket_option
from shyper_tui.commands.output import echo
from shyper_tui.plain_text import visible

if TYPE_CHECKING:
    from shyper_tui.ipc.client import Client
    from shyper_tui.ipc.vm_messages import VmAnswer

DEFAULT_DAEMON_FILE = "cli-config.json"
END_TIMEOUT = 10.0
"""Seconds in which all cores let go of their VMs."""


@click.group("system", cls=InOrder)
@socket_option
@click.pass_context
def command(ctx: click.Context, socket: str | None) -> None:
    """Control the whole machine of a running engine.

    Names and options are those of Rust-Shyper's `shyper system`. The exit status is 0 only when the engine has done
    what was asked: 1 is a refusal, 2 wrong usage.
    """
    ctx.obj = socket


@command.command("daemon")
@click.argument("file", metavar="[CONFIG]", default=DEFAULT_DAEMON_FILE, type=click.Path(exists=True, dir_okay=False))
@json_option
@click.pass_context
def daemon(ctx: click.Context, file: str, as_json: bool) -> None:
    """Serve disks to guest VMs.

    CONFIG is a daemon's file, `{"mediated": [...]}`; without it, cli-config.json. The engine opens the files and serves
    them itself, so the command ends at once. A VM that is configured afterwards gets the first disk that is free for
    each of its mediated block devices. What guests write stays in the files; a file that cannot be written is a
    read-only disk; images of the store (`images:...`) are served as copies. A file that cannot be served keeps its
    place: the VM that would get it is refused until you offer it again.
    """
    disks = ask(ctx.obj, lambda client: client.system.daemon_file(file), as_json)
    if as_json:
        print_json(disks)
    for disk in disks:
        if disk.problem:
            echo(f"Warning: {visible(disk.problem)}.", err=True)
        elif not as_json:
            read_only = ", read-only" if disk.read_only else ""
            echo(f"disk {disk.index}: {visible(disk.path)} ({disk.sectors} sectors{read_only})")
    ctx.exit(1 if any(disk.problem for disk in disks) else 0)


@command.command("reboot")
@force_option
@json_option
@click.pass_obj
def reboot(socket: str | None, force: bool, as_json: bool) -> None:
    """Reboot the managing VM and with it all guests that run.

    The managing VM is asked, and the guests follow when it has; when it does not listen, or with --force, all start
    again from their images at once.
    """
    answer = ask(socket, lambda client: client.system.reboot(force), as_json)
    if as_json:
        print_json(answer)
    else:
        echo("The managing VM was asked to reboot." if answer.asked else "The machine is rebooting.")


@command.command("shutdown")
@force_option
@json_option
@click.pass_obj
def shutdown(socket: str | None, force: bool, as_json: bool) -> None:
    """Power off the managing VM and with it all guests.

    The managing VM is asked, and the guests are stopped when it is off; when it does not listen, or with --force, all
    stop at once.
    """

    async def end(client: Client) -> VmAnswer:
        answer = await client.system.shutdown(force)
        if not answer.asked:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.wait_state("stopped", "failed"), END_TIMEOUT)
        return answer

    answer = ask(socket, end, as_json)
    if as_json:
        print_json(answer)
    else:
        echo("The managing VM was asked to power off." if answer.asked else "The machine is off.")


@command.command("test")
@json_option
@click.pass_obj
def test(socket: str | None, as_json: bool) -> None:
    """Say whether the engine answers, and what it runs."""
    report = ask(socket, lambda client: client.system.test(), as_json)
    if as_json:
        print_json(report)
        return
    machine = f"{report.harts} harts, {report.memory >> 20} MiB"
    echo(f"Engine {visible(report.version)} answers: {machine}, {report.active} of {report.vms} VMs run.")


@command.command("update")
@click.argument("image", metavar="IMAGE", type=click.Path())
def update(image: str) -> None:
    """Always refused.

    The hypervisor is part of shyper-tui, and not an image that could be replaced.
    """
    raise click.ClickException(
        f"{image} is not installed: the hypervisor is part of shyper-tui. Install another release of shyper-tui and "
        "start the engine again."
    )
