// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "global.h"

#define MAX_DEPTH	8	/* structs in structs */
#define MAX_ELEMENTS	1024	/* of an array of such structs */
#define MAX_VISITS	(1U << 23)	/* of types and places, in all maps */
#define MAX_FOUND	256

struct search {
	struct report *r;
	const char *type;
	bool (*found)(void *ctx, const struct global *g);
	void *ctx;
	struct global g;
	struct arena arenas[MAP_MAX_ARENAS];
	char name[200];
	uint64_t seen[MAX_FOUND];
	size_t nr_seen;
	unsigned int visits;
	const struct btf *btf;	/* that was looked at last */
	uint32_t id;		/* of the struct in it, 0: it has none */
	bool pointers;		/* this time what is behind them */
	bool cut, enough;
};

static void place(struct search *s, uint32_t id, uint64_t kva, size_t name_len, int depth,
		  int pointers);

static const char *name_of(const struct btf *btf, const struct btf_type *t)
{
	const char *name = t->name_off ? btf__name_by_offset(btf, t->name_off) : NULL;

	return name ? name : "";
}

uint32_t global_struct(const struct btf *btf, const char *name)
{
	const struct btf *base = btf__base_btf(btf);
	uint32_t nr = btf__type_cnt(btf);

	for (uint32_t id = base ? btf__type_cnt(base) : 1; id < nr; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (t && btf_is_struct(t) && !strcmp(name_of(btf, t), name))
			return id;
	}
	return 0;
}

static bool member_at(const struct btf *btf, const struct btf_type *t, const char *name, int depth,
		      uint64_t *off_ret, uint64_t *size_ret)
{
	const struct btf_member *m = btf_members(t);

	for (unsigned int i = 0; i < btf_vlen(t); i++, m++) {
		const char *s = m->name_off ? btf__name_by_offset(btf, m->name_off) : NULL;
		uint32_t bit = btf_member_bit_offset(t, i), id = m->type;
		const struct btf_type *in;

		if (bit % 8 || btf_member_bitfield_size(t, i))
			continue;
		if (s && *s) {
			if (strcmp(s, name))
				continue;
			*off_ret = bit / 8;
			return !size_ret || render_type_size(btf, id, size_ret);
		}
		in = depth ? render_peel(btf, &id) : NULL;
		if (in && btf_is_composite(in) &&
		    member_at(btf, in, name, depth - 1, off_ret, size_ret)) {
			*off_ret += bit / 8;
			return true;
		}
	}
	return false;
}

bool global_member(const struct btf *btf, const struct btf_type *t, const char *name,
		   uint64_t *off_ret, uint64_t *size_ret)
{
	return member_at(btf, t, name, MAX_DEPTH, off_ret, size_ret);
}

static bool visit(struct search *s)
{
	if (s->visits >= MAX_VISITS)
		s->cut = true;
	else
		s->visits++;
	return !s->cut && !s->enough;
}

static bool is_wanted(const struct search *s, const struct btf_type *t)
{
	return btf_is_struct(t) && !strcmp(name_of(s->g.btf, t), s->type);
}

/* Is there one in this type, or, when they are looked for, a pointer to one? */
static bool holds(struct search *s, uint32_t id, int depth, bool pointers)
{
	const struct btf_type *t = render_peel(s->g.btf, &id);

	if (!t || depth > MAX_DEPTH || !visit(s))
		return false;
	if (btf_is_array(t))
		return holds(s, btf_array(t)->type, depth + 1, pointers);
	if (btf_is_ptr(t)) {
		uint32_t to = t->type;

		t = pointers ? render_peel(s->g.btf, &to) : NULL;
		if (t && btf_is_fwd(t))
			return !strcmp(name_of(s->g.btf, t), s->type);
		return t && btf_is_struct(t) && holds(s, to, depth + 1, false);
	}
	if (!btf_is_composite(t))
		return false;
	if (is_wanted(s, t))
		return true;
	for (unsigned int i = 0; i < btf_vlen(t); i++)
		if (holds(s, btf_members(t)[i].type, depth + 1, pointers))
			return true;
	return false;
}

static void one(struct search *s, const struct btf_type *t, uint64_t kva)
{
	for (size_t i = 0; i < s->nr_seen; i++)
		if (s->seen[i] == kva)
			return;
	if (s->nr_seen == MAX_FOUND) {
		s->cut = true;
		return;
	}
	s->seen[s->nr_seen++] = kva;
	s->g.t = t;
	s->g.kva = kva;
	s->enough = !s->found(s->ctx, &s->g);
}

/* What a pointer at kva leads to. */
static void behind(struct search *s, uint32_t id, uint64_t kva, size_t name_len, int depth,
		   int pointers)
{
	const struct btf_type *t = render_peel(s->g.btf, &id);
	struct arena_place at;
	uint64_t addr;

	if (t && btf_is_fwd(t) && !strcmp(name_of(s->g.btf, t), s->type))
		id = s->id;
	if (!id || bulk_read(s->r->bulk, kva, &addr, sizeof(addr)))
		return;
	addr = le64toh(addr);
	if (arena_find(s->arenas, s->g.nr_arenas, addr, addr != 0, &at))
		addr = at.kva;
	/* The rest is user memory of the loader's. */
	else if (!(addr >> 63))
		return;
	if (addr)
		place(s, id, addr, name_len, depth + 1, pointers + 1);
}

static void elements(struct search *s, const struct btf_array *a, uint64_t kva, size_t name_len,
		     int depth, int pointers)
{
	uint32_t nr = a->nelems;
	uint64_t size;

	if (!render_type_size(s->g.btf, a->type, &size) || !size)
		return;
	if (nr > MAX_ELEMENTS) {
		nr = MAX_ELEMENTS;
		s->cut = true;
	}
	for (uint32_t i = 0; i < nr && !s->enough; i++) {
		int n = snprintf(s->name + name_len, sizeof(s->name) - name_len, "[%u]", i);

		place(s, a->type, kva + i * size,
		      name_len + n < sizeof(s->name) ? name_len + n : name_len, depth + 1, pointers);
	}
}

/* Something of this type at kva, which may have one in it. */
static void place(struct search *s, uint32_t id, uint64_t kva, size_t name_len, int depth,
		  int pointers)
{
	const struct btf_type *t = render_peel(s->g.btf, &id);

	if (!t || depth > MAX_DEPTH || !visit(s) ||
	    !holds(s, id, depth, s->pointers && !pointers))
		return;
	s->name[name_len] = '\0';
	if (btf_is_ptr(t)) {
		behind(s, t->type, kva, name_len, depth, pointers);
	} else if (btf_is_array(t)) {
		elements(s, btf_array(t), kva, name_len, depth, pointers);
	} else if (is_wanted(s, t)) {
		if (!s->pointers || pointers)
			one(s, t, kva);
	} else {
		for (unsigned int i = 0; i < btf_vlen(t) && !s->enough; i++) {
			const struct btf_member *m = btf_members(t) + i;
			const char *name = m->name_off ? btf__name_by_offset(s->g.btf, m->name_off) : NULL;
			size_t len = name_len;

			if (btf_member_bit_offset(t, i) % 8 || btf_member_bitfield_size(t, i))
				continue;
			if (name && *name && len + strlen(name) + 2 < sizeof(s->name))
				len += sprintf(s->name + len, ".%s", name);
			place(s, m->type, kva + btf_member_bit_offset(t, i) / 8, len, depth + 1,
			      pointers);
		}
	}
}

static void section(struct search *s, const struct btf_type *sec, uint64_t kva)
{
	const struct btf_var_secinfo *v = btf_var_secinfos(sec);

	for (unsigned int i = 0; i < btf_vlen(sec) && !s->enough; i++, v++) {
		const struct btf_type *var = btf__type_by_id(s->g.btf, v->type);
		int n;

		if (!var || !btf_is_var(var))
			continue;
		n = snprintf(s->name, sizeof(s->name), "%s", name_of(s->g.btf, var));
		if (n < (int)sizeof(s->name))
			place(s, var->type, kva + v->offset, n, 0, 0);
	}
}

/* Of a map whose only value is a section of variables. */
static void one_map(struct search *s, row_t row)
{
	const struct btf_type *t;
	struct map m;
	uint32_t id;

	map_load(s->r, row, &m);
	if (m.type != MAP_ARRAY || m.max_entries != 1 || !m.values_kva)
		return;
	map_btf_choose(s->r, &m);
	id = m.value_type;
	t = m.btf && id ? render_peel(m.btf, &id) : NULL;
	if (!t || !btf_is_datasec(t))
		return;
	if (m.btf != s->btf) {
		s->btf = m.btf;
		s->id = global_struct(m.btf, s->type);
		s->visits += btf__type_cnt(m.btf) / 16;
	}
	if (!s->id || !visit(s))
		return;
	s->g.btf = m.btf;
	s->g.map = &m;
	s->g.arenas = s->arenas;
	s->g.nr_arenas = arenas_of_map(s->r, &m, s->arenas);
	section(s, t, m.values_kva);
}

enum globals_result globals_find(struct report *r, const char *type,
				 bool (*found)(void *ctx, const struct global *g), void *ctx)
{
	_cleanup_free_ row_t *maps = report_sorted(r, KTD_TBL_MAP, KTD_MAP_ID);
	_cleanup_free_ struct search *s = calloc(1, sizeof(*s));
	const struct table *t = report_table(r, KTD_TBL_MAP);

	if (!maps || !s)
		return GLOBALS_CUT;
	s->r = r;
	s->type = type;
	s->found = found;
	s->ctx = ctx;
	s->g.name = s->name;
	for (int pass = 0; pass < 2; pass++) {
		s->pointers = pass;
		for (size_t i = 0; i < t->nr_rows && !s->enough && r->bulk; i++)
			if (row_u64_or(t, maps[i], KTD_MAP_MAP_TYPE, 0) == MAP_ARRAY)
				one_map(s, maps[i]);
	}
	return s->cut ? GLOBALS_CUT : GLOBALS_DONE;
}
