"""Roles of text in our own panes (label, value, warning, …) as styles of the current theme."""

from __future__ import annotations

from rich.style import Style
from textual.app import App
from textual.color import Color, ColorParseError

_ROLES: dict[str, tuple[str, str, bool]] = {
    # role: (foreground variable, background variable, bold)
    "text": ("foreground", "", False),
    "label": ("text-muted", "", False),
    "dim": ("text-disabled", "", False),
    "value": ("foreground", "", False),
    "strong": ("foreground", "", True),
    "head": ("text-accent", "", True),
    "changed": ("text-warning", "", True),
    "good": ("text-success", "", False),
    "warn": ("text-warning", "", False),
    "bad": ("text-error", "", True),
    "accent": ("text-primary", "", True),
    "key": ("footer-key-foreground", "", True),
    "cursor": ("block-cursor-foreground", "block-cursor-background", True),
    "cursor-blurred": ("foreground", "panel", False),
    "bar": ("foreground", "panel", False),
    "bar-dim": ("text-muted", "panel", False),
    "bar-strong": ("text-accent", "panel", True),
    "bar-good": ("text-success", "panel", True),
    "bar-bad": ("text-error", "panel", True),
    "bar-warn": ("text-warning", "panel", True),
    "tab": ("text-muted", "panel", False),
    "tab-active": ("block-cursor-foreground", "primary", True),
    "tab-key": ("text-accent", "panel", False),
    "tab-active-key": ("block-cursor-foreground", "primary", False),
}


class Roles:
    """Role → style. Built once per theme."""

    def __init__(self, app: App[object]) -> None:
        variables = app.get_css_variables()
        base = _colour(variables, "background") or Color(0, 0, 0)
        panel = _colour(variables, "panel") or base
        self._styles: dict[str, Style] = {}
        for role, (front, back, bold) in _ROLES.items():
            under = panel if back == "panel" else (_colour(variables, back) or base)
            colour = _colour(variables, front) or _colour(variables, "foreground") or Color(255, 255, 255)
            self._styles[role] = Style(
                color=_flat(colour, under).rich_color,
                bgcolor=under.rich_color if back else None,
                bold=bold,
            )

    def __getitem__(self, role: str) -> Style:
        return self._styles.get(role) or self._styles["text"]


def _flat(colour: Color, under: Color) -> Color:
    """A translucent or automatic colour on its background."""
    if colour.auto:
        colour = under.get_contrast_text(1).with_alpha(colour.a)
    return colour if colour.a == 1 or colour.ansi is not None else under.blend(colour, colour.a, 1)


def _colour(variables: dict[str, str], name: str) -> Color | None:
    value = variables.get(name, "")
    try:
        if value.startswith("auto"):  # black or white, whichever is readable, that strong
            strength = value.removeprefix("auto").strip().removesuffix("%")
            return Color.automatic(float(strength or 100))
        return Color.parse(value)
    except (ValueError, ColorParseError):
        return None
