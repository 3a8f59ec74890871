// SPDX-License-Identifier: GPL-2.0-only
/* Fields, and places where arena memory comes from: the evidence about each. */
#include <errno.h>
#include <string.h>

#include "cast_impl.h"

#define MAX_ACCESSES	32
#define MAX_SIZES	64	/* of allocations */
#define MAX_EDGES	(1U << 16)
#define MAX_CLASSES	(1U << 18)

static uint32_t hash_key(uint32_t btf, uint32_t id, uint32_t off)
{
	return ((btf * 0x9e3779b1U ^ id) * 0x85ebca6bU ^ off) * 0xc2b2ae35U;
}

static bool rehash(struct casts *c)
{
	uint32_t size = c->hash_mask ? (c->hash_mask + 1) * 2 : 1024;
	uint32_t *hash = calloc(size, sizeof(*hash));

	if (!hash)
		return false;
	free(c->hash);
	c->hash = hash;
	c->hash_mask = size - 1;
	for (size_t i = 0; i < c->nr_classes; i++) {
		const struct class *k = &c->classes[i];
		uint32_t at = hash_key(k->btf, k->id, k->off);

		while (c->hash[at & c->hash_mask])
			at++;
		c->hash[at & c->hash_mask] = i + 1;
	}
	return true;
}

/* Index of a class, made if new; UINT32_MAX when there is no room. */
uint32_t cast_class_of(struct walk *w, uint32_t btf, uint32_t id, uint32_t off)
{
	struct casts *c = w->c;
	uint32_t at = hash_key(btf, id, off), i;

	for (; c->hash_mask; at++) {
		const struct class *k;

		i = c->hash[at & c->hash_mask];
		if (!i)
			break;
		k = &c->classes[i - 1];
		if (k->btf == btf && k->id == id && k->off == off)
			return i - 1;
	}
	if (c->nr_classes >= MAX_CLASSES) {
		w->error = -E2BIG;
		return UINT32_MAX;
	}
	if (!cast_grow(&c->classes, c->nr_classes, &c->room_classes, sizeof(*c->classes)) ||
	    ((c->nr_classes + 1) * 2 > c->hash_mask && !rehash(c))) {
		w->error = -ENOMEM;
		return UINT32_MAX;
	}
	c->classes[c->nr_classes] = (struct class){ .btf = btf, .id = id, .off = off };
	for (at = hash_key(btf, id, off); c->hash[at & c->hash_mask];)
		at++;
	c->hash[at & c->hash_mask] = ++c->nr_classes;
	return c->nr_classes - 1;
}

/* Something was read from the class. */
struct val cast_value_from(struct walk *w, uint32_t class)
{
	const struct answer *a;

	if (class == UINT32_MAX)
		return (struct val){};
	a = &w->c->classes[class].now;
	if (a->known && a->id)
		return (struct val){ .kind = V_PTR, .btf = a->btf, .id = a->id,
				     .arena = a->arena, .ext = class + 1 };
	return (struct val){ .kind = V_CLASS, .ext = class };
}

static bool names_equal(const struct casts *c, uint32_t a_btf, uint32_t a_id, uint32_t b_btf,
			uint32_t b_id)
{
	const struct btf *x = c->types[a_btf].btf, *y = c->types[b_btf].btf;
	const struct btf_type *a = btf__type_by_id(x, a_id), *b = btf__type_by_id(y, b_id);
	const char *s = cast_name_at(x, a->name_off);

	if (btf_kind(a) == BTF_KIND_FWD || btf_kind(b) == BTF_KIND_FWD)
		return *s && !strcmp(s, cast_name_at(y, b->name_off));
	return *s && btf_kind(a) == btf_kind(b) && a->size == b->size &&
	       !strcmp(s, cast_name_at(y, b->name_off));
}

void cast_note_type(struct casts *c, struct class *k, uint32_t btf, uint32_t id)
{
	bool fwd;

	if (!k->typed) {
		k->typed = true;
		k->t_btf = btf;
		k->t_id = id;
		return;
	}
	if (k->t_btf == btf && k->t_id == id)
		return;
	if (!names_equal(c, k->t_btf, k->t_id, btf, id)) {
		k->clash = true;
		return;
	}
	fwd = btf_is_fwd(btf__type_by_id(c->types[k->t_btf].btf, k->t_id));
	if (fwd) {	/* the one with a body */
		k->t_btf = btf;
		k->t_id = id;
	}
}

int cast_add_size(struct casts *c, uint32_t size)
{
	size_t at = 0;

	while (at < c->nr_sizes && c->sizes[at] < size)
		at++;
	if ((at < c->nr_sizes && c->sizes[at] == size) || c->nr_sizes == MAX_SIZES)
		return 0;
	if (!cast_grow(&c->sizes, c->nr_sizes, &c->room_sizes, sizeof(*c->sizes)))
		return -ENOMEM;
	memmove(&c->sizes[at + 1], &c->sizes[at], (c->nr_sizes++ - at) * sizeof(*c->sizes));
	c->sizes[at] = size;
	return 0;
}

void cast_note_size(struct class *k, uint32_t size)
{
	if (!size || (k->size && k->size != size))
		k->sizes = true;
	else
		k->size = size;
}

void cast_note_access(struct walk *w, uint32_t class, int64_t off, uint32_t size, bool arena)
{
	struct class *k = &w->c->classes[class];

	k->arena |= arena;
	if (off < 0 || off > INT32_MAX) {
		k->many = true;
		return;
	}
	for (uint32_t i = 0; i < k->nr; i++) {
		if (k->accesses[i].off == off && k->accesses[i].size == size)
			return;
	}
	if (k->nr == MAX_ACCESSES) {
		k->many = true;
		return;
	}
	if (!k->accesses)
		k->accesses = calloc(MAX_ACCESSES, sizeof(*k->accesses));
	if (!k->accesses) {
		w->error = -ENOMEM;
		return;
	}
	k->accesses[k->nr++] = (struct cast_access){ off, size };
}

static void note_edge(struct walk *w, uint32_t to, uint32_t from)
{
	struct casts *c = w->c;

	if (to == from)
		return;
	for (size_t i = c->nr_edges; i-- && c->nr_edges - i < 64;) {
		if (c->edges[i].to == to && c->edges[i].from == from)
			return;
	}
	if (c->nr_edges >= MAX_EDGES)
		w->error = -E2BIG;
	else if (!cast_grow(&c->edges, c->nr_edges, &c->room_edges, sizeof(*c->edges)))
		w->error = -ENOMEM;
	else
		c->edges[c->nr_edges++] = (struct edge){ to, from };
}

/* Sections of variables are no objects; a variable is, or an element of one. */
static struct val whole(struct walk *w, const struct val *v)
{
	const struct btf *btf = w->c->types[v->btf].btf;
	struct val ret = *v;
	uint64_t off = v->off;

	if (v->off < 0 || !btf_is_datasec(btf__type_by_id(btf, v->id)))
		return ret;
	if (!cast_variable_at(w, btf, &ret.id, &off) ||
	    !cast_is_composite(render_peel(btf, &ret.id))) {
		ret.off = -1;
		return ret;
	}
	ret.off = off;
	return ret;
}

/* v is stored in field class. */
void cast_note_store(struct walk *w, uint32_t class, const struct val *v)
{
	struct class *k = &w->c->classes[class];
	uint32_t from = cast_source_of(v);
	struct val p;

	switch (v->kind) {
	case V_CONST:
		k->number |= v->off != 0;
		break;
	case V_NUM:
		k->number = true;
		break;
	case V_PTR:
		if (v->low && !v->arena) {
			k->clash = true;	/* half of an address */
			break;
		}
		k->arena |= v->arena;
		p = whole(w, v);
		if (p.off) {
			/* Into the middle of it, or of allocated pages: another type. */
			k->vague |= from == UINT32_MAX || w->c->classes[from].id;
			break;
		}
		cast_note_type(w->c, k, p.btf, p.id);
		if (from != UINT32_MAX && from != class)
			note_edge(w, class, from);
		break;
	case V_CLASS:
		if (v->off && from == class) {
			k->number = true;	/* a counter */
		} else if (v->low) {
			k->clash = true;
		} else if (v->off && !w->c->classes[from].id) {
			/* A part of the pages that were allocated. */
			k->arena = true;
			cast_note_size(k, 0);
		} else if (v->off) {
			k->vague = true;
		} else {
			note_edge(w, class, from);
		}
		break;
	case V_UNKNOWN:
		break;
	default:
		/* Addresses of the stack, of a map, of a context: pointers of no type. */
		k->clash = true;
	}
}
