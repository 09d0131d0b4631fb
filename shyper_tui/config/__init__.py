"""Rust-Shyper's JSON configurations: models, reading with positions, checks, diagnostics."""

from __future__ import annotations

from .board import DEFAULT_BOARD, Board
from .checks import check_vm
from .codes import CODES
from .daemon import DaemonConfig, read_daemon
from .diagnostics import Diagnostic, Reading, Severity, Span, describe, has_errors, summary
from .files import check_files, count
from .model import (
    CpuConfig,
    DtbDevice,
    DtbDeviceType,
    EmuDeviceType,
    EmulatedDevice,
    MemoryRegion,
    PassthroughDevice,
    VmConfig,
    VmImage,
    VmType,
)
from .reader import read_vm
from .samples import sample_path

__all__ = [
    "CODES",
    "DEFAULT_BOARD",
    "Board",
    "CpuConfig",
    "DaemonConfig",
    "Diagnostic",
    "DtbDevice",
    "DtbDeviceType",
    "EmuDeviceType",
    "EmulatedDevice",
    "MemoryRegion",
    "PassthroughDevice",
    "Reading",
    "Severity",
    "Span",
    "VmConfig",
    "VmImage",
    "VmType",
    "check_files",
    "check_vm",
    "count",
    "describe",
    "has_errors",
    "read_daemon",
    "read_vm",
    "sample_path",
    "summary",
]
