"""Guest images: the embedded guests, Linux from Debian's packages, initramfs, disks."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .embedded import embedded
from .errors import ImageError
from .store import (
    PREFIX,
    ImageInfo,
    LinuxImages,
    catalog,
    damaged,
    linux_images,
    notes,
    outdated,
    path,
    resolve,
    verify,
)

if TYPE_CHECKING:
    from .builder import build
    from .debian import SUITES, fetch, rebuild
    from .libslirp import fetch_libslirp, fetched_libslirp, has_libslirp
    from .user_disk import UserSystem, user_system

__all__ = [
    "PREFIX",
    "SUITES",
    "ImageError",
    "ImageInfo",
    "LinuxImages",
    "UserSystem",
    "build",
    "catalog",
    "damaged",
    "embedded",
    "fetch",
    "fetch_libslirp",
    "fetched_libslirp",
    "has_libslirp",
    "linux_images",
    "notes",
    "outdated",
    "path",
    "rebuild",
    "resolve",
    "user_system",
    "verify",
]

_LATER = {
    "build": "builder",
    "SUITES": "debian",
    "fetch": "debian",
    "fetch_libslirp": "libslirp",
    "fetched_libslirp": "libslirp",
    "has_libslirp": "libslirp",
    "rebuild": "debian",
    "UserSystem": "user_disk",
    "user_system": "user_disk",
}


def __getattr__(name: str) -> Any:
    """What builds and fetches is imported when it is asked for: every start of a machine imports this package."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
