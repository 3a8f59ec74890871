# SPDX-License-Identifier: GPL-2.0-only
"""What the CPUs ran before a snapshot, against what a test made them run."""
import os
import re

from _common import Rig, wait_host

SNAPSHOT = "/sys/module/ktdump/parameters/snapshot"
FAULT = "/sys/module/ktdump/parameters/fault"


def snapshot(r):
    r.g.sh(f"echo >{SNAPSHOT}")
    return r.report(whole=False)


def in_order(events, *wanted):
    """Finds each of these after the one before; returns what was found."""
    found, rest = [], iter(events)
    for want in wanted:
        e = next((e for e in rest if all(e.get(k) == v for k, v in want.items())), None)
        assert e, f"no {want} after {found[-1:]}"
        found.append(e)
    return found


def test_sequence(ctx):
    """Wakeups, switches, a boost and a migration made by hand: in order, with the right pids and CPUs."""
    with Rig(ctx, "sched_timeline_kib=4096 sched_timeline_ms=600000") as r:
        g = r.g
        g.start("work wake woken 4", log="/tmp/wake")
        g.wait_for("grep -q ^woken /tmp/wake")
        g.start("work pi boost 2", log="/tmp/pi")
        g.wait_for("grep -q '^task 1' /tmp/pi")
        g.start("work spin mover 1 1", log="/tmp/spin")
        g.wait_for("grep -q ^woken /tmp/spin")
        wake, pi, spin = ({int(i): int(tid) for i, tid in re.findall(r"^task (\d+) (\d+)$", g.sh(f"cat /tmp/{f}"), re.M)}
                          for f in ("wake", "pi", "spin"))
        g.sh(f"taskset -p 8 {spin[0]}")     # CPU 3
        g.wait_for(f"[ $(cut -d' ' -f39 /proc/{spin[0]}/stat) = 3 ]")
        report = snapshot(r)
        t, trigger = report["ktdump"]["sched_timeline"], report["ktdump"]["trigger"]
        events = t["events"]
        assert (t["clock"], t["window_ms"]) == ("mono", 600000), {**t, "events": len(events)}
        assert [e["ns"] for e in events] == sorted(e["ns"] for e in events)
        # A CPU goes on until it is parked.
        assert events[-1]["ns"] <= trigger["mono_ns"] + report["ktdump"]["freeze"]["rendezvous_ns"], (events[-1], trigger)
        assert {e["cpu"] for e in events} == set(range(4))
        # main wakes them one by one, on the CPU where all of them stay
        woken = in_order(events, *({"kind": "wakeup", "pid": wake[i], "comm": f"woken{i}", "cpu": 0, "target_cpu": 0}
                                   for i in range(4)))
        for i, e in enumerate(woken):
            later = [x for x in events if x["ns"] >= e["ns"]]
            in_order(later, {"kind": "switch", "cpu": 0, "next_pid": wake[i], "next_comm": f"woken{i}", "next_prio": 120},
                     {"kind": "switch", "cpu": 0, "prev_pid": wake[i], "prev_comm": f"woken{i}", "prev_state": 1})
        in_order(events, {"kind": "pi_boost", "pid": pi[0], "comm": "boost-low", "old_prio": 120, "new_prio": 89, "cpu": 2},
                 {"kind": "switch", "cpu": 2, "prev_pid": pi[1], "prev_prio": 89})
        # It sleeps now and then until the other one waits.
        in_order([e for e in events if e["kind"] != "pi_boost" or e["pid"] == pi[0]], {"kind": "pi_boost"},
                 {"kind": "switch", "cpu": 2, "next_pid": pi[0], "next_comm": "boost-low", "next_prio": 89})
        in_order(events, {"kind": "switch", "cpu": 1, "next_pid": spin[0]},
                 {"kind": "migrate", "pid": spin[0], "comm": "mover", "orig_cpu": 1, "dest_cpu": 3},
                 {"kind": "switch", "cpu": 3, "next_pid": spin[0]})
        # A CPU runs what it switched to last.
        for c in report["ktdump"]["cpus"]:
            last = [e for e in events if e["kind"] == "switch" and e["cpu"] == c["cpu"]][-1]
            assert (last["next_pid"], last["next_comm"]) == (c["pid"], c["comm"]), (last, c)
        pc = report["probe_counters"]
        assert t["lost"] == 0 == pc["timeline_drops"] + pc["pi_drops"] + pc["lock_contend_drops"], (t["lost"], pc)
        assert pc["timeline_count"] >= sum(e["kind"] in ("switch", "wakeup", "migrate") for e in events)
        assert pc["pi_count"] >= 1 and pc["pi_class_change_count"] >= 1, pc
        assert not [m for m in report["ktdump"]["missing"] if m["section"] == "sched_timeline"]
        g.sh("killall -9 work")
        r.rmmod()

        # A ring of 64 events, far too small for what four writers of one pipe do.
        r.insmod("sched_timeline_kib=4 sched_timeline_ms=60000")
        g.start("sh -c '(yes & yes & yes & yes) | cat >/dev/null'")
        seen = []

        def contended():
            late = snapshot(r)
            seen[:] = [late]
            t = late["ktdump"]["sched_timeline"]
            return t["lost"] > 64 and any(e["kind"] == "contention_begin" for e in t["events"])
        wait_host(contended, 60, "events lost, and a lock that is waited for")
        late = seen[0]
        g.sh("killall -9 yes")
        t, pc = late["ktdump"]["sched_timeline"], late["probe_counters"]
        per_cpu = [sum(e["cpu"] == cpu for e in t["events"]) for cpu in range(4)]
        drops = pc["timeline_drops"] + pc["pi_drops"] + pc["lock_contend_drops"]
        assert drops >= t["lost"] - 4 and max(per_cpu) <= 64, (t["lost"], pc, per_cpu)
        lock = next(e for e in t["events"] if e["kind"] == "contention_begin")
        assert lock["lock"] >> 63 and lock["pid"] >= 0 and pc["lock_contend_count"] > 0, lock
        r.rmmod()

        # Off, as it is by default.
        r.insmod()
        off = snapshot(r)
        assert "sched_timeline" not in off["ktdump"], off["ktdump"]["sched_timeline"]
        assert set(off["probe_counters"].values()) == {0}, off["probe_counters"]


def test_half_written(ctx):
    """An exit in an NMI that hits a CPU in the middle of an event: that one is left out, and counted."""
    faults = os.path.join(ctx.build, "kmod-faults", ctx.release, "ktdump.ko")
    ctx.need(faults)
    with Rig(ctx, "sched_timeline_kib=1024 sched_timeline_ms=600000", files={"/ktdump.ko": faults}) as r:
        whole = snapshot(r)["ktdump"]["sched_timeline"]
        assert whole["lost"] == 0 and whole["events"], whole["lost"]
        r.g.sh(f"echo half_event >{FAULT}")
        report = r.report(whole=False)
        t, trigger = report["ktdump"]["sched_timeline"], report["ktdump"]["trigger"]
        assert (trigger["trigger"], trigger["context"]) == ("exit", "nmi"), trigger
        assert t["lost"] == 1 and len(t["events"]) > len(whole["events"]), (t["lost"], len(t["events"]))
        after = snapshot(r)["ktdump"]["sched_timeline"]
        # It was finished when the NMI was over.
        assert after["lost"] == 0, after["lost"]


test_half_written.once = True
