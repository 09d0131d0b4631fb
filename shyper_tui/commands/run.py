"""`shyper-tui run`: the machine without the workstation, for scripts and tests."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import Any

import click

from shyper_tui.commands.check import check_configurations
from shyper_tui.commands.engine_options import EngineChoice, engine_options
from shyper_tui.commands.output import echo
from shyper_tui.commands.script_steps import ScriptedCommand, StepType
from shyper_tui.commands.transcript import Transcript, last_lines
from shyper_tui.ipc.messages import (
    TICKS_PER_SECOND,
    EngineError,
    MachineStatus,
    ScenarioStatus,
    ScenarioStep,
    WorkerExit,
)
from shyper_tui.plain_text import visible

INTERRUPTED = 130


@click.command("run", cls=ScriptedCommand)
@engine_options
@click.option("--headless", is_flag=True, help="Print the consoles here instead of opening the workstation.")
@click.option(
    "--until", type=StepType("until"), multiple=True, metavar="vmN:TEXT",
    help="Wait until the console of VM N has shown TEXT. Exit 0 when every text was seen, else 1.",
)  # fmt: skip
@click.option(
    "--send", type=StepType("send"), multiple=True, metavar="vmN:TEXT",
    help="Then type TEXT and Enter on the console of VM N. Steps are done in the order given; a later --until for the "
    "same VM looks only at what comes after. \\n \\t \\e \\xNN stand for control characters, \\c at the end: no Enter.",
)  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Give up after S seconds.")
@click.option("--quiet", "-q", is_flag=True, help="Do not print the consoles.")
@click.pass_context
def command(
    ctx: click.Context, choice: EngineChoice, headless: bool, until: Any, send: Any, timeout: float | None, quiet: bool
) -> None:
    """Run the machine without the workstation, for scripts and tests.

    Prints the consoles line by line with the VM in front, as plain text: escape sequences and control characters are
    left out, and lines of more than 4096 characters are printed in parts. Stops when every --until was seen and every
    --send was typed. Without these, runs until the machine is powered off or Ctrl-C.

    The managing VM begins with the installed disk, and what it writes ends with the run, unless --mvm-disk names an
    image.

    What the consoles send is logged as it comes, in vmN.log of --log-dir. A log of 32 MiB begins anew, and the one
    before stays as vmN.log.1; a file that has the name already is renamed. Without --log-dir, the logs of the last 20
    runs stay in the user's state folder (~/.local/state/shyper-tui/logs), up to 1 GiB of them.

    \b
    Example:
      shyper-tui run --headless --until 'vm0:mvm# ' --send 'vm0:shyper vm list' --until 'vm0:Active' --timeout 60
    """
    steps: list[ScenarioStep] = ctx.meta["script"]
    check_configurations(choice)
    if not headless and not steps and sys.stdout.isatty() and sys.stdin.isatty():
        from shyper_tui.commands.workstation import open_workstation

        ctx.exit(open_workstation(choice))
    default_clock = "virtual" if steps else "wall"
    try:
        options = choice.options(default_clock, script=steps)
        options["snapshot"] = choice.snapshot or choice.mvm_disk is None  # a script finds the same disk each time
        status = asyncio.run(run_headless(options, timeout, quiet))
    except KeyboardInterrupt:
        echo("Interrupted; the machine was stopped.", err=True)
        status = INTERRUPTED
    except EngineError as error:
        raise click.ClickException(visible(error.message)) from None
    ctx.exit(status)


async def run_headless(options: dict[str, Any], timeout: float | None, quiet: bool) -> int:  # noqa: ASYNC109
    """Runs an engine with these options to the end of its script, and returns the exit status."""
    from shyper_tui.ipc.client import Client

    started = time.monotonic()
    options["script"] = [_plain(step) for step in options["script"]]
    try:
        async with asyncio.timeout(timeout):
            started_client = await Client.start(options, _show_warning)
    except TimeoutError:
        raise EngineError("timeout", f"The engine did not start within {timeout:g} s") from None
    async with started_client as client:
        left = None if timeout is None else max(0.001, timeout - (time.monotonic() - started))
        transcript = Transcript(client, quiet)

        async def to_the_end() -> int:
            if options["script"]:
                outcome = await client.wait_scenario(left)
                chosen = bool(options.get("embedded") or options["mvm"])
                return await _report(client, transcript, outcome, timeout, started, chosen)
            return await _until_stopped(client, left)

        work = asyncio.create_task(to_the_end())
        try:
            waiting: set[asyncio.Future[Any]] = {work, transcript.broken}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if transcript.broken.done():
                transcript.broken.result()
            return await work
        except EngineError as error:
            if error.code != "engine-gone":
                raise
            raise EngineError(error.code, _end_of(await client.closed)) from None
        finally:
            work.cancel()
            await transcript.finish()


def _show_warning(line: str) -> None:
    """Of the engine's log, what the user should know at once."""
    if line.startswith("warning: "):
        echo(f"Warning: {line.removeprefix('warning: ')}.", err=True)


def _end_of(exited: WorkerExit) -> str:
    """One sentence on an engine that ended while it was needed."""
    status = exited.status
    if status is not None and status < 0:
        return f"The engine was killed by signal {-status} ({signal.Signals(-status).name}). Run it again."
    last = f"; its last message: {exited.log[-1]}" if exited.log else ""
    return f"The engine ended with status {status}{last}. Run it again."


def _plain(step: ScenarioStep) -> dict[str, Any]:
    return {"action": step.action, "vm": step.vm, "text": step.text}


async def _report(
    client: Any, transcript: Transcript, outcome: ScenarioStatus, timeout: float | None, started: float,  # noqa: ASYNC109
    chosen_embedded: bool,
) -> int:  # fmt: skip
    machine: MachineStatus = await client.status()
    await transcript.finish()
    if outcome.finished:
        seconds = machine.time_ticks / TICKS_PER_SECOND
        echo(
            f"Every text was seen: {machine.instructions} instructions, {seconds:.3f} s of machine time, "
            f"{time.monotonic() - started:.1f} s here.",
            err=True,
        )
        return 0
    from shyper_tui import images

    reason = outcome.failure or f"not everything was seen within {timeout:g} s"
    missing = [step for step in outcome.steps if not step.done]
    echo(f"Error: {visible(reason)}. Missing: {', '.join(f'vm{step.vm}:{step.text!r}' for step in missing)}", err=True)
    if machine.embedded and not chosen_embedded:
        broken = images.damaged()
        note = f"{broken[0]} of the Linux images is damaged" if broken else "no Linux images are installed"
        echo(f"The built-in systems ran: {note} (`shyper-tui images fetch`).", err=True)
    vms = sorted({step.vm for step in outcome.steps} | {0})
    for vm in vms:
        echo(f"--- last lines of vm{vm} ---\n{await last_lines(client, vm)}", err=True)
    return 1


async def _until_stopped(client: Any, timeout: float | None) -> int:  # noqa: ASYNC109
    """No script: runs until the machine is off; `timeout` is then an orderly end."""
    try:
        status: MachineStatus = await asyncio.wait_for(client.wait_state("stopped", "failed"), timeout)
    except TimeoutError:
        return 0
    if status.state == "failed":
        raise EngineError("failed", f"The machine failed: {status.message}")
    return 0
