"""Every SBI call with good and with bad arguments, made by a C guest: as managing VM with one hart, as guest with
three."""

from __future__ import annotations

import pytest

from shyper_tui.engine.firmware.sbi import ResetType
from shyper_tui.engine.hypervisor.vm import VmState
from tests.hypervisor.conformance import Conformance
from tests.hypervisor.transcript import Transcript

SUCCESS, NOT_SUPPORTED, INVALID_PARAM, INVALID_ADDRESS, ALREADY_AVAILABLE = 0, -2, -3, -5, -6
"""Error codes of the SBI specification."""
STARTED, STOPPED = 0, 1
TEXT = "[debug console]"
HARTS = (1, 3)


@pytest.fixture(scope="module")
def runs() -> dict[int, Transcript]:
    """What a VM with that many harts got."""
    return {1: Conformance.as_managing_vm().run("sbi"), 3: Conformance.as_guest().run("sbi")}


@pytest.fixture(params=HARTS, ids=["mvm", "guest"])
def harts(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def errors(found: Transcript, *names: str) -> dict[str, int]:
    return {name: found.result(name) for name in names}


def answers(found: Transcript, *names: str) -> dict[str, tuple[int, int]]:
    """(a0, a1) of calls."""
    return {name: (found.calls[name][0].a0, found.calls[name][0].a1) for name in names}


def test_base_values_and_probe_table(runs: dict[int, Transcript], harts: int) -> None:
    found = runs[harts]
    assert answers(found, *(f"base {function}" for function in (0, 1, 2, 4, 5, 6, 7))) == {
        "base 0": (SUCCESS, 0x0200_0000),
        "base 1": (SUCCESS, 4),
        "base 2": (SUCCESS, 0x400),
        "base 4": (SUCCESS, 0),
        "base 5": (SUCCESS, 0),
        "base 6": (SUCCESS, 3),
        "base 7": (NOT_SUPPORTED, 0),
    }
    there = ("BASE", "TIME", "sPI", "RFNC", "HSM", "SRST", "DBCN", *(f"legacy {number}" for number in range(9)))
    absent = ("CPPC", "NACL", "STA", "SSE", "FWFT", "unknown", "64 bits")
    assert answers(found, *(f"probe {name}" for name in there)) == {f"probe {name}": (SUCCESS, 1) for name in there}
    assert answers(found, *(f"probe {name}" for name in absent)) == {f"probe {name}": (SUCCESS, 0) for name in absent}
    assert errors(found, "unknown", "CPPC", "NACL", "STA") == dict.fromkeys(
        ("unknown", "CPPC", "NACL", "STA"), NOT_SUPPORTED
    )


def test_timer_calls(runs: dict[int, Transcript], harts: int) -> None:
    found = runs[harts]
    assert answers(found, "time", "time never") == {"time": (0, 0), "time never": (0, 0)}
    assert found.result("time 1") == NOT_SUPPORTED
    assert ("timer", "interrupts", 1) in found.counts
    assert ("legacy timer", "interrupts", 1) in found.counts


def test_ipis_reach_harts_of_the_vm_and_no_others(runs: dict[int, Transcript], harts: int) -> None:
    found = runs[harts]
    good = ("ipi self", "ipi all", "ipi nobody")
    bad = ("ipi beyond", "ipi too many", "ipi base 64")
    assert errors(found, *good) == dict.fromkeys(good, SUCCESS)
    assert errors(found, *bad) == dict.fromkeys(bad, INVALID_PARAM)
    assert found.result("ipi 1") == NOT_SUPPORTED


def test_remote_fences(runs: dict[int, Transcript], harts: int) -> None:
    found = runs[harts]
    for function in range(8):
        expected = (SUCCESS, SUCCESS, INVALID_PARAM) if function < 3 else (NOT_SUPPORTED,) * 3
        names = [f"rfence {function}{what}" for what in ("", " all", " beyond")]
        assert tuple(errors(found, *names).values()) == expected, names


def test_hart_states_and_errors(runs: dict[int, Transcript], harts: int) -> None:
    found = runs[harts]
    states = {"status 0": (SUCCESS, STARTED), **{f"status {hart}": (SUCCESS, STOPPED) for hart in range(1, harts)}}
    states |= {f"status {harts}": (INVALID_PARAM, 0), "status huge": (INVALID_PARAM, 0)}
    assert answers(found, *states) == states
    assert errors(found, "start self", "start beyond", "start bad address") == {
        "start self": ALREADY_AVAILABLE,
        "start beyond": INVALID_PARAM,
        "start bad address": INVALID_ADDRESS if harts > 1 else ALREADY_AVAILABLE,
    }
    suspends = {
        "suspend reserved": INVALID_PARAM,
        "suspend platform": NOT_SUPPORTED,
        "suspend 64 bits": INVALID_PARAM,
        "suspend bad address": INVALID_ADDRESS,
        "suspend": SUCCESS,
        "hsm 4": NOT_SUPPORTED,
    }
    assert errors(found, *suspends) == suspends


def test_harts_start_stop_and_start_again() -> None:
    guest = Conformance.as_guest(cores=0b1110)
    found = guest.run("harts")
    for hart in (1, 2):
        for how in ("", " after stop"):
            assert (f"start {hart}{how}", "error", 0) in found.counts
            (started,) = found.calls[f"started {hart}{how}"]
            assert (started.a0, started.a1) == (SUCCESS, STARTED)
        assert found.results(f"start {hart} again") == [ALREADY_AVAILABLE] * 2
        assert [(made.a0, made.a1) for made in found.calls[f"stopped {hart}"]] == [(SUCCESS, STOPPED)] * 2
    cores = [vcpu.core.hart_id for vcpu in guest.station.manager.vm(1).vcpus]
    assert cores == [1, 2, 3]


def test_a_hypercall_may_come_from_any_hart() -> None:
    found = Conformance.as_guest().run("harts")
    for hart in (1, 2):
        made = found.calls[f"id on {hart}"]
        assert [(call.number, call.a0, call.changed) for call in made] == [(0x0A00_0108, 0, ())] * 2
    assert found.data["id"] == (1).to_bytes(8, "little") * 4


def test_resets_with_reserved_arguments_are_refused(runs: dict[int, Transcript], harts: int) -> None:
    refused = {
        "reset type": INVALID_PARAM,
        "reset type 64 bits": INVALID_PARAM,
        "reset vendor type": NOT_SUPPORTED,
        "reset reason": INVALID_PARAM,
        "reset reason 64 bits": INVALID_PARAM,
        "reset 1": NOT_SUPPORTED,
    }
    assert errors(runs[harts], *refused) == refused


def test_the_debug_console_translates_guest_addresses(runs: dict[int, Transcript], harts: int) -> None:
    found = runs[harts]
    expected = {
        "console write": (SUCCESS, len(TEXT)),
        "console write nothing": (SUCCESS, 0),
        "console write nowhere": (INVALID_PARAM, 0),
        "console write high": (INVALID_PARAM, 0),
        "console read": (SUCCESS, 0),
        "console read nowhere": (INVALID_PARAM, 0),
        "console byte": (SUCCESS, 0),
        "console 3": (NOT_SUPPORTED, 0),
    }
    assert answers(found, *expected) == expected


@pytest.mark.parametrize("role", ["mvm", "guest"])
def test_console_calls_write_to_the_console_of_their_vm_alone(role: str) -> None:
    guest = Conformance.as_managing_vm() if role == "mvm" else Conformance.as_guest()
    before = {vm: len(shown) for vm, shown in guest.station.consoles.items()}
    guest.run("sbi")
    shown = {vm: bytes(data[before.get(vm, 0) :]).decode() for vm, data in guest.station.consoles.items()}
    own = shown.pop(guest.vm_id)
    assert own.count(TEXT + "=") == 1
    assert "!= console byte" in own  # one byte each
    assert "?= putchar" in own
    assert set(shown.values()) <= {""}


def test_legacy_calls_answer_in_a0_alone(runs: dict[int, Transcript], harts: int) -> None:
    found = runs[harts]
    good = ("legacy timer", "legacy timer never", "legacy ipi", "legacy clear", "legacy fence", "legacy sfence",
            "legacy sfence asid", "putchar")  # fmt: skip
    assert errors(found, *good) == dict.fromkeys(good, 0)
    assert found.result("getchar") == -1  # nothing was typed
    assert {name: found.calls[name][0].changed for name in (*good, "getchar")} == dict.fromkeys((*good, "getchar"), ())


@pytest.mark.parametrize(("call", "again"), [("0x53525354 0 0 0", False), ("8 0", False), ("0x53525354 0 1 0", True)])
def test_a_guest_powers_off_or_starts_again_alone(call: str, again: bool) -> None:
    guest = Conformance.as_guest()
    station, shown = guest.station, len(guest.station.consoles[0])
    station.type(1, f"ecall {call}\r".encode())
    if again:
        station.until(lambda: station.manager.vm(1).boots == 2 and station.manager.state(1) is VmState.ACTIVE)
    else:
        station.until(lambda: station.manager.state(1) is VmState.PENDING)
    assert station.manager.state(0) is VmState.ACTIVE
    assert station.resets == []
    assert station.consoles[0][shown:] == b""


def test_a_power_off_of_the_managing_vm_is_reported() -> None:
    mvm = Conformance.as_managing_vm()
    mvm.station.type(0, b"ecall 0x53525354 0 0 0\r")
    mvm.station.until(lambda: mvm.station.resets == [ResetType.SHUTDOWN])
