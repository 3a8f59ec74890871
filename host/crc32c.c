// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "crc32c.h"

#define POLY_REVERSED 0x82f63b78u

static uint32_t table[256];

static void __attribute__((constructor)) fill_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = (c >> 1) ^ (c & 1 ? POLY_REVERSED : 0);
		table[i] = c;
	}
}

/* sparse does not know what it is made of. */
#if defined(__x86_64__) && !defined(__CHECKER__)
#define HAVE_INSTRUCTION
/* The polynomial has an instruction, which takes eight bytes in the time of one. */
static __attribute__((target("sse4.2"))) uint32_t by_instruction(uint32_t crc, const uint8_t *p,
								 size_t len)
{
	uint64_t c = crc, word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		c = __builtin_ia32_crc32di(c, word);
	}
	for (crc = c; len; len--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}
#endif

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len--)
		crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
	return crc;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
#ifdef HAVE_INSTRUCTION
	if (__builtin_cpu_supports("sse4.2"))
		return ~by_instruction(~crc, data, len);
#endif
	return ~by_table(~crc, data, len);
}
