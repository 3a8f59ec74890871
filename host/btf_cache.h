/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * BTF that guests have sent, by its SHA-256: a kernel's is megabytes and the same every
 * time. The names of files are hashes that were computed here, and what is read is
 * hashed again, so neither a guest nor a damaged file can put wrong types into a report.
 * It is a help, not the job: whatever fails is warned about once, and BTF is sent anew.
 */
#ifndef KTC_BTF_CACHE_H
#define KTC_BTF_CACHE_H

#include "util.h"

#define BTF_HASH_BYTES		32u
#define BTF_MAX_BYTES		(64u << 20)	/* one object */
#define BTF_CACHE_MAX_BYTES	(1ull << 30)	/* all files; the oldest are removed */
#define BTF_CACHE_MAX_FILES	4096u

struct btf_cache;

/*
 * dir: NULL for the default below $XDG_CACHE_HOME or $HOME, "none" for no cache. The
 * directory is made when there is something to put into it. NULL without memory, and for
 * "none"; the other functions take NULL for an empty cache that keeps nothing.
 */
struct btf_cache *btf_cache_open(const char *dir);
/* Makes the directory now, for those who cannot later; its path, NULL for an empty cache. */
const char *btf_cache_prepare(struct btf_cache *c);
void btf_cache_close(struct btf_cache *c);

/* The bytes with this hash, the caller's to free; NULL when they are not there. */
uint8_t *btf_cache_load(struct btf_cache *c, const uint8_t hash[static BTF_HASH_BYTES],
			size_t max, size_t *len_ret);
/* The caller has checked that this is their hash. */
void btf_cache_store(struct btf_cache *c, const uint8_t hash[static BTF_HASH_BYTES],
		     const uint8_t *data, size_t len);

/* Is this the SHA-256 of the bytes? */
bool btf_hash_is(const uint8_t hash[static BTF_HASH_BYTES], const uint8_t *data, size_t len);

#endif
