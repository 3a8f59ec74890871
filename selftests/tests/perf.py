# SPDX-License-Identifier: GPL-2.0-only
"""Hardware counters at the freeze."""
from _common import Rig
from robust import faults

SNAPSHOT = "/sys/module/ktdump/parameters/snapshot"


def counters(r):
    r.g.sh(f"echo >{SNAPSHOT}")
    report = r.report(whole=False)
    perf = report["vcpu_perf_at_freeze"]
    why = [m["reason"] for m in report["ktdump"]["missing"] if "hardware counters" in m["reason"]]
    assert len(perf) == 4
    for p, c in zip(perf, report["ktdump"]["cpus"]):
        assert (p is None) == (c["cycles"] is None) == (c["counting_ns"] is None), (p, c)
    return perf, why


def test_counters(ctx):
    """Null and a reason without a PMU; where something counts, every CPU reads its own."""
    with Rig(ctx, insmod=False, files=faults(ctx)) as r:
        r.insmod()
        perf, why = counters(r)
        assert perf == [None] * 4 and len(why) == 1 or None not in perf and not why, (perf, why)
        r.rmmod()
        r.insmod("perf=0")
        assert counters(r) == ([None] * 4, ["no hardware counters: switched off (perf=0)"])
        r.rmmod()
        r.insmod("soft_perf=1")
        first, why = counters(r)
        assert not why, why
        if None in first:
            return ctx.skip(f"a CPU did not come in time: {first}")
        then, _ = counters(r)
        for p, q in zip(first, then):
            # The first two count nanoseconds here.
            assert p["time_enabled_ns"] == p["time_running_ns"] > 0, p
            for key in ("cycles", "instructions"):
                assert p["time_enabled_ns"] / 2 < p[key] < 2 * p["time_enabled_ns"] + 10**9, p
            if q is not None:
                assert q["cycles"] > p["cycles"] and q["cache_misses"] >= p["cache_misses"], (p, q)
        # Context switches.
        assert sum(p["cache_misses"] for p in first) > 0, first
        assert [p["branch_misses"] for p in first] == [0] * 4, first
