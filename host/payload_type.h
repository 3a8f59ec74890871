/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a scheduler keeps in memory of which only the size is known: the struct of its own
 * that is so large. One that is found is the only one, or its name decided.
 */
#ifndef KTC_PAYLOAD_TYPE_H
#define KTC_PAYLOAD_TYPE_H

#include "report.h"

/*
 * The struct of this BTF that an allocator of this name gives out, by its size in bytes
 * and, of several, by the usual names. 0 when that is not clear; why says the reason then.
 */
uint32_t payload_type(struct report *r, const struct btf *btf, uint64_t size,
		      const char *allocator, char *why, size_t why_size);

struct payload_found {
	const struct btf *btf;
	uint32_t id;
	bool guess;		/* it is not the only one: see --guess-types */
	const char *why;	/* when there is none; lives as long as the report */
};

/*
 * What is where this field points to, of which only the size is known, or not even that,
 * which only --guess-types has an answer to. False: not known.
 */
bool payload_by_size(struct report *r, const struct cast_hit *hit, struct payload_found *ret);

/* "scx_task_allocator", or "outer.task_allocator[3]": what it is an allocator of. */
void payload_stem(const char *allocator, char *buf, size_t size);
/* The same without "scx_". */
const char *payload_short_stem(const char *stem);

#endif
