// SPDX-License-Identifier: GPL-2.0-only
/* Tables: column maps, getters, and payloads that are not what they must be. */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "gen.h"
#include "mpcheck.h"
#include "snapshot.h"

static int add(struct snapshot *s, struct gen *g, uint16_t table)
{
	const char *why = NULL;
	int err = snapshot_add(s, table, g->payload.data, g->payload.size, &why);

	assert_int_equal(!!why, err == -EBADMSG || err == -EMSGSIZE);
	msgpack_sbuffer_clear(&g->payload);
	return err;
}

static void test_getters(void **state)
{
	struct snapshot *s = snapshot_create("test", "boot", 1, 1 << 20);
	struct table *t = &s->tables[KTD_TBL_DSQ];
	const msgpack_object *arr;
	const uint8_t *bin;
	const char *str;
	struct gen g;
	uint64_t u = 7;
	int64_t i = 7;
	size_t len;
	bool b;
	row_t row;

	(void)state;
	gen_init(&g);
	gen_row(&g, "sssss", "kva", "future", "origin", "cpu", "nr");
	gen_row(&g, "ussni", UINT64_MAX, "x", "local", -3);
	assert_int_equal(add(s, &g, KTD_TBL_DSQ), 0);
	assert_int_equal(t->nr_rows, 1);
	assert_int_equal(s->unknown_columns, 1);
	assert_string_equal(s->unknown_names[0], "dsq.future");
	row = t->rows[0];

	assert_int_equal(row_u64(t, row, KTD_DSQ_KVA, &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(row_i64(t, row, KTD_DSQ_KVA, &i), -EBADMSG);	/* does not fit */
	assert_int_equal(row_i64(t, row, KTD_DSQ_NR, &i), 0);
	assert_int_equal(i, -3);
	assert_int_equal(row_u64(t, row, KTD_DSQ_NR, &u), -EBADMSG);
	assert_int_equal(row_u64(t, row, KTD_DSQ_SEQ, &u), -ENOENT);
	assert_int_equal(row_u64(t, row, KTD_DSQ_CPU, &u), -ENODATA);
	assert_true(u == UINT64_MAX);	/* left alone */
	assert_int_equal(row_u64(t, row, KTD_DSQ_ORIGIN, &u), -EBADMSG);
	assert_int_equal(row_str(t, row, KTD_DSQ_ORIGIN, &str, &len), 0);
	assert_int_equal(len, 5);
	assert_int_equal(row_str(t, row, KTD_DSQ_KVA, &str, &len), -EBADMSG);
	assert_int_equal(row_bin(t, row, KTD_DSQ_ORIGIN, &bin, &len), -EBADMSG);
	assert_int_equal(row_array(t, row, KTD_DSQ_ORIGIN, &arr, &len), -EBADMSG);
	assert_int_equal(row_bool(t, row, KTD_DSQ_ORIGIN, &b), -EBADMSG);
	assert_int_equal(row_bool(t, row, KTD_DSQ_KVA, &b), 0);
	assert_true(row_str_is(t, row, KTD_DSQ_ORIGIN, "local"));
	assert_false(row_str_is(t, row, KTD_DSQ_ORIGIN, "loca"));
	assert_int_equal(row_u64_or(t, row, KTD_DSQ_SEQ, 9), 9);
	gen_deinit(&g);
	snapshot_destroy(s);
}

/* msgpack-c has nothing where the text would be, and memcmp() takes no nothing. */
static void test_empty_text(void **state)
{
	struct snapshot *s = snapshot_create("test", "boot", 1, 1 << 20);
	struct table *t = &s->tables[KTD_TBL_MISSING];
	const char *str;
	struct gen g;
	size_t len;

	(void)state;
	gen_init(&g);
	gen_row(&g, "sss", "table", "reason", "");
	gen_row(&g, "sss", "", "", "");
	gen_row(&g, "sss", "table", "reason", "");
	assert_int_equal(add(s, &g, KTD_TBL_MISSING), 0);
	assert_int_equal(t->nr_rows, 1);
	assert_int_equal(t->repeated_headers, 1);
	assert_int_equal(row_str(t, t->rows[0], KTD_MISSING_TABLE, &str, &len), 0);
	assert_int_equal(len, 0);
	assert_string_equal(str, "");
	gen_deinit(&g);
	snapshot_destroy(s);
}

static void test_odd_rows(void **state)
{
	struct snapshot *s = snapshot_create("test", "boot", 1, 1 << 20);
	struct table *t = &s->tables[KTD_TBL_MISSING];
	const char *str;
	struct gen g;
	size_t len;

	(void)state;
	gen_init(&g);
	gen_row(&g, "sss", "table", "reason", "table");	/* the first of two counts */
	gen_row(&g, "sss", "a", "b", "c");
	gen_row(&g, "ss", "a", "short");
	gen_row(&g, "sssss", "a", "b", "c", "d", "long");
	gen_row(&g, "sss", "table", "reason", "table");
	gen_row(&g, "", 0);
	assert_int_equal(add(s, &g, KTD_TBL_MISSING), 0);
	assert_int_equal(t->nr_rows, 1);
	assert_int_equal(t->bad_rows, 3);
	assert_int_equal(t->repeated_headers, 1);
	assert_int_equal(row_str(t, t->rows[0], KTD_MISSING_TABLE, &str, &len), 0);
	assert_int_equal(str[0], 'a');
	gen_row(&g, "si", "rows", 3);
	assert_int_equal(add(s, &g, KTD_TBL_END), -EBADMSG);	/* a header of names only */
	gen_row(&g, "s", "x");
	assert_int_equal(add(s, &g, 4711), 0);
	assert_int_equal(s->unknown_tables, 1);
	gen_deinit(&g);
	snapshot_destroy(s);
}

static int check(const void *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	const char *why;
	size_t objects;
	int err;

	memcpy(copy, data, len);
	err = mpcheck(copy, len, KTD_ROW_MAX, &objects, &why);
	free(copy);
	return err;
}

static void test_payloads(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		int err;
	} cases[] = {
		{ "", 0, 0 },
		{ "\x90", 1, 0 },
		{ "\x92\x01\xc0\x91\xa1x", 6, 0 },
		{ "\x01", 1, -EBADMSG },			/* not an array */
		{ "\xa1x", 2, -EBADMSG },
		{ "\x92\x01", 2, -EBADMSG },			/* cut */
		{ "\xdd\xff\xff\xff\xff", 5, -EBADMSG },	/* 4 billion elements */
		{ "\xdd\x00\x00\x00\x05\x01", 6, -EBADMSG },
		{ "\xdc\xff\xff\x01", 4, -EBADMSG },
		{ "\x91\x81\x01\x02", 4, -EBADMSG },		/* a map */
		{ "\x91\xc1", 2, -EBADMSG },			/* reserved byte */
		{ "\x91\xc6\xff\xff\xff\xff", 6, -EBADMSG },	/* bin of 4 GiB */
		{ "\x91\xdb\xff\xff\xff\xff", 6, -EBADMSG },
		{ "\x91\x91\x91\x91\x91\x91\x91\x91\x01", 9, 0 },
		{ "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01", 10, -EBADMSG },	/* too deep */
	};
	static char big[KTD_ROW_MAX + 8] = "\x91\xc5";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(check(cases[i].data, cases[i].len), cases[i].err);
	big[2] = (char)((KTD_ROW_MAX - 4) >> 8);
	big[3] = (char)(KTD_ROW_MAX - 4);
	assert_int_equal(check(big, KTD_ROW_MAX), 0);
	big[2] = (char)((KTD_ROW_MAX - 3) >> 8);
	big[3] = (char)(KTD_ROW_MAX - 3);
	assert_int_equal(check(big, KTD_ROW_MAX + 1), -EMSGSIZE);
}

static void test_memory_limit(void **state)
{
	struct snapshot *s = snapshot_create("test", "boot", 1, 4096);
	struct gen g;

	(void)state;
	gen_init(&g);
	gen_row(&g, "ss", "addr", "name");
	assert_int_equal(add(s, &g, KTD_TBL_SYMBOL), 0);
	for (int i = 0; i < 1000; i++) {
		gen_row(&g, "us", (uint64_t)i, "symbol");
		assert_int_equal(add(s, &g, KTD_TBL_SYMBOL), 0);
	}
	assert_true(s->full);
	assert_true(s->memory <= 4096);
	assert_true(s->tables[KTD_TBL_SYMBOL].nr_rows > 10);
	assert_non_null(strstr(s->why, "--max-bytes"));
	gen_row(&g, "ss", "rows", "bytes");
	gen_row(&g, "ii", 1, 1);
	assert_int_equal(add(s, &g, KTD_TBL_END), 0);	/* it gets in nevertheless */
	snapshot_end(s);
	assert_true(s->ended && !snapshot_complete(s));
	gen_deinit(&g);
	snapshot_destroy(s);
}

static void test_too_many_columns(void **state)
{
	struct snapshot *s = snapshot_create("test", "boot", 1, 1 << 20);
	struct gen g;

	(void)state;
	gen_init(&g);
	msgpack_pack_array(&g.pk, TABLE_MAX_COLS + 1);
	for (int i = 0; i <= TABLE_MAX_COLS; i++)
		gen_str(&g, "x");
	assert_int_equal(add(s, &g, KTD_TBL_EVENT), -EBADMSG);
	gen_row(&g, "", 0);
	assert_int_equal(add(s, &g, KTD_TBL_EVENT), -EBADMSG);
	gen_deinit(&g);
	snapshot_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_getters),
		cmocka_unit_test(test_empty_text),
		cmocka_unit_test(test_odd_rows),
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_memory_limit),
		cmocka_unit_test(test_too_many_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
