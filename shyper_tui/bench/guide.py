"""The measurement `guide`: what disks and networks of the user guide's set-up carry, and what a round trip takes.

A small program in the guests (`guests/linux/io_bench.c`) prints `result NAME COUNT NANOSECONDS`; COUNT is in bytes, or
in round trips for names that end so. Where there is something to compare, QEMU runs the same kernel and program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from shyper_tui.bench.guide_scenarios import ROUND_TRIP, Figures, scenarios
from shyper_tui.bench.launch import LaunchError
from shyper_tui.bench.measurements import UnavailableError
from shyper_tui.bench.qemu import Qemu
from shyper_tui.ipc.messages import EngineError


@dataclass(frozen=True)
class Quantity:
    """One row: MB/s, or microseconds for a round trip."""

    name: str
    what: str
    qemu: str = ""
    """The same on QEMU; "": nothing to compare with."""


QUANTITIES = (
    Quantity("engine_read", "disk served by the engine: read", "qemu_read"),
    Quantity("engine_write", "disk served by the engine: write", "qemu_write"),
    Quantity("engine_round_trip", "disk served by the engine: 4 KiB read", "qemu_round_trip"),
    Quantity("mediated_read", "mediated disk of the managing VM: read", "qemu_read"),
    Quantity("mediated_write", "mediated disk of the managing VM: write", "qemu_write"),
    Quantity("mediated_round_trip", "mediated disk of the managing VM: 4 KiB read", "qemu_round_trip"),
    Quantity("uplink_in", "TCP, host to managing VM", "qemu_uplink_in"),
    Quantity("uplink_out", "TCP, managing VM to host", "qemu_uplink_out"),
    Quantity("uplink_round_trip", "TCP round trip, host and managing VM", "qemu_uplink_round_trip"),
    Quantity("ssh_in", "scp of 32 MiB from the host into the managing VM", "qemu_ssh_in"),
    Quantity("ssh_out", "scp of 32 MiB from the managing VM to the host", "qemu_ssh_out"),
    Quantity("mvm_gvm_send", "TCP, managing VM to guest"),
    Quantity("mvm_gvm_receive", "TCP, guest to managing VM"),
    Quantity("mvm_gvm_round_trip", "TCP round trip, managing VM and guest"),
)


@dataclass(frozen=True)
class GuideResult:
    """A row's figures: MB/s, or microseconds of a round trip. `ratio` above 1: better than QEMU."""

    quantity: Quantity
    ours: float | None
    qemu: float | None

    @property
    def is_time(self) -> bool:
        return self.quantity.name.endswith(ROUND_TRIP)

    @property
    def ratio(self) -> float | None:
        if not self.ours or not self.qemu:
            return None
        return self.qemu / self.ours if self.is_time else self.ours / self.qemu


def measure(
    qemu: Qemu | None,
    folder: Path,
    repeats: int,
    progress: Callable[[str, int, int], None],
    complain: Callable[[str], None],
) -> tuple[list[GuideResult], list[str]]:
    """All rows, the best of `repeats` runs of either side, and what failed, one sentence each."""
    from shyper_tui import images

    linux = images.linux_images()
    if linux is None:
        raise UnavailableError("The Linux images are not there; fetch them with `shyper-tui images fetch`.")
    wanted = scenarios(folder, linux, qemu)
    best: Figures = {}
    failed: list[str] = []
    for turn in range(repeats):
        for number, (name, scenario) in enumerate(wanted.items()):
            what = f"guide: {name}, run {turn + 1} of {repeats}"
            progress(what, turn * len(wanted) + number, repeats * len(wanted))
            try:
                _keep(best, scenario())
            except (EngineError, LaunchError, TimeoutError) as error:
                sentence = f"guide: {name} failed: {error or 'it took too long'}"
                if sentence not in failed:
                    failed.append(sentence)
                    complain(f"{sentence}.")
    return [GuideResult(row, best.get(row.name), best.get(row.qemu)) for row in QUANTITIES], failed


def _keep(best: Figures, new: Figures) -> None:
    for name, value in new.items():
        choose = min if name.endswith(ROUND_TRIP) else max
        best[name] = choose(best.get(name, value), value)


def to_dicts(results: list[GuideResult]) -> list[dict[str, object]]:
    """For JSON: MB/s, microseconds for round trips."""
    return [
        {**asdict(result.quantity), "ours": result.ours, "qemu": result.qemu, "ratio": result.ratio}
        for result in results
    ]


def table(results: list[GuideResult]) -> str:
    """The results for a person."""
    rows: list[tuple[str, ...]] = [("quantity", "here", "QEMU", "ratio")]
    for result in results:
        unit = "µs" if result.is_time else "MB/s"
        cells = [_shown(value, unit) for value in (result.ours, result.qemu)]
        rows.append((result.quantity.what, *cells, f"{result.ratio:.2f}" if result.ratio else "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    legend = "the best of all runs; QEMU: the same kernel on its virtio devices; ratio above 1: better than QEMU"
    return "\n".join([*lines, "", legend])


def _shown(value: float | None, unit: str) -> str:
    if not value:
        return "-"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
