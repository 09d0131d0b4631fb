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
from shyper_tui.ipc.vm_messages import (
    DeviceCounts,
    EngineReport,
    ExitCount,
    Fault,
    IrqCounts,
    OfferedDisk,
    RefusedCall,
    VcpuUsage,
    VmAnswer,
    VmFaults,
    VmStatistics,
)

VCPU = VcpuSnapshot(1, 0, 2, "running", "VS", 2**64 - 1, "main+0x4", [], [2**63] * 32, [0] * 32, {"vsatp": 2**63})
EXAMPLES = [
    MachineStatus("running", "wall", 10, 20, 1.5, [HartStatus(0, "VS", None, 0.5), HartStatus(1, "HS", 1, 1)], False),
    VcpusSnapshot(5, [VCPU]),
    PlicSnapshot(
        9, [PlicController("plic", None, [PlicSource(1, "blk", 1, True, False, [1, 3], 7)], [PlicContext(1, "S", 0)])]
    ),
    EngineOptions(vms=["a.json"], daemon="d.json", mvm_off="end", script=[ScenarioStep("until", 0, "€")]),
    VmAnswer(VmInfo(1, "guest", 0, "active", 1, [1], 64 << 20, True, "", 3, 2), asked=True),
    VmStatistics(
        9, 1, "guest", "active", 64 << 20, 2, 7, [VcpuUsage(0, 1, "running", 5)],
        [ExitCount(1 << 63 | 5, "supervisor timer interrupt", 3, 4000)], [IrqCounts(21, "console", 3, 2, 1)],
        [DeviceCounts("net", "net", {"sent_frames": 2**40})],
    ),
    VmFaults(1, "guest", [Fault(9, 1, 0, 21, "x", 2**64 - 1, 1, 2, 3, "G-stage", -1, "nothing", "no", 4)], 5),
    RefusedCall(9, 1, 0, 0x0A00_0110, "only the managing VM may do this"),
    OfferedDisk("a.img", -1, problem="missing"),
    EngineReport("1.0", 4, 8 << 30, 2, 1),
]  # fmt: skip


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
