# SPDX-License-Identifier: GPL-2.0-only
"""Typed memory in arenas: what allocators have given out, and what points there."""
import os
import re
import struct

from _common import Rig, exit_line, task_named

TASK_MAGIC, GROUP_MAGIC = 0x7461736b00000001, 0x6772700000000001
USER = 1 << 44
SHOWN = "already rendered in sdt_allocations"
DANGLING = "arena read failed (cross-page boundary or unmapped page); needed 16 bytes from 0x"
NR_MANY, FREED, CAP = 4200, 100, 4096
ARENA, KERNEL = "cast→arena", "cast→kernel"


def map_named(report, name):
    return next(m for m in report["maps"] if m["name"] == name)


def member(node, *path):
    for name in path:
        node = node.get("deref", node)
        node = next(m["value"] for m in node["members"] if m["name"] == name)
    return node


def number(node, *path):
    return member(node, *path)["value"]


def allocator(report, name):
    (a,) = [a for a in report["sdt_allocations"] if a["allocator_name"] == name]
    return a


def keys(node):
    """Keys of a list as it is chased, and what its end says."""
    found = []
    while "deref" in node:
        found.append(number(node, "key"))
        node = member(node, "next")
    return found, node.get("deref_skipped_reason")


def typed(entries, name):
    assert entries and all(e["payload"]["kind"] == "struct" and e["payload"]["type_name"] == name for e in entries), entries[:2]
    addresses = [e["user_addr"] for e in entries]
    assert len(set(addresses)) == len(addresses), "a slot is there twice"
    return [e["payload"] for e in entries]


def check_tasks(report):
    a = allocator(report, "typed_task_allocator")
    bss = map_named(report, "typed.bss")["value"]
    payloads = typed(a["entries"], "typed_task_ctx")
    assert (a["elem_size"], a["skipped_subtrees"]) == (80, 0) and "truncated" not in a, {**a, "entries": 0}
    # As many as the scheduler itself counts, and one for each storage, with its number.
    assert len(payloads) == number(bss, "nr_tasks"), (len(payloads), number(bss, "nr_tasks"))
    storages = [e for e in map_named(report, "tasks")["entries"] if number(e["value"], "data")]
    assert sorted(number(e["value"], "tid", "idx") for e in storages) == sorted(e["idx"] for e in a["entries"])
    assert all(e["genn"] == 3 for e in a["entries"])
    known = {t["kva"]: t["pid"] for t in report["ktdump"]["tasks"]}
    for p in payloads:
        assert number(p, "magic") == TASK_MAGIC and number(p, "kind") == number(p, "pid") & 3, p
        assert known.get(number(p, "task"), number(p, "pid")) == number(p, "pid"), p
    trigger = task_named(report, "trigger")
    (mine,) = [p for p in payloads if number(p, "task") == trigger["kva"]]
    assert number(mine, "pid") == trigger["pid"]
    assert member(mine, "task")["cast_annotation"] == KERNEL and member(mine, "task")["ktdump_label"] == f"task {trigger['pid']} trigger"
    assert keys(member(mine, "list")) == ([1, 2, 3], None)
    found, why = keys(member(mine, "ring"))
    assert found == [101, 102] and why == f"cycle → 0x{number(mine, 'ring'):x}", (found, why)
    gone = member(mine, "dangling")
    assert gone["deref_skipped_reason"] == DANGLING + f"{gone['value']:x}", gone
    tree = member(mine, "tree")
    assert [number(tree, *path) for path in (("left", "key"), ("key",), ("right", "key"))] == [10, 20, 30], tree
    # Numbers and untyped pointers that lead to slots.
    group = member(mine, "group")
    assert group["cast_annotation"] == ARENA and group["deref_skipped_reason"] == SHOWN, group
    assert member(mine, "slot")["deref_skipped_reason"] == SHOWN and number(mine, "slot") == number(mine, "group") - 8, mine
    # The storage of the task has its slot's contents at hand.
    (entry,) = [e for e in storages if e["payload"] and number(e["payload"], "task") == trigger["kva"]]
    assert member(entry["value"], "data")["deref_skipped_reason"] == SHOWN, entry["value"]


def check_groups(report):
    a = allocator(report, "nested.typed_cgrp_allocator")
    payloads = typed(a["entries"], "typed_cgrp")
    bss = map_named(report, "typed.bss")["value"]
    assert len(payloads) == number(bss, "nr_groups") > 1
    assert sorted(number(p, "nr") for p in payloads) == list(range(len(payloads)))
    assert all(number(p, "magic") == GROUP_MAGIC for p in payloads)
    ids = {number(e["payload"], "cgid") for e in map_named(report, "groups")["entries"]}
    assert {number(p, "cgid") for p in payloads} == ids and 1 in ids, ids
    for p in payloads:
        assert member(p, "list")["cast_annotation"] == ARENA and keys(member(p, "list"))[0] == [1, 2, 3], p
        assert member(p, "first")["deref_skipped_reason"] == SHOWN


def check_many(report):
    """More slots than are shown: it is said, and those behind are rendered where something leads to them."""
    a = allocator(report, "ty_many_allocator")
    payloads = typed(a["entries"], "ty_many")
    expected = [i for i in range(NR_MANY) if i != FREED][:CAP]
    assert [e["idx"] for e in a["entries"]] == expected and a["truncated"] is True
    assert [(number(p, "nr"), number(p, "twice")) for p in payloads] == [(i, 2 * i) for i in expected]
    beyond = member(map_named(report, "typed.bss")["value"], "beyond")
    assert beyond["cast_annotation"] == "sdt_alloc" and number(beyond, "nr") == 4150, beyond
    some = {e["key"]["value"]: e for e in map_named(report, "some")["entries"]}
    assert number(some[0]["payload"], "nr") == 5 and number(some[1]["payload"], "nr") == 4150
    data = {k: member(e["value"], "data") for k, e in some.items()}
    assert data[0]["deref_skipped_reason"] == SHOWN and number(data[1], "nr") == 4150
    # What is not allocated is not shown as if it were.
    assert "payload" not in some[2], some[2]


def check_rest(report):
    bss = map_named(report, "typed.bss")["value"]
    assert number(bss, "nr_misses") == 0
    a = allocator(report, "vague_allocator")
    assert a["target_type_id"] == 0 and a["payload_type_reason"].startswith("ambiguous: "), a
    assert a["entries"][0]["payload"] == {"kind": "bytes", "hex": " ".join(["76"] + ["00"] * 23)}, a
    memory = number(bss, "typed_static", "memory")
    assert report["scx_static_ranges"] == {"ranges": [
        {"instance_name": "typed_static", "start_low32": memory & 0xffffffff, "size": 96, "capacity": 4096}], "skipped": 0}
    assert keys(member(bss, "list")) == ([1, 2, 3], None)
    assert member(bss, "dangling")["deref_skipped_reason"].startswith(DANGLING)
    kptrs = map_named(report, "kptrs")["value"]
    trigger = task_named(report, "trigger")
    assert member(kptrs, "mask")["deref"] == {"kind": "cpu_list", "cpus": "0,2"}, kptrs
    assert number(kptrs, "task") == trigger["kva"] and member(kptrs, "task")["ktdump_label"] == f"task {trigger['pid']} trigger"
    (note,) = map_named(report, "notes")["entries"]
    assert member(note["value"], "stamp")["kind"] == "uint", note
    leaf = member(note["value"], "leaf")
    assert leaf["kind"] == "ptr" and leaf["cast_annotation"] == ARENA and leaf["deref"]["type_name"] == "ty_leaf", leaf
    assert [number(leaf, n) for n in ("small", "shorter", "left")] == [0x33, 0x44, 5], leaf


def test_allocations(ctx):
    """Every slot that is in use, once and by its type; lists, trees, a circle, what is gone."""
    with Rig(ctx) as r:
        r.g.sh("mkdir -p /sys/fs/cgroup/one /sys/fs/cgroup/two")
        r.scheduler("/typed.bpf.o")
        r.g.start("work once trigger")
        report = r.report()
        assert "typed data is there" in exit_line(r.ended())[1]
        assert "sdt_alloc_unavailable" not in report
        assert [a["allocator_name"] for a in report["sdt_allocations"]] == [
            "typed_task_allocator", "nested.typed_cgrp_allocator", "ty_many_allocator", "vague_allocator"]
        check_tasks(report)
        check_groups(report)
        check_many(report)
        check_rest(report)
        size = os.path.getsize(r.paths()[-1])
        print(f"# report of {size >> 10} KiB", flush=True)


def test_scx_sdt(ctx):
    """The kernel's own scx_sdt: as many slots as it counts, each with the numbers of its task."""
    path = os.path.join(os.environ.get("KTDUMP_ORACLE") or os.path.join(ctx.build, "oracle"), ctx.release, "bin", "scx_sdt")
    if not os.path.exists(path):
        ctx.skip("no scx_sdt of this kernel: make check-oracle builds it from the kernel's source package")
    with Rig(ctx, "trigger=any", files={"/bin/scx_sdt": path}) as r:
        pid = r.g.start("/bin/scx_sdt", log="/tmp/sdt")
        r.g.wait_for(f"[ \"$(cat /sys/kernel/sched_ext/root/ops)\" = sdt ] || ! [ -d /proc/{pid} ]", timeout=60)
        if r.g.run(f"[ -d /proc/{pid} ]")[0]:
            log = r.g.sh("cat /tmp/sdt")
            missing = re.search(r"kfunc '(\w+)' is referenced but wasn't resolved", log)
            assert missing, log
            ctx.skip(f"no BPF program can call {missing.group(1)} of this kernel build")
        r.g.start("work sleepers s 6")
        r.g.wait_for("[ $(pidof work | wc -w) -ge 1 ]")
        r.g.start("sh -c 'echo S >/proc/sysrq-trigger'")
        report = r.report()
        (a,) = report["sdt_allocations"]
        bss = next(m["value"] for m in report["maps"] if m["name"].endswith(".bss"))
        assert a["allocator_name"] == "scx_task_allocator" and a["elem_size"] == 56 and a["skipped_subtrees"] == 0, a
        assert len(a["entries"]) == number(bss, "alloc_stats", "active_allocs") > 10
        # Its BTF does not say what is in them, so nothing is made up.
        assert (a["target_type_id"], a["payload_type_reason"]) == (0, "no candidate of size 48"), a["payload_type_reason"]
        storages = map_named(report, "scx_task_map")["entries"]
        assert sorted(number(e["value"], "tid", "idx") for e in storages) == sorted(e["idx"] for e in a["entries"])
        pids = {}
        for e in a["entries"]:
            _, task, *counts = struct.unpack("<ii5Q", bytes.fromhex(e["payload"]["hex"].replace(" ", "")))
            pids[task] = counts
        # All but the idle tasks.
        alive = {t["pid"] for t in report["ktdump"]["tasks"]} - {0}
        assert len(pids) == len(a["entries"]) and alive <= set(pids), alive - set(pids)
        # Each was initialised once, and has not left.
        assert all(exits == 0 and inits == 1 for _, exits, inits, _, _ in pids.values()), pids
        assert sum(enqueues for enqueues, *_ in pids.values()) > 0
