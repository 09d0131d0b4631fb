"""Captured frames, read back with a reader of the format's own blocks (and tcpdump where it is installed)."""

from __future__ import annotations

import resource
import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.board.virtio.net import Frame, Net
from shyper_tui.engine.board.virtio.switch import Switch
from shyper_tui.engine.capture import Capture
from shyper_tui.engine.hart.direct import switch_layout
from shyper_tui.engine.uplink.link import Uplink
from shyper_tui.engine.uplink.peer import BuiltInPeer
from shyper_tui.ipc.messages import EngineError
from tests.uplink.frames import arp, ping
from tests.uplink.host import Guest, QuietHost


@dataclass
class Read:
    """What is in a file: names of interfaces, and (interface, ticks, sent, frame)."""

    names: list[str] = field(default_factory=list)
    frames: list[tuple[str, int, bool, bytes]] = field(default_factory=list)


def options(data: bytes) -> dict[int, bytes]:
    found, place = {}, 0
    while place < len(data):
        code, length = struct.unpack_from("<HH", data, place)
        found[code] = data[place + 4 : place + 4 + length]
        place += 4 + length + -length % 4
    return found


def read(path: Path) -> Read:
    data, place, result = path.read_bytes(), 0, Read()
    while place < len(data):
        kind, length = struct.unpack_from("<II", data, place)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, place + length - 4) == (length,)
        body = data[place + 8 : place + length - 4]
        if kind == 0x0A0D0D0A:
            assert place == 0
            assert body[:16] == struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
        elif kind == 1:
            assert body[:2] == b"\1\0"
            found = options(body[8:])
            assert found[9] == b"\7"
            result.names.append(found[2].decode())
        else:
            assert kind == 6
            number, high, low, captured, original = struct.unpack_from("<IIIII", body)
            assert captured == original
            flags = options(body[20 + captured + -captured % 4 :])[2]
            frame = body[20 : 20 + captured]
            result.frames.append((result.names[number], high << 32 | low, flags == b"\1\0\0\0", frame))
        place += length
    return result


def test_frames_are_shown_at_each_port_they_pass(tmp_path: Path) -> None:
    time, path, switch = ManualTimebase(), tmp_path / "frames.pcapng", Switch()
    trouble: list[str] = []
    first, second = b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2"
    early = switch.attach("vm0 net", lambda frame: True, mac=first, vm=0)
    capture = Capture(path, time, trouble.append)
    switch.tap_with(capture.tap)
    late = switch.attach("vm1 net", lambda frame: True, mac=second, vm=1)
    switch.attach("vm2 net", lambda frame: False, mac=b"\x02\0\0\0\0\3", vm=2)
    time.advance(12_345)
    to_late = second + first + b"\x08\0" + b"payload of some length"
    everybody = b"\xff" * 6 + second + b"\x08\x06question"
    early.send(Frame(to_late))
    time.advance(1)
    late.send(Frame(everybody))
    capture.close()
    found = read(path)
    assert found.names == ["vm0 net", "vm1 net", "vm2 net"]
    assert found.frames == [
        ("vm0 net", 12_345, True, to_late),
        ("vm1 net", 12_345, False, to_late),
        ("vm1 net", 12_346, True, everybody),
        ("vm0 net", 12_346, False, everybody),
    ], "vm2 took nothing"
    assert trouble == []


def test_native_code_brings_no_frames_past_a_capture(tmp_path: Path) -> None:
    switch = Switch()
    net = Net(b"\x02\0\0\0\0\1", timebase=ManualTimebase())
    net.join(switch, "vm0 net", 0)
    ports = switch.state.bytes.cast("Q")[switch_layout.PORTS // 8]
    assert ports == 1
    switch.tap_with(Capture(tmp_path / "frames.pcapng", ManualTimebase(), print).tap)
    assert switch.state.bytes.cast("Q")[switch_layout.PORTS // 8] == 0
    Net(b"\x02\0\0\0\0\2", timebase=ManualTimebase()).join(switch, "vm1 net", 1)
    assert switch.state.bytes.cast("Q")[switch_layout.PORTS // 8] == 0


def test_the_uplink_is_a_port_too(tmp_path: Path, host: QuietHost) -> None:
    path = tmp_path / "frames.pcapng"
    capture = Capture(path, host, print)
    uplink = Uplink(host, capture.tap("uplink"))
    uplink.use(BuiltInPeer(uplink.arrive))
    guest = Guest(uplink)
    guest.send(arp(), ping())
    host.advance(2_500_000)
    seen = read(path)  # while it is being written
    answers = guest.frames()
    assert seen.names == ["uplink"]
    assert [(sent, frame) for _, _, sent, frame in seen.frames] == [
        (True, arp()), (False, answers[0]), (True, ping()), (False, answers[1]),
    ]  # fmt: skip
    capture.close()
    if shutil.which("tcpdump"):
        shown = subprocess.run(["tcpdump", "-n", "-r", path], capture_output=True, text=True, check=True).stdout
        assert "ARP, Request who-has 10.0.2.2" in shown
        assert "ICMP echo reply" in shown


def test_a_capture_ends_at_its_largest_size_and_says_so(tmp_path: Path) -> None:
    path, trouble = tmp_path / "frames.pcapng", list[str]()
    capture = Capture(path, ManualTimebase(), trouble.append, largest=4096)
    tap = capture.tap("port")
    for _ in range(100):
        tap(bytes(500), True)
    assert path.stat().st_size <= 4096
    assert len(read(path).frames) == 7
    assert trouble == [f"the capture {path} has 0 MiB and ends here"]


def test_a_file_is_not_written_over_unless_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text("precious")
    with pytest.raises(EngineError, match="is there already; name another file, or add --pcap-replace"):
        Capture(path, ManualTimebase(), print)
    assert path.read_text() == "precious"
    Capture(path, ManualTimebase(), print, replace=True).close()
    assert read(path) == Read()
    with pytest.raises(EngineError, match="no regular file"):
        Capture(Path("/dev/null"), ManualTimebase(), print, replace=True)
    with pytest.raises(EngineError, match="cannot be written: No such file or directory"):
        Capture(tmp_path / "nowhere" / "file", ManualTimebase(), print)


def test_a_file_that_cannot_grow_ends_the_capture_with_a_warning(tmp_path: Path) -> None:
    path, time, trouble = tmp_path / "frames.pcapng", ManualTimebase(), list[str]()
    capture = Capture(path, time, trouble.append)
    tap = capture.tap("port")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # as a full disk
    try:
        for _ in range(100):
            tap(bytes(500), True)
            time.advance(10_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    capture.close()
    assert trouble == [f"the capture {path} ends: File too large"]
