# SPDX-License-Identifier: GPL-2.0-only
"""A guest in Python: msgpack, frames, and a snapshot that has everything.

It shares no code with the module or the collector; docs/wire.md is its source.
"""
import hashlib
import struct
import sys

from crc32c import crc32c

HELLO, BEGIN, ROWS, END, ACK, REFUSE, OFFER, WANT, GO, TAKE = range(1, 11)
MAGIC = 0x3144544B
TABLES = {name: i + 1 for i, name in enumerate(
    "hello begin cpu sched rq dsq list task stack cputime numa prog map event counter freeze "
    "section missing exit text symbol enum end firing mem record content fact field object btf "
    "blob timeline code insn sched_timeline image".split())}


def pack(v):
    if v is None:
        return b"\xc0"
    if v is True:
        return b"\xc3"
    if v is False:
        return b"\xc2"
    if isinstance(v, int):
        if 0 <= v < 0x80:
            return struct.pack("B", v)
        if v >= 0:
            for code, fmt, top in ((0xCC, "B", 8), (0xCD, ">H", 16), (0xCE, ">I", 32), (0xCF, ">Q", 64)):
                if v < 1 << top:
                    return bytes([code]) + struct.pack(fmt, v)
        if v >= -32:
            return struct.pack("b", v)
        for code, fmt, top in ((0xD0, "b", 7), (0xD1, ">h", 15), (0xD2, ">i", 31), (0xD3, ">q", 63)):
            if v >= -(1 << top):
                return bytes([code]) + struct.pack(fmt, v)
    if isinstance(v, str):
        b = v.encode("utf-8", "surrogateescape")
        if len(b) < 32:
            return bytes([0xA0 | len(b)]) + b
        return (b"\xd9" + struct.pack("B", len(b)) if len(b) < 256 else
                b"\xda" + struct.pack(">H", len(b))) + b
    if isinstance(v, bytes):
        return (b"\xc4" + struct.pack("B", len(v)) if len(v) < 256 else
                b"\xc5" + struct.pack(">H", len(v))) + v
    if isinstance(v, (list, tuple)):
        head = bytes([0x90 | len(v)]) if len(v) < 16 else b"\xdc" + struct.pack(">H", len(v))
        return head + b"".join(map(pack, v))
    raise TypeError(type(v))


def frame(ftype, table, payload, seq, snapshot, version=1):
    h = struct.pack("<IBBHIII", MAGIC, version, ftype, table, len(payload), seq, snapshot)
    return h + struct.pack("<I", crc32c(h + b"\0\0\0\0" + payload)) + payload


class Guest:
    """Makes the frames of one connection; self.frames is a list of bytes."""

    def __init__(self, boot_id="01234567-89ab-cdef-0123-456789abcdef", pending=1, load_ns=7):
        self.frames = []
        self.boot_id = boot_id
        self.rows = self.bytes = 0
        self.add(HELLO, "hello", [{
            "module_version": "0.1.0", "release": "7.3.4-test", "build": "#1 SMP",
            "machine": "x86_64", "boot_id": boot_id, "load_ns": load_ns, "hz": 250, "page_size": 4096,
            "nr_cpu_ids": 2, "nr_node_ids": 1, "buffer_bytes": 8 << 20, "pending": pending,
            "lost": 0}], 0)

    def raw(self, ftype, table, payload, snapshot):
        self.frames.append(frame(ftype, table, payload, len(self.frames), snapshot))

    def add(self, ftype, table, dicts, snapshot, columns=None, header=True):
        cols = columns or list(dicts[0])
        rows = ([cols] if header else []) + [[d.get(c) for c in cols] for d in dicts]
        payload = b"".join(map(pack, rows))
        if ftype in (BEGIN, ROWS):
            self.rows += len(rows)
            self.bytes += len(payload)
        self.raw(ftype, TABLES[table], payload, snapshot)

    def begin(self, snapshot, **more):
        self.rows = self.bytes = 0
        self.add(BEGIN, "begin", [dict({
            "trigger": "exit", "hook": "tracepoint sched_ext_exit", "sched_kva": SCHED,
            "scx_root": SCHED, "exit_kind": 1026, "cpu": 1, "context": "hardirq",
            "irqs_off": True, "preempt_count": 65537, "pid": 77, "comm": "stress",
            "mono_ns": 123456789012, "real_ns": 1790000000123456789, "jiffies": 4295000000,
            "watchdog_timestamp": 4294999900, "enable_state": 2, "switching_all": True,
            "nr_rejected": 0, "trigger_count": 1, "lost": 0, "stack": [TEXT + 0x110]}, **more)],
            snapshot)

    def offer(self, snapshot, *blobs, **more):
        """BTF rows, the kernel's first, then the question which of them are wanted."""
        self.add(ROWS, "btf", [dict({
            "kva": BASE + 0x700000 + i * 0x100 if i else 0, "id": i + 1, "name": "" if i else "vmlinux",
            "kernel": not i, "split": bool(i), "size": len(b) if b else None,
            "hash": hashlib.sha256(b).digest() if b else None, "error": None if b else "too large"}, **more)
            for i, b in enumerate(blobs)], snapshot)
        self.raw(OFFER, 0, b"", snapshot)

    def blob(self, snapshot, data, piece=14000, sha=None):
        """The bytes of one, as the answer to WANT."""
        cols = ["hash", "off", "data"]
        for off in range(0, len(data), piece):
            self.add(ROWS, "blob", [{"hash": sha or hashlib.sha256(data).digest(), "off": off,
                                     "data": data[off:off + piece]}], snapshot, columns=cols, header=not off)

    def bulk(self, table, snapshot, cols, rows):
        """Rows that are one each to a frame; the header comes with the first."""
        for i, row in enumerate(rows):
            self.add(ROWS, table, [row], snapshot, columns=cols, header=not i)

    def mem(self, snapshot, kva, data, piece=14000):
        self.bulk("mem", snapshot, ["kva", "data"],
                  ({"kva": kva + o, "data": data[o:o + piece]} for o in range(0, len(data), piece)))

    def record(self, snapshot, map_kva, data, piece=14000):
        self.bulk("record", snapshot, ["map_kva", "off", "data"],
                  ({"map_kva": map_kva, "off": o, "data": data[o:o + piece]} for o in range(0, len(data), piece)))

    def end(self, snapshot, **more):
        self.add(END, "end", [dict({"rows": self.rows, "bytes": self.bytes}, **more)], snapshot)

    def stream(self):
        return b"".join(self.frames)


def record(kva, data, index=0, extra=0, flags=0):
    """One element of a map for RECORD rows."""
    data += bytes(-len(data) % 8)
    return struct.pack("<QIIII", kva, 24 + len(data), flags, index, extra) + data


def sched_event(ns, seq, kind, pid=0, prio=0, other=0, arg=0, other_prio=0, comm=b"", tail=b""):
    """One of SCHED_TIMELINE.data."""
    return struct.pack("<QIBxhiiIh2x16s16s", ns, seq, kind, prio, pid, other, arg, other_prio, comm, tail)


def btf(types=b"", strings=b"\0"):
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


BASE = 0xFFFF888000000000
TEXT = 0xFFFFFFFF81000000
SCHED = BASE + 0x1000
SUB = BASE + 0x1800
RQ = [BASE + 0x10000, BASE + 0x20000]
TASKS = [BASE + 0x100000 + i * 0x4000 for i in range(4)]
USER_DSQ, LOCAL0, LOCAL1, GLOBAL0, BYPASS0, REJECT0 = (BASE + 0x30000 + i * 0x100 for i in range(6))
B = 1 << 63


def task(i, **more):
    return dict({
        "kva": TASKS[i], "on_scx_tasks": True, "runnable_on": None, "curr_on": None,
        "pid": 100 + i, "tgid": 100, "comm": "worker/%d" % i, "group_leader_pid": 100,
        "real_parent_pid": 1, "real_parent_comm": "init", "pgid": 100, "sid": 100,
        "nr_threads": 4, "prio": 120, "static_prio": 120, "normal_prio": 120,
        "rt_priority": 0, "policy": 7, "sched_class": "ext", "core_cookie": 0,
        "nvcsw": 10, "nivcsw": 3, "signal_nvcsw": 0, "signal_nivcsw": 0,
        "utime": 1000000, "stime": 2000000, "uid": 0, "gid": 0, "state": 0, "exit_state": 0,
        "task_flags": 0x400000, "on_cpu": 0, "on_rq": 1, "cpu": 0, "migration_disabled": 0,
        "nr_cpus_allowed": 2, "cpus_mask": b"\xff" * 8, "pi_blocked_on": 0,
        "sum_exec_runtime": 3000000, "scx_sched": SCHED, "scx_dsq": 0,
        "scx_dsq_id": B, "scx_dsq_flags": 0, "scx_dsq_seq": 1, "scx_dsq_vtime": 5,
        "scx_ops_state": 0x102, "scx_ops_qseq": 64, "scx_flags": 0x301, "scx_weight": 100,
        "scx_slice": 20000000, "scx_sticky_cpu": -1, "scx_holding_cpu": -1,
        "scx_selected_cpu": 0, "scx_runnable_cpu": 0, "scx_runnable_at": 4294998750,
        "scx_ddsp_dsq_id": B, "scx_ddsp_enq_flags": 0, "scx_ddsp_slice": 0,
        "scx_ddsp_vtime": 0, "scx_disallow": False, "scx_tid": 9}, **more)


def full_snapshot(g, nr=1, **begin):
    """Every table once, two CPUs, a root scheduler with a child, four tasks."""
    def rows(table, *dicts, **kw):
        g.add(ROWS, table, list(dicts), nr, **kw)

    g.begin(nr, **begin)
    rows("cpu",
         {"cpu": 0, "online": True, "parked": True, "ip": TEXT + 0x2010, "sp": BASE + 8,
          "cr3": 279101440, "flags": 2, "user": False, "task_kva": TASKS[0], "pid": 100,
          "comm": "worker/0", "arrive_ns": 41000, "stack": [TEXT + 0x2010, TEXT + 0x3000], "node": 0, "llc_id": 2},
         {"cpu": 1, "online": True, "parked": False, "ip": None, "sp": None, "cr3": None,
          "flags": None, "user": None, "task_kva": None, "pid": None, "comm": None,
          "arrive_ns": None, "stack": [], "node": None, "llc_id": None})
    sched = {"kva": SCHED, "root": True, "parent_kva": 0, "name": "qmap", "level": 0, "id": 1,
             "cgrp_path": "/", "ops_flags": 0, "timeout_ms": 5000, "slice_dfl": 20000000,
             "bypass_depth": 1, "aborting": True, "watchdog_timeout": 1250, "exit_kind": 1026,
             "future_column": 7}
    rows("sched", dict(sched, kva=SUB, root=False, parent_kva=SCHED, name="sub", level=1, id=2,
                       cgrp_path="/sub", exit_kind=0), sched)
    rows("rq", *[
        {"cpu": i, "kva": RQ[i], "lock": 0, "online": True, "nr_running": 2, "nr_switches": 9,
         "clock": 5, "clock_task": 4, "curr": TASKS[i], "curr_pid": 100 + i,
         "curr_comm": "worker/%d" % i, "curr_class": "ext", "fair_nr": 0, "rt_nr": 1, "dl_nr": 0,
         "scx_nr_running": 2, "scx_flags": 1, "scx_cpu_released": False, "scx_ops_qseq": 33,
         "scx_kick_sync": 1, "scx_nr_immed": 0, "scx_clock": 99, "runnable_seen": 2,
         "runnable_end": "ok" if not i else "cap"} for i in range(2)])
    dsq = {"sched_kva": SCHED, "cpu": None, "node": None, "nr": 0, "seq": 1, "lock": 0,
           "first_task": 0, "priq": 0, "seen": 0, "cursors": 0, "end": "ok"}
    rows("dsq",
         dict(dsq, kva=USER_DSQ, origin="user", id=0, nr=2, seen=2),
         dict(dsq, kva=LOCAL1, origin="local", cpu=1, id=B | 2),
         dict(dsq, kva=LOCAL0, origin="local", cpu=0, id=B | 2, nr=1, seen=1),
         dict(dsq, kva=GLOBAL0, origin="global", node=0, id=B | 1),
         dict(dsq, kva=REJECT0, origin="reject", cpu=0, id=B | 4, nr=1, seen=1),
         dict(dsq, kva=BYPASS0, origin="bypass", cpu=0, id=B | 3, end="cap"))
    cols = ["list", "owner_kva", "tasks"]
    rows("list", {"list": "runnable", "owner_kva": RQ[0], "tasks": [TASKS[0]]},
         {"list": "dsq", "owner_kva": USER_DSQ, "tasks": [TASKS[1]]}, columns=cols)
    rows("task", task(0, curr_on=0, runnable_on=0, scx_runnable_at=4295000100, exit_state=0x20),
         task(1, runnable_on=0, scx_dsq=USER_DSQ, scx_dsq_id=0),
         task(2, on_scx_tasks=False, runnable_on=1, sched_class="rt", scx_dsq=LOCAL0,
              scx_dsq_id=B | 2, comm="bad\udcff\x1b[2J"))
    # Rows of a table may come in several frames, other tables between them.
    rows("list", {"list": "runnable", "owner_kva": RQ[0], "tasks": [TASKS[1], TASKS[2]]},
         {"list": "dsq", "owner_kva": USER_DSQ, "tasks": [TASKS[2]]},
         {"list": "dsq", "owner_kva": REJECT0, "tasks": [TASKS[3]]},
         {"list": "scx_tasks", "owner_kva": TEXT + 0x100000, "tasks": [TASKS[0], TASKS[1], TASKS[3]]},
         columns=cols, header=False)
    rows("task", task(3, state=2, utime=None), columns=list(task(0)), header=False)
    rows("stack", {"task_kva": TASKS[1], "stack": [TEXT + 0x3000]})
    rows("cputime", *[{"cpu": i, "cpustat": list(range(1, 11)), "softirqs": list(range(10)),
                       "irqs_sum": 4321, "iowait_sleeptime_ns": 5} for i in range(2)])
    rows("numa", {"node": 0, "numa_hit": 100, "numa_miss": 1, "numa_foreign": 2,
                  "numa_interleave_hit": 3, "numa_local": 98, "numa_other": 3})
    rows("prog",
         {"kva": BASE, "id": 9, "name": "qmap_enqueue", "type": 27, "ksym": "bpf_prog_0011_qmap_enqueue",
          "ksym_start": TEXT + 0x800000, "ksym_end": TEXT + 0x800100, "has_stats": True, "cnt": 5,
          "nsecs": 6, "misses": 0, "used_maps": [BASE + 1]},
         {"kva": BASE, "id": 3, "name": "qmap_dispatch", "type": 27, "ksym": "bpf_prog_0022_qmap_dispatch",
          "ksym_start": TEXT + 0x900000, "ksym_end": TEXT + 0x900100, "has_stats": True, "cnt": 5,
          "nsecs": 6, "misses": 0, "used_maps": []})
    rows("map", {"kva": BASE + 1, "id": 4, "name": "qmap.bss", "map_type": 2, "key_size": 4,
                 "value_size": 64, "max_entries": 1, "map_flags": 0, "numa_node": -1},
         {"kva": BASE + 2, "id": 2, "name": "queue0", "map_type": 22, "key_size": 0,
          "value_size": 4, "max_entries": 4096, "map_flags": 0, "numa_node": -1})
    rows("event", {"sched_kva": SCHED, "SCX_EV_SELECT_CPU_FALLBACK": 4, "SCX_EV_NEW_ONE": 5})
    rows("counter", {"trigger_count": 1, "error_count": 1, "clean_count": 0, "captured": 1,
                     "nested": 0, "lost": 0, "late_nmi": 0, "probe_missed": 0})
    rows("firing", {"mono_ns": 123456789012, "sched_kva": SCHED, "exit_kind": 1026, "cpu": 1,
                    "fate": "captured", "snapshot": nr})
    rows("freeze", {"rendezvous_ns": 812345, "held_ns": 3212345, "release_ns": 9000,
                    "cpus_targeted": 1, "cpus_parked": 0, "cpus_missing": [1], "resent": 1,
                    "gave_up": 0, "cap_ns": 100000000, "truncated_at_us": None, "bytes": 65536,
                    "exits": [SCHED, 1026, SUB, 1024]})
    rows("section", {"table": "task", "rows": 4, "seen": 4, "bytes": 1200, "ns": 50000})
    rows("missing", {"table": "offsets:scx_sched_pcpu", "reason": "no such member"},
         {"table": "offsets:scx_rq", "reason": "no such struct"},
         {"table": "cpu", "reason": "CPU 1 did not arrive"})
    rows("exit", {"sched_kva": SCHED, "complete": True, "kind": 1026, "exit_code": 0,
                  "exit_cpu": 1, "flags": 0, "reason": "runnable task stall",
                  "msg": "worker/1[101] failed to run for 5.000s",
                  "bt": [TEXT + 0x110, TEXT + 0x800010, TEXT + 0xA00050, TEXT + 0xA000AD], "dump_bytes": 10})
    rows("text", {"sched_kva": SCHED, "off": 5, "text": b"half\n"},
         {"sched_kva": SCHED, "off": 0, "text": b"first"})
    rows("image", {"start": TEXT + 0xA00000, "end": TEXT + 0xA000AD, "name": "bpf__sched_ext_ops_enqueue"})
    rows("symbol", {"addr": TEXT + 0x110, "name": "scx_vexit+0x10/0x200"},
         {"addr": TEXT + 0x2010, "name": "native_queued_spin_lock_slowpath+0x10/0x300"},
         {"addr": TEXT + 0x3000, "name": "schedule+0x20/0x100"})
    enums = [("scx_exit_kind", "SCX_EXIT_ERROR_STALL", 1026), ("scx_exit_kind", "SCX_EXIT_NONE", 0),
             ("scx_ent_flags", "SCX_TASK_QUEUED", 1), ("scx_ent_flags", "SCX_TASK_STATE_SHIFT", 8),
             ("scx_ent_flags", "SCX_TASK_STATE_MASK", 0x300), ("scx_ent_flags", "SCX_TASK_NONE", 0),
             ("scx_ent_flags", "SCX_TASK_ENABLED", 0x300), ("scx_ent_flags", "SCX_TASK_READY", 0x200),
             ("scx_dsq_id_flags", "SCX_DSQ_FLAG_BUILTIN", B), ("scx_dsq_id_flags", "SCX_DSQ_LOCAL", B | 2), ("scx_dsq_id_flags", "SCX_DSQ_INVALID", B)]
    rows("enum", *[{"enum": e, "name": n, "value": v} for e, n, v in enums])
    g.raw(ROWS, 999, pack(["whatever"]) + pack([1]), nr)
    g.bytes += len(pack(["whatever"]) + pack([1]))
    g.rows += 2
    g.end(nr)


def sample(nr=1, boot_id="01234567-89ab-cdef-0123-456789abcdef", load_ns=7):
    g = Guest(boot_id, load_ns=load_ns)
    full_snapshot(g, nr)
    return g


if __name__ == "__main__":
    sys.stdout.buffer.write(sample().stream())
