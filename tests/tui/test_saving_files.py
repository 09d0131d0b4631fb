"""Files that the workstation writes: nothing is lost, followed or overwritten without a question."""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from shyper_tui.file_saving import create_text, replace_text
from shyper_tui.screens.dialogs import Choice
from shyper_tui.widgets.config_editor import ConfigPane
from tests.tui.conftest import Desk


async def editor(desk: Desk) -> ConfigPane:
    desk.app.action_view("config")
    pane = desk.screen.built("config").pane_of(ConfigPane)
    await desk.until(lambda: pane.is_mounted and pane.editor.is_mounted and pane.editor.text)
    return pane


async def answer(desk: Desk, key: str) -> str:
    """Answers the question that is asked, and returns it."""
    await desk.until(lambda: isinstance(desk.app.screen, Choice))
    assert isinstance(desk.app.screen, Choice)
    question = desk.app.screen.text
    await desk.key(key)
    await desk.until(lambda: desk.app.screen is desk.screen)
    return question


async def test_a_copy_of_a_sample_does_not_replace_a_file_without_a_question(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pane = await editor(desk)
    assert pane.path is not None
    file = tmp_path / pane.path.name
    file.write_text("mine")
    pane.action_save()
    assert await answer(desk, "k") == f"{file} is there already."
    assert file.read_text() == "mine"
    pane.action_save()
    await answer(desk, "r")
    await desk.until(lambda: file.read_text(encoding="utf-8") == pane.editor.text)
    pane.editor.text += "\n"
    pane.action_save()  # it is the text's own file now
    assert file.read_text(encoding="utf-8") == pane.editor.text


async def test_a_file_that_somebody_else_has_changed_is_not_replaced_without_a_question(
    desk: Desk, tmp_path: Path
) -> None:
    pane = await editor(desk)
    file = tmp_path / "vm.json"
    file.write_text("{}")
    pane.load(file)
    file.write_text('{"theirs": 1}')
    pane.editor.text = '{"ours": 1}'
    pane.action_save()
    assert await answer(desk, "k") == f"{file} was changed since it was loaded here."
    assert file.read_text() == '{"theirs": 1}'


def test_a_full_disk_keeps_the_old_content(tmp_path: Path) -> None:
    file = tmp_path / "vm.json"
    file.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        for write in (replace_text, lambda path, text: create_text(path.with_name("new.json"), text)):
            with pytest.raises(OSError, match="File too large"):
                write(file, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["vm.json"]


def test_a_replaced_file_keeps_its_permissions_and_the_links_to_it(tmp_path: Path) -> None:
    file, link = tmp_path / "vm.json", tmp_path / "link.json"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    replace_text(link, "new\r\n")
    assert file.read_bytes() == b"new\r\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert link.is_symlink()


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file") as caught:
        replace_text(tmp_path / "pipe", "x")
    assert caught.value.errno == errno.EINVAL
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        create_text(tmp_path / "link", "x")
    assert not (tmp_path / "elsewhere").exists()
