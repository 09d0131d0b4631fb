"""What a block device keeps its sectors in: a host file, or a copy-on-write layer over another disk."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, Protocol

from shyper_tui.engine.board.virtio.lock_holder import lock_holder
from shyper_tui.images.containers import START_BYTES, TAIL_BYTES, container
from shyper_tui.input_file import open_input

CLUSTER = 64 * 1024  # bytes, the unit an overlay copies
_ZEROES = bytes(1 << 20)
_REMEDY = "stop that one, or use a copy"
_SHRUNK = "the image file is shorter than the disk; somebody has cut it while it was in use"


class DiskError(Exception):
    """A disk image cannot be used; the message says which and why."""


class Disk(Protocol):
    """Bytes `0 .. size`. Callers stay inside. I/O errors are OSError."""

    @property
    def size(self) -> int: ...

    @property
    def read_only(self) -> bool: ...

    def read(self, offset: int, size: int) -> bytes: ...

    def write(self, offset: int, data: bytes) -> None: ...

    def flush(self) -> None:
        """Returns when everything written is on stable storage."""

    def discard(self, offset: int, size: int) -> None:
        """These bytes are no longer needed; they read as anything afterwards."""

    def write_zeroes(self, offset: int, size: int) -> None: ...

    def close(self) -> None: ...


class RawFile:
    """A raw image file or a block device, used in place. Sole use of a writable image is ensured by a lock (flock).

    An image that cannot be written (its permissions, or those of its file system) is a read-only disk. Raises DiskError
    for whatever is no raw image: other kinds of files, and containers such as qcow2 or compressed images.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        try:
            self._fd, self._read_only = _open_image(path, read_only)
        except OSError as error:
            raise DiskError(f"{path}: cannot open the disk image: {error.strerror or error}") from error
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if self._read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            self._size = os.lseek(self._fd, 0, os.SEEK_END)  # also right for block devices
            self._grows = stat.S_ISREG(os.fstat(self._fd).st_mode)
            start = os.pread(self._fd, START_BYTES, 0)
            tail = os.pread(self._fd, TAIL_BYTES, max(0, self._size - TAIL_BYTES))
        except OSError as error:
            busy = error.errno in (errno.EAGAIN, errno.EACCES)
            why = f"{_user(self._fd)} uses it; {_REMEDY}" if busy else error.strerror or error
            os.close(self._fd)
            raise DiskError(f"{path}: cannot use the disk image: {why}") from error
        wrapped = container(start, tail)
        if wrapped is not None:
            os.close(self._fd)
            sentence = f"it is {wrapped}, not a raw image. {wrapped.remedy(str(path))}"
            raise DiskError(f"{path}: cannot use the disk image: {sentence[:-1]}")
        self.path = path

    @property
    def size(self) -> int:
        return self._size

    @property
    def read_only(self) -> bool:
        return self._read_only

    def _check(self, end: int) -> None:
        """Raises OSError when the file has become shorter: what is behind its end would read as zeros, and a write
        there would make a hole of what is between."""
        if self._grows and os.fstat(self._fd).st_size < min(end, self._size):
            raise OSError(errno.EIO, _SHRUNK)

    def read(self, offset: int, size: int) -> bytes:
        pieces = []
        while size:
            piece = os.pread(self._fd, size, offset)
            if not piece:
                raise OSError(errno.EIO, _SHRUNK)
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def write(self, offset: int, data: bytes) -> None:
        if self._read_only:
            raise OSError(errno.EROFS, "the disk image is read-only")
        self._check(offset + len(data))
        _write_all(self._fd, data, offset)

    def flush(self) -> None:
        if self._fd < 0:
            raise OSError(errno.EBADF, "the disk image is closed")
        os.fsync(self._fd)

    def discard(self, offset: int, size: int) -> None:
        """Nothing: punching holes is not portable, and a discarded range may keep its bytes."""

    def write_zeroes(self, offset: int, size: int) -> None:
        while size:
            piece = _ZEROES[: min(size, len(_ZEROES))]
            self.write(offset, piece)
            offset += len(piece)
            size -= len(piece)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open_image(path: Path, read_only: bool) -> tuple[int, bool]:
    """(descriptor, whether it is read-only). An image without any write permission is meant to stay as it is, also when
    this process may do everything."""
    if not read_only and os.stat(path).st_mode & 0o222:
        try:
            return open_input(path, writable=True, block_devices=True), False
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
    return open_input(path, block_devices=True), True


def _user(descriptor: int) -> str:
    """Who has locked an image."""
    holder = lock_holder(descriptor)
    if holder.split(" ")[1:2] == [str(os.getpid())]:
        return "another disk of this machine"
    return f"another machine, {holder}," if holder else "another machine, or another disk of this one,"


def _scratch_folder() -> Path:
    large = Path("/var/tmp")
    return large if os.access(large, os.W_OK) else Path(tempfile.gettempdir())


def _write_all(descriptor: int, data: bytes | bytearray, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        done = os.pwrite(descriptor, rest, offset)
        if not done:
            raise OSError(errno.EIO, "the host wrote nothing")
        offset += done
        rest = rest[done:]


class _Clusters:
    """Changed clusters, each at its own place in a sparse temporary file that has no name and ends with the engine."""

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory = directory
        self._most = limit // CLUSTER
        self._file: IO[bytes] | None = None
        self._present: set[int] = set()
        self._closed = False

    def __contains__(self, cluster: int) -> bool:
        return cluster in self._present

    def read(self, cluster: int, start: int, size: int) -> bytes:
        assert self._file is not None
        return os.pread(self._file.fileno(), size, cluster * CLUSTER + start).ljust(size, b"\0")

    def write(self, cluster: int, start: int, data: bytes) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "the disk image is closed")
        if cluster not in self._present and len(self._present) >= self._most:
            raise OSError(errno.ENOSPC, "the overlay is full")
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 lives as long as the disk
        _write_all(self._file.fileno(), data, cluster * CLUSTER + start)
        self._present.add(cluster)

    def close(self) -> None:
        self._closed = True
        self._present.clear()
        if self._file is not None:
            self._file.close()


class Overlay:
    """A writable disk over `base`, which is only read: changes live in a temporary file until it is closed.

    They may take `limit` bytes of the host's disk (by default in /var/tmp, for /tmp may be memory). Beyond that, writes
    to further places fail (ENOSPC, an I/O error for the guest).
    """

    read_only = False

    def __init__(self, base: Disk, *, directory: Path | None = None, limit: int = 1 << 30) -> None:
        self._base = base
        self._clusters = _Clusters(directory or _scratch_folder(), limit)

    @property
    def size(self) -> int:
        return self._base.size

    def read(self, offset: int, size: int) -> bytes:
        pieces = []
        for cluster, start, length in _pieces(offset, size):
            if cluster in self._clusters:
                pieces.append(self._clusters.read(cluster, start, length))
            else:
                pieces.append(self._base.read(cluster * CLUSTER + start, length))
        return b"".join(pieces)

    def write(self, offset: int, data: bytes) -> None:
        done = 0
        for cluster, start, length in _pieces(offset, len(data)):
            if cluster not in self._clusters and length < CLUSTER:
                at = cluster * CLUSTER
                self._clusters.write(cluster, 0, self._base.read(at, min(CLUSTER, self.size - at)))
            self._clusters.write(cluster, start, data[done : done + length])
            done += length

    def flush(self) -> None:
        """Nothing: an overlay does not outlive the machine."""

    def discard(self, offset: int, size: int) -> None:
        """Nothing: what the overlay holds stays."""

    def write_zeroes(self, offset: int, size: int) -> None:
        for cluster, start, length in _pieces(offset, size):
            self.write(cluster * CLUSTER + start, bytes(length))

    def close(self) -> None:
        self._clusters.close()
        with contextlib.suppress(OSError):
            self._base.close()


class DiskWindow:
    """A part of another disk as a disk of its own. Where the other disk is too short, I/O fails (EIO)."""

    def __init__(self, disk: Disk, start: int, size: int) -> None:
        self._disk = disk
        self._start = start
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    @property
    def read_only(self) -> bool:
        return self._disk.read_only

    def _at(self, offset: int, size: int) -> int:
        if offset + size > self._size or self._start + offset + size > self._disk.size:
            raise OSError(errno.EIO, "the disk ends before this sector")
        return self._start + offset

    def read(self, offset: int, size: int) -> bytes:
        return self._disk.read(self._at(offset, size), size)

    def write(self, offset: int, data: bytes) -> None:
        self._disk.write(self._at(offset, len(data)), data)

    def flush(self) -> None:
        self._disk.flush()

    def discard(self, offset: int, size: int) -> None:
        self._disk.discard(self._at(offset, size), size)

    def write_zeroes(self, offset: int, size: int) -> None:
        self._disk.write_zeroes(self._at(offset, size), size)

    def close(self) -> None:
        """Nothing: the other disk belongs to somebody else."""


class MemoryDisk:
    """A disk that lives in `data` (bytes are read-only): scratch space, and images made on the fly."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    @property
    def read_only(self) -> bool:
        return isinstance(self._data, bytes)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._data[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        if isinstance(self._data, bytes):
            raise OSError(errno.EROFS, "the disk is read-only")
        self._data[offset : offset + len(data)] = data

    def flush(self) -> None:
        """Nothing: memory has no cache in front of it."""

    def discard(self, offset: int, size: int) -> None:
        """Nothing: the bytes stay."""

    def write_zeroes(self, offset: int, size: int) -> None:
        self.write(offset, bytes(size))

    def close(self) -> None:
        """Nothing to give back."""


def _pieces(offset: int, size: int) -> list[tuple[int, int, int]]:
    """(cluster, start in it, length) of the parts of a range."""
    pieces = []
    while size > 0:
        cluster, start = divmod(offset, CLUSTER)
        length = min(size, CLUSTER - start)
        pieces.append((cluster, start, length))
        offset += length
        size -= length
    return pieces
