"""Native code under random input, with every access checked: no access out of bounds, no exception of the engine.

Each area runs in a process of its own (`tests.fuzz.native`), so that a crash is a failed case with its seed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.fuzz.cases import NATIVE, NATIVE_WANTED, WANTED

QUICK = 1500
SHARES = {"arena": 0.55, "translation": 0.42, "rings": 0.03}
"""Of all operations in `make fuzz`."""


@pytest.mark.parametrize("area", SHARES)
def test_native_code_stays_inside_its_blocks(area: str) -> None:
    wanted = round(NATIVE_WANTED * SHARES[area]) if WANTED else QUICK
    seed = int.from_bytes(os.urandom(4), "little") if WANTED else 1
    command = [sys.executable, "-m", "tests.fuzz.native", area, str(seed), str(wanted)]
    environment = {**os.environ, "SHYPER_DEBUG_CORE": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3500)
    assert ended.returncode == 0, f"{' '.join(command)}\nends with {ended.returncode}:\n{ended.stderr[-4000:]}"
    done = json.loads(ended.stdout)
    assert sum(done.values()) >= wanted
    NATIVE.update({f"native {area}: {what}": count for what, count in done.items()})
