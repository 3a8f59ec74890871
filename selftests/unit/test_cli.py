#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What ktcollect does from outside: python3 test_cli.py PATH/TO/ktcollect

Prints KTAP. Standard library only; the guest is selftests/unit/ktwire.py.
"""
import glob
import json
import os
import pty
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kttap  # noqa: E402
import ktwire as kw  # noqa: E402

KTCOLLECT = None
TESTS = []
BOOT2 = "fedcba98-7654-3210-fedc-ba9876543210"


def test(f):
    TESTS.append(f)
    return f


def run(*args, stdin=None, env=None, timeout=30):
    e = dict(os.environ, **(env or {}))
    if not env or "GITHUB_ACTIONS" not in env:
        e.pop("GITHUB_ACTIONS", None)
    return subprocess.run([KTCOLLECT, *args], input=stdin, capture_output=True, timeout=timeout, env=e)


class Collector:
    """A collector in the background; waits until its socket is there."""

    def __init__(self, *args, uds="v", wait=True):
        self.p = subprocess.Popen([KTCOLLECT, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for u in [uds] if isinstance(uds, str) else uds:
            end = time.time() + 10
            while wait and time.time() < end:
                try:
                    with socket.socket(socket.AF_UNIX) as s:
                        s.connect(u + "_19284")
                    break
                except OSError:
                    time.sleep(0.01)

    def finish(self, sig=None, timeout=20):
        if sig:
            self.p.send_signal(sig)
        out, err = self.p.communicate(timeout=timeout)
        return self.p.returncode, out.decode(), err.decode()


def connect(uds="v"):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(uds + "_19284")
    return s


def recv_answer(s):
    """(type, sequence number, snapshot, table)"""
    h = b""
    while len(h) < 24:
        more = s.recv(24 - len(h))
        if not more:
            raise EOFError
        h += more
    magic, version, ftype, table, length, seq, snap, crc = struct.unpack("<IBBHIIII", h)
    assert magic == kw.MAGIC and version == 1 and length == 0
    assert crc == kw.crc32c(h[:20] + b"\0\0\0\0"), "crc of an answer"
    return ftype, seq, snap, table


def recv_frame(s):
    return recv_answer(s)[:3]


def send(uds, g, upto=None):
    s = connect(uds)
    s.sendall(b"".join(g.frames[:upto]))
    assert recv_frame(s) == (kw.HELLO, 0, 0)
    return s


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def reports():
    return sorted(glob.glob("*.json"))


def no_parts():
    assert not glob.glob("*.part"), glob.glob("*.part")


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def check(path):
    """With the schemas where python3-jsonschema is installed."""
    try:
        import check_report
        check_report.check(path)
    except ImportError:
        pass


@test
def usage_errors():
    for args in ([], ["--nonsense"], ["--vsock-cid", "x"], ["--port", "-1", "-"], ["--uds"],
                 ["--timeout", "soon", "-"], ["--max-bytes", "0", "-"], ["--grace", "-2", "-"],
                 ["--max-bytes", "5T", "-"], ["-o", "", "-"]):
        r = run(*args)
        assert r.returncode == 2, (args, r)
        assert r.stderr and not r.stdout, (args, r)


@test
def help_and_version():
    r = run("--help")
    assert r.returncode == 0 and r.stdout.startswith(b"Usage: ktcollect"), r
    assert max(map(len, r.stdout.splitlines())) <= 80
    r = run("--version")
    assert r.returncode == 0 and r.stdout.startswith(b"ktcollect "), r


@test
def missing_file():
    r = run("not-there")
    assert r.returncode == 1 and b"not-there" in r.stderr, r


@test
def replay_whole():
    write("s.rec", kw.sample().stream())
    r = run("s.rec")
    assert r.returncode == 0, r
    (path,) = reports()
    assert r.stdout.decode() == path + "\n"
    assert path == "ktdump-20260921T141320Z-01234567-1.json", path
    d = load(path)
    assert d["ktdump"]["incomplete"] is False, d["ktdump"]["missing"]
    assert [m["section"] for m in d["ktdump"]["missing"]] == ["offsets:scx_sched_pcpu", "offsets:scx_rq", "cpu"]
    check(path)
    no_parts()


@test
def a_report_of_everything():
    r = run("-", "-o", "r.json", "-q", stdin=kw.sample().stream())
    assert r.returncode == 0 and not r.stderr, r
    d = load("r.json")
    k = d["ktdump"]
    assert list(d)[0] == "schema" and list(d)[-1] == "ktdump"
    assert d["scx_walker_unavailable"] == "scx walker partial: missing offset groups [scx_rq, scx_sched_pcpu]"
    assert d["scx_sched_state"] == {"aborting": True, "bypass_depth": 1, "exit_kind": 1026,
                                    "watchdog_timeout": 1250, "source": "live", "sched_kva": kw.SCHED}
    assert [q["origin"] for q in d["dsq_states"]] == ["local cpu 0", "local cpu 1", "bypass cpu 0",
                                                      "global node 0", "user"]
    assert d["dsq_states"][4]["task_kvas"] == [kw.TASKS[1], kw.TASKS[2]]
    assert d["dsq_states"][2]["truncated"] is True and "truncated" not in d["dsq_states"][0]
    assert d["rq_scx_states"][0]["runnable_task_kvas"] == kw.TASKS[:3]
    assert d["rq_scx_states"][1]["runnable_truncated"] is True
    assert [t["pid"] for t in d["task_enrichments"]] == [100, 101, 103, 102]
    by = {t["pid"]: t for t in d["task_enrichments"]}
    assert by[100]["lock_slowpath_match"] == "queued_spin_lock_slowpath"
    assert "lock_slowpath_match" not in by[101]
    assert by[102]["pi_boosted_out_of_scx"] is True and by[101]["pi_boosted_out_of_scx"] is False
    assert by[102]["comm"] == "bad\ufffd\x1b[2J"
    assert by[103]["utime"] == 0
    assert d["vcpu_regs"][1] is None and d["vcpu_regs"][0]["page_table_root"] == 279101440
    assert [p["name"] for p in d["prog_runtime_stats"]] == ["qmap_dispatch", "qmap_enqueue"]
    assert [m["name"] for m in d["maps"]] == ["queue0", "qmap.bss"]
    assert d["per_cpu_time"][0]["cpustat_steal_ns"] == 8
    assert d["probe_counters"]["trigger_count"] == 1 and d["probe_counters"]["pi_drops"] == 0
    assert "dump_truncated_at_us" not in d
    assert k["kernel"]["hz"] == 250 and k["kernel"]["nr_cpus"] == 2
    assert k["trigger"]["exit_kind_name"] == "SCX_EXIT_ERROR_STALL"
    assert k["trigger"]["stack"][0]["symbol"] == "scx_vexit+0x10/0x200"
    bt = [f["symbol"] for f in k["exits"][0]["bt"]]
    # The last is behind the image, and nobody knows it.
    assert bt[1:] == ["bpf_prog_0011_qmap_enqueue+0x10/0x100", "bpf__sched_ext_ops_enqueue+0x50/0xad",
                      hex(kw.TEXT + 0xA000AD)], bt
    assert k["exits"][0]["dump"] == "firsthalf\n"
    assert [s["name"] for s in k["schedulers"]] == ["qmap", "sub"]
    assert k["schedulers"][0]["event_counters"] == {"SCX_EV_SELECT_CPU_FALLBACK": 4, "SCX_EV_NEW_ONE": 5}
    (reject,) = [q for q in k["dsqs"] if q["origin"] == "reject"]
    assert reject["task_kvas"] == [kw.TASKS[3]]
    tasks = {t["pid"]: t for t in k["tasks"]}
    assert tasks[101]["scx"]["runnable_age_ms"] == 5000
    assert tasks[100]["scx"]["runnable_age_jiffies"] == -100
    assert tasks[103]["scx"]["runnable_age_ms"] is None
    assert tasks[101]["scx"]["flag_names"] == ["SCX_TASK_QUEUED", "SCX_TASK_ENABLED"]
    assert tasks[101]["scx"]["ops_state_name"] == "SCX_OPSS_QUEUED"
    assert tasks[101]["cpus_allowed"] == "0-1"
    # 100 has ended, and runs for the last time.
    assert [tasks[pid]["state_letter"] for pid in (100, 101, 103)] == ["Z", "R", "D"]
    assert tasks[101]["where"] == [{"list": "runnable", "cpu": 0},
                                   {"list": "dsq", "dsq_kva": kw.USER_DSQ, "origin": "user",
                                    "id": 0, "id_name": "user"}]
    assert tasks[102]["where"][1]["id_name"] == "SCX_DSQ_LOCAL"
    assert tasks[101]["stack"][0]["symbol"] == "schedule+0x20/0x100"
    assert tasks[101]["scx"]["ddsp_dsq_id_name"] == "SCX_DSQ_INVALID"
    assert tasks[103]["utime"] is None
    assert k["cputime"][0]["cpustat"][8:] == [9, 10]
    assert k["unknown"] == {"tables": 1, "frames": 1, "columns": 1, "bad_rows": 0,
                            "repeated_headers": 0, "names": ["sched.future_column"]}


@test
def text_view():
    r = run("-", "-o", "r.json", "--text", stdin=kw.sample().stream())
    out = r.stdout.decode()
    assert r.returncode == 0 and out.startswith("BUG SUMMARY: scheduler qmap: runnable task stall, ") and '\nsched_ext scheduler "qmap" ended: SCX_EXIT_ERROR_STALL' in out, r
    assert b"r.json" in r.stderr and "r.json" not in out
    assert max(map(len, out.splitlines())) <= 100
    assert "\x1b" not in out
    again = run("r.json", "--text")
    assert again.returncode == 0 and again.stdout.decode() == out, again
    write("x.json", b'{"schema": "other"}')
    assert run("x.json", "--text").returncode == 1


@test
def truncated_recording():
    g = kw.sample()
    stream = g.stream()
    cut = len(b"".join(g.frames[:9])) + 30
    write("s.rec", stream[:cut])
    r = run("s.rec", "-o", "p.json")
    assert r.returncode == 0, r
    d = load("p.json")
    assert d["ktdump"]["incomplete"] is True
    m = d["ktdump"]["missing"][0]
    assert m["section"] == "stream" and m["reason"].startswith("frame 9 at byte %d" % (cut - 30)), m
    assert "rq_scx_states" in d and "is_placeholder" not in d
    assert d["per_node_numa_unavailable"] == "dump prerequisites unavailable"
    check("p.json")


@test
def every_truncation_gives_a_valid_report_or_none():
    g = kw.sample()
    stream = g.stream()
    first = len(g.frames[0])
    for cut in list(range(0, len(stream), 97)) + [first, first + 1, first + 24]:
        r = run("-", "-o", "t.json", "-q", stdin=stream[:cut])
        if cut < first:
            assert r.returncode == 1 and not os.path.exists("t.json"), (cut, r)
            continue
        assert r.returncode == 0, (cut, r)
        check("t.json")
        os.unlink("t.json")


@test
def placeholder():
    g = kw.Guest()
    write("h.rec", g.stream())           # announced, never begun
    r = run("h.rec", "-o", "h.json")
    assert r.returncode == 0, r
    d = load("h.json")
    assert d["is_placeholder"] is True and d["maps"] == []
    reason = d["scx_walker_unavailable"]
    assert reason.startswith("frame 1 at byte") and d["ktdump"]["incomplete"] is True
    assert {v for k, v in d.items() if k.endswith("_unavailable")} == {reason}
    check("h.json")
    g.begin(1)
    bad = bytearray(g.stream())
    bad[-1] ^= 1                         # the BEGIN frame is damaged
    r = run("-", "-o", "b.json", stdin=bytes(bad))
    assert r.returncode == 0 and "checksum" in load("b.json")["scx_walker_unavailable"], r
    r = run("-", "-o", "i.json", stdin=kw.Guest(pending=0).stream())
    assert r.returncode == 0 and not os.path.exists("i.json"), r
    for junk in (b"GET / HTTP/1.0\r\n\r\n" * 4, b""):
        r = run("-", stdin=junk)
        assert r.returncode == 1 and not r.stdout, r


@test
def sequence_gap():
    g = kw.sample()
    del g.frames[6]
    r = run("-", "-o", "g.json", stdin=g.stream())
    assert r.returncode == 0, r
    reason = load("g.json")["ktdump"]["missing"][0]["reason"]
    assert "frame 6" in reason and "sequence number 7 where 6 was due" in reason, reason


@test
def wrong_totals():
    g = kw.Guest()
    g.begin(1)
    g.add(kw.ROWS, "map", [{"kva": 1, "id": 1, "name": "x", "map_type": 1}], 1)
    g.end(1, rows=77)
    r = run("-", "-o", "w.json", stdin=g.stream())
    d = load("w.json")
    assert r.returncode == 0 and d["ktdump"]["incomplete"] is True
    assert "77 rows" in d["ktdump"]["missing"][0]["reason"]


@test
def two_recordings_in_a_row():
    a, b = kw.sample(), kw.sample(1, BOOT2)
    r = run("-", stdin=a.stream()[:2000] + b"", timeout=10)
    assert r.returncode == 0
    os.unlink(r.stdout.decode().strip())
    r = run("-", stdin=a.stream() + b.stream())
    assert r.returncode == 0 and len(reports()) == 2, r


@test
def second_report_of_a_file():
    g = kw.Guest()
    kw.full_snapshot(g, 1)
    kw.full_snapshot(g, 2)
    r = run("-", "-o", "out.json", stdin=g.stream())
    assert r.returncode == 0 and r.stdout == b"out.json\nout-2.json\n", r
    assert load("out-2.json")["ktdump"]["snapshot"] == 2
    assert b"out-2.json" in r.stderr


@test
def fail_on_report_and_directory():
    r = run("-", "--fail-on-report", "-o", "new/", stdin=kw.sample().stream())
    assert r.returncode == 3 and os.listdir("new"), r


@test
def a_pipe_stays_one():
    """No file takes its place: as root that was the end of /dev/null."""
    os.mkfifo("pipe")
    out = []

    def read():
        with open("pipe", "rb") as f:
            out.append(f.read())
    reader = threading.Thread(target=read)
    reader.start()
    r = run("-", "-o", "pipe", stdin=kw.sample().stream())
    reader.join(10)
    assert r.returncode == 0 and stat.S_ISFIFO(os.stat("pipe").st_mode), r
    assert json.loads(out[0])["schema"] == "single" and os.listdir(".") == ["pipe"], os.listdir(".")


@test
def contents_for_a_device():
    """Nobody keeps files in /dev."""
    r = run("-", "-o", "/dev/null", "-v", stdin=contents(100), env={"TMPDIR": os.getcwd()})
    assert r.returncode == 0 and b"no room" not in r.stderr and not os.listdir("."), r


@test
def unwritable_output():
    r = run("-", "-o", "no/such/dir/r.json", stdin=kw.sample().stream())
    assert r.returncode == 1 and b"no/such/dir" in r.stderr, r


@test
def hostile_names_stay_in_place():
    g = kw.sample(1, "../../../../tmp/evil")
    r = run("-", stdin=g.stream())
    assert r.returncode == 0, r
    (path,) = reports()
    assert r.stdout.decode().strip() == path and "/" not in path


@test
def size_limit():
    r = run("-", "--max-bytes", "20K", "-o", "m.json", stdin=kw.sample().stream())
    assert r.returncode == 0, r
    d = load("m.json")
    assert d["ktdump"]["incomplete"] and "--max-bytes" in d["ktdump"]["missing"][0]["reason"]
    check("m.json")


@test
def size_limit_of_all_guests_together():
    c = Collector("--uds", "v", "--max-bytes", "40K", "--grace", "0")
    held = []
    for i in range(12):                  # never ended, so all stay in memory
        g = kw.sample(1, "%08x-boot" % i)
        held.append(send("v", g, len(g.frames) - 1))
    for s in held:
        s.close()
    rc, out, err = c.finish(signal.SIGTERM)
    assert rc == 0, err
    reasons = [load(p)["ktdump"]["missing"][0]["reason"] for p in out.split()]
    assert len(reasons) == 12 and any("--max-bytes" in r for r in reasons[:1] + reasons[-1:]), reasons


@test
def github_actions():
    r = run("-", "-o", "r.json", stdin=kw.sample().stream(), env={"GITHUB_ACTIONS": "true"})
    assert r.stdout == b"r.json\n"
    assert b"\n::error title=" in b"\n" + r.stderr and b"runnable task stall" in r.stderr, r


@test
def views_beside():
    r = run("-", "-o", "r.json", "--show", "--html", "--trace", stdin=kw.sample().stream())
    assert r.returncode == 0 and r.stdout == b"r.json\n", r
    assert sorted(f for f in os.listdir(".") if f.startswith("r.")) == ["r.html", "r.json", "r.trace.json", "r.txt"], os.listdir(".")
    with open("r.txt", "rb") as a, open("r.html", "rb") as b, open("r.trace.json", "rb") as c:
        text, page, trace = a.read(), b.read(), c.read()
    assert text == run("show", "r.json").stdout and page == run("html", "-o", "-", "r.json").stdout
    assert trace == run("trace", "-o", "-", "r.json").stdout and b"freeze" in trace
    # What cannot be written is said, and the report is there all the same.
    os.mkdir("q.html")
    r = run("-", "-o", "q.json", "--html", stdin=kw.sample().stream())
    assert r.returncode == 1 and b"q.html" in r.stderr and os.path.exists("q.json"), r
    no_parts()


@test
def views_live():
    c = Collector("--uds", "v", "--once", "--html", "--show", "--trace", "--junit", "j.xml")
    s = send("v", kw.sample())
    assert recv_frame(s) == (kw.ACK, 1, 1)
    rc, out, err = c.finish()
    stem = out.strip()[:-len(".json")]
    assert rc == 0 and all(os.path.getsize(stem + end) for end in (".txt", ".html", ".trace.json")), (rc, out, err)
    assert os.path.getsize("j.xml")


@test
def junit():
    import xml.etree.ElementTree as et
    r = run("-", "-o", "r.json", "--junit", "j.xml", stdin=kw.sample().stream())
    assert r.returncode == 0, r
    suite = et.parse("j.xml").getroot()
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "1", "1")
    (case,) = suite
    assert case.get("name") == "r.json" and "runnable task stall" in case.find("failure").get("message")
    assert "Longest waiting" in case.find("failure").text
    # Nothing came: that is a success.
    assert run("--uds", "v", "--timeout", "0.2", "--junit", "k.xml").returncode == 124
    suite = et.parse("k.xml").getroot()
    assert (suite.get("failures"), suite[0].get("name")) == ("0", "no scheduler failed")
    g = kw.Guest()
    g.begin(1)
    g.add(kw.ROWS, "exit", [{"sched_kva": kw.SCHED, "complete": True, "kind": 1026, "reason": "]]>&<\"'\x01\x1b[0m\uffff", "msg": "m" * 5000}], 1)
    g.end(1)
    run("-", "-o", "h.json", "--junit", "h.xml", stdin=g.stream())
    assert et.parse("h.xml").getroot()[0].find("failure").get("message").startswith("]]>&<\"'??[0m\ufffd"), "h.xml"


@test
def time_out():
    t = time.time()
    r = run("--uds", "v", "--timeout", "0.3")
    assert r.returncode == 124 and not r.stdout, r
    assert time.time() - t < 5
    assert not os.path.exists("v_19284")


@test
def live_once():
    c = Collector("--uds", "v", "--once")
    s = send("v", kw.sample())
    assert recv_frame(s) == (kw.ACK, 1, 1)
    assert len(reports()) == 1           # on disk before the answer
    rc, out, err = c.finish()
    assert rc == 0 and out.strip() == reports()[0], (rc, out, err)
    assert not os.path.exists("v_19284")
    no_parts()


@test
def refuses_other_version():
    c = Collector("--uds", "v")
    s = connect()
    s.sendall(kw.frame(kw.HELLO, 1, b"", 0, 0, version=9))
    assert recv_frame(s)[0] == kw.REFUSE
    assert s.recv(1) == b""
    assert c.finish(signal.SIGTERM)[0] == 0


@test
def acknowledges_twice_writes_once():
    c = Collector("--uds", "v")
    for _ in range(2):
        s = send("v", kw.sample())
        assert recv_frame(s) == (kw.ACK, 1, 1)
        s.close()
    rc, out, err = c.finish(signal.SIGINT)
    assert rc == 0 and len(out.split()) == 1, (out, err)


@test
def module_loaded_anew_starts_counting_anew():
    c = Collector("--uds", "v", "-o", "r.json")
    for load_ns in (7, 8):
        s = send("v", kw.sample(load_ns=load_ns))
        assert recv_frame(s) == (kw.ACK, 1, 1)
        s.close()
    rc, out, err = c.finish(signal.SIGINT)
    assert rc == 0 and len(out.split()) == 2, (out, err)


@test
def reconnection_within_the_grace_time():
    c = Collector("--uds", "v", "--grace", "10")
    g = kw.sample()
    send("v", g, 12).close()
    time.sleep(0.2)
    assert not reports()
    s = send("v", g)
    assert recv_frame(s)[0] == kw.ACK
    rc, out, err = c.finish(signal.SIGTERM)
    assert rc == 0 and len(out.split()) == 1, (out, err)
    assert load(out.strip())["ktdump"]["incomplete"] is False


@test
def partial_report_is_replaced():
    c = Collector("--uds", "v", "--grace", "0.1")
    g = kw.sample()
    send("v", g, 12).close()
    end = time.time() + 10
    while not reports() and time.time() < end:
        time.sleep(0.02)
    (path,) = reports()
    assert load(path)["ktdump"]["incomplete"] is True
    s = send("v", g)
    assert recv_frame(s)[0] == kw.ACK
    assert reports() == [path] and load(path)["ktdump"]["incomplete"] is False
    assert c.finish(signal.SIGTERM)[0] == 0


@test
def once_with_a_broken_connection():
    c = Collector("--uds", "v", "--once", "--grace", "0.2", "--fail-on-report")
    send("v", kw.sample(), 12).close()
    rc, out, err = c.finish()
    assert rc == 3 and load(out.strip())["ktdump"]["incomplete"] is True, (rc, out, err)


@test
def stopped_in_the_middle():
    c = Collector("--uds", "v")
    s = send("v", kw.sample(), 12)
    time.sleep(0.1)
    rc, out, err = c.finish(signal.SIGTERM)
    assert rc == 0, (rc, out, err)
    d = load(out.strip())
    assert "the stream ends here" in d["ktdump"]["missing"][0]["reason"]
    s.close()


@test
def two_guests_at_once():
    c = Collector("--uds", "a", "--uds", "b", "-o", "out/", uds=("a", "b"))
    ga, gb = kw.sample(), kw.sample(1, BOOT2)
    sa, sb = connect("a"), connect("b")
    for fa, fb in zip(ga.frames, gb.frames):
        for s, f in ((sa, fa), (sb, fb)):
            for i in range(0, len(f), 333):
                s.sendall(f[i:i + 333])
    for s in (sa, sb):
        assert recv_frame(s)[0] == kw.HELLO
        assert recv_frame(s) == (kw.ACK, 1, 1)
    rc, out, err = c.finish(signal.SIGTERM)
    assert rc == 0 and len(out.split()) == 2, (out, err)
    boots = {load(p)["ktdump"]["kernel"]["boot_id"] for p in out.split()}
    assert boots == {ga.boot_id, BOOT2}


@test
def same_boot_id_from_two_sources():
    c = Collector("--uds", "a", "--uds", "b", uds=("a", "b"))
    for u in "ab":
        s = send(u, kw.sample())
        assert recv_frame(s)[0] == kw.ACK
    rc, out, err = c.finish(signal.SIGTERM)
    assert rc == 0 and len(reports()) == 2, (out, err)


@test
def killed_and_restarted():
    c = Collector("--uds", "v")
    g = kw.sample()
    send("v", g, 15)
    c.finish(signal.SIGKILL)
    assert os.path.exists("v_19284") and not reports()
    c = Collector("--uds", "v")          # takes the stale socket over
    s = send("v", g)
    assert recv_frame(s)[0] == kw.ACK
    s.close()
    c.finish(signal.SIGKILL)             # after the report, so the guest may not know
    c = Collector("--uds", "v")
    s = send("v", g)
    assert recv_frame(s)[0] == kw.ACK
    rc, out, err = c.finish(signal.SIGTERM)
    assert rc == 0 and reports() == [out.strip()], (out, err)


@test
def socket_in_use():
    c = Collector("--uds", "v")
    r = run("--uds", "v", "--timeout", "1")
    assert r.returncode == 1 and b"another collector" in r.stderr, r
    assert os.path.exists("v_19284")
    write("f_19284", b"precious")
    r = run("--uds", "f", "--timeout", "1")
    assert r.returncode == 1 and os.path.exists("f_19284"), r
    assert c.finish(signal.SIGTERM)[0] == 0


@test
def record_and_replay():
    c = Collector("--uds", "v", "--record", "raw", "--once", "-o", "live.json")
    s = connect()
    s.sendall(kw.sample().stream())
    recv_frame(s)
    recv_frame(s)
    assert c.finish()[0] == 0
    # The first connection was the probe for the socket.
    raw = [p for p in glob.glob("raw*") if os.path.getsize(p)]
    assert len(raw) == 1, raw
    with open(raw[0], "rb") as f:
        assert f.read() == kw.sample().stream()
    assert run(raw[0], "-o", "replayed.json").returncode == 0
    with open("live.json", "rb") as a, open("replayed.json", "rb") as b:
        assert a.read() == b.read()


# ------------------------------------------------------------------ BTF by hash

KERNEL_BTF = kw.btf(struct.pack("<IIII", 1, 1 << 24, 4, 32), b"\0int\0")
PROG_BTF = kw.btf(struct.pack("<IIII", 5, 1 << 24, 8, 64) * 2000, b"\0long\0")


def offered(uds, blobs, nr=1, **more):
    """A snapshot up to the answers to its OFFER: the guest, its socket, rows that are wanted."""
    g = kw.Guest(**more)
    g.begin(nr)
    g.offer(nr, *blobs)
    s = send(uds, g)
    return g, s, answers(s, nr)


def answers(s, nr):
    wanted = []
    while True:
        ftype, _, snapshot, table = recv_answer(s)
        assert snapshot == nr and ftype in (kw.WANT, kw.GO), (ftype, snapshot)
        if ftype == kw.GO:
            return wanted
        wanted.append(table)


def go_on(g, s, nr, blobs=(), sha=None):
    """The blobs and the rest; the ACK."""
    sent = len(g.frames)
    for b in blobs:
        g.blob(nr, b, sha=sha)
    g.add(kw.ROWS, "sched", [{"kva": kw.SCHED, "root": True, "name": "one"}], nr)
    g.add(kw.ROWS, "map", [{"kva": kw.BASE, "id": 1, "name": "m", "map_type": 2, "key_size": 4, "value_size": 8,
                            "max_entries": 4, "btf_kva": 0, "btf_key_type_id": 1, "btf_value_type_id": 1}], nr)
    g.mem(nr, kw.BASE + 64, bytes(range(32)))
    g.add(kw.ROWS, "content", [{"map_kva": kw.BASE, "form": "array", "values_kva": kw.BASE + 64, "stride": 8,
                                "seen": 4, "taken": 4, "unreadable": 0, "bytes": 32, "ns": 1}], nr)
    g.end(nr)
    s.sendall(b"".join(g.frames[sent:]))
    assert recv_frame(s)[0] == kw.ACK


def cached(path, data):
    return os.path.join(path, kw.hashlib.sha256(data).hexdigest() + ".btf")


@test
def btf_is_asked_for_once():
    c = Collector("--uds", "v", "--btf-cache", "deep/cache", "-o", "out/")
    g, s, wanted = offered("v", [KERNEL_BTF, PROG_BTF, None, PROG_BTF])
    assert wanted == [0, 1], wanted       # not what was not captured, and no hash twice
    go_on(g, s, 1, [KERNEL_BTF, PROG_BTF])
    names = sorted(os.listdir("deep/cache"))
    assert names == sorted(os.path.basename(cached("", b)) for b in (KERNEL_BTF, PROG_BTF)), names
    for b in (KERNEL_BTF, PROG_BTF):
        with open(cached("deep/cache", b), "rb") as f:
            assert f.read() == b
    other = kw.btf(b"", b"\0other\0")
    sent = len(g.frames)
    g.begin(2)
    g.offer(2, KERNEL_BTF, other, PROG_BTF)
    s.sendall(b"".join(g.frames[sent:]))
    assert answers(s, 2) == [1]
    go_on(g, s, 2, [other])
    s.close()
    # The next run knows them, too.
    assert c.finish(signal.SIGTERM)[0] == 0
    c = Collector("--uds", "v", "--btf-cache", "deep/cache", "-o", "out/")
    g, s, wanted = offered("v", [KERNEL_BTF, PROG_BTF, other], boot_id=BOOT2)
    assert wanted == []
    go_on(g, s, 1)
    assert c.finish(signal.SIGTERM)[0] == 0
    for r in glob.glob("out/*.json"):
        assert load(r)["ktdump"]["incomplete"] is False, load(r)["ktdump"]["missing"]
    assert len(glob.glob("out/*.json")) == 3


@test
def btf_cache_that_is_damaged():
    c = Collector("--uds", "v", "--btf-cache", "cache", "-o", "out/")
    g, s, _ = offered("v", [KERNEL_BTF, PROG_BTF])
    go_on(g, s, 1, [KERNEL_BTF, PROG_BTF])
    with open(cached("cache", KERNEL_BTF), "r+b") as f:
        f.write(b"x")
    os.truncate(cached("cache", PROG_BTF), 100)
    g, s, wanted = offered("v", [KERNEL_BTF, PROG_BTF], boot_id=BOOT2)
    assert wanted == [0, 1], wanted
    go_on(g, s, 1, [KERNEL_BTF, PROG_BTF])
    assert "damaged" in c.finish(signal.SIGTERM)[2]
    for b in (KERNEL_BTF, PROG_BTF):
        with open(cached("cache", b), "rb") as f:
            assert f.read() == b


@test
def btf_that_is_not_what_was_said():
    """Neither other bytes, nor a part, nor a name of the guest's gets into the cache."""
    c = Collector("--uds", "v", "--btf-cache", "cache", "-o", "out/")
    g, s, _ = offered("v", [KERNEL_BTF])
    go_on(g, s, 1, [KERNEL_BTF[:-1] + b"x"], sha=kw.hashlib.sha256(KERNEL_BTF).digest())
    g, s, wanted = offered("v", [KERNEL_BTF], boot_id=BOOT2)
    assert wanted == [0]
    go_on(g, s, 1, [KERNEL_BTF[:20]], sha=kw.hashlib.sha256(KERNEL_BTF).digest())
    # A blob that no row has announced.
    g, s, wanted = offered("v", [KERNEL_BTF], load_ns=9)
    go_on(g, s, 1, [PROG_BTF])
    assert c.finish(signal.SIGTERM)[0] == 0
    assert not os.path.exists("cache") or not os.listdir("cache"), os.listdir("cache")
    assert sorted(load(r)["ktdump"]["incomplete"] for r in glob.glob("out/*.json")) == [False, False, True]


@test
def btf_without_a_place_for_a_cache():
    with open("file", "w"):
        pass
    for cache, env_says in (("file/cache", "BTF cache: file/cache"), ("none", "")):
        c = Collector("--uds", "v", "--btf-cache", cache, "-o", "out/")
        for boot in ("a" * 8, "b" * 8):
            g, s, wanted = offered("v", [KERNEL_BTF, PROG_BTF], boot_id=boot)
            assert wanted == [0, 1]
            go_on(g, s, 1, [KERNEL_BTF, PROG_BTF])
            # But one connection need not say it twice where nothing else remembers.
            sent = len(g.frames)
            g.begin(2)
            g.offer(2, KERNEL_BTF, PROG_BTF)
            s.sendall(b"".join(g.frames[sent:]))
            assert answers(s, 2) == ([] if cache == "none" else [0, 1])
            s.close()
        rc, _, err = c.finish(signal.SIGTERM)
        assert rc == 0 and env_says in err and err.count("BTF cache") == bool(env_says), err


@test
def recording_is_complete():
    """With a full cache all the same: so it can be read anywhere."""
    c = Collector("--uds", "v", "--btf-cache", "cache", "--record", "raw", "-o", "live.json")
    for boot in ("a" * 8, "b" * 8):
        g, s, wanted = offered("v", [KERNEL_BTF, PROG_BTF], boot_id=boot)
        assert wanted == [0, 1]
        go_on(g, s, 1, [KERNEL_BTF, PROG_BTF])
        sent = len(g.frames)
        g.begin(2)
        g.offer(2, KERNEL_BTF, PROG_BTF)
        s.sendall(b"".join(g.frames[sent:]))
        assert answers(s, 2) == []
        go_on(g, s, 2)
        s.close()
    assert c.finish(signal.SIGTERM)[0] == 0
    raw = sorted((p for p in glob.glob("raw*") if os.path.getsize(p)), key=os.path.getmtime)
    assert len(raw) == 2
    assert run("--btf-cache", "none", "-o", "again.json", *raw).returncode == 0
    for name in ("%s.json", "%s-2.json", "%s-3.json", "%s-4.json"):
        with open(name % "live", "rb") as a, open(name % "again", "rb") as b:
            assert a.read() == b.read()


@test
def recording_of_a_broken_connection():
    """Whatever ended it, between two frames or within one, and whoever."""
    stream = contents(20, 50)
    for n, how in ((len(stream) - 5, "close"), (len(stream) // 2, "close"), (len(stream) // 3, "stop"),
                   (len(kw.sample().frames[0]), "close"), (len(stream) - 5, "timeout")):
        for p in glob.glob("raw*") + glob.glob("*.json"):
            os.unlink(p)
        c = Collector("--uds", "v", "--record", "raw", "--grace", "0.1", "-o", "live.json",
                      *(["--timeout", "1"] if how == "timeout" else []))
        s = connect()
        s.sendall(stream[:n])
        recv_frame(s)
        time.sleep(0.2)
        if how == "close":
            s.close()
            time.sleep(0.4)
        assert c.finish(None if how == "timeout" else signal.SIGTERM)[0] == 0
        s.close()
        (raw,) = [p for p in glob.glob("raw*") if os.path.getsize(p)]
        assert os.path.getsize(raw) == n
        assert run(raw, "-o", "again.json").returncode == 0
        assert load("live.json")["ktdump"]["incomplete"] is True
        with open("live.json", "rb") as a, open("again.json", "rb") as b:
            assert a.read() == b.read(), (n, how)


@test
def offers_of_every_kind():
    c = Collector("--uds", "v", "--btf-cache", "none", "-o", "out/")
    # More rows than anybody has; one too large, one that says nothing of its size.
    g = kw.Guest()
    g.begin(1)
    rows = [{"kva": i, "id": i, "name": "", "kernel": False, "split": False,
             "size": {7: (64 << 20) + 1, 8: None, 9: 0}.get(i, 100),
             "hash": struct.pack("<Q", i) * (3 if i == 10 else 4)} for i in range(1500)]
    for i in range(0, 1500, 100):
        g.add(kw.ROWS, "btf", rows[i:i + 100], 1, header=not i)
    g.raw(kw.OFFER, 0, b"", 1)
    s = send("v", g)
    wanted = answers(s, 1)
    assert wanted == [i for i in range(1027) if i not in (7, 8, 9, 10)][:len(wanted)], wanted
    assert 1000 < len(wanted) < 1100
    # Asked again it has nothing more to want.
    sent = len(g.frames)
    g.raw(kw.OFFER, 0, b"", 1)
    s.sendall(b"".join(g.frames[sent:]))
    assert answers(s, 1) == []
    g2 = kw.Guest(boot_id=BOOT2)
    g2.raw(kw.OFFER, 0, b"", 3)
    s2 = connect()
    s2.sendall(g2.stream())
    assert recv_frame(s2)[0] == kw.HELLO
    try:
        recv_frame(s2)
        raise AssertionError("an offer of nothing was answered")
    except (EOFError, ConnectionError):
        pass
    # A snapshot that was written before: nothing is wanted of it.
    g3 = kw.Guest(boot_id="c" * 8)
    g3.begin(1)
    g3.end(1)
    s3 = send("v", g3)
    assert recv_frame(s3)[0] == kw.ACK
    g, s3, wanted = offered("v", [KERNEL_BTF], boot_id="c" * 8)
    assert wanted == []
    go_on(g, s3, 1)
    assert c.finish(signal.SIGTERM)[0] == 0


# ------------------------------------------------------------ contents of maps

def contents(nr_pages=100, nr_records=1000, mess=None):
    g = kw.Guest()
    g.begin(1)
    g.add(kw.ROWS, "map", [{"kva": kw.BASE + i, "id": i, "name": "m%d" % i, "map_type": 1, "key_size": 8,
                            "value_size": 8, "max_entries": 9} for i in (1, 2)], 1)
    g.mem(1, kw.BASE + 0x1000000, bytes(4096) * nr_pages)
    if mess:
        mess(g)
    g.record(1, kw.BASE + 1, b"".join(kw.record(i, struct.pack("<QQ", i, i * i)) for i in range(nr_records)))
    g.add(kw.ROWS, "sched", [{"kva": kw.SCHED, "root": True, "name": "behind it all"}], 1)
    g.end(1)
    return g.stream()


@test
def contents_leave_no_file():
    os.mkdir("out")
    p = subprocess.Popen([KTCOLLECT, "-", "-o", "out", "-q"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    stream = contents(1000)
    p.stdin.write(stream[:-100])
    p.stdin.flush()
    time.sleep(0.3)
    spools = [os.readlink(f) for f in glob.glob("/proc/%d/fd/*" % p.pid) if os.path.islink(f)]
    assert any(f.endswith(" (deleted)") and "/out/" in f for f in spools), spools
    assert os.listdir("out") == []
    p.stdin.write(stream[-100:])
    p.stdin.close()
    assert p.wait(20) == 0
    (name,) = os.listdir("out")
    k = load("out/" + name)["ktdump"]
    assert k["incomplete"] is False and k["missing"] == [], k["missing"]
    assert k["schedulers"][0]["name"] == "behind it all"


@test
def contents_beyond_the_limit():
    assert run("-", "-o", "a.json", "--max-disk", "256K", stdin=contents()).returncode == 0
    k = load("a.json")["ktdump"]
    assert k["incomplete"] is True and k["schedulers"][0]["name"] == "behind it all"
    (why,) = [m["reason"] for m in k["missing"]]
    assert why == "more than --max-disk 262144 of map contents, the rest was left out", why
    # The limit of memory has nothing to do with it.
    assert run("-", "-o", "b.json", "--max-bytes", "64K", stdin=contents()).returncode == 0
    assert load("b.json")["ktdump"]["incomplete"] is False


@test
def contents_without_order():
    def gap(g):
        g.add(kw.ROWS, "record", [{"map_kva": kw.BASE + 1, "off": 8, "data": b"x" * 8}], 1)

    def rubbish(g):
        g.add(kw.ROWS, "mem", [{"kva": "here", "data": b"x"}, {"kva": 1, "data": 7}, {"kva": 2**64 - 1, "data": b"xx"},
                               {"kva": None, "data": None}], 1)
        g.add(kw.ROWS, "blob", [{"hash": b"short", "off": 0, "data": b"x"}], 1)
    for mess, table, nr in ((gap, "record", 1), (rubbish, "mem", 5)):
        assert run("-", "-o", "a.json", stdin=contents(mess=mess)).returncode == 0
        k = load("a.json")["ktdump"]
        assert k["unknown"]["bad_rows"] == nr, k["unknown"]
        assert [m["reason"] for m in k["missing"]] == ["a row of %s is damaged or out of order" % table]
        assert k["schedulers"][0]["name"] == "behind it all"


@test
def contents_without_disk():
    """A file system that is full, here a limit on the size of files."""
    r = subprocess.run(["sh", "-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" - -o a.json -q", KTCOLLECT],
                       input=contents(2000), capture_output=True, timeout=60)
    assert r.returncode == 0, r
    k = load("a.json")["ktdump"]
    (why,) = [m["reason"] for m in k["missing"]]
    assert why == "no room for map contents in ., the rest was left out: File too large", why
    assert k["schedulers"][0]["name"] == "behind it all"


@test
def many_idle_connections():
    c = Collector("--uds", "v")
    idle = []
    for _ in range(40):
        try:
            idle.append(connect())
        except OSError:
            break
    time.sleep(0.2)
    assert c.p.poll() is None
    for s in idle:
        s.close()
    time.sleep(0.2)
    s = send("v", kw.sample())
    assert recv_frame(s)[0] == kw.ACK
    assert c.finish(signal.SIGTERM)[0] == 0


@test
def logs_only_on_stderr_and_progress_only_on_a_terminal():
    r = run("-", "-v", "-o", "r.json", stdin=kw.sample().stream())
    assert r.stdout == b"r.json\n" and b"MiB" not in r.stderr and b"\r" not in r.stderr, r
    try:
        parent, child = pty.openpty()
    except OSError as e:
        raise kttap.Skip("no terminal here: %s" % e)
    write("s.rec", kw.sample().stream()[:-40])
    p = subprocess.Popen([KTCOLLECT, "s.rec", "-o", "t.json"], stdout=subprocess.PIPE, stderr=child)
    p.communicate(timeout=10)
    os.close(child)
    seen = os.read(parent, 65536)
    os.close(parent)
    assert b"MiB" in seen, seen


@test
def vsock_loopback():
    try:
        with socket.socket(socket.AF_VSOCK) as s:
            s.bind((socket.VMADDR_CID_ANY, 19299))
    except (OSError, AttributeError) as e:
        raise kttap.Skip("no AF_VSOCK here: %s" % e)
    c = Collector("--vsock-cid", "1", "--port", "19299", "--once", wait=False)
    s = socket.socket(socket.AF_VSOCK)
    s.settimeout(10)
    end = time.time() + 5
    while True:
        try:
            s.connect((1, 19299))
            break
        except OSError as e:
            if time.time() > end:
                c.finish(signal.SIGKILL)
                raise kttap.Skip("no vsock loopback: %s" % e)
            time.sleep(0.05)
    s.sendall(kw.sample().stream())
    assert recv_frame(s)[0] == kw.HELLO and recv_frame(s)[0] == kw.ACK
    assert c.finish()[0] == 0


def main(tests=TESTS):
    global KTCOLLECT
    KTCOLLECT = kttap.tool(__doc__)
    return kttap.main(tests, place=tempfile.gettempdir())


if __name__ == "__main__":
    sys.exit(main())
