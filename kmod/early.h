/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The snapshot half-way into a stall. The ticker has the ages of all waiting tasks
 * looked at; when one is older than its scheduler's threshold a snapshot is taken. The
 * next one only when that stall is over, and the watchdog's timeout with it.
 */
#ifndef KTD_EARLY_H
#define KTD_EARLY_H

#include "capture.h"

void ktd_early_init(void);

/* Ticker: looks at all ages, and takes a snapshot when it is time. */
void ktd_early_check(void);

/*
 * Hook of an exit, any context: what is known about @sch (0: the root). It begins
 * anew with the next scheduler at that address.
 */
void ktd_early_take(unsigned long sch, struct ktd_early *ret);
/* The same for an end that nobody wants to know about. */
void ktd_early_forget(unsigned long sch);

/* The largest age of @sch at @now, in jiffies. Any context. */
u64 ktd_early_age(unsigned long sch, unsigned long now);

#endif
