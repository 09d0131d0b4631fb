"""Frames in a file that Wireshark and tcpdump read: pcapng (draft-ietf-opsawg-pcapng), one interface for each port."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shyper_tui.engine.board.device import TICKS_PER_SECOND, Timebase
from shyper_tui.ipc.messages import EngineError

LARGEST = 1 << 30
"""Bytes of a file; the capture ends there."""
FLUSH_TICKS = TICKS_PER_SECOND // 4
"""Who reads the file meanwhile waits so long for the last frames."""

_SECTION, _INTERFACE, _PACKET = 0x0A0D_0D0A, 1, 6
_MAGIC = 0x1A2B_3C4D
_ETHERNET, _SNAP_LENGTH = 1, 262_144
_IF_NAME, _IF_TSRESOL, _SHB_USERAPPL, _EPB_FLAGS = 2, 9, 4, 2
_TICKS = 7
"""Timestamps count units of 10⁻⁷ s: ticks."""
_INBOUND, _OUTBOUND = 1, 2

Tap = Callable[[bytes, bool], None]
"""Is shown a frame at a port, and whether the machine at that port has sent it."""


@dataclass(frozen=True)
class CaptureFile:
    """Where to write a capture; `replace`: even if there is a file with that name."""

    path: Path
    replace: bool = False

    def begin(self, timebase: Timebase, log: Callable[[str], None]) -> Capture:
        """EngineError when the file cannot be written."""
        return Capture(self.path, timebase, lambda text: log(f"warning: {text}"), replace=self.replace)


class Capture:
    """A file that is being written. `warn` is told when it ends before the machine does."""

    def __init__(
        self,
        path: Path,
        timebase: Timebase,
        warn: Callable[[str], None],
        *,
        replace: bool = False,
        largest: int = LARGEST,
    ) -> None:
        """EngineError when the file cannot be written, or is there and may not be replaced."""
        self._path, self._timebase, self._warn, self._largest = path, timebase, warn, largest
        self._file: BinaryIO | None = _open(path, replace)
        self._written = self._interfaces = 0
        self._flush_planned = False
        options = _option(_SHB_USERAPPL, b"shyper-tui")
        self._write(_block(_SECTION, struct.pack("<IHHq", _MAGIC, 1, 0, -1) + options))

    def tap(self, name: str) -> Tap:
        """A new interface with this name."""
        options = _option(_IF_NAME, name.encode()[:200]) + _option(_IF_TSRESOL, bytes((_TICKS,)))
        self._write(_block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, _SNAP_LENGTH) + options))
        number = self._interfaces
        self._interfaces += 1

        def record(data: bytes, sent: bool) -> None:
            now, size = self._timebase.now(), len(data)
            head = struct.pack("<IIIII", number, now >> 32, now & 0xFFFF_FFFF, size, size)
            flags = _option(_EPB_FLAGS, struct.pack("<I", _INBOUND if sent else _OUTBOUND))
            self._write(_block(_PACKET, head + _padded(data) + flags))
            self._plan_flush()

        return record

    def close(self) -> None:
        """Completes the file."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                self._warn(f"the capture {self._path} is not complete: {error.strerror or error}")

    def discard(self) -> None:
        """Nothing is to be captured after all: the file is removed."""
        self.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _write(self, block: bytes) -> None:
        if self._file is None:
            return
        if self._written + len(block) > self._largest:
            self._warn(f"the capture {self._path} has {self._largest >> 20} MiB and ends here")
            self.close()
            return
        self._written += len(block)
        self._carefully(lambda file: file.write(block))

    def _plan_flush(self) -> None:
        if not self._flush_planned and self._file is not None:
            self._flush_planned = True
            self._timebase.call_at(self._timebase.now() + FLUSH_TICKS, self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        self._carefully(lambda file: file.flush())

    def _carefully(self, call: Callable[[BinaryIO], object]) -> None:
        if self._file is None:
            return
        try:
            call(self._file)
        except OSError as error:
            self._warn(f"the capture {self._path} ends: {error.strerror or error}")
            file, self._file = self._file, None
            try:
                file.close()
            except OSError:
                return  # told already


def _open(path: Path, replace: bool) -> BinaryIO:
    try:
        if not replace:
            return path.open("xb")
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise EngineError("pcap", f"{path} is no regular file, so nothing can be captured in it")
        return open(path, "wb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK, 0o644))
    except FileExistsError:
        message = f"{path} is there already; name another file, or add --pcap-replace"
        raise EngineError("pcap", message) from None
    except OSError as error:
        raise EngineError("pcap", f"{path} cannot be written: {error.strerror or error}") from None


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)
