"""Messages survive the wire unchanged, and a wrong shape is refused with the field's name."""

from __future__ import annotations

import msgpack
import pytest

from shyper_tui.ipc.messages import (
    EngineOptions,
    HartStatus,
    MachineStatus,
    MessageError,
    PlicContext,
    PlicController,
    PlicSnapshot,
    PlicSource,
    ScenarioStep,
    VcpuSnapshot,
    VcpusSnapshot,
    VmInfo,
    from_wire,
    to_wire,
)

VCPU = VcpuSnapshot(1, 0, 2, "running", "VS", 2**64 - 1, "main+0x4", [], [2**63] * 32, [0] * 32, {"vsatp": 2**63})
EXAMPLES = [
    MachineStatus("running", "wall", 10, 20, 1.5, [HartStatus(0, "VS", None, 0.5), HartStatus(1, "HS", 1, 1)], False),
    VcpusSnapshot(5, [VCPU]),
    PlicSnapshot(
        9, [PlicController("plic", None, [PlicSource(1, "blk", 1, True, False, [1, 3], 7)], [PlicContext(1, "S", 0)])]
    ),
    EngineOptions(vms=["a.json"], script=[ScenarioStep("until", 0, "€")]),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire(message: object) -> None:
    packed = msgpack.packb(to_wire(message))
    assert from_wire(type(message), msgpack.unpackb(packed)) == message


def test_a_list_of_messages_survives_the_wire() -> None:
    vms = [VmInfo(0, "supervisor", 0, "active", 1, [0], 1 << 32, True)]
    assert from_wire(list[VmInfo], to_wire(vms)) == vms


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"hart": "0", "mode": "VS", "vm": None, "busy": 0.0}, r"HartStatus\.hart: int expected, got str"),
        ({"hart": True, "mode": "VS", "vm": None, "busy": 0.0}, r"HartStatus\.hart: int expected, got bool"),
        ({"hart": 0, "mode": "VS", "vm": 1.5, "busy": 0.0}, r"HartStatus\.vm"),
        ({"hart": 0, "mode": "VS", "busy": 0.0}, "field vm is missing"),
        ([1], "map expected, got list"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_name(value: object, named: str) -> None:
    with pytest.raises(MessageError, match=named):
        from_wire(HartStatus, value)


def test_fields_of_a_newer_peer_are_ignored() -> None:
    wire = {**to_wire(HartStatus(0, "VS", None, 0.25)), "colour": "red"}
    assert from_wire(HartStatus, wire) == HartStatus(0, "VS", None, 0.25)
