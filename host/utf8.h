/* SPDX-License-Identifier: GPL-2.0-only */
/* Text from a guest is UTF-8 as a rule but not by promise. */
#ifndef KTC_UTF8_H
#define KTC_UTF8_H

#include "util.h"

#define UTF8_REPLACEMENT	"\xef\xbf\xbd"	/* U+FFFD, for each byte that is none */
#define UTF8_REPLACEMENT_LEN	3

/* Length of the valid UTF-8 sequence at p, 0 when there is none. left is at least 1. */
static inline size_t utf8_len(const unsigned char *p, size_t left)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		n = 2;
	} else if ((p[0] & 0xf0) == 0xe0) {
		n = 3;
		lo = p[0] == 0xe0 ? 0xa0 : lo;	/* overlong */
		hi = p[0] == 0xed ? 0x9f : hi;	/* surrogates */
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		n = 4;
		lo = p[0] == 0xf0 ? 0x90 : lo;	/* overlong */
		hi = p[0] == 0xf4 ? 0x8f : hi;	/* above U+10FFFF */
	} else {
		return 0;
	}
	if (n > left || p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

#endif
