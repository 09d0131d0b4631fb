"""`shyper-tui vm`: the VMs of a running engine, with the commands of Rust-Shyper's `shyper vm` and some more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shyper_tui.commands import vm_views
from shyper_tui.commands.engine_access import InOrder, ask, force_option, json_option, print_json, socket_option
from shyper_tui.commands.output import echo
from shyper_tui.plain_text import visible, visible_json

if TYPE_CHECKING:
    from shyper_tui.ipc.client import Client
    from shyper_tui.ipc.messages import VmInfo
    from shyper_tui.ipc.vm_messages import RefusedCall, VmFaults, VmStatistics

T = TypeVar("T")
VM_ID = click.IntRange(0, 7)


class VmIdOrAll(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """A VM's id, or `all` (None)."""

    name = "VMID|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        return None if value == "all" else VM_ID.convert(value, param, ctx)


vm_argument = click.argument("vm", metavar="VMID", type=VM_ID)


@click.group("vm", cls=InOrder)
@socket_option
@click.pass_context
def command(ctx: click.Context, socket: str | None) -> None:
    """List and control the VMs of a running engine.

    Names, options and the format of the list are those of Rust-Shyper's `shyper vm`; `shutdown`, `pause`, `resume`,
    `stop`, `stats` and `faults` are additions. VM 0 is the managing VM; 1 to 7 are guests. The exit status is 0 only
    when the engine has done what was asked: 1 is a refusal, 2 wrong usage.
    """
    ctx.obj = socket


@command.command("list")
@click.option("--table", is_flag=True, help="One line per VM, with cores and memory.")
@json_option
@click.pass_obj
def list_vms(socket: str | None, table: bool, as_json: bool) -> None:
    """List all VMs, in the format of `shyper vm list`.

    A VM is "Active" while it runs or is paused, else "Pending". --table and --json tell more.
    """
    vms = ask(socket, lambda client: client.vm.list(), as_json)
    if as_json:
        print_json(vms)
    else:
        echo(vm_views.table(vms) if table else vm_views.original_list(vms))


@command.command("config")
@click.argument("file", metavar="CONFIG", type=click.Path(exists=True, dir_okay=False))
@click.option("--boot", is_flag=True, help="Boot it, too.")
@json_option
@click.pass_obj
def config(socket: str | None, file: str, boot: bool, as_json: bool) -> None:
    """Add a guest VM from a configuration file.

    The format is Rust-Shyper's JSON; comments are allowed. The file is checked first, and every finding is told with
    its line. File names in it are relative to its folder.
    """

    async def add(client: Client) -> VmInfo:
        info = await client.vm.config_file(file)
        return await client.vm.boot(info.id) if boot else info

    info = ask(socket, add, as_json)
    if as_json:
        print_json(info)
        return
    echo(f"Parse VM config successfully, VM name [{visible(info.name)}]")
    echo(f"Config VM [{info.id}] successfully")
    if boot:
        echo(f"vm{info.id} is booting.")


@command.command("boot")
@vm_argument
@click.option("--display", type=click.Choice(["sdl"]), help="Accepted and ignored, as by the original.")
@json_option
@click.pass_obj
def boot(socket: str | None, vm: int, display: str | None, as_json: bool) -> None:
    """Start a configured VM, or one that is off."""
    info = _act(socket, lambda client: client.vm.boot(vm), as_json)
    _show(info, f"vm{vm} {'is booting' if info.state == 'active' else visible(info.message)}.", as_json)


def _act(socket: str | None, action: Callable[[Client], Awaitable[T]], as_json: bool) -> T:
    """Asks for something to be done. A machine that is paused does it later, which is said on standard error."""

    async def act(client: Client) -> tuple[T, bool]:
        answer = await action(client)
        return answer, (await client.status()).state == "paused"

    answer, paused = ask(socket, act, as_json)
    if paused:
        echo("Note: the machine is paused, so this takes effect when it goes on.", err=True)
    return answer


def _show(answer: object, sentence: str, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        echo(sentence)


def _simple(name: str, help_text: str, done: str, action: Callable[[Client, int], Awaitable[object]]) -> None:
    @command.command(name, help=help_text)
    @vm_argument
    @json_option
    @click.pass_obj
    def run(socket: str | None, vm: int, as_json: bool) -> None:
        answer = _act(socket, lambda client: action(client, vm), as_json)
        _show({"id": vm} if answer is None else answer, f"vm{vm} is {done}.", as_json)


_simple("pause", "Take a VM's vCPUs off their cores.", "paused", lambda client, vm: client.vm.pause(vm))
_simple("resume", "Let a paused VM go on.", "running", lambda client, vm: client.vm.resume(vm))


@command.command("shutdown")
@vm_argument
@force_option
@json_option
@click.pass_obj
def shutdown(socket: str | None, vm: int, force: bool, as_json: bool) -> None:
    """Ask a VM to power off. One that does not listen for messages is stopped."""
    answer = _act(socket, lambda client: client.vm.shutdown(vm, force), as_json)
    _show(answer, f"vm{vm} was asked to power off." if answer.asked else f"vm{vm} is stopped.", as_json)


_simple("stop", "Stop a VM at once, like `shutdown --force`.", "stopped", lambda client, vm: client.vm.stop(vm))


@command.command("reboot")
@vm_argument
@force_option
@json_option
@click.pass_obj
def reboot(socket: str | None, vm: int, force: bool, as_json: bool) -> None:
    """Ask a VM to reboot. One that does not listen for messages is stopped and started from its images."""
    answer = _act(socket, lambda client: client.vm.reboot(vm, force), as_json)
    if answer.info.state == "failed":
        if as_json:
            print_json(answer)
        raise click.ClickException(f"vm{vm} was stopped, but cannot start again: {visible(answer.info.message)}")
    done = "is rebooting" if answer.info.state in ("active", "paused") else visible(answer.info.message)
    _show(answer, f"vm{vm} was asked to reboot." if answer.asked else f"vm{vm} {done}.", as_json)


_simple("remove", "Stop and remove a guest VM.", "removed", lambda client, vm: client.vm.remove(vm))


@command.command("delconfig")
@vm_argument
@click.option("--force", "-f", is_flag=True, help="Also of a VM that runs: it is stopped.")
@json_option
@click.pass_obj
def delconfig(socket: str | None, vm: int, force: bool, as_json: bool) -> None:
    """Take back the configuration of a guest VM that does not run. Its id and memory are free again."""
    _act(socket, lambda client: client.vm.delete(vm, force), as_json)
    _show({"id": vm}, f"DELETE VM [{vm}] config successfully", as_json)


@command.command("getdefconfig")
@vm_argument
@json_option
@click.pass_obj
def getdefconfig(socket: str | None, vm: int, as_json: bool) -> None:
    """Print a VM's configuration as JSON.

    `vm config` reads it; that of VM 0 is for the option --mvm. File names are absolute. Of a VM that the managing VM
    configured they are not known, and therefore empty.
    """
    echo(visible_json(ask(socket, lambda client: client.vm.default_config(vm), as_json)), nl=False)


@command.command("getvmid")
@json_option
@click.pass_obj
def getvmid(socket: str | None, as_json: bool) -> None:
    """Print the id of the commanding VM.

    That is always 0: the engine takes commands on behalf of the managing VM.
    """
    ask(socket, lambda client: client.system.test(), as_json)
    _show({"id": 0}, "Current VM id is 0", as_json)


@command.command("stats")
@click.argument("vm", metavar="VMID|all", type=VmIdOrAll())
@json_option
@click.pass_obj
def stats(socket: str | None, vm: int | None, as_json: bool) -> None:
    """Show counters of a VM, or of all.

    VM exits by cause with the host's time for them, interrupts by source, the devices' counters, and how long each vCPU
    was on its core.
    """

    async def collect(client: Client) -> list[VmStatistics]:
        return await client.vm.all_statistics() if vm is None else [await client.vm.statistics(vm)]

    found = ask(socket, collect, as_json)
    if as_json:
        print_json(found if vm is None else found[0])
    else:
        echo("\n\n".join(vm_views.statistics(entry) for entry in found))


@command.command("faults")
@vm_argument
@json_option
@click.pass_obj
def faults(socket: str | None, vm: int, as_json: bool) -> None:
    """Show what a VM did wrong.

    Of each fault: cause, pc, instruction, addresses, which stage of translation failed at which level, and what should
    have been mapped there. Then the hypercalls that were refused to it.
    """

    async def collect(client: Client) -> tuple[VmFaults, list[RefusedCall]]:
        recorded = await client.vm.faults(vm)
        return recorded, [call for call in await client.vm.audit() if call.vm == vm]

    recorded, refused = ask(socket, collect, as_json)
    if as_json:
        print_json(
            {
                "faults": recorded.faults,
                "unrecorded": recorded.unrecorded,
                "refused": refused,
                "message": recorded.message,
            }
        )
    else:
        echo(vm_views.faults(recorded, refused))
