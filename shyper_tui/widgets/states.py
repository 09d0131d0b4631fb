"""States of VMs and of the machine as glyph, word and role: never by colour alone."""

from __future__ import annotations

VM_GLYPHS = {"pending": "○", "active": "●", "paused": "◐", "stopped": "■", "failed": "✖"}
VM_ROLES = {"pending": "label", "active": "good", "paused": "warn", "stopped": "label", "failed": "bad"}
MACHINE_GLYPHS = {"booting": "◌", "running": "▶", "paused": "‖", "stopped": "■", "failed": "✖"}
MACHINE_ROLES = {
    "booting": "bar-warn", "running": "bar-good", "paused": "bar-warn", "stopped": "bar-dim", "failed": "bar-bad",
}  # fmt: skip


def span(numbers: list[int]) -> str:
    """Core numbers, runs joined: 0, 1–3, 5."""
    parts: list[str] = []
    numbers = sorted(numbers)
    while numbers:
        length = 1
        while length < len(numbers) and numbers[length] == numbers[0] + length:
            length += 1
        parts.append(str(numbers[0]) if length == 1 else f"{numbers[0]}–{numbers[length - 1]}")
        numbers = numbers[length:]
    return ",".join(parts) or "–"


def size(count: int) -> str:
    """Bytes with a binary unit: 64 MiB, 4 GiB, 1.5 GiB."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << shift:
            return f"{count / (1 << shift):.4g} {unit}"
    return f"{count} B"
