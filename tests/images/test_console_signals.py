"""^C, ^\\, ^Z and ^D on every console of the Linux images: of the initramfs in QEMU, for what is wrong there is wrong
in the images, and of the systems on the disks in both VMs of our own machine."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shyper_tui import images
from shyper_tui.config import sample_path
from shyper_tui.images import LinuxImages

ROOT = Path(__file__).parents[2]
SECONDS = 120.0
"""The hosts of these tests may be busy."""

pytestmark = pytest.mark.linux


TAIL = "tail -n 99 -f /etc/profile"
"""Prints the file when it has the terminal, and ends by a signal alone."""
LOOP = """sh -c 'trap "echo con\\"\\"t" CONT; echo g""o; while :; do sleep 1; done'"""
"""Says `go` when it has the terminal and `cont` when it goes on; its echo says neither."""
KEYS = [
    ("until", "# "),
    ("send", f"{TAIL}\n"), ("until", "PS1="), ("send", "\x03"), ("until", "^C"), ("until", "# "),
    ("send", "echo st\"\"=$?\n"), ("until", "st=130"), ("until", "# "),
    ("send", f'{TAIL}; echo st""=$?\n'), ("until", "PS1="), ("send", "\x1c"), ("until", "st=131"), ("until", "# "),
    ("send", f"{LOOP}\n"), ("until", "go"), ("send", "\x1a"), ("until", "# "),
    ("send", "jobs\n"), ("until", "Stopped"), ("until", "# "),
    ("send", "fg\n"), ("until", "cont"), ("send", "\x03"), ("until", "# "),
    ("send", """sh -c 'echo g""o; exec cat'; echo e""of\n"""), ("until", "go"), ("send", "\x04"),
    ("until", "eof"), ("until", "# "),
    ("send", "exit\n"),
]  # fmt: skip
"""What is typed and waited for on a console, from the prompt to the end of the shell."""
AGAIN = [("until", "# "), ("send", f"{TAIL}\n"), ("until", "PS1="), ("send", "\x03"), ("until", "^C"), ("until", "# ")]
"""And in the shell that follows one that has ended."""
STEPS = [*KEYS, ("until", "BusyBox"), *AGAIN]


def login(password: str) -> list[tuple[str, str]]:
    return [("until", "login: "), ("send", "root\n"), ("until", "Password: "), ("send", f"{password}\n")]


@pytest.fixture(scope="module")
def linux() -> LinuxImages:
    found = images.linux_images()
    if found is None or images.outdated():
        pytest.skip("no Linux images of this version; run `shyper-tui images fetch`")
    return found


class Qemu:
    """A `virt` board with the console on pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.stdin, self.stdout = process, process.stdin, process.stdout
        self.unread = b""
        self.deadline = time.monotonic() + SECONDS

    def until(self, text: str) -> None:
        while text.encode() not in self.unread:
            ready = select.select([self.stdout], [], [], max(0.0, self.deadline - time.monotonic()))[0]
            data = os.read(self.stdout.fileno(), 65536) if ready else b""
            assert data, f"{text!r} did not come; the console has {self.unread[-2000:]!r}"
            self.unread += data
        self.unread = self.unread.split(text.encode(), 1)[1]

    def send(self, text: str) -> None:
        self.stdin.write(text.encode())
        self.stdin.flush()


@contextmanager
def qemu(linux: LinuxImages, initramfs: Path, console: str) -> Iterator[Qemu]:
    binary = shutil.which("qemu-system-riscv64")
    if binary is None:
        pytest.skip("qemu-system-riscv64 is not installed")
    devices = ["-serial", "stdio"]
    if console.startswith("hvc"):
        devices = ["-serial", "none", "-chardev", "stdio,id=console", "-device", "virtio-serial-device"]
        if console == "hvc1":
            devices += ["-chardev", "null,id=other", "-device", "virtconsole,chardev=other"]
        devices += ["-device", "virtconsole,chardev=console"]
    command = [
        binary, "-M", "virt", "-m", "512M", "-display", "none", "-monitor", "none", "-no-reboot",
        "-kernel", str(linux.kernel), "-initrd", str(initramfs), "-append", f"console={console} quiet", *devices,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Qemu(process)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("image", "console"), [("full", "ttyS0"), ("full", "hvc0"), ("full", "hvc1"), ("minimal", "ttyS0")]
)
def test_signals_from_the_keyboard_in_qemu(linux: LinuxImages, image: str, console: str) -> None:
    initramfs = linux.initramfs if image == "full" else linux.initramfs_min
    with qemu(linux, initramfs, console) as board:
        for action, text in STEPS:
            getattr(board, action)(text)
        board.send("tty\n")
        board.until(f"/dev/{console}")
        board.send("poweroff\n")
        assert board.process.wait(SECONDS) == 0


def test_signals_from_the_keyboard_after_a_login_in_both_vms(linux: LinuxImages, tmp_path: Path) -> None:
    script: list[str] = []
    for vm, password in enumerate(("root", "vm1")):
        for action, text in [*login(password), *KEYS, *login(password), *AGAIN]:
            shown = "".join(f"\\x{ord(char):02x}" if char < " " or char == "\\" else char for char in text)
            script += [f"--{action}", f"vm{vm}:{shown}" + ("\\c" if action == "send" else "")]
    command = [sys.executable, "-m", "shyper_tui.cli", "run", "--headless", "--clock", "virtual", *script]
    command += ["--vm", str(sample_path("linux-guest"))]
    command += ["--log-dir", str(tmp_path), "--timeout", str(SECONDS)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=SECONDS + 60, check=False)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr
