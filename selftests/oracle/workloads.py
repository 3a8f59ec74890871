# SPDX-License-Identifier: GPL-2.0-only
"""Failing schedulers, each looked at twice in one and the same moment.

The module holds all CPUs parked behind its capture (hold_ms= in kmod/faults.h);
meanwhile QEMU is stopped and dumps the guest's memory. drgn reads the dump on its
own (reader/), and compare.py goes over every leaf of the report.
"""
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "tests")]
import compare  # noqa: E402
from guest import HostStall  # noqa: E402
from _casts import object_fields  # noqa: E402
from _common import Rig, exit_line, no_servers, wait_host  # noqa: E402
from maps import ROOMY, Zoo  # noqa: E402

ORACLE = os.environ.get("KTDUMP_ORACLE") or os.path.join(REPO, "build", "oracle")
HOLD_MS = 4000
SCRATCH, HELD, LOOKED = "0x3ff", 0x48, "0x52"  # kmod/faults.c
MEM_MIB = 512


def drgn(args, log, timeout=600):
    """Runs drgn's own Python on a program; its Python is newer than the build root's."""
    usr = os.path.join(ORACLE, "drgn", "usr")
    lib = f"{usr}/lib/x86_64-linux-gnu"
    env = dict(os.environ, PYTHONHOME=usr, PYTHONPATH=f"{HERE}:{usr}/lib/python3/dist-packages", PYTHONDONTWRITEBYTECODE="1")
    python = next(os.path.join(usr, "bin", f) for f in sorted(os.listdir(f"{usr}/bin")) if re.fullmatch(r"python3\.\d+", f))
    with open(log, "wb") as out:
        p = subprocess.run([f"{lib}/ld-linux-x86-64.so.2", "--library-path", f"{lib}:{usr}/lib", python, *args],
                           env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=timeout)
    with open(log, errors="replace") as f:
        assert p.returncode == 0, f"the reader failed, see {log}: {f.read()[-1500:]}"


class Oracle(Rig):
    """A guest whose module holds the CPUs parked behind its capture."""

    def __init__(self, ctx, params="", **kw):
        module = os.path.join(ctx.build, "kmod-faults", ctx.release, "ktdump.ko")
        ctx.need(module)
        kw.setdefault("mem_mib", MEM_MIB)
        super().__init__(ctx, params, files={"/ktdump.ko": module, **kw.pop("files", {})}, **kw)
        self.g.sh(f"echo hold_ms={HOLD_MS} >/sys/module/ktdump/parameters/fault")
        self.vmcore = os.path.join(ctx.tmp, "vmcore")

    def port(self):
        text = self.g.qmp("human-monitor-command", **{"command-line": f"i /b {SCRATCH}"})
        return int(text.split("=")[1], 16)

    def dump(self, timeout=90):
        """Waits for the hold, dumps the memory meanwhile, ends the hold."""
        wait_host(lambda: self.g.check() or self.port() == HELD or self.paths(), timeout, "the module holds the CPUs")
        self.g.qmp("stop")
        # Nobody runs now: if it still holds, the dump is of this very moment.
        held = self.port() == HELD
        if held:
            self.g.qmp("dump-guest-memory", timeout=300, paging=False, protocol=f"file:{self.vmcore}")
            self.g.qmp("human-monitor-command", **{"command-line": f"o /b {SCRATCH} {LOOKED}"})
        self.g.qmp("cont")
        if not held:
            raise HostStall("the hold was over before QEMU could be stopped")

    def compare(self, report):
        """Reads the dump and compares; fails when a leaf differs.  Meanwhile the guest does nothing."""
        self.g.qmp("stop")
        try:
            self.read_and_compare(report)
        finally:
            self.g.qmp("cont")

    def read_and_compare(self, report):
        tmp, started = self.ctx.tmp, time.monotonic()
        facts = os.path.join(tmp, "facts.json")
        vmlinux = os.path.join(ORACLE, self.ctx.release, "vmlinux")
        drgn(["-m", "reader", vmlinux, self.vmcore, facts], os.path.join(tmp, "reader.log"))
        with open(facts) as f:
            facts = json.load(f)
        result = compare.compare(report, facts)
        with open(os.path.join(tmp, "comparison"), "w") as f:
            f.write(result.text())
        if not os.environ.get("KTDUMP_KEEP"):
            os.unlink(self.vmcore)
        print(f"# {result.counts()}; read in {time.monotonic() - started:.0f} s", flush=True)
        assert not result.different, "the report and the dump differ:\n" + "\n".join(result.different[:40])
        blind = compare.blind_spots(report, facts)
        assert not blind, f"false values would not be seen at {blind}"
        missed, tried = compare.overlooked(report, facts)
        assert not missed, f"of {tried} false values among true ones {missed} were not seen"


def finish(r, **how):
    """Compares the report of the dump; what comes later is not held any more."""
    report = r.report(**how)
    # Where a realtime task starves the shell, that ends first. The scheduler's end has to get
    # past the others, which on a busy host takes minutes.
    r.g.sh("echo hold_ms=0 >/sys/module/ktdump/parameters/fault; killall -9 work 2>/dev/null; true", timeout=120)
    r.compare(report)


def workload(fn):
    fn.timeout = 1500
    return fn


@workload
def test_stall(ctx):
    """The demonstration's stall: tasks lost on a queue."""
    with Oracle(ctx) as r:
        r.scheduler("/stall.bpf.o")
        r.g.start("work sleepers victim 3", log="/tmp/work")
        r.dump()
        finish(r)
        exit_line(r.ended())


@workload
def test_many(ctx):
    """2,000 tasks in 64 queues of our own, by order and by vtime."""
    with Oracle(ctx, "buf_mib=32") as r:
        r.scheduler("--set vtime=1 /manyq.bpf.o")
        r.g.start("work wake many 2000", log="/tmp/many")
        r.g.wait_for("grep -q woken /tmp/many", timeout=150, every=0.5)
        r.g.start("work yield y 4")
        r.g.start("work once trigger")
        r.dump()
        finish(r)
        exit_line(r.ended())


@workload
def test_subs(ctx):
    """A tree of schedulers: one child fails under load, and others go on."""
    with Oracle(ctx) as r:
        r.g.sh("mkdir /sys/fs/cgroup/a /sys/fs/cgroup/b")
        r.scheduler("/subroot.bpf.o", "root")
        for c, task in (("a", "once trigger-sub"), ("b", "yield other 6")):
            path = f"/sys/fs/cgroup/{c}"
            r.g.start(f"sh -c 'echo $$ >{path}/cgroup.procs; until [ -e /tmp/go ]; do sleep 0.1; done; exec work {task}'")
            r.g.wait_for(f'[ -n "$(cat {path}/cgroup.procs)" ]')
            r.scheduler(f"--cgroup {path} /subchild.bpf.o", c)
        r.g.start("work yield y 4")
        r.g.start("work sleepers s 4")
        r.g.sh("touch /tmp/go")
        r.dump()
        finish(r)
        r.ended("a")


class ZooOracle(Oracle, Zoo):
    pass


@workload
def test_zoo(ctx):
    """A map of every type, each with something in it."""
    with ZooOracle(ctx, ROOMY) as r:
        r.fill()
        # Later: no command may be waited for when the CPUs stand still.
        r.g.start(f"sh -c 'sleep 1; kill -USR1 {r.pids['zoo']}'")
        r.dump()
        # The schemas take a minute with so many bytes; maps.zoo has them checked.
        finish(r, schemas=False)
        r.g.wait_for("grep -q ^exit /tmp/zoo")
        r.close()


@workload
def test_objects(ctx):
    """Objects that programs make, lists and trees of them, an arena with holes, a ring that writes over."""
    with Oracle(ctx) as r:
        r.scheduler("/objects.bpf.o")
        r.g.start("work yield y 8")
        r.g.sh("sleep 1")
        r.g.start("work once trigger")
        r.dump()
        finish(r)
        exit_line(r.ended())


@workload
def test_typed(ctx):
    """Allocators in an arena: slots of tasks and cgroups, lists, trees, what leads nowhere; a static region."""
    with Oracle(ctx) as r:
        r.g.sh("mkdir -p /sys/fs/cgroup/one /sys/fs/cgroup/two")
        r.scheduler("/typed.bpf.o")
        r.g.start("work once trigger")
        r.dump()
        finish(r)
        exit_line(r.ended())


def foreign(ctx, name):
    """Builds a scheduler of the kernel's own tools/sched_ext, or its object; its path."""
    out = os.path.join(ORACLE, ctx.release, "bin")
    path = os.path.join(out, name)
    p = subprocess.run(["make", "--no-print-directory", "-C", HERE, f"SRC={ORACLE}/{ctx.release}/sched_ext", f"OUT={out}",
                        f"VMLINUX_H={ctx.build}/selftests/{ctx.release}/vmlinux.h", path],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, f"{name} does not build: {p.stdout[-2000:]}"
    return path


def start_foreign(r, name):
    pid = r.g.start(f"/bin/{name}", log="/tmp/foreign")
    r.g.wait_for(f"[ \"$(cat /sys/kernel/sched_ext/root/ops)\" = {name.removeprefix('scx_')} ] || ! [ -d /proc/{pid} ]", timeout=60)
    if r.g.run(f"[ -d /proc/{pid} ]")[0]:
        log = r.g.sh("cat /tmp/foreign")
        # See schedulers/scx.h: some builds of 7.2 describe a part of their kfuncs wrongly.
        missing = re.search(r"kfunc '(\w+)' is referenced but wasn't resolved", log)
        if missing:
            r.ctx.skip(f"no BPF program can call {missing.group(1)} of this kernel build")
        raise AssertionError(log)


def sysrq(ctx, name):
    with Oracle(ctx, "trigger=any", files={f"/bin/{name}": foreign(ctx, name)}) as r:
        start_foreign(r, name)
        for work in ("yield y 6", "sleepers s 6", "spin p 6"):
            r.g.start(f"work {work}")
        r.g.sh("sleep 1")
        r.g.start("sh -c 'echo S >/proc/sysrq-trigger'")
        r.dump()
        finish(r)
        r.g.run(f"killall -9 work {name}")


@workload
def test_scx_simple(ctx):
    """The kernel's scx_simple, ended by SysRq under load."""
    sysrq(ctx, "scx_simple")


@workload
def test_scx_sdt(ctx):
    """The kernel's scx_sdt, which keeps its data in an arena, ended by SysRq under load."""
    sysrq(ctx, "scx_sdt")


def test_casts(ctx):
    """Numbers that are pointers in all of the kernel's tools/sched_ext, by their object files."""
    # By their sources: the others keep numbers only in fields of u64.
    truth = {"scx_sdt": {("scx_task_map_val", "tptr"): ("task_struct", False)}}
    sources = sorted(f[:-len(".c")] for f in os.listdir(f"{ORACLE}/{ctx.release}/sched_ext") if f.endswith(".bpf.c"))
    assert len(sources) >= 8, sources
    for source in sources:
        fields = object_fields(ctx, foreign(ctx, source + ".o"))
        print(f"# {source}: {fields}", flush=True)
        assert fields == truth.get(source.removesuffix(".bpf"), {}), (source, fields)


@workload
def test_scx_cpu0(ctx):
    """The kernel's scx_cpu0, whose only CPU a realtime task takes: a stall."""
    name = "scx_cpu0"
    with Oracle(ctx, files={f"/bin/{name}": foreign(ctx, name)}) as r:
        start_foreign(r, name)
        # This shall be for the watchdog to see, not for RCU.
        r.g.sh("echo 120 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout")
        no_servers(r.g, 0)
        # From now on nothing else is scheduled in this guest, its shell included: the kernel
        # ends the hog when it has used that many seconds, which are more than a stall takes.
        r.g.start("sh -c 'ulimit -t 40; exec work hog hog 1 0'")
        r.dump(timeout=240)
        finish(r)
        r.g.run(f"killall -9 {name}")
