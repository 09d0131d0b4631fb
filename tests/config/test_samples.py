"""The samples are right: alone and together, also beside the sample of the managing VM."""

from __future__ import annotations

from pathlib import Path

import pytest

from shyper_tui.config import Severity, check_files, sample_path
from shyper_tui.config.samples import sample_names

from .files import linux_image

TOGETHER = [
    ["linux-guest", "embedded-guest"],
    ["bare-metal"],
    ["two-linux-1", "two-linux-2"],
    ["network-1", "network-2", "network-3"],
]


@pytest.fixture(autouse=True)
def linux_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of Linux's form, where fetched ones would be."""
    folder = tmp_path / "images" / "linux"
    folder.mkdir(parents=True)
    (folder / "Image").write_bytes(linux_image())
    for name in ("initramfs.cpio", "gvm.ext4"):
        (folder / name).write_bytes(bytes(0x1000))
    monkeypatch.setattr("shyper_tui.images.store.user_cache_dir", lambda _name: str(tmp_path))


def files(names: list[str]) -> list[str]:
    return [str(sample_path(name)) for name in names]


def test_every_sample_is_among_the_tested_ones() -> None:
    tested = {f"{name}.json" for names in TOGETHER for name in names} | {"mvm.json", "daemon.json"}
    assert set(sample_names()) == tested


@pytest.mark.parametrize("name", [name for names in TOGETHER for name in names])
def test_a_sample_alone_has_no_findings(name: str) -> None:
    assert check_files(files([name])) == []


@pytest.mark.parametrize("names", TOGETHER[1:], ids=lambda names: names[0])
def test_samples_that_belong_together_have_no_findings(names: list[str]) -> None:
    assert check_files(files([*names, "daemon"])) == []


@pytest.mark.parametrize("names", [["linux-guest"], ["two-linux-1", "two-linux-2"], ["network-1", "network-2"]])
def test_samples_fit_the_sample_of_the_managing_vm(names: list[str]) -> None:
    assert check_files(files([*names, "daemon"]), str(sample_path("mvm"))) == []


def test_only_rust_shypers_third_console_is_missing_beside_its_own_managing_vm() -> None:
    (found,) = check_files(files(["network-1", "network-2", "network-3"]), str(sample_path("mvm")))
    assert (found.code, found.severity) == ("console-unpaired", Severity.WARNING)
    assert Path(found.file).name == "network-3.json"


def test_what_of_the_user_guides_sample_rust_shyper_does_not_do() -> None:
    """Its own file has neither comments nor a ramdisk, and names files inside the managing VM."""
    found = check_files(files(["linux-guest"]), portable=True)
    assert {one.code for one in found} == {"comments", "workstation-path", "ramdisk-ignored"}
    assert {one.severity for one in found} == {Severity.PORTABLE}
