# SPDX-License-Identifier: GPL-2.0-only
"""Snapshots before an exit and without one: early, on demand, event counters over time."""
import re
import signal
import subprocess
import tempfile

from _common import Rig, dsq_by_id, exit_line, no_servers, scheduler_named, task_named, wait_host
from guest import HostStall
from robust import FAULT, faults
from verdict import culprits

LOST = 0x57A11
NO_DATA = "scx_tick stall \u2014 no per-task runnable_at data"


def waited(report):
    return {t["comm"]: t["scx"]["runnable_age_jiffies"] for t in report["ktdump"]["tasks"] if t["runnable_on"] is not None}


def early_of(r):
    """The early part of the dual report."""
    early = r.dual["early"]
    if early["ktdump"]["freeze"]["truncated_at_us"] is not None:
        raise HostStall(f"the early capture was cut: {early['ktdump']['freeze']}")
    return early


def test_stall_dual(ctx):
    """Half-way into a stall a snapshot is taken; both are one report, and differ as the tasks do."""
    with Rig(ctx, "early_percent=50") as r:
        r.scheduler("--set ops.timeout_ms=6000 /stall.bpf.o")
        r.g.start("work sleepers victim 3")
        # A second group comes when the first has waited for its half-time.
        wait_host(lambda: "half-way into a stall" in r.collector.stderr(), 60, "an early snapshot")
        assert not r.paths(), "the early one was announced"
        r.g.start("work sleepers victimlate 2")
        late = r.report()
        r.ended()
        dual, early = r.dual, early_of(r)
        hz = late["ktdump"]["kernel"]["hz"]
        assert dual["early_threshold_jiffies"] == 3 * hz, dual["early_threshold_jiffies"]
        # Looked at every 100 ms; the host may take the CPU away for longer.
        assert 3 * hz <= dual["early_max_age_jiffies"] < 5 * hz, dual["early_max_age_jiffies"]
        e, t = early["ktdump"]["trigger"], late["ktdump"]["trigger"]
        assert (e["trigger"], e["context"], e["hook"], e["exit_kind"]) == ("early", "hardirq", "runnable age", 0), e
        assert t["early_snapshot"] == early["ktdump"]["snapshot"] == 1 and late["ktdump"]["snapshot"] == 2
        assert early["ktdump"]["exits"] == [] and early["scx_sched_state"]["exit_kind"] == 0
        # What waits: three first, then five.
        names = {"victim0", "victim1", "victim2"}
        q = [dsq_by_id(s, LOST) for s in (early, late)]
        assert (q[0]["nr"], q[1]["nr"]) == (3, 5), q
        assert q[1]["task_kvas"][:3] == q[0]["task_kvas"], q
        before, after = waited(early), waited(late)
        assert names <= set(before) and names | {"victimlate0", "victimlate1"} <= set(after), (before, after)
        gone = t["jiffies"] - e["jiffies"]
        for name in names:
            assert before[name] + gone == after[name], (name, before, after, gone)
            assert task_named(early, name)["nvcsw"] == task_named(late, name)["nvcsw"]
        assert max(before[n] for n in names) <= e["age_jiffies"] <= dual["early_max_age_jiffies"] + hz
        # The difference says the same.
        diff = dual["ktdump"]["difference"]
        assert {t["comm"] for t in diff["stuck"]} == names, diff["stuck"]
        assert diff["elapsed_jiffies"] == gone
        (lost,) = [d for d in diff["dsqs"] if d["id"] == LOST]
        assert (lost["early_nr"], lost["late_nr"]) == (3, 5), lost
        leaves = {x["path"]: (x["early"], x["late"]) for m in diff["maps"] for x in m.get("leaves", ())}
        assert leaves["nr_lost"] == (3, 5), leaves
        assert all(q["switches"] > 0 for q in diff["rqs"][:1]) and len(diff["rqs"]) == 4
        was, now = (scheduler_named(s, "stall")["event_counters"] for s in (early, late))
        moved = {k: now[k] - was[k] for k in now if now[k] != was[k]}
        assert [c["counters"] for c in diff["counters"]] == [moved], (diff["counters"], moved)
        # Nobody but the scheduler is to blame.
        assert not culprits(late), late["ktdump"]["verdicts"]["hints"]
        # The map that counts them.
        for s, n in ((early, 3), (late, 5)):
            bss = [m for m in s["maps"] if m["name"].endswith(".bss")]
            values = {m["name"]: m["value"] for b in bss for m in b["value"]["members"]}
            assert values["nr_lost"]["value"] == n, values["nr_lost"]


def test_total_stall(ctx):
    """No task runs any more, no kworker and no watchdog: early snapshot and samples come all the same."""
    with Rig(ctx, "early_percent=50") as r:
        r.scheduler("--set everything=1 --set ops.timeout_ms=4000 /stall.bpf.o")
        r.g.start("work sleepers victim 3")
        late = r.report(whole=False)
        early = r.dual["early"]
        assert late["ktdump"]["trigger"]["exit_kind"] == 1026
        assert early["ktdump"]["trigger"]["trigger"] == "early"
        # Nothing but the victims and what shares their fate waits.
        if not any(s["ktdump"]["freeze"]["truncated_at_us"] for s in (early, late)):
            q = [dsq_by_id(s, LOST) for s in (early, late)]
            assert q[0]["nr"] > 3 and set(q[0]["task_kvas"]) <= set(q[1]["task_kvas"]), q
        start, end = (s["ktdump"]["trigger"]["mono_ns"] / 1e6 for s in (early, late))
        samples = [s["elapsed_ms"] for s in late["event_counter_timeline"] if start <= s["elapsed_ms"] <= end]
        gaps = [b - a for a, b in zip([start] + samples, samples + [end])]
        print(f"# {len(samples)} samples in {end - start:.0f} ms, longest gap {max(gaps):.0f} ms")
        # 100 ms and one freeze, and what the host takes.
        assert len(samples) >= (end - start) / 200 and max(gaps) < 700, gaps
        r.ended()


def test_before_half_time(ctx):
    """An error before any task has waited for long: the dual form says so, the usual one stays single."""
    with Rig(ctx, "early_percent=50", collect=["--dual"]) as r:
        r.scheduler("--set ops.timeout_ms=8000 /error.bpf.o")
        r.g.sh("work once trigger")
        late = r.report(whole=False)
        r.ended()
        hz = late["ktdump"]["kernel"]["hz"]
        why = r.dual["early_skipped_reason"]
        m = re.fullmatch(rf"max_age never crossed threshold \(peak=(\d+)j, threshold={4 * hz}j\)", why)
        assert m and int(m.group(1)) < 4 * hz or why == NO_DATA, why
        assert "early" not in r.dual
        r.rmmod()
        r.insmod("early_percent=0")
        r.scheduler("/error.bpf.o", name="again")
        r.g.sh("work once trigger")
        r.report(whole=False)
        r.ended("again")
        assert r.dual["early_skipped_reason"] == "scan prerequisites unavailable: switched off in the guest (early_percent=0)"


def test_recovers(ctx):
    """A stall that ends by itself: the next one, later, has an early snapshot of its own."""
    with Rig(ctx, "early_percent=25") as r:
        no_servers(r.g, 2)
        r.scheduler("--set ops.timeout_ms=6000 /simple.bpf.o")
        r.g.start("work sleepers victim 1 2", log="/tmp/v")
        r.g.wait_for("grep -q woken /tmp/v")

        def early(nr):
            wait_host(lambda: r.g.check() or r.collector.stderr().count("half-way into a stall") == nr, 60, f"early snapshot {nr}")
        hog = r.g.start("env WORK_SECONDS=3 work hog hog 1 2")
        early(1)
        r.g.wait_for(f"! [ -d /proc/{hog} ]", timeout=60)
        assert r.g.sh("cat /sys/kernel/sched_ext/state").strip() == "enabled"
        # One watchdog's timeout later nothing that waits was there then.
        end = int(r.g.sh("work now")) + 6 * 10**9
        r.g.wait_for(f"[ $(work now) -gt {end} ]", timeout=60, every=0.5)
        r.g.start("env WORK_SECONDS=12 work hog hog 1 2")
        early(2)
        late = r.report(whole=False)
        assert late["ktdump"]["trigger"]["exit_kind"] == 1026
        assert (late["ktdump"]["trigger"]["early_snapshot"], r.dual["early"]["ktdump"]["snapshot"]) == (2, 2), r.dual["early"]["ktdump"]["trigger"]
        r.ended()
test_recovers.once = True       # noqa: E305


def tick_stall(r):
    """Realtime tasks on all CPUs; no task of sched_ext is there, but the watchdog's worker starves."""
    for cpu in range(4):
        no_servers(r.g, cpu)
    r.scheduler("--set ops.flags=8 --set ops.timeout_ms=4000 /simple.bpf.o")     # SCX_OPS_SWITCH_PARTIAL
    r.g.start("env WORK_SECONDS=9 work hog hog 4")
    late = r.report(whole=False)
    kind, msg = exit_line(r.ended())
    assert kind == 1026 and "watchdog failed to check in" in msg, msg
    return late


def test_tick_stall(ctx):
    """The watchdog itself starves: its heartbeat is what is too old half-way."""
    with Rig(ctx, "early_percent=50") as r:
        tick_stall(r)
        t = r.dual["early"]["ktdump"]["trigger"]
        hz = r.dual["late"]["ktdump"]["kernel"]["hz"]
        assert t["hook"] == "watchdog heartbeat", t
        # It is late when half the timeout and the slack of a timer and of its worker are over.
        assert 2.5 * hz <= r.dual["early_max_age_jiffies"] < 4 * hz, r.dual["early_max_age_jiffies"]
        assert r.dual["early_threshold_jiffies"] == 2 * hz
        assert all(not q["runnable_task_kvas"] for q in r.dual["early"].get("rq_scx_states", ()))


def test_tick_stall_unseen(ctx):
    """The same where the heartbeat cannot be read: no age was ever seen."""
    with Rig(ctx, insmod=False, collect=["--dual"], files=faults(ctx)) as r:
        r.insmod("early_percent=50")
        r.g.sh(f"echo no_beat >{FAULT}")
        tick_stall(r)
        assert r.dual["early_skipped_reason"] == NO_DATA and "early" not in r.dual, r.dual.get("early_skipped_reason")


SNAPSHOT = "/sys/module/ktdump/parameters/snapshot"


def test_on_demand(ctx):
    """Many snapshots of a busy scheduler, from all three who may ask: it goes on, and nothing is lost."""
    count = 60
    with tempfile.TemporaryDirectory(prefix="kt-") as tmp, \
            Rig(ctx, "early_percent=50", collect=["--max-reports", "1000", "--control", f"{tmp}/ctl"]) as r:
        rc, _ = r.g.run(f"echo >{SNAPSHOT}")
        assert rc == 0
        first = r.report()
        assert first["ktdump"]["trigger"]["trigger"] == "demand" and first["ktdump"]["trigger"]["scx_root"] == 0
        r.scheduler("--set ops.timeout_ms=3000 /simple.bpf.o")
        r.g.start("work yield busy 6")
        took = r.g.sh(f"s=$(work now); n=0; while [ $n -lt {count} ]; do echo >{SNAPSHOT} 2>/dev/null && n=$((n+1)); usleep 100000; done; "
                      "echo $(( ($(work now) - s) / 1000000 ))", timeout=120)
        print(f"# {count} snapshots in {took.strip()} ms")
        wait_host(lambda: r.g.check() or len(r.paths()) > count, 60, f"{count} reports")
        runs = []
        for i in range(count):
            s = r.report(schemas=i % 20 == 0, whole=False)
            t = s["ktdump"]["trigger"]
            assert (t["trigger"], t["hook"], t["context"]) == ("demand", "parameter snapshot", "task"), t
            assert s["ktdump"]["exits"] == []
            if s["ktdump"]["freeze"]["truncated_at_us"] is not None:
                continue        # the host took a CPU away: nothing can be said about the rest
            assert s["scx_sched_state"]["exit_kind"] == 0
            runs.append(sum(t["nvcsw"] + t["nivcsw"] for t in s["ktdump"]["tasks"] if t["comm"].startswith("busy")))
        print(f"# {len(runs)} of them whole")
        if len(runs) < count / 2:
            raise HostStall(f"only {len(runs)} of {count} captures were whole")
        assert all(a < b for a, b in zip(runs, runs[1:])), runs
        # The host asks.
        r.collector.proc.send_signal(signal.SIGUSR1)
        assert r.report(whole=False)["ktdump"]["trigger"]["hook"] == "collector"
        asked = subprocess.run([r.collector.proc.args[0], "snapshot", "--control", f"{tmp}/ctl"], stdout=subprocess.PIPE, text=True)
        assert r.report(whole=False)["ktdump"]["trigger"]["hook"] == "collector"
        assert (asked.returncode, asked.stdout) == (0, r.paths()[-1] + "\n"), asked
        # It is still the same scheduler, and it ends when it is told to.
        assert r.g.sh("cat /sys/kernel/sched_ext/state").strip() == "enabled"
        r.g.sh(f"kill {r.pids['run']}")
        assert exit_line(r.ended())[0] == 64
        r.no_more_reports()


def test_interval(ctx):
    """Every half second one; then the scheduler dies, which is reported as ever."""
    with Rig(ctx, "early_percent=50 interval_ms=500") as r:
        r.scheduler("--set ops.timeout_ms=3000 /stall.bpf.o")
        for _ in range(4):
            t = r.report(whole=False)["ktdump"]["trigger"]
            assert (t["trigger"], t["hook"], t["context"]) == ("demand", "interval", "hardirq"), t
        r.g.start("work sleepers victim 2")
        while True:
            s = r.report(schemas=False, whole=False)
            if s["ktdump"]["trigger"]["trigger"] == "exit":
                break
        assert r.dual["early"]["ktdump"]["trigger"]["hook"] == "runnable age"
        r.ended()


def test_short_interval(ctx):
    """Snapshots may come more often than samples of event counters."""
    with Rig(ctx, "sample_ms=400 interval_ms=100 max_map_entries=0") as r:
        r.scheduler("/simple.bpf.o")
        at = [r.report(whole=False, schemas=False)["ktdump"]["trigger"]["mono_ns"] for _ in range(10)]
        # Those in between that find two others unacknowledged are left out.
        gaps = [(b - a) / 1e6 for a, b in zip(at, at[1:])]
        print(f"# gaps: {', '.join(f'{g:.0f}' for g in gaps)} ms", flush=True)
        assert min(gaps) < 300, gaps
