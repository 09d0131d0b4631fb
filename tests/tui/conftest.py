"""The workstation on a recorded engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from textual import events
from textual.pilot import Pilot

from shyper_tui.app import ShyperApp
from shyper_tui.screens.workstation import Workstation
from shyper_tui.widgets.console_pane import ConsolePane
from tests.tui.recorded import RecordedEngine, recorded_factory

TURNS = 2000


class Desk:
    """A running workstation and its recorded engine."""

    def __init__(self, app: ShyperApp, engines: list[RecordedEngine], pilot: Pilot[int]) -> None:
        self.app = app
        self.engines = engines
        self.pilot = pilot

    @property
    def engine(self) -> RecordedEngine:
        return self.engines[-1]

    @property
    def screen(self) -> Workstation:
        return cast(Workstation, self.app.workstation)

    def console(self, number: int) -> ConsolePane:
        """The n-th console pane of the current view, from 0."""
        return [pane for pane in self.screen.view.panes if isinstance(pane, ConsolePane)][number]

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the application work until the condition holds."""
        for _ in range(TURNS):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("the application did not get there")

    async def ready(self) -> None:
        """Until both consoles show their prompts."""
        await ready(self.app, self.pilot)

    async def key(self, *keys: str) -> None:
        """Press keys, each when the application has come to rest after the one before."""
        for key in keys:
            self.hit(key)
            await self.pilot.pause()

    def hit(self, key: str) -> None:
        """Press a key and go on at once: under a flood the application does not come to rest."""
        self.app.post_message(events.Key(key, key if len(key) == 1 else None))


async def ready(app: ShyperApp, pilot: Pilot[int]) -> None:
    """Until the recorded consoles are on the screen."""
    for _ in range(TURNS):
        consoles = app.session.consoles
        if 0 in consoles and 1 in consoles and "10.0.0.1" in consoles[1].terminal.text():
            break
        await pilot.pause(0.01)
    else:
        raise AssertionError("the recorded consoles did not appear")
    assert app.workstation is not None
    app.workstation.update_panes()
    await pilot.pause()


@asynccontextmanager
async def open_desk(size: tuple[int, int] = (120, 40)) -> AsyncIterator[Desk]:
    engines: list[RecordedEngine] = []
    app = ShyperApp(recorded_factory(engines))
    async with app.run_test(size=size) as pilot:
        desk = Desk(app, engines, pilot)
        await desk.ready()
        yield desk


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with open_desk() as desk:
        yield desk
