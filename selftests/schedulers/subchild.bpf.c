// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sub-scheduler under "subroot"; attach it with --cgroup PATH.
 *   a task named "trigger-sub*" in its cgroup makes it fail
 *   --set fire_at=NS   fail at this time of CLOCK_MONOTONIC ("work now" tells
 *                      it): two children given the same time fail together
 *   --set bad_dsq=ID   fail then by the kernel's own error: the next task goes to
 *                      this queue, which does not exist
 */
#include "scx.h"

#define OWN_DSQ 0x50b

/* Schedulers of this form must have an arena, used or not. */
struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
} arena SEC(".maps");

#define USE_ARENA() asm volatile("" :: "r"(&arena))

const volatile u64 fire_at, bad_dsq;
u64 nr_enqueued, nr_dispatched, fired;

static __always_inline void maybe_fail(const struct task_struct *p)
{
	if (p && named(p, "trigger-sub")) {
		scx_error("ktdump selftest: a sub-scheduler fails");
	} else if (fire_at && !bad_dsq && !fired && bpf_ktime_get_ns() >= fire_at) {
		fired = 1;
		scx_error("ktdump selftest: a sub-scheduler fails at its time");
	}
}

/* So that ops.enqueue() sees every task, as pick_cpu() in scx.h does. */
s32 SCX_OP(subchild_select_cid, struct task_struct *p, s32 prev_cid, u64 wake_flags)
{
	return prev_cid;
}

void SCX_OP(subchild_enqueue, struct task_struct *p, u64 enq_flags)
{
	__sync_fetch_and_add(&nr_enqueued, 1);
	maybe_fail(p);
	if (bad_dsq && fire_at && bpf_ktime_get_ns() >= fire_at)
		scx_bpf_dsq_insert(p, bad_dsq, SCX_SLICE_DFL, enq_flags);
	else
		scx_bpf_dsq_insert(p, OWN_DSQ, SCX_SLICE_DFL, enq_flags);
}

void SCX_OP(subchild_dispatch, s32 cid, struct task_struct *prev)
{
	maybe_fail(NULL);
	if (scx_bpf_dsq_move_to_local(OWN_DSQ))
		__sync_fetch_and_add(&nr_dispatched, 1);
}

void SCX_OP(subchild_tick, struct task_struct *p)
{
	maybe_fail(p);
}

s32 SCX_OP_SLEEPABLE(subchild_init)
{
	USE_ARENA();
	return create_dsq(OWN_DSQ);
}

void SCX_OP(subchild_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops_cid subchild = {
	.select_cid	= (void *)subchild_select_cid,
	.enqueue	= (void *)subchild_enqueue,
	.dispatch	= (void *)subchild_dispatch,
	.tick		= (void *)subchild_tick,
	.init		= (void *)subchild_init,
	.exit		= (void *)subchild_exit,
	.name		= "subchild",
};
