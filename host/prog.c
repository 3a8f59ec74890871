// SPDX-License-Identifier: GPL-2.0-only
/* BPF programs and their run statistics. */
#include "report.h"

#define PROG_TYPE_STRUCT_OPS 27

static const char *no_progs_reason(const struct report *r)
{
	if (report_table(r, KTD_TBL_PROG)->header)
		return "no struct_ops programs loaded";
	return report_lost_table(r, KTD_TBL_PROG) ? TEXT_PREREQUISITES :
						    "prog accessor unavailable";
}

void progs_report(struct report *r)
{
	_cleanup_free_ row_t *v = report_sorted(r, KTD_TBL_PROG, KTD_PROG_ID);
	const struct table *t = report_table(r, KTD_TBL_PROG);
	yyjson_mut_val *arr = yyjson_mut_arr(r->doc);

	for (size_t i = 0; v && i < t->nr_rows; i++) {
		yyjson_mut_val *obj;

		if (row_u64_or(t, v[i], KTD_PROG_TYPE, 0) != PROG_TYPE_STRUCT_OPS ||
		    !row_bool_or(t, v[i], KTD_PROG_HAS_STATS, false))
			continue;
		obj = yyjson_mut_arr_add_obj(r->doc, arr);
		json_kept_text(r->doc, obj, "name", t, v[i], KTD_PROG_NAME);
		json_kept_u64(r->doc, obj, "cnt", t, v[i], KTD_PROG_CNT, UINT64_MAX);
		json_kept_u64(r->doc, obj, "nsecs", t, v[i], KTD_PROG_NSECS, UINT64_MAX);
		json_kept_u64(r->doc, obj, "misses", t, v[i], KTD_PROG_MISSES, UINT64_MAX);
	}
	if (yyjson_mut_arr_size(arr))
		yyjson_mut_obj_add_val(r->doc, r->top, "prog_runtime_stats", arr);
	else
		yyjson_mut_obj_add_str(r->doc, r->top, "prog_runtime_stats_unavailable",
				       no_progs_reason(r));
}

void progs_detail(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_PROG);

	if (t->header)
		yyjson_mut_obj_add_val(r->doc, r->ktdump, "progs", json_rows(r->doc, t, NULL));
}
