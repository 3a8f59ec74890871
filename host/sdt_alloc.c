// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "global.h"
#include "payload_type.h"
#include "sdt_alloc.h"

#define FANOUT		512
#define LEVELS		3
#define MIN_ELEM	16	/* bytes of a slot */
#define MAX_ELEM	4096
#define ID_SIZE		8	/* sdt_id: idx and genn, 32 bits each */
#define BITMAP		(FANOUT / 8)
#define CHUNK		(FANOUT * 8)
#define MAX_ALLOCATORS	64
/* Of all allocators together: what is beyond is not followed. */
#define MAX_SLOTS	(1U << 20)
#define MAX_DESCS	(1U << 14)

struct layout {
	uint64_t pool, root;			/* of scx_allocator */
	uint64_t elem_size;			/* of sdt_pool */
	uint64_t allocated, nr_free, chunk;	/* of sdt_desc */
	uint64_t slots;				/* of sdt_chunk: its pointers */
	uint64_t header;			/* bytes before the payload */
};

struct slot {
	uint64_t kva;		/* 0: it points out of the arena */
	uint32_t low;		/* lower half of the user address */
	uint32_t pos;		/* in the tree */
	uint16_t allocator;
	bool shown;
};

struct allocator {
	char name[200], why[64];
	row_t map;
	const struct btf *btf;
	uint32_t id;		/* of the payload, 0 unknown */
	uint64_t elem_size, header;
	size_t first, nr_shown;	/* in sdt.slots */
	uint32_t skipped;
	bool truncated;
};

struct sdt {
	struct allocator a[MAX_ALLOCATORS];
	size_t nr;
	struct slot *slots;	/* as they are met, then by address */
	size_t nr_slots, room;
	struct slot *by_kva;
	size_t nr_by_kva;
	uint64_t nodes[2 * MAX_DESCS];	/* the trees themselves, by address */
	size_t nr_nodes;
	unsigned int descs;
	bool partial;		/* there may be slots that were not met */
	bool cut;		/* because of our own limits */
	bool no_memory;
};

struct walk {
	struct sdt *s;
	struct allocator *a;
	struct bulk *bulk;
	const struct arena *arenas;
	size_t nr_arenas;
	struct layout l;
};

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static const char *name_of(const struct btf *btf, const struct btf_type *t)
{
	const char *name = t->name_off ? btf__name_by_offset(btf, t->name_off) : NULL;

	return name ? name : "";
}

/* ----------------------------------------------------------------- the tree */

static bool layout_load(const struct btf *btf, struct layout *ret)
{
	uint32_t allocator = global_struct(btf, "scx_allocator"), pool = global_struct(btf, "sdt_pool");
	uint32_t desc = global_struct(btf, "sdt_desc"), chunk = global_struct(btf, "sdt_chunk");
	uint32_t data = global_struct(btf, "sdt_data");
	struct layout l = { .header = ID_SIZE };
	const struct btf_type *d;

	if (!allocator || !pool || !desc)
		return false;
	d = btf__type_by_id(btf, desc);
	if (!global_member(btf, btf__type_by_id(btf, allocator), "pool", &l.pool, NULL) ||
	    !global_member(btf, btf__type_by_id(btf, allocator), "root", &l.root, NULL) ||
	    !global_member(btf, btf__type_by_id(btf, pool), "elem_size", &l.elem_size, NULL) ||
	    !global_member(btf, d, "allocated", &l.allocated, NULL) ||
	    !global_member(btf, d, "nr_free", &l.nr_free, NULL) ||
	    !global_member(btf, d, "chunk", &l.chunk, NULL))
		return false;
	if (chunk && !global_member(btf, btf__type_by_id(btf, chunk), "descs", &l.slots, NULL))
		global_member(btf, btf__type_by_id(btf, chunk), "data", &l.slots, NULL);
	if (data && btf__type_by_id(btf, data)->size >= ID_SIZE)
		l.header = btf__type_by_id(btf, data)->size;
	*ret = l;
	return true;
}

/* A pointer that is known to be one into the arena; 0: it is not. */
static uint64_t translate(const struct walk *w, uint64_t addr)
{
	struct arena_place at;

	return addr && arena_find(w->arenas, w->nr_arenas, addr, true, &at) ? at.kva : 0;
}

static bool read_at(const struct walk *w, uint64_t kva, uint64_t off, void *buf, size_t len)
{
	uint64_t at;

	return kva && !__builtin_add_overflow(kva, off, &at) && !bulk_read(w->bulk, at, buf, len);
}

static bool read_u64(const struct walk *w, uint64_t kva, uint64_t off, uint64_t *ret)
{
	uint8_t buf[8];

	if (!read_at(w, kva, off, buf, sizeof(buf)))
		return false;
	*ret = load64(buf);
	return true;
}

/* False: no more. */
static bool add_slot(struct walk *w, uint64_t addr, uint32_t pos)
{
	struct sdt *s = w->s;
	struct slot *v = &s->slots[s->nr_slots];
	bool shown = w->a->nr_shown < SDT_MAX_SHOWN;

	if (s->nr_slots == MAX_SLOTS) {
		s->cut = true;
		w->a->truncated = true;
		return false;
	}
	if (s->nr_slots == s->room) {
		size_t room = s->room ? s->room * 2 : 1024;

		v = reallocarray(s->slots, room, sizeof(*v));
		if (!v) {
			s->no_memory = true;
			return false;
		}
		s->slots = v;
		s->room = room;
		v += s->nr_slots;
	}
	*v = (struct slot){
		.kva = translate(w, addr), .low = addr, .pos = pos, .allocator = w->a - s->a,
		.shown = shown,
	};
	s->nr_slots++;
	w->a->nr_shown += shown;
	w->a->truncated |= !shown;
	return true;
}

/* False: no more of this allocator. pos: how many slots come before those of this one. */
static bool descend(struct walk *w, uint64_t addr, int level, uint32_t pos)
{
	uint64_t desc = translate(w, addr), nr_free, chunk;
	uint8_t bitmap[BITMAP], slots[CHUNK];

	if (w->s->descs == MAX_DESCS) {
		w->s->cut = true;
		w->a->truncated = true;
		return false;
	}
	w->s->descs++;
	if (!read_at(w, desc, w->l.allocated, bitmap, sizeof(bitmap)) ||
	    !read_u64(w, desc, w->l.nr_free, &nr_free) || nr_free > FANOUT ||
	    !read_u64(w, desc, w->l.chunk, &chunk) || !chunk ||
	    !read_at(w, translate(w, chunk), w->l.slots, slots, sizeof(slots))) {
		w->a->skipped++;
		return true;
	}
	w->s->nodes[w->s->nr_nodes++] = desc;
	w->s->nodes[w->s->nr_nodes++] = translate(w, chunk);
	for (uint32_t i = 0; i < FANOUT; i++) {
		uint64_t next = load64(slots + 8 * i);
		uint32_t at = (pos + i) * (level == LEVELS - 1 ? 1 : FANOUT);

		if (!next)
			continue;
		/* In the upper levels a bit says that everything below is taken. */
		if (level < LEVELS - 1) {
			if (!descend(w, next, level + 1, at))
				return false;
		} else if (bitmap[i / 8] >> i % 8 & 1) {
			if (!add_slot(w, next, at))
				return false;
		}
	}
	return true;
}

/* ----------------------------------------------------------------- all of it */

struct find {
	struct report *r;
	struct sdt *s;
};

static bool found(void *ctx, const struct global *g)
{
	struct find *f = ctx;
	struct sdt *s = f->s;
	struct walk w = {
		.s = s, .a = &s->a[s->nr], .bulk = f->r->bulk, .arenas = g->arenas,
		.nr_arenas = g->nr_arenas,
	};
	struct allocator *a = w.a;
	uint64_t root = 0;

	if (s->nr == MAX_ALLOCATORS) {
		s->cut = true;
		return false;
	}
	*a = (struct allocator){};
	if (!layout_load(g->btf, &w.l) || !read_u64(&w, g->kva, w.l.pool + w.l.elem_size, &a->elem_size))
		return true;
	a->btf = g->btf;
	a->map = g->map->row;
	a->header = w.l.header;
	a->first = s->nr_slots;
	snprintf(a->name, sizeof(a->name), "%s", g->name);
	if (a->elem_size >= MIN_ELEM && a->elem_size <= MAX_ELEM && a->elem_size >= a->header) {
		a->id = payload_type(f->r, a->btf, a->elem_size - a->header, a->name, a->why,
				     sizeof(a->why));
		if (!read_u64(&w, g->kva, w.l.root, &root))
			a->skipped++;
		else if (root)
			descend(&w, root, 0, 0);
	}
	s->partial |= a->skipped || s->cut || s->no_memory;
	if (a->nr_shown || a->elem_size)
		s->nr++;
	return !s->cut && !s->no_memory;
}

static int by_kva(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	if (x->kva != y->kva)
		return x->kva > y->kva ? 1 : -1;
	if (x->allocator != y->allocator)
		return x->allocator > y->allocator ? 1 : -1;
	return (x->pos > y->pos) - (x->pos < y->pos);
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool index_slots(struct sdt *s)
{
	size_t nr = 0;

	qsort(s->nodes, s->nr_nodes, sizeof(s->nodes[0]), by_number);
	s->by_kva = calloc(s->nr_slots + 1, sizeof(*s->by_kva));
	if (!s->by_kva)
		return false;
	for (size_t i = 0; i < s->nr_slots; i++)
		if (s->slots[i].kva)
			s->by_kva[s->nr_by_kva++] = s->slots[i];
	qsort(s->by_kva, s->nr_by_kva, sizeof(*s->by_kva), by_kva);
	/* Of one that hangs there twice, the first. */
	for (size_t i = 0; i < s->nr_by_kva; i++)
		if (!nr || s->by_kva[nr - 1].kva != s->by_kva[i].kva)
			s->by_kva[nr++] = s->by_kva[i];
	s->nr_by_kva = nr;
	return true;
}

void sdt_destroy(struct sdt *s)
{
	if (!s)
		return;
	free(s->slots);
	free(s->by_kva);
	free(s);
}

/* ------------------------------------------------------------------- look-up */

/* The slot in use that the address is in. */
static const struct slot *find_slot(const struct sdt *s, uint64_t kva, uint64_t *off_ret)
{
	size_t lo = 0, hi = s->nr_by_kva;
	const struct slot *v;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->by_kva[mid].kva <= kva)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return NULL;
	v = &s->by_kva[lo - 1];
	*off_ret = kva - v->kva;
	return *off_ret < s->a[v->allocator].elem_size ? v : NULL;
}

/* There, and nowhere else, an address says which type it leads to. */
static bool begins(const struct allocator *a, uint64_t off)
{
	return !off || off == a->header;
}

bool sdt_slot(const struct sdt *s, uint64_t kva, struct render_slot *ret)
{
	const struct allocator *a;
	const struct slot *v;
	uint64_t off;

	/* With its slots that has been told; which member of a union counts, types do not say. */
	if (bsearch(&kva, s->nodes, s->nr_nodes, sizeof(s->nodes[0]), by_number)) {
		*ret = (struct render_slot){ .shown = true };
		return true;
	}
	v = find_slot(s, kva, &off);
	if (!v)
		return false;
	a = &s->a[v->allocator];
	*ret = (struct render_slot){ .allocator = a->name, .pos = v->pos };
	if (!begins(a, off)) {
		ret->inside = off;
	} else if (a->id) {
		ret->btf = a->btf;
		ret->id = a->id;
		ret->skip = a->header - off;
		ret->shown = v->shown;
	}
	return true;
}

bool sdt_member(const struct btf *btf, uint32_t value_type, uint64_t *off_ret)
{
	const struct btf_type *t = render_peel(btf, &value_type);

	for (unsigned int i = 0; t && btf_is_struct(t) && i < btf_vlen(t); i++) {
		uint32_t bit = btf_member_bit_offset(t, i), id = btf_members(t)[i].type;
		const struct btf_type *in = render_peel(btf, &id);

		if (bit % 8 || btf_member_bitfield_size(t, i) || !in || !btf_is_ptr(in))
			continue;
		id = in->type;
		in = render_peel(btf, &id);
		if (in && (btf_is_struct(in) || (btf_is_fwd(in) && !btf_kflag(in))) &&
		    !strcmp(name_of(btf, in), "sdt_data")) {
			*off_ret = bit / 8;
			return true;
		}
	}
	return false;
}

static bool contains(const char *name, size_t len, const char *part)
{
	return *part && memmem(name, len, part, strlen(part));
}

/* The allocator whose name fits best; NULL: none does, or several do. */
static const struct allocator *by_name(const struct sdt *s, const struct map *m)
{
	const struct allocator *best = NULL;
	size_t longest = 0;

	if (s->nr == 1)
		return &s->a[0];
	for (size_t i = 0; i < s->nr; i++) {
		char stem[200];
		const char *name;
		size_t len;

		payload_stem(s->a[i].name, stem, sizeof(stem));
		name = payload_short_stem(stem);
		len = strlen(name);
		if (!contains(m->name, m->name_len, name) || len < longest)
			continue;
		best = len > longest ? &s->a[i] : NULL;
		longest = len;
	}
	return best;
}

bool sdt_payload_find(const struct sdt *s, const struct map *m, const struct arena *arenas,
		      size_t nr_arenas, uint64_t addr, struct sdt_payload *ret)
{
	const struct allocator *a = NULL;
	const struct slot *v;
	struct arena_place at;
	uint64_t off = 0;

	if (!addr || !arena_find(arenas, nr_arenas, addr, true, &at) || !at.kva)
		return false;
	v = find_slot(s, at.kva, &off);
	if (v && !begins(&s->a[v->allocator], off))
		return false;
	if (v)
		a = &s->a[v->allocator];
	/* One that was not met; all others are free, and what is in them is stale. */
	else if (s->partial)
		a = by_name(s, m);
	if (!a || !a->id || a->elem_size <= a->header)
		return false;
	*ret = (struct sdt_payload){
		.btf = a->btf, .id = a->id, .size = a->elem_size - a->header,
	};
	return !__builtin_add_overflow(at.kva, v ? a->header - off : a->header, &ret->kva);
}

/* ----------------------------------------------------------------- the report */

static const char *no_allocators(struct report *r)
{
	_cleanup_free_ row_t *maps = report_sorted(r, KTD_TBL_MAP, KTD_MAP_ID);
	const struct table *t = report_table(r, KTD_TBL_MAP);
	const struct table *freeze = report_table(r, KTD_TBL_FREEZE);
	row_t arena = NULL, bss = NULL, row = snapshot_single(r->snap, KTD_TBL_FREEZE);
	const struct btf *btf = NULL;
	uint64_t kva, user = 0, kern = 0, v;
	struct layout l;

	for (size_t i = 0; maps && i < t->nr_rows; i++) {
		uint64_t type = row_u64_or(t, maps[i], KTD_MAP_MAP_TYPE, 0);
		const char *name;
		size_t len;

		if (!arena && type == MAP_ARENA)
			arena = maps[i];
		if (bss || type != MAP_ARRAY || row_str(t, maps[i], KTD_MAP_NAME, &name, &len) ||
		    len < 4 || memcmp(name + len - 4, ".bss", 4) ||
		    !row_u64_or(t, maps[i], KTD_MAP_BTF_KVA, 0))
			continue;
		bss = maps[i];
		btf = report_btf(r, row_u64_or(t, bss, KTD_MAP_BTF_KVA, 0), NULL);
	}
	if (arena && !row_u64(t, arena, KTD_MAP_KVA, &kva)) {
		map_fact(r, kva, "user_vm_start", &user);
		map_fact(r, kva, "kern_vm_start", &kern);
		if (!kern && row &&
		    !row_u64(freeze, row, KTD_FREEZE_TRUNCATED_AT_US, &v))
			return "dump deadline exceeded before sdt_alloc pre-pass could run";
		if (user & UINT32_MAX)
			return "user_vm_start is not 4 GiB-aligned; low-32 keying disabled";
		if (!btf)
			return "no scheduler .bss map (or .bss has no program BTF)";
	}
	/* ktstr says of no arena at all that it is not aligned. */
	if (!kern)
		return "no arena map captured (kern_vm_start unavailable)";
	if (!layout_load(btf, &l))
		return "scheduler BTF does not declare struct scx_allocator";
	return "no scx_allocator instance in .bss";
}

void sdt_report(struct report *r)
{
	struct sdt *s = calloc(1, sizeof(*s));
	struct find f = { .r = r, .s = s };

	if (s && globals_find(r, "scx_allocator", found, &f) == GLOBALS_CUT)
		s->cut = true;
	if (s && s->nr && !s->no_memory && index_slots(s)) {
		s->partial |= s->cut;
		r->sdt = s;
		r->sdt_list = yyjson_mut_obj_add_arr(r->doc, r->top, "sdt_allocations");
		return;
	}
	sdt_destroy(s);
}

void sdt_report_reason(struct report *r)
{
	if (!r->sdt)
		yyjson_mut_obj_add_str(r->doc, r->top, "sdt_alloc_unavailable", no_allocators(r));
}

void sdt_detail(struct report *r)
{
	if (r->sdt && r->sdt->cut)
		report_add_missing(r, "sdt_alloc", "more allocators or slots than are looked at");
}

static void key_u64(struct jsonw *w, const char *key, uint64_t v)
{
	jsonw_key(w, key);
	jsonw_u64(w, v);
}

static void write_entry(struct map_writer *mw, const struct allocator *a, const struct slot *v)
{
	static const char unread[] = "payload read failed: end-of-DRAM or unmapped page";
	struct jsonw *w = mw->w;
	uint8_t buf[MAX_ELEM];
	uint32_t idx = v->pos, genn = 0;
	uint64_t at;

	if (v->kva && !bulk_read(mw->bulk, v->kva, buf, ID_SIZE)) {
		memcpy(&idx, buf, sizeof(idx));
		memcpy(&genn, buf + sizeof(idx), sizeof(genn));
	}
	jsonw_obj(w);
	jsonw_key(w, "idx");
	jsonw_i64(w, (int32_t)le32toh(idx));
	jsonw_key(w, "genn");
	jsonw_i64(w, (int32_t)le32toh(genn));
	key_u64(w, "user_addr", v->low);
	jsonw_key(w, "payload");
	if (v->kva && !__builtin_add_overflow(v->kva, a->header, &at) &&
	    !bulk_read(mw->bulk, at, buf, a->elem_size - a->header)) {
		render_value(&mw->render, a->btf, a->id, buf, a->elem_size - a->header);
	} else {
		jsonw_obj(w);
		jsonw_key(w, "kind");
		jsonw_word(w, "unsupported");
		jsonw_key(w, "reason");
		jsonw_word(w, unread);
		jsonw_obj_end(w);
	}
	jsonw_obj_end(w);
}

static void write_allocator(struct map_writer *mw, const struct allocator *a)
{
	bool truncated = a->truncated;
	struct jsonw *w = mw->w;
	struct map m;

	map_load(mw->r, a->map, &m);
	mw->render.nr_arenas = arenas_of_map(mw->r, &m, mw->arenas);
	jsonw_obj(w);
	jsonw_key(w, "allocator_name");
	jsonw_str(w, a->name);
	if (a->nr_shown) {
		jsonw_key(w, "entries");
		jsonw_arr(w);
		for (size_t i = 0; i < a->nr_shown; i++) {
			/* The same slot in many places must not multiply it. */
			if (a->elem_size > mw->budget) {
				truncated = true;
				break;
			}
			mw->budget -= a->elem_size;
			write_entry(mw, a, &mw->r->sdt->slots[a->first + i]);
		}
		jsonw_arr_end(w);
	}
	if (truncated) {
		jsonw_key(w, "truncated");
		jsonw_bool(w, true);
	}
	key_u64(w, "skipped_subtrees", a->skipped);
	key_u64(w, "elem_size", a->elem_size);
	key_u64(w, "target_type_id", a->id);
	if (*a->why) {
		jsonw_key(w, "payload_type_reason");
		jsonw_str(w, a->why);
	}
	jsonw_obj_end(w);
}

void sdt_write(struct report *r, struct jsonw *w)
{
	_cleanup_free_ struct map_writer *mw = calloc(1, sizeof(*mw));

	jsonw_arr(w);
	if (mw && !map_writer_init(mw, r, w)) {
		for (size_t i = 0; i < r->sdt->nr; i++)
			write_allocator(mw, &r->sdt->a[i]);
		map_writer_deinit(mw);
	} else if (!w->error) {
		w->error = -ENOMEM;
	}
	jsonw_arr_end(w);
}
