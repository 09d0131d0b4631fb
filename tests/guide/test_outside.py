"""The managing VM and its guests as the host sees them: ssh from outside, and the way out through the managing VM."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shyper_tui.ipc.client import Client
from shyper_tui.ipc.messages import EngineOptions
from tests.guide.machine import DAEMON, GUEST_LOGIN, GVM1, LOGIN, MVM, Typed, needs_linux

pytestmark = [*needs_linux, pytest.mark.skipif(shutil.which("ssh") is None, reason="needs ssh (openssh-client)")]
LIMIT = 120.0
SERVING = "until netstat -tln | grep -q ':22 '; do sleep 0.1; done; echo it ser''ves"
CONTENT = bytes(range(256)) * 8192


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Ssh:
    """ssh and scp to the managing VM with the guide's password; nothing of the user's own files is used."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        ask = folder / "password"
        ask.write_text("#!/bin/sh\necho root\n")
        ask.chmod(0o700)
        self.environment = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "HOME": str(folder)}
        self.environment.pop("SSH_AUTH_SOCK", None)
        self.options = [
            "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}",
            "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1",
        ]  # fmt: skip

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def command(self, text: str) -> str:
        return self.run("ssh", *self.options, "-p", str(self.port), "root@127.0.0.1", text)

    def copy(self, source: str, target: str) -> None:
        self.run("scp", *self.options, "-P", str(self.port), source, target)


async def type_all(client: Client, *typed: Typed) -> None:
    for vm, text, keys in typed:
        await client.console.expect(vm, text, LIMIT)
        await client.console.write(vm, f"{keys}\r".encode())


def test_the_managing_vm_answers_ssh_and_files_travel_both_ways(tmp_path: Path) -> None:
    ssh = Ssh(tmp_path, free_port())
    options = EngineOptions(snapshot=True, forwards=[f"{ssh.port}:22"], log_dir=str(tmp_path / "logs"))
    (tmp_path / "there").write_bytes(CONTENT)

    async def scenario() -> None:
        async with await Client.start(options) as client:
            await type_all(client, *LOGIN, (0, MVM, SERVING))
            await client.console.expect(0, "it serves", LIMIT)
            assert "riscv64" in await asyncio.to_thread(ssh.command, "uname -a")
            await asyncio.to_thread(ssh.copy, str(tmp_path / "there"), "root@127.0.0.1:/root/there")
            digest = hashlib.sha256(CONTENT).hexdigest()
            assert digest in await asyncio.to_thread(ssh.command, "sha256sum /root/there")
            await asyncio.to_thread(ssh.copy, "root@127.0.0.1:/root/there", str(tmp_path / "back"))

    asyncio.run(scenario())
    assert (tmp_path / "back").read_bytes() == CONTENT


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"answer of the host\n")

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made.server_address[1]
        made.shutdown()
        thread.join()


def test_a_guest_reaches_a_server_outside_through_the_managing_vm(tmp_path: Path, server: int) -> None:
    options = EngineOptions(
        snapshot=True, network="user,host-loopback", forwards=[], log_dir=str(tmp_path / "logs"), clock="wall"
    )

    async def scenario() -> None:
        async with await Client.start(options) as client:
            await type_all(
                client,
                *LOGIN,
                *DAEMON,
                (0, MVM, "./shyper system daemon mediated-cfg.json &"),
                (0, MVM, "./shyper vm config vm1_config_riscv.json && ./shyper vm boot 1"),
                (0, MVM, ""),  # the guest is there
            )  # fmt: skip
            await type_all(client, *GUEST_LOGIN, (1, GVM1, f"wget -q -O - http://10.0.2.2:{server}/"))
            await client.console.expect(1, "answer of the host", LIMIT)

    asyncio.run(scenario())
