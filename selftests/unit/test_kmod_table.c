// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's rows, as they are, against msgpack-c's reader: every kind of column, and a
 * buffer of every size. The kernel's memory is ours here, and has a hole.
 */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <msgpack.h>

#include "../../kmod/compat.h"
#include "../../kmod/offsets.h"

/* What nofault.h and ktdump.h have of the kernel's. */
#define KTD_NOFAULT_H
#define KTD_KTDUMP_H
#define pagefault_disable()	((void)0)
#define pagefault_enable()	((void)0)
#define KTD_OFF_MAX		(1u << 20)

static struct ktd_offsets ktd_off;
static u8 hole[64];

static bool ktd_have(enum ktd_member_id m)
{
	return ktd_off.have[m];
}

static bool ktd_is_kernel(unsigned long addr)
{
	return addr;
}

static bool ktd_read(void *dst, unsigned long addr, size_t len)
{
	if (!addr || (addr < (unsigned long)hole + sizeof(hole) && addr + len > (unsigned long)hole))
		return false;
	memcpy(dst, (void *)addr, len);
	return true;
}

static bool ktd_read_plain(u64 *v, unsigned long addr, u32 size)
{
	*v = 0;
	return ktd_read(v, addr, size);
}

#include "../../kmod/table.c"

unsigned long ktd_sym[KTD_NR_SYMBOLS];

static u8 buf[1 << 16];
static struct ktd_sink sink;

/* Any members will do: where they are is said here. */
enum {
	WORD = 1, HALF, SHORT, BYTE, SIGNED, FLAG, TEXT, BITS, POINTER, ABSENT, GLOBAL, FAR, NR,
};

static void put(int m, enum ktd_kind kind, u32 off, u32 size)
{
	ktd_off.have[m] = true;
	ktd_off.place[m].kind = kind;
	ktd_off.place[m].off = off;
	ktd_off.place[m].size = size;
}

static const struct object {
	u64	word;
	u32	half;
	u16	shrt;
	u8	byte;
	bool	flag;
	s32	sign;
	char	text[12];
	u32	bits;
	u64	pointer;
} object = {
	.word = UINT64_MAX - 1, .half = 0xfffffffe, .shrt = 0xfffd, .byte = 0xfc, .flag = true,
	.sign = -5, .text = "twelve chars", .bits = 0x00056000, .pointer = 0xffff888100000000,
};

static u8 global = 1;

static const struct ktd_col src[] = {
	{ 0 },	/* computed */
	{ .member = WORD }, { .member = HALF }, { .member = SHORT }, { .member = BYTE },
	{ .member = SIGNED }, { .member = FLAG }, { .member = TEXT }, { .member = BITS },
	{ .member = POINTER }, { .member = ABSENT },
	{ .member = GLOBAL, .sym = 1 + KTD_SYM_SCX_ABORTING, .size = 1 },
	{ .member = WORD, .base = 1 }, { .member = TEXT, .base = 1 },
	{ .member = WORD, .base = 2 },
};

/* The module's table with the most columns lends its names. */
static const struct ktd_table table = { .id = KTD_TBL_TASK, .nr = ARRAY_SIZE(src), .src = src };

static void set_up(size_t size)
{
	memset(&ktd_off, 0, sizeof(ktd_off));
	put(WORD, KTD_KIND_UINT, offsetof(struct object, word), 8);
	put(HALF, KTD_KIND_UINT, offsetof(struct object, half), 4);
	put(SHORT, KTD_KIND_UINT, offsetof(struct object, shrt), 2);
	put(BYTE, KTD_KIND_UINT, offsetof(struct object, byte), 1);
	put(SIGNED, KTD_KIND_INT, offsetof(struct object, sign), 4);
	put(FLAG, KTD_KIND_BOOL, offsetof(struct object, flag), 1);
	put(TEXT, KTD_KIND_STR, offsetof(struct object, text), sizeof(object.text));
	put(BITS, KTD_KIND_UINT, offsetof(struct object, bits), 4);
	ktd_off.place[BITS].bit_off = 13;
	ktd_off.place[BITS].bit_size = 3;
	put(POINTER, KTD_KIND_PTR, offsetof(struct object, pointer), 8);
	ktd_sym[KTD_SYM_SCX_ABORTING] = (unsigned long)&global;
	memset(buf, 0xee, sizeof(buf));
	ktd_sink_init(&sink, buf, size);
}

/* What a record holds: exactly one array. */
static msgpack_unpacked unpack(const struct ktd_rec *rec)
{
	msgpack_unpacked out;
	size_t off = 0;

	msgpack_unpacked_init(&out);
	assert_int_equal(msgpack_unpack_next(&out, (const char *)(rec + 1), rec->len, &off), MSGPACK_UNPACK_SUCCESS);
	assert_int_equal(off, rec->len);
	assert_int_equal(out.data.type, MSGPACK_OBJECT_ARRAY);
	return out;
}

static void is_uint(const msgpack_object *o, u64 v)
{
	assert_int_equal(o->type, MSGPACK_OBJECT_POSITIVE_INTEGER);
	assert_true(o->via.u64 == v);
}

static void is_text(const msgpack_object *o, const char *v)
{
	assert_int_equal(o->type, MSGPACK_OBJECT_STR);
	assert_int_equal(o->via.str.size, strlen(v));
	assert_memory_equal(o->via.str.ptr, v, strlen(v));
}

static void every_column(void **state)
{
	const struct ktd_rec *rec;
	const msgpack_object *v;
	struct ktd_row *r;
	msgpack_unpacked u;

	(void)state;
	set_up(sizeof(buf));
	ktd_table_begin(&sink, &table);
	r = ktd_row_begin(&sink, &table);
	r->base[0] = (unsigned long)&object;
	r->base[1] = (unsigned long)hole;
	ktd_set_s(r, 0, -7);
	assert_true(ktd_row_end(&sink, &table));

	rec = (const struct ktd_rec *)buf;
	assert_int_equal(rec->table, KTD_TBL_TASK);
	u = unpack(rec);
	/* ABSENT has no column at all. */
	assert_int_equal(u.data.via.array.size, ARRAY_SIZE(src) - 1);
	is_text(&u.data.via.array.ptr[0], tables[KTD_TBL_TASK].cols[0]);
	is_text(&u.data.via.array.ptr[9], tables[KTD_TBL_TASK].cols[9]);
	is_text(&u.data.via.array.ptr[10], tables[KTD_TBL_TASK].cols[11]);
	msgpack_unpacked_destroy(&u);

	rec = ktd_rec_next(rec);
	u = unpack(rec);
	assert_int_equal(u.data.via.array.size, ARRAY_SIZE(src) - 1);
	v = u.data.via.array.ptr;
	assert_int_equal(v[0].via.i64, -7);
	is_uint(&v[1], UINT64_MAX - 1);
	is_uint(&v[2], 0xfffffffe);
	is_uint(&v[3], 0xfffd);
	is_uint(&v[4], 0xfc);
	assert_int_equal(v[5].type, MSGPACK_OBJECT_NEGATIVE_INTEGER);
	assert_int_equal(v[5].via.i64, -5);
	assert_int_equal(v[6].type, MSGPACK_OBJECT_BOOLEAN);
	assert_true(v[6].via.boolean);
	is_text(&v[7], "twelve chars");
	is_uint(&v[8], 3);
	is_uint(&v[9], 0xffff888100000000);
	/* Where this kernel has it: a global of one byte. */
	assert_int_equal(v[10].type, MSGPACK_OBJECT_BOOLEAN);
	assert_true(v[10].via.boolean);
	/* Unreadable, and of no object. */
	assert_int_equal(v[11].type, MSGPACK_OBJECT_NIL);
	assert_int_equal(v[12].type, MSGPACK_OBJECT_NIL);
	assert_int_equal(v[13].type, MSGPACK_OBJECT_NIL);
	msgpack_unpacked_destroy(&u);
	assert_ptr_equal(ktd_rec_next(rec), buf + sink.pos);
}

/* Rows shorter than the names of their columns, and rows that are filled in place. */
static const struct ktd_table brief = { .id = KTD_TBL_PROG, .nr = KTD_PROG_NR_COLS };
static const struct ktd_table filled = { .id = KTD_TBL_INSN, .nr = KTD_INSN_NR_COLS };

static void fill(u32 nr)
{
	const u64 nums[] = { 1, 2 };
	u32 i;

	ktd_table_begin(&sink, &brief);
	for (i = 0; i < nr; i++) {
		ktd_row_begin(&sink, &brief);
		ktd_row_end(&sink, &brief);
	}
	ktd_table_begin(&sink, &filled);
	for (i = 0; i < nr; i++) {
		size_t room, len = 10 + i;
		u8 *dst = ktd_bin_begin(&sink, KTD_TBL_INSN, nums, ARRAY_SIZE(nums), &room);

		if (!dst)
			continue;
		len = min(len, room);
		memset(dst, 'i', len);
		ktd_bin_end(&sink, len);
	}
}

/* Whatever fits is whole, and no row is there whose header is not: it would be taken for it. */
static void check(size_t size)
{
	u32 rows[KTD_TBL_MAX] = { 0 };
	const struct ktd_rec *rec;
	msgpack_unpacked u;

	assert_true(sink.pos <= size);
	assert_int_equal(buf[size], 0xee);
	ktd_for_each_rec(rec, buf, sink.pos) {
		assert_true((const u8 *)(rec + 1) + rec->len <= buf + size);
		u = unpack(rec);
		if (!rows[rec->table]++)
			is_text(&u.data.via.array.ptr[0], tables[rec->table].cols[0]);
		msgpack_unpacked_destroy(&u);
	}
	assert_int_equal(sink.stat[KTD_TBL_PROG].rows, rows[KTD_TBL_PROG] ? rows[KTD_TBL_PROG] - 1 : 0);
	assert_int_equal(sink.stat[KTD_TBL_INSN].rows, rows[KTD_TBL_INSN] ? rows[KTD_TBL_INSN] - 1 : 0);
	assert_int_equal(sink.stat[KTD_TBL_PROG].rows + sink.stat[KTD_TBL_PROG].dropped, 5);
	assert_int_equal(sink.full, !rows[KTD_TBL_INSN] || sink.stat[KTD_TBL_PROG].dropped);
}

static void every_size(void **state)
{
	size_t size, all;

	(void)state;
	set_up(sizeof(buf));
	fill(5);
	all = sink.pos;
	assert_false(sink.full);
	assert_int_equal(sink.stat[KTD_TBL_INSN].rows, 5);
	for (size = 0; size <= all; size++) {
		set_up(size);
		fill(5);
		check(size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_column),
		cmocka_unit_test(every_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
