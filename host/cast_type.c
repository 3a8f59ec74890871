// SPDX-License-Identifier: GPL-2.0-only
/* BTF as the analysis looks at it: what is at an offset, and what the kernel calls it. */
#include <errno.h>
#include <string.h>

#include "cast_impl.h"
#include "crc32c.h"

const char *cast_name_at(const struct btf *btf, uint32_t off)
{
	const char *s = off ? btf__name_by_offset(btf, off) : NULL;

	return s ? s : "";
}

bool cast_size_of(const struct btf *btf, uint32_t id, uint64_t *ret)
{
	const struct btf_type *t = render_peel(btf, &id);

	/* No value has that type, but addresses of variables are offsets into one. */
	if (t && btf_is_datasec(t)) {
		*ret = t->size;
		return true;
	}
	return render_type_size(btf, id, ret);
}

static bool locate_member(struct walk *w, const struct btf *btf, uint32_t id,
			  const struct btf_type *t, uint64_t off, uint64_t size, int depth,
			  struct spot *ret)
{
	const struct btf_member *m = btf_members(t);
	unsigned int found = 0;

	for (unsigned int i = 0; i < btf_vlen(t); i++, m++) {
		uint64_t bit = btf_member_bit_offset(t, i), m_off = bit / 8, m_size;
		struct spot at;

		if (bit % 8 || btf_member_bitfield_size(t, i) || m_off > off ||
		    !cast_size_of(btf, m->type, &m_size) || off - m_off >= m_size)
			continue;
		if (!cast_locate(w, btf, id, off, m->type, off - m_off, size, depth + 1, &at))
			continue;
		/* Members of a union lie over each other: they must agree. */
		if (found++ && (at.owner != ret->owner || at.off != ret->off ||
				at.leaf != ret->leaf))
			return false;
		*ret = at;
	}
	return found;
}

/* From a section to the variable at off: its type, and where in it. */
bool cast_variable_at(struct walk *w, const struct btf *btf, uint32_t *id, uint64_t *off)
{
	const struct btf_type *t = btf__type_by_id(btf, *id);
	const struct btf_var_secinfo *v = btf_var_secinfos(t);

	if (!cast_spend(w, btf_vlen(t)))
		return false;
	for (unsigned int i = 0; i < btf_vlen(t); i++, v++) {
		const struct btf_type *var = btf__type_by_id(btf, v->type);

		if (v->offset > *off || *off - v->offset >= v->size || !var || !btf_is_var(var))
			continue;
		*id = var->type;
		*off -= v->offset;
		return true;
	}
	return false;
}

/* A scalar of this size, the whole of it. */
bool cast_locate(struct walk *w, const struct btf *btf, uint32_t owner, uint32_t owner_off,
		 uint32_t id, uint64_t off, uint64_t size, int depth, struct spot *ret)
{
	const struct btf_type *t = render_peel(btf, &id);
	uint64_t all;

	if (!t || depth > MAX_NEST || off > INT32_MAX || !cast_spend(w, 1 + btf_vlen(t)))
		return false;
	switch (btf_kind(t)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return locate_member(w, btf, id, t, off, size, depth, ret);
	case BTF_KIND_DATASEC:
		owner = id;
		owner_off = off;
		return cast_variable_at(w, btf, &id, &off) &&
		       cast_locate(w, btf, owner, owner_off, id, off, size, depth + 1, ret);
	case BTF_KIND_ARRAY:
		if (!cast_size_of(btf, btf_array(t)->type, &all) || !all)
			return false;
		return cast_locate(w, btf, owner, owner_off, btf_array(t)->type, off % all, size,
				   depth + 1, ret);
	default:
		if (off || !cast_size_of(btf, id, &all) || all != size)
			return false;
		*ret = (struct spot){ owner, owner_off, id, t, all };
		return true;
	}
}

/*
 * The element that off lies in, of the outermost array whose elements a step of so many
 * bytes cannot miss. False: there is none.
 */
bool cast_element_at(struct walk *w, const struct btf *btf, uint32_t *id, uint64_t *off,
		     uint64_t step)
{
	for (int depth = 0; depth < MAX_NEST; depth++) {
		const struct btf_type *t = render_peel(btf, id);
		bool down = false;
		uint64_t size;

		if (!t || !cast_spend(w, 1 + btf_vlen(t)))
			return false;
		if (btf_kind(t) == BTF_KIND_ARRAY) {
			if (!cast_size_of(btf, btf_array(t)->type, &size) || !size)
				return false;
			*id = btf_array(t)->type;
			*off %= size;
			if (step % size)
				continue;
			return cast_is_composite(render_peel(btf, id));
		}
		if (btf_kind(t) == BTF_KIND_DATASEC) {
			down = cast_variable_at(w, btf, id, off);
		} else if (btf_kind(t) == BTF_KIND_STRUCT) {
			for (unsigned int i = 0; i < btf_vlen(t) && !down; i++) {
				uint64_t bit = btf_member_bit_offset(t, i);

				if (bit % 8 || bit / 8 > *off ||
				    !cast_size_of(btf, btf_members(t)[i].type, &size) ||
				    *off - bit / 8 >= size)
					continue;
				*off -= bit / 8;
				*id = btf_members(t)[i].type;
				down = true;
			}
		}
		if (!down)
			return false;
	}
	return false;
}
/* -------------------------------------------------------------- names of the kernel */

static bool is_indexed(const struct btf_type *t)
{
	return t && t->name_off && (cast_is_composite(t) || btf_kind(t) == BTF_KIND_FUNC);
}

int cast_names_build(struct name_index *x, const struct btf *btf)
{
	uint32_t nr = btf__type_cnt(btf), size = 1024;

	while (size < nr / 2 && size < 1U << 20)
		size *= 2;
	x->bucket = calloc(size, sizeof(*x->bucket));
	x->next = calloc(nr, sizeof(*x->next));
	if (!x->bucket || !x->next)
		return -ENOMEM;
	x->mask = size - 1;
	x->btf = btf;
	/* From the last on, so that the first of a name is found first. */
	for (uint32_t id = nr; --id;) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *s;
		uint32_t *b;

		if (!is_indexed(t))
			continue;
		s = cast_name_at(btf, t->name_off);
		b = &x->bucket[crc32c(0, s, strlen(s)) & x->mask];
		x->next[id] = *b;
		*b = id;
	}
	return 0;
}

/* 0 when there is none. Of several functions of that name none is meant. */
uint32_t cast_names_find(const struct name_index *x, const char *s, size_t len,
			 unsigned int kind)
{
	uint32_t id, found = 0;

	if (!x->btf)
		return 0;
	for (id = x->bucket[crc32c(0, s, len) & x->mask]; id; id = x->next[id]) {
		const struct btf_type *t = btf__type_by_id(x->btf, id);
		const char *name = cast_name_at(x->btf, t->name_off);

		if (btf_kind(t) != kind || strncmp(name, s, len) || name[len])
			continue;
		if (kind != BTF_KIND_FUNC)
			return id;
		if (found)
			return 0;
		found = id;
	}
	return found;
}

static bool has_member(struct walk *w, const struct btf *btf, const struct btf_type *t,
		       const char *name, int depth)
{
	if (!cast_spend(w, 1 + btf_vlen(t) / 4))
		return false;
	for (unsigned int i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i;
		const char *s = cast_name_at(btf, m->name_off);
		uint32_t id = m->type;
		const struct btf_type *in;

		if (*s) {
			if (!strcmp(s, name))
				return true;
			continue;
		}
		in = render_peel(btf, &id);
		if (cast_is_composite(in) && depth < MAX_NEST &&
		    has_member(w, btf, in, name, depth + 1))
			return true;
	}
	return false;
}

/*
 * A program's idea of a kernel type. Its own offsets may be of another kernel; those in
 * the instructions are this kernel's. A type of the program's own that happens to have
 * a kernel type's name has other members.
 */
static bool same_type(struct walk *w, const struct btf *btf, const struct btf_type *t,
		      const struct btf *kernel, const struct btf_type *k)
{
	for (unsigned int i = 0; i < btf_vlen(t); i++) {
		const char *s = cast_name_at(btf, btf_members(t)[i].name_off);

		if (*s && !has_member(w, kernel, k, s, 0))
			return false;
	}
	return true;
}

/* The kernel's type of that name, 0 none. id: of a struct or union. */
uint32_t cast_canonical(struct walk *w, uint32_t btf, uint32_t id)
{
	const struct name_index *x = &w->c->names;
	struct types *ty = &w->c->types[btf];
	const struct btf_type *t;
	uint32_t found = 0;
	const char *s;
	size_t len;

	if (!x->btf || ty->btf == x->btf || id >= ty->nr)
		return 0;
	if (!ty->canon)
		ty->canon = calloc(ty->nr, sizeof(*ty->canon));
	if (!ty->canon) {
		w->error = -ENOMEM;
		return 0;
	}
	if (ty->canon[id])
		return ty->canon[id] - 1;
	t = btf__type_by_id(ty->btf, id);
	s = cast_name_at(ty->btf, t->name_off);
	/* task_struct___older is a way to say task_struct. */
	len = strlen(s);
	if (len > 3 && strstr(s, "___"))
		len = strstr(s, "___") - s;
	if (len && cast_spend(w, 1 + btf_vlen(t)))
		found = cast_names_find(x, s, len, btf_kind(t));
	if (found) {
		const struct btf_type *k = btf__type_by_id(x->btf, found);

		if (!same_type(w, ty->btf, t, x->btf, k))
			found = 0;
	}
	ty->canon[id] = found + 1;
	return found;
}
