// SPDX-License-Identifier: GPL-2.0-only
/*
 * One file, written from the front to the back. It is read by pread() through a small
 * cache and not by mmap(): a file system that fills up is then an error and no signal,
 * and what is resident does not grow with what is read.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

#include "bulk.h"

#define WRITE_BYTES	(64u * 1024u)
#define BLOCK_BYTES	(16u * 1024u)
#define NR_BLOCKS	128u
#define RECORD_MAX	(256u * 1024u * 1024u)	/* 32 KiB of a per-CPU value on 8192 CPUs */

struct extent {			/* bytes at start (address, or offset in a stream) */
	uint64_t start, len;
	uint64_t at;		/* in the file */
};

struct extents {
	struct extent *v;
	size_t nr, room;
};

struct run {			/* of addresses without a gap */
	uint64_t start, end;
};

struct stream {			/* the records of one map */
	uint64_t map_kva, end;
	struct extents parts;
};

struct block {			/* of the file, as it was when it held len bytes */
	uint64_t at;
	size_t len;
};

struct bulk {
	char *dir;
	int fd;
	int error;		/* of the file, sticky */
	uint64_t max_bytes;
	uint64_t written;	/* bytes in the file; what follows is in buf */
	uint8_t *buf;
	size_t fill;

	struct extents fresh;	/* in order of arrival */
	struct extents mem;	/* ascending, without overlaps */
	struct run *runs;
	size_t nr_runs;

	void *streams;		/* tsearch() tree by map_kva */
	struct stream *last;	/* the one that grew last */
	size_t memory;		/* of streams and their parts */

	uint8_t *cache;
	struct block blocks[NR_BLOCKS];
};

struct bulk *bulk_create(const char *dir, uint64_t max_bytes)
{
	struct bulk *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->fd = -1;
	b->max_bytes = max_bytes;
	b->dir = strdup(dir);
	if (!b->dir) {
		free(b);
		return NULL;
	}
	return b;
}

static void stream_free(void *p)
{
	struct stream *s = p;

	free(s->parts.v);
	free(s);
}

void bulk_destroy(struct bulk *b)
{
	if (!b)
		return;
	if (b->fd >= 0)
		close(b->fd);
	tdestroy(b->streams, stream_free);
	free(b->fresh.v);
	free(b->mem.v);
	free(b->runs);
	free(b->buf);
	free(b->cache);
	free(b->dir);
	free(b);
}

size_t bulk_memory(const struct bulk *b)
{
	if (!b)
		return 0;
	return b->memory + (b->fresh.room + b->mem.room) * sizeof(struct extent) +
	       b->nr_runs * sizeof(struct run);
}

uint64_t bulk_size(const struct bulk *b)
{
	return b ? b->written + b->fill : 0;
}

/* ------------------------------------------------------------------ the file */

static int open_file(struct bulk *b)
{
	_cleanup_free_ char *name = NULL;

	b->fd = open(b->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (b->fd >= 0)
		return 0;
	/* Not every file system has files without a name. */
	if (asprintf(&name, "%s/.ktcollect-XXXXXX", b->dir) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	b->fd = mkostemp(name, O_CLOEXEC);
	if (b->fd < 0)
		return -errno;
	unlink(name);
	return 0;
}

/* Buffer to file. What could not be written stays where it is and can be read there. */
static int flush(struct bulk *b)
{
	size_t done = 0;

	if (!b->error && b->fd < 0)
		b->error = open_file(b);
	while (!b->error && done < b->fill) {
		ssize_t n = pwrite(b->fd, b->buf + done, b->fill - done, b->written + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			b->error = n ? -errno : -EIO;
		else
			done += n;
	}
	memmove(b->buf, b->buf + done, b->fill - done);
	b->fill -= done;
	b->written += done;
	return b->error;
}

static int append(struct bulk *b, const uint8_t *data, size_t len, uint64_t *at_ret)
{
	uint64_t at = b->written + b->fill;

	if (b->error)
		return b->error;
	if (at > b->max_bytes || len > b->max_bytes - at)
		return -EDQUOT;
	if (!b->buf)
		b->buf = malloc(WRITE_BYTES);
	if (!b->buf)
		return -ENOMEM;
	while (len) {
		size_t n = WRITE_BYTES - b->fill;

		if (n > len)
			n = len;
		memcpy(b->buf + b->fill, data, n);
		b->fill += n;
		data += n;
		len -= n;
		if (b->fill == WRITE_BYTES && flush(b))
			return b->error;
	}
	*at_ret = at;
	return 0;
}

static int read_file(struct bulk *b, uint8_t *buf, size_t len, uint64_t at)
{
	while (len) {
		ssize_t n = pread(b->fd, buf, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		buf += n;
		at += n;
		len -= n;
	}
	return 0;
}

/* The cached block that begins at this offset, with at least len bytes. */
static const uint8_t *get_block(struct bulk *b, uint64_t at, size_t len, int *err_ret)
{
	size_t nr = at / BLOCK_BYTES % NR_BLOCKS;
	uint8_t *data;

	if (!b->cache)
		b->cache = malloc((size_t)NR_BLOCKS * BLOCK_BYTES);
	if (!b->cache) {
		*err_ret = -ENOMEM;
		return NULL;
	}
	data = b->cache + nr * BLOCK_BYTES;
	if (b->blocks[nr].at != at || b->blocks[nr].len < len) {
		uint64_t left = b->written - at;

		b->blocks[nr].len = 0;
		len = left < BLOCK_BYTES ? left : BLOCK_BYTES;
		*err_ret = read_file(b, data, len, at);
		if (*err_ret)
			return NULL;
		b->blocks[nr] = (struct block){ at, len };
	}
	return data;
}

static int read_at(struct bulk *b, uint8_t *buf, size_t len, uint64_t at)
{
	int err = 0;

	while (len) {
		size_t off = at % BLOCK_BYTES, n = BLOCK_BYTES - off;
		const uint8_t *data;

		if (at >= b->written) {
			memcpy(buf, b->buf + (at - b->written), len);
			return 0;
		}
		if (n > len)
			n = len;
		if (n > b->written - at)
			n = b->written - at;
		if (!off && len >= BLOCK_BYTES) {
			n = len < b->written - at ? len : b->written - at;
			err = read_file(b, buf, n, at);
			if (err)
				return err;
		} else {
			data = get_block(b, at - off, off + n, &err);
			if (!data)
				return err;
			memcpy(buf, data + off, n);
		}
		buf += n;
		at += n;
		len -= n;
	}
	return 0;
}

/* ----------------------------------------------------------------- the index */

/* One more; those that touch in both places become one. */
static int extents_add(struct extents *e, uint64_t start, uint64_t len, uint64_t at)
{
	struct extent *last = e->nr ? &e->v[e->nr - 1] : NULL;

	if (last && last->start + last->len == start && last->at + last->len == at) {
		last->len += len;
		return 0;
	}
	if (e->nr == e->room) {
		size_t room = e->room ? e->room * 2 : 16;
		struct extent *v = reallocarray(e->v, room, sizeof(*v));

		if (!v)
			return -ENOMEM;
		e->v = v;
		e->room = room;
	}
	e->v[e->nr++] = (struct extent){ start, len, at };
	return 0;
}

int bulk_add_mem(struct bulk *b, uint64_t kva, const void *data, size_t len)
{
	uint64_t at;
	int err;

	if (len > UINT64_MAX - kva)
		return -EBADMSG;
	if (!len)
		return 0;
	err = append(b, data, len, &at);
	return err ? err : extents_add(&b->fresh, kva, len, at);
}

static int by_map(const void *a, const void *b)
{
	const struct stream *x = a, *y = b;

	return (x->map_kva > y->map_kva) - (x->map_kva < y->map_kva);
}

static struct stream *find_stream(const struct bulk *b, uint64_t map_kva)
{
	struct stream key = { .map_kva = map_kva };
	void *node = tfind(&key, &b->streams, by_map);

	return node ? *(struct stream **)node : NULL;
}

static struct stream *make_stream(struct bulk *b, uint64_t map_kva)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->map_kva = map_kva;
	if (!tsearch(s, &b->streams, by_map)) {
		free(s);
		return NULL;
	}
	b->memory += sizeof(*s) + 8 * sizeof(void *);
	return s;
}

int bulk_add_record(struct bulk *b, uint64_t map_kva, uint64_t off, const void *data, size_t len)
{
	struct stream *s = b->last;
	size_t room;
	uint64_t at;
	int err;

	if (!s || s->map_kva != map_kva)
		s = find_stream(b, map_kva);
	if (off != (s ? s->end : 0))
		return -EBADMSG;
	if (!len)
		return 0;
	if (!s)
		s = make_stream(b, map_kva);
	if (!s)
		return -ENOMEM;
	b->last = s;
	err = append(b, data, len, &at);
	if (err)
		return err;
	room = s->parts.room;
	err = extents_add(&s->parts, off, len, at);
	b->memory += (s->parts.room - room) * sizeof(struct extent);
	if (!err)
		s->end += len;
	return err;
}

/* ------------------------------------------------------------------- reading */

struct piece {
	struct extent x;
	size_t nr;		/* in order of arrival */
};

static int by_start(const void *a, const void *b)
{
	const struct piece *p = a, *q = b;

	if (p->x.start != q->x.start)
		return p->x.start > q->x.start ? 1 : -1;
	return (p->nr > q->nr) - (p->nr < q->nr);
}

/* A heap of pieces that reach over the same address, the first to arrive on top. */
static void heap_push(const struct piece **heap, size_t *nr, const struct piece *p)
{
	size_t i = (*nr)++;

	while (i && heap[(i - 1) / 2]->nr > p->nr) {
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = p;
}

static void heap_pop(const struct piece **heap, size_t *nr)
{
	const struct piece *p = heap[--*nr];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < *nr) {
		if (child + 1 < *nr && heap[child + 1]->nr < heap[child]->nr)
			child++;
		if (heap[child]->nr > p->nr)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = p;
}

/* Sorted pieces, which may overlap, to extents that do not. */
static int flatten(const struct piece *p, size_t nr, struct extents *ret)
{
	_cleanup_free_ const struct piece **heap = calloc(nr + 1, sizeof(*heap));
	size_t i = 0, nr_heap = 0;
	uint64_t now = 0;

	if (!heap)
		return -ENOMEM;
	while (i < nr || nr_heap) {
		const struct extent *x;
		uint64_t end;

		if (!nr_heap)
			now = p[i].x.start;
		while (i < nr && p[i].x.start <= now)
			heap_push(heap, &nr_heap, &p[i++]);
		x = &heap[0]->x;
		end = x->start + x->len;
		if (end <= now) {
			heap_pop(heap, &nr_heap);
			continue;
		}
		/* A later one may begin inside this one and be of an earlier arrival. */
		if (i < nr && p[i].x.start < end)
			end = p[i].x.start;
		if (extents_add(ret, now, end - now, x->at + (now - x->start)))
			return -ENOMEM;
		now = end;
	}
	return 0;
}

/* NULL without memory. */
static struct run *find_runs(const struct extents *mem, size_t *nr_ret)
{
	struct run *runs = calloc(mem->nr, sizeof(*runs));
	size_t nr = 0;

	for (size_t i = 0; runs && i < mem->nr; i++) {
		const struct extent *x = &mem->v[i];

		if (nr && runs[nr - 1].end == x->start)
			runs[nr - 1].end += x->len;
		else
			runs[nr++] = (struct run){ x->start, x->start + x->len };
	}
	*nr_ret = nr;
	return runs;
}

/* What has come since the last time goes into the index, behind what was there. */
static int settle(struct bulk *b)
{
	size_t nr = b->mem.nr + b->fresh.nr;
	_cleanup_free_ struct piece *p = NULL;
	struct extents mem = {};
	struct run *runs = NULL;

	if (!b->fresh.nr)
		return 0;
	p = calloc(nr, sizeof(*p));
	if (!p)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		p[i] = (struct piece){
			i < b->mem.nr ? b->mem.v[i] : b->fresh.v[i - b->mem.nr], i
		};
	qsort(p, nr, sizeof(*p), by_start);
	if (!flatten(p, nr, &mem))
		runs = find_runs(&mem, &nr);
	if (!runs) {
		free(mem.v);
		return -ENOMEM;
	}
	free(b->mem.v);
	free(b->fresh.v);
	free(b->runs);
	b->mem = mem;
	b->fresh = (struct extents){};
	b->runs = runs;
	b->nr_runs = nr;
	return 0;
}

/* The first extent that ends after this place, nr when there is none. */
static size_t find_extent(const struct extents *e, uint64_t where)
{
	size_t lo = 0, hi = e->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->v[mid].start + e->v[mid].len <= where)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static const struct run *find_run(const struct bulk *b, uint64_t kva)
{
	size_t lo = 0, hi = b->nr_runs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->runs[mid].end <= kva)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < b->nr_runs ? &b->runs[lo] : NULL;
}

/* The caller knows that all of it is there. */
static int read_extents(struct bulk *b, const struct extents *e, uint64_t where, uint8_t *buf,
			size_t len)
{
	int err = 0;

	for (size_t i = find_extent(e, where); len && !err; i++) {
		uint64_t skip = where - e->v[i].start;
		size_t n = e->v[i].len - skip < len ? e->v[i].len - skip : len;

		err = read_at(b, buf, n, e->v[i].at + skip);
		buf += n;
		where += n;
		len -= n;
	}
	return err;
}

int bulk_read(struct bulk *b, uint64_t kva, void *buf, size_t len)
{
	const struct run *run;
	int err;

	if (!len)
		return 0;
	if (!b)
		return -ENODATA;
	err = settle(b);
	if (err)
		return err;
	run = find_run(b, kva);
	if (!run || run->start > kva || run->end - kva < len)
		return -ENODATA;
	return read_extents(b, &b->mem, kva, buf, len);
}

size_t bulk_have(struct bulk *b, uint64_t kva, size_t max)
{
	const struct run *run;

	if (!b || settle(b))
		return 0;
	run = find_run(b, kva);
	if (!run || run->start > kva)
		return 0;
	return run->end - kva < max ? run->end - kva : max;
}

bool bulk_next(struct bulk *b, uint64_t kva, uint64_t *start_ret, uint64_t *end_ret)
{
	const struct run *run;

	if (!b || settle(b))
		return false;
	run = find_run(b, kva);
	if (!run)
		return false;
	*start_ret = run->start;
	*end_ret = run->end;
	return true;
}

void bulk_records(struct bulk *b, uint64_t map_kva, struct bulk_cursor *ret)
{
	const struct stream *s = b ? find_stream(b, map_kva) : NULL;

	*ret = (struct bulk_cursor){ .bulk = b, .map_kva = map_kva, .end = s ? s->end : 0 };
}

int bulk_record_next(struct bulk_cursor *c)
{
	const struct stream *s;
	struct ktd_record h;
	uint32_t len;
	int err;

	if (c->off >= c->end)
		return 0;
	s = find_stream(c->bulk, c->map_kva);
	if (!s || c->end - c->off < sizeof(h))
		return -EBADMSG;
	err = read_extents(c->bulk, &s->parts, c->off, (uint8_t *)&h, sizeof(h));
	if (err)
		return err;
	len = le32toh(h.len);
	if (len < sizeof(h) || len % 8 || len > c->end - c->off || len > RECORD_MAX)
		return -EBADMSG;
	if (len > c->room) {
		free(c->buf);
		c->room = 0;
		c->buf = malloc(len);
		if (!c->buf)
			return -ENOMEM;
		c->room = len;
	}
	/* With the header, so that the data behind it is aligned to 8 bytes. */
	err = read_extents(c->bulk, &s->parts, c->off, c->buf, len);
	if (err)
		return err;
	c->rec = (struct bulk_record){
		.kva = le64toh(h.kva),
		.flags = le32toh(h.flags),
		.index = le32toh(h.index),
		.extra = le32toh(h.extra),
		.data = c->buf + sizeof(h),
		.len = len - sizeof(h),
	};
	c->off += len;
	return 1;
}

void bulk_records_end(struct bulk_cursor *c)
{
	free(c->buf);
	*c = (struct bulk_cursor){};
}
