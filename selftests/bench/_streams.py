# SPDX-License-Identifier: GPL-2.0-only
"""Recordings of guests that have a lot of one thing: ktwire's guest, ktmaps' types."""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "unit"))
import ktmaps as km  # noqa: E402
import ktwire as kw  # noqa: E402

KERN, USER = 0xFFFFC90000000000, 0x7F0000000000
PAGE = 4096


class Stream(kw.Guest):
    """A guest with one snapshot that has next to nothing; what there is a lot of comes in between."""

    def __init__(self, number=0):
        super().__init__(boot_id=f"{number:08x}-89ab-cdef-0123-456789abcdef")
        self.begin(1)
        zoo = km.Zoo()
        zoo.add_btf(km.BTF_PROG, km.prog)
        self.add(kw.ROWS, "btf", zoo.btf, 1)
        for data in zoo.blobs.values():
            self.blob(1, data)
        self.rows_of("sched", [{"kva": kw.SCHED, "root": True, "name": "many"}])

    def rows_of(self, table, dicts, batch=1):
        """batch: how many of them are sure to fit into a frame."""
        for i in range(0, len(dicts), batch):
            self.add(kw.ROWS, table, dicts[i:i + batch], 1, header=not i)

    def map(self, form, facts=(), **more):
        """more: columns of MAP; the same for all is what is left out."""
        kva = km.BASE + 0x1000000
        self.rows_of("map", [dict({
            "kva": kva, "id": 1, "name": "many", "key_size": 4, "value_size": 24, "map_flags": 0, "owner_sched": kw.SCHED,
            "btf_kva": km.BTF_PROG, "btf_key_type_id": km.p_u32, "btf_value_type_id": km.p_value}, **more)])
        if facts:
            self.rows_of("fact", [{"map_kva": kva, "name": k, "value": v} for k, v in facts.items()], batch=100)
        taken = more["max_entries"]
        self.rows_of("content", [{"map_kva": kva, "form": form, "seen": taken, "taken": taken, "unreadable": 0, "ns": 1}])

    def done(self):
        self.end(1)
        return self.stream()


def entries(n):
    """A hash with values that have a type: three numbers of eight bytes, two of them pointers."""
    s = Stream()
    if n:
        s.record(1, km.BASE + 0x1000000, b"".join(kw.record(KERN + i * 64, struct.pack("<IxxxxQQQ", i, i * i, 0, 0))
                                                  for i in range(n)))
    s.map("hash", map_type=1, max_entries=n)
    return s.done()


def pages(n):
    """Pages of an arena with any bytes, in the pieces that the module sends."""
    s, step = Stream(), 3 * PAGE
    some = b"".join((i * 0x9E3779B97F4A7C15 & (1 << 64) - 1).to_bytes(8, "little") for i in range(2 * step // 8))
    s.bulk("mem", 1, ["kva", "data"], ({"kva": KERN + o, "data": some[o // PAGE % 97:][:min(step, n * PAGE - o)]}
                                       for o in range(0, n * PAGE, step)))
    s.map("arena", map_type=33, max_entries=n, key_size=0, value_size=0, btf_kva=0, facts={
        "user_vm_start": USER, "user_vm_end": USER + (1 << 32), "kern_vm_start": KERN, "declared_pages": n,
        "populated_pages": n, "page_size": PAGE})
    return s.done()


def task_rows(n, dsq=0):
    return [kw.task(0, kva=kw.BASE + 0x1000000 + i * 0x4000, pid=1000 + i, comm=f"worker/{i}", scx_dsq=dsq, scx_dsq_id=0,
                    runnable_on=i % 2, scx_runnable_at=4295000000 - i % 500) for i in range(n)]


def tasks(n):
    """Tasks that wait, each with a stack, all on the kernel's list."""
    s, rows = Stream(), task_rows(n)
    s.rows_of("task", rows, batch=30)
    s.rows_of("stack", [{"task_kva": t["kva"], "stack": [kw.TEXT + 0x3000, kw.TEXT + 0x110]} for t in rows], batch=400)
    s.rows_of("list", [{"list": "scx_tasks", "owner_kva": kw.TEXT + 0x100000, "tasks": [t["kva"] for t in rows[i:i + 1000]]}
                       for i in range(0, n, 1000)])
    s.rows_of("symbol", [{"addr": kw.TEXT + 0x110, "name": "scx_vexit+0x10/0x200"},
                         {"addr": kw.TEXT + 0x3000, "name": "schedule+0x20/0x100"}])
    return s.done()


def dsqs(n):
    """User queues, each with a task in it that has no row."""
    s = Stream()
    rows = [{"kva": kw.BASE + 0x30000 + i * 0x100, "origin": "user", "id": i, "sched_kva": kw.SCHED, "cpu": None, "node": None,
             "nr": 1, "seq": 1, "lock": 0, "first_task": kw.BASE + 0x1000000 + i * 0x4000, "priq": 0, "seen": 1, "cursors": 0,
             "end": "ok"} for i in range(n)]
    s.rows_of("dsq", rows, batch=150)
    s.rows_of("list", [{"list": "dsq", "owner_kva": q["kva"], "tasks": [q["first_task"]]} for q in rows], batch=500)
    return s.done()


def guest(number):
    """The frames of one guest of many: twenty tasks, its number in the boot id."""
    s = Stream(number)
    s.rows_of("task", task_rows(20), batch=30)
    s.done()
    return s.frames
