/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The NMI rendezvous: parks every other online CPU for a bounded moment.
 *
 * One leader at a time. The leader owns nothing but its own IRQ-off state; it
 * takes no lock and only reads. A parked CPU leaves when it is released or, if
 * the leader dies, by its own deadline.
 */
#ifndef KTD_FREEZE_H
#define KTD_FREEZE_H

#include <linux/ptrace.h>

#include "ktdump.h"
#include "perf.h"

/* No freeze may come near the 250 ms after which resilient spinlocks give up. */
#define KTD_FREEZE_LIMIT_MS	250u

struct ktd_cpu_slot {
	/* protocol; see freeze.c */
	u32		pending;	/* epoch this CPU is asked to park for */
	u32		parked;		/* epoch it is parked for, 0 = running */
	u32		nmi_sent;
	u32		nmi_seen;
	u32		gave_up;	/* epoch it left by its own deadline */

	/* where it is; known since the module was loaded */
	s32		node;		/* NUMA_NO_NODE none */
	u32		llc_id;		/* BAD_APICID unknown */

	/* what it was doing; valid when captured_epoch is the current one */
	u32		captured_epoch;
	u32		nr_pcs;
	bool		user;
	s32		pid;
	u64		arrive_ns;	/* CLOCK_MONOTONIC */
	unsigned long	ip, sp, flags, cr3;
	unsigned long	task;
	struct ktd_perf	perf;
	char		comm[TASK_COMM_LEN];
	unsigned long	pcs[KTD_STACK_DEPTH];
} ____cacheline_aligned;

struct ktd_freeze {
	u32		epoch;
	u32		cap_ns;
	u32		targeted;
	u32		parked;
	u32		resent;
	u32		gave_up;
	u64		start_ns;	/* first NMI sent */
	u64		parked_ns;	/* last CPU parked, or waiting was given up */
	u64		released_ns;
	u64		gone_ns;	/* last CPU gone */
};

extern u64 ktd_late_nmi;

int ktd_freeze_init(void);
void ktd_freeze_exit(void);

/*
 * Makes this CPU the leader. False when another CPU leads; the caller then
 * calls ktd_freeze_join(). Any context; preemption must be off. @exit: for the
 * capture of an exit, which exits of other CPUs may join.
 */
bool ktd_freeze_lead(bool exit);

/*
 * For an exit that met a leader. One that captures a living scheduler is waited for,
 * parked like any other CPU, as its snapshot shows nothing of the exit: true, try to lead
 * again. False when the leader captures an exit, is this very CPU (an NMI hit it) or takes
 * too long; @since: CLOCK_MONOTONIC of the first try. @regs as below. IRQs must be off.
 */
bool ktd_freeze_wait(struct pt_regs *regs, u64 since);

/*
 * Parks the others. IRQs must be off. Waits about half of the cap. Fills @f and
 * the slots; the leader's own from @regs, its context at the hook, or, where
 * that is NULL, from its stack as it is.
 */
void ktd_freeze_park(struct ktd_freeze *f, struct pt_regs *regs);

/* Lets them go and waits (bounded) until they are gone. */
void ktd_freeze_release(struct ktd_freeze *f);

/* Gives up the lead; nothing of the capture may be touched after it. */
void ktd_freeze_unlead(void);

/*
 * For a CPU that lost the race for the lead: park itself until the leader is
 * done. It may sit in NMI or with IRQs off, where the leader's NMI cannot
 * reach it. Returns at once when the leader is this very CPU. @regs as above.
 */
void ktd_freeze_join(struct pt_regs *regs);

/* Slot of @cpu; contents valid if captured_epoch matches. */
const struct ktd_cpu_slot *ktd_freeze_slot(unsigned int cpu);

#endif
