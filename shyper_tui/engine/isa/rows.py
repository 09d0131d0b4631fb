"""Loads every extension's rows. Import this to have the whole instruction set registered."""

from __future__ import annotations

from . import rv_a, rv_c, rv_d, rv_f, rv_h, rv_i, rv_m, rv_privileged, rv_zicsr, rv_zifencei
from .instruction import COMPRESSED, INSTRUCTIONS

EXTENSIONS = (rv_i, rv_m, rv_a, rv_f, rv_d, rv_c, rv_zicsr, rv_zifencei, rv_privileged, rv_h)

__all__ = ["COMPRESSED", "EXTENSIONS", "INSTRUCTIONS"]
