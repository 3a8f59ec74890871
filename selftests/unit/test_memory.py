#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What large maps cost: python3 test_memory.py PATH/TO/ktcollect [NAME]...

Recorded streams with a large map each are made into reports; peak memory may not go
beyond twice the map and a constant. Prints KTAP, and what was measured.
"""
import itertools
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ktcost  # noqa: E402
import kttap  # noqa: E402
import ktwire as kw  # noqa: E402

KTCOLLECT = None
TESTS = []
MIB = 1 << 20
CONSTANT = 48 * MIB         # program, libraries, buffers, small tables
USER, KERN = 0x7F0000000000, 0xFFFFC90000000000
MAP = {"kva": kw.BASE + 1, "id": 1, "name": "large", "key_size": 8, "value_size": 8, "map_flags": 0,
       "btf_kva": None, "btf_key_type_id": 0, "btf_value_type_id": 0}
CONTENT = {"map_kva": MAP["kva"], "form": None, "values_kva": None, "stride": None, "unreadable": 0, "bytes": 0,
           "ns": 1, "cut": None, "limit": None, "error": None}


def test(f):
    TESTS.append(f)
    return f


def snapshot(m, facts, pieces, **content):
    g = kw.Guest()
    g.begin(1)
    g.add(kw.ROWS, "sched", [{"kva": kw.SCHED, "root": True, "name": "one"}], 1)
    g.add(kw.ROWS, "map", [dict(MAP, **m)], 1)
    pieces(g)
    if facts:
        g.add(kw.ROWS, "fact", [{"map_kva": MAP["kva"], "name": n, "value": v} for n, v in facts.items()], 1)
    g.add(kw.ROWS, "content", [dict(CONTENT, **content)], 1)
    g.end(1)
    return g.stream()


def measure(stream, path):
    """Seconds and peak memory of making the report."""
    with open("stream", "wb") as f:
        f.write(stream)
    cost = ktcost.run([KTCOLLECT, "stream", "-q", "--btf-cache", "none", "-o", path])
    return cost.seconds, cost.peak


def large(what, stream, size):
    took, peak = measure(stream, "r.json")
    written = os.path.getsize("r.json")
    print(f"# {what}: {size / MIB:.0f} MiB in the map, {len(stream) / MIB:.0f} MiB of stream, report {written / MIB:.0f} MiB "
          f"in {took:.2f} s ({len(stream) / MIB / took:.0f} MiB/s); peak {peak / MIB:.0f} MiB", flush=True)
    assert peak < 2 * size + CONSTANT, (peak, size)
    return written


@test
def nothing():
    """What all the others stand on."""
    took, peak = measure(snapshot({"map_type": 1, "max_entries": 1}, {}, lambda g: None, form="hash", seen=0, taken=0), "r.json")
    print(f"# no content: {took:.2f} s, peak {peak / MIB:.0f} MiB", flush=True)
    assert peak < CONSTANT / 2


@test
def arena():
    """64 MiB of pages: the report never is in memory, nor are they."""
    pages = 64 * MIB // 4096
    # Pieces as the module sends them, two pages and more at a time.
    step = 3 * 4096
    base = bytes(range(256)) * (2 * step // 256)

    def pieces(g):
        g.bulk("mem", 1, ["kva", "data"], ({"kva": KERN + o, "data": base[o // 4096 % 97:][:min(step, 64 * MIB - o)]}
                                           for o in range(0, 64 * MIB, step)))
    facts = {"user_vm_start": USER, "user_vm_end": USER + (1 << 32), "kern_vm_start": KERN, "declared_pages": pages,
             "populated_pages": pages, "page_size": 4096}
    stream = snapshot({"map_type": 33, "max_entries": pages}, facts, pieces, form="arena", seen=pages, taken=pages,
                      bytes=64 * MIB)
    # Each byte as a number.
    assert large("arena", stream, 64 * MIB) > 3 * 64 * MIB


@test
def hash_records():
    """One million elements."""
    nr = 1000000

    def pieces(g):
        # As kw.record() makes them, in a fifth of the time.
        one, again = struct.Struct("<QIIIIQQ").pack, itertools.repeat
        data = b"".join(map(one, range(KERN, KERN + 64 * nr, 64), again(40), again(0), range(nr), again(0), range(nr), (i * i for i in range(nr))))
        assert len(data) == 40 * nr and data.endswith(kw.record(KERN + (nr - 1) * 64, struct.pack("<QQ", nr - 1, (nr - 1) ** 2), nr - 1))
        g.record(1, MAP["kva"], data)
    stream = snapshot({"map_type": 1, "max_entries": nr}, {"n_buckets": 1 << 20, "count": nr}, pieces, form="hash", seen=nr,
                      taken=nr, bytes=40 * nr)
    # Key and value of each in hex.
    assert large("hash", stream, 40 * nr) > nr * 2 * 8 * 3


@test
def scattered():
    """The index of what lies everywhere: 300 000 pieces of eight bytes that do not touch."""
    nr = 300000

    def pieces(g):
        cols = ["kva", "data"]
        for i in range(0, nr, 500):
            g.add(kw.ROWS, "mem", [{"kva": KERN + (nr - k) * 64, "data": b"12345678"} for k in range(i, i + 500)], 1,
                  columns=cols, header=not i)
    stream = snapshot({"map_type": 2, "max_entries": nr}, {}, pieces, form="array", values_kva=KERN, stride=64, seen=nr,
                      taken=nr, bytes=8 * nr)
    took, peak = measure(stream, "r.json")
    print(f"# scattered: {nr} pieces, {len(stream) / MIB:.0f} MiB of stream in {took:.2f} s; peak {peak / MIB:.0f} MiB", flush=True)
    assert peak < CONSTANT + nr * 150, peak


def main():
    global KTCOLLECT
    KTCOLLECT = kttap.tool(__doc__)
    # A disk, not a file system in memory: then what is measured is what is used.
    return kttap.main(TESTS, place="/var/tmp")


if __name__ == "__main__":
    sys.exit(main())
