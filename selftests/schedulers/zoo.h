/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the map zoo's scheduler and its loader share: the types of the values and the
 * formulas that fill them.  selftests/tests/_zoo.py knows the same formulas in its own
 * words, and that is what a report is held against: change both.
 */
#ifndef KTDUMP_SELFTESTS_ZOO_H
#define KTDUMP_SELFTESTS_ZOO_H

#ifndef __bpf__
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef long long s64;
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
#endif

/* Seeds begin with the number of the map, so that no two maps have the same values. */
enum zoo_map {
	ZOO_ARRAY = 1, ZOO_ARRAY_MULTI, ZOO_ARRAY_MMAP, ZOO_PERCPU_ARRAY, ZOO_HASH, ZOO_HASH_NOPRE,
	ZOO_LRU, ZOO_PERCPU_HASH, ZOO_PERCPU_HASH_NOPRE, ZOO_LRU_PERCPU, ZOO_BIG, ZOO_TASK, ZOO_CGRP,
	ZOO_INODE, ZOO_SK, ZOO_BSS, ZOO_DATA, ZOO_RODATA, ZOO_DATA_X, ZOO_RINGBUF, ZOO_USER_RINGBUF,
	ZOO_QUEUE, ZOO_STACK, ZOO_BLOOM, ZOO_LPM, ZOO_ARENA, ZOO_CGROUP_STORAGE,
	ZOO_PERCPU_CGROUP_STORAGE, ZOO_RHASH, ZOO_KPTR, ZOO_INNER, ZOO_FOREIGN,
};

/* How many elements each map gets; max_entries is larger where that matters. */
enum {
	N_MULTI = 7, N_MMAP = 3, N_PERCPU_ARRAY = 5, N_HASH = 40, N_HASH_NOPRE = 100, N_LRU = 30,
	N_PERCPU_HASH = 20, N_BIG = 10000, N_OWNERS = 4, N_LPM = 20, N_BLOOM = 50, N_RHASH = 60,
	N_KPTR = 4, N_INNER = 3,
	QUEUE_ROOM = 8, STACK_ROOM = 8,
	/* Bytes of the ring buffers, and how many records are gone through before the test. */
	RING_BYTES = 4096, RING_CONSUMED = 100, USER_RING_DRAINED = 90,
	ARENA_MAX_PAGES = 8192, ARENA_PAGES = 2999,
};

enum zoo_color { ZOO_RED = -3, ZOO_GREEN = 0, ZOO_BLUE = 7, ZOO_MOST = 0x7fffffff };
enum zoo_flag { ZOO_FLAG_ONE = 1, ZOO_FLAG_TWO = 2, ZOO_FLAG_TOP = 0xfffffff0 };
enum zoo_tiny { ZOO_TINY_NEG = -1, ZOO_TINY_ZERO, ZOO_TINY_FIVE = 5 } __attribute__((packed));
enum zoo_wide { ZOO_WIDE_NEG = -(1LL << 40), ZOO_WIDE_ZERO = 0, ZOO_WIDE_POS = 1LL << 41 };
enum zoo_uwide { ZOO_UWIDE_ONE = 1, ZOO_UWIDE_TOP = 0xfedcba9876543210ULL };

/* For bit-fields: every value fits. */
enum zoo_step { ZOO_DOWN = -3, ZOO_STAY = 0, ZOO_UP = 6 };
enum zoo_mode { ZOO_OFF, ZOO_ON, ZOO_AUTO };

struct zoo_ints {
	s8 a8;
	s16 a16;
	s32 a32;
	s64 a64;
	u8 b8;
	u16 b16;
	u32 b32;
	u64 b64;
	char c;
	bool yes;
	bool no;
	__int128 a128;
	unsigned __int128 b128;
};

struct zoo_bits {
	u32 a : 3;
	s32 b : 5;
	u32 c : 1;
	s32 d : 17;
	u64 e : 33;
	s64 f : 20;
	u64 g : 11;
	enum zoo_step step : 4;
	enum zoo_mode mode : 2;
	bool on : 1;
	u8 : 3;
	bool off : 1;
	u8 tail : 7;
};

struct zoo_enums {
	enum zoo_color color, odd_color;
	enum zoo_flag flag;
	enum zoo_tiny tiny;
	enum zoo_wide wide;
	enum zoo_uwide uwide;
};

struct zoo_packed {
	u8 a;
	u32 b;
	u64 c;
	s16 d;
} __attribute__((packed));

struct zoo_pair {
	u32 left;
	s16 right;
};

union zoo_union {
	u64 whole;
	s32 half[2];
	struct zoo_pair pair;
};

typedef u32 zoo_typedef;

/* One of everything that BTF can say about a value without floats. */
struct zoo_all {
	struct zoo_ints ints;
	struct zoo_bits bits;
	struct zoo_enums enums;
	struct {
		u32 anon_first;
		union {
			u32 anon_word;
			u8 anon_bytes[4];
			struct {
				s16 anon_low;
				u16 anon_high;
			};
		};
	};
	struct {
		u16 x;
		struct {
			s8 deep;
			u8 deeper[2];
		} inner;
	} nameless;
	union zoo_union u;
	struct zoo_packed packed;
	struct zoo_pair pairs[3];
	s16 grid[2][3];
	char text[16];
	u8 raw[5];
	bool flags[3];
	const volatile zoo_typedef qualified;
	void *ptr;
	struct zoo_all *self;
	int (*fn)(int);
};

struct zoo_small {
	u64 a;
	s32 b;
	u16 c;
	char name[10];
};

struct zoo_key {
	u32 id;
	s32 minus;
};

struct zoo_lpm_key {
	u32 prefixlen;
	u8 addr[4];
};

struct zoo_event {
	u32 nr;
	s32 minus;
	u64 v[3];
};

static inline __attribute__((always_inline)) u64 zoo_mix(u64 seed, u64 n)
{
	u64 x = seed * 0x9e3779b97f4a7c15ULL + n * 0xbf58476d1ce4e5b9ULL;

	x ^= x >> 31;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 29;
}

static inline __attribute__((always_inline)) u64 zoo_seed(u32 map, u32 cpu, u32 key)
{
	return (u64)map << 48 | (u64)cpu << 32 | key;
}

static inline __attribute__((always_inline)) void zoo_small(struct zoo_small *v, u64 seed)
{
	u64 n = zoo_mix(seed, 3);

	v->a = zoo_mix(seed, 0);
	v->b = zoo_mix(seed, 1);
	v->c = zoo_mix(seed, 2);
	/* "zoo-xx", two letters of 26 */
	v->name[0] = 'z';
	v->name[1] = 'o';
	v->name[2] = 'o';
	v->name[3] = '-';
	v->name[4] = 'a' + n % 26;
	v->name[5] = 'a' + (n >> 8) % 26;
	v->name[6] = v->name[7] = v->name[8] = v->name[9] = 0;
}

static inline __attribute__((always_inline)) void zoo_event(struct zoo_event *e, u64 seed, u32 nr)
{
	e->nr = nr;
	e->minus = -(s32)nr;
	e->v[0] = zoo_mix(seed, nr);
	e->v[1] = zoo_mix(seed, nr + 1000);
	e->v[2] = zoo_mix(seed, nr + 2000);
}

#endif
