// SPDX-License-Identifier: GPL-2.0-only
/*
 * Abstract interpretation: for each register and stack slot, at each basic block, what
 * kind of value it holds; where two ways meet and disagree it is unknown. When nothing
 * changes any more, one more walk over the blocks notes the evidence for each field: what
 * is stored into it, and how what is read from it is used. Fields that are known by then
 * are followed in the next pass over all programs, until no new ones are found.
 *
 * What the verifier leaves behind (7.3, kernel/bpf/fixups.c): maps and their values are
 * addresses; kernel functions are offsets; lookups in arrays and hashes are inlined; a
 * cast out of an arena is a 32-bit move, accesses to arenas have the mode PROBE_MEM32;
 * a load that may fault is wrapped in a check of its address in an extra register.
 */
#include <errno.h>
#include <string.h>

#include "cast_impl.h"

#define MAX_PASSES	8
#define MIN_SHAPE	2	/* different members that must be accessed */
#define MAX_TOTAL	(8U << 20)	/* instructions of all programs */
#define STEPS_TOTAL	(1LL << 29)

struct casts *casts_new(void)
{
	return calloc(1, sizeof(struct casts));
}

void casts_free(struct casts *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->nr_types; i++)
		free(c->types[i].canon);
	for (size_t i = 0; i < c->nr_classes; i++)
		free(c->classes[i].accesses);
	free(c->progs);
	free(c->types);
	free(c->names.bucket);
	free(c->names.next);
	free(c->classes);
	free(c->hash);
	free(c->edges);
	free(c->sizes);
	free(c->fields);
	free(c);
}
/* ------------------------------------------------------------------------ answers */

static int type_index(struct casts *c, const struct btf *btf, uint32_t *ret)
{
	*ret = UINT32_MAX;
	if (!btf)
		return 0;
	for (size_t i = 0; i < c->nr_types; i++) {
		if (c->types[i].btf == btf) {
			*ret = i;
			return 0;
		}
	}
	if (c->nr_types >= CAST_MAX_BTFS)
		return -E2BIG;
	if (!cast_grow(&c->types, c->nr_types, &c->room_types, sizeof(*c->types)))
		return -ENOMEM;
	c->types[c->nr_types] = (struct types){ .btf = btf, .nr = btf__type_cnt(btf) };
	*ret = c->nr_types++;
	return 0;
}

int casts_add(struct casts *c, const struct cast_prog *p)
{
	struct prog prog = { .in = *p };
	uint32_t index;
	int err;

	if (!p->nr || !p->btf)
		return -EINVAL;
	if (p->nr > CAST_MAX_INSNS || c->nr_insns + p->nr > MAX_TOTAL)
		return -E2BIG;
	err = type_index(c, p->btf, &prog.btf);
	if (!err)
		err = type_index(c, p->kernel, &prog.kernel);
	if (!err)
		err = type_index(c, p->ctx_btf, &prog.ctx_btf);
	for (size_t i = 0; i < p->nr_maps && !err && p->maps != c->maps; i++)
		err = type_index(c, p->maps[i].btf, &index);
	if (err)
		return err;
	c->maps = p->maps;
	if (!cast_grow(&c->progs, c->nr_progs, &c->room_progs, sizeof(*c->progs)))
		return -ENOMEM;
	c->progs[c->nr_progs++] = prog;
	c->nr_insns += p->nr;
	return 0;
}

/* What flows from field to field. True when something changed. */
static bool spread(struct walk *w, const struct edge *e)
{
	struct class *to = &w->c->classes[e->to], *from = &w->c->classes[e->from], was = *to;

	to->number |= from->number;
	to->clash |= from->clash;
	to->arena |= from->arena;
	to->many |= from->many;
	to->vague |= from->vague;
	to->sizes |= from->sizes;
	if (from->size)
		cast_note_size(to, from->size);
	if (from->typed)
		cast_note_type(w->c, to, from->t_btf, from->t_id);
	for (uint32_t i = 0; i < from->nr; i++)
		cast_note_access(w, e->to, from->accesses[i].off, from->accesses[i].size, false);
	return to->number != was.number || to->clash != was.clash || to->arena != was.arena ||
	       to->many != was.many || to->vague != was.vague || to->typed != was.typed ||
	       to->nr != was.nr || to->size != was.size || to->sizes != was.sizes;
}

static bool has_shape(struct walk *w, const struct btf *btf, uint32_t id,
		      const struct cast_access *accesses, uint32_t nr)
{
	struct spot at;

	for (uint32_t i = 0; i < nr; i++) {
		if (!cast_locate(w, btf, 0, 0, id, accesses[i].off, accesses[i].size, 0, &at))
			return false;
	}
	return true;
}

/* The only struct that has members of these sizes at these places. */
static uint32_t shape(struct walk *w, uint32_t btf, const struct class *k)
{
	const struct types *ty = &w->c->types[btf];
	uint32_t found = 0;

	if (k->many || k->nr < MIN_SHAPE)
		return 0;
	for (uint32_t id = 1; id < ty->nr; id++) {
		const struct btf_type *t = btf__type_by_id(ty->btf, id);

		if (!cast_is_composite(t) || !cast_spend(w, 1) ||
		    !has_shape(w, ty->btf, id, k->accesses, k->nr))
			continue;
		if (found)
			return 0;
		found = id;
	}
	return w->error ? 0 : found;
}

static bool fits(const struct casts *c, const struct class *k)
{
	uint64_t size;

	if (btf_is_fwd(btf__type_by_id(c->types[k->t_btf].btf, k->t_id)))
		return true;
	if (!cast_size_of(c->types[k->t_btf].btf, k->t_id, &size))
		return false;
	for (uint32_t i = 0; i < k->nr; i++) {
		if ((uint64_t)k->accesses[i].off + k->accesses[i].size > size)
			return false;
	}
	return true;
}

/* An object is not larger than what was allocated for it. */
static bool has_room(const struct casts *c, const struct answer *a)
{
	uint64_t size;

	return !a->size || (cast_size_of(c->types[a->btf].btf, a->id, &size) && size <= a->size);
}

static struct answer answer(struct walk *w, const struct class *k)
{
	struct answer a = {
		.arena = k->arena, .size = k->sizes ? 0 : k->size,
		.vague = k->vague || k->many || (k->sizes && k->size),
	};

	if (k->banned || k->number || k->clash)
		return (struct answer){};
	if (k->typed) {
		if (k->vague || !fits(w->c, k))
			return (struct answer){};
		a.known = true;
		a.btf = k->t_btf;
		a.id = k->t_id;
	} else if (k->arena) {
		a.known = true;
		a.btf = k->id ? k->btf : w->c->progs[k->btf].btf;
		a.id = k->vague ? 0 : shape(w, a.btf, k);
		if (a.id && !has_room(w->c, &a))
			a.id = 0;
		a.shape = a.id;
	}
	return a;
}

static bool same_answer(const struct answer *a, const struct answer *b)
{
	return a->known == b->known && a->btf == b->btf && a->id == b->id && a->arena == b->arena;
}

/* One pass over all programs. 0 or -ENOMEM; *changed_ret: other answers than before. */
static int pass(struct casts *c, bool *changed_ret)
{
	struct walk w = { .c = c, .steps = c->steps };
	bool again = true;

	c->nr_edges = 0;
	for (size_t i = 0; i < c->nr_classes; i++) {
		struct class *k = &c->classes[i];

		k->typed = k->number = k->clash = k->arena = k->many = k->vague = false;
		k->nr = 0;
		k->size = 0;
	}
	for (size_t i = 0; i < c->nr_progs; i++) {
		int err = c->progs[i].left_out ? 0 : cast_walk_prog(c, i);

		if (err == -ENOMEM)
			return err;
		if (err)
			c->progs[i].left_out = true;
	}
	w.steps = c->steps;
	for (int round = 0; again && round < MAX_NEST; round++) {
		again = false;
		for (size_t i = 0; i < c->nr_edges; i++)
			again |= spread(&w, &c->edges[i]);
	}
	*changed_ret = false;
	for (size_t i = 0; i < c->nr_classes; i++) {
		struct class *k = &c->classes[i];
		struct answer a = answer(&w, k);

		if (same_answer(&a, &k->now)) {
			k->now.shape = a.shape;
			k->now.size = a.size;
			k->now.vague = a.vague;
			continue;
		}
		*changed_ret = true;
		/* What was true and is not any more would go round for ever. */
		if (k->now.known) {
			k->banned = true;
			a = (struct answer){};
		}
		k->now = a;
	}
	c->steps = w.steps > 0 ? w.steps : 0;
	return w.error == -ENOMEM ? w.error : 0;
}

static int by_place(const void *a, const void *b)
{
	const struct cast_field *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner > y->owner ? 1 : -1;
	return (x->off > y->off) - (x->off < y->off);
}

static int collect(struct casts *c)
{
	size_t n = 0;

	c->fields = calloc(c->nr_classes + 1, sizeof(*c->fields));
	if (!c->fields)
		return -ENOMEM;
	for (size_t i = 0; i < c->nr_classes; i++) {
		const struct class *k = &c->classes[i];

		if (!k->id || !k->now.known)
			continue;
		c->fields[n++] = (struct cast_field){
			.btf = c->types[k->btf].btf, .owner_id = k->id, .off = k->off,
			.owner = btf__type_by_id(c->types[k->btf].btf, k->id),
			.hit = {
				.btf = c->types[k->now.btf].btf, .id = k->now.id,
				.arena = k->now.arena, .shape = k->now.shape,
				.size = k->now.size, .vague = k->now.vague,
				.nr_accesses = k->nr, .accesses = k->accesses,
			},
		};
	}
	qsort(c->fields, n, sizeof(*c->fields), by_place);
	c->nr_fields = n;
	return 0;
}

int casts_solve(struct casts *c)
{
	bool changed = true;
	int err = 0;

	c->steps = STEPS_TOTAL;
	for (size_t i = 0; i < c->nr_progs && !c->names.btf && !err; i++) {
		if (c->progs[i].in.kernel)
			err = cast_names_build(&c->names, c->progs[i].in.kernel);
	}
	for (int i = 0; i < MAX_PASSES && changed && !err; i++)
		err = pass(c, &changed);
	if (!err && changed) {
		/* Only what follows from nothing else. */
		for (size_t i = 0; i < c->nr_classes; i++)
			c->classes[i].now = (struct answer){};
		err = pass(c, &changed);
	}
	/* Out of time: what contradicts may not have been seen. */
	if (!err && !c->steps) {
		for (size_t i = 0; i < c->nr_classes; i++)
			c->classes[i].now = (struct answer){};
		for (size_t i = 0; i < c->nr_progs; i++)
			c->progs[i].left_out = true;
	}
	return err ? err : collect(c);
}

/* Accesses to how many members may be looked at to say so. */
#define MAX_FIT	(1 << 16)

bool cast_fits(const struct cast_hit *hit, const struct btf *btf, uint32_t id)
{
	struct walk w = { .steps = MAX_FIT };

	return has_shape(&w, btf, id, hit->accesses, hit->nr_accesses);
}

const uint32_t *casts_sizes(const struct casts *c, size_t *nr_ret)
{
	*nr_ret = c->nr_sizes;
	return c->sizes;
}

size_t casts_left_out(const struct casts *c)
{
	size_t nr = 0;

	for (size_t i = 0; i < c->nr_progs; i++)
		nr += c->progs[i].left_out;
	return nr;
}

bool casts_cover(const struct casts *c, const struct btf *btf)
{
	for (size_t i = 0; i < c->nr_progs; i++)
		if (c->progs[i].in.btf == btf)
			return true;
	return false;
}

int casts_adopt(struct casts *c, const struct btf *btf, const struct casts *from)
{
	size_t nr = c->nr_fields + from->nr_fields;
	struct cast_field *fields = reallocarray(c->fields, nr + 1, sizeof(*fields));

	if (!fields)
		return -ENOMEM;
	c->fields = fields;
	for (size_t i = 0; i < from->nr_fields; i++) {
		struct cast_field *f = &fields[c->nr_fields++];

		*f = from->fields[i];
		f->btf = btf;
		f->owner = btf__type_by_id(btf, f->owner_id);
		f->hit.btf = btf;
	}
	for (size_t i = 0; i < from->nr_sizes; i++)
		if (cast_add_size(c, from->sizes[i]))
			return -ENOMEM;
	qsort(fields, nr, sizeof(*fields), by_place);
	return 0;
}

bool casts_find(const struct casts *c, const struct btf *btf, const struct btf_type *owner,
		uint32_t off, struct cast_hit *ret)
{
	struct cast_field key = { .owner = owner, .off = off };
	const struct cast_field *f;

	if (!c || !c->nr_fields)
		return false;
	f = bsearch(&key, c->fields, c->nr_fields, sizeof(*c->fields), by_place);
	if (!f || f->btf != btf)
		return false;
	*ret = f->hit;
	return true;
}

const struct cast_field *casts_fields(const struct casts *c, size_t *nr_ret)
{
	*nr_ret = c->nr_fields;
	return c->fields;
}

const char *cast_type_name(const struct btf *btf, uint32_t id)
{
	return id ? cast_name_at(btf, btf__type_by_id(btf, id)->name_off) : "";
}

const char *cast_member_name(const struct cast_field *f)
{
	unsigned int vlen = btf_vlen(f->owner);
	const char *found = "";

	for (unsigned int i = 0; i < vlen; i++) {
		if (btf_is_datasec(f->owner)) {
			const struct btf_var_secinfo *v = &btf_var_secinfos(f->owner)[i];

			if (v->offset <= f->off && f->off - v->offset < v->size)
				return cast_type_name(f->btf, v->type);
		} else if (btf_member_bit_offset(f->owner, i) / 8 <= f->off) {
			const char *s = cast_name_at(f->btf, btf_members(f->owner)[i].name_off);

			/* The last one that begins before it; of a union the first. */
			if (*s && (!*found || btf_is_struct(f->owner)))
				found = s;
		}
	}
	return found;
}
