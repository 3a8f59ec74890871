#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Reports as traces: python3 test_trace.py PATH/TO/ktcollect [NAME]...

Reads them by the rules of the "Trace Event Format". Prints KTAP.
"""
import collections
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_show as ts  # noqa: E402
import test_validate as tv  # noqa: E402

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def run(*args, stdin=None):
    p = subprocess.run([tv.KTCOLLECT, "trace", *args], input=stdin, capture_output=True, timeout=60)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def trace(report):
    rc, out, err = run("-", stdin=json.dumps(report).encode())
    assert rc == 0 and not err, (rc, err)
    t = json.loads(out)
    check(t)
    return t


def check(t):
    """What a reader of the format asks for."""
    assert t["displayTimeUnit"] in ("ns", "ms") and isinstance(t["traceEvents"], list)
    names, threads, slices, counters, waits = set(), set(), collections.defaultdict(list), collections.defaultdict(list), {}
    for e in t["traceEvents"]:
        assert e["ph"] in "MXiCbe" and type(e["pid"]) is int and type(e.get("tid", 0)) is int, e
        assert isinstance(e["name"], str) and len(e["name"]) <= 128 and isinstance(e.get("args", {}), dict), e
        if e["ph"] == "M":
            assert e["name"] in ("process_name", "process_sort_index", "thread_name", "thread_sort_index"), e
            if e["name"] == "process_name":
                assert e["pid"] not in names, e
                names.add(e["pid"])
            elif e["name"] == "thread_name":
                assert (e["pid"], e["tid"]) not in threads, e
                threads.add((e["pid"], e["tid"]))
            continue
        # Nothing is on a track that has no name.
        assert e["pid"] in names and e["ts"] >= 0, e
        if e["ph"] == "X":
            assert e["dur"] >= 0 and (e["pid"], e["tid"]) in threads, e
            slices[e["pid"], e["tid"]].append((e["ts"], e["dur"]))
        elif e["ph"] == "i":
            assert e["s"] in "tpg", e
        elif e["ph"] == "C":
            assert type(e["args"]["value"]) is int, e
            counters[e["pid"], e["name"]].append(e["ts"])
        elif e["ph"] == "b":
            assert (e["cat"], e["id"]) not in waits, e
            waits[e["cat"], e["id"]] = e
        elif e["ph"] == "e":
            assert waits.pop((e["cat"], e["id"]))["ts"] <= e["ts"], e
    assert not waits, waits
    for s in slices.values():
        # One CPU runs one task at a time; microseconds are floats.
        assert all(a[0] + a[1] <= b[0] + 0.002 for a, b in zip(s, s[1:])), s
    for c in counters.values():
        assert c == sorted(c), c
    return slices, counters


def of(t, ph, **want):
    return [e for e in t["traceEvents"] if e["ph"] == ph and all(e.get(k) == v for k, v in want.items())]


def switch(ns, cpu, prev, nxt, state=1):
    return {"ns": ns, "cpu": cpu, "kind": "switch", "prev_pid": prev, "prev_comm": f"t{prev}", "prev_state": state, "prev_prio": 120,
            "next_pid": nxt, "next_comm": f"t{nxt}", "next_prio": 100}


def timeline(*events, mono_ns=10000, **kw):
    return ts.single(ktdump={"trigger": {"mono_ns": mono_ns, "cpu": 1, "exit_kind_name": "SCX_EXIT_ERROR"}, "freeze": {"held_ns": 5},
                             "sched_timeline": {"clock": "mono", "window_ms": 100, "lost": 3, "events": list(events)}}, **kw)


@test
def who_ran_when():
    t = trace(timeline(switch(1000, 0, 7, 8), switch(1500, 1, 5, 0), switch(3000, 0, 8, 0, state=2), switch(4001, 0, 0, 9)))
    runs = [(e["tid"], e["name"], e["ts"], e["dur"], e["args"].get("state after")) for e in of(t, "X")]
    assert runs == [(1, "t7[7]", 1.0, 0.0, 1), (2, "t5[5]", 1.0, 0.5, 1), (1, "t8[8]", 1.0, 2.0, 2), (1, "t9[9]", 4.001, 5.999, None)], runs
    assert [e["args"]["name"] for e in of(t, "M", name="thread_name")] == ["CPU 0", "CPU 1"]
    assert t["otherData"]["lost events"] == "3"
    (f,) = of(t, "i", name="freeze")
    assert (f["ts"], f["s"], f["args"]["exit"]) == (10.0, "g", "SCX_EXIT_ERROR"), f


@test
def out_of_order_and_lost():
    # Sorted by time; a switch away from somebody else says that one is missing.
    t = trace(timeline(switch(3000, 0, 8, 9), switch(1000, 0, 7, 8), switch(5000, 0, 77, 78)))
    assert [(e["name"], e["args"].get("state after")) for e in of(t, "X")] == [("t7[7]", 1), ("t8[8]", 1), ("t9[9]", None), ("t78[78]", None)]


@test
def instants():
    t = trace(timeline({"ns": 1000, "cpu": 2, "kind": "wakeup", "pid": 5, "comm": "w", "prio": 120, "target_cpu": 3},
                       {"ns": 1001, "cpu": 2, "kind": "migrate", "pid": 5, "comm": "w", "orig_cpu": 3, "dest_cpu": 1},
                       {"ns": 1002, "cpu": 2, "kind": "pi_boost", "pid": 5, "comm": "w", "old_prio": 120, "new_prio": 98},
                       {"ns": 1003, "cpu": 2, "kind": "later_kind", "pid": 5}))
    got = [(e["name"], e["tid"], e["args"]) for e in of(t, "i", s="t")]
    assert got == [("wakes w[5]", 3, {"prio": 120, "target_cpu": 3}), ("migrates w[5]", 3, {"orig_cpu": 3, "dest_cpu": 1}),
                   ("boosts w[5]", 3, {"old_prio": 120, "new_prio": 98})], got


@test
def contention():
    def lock(ns, what, pid, lock=0xffff888000000000, cpu=0):
        return {"ns": ns, "cpu": cpu, "kind": "contention_" + what, "pid": pid, "lock": lock, "flags": 1}
    t = trace(timeline(lock(500, "end", 9), lock(1000, "begin", 5), lock(1100, "begin", 6, "0xabc"), lock(1200, "end", 5), lock(1300, "begin", 7)))
    got = [(e["id"], e["ts"], e["args"]["lock"], e["args"]["ended"]) for e in of(t, "b")]
    assert sorted(got) == [(5, 1.0, "0xffff888000000000", True), (6, 1.1, "0xabc", False), (7, 1.3, "0xffff888000000000", False)], got
    assert sorted(e["ts"] for e in of(t, "e")) == [1.2, 10.0, 10.0]


@test
def counters_and_queues():
    report = ts.load("single-full")
    report["event_counter_timeline"] = [dict(report["event_counter_timeline"][0], elapsed_ms=ms, enq_skip_exiting=v) for ms, v in ((5, 1), (105, 4))]
    t = trace(report)
    assert [(e["ts"], e["args"]["value"]) for e in of(t, "C", name="enq_skip_exiting")] == [(5000.0, 1), (105000.0, 4)]
    assert not of(t, "C", name="reenq_immed")
    assert [(e["ts"], e["args"]["value"]) for e in of(t, "C", name="local cpu 0")] == [(105000.0, 1)]
    dual = {"schema": "dual", "early": timeline(mono_ns=5000, dsq_states=[{"id": 1, "origin": "user", "nr": 2}]),
            "late": timeline(mono_ns=9000, dsq_states=[{"id": 1, "origin": "user", "nr": 7}])}
    t = trace(dual)
    assert [(e["ts"], e["args"]["value"]) for e in of(t, "C", name="user 0x1")] == [(5.0, 2), (9.0, 7)]
    assert len(of(t, "i", name="early freeze")) == 1 and len(of(t, "i", name="freeze")) == 1


@test
def of_every_report():
    for name in ("single-full", "single-minimal", "single-partial", "placeholder", "dual-early", "dual-early-skipped"):
        assert of(trace(ts.load(name)), "i", name="freeze"), name
    t = trace(tv.single())
    assert len([e for e in of(t, "i") if e["name"].startswith("frozen in ")]) > 1, t


@test
def hostile():
    for n in (ts.ODD, "x" * 1000000, "\u00e9" * 1000):
        report = timeline({"ns": 1000, "cpu": 2, "kind": "wakeup", "pid": 5, "comm": n}, dict(switch(1, 0, 1, 2), prev_comm=n, next_comm=n),
                          {"ns": 7, "cpu": 0, "kind": "contention_begin", "pid": 1, "lock": n},
                          dsq_states=[{"id": 1, "origin": n, "nr": 2}], event_counter_timeline=[{"elapsed_ms": 1, n: 5}])
        report["ktdump"]["trigger"].update(exit_kind_name=n, comm=n)
        report["ktdump"]["exits"] = [{"reason": n, "msg": n}]
        report["ktdump"]["rqs"] = [{"cpu": 0, "curr_comm": n, "curr_pid": 1}]
        trace(report)
    junk = (None, True, -1, 2 ** 64 - 1, 1.5, "x", [], {}, [[]], [{}], [None])

    def survives(report):
        rc, out, err = run("-", stdin=json.dumps(report).encode())
        assert rc == 0 and json.loads(out), (rc, err)
    for a in junk:
        # Many in one report: most of a run is its start.
        e = {k: a for k in ("prev_pid", "prev_comm", "next_pid", "comm", "pid", "lock")}
        for b in junk:
            events = [[dict(e, ns=b, cpu=a, kind=kind), dict(e, ns=a, cpu=b, kind=kind), dict(e, ns=5, cpu=0, kind=kind)]
                      for kind in ("switch", "wakeup", "contention_begin", a)]
            report = timeline(*(x for of_kind in events for x in of_kind), event_counter_timeline=a, dsq_states=b, rq_scx_states=a)
            report["ktdump"]["trigger"]["mono_ns"] = b
            survives(report)
        survives(dict(ts.single(event_counter_timeline=a, dsq_states=a, rq_scx_states=a), ktdump=a))


@test
def files():
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "r.json")
        with open(path, "w") as f:
            json.dump(ts.load("single-full"), f)
        assert run(path) == (0, "", "") and sorted(os.listdir(tmp)) == ["r.json", "r.trace.json"]
        assert run("-o", os.path.join(tmp, "x"), path)[0] == 0 and os.path.getsize(os.path.join(tmp, "x")) > 200
        rc, out, err = run("-o", os.path.join(tmp, "nosuch", "x"), path)
        assert rc == 1 and len(err.splitlines()) == 1 and "nosuch" in err, err
        # What is no report is said in one line, also when it is a trace.
        rc, out, err = run(os.path.join(tmp, "r.trace.json"))
        assert rc == 1 and len(err.splitlines()) == 1 and not out, err
    assert run()[0] == 2 and run("a", "b")[0] == 2 and run("--nosuch", "a")[0] == 2 and run("--help")[0] == 0


if __name__ == "__main__":
    sys.exit(tv.main(TESTS))
