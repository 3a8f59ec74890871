// SPDX-License-Identifier: GPL-2.0-only
#include <linux/hrtimer.h>

#include "demand.h"
#include "early.h"
#include "ticker.h"
#include "timeline.h"

#define PERIOD_MS	100	/* when no samples are taken */

/* Apart: snapshots come as often as they are wanted, not as often as there are samples. */
static struct hrtimer timer, interval;

#ifndef HAVE_HRTIMER_SETUP
/* as it was before hrtimer_init() went away */
#define hrtimer_setup(timer, fn, clock, mode) \
	do { hrtimer_init(timer, clock, mode); (timer)->function = (fn); } while (0)
#endif

/* Where in its period the timer fires stays the same; periods that were missed are left out. */
static enum hrtimer_restart again(struct hrtimer *t, u32 ms)
{
	hrtimer_forward_now(t, ms_to_ktime(ms));
	return HRTIMER_RESTART;
}

static enum hrtimer_restart tick(struct hrtimer *t)
{
	ktd_timeline_sample();
	ktd_early_check();
	return again(t, ktd_sample_ms ?: PERIOD_MS);
}

static enum hrtimer_restart interval_over(struct hrtimer *t)
{
	ktd_demand_interval();
	return again(t, ktd_interval_ms);
}

static void start(struct hrtimer *t, enum hrtimer_restart (*fn)(struct hrtimer *), u32 ms)
{
	hrtimer_setup(t, fn, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	hrtimer_start(t, ms_to_ktime(ms), HRTIMER_MODE_REL_HARD);
}

void ktd_ticker_init(void)
{
	start(&timer, tick, ktd_sample_ms ?: PERIOD_MS);
	if (ktd_interval_ms)
		start(&interval, interval_over, ktd_interval_ms);
}

void ktd_ticker_exit(void)
{
	if (ktd_interval_ms)
		hrtimer_cancel(&interval);
	hrtimer_cancel(&timer);
}
