"""A configuration that is written is read back as the same one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui.config import read_vm, sample_path
from shyper_tui.config.model import (
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
from shyper_tui.config.samples import sample_names
from shyper_tui.config.writer import write_vm

texts = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
addresses = st.integers(0, (1 << 64) - 1)
numbers = st.integers(0, (1 << 32) - 1)
irqs = st.lists(numbers, max_size=3).map(tuple)
configs = st.builds(
    VmConfig,
    name=texts,
    type=st.sampled_from(VmType),
    cmdline=texts,
    image=st.builds(VmImage, texts, addresses, addresses, texts, addresses, texts, addresses),
    memory=st.lists(st.builds(MemoryRegion, addresses, addresses), max_size=3).map(tuple),
    cpu=st.builds(CpuConfig, numbers, numbers, st.none() | st.integers(0, 31)),
    emulated_devices=st.lists(
        st.builds(
            EmulatedDevice, texts, addresses, addresses, numbers, st.sampled_from(EmuDeviceType),
            st.lists(numbers, max_size=6).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    passthrough_devices=st.lists(
        st.builds(PassthroughDevice, names, addresses, addresses, addresses, irqs, st.none() | numbers), max_size=2
    ).map(tuple),
    dtb_devices=st.lists(
        st.builds(DtbDevice, texts, st.sampled_from(DtbDeviceType), irqs, addresses, addresses), max_size=2
    ).map(tuple),
    memory_colors=st.none() | st.just("0-13,14"),
    memory_budget=st.none() | numbers,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(configs)
def test_what_is_written_is_read_back(config: VmConfig) -> None:
    reading = read_vm(write_vm(config), "again.json")
    assert reading.value == config
    assert reading.diagnostics == []


@pytest.mark.parametrize("name", [name for name in sample_names() if "daemon" not in name])
def test_a_sample_is_written_as_strict_json_and_read_back(name: str) -> None:
    sample = read_vm(sample_path(name).read_text(), name).value
    assert sample is not None
    text = write_vm(sample)
    assert json.loads(text)["name"] == sample.name  # without comments, as the original's tool wants it
    assert read_vm(text, name).value == sample
