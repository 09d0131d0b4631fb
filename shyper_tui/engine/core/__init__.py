"""The core: instruction semantics turned into native code, or into Python."""
