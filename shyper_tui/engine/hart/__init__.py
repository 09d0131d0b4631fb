"""A RISC-V hart: state, CSRs, traps, interrupts, address translation."""
