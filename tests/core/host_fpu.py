"""The host's floating-point unit as an oracle: operations under a chosen rounding mode, with the flags they raised.

x86-64 detects tininess after rounding, as RISC-V does, so flags compare one to one. Its NaN results differ and are
reported as the canonical NaN; conversions to integers that do not fit give an arbitrary integer there, and callers
leave them out.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence
from functools import cache

import llvmlite.binding as llvm

from shyper_tui.engine.isa.float_format import BINARY32, BINARY64, Flag, Format, Rounding

AVAILABLE = platform.machine() in ("x86_64", "AMD64") and bool(llvm.get_host_cpu_features().get("fma"))
ROUNDINGS = (Rounding.RNE, Rounding.RTZ, Rounding.RDN, Rounding.RUP)

_ROUNDING_CONTROL = {Rounding.RNE: 0, Rounding.RDN: 0x2000, Rounding.RUP: 0x4000, Rounding.RTZ: 0x6000}
_ALL_MASKED = 0x1F80
_FLAGS = ((0x01, Flag.NV), (0x04, Flag.DZ), (0x08, Flag.OF), (0x10, Flag.UF), (0x20, Flag.NX))
_LLVM_FLOAT = {"binary32": ("float", "f32"), "binary64": ("double", "f64")}
_ROUND = 'metadata !"round.dynamic", metadata !"fpexcept.strict"'
_EXACT = 'metadata !"fpexcept.strict"'


def _operation(name: str, fmt: Format) -> tuple[list[str], str, str]:
    """Operand types, result type and call of a constrained intrinsic, which LLVM does not move across a mode change."""
    real, suffix = _LLVM_FLOAT[fmt.name]
    other, other_suffix = _LLVM_FLOAT[(BINARY32 if fmt is BINARY64 else BINARY64).name]
    prefix = "@llvm.experimental.constrained"
    if name in ("fadd", "fsub", "fmul", "fdiv"):
        return [real, real], real, f"call {real} {prefix}.{name}.{suffix}({real} %a, {real} %b, {_ROUND})"
    if name == "sqrt":
        return [real], real, f"call {real} {prefix}.sqrt.{suffix}({real} %a, {_ROUND})"
    if name == "fma":
        return [real] * 3, real, f"call {real} {prefix}.fma.{suffix}({real} %a, {real} %b, {real} %c, {_ROUND})"
    if name == "fptrunc":
        return [real], other, f"call {other} {prefix}.fptrunc.{other_suffix}.{suffix}({real} %a, {_ROUND})"
    if name == "fpext":
        return [real], other, f"call {other} {prefix}.fpext.{other_suffix}.{suffix}({real} %a, {_EXACT})"
    operation, integer = name.split(".")  # sitofp.i32 or uitofp.i64
    return [integer], real, f"call {real} {prefix}.{operation}.{suffix}.{integer}({integer} %a, {_ROUND})"


@cache
def _compiled(name: str, fmt: Format) -> tuple[object, int, int, int]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    types, result, call = _operation(name, fmt)
    loads = "".join(
        f"  %{x}p = getelementptr {t}, ptr %{x}s, i64 %i\n  %{x} = load {t}, ptr %{x}p\n"
        for x, t in zip("abc", types, strict=False)
    )
    declared = call.split("call ")[1].split("(")[0]
    arguments = ", ".join(types + ["metadata"] * call.count("metadata"))
    text = f"""
declare {declared}({arguments})
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define void @run(ptr %as, ptr %bs, ptr %cs, ptr %rs, ptr %fs, i64 %n, i32 %mode) strictfp {{
entry:
  %old = alloca i32
  %new = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %old)
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%j, %loop]
{loads}  store i32 %mode, ptr %new
  call void @llvm.x86.sse.ldmxcsr(ptr %new)
  %r = {call} strictfp
  call void @llvm.x86.sse.stmxcsr(ptr %new)
  %f = load i32, ptr %new
  %fp = getelementptr i32, ptr %fs, i64 %i
  store i32 %f, ptr %fp
  %rp = getelementptr {result}, ptr %rs, i64 %i
  store {result} %r, ptr %rp
  %j = add i64 %i, 1
  %more = icmp ult i64 %j, %n
  br i1 %more, label %loop, label %done
done:
  call void @llvm.x86.sse.ldmxcsr(ptr %old)
  ret void
}}
"""
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=1
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(text), machine)
    engine.finalize_object()
    widths = {"float": 32, "double": 64, "i32": 32, "i64": 64}
    return engine, engine.get_function_address("run"), widths[types[0]], widths[result]


def run(name: str, fmt: Format, rounding: Rounding, *columns: Sequence[int]) -> list[tuple[int, int]]:
    """Applies one operation to columns of operands; returns (result, flags) for each row."""
    _, address, operand_width, result_width = _compiled(name, fmt)
    count = len(columns[0])
    word = {32: ctypes.c_uint32, 64: ctypes.c_uint64}
    arrays = [(word[operand_width] * count)(*column) for column in columns]
    arrays += arrays[:1] * (3 - len(arrays))
    results, status = (word[result_width] * count)(), (ctypes.c_uint32 * count)()
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5, ctypes.c_int64, ctypes.c_uint32)(address)
    function(*arrays, results, status, count, _ALL_MASKED | _ROUNDING_CONTROL[rounding])
    target = BINARY32 if result_width == 32 else BINARY64
    return [
        (
            target.canonical_nan if result & ~target.sign_bit > target.infinity else result,
            int(sum(flag for bit, flag in _FLAGS if control & bit)),
        )
        for result, control in zip(results, status, strict=True)
    ]
