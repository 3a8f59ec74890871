#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Every node that test_render.c and test_render_elf.c render fits the schema's RenderedValue.

Runs these tests once more, lets them write down what they render and checks each line; also what a schema cannot say: the order of the keys. Prints KTAP.
"""
import json
import os
import subprocess
import sys
import tempfile

import jsonschema

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import check_report  # noqa: E402

TOP = os.path.dirname(os.path.dirname(HERE))
PLAIN = os.path.join(TOP, "build", "unit", "plain")
NAMES = ("render", "render_elf")
KEYS = {
    "int": "kind bits value", "uint": "kind bits value", "bool": "kind value", "char": "kind value",
    "float": "kind bits value", "enum": "kind bits value variant is_signed",
    "struct": "kind type_name members", "array": "kind len elements", "cpu_list": "kind cpus",
    "ptr": "kind value deref deref_skipped_reason cast_annotation ktdump_label", "bytes": "kind hex",
    "truncated": "kind needed had partial", "unsupported": "kind reason",
}


def rendered(name, tmp):
    """The nodes of one test, those that are the same once."""
    dump = os.path.join(tmp, name + ".json")
    subprocess.run([os.path.join(PLAIN, name)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env=dict(os.environ, KTDUMP_RENDER_DUMP=dump, KTDUMP_TOP=TOP))
    with open(dump, encoding="utf-8") as f:
        return sorted(set(f.read().splitlines()))


def check_order(v, kinds):
    want = KEYS[v["kind"]].split()
    assert [k for k in want if k in v] == list(v), f"order of keys: {list(v)}"
    kinds.add(v["kind"])
    for child in [*(m["value"] for m in v.get("members", [])), *v.get("elements", []),
                  *(v[k] for k in ("deref", "partial") if k in v)]:
        check_order(child, kinds)


def main():
    sys.setrecursionlimit(20000)
    _, validator = check_report.validator("report.schema.json", "RenderedValue")
    failed = False
    kinds = set()
    with tempfile.TemporaryDirectory(prefix="ktrender.") as tmp:
        subprocess.run(["make", "-s", "-C", HERE, *(os.path.join(PLAIN, name) for name in NAMES)], check=True, stdout=subprocess.DEVNULL)
        for name in NAMES:
            lines = rendered(name, tmp)
            bad = []
            for line in lines:
                v = json.loads(line)
                try:
                    validator.validate(v)
                    check_order(v, kinds)
                except (AssertionError, jsonschema.ValidationError) as e:
                    bad.append(f"{str(e)[:300]}: {line[:200]}")
            for text in bad[:10]:
                print("# " + text.replace("\n", " "))
            failed |= bool(bad) or len(lines) < 30
            print(f"{'not ok' if bad or len(lines) < 30 else 'ok'} - {name}")
    missing = sorted(set(KEYS) - kinds)
    if missing:
        print("# kinds that no test renders: " + ", ".join(missing))
    print(f"{'not ok' if missing else 'ok'} - every_kind")
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
