#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What is different in a later report: python3 test_diff.py PATH/TO/ktcollect [NAME]...

Prints KTAP.
"""
import copy
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_show as ts  # noqa: E402
import test_validate as tv  # noqa: E402

TESTS = []


def test(f):
    TESTS.append(f)
    return f


def run(*args, stdin=None):
    p = subprocess.run([tv.KTCOLLECT, "diff", *args], input=stdin, capture_output=True, timeout=120)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def diff(a, b=None, *args, rc=0):
    with tempfile.TemporaryDirectory() as tmp:
        paths = []
        for name, report in (("a", a), ("b", b)):
            if report is not None:
                paths.append(os.path.join(tmp, name))
                with open(paths[-1], "w", encoding="utf-8") as f:
                    f.write(json.dumps(report))         # json.dump() is ten times as slow
        got, out, err = run(*args, *paths)
    assert (got, bool(err)) == (rc, rc == 1), (got, err)
    return out


def as_json(a, b=None):
    return json.loads(diff(a, b, "--json"))


def quiet(d):
    """Whether nothing has changed, of what a difference has."""
    return not any(d[k] for k in ("state", "dsqs", "stuck", "tasks", "new", "gone", "maps")) and not any(c["counters"] for c in d["counters"])


@test
def the_same():
    for name in ("single-full", "single-minimal", "single-partial", "placeholder", "dual-early"):
        report = ts.load(name)
        assert quiet(as_json(report, report)), name
        assert diff(report, report, "--exit-code").endswith("no difference\n"), name


@test
def a_dual_report_says_the_same_of_itself():
    import test_dual as td
    g = td.kw.Guest()
    wait = {"runnable_on": 0, "scx_runnable_at": 77, "scx_dsq": 0x8007}
    td.side(g, 1, {0: wait, 1: dict(wait, nvcsw=5), 2: {}}, {0x8007: 2, 0x8008: 1}, {1: 10, 2: 20, 3: 30}, 3, **td.EARLY)
    td.side(g, 2, {0: wait, 1: dict(wait, nvcsw=6, cpu=1), 3: {}}, {0x8007: 5, 0x800a: 0}, {1: 10, 2: 21, 4: 40}, 9, **td.LATE)
    report = tv.read(g.stream())
    ours, written = as_json(report), report["ktdump"]["difference"]
    for m in written["maps"]:
        m.pop("id")
    assert ours == written, (ours, written)
    assert not quiet(ours) and ours["new"][0]["pid"] == 103 and ours["gone"][0]["pid"] == 102, ours
    out = diff(report)
    for line in ("2.457 s later, of the same boot", "  user 0x7: 2 to 5", "  CPU 0: +6 switches, pid 100 to 100", "  SCX_EV_B +6",
                 "  [02 00 00 00]: 14 00 00 00 to 15 00 00 00", "New tasks\n  worker/3[103]", "Tasks that are gone\n  worker/2[102]",
                 "  [03 00 00 00]: 1e 00 00 00 to none"):
        assert line in out, (line, out)
    diff(report, None, "--exit-code", rc=3)


@test
def of_ktstr():
    a = ts.load("single-full")
    b = copy.deepcopy(a)
    b["task_enrichments"][0]["nvcsw"] += 7
    b["task_enrichments"].append(dict(b["task_enrichments"].pop(1), pid=4321, comm="newone"))
    b["dsq_states"][0]["nr"] = 9
    b["scx_sched_state"]["bypass_depth"] = 3
    b["event_counter_timeline"][-1]["enq_skip_exiting"] += 5
    b["maps"][0]["value"]["members"][0]["value"]["value"] = 77
    d = as_json(a, b)
    assert [(t["pid"], t["switches"]) for t in d["tasks"]] == [(1234, 7)], d["tasks"]
    assert [t["comm"] for t in d["new"]] == ["newone"] and [t["comm"] for t in d["gone"]] == ["boosted"], d
    assert [(q["early_nr"], q["late_nr"]) for q in d["dsqs"]] == [(1, 9)], d["dsqs"]
    assert d["state"] == [{"path": "scx_sched_state.bypass_depth", "early": 1, "late": 3}], d["state"]
    assert d["counters"][0]["counters"] == {"enq_skip_exiting": 5}, d["counters"]
    assert [(m["name"], m["leaves"]) for m in d["maps"]] == [("scx_demo.bss", [{"path": "nr_queued", "early": 3, "late": 77}])], d["maps"]


@test
def another_boot():
    """By name: addresses say nothing."""
    a = tv.single()
    b = copy.deepcopy(a)
    b["ktdump"]["kernel"]["boot_id"] = "another"
    b["ktdump"]["exits"][0]["reason"] = "another reason"
    for t in b["ktdump"]["tasks"]:
        t["kva"] ^= 0x10000
    for q in b["ktdump"]["dsqs"]:
        q["kva"] ^= 0x10000
    for s in b["ktdump"]["schedulers"]:
        s["kva"] ^= 0x10000
    d = as_json(a, b)
    assert not d["tasks"] and not d["new"] and not d["gone"] and not d["dsqs"] and "elapsed_ns" not in d, d
    assert [x["path"] for x in d["state"]] == ["exit.reason"], d["state"]


@test
def bounded():
    a = ts.single(*(dict(ts.one(ts.array(*[ts.u(i) for i in range(1000)]))["maps"][0], name=f"m{n}") for n in range(60)))
    b = json.loads(json.dumps(a).replace('"value": 5', '"value": 6').replace('"value": 9', '"value": 11'))
    a["task_enrichments"] = [{"pid": n, "comm": "t"} for n in range(2000)]
    d = as_json(a, b)
    assert len(d["maps"]) == 60 and max(len(m["leaves"]) for m in d["maps"]) <= 128, d["maps"]
    assert sum(len(m["leaves"]) for m in d["maps"]) <= 4096 and d["maps"][0]["leaves_changed"] == d["maps"][59]["leaves_changed"] > 128
    assert (len(d["gone"]), d["tasks_gone"]) == (256, 2000)
    out = diff(a, b)
    assert "… and 1984 more" in out and len(out.splitlines()) < 60 * 20 + 40


@test
def hostile():
    a, b = ts.load("single-full"), ts.load("single-full")
    for n in (ts.ODD, "x" * 1000000, "\x1b]0;" * 1000):
        b["task_enrichments"][0]["comm"] = n
        b["dsq_states"][0]["origin"] = n
        b["maps"][0]["name"] = n
        b["maps"][1] = dict(b["maps"][1], value=ts.struct(n, **{n: ts.leaf("enum", bits=32, value=1, variant=n)}))
        b["scx_sched_state"]["source"] = n
        b["event_counter_timeline"][-1][n] = 5
        for args in ((), ("--all",)):
            out = diff(a, b, *args)
            assert not ts.CONTROL.search(out), args
            assert args or all(len(line) <= 100 for line in out.splitlines())
        # JSON may hold DEL and the controls from U+0080 on as they are: a terminal obeys them.
        out = diff(a, b, "--json")
        assert json.loads(out) and not ts.CONTROL.search(out)
    junk = (None, True, -1, 2 ** 64 - 1, 1.5, "x", [], {}, [[]], [{}], [None])
    for i, x in enumerate(junk):
        for y in x, junk[i - 1], junk[i - 4]:
            report = {"schema": "single", "maps": x, "dsq_states": y, "task_enrichments": x, "scx_sched_state": y,
                      "event_counter_timeline": x, "ktdump": {"tasks": y, "dsqs": x, "schedulers": y, "rqs": x, "exits": y}}
            diff(a, report)
            diff(report, a)


@test
def wrong():
    good = ts.load("single-full")
    assert diff(good, rc=1) == "" and diff(ts.load("dual-early-skipped"), rc=1) == "" and diff(good, {}, rc=1) == ""
    assert run()[0] == 2 and run("a", "b", "c")[0] == 2 and run("--nosuch", "a")[0] == 2 and run("--help")[0] == 0
    rc, out, err = run("/nonexistent", "/nonexistent")
    assert rc == 1 and len(err.splitlines()) == 1, err


if __name__ == "__main__":
    sys.exit(tv.main(TESTS))
