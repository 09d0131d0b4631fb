"""The one exception that the image functions raise."""

from __future__ import annotations


class ImageError(Exception):
    """An image that is missing, damaged or cannot be made.

    `message` says in one sentence what is wrong, `remedy` in one sentence what to do.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.message = message
        self.remedy = remedy
