"""Device tree overlays: what dtc makes of a source, merged into a guest's tree as dtc's own tool does it."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shyper_tui import images
from shyper_tui.engine.board.devicetree import Node
from shyper_tui.engine.board.dtb_reader import read_tree
from shyper_tui.engine.hypervisor.definition import LONGEST_SENTENCE, DtbDevice, PassthroughRegion, VmError
from shyper_tui.engine.hypervisor.guest_tree import Cpu, OverlayError, gvm_tree, mvm_tree
from shyper_tui.engine.hypervisor.guest_tree.labels import label, labels_of
from shyper_tui.engine.hypervisor.guest_tree.overlay import MAX_FIXUPS, MAX_FRAGMENTS
from shyper_tui.engine.hypervisor.mvm import mvm_definition
from tests.hypervisor.station import Station
from tests.hypervisor.station import guest as small_guest

from .tree_tools import SEED, board, cells, compile_overlay, guest, needs_dtc, node_at, text, tree_of

EVERYTHING = """
&soc {
    clock: clock-source { compatible = "fixed-clock"; #clock-cells = <0>; clock-frequency = <50000000>; };
    uart@30000000 {
        compatible = "ns16550a";
        reg = <0 0x30000000 0 0x1000>;
        clocks = <&clock>;
        interrupt-parent = <&plic>;
        interrupts = <33>;
        partner = <&virtio_net_50000000 7 &clock 8 &cpu1_intc>;
    };
};
&{/chosen} { note = "by path"; bootargs = "replaced"; };
&cpu0 { status = "okay"; cooling = <&clock>; };
/ {
    fragment@90 { target-path = "/"; __overlay__ { board-name = "evaluation"; sensors { first = <&clock>; }; }; };
};
"""


def overlay(build: Node) -> bytes:
    """A hand-made overlay with one fragment for the root."""
    extra = Node()
    fragment = extra.node("fragment@0").text("target-path", "/")
    build.name = "__overlay__"
    fragment.children.append(build)
    return extra.to_bytes()


@needs_dtc
def test_an_overlay_of_dtc_is_merged_with_labels_and_phandles() -> None:
    tree = tree_of(guest(overlay=compile_overlay(EVERYTHING)))
    uart, clock = node_at(tree, "/soc/uart@30000000"), node_at(tree, "/soc/clock-source")
    own = cells(clock, "phandle")
    assert cells(uart, "clocks") == own
    assert cells(uart, "interrupt-parent") == cells(node_at(tree, "/soc/plic@c000000"), "phandle")
    net, intc = node_at(tree, "/soc/virtio_net@50000000"), node_at(tree, "/cpus/cpu@1/interrupt-controller")
    assert cells(uart, "partner") == [*cells(net, "phandle"), 7, *own, 8, *cells(intc, "phandle")]
    assert cells(node_at(tree, "/cpus/cpu@0"), "cooling") == own
    assert cells(node_at(tree, "/sensors"), "first") == own
    chosen = node_at(tree, "/chosen")
    assert (text(chosen, "note"), text(chosen, "bootargs")) == ("by path", "replaced")
    assert text(tree, "board-name") == "evaluation"
    handles = [node.properties["phandle"] for node in tree.walk() if "phandle" in node.properties]
    assert len(handles) == len(set(handles))


@needs_dtc
def test_labels_of_the_overlay_become_labels_of_the_tree() -> None:
    symbols = node_at(tree_of(guest(overlay=compile_overlay(EVERYTHING))), "/__symbols__")
    assert text(symbols, "clock") == "/soc/clock-source"
    assert text(symbols, "plic") == "/soc/plic@c000000"
    assert text(symbols, "cpu2_intc") == "/cpus/cpu@2/interrupt-controller"


@needs_dtc
@pytest.mark.oracle
@pytest.mark.parametrize("cpus", [1, 2, 3])
def test_the_result_is_that_of_dtcs_own_tool(tmp_path: Path, cpus: int) -> None:
    source = EVERYTHING if cpus > 1 else EVERYTHING.replace("cpu1_intc", "cpu0_intc")
    extra = compile_overlay(source)
    (tmp_path / "extra.dtbo").write_bytes(extra)
    mine = gvm_tree(guest(cpus, overlay=extra), Cpu(), 0, SEED)
    nothing = overlay(Node())
    base = read_tree(gvm_tree(guest(cpus, overlay=nothing), Cpu(), 0, SEED))  # with labels
    labels = labels_of(base)
    for used in node_at(read_tree(extra), "/__fixups__").properties:
        assert labels[used].phandle  # dtc -@ gives every labelled node a phandle; ours get it when an overlay uses them
    (tmp_path / "base.dtb").write_bytes(base.to_bytes())
    command = ["fdtoverlay", "-i", "base.dtb", "-o", "merged.dtb", "extra.dtbo"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    theirs = read_tree((tmp_path / "merged.dtb").read_bytes())
    assert contents(read_tree(mine)) == contents(theirs)


def contents(root: Node) -> dict[str, dict[str, bytes]]:
    return {path: dict(node.properties) for path, node in root.paths()}


@needs_dtc
def test_a_label_on_a_node_of_the_tree_refers_to_that_node() -> None:
    tree = tree_of(guest(overlay=compile_overlay("&cpus { zero: cpu@0 { x; }; };\n&soc { user = <&zero>; };")))
    assert cells(node_at(tree, "/soc"), "user") == cells(node_at(tree, "/cpus/cpu@0"), "phandle") == [5]


@needs_dtc
def test_a_fragment_may_be_for_a_node_of_the_same_overlay() -> None:
    source = "&soc { mine: bus { }; };\n&mine { child { back = <&mine>; }; };"
    tree = tree_of(guest(overlay=compile_overlay(source)))
    assert cells(node_at(tree, "/soc/bus/child"), "back") == cells(node_at(tree, "/soc/bus"), "phandle")


@needs_dtc
def test_a_node_may_be_named_without_its_unit_address() -> None:
    source = "&{/soc/virtio_net} { a; };\n&soc { virtio_blk { b; }; };"
    tree = tree_of(guest(overlay=compile_overlay(source)))
    assert "a" in node_at(tree, "/soc/virtio_net@50000000").properties
    assert "b" in node_at(tree, "/soc/virtio_blk@10001000").properties


@needs_dtc
def test_a_later_fragment_replaces_what_an_earlier_one_said() -> None:
    source = "&soc { who = <&one>; one: a { }; two: b { }; };\n&soc { who = <&two>; };\n&{/soc} { who = <7 8>; };"
    assert cells(node_at(tree_of(guest(overlay=compile_overlay(source))), "/soc"), "who") == [7, 8]
    source = source.replace("<7 8>", "<&one &two>")
    tree = tree_of(guest(overlay=compile_overlay(source)))
    handles = [cells(node_at(tree, f"/soc/{name}"), "phandle")[0] for name in "ab"]
    assert cells(node_at(tree, "/soc"), "who") == handles


@needs_dtc
def test_the_managing_vms_tree_takes_overlays_too() -> None:
    definition = mvm_definition()
    definition.overlay = compile_overlay("&serial_10000000 { current-speed = <115200>; pic = <&plic &cpu0_intc>; };")
    tree = read_tree(mvm_tree(board(), definition, Cpu(), 0, SEED))
    serial = node_at(tree, "/soc/serial@10000000")
    assert cells(serial, "current-speed") == [115200]
    assert cells(serial, "pic")[0] == cells(node_at(tree, "/soc/plic@c000000"), "phandle")[0]


def test_without_an_overlay_there_are_no_labels_in_the_tree() -> None:
    assert "/__symbols__" not in dict(tree_of(guest()).paths())


def test_an_alias_may_begin_a_target_path() -> None:
    extra = Node()
    extra.node("fragment@0").text("target-path", "serial0").node("__overlay__").u32("current-speed", 9600)
    definition = mvm_definition()
    definition.overlay = extra.to_bytes()
    tree = read_tree(mvm_tree(board(), definition, Cpu(), 0, SEED))
    assert cells(node_at(tree, "/soc/serial@10000000"), "current-speed") == [9600]


def test_the_labels_are_the_parts_the_harts_and_the_devices() -> None:
    names = set(labels_of(tree_of(guest(2))))
    parts = {"chosen", "memory", "cpus", "soc", "plic"}
    harts = {"cpu0", "cpu1", "cpu0_intc", "cpu1_intc"}
    devices = {"plic_c000000", "virtio_blk_10001000", "virtio_net_50000000", "virtio_console_40001000", "vm_service"}
    assert names == parts | harts | devices
    assert (label("virtio,net@1-2"), label("9p")) == ("virtio_net_1_2", "_9p")


def wrong(**changes: object) -> bytes:
    extra = Node()
    fragment = extra.node("fragment@0")
    content = fragment.node("__overlay__").u32("ref", 0xFFFF_FFFF)
    for name, value in changes.items():
        match name, value:
            case "path", str(path):
                fragment.text("target-path", path)
            case "target", int(handle):
                fragment.u32("target", handle)
            case "fixup", (str(symbol), str(place)):
                extra.node("__fixups__").text(symbol, place)
            case "local", int(place_in_ref):
                local = extra.node("__local_fixups__").node("fragment@0").node("__overlay__")
                local.u32("ref", place_in_ref)
            case "handle", int(handle):
                content.node("extra").u32("phandle", handle)
    return extra.to_bytes()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (b"no device tree", "too short"),
        (bytes(100), "does not begin as a device tree does"),
        (wrong(path="/")[:-3], "it ends after"),
        (Node().to_bytes(), "no fragment"),
        (wrong(), "fragment@0 has neither target nor target-path"),
        (wrong(path="/no/such/node"), "no node /no/such/node"),
        (wrong(path="alias"), "no node alias"),
        (wrong(target=0xFFFF_FFFF), "fragment@0 has no target in this tree"),
        (wrong(target=0), "fragment@0 has no target in this tree"),
        (wrong(path="/", fixup=("gpio", "/fragment@0/__overlay__:ref:0")), "no label gpio; its labels are chosen"),
        (wrong(path="/", fixup=("soc", "/fragment@0/__overlay__:ref:x")), "fixup of the label soc is damaged"),
        (wrong(path="/", fixup=("soc", "/fragment@0/__overlay__:ref:1")), "outside of its properties"),
        (wrong(path="/", fixup=("soc", "/fragment@7:ref:0")), "name the node /fragment@7"),
        (wrong(path="/", fixup=("soc", "")), "damaged"),
        (wrong(path="/", local=2), "outside of its properties"),
        (wrong(path="/", local=0), "as a phandle"),
        (wrong(path="/", handle=0xFFFF_FFFE), "as a phandle"),
    ],
)
def test_a_wrong_overlay_is_one_sentence(extra: bytes, words: str) -> None:
    with pytest.raises(OverlayError, match="the device tree overlay cannot be applied: ") as error:
        tree_of(guest(overlay=extra))
    assert words in str(error.value)


def test_an_overlay_with_a_phandle_twice_is_refused() -> None:
    content = Node()
    content.node("a").u32("phandle", 1)
    content.node("b").u32("phandle", 2)
    two = overlay(content)
    at = two.index(b"b\0\0\0") + 16
    double = two[:at] + (1).to_bytes(4, "big") + two[at + 4 :]
    with pytest.raises(VmError, match="same phandle"):
        tree_of(guest(overlay=double))


def test_size_and_depth_of_an_overlay_are_limited() -> None:
    deep = node = Node()
    for _ in range(70):
        node = node.node("deeper")
    wide = Node()
    wide.children = [Node(f"n{number}", wide) for number in range(5000)]
    for content in (deep, wide):
        with pytest.raises(OverlayError, match="more than 4096 nodes, or they are more than 64 deep"):
            tree_of(guest(overlay=overlay(content)))
    extra = Node()
    extra.node("fragment@0").text("target-path", "/").node("__overlay__").data("ref", bytes(4))
    extra.node("__fixups__").text("soc", *["/fragment@0/__overlay__:ref:0"] * (MAX_FIXUPS + 1))
    with pytest.raises(OverlayError, match="more than 4096 fixups"):
        tree_of(guest(overlay=extra.to_bytes()))


def test_an_overlay_has_few_fragments() -> None:
    extra = Node()
    for number in range(MAX_FRAGMENTS + 1):
        extra.node(f"fragment@{number}").text("target-path", "/").node("__overlay__").node(f"n{number}")
    with pytest.raises(OverlayError, match="more than 256 fragments"):
        tree_of(guest(overlay=extra.to_bytes()))


def test_names_that_overlap_in_the_strings_block_cost_no_memory() -> None:
    """Every property may name any place of the block: of one long string, a thousand properties have a copy each."""
    content = Node()
    for number in range(1000):
        content.flag(f"p{number:03}")
    data = bytearray(overlay(content))
    length = len(data)
    data += b"x" * 100_000 + b"\0"
    data[4:8] = len(data).to_bytes(4, "big")
    data[12:16] = length.to_bytes(4, "big")  # the strings block
    with pytest.raises(OverlayError, match="a name in it has no end, or more than 255 characters"):
        tree_of(guest(overlay=bytes(data)))


def test_many_fixups_in_a_long_property_are_all_written() -> None:
    extra = Node()
    extra.node("fragment@0").text("target-path", "/").node("__overlay__").data("ref", bytes(900_000))
    places = range(0, 4 * MAX_FIXUPS, 4)
    extra.node("__fixups__").text("soc", *[f"/fragment@0/__overlay__:ref:{place}" for place in places])
    tree = tree_of(guest(overlay=extra.to_bytes()))
    written = cells(tree, "ref")
    soc = node_at(tree, "/soc").phandle
    assert (written[:MAX_FIXUPS], set(written[MAX_FIXUPS:])) == ([soc] * MAX_FIXUPS, {0})


@pytest.mark.parametrize("extra", [wrong(path="/\x1b[2J\n/"), wrong(path="/", fixup=("soc", "/\x1b[31m\nagain:ref:0"))])
def test_a_refusal_never_moves_a_terminals_cursor(extra: bytes) -> None:
    with pytest.raises(OverlayError) as error:
        tree_of(guest(overlay=extra))
    assert str(error.value).isprintable()
    node = Node()
    node.flag("na\x1bme")
    with pytest.raises(OverlayError, match="characters that cannot be printed"):
        tree_of(guest(overlay=overlay(node)))


def test_a_refusal_is_no_longer_than_a_screen() -> None:
    with pytest.raises(OverlayError) as error:
        tree_of(guest(overlay=wrong(path="/" + "x" * 500_000)))
    assert len(str(error.value)) == LONGEST_SENTENCE


SMALL = wrong(path="/", fixup=("soc", "/fragment@0/__overlay__:ref:0"), handle=1)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), max_size=8), st.integers(0, len(SMALL)))
def test_any_bytes_give_a_tree_or_a_sentence(changes: list[tuple[int, int]], keep: int) -> None:
    data = bytearray(SMALL)
    for place, value in changes:
        data[place] = value
    with contextlib.suppress(VmError):
        read_tree(gvm_tree(guest(overlay=bytes(data[: keep or len(data)])), Cpu(), 0, SEED))


def test_a_wrong_overlay_keeps_its_vm_from_being_made_and_nothing_else() -> None:
    station = Station()
    free = station.manager.pool.free_bytes
    with pytest.raises(VmError, match="overlay cannot be applied"):
        station.manager.add(small_guest(overlay=b"no device tree"), images.embedded("guest"))
    assert station.manager.pool.free_bytes == free
    assert station.manager.table == {}
    station.manager.add(small_guest(memory=64 << 20), images.embedded("guest"))
    station.manager.boot(1)
    station.until(lambda: b"gvm# " in station.consoles[1])


def test_the_managing_vms_tree_has_entries_too() -> None:
    definition = mvm_definition()
    definition.passthrough.append(PassthroughRegion(0x3000_1000, 0x10_1000, 0x1000))
    definition.dtb_devices = [DtbDevice("rtc@30001000", 0, (11,), 0x3000_1000, 0x1000)]
    tree = read_tree(mvm_tree(board(), definition, Cpu(), 0, SEED))
    assert text(node_at(tree, "/soc/rtc@30001000"), "compatible") == "google,goldfish-rtc"
