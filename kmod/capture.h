/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One capture: the sections that fill a snapshot while the CPUs are parked.
 *
 * Everything a section calls must be safe in NMI with any lock held: no lock,
 * no allocation, no sleep, no printk. Sections ask ktd_expired() in every loop
 * that grows with the size of the system.
 */
#ifndef KTD_CAPTURE_H
#define KTD_CAPTURE_H

#include "buffer.h"
#include "nofault.h"
#include "symbols.h"
#include "table.h"

/* A task met on a queue or list; one entry per task_struct. */
struct ktd_task {
	unsigned long	kva;
	unsigned long	runnable_at;	/* jiffies; valid if runnable_on >= 0 */
	s16		runnable_on;	/* CPU of the runnable_list, -1 none */
	s16		curr_on;	/* CPU where it is rq->curr, -1 none */
	bool		on_scx_tasks;
};

/* A BPF map. */
struct ktd_map {
	unsigned long	kva;
	unsigned long	owner;		/* the scheduler that uses it, 0 none */
	u64		estimate;	/* bytes of its content */
};

/* What the scanner knows about a scheduler; early.c. */
struct ktd_early {
	u32		snapshot;	/* its early snapshot, 0 none */
	u64		age;		/* jiffies: largest age seen by the checks */
	u64		threshold;	/* jiffies, 0 = no checks */
	const char	*error;		/* why there is or will be none, NULL: nothing against it */
};

/* What fired. Filled by trigger.c before the freeze. */
struct ktd_trigger {
	const char	*kind;		/* "exit", "early", "demand" */
	bool		exit;
	struct ktd_early early;
	const char	*hook;
	struct pt_regs	*regs;		/* a kprobe's, NULL none */
	const char	*context;
	unsigned long	sch;
	u32		exit_kind;
	u32		preempt_count;
	bool		irqs_off;
	u64		trigger_count;
	u64		mono_ns;	/* CLOCK_MONOTONIC when the hook fired */
};

struct ktd_capture {
	struct ktd_sink		sink;
	struct ktd_snapshot	*snap;
	struct ktd_freeze	*freeze;
	struct ktd_trigger	trig;
	u64			deadline_ns;	/* CLOCK_MONOTONIC */
	u32			ticks;		/* ktd_expired() calls */
	bool			expired;
	unsigned long		jiffies;

	unsigned long		sched[KTD_SCHEDS_MAX];
	u32			nr_scheds;

	struct ktd_task		*task;		/* ktd_max_tasks entries */
	u32			nr_tasks;
	bool			tasks_full;
	u32			*task_hash;	/* index + 1 into task; power of two */
	u32			task_hash_mask;

	struct ktd_map		*map;		/* ktd_max_maps entries */
	u32			nr_maps;
	u32			*map_hash;	/* index + 1 into map; power of two */
	u32			map_hash_mask;

	struct ktd_task		**oldest;	/* ktd_max_stacks entries, for stack.c */

	u64			*pcs;		/* every address to symbolise later */
	u32			nr_pcs;
	u32			max_pcs;

	u64			scratch[1024];	/* one LIST row of addresses */
	u64			stack[KTD_STACK_DEPTH];
};

int ktd_capture_init(void);
void ktd_capture_exit(void);

/*
 * Captures into a new snapshot; the caller leads the freeze and has IRQs off.
 * Returns the snapshot, or NULL when there was no room (counted, if it is an exit).
 */
struct ktd_snapshot *ktd_capture(const struct ktd_trigger *trig);

/* True once the deadline is over; reads the clock every 16th call. */
bool ktd_expired(struct ktd_capture *c);

/* Notes that something was cut for want of time at @now; the first time counts. */
void ktd_truncated(struct ktd_capture *c, u64 now);

/* Names what is not there; @reason is constant text. One per table and reason. */
void ktd_missing(struct ktd_capture *c, u16 table, const char *reason);

/* Notes addresses that the sender thread shall symbolise. */
void ktd_note_pcs(struct ktd_capture *c, const unsigned long *pcs, u32 nr);

/* The entry of task @kva, made if new; NULL when the table is full. */
struct ktd_task *ktd_task_note(struct ktd_capture *c, unsigned long kva);

/*
 * Walks a queue of tasks at list head @head, whose nodes sit @node_off into
 * task_struct, writes LIST rows and notes the tasks. @dsq: nodes are
 * scx_dsq_list_node and may be cursors. Returns how the walk ended.
 */
struct ktd_queue_walk {
	const char	*list;		/* "runnable", "dsq" or "scx_tasks" */
	unsigned long	owner;
	unsigned long	head;
	u32		node_off;
	u32		cap;
	bool		dsq;
	s16		runnable_on;	/* CPU, or -1 */
	bool		scx_tasks;
	/* out */
	u32		seen;
	u32		cursors;
	const char	*end;
};

void ktd_walk_queue(struct ktd_capture *c, struct ktd_queue_walk *w);

/* The per-CPU scx_event_stats of @sch on @cpu, 0 unknown. */
unsigned long ktd_event_stats(unsigned long sch, unsigned int cpu);

/* "ext", "fair", …; NULL when the class is unknown. */
const char *ktd_class_name(unsigned long sched_class);

/* Sections; one file each, named like the table's host side. */
void ktd_cap_begin(struct ktd_capture *c);
void ktd_cap_regs(struct ktd_capture *c);
void ktd_cap_sched(struct ktd_capture *c);
void ktd_cap_events(struct ktd_capture *c);
void ktd_cap_rq(struct ktd_capture *c);
void ktd_cap_dsq(struct ktd_capture *c);
void ktd_cap_task(struct ktd_capture *c);
void ktd_cap_sched_timeline(struct ktd_capture *c);
void ktd_cap_stack(struct ktd_capture *c);
void ktd_cap_cputime(struct ktd_capture *c);
void ktd_cap_numa(struct ktd_capture *c);
void ktd_cap_prog(struct ktd_capture *c);
void ktd_cap_image(struct ktd_capture *c);
void ktd_cap_map(struct ktd_capture *c);
void ktd_cap_btf(struct ktd_capture *c);
void ktd_cap_code(struct ktd_capture *c);
void ktd_cap_owned_content(struct ktd_capture *c);
void ktd_cap_foreign_content(struct ktd_capture *c);

/* Address of per-CPU data on @cpu: @base is a symbol or an alloc_percpu() one. */
static inline unsigned long ktd_percpu(unsigned long base, unsigned int cpu)
{
	return base ? base + __per_cpu_offset[cpu] : 0;
}

/* The struct rq of @cpu, 0 unknown. */
static inline unsigned long ktd_rq(unsigned int cpu)
{
	return ktd_percpu(ktd_sym[KTD_SYM_RUNQUEUES], cpu);
}

/* Jiffies until the watchdog ends @sch for a waiting task; 0 unknown. */
static inline u64 ktd_watchdog_timeout(unsigned long sch)
{
	u64 own = ktd_get(sch, KTD_M_SCH_WATCHDOG_TIMEOUT);

	return own ?: ktd_read_ul(ktd_sym[KTD_SYM_SCX_WATCHDOG_TIMEOUT]);
}

/* *scx_root: the root instance, 0 none. */
static inline unsigned long ktd_scx_root(void)
{
	return ktd_read_ul(ktd_sym[KTD_SYM_SCX_ROOT]);
}

#endif
