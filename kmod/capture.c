// SPDX-License-Identifier: GPL-2.0-only
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>

#include "content.h"
#include "counter.h"
#include "early.h"
#include "faults.h"

static struct ktd_capture *cap;		/* one leader, one capture */

/*
 * In order of worth: when the deadline comes, what is behind it is lost. The
 * table under which a section's time is booked stands first.
 */
static const struct {
	u16	table;
	void	(*run)(struct ktd_capture *c);
} sections[] = {
	{ KTD_TBL_BEGIN,	ktd_cap_begin },
	{ KTD_TBL_CPU,		ktd_cap_regs },
	{ KTD_TBL_SCHED,	ktd_cap_sched },
	{ KTD_TBL_RQ,		ktd_cap_rq },
	{ KTD_TBL_DSQ,		ktd_cap_dsq },
	{ KTD_TBL_TASK,		ktd_cap_task },
	{ KTD_TBL_SCHED_TIMELINE, ktd_cap_sched_timeline },
	{ KTD_TBL_PROG,		ktd_cap_prog },
	{ KTD_TBL_IMAGE,	ktd_cap_image },
	{ KTD_TBL_MAP,		ktd_cap_map },
	{ KTD_TBL_BTF,		ktd_cap_btf },
	{ KTD_TBL_CODE,		ktd_cap_code },
	{ KTD_TBL_CONTENT,	ktd_cap_owned_content },
	{ KTD_TBL_EVENT,	ktd_cap_events },
	{ KTD_TBL_CPUTIME,	ktd_cap_cputime },
	{ KTD_TBL_NUMA,		ktd_cap_numa },
	{ KTD_TBL_STACK,	ktd_cap_stack },
	{ KTD_TBL_CONTENT,	ktd_cap_foreign_content },
};

void ktd_truncated(struct ktd_capture *c, u64 now)
{
	if (!c->snap->truncated_at_us)
		c->snap->truncated_at_us = (now - c->freeze->start_ns) / NSEC_PER_USEC;
}

bool ktd_expired(struct ktd_capture *c)
{
	u64 now;

	if (c->expired || c->ticks++ % 16)
		return c->expired;
	now = ktime_get_mono_fast_ns();
	if (now < c->deadline_ns)
		return false;
	c->expired = true;
	ktd_truncated(c, now);
	return true;
}

void ktd_missing(struct ktd_capture *c, u16 table, const char *reason)
{
	struct ktd_snapshot *s = c->snap;
	u32 i;

	for (i = 0; i < s->nr_missing; i++) {
		if (s->missing[i].table == table && s->missing[i].reason == reason)
			return;
	}
	if (i == ARRAY_SIZE(s->missing))
		return;
	s->missing[i].table = table;
	s->missing[i].reason = reason;
	s->nr_missing++;
}

void ktd_note_pcs(struct ktd_capture *c, const unsigned long *pcs, u32 nr)
{
	u32 i;

	for (i = 0; i < nr && c->nr_pcs < c->max_pcs; i++)
		c->pcs[c->nr_pcs++] = pcs[i];
}

struct ktd_task *ktd_task_note(struct ktd_capture *c, unsigned long kva)
{
	u32 at = hash_long(kva, 32);
	struct ktd_task *t;

	for (;; at++) {
		u32 *slot = &c->task_hash[at & c->task_hash_mask];

		if (!*slot) {
			if (c->nr_tasks == ktd_max_tasks) {
				c->tasks_full = true;
				return NULL;
			}
			t = &c->task[c->nr_tasks++];
			*slot = c->nr_tasks;
			*t = (struct ktd_task){
				.kva = kva, .runnable_on = -1, .curr_on = -1,
			};
			return t;
		}
		if (c->task[*slot - 1].kva == kva)
			return &c->task[*slot - 1];
	}
}

static const struct ktd_table list_table = { .id = KTD_TBL_LIST, .nr = KTD_LIST_NR_COLS };

static bool list_row(struct ktd_capture *c, const struct ktd_queue_walk *w, u32 nr)
{
	struct ktd_row *r = ktd_row_begin(&c->sink, &list_table);

	ktd_set_str(r, KTD_LIST_LIST, w->list);
	ktd_set_u(r, KTD_LIST_OWNER_KVA, w->owner);
	ktd_set_arr(r, KTD_LIST_TASKS, c->scratch, nr);
	return ktd_row_end(&c->sink, &list_table);
}

static void queue_note_task(struct ktd_capture *c, const struct ktd_queue_walk *w,
			    unsigned long p)
{
	struct ktd_task *t = ktd_task_note(c, p);

	if (!t)
		return;
	if (w->scx_tasks)
		t->on_scx_tasks = true;
	if (w->runnable_on >= 0) {
		t->runnable_on = w->runnable_on;
		t->runnable_at = ktd_get(ktd_at(p, KTD_M_TASK_SCX), KTD_M_ENT_RUNNABLE_AT);
	}
}

/* Iterators park a cursor in the list; it lives on a stack, not in a task. */
static bool node_is_cursor(const struct ktd_queue_walk *w, unsigned long node)
{
	if (w->dsq)	/* SCX_DSQ_LNODE_ITER_CURSOR */
		return ktd_get(node - ktd_off.place[KTD_M_LNODE_NODE].off,
			       KTD_M_LNODE_FLAGS) & 1;
	if (!w->scx_tasks)
		return false;
	/* SCX_TASK_CURSOR, relative to the entity: there is no task around it */
	return ktd_get(node - ktd_off.place[KTD_M_ENT_TASKS_NODE].off,
		       KTD_M_ENT_FLAGS) & BIT(31);
}

/* A torn list leads anywhere. What cannot be read is nobody to report. */
static bool node_is_task(const struct ktd_queue_walk *w, unsigned long node)
{
	u64 pid;

	return ktd_read(&pid, ktd_at(node - w->node_off, KTD_M_TASK_PID),
			ktd_off.place[KTD_M_TASK_PID].size);
}

void ktd_walk_queue(struct ktd_capture *c, struct ktd_queue_walk *w)
{
	struct ktd_walk walk;
	u32 nr = 0;

	w->seen = 0;
	w->cursors = 0;
	ktd_fault_walk(w->list);
	for (ktd_walk_init(&walk, w->head, w->cap); ktd_walk_next(&walk);) {
		if (ktd_expired(c)) {
			walk.end = "deadline";
			break;
		}
		if (node_is_cursor(w, walk.node)) {
			w->cursors++;
			continue;
		}
		if (!node_is_task(w, walk.node)) {
			walk.end = "fault";
			break;
		}
		w->seen++;
		queue_note_task(c, w, walk.node - w->node_off);
		c->scratch[nr++] = walk.node - w->node_off;
		if (nr == ARRAY_SIZE(c->scratch)) {
			if (!list_row(c, w, nr))
				walk.end = "full";
			nr = 0;
			if (c->sink.full)
				break;
		}
	}
	ktd_fault_walk(NULL);
	if (nr && !list_row(c, w, nr))
		walk.end = "full";
	w->end = walk.end;
}

static const struct ktd_table begin_table = {
	.id = KTD_TBL_BEGIN, .nr = KTD_BEGIN_NR_COLS,
};

/* A global's value as number of @size bytes, nil when it is not there. */
static void set_sym(struct ktd_row *r, unsigned int col, enum ktd_symbol sym, size_t size)
{
	u64 v = 0;

	if (ktd_read(&v, ktd_sym[sym], size))
		ktd_set_u(r, col, v);
}

/* How far the scheduler was from its half-time; docs/wire.md. */
static void set_early(struct ktd_capture *c, struct ktd_row *r)
{
	const struct ktd_early *e = &c->trig.early;

	if (e->snapshot)
		ktd_set_u(r, KTD_BEGIN_EARLY_SNAPSHOT, e->snapshot);
	if (e->error)
		ktd_set_str(r, KTD_BEGIN_EARLY_ERROR, e->error);
	ktd_set_u(r, KTD_BEGIN_AGE, ktd_early_age(c->trig.sch ?: ktd_scx_root(), c->jiffies));
	if (!e->threshold)
		return;
	ktd_set_u(r, KTD_BEGIN_AGE_PEAK, e->age);
	ktd_set_u(r, KTD_BEGIN_AGE_THRESHOLD, e->threshold);
}

void ktd_cap_begin(struct ktd_capture *c)
{
	const struct ktd_trigger *t = &c->trig;
	const struct ktd_cpu_slot *self = ktd_freeze_slot(raw_smp_processor_id());
	struct ktd_row *r;
	u32 i;

	ktd_table_begin(&c->sink, &begin_table);
	r = ktd_row_begin(&c->sink, &begin_table);
	ktd_set_str(r, KTD_BEGIN_TRIGGER, t->kind);
	ktd_set_str(r, KTD_BEGIN_HOOK, t->hook);
	ktd_set_u(r, KTD_BEGIN_SCHED_KVA, t->sch);
	ktd_set_u(r, KTD_BEGIN_SCX_ROOT, ktd_scx_root());
	ktd_set_u(r, KTD_BEGIN_EXIT_KIND, t->exit_kind);
	ktd_set_u(r, KTD_BEGIN_CPU, raw_smp_processor_id());
	ktd_set_str(r, KTD_BEGIN_CONTEXT, t->context);
	ktd_set_b(r, KTD_BEGIN_IRQS_OFF, t->irqs_off);
	ktd_set_u(r, KTD_BEGIN_PREEMPT_COUNT, t->preempt_count);
	ktd_set_s(r, KTD_BEGIN_PID, self->pid);
	ktd_set_str(r, KTD_BEGIN_COMM, self->comm);
	ktd_set_u(r, KTD_BEGIN_MONO_NS, c->freeze->start_ns);
	ktd_set_u(r, KTD_BEGIN_REAL_NS, ktime_get_real_fast_ns());
	ktd_set_u(r, KTD_BEGIN_JIFFIES, c->jiffies);
	set_sym(r, KTD_BEGIN_WATCHDOG_TIMESTAMP, KTD_SYM_SCX_WATCHDOG_TIMESTAMP,
		sizeof(unsigned long));
	set_sym(r, KTD_BEGIN_ENABLE_STATE, KTD_SYM_SCX_ENABLE_STATE, sizeof(u32));
	set_sym(r, KTD_BEGIN_SWITCHING_ALL, KTD_SYM_SCX_SWITCHING_ALL, sizeof(u8));
	set_sym(r, KTD_BEGIN_NR_REJECTED, KTD_SYM_SCX_NR_REJECTED, sizeof(u64));
	ktd_set_u(r, KTD_BEGIN_TRIGGER_COUNT, t->trigger_count);
	ktd_set_u(r, KTD_BEGIN_LOST, atomic64_read(&ktd_counters.lost));
	set_early(c, r);
	for (i = 0; i < self->nr_pcs; i++)
		c->stack[i] = self->pcs[i];
	ktd_set_arr(r, KTD_BEGIN_STACK, c->stack, self->nr_pcs);
	ktd_row_end(&c->sink, &begin_table);
	/* the deadline may come before this CPU's own row */
	ktd_note_pcs(c, self->pcs, self->nr_pcs);
	/* LIST rows come between others; their header once, here */
	ktd_table_begin(&c->sink, &list_table);
}

static void run_sections(struct ktd_capture *c)
{
	unsigned int i;
	u64 before, after = ktime_get_mono_fast_ns();

	for (i = 0; i < ARRAY_SIZE(sections); i++) {
		before = after;
		if (c->expired)
			ktd_missing(c, sections[i].table, "deadline reached before this section");
		else if (c->sink.full)
			ktd_missing(c, sections[i].table, "buffer full before this section");
		else
			sections[i].run(c);
		after = ktime_get_mono_fast_ns();
		c->sink.stat[sections[i].table].ns += after - before;
	}
}

static void keep_pcs(struct ktd_capture *c)
{
	u32 per = KTD_ROW_MAX / sizeof(u64), i;

	for (i = 0; i < c->nr_pcs; i += per) {
		u32 nr = min(per, c->nr_pcs - i);

		if (!ktd_rec_private(&c->sink, KTD_PRIVATE_PCS, c->pcs + i, nr * sizeof(u64)))
			break;
	}
	if (i < c->nr_pcs)
		ktd_missing(c, KTD_TBL_SYMBOL, "buffer full (buf_mib): addresses without names");
}

static void keep_stats(struct ktd_capture *c)
{
	struct ktd_snapshot *s = c->snap;
	unsigned int i;

	for (i = 0; i < KTD_TBL_MAX; i++) {
		s->stat[i].rows = c->sink.stat[i].rows;
		s->stat[i].seen = c->sink.stat[i].seen;
		s->stat[i].bytes = c->sink.stat[i].bytes;
		s->stat[i].ns = c->sink.stat[i].ns;
		if (c->sink.stat[i].dropped)
			ktd_missing(c, i, "rows dropped: buffer full (buf_mib) or row too long");
	}
}

/* Once, before the sections: one that comes later was missing all the same. */
static void note_missing_cpus(struct ktd_snapshot *s)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		/* pairs with park_spin() */
		if (smp_load_acquire(&ktd_freeze_slot(cpu)->captured_epoch) != s->freeze.epoch)
			cpumask_set_cpu(cpu, &s->missing_cpus);
	}
}

struct ktd_snapshot *ktd_capture(const struct ktd_trigger *trig)
{
	struct ktd_capture *c = cap;
	struct ktd_snapshot *s;
	u8 *room;
	size_t size;

	s = ktd_buffer_reserve(&room, &size, trig->exit);
	if (!s) {
		if (trig->exit)
			atomic64_inc(&ktd_counters.lost);
		return NULL;
	}
	s->exit = trig->exit;
	ktd_sink_init(&c->sink, room, ktd_fault_room(size));
	c->snap = s;
	c->freeze = &s->freeze;
	c->trig = *trig;
	c->ticks = 0;
	c->expired = false;
	c->nr_scheds = 0;
	c->nr_tasks = 0;
	c->tasks_full = false;
	c->nr_maps = 0;
	c->nr_pcs = 0;

	ktd_freeze_park(&s->freeze, trig->regs);
	note_missing_cpus(s);
	c->jiffies = jiffies;
	c->deadline_ns = s->freeze.start_ns + s->freeze.cap_ns;
	ktd_fault_record();
	ktd_fault_lie(true);
	run_sections(c);
	ktd_fault_lie(false);
	ktd_fault_replay();
	ktd_fault_slow();
	ktd_fault_hold();
	ktd_freeze_release(&s->freeze);

	/* for the next one: in here nobody waits for it */
	memset(c->task_hash, 0, (c->task_hash_mask + 1) * sizeof(*c->task_hash));
	ktd_content_clean();
	keep_stats(c);
	keep_pcs(c);
	s->rows_len = c->sink.pos;
	s->full = c->sink.full;
	return s;
}

int ktd_capture_init(void)
{
	u32 hash = roundup_pow_of_two(2 * ktd_max_tasks);

	cap = vzalloc(sizeof(*cap));
	if (!cap)
		return -ENOMEM;
	cap->task_hash_mask = hash - 1;
	cap->max_pcs = KTD_STACK_DEPTH * (ktd_max_stacks + nr_cpu_ids + 1);
	cap->task = vzalloc(array_size(ktd_max_tasks, sizeof(*cap->task)));
	cap->task_hash = vzalloc(array_size(hash, sizeof(*cap->task_hash)));
	cap->pcs = vzalloc(array_size(cap->max_pcs, sizeof(*cap->pcs)));
	cap->oldest = vzalloc(array_size(ktd_max_stacks + 1, sizeof(*cap->oldest)));
	cap->map_hash_mask = roundup_pow_of_two(2 * ktd_max_maps) - 1;
	cap->map = vzalloc(array_size(ktd_max_maps, sizeof(*cap->map)));
	cap->map_hash = vzalloc(array_size(cap->map_hash_mask + 1, sizeof(*cap->map_hash)));
	if (cap->task && cap->task_hash && cap->pcs && cap->oldest && cap->map &&
	    cap->map_hash && !ktd_content_init())
		return 0;
	ktd_capture_exit();
	return -ENOMEM;
}

void ktd_capture_exit(void)
{
	if (!cap)
		return;
	ktd_content_exit();
	vfree(cap->map_hash);
	vfree(cap->map);
	vfree(cap->oldest);
	vfree(cap->pcs);
	vfree(cap->task_hash);
	vfree(cap->task);
	vfree(cap);
	cap = NULL;
	ktd_fault_exit();
}
