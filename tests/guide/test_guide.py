"""The commands of `docs/guide.md`, typed into the managing VM's Linux: each shows what the guide says."""

from __future__ import annotations

from pathlib import Path

import pytest

from shyper_tui.ipc.messages import ScenarioStep
from tests.guide.machine import MVM, needs_linux, run_script
from tests.guide.session import GUIDE, Step, missing, plain, steps

pytestmark = needs_linux


def script(typed: list[Step]) -> list[ScenarioStep]:
    """Waits for each prompt on the managing VM's console, then types."""
    found = []
    for step in typed:
        if step.prompt:
            found.append(ScenarioStep("until", 0, step.prompt))
        found.append(ScenarioStep("send", 0, step.keys))
    return [*found, ScenarioStep("until", 0, MVM)]


def outputs(log: bytes, typed: list[Step]) -> list[str]:
    """What came after each step, up to the text that the next one waited for."""
    text, at, found = plain(log), 0, []
    for index, step in enumerate(typed):
        at = text.index(step.prompt, at) + len(step.prompt)
        following = next((later.prompt for later in typed[index + 1 :] if later.prompt), MVM)
        found.append(text[at : text.index(following, at) + len(following)])
    return found


@pytest.mark.timeout(600)
def test_every_command_of_the_guide_shows_what_it_says_and_twice_the_same(tmp_path: Path) -> None:
    typed = steps(GUIDE.read_text(encoding="utf-8"))
    logs = [tmp_path / "first", tmp_path / "second"]
    for folder in logs:
        run_script(folder, script(typed))
    for step, output in zip(typed, outputs((logs[0] / "vm0.log").read_bytes(), typed), strict=True):
        assert missing(step.shown, output) == "", f"{step.keys!r} showed {output!r}"
    names = sorted(file.name for file in logs[0].iterdir())
    assert names == ["vm0.log", "vm1.log", "vm2.log"]
    for name in names:
        assert (logs[0] / name).read_bytes() == (logs[1] / name).read_bytes(), name
