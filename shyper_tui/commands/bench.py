"""`shyper-tui bench`: the measurements of `shyper_tui.bench`."""

from __future__ import annotations

import click

NAMES = ("coremark_like", "sieve_sort", "memory", "recursion", "linux_boot", "mvm_boot")


@click.command("bench")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output instead of a table.")
@click.option("--only", "names", metavar="NAME", multiple=True, type=click.Choice(NAMES), help="Only this one.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, names: tuple[str, ...]) -> None:
    """Measure speed: bare-metal programs and Linux boots, compared with QEMU in the same run where it is installed.

    The ratio is QEMU's time divided by ours: above 1 is faster than QEMU.
    """
    from shyper_tui.bench import main

    ctx.exit(main([*(["--json"] if as_json else []), *(part for name in names for part in ("--only", name))]) or 0)
