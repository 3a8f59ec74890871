// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of an arena that a scheduler gives out and never takes back (struct scx_static):
 * where its present region is, and how much of it is used. Nothing tells what is in it.
 */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "global.h"

#define MAX_RANGES 256

struct static_region {		/* what is used of one */
	uint64_t kva, size;
	char name[128];
};

struct ranges {
	struct report *r;
	yyjson_mut_val *list;
	uint64_t skipped;
	size_t nr;
};

static bool member(struct report *r, const struct global *g, const char *name, uint64_t *ret)
{
	uint64_t off, size;
	uint8_t buf[8];

	if (!global_member(g->btf, g->t, name, &off, &size) || size != sizeof(buf) ||
	    __builtin_add_overflow(off, g->kva, &off) || bulk_read(r->bulk, off, buf, sizeof(buf)))
		return false;
	memcpy(ret, buf, sizeof(*ret));
	*ret = le64toh(*ret);
	return true;
}

/* Without memory for it pointers do not say that they lead there. */
static void add_region(struct report *r, const struct global *g, uint64_t memory, uint64_t used)
{
	struct arena_place at;
	struct static_region *s;

	if (!arena_find(g->arenas, g->nr_arenas, memory, true, &at) || !at.kva)
		return;
	if (!r->regions)
		r->regions = calloc(MAX_RANGES, sizeof(*r->regions));
	if (!r->regions)
		return;
	s = &r->regions[r->nr_regions++];
	s->kva = at.kva;
	s->size = used;
	snprintf(s->name, sizeof(s->name), "%s", g->name);
}

static bool found(void *ctx, const struct global *g)
{
	uint64_t capacity, memory, used;
	struct ranges *v = ctx;
	yyjson_mut_doc *doc = v->r->doc;
	yyjson_mut_val *obj;

	if (!member(v->r, g, "max_alloc_bytes", &capacity) ||
	    !member(v->r, g, "memory", &memory) || !member(v->r, g, "off", &used) ||
	    !capacity || capacity > UINT32_MAX || !memory || used > capacity) {
		v->skipped++;
		return true;
	}
	if (v->nr++ == MAX_RANGES)
		return false;
	obj = yyjson_mut_arr_add_obj(doc, v->list);
	json_add_text(doc, obj, "instance_name", g->name, strlen(g->name));
	json_add_u64(doc, obj, "start_low32", (uint32_t)memory);
	json_add_u64(doc, obj, "size", used);
	json_add_u64(doc, obj, "capacity", capacity);
	add_region(v->r, g, memory, used);
	return true;
}

const char *scx_static_name(const struct report *r, uint64_t kva)
{
	for (size_t i = 0; i < r->nr_regions; i++)
		if (kva >= r->regions[i].kva && kva - r->regions[i].kva < r->regions[i].size)
			return r->regions[i].name;
	return NULL;
}

void scx_static_report(struct report *r)
{
	struct ranges v = { .r = r, .list = yyjson_mut_arr(r->doc) };
	yyjson_mut_val *obj;

	globals_find(r, "scx_static", found, &v);
	if (!v.nr && !v.skipped)
		return;
	obj = yyjson_mut_obj_add_obj(r->doc, r->top, "scx_static_ranges");
	if (v.nr)
		yyjson_mut_obj_add_val(r->doc, obj, "ranges", v.list);
	json_add_u64(r->doc, obj, "skipped", v.skipped);
}
