// SPDX-License-Identifier: GPL-2.0-only
/* Arenas: which one an address is in, and which ones the programs of a map use. */
#include "map.h"

bool arena_find(const struct arena *v, size_t nr, uint64_t addr, bool bare,
		struct arena_place *ret)
{
	const struct arena *a = NULL;
	uint64_t low = (uint32_t)addr, end;

	for (size_t i = 0; i < nr && !a; i++)
		if (!__builtin_add_overflow(v[i].user, ARENA_SPAN, &end) && addr >= v[i].user &&
		    addr < end)
			a = &v[i];
	if (!a && bare && nr && addr <= UINT32_MAX)
		a = &v[0];
	if (!a)
		return false;
	*ret = (struct arena_place){ .len = ARENA_SPAN - low, .whole = a->whole };
	if (!a->kern || __builtin_add_overflow(a->kern, low, &ret->kva))
		ret->kva = 0;
	return true;
}

/* Nothing was left out of it, so that what is not there was not mapped. */
static bool is_whole(const struct report *r, uint64_t map_kva)
{
	const struct table *t = report_table(r, KTD_TBL_CONTENT);
	row_t row = report_row(t, r->contents, r->nr_contents, map_kva);
	const char *text;
	size_t len;

	return row && row_str_is(t, row, KTD_CONTENT_FORM, KTD_FORM_ARENA) && r->snap->ended &&
	       row_str(t, row, KTD_CONTENT_CUT, &text, &len) &&
	       row_str(t, row, KTD_CONTENT_ERROR, &text, &len) &&
	       !row_u64_or(t, row, KTD_CONTENT_UNREADABLE, 0);
}

/* False: this map has no window. */
static bool load(const struct report *r, uint64_t map_kva, struct arena *ret)
{
	struct arena a = {};

	if (!map_fact(r, map_kva, "user_vm_start", &a.user) || !a.user)
		return false;
	map_fact(r, map_kva, "kern_vm_start", &a.kern);
	a.whole = is_whole(r, map_kva);
	*ret = a;
	return true;
}

/* All of them, in the order of the maps' ids; without memory there are none. */
static void load_all(struct report *r)
{
	_cleanup_free_ row_t *maps = report_sorted(r, KTD_TBL_MAP, KTD_MAP_ID);
	const struct table *t = report_table(r, KTD_TBL_MAP);

	r->arenas_known = true;
	r->arenas = calloc(MAP_MAX_ARENAS, sizeof(*r->arenas));
	for (size_t i = 0; maps && r->arenas && i < t->nr_rows && r->nr_arenas < MAP_MAX_ARENAS; i++) {
		struct report_arena *a = &r->arenas[r->nr_arenas];

		if (row_u64_or(t, maps[i], KTD_MAP_MAP_TYPE, 0) != MAP_ARENA ||
		    row_u64(t, maps[i], KTD_MAP_KVA, &a->map_kva) || !load(r, a->map_kva, &a->arena))
			continue;
		a->owner = row_u64_or(t, maps[i], KTD_MAP_OWNER_SCHED, 0);
		r->nr_arenas++;
	}
}

size_t arenas_of_map(struct report *r, const struct map *m, struct arena *ret)
{
	const struct table *scheds = report_table(r, KTD_TBL_SCHED);
	row_t sched = report_row(scheds, r->scheds, r->nr_scheds, m->owner);
	uint64_t first = m->kva;
	size_t nr = 0;

	if (!r->arenas_known)
		load_all(r);
	if (m->type != MAP_ARENA && (!sched || row_u64(scheds, sched, KTD_SCHED_ARENA_MAP, &first)))
		first = 0;
	for (size_t i = 0; i < r->nr_arenas; i++)
		if (first && r->arenas[i].map_kva == first)
			ret[nr++] = r->arenas[i].arena;
	for (size_t i = 0; i < r->nr_arenas && m->owner; i++)
		if (r->arenas[i].owner == m->owner && r->arenas[i].map_kva != first)
			ret[nr++] = r->arenas[i].arena;
	if (nr)
		return nr;
	for (; nr < r->nr_arenas; nr++)
		ret[nr] = r->arenas[nr].arena;
	return nr;
}
