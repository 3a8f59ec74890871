/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bytes to values: a BTF type and the bytes of an object become the nodes of the report
 * ("kind": int, uint, bool, char, float, enum, struct, array, cpu_list, ptr, bytes,
 * truncated, unsupported). Rendering never fails: what cannot be decoded becomes a node
 * that says so. BTF and bytes come from the guest and may be anything.
 */
#ifndef KTC_RENDER_H
#define KTC_RENDER_H

#include <bpf/btf.h>

#include "arena.h"
#include "bulk.h"
#include "cast.h"
#include "jsonw.h"

#define RENDER_MAX_DEPTH	32
#define RENDER_MAX_HOPS		32	/* typedefs, qualifiers and tags on one type */
#define RENDER_MAX_ELEMENTS	4096
#define RENDER_MAX_PATH		RENDER_MAX_DEPTH
#define RENDER_MAX_CHASE	4096	/* bytes read behind a pointer */
/* Pointers and unions multiply. What takes much room in the report counts more. */
#define RENDER_MAX_NODES	(1U << 20)	/* of one value */
#define RENDER_MAX_TOTAL	(64U << 20)	/* of all values of one struct render */

/* What a pointer in the value is about, by the map's own BTF record. */
struct render_field {
	uint32_t offset, size;	/* in the value, bytes */
	uint32_t type;		/* one bit of the guest's enum btf_field_type */
	const struct btf *btf;	/* of the object behind it, NULL unknown */
	uint32_t btf_id;
};

struct render_object {		/* a kernel object that the guest named */
	uint64_t kva;
	const char *kind;	/* "task", "cgroup", … */
	size_t kind_len;
	const char *name;
	size_t name_len;
	bool has_pid, has_id;
	int64_t pid;
	uint64_t id;
};

struct render_slot {		/* what an allocator has given out */
	const struct btf *btf;	/* of what is in it */
	uint32_t id;		/* 0 unknown */
	uint32_t skip;		/* bytes from the pointer to there */
	bool shown;		/* elsewhere in the report */
	const char *allocator;	/* its name, and which slot of it */
	uint32_t pos;
	uint32_t inside;	/* not 0: so many bytes into it; nothing begins there */
};

struct render_sized {		/* what may have so many bytes */
	const struct btf *btf;
	uint32_t id;
	bool guess;		/* something else may have them as well */
	const char *why;	/* when there is none */
};

/* Text of a member or element that is the same for every value of it. */
struct render_text {
	const void *key;	/* the member, or the type where it is an element */
	uint64_t off, size;	/* its bytes */
	uint64_t mask;		/* of a scalar: its bits of them, shifted down */
	uint64_t value;		/* TEXT_SAME: the text is for this one only */
	uint32_t cost;		/* nodes of the budget */
	uint8_t shift, bits, kind;
	uint8_t depth;		/* of the JSON */
	uint16_t head, tail;	/* text before and behind the value */
	/* What is in a struct or an array, of which the text is the beginning. */
	const struct btf_type *t;
	uint64_t elem_size;
	uint32_t id, nr;
	char text[448];
};

/* The services that rendering asks for; all pointers may be NULL. */
struct render {
	struct jsonw *out;
	struct bulk *bulk;			/* memory behind pointers */
	const struct btf *kernel;		/* the guest's own */
	uint32_t nr_cpu_ids;			/* 0 unknown: no limit */
	uint32_t page_size;			/* 0: 4096 */
	const struct arena *arenas;		/* in which pointers are followed */
	size_t nr_arenas;

	/* A complete struct or union of that name in some BTF of the guest; false: none. */
	bool (*resolve_fwd)(void *ctx, const char *name, bool is_union, const struct btf **btf_ret,
			    uint32_t *id_ret);
	/* A kernel object at this address; false: nothing is known about it. */
	bool (*object)(void *ctx, uint64_t kva, struct render_object *ret);
	/* Allocated memory at this address of the kernel's; false: there is none. */
	bool (*slot)(void *ctx, uint64_t kva, struct render_slot *ret);
	/* What is in no slot, of which the size is known at most; false: nobody knows. */
	bool (*sized)(void *ctx, const struct cast_hit *hit, struct render_sized *ret);
	/* Memory that is given out and never taken back: its name, NULL: it is none. */
	const char *(*region)(void *ctx, uint64_t kva);
	/* The u64 at off of this struct, union or DATASEC is a pointer; false: a number. */
	bool (*cast)(void *ctx, const struct btf *btf, const struct btf_type *owner, uint32_t off,
		     struct cast_hit *ret);
	void *ctx;

	/* Of the value that is being rendered: special fields, ascending by offset. */
	const struct render_field *fields;
	size_t nr_fields;

	/*
	 * Private to render.c; zero at the start. A struct render must not outlive a
	 * struct btf that it was used with: found types are remembered.
	 */
	uint64_t path[RENDER_MAX_PATH];
	unsigned int path_len;
	uint64_t nodes;
	struct {
		const struct btf *btf;
		uint32_t id, found;	/* found 0: there is none */
	} fwd[16];
	struct render_text texts[128];
};

/*
 * One node for the len bytes at data, as type id of btf. btf NULL or id 0: kind "bytes".
 * The caller has opened the array or written the key.
 */
void render_value(struct render *r, const struct btf *btf, uint32_t id, const uint8_t *data,
		  size_t len);

/* What is behind typedefs, qualifiers and tags, and its id; NULL when it cannot be found. */
const struct btf_type *render_peel(const struct btf *btf, uint32_t *id);

/* Nodes without BTF. */
void render_bytes(struct render *r, const uint8_t *data, size_t len);
void render_ptr(struct render *r, uint64_t value);

/* Size of a type in bytes; false when it has none (functions, void, forward declarations). */
bool render_type_size(const struct btf *btf, uint32_t id, uint64_t *ret);

#endif
