# SPDX-License-Identifier: GPL-2.0-only
"""What a report says is what was there: the scheduler, its tasks, its queues.

Every report in here also passes check_report.py and is complete, and no test
leaves a complaint in the kernel log (Rig in _common.py sees to both).
"""
import os
import re

from guest import HostStall
from _common import (Rig, all_parked, by_kva, dsq_by_id, exit_line, no_servers, scheduler_named,
                     symbolised, task_named, tasks_named)

LOST_DSQ = 0x57a11  # stall.bpf.c
FIFO_DSQ, PRIO_DSQ = 0xf1f0, 0x9810  # dsq.bpf.c
FIRST_DSQ, NR_DSQS = 0x6d0000, 64  # manyq.bpf.c
SHORT_TIMEOUT = 2000  # ms, stall.bpf.c


def numastat(g):
    """The kernel's NUMA counters, per node, under the report's names."""
    names = {"numa_hit": "numa_hit", "numa_miss": "numa_miss", "numa_foreign": "numa_foreign",
             "interleave_hit": "numa_interleave_hit", "local_node": "numa_local", "other_node": "numa_other"}
    out = []
    for n in range(2):
        text = g.sh(f"cat /sys/devices/system/node/node{n}/numastat")
        out.append({names[k]: int(v) for k, v in re.findall(r"^(\w+) (\d+)$", text, re.M)})
        assert len(out[-1]) == 6, text
    return out


def cpu_times(g):
    """Per CPU: softirq counts, and times in ns under the report's names."""
    tick = 10**9 // 100  # USER_HZ
    names = ("user", "nice", "system", None, "iowait", "irq", "softirq", "steal")
    softirqs, stat = g.sh("cat /proc/softirqs"), g.sh("cat /proc/stat")
    rows = [[int(n) for n in line.split()[1:5]] for line in softirqs.splitlines()[1:]]
    out = []
    for cpu in range(4):
        values = re.search(rf"^cpu{cpu} (.*)$", stat, re.M).group(1).split()
        times = {f"cpustat_{k}_ns": int(v) * tick for k, v in zip(names, values) if k}
        out.append((times, [row[cpu] for row in rows]))
    assert len(rows) == 10, softirqs
    return out


def own_exit(report):
    """The entry of ktdump.exits for the scheduler of the trigger."""
    e = report["ktdump"]["exits"][0]
    assert e["sched_kva"] == report["ktdump"]["trigger"]["sched_kva"] and e["complete"] is True, e
    return e


def stored_kind(report, kind):
    """exit_kind of the instance that ends: a kprobe comes before the kernel has stored it."""
    return 0 if report["ktdump"]["trigger"]["hook"].startswith("kprobe") else kind


def callers(report):
    """The trigger's stack from the kernel's exit function on: what a kprobe puts before it is left out."""
    stack = report["ktdump"]["trigger"]["stack"]
    at = next((i for i, f in enumerate(stack) if re.match(r"scx_(claim_exit|vexit)\+", f["symbol"])), None)
    assert at is not None, stack
    return stack[at:]


def log_has(g, name, reason, msg, kind="scheduler"):
    """The kernel log ends this scheduler with the same words."""
    log = g.dmesg()
    assert f'sched_ext: BPF {kind} "{name}" disabled ({reason})' in log, log[-1500:]
    assert f"sched_ext: {name}: {msg}" in log, log[-1500:]


def per_cpu_and_node(report):
    times = report["per_cpu_time"]
    assert [t["cpu"] for t in times] == [0, 1, 2, 3]
    for t in times:
        # Seconds since boot on every CPU, and interrupts on each.
        assert t["cpustat_idle_ns"] + t["cpustat_system_ns"] + t["cpustat_user_ns"] > 10**9, t
        assert len(t["softirqs"]) == 10 and t["softirqs"][1] > 0, t
    assert sum(t["irqs_sum"] for t in times) > 0
    assert [n["node"] for n in report["per_node_numa"]] == [0, 1]
    for key in ("per_node_numa_unavailable", "task_enrichments_unavailable", "scx_walker_unavailable",
                "prog_runtime_stats_unavailable"):
        assert key not in report, report[key]


def test_stall(ctx):
    """A stalled task: named, found on its queue, with its age, reason and stack."""
    with Rig(ctx) as r:
        r.scheduler("/stall.bpf.o")
        before, times_before = numastat(r.g), cpu_times(r.g)
        r.g.start("work sleepers victim 3", log="/tmp/work")
        report = r.report()
        after, times_after = numastat(r.g), cpu_times(r.g)
        kind, msg = exit_line(r.ended())
        kt = report["ktdump"]
        tids = [int(t) for t in re.findall(r"^task \d+ (\d+)$", r.g.sh("cat /tmp/work"), re.M)]

        # The reason, four times: from the loader, the kernel log, the report.
        e = own_exit(report)
        assert kind == 1026 and (e["kind"], e["kind_name"]) == (1026, "SCX_EXIT_ERROR_STALL"), (kind, e)
        assert kt["trigger"]["exit_kind"] == 1026 and report["scx_sched_state"]["exit_kind"] == 1026
        assert e["reason"] == "runnable task stall" and e["msg"] == msg, (e, msg)
        log_has(r.g, "stall", e["reason"], e["msg"])
        m = re.fullmatch(r"(victim\d)\[(\d+)\] failed to run for (\d+)\.(\d{3})s", msg)
        assert m, msg
        said_ms = int(m.group(3)) * 1000 + int(m.group(4))

        # The tasks: by name, by pid, on the queue, on a runnable list.
        victims = tasks_named(report, "victim")
        assert sorted(t["pid"] for t in victims) == sorted(tids) and len(tids) == 3, (victims, tids)
        blamed = task_named(report, m.group(1))
        assert blamed["pid"] == int(m.group(2))
        q = dsq_by_id(report, LOST_DSQ)
        assert q["origin"] == "user" and q["nr"] == 3, q
        assert set(q["task_kvas"]) == {t["kva"] for t in victims} and len(q["task_kvas"]) == 3, q
        for t in victims:
            lists = [s["cpu"] for s in report["rq_scx_states"] if t["kva"] in s["runnable_task_kvas"]]
            assert lists == [t["runnable_on"]] and t["runnable_on"] == t["cpu"], (lists, t)
            assert {"list": "runnable", "cpu": t["cpu"]} in t["where"], t["where"]
            assert [w["id"] for w in t["where"] if w["list"] == "dsq"] == [LOST_DSQ], t["where"]
            assert (t["sched_class"], t["state_letter"], t["curr_on"]) == ("ext", "R", None), t
            s = t["scx"]
            assert s["sched"] == kt["trigger"]["sched_kva"] and s["dsq_id"] == LOST_DSQ, s
            assert "SCX_TASK_QUEUED" in s["flag_names"] and s.get("runnable_cpu", t["cpu"]) == t["cpu"], s
            assert symbolised(t["stack"]) and any("nanosleep" in f["symbol"] or "futex" in f["symbol"]
                                                  for f in t["stack"]), t["stack"]
        # Where the CPUs are.
        shown = r.g.sh("cd /sys/devices/system/cpu; for n in cpu[0-9]*/node[0-9]*; do echo $n; done")
        nodes = {int(cpu): int(n) for cpu, n in re.findall(r"^cpu(\d+)/node(\d+)$", shown, re.M)}
        assert {c["cpu"]: c["node"] for c in kt["cpus"]} == nodes and all("llc_id" in c for c in kt["cpus"]), (kt["cpus"], shown)
        age = blamed["scx"]["runnable_age_ms"]
        assert SHORT_TIMEOUT <= said_ms <= age <= said_ms + 1000, (said_ms, age)
        assert blamed["scx"]["runnable_age_jiffies"] * 1000 // kt["kernel"]["hz"] == age

        sched = scheduler_named(report, "stall")
        assert sched["kva"] == kt["trigger"]["sched_kva"] == kt["trigger"]["scx_root"] and sched["root"], sched
        assert sched["timeout_ms"] == SHORT_TIMEOUT
        assert report["scx_sched_state"]["watchdog_timeout"] * 1000 // kt["kernel"]["hz"] == SHORT_TIMEOUT

        all_parked(report)
        assert kt["freeze"]["exits"] == [sched["kva"], 1026]
        assert any("scx_watchdog_workfn" in f["symbol"] for f in callers(report)), callers(report)
        assert symbolised(callers(report)) and symbolised(e["bt"]), (callers(report), e["bt"])
        per_cpu_and_node(report)
        for n, lo, hi in zip(report["per_node_numa"], before, after):
            for key in lo:
                assert lo[key] <= n[key] <= hi[key], (key, n["node"], lo[key], n[key], hi[key])
        assert sum(n["numa_hit"] for n in report["per_node_numa"]) > 1000
        for t, (lo, irq_lo), (hi, irq_hi) in zip(report["per_cpu_time"], times_before, times_after):
            for key in lo:  # /proc/stat is in units of 10 ms, rounded down
                assert lo[key] <= t[key] < hi[key] + 10**7, (t["cpu"], key, lo[key], t[key], hi[key])
            for i, n in enumerate(t["softirqs"]):
                assert irq_lo[i] <= n <= irq_hi[i], (t["cpu"], i, irq_lo[i], n, irq_hi[i])


def test_error(ctx):
    """scx_bpf_error() in ops.enqueue(): its kind, its text, where it was called."""
    with Rig(ctx) as r:
        r.scheduler("/error.bpf.o")
        r.g.start("work once trigger")
        report = r.report()
        kind, msg = exit_line(r.ended())
        kt = report["ktdump"]
        e = own_exit(report)
        assert kind == 1025 and (e["kind"], e["kind_name"]) == (1025, "SCX_EXIT_ERROR_BPF"), e
        assert e["msg"] == msg == "ktdump selftest: error on demand 42 in op 0", (e["msg"], msg)
        assert e["reason"] == "scx_bpf_error", e
        log_has(r.g, "error", e["reason"], msg)
        # From inside the BPF program, with the run queue locked.
        assert any(re.match(r"bpf_prog_[0-9a-f]{16}_error_enqueue\+0x", f["symbol"]) for f in callers(report)), callers(report)
        assert any("scx_bpf_error_bstr" in f["symbol"] for f in e["bt"]), e["bt"]
        assert kt["trigger"]["irqs_off"] is True
        task = task_named(report, "trigger")
        # On its way to the queue: TASK_WAKING, which ps shows as R, or preempted.
        assert task["state_letter"] == "R" and task["scx"]["sched"] == e["sched_kva"], task
        all_parked(report)
        per_cpu_and_node(report)


def test_error_text(ctx):
    """Error texts arrive byte for byte: quotes, UTF-8, and one longer than the kernel keeps."""
    odd = 'a "quoted" \\back\\slash, \ttab, %d%s%n {"key": [null]} </script> \x7f\x1b[31m ÄÖ 日本語 𝄞 '
    odd += "€" * ((505 - len(odd.encode())) // 3)
    bad = b"caf\xe9 \xff\xfe end"
    files = {}
    for name, data in (("odd", odd.encode()), ("bad", bad)):
        files["/" + name] = os.path.join(ctx.tmp, name)
        with open(files["/" + name], "wb") as f:
            f.write(data)
    long = (b"%700d " % 0 + odd.encode())[:1023].decode(errors="replace")
    with Rig(ctx, files=files) as r:
        for name, more, want in (("odd", "", odd), ("bad", "", bad.decode(errors="replace")),
                                 ("odd", "--set pad=1", long)):
            r.scheduler(f'{more} --set text="$(cat /{name})" /error.bpf.o')
            r.g.start("work once trigger")
            got = own_exit(r.report())["msg"]
            r.ended()
            assert got == want, f"{name} {more}:\n{got!r}\n{want!r}"
        # And in the kernel log, which has no more than a line's worth of the third.
        assert odd in r.g.dmesg()


def queue_report(r, prefixes, count, whole=True):
    """Queues known tasks, makes the scheduler fail; (report, loader's output)."""
    for prefix in prefixes:
        r.g.start(f"work wake {prefix} {count}", log=f"/tmp/{prefix}")
    for prefix in prefixes:
        r.g.wait_for(f"grep -q woken /tmp/{prefix}", timeout=150, every=0.5)
    r.g.start("work once trigger")
    report = r.report(timeout=120, whole=whole)
    out = r.ended()
    assert exit_line(out)[0] == 1025, out[-500:]
    return report, out


def test_dsq(ctx):
    """300 tasks in a FIFO and 300 in a vtime queue: addresses, pids, vtimes and order."""
    with Rig(ctx) as r:
        r.scheduler("/dsq.bpf.o")
        report, out = queue_report(r, ("q300-", "v300-"), 300)
        kt = report["ktdump"]
        rows = by_kva(report)

        fifo = [(int(p), int(t, 16)) for p, t in re.findall(r"^fifo \d+ (\d+) (0x[0-9a-f]+)$", out, re.M)]
        prio = [(int(p), int(t, 16), int(v)) for p, t, v in
                re.findall(r"^prio \d+ (\d+) (0x[0-9a-f]+) (\d+)$", out, re.M)]
        assert len(fifo) == len(prio) == 300, (len(fifo), len(prio))

        q = dsq_by_id(report, FIFO_DSQ)
        assert q["task_kvas"] == [t for _, t in fifo], "the FIFO's order"
        assert (q["nr"], q["seq"], q["origin"]) == (300, 300, "user"), (q["nr"], q["seq"])
        # The loader's addresses lead to tasks of the loader's pids, and of our names.
        for i, (pid, kva) in enumerate(fifo):
            t = rows[kva]
            assert (t["pid"], t["comm"]) == (pid, f"q300-{i}"), (i, pid, t["pid"], t["comm"])
            assert (t["scx"]["dsq_id"], t["scx"]["dsq_flags"]) == (FIFO_DSQ, 0), t["scx"]
            assert t["scx"]["dsq_seq"] == i + 1, (i, t["scx"]["dsq_seq"])

        # Equal vtimes stay in the order of insertion: sort() is stable, so is the kernel.
        q = dsq_by_id(report, PRIO_DSQ)
        order = sorted(prio, key=lambda row: row[2])
        assert order != prio and len({v for _, _, v in prio}) < 300, "the vtimes prove nothing"
        assert q["task_kvas"] == [t for _, t, _ in order], "the vtime queue's order"
        assert q["nr"] == 300, q["nr"]
        for pid, kva, vtime in prio:
            t = rows[kva]
            assert (t["pid"], t["scx"]["dsq_vtime"], t["scx"]["dsq_id"]) == (pid, vtime, PRIO_DSQ), (pid, vtime, t)
            assert t["scx"]["dsq_flags"] == 1, t["scx"]  # SCX_TASK_DSQ_ON_PRIQ

        own = {d["id"]: d for d in kt["dsqs"]}
        for i, first, vtime in ((FIFO_DSQ, fifo[0][1], False), (PRIO_DSQ, order[0][1], True)):
            d = own[i]
            assert (d["seen"], d["end"], d["first_task"], d["priq"] != 0, d["lock"]) == (300, "ok", first, vtime, 0), d
        # Everybody waits: no queue and no runnable list has fewer than it says.
        for s, q in zip(report["rq_scx_states"], kt["rqs"]):
            assert s["cpu"] == q["cpu"] and len(s["runnable_task_kvas"]) == q["runnable_seen"], s["cpu"]
        for q in report["dsq_states"]:
            assert q["nr"] == len(q["task_kvas"]), q["id"]
        runnable = [t for s in report["rq_scx_states"] for t in s["runnable_task_kvas"]]
        assert len(runnable) == len(set(runnable)) and set(runnable) >= {t for _, t in fifo}
        all_parked(report)


def test_many(ctx):
    """2,000 tasks in 64 queues of our own: each in its queue, in order; the cost is printed."""
    with Rig(ctx, "buf_mib=32") as r:
        r.scheduler("/manyq.bpf.o")
        report, out = queue_report(r, ("many",), 2000, whole=False)
        many = [(int(p), int(t, 16), int(q)) for p, t, q in re.findall(r"^many \d+ (\d+) (0x\w+) (\d+)$", out, re.M)]
        assert len(many) == 2000, len(many)
        missing = {m["section"] for m in report["ktdump"]["missing"]}
        if missing & {"sched", "rq", "dsq", "list"}:
            raise HostStall(f"cut before the queues were taken: {report['ktdump']['freeze']}")
        queues = [q for q in report["dsq_states"] if q["origin"] == "user"]
        assert sorted(q["id"] for q in queues) == list(range(FIRST_DSQ, FIRST_DSQ + NR_DSQS))
        for q in queues:
            want = [t for _, t, dsq in many if dsq == q["id"]]
            assert q["task_kvas"] == want and q["nr"] == len(want), hex(q["id"])
        rows = by_kva(report)
        # Under emulation the deadline may come first.  Then the report says so, and how many.
        sec = {s["table"]: s for s in report["ktdump"]["sections"]}
        if report["ktdump"]["freeze"]["truncated_at_us"] is None:
            assert sec["task"]["rows"] == sec["task"]["seen"] == len(rows) and len(rows) > 2000, (sec["task"], len(rows))
            assert all(rows[t]["pid"] == pid and rows[t]["scx"]["dsq_id"] == dsq for pid, t, dsq in many)
        else:
            print(f"# cut: {len(rows)} of {sec['task']['seen']} tasks: {report['ktdump']['missing']}", flush=True)
            assert sec["task"]["rows"] == len(rows), (sec["task"], len(rows))
            assert missing, "cut, but nothing is missing"


def test_clean_exits(ctx):
    """Unregistration and sysrq-S are counted and make no report, with trigger=any they do."""
    with Rig(ctx) as r:
        exit_line(r.g.sh("scxrun --duration 0.5 /simple.bpf.o", timeout=60))
        out = r.g.sh("scxrun /simple.bpf.o >/tmp/s & until grep -q attached /tmp/s; do sleep 0.1; done; "
                     "echo S >/proc/sysrq-trigger; wait; cat /tmp/s", timeout=60)
        assert exit_line(out)[0] == 67, out
        r.scheduler("/error.bpf.o")
        r.g.start("work once trigger")
        report = r.report()
        r.ended()
        c = report["ktdump"]["counters"]
        assert report["ktdump"]["snapshot"] == 1 and report["probe_counters"]["trigger_count"] == 3, c
        assert (c["trigger_count"], c["error_count"], c["clean_count"], c["captured"], c["nested"]) == (3, 1, 2, 1, 0), c
        assert report["ktdump"]["trigger"]["trigger_count"] == 3
        fired = report["ktdump"]["firings"]
        assert [(f["exit_kind"], f["fate"]) for f in fired] == [(64, "clean"), (67, "clean"), (1025, "captured")], fired
        # When the hook was called, so before the CPUs were stopped.
        times = [f["mono_ns"] for f in fired] + [report["ktdump"]["trigger"]["mono_ns"]]
        assert times == sorted(times) and fired[2]["snapshot"] == 1, (times, fired)
        r.rmmod()

        r.insmod("trigger=any")
        kinds = []
        for how in ("kill -TERM $(pidof scxrun)", "echo S >/proc/sysrq-trigger", "work once trigger"):
            r.scheduler("/error.bpf.o")
            r.g.sh(how)
            report = r.report()
            kind, _ = exit_line(r.ended())
            kinds.append(kind)
            kt = report["ktdump"]
            assert kt["trigger"]["exit_kind"] == report["scx_sched_state"]["exit_kind"] == own_exit(report)["kind"] == kind
            assert kt["counters"]["trigger_count"] == kt["snapshot"] == len(kinds), kt["counters"]
            all_parked(report)
        assert kinds == [64, 67, 1025], kinds
        r.no_more_reports()


def test_init_fails(ctx):
    """A scheduler that fails in ops.init(): a report of what exists by then."""
    with Rig(ctx) as r:
        _, out = r.g.run("scxrun --set error=12 /initfail.bpf.o", timeout=60)
        kind, msg = exit_line(out)
        report = r.report()
        kt = report["ktdump"]
        e = own_exit(report)
        assert kind == 1024 and (e["kind"], e["msg"]) == (1024, msg) and "-12" in msg, (msg, e)
        log_has(r.g, "initfail", e["reason"], msg)
        sched = scheduler_named(report, "initfail")
        assert sched["kva"] == kt["trigger"]["sched_kva"] and sched["exit_kind"] == stored_kind(report, 1024), sched
        assert report["scx_sched_state"]["exit_kind"] == 1024
        assert kt["trigger"]["enable_state_name"] == "SCX_ENABLING", kt["trigger"]
        # Its loader is what ran, and nobody is in its hands yet.
        assert kt["trigger"]["comm"] == "scxrun" or "scx_enable" in kt["trigger"]["comm"], kt["trigger"]
        assert all(t["sched_class"] != "ext" for t in kt["tasks"]), [t["comm"] for t in kt["tasks"]]
        assert all(not s["runnable_task_kvas"] for s in report["rq_scx_states"])
        assert {p["name"] for p in kt["progs"]} == {"initfail_enqueu", "initfail_init", "initfail_exit"}, kt["progs"]
        task_named(report, "scxrun")
        all_parked(report)
        per_cpu_and_node(report)
        assert "disabled" in r.g.sh("cat /sys/kernel/sched_ext/state")


DUMP_CPU = re.compile(r"CPU (\d+) *: nr_run=(\d+) flags=0x([0-9a-f]+) cpu_rel=(\d)(?: ops_qseq=(\d+))? ksync=(\d+)$")
DUMP_RESCUE = re.compile(r" {10}rescue=(\d+) budget=(-?\d+)us rescuing=(.*)\[(-?\d+)\]$")
DUMP_CURR = re.compile(r" {10}curr=(.*)\[(\d+)\] class=(\w+)_sched_class$")
DUMP_TASK = re.compile(r" ([* ])(\S) (.*)\[(\d+)\] (\*?)(root|sub\d+-\d+) ([+-]\d+)ms$")
DUMP_TASK_MORE = (
    (re.compile(r" {6}scx_state/flags=(\d+)/0x([0-9a-f]+) dsq_flags=0x([0-9a-f]+) ops_state/qseq=(\d+)/(\d+)$"),
     (("state", 10), ("flags", 16), ("dsq_flags", 16), ("ops_state", 10), ("qseq", 10))),
    (re.compile(r" {6}sticky/holding_cpu=(-?\d+)/(-?\d+) dsq_id=(?:\(n/a\)|(0x[0-9a-f]+))$"),
     (("sticky_cpu", 10), ("holding_cpu", 10), ("dsq_id", 16))),
    (re.compile(r" {6}dsq_vtime=(\d+) slice=(\d+) weight=(\d+)$"), (("dsq_vtime", 10), ("slice", 10), ("weight", 10))),
    (re.compile(r" {6}cpus=([0-9a-f,]+) no_mig=(\d+)$"), (("cpus", 16), ("no_mig", 10))),
)


def parse_dump(text):
    """The kernel's debug dump: {"cpus": {cpu: {..., "tasks": [...]}}, "events": {...}, "bt": [...]}."""
    out = {"cpus": {}, "events": {}, "bt": [], "head": text.split("\n\n")[0]}
    section, cpu, task = "head", None, None
    for line in text.splitlines():
        if line in ("Backtrace:", "CPU states", "Event counters"):
            section = line
        elif section == "Backtrace:" and line:
            out["bt"].append(line.strip())
        elif section == "Event counters" and ":" in line:
            name, _, value = line.partition(":")
            out["events"][name.strip()] = int(value)
        elif section == "CPU states" and line and line.strip("-"):
            if m := DUMP_CPU.match(line):
                cpu = {"nr_run": int(m[2]), "flags": int(m[3], 16), "cpu_rel": m[4] == "1", "ksync": int(m[6]), "tasks": []}
                if m[5]:  # not on 7.3
                    cpu["ops_qseq"] = int(m[5])
                out["cpus"][int(m[1])] = cpu
            elif m := DUMP_RESCUE.match(line):
                cpu["rescue"] = (int(m[1]), int(m[2]), int(m[4]))
            elif m := DUMP_CURR.match(line):
                cpu["curr"] = (m[1], int(m[2]), m[3])
            elif m := DUMP_TASK.match(line):
                task = {"running": m[1] == "*", "letter": m[2], "comm": m[3], "pid": int(m[4]), "own": m[5] == "*",
                        "sched": m[6], "age_ms": -int(m[7]), "stack": []}
                cpu["tasks"].append(task)
            elif line.startswith("      ") and task:
                for pattern, fields in DUMP_TASK_MORE:
                    if m := pattern.match(line):
                        for (name, base), v in zip(fields, m.groups()):
                            task[name] = None if v is None else int(v.replace(",", ""), base)
                        break
                else:
                    raise AssertionError(f"unknown line in the dump: {line!r}")
            elif line.startswith("    "):
                task["stack"].append(line.strip())
            else:
                assert re.match(r"  \w+ *: [0-9a-f,]+$", line), f"unknown line in the dump: {line!r}"
    assert out["cpus"] and out["events"], text
    return out


def cpu_list(mask):
    """0xb -> "0-1,3"."""
    cpus, parts = [i for i in range(mask.bit_length()) if mask >> i & 1], []
    while cpus:
        n = next((i for i in range(len(cpus)) if i + 1 == len(cpus) or cpus[i + 1] != cpus[i] + 1))
        parts.append(f"{cpus[0]}-{cpus[n]}" if n else f"{cpus[0]}")
        cpus = cpus[n + 1:]
    return ",".join(parts)


def names_of(stack):
    """Symbols without their sizes: the two sides know these differently for BPF programs."""
    return [re.sub(r"(\+0x[0-9a-f]+)/0x[0-9a-f]+", r"\1", s["symbol"] if isinstance(s, dict) else s) for s in stack]


def test_kernel_dump(ctx):
    """The kernel's own debug dump of the same end says the same, field by field.

    Compared, and equal, for every starved task (they stand still): comm, pid, state
    letter, owner, scx state and flags, dsq_flags, ops_state and qseq, sticky_cpu,
    holding_cpu, dsq_id, dsq_vtime, slice, weight, cpus, no_mig, the CPU whose runnable
    list has it, its place among the starved ones there, its stack, and the waiting time
    (the dump is later by the same time for all of them).
    For every CPU that did not schedule in between (ksync, curr and runnable tasks are
    the same): nr_run, flags, cpu_rel, ops_qseq, ksync, rescue, curr's comm, pid and class.
    For other tasks, which run on: owner, weight, cpus.
    Also: head line, exit CPU, backtrace, names of the event counters, and their values
    as lower bounds; a counter that is 0 in the dump is 0.
    Not compared: the run queue flags CLK_VALID, IN_WAKEUP, IN_BALANCE (they last as long
    as a lock is held), masks of kicked CPUs (not captured), CPUs that are idle (the dump
    leaves them out), moving values of tasks and CPUs that ran in between.
    """
    with Rig(ctx) as r:
        r.scheduler("/stall.bpf.o")
        for cpu in (1, 2, 3):
            r.g.start(f"work sleepers victim-c{cpu} 1 {cpu}")
        r.g.start("work sleepers victim 4")
        report = r.report()
        r.ended()
        kt = report["ktdump"]
        e = own_exit(report)
        assert "TRUNCATED" not in e["dump"] and e["dump_bytes"] == len(e["dump"].encode()), e["dump_bytes"]
        dump = parse_dump(e["dump"])
        ent = {x["name"]: x["value"] for x in kt["enums"]["scx_ent_flags"]}
        ops = {x["name"]: x["value"] for x in kt["enums"]["scx_ops_state"]}
        mask = ent["SCX_TASK_STATE_MASK"]
        # Set and cleared while the run queue is locked, without a switch of tasks.
        passing = sum(x["value"] for x in kt["enums"]["scx_rq_flags"]
                      if x["name"] in ("SCX_RQ_CLK_VALID", "SCX_RQ_IN_WAKEUP", "SCX_RQ_IN_BALANCE"))

        assert dump["head"].splitlines()[0] == "stall: root"
        who = f"{kt['trigger']['comm']}[{kt['trigger']['pid']}] triggered exit kind 1026"
        assert dump["head"].splitlines()[1].startswith(who), (dump["head"], who)
        if "exit_cpu" in e:
            assert dump["head"].splitlines()[1] == f"{who} on CPU {e['exit_cpu']}:", (dump["head"], e["exit_cpu"])
        assert f"  {e['reason']} ({e['msg']})" in dump["head"], dump["head"]
        assert names_of(dump["bt"]) == names_of(e["bt"]) and len(e["bt"]) > 3

        rows = {t["pid"]: t for t in kt["tasks"]}
        victims = [t["pid"] for t in tasks_named(report, "victim")]
        assert len(victims) == 7, victims
        later, starved, moving = set(), [], 0
        for cpu, c in dump["cpus"].items():
            for d in c["tasks"]:
                t = rows.get(d["pid"])
                if d["pid"] not in victims:
                    if t:  # else it was made meanwhile
                        moving += 1
                        assert (t["scx"]["weight"], t["cpus_allowed"]) == (d["weight"], cpu_list(d["cpus"])), (t, d)
                        assert (t["scx"]["sched"] == e["sched_kva"]) == d["own"], (t, d)
                    continue
                starved.append(d["pid"])
                later.add(d["age_ms"] - t["scx"]["runnable_age_ms"])
                s = t["scx"]
                ours = {
                    "running": t["curr_on"] is not None, "letter": t["state_letter"], "comm": t["comm"], "pid": t["pid"],
                    "own": s["sched"] == e["sched_kva"], "sched": "root", "age_ms": d["age_ms"],
                    "state": (s["flags"] & mask) >> ent["SCX_TASK_STATE_SHIFT"], "flags": s["flags"] & ~mask,
                    "dsq_flags": s["dsq_flags"], "ops_state": s["ops_state"] & ((1 << ops["SCX_OPSS_QSEQ_SHIFT"]) - 1),
                    "qseq": s["ops_state"] >> ops["SCX_OPSS_QSEQ_SHIFT"], "sticky_cpu": s["sticky_cpu"],
                    "holding_cpu": s["holding_cpu"], "dsq_id": s["dsq_id"], "dsq_vtime": s["dsq_vtime"],
                    "slice": s["slice"], "weight": s["weight"], "cpus": d["cpus"], "no_mig": t["migration_disabled"],
                    "stack": d["stack"],
                }
                assert ours == d, (ours, d)
                assert (t["cpus_allowed"], t["runnable_on"]) == (cpu_list(d["cpus"]), cpu), (t["cpus_allowed"], d)
                # The kernel leaves out the innermost frame.
                assert names_of(t["stack"])[1:] == names_of(d["stack"])[:31] and d["stack"], (t["stack"], d["stack"])
        assert sorted(starved) == sorted(victims), (starved, victims)
        assert len(later) == 1 and 0 <= min(later) <= 2000, later

        still, kvas = [], by_kva(report)
        for cpu, c in dump["cpus"].items():
            q, s = kt["rqs"][cpu], report["rq_scx_states"][cpu]
            assert q["cpu"] == s["cpu"] == cpu
            runnable = [kvas[k]["pid"] for k in s["runnable_task_kvas"]]
            listed = [d["pid"] for d in c["tasks"] if not d["running"]]
            assert [p for p in runnable if p in victims] == [p for p in listed if p in victims], (cpu, runnable, listed)
            if q["scx_kick_sync"] > c["ksync"]:
                raise AssertionError(f"CPU {cpu} ran backwards: {q['scx_kick_sync']} then {c['ksync']}")
            # The running task is on the runnable list too; the dump names it once more.
            if (q["scx_kick_sync"], q["curr_pid"], runnable) != (c["ksync"], c["curr"][1], listed):
                continue
            still.append(cpu)
            assert (s["nr_running"], s["flags"] & ~passing, s["cpu_released"]) == \
                (c["nr_run"], c["flags"] & ~passing, c["cpu_rel"]), (s, c)
            assert (s["kick_sync"], s["curr_comm"], s["curr_pid"]) == (c["ksync"], c["curr"][0], c["curr"][1]), (s, c)
            assert q["curr_class"] == c["curr"][2], (q, c)
            assert s["ops_qseq"] == c.get("ops_qseq", s["ops_qseq"]), (s, c)
            if "rescue" in c:
                rescue = [d for d in kt["dsqs"] if d["origin"] == "rescue" and d["cpu"] == cpu]
                nr, budget, pid = c["rescue"]
                assert (rescue[0]["nr"], q["rescue_budget"] // 1000, q["rescue_curr"] == 0) == (nr, budget, pid == -1), c
        if not still:
            raise HostStall("no CPU stood still between the capture and the dump")
        print(f"# dump: {len(starved)} starved tasks and CPUs {still} the same, {moving} moving, "
              f"{min(later)} ms later", flush=True)

        events = scheduler_named(report, "stall")["event_counters"]
        assert list(events) == list(dump["events"]), (list(events), list(dump["events"]))
        for name, value in events.items():
            assert value <= dump["events"][name], (name, value, dump["events"][name])
        assert events["SCX_EV_BYPASS_ACTIVATE"] == dump["events"]["SCX_EV_BYPASS_ACTIVATE"] >= 1


def need_subs(ctx):
    if ctx.version() < (7, 1):
        ctx.skip("sub-schedulers came with Linux 7.1")


def in_cgroup(g, cgroup, cmd):
    """Starts a command in a cgroup, where it waits for /tmp/go."""
    path = f"/sys/fs/cgroup/{cgroup}"
    g.start(f"sh -c 'echo $$ >{path}/cgroup.procs; until [ -e /tmp/go ]; do sleep 0.1; done; exec {cmd}'")
    g.wait_for(f"[ -n \"$(cat {path}/cgroup.procs)\" ]")


def cgroup_id(g, cgroup):
    return int(g.sh(f"stat -c %i /sys/fs/cgroup/{cgroup}"))


def test_sub_error(ctx):
    """A sub-scheduler fails: both are in the report, the parent goes on, then fails itself."""
    need_subs(ctx)
    with Rig(ctx) as r:
        r.g.sh("mkdir /sys/fs/cgroup/a /sys/fs/cgroup/b")
        r.scheduler("/subroot.bpf.o", "root")
        for c, task in (("a", "trigger-sub"), ("b", "other")):
            in_cgroup(r.g, c, f"work once {task}")
            r.scheduler(f"--cgroup /sys/fs/cgroup/{c} /subchild.bpf.o", c)
        r.g.sh("touch /tmp/go")
        report = r.report()
        kind, msg = exit_line(r.ended("a"))
        kt = report["ktdump"]
        e = own_exit(report)
        assert kind == e["kind"] == 1025 and e["msg"] == msg == "ktdump selftest: a sub-scheduler fails", (kind, e)
        log_has(r.g, "subchild", e["reason"], msg, "sub-scheduler")

        root = scheduler_named(report, "subroot")
        subs = {s["cgrp_path"]: s for s in kt["schedulers"] if s["name"] == "subchild"}
        assert kt["schedulers"][0] is root and set(subs) == {"/a", "/b"}, kt["schedulers"]
        assert (root["level"], root["root"], root["parent_kva"], root["exit_kind"]) == (0, True, 0, 0), root
        assert root["kva"] == kt["trigger"]["scx_root"] and root["aborting"] is False, root
        for path, s in subs.items():
            assert (s["level"], s["root"], s["parent_kva"]) == (1, False, root["kva"]), s
            assert s["sub_cgroup_id"] == cgroup_id(r.g, path), (path, s["sub_cgroup_id"])
        assert subs["/a"]["kva"] == kt["trigger"]["sched_kva"] == report["scx_sched_state"]["sched_kva"] == e["sched_kva"]
        assert (subs["/a"]["exit_kind"], subs["/b"]["exit_kind"]) == (stored_kind(report, 1025), 0), subs
        assert (kt["trigger"]["exit_kind"], report["scx_sched_state"]["exit_kind"]) == (1025, 1025)
        assert kt["freeze"]["exits"] == [e["sched_kva"], 1025] and len(kt["exits"]) == 1
        # Tasks belong to the scheduler of their cgroup.
        assert task_named(report, "trigger-sub")["scx"]["sched"] == subs["/a"]["kva"]
        assert task_named(report, "init")["scx"]["sched"] == root["kva"]
        # Each instance has the queue with the id that all children use.
        owners = {d["sched_kva"] for d in kt["dsqs"] if d["origin"] == "user" and d["id"] == 0x50b}
        assert owners == {s["kva"] for s in subs.values()}, owners
        all_parked(report)
        assert "enabled" in r.g.sh("cat /sys/kernel/sched_ext/state")

        # Now the root, which takes the other child with it.
        r.g.start("work once trigger-root")
        report = r.report()
        root_kind, _ = exit_line(r.ended("root"))
        child_kind, _ = exit_line(r.ended("b"))
        kt = report["ktdump"]
        assert root_kind == own_exit(report)["kind"] == 1025 and len(kt["exits"]) == 1, kt["exits"]
        kinds = {x["value"]: x["name"] for x in kt["enums"]["scx_exit_kind"]}
        assert kinds[child_kind] == "SCX_EXIT_PARENT", child_kind
        assert {(s["name"], s["level"]) for s in kt["schedulers"]} == {("subroot", 0), ("subchild", 1)}, kt["schedulers"]
        c = kt["counters"]
        assert (c["captured"], c["error_count"]) == (2, 2) and c["trigger_count"] == 2 + c["clean_count"], c
        assert c["clean_count"] == c["parent_count"], c
        r.no_more_reports()


def test_sub_two_at_once(ctx):
    """Two sub-schedulers fail in the same moment: one report names both.

    Before 7.3 scx_bpf_error() is serialised by a lock, so there the kernel raises the
    errors: both children insert into a queue that does not exist.
    """
    need_subs(ctx)
    how, want_kind, want_msg = ("", 1025, "ktdump selftest: a sub-scheduler fails at its time") if ctx.version() >= (7, 3) \
        else ("--set bad_dsq=0xbad", 1024, "non-existent DSQ 0xbad")
    with Rig(ctx) as r:
        r.g.sh("mkdir /sys/fs/cgroup/a /sys/fs/cgroup/b")
        r.scheduler("/subroot.bpf.o", "root")
        together, lead = 0, 8 * 10**9
        for attempt in range(12):
            r.g.sh("rm -f /tmp/go")
            start = int(r.g.sh("work now"))
            for c in "ab":
                in_cgroup(r.g, c, f"work yield y{c} 1 {'ab'.index(c) + 1}")
                r.scheduler(f"{how} --set fire_at={start + lead} --cgroup /sys/fs/cgroup/{c} /subchild.bpf.o", c)
            r.g.sh("touch /tmp/go")
            # To attach both takes a debug kernel more than a minute.
            lead = max(lead, 3 * (int(r.g.sh("work now")) - start) // 2)
            named = []
            while len(named) < 2:
                report = r.report()
                kt = report["ktdump"]
                pairs = dict(zip(kt["freeze"]["exits"][::2], kt["freeze"]["exits"][1::2]))
                kvas = [e["sched_kva"] for e in kt["exits"]]
                assert kvas[0] == kt["trigger"]["sched_kva"] and sorted(kvas) == sorted(pairs), (kvas, pairs)
                for e in kt["exits"]:
                    sched = next(s for s in kt["schedulers"] if s["kva"] == e["sched_kva"])
                    assert (sched["name"], sched["level"], pairs[e["sched_kva"]], e["kind"], e["complete"]) == \
                        ("subchild", 1, want_kind, want_kind, True), e
                    assert want_msg in e["msg"], e["msg"]
                    named.append(sched["cgrp_path"])
                fates = {f["sched_kva"]: f["fate"] for f in kt["firings"] if f["snapshot"] == kt["snapshot"]}
                assert [fates[k] for k in kvas] == ["captured"] + ["nested"] * (len(kvas) - 1), fates
                together += len(pairs) == 2
            assert sorted(named) == ["/a", "/b"], named
            for c in "ab":
                assert exit_line(r.ended(c))[0] == want_kind
            r.g.sh("killall -9 work")
            if together:
                break
            print(f"# attempt {attempt}: not in one freeze", flush=True)
        assert together, "they never met in one freeze"
        assert "enabled" in r.g.sh("cat /sys/kernel/sched_ext/state")


test_sub_two_at_once.timeout = 400


def fdinfo(g, pid):
    """BPF programs and maps that a process holds, by id: what the kernel says of each."""
    progs, maps = {}, {}
    for text in g.sh(f"for f in /proc/{pid}/fdinfo/*; do echo ---; cat $f; done").split("---"):
        info = {k: v for k, v in re.findall(r"^(\w+):\s+(\S+)$", text, re.M)}
        if "prog_id" in info:
            progs[int(info["prog_id"])] = {k: int(info[k]) for k in ("prog_type", "run_time_ns", "run_cnt",
                                                                     "recursion_misses", "verified_insns")}
            progs[int(info["prog_id"])]["tag"] = info["prog_tag"]
        elif "map_type" in info:
            maps[int(info["map_id"])] = {k: int(info[k], 0) for k in ("map_type", "key_size", "value_size", "max_entries",
                                                                      "map_flags", "map_extra")}
    return progs, maps


def test_progs_and_maps(ctx):
    """Programs with their run statistics, and maps, are those that the loader holds."""
    with Rig(ctx, insmod=False) as r:
        for params, sysctl, counted in (("prog_stats=n", 0, False), ("prog_stats=n", 1, True), ("", 0, True)):
            r.g.sh(f"echo {sysctl} >/proc/sys/kernel/bpf_stats_enabled")
            r.insmod(params)
            pid = r.scheduler("/error.bpf.o")
            r.g.sh("work once some")
            before, maps = fdinfo(r.g, pid)
            # A stopped loader keeps its programs after the end of the scheduler.
            r.g.sh(f"kill -STOP {pid}; work once trigger")
            report = r.report()
            after, _ = fdinfo(r.g, pid)
            r.g.sh(f"kill -CONT {pid}")
            r.ended()
            kt = report["ktdump"]
            assert len(before) == 9 and set(before) == set(after) == {p["id"] for p in kt["progs"]}, (set(before), kt["progs"])
            stats = dict(zip([p["id"] for p in kt["progs"]], report["prog_runtime_stats"]))
            assert len(stats) == len(report["prog_runtime_stats"]) == 9
            for p in kt["progs"]:
                lo, hi, s = before[p["id"]], after[p["id"]], stats[p["id"]]
                assert lo["run_cnt"] <= p["cnt"] == s["cnt"] <= hi["run_cnt"], (p, lo, hi)
                assert lo["run_time_ns"] <= p["nsecs"] == s["nsecs"] <= hi["run_time_ns"], (p, lo, hi)
                assert lo["recursion_misses"] <= p["misses"] <= hi["recursion_misses"], (p, lo, hi)
                assert (p["type"], p["verified_insns"], p["name"]) == (lo["prog_type"], lo["verified_insns"], s["name"]), (p, lo)
                assert p["ksym"].startswith(f"bpf_prog_{lo['tag']}_error_"), (p, lo)
                if not counted:
                    assert p["cnt"] == p["nsecs"] == 0, p
            used = {p["name"]: p["cnt"] for p in kt["progs"]}
            assert not counted or (used["error_enqueue"] > 0 and used["error_running"] > 0), used

            assert {m["id"] for m in kt["maps"]} == set(maps) and len(kt["maps"]) == len(report["maps"]) == len(maps)
            assert [m["id"] for m in kt["maps"]] == sorted(maps)
            for m, top in zip(kt["maps"], report["maps"]):
                assert {k: m[k] for k in maps[m["id"]]} == maps[m["id"]], (m, maps[m["id"]])
                assert {k: top[k] for k in ("name", "map_type", "value_size", "max_entries")}.items() <= m.items(), (top, m)
            names = {m["name"] for m in kt["maps"]}
            assert {"error.bss", "error.rodata", "error"} <= names, names
            kvas = {m["kva"] for m in kt["maps"]}
            assert all(set(p["used_maps"]) <= kvas for p in kt["progs"]) and any(p["used_maps"] for p in kt["progs"])
            r.rmmod()


def test_realtime(ctx):
    """A realtime task that keeps a CPU, and one of ours that PI has made realtime."""
    with Rig(ctx) as r:
        no_servers(r.g, 2)
        no_servers(r.g, 3)
        r.scheduler("/error.bpf.o")
        r.g.start("work pi boost 3", log="/tmp/pi")
        r.g.wait_for("grep -q 'task 1' /tmp/pi")
        tids = [int(t) for t in re.findall(r"^task \d (\d+)$", r.g.sh("cat /tmp/pi"), re.M)]
        r.g.start("work hog hog 1 2", log="/tmp/hog")
        r.g.wait_for("grep -q woken /tmp/hog")
        hog_tid = int(re.search(r"^task 0 (\d+)$", r.g.sh("cat /tmp/hog"), re.M).group(1))
        # Both have left the state in which they were made.
        for tid in (hog_tid, tids[0]):
            r.g.wait_for(f"[ $(cut -d' ' -f14 /proc/{tid}/stat) -gt 5 ]")
        r.g.start("work once trigger")
        report = r.report()
        r.g.sh("killall -9 work")
        r.ended()
        kt = report["ktdump"]

        hog = task_named(report, "hog")
        assert (hog["pid"], hog["sched_class"], hog["curr_on"], hog["cpu"]) == (hog_tid, "rt", 2, 2), hog
        assert (hog["policy"], hog["rt_priority"], hog["prio"], hog["runnable_on"]) == (1, 50, 49, None), hog
        q = kt["rqs"][2]
        assert (q["curr"], q["curr_pid"], q["curr_comm"], q["curr_class"]) == (hog["kva"], hog_tid, "hog", "rt"), q
        assert q["rt_nr"] >= 1 and report["rq_scx_states"][2]["curr_pid"] == hog_tid, q
        c = kt["cpus"][2]
        assert (c["pid"], c["comm"], c["task_kva"]) == (hog_tid, "hog", hog["kva"]), c
        # It does nothing but count, so it was met in user mode, unless an interrupt was first.
        assert c["user"] is True and c["ip"] < 1 << 47 or c["user"] is False and c["stack"], c

        low, high = task_named(report, "boost-low"), task_named(report, "boost-high")
        assert [low["pid"], high["pid"]] == tids, (low["pid"], high["pid"], tids)
        assert (low["sched_class"], low["policy"], low["normal_prio"], low["static_prio"]) == ("rt", 0, 120, 120), low
        assert low["prio"] == high["prio"] == 89 and high["policy"] == 1, (low["prio"], high)
        assert high["pi_blocked_on"] and high["state_letter"] in "SD" and not low["pi_blocked_on"], (high, low)
        assert low["curr_on"] == 3 and kt["rqs"][3]["curr_class"] == "rt", low
        # Left the runnable list with its class: not what pi_boosted_out_of_scx means.
        for t in report["task_enrichments"]:
            row = next(x for x in kt["tasks"] if x["pid"] == t["pid"] and x["comm"] == t["comm"])
            assert t["pi_boosted_out_of_scx"] == (row["runnable_on"] is not None and row["sched_class"] != "ext"), t
        all_parked(report)
