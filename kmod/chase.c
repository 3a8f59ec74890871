// SPDX-License-Identifier: GPL-2.0-only
/*
 * What map values point to: kptrs by the map's own table of special fields, and the
 * owners of storages. Only what can be told in one row or by its type's size.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/err.h>
#include <linux/hash.h>

#include "content.h"

#define CHASES_MAX	256	/* per map */
#define DEPTH_MAX	2
#define LOCAL_MAX	65536	/* bytes of one object; the allocator stops at 4096 */
#define METAS_MAX	4096
#define RB_LEVELS	128	/* a tree of 2^64 nodes is not higher */

/* enum btf_field_type; sent by name in ENUM rows, these are what we act on. */
#define KPTR_UNREF	4u
#define KPTR_REF	8u
#define KPTR_PERCPU	16u
#define LIST_ROOT	32u
#define TREE_ROOT	128u
#define UPTR		2048u		/* since 6.13 */

static const struct ktd_table field_table = { .id = KTD_TBL_FIELD, .nr = KTD_FIELD_NR_COLS };
static const struct ktd_table object_table = { .id = KTD_TBL_OBJECT, .nr = KTD_OBJECT_NR_COLS };

unsigned long ktd_btf_kva(unsigned long btf)
{
	bool kernel = ktd_get(btf, KTD_M_BTF_KERNEL);

	return kernel && !ktd_get(btf, KTD_M_BTF_BASE) ? 0 : btf;
}

/* Bytes of struct @id of a program's BTF, 0 unknown. */
static u32 local_size(unsigned long btf, u32 id)
{
	unsigned long types = ktd_get(btf, KTD_M_BTF_TYPES), type;
	u32 start = ktd_get(btf, KTD_M_BTF_START_ID);
	u32 kind, size;

	if (!types || id < start || id - start >= ktd_get(btf, KTD_M_BTF_NR_TYPES))
		return 0;
	type = ktd_read_ul(types + (id - start) * sizeof(long));
	kind = ktd_get(type, KTD_M_BTYPE_INFO) >> 24 & 0x1f;
	size = ktd_get(type, KTD_M_BTYPE_SIZE);
	return (kind == BTF_KIND_STRUCT || kind == BTF_KIND_UNION) && size <= LOCAL_MAX ?
	       size : 0;
}

/* What a pointer of this type leads to. */
static void classify(struct ktd_target *t)
{
	if (!t->btf)
		return;
	if (!ktd_get(t->btf, KTD_M_BTF_KERNEL)) {
		t->size = local_size(t->btf, t->btf_id);
		t->kind = t->size ? KTD_TARGET_MEM : KTD_TARGET_NONE;
	} else if (ktd_btf_kva(t->btf)) {
		return;		/* a module's */
	} else if (t->btf_id == ktd_off.strct[KTD_S_TASK].id) {
		t->kind = KTD_TARGET_TASK;
	} else if (t->btf_id == ktd_off.strct[KTD_S_CGROUP].id) {
		t->kind = KTD_TARGET_CGROUP;
	} else if (t->btf_id == ktd_off.strct[KTD_S_CPUMASK].id ||
		   t->btf_id == ktd_off.strct[KTD_S_BPF_CPUMASK].id) {
		t->kind = KTD_TARGET_MEM;
		t->size = BITS_TO_LONGS(nr_cpu_ids) * sizeof(long);
	}
}

/* Field @i of a btf_record. Its type; *@t: where in the value, and what is there. */
static u32 read_field(unsigned long record, u32 i, struct ktd_target *t)
{
	unsigned long f = ktd_at(record, KTD_M_REC_FIELDS) +
			  i * ktd_off.strct[KTD_S_BTF_FIELD].size;
	u32 type = ktd_get(f, KTD_M_FLD_TYPE);

	*t = (struct ktd_target){ .kva = ktd_get(f, KTD_M_FLD_OFFSET) };
	if (type & (KPTR_UNREF | KPTR_REF | KPTR_PERCPU | UPTR)) {
		t->btf = ktd_get(f, KTD_M_FLD_KPTR_BTF);
		t->btf_id = ktd_get(f, KTD_M_FLD_KPTR_ID);
		/* a per-CPU one has no address of its own */
		if (type != KPTR_PERCPU)
			classify(t);
	} else if (type & (LIST_ROOT | TREE_ROOT)) {
		/* named, not followed */
		t->btf = ktd_get(f, KTD_M_FLD_ROOT_BTF);
		t->btf_id = ktd_get(f, KTD_M_FLD_ROOT_ID);
	}
	return type;
}

static u32 nr_record_fields(unsigned long record)
{
	if (!record || IS_ERR((void *)record))
		return 0;
	return min_t(u32, ktd_get(record, KTD_M_REC_CNT), KTD_FIELDS_MAX);
}

void ktd_fields(struct ktd_content *ct)
{
	unsigned long record = ktd_get(ct->map, KTD_M_MAP_RECORD);
	struct ktd_sink *s = &ct->c->sink;
	u32 i, nr, type;

	ct->nr_fields = 0;
	if (ktd_off.group_missing[KTD_GRP_FIELD])
		return;
	nr = nr_record_fields(record);
	for (i = 0; i < nr; i++) {
		struct ktd_target *t = &ct->field[ct->nr_fields];
		unsigned long f = ktd_at(record, KTD_M_REC_FIELDS) +
				  i * ktd_off.strct[KTD_S_BTF_FIELD].size;
		struct ktd_row *r;

		type = read_field(record, i, t);
		r = ktd_row_begin(s, &field_table);
		ktd_set_u(r, KTD_FIELD_MAP_KVA, ct->map);
		ktd_set_u(r, KTD_FIELD_OFFSET, t->kva);
		ktd_set_u(r, KTD_FIELD_SIZE, ktd_get(f, KTD_M_FLD_SIZE));
		ktd_set_u(r, KTD_FIELD_TYPE, type);
		if (t->btf) {
			ktd_set_u(r, KTD_FIELD_BTF_KVA, ktd_btf_kva(t->btf));
			ktd_set_u(r, KTD_FIELD_BTF_ID, t->btf_id);
		}
		ktd_row_end(s, &field_table);
		if (t->kind != KTD_TARGET_NONE)
			ct->nr_fields++;
	}
}

static void note(struct ktd_content *ct, const struct ktd_target *t, unsigned long kva)
{
	if (ct->nr_later == ARRAY_SIZE(ct->later)) {
		ct->error = ct->error ?: "not all pointers in values were followed: too many at once";
		return;
	}
	ct->later[ct->nr_later] = *t;
	ct->later[ct->nr_later++].kva = kva;
}

/* The pointer of field @t in the value at @kva. */
static void chase_field(struct ktd_content *ct, const struct ktd_target *t, unsigned long kva)
{
	unsigned long ptr = ktd_read_ul(kva + t->kva);

	if (!ptr)
		return;
	if (ct->chased == CHASES_MAX) {
		ct->error = ct->error ?: "not all pointers in values were followed: more than 256";
		return;
	}
	ct->chased++;
	note(ct, t, ptr);
}

void ktd_chase_value(struct ktd_content *ct, unsigned long kva)
{
	u32 i;

	if (ct->nr_later + ct->nr_fields > ARRAY_SIZE(ct->later))
		ktd_chase(ct);
	for (i = 0; i < ct->nr_fields; i++)
		chase_field(ct, &ct->field[i], kva);
}

void ktd_target(struct ktd_content *ct, enum ktd_target_kind kind, unsigned long kva)
{
	struct ktd_target t = { .kind = kind };

	if (!kva)
		return;
	if (ct->nr_later == ARRAY_SIZE(ct->later))
		ktd_chase(ct);
	note(ct, &t, kva);
}

/* Whether @kva was told before; from now on it was. */
static bool told(struct ktd_content *ct, unsigned long kva)
{
	const u32 mask = (1u << KTD_TOLD_BITS) - 1;
	u32 at = hash_long(kva, KTD_TOLD_BITS);

	for (; ct->told[at & mask]; at++) {
		if (ct->told[at & mask] == kva)
			return true;
	}
	if (ct->nr_told < mask / 2) {
		ct->told[at & mask] = kva;
		ct->nr_told++;
	}
	return false;
}

static void object_row(struct ktd_content *ct, const struct ktd_target *t)
{
	struct ktd_sink *s = &ct->c->sink;
	struct ktd_row *r = ktd_row_begin(s, &object_table);
	unsigned long kva = t->kva, kn, aux;
	char name[128];
	u32 len = 0;

	ktd_set_u(r, KTD_OBJECT_KVA, kva);
	switch (t->kind) {
	case KTD_TARGET_TASK:
		ktd_set_str(r, KTD_OBJECT_KIND, "task");
		ktd_set_s(r, KTD_OBJECT_PID, (s32)ktd_get(kva, KTD_M_TASK_PID));
		ktd_set_s(r, KTD_OBJECT_TGID, (s32)ktd_get(kva, KTD_M_TASK_TGID));
		len = ktd_read_str(name, ktd_at(kva, KTD_M_TASK_COMM), TASK_COMM_LEN);
		break;
	case KTD_TARGET_CGROUP:
		kn = ktd_get(kva, KTD_M_CGRP_KN);
		ktd_set_str(r, KTD_OBJECT_KIND, "cgroup");
		ktd_set_u(r, KTD_OBJECT_ID, ktd_get(kn, KTD_M_KN_ID));
		len = ktd_read_str(name, ktd_get(kn, KTD_M_KN_NAME), sizeof(name));
		break;
	case KTD_TARGET_INODE:
		ktd_set_str(r, KTD_OBJECT_KIND, "inode");
		ktd_set_u(r, KTD_OBJECT_ID, ktd_get(kva, KTD_M_INODE_INO));
		break;
	case KTD_TARGET_SOCK:
		ktd_set_str(r, KTD_OBJECT_KIND, "sock");
		break;
	case KTD_TARGET_MAP:
		ktd_set_str(r, KTD_OBJECT_KIND, "map");
		ktd_set_u(r, KTD_OBJECT_ID, ktd_get(kva, KTD_M_MAP_ID));
		len = ktd_read_str(name, ktd_at(kva, KTD_M_MAP_NAME), BPF_OBJ_NAME_LEN);
		break;
	default:
		aux = ktd_get(kva, KTD_M_PROG_AUX);
		ktd_set_str(r, KTD_OBJECT_KIND, "prog");
		ktd_set_u(r, KTD_OBJECT_ID, ktd_get(aux, KTD_M_AUX_ID));
		len = ktd_read_str(name, ktd_at(aux, KTD_M_AUX_NAME), BPF_OBJ_NAME_LEN);
		break;
	}
	if (len)
		ktd_set_strn(r, KTD_OBJECT_NAME, name, len);
	ktd_row_end(s, &object_table);
}

/* The special fields of a program's own type. */
static unsigned long local_record(const struct ktd_target *t)
{
	unsigned long metas = ktd_get(t->btf, KTD_M_BTF_METAS);
	u32 nr = min_t(u32, ktd_get(metas, KTD_M_METAS_CNT), METAS_MAX), i;

	for (i = 0; metas && i < nr; i++) {
		unsigned long meta = ktd_at(metas, KTD_M_METAS_TYPES) +
				     i * ktd_off.strct[KTD_S_BTF_META].size;

		if (ktd_get(meta, KTD_M_META_ID) == t->btf_id)
			return ktd_get(meta, KTD_M_META_RECORD);
	}
	return 0;
}

static void chase_mem(struct ktd_content *ct, const struct ktd_target *t, unsigned long kva)
{
	struct ktd_target f;
	unsigned long record;
	u32 i, nr;

	if (told(ct, kva))
		return;
	ktd_mem(ct, kva, t->size);
	if (t->depth + 1 >= DEPTH_MAX || !t->btf || ktd_get(t->btf, KTD_M_BTF_KERNEL))
		return;
	record = local_record(t);
	nr = nr_record_fields(record);
	for (i = 0; i < nr; i++) {
		read_field(record, i, &f);
		f.depth = t->depth + 1;
		if (f.kind != KTD_TARGET_NONE)
			chase_field(ct, &f, kva);
	}
}

unsigned long ktd_rb_next(unsigned long node)
{
	unsigned long up = ktd_get(node, KTD_M_RB_RIGHT), left;
	u32 n;

	if (up) {
		for (n = 0; n < RB_LEVELS; n++) {
			left = ktd_get(up, KTD_M_RB_LEFT);
			if (!left)
				return up;
			up = left;
		}
		return 0;
	}
	for (n = 0; n < RB_LEVELS; n++) {
		up = ktd_get(node, KTD_M_RB_PARENT) & ~3UL;
		if (!up || ktd_get(up, KTD_M_RB_RIGHT) != node)
			return up;
		node = up;
	}
	return 0;
}

void ktd_chase(struct ktd_content *ct)
{
	size_t end = ct->end;
	u32 i;

	ktd_row_close(ct);
	ct->end = ct->chase_end;
	for (i = 0; i < ct->nr_later && !ktd_late(ct); i++) {
		struct ktd_target t = ct->later[i];

		switch (t.kind) {
		case KTD_TARGET_NONE:
			break;
		case KTD_TARGET_MEM:
			chase_mem(ct, &t, t.kva);
			break;
		default:
			ktd_row_close(ct);
			if (told(ct, t.kva))
				break;
			if (ct->c->sink.pos + 256 < ct->end)
				object_row(ct, &t);
			else
				ktd_cut(ct, "bytes", ct->bytes_max);
			break;
		}
	}
	/* the values are there then, but not what they point to */
	if (i < ct->nr_later)
		ktd_cut_late(ct);
	ktd_row_close(ct);
	ct->nr_later = 0;
	ct->end = end;
}
