"""`python -m shyper_tui.bench.mvm_console PORT`: the managing VM alone, with the shell of the initramfs on standard
input and output, and PORT of this host leading to its port 22."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

from shyper_tui.bench.configurations import SERIAL, command_line, configuration
from shyper_tui.bench.uplink import GUEST_PORT
from shyper_tui.ipc.client import Client
from shyper_tui.ipc.messages import EngineOptions


async def _serve(port: int, folder: str) -> None:
    mvm = Path(folder) / "mvm.json"
    mvm.write_text(configuration("mvm", "images:linux/initramfs.cpio", command_line(SERIAL)))
    options = EngineOptions(
        mvm=str(mvm), vms=[], snapshot=True, clock="wall", log_dir=folder, network="user,host-loopback",
        forwards=[f"{port}:{GUEST_PORT}"],
    )  # fmt: skip
    client = await Client.start(options)
    loop = asyncio.get_running_loop()
    keys: asyncio.Queue[bytes] = asyncio.Queue()
    loop.add_reader(0, lambda: keys.put_nowait(os.read(0, 4096)))
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)

    async def show() -> None:
        async for chunk in client.console.stream(0):
            os.write(1, chunk.data)

    async def type_() -> None:
        while data := await keys.get():
            await client.console.write(0, data)
        loop.remove_reader(0)

    tasks = [loop.create_task(show()), loop.create_task(type_())]
    try:
        await asyncio.wait([loop.create_task(ended.wait()), *tasks[:1]], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await client.shutdown()


def main(port: str) -> int:
    with tempfile.TemporaryDirectory(prefix="shyper-tui-bench-") as folder:
        asyncio.run(_serve(int(port), folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
