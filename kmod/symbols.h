/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Addresses of unexported kernel data. Nothing found here is ever called: IBT
 * seals and kCFI types do not concern data.
 */
#ifndef KTD_SYMBOLS_H
#define KTD_SYMBOLS_H

#include <linux/types.h>

/* X(ID, "name", "what is lost without it") */
#define KTD_SYMBOLS(X) \
	X(RUNQUEUES, "runqueues", "run queues and local DSQs") \
	X(SCX_TASKS, "scx_tasks", "tasks that are on no queue") \
	X(SCX_ROOT, "scx_root", "the scheduler instance") \
	X(SCX_SCHED_ALL, "scx_sched_all", "")			/* since 7.1 */ \
	X(SCX_ENABLE_STATE, "scx_enable_state_var", "enable_state") \
	X(SCX_WATCHDOG_TIMESTAMP, "scx_watchdog_timestamp", "watchdog_timestamp") \
	X(SCX_WATCHDOG_TIMEOUT, "scx_watchdog_timeout", "")	/* until 7.0 */ \
	X(SCX_BYPASS_DEPTH, "scx_bypass_depth", "")		/* 6.16 to 7.0 */ \
	X(SCX_ABORTING, "scx_aborting", "")			/* 6.19, 7.0 */ \
	X(SCX_SWITCHING_ALL, "scx_switching_all", "switching_all") \
	X(SCX_NR_REJECTED, "scx_nr_rejected", "nr_rejected") \
	X(MAP_IDR, "map_idr", "BPF maps") \
	X(PROG_IDR, "prog_idr", "BPF programs") \
	X(BPF_KALLSYMS, "bpf_kallsyms", "names of BPF trampolines") \
	X(TICK_CPU_SCHED, "tick_cpu_sched", "")			/* iowait until 7.1 */ \
	X(EXT_CLASS, "ext_sched_class", "sched_class of ext tasks") \
	X(FAIR_CLASS, "fair_sched_class", "sched_class of fair tasks") \
	X(RT_CLASS, "rt_sched_class", "sched_class of rt tasks") \
	X(DL_CLASS, "dl_sched_class", "sched_class of dl tasks") \
	X(IDLE_CLASS, "idle_sched_class", "sched_class of idle tasks") \
	X(STOP_CLASS, "stop_sched_class", "sched_class of stop tasks")

enum ktd_symbol {
#define X(id, name, lost) KTD_SYM_##id,
	KTD_SYMBOLS(X)
#undef X
	KTD_NR_SYMBOLS,
};

/* Address by enum ktd_symbol; 0 = not found. Per-CPU symbols: offset base. */
extern unsigned long ktd_sym[KTD_NR_SYMBOLS];

/*
 * Finds every symbol; @given is the sym= parameter ("name:0xaddr,…", may be
 * NULL) and wins. May sleep. Returns 0, or -EINVAL for a malformed @given.
 */
int ktd_symbols_resolve(const char *given);

/* Whether kallsyms has a function of that name that a kprobe may sit on. */
bool ktd_symbol_probeable(const char *name);

const char *ktd_symbol_name(enum ktd_symbol sym);
const char *ktd_symbol_lost(enum ktd_symbol sym);

#endif
