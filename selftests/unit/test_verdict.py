#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Who is named as the culprit: python3 test_verdict.py PATH/TO/ktcollect [NAME]...

Prints KTAP.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ktwire as kw  # noqa: E402
import test_cli as cli  # noqa: E402
from test_cli import check, load, run  # noqa: E402
from test_dual import EARLY, LATE  # noqa: E402

TESTS = []
NOW = 4295000000        # kw.Guest's jiffies, 250 a second
HOG, LOCAL = kw.BASE + 0x900000, [kw.BASE + 0x800000 + i * 0x100 for i in range(2)]
S = 10**9


def test(f):
    TESTS.append(f)
    return f


def waiting(i, cpu, seconds, now=NOW, **more):
    return kw.task(i, runnable_on=cpu, cpu=cpu, scx_runnable_at=now - int(seconds * 250), **more)


def hog(cpu=1, **more):
    return kw.task(0, **dict(dict(kva=HOG, pid=9, comm="hog", sched_class="rt", policy=1, rt_priority=50, prio=49,
                                  normal_prio=49, curr_on=cpu, cpu=cpu), **more))


def rq(cpu, klass="idle", seconds=None, **more):
    """A run queue whose current task has had the CPU for so long."""
    idle = klass == "idle"
    return dict({"cpu": cpu, "kva": kw.RQ[cpu], "lock": 0, "online": True, "clock": 100 * S, "clock_now": 101 * S,
                 "curr": kw.BASE if idle else HOG, "idle": kw.BASE, "curr_pid": 0 if idle else 9,
                 "curr_comm": "swapper" if idle else "hog", "curr_class": klass, "stop_on_rq": 0, "fair_nr": 0, "rt_nr": 0,
                 "dl_nr": 0, "scx_nr_running": 2, "nr_switches": 5,
                 "curr_last_arrival": 0 if seconds is None else 101 * S - int(seconds * S)}, **more)


def snapshot(g, nr, rqs, tasks, steal=(0, 0), **begin):
    def rows(table, dicts):
        g.add(kw.ROWS, table, dicts, nr)
    g.begin(nr, **dict({"jiffies": NOW}, **begin))
    rows("sched", [{"kva": kw.SCHED, "root": True, "parent_kva": 0, "name": "one", "exit_kind": 0}])
    rows("rq", rqs)
    rows("dsq", [{"kva": LOCAL[i], "sched_kva": kw.SCHED, "origin": "local", "cpu": i, "node": None, "id": kw.B | 2, "nr": 1,
                  "seq": 1, "lock": 0, "end": "ok"} for i in range(2)])
    cols = sorted({c for t in tasks for c in t})
    g.add(kw.ROWS, "task", tasks, nr, columns=cols)
    rows("cputime", [{"cpu": i, "cpustat": [0] * 7 + [steal[i], 0, 0]} for i in range(2)])
    g.end(nr)


def verdicts(rqs, tasks, text=False, **begin):
    g = kw.Guest()
    snapshot(g, 1, rqs, tasks, **begin)
    r = run("-", "-o", "r.json", "--text", stdin=g.stream())
    assert r.returncode == 0, r
    check("r.json")
    v = load("r.json")["ktdump"]["verdicts"]
    return (v, r.stdout.decode()) if text else v


def kinds(*args, **kw):
    return [(h["kind"], h["cpu"], h.get("pid"), h.get("nr_victims")) for h in verdicts(*args, **kw)["hints"]]


RT = [rq(0), rq(1, "rt", 3, rt_nr=1, stop_on_rq=1)]
PINNED = {"cpus_mask": b"\2"}


@test
def a_realtime_task_keeps_a_cpu():
    v, text = verdicts(RT, [hog(), waiting(1, 1, 2, **PINNED), waiting(2, 1, 3, **PINNED), waiting(3, 1, 0.01, **PINNED)], text=True)
    idle, kept = v["cpus"]
    assert (kept["pid"], kept["comm"], kept["class"], kept["boosted"]) == (9, "hog", "rt", False), kept
    assert kept["on_cpu_ns"] == 3 * S and idle["on_cpu_ns"] is None, v["cpus"]
    assert kept["runnable"] == {"stop": 1, "dl": 0, "rt": 1, "fair": 0, "ext": 2}, kept
    assert (kept["waiting"], kept["longest_ms"], idle["waiting"]) == (3, 3000, 0) and "longest_ms" not in idle, kept
    assert "there_early" not in kept and kept["steal_ns"] == 0
    (h,) = v["hints"]
    assert (h["kind"], h["cpu"], h["pid"], h["comm"], h["class"], h["task_kva"]) == ("higher_class", 1, 9, "hog", "rt", HOG), h
    assert h["nr_victims"] == 2 and [t["pid"] for t in h["victims"]] == [102, 101], h
    assert h["text"] == "CPU 1: rt task hog[9] kept 2 scx tasks off it, the longest for 3.000 s", h["text"]
    assert h["evidence"] == ["on the CPU for 3.000 s without a break", "2 of them may run only on CPUs that are kept like this",
                             "worker/2[102] waits for 3.000 s"], h["evidence"]
    assert h["text"] in text and "    on the CPU for 3.000 s" in text, text


@test
def only_what_was_kept():
    wait = waiting(1, 1, 3, **PINNED)
    assert kinds(RT, [hog(), wait]) == [("higher_class", 1, 9, 1)]
    # It might have run on CPU 0: whoever did not let it is to blame.
    assert kinds(RT, [hog(), waiting(1, 1, 3)]) == []
    # Nowhere else once it is in the local queue.
    assert kinds(RT, [hog(), waiting(1, 1, 3, scx_dsq=LOCAL[1])]) == [("higher_class", 1, 9, 1)]
    # In that of a CPU that nothing keeps.
    assert kinds(RT, [hog(), waiting(1, 1, 3, scx_dsq=LOCAL[0], **PINNED)]) == []
    # Both CPUs are kept, or the other one is not there.
    assert kinds([rq(0, "dl", 9), RT[1]], [hog(), waiting(1, 1, 3)]) == [("higher_class", 1, 9, 1)]
    assert kinds([rq(0, online=False), RT[1]], [hog(), waiting(1, 1, 3)]) == [("higher_class", 1, 9, 1)]
    # No higher class, not there for long enough, not known for how long, a short wait.
    assert kinds([rq(0), rq(1, "ext", 3)], [hog(), wait]) == []
    assert kinds([rq(0), rq(1)], [wait]) == []
    assert kinds([rq(0), rq(1, "rt", 1.4)], [hog(), wait]) == []
    assert kinds([rq(0), rq(1, "rt", 1.6)], [hog(), wait]) == [("higher_class", 1, 9, 1)]
    assert kinds([rq(0), dict(rq(1, "rt", 3), curr_last_arrival=None)], [hog(), wait]) == []
    assert kinds(RT, [hog(), waiting(1, 1, 0.09, **PINNED)]) == []
    for klass in ("stop", "dl", "fair"):
        assert kinds([rq(0), rq(1, klass, 3)], [hog(), wait]) == [("higher_class", 1, 9, 1)], klass


@test
def a_holder_of_a_lock():
    low = hog(policy=0, normal_prio=120, static_prio=120, comm="low")
    v = verdicts(RT, [dict(low, prio=89), waiting(1, 1, 3, **PINNED), kw.task(2, lock_owner=HOG, sched_class="rt"),
                      kw.task(3, lock_owner=kw.TASKS[1])])
    (h,) = v["hints"]
    assert h["kind"] == "lock_holder" and v["cpus"][1]["boosted"] is True, h
    assert [t["pid"] for t in h["lock_waiters"]] == [102], h
    assert "made rt by priority inheritance, its own priority is 120" in h["evidence"], h
    assert "it holds a lock that worker/2[102] waits for" in h["evidence"], h


def dual(late_tasks, early_rqs=None, late_rqs=None, ran=2 * S, steal=(0, 0)):
    """Half-time 2.457 s before the end."""
    g = kw.Guest()
    early_rqs = early_rqs or [rq(0), rq(1, "rt", 0.2)]
    snapshot(g, 1, early_rqs, [hog(), waiting(1, 1, 2, now=EARLY["jiffies"], **PINNED)], **EARLY)
    tasks = [dict(hog(), sum_exec_runtime=3000000 + ran)] + late_tasks
    snapshot(g, 2, late_rqs or [rq(0), rq(1, "rt", 0.2)], tasks, steal=steal, **LATE)
    run("-", "-o", "r.json", stdin=g.stream())
    check("r.json")
    return load("r.json")["late"]["ktdump"]["verdicts"]


@test
def the_early_snapshot_is_evidence():
    wait = waiting(1, 1, 4, now=LATE.get("jiffies", NOW), **PINNED)
    # A short break just before the end does not hide it.
    v = dual([wait])
    (h,) = v["hints"]
    assert "there at half-time as well, ran 2.000 of the 2.457 s since" in h["evidence"], h
    assert (v["cpus"][1]["there_early"], v["cpus"][1]["ran_since_early_ns"]) == (True, 2 * S), v["cpus"]
    assert v["cpus"][0]["there_early"] is False and v["cpus"][0]["ran_since_early_ns"] is None
    # It ran for less than half of it; another one ran, or it was of another class.
    assert dual([wait], ran=S)["hints"] == []
    assert dual([wait], early_rqs=[rq(0), rq(1)])["hints"] == []
    assert dual([wait], early_rqs=[rq(0), rq(1, "ext", 1)])["hints"] == []


@test
def the_host_took_the_cpu():
    wait = waiting(1, 0, 4, now=LATE.get("jiffies", NOW))
    v = dual([wait], ran=0, steal=(2 * S, 2 * S))
    assert [(h["kind"], h["cpu"]) for h in v["hints"]] == [("steal", 0)], v["hints"]
    assert v["cpus"][0]["steal_since_early_ns"] == 2 * S == v["cpus"][0]["steal_ns"]
    assert dual([wait], ran=0, steal=(S, S))["hints"] == []


@test
def bounded():
    """Many victims, and a guest that lies."""
    many = [waiting(1, 1, i / 100 + 1, kva=kw.TASKS[0] + 0x10000 * (i + 1), **PINNED) for i in range(40)]
    v = verdicts([rq(0), rq(1, "rt", 3)], [hog()] + many)
    (h,) = v["hints"]
    assert h["nr_victims"] == 40 and len(h["victims"]) == 8, h
    assert [t["kva"] for t in h["victims"]] == [t["kva"] for t in many[:-9:-1]], h["victims"]
    lies = [waiting(1, 2**64 - 1, 3), waiting(2, 7, 3), waiting(3, 1, 3, cpus_mask=b"")]
    assert verdicts([rq(0), rq(1, "rt", 3), dict(rq(1), cpu=2**63), dict(rq(1), cpu=1)], [hog()] + lies)["hints"] == []
    strange = dict(rq(1, "rt", 3), curr_comm=None, curr_pid="x", curr_last_arrival=2**64 - 1, clock_now=2**64 - 1)
    assert verdicts([rq(0), strange], [hog(), many[0]])["hints"] == []


if __name__ == "__main__":
    sys.exit(cli.main(TESTS))
