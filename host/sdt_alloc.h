/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What schedulers keep per task or per cgroup in an arena. Their allocator (struct
 * scx_allocator) hangs all slots of one size into a tree of three levels with 512 entries
 * each; a slot is a header with its number and generation, and then the scheduler's own
 * struct. Nothing says which struct that is: it has to be found out, or is left open.
 */
#ifndef KTC_SDT_ALLOC_H
#define KTC_SDT_ALLOC_H

#include "map.h"

#define SDT_MAX_SHOWN	4096	/* entries of one allocator in the report */

/*
 * The slot in use that this address of the kernel's is in. Where it or its payload begins
 * there is a type, if the allocator knows one. Of the trees themselves: that they are shown.
 */
bool sdt_slot(const struct sdt *s, uint64_t kva, struct render_slot *ret);

/* Offset of the first pointer to a slot among the members of a value; false: none. */
bool sdt_member(const struct btf *btf, uint32_t value_type, uint64_t *off_ret);

/* The slot that addr, a pointer in a value of this map, leads to. */
struct sdt_payload {
	const struct btf *btf;
	uint32_t id, size;	/* its type; bytes */
	uint64_t kva;
};

/* False: it is null, leads to nothing that is allocated, or its type is not known. */
bool sdt_payload_find(const struct sdt *s, const struct map *m, const struct arena *arenas,
		      size_t nr_arenas, uint64_t addr, struct sdt_payload *ret);

#endif
