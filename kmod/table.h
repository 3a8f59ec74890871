/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rows into a buffer. A table's file says per column where the value comes
 * from: a member of a kernel structure (then it is read and encoded here) or
 * computed (then the file sets it). No locks, no allocation, any context.
 */
#ifndef KTD_TABLE_H
#define KTD_TABLE_H

#include "ktdump.h"
#include "mpack.h"
#include "symbols.h"
#include "tables.h"
#include "wire.h"

#define KTD_COLS_MAX	96
#define KTD_BASES_MAX	8

/* Where a column's value comes from; all zero = computed by the table's file. */
struct ktd_col {
	u16	member;		/* enum ktd_member_id */
	u8	base;		/* which of the row's objects it is a member of */
	u8	sym;		/* 1 + enum ktd_symbol: global where the member is not */
	u8	size;		/* bytes of that global */
};

#define KTD_COL(b, m)			{ .member = KTD_M_##m, .base = (b) }
#define KTD_COL_OR_SYM(b, m, s, sz) \
	{ .member = KTD_M_##m, .base = (b), .sym = 1 + KTD_SYM_##s, .size = (sz) }

struct ktd_table {
	u16			id;	/* enum ktd_table_id */
	u16			nr;	/* columns */
	const struct ktd_col	*src;	/* NULL: all computed */
	u16			events;	/* from this column on scx event counters, 0 none */
};

enum ktd_val_type {
	KTD_VAL_NIL,	/* 0 */
	KTD_VAL_UINT, KTD_VAL_INT, KTD_VAL_BOOL,
	KTD_VAL_STR, KTD_VAL_BIN, KTD_VAL_ARRAY,
};

struct ktd_val {
	u32	len;		/* bytes, or elements of an array of u64 */
	union {
		u64		u;
		s64		s;
		const void	*p;
	};
};

struct ktd_row {
	unsigned long	base[KTD_BASES_MAX];
	u8		type[KTD_COLS_MAX];	/* enum ktd_val_type; apart: a clean row is all 0 */
	struct ktd_val	val[KTD_COLS_MAX];
};

/* What precedes each row in a buffer; the payload is padded to 8 bytes. */
struct ktd_rec {
	u32	len;		/* payload bytes */
	u16	table;		/* enum ktd_table_id; NONE = not for the wire */
	u16	kind;		/* then: enum ktd_private */
};

/* What stays in the guest. */
enum ktd_private {
	KTD_PRIVATE_PCS,	/* u64 each: addresses to symbolise */
	KTD_PRIVATE_BTF,	/* struct ktd_blob */
};

static inline const struct ktd_rec *ktd_rec_next(const struct ktd_rec *rec)
{
	return (const void *)(rec + 1) + ALIGN(rec->len, 8);
}

#define ktd_for_each_rec(rec, rows, bytes) \
	for ((rec) = (const struct ktd_rec *)(rows); (const u8 *)(rec) < (rows) + (bytes); \
	     (rec) = ktd_rec_next(rec))

/* How a column's value gets into a row, as far as this kernel decides that. */
struct ktd_op {
	u32	off;			/* of the member */
	u8	col;
	u8	base;
	u8	size;			/* of a number for ktd_read_plain(), 0: another column */
};

#define KTD_OPS_MAX	1024		/* columns of all tables */

struct ktd_sink {
	u8	*buf;
	size_t	pos;
	size_t	end;
	bool	full;			/* something did not fit */
	struct ktd_op	op[KTD_OPS_MAX];	/* columns that this kernel has, by table */
	u16	nr_ops;
	struct {
		u16	first, nr;	/* in op; 0: not looked up yet */
	} ops[KTD_TBL_MAX];
	struct {
		u32	rows;		/* data rows written */
		u32	seen;		/* objects met */
		u32	dropped;	/* rows that did not fit */
		/* Nor did the header row; a short row that does would be taken for it. */
		bool	headless;
		u64	bytes;
		u64	ns;
	} stat[KTD_TBL_MAX];
	struct ktd_row	row;		/* the row being made */
	struct ktd_mpack bin;		/* the one of ktd_bin_begin() */
	u16	bin_table;		/* whose row that is */
};

void ktd_sink_init(struct ktd_sink *s, void *buf, size_t size);

const char *ktd_table_name(u16 id);

/* Writes the header row: the columns that this kernel has. */
void ktd_table_begin(struct ktd_sink *s, const struct ktd_table *t);

/* A clean row to fill; owned by the sink, valid until the next call. */
struct ktd_row *ktd_row_begin(struct ktd_sink *s, const struct ktd_table *t);

/* Writes it. False when it did not fit; nothing of it is left then. */
bool ktd_row_end(struct ktd_sink *s, const struct ktd_table *t);

/*
 * A row of @table: @nr numbers and, last, bytes that the caller puts in place itself, at most
 * *@room of them: memory is copied once. No other row may begin before ktd_bin_end(),
 * which drops the row when @len is 0. NULL when there is no room.
 */
u8 *ktd_bin_begin(struct ktd_sink *s, u16 table, const u64 *nums, u32 nr, size_t *room);
void ktd_bin_end(struct ktd_sink *s, size_t len);

/* Raw bytes that stay in the guest. */
bool ktd_rec_private(struct ktd_sink *s, enum ktd_private kind, const void *p, size_t len);

/*
 * The same without a copy: room to write @len bytes to, NULL when there is not
 * so much; the first @len of them are kept at the end.
 */
void *ktd_private_begin(struct ktd_sink *s, size_t len);
void ktd_private_end(struct ktd_sink *s, enum ktd_private kind, size_t len);

static inline void ktd_set_val(struct ktd_row *r, unsigned int col, enum ktd_val_type type,
			       struct ktd_val v)
{
	r->type[col] = type;
	r->val[col] = v;
}

static inline void ktd_set_u(struct ktd_row *r, unsigned int col, u64 v)
{
	ktd_set_val(r, col, KTD_VAL_UINT, (struct ktd_val){ .u = v });
}

static inline void ktd_set_s(struct ktd_row *r, unsigned int col, s64 v)
{
	ktd_set_val(r, col, KTD_VAL_INT, (struct ktd_val){ .s = v });
}

/* To what ktd_set_s() or this have put there, to 0 in a clean row. */
static inline void ktd_add_s(struct ktd_row *r, unsigned int col, s64 v)
{
	ktd_set_s(r, col, r->type[col] == KTD_VAL_INT ? r->val[col].s + v : v);
}

static inline void ktd_set_b(struct ktd_row *r, unsigned int col, bool v)
{
	ktd_set_val(r, col, KTD_VAL_BOOL, (struct ktd_val){ .u = v });
}

/* The bytes are copied at ktd_row_end(). */
static inline void ktd_set_strn(struct ktd_row *r, unsigned int col, const char *v, u32 len)
{
	ktd_set_val(r, col, KTD_VAL_STR, (struct ktd_val){ .len = len, .p = v });
}

static inline void ktd_set_str(struct ktd_row *r, unsigned int col, const char *v)
{
	ktd_set_strn(r, col, v, strlen(v));
}

static inline void ktd_set_bin(struct ktd_row *r, unsigned int col, const void *v, u32 len)
{
	ktd_set_val(r, col, KTD_VAL_BIN, (struct ktd_val){ .len = len, .p = v });
}

static inline void ktd_set_arr(struct ktd_row *r, unsigned int col, const u64 *v, u32 nr)
{
	ktd_set_val(r, col, KTD_VAL_ARRAY, (struct ktd_val){ .len = nr, .p = v });
}

#endif
