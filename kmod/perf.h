/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hardware counters: perf events of every CPU that count from load on. They are created
 * and released in process context; a CPU reads its own ones when it is parked.
 */
#ifndef KTD_PERF_H
#define KTD_PERF_H

#include <linux/types.h>

#define KTD_NR_PERF	4	/* in the order of the CPU table's columns */

/* What a CPU had counted. */
struct ktd_perf {
	bool	counting;		/* all of them; else nothing below is valid */
	u64	count[KTD_NR_PERF];
	u64	time_ns;		/* for so long */
};

/* May sleep. Never fails: ktd_perf_missing() says what is not there. */
void ktd_perf_init(void);
void ktd_perf_exit(void);

/* Why no CPU has counters, NULL: some have. Constant text. */
const char *ktd_perf_missing(void);

/* Reads those of this CPU. Any context with interrupts off, NMI included. */
void ktd_perf_read(struct ktd_perf *ret);

#endif
