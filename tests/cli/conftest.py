"""A running engine for the tests of a module, in a runtime folder of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running_engine import RunningEngine, running_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """The two embedded guests, both at their prompts."""
    logs: Path = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:  # socket paths are short
        patch.setenv("XDG_RUNTIME_DIR", folder)
        with running_engine({"embedded": True, "log_dir": str(logs)}) as engine:
            engine.expect(0, "mvm# ")
            engine.expect(1, "gvm# ")
            yield engine
