// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "table.h"

#define X(id, name) name,
#define COLS(ID) static const char *const cols_##ID[] = { KTD_##ID##_COLS(X) }
COLS(HELLO);
COLS(BEGIN);
COLS(CPU);
COLS(SCHED);
COLS(RQ);
COLS(DSQ);
COLS(LIST);
COLS(TASK);
COLS(STACK);
COLS(CPUTIME);
COLS(NUMA);
COLS(PROG);
COLS(MAP);
COLS(EVENT);
COLS(TIMELINE);
COLS(COUNTER);
COLS(FREEZE);
COLS(SECTION);
COLS(MISSING);
COLS(EXIT);
COLS(TEXT);
COLS(SYMBOL);
COLS(ENUM);
COLS(END);
COLS(FIRING);
COLS(MEM);
COLS(RECORD);
COLS(CONTENT);
COLS(FACT);
COLS(FIELD);
COLS(OBJECT);
COLS(BTF);
COLS(BLOB);
COLS(CODE);
COLS(INSN);
COLS(IMAGE);
COLS(SCHED_TIMELINE);
#undef X

const struct table_desc table_descs[KTD_TBL_MAX] = {
#define X(id, nr, name) \
	[nr] = { name, cols_##id, ARRAY_SIZE(cols_##id) },
	KTD_TABLES(X)
#undef X
};

int table_init(struct table *t, enum ktd_table_id id)
{
	*t = (struct table){ .desc = &table_descs[id] };
	t->where = malloc(sizeof(*t->where) * t->desc->nr_cols);
	if (!t->where)
		return -ENOMEM;
	for (unsigned int i = 0; i < t->desc->nr_cols; i++)
		t->where[i] = -1;
	return 0;
}

void table_deinit(struct table *t)
{
	free(t->where);
	free(t->rows);
	*t = (struct table){};
}

bool mp_str_is(const msgpack_object *o, const char *what)
{
	return o->type == MSGPACK_OBJECT_STR && o->via.str.size == strlen(what) &&
	       !memcmp(o->via.str.ptr, what, o->via.str.size);
}

static int set_header(struct table *t, row_t row)
{
	if (!row->via.array.size || row->via.array.size > TABLE_MAX_COLS)
		return -EBADMSG;
	for (uint32_t i = 0; i < row->via.array.size; i++)
		if (row->via.array.ptr[i].type != MSGPACK_OBJECT_STR)
			return -EBADMSG;

	t->header = row;
	t->width = row->via.array.size;
	/* From the right, so that the first of two equal names counts. */
	for (unsigned int i = t->width; i--;)
		for (unsigned int c = 0; c < t->desc->nr_cols; c++)
			if (mp_str_is(&row->via.array.ptr[i], t->desc->cols[c]))
				t->where[c] = i;
	return 0;
}

static bool is_header_again(const struct table *t, row_t row)
{
	for (unsigned int i = 0; i < t->width; i++) {
		const msgpack_object *a = &t->header->via.array.ptr[i];
		const msgpack_object *b = &row->via.array.ptr[i];

		if (b->type != MSGPACK_OBJECT_STR || a->via.str.size != b->via.str.size)
			return false;
		/* an empty one may be nowhere */
		if (a->via.str.size && memcmp(a->via.str.ptr, b->via.str.ptr, a->via.str.size))
			return false;
	}
	return true;
}

int table_take(struct table *t, row_t row)
{
	if (row->type != MSGPACK_OBJECT_ARRAY)
		return -EBADMSG;
	if (!t->header)
		return set_header(t, row);
	if (row->via.array.size != t->width) {
		t->bad_rows++;
		return 0;
	}
	if (is_header_again(t, row)) {
		t->repeated_headers++;
		return 0;
	}
	return 1;
}

int table_add(struct table *t, row_t row)
{
	int ret = table_take(t, row);

	if (ret <= 0)
		return ret;
	if (t->nr_rows == t->room) {
		size_t room = t->room ? t->room * 2 : 16;
		row_t *rows = reallocarray(t->rows, room, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		t->rows = rows;
		t->room = room;
	}
	t->rows[t->nr_rows++] = row;
	return 0;
}

int row_get(const struct table *t, row_t row, unsigned int col, const msgpack_object **ret)
{
	const msgpack_object *o;

	if (!table_has(t, col))
		return -ENOENT;
	o = &row->via.array.ptr[t->where[col]];
	if (o->type == MSGPACK_OBJECT_NIL)
		return -ENODATA;
	*ret = o;
	return 0;
}

int row_u64(const struct table *t, row_t row, unsigned int col, uint64_t *ret)
{
	const msgpack_object *o;
	int err = row_get(t, row, col, &o);

	if (err)
		return err;
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return -EBADMSG;
	*ret = o->via.u64;
	return 0;
}

int row_i64(const struct table *t, row_t row, unsigned int col, int64_t *ret)
{
	const msgpack_object *o;
	int err = row_get(t, row, col, &o);

	if (err)
		return err;
	if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		*ret = o->via.i64;
	else if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= INT64_MAX)
		*ret = o->via.u64;
	else
		return -EBADMSG;
	return 0;
}

int row_bool(const struct table *t, row_t row, unsigned int col, bool *ret)
{
	const msgpack_object *o;
	int err = row_get(t, row, col, &o);

	if (err)
		return err;
	/* Bit-fields may come as numbers. */
	if (o->type == MSGPACK_OBJECT_BOOLEAN)
		*ret = o->via.boolean;
	else if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		*ret = o->via.u64 != 0;
	else
		return -EBADMSG;
	return 0;
}

int row_str(const struct table *t, row_t row, unsigned int col, const char **ret, size_t *len_ret)
{
	const msgpack_object *o;
	int err = row_get(t, row, col, &o);

	if (err)
		return err;
	if (o->type != MSGPACK_OBJECT_STR)
		return -EBADMSG;
	*ret = o->via.str.size ? o->via.str.ptr : "";
	*len_ret = strnlen(*ret, o->via.str.size);
	return 0;
}

int row_bin(const struct table *t, row_t row, unsigned int col, const uint8_t **ret,
	    size_t *len_ret)
{
	const msgpack_object *o;
	int err = row_get(t, row, col, &o);

	if (err)
		return err;
	if (o->type != MSGPACK_OBJECT_BIN)
		return -EBADMSG;
	*ret = (const uint8_t *)o->via.bin.ptr;
	*len_ret = o->via.bin.size;
	return 0;
}

int row_array(const struct table *t, row_t row, unsigned int col, const msgpack_object **ret,
	      size_t *len_ret)
{
	const msgpack_object *o;
	int err = row_get(t, row, col, &o);

	if (err)
		return err;
	if (o->type != MSGPACK_OBJECT_ARRAY)
		return -EBADMSG;
	*ret = o->via.array.ptr;
	*len_ret = o->via.array.size;
	return 0;
}

uint64_t row_u64_or(const struct table *t, row_t row, unsigned int col, uint64_t otherwise)
{
	row_u64(t, row, col, &otherwise);
	return otherwise;
}

bool row_bool_or(const struct table *t, row_t row, unsigned int col, bool otherwise)
{
	row_bool(t, row, col, &otherwise);
	return otherwise;
}

bool row_str_is(const struct table *t, row_t row, unsigned int col, const char *what)
{
	const msgpack_object *o;

	return !row_get(t, row, col, &o) && mp_str_is(o, what);
}
