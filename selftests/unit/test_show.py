#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Reports as text: python3 test_show.py PATH/TO/ktcollect [NAME]...

"ktcollect show" of the reports in selftests/unit/show/ is held against the .golden beside
them (UPDATE=1 writes these anew: read the difference). Prints KTAP.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kttap  # noqa: E402
HERE = os.path.dirname(os.path.abspath(__file__))
DIR = os.path.join(HERE, "show")
KTCOLLECT = None
TESTS = []
ODD = "\x1b[31m\x07\r\n\t\x00\x9b\u202e<script>alert(1)</script>&\"'%s%n"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def test(f):
    TESTS.append(f)
    return f


def run(*args, stdin=None, timeout=60, **env):
    p = subprocess.run([KTCOLLECT, *args], input=stdin, capture_output=True, timeout=timeout, env=dict(os.environ, **env))
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def show(report, *args, rc=0):
    """The text of a report given as object, and nothing on stderr."""
    data = report if isinstance(report, bytes) else json.dumps(report).encode()
    got, out, err = run("show", *args, "-", stdin=data)
    assert got == rc, (got, err[-500:])
    assert bool(err) == bool(rc), err
    return out if not rc else err


def load(name):
    with open(os.path.join(DIR, name + ".json"), encoding="utf-8") as f:
        return json.load(f)


def leaf(kind, **kw):
    return {"kind": kind, **kw}


def struct(name, **members):
    return leaf("struct", type_name=name, members=[{"name": k, "value": v} for k, v in members.items()])


def array(*elements, length=None):
    return leaf("array", len=len(elements) if length is None else length, elements=list(elements))


def u(n, bits=64):
    return leaf("uint", bits=bits, value=n)


def text(s):
    return array(*(leaf("char", value=b) for b in s.encode()))


def single(*maps, **kw):
    return {"schema": "single", "maps": list(maps), "vcpu_regs": [], **kw}


def one(value, name="m", **kw):
    return single({"name": name, "map_type": 2, "value_size": 8, "max_entries": 1, "value": value, **kw})


def value_of(value, *args):
    """What a value looks like, without the lines above and their indent."""
    lines = show(one(value), "--section", "maps", *args).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  map m "))
    return "\n".join(line[4:] for line in lines[at + 1:])


@test
def golden():
    names = sorted(os.path.basename(p)[:-5] for p in glob.glob(os.path.join(DIR, "*.json")))
    assert len(names) >= 6, names
    for name in names:
        for suffix, args in (("", ()), (".all", ("--all",))):
            out = show(load(name), *args)
            path = os.path.join(DIR, name + suffix + ".golden")
            if os.environ.get("UPDATE"):
                with open(path, "w", encoding="utf-8") as f:
                    f.write(out)
            with open(path, encoding="utf-8") as f:
                want = f.read()
            assert out == want, f"{name}{suffix}:\n{out}"
            assert args or all(len(line) <= 100 for line in out.splitlines()), name
            assert not any(line != line.rstrip() for line in out.splitlines()), name


@test
def scalars():
    for node, want in (
            (leaf("int", bits=32, value=-5), "-5"), (u(2 ** 64 - 1), "18446744073709551615"),
            (leaf("bool", value=True), "true"), (leaf("char", value=65), "'A'"), (leaf("char", value=10), "0x0a"),
            (leaf("float", bits=64, value=0.1), "0.1"), (leaf("float", bits=64, value=1e300), "1e+300"),
            (leaf("enum", bits=32, value=-2, variant="BAD", is_signed=True), "BAD (-2)"),
            (leaf("enum", bits=64, value=-1, is_signed=False), "18446744073709551615"),
            (leaf("enum", bits=32, value=-16, is_signed=False), "4294967280"),
            (leaf("cpu_list", cpus="0-3,8"), "cpus={0-3,8}"), (leaf("bytes", hex="de ad"), "de ad"),
            (leaf("unsupported", reason="because"), "<unsupported: because>"),
            (leaf("truncated", needed=8, had=2, partial=leaf("bytes", hex="01 02")), "<truncated needed=8 had=2> 01 02"),
            (leaf("truncated", needed=8, had=0, partial=leaf("bytes", hex="")), "<truncated needed=8 had=0>"),
            (leaf("ptr", value=0x1f00), "0x1f00"),
            (leaf("ptr", value=0x1f00, deref=struct("node", id=u(4))), "0x1f00 → node{id=4}"),
            (leaf("ptr", value=0x1f00, deref_skipped_reason="cycle to 0x1f00"), "0x1f00 [cycle]"),
            (leaf("ptr", value=0x1f00, deref_skipped_reason="not there"), "0x1f00 [chase: not there]"),
            (leaf("ptr", value=0x1f00, ktdump_label="task 7 sh"), "0x1f00 (task 7 sh)")):
        assert value_of(node) == want, (node, value_of(node))


@test
def arrays():
    assert value_of(array()) == "[]"
    assert value_of(array(*[u(0)] * 8)) == "[all 8 zero]"
    assert value_of(array(u(1, 8), u(2, 8), u(3, 8))) == "[1, 2, 3]"
    assert value_of(array(u(1), u(255))) == "[0x1, 0xff]"
    assert value_of(array(u(0, 8), u(0, 8), u(7, 8), u(0, 8), u(1, 8), u(2, 8))) == "[[2]=7  [4..5]={1, 2}]"
    assert value_of(array(u(9, 8), length=3)) == "[9 /* 1 of 3 shown */]"
    assert value_of(text('say "hi"\n\0\0')) == '"say \\"hi\\"\\n"'
    assert value_of(text("\0ab")) != '""'
    pair = struct("p", a=u(1), b=struct("q", c=text("x" * 60), d=text("y" * 60)))
    got = value_of(array(pair, pair, struct("p", a=u(0)), pair)).splitlines()
    assert got[0] == "[" and got[-1] == "]" and [g for g in got if g.startswith("  [")] == ["  [0-1] p:", "  [3] p:"], got
    # Nothing is left out with --all.
    assert "a=0" in value_of(array(pair, struct("p", a=u(0))), "--all")


@test
def structs():
    assert value_of(struct("s", a=u(1), z=u(0), b=leaf("bool", value=True))) == "s{a=1, b=true}"
    assert value_of(leaf("struct", members=[{"name": "", "value": struct("", x=u(5))}, {"name": "y", "value": u(6)}])) == "{x=5, y=6}"
    wide = struct("wide", **{f"member{i}": u(10 ** 12 + i) for i in range(9)})
    got = value_of(wide).splitlines()
    assert got[0] == "wide:" and len(got) == 4 and all(len(g) <= 96 for g in got), got
    assert got[1].split() == [f"member{i}={10 ** 12 + i}" for i in range(3)], got


@test
def tables():
    entries = [{"key": struct("k", grp=u(g, 32)), "key_hex": "00", "value": struct("v", load=u(n), cap=u(100)), "value_hex": "00"}
               for g, n in ((1, 12), (30, 7))]
    out = show(single({"name": "m", "map_type": 1, "value_size": 8, "max_entries": 4, "entries": entries}))
    assert "    grp | load  cap\n      1 |   12  100\n     30 |    7  100\n" in out, out
    many = [dict(entries[0], key=u(i)) for i in range(100)]
    report = single({"name": "m", "map_type": 1, "value_size": 8, "max_entries": 400, "entries": many})
    assert "… and 84 more" in show(report) and "more" not in show(report, "--all")


@test
def cpus_that_agree():
    def out(*values):
        m = {"name": "m", "map_type": 6, "value_size": 8, "max_entries": 1, "percpu_entries": [{"key": 0, "per_cpu": list(values)}]}
        return [line.strip() for line in show(single(m)).splitlines() if "cpu" in line.lower() and "map m" not in line]
    assert out(u(1), u(1), u(1)) == ["all CPUs: 1"]
    assert out(u(1), u(2), u(1), u(1), None) == ["cpu 1: 2" if i == 1 else t for i, t in
                                                 enumerate(["cpus [0, 2-3]: 1", "", "cpu 4: <unmapped>"])]


@test
def all_has_every_leaf():
    for name in ("single-full", "dual-early"):
        report = load(name)
        for part, args in ((report.get("late", report), ()), (report.get("early"), ("--early",))):
            if not part:
                continue
            out = show(report, "--all", *args)
            flat = " ".join(out.split())
            for path, v in leaves(part):
                if path.endswith((".kind", ".schema")) or ".elements" in path or ".bytes" in path:
                    continue
                if isinstance(v, str) and not v.startswith("cycle "):
                    assert v in flat, (name, path, v)
                elif isinstance(v, int) and not isinstance(v, bool) and v > 255:
                    assert str(v) in out or f"{v:x}" in out, (name, path, v)


def leaves(v, path=""):
    if isinstance(v, dict):
        for k, w in v.items():
            yield from leaves(w, f"{path}.{k}")
    elif isinstance(v, list):
        for w in v:
            yield from leaves(w, path)
    else:
        yield path, v


@test
def parts():
    report = load("single-full")
    assert show(report, "--map", "lru*").count("\n  map ") == 2
    assert "slice=20000000" in show(report, "--section", "allocations") and "Maps" not in show(report, "--section", "allocations")
    assert "nr_threads 8" in show(report, "--task", "1234") and "nr_threads 8" in show(report, "--task", "work*")
    assert "boosted[" not in show(report, "--task", "1234")
    assert "CPU 0 in per_cpu_time" in show(report, "--cpu", "0")
    assert json.loads(show(report, "--json", "/maps/0/name")) == report["maps"][0]["name"]
    assert json.loads(show(report, "--json", "")) == report
    for args in (("--map", "nosuch"), ("--task", "99999"), ("--cpu", "77"), ("--json", "/nosuch"), ("--early",)):
        assert len(show(report, *args, rc=1).splitlines()) == 1
    dual = load("dual-early")
    assert show(dual, "--early") != show(dual)
    assert len(show(load("dual-early-skipped"), "--early", rc=1).splitlines()) == 1


def bug(kind, tasks=(), queues=(), rqs=(), **kt):
    """The first line of a report, in one piece."""
    report = single(dsq_states=list(queues), scx_sched_state={"sched_kva": 9})
    report["ktdump"] = {"trigger": {"trigger": "exit", "exit_kind": kind, "pid": 7, "comm": "sh", "cpu": 2}, "schedulers": [{"kva": 9, "name": "one"}],
                        "exits": [{"kind": kind, "kind_name": "KIND", "reason": "why", "msg": "w[5] failed to run for 3.0s", **kt.pop("exit", {})}],
                        "tasks": list(tasks), "rqs": list(rqs), **kt}
    out = show(report)
    return " ".join(out[:out.index("\nsched_ext")].split()) if out.startswith("BUG") else None


@test
def bug_summary():
    def task(pid, ms, state="NONE"):
        return {"kva": pid * 16, "pid": pid, "comm": "w", "runnable_on": 1, "where": [],
                "scx": {"runnable_age_ms": ms, "runnable_age_jiffies": ms, "ops_state_name": "SCX_OPSS_" + state}}

    def rq(cls):
        return [{"cpu": 1, "curr_class": cls, "curr_comm": "c", "curr_pid": 8}]
    tasks, queue = [task(4, 9000), task(5, 3000)], [{"origin": "user", "id": 7, "nr": 3, "task_kvas": [1, 80, 2]}]
    begin = "BUG SUMMARY: scheduler one: why, w[5] failed to run for 3.0s; culprit "
    # The task that the kernel names, not the oldest one.
    assert bug(1026, tasks, queue, rq("idle")) == begin + "task w[5]: it waits for 3.000 s behind 1 on DSQ user 0x7, its CPU idles"
    queue[0]["task_kvas"] = [80]
    assert bug(1026, tasks, queue, rq("ext")) == begin + "task w[5]: it waits for 3.000 s at the head of DSQ user 0x7 (1 waiting), its CPU runs c[8]"
    assert bug(1026, tasks, [], rq("rt")) == begin + "CPU 1: it runs rt task c[8] while w[5] waits for 3.000 s"
    assert bug(1026, [task(5, 3000, "QUEUED")]) == begin + "task w[5]: it waits for 3.000 s, kept by the BPF scheduler on no DSQ"
    assert bug(1026, tasks, exit={"msg": "stalled"}).endswith("culprit task w[4]: it waits for 9.000 s")
    assert bug(1026, tasks, verdicts={"hints": [{"text": "somebody else"}]}) == begin + "somebody else"
    assert bug(1025, exit={"msg": "bad", "bt": [{"symbol": "scx_vexit+0x1/0x2"}, {"symbol": "bpf_prog_0123456789abcdef_one_enqueue+0x3"}]}) == \
        "BUG SUMMARY: scheduler one: why, bad; culprit task sh[7] on CPU 2: it raised the error in BPF program one_enqueue"
    assert bug(1024) and bug(64) is None and bug(1) is None
    assert "\x1b" not in bug(1026, [dict(task(5, 1), comm=ODD)], exit={"msg": ODD, "reason": ODD})


@test
def counters():
    report = single(event_counter_timeline=[{"elapsed_ms": 100 * i, "a": v, "b": 7, "c": 0, "d": -1} for i, v in enumerate((0, 1, 7, 14))])
    out = show(report, "--section", "counters").splitlines()
    assert out[1] == "Event counters, 4 samples of 0.300 s", out
    assert [line.split() for line in out[2:]] == [["a", "\u2581\u2581\u2584\u2588", "14"], ["b", "\u2585" * 4, "7"], ["d", "\u2581" * 4, "-1"]], out


@test
def hostile_text():
    def bad(n):
        return leaf("struct", type_name=n, members=[{"name": n, "value": leaf("ptr", value=1, ktdump_label=n, deref=leaf("unsupported", reason=n))}])
    for n in (ODD, "x" * 1000000, "\x1b]0;" * 1000):
        report = one(bad(n), name=n, error=n)
        report["maps"].append({"name": n, "map_type": 1, "value_size": 1, "max_entries": 9,
                               "entries": [{"key_hex": n, "value_hex": n, "key": leaf("enum", bits=32, value=1, variant=n)}] * 3})
        report["ktdump"] = {"exits": [{"msg": n, "reason": n, "kind_name": n}], "missing": [{"section": n, "reason": n}],
                            "tasks": [{"comm": n, "pid": 1, "kva": 5, "scx": {"runnable_age_jiffies": 5, "runnable_age_ms": 5}}]}
        report["task_enrichments"] = [{"comm": n, "pid": 1}]
        for args in ((), ("--all",), ("--task", "1")):
            out = show(report, *args)
            assert not CONTROL.search(out), args
        out = show(report, "--json", "/maps")
        assert json.loads(out) == report["maps"] and not CONTROL.search(out)


@test
def hostile_json():
    deep = b'{"schema":"single","maps":' + b"[" * 100000 + b"]" * 100000 + b"}"
    for data in (b"", b"{", b"[]", b"{}", b"null", deep, b'{"schema":"single"', b'{"schema":7}', b'{"schema":"dual"}',
                 b'{"schema":"dual","late":{"schema":"dual"}}', os.urandom(1000)):
        err = show(data, rc=1)
        assert len(err.splitlines()) == 1 and "Assert" not in err, err
    # Anything where something else should be.
    junk = (None, True, -1, 2 ** 64 - 1, 1.5, "x", [], {}, [[]], [{}], {"kind": "struct"}, {"kind": "array", "elements": [None]})
    last = one(u(4711), name="last")["maps"][0]

    def together(maps, *args, **more):
        """In one report, as most of a run is its start; what comes behind them is still shown."""
        out = show(single(*maps, last, **more), *args)
        assert "4711" in out, out

    def nodes(kind, a, **keys):
        # Each under a name of its own, so that all are shown.
        return [one(leaf(kind, **{k: a if v else b for k, v in keys.items()}), name=f"m{i}")["maps"][0] for i, b in enumerate(junk)]
    for a in junk:
        for more in ("sdt_allocations", "scx_static_ranges", "task_enrichments", "prog_runtime_stats", "ktdump"), ():
            together(({"name": a, "map_type": b, "value_size": a, "value": b, "entries": a, "percpu_entries": b, "arena": a,
                       "ringbuf": b, "stack_trace": a, "fd_array": b, "array_entries": a} for b in junk), "--all", **dict.fromkeys(more, a))
        together(nodes("struct", a, type_name=True, members=False))
        together(nodes("array", a, len=True, elements=False), "--all")
        together(nodes("ptr", a, value=True, deref=False))


@test
def wrong_usage():
    for args in ((), ("a", "b"), ("--section", "nosuch", "x"), ("--cpu", "x", "y"), ("--nosuch", "x"), ("--cpu", "-1", "x")):
        rc, out, err = run("show", *args)
        assert rc == 2 and not out and err, (args, rc, err)
    rc, out, err = run("show", "--help")
    assert rc == 0 and out.startswith("Usage: ktcollect show") and not err
    for path in ("/nonexistent", "/", "/dev/null"):
        rc, out, err = run("show", path)
        assert rc == 1 and len(err.splitlines()) == 1 and path in err, (path, rc, err)


@test
def colour_is_for_terminals():
    import pty
    report = json.dumps(load("single-full")).encode()
    for env, want in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        master, slave = pty.openpty()
        with tempfile.NamedTemporaryFile() as f:
            f.write(report)
            f.flush()
            base = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
            p = subprocess.Popen([KTCOLLECT, "show", "--section", "programs", f.name], stdout=slave, env=dict(base, **env))
            assert p.wait(30) == 0
            os.close(slave)
            out = os.read(master, 65536).decode()
            os.close(master)
        assert ("\x1b[1m" in out) == want, (env, out)
    assert "\x1b" not in show(report)


def main():
    global KTCOLLECT
    KTCOLLECT = kttap.tool(__doc__)
    return kttap.main(TESTS)


if __name__ == "__main__":
    sys.exit(main())
