"""Recorded console streams: what the programs send, as bytes. Used as golden input for the terminal."""

from __future__ import annotations

import random

ESC = "\x1b"


def boot_log(size: int = 200_000, seed: int = 1) -> bytes:
    """A kernel's log followed by a service manager's coloured status lines."""
    rng = random.Random(seed)
    words = ["riscv", "plic", "virtio", "memory", "clocksource", "registered", "driver", "hash table entries", "order"]
    lines: list[str] = []
    length, seconds = 0, 0.0
    while length < size:
        seconds += rng.random() / 50
        text = " ".join(rng.choice(words) for _ in range(rng.randint(3, 12)))
        if rng.random() < 0.15:
            line = f"[{ESC}[0;32m  OK  {ESC}[0m] Started {ESC}[0;1;39m{rng.choice(words)}.service{ESC}[0m - {text}.\r\n"
        else:
            line = f"[{seconds:12.6f}] {text}: 0x{rng.getrandbits(40):x}\r\n"
        lines.append(line)
        length += len(line)
    return "".join(lines).encode()


SHELL = (
    f"{ESC}[?2004h{ESC}[01;32mroot@gvm{ESC}[00m:{ESC}[01;34m/{ESC}[00m# ls --color\x08 \x08\x07\r\n{ESC}[?2004l\r"
    f"{ESC}[0m{ESC}[01;34mbin{ESC}[0m  {ESC}[01;34mdev{ESC}[0m\t{ESC}[01;36minit{ESC}[0m\t{ESC}[30;42mtmp{ESC}[0m\r\n"
    f"# abcdef{ESC}[3D{ESC}[K!{ESC}[2C{ESC}[1P{ESC}[2@xy\r\n"
).encode()

LESS = (
    f"{ESC}[H{ESC}[J"
    + "".join(f"line {number}\r\n" for number in range(1, 24))
    + f"{ESC}[7m(END){ESC}[27m{ESC}[K\r{ESC}[K{ESC}[HM{ESC}M{ESC}[Hline 0\r\n{ESC}[24;1H{ESC}[K:"
).encode()

HTOP = (
    f"{ESC}[H{ESC}[2J{ESC}[1;24r"
    + "".join(
        f"{ESC}[{y};1H{ESC}[38;5;{y}m{y:>3}{ESC}[39;49m[{ESC}[32m{'|' * y}{ESC}[31m{'|' * (20 - y)}"
        f"{ESC}[90m {y}.0%{ESC}[0m]"
        for y in range(1, 11)
    )
    + f"{ESC}[12;1H{ESC}[30;42m  PID USER      PRI  NI  VIRT   RES{ESC}[K{ESC}[0m"
    + "".join(f"{ESC}[{y};1H{y * 7:>5} root       20   0 {y * 100:>5} {y * 10:>5}" for y in range(13, 23))
    + f"{ESC}[24;1HF1{ESC}[30;46mHelp  {ESC}[0mF10{ESC}[30;46mQuit{ESC}[0m{ESC}[3;5H"
).encode()

REGION = (
    f"{ESC}[H{ESC}[J"
    + "".join(f"{ESC}[{y};1Hrow {y}" for y in range(1, 25))
    + f"{ESC}[5;10r{ESC}[10;1H\n\n{ESC}[5;1H{ESC}M{ESC}[7;1H{ESC}[2L{ESC}[8;1H{ESC}[1M{ESC}[r{ESC}[24;1Hend"
).encode()

GOLDEN = {"boot log": boot_log(60_000), "shell": SHELL, "less": LESS, "htop": HTOP, "scroll region": REGION}
