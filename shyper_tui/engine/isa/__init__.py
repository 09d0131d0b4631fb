"""RISC-V instructions: one row and one semantic function each."""
