"""The systems on the fetched disks, booted by the guide's own command line in our machine, on the virtual clock."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shyper_tui import config, images
from shyper_tui.images import LinuxImages, guide_files
from shyper_tui.images.disk import program
from shyper_tui.images.sparse_copy import copy_sparse

ROOT = Path(__file__).parents[2]
SECONDS = 60
PROMPT = [("until", "~# ")]

pytestmark = pytest.mark.linux


@pytest.fixture(scope="module")
def linux() -> LinuxImages:
    found = images.linux_images()
    if found is None or images.outdated():
        pytest.skip("no Linux images of this version; run `shyper-tui images fetch`")
    return found


def run(folder: Path, steps: list[tuple[str, str]], *options: str, vm: int = 0) -> str:
    """What a VM's console showed while the steps were done."""
    command = [sys.executable, "-m", "shyper_tui.cli", "run", "--headless", "-q", "--clock", "virtual"]
    command += ["--log-dir", str(folder), "--timeout", str(SECONDS), "--network", "none", *options]
    for action, text in steps:
        command += [f"--{action}", text if text.startswith("vm0:") else f"vm{vm}:{text}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=SECONDS + 60, check=False)
    shown = (folder / f"vm{vm}.log").read_text(errors="replace")
    assert done.returncode == 0, f"{done.stderr[-1500:]}\n{shown[-3000:]}"
    return shown


def login(password: str) -> list[tuple[str, str]]:
    return [("until", "login: "), ("send", "root"), ("until", "Password: "), ("send", password)]


def debugfs(disk: Path, request: str) -> str:
    binary = program("debugfs")
    if binary is None:
        pytest.skip("needs debugfs")
    return subprocess.run([binary, "-R", request, str(disk)], capture_output=True, text=True, check=True).stdout


def test_the_managing_vms_disk_keeps_what_is_written_and_is_left_clean(linux: LinuxImages, tmp_path: Path) -> None:
    disk = tmp_path / "mvm.ext4"
    copy_sparse(linux.mvm_disk, disk)
    options = ("--no-guest", "--mvm-disk", str(disk))
    size = [("until", r"\e[6n"), ("send", r"\e[33;101R\c")]
    first = run(
        tmp_path / "first",
        [
            *size, *login("wrong"), ("until", "Login incorrect"), *login("root"), *size, *PROMPT,
            ("send", "stty size; echo $TERM; tty; hostname; date +%s > kept; ip -brief addr show eth0"), *PROMPT,
            ("send", "mkdir more; umask; dd if=/dev/urandom of=more/data bs=64k count=64; sha256sum more/data > sums"),
            *PROMPT, ("send", "cd more; sleep 1000 > open & sleep 1; echo still op''en"), ("until", "still open"),
            ("send", "poweroff"), ("until", "Power down"),
        ],
        *options,
    )  # fmt: skip
    for told in ("33 101", "xterm-256color", "/dev/ttyS0", "\nmvm", "10.0.0.1", "insmod shyper_riscv64.ko"):
        assert told in first
    checker = program("e2fsck")
    if checker is not None:
        checked = subprocess.run([checker, "-fn", disk], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout
        assert "recovering" not in checked.stdout + checked.stderr
    assert debugfs(disk, "cat /root/kept").strip().isdigit()
    again = run(
        tmp_path / "again",
        [*login("root"), *PROMPT, ("send", "sha256sum -c sums; ls /etc/dropbear; echo DO''NE"), ("until", "DONE")],
        *options,
    )
    assert "more/data: OK" in again
    assert "dropbear_ed25519_host_key" in again


def test_the_guides_own_file_gives_a_login_on_the_guests_console(linux: LinuxImages, tmp_path: Path) -> None:
    """Its console=hvc1 is right for other kernels, and its initrd.gz has no address."""
    (tmp_path / "Image").symlink_to(linux.kernel)
    for number in (1, 2):
        (tmp_path / f"vm{number}.json").write_text(guide_files.vm_configuration(number))
    debugfs(linux.mvm_disk, f"dump /root/initrd.gz {tmp_path / 'initrd.gz'}")
    steps = [
        *login("root"), ("until", "Login incorrect"), *login("vm1"), *PROMPT,
        ("send", "tty; hostname; ip route; ping -c 1 -W 9 10.0.0.1"), ("until", " 0% packet loss"), *PROMPT,
        ("send", "sh -c 'echo sle''eping; exec sleep 1000'"), ("until", "sleeping"), ("send", r"\x03\c"), *PROMPT,
        ("send", "ec''ho $?"), ("until", "130"), ("send", "poweroff"),
        ("until", "Power down"),
    ]  # fmt: skip
    both = [("until", "vm0:mvm login: "), *steps]
    shown = run(tmp_path / "logs", both, "--snapshot", "--vm", str(tmp_path / "vm1.json"), vm=1)
    for told in ("/dev/hvc0", "\ngvm1", "default via ", "with the password vm1"):
        assert told in shown


def test_the_guides_files_are_in_the_managing_vms_home(linux: LinuxImages, tmp_path: Path) -> None:
    listed = debugfs(linux.mvm_disk, "ls -p /root")
    files = {line.split("/")[5]: line.split("/") for line in listed.splitlines() if line.count("/") >= 7}
    wanted = {"Image", "initrd.gz", "mediated-cfg.json", "vm1_config_riscv.json", "vm2_config_riscv.json"}
    assert wanted | set(guide_files.DISKS) <= set(files)
    assert int(files["vm0_ubuntu.img"][6]) == guide_files.SECTORS * 512
    assert linux.driver is not None
    assert "shyper_riscv64.ko" in files
    assert files["shyper"][2] == "100644"  # the guide says chmod +x
    for name in wanted - {"Image", "initrd.gz"}:
        debugfs(linux.mvm_disk, f"dump /root/{name} {tmp_path / name}")
        read = config.read_daemon if name.startswith("mediated") else config.read_vm
        reading = read((tmp_path / name).read_text(), name)
        assert reading.value is not None
        assert not config.has_errors(reading.diagnostics)


@pytest.mark.skipif(shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin") is None, reason="needs mke2fs")
def test_the_guides_and_the_stores_disks_have_one_size(linux: LinuxImages) -> None:
    assert linux.gvm_disk.stat().st_size == guide_files.SECTORS * 512
