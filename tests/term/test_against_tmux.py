"""Our screen and tmux's are the same, cell by cell, for the corpus and for random mixtures of all that tmux knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.term.corpus import DIFFERENT, SNIPPETS, words
from tests.term.tmux_oracle import Pane, difference, missing, open_pane, ours

EXAMPLES = 300
pytestmark = pytest.mark.skipif(missing(), reason="tmux is not installed")


@pytest.fixture(scope="module")
def pane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pane]:
    folder: Path = tmp_path_factory.mktemp("tmux")
    with open_pane(folder) as opened:
        yield opened


def test_the_corpus_looks_the_same(pane: Pane) -> None:
    found = {}
    for name, snippet in SNIPPETS.items():
        data = snippet.encode()
        if text := difference(pane.show(data)[0], ours(data)[0]):
            found[name] = text
    on_purpose = {name for names in DIFFERENT.values() for name in names}
    assert not [f"{name}\n{text}" for name, text in found.items() if name not in on_purpose]
    assert on_purpose <= SNIPPETS.keys()
    for reason, names in DIFFERENT.items():
        assert found.keys() & names, f"no difference any more: {reason}"


TEXT = words(r"x ab hello 0123456789 qqq e\u0301 é a\u0323b")
WIDE = words(r"漢 漢字仮 \uac00")
LINES = words(r"\r \n \r\n")
COLOURS = words(r"\e[m \e[1m \e[4m \e[7m \e[22m \e[27m \e[31m \e[42m \e[0;44m \e[38;5;99m \e[48:2::1:2:3m")
INSERT = words(r"\e[4h \e[4l \e[@ \e[2@")
OTHERS = words(r"""
    \t \x0e \x0f \eD \eE \eM \eH \e7 \e8 \e#8 \e(0 \e(B \e)0 \e[g \e[3g \e[s \e[u \e= \e[?25l \e[2\sq
    \e[?6h \e[?6l \e[?47h \e[?47l \e[?1049h \e[?1049l \e]0;t\n\x07 \ePq\n\e\\ \e_G\r\e\\ \e[?2004h \e[>4;1m \e[<u \x18
""")
COUNT = st.sampled_from(["", "0", "1", "2", "3", "5", "8", "30"])
STEP = st.one_of(
    st.sampled_from(TEXT),
    st.sampled_from(LINES),
    st.sampled_from(OTHERS),
    st.builds("\x1b[{}{}".format, COUNT, st.sampled_from([*"ABCEFGPXST"])),
    st.builds("\x1b[{}{}".format, COUNT, st.sampled_from(["d\r", "J", "K"])),
    st.builds("\x1b[{};{}H".format, st.integers(0, 8), st.integers(0, 23)),
    st.builds("\x1b[C\x1b[{}D".format, COUNT),
    st.builds("\x1b[{};{}r\x1b[H".format, st.integers(1, 4), st.integers(4, 7)),
)


def mixed(*steps: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.one_of(*steps), max_size=30).map("".join)


@pytest.mark.parametrize("kind", ["in colours", "inserting"])
def test_mixtures_of_sequences_look_the_same(pane: Pane, kind: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
    @given(mixed(STEP, st.sampled_from(COLOURS if kind == "in colours" else INSERT)))
    def same(mix: str) -> None:
        assert not difference(pane.show(mix.encode())[0], ours(mix.encode())[0])

    same()


def test_wide_text_looks_the_same(pane: Pane) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
    @given(mixed(st.sampled_from(TEXT), st.sampled_from(WIDE), st.sampled_from(LINES)))
    def same(text: str) -> None:
        assert not difference(pane.show(text.encode())[0], ours(text.encode())[0])

    same()
