#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Allocators in arenas: python3 test_sdt_alloc.py PATH/TO/ktcollect [NAME]...

Trees of slots in memory that is made here, whole and broken, given to ktcollect.
Prints KTAP.
"""
import os
import random
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ktbtf  # noqa: E402
import ktmaps as km  # noqa: E402
import ktwire as kw  # noqa: E402
import test_reports as tr  # noqa: E402

TESTS = []
USER, KERN = 0x7F00 << 32, 0xFFFFC90000008000
BSS, DATA = km.BASE + 0x200000, km.BASE + 0x300000
FANOUT = 512
HEADER = 8
SHOWN = "already rendered in sdt_allocations"


def test(f):
    TESTS.append(f)
    return f


class Types:
    """Of a scheduler; sizes: of the structs that may be payloads."""

    def __init__(self, payloads=(("task_ctx", 32), ("cgrp_ctx", 24)), data_body=True, chunk_body=True, allocator="scx_allocator",
                 header=HEADER):
        b = self.btf = ktbtf.Btf()
        self.u64 = b.int("u64", 8)
        self.u32 = b.int("u32", 4)
        self.s32 = b.int("s32", 4, ktbtf.SIGNED)
        sdt_id = b.struct("sdt_id", 8, ("idx", self.s32, 0), ("genn", self.s32, 4))
        flex = b.array(self.u64, 0, self.u32)
        self.data = b.struct("sdt_data", header, ("tid", sdt_id, 0), ("payload", flex, header)) if data_body else b.fwd("sdt_data")
        self.data_ptr = b.ptr(self.data)
        chunk_fwd = b.fwd("sdt_chunk")
        bitmap = b.array(self.u64, 8, self.u32)
        desc = b.struct("sdt_desc", 80, ("allocated", bitmap, 0), ("nr_free", self.u64, 64), ("chunk", b.ptr(chunk_fwd), 72))
        if chunk_body:
            slots = b.array(self.data_ptr, FANOUT, self.u32)
            descs = b.array(b.ptr(desc), FANOUT, self.u32)
            both = b.struct("", 4096, ("descs", descs, 0), ("data", slots, 0), kind=ktbtf.UNION)
            b.struct("sdt_chunk", 4096, ("", both, 0))
        pool = b.struct("sdt_pool", 24, ("slab", self.u64, 0), ("elem_size", self.u64, 8), ("max_elems", self.u64, 16))
        self.allocator = b.struct(allocator, 32, ("pool", pool, 0), ("root", b.ptr(desc), 24))
        self.void_ptr = b.ptr(0)
        self.payload = {}
        for name, size in payloads:
            members = [("magic", self.u64, 0), ("peer", self.void_ptr, 8), ("typed", self.data_ptr, 16)][:size // 8]
            members += [("pad%d" % i, self.u64, i * 8) for i in range(3, size // 8)]
            self.payload[name] = b.struct(name, size, *members)
        self.static = b.struct("scx_static", 24, ("max_alloc_bytes", self.u64, 0), ("memory", self.void_ptr, 8), ("off", self.u64, 16))
        self.value = b.struct("val", 24, ("tid", sdt_id, 0), ("other", self.u64, 8), ("data", self.data_ptr, 16))


class Tree:
    """An arena with allocators' trees in it."""

    def __init__(self):
        self.mem, self.end = {}, 0x1000

    def room(self, size, align=8):
        at = self.end = -(-self.end // align) * align
        self.end += size
        return USER + at

    def write(self, addr, data):
        self.mem[addr] = data

    def desc(self, entries, bits, nr_free=0, chunk=True):
        """entries: {position: address}."""
        at, table = self.room(80), self.room(4096)
        self.write(table, b"".join(struct.pack("<Q", entries.get(i, 0)) for i in range(FANOUT)))
        number = sum(1 << i for i in bits)
        self.write(at, number.to_bytes(64, "little") + struct.pack("<QQ", nr_free, table if chunk else 0))
        return at

    def slot(self, idx, genn, payload):
        at = self.room(HEADER + len(payload))
        self.write(at, struct.pack("<ii", idx, genn) + payload)
        return at

    def root(self, slots):
        """slots: {index: address}; only those below have their bits."""
        leaves = {}
        for i, addr in slots.items():
            leaves.setdefault(i // FANOUT, {})[i % FANOUT] = addr
        middle = {}
        for i, entries in leaves.items():
            middle.setdefault(i // FANOUT, {})[i % FANOUT] = self.desc(entries, entries)
        return self.desc({i: self.desc(e, ()) for i, e in middle.items()}, ())

    def pages(self):
        """By kernel address."""
        return {KERN + (a - USER): d for a, d in self.mem.items()}


def allocator(elem_size, root):
    return struct.pack("<QQQQ", 0, elem_size, 100, root)


def payload(magic, size, peer=0, typed=0):
    return struct.pack("<QQQ", magic, peer, typed)[:size].ljust(size, b"\0")


class Sample(km.Zoo):
    def __init__(self, types, tree):
        super().__init__()
        self.t, self.tree, self.kernel = types, tree, None
        self.add_btf(km.BTF_PROG, types.btf)

    def section(self, name, kva, *members):
        """members: (name, type, bytes)."""
        at, data, placed = 0, b"", []
        for n, t, b in members:
            placed.append((n, t, at, len(b)))
            data += b
            at += len(b)
        sec = self.t.btf.datasec(name[name.index("."):], at, *placed)
        self.map(name, 2, 4, at, 1, "array", typed=(0, sec), values_kva=kva, stride=at, seen=1, taken=1, mem={kva: data})

    def arena(self, **more):
        self.map("arena", 33, 0, 0, 1000, "arena", seen=9, taken=9, mem=self.tree.pages(),
                 facts=dict({"user_vm_start": USER, "kern_vm_start": KERN, "page_size": 4096}, **more.pop("facts", {})), **more)

    def values(self, name, *ptrs, type_=29):
        """A storage whose values lead to these."""
        self.map(name, type_, 4, 24, 0, "storage", typed=(self.t.u32, self.t.value), records=[
            km.record(km.u64(km.TASK), struct.pack("<iiQQ", i, 0, 0, p)) for i, p in enumerate(ptrs)])

    def report(self, **kw_args):
        # The types are complete now.
        self.btf, self.blobs = [], {}
        if self.kernel:
            self.add_btf(0, self.kernel, "vmlinux", kernel=True)
        self.add_btf(km.BTF_PROG, self.t.btf)
        g = kw.Guest()
        g.begin(1)
        g.add(kw.ROWS, "sched", [dict(tr.SCHED, kva=kw.SCHED, name="typed")], 1)
        self.send(g, 1, kw.ROWS)
        g.end(1)
        return tr.report(g.stream(), **kw_args)


def plain(n):
    if n["kind"] == "struct":
        return {m["name"]: plain(m["value"]) for m in n["members"]}
    if n["kind"] == "ptr":
        return plain(n["deref"]) if "deref" in n else n.get("deref_skipped_reason", n["value"])
    return n.get("value", n.get("hex", n.get("reason")))


def member(n, name):
    return next(m["value"] for m in n["members"] if m["name"] == name)


def map_named(d, name):
    return next(m for m in d["maps"] if m["name"] == name)


def allocators(d):
    return {a["allocator_name"]: a for a in d.get("sdt_allocations", [])}


def two(**types):
    """Tasks with 40 bytes a slot at 0, 1, 600, 262144; two cgroups with 32."""
    tree, t = Tree(), Types(**types)
    tasks, groups = {}, {}
    for i in (0, 1, 600, 262144):
        tasks[i] = tree.slot(i, i + 7, payload(0x1000 + i, 32))
    for i in (0, 1):
        groups[i] = tree.slot(i, 1, payload(0x2000 + i, 24, peer=tasks[1] if i else 0, typed=USER + 0xF0000000 if i else tasks[0]))
    s = Sample(t, tree)
    s.tasks, s.groups = tasks, groups
    s.section("s.bss", BSS, ("scx_task_allocator", t.allocator, allocator(40, tree.root(tasks))),
              ("cgrp_allocator", t.allocator, allocator(32, tree.root(groups))))
    return s


@test
def whole():
    s = two()
    s.values("tasks", s.tasks[1], s.tasks[600] + HEADER, 0, s.groups[0], s.tasks[1] + 16)
    s.arena()
    d = s.report()
    a = allocators(d)
    assert list(a) == ["scx_task_allocator", "cgrp_allocator"] and "sdt_alloc_unavailable" not in d
    task = a["scx_task_allocator"]
    assert [(e["idx"], e["genn"], e["user_addr"]) for e in task["entries"]] == [
        (i, i + 7, s.tasks[i] & 0xFFFFFFFF) for i in (0, 1, 600, 262144)]
    assert [plain(e["payload"])["magic"] for e in task["entries"]] == [0x1000, 0x1001, 0x1000 + 600, 0x1000 + 262144]
    assert all(e["payload"]["type_name"] == "task_ctx" for e in task["entries"])
    assert {k: v for k, v in task.items() if k != "entries"} == {
        "allocator_name": "scx_task_allocator", "skipped_subtrees": 0, "elem_size": 40, "target_type_id": s.t.payload["task_ctx"]}
    # The tree is not written a second time either, nor are slots taken for parts of it.
    for a_name in a:
        assert member(member(map_named(d, "s.bss")["value"], a_name), "root")["deref_skipped_reason"] == SHOWN
    one, other = (e["payload"] for e in a["cgrp_allocator"]["entries"])
    # What stands above is not written twice; what is not there is said to be so.
    assert member(one, "typed")["deref_skipped_reason"] == SHOWN
    assert member(other, "peer")["deref_skipped_reason"] == SHOWN
    assert member(other, "typed")["deref_skipped_reason"] == \
        "arena read failed (cross-page boundary or unmapped page); needed 8 bytes from 0x7f00f0000000", other
    entries = map_named(d, "tasks")["entries"]
    assert [plain(e["payload"])["magic"] if "payload" in e else None for e in entries] == [0x1001, 0x1000 + 600, None, 0x2000, None]
    assert [member(e["value"], "data").get("deref_skipped_reason") for e in entries][:4] == [SHOWN, SHOWN, None, SHOWN]


@test
def placed_anywhere():
    """In other sections, in structs and arrays, behind pointers; each once."""
    tree, t = Tree(), Types()
    b = t.btf
    roots = [tree.root({3: tree.slot(3, i, payload(i, 32))}) for i in range(6)]
    far = tree.room(32)
    tree.write(far, allocator(40, roots[4]))
    outer = b.struct("outer", 104, ("x", t.u64, 0), ("in", t.allocator, 8), ("list", b.array(t.allocator, 2, t.u32), 40))
    fwd = b.struct("behind", 40, ("x", t.u64, 0), ("a", t.allocator, 8))
    second = tree.room(40)
    tree.write(second, struct.pack("<Q", 1) + allocator(40, roots[5]))
    s = Sample(t, tree)
    s.section("s.data", DATA, ("first", t.u64, km.u64(1)), ("again", b.ptr(t.allocator), km.u64(BSS + 8)),
              ("outer", outer, km.u64(5) + allocator(40, roots[1]) + allocator(40, roots[2]) + allocator(40, roots[3])),
              ("far", b.ptr(t.allocator), km.u64(far)), ("none", b.ptr(t.allocator), km.u64(0)),
              ("wild", b.ptr(t.allocator), km.u64(0x1234)), ("behind", b.ptr(fwd), km.u64(second)))
    s.section("s.bss", BSS, ("n", t.u64, km.u64(1)), ("direct", b.typedef("alloc_t", t.allocator), allocator(40, roots[0])))
    s.arena()
    a = allocators(s.report())
    assert {n: plain(x["entries"][0]["payload"])["magic"] for n, x in a.items()} == {
        "direct": 0, "outer.in": 1, "outer.list[0]": 2, "outer.list[1]": 3, "far": 4, "behind.a": 5}, list(a)


@test
def middle():
    """Where nothing begins a slot says nothing; what has a type of its own is shown."""
    why = "arena chase: %d bytes into slot %d of %s; neither it nor its payload begins there"
    tree, t = Tree(), Types()
    task = tree.slot(3, 1, payload(5, 32, peer=USER + 0x1000 + 16, typed=USER + 0x1000 + 24))
    free = tree.slot(4, 1, payload(6, 32))
    assert task == USER + 0x1000
    s = Sample(t, tree)
    part = t.btf.struct("part", 8, ("x", t.u64, 0))
    s.section("s.bss", BSS, ("task_allocator", t.allocator, allocator(40, tree.root({3: task}))),
              ("in_header", t.void_ptr, km.u64(task + 4)), ("typed", t.btf.ptr(part), km.u64(task + 32)),
              ("behind", t.void_ptr, km.u64(free + 16)), ("fwd", t.btf.ptr(t.btf.fwd("nobody")), km.u64(task + 39)))
    s.values("m", task + 16, task + 8, task)
    s.arena()
    d = s.report()
    one = allocators(d)["task_allocator"]["entries"][0]["payload"]
    assert member(one, "peer")["deref_skipped_reason"] == why % (16, 3, "task_allocator"), one
    assert member(one, "typed")["deref_skipped_reason"] == why % (24, 3, "task_allocator"), one
    bss = map_named(d, "s.bss")["value"]
    assert member(bss, "in_header")["deref_skipped_reason"] == why % (4, 3, "task_allocator")
    assert member(bss, "fwd")["deref_skipped_reason"] == why % (39, 3, "task_allocator")
    assert plain(member(bss, "typed")) == {"x": 0} and "void" in member(bss, "behind")["deref_skipped_reason"]
    entries = map_named(d, "m")["entries"]
    assert ["payload" in e for e in entries] == [False, True, True], entries
    assert [member(e["value"], "data")["deref_skipped_reason"] for e in entries] == [why % (16, 3, "task_allocator"), SHOWN, SHOWN]


@test
def bitmaps():
    """The last level goes by its bits, those above by what is there."""
    tree, t = Tree(), Types()
    live, free, odd = (tree.slot(i, 0, payload(i, 32)) for i in (4, 5, 6))
    leaf = tree.desc({4: live, 5: free}, (4, 6))
    full = tree.desc({0: odd}, (0,))
    root = tree.desc({1: tree.desc({0: leaf, 2: full}, (1,))}, (0, 7))
    s = Sample(t, tree)
    s.section("s.bss", BSS, ("a", t.allocator, allocator(40, root)))
    # A free slot is not shown where a map leads to it.
    s.values("m", live, free)
    s.arena()
    d = s.report()
    assert [e["idx"] for e in allocators(d)["a"]["entries"]] == [4, 6]
    assert ["payload" in e for e in map_named(d, "m")["entries"]] == [True, False]


@test
def broken_trees():
    tree, t = Tree(), Types()
    good = tree.desc({0: tree.slot(0, 1, payload(9, 32))}, (0,))
    cut = tree.desc({0: USER + 0x7FFF0000, 1: 0x1234567890}, (0, 1, 2))
    middle = tree.desc({0: good, 1: tree.desc({}, (), nr_free=513), 2: tree.desc({}, (), chunk=False), 3: USER + 0x6FFF0000,
                        4: 0xFFFF888000000000, 5: cut}, ())
    root = tree.desc({0: middle}, (), nr_free=512)
    s = Sample(t, tree)
    s.section("s.bss", BSS, ("a", t.allocator, allocator(40, root)), ("nothing", t.allocator, allocator(40, 0)),
              ("unused", t.allocator, allocator(0, 0)), ("small", t.allocator, allocator(15, root)),
              ("large", t.allocator, allocator(4097, root)), ("lost", t.allocator, allocator(40, 0x55)))
    # Not every slot was met: by the name of the map then.
    s.values("my_a_map", USER + 0x1000 + 0)
    s.arena()
    d = s.report()
    a = allocators(d)
    assert list(a) == ["a", "nothing", "small", "large", "lost"], list(a)
    assert a["a"]["skipped_subtrees"] == 4 and a["lost"]["skipped_subtrees"] == 1
    assert [plain(e["payload"]) for e in a["a"]["entries"]][1:] == ["payload read failed: end-of-DRAM or unmapped page"] * 2
    assert [e["idx"] for e in a["a"]["entries"]] == [0, 5 * FANOUT, 5 * FANOUT + 1]
    assert {n: (x["elem_size"], "entries" in x, x["target_type_id"]) for n, x in a.items() if n in ("nothing", "small", "large")} == {
        "nothing": (40, False, t.payload["task_ctx"]), "small": (15, False, 0), "large": (4097, False, 0)}


@test
def by_the_name_of_the_map():
    """When the tree is broken, and the address therefore does not tell."""
    def types(*names):
        tree, t = Tree(), Types(payloads=(("task_ctx", 32), ("cgrp_ctx", 24)))
        lost = tree.slot(0, 1, payload(77, 32))
        s = Sample(t, tree)
        s.section("s.bss", BSS, *((n, t.allocator, allocator(size, 0x55)) for n, size in names))
        for m in ("scx_task_map", "taskmap", "other"):
            s.values(m, lost)
        s.arena()
        d = s.report()
        return [e[0]["payload"]["type_name"] if "payload" in (e := map_named(d, m)["entries"])[0] else None
                for m in ("scx_task_map", "taskmap", "other")]
    assert types(("scx_task_allocator", 40), ("scx_cgrp_allocator", 32)) == ["task_ctx", "task_ctx", None]
    assert types(("scx_task_allocator", 40), ("scx_task_map_allocator", 32)) == ["cgrp_ctx", "task_ctx", None]
    assert types(("other_allocator", 40), ("zz_allocator", 32)) == [None, None, "task_ctx"]
    assert types(("anything", 40)) == ["task_ctx"] * 3
    assert types(("scx__allocator", 40), ("b", 32)) == [None] * 3


@test
def payload_types():
    def chosen(name, size, *payloads):
        tree, t = Tree(), Types(payloads=payloads)
        s = Sample(t, tree)
        s.section("s.bss", BSS, (name, t.allocator, allocator(size + HEADER, tree.root({0: tree.slot(0, 1, payload(9, size))}))))
        s.arena()
        a = allocators(s.report())[name]
        names = {i: n for n, i in t.payload.items()}
        kind = a["entries"][0]["payload"]
        assert kind["kind"] == "bytes" if not a["target_type_id"] else kind["type_name"] == names[a["target_type_id"]], a
        return names.get(a["target_type_id"]), a.get("payload_type_reason", "")
    assert chosen("x", 48, ("one", 48)) == ("one", "")
    assert chosen("x", 56, ("one", 48)) == (None, "no candidate of size 56")
    assert chosen("x", 48, ("one", 48), ("two", 48)) == (None, "ambiguous: 2 candidates")
    assert chosen("scx_two_allocator", 48, ("one", 48), ("two", 48)) == ("two", "")
    assert chosen("scx_two_allocator", 48, ("one", 48), ("two", 48), ("scx_two", 48)) == ("scx_two", "")
    assert chosen("two", 48, ("one", 48), ("two", 48)) == ("two", "")
    assert chosen("x", 48, ("one", 48), ("task_ctx", 48), ("a_task_ctx", 48)) == ("task_ctx", "")
    assert chosen("x", 48, ("a_arena_ctx", 48), ("b_task_ctx", 48)) == ("a_arena_ctx", "")
    assert chosen("x", 48, ("a_arena_ctx", 48), ("b_arena_ctx", 48), ("c_task_ctx", 48)) == ("c_task_ctx", "")
    assert chosen("x", 48, ("a_task_ctx", 48), ("b_task_ctx", 48)) == (None, "ambiguous: 2 candidates")
    assert chosen("x", 48, ("a_ctx", 48), ("b", 48), ("c", 48)) == ("a_ctx", "")
    # What belongs to the allocator is none: in scx_sdt it is the only one of the size.
    assert chosen("x", 48, ("scx_alloc_stats", 48)) == (None, "no candidate of size 48")
    assert chosen("x", 48, ("scx_alloc_stats", 48), ("one", 48)) == ("one", "")
    # The kernel's types, which vmlinux.h brings along, are none.
    def chosen_beside(*kernel):
        k = ktbtf.Btf()
        for name, size in kernel:
            k.struct(name, size)
        t = Types(payloads=(("of_kernel", 48), ("own", 48)))
        s = Sample(t, Tree())
        s.kernel = k
        s.section("s.bss", BSS, ("x", t.allocator, allocator(56, 0)))
        s.arena()
        a = allocators(s.report())["x"]
        return {i: n for n, i in t.payload.items()}.get(a["target_type_id"]), a.get("payload_type_reason")
    assert chosen_beside(("of_kernel", 48)) == ("own", None)
    assert chosen_beside(("of_kernel", 40)) == (None, "ambiguous: 2 candidates")
    assert chosen_beside(("own", 48), ("of_kernel", 8), ("of_kernel", 48)) == (None, "no candidate of size 48")
    # The header is as large as the slot.
    t = Types(header=16)
    s = Sample(t, Tree())
    s.section("s.bss", BSS, ("x", t.allocator, allocator(16, 0)))
    s.arena()
    a = allocators(s.report())["x"]
    assert a["payload_type_reason"] == "payload_size == 0" and a["target_type_id"] == 0, a


@test
def forward_declarations():
    """Neither the header nor the table of slots has a body."""
    s = two(data_body=False, chunk_body=False)
    s.values("tasks", s.tasks[1])
    s.arena()
    d = s.report()
    assert [e["idx"] for e in allocators(d)["scx_task_allocator"]["entries"]] == [0, 1, 600, 262144]
    assert plain(map_named(d, "tasks")["entries"][0]["payload"])["magic"] == 0x1001


@test
def many():
    """More than are shown: it is said, and maps that lead to others show them."""
    tree, t = Tree(), Types()
    slots = {i: tree.slot(i, 1, payload(i, 32)) for i in range(4200)}
    s = Sample(t, tree)
    s.section("s.bss", BSS, ("task_allocator", t.allocator, allocator(40, tree.root(slots))))
    s.values("tasks", slots[5], slots[4095], slots[4096], slots[4199])
    s.arena()
    d = s.report()
    a = allocators(d)["task_allocator"]
    assert a["truncated"] is True and [e["idx"] for e in a["entries"]] == list(range(4096))
    entries = map_named(d, "tasks")["entries"]
    assert [plain(e["payload"])["magic"] for e in entries] == [5, 4095, 4096, 4199]
    data = [member(e["value"], "data") for e in entries]
    assert [p.get("deref_skipped_reason") for p in data] == [SHOWN, SHOWN, None, None]
    assert [plain(p["deref"])["magic"] for p in data[2:]] == [4096, 4199] and data[2]["cast_annotation"] == "sdt_alloc"


@test
def bare_offsets():
    """All pointers as the kernel's side stores them: lower halves."""
    tree, t = Tree(), Types()
    low = 0xFFFFFFFF
    leaf = tree.desc({0: tree.slot(0, 1, payload(9, 32)) & low}, (0,)) & low
    root = tree.desc({0: tree.desc({0: leaf}, ()) & low}, ()) & low
    s = Sample(t, tree)
    s.section("s.bss", BSS, ("a", t.allocator, allocator(40, root)))
    s.values("m", USER + 0x1000, 0x1000)
    s.arena()
    d = s.report()
    assert [plain(e["payload"])["magic"] for e in allocators(d)["a"]["entries"]] == [9]
    assert [plain(e["payload"])["magic"] for e in map_named(d, "m")["entries"]] == [9, 9]


@test
def reasons():
    def why(change=lambda s: None, section="s.bss", arena=True, facts={}, **types):
        t = Types(**types)
        s = Sample(t, Tree())
        s.section(section, BSS, ("n", t.u64, km.u64(1)))
        if arena:
            s.arena(facts=facts)
        change(s)
        d = s.report()
        assert "sdt_allocations" not in d
        return d["sdt_alloc_unavailable"]
    assert why() == "no scx_allocator instance in .bss"
    assert why(allocator="something_else") == "scheduler BTF does not declare struct scx_allocator"
    assert why(section="s.data") == "no scheduler .bss map (or .bss has no program BTF)"
    assert why(arena=False) == "no arena map captured (kern_vm_start unavailable)"
    assert why(facts={"kern_vm_start": 0}) == "no arena map captured (kern_vm_start unavailable)"
    assert why(facts={"user_vm_start": USER + 4096}) == "user_vm_start is not 4 GiB-aligned; low-32 keying disabled"


@test
def unaligned():
    """An arena that begins anywhere: lower halves of addresses are still the key."""
    s = two()
    s.arena(facts={"user_vm_start": USER + 0x1000})
    assert len(allocators(s.report())["scx_task_allocator"]["entries"]) == 4


@test
def static_ranges():
    tree, t = Tree(), Types()
    s = Sample(t, tree)

    def static(most, memory, off):
        return struct.pack("<QQQ", most, memory, off)
    s.section("s.bss", BSS, ("pages", t.static, static(4096, USER + 0x5000, 128)), ("full", t.static, static(64, USER + 0x9000, 64)),
              ("fresh", t.static, static(64, 0x7000, 0)), ("zero", t.static, static(0, 1, 0)), ("huge", t.static, static(1 << 32, 1, 0)),
              ("null", t.static, static(64, 0, 0)), ("over", t.static, static(64, 1, 65)))
    s.arena()
    d = s.report()
    assert d["scx_static_ranges"] == {"ranges": [
        {"instance_name": "pages", "start_low32": 0x5000, "size": 128, "capacity": 4096},
        {"instance_name": "full", "start_low32": 0x9000, "size": 64, "capacity": 64},
        {"instance_name": "fresh", "start_low32": 0x7000, "size": 0, "capacity": 64}], "skipped": 4}, d["scx_static_ranges"]
    s = two()
    s.arena()
    assert "scx_static_ranges" not in s.report()


@test
def hostile():
    """Trees without an end: bounded, and said."""
    tree, t = Tree(), Types()
    slot = tree.slot(1, 1, payload(3, 32))
    table = tree.room(4096)
    desc = tree.room(80)
    tree.write(table, struct.pack("<Q", desc) * FANOUT)
    tree.write(desc, b"\xff" * 64 + struct.pack("<QQ", 0, table))
    leaf = tree.desc({i: slot for i in range(FANOUT)}, range(FANOUT))
    middle = tree.desc({i: leaf for i in range(FANOUT)}, ())
    root = tree.desc({i: middle for i in range(FANOUT)}, ())
    for start in desc, root:
        s = Sample(t, tree)
        s.section("s.bss", BSS, ("a", t.allocator, allocator(40, start)), ("later", t.allocator, allocator(40, 0)))
        s.arena()
        d = s.report()
        a = allocators(d)
        assert list(a) == ["a"] and a["a"]["truncated"] is True and len(a["a"]["entries"]) <= 4096
        assert any(m["section"] == "sdt_alloc" for m in d["ktdump"]["missing"]), d["ktdump"]["missing"]


@test
def damaged():
    """Bytes of BTF, trees and values turned round: no crash, and always a report."""
    rng = random.Random(11)
    saved, tr.check = tr.check, lambda path: None
    try:
        for _ in range(40):
            s = two()
            s.values("tasks", *s.tasks.values())
            s.arena()
            for _ in range(rng.randrange(1, 6)):
                i = rng.randrange(len(s.mem))
                kva, data = s.mem[i]
                b = bytearray(data)
                at = rng.randrange(len(b))
                b[at:at + 8] = rng.choice((struct.pack("<Q", rng.choice((0, 1, 513, USER + 0x1000, KERN, 2 ** 64 - 1))),
                                           bytes([b[at] ^ 1 << rng.randrange(8)])))[:len(b) - at]
                s.mem[i] = (kva, bytes(b))
            if rng.randrange(2):
                types = bytearray(s.t.btf.types)
                for _ in range(rng.randrange(1, 4)):
                    types[rng.randrange(len(types))] ^= 1 << rng.randrange(8)
                s.t.btf.types = bytes(types)
            s.report()
    finally:
        tr.check = saved


if __name__ == "__main__":
    sys.exit(tr.main(TESTS))
