// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds tasks named "many*" in FIFO queues, by their pid: queue 0x6d0000 + pid % 64.
 * --set vtime=1 makes every second one a vtime queue, --set nr_dsqs=N that many queues.  Nobody empties them.  many[]
 * has each task with its queue, in the order in which they came; the loader prints it
 * ("many I PID TASK DSQ").  A task named "trigger*" makes the scheduler fail.
 */
#include "scx.h"

#define FIRST_DSQ 0x6d0000
#define MAX_ROWS 4096

struct row {
	u64 task;
	u64 dsq;
	u32 pid;
	u32 pad;
};

const volatile u32 vtime;
const volatile u32 nr_dsqs = 64;
u32 nr_many;
struct row many[MAX_ROWS];

s32 SCX_OP(manyq_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return pick_cpu(p, prev_cpu, wake_flags);
}

void SCX_OP(manyq_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 dsq = FIRST_DSQ + (u32)p->pid % nr_dsqs;
	u32 i;

	if (named(p, "trigger")) {
		scx_error("ktdump selftest: %d tasks in %d queues", (u64)nr_many, (u64)nr_dsqs);
	} else if (named(p, "many")) {
		i = __sync_fetch_and_add(&nr_many, 1);
		if (i < MAX_ROWS) {
			many[i].task = (u64)p;
			many[i].dsq = dsq;
			many[i].pid = p->pid;
		}
		if (vtime && dsq % 2)
			scx_bpf_dsq_insert_vtime(p, dsq, SCX_SLICE_DFL,
						 1000 + (u32)p->pid * 2654435761u % 97, enq_flags);
		else
			scx_bpf_dsq_insert(p, dsq, SCX_SLICE_DFL, enq_flags);
		return;
	}
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

s32 SCX_OP_SLEEPABLE(manyq_init)
{
	s32 ret = 0;
	u32 i;

	bpf_for(i, 0, nr_dsqs) {
		ret = create_dsq(FIRST_DSQ + i);
		if (ret)
			break;
	}
	return ret;
}

void SCX_OP(manyq_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops manyq = {
	.select_cpu	= (void *)manyq_select_cpu,
	.enqueue	= (void *)manyq_enqueue,
	.init		= (void *)manyq_init,
	.exit		= (void *)manyq_exit,
	.timeout_ms	= 30000,
	.name		= "manyq",
};
