/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTC_CRC32C_H
#define KTC_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli) as in iSCSI: initial value and final value inverted, so
 * that "123456789" gives 0xe3069283. Start with crc 0; to go on over a second
 * piece pass the result of the first.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
