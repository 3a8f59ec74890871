// SPDX-License-Identifier: GPL-2.0-only
#include <linux/hrtimer.h>

#include "demand.h"
#include "early.h"
#include "ticker.h"
#include "timeline.h"

#define PERIOD_MS	100	/* when no samples are taken */

static struct hrtimer timer;

#ifndef HAVE_HRTIMER_SETUP
/* as it was before hrtimer_init() went away */
#define hrtimer_setup(timer, fn, clock, mode) \
	do { hrtimer_init(timer, clock, mode); (timer)->function = (fn); } while (0)
#endif

static enum hrtimer_restart tick(struct hrtimer *t)
{
	ktd_timeline_sample();
	ktd_early_check();
	ktd_demand_check();
	hrtimer_forward_now(t, ms_to_ktime(ktd_sample_ms ?: PERIOD_MS));
	return HRTIMER_RESTART;
}

void ktd_ticker_init(void)
{
	hrtimer_setup(&timer, tick, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	hrtimer_start(&timer, ms_to_ktime(ktd_sample_ms ?: PERIOD_MS), HRTIMER_MODE_REL_HARD);
}

void ktd_ticker_exit(void)
{
	hrtimer_cancel(&timer);
}
