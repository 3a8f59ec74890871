// SPDX-License-Identifier: GPL-2.0-only
/* The streaming writer writes what yyjson's would have written. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "jsonw.h"

static struct jsonw w;
static char *text;
static size_t text_len;

static void start(void)
{
	jsonw_init(&w, open_memstream(&text, &text_len));
}

static int finish(void)
{
	int ret = jsonw_finish(&w);

	fclose(w.out);
	return ret;
}

static void assert_text(const char *want)
{
	assert_int_equal(finish(), 0);
	assert_string_equal(text, want);
	free(text);
}

static uint32_t seed = 4711;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

static uint64_t rnd64(void)
{
	return ((uint64_t)rnd(UINT32_MAX) << 32 | rnd(UINT32_MAX)) >> rnd(64);
}

static yyjson_mut_val *random_text(yyjson_mut_doc *doc)
{
	static const char *const pieces[] = {
		"a", "\"", "\\", "/", "\x7f", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xa7", "\x1b", "\n",
		"\x01", "\t\r\b\f", "long enough to be a run", "\x1f", " ",
	};
	char buf[512] = "";

	for (uint32_t n = rnd(12); n; n--)
		strcat(buf, pieces[rnd(ARRAY_SIZE(pieces))]);
	return yyjson_mut_strcpy(doc, buf);
}

static yyjson_mut_val *random_value(yyjson_mut_doc *doc, unsigned int depth)
{
	static const double reals[] = { 0.0, -0.0, 1.0, 0.1, 1e300, -2.5e-8, 1e21, 123456789.125, 3 };
	yyjson_mut_val *v;

	switch (rnd(depth < 8 ? 10 : 7)) {
	case 0:
		return yyjson_mut_null(doc);
	case 1:
		return yyjson_mut_bool(doc, rnd(2));
	case 2:
		return yyjson_mut_uint(doc, rnd64());
	case 3:
		return yyjson_mut_sint(doc, -(int64_t)(rnd64() >> 1));
	case 4:
		return yyjson_mut_real(doc, reals[rnd(ARRAY_SIZE(reals))]);
	case 5:
	case 6:
		return random_text(doc);
	case 7:
		v = yyjson_mut_arr(doc);
		for (uint32_t n = rnd(5); n; n--)
			yyjson_mut_arr_append(v, random_value(doc, depth + 1));
		return v;
	default:
		v = yyjson_mut_obj(doc);
		for (uint32_t n = rnd(5); n; n--)
			yyjson_mut_obj_add(v, random_text(doc), random_value(doc, depth + 1));
		return v;
	}
}

static void test_as_yyjson(void **state)
{
	(void)state;
	for (int i = 0; i < 3000; i++) {
		yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
		yyjson_mut_val *v = random_value(doc, 0);
		char *want = yyjson_mut_val_write(v, YYJSON_WRITE_PRETTY_TWO_SPACES |
						  YYJSON_WRITE_NEWLINE_AT_END, NULL);

		start();
		jsonw_val(&w, v);
		assert_text(want);
		free(want);
		yyjson_mut_doc_free(doc);
	}
}

static void test_calls(void **state)
{
	static const uint8_t data[] = { 10, 27, 255, 0, 100 };
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	(void)state;
	start();
	jsonw_obj(&w);
	jsonw_key(&w, "empty");
	jsonw_arr(&w);
	jsonw_arr_end(&w);
	jsonw_key(&w, "numbers");
	jsonw_arr(&w);
	jsonw_u64(&w, UINT64_MAX);
	jsonw_i64(&w, INT64_MIN);
	jsonw_i64(&w, 0);
	jsonw_real(&w, 0.1);
	jsonw_real(&w, 5);
	jsonw_real(&w, INFINITY);
	jsonw_arr_end(&w);
	jsonw_key(&w, "hex");
	jsonw_hex(&w, data, sizeof(data));
	jsonw_key(&w, "none");
	jsonw_hex(&w, data, 0);
	jsonw_key(&w, "bytes");
	jsonw_bytes(&w, data, sizeof(data));
	jsonw_key(&w, "no_bytes");
	jsonw_bytes(&w, data, 0);
	jsonw_key(&w, "part");
	jsonw_val(&w, yyjson_mut_obj(doc));
	jsonw_key(&w, "last");
	jsonw_obj(&w);
	jsonw_key(&w, "b");
	jsonw_bool(&w, true);
	jsonw_key(&w, "n");
	jsonw_null(&w);
	jsonw_obj_end(&w);
	jsonw_obj_end(&w);
	assert_text("{\n  \"empty\": [],\n  \"numbers\": [\n    18446744073709551615,\n"
		    "    -9223372036854775808,\n    0,\n    0.1,\n    5.0,\n    null\n  ],\n"
		    "  \"hex\": \"0a 1b ff 00 64\",\n  \"none\": \"\",\n"
		    "  \"bytes\": [10, 27, 255, 0, 100],\n  \"no_bytes\": [],\n  \"part\": {},\n"
		    "  \"last\": {\n    \"b\": true,\n    \"n\": null\n  }\n}\n");
	yyjson_mut_doc_free(doc);
}

static void test_texts(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} cases[] = {
		{ "plain", 5, "\"plain\"\n" },
		{ "cut\0off", 7, "\"cut\"\n" },
		{ "not all", 3, "\"not\"\n" },
		{ "", 0, "\"\"\n" },
		{ "\xff\xfe", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"\n" },
		{ "a\xc3", 2, "\"a\xef\xbf\xbd\"\n" },
		{ "\xc0\x80z", 3, "\"\xef\xbf\xbd\xef\xbf\xbdz\"\n" },
		{ "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n" },
		{ "\x1b[2J\n\"\\", 7, "\"\\u001B[2J\\n\\\"\\\\\"\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		start();
		jsonw_text(&w, cases[i].in, cases[i].len);
		assert_text(cases[i].out);
	}
}

/* Pieces that are made in chunks, at and around the chunk's length. */
static void test_long(void **state)
{
	static uint8_t data[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = i * 7;
	for (size_t len = 500; len < sizeof(data); len += len < 520 || len > 1020 ? 1 : 500) {
		char *hex = malloc(len * 3 + 8), *bytes = malloc(len * 5 + 8), *h = hex, *b = bytes;

		h += sprintf(h, "\"");
		b += sprintf(b, "[");
		for (size_t i = 0; i < len; i++) {
			h += sprintf(h, i ? " %02x" : "%02x", data[i]);
			b += sprintf(b, i ? ", %u" : "%u", data[i]);
		}
		sprintf(h, "\"\n");
		sprintf(b, "]\n");
		start();
		jsonw_hex(&w, data, len);
		assert_text(hex);
		start();
		jsonw_bytes(&w, data, len);
		assert_text(bytes);
		free(hex);
		free(bytes);
	}
}

/* Values of all kinds that begin before, at and behind the end of the buffer. */
static void test_buffer_end(void **state)
{
	static char fill[sizeof(w.buf) + 64];

	(void)state;
	for (size_t n = sizeof(w.buf) - 1500; n < sizeof(fill); n += 3) {
		yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
		yyjson_mut_val *v = yyjson_mut_arr(doc);
		char *want;

		memset(fill, 'x', n);
		yyjson_mut_arr_add_strn(doc, v, fill, n);
		for (int i = 0; i < 40; i++)
			yyjson_mut_arr_append(v, random_value(doc, 4));
		want = yyjson_mut_val_write(v, YYJSON_WRITE_PRETTY_TWO_SPACES |
					    YYJSON_WRITE_NEWLINE_AT_END, NULL);
		start();
		jsonw_val(&w, v);
		assert_text(want);
		free(want);
		yyjson_mut_doc_free(doc);
	}
}

static void test_too_deep(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < JSONW_MAX_DEPTH; i++) {
		assert_int_equal(jsonw_room(&w), JSONW_MAX_DEPTH - i);
		jsonw_arr(&w);
	}
	assert_int_equal(jsonw_room(&w), 0);
	for (int i = 0; i < JSONW_MAX_DEPTH; i++)
		jsonw_arr_end(&w);
	assert_int_equal(finish(), 0);
	free(text);

	start();
	for (int i = 0; i < 3 * JSONW_MAX_DEPTH; i++) {
		jsonw_obj(&w);
		jsonw_key(&w, "k");
	}
	assert_int_equal(jsonw_room(&w), 0);
	for (int i = 0; i < 3 * JSONW_MAX_DEPTH; i++)
		jsonw_obj_end(&w);
	jsonw_str(&w, "ignored");
	assert_int_equal(finish(), -ELOOP);
	free(text);
}

static void test_full_disk(void **state)
{
	FILE *f = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(f);
	jsonw_init(&w, f);
	jsonw_arr(&w);
	for (int i = 0; i < 100000; i++)
		jsonw_u64(&w, i);
	jsonw_arr_end(&w);
	assert_int_equal(jsonw_finish(&w), -ENOSPC);
	fclose(f);
}

static void check_digits(uint64_t v)
{
	char want[32], got[JSONW_DIGITS + 1];

	snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
	*jsonw_digits(got, v, false) = '\0';
	assert_string_equal(got, want);
	snprintf(want, sizeof(want), "-%llu", (unsigned long long)v);
	*jsonw_digits(got, v, true) = '\0';
	assert_string_equal(got, want);
}

static void test_digits(void **state)
{
	uint64_t power = 1, v = 88172645463325252ULL;

	(void)state;
	for (int i = 0; i < 20; i++, power *= 10) {
		check_digits(power - 1);
		check_digits(power);
		check_digits(power + 1);
		check_digits(power * 9);
	}
	check_digits(UINT64_MAX);
	check_digits(UINT32_MAX);
	check_digits(UINT32_MAX + 1ULL);
	for (int i = 0; i < 100000; i++) {
		v ^= v << 13;
		v ^= v >> 7;
		v ^= v << 17;
		check_digits(v >> (i % 64));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_yyjson),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_buffer_end),
		cmocka_unit_test(test_too_deep),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
