#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Guests that mean harm: python3 test_hostile.py PATH/TO/ktcollect [NAME]...

Each of them beside a good one, who must get its whole report all the same; memory and
files are looked at before and after. Prints KTAP, and what was measured.
"""
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ktwire as kw  # noqa: E402
import test_cli as cli  # noqa: E402
from test_cli import Collector, connect, load, recv_frame, run, send  # noqa: E402

TESTS = []
MIB = 1 << 20
CONSTANT = 48 * MIB         # program, libraries, buffers, what a good guest needs
BAD, GOOD = "bad", "good"


def test(f):
    TESTS.append(f)
    return f


class Bench:
    """A collector for a bad and a good guest; everything lies where it must not look."""

    def __init__(self, *args):
        os.mkdir("out")
        with open("precious", "w", encoding="ascii") as f:
            f.write("as it was")
        self.c = Collector("--uds", BAD, "--uds", GOOD, "-o", "out", "--btf-cache", "cache", *args, uds=(BAD, GOOD))
        self.nr = 0
        self.good()

    def status(self, key):
        with open(f"/proc/{self.c.p.pid}/status", encoding="ascii") as f:
            return dict(line.split(":", 1) for line in f)[key].split()[0]

    def good(self):
        """The good guest comes, and gets what it wants within ten seconds."""
        self.nr += 1
        started = time.monotonic()
        boot = "%08d-0000-0000-0000-000000000000" % self.nr
        try:
            with send(GOOD, kw.sample(1, boot)) as s:
                assert recv_frame(s) == (kw.ACK, 1, 1)
        except (OSError, EOFError) as e:
            rc, _, err = self.c.finish(signal.SIGKILL)
            raise AssertionError(f"the good guest was not served: {e!r}, collector {rc}: {err[-1500:]}") from None
        took = time.monotonic() - started
        (path,) = [p for p in os.listdir("out") if boot[:8] in p and p.endswith(".json")]
        k = load("out/" + path)["ktdump"]
        assert k["incomplete"] is False and not [m for m in k["missing"] if m["section"] == "stream"], k["missing"]
        return took

    def end(self, most=CONSTANT):
        """After whatever was done."""
        took = self.good()
        peak = int(self.status("VmHWM")) * 1024
        rc, out, err = self.c.finish(signal.SIGTERM)
        assert rc == 0, (rc, err[-2000:])
        assert peak < most, f"{peak / MIB:.1f} MiB of memory, {most / MIB:.0f} are allowed"
        with open("precious", encoding="ascii") as f:
            assert f.read() == "as it was"
        left = sorted(set(os.listdir(".")) - {"out", "precious", "cache"})
        assert not left, left
        assert all(p.startswith("ktdump-") and p.endswith(".json") for p in os.listdir("out")), os.listdir("out")
        print(f"# {sys._getframe(1).f_code.co_name}: peak {peak / MIB:.0f} MiB, the good guest waited {took:.2f} s at the end", flush=True)
        return out, err


def ended(s):
    """Waits until the collector has had enough of that connection."""
    try:
        while s.recv(4096):
            pass
    except ConnectionError:
        pass
    s.close()


@test
def forged_lengths():
    b = Bench()
    payloads = [bytes([0xDD]) + b"\xff" * 4, bytes([0xDC]) + b"\xff" * 2, bytes([0xDB]) + b"\xff" * 4, bytes([0xC6]) + b"\xff" * 4,
                bytes([0xC9]) + b"\xff" * 5, bytes([0xDF]) + b"\xff" * 4, b"\x91" * 20000, b"\x92" + bytes([0xDD]) + b"\x7f" * 4,
                b"\x80", b"\xc1", b"\x91", kw.pack(["x" * 17000]), b"\x90", kw.pack([1, 2]), kw.pack(["a"] * 5000)]
    for ftype, table, nr in ((kw.HELLO, "hello", 0), (kw.BEGIN, "begin", 1), (kw.ROWS, "task", 1), (kw.ROWS, "mem", 1), (kw.END, "end", 1)):
        for p in payloads:
            g = kw.Guest(pending=0)
            if ftype == kw.HELLO:
                g.frames = []
            elif ftype != kw.BEGIN:
                g.begin(1)
            g.raw(ftype, kw.TABLES[table], p, nr)
            with connect(BAD) as s:
                s.sendall(g.stream())
                s.shutdown(socket.SHUT_WR)
                ended(s)
    # The length in the header of a frame; what is promised never comes.
    for length in (28649, 1 << 16, 1 << 31, 0xFFFFFFFF, 28648):
        with connect(BAD) as s:
            s.sendall(struct.pack("<IBBHIIII", kw.MAGIC, 1, kw.HELLO, 1, length, 0, 0, 0) + b"x" * 100)
            s.shutdown(socket.SHUT_WR)
            ended(s)
    b.end()


def connect_somehow():
    """In spite of all the others that wait to be accepted."""
    while True:
        try:
            return connect(BAD)
        except BlockingIOError:
            time.sleep(0.001)


@test
def thousands_of_connections():
    """Silent ones, some held open; then one of the same guest that has something to say."""
    b = Bench()
    held = []
    for i in range(3000):
        held.append(connect_somehow())
        if len(held) > 200:
            held.pop(i * 7 % 200).close()
        if i % 1000 == 500:
            b.good()
    nr = len(os.listdir(f"/proc/{b.c.p.pid}/fd"))
    assert nr < 60, f"{nr} open files"
    # In spite of all those: its own connection is the newest one.
    with send(BAD, kw.sample(1, "bad00001-")) as s:
        assert recv_frame(s)[0] == kw.ACK
    for s in held:
        s.close()
    _, err = b.end()
    assert len(err.splitlines()) < 1500, len(err.splitlines())


@test
def slow_loris():
    """A byte now and then is no sign of life; a guest without anything to say may be silent."""
    b = Bench("--silence", "1", "--grace", "0.1")
    quiet = send(GOOD, kw.Guest("cccccccc-", pending=0))
    g = kw.sample()
    slow = [send(BAD, kw.sample(1, "bad%05d-" % i), 2) for i in range(10)]
    rest = b"".join(g.frames[2:])
    gone, i = 0, 0
    end = time.monotonic() + 10
    while gone < len(slow) and time.monotonic() < end:
        time.sleep(0.1)
        gone = 0
        for s in slow:
            try:
                s.send(rest[i:i + 1])
            except OSError:
                gone += 1
        i += 1
    assert gone == len(slow) and i * 0.1 < 8, (gone, i)
    # This one is still there, and heard.
    g = kw.Guest("cccccccc-", pending=0)
    kw.full_snapshot(g, 1)
    quiet.sendall(b"".join(g.frames[1:]))
    assert recv_frame(quiet)[0] == kw.ACK
    _, err = b.end()
    assert "silent" in err, err


@test
def never_ending_snapshots():
    """As many as it may have, with rows for more memory than all of them may take."""
    limit = 8 * MIB
    b = Bench("--max-bytes", str(limit), "--max-disk", "8M")
    g = kw.Guest("bad00001-")
    row = {"kva": 1, "name": "x" * 40, **{f"column{i}": i for i in range(60)}}
    for nr in range(1, 5):
        g.begin(nr)
        g.add(kw.ROWS, "map", [row], nr)
        g.add(kw.ROWS, "mem", [{"kva": 0, "data": b"x"}], nr)
    start = g.stream()
    # What is sent over and over needs sequence numbers that go on, so it is made once and for all.
    first = len(g.frames)
    rows = kw.pack(list(row.values())) * 100
    mem = kw.pack([1 << 40, b"y" * 14000]) * 2
    for i in range(400):
        g.raw(kw.ROWS, kw.TABLES["map" if i % 3 else "mem"], rows if i % 3 else mem, 1 + i % 4)
    more = b"".join(g.frames[first:])
    sent = []

    def flood():
        with connect(BAD) as s:
            try:
                s.sendall(start)
                s.sendall(more)
                sent.append(len(more))
                stop.wait(60)
            except OSError:
                pass
    stop = threading.Event()
    threads = [threading.Thread(target=flood, daemon=True) for _ in range(6)]
    for t in threads:
        t.start()
    waits = []
    end = time.monotonic() + 40
    while len(sent) < len(threads) and time.monotonic() < end:
        waits.append(b.good())
        time.sleep(0.25)
    waits.append(b.good())
    print(f"# {sum(sent) / MIB:.0f} MiB were sent; the good guest waited {max(waits):.2f} s at most, {len(waits)} times", flush=True)
    assert len(sent) == len(threads), sent
    # All in progress, half as much again for what the allocator wastes.
    peak = int(b.status("VmHWM")) * 1024
    assert peak < 4 * limit * 1.5 + CONSTANT / 2, peak / MIB
    stop.set()
    for t in threads:
        t.join()
    # A partial report needs up to four times what its snapshot takes.
    b.end(8 * limit * 1.5 + CONSTANT)


@test
def blobs_that_lie():
    """Of another size, of other bytes, under the hash of somebody else's; thousands of them."""
    b = Bench()
    kernel = cli.KERNEL_BTF
    sha = kw.hashlib.sha256(kernel).digest()
    for boot, said, data in (("bad00001-", len(kernel), kernel[:-1] + b"x"), ("bad00002-", 40, kernel[:40]),
                             ("bad00003-", len(kernel) + 8, kernel + b"12345678"), ("bad00004-", 1 << 40, kernel), ("bad00005-", 0, kernel)):
        g = kw.Guest(boot)
        g.begin(1)
        g.add(kw.ROWS, "btf", [{"kva": 0, "id": 1, "name": "vmlinux", "kernel": True, "split": False, "size": said, "hash": sha, "error": None},
                               {"kva": 1, "id": 2, "name": "a", "kernel": False, "split": False, "size": 7, "hash": sha, "error": None}], 1)
        g.raw(kw.OFFER, 0, b"", 1)
        s = send(BAD, g)
        cli.answers(s, 1)
        sent = len(g.frames)
        g.blob(1, data, sha=sha)
        g.end(1)
        s.sendall(b"".join(g.frames[sent:]))
        assert recv_frame(s)[0] == kw.ACK
        s.close()
    assert not os.path.exists("cache") or not os.listdir("cache"), os.listdir("cache")
    # The good guest's are asked for, taken and kept.
    g, s, wanted = cli.offered(GOOD, [kernel], boot_id="dddddddd-")
    assert wanted == [0]
    cli.go_on(g, s, 1, [kernel])
    s.close()
    assert os.listdir("cache") == [os.path.basename(cli.cached("", kernel))]
    # Small ones without end: the directory does not grow without end.
    for i in range(9):
        blobs = [struct.pack("<II", i, k) for k in range(500)]
        g = kw.Guest("bad1%04d-" % i)
        g.begin(1)
        for k in range(0, 500, 100):
            g.add(kw.ROWS, "btf", [{"kva": k + n, "id": 1, "name": "", "kernel": False, "split": False, "size": 8,
                                    "hash": kw.hashlib.sha256(x).digest(), "error": None} for n, x in enumerate(blobs[k:k + 100])], 1, header=not k)
        g.raw(kw.OFFER, 0, b"", 1)
        s = send(BAD, g)
        assert len(cli.answers(s, 1)) == 500
        sent = len(g.frames)
        for k in range(0, 500, 250):
            g.add(kw.ROWS, "blob", [{"hash": kw.hashlib.sha256(x).digest(), "off": 0, "data": x} for x in blobs[k:k + 250]], 1, header=not k)
        g.end(1)
        s.sendall(b"".join(g.frames[sent:]))
        assert recv_frame(s)[0] == kw.ACK
        s.close()
    nr = len(os.listdir("cache"))
    assert 3000 < nr <= 4096 + 64, nr
    b.end()


@test
def sections_and_names():
    """Ten thousand sections, each named like a path; so is everything else that has a name."""
    b = Bench()
    evil = "../../../../../../../../" + os.path.abspath("precious").lstrip("/")
    for boot in (evil, "/" + evil, "a/../../precious", ".", "\0", "x" * 5000, ""):
        g = kw.Guest(boot)
        g.begin(1, comm=evil, hook=evil)
        for i in range(0, 10000, 100):
            g.add(kw.ROWS, "section", [{"table": evil[:60] + str(i + k), "rows": 1, "seen": 1, "bytes": 1, "ns": 1} for k in range(100)], 1, header=not i)
        g.add(kw.ROWS, "map", [{"kva": 1, "id": 1, "name": evil, "map_type": 2, "key_size": 4, "value_size": 8, "max_entries": 1}], 1)
        g.add(kw.ROWS, "sched", [{"kva": kw.SCHED, "root": True, "name": evil}], 1)
        g.end(1)
        with send(BAD, g) as s:
            assert recv_frame(s)[0] == kw.ACK
    b.end()


@test
def reports_without_end():
    """One guest's share of files is its own, and of lines on stderr, too."""
    b = Bench("--max-reports", "20", "--grace", "0.1")
    tiny = []
    for i in range(300):
        g = kw.Guest("bad0%04d-" % i)
        g.begin(1)
        if i % 2:
            g.end(1)
        tiny.append(g.stream())
    for _ in range(3):
        for t in tiny:
            with connect(BAD) as s:
                s.sendall(t)
                s.shutdown(socket.SHUT_WR)
                ended(s)
    # Long enough for a few more lines.
    time.sleep(2)
    _, err = b.end()
    assert len([p for p in os.listdir("out") if "-bad0" in p]) == 20, os.listdir("out")
    lines = err.splitlines()
    assert 500 < len(lines) < 1500, len(lines)
    assert any("left out" in line for line in lines) and "--max-reports" in err, lines[-5:]


@test
def recordings_without_end():
    os.mkdir("rec")
    b = Bench("--record", "rec/raw", "--max-reports", "8", "--max-bytes", "100K", "--max-disk", "100K")
    for i in range(40):
        with connect(BAD) as s:
            if i % 2:
                s.sendall(b"junk of another kind than frames")
                ended(s)
    assert len(os.listdir("rec")) == 8, os.listdir("rec")
    shutil.rmtree("rec")
    os.mkdir("rec")
    b.c.finish(signal.SIGTERM)
    g = kw.Guest("bad00001-")
    g.begin(1)
    g.mem(1, 0, bytes(14000) * 40)
    c = Collector("--uds", BAD, "--record", "rec/raw", "--max-bytes", "100K", "--max-disk", "100K", "-o", "out", uds=BAD)
    send(BAD, g).close()
    time.sleep(0.2)
    assert c.finish(signal.SIGTERM)[0] == 0
    sizes = [os.path.getsize("rec/" + p) for p in os.listdir("rec")]
    assert sizes and max(sizes) <= 200 << 10, sizes


# ----------------------------------------------------------------- the sandbox

def flags(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        text = dict(line.split(":", 1) for line in f)
    return int(text["NoNewPrivs"]), int(text["Seccomp"]), int(text["CapEff"], 16)


@test
def sandbox_is_on():
    for args, privs, seccomp in (((), 1, 2), (("--no-sandbox",), 0, 0)):
        c = Collector("--uds", "v", *args)
        with send("v", kw.sample()) as s:
            assert recv_frame(s)[0] == kw.ACK
            got = flags(c.p.pid)
        assert c.finish(signal.SIGTERM)[0] == 0
        if os.path.exists("/proc/self/seccomp") or privs:
            assert got[:2] == (privs, seccomp), got
        # Of root's privileges the one to write into other people's directories.
        assert not privs or not got[2] & ~2, hex(got[2])
    p = subprocess.Popen([cli.KTCOLLECT, "show", "/dev/stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # One comes a moment before the other.
    end = time.monotonic() + 10
    while flags(p.pid)[:2] != (1, 2) and time.monotonic() < end:
        time.sleep(0.01)
    assert flags(p.pid)[:2] == (1, 2), flags(p.pid)
    p.communicate(b"{}", timeout=10)


@test
def sandbox_has_room_for_all_that_is_asked():
    """Everything in another place, half of it relative, one by a link."""
    for d in ("a", "b", "real", "c", "d", "e", "f", "g"):
        os.mkdir(d)
    os.symlink("real", "link")
    cli.write("b/s.rec", kw.sample(1, "eeeeeeee-").stream())
    env = {"GITHUB_STEP_SUMMARY": os.path.abspath("g/summary"), "XDG_CACHE_HOME": os.path.abspath("f/xdg"), "GITHUB_ACTIONS": "true"}
    saved = dict(os.environ)
    os.environ.update(env)
    try:
        c = Collector("--uds", "a/v", "--control", os.path.abspath("c/ctl"), "-o", "link", "--record", "d/raw", "--junit", "e/j.xml",
                      "--html", "--show", "--trace", "b/s.rec", uds="a/v")
        g, s, wanted = cli.offered("a/v", [cli.KERNEL_BTF])
        assert wanted == [0]
        cli.go_on(g, s, 1, [cli.KERNEL_BTF])
        s.close()
        rc, out, err = c.finish(signal.SIGTERM)
    finally:
        os.environ.clear()
        os.environ.update(saved)
    assert rc == 0 and len(out.split()) == 2 and "denied" not in err and "cannot" not in err, (rc, out, err)
    names = sorted(os.listdir("real"))
    assert [n.split(".", 1)[1] for n in names] == ["html", "json", "trace.json", "txt"] * 2, names
    assert os.listdir("d") and os.listdir("e") == ["j.xml"] and not os.listdir("a") and not os.listdir("c")
    assert os.listdir("f/xdg/ktdump/btf") and os.path.getsize("g/summary")
    # A summary that is there is one file and no directory.
    os.environ.update(env)
    try:
        r = run("b/s.rec", "-o", "/dev/null", env={"GITHUB_ACTIONS": "true"})
    finally:
        os.environ.clear()
        os.environ.update(saved)
    assert r.returncode == 0 and b"denied" not in r.stderr, r
    for args in (("html", "-o", "b/x.html"), ("trace",), ("show",), ("diff",), ("validate",)):
        r = run(*args, "real/" + names[1])
        assert r.returncode in (0, 1) and b"denied" not in r.stderr, (args, r)
    assert os.path.exists("b/x.html")


if __name__ == "__main__":
    sys.exit(cli.main(TESTS))
