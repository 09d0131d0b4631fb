"""The release, for `--version` and the handshake of client and engine; the same as in pyproject.toml."""

VERSION = "0.1.0"
