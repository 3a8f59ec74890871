// SPDX-License-Identifier: GPL-2.0-only
/* The frame reader against streams that are cut or damaged anywhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include "frame.h"
#include "gen.h"

#define NR_FRAMES 9	/* of gen_sample() */

static struct gen g;
static struct frame_reader reader;

static int setup(void **state)
{
	(void)state;
	gen_init(&g);
	gen_sample(&g);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gen_deinit(&g);
	return 0;
}

/* Frames read until the data or the reader ends; *err_ret is the reader's last answer. */
static unsigned int read_all(const uint8_t *data, size_t len, size_t piece, int *err_ret)
{
	unsigned int nr = 0;

	frame_reader_init(&reader);
	*err_ret = 0;
	while (len) {
		size_t n = piece < len ? piece : len, left = n;
		const uint8_t *p = data;
		struct frame f;

		while ((*err_ret = frame_reader_next(&reader, &p, &left, &f)) > 0)
			nr++;
		if (*err_ret < 0)
			return nr;
		assert_int_equal(left, 0);
		data += n;
		len -= n;
	}
	return nr;
}

static void test_crc(void **state)
{
	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
}

static void test_any_piece(void **state)
{
	int err;

	(void)state;
	for (size_t piece = 1; piece < 200; piece++)
		assert_int_equal(read_all(g.buf, g.len, piece, &err), NR_FRAMES);
	assert_int_equal(read_all(g.buf, g.len, g.len, &err), NR_FRAMES);
}

static void test_truncated_everywhere(void **state)
{
	unsigned int last = 0;
	char tail[200];
	int err;

	(void)state;
	for (size_t len = 1; len <= g.len; len++) {
		/* An allocation of just this size lets the sanitizer see a read past it. */
		uint8_t *copy = malloc(len);
		unsigned int nr;

		memcpy(copy, g.buf, len);
		nr = read_all(copy, len, len, &err);
		free(copy);
		assert_int_equal(err, 0);
		assert_true(nr == last || nr == last + 1);
		frame_reader_tail(&reader, tail, sizeof(tail));
		/* Something is said unless the cut is between two frames. */
		assert_int_equal(!tail[0], nr == last + 1);
		last = nr;
	}
	assert_int_equal(last, NR_FRAMES);
}

static void test_flipped_everywhere(void **state)
{
	int err;

	(void)state;
	for (size_t i = 0; i < g.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			unsigned int nr;

			g.buf[i] ^= 1 << bit;
			nr = read_all(g.buf, g.len, 4096, &err);
			/* A longer length may also swallow the rest and wait for more. */
			assert_true(err < 0 || (err == 0 && reader.fill));
			assert_true(nr < NR_FRAMES);
			g.buf[i] ^= 1 << bit;
		}
	}
}

static void test_error_is_sticky_and_says_where(void **state)
{
	const uint8_t *p;
	struct frame f;
	size_t len;
	int err;

	(void)state;
	g.buf[g.len - 1] ^= 1;
	assert_int_equal(read_all(g.buf, g.len, 100, &err), NR_FRAMES - 1);
	assert_int_equal(err, -EBADMSG);
	assert_non_null(strstr(reader.why, "frame 8 at byte "));
	assert_non_null(strstr(reader.why, "checksum"));
	g.buf[g.len - 1] ^= 1;
	p = g.buf;
	len = g.len;
	assert_int_equal(frame_reader_next(&reader, &p, &len, &f), -EBADMSG);
}

static int first_frame(struct ktd_frame_hdr *h)
{
	uint8_t buf[sizeof(*h)];
	int err;

	h->crc = 0;
	h->crc = htole32(crc32c(0, h, sizeof(*h)));
	memcpy(buf, h, sizeof(*h));
	read_all(buf, sizeof(buf), sizeof(buf), &err);
	return err;
}

static void test_header_fields(void **state)
{
	struct ktd_frame_hdr good, h;

	(void)state;
	frame_fill_header(&good, KTD_FRAME_ACK, 0, 0, 3);
	h = good;
	assert_int_equal(first_frame(&h), 0);
	h = good;
	h.magic = htole32(0x12345678);
	assert_int_equal(first_frame(&h), -EPROTO);
	h = good;
	h.version = KTD_WIRE_VERSION + 1;
	assert_int_equal(first_frame(&h), -EPROTONOSUPPORT);
	h = good;
	h.len = htole32(KTD_FRAME_MAX_PAYLOAD + 1);
	assert_int_equal(first_frame(&h), -EMSGSIZE);
	h = good;
	h.len = htole32(~0u);
	assert_int_equal(first_frame(&h), -EMSGSIZE);
	h = good;
	h.seq = htole32(1);
	assert_int_equal(first_frame(&h), -EILSEQ);
	assert_non_null(strstr(reader.why, "sequence number 1 where 0 was due"));
	assert_int_equal(frame_reader_peek_type(&reader), KTD_FRAME_ACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_any_piece),
		cmocka_unit_test(test_truncated_everywhere),
		cmocka_unit_test(test_flipped_everywhere),
		cmocka_unit_test(test_error_is_sticky_and_says_where),
		cmocka_unit_test(test_header_fields),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
