/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What travels: tables. A table is a header row (an array of column names) and
 * then data rows (arrays of the same length). A kernel that lacks a member has
 * no such column in its header row; a value that could not be read is nil.
 * A reader skips columns and tables whose names it does not know.
 *
 * X(ID, "name") lists below are the only place where names are written down.
 * An integer column may carry a bool and a bool column an integer (0 is false):
 * the kernel turns one into the other from version to version.
 * A header row may come again in a later frame of the same table; a reader drops a
 * row that equals the header. HELLO, BEGIN and END are one frame each: header row
 * and the one data row.
 * Units: *_ns nanoseconds, *_ms milliseconds, *_jiffies jiffies of the guest,
 * kva = kernel virtual address. Members that mirror a kernel structure keep the
 * kernel's name and unit.
 */
#ifndef KTD_SHARED_TABLES_H
#define KTD_SHARED_TABLES_H

/* Table ids are part of the wire: append only. */
#define KTD_TABLES(X) \
	X(HELLO,   1, "hello")		/* the guest, once per connection */ \
	X(BEGIN,   2, "begin")		/* the trigger */ \
	X(CPU,     3, "cpu")		/* registers and stack per possible CPU */ \
	X(SCHED,   4, "sched")		/* every scx_sched instance */ \
	X(RQ,      5, "rq")		/* run queue per possible CPU */ \
	X(DSQ,     6, "dsq")		/* dispatch queues of all kinds */ \
	X(LIST,    7, "list")		/* task addresses on queues, in order */ \
	X(TASK,    8, "task")		/* tasks, once each */ \
	X(STACK,   9, "stack")		/* kernel stacks of waiting tasks */ \
	X(CPUTIME, 10, "cputime")	/* CPU time per possible CPU */ \
	X(NUMA,    11, "numa")		/* NUMA counters per node */ \
	X(PROG,    12, "prog")		/* BPF programs */ \
	X(MAP,     13, "map")		/* BPF maps: what they are */ \
	X(EVENT,   14, "event")		/* scx event counters per instance */ \
	X(COUNTER, 15, "counter")	/* the module's own counters */ \
	X(FREEZE,  16, "freeze")	/* what the freeze cost */ \
	X(SECTION, 17, "section")	/* per table: rows, bytes, time */ \
	X(MISSING, 18, "missing")	/* what could not be captured, and why */ \
	X(EXIT,    19, "exit")		/* scx_exit_info, read after teardown */ \
	X(TEXT,    20, "text")		/* the kernel's own dump text, in pieces */ \
	X(SYMBOL,  21, "symbol")	/* kernel text address to symbol */ \
	X(ENUM,    22, "enum")		/* enumerators of this kernel's flags */ \
	X(END,     23, "end")		/* totals */ \
	X(FIRING,  24, "firing")	/* the latest firings of the exit hook */ \
	X(MEM,     25, "mem")		/* kernel memory as it was */ \
	X(RECORD,  26, "record")	/* elements of maps: a stream of bytes per map */ \
	X(CONTENT, 27, "content")	/* how a map's content was taken, behind it */ \
	X(FACT,    28, "fact")		/* numbers that only one type of map has */ \
	X(FIELD,   29, "field")		/* special fields of a map's values */ \
	X(OBJECT,  30, "object")	/* kernel objects that values point to */ \
	X(BTF,     31, "btf")		/* BTF objects, by content hash */ \
	X(BLOB,    32, "blob")		/* the bytes of those that the collector lacks */ \
	X(TIMELINE, 33, "timeline")	/* event counters of the root over time */ \
	X(CODE,    34, "code")		/* programs whose instructions were taken */ \
	X(INSN,    35, "insn")		/* instructions, as the kernel holds them */ \
	X(SCHED_TIMELINE, 36, "sched_timeline")	/* what the CPUs ran before the freeze */ \
	X(IMAGE,   37, "image")		/* machine code for BPF that is no program */

enum ktd_table_id {
	KTD_TBL_NONE = 0,
#define X(id, nr, name) KTD_TBL_##id = nr,
	KTD_TABLES(X)
#undef X
	KTD_TBL_MAX,
};

#define KTD_HELLO_COLS(X) \
	X(MODULE_VERSION, "module_version") \
	X(RELEASE, "release")			/* uname -r */ \
	X(BUILD, "build")			/* uname -v */ \
	X(MACHINE, "machine") \
	X(BOOT_ID, "boot_id") \
	X(LOAD_NS, "load_ns")			/* CLOCK_BOOTTIME at load: numbers start anew */ \
	X(HZ, "hz") \
	X(PAGE_SIZE, "page_size")		/* bytes */ \
	X(NR_CPU_IDS, "nr_cpu_ids") \
	X(NR_NODE_IDS, "nr_node_ids") \
	X(BUFFER_BYTES, "buffer_bytes") \
	X(PENDING, "pending")			/* snapshots waiting */ \
	X(LOST, "lost")				/* snapshots lost for want of room */

#define KTD_BEGIN_COLS(X) \
	X(TRIGGER, "trigger")			/* "exit", "early" (half-way), "demand" */ \
	X(HOOK, "hook")				/* e.g. "tracepoint sched_ext_exit" */ \
	X(SCHED_KVA, "sched_kva")		/* exiting instance, 0 unknown */ \
	X(SCX_ROOT, "scx_root")			/* *scx_root at that moment */ \
	X(EXIT_KIND, "exit_kind") \
	X(CPU, "cpu") \
	X(CONTEXT, "context")			/* "task", "softirq", "hardirq", "nmi" */ \
	X(IRQS_OFF, "irqs_off")			/* bool */ \
	X(PREEMPT_COUNT, "preempt_count") \
	X(PID, "pid") \
	X(COMM, "comm") \
	X(MONO_NS, "mono_ns")			/* CLOCK_MONOTONIC */ \
	X(REAL_NS, "real_ns")			/* CLOCK_REALTIME */ \
	X(JIFFIES, "jiffies")			/* jiffies at the freeze (unsigned long) */ \
	X(WATCHDOG_TIMESTAMP, "watchdog_timestamp")	/* jiffies */ \
	X(ENABLE_STATE, "enable_state")		/* scx_enable_state */ \
	X(SWITCHING_ALL, "switching_all") \
	X(NR_REJECTED, "nr_rejected") \
	X(TRIGGER_COUNT, "trigger_count")	/* hook firings since load, this one included */ \
	X(LOST, "lost")				/* snapshots lost before this one */ \
	X(EARLY_SNAPSHOT, "early_snapshot")	/* exit: number of its early one, nil none */ \
	X(EARLY_ERROR, "early_error")		/* why there can be none, nil: there can */ \
	X(AGE, "age_jiffies")			/* longest waiting at the freeze */ \
	X(AGE_PEAK, "age_peak_jiffies")		/* largest that the checks before saw */ \
	X(AGE_THRESHOLD, "age_threshold_jiffies")	/* early at this age; nil: no checks */ \
	X(STACK, "stack")			/* [kva], innermost first */

#define KTD_CPU_COLS(X) \
	X(CPU, "cpu") \
	X(ONLINE, "online")			/* bool */ \
	X(PARKED, "parked")			/* bool; true for the capturing CPU */ \
	X(IP, "ip") X(SP, "sp") X(CR3, "cr3") X(FLAGS, "flags") \
	X(USER, "user")				/* bool: interrupted in user mode */ \
	X(TASK_KVA, "task_kva") \
	X(PID, "pid") \
	X(COMM, "comm") \
	X(ARRIVE_NS, "arrive_ns")		/* from NMI sent to parked */ \
	X(NODE, "node")				/* NUMA node, nil none */ \
	X(LLC_ID, "llc_id")			/* CPUs with the same share the last-level cache; nil unknown */ \
	X(CYCLES, "cycles") X(INSTRUCTIONS, "instructions")	/* hardware counters, nil none */ \
	X(CACHE_MISSES, "cache_misses") X(BRANCH_MISSES, "branch_misses") \
	X(COUNTING_NS, "counting_ns")		/* for so long they have counted */ \
	X(STACK, "stack")			/* [kva], innermost first */

#define KTD_SCHED_COLS(X) \
	X(KVA, "kva") \
	X(ROOT, "root")				/* bool: *scx_root */ \
	X(PARENT_KVA, "parent_kva")		/* 0 for the root */ \
	X(NAME, "name") \
	X(LEVEL, "level") \
	X(ID, "id") \
	X(CGRP_PATH, "cgrp_path") \
	X(SUB_CGROUP_ID, "sub_cgroup_id") \
	X(OPS_FLAGS, "ops_flags") \
	X(TIMEOUT_MS, "timeout_ms") \
	X(EXIT_DUMP_LEN, "exit_dump_len") \
	X(IS_CID_TYPE, "is_cid_type") \
	X(SLICE_DFL, "slice_dfl")		/* ns */ \
	X(DSP_MAX_BATCH, "dsp_max_batch") \
	X(BYPASS_DEPTH, "bypass_depth") \
	X(BYPASS_TIMESTAMP, "bypass_timestamp") \
	X(BYPASS_DSP_ENABLE_DEPTH, "bypass_dsp_enable_depth") \
	X(ABORTING, "aborting")			/* bool */ \
	X(DEAD, "dead") \
	X(LINKED, "linked") \
	X(SUB_ATTACHED, "sub_attached") \
	X(DUMP_DISABLED, "dump_disabled") \
	X(WARNED_ZERO_SLICE, "warned_zero_slice") \
	X(WATCHDOG_TIMEOUT, "watchdog_timeout")	/* jiffies */ \
	X(EXIT_KIND, "exit_kind") \
	X(EXIT_INFO, "exit_info")		/* kva */ \
	X(ARENA_MAP, "arena_map")		/* kva of its bpf_map */ \
	X(ARENA_KERN_BASE, "arena_kern_base") \
	X(NR_PSHARDS, "nr_pshards")

#define KTD_RQ_COLS(X) \
	X(CPU, "cpu") \
	X(KVA, "kva") \
	X(LOCK, "lock")				/* raw lock word, 0 = free */ \
	X(ONLINE, "online") \
	X(NR_RUNNING, "nr_running") \
	X(NR_SWITCHES, "nr_switches") \
	X(NR_IOWAIT, "nr_iowait") \
	X(CLOCK, "clock")			/* ns */ \
	X(CLOCK_TASK, "clock_task")		/* ns */ \
	X(CLOCK_NOW, "clock_now")		/* ns: what clock would be if it were up to date */ \
	X(PREV_STEAL_TIME, "prev_steal_time")	/* ns, that clock_task leaves out */ \
	X(CURR, "curr") X(DONOR, "donor")	/* task kvas */ \
	X(IDLE, "idle") X(STOP, "stop") \
	X(STOP_ON_RQ, "stop_on_rq")		/* the stop task runs or wants to */ \
	X(CURR_PID, "curr_pid") \
	X(CURR_COMM, "curr_comm") \
	X(CURR_CLASS, "curr_class") \
	X(CURR_LAST_ARRIVAL, "curr_last_arrival")	/* ns of clock: when it got the CPU; 0 idle */ \
	X(FAIR_NR, "fair_nr") X(RT_NR, "rt_nr") X(DL_NR, "dl_nr")	/* runnable per class */ \
	X(SCX_NR_RUNNING, "scx_nr_running") \
	X(SCX_FLAGS, "scx_flags") \
	X(SCX_CPU_RELEASED, "scx_cpu_released") \
	X(SCX_OPS_QSEQ, "scx_ops_qseq") \
	X(SCX_KICK_SYNC, "scx_kick_sync") \
	X(SCX_PNT_SEQ, "scx_pnt_seq") \
	X(SCX_NR_IMMED, "scx_nr_immed") \
	X(SCX_CLOCK, "scx_clock")		/* ns */ \
	X(SCX_CPUPERF_TARGET, "scx_cpuperf_target") \
	X(SCX_IN_SELECT_CPU, "scx_in_select_cpu") \
	X(SCX_KICK_SYNC_PENDING, "scx_kick_sync_pending") \
	X(SCX_SUB_DISPATCH_PREV, "scx_sub_dispatch_prev") \
	X(SCX_REMOTE_ACTIVATE_SCH, "scx_remote_activate_sch") \
	X(RESCUE_CURR, "rescue_curr")		/* task kva */ \
	X(RESCUE_BUDGET, "rescue_budget") \
	X(RESCUE_SLICE, "rescue_slice") \
	X(RESCUE_KILL_AT, "rescue_kill_at") \
	X(RUNNABLE_SEEN, "runnable_seen")	/* tasks walked on runnable_list */ \
	X(RUNNABLE_END, "runnable_end")		/* how the walk ended, see DSQ.end */

#define KTD_DSQ_COLS(X) \
	X(KVA, "kva") \
	X(SCHED_KVA, "sched_kva")		/* owner, 0 unknown */ \
	X(ORIGIN, "origin")			/* local, bypass, global, user, … */ \
	X(CPU, "cpu")				/* nil where per node or user */ \
	X(NODE, "node")				/* nil unless global */ \
	X(ID, "id") \
	X(NR, "nr") \
	X(SEQ, "seq") \
	X(LOCK, "lock")				/* raw lock word, 0 = free */ \
	X(FIRST_TASK, "first_task") \
	X(PRIQ, "priq")				/* rb root node; 0 = no vtime task */ \
	X(SEEN, "seen")				/* tasks walked */ \
	X(CURSORS, "cursors")			/* iterator cursors skipped */ \
	X(END, "end")				/* ok cap loop fault deadline full */

/* Long queues span several rows; rows of one owner are in queue order. */
#define KTD_LIST_COLS(X) \
	X(LIST, "list")				/* "runnable", "dsq", "scx_tasks" */ \
	X(OWNER_KVA, "owner_kva")		/* rq, DSQ, head of the scx_tasks list */ \
	X(TASKS, "tasks")			/* [task kva] */

#define KTD_TASK_COLS(X) \
	X(KVA, "kva") \
	X(ON_SCX_TASKS, "on_scx_tasks")		/* bool: on the global scx_tasks list */ \
	X(RUNNABLE_ON, "runnable_on")		/* CPU whose runnable_list holds it, nil none */ \
	X(CURR_ON, "curr_on")			/* CPU where it is rq->curr, nil none */ \
	X(PID, "pid") X(TGID, "tgid") X(COMM, "comm") \
	X(GROUP_LEADER_PID, "group_leader_pid") \
	X(REAL_PARENT_PID, "real_parent_pid") \
	X(REAL_PARENT_COMM, "real_parent_comm") \
	X(PGID, "pgid") X(SID, "sid") \
	X(NR_THREADS, "nr_threads") \
	X(PRIO, "prio") X(STATIC_PRIO, "static_prio") \
	X(NORMAL_PRIO, "normal_prio") X(RT_PRIORITY, "rt_priority") \
	X(POLICY, "policy") \
	X(SCHED_CLASS, "sched_class")		/* fair rt dl idle stop ext */ \
	X(CORE_COOKIE, "core_cookie") \
	X(NVCSW, "nvcsw") X(NIVCSW, "nivcsw") \
	X(SIGNAL_NVCSW, "signal_nvcsw") X(SIGNAL_NIVCSW, "signal_nivcsw") \
	X(UTIME, "utime") X(STIME, "stime")	/* ns */ \
	X(UID, "uid") X(GID, "gid") \
	X(STATE, "state")			/* __state */ \
	X(EXIT_STATE, "exit_state") \
	X(TASK_FLAGS, "task_flags")		/* PF_* */ \
	X(ON_CPU, "on_cpu") X(ON_RQ, "on_rq") X(CPU, "cpu") \
	X(MIGRATION_DISABLED, "migration_disabled") \
	X(NR_CPUS_ALLOWED, "nr_cpus_allowed") \
	X(CPUS_MASK, "cpus_mask")		/* bin: little endian bitmap of *cpus_ptr */ \
	X(PI_BLOCKED_ON, "pi_blocked_on") \
	X(BLOCKED_ON, "blocked_on") \
	X(LOCK_OWNER, "lock_owner")		/* kva of who holds the lock it waits for, 0 none */ \
	X(SUM_EXEC_RUNTIME, "sum_exec_runtime")	/* ns */ \
	X(SCX_SCHED, "scx_sched")		/* owner instance kva */ \
	X(SCX_DSQ, "scx_dsq")			/* kva, 0 none */ \
	X(SCX_DSQ_ID, "scx_dsq_id") \
	X(SCX_DSQ_FLAGS, "scx_dsq_flags") \
	X(SCX_DSQ_SEQ, "scx_dsq_seq") \
	X(SCX_DSQ_VTIME, "scx_dsq_vtime") \
	X(SCX_OPS_STATE, "scx_ops_state") \
	X(SCX_OPS_QSEQ, "scx_ops_qseq") \
	X(SCX_FLAGS, "scx_flags") \
	X(SCX_WEIGHT, "scx_weight") \
	X(SCX_SLICE, "scx_slice")		/* ns */ \
	X(SCX_STICKY_CPU, "scx_sticky_cpu") \
	X(SCX_HOLDING_CPU, "scx_holding_cpu") \
	X(SCX_SELECTED_CPU, "scx_selected_cpu") \
	X(SCX_RUNNABLE_CPU, "scx_runnable_cpu") \
	X(SCX_RUNNABLE_AT, "scx_runnable_at")	/* jiffies */ \
	X(SCX_RESCUE_AT, "scx_rescue_at") \
	X(SCX_DDSP_DSQ_ID, "scx_ddsp_dsq_id") \
	X(SCX_DDSP_ENQ_FLAGS, "scx_ddsp_enq_flags") \
	X(SCX_DDSP_SLICE, "scx_ddsp_slice") \
	X(SCX_DDSP_VTIME, "scx_ddsp_vtime") \
	X(SCX_DISALLOW, "scx_disallow") \
	X(SCX_TID, "scx_tid") \
	X(SCX_REENQ_CNT, "scx_reenq_cnt") \
	X(SCX_REENQ_REASON_CAPS, "scx_reenq_reason_caps") \
	X(SCX_REENQ_REASON_CID, "scx_reenq_reason_cid") \
	X(SCX_SLICE_OOB, "scx_slice_oob") \
	X(SCX_KF_MASK, "scx_kf_mask")

#define KTD_STACK_COLS(X) \
	X(TASK_KVA, "task_kva") \
	X(STACK, "stack")			/* [kva], innermost first */

#define KTD_CPUTIME_COLS(X) \
	X(CPU, "cpu") \
	X(CPUSTAT, "cpustat")			/* [NR_STATS]: ns, all of enum cpu_usage_stat */ \
	X(SOFTIRQS, "softirqs")			/* [10]: by softirq number */ \
	X(IRQS_SUM, "irqs_sum") \
	X(IOWAIT_SLEEPTIME_NS, "iowait_sleeptime_ns")

#define KTD_NUMA_COLS(X) \
	X(NODE, "node") \
	X(HIT, "numa_hit") X(MISS, "numa_miss") X(FOREIGN, "numa_foreign") \
	X(INTERLEAVE_HIT, "numa_interleave_hit") \
	X(LOCAL, "numa_local") X(OTHER, "numa_other")

#define KTD_PROG_COLS(X) \
	X(KVA, "kva") X(ID, "id") X(NAME, "name") \
	X(TYPE, "type")				/* bpf_prog_type */ \
	X(KSYM, "ksym")				/* full symbol, bpf_prog_<tag>_<name> */ \
	X(KSYM_START, "ksym_start") X(KSYM_END, "ksym_end") \
	X(HAS_STATS, "has_stats")		/* bool */ \
	X(CNT, "cnt") X(NSECS, "nsecs") X(MISSES, "misses") \
	X(VERIFIED_INSNS, "verified_insns") \
	X(ATTACH_BTF_ID, "attach_btf_id") \
	X(MEMBER_OFF, "member_off")		/* offset in the struct_ops type */ \
	X(USED_MAPS, "used_maps")		/* [map kva] */

#define KTD_MAP_COLS(X) \
	X(KVA, "kva") X(ID, "id") X(NAME, "name") \
	X(MAP_TYPE, "map_type") \
	X(KEY_SIZE, "key_size") X(VALUE_SIZE, "value_size") \
	X(MAX_ENTRIES, "max_entries") \
	X(MAP_FLAGS, "map_flags") X(MAP_EXTRA, "map_extra") \
	X(NUMA_NODE, "numa_node") \
	X(FROZEN, "frozen")			/* read-only from user space */ \
	X(OWNER_SCHED, "owner_sched")		/* kva of the scheduler that uses it, 0 none */ \
	X(BTF_KVA, "btf_kva")			/* the BTF of its types, 0 none: see BTF.kva */ \
	X(BTF_KEY_TYPE_ID, "btf_key_type_id") \
	X(BTF_VALUE_TYPE_ID, "btf_value_type_id") \
	X(BTF_VMLINUX_VALUE_TYPE_ID, "btf_vmlinux_value_type_id")

/* Bytes from kva on. No piece spans what could not be read. */
#define KTD_MEM_COLS(X) \
	X(KVA, "kva") \
	X(DATA, "data")				/* bin */

/* Pieces of one map come in order and without gaps; struct ktd_record in wire.h. */
#define KTD_RECORD_COLS(X) \
	X(MAP_KVA, "map_kva") \
	X(OFF, "off")				/* of this piece in the map's stream */ \
	X(DATA, "data")				/* bin */

#define KTD_CONTENT_COLS(X) \
	X(MAP_KVA, "map_kva") \
	X(FORM, "form")				/* KTD_FORM_*; nil: nothing was taken */ \
	X(VALUES_KVA, "values_kva")		/* FORM array: value 0; struct_ops: kvalue.data */ \
	X(STRIDE, "stride")			/* FORM array: bytes from value to value */ \
	X(SEEN, "seen")				/* elements met; arrays: max_entries */ \
	X(TAKEN, "taken")			/* elements in this snapshot */ \
	X(UNREADABLE, "unreadable")		/* elements that could not be read */ \
	X(BYTES, "bytes")			/* of MEM and RECORD rows */ \
	X(NS, "ns") \
	X(CUT, "cut")				/* entries bytes deadline full loop; nil: whole */ \
	X(LIMIT, "limit")			/* what it ran into: entries, bytes or us */ \
	X(ERROR, "error")			/* why there is nothing, or not all of it */

/* Numbers of one map by name; docs/wire.md lists them. */
#define KTD_FACT_COLS(X) \
	X(MAP_KVA, "map_kva") X(NAME, "name") X(VALUE, "value")

/* map->record: enum btf_field_type is among the ENUM rows. */
#define KTD_FIELD_COLS(X) \
	X(MAP_KVA, "map_kva") \
	X(OFFSET, "offset") X(SIZE, "size")	/* bytes in the value */ \
	X(TYPE, "type")				/* one bit of enum btf_field_type */ \
	X(BTF_KVA, "btf_kva")			/* kptrs, lists and trees: type of what it holds */ \
	X(BTF_ID, "btf_id")

#define KTD_OBJECT_COLS(X) \
	X(KVA, "kva") \
	X(KIND, "kind")				/* task cgroup inode sock map prog */ \
	X(ID, "id")				/* cgroup id, inode number, map id, prog id */ \
	X(NAME, "name")				/* comm of a task, name of the rest */ \
	X(PID, "pid") X(TGID, "tgid")

/* The collector asks for those whose hash it does not know: see OFFER in wire.h. */
#define KTD_BTF_COLS(X) \
	X(KVA, "kva")				/* struct btf; 0 for the kernel's own */ \
	X(ID, "id") \
	X(NAME, "name")				/* "vmlinux", a module's, "" for programs */ \
	X(KERNEL, "kernel")			/* bool: the kernel's or a module's */ \
	X(SPLIT, "split")			/* bool: its ids go on behind the kernel's */ \
	X(SIZE, "size")				/* bytes */ \
	X(HASH, "hash")				/* bin: SHA-256 of the bytes; nil: not captured */ \
	X(ERROR, "error")			/* why not */

#define KTD_BLOB_COLS(X) \
	X(HASH, "hash")				/* bin, as in BTF */ \
	X(OFF, "off") \
	X(DATA, "data")				/* bin */

/* Those of a program hold its subprograms too, one behind the other. */
#define KTD_CODE_COLS(X) \
	X(PROG_KVA, "prog_kva") \
	X(BTF_KVA, "btf_kva")			/* as in BTF, 0: the program has none */ \
	X(CALL_BASE, "call_base")		/* kva: calls of the kernel are relative to it */ \
	X(INSNS, "insns")			/* instructions that it has */ \
	X(TAKEN, "taken")			/* of these, in INSN rows from the first on */ \
	X(CUT, "cut")				/* bytes deadline full; nil: whole */ \
	X(LIMIT, "limit")			/* cut bytes: what this program might take */ \
	X(ERROR, "error")			/* why there are none, or not all */ \
	X(FUNC_INFO, "func_info")		/* [first instruction, id of a BTF_KIND_FUNC, …] */

#define KTD_INSN_COLS(X) \
	X(PROG_KVA, "prog_kva") \
	X(OFF, "off")				/* bytes */ \
	X(DATA, "data")				/* bin: struct bpf_insn */

#define KTD_IMAGE_COLS(X) \
	X(START, "start") \
	X(END, "end") \
	X(NAME, "name")

/* EVENT: "sched_kva", then one column per member of scx_event_stats, by name. */
#define KTD_EVENT_COLS(X) \
	X(SCHED_KVA, "sched_kva")

/* TIMELINE: then as in EVENT; oldest first, sums over CPUs. */
#define KTD_TIMELINE_COLS(X) \
	X(MONO_NS, "mono_ns")			/* CLOCK_MONOTONIC */ \
	X(SCHED_KVA, "sched_kva")

/* Rows of one CPU come in order; struct ktd_sched_event in wire.h. */
#define KTD_SCHED_TIMELINE_COLS(X) \
	X(CPU, "cpu") \
	X(WINDOW_MS, "window_ms")		/* events are no older than that */ \
	X(LOST, "lost")				/* events of this CPU, the same in all its rows */ \
	X(DATA, "data")				/* bin */

#define KTD_COUNTER_COLS(X) \
	X(TRIGGER_COUNT, "trigger_count")	/* hook firings */ \
	X(ERROR_COUNT, "error_count")		/* of those, error class */ \
	X(CLEAN_COUNT, "clean_count")		/* of those, not error class */ \
	X(PARENT_COUNT, "parent_count")		/* propagated from a parent */ \
	X(CAPTURED, "captured")			/* snapshots taken */ \
	X(NESTED, "nested")			/* exits met while another was captured */ \
	X(LOST, "lost")				/* no room in the buffer */ \
	X(LATE_NMI, "late_nmi")			/* NMIs that came after the release */ \
	X(PROBE_MISSED, "probe_missed")		/* kprobe nmissed */ \
	X(TIMELINE_COUNT, "timeline_count")	/* switches, wakeups, migrations */ \
	X(TIMELINE_DROPS, "timeline_drops")	/* of those, overwritten within the window */ \
	X(PI_COUNT, "pi_count")			/* boosts, and their ends */ \
	X(PI_CLASS_CHANGE_COUNT, "pi_class_change_count")	/* of those, to another class */ \
	X(PI_DROPS, "pi_drops") \
	X(LOCK_CONTEND_COUNT, "lock_contend_count")	/* begins and ends */ \
	X(LOCK_CONTEND_DROPS, "lock_contend_drops") \
	X(POINT_COUNT, "point_count")		/* snapshots at named points */ \
	X(POINT_SKIPPED, "point_skipped")	/* points where none was taken */

#define KTD_FREEZE_COLS(X) \
	X(RENDEZVOUS_NS, "rendezvous_ns")	/* first NMI sent to last CPU parked */ \
	X(HELD_NS, "held_ns")			/* first NMI sent to release */ \
	X(RELEASE_NS, "release_ns")		/* release to last CPU gone */ \
	X(CPUS_TARGETED, "cpus_targeted") \
	X(CPUS_PARKED, "cpus_parked") \
	X(CPUS_MISSING, "cpus_missing")		/* [cpu] */ \
	X(RESENT, "resent")			/* NMIs sent twice */ \
	X(GAVE_UP, "gave_up")			/* CPUs that left by their own deadline */ \
	X(CAP_NS, "cap_ns")			/* deadline in force */ \
	X(TRUNCATED_AT_US, "truncated_at_us")	/* first missed deadline check, nil none */ \
	X(BYTES, "bytes")			/* captured while parked */ \
	X(EXITS, "exits")			/* [sched_kva, kind, …]: all in this freeze */

#define KTD_SECTION_COLS(X) \
	X(TABLE, "table")			/* table name */ \
	X(ROWS, "rows") \
	X(SEEN, "seen")				/* objects met; more than rows = cut */ \
	X(BYTES, "bytes") \
	X(NS, "ns")

#define KTD_MISSING_COLS(X) \
	X(TABLE, "table")			/* table or offset group */ \
	X(REASON, "reason")

#define KTD_EXIT_COLS(X) \
	X(SCHED_KVA, "sched_kva") \
	X(COMPLETE, "complete")			/* bool: teardown was over when read */ \
	X(KIND, "kind") X(EXIT_CODE, "exit_code") \
	X(EXIT_CPU, "exit_cpu") X(FLAGS, "flags") \
	X(REASON, "reason") X(MSG, "msg") \
	X(BT, "bt")				/* [kva] */ \
	X(DUMP_BYTES, "dump_bytes")		/* length of the dump text */

#define KTD_TEXT_COLS(X) \
	X(SCHED_KVA, "sched_kva") \
	X(OFF, "off")				/* byte offset of this piece */ \
	X(TEXT, "text")				/* bin */

#define KTD_SYMBOL_COLS(X) \
	X(ADDR, "addr") \
	X(NAME, "name")				/* symbol+0xoff/0xsize [module] */

#define KTD_ENUM_COLS(X) \
	X(ENUM, "enum") X(NAME, "name") X(VALUE, "value")

/* Oldest first; every exit since load, captured or not, the last 64 of them. */
#define KTD_FIRING_COLS(X) \
	X(MONO_NS, "mono_ns")			/* CLOCK_MONOTONIC */ \
	X(SCHED_KVA, "sched_kva") \
	X(EXIT_KIND, "exit_kind") \
	X(CPU, "cpu") \
	X(FATE, "fate")				/* captured nested repeat parent clean lost */ \
	X(SNAPSHOT, "snapshot")			/* snapshot it belongs to, nil none */

#define KTD_END_COLS(X) \
	X(ROWS, "rows")				/* from BEGIN's on, header rows each time, END's not */ \
	X(BYTES, "bytes")			/* payload of the same frames */

/* Column numbers: KTD_TASK_KVA … KTD_TASK_NR_COLS, and so on for each table. */
#define X(id, name) KTD_HELLO_##id,
enum ktd_hello_col { KTD_HELLO_COLS(X) KTD_HELLO_NR_COLS };
#undef X
#define X(id, name) KTD_BEGIN_##id,
enum ktd_begin_col { KTD_BEGIN_COLS(X) KTD_BEGIN_NR_COLS };
#undef X
#define X(id, name) KTD_CPU_##id,
enum ktd_cpu_col { KTD_CPU_COLS(X) KTD_CPU_NR_COLS };
#undef X
#define X(id, name) KTD_SCHED_##id,
enum ktd_sched_col { KTD_SCHED_COLS(X) KTD_SCHED_NR_COLS };
#undef X
#define X(id, name) KTD_RQ_##id,
enum ktd_rq_col { KTD_RQ_COLS(X) KTD_RQ_NR_COLS };
#undef X
#define X(id, name) KTD_DSQ_##id,
enum ktd_dsq_col { KTD_DSQ_COLS(X) KTD_DSQ_NR_COLS };
#undef X
#define X(id, name) KTD_LIST_##id,
enum ktd_list_col { KTD_LIST_COLS(X) KTD_LIST_NR_COLS };
#undef X
#define X(id, name) KTD_TASK_##id,
enum ktd_task_col { KTD_TASK_COLS(X) KTD_TASK_NR_COLS };
#undef X
#define X(id, name) KTD_STACK_##id,
enum ktd_stack_col { KTD_STACK_COLS(X) KTD_STACK_NR_COLS };
#undef X
#define X(id, name) KTD_CPUTIME_##id,
enum ktd_cputime_col { KTD_CPUTIME_COLS(X) KTD_CPUTIME_NR_COLS };
#undef X
#define X(id, name) KTD_NUMA_##id,
enum ktd_numa_col { KTD_NUMA_COLS(X) KTD_NUMA_NR_COLS };
#undef X
#define X(id, name) KTD_PROG_##id,
enum ktd_prog_col { KTD_PROG_COLS(X) KTD_PROG_NR_COLS };
#undef X
#define X(id, name) KTD_MAP_##id,
enum ktd_map_col { KTD_MAP_COLS(X) KTD_MAP_NR_COLS };
#undef X
#define X(id, name) KTD_EVENT_##id,
enum ktd_event_col { KTD_EVENT_COLS(X) KTD_EVENT_NR_COLS };
#undef X
#define X(id, name) KTD_TIMELINE_##id,
enum ktd_timeline_col { KTD_TIMELINE_COLS(X) KTD_TIMELINE_NR_COLS };
#undef X
#define X(id, name) KTD_COUNTER_##id,
enum ktd_counter_col { KTD_COUNTER_COLS(X) KTD_COUNTER_NR_COLS };
#undef X
#define X(id, name) KTD_FREEZE_##id,
enum ktd_freeze_col { KTD_FREEZE_COLS(X) KTD_FREEZE_NR_COLS };
#undef X
#define X(id, name) KTD_SECTION_##id,
enum ktd_section_col { KTD_SECTION_COLS(X) KTD_SECTION_NR_COLS };
#undef X
#define X(id, name) KTD_MISSING_##id,
enum ktd_missing_col { KTD_MISSING_COLS(X) KTD_MISSING_NR_COLS };
#undef X
#define X(id, name) KTD_EXIT_##id,
enum ktd_exit_col { KTD_EXIT_COLS(X) KTD_EXIT_NR_COLS };
#undef X
#define X(id, name) KTD_TEXT_##id,
enum ktd_text_col { KTD_TEXT_COLS(X) KTD_TEXT_NR_COLS };
#undef X
#define X(id, name) KTD_SYMBOL_##id,
enum ktd_symbol_col { KTD_SYMBOL_COLS(X) KTD_SYMBOL_NR_COLS };
#undef X
#define X(id, name) KTD_ENUM_##id,
enum ktd_enum_col { KTD_ENUM_COLS(X) KTD_ENUM_NR_COLS };
#undef X
#define X(id, name) KTD_END_##id,
enum ktd_end_col { KTD_END_COLS(X) KTD_END_NR_COLS };
#undef X
#define X(id, name) KTD_FIRING_##id,
enum ktd_firing_col { KTD_FIRING_COLS(X) KTD_FIRING_NR_COLS };
#undef X
#define X(id, name) KTD_MEM_##id,
enum ktd_mem_col { KTD_MEM_COLS(X) KTD_MEM_NR_COLS };
#undef X
#define X(id, name) KTD_RECORD_##id,
enum ktd_record_col { KTD_RECORD_COLS(X) KTD_RECORD_NR_COLS };
#undef X
#define X(id, name) KTD_CONTENT_##id,
enum ktd_content_col { KTD_CONTENT_COLS(X) KTD_CONTENT_NR_COLS };
#undef X
#define X(id, name) KTD_FACT_##id,
enum ktd_fact_col { KTD_FACT_COLS(X) KTD_FACT_NR_COLS };
#undef X
#define X(id, name) KTD_FIELD_##id,
enum ktd_field_col { KTD_FIELD_COLS(X) KTD_FIELD_NR_COLS };
#undef X
#define X(id, name) KTD_OBJECT_##id,
enum ktd_object_col { KTD_OBJECT_COLS(X) KTD_OBJECT_NR_COLS };
#undef X
#define X(id, name) KTD_BTF_##id,
enum ktd_btf_col { KTD_BTF_COLS(X) KTD_BTF_NR_COLS };
#undef X
#define X(id, name) KTD_BLOB_##id,
enum ktd_blob_col { KTD_BLOB_COLS(X) KTD_BLOB_NR_COLS };
#undef X
#define X(id, name) KTD_CODE_##id,
enum ktd_code_col { KTD_CODE_COLS(X) KTD_CODE_NR_COLS };
#undef X
#define X(id, name) KTD_INSN_##id,
enum ktd_insn_col { KTD_INSN_COLS(X) KTD_INSN_NR_COLS };
#undef X
#define X(id, name) KTD_IMAGE_##id,
enum ktd_image_col { KTD_IMAGE_COLS(X) KTD_IMAGE_NR_COLS };
#undef X
#define X(id, name) KTD_SCHED_TIMELINE_##id,
enum ktd_sched_timeline_col { KTD_SCHED_TIMELINE_COLS(X) KTD_SCHED_TIMELINE_NR_COLS };
#undef X

#endif /* KTD_SHARED_TABLES_H */
