# SPDX-License-Identifier: GPL-2.0-only
"""The failing schedulers themselves: each ends the way it says, without ktdump.

When one of these fails, no other guest test can be trusted.
"""
import re


def exit_line(out):
    """The loader's "exit kind=..." line, taken apart."""
    m = re.search(r'exit kind=(\d+) code=(-?\d+) reason="([^"]*)" msg="([^"]*)"', out)
    assert m, f"the scheduler did not end:\n{out[-1500:]}"
    return int(m.group(1)), m.group(4)


def run(args):
    """Shell: scxrun in the background, its pid in $P, its output in /tmp/o; goes on once it is attached."""
    return (f"rm -f /tmp/o; scxrun {args} >/tmp/o 2>&1 & P=$!; "
            "until grep -q ^attached /tmp/o || ! kill -0 $P; do usleep 20000; done")


def test_clean_end(ctx):
    """A scheduler that is unregistered, and one that sysrq-S ends."""
    with ctx.guest() as g:
        kind, _ = exit_line(g.sh("scxrun --duration 0.5 /simple.bpf.o"))
        assert kind == 64, kind
        out = g.sh(f"{run('/simple.bpf.o')}; echo S >/proc/sysrq-trigger; wait $P; cat /tmp/o")
        assert exit_line(out)[0] == 67, out
        g.assert_clean_log()


def test_stall(ctx):
    """The watchdog ends a scheduler that loses a task."""
    with ctx.guest() as g:
        out = g.sh(f"{run('/stall.bpf.o')}; work sleepers victim 3 >/dev/null & wait $P; cat /tmp/o; killall -9 work",
                   timeout=60)
        kind, msg = exit_line(out)
        assert kind == 1026 and "victim" in msg, out
        g.assert_clean_log()


def test_error(ctx):
    """scx_bpf_error() from different ops, with its text."""
    with ctx.guest() as g:
        for op in range(8):
            if op in (2, 5):  # dispatch and tick: by count, as they have no named task
                # ops.dispatch() is called when the global queue is empty, ops.tick() when busy.
                how = "sleepers" if op == 2 else "spin"
                out = g.sh(f"work {how} busy 8 >/dev/null & scxrun --set op={op} --set after=20 /error.bpf.o; killall -9 work")
                want = f"error on demand 20 in op {op}"
            else:
                # A task that finds its place at once may miss the op: the next one will not.
                out = g.sh(f"{run(f'--set op={op} /error.bpf.o')}; while kill -0 $P 2>/dev/null; do work once trigger >/dev/null; "
                           "usleep 100000; done; cat /tmp/o", timeout=60)
                want = f"error on demand 42 in op {op}"
            kind, msg = exit_line(out)
            assert kind == 1025 and want in msg, out
        g.assert_clean_log()


def test_initfail(ctx):
    """ops.init() fails."""
    with ctx.guest() as g:
        _, out = g.run("scxrun --set error=12 /initfail.bpf.o")
        kind, msg = exit_line(out)
        assert kind == 1024 and "-12" in msg, out


def test_dsq(ctx):
    """300 tasks in a FIFO and 300 in a vtime queue, in the order they were woken."""
    with ctx.guest() as g:
        g.start("scxrun /dsq.bpf.o", log="/tmp/run")
        g.wait_for("grep -q attached /tmp/run")
        for prefix in ("q300-", "v300-"):
            g.start(f"work wake {prefix} 300", log=f"/tmp/{prefix}")
            g.wait_for(f"grep -q woken /tmp/{prefix}")
        g.start("work once trigger")
        g.wait_for("grep -q ^exit /tmp/run")
        run = g.sh("sleep 0.5; cat /tmp/run")
        assert exit_line(run)[0] == 1025, run[-500:]
        for prefix, word in (("q300-", "fifo"), ("v300-", "prio")):
            woken = re.findall(r"^task \d+ (\d+)$", g.sh(f"cat /tmp/{prefix}"), re.M)
            queued = re.findall(rf"^{word} \d+ (\d+) 0x", run, re.M)
            assert woken == queued and len(queued) == 300, (word, len(woken), len(queued))
        g.run("killall -9 work")
        g.assert_clean_log()


def need_subs(ctx):
    if ctx.version() < (7, 1):
        ctx.skip("sub-schedulers came with Linux 7.1")


def in_cgroup(g, cgroup, cmd):
    """Starts a command in a cgroup; it waits there for /tmp/go.

    So it is in the cgroup before the sub-scheduler comes: Linux 7.2 does not move
    a task that joins the cgroup later.
    """
    path = f"/sys/fs/cgroup/{cgroup}"
    g.start(f"sh -c 'echo $$ >{path}/cgroup.procs; until [ -e /tmp/go ]; do sleep 0.1; done; exec {cmd}'")
    g.wait_for(f"[ -n \"$(cat {path}/cgroup.procs)\" ]")


def test_sub_error(ctx):
    """A sub-scheduler fails; its parent goes on."""
    need_subs(ctx)
    with ctx.guest() as g:
        g.sh("mkdir /sys/fs/cgroup/a")
        g.start("scxrun /subroot.bpf.o", log="/tmp/root")
        g.wait_for("grep -q attached /tmp/root")
        in_cgroup(g, "a", "work once trigger-sub")
        g.start("scxrun --cgroup /sys/fs/cgroup/a /subchild.bpf.o", log="/tmp/a")
        g.wait_for("grep -q attached /tmp/a")
        g.sh("touch /tmp/go")
        g.wait_for("grep -q ^exit /tmp/a")
        kind, msg = exit_line(g.sh("cat /tmp/a"))
        assert kind == 1025 and "a sub-scheduler fails" in msg, (kind, msg)
        assert "enabled" in g.sh("cat /sys/kernel/sched_ext/state")
        g.sh("killall scxrun")
        g.wait_for("grep -q ^exit /tmp/root")
        assert exit_line(g.sh("cat /tmp/root"))[0] == 64


def test_sub_two_at_once(ctx):
    """Two sub-schedulers fail at the same moment."""
    need_subs(ctx)
    with ctx.guest() as g:
        g.sh("mkdir /sys/fs/cgroup/a /sys/fs/cgroup/b")
        g.start("scxrun /subroot.bpf.o", log="/tmp/root")
        g.wait_for("grep -q attached /tmp/root")
        at = int(g.sh("work now")) + 6 * 10**9
        for c in "ab":
            in_cgroup(g, c, "work yield y 1")
            g.start(f"scxrun --set fire_at={at} --cgroup /sys/fs/cgroup/{c} /subchild.bpf.o", log=f"/tmp/{c}")
            g.wait_for(f"grep -q attached /tmp/{c}")
        g.sh("touch /tmp/go")
        for c in "ab":
            g.wait_for(f"grep -q ^exit /tmp/{c}")
            kind, msg = exit_line(g.sh(f"cat /tmp/{c}"))
            assert kind == 1025 and "at its time" in msg, (c, kind, msg)
        g.run("killall -9 work; killall scxrun")
