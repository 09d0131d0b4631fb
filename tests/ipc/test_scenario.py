"""Scripted runs: groups of texts in any order, typing in order, what counts as seen, and every way to end."""

from __future__ import annotations

from shyper_tui.engine.board.device import ManualTimebase
from shyper_tui.engine.console_stream import ConsoleStream
from shyper_tui.engine.scenario import LINGER, Scenario
from shyper_tui.ipc.messages import ScenarioStep


class Stage:
    """Two consoles, machine time, and a note of what was typed."""

    def __init__(self, *steps: tuple[str, int, str]) -> None:
        self.time = ManualTimebase()
        self.typed: list[tuple[int, bytes]] = []
        self.ends: list[int] = []
        self.consoles = [ConsoleStream(), ConsoleStream()]
        self.scenario = Scenario(
            [ScenarioStep(*step) for step in steps],
            typed=lambda vm, data: self.typed.append((vm, data)),
            later=lambda ticks, call: self.time.call_at(self.time.now() + ticks, call),
            on_end=lambda: self.ends.append(self.time.now()),
        )
        for vm, stream in enumerate(self.consoles):
            self.scenario.attach(vm, stream)
        self.scenario.begin()

    def shows(self, vm: int, text: str) -> None:
        for byte in text.encode():  # a 16550 writes byte by byte
            self.consoles[vm].write(bytes([byte]))
        self.time.advance(10)


def test_texts_of_a_group_may_come_in_any_order() -> None:
    stage = Stage(("until", 0, "ready"), ("until", 1, "login: "))
    stage.shows(1, "x login: ")
    assert [step.done for step in stage.scenario.status().steps] == [False, True]
    assert not stage.ends
    stage.shows(0, "reaready")
    assert stage.scenario.status().finished
    assert len(stage.ends) == 1


def test_typing_follows_the_texts_and_the_answer_gets_time() -> None:
    stage = Stage(("until", 0, "$ "), ("send", 0, "ls\n"), ("send", 1, "id\n"))
    assert stage.typed == []
    stage.shows(0, "$ ")
    assert stage.typed == [(0, b"ls\n"), (1, b"id\n")]
    assert not stage.scenario.status().finished
    stage.time.advance(LINGER)
    assert stage.scenario.status().finished


def test_a_text_after_typing_must_come_after_it() -> None:
    stage = Stage(("until", 0, "$ "), ("send", 0, "ls\n"), ("until", 0, "$ "))
    stage.shows(0, "$ ")
    assert not stage.scenario.status().finished
    stage.shows(0, "ls\r\na b\r\n$ ")
    assert stage.scenario.status().finished


def test_typing_may_come_first() -> None:
    stage = Stage(("send", 1, "x"), ("until", 1, "x"))
    stage.time.advance(1)
    assert stage.typed == [(1, b"x")]
    stage.shows(1, "x")
    assert stage.scenario.status().finished


def test_a_machine_that_stops_early_fails_the_script() -> None:
    stage = Stage(("until", 0, "ready"))
    stage.shows(0, "read")
    stage.scenario.machine_stopped()
    status = stage.scenario.status()
    assert (status.finished, status.failure) == (False, "the machine stopped before every text was seen")
    assert len(stage.ends) == 1


def test_a_machine_that_is_powered_off_by_the_last_step_ends_it() -> None:
    stage = Stage(("until", 0, "$ "), ("send", 0, "poweroff\n"))
    stage.shows(0, "$ ")
    stage.scenario.machine_stopped()
    assert stage.scenario.status().finished
    stage.time.advance(LINGER)
    assert len(stage.ends) == 1


def test_a_text_across_many_writes_is_found() -> None:
    stage = Stage(("until", 0, "aab"))
    stage.consoles[0].write(b"a" * 1000)
    stage.shows(0, "b")
    assert stage.scenario.status().finished


def test_another_console_may_have_shown_its_text_before() -> None:
    stage = Stage(("until", 0, "$ "), ("send", 0, "ls\n"), ("until", 1, "ready"))
    stage.shows(1, "ready")
    stage.shows(0, "$ ")
    assert stage.scenario.status().finished


def test_the_last_words_of_a_machine_count() -> None:
    stage = Stage(("until", 0, "Power down"))
    stage.consoles[0].write(b"reboot: Power down\n")
    stage.scenario.machine_stopped()  # before time could pass
    assert stage.scenario.status().finished
