# SPDX-License-Identifier: GPL-2.0-only
"""What guest tests of the module and the collector share."""
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "unit"))
import check_report  # noqa: E402
import guest  # noqa: E402
from guest import HostStall  # noqa: E402

# Emulated CPUs on a busy machine take long to arrive.
FREEZE = "freeze_max_ms=250"

# Ours comes first in every NMI of ours, then this one: it takes long when the host
# gives the CPU to somebody else.
HOST_NOISE = (r"NMI handler \(nmi_cpu_backtrace_handler\) took too long",)


def exit_line(out):
    """(kind, msg) of the loader's "exit kind=..." line."""
    m = re.search(r'^exit kind=(\d+) code=(-?\d+) reason="([^"]*)" msg="(.*)"$', out, re.M)
    assert m, f"the scheduler did not end:\n{out[-1500:]}"
    return int(m.group(1)), m.group(4)


def wait_host(what, timeout, text):
    """Waits on the host until what() is true and returns its value."""
    end = time.monotonic() + timeout * guest.pace
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, f"{text}: nothing after {timeout} s"
        time.sleep(0.05)


def with_libraries(tool, at):
    """A program of the build root at this place of a guest, for Guest(files=...)."""
    out = {at: os.path.realpath(tool)}
    text = subprocess.run(["ldd", tool], stdout=subprocess.PIPE, text=True, check=True).stdout
    for path in re.findall(r"(/\S+) \(0x", text):
        out[path] = os.path.realpath(path)
    return out


def check(path):
    """Schemas and all other rules; returns the report."""
    try:
        check_report.check(path)
    except check_report.Problem as e:
        raise AssertionError(f"{path}: {e}") from None
    return check_report.load(path)


def not_cut(report):
    """The deadline of the freeze cut nothing; a host that is busy is not the module's doing."""
    freeze = report["ktdump"]["freeze"]
    if freeze["truncated_at_us"] is not None:
        raise HostStall(f"cut at {freeze['truncated_at_us']} us: {freeze}")


class Rig:
    """A guest with the module loaded and a collector that serves it.

        with Rig(ctx, "trigger=any") as r:
            r.g.sh(...)
            report = r.report()

    Leaving it removes the module and fails the test when the kernel complained.
    """

    def __init__(self, ctx, params="", collect=(), insmod=True, files=None, **guest):
        ctx.need(ctx.ktdump_ko)
        self.ctx = ctx
        self.g = self.boot(files=files, **guest)
        self.out = os.path.join(ctx.tmp, "reports")
        os.makedirs(self.out, exist_ok=True)
        self.collector = self.listen("-v", *collect, output=self.out + "/", name=f"collector{ctx.nguests}")
        wait_host(lambda: "listening" in self.collector.stderr(), 20, "ktcollect listens")
        self.taken = 0
        self.dual = None        # the whole of the last report, if it was one
        self.pids = {}
        self.loaded = False
        if insmod:
            self.insmod(params)

    def boot(self, **kw):
        return self.ctx.guest(**kw)

    def listen(self, *args, **kw):
        return self.ctx.collector(self.g, *args, **kw)

    def insmod(self, params=""):
        if "freeze_max_ms" not in params:
            params = f"{FREEZE} {params}"
        # A capture more in every stall: for the tests that are about it.
        if "early_percent" not in params:
            params += " early_percent=0"
        self.g.sh(f"insmod /ktdump.ko {params}", timeout=60)
        self.loaded = True

    def rmmod(self):
        self.g.sh("rmmod ktdump", timeout=60)
        self.loaded = False

    def paths(self):
        """Reports so far, in the order in which they were announced."""
        return [p for p in self.collector.stdout().splitlines() if p.endswith(".json")]

    def report(self, timeout=90, complete=True, whole=True, schemas=True):
        """The next report, or the late part of a dual one: waited for and checked.

        complete: the stream arrived to its end.  whole: no deadline cut the capture.
        schemas: not for the same report again and again, it takes long.
        """
        wait_host(lambda: self.g.check() or len(self.paths()) > self.taken, timeout,
                  f"report {self.taken + 1}")
        path = self.paths()[self.taken]
        self.taken += 1
        report = check(path) if schemas else check_report.load(path)
        self.dual = report if report["schema"] == "dual" else None
        report = report["late"] if self.dual else report
        if complete:
            kt = report["ktdump"]
            assert kt["incomplete"] is False, f"{path} is incomplete: {kt['missing']}"
            print("# " + freeze_line(report), flush=True)
            if whole:
                not_cut(report)
        return report

    def no_more_reports(self):
        """Removes the module; whatever it still had to send is here then."""
        self.rmmod()
        self.collector.stop()
        assert len(self.paths()) == self.taken, self.paths()

    def scheduler(self, args, name="run"):
        """Starts scxrun; its output goes to /tmp/NAME in the guest."""
        pid = self.g.start(f"scxrun {args}", log=f"/tmp/{name}")
        self.pids[name] = pid
        self.g.wait_for(f"grep -qE '^attached|scxrun:' /tmp/{name} || ! [ -d /proc/{pid} ]", timeout=60)
        out = self.g.sh(f"cat /tmp/{name}")
        assert "attached" in out, out
        return pid

    def ended(self, name="run", timeout=90):
        """All that scxrun has printed, when it has ended with its scheduler."""
        self.g.wait_for(f"! [ -d /proc/{self.pids[name]} ]", timeout=timeout)
        return self.g.sh(f"cat /tmp/{name}", timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None and self.g.alive():
            self.g.run("killall -9 work scxrun zoofill 2>/dev/null", timeout=60)
            if self.loaded:
                self.rmmod()
            self.g.assert_clean_log(allow=HOST_NOISE)


def freeze_line(report):
    """What the freeze of a report cost, in one line."""
    f = report["ktdump"]["freeze"]
    slow = sorted(report["ktdump"].get("sections", []), key=lambda s: -(s["ns"] or 0))[:4]
    return (f"freeze: rendezvous {f['rendezvous_ns'] / 1e6:.2f} ms, held {f['held_ns'] / 1e6:.2f} ms, release "
            f"{f['release_ns'] / 1e6:.2f} ms, {f['cpus_parked']}/{f['cpus_targeted']} parked, {f['resent']} resent, "
            f"{f['bytes'] / 1024:.0f} KiB; " + ", ".join(f"{s['table']} {s['ns'] / 1e6:.2f} ms" for s in slow))


def by_kva(report):
    """Tasks by address."""
    return {t["kva"]: t for t in report["ktdump"]["tasks"]}


def tasks_named(report, prefix):
    """Tasks whose comm begins so, in the order of the report."""
    return [t for t in report["ktdump"]["tasks"] if t["comm"].startswith(prefix)]


def task_named(report, comm):
    """The one task with that comm."""
    found = [t for t in report["ktdump"]["tasks"] if t["comm"] == comm]
    assert len(found) == 1, f"{len(found)} tasks are named {comm}"
    return found[0]


def dsq_by_id(report, dsq_id):
    """The one entry of dsq_states with that id."""
    found = [q for q in report["dsq_states"] if q["id"] == dsq_id]
    assert len(found) == 1, f"{len(found)} queues have the id {dsq_id:#x}"
    return found[0]


def scheduler_named(report, name):
    found = [s for s in report["ktdump"]["schedulers"] if s["name"] == name]
    assert len(found) == 1, f"{len(found)} schedulers are named {name}"
    return found[0]


def all_parked(report, cpus=4):
    """Every CPU stood still, nobody came late or left early."""
    kt = report["ktdump"]
    f = kt["freeze"]
    # It was waited for as long as is allowed.  One that never comes fails the third time.
    if f["cpus_missing"] and f["rendezvous_ns"] >= f["cap_ns"] // 2:
        raise HostStall(f"a CPU did not come: {f}")
    assert (f["cpus_targeted"], f["cpus_parked"], f["gave_up"], f["cpus_missing"]) == (cpus - 1, cpus - 1, 0, []), f
    assert f["truncated_at_us"] is None, f
    assert f["rendezvous_ns"] <= f["held_ns"] <= f["cap_ns"] * 2, f
    assert [c["cpu"] for c in kt["cpus"]] == list(range(cpus)) and all(c["parked"] for c in kt["cpus"])
    regs = report["vcpu_regs"]
    assert len(regs) == cpus and None not in regs, regs
    for r, c in zip(regs, kt["cpus"]):
        assert r["instruction_pointer"] == c["ip"] and r["stack_pointer"] == c["sp"] and r["page_table_root"], (r, c)


def symbolised(stack):
    """Every address of this stack has a name."""
    return bool(stack) and all("+0x" in s["symbol"] for s in stack)


def no_servers(g, cpu):
    """Takes the share away that other classes have of a CPU beside a realtime task."""
    g.sh(f"for f in /sys/kernel/debug/sched/*_server/cpu{cpu}/runtime; do [ ! -e $f ] || echo 0 >$f; done; "
         "[ ! -e /proc/sys/kernel/sched_rt_runtime_us ] || echo -1 >/proc/sys/kernel/sched_rt_runtime_us")
