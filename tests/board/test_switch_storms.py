"""Storm control of the switch: broadcasts are every VM's burden, so no device may send as many as it likes."""

from __future__ import annotations

from shyper_tui.engine.board.device import TICKS_PER_SECOND
from shyper_tui.engine.board.virtio.net import Frame
from shyper_tui.engine.board.virtio.switch import BROADCAST, FLOOD_BURST, FLOODS_PER_SECOND, Switch

MINE, OTHER = bytes.fromhex("7456aa0f47d1"), bytes.fromhex("7456aa0f47d2")


class Wires:
    """Two devices on a switch whose clock the test sets."""

    def __init__(self) -> None:
        self.time = 0
        self.heard: list[Frame] = []
        switch = Switch(now=lambda: self.time)
        self.sender = switch.attach("sender", lambda frame: True, mac=MINE)
        switch.attach("listener", self._hear, mac=OTHER)

    def _hear(self, frame: Frame) -> bool:
        self.heard.append(frame)
        return True

    def send(self, destination: bytes, count: int) -> int:
        """How many of `count` frames the listener hears."""
        before = len(self.heard)
        for _ in range(count):
            self.sender.send(Frame(destination + MINE + bytes(50)))
        return len(self.heard) - before


def test_a_storm_is_cut_to_the_rate_and_what_is_dropped_is_counted() -> None:
    wires = Wires()
    assert wires.send(BROADCAST, 1000) == FLOOD_BURST
    assert wires.sender.in_dropped == 1000 - FLOOD_BURST
    wires.time += TICKS_PER_SECOND // 10
    assert wires.send(BROADCAST, 1000) == FLOODS_PER_SECOND // 10
    wires.time += 60 * TICKS_PER_SECOND
    assert wires.send(b"\x01\x00\x5e\x00\x00\x01", 1000) == FLOOD_BURST


def test_frames_with_one_receiver_are_not_held_back() -> None:
    assert Wires().send(OTHER, 1000) == 1000
