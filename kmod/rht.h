/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walk over a struct rhashtable that may be in the middle of a resize. No locks.
 *
 *	struct ktd_rht w;
 *
 *	for (ktd_rht_init(&w, ht, buckets_max); ktd_rht_step(&w, &node);)
 *		if (node)
 *			...
 *
 * Some steps give no node, so that the caller can look at the clock while it goes
 * over empty buckets. @w.end says why it ended: "ok", "loop" or "size".
 */
#ifndef KTD_RHT_H
#define KTD_RHT_H

#include "nofault.h"

struct ktd_rht {
	unsigned long	tbl;
	unsigned long	next;
	u32		size, nest;	/* of tbl */
	u32		bucket;
	u32		chain;
	u32		hops;
	u32		buckets_max;
	const char	*end;
};

void ktd_rht_init(struct ktd_rht *w, unsigned long ht, u32 buckets_max);

/* False at the end. @node: struct rhash_head, or 0. */
bool ktd_rht_step(struct ktd_rht *w, unsigned long *node);

#endif
