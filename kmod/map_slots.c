// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps of objects that user space knows by file descriptors, ifindex or CPU: arrays of
 * pointers, each type with a layout of its own, and two hashes of them.
 */
#include <linux/bpf.h>

#include "content.h"

#define CHAIN_MAX	1024
#define BUCKETS_MAX	(1u << 24)

static const struct kind {
	u32	type;
	u16	array;		/* enum ktd_member_id: where the pointers are */
	bool	outside;	/* that is a pointer to them */
	u8	group;
	u8	target;		/* enum ktd_target_kind */
} kinds[] = {
	{ BPF_MAP_TYPE_PROG_ARRAY, KTD_M_ARR_PTRS, false, KTD_GRP_ARRAY, KTD_TARGET_PROG },
	{ BPF_MAP_TYPE_PERF_EVENT_ARRAY, KTD_M_ARR_PTRS, false, KTD_GRP_ARRAY },
	{ BPF_MAP_TYPE_CGROUP_ARRAY, KTD_M_ARR_PTRS, false, KTD_GRP_ARRAY, KTD_TARGET_CGROUP },
	{ BPF_MAP_TYPE_ARRAY_OF_MAPS, KTD_M_ARR_PTRS, false, KTD_GRP_ARRAY, KTD_TARGET_MAP },
	{ BPF_MAP_TYPE_DEVMAP, KTD_M_DTAB_NETDEVS, true, KTD_GRP_DEVMAP },
	{ BPF_MAP_TYPE_CPUMAP, KTD_M_CPUMAP_ENTRIES, true, KTD_GRP_CPUMAP },
	{ BPF_MAP_TYPE_XSKMAP, KTD_M_XSKMAP_SOCKS, false, KTD_GRP_XSKMAP, KTD_TARGET_SOCK },
	{ BPF_MAP_TYPE_SOCKMAP, KTD_M_STAB_SOCKS, true, KTD_GRP_SOCKMAP, KTD_TARGET_SOCK },
	{ BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, KTD_M_REUSE_SOCKS, false, KTD_GRP_REUSEPORT,
	  KTD_TARGET_SOCK },
};

static u32 dev_ifindex(unsigned long dtdev)
{
	return ktd_get(ktd_get(dtdev, KTD_M_DTDEV_DEV), KTD_M_NETDEV_IFINDEX);
}

/* The number by which user space knows what a slot holds, 0 none. */
static u32 slot_id(u32 type, unsigned long ptr)
{
	switch (type) {
	case BPF_MAP_TYPE_PROG_ARRAY:
		return ktd_get(ktd_get(ptr, KTD_M_PROG_AUX), KTD_M_AUX_ID);
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		return ktd_get(ptr, KTD_M_MAP_ID);
	case BPF_MAP_TYPE_DEVMAP:
		return dev_ifindex(ptr);
	default:
		return 0;
	}
}

static bool late(struct ktd_content *ct)
{
	if (!ktd_late(ct))
		return false;
	ktd_cut_late(ct);
	return true;
}

static void take_slot(struct ktd_content *ct, const struct kind *k, u32 i, unsigned long ptr)
{
	ct->seen++;
	if (ct->cut || !ktd_record_begin(ct, ptr, i, slot_id(ct->type, ptr), sizeof(u64)))
		return;		/* counted all the same */
	ktd_record_u64(ct, ptr);
	ktd_record_end(ct);
	if (k->target != KTD_TARGET_NONE)
		ktd_target(ct, k->target, ptr);
}

void ktd_take_slots(struct ktd_content *ct)
{
	const struct kind *k = kinds;
	u64 *ptr = ct->c->scratch;
	unsigned long at;
	u32 i, n, j;

	while (k->type != ct->type) {
		if (++k == kinds + ARRAY_SIZE(kinds))
			return;
	}
	if (ktd_off.group_missing[k->group])
		return;
	at = k->outside ? ktd_get(ct->map, k->array) : ktd_at(ct->map, k->array);
	ct->form = KTD_FORM_SLOTS;
	for (i = 0; at && i < ct->max_entries && !late(ct); i += n) {
		/* most may be empty: many at a time */
		n = min_t(u32, ct->max_entries - i, ARRAY_SIZE(ct->c->scratch));
		if (!ktd_read(ptr, at + (u64)i * sizeof(*ptr), n * sizeof(*ptr))) {
			ct->unreadable += n;
			continue;
		}
		for (j = 0; j < n; j++) {
			if (ptr[j])
				take_slot(ct, k, i + j, ptr[j]);
		}
	}
	ktd_fact(ct, "slots", ct->max_entries);
}

/*
 * A hash of objects. @heads: the first bucket's hlist_head, @stride bytes apart; the
 * nodes sit @node bytes into the elements.
 */
struct slots_hash {
	unsigned long		heads;
	u32			stride, nr, node;
	enum ktd_member_id	key, ptr;
	u8			target;
};

static void take_element(struct ktd_content *ct, const struct slots_hash *h,
			 unsigned long elem)
{
	unsigned long ptr = ktd_get(elem, h->ptr);
	u32 id = ct->type == BPF_MAP_TYPE_DEVMAP_HASH ? dev_ifindex(elem) : 0;

	ct->seen++;
	if (!ktd_record_begin(ct, elem, 0, id, ktd_pad(ct->key_size) + sizeof(u64)))
		return;
	ktd_record_read(ct, ktd_at(elem, h->key), ct->key_size, KTD_RECORD_KEY_BAD);
	ktd_record_u64(ct, ptr);
	ktd_record_end(ct);
	if (h->target != KTD_TARGET_NONE)
		ktd_target(ct, h->target, ptr);
}

static void take_hash(struct ktd_content *ct, const struct slots_hash *h)
{
	struct ktd_walk w;
	u32 i;

	ct->form = KTD_FORM_SLOTS_HASH;
	ktd_fact(ct, "n_buckets", h->nr);
	for (i = 0; h->heads && i < min(h->nr, BUCKETS_MAX) && !late(ct); i++) {
		ktd_walk_chain(&w, h->heads + (unsigned long)i * h->stride, CHAIN_MAX);
		while (ktd_walk_next(&w))
			take_element(ct, h, w.node - h->node);
		if (strcmp(w.end, "ok"))
			ct->error = "a bucket's chain is broken or too long: not all elements were met";
	}
}

void ktd_take_devmap_hash(struct ktd_content *ct)
{
	struct slots_hash h = {
		.heads = ktd_get(ct->map, KTD_M_DTAB_HEADS),
		.stride = sizeof(long),
		.nr = ktd_get(ct->map, KTD_M_DTAB_N_BUCKETS),
		.node = ktd_off.place[KTD_M_DTDEV_NODE].off,
		.key = KTD_M_DTDEV_IDX,
		.ptr = KTD_M_DTDEV_DEV,
	};

	take_hash(ct, &h);
}

void ktd_take_sockhash(struct ktd_content *ct)
{
	struct slots_hash h = {
		.heads = ktd_get(ct->map, KTD_M_SHTAB_BUCKETS),
		.stride = ktd_off.strct[KTD_S_SHTAB_BUCKET].size,
		.nr = ktd_get(ct->map, KTD_M_SHTAB_NR),
		.node = ktd_off.place[KTD_M_SHELEM_NODE].off,
		.key = KTD_M_SHELEM_KEY,
		.ptr = KTD_M_SHELEM_SK,
		.target = KTD_TARGET_SOCK,
	};

	if (h.heads)
		h.heads += ktd_off.place[KTD_M_SHB_HEAD].off;
	take_hash(ct, &h);
}
