/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is too much to be kept in memory: MEM and RECORD rows lie in an unlinked file
 * from when they arrive until the report is made, with an index in memory.
 *
 * MEM rows make a sparse image of guest memory; RECORD rows make one stream of bytes
 * per map. All of it comes from the guest: addresses, offsets and lengths mean nothing
 * until they are checked.
 */
#ifndef KTC_BULK_H
#define KTC_BULK_H

#include "util.h"
#include "wire.h"

struct bulk;

/*
 * dir: where the file may lie (it never has a name). max_bytes: for the file; more is
 * left out. NULL without memory; errors with the file are told by bulk_add_*().
 */
struct bulk *bulk_create(const char *dir, uint64_t max_bytes);
void bulk_destroy(struct bulk *b);

/*
 * 0; -EDQUOT: max_bytes reached, left out; -EBADMSG: beyond the end of the address space;
 * -errno of the file; -ENOMEM for the index.
 */
int bulk_add_mem(struct bulk *b, uint64_t kva, const void *data, size_t len);
/* The same; -EBADMSG: this piece does not follow the one before. */
int bulk_add_record(struct bulk *b, uint64_t map_kva, uint64_t off, const void *data, size_t len);

/* Reading: NULL is an image without anything in it. */

/* Memory that the index takes, and what the file holds, in bytes. */
size_t bulk_memory(const struct bulk *b);
uint64_t bulk_size(const struct bulk *b);

/*
 * All len bytes of guest memory from kva on, stitched from as many pieces as it takes.
 * 0, -ENODATA when some byte was not captured (buf is then undefined), -errno.
 * Where two pieces overlap the one that came first counts.
 */
int bulk_read(struct bulk *b, uint64_t kva, void *buf, size_t len);
/* How many bytes from kva on are there without a gap, at most max. */
size_t bulk_have(struct bulk *b, uint64_t kva, size_t max);
/*
 * The first captured range that ends after kva, as far as it goes without a gap (it may
 * begin before kva). False when there is none.
 */
bool bulk_next(struct bulk *b, uint64_t kva, uint64_t *start_ret, uint64_t *end_ret);

struct bulk_record {
	uint64_t kva;
	uint32_t flags, index, extra;
	const uint8_t *data;	/* behind the header; valid until the next call */
	uint32_t len;
};

struct bulk_cursor {
	struct bulk *bulk;
	uint64_t map_kva, off, end;
	uint8_t *buf;		/* owned by the cursor */
	size_t room;
	struct bulk_record rec;
};

/* Walk the records of a map. An unknown map has none. */
void bulk_records(struct bulk *b, uint64_t map_kva, struct bulk_cursor *ret);
/* 1: c->rec is the next one; 0: the end; -EBADMSG: no record starts here; -errno. */
int bulk_record_next(struct bulk_cursor *c);
void bulk_records_end(struct bulk_cursor *c);

#endif
