"""`shyper-tui machine`: one board, any software, its serial console on this terminal."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from shyper_tui.commands.engine_options import EXISTING_FILE
from shyper_tui.commands.outer_network import NetworkOptions, network_options
from shyper_tui.commands.output import echo, echo_progress
from shyper_tui.commands.script_steps import ScriptedCommand, StepType
from shyper_tui.plain_text import ConsoleText, visible

QUIT = 0
TIMED_OUT, FAILED, INTERRUPTED = 1, 1, 130


class MemorySize(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4, and not before
    """`512M`, `1G`, `0x40000000` or a number of bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(0x[0-9a-f]+|\d+)([kmg]?)(?:i?b)?", value.strip().lower())
        if match is None:
            self.fail(f"{value!r} is no size; write for example 512M or 2G.", param, ctx)
        size = int(match[1], 0) << {"": 0, "k": 10, "m": 20, "g": 30}[match[2]]
        if not 16 << 20 <= size <= 16 << 30 or size % 4096:
            self.fail("The machine's memory is 16M to 16G, in whole pages of 4 KiB.", param, ctx)
        return size


class ConsoleStep(StepType):
    """The text of a step; there is one console here, so `vm0:` in front may be left out."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and not value.startswith("vm0:"):
            value = f"vm0:{value}"
        return super().convert(value, param, ctx)


@click.command("machine", cls=ScriptedCommand)
@click.option("--kernel", metavar="FILE", type=EXISTING_FILE, help="Linux Image, ELF file or raw binary for S-mode.")
@click.option("--initrd", metavar="FILE", type=EXISTING_FILE, help="Initial RAM disk for the kernel.")
@click.option("--append", metavar="TEXT", default="", help="Command line of the kernel.")
@click.option("--bios", metavar="FILE", type=EXISTING_FILE, help="Firmware for M-mode instead of the built-in SBI.")
@click.option("--smp", metavar="N", type=click.IntRange(1, 8), default=1, show_default=True, help="Number of harts.")
@click.option("--memory", "-m", type=MemorySize(), default="1G", show_default=True, help="RAM at 0x80000000.")
@click.option(
    "--drive", "drives", metavar="FILE", multiple=True, type=EXISTING_FILE, help="Raw disk image for a virtio slot."
)
@click.option(
    "--snapshot", is_flag=True, help="Leave the drives as they are: what the guest writes is gone at the end."
)
@click.option(
    "--clock", type=click.Choice(["virtual", "wall"]), default="wall", show_default=True,
    help="Machine time follows executed instructions (runs repeat exactly), or the host's clock.",
)  # fmt: skip
@click.option(
    "--headless",
    is_flag=True,
    help="Leave the terminal as it is: for scripts. A terminal gets plain text then, a file or pipe the guest's bytes.",
)
@click.option("--until", type=ConsoleStep("until"), multiple=True, metavar="TEXT", help="Stop when TEXT was seen.")
@click.option("--send", type=ConsoleStep("send"), multiple=True, metavar="TEXT", help="Then type TEXT and Enter.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Give up after S seconds.")
@network_options
@click.pass_context
def command(
    ctx: click.Context, /, headless: bool, timeout: float | None, until: Any, send: Any, outer: NetworkOptions,
    **board: Any,
) -> None:  # fmt: skip
    """Run any kernel, firmware or hypervisor on the bare machine: the board of QEMU's `virt`, RV64GC with the H
    extension.

    The serial console is this terminal: every key goes to the guest, and the terminal obeys what the guest sends, as on
    any serial line. Leave with ctrl+] or ctrl+a x. The exit status
    is 0 when the guest powers the machine off, and the guest's code when it reports a failure through the test
    finisher.

    \b
    Example:
      shyper-tui machine --kernel Image --initrd initramfs.cpio --append 'console=ttyS0' --smp 4 --memory 1G
    """
    if not board["kernel"] and not board["bios"]:
        raise click.UsageError("There is nothing to run: give --kernel FILE or --bios FILE.")
    from shyper_tui.ipc.messages import EngineError

    try:
        ctx.exit(run_machine(board, ctx.meta["script"], headless, timeout, outer))
    except EngineError as error:
        raise click.ClickException(visible(error.message)) from None


def run_machine(
    board: dict[str, Any], script: list[Any], headless: bool, timeout: float | None, outer: NetworkOptions
) -> int:
    """Builds the machine, runs it in a thread of its own beside the terminal, and returns the exit status."""
    from shyper_tui.commands.terminal import converse, raw_terminal
    from shyper_tui.engine.bare_machine import BareMachine
    from shyper_tui.engine.capture import CaptureFile
    from shyper_tui.engine.outer_network import network_choice

    begun = time.monotonic()
    try:
        with _limit(timeout):
            machine = BareMachine(
                **board, script=script, on_console=_console_writer(headless), on_progress=_progress,
                on_trouble=_trouble, network=network_choice(outer.network, outer.forwards, quiet=headless),
                pcap=CaptureFile(Path(outer.pcap), outer.pcap_replace) if outer.pcap else None,
            )
    except _TimedOut:
        echo(f"Error: the files were not loaded within {timeout:g} s.", err=True)
        return TIMED_OUT
    note = f" {machine.note}" if machine.note else ""
    if note and not headless:
        echo(f"Note:{note}", err=True)
    ended, tell = os.pipe()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            machine.run()
        except BaseException as error:  # reported by the main thread below
            failures.append(error)
        finally:
            os.write(tell, b"x")

    def stop(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    thread = threading.Thread(target=run, name="machine", daemon=True)
    thread.start()
    status = QUIT
    left = None if timeout is None else max(0.0, timeout - (time.monotonic() - begun))
    try:
        if headless:
            finished = converse(machine.type, ended, left)
        else:
            with raw_terminal():
                finished = converse(machine.type, ended, left)
        if not finished and timeout is not None:
            status = TIMED_OUT
            echo(f"\nError: {machine.missing or 'the machine was not off'} within {timeout:g} s.{note}", err=True)
    except KeyboardInterrupt:
        finished, status = False, INTERRUPTED
    machine.stop()
    thread.join(10)
    if failures:
        raise failures[0]
    if finished and machine.missing:
        echo(f"\nError: the machine stopped; {machine.missing}.{note}", err=True)
        return FAILED
    if machine.summary:
        echo(f"\n{machine.summary}", err=True)
    return machine.exit_code if finished else status


class _TimedOut(BaseException):
    """Passes through everything that handles errors, as KeyboardInterrupt does."""


@contextlib.contextmanager
def _limit(seconds: float | None) -> Iterator[None]:
    """Raises _TimedOut when what is inside takes longer: a few kilobytes of a kernel may unpack to gigabytes."""

    def end(_signal: int, _frame: object) -> None:
        raise _TimedOut

    if seconds is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _console_writer(headless: bool) -> Callable[[bytes], None]:
    """Writes the guest's bytes to standard output as they are, except where a terminal would obey them and nobody asked
    for that: with --headless it gets plain text."""
    text = ConsoleText() if headless and sys.stdout.isatty() else None

    def write(data: bytes) -> None:
        if text is not None:
            echo(text.feed(data), nl=False)
            return
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    return write


def _trouble(sentence: str) -> None:
    """Shows what goes wrong meanwhile; the terminal may be in raw mode."""
    click.echo(f"\r\nWarning: {visible(sentence)}.\r", err=True)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        echo_progress(text)
