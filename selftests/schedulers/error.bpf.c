// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls scx_bpf_error() from a chosen op.
 *   --set op=N      0 enqueue (default), 1 select_cpu, 2 dispatch, 3 running,
 *                   4 stopping, 5 tick, 6 runnable, 7 quiescent
 *   --set after=N   at the Nth call of that op (default 0: never by count)
 *   --set text=T    the message (up to 505 bytes), with any characters
 *   --set pad=N     0 as a number of 700 columns before the text: more than the
 *                   kernel's 1023 bytes for a text of 400
 * A task named "trigger*" makes it fail at once, whatever "after" says, in the
 * ops that have a task.
 */
#include "scx.h"

enum { ENQUEUE, SELECT_CPU, DISPATCH, RUNNING, STOPPING, TICK, RUNNABLE, QUIESCENT };

const volatile u32 op;
const volatile u64 after;
const volatile u32 pad;
/* A format must be ASCII; what %s stands for may be anything. */
char text[506];
u64 nr_calls;

static __always_inline void maybe_fail(u32 where, const struct task_struct *p)
{
	u64 n;

	if (op != where)
		return;
	n = __sync_fetch_and_add(&nr_calls, 1) + 1;
	if (p && named(p, "trigger") && text[0]) {
		u64 at = (u64)text;

		/* Else clang makes the arguments a constant, without the address. */
		asm volatile("" : "+r"(at));
		if (pad)
			scx_error("%700d %s", 0, at);
		else
			scx_error("%s", at);
	} else if (p && named(p, "trigger"))
		scx_error("ktdump selftest: error on demand %d in op %d", 42, where);
	else if (after && n == after)
		scx_error("ktdump selftest: error on demand %d in op %d", (u64)n, where);
}

s32 SCX_OP(error_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	maybe_fail(SELECT_CPU, p);
	return pick_cpu(p, prev_cpu, wake_flags);
}

void SCX_OP(error_enqueue, struct task_struct *p, u64 enq_flags)
{
	maybe_fail(ENQUEUE, p);
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void SCX_OP(error_dispatch, s32 cpu, struct task_struct *prev)
{
	maybe_fail(DISPATCH, NULL);
}

void SCX_OP(error_running, struct task_struct *p)
{
	maybe_fail(RUNNING, p);
}

void SCX_OP(error_stopping, struct task_struct *p, bool runnable)
{
	maybe_fail(STOPPING, p);
}

void SCX_OP(error_tick, struct task_struct *p)
{
	maybe_fail(TICK, p);
}

void SCX_OP(error_runnable, struct task_struct *p, u64 enq_flags)
{
	maybe_fail(RUNNABLE, p);
}

void SCX_OP(error_quiescent, struct task_struct *p, u64 deq_flags)
{
	maybe_fail(QUIESCENT, p);
}

void SCX_OP(error_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops error = {
	.select_cpu	= (void *)error_select_cpu,
	.enqueue	= (void *)error_enqueue,
	.dispatch	= (void *)error_dispatch,
	.running	= (void *)error_running,
	.stopping	= (void *)error_stopping,
	.tick		= (void *)error_tick,
	.runnable	= (void *)error_runnable,
	.quiescent	= (void *)error_quiescent,
	.exit		= (void *)error_exit,
	.name		= "error",
};
