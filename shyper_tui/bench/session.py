"""A bench run: every measurement repeated, ours and QEMU's in turns."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from shyper_tui.bench import GUIDE, HEAVY, HYPERVISOR, guide, heavy, hypervisor
from shyper_tui.bench.launch import LaunchError, Timing, timed
from shyper_tui.bench.measurements import Measurement, UnavailableError, measurement
from shyper_tui.bench.qemu import Qemu
from shyper_tui.bench.report import Clock, Remark, Report, Result

TIMEOUT = 600.0
"""Seconds that one process may take."""

Progress = Callable[[str, int, int], None]
"""Called with a text, what is done and how much there is to do."""

_INSTRUCTIONS = re.compile(r"(\d+) instructions")


def run(
    names: Iterable[str],
    repeats: int,
    progress: Progress,
    complain: Callable[[str], None],
    qemu: Qemu | None = None,
    clock: Clock = "wall",
) -> Report:
    """Measures what is named. `complain` hears of what is skipped and what failed, one sentence each."""
    report = Report(qemu.version if qemu else None, repeats, clock)
    with tempfile.TemporaryDirectory(prefix="shyper-tui-bench-") as folder:
        found: list[Measurement] = []
        wanted = list(names)
        for name in wanted:
            if name in (HYPERVISOR, HEAVY, GUIDE):
                continue
            try:
                found.append(measurement(name, qemu, Path(folder)))
            except UnavailableError as error:
                report.skipped.append(Remark(name, str(error)))
                complain(f"{name} is skipped: {error}")
        if found or {HYPERVISOR, HEAVY, GUIDE} & set(wanted):
            warm_up(progress)
        for what in found:
            try:
                report.results.append(measure(what, repeats, progress, complain, clock))
            except LaunchError as error:
                report.failed.append(Remark(what.name, str(error)))
                complain(f"{what.name} failed: {error}.")
        if HYPERVISOR in wanted:
            report.costs, failures = hypervisor.measure(qemu, Path(folder), repeats, TIMEOUT, progress, complain)
            report.failed += [Remark(HYPERVISOR, sentence) for sentence in failures]
        if HEAVY in wanted:
            report.heavy, failures = heavy.measure(Path(folder), progress, repeats=repeats)
            report.failed += [Remark(HEAVY, sentence) for sentence in failures]
        if GUIDE in wanted:
            try:
                report.guide, failures = guide.measure(qemu, Path(folder), repeats, progress, complain)
                report.failed += [Remark(GUIDE, sentence) for sentence in failures]
            except UnavailableError as error:
                report.skipped.append(Remark(GUIDE, str(error)))
                complain(f"{GUIDE} is skipped: {error}")
    return report


def warm_up(progress: Progress) -> None:
    """Compiles the core where it is not in the cache, so that no measurement contains that."""
    from shyper_tui.engine.hart.program import program

    program(lambda text, share: progress(text, int(100 * share), 100))


def measure(
    what: Measurement,
    repeats: int,
    progress: Progress,
    complain: Callable[[str], None] = lambda text: None,
    clock: Clock = "wall",
) -> Result:
    """The best of `repeats` runs of either side. Raises LaunchError when ours fails, or computes something else than
    QEMU."""
    ours: list[Timing] = []
    theirs: list[Timing] = []
    peer = what.peer
    runs = repeats * (2 if peer else 1)
    for turn in range(repeats):
        progress(f"{what.name}, run {turn + 1} of {repeats}", len(ours) + len(theirs), runs)
        ours.append(timed(what.ours, TIMEOUT))
        if peer is not None:
            progress(f"{what.name}, run {turn + 1} of {repeats}: QEMU", len(ours) + len(theirs), runs)
            try:
                theirs.append(timed(peer, TIMEOUT))
            except LaunchError as error:
                complain(f"{what.name} is not compared, QEMU failed: {error}.")
                peer = None
                theirs.clear()
    _compare_outputs(what, ours + theirs)
    best = min(ours, key=_seconds(clock))
    seconds, count = _seconds(clock)(best), instructions(best.log)
    other = min(map(_seconds(clock), theirs), default=None)
    return Result(
        what.name,
        count,
        round(seconds, 4),
        round(count / seconds / 1e6, 1),
        None if other is None else round(other, 4),
        None if other is None else round(other / seconds, 3),
    )


def _seconds(clock: Clock) -> Callable[[Timing], float]:
    return lambda timing: timing.wall if clock == "wall" else timing.cpu


def instructions(log: str) -> int:
    """The number of instructions in the closing line of `shyper-tui machine` and `shyper-tui run`."""
    match = _INSTRUCTIONS.search(log)
    if match is None:
        raise LaunchError("it did not tell how many instructions it has executed")
    return int(match[1])


def _compare_outputs(what: Measurement, timings: list[Timing]) -> None:
    """A program prints a checksum of its results; a wrong result is no measurement."""
    if what.ours.until is not None:
        return
    answers = {timing.output.decode("utf-8", "replace").strip() for timing in timings}
    if len(answers) > 1:
        raise LaunchError(f"its runs had different results: {' / '.join(sorted(answers))}")
