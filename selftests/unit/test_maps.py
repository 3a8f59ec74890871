#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Maps in reports: python3 test_maps.py PATH/TO/ktcollect [NAME]...

The zoo of ktmaps.py, whole and broken, given to ktcollect. Prints KTAP.
"""
import os
import random
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ktmaps as km  # noqa: E402
import ktwire as kw  # noqa: E402
import test_reports as tr  # noqa: E402

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def stream(z, end=True, frames=None):
    g = kw.Guest()
    g.begin(1)
    g.add(kw.ROWS, "sched", [dict(tr.SCHED, kva=kw.SCHED, name="zoo")], 1)
    g.add(kw.ROWS, "prog", [dict(tr.PROG, id=9, name="zoo_enqueue")], 1)
    g.add(kw.ROWS, "enum", tr.enums(btf_field_type=[("BPF_KPTR_REF", 8)], bpf_struct_ops_state=[("BPF_STRUCT_OPS_STATE_INUSE", 1)]), 1)
    z.send(g, 1, kw.ROWS)
    if frames is not None:
        g.frames = g.frames[:frames]
    elif end:
        g.end(1)
    return g.stream()


def report(z, **kw_args):
    return tr.report(stream(z, **kw_args))


def maps(d):
    return {m["name"]: m for m in d["maps"]}


def side_by_side(*several):
    """The maps in one report; btf of the zoo."""
    z = km.Zoo()
    z.btf, z.blobs = WHOLE.btf, WHOLE.blobs
    z.objects, z.mem = WHOLE.objects, [(km.MASK, km.u64(7))]
    for args, kw_args in several:
        z.map(*args, **kw_args)
    found = report(z)["maps"]
    assert len(found) == len(several)
    return found


def alone(*args, **kw_args):
    return side_by_side((args, kw_args))[0]


def plain(n):
    """A node as Python value."""
    kind = n["kind"]
    if kind == "struct":
        return {m["name"]: plain(m["value"]) for m in n["members"]}
    if kind == "array":
        return [plain(e) for e in n["elements"]]
    if kind == "ptr":
        return plain(n["deref"]) if "deref" in n else n["value"]
    if kind == "truncated":
        return (n["had"], n["needed"], plain(n["partial"]))
    return n.get("value", n.get("cpus", n.get("hex", n.get("reason"))))


def error(name, change):
    """The error of a map of the zoo after a change of its row and its CONTENT row."""
    z = km.zoo()
    row, content = z.of(name)
    change(row, content, z)
    return maps(report(z))[name].get("error")


WHOLE = km.zoo()
CONTENT = ("value", "entries", "percpu_entries", "percpu_hash_entries", "arena", "ringbuf", "stack_trace", "fd_array")
FORM = {
    "z.bss": "value", "multi": "value", "z.rodata.str1.1": "value", "untyped": "value", "insn": "value", "ops": "value",
    "hash": "entries", "lru": "entries", "rhash": "entries", "hash_untyped": "entries", "hash_empty": None,
    "hash_unread": "entries", "lpm": "entries", "task": "entries", "inode": "entries", "sk": "entries", "cgrp": "entries",
    "cgroup_storage": "entries", "percpu_cgroup": "percpu_hash_entries", "percpu_hash": "percpu_hash_entries",
    "lru_percpu": "percpu_hash_entries", "percpu_array": "percpu_entries", "prog_array": "fd_array", "perf_event": "fd_array",
    "cgroup_array": "fd_array", "array_of_maps": "fd_array", "devmap": "fd_array", "sockmap": "fd_array", "cpumap": "fd_array",
    "xskmap": "fd_array", "reuseport": "fd_array", "hash_of_maps": "entries", "devmap_hash": "fd_array", "sockhash": "fd_array",
    "queue": "entries", "stack": "entries", "bloom": None, "ringbuf": "ringbuf", "user_ringbuf": "ringbuf",
    "stacks": "stack_trace", "build_ids": "stack_trace", "arena": "arena", "of_module": "entries", "no_btf_kva": "entries",
    "linked": "entries", "kptr": "entries", "foreign": "entries", "probe_data": "entries"}
ERRORS = {
    "multi": "multi-entry ARRAY: only key 0 of 5 shown", "untyped": "multi-entry ARRAY: only key 0 of 2 shown",
    "hash_unread": "2 elements unreadable", "hash_of_maps": "1 inner maps without an id",
    "bloom": "BLOOM_FILTER is a probabilistic set; no key enumeration is possible"}


@test
def every_type_has_its_form():
    d = report(km.zoo())
    assert {m["name"] for m in d["maps"]} == set(FORM) and len(d["maps"]) == len(FORM)
    assert [m["map_kva"] for m in d["maps"]] == sorted(m["map_kva"] for m in d["maps"])     # by id
    assert {m["map_type"] for m in d["maps"]} == set(range(1, 36))
    for m in d["maps"]:
        assert [k for k in CONTENT if k in m] == [k for k in [FORM[m["name"]]] if k], m
        assert m.get("error") == ERRORS.get(m["name"]), m
    assert d["ktdump"]["maps_left_out"] == 1
    assert [m["name"] for m in d["ktdump"]["maps"] if m.get("left_out")] == ["probe_bp.bss"]


@test
def arrays():
    m = maps(report(km.zoo()))
    assert plain(m["z.bss"]["value"]) == {"head": {"value": 5, "next": {"value": 6, "next": km.USER + 0x2010}},
                                          "pair": {"a": 7, "b": -7}, "total": 8}
    assert m["z.bss"]["value"]["type_name"] == ".bss" and "array_entries" not in m["z.bss"]
    assert [(e["key"], plain(e["value"])["count"]) for e in m["multi"]["array_entries"]] == [(i, i) for i in range(5)]
    assert m["multi"]["value"] == m["multi"]["array_entries"][0]["value"]
    assert plain(m["multi"]["array_entries"][2]["value"])["mask"] == "0-1"      # CPUs that are possible
    assert m["z.rodata.str1.1"]["value"] == {"kind": "bytes", "hex": "a\\\\x0a\\xff~\\x00"}
    assert [plain(e["value"]) for e in m["untyped"]["array_entries"]] == ["01 02 03", "04 05 06"]
    assert [plain(e["value"]) for e in m["insn"]["array_entries"]] == [{"a": 1, "b": 2}, {"a": 3, "b": -4}]


@test
def hashes():
    m = maps(report(km.zoo()))
    for name in ("hash", "lru", "rhash"):
        e = m[name]["entries"]
        assert [(plain(x["key"]), plain(x["value"])["count"]) for x in e] == [(0, 0), (1, 10), (2, 20)]
        assert list(e[0]) == ["key", "key_hex", "value", "value_hex"]
        assert e[1]["value_hex"] == km.value(10, mask=km.MASK).hex(" ")
    assert m["hash_untyped"]["entries"] == [{"key_hex": b"abcde".hex(" "), "value_hex": b"0123456789A".hex(" ")}]
    bad_value, bad_key = m["hash_unread"]["entries"]
    assert bad_value["value"]["kind"] == "unsupported" and bad_value["value_hex"] == "" and plain(bad_value["key"]) == 1
    assert bad_key["key"]["kind"] == "unsupported" and bad_key["key_hex"] == "" and plain(bad_key["value"])["count"] == 2
    assert plain(m["lpm"]["entries"][0]["key"]) == {"prefixlen": 24, "data": 10}
    assert m["cgroup_storage"]["entries"][0]["key_hex"] == km.u64(7, 1).hex(" ")
    assert [plain(e["value"])["count"] for e in m["queue"]["entries"]] == [7, 8]
    assert [e["key_hex"] for e in m["queue"]["entries"]] == ["", ""]
    outer = m["hash_of_maps"]["entries"]
    assert plain(outer[0]["value"]) == 77 and outer[0]["value_hex"] == "4d 00 00 00" and outer[0]["object"]["name"] == "inner"
    assert outer[1]["value"]["kind"] == "unsupported"


@test
def per_cpu():
    m = maps(report(km.zoo()))
    e = m["percpu_hash"]["percpu_hash_entries"]
    assert plain(e[0]["per_cpu"][0])["count"] == 1 and e[0]["per_cpu"][1] is None
    assert [plain(v)["count"] for v in e[1]["per_cpu"]] == [3, 4]
    e = m["percpu_array"]["percpu_entries"]
    assert [x["key"] for x in e] == list(range(300)) and [plain(v) for v in e[299]["per_cpu"]] == [299, 399]
    assert [plain(v)["count"] for v in m["percpu_cgroup"]["percpu_hash_entries"][0]["per_cpu"]] == [1, 2]


@test
def storages():
    m = maps(report(km.zoo()))
    labels = {"task": "task 100 worker/0", "inode": "inode 99", "sk": "sock TCP", "cgrp": "cgroup 42 /zoo"}
    for name, label in labels.items():
        first, orphan = m[name]["entries"]
        assert first["key"]["kind"] == "ptr" and first["key"]["ktdump_label"] == label, first
        assert first["key_hex"] == km.u64(first["key"]["value"]).hex(" ")
        assert plain(first["value"])["count"] == m[name]["map_type"]
        assert orphan["key"] == {"kind": "ptr", "value": 0}
    # A value without a type is bytes, never absent.
    m = alone("s", 29, 4, 4, 0, "storage", records=[km.record(km.u64(km.TASK), km.u32(3))])
    assert m["entries"][0]["value"] == {"kind": "bytes", "hex": "03 00 00 00"}


@test
def slots():
    m = maps(report(km.zoo()))
    for name in ("perf_event", "cgroup_array", "sockmap", "cpumap", "xskmap", "reuseport"):
        f = m[name]["fd_array"]
        assert (f["populated"], f["scanned"], f["indices"]) == (2, 8192, [1, 5000]), f
        assert [s["index"] for s in f["slots"]] == [1, 5000] and f["slots"][0]["kva"] == km.PROG_A
        assert not set(f) & {"truncated", "indices_truncated"}
    assert [s["prog_id"] for s in m["prog_array"]["fd_array"]["slots"]] == [2, 5001]
    assert m["prog_array"]["fd_array"]["slots"][0]["object"] == {"kind": "prog", "name": "zoo_enqueue", "id": 9}
    assert [s["map_id"] for s in m["array_of_maps"]["fd_array"]["slots"]] == [2, 5001]
    assert [s["ifindex"] for s in m["devmap"]["fd_array"]["slots"]] == [2, 5001]
    f = m["devmap_hash"]["fd_array"]
    assert f["populated"] == f["scanned"] == 2 and "indices" not in f
    assert [(plain(s["key"]), s.get("ifindex")) for s in f["slots"]] == [(9, 77), (10, None)]
    assert m["sockhash"]["fd_array"]["slots"][1]["object"]["kind"] == "sock"
    # The guest took some and counted on.
    m = alone("p", 3, 4, 4, 8192, "slots", records=[km.record(km.u64(1), index=i) for i in (3, 4)], seen=100, taken=2, cut="entries",
              limit=2, facts={"slots": 8192})
    assert {k: m["fd_array"][k] for k in ("populated", "scanned", "indices", "truncated", "indices_truncated")} == {
        "populated": 100, "scanned": 8192, "indices": [3, 4], "truncated": True, "indices_truncated": True}
    assert m["error"] == "cut: limit of 2 entries, 2 of 100 elements taken"


@test
def struct_ops():
    m = maps(report(km.zoo()))["ops"]
    assert m["value"]["type_name"] == "sched_ext_ops"
    assert plain(m["value"]) == {"select_cpu": 0x1234, "enqueue": 0, "flags": 3, "name": [122, 111, 111, 0, 0, 0, 0, 0]}
    assert m["struct_ops"] == {"state": 1, "state_name": "BPF_STRUCT_OPS_STATE_INUSE", "links": [
        {"member": 0, "name": "select_cpu", "kva": km.PROG_A, "prog_id": 9, "prog": "zoo_enqueue"},
        {"member": 9, "kva": km.PROG_B}]}
    assert error("ops", lambda r, c, z: c.update(values_kva=1)).startswith("STRUCT_OPS value unreadable: value region unmapped.")
    assert error("ops", lambda r, c, z: r.update(btf_vmlinux_value_type_id=km.k_u64)) == \
        "shown as bytes: its wrapper type has no member data"
    assert error("ops", lambda r, c, z: c.update(form=None)).startswith("STRUCT_OPS value unreadable: bpf_struct_ops_map BTF")


@test
def ringbufs():
    d = maps(report(km.zoo()))
    for name in ("ringbuf", "user_ringbuf"):
        assert d[name]["ringbuf"] == {"capacity": 4096, "consumer_pos": 4088, "producer_pos": 4136, "pending_pos": 4120,
                                      "pending_bytes": 48}
        assert d[name]["ringbuf_records"] == [
            {"pos": 4088, "len": 5, "hex": b"hello".hex(" ")}, {"pos": 4104, "len": 8, "discarded": True, "hex": km.u64(1).hex(" ")},
            {"pos": 4120, "len": 3, "busy": True, "hex": b"xyz".hex(" ")}]

    def without(fact, value=None):
        def change(row, content, z):
            z.facts = [f for f in z.facts if f["name"] != fact or f["map_kva"] != row["kva"]]
            if value is not None:
                z.facts.append({"map_kva": row["kva"], "name": fact, "value": value})
        return error("ringbuf", change)
    assert without("mask") == "RINGBUF rb->mask unmapped during freeze (rb pointer torn or unmapped)"
    assert without("consumer_pos") == "RINGBUF rb->consumer_pos unmapped (consumer page absent)"
    assert without("producer_pos") == "RINGBUF rb->producer_pos unmapped (producer page absent)"
    assert without("pending_pos") == "RINGBUF rb->pending_pos unmapped (producer page absent)"
    assert without("mask", 2 ** 64 - 1).startswith("RINGBUF rb->mask = u64::MAX")
    assert error("ringbuf", lambda r, c, z: c.update(form=None)).startswith("RINGBUF state unreadable: BTF lacks")
    # The guest's own words come once.
    text = "RINGBUF rb pointer NULL: bpf_ringbuf_alloc failed at map create time (out of memory or numa mismatch); " \
        "the map exists but has no backing ring data area"

    def null(row, content, z):
        content.update(error=text)
        z.facts = [f for f in z.facts if f["map_kva"] != row["kva"]]
    assert error("ringbuf", null) == text
    # Records that say they are longer than what is there, and one of nothing.
    at = km.BASE + 0x500000
    facts = {"mask": 4095, "consumer_pos": 0, "producer_pos": 24, "pending_pos": 0, "data_kva": at, "pending_taken": 24}
    for size in (100, 2 ** 30 - 1):
        m = alone("r", 27, 0, 0, 4096, "ringbuf", mem={at: struct.pack("<II", 2 ** 31 | size, 0) + b"x" * 16}, facts=facts, seen=24, taken=24)
        assert m["ringbuf_records"] == [{"pos": 0, "len": size, "busy": True, "hex": (b"x" * 16).hex(" "), "truncated": True}]
    m = alone("r", 27, 0, 0, 4096, "ringbuf", mem={at: b"\0" * 24}, facts=facts, seen=24, taken=24)
    assert [r["len"] for r in m["ringbuf_records"]] == [0, 0, 0]
    # Overwrite mode: the oldest that is left.
    m = alone("r", 27, 0, 0, 4096, "ringbuf", mem={at: km.u32(4) + km.u32(0) + b"abcd\0\0\0\0"}, seen=16, taken=16, facts=dict(
        facts, producer_pos=8016, overwrite_pos=8000, overwrite_mode=1, pending_taken=16))
    assert m["ringbuf_records"] == [{"pos": 8000, "len": 4, "hex": b"abcd".hex(" ")}]


@test
def stacks():
    m = maps(report(km.zoo()))
    s = m["stacks"]["stack_trace"]
    assert s["n_buckets"] == 64 and s["truncated"] is True
    assert s["entries"][0] == {"bucket_id": 3, "nr": 2, "pcs": [0xFFFFFFFF81000110, 0xFFFFFFFF81003000],
                               "data_hex": km.u64(0xFFFFFFFF81000110, 0xFFFFFFFF81003000).hex(" ")}
    assert s["entries"][1] == {"bucket_id": 9, "nr": 127, "data_hex": ""}
    assert m["build_ids"]["stack_trace"] == {"n_buckets": 64, "entries": [{"bucket_id": 3, "nr": 1, "data_hex": (b"\1" * 32).hex(" ")}]}
    assert error("stacks", lambda r, c, z: c.update(form=None)).startswith("STACK_TRACE bucket array unreadable: BTF lacks")


@test
def arenas():
    m = maps(report(km.zoo()))
    a = m["arena"]["arena"]
    assert [(p["user_addr"] - km.USER, len(p["bytes"])) for p in a["pages"]] == [(0x2000, 4096), (0x5000, 4096)]
    assert a["pages"][1]["bytes"] == [7] * 4096 and a["pages"][0]["bytes"][0x10] == 5
    assert {k: a[k] for k in a if k != "pages"} == {
        "declared_pages": 100, "kern_vm_start": km.KERN, "user_vm_start": km.USER, "user_vm_end": km.USER + 100 * 4096,
        "populated_pages": 2, "page_size": 4096}
    # Pointers into it, by types of two programs, round in a circle.
    node = plain(m["linked"]["entries"][0]["value"])["next"]
    assert node == {"value": 5, "next": {"value": 6, "next": km.USER + 0x2010}}, node
    facts = {"user_vm_start": km.USER + 0xFFFFF000, "kern_vm_start": km.KERN, "page_size": 4096}
    # A start that is not a multiple of 4 GiB: lower halves are equal all the same.
    m = alone("a", 33, 0, 0, 2 ** 21, "arena", facts=facts, seen=2, taken=2, mem={km.KERN + 0xFFFFF000: b"a" * 4096, km.KERN: b"b" * 4096},
              cut="bytes", limit=8192)
    assert [(p["user_addr"], p["bytes"][0]) for p in m["arena"]["pages"]] == [
        (km.USER + 0xFFFFF000, 97), (km.USER + 2 ** 32, 98)]
    assert m["arena"]["truncated"] and m["arena"]["span_capped"] and m["arena"]["declared_pages"] == 2 ** 20
    assert m["error"] == "cut: limit of 8192 bytes, 2 of 2 elements taken"
    m = alone("a", 33, 0, 0, 4, None, facts={})
    assert "arena" not in m and m["error"] == "arena BTF offsets unavailable (kernel lacks struct bpf_arena?)"


@test
def sdt_alloc():
    d = report(km.zoo())
    assert d["sdt_alloc_unavailable"] == "scheduler BTF does not declare struct scx_allocator"
    z = km.zoo()
    z.facts = [f for f in z.facts if f["name"] != "kern_vm_start"]
    assert report(z)["sdt_alloc_unavailable"] == "no arena map captured (kern_vm_start unavailable)"


@test
def special_fields():
    d = report(km.zoo())
    row = [m for m in d["ktdump"]["maps"] if m["name"] == "kptr"][0]
    assert row["fields"] == [{"offset": 0, "size": 8, "type": 8, "btf_kva": 0, "btf_id": km.k_task, "type_name": "BPF_KPTR_REF",
                              "target": "task_struct"}], row["fields"]
    assert maps(d)["of_module"]["entries"][0]["value"]["type_name"] == "of_module"      # split BTF
    assert plain(maps(d)["no_btf_kva"]["entries"][0]["value"]) == 2                       # the kernel's


@test
def details():
    d = report(km.zoo())
    rows = {m["name"]: m for m in d["ktdump"]["maps"]}
    r = rows["hash"]
    assert r["map_type_name"] == "hash" and r["owner_sched_name"] == "zoo" and "owner_sched_name" not in rows["foreign"]
    assert r["content"]["form"] == "hash" and (r["content"]["seen"], r["content"]["taken"]) == (3, 3)
    assert r["btf"]["id"] == 2 and r["btf"]["name"] == "" and len(r["btf"]["hash"]) == 95
    assert rows["ops"]["btf"]["name"] == "vmlinux" and "btf" not in rows["hash_untyped"]
    assert {"name": "n_buckets", "value": 64} in rows["stacks"]["facts"]
    assert (rows["rhash"]["map_type_name"], rows["insn"]["map_type_name"]) == ("rhash", "insn_array")
    b = d["ktdump"]["btf"]
    assert [(x["name"], x["source"]) for x in b] == [("vmlinux", "stream"), ("", "stream"), ("", "stream"), ("mod", "stream")]


@test
def view():
    _, text = tr.report(stream(km.zoo()), text=True)
    part = text.split("\nMaps\n")[1].split("\n\n")[0].splitlines()
    assert part[0].split() == "z.bss array 1 of 1 24 B".split(), part[0]
    assert part[-2:] == ["  … and 23 more", "  2 maps of others"] and len(part) == 26, part
    z = km.zoo()
    z.of("hash")[1].update(cut="entries", limit=3, seen=9)
    _, text = tr.report(stream(z), text=True)
    assert "CUT: entries" in text.split("\nMaps\n")[1], text


# ------------------------------------------------------------ what is not there

@test
def cuts():
    def cut(name, **more):
        return error(name, lambda r, c, z: c.update(more))
    assert cut("hash", cut="entries", limit=4096, seen=5000, taken=4096) == "hash map truncated at 4096 entries"
    assert cut("percpu_hash", cut="entries", limit=4096, seen=5000, taken=4096) == "percpu hash map truncated at 4096 entries"
    assert cut("task", cut="entries", limit=4096, seen=5000, taken=4096) == "local_storage map truncated at 4096 entries"
    assert error("percpu_array", lambda r, c, z: (r.update(max_entries=999), c.update(cut="entries", limit=256, taken=300, seen=999))) == \
        "PERCPU_ARRAY truncated at 256 keys (max_entries=999)"
    assert cut("hash", cut="entries", limit=3, seen=9) == "cut: limit of 3 entries, 3 of 9 elements taken"
    assert cut("hash", cut="deadline", limit=500, seen=9) == "cut: deadline after 500 us, 3 of 9 elements taken"
    assert cut("hash", form=None, cut="deadline", limit=0) == "cut: the deadline came before this map, nothing taken"
    assert cut("lru", cut="full", seen=9) == "cut: no room in the guest's buffer, 3 of 9 elements taken"
    assert cut("lru", cut="loop", seen=9) == "cut: its list goes round in a circle, 3 of 9 elements taken"
    assert cut("multi", cut="bytes", limit=10) == "cut: limit of 10 bytes, 5 of 5 elements taken; multi-entry ARRAY: only key 0 of 5 shown"
    assert cut("hash", error="what the guest says") == "what the guest says"
    assert cut("hash", form=None, error="no such struct") == "no such struct"
    assert cut("hash", form=None) == "contents not captured"
    assert cut("hash", form="of another time") == "content of a form that this version does not know"
    assert error("hash", lambda r, c, z: (r.update(map_type=99), c.update(form=None))) == \
        "unknown map_type 99 (kernel newer than dump renderer; update render_map dispatch)"
    assert cut("cgroup_storage", form=None) == "deprecated cgroup-attached storage; use CGRP_STORAGE on newer kernels"
    assert cut("z.bss", values_kva=5) == "ARRAY value region unreadable (unmapped page?)"
    assert cut("multi", unreadable=3, taken=2).endswith("; 3 keys unreadable")


@test
def many_entries():
    m = alone("big", 1, 4, 8, 16384, "hash", typed=(km.p_u32, km.p_u64),
              records=[km.record(km.u32(i), km.u64(i * i)) for i in range(10000)])
    assert "error" not in m and len(m["entries"]) == 10000
    assert all(plain(e["value"]) == plain(e["key"]) ** 2 for e in m["entries"])


@test
def gaps():
    at = km.BASE + 0x600000
    m = alone("g", 2, 4, 24, 4, "array", typed=(0, km.p_value), values_kva=at, stride=24, seen=4, taken=2, unreadable=2,
              mem={at: km.value(1) + b"\1\0\0\0", at + 72: km.value(4)})
    assert [(e["key"], e["value"]["kind"]) for e in m["array_entries"]] == [(0, "struct"), (1, "truncated"), (3, "struct")], m
    # One value with its end missing, typed and not.
    for typed in ((0, km.p_value), (0, 0)):
        m = alone("v", 2, 4, 24, 1, "array", typed=typed, values_kva=at, stride=24, seen=1, taken=1, mem={at: km.u64(1, 2)})
        assert m["value"]["kind"] == "truncated" and m["value"]["had"] == 16 and m["value"]["needed"] == 24, m
        assert m["error"] == "only the first 16 of 24 bytes were captured"
    # Of a section of variables those that are there.
    m = alone("v", 2, 4, 24, 1, "array", typed=(0, km.p_bss), values_kva=at, stride=24, seen=1, taken=1, mem={at: km.u64(1, 2)})
    assert plain(m["value"]) == {"head": 1, "pair": {"a": 2, "b": 0}, "total": (0, 8, "")}, m
    # Strides and sizes that lead nowhere.
    for change in ({"stride": 0}, {"stride": 2 ** 63}, {"values_kva": 2 ** 64 - 8}, {"values_kva": 0}):
        m = alone("v", 2, 4, 8, 2 ** 32 - 1, "array", **dict(dict(values_kva=at, stride=8), **change), seen=1, taken=1)
        assert "array_entries" not in m and m["error"], m
    m = alone("l", 2, 4, 8, 3, "array", values_kva=at, stride=8, seen=3, taken=3, mem={at: km.u64(1), at + 16: km.u64(3)})
    assert [e["key"] for e in m["array_entries"]] == [0, 2]
    top = 2 ** 64 - 100
    m2 = alone("t", 2, 4, 8, 2, "array", values_kva=top, stride=60, seen=2, taken=2, mem={top: b"1" * 99})
    assert [e["key"] for e in m2["array_entries"]] == [0, 1]
    assert m["error"] == "not all keys are there; multi-entry ARRAY: only key 0 of 3 shown"
    m = alone("v", 2, 4, 2 ** 32 - 1, 2 ** 32 - 1, "array", values_kva=at, stride=2 ** 32 - 1, mem={at: b"12345678"}, seen=1, taken=1)
    assert m["value"]["had"] == 8 and m["value"]["needed"] == 2 ** 32 - 1


@test
def broken_btf():
    def changed(change):
        z = km.zoo()
        change(z)
        d = report(z)
        return maps(d), d["ktdump"]["btf"]

    def drop(z):
        del z.blobs[z.btf[1]["hash"]]
    m, b = changed(drop)
    assert m["hash"]["error"] == "shown as bytes: BTF not there: the guest did not send it"
    assert "key" not in m["hash"]["entries"][0] and m["z.bss"]["value"]["kind"] == "bytes"
    assert b[1]["missing"] == "the guest did not send it" and "source" not in b[1]
    # Never the kernel's instead; the others are still there.
    assert m["ops"]["value"]["type_name"] == "sched_ext_ops" and plain(m["of_module"]["entries"][0]["value"]) == {"id": 2, "more": 3}
    m, b = changed(lambda z: z.btf[1].update(hash=None, error="larger than the limit"))
    assert m["hash"]["error"] == "shown as bytes: BTF not captured: larger than the limit" and b[1]["missing"] == "not captured"
    m, _ = changed(lambda z: z.blobs.pop(z.btf[0]["hash"]))
    assert m["ops"]["value"]["kind"] == "bytes" and m["ops"]["struct_ops"]["links"][0] == {
        "member": 0, "kva": km.PROG_A, "prog_id": 9, "prog": "zoo_enqueue"}
    assert m["of_module"]["error"].startswith("shown as bytes: BTF needs the kernel's")
    assert "error" not in m["hash"]
    m, _ = changed(lambda z: z.of("hash")[0].update(btf_kva=77))
    assert m["hash"]["error"] == "shown as bytes: the guest does not know this BTF"
    # Without the BTF that has the body, the pointer stays a number.
    m, _ = changed(lambda z: z.blobs.pop(z.btf[2]["hash"]))
    assert plain(m["linked"]["entries"][0]["value"])["next"] == km.USER + 0x2010


@test
def ids_out_of_range():
    for i in (2 ** 32 - 1, 2 ** 32, 2 ** 64 - 1, 1000):
        def change(row, content, z, i=i):
            row.update(btf_key_type_id=i, btf_value_type_id=i)
        z = km.zoo()
        for name in ("hash", "z.bss", "percpu_hash", "task", "ops"):
            change(*z.of(name), z)
        z.of("ops")[0].update(btf_vmlinux_value_type_id=i)
        z.fields[0].update(btf_id=i, offset=i)
        m = maps(report(z))
        e = m["hash"]["entries"][0]
        assert e["value_hex"] == km.value(0, mask=km.MASK).hex(" ")
        assert "value" not in e if i >= 2 ** 32 else e["value"]["kind"] == "unsupported", e


@test
def broken_records():
    ok = km.record(km.u32(1), km.u64(5))
    header = len(km.record())

    def hash_map(*records):
        return ("h", 1, 4, 8, 8, "hash"), dict(typed=(km.p_u32, km.p_u64), records=records)

    def hash_of(*records):
        return side_by_side(hash_map(*records))[0]
    m = hash_of(ok, km.record(km.u32(2)), km.record(), ok)
    assert [plain(e["value"]) for e in m["entries"]] == [5, (0, 8, ""), 5], m
    assert m["error"] == "2 records are not what they should be"
    for m in side_by_side(*(hash_map(ok, km.record(km.u32(2), km.u64(6), length=length), ok)
                            for length in (0, 1, header - 1, header + 4, 2 ** 31, 2 ** 32 - 1))):
        assert plain(m["entries"][0]["value"]) == 5 and m["error"], m
    # The stream ends within a record.
    whole = km.record(km.u32(2), km.u64(6))
    for n, m in enumerate(side_by_side(*(hash_map(ok, whole[:n]) for n in range(1, len(whole)))), 1):
        assert len(m["entries"]) == 1 and m["error"], (n, m)
    # Sizes in the map's row that the records do not have.
    for key_size, value_size in ((4, 2 ** 32 - 1), (2 ** 32 - 1, 8), (2 ** 32 - 8, 2 ** 32 - 8), (0, 0), (2 ** 32, 8)):
        side_by_side(*((("x", map_type, key_size, value_size, 8, form), dict(
            records=[ok, km.record(), km.record(b"1" * 100, index=9, extra=10)], typed=(km.p_u32, km.p_value), values_kva=km.MASK, stride=8))
            for map_type, form in ((1, "hash"), (5, "percpu_hash"), (6, "percpu_array"), (29, "storage"), (22, "queue"), (7, "stack"),
                                   (3, "slots"), (25, "slots_hash"), (13, "slots_hash"), (26, "struct_ops"), (33, "arena"), (2, "array"))))


@test
def broken_rows():
    def changed(change):
        z = km.zoo()
        change(z)
        return report(z)
    # A content for two maps, two contents for one, rows of one map twice.
    d = changed(lambda z: z.maps.append(dict(z.of("hash")[0], id=9999, name="again")))
    assert maps(d)["again"]["error"] == "contents not shown: its address is another map's"
    d = changed(lambda z: z.content.append(dict(z.of("hash")[1], form="stack")))
    assert len(maps(d)["hash"]["entries"]) == 3
    d = changed(lambda z: z.of("hash")[0].update(kva=None))
    assert maps(d)["hash"]["error"] == "contents not shown: its address is not known"
    d = changed(lambda z: z.content.remove(z.of("hash")[1]))
    assert maps(d)["hash"]["error"] == "contents not captured"
    # Many maps over the same memory cost no more than a few times what was captured.
    z = km.Zoo()
    at = km.BASE + 0x700000
    z.btf, z.blobs, z.mem = WHOLE.btf, WHOLE.blobs, [(at, b"\1" * 1000000)]
    for i in range(400):
        z.map("same", 2, 4, 1000000, 1, "array", values_kva=at, stride=1000000, seen=1, taken=1)
    out = [m for m in report(z)["maps"] if "value" in m]
    assert 2 <= len(out) <= 10, len(out)


@test
def form_and_type_at_odds():
    forms = ["array", "struct_ops", "arena", "ringbuf", "bloom", "hash", "percpu_hash", "percpu_array", "storage", "slots", "slots_hash",
             "stack", "queue", "", "x" * 300]
    z = km.zoo()
    for i, (row, content) in enumerate(zip(z.maps, z.content)):
        content["form"] = forms[i % len(forms)]
    report_without_check(z)
    for row, content in zip(z.maps, z.content):
        row["map_type"] = (row["map_type"] * 7 + 3) % 40
    report_without_check(z)


def report_without_check(z, **kw_args):
    """Nonsense needs no sense; it has to be a report, though."""
    saved, tr.check = tr.check, lambda path: None
    try:
        return report(z, **kw_args)
    finally:
        tr.check = saved


@test
def cut_streams():
    g = len(kw.Guest().frames)
    total = stream(km.zoo()).count(struct.pack("<I", kw.MAGIC))
    for n in range(g + 4, total, 2):
        d = report_without_check(km.zoo(), frames=n)
        assert d["ktdump"]["incomplete"] is True
        for m in d["maps"]:
            assert m.get("error") or any(k in m for k in CONTENT) or m["name"] == "hash_empty", (n, m)
    d = report(km.zoo(), end=False)
    assert len(d["maps"]) == len(FORM)
    # The module of before: facts only.
    d = tr.report(tr.snapshot({"map": [tr.MAP]}))
    assert d["maps"][0]["error"] == "contents not captured: the guest's module sends map facts only"


@test
def random_damage():
    rng = random.Random(4711)
    for _ in range(30):
        z = km.zoo()
        for _ in range(rng.randrange(1, 40)):
            what = rng.randrange(6)
            if what == 0:
                kva = rng.choice(list(z.records))
                r = bytearray(z.records[kva])
                for _ in range(4):
                    if r:
                        r[rng.randrange(len(r))] = rng.randrange(256)
                z.records[kva] = bytes(r)
            elif what == 1:
                c = rng.choice(z.content)
                c[rng.choice(("values_kva", "stride", "seen", "taken", "limit"))] = rng.choice((0, 1, 2 ** 32, 2 ** 63, 2 ** 64 - 1))
            elif what == 2:
                m = rng.choice(z.maps)
                m[rng.choice(("key_size", "value_size", "max_entries", "map_type", "map_flags", "btf_key_type_id", "btf_value_type_id",
                              "btf_vmlinux_value_type_id"))] = rng.choice((0, 1, 5, 17, 33, 2 ** 31, 2 ** 32 - 1))
            elif what == 3 and z.facts:
                rng.choice(z.facts)["value"] = rng.choice((0, 1, 4095, 2 ** 32, 2 ** 63, 2 ** 64 - 1, None))
            elif what == 4:
                h = rng.choice(list(z.blobs))
                b = bytearray(z.blobs[h])
                b[rng.randrange(len(b))] = rng.randrange(256)
                km.rehash(z, h, bytes(b))
            elif what == 5 and z.mem:
                i = rng.randrange(len(z.mem))
                z.mem[i] = (z.mem[i][0] + rng.choice((0, 1, 8)), z.mem[i][1][:rng.randrange(1, len(z.mem[i][1]) + 1)])
        report_without_check(z)


if __name__ == "__main__":
    sys.exit(tr.main(TESTS))
