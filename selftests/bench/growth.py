# SPDX-License-Identifier: GPL-2.0-only
"""How a freeze and its snapshot grow with what there is to capture.

A unit's cost is the difference between two sizes, so that what does not depend on the size
is left out; it should be the same everywhere. Clocks as in freeze.py.
"""
import contextlib
import statistics

from _common import Rig
from _results import record
from freeze import ALONE, Frozen, queued
from maps import Zoo
from overhead import clocked
from robust import faults

ROUNDS = 5
TARGET = 1.3


def measure(r):
    """(ns held behind the rendezvous, bytes), medians."""
    f = Frozen(r.g)
    f.start()
    seen = [f.snapshot() for _ in range(ROUNDS)]
    return statistics.median(s["held_ns"] - s["rendezvous_ns"] for s in seen), statistics.median(s["bytes"] for s in seen)


@contextlib.contextmanager
def loaded(r):
    r.insmod(ALONE)
    yield
    r.rmmod()


def unit_costs(sizes, values):
    """One for each step from a size to the next."""
    return [(b - a) / (n - m) for m, n, a, b in zip(sizes, sizes[1:], values, values[1:])]


def tell(ctx, name, sizes, seen):
    """seen: one pair of measure() per size."""
    out = {"sizes": sizes, "target": TARGET}
    line = f"# growth, {name} {sizes[0]:,} to {sizes[-1]:,}:"
    for i, what in enumerate(("ns", "bytes")):
        values = [s[i] for s in seen]
        costs = unit_costs(sizes, values)
        out[what] = {"values": values, "per_unit": costs, "growth": costs[-1] / min(costs)}
        line += f" {costs[-1]:,.0f} {what} per unit, {out[what]['growth']:.2f} of the smallest;"
    print(f"{line} target {TARGET}", flush=True)
    record(f"growth-{name}-{ctx.release}", out)


def test_tasks(ctx):
    """Tasks that wait in 64 queues."""
    sizes, seen = [100, 1000, 4000, 10000], []
    with Rig(ctx, insmod=False, files=faults(ctx), mem_mib=3072, **clocked()) as r, loaded(r):
        for n in sizes:
            with queued(r, n, 64):
                seen.append(measure(r))
    tell(ctx, "tasks", sizes, seen)


def test_dsqs(ctx):
    """Queues of a scheduler's own, with 64 tasks in them."""
    sizes, seen = [1, 100, 1000, 4000], []
    with Rig(ctx, insmod=False, files=faults(ctx), mem_mib=3072, **clocked()) as r, loaded(r):
        for n in sizes:
            with queued(r, 64, n):
                seen.append(measure(r))
    tell(ctx, "dsqs", sizes, seen)


def zoos(ctx, name, option, sizes):
    seen = []
    with Zoo(ctx, insmod=False, files=faults(ctx), mem_mib=3072, **clocked()) as r:
        for n in sizes:
            r.fill(f"{option} {n}")
            with loaded(r):
                seen.append(measure(r))
            r.close()
    tell(ctx, name, sizes, seen)


def test_entries(ctx):
    """Elements of a hash map."""
    zoos(ctx, "entries", "--foreign", [100, 10000, 100000, 1000000])


def test_pages(ctx):
    """Pages of an arena."""
    zoos(ctx, "pages", "--pages", [1, 256, 4096, 16384])


def test_cpus(ctx):
    """CPUs of a guest."""
    sizes, seen = [1, 4, 8, 16], []
    for n in sizes:
        with Rig(ctx, insmod=False, files=faults(ctx), mem_mib=2048, cpus=n, nodes=1, **clocked()) as r, loaded(r), queued(r, 64, 64):
            seen.append(measure(r))
    tell(ctx, "cpus", sizes, seen)


for test in (test_tasks, test_dsqs, test_entries, test_pages, test_cpus):
    test.timeout = 900
    test.steady = 140
del test
