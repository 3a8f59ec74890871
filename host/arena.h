/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arenas: 4 GiB that user space and BPF programs share. Pointers in them are user
 * addresses; the kernel finds the same byte at the lower half of such an address behind
 * the start of its own mapping, whatever the size of a page.
 */
#ifndef KTC_ARENA_H
#define KTC_ARENA_H

#include "util.h"

#define ARENA_SPAN (1ULL << 32)	/* bytes; no arena is larger, and every window is so large */

struct arena {
	uint64_t user;		/* user_vm_start, never 0 */
	uint64_t kern;		/* kern_vm_start, 0 unknown */
	bool whole;		/* every page that the guest had is in the snapshot */
};

struct arena_place {
	uint64_t kva;		/* 0: the arena's place in the kernel is not known */
	uint64_t len;		/* bytes from there to the end of the arena */
	bool whole;
};

/*
 * Where an address is: in the first of these arenas whose window has it. bare: it is
 * known to be one of an arena; then it may be its lower half, as the kernel's side stores
 * it, and the arena is the first one. False: not in an arena.
 */
bool arena_find(const struct arena *v, size_t nr, uint64_t addr, bool bare,
		struct arena_place *ret);

#endif
