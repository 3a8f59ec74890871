/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structs of a given name among the global variables of the guest's programs, which lie
 * in maps whose value is a section: variables, members and elements of them, and what
 * variables of pointer type lead to.
 */
#ifndef KTC_GLOBAL_H
#define KTC_GLOBAL_H

#include "map.h"

struct global {
	const char *name;	/* "var", "var.member", "var[3].member"; only for the call */
	const struct btf *btf;
	const struct btf_type *t;	/* the struct, with its body */
	uint64_t kva;
	const struct map *map;	/* that the variable is in */
	const struct arena *arenas;	/* of its programs */
	size_t nr_arenas;
};

enum globals_result {
	GLOBALS_DONE,
	GLOBALS_CUT,		/* there was too much to look at */
};

/*
 * Calls found() for each, those that are variables or in one first, in the order of maps
 * and sections, each address once. found() returns false when it has enough.
 */
enum globals_result globals_find(struct report *r, const char *type,
				 bool (*found)(void *ctx, const struct global *g), void *ctx);

/*
 * Offset and, when size_ret is not NULL, bytes of a member, also of one in an anonymous
 * struct or union; false: t has none of that name at a whole byte.
 */
bool global_member(const struct btf *btf, const struct btf_type *t, const char *name,
		   uint64_t *off_ret, uint64_t *size_ret);
/* The struct of that name that this BTF, and not the kernel's below it, has; 0: none. */
uint32_t global_struct(const struct btf *btf, const char *name);

#endif
