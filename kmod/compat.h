/* SPDX-License-Identifier: GPL-2.0-only */
/* The few kernel names that files also compiled by the unit tests need. */
#ifndef KTD_COMPAT_H
#define KTD_COMPAT_H

#ifdef __KERNEL__

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/vmalloc.h>
#include <uapi/linux/btf.h>

#else

#include <errno.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define ALIGN(x, a)		(((x) + (a) - 1) & ~((size_t)(a) - 1))
#define BIT(n)			(1UL << (n))
#define min(a, b)		((a) < (b) ? (a) : (b))
#define min_t(t, a, b)		min((t)(a), (t)(b))
#define noinline		__attribute__((noinline))
#define kvmalloc_array(n, s, f)	calloc((n), (s))
#define kvfree(p)		free(p)
#define scnprintf(b, n, ...) \
	({ int len_ = snprintf((b), (n), __VA_ARGS__); \
	   len_ < (int)(n) ? len_ : (n) ? (int)(n) - 1 : 0; })

#endif

#endif
