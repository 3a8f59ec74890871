# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests of a program written in Python and prints KTAP."""
import contextlib
import os
import sys
import tempfile
import traceback


class Skip(Exception):
    """What a machine lacks."""


@contextlib.contextmanager
def inside(place):
    """In a new directory there; None: where we are."""
    if place is None:
        yield
        return
    home = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="kttest.", dir=place) as tmp:
        os.chdir(tmp)
        try:
            yield
        finally:
            os.chdir(home)


def tool(doc):
    """The collector that the first argument names; without one the usage is told."""
    if len(sys.argv) < 2:
        print(f"usage: {os.path.basename(sys.argv[0])} KTCOLLECT [NAME]...\n\n{doc.strip()}", file=sys.stderr)
        sys.exit(2)
    return os.path.abspath(sys.argv[1])


def main(tests, place=None):
    """Those that the arguments behind the tool name, or all, each in a directory of its own in place; the exit code."""
    wanted = [t for t in tests if not sys.argv[2:] or t.__name__ in sys.argv[2:]]
    failed = 0
    print(f"KTAP version 1\n1..{len(wanted)}", flush=True)
    for i, t in enumerate(wanted, 1):
        result = "ok"
        try:
            with inside(place):
                t()
            note = ""
        except Skip as e:
            note = f" # SKIP {e}"
        except Exception:       # noqa: BLE001
            result, note = "not ok", ""
            failed += 1
            print("".join(f"# {line}\n" for line in traceback.format_exc()[-3000:].splitlines()), end="")
        print(f"{result} {i} {t.__name__}{note}", flush=True)
    return 1 if failed else 0
