"""Network devices of VMs: ports of the machine's one switch."""

from __future__ import annotations

from shyper_tui.engine.board.virtio.net import VIRTIO_NET_F_MRG_RXBUF, Net
from shyper_tui.engine.hypervisor.definition import EmulatedDevice, VmError
from shyper_tui.engine.hypervisor.devices.environment import Environment, attach_virtio
from shyper_tui.engine.hypervisor.vm import Vm

NET_FEATURES = 0x0023_7DA3 | VIRTIO_NET_F_MRG_RXBUF
"""CSUM, GUEST_CSUM, MAC, the TSO, UFO and ECN bits, STATUS, CTRL_VQ, GUEST_ANNOUNCE: frames keep their sender's
metadata. Those are Rust-Shyper's. Mergeable buffers are ours: without them Linux makes each of its buffers large enough
for the longest packet, which takes it longer than everything else about a short one."""


def build_net(vm: Vm, device: EmulatedDevice, environment: Environment) -> None:
    """A network device with the address in its `cfg_list`. The switch knows that address from now on."""
    if len(device.cfg_list) < 6:
        raise VmError(f"device {device.name}: its cfg_list must be the 6 bytes of a MAC address")
    mac = bytes(value & 0xFF for value in device.cfg_list[:6])
    net = Net(mac, features=NET_FEATURES, timebase=environment.timebase, sent_length=True)
    net.join(environment.switch, f"vm{vm.id} {device.name}", vm.id)
    vm.releases.append(net.leave)
    attach_virtio(vm, device, net)
