# SPDX-License-Identifier: GPL-2.0-only
"""Tasks: all on the global list, and those that were met elsewhere."""
import drgn
from drgn.helpers.linux.sched import task_state_to_char

from .kernel import fill, has, kernel_pcs, num, text
from .rq import class_name, id_name

ITER_CURSOR = 1 << 31  # SCX_TASK_CURSOR
OPS_STATES = ("SCX_OPSS_NONE", "SCX_OPSS_QUEUEING", "SCX_OPSS_QUEUED", "SCX_OPSS_DISPATCHING")
SLOW = {"native_queued_spin_lock_slowpath": "queued_spin_lock_slowpath",
        "__pv_queued_spin_lock_slowpath": "queued_spin_lock_slowpath",
        "resilient_queued_spin_lock_slowpath": "queued_spin_lock_slowpath",
        "queued_spin_lock_slowpath": "queued_spin_lock_slowpath",
        "rwsem_down_read_slowpath": "rwsem_down_read_slowpath", "rwsem_down_write_slowpath": "rwsem_down_write_slowpath"}
ENRICHED = ("pid", "tgid", "comm", "group_leader_pid", "real_parent_pid", "real_parent_comm", "pgid", "sid", "nr_threads", "prio",
            "static_prio", "normal_prio", "rt_priority", "sched_class", "core_cookie", "nvcsw", "nivcsw", "signal_nvcsw",
            "signal_nivcsw", "utime", "stime")


def global_list(k):
    """The kernel's scx_tasks; iterators leave a cursor in it that is no task."""
    out = []
    for node in k.list(k.prog["scx_tasks"]):
        ent = k.around(node, "struct sched_ext_entity", "tasks_node")
        if not num(ent.flags) & ITER_CURSOR:
            out.append(num(k.around(node, "struct task_struct", "scx.tasks_node")))
    return out


def cpu_list(k, mask):
    """"0-2,5" of a struct cpumask, of CPUs that can exist."""
    bits = [cpu for cpu in range(num(k.prog["nr_cpu_ids"])) if num(mask.bits[cpu // 64]) >> cpu % 64 & 1]
    runs = []
    for cpu in bits:
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def signal_pid(task, kind):
    pid = task.signal.pids[kind]
    return num(pid.numbers[0].nr) if pid else 0


def slowpath(k, kva):
    """The lock that the CPU which runs a task waits for, by its functions."""
    for cpu, rq in zip(k.cpus, k.rqs):
        if num(rq.curr) != kva:
            continue
        for f in k.trace[cpu]:
            name = (f.symbol().name if f.pc >> 63 and has_symbol(f) else "").split(".")[0]
            if name in SLOW:
                return SLOW[name]
            if name.startswith("__mutex_lock"):
                return "mutex_lock_slowpath"
    return None


def has_symbol(f):
    try:
        f.symbol()
        return True
    except LookupError:
        return False


def entity(k, task, kva):
    ent = task.scx
    out = {}
    fill(out, ent, sched="sched", dsq="dsq", dsq_flags="dsq_flags", dsq_seq="dsq_seq", dsq_vtime="dsq_vtime", ops_state="ops_state",
         ops_qseq="ops_qseq", flags="flags", weight="weight", slice="slice", sticky_cpu="sticky_cpu", holding_cpu="holding_cpu",
         selected_cpu="selected_cpu", runnable_cpu="runnable_cpu", runnable_at="runnable_at", rescue_at="rescue_at",
         ddsp_dsq_id="ddsp_dsq_id", ddsp_enq_flags="ddsp_enq_flags", ddsp_slice="ddsp_slice", ddsp_vtime="ddsp_vtime",
         disallow="disallow", tid="tid", reenq_cnt="reenq_cnt", reenq_reason_caps="reenq_reason_caps",
         reenq_reason_cid="reenq_reason_cid", slice_oob="slice_oob", kf_mask="kf_mask")
    out["dsq_id"] = num(ent.dsq.id) if ent.dsq else None
    if ent.dsq:
        out["dsq_id_name"] = id_name(k, out["dsq_id"])
    out["flag_names"] = k.flags("scx_ent_flags", out["flags"])
    if k.enum("scx_task_state"):
        masks = dict(k.enum("scx_ent_flags"))
        state = (out["flags"] & masks["SCX_TASK_STATE_MASK"]) >> masks["SCX_TASK_STATE_SHIFT"]
        name = k.enum_name("scx_task_state", state)
        out["flag_names"] += [name] if name else []
    out["ops_state_name"], out["ops_state_qseq"] = OPS_STATES[out["ops_state"] & 3], out["ops_state"] >> 2
    out["ddsp_dsq_id_name"] = id_name(k, out["ddsp_dsq_id"])
    out["ddsp_enq_flag_names"] = k.flags("scx_enq_flags", out["ddsp_enq_flags"])
    waits = kva in k.runnable_on
    age = k.jiffies - out["runnable_at"]
    out["runnable_age_jiffies"] = age if waits else None
    out["runnable_age_ms"] = int(age * 1000 / k.hz) if waits else None
    return out


def where(k, task, kva, curr_on):
    out = []
    if curr_on is not None:
        out.append({"list": "curr", "cpu": curr_on})
    if kva in k.runnable_on:
        out.append({"list": "runnable", "cpu": k.runnable_on[kva]})
    q = task.scx.dsq
    if q:
        one = {"list": "dsq", "dsq_kva": num(q), "id": num(q.id), "id_name": id_name(k, num(q.id))}
        if num(q) in k.origin:
            one["origin"] = k.origin[num(q)]
        out.append(one)
    return out


def stack(k, task):
    """As stack_trace_save_tsk() tells it: without the scheduler's own functions at the top."""
    lo, hi = (k.prog.symbol(f"__sched_text_{end}").address for end in ("start", "end"))
    pcs = kernel_pcs(f for f in k.prog.stack_trace(task) if not f.is_inline)
    while pcs and lo <= pcs[0] < hi:
        pcs.pop(0)
    return k.frames(pcs)


def lock_owner(task):
    """Who holds the lock that it waits for; the low bits of an owner are flags."""
    if has(task, "pi_blocked_on") and task.pi_blocked_on:
        return num(drgn.cast("unsigned long", task.pi_blocked_on.lock.owner)) & ~1
    if has(task, "blocked_on") and task.blocked_on and has(task.blocked_on, "owner.counter"):
        return num(task.blocked_on.owner.counter) & (1 << 64) - 8
    return 0


def one_task(k, kva, listed, curr_on):
    task = drgn.Object(k.prog, "struct task_struct *", kva)
    t = {"kva": kva, "on_scx_tasks": listed, "runnable_on": k.runnable_on.get(kva), "curr_on": curr_on, "comm": text(task.comm)}
    fill(t, task, pid="pid", tgid="tgid", prio="prio", static_prio="static_prio", normal_prio="normal_prio",
         rt_priority="rt_priority", policy="policy", core_cookie="core_cookie", nvcsw="nvcsw", nivcsw="nivcsw", utime="utime",
         stime="stime", state="__state", exit_state="exit_state", task_flags="flags", on_cpu="on_cpu", on_rq="on_rq",
         cpu="thread_info.cpu",
         migration_disabled="migration_disabled", nr_cpus_allowed="nr_cpus_allowed", pi_blocked_on="pi_blocked_on",
         blocked_on="blocked_on", sum_exec_runtime="se.sum_exec_runtime")
    t["lock_owner"] = lock_owner(task)
    t.update(group_leader_pid=num(task.group_leader.pid), real_parent_pid=num(task.real_parent.pid),
             real_parent_comm=text(task.real_parent.comm), sched_class=class_name(k, task))
    if task.signal:
        t.update(pgid=signal_pid(task, k.prog["PIDTYPE_PGID"]), sid=signal_pid(task, k.prog["PIDTYPE_SID"]))
        fill(t, task.signal, nr_threads="nr_threads", signal_nvcsw="nvcsw", signal_nivcsw="nivcsw")
    else:
        t.update(dict.fromkeys(("pgid", "sid", "nr_threads", "signal_nvcsw", "signal_nivcsw")))
    fill(t, task.real_cred, uid="uid.val", gid="gid.val")
    t["cpus_allowed"] = cpu_list(k, task.cpus_ptr)
    t["state_letter"] = task_state_to_char(task)
    t["where"] = where(k, task, kva, curr_on)
    t["scx"] = entity(k, task, kva)
    if kva in k.runnable_on and curr_on is None and not t["on_cpu"]:
        t["stack"] = stack(k, task)
    return t


def facts(k, out):
    listed = global_list(k)
    curr = {num(rq.curr): cpu for cpu, rq in zip(k.cpus, k.rqs)}
    order = list(dict.fromkeys(listed + list(k.runnable_on) + list(curr) + k.queued))
    member = set(listed)
    tasks = out["ktdump"]["tasks"] = [one_task(k, kva, kva in member, curr.get(kva)) for kva in order]
    out["task_enrichments"] = []
    for t in tasks[:4096]:
        one = {key: t[key] for key in ENRICHED if t.get(key) is not None}
        one["weight"] = t["scx"]["weight"]
        one["pi_boosted_out_of_scx"] = t["runnable_on"] is not None and t["sched_class"] != "ext"
        slow = slowpath(k, t["kva"])
        if slow:
            one["lock_slowpath_match"] = slow
        out["task_enrichments"].append(one)
