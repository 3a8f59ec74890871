#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What stands in reports: python3 test_reports.py PATH/TO/ktcollect [NAME]...

Small streams made for one question each, given to ktcollect. Prints KTAP.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kttap  # noqa: E402
import ktwire as kw  # noqa: E402

KTCOLLECT = None
TESTS = []
STALL = 1026


def test(f):
    TESTS.append(f)
    return f


def ktcollect(*args, stdin=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")}
    return subprocess.run([KTCOLLECT, *args], input=stdin, capture_output=True, timeout=60, env=env)


def report(stream, text=False, args=()):
    """The report of a stream; with its text."""
    with tempfile.TemporaryDirectory(prefix="ktreport.") as tmp:
        path = os.path.join(tmp, "r.json")
        r = ktcollect("-", "-o", path, *(["--text"] if text else ["-q"]), *args, stdin=stream)
        assert r.returncode == 0, r
        with open(path, encoding="utf-8") as f:
            d = json.load(f)
        check(path)
    return (d, r.stdout.decode()) if text else d


def check(path):
    """The schemas, where the validator is installed."""
    try:
        import check_report
        import jsonschema  # noqa: F401
    except ImportError:
        return
    check_report.check(path)


def snapshot(tables, end=True, **begin):
    """A stream with these tables: {"rq": [{…}], "task": (columns, [])}."""
    g = kw.Guest()
    g.begin(1, **begin)
    for name, rows in tables.items():
        if isinstance(rows, tuple):
            g.add(kw.ROWS, name, [], 1, columns=rows[0])
        else:
            g.add(kw.ROWS, name, rows, 1)
    if end:
        g.end(1)
    return g.stream()


RQ = {"cpu": 0, "kva": kw.RQ[0], "lock": 0, "scx_nr_running": 1, "curr": kw.TASKS[0],
      "curr_pid": 100, "curr_comm": "worker/0", "curr_class": "ext", "scx_flags": 1,
      "rt_nr": 0, "dl_nr": 0, "fair_nr": 0, "runnable_end": "ok"}
SCHED = {"kva": kw.SCHED, "root": True, "parent_kva": 0, "name": "one", "level": 0,
         "bypass_depth": 0, "aborting": True, "exit_kind": STALL, "watchdog_timeout": 500}
DSQ = {"kva": kw.USER_DSQ, "sched_kva": kw.SCHED, "origin": "user", "cpu": None, "node": None,
       "id": 7, "nr": 0, "seq": 1, "lock": 0, "end": "ok"}
PROG = {"kva": 1, "id": 1, "name": "p", "type": 27, "has_stats": True, "cnt": 0, "nsecs": 0, "misses": 0}
MAP = {"kva": 1, "id": 1, "name": "m", "map_type": 1, "key_size": 4, "value_size": 4, "max_entries": 1}


def missing(*groups):
    return [{"table": "offsets:" + g, "reason": "no such member"} for g in groups]


def exit_info(**more):
    return [dict({"sched_kva": kw.SCHED, "complete": True, "kind": STALL, "exit_code": 0,
                  "exit_cpu": None, "flags": 0, "reason": "runnable task stall",
                  "msg": "worker/1[101] failed to run for 5.000s", "bt": [], "dump_bytes": 0}, **more)]


def enums(**enumerations):
    return [{"enum": e, "name": n, "value": v} for e, names in enumerations.items() for n, v in names]


EXIT_KINDS = {"scx_exit_kind": [("SCX_EXIT_ERROR_STALL", STALL), ("SCX_EXIT_ERROR", 1024)]}


# ------------------------------------------------------- why something is not there

def reason(key, tables, **kw_args):
    return report(snapshot(tables, **kw_args)).get(key)


@test
def reasons_prog():
    def why(tables, **more):
        return reason("prog_runtime_stats_unavailable", tables, **more)
    assert why({"map": [MAP]}) == "prog accessor unavailable"
    assert why({"map": [MAP], "prog": (list(PROG), [])}) == "no struct_ops programs loaded"
    assert why({"prog": [dict(PROG, type=26)]}) == "no struct_ops programs loaded"
    assert why({"prog": [dict(PROG, has_stats=False)]}) == "no struct_ops programs loaded"
    assert why({"prog": [PROG]}) is None
    assert why({"map": [MAP]}, end=False) == "dump prerequisites unavailable"


@test
def reasons_task():
    def why(tables, **more):
        return reason("task_enrichments_unavailable", tables, **more)
    assert why({"map": [MAP]}) == "no task walker available"
    assert why({"map": [MAP], "task": (list(kw.task(0)), [])}) == "task walker yielded zero tasks"
    assert why({"task": [kw.task(0)]}) is None
    assert why({"map": [MAP]}, end=False) == "dump prerequisites unavailable"


@test
def reasons_scx_walker():
    def why(tables, **more):
        return reason("scx_walker_unavailable", tables, **more)
    assert why({"map": [MAP]}) == "no scx walker capture"
    assert why({"map": [MAP]}, end=False) == "dump prerequisites unavailable"
    assert why({"sched": [SCHED]}, end=False) == "dump prerequisites unavailable"
    # Nothing at all comes before which groups are missing.
    assert why({"missing": missing("rq")}) == "no scx walker capture"
    partial = "scx walker partial: missing offset groups [%s]"
    assert why({"sched": [SCHED], "rq": [RQ], "missing": missing("scx_rq")}) == partial % "scx_rq"
    # In the order of the format, not of the guest; others are not its business.
    groups = ["rhashtable/bucket_table/rhash_head", "bpf_map", "scx_sched_pcpu", "rq", "task_struct"]
    assert why({"sched": [SCHED], "rq": [RQ], "missing": missing(*groups)}) == \
        partial % "rq, task_struct, scx_sched_pcpu, rhashtable/bucket_table/rhash_head"
    everything = ["rq", "scx_rq", "task_struct", "sched_ext_entity", "scx_dsq_list_node", "scx_dispatch_q",
                  "scx_sched", "scx_sched_pnode", "scx_sched_pcpu", "rhashtable/bucket_table/rhash_head"]
    assert why({"sched": [SCHED], "missing": missing(*reversed(everything))}) == partial % ", ".join(everything)
    assert why({"rq": [RQ], "missing": missing("bpf_map")}) == "scx_root is NULL (no scheduler attached)"
    assert why({"rq": [RQ]}) == "scx_root is NULL (no scheduler attached)"
    assert why({"sched": [dict(SCHED, kva=1, root=False)], "rq": [RQ]}) == \
        "scx_root is NULL (no scheduler attached)"
    assert why({"sched": [SCHED]}) == "scx walker reached no state"
    assert why({"sched": [SCHED], "rq": [RQ]}) is None
    assert why({"sched": [SCHED], "dsq": [DSQ]}) is None
    # Cases 2 and 3 stand beside filled lists.
    d = report(snapshot({"rq": [RQ], "dsq": [DSQ], "missing": missing("scx_sched")}))
    assert d["rq_scx_states"] and d["dsq_states"] and d["scx_walker_unavailable"] == partial % "scx_sched"


@test
def reasons_numa():
    def why(tables, **more):
        return reason("per_node_numa_unavailable", tables, **more)
    assert why({"map": [MAP]}) == "no NUMA walker (host-side walker pending)"
    assert why({"map": [MAP]}, end=False) == "dump prerequisites unavailable"
    assert why({"numa": [{"node": 0, "numa_hit": 1}]}) is None


@test
def reasons_sdt_alloc():
    def why(*maps, **more):
        facts = [{"map_kva": 1, "name": k, "value": v} for k, v in more.items()]
        return reason("sdt_alloc_unavailable", dict(
            {"map": [dict(MAP, kva=i + 1, btf_kva=7, **m) for i, m in enumerate(maps)]},
            **({"fact": facts} if facts else {})))
    arena, bss = {"map_type": 33, "name": "arena"}, {"map_type": 2, "name": "one.bss"}
    no_arena, no_bss = ("no arena map captured (kern_vm_start unavailable)",
                        "no scheduler .bss map (or .bss has no program BTF)")
    assert why({}) == no_arena and why(bss) == no_arena       # ktstr would speak of its alignment
    assert why(arena, user_vm_start=4096) == "user_vm_start is not 4 GiB-aligned; low-32 keying disabled"
    assert why(arena) == no_bss
    assert why(arena, dict(bss, name="bss")) == no_bss
    assert why(arena, bss, user_vm_start=1 << 32, kern_vm_start=1) == no_bss     # its BTF is not there


@test
def reasons_partial_and_placeholder():
    d = report(snapshot({"cpu": [{"cpu": 0, "parked": True, "ip": 1, "sp": 2, "cr3": 3}]}, end=False))
    keys = [k for k in d if k.endswith("_unavailable")]
    assert d["maps"] == [] and d["vcpu_regs"] and "is_placeholder" not in d
    assert {k: d[k] for k in keys if k != "sdt_alloc_unavailable"} == {
        k: "dump prerequisites unavailable" for k in
        ("prog_runtime_stats_unavailable", "per_node_numa_unavailable", "task_enrichments_unavailable",
         "scx_walker_unavailable")}, d
    d = report(snapshot({}, end=False))
    keys = [k for k in d if k.endswith("_unavailable")]
    assert len(keys) == 5 and len({d[k] for k in keys}) == 1 and d["is_placeholder"] is True
    d = report(snapshot({}))
    assert d["scx_walker_unavailable"] == "the guest sent no data" and d["is_placeholder"] is True


# ----------------------------------------------------------------- order of tasks

def pids(d):
    assert [t["pid"] for t in d["task_enrichments"]] == [t["pid"] for t in d["ktdump"]["tasks"]]
    return [t["pid"] for t in d["task_enrichments"]]


@test
def task_order():
    def t(i, **more):
        return dict(kw.task(0), kva=kw.BASE + 0x1000 * i, pid=i, **more)
    rows = [t(1, on_scx_tasks=False, runnable_on=1), t(2), t(3, on_scx_tasks=False), t(4),
            t(5, on_scx_tasks=False, runnable_on=0), t(6), t(7)]
    lists = [{"list": "runnable", "owner_kva": kw.RQ[0], "tasks": [kw.BASE + 0x5000]},
             # Several rows; a task that is not there, one twice.
             {"list": "scx_tasks", "owner_kva": kw.TEXT, "tasks": [kw.BASE + 0x1000 * i for i in (6, 99, 4)]},
             {"list": "scx_tasks", "owner_kva": kw.TEXT, "tasks": [kw.BASE + 0x1000 * i for i in (2, 6)]}]
    d = report(snapshot({"rq": [RQ], "list": lists, "task": rows}))
    assert pids(d) == [6, 4, 2, 7, 5, 1, 3], pids(d)
    assert d["rq_scx_states"][0]["runnable_task_kvas"] == [kw.BASE + 0x5000]
    # Without the list: as they came.
    assert pids(report(snapshot({"task": rows}))) == [2, 4, 6, 7, 5, 1, 3]


# ------------------------------------------------------------------ locks held

@test
def torn_sections():
    rqs = [dict(RQ, cpu=i, kva=kw.BASE + i, lock=1 if i in (1, 2, 3) else 0) for i in range(5)]
    dsqs = [dict(DSQ, lock=1), dict(DSQ, kva=2, id=8), dict(DSQ, kva=3, origin="local", cpu=3, id=kw.B | 2),
            dict(DSQ, kva=4, origin="local", cpu=4, id=kw.B | 2), dict(DSQ, kva=5, origin="bypass", cpu=3, id=kw.B | 3),
            dict(DSQ, kva=6, origin="deferred", cpu=3, id=None, lock=None)]
    tables = {"sched": [SCHED], "rq": rqs, "dsq": dsqs, "exit": exit_info(exit_cpu=2), "enum": enums(**EXIT_KINDS)}
    d, text = report(snapshot(tables, cpu=1), text=True)
    k = d["ktdump"]
    assert [(q.get("torn"), q.get("lock_held_by")) for q in k["rqs"]] == [
        (None, None), (None, "trigger"), (None, "trigger"), (True, None), (None, None)]
    assert [q.get("torn") for q in k["dsqs"]] == [True, None, True, None, None, True]
    assert k["missing"] == [{"section": "rq", "reason": "torn: lock of run queue of CPU 3 was held"},
                            {"section": "dsq", "reason": "torn: lock of DSQ 0x7 was held"}]
    assert k["incomplete"] is False
    assert "torn: lock of DSQ 0x7 was held" in text
    # With interrupts on, or in an NMI, the trigger holds no lock.
    for begin in ({"irqs_off": False}, {"context": "nmi"}):
        k = report(snapshot(tables, cpu=1, **begin))["ktdump"]
        assert [q["cpu"] for q in k["rqs"] if q.get("torn")] == [1, 2, 3]
    # exit_cpu says something only for stalls.
    k = report(snapshot(dict(tables, exit=exit_info(exit_cpu=2, kind=1024)), cpu=1))["ktdump"]
    assert [q["cpu"] for q in k["rqs"] if q.get("torn")] == [2, 3]
    many = [dict(RQ, cpu=i, kva=kw.BASE + i, lock=256) for i in range(100)]
    k = report(snapshot({"rq": many}, cpu=200))["ktdump"]
    assert k["missing"][0]["reason"] == \
        "torn: lock of run queue of CPU 0, 1, 2, 3, 4, 5, 6, 7 and 92 more was held", k["missing"]


# ------------------------------------------------------------ the kernel's dump

@test
def dump_truncated():
    marker = b"\n\n~~~~ TRUNCATED ~~~~\n"

    def exits(*pieces):
        return report(snapshot({"sched": [SCHED], "exit": exit_info(), "text": [
            {"sched_kva": kw.SCHED, "off": o, "text": t} for o, t in pieces]}))["ktdump"]["exits"][0]
    e = exits((0, b"CPU states" + marker))
    assert e["dump_truncated"] is True and e["dump"].endswith("TRUNCATED ~~~~\n")
    assert exits((0, b"abc" + marker[:10]), (13, marker[10:] + b"\0"))["dump_truncated"] is True
    assert "dump_truncated" not in exits((0, b"abc" + marker + b"and more\n"))
    assert "dump_truncated" not in exits((0, b"abc"))


# ------------------------------------------------------------- numbers in words

ENT_FLAGS = [("SCX_TASK_QUEUED", 1), ("SCX_TASK_IN_CUSTODY", 2), ("SCX_TASK_STATE_SHIFT", 8),
             ("SCX_TASK_STATE_BITS", 3), ("SCX_TASK_STATE_MASK", 0x700), ("SCX_TASK_NONE", 0),
             ("SCX_TASK_INIT_BEGIN", 0x100), ("SCX_TASK_INIT", 0x200), ("SCX_TASK_READY", 0x300),
             ("SCX_TASK_ENABLED", 0x400), ("SCX_TASK_REENQ_REASON_SHIFT", 12),
             ("SCX_TASK_REENQ_REASON_BITS", 2), ("SCX_TASK_REENQ_REASON_MASK", 0x3000),
             ("SCX_TASK_REENQ_NONE", 0), ("SCX_TASK_REENQ_KFUNC", 0x1000), ("SCX_TASK_REENQ_IMMED", 0x2000),
             ("SCX_TASK_REENQ_PREEMPTED", 0x3000), ("SCX_TASK_CURSOR", 1 << 31)]


def scx(names=None, jiffies=None, **more):
    stream = snapshot({"task": [kw.task(0, **more)], "enum": enums(**(names or {"scx_ent_flags": ENT_FLAGS}))},
                      **({"jiffies": jiffies} if jiffies else {}))
    return report(stream)["ktdump"]["tasks"][0]["scx"]


@test
def task_flags():
    for flags, want in ((0x401, "QUEUED ENABLED"), (0, "NONE"), (0x303, "QUEUED IN_CUSTODY READY"),
                        (0x1400, "ENABLED REENQ_KFUNC"), (0x3400, "ENABLED REENQ_PREEMPTED"),
                        (0x100, "INIT_BEGIN"), (0x700, "")):
        got = scx(scx_flags=flags)["flag_names"]
        assert got == ["SCX_TASK_" + w for w in want.split()], (hex(flags), got)
    # The state in an enumeration of its own, as it was until 6.19.
    old = {"scx_ent_flags": [f for f in ENT_FLAGS[:5]], "scx_task_state": [("SCX_TASK_NONE", 0), ("SCX_TASK_ENABLED", 3)]}
    assert scx(old, scx_flags=0x301)["flag_names"] == ["SCX_TASK_QUEUED", "SCX_TASK_ENABLED"]
    assert "flag_names" not in scx({"other": [("X", 1)]}, scx_flags=1)
    enq = {"scx_enq_flags": [("SCX_ENQ_WAKEUP", 1), ("SCX_ENQ_HEAD", 1 << 16), ("__SCX_ENQ_INTERNAL_MASK", 0xFF << 56),
                             ("SCX_ENQ_CLEAR_OPSS", 1 << 56)]}
    assert scx(enq, scx_ddsp_enq_flags=1 << 56 | 1)["ddsp_enq_flag_names"] == ["SCX_ENQ_WAKEUP", "SCX_ENQ_CLEAR_OPSS"]


@test
def task_states_and_ages():
    for state, name, seq in ((0, "NONE", 0), (1 | 5 << 2, "QUEUEING", 5), (2 | 2 ** 40, "QUEUED", 2 ** 38), (3, "DISPATCHING", 0)):
        s = scx(scx_ops_state=state)
        assert (s["ops_state_name"], s["ops_state_qseq"]) == ("SCX_OPSS_" + name, seq), s
    now = 4295000000
    for age, ms in ((0, 0), (1, 4), (714, 2856), (-3, -12), (2 ** 40, 2 ** 42)):
        s = scx(runnable_on=0, scx_runnable_at=(now - age) % 2 ** 64)
        assert (s["runnable_age_jiffies"], s["runnable_age_ms"]) == (age, ms), s
    # Jiffies may have wrapped between.
    s = scx(jiffies=5, runnable_on=0, scx_runnable_at=2 ** 64 - 245)
    assert s["runnable_age_ms"] == 1000, s
    assert scx()["runnable_age_ms"] is None
    s = scx(scx_sticky_cpu=-1, scx_holding_cpu=-1)
    assert s["sticky_cpu"] == s["holding_cpu"] == -1


@test
def dsq_names():
    ids = {"scx_dsq_id_flags": [
        ("SCX_DSQ_FLAG_BUILTIN", kw.B), ("SCX_DSQ_FLAG_LOCAL_ON", 1 << 62), ("SCX_DSQ_INVALID", kw.B),
        ("SCX_DSQ_GLOBAL", kw.B | 1), ("SCX_DSQ_LOCAL", kw.B | 2), ("SCX_DSQ_LOCAL_ON", kw.B | 1 << 62),
        ("SCX_DSQ_LOCAL_CPU_MASK", 0xFFFFFFFF)]}
    for i, want in ((kw.B, "SCX_DSQ_INVALID"), (kw.B | 1, "SCX_DSQ_GLOBAL"), (kw.B | 2, "SCX_DSQ_LOCAL"),
                    (kw.B | 1 << 62 | 3, "SCX_DSQ_LOCAL_ON|3"), (0, "user"), (0xFFFFFFFF, "user"), (kw.B | 99, None)):
        assert scx(ids, scx_ddsp_dsq_id=i)["ddsp_dsq_id_name"] == want, hex(i)


@test
def rq_and_ops_flags():
    names = {"scx_rq_flags": [("SCX_RQ_ONLINE", 1), ("SCX_RQ_CAN_STOP_TICK", 2), ("SCX_RQ_IN_WAKEUP", 1 << 16)],
             "scx_ops_flags": [("SCX_OPS_KEEP_BUILTIN_IDLE", 1), ("SCX_OPS_ENQ_LAST", 2), ("SCX_OPS_ALL_FLAGS", 3),
                               ("__SCX_OPS_INTERNAL_MASK", 0xFF << 56), ("SCX_OPS_HAS_CPU_PREEMPT", 1 << 56)]}
    tables = {"sched": [dict(SCHED, ops_flags=3 | 1 << 56)], "rq": [dict(RQ, scx_flags=0x10001)]}
    k = report(snapshot(dict(tables, enum=enums(**names))))["ktdump"]
    assert k["rqs"][0]["scx_flag_names"] == ["SCX_RQ_ONLINE", "SCX_RQ_IN_WAKEUP"]
    assert k["schedulers"][0]["ops_flag_names"] == ["SCX_OPS_KEEP_BUILTIN_IDLE", "SCX_OPS_ENQ_LAST",
                                                    "SCX_OPS_HAS_CPU_PREEMPT"]
    k = report(snapshot(tables))["ktdump"]
    assert "scx_flag_names" not in k["rqs"][0] and "ops_flag_names" not in k["schedulers"][0]
    assert k["schedulers"][0]["ops_flags"] == 3 | 1 << 56


@test
def hardware_counters():
    cpu = {"online": True, "parked": True, "ip": 1, "sp": 2, "cr3": 3}
    two = {"cycles": 2**64 - 1, "instructions": 2, "cache_misses": 3, "branch_misses": 4, "counting_ns": 5}
    none = dict.fromkeys(two)
    d = report(snapshot({"cpu": [dict(cpu, cpu=0, **none), dict(cpu, cpu=1, **two)]}))
    assert d["vcpu_perf_at_freeze"] == [None, {"cycles": 2**64 - 1, "instructions": 2, "cache_misses": 3, "branch_misses": 4,
                                               "time_enabled_ns": 5, "time_running_ns": 5}], d["vcpu_perf_at_freeze"]
    # Which CPUs there are is known although nothing counts; a module that knows nothing of it.
    assert report(snapshot({"cpu": [dict(cpu, cpu=1, **none)]}))["vcpu_perf_at_freeze"] == [None, None]
    assert "vcpu_perf_at_freeze" not in report(snapshot({"cpu": [dict(cpu, cpu=1)]}))


# --------------------------------------------------------------------- as text

def standing_out(text):
    part = text.split("What stands out\n")
    return [line.strip() for line in part[1].split("\n\n")[0].splitlines()] if len(part) > 1 else []


NOW = 4295000000        # kw.Guest's jiffies, 250 a second


def waiting(pid, cpu, seconds, **more):
    return kw.task(0, kva=kw.BASE + 0x1000 * pid, pid=pid, comm="w%d" % pid, runnable_on=cpu, cpu=cpu,
                   scx_runnable_at=NOW - int(seconds * 250), scx_ops_state=0, **more)


@test
def view_hints():
    def hints(rqs, tasks, lists=(), dsqs=(), **begin):
        tables = {"sched": [SCHED], "rq": [dict(RQ, kva=kw.BASE + r["cpu"], **{k: v for k, v in r.items()}) for r in rqs]}
        if dsqs:
            tables["dsq"] = dsqs
        if lists:
            tables["list"] = lists
        return standing_out(report(snapshot(dict(tables, task=tasks), **begin), text=True)[1])
    three = [waiting(i, 1, i) for i in (1, 2, 3)]
    assert hints([{"cpu": 1, "curr_class": "ext"}], three) == []
    idle = {"curr_class": "idle", "curr_comm": "swapper", "curr_pid": 0}
    assert hints([dict(idle, cpu=i) for i in (0, 1)], [waiting(1, 1, 2)]) == [
        "CPU 1: idle, with 1 scx task on its runnable list, the longest 2.000 s"]
    assert hints([dict(idle, cpu=1)], [waiting(1, 1, 0.05)]) == []         # not long enough to be news
    assert hints([dict(idle, cpu=1)], [waiting(1, 1, 1, curr_on=1)]) == []   # it runs
    # A queue that nobody consumed, and one that is in order.
    q = [dict(DSQ, kva=50, id=0x57A11, nr=2), dict(DSQ, kva=51, id=8, nr=1)]
    lists = [{"list": "dsq", "owner_kva": 50, "tasks": [kw.BASE + 0x1000 * 3, kw.BASE + 0x1000 * 2]},
             {"list": "dsq", "owner_kva": 51, "tasks": [kw.BASE + 0x1000 * 7]}]
    tasks = three + [waiting(7, 1, 0)]
    assert hints([{"cpu": 1}], tasks, lists, q) == ["DSQ user 0x57a11: 2 waiting, its head w3[3] for 3.000 s"]
    # The BPF scheduler has it.
    held = [dict(waiting(i, 0, i), scx_ops_state=2 | 4 << 2) for i in (1, 2)]
    assert hints([{"cpu": 0}], held) == ["2 tasks on no DSQ: queued in the BPF scheduler, the longest w2[2] for 2.000 s"]
    # Where it must not run; kw.Guest has two CPUs.
    local = [dict(DSQ, kva=60, id=kw.B | 2, origin="local", cpu=1, nr=1)]
    got = hints([{"cpu": 1}], [waiting(1, 1, 0, cpus_mask=b"\1", scx_dsq=60, scx_dsq_id=kw.B | 2)], dsqs=local)
    assert got == ["w1[1] is on the runnable list of CPU 1, but may run only on 0",
                   "w1[1] is on the local DSQ of CPU 1, but may run only on 0"], got
    assert hints([{"cpu": 0}], [waiting(1, 0, 0, cpus_mask=b"\1")]) == []


@test
def view_of_a_large_machine():
    """64 CPUs, 2000 tasks, 200 queues, everything at its worst: still two screens."""
    tasks, rqs, cpus, lists, dsqs = [], [], [], [], []
    for i in range(64):
        busy = i % 2
        rqs.append(dict(RQ, cpu=i, kva=kw.BASE + i, curr_class=("rt" if i == 5 else "ext") if busy else "idle", lock=int(i == 7), scx_nr_running=busy,
                        clock_now=9 * 10**9, curr_last_arrival=10**9))
        cpus.append({"cpu": i, "online": True, "parked": i != 9, "ip": kw.TEXT, "sp": 1, "cr3": 2, "stack": []})
    for i in range(1, 2001):
        cpu = (i % 32) * 2 + 1
        on = i <= 300
        tasks.append(waiting(i, cpu, i / 100, cpus_mask=(1 << cpu).to_bytes(8, "little")) if on else dict(waiting(i, None, 0), runnable_on=None))
    for i in range(200):
        members = [kw.BASE + 0x1000 * t for t in range(1, 301) if t % 200 == i]
        dsqs.append(dict(DSQ, kva=kw.TEXT + i, id=i, nr=len(members), lock=i % 2))
        lists.append({"list": "dsq", "owner_kva": kw.TEXT + i, "tasks": members})
    scheds = [dict(SCHED, kva=kw.SCHED + i, root=not i, parent_kva=kw.SCHED if i else 0, level=min(i, 1)) for i in range(20)]
    lost = [{"table": "task", "reason": "reason %d" % i} for i in range(30)]
    g = kw.Guest()
    g.begin(1, cpu=3)
    cols = list(tasks[0])
    tables = {"sched": scheds, "rq": rqs, "cpu": cpus, "dsq": dsqs, "list": lists, "missing": lost, "exit": exit_info(),
              "freeze": [{"rendezvous_ns": 1, "held_ns": 2, "cpus_targeted": 63, "cpus_parked": 62, "cpus_missing": [9]}]}
    for name, rows in tables.items():
        g.add(kw.ROWS, name, rows, 1)
    for i in range(0, len(tasks), 50):
        g.add(kw.ROWS, "task", tasks[i:i + 50], 1, columns=cols, header=not i)
    g.end(1)
    d, text = report(g.stream(), text=True)
    lines = text.splitlines()
    assert len(d["task_enrichments"]) == 2000
    assert len(lines) <= 100 and max(map(len, lines)) <= 100, (len(lines), text)
    assert "(300 runnable of 2000 tasks)" in text
    assert "  w300[300]" not in lines[0] and any("w300" in line for line in lines[:30])
    assert "CPU 5: rt task" in text and "DID NOT ARRIVE" in text and "1 CPU did not answer" in text
    assert "32 idle with nothing waiting" in text
    rows = [line for line in lines if "(TORN)" in line or "DID NOT ARRIVE" in line]
    assert len(rows) == 1 or len(rows) == 2, rows


@test
def github_summary():
    with tempfile.TemporaryDirectory() as tmp:
        out, summary = os.path.join(tmp, "r.json"), os.path.join(tmp, "summary.md")
        hostile = "x | y <b>[a](b)`\n# z | w"
        stream = snapshot({"sched": [dict(SCHED, name="evil|name")], "exit": exit_info(msg=hostile)})
        env = dict(os.environ, GITHUB_STEP_SUMMARY=summary)
        env.pop("GITHUB_ACTIONS", None)
        for _ in range(2):
            r = subprocess.run([KTCOLLECT, "-", "-o", out, "-q"], input=stream, env=env, capture_output=True, timeout=60)
            assert r.returncode == 0 and not r.stderr, r
        with open(summary, encoding="utf-8") as f:
            text = f.read()
        lines = text.strip().splitlines()
        assert text.count("| sched") == 4 and text.count("| --- | --- |") == 2, text
        assert all(line == "" or line.count("|") == 3 for line in lines), text
        assert not any(c in text for c in "<>[]`#") or text.count("#") == text.count("&#"), text
        assert "| report | " in text and "evil&#124;name" in text
        env["GITHUB_STEP_SUMMARY"] = os.path.join(tmp, "no", "such")
        r = subprocess.run([KTCOLLECT, "-", "-o", out], input=stream, env=env, capture_output=True, timeout=60)
        assert r.returncode == 0 and b"cannot write the summary" in r.stderr, r


def main(tests=TESTS):
    global KTCOLLECT
    KTCOLLECT = kttap.tool(__doc__)
    return kttap.main(tests)


if __name__ == "__main__":
    sys.exit(main())
