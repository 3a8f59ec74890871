// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds known tasks in known queues, in a known order.
 *   "q300*"     go to a FIFO queue
 *   "v300*"     go to a vtime queue, with vtimes of which many are equal
 *   "trigger*"  makes the scheduler fail
 * Nobody empties the queues.  The order of insertion stands in fifo[] and
 * prio[]; the loader prints both ("fifo I PID TASK", "prio I PID TASK VTIME")
 * at the end and on SIGUSR1.  The order is exact when the tasks are woken one by
 * one from their own CPU ("work wake").
 */
#include "scx.h"

#define FIFO_DSQ 0xf1f0
#define PRIO_DSQ 0x9810
#define MAX_ROWS 1024

struct row {
	u64 task;
	u64 vtime;
	u32 pid;
	u32 pad;
};

u32 nr_fifo, nr_prio;
struct row fifo[MAX_ROWS], prio[MAX_ROWS];

s32 SCX_OP(dsq_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return pick_cpu(p, prev_cpu, wake_flags);
}

void SCX_OP(dsq_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 i;

	if (named(p, "trigger")) {
		scx_error("ktdump selftest: %d tasks in the FIFO queue, %d in the vtime queue",
			  (u64)nr_fifo, (u64)nr_prio);
	} else if (named(p, "q300")) {
		i = __sync_fetch_and_add(&nr_fifo, 1);
		if (i < MAX_ROWS) {
			fifo[i].task = (u64)p;
			fifo[i].pid = p->pid;
		}
		scx_bpf_dsq_insert(p, FIFO_DSQ, SCX_SLICE_DFL, enq_flags);
		return;
	} else if (named(p, "v300")) {
		u64 vtime = 1000 + (u32)p->pid * 2654435761u % 97;

		i = __sync_fetch_and_add(&nr_prio, 1);
		if (i < MAX_ROWS) {
			prio[i].task = (u64)p;
			prio[i].pid = p->pid;
			prio[i].vtime = vtime;
		}
		scx_bpf_dsq_insert_vtime(p, PRIO_DSQ, SCX_SLICE_DFL, vtime, enq_flags);
		return;
	}
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

s32 SCX_OP_SLEEPABLE(dsq_init)
{
	s32 ret = create_dsq(FIFO_DSQ);

	return ret ?: create_dsq(PRIO_DSQ);
}

void SCX_OP(dsq_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops dsq = {
	.select_cpu	= (void *)dsq_select_cpu,
	.enqueue	= (void *)dsq_enqueue,
	.init		= (void *)dsq_init,
	.exit		= (void *)dsq_exit,
	.timeout_ms	= 30000,
	.name		= "dsq",
};
