"""A workstation whose terminal is closed ends, and its engine too, whoever is the leader of its session."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

from tests.cli.test_run import ROOT

LEADER = """
import signal, subprocess, sys
signal.signal(signal.SIGHUP, lambda *arguments: None)  # as `make` does, it waits for its child
status = subprocess.run([sys.executable, "-m", "shyper_tui.cli", "--embedded", "--network", "none",
                         "--log-dir", sys.argv[1]], cwd=sys.argv[2]).returncode
open(sys.argv[1] + "/status", "w").write(str(status))
"""


def test_a_workstation_ends_when_its_terminal_is_gone(tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if not child:
        environment = {**os.environ, "TERM": "xterm-256color"}
        os.execve(sys.executable, [sys.executable, "-c", LEADER, str(tmp_path), str(ROOT)], environment)
    shown = b""
    while b"Shyper-TUI" not in shown:
        shown += os.read(terminal, 65536)
    os.close(terminal)
    os.waitpid(child, 0)
    assert (tmp_path / "status").read_text() == "129"
