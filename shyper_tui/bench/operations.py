"""The hypervisor's operations that are measured, with Rust-Shyper's figures and our goals, and the table of results."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Operation:
    """One row. Times in microseconds inside the managing VM; `rust_shyper`: measured there on QEMU 10.0.2.

    `goal` is the most it should take, `goal_ratio` how often the time of machine mode; None: nothing is promised.
    """

    name: str
    what: str
    rust_shyper: float
    goal: float | None = None
    goal_ratio: float | None = None


OPERATIONS = (
    Operation("hypercall", "hypercall (get VM id)", 25.6, goal=12.8),
    Operation("sbi_base", "SBI base call", 20.5, goal=10.25),
    Operation("remote_fence", "remote fence to itself", 31.3),
    Operation("plic_read", "vPLIC register read", 110, goal=22),
    Operation("virtio_read", "emulated virtio register read", 119, goal=23.8),
    Operation("passthrough_read", "passthrough virtio register read", 3.4),
    Operation("pipe_ping_pong", "pipe ping-pong between processes", 116, goal_ratio=1.15),
    Operation("fork_wait", "fork and wait", 1157, goal_ratio=1.15),
    Operation("usleep_1ms", "sleep of 1 ms", 10200),
    Operation("ping", "pings from the managing VM, one after the other", 2300, goal=500),
    Operation("ping_apart", "a ping when nothing was done for 100 ms", 2300, goal=500),
    Operation("create_1gib", "creation of a VM with 1 GiB", 50_000, goal=50_000),
    Operation("remove_pause", "longest pause while a full VM of 1 GiB is removed", 2_200_000, goal=10_000),
)


@dataclass(frozen=True)
class Cost:
    """What one operation took (microseconds): in the managing VM, in our machine mode, on QEMU without hypervisor."""

    operation: Operation
    managing_vm: float | None
    machine: float | None = None
    qemu: float | None = None

    @property
    def ratio(self) -> float | None:
        """How often machine mode's time."""
        return self.managing_vm / self.machine if self.managing_vm and self.machine else None

    @property
    def goal_met(self) -> bool | None:
        """None where nothing is promised or measured."""
        if self.managing_vm is None:
            return None
        if self.operation.goal is not None:
            return self.managing_vm <= self.operation.goal
        if self.operation.goal_ratio is not None and self.ratio is not None:
            return self.ratio <= self.operation.goal_ratio
        return None

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        described = {key: value for key, value in asdict(self.operation).items() if key != "what"}
        times = {"managing_vm": self.managing_vm, "machine": self.machine, "qemu": self.qemu}
        return {**described, **times, "ratio": self.ratio, "goal_met": self.goal_met}


def table(costs: list[Cost]) -> str:
    """The results for a person."""
    rows = [("operation", "µs in MVM", "machine", "ratio", "QEMU", "Rust-Shyper", "goal", "")]
    for cost in costs:
        operation = cost.operation
        goal = "-"
        if operation.goal is not None:
            goal = f"≤ {operation.goal:g}"
        elif operation.goal_ratio is not None:
            goal = f"≤ {operation.goal_ratio:g} ×"
        met = {None: "", True: "met", False: "missed"}[cost.goal_met]
        ratio = "-" if cost.ratio is None else f"{cost.ratio:.2f}"
        times = (_cell(cost.managing_vm), _cell(cost.machine), ratio, _cell(cost.qemu), _cell(operation.rust_shyper))
        rows.append((operation.what, *times, goal, met))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    legend = (
        "µs per operation, the best of several batches (ping: the mean, removal: the median); machine: the same "
        "program without hypervisor,\nratio: against that; QEMU: the same there; Rust-Shyper: measured on QEMU 10.0.2"
    )
    return "\n".join([*(line.rstrip() for line in lines), "", legend])


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
