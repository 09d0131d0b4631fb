"""Fixtures of the hart's tests."""

from __future__ import annotations

import pytest

from tests.hart.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
