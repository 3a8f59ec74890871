/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * msgpack writer into a fixed buffer.
 *
 * The error state is sticky: after the first value that does not fit nothing
 * more is written and ->full stays set, so a caller checks once, at the end of
 * a row. No allocation, no lock: usable in NMI. The same file is compiled for
 * userland by the unit tests.
 */
#ifndef KTD_MPACK_H
#define KTD_MPACK_H

#include "compat.h"

struct ktd_mpack {
	u8	*buf;
	size_t	pos;	/* bytes written */
	size_t	end;	/* bytes usable */
	bool	full;
};

void ktd_mp_init(struct ktd_mpack *mp, void *buf, size_t size);
void ktd_mp_nil(struct ktd_mpack *mp);
void ktd_mp_bool(struct ktd_mpack *mp, bool v);
void ktd_mp_uint_long(struct ktd_mpack *mp, u64 v);

/* Most numbers are small. */
static inline void ktd_mp_uint(struct ktd_mpack *mp, u64 v)
{
	if (v < 0x80 && mp->pos < mp->end && !mp->full)
		mp->buf[mp->pos++] = (u8)v;
	else
		ktd_mp_uint_long(mp, v);
}

void ktd_mp_int(struct ktd_mpack *mp, s64 v);
void ktd_mp_str(struct ktd_mpack *mp, const char *s, size_t len);
void ktd_mp_bin(struct ktd_mpack *mp, const void *p, size_t len);

/*
 * Bytes that the caller puts in place itself: *@room of them may follow at the
 * returned place (NULL if there is no room at all); then ktd_mp_bin_close().
 */
u8 *ktd_mp_bin_open(struct ktd_mpack *mp, size_t *room);
void ktd_mp_bin_close(struct ktd_mpack *mp, size_t len);

void ktd_mp_array(struct ktd_mpack *mp, u32 count);

#endif
