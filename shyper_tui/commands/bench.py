"""`shyper-tui bench`: the measurements of `shyper_tui.bench`."""

from __future__ import annotations

from typing import Literal

import click

from shyper_tui.bench import GUIDE, HEAVY, NAMES
from shyper_tui.commands.output import echo


@click.command("bench")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output instead of a table.")
@click.option(
    "--only", "names", metavar="NAME", multiple=True, type=click.Choice((*NAMES, HEAVY, GUIDE)),
    help="Only this measurement; may be given several times.",
)  # fmt: skip
@click.option("--repeats", type=click.IntRange(1, 99), default=3, show_default=True, help="Runs of either side.")
@click.option(
    "--time", "clock", type=click.Choice(["wall", "cpu"]), default="wall", show_default=True,
    help="Compare wall time, or processor time of all threads, which other load disturbs less.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context, as_json: bool, names: tuple[str, ...], repeats: int, clock: Literal["wall", "cpu"]
) -> None:
    """Measure speed: bare-metal programs and Linux boots, compared with QEMU in the same run where it is installed.

    Every measurement is a whole process with its start-up, as a user starts it, and so is QEMU's. The time is wall
    time: to the end of a bare-metal program, to the line GUEST-READY of a Linux boot. Both sides run in turns; the best
    time of each counts. The ratio is QEMU's time divided by ours: above 1 is faster than QEMU.

    \b
    coremark_like sieve_sort memory recursion   bare-metal programs in M-mode
    NAME_mmu                                    the same in S-mode behind page tables
    linux_boot linux_boot_4                     Debian's kernel in machine mode, 1 and 4 harts
    mvm_boot                                    the same kernel as managing VM; QEMU boots it directly
    hypervisor                                  microseconds of single operations inside the managing VM, with goals
    heavy                                       guests that make the host work hard: what their neighbours keep,
                                                answers of the engine, its memory; only with --only heavy
    guide                                       disks and networks of the user guide's set-up, beside QEMU's; only
                                                with --only guide

    Exit status 1 when a measurement failed or nothing could be measured.
    """
    from shyper_tui.bench import qemu, session
    from shyper_tui.commands.images import ProgressLine

    progress = ProgressLine()

    def complain(sentence: str) -> None:
        progress.end()
        echo(sentence, err=True)

    report = session.run(names or NAMES, repeats, progress, complain, qemu.find_qemu(), clock)
    progress.end()
    echo(report.to_json() if as_json else report.table())
    ctx.exit(0 if report.ok else 1)
