"""The picture of one console: paints the terminal's rows, scrolls through its history, takes the keys while
captured."""

from __future__ import annotations

import re
import textwrap

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from shyper_tui.consoles import Console
from shyper_tui.keymap import PREFIX, RELEASE, Scope, actions, bindings
from shyper_tui.term.keys import encode_key
from shyper_tui.term.lines import EMPTY, Line
from shyper_tui.term.search import Span, joined, newest_match, spans
from shyper_tui.widgets.strips import DARK, LIGHT, StripMaker

WRAPPED_AROUND = 100
"""Rows above and below the view that are looked at for matches that reach into it."""


class ConsoleView(Widget, can_focus=True):
    """Shows one `Console` at a time. `captured`: keys go to the guest; `first`: None while it follows the output."""

    DEFAULT_CSS = """
    ConsoleView { height: 1fr; width: 1fr; background: $background; color: $foreground; }
    """
    BINDINGS = bindings(Scope.CONSOLE)

    class Changed(Message):
        """Captured, released, scrolled, or another thing the frame shows."""

    class Step(Message):
        """The user wants the next or previous VM in this pane."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    class Find(Message):
        """The user wants to type what to look for."""

    def __init__(self) -> None:
        super().__init__()
        self.console: Console | None = None
        self.captured = False
        self.prefixed = False
        """The prefix key was pressed: the next key is a command."""
        self.first: int | None = None
        """Number of the row at the top of the view, counted from power-on; None: the live screen."""
        self.placeholder = ""
        self.pattern: re.Pattern[str] | None = None
        self._made: StripMaker | None = None
        self._painted: list[Line] = []
        self._cursor: tuple[int, int, bool] | None = None

    # --- which console -------------------------------------------------------------------------------

    def attach(self, console: Console | None) -> None:
        """Show another console, or none."""
        if console is self.console:
            return
        self._detach()
        self.console, self.first = console, None
        if console is not None:
            console.painters.append(self.paint)
            console.focused = self.has_focus
            console.unseen = False
            self._fit()
        self._painted = []
        self.refresh()
        self.post_message(self.Changed())

    def _detach(self) -> None:
        if self.console is not None:
            self.console.focused = False
            if self.paint in self.console.painters:
                self.console.painters.remove(self.paint)

    def on_unmount(self) -> None:
        self._detach()

    def on_show(self) -> None:
        if self.console is not None and self.paint not in self.console.painters:
            self.console.painters.append(self.paint)
            self.console.unseen = False
        self._fit()
        self.refresh()

    def on_hide(self) -> None:
        self.release()
        if self.console is not None and self.paint in self.console.painters:
            self.console.painters.remove(self.paint)

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        if self.console is not None and self.size.width > 1 and self.size.height:
            self.console.resize(self.size.width, self.size.height)
            self._painted = []
            self.refresh()

    # --- painting ------------------------------------------------------------------------------------

    def paint(self) -> None:
        """The console changed: repaint the rows that did, at once when this view has the focus."""
        if self.console is None or not self.is_attached:
            return
        if self.first is not None:  # the reader's place stays; the frame counts what came in below
            if self.first < self.console.terminal.history.dropped:
                self.first = self.console.terminal.history.dropped
                self.refresh()
            self.post_message(self.Changed())
            return
        before, cursor = self._painted, self._cursor
        self._painted, self._cursor = self._lines(), self._cursor_now()
        changed = {y for y, line in enumerate(self._painted) if y >= len(before) or before[y] is not line}
        if cursor != self._cursor:
            changed.update(where[1] for where in (cursor, self._cursor) if where is not None)
        if not changed:
            return
        width = self.size.width
        first, last = min(changed), max(changed)
        if len(changed) > 8:
            self.refresh(Region(0, first, width, last - first + 1))
        else:
            self.refresh(*[Region(0, y, width, 1) for y in changed])
        if self.has_focus:
            self._paint_now()

    def _paint_now(self) -> None:
        """Paint past the frame timer (1/60 s): what a key brought back should not wait for it."""
        screen = self.screen
        if self.app._batch_count or not screen.is_current or screen._layout_required:
            return
        screen._compositor.update_widgets({self})
        screen._compositor_refresh()

    def _lines(self) -> list[Line]:
        """The lines now in view."""
        console, height = self.console, self.size.height
        if console is None:
            return []
        terminal = console.terminal
        rows = min(height, terminal.lines)
        if self.first is None:
            return [terminal.row(y) for y in range(rows)]
        start = self.first - terminal.history.dropped
        lines = terminal.history.slice(start, start + height)
        kept = len(terminal.history)
        lines += [terminal.row(y) for y in range(max(0, start - kept), min(terminal.lines, start + height - kept))]
        return lines

    def _cursor_now(self) -> tuple[int, int, bool] | None:
        if self.console is None or self.first is not None:
            return None
        x, y, visible = self.console.terminal.cursor
        return (x, y, self.captured) if visible else None

    def _maker(self) -> StripMaker:
        if self._made is None:
            palette = None if self.app.native_ansi_color else DARK if self.app.current_theme.dark else LIGHT
            self._made = StripMaker(self.rich_style, palette)
        return self._made

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._made = None

    def render_lines(self, crop: Region) -> list[Strip]:
        width = self.size.width
        maker = self._maker()
        if self.console is None:
            return self._placeholder(crop, maker)
        self._painted = lines = self._lines()
        self._cursor = cursor = self._cursor_now()
        marks = self._marks(lines)
        strips = []
        for y in range(crop.y, crop.bottom):
            line = lines[y] if y < len(lines) else EMPTY
            strip = maker.strip(line, width)
            for mark in marks:
                if mark.row == y:
                    strip = self._marked(strip, mark, width)
            if cursor is not None and cursor[1] == y and cursor[0] < width:
                strip = maker.with_cursor(strip, cursor[0], self.captured)
            strips.append(strip)
        if crop.x or crop.right < width:
            return [strip.crop(crop.x, crop.right) for strip in strips]
        return strips

    def _placeholder(self, crop: Region, maker: StripMaker) -> list[Strip]:
        """What is going on while there is no console yet, in the middle; its lines begin below each other."""
        blank = Strip.blank(self.size.width, self.rich_style)
        strips = [blank] * crop.height
        room = max(1, self.size.width - 2)
        lines = [line for given in self.placeholder.split("\n") for line in textwrap.wrap(given, room) or [""]]
        if "\n" in self.placeholder:
            widest = max(map(len, lines))
            lines = [line.ljust(widest) for line in lines]
        for y, line in enumerate(lines, (self.size.height - len(lines)) // 2 - crop.y):
            if 0 <= y < crop.height:
                text = line.center(self.size.width)
                strips[y] = Strip([Segment(text, self.rich_style)]).adjust_cell_length(self.size.width, self.rich_style)
        return [strip.crop(crop.x, crop.right) for strip in strips]

    def _marks(self, lines: list[Line]) -> list[Span]:
        """Columns of the lines in view that match the pattern. Rows around the view count where the text is wrapped."""
        if self.pattern is None or self.console is None or not lines:
            return []
        terminal = self.console.terminal
        kept = len(terminal.history)
        start = kept if self.first is None else self.first - terminal.history.dropped
        stop = start + len(lines)
        above = terminal.history.slice(start - WRAPPED_AROUND, start)
        below = terminal.history.slice(stop, stop + WRAPPED_AROUND)
        below += [terminal.row(y) for y in range(max(0, stop - kept), terminal.lines)]
        offset = len(above)
        marks = (span._replace(row=span.row - offset) for span in spans([*above, *lines, *below], self.pattern))
        return [mark for mark in marks if 0 <= mark.row < len(lines)]

    def _marked(self, strip: Strip, mark: Span, width: int) -> Strip:
        style = RichStyle(reverse=True, bold=True)
        found = [Segment(s.text, (s.style or RichStyle()) + style) for s in strip.crop(mark.start, mark.stop)]
        return Strip.join([strip.crop(0, mark.start), Strip(found), strip.crop(mark.stop, width)])

    # --- capture -------------------------------------------------------------------------------------

    def action_capture(self) -> None:
        """Keys go to the guest from now on, all but the prefix and the release key."""
        if self.console is not None and not self.captured:
            self.captured, self.first = True, None
            self._refresh_all()

    def action_release(self) -> None:
        self.release()

    def release(self) -> None:
        """Keys are the application's again."""
        if self.captured:
            self.captured = self.prefixed = False
            self._refresh_all()

    def _refresh_all(self) -> None:
        self.refresh()
        self.post_message(self.Changed())

    async def captured_key(self, event: events.Key) -> None:
        """A key while captured: the application hands it over before it looks for bindings."""
        if event.key == RELEASE:
            self.release()
        elif self.prefixed:
            self.prefixed = False
            self.post_message(self.Changed())
            await self._command(event.key)
        elif event.key == PREFIX:
            self.prefixed = True
            self.post_message(self.Changed())
        elif self.console is not None:
            self._send(encode_key(event.key, event.character, self.console.terminal.modes))

    async def _command(self, key: str) -> None:
        """The one key after the prefix."""
        for action in actions(Scope.CAPTURED):
            if key in action.keys:
                await self.run_action(action.call)
                return
        if key.isdigit():
            await self.run_action(f"app.console({key})")

    def action_literal(self) -> None:
        self._send(b"\x1d")

    def _send(self, data: bytes) -> None:
        if data and self.console is not None:
            if self.first is not None:
                self.action_follow()
            if not self.console.send(data):
                self.app.bell()

    def on_paste(self, event: events.Paste) -> None:
        if self.captured and self.console is not None:
            event.stop()
            if not self.console.paste(event.text):
                self.notify("The guest does not read that fast: the paste was not sent.", severity="warning")

    def on_focus(self) -> None:
        if self.console is not None:
            self.console.focused = True
        self._refresh_all()

    def on_blur(self) -> None:
        if self.console is not None:
            self.console.focused = False
        self.release()
        self._refresh_all()

    def on_click(self, event: events.Click) -> None:
        self.action_capture()

    # --- scrollback ----------------------------------------------------------------------------------

    @property
    def behind(self) -> int:
        """Rows below the view, 0 while it follows."""
        if self.console is None or self.first is None:
            return 0
        terminal = self.console.terminal
        return max(0, terminal.history.dropped + len(terminal.history) - self.first)

    def action_scroll_lines(self, step: int) -> None:
        if self.console is None or self.console.terminal.alternate:
            return
        history = self.console.terminal.history
        end = history.dropped + len(history)
        first = max(history.dropped, (end if self.first is None else self.first) + step)
        self.first = None if first >= end else first
        self._refresh_all()

    def action_scroll_pages(self, step: int) -> None:
        self.action_scroll_lines(step * max(1, self.size.height - 1))

    def action_scroll_top(self) -> None:
        self.action_scroll_lines(-(1 << 40))

    def action_page_back(self) -> None:
        """From inside a capture: release and look a page back."""
        self.release()
        self.action_scroll_pages(-1)

    def action_follow(self) -> None:
        self.first = None
        self._refresh_all()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll_lines(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        if self.first is not None:
            self.action_scroll_lines(3)

    # --- the rest ------------------------------------------------------------------------------------

    def action_next_console(self, step: int) -> None:
        self.post_message(self.Step(step))

    def action_find(self) -> None:
        self.release()
        self.post_message(self.Find())

    def find(self, pattern: re.Pattern[str] | None) -> bool:
        """Look for a pattern from the newest row upwards and mark all its matches; False when there is none."""
        self.pattern = pattern
        self.first = None
        found = self.find_older()
        self._refresh_all()
        return found

    def find_older(self) -> bool:
        """Move to the next match above the top of the view."""
        if self.pattern is None or self.console is None:
            return False
        terminal = self.console.terminal
        lines = terminal.history.slice(0, len(terminal.history)) + [terminal.row(y) for y in range(terminal.lines)]
        end = terminal.history.dropped + len(terminal.history) + terminal.lines
        start = end if self.first is None else self.first
        index = newest_match(lines, self.pattern, start - terminal.history.dropped)
        if index is None:
            return False
        first = terminal.history.dropped + index
        live = terminal.history.dropped + len(terminal.history)
        self.first = None if first >= live and self.first is None else min(first, live)
        self._refresh_all()
        return True

    def action_find_again(self) -> None:
        if self.pattern is None:
            self.action_find()
        elif not self.find_older():
            self.notify("There is no older match.", timeout=2)

    def action_copy(self) -> None:
        """Copy the shown rows, wrapped ones joined, by OSC 52."""
        self.app.copy_to_clipboard(joined(self._lines()).rstrip("\n"))
        self.notify("Copied what the console shows. (Shift+drag selects in most terminals.)", timeout=3)

    def action_tell_size(self) -> None:
        """Tell the guest the size by typing it: a serial line has none, and not every guest heeds its console's."""
        if self.console is not None:
            terminal = self.console.terminal
            self._send(f"stty rows {terminal.lines} cols {terminal.columns}\r".encode())
