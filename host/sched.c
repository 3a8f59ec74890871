// SPDX-License-Identifier: GPL-2.0-only
/* The schedulers: the root and, on newer kernels, its sub-schedulers. */
#include <stdio.h>
#include <string.h>

#include "report.h"

static row_t find_sched(const struct report *r, uint64_t kva)
{
	const struct table *t = report_table(r, KTD_TBL_SCHED);
	uint64_t v;

	for (size_t i = 0; kva && i < t->nr_rows; i++)
		if (!row_u64(t, t->rows[i], KTD_SCHED_KVA, &v) && v == kva)
			return t->rows[i];
	return NULL;
}

/* The one that ended, else the root. */
static row_t main_sched(const struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_SCHED);
	row_t begin = snapshot_single(r->snap, KTD_TBL_BEGIN), row = NULL;
	uint64_t kva = 0;

	if (begin) {
		row_u64(report_table(r, KTD_TBL_BEGIN), begin, KTD_BEGIN_SCHED_KVA, &kva);
		row = find_sched(r, kva);
	}
	for (size_t i = 0; !row && i < t->nr_rows; i++)
		if (row_bool_or(t, t->rows[i], KTD_SCHED_ROOT, false))
			row = t->rows[i];
	return row;
}

static bool offsets_group_missing(const struct report *r, const char *group)
{
	const struct table *t = report_table(r, KTD_TBL_MISSING);
	char name[64];

	snprintf(name, sizeof(name), "offsets:%s", group);
	for (size_t i = 0; i < t->nr_rows; i++)
		if (row_str_is(t, t->rows[i], KTD_MISSING_TABLE, name))
			return true;
	return false;
}

static bool add_partial_reason(struct report *r)
{
	static const char *const groups[] = {
		"rq", "scx_rq", "task_struct", "sched_ext_entity", "scx_dsq_list_node",
		"scx_dispatch_q", "scx_sched", "scx_sched_pnode", "scx_sched_pcpu",
		"rhashtable/bucket_table/rhash_head",
	};
	char text[320] = "scx walker partial: missing offset groups [";
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		if (!offsets_group_missing(r, groups[i]))
			continue;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", any ? ", " : "",
			 groups[i]);
		any = true;
	}
	if (any) {
		strcat(text, "]");
		yyjson_mut_obj_add_strcpy(r->doc, r->top, "scx_walker_unavailable", text);
	}
	return any;
}

static void add_reason(struct report *r, bool have_state)
{
	size_t scheds = report_table(r, KTD_TBL_SCHED)->nr_rows;
	size_t rqs = report_table(r, KTD_TBL_RQ)->nr_rows;
	size_t dsqs = report_table(r, KTD_TBL_DSQ)->nr_rows;
	const char *text;

	if (!rqs && !dsqs && report_lost_table(r, KTD_TBL_RQ))
		text = TEXT_PREREQUISITES;
	else if (!scheds && !rqs && !dsqs)
		text = "no scx walker capture";
	else if (add_partial_reason(r))
		return;
	else if (!have_state)
		text = "scx_root is NULL (no scheduler attached)";
	else if (!rqs && !dsqs)
		text = "scx walker reached no state";
	else
		return;
	yyjson_mut_obj_add_str(r->doc, r->top, "scx_walker_unavailable", text);
}

void sched_report(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_SCHED);
	const struct table *begin_table = report_table(r, KTD_TBL_BEGIN);
	row_t row = main_sched(r), begin = snapshot_single(r->snap, KTD_TBL_BEGIN);
	uint64_t kind;

	if (row) {
		yyjson_mut_val *obj = yyjson_mut_obj_add_obj(r->doc, r->top, "scx_sched_state");

		yyjson_mut_obj_add_bool(r->doc, obj, "aborting",
					row_bool_or(t, row, KTD_SCHED_ABORTING, false));
		json_kept_i32(r->doc, obj, "bypass_depth", t, row, KTD_SCHED_BYPASS_DEPTH);
		if (begin && !row_u64(begin_table, begin, KTD_BEGIN_EXIT_KIND, &kind) &&
		    kind <= UINT32_MAX)
			json_add_u64(r->doc, obj, "exit_kind", kind);
		else
			json_kept_u64(r->doc, obj, "exit_kind", t, row, KTD_SCHED_EXIT_KIND,
				      UINT32_MAX);
		json_opt_u64(r->doc, obj, "watchdog_timeout", t, row, KTD_SCHED_WATCHDOG_TIMEOUT,
			     UINT64_MAX);
		yyjson_mut_obj_add_str(r->doc, obj, "source", "live");
		json_opt_u64(r->doc, obj, "sched_kva", t, row, KTD_SCHED_KVA, UINT64_MAX);
	}
	add_reason(r, row);
}

static void add_sched(struct report *r, yyjson_mut_val *arr, row_t row,
		      const struct flag_names *ops_flags)
{
	const struct table *t = report_table(r, KTD_TBL_SCHED);
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
	uint64_t v;

	json_add_cols(r->doc, obj, t, row, NULL);
	if (!row_u64(t, row, KTD_SCHED_EXIT_KIND, &v))
		report_add_enum(r, obj, "exit_kind_name", "scx_exit_kind", v);
	if (!row_u64(t, row, KTD_SCHED_OPS_FLAGS, &v))
		flags_add(r, obj, "ops_flag_names", v, ops_flags);
	if (!row_u64(t, row, KTD_SCHED_KVA, &v))
		events_detail(r, obj, v);
}

/* Parents before children; every row exactly once, whatever the addresses say. */
static void add_subtree(struct report *r, yyjson_mut_val *arr, const struct flag_names *ops_flags,
			bool *done, uint64_t parent, unsigned int depth)
{
	const struct table *t = report_table(r, KTD_TBL_SCHED);

	for (size_t i = 0; i < t->nr_rows; i++) {
		uint64_t kva;

		if (done[i] || row_u64_or(t, t->rows[i], KTD_SCHED_PARENT_KVA, 0) != parent)
			continue;
		done[i] = true;
		add_sched(r, arr, t->rows[i], ops_flags);
		if (depth < 16 && !row_u64(t, t->rows[i], KTD_SCHED_KVA, &kva) && kva)
			add_subtree(r, arr, ops_flags, done, kva, depth + 1);
	}
}

void scheds_detail(struct report *r)
{
	_cleanup_free_ bool *done = NULL;
	const struct table *t = report_table(r, KTD_TBL_SCHED);
	struct flag_names ops_flags;
	yyjson_mut_val *arr;

	done = calloc(t->nr_rows + 1, sizeof(*done));
	if (!t->header || !done)
		return;
	flags_load(r, "scx_ops_flags", &ops_flags);
	arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "schedulers");
	if (t->nr_rows <= 1024)		/* the walk is quadratic */
		add_subtree(r, arr, &ops_flags, done, 0, 0);
	for (size_t i = 0; i < t->nr_rows && i < REPORT_MAX_LIST; i++)
		if (!done[i])
			add_sched(r, arr, t->rows[i], &ops_flags);
}
