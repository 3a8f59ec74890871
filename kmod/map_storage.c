// SPDX-License-Identifier: GPL-2.0-only
/* Storage that hangs off tasks, cgroups, inodes and sockets. */
#include <linux/bpf.h>

#include "content.h"

#define CHAIN_MAX	(1u << 20)	/* buckets are as few as CPUs */

static enum ktd_target_kind owner_kind(u32 type)
{
	switch (type) {
	case BPF_MAP_TYPE_TASK_STORAGE:
		return KTD_TARGET_TASK;
	case BPF_MAP_TYPE_CGRP_STORAGE:
		return KTD_TARGET_CGROUP;
	case BPF_MAP_TYPE_INODE_STORAGE:
		return KTD_TARGET_INODE;
	default:
		return KTD_TARGET_SOCK;
	}
}

static void take_elem(struct ktd_content *ct, unsigned long elem)
{
	/* NULL: being torn down */
	unsigned long owner = ktd_get(ktd_get(elem, KTD_M_SELEM_STORAGE), KTD_M_LS_OWNER);
	unsigned long value = ktd_at(elem, KTD_M_SELEM_DATA);

	ct->seen++;
	if (ct->cut || !ktd_record_begin(ct, elem, 0, 0, sizeof(u64) + ktd_pad(ct->value_size)))
		return;
	ktd_record_u64(ct, owner);
	ktd_record_read(ct, value, ct->value_size, KTD_RECORD_VALUE_BAD);
	ktd_record_end(ct);
	ktd_target(ct, owner_kind(ct->type), owner);
	if (ct->nr_fields)
		ktd_chase_value(ct, value);
}

void ktd_take_storage(struct ktd_content *ct)
{
	unsigned long buckets = ktd_get(ct->map, KTD_M_LS_BUCKETS);
	u32 nr = 1u << min_t(u32, ktd_get(ct->map, KTD_M_LS_BUCKET_LOG), 16), i;
	u32 stride = ktd_off.strct[KTD_S_LS_BUCKET].size;
	struct ktd_walk w;

	ct->form = KTD_FORM_STORAGE;
	for (i = 0; i < nr && !ktd_late(ct); i++) {
		unsigned long first = ktd_at(buckets + i * stride, KTD_M_LS_BUCKET_LIST);

		for (ktd_walk_chain(&w, first, CHAIN_MAX); ktd_walk_next(&w) && !ktd_late(ct);)
			take_elem(ct, w.node - ktd_off.place[KTD_M_SELEM_NODE].off);
		if (w.end[0] == 'l' || w.end[0] == 'c')
			ktd_cut(ct, "loop", i);
		else if (w.end[0] == 'f')
			ct->unreadable++;
	}
	if (ct->late)
		ktd_cut_late(ct);
}

/* The old kind, one value per cgroup and attach type: that pair is the key. */
void ktd_take_cgroup_storage(struct ktd_content *ct)
{
	bool percpu = ct->type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
	u64 body = ktd_pad(ct->key_size) + (percpu ? ktd_percpu_bytes(ct->value_size) :
						     ktd_pad(ct->value_size));
	struct ktd_walk w;

	ct->form = percpu ? KTD_FORM_PERCPU_HASH : KTD_FORM_HASH;
	ktd_walk_init(&w, ktd_at(ct->map, KTD_M_CGS_LIST), CHAIN_MAX);
	while (ktd_walk_next(&w) && !ktd_late(ct)) {
		unsigned long st = w.node - ktd_off.place[KTD_M_CGS_NODE].off;

		ct->seen++;
		if (ct->cut || !ktd_record_begin(ct, st, 0, 0, body))
			continue;
		ktd_record_read(ct, ktd_at(st, KTD_M_CGS_KEY), ct->key_size, KTD_RECORD_KEY_BAD);
		if (percpu)
			ktd_record_percpu(ct, ktd_get(st, KTD_M_CGS_PERCPU_BUF), ct->value_size);
		else
			ktd_record_read(ct, ktd_at(ktd_get(st, KTD_M_CGS_BUF), KTD_M_CGS_BUF_DATA),
					ct->value_size, KTD_RECORD_VALUE_BAD);
		ktd_record_end(ct);
	}
	if (w.end[0] == 'l' || w.end[0] == 'c')
		ktd_cut(ct, "loop", 0);
	if (ct->late)
		ktd_cut_late(ct);
}
