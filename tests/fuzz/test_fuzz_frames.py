"""Random drivers on a network: frames go the same way whether native code or the devices' Python brings them."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from shyper_tui.engine.board.virtio import net
from shyper_tui.engine.board.virtio.backend import VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC
from shyper_tui.engine.board.virtio.switch import BROADCAST
from tests.board.test_virtio_net import PLAIN, mac
from tests.fuzz.cases import fuzz
from tests.hypervisor.frames import FULL, IPA, MIB, NEEDS_CSUM, SEGMENTED, STATIONS, UNKNOWN, Doer, Step, Wires

_stations = st.sampled_from(STATIONS)
_macs = st.sampled_from([*(mac(number) for number in STATIONS), BROADCAST, UNKNOWN])
_lengths = st.sampled_from([0, 1, 28, 46, 600, 1486, 2033, 2034, 2035, 2500])
_headers = st.sampled_from([PLAIN, PLAIN, PLAIN, NEEDS_CSUM, SEGMENTED, b"\0\0\1\0" + bytes(8)])
_sizes = st.sampled_from([[1526], [12, 1514], [12, 4096], [60], [12, 100, 0, 3000], [2200], [1], [12] + [256] * 10])
_descriptors = st.sampled_from(
    [
        struct.pack("<QIHH", IPA + MIB, 100, 2, 0),
        struct.pack("<QIHH", 0, 1526, 2, 0),
        struct.pack("<QIHH", IPA, 60, 1, 0),
        struct.pack("<QIHH", IPA, 0xFFFF_FFFF, 0, 0),
        struct.pack("<QIHH", IPA + 0x100, 64, 4, 0),
        struct.pack("<QIHH", IPA + 0x100, 60, 5, 3),
        struct.pack("<QIHH", IPA, 1526, 3, 99),
    ]
)


def _step(what: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    return st.builds(Step, st.just(what), _stations, st.tuples(*arguments))


_send = _step(
    "send", _macs, st.one_of(st.none(), st.none(), _macs), _lengths, _headers, st.sampled_from([12, 10, 0]),
    st.booleans(),
)  # fmt: skip
_steps = st.one_of(
    st.tuples(_send, _step("notify", st.just(1))).map(lambda pair: [pair[0], Step("notify", pair[0].station, (1,))]),
    st.tuples(_step("give", _sizes, st.booleans()), st.booleans()).map(
        lambda pair: [pair[0], *([Step("notify", pair[0].station, (0,))] if pair[1] else [])]
    ),
    st.one_of(
        _send,
        _step("notify", st.sampled_from([0, 1, 2, 7])),
        _step("collect", st.sampled_from([0, 1])),
        _step("handle"),
        _step("suppress", st.sampled_from([0, 1]), st.booleans()),
        _step("expect_later", st.sampled_from([0, 1]), st.sampled_from([0, 1, 3, 0x8000])),
        _step("link", st.booleans()),
        _step("mask", st.sampled_from([0, 7])),
        _step("corrupt", st.sampled_from([0, 1]), st.integers(0, 15), _descriptors),
        _step("reset"),
    ).map(lambda step: [step]),
)


_refused = st.sampled_from([0, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, net.VIRTIO_NET_F_MRG_RXBUF, 0xFFFF])


@fuzz("frames", share=0.02, quick=60, steps=st.lists(_steps, max_size=14), without=_refused)
def test_frames_go_the_same_way_whoever_brings_them(steps: list[list[Step]], without: int) -> None:
    direct, python = Wires(True, without), Wires(False, without)
    doers = Doer(direct), Doer(python)
    for step in (*FULL, *(step for several in steps for step in several)):
        seen, expected = (doer.do(step) for doer in doers)
        assert seen == expected, step
        assert direct.state() == python.state(), step
    assert python.windows.stores == 0
