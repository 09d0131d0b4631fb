"""Kernel modules: signatures, packing, order of loading."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import pytest

from shyper_tui.images import ImageError
from shyper_tui.images.kernel_modules import ModuleTree, module_info, strip_signature

MAGIC = b"~Module signature appended~\n"


def signed(data: bytes, signature: bytes = b"s" * 100) -> bytes:
    return data + signature + struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, len(signature)) + MAGIC


def module(*info: str) -> bytes:
    """A relocatable ELF file with nothing but a `.modinfo` section."""
    content = b"".join(item.encode() + b"\0" for item in info)
    names = b"\0.modinfo\0.shstrtab\0"
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    sections = 64 + len(content) + len(names)
    head = struct.pack("<HHIQQQIHHHHHH", 1, 243, 1, 0, 0, sections, 0, 64, 0, 0, 64, 3, 2)
    row = "<IIQQQQIIQQ"
    table = bytes(64)
    table += struct.pack(row, 1, 1, 2, 0, 64, len(content), 0, 0, 1, 0)
    table += struct.pack(row, 10, 3, 0, 0, 64 + len(content), len(names), 0, 0, 1, 0)
    return ident + head + content + names + table


def tree(folder: Path, **modules: str) -> ModuleTree:
    """Modules by name with what they depend on."""
    for name, depends in modules.items():
        file = folder / "kernel" / f"{name}.ko.xz"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(lzma.compress(signed(module("license=GPL", f"depends={depends}"))))
    return ModuleTree(folder)


def test_a_signature_is_cut_off() -> None:
    assert strip_signature(signed(b"module")) == b"module"


def test_an_unsigned_module_stays_as_it_is() -> None:
    assert strip_signature(b"module") == b"module"
    assert strip_signature(MAGIC[1:]) == MAGIC[1:]


@pytest.mark.parametrize("data", [MAGIC, b"x" * 5 + MAGIC, struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, 9) + MAGIC])
def test_a_damaged_signature_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="signature"):
        strip_signature(data)


def test_module_info() -> None:
    assert module_info(module("name=ext4", "depends=jbd2,mbcache")) == {"name": "ext4", "depends": "jbd2,mbcache"}
    with pytest.raises(ValueError, match="ELF"):
        module_info(b"text")


def test_modules_come_behind_what_they_depend_on(tmp_path: Path) -> None:
    modules = tree(
        tmp_path, virtio_net="net_failover", net_failover="failover", failover="", ext4="jbd2,crc16", jbd2=""
    )
    (tmp_path / "modules.builtin").write_text("kernel/lib/crc16.ko\n")
    loaded = ModuleTree(modules.folder).load_order(["virtio-net", "ext4", "failover"])
    assert [item.name for item in loaded] == ["failover", "net_failover", "virtio_net", "jbd2", "ext4"]
    assert not any(MAGIC in item.data for item in loaded)


def test_a_missing_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="jbd2"):
        tree(tmp_path, ext4="jbd2").load_order(["ext4"])


def test_modules_that_need_each_other_end(tmp_path: Path) -> None:
    assert {item.name for item in tree(tmp_path, a="b", b="a").load_order(["a"])} == {"a", "b"}


def test_a_damaged_module_is_named(tmp_path: Path) -> None:
    modules = tree(tmp_path, ext4="")
    (tmp_path / "kernel" / "ext4.ko.xz").write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"ext4\.ko\.xz is damaged"):
        modules.load_order(["ext4"])
