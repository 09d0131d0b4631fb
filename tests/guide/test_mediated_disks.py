"""A disk that the managing VM's daemon serves keeps what its guest writes."""

from __future__ import annotations

from pathlib import Path

from tests.guide.machine import DAEMON, GUEST_LOGIN, GVM1, LOGIN, MVM, needs_linux, play

pytestmark = needs_linux


def test_what_a_guest_has_written_is_there_after_a_reboot_and_in_the_image(tmp_path: Path) -> None:
    shown = play(
        tmp_path / "logs",
        *LOGIN,
        *DAEMON,
        (0, MVM, "./shyper system daemon mediated-cfg.json &"),
        (0, MVM, "./shyper vm config vm1_config_riscv.json"),
        (0, MVM, "./shyper vm boot 1"),
        *GUEST_LOGIN,
        (1, GVM1, "echo kept-words > /root/kept; sync"),
        (1, GVM1, ""),
        (0, MVM, "./shyper vm reboot 1"),
        *GUEST_LOGIN,
        (1, GVM1, "cat /root/kept"),
        (1, "kept-words", "poweroff"),
        (1, "Power down", ""),
        (0, MVM, "debugfs -R 'cat /root/kept' vm0_ubuntu.img"),
        (0, "kept-words", "e2fsck -fn vm0_ubuntu.img; echo status $?"),
        (0, "status 0", ""),
    )  # fmt: skip
    assert "errors corrected" not in shown[0]
