// SPDX-License-Identifier: GPL-2.0-only
/* The module's msgpack writer, as it is, against msgpack-c's reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <msgpack.h>

#include "../../kmod/mpack.h"

static u8 buf[200000];

/* Unpacks what @mp holds; it must be exactly one object. */
static msgpack_unpacked unpack(const struct ktd_mpack *mp)
{
	msgpack_unpacked out;
	size_t off = 0;

	assert_false(mp->full);
	msgpack_unpacked_init(&out);
	assert_int_equal(msgpack_unpack_next(&out, (char *)mp->buf, mp->pos, &off),
			 MSGPACK_UNPACK_SUCCESS);
	assert_int_equal(off, mp->pos);
	return out;
}

static const u64 edges[] = {
	0, 1, 31, 32, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
	0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, INT64_MAX, (u64)INT64_MAX + 1,
	UINT64_MAX,
};

static void unsigned_numbers(void **state)
{
	struct ktd_mpack mp;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		msgpack_unpacked u;

		ktd_mp_init(&mp, buf, sizeof(buf));
		ktd_mp_uint(&mp, edges[i]);
		u = unpack(&mp);
		assert_int_equal(u.data.type, MSGPACK_OBJECT_POSITIVE_INTEGER);
		assert_true(u.data.via.u64 == edges[i]);
		msgpack_unpacked_destroy(&u);
	}
}

static void one_signed(s64 v)
{
	struct ktd_mpack mp;
	msgpack_unpacked u;

	ktd_mp_init(&mp, buf, sizeof(buf));
	ktd_mp_int(&mp, v);
	u = unpack(&mp);
	if (v < 0) {
		assert_int_equal(u.data.type, MSGPACK_OBJECT_NEGATIVE_INTEGER);
		assert_true(u.data.via.i64 == v);
	} else {
		assert_int_equal(u.data.type, MSGPACK_OBJECT_POSITIVE_INTEGER);
		assert_true(u.data.via.u64 == (u64)v);
	}
	msgpack_unpacked_destroy(&u);
}

static void signed_numbers(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		if (edges[i] > INT64_MAX)
			continue;
		one_signed((s64)edges[i]);
		one_signed(-(s64)edges[i]);
		one_signed(-(s64)edges[i] - 1);
	}
}

static void strings_and_bytes(void **state)
{
	static const size_t lens[] = { 0, 1, 31, 32, 255, 256, 65535, 65536 };
	static char text[65536];
	struct ktd_mpack mp;
	unsigned int i;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		msgpack_unpacked u;

		ktd_mp_init(&mp, buf, sizeof(buf));
		ktd_mp_str(&mp, text, lens[i]);
		u = unpack(&mp);
		assert_int_equal(u.data.type, MSGPACK_OBJECT_STR);
		assert_int_equal(u.data.via.str.size, lens[i]);
		assert_memory_equal(u.data.via.str.ptr, text, lens[i]);
		msgpack_unpacked_destroy(&u);

		ktd_mp_init(&mp, buf, sizeof(buf));
		ktd_mp_bin(&mp, text, lens[i]);
		u = unpack(&mp);
		assert_int_equal(u.data.type, MSGPACK_OBJECT_BIN);
		assert_int_equal(u.data.via.bin.size, lens[i]);
		assert_memory_equal(u.data.via.bin.ptr, text, lens[i]);
		msgpack_unpacked_destroy(&u);
	}
}

static void arrays(void **state)
{
	static const u32 counts[] = { 0, 1, 15, 16, 65535, 65536 };
	struct ktd_mpack mp;
	unsigned int i, k;

	(void)state;
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		msgpack_unpacked u;

		ktd_mp_init(&mp, buf, sizeof(buf));
		ktd_mp_array(&mp, counts[i]);
		for (k = 0; k < counts[i]; k++) {
			if (k % 3 == 0)
				ktd_mp_nil(&mp);
			else
				ktd_mp_bool(&mp, k % 3 == 1);
		}
		u = unpack(&mp);
		assert_int_equal(u.data.type, MSGPACK_OBJECT_ARRAY);
		assert_int_equal(u.data.via.array.size, counts[i]);
		for (k = 0; k < counts[i]; k++) {
			const msgpack_object *o = &u.data.via.array.ptr[k];

			if (k % 3 == 0) {
				assert_int_equal(o->type, MSGPACK_OBJECT_NIL);
			} else {
				assert_int_equal(o->type, MSGPACK_OBJECT_BOOLEAN);
				assert_int_equal(o->via.boolean, k % 3 == 1);
			}
		}
		msgpack_unpacked_destroy(&u);
	}
}

/* Nothing is written past any end, and the error sticks. */
/* Bytes that somebody else puts in place, between other values. */
static void bytes_in_place(void **state)
{
	static const size_t lens[] = { 1, 255, 256, 65535 };
	struct ktd_mpack mp;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		const msgpack_object *o;
		msgpack_unpacked u;
		size_t room;
		u8 *p;

		ktd_mp_init(&mp, buf, sizeof(buf));
		ktd_mp_array(&mp, 2);
		p = ktd_mp_bin_open(&mp, &room);
		assert_non_null(p);
		assert_true(room >= lens[i] && room <= 65535);
		memset(p, 0x5a, lens[i]);
		p[lens[i] - 1] = 0xa5;
		ktd_mp_bin_close(&mp, lens[i]);
		ktd_mp_uint(&mp, 7);
		u = unpack(&mp);
		assert_int_equal(u.data.type, MSGPACK_OBJECT_ARRAY);
		o = u.data.via.array.ptr;
		assert_int_equal(o[0].type, MSGPACK_OBJECT_BIN);
		assert_int_equal(o[0].via.bin.size, lens[i]);
		assert_int_equal((u8)o[0].via.bin.ptr[lens[i] - 1], 0xa5);
		assert_int_equal(o[1].via.u64, 7);
		msgpack_unpacked_destroy(&u);
	}

	/* the room ends where the buffer does; no room for the length, no place */
	for (i = 0; i < 8; i++) {
		size_t room = 99;
		u8 *p;

		ktd_mp_init(&mp, buf, i);
		p = ktd_mp_bin_open(&mp, &room);
		assert_int_equal(p != NULL, i >= 3);
		assert_int_equal(mp.full, i < 3);
		if (p)
			assert_int_equal(room, i - 3);
	}
}

static void no_room(void **state)
{
	u8 small[64];
	size_t room;

	(void)state;
	for (room = 0; room < 40; room++) {
		struct ktd_mpack mp;

		memset(small, 0xee, sizeof(small));
		ktd_mp_init(&mp, small, room);
		ktd_mp_array(&mp, 3);
		ktd_mp_uint(&mp, UINT64_MAX);
		ktd_mp_str(&mp, "0123456789012345", 16);
		ktd_mp_int(&mp, INT64_MIN);
		/* 1 + 9 + 17 + 9 bytes */
		assert_int_equal(mp.full, room < 36);
		assert_true(mp.pos <= room);
		assert_int_equal(small[room], 0xee);
		if (mp.full) {
			size_t pos = mp.pos;

			ktd_mp_nil(&mp);
			assert_int_equal(mp.pos, pos);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsigned_numbers),
		cmocka_unit_test(signed_numbers),
		cmocka_unit_test(strings_and_bytes),
		cmocka_unit_test(arrays),
		cmocka_unit_test(bytes_in_place),
		cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
