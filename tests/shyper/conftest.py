"""The managing VM's command, compiled for this host: everything but the kernel module can be tried here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from shyper_tui import images
from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.hypervisor.vm import VmState
from shyper_tui.images import store
from shyper_tui.images.driver_build import FILE_NAME, driver_module
from tests.driver.station import driver_packages
from tests.hypervisor.test_overlays import overlay

from .linux_station import LinuxStation

OVERLAY = overlay(Node().text("note", "from the overlay"))
SOURCES = Path(__file__).parents[2] / "guests" / "linux" / "cli"
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="session")
def host_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`shyper` for this host, with every access to memory checked where the compiler can do that."""
    output = tmp_path_factory.mktemp("host") / "shyper"
    sources = sorted(map(str, SOURCES.glob("*.c")))
    flags = ["-std=gnu11", "-O1", "-D_GNU_SOURCE", "-pthread", *sources, "-o", str(output)]
    if compiler := shutil.which("cc"):
        for extra in (SANITIZED, []):
            if not subprocess.run([compiler, *extra, *flags], capture_output=True, check=False).returncode:
                return output
    if find_spec("ziglang") is None:
        pytest.skip("no C compiler is installed")
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *flags], check=True, env=os.environ)
    return output


class Shyper:
    """Runs the command in a folder."""

    def __init__(self, command: Path, folder: Path) -> None:
        self.command, self.folder = command, folder

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {"ASAN_OPTIONS": "detect_leaks=0"}  # a short-lived process gives nothing back
        return subprocess.run(
            [self.command, *words], cwd=self.folder, capture_output=True, text=True, check=False, env=environment,
            timeout=60,
        )  # fmt: skip


@pytest.fixture
def shyper(host_command: Path, tmp_path: Path) -> Shyper:
    return Shyper(host_command, tmp_path)


@pytest.fixture(scope="session")
def module() -> bytes:
    """The kernel module for the images' kernel: the images' own, or built from the sources now."""
    linux = images.linux_images()
    if linux is None:
        pytest.skip("no Linux images; run `shyper-tui images fetch`")
    built = store.linux_folder() / FILE_NAME
    if built.is_file():
        return built.read_bytes()
    packages = driver_packages()
    if not any(package.name.startswith("linux-headers-") for package in packages):
        pytest.skip("no kernel headers; run `shyper-tui images fetch --refresh`")
    try:
        return driver_module(linux.release, packages, lambda text, done, total: None)
    except images.ImageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def booted(module: bytes) -> Iterator[LinuxStation]:
    station = LinuxStation(module, {"overlay.dtbo": OVERLAY})
    station.boot()
    assert station("insmod shyper_riscv64.ko; mkdir /files; cp * /files") == " => 0"
    yield station
    station.close()


@pytest.fixture
def station(booted: LinuxStation) -> Iterator[LinuxStation]:
    """Linux as managing VM, with the module loaded; no guests, no daemon, and the files that it had at first."""
    yield booted
    if booted.manager.vm(0).state is VmState.PENDING:
        return
    for vm in [vm for vm in booted.manager.table if vm]:
        booted.manager.remove(vm)
    booted("killall -9 shyper 2> /dev/null; umount /mnt 2> /dev/null; rm -rf /root/* /run/shyper; cp /files/* /root")
    booted("echo 10 > /proc/sys/vm/nr_hugepages; wait; cd /root")
    booted.built.platform.disks.disks.clear()  # the next test's are others, though some have the same names
    booted.consoles.clear()
