"""Blocks of host memory lie between pages that nobody may touch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shyper_tui.engine.hart.host_memory import Block

READ = """
import ctypes, faulthandler
from shyper_tui.engine.hart.host_memory import Block
faulthandler.enable()
neighbours = [Block(4096) for _ in range(4)]
block = Block({size}, huge={huge})
ctypes.c_uint8.from_address(block.address + {offset}).value
"""


@pytest.mark.parametrize("huge", [False, True])
@pytest.mark.parametrize(("offset", "inside"), [(0, True), (8191, True), (8192, False), (-1, False)])
def test_an_access_beyond_a_block_faults_at_once(huge: bool, offset: int, inside: bool) -> None:
    code = READ.format(size=8192, huge=huge, offset=offset)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode == 0) is inside
    assert ("Segmentation fault" in ended.stderr) is not inside


def test_only_what_lies_in_a_block_is_given_back() -> None:
    block = Block(8192)
    block.bytes[:] = b"x" * 8192
    block.clear(4096, 4096)
    assert bytes(block.bytes) == b"x" * 4096 + bytes(4096)
    for offset, length in ((4096, 8192), (-4096, 4096), (0, 12288)):
        with pytest.raises(ValueError, match="are not inside of"):
            block.clear(offset, length)
