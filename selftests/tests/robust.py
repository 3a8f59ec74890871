# SPDX-License-Identifier: GPL-2.0-only
"""What goes wrong around a capture: lost peers, lost CPUs, full buffers, unloading."""
import contextlib
import os
import re
import signal
import socket
import threading
import time

import guest
from guest import HostStall, accelerator
from _common import FREEZE, HOST_NOISE, Rig, all_parked, check, exit_line, freeze_line, not_cut, wait_host

# A frame without rows; all that a collector sends.
HEADER = 24
ACK = 5

# Bytes of a stream that are in the middle of its first snapshot.
PART = 6000

FAULT = "/sys/module/ktdump/parameters/fault"


# ------------------------------------------------------------------- helpers

def faults(ctx):
    """files= for a guest with the module that can be told to fail."""
    path = os.path.join(ctx.build, "kmod-faults", ctx.release, "ktdump.ko")
    ctx.need(path)
    return {"/ktdump.ko": path}


def socket_guest(ctx, **kw):
    """A guest whose vsock ends in a Unix socket, so that a test can sit in between."""
    before = os.environ.get("KTDUMP_VSOCK")
    os.environ["KTDUMP_VSOCK"] = "user"
    try:
        return ctx.guest(**kw)
    finally:
        if before is None:
            del os.environ["KTDUMP_VSOCK"]
        else:
            os.environ["KTDUMP_VSOCK"] = before


class Proxy:
    """Sits between a guest and its collector; stops reading the guest after limit bytes.

    .mute keeps the collector's ACKs back.  tap: a file for what the guest says.
    """

    def __init__(self, g, to, limit=None, pace=None, tap=None):
        self.to, self.limit, self.pace, self.tap = to, limit, pace, tap
        self.passed, self.answered, self.mute, self.socks = 0, 0, False, []
        self.full = threading.Event()
        self.path = g.uds + "_19284"
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                guest, _ = self.server.accept()
            except OSError:
                return
            up = socket.socket(socket.AF_UNIX)
            try:
                up.connect(self.to + "_19284")
            except OSError:
                guest.close()
                continue
            self.socks += [guest, up]
            self.passed = self.answered = 0
            threading.Thread(target=self._pump, args=(guest, up, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(up, guest, False), daemon=True).start()

    def _pump(self, src, dst, counted):
        try:
            while True:
                want = 65536
                if counted and self.limit is not None:
                    want = min(want, self.limit - self.passed)
                    if not want:
                        self.full.set()
                        return
                if counted and self.pace:
                    want = min(want, 4096)
                    time.sleep(self.pace)
                data = src.recv(want) if counted else src.recv(HEADER, socket.MSG_WAITALL)
                if not data:
                    break
                if counted:
                    self.passed += len(data)
                    if self.tap:
                        self.tap.write(data)
                else:
                    self.answered += len(data)
                    if self.mute and data[5] == ACK:
                        continue
                dst.sendall(data)
        except OSError:
            pass
        for s in (src, dst):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Every connection there is ends."""
        for s in self.socks:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        self.socks = []

    def close(self):
        self.server.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.cut()


def fail(g, name="trigger", after=""):
    """A scheduler that fails when a task of that name comes; returns its message."""
    out = g.sh(f"rm -f /tmp/f; scxrun /error.bpf.o >/tmp/f & until grep -q ^attached /tmp/f; do usleep 20000; done; "
               f"work once {name}; wait; cat /tmp/f", timeout=60)
    kind, msg = exit_line(out)
    assert kind == 1025, out
    return msg


def paths_of(collector):
    return [p for p in collector.stdout().splitlines() if p.endswith(".json")]


def whole(path):
    """A checked report that lacks nothing."""
    report = check(path)
    assert report["ktdump"]["incomplete"] is False, (path, report["ktdump"]["missing"])
    not_cut(report)
    return report


def exit_message(report):
    exits = report["ktdump"]["exits"]
    assert len(exits) == 1 and exits[0]["complete"], exits
    return exits[0]["msg"]


def timed_rmmod(g, limit=3.0):
    """Removes the module; the guest's own clock says how long it took."""
    out = g.sh("a=$(cut -d' ' -f1 /proc/uptime); rmmod ktdump || exit 1; echo $a $(cut -d' ' -f1 /proc/uptime)", timeout=60)
    a, b = (float(n) for n in out.split()[-2:])
    assert b - a <= limit * guest.pace, f"rmmod took {b - a:.2f} s"
    return b - a


def insmod(g, params=""):
    g.sh(f"insmod /ktdump.ko {FREEZE} early_percent=0 {params}", timeout=60)


def sender_in(g, function, timeout=30):
    """Waits until the sender thread sleeps in that function."""
    g.wait_for(f"grep -q {function} /proc/$(pidof ktdump)/stack", timeout=timeout, every=0.05)


# ------------------------------------------------- the connection, the peers

def test_collector_late(ctx):
    """Three failures and a collector that comes 20 s later: all reports, in order."""
    g = ctx.guest()
    insmod(g)
    start = time.monotonic()
    msgs = [fail(g, f"trigger{i}") for i in range(3)]
    # Long enough for the longest pause between two attempts to connect.
    wait_host(lambda: g.check() or time.monotonic() > start + 20, 40, "20 s are over")
    c = ctx.collector(g, output=os.path.join(ctx.tmp, "r") + "/")
    wait_host(lambda: len(paths_of(c)) >= 3, 30, "three reports")
    reports = [whole(p) for p in paths_of(c)]
    assert [r["ktdump"]["snapshot"] for r in reports] == [1, 2, 3]
    assert [exit_message(r) for r in reports] == msgs
    assert reports[0]["ktdump"]["module"]["pending"] == 3, reports[0]["ktdump"]["module"]
    assert reports[2]["ktdump"]["counters"]["lost"] == 0
    times = [r["ktdump"]["trigger"]["mono_ns"] for r in reports]
    assert times == sorted(times) and len(set(times)) == 3
    g.sh("rmmod ktdump")
    g.assert_clean_log(allow=HOST_NOISE)


def test_collector_killed(ctx):
    """The collector is killed in mid-stream and started again: one whole report."""
    g = socket_guest(ctx)
    path, out = os.path.join(ctx.sockets, "c"), os.path.join(ctx.tmp, "r")
    args = ("--uds", path, "-v")
    c = ctx.collector(None, *args, output=out + "/")
    wait_host(lambda: os.path.exists(path + "_19284"), 20, "ktcollect listens")
    proxy = Proxy(g, path, limit=PART)
    try:
        insmod(g)
        msg = fail(g)
        wait_host(proxy.full.is_set, 30, "a part of the stream")
        wait_host(lambda: "snapshot 1" in c.stderr(), 30, "the collector has a part")
        c.proc.send_signal(signal.SIGKILL)
        c.proc.wait()
        assert not paths_of(c), c.stdout()
        proxy.limit = None
        proxy.cut()
        d = ctx.collector(None, *args, output=out + "/", name="second")
        # At once, or after 30 s: the back end does not always tell the guest.
        wait_host(lambda: paths_of(d), 60, "a report")
        report = whole(paths_of(d)[0])
        assert exit_message(report) == msg
        # Acknowledged: after a further failure only that one comes.
        again = fail(g, "trigger-again")
        wait_host(lambda: len(paths_of(d)) > 1, 60, "the second report")
        second = whole(paths_of(d)[1])
        assert second["ktdump"]["snapshot"] == 2 and exit_message(second) == again
        g.sh("rmmod ktdump")
        assert sorted(os.listdir(out)) == sorted(os.path.basename(p) for p in paths_of(d)), os.listdir(out)
    finally:
        proxy.close()
    g.assert_clean_log(allow=HOST_NOISE)


def test_answer_lost(ctx):
    """The ACK never arrives: the guest connects and sends again, one report is written."""
    g = socket_guest(ctx)
    path = os.path.join(ctx.sockets, "c")
    c = ctx.collector(None, "--uds", path, "-v", output=os.path.join(ctx.tmp, "r") + "/")
    wait_host(lambda: os.path.exists(path + "_19284"), 20, "ktcollect listens")
    proxy = Proxy(g, path)
    try:
        insmod(g)
        wait_host(lambda: proxy.answered == HEADER, 30, "the collector's hello")
        proxy.mute = True
        msg = fail(g)
        wait_host(lambda: paths_of(c), 30, "a report")
        assert c.stderr().count("connected") == 1
        proxy.mute = False
        wait_host(lambda: re.search("snapshot 1 .* again", c.stderr()), 60, "the same snapshot again")
        # Acknowledged now: the next one comes alone.
        second = fail(g, "trigger-again")
        wait_host(lambda: len(paths_of(c)) > 1, 30, "the second report")
        reports = [whole(p) for p in paths_of(c)]
        assert [exit_message(r) for r in reports] == [msg, second]
        assert [r["ktdump"]["snapshot"] for r in reports] == [1, 2]
        assert len(re.findall("snapshot [12] ", c.stderr())) == 3, c.stderr()
        g.sh("rmmod ktdump")
    finally:
        proxy.close()
    g.assert_clean_log(allow=HOST_NOISE)


def test_guest_killed(ctx):
    """The guest dies in mid-stream: a partial report that says what is missing."""
    g = socket_guest(ctx)
    path = os.path.join(ctx.sockets, "c")
    c = ctx.collector(None, "--uds", path, "--grace", "1", "--once", "-v", output=os.path.join(ctx.tmp, "r") + "/")
    wait_host(lambda: os.path.exists(path + "_19284"), 20, "ktcollect listens")
    proxy = Proxy(g, path, limit=PART)
    try:
        insmod(g)
        fail(g)
        wait_host(proxy.full.is_set, 30, "a part of the stream")
        wait_host(lambda: "snapshot 1" in c.stderr(), 30, "the collector has a part")
        g.kill()
        proxy.cut()
        assert c.wait(30) == 0, c.stderr()
    finally:
        proxy.close()
    report = check(paths_of(c)[0])
    kt = report["ktdump"]
    assert kt["incomplete"] is True
    why = [m["reason"] for m in kt["missing"] if m["section"] == "stream"]
    assert len(why) == 1 and re.search(r"frame \d+", why[0]), kt["missing"]
    # What was sent first is there: the trigger and the CPUs.
    assert kt["trigger"]["exit_kind"] == 1025, kt["trigger"]
    if len(kt["cpus"]) < 4:
        raise HostStall(f"the freeze was over after {len(kt['cpus'])} CPUs")
    assert not kt.get("exits"), kt["exits"]


PAUSE = 60


def test_guest_paused(ctx):
    """The guest stands still for a minute in mid-stream: one whole report all the same.

    As in a frozen container.  QMP's "stop" would restart the vsock back end besides, and
    vhost-device-vsock misses what lies in its queues then (ktdump(8), WITHOUT VSOCK).
    """
    g = socket_guest(ctx)
    path = os.path.join(ctx.sockets, "c")
    c = ctx.collector(None, "--uds", path, "--btf-cache", "none", "--grace", "1", "-v", output=os.path.join(ctx.tmp, "r") + "/")
    wait_host(lambda: os.path.exists(path + "_19284"), 20, "ktcollect listens")
    # Slow enough that the kernel's BTF is on its way for longer than it takes to stop the guest.
    proxy = Proxy(g, path, pace=0.02)
    try:
        insmod(g)
        msg = fail(g)
        wait_host(lambda: proxy.passed > PART, 60, "a part of the stream")
        g.qemu.send_signal(signal.SIGSTOP)
        passed, start = proxy.passed, time.monotonic()
        wait_host(lambda: time.monotonic() > start + PAUSE, PAUSE + 30, "a minute is over")
        assert not paths_of(c) and "not complete" not in c.stderr() and "silent" not in c.stderr(), c.stderr()
        proxy.pace = None
        g.qemu.send_signal(signal.SIGCONT)
        wait_host(lambda: paths_of(c), 90, "a report")
        assert exit_message(whole(paths_of(c)[0])) == msg
        print(f"# paused after {passed} bytes, {c.stderr().count(': connected')} connection(s)", flush=True)
        g.sh("rmmod ktdump")
        assert len(paths_of(c)) == 1
    finally:
        proxy.close()
    g.assert_clean_log(allow=HOST_NOISE)


test_guest_paused.timeout = 300
test_guest_paused.once = True


def test_guest_reset(ctx):
    """The guest is reset in mid-stream: a partial report, and a whole one of its next life.

    As the host sees it: nobody ends the old connection, and a new one comes.  A real reset is
    beyond vhost-device-vsock, which is deaf in the next life.
    """
    g = socket_guest(ctx)
    path = os.path.join(ctx.sockets, "c")
    c = ctx.collector(None, "--uds", path, "--grace", "1", "--silence", "5", "-v", output=os.path.join(ctx.tmp, "r") + "/")
    wait_host(lambda: os.path.exists(path + "_19284"), 20, "ktcollect listens")
    old = Proxy(g, path, limit=PART)
    try:
        insmod(g)
        fail(g)
        wait_host(old.full.is_set, 30, "a part of the stream")
        wait_host(lambda: "snapshot 1" in c.stderr(), 30, "the collector has a part")
        g.kill()
        g = socket_guest(ctx)
        new = Proxy(g, path)
        try:
            insmod(g)
            msg = fail(g)
            wait_host(lambda: len(paths_of(c)) >= 2, 90, "two reports")
            reports = [check(p) for p in paths_of(c)]
            assert sorted(r["ktdump"]["incomplete"] for r in reports) == [False, True], [r["ktdump"]["missing"] for r in reports]
            assert len({r["ktdump"]["kernel"]["boot_id"] for r in reports}) == 2
            (good,) = [r for r in reports if not r["ktdump"]["incomplete"]]
            assert exit_message(good) == msg
            g.sh("rmmod ktdump")
        finally:
            new.close()
        assert "silent for 5 s" in c.stderr(), c.stderr()
    finally:
        old.close()
    g.assert_clean_log(allow=HOST_NOISE)


test_guest_reset.once = True


def test_two_guests(ctx):
    """Two guests, one collector: each gets its own report."""
    a, b = socket_guest(ctx, mem_mib=512), socket_guest(ctx, mem_mib=512)
    c = ctx.collector(None, "--uds", a.uds, "--uds", b.uds, "-v", output=os.path.join(ctx.tmp, "r") + "/")
    wait_host(lambda: c.stderr().count("listening") == 2, 20, "ktcollect listens")
    for g in (a, b):
        insmod(g)
        g.start("scxrun /error.bpf.o", log="/tmp/f")
        g.wait_for("grep -q ^attached /tmp/f")
    for g, name in ((a, "trigger-a"), (b, "trigger-b")):
        g.start(f"work once {name}")
    wait_host(lambda: len(paths_of(c)) >= 2, 60, "two reports")
    seen = {}
    for p in paths_of(c):
        r = whole(p)
        comms = {t["comm"] for t in r["ktdump"]["tasks"]}
        seen[r["ktdump"]["kernel"]["boot_id"]] = comms & {"trigger-a", "trigger-b"}
    assert len(seen) == 2, seen
    for g, name in ((a, "trigger-a"), (b, "trigger-b")):
        boot_id = g.sh("cat /proc/sys/kernel/random/boot_id")
        assert seen[boot_id] == {name}, (boot_id, seen)
        assert any(g.uds in line and boot_id[:8] in line for line in c.stderr().splitlines()), c.stderr()
    for g in (a, b):
        g.sh("rmmod ktdump")
        g.assert_clean_log(allow=HOST_NOISE)


# ------------------------------------------------------------------- endurance

CYCLES = 200
CYCLE = r"""
# One cycle: load, attach, fail, unload.
cycle() {
	insmod /ktdump.ko freeze_max_ms=250 $1 || exit 1
	scxrun --set after=3 /error.bpf.o >/tmp/c || exit 1
	grep -q 'exit kind=1025' /tmp/c || { cat /tmp/c; exit 1; }
	rmmod ktdump || exit 1
}
"""
PAIR = r"""
insmod /ktdump.ko freeze_max_ms=250 cid=1 || exit 1
scxrun /subroot.bpf.o >/tmp/root & R=$!
until grep -q ^attached /tmp/root; do usleep 20000; done
AT=$(($(work now) + 1500000000))
rm -f /tmp/a /tmp/b
for c in a b; do
	mkdir -p /sys/fs/cgroup/$c
	sh -c 'echo $$ >/sys/fs/cgroup/'$c'/cgroup.procs; exec work yield y 1' >/dev/null & W="$W $!"
	scxrun --set fire_at=$AT --cgroup /sys/fs/cgroup/$c /subchild.bpf.o >/tmp/$c & S="$S $!"
done
wait $S
grep -h ^exit /tmp/a /tmp/b
kill -9 $W
kill $R
wait $R
rmmod ktdump || exit 1
wait
"""
# Free pages on per-CPU lists count nowhere in meminfo, kworkers come and go: both apart.
# vsock is no module in a debug kernel.
MEASURE = r"""
echo 3 >/proc/sys/vm/drop_caches
awk '/^(MemAvailable|Slab|SUnreclaim|VmallocUsed|Percpu|KernelStack):/ { print $1, $2 }' /proc/meminfo
echo pcp: $(awk '$1 == "count:" { n += $2 } END { print 4 * n }' /proc/zoneinfo)
echo kworkers: $(grep -l '^kworker/' /proc/[0-9]*/comm 2>/dev/null | wc -l)
echo tasks: $(ls -d /proc/[0-9]* | wc -l)
echo vsock: $(cat /sys/module/vsock/refcnt 2>/dev/null || echo 0)
echo kprobes: $(wc -l </sys/kernel/debug/kprobes/list)
echo modules: $(wc -l </proc/modules)
"""
STACK_KIB = 16


def look(g):
    m = {k.strip(): int(v) for k, v in (line.split(":") for line in g.sh(MEASURE).splitlines())}
    m["MemAvailable"] += m.pop("pcp")
    kworkers = m.pop("kworkers")
    m["tasks"] -= kworkers
    m["KernelStack"] -= kworkers * STACK_KIB
    return m


def measure(g):
    # RCU and work queues free what they have; the best of a few looks counts.
    looks = []
    for _ in range(5):
        looks.append(look(g))
        g.wait_for(f"[ $(cut -d. -f1 /proc/uptime) -gt {g.sh('cut -d. -f1 /proc/uptime')} ]")
    best = {k: min(m[k] for m in looks) for k in looks[0]}
    best["MemAvailable"] = max(m["MemAvailable"] for m in looks)
    return best


def test_cycles(ctx):
    """200 times load, exit, unload, some with two schedulers that fail at once: nothing is left."""
    # With more than one thread QEMU now and then runs a breakpoint that the kernel's
    # text patching has already taken away ("Oops: int3"); 200 cycles patch a lot.
    accel = accelerator()
    with Rig(ctx, insmod=False, accel="tcg,thread=single" if accel == "tcg" else accel) as r:
        g = r.g
        started = time.monotonic()
        subs = ctx.version() >= (7, 1)
        before = None
        for n in range(20, CYCLES + 1, 20):
            if subs and n % 40 == 20:
                # 18 + 1: a pair counts as one.
                out = g.sh(PAIR, timeout=120)
                assert out.count("kind=1025") == 2, out
                plain = 18
            else:
                plain = 19
            # Nobody listens on the loopback, so these unload with a snapshot waiting.
            g.sh(CYCLE + f"i=0; while [ $i -lt {plain} ]; do cycle cid=1; i=$((i+1)); done", timeout=200)
            # And one that delivers.
            r.insmod()
            fail(g)
            r.report(whole=False)
            r.rmmod()
            g.assert_clean_log(allow=HOST_NOISE)
            print(f"# {n} cycles in {time.monotonic() - started:.0f} s", flush=True)
            if n == 20:
                before = measure(g)
        after = measure(g)
        print(f"# after 20 cycles {before}, after {CYCLES} {after}", flush=True)
        # Tolerances in KiB, far below 180 leaks of the smallest thing that could leak.
        for key, allowed in (("Slab", 3072), ("SUnreclaim", 2048), ("VmallocUsed", 256), ("Percpu", 256)):
            assert after[key] - before[key] <= allowed, (key, before, after)
        assert before["MemAvailable"] - after["MemAvailable"] <= 8192, (before, after)
        assert after["KernelStack"] - before["KernelStack"] <= 256, (before, after)
        assert abs(after["tasks"] - before["tasks"]) <= 8, (before, after)
        for key in ("vsock", "kprobes", "modules"):
            assert after[key] == before[key], (key, before, after)


test_cycles.timeout = 1200


# ------------------------------------------------------------- fault injection

def test_nmi(ctx):
    """An exit inside an NMI is captured like any other."""
    with Rig(ctx, files=faults(ctx)) as r:
        r.scheduler("/simple.bpf.o")
        for _ in range(3):
            r.g.sh(f"echo fire_nmi >{FAULT}")
            report = r.report()
            t = report["ktdump"]["trigger"]
            assert t["context"] == "nmi" and t["exit_kind"] == 1024, t
            all_parked(report)
            assert [s["name"] for s in report["ktdump"]["schedulers"]] == ["simple"]
            assert len(report["ktdump"]["tasks"]) > 50


def test_all_cpus(ctx):
    """All CPUs fail at once: one captures, the others are counted, nobody hangs."""
    with Rig(ctx, files=faults(ctx)) as r:
        r.scheduler("/simple.bpf.o")
        tries = alone = fired = taken = 0
        while tries < 12 and alone < 3:
            tries += 1
            # A CPU that was parked on its way there captures afterwards, so that there
            # may be more than one.  The last one tells how many there were.
            r.g.sh(f"echo fire_irq >{FAULT}; echo fire >{FAULT}")
            fired += 5
            got = 0
            while True:
                report = r.report(whole=False)
                got += 1
                c = report["ktdump"]["counters"]
                if not got > 1:
                    assert report["ktdump"]["trigger"]["context"] in ("hardirq", "task"), report["ktdump"]["trigger"]
                # An earlier one may count what happened before its late part was made.
                if c["captured"] + c["nested"] == fired and c["captured"] == taken + got:
                    break
            taken += got
            assert c["trigger_count"] == fired and not c["lost"], c
            alone += got == 2
        print(f"# {alone} of {tries} times one report for all four", flush=True)
        assert alone >= 1


def test_no_park(ctx):
    """A CPU that never parks: it has no registers and is named; the rest is there."""
    with Rig(ctx, files=faults(ctx)) as r:
        r.scheduler("/simple.bpf.o")
        r.g.sh(f"echo no_park=2 >{FAULT}; taskset 1 sh -c 'echo fire >{FAULT}'")
        report = r.report()
        kt = report["ktdump"]
        f = kt["freeze"]
        assert f["cpus_missing"] == [2] and (f["cpus_targeted"], f["cpus_parked"]) == (3, 2), f
        assert f["resent"] == 1 and f["gave_up"] == 0, f
        # Half of the cap is for waiting.
        assert f["rendezvous_ns"] >= 125e6 and f["held_ns"] <= 2 * f["cap_ns"], f
        assert [v is None for v in report["vcpu_regs"]] == [False, False, True, False]
        assert [c["parked"] for c in kt["cpus"]] == [True, True, False, True]
        assert kt["cpus"][2]["online"] and kt["cpus"][2].get("ip") is None, kt["cpus"][2]
        assert any(m["section"] == "cpu" and "not parked" in m["reason"] for m in kt["missing"]), kt["missing"]
        assert len(report["rq_scx_states"]) == 4 and len(kt["tasks"]) > 50 and len(kt["rqs"]) == 4
        # Well again.
        r.g.sh(f"echo no_park=-1 >{FAULT}; echo fire >{FAULT}")
        all_parked(r.report())


def released(report):
    """The stream has its end, and nobody stood still for longer than is allowed."""
    kt = report["ktdump"]
    f = kt["freeze"]
    assert kt["incomplete"] is False, kt["missing"]
    # Parked CPUs leave when the cap is over.
    if f["held_ns"] > f["cap_ns"]:
        raise HostStall(f"held for too long: {f}")
    assert f["gave_up"] == 0 and f["cpus_parked"] == f["cpus_targeted"] - len(f["cpus_missing"]), f


# Where the third node of a list leads, and how the walk over it ends.
ASTRAY = {"null": "fault", "self": "loop", "first": "loop", "head": "ok", "user": "fault", "hole": "fault",
          "poison": "fault", "text": "fault"}


def test_torn_lists(ctx):
    """Lists that lead astray, in every way: the walk ends there and says how."""
    with Rig(ctx, files=faults(ctx)) as r:
        r.scheduler("/dsq.bpf.o")
        # All of them wait in one queue, and are on the runnable list of CPU 0.
        r.g.start("work wake q300- 8 0", log="/tmp/q")
        r.g.wait_for("grep -q woken /tmp/q")
        lists = [(name, kind) for name in ("dsq", "runnable", "scx_tasks") for kind in ASTRAY] + [("none", "null")]
        r.g.sh(f"for f in {' '.join(f'{name},{kind}' for name, kind in lists)}; do "
               f"echo walk=$f,3 >{FAULT}; echo fire >{FAULT}; done", timeout=60)
        for name, kind in lists:
            # A task that is other memory has numbers that no task has.
            report = r.report(whole=False, schemas=kind != "text")
            released(report)
            kt = report["ktdump"]
            if kt["freeze"]["truncated_at_us"] is not None:
                continue
            why = (name, kind, kt["missing"])
            queue = next(d for d in kt["dsqs"] if d["id"] == 0xf1f0)
            runnable = kt["rqs"][0]
            for mine, seen, end in (("dsq", queue["seen"], queue["end"]),
                                    ("runnable", runnable["runnable_seen"], runnable["runnable_end"])):
                if mine != name:
                    assert end == "ok" and seen >= 8, (why, mine, seen, end)
                    continue
                assert end == ASTRAY[kind], (why, seen, end)
                # A circle is found a few steps later.
                assert seen in {"first": range(3, 13), "text": (3, 4)}.get(kind, (3,)), (why, seen)
            astray = name == "scx_tasks" and ASTRAY[kind] != "ok"
            assert any(m["reason"] == "scx_tasks not walked whole" for m in kt["missing"]) == astray, why
            if name == "dsq":
                assert queue["nr"] == 8, queue
        all_parked(report)


def full_in(report):
    """The section that the buffer ended in, or the first that was not begun; None: all is there."""
    missing = report["ktdump"]["missing"]
    for what in ("rows dropped: buffer full", "buffer full"):
        for m in missing:
            if what in m["reason"]:
                return m["section"]
    return None


def test_room(ctx):
    """A buffer that ends in every section: a whole stream each time, which says where."""
    with Rig(ctx, "sched_timeline_kib=64 early_percent=0", files=faults(ctx)) as r:
        r.scheduler("/dsq.bpf.o")
        r.g.start("work wake q300- 20", log="/tmp/q")
        r.g.wait_for("grep -q woken /tmp/q")
        ended = {}      # section: bytes of room

        def fire(rooms):
            """One capture for each; their sections."""
            r.g.sh(f"for n in {' '.join(map(str, rooms))}; do echo room=$n >{FAULT}; echo fire >{FAULT}; done", timeout=120)
            got = []
            for n in rooms:
                report = r.report(whole=False, schemas=False)
                released(report)
                if report["ktdump"]["freeze"]["truncated_at_us"] is not None:
                    got.append(None)
                    continue
                assert not n or report["ktdump"]["freeze"]["bytes"] <= n, (n, report["ktdump"]["freeze"])
                got.append(full_in(report))
                if n:
                    ended.setdefault(got[-1], n)
            return report, got

        fire([0])       # the kernel's BTF is on the host from now on
        report, _ = fire([0])
        assert full_in(report) is None
        # What is taken while the CPUs are parked; names of symbols and of BTF come later.
        sections = {s["table"] for s in report["ktdump"]["sections"] if s["ns"] and s["bytes"]} - {"begin"}
        # A row is a byte longer when a number has grown: what was overlooked is looked for again.
        for shift in (0, 136, 264):
            places = [shift + 512 * i for i in range(1, 16)] + [shift + 4096 * i for i in range(2, 16)]
            _, got = fire(places)
            edges = list(zip(places, places[1:], got, got[1:]))
            while sections - set(ended):
                mids = {(a, b): (a + b) // 2 & ~7 for a, b, x, y in edges if x != y and b - a > 8}
                if not mids:
                    break
                at = dict(zip(mids.values(), fire(list(mids.values()))[1]))
                edges = [e for a, b, x, y in edges if (a, b) in mids
                         for m in (mids[a, b],) for e in ((a, m, x, at[m]), (m, b, at[m], y))]
            if not sections - set(ended):
                break
        print(f"# ended in {dict(sorted(ended.items(), key=lambda e: e[1]))}", flush=True)
        assert not sections - set(ended), sections - set(ended)
        not_cut(fire([0])[0])


test_room.once = True


def test_clock_lock(ctx):
    """CPUs that are parked while they hold the lock of the HPET do not keep the leader from reading it."""
    with Rig(ctx, files=faults(ctx), cmdline="clocksource=hpet") as r:
        assert r.g.sh("cat /sys/devices/system/clocksource/clocksource0/current_clocksource").strip() == "hpet"
        r.scheduler("/simple.bpf.o")
        r.g.start("work clock tick 4", log="/tmp/tick")
        r.g.wait_for("grep -q woken /tmp/tick")
        r.g.sh(f"i=0; while [ $i -lt 10 ]; do echo fire >{FAULT}; i=$((i+1)); done", timeout=60)
        took = [r.report(whole=False, schemas=False)["ktdump"]["freeze"]["rendezvous_ns"] / 1e6 for _ in range(10)]
        # That long the others stood still before they left by themselves.
        late = [ms for ms in took if ms >= 200]
        print(f"# rendezvous: {', '.join(f'{ms:.0f}' for ms in took)} ms", flush=True)
        assert len(late) <= 2, took


def test_nobody_parks(ctx):
    """No CPU parks and tasks go on while they are captured: torn, but a report each time."""
    with Rig(ctx, files=faults(ctx)) as r:
        r.scheduler("/simple.bpf.o")
        r.g.start("work yield busy 8")
        forks = r.g.start("sh -c 'while :; do sh -c :; done'")
        r.g.sh(f"echo no_park=-2 >{FAULT}; i=0; while [ $i -lt 10 ]; do echo fire >{FAULT}; i=$((i+1)); done; "
               f"echo no_park=-1 >{FAULT}; echo fire >{FAULT}", timeout=120)
        for _ in range(10):
            report = r.report(whole=False, schemas=False)
            released(report)
            f = report["ktdump"]["freeze"]
            assert f["cpus_parked"] == 0 and len(f["cpus_missing"]) == 3, f
        all_parked(r.report())
        r.g.sh(f"kill {forks}")


def test_slow_leader(ctx):
    """A capture that takes too long: the parked CPUs leave by their own deadline."""
    with Rig(ctx, files=faults(ctx)) as r:
        r.scheduler("/simple.bpf.o")
        r.g.sh(f"echo grace_ms=0 >{FAULT}; echo slow_ms=400 >{FAULT}; echo fire >{FAULT}")
        report = r.report(whole=guest.pace == 1)
        f = report["ktdump"]["freeze"]
        assert f["gave_up"] == 3 and f["cpus_parked"] == 3 and not f["cpus_missing"], f
        assert 400e6 <= f["held_ns"] < 2000e6, f
        assert None not in report["vcpu_regs"]
        r.g.sh(f"echo slow_ms=0 >{FAULT}; echo fire >{FAULT}")
        all_parked(r.report())


def test_hotplug(ctx):
    """CPUs go and come while 50 captures run; an offline CPU has no registers."""
    with Rig(ctx, files=faults(ctx)) as r:
        g = r.g
        g.start("sh -c 'n=0; while [ ! -e /tmp/stop ]; do for c in 1 2 3; do for s in 0 1; do "
                "echo $s >/sys/devices/system/cpu/cpu$c/online; n=$((n+1)); echo $n >/tmp/n; done; done; done; "
                "touch /tmp/stopped'")
        g.wait_for("[ -s /tmp/n ]")
        fewer = 0
        for _ in range(50):
            g.sh(f"n=$(cat /tmp/n); echo fire >{FAULT}; until [ $(cat /tmp/n) != $n ]; do usleep 5000; done", timeout=60)
        for _ in range(50):
            report = r.report(whole=False)
            f = report["ktdump"]["freeze"]
            online = [c["cpu"] for c in report["ktdump"]["cpus"] if c["online"]]
            assert len(report["vcpu_regs"]) == 4
            for c in report["ktdump"]["cpus"]:
                # One on its way up or down may be online and not have answered.
                assert c["parked"] == (report["vcpu_regs"][c["cpu"]] is not None)
                assert c["parked"] or not c["online"] or c["cpu"] in f["cpus_missing"], (c, f)
            fewer += len(online) < 4
        g.sh("touch /tmp/stop")
        g.wait_for("[ -e /tmp/stopped ]", timeout=60)
        assert fewer >= 1, "no capture ever saw a CPU offline"
        print(f"# {g.sh('cat /tmp/n')} changes, {fewer} of 50 captures with a CPU offline", flush=True)
        g.sh(f"echo 0 >/sys/devices/system/cpu/cpu3/online; echo fire >{FAULT}; echo 1 >/sys/devices/system/cpu/cpu3/online")
        report = r.report()
        f = report["ktdump"]["freeze"]
        assert [v is None for v in report["vcpu_regs"]] == [False, False, False, True]
        assert not report["ktdump"]["cpus"][3]["online"] and f["cpus_missing"] == [] and f["cpus_targeted"] == 2, f


test_hotplug.timeout = 300


# ---------------------------------------------------------------- the module

LIMITS = {
    "port": (1, 2**32 - 2), "freeze_max_ms": (1, 250), "buf_mib": (1, 4096), "frame_kib": (16, 28),
    "max_tasks": (64, 1 << 20), "max_list": (16, 1 << 20), "max_stacks": (0, 1024),
    "max_maps": (64, 65536), "max_map_entries": (0, 1 << 24), "max_map_kib": (0, 1 << 22),
    "max_arena_pages": (0, 1 << 20), "early_percent": (0, 90), "sample_ms": (0, 10000),
    "interval_ms": (0, 86400000), "point_ms": (0, 86400000), "sched_timeline_kib": (0, 65536),
    "sched_timeline_ms": (1, 600000),
    "max_code_kib": (0, 65536),
}


def module_lines(g):
    return [line for line in g.dmesg().splitlines() if "ktdump: " in line and "taint" not in line]


def refused(g, params, error, word):
    """insmod fails with that error, and one line of the kernel log says why."""
    before = len(module_lines(g))
    rc, out = g.run(f"insmod /ktdump.ko {params}")
    assert rc and re.search(error, out, re.I), (params, rc, out)
    # busybox tries both system calls, so the same line may come twice.
    said = {re.sub(r"^\[[^]]*\] *", "", line) for line in module_lines(g)[before:]}
    assert len(said) == 1 and word in said.pop(), (params, said)


def test_parameters(ctx):
    """Every bad parameter gives one clear message and EINVAL; the limits themselves are accepted."""
    ctx.need(ctx.ktdump_ko)
    g = ctx.guest()
    inval = r"invalid (argument|parameter)"
    for name, (low, high) in LIMITS.items():
        for value in ([low - 1] if low else []) + [high + 1]:
            refused(g, f"{name}={value}", inval, name if value < 2**32 else "invalid")
        refused(g, f"{name}=many", inval, name)
        for value in (low,) + ((high,) if name != "buf_mib" else ()):
            g.sh(f"insmod /ktdump.ko {name}={value} && rmmod ktdump")
    for params, word in (("trigger=never", "trigger"), ("hook=fishing", "hook"), ("sym=map_idr", "sym"),
                         ("sym=no_such_name:0xffffffff81000000", "sym"), ("sym=map_idr:xyz", "sym"),
                         ("sym=map_idr:0xffffffff81000000", "map_idr"), ("prog_stats=perhaps", "prog_stats"),
                         ("sample_ms=5", "sample_ms"), ("sched_timeline_kib=3", "sched_timeline_kib")):
        refused(g, params, inval, word)
    # The true address is accepted.
    g.sh("a=$(awk '$3 == \"map_idr\" { print $1 }' /proc/kallsyms); insmod /ktdump.ko sym=map_idr:0x$a && rmmod ktdump")
    # More memory than there is, of 1 GiB, and of 4 on debug kernels; nobody else pays for the attempt.
    total = int(g.sh("awk '$1 == \"MemTotal:\" { print $2 }' /proc/meminfo")) // 1024
    for mib in (900 if guest.pace == 1 else total, 4096):
        refused(g, f"buf_mib={mib}", r"cannot allocate|out of memory", "buf_mib")
    assert "Out of memory" not in g.console() and "oom-kill" not in g.console()
    if ctx.version() < (7, 3):
        refused(g, "hook=tracepoint", r"no such file|unknown symbol", "hook")
    # A second one.
    g.sh("insmod /ktdump.ko")
    rc, out = g.run("insmod /ktdump.ko")
    assert rc and "exists" in out.lower(), out
    g.sh("rmmod ktdump")
    g.assert_clean_log(allow=HOST_NOISE)


test_parameters.timeout = 300


def test_attached_before(ctx):
    """Loaded with a scheduler already attached, without a listener first: its failure is reported."""
    g = ctx.guest()
    g.start("scxrun /error.bpf.o", log="/tmp/f")
    g.wait_for("grep -q ^attached /tmp/f")
    insmod(g)
    g.start("work once trigger")
    g.wait_for("grep -q ^exit /tmp/f")
    c = ctx.collector(g, output=os.path.join(ctx.tmp, "r") + "/")
    wait_host(lambda: paths_of(c), 30, "a report")
    report = whole(paths_of(c)[0])
    assert exit_message(report) == exit_line(g.sh("cat /tmp/f"))[1]
    all_parked(report)
    assert [s["name"] for s in report["ktdump"]["schedulers"]] == ["error"]
    g.sh("rmmod ktdump")
    g.assert_clean_log(allow=HOST_NOISE)


def test_unload(ctx):
    """rmmod is quick and clean: idle, connecting, sending to a collector that does not read."""
    took = {}
    g = socket_guest(ctx, files=faults(ctx))
    path = os.path.join(ctx.sockets, "c")
    out = os.path.join(ctx.tmp, "r") + "/"
    # Nobody listens, with and without something to say.
    insmod(g)
    took["no listener"] = timed_rmmod(g)
    insmod(g, "port=7")
    g.sh(f"echo fire >{FAULT}")
    took["no listener, snapshot waiting"] = timed_rmmod(g)
    # A CID that is not there: connect() waits.
    insmod(g, "cid=77")
    sender_in(g, "vsock_connect")
    took["connecting"] = timed_rmmod(g)
    # Connected and idle.
    c = ctx.collector(None, "--uds", g.uds, "--grace", "1", "-v", output=out)
    wait_host(lambda: "listening" in c.stderr(), 20, "ktcollect listens")
    insmod(g)
    wait_host(lambda: "hello" in c.stderr(), 30, "the guest's hello")
    took["idle"] = timed_rmmod(g)
    c.stop()
    # Nobody reads on: the credit runs out, in the middle of the kernel's BTF at the latest.
    c = ctx.collector(None, "--uds", path, "--btf-cache", "none", "--grace", "1", "-v", output=out, name="deaf")
    wait_host(lambda: os.path.exists(path + "_19284"), 20, "ktcollect listens")
    proxy = Proxy(g, path, limit=200000)
    try:
        insmod(g)
        g.sh(f"i=0; while [ $i -lt 40 ]; do echo fire >{FAULT}; i=$((i+1)); done", timeout=60)
        wait_host(proxy.full.is_set, 60, "a part of the stream")
        sender_in(g, "vsock_connectible_sendmsg")
        took["sending, no credit"] = timed_rmmod(g)
    finally:
        proxy.close()
    wait_host(lambda: "connection closed" in c.stderr(), 60, "the end of the stream")
    c.stop()
    reports = [check(p) for p in paths_of(c)]
    assert [(r["ktdump"]["snapshot"], r["ktdump"]["incomplete"]) for r in reports] == [(1, True)]
    # One that takes a little now and then.
    c = ctx.collector(None, "--uds", path, "--grace", "1", "-v", output=out, name="slow")
    wait_host(lambda: os.path.exists(path + "_19284"), 20, "ktcollect listens")
    proxy = Proxy(g, path, pace=0.02)
    try:
        insmod(g)
        g.sh(f"i=0; while [ $i -lt 40 ]; do echo fire >{FAULT}; i=$((i+1)); done", timeout=60)
        wait_host(lambda: proxy.passed > 200000, 60, "some bytes")
        took["sending, slowly"] = timed_rmmod(g)
    finally:
        proxy.close()
    wait_host(lambda: "connection closed" in c.stderr(), 60, "the end of the stream")
    c.stop()
    for p in paths_of(c):
        check(p)
    print("# rmmod: " + ", ".join(f"{k} {v:.2f} s" for k, v in took.items()), flush=True)
    g.assert_clean_log(allow=HOST_NOISE)


def test_unload_at_exit(ctx):
    """rmmod right before, in and after an exit, while the teardown goes on."""
    with Rig(ctx, insmod=False) as r:
        g = r.g
        for i in range(24):
            r.insmod()
            g.sh("rm -f /tmp/f; scxrun /error.bpf.o >/tmp/f & until grep -q ^attached /tmp/f; do usleep 10000; done")
            # First the exit comes later and later, then rmmod does.
            g.start(f"sh -c 'usleep {max(0, 8 - i) * 60000}; exec work once trigger'")
            if i < 23:
                g.sh(f"usleep {max(0, i - 8) * 15000}")
            else:
                wait_host(lambda: len(r.paths()) > before, 60, "a report while nobody unloads")
            before = len(r.paths())
            timed_rmmod(g)
            r.loaded = False
            g.wait_for("grep -q ^exit /tmp/f", every=0.05)
        r.collector.stop()
        assert r.paths()
        if len(r.paths()) == 24:
            raise HostStall("no rmmod came before a report was through")
        for p in r.paths():
            check(p)
        print(f"# {len(r.paths())} of 24 were reported before the module was gone", flush=True)


def test_buffer_full(ctx):
    """More exits than the buffer holds: the oldest stay, the loss is counted; then the ring goes round."""
    g = ctx.guest(files=faults(ctx))
    insmod(g, "buf_mib=1")
    g.start("scxrun /simple.bpf.o", log="/tmp/f")
    g.wait_for("grep -q ^attached /tmp/f")
    # Tasks that only sleep make snapshots of more than the least room that is used.
    g.sh("i=0; while [ $i -lt 1150 ]; do sleep 9999 </dev/null >/dev/null 2>&1 & i=$((i+1)); done", timeout=60)
    g.sh(f"i=0; while [ $i -lt 30 ]; do echo fire >{FAULT}; i=$((i+1)); done", timeout=60)
    c = ctx.collector(g, output=os.path.join(ctx.tmp, "r") + "/")
    wait_host(lambda: paths_of(c), 30, "a report")

    def fire(known):
        g.sh(f"echo fire >{FAULT}")
        wait_host(lambda: len(paths_of(c)) > known, 30, "one more report")

    # All that waited are there once the one fired now is.
    held = check(paths_of(c)[0])["ktdump"]["module"]["pending"]
    wait_host(lambda: len(paths_of(c)) >= held, 60, "all that fitted")
    fire(held)
    reports = [check(p) for p in paths_of(c)]
    assert [r["ktdump"]["snapshot"] for r in reports] == list(range(1, held + 2))
    assert not any(r["ktdump"]["incomplete"] for r in reports)
    full = [any("buffer full" in m["reason"] for m in r["ktdump"]["missing"]) for r in reports]
    assert not any(full[:held - 1]) and not full[-1], full
    last = reports[-1]["ktdump"]
    assert 2 <= held < 30 and last["counters"]["captured"] == held + 1, (held, last["counters"])
    assert last["counters"]["lost"] == 30 - held == last["trigger"]["lost"], (last["counters"], last["trigger"])
    assert reports[0]["ktdump"]["module"]["lost"] == 30 - held
    # Twice round.
    for i in range(2 * held):
        fire(held + 1 + i)
    for p in paths_of(c)[held + 1:]:
        r = whole(p)
        assert r["ktdump"]["counters"]["lost"] == 30 - held
        assert not any("buffer" in m["reason"] for m in r["ktdump"]["missing"]), r["ktdump"]["missing"]
    print(f"# {[r['ktdump']['freeze']['bytes'] for r in reports]} bytes", flush=True)
    print(f"# {held} snapshots fit into 1 MiB, the last one {'cut' if full[held - 1] else 'whole'}", flush=True)
    g.sh("killall sleep scxrun; rmmod ktdump")
    g.assert_clean_log(allow=HOST_NOISE)


def essence(report):
    """What two reports of the same failure have in common."""
    kt = report["ktdump"]
    t = kt["trigger"]
    return {
        "kind": t["exit_kind"], "context": t["context"], "irqs_off": t["irqs_off"], "cpus": len(kt["cpus"]),
        "exits": [(e["kind"], e["reason"], re.sub(r"\d+", "N", e["msg"]), e["complete"]) for e in kt["exits"]],
        # When the samples are taken and which lock is held just then is chance.
        "schedulers": [s["name"] for s in kt["schedulers"]],
        "keys": sorted(k for k in [*report, *kt] if k not in ("event_counter_timeline", "timeline")),
        "missing": sorted(m["section"] for m in kt["missing"] if not m["reason"].startswith("torn:")), "source": report["scx_sched_state"]["source"],
    }


def test_kprobe_hook(ctx):
    """hook=kprobe on a kernel that has the tracepoint: the same reports."""
    if ctx.version() < (7, 3):
        ctx.skip("without the tracepoint kprobes are what all other tests use")
    with Rig(ctx, insmod=False) as r:
        g = r.g
        seen = {}
        for hook in ("tracepoint", "kprobe"):
            r.insmod(f"hook={hook} trigger=any")
            got = []
            for what in ("bpf", "stall", "init", "unreg", "sysrq"):
                if what == "bpf":
                    fail(g)
                elif what == "stall":
                    g.sh("scxrun --set ops.timeout_ms=500 /stall.bpf.o >/tmp/o & P=$!; until grep -q ^attached /tmp/o; do usleep 20000; done; "
                         "work sleepers victim 3 >/dev/null & wait $P; killall -9 work", timeout=60)
                elif what == "init":
                    g.run("scxrun --set error=12 /initfail.bpf.o")
                elif what == "unreg":
                    g.sh("scxrun --duration 0.1 /simple.bpf.o")
                else:
                    g.sh("scxrun /simple.bpf.o >/tmp/o & until grep -q ^attached /tmp/o; do usleep 20000; done; "
                         "echo S >/proc/sysrq-trigger; wait")
                report = r.report()
                assert report["ktdump"]["trigger"]["hook"].startswith(hook), report["ktdump"]["trigger"]
                got.append((what, essence(report)))
            counters = report["ktdump"]["counters"]
            assert counters["captured"] == 5 and counters["probe_missed"] == 0, counters
            seen[hook] = got
            r.rmmod()
        for (what, a), (_, b) in zip(seen["tracepoint"], seen["kprobe"]):
            if what == "stall":
                # The tick or the watchdog's worker, whoever looks first.
                for e in (a, b):
                    del e["context"], e["irqs_off"]
            assert a == b, f"{what}: tracepoint {a}\nkprobe {b}"


def test_cap(ctx):
    """A freeze of at most 1 ms: the report says when it was cut and what is missing."""
    with Rig(ctx, "freeze_max_ms=1") as r:
        # Debug kernels have more time.
        r.g.sh(f"[ ! -e {FAULT} ] || echo grace_ms=0 >{FAULT}")
        fail(r.g)
        report = r.report(whole=False)
        kt = report["ktdump"]
        f = kt["freeze"]
        assert f["cap_ns"] == 10**6 and f["truncated_at_us"] and f["truncated_at_us"] >= 1000, f
        cut = {m["section"] for m in kt["missing"] if "deadline" in m["reason"]}
        assert {"stack", "map", "prog"} <= cut, kt["missing"]
        assert report.get("dump_truncated_at_us") == f["truncated_at_us"], report.get("dump_truncated_at_us")
        # What is read after the release is whole.
        assert exit_message(report).startswith("ktdump selftest: error on demand")
        print("# " + freeze_line(report), flush=True)
