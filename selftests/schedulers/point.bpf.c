// SPDX-License-Identifier: GPL-2.0-only
/*
 * Global FIFO that asks for a snapshot, by name, when a task named "trigger*" is
 * enqueued, and with names that are none when the name goes on with "-bad".
 */
#include "scx.h"

s32 SCX_OP(point_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return pick_cpu(p, prev_cpu, wake_flags);
}

void SCX_OP(point_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (named(p, "trigger-bad")) {
		bpf_printk("ktdump:snapshot ");
		bpf_printk("ktdump:snapshot two words");
		bpf_printk("ktdump:snapshot %s", "a.name.of.more.than.31.characters");
		bpf_printk("not for ktdump:snapshot us");
	} else if (named(p, "trigger")) {
		bpf_printk("ktdump:snapshot enqueue.%d\n", p->pid);
	}
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void SCX_OP(point_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops point = {
	.select_cpu	= (void *)point_select_cpu,
	.enqueue	= (void *)point_enqueue,
	.exit		= (void *)point_exit,
	.name		= "point",
};
