"""LLVM IR to machine code, through llvmlite. `object_cache` keeps the result on disk."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

Progress = Callable[[str, float], None]
"""(what is being done, fraction done)."""


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


def source_key(folders: list[Path]) -> str:
    """The cache's key: a hash over what the code is generated from (the generator's sources), the host CPU and LLVM's
    version."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted((*folder.glob("*.py"), *folder.glob("*.json"))):
            digest.update(file.name.encode())
            digest.update(file.read_bytes())
    features = llvm.get_host_cpu_features().flatten()
    digest.update(f"{llvmlite.__version__} {llvm.get_host_cpu_name()} {features}".encode())
    return digest.hexdigest()[:24]
