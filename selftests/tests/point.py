# SPDX-License-Identifier: GPL-2.0-only
"""Snapshots that a BPF scheduler asks for, and the event that every snapshot leaves."""
import re

from _common import Rig, exit_line

TRACING = "/sys/kernel/tracing"


def captures(g):
    """The ktdump:capture events so far, as dictionaries."""
    lines = re.findall(r" capture: (snapshot=.*)$", g.sh(f"cat {TRACING}/trace"), re.M)
    return [dict(f.split("=") for f in line.split()) for line in lines]


def same(event, report):
    """An event of the trace against the report of its snapshot."""
    kt = report["ktdump"]
    want = {"snapshot": kt["snapshot"], "trigger": kt["trigger"]["trigger"], "exit_kind": kt["trigger"]["exit_kind"],
            **{k: kt["freeze"][k] for k in ("held_ns", "rendezvous_ns", "bytes", "cpus_parked")}}
    assert event == {k: str(v) for k, v in want.items()}, (event, want)


def test_named(ctx):
    """A scheduler prints a line for us: a snapshot at that point, once in point_ms; it goes on."""
    with Rig(ctx, "trigger=any point_ms=600000") as r:
        g = r.g
        g.sh(f"echo 1 >{TRACING}/events/ktdump/capture/enable")
        r.scheduler("/point.bpf.o")
        g.sh("work once trigger-bad")
        pid = g.sh("sh -c 'work once trigger1 & echo $!; wait'")
        g.sh("work once trigger2")
        first = r.report(whole=False)
        t = first["ktdump"]["trigger"]
        assert (t["trigger"], t["hook"], t["exit_kind"]) == ("demand", f"point enqueue.{pid}", 0), t
        # Under the runqueue's lock, in the scheduler's own program.
        assert t["irqs_off"] and any("point_enqueue" in f["symbol"] for f in t["stack"]), t["stack"]
        assert first["ktdump"]["counters"]["point_count"] <= 1 and first["ktdump"]["exits"] == []
        assert not [m for m in first["ktdump"]["missing"] if m["section"] == "point"]
        assert g.sh("cat /sys/kernel/sched_ext/state").strip() == "enabled"
        g.sh(f"kill {r.pids['run']}")
        last = r.report(whole=False)
        assert exit_line(r.ended())[0] == 64
        c = last["ktdump"]["counters"]
        # Each of the tasks has slept twice: at least twice enqueued, bad names do not count.
        assert c["point_count"] == 1 and c["point_skipped"] >= 2, c
        assert last["ktdump"]["trigger"]["trigger"] == "exit"
        events = captures(g)
        assert len(events) == 2, events
        same(events[0], first)
        same(events[1], last)
        r.rmmod()
        assert g.run(f"ls {TRACING}/events/ktdump")[0] != 0

        # A point after the other, as fast as the collector takes them.
        r.insmod("point_ms=0")
        r.scheduler("/point.bpf.o", name="again")
        for i in range(3):
            g.sh(f"work once trigger{i}")
            assert r.report(whole=False, schemas=False)["ktdump"]["trigger"]["hook"].startswith("point enqueue.")
        g.sh(f"kill {r.pids['again']}")
        r.ended("again")
