/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The BTF of one snapshot: BLOB rows are put together here, and what the cache has is
 * brought from there. Nothing counts before its hash has been checked.
 */
#ifndef KTC_BLOB_H
#define KTC_BLOB_H

#include "btf_cache.h"

#define BLOBS_MAX		1024	/* BTF rows of a snapshot that are looked at */
#define BLOBS_KEEP_BYTES	(128u << 20)

struct blob {
	uint8_t hash[BTF_HASH_BYTES];
	uint8_t *data;
	size_t size, fill;
	const char *error;	/* why there are no bytes */
	const char *source;	/* once it is whole: "stream" or "cache" */
	unsigned int *refs;	/* once it is whole: how many share the bytes */
	bool whole;		/* all of it, and of this hash */
	bool wanted;		/* the guest was asked to send it */
};

struct blobs {
	struct blob *v;
	size_t nr, room;
	uint64_t memory;
};

void blobs_deinit(struct blobs *b);

/* NULL when nothing is known about it. */
struct blob *blobs_find(const struct blobs *b, const uint8_t *hash);
/*
 * A BTF row announces it; the one that is there already if it came before. room: how much
 * memory it may take; larger ones are known to be missing from then on. NULL without
 * memory, or when there are too many.
 */
struct blob *blobs_announce(struct blobs *b, const uint8_t *hash, uint64_t size, uint64_t room);
/* Look for it in the cache: true when it is whole now. */
bool blob_from_cache(struct blob *b, struct btf_cache *cache);
/* Those that are whole are kept for later, up to BLOBS_KEEP_BYTES. */
void blobs_keep(struct blobs *to, const struct blobs *from);
/* Look for it among those: true when it is whole now. */
bool blob_from_blobs(struct blob *b, const struct blobs *others);
/* A piece from the guest; one that ends it is checked and goes to the cache. */
void blob_add(struct blob *b, uint64_t off, const uint8_t *data, size_t len,
	      struct btf_cache *cache);

#endif
