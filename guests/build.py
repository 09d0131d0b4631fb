#!/usr/bin/env python3
"""Build the embedded guests and the bench programs: C → ELF files that are package data of shyper_tui.

    guests/build.py            build all, in place
    guests/build.py --check    build into a temporary folder, compare with the committed files; exit 1 on a difference

The compiler is clang with lld, as the package `ziglang` brings them. Its version is pinned: the bytes are compared.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import symbols

ZIG_VERSION = "0.17.1"
"""The compiler whose output is committed."""

GUESTS = Path(__file__).resolve().parent
ROOT = GUESTS.parent
EMBEDDED = "shyper_tui/images/embedded"
PROGRAMS = "shyper_tui/bench/programs"
TESTS = "tests/programs"

COMMON_FLAGS = [
    *("-target", "riscv64-freestanding-none", "-mcmodel=medany", "-std=gnu11", "-O2", "-gline-tables-only"),
    *("-ffreestanding", "-fno-builtin", "-nostdlib", "-static", "-fno-pic", "-ffunction-sections"),
    *("-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-stack-protector", "-fno-sanitize=all"),
    "-fno-ident",
    *("-Wall", "-Wextra", "-Werror", "-Wno-main", "-Wno-main-return-type"),
    *("-Wl,--gc-sections", "-Wl,--build-id=none"),
]
HOSTED_FLAGS = [
    *("-target", "riscv64-linux-musl", "-static", "-std=gnu11", "-Os", "-s", "-D_GNU_SOURCE"),
    *("-ffunction-sections", "-fdata-sections", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"),
    *("-fno-stack-protector", "-fno-sanitize=all", "-fno-ident"),
    *("-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wl,--gc-sections", "-Wl,--build-id=none"),
]
"""A process of Linux with the compiler's own C library (musl) in it."""
SUPERVISOR_LEVEL = ["-mcpu=baseline_rv64-d-f", "-mabi=lp64"]
"""The embedded guests leave the FPU alone: their trap handler saves integer registers only."""
MACHINE_LEVEL = ["-mcpu=baseline_rv64"]


@dataclass(frozen=True)
class Program:
    """One ELF file: where it goes, its sources (relative to guests/), its flags."""

    output: str
    sources: tuple[str, ...]
    flags: tuple[str, ...]
    common: tuple[str, ...] = tuple(COMMON_FLAGS)


class BuildError(Exception):
    """The compiler is missing or of another version, or it refused a source."""


def guest(name: str, folder: str = EMBEDDED) -> Program:
    """A system for VS-mode: guests/common and its own folder, linked for the address in its linker script.

    `folder`: where the ELF file goes; TESTS for a system that only tests use.
    """
    folders = ("common", name)
    sources = [p.relative_to(GUESTS).as_posix() for f in folders for p in sorted((GUESTS / f).glob("*.[cS]"))]
    flags = [*SUPERVISOR_LEVEL, "-Icommon", f"-Wl,-T,{name}/{name}.ld"]
    return Program(f"{folder}/{name}.elf", tuple(sources), tuple(flags))


def bench(name: str, mmu: bool) -> Program:
    """A program for M-mode; with `mmu` it runs in S-mode behind an Sv39 identity map."""
    flags = [*MACHINE_LEVEL, "-Wl,-T,bench/bench.ld", *(["-DMMU"] if mmu else [])]
    suffix = "-mmu" if mmu else ""
    sources = ("bench/start.S", "bench/runtime.c", f"bench/{name}.c")
    return Program(f"{PROGRAMS}/{name}{suffix}.elf", sources, tuple(flags))


HYPERVISOR_BENCH = Program(
    f"{PROGRAMS}/hypervisor_bench.elf",
    ("hypervisor_bench/start.S", "hypervisor_bench/main.c"),
    (*SUPERVISOR_LEVEL, "-Wl,-T,hypervisor_bench/hypervisor_bench.ld"),
)
"""S-mode: what a hypervisor's services cost the managing VM."""


def hosted(output: str, folder: str) -> Program:
    """A process of Linux with a C library: all C files of `folder`."""
    sources = sorted((GUESTS / folder).glob("*.c"))
    return Program(output, tuple(path.relative_to(GUESTS).as_posix() for path in sources), (), tuple(HOSTED_FLAGS))


CLI = hosted(f"{EMBEDDED}/shyper", "linux/cli")
"""The command of the managing VM's Linux."""
ABI_TEST = hosted(f"{TESTS}/linux_abi_test.elf", "linux/abi_test")
"""What tests /dev/shyper."""


def linux(name: str, folder: str) -> Program:
    """A process of Linux, without a C library."""
    return Program(f"{folder}/linux_{name}.elf", ("linux/system.c", f"linux/{name}.c"), (*MACHINE_LEVEL, "-s"))


def programs() -> list[Program]:
    """Everything that is built."""
    names = ("coremark_like", "sieve_sort", "memory", "recursion")
    return [
        guest("supervisor"),
        guest("guest"),
        guest("conformance", TESTS),
        guest("hostile", PROGRAMS),
        HYPERVISOR_BENCH,
        linux("bench", PROGRAMS),
        linux("io_bench", PROGRAMS),
        linux("soak", TESTS),
        linux("random_io", TESTS),
        CLI,
        ABI_TEST,
        *(bench(name, mmu) for name in names for mmu in (False, True)),
    ]


def check_compiler() -> None:
    """Raise BuildError when the pinned compiler is not installed."""
    remedy = f"install it with: {sys.executable} -m pip install ziglang=={ZIG_VERSION}"
    try:
        version = importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        raise BuildError(f"the compiler is not installed (package ziglang); {remedy}") from None
    if version != ZIG_VERSION:
        raise BuildError(f"ziglang {version} is installed, the guests are built with {ZIG_VERSION}; {remedy}")


def build(program: Program, root: Path) -> Path:
    """Compile and link one program below `root`; gives the path of the ELF file."""
    output = root / program.output
    output.parent.mkdir(parents=True, exist_ok=True)
    # Relative paths and the folder as working directory: no path of this machine gets into the file.
    command = [sys.executable, "-m", "ziglang", "cc", *program.common, f"-ffile-prefix-map={GUESTS}=."]
    command += [*program.flags, *program.sources, "-o", str(output)]
    result = subprocess.run(command, cwd=GUESTS, capture_output=True, text=True, check=False, env=os.environ)
    if result.returncode:
        raise BuildError(f"{program.output}: the compiler failed\n{result.stderr.rstrip()}")
    output.write_bytes(symbols.keep_named_symbols(output.read_bytes()))
    output.chmod(0o644)
    return output


def build_all(root: Path) -> list[Path]:
    """Build every program below `root`, two at a time."""
    check_compiler()
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda program: build(program, root), programs()))


def check() -> list[str]:
    """Build into a temporary folder; one sentence for each file that differs from the committed one."""
    differences = []
    with tempfile.TemporaryDirectory() as folder:
        for fresh in build_all(Path(folder)):
            name = fresh.relative_to(folder).as_posix()
            committed = ROOT / name
            if not committed.exists():
                differences.append(f"{name} is missing: run guests/build.py")
            elif committed.read_bytes() != fresh.read_bytes():
                differences.append(f"{name} differs from what its sources build to: run guests/build.py and commit")
    return differences


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare with the committed files instead of writing them")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            differences = check()
            print("\n".join(differences) or f"{len(programs())} files are what their sources build to")
            return 1 if differences else 0
        for path in build_all(ROOT):
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")
    except BuildError as error:
        print(f"guests/build.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
