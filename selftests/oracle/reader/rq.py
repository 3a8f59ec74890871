# SPDX-License-Identifier: GPL-2.0-only
"""Run queues and dispatch queues, with the tasks on them."""
import drgn
from drgn.helpers.linux.percpu import per_cpu_ptr

from .kernel import fill, has, member, num, text

ITER_CURSOR = 1  # enum scx_dsq_lnode_flags
BUILTIN, LOCAL_ON = 1 << 63, 1 << 62


def class_name(k, task):
    """By the symbol that task->sched_class points to: ext_sched_class and so on."""
    if not hasattr(k, "classes"):
        k.classes = {k.prog[f"{n}_sched_class"].address_: n for n in ("ext", "fair", "rt", "dl", "idle", "stop")}
    return k.classes[num(task.sched_class)]


def id_name(k, dsq_id):
    if not dsq_id & BUILTIN:
        return "user"
    if dsq_id & LOCAL_ON:
        return f"SCX_DSQ_LOCAL_ON|{dsq_id & 0xffffffff}"
    return next((n for n, v in k.enum("scx_dsq_id_flags") if v == dsq_id and not n.startswith("SCX_DSQ_FLAG_")), None)


def lock_word(lock):
    return num(lock.raw_lock.val) & 0xffffffff


def rqs(k, out):
    out["rq_scx_states"], out["ktdump"]["rqs"] = [], []
    k.runnable_on = {}
    for cpu, rq in zip(k.cpus, k.rqs):
        scx = rq.scx
        kvas = [num(k.around(node, "struct task_struct", "scx.runnable_node")) for node in k.list(scx.runnable_list)]
        k.runnable_on.update((kva, cpu) for kva in kvas)
        one = {"cpu": cpu, "kva": rq.address_, "lock": lock_word(getattr(rq, "__lock")), "curr_comm": text(rq.curr.comm),
               "curr_pid": num(rq.curr.pid), "curr_class": class_name(k, rq.curr), "runnable_seen": len(kvas), "runnable_end": "ok"}
        fill(one, rq, online="online", nr_running="nr_running", nr_switches="nr_switches", nr_iowait="nr_iowait", clock="clock",
             clock_task="clock_task", curr="curr", donor="donor", idle="idle", stop="stop", fair_nr="cfs.h_nr_queued",
             rt_nr="rt.rt_nr_running", dl_nr="dl.dl_nr_running", prev_steal_time="prev_steal_time", stop_on_rq="stop.on_rq",
             curr_last_arrival="curr.sched_info.last_arrival")
        fill(one, scx, scx_nr_running="nr_running", scx_flags="flags", scx_cpu_released="cpu_released", scx_ops_qseq="ops_qseq",
             scx_kick_sync="kick_sync", scx_pnt_seq="pnt_seq", scx_nr_immed="nr_immed", scx_clock="clock",
             scx_cpuperf_target="cpuperf_target", scx_in_select_cpu="in_select_cpu", scx_kick_sync_pending="kick_sync_pending",
             scx_sub_dispatch_prev="sub_dispatch_prev", scx_remote_activate_sch="remote_activate_sch", rescue_curr="rescue.curr",
             rescue_budget="rescue.budget", rescue_slice="rescue.slice", rescue_kill_at="rescue.kill_at")
        one["scx_flag_names"] = k.flags("scx_rq_flags", one["scx_flags"])
        out["ktdump"]["rqs"].append(one)
        state = {"cpu": cpu, "nr_running": one["scx_nr_running"], "flags": one["scx_flags"],
                 "cpu_released": one.get("scx_cpu_released", False), "ops_qseq": one.get("scx_ops_qseq", 0),
                 "curr_pid": one["curr_pid"], "curr_comm": one["curr_comm"], "runnable_task_kvas": kvas}
        for key, of in (("kick_sync", "scx_kick_sync"), ("nr_immed", "scx_nr_immed"), ("rq_clock", "scx_clock")):
            if of in one:
                state[key] = one[of]
        out["rq_scx_states"].append(state)


def oldest(k, out):
    """The longest wait for a CPU among the trigger's tasks, or of the watchdog when it is overdue."""
    flags, mine = dict(k.enum("scx_ent_flags")), k.ending
    ages = [0]
    for kva in k.runnable_on:
        ent = drgn.Object(k.prog, "struct task_struct", address=kva).scx
        of = (num(ent.sched) if has(ent, "sched") else 0) or num(k.prog["scx_root"])
        stamped = num(ent.flags) & (flags["SCX_TASK_QUEUED"] | flags["SCX_TASK_RESET_RUNNABLE_AT"]) == flags["SCX_TASK_QUEUED"]
        if of == mine and stamped and num(ent.runnable_at):
            ages.append(k.jiffies - num(ent.runnable_at))
    stamp, half = k.symbol_value("scx_watchdog_timestamp"), next(
        num(s.watchdog_timeout) if has(s, "watchdog_timeout") else k.symbol_value("scx_watchdog_timeout")
        for s in k.scheds if num(s) == mine) // 2
    if mine == num(k.prog["scx_root"]) and stamp and k.jiffies - stamp > half + half // 8 + max(half // 8, k.hz // 4):
        ages.append(k.jiffies - stamp)
    out["ktdump"]["trigger"]["age_jiffies"] = max(ages)


def user_dsqs(k, sch):
    """The elements of sch->dsq_hash, bucket by bucket, of an older table first."""
    tbl = sch.dsq_hash.tbl
    while tbl:
        assert not num(tbl.nest), "a nested hash table: not read yet"
        for i in range(num(tbl.size)):
            # Bit 0 of a bucket is its lock, of a next pointer the end mark.
            pos = num(drgn.cast("unsigned long", tbl.buckets[i])) & ~1
            while pos and not pos & 1:
                yield k.around(pos, "struct scx_dispatch_q", "hash_node")[0]
                pos = num(drgn.Object(k.prog, "struct rhash_head", address=pos).next)
        tbl = tbl.future_tbl


def all_dsqs(k):
    """(origin, cpu, node, owner, queue or bare list head), as the report orders them."""
    for origin, path in (("local", "local_dsq"), ("bypass", "bypass_dsq"), ("reject", "reject_dsq"), ("rescue", "rescue.dsq")):
        for cpu, rq in zip(k.cpus, k.rqs):
            if has(rq.scx, path):
                q = member(rq.scx, path)
                yield origin, cpu, None, num(q.sched) if has(q, "sched") else 0, q
    for cpu, rq in zip(k.cpus, k.rqs):
        if has(rq.scx, "ddsp_deferred_locals"):
            yield "deferred", cpu, None, 0, rq.scx.ddsp_deferred_locals
    for s in k.scheds:
        pcpu = [per_cpu_ptr(s.pcpu, cpu) for cpu in k.cpus] if s.pcpu else []
        for cpu, one in zip(k.cpus, pcpu):
            if has(one, "bypass_dsq"):
                yield "bypass", cpu, None, num(s), one.bypass_dsq
        for node in range(num(k.prog["nr_node_ids"])):
            q = s.pnode[node].global_dsq if has(s, "pnode") else s.global_dsqs[node][0]
            yield "global", None, node, num(s), q
        for q in user_dsqs(k, s):
            yield "user", None, None, num(s), q


def tasks_on(k, head):
    """Tasks on a queue in its order, and how many iterators stand in it."""
    kvas, cursors = [], 0
    for node in k.list(head):
        lnode = k.around(node, "struct scx_dsq_list_node", "node")
        if num(lnode.flags) & ITER_CURSOR:
            cursors += 1
        else:
            kvas.append(num(k.around(node, "struct task_struct", "scx.dsq_list.node")))
    return kvas, cursors


def dsqs(k, out):
    out["ktdump"]["dsqs"], states, k.origin, k.queued = [], [], {}, []
    for origin, cpu, node, owner, q in all_dsqs(k):
        bare = origin == "deferred"
        kvas, cursors = tasks_on(k, q if bare else q.list)
        k.queued += kvas
        one = {"kva": q.address_, "sched_kva": owner, "origin": origin, "cpu": cpu, "node": node, "seen": len(kvas),
               "cursors": cursors, "end": "ok"}
        if bare:
            one.update(dict.fromkeys(("id", "nr", "seq", "lock", "first_task", "priq")))
        else:
            fill(one, q, id="id", nr="nr", seq="seq", first_task="first_task", priq="priq.rb_node")
            one["lock"] = lock_word(q.lock)
            one["id_name"] = id_name(k, one["id"])
        place = f"{origin} node {node}" if origin == "global" else origin if cpu is None else f"{origin} cpu {cpu}"
        k.origin[q.address_] = place
        rank = ("local", "bypass", "global", "user").index(origin) if origin in ("local", "bypass", "global", "user") else None
        if rank is None or len(kvas) > 4096:
            one["task_kvas"] = kvas
        out["ktdump"]["dsqs"].append(one)
        if rank is not None:
            states.append((rank, node if cpu is None else cpu, {"id": one["id"], "origin": place, "nr": one["nr"],
                                                                "seq": one["seq"], "task_kvas": kvas[:4096]}))
    states.sort(key=lambda s: (s[0], s[1] or 0))
    out["dsq_states"] = [s[2] for s in states]


def facts(k, out):
    rqs(k, out)
    oldest(k, out)
    dsqs(k, out)
