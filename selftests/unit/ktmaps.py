# SPDX-License-Identifier: GPL-2.0-only
"""Maps of a guest in Python, one of every type and form, with what they hold.

Map contents as docs/wire.md and shared/wire.h describe them; shares no code with them.
"""
import hashlib
import struct

import ktbtf

BASE = 0xFFFF888010000000
SCHED = 0xFFFF888000001000      # ktwire's
KERN, USER = 0xFFFFC90000000000, 0x7F0000000000
NR_CPUS = 2
PAGE = 4096
BTF_PROG, BTF_SPLIT, BTF_OTHER = (BASE + 0x100 * i for i in range(1, 4))
TASK, CGROUP, INODE, SOCK, INNER, PROG_A, PROG_B, MASK = (BASE + 0x10000 + 0x1000 * i for i in range(8))
KEY_BAD, VALUE_BAD = 1, 2
PIECE = 8000                    # bytes per MEM, RECORD and BLOB row


def pad(b):
    return b + b"\0" * (-len(b) % 8)


def record(*parts, kva=0, flags=0, index=0, extra=0, length=None):
    body = b"".join(map(pad, parts))
    return struct.pack("<QIIII", kva, 24 + len(body) if length is None else length, flags, index, extra) + body


def u32(v):
    return struct.pack("<I", v)


def u64(*v):
    return struct.pack("<%dQ" % len(v), *v)


def per_cpu(values):
    """None: unreadable on that CPU."""
    return [u64(0 if v is None else BASE + 8 * i) + pad(v if v is not None else b"\0" * len(values[0] or values[1]))
            for i, v in enumerate(values)]


# ------------------------------------------------------------------------- types

kernel = ktbtf.Btf()
k_u64 = kernel.int("long unsigned int", 8)
k_u32 = kernel.int("unsigned int", 4)
k_char = kernel.int("char", 1, ktbtf.SIGNED)
k_ptr = kernel.ptr(0)
k_name = kernel.array(k_char, 8, k_u32)
k_ops = kernel.struct("sched_ext_ops", 32, ("select_cpu", k_ptr, 0), ("enqueue", k_ptr, 8), ("flags", k_u64, 16),
                      ("name", k_name, 24))
k_common = kernel.struct("bpf_struct_ops_common_value", 8, ("refcnt", k_u32, 0), ("state", k_u32, 4))
k_wrapper = kernel.struct("bpf_struct_ops_sched_ext_ops", 96, ("common", k_common, 0), ("data", k_ops, 64))
k_words = kernel.array(k_u64, 1, k_u32)
k_cpumask = kernel.struct("cpumask", 8, ("bits", k_words, 0))
k_task = kernel.struct("task_struct", 16, ("pid", k_u32, 0))

prog = ktbtf.Btf()
p_u32 = prog.int("unsigned int", 4)
p_u64 = prog.int("long long unsigned int", 8)
p_int = prog.int("int", 4, ktbtf.SIGNED)
p_char = prog.int("char", 1, ktbtf.SIGNED | ktbtf.CHAR)
p_mask = prog.struct("bpf_cpumask", 16, ("cpumask", prog.array(p_u64, 1, p_u32), 0))
p_fwd = prog.fwd("node")
p_node = prog.ptr(p_fwd)
p_value = prog.struct("value", 24, ("count", p_u64, 0), ("next", p_node, 8), ("mask", prog.ptr(p_mask), 16))
p_pair = prog.struct("pair", 8, ("a", p_u32, 0), ("b", p_int, 4))
p_bss = prog.datasec(".bss", 24, ("head", p_node, 0, 8), ("pair", p_pair, 8, 8), ("total", p_u64, 16, 8))
p_key = prog.struct("lpm_key", 8, ("prefixlen", p_u32, 0), ("data", p_u32, 4))

other = ktbtf.Btf()             # where struct node has its body
o_u64 = other.int("long long unsigned int", 8)
o_node = other.add("node", ktbtf.STRUCT, 2, 16)         # members behind, they point to it
o_ptr = o_node + 1
other.types += struct.pack("<III", other.name("value"), o_u64, 0) + struct.pack("<III", other.name("next"), o_ptr, 64)
other.ptr(o_node)

split = ktbtf.Btf(kernel)
s_own = split.struct("of_module", 8, ("id", k_u32, 0), ("more", k_u32, 4))


# --------------------------------------------------------------------- a snapshot

class Zoo:
    """Rows by table, to be changed before they are sent."""

    def __init__(self):
        self.maps, self.mem, self.records, self.content = [], [], {}, []
        self.facts, self.fields, self.objects, self.btf, self.blobs = [], [], [], [], {}
        self.by_name = {}

    def map(self, name, map_type, key_size, value_size, max_entries, form, **more):
        """Facts and CONTENT columns are among the keywords; kva by order."""
        n = len(self.maps) + 1
        kva = BASE + 0x1000000 + n * 0x100
        facts = more.pop("facts", {})
        content = {c: more.pop(c, None) for c in ("values_kva", "stride", "cut", "limit", "error")}
        content.update({c: more.pop(c, 0) for c in ("seen", "taken", "unreadable", "bytes")})
        data = more.pop("records", None)
        for off, piece in more.pop("mem", {}).items():
            self.mem.append((off, piece))
            content["bytes"] += len(piece)
        typed = more.pop("typed", (0, 0))
        self.maps.append(dict({
            "kva": kva, "id": 100 + n, "name": name, "map_type": map_type, "key_size": key_size,
            "value_size": value_size, "max_entries": max_entries, "map_flags": more.pop("flags", 0), "map_extra": 0,
            "numa_node": -1, "frozen": False, "owner_sched": SCHED, "btf_kva": BTF_PROG if any(typed) else 0,
            "btf_key_type_id": typed[0], "btf_value_type_id": typed[1], "btf_vmlinux_value_type_id": 0}, **more))
        if data is not None:
            self.records[kva] = b"".join(data)
            content["bytes"] += len(self.records[kva])
            if not content["seen"]:
                content["seen"] = content["taken"] = len(data)
        self.content.append(dict({"map_kva": kva, "form": form, "ns": 1000}, **content))
        self.facts += [{"map_kva": kva, "name": k, "value": v} for k, v in facts.items()]
        self.by_name[name] = n - 1
        return kva

    def of(self, name):
        return self.maps[self.by_name[name]], self.content[self.by_name[name]]

    def add_btf(self, kva, btf, name="", kernel=False, split=False, **more):
        blob = btf.blob()
        digest = hashlib.sha256(blob).digest()
        self.btf.append(dict({"kva": kva, "id": len(self.btf) + 1, "name": name, "kernel": kernel, "split": split,
                              "size": len(blob), "hash": digest, "error": None}, **more))
        self.blobs[digest] = blob

    def rows(self):
        """(table, columns, rows), in the order of the wire; OFFER comes behind btf."""
        def pieces(data):
            return [(i, data[i:i + PIECE]) for i in range(0, len(data), PIECE)]
        yield "map", list(self.maps[0]), self.maps
        yield "btf", list(self.btf[0]) if self.btf else ["kva"], self.btf
        yield "blob", ["hash", "off", "data"], [{"hash": h, "off": o, "data": d} for h, b in self.blobs.items() for o, d in pieces(b)]
        yield "mem", ["kva", "data"], [{"kva": k + o, "data": d} for k, m in self.mem for o, d in pieces(m)]
        yield "record", ["map_kva", "off", "data"], [
            {"map_kva": k, "off": o, "data": d} for k, r in self.records.items() for o, d in pieces(r)]
        yield "fact", ["map_kva", "name", "value"], self.facts
        yield "field", ["map_kva", "offset", "size", "type", "btf_kva", "btf_id"], self.fields
        yield "object", ["kva", "kind", "id", "name", "pid", "tgid"], self.objects
        yield "content", list(self.content[0]), self.content

    def send(self, g, nr, rows_frame):
        """Into a ktwire.Guest; no frame is larger than 16 KiB."""
        for table, columns, rows in self.rows():
            g.add(rows_frame, table, [], nr, columns=columns)
            batch, size = [], 0
            for row in rows + [None]:
                n = sum(len(v) if isinstance(v, (bytes, str)) else 9 for v in row.values()) if row else 0
                if batch and (row is None or size + n > 12000):
                    g.add(rows_frame, table, batch, nr, columns=columns, header=False)
                    batch, size = [], 0
                if row:
                    batch.append(row)
                    size += n


def rehash(z, old, blob):
    """Another content for a BTF, with the hash that belongs to it."""
    del z.blobs[old]
    digest = hashlib.sha256(blob).digest()
    z.blobs[digest] = blob
    for row in z.btf:
        if row["hash"] == old:
            row.update(hash=digest)


def value(i, nxt=0, mask=0):
    return u64(i, nxt, mask)


def one(z, name, map_type, records, form="hash", key_size=4, value_size=24, **more):
    return z.map(name, map_type, key_size, value_size, more.pop("max_entries", 64), form, records=records, **more)


def zoo():
    """Every map type, well."""
    z = Zoo()
    z.add_btf(0, kernel, "vmlinux", kernel=True)
    z.add_btf(BTF_PROG, prog)
    z.add_btf(BTF_OTHER, other)
    z.add_btf(BTF_SPLIT, split, "mod", kernel=True, split=True)
    typed = (p_u32, p_value)
    node = USER + 0x2010
    z.mem += [(MASK, u64(0b111))]
    # One page with two nodes in a ring; a page is missing between.
    page = bytearray(PAGE)
    page[0x10:0x20] = u64(5, USER + 0x2020)
    page[0x20:0x30] = u64(6, node)
    z.map("z.bss", 2, 4, 24, 1, "array", typed=(0, p_bss), values_kva=BASE + 0x200000, stride=24, seen=1, taken=1,
          mem={BASE + 0x200000: u64(node) + u32(7) + struct.pack("<i", -7) + u64(8)})
    multi = b"".join(value(i, mask=MASK if i == 2 else 0) for i in range(5))
    z.map("multi", 2, 4, 24, 5, "array", typed=typed, values_kva=BASE + 0x210000, stride=24, seen=5, taken=5,
          mem={BASE + 0x210000: multi})
    z.map("z.rodata.str1.1", 2, 4, 6, 1, "array", values_kva=BASE + 0x220000, stride=8, seen=1, taken=1,
          mem={BASE + 0x220000: b"a\\\n\xff~\0"})
    z.map("untyped", 2, 4, 3, 2, "array", values_kva=BASE + 0x230000, stride=8, seen=2, taken=2,
          mem={BASE + 0x230000: b"\1\2\3\0\0\0\0\0\4\5\6\0\0\0\0\0"})
    for name, t in (("hash", 1), ("lru", 9), ("rhash", 35)):
        one(z, name, t, [record(u32(i), value(i * 10, mask=MASK), kva=BASE + i) for i in range(3)], typed=typed)
    one(z, "hash_untyped", 1, [record(b"abcde", b"0123456789A")], key_size=5, value_size=11)
    one(z, "hash_empty", 1, [], typed=typed)
    one(z, "hash_unread", 1, [record(u32(1), value(1), flags=VALUE_BAD), record(u32(0), value(2), flags=KEY_BAD)],
        typed=typed, seen=2, taken=2, unreadable=2)
    one(z, "lpm", 11, [record(struct.pack("<II", 24, 10), value(1))], key_size=8, typed=(p_key, p_value))
    for name, t in (("task", 29), ("inode", 28), ("sk", 24), ("cgrp", 32)):
        owner = {29: TASK, 28: INODE, 24: SOCK, 32: CGROUP}[t]
        one(z, name, t, [record(u64(owner), value(t)), record(u64(0), value(0))], "storage", typed=typed, max_entries=0)
    one(z, "cgroup_storage", 19, [record(u64(7, 1), value(3))], key_size=16, typed=(0, p_value))
    one(z, "percpu_cgroup", 21, [record(u64(7, 1), *per_cpu([value(1), value(2)]))], "percpu_hash", key_size=16, typed=(0, p_value))
    for name, t in (("percpu_hash", 5), ("lru_percpu", 10)):
        one(z, name, t, [record(u32(4), *per_cpu([value(1), None])), record(u32(5), *per_cpu([value(3), value(4)]))],
            "percpu_hash", typed=typed)
    one(z, "percpu_array", 6, [record(*per_cpu([u32(i), u32(100 + i)]), index=i) for i in range(300)], "percpu_array",
        value_size=4, typed=(p_u32, p_u32), max_entries=300)
    for name, t in (("prog_array", 3), ("perf_event", 4), ("cgroup_array", 8), ("array_of_maps", 12), ("devmap", 14),
                    ("sockmap", 15), ("cpumap", 16), ("xskmap", 17), ("reuseport", 20)):
        one(z, name, t, [record(u64(INNER if t == 12 else PROG_A), index=i, extra=i + 1) for i in (1, 5000)], "slots", value_size=4,
            max_entries=8192, facts={"slots": 8192})
    for name, t in (("hash_of_maps", 13), ("devmap_hash", 25), ("sockhash", 18)):
        one(z, name, t, [record(u32(9), u64(INNER), extra=77), record(u32(10), u64(SOCK))], "slots_hash", value_size=4,
            typed=(p_u32, 0))
    for name, t in (("queue", 22), ("stack", 23)):
        one(z, name, t, [record(value(i)) for i in (7, 8)], "queue", key_size=0, typed=(0, p_value),
            facts={"head": 2, "tail": 0, "size": 65})
    z.map("bloom", 30, 0, 8, 100, "bloom", values_kva=BASE + 0x240000, mem={BASE + 0x240000: b"\x81" + b"\0" * 15}, seen=1, taken=1,
          facts={"bitset_mask": 127, "nr_hash_funcs": 3, "hash_seed": 1, "popcount": 2, "bitset_bytes": 16})
    z.map("insn", 34, 4, 8, 2, "array", values_kva=BASE + 0x250000, stride=8, seen=2, taken=2, typed=(p_u32, p_pair),
          mem={BASE + 0x250000: struct.pack("<IiIi", 1, 2, 3, -4)})
    z.map("ops", 26, 4, 96, 1, "struct_ops", values_kva=BASE + 0x260040, btf_vmlinux_value_type_id=k_wrapper, btf_kva=BTF_PROG,
          btf_value_type_id=p_pair, seen=1, taken=1, mem={BASE + 0x260040: u64(0x1234, 0, 3) + b"zoo\0\0\0\0\0"},
          records=[record(u64(PROG_A), index=0, extra=9), record(u64(PROG_B), index=9, extra=0)], facts={"state": 1, "funcs_cnt": 2})
    ring = u32(5) + u32(1) + b"hello\0\0\0" + u32(8 | 1 << 30) + u32(1) + u64(1) + u32(3 | 1 << 31) + u32(1) + b"xyz\0\0\0\0\0"
    for name, t in (("ringbuf", 27), ("user_ringbuf", 31)):
        at = BASE + 0x270000 + t * 0x1000
        z.map(name, t, 0, 0, 4096, "ringbuf", mem={at: ring}, seen=3, taken=3, bytes=len(ring), facts={
            "mask": 4095, "consumer_pos": 4088, "producer_pos": 4088 + len(ring), "pending_pos": 4088 + 32, "data_kva": at,
            "pending_taken": len(ring)})
    one(z, "stacks", 7, [record(u64(0xFFFFFFFF81000110, 0xFFFFFFFF81003000), index=3, extra=2), record(index=9, extra=127)],
        "stack", value_size=1016, facts={"n_buckets": 64})
    one(z, "build_ids", 7, [record(b"\1" * 32, index=3, extra=1)], "stack", value_size=4064, flags=1 << 5, facts={"n_buckets": 64})
    z.map("arena", 33, 0, 0, 100, "arena", seen=2, taken=2, mem={KERN + 0x2000: bytes(page), KERN + 0x5000: b"\7" * PAGE}, facts={
        "user_vm_start": USER, "user_vm_end": USER + 100 * PAGE, "kern_vm_start": KERN, "declared_pages": 100,
        "populated_pages": 2, "page_size": PAGE})
    one(z, "of_module", 1, [record(u32(1), u32(2) + u32(3))], value_size=8, typed=(k_u32, s_own), btf_kva=BTF_SPLIT)
    one(z, "no_btf_kva", 1, [record(u32(1), u64(2))], value_size=8, typed=(k_u32, k_u64), btf_kva=0)
    one(z, "linked", 1, [record(u32(1), value(1, nxt=node))], typed=typed)
    one(z, "kptr", 1, [record(u32(1), u64(TASK, 0, 0))], typed=(p_u32, p_value))
    one(z, "foreign", 1, [record(u32(1), value(1))], typed=typed, owner_sched=0)
    one(z, "probe_bp.bss", 1, [record(u32(1), value(1))], typed=typed, owner_sched=0)
    one(z, "probe_data", 1, [record(u32(1), value(1))], typed=typed)
    z.fields.append({"map_kva": z.of("kptr")[0]["kva"], "offset": 0, "size": 8, "type": 8, "btf_kva": 0, "btf_id": k_task})
    for kva, kind, number, name in ((TASK, "task", None, "worker/0"), (CGROUP, "cgroup", 42, "/zoo"), (INODE, "inode", 99, ""),
                                    (SOCK, "sock", None, "TCP"), (INNER, "map", 77, "inner"), (PROG_A, "prog", 9, "zoo_enqueue")):
        z.objects.append({"kva": kva, "kind": kind, "id": number, "name": name, "pid": 100 if kind == "task" else None,
                          "tgid": 100 if kind == "task" else None})
    return z
