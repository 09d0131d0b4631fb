"""`python -m shyper_tui.bench.boot_mvm FILE [TEXT]`: the workstation's engine with the managing VM of a configuration
and no guests, until it has said GUEST-READY, or TEXT."""

from __future__ import annotations

import asyncio
import sys
import tempfile

from shyper_tui.bench.measurements import READY
from shyper_tui.commands.run import run_headless
from shyper_tui.ipc.messages import EngineError, ScenarioStep

TIMEOUT = 600.0


def main(file: str, text: str = READY.decode()) -> int:
    """Runs it; the exit status is 0 when the text was seen."""
    with tempfile.TemporaryDirectory(prefix="shyper-tui-bench-") as logs:
        steps = [ScenarioStep("until", 0, text)]
        options = {"mvm": file, "vms": [], "snapshot": True, "clock": "wall", "log_dir": logs, "script": steps}
        try:
            return asyncio.run(run_headless(options, TIMEOUT, quiet=False))
        except EngineError as error:
            print(f"Error: {error.message}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
