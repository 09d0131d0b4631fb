"""Guest images: the embedded guests, Linux from Debian's packages, initramfs, disks."""

from __future__ import annotations

from .builder import build
from .debian import SUITES, fetch, rebuild
from .embedded import embedded
from .errors import ImageError
from .store import PREFIX, ImageInfo, LinuxImages, catalog, linux_images, path, resolve, verify

__all__ = [
    "PREFIX",
    "SUITES",
    "ImageError",
    "ImageInfo",
    "LinuxImages",
    "build",
    "catalog",
    "embedded",
    "fetch",
    "linux_images",
    "path",
    "rebuild",
    "resolve",
    "verify",
]
