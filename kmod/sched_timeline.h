/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the CPUs ran in the last sched_timeline_ms: a ring per CPU, filled by the
 * kernel's own tracepoints. Off unless sched_timeline_kib is given.
 */
#ifndef KTD_SCHED_TIMELINE_H
#define KTD_SCHED_TIMELINE_H

#include "capture.h"

/* Since load; see COUNTER in tables.h. */
struct ktd_sched_counts {
	u64	timeline, timeline_drops;
	u64	pi, pi_class_changes, pi_drops;
	u64	lock_contend, lock_contend_drops;
};

/* 0 or -ENOMEM. A tracepoint that is not there is named in each snapshot. May sleep. */
int ktd_sched_timeline_init(void);
/* Waits until no probe runs any more. May sleep. */
void ktd_sched_timeline_exit(void);

/* Sums over the CPUs, all 0 when it is off. Any context. */
void ktd_sched_timeline_counts(struct ktd_sched_counts *ret);

#endif
