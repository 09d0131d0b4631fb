"""Copies by ssh from the host into a Linux and back: ours as managing VM, and the same disk on QEMU's user network."""

from __future__ import annotations

import asyncio
import hashlib
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shyper_tui.bench.launch import LaunchError
from shyper_tui.bench.measurements import MVM_MEMORY
from shyper_tui.bench.qemu import Qemu
from shyper_tui.bench.uplink import free_port
from shyper_tui.images import LinuxImages
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.messages import EngineOptions

COPY = 32 << 20
"""Bytes."""
LOGIN = "mvm login: "
TRIES = 20
LIMIT = 180.0
"""Seconds that a boot or a copy may take."""
APPEND = "console=ttyS0 earlycon=sbi root=/dev/vda rw audit=0"
_PASSWORD = "root"

Figures = dict[str, float]


def available() -> bool:
    """The host has an ssh client that can be given a password (OpenSSH 8.4 or newer)."""
    return shutil.which("ssh") is not None and shutil.which("scp") is not None


def ours(folder: Path, linux: LinuxImages) -> Figures:
    """MB/s into the managing VM and out of it."""
    port = free_port()

    async def scenario() -> Figures:
        options = EngineOptions(
            snapshot=True, vms=[], clock="wall", forwards=[f"{port}:22"], log_dir=str(folder / "logs")
        )
        async with await Client.start(options) as client:
            await client.console.expect(0, LOGIN, LIMIT)
            return await asyncio.to_thread(_copies, folder, port, "")

    return asyncio.run(scenario())


def on_qemu(folder: Path, linux: LinuxImages, qemu: Qemu) -> Figures:
    """The same on QEMU, with one hart as the managing VM has."""
    port = free_port()
    files = str(linux.kernel), str(linux.initramfs)
    command = qemu.with_user_network(*files, APPEND, MVM_MEMORY, port, 22, linux.mvm_disk)
    with _running(command, LOGIN.encode()):
        return _copies(folder, port, "qemu_")


def _copies(folder: Path, port: int, prefix: str) -> Figures:
    content = os.urandom(COPY)
    source, back = folder / "copied", folder / "back"
    source.write_bytes(content)
    ssh = _Ssh(folder, port)
    ssh.wait("ssh", "-p", str(port), "root@127.0.0.1", "true")  # the server starts a little later than the login
    sent = ssh.run("scp", "-P", str(port), str(source), "root@127.0.0.1:/root/copied")
    digest = hashlib.sha256(content).hexdigest()
    if digest not in ssh.output("ssh", "-p", str(port), "root@127.0.0.1", "sha256sum /root/copied"):
        raise LaunchError("the copy has another checksum")
    received = ssh.run("scp", "-P", str(port), "root@127.0.0.1:/root/copied", str(back))
    if back.read_bytes() != content:
        raise LaunchError("what came back is something else")
    return {f"{prefix}ssh_in": COPY / sent / 1e6, f"{prefix}ssh_out": COPY / received / 1e6}


class _Ssh:
    """ssh and scp with the guide's password, and none of the user's own files."""

    def __init__(self, folder: Path, port: int) -> None:
        ask = folder / "password"
        ask.write_text(f"#!/bin/sh\necho {_PASSWORD}\n")
        ask.chmod(0o700)
        self._environment = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
        self._environment.pop("SSH_AUTH_SOCK", None)
        self._options = [
            "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / f'known-{port}'}",
            "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1", "-o", "LogLevel=ERROR",
        ]  # fmt: skip

    def wait(self, program: str, *arguments: str) -> None:
        """Until it succeeds."""
        for _ in range(TRIES - 1):
            try:
                self.output(program, *arguments)
            except LaunchError:
                time.sleep(1)
            else:
                return
        self.output(program, *arguments)

    def run(self, program: str, *arguments: str) -> float:
        """Seconds that it took."""
        started = time.perf_counter()
        self.output(program, *arguments)
        return time.perf_counter() - started

    def output(self, program: str, *arguments: str) -> str:
        command = [program, *self._options, *arguments]
        try:
            done = subprocess.run(
                command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise LaunchError(f"{program} did not end within {LIMIT:g} s") from None
        if done.returncode:
            raise LaunchError(f"{program} ended with status {done.returncode}: {done.stderr.strip()[-200:]}")
        return done.stdout


@contextmanager
def _running(command: tuple[str, ...], until: bytes) -> Iterator[None]:
    """A process, from the text on its standard output on."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as process:
        try:
            _wait(process, until, time.monotonic() + LIMIT)
            yield
        finally:
            process.kill()


def _wait(process: subprocess.Popen[bytes], until: bytes, deadline: float) -> None:
    assert process.stdout is not None
    seen = b""
    while until not in seen:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 65536) if ready else b""
        if not piece:
            raise LaunchError(f"it has not shown {until.decode()!r}")
        seen = seen[-len(until) :] + piece
