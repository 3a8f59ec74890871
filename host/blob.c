// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "blob.h"

/* Its bytes, unless others have them too. */
static void drop(struct blob *b)
{
	if (!b->refs || !--*b->refs) {
		free(b->data);
		free(b->refs);
	}
	b->data = NULL;
	b->refs = NULL;
}

void blobs_deinit(struct blobs *b)
{
	for (size_t i = 0; i < b->nr; i++)
		drop(&b->v[i]);
	free(b->v);
	*b = (struct blobs){};
}

struct blob *blobs_find(const struct blobs *b, const uint8_t *hash)
{
	for (size_t i = 0; i < b->nr; i++)
		if (!memcmp(b->v[i].hash, hash, BTF_HASH_BYTES))
			return &b->v[i];
	return NULL;
}

struct blob *blobs_announce(struct blobs *b, const uint8_t *hash, uint64_t size, uint64_t room)
{
	struct blob *blob = blobs_find(b, hash);

	if (blob)
		return blob;
	if (b->nr == BLOBS_MAX)
		return NULL;
	if (b->nr == b->room) {
		size_t more = b->room ? b->room * 2 : 16;
		struct blob *v = reallocarray(b->v, more, sizeof(*v));

		if (!v)
			return NULL;
		b->v = v;
		b->room = more;
	}
	blob = &b->v[b->nr++];
	*blob = (struct blob){ .size = size };
	memcpy(blob->hash, hash, BTF_HASH_BYTES);
	if (!size)
		blob->error = "the guest said it is empty";
	else if (size > BTF_MAX_BYTES)
		blob->error = "larger than 64 MiB";
	else if (size > room)
		blob->error = "no room (--max-bytes)";
	else
		b->memory += size;
	return blob;
}

static void give_up(struct blob *b, const char *why)
{
	drop(b);
	b->error = why;
}

/* All bytes are there and are the right ones. */
static bool complete(struct blob *b, const char *source)
{
	b->refs = malloc(sizeof(*b->refs));
	if (!b->refs) {
		give_up(b, "out of memory");
		return false;
	}
	*b->refs = 1;
	b->fill = b->size;
	b->whole = true;
	b->source = source;
	return true;
}

bool blob_from_cache(struct blob *b, struct btf_cache *cache)
{
	size_t len;

	if (b->whole || b->error || b->fill)
		return b->whole;
	b->data = btf_cache_load(cache, b->hash, b->size, &len);
	if (!b->data)
		return false;
	if (len == b->size)
		return complete(b, "cache");
	give_up(b, "the guest was wrong about its size");
	return false;
}

static void share(struct blob *to, const struct blob *from)
{
	to->data = from->data;
	to->fill = to->size;
	to->whole = true;
	to->source = "cache";	/* of this run, in memory */
	to->refs = from->refs;
	++*to->refs;
}

bool blob_from_blobs(struct blob *b, const struct blobs *others)
{
	const struct blob *o = blobs_find(others, b->hash);

	if (!b->whole && !b->error && !b->fill && o && o->whole && o->size == b->size)
		share(b, o);
	return b->whole;
}

void blobs_keep(struct blobs *to, const struct blobs *from)
{
	for (size_t i = 0; i < from->nr; i++) {
		struct blob *b = &from->v[i];

		/* Nothing is announced that is not there the next moment. */
		if (b->whole && b->size <= BLOBS_KEEP_BYTES - to->memory &&
		    !blobs_find(to, b->hash) && blobs_announce(to, b->hash, b->size, b->size))
			share(&to->v[to->nr - 1], b);
	}
}

void blob_add(struct blob *b, uint64_t off, const uint8_t *data, size_t len,
	      struct btf_cache *cache)
{
	if (b->whole || b->error)
		return;
	if (off != b->fill || len > b->size - b->fill) {
		give_up(b, "its pieces do not fit together");
		return;
	}
	if (!b->data)
		b->data = malloc(b->size);
	if (!b->data) {
		give_up(b, "out of memory");
		return;
	}
	memcpy(b->data + b->fill, data, len);
	b->fill += len;
	if (b->fill < b->size)
		return;
	if (!btf_hash_is(b->hash, b->data, b->size))
		give_up(b, "its bytes are not those of the hash");
	else if (complete(b, "stream"))
		btf_cache_store(cache, b->hash, b->data, b->size);
}
