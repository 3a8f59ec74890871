/* SPDX-License-Identifier: GPL-2.0-only */
/* Event counters over time: a ring that the ticker fills. */
#ifndef KTD_TIMELINE_H
#define KTD_TIMELINE_H

#include "capture.h"

/* 0 or -ENOMEM. */
int ktd_timeline_init(void);
void ktd_timeline_exit(void);

/* Room that the rows need at most. */
size_t ktd_timeline_bytes(void);
/* Sender: the samples up to @until (CLOCK_MONOTONIC), as far as they are still there. */
void ktd_timeline_rows(struct ktd_sink *s, u64 until);

/* Ticker: one sample, while there is a scheduler. */
void ktd_timeline_sample(void);

#endif
