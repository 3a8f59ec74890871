/* SPDX-License-Identifier: GPL-2.0-only */
/* Snapshots that somebody asks for; the scheduler goes on living. */
#ifndef KTD_DEMAND_H
#define KTD_DEMAND_H

/*
 * Takes one now, whether or not there is a scheduler. Any context. @who is not kept.
 * 0, or -EBUSY: another capture is under way, or those taken before were not sent yet.
 */
int ktd_demand(const char *who);

/* Ticker, when interval_ms have gone by: one of the scheduler, if there is one. */
void ktd_demand_interval(void);

/* From here on the guest may ask; until then it is told -EAGAIN. */
void ktd_demand_open(bool open);

#endif
