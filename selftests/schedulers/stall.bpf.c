// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loses every task whose name begins with "victim": it goes to a queue that
 * nobody empties, and the kernel's watchdog ends the scheduler.
 *   --set ops.timeout_ms=N   the watchdog's patience (default 2000)
 *   --set everything=1       once there was a victim, all tasks are lost, kworkers too
 */
#include "scx.h"

#define LOST_DSQ 0x57a11

const volatile u32 everything;
/* How many were lost; a test finds it in the dumped .bss. */
u64 nr_lost;

s32 SCX_OP(stall_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return pick_cpu(p, prev_cpu, wake_flags);
}

void SCX_OP(stall_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (named(p, "victim") || (everything && nr_lost)) {
		__sync_fetch_and_add(&nr_lost, 1);
		scx_bpf_dsq_insert(p, LOST_DSQ, SCX_SLICE_DFL, enq_flags);
		return;
	}
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

s32 SCX_OP_SLEEPABLE(stall_init)
{
	return create_dsq(LOST_DSQ);
}

void SCX_OP(stall_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops stall = {
	.select_cpu	= (void *)stall_select_cpu,
	.enqueue	= (void *)stall_enqueue,
	.init		= (void *)stall_init,
	.exit		= (void *)stall_exit,
	.timeout_ms	= 2000,
	.name		= "stall",
};
