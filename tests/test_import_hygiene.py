"""What an import pulls in, looked at in a fresh interpreter: the command starts fast, the engine has no front end
in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FRONT_END = ("textual", "rich")
HEAVY = (*FRONT_END, "llvmlite", "asyncio", "msgpack", "pyte", "elftools", "fdt", "platformdirs")


def imported_by(statement: str) -> set[str]:
    """Names of all modules that a statement imports in a fresh interpreter."""
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def packages(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize(
    "module",
    ["shyper_tui.ipc.client", "shyper_tui.ipc.server", "shyper_tui.engine.worker", "shyper_tui.engine.workstation",
     "shyper_tui.config", "shyper_tui.images", "shyper_tui.term"],
)  # fmt: skip
def test_only_the_front_end_imports_textual_and_rich(module: str) -> None:
    assert not packages(imported_by(f"import {module}")) & set(FRONT_END)


def test_the_command_imports_nothing_heavy() -> None:
    modules = imported_by("import shyper_tui.cli")
    assert not packages(modules) & set(HEAVY)
    assert not {module for module in modules if module.startswith(("shyper_tui.engine", "shyper_tui.ipc"))}


@pytest.mark.parametrize("command", ["run", "machine", "check", "images", "vm", "bench"])
def test_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    statement = (
        "import shyper_tui.cli, contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    shyper_tui.cli.main(['{command}', '--help'])\n"
    )
    modules = imported_by(f"exec({statement!r})")
    assert f"shyper_tui.commands.{command}" in modules
    assert not packages(modules) & {*FRONT_END, "llvmlite", "elftools", "fdt"}


def test_the_worker_listens_before_it_imports_the_machine() -> None:
    assert not packages(imported_by("import shyper_tui.engine.worker")) & {"llvmlite", "elftools", "fdt"}


def test_the_front_end_reaches_the_engine_through_ipc_alone() -> None:
    assert not {name for name in imported_by("import shyper_tui.app") if name.startswith("shyper_tui.engine")}
