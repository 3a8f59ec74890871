#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""ktcollect snapshot, and the control socket behind it: python3 test_control.py PATH/TO/ktcollect [NAME]...

Prints KTAP.
"""
import os
import signal
import socket
import stat
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ktwire as kw  # noqa: E402
import test_cli as cli  # noqa: E402
from test_cli import BOOT2, Collector, check, load, no_parts, recv_answer, recv_frame, reports, run, send  # noqa: E402

TESTS = []
ASKED = {"trigger": "demand", "hook": "collector", "exit_kind": 0}


def test(f):
    TESTS.append(f)
    return f


class Asking:
    """ktcollect snapshot in the background."""

    def __init__(self, *args):
        self.p = subprocess.Popen([cli.KTCOLLECT, "snapshot", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self):
        out, err = self.p.communicate(timeout=30)
        return self.p.returncode, out.decode(), err.decode()


def guest(s, nr, boot=None, first=2, **begin):
    """Sends a snapshot over a connection that said hello; waits for its ACK."""
    g = kw.Guest(*[boot] if boot else [], pending=0)
    g.frames += [b""] * (first - 2)     # sequence numbers go on
    kw.full_snapshot(g, nr, **begin)
    s.sendall(b"".join(g.frames[1:]))
    while True:
        ftype, _, number = recv_frame(s)
        if ftype == kw.ACK and number == nr:
            return len(g.frames) + 1


def wait_for(path):
    """Until somebody listens there: the file alone may be too early."""
    end = time.time() + 20
    while time.time() < end:
        with socket.socket(socket.AF_UNIX) as s:
            try:
                return s.connect(path)
            except OSError:
                time.sleep(0.01)


@test
def of_a_collector_that_runs():
    c = Collector("--uds", "v", "-o", "d/", "--control", "ctl")
    with send("v", kw.Guest(pending=0)) as s:
        a = Asking("--control", "ctl")
        assert recv_answer(s)[0] == kw.TAKE
        guest(s, 1, **ASKED)
        rc, out, err = a.end()
    assert rc == 0 and out.endswith("-1.json\n") and os.path.isabs(out), (rc, out, err)
    assert load(out.strip())["ktdump"]["trigger"]["hook"] == "collector"
    check(out.strip())
    rc, mine, _ = c.finish(signal.SIGTERM)
    assert rc == 0 and os.path.samefile(mine.strip(), out.strip()), (rc, mine)
    no_parts()


@test
def the_socket_is_ours_alone():
    cli.write("ctl", b"")
    r = run("--uds", "v", "--control", "ctl")
    assert r.returncode == 1 and b"not a socket" in r.stderr and not os.path.exists("v_19284"), r
    os.unlink("ctl")
    c = Collector("--uds", "v", "--control", "ctl")
    wait_for("ctl")
    assert stat.S_IMODE(os.stat("ctl").st_mode) & 0o177 == 0, oct(os.stat("ctl").st_mode)
    r = run("--uds", "w", "--control", "ctl")
    assert r.returncode == 1 and b"in use" in r.stderr, r
    c.finish(signal.SIGKILL)
    # What a killed one left is no obstacle.
    c = Collector("--uds", "v", "--control", "ctl")
    wait_for("ctl")
    c.finish(signal.SIGTERM)
    assert not os.path.exists("ctl")


@test
def one_of_two_guests():
    c = Collector("--uds", "v", "--uds", "w", "-o", "d/", "--control", "ctl", uds=("v", "w"))
    with send("v", kw.Guest(pending=0)) as v, send("w", kw.Guest(BOOT2, pending=0)) as w:
        a = Asking("--control", "ctl", "--guest", "w")
        assert recv_answer(w)[0] == kw.TAKE
        # That of the other is none of its business.
        guest(v, 1, **ASKED)
        assert a.p.poll() is None
        nr = guest(w, 1, BOOT2, **ASKED)
        rc, out, err = a.end()
        assert rc == 0 and out.count("\n") == 1 and "fedcba98" in out, (rc, out, err)
        a = Asking("--control", "ctl")
        assert recv_answer(v)[0] == kw.TAKE == recv_answer(w)[0]
        guest(w, 2, BOOT2, first=nr, **ASKED)
        guest(v, 2, first=nr, **ASKED)
        rc, out, err = a.end()
        assert rc == 0 and len(set(out.splitlines())) == 2, (rc, out, err)
        r = run("snapshot", "--control", "ctl", "--guest", "x")
        assert r.returncode == 1 and b"no such guest" in r.stderr, r
    c.finish(signal.SIGTERM)


@test
def what_came_otherwise_does_not_count():
    c = Collector("--uds", "v", "-o", "d/", "--control", "ctl")
    with send("v", kw.Guest(pending=0)) as s:
        # One that had begun before somebody asked.
        g = kw.Guest(pending=0)
        kw.full_snapshot(g, 1, **ASKED)
        s.sendall(g.frames[1])
        time.sleep(0.2)
        a = Asking("--control", "ctl", "--timeout", "2")
        assert recv_answer(s)[0] == kw.TAKE
        s.sendall(b"".join(g.frames[2:]))
        while recv_frame(s)[0] != kw.ACK:
            pass
        # An interval's, a failure's.
        nr = guest(s, 2, first=len(g.frames) + 1, **dict(ASKED, hook="interval"))
        guest(s, 3, first=nr)
        rc, out, err = a.end()
        assert (rc, out) == (124, "") and "2 seconds" in err, (rc, out, err)
    c.finish(signal.SIGTERM)


@test
def nobody_there():
    r = run("snapshot", "--control", "ctl")
    assert r.returncode == 1 and not r.stdout and b"ctl" in r.stderr, r
    c = Collector("--uds", "v", "--control", "ctl")
    r = run("snapshot", "--control", "ctl")
    assert r.returncode == 1 and b"no such guest is connected" in r.stderr, r
    with send("v", kw.Guest(pending=0)) as s:
        a = Asking("--control", "ctl")
        assert recv_answer(s)[0] == kw.TAKE
        c.finish(signal.SIGTERM)
        rc, out, err = a.end()
        assert (rc, out) == (1, "") and "ended" in err, (rc, out, err)


def lines(*data):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect("ctl")
        for d in data:
            s.sendall(d)
            time.sleep(0.02)
        out = b""
        try:
            while True:
                more = s.recv(4096)
                if not more:
                    return out
                out += more
        except ConnectionResetError:
            return out


@test
def hostile_clients():
    c = Collector("--uds", "v", "-o", "d/", "--control", "ctl")
    with send("v", kw.Guest(pending=0)) as s:
        assert lines(b"what\n") == b"error what is that?\n"
        assert lines(b"snapshots\n") == b"error what is that?\n"
        assert lines(b"snap", b"shot x\n") == b"error no such guest is connected\n"
        assert lines(b"x" * 5119) == b""
        assert lines(b"a\0b") == b""
        idle = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        for i in idle:
            i.connect("ctl")
        time.sleep(0.2)
        for i in idle:
            i.close()
        # One that asks and goes away, one that stays.
        with socket.socket(socket.AF_UNIX) as gone:
            gone.connect("ctl")
            gone.sendall(b"snapshot\n")
            assert recv_answer(s)[0] == kw.TAKE
        time.sleep(0.1)
        a = Asking("--control", "ctl")
        assert recv_answer(s)[0] == kw.TAKE
        guest(s, 1, **ASKED)
        assert a.end()[0] == 0
    assert c.finish(signal.SIGTERM)[0] == 0


@test
def without_a_collector():
    a = Asking("--uds", "v", "-o", "now.json")
    wait_for("v_19284")
    with send("v", kw.Guest(pending=0)) as s:
        assert recv_answer(s) == (kw.TAKE, 1, 0, 0)
        guest(s, 1, **ASKED)
        rc, out, err = a.end()
    assert (rc, out) == (0, "now.json\n"), (rc, out, err)
    assert load("now.json")["ktdump"]["trigger"]["hook"] == "collector" and reports() == ["now.json"]
    no_parts()
    assert not os.path.exists("v_19284")


@test
def without_a_collector_something_waits():
    """What the guest had kept is written as well, but it is not what was asked for."""
    a = Asking("--uds", "v", "-o", "now.json", "--timeout", "20")
    wait_for("v_19284")
    g = kw.Guest(pending=1)
    with send("v", g) as s:
        assert recv_answer(s)[0] == kw.TAKE
        nr = guest(s, 4)
        guest(s, 5, first=nr, **ASKED)
        rc, out, err = a.end()
    assert (rc, out) == (0, "now.json\nnow-2.json\n"), (rc, out, err)
    assert load("now-2.json")["ktdump"]["trigger"]["hook"] == "collector"
    a = Asking("--uds", "v", "-o", "late.json", "--timeout", "1.5")
    wait_for("v_19284")
    with send("v", g) as s:
        assert recv_answer(s)[0] == kw.TAKE
        guest(s, 4)
        rc, out, err = a.end()
    assert (rc, out) == (124, "late.json\n"), (rc, out, err)


@test
def the_guest_comes_back():
    """It is asked once, when it has something to send after the connection broke."""
    a = Asking("--uds", "v", "-o", "now.json")
    wait_for("v_19284")
    with send("v", kw.Guest(pending=0)) as s:
        assert recv_answer(s)[0] == kw.TAKE
    with send("v", kw.Guest(pending=1)) as s:
        g = kw.Guest()
        kw.full_snapshot(g, 1, **ASKED)
        s.sendall(b"".join(g.frames[1:]))
        assert recv_frame(s) == (kw.ACK, 1, 1)
        assert a.end()[:2] == (0, "now.json\n")


@test
def wrong_usage():
    for args in ([], ["--nonsense"], ["x", "--uds", "v"], ["--uds", "v", "--control", "c"], ["--guest", "5", "--uds", "v"],
                 ["--vsock-cid", "x"], ["--port", "-1", "--uds", "v"], ["--uds", "v", "--timeout", "0"], ["-o", "", "--uds", "v"]):
        r = run("snapshot", *args)
        assert r.returncode == 2 and r.stderr and not r.stdout, (args, r)
    r = run("snapshot", "--help")
    assert r.returncode == 0 and r.stdout.startswith(b"Usage: ktcollect snapshot"), r
    assert max(map(len, r.stdout.splitlines())) <= 80
    r = run("snapshot", "--uds", "v", "--timeout", "0.2")
    assert r.returncode == 124 and not r.stdout and b"0.2 seconds" in r.stderr, r


if __name__ == "__main__":
    sys.exit(cli.main(TESTS))
