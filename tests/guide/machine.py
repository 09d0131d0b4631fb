"""A machine that follows the guide: the managing VM starts from its disk, and a script types on the consoles."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from shyper_tui import images
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.messages import EngineOptions, ScenarioStep
from tests.guide.session import plain

needs_linux = [
    pytest.mark.linux,
    pytest.mark.skipif(images.linux_images() is None, reason="needs the Linux images: shyper-tui images fetch"),
]
MVM, GVM1, GVM2 = "root@mvm:~# ", "root@gvm1:~# ", "root@gvm2:~# "
LOGIN = ((0, "mvm login: ", "root"), (0, "Password: ", "root"))
GUEST_LOGIN = ((1, "gvm1 login: ", "root"), (1, "Password: ", "vm1"))
DAEMON = ((0, MVM, "insmod shyper_riscv64.ko"), (0, MVM, "chmod +x shyper"))
STEPS = 100.0
"""Seconds that a script may take here."""

Typed = tuple[int, str, str]
"""A VM, the text that is waited for on its console, and what is typed there then; empty: nothing."""


def script(*typed: Typed) -> list[ScenarioStep]:
    """The steps of a run."""
    found = []
    for vm, text, keys in typed:
        found.append(ScenarioStep("until", vm, text))
        if keys:
            found.append(ScenarioStep("send", vm, keys + "\r"))
    return found


def play(logs: Path, *typed: Typed, **options: object) -> dict[int, str]:
    """Runs a script with the virtual clock; what each console has shown, without escape sequences."""
    run_script(logs, script(*typed), **options)
    return {int(file.stem[2:]): plain(file.read_bytes()) for file in logs.glob("vm*.log")}


def run_script(logs: Path, steps: list[ScenarioStep], **options: object) -> None:
    """Runs a script with the virtual clock, to its end."""
    asyncio.run(_play(EngineOptions(clock="virtual", snapshot=True, log_dir=str(logs), script=steps), options))


async def _play(options: EngineOptions, more: Mapping[str, object]) -> None:
    async with await Client.start(dataclasses.replace(options, **more)) as client:  # type: ignore[arg-type]
        status = await client.wait_scenario(STEPS)
        waited = [step for step in status.steps if not step.done][:1]
        shown = [(await client.console.read(step.vm)).data[-600:] for step in waited]
    assert status.finished, (status.failure, waited, shown)
