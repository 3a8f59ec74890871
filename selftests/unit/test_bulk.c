// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory and records that lie in a file, with a guest that sends anything. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "bulk.h"

#define BASE 0xffff888000000000ull
#define SPACE 4096u

static uint32_t seed = 815;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

static struct bulk *create(void)
{
	struct bulk *b = bulk_create("/tmp", 1ull << 30);

	assert_non_null(b);
	return b;
}

static void test_empty(void **state)
{
	struct bulk *both[] = { create(), NULL };
	struct bulk_cursor c;
	uint64_t start, end;
	uint8_t byte;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		assert_int_equal(bulk_read(both[i], BASE, &byte, 1), -ENODATA);
		assert_int_equal(bulk_read(both[i], BASE, &byte, 0), 0);
		assert_int_equal(bulk_have(both[i], BASE, 5), 0);
		assert_false(bulk_next(both[i], 0, &start, &end));
		assert_int_equal(bulk_memory(both[i]), 0);
		bulk_records(both[i], BASE, &c);
		assert_int_equal(bulk_record_next(&c), 0);
		bulk_records_end(&c);
		bulk_destroy(both[i]);
	}
}

static void test_pieces(void **state)
{
	struct bulk *b = create();
	uint64_t start, end;
	char buf[16] = "";

	(void)state;
	assert_int_equal(bulk_add_mem(b, BASE + 4, "4567", 4), 0);
	assert_int_equal(bulk_add_mem(b, BASE + 10, "ab", 2), 0);
	assert_int_equal(bulk_add_mem(b, BASE, "0123", 4), 0);
	assert_int_equal(bulk_read(b, BASE + 1, buf, 6), 0);
	assert_memory_equal(buf, "123456", 6);
	assert_int_equal(bulk_read(b, BASE + 1, buf, 8), -ENODATA);
	assert_int_equal(bulk_read(b, BASE + 9, buf, 1), -ENODATA);
	assert_int_equal(bulk_have(b, BASE + 3, 100), 5);
	assert_int_equal(bulk_have(b, BASE + 3, 2), 2);
	assert_int_equal(bulk_have(b, BASE + 8, 2), 0);
	assert_true(bulk_next(b, 0, &start, &end));
	assert_true(start == BASE && end == BASE + 8);
	assert_true(bulk_next(b, BASE + 7, &start, &end));
	assert_true(start == BASE && end == BASE + 8);
	assert_true(bulk_next(b, BASE + 8, &start, &end));
	assert_true(start == BASE + 10 && end == BASE + 12);
	assert_false(bulk_next(b, BASE + 12, &start, &end));
	/* The gap closes, and what was there first stays. */
	assert_int_equal(bulk_add_mem(b, BASE + 6, "QRSTUV", 6), 0);
	assert_int_equal(bulk_read(b, BASE, buf, 12), 0);
	assert_memory_equal(buf, "01234567STab", 12);
	bulk_destroy(b);
}

/* Against an image that is kept byte by byte. */
static void test_against_model(void **state)
{
	(void)state;
	for (int round = 0; round < 300; round++) {
		struct bulk *b = create();
		static uint8_t model[SPACE], buf[SPACE];
		static bool there[SPACE];
		uint32_t max = 1 + rnd(rnd(2) ? 600 : 20);

		memset(there, 0, sizeof(there));
		for (int i = rnd(200); i >= 0; i--) {
			uint32_t at = rnd(SPACE), len = rnd(max), from;
			uint8_t data[600];

			if (len > SPACE - at)
				len = SPACE - at;
			for (uint32_t k = 0; k < len; k++)
				data[k] = rnd(256);
			assert_int_equal(bulk_add_mem(b, BASE + at, data, len), 0);
			for (uint32_t k = 0; k < len; k++) {
				if (!there[at + k])
					model[at + k] = data[k];
				there[at + k] = true;
			}
			if (rnd(20))
				continue;
			/* Questions in between, which make it sort what it has. */
			from = rnd(SPACE);
			assert_int_equal(bulk_have(b, BASE + from, 1), there[from]);
		}
		for (int i = 0; i < 100; i++) {
			uint32_t at = rnd(SPACE), len = rnd(SPACE - at + 1), have = 0;
			uint64_t start, end;

			while (at + have < SPACE && there[at + have])
				have++;
			assert_int_equal(bulk_have(b, BASE + at, len), have < len ? have : len);
			assert_int_equal(bulk_read(b, BASE + at, buf, len), len <= have ? 0 : -ENODATA);
			if (len <= have)
				assert_memory_equal(buf, model + at, len);
			while (at < SPACE && !there[at])
				at++;
			assert_int_equal(bulk_next(b, BASE + at, &start, &end), at < SPACE);
			if (at == SPACE)
				continue;
			assert_true(start <= BASE + at && end > BASE + at && end <= BASE + SPACE);
			for (uint64_t a = start; a < end; a++)
				assert_true(there[a - BASE]);
			assert_true(start == BASE || !there[start - BASE - 1]);
			assert_true(end == BASE + SPACE || !there[end - BASE]);
		}
		bulk_destroy(b);
	}
}

static void test_ends_of_space(void **state)
{
	struct bulk *b = create();
	uint64_t start, end;
	uint8_t buf[8];

	(void)state;
	assert_int_equal(bulk_add_mem(b, UINT64_MAX - 2, "abcd", 4), -EBADMSG);
	assert_int_equal(bulk_add_mem(b, UINT64_MAX, "a", 1), -EBADMSG);
	assert_int_equal(bulk_add_mem(b, UINT64_MAX - 4, "wxyz", 4), 0);
	assert_int_equal(bulk_add_mem(b, 0, "0123", 4), 0);
	assert_int_equal(bulk_read(b, UINT64_MAX - 4, buf, 4), 0);
	assert_memory_equal(buf, "wxyz", 4);
	assert_int_equal(bulk_read(b, UINT64_MAX - 4, buf, 8), -ENODATA);
	assert_int_equal(bulk_read(b, UINT64_MAX - 4, buf, SIZE_MAX), -ENODATA);
	assert_int_equal(bulk_read(b, 0, buf, 4), 0);
	assert_memory_equal(buf, "0123", 4);
	assert_int_equal(bulk_have(b, UINT64_MAX - 3, SIZE_MAX), 3);
	assert_int_equal(bulk_have(b, UINT64_MAX, SIZE_MAX), 0);
	assert_true(bulk_next(b, 4, &start, &end));
	assert_true(start == UINT64_MAX - 4 && end == UINT64_MAX);
	assert_false(bulk_next(b, UINT64_MAX, &start, &end));
	bulk_destroy(b);
}

static uint8_t pattern(uint64_t at)
{
	return at * 2654435761u >> 13;
}

/* More than the buffer and the cache hold, read anywhere, also while it grows. */
static void test_large(void **state)
{
	const uint32_t total = 9 << 20;
	struct bulk *b = create();
	static uint8_t buf[300000];
	uint32_t len;

	(void)state;
	for (uint32_t at = 0; at < total; at += len) {
		len = 1 + rnd(rnd(10) ? 16000 : sizeof(buf));
		if (len > total - at)
			len = total - at;
		for (uint32_t i = 0; i < len; i++)
			buf[i] = pattern(at + i);
		assert_int_equal(bulk_add_mem(b, BASE + at, buf, len), 0);
		if (!rnd(8)) {
			uint32_t from = at > 20000 ? at - rnd(20000) : 0;

			assert_int_equal(bulk_read(b, BASE + from, buf, at + len - from < 20000 ?
						   at + len - from : 20000), 0);
			assert_int_equal(buf[0], pattern(from));
		}
	}
	assert_int_equal(bulk_have(b, BASE, SIZE_MAX), total);
	for (int i = 0; i < 3000; i++) {
		uint32_t at = rnd(total);

		len = rnd(i % 10 ? 5000 : sizeof(buf));
		if (len > total - at)
			len = total - at;
		assert_int_equal(bulk_read(b, BASE + at, buf, len), 0);
		for (uint32_t k = 0; k < len; k++)
			if (buf[k] != pattern(at + k))
				fail_msg("byte %u of a read at %u", k, at);
	}
	/* Pieces that follow each other take one place in the index. */
	assert_true(bulk_memory(b) < 64 * 1024);
	bulk_destroy(b);
}

/* No two touch; the last comes first. */
static void test_many_pieces(void **state)
{
	const uint32_t nr = 200000;
	struct bulk *b = create();
	uint32_t v;

	(void)state;
	for (uint32_t i = nr; i--;)
		assert_int_equal(bulk_add_mem(b, BASE + i * 8ull, &i, sizeof(i)), 0);
	for (uint32_t i = 0; i < nr; i++) {
		assert_int_equal(bulk_read(b, BASE + i * 8ull, &v, sizeof(v)), 0);
		assert_int_equal(v, i);
	}
	assert_int_equal(bulk_read(b, BASE + 2, &v, sizeof(v)), -ENODATA);
	/* And now over them and the gaps between them. */
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(bulk_add_mem(b, BASE + i * 4ull, &i, sizeof(i)), 0);
	assert_int_equal(bulk_read(b, BASE + 8, &v, sizeof(v)), 0);
	assert_int_equal(v, 1);
	assert_int_equal(bulk_read(b, BASE + 12, &v, sizeof(v)), 0);
	assert_int_equal(v, 3);
	bulk_destroy(b);
}

static void test_limit(void **state)
{
	struct bulk *b = bulk_create("/tmp", 10);
	char buf[8];

	(void)state;
	assert_int_equal(bulk_add_mem(b, BASE, "0123456", 7), 0);
	assert_int_equal(bulk_add_mem(b, BASE + 7, "7890", 4), -EDQUOT);
	assert_int_equal(bulk_add_record(b, 1, 0, "7890", 4), -EDQUOT);
	assert_int_equal(bulk_add_mem(b, BASE + 7, "789", 3), 0);
	assert_int_equal(bulk_add_mem(b, BASE + 10, "x", 1), -EDQUOT);
	assert_int_equal(bulk_have(b, BASE, 100), 10);
	assert_int_equal(bulk_read(b, BASE + 3, buf, 7), 0);
	assert_memory_equal(buf, "3456789", 7);
	bulk_destroy(b);
}

/* Errors of the file: what arrived before can be read all the same. */
static void test_no_room(void **state)
{
	struct bulk *none = bulk_create("/nonexistent/directory", 1 << 30), *b = create();
	struct rlimit old, small = { 700000, 700000 };
	uint8_t data[1000], buf[1000];
	uint32_t good = 0;
	int err = 0;

	(void)state;
	memset(data, 7, sizeof(data));
	for (int i = 0; i < 1000 && !err; i++)
		err = bulk_add_mem(none, BASE + i * 1000, data, sizeof(data));
	assert_int_equal(err, -ENOENT);
	assert_int_equal(bulk_add_record(none, 5, 0, data, 8), -ENOENT);
	assert_int_equal(bulk_read(none, BASE + 500, buf, sizeof(buf)), 0);
	bulk_destroy(none);

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &small);
	for (err = 0; good < 2000; good++) {
		memset(data, good, sizeof(data));
		err = bulk_add_mem(b, BASE + good * 1000, data, sizeof(data));
		if (err)
			break;
	}
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(err, -EFBIG);
	assert_true(good > 600);
	assert_int_equal(bulk_add_mem(b, 0, data, 1), -EFBIG);
	assert_int_equal(bulk_have(b, BASE, SIZE_MAX), good * 1000);
	for (uint32_t i = 0; i < good; i++) {
		assert_int_equal(bulk_read(b, BASE + i * 1000, buf, sizeof(buf)), 0);
		assert_int_equal(buf[999], (uint8_t)i);
	}
	bulk_destroy(b);
}

/* ------------------------------------------------------------------- records */

static size_t put_record(uint8_t *to, uint64_t kva, uint32_t index, size_t data_len)
{
	struct ktd_record h = {
		.kva = kva,
		.len = sizeof(h) + data_len,
		.flags = index % 4,
		.index = index,
		.extra = ~index,
	};

	memcpy(to, &h, sizeof(h));
	for (size_t i = 0; i < data_len; i++)
		to[sizeof(h) + i] = pattern(index * 1000 + i);
	return h.len;
}

static void test_records(void **state)
{
	enum { MAPS = 5, NR = 400 };
	struct bulk *b = create();
	uint8_t *streams[MAPS];
	size_t len[MAPS] = {}, sent[MAPS] = {}, left = 0;

	(void)state;
	for (int m = 0; m < MAPS; m++) {
		streams[m] = malloc(NR * 100 + 3 * 100000);
		for (uint32_t i = 0; i < NR; i++)
			len[m] += put_record(streams[m] + len[m], i * 16, i,
					     i == 77 || i == 300 ? 99 * 1000 : (i + m) % 10 * 8);
		left += len[m];
	}
	/* Pieces of any length, those of one map between those of others. */
	while (left) {
		int m = rnd(MAPS);
		size_t n = 1 + rnd(rnd(50) ? 50 : 16000);

		if (n > len[m] - sent[m])
			n = len[m] - sent[m];
		assert_int_equal(bulk_add_record(b, BASE + m, sent[m], streams[m] + sent[m], n), 0);
		sent[m] += n;
		left -= n;
	}
	for (int m = 0; m < MAPS; m++) {
		struct bulk_cursor c;
		uint32_t i = 0;
		int ret;

		bulk_records(b, BASE + m, &c);
		while ((ret = bulk_record_next(&c)) == 1) {
			assert_int_equal(c.rec.index, i);
			assert_int_equal(c.rec.extra, ~i);
			assert_int_equal(c.rec.flags, i % 4);
			assert_int_equal(c.rec.kva, i * 16);
			assert_int_equal((uintptr_t)c.rec.data % 8, 0);
			for (uint32_t k = 0; k < c.rec.len; k++)
				assert_int_equal(c.rec.data[k], pattern(i * 1000 + k));
			i++;
		}
		assert_int_equal(ret, 0);
		assert_int_equal(i, NR);
		bulk_records_end(&c);
		free(streams[m]);
	}
	bulk_destroy(b);
}

static void test_bad_records(void **state)
{
	static const uint32_t lens[] = { 0, 8, 23, 25, 1 << 20, 40, UINT32_MAX, UINT32_MAX - 7 };
	struct bulk *b = create();
	struct bulk_cursor c;
	uint8_t buf[64];

	(void)state;
	/* Pieces out of order. */
	assert_int_equal(bulk_add_record(b, 1, 8, buf, 8), -EBADMSG);
	assert_int_equal(bulk_add_record(b, 1, UINT64_MAX - 3, buf, 8), -EBADMSG);
	put_record(buf, 1, 0, 8);
	assert_int_equal(bulk_add_record(b, 1, 0, buf, 20), 0);
	assert_int_equal(bulk_add_record(b, 1, 0, buf, 20), -EBADMSG);
	assert_int_equal(bulk_add_record(b, 1, 21, buf, 20), -EBADMSG);
	/* A stream that ends in the middle of a header, and then of a record. */
	bulk_records(b, 1, &c);
	assert_int_equal(bulk_record_next(&c), -EBADMSG);
	assert_int_equal(bulk_record_next(&c), -EBADMSG);
	bulk_records_end(&c);
	assert_int_equal(bulk_add_record(b, 1, 20, buf + 20, 8), 0);
	bulk_records(b, 1, &c);
	assert_int_equal(bulk_record_next(&c), -EBADMSG);
	bulk_records_end(&c);
	assert_int_equal(bulk_add_record(b, 1, 28, buf + 28, 4), 0);
	bulk_records(b, 1, &c);
	assert_int_equal(bulk_record_next(&c), 1);
	assert_int_equal(bulk_record_next(&c), 0);
	bulk_records_end(&c);

	/* A good one, then a length that cannot be. */
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct ktd_record h = { .len = lens[i] };

		put_record(buf, 1, 0, 0);
		memcpy(buf + sizeof(h), &h, sizeof(h));
		assert_int_equal(bulk_add_record(b, 100 + i, 0, buf, 2 * sizeof(h)), 0);
		bulk_records(b, 100 + i, &c);
		assert_int_equal(bulk_record_next(&c), 1);
		assert_int_equal(c.rec.len, 0);
		assert_int_equal(bulk_record_next(&c), -EBADMSG);
		bulk_records_end(&c);
	}
	bulk_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_ends_of_space),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_many_pieces),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_bad_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
