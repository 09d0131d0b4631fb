"""The committed ELF files of guests/: complete, at their places, built from their sources, and alive under QEMU."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from types import ModuleType

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

BUILD = Path(__file__).resolve().parents[2] / "guests" / "build.py"
ROOT = BUILD.parents[1]
LOAD_ADDRESS = {
    "supervisor": 0x9000_0000, "guest": 0x8020_0000, "conformance": 0x9000_0000, "hostile": 0x8020_0000,
    "hypervisor_bench": 0x9000_0000,
}  # fmt: skip
FOR_TESTS = {"conformance", "linux_abi_test", "linux_soak", "linux_random_io"}
"""Programs that do not come with the package."""
EMBEDDED = {"supervisor", "guest", "shyper"}
LINUX = ["linux_abi_test", "linux_bench", "linux_io_bench", "linux_soak", "linux_random_io", "shyper"]
"""Processes of Linux."""
BENCH = ["coremark_like", "sieve_sort", "memory", "recursion"]
QEMU = shutil.which("qemu-system-riscv64")
needs_qemu = pytest.mark.skipif(QEMU is None, reason="qemu-system-riscv64 is not installed")


def package_data(name: str) -> bytes:
    return (resources.files("shyper_tui") / name).read_bytes()


def elf_name(program: str) -> str:
    """The file's path in the project."""
    if program in FOR_TESTS:
        return f"tests/programs/{program}.elf"
    folder = "images/embedded" if program in EMBEDDED else "bench/programs"
    return f"shyper_tui/{folder}/{program}{'' if program == 'shyper' else '.elf'}"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("guests_build", BUILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("program", [*LOAD_ADDRESS, *BENCH, *(f"{name}-mmu" for name in BENCH)])
def test_program_is_a_small_riscv_elf_at_its_load_address(program: str) -> None:
    data = (ROOT / elf_name(program)).read_bytes()
    elf = ELFFile(io.BytesIO(data))
    base = LOAD_ADDRESS.get(program, 0x8000_0000)
    loads = [segment for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"]
    assert (elf["e_machine"], elf.elfclass, elf["e_entry"]) == ("EM_RISCV", 64, base)
    assert loads[0]["p_paddr"] == base
    assert all(segment["p_paddr"] == segment["p_vaddr"] for segment in loads)
    assert not [section.name for section in elf.iter_sections() if section.name.startswith(".debug")]
    assert len(data) < 96 * 1024


@pytest.mark.parametrize("program", LINUX)
def test_a_process_of_linux_needs_no_library(program: str) -> None:
    data = (ROOT / elf_name(program)).read_bytes()
    elf = ELFFile(io.BytesIO(data))
    assert (elf["e_machine"], elf.elfclass, elf["e_type"]) == ("EM_RISCV", 64, "ET_EXEC")
    kinds = {segment["p_type"] for segment in elf.iter_segments()}
    assert not kinds & {"PT_INTERP", "PT_DYNAMIC"}
    assert len(data) < 96 * 1024


def test_functions_have_names_and_local_labels_are_gone() -> None:
    symbols = ELFFile(io.BytesIO(package_data("images/embedded/guest.elf"))).get_section_by_name(".symtab")
    assert isinstance(symbols, SymbolTableSection)
    addresses = {symbol.name: symbol["st_value"] for symbol in symbols.iter_symbols()}
    assert addresses["_start"] == LOAD_ADDRESS["guest"]
    assert {"main", "trap_entry", "trap_handle", "shell_run"} <= addresses.keys()
    assert not [name for name in addresses if name.startswith(".L")]


def test_every_built_program_is_tested_here(build: ModuleType) -> None:
    outputs = {program.output for program in build.programs()}
    names = [*LOAD_ADDRESS, *LINUX, *BENCH, *(f"{name}-mmu" for name in BENCH)]
    assert outputs == {elf_name(name) for name in names}


def test_committed_files_are_what_the_sources_build_to(build: ModuleType) -> None:
    try:
        build.check_compiler()
    except build.BuildError as error:
        pytest.skip(str(error))
    assert build.check() == []


def test_another_compiler_version_is_refused_with_the_remedy(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build.importlib.metadata, "version", lambda name: "0.1.0")
    monkeypatch.setattr(sys, "argv", ["build.py", "--check"])
    assert build.main() == 1
    message = capsys.readouterr().err
    assert message.startswith("guests/build.py: ziglang 0.1.0 is installed, the guests are built with ")
    assert "pip install ziglang==" in message


def test_a_changed_file_is_named(build: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    guest = build.guest("guest")

    def pretend(root: Path) -> list[Path]:
        path = root / guest.output
        path.parent.mkdir(parents=True)
        path.write_bytes(b"another ELF")
        return [path]

    monkeypatch.setattr(build, "build_all", pretend)
    assert build.check() == [f"{guest.output} differs from what its sources build to: run guests/build.py and commit"]


class Qemu:
    """A running `virt` board with its console on pipes."""

    def __init__(self, elf: Path, *options: str, console: str = "-serial") -> None:
        assert QEMU is not None
        command = [QEMU, "-M", "virt", "-m", "512M", "-display", "none", "-monitor", "none", "-no-reboot"]
        command += ["-global", "virtio-mmio.force-legacy=false", "-kernel", str(elf), *options, console, "stdio"]
        if console == "-chardev":
            command[-1] = "stdio,id=console"
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.unread = b""

    def expect(self, text: bytes, timeout: float = 30) -> str:
        """Everything up to and with `text`."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout
        while text not in self.unread:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"{text!r} did not come; the console has {self.unread!r}"
            self.unread += data
        seen, self.unread = self.unread.split(text, 1)
        return (seen + text).decode(errors="replace").replace("\r", "")

    def command(self, line: str, prompt: bytes) -> str:
        """What the system prints for one line typed at its prompt, without the echo."""
        self.type(line + "\r")
        return self.expect(b"\n" + prompt).split("\n", 1)[1].rsplit("\n", 1)[0]

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def exit_status(self) -> int:
        return self.process.wait(timeout=30)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def qemus() -> Iterator[list[Qemu]]:
    running: list[Qemu] = []
    yield running
    for qemu in running:
        qemu.close()


def elf_file(program: str, folder: Path) -> Path:
    path = folder / f"{program}.elf"
    path.write_bytes((ROOT / elf_name(program)).read_bytes())
    return path


def shortest_interval(answer: str) -> int:
    """Microseconds, from what `timer` printed."""
    match = re.match(r"\d intervals of 10000 us: shortest (\d+) us", answer)
    assert match, answer
    return int(match[1])


@needs_qemu
@pytest.mark.oracle
def test_the_supervisor_answers_on_the_serial_port(tmp_path: Path, qemus: list[Qemu]) -> None:
    qemu = Qemu(elf_file("supervisor", tmp_path))
    qemus.append(qemu)
    qemu.expect(b"\nmvm# ")
    assert "  shyper vm list               the VMs of the hypervisor\n" in qemu.command("help", b"mvm# ")
    assert "no hypervisor answers" in qemu.command("shyper vm list", b"mvm# ")
    assert qemu.command("shyper vm boot x", b"mvm# ").startswith("usage: shyper vm list\n")
    assert qemu.command("echx\x7fo one  two", b"mvm# ") == "one two"
    assert qemu.command("wrong\x15echo right", b"mvm# ") == "right"
    assert qemu.command("fault", b"mvm# ") == "fault: no such command (help lists them)"
    qemu.type("poweroff\r")
    assert qemu.exit_status() == 0


@needs_qemu
@pytest.mark.oracle
def test_the_guest_uses_every_device_it_finds(tmp_path: Path, qemus: list[Qemu]) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(64 * 512))
    qemu = Qemu(
        elf_file("guest", tmp_path),
        *("-smp", "3", "-serial", "null"),
        *("-device", "virtio-serial-device", "-device", "virtconsole,chardev=console"),
        *("-drive", f"file={disk},format=raw,if=none,id=disk", "-device", "virtio-blk-device,drive=disk"),
        *("-netdev", "user,id=net,net=10.0.0.0/24,host=10.0.0.9"),
        *("-device", "virtio-net-device,netdev=net,mac=74:56:aa:0f:47:d1"),
        console="-chardev",
    )
    qemus.append(qemu)
    assert "MiB, virtio console)" in qemu.expect(b"\ngvm# ")
    assert "  timer N  " in qemu.command("help", b"gvm# ")
    assert qemu.command("blk", b"gvm# ") == "64 sectors of 512 bytes, 32 KiB"
    assert qemu.command("blk write 7 hello", b"gvm# ") == "sector 7 written"
    assert disk.read_bytes()[7 * 512 : 7 * 512 + 6] == b"hello\0"
    dump = qemu.command("blk read 7", b"gvm# ")
    assert dump.endswith("|hello...........|\n010 " + " 00" * 16 + "  |................|\n*\n200")
    assert "beyond the end" in qemu.command("blk read 64", b"gvm# ")
    assert "address  10.0.0.2/24\n" in qemu.command("net", b"gvm# ")
    assert qemu.command("ping 10.0.0.9", b"gvm# ").endswith("3 packets transmitted, 3 received")
    assert qemu.command("hart start 1", b"gvm# ") == "hart 1 started"
    assert qemu.command("hart start 2", b"gvm# ") == "hart 2 started"
    assert "counter 300000, expected 300000: ok" in qemu.command("smp", b"gvm# ")
    assert qemu.command("hart stop 2", b"gvm# ") == "hart 2 stopped"
    assert "hart 2   stopped" in qemu.command("cpu", b"gvm# ")
    assert shortest_interval(qemu.command("timer 3", b"gvm# ")) >= 10000
    for kind, fault in {
        "load": "load access fault (scause 5)",
        "store": "store access fault (scause 7)",
        "exec": "instruction access fault (scause 1)",
        "illegal": "illegal instruction (scause 2)",
    }.items():
        assert qemu.command(f"fault {kind}", b"gvm# ").startswith(f"fault: {fault}")
    assert qemu.command("fp 2", b"gvm# ") == "0 of 2 rounds lost registers"
    assert qemu.command("flood 300", b"gvm# ").count("lazy dog\n") == 299
    assert "Sv39" in qemu.command("mmu on", b"gvm# ")
    assert "load page fault" in qemu.command("fault load 0x5000000000", b"gvm# ")
    qemu.type("poweroff\r")
    assert qemu.exit_status() == 0


@needs_qemu
@pytest.mark.oracle
def test_the_guest_falls_back_to_the_serial_port_and_the_sbi_timer(tmp_path: Path, qemus: list[Qemu]) -> None:
    qemu = Qemu(elf_file("guest", tmp_path), "-cpu", "rv64,sstc=off")
    qemus.append(qemu)
    assert "MiB, 16550)" in qemu.expect(b"\ngvm# ")
    assert "timer    10000000 Hz, SBI\n" in qemu.command("cpu", b"gvm# ")
    assert shortest_interval(qemu.command("timer 2", b"gvm# ")) >= 10000
    assert qemu.command("blk", b"gvm# ") == "blk: no block device"
    assert qemu.command("ping 10.0.0.1", b"gvm# ") == "ping: no network device"
    qemu.type("reboot\r")  # -no-reboot: QEMU ends where it would start again
    assert qemu.exit_status() == 0


@needs_qemu
@pytest.mark.oracle
def test_a_bench_program_gives_the_same_checksum_with_the_mmu(tmp_path: Path, qemus: list[Qemu]) -> None:
    qemus += [Qemu(elf_file(program, tmp_path), "-bios", "none") for program in ("recursion", "recursion-mmu")]
    outputs = [qemu.expect(b"\n") for qemu in qemus]
    assert outputs[0].startswith("recursion checksum ")
    assert outputs[0] == outputs[1]
    assert [qemu.exit_status() for qemu in qemus] == [0, 0]
