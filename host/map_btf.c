// SPDX-License-Identifier: GPL-2.0-only
/* Which BTF describes a map, and where a type that is only declared has its body. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"

static uint32_t type_id(const struct table *t, row_t row, unsigned int col)
{
	uint64_t id = row_u64_or(t, row, col, 0);

	return id <= UINT32_MAX ? id : 0;
}

void map_btf_choose(struct report *r, struct map *m)
{
	const struct table *t = report_table(r, KTD_TBL_MAP);
	bool wrapped = m->type == MAP_STRUCT_OPS;
	uint64_t kva = wrapped ? 0 : row_u64_or(t, m->row, KTD_MAP_BTF_KVA, 0);
	const char *why = NULL;

	m->key_type = type_id(t, m->row, KTD_MAP_BTF_KEY_TYPE_ID);
	/* struct_ops: btf_value_type_id is of the program's own idea of the type. */
	m->value_type = type_id(t, m->row, wrapped ? KTD_MAP_BTF_VMLINUX_VALUE_TYPE_ID :
						     KTD_MAP_BTF_VALUE_TYPE_ID);
	if (!m->key_type && !m->value_type)
		return;
	m->btf = report_btf(r, kva, &why);
	if (!m->btf && (m->taken || wrapped))
		map_error(m, "shown as bytes: %s", why ? why : "its BTF is not there");
}

static int by_name(const void *a, const void *b)
{
	const struct fwd_ref *x = a, *y = b;
	int ret = strcmp(x->name, y->name);

	if (!ret)
		ret = (x->is_union > y->is_union) - (x->is_union < y->is_union);
	return ret ? ret : (x->order > y->order) - (x->order < y->order);
}

static int fwd_add(struct fwd_index *x, const char *name, const struct btf *btf, uint32_t id,
		   bool is_union)
{
	if (x->nr == x->room) {
		size_t room = x->room ? x->room * 2 : 1024;
		struct fwd_ref *refs = reallocarray(x->refs, room, sizeof(*refs));

		if (!refs)
			return -ENOMEM;
		x->refs = refs;
		x->room = room;
	}
	x->refs[x->nr] = (struct fwd_ref){ name, btf, id, x->nr, is_union };
	x->nr++;
	return 0;
}

static int fwd_add_btf(struct fwd_index *x, const struct btf *btf)
{
	const struct btf *base = btf__base_btf(btf);
	uint32_t nr = btf__type_cnt(btf);

	for (uint32_t id = base ? btf__type_cnt(base) : 1; id < nr; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id), *target;
		const char *name = t ? btf__name_by_offset(btf, t->name_off) : NULL;
		int err = 0;

		if (!name || !*name)
			continue;
		if (btf_is_composite(t))
			err = fwd_add(x, name, btf, id, btf_is_union(t));
		if (err)
			return err;
		/* typedef struct { … } name_t: declared elsewhere as struct name. */
		if (!btf_is_typedef(t))
			continue;
		target = btf__type_by_id(btf, t->type);
		if (target && btf_is_composite(target) && !target->name_off)
			err = fwd_add(x, name, btf, t->type, btf_is_union(target));
		if (err)
			return err;
	}
	return 0;
}

/* All programs' BTF. Without memory the index stays empty: pointers are then not followed. */
static void fwd_build(struct map_writer *mw)
{
	size_t nr = report_nr_btfs(mw->r);

	mw->fwd.built = true;
	for (size_t i = 0; i < nr; i++) {
		const struct btf *btf = report_prog_btf(mw->r, i);

		if (btf && fwd_add_btf(&mw->fwd, btf))
			break;
	}
	if (mw->fwd.nr)
		qsort(mw->fwd.refs, mw->fwd.nr, sizeof(*mw->fwd.refs), by_name);
}

static const struct fwd_ref *fwd_find(const struct fwd_index *x, const char *name, bool is_union)
{
	const struct fwd_ref key = { .name = name, .is_union = is_union };
	size_t lo = 0, hi = x->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (by_name(&x->refs[mid], &key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == x->nr || strcmp(x->refs[lo].name, name) || x->refs[lo].is_union != is_union)
		return NULL;
	return &x->refs[lo];
}

bool map_btf_resolve_fwd(struct map_writer *mw, const char *name, bool is_union,
			 const struct btf **btf_ret, uint32_t *id_ret)
{
	const struct fwd_ref *ref;

	if (!mw->fwd.built)
		fwd_build(mw);
	ref = fwd_find(&mw->fwd, name, is_union);
	if (!ref) {
		char typedef_name[256];

		if (snprintf(typedef_name, sizeof(typedef_name), "%s_t", name) <
		    (int)sizeof(typedef_name))
			ref = fwd_find(&mw->fwd, typedef_name, is_union);
		/* A named struct that happens to be called so is another type. */
		if (ref && btf__type_by_id(ref->btf, ref->id)->name_off)
			ref = NULL;
	}
	if (!ref)
		return false;
	*btf_ret = ref->btf;
	*id_ret = ref->id;
	return true;
}

/* Why there are no bytes, as far as it is known without trying. */
static const char *btf_missing(const struct table *t, row_t row, const struct blob *b)
{
	const uint8_t *hash;
	size_t len;

	if (row_bin(t, row, KTD_BTF_HASH, &hash, &len))
		return "not captured";
	if (b && b->whole)
		return NULL;
	return b && b->error ? b->error : b && b->fill ? "the stream ends within it" :
							 "the guest did not send it";
}

void btfs_detail(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_BTF);
	yyjson_mut_val *arr;

	if (!t->header)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "btf");
	for (size_t i = 0; i < t->nr_rows; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
		const struct blob *b = NULL;
		const uint8_t *hash;
		const char *missing;
		size_t len;

		json_add_cols(r->doc, obj, t, t->rows[i], NULL);
		if (!row_bin(t, t->rows[i], KTD_BTF_HASH, &hash, &len) && len == BTF_HASH_BYTES)
			b = blobs_find(&r->snap->blobs, hash);
		missing = btf_missing(t, t->rows[i], b);
		if (missing)
			yyjson_mut_obj_add_str(r->doc, obj, "missing", missing);
		else
			yyjson_mut_obj_add_str(r->doc, obj, "source", b->source);
	}
}
