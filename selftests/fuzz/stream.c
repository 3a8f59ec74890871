// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>

#include "crc32c.h"
#include "stream.h"
#include "tables.h"
#include "wire.h"

#define HDR sizeof(struct ktd_frame_hdr)
#define MAX_FRAMES 512

struct edit {			/* an input that is being changed */
	uint8_t *data;
	size_t size, max;
	struct dice d;
	size_t at[MAX_FRAMES];	/* where frames begin */
	unsigned int nr;
};

/* ------------------------------------------------------------------------- frames */

static size_t payload_len(const uint8_t *frame, size_t left)
{
	struct ktd_frame_hdr h;

	memcpy(&h, frame, HDR);
	return le32toh(h.len) < left - HDR ? le32toh(h.len) : left - HDR;
}

static void find_frames(struct edit *e, size_t off)
{
	e->nr = 0;
	while (e->nr < MAX_FRAMES && off < e->size && e->size - off >= HDR) {
		e->at[e->nr++] = off;
		off += HDR + payload_len(e->data + off, e->size - off);
	}
}

static size_t frame_len(const struct edit *e, unsigned int i)
{
	return HDR + payload_len(e->data + e->at[i], e->size - e->at[i]);
}

void stream_repair(uint8_t *stream, size_t size)
{
	uint32_t seq = 0;

	for (size_t off = 0; off < size && size - off >= HDR;) {
		struct ktd_frame_hdr h;
		size_t len = payload_len(stream + off, size - off);

		memcpy(&h, stream + off, HDR);
		if (h.type == KTD_FRAME_HELLO && !h.seq)
			seq = 0;
		h.magic = htole32(KTD_WIRE_MAGIC);
		h.version = KTD_WIRE_VERSION;
		h.len = htole32(len);
		h.seq = htole32(seq++);
		h.crc = 0;
		h.crc = htole32(crc32c(crc32c(0, &h, HDR), stream + off + HDR, len));
		memcpy(stream + off, &h, HDR);
		off += HDR + len;
	}
}

/* Puts len bytes in the place of old ones; false when there is no room. */
static bool replace(struct edit *e, size_t at, size_t old, const void *bytes, size_t len)
{
	_cleanup_free_ uint8_t *copy = malloc(len ? len : 1);

	if (!copy || e->size - old + len > e->max)
		return false;
	memcpy(copy, bytes, len);	/* it may come from what moves */
	memmove(e->data + at + len, e->data + at + old, e->size - at - old);
	memcpy(e->data + at, copy, len);
	e->size += len - old;
	return true;
}

static void edit_frames(struct edit *e)
{
	unsigned int i = dice(&e->d, e->nr), to = dice(&e->d, e->nr + 1);
	size_t place = to < e->nr ? e->at[to] : e->at[e->nr - 1] + frame_len(e, e->nr - 1);
	struct ktd_frame_hdr h;

	memcpy(&h, e->data + e->at[i], HDR);
	switch (dice(&e->d, 6)) {
	case 0:
		replace(e, e->at[i], frame_len(e, i), "", 0);
		return;
	case 1:
	case 2:
		replace(e, place, 0, e->data + e->at[i], frame_len(e, i));
		return;
	case 3:
		h.type = dice(&e->d, KTD_FRAME_TAKE + 2);
		break;
	case 4:
		h.table = htole16(dice(&e->d, KTD_TBL_MAX + 1));
		break;
	case 5:
		h.snapshot = htole32(dice(&e->d, 4));
		break;
	}
	memcpy(e->data + e->at[i], &h, HDR);
}

/* ------------------------------------------------------------------------ msgpack */

struct token {
	size_t at, head, body;	/* body: of a string or bin */
	uint32_t children;	/* of an array */
	bool bytes;
};

static uint64_t big_endian(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

/* The one at this place; false when there is none, or it is not whole. */
static bool token_at(const uint8_t *p, size_t left, struct token *t)
{
	static const uint8_t numbers[] = { 4, 8, 1, 2, 4, 8, 1, 2, 4, 8 };	/* 0xca to 0xd3 */
	uint8_t c = left ? p[0] : 0xc1;

	*t = (struct token){ .head = 1 };
	if ((c & 0xf0) == 0x90) {
		t->children = c & 15;
	} else if ((c & 0xe0) == 0xa0) {
		t->body = c & 31;
		t->bytes = true;
	} else if (c >= 0xca && c <= 0xd3) {
		t->head += numbers[c - 0xca];
	} else if ((c >= 0xc4 && c <= 0xc6) || (c >= 0xd9 && c <= 0xdb)) {
		t->head += 1 << (c >= 0xd9 ? c - 0xd9 : c - 0xc4);
		t->bytes = true;
	} else if (c == 0xdc || c == 0xdd) {
		t->head += c == 0xdc ? 2 : 4;
	} else if (c >= 0x80 && c < 0xe0 && (c < 0xc0 || c == 0xc1 || c > 0xc3)) {
		return false;
	}
	if (t->head > left)
		return false;
	if (c == 0xdc || c == 0xdd)
		t->children = big_endian(p + 1, t->head - 1);
	else if (t->bytes && t->head > 1)
		t->body = big_endian(p + 1, t->head - 1);
	return t->body <= left - t->head;
}

/* Length of the element with all that is in it, 0 when it is not whole. */
static size_t element_len(const uint8_t *p, size_t left)
{
	uint64_t due = 1;
	size_t off = 0;
	struct token t;

	for (; due; due--) {
		if (!token_at(p + off, left - off, &t))
			return 0;
		off += t.head + t.body;
		due += t.children;
	}
	return off;
}

/* One of the tokens of a frame, at random. */
static bool pick_token(struct edit *e, unsigned int frame, struct token *ret)
{
	size_t start = e->at[frame] + HDR, end = e->at[frame] + frame_len(e, frame);
	unsigned int nr = 0;
	struct token t;

	for (size_t off = start; off < end && token_at(e->data + off, end - off, &t);
	     off += t.head + t.body) {
		if (dice(&e->d, ++nr))
			continue;
		*ret = t;
		ret->at = off;
	}
	return nr;
}

static size_t put_number(uint8_t *p, uint64_t v, unsigned int code)
{
	size_t len = 1 << (code & 3);	/* 0xcc to 0xcf, and 0xd0 to 0xd3 */

	p[0] = 0xcc + code;
	for (size_t i = 0; i < len; i++)
		p[1 + i] = v >> (8 * (len - 1 - i));
	return 1 + len;
}

/* A number near a power of two, or a constant. */
static size_t put_odd(struct dice *d, uint8_t *p)
{
	static const uint8_t constants[] = { 0xc0, 0xc2, 0xc3, 0, 1, 2, 127, 0xff, 0xe0, 0x90, 0xa0 };
	uint64_t v = 1ULL << dice(d, 64);

	if (dice(d, 3) == 0) {
		p[0] = constants[dice(d, sizeof(constants))];
		return 1;
	}
	v += dice(d, 5) - 2ULL;
	if (dice(d, 4) == 0)
		v = -v;
	return put_number(p, v, dice(d, 3) ? 3 : dice(d, 8));
}

/* Text or bytes with other ones in it. */
static size_t mutate_bytes(const uint8_t *from, const struct token *t, uint8_t *to, size_t room)
{
	bool bin = from[0] >= 0xc4 && from[0] <= 0xc6;
	size_t len = t->body < room - 3 ? t->body : room - 3;

	memcpy(to + 3, from + t->head, len);
	len = LLVMFuzzerMutate(to + 3, len, room - 3 < 0xffff ? room - 3 : 0xffff);
	to[0] = bin ? 0xc5 : 0xda;
	to[1] = len >> 8;
	to[2] = len;
	return 3 + len;
}

/* Changes one element of a frame; how many bytes it has more now. */
static long edit_element(struct edit *e, unsigned int i)
{
	size_t before = e->size, room = KTD_FRAME_MAX_PAYLOAD, len, other_len;
	_cleanup_free_ uint8_t *buf = malloc(room);
	struct token t, other;

	if (!buf || !pick_token(e, i, &t))
		return 0;
	len = element_len(e->data + t.at, e->at[i] + frame_len(e, i) - t.at);
	if (!len)
		return 0;
	switch (dice(&e->d, 8)) {
	case 0:
	case 1:
		replace(e, t.at, len, buf, put_odd(&e->d, buf));
		break;
	case 2:
		replace(e, t.at, len, "", 0);
		break;
	case 3:
		replace(e, t.at, 0, e->data + t.at, len);
		break;
	case 4:
	case 5:
		if (t.bytes) {
			replace(e, t.at, len, buf, mutate_bytes(e->data + t.at, &t, buf, room));
			break;
		}
		/* fall through */
	default:
		/* What is somewhere else in the stream: an address, a name, a row. */
		if (!pick_token(e, dice(&e->d, e->nr), &other))
			break;
		other_len = element_len(e->data + other.at, e->size - other.at);
		if (other_len)
			replace(e, t.at, len, e->data + other.at, other_len);
	}
	return (long)e->size - (long)before;
}

static void edit_payload(struct edit *e)
{
	unsigned int i = dice(&e->d, e->nr);
	size_t len = frame_len(e, i) - HDR;
	struct ktd_frame_hdr h;

	len += edit_element(e, i);
	memcpy(&h, e->data + e->at[i], HDR);
	h.len = htole32(len);
	memcpy(e->data + e->at[i], &h, HDR);
}

size_t stream_mutate(uint8_t *data, size_t size, size_t max, size_t prefix, unsigned int seed)
{
	struct edit e = { data, size, max, dice_new(seed), {}, 0 };
	unsigned int n;

	find_frames(&e, prefix);
	if (!e.nr || dice(&e.d, 16) == 0)
		return LLVMFuzzerMutate(data, size, max);
	for (n = 1 + dice(&e.d, 3); n && e.nr; n--) {
		switch (dice(&e.d, 12)) {
		case 0:
			data[dice(&e.d, prefix)] = dice(&e.d, 256);
			break;
		case 1:
		case 2:
			edit_frames(&e);
			break;
		default:
			edit_payload(&e);
		}
		find_frames(&e, prefix);
	}
	if (e.size > prefix && dice(&e.d, 8))
		stream_repair(data + prefix, e.size - prefix);
	return e.size;
}
