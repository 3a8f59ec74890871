// SPDX-License-Identifier: GPL-2.0-only
/* What the early and the late snapshot of one exit have to do with each other. */
#include <stdio.h>
#include <string.h>

#include "difference.h"
#include "report.h"

#define MAX_TEXT (64u << 20)	/* of all maps that are compared */

static uint64_t begin_u64(const struct snapshot *s, unsigned int col)
{
	row_t row = s ? snapshot_single(s, KTD_TBL_BEGIN) : NULL;

	return row ? row_u64_or(&s->tables[KTD_TBL_BEGIN], row, col, 0) : 0;
}

void dual_facts(const struct snapshot *late, const struct snapshot *early, struct dual_facts *ret)
{
	const struct table *t = &late->tables[KTD_TBL_BEGIN];
	row_t row = snapshot_single(late, KTD_TBL_BEGIN);
	uint64_t now = begin_u64(late, KTD_BEGIN_AGE), peak = begin_u64(late, KTD_BEGIN_AGE_PEAK);
	const char *why;
	size_t len;

	*ret = (struct dual_facts){
		.age = begin_u64(early, KTD_BEGIN_AGE_PEAK),
		.threshold = begin_u64(early ? early : late, KTD_BEGIN_AGE_THRESHOLD),
	};
	if (early)
		return;
	if (ret->threshold && now >= ret->threshold) {
		ret->copy = true;
		ret->age = now;
		return;
	}
	if (row && !row_str(t, row, KTD_BEGIN_EARLY_ERROR, &why, &len))
		snprintf(ret->reason, sizeof(ret->reason), "scan prerequisites unavailable: %.*s",
			 (int)(len < 120 ? len : 120), len ? why : "?");
	else if (snapshot_early(late))
		snprintf(ret->reason, sizeof(ret->reason),
			 "scan prerequisites unavailable: early snapshot %u went to another collector",
			 snapshot_early(late));
	else if (!ret->threshold)
		snprintf(ret->reason, sizeof(ret->reason),
			 "scan prerequisites unavailable: the guest's module does not look at ages");
	else if (!peak)
		snprintf(ret->reason, sizeof(ret->reason),
			 "scx_tick stall \xe2\x80\x94 no per-task runnable_at data");
	else
		snprintf(ret->reason, sizeof(ret->reason),
			 "max_age never crossed threshold (peak=%lluj, threshold=%lluj)",
			 (unsigned long long)peak, (unsigned long long)ret->threshold);
}

static void doc_free_p(yyjson_doc **doc)
{
	yyjson_doc_free(*doc);
}

/* Nothing of the map was left out: what is not there was not there in the guest. */
static bool whole(const struct report *r, uint64_t kva)
{
	const struct table *t = report_table(r, KTD_TBL_CONTENT);
	row_t row = report_row(t, r->contents, r->nr_contents, kva);
	const char *s;
	size_t len;

	return row && !row_str(t, row, KTD_CONTENT_FORM, &s, &len) &&
	       row_str(t, row, KTD_CONTENT_CUT, &s, &len) &&
	       !row_u64_or(t, row, KTD_CONTENT_UNREADABLE, 0);
}

struct both {
	struct report *early, *late;
	struct map_texts *te, *tl;
	size_t text_left;
};

/* NULL: nothing to say about it; "" it was compared; else why not. */
static const char *compare_map(struct both *b, struct leaves *m, uint64_t kva)
{
	_cleanup_(doc_free_p) yyjson_doc *e = NULL, *l = NULL;
	size_t len_e = 0, len_l = 0;
	const char *x, *y;

	if (report_find(b->early->maps_by_kva, b->early->nr_maps, kva) == SIZE_MAX)
		return "it was not there in the early snapshot";
	if (!whole(b->early, kva) || !whole(b->late, kva))
		return "not whole in both";
	if (!b->text_left)
		return "too much in all";
	x = map_text(b->te, kva, &len_e);
	y = map_text(b->tl, kva, &len_l);
	if (!x || !y)
		return "too large";
	b->text_left -= len_e + len_l < b->text_left ? len_e + len_l : b->text_left;
	if (len_e == len_l && !memcmp(x, y, len_e))
		return NULL;
	e = yyjson_read(x, len_e, 0);
	l = yyjson_read(y, len_l, 0);
	if (!e || !l)
		return "no memory";
	leaves_of_map(m, yyjson_doc_get_root(e), yyjson_doc_get_root(l));
	return m->changed ? "" : NULL;
}

yyjson_mut_val *dual_maps(struct report *early, struct report *late)
{
	_cleanup_(map_texts_destroy_p) struct map_texts *te = map_texts_create(early);
	_cleanup_(map_texts_destroy_p) struct map_texts *tl = map_texts_create(late);
	_cleanup_free_ row_t *rows = report_sorted(late, KTD_TBL_MAP, KTD_MAP_ID);
	struct both b = { .early = early, .late = late, .te = te, .tl = tl, .text_left = MAX_TEXT };
	const struct table *t = report_table(late, KTD_TBL_MAP);
	yyjson_mut_val *arr = yyjson_mut_arr(late->doc);
	size_t room = DIFFERENCE_MAX_LEAVES;

	for (size_t i = 0; te && tl && rows && i < t->nr_rows && i < REPORT_MAX_LIST; i++) {
		struct leaves m = { .doc = late->doc, .list = yyjson_mut_arr(late->doc), .room = &room };
		uint64_t kva = row_u64_or(t, rows[i], KTD_MAP_KVA, 0), id;
		const char *why = kva ? compare_map(&b, &m, kva) : NULL, *name;
		size_t len;

		if (!why)
			continue;
		difference_add_map(late->doc, arr, kva,
				   row_u64(t, rows[i], KTD_MAP_ID, &id) ? NULL : yyjson_mut_uint(late->doc, id),
				   row_str(t, rows[i], KTD_MAP_NAME, &name, &len) ? NULL :
				   json_text(late->doc, name, len), &m, *why ? why : NULL);
	}
	return arr;
}
