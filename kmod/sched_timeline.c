// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring per CPU that only this CPU writes. The probes run with runqueue locks held, in
 * hard IRQs and, for contention, in NMIs that hit another probe: a place is taken with
 * one instruction, and what is in it counts when its number stands in it, which is
 * written last. A CPU may be parked between the two; its half-written event is left out.
 */
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/sched/rt.h>
#include <linux/sched/deadline.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>

#include "faults.h"
#include "sched_timeline.h"

#define ROOM_SHARE	4	/* at most that part of the room left is filled with events */

enum group { GROUP_TIMELINE, GROUP_PI, GROUP_LOCK, NR_GROUPS };

struct ring {
	u32	head;			/* events begun since load */
	u64	count[NR_GROUPS];
	u64	drops[NR_GROUPS];	/* overwritten before they were as old as the window */
	u64	class_changes;
	struct ktd_sched_event *ev;	/* event n at n & mask, n from 1 */
};

static struct ring __percpu *rings;
static u32 mask;
static u64 window_ns;

static const struct ktd_table table = {
	.id = KTD_TBL_SCHED_TIMELINE, .nr = KTD_SCHED_TIMELINE_NR_COLS,
};

static __always_inline enum group group_of(u8 kind)
{
	return kind < KTD_SCHED_PI_BOOST ? GROUP_TIMELINE :
	       kind == KTD_SCHED_PI_BOOST ? GROUP_PI : GROUP_LOCK;
}

/* By constants: with an index the kernel's own check of its bounds would be the larger part. */
static __always_inline void count_drop(u8 kind)
{
	switch (group_of(kind)) {
	case GROUP_TIMELINE:
		this_cpu_inc(rings->drops[GROUP_TIMELINE]);
		break;
	case GROUP_PI:
		this_cpu_inc(rings->drops[GROUP_PI]);
		break;
	default:
		this_cpu_inc(rings->drops[GROUP_LOCK]);
		break;
	}
}

/*
 * Preemption must be off from here to event_end(). Inline: every context switch and wakeup
 * pays for it, and @kind is known.
 */
static __always_inline struct ktd_sched_event *event_begin(u8 kind, u32 *seq)
{
	u64 now = ktime_get_mono_fast_ns();
	struct ktd_sched_event *e;

	lockdep_assert_preemption_disabled();
	*seq = this_cpu_inc_return(rings->head);
	e = this_cpu_ptr(rings)->ev + (*seq & mask);
	if (e->seq && now - le64_to_cpu(e->ns) < window_ns)
		count_drop(e->kind);
	this_cpu_inc(rings->count[group_of(kind)]);
	WRITE_ONCE(e->seq, 0);
	smp_wmb();	/* not valid before it is written over; pairs with event_copy() */
	e->ns = cpu_to_le64(now);
	e->kind = kind;
	return e;
}

static __always_inline void event_end(struct ktd_sched_event *e, u32 seq)
{
	ktd_fault_half_event();
	/* whole before it counts; pairs with event_copy() */
	smp_store_release(&e->seq, cpu_to_le32(seq));
}

/* As the event sched_switch shows it: a bit of TASK_REPORT, 0 running, TASK_REPORT_MAX preempted. */
static notrace u32 switch_state(bool preempt, const struct task_struct *prev, unsigned int state)
{
	unsigned int index;

	if (preempt)
		return TASK_REPORT_MAX;
	index = __task_state_index(state, prev->exit_state);
	return index ? 1u << (index - 1) : 0;
}

/*
 * The scheduler's events come with preemption off: with a runqueue's or the task's lock held,
 * or, when a task wakes itself, from where try_to_wake_up() has seen to it.
 */
static notrace void on_switch(void *data, bool preempt, struct task_struct *prev,
			      struct task_struct *next, unsigned int prev_state)
{
	struct ktd_sched_event *e;
	u32 seq;

	e = event_begin(KTD_SCHED_SWITCH, &seq);
	e->pid = cpu_to_le32(prev->pid);
	e->prio = cpu_to_le16(prev->prio);
	e->arg = cpu_to_le32(switch_state(preempt, prev, prev_state));
	memcpy(e->comm, prev->comm, sizeof(e->comm));
	e->other = cpu_to_le32(next->pid);
	e->other_prio = cpu_to_le16(next->prio);
	memcpy(e->other_comm, next->comm, sizeof(e->other_comm));
	event_end(e, seq);
}

static notrace void on_wakeup(void *data, struct task_struct *p)
{
	struct ktd_sched_event *e;
	u32 seq;

	e = event_begin(KTD_SCHED_WAKEUP, &seq);
	e->pid = cpu_to_le32(p->pid);
	e->prio = cpu_to_le16(p->prio);
	e->other = cpu_to_le32(task_cpu(p));
	memcpy(e->comm, p->comm, sizeof(e->comm));
	event_end(e, seq);
}

static notrace void on_migrate(void *data, struct task_struct *p, int dest_cpu)
{
	struct ktd_sched_event *e;
	u32 seq;

	e = event_begin(KTD_SCHED_MIGRATE, &seq);
	e->pid = cpu_to_le32(p->pid);
	e->arg = cpu_to_le32(task_cpu(p));
	e->other = cpu_to_le32(dest_cpu);
	memcpy(e->comm, p->comm, sizeof(e->comm));
	event_end(e, seq);
}

/* dl, rt or neither: what is neither goes by policy, which no boost changes. */
static int prio_class(int prio)
{
	return dl_prio(prio) ? 2 : rt_prio(prio);
}

/* Before the change, with the runqueue's lock held; @donor NULL: the boost ends. */
static notrace void on_pi_setprio(void *data, struct task_struct *p, struct task_struct *donor)
{
	int prio = donor ? min(p->normal_prio, donor->prio) : p->normal_prio;
	struct ktd_sched_event *e;
	u32 seq;

	if (prio_class(prio) != prio_class(p->prio))
		this_cpu_inc(rings->class_changes);
	e = event_begin(KTD_SCHED_PI_BOOST, &seq);
	e->pid = cpu_to_le32(p->pid);
	e->prio = cpu_to_le16(p->prio);
	e->other_prio = cpu_to_le16(prio);
	memcpy(e->comm, p->comm, sizeof(e->comm));
	event_end(e, seq);
}

static __always_inline void contention(u8 kind, void *lock, u32 arg)
{
	struct ktd_sched_event *e;
	u32 seq;

	preempt_disable_notrace();	/* locks of any kind, such that sleep among them */
	e = event_begin(kind, &seq);
	e->pid = cpu_to_le32(current->pid);
	e->arg = cpu_to_le32(arg);
	e->lock = cpu_to_le64((unsigned long)lock);
	event_end(e, seq);
	preempt_enable_notrace();
}

static notrace void on_contention_begin(void *data, void *lock, unsigned int flags)
{
	contention(KTD_SCHED_CONTENTION_BEGIN, lock, flags);
}

static notrace void on_contention_end(void *data, void *lock, int ret)
{
	contention(KTD_SCHED_CONTENTION_END, lock, ret);
}

#define PROBE(tp, function) \
	{ .name = #tp, .fn = (function), .lost = "this kernel has no tracepoint " #tp }

static struct probe {
	const char		*name;
	void			*fn;
	const char		*lost;
	struct tracepoint	*tp;	/* NULL: not attached */
} probes[] = {
	PROBE(sched_switch, on_switch),
	PROBE(sched_wakeup, on_wakeup),
	PROBE(sched_wakeup_new, on_wakeup),
	PROBE(sched_migrate_task, on_migrate),
	PROBE(sched_pi_setprio, on_pi_setprio),
	PROBE(contention_begin, on_contention_begin),
	PROBE(contention_end, on_contention_end),
};

static void find_probe(struct tracepoint *tp, void *priv)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (!strcmp(tp->name, probes[i].name))
			probes[i].tp = tp;
	}
}

static void attach(void)
{
	unsigned int i;

	for_each_kernel_tracepoint(find_probe, NULL);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		struct probe *p = &probes[i];

		if (p->tp && !tracepoint_probe_register(p->tp, p->fn, NULL))
			continue;
		p->tp = NULL;
		pr_warn("no tracepoint %s: the scheduler timeline lacks its events\n", p->name);
	}
}

int ktd_sched_timeline_init(void)
{
	size_t size = array_size(ktd_sched_timeline_kib, 1024);
	unsigned int cpu;

	if (!size)
		return 0;
	mask = rounddown_pow_of_two(size / sizeof(struct ktd_sched_event)) - 1;
	size = array_size(mask + 1, sizeof(struct ktd_sched_event));
	window_ns = (u64)ktd_sched_timeline_ms * NSEC_PER_MSEC;
	/* vmalloc() would rather have other processes killed than fail */
	if (num_possible_cpus() * (size >> PAGE_SHIFT) > si_mem_available() / 2)
		return -ENOMEM;
	rings = alloc_percpu(struct ring);
	if (!rings)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct ring *r = per_cpu_ptr(rings, cpu);

		r->ev = vzalloc_node(size, cpu_to_node(cpu));
		if (r->ev)
			continue;
		ktd_sched_timeline_exit();
		return -ENOMEM;
	}
	attach();
	return 0;
}

void ktd_sched_timeline_exit(void)
{
	unsigned int i, cpu;

	if (!rings)
		return;
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (probes[i].tp)
			tracepoint_probe_unregister(probes[i].tp, probes[i].fn, NULL);
	}
	tracepoint_synchronize_unregister();
	for_each_possible_cpu(cpu)
		vfree(per_cpu_ptr(rings, cpu)->ev);
	free_percpu(rings);
	rings = NULL;
}

void ktd_sched_timeline_counts(struct ktd_sched_counts *ret)
{
	unsigned int cpu;

	memset(ret, 0, sizeof(*ret));
	if (!rings)
		return;
	for_each_possible_cpu(cpu) {
		const struct ring *r = per_cpu_ptr(rings, cpu);

		ret->timeline += READ_ONCE(r->count[GROUP_TIMELINE]);
		ret->timeline_drops += READ_ONCE(r->drops[GROUP_TIMELINE]);
		ret->pi += READ_ONCE(r->count[GROUP_PI]);
		ret->pi_drops += READ_ONCE(r->drops[GROUP_PI]);
		ret->pi_class_changes += READ_ONCE(r->class_changes);
		ret->lock_contend += READ_ONCE(r->count[GROUP_LOCK]);
		ret->lock_contend_drops += READ_ONCE(r->drops[GROUP_LOCK]);
	}
}

/* A CPU that could not be parked goes on writing: false for what is not, or not any more, @seq. */
static bool event_copy(struct ktd_sched_event *to, const struct ktd_sched_event *e, u32 seq)
{
	/* pairs with event_end() */
	if (le32_to_cpu(smp_load_acquire(&e->seq)) != seq)
		return false;
	*to = *e;
	smp_rmb();	/* pairs with event_begin() */
	return le32_to_cpu(READ_ONCE(e->seq)) == seq;
}

/* How many of the newest events are of the window; *torn: of these, half-written. */
static u32 events_of_window(struct ktd_capture *c, const struct ring *r, u32 head, u64 since,
			    u32 *torn)
{
	u32 have = min(head, mask + 1), n;

	*torn = 0;
	for (n = 0; n < have && !ktd_expired(c); n++) {
		const struct ktd_sched_event *e = &r->ev[(head - n) & mask];

		if (le32_to_cpu(READ_ONCE(e->seq)) != head - n)
			++*torn;
		else if (le64_to_cpu(e->ns) < since)
			break;
	}
	return n;
}

static bool piece(struct ktd_capture *c, unsigned int cpu, u64 lost, u32 nr)
{
	struct ktd_row *row = ktd_row_begin(&c->sink, &table);

	ktd_set_u(row, KTD_SCHED_TIMELINE_CPU, cpu);
	ktd_set_u(row, KTD_SCHED_TIMELINE_WINDOW_MS, ktd_sched_timeline_ms);
	ktd_set_u(row, KTD_SCHED_TIMELINE_LOST, lost);
	ktd_set_bin(row, KTD_SCHED_TIMELINE_DATA, c->scratch, nr * sizeof(struct ktd_sched_event));
	return ktd_row_end(&c->sink, &table);
}

/* The newest events of one CPU, at most @max; even without any it gets a row. */
static void cap_cpu(struct ktd_capture *c, unsigned int cpu, u64 since, u32 max)
{
	struct ktd_sched_event *to = (struct ktd_sched_event *)c->scratch;
	const u32 per_row = sizeof(c->scratch) / (sizeof(*to));
	const struct ring *r = per_cpu_ptr(rings, cpu);
	u32 head = READ_ONCE(r->head), fill = 0, torn, n;
	u64 lost = 0;
	int i;

	n = events_of_window(c, r, head, since, &torn);
	for (i = 0; i < NR_GROUPS; i++)
		lost += READ_ONCE(r->drops[i]);
	lost += torn;
	if (n > max) {
		lost += n - max;
		n = max;
		ktd_missing(c, table.id, "cut: the oldest events did not fit into a quarter of the buffer (buf_mib)");
	}
	for (; n && !ktd_expired(c); n--) {
		u32 seq = head - n + 1;

		fill += event_copy(&to[fill], &r->ev[seq & mask], seq);
		if (fill < per_row)
			continue;
		if (!piece(c, cpu, lost, fill))
			return;
		fill = 0;
	}
	piece(c, cpu, lost, fill);
}

void ktd_cap_sched_timeline(struct ktd_capture *c)
{
	u64 since = c->freeze->start_ns - window_ns;
	unsigned int cpu, i;
	u32 max;

	if (!rings)
		return;
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (!probes[i].tp)
			ktd_missing(c, table.id, probes[i].lost);
	}
	if (window_ns > c->freeze->start_ns)
		since = 0;
	max = (c->sink.end - c->sink.pos) / ROOM_SHARE / num_possible_cpus() /
	      (sizeof(struct ktd_sched_event) + 1);
	ktd_table_begin(&c->sink, &table);
	for_each_possible_cpu(cpu) {
		cap_cpu(c, cpu, since, max);
		if (c->expired || c->sink.full)
			break;
	}
	if (c->expired)
		ktd_missing(c, table.id, "deadline reached: the newest events are not all there");
}
