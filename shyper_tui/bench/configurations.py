"""Configurations of the VMs that are measured: those of the samples with other initramfs and command lines."""

from __future__ import annotations

import dataclasses

from shyper_tui import config
from shyper_tui.config.writer import write_vm

INITCALLS = (
    "jent_mod_init", "load_system_certificate_list", "init_kprobe_trace", "bpf_tcp_ca_kfunc_init",
    "bpf_dummy_struct_ops_init", "check_unaligned_access_all_cpus", "crypto_kdf108_init",
)  # fmt: skip
"""Self-tests and tables of Debian's kernel that take most of a boot's instructions and that nothing here needs."""
SERIAL = "console=ttyS0 earlycon=sbi"
"""Of the managing VM, and of Linux in machine mode; a guest's is GUEST."""
GUEST = "console=hvc0"


def command_line(consoles: str, command: str = "") -> str:
    """A kernel's command line; `command` is started when the system in the initramfs is ready."""
    line = f"{consoles} initcall_blacklist={','.join(INITCALLS)} cryptomgr.notests quiet"
    if not command:
        return line
    return f'{line} run="{command}"' if " " in command else f"{line} run={command}"


def configuration(sample: str, initramfs: str, cmdline: str) -> str:
    """The sample `linux-guest` or `mvm`, started from an initramfs (a file, or an image's name), as JSON."""
    wanted = config.read_vm(config.sample_path(sample).read_text(encoding="utf-8"), sample).value
    assert wanted is not None
    image = dataclasses.replace(wanted.image, ramdisk_filename=initramfs)
    return write_vm(dataclasses.replace(wanted, image=image, cmdline=cmdline))
