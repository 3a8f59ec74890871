/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which plain numbers are pointers. BPF programs keep pointers in fields that BTF calls
 * u64; their instructions tell what is stored there and how it is used. A field that is
 * missed is shown as a number; a wrong one would be nonsense, so whatever contradicts
 * itself is not a pointer. Programs and BTF come from the guest and may be anything.
 */
#ifndef KTC_CAST_H
#define KTC_CAST_H

#include <linux/bpf.h>
#include <bpf/btf.h>

#include "util.h"

#define CAST_MAX_INSNS	(1U << 20)	/* of one program, as the kernel has it */
#define CAST_MAX_BTFS	1024

struct cast_access {
	uint32_t off, size;
};

struct cast_hit {
	const struct btf *btf;	/* of what it points to */
	uint32_t id;		/* a struct, a union or a forward declaration; 0 unknown */
	bool arena;		/* into an arena; else into the kernel, or not known */
	bool shape;		/* the type was found by the members that are accessed */
	uint32_t size;		/* bytes that were allocated for it, 0 unknown */
	/* Of an unknown type: how it is used. vague: not as one object from its beginning on. */
	bool vague;
	uint32_t nr_accesses;
	const struct cast_access *accesses;	/* in the struct casts */
};

struct cast_field {		/* a finding */
	const struct btf *btf;
	const struct btf_type *owner;	/* innermost struct, union, or section of variables */
	uint32_t owner_id, off;		/* bytes */
	struct cast_hit hit;
};

struct cast_map {
	const struct btf *btf;	/* NULL unknown */
	uint32_t value_type;	/* 0 unknown */
	uint32_t type;		/* enum bpf_map_type */
	uint32_t value_size;
};

struct cast_func {		/* ascending by insn */
	uint32_t insn, id;	/* id: a BTF_KIND_FUNC, 0 unknown */
};

/* What a 64-bit constant is. */
struct cast_place {
	uint32_t map;		/* index into maps */
	bool value;		/* an address in its values, off bytes from the first one */
	uint64_t off;
};

struct cast_name {
	const char *s;
	size_t len;
};

struct cast_prog {
	const struct btf *btf;	/* of its types */
	const struct btf *kernel;	/* of kernel functions and types, NULL unknown */
	const struct bpf_insn *insns;
	size_t nr;
	const struct cast_func *funcs;
	size_t nr_funcs;
	bool linked;		/* calls carry the number of the function (in a kernel) */
	/* The first argument is an array of these parameters: FUNC_PROTO in ctx_btf, or 0. */
	const struct btf *ctx_btf;
	uint32_t ctx_proto;
	const struct cast_map *maps;
	size_t nr_maps;
	/* Both answer false when they do not know. */
	bool (*place)(void *ctx, size_t pc, uint64_t value, struct cast_place *ret);
	bool (*callee)(void *ctx, size_t pc, const struct bpf_insn *insn, struct cast_name *ret);
	void *ctx;
};

struct casts;

struct casts *casts_new(void);
void casts_free(struct casts *c);
static inline void casts_free_p(struct casts **c)
{
	casts_free(*c);
}
#define _cleanup_casts_ _cleanup_(casts_free_p)

/*
 * Take the program in; what it refers to must live until casts_solve(). 0; -EINVAL: it
 * is no program; -E2BIG: too large; -ENOMEM.
 */
int casts_add(struct casts *c, const struct cast_prog *p);
/*
 * Find out. 0, also when programs had to be left out (see casts_left_out()), or -ENOMEM.
 * Programs are not needed any more, BTF is.
 */
int casts_solve(struct casts *c);
/* Programs that took too long. */
size_t casts_left_out(const struct casts *c);

/* A program of this BTF was looked at. */
bool casts_cover(const struct casts *c, const struct btf *btf);
/* After casts_solve(): take over what was found in a BTF that has the same ids. 0, -ENOMEM. */
int casts_adopt(struct casts *c, const struct btf *btf, const struct casts *from);

/* owner: the struct, union or DATASEC that has a u64 at off. */
bool casts_find(const struct casts *c, const struct btf *btf, const struct btf_type *owner,
		uint32_t off, struct cast_hit *ret);

/* "" for none. */
const char *cast_type_name(const struct btf *btf, uint32_t id);
/* The member or variable that a field is, or is an element of. */
const char *cast_member_name(const struct cast_field *f);

/*
 * After casts_solve(): sizes that are allocated one by one of memory that is never freed,
 * ascending, each once.
 */
const uint32_t *casts_sizes(const struct casts *c, size_t *nr_ret);

/* The struct has members where what the field points to is accessed. */
bool cast_fits(const struct cast_hit *hit, const struct btf *btf, uint32_t id);

/* All findings, by BTF, owner and offset. */
const struct cast_field *casts_fields(const struct casts *c, size_t *nr_ret);

#endif
