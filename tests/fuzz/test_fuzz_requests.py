"""Random requests of clients, with arguments of any type, to a workstation with the embedded guests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from shyper_tui.config import sample_path
from shyper_tui.engine.requests import ACTIONS, Arguments
from shyper_tui.engine.workstation import Workstation
from shyper_tui.ipc.messages import EngineError, EngineOptions, to_wire
from tests.fuzz.cases import U64, fuzz, mostly

SAMPLE = sample_path("embedded-guest").read_text()
FOLDER = str(sample_path("embedded-guest").parent)
DAEMON = '{"mediated": ["/nowhere/disk.img"]}'
ROUND = 20_000  # cycles

anything = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), U64), st.floats(), st.text(max_size=8), st.binary(max_size=8),
    st.lists(st.integers(0, 3), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(0, 3), max_size=2),
)  # fmt: skip
texts = st.one_of(
    st.sampled_from([SAMPLE, SAMPLE, SAMPLE, "", DAEMON, "{}"]),
    st.builds(lambda at: SAMPLE[:at] + SAMPLE[at + 3 :], st.integers(0, len(SAMPLE))),
)
suitable: dict[str, st.SearchStrategy[Any]] = {
    "vm": mostly(st.integers(0, 2), st.integers(-2, 9)),
    "force": st.booleans(),
    "text": texts,
    "directory": st.sampled_from([FOLDER, "/", "nowhere", "\0"]),
    "file": st.sampled_from(["guest.json", "", "/"]),
    "data": st.binary(max_size=40),
    "columns": st.integers(-1, 70_000),
    "rows": st.integers(-1, 70_000),
}
arguments = st.fixed_dictionaries({name: mostly(values, anything) for name, values in suitable.items()})
requests = st.lists(
    st.one_of(st.tuples(st.sampled_from(sorted(ACTIONS)), arguments), st.integers(1, 5)), min_size=1, max_size=10
)


class Engine:
    """A workstation with the built-in managing VM, built anew after a case that failed or that switched it off."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.station: Workstation | None = None

    def begin(self) -> Workstation:
        if self.station is None:
            options = EngineOptions(embedded=True, vms=[], clock="virtual", log_dir=self._folder)
            self.station = Workstation(options, lambda state, message: None, lambda: None)
            self.station.start()
        chosen, self.station = self.station, None
        return chosen

    def end(self, station: Workstation) -> None:
        """Back to a managing VM without guests, where that is possible."""
        if station.off:
            station.close()
            return
        for vm in list(station.vms.infos()):
            if vm.id:
                station.vms.remove(vm.id)
        run(station, 2)
        assert [vm.id for vm in station.vms.infos()] == [0]
        self.station = station


def run(station: Workstation, rounds: int) -> None:
    machine = station.machine
    for _ in range(rounds):
        if machine.power is None:
            machine.run_round(machine.cycle + ROUND)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(str(tmp_path_factory.mktemp("logs")))


@fuzz("requests of clients", share=0.04, quick=40, chosen=requests)
def test_any_request_is_answered_or_refused(engine: Engine, chosen: list[tuple[str, dict[str, Any]] | int]) -> None:
    station = engine.begin()
    refused: list[EngineError] = []
    for step in chosen:
        if isinstance(step, int):
            run(station, step)
            continue
        method, values = step
        try:
            to_wire(ACTIONS[method](station, Arguments(values)))
        except EngineError as refusal:
            refused.append(refusal)
    assert all(refusal.code and str(refusal) for refusal in refused)
    engine.end(station)
