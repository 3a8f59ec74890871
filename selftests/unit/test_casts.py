#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Instructions on the wire: python3 test_casts.py PATH/TO/ktcollect [NAME]...

A program that keeps a task and a value of another map in fields of u64, whole and
broken, given to ktcollect. Prints KTAP.
"""
import json
import os
import random
import struct
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ktbtf  # noqa: E402
import ktmaps as km  # noqa: E402
import ktwire as kw  # noqa: E402
import test_reports as tr  # noqa: E402

TESTS = []
PROG, CALL_BASE, TASK = kw.BASE + 0x900000, kw.BASE + 0x100000, kw.BASE + 0x5000
VALUES = kw.BASE + 0x200000
LOOKUP, TASK_OF = 0x4000, 0x5000
STRUCT_OPS, FUNC, FUNC_PROTO = 27, 12, 13


def test(f):
    TESTS.append(f)
    return f


def insn(code, dst=0, src=0, off=0, imm=0):
    return struct.pack("<BBhi", code, src << 4 | dst, off, imm)


def imm64(dst, v):
    return insn(0x18, dst, imm=struct.unpack("<i", struct.pack("<I", v & 0xffffffff))[0]) + \
        insn(0, imm=struct.unpack("<i", struct.pack("<I", v >> 32))[0])


class Programs(km.Zoo):
    def rows(self):
        yield from super().rows()
        yield "insn", ["prog_kva", "off", "data"], self.insns
        yield "code", list(self.row), [self.row]
        yield "symbol", ["addr", "name"], self.symbols


class Sample(Programs):
    """The rows, to be changed before they are sent."""

    def __init__(self):
        super().__init__()
        k, p = ktbtf.Btf(), ktbtf.Btf()
        u64 = k.int("u64", 8)
        task_ptr = k.ptr(k.struct("task_struct", 16, ("state", u64, 0), ("flags", u64, 8)))
        args = struct.pack("<II", k.name("p"), task_ptr)
        ops = k.struct("sched_ext_ops", 16, ("first", u64, 0), ("enqueue", k.ptr(k.add("", FUNC_PROTO, 1, 0, args)), 8))
        k.add("task_of", FUNC, 0, k.add("", FUNC_PROTO, 0, task_ptr))
        u64 = p.int("u64", 8)
        u32 = p.int("u32", 4)
        node = p.struct("node", 16, ("magic", u64, 0), ("left", u64, 8))
        self.bss_type = p.datasec(".bss", 40, ("task", u64, 0, 8), ("other", u64, 8, 8), ("node", u64, 16, 8), ("number", u64, 24, 8),
                                  ("also", u64, 32, 8))
        main = p.add("main", FUNC, 0, p.add("", FUNC_PROTO, 0, 0))
        self.add_btf(0, k, "vmlinux", kernel=True)
        self.add_btf(km.BTF_PROG, p)
        data = struct.pack("<5Q", TASK, TASK, VALUES + 64, 5, TASK)
        self.map("s.bss", 2, 4, 40, 1, "array", typed=(0, self.bss_type), values_kva=VALUES, stride=40, seen=1, taken=1,
                 mem={VALUES: data})
        nodes = self.map("nodes", 2, 4, 16, 1, "array", typed=(u32, node), values_kva=VALUES + 64, stride=16, seen=1, taken=1,
                         mem={VALUES + 64: struct.pack("<2Q", 77, 88)})
        self.prog = {"kva": PROG, "id": 7, "name": "enqueue", "type": STRUCT_OPS, "has_stats": False, "attach_btf_id": ops,
                     "member_off": 8}
        # *(u64 *)bss = p; bss[1] = task_of(); bss[2] = lookup(nodes); bss[3] = 5; sub(p)
        self.code = b"".join([
            insn(0x79, 6, 1), imm64(2, VALUES), insn(0x7b, 2, 6), insn(0x85, src=2, imm=TASK_OF), insn(0x15, 0, off=3),
            imm64(2, VALUES), insn(0x7b, 2, 0, 8), imm64(1, nodes), insn(0x85, imm=LOOKUP), insn(0x15, 0, off=3),
            imm64(2, VALUES), insn(0x7b, 2, 0, 16), imm64(2, VALUES), insn(0x7a, 2, off=24, imm=5), insn(0xbf, 1, 6),
            insn(0x85, src=1, off=1, imm=1), insn(0x95)])
        sub = len(self.code) // 8
        self.code += b"".join([imm64(2, VALUES), insn(0x7b, 2, 1, 32), insn(0x95)])
        n = len(self.code) // 8
        self.insns = [{"prog_kva": PROG, "off": o, "data": self.code[o:o + 64]} for o in range(0, len(self.code), 64)]
        self.row = {"prog_kva": PROG, "btf_kva": km.BTF_PROG, "call_base": CALL_BASE, "insns": n, "taken": n, "cut": None,
                    "limit": None, "error": None, "func_info": [0, main, sub, main]}
        self.symbols = [{"addr": CALL_BASE + LOOKUP, "name": "bpf_map_lookup_elem+0x0/0x40"},
                        {"addr": CALL_BASE + TASK_OF, "name": "task_of+0x0/0x20"}]


def stream(s):
    g = kw.Guest()
    g.begin(1)
    g.add(kw.ROWS, "prog", [s.prog], 1)
    s.send(g, 1, kw.ROWS)
    g.end(1)
    return g.stream()


def report(s):
    return tr.report(stream(s))


def found(d):
    return {c["member"]: c["target"] for c in d["ktdump"]["casts"]}


def changed(change):
    s = Sample()
    change(s)
    return found(report(s))


WHOLE = {"task": "task_struct", "other": "task_struct", "node": "node", "also": "task_struct"}


@test
def whole():
    d = report(Sample())
    assert found(d) == WHOLE, d["ktdump"]["casts"]
    assert all(c["type"] == ".bss" and c["arena"] is False and c["by"] == "type" for c in d["ktdump"]["casts"])
    assert d["ktdump"]["code"][0]["insns"] == d["ktdump"]["code"][0]["taken"] > 20 and d["ktdump"]["missing"] == []
    bss = {m["name"]: m["value"] for m in next(m for m in d["maps"] if m["name"] == "s.bss")["value"]["members"]}
    assert bss["number"] == {"kind": "uint", "bits": 64, "value": 5}
    assert bss["task"]["value"] == TASK and bss["task"]["cast_annotation"] == "cast→kernel" and "deref" not in bss["task"]
    node = bss["node"]
    assert node["cast_annotation"] == "cast→kernel" and [m["value"]["value"] for m in node["deref"]["members"]] == [77, 88], node


@test
def less():
    """What does not come is not made up."""
    assert changed(lambda s: s.symbols.clear()) == {"task": "task_struct", "also": "task_struct"}
    assert changed(lambda s: s.prog.update(type=1)) == {"other": "task_struct", "node": "node"}
    assert changed(lambda s: s.prog.update(member_off=0)) == {"other": "task_struct", "node": "node"}
    assert changed(lambda s: s.prog.update(attach_btf_id=2 ** 40)) == {"other": "task_struct", "node": "node"}
    assert changed(lambda s: s.maps[0].update(btf_value_type_id=0)) == {}
    # Names of a module's functions, and addresses in the middle of one.
    for name in ("task_of+0x0/0x20 [mod]", "task_of+0x4/0x20", "+0x0/0x20", "task_of"):
        assert "other" not in changed(lambda s: s.symbols[1].update(name=name)), name


@test
def broken():
    """Half a program, or none, says nothing."""
    for change in (lambda s: s.insns.pop(), lambda s: s.insns.pop(0), lambda s: s.insns.reverse(), lambda s: s.insns.clear(),
                   lambda s: s.row.update(taken=3, cut="bytes"), lambda s: s.row.update(insns=2 ** 63, taken=2 ** 63),
                   lambda s: s.row.update(btf_kva=0), lambda s: s.row.update(btf_kva=12345), lambda s: s.row.update(prog_kva=99),
                   lambda s: s.insns[1].update(off=63), lambda s: s.insns[0].update(data=b""),
                   lambda s: s.row.update(func_info=[])):
        assert changed(change) == {}, changed(change)
    d = report(Sample())
    assert "code" in d["ktdump"]
    s = Sample()
    s.row.update(func_info=[0, 1, 5, 2 ** 40])
    d = report(s)
    assert d["ktdump"]["casts"] == [] and "1 programs" in d["ktdump"]["missing"][0]["reason"], d["ktdump"]["missing"]


@test
def damaged():
    """Bits the other way, everywhere: no crash, and nothing that hangs."""
    rng = random.Random(7)
    for _ in range(50):
        s = Sample()
        for _ in range(rng.randrange(1, 4)):
            what = rng.randrange(4)
            if what == 0:
                i = rng.choice(s.insns)
                b = bytearray(i["data"])
                b[rng.randrange(len(b))] ^= 1 << rng.randrange(8)
                i["data"] = bytes(b)
            elif what == 1:
                h = rng.choice(list(s.blobs))
                b = bytearray(s.blobs[h])
                b[rng.randrange(24, len(b))] ^= 1 << rng.randrange(8)
                km.rehash(s, h, bytes(b))
            elif what == 2:
                s.row[rng.choice(("insns", "taken", "call_base", "btf_kva"))] = rng.choice((0, 1, 2 ** 32, 2 ** 64 - 1))
            else:
                s.row["func_info"] = [rng.choice((0, 1, 7, 30, 2 ** 31, 2 ** 64 - 1, None, "x")) for _ in range(rng.randrange(9))]
        # Nonsense needs no sense; it has to be a report, though.
        saved, tr.check = tr.check, lambda path: None
        try:
            report(s)
        finally:
            tr.check = saved


LOAD16, LOAD64 = 0xa9, 0xb9     # from an arena, as the verifier marks them
USER, KERN, ARENA_AT = 0x7F00 << 32, 0xFFFFC90000008000, 0x1000
GUESS, BRIDGE = "a guess, by size", ("arena chase: STX-flow path tagged slot as Arena with deferred resolve; "
                                     "bridge had no entry for 0x%x")
SIZE = "arena chase: STX-flow path tagged slot as Arena with deferred resolve; alloc_size=%d fallback unresolved (%s)"


class Allocated(Programs):
    """Fields of u64 in .bss into which memory of an arena is stored.

    fields: {name: bytes that are allocated, None: the program does not say}; structs: (name, bytes)
    of the program's; others: of another program's; at: {name: address}; uses: {name: (instruction that
    reads, offset)}.
    """

    def __init__(self, fields, *structs, others=(), kernel=(("of_kernel", 24),), at={}, uses={}, extra=lambda p: ()):
        super().__init__()
        k, p, other = ktbtf.Btf(), ktbtf.Btf(), ktbtf.Btf()
        for name, size in kernel:
            k.struct(name, size, ("x", k.int("u64", 8), 0))
        for b, wanted in ((p, structs), (other, others)):
            u64 = b.int("u64", 8)
            for name, size in wanted:
                b.struct(name, size, *(("m%d" % i, u64, 8 * i) for i in range(size // 8)))
        u64 = 1
        proto = p.add("", FUNC_PROTO, 1, u64, struct.pack("<II", p.name("bytes"), u64))
        giver = p.add("scx_static_alloc_internal", FUNC, 1, proto)
        main = p.add("main", FUNC, 0, p.add("", FUNC_PROTO, 0, 0))
        more = extra(p)
        where = 8 * len(fields)
        placed = [(n, u64, 8 * i, 8) for i, n in enumerate(fields)]
        data = b"".join(struct.pack("<Q", at.get(n, USER + ARENA_AT + 0x40 * i)) for i, n in enumerate(fields))
        for n, t, b in more:
            placed.append((n, t, where, len(b)))
            data += b
            where += len(b)
        bss = p.datasec(".bss", where, *placed)
        self.add_btf(0, k, "vmlinux", kernel=True)
        self.add_btf(km.BTF_PROG, p)
        if others:
            self.add_btf(km.BTF_OTHER, other)
        self.map("s.bss", 2, 4, where, 1, "array", typed=(0, bss), values_kva=VALUES, stride=where, seen=1, taken=1, mem={VALUES: data})
        self.map("arena", 33, 0, 0, 1000, "arena", seen=1, taken=1, facts={"user_vm_start": USER, "kern_vm_start": KERN, "page_size": 4096},
                 mem={KERN + ARENA_AT: struct.pack("<512Q", *range(512))})
        each = 6
        end = each * len(fields) + 1
        code = []
        for i, (name, size) in enumerate(fields.items()):
            code_of, off = uses.get(name, (0xa1, 0))
            use = insn(code_of, 3, 0, off) if name in uses else insn(0xb7, 0)
            code += [insn(0x79, 1, 10, -8) if size is None else insn(0xb7, 1, imm=size),
                     insn(0x85, src=1, off=1, imm=end - each * i - 2), imm64(2, VALUES), insn(0x7b, 2, 0, 8 * i), use]
        code += [insn(0x95), insn(0xbf, 0, 1), insn(0x95)]
        code = b"".join(code)
        n = len(code) // 8
        self.prog = {"kva": PROG, "id": 7, "name": "init", "type": STRUCT_OPS, "has_stats": False, "attach_btf_id": 0, "member_off": 0}
        self.insns = [{"prog_kva": PROG, "off": o, "data": code[o:o + 64]} for o in range(0, len(code), 64)]
        self.row = {"prog_kva": PROG, "btf_kva": km.BTF_PROG, "call_base": CALL_BASE, "insns": n, "taken": n, "cut": None,
                    "limit": None, "error": None, "func_info": [0, main, end, giver]}
        self.symbols = [{"addr": CALL_BASE + LOOKUP, "name": "bpf_map_lookup_elem+0x0/0x40"}]

    def look(self, *args):
        """{name: (how it is found, its node)}."""
        d = tr.report(stream(self), args=args)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(d, f)
            f.flush()
            r = tr.ktcollect("validate", f.name)
            assert r.returncode == 0, r.stdout
        by = {c["member"]: (c["by"], c["target"], c.get("size")) for c in d["ktdump"]["casts"]}
        bss = next(m for m in d["maps"] if m["name"] == "s.bss")["value"]
        assert all(c["arena"] for c in d["ktdump"]["casts"])
        return {m["name"]: (by.get(m["name"]), m["value"]) for m in bss["members"]}


def shown(node, name, guess=False):
    """The struct is shown, and it is said how it was found."""
    assert node["cast_annotation"] == ("cast→arena" if guess else "cast→arena (sdt_alloc)"), node
    assert node.get("ktdump_label") == (GUESS if guess else None), node
    assert node["deref"]["type_name"] == name, node
    return [m["value"]["value"] for m in node["deref"]["members"]]


def hidden(node, why):
    assert node["cast_annotation"] == "cast→arena" and "deref" not in node, node
    assert node["deref_skipped_reason"] == (why if "%x" not in why else why % node["value"]), node


@test
def sizes():
    """What was allocated is shown when only one struct is so large."""
    for args in (), ("--guess-types",):
        f = Allocated({"a": 24, "b": 40, "c": 16, "d": 24}, ("obj", 24), ("of_kernel", 24), ("other", 40), ("third", 48)).look(*args)
        assert f["a"][0] == f["d"][0] == ("size", "obj", 24) and f["b"][0] == ("size", "other", 40), f
        assert shown(f["a"][1], "obj") == [0, 1, 2] and shown(f["d"][1], "obj") == [24, 25, 26]
        assert shown(f["b"][1], "other") == list(range(8, 13))
        assert f["c"][0] == ("use", None, 16), f["c"]
        hidden(f["c"][1], SIZE % (16, "no candidate of size 16"))
    # What is not there, what is null, and what is no address of the arena.
    f = Allocated({"a": 24, "b": 24, "c": 24}, ("obj", 24), at={"a": USER + 0xF0000000, "b": 0, "c": 1 << 60}).look()
    assert f["a"][1]["deref_skipped_reason"].startswith("arena read failed") and "sdt_alloc" in f["a"][1]["cast_annotation"]
    assert f["b"][1] == {"kind": "ptr", "value": 0, "cast_annotation": "cast→arena"}
    assert "fell outside the arena window" in f["c"][1]["deref_skipped_reason"]


@test
def sizes_unclear():
    """Several structs are so large, or nobody knows which are the kernel's."""
    f = Allocated({"a": 24, "b": None}, ("task_ctx", 24), ("obj", 24)).look()
    assert f["a"][0] == ("use", None, 24) and f["b"][0] == ("use", None, None), f
    hidden(f["a"][1], SIZE % (24, "ambiguous: 2 candidates"))
    hidden(f["b"][1], BRIDGE)
    # One is, but it has no member where there is an access; or one in front of it.
    other = "it is used as something else"
    f = Allocated({"a": 24, "b": 24, "c": 24, "d": None}, ("obj", 24),
                  uses={"a": (LOAD64, 8), "b": (LOAD16, 2), "c": (LOAD64, -8), "d": (LOAD16, 2)}).look("--guess-types")
    assert f["a"][0] == ("size", "obj", 24) and shown(f["a"][1], "obj") == [0, 1, 2], f["a"]
    hidden(f["b"][1], SIZE % (24, other))
    hidden(f["c"][1], SIZE % (24, other))
    hidden(f["d"][1], BRIDGE)
    # Without types that have names the program's own cannot be told from the kernel's.
    f = Allocated({"a": 24}, ("obj", 24), kernel=()).look("--guess-types")
    hidden(f["a"][1], SIZE % (24, "the kernel's types are not known"))


@test
def guesses():
    """Only when asked for, only when there is one answer, and said to be one."""
    f = Allocated({"a": 24, "b": None}, ("task_ctx", 24), ("obj", 24)).look("--guess-types")
    assert f["a"][0] == ("guess", "task_ctx", 24) and f["b"][0] == ("guess", "task_ctx", None), f
    assert shown(f["a"][1], "task_ctx", guess=True) == [0, 1, 2] and shown(f["b"][1], "task_ctx", guess=True) == [8, 9, 10]
    # Two of them, and nothing in their names that would tell.
    f = Allocated({"a": 24, "b": None}, ("one", 24), ("obj", 24)).look("--guess-types")
    assert f["a"][0] == ("use", None, 24) and f["b"][0] == ("use", None, None), f
    hidden(f["a"][1], SIZE % (24, "ambiguous: 2 candidates"))
    hidden(f["b"][1], BRIDGE)
    f = Allocated({"a": 24, "b": None}, ("a_ctx", 24), ("b_ctx", 24)).look("--guess-types")
    hidden(f["a"][1], SIZE % (24, "ambiguous: 2 candidates"))
    hidden(f["b"][1], BRIDGE)
    # Two sizes: what is of neither may be one or the other.
    f = Allocated({"a": 24, "b": 32, "c": None}, ("one", 24), ("two", 32)).look("--guess-types")
    assert f["a"][0] == ("size", "one", 24) and f["b"][0] == ("size", "two", 32) and f["c"][0] == ("use", None, None), f
    hidden(f["c"][1], BRIDGE)
    # Of another program, by its name or as the only one.
    for others in (("far", 24),), (("x_ctx", 24), ("y", 24)):
        made = Allocated({"a": 24, "b": None}, ("small", 8), others=others)
        f = made.look()
        hidden(f["a"][1], SIZE % (24, "no candidate of size 24"))
        hidden(f["b"][1], BRIDGE)
        f = made.look("--guess-types")
        assert f["a"][0] == ("guess", others[0][0], 24), f
        assert shown(f["a"][1], others[0][0], guess=True) == [0, 1, 2] and shown(f["b"][1], others[0][0], guess=True) == [8, 9, 10]


@test
def static_memory():
    """What is not known at least says whose memory it is in."""
    def region(p):
        t = p.struct("scx_static", 24, ("max_alloc_bytes", 1, 0), ("memory", p.ptr(0), 8), ("off", 1, 16))
        return [("pages", t, struct.pack("<QQQ", 4096, USER + ARENA_AT, 0x48)), ("inside", p.ptr(0), struct.pack("<Q", USER + ARENA_AT + 8))]
    f = Allocated({"a": 24, "b": 8, "c": 8}, ("obj", 24), extra=region).look()
    assert "ktdump_label" not in f["a"][1] and f["a"][1]["deref"]["type_name"] == "obj"
    assert f["b"][1]["ktdump_label"] == f["inside"][1]["ktdump_label"] == "in scx_static pages", f
    hidden(f["b"][1], SIZE % (8, "no candidate of size 8"))
    assert f["inside"][1]["deref_skipped_reason"].endswith("chasing a void* requires runtime type info"), f["inside"]
    # Behind what is used of it.
    hidden(f["c"][1], SIZE % (8, "no candidate of size 8"))
    assert "ktdump_label" not in f["c"][1], f["c"]


@test
def many_sizes():
    """More than are looked for: nothing is lost but types."""
    f = Allocated({"f%d" % i: 8 * i + 8 for i in range(300)}, ("obj", 16), ("late", 2400)).look("--guess-types")
    assert shown(f["f1"][1], "obj") == [8, 9] and sum("deref" in n for _, n in f.values()) <= 2
    assert any("too many fields" in n.get("deref_skipped_reason", "") for _, n in f.values())


if __name__ == "__main__":
    sys.exit(tr.main(TESTS))
