"""A C compiler, assembler and linker for riscv64: the first that there is of

* one on the PATH: gcc for riscv64, or clang with its linker;
* parts of Debian's or Ubuntu's cross compiler, fetched with the host's own apt (`fetched_compiler`);
* the Python package `ziglang`, which is clang with lld.

`SHYPER_CROSS_COMPILER`, a comma-separated list of `path`, `fetched` and `ziglang`, changes which are tried.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .apt import Progress
from .errors import ImageError
from .fetched_compiler import FetchedCompiler, fetched_compiler

VARIABLE = "SHYPER_CROSS_COMPILER"
KINDS = ("path", "fetched", "ziglang")

_GCC_PREFIXES = ("riscv64-linux-gnu-", "riscv64-unknown-linux-gnu-", "riscv64-linux-musl-", "riscv64-unknown-elf-")
_MACHINE = ["-mabi=lp64", "-mcmodel=medany", "-mno-save-restore", "-mno-relax", "-mstrict-align"]
_GCC = ["-march=rv64imac_zicsr_zifencei", *_MACHINE]
_CLANG = ["--target=riscv64-linux-gnu", "-march=rv64imac_zicsr_zifencei", *_MACHINE, "-Qunused-arguments"]
_ZIG = [
    *("-target", "riscv64-freestanding-none", "-mcpu=generic_rv64+m+a+c+zicsr+zifencei"),
    *(option for option in _MACHINE if option != "-mstrict-align"),  # strict is what its CPUs are without a feature
    *("-fno-sanitize=all", "-g0", "-Qunused-arguments"),
]


class CompilerError(Exception):
    """A compiler or linker has failed; the text is its first complaint."""


@dataclass(frozen=True)
class Step:
    """One program to run."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CrossCompiler:
    """`compile(source, object, flags)` and `link(objects, linker script, output)` give the programs to run."""

    name: str
    compile: Callable[[str, str, Sequence[str]], list[Step]]
    link: Callable[[Sequence[str], str, str], list[Step]]

    def run(self, steps: list[Step], folder: Path) -> None:
        """Run steps in `folder`. Raises CompilerError."""
        for step in steps:
            environment = {**os.environ, **step.environment, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "1"}
            try:
                done = subprocess.run(
                    step.command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace",
                    stdin=subprocess.DEVNULL, check=False,
                )  # fmt: skip
            except OSError as error:
                raise CompilerError(f"{step.command[0]} cannot be run: {error.strerror}") from error
            if done.returncode != 0:
                raise CompilerError(_first_complaint(done.stderr) or f"{step.command[0]} exited with {done.returncode}")


def cross_compilers(progress: Progress) -> Iterator[CrossCompiler]:
    """The compilers of this host, best first; each is looked for, and fetched, when it is asked for. Raises ImageError
    after the last one, or when there is none."""
    kinds = wanted_kinds()
    missing: list[str] = []
    if "path" in kinds:
        on_path = [*_gcc_on_path(), *_clang_on_path()]
        yield from on_path
        if not on_path:
            missing.append("none is on the PATH")
    if "fetched" in kinds:
        try:
            yield _fetched(fetched_compiler(progress))
        except ImageError as error:
            missing.append(f"none can be fetched ({error.message[:1].lower()}{error.message[1:].rstrip('.')})")
    if "ziglang" in kinds:
        if importlib.util.find_spec("ziglang") is not None:
            yield _ziglang()
        else:
            missing.append("the Python package ziglang is not installed")
    reasons = missing or ["what there is does not work"]
    raise ImageError(
        f"There is no C compiler for riscv64: {'; '.join(reasons)}.",
        f"Install the package gcc-riscv64-linux-gnu, or run `{sys.executable} -m pip install ziglang`.",
    )


def wanted_kinds() -> tuple[str, ...]:
    """What the environment variable allows. Raises ImageError for a word that is none of `KINDS`."""
    words = tuple(filter(None, (word.strip() for word in os.environ.get(VARIABLE, "").split(","))))
    for word in words:
        if word not in KINDS:
            raise ImageError(f"{VARIABLE} has {word!r}.", f"The words are {', '.join(KINDS)}.")
    return words or KINDS


def _gcc_on_path() -> Iterator[CrossCompiler]:
    for prefix in _GCC_PREFIXES:
        gcc, ld = shutil.which(f"{prefix}gcc"), shutil.which(f"{prefix}ld")
        if gcc is not None and ld is not None:
            yield _driver(f"{prefix}gcc", [gcc], [*_GCC, "-pipe"], [ld, "-m", "elf64lriscv"])


def _clang_on_path() -> Iterator[CrossCompiler]:
    clang, lld = shutil.which("clang"), shutil.which("ld.lld")
    if clang is not None and lld is not None:
        yield _driver("clang", [clang], _CLANG, [lld])


def _ziglang() -> CrossCompiler:
    zig = [sys.executable, "-m", "ziglang"]
    return _driver("ziglang", [*zig, "cc"], _ZIG, [*zig, "ld.lld"])


def _driver(name: str, compiler: list[str], machine: list[str], linker: list[str]) -> CrossCompiler:
    """A compiler that runs its own assembler."""

    def compile_steps(source: str, output: str, flags: Sequence[str]) -> list[Step]:
        return [Step([*compiler, *machine, *flags, "-c", source, "-o", output])]

    def link_steps(objects: Sequence[str], script: str, output: str) -> list[Step]:
        return [Step([*linker, "-r", "--build-id=none", "-T", script, *objects, "-o", output])]

    return CrossCompiler(name, compile_steps, link_steps)


def _fetched(parts: FetchedCompiler) -> CrossCompiler:
    """gcc's compiler proper, and the GNU assembler and linker, without the program that usually runs them."""
    libraries = {"LD_LIBRARY_PATH": str(parts.libraries)}

    def compile_steps(source: str, output: str, flags: Sequence[str]) -> list[Step]:
        assembly = f"{output}.s"
        return [
            Step([str(parts.cc1), "-quiet", *_GCC, *flags, source, "-o", assembly], libraries),
            Step([str(parts.assembler), "-mno-relax", *_GCC[:2], assembly, "-o", output], libraries),
        ]

    def link_steps(objects: Sequence[str], script: str, output: str) -> list[Step]:
        command = [str(parts.linker), "-m", "elf64lriscv", "-r", "--build-id=none", "-T", script, *objects]
        return [Step([*command, "-o", output], libraries)]

    return CrossCompiler("fetched gcc", compile_steps, link_steps)


def _first_complaint(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "")
