"""A front end that ends at any moment, in any way, leaves no engine, no socket and no folder."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from shyper_tui.commands.workstation import newest_engine
from shyper_tui.engine.log_pipe import LogPipe
from shyper_tui.ipc import client as ipc_client
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.endpoint import (
    STARTING_SECONDS,
    in_use,
    new_socket_path,
    remove_left_overs,
    running_engines,
    runtime_folder,
)
from shyper_tui.ipc.messages import EngineError

PR_SET_CHILD_SUBREAPER = 36

FRONT_END = """
import asyncio, os, sys
from shyper_tui.ipc.client import Client

moment, number, logs = sys.argv[1], int(sys.argv[2]), sys.argv[3]
spawn = asyncio.create_subprocess_exec

async def spawned(*arguments, **options):
    process = await spawn(*arguments, **options)
    print(process.pid, flush=True)
    if moment == "spawned":
        os.kill(os.getpid(), number)
    return process

async def main():
    asyncio.create_subprocess_exec = spawned
    client = await Client.start({"embedded": True, "log_dir": logs})
    if moment == "compiling":
        while "core" not in (await client.status()).message:
            pass
    if moment == "booted":
        await client.vm.list()
    os.kill(os.getpid(), number)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:  # socket paths are short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield runtime_folder()


def inside(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.fixture
def reaper() -> Iterator[None]:
    """Orphans of this process's children become its own children, so that their end can be waited for."""
    libc = ctypes.CDLL(None)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        pytest.skip("this system has no child subreapers")
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        *(("spawned", number) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)),
        *(("listening", number) for number in (signal.SIGKILL, signal.SIGINT)),
        *(("booted", number) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)),
        ("compiling", signal.SIGKILL),
    ],
)
def test_a_front_end_that_dies_takes_its_engine_along(
    runtime: Path, tmp_path: Path, reaper: None, moment: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if moment == "compiling":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = [sys.executable, "-c", FRONT_END, moment, str(int(number)), str(tmp_path / "logs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as front:
        assert front.stdout is not None
        worker = int(front.stdout.readline())
        front.communicate()
    with contextlib.suppress(ChildProcessError):  # the front end has waited for it
        _, status = os.waitpid(worker, 0)
        assert os.waitstatus_to_exitcode(status) in (0, 1)  # in order, not by a signal
    assert inside(runtime) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_ends_the_worker_in_order(runtime: Path, tmp_path: Path, number: int) -> None:
    client = await Client.start({"embedded": True, "log_dir": str(tmp_path / "logs")})
    os.kill(client.welcome.pid, number)
    assert (await client.closed).status == 0
    await client.close()
    assert inside(runtime) == []


async def test_the_next_start_removes_what_a_killed_engine_left(runtime: Path, tmp_path: Path) -> None:
    dead, silent, busy = new_socket_path(), new_socket_path(), new_socket_path()
    for path in (dead, busy):
        with socket.socket(socket.AF_UNIX) as ended:
            ended.bind(str(path))
    os.utime(silent.parent, (0, 0))
    young = new_socket_path()  # this removes `dead`, `silent`, and `busy`, too
    assert inside(runtime) == [young.parent.name]
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(young))  # and does not listen yet
        with in_use(young):
            async with await Client.start({"embedded": True, "log_dir": str(tmp_path / "logs")}) as client:
                assert running_engines() == [client.socket_path]
            assert young.exists()
    assert remove_left_overs() == 1
    assert inside(runtime) == []


def test_folders_that_are_not_ours_to_remove_stay(runtime: Path) -> None:
    (runtime / "engine-file").touch()
    (runtime / "engine-link").symlink_to("/tmp")
    full = new_socket_path()
    (full.parent / "notes").touch()
    os.utime(full.parent, (0, 0))
    assert remove_left_overs() == 0
    assert inside(runtime) == sorted(["engine-file", "engine-link", full.parent.name])
    assert STARTING_SECONDS > 1


def test_attach_without_an_engine_says_that_left_overs_are_gone(runtime: Path) -> None:
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(new_socket_path()))
    with pytest.raises(click.ClickException, match=r"^No engine is running\. The sockets of .*: 1\. Start"):
        newest_engine()
    with pytest.raises(click.ClickException, match=r"No engine is running\. Start one"):
        newest_engine()
    runtime.rmdir()
    runtime.symlink_to("/tmp")
    with pytest.raises(click.ClickException, match="belongs to somebody else; set XDG_RUNTIME_DIR"):
        newest_engine()


async def test_an_engine_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ipc_client, "WELCOME_SECONDS", 0.05)
    path = new_socket_path()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(EngineError, match=r"did not answer within 0\.05 s; it is stopped or overloaded"):
            await Client.attach(path)


def test_a_file_named_as_socket_is_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("mine")
    command = [sys.executable, "-m", "shyper_tui.engine", "--socket", str(file), "--options", "{}"]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert result.returncode == 1
    assert f"cannot listen at {file}" in result.stderr
    assert file.read_text() == "mine"


def test_a_log_that_nobody_reads_stops_nobody() -> None:
    reader, writer = os.pipe()
    log = LogPipe(writer)
    try:
        for number in range(20_000):  # far more than the pipe holds
            print(f"line {number}", file=log)
        os.set_blocking(reader, False)
        got = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                got += os.read(reader, 1 << 20)
        assert got.startswith(b"line 0\nline 1\n")
        print("read again", file=log)
        assert os.read(reader, 1 << 20).endswith(b"lines of the log are lost: nobody read them)\nread again\n")
        os.close(reader)
        reader = -1
        print("nobody", file=log)  # no SIGPIPE, no exception
    finally:
        os.close(writer)
        if reader >= 0:
            os.close(reader)


def test_a_log_is_written_by_whole_lines() -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    log = LogPipe(writer)

    def talk(name: str) -> None:
        for number in range(500):
            print(name, number, file=log)

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(writer)
    with open(reader, encoding="utf-8") as stream:
        lines = [line for line in stream.read().splitlines() if line]
    assert sorted(lines) == sorted(f"{name} {n}" for name in "abc" for n in range(500))
