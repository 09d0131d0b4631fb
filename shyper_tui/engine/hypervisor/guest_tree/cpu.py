"""What a VM's tree says about its harts."""

from __future__ import annotations

from dataclasses import dataclass

from shyper_tui.engine.board.devicetree import Node

ISA_EXTENSIONS = ("i", "m", "a", "f", "d", "c", "zicntr", "zicsr", "zifencei", "sstc", "svadu")
"""What a vCPU has: the core's extensions without H, and Sstc and Svadu as henvcfg gives them."""
MANAGED = ("riscv,isa-base", "riscv,isa-extensions", "riscv,cbom-block-size", "riscv,cboz-block-size")
"""Properties of a machine's hart that a vCPU does not inherit."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """What a tree says about each hart."""

    isa_extensions: tuple[str, ...] = ISA_EXTENSIONS
    mmu_type: str = "riscv,sv57"

    @property
    def isa(self) -> str:
        """The string of `riscv,isa`: single letters first, the others after underscores."""
        single = "".join(name for name in self.isa_extensions if len(name) == 1)
        return "_".join([f"rv64{single}", *(name for name in self.isa_extensions if len(name) > 1)])

    def describe(self, node: Node) -> None:
        """Writes the properties into a hart's node; what the machine's hart has besides goes away."""
        for name in MANAGED:
            node.properties.pop(name, None)
        node.text("riscv,isa", self.isa)
        node.text("riscv,isa-base", "rv64i").text("riscv,isa-extensions", *self.isa_extensions)
        node.text("mmu-type", self.mmu_type)
