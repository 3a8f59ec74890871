# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that are pointers: found in the instructions of casts.bpf.c, and followed."""
import glob
import os
import subprocess

from _casts import object_fields
from _common import Rig, exit_line, task_named

# What is a pointer in there: (type, member): (target, known to be in the arena).  All
# other fields of u64 are numbers, or more than one thing.
TRUTH = {
    (".bss", "last_task"): ("task_struct", False),
    ("ct_entry", "node"): ("ct_node", False),
    ("ct_entry", "task"): ("task_struct", False),
    ("ct_holder", "copied"): ("ct_record", False),
    ("ct_holder", "leaf"): ("ct_leaf", True),
    ("ct_holder", "node"): ("ct_node", False),
    ("ct_holder", "raw"): (None, True),
    ("ct_holder", "record"): ("ct_record", False),
    ("ct_holder", "task"): ("task_struct", False),
    ("ct_node", "up"): ("ct_node", False),
    ("ct_own", "entry"): ("ct_entry", False),
    ("ct_own", "self"): ("task_struct", False),
    ("ct_record", "home"): ("ct_record", False),
}
# The same of the other schedulers in here; none in those that are not named.
OTHERS = {
    "dsq": {("row", "task"): ("task_struct", False)},
    "manyq": {("row", "task"): ("task_struct", False)},
    "sizes": {("sz_holder", "one"): (None, True, 40), ("sz_holder", "many"): (None, True),
              ("sz_holder", "either"): (None, True), ("sz_holder", "slot"): ("sdt_data", True),
              ("sz_copy", "one"): (None, True, 40)},
    "typed": {(".bss", "region"): (None, True), ("note", "leaf"): ("ty_leaf", True),
              ("typed_cgrp", "list"): ("ty_node", False), ("typed_task_ctx", "group"): ("typed_cgrp", False),
              ("typed_task_ctx", "task"): ("task_struct", False)},
}
ARENA, KERNEL = "cast→arena", "cast→kernel"


def found(report):
    """ktdump.casts as TRUTH has it."""
    return {(c["type"], c["member"]): (c["target"], c["arena"]) for c in report["ktdump"]["casts"]}


def map_named(report, name):
    return next(m for m in report["maps"] if m["name"] == name)


def member(node, *path):
    for name in path:
        node = node.get("deref", node)
        node = next(m["value"] for m in node["members"] if m["name"] == name)
    return node


def cast(node, annotation):
    """The node is a pointer that was found so; what is behind it, None if it is not there."""
    assert node["kind"] == "ptr" and node["cast_annotation"] == annotation, node
    return node.get("deref")


def numbers(node):
    """The members that are numbers."""
    return {m["name"]: m["value"]["value"] for m in node["members"] if m["value"]["kind"] == "uint"}


def check_values(report):
    """Every field that is a pointer, with what is behind it; no other."""
    trigger = task_named(report, "trigger")["kva"]
    bss = map_named(report, "casts.bss")["value"]
    holder = member(bss, "holder")
    task = member(holder, "task")
    cast(task, KERNEL)
    assert task["value"] == trigger and task["ktdump_label"].endswith(" trigger"), task
    assert member(bss, "last_task")["value"] == trigger

    node = cast(member(holder, "node"), ARENA)
    assert numbers(node) == {"magic": 0x1111000000000001, "count": 11, "kind": 1}, node
    peer = member(node, "peer")["deref"]
    assert numbers(peer) == {"magic": 0x1111000000000002, "count": 22, "kind": 2}, peer
    up = member(peer, "up")
    assert cast(up, ARENA) is None and up["deref_skipped_reason"].startswith("cycle → 0x"), up
    # A null pointer is one all the same.
    assert member(node, "up") == {"kind": "ptr", "value": 0, "cast_annotation": KERNEL}, node

    leaf = numbers(cast(member(holder, "leaf"), ARENA))
    assert (leaf["magic"], leaf["small"], leaf["shorter"]) == (0x2222000000000001, 0x33, 0x44), leaf
    assert leaf["left"] and leaf["left"] % 5 == 0, leaf
    raw = member(holder, "raw")
    assert cast(raw, ARENA) is None and "deferred resolve" in raw["deref_skipped_reason"], raw

    for name in ("record", "copied"):
        record = cast(member(holder, name), KERNEL)
        assert numbers(record) == {"magic": 0x5555000000000001, "value": 77}, record
        # It is reached a second time.
        assert "cycle" in member(record, "home")["deref_skipped_reason"], record
    for name in ("number", "counter", "bits", "either", "mixed", "middle", "half"):
        assert member(holder, name)["kind"] == "uint", (name, member(holder, name))
    assert member(bss, "nr_seen")["kind"] == "uint"

    # By a function of the program's own, and from the stack.
    for name in ("entries", "copies"):
        (entry,) = map_named(report, name)["entries"]
        assert member(entry["value"], "task")["value"] == trigger, entry
        assert numbers(cast(member(entry["value"], "node"), ARENA))["count"] == 11, entry
        assert member(entry["value"], "stamp")["kind"] == "uint", entry
    # Every task has one.
    mine = [e["value"] for e in map_named(report, "own")["entries"] if member(e["value"], "self")["value"]]
    assert [member(v, "self")["value"] for v in mine] == [trigger], mine
    cast(member(mine[0], "entry"), KERNEL)
    assert member(mine[0], "runs")["kind"] == "uint", mine


def test_casts(ctx):
    """Every field that is a pointer, by the instructions that the guest sends; no other."""
    with Rig(ctx) as r:
        r.scheduler("/casts.bpf.o")
        r.g.start("work once trigger")
        report = r.report()
        assert "casts are there" in exit_line(r.ended())[1]
        kt = report["ktdump"]
        # A run queue may be torn, instructions may not.
        assert not [m for m in kt["missing"] if m["section"] in ("code", "insn", "casts", "btf")], kt["missing"]
        assert all(c["taken"] == c["insns"] > 0 and c["cut"] is None for c in kt["code"]), kt["code"]
        assert {c["prog_kva"] for c in kt["code"]} == {p["kva"] for p in kt["progs"] if p["id"] is not None}
        assert found(report) == TRUTH, set(found(report).items()) ^ set(TRUTH.items())
        check_values(report)


def test_object_file(ctx):
    """The same by --sched-obj, when the guest sends no instructions."""
    obj = os.path.join(ctx.build, "selftests", ctx.release, "casts.bpf.o")
    with Rig(ctx, "max_code_kib=0", collect=("--sched-obj", obj)) as r:
        r.scheduler("/casts.bpf.o")
        r.g.start("work once trigger")
        report = r.report()
        r.ended()
        assert all(c["taken"] == 0 and c["cut"] == "bytes" for c in report["ktdump"]["code"]), report["ktdump"]["code"]
        assert found(report) == TRUTH, set(found(report).items()) ^ set(TRUTH.items())
        check_values(report)


def test_objects(ctx):
    """What is found in the object files of all schedulers of ours; no guest."""
    objs = sorted(glob.glob(os.path.join(ctx.build, "selftests", ctx.release, "*.bpf.o")))
    assert len(objs) > 8, objs
    for obj in objs:
        name = os.path.basename(obj)[:-len(".bpf.o")]
        fields = object_fields(ctx, obj)
        print(f"# {name}: {len(fields)} fields", flush=True)
        assert fields == (TRUTH if name == "casts" else OTHERS.get(name, {})), (name, fields)


def test_executable(ctx):
    """--sched-obj with an executable that has the object in it, and with what is none; no guest."""
    obj = os.path.join(ctx.build, "selftests", ctx.release, "casts.bpf.o")
    exe = os.path.join(ctx.tmp, "scheduler")
    subprocess.run(["objcopy", "--add-section", f".bpf.objs={obj}", "/bin/true", exe], check=True)
    assert object_fields(ctx, exe) == TRUTH
    with open(obj, "rb") as f:
        data = f.read()
    cut = os.path.join(ctx.tmp, "cut.bpf.o")
    with open(cut, "wb") as f:
        f.write(data[:len(data) // 2])
    for path in ("/bin/true", cut, os.path.join(ctx.tmp, "absent"), ctx.tmp):
        p = subprocess.run([os.path.join(ctx.build, "bin", "ktcollect"), "--sched-obj", path, "/dev/null"],
                           capture_output=True, text=True, timeout=60, cwd=ctx.tmp)
        assert p.returncode == 1 and path in p.stderr, (path, p)


def test_code_limit(ctx):
    """Of instructions only so many are taken as is allowed, and the report says so."""
    with Rig(ctx, "max_code_kib=1") as r:
        r.scheduler("/casts.bpf.o")
        r.g.start("work once trigger")
        report = r.report()
        r.ended()
        code = report["ktdump"]["code"]
        cut = [c for c in code if c["cut"]]
        assert cut and all(c["cut"] == "bytes" and c["limit"] <= 1024 and c["taken"] < c["insns"] for c in cut), code
        assert sum(c["taken"] for c in code) * 8 <= 1024, code
        # What is found is true also then.
        assert set(found(report).items()) <= set(TRUTH.items()), found(report)
