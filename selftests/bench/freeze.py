# SPDX-License-Identifier: GPL-2.0-only
"""How long the machine stands still, against the least that it could be.

The floor of a capture is the time that its own no-fault reads take: a module made for tests
(kmod/faults.h, replay=) notes their addresses and lengths and does nothing but them, in the
same freeze. The guest's clock counts instructions where it is emulated, see overhead.py.
"""
import contextlib
import re
import statistics

from _common import Rig, exit_line
from _results import record
from maps import Zoo
from overhead import clocked
from robust import FAULT, faults

ROUNDS = 5
TARGET = 1.5
TRACING = "/sys/kernel/tracing"
PARAMETERS = "/sys/module/ktdump/parameters"
# Nobody listens there: what is measured ends before anything is sent. Limits that cut nothing.
ALONE = ("port=19285 buf_mib=512 max_map_kib=0 max_arena_pages=32768 max_map_entries=2000000 max_tasks=20000 "
         "max_list=20000 sample_ms=0 prog_stats=N perf=N early_percent=50")


def numbers(text):
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)\b", text)}


class Frozen:
    """Snapshots of a guest whose tasks and maps stay as they are."""

    def __init__(self, g):
        self.g = g

    def start(self):
        self.g.sh(f"echo grace_ms=4000 >{FAULT}; echo 1 >{TRACING}/events/ktdump/capture/enable")

    def snapshot(self):
        """What the tracepoint says of one."""
        # A snapshot of a living scheduler waits for the host; the exits of a fault do not.
        self.g.sh(f"echo >{TRACING}/trace; echo fire >{FAULT}")
        self.g.wait_for(f"grep -q snapshot= {TRACING}/trace")
        return numbers(self.g.sh(f"grep -m1 snapshot= {TRACING}/trace").split("snapshot=", 1)[1])

    def replayed(self):
        """The reads of one: how many, how many bytes, and how long they take alone."""
        self.g.sh(f"echo replay=8000000 >{FAULT}")
        self.snapshot()
        out = numbers(self.g.sh(f"cat {PARAMETERS}/replayed"))
        assert out["reads"] and not out["lost"], out
        return out


def measure(r, arrange=contextlib.nullcontext):
    """One dict per round, module loaded anew for each."""
    rounds = []
    for _ in range(ROUNDS):
        with arrange():
            rounds.append(measure_once(r))
    return rounds


def measure_once(r):
    r.insmod(ALONE)
    f = Frozen(r.g)
    f.start()
    one, floor = f.snapshot(), f.replayed()
    r.rmmod()
    held = one["held_ns"] - one["rendezvous_ns"]
    return {"held_ns": held, "rendezvous_ns": one["rendezvous_ns"], "bytes": one["bytes"], "reads": floor["reads"],
            "read_bytes": floor["bytes"], "floor_ns": floor["ns"], "ratio": held / floor["ns"]}


@contextlib.contextmanager
def queued(r, tasks, dsqs, more="", kind=64):
    """So many tasks wait in so many queues. Not for long: the watchdog looks. kind: of its end."""
    r.scheduler(f"{more} --set nr_dsqs={dsqs} /manyq.bpf.o")
    work = r.g.start(f"work wake many {tasks}", log="/tmp/many")
    r.g.wait_for("grep -q woken /tmp/many", timeout=150, every=0.2)
    yield
    # One that was to fail has gone already.
    r.g.run(f"kill {r.pids['run']}")
    assert exit_line(r.ended())[0] == kind, "it failed while it was measured"
    r.g.sh(f"kill {work}")


def tell(name, rounds, accel):
    mid = {k: statistics.median(x[k] for x in rounds) for k in rounds[0]}
    ratios = sorted(x["ratio"] for x in rounds)
    print(f"# freeze {name}: {mid['ratio']:.2f} times its floor ({ratios[0]:.2f} to {ratios[-1]:.2f}; target {TARGET}): held "
          f"{mid['held_ns'] / 1e6:.2f} ms behind a rendezvous of {mid['rendezvous_ns'] / 1e6:.2f} ms for {mid['bytes'] / 1e6:.1f} MB; "
          f"{mid['reads']:.0f} reads of {mid['read_bytes'] / 1e6:.1f} MB alone take {mid['floor_ns'] / 1e6:.2f} ms", flush=True)
    return {"accelerator": accel, "target": TARGET, "median": mid, "rounds": rounds}


def test_zoo(ctx):
    """The map zoo with 64 MiB of arena, against a replay of its reads."""
    with Zoo(ctx, insmod=False, files=faults(ctx), mem_mib=3072, **clocked()) as r:
        r.fill("--pages 16384")
        record(f"freeze-zoo-{ctx.release}", tell("zoo, 64 MiB of arena", measure(r), r.g.accel))
        r.close()


def test_tasks(ctx):
    """2,000 tasks over 64 queues on four CPUs, against a replay of its reads."""
    with Rig(ctx, insmod=False, files=faults(ctx), mem_mib=3072, **clocked()) as r:
        record(f"freeze-tasks-{ctx.release}", tell("2,000 tasks", measure(r, lambda: queued(r, 2000, 64)), r.g.accel))


test_zoo.timeout = test_tasks.timeout = 600
# Seconds, and so: it counts instructions, whatever runs beside it.
test_zoo.steady = test_tasks.steady = 130
