"""Reads a VM's configuration from Rust-Shyper's JSON (the format of `shyper vm config`)."""

from __future__ import annotations

from .diagnostics import Reading, Report, Span
from .fields import U32, Fields
from .jsonc import parse
from .model import (
    CpuConfig,
    DtbDevice,
    DtbDeviceType,
    EmuDeviceType,
    EmulatedDevice,
    MemoryRegion,
    PassthroughDevice,
    VmConfig,
    VmImage,
    VmType,
)

_COUNTS = ("num",)
"""Keys that samples carry and nothing reads: the lists know their lengths."""

_VM_TYPES = {kind.json_name: kind for kind in VmType}
_EMU_TYPES = {kind.json_name: kind for kind in EmuDeviceType}
_DTB_TYPES = {kind.json_name: kind for kind in DtbDeviceType}


def read_vm(text: str, file: str, portable: bool = False) -> Reading[VmConfig]:
    """The configuration in a text, with every error found in it. `file` is the name for the diagnostics; `portable`
    also tells what Rust-Shyper itself would not read.

    Only the form is judged here; `checks.check_vm` judges whether the VM could run.
    """
    report = Report(file, portable=portable)
    root = parse(text, report)
    if root is None:
        return Reading(None, report.diagnostics)
    positions: dict[str, Span] = {}
    config = vm(Fields(root, "", report, positions), file, positions)
    return Reading(None if report.failed else config, report.diagnostics)


def vm(fields: Fields, file: str, positions: dict[str, Span]) -> VmConfig | None:
    """Reads every member of a VM's object. The JSON Schema is made from this function, too (`schema.py`)."""
    if not fields.usable:
        return None
    name = fields.string("name")
    kind = fields.enum("type", _VM_TYPES)
    cmdline = fields.string("cmdline")
    image = _image(fields.object("image"))
    memory = fields.object("memory")
    regions = tuple(_region(item) for item in memory.objects("region"))
    colors = memory.string("colors", required=False) if memory.has("colors") else None
    budget = memory.number("budget", high=U32, required=False) if memory.has("budget") else None
    memory.done(_COUNTS)
    cpu = _cpu(fields.object("cpu"))
    emulated, passthrough, dtb = (fields.object(f"{part}_device") for part in ("emulated", "passthrough", "dtb"))
    config = VmConfig(
        name, kind if kind is not None else VmType.LINUX, cmdline, image, regions, cpu,
        tuple(_emulated(item) for item in emulated.objects("emulated_device_list")),
        tuple(_passthrough(item) for item in passthrough.objects("passthrough_device_list")),
        tuple(_dtb(item) for item in dtb.objects("dtb_device_list")),
        colors, budget, file, positions,
    )  # fmt: skip
    for part in (emulated, passthrough, dtb):
        part.done(_COUNTS)
    fields.done(["id", "$schema"])  # the MVM's own listing carries its id; editors look for $schema
    return config


def _image(fields: Fields) -> VmImage:
    image = VmImage(
        kernel_filename=fields.string("kernel_filename"),
        kernel_load_ipa=fields.hex("kernel_load_ipa"),
        kernel_entry_point=fields.hex("kernel_entry_point", unused=True),
        device_tree_filename=fields.dash_is_none("device_tree_filename", fields.string("device_tree_filename")),
        device_tree_load_ipa=fields.hex("device_tree_load_ipa"),
        ramdisk_filename=fields.dash_is_none("ramdisk_filename", fields.string("ramdisk_filename")),
        ramdisk_load_ipa=fields.hex("ramdisk_load_ipa"),
    )
    fields.done()
    return image


def _region(fields: Fields) -> MemoryRegion:
    region = MemoryRegion(fields.hex("ipa_start"), fields.hex("length"))
    fields.done()
    return region


def _cpu(fields: Fields) -> CpuConfig:
    num, bitmap = fields.number("num", high=U32), fields.binary("allocate_bitmap")
    master = fields.number("master", low=-1, high=31)
    fields.done()
    return CpuConfig(num, bitmap, None if master == -1 else master)


def _emulated(fields: Fields) -> EmulatedDevice:
    name, base, length = fields.string("name"), fields.hex("base_ipa"), fields.hex("length")
    kind = fields.enum("type", _EMU_TYPES)
    irq = fields.number("irq_id", required=False)
    if kind in (EmuDeviceType.PLIC, EmuDeviceType.APLIC):  # an interrupt controller raises none itself
        fields.required_there("irq_id")
    else:
        fields.needs("irq_id")
    fields.number("cfg_num", required=False)
    cfg_list = fields.numbers("cfg_list", strings=True, required=False)
    fields.agrees("cfg_num", len(cfg_list), "cfg_list")
    fields.done()
    return EmulatedDevice(name, base, length, irq, kind if kind is not None else EmuDeviceType.META, cfg_list)


def _passthrough(fields: Fields) -> PassthroughDevice:
    pa, ipa, length = fields.hex("base_pa"), fields.hex("base_ipa"), fields.hex("length")
    name = fields.string("name", required=False) or f"device@{ipa:x}"
    irqs = _irq_list(fields, required=False)
    fields.required_there("name", "irq_num", "irq_list")
    smmu = fields.number("smmu_id", required=False) if fields.has("smmu_id") else None
    fields.done()
    return PassthroughDevice(name, pa, ipa, length, irqs, smmu)


def _dtb(fields: Fields) -> DtbDevice:
    name, kind = fields.string("name"), fields.enum("type", _DTB_TYPES)
    irqs = _irq_list(fields, required=True)
    fields.required_there("irq_num")
    ipa, length = fields.hex("addr_region_ipa", unused=True), fields.hex("addr_region_length", unused=True)
    fields.done()
    return DtbDevice(name, kind if kind is not None else DtbDeviceType.CONSOLE, irqs, ipa, length)


def _irq_list(fields: Fields, required: bool) -> tuple[int, ...]:
    """`irq_list`, and its length once more in `irq_num`."""
    fields.number("irq_num", required=False)
    irqs = fields.numbers("irq_list", required=required)
    fields.agrees("irq_num", len(irqs), "irq_list")
    return irqs
