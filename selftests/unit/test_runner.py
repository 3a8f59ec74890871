#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The runner of the tests itself: what fails is never counted as passed. Prints KTAP."""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import sys
import tempfile
import types

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kttap  # noqa: E402
RUNNER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "run")
RELEASE = "7.3.4+test"
DEBUG = "7.3.4-debug"
TESTS = []


def test(f):
    TESTS.append(f)
    return f


class Failing:
    """A guest test that fails so often; None: always. said: on its guest's console."""

    def __init__(self, times, error=AssertionError, said=""):
        self.left, self.error, self.runs, self.said = times, error, 0, said

    def __call__(self, ctx):
        self.runs += 1
        with open(os.path.join(ctx.tmp, "console.log"), "w", encoding="utf-8") as f:
            f.write(f"run {self.runs}\n{self.said}")
        if self.left is None or self.left > 0:
            self.left = self.left and self.left - 1
            raise self.error(f"run {self.runs} failed")


def load(name, path):
    loader = importlib.machinery.SourceFileLoader(name, path)
    mod = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(mod)
    return mod


def runner(out):
    """A fresh copy of it that keeps logs in out, with a guest that is never booted."""
    guest = types.ModuleType("guest")
    guest.pace = 1
    guest.debug_kernel = lambda release: release == DEBUG
    guest.complaints = load("real_guest", os.path.join(os.path.dirname(RUNNER), "vm", "guest.py")).complaints
    guest.GuestError = type("GuestError", (Exception,), {})
    guest.EmulatorFault = type("EmulatorFault", (guest.GuestError,), {})
    guest.HostStall = type("HostStall", (Exception,), {})
    guest.Guest = type("Guest", (), {})
    guest.releases = lambda: [RELEASE]
    sys.modules["guest"] = guest
    mod = load("runner", RUNNER)
    mod.OUT = out
    return mod, guest


def run(tests, strict=False):
    """(exit code, output, the files below the logs) of these guest tests."""
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(io.StringIO()) as text:
        mod, guest = runner(out)
        for t in tests.values():
            if isinstance(t, Failing) and isinstance(t.error, str):
                t.error = getattr(guest, t.error)
        mod.guest_tests = lambda: iter(tests.items())
        report = mod.Report()
        mod.run_vm(types.SimpleNamespace(kernel=None, tests=[], list=False, strict=strict), report)
        rc = report.finish()
        logs = {os.path.relpath(os.path.join(d, f), out): open(os.path.join(d, f), encoding="utf-8").read()
                for d, _, files in os.walk(out) for f in files}
    return rc, text.getvalue(), logs


@test
def test_passes_at_once():
    t = Failing(0)
    rc, text, _ = run({"a.b": t})
    assert (rc, t.runs) == (0, 1) and "\nok 1 a.b-7.3" in text and text.endswith("1 passed, 0 failed, 0 skipped\n"), text
    assert "unsteady" not in text


@test
def test_passes_at_the_second_try():
    t = Failing(1)
    rc, text, logs = run({"a.b": t, "a.c": Failing(0)})
    assert (rc, t.runs) == (0, 2) and text.endswith("2 passed, 0 failed, 0 skipped\n"), text
    # After all others, told as what it is, with what was seen the first time.
    assert text.index("ok 1 a.c-7.3") < text.index("ok 2 a.b-7.3") and "not ok" not in text, text
    assert "# unsteady, passed at the second try: a.b-7.3\n#   run 1 failed\n" in text, text
    assert logs["a.b-7.3.4.first/console.log"] == "run 1\n" and logs["a.b-7.3.4/console.log"] == "run 2\n", logs


@test
def test_fails_twice():
    t = Failing(None)
    rc, text, _ = run({"a.b": t})
    assert (rc, t.runs) == (1, 2) and text.endswith("0 passed, 1 failed, 0 skipped\n"), text
    assert "not ok 1 a.b-7.3" in text and "# failed: a.b-7.3" in text and "unsteady," not in text, text


@test
def test_no_second_try_for_many():
    tests = {f"a.t{i}": Failing(1) for i in range(6)}
    rc, text, _ = run(tests)
    assert rc == 1 and text.endswith("0 passed, 6 failed, 0 skipped\n"), text
    assert all(t.runs == 1 for t in tests.values())


@test
def test_strict():
    t = Failing(1)
    rc, text, _ = run({"a.b": t}, strict=True)
    assert (rc, t.runs) == (1, 1) and text.endswith("0 passed, 1 failed, 0 skipped\n"), text


@test
def test_busy_host():
    """A capture that the host cut begins anew at once, twice at most."""
    t = Failing(2, "HostStall")
    rc, text, _ = run({"a.b": t})
    assert (rc, t.runs) == (0, 3) and "unsteady" not in text, text
    t = Failing(None, "HostStall")
    rc, text, _ = run({"a.b": t}, strict=True)
    assert (rc, t.runs) == (1, 3), text


@test
def test_a_test_that_breaks():
    rc, text, _ = run({"a.b": Failing(None, KeyError)}, strict=True)
    assert rc == 1 and "KeyError" in text and "not ok 1" in text, text


@test
def test_debug_kernel():
    """What its kernel says fails a test there, whatever else became of it; a cut capture alone does not."""
    splat = "[    9.1] BUG: KASAN: slab-use-after-free in ktd_walk_queue+0x1/0x2\n"
    for times, error, said, want in ((0, AssertionError, "", "ok 1 a.b-7.3-debug # 0.0 s"), (None, AssertionError, "", "not ok 1"),
                                     (None, "HostStall", "", "ok 1 a.b-7.3-debug # SKIP too slow here: run 1 failed"),
                                     (0, AssertionError, splat, "not ok 1"), (None, "HostStall", splat, "not ok 1"),
                                     (None, AssertionError, splat, "not ok 1"),
                                     (0, AssertionError, "WARNING: bad unlock balance detected!\n", "not ok 1"),
                                     (0, AssertionError, "[ BUG: Invalid wait context ]\n", "not ok 1")):
        with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(io.StringIO()) as text:
            mod, guest = runner(out)
            t = Failing(times, getattr(guest, error) if isinstance(error, str) else error, said)
            report = mod.Report()
            mod.run_on_debug(t, "a.b", DEBUG, report)
            rc = report.finish()
        line = next(s for s in text.getvalue().splitlines() if s.startswith(("ok ", "not ok ")))
        assert line.startswith(want) and rc == want.startswith("not"), (said, text.getvalue())
        assert t.runs == 1 and (not said or said.strip() in text.getvalue()), text.getvalue()


def run_units(*bodies, strict=False):
    """(exit code, output) of programs of unit tests, each a shell script."""
    with tempfile.TemporaryDirectory() as here, contextlib.redirect_stdout(io.StringIO()) as text:
        mod, _ = runner(here)
        mod.HERE = mod.REPO = here
        os.mkdir(os.path.join(here, "unit"))
        for i, body in enumerate(bodies):
            with open(os.path.join(here, "unit", f"test_u{i}.py"), "w", encoding="utf-8") as f:
                # Each run leaves a mark, so that a script can tell them apart.
                f.write(f"import os, subprocess, sys\nopen('u{i}', 'a').write('x')\n"
                        f"runs = os.path.getsize('u{i}')\nsys.exit(subprocess.call(['sh', '-c', {body!r}, 'sh', str(runs)]))\n")
        report = mod.Report()
        mod.run_unit(types.SimpleNamespace(tests=[], list=False, no_build=True, strict=strict), report)
        rc = report.finish()
    return rc, text.getvalue()


LOST_RACE = 'if [ $1 = 1 ]; then echo "# too slow"; echo "not ok 1 a"; echo "ok 2 b"; exit 1; fi; echo "ok 1 a"; echo "ok 2 b"'
BROKEN = 'echo "ok 1 a"; echo "# it is broken"; echo "not ok 2 b"; exit 1'


@test
def test_unit_at_the_second_try():
    rc, text = run_units(LOST_RACE, 'echo "ok 1 c"; echo "ok 2 - # SKIP d"')
    assert rc == 0 and text.endswith("3 passed, 0 failed, 1 skipped\n") and "\nnot ok" not in text, text
    assert text.index("unit.u1.c") < text.index("ok 3 unit.u0.a") and "ok 2 unit.u1.d # SKIP" in text, text
    assert "# unsteady, passed at the second try: unit.u0\n#   too slow\n#   not ok a\n" in text, text


@test
def test_unit_fails_twice():
    rc, text = run_units(BROKEN)
    assert rc == 1 and text.endswith("1 passed, 1 failed, 0 skipped\n") and "unsteady," not in text, text
    # Why stands beside it, and once more at the end.
    assert "# it is broken\nnot ok 2 unit.u0.b" in text and "# failed: unit.u0.b\n#   it is broken\n" in text, text
    rc, text = run_units('echo "ok 1 a"; echo "died" >&2; exit 134')
    assert rc == 1 and "exit code 134, 1 results" in text and "died" in text, text


@test
def test_unit_without_a_second_try():
    assert run_units(LOST_RACE, strict=True)[0] == 1
    rc, text = run_units(*[LOST_RACE] * 6)
    assert rc == 1 and text.endswith("6 passed, 6 failed, 0 skipped\n"), text


def main():
    return kttap.main(TESTS)


if __name__ == "__main__":
    sys.exit(main())
