"""Indirect tables that are laid out in order are read at once: the same comes of it as from following each link."""

from __future__ import annotations

import struct

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shyper_tui.engine.board.memory import BadAddress
from shyper_tui.engine.board.virtio.areas import DistantWords
from shyper_tui.engine.board.virtio.descriptors import MAX_CHAIN, Pieces, QueueError, Walker
from tests.board.wires import RAM_BASE, ram

TABLE, INDIRECT, SIZE = RAM_BASE, RAM_BASE + 0x1000, 8
NEXT, WRITE, IS_INDIRECT = 1, 2, 4
Entry = tuple[int, int, int, int]

addresses = st.integers(0, (1 << 64) - 1)
lengths = st.one_of(st.sampled_from([0, 12, 4096]), st.integers(0, 0xFFFF_FFFF))


@st.composite
def tables(draw: st.DrawFn) -> list[Entry]:
    """Mostly in order and well formed, with a mistake now and then."""
    count = draw(st.integers(1, 12))
    readable = draw(st.integers(0, count))
    entries = [
        (draw(addresses), draw(lengths), NEXT * (index < count - 1) | WRITE * (index >= readable), index + 1)
        for index in range(count)
    ]
    if draw(st.booleans()):
        at = draw(st.integers(0, count - 1))
        address, length, _, _ = entries[at]
        entries[at] = (address, length, draw(st.integers(0, 0xFFFF)), draw(st.integers(0, count + 1)))
    return entries


def outcome(walker: Walker, memory: DistantWords, *, step_by_step: bool) -> tuple[object, ...]:
    try:
        walk = walker._follow if step_by_step else walker.walk
        count, readable, readable_size, writable, writable_size = walk(memory, SIZE, 3, True)
    except (QueueError, BadAddress) as error:
        return (type(error), str(error)) if isinstance(error, QueueError) else (type(error),)
    assert (len(readable), len(writable)) == (len(list(readable)), len(list(writable)))
    assert [readable[index] for index in range(len(readable))] == list(readable)
    return count, list(readable), readable_size, list(writable), writable_size


@settings(max_examples=300, deadline=None)
@given(made=st.lists(tables(), min_size=1, max_size=4), short=st.integers(-1, 2), at=st.sampled_from([0, 0, 0, 8, 40]))
@example(made=[[(1, 2, NEXT, 1)] * 3], short=0, at=0)  # a loop
@example(made=[[(9, 9, NEXT | WRITE, index + 1) for index in range(MAX_CHAIN)]], short=0, at=0)  # without an end
@example(made=[[(9, 9, NEXT * (index < MAX_CHAIN - 1), index + 1) for index in range(MAX_CHAIN)]], short=0, at=0)
@example(made=[[(9, 9, NEXT * (index < MAX_CHAIN - 2), index + 1) for index in range(MAX_CHAIN - 1)]], short=0, at=0)
def test_read_at_once_or_step_by_step(made: list[list[Entry]], short: int, at: int) -> None:
    """`short` entries are missing at the table's end (or there is one too many); `at` bytes before the end of RAM."""
    memory = ram(0x8000)
    words = DistantWords(memory, TABLE, 8)
    walker = Walker(memory)  # keeps the shape of the table before
    for entries in made:
        packed = b"".join(struct.pack("<QIHH", *entry) for entry in entries)
        place = INDIRECT if not at else RAM_BASE + 0x8000 - at
        memory.write(place, packed[: RAM_BASE + 0x8000 - place])
        size = max(0, len(packed) - 16 * short)
        memory.write(TABLE + 16 * 3, struct.pack("<QIHH", place, size, IS_INDIRECT, 0))
        expected = outcome(Walker(memory), words, step_by_step=True)
        assert outcome(walker, words, step_by_step=False) == expected


def test_the_next_table_of_the_same_shape_has_its_own_addresses() -> None:
    memory = ram(0x8000)
    words, walker = DistantWords(memory, TABLE, 8), Walker(memory)
    found: list[Pieces] = []
    for base in (0x1000, 0x9000):
        entries = [(base, 12, NEXT, 1), (base + 0x100, 20, NEXT | WRITE, 2), (base + 0x200, 30, WRITE, 0)]
        memory.write(INDIRECT, b"".join(struct.pack("<QIHH", *entry) for entry in entries))
        memory.write(TABLE, struct.pack("<QIHH", INDIRECT, 48, IS_INDIRECT, 0))
        found.append(walker.walk(words, SIZE, 0, True))
    assert [(list(readable), list(writable)) for _, readable, _, writable, _ in found] == [
        ([(base, 12)], [(base + 0x100, 20), (base + 0x200, 30)]) for base in (0x1000, 0x9000)
    ]
