"""Hypercalls: one module per type; importing this package fills the table."""

from __future__ import annotations

from shyper_tui.engine.hypervisor.calls import config, mediated, messages, system, vms
from shyper_tui.engine.hypervisor.calls.table import call

__all__ = ["call", "config", "mediated", "messages", "system", "vms"]
