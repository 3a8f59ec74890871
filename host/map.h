/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts that put maps into the report share. */
#ifndef KTC_MAP_H
#define KTC_MAP_H

#include "render.h"
#include "report.h"

#define MAP_MAX_VALUE	(16u << 20)	/* bytes of one value, or piece of memory, at a time */
#define MAP_MAX_FIELDS	64		/* the kernel itself allows 11 */
#define MAP_MAX_ARENAS	64

/* Numbers of enum bpf_map_type, which are the same in every kernel. */
enum map_type {
	MAP_HASH = 1, MAP_ARRAY, MAP_PROG_ARRAY, MAP_PERF_EVENT_ARRAY, MAP_PERCPU_HASH,
	MAP_PERCPU_ARRAY, MAP_STACK_TRACE, MAP_CGROUP_ARRAY, MAP_LRU_HASH, MAP_LRU_PERCPU_HASH,
	MAP_LPM_TRIE, MAP_ARRAY_OF_MAPS, MAP_HASH_OF_MAPS, MAP_DEVMAP, MAP_SOCKMAP, MAP_CPUMAP,
	MAP_XSKMAP, MAP_SOCKHASH, MAP_CGROUP_STORAGE, MAP_REUSEPORT_SOCKARRAY,
	MAP_PERCPU_CGROUP_STORAGE, MAP_QUEUE, MAP_STACK, MAP_SK_STORAGE, MAP_DEVMAP_HASH,
	MAP_STRUCT_OPS, MAP_RINGBUF, MAP_INODE_STORAGE, MAP_TASK_STORAGE, MAP_BLOOM_FILTER,
	MAP_USER_RINGBUF, MAP_CGRP_STORAGE, MAP_ARENA, MAP_INSN_ARRAY, MAP_RHASH,
};

#define MAP_F_STACK_BUILD_ID (1u << 5)

struct map {
	row_t row, content;		/* content NULL: nothing is known about it */
	const char *name;
	size_t name_len;
	uint64_t kva, type, key_size, value_size, max_entries, flags, owner;

	/* from content */
	const char *form, *cut;		/* of the guest; NULL none */
	size_t form_len, cut_len;
	uint64_t values_kva, stride, seen, taken, unreadable, limit;

	const struct btf *btf;		/* NULL: bytes only */
	uint32_t key_type, value_type;	/* 0 none */
	uint64_t slot_off;		/* of the value's pointer to a slot of an allocator */
	bool has_slot;			/* there is one */

	uint64_t broken;		/* records that cannot be what they say */
	char error[1200];
	size_t error_len;
};

struct fwd_ref {			/* a named struct or union with a body */
	const char *name;
	const struct btf *btf;
	uint32_t id, order;
	bool is_union;
};

struct fwd_index {
	struct fwd_ref *refs;
	size_t nr, room;
	bool built;
};

struct map_writer {
	struct report *r;
	struct jsonw *w;
	struct bulk *bulk;
	struct render render;
	struct render_field fields[MAP_MAX_FIELDS];
	size_t nr_fields;
	struct fwd_index fwd;
	row_t *maps;			/* rows by id */
	struct arena arenas[MAP_MAX_ARENAS];	/* of the map that is being written */
	const struct casts *casts;	/* NULL: nothing is known */
	uint64_t budget;		/* bytes of content that may still be written */
	uint8_t *buf;			/* MAP_MAX_VALUE at most */
	size_t room;
};

/* Adds to the error text of a map, behind "; ". */
void map_error(struct map *m, const char *fmt, ...) __printf(2, 3);
bool map_form_is(const struct map *m, const char *form);
/* One fact of a map; false when it did not come. */
bool map_fact(const struct report *r, uint64_t kva, const char *name, uint64_t *ret);

/* What the guest said of a map; its BTF is not looked for. */
void map_load(struct report *r, row_t row, struct map *ret);

/* 0 or -ENOMEM. map_writer_deinit() only after 0. */
int map_writer_init(struct map_writer *mw, struct report *r, struct jsonw *w);
void map_writer_deinit(struct map_writer *mw);

/* arena.c: of what the programs of this map use, best first; at most MAP_MAX_ARENAS. */
size_t arenas_of_map(struct report *r, const struct map *m, struct arena *ret);

/* map_content.c: keys of ktstr's form, up to but without "error"; then the others. */
void map_content_write(struct map_writer *mw, struct map *m);
void map_content_write_more(struct map_writer *mw, struct map *m);

/* map_btf.c */
/* Sets btf and types of a map, and says in its error why there are none. */
void map_btf_choose(struct report *r, struct map *m);
bool map_btf_resolve_fwd(struct map_writer *mw, const char *name, bool is_union,
			 const struct btf **btf_ret, uint32_t *id_ret);

/* field.c: special fields of a map's values, ascending by offset. Their number. */
size_t fields_load(struct report *r, uint64_t map_kva, struct render_field *ret, size_t max);
/* key "fields" of an entry of ktdump.maps */
void fields_detail(struct report *r, yyjson_mut_val *obj, uint64_t map_kva);

/* object.c */
bool object_find(const struct report *r, uint64_t kva, struct render_object *ret);
/* Key "object", when the guest named what is at this address. */
void object_write(struct map_writer *mw, uint64_t kva);

/* As bpftool has it; NULL for a type that is not known. */
const char *map_type_name(uint64_t type);

#endif
