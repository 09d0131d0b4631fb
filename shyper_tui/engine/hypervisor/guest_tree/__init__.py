"""Device trees of the VMs (Devicetree Specification): the MVM's from the board's tree, a GVM's from its definition."""

from __future__ import annotations

from shyper_tui.engine.hypervisor.guest_tree.cpu import ISA_EXTENSIONS, Cpu
from shyper_tui.engine.hypervisor.guest_tree.gvm import gvm_tree
from shyper_tui.engine.hypervisor.guest_tree.mvm import mvm_tree
from shyper_tui.engine.hypervisor.guest_tree.overlay import OverlayError, merge_overlay

__all__ = ["ISA_EXTENSIONS", "Cpu", "OverlayError", "gvm_tree", "merge_overlay", "mvm_tree"]
