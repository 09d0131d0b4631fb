"""Unpacks compressed kernels, never to more than a limit: a few kilobytes may stand for terabytes."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Protocol

CODECS = ("gzip", "bzip2", "xz", "lzma", "zstd")
"""What `unpack` reads. lz4 and lzo are read by neither the standard library nor a dependency."""
MEMORY_LIMIT = 256 << 20
"""Bytes that a dictionary may take: as much as `xz -9e` and `zstd --ultra` ask for, and some."""
_PIECE = 4 << 20


class UnpackError(Exception):
    """A sentence's end: why compressed data cannot be unpacked, after "it is compressed with gzip and"."""


class _Decompressor(Protocol):
    """One stream of compressed data, as `bz2` and `lzma` have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib's object with the interface of the others."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        found = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        self.needs_input = not self._stream.unconsumed_tail and len(found) < max_length
        return found


class _Zstd:
    """zstandard's object, which takes no `max_length`: small pieces of input bound its output instead."""

    needs_input = True

    def __init__(self) -> None:
        import zstandard  # needed for few kernels

        self._error = zstandard.ZstdError
        self._stream: Any = zstandard.ZstdDecompressor(max_window_size=MEMORY_LIMIT // 2).decompressobj()

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._stream.unused_data)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        try:
            return bytes(self._stream.decompress(data))
        except self._error as error:
            raise lzma.LZMAError(str(error)) from None


_STREAMS: dict[str, tuple[bytes, int, Callable[[], _Decompressor]]] = {
    "gzip": (b"\x1f\x8b\x08", _PIECE, _Gzip),
    "bzip2": (b"BZh", _PIECE, bz2.BZ2Decompressor),
    "xz": (b"\xfd7zXZ\0", _PIECE, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MEMORY_LIMIT)),
    "lzma": (b"", _PIECE, lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, MEMORY_LIMIT)),
    "zstd": (b"\x28\xb5\x2f\xfd", 1024, _Zstd),
}
"""How each stream begins, how much of it is fed at a time, and what unpacks it."""


def unpack(data: bytes, codec: str, limit: int) -> bytes:
    """The content of data compressed with one of `CODECS`, at most `limit` bytes. Several streams behind each other
    are one file, as `pbzip2` writes them; what follows the last one is ignored, as by the tools. Raises
    UnpackError."""
    magic, piece, new = _STREAMS[codec]
    found: list[bytes] = []
    size = at = 0
    try:
        while at < len(data):
            stream = new()
            while not stream.eof:
                given = data[at : at + piece] if stream.needs_input else b""
                if stream.needs_input and not given:
                    raise UnpackError("ends too early")
                at += len(given)
                found.append(stream.decompress(given, min(_PIECE, limit + 1 - size)))
                size += len(found[-1])
                _look(size, limit)
            at -= len(stream.unused_data)
            if not magic or data[at : at + len(magic)] != magic:
                break
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, MemoryError) as error:
        if "memory" in str(error).lower() or "window" in str(error).lower():
            raise UnpackError(f"needs more than {MEMORY_LIMIT >> 20} MiB of memory to be unpacked") from None
        raise UnpackError("is damaged") from None
    return b"".join(found)


def _look(size: int, limit: int) -> None:
    if size > limit:
        shown = f"{limit >> 30} GiB" if limit >= 1 << 30 else f"{limit >> 20} MiB"
        raise UnpackError(f"unpacks to more than {shown}")
