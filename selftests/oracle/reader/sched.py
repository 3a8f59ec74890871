# SPDX-License-Identifier: GPL-2.0-only
"""Every scheduler, with its event counters."""
from drgn.helpers.linux.percpu import per_cpu_ptr

from .kernel import fill, has, num, text

DONE = 1  # SCX_EXIT_DONE


def find(k):
    """All instances: those that are linked, and the one that ends."""
    out = []
    if k.prog["scx_root"]:
        out.append(k.prog["scx_root"])
    for node in k.list(k.prog["scx_sched_all"]):
        out.append(k.around(node, "struct scx_sched", "all"))
    out.append(ending(k))
    seen, unique = set(), []
    for s in out:
        if s and num(s) not in seen:
            seen.add(num(s))
            unique.append(s)
    return unique


def ending(k):
    """The one that the trigger is about: the kernel's functions on its stack know."""
    for f in k.trace[k.trigger_cpu()]:
        if "sch" in f.locals() and not f["sch"].absent_ and f["sch"]:
            return f["sch"]
    return None


def ending_kind(k, noted):
    """A kprobe sees the exit before it is noted: then it is the function's argument."""
    return num(k.trace[k.probed][0]["kind"]) if k.probed is not None else noted


def parent(s):
    level = num(s.level) if has(s, "level") else 0
    return num(s.ancestors[level - 1]) if level else 0


def events(k, s):
    stats = [per_cpu_ptr(s.pcpu, cpu).event_stats for cpu in k.cpus] if has(s, "pcpu") else \
        [per_cpu_ptr(s.event_stats_cpu, cpu)[0] for cpu in k.cpus]
    return {m.name: sum(num(one.member_(m.name)) for one in stats) for m in stats[0].type_.members}


def facts(k, out):
    k.scheds = find(k)
    end = ending(k)
    k.ending = num(end or k.prog["scx_root"])
    rows = {}
    for s in k.scheds:
        one = rows[num(s)] = {"kva": num(s), "root": num(s) == num(k.prog["scx_root"]), "parent_kva": parent(s),
                              "name": text(s.ops.name), "cgrp_path": k.cstring(s.cgrp_path)}
        fill(one, s, level="level", id="id", sub_cgroup_id="ops.sub_cgroup_id", ops_flags="ops.flags", timeout_ms="ops.timeout_ms",
             exit_dump_len="ops.exit_dump_len", is_cid_type="is_cid_type", slice_dfl="slice_dfl", dsp_max_batch="dsp_max_batch",
             bypass_depth="bypass_depth", bypass_timestamp="bypass_timestamp",
             bypass_dsp_enable_depth="bypass_dsp_enable_depth", aborting="aborting", dead="dead", linked="linked",
             sub_attached="sub_attached", dump_disabled="dump_disabled", warned_zero_slice="warned_zero_slice",
             watchdog_timeout="watchdog_timeout", exit_kind="exit_kind", exit_info="exit_info", arena_map="arena_map",
             arena_kern_base="arena_kern_base", nr_pshards="nr_pshards")
        one["exit_kind_name"] = k.enum_name("scx_exit_kind", one["exit_kind"])
        one["ops_flag_names"] = k.flags("scx_ops_flags", one["ops_flags"])
        one["event_counters"] = events(k, s)

    def add(parent_kva):
        for one in rows.values():
            if one["parent_kva"] == parent_kva:
                out["ktdump"]["schedulers"].append(one)
                add(one["kva"])
    out["ktdump"]["schedulers"] = []
    add(0)
    kinds = {kva: one["exit_kind"] for kva, one in rows.items()}
    if end:
        one = rows[num(end)]
        kinds[num(end)] = ending_kind(k, one["exit_kind"])
        out["ktdump"]["trigger"].update(sched_kva=num(end), exit_kind=kinds[num(end)],
                                        exit_kind_name=k.enum_name("scx_exit_kind", kinds[num(end)]))
        out["scx_sched_state"] = {key: one[key] for key in ("aborting", "bypass_depth", "watchdog_timeout")}
        out["scx_sched_state"].update(sched_kva=num(end), source="live", exit_kind=kinds[num(end)])
    # What has been claimed, the one of the trigger first. Its texts are written later.
    claimed = sorted((kva for kva in rows if kinds[kva] > DONE), key=lambda kva: not end or kva != num(end))
    out["ktdump"]["exits"] = [{"sched_kva": kva, "kind": kinds[kva], "kind_name": k.enum_name("scx_exit_kind", kinds[kva])}
                              for kva in claimed]
    out["ktdump"]["freeze"]["exits"] = [v for kva in claimed for v in (kva, kinds[kva])]
