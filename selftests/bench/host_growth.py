# SPDX-License-Identifier: GPL-2.0-only
"""How the collector grows: what one more of something costs when there are already many.

A report with n of them, less a report with none, by n. Time is instructions, so far as user
space goes: at a hundred entries a clock says nothing. The processor's time, with the
kernel's, stands beside it where it is long enough to mean something.
"""
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time

import _streams
import ktcost
import ktwire as kw
from _plot import plot
from _results import PATH, record

ROUNDS = 5
TARGET = 1.3

DIMENSIONS = {
    "entries": ("hash entries", _streams.entries, (100, 1000, 10000, 100000, 1000000)),
    "pages": ("arena pages", _streams.pages, (1, 16, 256, 4096, 16384)),
    "tasks": ("tasks", _streams.tasks, (100, 300, 1000, 3000, 10000)),
    "dsqs": ("DSQs", _streams.dsqs, (1, 10, 100, 1000, 4000)),
}
GUESTS = (1, 4, 16, 64, 256)


def replayed(collect, stream, tmp):
    """What a report of a recording costs: instructions, and Costs of several runs."""
    path, null = os.path.join(tmp, "stream"), os.path.join(tmp, "null")
    with open(path, "wb") as f:
        f.write(stream)
    # A link, since what does not stay in memory goes where the report goes.
    if not os.path.islink(null):
        os.symlink("/dev/null", null)
    argv = [collect, "-q", "--btf-cache", "none", "-o", null, path]
    return ktcost.instructions(argv), [ktcost.run(argv) for _ in range(ROUNDS)]


class Served:
    """A collector that has served so many guests, all connected at once; what it cost."""

    def __init__(self, wrapper, collect, streams, tmp):
        # A socket for each, as VMs have.
        uds = [os.path.join(tmp, f"v{i}") for i in range(max(1, len(streams)))]
        with tempfile.TemporaryDirectory(dir=tmp) as out:
            p = subprocess.Popen([*wrapper, collect, "-q", "--btf-cache", "none", "--max-connections", "300",
                                  *(a for u in uds for a in ("--uds", u)), "-o", out],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            try:
                self.serve([u + "_19284" for u in uds], streams)
                with open(f"/proc/{p.pid}/status", encoding="utf-8") as f:
                    self.peak = next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))
                assert len(os.listdir(out)) == len(streams)
            finally:
                p.send_signal(signal.SIGTERM)
                self.said = p.stderr.read()
                _, status, usage = os.wait4(p.pid, 0)
                p.returncode = os.waitstatus_to_exitcode(status)
        assert p.returncode == 0, self.said
        self.cpu = usage.ru_utime + usage.ru_stime

    @staticmethod
    def serve(paths, streams):
        connected(paths[-1]).close()
        guests = [(connected(path), frames) for path, frames in zip(paths, streams)]
        # All of them are there, and all is in the collector's memory, before the first is done.
        for s, frames in guests:
            s.sendall(b"".join(frames[:-1]))
        for s, frames in guests:
            s.sendall(frames[-1])
        for s, _ in guests:
            answers = b""
            while len(answers) < 48:
                data = s.recv(4096)
                assert data, "the collector closed the connection"
                answers += data
            assert (answers[5], answers[29]) == (kw.HELLO, kw.ACK), answers
            s.close()


def connected(path):
    end = time.monotonic() + 30
    while True:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(120)
        try:
            s.connect(path)
            return s
        except OSError:
            s.close()
            assert time.monotonic() < end, f"nobody listens on {path}"
            time.sleep(0.02)


def served(collect, nr, tmp):
    streams = [_streams.guest(i + 1) for i in range(nr)]
    return ktcost.counted(Served(ktcost.VALGRIND, collect, streams, tmp).said), [Served((), collect, streams, tmp) for _ in range(ROUNDS)]


def per_unit(sizes, costs):
    """{size: (instructions, nanoseconds or None, bytes or None)} of one unit; costs: of no units, then of each size."""
    def medians(cost):
        return cost[0], statistics.median(c.cpu for c in cost[1]), statistics.median(c.peak for c in cost[1])
    none, *rest = map(medians, costs)
    out = {}
    for n, (instructions, cpu, peak) in zip(sizes, rest):
        # Below that it is the machine's unrest that is measured, and the peak of whoever started it.
        ns = (cpu - none[1]) / n * 1e9 if cpu > 1.5 * none[1] else None
        size = (peak - none[2]) / n if peak > 1.5 * none[2] else None
        out[n] = ((instructions - none[0]) / n, ns, size)
    return out


def growth(by_size, i):
    """The largest size's figure by the smallest of all; None: nothing grew."""
    known = [v[i] for v in by_size.values() if v[i] is not None]
    return known[-1] / min(known) if known else None


def show(key, title, by_size):
    """Table, plot, results."""
    kinds = ("instructions", "nanoseconds", "bytes")
    print(f"# {title:>14} {'instructions':>14} {'nanoseconds':>12} {'bytes':>9}   each")
    for n, values in by_size.items():
        print(f"# {n:>14} {values[0]:>14.0f} " + " ".join(f"{'-' if v is None else f'{v:.0f}':>{w}}" for v, w in zip(values[1:], (12, 9))))
    ratios = {kind: growth(by_size, i) for i, kind in enumerate(kinds)}
    print(f"# {'last by least':>14} " + " ".join(f"{'-' if v is None else f'{v:.2f}':>{w}}" for v, w in zip(ratios.values(), (14, 12, 9)))
          + f"   target {TARGET}", flush=True)
    series = {kind: [(n, v[i]) for n, v in by_size.items() if v[i]] for i, kind in enumerate(kinds)}
    plot(os.path.join(os.path.dirname(PATH), f"growth-{key}.svg"), f"ktcollect: one of many {title}", title, "each",
         {kind: line for kind, line in series.items() if line})
    record(f"growth-{key}", {"per_unit": {n: dict(zip(kinds, v)) for n, v in by_size.items()}, "growth": ratios, "target": TARGET})


def test_growth(ctx):
    """One of n hash entries, arena pages, tasks, DSQs, guests: instructions, time and memory."""
    if not ktcost.can_count():
        ctx.skip("valgrind is not there to count instructions")
    collect = os.path.join(ctx.build, "bin", "ktcollect")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        none = replayed(collect, _streams.Stream().done(), tmp)
        for key, (title, make, sizes) in DIMENSIONS.items():
            show(key, title, per_unit(sizes, [none] + [replayed(collect, make(n), tmp) for n in sizes]))
    # Reports are whole when they are on disk; what disks take for it is not the collector's.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as tmp:
        show("guests", "guests at once", per_unit(GUESTS, [served(collect, nr, tmp) for nr in (0, *GUESTS)]))


test_growth.timeout = 900
test_growth.steady = 320
