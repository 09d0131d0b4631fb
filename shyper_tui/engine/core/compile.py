"""LLVM IR to machine code, through llvmlite, with a cache of objects on disk.

The cache's key is what the code is generated from: the sources of the generator, the host's CPU and LLVM's version. A
hit needs neither the generator nor the optimiser.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import platformdirs

_MAGIC = b"SHYPEROBJ1"
Progress = Callable[[str, float], None]
"""(what is being done, fraction done)."""


@dataclass(frozen=True)
class Compiled:
    """An object file and the tables that belong to it."""

    object: bytes
    tables: tuple[bytes, ...]


def _target_machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2,
        jit=True,
        codemodel="small",
        reloc="pic",
    )


def compile_ir(ir: str, *, level: int = 2, verify: bool = False) -> bytes:
    """Optimises and compiles a module; the object file."""
    module = llvm.parse_assembly(ir, llvm.create_context())
    if verify:
        module.verify()
    machine = _target_machine()
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


class Loaded:
    """Machine code in memory. Keep it alive as long as its functions are called."""

    def __init__(self, object_file: bytes) -> None:
        machine = _target_machine()
        empty = llvm.parse_assembly("", llvm.create_context())
        # llvmlite's memory manager keeps the sections together; LLVM's own may spread them beyond 32-bit relocations
        self._engine = llvm.create_mcjit_compiler(empty, machine, use_lmm=True)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(object_file))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        return int(self._engine.get_function_address(name))

    def function(self, name: str, arguments: int, *, long: bool = False) -> Any:
        """A callable: state pointer and `arguments` 64-bit integers to i64.

        A `long` one runs without the GIL. The others keep it: whoever gives it away for a few nanoseconds may have to
        wait for milliseconds until another thread gives it back.
        """
        prototype = ctypes.CFUNCTYPE if long else ctypes.PYFUNCTYPE
        signature = prototype(ctypes.c_int64, ctypes.c_void_p, *[ctypes.c_uint64] * arguments)
        return signature(self.address(name))


def cache_folder() -> Path:
    return Path(platformdirs.user_cache_dir("shyper-tui")) / "core"


def source_key(folders: list[Path]) -> str:
    """A hash over the generator's sources, the host CPU and LLVM's version."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted((*folder.glob("*.py"), *folder.glob("*.json"))):
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
    features = llvm.get_host_cpu_features().flatten()
    digest.update(f"{llvmlite.__version__} {llvm.get_host_cpu_name()} {features}".encode())
    return digest.hexdigest()[:24]


def load_cached(key: str) -> Compiled | None:
    """None when there is no entry, or a damaged one."""
    try:
        data = (cache_folder() / f"{key}.bin").read_bytes()
    except OSError:
        return None
    if data[: len(_MAGIC)] != _MAGIC or len(data) < len(_MAGIC) + 36:
        return None
    checksum = data[len(_MAGIC) : len(_MAGIC) + 32]
    body = data[len(_MAGIC) + 32 :]
    if hashlib.sha256(body).digest() != checksum:
        return None
    (count,) = struct.unpack_from("<I", body)
    position = 4 + 8 * count
    parts = []
    for length in struct.unpack_from(f"<{count}Q", body, 4):
        parts.append(body[position : position + length])
        position += length
    return Compiled(parts[0], tuple(parts[1:]))


def store_cached(key: str, compiled: Compiled) -> None:
    """Writes an entry atomically; a cache that cannot be written is no error."""
    parts = (compiled.object, *compiled.tables)
    body = struct.pack(f"<I{len(parts)}Q", len(parts), *map(len, parts)) + b"".join(parts)
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + hashlib.sha256(body).digest() + body)
        os.replace(name, folder / f"{key}.bin")
    except OSError:
        return
