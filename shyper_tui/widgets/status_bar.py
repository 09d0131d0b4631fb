"""One line about the machine: state, speed, virtual time, harts; and the line of views at the top."""

from __future__ import annotations

from textual import events

from shyper_tui.ipc.messages import TICKS_PER_SECOND, MachineStatus
from shyper_tui.keymap import Scope, actions, display
from shyper_tui.session import Session
from shyper_tui.widgets.lines_view import LinesView, Part, Row
from shyper_tui.widgets.states import MACHINE_GLYPHS, MACHINE_ROLES

BARS = " ▁▂▃▄▅▆▇█"


def busy_bar(busy: float) -> str:
    """Share of the time a hart was busy as one character."""
    return BARS[max(0, min(8, round(busy * 8)))]


def clock_text(ticks: int) -> str:
    """Machine time: minutes, seconds, milliseconds."""
    seconds, rest = divmod(ticks, TICKS_PER_SECOND)
    return f"{seconds // 60:02}:{seconds % 60:02}.{rest * 1000 // TICKS_PER_SECOND:03}"


def status_row(status: MachineStatus, width: int) -> Row:
    """The machine in one line; less of it when there is little room."""
    harts = status.harts
    parts: list[Part] = [
        (f" {MACHINE_GLYPHS.get(status.state, '?')} {status.state} ", MACHINE_ROLES.get(status.state, "bar")),
        (f" {status.mips:6.{1 if status.mips >= 10 else 2}f} MIPS ", "bar-strong"),
        (f" {status.clock} clock {clock_text(status.time_ticks)} ", "bar"),
        (f" harts {sum(hart.busy >= 0.05 for hart in harts)}/{len(harts)} busy ", "bar"),
    ]
    for hart in harts:
        where = f"vm{hart.vm}" if hart.vm is not None else "–"
        detail = (
            f"{hart.hart}▕{busy_bar(hart.busy)}▏{where} {hart.mode} "
            if width >= 110
            else f"{hart.hart}▕{busy_bar(hart.busy)}▏"
        )
        parts.append((detail, "bar" if hart.busy >= 0.05 else "bar-dim"))
    if status.message:
        parts.append((f" {status.message}", "bar-warn"))
    return tuple(parts)


class StatusBar(LinesView):
    """The machine's state at the bottom."""

    DEFAULT_CSS = "StatusBar { height: 1; background: $panel; }"
    can_focus = False

    def __init__(self) -> None:
        super().__init__(fill="bar")

    def update_session(self, session: Session) -> None:
        status = session.status
        if session.ended is not None:
            how = "" if session.ended.status is None else f" (status {session.ended.status})"
            row: Row = ((f" ✖ the engine has ended{how} ", "bar-bad"), (" the palette (^p) restarts it", "bar"))
        elif status is None or status.state == "booting":
            row = ((" ◌ booting ", "bar-warn"), (f" {session.progress}", "bar"))
        else:
            row = status_row(status, self.size.width)
        self.show([row])


class CaptureBar(LinesView):
    """Takes the footer's place while a console is captured: only these keys are not the guest's."""

    DEFAULT_CSS = "CaptureBar { height: 1; background: $panel; display: none; }"
    can_focus = False

    def __init__(self) -> None:
        super().__init__(fill="bar")

    def tell(self, name: str) -> None:
        """The console of this VM is captured."""
        parts: list[Part] = [(f" {name} has the keyboard ", "bar-good"), (" f12", "tab-key"), (" release ", "bar")]
        parts.append((" ^] and then", "tab-key"))
        for action in actions(Scope.CAPTURED):
            parts.append((f" {display(action.keys[0])}", "tab-key"))
            parts.append((f" {action.footer.lower()}", "bar-dim"))
        self.show([tuple(parts)])


class ViewTabs(LinesView):
    """The views with their keys at the top; a click opens one."""

    DEFAULT_CSS = "ViewTabs { height: 1; background: $panel; }"
    can_focus = False

    def __init__(self, views: list[tuple[str, str, str]]) -> None:
        super().__init__(fill="bar")
        self.views = views
        """Name, title, key."""
        self.active = ""

    def select(self, name: str) -> None:
        self.active = name
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        parts: list[Part] = [(" Shyper-TUI ", "bar-strong")] if self.size.width >= 80 else []
        for name, title, key in self.views:
            active = name == self.active
            parts.append((f" {key} ", "tab-active-key" if active else "tab-key"))
            parts.append((f"{title} ", "tab-active" if active else "tab"))
        self.show([tuple(parts)])

    async def on_click(self, event: events.Click) -> None:
        event.stop()
        x = 0
        parts = self.rows[0] if self.rows else ()
        lead = len(parts) - 2 * len(self.views)
        for index, (text, _role) in enumerate(parts):
            x += len(text)
            if event.x < x:
                if index >= lead:
                    await self.run_action(f"app.view('{self.views[(index - lead) // 2][0]}')")
                return
