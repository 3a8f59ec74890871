// SPDX-License-Identifier: GPL-2.0-only
/* msgpack writer, see mpack.h and the msgpack specification's format list. */
#ifdef __KERNEL__
#include <linux/string.h>
#include <linux/unaligned.h>
#else
#include <string.h>
#define put_unaligned_be16(v, p) mp_put_be((p), (v), 2)
#define put_unaligned_be32(v, p) mp_put_be((p), (v), 4)
#define put_unaligned_be64(v, p) mp_put_be((p), (v), 8)
#endif
#include "mpack.h"

#ifndef __KERNEL__
static void mp_put_be(u8 *p, u64 v, unsigned int n)
{
	while (n--) {
		p[n] = (u8)v;
		v >>= 8;
	}
}
#endif

void ktd_mp_init(struct ktd_mpack *mp, void *buf, size_t size)
{
	mp->buf = buf;
	mp->pos = 0;
	mp->end = size;
	mp->full = false;
}

/* Room for @len bytes, or NULL and the sticky ->full. */
static u8 *mp_room(struct ktd_mpack *mp, size_t len)
{
	u8 *p;

	if (mp->full || len > mp->end - mp->pos) {
		mp->full = true;
		return NULL;
	}
	p = mp->buf + mp->pos;
	mp->pos += len;
	return p;
}

static void mp_tag(struct ktd_mpack *mp, u8 tag)
{
	u8 *p = mp_room(mp, 1);

	if (p)
		*p = tag;
}

/* A tag and a big-endian number of @n bytes. */
static void mp_tag_num(struct ktd_mpack *mp, u8 tag, u64 v, unsigned int n)
{
	u8 *p = mp_room(mp, 1 + n);

	if (!p)
		return;
	*p++ = tag;
	switch (n) {
	case 1:
		*p = (u8)v;
		break;
	case 2:
		put_unaligned_be16((u16)v, p);
		break;
	case 4:
		put_unaligned_be32((u32)v, p);
		break;
	default:
		put_unaligned_be64(v, p);
		break;
	}
}

void ktd_mp_nil(struct ktd_mpack *mp)
{
	mp_tag(mp, 0xc0);
}

void ktd_mp_bool(struct ktd_mpack *mp, bool v)
{
	mp_tag(mp, v ? 0xc3 : 0xc2);
}

/*
 * The tag and 8 bytes in one go where there is room for them, of which the first ones count:
 * nearly all that is written are such numbers.
 */
static bool mp_num_fast(struct ktd_mpack *mp, u8 tag, u64 v, unsigned int log)
{
	u8 *p = mp->buf + mp->pos;

	if (mp->full || mp->end - mp->pos < 9)
		return false;
	p[0] = tag + log;
	put_unaligned_be64(v << (64 - (8u << log)), p + 1);
	mp->pos += 1 + (1u << log);
	return true;
}

/* @tag: of the form with one byte; those with 2, 4 and 8 come behind it. */
static void mp_num(struct ktd_mpack *mp, u8 tag, u64 v, unsigned int log)
{
	if (!mp_num_fast(mp, tag, v, log))
		mp_tag_num(mp, tag + log, v, 1u << log);
}

void ktd_mp_uint_long(struct ktd_mpack *mp, u64 v)
{
	if (v < 0x80)
		mp_tag(mp, (u8)v);
	else
		mp_num(mp, 0xcc, v, v <= 0xff ? 0 : v <= 0xffff ? 1 : v <= 0xffffffffu ? 2 : 3);
}

void ktd_mp_int(struct ktd_mpack *mp, s64 v)
{
	if (v >= 0)
		ktd_mp_uint(mp, (u64)v);
	else if (v >= -32)
		mp_tag(mp, (u8)v);
	else
		mp_num(mp, 0xd0, (u64)v,
		       v >= -0x80 ? 0 : v >= -0x8000 ? 1 : v >= -0x80000000LL ? 2 : 3);
}

static void mp_bytes(struct ktd_mpack *mp, const void *src, size_t len)
{
	u8 *p = mp_room(mp, len);

	if (p)
		memcpy(p, src, len);
}

void ktd_mp_str(struct ktd_mpack *mp, const char *s, size_t len)
{
	if (len < 32)
		mp_tag(mp, 0xa0 | (u8)len);
	else if (len <= 0xff)
		mp_tag_num(mp, 0xd9, len, 1);
	else if (len <= 0xffff)
		mp_tag_num(mp, 0xda, len, 2);
	else
		mp_tag_num(mp, 0xdb, len, 4);
	mp_bytes(mp, s, len);
}

void ktd_mp_bin(struct ktd_mpack *mp, const void *p, size_t len)
{
	if (len <= 0xff)
		mp_tag_num(mp, 0xc4, len, 1);
	else if (len <= 0xffff)
		mp_tag_num(mp, 0xc5, len, 2);
	else
		mp_tag_num(mp, 0xc6, len, 4);
	mp_bytes(mp, p, len);
}

/* Always of the form with a length of 16 bits: it is not known yet. */
u8 *ktd_mp_bin_open(struct ktd_mpack *mp, size_t *room)
{
	mp_tag_num(mp, 0xc5, 0, 2);
	if (mp->full)
		return NULL;
	*room = mp->end - mp->pos;
	if (*room > 0xffff)
		*room = 0xffff;
	return mp->buf + mp->pos;
}

void ktd_mp_bin_close(struct ktd_mpack *mp, size_t len)
{
	put_unaligned_be16((u16)len, mp->buf + mp->pos - 2);
	mp->pos += len;
}

void ktd_mp_array(struct ktd_mpack *mp, u32 count)
{
	if (count < 16)
		mp_tag(mp, 0x90 | (u8)count);
	else if (count <= 0xffff)
		mp_tag_num(mp, 0xdc, count, 2);
	else
		mp_tag_num(mp, 0xdd, count, 4);
}
