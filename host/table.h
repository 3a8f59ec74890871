/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table as it arrived: a header row that says which columns this kernel has,
 * and data rows. Columns are asked for by the numbers of shared/tables.h.
 */
#ifndef KTC_TABLE_H
#define KTC_TABLE_H

#include <msgpack.h>

#include "tables.h"
#include "util.h"

#define TABLE_MAX_COLS 256

struct table_desc {
	const char *name;
	const char *const *cols;
	unsigned int nr_cols;
};

/* By table id; entries without a name are unknown tables. */
extern const struct table_desc table_descs[KTD_TBL_MAX];

typedef const struct msgpack_object *row_t;	/* an array object */

struct table {
	const struct table_desc *desc;
	row_t header;		/* NULL until the header row has arrived */
	unsigned int width;	/* columns in the header row */
	int16_t *where;		/* column number -> place in a row, -1 absent */
	row_t *rows;
	size_t nr_rows, room;
	uint64_t bad_rows;	/* of another length than the header */
	uint64_t repeated_headers;
	uint64_t bytes;
};

int table_init(struct table *t, enum ktd_table_id id);
void table_deinit(struct table *t);

/*
 * Take a row whose memory lives as long as the table. The first one is the
 * header. -ENOMEM, or -EBADMSG for a header that cannot be used.
 */
int table_add(struct table *t, row_t row);
/*
 * The same, but only a header stays: 1 for a row of data, which is the caller's to look
 * at, 0 for any other.
 */
int table_take(struct table *t, row_t row);

static inline bool table_has(const struct table *t, unsigned int col)
{
	return t->header && t->where[col] >= 0;
}

/*
 * Getters: 0, -ENOENT when this kernel has no such column, -ENODATA when the
 * value is nil (could not be read), -EBADMSG for a value of the wrong type or
 * range. *ret is left alone unless 0 is returned.
 */
int row_get(const struct table *t, row_t row, unsigned int col,
	    const struct msgpack_object **ret);
int row_u64(const struct table *t, row_t row, unsigned int col, uint64_t *ret);
int row_i64(const struct table *t, row_t row, unsigned int col, int64_t *ret);
int row_bool(const struct table *t, row_t row, unsigned int col, bool *ret);
int row_str(const struct table *t, row_t row, unsigned int col, const char **ret, size_t *len_ret);
int row_bin(const struct table *t, row_t row, unsigned int col, const uint8_t **ret,
	    size_t *len_ret);
int row_array(const struct table *t, row_t row, unsigned int col, const msgpack_object **ret,
	      size_t *len_ret);

/* The same with a value for everything that is not there. */
uint64_t row_u64_or(const struct table *t, row_t row, unsigned int col, uint64_t otherwise);
bool row_bool_or(const struct table *t, row_t row, unsigned int col, bool otherwise);
/* Compare a string column; false when it is not there. */
bool row_str_is(const struct table *t, row_t row, unsigned int col, const char *what);

/* Does a msgpack string equal a C string? */
bool mp_str_is(const msgpack_object *o, const char *what);

#endif
