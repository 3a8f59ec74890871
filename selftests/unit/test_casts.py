#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Instructions on the wire: python3 test_casts.py PATH/TO/ktcollect [NAME]...

A program that keeps a task and a value of another map in fields of u64, whole and
broken, given to ktcollect. Prints KTAP.
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


class Sample(km.Zoo):
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

    def rows(self):
        yield from super().rows()
        yield "insn", ["prog_kva", "off", "data"], self.insns
        yield "code", list(self.row), [self.row]
        yield "symbol", ["addr", "name"], self.symbols


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
    for _ in range(150):
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


if __name__ == "__main__":
    sys.exit(tr.main(TESTS))
