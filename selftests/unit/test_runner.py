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
TESTS = []


def test(f):
    TESTS.append(f)
    return f


class Failing:
    """A guest test that fails so often; None: always."""

    def __init__(self, times, error=AssertionError):
        self.left, self.error, self.runs = times, error, 0

    def __call__(self, ctx):
        self.runs += 1
        with open(os.path.join(ctx.tmp, "console.log"), "w", encoding="utf-8") as f:
            f.write(f"run {self.runs}\n")
        if self.left is None or self.left > 0:
            self.left = self.left and self.left - 1
            raise self.error(f"run {self.runs} failed")


def runner(out):
    """A fresh copy of it that keeps logs in out, with a guest that is never booted."""
    guest = types.ModuleType("guest")
    guest.GuestError = type("GuestError", (Exception,), {})
    guest.EmulatorFault = type("EmulatorFault", (guest.GuestError,), {})
    guest.HostStall = type("HostStall", (Exception,), {})
    guest.Guest = type("Guest", (), {})
    guest.releases = lambda: [RELEASE]
    sys.modules["guest"] = guest
    loader = importlib.machinery.SourceFileLoader("runner", RUNNER)
    mod = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", loader))
    loader.exec_module(mod)
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


def main():
    return kttap.main(TESTS)


if __name__ == "__main__":
    sys.exit(main())
