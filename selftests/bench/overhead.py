# SPDX-License-Identifier: GPL-2.0-only
"""What a loaded module costs. All figures are ratios of two things in one guest.

Where the guest is emulated its clock counts instructions (QEMU's icount): wall time on a
busy machine says nothing. All of its CPUs take turns then, so a figure is about the work
of all of them together. Modes take turns too, so that what else the machine does falls on
all alike; the figure is the median of the rounds' ratios.
"""
import glob
import json
import os
import re
import statistics
import subprocess
import time

import guest
from _common import Rig, exit_line
from _results import record

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PERF = os.path.join(REPO, "build", "bench", "perf")
ROUNDS = 5
RUN_SECONDS = 0.4         # of a guest whose clock counts instructions, at one a nanosecond
SNAPSHOTS = 1000

# Name, parameters, target; the first is what the others are divided by.
MODES = (
    ("absent", None, None),
    ("armed", "sample_ms=0 prog_stats=N perf=N early_percent=50", 1.01),
    ("sampling", "prog_stats=N perf=N early_percent=50", 1.02),
    ("timeline", "sched_timeline_kib=1024 prog_stats=N perf=N early_percent=50", 1.05),
    ("counting", "early_percent=50", None),     # the default: the kernel times each BPF program
    ("all", "sched_timeline_kib=1024 early_percent=50", None),
)
BENCHES = {"pipe": "pipe -l {}", "messaging": "messaging -g 1 -l {}"}


def clocked():
    """Arguments of a guest that time can be measured in."""
    if guest.accelerator() == "kvm":
        return {}
    return {"accel": "tcg,thread=single", "qemu_args": ("-icount", "shift=0")}


def perf_files(ctx):
    """perf and its libraries, fetched first."""
    p = subprocess.run([os.path.join(REPO, "selftests", "bench", "setup")], stdout=subprocess.PIPE, text=True, check=False)
    if p.returncode == 4:
        ctx.skip(p.stdout.strip())
    assert not p.returncode, f"selftests/bench/setup: exit code {p.returncode}"
    return {**{f"/perf/{os.path.basename(p)}": p for p in glob.glob(PERF + "/lib/*")}, "/perf/perf": PERF + "/perf"}


def perf(g, what):
    """Seconds of one run. On one CPU: where the scheduler puts the tasks costs more than what is measured."""
    out = g.sh(f"cd /perf && taskset 4 ./ld-linux-x86-64.so.2 --library-path /perf ./perf bench --format=simple sched {what}", timeout=300)
    return float(re.findall(r"^\s*([0-9.]+)\s*$", out, re.M)[-1])


def calibrated(g, bench):
    """The command line that takes RUN_SECONDS."""
    loops = 10
    while True:
        took = perf(g, bench.format(loops))
        if took >= RUN_SECONDS / 2:
            return bench.format(max(1, int(loops * RUN_SECONDS / took)))
        loops = int(loops * min(10, RUN_SECONDS / max(took, 0.01)) + 1)


def known(ctx, params):
    """This module has all of these parameters."""
    with open(ctx.ktdump_ko, "rb") as f:
        module = f.read()
    return all(f"parm={p.split('=')[0]}:".encode() in module for p in params.split())


def test_overhead(ctx):
    """perf bench sched under a sched_ext scheduler, with the module in each of its modes and without it."""
    modes = [m for m in MODES if m[1] is None or known(ctx, m[1])]
    with Rig(ctx, insmod=False, files=perf_files(ctx), **clocked()) as r:
        r.scheduler("/simple.bpf.o")
        commands = {name: calibrated(r.g, b) for name, b in BENCHES.items()}
        took = {(m[0], b): [] for m in modes for b in BENCHES}
        for nr in range(ROUNDS):
            for i in range(len(modes)):
                mode, params, _ = modes[(nr + i) % len(modes)]
                if params is not None:
                    r.insmod(params)
                for b, command in commands.items():
                    took[mode, b].append(perf(r.g, command))
                if params is not None:
                    r.rmmod()
        assert r.g.sh("cat /sys/kernel/sched_ext/state").strip() == "enabled"
        r.g.sh(f"kill {r.pids['run']}")
        r.ended()
        accel = r.g.accel
    result = {"kernel": ctx.release, "accelerator": accel, "rounds": ROUNDS, "commands": commands, "modes": {}}
    print(f"# {'mode':10}" + "".join(f" {b + ' ratio (spread)':>28}" for b in BENCHES) + f" {'target':>8}")
    for mode, params, target in modes:
        one = result["modes"][mode] = {"parameters": params, "target": target}
        line = f"# {mode:10}"
        for b in BENCHES:
            ratios = sorted(a / base for a, base in zip(took[mode, b], took["absent", b]))
            one[b] = {"ratio": statistics.median(ratios), "lowest": ratios[0], "highest": ratios[-1],
                      "seconds": took[mode, b]}
            line += f" {one[b]['ratio']:>12.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        print(f"{line} {target or '':>8}")
    record(f"overhead-{ctx.release}", result)


test_overhead.timeout = 900
test_overhead.steady = 250


def switches(g):
    """(context switches of the guest, its clock in seconds)"""
    out = g.sh("work now; grep ^ctxt /proc/stat")
    now, ctxt = re.search(r"^(\d+)\s+ctxt (\d+)$", out, re.M).groups()
    return int(ctxt), int(now) / 1e9


def rate(a, b):
    return (b[0] - a[0]) / (b[1] - a[1])


def test_demand(ctx):
    """A thousand snapshots of a busy scheduler, ten a second: it lives, and how much of its throughput is left."""
    rates, held = {"with": [], "without": []}, []
    # In real time, as it is ten a second: on a busy machine look at the spread.
    with Rig(ctx, insmod=False, collect=["--max-reports", "100000"]) as r:
        r.scheduler("--set ops.timeout_ms=10000 /simple.bpf.o")
        r.g.start("work yield busy 6")
        taken = seconds = 0
        for part in range(5):
            before = switches(r.g)
            time.sleep(5)
            rates["without"].append(rate(before, switches(r.g)))
            r.insmod("interval_ms=100")
            before = switches(r.g)
            # As many of them as belong to this part, and all that are on their way.
            while taken < SNAPSHOTS * (part + 1) // 5:
                if r.taken == len(r.paths()):
                    r.g.check()
                    time.sleep(0.02)
                    continue
                path = r.paths()[r.taken]
                r.taken += 1
                with open(path, encoding="utf-8") as f:
                    kt = json.load(f)["ktdump"]
                os.unlink(path)
                assert (kt["trigger"]["trigger"], kt["trigger"]["hook"], kt["exits"]) == ("demand", "interval", []), kt["trigger"]
                taken += 1
                held.append(kt["freeze"]["held_ns"] / 1e6)
            after = switches(r.g)
            rates["with"].append(rate(before, after))
            seconds += after[1] - before[1]
            r.rmmod()
        assert r.g.sh("cat /sys/kernel/sched_ext/state").strip() == "enabled"
        r.g.sh(f"kill {r.pids['run']}")
        assert exit_line(r.ended())[0] == 64
        accel = r.g.accel
    ratios = sorted(a / b for a, b in zip(rates["with"], rates["without"]))
    result = {"kernel": ctx.release, "accelerator": accel, "snapshots": taken, "per_second": taken / seconds,
              "held_ms": statistics.median(held), "throughput_ratio": statistics.median(ratios), "lowest": ratios[0],
              "highest": ratios[-1], "switches_per_second": rates}
    print(f"# {taken} snapshots, {result['per_second']:.1f} per second, held {result['held_ms']:.2f} ms (median); throughput "
          f"{result['throughput_ratio']:.3f} of that without ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    record(f"demand-{ctx.release}", result)


test_demand.timeout = 900
