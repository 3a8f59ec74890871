# SPDX-License-Identifier: GPL-2.0-only
"""The facts of a memory dump, as JSON in the form that docs/report.md describes.

  python3 -m reader VMLINUX VMCORE OUT

Run by drgn's Python (see ../workloads.py). It knows the kernel and that document;
it shares no code, no offset and no table with the module or the collector. Each file
fills in one noun; a new one is a function that takes a Kernel and the facts.
"""
import json
import sys

from . import cpu, map, prog, rq, sched, task
from .kernel import Kernel


def main():
    vmlinux, vmcore, out = sys.argv[1:]
    k = Kernel(vmlinux, vmcore)
    facts = {"schema": "single", "ktdump": {}}
    for read in (cpu.facts, sched.facts, rq.facts, task.facts, prog.facts, map.facts):
        read(k, facts)
    with open(out, "w") as f:
        json.dump(facts, f)


main()
