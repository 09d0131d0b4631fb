"""`shyper vm` in a managing VM's Linux: what each command does, prints, and says when it cannot."""

from __future__ import annotations

import hashlib
import json

import pytest

from shyper_tui.engine.hypervisor.calls.table import CONFIG, HANDLERS, VMM
from shyper_tui.engine.hypervisor.images import FileKind

from .conftest import OVERLAY
from .linux_station import GUEST_BASE, LinuxStation, configuration, plain

pytestmark = pytest.mark.linux

LISTED = "----------vm[{}]----------\nvm id [{}] name: {} type: 0\n\nvm type: Linux\nvm state: {}\n"
MANAGING = LISTED.format(0, 0, "supervisor", "Active")


def configured(station: LinuxStation, number: int = 1) -> None:
    station.write(f"vm{number}.json", configuration(number, disk=False))
    assert plain(station(f"./shyper vm config vm{number}.json")) == (
        f"Parse VM config successfully, VM name [guest-os-{number}]\n"
        f"[INFO  shyper_cli_rust::vmm] Send VM [{number}] config successfully\n"
        f"[INFO  shyper_cli_rust::vmm] Config VM [{number}] successfully\n => 0"
    )


def test_a_vm_from_its_file_to_its_end(station: LinuxStation) -> None:
    assert station("./shyper vm list") == MANAGING + " => 0"
    assert plain(station("./shyper vm getvmid")) == "[INFO  shyper_cli_rust::vmm] Current VM id is 0\n => 0"
    configured(station)
    assert station("./shyper vm list") == MANAGING + LISTED.format(1, 1, "guest-os-1", "Pending") + " => 0"
    files = station.manager.entry(1).files
    assert files == {FileKind.KERNEL: "guest.bin", FileKind.CONFIGURATION: "vm1.json"}
    assert station("./shyper vm boot 1 --display sdl") == " => 0"
    station.until(1, b"gvm# ")
    assert station("./shyper vm list").endswith(LISTED.format(1, 1, "guest-os-1", "Active") + " => 0")
    assert station.guest(1, "echo it runs") == "it runs"

    start = len(station.consoles[1])
    assert station("./shyper vm reboot 1") == " => 0"
    station.until(1, b"gvm# ", start)
    assert station.manager.vm(1).boots == 2
    assert station("./shyper vm shutdown 1") == " => 0"
    assert station("./shyper vm list").endswith("vm state: Pending\n => 0")
    assert station("./shyper vm boot 1") == " => 0"
    assert station("./shyper vm shutdown --force 1") == " => 0"
    assert plain(station("./shyper vm delconfig 1")) == (
        "[INFO  shyper_cli_rust::vmm] DELETE VM [1] config successfully\n => 0"
    )
    assert station("./shyper vm list") == MANAGING + " => 0"

    configured(station)
    assert station("./shyper vm boot 1") == " => 0"
    assert station("./shyper vm remove 1") == " => 0"
    assert station("./shyper vm list") == MANAGING + " => 0"


def test_the_configuration_of_a_vm_can_be_read_and_used_again(station: LinuxStation) -> None:
    configured(station)
    shown = station("./shyper vm getdefconfig 1")
    body = json.loads(shown.removesuffix(" => 0"))
    assert body["name"] == "guest-os-1"
    assert body["image"]["kernel_filename"] == "guest.bin"
    assert body["memory"]["region"] == [{"ipa_start": "0x80000000", "length": "0x4000000"}]
    assert station("./shyper vm getdefconfig 1 > again.json; ./shyper vm delconfig 1 2> /dev/null") == " => 0"
    assert "Config VM [1] successfully\n => 0" in station("./shyper vm config again.json")
    assert json.loads(station("./shyper vm getdefconfig 1").removesuffix(" => 0")) == body
    assert json.loads(station("./shyper vm getdefconfig 0").removesuffix(" => 0"))["name"] == "supervisor"
    assert station("./shyper vm getdefconfig 0 > /dev/full").endswith("the output could not be written\n => 1")


def test_what_cannot_be_done_is_one_sentence_and_status_1(station: LinuxStation) -> None:
    configured(station)
    assert station("./shyper vm boot 1") == " => 0"
    nobody = "there is no VM 5; `shyper vm list` shows which there are"
    for command, message in {
        "boot 1": "err: ioctl fail! VM 1 was not booted: VM 1 runs already",
        "boot 5": f"err: ioctl fail! VM 5 was not booted: {nobody}",
        "shutdown 5 -f": f"err: ioctl fail! VM 5 was not shut down: {nobody}",
        "reboot 5": f"err: ioctl fail! VM 5 was not rebooted: {nobody}",
        "remove 5": f"err: ioctl fail! VM 5 was not removed: {nobody}",
        "remove 0": "err: ioctl fail! VM 0 was not removed: it is the managing VM",
        "delconfig 5": f"Failed to delete VM[5] config: {nobody}",
        "delconfig 0 -f": "Failed to delete VM[0] config: it is the managing VM",
        "delconfig 1": "Failed to delete VM[1] config: it runs; shut it down first, or use --force",
        "getdefconfig 5": f"err: ioctl fail! There is no configuration of VM 5: {nobody}",
    }.items():
        assert plain(station(f"./shyper vm {command}")) == f"[ERROR shyper_cli_rust::vmm] {message}\n => 1", command
    assert station("./shyper vm delconfig 1 --force").endswith("DELETE VM [1] config successfully\n => 0")
    assert plain(station("./shyper vm list > /dev/full")).endswith("the output could not be written\n => 1")


def test_a_vm_that_cannot_be_made_is_taken_back(station: LinuxStation) -> None:
    station.write(
        "bad.json", configuration(disk=False, memory_region=[{"ipa_start": "0x80000001", "length": "0x1000"}])
    )
    shown = plain(station("./shyper vm config bad.json"))
    assert (
        "[ERROR shyper_cli_rust::vmm] Config VM [1] failed: failed to copy kernel image guest.bin to memory: " in shown
    )
    assert "[INFO  shyper_cli_rust::vmm] DELETE VM [1] config successfully\n" in shown
    assert shown.endswith("it was refused by the hypervisor at byte 0; its log says why\n => 1")
    assert "[ERROR shyper_cli_rust::vmm] Add vm failed: failed to copy kernel image" in shown

    station.write("disk.json", configuration(disk=True))
    shown = plain(station("./shyper vm config disk.json"))
    assert 'failed to send vm_emulated_device_config_arg of "virtio_blk@10001000"; no mediated disk is free, ' in shown
    assert shown.endswith("is `shyper system daemon` running?\n => 1")
    assert station("./shyper vm list") == MANAGING + " => 0"
    configured(station)


def test_more_vms_than_there_can_be(station: LinuxStation) -> None:
    station.write("many1.json", configuration(1, disk=False))
    for number in range(1, 8):
        assert station(f"sed s/guest-os-1/guest-{number}/ many1.json > more.json") == " => 0"
        assert f"Config VM [{number}] successfully" in station("./shyper vm config more.json")
    shown = plain(station("./shyper vm config many1.json"))
    assert shown.endswith("config_add_vm failed: 8 VMs exist already; remove one with `shyper vm remove`\n => 1")
    assert station("./shyper vm list").count("vm id [") == 8


def uploaded(station: LinuxStation, vm: int, size: int) -> bytes:
    """The kernel in a VM's memory."""
    return station.manager.vm(vm).memory.read(GUEST_BASE, size)


@pytest.mark.parametrize("huge_pages", [10, 0])
def test_a_large_kernel_arrives_as_it_is(station: LinuxStation, huge_pages: int) -> None:
    station.manager.loader.keep = 0
    assert station(f"echo {huge_pages} > /proc/sys/vm/nr_hugepages") == " => 0"
    size = (35 << 20) + 4321
    places = (0, (2 << 20) - 100, (32 << 20) - 30, size - 200)
    assert station("head -c 200 /dev/urandom > piece") == " => 0"
    assert station(
        f"truncate -s {size} large; for at in {' '.join(map(str, places))}; do "
        "dd if=piece of=large bs=1 seek=$at conv=notrunc 2> /dev/null; done"
    ) == " => 0"  # fmt: skip
    station.write("large.json", configuration(disk=False, image_kernel_filename="large"))
    shown = station("md5sum large; ./shyper vm config large.json")
    assert shown.endswith("Config VM [1] successfully\n => 0")
    data = uploaded(station, 1, size)
    assert hashlib.md5(data).hexdigest() == shown.split()[0]
    assert len({data[at : at + 200] for at in places}) == 1
    assert any(data[:200])


def test_ctrl_c_takes_back_a_vm_that_is_being_made(station: LinuxStation) -> None:
    assert station("echo 0 > /proc/sys/vm/nr_hugepages; truncate -s 50M large") == " => 0"
    station.write("large.json", configuration(disk=False, image_kernel_filename="large"))
    start = len(station.consoles[0])
    station.type(0, "./shyper vm config large.json\r")
    station.until(0, b"Send VM .1. config successfully", start)
    station.type(0, "\x03")
    station.until(0, rb"Add vm failed: [^\n]*it was interrupted\r\n", start)
    assert station("./shyper vm list") == MANAGING + " => 0"


def test_ramdisk_and_overlay_are_uploaded_too(station: LinuxStation) -> None:
    assert station("head -c 3000000 /dev/urandom > ramdisk; head -c 100000 guest.bin > overlay") == " => 0"
    station.write("vm.json", configuration(disk=False, image_ramdisk_filename="ramdisk"))
    shown = station("md5sum ramdisk; ./shyper vm config vm.json; ./shyper vm boot 1")
    assert shown.endswith("Config VM [1] successfully\n => 0")
    entry = station.manager.entry(1)
    assert hashlib.md5(bytes(entry.images.whole_ramdisk)).hexdigest() == shown.split()[0]
    assert entry.files[FileKind.RAMDISK] == "ramdisk"
    station.until(1, b"gvm# ")

    station.write("vm2.json", configuration(2, disk=False, image_device_tree_filename="overlay.dtbo"))
    assert station("./shyper vm config vm2.json").endswith("Config VM [2] successfully\n => 0")
    assert station.manager.entry(2).definition.overlay == OVERLAY
    assert station("./shyper vm boot 2; ./shyper vm shutdown 2; ./shyper vm delconfig 2 2> /dev/null") == " => 0"
    station.write("vm2.json", configuration(2, disk=False, image_device_tree_filename="overlay"))
    shown = plain(station("./shyper vm config vm2.json"))
    assert "Config VM [2] failed: failed to copy kernel image guest.bin to memory" in shown  # it is no overlay
    assert any("overlay" in line for line in station.log)
    station.write("vm2.json", configuration(2, disk=False, image_device_tree_filename="missing"))
    shown = plain(station("./shyper vm config vm2.json"))
    assert 'The device tree overlay "missing" cannot be read: no such file or directory.' in shown
    assert shown.endswith(" => 1")
    station.write("vm2.json", configuration(2, disk=False, image_ramdisk_filename="missing"))
    shown = plain(station("./shyper vm config vm2.json"))
    assert 'warning[no-ramdisk]: The ramdisk "missing" cannot be read: no such file or directory, so the VM' in shown
    assert shown.endswith("Config VM [2] successfully\n => 0")


def test_long_names_and_other_folders(station: LinuxStation) -> None:
    folder = "a-folder-with-a-rather-long-name/and-another-one"
    assert station(f"mkdir -p {folder}; mv guest.bin {folder}/kernel-of-the-first-guest") == " => 0"
    kernel = f"{folder}/kernel-of-the-first-guest"
    station.write("vm.json", configuration(disk=False, image_kernel_filename=kernel))
    assert station("./shyper vm config vm.json").endswith("Config VM [1] successfully\n => 0")
    assert station.manager.entry(1).files[FileKind.KERNEL] == kernel
    assert station("readlink /run/shyper/vm1.kernel") == f"/root/{kernel}\n => 0"


def test_a_hypervisor_without_the_extension_still_gets_its_vms(
    station: LinuxStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in ((VMM, 0x9), (CONFIG, 0xC), (CONFIG, 0xD)):
        monkeypatch.delitem(HANDLERS, call)
    assert station("head -c 5000 /dev/urandom > ramdisk") == " => 0"
    station.write("vm.json", configuration(disk=False, image_ramdisk_filename="ramdisk"))
    shown = plain(station("./shyper vm config vm.json; ./shyper vm boot 1"))
    assert (
        "[WARN  shyper_cli_rust::vmm] The kernel module loads no ramdisks, so VM [1] starts without ramdisk\n" in shown
    )
    assert shown.endswith("Config VM [1] successfully\n => 0")
    station.until(1, b"gvm# ")
    assert station("./shyper vm getdefconfig 1").endswith("the kernel module does not know this call\n => 1")
