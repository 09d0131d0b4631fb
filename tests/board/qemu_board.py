"""QEMU's `virt` board as an oracle: its devices are driven through the qtest protocol while its harts stand still."""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

QEMU = shutil.which("qemu-system-riscv64")
_LETTER = {1: "b", 2: "w", 4: "l", 8: "q"}


class QemuBoard:
    """Loads and stores on QEMU's bus; memory and devices alike."""

    base = 0x8000_0000

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _command(self, line: str) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        words = self._process.stdout.readline().split()
        assert words[:1] == ["OK"], f"{line}: {words}"
        return words[1:]

    def load(self, address: int, width: int) -> int:
        return int(self._command(f"read{_LETTER[width]} {address:#x}")[0], 16)

    def store(self, address: int, width: int, value: int) -> None:
        self._command(f"write{_LETTER[width]} {address:#x} {value:#x}")

    def read(self, address: int, size: int) -> bytes:
        return bytes.fromhex(self._command(f"read {address:#x} {size:#x}")[0][2:]) if size else b""

    def write(self, address: int, data: bytes) -> None:
        if data:
            self._command(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def read_u16(self, address: int) -> int:
        return self.load(address, 2)

    def read_u32(self, address: int) -> int:
        return self.load(address, 4)

    def write_u16(self, address: int, value: int) -> None:
        self.store(address, 2, value)

    def write_u64(self, address: int, value: int) -> None:
        self.write(address, struct.pack("<Q", value))


class QemuSlot:
    """One device of QEMU's board, by offset."""

    def __init__(self, board: QemuBoard, base: int) -> None:
        self._board = board
        self._base = base

    def read(self, offset: int, width: int) -> int:
        return self._board.load(self._base + offset, width)

    def write(self, offset: int, width: int, value: int) -> None:
        self._board.store(self._base + offset, width, value)


@contextmanager
def qemu_board(*options: str) -> Iterator[QemuBoard]:
    """A stopped machine with 4 harts; ends with the block."""
    assert QEMU is not None
    command = [QEMU, "-machine", "virt", "-smp", "4", "-m", "128M", "-S", "-bios", "none", "-display", "none"]
    command += ["-nodefaults"]
    command += ["-global", "virtio-mmio.force-legacy=false", "-qtest", "stdio", "-qtest-log", "/dev/null", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield QemuBoard(process)
        finally:
            process.kill()


def qemu_tree(path: Path) -> bytes:
    """The device tree of QEMU's board with 4 harts and 8 GiB."""
    assert QEMU is not None
    command = [QEMU, "-machine", f"virt,dumpdtb={path}", "-smp", "4", "-m", "8g", "-display", "none"]
    subprocess.run(command, check=True, capture_output=True)
    return path.read_bytes()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """QEMU serves requests on its own threads: asks until it is so."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f"QEMU: no {what}"
