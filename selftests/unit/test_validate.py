#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Reports right and wrong: python3 test_validate.py PATH/TO/ktcollect [NAME]...

"ktcollect validate" against check_report.py, which shares no code with it. Prints KTAP.
"""
import copy
import json
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import ktmaps  # noqa: E402
import kttap  # noqa: E402
import ktwire as kw  # noqa: E402
import test_show as ts  # noqa: E402

KTCOLLECT = None
TESTS = []
DOCS = os.path.join(HERE, "..", "..", "docs")
# What stands in place of a value.
INSTEAD = (None, -1, 2 ** 64 - 1, 2 ** 64, 1.5, "x", "", True, [], {}, [None], {"kind": "int"}, {"kind": "nosuch"})


def test(f):
    TESTS.append(f)
    return f


def run(*args, stdin=None):
    p = subprocess.run([KTCOLLECT, "validate", *args], input=stdin, capture_output=True, timeout=120)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def validate(report):
    data = report if isinstance(report, bytes) else json.dumps(report, ensure_ascii=False).encode()
    rc, out, err = run("-", stdin=data)
    assert rc == (1 if out or err else 0), (rc, out[-500:], err)
    assert not err or len(err.splitlines()) == 1, err
    return (out + err).splitlines()


def made(*snapshots):
    g = kw.Guest()
    for nr, begin in snapshots:
        kw.full_snapshot(g, nr, **begin)
    return read(g.stream())


def read(stream):
    with tempfile.TemporaryDirectory(prefix="ktvalidate.") as tmp:
        path = os.path.join(tmp, "r.json")
        subprocess.run([KTCOLLECT, "-", "-q", "-o", path, "--btf-cache", "none"], input=stream, check=True, timeout=60, stdout=subprocess.DEVNULL)
        with open(path, encoding="utf-8") as f:
            return json.load(f)


def single():
    return made((1, {}))


def dual():
    import test_dual as td
    return made((1, td.EARLY), (2, td.LATE))


def of_all_maps():
    import test_maps as tm
    return read(tm.stream(ktmaps.zoo()))


def other_checker():
    """The verdict of check_report.py as a function."""
    try:
        import check_report
        import jsonschema  # noqa: F401
    except ImportError:
        raise kttap.Skip("no python3-jsonschema") from None
    sys.setrecursionlimit(20000)

    def right(report):
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as f:
            f.write(json.dumps(report))         # json.dump() is ten times as slow
            f.flush()
            try:
                check_report.check(f.name)
            except Exception:
                return False
            return True
    return right


@test
def good():
    for report in (single(), dual(), of_all_maps()):
        assert validate(report) == [], report
    for name in ("single-full", "single-minimal", "single-partial", "placeholder", "dual-early", "dual-early-skipped"):
        assert validate(ts.load(name)) == [], name


def places(v, path=()):
    """Every place; of lists the first and the last element."""
    yield path
    if isinstance(v, dict):
        for k in v:
            yield from places(v[k], path + (k,))
    elif isinstance(v, list):
        for i in sorted({0, len(v) - 1} if v else ()):
            yield from places(v[i], path + (i,))


def damaged(report, path, value=None, gone=False):
    report = copy.deepcopy(report)
    at = report
    for k in path[:-1]:
        at = at[k]
    if gone:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return report


def same_verdict(reports, share):
    """Damage everywhere, of which each @share-th is given to both."""
    right = other_checker()
    nr = bad = 0
    for name, report in reports:
        seen = set()
        for path in places(report):
            shape = re.sub(r"\d+", "N", repr(path))
            if not path or shape in seen:
                continue
            seen.add(shape)
            for i, value in enumerate((None,) + INSTEAD):
                nr += 1
                if nr % share:
                    continue
                damage = damaged(report, path, value, gone=not i)
                lines, ok = validate(damage), right(damage)
                bad += not ok
                assert ok == (not lines), (name, path, "gone" if not i else value, "right" if ok else "wrong", lines)
    assert bad > 20, bad


@test
def damage():
    same_verdict((("single", single()), ("dual", dual())), 151)


@test
def damage_of_maps():
    same_verdict((("maps", {**of_all_maps()}),), 67)


@test
def pointer_and_words():
    report = single()
    report["maps"][0]["map_type"] = "no"
    (line,) = validate(report)
    assert line.startswith("-: /maps/0/map_type: ") and '"no"' in line and "integer" in line, line
    report = single()
    report["ktdump"]["a/b~c"] = {"x": 1.5}
    (line,) = validate(report)
    assert line.startswith("-: /ktdump/a~1b~0c/x: 1.5 "), line


@test
def twice():
    for data, where in ((b'{"schema":"single","maps":[],"x":1,"x":2}', "/x"),
                        (b'{"schema":"single","maps":[],"o":[{"a":1,"b":2,"a":3}]}', "/o/0/a")):
        lines = validate(data)
        assert len(lines) == 1, lines
        line = lines[0]
        assert line.startswith(f"-: {where}: ") and "twice" in line, line


@test
def order():
    report = single()
    keys = list(report)
    for i in range(len(keys) - 1):
        swapped = {k: report[k] for k in keys[:i] + [keys[i + 1], keys[i]] + keys[i + 2:]}
        assert validate(swapped), keys[i:i + 2]


@test
def nesting():
    def deep(levels):
        v = ts.u(1)
        # The report, "maps" and the map are three levels, as a node of a pointer is one.
        for _ in range(levels - 4):
            v = ts.leaf("ptr", value=1, deref=v)
        report = ts.one(v)
        del report["vcpu_regs"]
        return report
    assert validate(deep(127)) == [], validate(deep(127))
    for levels in (128, 129, 5000):
        (line,) = validate(deep(levels))
        assert "levels deep" in line, line


@test
def hostile():
    for n in (ts.ODD, "x" * 1000000, "\x1b]0;" * 1000):
        report = ts.one(ts.leaf(n, value=n), name=7)
        report[n] = 1.5
        report["schema_"] = {n: {n: 0.5}}
        lines = validate(report)
        assert len(lines) >= 3 and not [c for line in lines for c in line if ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0], lines
        assert max(map(len, lines)) < 4000, max(map(len, lines))
    many = ts.single(*({"name": 1} for _ in range(5000)))
    lines = validate(many)
    assert len(lines) == 65 and lines[-1].endswith("more"), len(lines)
    junk = (None, True, -1, 2 ** 64 - 1, 1.5, "x", [], {}, [[]], [{}])
    for a in junk:
        for k in ("maps", "ktdump", "vcpu_regs", "dsq_states", "schema"):
            report = {"schema": "single", "maps": []}
            assert validate({**report, k: a}) or (k, a) in (("maps", []), ("vcpu_regs", [None])), (k, a)
    for data in (b"", b"{", b"[]", b"{}", b"null", b'{"schema":"single"', b'{"schema":"dual"}', b'{"schema":"single","maps":[],"x":NaN}'):
        assert len(validate(data)) == 1, data


@test
def several_files():
    with tempfile.TemporaryDirectory() as tmp:
        good, bad = os.path.join(tmp, "good.json"), os.path.join(tmp, "bad.json")
        with open(good, "w") as f:
            json.dump(single(), f)
        with open(bad, "w") as f:
            json.dump({**single(), "maps": [7]}, f)
        assert run(good, good) == (0, "", "")
        rc, out, err = run(bad, good, os.path.join(tmp, "nosuch"))
        assert rc == 1 and out.startswith(bad + ": /maps/0: ") and len(err.splitlines()) == 1 and "nosuch" in err, (out, err)
    assert run()[0] == 2 and run("--nosuch", "x")[0] == 2 and run("--help")[0] == 0


@test
def known_keywords():
    """What the schemas use is what schema.c looks at."""
    with open(os.path.join(HERE, "..", "..", "host", "schema.c"), encoding="utf-8") as f:
        known = set(re.findall(r'"([a-zA-Z$-]+)"', f.read()))
    silent = {"$comment", "$defs", "$id", "$schema", "default", "description", "else", "examples", "then", "title"}

    def words(schema):
        for k, v in schema.items():
            yield k
            subs = v.values() if k in ("properties", "$defs") else v if k == "allOf" else [v] if isinstance(v, dict) and k not in ("examples", "default") else []
            for sub in subs:
                yield from words(sub)
    for name in ("report", "ktdump"):
        with open(os.path.join(DOCS, name + ".schema.json"), encoding="utf-8") as f:
            used = set(words(json.load(f)))
        assert used <= known | silent, used - known - silent


def main(tests=TESTS):
    global KTCOLLECT
    KTCOLLECT = ts.KTCOLLECT = kttap.tool(__doc__)
    return kttap.main(tests)


if __name__ == "__main__":
    sys.exit(main())
