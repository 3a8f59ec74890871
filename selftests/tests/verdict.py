# SPDX-License-Identifier: GPL-2.0-only
"""Who kept the tasks of a scheduler off the CPUs, as reports say it."""
import re
import subprocess

from _common import Rig, no_servers, task_named


def culprits(report):
    """What is said about tasks of the guest; its host may take CPUs whenever it likes."""
    return [h for h in report["ktdump"]["verdicts"]["hints"] if h["kind"] != "steal"]


def test_culprits(ctx):
    """A realtime task and one that a lock has made realtime each starve the tasks of a CPU."""
    with Rig(ctx, "early_percent=50") as r:
        no_servers(r.g, 2)
        no_servers(r.g, 3)
        r.scheduler("--set ops.timeout_ms=4000 /simple.bpf.o")
        for cpu in (2, 3):
            r.g.start(f"work sleepers victim{cpu}- 2 {cpu}", log=f"/tmp/v{cpu}")
            r.g.wait_for(f"grep -q woken /tmp/v{cpu}")
        # They end by themselves: the workers of vsock starve beside them.
        r.g.start("env WORK_SECONDS=10 work pi boost 3", log="/tmp/pi")
        r.g.wait_for("grep -q 'task 1' /tmp/pi")
        low, high = (int(t) for t in re.findall(r"^task \d (\d+)$", r.g.sh("cat /tmp/pi"), re.M))
        r.g.start("env WORK_SECONDS=9 work hog hog 1 2", log="/tmp/hog")
        r.g.wait_for("grep -q woken /tmp/hog")
        hog = int(re.search(r"^task 0 (\d+)$", r.g.sh("cat /tmp/hog"), re.M).group(1))
        report = r.report()
        r.ended()
        assert r.dual, "no early snapshot"
        cpus = {c["cpu"]: c for c in report["ktdump"]["verdicts"]["cpus"]}
        hints = {h["cpu"]: h for h in culprits(report)}
        for cpu, pid, comm, kind in ((2, hog, "hog", "higher_class"), (3, low, "boost-low", "lock_holder")):
            h, c = hints[cpu], cpus[cpu]
            assert (h["kind"], h["pid"], h["comm"], h["class"]) == (kind, pid, comm, "rt"), h
            assert (c["pid"], c["class"], c["boosted"]) == (pid, "rt", kind == "lock_holder"), c
            assert c["runnable"]["rt"] >= 1 and c["runnable"]["ext"] >= 2 and c["waiting"] >= 2, c
            assert c["there_early"] and c["ran_since_early_ns"] > 0, c
            assert {t["comm"] for t in h["victims"]} >= {f"victim{cpu}-0", f"victim{cpu}-1"}, h
            assert any("half-time" in e for e in h["evidence"]), h
        assert set(hints) == {2, 3}, hints
        # It had nothing else to do since it was there.
        took = report["ktdump"]["rqs"][2]
        assert cpus[2]["on_cpu_ns"] == took["clock_now"] - took["curr_last_arrival"] > 0, (cpus[2], took)
        assert took["clock_now"] >= took["clock"] >= took["curr_last_arrival"], took
        assert [t["pid"] for t in hints[3]["lock_waiters"]] == [high], hints[3]
        assert task_named(report, "boost-high")["lock_owner"] == task_named(report, "boost-low")["kva"]
        text = subprocess.run([r.collector.proc.args[0], "show", r.paths()[-1]], capture_output=True, text=True, check=True).stdout
        assert f"CPU 2: rt task hog[{hog}] kept " in text and f"CPU 3: rt task boost-low[{low}], lifted by a lock, kept " in text, text
