// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mpcheck.h"
#include "snapshot.h"

#define ZONE_CHUNK (64 * 1024)

struct snapshot *snapshot_create(const char *origin, const char *boot_id, uint32_t number,
				 uint64_t max_memory)
{
	_cleanup_snapshot_ struct snapshot *s = calloc(1, sizeof(*s));
	struct snapshot *ret;

	if (!s)
		return NULL;
	s->origin = strdup(origin);
	s->boot_id = strdup(boot_id);
	s->number = number;
	s->max_memory = max_memory;
	s->zone = msgpack_zone_new(ZONE_CHUNK);
	if (!s->origin || !s->boot_id || !s->zone)
		return NULL;
	for (int id = 1; id < KTD_TBL_MAX; id++)
		if (table_init(&s->tables[id], id))
			return NULL;
	ret = s;
	s = NULL;
	return ret;
}

void snapshot_destroy(struct snapshot *s)
{
	if (!s)
		return;
	for (int id = 1; id < KTD_TBL_MAX; id++)
		table_deinit(&s->tables[id]);
	for (unsigned int i = 0; i < s->nr_unknown_names; i++)
		free(s->unknown_names[i]);
	if (s->zone)
		msgpack_zone_free(s->zone);
	if (s->scratch)
		msgpack_zone_free(s->scratch);
	bulk_destroy(s->bulk);
	blobs_deinit(&s->blobs);
	free(s->origin);
	free(s->boot_id);
	free(s);
}

void snapshot_why(struct snapshot *s, const char *fmt, ...)
{
	va_list ap;

	if (s->why[0])
		return;
	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
}

static void note_unknown(struct snapshot *s, const char *table, const char *name, size_t len)
{
	char *text;

	if (s->nr_unknown_names == SNAPSHOT_MAX_UNKNOWN)
		return;
	if (asprintf(&text, "%s.%.*s", table, (int)(len < 64 ? len : 64), name) < 0)
		return;
	s->unknown_names[s->nr_unknown_names++] = text;
}

static void note_unknown_table(struct snapshot *s, uint16_t id)
{
	s->unknown_frames++;
	for (unsigned int i = 0; i < s->unknown_tables; i++)
		if (s->unknown_ids[i] == id)
			return;
	if (s->unknown_tables < ARRAY_SIZE(s->unknown_ids))
		s->unknown_ids[s->unknown_tables++] = id;
}

/* EVENT and TIMELINE have a column per counter of the guest's kernel: all are welcome. */
static void count_unknown_columns(struct snapshot *s, enum ktd_table_id id)
{
	const struct table *t = &s->tables[id];

	if (id == KTD_TBL_EVENT || id == KTD_TBL_TIMELINE)
		return;
	for (unsigned int i = 0; i < t->width; i++) {
		const msgpack_object *o = &t->header->via.array.ptr[i];
		bool known = false;

		for (unsigned int c = 0; c < t->desc->nr_cols && !known; c++)
			known = t->where[c] == (int)i;
		if (known)
			continue;
		s->unknown_columns++;
		note_unknown(s, t->desc->name, o->via.str.ptr, o->via.str.size);
	}
}

static int add_rows(struct snapshot *s, enum ktd_table_id id, const char *data, size_t len,
		    const char **why_ret)
{
	struct table *t = &s->tables[id];
	size_t off = 0;

	while (off < len) {
		msgpack_object *row = msgpack_zone_malloc(s->zone, sizeof(*row));
		bool first = !t->header;
		int ret;

		if (!row)
			return -ENOMEM;
		ret = msgpack_unpack(data, len, &off, s->zone, row);
		if (ret == MSGPACK_UNPACK_NOMEM_ERROR)
			return -ENOMEM;
		if (ret != MSGPACK_UNPACK_SUCCESS && ret != MSGPACK_UNPACK_EXTRA_BYTES) {
			*why_ret = "a row is not well-formed";
			return -EBADMSG;
		}
		ret = table_add(t, row);
		if (ret == -EBADMSG)
			*why_ret = "a header row is not a list of names";
		if (ret)
			return ret;
		if (first)
			count_unknown_columns(s, id);
		s->rows++;
	}
	t->bytes += len;
	return 0;
}

uint64_t snapshot_memory(const struct snapshot *s)
{
	return s->memory + s->blobs.memory + bulk_memory(s->bulk);
}

/* ------------------------------------------------- rows that do not stay in memory */

static bool is_bulk(uint16_t table)
{
	return table == KTD_TBL_MEM || table == KTD_TBL_RECORD || table == KTD_TBL_BLOB;
}

static void announce_blobs(struct snapshot *s)
{
	const struct table *t = &s->tables[KTD_TBL_BTF];

	while (s->nr_announced < t->nr_rows) {
		uint64_t used = snapshot_memory(s), size;
		row_t row = t->rows[s->nr_announced++];
		const uint8_t *hash;
		size_t len;

		if (!row_bin(t, row, KTD_BTF_HASH, &hash, &len) && len == BTF_HASH_BYTES &&
		    !row_u64(t, row, KTD_BTF_SIZE, &size))
			blobs_announce(&s->blobs, hash, size,
				       used < s->max_memory ? s->max_memory - used : 0);
	}
}

struct blob *snapshot_btf(struct snapshot *s, size_t nr)
{
	const struct table *t = &s->tables[KTD_TBL_BTF];
	const uint8_t *hash;
	size_t len;

	announce_blobs(s);
	if (nr >= t->nr_rows || row_bin(t, t->rows[nr], KTD_BTF_HASH, &hash, &len) ||
	    len != BTF_HASH_BYTES)
		return NULL;
	return blobs_find(&s->blobs, hash);
}

/* -EBADMSG: the row is not what it must be. */
static int take_blob(struct snapshot *s, const struct table *t, row_t row)
{
	const uint8_t *hash, *data;
	struct blob *blob;
	size_t len, hash_len;
	uint64_t off;

	if (row_bin(t, row, KTD_BLOB_HASH, &hash, &hash_len) || hash_len != BTF_HASH_BYTES ||
	    row_u64(t, row, KTD_BLOB_OFF, &off) || row_bin(t, row, KTD_BLOB_DATA, &data, &len))
		return -EBADMSG;
	announce_blobs(s);
	blob = blobs_find(&s->blobs, hash);
	if (!blob)
		return -EBADMSG;
	blob_add(blob, off, data, len, s->cache);
	return 0;
}

static int take_content(struct snapshot *s, enum ktd_table_id id, const struct table *t, row_t row)
{
	const uint8_t *data;
	uint64_t kva, off;
	size_t len;

	if (s->disk_full)
		return -EDQUOT;
	if (!s->bulk)
		s->bulk = bulk_create(s->spool_dir ? s->spool_dir : ".",
				      s->max_disk ? s->max_disk : UINT64_MAX);
	if (!s->bulk)
		return -ENOMEM;
	if (id == KTD_TBL_MEM) {
		if (row_u64(t, row, KTD_MEM_KVA, &kva) || row_bin(t, row, KTD_MEM_DATA, &data, &len))
			return -EBADMSG;
		return bulk_add_mem(s->bulk, kva, data, len);
	}
	if (row_u64(t, row, KTD_RECORD_MAP_KVA, &kva) || row_u64(t, row, KTD_RECORD_OFF, &off) ||
	    row_bin(t, row, KTD_RECORD_DATA, &data, &len))
		return -EBADMSG;
	return bulk_add_record(s->bulk, kva, off, data, len);
}

/* What is left out is said; the snapshot goes on without it. */
static int take_row(struct snapshot *s, enum ktd_table_id id, struct table *t, row_t row)
{
	int err = id == KTD_TBL_BLOB ? take_blob(s, t, row) : take_content(s, id, t, row);

	switch (err) {
	case 0:
	case -ENOMEM:
		return err;
	case -EBADMSG:
		t->bad_rows++;
		snapshot_why(s, "a row of %s is damaged or out of order", t->desc->name);
		return 0;
	case -EDQUOT:
		s->disk_full = true;
		snapshot_why(s, "more than --max-disk %llu of map contents, the rest was left out",
			     (unsigned long long)s->max_disk);
		return 0;
	default:
		s->disk_full = true;
		snapshot_why(s, "no room for map contents in %s, the rest was left out: %s",
			     s->spool_dir ? s->spool_dir : ".", strerror(-err));
		return 0;
	}
}

static int add_bulk_rows(struct snapshot *s, enum ktd_table_id id, const char *data, size_t len,
			 const char **why_ret)
{
	struct table *t = &s->tables[id];
	size_t off = 0;
	int ret = 0;

	if (!s->scratch)
		s->scratch = msgpack_zone_new(ZONE_CHUNK);
	if (!s->scratch)
		return -ENOMEM;
	while (off < len && ret >= 0) {
		size_t start = off;
		msgpack_object row;

		ret = msgpack_unpack(data, len, &off, s->scratch, &row);
		if (ret == MSGPACK_UNPACK_NOMEM_ERROR)
			return -ENOMEM;
		if (ret != MSGPACK_UNPACK_SUCCESS && ret != MSGPACK_UNPACK_EXTRA_BYTES) {
			*why_ret = "a row is not well-formed";
			return -EBADMSG;
		}
		if (!t->header) {
			/* This one stays. */
			char *copy = msgpack_zone_malloc(s->zone, off - start);

			if (!copy)
				return -ENOMEM;
			memcpy(copy, data + start, off - start);
			ret = add_rows(s, id, copy, off - start, why_ret);
			continue;
		}
		ret = table_take(t, &row);
		if (ret > 0)
			ret = take_row(s, id, t, &row);
		s->rows++;
		t->bytes += off - start;
	}
	msgpack_zone_clear(s->scratch);
	return ret < 0 ? ret : 0;
}

/* ------------------------------------------------------------------------- frames */

int snapshot_add(struct snapshot *s, uint16_t table, const void *payload, size_t len,
		 const char **why_ret)
{
	bool counted = table != KTD_TBL_HELLO && table != KTD_TBL_END;
	uint64_t rows = s->rows, memory;
	size_t objects;
	char *copy;
	int ret;

	ret = mpcheck(payload, len, KTD_ROW_MAX, &objects, why_ret);
	if (ret)
		return ret;
	if (counted)
		s->bytes += len;

	if (table >= KTD_TBL_MAX || !table_descs[table].name) {
		note_unknown_table(s, table);
		return 0;
	}

	/* A row slot and the objects; the totals have to get in whatever happened. */
	memory = len + objects * (sizeof(msgpack_object) + sizeof(void *));
	if (is_bulk(table))
		memory = sizeof(msgpack_object);
	if (snapshot_memory(s) + memory > s->max_memory && table != KTD_TBL_END) {
		s->full = true;
		snapshot_why(s, "more than --max-bytes %llu of data, the rest was left out",
			     (unsigned long long)s->max_memory);
	}
	if (s->full && table != KTD_TBL_END)
		return 0;
	if (is_bulk(table))
		return add_bulk_rows(s, table, payload, len, why_ret);
	s->memory += memory;

	copy = msgpack_zone_malloc(s->zone, len ? len : 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, payload, len);
	ret = add_rows(s, table, copy, len, why_ret);
	if (!counted)
		s->rows = rows;
	return ret;
}

void snapshot_end(struct snapshot *s)
{
	const struct table *t = &s->tables[KTD_TBL_END];
	row_t row = snapshot_single(s, KTD_TBL_END);
	uint64_t rows, bytes;

	s->ended = true;
	if (!row || s->full)
		return;
	if (!row_u64(t, row, KTD_END_BYTES, &bytes) && bytes != s->bytes)
		snapshot_why(s, "the guest sent %llu bytes, %llu arrived",
			     (unsigned long long)bytes, (unsigned long long)s->bytes);
	if (!s->unknown_frames && !row_u64(t, row, KTD_END_ROWS, &rows) && rows != s->rows)
		snapshot_why(s, "the guest sent %llu rows, %llu arrived",
			     (unsigned long long)rows, (unsigned long long)s->rows);
}

bool snapshot_has_data(const struct snapshot *s)
{
	for (int id = 1; id < KTD_TBL_MAX; id++)
		if (id != KTD_TBL_HELLO && id != KTD_TBL_BEGIN && id != KTD_TBL_END &&
		    s->tables[id].nr_rows)
			return true;
	return s->bulk;
}

row_t snapshot_single(const struct snapshot *s, enum ktd_table_id id)
{
	return s->tables[id].nr_rows ? s->tables[id].rows[0] : NULL;
}

bool snapshot_is(const struct snapshot *s, const char *trigger)
{
	row_t row = snapshot_single(s, KTD_TBL_BEGIN);

	return row && row_str_is(&s->tables[KTD_TBL_BEGIN], row, KTD_BEGIN_TRIGGER, trigger);
}

bool snapshot_was_asked(const struct snapshot *s)
{
	row_t row = snapshot_single(s, KTD_TBL_BEGIN);

	return snapshot_is(s, "demand") &&
	       row_str_is(&s->tables[KTD_TBL_BEGIN], row, KTD_BEGIN_HOOK, "collector");
}

uint32_t snapshot_early(const struct snapshot *s)
{
	row_t row = snapshot_single(s, KTD_TBL_BEGIN);
	uint64_t nr = row ? row_u64_or(&s->tables[KTD_TBL_BEGIN], row, KTD_BEGIN_EARLY_SNAPSHOT, 0) : 0;

	return nr <= UINT32_MAX ? nr : 0;
}
