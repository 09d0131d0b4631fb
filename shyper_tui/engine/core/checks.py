"""Bounds of every memory access, put into generated code afterwards: what the debug build is made of.

`instrument` takes the IR of a program and puts a check before each load, store, atomic operation, copy and fill. It
needs no help from who wrote the code, so nothing can be forgotten:

* An address that was computed from a pointer into a block (`host_memory.Block`) must lie in that block; in a block with
  a stride, in the same part of it.
* The address of an access to guest memory, or one that was computed from no such pointer, must lie in guest RAM.
* An element of a field of the hart's state must be one of that field's, and one of a constant table of that table's.

The program looks blocks up in a table that Python keeps (`hart.debug_build`); what fails is reported with its *site*:
the function and the instruction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .layout import Layout
from .llvm import GUEST

# the table of blocks: words of 64 bits
COUNT, HOOK, ENTRIES = 0, 8, 16
"""How many there are; host address of the function to call with (state, site, address, size, pointer)."""
START, END, STRIDE, RAM = 0, 8, 16, 24
"""Of a block: its addresses, the size of its parts or 0, and whether it is guest RAM. Entries are in order."""
ENTRY_SIZE = 32
MOST = 4096
TABLE_SIZE = ENTRIES + MOST * ENTRY_SIZE
MOST_POINTERS = 4

_DEFINE = re.compile(r"define .*@(\w+)\((.*?)\)[^()]*\{$")
_ASSIGN = re.compile(r"(%[\w.]+) = (.*)")
_LOAD = re.compile(r"load (?:atomic )?i(\d+), ptr ([%@][\w.]+)")
_STORE = re.compile(r"store (?:atomic )?i(\d+) [^,]+, ptr ([%@][\w.]+)")
_EXCHANGE = re.compile(r"cmpxchg ptr (%[\w.]+), i(\d+)")
_ATOMIC = re.compile(r"atomicrmw \w+ ptr (%[\w.]+), i(\d+)")
_FILL = re.compile(r"call void @llvm\.memset\.p0\.i64\(ptr (?:align \d+ )?(%[\w.]+), i8 [^,]+, i64 ([%\w.]+)")
_COPY = re.compile(r"call void @llvm\.memcpy\.p0\.p0\.i64\(ptr (%[\w.]+), ptr (%[\w.]+), i64 ([%\w.]+)")
_OFFSET = re.compile(r"getelementptr (i8|i64), ptr ([%@][\w.]+), i64 (-?[%\w.]+)")
_FROM_INTEGER = re.compile(r"inttoptr i64 (%[\w.]+) to ptr")
_TO_INTEGER = re.compile(r"ptrtoint ptr ([%@][\w.]+) to i64")
_SUM = re.compile(r"(add|sub) i64 (-?[%\w.]+), (-?[%\w.]+)")
_TABLE = re.compile(r"^(@\w+) = internal constant \[(\d+) x ptr\]", re.MULTILINE)
_NO_POINTER = ("and ", "shl ", "mul ", "udiv ", "lshr ", "zext ", "sext ", "trunc ", "xor ", "extractvalue ")
"""Instructions whose result cannot be a pointer in this program."""

_RUNTIME = f"""
@block_table = internal global ptr null
define i64 @use_blocks(ptr %table) {{
store ptr %table, ptr @block_table
ret i64 0
}}
define internal ptr @block_of(i64 %address) noinline {{
entry:
%table = load ptr, ptr @block_table
%count = load i64, ptr %table
br label %head
head:
%low = phi i64 [ 0, %entry ], [ %newlow, %middle ]
%high = phi i64 [ %count, %entry ], [ %newhigh, %middle ]
%more = icmp ult i64 %low, %high
br i1 %more, label %middle, label %done
middle:
%sum = add i64 %low, %high
%half = lshr i64 %sum, 1
%place = mul i64 %half, {ENTRY_SIZE}
%from = add i64 %place, {ENTRIES}
%here = getelementptr i8, ptr %table, i64 %from
%begins = load i64, ptr %here
%before = icmp ule i64 %begins, %address
%above = add i64 %half, 1
%newlow = select i1 %before, i64 %above, i64 %low
%newhigh = select i1 %before, i64 %high, i64 %half
br label %head
done:
%none = icmp eq i64 %low, 0
br i1 %none, label %nothing, label %look
look:
%last = mul i64 %low, {ENTRY_SIZE}
%at = add i64 %last, {ENTRIES - ENTRY_SIZE}
%entry.at = getelementptr i8, ptr %table, i64 %at
%end.at = getelementptr i8, ptr %entry.at, i64 {END}
%end = load i64, ptr %end.at
%inside = icmp ult i64 %address, %end
%found = select i1 %inside, ptr %entry.at, ptr null
ret ptr %found
nothing:
ret ptr null
}}
define internal void @out_of_bounds(ptr %st, i64 %site, i64 %address, i64 %size, i64 %pointer) noinline cold {{
%table = load ptr, ptr @block_table
%hook.at = getelementptr i8, ptr %table, i64 {HOOK}
%hook = load ptr, ptr %hook.at
call void %hook(ptr %st, i64 %site, i64 %address, i64 %size, i64 %pointer)
ret void
}}
define internal void @check_range(ptr %st, i64 %site, i64 %address, i64 %size, i64 %low, i64 %length) noinline {{
%offset = sub i64 %address, %low
%room = sub i64 %length, %size
%fits = icmp ule i64 %offset, %room
%possible = icmp ule i64 %size, %length
%good = and i1 %fits, %possible
br i1 %good, label %done, label %bad
bad:
call void @out_of_bounds(ptr %st, i64 %site, i64 %address, i64 %size, i64 %low)
ret void
done:
ret void
}}
define internal void @check_access(ptr %st, i64 %site, i64 %address, i64 %size, i64 %p1, i64 %p2, i64 %p3, i64 %p4)\
 noinline {{
entry:
%b1 = call ptr @block_of(i64 %p1)
%has1 = icmp ne ptr %b1, null
br i1 %has1, label %known, label %second
second:
%b2 = call ptr @block_of(i64 %p2)
%has2 = icmp ne ptr %b2, null
br i1 %has2, label %known, label %third
third:
%b3 = call ptr @block_of(i64 %p3)
%has3 = icmp ne ptr %b3, null
br i1 %has3, label %known, label %fourth
fourth:
%b4 = call ptr @block_of(i64 %p4)
%has4 = icmp ne ptr %b4, null
br i1 %has4, label %known, label %guest
known:
%block = phi ptr [ %b1, %entry ], [ %b2, %second ], [ %b3, %third ], [ %b4, %fourth ]
%pointer = phi i64 [ %p1, %entry ], [ %p2, %second ], [ %p3, %third ], [ %p4, %fourth ]
%start = load i64, ptr %block
%end.at = getelementptr i8, ptr %block, i64 {END}
%end = load i64, ptr %end.at
%stride.at = getelementptr i8, ptr %block, i64 {STRIDE}
%stride = load i64, ptr %stride.at
%parts = icmp ne i64 %stride, 0
%inner = icmp ne i64 %pointer, %start
%one = and i1 %parts, %inner
br i1 %one, label %part, label %whole
part:
%behind = sub i64 %pointer, %start
%number = udiv i64 %behind, %stride
%distance = mul i64 %number, %stride
%first = add i64 %start, %distance
call void @check_range(ptr %st, i64 %site, i64 %address, i64 %size, i64 %first, i64 %stride)
ret void
whole:
%length = sub i64 %end, %start
call void @check_range(ptr %st, i64 %site, i64 %address, i64 %size, i64 %start, i64 %length)
ret void
guest:
%ram = call ptr @block_of(i64 %address)
%nowhere = icmp eq ptr %ram, null
br i1 %nowhere, label %bad, label %somewhere
somewhere:
%is.at = getelementptr i8, ptr %ram, i64 {RAM}
%is = load i64, ptr %is.at
%other = icmp eq i64 %is, 0
br i1 %other, label %bad, label %within
within:
%ram.start = load i64, ptr %ram
%ram.end.at = getelementptr i8, ptr %ram, i64 {END}
%ram.end = load i64, ptr %ram.end.at
%ram.length = sub i64 %ram.end, %ram.start
call void @check_range(ptr %st, i64 %site, i64 %address, i64 %size, i64 %ram.start, i64 %ram.length)
ret void
bad:
call void @out_of_bounds(ptr %st, i64 %site, i64 %address, i64 %size, i64 %p1)
ret void
}}
"""


class Unchecked(Exception):  # noqa: N818 what it says is that generated code was not understood
    """An access whose bounds cannot be found, or whose constant offset is wrong."""


@dataclass
class _Address:
    """What an address was computed from."""

    constant: int = 0
    moved: bool = False
    """Something besides constants was added."""
    sources: list[str] = field(default_factory=list)
    """Operands that may be pointers: `ptr %rec`, `i64 %t12`, `ptr @handlers`."""


class _Function:
    def __init__(self, name: str, layout: Layout, tables: dict[str, int], sites: list[str]) -> None:
        self.name, self._layout, self._tables, self._sites = name, layout, tables, sites
        self._definitions: dict[str, str] = {}
        self._fresh = 0
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        """One line of the body, behind its checks."""
        assigned = _ASSIGN.match(line)
        if assigned:
            self._definitions[assigned[1]] = assigned[2]
        instruction = assigned[2] if assigned else line
        for pointer, size in _accesses(instruction):
            self._check(pointer, size, line)
        self.lines.append(line)

    def _check(self, pointer: str, size: str, line: str) -> None:
        if self._definitions.get(pointer, "").startswith("alloca "):
            return
        address = _Address()
        self._follow(f"ptr {pointer}", address)
        sources = address.sources
        if len(sources) == 1 and self._definitions.get(sources[0].split()[-1], "").startswith("alloca {"):
            return
        site = len(self._sites)
        if sources and sources[0] == "ptr %st":
            if not self._state_check(address, pointer, size, site):
                return
        elif sources and sources[0].split()[-1] in self._tables:
            name = sources[0].split()[-1]
            self._range(pointer, size, site, self._integer(f"ptr {name}"), 8 * self._tables[name])
        else:
            if not sources:
                raise Unchecked(f"{self.name}: nothing is known of the address in: {line}")
            guest = GUEST in line or any(self._is_addend(source) for source in sources)
            known = [] if guest else [self._integer(source) for source in sources[:MOST_POINTERS]]
            known += ["0"] * (MOST_POINTERS - len(known))
            passed = ", ".join(f"i64 {one}" for one in known)
            here = self._integer(f"ptr {pointer}")
            where = f"i64 {site}, i64 {here}, i64 {size}"
            self.lines.append(f"call void @check_access(ptr %st, {where}, {passed})")
        self._sites.append(f"{self.name}: {line}")

    def _is_addend(self, source: str) -> bool:
        """It is what makes a physical address a host address. As a number it might be anybody's address."""
        loaded = _LOAD.match(self._definitions.get(source.split()[-1], ""))
        place = self._definitions.get(loaded[2], "") if loaded else ""
        return place == f"getelementptr i8, ptr %st, i64 {self._layout.offset('ram_addend')}"

    def _state_check(self, address: _Address, pointer: str, size: str, site: int) -> bool:
        """Whether there is anything to check at run time."""
        for known in self._layout.fields.values():
            if known.offset <= address.constant < known.offset + 8 * known.count:
                break
        else:
            raise Unchecked(f"{self.name}: the state has nothing at {address.constant}")
        if not address.moved and size.isdigit():
            if address.constant + int(size) > known.offset + 8 * known.count:
                raise Unchecked(f"{self.name}: {size} bytes at {address.constant} of the state leave {known.name}")
            return False
        base = self._named("ptrtoint ptr %st to i64")
        self._range(pointer, size, site, self._named(f"add i64 {base}, {known.offset}"), 8 * known.count)
        return True

    def _range(self, pointer: str, size: str, site: int, low: str, length: int) -> None:
        here = self._integer(f"ptr {pointer}")
        self.lines.append(
            f"call void @check_range(ptr %st, i64 {site}, i64 {here}, i64 {size}, i64 {low}, i64 {length})"
        )

    def _named(self, instruction: str) -> str:
        self._fresh += 1
        self.lines.append(f"%check{self._fresh} = {instruction}")
        return f"%check{self._fresh}"

    def _integer(self, source: str) -> str:
        kind, name = source.split()
        return name if kind == "i64" else self._named(f"ptrtoint ptr {name} to i64")

    def _follow(self, operand: str, address: _Address) -> None:
        """Adds up what `operand` (with its type) was computed from."""
        kind, name = operand.split()
        made = self._definitions.get(name, "")
        if not name.startswith(("%", "@")):
            address.constant += int(name)
        elif offset := _OFFSET.fullmatch(made):
            self._follow(f"ptr {offset[2]}", address)
            if offset[1] == "i64":
                address.moved = True
            else:
                self._follow(f"i64 {offset[3]}", address)
        elif match := _FROM_INTEGER.fullmatch(made):
            self._follow(f"i64 {match[1]}", address)
        elif match := _TO_INTEGER.fullmatch(made):
            self._follow(f"ptr {match[1]}", address)
        elif match := _SUM.fullmatch(made):
            self._follow(f"i64 {match[2]}", address)
            if match[1] == "add":
                self._follow(f"i64 {match[3]}", address)
            else:
                address.moved = True
        elif kind == "i64" and made.startswith(_NO_POINTER):
            address.moved = True
        else:
            address.sources.append(f"{kind} {name}")
            address.moved = address.moved or len(address.sources) > 1


def _accesses(instruction: str) -> list[tuple[str, str]]:
    """(pointer, size in bytes) of each access of an instruction."""
    if match := _LOAD.match(instruction) or _STORE.match(instruction):
        return [(match[2], str(max(int(match[1]) // 8, 1)))]
    if match := _EXCHANGE.match(instruction) or _ATOMIC.match(instruction):
        return [(match[1], str(int(match[2]) // 8))]
    if match := _FILL.match(instruction):
        return [(match[1], match[2])]
    if match := _COPY.match(instruction):
        return [(match[1], match[3]), (match[2], match[3])]
    return []


def instrument(ir: str, layout: Layout) -> tuple[str, list[str]]:
    """(the program with its checks, the sites by number). Its functions take the hart's state as `%st`."""
    tables = {name: int(count) for name, count in _TABLE.findall(ir)}
    sites: list[str] = []
    lines: list[str] = []
    function: _Function | None = None
    for line in ir.split("\n"):
        if function is None:
            lines.append(line)
            begun = _DEFINE.match(line)
            if begun:
                function = _Function(begun[1], layout, tables, sites)
        elif line == "}":
            lines += [*function.lines, line]
            function = None
        else:
            function.add(line)
    return "\n".join(lines) + _RUNTIME, sites
