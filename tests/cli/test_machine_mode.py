"""`shyper-tui machine`: small programs on the bare machine, exit statuses, wrong files, and real Linux where it is
there."""

from __future__ import annotations

import bz2
import gzip
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shyper_tui import images
from shyper_tui.engine.bare_loader import places
from shyper_tui.ipc.messages import EngineError

ROOT = Path(__file__).parents[2]
OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic")

# lui t0, 0x100 (test finisher); li t1, VALUE; sw t1, 0(t0); j .
PASS = struct.pack("<5I", 0x001002B7, 0x00005337, 0x55530313, 0x0062A023, 0x0000006F)
FAIL_7 = struct.pack("<5I", 0x001002B7, 0x00073337, 0x33330313, 0x0062A023, 0x0000006F)
SPIN = struct.pack("<I", 0x0000006F)
# li a7, 0x53525354 (SRST); li a6, 0; li a0, 0 (shutdown); li a1, 0; ecall
SHUTDOWN = struct.pack("<6I", 0x535258B7, 0x35488893, 0x00000813, 0x00000513, 0x00000593, 0x00000073)


def machine(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shyper_tui.cli", "machine", "--headless", *arguments]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, cwd=ROOT, timeout=240, check=False)


@pytest.mark.parametrize(("program", "status"), [(PASS, 0), (FAIL_7, 7), (SHUTDOWN, 0)], ids=["pass", "fail", "sbi"])
def test_the_exit_status_is_the_guests(tmp_path: Path, program: bytes, status: int) -> None:
    kernel = tmp_path / "kernel.bin"
    kernel.write_bytes(program)
    result = machine("--kernel", str(kernel), "--memory", "64M", "--timeout", "60")
    assert result.returncode == status, result.stderr
    assert result.stderr == ""


def test_firmware_of_ones_own_runs_in_m_mode(tmp_path: Path) -> None:
    firmware = tmp_path / "firmware.bin"
    firmware.write_bytes(struct.pack("<I", 0x34002573) + PASS)  # csrr a0, mscratch: illegal below M-mode
    assert machine("--bios", str(firmware), "--memory", "64M", "--timeout", "60").returncode == 0


@pytest.fixture
def slow_kernel(tmp_path: Path) -> Path:
    """A file of some kilobytes that takes long to unpack."""
    kernel = tmp_path / "Image.bz2"
    kernel.write_bytes(bz2.compress(bytes(16 << 20)) * 200)
    return kernel


def test_time_runs_out_while_a_kernel_is_unpacked(slow_kernel: Path) -> None:
    begun = time.monotonic()
    result = machine("--kernel", str(slow_kernel), "--memory", "8G", "--timeout", "1")
    assert (result.returncode, result.stderr) == (1, "Error: the files were not loaded within 1 s.\n")
    assert time.monotonic() - begun < 10


def test_an_interrupt_ends_unpacking(slow_kernel: Path) -> None:
    command = [sys.executable, "-m", "shyper_tui.cli", "machine", "--kernel", str(slow_kernel), "--memory", "8G"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)  # it reads, and unpacks
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode != 0
    assert b"Traceback" not in errors


def test_a_kernel_that_was_unpacked_is_noted(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel.gz"
    kernel.write_bytes(gzip.compress(SPIN.ljust(3 << 20, b"\0")))
    result = machine("--kernel", str(kernel), "--memory", "64M", "--timeout", "2", "--until", "never")
    assert f"{kernel}: unpacked from a file compressed with gzip, 3 MiB." in result.stderr


def test_time_runs_out(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel.bin"
    kernel.write_bytes(SPIN)
    result = machine("--kernel", str(kernel), "--memory", "64M", "--timeout", "1", "--until", "never")
    assert result.returncode == 1
    note = f"{kernel} is neither a RISC-V Linux Image nor an ELF file; it is run as a raw binary at 0x80200000."
    assert result.stderr == f"\nError: not seen: 'never' within 1 s. {note}\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x7fELF\x02\x01\x01" + bytes(11) + b"\x3e\0" + bytes(100), "it is an ELF file for x86-64"),
        (gzip.compress(bytes(range(256)), mtime=0)[:-20], "it is compressed with gzip and ends too early"),
        (b"\x7fELF\x02\x01\x01" + bytes(11) + b"\xf3\0" + b"\xff" * 100, "cannot be run: "),
        (b"", "cannot be run: it is empty"),
        (bytes(40 << 20), "does not fit into the machine's memory"),
    ],
    ids=["x86", "gzip", "damaged", "empty", "large"],
)
def test_what_is_no_kernel_is_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(content)
    result = machine("--kernel", str(kernel), "--memory", "32M")
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {kernel} ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_nothing_to_run_and_a_disk_that_is_none(tmp_path: Path) -> None:
    assert "There is nothing to run" in machine().stderr
    kernel = tmp_path / "kernel.bin"
    kernel.write_bytes(PASS)
    result = machine("--kernel", str(kernel), "--drive", str(tmp_path))
    assert (result.returncode, "is a directory" in result.stderr) == (2, True)
    image = tmp_path / "d.img"
    image.write_bytes(bytes(511))
    result = machine("--kernel", str(kernel), "--drive", str(image))
    assert (result.returncode, "not even one sector" in result.stderr) == (1, True)
    image.write_bytes(bytes(512))
    result = machine("--kernel", str(kernel), "--drive", str(image), "--drive", str(image))
    assert (result.returncode, "another disk of this machine uses it" in result.stderr) == (1, True)


def test_places_leave_room_for_the_kernel() -> None:
    where = places(1 << 30, 5000, 0x8040_0000)
    assert where.initrd is not None
    assert where.initrd[0] % 4096 == 0
    assert where.initrd[1] <= where.fw_dynamic < where.tree < 0xC000_0000
    assert places(16 << 30, 0, 0x8040_0000).tree < 0x8000_0000 + (3 << 30)
    with pytest.raises(EngineError, match="do not fit into 64 MiB of memory; give more with --memory"):
        places(64 << 20, 70 << 20, 0x8020_0000)


def linux(*arguments: str) -> subprocess.CompletedProcess[str]:
    installed = images.linux_images()
    if installed is None:
        pytest.skip("no Linux images; fetch them with `shyper-tui images fetch`")
    files = ["--kernel", str(installed.kernel), "--initrd", str(installed.initramfs_min), "--append", "console=ttyS0"]
    script = ["--until", "# ", "--send", "nproc; poweroff -f", "--until", "reboot: Power down"]
    return machine(*files, *script, "--timeout", "200", "--clock", "virtual", *arguments)


@pytest.mark.linux
@pytest.mark.parametrize("harts", [1, 4])
def test_linux_boots_and_powers_off(harts: int) -> None:
    result = linux("--smp", str(harts))
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    assert f"nproc; poweroff -f\n{harts}\n" in result.stdout


@pytest.mark.linux
@pytest.mark.parametrize("firmware", ["fw_dynamic.bin", "fw_jump.bin", "fw_dynamic.elf"])
def test_linux_boots_on_debians_opensbi(firmware: str) -> None:
    if not (OPENSBI / firmware).exists():
        pytest.skip("no OpenSBI; install the package opensbi")
    result = linux("--bios", str(OPENSBI / firmware), "--smp", "2")
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    assert "OpenSBI v" in result.stdout
    assert "poweroff -f\n2\n" in result.stdout
