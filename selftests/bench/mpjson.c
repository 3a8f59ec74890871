// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a stream costs that is only turned into JSON: every msgpack object of a recording,
 * as it comes, on standard output. Nothing is checked, looked up, kept or rendered; the
 * yardstick for ktcollect, which does all of that.
 *
 *   mpjson STREAM >JSON
 *
 * JSON has no bytes, so these become hexadecimal digits: two characters a byte, the
 * shortest and cheapest form that loses nothing. An array of numbers, which ktstr's format
 * has for pages of arenas, would be twice as long and make the yardstick slower.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "wire.h"

#define ROOM	(256 * 1024)
#define DIGITS	24

static char buf[ROOM];
static size_t fill;

static void die(const char *what)
{
	fprintf(stderr, "mpjson: %s\n", what);
	exit(1);
}

static void flush(void)
{
	if (fwrite(buf, 1, fill, stdout) != fill)
		die("cannot write");
	fill = 0;
}

/* len bytes of room; at most ROOM. */
static inline char *reserve(size_t len)
{
	if (len > ROOM - fill)
		flush();
	return buf + fill;
}

static inline void put_char(char c)
{
	*reserve(1) = c;
	fill++;
}

static void put_word(const char *s)
{
	size_t len = strlen(s);

	memcpy(reserve(len), s, len);
	fill += len;
}

static void put_number(uint64_t v, const char *sign)
{
	char digits[DIGITS], *end = digits + sizeof(digits), *p = end;

	do {
		*--p = '0' + v % 10;
		v /= 10;
	} while (v);
	put_word(sign);
	memcpy(reserve(DIGITS), p, end - p);
	fill += end - p;
}

static char pairs[256][2];

static void fill_pairs(void)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 256; i++) {
		pairs[i][0] = digits[i >> 4];
		pairs[i][1] = digits[i & 15];
	}
}

/* A row, so what is in it too, is shorter than a frame. */
static void put_bytes(const char *s, size_t len)
{
	char *p = reserve(2 * len + 2);

	*p++ = '"';
	for (size_t i = 0; i < len; i++, p += 2)
		memcpy(p, pairs[(uint8_t)s[i]], 2);
	*p++ = '"';
	fill = p - buf;
}

static void put_string(const char *s, size_t len)
{
	/* \u0000 for each of them is the most. */
	char *p = reserve(6 * len + 2);

	*p++ = '"';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];

		if (c < 0x20) {
			memcpy(p, "\\u00", 4);
			memcpy(p + 4, pairs[c], 2);
			p += 6;
			continue;
		}
		if (c == '"' || c == '\\')
			*p++ = '\\';
		*p++ = c;
	}
	*p++ = '"';
	fill = p - buf;
}

static void put_object(const msgpack_object *o)
{
	switch (o->type) {
	case MSGPACK_OBJECT_NIL:
		put_word("null");
		break;
	case MSGPACK_OBJECT_BOOLEAN:
		put_word(o->via.boolean ? "true" : "false");
		break;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		put_number(o->via.u64, "");
		break;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		put_number(-(uint64_t)o->via.i64, "-");
		break;
	case MSGPACK_OBJECT_STR:
		put_string(o->via.str.ptr, o->via.str.size);
		break;
	case MSGPACK_OBJECT_BIN:
		put_bytes(o->via.bin.ptr, o->via.bin.size);
		break;
	case MSGPACK_OBJECT_ARRAY:
		put_char('[');
		for (uint32_t i = 0; i < o->via.array.size; i++) {
			if (i)
				put_char(',');
			put_object(&o->via.array.ptr[i]);
		}
		put_char(']');
		break;
	default:
		die("the wire has no such type");
	}
}

static void put_payload(msgpack_zone *zone, const char *data, size_t len)
{
	size_t off = 0;

	while (off < len) {
		msgpack_object row;
		msgpack_unpack_return ret = msgpack_unpack(data, len, &off, zone, &row);

		if (ret != MSGPACK_UNPACK_SUCCESS && ret != MSGPACK_UNPACK_EXTRA_BYTES)
			die("a row is not well-formed");
		put_object(&row);
		put_char('\n');
	}
	msgpack_zone_clear(zone);
}

int main(int argc, char **argv)
{
	static char payload[KTD_FRAME_MAX_PAYLOAD];
	msgpack_zone *zone = msgpack_zone_new(64 * 1024);
	FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
	struct ktd_frame_hdr h;

	if (!f || !zone)
		die(argc == 2 ? "cannot read it" : "usage: mpjson STREAM");
	setvbuf(stdout, NULL, _IONBF, 0);
	fill_pairs();
	while (fread(&h, sizeof(h), 1, f) == 1) {
		if (h.magic != KTD_WIRE_MAGIC || h.len > sizeof(payload) ||
		    fread(payload, 1, h.len, f) != h.len)
			die("no frame");
		put_payload(zone, payload, h.len);
	}
	flush();
	return 0;
}
