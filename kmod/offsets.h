/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one table of kernel structure members that the module reads.
 *
 * Everything that differs between kernels is a line here: a member that a
 * kernel lacks is simply not found, and what needs it is left out and named.
 * X(ID, GROUP, "struct", "path", NEED):
 *   REQ  without it the whole group counts as missing
 *   IFS  as REQ, where the kernel has that struct at all: it has that type of map
 *   OPT  absent on some kernels; the report leaves the value out
 *   ONEn at least one line of the group with the same n must be there (places
 *        that moved between kernels)
 */
#ifndef KTD_OFFSETS_H
#define KTD_OFFSETS_H

#include "btf.h"

/* The first ten are the names the report format uses, in its order. */
#define KTD_GROUPS(X) \
	X(RQ, "rq") \
	X(SCX_RQ, "scx_rq") \
	X(TASK, "task_struct") \
	X(ENTITY, "sched_ext_entity") \
	X(LNODE, "scx_dsq_list_node") \
	X(DSQ, "scx_dispatch_q") \
	X(SCHED, "scx_sched") \
	X(PNODE, "scx_sched_pnode") \
	X(PCPU, "scx_sched_pcpu") \
	X(RHT, "rhashtable/bucket_table/rhash_head") \
	X(EXIT, "scx_exit_info") \
	X(PROG, "bpf_prog") \
	X(KSYM, "bpf_ksym") \
	X(MAP, "bpf_map") \
	X(BTF, "btf") \
	X(CPUTIME, "kernel_cpustat/tick_sched") \
	X(STRUCT_OPS, "bpf_struct_ops_map") \
	X(ARRAY, "bpf_array") \
	X(HTAB, "bpf_htab") \
	X(RHTAB, "bpf_rhtab") \
	X(LPM, "lpm_trie") \
	X(STORAGE, "bpf_local_storage_map") \
	X(CGSTOR, "bpf_cgroup_storage_map") \
	X(RINGBUF, "bpf_ringbuf") \
	X(STACKMAP, "bpf_stack_map") \
	X(DEVMAP, "bpf_dtab") \
	X(CPUMAP, "bpf_cpu_map") \
	X(XSKMAP, "xsk_map") \
	X(SOCKMAP, "bpf_stab/bpf_shtab") \
	X(REUSEPORT, "reuseport_array") \
	X(QUEUE, "bpf_queue_stack") \
	X(BLOOM, "bpf_bloom_filter") \
	X(INSN_ARRAY, "bpf_insn_array") \
	X(ARENA, "bpf_arena") \
	X(ARENA_TREE, "range_tree") \
	X(FIELD, "btf_record") \
	X(OBJECT, "cgroup/kernfs_node/inode") \
	X(CPUINFO, "cpuinfo_x86")

#define KTD_MEMBERS(X) \
	X(RQ_NR_RUNNING, RQ, "rq", "nr_running", REQ) \
	X(RQ_CURR, RQ, "rq", "curr", REQ) \
	X(RQ_SCX, RQ, "rq", "scx", REQ) \
	X(RQ_LOCK, RQ, "rq", "__lock.raw_lock", OPT) \
	X(RQ_ONLINE, RQ, "rq", "online", OPT) \
	X(RQ_NR_SWITCHES, RQ, "rq", "nr_switches", OPT) \
	X(RQ_NR_IOWAIT, RQ, "rq", "nr_iowait", OPT) \
	X(RQ_CLOCK, RQ, "rq", "clock", OPT) \
	X(RQ_CLOCK_TASK, RQ, "rq", "clock_task", OPT) \
	X(RQ_DONOR, RQ, "rq", "donor", OPT) \
	X(RQ_IDLE, RQ, "rq", "idle", OPT) \
	X(RQ_STOP, RQ, "rq", "stop", OPT) \
	X(RQ_FAIR_NR, RQ, "rq", "cfs.h_nr_queued", OPT) \
	X(RQ_FAIR_NR_OLD, RQ, "rq", "cfs.h_nr_running", OPT)	/* until 6.13 */ \
	X(RQ_PREV_STEAL, RQ, "rq", "prev_steal_time", OPT)		/* CONFIG_PARAVIRT */ \
	X(RQ_RT_NR, RQ, "rq", "rt.rt_nr_running", OPT) \
	X(RQ_DL_NR, RQ, "rq", "dl.dl_nr_running", OPT) \
	\
	X(SRQ_LOCAL_DSQ, SCX_RQ, "scx_rq", "local_dsq", REQ) \
	X(SRQ_RUNNABLE, SCX_RQ, "scx_rq", "runnable_list", REQ) \
	X(SRQ_NR_RUNNING, SCX_RQ, "scx_rq", "nr_running", REQ) \
	X(SRQ_FLAGS, SCX_RQ, "scx_rq", "flags", REQ) \
	X(SRQ_DEFERRED, SCX_RQ, "scx_rq", "ddsp_deferred_locals", OPT) \
	X(SRQ_REJECT_DSQ, SCX_RQ, "scx_rq", "reject_dsq", OPT)		/* 7.3 */ \
	X(SRQ_BYPASS_DSQ, SCX_RQ, "scx_rq", "bypass_dsq", OPT)		/* 6.19, 7.0 */ \
	X(SRQ_RESCUE_DSQ, SCX_RQ, "scx_rq", "rescue.dsq", OPT)		/* 7.3 */ \
	X(SRQ_RESCUE_CURR, SCX_RQ, "scx_rq", "rescue.curr", OPT) \
	X(SRQ_RESCUE_BUDGET, SCX_RQ, "scx_rq", "rescue.budget", OPT) \
	X(SRQ_RESCUE_SLICE, SCX_RQ, "scx_rq", "rescue.slice", OPT) \
	X(SRQ_RESCUE_KILL_AT, SCX_RQ, "scx_rq", "rescue.kill_at", OPT) \
	X(SRQ_CPU_RELEASED, SCX_RQ, "scx_rq", "cpu_released", OPT) \
	X(SRQ_OPS_QSEQ, SCX_RQ, "scx_rq", "ops_qseq", OPT)		/* until 7.1 */ \
	X(SRQ_KICK_SYNC, SCX_RQ, "scx_rq", "kick_sync", OPT)		/* since 6.19 */ \
	X(SRQ_PNT_SEQ, SCX_RQ, "scx_rq", "pnt_seq", OPT)		/* until 6.18 */ \
	X(SRQ_NR_IMMED, SCX_RQ, "scx_rq", "nr_immed", OPT) \
	X(SRQ_CLOCK, SCX_RQ, "scx_rq", "clock", OPT) \
	X(SRQ_CPUPERF_TARGET, SCX_RQ, "scx_rq", "cpuperf_target", OPT) \
	X(SRQ_IN_SELECT_CPU, SCX_RQ, "scx_rq", "in_select_cpu", OPT) \
	X(SRQ_KICK_SYNC_PENDING, SCX_RQ, "scx_rq", "kick_sync_pending", OPT) \
	X(SRQ_SUB_DISPATCH_PREV, SCX_RQ, "scx_rq", "sub_dispatch_prev", OPT) \
	X(SRQ_REMOTE_ACTIVATE_SCH, SCX_RQ, "scx_rq", "remote_activate_sch", OPT) \
	\
	X(TASK_PID, TASK, "task_struct", "pid", REQ) \
	X(TASK_COMM, TASK, "task_struct", "comm", REQ) \
	X(TASK_SCX, TASK, "task_struct", "scx", REQ) \
	X(TASK_TGID, TASK, "task_struct", "tgid", OPT) \
	X(TASK_GROUP_LEADER, TASK, "task_struct", "group_leader", OPT) \
	X(TASK_REAL_PARENT, TASK, "task_struct", "real_parent", OPT) \
	X(TASK_SIGNAL, TASK, "task_struct", "signal", OPT) \
	X(TASK_REAL_CRED, TASK, "task_struct", "real_cred", OPT) \
	X(TASK_SCHED_CLASS, TASK, "task_struct", "sched_class", OPT) \
	X(TASK_PRIO, TASK, "task_struct", "prio", OPT) \
	X(TASK_STATIC_PRIO, TASK, "task_struct", "static_prio", OPT) \
	X(TASK_NORMAL_PRIO, TASK, "task_struct", "normal_prio", OPT) \
	X(TASK_RT_PRIORITY, TASK, "task_struct", "rt_priority", OPT) \
	X(TASK_POLICY, TASK, "task_struct", "policy", OPT) \
	X(TASK_CORE_COOKIE, TASK, "task_struct", "core_cookie", OPT) \
	X(TASK_NVCSW, TASK, "task_struct", "nvcsw", OPT) \
	X(TASK_NIVCSW, TASK, "task_struct", "nivcsw", OPT) \
	X(TASK_UTIME, TASK, "task_struct", "utime", OPT) \
	X(TASK_STIME, TASK, "task_struct", "stime", OPT) \
	X(TASK_STATE, TASK, "task_struct", "__state", OPT) \
	X(TASK_EXIT_STATE, TASK, "task_struct", "exit_state", OPT) \
	X(TASK_FLAGS, TASK, "task_struct", "flags", OPT) \
	X(TASK_ON_CPU, TASK, "task_struct", "on_cpu", OPT) \
	X(TASK_ON_RQ, TASK, "task_struct", "on_rq", OPT) \
	X(TASK_CPU, TASK, "task_struct", "thread_info.cpu", OPT) \
	X(TASK_MIGRATION_DISABLED, TASK, "task_struct", "migration_disabled", OPT) \
	X(TASK_NR_CPUS_ALLOWED, TASK, "task_struct", "nr_cpus_allowed", OPT) \
	X(TASK_CPUS_PTR, TASK, "task_struct", "cpus_ptr", OPT) \
	X(TASK_PI_BLOCKED_ON, TASK, "task_struct", "pi_blocked_on", OPT) \
	X(TASK_BLOCKED_ON, TASK, "task_struct", "blocked_on", OPT) \
	X(WAITER_LOCK, TASK, "rt_mutex_waiter", "lock", OPT) \
	X(RT_MUTEX_OWNER, TASK, "rt_mutex_base", "owner", OPT) \
	X(MUTEX_OWNER, TASK, "mutex", "owner.counter", OPT) \
	X(TASK_LAST_ARRIVAL, TASK, "task_struct", "sched_info.last_arrival", OPT) \
	X(TASK_SUM_EXEC, TASK, "task_struct", "se.sum_exec_runtime", OPT) \
	X(SIGNAL_NR_THREADS, TASK, "signal_struct", "nr_threads", OPT) \
	X(SIGNAL_NVCSW, TASK, "signal_struct", "nvcsw", OPT) \
	X(SIGNAL_NIVCSW, TASK, "signal_struct", "nivcsw", OPT) \
	X(SIGNAL_PIDS, TASK, "signal_struct", "pids", OPT) \
	X(PID_NUMBERS, TASK, "pid", "numbers", OPT) \
	X(UPID_NR, TASK, "upid", "nr", OPT) \
	X(CRED_UID, TASK, "cred", "uid", OPT) \
	X(CRED_GID, TASK, "cred", "gid", OPT) \
	\
	X(ENT_FLAGS, ENTITY, "sched_ext_entity", "flags", REQ) \
	X(ENT_DSQ, ENTITY, "sched_ext_entity", "dsq", REQ) \
	X(ENT_DSQ_LIST, ENTITY, "sched_ext_entity", "dsq_list", REQ) \
	X(ENT_RUNNABLE_NODE, ENTITY, "sched_ext_entity", "runnable_node", REQ) \
	X(ENT_RUNNABLE_AT, ENTITY, "sched_ext_entity", "runnable_at", REQ) \
	X(ENT_TASKS_NODE, ENTITY, "sched_ext_entity", "tasks_node", REQ) \
	X(ENT_WEIGHT, ENTITY, "sched_ext_entity", "weight", REQ) \
	X(ENT_SCHED, ENTITY, "sched_ext_entity", "sched", OPT) \
	X(ENT_DSQ_FLAGS, ENTITY, "sched_ext_entity", "dsq_flags", OPT) \
	X(ENT_DSQ_SEQ, ENTITY, "sched_ext_entity", "dsq_seq", OPT) \
	X(ENT_DSQ_VTIME, ENTITY, "sched_ext_entity", "dsq_vtime", OPT) \
	X(ENT_OPS_STATE, ENTITY, "sched_ext_entity", "ops_state", OPT) \
	X(ENT_OPS_QSEQ, ENTITY, "sched_ext_entity", "ops_qseq", OPT)	/* since 7.2 */ \
	X(ENT_SLICE, ENTITY, "sched_ext_entity", "slice", OPT) \
	X(ENT_STICKY_CPU, ENTITY, "sched_ext_entity", "sticky_cpu", OPT) \
	X(ENT_HOLDING_CPU, ENTITY, "sched_ext_entity", "holding_cpu", OPT) \
	X(ENT_SELECTED_CPU, ENTITY, "sched_ext_entity", "selected_cpu", OPT) \
	X(ENT_RUNNABLE_CPU, ENTITY, "sched_ext_entity", "runnable_cpu", OPT) \
	X(ENT_RESCUE_AT, ENTITY, "sched_ext_entity", "rescue_at", OPT) \
	X(ENT_DDSP_DSQ_ID, ENTITY, "sched_ext_entity", "ddsp_dsq_id", OPT) \
	X(ENT_DDSP_ENQ_FLAGS, ENTITY, "sched_ext_entity", "ddsp_enq_flags", OPT) \
	X(ENT_DDSP_SLICE, ENTITY, "sched_ext_entity", "ddsp_slice", OPT) \
	X(ENT_DDSP_VTIME, ENTITY, "sched_ext_entity", "ddsp_vtime", OPT) \
	X(ENT_DISALLOW, ENTITY, "sched_ext_entity", "disallow", OPT) \
	X(ENT_TID, ENTITY, "sched_ext_entity", "tid", OPT) \
	X(ENT_REENQ_CNT, ENTITY, "sched_ext_entity", "reenq_cnt", OPT) \
	X(ENT_REENQ_CAPS, ENTITY, "sched_ext_entity", "reenq_reason_caps", OPT) \
	X(ENT_REENQ_CID, ENTITY, "sched_ext_entity", "reenq_reason_cid", OPT) \
	X(ENT_SLICE_OOB, ENTITY, "sched_ext_entity", "slice_oob", OPT) \
	X(ENT_KF_MASK, ENTITY, "sched_ext_entity", "kf_mask", OPT)	/* until 7.0 */ \
	\
	X(LNODE_NODE, LNODE, "scx_dsq_list_node", "node", REQ) \
	X(LNODE_FLAGS, LNODE, "scx_dsq_list_node", "flags", REQ) \
	\
	X(DSQ_LIST, DSQ, "scx_dispatch_q", "list", REQ) \
	X(DSQ_NR, DSQ, "scx_dispatch_q", "nr", REQ) \
	X(DSQ_ID, DSQ, "scx_dispatch_q", "id", REQ) \
	X(DSQ_SEQ, DSQ, "scx_dispatch_q", "seq", OPT) \
	X(DSQ_LOCK, DSQ, "scx_dispatch_q", "lock.raw_lock", OPT) \
	X(DSQ_HASH_NODE, DSQ, "scx_dispatch_q", "hash_node", OPT) \
	X(DSQ_FIRST_TASK, DSQ, "scx_dispatch_q", "first_task", OPT) \
	X(DSQ_PRIQ, DSQ, "scx_dispatch_q", "priq.rb_node", OPT) \
	X(DSQ_SCHED, DSQ, "scx_dispatch_q", "sched", OPT) \
	\
	X(SCH_EXIT_KIND, SCHED, "scx_sched", "exit_kind.counter", REQ) \
	X(SCH_EXIT_INFO, SCHED, "scx_sched", "exit_info", REQ) \
	X(SCH_DSQ_HASH, SCHED, "scx_sched", "dsq_hash", REQ) \
	X(SCH_KOBJ, SCHED, "scx_sched", "kobj", OPT) \
	X(SCH_DISABLE_WORK, SCHED, "scx_sched", "disable_work", OPT) \
	X(SCH_NAME, SCHED, "scx_sched", "ops.name", OPT) \
	X(SCH_OPS_FLAGS, SCHED, "scx_sched", "ops.flags", OPT) \
	X(SCH_TIMEOUT_MS, SCHED, "scx_sched", "ops.timeout_ms", OPT) \
	X(SCH_EXIT_DUMP_LEN, SCHED, "scx_sched", "ops.exit_dump_len", OPT) \
	X(SCH_SUB_CGROUP_ID, SCHED, "scx_sched", "ops.sub_cgroup_id", OPT) \
	X(SCH_LEVEL, SCHED, "scx_sched", "level", OPT) \
	X(SCH_ID, SCHED, "scx_sched", "id", OPT) \
	X(SCH_ALL, SCHED, "scx_sched", "all", OPT) \
	X(SCH_ANCESTORS, SCHED, "scx_sched", "ancestors", OPT) \
	X(SCH_CGRP_PATH, SCHED, "scx_sched", "cgrp_path", OPT) \
	X(SCH_IS_CID_TYPE, SCHED, "scx_sched", "is_cid_type", OPT) \
	X(SCH_SLICE_DFL, SCHED, "scx_sched", "slice_dfl", OPT) \
	X(SCH_DSP_MAX_BATCH, SCHED, "scx_sched", "dsp_max_batch", OPT) \
	X(SCH_BYPASS_DEPTH, SCHED, "scx_sched", "bypass_depth", OPT) \
	X(SCH_BYPASS_TIMESTAMP, SCHED, "scx_sched", "bypass_timestamp", OPT) \
	X(SCH_BYPASS_DSP_EN, SCHED, "scx_sched", "bypass_dsp_enable_depth", OPT) \
	X(SCH_ABORTING, SCHED, "scx_sched", "aborting", OPT) \
	X(SCH_DEAD, SCHED, "scx_sched", "dead", OPT) \
	X(SCH_LINKED, SCHED, "scx_sched", "linked", OPT) \
	X(SCH_SUB_ATTACHED, SCHED, "scx_sched", "sub_attached", OPT) \
	X(SCH_DUMP_DISABLED, SCHED, "scx_sched", "dump_disabled", OPT) \
	X(SCH_WARNED_ZERO_SLICE, SCHED, "scx_sched", "warned_zero_slice", OPT) \
	X(SCH_WATCHDOG_TIMEOUT, SCHED, "scx_sched", "watchdog_timeout", OPT) \
	X(SCH_ARENA_MAP, SCHED, "scx_sched", "arena_map", OPT) \
	X(SCH_ARENA_KERN_BASE, SCHED, "scx_sched", "arena_kern_base", OPT) \
	X(SCH_NR_PSHARDS, SCHED, "scx_sched", "nr_pshards", OPT) \
	\
	X(SCH_PNODE, PNODE, "scx_sched", "pnode", ONE1)			/* since 7.1 */ \
	X(SCH_GLOBAL_DSQS, PNODE, "scx_sched", "global_dsqs", ONE1)	/* until 7.0 */ \
	X(PNODE_GLOBAL_DSQ, PNODE, "scx_sched_pnode", "global_dsq", OPT) \
	\
	X(SCH_PCPU, PCPU, "scx_sched", "pcpu", ONE1)			/* since 6.17 */ \
	X(SCH_EVENT_STATS, PCPU, "scx_sched", "event_stats_cpu", ONE1)	/* 6.16 */ \
	X(PCPU_EVENT_STATS, PCPU, "scx_sched_pcpu", "event_stats", OPT) \
	X(PCPU_BYPASS_DSQ, PCPU, "scx_sched_pcpu", "bypass_dsq", OPT)	/* since 7.1 */ \
	\
	X(RHT_TBL, RHT, "rhashtable", "tbl", REQ) \
	X(RHT_HEAD_OFFSET, RHT, "rhashtable", "p.head_offset", REQ) \
	X(TBL_SIZE, RHT, "bucket_table", "size", REQ) \
	X(TBL_NEST, RHT, "bucket_table", "nest", REQ) \
	X(TBL_FUTURE, RHT, "bucket_table", "future_tbl", REQ) \
	X(TBL_BUCKETS, RHT, "bucket_table", "buckets", REQ) \
	X(RHEAD_NEXT, RHT, "rhash_head", "next", REQ) \
	\
	X(EI_KIND, EXIT, "scx_exit_info", "kind", REQ) \
	X(EI_REASON, EXIT, "scx_exit_info", "reason", REQ) \
	X(EI_MSG, EXIT, "scx_exit_info", "msg", REQ) \
	X(EI_DUMP, EXIT, "scx_exit_info", "dump", REQ) \
	X(EI_EXIT_CODE, EXIT, "scx_exit_info", "exit_code", OPT) \
	X(EI_EXIT_CPU, EXIT, "scx_exit_info", "exit_cpu", OPT) \
	X(EI_FLAGS, EXIT, "scx_exit_info", "flags", OPT) \
	X(EI_BT, EXIT, "scx_exit_info", "bt", OPT) \
	X(EI_BT_LEN, EXIT, "scx_exit_info", "bt_len", OPT) \
	\
	X(KSYM_START, KSYM, "bpf_ksym", "start", REQ) \
	X(KSYM_END, KSYM, "bpf_ksym", "end", REQ) \
	X(KSYM_NAME, KSYM, "bpf_ksym", "name", REQ) \
	X(KSYM_LNODE, KSYM, "bpf_ksym", "lnode", REQ) \
	X(KSYM_PROG, KSYM, "bpf_ksym", "prog", REQ) \
	X(PROG_TYPE, PROG, "bpf_prog", "type", REQ) \
	X(PROG_AUX, PROG, "bpf_prog", "aux", REQ) \
	X(PROG_STATS, PROG, "bpf_prog", "stats", OPT) \
	X(AUX_ID, PROG, "bpf_prog_aux", "id", REQ) \
	X(AUX_NAME, PROG, "bpf_prog_aux", "name", REQ) \
	X(AUX_KSYM_NAME, PROG, "bpf_prog_aux", "ksym.name", OPT) \
	X(AUX_KSYM_START, PROG, "bpf_prog_aux", "ksym.start", OPT) \
	X(AUX_KSYM_END, PROG, "bpf_prog_aux", "ksym.end", OPT) \
	X(AUX_FUNC, PROG, "bpf_prog_aux", "func", OPT) \
	X(AUX_FUNC_CNT, PROG, "bpf_prog_aux", "func_cnt", OPT) \
	X(AUX_VERIFIED_INSNS, PROG, "bpf_prog_aux", "verified_insns", OPT) \
	X(AUX_ATTACH_BTF_ID, PROG, "bpf_prog_aux", "attach_btf_id", OPT) \
	X(AUX_MEMBER_OFF, PROG, "bpf_prog_aux", "attach_st_ops_member_off", OPT) \
	X(AUX_USED_MAPS, PROG, "bpf_prog_aux", "used_maps", OPT) \
	X(AUX_USED_MAP_CNT, PROG, "bpf_prog_aux", "used_map_cnt", OPT) \
	X(PROG_ATTACH_TYPE, PROG, "bpf_prog", "expected_attach_type", OPT) \
	X(AUX_BTF, PROG, "bpf_prog_aux", "btf", OPT) \
	X(PROG_LEN, PROG, "bpf_prog", "len", OPT) \
	X(PROG_INSNSI, PROG, "bpf_prog", "insnsi", OPT) \
	X(AUX_FUNC_INFO, PROG, "bpf_prog_aux", "func_info", OPT) \
	X(AUX_FUNC_INFO_CNT, PROG, "bpf_prog_aux", "func_info_cnt", OPT) \
	X(STATS_CNT, PROG, "bpf_prog_stats", "cnt", OPT) \
	X(STATS_NSECS, PROG, "bpf_prog_stats", "nsecs", OPT) \
	X(STATS_MISSES, PROG, "bpf_prog_stats", "misses", OPT) \
	\
	X(MAP_ID, MAP, "bpf_map", "id", REQ) \
	X(MAP_NAME, MAP, "bpf_map", "name", REQ) \
	X(MAP_TYPE, MAP, "bpf_map", "map_type", REQ) \
	X(MAP_KEY_SIZE, MAP, "bpf_map", "key_size", OPT) \
	X(MAP_VALUE_SIZE, MAP, "bpf_map", "value_size", OPT) \
	X(MAP_MAX_ENTRIES, MAP, "bpf_map", "max_entries", OPT) \
	X(MAP_FLAGS, MAP, "bpf_map", "map_flags", OPT) \
	X(MAP_EXTRA, MAP, "bpf_map", "map_extra", OPT) \
	X(MAP_NUMA_NODE, MAP, "bpf_map", "numa_node", OPT) \
	X(MAP_FROZEN, MAP, "bpf_map", "frozen", OPT) \
	X(MAP_BTF, MAP, "bpf_map", "btf", OPT) \
	X(MAP_BTF_KEY, MAP, "bpf_map", "btf_key_type_id", OPT) \
	X(MAP_BTF_VALUE, MAP, "bpf_map", "btf_value_type_id", OPT) \
	X(MAP_BTF_VMLINUX, MAP, "bpf_map", "btf_vmlinux_value_type_id", OPT) \
	X(MAP_RECORD, MAP, "bpf_map", "record", OPT) \
	X(MAP_ELEM_COUNT, MAP, "bpf_map", "elem_count", OPT) \
	\
	X(BTF_ID, BTF, "btf", "id", REQ) \
	X(BTF_DATA, BTF, "btf", "data", REQ) \
	X(BTF_DATA_SIZE, BTF, "btf", "data_size", REQ) \
	X(BTF_BASE, BTF, "btf", "base_btf", REQ) \
	X(BTF_KERNEL, BTF, "btf", "kernel_btf", REQ) \
	X(BTF_NAME, BTF, "btf", "name", REQ) \
	\
	X(CPUSTAT, CPUTIME, "kernel_cpustat", "cpustat", REQ) \
	X(CPUSTAT_IDLE_ELAPSE, CPUTIME, "kernel_cpustat", "idle_elapse", OPT)	/* since 7.2 */ \
	X(CPUSTAT_IDLE_ENTRY, CPUTIME, "kernel_cpustat", "idle_entrytime", OPT) \
	X(CPUSTAT_IDLE_STEAL, CPUTIME, "kernel_cpustat", "idle_stealtime", OPT) \
	X(TICK_IOWAIT, CPUTIME, "tick_sched", "iowait_sleeptime", OPT)	/* until 7.1 */ \
	\
	X(ST_DESC, STRUCT_OPS, "bpf_struct_ops_map", "st_ops_desc", REQ) \
	X(ST_LINKS, STRUCT_OPS, "bpf_struct_ops_map", "links", REQ) \
	X(ST_FUNCS_CNT, STRUCT_OPS, "bpf_struct_ops_map", "funcs_cnt", REQ) \
	X(ST_KVALUE, STRUCT_OPS, "bpf_struct_ops_map", "kvalue", REQ) \
	X(ST_STATE, STRUCT_OPS, "bpf_struct_ops_map", "kvalue.common.state", REQ) \
	X(ST_DATA, STRUCT_OPS, "bpf_struct_ops_map", "kvalue.data", REQ) \
	X(DESC_ST_OPS, STRUCT_OPS, "bpf_struct_ops_desc", "st_ops", REQ) \
	X(ST_OPS_NAME, STRUCT_OPS, "bpf_struct_ops", "name", REQ) \
	X(LINK_PROG, STRUCT_OPS, "bpf_link", "prog", REQ) \
	X(OPS_PRIV, STRUCT_OPS, "sched_ext_ops", "priv", REQ) \
	X(OPS_CID_PRIV, STRUCT_OPS, "sched_ext_ops_cid", "priv", IFS)	/* since 7.2 */ \
	\
	X(ARR_ELEM_SIZE, ARRAY, "bpf_array", "elem_size", REQ) \
	X(ARR_VALUE, ARRAY, "bpf_array", "value", REQ) \
	X(ARR_PTRS, ARRAY, "bpf_array", "ptrs", REQ) \
	X(ARR_PPTRS, ARRAY, "bpf_array", "pptrs", REQ) \
	\
	X(HTAB_BUCKETS, HTAB, "bpf_htab", "buckets", REQ) \
	X(HTAB_N_BUCKETS, HTAB, "bpf_htab", "n_buckets", REQ) \
	X(BUCKET_HEAD, HTAB, "bucket", "head", REQ) \
	X(HELEM_NODE, HTAB, "htab_elem", "hash_node", REQ) \
	X(HELEM_KEY, HTAB, "htab_elem", "key", REQ) \
	\
	X(RHTAB_HT, RHTAB, "bpf_rhtab", "ht", IFS)			/* since 7.2 */ \
	X(RHTAB_NELEMS, RHTAB, "bpf_rhtab", "ht.nelems.counter", OPT) \
	X(RHELEM_NODE, RHTAB, "rhtab_elem", "node", IFS) \
	X(RHELEM_DATA, RHTAB, "rhtab_elem", "data", IFS) \
	\
	X(LPM_ROOT, LPM, "lpm_trie", "root", REQ) \
	X(LPM_DATA_SIZE, LPM, "lpm_trie", "data_size", REQ) \
	X(LPM_N_ENTRIES, LPM, "lpm_trie", "n_entries", OPT) \
	X(TNODE_CHILD, LPM, "lpm_trie_node", "child", REQ) \
	X(TNODE_PREFIXLEN, LPM, "lpm_trie_node", "prefixlen", REQ) \
	X(TNODE_FLAGS, LPM, "lpm_trie_node", "flags", REQ) \
	X(TNODE_DATA, LPM, "lpm_trie_node", "data", REQ) \
	\
	X(LS_BUCKETS, STORAGE, "bpf_local_storage_map", "buckets", REQ) \
	X(LS_BUCKET_LOG, STORAGE, "bpf_local_storage_map", "bucket_log", REQ) \
	X(LS_BUCKET_LIST, STORAGE, "bpf_local_storage_map_bucket", "list", REQ) \
	X(SELEM_NODE, STORAGE, "bpf_local_storage_elem", "map_node", REQ) \
	X(SELEM_STORAGE, STORAGE, "bpf_local_storage_elem", "local_storage", REQ) \
	X(SELEM_DATA, STORAGE, "bpf_local_storage_elem", "sdata.data", REQ) \
	X(LS_OWNER, STORAGE, "bpf_local_storage", "owner", REQ) \
	\
	X(CGS_LIST, CGSTOR, "bpf_cgroup_storage_map", "list", IFS) \
	X(CGS_NODE, CGSTOR, "bpf_cgroup_storage", "list_map", IFS) \
	X(CGS_KEY, CGSTOR, "bpf_cgroup_storage", "key", IFS) \
	X(CGS_BUF, CGSTOR, "bpf_cgroup_storage", "buf", IFS) \
	X(CGS_PERCPU_BUF, CGSTOR, "bpf_cgroup_storage", "percpu_buf", IFS) \
	X(CGS_BUF_DATA, CGSTOR, "bpf_storage_buffer", "data", IFS) \
	\
	X(RBMAP_RB, RINGBUF, "bpf_ringbuf_map", "rb", REQ) \
	X(RB_MASK, RINGBUF, "bpf_ringbuf", "mask", REQ) \
	X(RB_CONSUMER, RINGBUF, "bpf_ringbuf", "consumer_pos", REQ) \
	X(RB_PRODUCER, RINGBUF, "bpf_ringbuf", "producer_pos", REQ) \
	X(RB_PENDING, RINGBUF, "bpf_ringbuf", "pending_pos", OPT)	/* since 6.10 */ \
	X(RB_OVERWRITE, RINGBUF, "bpf_ringbuf", "overwrite_pos", OPT)	/* since 6.19 */ \
	X(RB_OVERWRITE_MODE, RINGBUF, "bpf_ringbuf", "overwrite_mode", OPT) \
	X(RB_DATA, RINGBUF, "bpf_ringbuf", "data", REQ) \
	\
	X(SM_N_BUCKETS, STACKMAP, "bpf_stack_map", "n_buckets", REQ) \
	X(SM_BUCKETS, STACKMAP, "bpf_stack_map", "buckets", REQ) \
	X(SMB_NR, STACKMAP, "stack_map_bucket", "nr", REQ) \
	X(SMB_DATA, STACKMAP, "stack_map_bucket", "data", REQ) \
	\
	X(DTAB_NETDEVS, DEVMAP, "bpf_dtab", "netdev_map", IFS) \
	X(DTAB_HEADS, DEVMAP, "bpf_dtab", "dev_index_head", IFS) \
	X(DTAB_N_BUCKETS, DEVMAP, "bpf_dtab", "n_buckets", IFS) \
	X(DTDEV_DEV, DEVMAP, "bpf_dtab_netdev", "dev", IFS) \
	X(DTDEV_NODE, DEVMAP, "bpf_dtab_netdev", "index_hlist", IFS) \
	X(DTDEV_IDX, DEVMAP, "bpf_dtab_netdev", "idx", IFS) \
	X(NETDEV_IFINDEX, DEVMAP, "net_device", "ifindex", OPT) \
	\
	X(CPUMAP_ENTRIES, CPUMAP, "bpf_cpu_map", "cpu_map", IFS) \
	\
	X(XSKMAP_SOCKS, XSKMAP, "xsk_map", "xsk_map", IFS) \
	\
	X(STAB_SOCKS, SOCKMAP, "bpf_stab", "sks", IFS) \
	X(SHTAB_BUCKETS, SOCKMAP, "bpf_shtab", "buckets", IFS) \
	X(SHTAB_NR, SOCKMAP, "bpf_shtab", "buckets_num", IFS) \
	X(SHB_HEAD, SOCKMAP, "bpf_shtab_bucket", "head", IFS) \
	X(SHELEM_NODE, SOCKMAP, "bpf_shtab_elem", "node", IFS) \
	X(SHELEM_SK, SOCKMAP, "bpf_shtab_elem", "sk", IFS) \
	X(SHELEM_KEY, SOCKMAP, "bpf_shtab_elem", "key", IFS) \
	\
	X(REUSE_SOCKS, REUSEPORT, "reuseport_array", "ptrs", IFS) \
	\
	X(QS_HEAD, QUEUE, "bpf_queue_stack", "head", REQ) \
	X(QS_TAIL, QUEUE, "bpf_queue_stack", "tail", REQ) \
	X(QS_SIZE, QUEUE, "bpf_queue_stack", "size", REQ) \
	X(QS_ELEMENTS, QUEUE, "bpf_queue_stack", "elements", REQ) \
	\
	X(BLOOM_MASK, BLOOM, "bpf_bloom_filter", "bitset_mask", REQ) \
	X(BLOOM_SEED, BLOOM, "bpf_bloom_filter", "hash_seed", REQ) \
	X(BLOOM_NR_HASH, BLOOM, "bpf_bloom_filter", "nr_hash_funcs", REQ) \
	X(BLOOM_BITS, BLOOM, "bpf_bloom_filter", "bitset", REQ) \
	\
	X(INSN_VALUES, INSN_ARRAY, "bpf_insn_array", "values", IFS)	/* since 6.19 */ \
	\
	X(ARENA_USER_START, ARENA, "bpf_arena", "user_vm_start", REQ) \
	X(ARENA_USER_END, ARENA, "bpf_arena", "user_vm_end", REQ) \
	X(ARENA_KERN_VM, ARENA, "bpf_arena", "kern_vm", REQ) \
	X(ARENA_SCRATCH, ARENA, "bpf_arena", "scratch_page", OPT)	/* since 7.2 */ \
	X(ARENA_NR_PAGES, ARENA, "bpf_arena", "nr_pages", OPT)		/* since 7.3 */ \
	X(VM_ADDR, ARENA, "vm_struct", "addr", REQ) \
	X(VM_SIZE, ARENA, "vm_struct", "size", REQ) \
	\
	X(ARENA_LEFTMOST, ARENA_TREE, "bpf_arena", "rt.it_root.rb_leftmost", REQ) /* since 6.13 */ \
	X(RANGE_NODE, ARENA_TREE, "range_node", "rn_rbnode", REQ) \
	X(RANGE_START, ARENA_TREE, "range_node", "rn_start", REQ) \
	X(RANGE_LAST, ARENA_TREE, "range_node", "rn_last", REQ) \
	X(RB_PARENT, ARENA_TREE, "rb_node", "__rb_parent_color", REQ) \
	X(RB_RIGHT, ARENA_TREE, "rb_node", "rb_right", REQ) \
	X(RB_LEFT, ARENA_TREE, "rb_node", "rb_left", REQ) \
	\
	X(REC_CNT, FIELD, "btf_record", "cnt", REQ) \
	X(REC_FIELDS, FIELD, "btf_record", "fields", REQ) \
	X(FLD_OFFSET, FIELD, "btf_field", "offset", REQ) \
	X(FLD_SIZE, FIELD, "btf_field", "size", REQ) \
	X(FLD_TYPE, FIELD, "btf_field", "type", REQ) \
	X(FLD_KPTR_BTF, FIELD, "btf_field", "kptr.btf", REQ) \
	X(FLD_KPTR_ID, FIELD, "btf_field", "kptr.btf_id", REQ) \
	X(FLD_ROOT_BTF, FIELD, "btf_field", "graph_root.btf", REQ) \
	X(FLD_ROOT_ID, FIELD, "btf_field", "graph_root.value_btf_id", REQ) \
	X(BTF_TYPES, FIELD, "btf", "types", REQ) \
	X(BTF_NR_TYPES, FIELD, "btf", "nr_types", REQ) \
	X(BTF_START_ID, FIELD, "btf", "start_id", REQ) \
	X(BTF_METAS, FIELD, "btf", "struct_meta_tab", REQ) \
	X(BTYPE_INFO, FIELD, "btf_type", "info", REQ) \
	X(BTYPE_SIZE, FIELD, "btf_type", "size", REQ) \
	X(METAS_CNT, FIELD, "btf_struct_metas", "cnt", REQ) \
	X(METAS_TYPES, FIELD, "btf_struct_metas", "types", REQ) \
	X(META_ID, FIELD, "btf_struct_meta", "btf_id", REQ) \
	X(META_RECORD, FIELD, "btf_struct_meta", "record", REQ) \
	\
	X(CGRP_KN, OBJECT, "cgroup", "kn", OPT) \
	X(KN_ID, OBJECT, "kernfs_node", "id", OPT) \
	X(KN_NAME, OBJECT, "kernfs_node", "name", OPT) \
	X(INODE_INO, OBJECT, "inode", "i_ino", OPT) \
	\
	X(CPU_LLC, CPUINFO, "cpuinfo_x86", "topo.llc_id", REQ)	/* since 6.7 */

/* Structs whose BTF id or size is asked for. X(ID, "struct") */
#define KTD_STRUCTS(X) \
	X(EVENT_STATS, "scx_event_stats") \
	X(BUCKET, "bucket") \
	X(LS_BUCKET, "bpf_local_storage_map_bucket") \
	X(SHTAB_BUCKET, "bpf_shtab_bucket") \
	X(INSN_VALUE, "bpf_insn_array_value") \
	X(BTF_FIELD, "btf_field") \
	X(BTF_META, "btf_struct_meta") \
	X(TASK, "task_struct") \
	X(CGROUP, "cgroup") \
	X(CPUMASK, "cpumask") \
	X(BPF_CPUMASK, "bpf_cpumask")

enum ktd_group {
#define X(id, name) KTD_GRP_##id,
	KTD_GROUPS(X)
#undef X
	KTD_NR_GROUPS,
};

enum ktd_member_id {
	KTD_M_NONE,
#define X(id, group, strct, path, need) KTD_M_##id,
	KTD_MEMBERS(X)
#undef X
	KTD_NR_MEMBERS,
};

enum ktd_struct_id {
#define X(id, name) KTD_S_##id,
	KTD_STRUCTS(X)
#undef X
	KTD_NR_STRUCTS,
};

/* Members of scx_event_stats: names and offsets are whatever the kernel has. */
#define KTD_EVENTS_MAX	64
#define KTD_EVENT_NAME	40

struct ktd_offsets {
	struct ktd_place	place[KTD_NR_MEMBERS];
	bool			have[KTD_NR_MEMBERS];
	bool			group_missing[KTD_NR_GROUPS];
	struct {
		u32	id;	/* in the kernel's BTF, 0 = no such struct */
		u32	size;	/* bytes */
	} strct[KTD_NR_STRUCTS];
	u32			nr_events;
	struct {
		char	name[KTD_EVENT_NAME];
		u32	off;
	} event[KTD_EVENTS_MAX];
};

/*
 * Resolves the whole table in @btf. Never fails: what is not there is marked.
 * Load time only; needs no lock and does not sleep.
 */
void ktd_offsets_resolve(struct ktd_offsets *o, const struct ktd_btf *btf);

const char *ktd_group_name(enum ktd_group group);
const char *ktd_member_struct(enum ktd_member_id id);
const char *ktd_member_path(enum ktd_member_id id);

/*
 * "struct rq: curr, scx; struct x: (no such type)" for the members of @group
 * that are required and missing. Returns the length, 0 if the group is whole.
 */
int ktd_group_missing(const struct ktd_offsets *o, enum ktd_group group,
		      char *buf, size_t size);

#endif
