// SPDX-License-Identifier: GPL-2.0-only
/*
 * ops.init() returns an error: the scheduler never gets to run.
 *   --set error=N   the errno value it returns (default 28, ENOSPC)
 */
#include "scx.h"

const volatile u32 error = 28;

void SCX_OP(initfail_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

s32 SCX_OP_SLEEPABLE(initfail_init)
{
	return -(s32)error;
}

void SCX_OP(initfail_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops initfail = {
	.enqueue	= (void *)initfail_enqueue,
	.init		= (void *)initfail_init,
	.exit		= (void *)initfail_exit,
	.name		= "initfail",
};
