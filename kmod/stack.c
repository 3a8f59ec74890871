// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel stacks of the tasks that wait longest. Unwinding is the dearest thing
 * done while parked, so it comes last and is bounded by max_stacks.
 */
#include <linux/magic.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>
#include <asm/switch_to.h>

#include "capture.h"

static const struct ktd_table stack_table = {
	.id = KTD_TBL_STACK, .nr = KTD_STACK_NR_COLS,
};

/* Age in jiffies; a stamp from the future counts as fresh. */
static unsigned long age_of(const struct ktd_capture *c, const struct ktd_task *t)
{
	long age = (long)(c->jiffies - t->runnable_at);

	return age > 0 ? age : 0;
}

/*
 * The oldest waiting tasks into c->oldest, oldest first; returns how many. An
 * insertion sort: a task is shifted only past younger ones that are kept.
 */
static u32 find_oldest(struct ktd_capture *c, u32 *waiting)
{
	struct ktd_task **top = c->oldest;
	u32 nr = 0, i, at;

	for (i = 0; i < c->nr_tasks; i++) {
		struct ktd_task *t = &c->task[i];

		if (t->runnable_on < 0 || t->curr_on >= 0)
			continue;
		++*waiting;
		if (nr == ktd_max_stacks && (!nr || age_of(c, top[nr - 1]) >= age_of(c, t)))
			continue;
		if (nr < ktd_max_stacks)
			nr++;
		for (at = nr - 1; at && age_of(c, top[at - 1]) < age_of(c, t); at--)
			top[at] = top[at - 1];
		top[at] = t;
	}
	return nr;
}

/*
 * The unwinder trusts the task that it is given, but this one comes from a list that
 * may be torn: it must have a stack, with the mark at its end, and sleep on it.
 */
static bool can_be_unwound(unsigned long kva)
{
	const struct task_struct *p = (const struct task_struct *)kva;
	unsigned long stack = ktd_read_ul((unsigned long)&p->stack);
	unsigned long sp = ktd_read_ul((unsigned long)&p->thread.sp);

	return IS_ALIGNED(kva | stack | sp, sizeof(long)) &&
	       ktd_read_ul(stack) == STACK_END_MAGIC && sp > stack &&
	       sp - stack <= THREAD_SIZE - sizeof(struct inactive_task_frame);
}

/*
 * stack_trace_save_tsk() pins the stack and walks without locks; the x86
 * unwinder refuses a task that is on a CPU, whose registers regs.c has.
 */
static void capture_stack(struct ktd_capture *c, const struct ktd_task *t)
{
	unsigned long pcs[KTD_STACK_DEPTH];
	struct ktd_row *r;
	u32 nr, i;

	if (ktd_get(t->kva, KTD_M_TASK_ON_CPU))
		return;
	if (!can_be_unwound(t->kva)) {
		ktd_missing(c, KTD_TBL_STACK, "a task without a stack to trust");
		return;
	}
	nr = stack_trace_save_tsk((struct task_struct *)t->kva, pcs, KTD_STACK_DEPTH, 0);
	if (!nr)
		return;
	ktd_note_pcs(c, pcs, nr);
	for (i = 0; i < nr; i++)
		c->stack[i] = pcs[i];
	r = ktd_row_begin(&c->sink, &stack_table);
	ktd_set_u(r, KTD_STACK_TASK_KVA, t->kva);
	ktd_set_arr(r, KTD_STACK_STACK, c->stack, nr);
	ktd_row_end(&c->sink, &stack_table);
}

void ktd_cap_stack(struct ktd_capture *c)
{
	u32 waiting = 0, nr, i;

	ktd_table_begin(&c->sink, &stack_table);
	nr = find_oldest(c, &waiting);
	for (i = 0; i < nr && !ktd_expired(c); i++)
		capture_stack(c, c->oldest[i]);
	if (i < nr)
		ktd_missing(c, KTD_TBL_STACK, "capture deadline reached while unwinding");
	else if (nr < waiting)
		ktd_missing(c, KTD_TBL_STACK, "only the longest-waiting tasks (max_stacks)");
}
