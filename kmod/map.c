// SPDX-License-Identifier: GPL-2.0-only
/* Facts of every BPF map, and which scheduler uses it. */
#include <linux/bpf.h>
#include <linux/hash.h>
#include <linux/idr.h>

#include "content.h"

#define USED_MAPS_MAX	64

static const struct ktd_col map_src[KTD_MAP_NR_COLS] = {
	[KTD_MAP_ID] = KTD_COL(0, MAP_ID),
	[KTD_MAP_NAME] = KTD_COL(0, MAP_NAME),
	[KTD_MAP_MAP_TYPE] = KTD_COL(0, MAP_TYPE),
	[KTD_MAP_KEY_SIZE] = KTD_COL(0, MAP_KEY_SIZE),
	[KTD_MAP_VALUE_SIZE] = KTD_COL(0, MAP_VALUE_SIZE),
	[KTD_MAP_MAX_ENTRIES] = KTD_COL(0, MAP_MAX_ENTRIES),
	[KTD_MAP_MAP_FLAGS] = KTD_COL(0, MAP_FLAGS),
	[KTD_MAP_MAP_EXTRA] = KTD_COL(0, MAP_EXTRA),
	[KTD_MAP_NUMA_NODE] = KTD_COL(0, MAP_NUMA_NODE),
	[KTD_MAP_FROZEN] = KTD_COL(0, MAP_FROZEN),
	[KTD_MAP_BTF_KEY_TYPE_ID] = KTD_COL(0, MAP_BTF_KEY),
	[KTD_MAP_BTF_VALUE_TYPE_ID] = KTD_COL(0, MAP_BTF_VALUE),
	[KTD_MAP_BTF_VMLINUX_VALUE_TYPE_ID] = KTD_COL(0, MAP_BTF_VMLINUX),
};

static const struct ktd_table map_table = {
	.id = KTD_TBL_MAP, .nr = KTD_MAP_NR_COLS, .src = map_src,
};

static struct ktd_map *map_find(struct ktd_capture *c, unsigned long kva)
{
	u32 at = hash_long(kva, 32);

	for (;; at++) {
		u32 slot = c->map_hash[at & c->map_hash_mask];

		if (!slot || c->map[slot - 1].kva == kva)
			return slot ? &c->map[slot - 1] : NULL;
	}
}

static void map_note(struct ktd_capture *c, unsigned long kva)
{
	u32 at = hash_long(kva, 32);

	while (c->map_hash[at & c->map_hash_mask])
		at++;
	c->map[c->nr_maps++] = (struct ktd_map){ .kva = kva };
	c->map_hash[at & c->map_hash_mask] = c->nr_maps;
}

/* idr_get_next() is a pure radix-tree walk: no lock (lib/idr.c). */
static void find_maps(struct ktd_capture *c, struct idr *idr)
{
	void *map;
	int id;

	memset(c->map_hash, 0, (c->map_hash_mask + 1) * sizeof(*c->map_hash));
	for (id = 0; (map = idr_get_next(idr, &id)); id++) {
		if (ktd_expired(c) || c->nr_maps == ktd_max_maps) {
			ktd_missing(c, KTD_TBL_MAP, "not all maps were taken (deadline or max_maps)");
			break;
		}
		map_note(c, (unsigned long)map);
	}
}

struct owner {
	struct ktd_capture	*c;
	unsigned long		sch;
};

static void own(struct ktd_capture *c, unsigned long map, unsigned long sch)
{
	struct ktd_map *m = map_find(c, map);

	/* of several schedulers that share a map the first one counts */
	if (m && !m->owner)
		m->owner = sch;
}

static void own_used_maps(void *ctx, unsigned long link, unsigned long prog)
{
	struct owner *o = ctx;
	unsigned long aux = ktd_get(prog, KTD_M_PROG_AUX);
	unsigned long maps = ktd_get(aux, KTD_M_AUX_USED_MAPS);
	u32 nr = min_t(u32, ktd_get(aux, KTD_M_AUX_USED_MAP_CNT), USED_MAPS_MAX), i;

	for (i = 0; maps && i < nr; i++)
		own(o->c, ktd_read_ul(maps + i * sizeof(long)), o->sch);
}

/* The scheduler of a sched_ext struct_ops map, 0 none that we know. */
static unsigned long map_sched(struct ktd_capture *c, unsigned long priv)
{
	unsigned long sch = ktd_read_ul(priv);
	u32 i;

	for (i = 0; sch && i < c->nr_scheds; i++) {
		if (c->sched[i] == sch)
			return sch;
	}
	return 0;
}

/*
 * A scheduler that failed before it was linked is no map's yet, or not any more:
 * if no map says whose it is, all of sched_ext belong to the one that exits.
 */
static void find_owners(struct ktd_capture *c)
{
	unsigned long fallback = c->trig.sch ?: ktd_scx_root();
	struct owner o = { .c = c };
	unsigned long priv;
	bool matched = false;
	u32 pass, i;

	for (pass = 0; pass < 2 && !matched; pass++) {
		for (i = 0; i < c->nr_maps && !ktd_expired(c); i++) {
			unsigned long map = c->map[i].kva;

			if (ktd_get(map, KTD_M_MAP_TYPE) != BPF_MAP_TYPE_STRUCT_OPS)
				continue;
			priv = ktd_scx_ops_priv(map);
			if (!priv)
				continue;
			o.sch = pass ? fallback : map_sched(c, priv);
			if (!o.sch)
				continue;
			matched = true;
			own(c, map, o.sch);
			ktd_struct_ops_progs(map, &o, own_used_maps);
		}
	}
	for (i = 0; i < c->nr_scheds; i++)
		own(c, ktd_get(c->sched[i], KTD_M_SCH_ARENA_MAP), c->sched[i]);
}

void ktd_cap_map(struct ktd_capture *c)
{
	struct idr *idr = (struct idr *)ktd_sym[KTD_SYM_MAP_IDR];
	struct ktd_row *r;
	u32 i;

	if (!idr || ktd_off.group_missing[KTD_GRP_MAP]) {
		ktd_missing(c, KTD_TBL_MAP, idr ? "offsets missing: see the offset groups" :
						  "symbol map_idr not found");
		return;
	}
	find_maps(c, idr);
	if (!ktd_off.group_missing[KTD_GRP_STRUCT_OPS] && !ktd_off.group_missing[KTD_GRP_PROG])
		find_owners(c);
	ktd_table_begin(&c->sink, &map_table);
	for (i = 0; i < c->nr_maps; i++) {
		unsigned long map = c->map[i].kva;
		unsigned long btf = ktd_get(map, KTD_M_MAP_BTF);

		if (ktd_expired(c)) {
			ktd_missing(c, KTD_TBL_MAP, "not all maps were taken (deadline or max_maps)");
			break;
		}
		r = ktd_row_begin(&c->sink, &map_table);
		r->base[0] = map;
		ktd_set_u(r, KTD_MAP_KVA, map);
		ktd_set_u(r, KTD_MAP_OWNER_SCHED, c->map[i].owner);
		ktd_set_u(r, KTD_MAP_BTF_KVA, btf ? ktd_btf_kva(btf) : 0);
		ktd_row_end(&c->sink, &map_table);
	}
}
