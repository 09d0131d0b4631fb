"""A device tree overlay that comes in pieces by hypercall."""

from __future__ import annotations

from tests.hypervisor.caller import Caller
from tests.hypervisor.station import Station, guest
from tests.hypervisor.test_hypercalls import PAGE, hypercall, perform_with

OVERLAY = 11
TEXT = bytes(range(200))


def piece(offset: int, size: int, vm_id: int = 1, whole: int = len(TEXT), at: int = PAGE) -> tuple[int, ...]:
    return (vm_id, whole, at + offset, offset, size)


def made(*calls: tuple[int, ...]) -> tuple[list[int], bytes]:
    """Results of the calls, and the overlay that VM 1 has then."""
    mvm = Caller(Station())
    mvm.station.manager.define(guest(1, 0b0010))
    memory = {PAGE: TEXT, PAGE + 0x1000: b"an earlier attempt"}
    answers = perform_with(mvm, memory, *[hypercall(0x11, OVERLAY, *call) for call in calls])
    return answers, bytes(mvm.station.manager.entry(1).definition.overlay)


def test_pieces_follow_each_other_and_the_last_may_be_announced_too_long() -> None:
    assert made(piece(0, 90), piece(90, 90), piece(180, 200)) == ([0, 0, 0], TEXT)


def test_a_piece_at_offset_0_begins_anew() -> None:
    earlier = piece(0, 18, at=PAGE + 0x1000)
    assert made(earlier, piece(0, 90), piece(90, 110)) == ([0, 0, 0], TEXT)


def test_an_overlay_is_bounded_and_belongs_to_a_vm_that_is_being_configured() -> None:
    answers, overlay = made(piece(0, 200), piece(0, 2 << 20, whole=2 << 20), piece(0, 200, vm_id=5), piece(0, 9, 0))
    assert (answers, overlay) == ([0, -1, -1, -1], TEXT)
