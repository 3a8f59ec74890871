#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Early and late snapshots become one report: python3 test_dual.py PATH/TO/ktcollect [NAME]...

Prints KTAP.
"""
import os
import signal
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ktwire as kw  # noqa: E402
import test_cli as cli  # noqa: E402
from test_cli import BOOT2, Collector, check, load, no_parts, recv_answer, recv_frame, reports, run, send  # noqa: E402

TESTS = []
EARLY = {"trigger": "early", "exit_kind": 0, "hook": "runnable age", "early_snapshot": None, "early_error": None,
         "age_jiffies": 700, "age_peak_jiffies": 640, "age_threshold_jiffies": 625,
         "mono_ns": 121000000000, "jiffies": 4294999500}
LATE = {"early_snapshot": 1, "early_error": None, "age_jiffies": 1260, "age_peak_jiffies": 1250, "age_threshold_jiffies": 625}


def test(f):
    TESTS.append(f)
    return f


def guest(early=True, late=True, boot=None, **more):
    g = kw.Guest(*[boot] if boot else [])
    if early:
        kw.full_snapshot(g, 1, **EARLY)
    if late:
        kw.full_snapshot(g, 2, **dict(LATE, **more))
    return g


def only_report():
    (path,) = reports()
    no_parts()
    check(path)
    return path, load(path)


@test
def both_from_a_recording():
    r = run("-", stdin=guest().stream())
    path, d = only_report()
    assert r.returncode == 0 and r.stdout.decode() == path + "\n", r
    assert list(d)[:5] == ["schema", "early", "late", "early_max_age_jiffies", "early_threshold_jiffies"], list(d)
    assert (d["schema"], d["early_max_age_jiffies"], d["early_threshold_jiffies"]) == ("dual", 640, 625)
    assert d["early"]["ktdump"]["trigger"]["trigger"] == "early" and d["late"]["ktdump"]["trigger"]["trigger"] == "exit"
    assert (d["early"]["ktdump"]["snapshot"], d["late"]["ktdump"]["snapshot"]) == (1, 2)
    for part in ("early", "late"):
        single = d[part]
        assert single["schema"] == "single" and [m["name"] for m in single["maps"]] == ["queue0", "qmap.bss"], part
    again = run("-", "-o", "again.json", stdin=guest().stream())
    with open(path, "rb") as a, open("again.json", "rb") as b:
        assert a.read() == b.read(), again


@test
def text_and_summary_are_of_the_late_one():
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "sum.md"}
    r = run("-", "-o", "r.json", "--text", "--fail-on-report", stdin=guest().stream(), env=env)
    out = r.stdout.decode()
    assert r.returncode == 3 and out.startswith("BUG SUMMARY: scheduler qmap: ") and '\nsched_ext scheduler "qmap" ended: SCX_EXIT_ERROR_STALL' in out, r
    assert r.stderr.decode().count("::error") == 1, r.stderr
    with open("sum.md", encoding="utf-8") as f:
        text = f.read()
    assert text.count("sched_ext failure") == 1 and "SCX&#95;EXIT&#95;ERROR&#95;STALL" in text, text
    assert run("r.json").stdout.decode() == out


@test
def acknowledged_when_each_is_on_disk():
    c = Collector("--uds", "v", "--once", "--grace", "0.2")
    g = guest()
    n = next(i for i, f in enumerate(g.frames) if f[5] == kw.END) + 1
    with send("v", g, upto=n) as s:
        assert recv_frame(s) == (kw.ACK, 1, 1)
        path, d = only_report()         # safe as a report of its own, but not announced
        assert d["schema"] == "single" and d["ktdump"]["trigger"]["trigger"] == "early"
        s.sendall(b"".join(g.frames[n:]))
        assert recv_frame(s) == (kw.ACK, 2, 2)
    rc, out, err = c.finish()
    assert (rc, out) == (0, path + "\n"), (rc, out, err)
    assert only_report()[1]["schema"] == "dual"


@test
def late_on_another_connection():
    c = Collector("--uds", "v", "--grace", "20")
    g = guest(late=False)
    with send("v", g) as s:
        assert recv_frame(s) == (kw.ACK, 1, 1)
    g = guest(early=False)
    with send("v", g) as s:
        assert recv_frame(s) == (kw.ACK, 1, 2)
    rc, out, err = c.finish(signal.SIGTERM)
    path, d = only_report()
    assert (rc, out, d["schema"]) == (0, path + "\n", "dual"), (rc, out, err)


@test
def early_sent_twice():
    c = Collector("--uds", "v", "--grace", "20")
    with send("v", guest(late=False)) as s:
        assert recv_frame(s) == (kw.ACK, 1, 1)
    with send("v", guest()) as s:       # it did not get the ACK
        assert recv_frame(s) == (kw.ACK, 1, 1) and recv_frame(s) == (kw.ACK, 2, 2)
    rc, out, err = c.finish(signal.SIGTERM)
    path, d = only_report()
    assert (rc, out, d["schema"]) == (0, path + "\n", "dual"), (rc, out, err)


@test
def the_guest_goes_away():
    c = Collector("--uds", "v", "--grace", "0.1", "--fail-on-report")
    with send("v", guest(late=False)) as s:
        assert recv_frame(s) == (kw.ACK, 1, 1)
    rc, out, err = c.finish(signal.SIGTERM)
    path, d = only_report()
    assert (rc, out) == (3, path + "\n"), (rc, out, err)
    assert d["schema"] == "single" and d["ktdump"]["trigger"]["trigger"] == "early"
    r = run("-", "-o", "r.json", "--text", stdin=guest(late=False).stream())
    assert r.stdout.decode().startswith('sched_ext scheduler "qmap" half-way into a stall'), r


@test
def late_breaks_off_and_comes_again():
    c = Collector("--uds", "v", "--grace", "0.1", "-v")
    g = guest()
    with send("v", g, upto=len(g.frames) - 4) as s:
        assert recv_frame(s) == (kw.ACK, 1, 1)
    for _ in range(200):
        if os.path.exists(reports()[0]) and load(reports()[0])["schema"] == "dual":
            break
        cli.time.sleep(0.02)
    path, d = only_report()
    assert d["schema"] == "dual" and d["late"]["ktdump"]["incomplete"] and not d["early"]["ktdump"]["incomplete"]
    with send("v", guest(early=False)) as s:
        assert recv_frame(s) == (kw.ACK, 1, 2)
    c.finish(signal.SIGTERM)
    again, d = only_report()
    assert again == path and not d["late"]["ktdump"]["incomplete"], d["late"]["ktdump"]["missing"]


@test
def guests_are_not_mixed_up():
    r = run("-", stdin=guest(late=False).stream() + guest(early=False, boot=BOOT2).stream())
    assert r.returncode == 0, r
    forms = sorted((load(p)["schema"], load(p)["ktdump"]["trigger"]["trigger"]) for p in reports())
    assert forms == [("single", "early"), ("single", "exit")], forms


def skipped(**more):
    run("-", "-o", "d.json", "--dual", stdin=guest(early=False, **more).stream())
    d = load("d.json")
    check("d.json")
    os.unlink("d.json")
    return d


@test
def reasons():
    for more, want in (
            ({"early_snapshot": None, "early_error": "no BTF", "age_jiffies": 3}, "scan prerequisites unavailable: no BTF"),
            ({"early_snapshot": None, "age_threshold_jiffies": None},
             "scan prerequisites unavailable: the guest's module does not look at ages"),
            ({"age_jiffies": 3}, "scan prerequisites unavailable: early snapshot 1 went to another collector"),
            ({"early_snapshot": None, "age_jiffies": 2, "age_peak_jiffies": 0},
             "scx_tick stall \u2014 no per-task runnable_at data"),
            ({"early_snapshot": None, "age_jiffies": 3, "age_peak_jiffies": 70},
             "max_age never crossed threshold (peak=70j, threshold=625j)"),
            ({"early_snapshot": None, "age_jiffies": 624, "age_peak_jiffies": 70},
             "max_age never crossed threshold (peak=70j, threshold=625j)")):
        d = skipped(**more)
        assert d.get("early_skipped_reason") == want and "early" not in d, (more, d.get("early_skipped_reason"))
    # Without the wish for it the form is single, and a clean end is never dual.
    run("-", "-o", "s.json", stdin=guest(early=False, early_snapshot=None).stream())
    assert load("s.json")["schema"] == "single"
    assert skipped(exit_kind=64)["schema"] == "single"


@test
def late_is_old_enough_to_be_early():
    d = skipped(early_snapshot=None, age_jiffies=625)
    assert d["early"] == d["late"] and "early_skipped_reason" not in d
    assert (d["early_max_age_jiffies"], d["early_threshold_jiffies"]) == (625, 625)


@test
def ages_that_the_guest_does_not_say():
    g = kw.Guest()
    kw.full_snapshot(g, 1, **dict(EARLY, age_peak_jiffies=None, age_threshold_jiffies=0))
    kw.full_snapshot(g, 2, **LATE)
    run("-", "-o", "r.json", stdin=g.stream())
    d = load("r.json")
    # ktstr leaves out what is 0.
    assert d["schema"] == "dual" and "early" in d and not [k for k in d if k.startswith("early_")], list(d)
    assert "\n  early " in run("r.json").stdout.decode()


@test
def many_early_ones():
    """More than are kept: the oldest become reports of their own."""
    g = kw.Guest()
    for nr in range(1, 21):
        kw.full_snapshot(g, nr, **EARLY)
    kw.full_snapshot(g, 21, **dict(LATE, early_snapshot=20))
    kw.full_snapshot(g, 22, **dict(LATE, early_snapshot=1))
    r = run("-", "-o", "d/", stdin=g.stream())
    assert r.returncode == 0, r
    forms = sorted(load("d/" + p)["schema"] for p in os.listdir("d"))
    assert forms == ["dual"] + ["single"] * 20, forms


@test
def ask_for_a_snapshot():
    c = Collector("--uds", "v", "--fail-on-report")
    with send("v", kw.Guest(pending=0)) as s:
        c.p.send_signal(signal.SIGUSR1)
        assert recv_answer(s) == (kw.TAKE, 1, 0, 0)
        g = kw.Guest(pending=0)
        kw.full_snapshot(g, 1, trigger="demand", hook="collector", exit_kind=0)
        s.sendall(b"".join(g.frames[1:]))
        assert recv_frame(s) == (kw.ACK, 2, 1)
        rc, out, err = c.finish(signal.SIGTERM)
    path, d = only_report()
    assert (rc, out) == (0, path + "\n") and d["ktdump"]["trigger"]["trigger"] == "demand", (rc, out, err)
    assert run(path, "--text").stdout.decode().startswith('sched_ext scheduler "qmap" on demand'), path


@test
def timeline():
    g = kw.Guest()
    g.begin(1)
    base = {"mono_ns": 0, "sched_kva": kw.SCHED, "SCX_EV_SELECT_CPU_FALLBACK": 1, "SCX_EV_REENQ_REPEAT": 2,
            "SCX_EV_BYPASS_DURATION": 1 << 40, "SCX_EV_NEW_ONE": 5, "SCX_EV_ODD": None}
    g.add(kw.ROWS, "timeline", [dict(base, mono_ns=t, SCX_EV_SELECT_CPU_FALLBACK=v)
                                for t, v in ((300000000, -1), (100999999, 7), (200000000, 8))], 1)
    g.end(1)
    run("-", "-o", "t.json", stdin=g.stream())
    check("t.json")
    d = load("t.json")
    rows = d["event_counter_timeline"]
    assert [(r["elapsed_ms"], r["select_cpu_fallback"]) for r in rows] == [(100, 7), (200, 8), (300, -1)], rows
    assert len(rows[0]) == 14 and rows[0]["reenq_local_repeat"] == 2 and rows[0]["bypass_duration"] == 1 << 40
    assert rows[0]["sub_bypass_dispatch"] == 0
    assert d["ktdump"]["timeline"][0] == {"mono_ns": 100999999, "sched_kva": kw.SCHED,
                                          "counters": {"SCX_EV_NEW_ONE": 5, "SCX_EV_ODD": None}}
    g = kw.Guest()
    g.begin(1)
    g.add(kw.ROWS, "timeline", [dict(base, mono_ns=None)], 1)
    g.end(1)
    run("-", "-o", "n.json", stdin=g.stream())
    check("n.json")
    assert "event_counter_timeline" not in load("n.json")


@test
def sched_timeline():
    ev = kw.sched_event
    lock = kw.BASE + 0x42
    cpus = {0: [ev(50, 1, 1, 7, 120, 8, 256, 49, b"prev\xff", b"next" + b"x" * 12), ev(90, 2, 2, 9, -1, 1, comm=b"dl"),
                ev(90, 3, 200), ev(90, 4, 3, 9, other=3, arg=2, comm=b"dl\0left")],
            1: [ev(60, 9, 4, 7, 120, other_prio=49, comm=b"low"), ev(70, 10, 5, 7, arg=1, tail=struct.pack("<Q", lock)),
                ev(90, 11, 6, 7, arg=0xFFFFFFFC, tail=struct.pack("<Q", lock))]}
    cols = ["cpu", "window_ms", "lost", "data"]
    g = kw.Guest()
    g.begin(1)
    g.add(kw.ROWS, "sched_timeline", [
        {"cpu": 1, "window_ms": 500, "lost": 5, "data": b"".join(cpus[1])},
        {"cpu": 0, "window_ms": 500, "lost": 2, "data": b"".join(cpus[0][:2])},
        {"cpu": 0, "window_ms": 500, "lost": 2, "data": b"".join(cpus[0][2:]) + b"half"},
        {"cpu": 2, "window_ms": 500, "lost": 0, "data": b""}], 1, columns=cols)
    g.add(kw.ROWS, "counter", [{"trigger_count": 1, "timeline_count": 3, "pi_count": 4, "pi_drops": None,
                                "lock_contend_count": 6, "pi_class_change_count": 2}], 1)
    g.end(1)
    run("-", "-o", "s.json", stdin=g.stream())
    check("s.json")
    t = load("s.json")["ktdump"]["sched_timeline"]
    # One event is of a kind that nobody knows yet.
    assert (t["clock"], t["window_ms"], t["lost"]) == ("mono", 500, 8), t
    assert t["events"] == [
        {"ns": 50, "cpu": 0, "kind": "switch", "prev_pid": 7, "prev_comm": "prev\ufffd", "prev_state": 256, "prev_prio": 120,
         "next_pid": 8, "next_comm": "next" + "x" * 12, "next_prio": 49},
        {"ns": 60, "cpu": 1, "kind": "pi_boost", "pid": 7, "comm": "low", "old_prio": 120, "new_prio": 49},
        {"ns": 70, "cpu": 1, "kind": "contention_begin", "pid": 7, "lock": lock, "flags": 1},
        {"ns": 90, "cpu": 0, "kind": "wakeup", "pid": 9, "comm": "dl", "prio": -1, "target_cpu": 1},
        {"ns": 90, "cpu": 0, "kind": "migrate", "pid": 9, "comm": "dl", "orig_cpu": 2, "dest_cpu": 3},
        {"ns": 90, "cpu": 1, "kind": "contention_end", "pid": 7, "lock": lock, "flags": -4}], t["events"]
    c = load("s.json")["probe_counters"]
    assert len(c) == 15 and {k: v for k, v in c.items() if v} == {
        "timeline_count": 3, "pi_count": 4, "lock_contend_count": 6, "pi_class_change_count": 2, "trigger_count": 1}, c


@test
def sched_timeline_is_bounded():
    g = kw.Guest()
    g.begin(1)
    for i in range(600):
        data = b"".join(kw.sched_event(i * 110 + k, i * 110 + k + 1, 2, 9, 120, 1, comm=b"w") for k in range(110))
        g.add(kw.ROWS, "sched_timeline", [{"cpu": 0, "window_ms": 1, "lost": 2**64 - 500, "data": data}], 1, header=not i)
    g.end(1)
    run("-", "-o", "b.json", stdin=g.stream())
    t = load("b.json")["ktdump"]["sched_timeline"]
    assert len(t["events"]) == 65536 and t["events"][-1]["ns"] == 65999 and t["events"][0]["ns"] == 464
    assert t["lost"] == 2**64 - 500 + 464, t["lost"]


HASH = {"kva": 0x5000, "id": 7, "name": "h", "map_type": 1, "key_size": 4, "value_size": 4, "max_entries": 8}


def side(g, nr, tasks, queues, entries, calls, cut=None, **begin):
    """One snapshot: tasks as {index: more}, queues as {kva: nr}, a hash {key: value}."""
    def rows(table, dicts):
        for i in range(0, len(dicts), 100):
            g.add(kw.ROWS, table, dicts[i:i + 100], nr, header=not i)
    g.begin(nr, **begin)
    rows("sched", [{"kva": kw.SCHED, "root": True, "parent_kva": 0, "name": "one", "exit_kind": 0}])
    rows("dsq", [{"kva": kva, "sched_kva": kw.SCHED, "origin": "user", "cpu": None, "node": None, "id": kva & 0xFFF,
                  "nr": n, "seq": 1, "lock": 0, "end": "ok"} for kva, n in queues.items()])
    rows("rq", [{"cpu": 0, "kva": kw.RQ[0], "nr_switches": 1000 + calls, "curr_pid": 100}])
    rows("task", [kw.task(i, **more) for i, more in tasks.items()])
    rows("map", [HASH])
    rows("event", [{"sched_kva": kw.SCHED, "SCX_EV_A": 5, "SCX_EV_B": calls}])
    stream = b"".join(kw.record(0x6000 + k, k.to_bytes(4, "little") + bytes(4) + v.to_bytes(4, "little")) for k, v in entries.items())
    g.record(nr, HASH["kva"], stream)
    rows("content", [{"map_kva": HASH["kva"], "form": "hash", "seen": len(entries), "taken": len(entries), "unreadable": 0,
                      "bytes": len(stream), "ns": 1, "cut": cut, "limit": 1, "error": None}])
    g.end(nr)


@test
def difference():
    g = kw.Guest()
    wait = {"runnable_on": 0, "scx_runnable_at": 77, "scx_dsq": 0x8007}
    side(g, 1, {0: wait, 1: dict(wait, nvcsw=5), 2: {}}, {0x8007: 2, 0x8008: 1, 0x8009: 4}, {1: 10, 2: 20, 3: 30}, 3, **EARLY)
    side(g, 2, {0: wait, 1: dict(wait, nvcsw=6, cpu=1), 3: {}}, {0x8007: 5, 0x8009: 4, 0x800a: 0}, {1: 10, 2: 21, 4: 40}, 9, **LATE)
    r = run("-", "-o", "r.json", "--text", stdin=g.stream())
    assert r.returncode == 0, r
    check("r.json")
    d = load("r.json")["ktdump"]["difference"]
    assert d["elapsed_ns"] == 2456789012 and d["elapsed_jiffies"] == 500, d
    assert d["counters"] == [{"sched_kva": kw.SCHED, "counters": {"SCX_EV_B": 6}}], d["counters"]
    assert {q["kva"]: (q["early_nr"], q["late_nr"]) for q in d["dsqs"]} == {0x8007: (2, 5), 0x800a: (None, 0), 0x8008: (1, None)}
    assert d["rqs"] == [{"cpu": 0, "switches": 6, "early_pid": 100, "late_pid": 100}], d["rqs"]
    assert [t["pid"] for t in d["stuck"]] == [100], d["stuck"]
    assert d["tasks"] == [{"kva": kw.TASKS[1], "pid": 101, "comm": "worker/1", "switches": 1, "run_ns": 0,
                           "early_cpu": 0, "late_cpu": 1}], d["tasks"]
    assert (d["dsqs_changed"], d["tasks_stuck"], d["tasks_changed"], d["tasks_new"], d["tasks_gone"]) == (3, 1, 1, 1, 1)
    (m,) = d["maps"]
    assert (m["id"], m["leaves_changed"]) == (7, 3), m
    assert {x["path"]: (x["early"], x["late"]) for x in m["leaves"]} == {
        "[02 00 00 00]": ("14 00 00 00", "15 00 00 00"), "[03 00 00 00]": ("1e 00 00 00", None),
        "[04 00 00 00]": (None, "28 00 00 00")}, m["leaves"]
    out = r.stdout.decode()
    assert "Since half-time, 2.457 s before" in out and "user 0x7: 2 to 5" in out and "SCX_EV_B +6" in out, out


@test
def a_map_that_was_cut_is_not_compared():
    g = kw.Guest()
    side(g, 1, {}, {}, {1: 10}, 0, cut="deadline", **EARLY)
    side(g, 2, {}, {}, {1: 10, 2: 20}, 0, **LATE)
    run("-", "-o", "r.json", stdin=g.stream())
    check("r.json")
    assert load("r.json")["ktdump"]["difference"]["maps"] == [
        {"map_kva": HASH["kva"], "id": 7, "name": "h", "skipped": "not whole in both"}]


@test
def difference_is_bounded():
    g = kw.Guest()
    for nr, begin in ((1, EARLY), (2, LATE)):
        side(g, nr, {}, {0x10000 + i * 16: nr for i in range(1000)}, {k: k + nr for k in range(1000)}, 0, **begin)
    run("-", "-o", "r.json", stdin=g.stream())
    check("r.json")
    d = load("r.json")["ktdump"]["difference"]
    assert (len(d["dsqs"]), d["dsqs_changed"]) == (256, 1000)
    assert (len(d["maps"][0]["leaves"]), d["maps"][0]["leaves_changed"]) == (128, 1000)


if __name__ == "__main__":
    sys.exit(cli.main(TESTS))
