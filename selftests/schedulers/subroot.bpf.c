// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accepts sub-schedulers (Linux 7.1 and newer), up to four, and gives each of
 * them every CPU in turn.  Schedules all other tasks by a FIFO of its own.  A
 * task named "trigger-root*" makes it fail, and its children with it.
 */
#include "scx.h"

#define OWN_DSQ 0x4007
#define MAX_SUBS 4

u64 subs[MAX_SUBS];
u64 nr_attached, nr_sub_dispatched;

/* Schedulers of this form must have an arena, used or not. */
struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
} arena SEC(".maps");

#define USE_ARENA() asm volatile("" :: "r"(&arena))

#if KERNEL >= 703
/* From 7.3 on a parent says on which CPUs ("cids") a child may place tasks. */
#define __arena __attribute__((address_space(1)))

s32 scx_bpf_sub_grant(u64 cgroup_id, u64 caps, const struct scx_cmask __arena *cmask__arena,
		      struct scx_cmask __arena *denied_out__arena__nullable) __ksym __weak;
u32 scx_bpf_nr_cids(void) __ksym __weak;

/* A struct scx_cmask with room for 1024 CPUs. */
struct mask {
	u32 base;
	u32 nr_cids;
	u32 alloc_words;
	u64 bits[17];
};

struct mask __arena all_cids SEC(".addr_space.1");

static __always_inline void grant(u64 cgroup_id)
{
	u32 i, n = scx_bpf_nr_cids();
	s32 ret;

	all_cids.base = 0;
	all_cids.nr_cids = n;
	all_cids.alloc_words = n / 64 + 2;
	bpf_for(i, 0, 16)
		all_cids.bits[i] = n >= (i + 1) * 64 ? ~0ULL : n > i * 64 ? (1ULL << (n - i * 64)) - 1 : 0;
	ret = scx_bpf_sub_grant(cgroup_id, SCX_CAP_ENQ | SCX_CAP_ENQ_IMMED | SCX_CAP_PREEMPT,
				(struct scx_cmask __arena *)&all_cids, NULL);
	if (ret)
		bpf_printk("subroot: grant: %d", ret);
}
#else
static __always_inline void grant(u64 cgroup_id)
{
}
#endif

/* So that ops.enqueue() sees every task, as pick_cpu() in scx.h does. */
s32 SCX_OP(subroot_select_cid, struct task_struct *p, s32 prev_cid, u64 wake_flags)
{
	return prev_cid;
}

void SCX_OP(subroot_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (named(p, "trigger-root"))
		scx_error("ktdump selftest: the root scheduler fails");
	scx_bpf_dsq_insert(p, OWN_DSQ, SCX_SLICE_DFL, enq_flags);
}

void SCX_OP(subroot_dispatch, s32 cid, struct task_struct *prev)
{
	u32 i;

	if (scx_bpf_dsq_move_to_local(OWN_DSQ))
		return;
	for (i = 0; i < MAX_SUBS; i++) {
		if (subs[i] && scx_bpf_sub_dispatch(subs[i])) {
			__sync_fetch_and_add(&nr_sub_dispatched, 1);
			return;
		}
	}
}

s32 SCX_OP(subroot_sub_attach, struct scx_sub_attach_args *args)
{
	u64 id = args->ops->sub_cgroup_id;
	u32 i;

	for (i = 0; i < MAX_SUBS; i++) {
		if (subs[i])
			continue;
		subs[i] = id;
		__sync_fetch_and_add(&nr_attached, 1);
		grant(id);
		return 0;
	}
	return -28;
}

void SCX_OP(subroot_sub_detach, struct scx_sub_detach_args *args)
{
	u64 id = args->ops->sub_cgroup_id;
	u32 i;

	for (i = 0; i < MAX_SUBS; i++)
		if (subs[i] == id)
			subs[i] = 0;
}

s32 SCX_OP_SLEEPABLE(subroot_init)
{
	USE_ARENA();
	return create_dsq(OWN_DSQ);
}

void SCX_OP(subroot_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops_cid subroot = {
	.select_cid	= (void *)subroot_select_cid,
	.enqueue	= (void *)subroot_enqueue,
	.dispatch	= (void *)subroot_dispatch,
	.sub_attach	= (void *)subroot_sub_attach,
	.sub_detach	= (void *)subroot_sub_detach,
	.init		= (void *)subroot_init,
	.exit		= (void *)subroot_exit,
	.name		= "subroot",
};
