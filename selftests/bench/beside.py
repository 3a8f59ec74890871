# SPDX-License-Identifier: GPL-2.0-only
"""What else could be done at that moment, in the same guest, on the same state.

In real time, as QEMU's own dump has no other; the kernel's dump by the guest's clock. The
figure is the median of the rounds' ratios: both sides of each are measured one after the other.
"""
import os
import re
import statistics
import time

from _common import Rig
from _results import record
from freeze import PARAMETERS, TRACING, queued
from maps import ROOMY, Zoo, bpftool_maps
from overhead import clocked

ROUNDS = 5
PLAIN = "sample_ms=0 prog_stats=N perf=N early_percent=50"


def tell(name, rounds, targets, text):
    """rounds: dicts; those of its keys that have a target are ratios."""
    mid = {k: statistics.median(x[k] for x in rounds) for k in rounds[0]}
    ratios = ", ".join(f"{k} {mid[k]:.1f} ({min(x[k] for x in rounds):.1f} to {max(x[k] for x in rounds):.1f}; target {t})"
                       for k, t in targets.items())
    print(f"# {name}: {ratios}; {text.format(**mid)}", flush=True)
    return {"targets": targets, "median": mid, "rounds": rounds}


def stopped(r):
    """(seconds that the guest stood still for a dump of its memory, bytes of it)"""
    path = os.path.join(r.ctx.tmp, "vmcore")
    started = time.monotonic()
    r.g.qmp("stop")
    try:
        r.g.qmp("dump-guest-memory", timeout=300, paging=False, protocol=f"file:{path}")
    finally:
        r.g.qmp("cont")
    seconds, size = time.monotonic() - started, os.path.getsize(path)
    os.unlink(path)
    return seconds, size


def on_demand(r):
    """The report of a snapshot now; its file is gone."""
    r.g.sh(f"echo >{PARAMETERS}/snapshot")
    report = r.report(schemas=False)
    os.unlink(r.paths()[r.taken - 1])
    return report


def readable(g, ids):
    """Those that bpftool can read to their end; in a batch it would stop at the first that it cannot."""
    out = g.sh(f"for i in {' '.join(map(str, ids))}; do bpftool -j map dump id $i >/dev/null 2>&1 && echo $i; done; true", timeout=120)
    return {int(n) for n in out.split()}


def bpftool_once(g, ids):
    """(seconds, bytes of JSON) of bpftool -j map dump, one process for all of them."""
    g.sh("(" + "".join(f"echo map dump id {i};" for i in ids) + ") >/tmp/batch")
    out = g.sh("work now; bpftool -j batch file /tmp/batch >/tmp/json 2>/dev/null; work now; wc -c </tmp/json", timeout=300)
    a, b, size = (int(n) for n in out.split())
    return (b - a) / 1e9, size


def test_zoo(ctx):
    """The map zoo: beside a dump of the guest's memory, and beside bpftool."""
    rounds = []
    with Zoo(ctx, f"{ROOMY} {PLAIN}") as r:
        r.fill()
        ids = bpftool_maps(r.g)
        good = readable(r.g, ids.values())
        ids = {name: i for name, i in ids.items() if i in good}
        for _ in range(ROUNDS):
            report = on_demand(r)
            held = report["ktdump"]["freeze"]["held_ns"] / 1e9
            ours = {m["name"]: m["content"] for m in report["ktdump"]["maps"] if m["name"] in ids and m.get("content")}
            seconds, size = bpftool_once(r.g, [ids[n] for n in ours])
            dump, vmcore = stopped(r)
            content = sum(m["ns"] for m in ours.values()) / 1e9
            rounds.append({"dump": dump / held, "bpftool": seconds / content, "held_ms": held * 1e3, "content_ms": content * 1e3,
                           "mb": report["ktdump"]["freeze"]["bytes"] / 1e6, "dump_ms": dump * 1e3, "vmcore_mb": vmcore / 1e6,
                           "bpftool_ms": seconds * 1e3, "json_mb": size / 1e6, "maps": len(ours)})
        r.close()
        record(f"beside-zoo-{ctx.release}", {"accelerator": r.g.accel, **tell(
            "zoo beside others", rounds, {"dump": 100, "bpftool": 5},
            "held {held_ms:.1f} ms for {mb:.1f} MB; QEMU's dump stops it {dump_ms:.0f} ms for {vmcore_mb:.0f} MB; bpftool takes "
            "{bpftool_ms:.0f} ms for {json_mb:.1f} MB of {maps:.0f} maps, whose contents take {content_ms:.1f} ms of ours")})


def kernel_dump(g):
    """Seconds that the kernel's own dump of the last exit took."""
    at = [float(t) for t in re.findall(r"^.* ([0-9.]+): ktb[12]:", g.sh(f"cat {TRACING}/trace"), re.M)]
    assert len(at) == 2, at
    return at[1] - at[0]


def watch_kernel_dump(g):
    g.sh(f"cd {TRACING}; echo mono >trace_clock; echo p:ktb1 scx_dump_state >>kprobe_events; echo r:ktb2 scx_dump_state >>kprobe_events; "
         "echo 1 >events/kprobes/enable")


def fails(r):
    """The report of 2,000 tasks' scheduler, which a task that comes makes fail."""
    r.g.start("work once trigger")
    report = r.report(schemas=False)
    r.ended()
    return report


def test_tasks(ctx):
    """2,000 tasks over 64 queues fail: beside a dump of the guest's memory."""
    rounds = []
    with Rig(ctx, f"buf_mib=32 {PLAIN}") as r:
        for _ in range(ROUNDS):
            with queued(r, 2000, 64, kind=1025):
                dump, vmcore = stopped(r)
                freeze = fails(r)["ktdump"]["freeze"]
            held = freeze["held_ns"] / 1e9
            rounds.append({"dump": dump / held, "held_ms": held * 1e3, "dump_ms": dump * 1e3, "vmcore_mb": vmcore / 1e6,
                           "kb": freeze["bytes"] / 1e3})
        record(f"beside-tasks-{ctx.release}", {"accelerator": r.g.accel, **tell(
            "2,000 tasks beside a dump", rounds, {"dump": 100},
            "held {held_ms:.1f} ms for {kb:.0f} KB; QEMU's dump stops it {dump_ms:.0f} ms for {vmcore_mb:.0f} MB")})


def test_text(ctx):
    """The same exit: beside the kernel's text dump, by the guest's clock."""
    rounds = []
    with Rig(ctx, f"buf_mib=32 {PLAIN}", **clocked()) as r:
        watch_kernel_dump(r.g)
        for _ in range(ROUNDS):
            r.g.sh(f"echo >{TRACING}/trace")
            with queued(r, 2000, 64, "--set ops.exit_dump_len=16777216", kind=1025):
                report = fails(r)
            held = report["ktdump"]["freeze"]["held_ns"] / 1e9
            kernel, text = kernel_dump(r.g), report["ktdump"]["exits"][0]["dump"]
            rounds.append({"kernel": kernel / held, "held_ms": held * 1e3, "kernel_ms": kernel * 1e3, "text_kb": len(text) / 1e3,
                           "kb": report["ktdump"]["freeze"]["bytes"] / 1e3})
        r.g.sh(f"cd {TRACING}; echo 0 >events/kprobes/enable; echo >kprobe_events")
        record(f"beside-text-{ctx.release}", {"accelerator": r.g.accel, **tell(
            "2,000 tasks beside the kernel's dump", rounds, {"kernel": 1},
            "held {held_ms:.1f} ms for {kb:.0f} KB; the kernel's own dump takes {kernel_ms:.1f} ms for {text_kb:.0f} KB of text")})


test_zoo.timeout = test_tasks.timeout = test_text.timeout = 900
test_text.steady = 70
