/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the schedulers in this directory share.  vmlinux.h is made from the very
 * kernel that an object is built for, so types and constants need no tricks;
 * KERNEL (703 for Linux 7.3) tells apart what differs in meaning.
 *
 * Kfuncs are declared here, and not by vmlinux.h, because its list depends on
 * how the kernel was built.
 */
#ifndef KTDUMP_SELFTESTS_SCX_H
#define KTDUMP_SELFTESTS_SCX_H

#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

char _license[] SEC("license") = "GPL";

/* Macros are not in BTF. */
#define ENOMEM	12

s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
			   bool *is_idle) __ksym;
void scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym;
void scx_bpf_dsq_insert_vtime(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
			      u64 enq_flags) __ksym;
bool scx_bpf_dsq_move_to_local(u64 dsq_id) __ksym;
bool scx_bpf_sub_dispatch(u64 cgroup_id) __ksym __weak;

/*
 * Many kfuncs have a last argument that the verifier fills in and that BTF should
 * hide from callers.  In some kernel builds (several of Debian's 7.2) it does not
 * for a part of them, and then no BPF program can call these: weak, and checked.
 */
s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym __weak;
void scx_bpf_error_bstr(char *fmt, unsigned long long *data, u32 data__sz) __ksym __weak;

static __always_inline s32 create_dsq(u64 id)
{
	if (bpf_ksym_exists(scx_bpf_create_dsq))
		return scx_bpf_create_dsq(id, -1);
	return -95; /* EOPNOTSUPP */
}

#define SCX_OP(name, args...) SEC("struct_ops/" #name) BPF_PROG(name, ##args)
#define SCX_OP_SLEEPABLE(name, args...) SEC("struct_ops.s/" #name) BPF_PROG(name, ##args)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * scx_bpf_error("text %d", ...): all arguments are integers or pointers.  The
 * zero at the end is never printed; the verifier dislikes an empty array.
 */
#define scx_error(fmt, ...)							\
({										\
	static char _fmt[] = fmt;						\
	unsigned long long _data[] = { __VA_ARGS__ __VA_OPT__(,) 0 };		\
	if (bpf_ksym_exists(scx_bpf_error_bstr))				\
		scx_bpf_error_bstr(_fmt, _data, sizeof(_data));			\
})

/*
 * The kernel tells the end of a scheduler only to ops.exit().  Kept where the
 * loader sees it; "seen" is written last.
 */
struct exit_record {
	u32 seen;
	u32 kind;
	s64 code;
	char reason[64];
	char msg[512];
};

struct exit_record exit_record;

static __always_inline void record_exit(const struct scx_exit_info *ei)
{
	bpf_probe_read_kernel_str(exit_record.reason, sizeof(exit_record.reason), ei->reason);
	bpf_probe_read_kernel_str(exit_record.msg, sizeof(exit_record.msg), ei->msg);
	exit_record.kind = ei->kind;
	exit_record.code = ei->exit_code;
	__sync_fetch_and_add(&exit_record.seen, 1);
}

/*
 * An ops.select_cpu() that wakes an idle CPU but leaves the task to
 * ops.enqueue().  Without it the kernel hands a task that finds an idle CPU
 * directly to that CPU, and ops.enqueue() does not see it.
 */
static __always_inline s32 pick_cpu(struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;

	return scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);
}

/* Does the task's name begin with this string literal? */
#define named(p, prefix) comm_begins((p), prefix, sizeof(prefix) - 1)

static __always_inline bool comm_begins(const struct task_struct *p, const char *prefix, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		if (p->comm[i] != prefix[i])
			return false;
	return true;
}

#endif
