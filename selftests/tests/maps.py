# SPDX-License-Identifier: GPL-2.0-only
"""Every BPF map as a debugger would show it: the zoo of maps, compared leaf by leaf.

The zoo (selftests/schedulers/zoo.bpf.c) has a map of every type.  What it holds is known
three times: by formula (_zoo.py), from bpftool in the same guest, and from the report.
"""
import hashlib
import json
import os
import re
import struct
import time

from guest import HostStall
import _bpftool as bpftool
import _zoo as z
from _common import Rig, all_parked, exit_line, wait_host
import ktcost
from robust import FAULT, Proxy, faults, released, socket_guest
from _zoo import Diff, seed, small, small_raw, u32

# Emulated CPUs copy slowly: the longest freeze that there is.
ROOMY = "freeze_max_ms=250 buf_mib=64"
KIND = {name: nr for nr, name in enumerate((
    "hash array prog_array perf_event_array percpu_hash percpu_array stack_trace cgroup_array lru_hash "
    "lru_percpu_hash lpm_trie array_of_maps hash_of_maps devmap sockmap cpumap xskmap sockhash cgroup_storage "
    "reuseport_sockarray percpu_cgroup_storage queue stack sk_storage devmap_hash struct_ops ringbuf "
    "inode_storage task_storage bloom_filter user_ringbuf cgrp_storage arena insn_array rhash").split(), 1)}


class Zoo(Rig):
    """A guest with the zoo in it.

    wire: a file for what the guest sends.  Not the collector's recording, for which BTF
    comes that would else stay away.
    """

    def __init__(self, ctx, params=ROOMY, files=None, wire=None, **more):
        self.wire = wire
        b = os.path.join(ctx.build, "selftests")
        ctx.need(f"{b}/zoofill")
        files = {"/bin/zoofill": f"{b}/zoofill", **bpftool.files(ctx), **(files or {})}
        super().__init__(ctx, params, files=files, **more)

    def boot(self, **kw):
        return socket_guest(self.ctx, **kw) if self.wire else super().boot(**kw)

    def listen(self, *args, **kw):
        if not self.wire:
            return super().listen(*args, **kw)
        os.makedirs(self.ctx.sockets, exist_ok=True)  # gone when the test starts anew
        path = os.path.join(self.ctx.sockets, f"c{self.ctx.nguests}")
        self.proxy = Proxy(self.g, path, tap=open(self.wire, "wb", buffering=0))
        return self.ctx.collector(None, "--uds", path, *args, **kw)

    def fill(self, args="", name="zoo"):
        """Loads and fills the zoo; returns what only this run knows."""
        self.pids[name] = self.g.start(f"zoofill {args} /zoo.bpf.o", log=f"/tmp/{name}")
        self.g.wait_for(f"grep -qE '^attached|scxrun:' /tmp/{name} || ! [ -d /proc/{self.pids[name]} ]", timeout=60)
        out = self.g.sh(f"cat /tmp/{name}")
        assert "attached" in out, out
        facts = json.loads(re.search(r"^facts (\{.*\})$", out, re.M).group(1))
        with open(os.path.join(self.ctx.tmp, f"facts-{name}.json"), "w") as out:
            json.dump(facts, out)
        for what, errno in facts["skipped"].items():
            print(f"# {what}: this kernel does not make it (errno {errno})", flush=True)
        return facts

    def fail(self, name="zoo", **more):
        """Makes the scheduler fail; returns the report and its path.  All maps stay as they are."""
        started = time.monotonic()
        self.g.sh(f"kill -USR1 {self.pids[name]}")
        wait_host(lambda: self.g.check() or len(self.paths()) > self.taken, 150, "a report")
        self.seconds = time.monotonic() - started
        report = self.report(**more)
        self.g.wait_for(f"grep -q ^exit /tmp/{name}")
        kind, msg = exit_line(self.g.sh(f"cat /tmp/{name}"))
        assert kind == 1025 and "the zoo is open" in msg, (kind, msg)
        return report, self.paths()[self.taken - 1]

    def close(self, name="zoo"):
        """Ends the loader: its maps go."""
        self.g.sh(f"kill {self.pids[name]}")
        self.g.wait_for(f"! [ -d /proc/{self.pids[name]} ]")


# ------------------------------------------------------------ what is expected

def anything(_):
    """whatever it is"""
    return True


def kva(v):
    """a kernel address"""
    return isinstance(v, int) and v >> 63 == 1


def label(pattern):
    def match(v):
        return isinstance(v, str) and re.fullmatch(pattern, v) is not None
    match.__doc__ = f"a text like {pattern}"
    return match


def per_cpu(number, key, cpus=4):
    return [small(seed(number, cpu, key)) for cpu in range(cpus)]


def entries(number, keys):
    """Entries of a hash of struct zoo_small: (n, key node, key bytes)."""
    return {"entries": [{"key": node, "key_hex": raw.hex(" "), "value": small(seed(number, 0, n)),
                         "value_hex": small_raw(seed(number, 0, n)).hex(" ")} for n, node, raw in keys]}


def u32_keys(count):
    return [(k, z.UInt(32, k), u32(k)) for k in range(count)]


def array(values, error=None):
    """Key 0 is ktstr's "value"; all are in "array_entries"."""
    values = list(values)
    out = {"value": values[0]}
    if len(values) > 1:
        out["array_entries"] = [{"key": k, "value": v} for k, v in enumerate(values)]
        out["error"] = f"multi-entry ARRAY: only key 0 of {len(values)} shown"
    return out


def slots(found, scanned=8, hashed=False):
    """found: {index or key: more}.  A hash has no indices."""
    rows = []
    for k, more in found.items():
        where = {"key_hex": u32(k).hex(" ")} if hashed else {"index": k}
        rows.append({**where, "kva": kva, **({} if "object" in more else {"?object": anything}), "?key": anything,
                     "?id": anything, **more})
    out = {"populated": len(found), "scanned": len(found) if hashed else scanned, "slots": rows}
    if not hashed:
        out["indices"] = list(found)
    return {"fd_array": out}


def sections(f):
    """The program's own sections, by the name of their map: {variable: node}."""
    vars_ = {}
    for i in range(4):
        vars_[i] = z.pair(z.mix(seed(z.BSS, 0, 1), i), z.mix(seed(z.BSS, 0, 2), i))
    nothing = z.Struct("exit_record", ("seen", z.UInt(32, 0)), ("kind", z.UInt(32, 0)), ("code", z.Int(64, 0)),
                       ("reason", z.chars(b"", 64)), ("msg", z.chars(b"", 512)))
    void = label(r"arena chase target type id 0 is void; .*")
    return {
        "zoo.bss": {
            "bss_all": z.zoo_all(seed(z.BSS, 0, 0)), "bss_pairs": z.Array(vars_.values()),
            "arena_head": z.arena_list(f["arena"]), "arena_page": z.Ptr(f["arena_page"], deref_skipped_reason=void),
            "kptr_pids": z.Array(z.Int(32, p) for p in f["pids"]),
            "kptr_cgroups": z.Array(z.UInt(64, c) for c in f["cgroups"]),
            "fill_error": z.Int(32, 0), "stack_tgid": z.UInt(32, 0), "stack_skip": z.UInt(32, 0), "want_fail": z.UInt(32, 0),
            "ring_produced": z.UInt(32, z.RING_CONSUMED + 6), "exit_record": nothing,
        },
        "zoo.data": {
            "data_neg": z.Int(64, -1234567890123456789), "data_big": z.UInt(64, 0xfedcba9876543210),
            "data_text": z.chars(b"quote \" back \\ tab \t end", 32),
            "data_flex": z.Struct(None, ("nr", z.UInt(32, 3)),
                                  ("pairs", z.Array(z.pair(i, -i) for i in (1, 2, 3)))),
            "data_color": z.Enum(32, -3, z.COLOR, True), "data_uwide": z.Enum(64, 0xfedcba9876543210, z.UWIDE, False),
            "stack_id": z.Int(64, f["stack_id"]), "user_stack_id": z.Int(64, f["user_stack_id"]),
            "build_id_stack_id": z.Int(64, f["build_id_stack_id"]),
            "die._fmt": z.chars(b"ktdump selftest: no room for a record\0", 38),
            "die._fmt.1": z.chars(b"ktdump selftest: the zoo is open, %d records\0", 45),
        },
        ".data.float": {
            "f_double": z.Float(64, 3.141592653589793), "f_float": z.Float(32, -0.15625),
            "f_doubles": z.Array((z.Float(64, 1e300), z.Float(64, -0.0), z.Float(64, 5e-324))),
            "f_nan": z.Bytes(struct.pack("<I", 0x7fc00000)), "f_inf": z.Bytes(struct.pack("<Q", 0xfff << 52)),
            "f_last": z.Int(16, -3),
        },
        "zoo.rodata": {"rodata_all": z.zoo_all(seed(z.RODATA, 0, 0)), "rodata_neg": z.Int(32, -42),
                       "rodata_name": z.chars(b"zoo\x01\xff\0", 6)},
        ".data.x": {"x_small": small(seed(z.DATA_X, 0, 0)), "x_neg": z.Int(32, -77),
                    "x_static": z.UInt(64, 0x0123456789abcdef)},
    }


def queue_value(number, i):
    """The kernel takes no types for these maps."""
    return {"key_hex": "", "value_hex": small_raw(seed(number, 0, i)).hex(" ")}


def ring(number, positions, records):
    """positions: consumer, producer, pending; records: (position, number of the event, flags)."""
    consumer, producer, pending = positions
    return {
        "ringbuf": {"capacity": 4096, "consumer_pos": consumer, "producer_pos": producer, "pending_pos": pending,
                    "pending_bytes": producer - consumer},
        "ringbuf_records": [{"pos": pos, "len": 32, "hex": z.event_raw(number, nr).hex(" "), **flags}
                            for pos, nr, flags in records],
    }


def rings():
    step = 40  # a header of 8 bytes, an event of 32
    first = z.RING_CONSUMED * step
    kernel = [(1000, {}), (1001, {}), (1002, {}), (1003, {"discarded": True}), (1004, {}), (1005, {}),
              (0xb051, {"busy": True})]
    user_first = z.USER_RING_DRAINED * step
    user = [(z.USER_RING_DRAINED + i, {"discarded": True} if i == 2 else {}) for i in range(5)]
    # The oldest record that somebody still writes to is the last one.
    return {
        "z_ringbuf": ring(z.RINGBUF, (first, first + 7 * step, first + 6 * step),
                          [(first + i * step, nr, flags) for i, (nr, flags) in enumerate(kernel)]),
        "z_user_ringbuf": ring(z.USER_RINGBUF, (user_first, user_first + 5 * step, 0),
                               [(user_first + i * step, nr, flags) for i, (nr, flags) in enumerate(user)]),
    }


def stacks(f):
    def pcs(words):
        while words and not words[-1]:
            words = words[:-1]
        return words

    def bucket(n, words, build_id=False):
        words = pcs(words)
        if build_id:
            words += [0] * (-len(words) % 4)
        out = {"bucket_id": n, "nr": len(words) // (4 if build_id else 1),
               "data_hex": struct.pack(f"<{len(words)}Q", *words).hex(" ")}
        return out if build_id else {**out, "pcs": words}
    both = [bucket(f["stack_id"], f["stack"]), bucket(f["user_stack_id"], f["user_stack"])]
    return {
        "z_stack_trace": {"stack_trace": {"n_buckets": 4096, "entries": sorted(both, key=lambda b: b["bucket_id"])}},
        "z_stack_bid": {"stack_trace": {"n_buckets": 64, "entries": [
            bucket(f["build_id_stack_id"], f["build_id_stack"], True)]}},
    }


def storage(number, owners):
    """owners: what the label of each owner looks like.  Entries in the order of their values."""
    rows = [{"key": z.Ptr(kva, ktdump_label=label(o)), "key_hex": anything, "value": small(seed(number, 0, i)),
             "value_hex": small_raw(seed(number, 0, i)).hex(" ")} for i, o in enumerate(owners)]
    return {"entries": sorted(rows, key=lambda e: e["value_hex"])}


def kptr(f, i):
    mask = task = cgrp = local = z.Ptr(0)
    if i < z.N_KPTR - 1:
        mask = z.Ptr(kva, deref={"kind": "cpu_list", "cpus": ("0,3", "1,3", "2-3")[i]})
        task = z.Ptr(kva, ktdump_label=label(rf"task {f['pids'][i]} zoo-owner-{i}"))
        cgrp = z.Ptr(kva, ktdump_label=label(rf"cgroup {f['cgroups'][i]} .*zoo-{i}"))
        local = z.Ptr(kva, deref=z.Struct("local", ("minus", z.Int(32, -i)),
                                          ("mask", z.Ptr(kva, deref={"kind": "cpu_list", "cpus": str(i & 1)})),
                                          ("end", z.UInt(64, z.mix(seed(z.KPTR, 0, i), 1)))))
    return z.Struct("kptrs", ("tag", z.UInt(32, 0x4b505452 + i)), ("mask", mask), ("task", task), ("cgrp", cgrp),
                    ("local", local), ("end", z.UInt(64, z.mix(seed(z.KPTR, 0, i), 0))))


def lpm_key(k):
    addr = bytes((10 if k else 0, k, k * 7 & 255, k * 13 & 255))
    length = 7 + k if k else 0
    return (k, z.Struct("zoo_lpm_key", ("prefixlen", z.UInt(32, length)),
                        ("addr", z.Array(z.UInt(8, b) for b in addr))), u32(length) + addr)


def cgroup_key(f, i):
    # The second member is an enum of the kernel: the name of its value is the kernel's too.
    node = z.Struct("bpf_cgroup_storage_key", ("cgroup_inode_id", z.UInt(64, f["cgroups"][i])),
                    ("attach_type", z.UInt(32, 1)))
    return i, node, struct.pack("<QI4x", f["cgroups"][i], 1)


def cgroup_object(f, i):
    return {"kind": "cgroup", "id": f["cgroups"][i], "name": label(f".*zoo-{i}")}


def expected(f):
    """{name: what an entry of "maps" says beyond its name, type and sizes}."""
    cpus = f["cpus"]
    out = {
        "z_array": array([z.zoo_all(seed(z.ARRAY, 0, 0))]),
        "z_array_multi": array(z.zoo_all(seed(z.ARRAY_MULTI, 0, k)) for k in range(z.N_MULTI)),
        "z_array_mmap": array(small(seed(z.ARRAY_MMAP, 0, k)) for k in range(z.N_MMAP)),
        "z_array_untyped": array(z.Bytes(bytes(range(16 * k, 16 * k + 13))) for k in range(2)),
        "z_percpu_array": {"percpu_entries": [{"key": k, "per_cpu": per_cpu(z.PERCPU_ARRAY, k, cpus)}
                                              for k in range(z.N_PERCPU_ARRAY)]},
        "z_hash_nopre": entries(z.HASH_NOPRE, [(k, z.UInt(64, k << 40 | k), struct.pack("<Q", k << 40 | k))
                                               for k in range(z.N_HASH_NOPRE)]),
        "z_hash_untyped": {"entries": [{"key_hex": bytes((k, *range(16 * k + 1, 16 * k + 5))).hex(" "),
                                        "value_hex": bytes(range(16 * k + 3, 16 * k + 14)).hex(" ")} for k in range(2)]},
        "z_hash_empty": {},
        "z_lru": entries(z.LRU, u32_keys(z.N_LRU)),
        "z_big": entries(z.BIG, u32_keys(z.N_BIG)),
        "z_lpm": entries(z.LPM, [lpm_key(k) for k in range(z.N_LPM)]),
        "z_task": storage(z.TASK, [rf"task {p} zoo-owner-{i}" for i, p in enumerate(f["pids"])]),
        "z_cgrp": storage(z.CGRP, [rf"cgroup {c} .*zoo-{i}" for i, c in enumerate(f["cgroups"])]),
        "z_inode": storage(z.INODE, [rf"inode {n}\b.*" for n in f["inodes"]]),
        "z_sk": storage(z.SK, [r"sock\b.*"] * z.N_OWNERS),
        "z_queue": {"entries": [queue_value(z.QUEUE, i) for i in (3, 4, 5, 6, 7, 8, 9, 10)]},
        # A stack: the three that came last were taken, three more were put on it.
        "z_stack": {"entries": [queue_value(z.STACK, i) for i in (0, 1, 2, 3, 4, 8, 9, 10)]},
        "z_kptr": array(kptr(f, i) for i in range(z.N_KPTR)),
        "z_cgroup_st": entries(z.CGROUP_STORAGE, [cgroup_key(f, i) for i in range(2)]),
        "z_prog_array": slots({1: {"prog_id": f["prog_array"][0]}, 3: {"prog_id": f["prog_array"][1]}}),
        "z_perf_array": slots({cpu: {} for cpu in range(cpus)}),
        "z_cgroup_array": slots({7 - i: {"object": cgroup_object(f, i)} for i in (3, 2, 1, 0)}),
        "z_devmap": slots({1: {"ifindex": 1}, 6: {"ifindex": 1}}),
        "z_devmap_hash": slots({100: {"ifindex": 1}, 70000: {"ifindex": 1}}, hashed=True),
        "z_cpumap": slots({0: {}, 2: {}}, scanned=4),
        "z_sockmap": slots({0: {}, 5: {}}),
        "z_sockhash": slots({1000: {}, 1001: {}}, hashed=True),
        "z_xskmap": slots({2: {}}),
        "z_reuseport": slots({0: {}, 3: {}}),
        "z_array_of_maps": slots({2 * i: {"map_id": f["inner"][i]} for i in range(z.N_INNER)}),
        **rings(), **stacks(f),
    }
    for name, number in (("z_percpu_hash", z.PERCPU_HASH), ("z_pcpu_hash_np", z.PERCPU_HASH_NOPRE),
                         ("z_lru_percpu", z.LRU_PERCPU)):
        out[name] = {"percpu_hash_entries": [{"key": z.UInt(32, k), "key_hex": u32(k).hex(" "),
                                              "per_cpu": per_cpu(number, k, cpus)} for k in range(z.N_PERCPU_HASH)]}
    keys = [cgroup_key(f, i) for i in range(2)]
    out["z_pcpu_cgrp_st"] = {"percpu_hash_entries": [
        {"key": node, "key_hex": raw.hex(" "), "per_cpu": per_cpu(z.PERCPU_CGROUP_STORAGE, i, cpus)}
        for i, node, raw in keys]}
    out["z_hash"] = {"entries": [{"key": z.Struct("zoo_key", ("id", z.UInt(32, k)), ("minus", z.Int(32, -k))),
                                  "key_hex": struct.pack("<Ii", k, -k).hex(" "),
                                  "value": z.zoo_all(seed(z.HASH, 0, k)), "value_hex": anything}
                                 for k in range(z.N_HASH)]}
    for i in range(z.N_INNER):
        out[f"z_inner{i}"] = array(small(seed(z.INNER, i, k)) for k in range(2))
    out["z_hash_of_maps"] = {"entries": [
        {"key_hex": u32(100 * i).hex(" "), "value": z.UInt(32, f["inner"][i]),
         "value_hex": u32(f["inner"][i]).hex(" "), "kva": kva, "?object": anything} for i in range(z.N_INNER)]}
    if "z_rhash" not in f["skipped"]:
        out["z_rhash"] = entries(z.RHASH, u32_keys(z.N_RHASH))
    for name, members in sections(f).items():
        out[name] = {"value": {"kind": "struct", "type_name": name.replace("zoo", ""), "members": members}}
    out[".rodata.str1.1"] = {"value": {"kind": "bytes", "hex": r'lit\x01"\ \xc3\xa9\x00'}}
    return out


HEADER = ("name", "map_type", "value_size", "max_entries", "map_kva")


SECTIONS = ("zoo.bss", "zoo.data", "zoo.rodata", ".data.x", ".data.float")


def by_key(rows):
    return sorted(rows, key=lambda e: bytes.fromhex(e["key_hex"])[::-1])


def in_order(name, got):
    """An entry of "maps", or of expected(), with an order for what the kernel keeps in none."""
    got = dict(got)
    for key in ("entries", "percpu_hash_entries"):
        if key in got and name in ("z_task", "z_cgrp", "z_inode", "z_sk"):
            got[key] = sorted(got[key], key=lambda e: e["value_hex"])
        elif key in got and name not in ("z_queue", "z_stack"):
            got[key] = by_key(got[key])
    if name in ("z_devmap_hash", "z_sockhash") and "slots" in got.get("fd_array", ()):
        got["fd_array"] = {**got["fd_array"], "slots": by_key(got["fd_array"]["slots"])}
    if isinstance(got.get("value", {}).get("members"), list) and name in SECTIONS:
        members = {m["name"]: m["value"] for m in got["value"]["members"]}
        assert len(members) == len(got["value"]["members"]), f"{name}: a variable is there twice"
        got["value"] = {**got["value"], "members": members}
    return got


def content_of(name, got):
    """What is left without the names and sizes."""
    return {k: v for k, v in in_order(name, got).items() if k not in HEADER}


def named(report, name):
    found = [m for m in report["maps"] if m["name"] == name]
    assert len(found) == 1, f"{len(found)} maps are named {name}"
    return found[0]


def late(report):
    """Maps that a busy host has left no time for."""
    # The last ones may have no row about their content either.
    none = "deadline" if report["ktdump"]["freeze"]["truncated_at_us"] is not None else "?"
    return {m["name"] for m in report["ktdump"]["maps"] if m.get("content", {"cut": none})["cut"] == "deadline"}


def check_zoo(report, f, skip=()):
    """Every leaf of every map of the zoo; returns how many there were."""
    if late(report):
        raise HostStall(f"no time for {late(report)}")
    diff = Diff()
    for name, want in expected(f).items():
        got = named(report, name)
        if name not in skip:
            diff.same(name, in_order(name, want), content_of(name, got))
    check_special(report, f, diff)
    check_arena(report, f, diff)
    assert not diff.bad, "\n".join(diff.bad)
    return diff.leaves


def check_special(report, f, diff):
    """What has values that only the kernel knows."""
    got = named(report, "z_special")["value"]
    diff.same("z_special", z.Struct(
        "special", ("before", z.UInt(64, 1)), ("lock", anything), ("between", z.UInt(32, 2)),
        ("timer", anything), ("after", z.UInt(64, 3))), got)

    ops = {m["name"]: m["value"] for m in named(report, "zoo")["value"]["members"]}
    used = ("select_cpu", "enqueue", "running", "init", "exit")
    # The kernel's own pointer to what it made of the operations.
    diff.same("zoo.priv", True, ops.pop("priv")["value"] == map_facts(report, "zoo")["owner_sched"])
    for name, node in ops.items():
        if node["kind"] == "ptr":
            # 7.2 has ids of programs here, 7.3 has addresses.
            diff.same(f"zoo.{name}", z.Ptr((lambda v: v != 0) if name in used else 0, **{
                k: anything for k in node if k not in ("kind", "value")}), node)
    # The kernel's own chars have no sign.
    diff.same("zoo.name", z.Array(z.UInt(8, b) for b in b"zoo".ljust(128, b"\0")), ops["name"])
    diff.same("zoo.timeout_ms", z.UInt(32, 20000), ops["timeout_ms"])
    diff.same("zoo.flags", z.UInt(64, 2), ops["flags"])
    diff.same("zoo.state_name", "BPF_STRUCT_OPS_STATE_READY", named(report, "zoo")["struct_ops"].get("state_name"))
    fields = {m: [(f["offset"], f["type_name"], f.get("target")) for f in map_facts(report, m)["fields"]]
              for m in ("z_kptr", "z_special")}
    ref = "BPF_KPTR_REF"
    diff.same("fields", {"z_kptr": [(8, ref, "bpf_cpumask"), (16, ref, "task_struct"), (24, ref, "cgroup"), (32, ref, "local")],
                         "z_special": [(8, "BPF_SPIN_LOCK", None), (16, "BPF_TIMER", None)]}, fields)
    links = named(report, "zoo")["struct_ops"]["links"]
    diff.same("zoo.links", {n: "zoo_" + n for n in used}, {r["name"]: r["prog"] for r in links})

    if "z_insn_array" not in f["skipped"]:
        insns = named(report, "z_insn_array")
        for k, e in enumerate(insns["array_entries"]):
            orig, xlated, jitted, zero = struct.unpack("<4I", bytes.fromhex(e["value"]["hex"]))
            # The position in the compiled program grows; nobody but the kernel knows it.
            diff.same(f"z_insn_array[{k}]", [k, k + 1, k + 1, 0], [e["key"], orig, xlated, zero])
            diff.same(f"z_insn_array[{k}]", True, jitted > 0)
        diff.same("z_insn_array", 2, len(insns["array_entries"]))

    bloom = named(report, "z_bloom")["bloom_filter"]
    bits = int.from_bytes(bytes.fromhex(bloom["bitset_hex"]), "little")
    want = z.bloom_bits(bloom["hash_seed"], bloom["nr_hash_funcs"], bloom["bitset_mask"])
    diff.same("z_bloom", sorted(want), [i for i in range(bits.bit_length()) if bits >> i & 1])
    diff.same("z_bloom.popcount", len(want), bloom["popcount"])
    diff.same("z_bloom.nr_hash_funcs", 4, bloom["nr_hash_funcs"])


def check_arena(report, f, diff):
    """3,000 pages byte by byte, and none where the holes are."""
    arena = named(report, "z_arena")["arena"]
    want = z.arena_pages(f["arena"], f["arena_page"])
    got = {p["user_addr"]: bytes(p["bytes"]) for p in arena.get("pages", ())}
    diff.same("z_arena.pages", len(want), len(got))
    for addr in want.keys() | got.keys():
        diff.leaves += z.PAGE
        if want.get(addr) != got.get(addr):
            diff.note(f"z_arena page {(addr - f['arena']) // z.PAGE}", want.get(addr, b"a hole")[:32].hex(),
                      got.get(addr, b"nothing")[:32].hex())
    diff.same("z_arena", [z.ARENA_MAX, f["arena"], True, False],
              [arena["declared_pages"], arena["user_vm_start"], kva(arena["kern_vm_start"]), "truncated" in arena])


# -------------------------------------------------------------- beside bpftool

def bpftool_maps(g):
    """{name: id} of the maps that a plain lookup or walk can read."""
    return {m["name"]: m["id"] for m in json.loads(g.sh("bpftool -j map show", timeout=60))}


def compare_bpftool(r, report, f):
    """Every leaf that bpftool and the report both show; returns (leaves, bytes, seconds)."""
    diff, size, started = Diff(), 0, time.monotonic()
    ids = {m["id"]: m["name"] for m in json.loads(r.g.sh("bpftool -j map show", timeout=60)) if m.get("name")}
    for map_id, name in ids.items():
        if not re.match(r"z_|zoo|\.data|\.rodata", name):
            continue
        rows, nbytes = bpftool.dump(r.g, map_id)
        size += nbytes
        seconds = time.monotonic() - started
        if name == "zoo":
            beside_ops(diff, named(report, name), rows[0]["formatted"]["value"]["data"])
        else:
            beside_map(diff, name, named(report, name), rows)
    assert not diff.bad, "\n".join(diff.bad)
    assert diff.leaves > 40000, f"only {diff.leaves} leaves were compared"
    return diff.leaves, size, seconds


def beside_map(diff, name, got, rows):
    """rows: what bpftool says of one map; got: what the report says of it."""
    before = diff.leaves
    listed = {}
    for e in got.get("entries", ()):
        listed[e["key_hex"]] = ("value", e)
    for e in got.get("array_entries", ()):
        listed[u32(e["key"]).hex(" ")] = ("value", e)
    if "value" in got and not got.get("array_entries"):
        listed[u32(0).hex(" ")] = ("value", {"value": got["value"]})
    for e in got.get("percpu_entries", ()):
        listed[u32(e["key"]).hex(" ")] = ("percpu", e)
    for e in got.get("percpu_hash_entries", ()):
        listed[e["key_hex"]] = ("percpu", e)
    for e in got.get("fd_array", {}).get("slots", ()):
        listed[e["key_hex"] if "key_hex" in e else u32(e["index"]).hex(" ")] = ("slot", e)
    for e in got.get("stack_trace", {}).get("entries", ()):
        listed[u32(e["bucket_id"]).hex(" ")] = ("stack", e)
    readable = False
    for row in rows:
        key = bpftool.raw(row["key"]).hex(" ")
        if "error" in row.get("value", ()):
            # An empty slot; or a type that cannot be looked up.
            if row["value"]["error"] == "No such file or directory" and key in listed:
                diff.note(f"{name}[{key}]", "nothing (bpftool)", listed[key])
            continue
        readable = True
        if key not in listed:
            diff.note(f"{name}[{key}]", "an element (bpftool)", "nothing")
            continue
        how, e = listed.pop(key)
        beside_row(diff, f"{name}[{key}]", how, e, row)
    if readable and listed:
        diff.note(name, "no more elements (bpftool)", sorted(listed)[:5])
    if readable and diff.leaves == before:
        diff.note(name, f"{len(rows)} elements (bpftool)", "nothing that can be compared")


def beside_row(diff, path, how, e, row):
    fmt = row.get("formatted", {})
    if "key" in e and isinstance(fmt.get("key"), dict):
        bpftool.beside(diff, path + " key", e["key"], fmt["key"])
    if how == "percpu":
        for cpu, v in enumerate(fmt["values"]):
            bpftool.beside(diff, f"{path}.cpu{cpu}", e["per_cpu"][v["cpu"]], v["value"])
        diff.same(path, len(row["values"]), len(e["per_cpu"]))
        return
    data = bpftool.raw(row["value"])
    if how == "stack":
        mine = bytes.fromhex(e["data_hex"])
        diff.same(path, data, mine.ljust(len(data), b"\0"))
    elif how == "slot":
        ident = [e[k] for k in ("prog_id", "map_id", "ifindex") if k in e]
        # The value of the others is something that is not in the kernel's slot.
        diff.same(path, int.from_bytes(data, "little") if ident else True, ident[0] if ident else e["kva"] != 0)
    else:
        if "value_hex" in e:
            diff.same(path + " bytes", data.hex(" "), e["value_hex"])
        beside_value(diff, path, e.get("value"), fmt.get("value"), data)


def beside_value(diff, path, node, fmt, data):
    """data: the bytes, for values of which bpftool knows no type, or does not read it to its end."""
    if fmt is None:
        if node and node["kind"] == "bytes" and re.fullmatch(r"([0-9a-f]{2} ?)*", node["hex"]):
            diff.same(path, data.hex(" "), node["hex"])
        elif node and node["kind"] == "bytes":
            text = "".join(chr(b) if 0x20 <= b <= 0x7e else f"\\x{b:02x}" for b in data)
            diff.same(path, text, node["hex"])
        return
    if node["kind"] == "struct" and list(fmt) == [node["type_name"]] and isinstance(fmt[node["type_name"]], list):
        # A section: a list of variables.
        fmt = {k: v for var in fmt[node["type_name"]] for k, v in var.items()}
        members = {m["name"]: m["value"] for m in node["members"]}
        if node["type_name"] == ".data.float":
            beside_floats(diff, path, members, data)
        for name, v in fmt.items():
            # The kernel told it what became of the scheduler after the report was made.
            if name == "exit_record" or v == "unsupported":
                continue
            if name not in members:
                diff.note(path, f"{name} (bpftool)", "nothing")
            else:
                bpftool.beside(diff, f"{path}.{name}", members[name], v)
        return
    bpftool.beside(diff, path, without_kernel(node), without_kernel_fmt(node, fmt))


def beside_ops(diff, got, fmt):
    """User space sees its own copy of the operations: ids of programs where the kernel has addresses."""
    progs = {link["name"]: link["prog_id"] for link in got["struct_ops"]["links"]}
    for m in got["value"]["members"]:
        name, node = m["name"], m["value"]
        if name in ("priv", "exit_dump_len"):
            continue  # the kernel has filled these in in its own copy
        if node["kind"] == "ptr":
            diff.same(f"zoo.{name}", fmt[name], progs.pop(name, 0))
        else:
            bpftool.beside(diff, f"zoo.{name}", node, fmt[name])
    diff.same("zoo", {}, progs)


def beside_floats(diff, path, members, data):
    """bpftool shows no floats, but their bytes."""
    flat = [members["f_double"], *members["f_doubles"]["elements"], members["f_float"]]
    for i, (at, fmt) in enumerate(((0, "<d"), (16, "<d"), (24, "<d"), (32, "<d"), (8, "<f"))):
        diff.same(f"{path} float {i}", data[at:at + struct.calcsize(fmt)], struct.pack(fmt, flat[i]["value"]))
    diff.same(path, data[40:44].hex(" "), members["f_nan"]["hex"])
    diff.same(path, data[48:56].hex(" "), members["f_inf"]["hex"])


def special_members(node):
    """Members whose bytes the kernel keeps from user space: kptrs, locks, timers."""
    return {m["name"] for m in node["members"]} & {"mask", "task", "cgrp", "local", "lock", "timer"} \
        if node["kind"] == "struct" and node["type_name"] in ("kptrs", "special") else set()


def without_kernel(node):
    skip = special_members(node)
    return {**node, "members": [m for m in node["members"] if m["name"] not in skip]} if skip else node


def without_kernel_fmt(node, fmt):
    skip = special_members(node)
    return {k: v for k, v in fmt.items() if k not in skip} if skip else fmt


# ------------------------------------------------------------------------ tests

def wire_bytes(path):
    """Bytes by table of a recorded stream."""
    tables = "hello begin cpu sched rq dsq list task stack cputime numa prog map event counter freeze section " \
             "missing exit text symbol enum end firing mem record content fact field object btf blob".split()
    out = {}
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at + 24 <= len(data):
        _, _, _, table, size = struct.unpack_from("<IBBHI", data, at)
        name = tables[table - 1] if 0 < table <= len(tables) else "none"
        out[name] = out.get(name, 0) + 24 + size
        at += 24 + size
    return out


def replay(ctx, record, out, cache):
    """The report made anew from a recorded stream, and what that took: (path, seconds, peak MB)."""
    os.makedirs(out)
    with open(os.path.join(ctx.tmp, "again.out"), "w+") as said:
        cost = ktcost.run([os.path.join(ctx.build, "bin", "ktcollect"), "-q", "--btf-cache", cache, "-o", out + "/", record], stdout=said)
        said.seek(0)
        paths = said.read().split()
    assert len(paths) == 1, paths
    return paths[0], cost.seconds, cost.peak / 1e6


def same_file(a, b):
    def digest(path):
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    assert digest(a) == digest(b), f"{a} and {b} differ"


def cost(report):
    """One line about what the capture cost."""
    fr = report["ktdump"]["freeze"]
    maps = report["ktdump"]["maps"]
    ns = sum(m["content"]["ns"] or 0 for m in maps if "content" in m)
    taken = sum(m["content"]["bytes"] or 0 for m in maps if "content" in m)
    return (f"captured {fr['bytes'] / 1e6:.2f} MB while parked, held {fr['held_ns'] / 1e6:.1f} ms; maps "
            f"{taken / 1e6:.2f} MB in {ns / 1e6:.1f} ms, {taken / max(ns, 1) * 1e3:.0f} MB/s")


def within_cap(report):
    fr = report["ktdump"]["freeze"]
    if fr["gave_up"]:
        raise HostStall(f"a CPU left by its own deadline: {fr}")
    assert fr["held_ns"] <= fr["cap_ns"] * 2, fr


def test_contents(ctx):
    """Every leaf of every map: by formula, and beside bpftool; the recording makes the same report."""
    record, cache = os.path.join(ctx.tmp, "stream"), os.path.join(ctx.tmp, "btf")
    with Zoo(ctx, collect=("--record", record, "--btf-cache", cache)) as r:
        f = r.fill()
        report, path = r.fail()
        within_cap(report)
        leaves = check_zoo(report, f)
        print(f"# {leaves} leaves are what the formulas say", flush=True)
        both, size, took = compare_bpftool(r, report, f)
        print(f"# {both} leaves are the same in bpftool", flush=True)
        r.close()
        r.no_more_reports()
        again, took_again, peak = replay(ctx, record, os.path.join(ctx.tmp, "again"), cache)
        same_file(path, again)
        mb = os.path.getsize(record) / 1e6
        print("# " + cost(report), flush=True)
        print(f"# {mb:.1f} MB on the wire, report {os.path.getsize(path) / 1e6:.1f} MB {r.seconds:.1f} s after the failure; made "
              f"anew in {took_again:.2f} s ({mb / took_again:.0f} MB/s of stream), {peak:.0f} MB of memory", flush=True)
        print(f"# bpftool -j map dump of the same maps: {size / 1e6:.2f} MB of JSON in {took:.1f} s", flush=True)


def stated(report, f):
    """Maps that are not whole say so, whatever was cut; returns their names."""
    if "maps" not in report["ktdump"]:
        raise HostStall(f"it was over before the first map: {report['ktdump']['freeze']}")
    cut, facts = set(), {m["name"]: m for m in report["ktdump"]["maps"]}
    if set(expected(f)) - set(facts) and any(m["section"] == "map" for m in report["ktdump"]["missing"]):
        raise HostStall(f"it was over before the last map: {report['ktdump']['freeze']}")
    for name, want in expected(f).items():
        diff = Diff()
        try:
            diff.same(name, in_order(name, want), content_of(name, named(report, name)))
            bad = diff.bad
        except (KeyError, AssertionError) as e:
            bad = [repr(e)]
        # What a pointer leads to is the arena's, and its node gives a reason.
        bad = [b for b in bad if ".deref" not in b]
        if bad:
            assert facts[name].get("content", {}).get("cut") or named(report, name).get("error"), f"{name} is not whole and does not say so: {bad[0]}"
            cut.add(name)
    return cut


def test_limits(ctx):
    """Limits cut what is large, say so with numbers, and leave the small maps whole."""
    with Zoo(ctx, insmod=False) as r:
        r.insmod("buf_mib=64 max_map_entries=1000")
        f = r.fill()
        report, _ = r.fail(whole=False)
        cut = stated(report, f)
        assert cut - late(report) <= {"z_big"}, cut
        if "z_big" in late(report):
            raise HostStall("no time for 1000 elements")
        big, facts = named(report, "z_big"), map_facts(report, "z_big")["content"]
        assert len(big["entries"]) == 1000 and facts["cut"] == "entries" and facts["taken"] == 1000, facts
        assert facts["limit"] == 1000 and "1000" in big["error"], (facts, big["error"])
        wanted = {u32(k).hex(" "): small(seed(z.BIG, 0, k)) for k in range(z.N_BIG)}
        assert all(wanted[e["key_hex"]] == e["value"] for e in big["entries"])
        assert len({e["key_hex"] for e in big["entries"]}) == 1000
        r.close()
        r.rmmod()

        # A foreign map that is larger than the buffer.
        r.insmod("buf_mib=4")
        f = r.fill("--foreign 100000")
        report, _ = r.fail(whole=False)
        cut = stated(report, f)
        assert "foreign" in [m["name"] for m in report["maps"] if m.get("error")], "the foreign map was not cut"
        assert cut - late(report) <= {"z_big"}, cut
        arena = map_facts(report, "z_arena")["content"]
        assert arena["cut"] and 0 < arena["taken"] < arena["seen"], arena
        r.close()
        r.rmmod()

        # No time: what is missing says so, and all of it is in the books.
        r.insmod("buf_mib=64 freeze_max_ms=90")
        f = r.fill()
        report, _ = r.fail(whole=False)
        held = report["ktdump"]["freeze"]["held_ns"] / 1e6
        if "maps" in report["ktdump"]:
            cut = stated(report, f)
            print(f"# with 90 ms: {len(cut)} of {len(expected(f))} maps are not whole, held {held:.1f} ms", flush=True)
        else:
            # A busy host: it was over before the first map.
            assert any(m["section"] == "map" for m in report["ktdump"]["missing"]), report["ktdump"]["missing"]
            print(f"# with 90 ms: no maps at all, held {held:.1f} ms", flush=True)
        r.close()


def map_facts(report, name):
    found = [m for m in report["ktdump"]["maps"] if m["name"] == name]
    assert len(found) == 1, f"{len(found)} maps are named {name}"
    return found[0]


def test_btf_cache(ctx):
    """BTF travels once: not for the second snapshot, not for the next guest; a lost cache is made anew."""
    cache, wires, kernel = os.path.join(ctx.tmp, f"btf{ctx.nguests}"), [], []

    def one():
        """Bytes by table of two snapshots of one guest, and of the first of them."""
        wires.append(os.path.join(ctx.tmp, f"wire{ctx.nguests}"))
        with Zoo(ctx, wire=wires[-1], collect=("--btf-cache", cache)) as r:
            first = None
            for name in ("zoo", "zoo2"):
                f = r.fill(name=name)
                report, _ = r.fail(name=name, whole=False, schemas=False)
                # The small ones at least were rendered with it, and so was the kernel's own type.
                cut = stated(report, f)
                assert cut <= late(report) and "z_array" not in cut, cut
                assert any(m["name"] == "timeout_ms" for m in named(report, "zoo")["value"]["members"])
                r.close(name=name)
                first = first or wire_bytes(wires[-1])
            kernel.append(int(r.g.sh("wc -c </sys/kernel/btf/vmlinux")))
            r.no_more_reports()
            return first, wire_bytes(wires[-1])

    first, both = one()
    assert first["blob"] > kernel[0] > 1 << 20, (first, kernel)
    assert both["blob"] == first["blob"], "BTF was sent twice to the same collector"
    _, again = one()
    assert again.get("blob", 0) == 0, f"the next guest sent BTF although there is a cache: {again}"
    for name in os.listdir(cache):
        os.unlink(os.path.join(cache, name))
    anew, _ = one()
    assert anew["blob"] == first["blob"], (anew["blob"], first["blob"])
    print(f"# BTF on the wire: {first['blob'] / 1e6:.2f} MB, {both['blob'] - first['blob']} bytes for the second snapshot, "
          f"{again.get('blob', 0)} for the next guest's two, {anew['blob'] / 1e6:.2f} MB when the cache was lost; all the "
          f"rest of a snapshot: {(sum(first.values()) - first['blob']) / 1e6:.2f} MB", flush=True)


def test_two_kernels(ctx):
    """Two kernels, one cache: each gets its own BTF and is rendered right."""
    import guest
    cache = os.path.join(ctx.tmp, f"btf{ctx.nguests}")
    kernels = guest.releases()
    if len(kernels) < 2:
        ctx.skip("there is only one kernel with sched_ext in the build root")
    for release in kernels:
        files = {"/ktdump.ko": os.path.join(ctx.build, "kmod", release, "ktdump.ko"),
                 "/zoo.bpf.o": os.path.join(ctx.build, "selftests", release, "zoo.bpf.o")}
        ctx.need(*files.values())
        wire = os.path.join(ctx.tmp, "wire-" + release)
        with Zoo(ctx, files=files, release=release, wire=wire, collect=("--btf-cache", cache)) as r:
            f = r.fill()
            report, _ = r.fail()
            assert report["ktdump"]["kernel"]["release"] == release
            print(f"# {release}: {check_zoo(report, f)} leaves", flush=True)
            r.close()
            r.no_more_reports()
            assert wire_bytes(wire)["blob"] > 4 << 20, "this kernel's BTF did not come"


test_two_kernels.once = True


def test_again(ctx):
    """Five zoos, one after the other: each whole, in time, and the kernel has nothing to say."""
    with Zoo(ctx) as r:
        for i in range(5):
            f = r.fill(name=f"zoo{i}")
            report, _ = r.fail(name=f"zoo{i}", whole=False, schemas=i == 0)
            within_cap(report)
            cut = stated(report, f)
            assert cut <= late(report), f"round {i}: {cut}"
            print(f"# round {i}: {cost(report)}, {len(cut)} cut", flush=True)
            r.close(name=f"zoo{i}")


def test_lies(ctx):
    """Every so many words that are read are false: a whole stream nevertheless, a report, no fault."""
    with Zoo(ctx, "max_arena_pages=64 max_map_entries=200", files=faults(ctx)) as r:
        r.fill()
        tries = [(every, seed) for every in (3, 10, 50, 300, 3000) for seed in range(1, 9)]
        reasons = set()
        for every, seed in tries:
            r.g.sh(f"echo lie={every},{seed} >{FAULT}; echo fire >{FAULT}")
            # What lies tell about each other is nobody's rule, but the form is.
            report = r.report(whole=False, schemas=False)
            released(report)
            reasons |= {m["reason"] for m in report["ktdump"]["missing"]}
        # The kernel's unwinder reads as it likes: it was not given such a task.
        assert "a task without a stack to trust" in reasons, reasons
        r.g.sh(f"echo lie=0,0 >{FAULT}; echo fire >{FAULT}")
        all_parked(r.report(whole=False))
        r.close()
