"""The sample configurations that come with the package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def samples_folder() -> Path:
    """`shyper_tui/sample_configs` in an installed package, the top-level folder in a source tree."""
    installed = _PACKAGE / "sample_configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "sample_configs"


def sample_names() -> list[str]:
    return sorted(file.name for file in samples_folder().glob("*.json"))


def sample_path(name: str) -> Path:
    """Path of a sample, for example `linux-guest.json` (the ending may be left out). Raises FileNotFoundError."""
    file = samples_folder() / (name if name.endswith(".json") else f"{name}.json")
    if not file.is_file():
        raise FileNotFoundError(f"There is no sample {name!r}; there are: {', '.join(sample_names())}.")
    return file
