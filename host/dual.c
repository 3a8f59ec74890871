// SPDX-License-Identifier: GPL-2.0-only
/* What the early and the late snapshot of one exit have to do with each other. */
#include <stdio.h>

#include "report.h"

static uint64_t begin_u64(const struct snapshot *s, unsigned int col)
{
	row_t row = s ? snapshot_single(s, KTD_TBL_BEGIN) : NULL;

	return row ? row_u64_or(&s->tables[KTD_TBL_BEGIN], row, col, 0) : 0;
}

void dual_facts(const struct snapshot *late, const struct snapshot *early, struct dual_facts *ret)
{
	const struct table *t = &late->tables[KTD_TBL_BEGIN];
	row_t row = snapshot_single(late, KTD_TBL_BEGIN);
	uint64_t now = begin_u64(late, KTD_BEGIN_AGE), peak = begin_u64(late, KTD_BEGIN_AGE_PEAK);
	const char *why;
	size_t len;

	*ret = (struct dual_facts){
		.age = begin_u64(early, KTD_BEGIN_AGE_PEAK),
		.threshold = begin_u64(early ? early : late, KTD_BEGIN_AGE_THRESHOLD),
	};
	if (early)
		return;
	if (ret->threshold && now >= ret->threshold) {
		ret->copy = true;
		ret->age = now;
		return;
	}
	if (row && !row_str(t, row, KTD_BEGIN_EARLY_ERROR, &why, &len))
		snprintf(ret->reason, sizeof(ret->reason), "scan prerequisites unavailable: %.*s",
			 (int)(len < 120 ? len : 120), len ? why : "?");
	else if (snapshot_early(late))
		snprintf(ret->reason, sizeof(ret->reason),
			 "scan prerequisites unavailable: early snapshot %u went to another collector",
			 snapshot_early(late));
	else if (!ret->threshold)
		snprintf(ret->reason, sizeof(ret->reason),
			 "scan prerequisites unavailable: the guest's module does not look at ages");
	else if (!peak)
		snprintf(ret->reason, sizeof(ret->reason),
			 "scx_tick stall \xe2\x80\x94 no per-task runnable_at data");
	else
		snprintf(ret->reason, sizeof(ret->reason),
			 "max_age never crossed threshold (peak=%lluj, threshold=%lluj)",
			 (unsigned long long)peak, (unsigned long long)ret->threshold);
}
