// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>

#include "rht.h"

#define TABLES_MAX	4	/* resizes chained at one time */
#define CHAIN_MAX	1024

/*
 * Address of bucket @i. A table that was allocated under pressure is nested:
 * buckets[0] points to pages of pointers, 512 each (lib/rhashtable.c,
 * nested_table_alloc()).
 */
static unsigned long bucket_addr(const struct ktd_rht *w, u32 i)
{
	const u32 per = PAGE_SIZE / sizeof(long);
	unsigned long buckets = ktd_at(w->tbl, KTD_M_TBL_BUCKETS);
	unsigned long page;
	u32 size, index;

	if (!w->nest)
		return buckets + i * sizeof(long);
	size = w->size >> w->nest;
	index = i & ((1u << w->nest) - 1);
	i >>= w->nest;
	page = ktd_read_ul(ktd_read_ul(buckets) + index * sizeof(long));
	while (page && size > per) {
		page = ktd_read_ul(page + (i & (per - 1)) * sizeof(long));
		size /= per;
		i /= per;
	}
	return page ? page + i * sizeof(long) : 0;
}

static void enter(struct ktd_rht *w, unsigned long tbl)
{
	w->tbl = tbl;
	w->bucket = 0;
	w->size = ktd_get(tbl, KTD_M_TBL_SIZE);
	w->nest = ktd_get(tbl, KTD_M_TBL_NEST);
	if (w->size <= w->buckets_max && w->nest <= 16)
		return;
	w->end = "size";
	w->tbl = 0;
}

void ktd_rht_init(struct ktd_rht *w, unsigned long ht, u32 buckets_max)
{
	*w = (struct ktd_rht){ .buckets_max = buckets_max, .end = "ok" };
	enter(w, ktd_get(ht, KTD_M_RHT_TBL));
}

/*
 * A resize moves elements one by one from tbl to future_tbl, so walking both
 * meets each once; the one being moved at the freeze may be met twice.
 */
bool ktd_rht_step(struct ktd_rht *w, unsigned long *node)
{
	*node = 0;
	/* bit 0 of a bucket is its lock, of a next pointer the end mark */
	if (w->next && !(w->next & 1)) {
		if (++w->chain > CHAIN_MAX) {
			w->end = "loop";
			w->next = 0;
			return true;
		}
		*node = w->next;
		w->next = ktd_get(w->next, KTD_M_RHEAD_NEXT);
		return true;
	}
	if (!w->tbl)
		return false;
	if (w->bucket < w->size) {
		w->next = ktd_read_ul(bucket_addr(w, w->bucket++)) & ~1UL;
		w->chain = 0;
		return true;
	}
	if (++w->hops == TABLES_MAX)
		return false;
	enter(w, ktd_get(w->tbl, KTD_M_TBL_FUTURE));
	return w->tbl;
}
