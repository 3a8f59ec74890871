/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When to capture: the exit of a scheduler; what early.c and demand.c ask for.
 *
 * A claim remembers an exit whose scx_exit_info is still to be read. It holds a
 * reference on the instance, so its address cannot be reused while the claim
 * lives, and a second firing for the same instance is recognised.
 */
#ifndef KTD_TRIGGER_H
#define KTD_TRIGGER_H

#include "capture.h"

#define KTD_CLAIMS_MAX		32

/* enum scx_exit_kind; stable where they exist (kernel/sched/ext/internal.h) */
#define KTD_EXIT_DONE		1u
#define KTD_EXIT_UNREG		64u
#define KTD_EXIT_SYSRQ		67u
#define KTD_EXIT_PARENT		68u
#define KTD_EXIT_ERROR		1024u

struct ktd_claim {
	unsigned long	sch;		/* 0 = free; written last by the hook */
	u32		kind;
	u32		snapshot;	/* 0 = lost: nothing to report, only to drop */
	bool		pinned;
	bool		ready;		/* the hook is done with it */
	u64		since;		/* jiffies64; set by the sender */
};

extern struct ktd_claim ktd_claims[KTD_CLAIMS_MAX];

#define KTD_FIRINGS_MAX		64

/* One firing of the hook; entry nr % KTD_FIRINGS_MAX, nr counting from 0. */
struct ktd_firing {
	u64		nr;		/* 1 + nr once filled, 0 = never */
	u64		mono_ns;
	unsigned long	sch;
	u32		kind;
	s32		cpu;
	u32		snapshot;	/* 0 none */
	const char	*fate;
};

extern struct ktd_firing ktd_firings[KTD_FIRINGS_MAX];

/*
 * Attaches to the first exit hook that this kernel has; @which is the hook=
 * parameter. Returns 0, -ENOENT when there is none, -EINVAL for @which.
 */
int ktd_trigger_init(const char *which);
/* Detaches and waits until no hook, and no probe of point.c, runs any more. May sleep. */
void ktd_trigger_exit(void);

const char *ktd_trigger_hook(void);
u64 ktd_trigger_missed(void);

/* Sender thread: drops the claim and its reference. May sleep. */
void ktd_claim_put(struct ktd_claim *claim);

/*
 * Captures a scheduler that goes on living; @trig says which, and why; its texts are
 * not kept. Any context. Returns the number of the snapshot; 0: another capture is under way, or
 * there is no room.
 */
u32 ktd_snapshot_living(struct ktd_trigger *trig);

/*
 * What a hook does; any context, preemption off. @hook is constant text, @regs
 * the context that a kprobe met, NULL elsewhere. For faults.c too.
 */
void ktd_exit_fired(unsigned long sch, u32 kind, const char *hook, struct pt_regs *regs);

#endif
