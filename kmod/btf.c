// SPDX-License-Identifier: GPL-2.0-only
/*
 * BTF layout (Documentation/bpf/btf.rst): a header, a type section of records
 * that each start with struct btf_type and carry kind-specific data behind it,
 * and a string section. Ids count records from 1.
 */
#include "btf.h"

#define BTF_RESOLVE_MAX	32	/* typedef and qualifier steps */
#define BTF_NEST_MAX	8	/* anonymous members inside each other */

/* Headers grow at their end (7.1 added a layout section): this part is enough. */
#define BTF_HDR_MIN	(offsetof(struct btf_header, str_len) + sizeof(u32))

/* Bytes behind struct btf_type for @t; -1 for a kind nobody knows. */
static int btf_tail(const struct btf_type *t)
{
	u32 vlen = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
		return sizeof(u32);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return vlen * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return vlen * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return vlen * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return vlen * sizeof(struct btf_param);
	case BTF_KIND_VAR:
		return sizeof(struct btf_var);
	case BTF_KIND_DATASEC:
		return vlen * sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG:
		return sizeof(struct btf_decl_tag);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	default:
		return -1;
	}
}

static const struct btf_type *btf_type(const struct ktd_btf *btf, u32 id)
{
	if (!id || id >= btf->nr_types)
		return NULL;
	return (const struct btf_type *)(btf->types + btf->offs[id]);
}

static const char *btf_str(const struct ktd_btf *btf, u32 off)
{
	return off < btf->strs_len ? btf->strs + off : "";
}

static bool btf_is_struct(const struct btf_type *t)
{
	u32 kind = t ? BTF_INFO_KIND(t->info) : BTF_KIND_UNKN;

	return kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION;
}

/* Counts the records; with @offs also notes where each starts. 0 = damaged. */
static u32 btf_scan(const struct ktd_btf *btf, u32 *offs)
{
	u32 pos = 0, id = 1;

	while (pos < btf->types_len) {
		const struct btf_type *t = (const void *)(btf->types + pos);
		int tail;

		if (btf->types_len - pos < sizeof(*t))
			return 0;
		tail = btf_tail(t);
		if (tail < 0 || (u32)tail > btf->types_len - pos - sizeof(*t))
			return 0;
		if (offs)
			offs[id] = pos;
		id++;
		pos += sizeof(*t) + tail;
	}
	return id;
}

int ktd_btf_init(struct ktd_btf *btf, const void *data, size_t size)
{
	const struct btf_header *h = data;
	u32 hdr_len;

	memset(btf, 0, sizeof(*btf));
	if (size < BTF_HDR_MIN || h->magic != BTF_MAGIC)
		return -EINVAL;
	hdr_len = h->hdr_len;
	if (hdr_len < BTF_HDR_MIN || hdr_len > size ||
	    h->type_off > size - hdr_len || h->type_len > size - hdr_len - h->type_off ||
	    h->str_off > size - hdr_len || h->str_len > size - hdr_len - h->str_off ||
	    h->type_off % 4 || !h->str_len)
		return -EINVAL;

	btf->data = data;
	btf->size = size;
	btf->types = btf->data + hdr_len + h->type_off;
	btf->types_len = h->type_len;
	btf->strs = (const char *)btf->data + hdr_len + h->str_off;
	btf->strs_len = h->str_len;
	if (btf->strs[btf->strs_len - 1])
		return -EINVAL;

	btf->nr_types = btf_scan(btf, NULL);
	if (!btf->nr_types)
		return -EINVAL;
	btf->offs = kvmalloc_array(btf->nr_types, sizeof(*btf->offs), GFP_KERNEL);
	if (!btf->offs)
		return -ENOMEM;
	btf->offs[0] = 0;
	btf_scan(btf, btf->offs);
	return 0;
}

void ktd_btf_exit(struct ktd_btf *btf)
{
	kvfree(btf->offs);
	memset(btf, 0, sizeof(*btf));
}

void ktd_btf_find_structs(const struct ktd_btf *btf, const char *const *names,
			  u32 *ids, unsigned int nr)
{
	unsigned int i;
	u32 id;

	memset(ids, 0, nr * sizeof(*ids));
	for (id = 1; id < btf->nr_types; id++) {
		const struct btf_type *t = btf_type(btf, id);
		const char *name;

		if (!btf_is_struct(t) || !t->name_off)
			continue;
		name = btf_str(btf, t->name_off);
		for (i = 0; i < nr; i++) {
			if (strcmp(name, names[i]))
				continue;
			if (!ids[i] || btf_type(btf, ids[i])->size < t->size)
				ids[i] = id;
		}
	}
}

u32 ktd_btf_struct_size(const struct ktd_btf *btf, u32 id)
{
	const struct btf_type *t = btf_type(btf, id);

	return btf_is_struct(t) ? t->size : 0;
}

/* Peels typedefs, qualifiers and tags off @id. */
static const struct btf_type *btf_peel(const struct ktd_btf *btf, u32 id)
{
	const struct btf_type *t = btf_type(btf, id);
	int i;

	for (i = 0; t && i < BTF_RESOLVE_MAX; i++) {
		switch (BTF_INFO_KIND(t->info)) {
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG:
			t = btf_type(btf, t->type);
			break;
		default:
			return t;
		}
	}
	return NULL;
}

static u32 btf_int_data(const struct btf_type *t)
{
	return *(const u32 *)(t + 1);
}

static void btf_classify(const struct ktd_btf *btf, const struct btf_type *t,
			 struct ktd_place *pl)
{
	const struct btf_array *arr;
	const struct btf_type *el;
	u32 enc;

	pl->kind = KTD_KIND_NONE;
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
		enc = BTF_INT_ENCODING(btf_int_data(t));
		pl->size = t->size;
		if (t->size > 8)
			break;
		pl->kind = enc & BTF_INT_BOOL ? KTD_KIND_BOOL :
			   enc & BTF_INT_SIGNED ? KTD_KIND_INT : KTD_KIND_UINT;
		break;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		pl->size = t->size;
		pl->kind = BTF_INFO_KFLAG(t->info) ? KTD_KIND_INT : KTD_KIND_UINT;
		break;
	case BTF_KIND_PTR:
		pl->size = sizeof(u64);
		pl->kind = KTD_KIND_PTR;
		break;
	case BTF_KIND_ARRAY:
		arr = (const struct btf_array *)(t + 1);
		el = btf_peel(btf, arr->type);
		if (!el)
			break;
		if (BTF_INFO_KIND(el->info) == BTF_KIND_PTR) {
			pl->size = arr->nelems * sizeof(u64);
			break;
		}
		pl->size = arr->nelems * el->size;
		if (BTF_INFO_KIND(el->info) == BTF_KIND_INT && el->size == 1)
			pl->kind = KTD_KIND_STR;
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		pl->size = t->size;
		/* a lock word, an atomic_t: small enough to be one number */
		if (t->size && t->size <= 8 && !(t->size & (t->size - 1)))
			pl->kind = KTD_KIND_UINT;
		break;
	default:
		break;
	}
}

/*
 * The member of @t whose name is the first @len bytes of @name; descends into
 * anonymous members. Bit offsets are relative to @t.
 */
static const struct btf_member *btf_find(const struct ktd_btf *btf,
					 const struct btf_type *t, const char *name,
					 size_t len, u32 *bit_off, u32 *bit_size,
					 int depth)
{
	const struct btf_member *m = (const struct btf_member *)(t + 1);
	bool kflag = BTF_INFO_KFLAG(t->info);
	u32 vlen = BTF_INFO_VLEN(t->info);
	u32 i;

	for (i = 0; i < vlen; i++, m++) {
		u32 off = kflag ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
		const char *mname = btf_str(btf, m->name_off);
		const struct btf_member *in;
		const struct btf_type *mt;

		if (*mname) {
			if (strncmp(mname, name, len) || mname[len])
				continue;
			*bit_off = off;
			*bit_size = kflag ? BTF_MEMBER_BITFIELD_SIZE(m->offset) : 0;
			return m;
		}
		mt = btf_peel(btf, m->type);
		if (!btf_is_struct(mt) || depth >= BTF_NEST_MAX)
			continue;
		in = btf_find(btf, mt, name, len, bit_off, bit_size, depth + 1);
		if (in) {
			*bit_off += off;
			return in;
		}
	}
	return NULL;
}

int ktd_btf_member(const struct ktd_btf *btf, u32 id, const char *path,
		   struct ktd_place *ret)
{
	const struct btf_type *t = btf_type(btf, id);
	struct ktd_place pl = {};
	u32 bits = 0, bit_size = 0;

	for (;;) {
		const char *dot = strchr(path, '.');
		size_t len = dot ? (size_t)(dot - path) : strlen(path);
		const struct btf_member *m;
		u32 off = 0;

		if (!btf_is_struct(t))
			return -ENOENT;
		m = btf_find(btf, t, path, len, &off, &bit_size, 0);
		if (!m)
			return -ENOENT;
		bits += off;
		t = btf_peel(btf, m->type);
		if (!t)
			return -ENOENT;
		if (!dot)
			break;
		path = dot + 1;
	}

	btf_classify(btf, t, &pl);
	pl.off = bits / 8;
	if (bit_size) {
		pl.bit_off = bits % 8;
		pl.bit_size = bit_size;
		pl.size = (pl.bit_off + bit_size + 7) / 8;
	}
	*ret = pl;
	return 0;
}

const char *ktd_btf_member_at(const struct ktd_btf *btf, u32 id, u32 idx, u32 *off)
{
	const struct btf_type *t = btf_type(btf, id);
	const struct btf_member *m;

	if (!btf_is_struct(t) || idx >= BTF_INFO_VLEN(t->info))
		return NULL;
	m = (const struct btf_member *)(t + 1) + idx;
	*off = (BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset) / 8;
	return btf_str(btf, m->name_off);
}

u32 ktd_btf_enum(const struct ktd_btf *btf, const char *name,
		 void (*fn)(void *ctx, const char *name, u64 value), void *ctx)
{
	u32 id, i, vlen;

	for (id = 1; id < btf->nr_types; id++) {
		const struct btf_type *t = btf_type(btf, id);
		u32 kind = BTF_INFO_KIND(t->info);

		if ((kind != BTF_KIND_ENUM && kind != BTF_KIND_ENUM64) ||
		    strcmp(btf_str(btf, t->name_off), name))
			continue;
		vlen = BTF_INFO_VLEN(t->info);
		for (i = 0; i < vlen; i++) {
			if (kind == BTF_KIND_ENUM) {
				const struct btf_enum *e = (const void *)(t + 1);

				fn(ctx, btf_str(btf, e[i].name_off), (u32)e[i].val);
			} else {
				const struct btf_enum64 *e = (const void *)(t + 1);

				fn(ctx, btf_str(btf, e[i].name_off),
				   (u64)e[i].val_hi32 << 32 | e[i].val_lo32);
			}
		}
		return vlen;
	}
	return 0;
}
