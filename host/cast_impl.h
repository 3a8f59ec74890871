/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the analysis share, see cast.c. */
#ifndef KTC_CAST_IMPL_H
#define KTC_CAST_IMPL_H

#include <errno.h>

#include "cast.h"
#include "render.h"

#define NR_REGS		16	/* what 4 bits can name; the verifier uses some above r10 itself */
#define FP_REG		10
#define NR_SLOTS	72	/* of 8 bytes; 512 bytes, and what the verifier adds */
#define MAX_NEST	16

/* Since 6.10 and later; the build machine's headers may be older. */
#define JUMP_TAIL_CALL	0xf0
#define PSEUDO_FUNC	4

enum kind {
	V_UNKNOWN,
	V_NUM,		/* no pointer: a multiple of ext, 0 for anything */
	V_CONST,	/* off */
	V_PTR,		/* off bytes into an object of type btf, id; ext: class + 1 it came from */
	V_CLASS,	/* what was read from a field or allocated: ext; off bytes were added */
	V_FRAME,	/* off; low: somewhere in it */
	V_CTX,		/* off */
	V_MAP,		/* map ext, off */
	V_ELEM,		/* an element of hash map ext, its key comes first */
	V_PERCPU,	/* map ext: off 0 where the per-CPU pointer is, 1 the pointer itself */
	V_CPU_CONST,	/* a per-CPU variable of the kernel */
};

struct val {
	uint8_t kind;
	uint8_t low;	/* PTR, CLASS: the lower 32 bits only, as the kernel uses arenas */
	uint8_t arena;	/* PTR: certainly into an arena */
	uint8_t pad;
	uint32_t btf;
	uint32_t id;
	int32_t off;
	uint32_t ext;
};

struct state {
	struct val r[NR_REGS], s[NR_SLOTS];
};

struct answer {			/* what a class is known to be */
	uint32_t btf, id;
	bool known, arena, shape;
	uint32_t size;
	bool vague;
};

struct class {			/* a field, or a place where arena memory comes from */
	uint32_t btf, id, off;	/* id 0: a place, of program btf at instruction off */
	/* evidence of this pass */
	bool typed, number, clash, arena, many, vague;
	uint32_t t_btf, t_id;
	uint32_t nr;
	struct cast_access *accesses;
	uint32_t size;		/* of the allocations that are in it, 0 unknown */
	/* of the pass before; of all passes */
	struct answer now;
	bool banned, sizes;	/* sizes: several, or who knows which */
};

struct edge {			/* what is in from was stored into to */
	uint32_t to, from;
};

struct types {			/* a BTF that is met */
	const struct btf *btf;
	uint32_t *canon;	/* by id: 1 none, else 1 + id in the kernel's; 0 not looked up */
	uint32_t nr;
};

struct name_index {		/* structs, unions and functions of the kernel by name */
	const struct btf *btf;
	uint32_t *bucket, *next;
	uint32_t mask;
};

enum call_kind {
	CALL_UNKNOWN,
	CALL_SUB,	/* func */
	CALL_LOOKUP,	/* r0 is a value of the map in r1 */
	CALL_ELEM,	/* r0 is an element of it */
	CALL_UPDATE,	/* what r3 points to becomes a value of it */
	CALL_ALLOC,	/* r0 is memory of an arena */
	CALL_TYPED,	/* r0 is what the function is declared to return */
	CALL_NUMBER,
};

struct call {
	uint8_t kind;
	bool reads;		/* does not write to memory that it is given */
	uint32_t func;
	uint32_t btf, id;	/* TYPED: what r0 points to */
	const struct btf_type *proto;	/* of a kfunc, NULL unknown */
	uint32_t proto_btf;
	uint32_t next;		/* call of the same function + 1 */
	uint32_t block;
};

/* The schedulers' allocators: what they return is in an arena. */
enum gives {
	GIVES_NOTHING,
	GIVES_SLOT,	/* of the size that its allocator has */
	GIVES_BYTES,	/* as many as the first argument says */
};

struct func {
	uint32_t start, end, id;
	bool entered, returns, global;
	uint8_t gives;		/* enum gives */
	uint32_t calls;		/* list of calls + 1 */
	struct val args[5];	/* what callers bring */
	struct val ret;
};

struct block {
	uint32_t start, end, func;
	bool queued;
	struct state *in;	/* NULL: not reached */
};

struct prog {
	struct cast_prog in;
	uint32_t btf, kernel, ctx_btf;	/* indexes of types; UINT32_MAX none */
	bool left_out;			/* it took too long, or is none */
};

struct casts {
	struct prog *progs;
	size_t nr_progs, room_progs;
	struct types *types;
	size_t nr_types, room_types;
	struct name_index names;
	struct class *classes;
	size_t nr_classes, room_classes;
	uint32_t *hash;			/* class + 1 */
	uint32_t hash_mask;
	struct edge *edges;
	size_t nr_edges, room_edges;
	struct cast_field *fields;
	size_t nr_fields;
	uint32_t *sizes;		/* of allocations, see casts_sizes() */
	size_t nr_sizes, room_sizes;
	const struct cast_map *maps;	/* those whose BTF is known already */
	size_t nr_insns;
	int64_t steps;			/* that are left for all */
};

/* The walk over one program. */
struct walk {
	struct casts *c;
	struct prog *p;
	uint32_t nr_prog;
	int64_t steps;			/* that are left */
	int error;
	bool record;			/* states are final: note the evidence */
	bool leaked;			/* an address of the stack may be anywhere */
	uint32_t *block_of;		/* by instruction: block + 1 where one starts */
	struct block *blocks;
	size_t nr_blocks, reached;
	struct func *funcs;
	size_t nr_funcs;
	struct call *calls;
	size_t nr_calls;
	uint32_t *call_of;		/* by instruction: call + 1 */
	uint32_t *queue;		/* of blocks, each at most once */
	size_t head, nr_queue;
	struct state st;
	uint32_t func;			/* where st is */
};

/* Room for one more; false without memory. */
static inline bool cast_grow(void *array, size_t nr, size_t *room, size_t size)
{
	size_t n = *room ? *room * 2 : 64;
	void *v;

	if (nr < *room)
		return true;
	v = reallocarray(*(void **)array, n, size);
	if (!v)
		return false;
	*(void **)array = v;
	*room = n;
	return true;
}

static inline bool cast_spend(struct walk *w, int64_t steps)
{
	w->steps -= steps;
	if (w->steps > 0)
		return true;
	w->error = -E2BIG;
	return false;
}

/* ---------------------------------------------------------------------- cast_type.c */

/* What lies at an offset: the innermost aggregate, where in it, and of which type. */
struct spot {
	uint32_t owner, off;
	uint32_t leaf_id;
	const struct btf_type *leaf;
	uint64_t size;
};

static inline bool cast_is_composite(const struct btf_type *t)
{
	return t && (btf_kind(t) == BTF_KIND_STRUCT || btf_kind(t) == BTF_KIND_UNION);
}

static inline bool cast_is_u64(const struct btf_type *t)
{
	return t && btf_kind(t) == BTF_KIND_INT && t->size == 8 && !btf_int_encoding(t) &&
	       btf_int_bits(t) == 64 && !btf_int_offset(t);
}

/* "" for none. */
const char *cast_name_at(const struct btf *btf, uint32_t off);
bool cast_size_of(const struct btf *btf, uint32_t id, uint64_t *ret);

/*
 * The scalar of this size at off in type id, all of it. owner, owner_off: what to say when
 * it is in no aggregate.
 */
bool cast_locate(struct walk *w, const struct btf *btf, uint32_t owner, uint32_t owner_off,
		 uint32_t id, uint64_t off, uint64_t size, int depth, struct spot *ret);
/* From a section to the variable at off: its type, and where in it. */
bool cast_variable_at(struct walk *w, const struct btf *btf, uint32_t *id, uint64_t *off);
/*
 * The element that off lies in, of the outermost array whose elements a step of so many
 * bytes cannot miss. False: there is none that has members.
 */
bool cast_element_at(struct walk *w, const struct btf *btf, uint32_t *id, uint64_t *off,
		     uint64_t step);

int cast_names_build(struct name_index *x, const struct btf *btf);
/* 0 when there is none. Of several functions of that name none is meant. */
uint32_t cast_names_find(const struct name_index *x, const char *s, size_t len,
			 unsigned int kind);
/* The kernel's type that a program means by its own one, 0 none. id: a struct or union. */
uint32_t cast_canonical(struct walk *w, uint32_t btf, uint32_t id);

/* --------------------------------------------------------------------- cast_class.c */

/* Index of a class, made if new; UINT32_MAX when there is no room. */
uint32_t cast_class_of(struct walk *w, uint32_t btf, uint32_t id, uint32_t off);
/* What is read from it. */
struct val cast_value_from(struct walk *w, uint32_t class);

/* The class whose value this is, UINT32_MAX for none. */
static inline uint32_t cast_source_of(const struct val *v)
{
	if (v->kind == V_CLASS)
		return v->ext;
	return v->kind == V_PTR && v->ext ? v->ext - 1 : UINT32_MAX;
}

/*
 * Evidence: it points to this; so much was allocated for it (0: nobody knows how much);
 * it is accessed so; v is stored in it.
 */
void cast_note_type(struct casts *c, struct class *k, uint32_t btf, uint32_t id);
void cast_note_size(struct class *k, uint32_t size);
void cast_note_access(struct walk *w, uint32_t class, int64_t off, uint32_t size, bool arena);
void cast_note_store(struct walk *w, uint32_t class, const struct val *v);

/* An allocation of that many bytes; those beyond MAX_SIZES are not kept. 0, -ENOMEM. */
int cast_add_size(struct casts *c, uint32_t size);

/* ---------------------------------------------------------------------- cast_walk.c */

/* What a call of the kernel is. */
void cast_classify(struct walk *w, struct call *call, size_t pc, const struct bpf_insn *in);
/* The state goes on at instruction pc. */
void cast_flow(struct walk *w, const struct state *st, uint32_t pc);
void cast_queue_block(struct walk *w, uint32_t b);
void cast_walk_block(struct walk *w, uint32_t nr);

/* ---------------------------------------------------------------------- cast_prog.c */

/* One pass over a program. 0; -EINVAL: it is none; -E2BIG: it takes too long; -ENOMEM. */
int cast_walk_prog(struct casts *c, size_t nr);

#endif
