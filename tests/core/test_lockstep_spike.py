"""Random programs in all modes leave memory, registers and CSRs as they do in Spike.

SHYPER_ORACLE_INSTRUCTIONS sets how many instructions are compared; continuous integration asks for more than a million.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shyper_tui.engine.board.memory_map import RAM_BASE
from shyper_tui.engine.machine import Machine
from tests.core.lockstep import RAM_SIZE
from tests.core.oracle_machine import END, TO_HOST, OracleMachine, elf

pytestmark = pytest.mark.oracle

INSTRUCTIONS_COMPARED = int(os.environ.get("SHYPER_ORACLE_INSTRUCTIONS", "600000"))
ISA = "rv64gch_zicntr_zicsr_zifencei_sstc_svadu_svpbmt_svnapot_zicclsm_zihpm"
LIMIT = 3_000_000
"""Cycles after which a program is given up: it goes in circles."""


def spike() -> str:
    found = shutil.which("spike", path=f"{Path(sys.executable).parent}") or shutil.which("spike")
    if found is None:
        pytest.skip("Spike, the oracle, is not installed")
    return found


def run_spike(simulator: str, folder: Path, program: bytes) -> bytes:
    """Memory from RAM_BASE to END after the program has ended."""
    (folder / "program").write_bytes(program)
    options = [f"--isa={ISA}", "-m4", "--pmpgranularity=4096"]
    output = [f"+signature={folder / 'signature'}", "+signature-granularity=16"]
    subprocess.run([simulator, *options, *output, str(folder / "program")], check=True, timeout=60)
    lines = (folder / "signature").read_text().split()
    return b"".join(bytes.fromhex(line)[::-1] for line in lines)


def run_here(images: dict[int, bytes]) -> tuple[bytes, int] | None:
    """The same, and how many instructions were executed; None for a program that does not end."""
    machine = Machine(1, RAM_SIZE)
    for address, data in images.items():
        machine.memory.write(address, data)
    hart = machine.harts[0]
    hart.reset(RAM_BASE)
    while not machine.memory.read(TO_HOST, 1)[0]:
        machine.run_round(machine.cycle + 10_000)
        if machine.cycle > LIMIT:
            return None
    return bytes(machine.host.ram.bytes[: END - RAM_BASE]), hart.instructions


def differences(ours: bytes, theirs: bytes) -> list[str]:
    """Words that differ, without the mailbox of the simulator, and without the ends of pages: when the second part of a
    store that crosses pages faults, Spike has already stored the first part, here nothing is stored."""
    return [
        f"{RAM_BASE + at:#x}: {ours[at : at + 8][::-1].hex()}, Spike {theirs[at : at + 8][::-1].hex()}"
        for at in range(0, len(ours), 8)
        if ours[at : at + 8] != theirs[at : at + 8] and at & ~63 != TO_HOST - RAM_BASE and at & 0xFFF != 0xFF8
    ]


@pytest.mark.parametrize("part", range(2))
def test_memory_registers_and_csrs_are_spikes(part: int, tmp_path: Path) -> None:
    simulator = spike()
    compared = ended = programs = 0
    while compared < INSTRUCTIONS_COMPARED // 2:
        seed = 1_000_000 * part + programs
        images = OracleMachine(seed).images
        programs += 1
        ran = run_here(images)
        if ran is None:
            continue
        ours, instructions = ran
        theirs = run_spike(simulator, tmp_path, elf(images))
        assert differences(ours, theirs)[:20] == [], f"program {seed}"
        compared += instructions
        ended += 1
    assert ended * 2 > programs
