# SPDX-License-Identifier: GPL-2.0-only
"""The kernel itself, CPUs with their registers and stacks, CPU time, NUMA, the trigger."""
import uuid

from drgn.helpers.linux.percpu import per_cpu, per_cpu_ptr

from .kernel import USER_TOP, kernel_pcs, num, text

# include/linux/preempt.h: bits of NMI, of hard interrupts, of a soft interrupt being served.
# Since the count has 64 bits, the need to reschedule and a count of its own for disabled
# interrupts are in it too.
LONG_COUNT, SHORT_COUNT = (0xf0000000, 0x0f000000, 0x100), (0x00f00000, 0x000f0000, 0x100)
GONE = {"unknown": "the CPU of the trigger goes on in the module"}
SWITCHING = {"unknown": "on the stack of a task that it has not become yet"}
THUNK = {"unknown": "in a thunk, which has no unwind information (UNWIND_HINT_UNDEFINED)"}
IDLE, IOWAIT = 5, 6  # enum cpu_usage_stat


def switching(k, cpu, current):
    """A CPU that has its next task's stack already, but is its previous task still."""
    curr = k.rqs[k.cpus.index(cpu)].curr
    if num(curr) == num(current):
        return False
    size = k.prog.symbol("__end_init_stack").address - k.prog.symbol("__start_init_stack").address
    return any(num(curr.stack) <= f.sp < num(curr.stack) + size for f in k.trace[cpu])


def cpus(k, facts):
    facts["vcpu_regs"], out = [], []
    for cpu in k.cpus:
        first = k.trace[cpu][0]
        current = per_cpu(k.prog["current_task"], cpu)
        user = first.pc < USER_TOP
        one = {"cpu": cpu, "online": cpu in k.online, "parked": True, "ip": first.pc, "cr3": k.cr3[cpu], "user": user,
               "task_kva": num(current), "pid": num(current.pid), "comm": text(current.comm),
               "stack": [], "node": num(per_cpu(k.prog["x86_cpu_to_node_map"], cpu)),
               "llc_id": num(per_cpu(k.prog["cpu_info"], cpu).topo.llc_id)}
        if switching(k, cpu, current):
            one["stack"] = SWITCHING
        elif not user and k.in_thunk(first.pc):
            one["stack"] = THUNK
        elif not user:
            one["stack"] = k.frames(kernel_pcs(k.trace[cpu])[k.interrupted[cpu] or cpu == k.probed:])
        regs = {"instruction_pointer": first.pc, "page_table_root": k.cr3[cpu]}
        if k.interrupted[cpu]:
            saved = first.registers()
            one.update(sp=saved["rsp"], flags=saved["rflags"])
        else:
            one.update(sp=GONE, flags=GONE)
        regs["stack_pointer"] = one["sp"]
        if not user:
            one["ip_symbol"] = {"any": k.symbol(first.pc)}
        out.append(one)
        facts["vcpu_regs"].append(regs)
    facts["ktdump"]["cpus"] = out


def cputime(k, facts):
    names = ("user", "nice", "system", "softirq", "irq", "idle", "iowait", "steal")
    facts["per_cpu_time"], facts["ktdump"]["cputime"] = [], []
    for cpu, rq in zip(k.cpus, k.rqs):
        stat = per_cpu(k.prog["kernel_cpustat"], cpu)
        ks = per_cpu(k.prog["kstat"], cpu)
        values = [num(v) for v in stat.cpustat]
        # An idle CPU adds the time up when it leaves; until then it counts from here on.
        if stat.type_.has_member("idle_entrytime") and num(stat.idle_elapse):
            i = IOWAIT if num(rq.nr_iowait) else IDLE
            values[i] = {"since": num(stat.idle_entrytime) + num(stat.idle_stealtime[i == IOWAIT]), "plus": values[i]}
        one = {"cpu": cpu}
        one.update((f"cpustat_{n}_ns", values[i]) for i, n in enumerate(names))
        one["softirqs"] = [num(v) for v in ks.softirqs]
        one["irqs_sum"] = num(ks.irqs_sum)
        # Before 7.2 it was in struct tick_sched.
        one["iowait_sleeptime_ns"] = values[IOWAIT] if stat.type_.has_member("idle_entrytime") else \
            num(per_cpu(k.prog["tick_cpu_sched"], cpu).iowait_sleeptime)
        facts["per_cpu_time"].append(one)
        facts["ktdump"]["cputime"].append({"cpu": cpu, "cpustat": values})


def numa(k, facts):
    keys = {"NUMA_HIT": "numa_hit", "NUMA_MISS": "numa_miss", "NUMA_FOREIGN": "numa_foreign",
            "NUMA_INTERLEAVE_HIT": "numa_interleave_hit", "NUMA_LOCAL": "numa_local", "NUMA_OTHER": "numa_other"}
    facts["per_node_numa"] = []
    for node in range(num(k.prog["nr_node_ids"])):
        pgdat = k.prog["node_data"][node]
        if not pgdat:
            continue
        one = {"node": node}
        for name, key in keys.items():
            item = num(k.prog.constant(name))
            one[key] = sum(num(zone.vm_numa_event[item]) +
                           sum(num(per_cpu_ptr(zone.per_cpu_zonestats, cpu).vm_numa_event[item]) for cpu in k.cpus)
                           for zone in pgdat.node_zones if num(zone.present_pages))
        facts["per_node_numa"].append(one)


def kernel(k, facts):
    uts = k.prog["init_uts_ns"].name
    facts["ktdump"]["kernel"] = {
        "release": text(uts.release), "build": text(uts.version), "machine": text(uts.machine),
        "boot_id": str(uuid.UUID(bytes=bytes(num(b) for b in k.prog["sysctl_bootid"]))), "hz": k.hz,
        "page_size": num(k.prog["PAGE_SIZE"]), "nr_cpus": num(k.prog["nr_cpu_ids"]), "nr_nodes": num(k.prog["nr_node_ids"])}
    enums = {}
    for name in ("scx_exit_kind", "scx_ent_flags", "scx_ops_state", "scx_rq_flags", "scx_dsq_id_flags", "scx_enable_state",
                 "scx_exit_flags", "scx_opi_flags", "scx_ops_flags", "scx_enq_flags", "scx_ent_dsq_flags", "scx_task_state",
                 "btf_field_type", "bpf_struct_ops_state"):
        if k.enum(name):
            enums[name] = [{"name": n, "value": v} for n, v in k.enum(name)]
    facts["ktdump"]["enums"] = enums


def trigger(k, facts):
    cpu = k.trigger_cpu()
    curr = per_cpu(k.prog["current_task"], cpu)
    count = per_cpu(k.prog["__preempt_count"], cpu)
    long = count.type_.size == 8
    nmi, hardirq, softirq = LONG_COUNT if long else SHORT_COUNT
    # Once more than when it was triggered: while the others stand still it counts as in an NMI.
    count = (num(count) & (0xffffffff if long else 0x7fffffff)) - (nmi & -nmi)
    # CLOCK_REALTIME is this much ahead of CLOCK_MONOTONIC, in which the freeze is told.
    ahead = num(k.prog["timekeeper_data"][0].timekeeper.offs_real)
    facts["ktdump"]["freeze"] = {"cpus_targeted": len(k.online) - 1, "cpus_parked": sum(k.interrupted.values()), "cpus_missing": []}
    facts["ktdump"]["trigger"] = {
        "real_ns": {"since": 0, "plus": ahead},
        "cpu": cpu, "pid": num(curr.pid), "comm": text(curr.comm), "preempt_count": count,
        "context": "nmi" if count & nmi else "hardirq" if count & hardirq else "softirq" if count & softirq else "task",
        "jiffies": k.jiffies, "watchdog_timestamp": k.symbol_value("scx_watchdog_timestamp"),
        "enable_state": k.symbol_value("scx_enable_state_var"),
        "enable_state_name": k.enum_name("scx_enable_state", k.symbol_value("scx_enable_state_var")),
        "switching_all": int(k.symbol_value("scx_switching_all")), "nr_rejected": k.symbol_value("scx_nr_rejected"),
        "scx_root": num(k.prog["scx_root"]), "stack": k.frames(kernel_pcs(k.trace[cpu])[cpu == k.probed:])}


def facts(k, out):
    for part in (cpus, cputime, numa, kernel, trigger):
        part(k, out)
