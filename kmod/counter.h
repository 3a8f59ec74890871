/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module counts since it was loaded. Written from any context. */
#ifndef KTD_COUNTER_H
#define KTD_COUNTER_H

#include <linux/atomic.h>

struct ktd_counters {
	atomic64_t	trigger;	/* hook firings */
	atomic64_t	error;		/* of those, error class */
	atomic64_t	clean;		/* of those, not error class */
	atomic64_t	parent;		/* of those, propagated from a parent */
	atomic64_t	captured;
	atomic64_t	nested;		/* met a capture under way */
	atomic64_t	lost;		/* no room */
	atomic64_t	point;		/* snapshots at named points */
	atomic64_t	point_skipped;	/* points where none was taken */
};

extern struct ktd_counters ktd_counters;

#endif
