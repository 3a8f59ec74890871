// SPDX-License-Identifier: GPL-2.0-only
#include "compat.h"
#include "nofault.h"
#include "table.h"

#define STR_MAX		128	/* longest char array member: sched_ext_ops.name */

#define COL_NAME(id, name) name,
#define NAMES(table, nr, n) \
	static const char *const table##_cols[] = { KTD_##table##_COLS(COL_NAME) };
KTD_TABLES(NAMES)

#define ENTRY(table, nr, n) [KTD_TBL_##table] = { .name = n, .cols = table##_cols },
static const struct {
	const char		*name;
	const char *const	*cols;
} tables[KTD_TBL_MAX] = {
	KTD_TABLES(ENTRY)
};

#define NR_COLS(table, nr, n) + KTD_##table##_NR_COLS
static_assert(0 KTD_TABLES(NR_COLS) + 2 * KTD_EVENTS_MAX <= KTD_OPS_MAX);
static_assert(KTD_TASK_NR_COLS <= KTD_COLS_MAX);
static_assert(KTD_EVENTS_MAX + KTD_EVENT_NR_COLS <= KTD_COLS_MAX);
static_assert(KTD_EVENTS_MAX + KTD_TIMELINE_NR_COLS <= KTD_COLS_MAX);

const char *ktd_table_name(u16 id)
{
	return id < KTD_TBL_MAX && tables[id].name ? tables[id].name : "?";
}

void ktd_sink_init(struct ktd_sink *s, void *buf, size_t size)
{
	memset(s, 0, sizeof(*s));
	s->buf = buf;
	s->end = size;
}

/* Starts a record: the writer gets what is left, but never more than a row. */
static bool rec_begin(struct ktd_sink *s, struct ktd_mpack *mp)
{
	size_t room = s->end - s->pos;

	if (room < sizeof(struct ktd_rec) + 8)
		return false;
	room = min_t(size_t, room - sizeof(struct ktd_rec), KTD_ROW_MAX);
	ktd_mp_init(mp, s->buf + s->pos + sizeof(struct ktd_rec), room);
	return true;
}

static void rec_end(struct ktd_sink *s, const struct ktd_mpack *mp, u16 table)
{
	struct ktd_rec *rec = (struct ktd_rec *)(s->buf + s->pos);
	size_t len = ALIGN(mp->pos, 8);

	rec->len = mp->pos;
	rec->table = table;
	rec->kind = 0;
	s->pos = min(s->pos + sizeof(*rec) + len, s->end);
	s->stat[table].bytes += mp->pos;
}

void *ktd_private_begin(struct ktd_sink *s, size_t len)
{
	if (s->end - s->pos < sizeof(struct ktd_rec) + ALIGN(len, 8))
		return NULL;
	return s->buf + s->pos + sizeof(struct ktd_rec);
}

void ktd_private_end(struct ktd_sink *s, enum ktd_private kind, size_t len)
{
	struct ktd_rec *rec = (struct ktd_rec *)(s->buf + s->pos);

	rec->len = len;
	rec->table = KTD_TBL_NONE;
	rec->kind = kind;
	s->pos += sizeof(*rec) + ALIGN(len, 8);
}

bool ktd_rec_private(struct ktd_sink *s, enum ktd_private kind, const void *p, size_t len)
{
	void *room = ktd_private_begin(s, len);

	if (!room) {
		s->full = true;
		return false;
	}
	memcpy(room, p, len);
	ktd_private_end(s, kind, len);
	return true;
}

u8 *ktd_bin_begin(struct ktd_sink *s, u16 table, const u64 *nums, u32 nr, size_t *room)
{
	u32 i;

	if (s->stat[table].headless || !rec_begin(s, &s->bin))
		return NULL;
	s->bin_table = table;
	ktd_mp_array(&s->bin, nr + 1);
	for (i = 0; i < nr; i++)
		ktd_mp_uint(&s->bin, nums[i]);
	return ktd_mp_bin_open(&s->bin, room);
}

void ktd_bin_end(struct ktd_sink *s, size_t len)
{
	if (!len)
		return;
	ktd_mp_bin_close(&s->bin, len);
	rec_end(s, &s->bin, s->bin_table);
	s->stat[s->bin_table].rows++;
	s->stat[s->bin_table].seen++;
}

static bool col_present(const struct ktd_table *t, unsigned int i)
{
	const struct ktd_col *c = t->src ? &t->src[i] : NULL;

	if (!c || !c->member)
		return true;
	return ktd_have(c->member) || (c->sym && ktd_sym[c->sym - 1]);
}

static const char *col_name(const struct ktd_table *t, unsigned int i)
{
	if (t->events && i >= t->events)
		return ktd_off.event[i - t->events].name;
	return tables[t->id].cols[i];
}

static void op_init(struct ktd_op *op, const struct ktd_col *c, u8 col)
{
	const struct ktd_place *pl;

	*op = (struct ktd_op){ .col = col };
	if (!c || !c->member || !ktd_have(c->member))
		return;
	pl = &ktd_off.place[c->member];
	op->off = pl->off;
	op->base = c->base;
	if (!pl->bit_size && (pl->kind == KTD_KIND_UINT || pl->kind == KTD_KIND_PTR) &&
	    (pl->size == sizeof(u64) || pl->size == sizeof(u32)) && pl->off < KTD_OFF_MAX)
		op->size = pl->size;
}

/* The columns that this kernel has; looked up once per sink. Returns how many. */
static u32 find_ops(struct ktd_sink *s, const struct ktd_table *t)
{
	unsigned int i;

	if (s->ops[t->id].nr)
		return s->ops[t->id].nr;
	s->ops[t->id].first = s->nr_ops;
	for (i = 0; i < t->nr; i++) {
		if (col_present(t, i))
			op_init(&s->op[s->nr_ops++], t->src ? &t->src[i] : NULL, i);
	}
	s->ops[t->id].nr = s->nr_ops - s->ops[t->id].first;
	return s->ops[t->id].nr;
}

void ktd_table_begin(struct ktd_sink *s, const struct ktd_table *t)
{
	struct ktd_mpack mp;
	unsigned int i;

	s->stat[t->id].headless = true;
	if (!rec_begin(s, &mp)) {
		s->full = true;
		return;
	}
	ktd_mp_array(&mp, find_ops(s, t));
	for (i = 0; i < t->nr; i++) {
		const char *name = col_name(t, i);

		if (col_present(t, i))
			ktd_mp_str(&mp, name, strlen(name));
	}
	if (mp.full) {
		s->full = true;
		return;
	}
	rec_end(s, &mp, t->id);
	s->stat[t->id].headless = false;
}

struct ktd_row *ktd_row_begin(struct ktd_sink *s, const struct ktd_table *t)
{
	memset(s->row.base, 0, sizeof(s->row.base));
	memset(s->row.type, KTD_VAL_NIL, sizeof(s->row.type));
	s->stat[t->id].seen++;
	return &s->row;
}

static void emit_val(struct ktd_mpack *mp, enum ktd_val_type type, const struct ktd_val *v)
{
	const u64 *arr = v->p;
	u32 i;

	switch (type) {
	case KTD_VAL_UINT:
		ktd_mp_uint(mp, v->u);
		break;
	case KTD_VAL_INT:
		ktd_mp_int(mp, v->s);
		break;
	case KTD_VAL_BOOL:
		ktd_mp_bool(mp, v->u);
		break;
	case KTD_VAL_STR:
		ktd_mp_str(mp, v->p, v->len);
		break;
	case KTD_VAL_BIN:
		ktd_mp_bin(mp, v->p, v->len);
		break;
	case KTD_VAL_ARRAY:
		ktd_mp_array(mp, v->len);
		for (i = 0; i < v->len && !mp->full; i++)
			ktd_mp_uint(mp, arr[i]);
		break;
	default:
		ktd_mp_nil(mp);
		break;
	}
}

static s64 sign_extend_bytes(u64 raw, u32 size)
{
	unsigned int shift = 64 - 8 * size;

	return (s64)(raw << shift) >> shift;
}

/* Reads a member of at most 8 bytes as a number and writes it by its kind. */
static void emit_number(struct ktd_mpack *mp, unsigned long addr,
			const struct ktd_place *pl)
{
	u64 raw = 0;

	if (pl->size > sizeof(raw) || !ktd_read(&raw, addr, pl->size)) {
		ktd_mp_nil(mp);
		return;
	}
	if (pl->bit_size) {
		raw >>= pl->bit_off;
		if (pl->bit_size < 64)
			raw &= (1ULL << pl->bit_size) - 1;
	}
	if (pl->kind == KTD_KIND_BOOL)
		ktd_mp_bool(mp, raw);
	else if (pl->kind == KTD_KIND_INT && !pl->bit_size)
		ktd_mp_int(mp, sign_extend_bytes(raw, pl->size));
	else
		ktd_mp_uint(mp, raw);
}

/*
 * Of its own, as the one below: where kernels clear all variables on the stack, the rows
 * would pay for these at every column.
 */
static noinline void emit_str(struct ktd_mpack *mp, unsigned long addr, u32 size)
{
	char str[STR_MAX];
	u32 len = min_t(u32, size, sizeof(str));

	if (!ktd_read(str, addr, len))
		ktd_mp_nil(mp);
	else
		ktd_mp_str(mp, str, strnlen(str, len));
}

static noinline void emit_symbol(struct ktd_mpack *mp, const struct ktd_col *c)
{
	struct ktd_place pl = {
		.size = c->size,
		.kind = c->size == 1 ? KTD_KIND_BOOL : KTD_KIND_UINT,
	};

	emit_number(mp, ktd_sym[c->sym - 1], &pl);
}

static void emit_member(struct ktd_mpack *mp, unsigned long base, const struct ktd_place *pl)
{
	if (!base)
		ktd_mp_nil(mp);
	else if (pl->kind == KTD_KIND_STR)
		emit_str(mp, base + pl->off, pl->size);
	else
		emit_number(mp, base + pl->off, pl);
}

static void emit_col(struct ktd_mpack *mp, const struct ktd_row *r,
		     const struct ktd_col *c, unsigned int i)
{
	if (!c || !c->member)
		emit_val(mp, r->type[i], &r->val[i]);
	else if (ktd_have(c->member))
		emit_member(mp, r->base[c->base], &ktd_off.place[c->member]);
	else
		emit_symbol(mp, c);
}

/* Bit by bit: the object is there, and its members can be read in the short way. */
static u32 plain_bases(const struct ktd_row *r)
{
	u32 plain = 0, i;

	for (i = 0; i < KTD_BASES_MAX; i++)
		plain |= ktd_is_kernel(r->base[i]) << i;
	return plain;
}

static void emit_cols(struct ktd_mpack *mp, const struct ktd_row *r, const struct ktd_table *t,
		      const struct ktd_op *op, u32 nr)
{
	u32 plain = t->src ? plain_bases(r) : 0;
	const struct ktd_op *end = op + nr;
	u64 v;

	pagefault_disable();
	for (; op < end && !mp->full; op++) {
		/* most of them */
		if (op->size && plain & BIT(op->base) &&
		    ktd_read_plain(&v, r->base[op->base] + op->off, op->size))
			ktd_mp_uint(mp, v);
		else
			emit_col(mp, r, t->src ? &t->src[op->col] : NULL, op->col);
	}
	pagefault_enable();
}

bool ktd_row_end(struct ktd_sink *s, const struct ktd_table *t)
{
	struct ktd_mpack mp;
	u32 nr;

	if (s->stat[t->id].headless || !rec_begin(s, &mp))
		goto err_full;
	nr = find_ops(s, t);
	ktd_mp_array(&mp, nr);
	emit_cols(&mp, &s->row, t, &s->op[s->ops[t->id].first], nr);
	if (mp.full)
		goto err_full;
	rec_end(s, &mp, t->id);
	s->stat[t->id].rows++;
	return true;

err_full:
	s->full = true;
	s->stat[t->id].dropped++;
	return false;
}
