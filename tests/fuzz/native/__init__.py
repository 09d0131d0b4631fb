"""Fuzzers of the native code, one module for each area. Each runs in a process of its own with the debug build:
`python -m tests.fuzz.native AREA SEED OPERATIONS`."""
