#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What goes wrong around a collector: python3 test_faults.py PATH/TO/ktcollect [NAME]...

Killed, without disk, without directory, with a clock that jumps, with guests that break
off, pause and come back: no whole snapshot is lost, no half file has a final name.
Prints KTAP, and what was counted.

KTDUMP_KILLS=200: how often the collector is killed (default 25).
"""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kttap  # noqa: E402
import ktwire as kw  # noqa: E402
import test_cli as cli  # noqa: E402
from test_cli import Collector, connect, load, recv_frame, run, send  # noqa: E402

TESTS = []
KILLS = int(os.environ.get("KTDUMP_KILLS", "25"))


def test(f):
    TESTS.append(f)
    return f


def snapshot(nr, pages=24):
    """A connection with one snapshot that has contents of maps."""
    g = kw.Guest(pending=1)
    g.begin(nr)
    g.add(kw.ROWS, "sched", [{"kva": kw.SCHED, "root": True, "name": "one"}], nr)
    g.add(kw.ROWS, "map", [{"kva": kw.BASE, "id": 1, "name": "m", "map_type": 2, "key_size": 4, "value_size": 4096, "max_entries": pages}], nr)
    g.mem(nr, kw.BASE + (1 << 20), bytes(range(256)) * 16 * pages)
    g.add(kw.ROWS, "content", [{"map_kva": kw.BASE, "form": "array", "values_kva": kw.BASE + (1 << 20), "stride": 4096, "seen": pages,
                                "taken": pages, "unreadable": 0, "bytes": 4096 * pages, "ns": 1}], nr)
    g.end(nr)
    return g


class Sender(threading.Thread):
    """As the module does it: keeps a snapshot until it is acknowledged; sends it anew over each new connection."""

    def __init__(self, path, first, nr):
        super().__init__(daemon=True)
        self.path, self.numbers = path, list(range(first, first + nr))
        self.streams = {n: snapshot(n).stream() for n in self.numbers}
        self.acked, self.sent, self.connections, self.over = [], 0, 0, False

    def run(self):
        while self.numbers and not self.over:
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(20)
                    s.connect(self.path)
                    self.connections += 1
                    # One to a connection: then the sequence numbers of what is prepared are right.
                    self.sent += 1
                    s.sendall(self.streams[self.numbers[0]])
                    while True:
                        ftype, _, number = recv_frame(s)
                        if ftype == kw.ACK:
                            assert number == self.numbers[0]
                            self.acked.append(self.numbers.pop(0))
                            break
            except (OSError, EOFError):
                time.sleep(0.002)


def look(path, acked):
    """Files under final names: all whole, and one for whatever the guest was told to forget."""
    half, whole = [], set()
    for name in os.listdir(path):
        if not name.endswith(".json"):
            assert name.endswith(".part"), name
            continue
        try:
            k = load(os.path.join(path, name))["ktdump"]
        except (ValueError, KeyError):
            half.append(name)
            continue
        if not k["incomplete"]:
            whole.add(k["snapshot"])
    return half, [n for n in acked if n not in whole]


@test
def killed_again_and_again():
    """SIGKILL at random points of receiving, writing, renaming and answering."""
    os.mkdir("out")
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    sender = Sender("v_19284", 1, 10 * KILLS)
    sender.start()
    at = {"receiving": 0, "writing": 0, "between": 0}
    halves = lost = 0
    life = 0.05
    for i in range(KILLS):
        sent, before = sender.sent, len(sender.acked)
        p = subprocess.Popen([cli.KTCOLLECT, "--uds", "v", "-o", "out", "--btf-cache", "none", "-q", "--max-reports", "100000"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        # Not before it is up, on this machine just now.
        end = time.monotonic() + 20
        while sender.sent == sent and time.monotonic() < end and p.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, life))
        p.kill()
        _, err = p.communicate(timeout=20)
        assert p.returncode == -signal.SIGKILL, (p.returncode, err)
        parts = [n for n in os.listdir("out") if n.endswith(".part")]
        for n in parts:
            os.unlink("out/" + n)
        if parts:
            at["writing"] += 1
        elif sender.numbers and sender.sent > len(sender.acked):
            at["receiving"] += 1
        else:
            at["between"] += 1
        if i % 5 == 4 or i == KILLS - 1:
            half, gone = look("out", list(sender.acked))
            halves, lost = halves + len(half), lost + len(gone)
        # Aim at the middle of the next one.
        done = len(sender.acked) - before
        life = max(0.005, min(1.0, life * (1.5 if not done else 0.9)))
    # And one that lives: whatever is left comes.
    sender.numbers = sender.numbers[:3]
    p = subprocess.Popen([cli.KTCOLLECT, "--uds", "v", "-o", "out", "--btf-cache", "none", "-q", "--max-reports", "100000"],
                         stdout=subprocess.DEVNULL)
    sender.join(30)
    assert not sender.is_alive(), "the sender could not get rid of its snapshots"
    p.terminate()
    assert p.wait(20) == 0
    half, gone = look("out", sender.acked)
    print(f"# {KILLS} kills (seed {seed}): {at['receiving']} while receiving, {at['writing']} while writing, {at['between']} between; "
          f"{len(sender.acked)} snapshots acknowledged over {sender.connections} connections, {lost + len(gone)} lost, "
          f"{halves + len(half)} half files", flush=True)
    assert lost + len(gone) == 0 and halves + len(half) == 0, (gone, half)


@test
def a_part_does_not_replace_the_whole():
    """The ACK was lost with the collector, then the guest too, in the middle of sending again."""
    g = kw.sample()
    c = Collector("--uds", "v", "-o", "out/")
    with send("v", g) as s:
        assert recv_frame(s)[0] == kw.ACK
    c.finish(signal.SIGKILL)
    (name,) = os.listdir("out")
    with open("out/" + name, "rb") as f:
        whole = f.read()
    c = Collector("--uds", "v", "-o", "out/", "--grace", "0.1")
    send("v", g, 12).close()
    time.sleep(0.3)
    rc, out, _ = c.finish(signal.SIGTERM)
    with open("out/" + name, "rb") as f:
        assert f.read() == whole
    assert rc == 0 and load(out.strip())["ktdump"]["incomplete"] is True and out.strip() != "out/" + name, out
    # A whole one does: it is the same.
    c = Collector("--uds", "v", "-o", "out/")
    with send("v", g) as s:
        assert recv_frame(s)[0] == kw.ACK
    rc, out, _ = c.finish(signal.SIGTERM)
    assert out.strip() == "out/" + name


def not_taken(uds, g):
    """It is not acknowledged, and the connection ends: the guest keeps it."""
    s = connect(uds)
    try:
        s.sendall(g.stream())
        while True:
            assert recv_frame(s)[0] != kw.ACK, "it was acknowledged"
    except (EOFError, OSError):
        pass
    s.close()


@test
def disk_full():
    """The guest keeps what does not fit, and gets rid of it when there is room again."""
    os.mkdir("full")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", "full"], capture_output=True).returncode:
        raise kttap.Skip("no file system can be mounted here")
    try:
        c = Collector("--uds", "v", "-o", "full", "--btf-cache", "none")
        # First the report does not fit, then not even what it is made from.
        for free, g in ((60, big(3)), (0, snapshot(2, 4))):
            with open("full/filler", "wb") as f:
                try:
                    f.write(bytes(4 << 20))
                    f.flush()
                except OSError:
                    pass
            if free:
                os.truncate("full/filler", os.path.getsize("full/filler") - (free << 10))
            not_taken("v", g)
            assert os.listdir("full") == ["filler"], os.listdir("full")
        os.unlink("full/filler")
        for nr, g in ((2, snapshot(2)), (3, big(3))):
            with send("v", g) as s:
                assert recv_frame(s) == (kw.ACK, 1, nr)
        rc, out, err = c.finish(signal.SIGTERM)
        assert rc == 1 and "No space left" in err and len(out.split()) == 2, (rc, out, err)
        assert sorted(os.listdir("full")) == sorted(os.path.basename(p) for p in out.split())
        assert not any(load(p)["ktdump"]["incomplete"] for p in out.split())
    finally:
        subprocess.run(["umount", "full"], check=True)


def big(nr):
    """A report of some 300 KiB out of memory alone."""
    g = kw.Guest()
    g.begin(nr)
    for i in range(40):
        g.add(kw.ROWS, "symbol", [{"addr": kw.TEXT + i * 1000 + k, "name": "n%d" % k} for k in range(50)], nr, header=not i)
    for i in range(20):
        g.add(kw.ROWS, "task", [kw.task(0, kva=kw.BASE + i * 1000 + k, pid=i * 10 + k) for k in range(10)], nr, header=not i)
    g.end(nr)
    return g


@test
def directory_gone():
    """Nothing is acknowledged or written elsewhere; the next collector gets it."""
    os.mkdir("out")
    c = Collector("--uds", "v", "-o", "out", "--btf-cache", "none")
    with send("v", kw.sample()) as s:
        assert recv_frame(s)[0] == kw.ACK
    shutil.rmtree("out")
    not_taken("v", snapshot(2))
    not_taken("v", kw.sample(3))
    assert os.listdir(".") == ["v_19284"], os.listdir(".")
    rc, _, err = c.finish(signal.SIGTERM)
    assert rc == 1 and "out/ktdump-" in err and "No such file" in err, (rc, err)
    c = Collector("--uds", "v", "-o", "out/", "--btf-cache", "none")
    with send("v", snapshot(2)) as s:
        assert recv_frame(s)[0] == kw.ACK
    assert c.finish(signal.SIGTERM)[0] == 0 and len(os.listdir("out")) == 1


CLOCK = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* A year on, then a year back, whenever somebody looks. */
static long step(void)
{
	static int n;

	return (n++ & 1 ? -1 : 1) * 365 * 86400L;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long ret = syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += step();
	return ret;
}

time_t time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return t ? *t = ts.tv_sec : ts.tv_sec;
}

int gettimeofday(struct timeval *tv, void *tz)
{
	struct timespec ts;

	(void)tz;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}
"""


@test
def clock_steps():
    """Whatever the time of day does: time limits are as long as they are, and nothing has another name."""
    cli.write("clock.c", CLOCK.encode())
    cc = shutil.which("cc") or shutil.which("gcc")
    if not cc:
        raise kttap.Skip("no compiler")
    subprocess.run([cc, "-shared", "-fPIC", "-O1", "-o", "clock.so", "clock.c"], check=True, timeout=60)
    os.environ["LD_PRELOAD"] = os.path.abspath("clock.so")
    try:
        c = Collector("--uds", "v", "-o", "out/", "--grace", "1", "--silence", "1.5", "--timeout", "6")
        started = time.monotonic()
    finally:
        del os.environ["LD_PRELOAD"]
    with send("v", kw.sample()) as s:
        assert recv_frame(s)[0] == kw.ACK
    assert os.listdir("out") == ["ktdump-20260921T141320Z-01234567-1.json"]
    # Neither before its grace time nor long after.
    send("v", kw.sample(1, cli.BOOT2), 12).close()
    time.sleep(0.5)
    assert len(os.listdir("out")) == 1
    # Neither is this one cut off at once, nor kept for a year.
    s = send("v", kw.sample(2, "cccccccc-"), 12)
    time.sleep(1)
    assert len([p for p in os.listdir("out") if p.endswith(".json")]) == 2, os.listdir("out")
    cut = time.monotonic()
    try:
        while s.recv(100):
            pass
    except ConnectionError:
        pass
    assert time.monotonic() - cut < 4
    rc, out, err = c.finish()
    took = time.monotonic() - started
    assert rc == 0 and len(out.split()) == 3 and 5.5 < took < 12, (rc, took, out, err)


@test
def broken_off_anywhere():
    """The connection ends within a frame or between two, orderly or not; in the end there is one whole report."""
    c = Collector("--uds", "v", "-o", "out/", "--grace", "60")
    g = snapshot(1, 2)
    stream = g.stream()
    points = [len(b"".join(g.frames[:n])) for n in range(len(g.frames))] + list(range(1, len(stream) - 1, len(stream) // 40))
    for i, n in enumerate(points):
        s = connect("v")
        s.sendall(stream[:n])
        # With an answer that nobody has read the other side sees a reset.
        if i % 2 and n > len(g.frames[0]):
            s.recv(1)
        s.close()
    assert not os.path.exists("out") or not [p for p in os.listdir("out") if p.endswith(".json")]
    with send("v", g) as s:
        assert recv_frame(s) == (kw.ACK, 1, 1)
    rc, out, err = c.finish(signal.SIGTERM)
    assert rc == 0 and len(out.split()) == 1 and load(out.strip())["ktdump"]["incomplete"] is False, (rc, out, err)
    print(f"# {len(points)} places", flush=True)


@test
def guest_pauses():
    """Within a frame, for many times what a broken connection is waited for."""
    c = Collector("--uds", "v", "-o", "out/", "--grace", "0.1")
    stream = kw.sample().stream()
    s = connect("v")
    s.sendall(stream[:len(stream) // 2])
    time.sleep(2)
    assert not os.listdir("out"), os.listdir("out")
    s.sendall(stream[len(stream) // 2:])
    assert recv_frame(s)[0] == kw.HELLO and recv_frame(s)[0] == kw.ACK
    s.close()
    rc, out, _ = c.finish(signal.SIGTERM)
    assert rc == 0 and load(out.strip())["ktdump"]["incomplete"] is False


@test
def guest_is_reset():
    """Its old connections stay open and say nothing any more: they neither bar the new ones nor wait for ever."""
    c = Collector("--uds", "v", "-o", "out/", "--grace", "0.1", "--silence", "1")
    old = [send("v", kw.sample(1, "%08x-" % i), 12) for i in range(3)]
    old += [send("v", kw.Guest("%08x-" % i, pending=0)) for i in range(100, 140)]
    g = kw.sample(1, cli.BOOT2)
    with send("v", g) as s:
        assert recv_frame(s)[0] == kw.ACK
    end = time.monotonic() + 10
    while len([p for p in os.listdir("out") if p.endswith(".json")]) < 4 and time.monotonic() < end:
        time.sleep(0.05)
    reports = {p.split("-")[2]: load("out/" + p)["ktdump"]["incomplete"] for p in os.listdir("out")}
    assert reports == {"fedcba98": False, "00000000": True, "00000001": True, "00000002": True}, reports
    # One of them was only asleep.
    g = kw.sample(1, "00000001-")
    with send("v", g) as s:
        assert recv_frame(s)[0] == kw.ACK
    rc, out, _ = c.finish(signal.SIGTERM)
    assert rc == 0 and sorted(load(p)["ktdump"]["incomplete"] for p in set(out.split())) == [False, False, True, True], out
    for s in old:
        s.close()


@test
def without_a_place_for_the_file_without_name():
    """Contents that find no room are left out, and the report says so."""
    r = subprocess.run(["sh", "-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" - -o a.json -q", cli.KTCOLLECT],
                       input=cli.contents(1000), capture_output=True, timeout=60)
    assert r.returncode == 0, r
    k = json.load(open("a.json", encoding="utf-8"))["ktdump"]
    assert k["incomplete"] is True and "no room for map contents" in k["missing"][0]["reason"], k["missing"]
    assert run("validate", "a.json").returncode == 0


if __name__ == "__main__":
    sys.exit(cli.main(TESTS))
