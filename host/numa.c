// SPDX-License-Identifier: GPL-2.0-only
/* NUMA allocation counters per node. */
#include "report.h"

void numa_report(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_NUMA);
	yyjson_mut_val *arr;

	if (!t->nr_rows) {
		yyjson_mut_obj_add_str(r->doc, r->top, "per_node_numa_unavailable",
				       report_lost_table(r, KTD_TBL_NUMA) ? TEXT_PREREQUISITES :
				       "no NUMA walker (host-side walker pending)");
		return;
	}
	arr = yyjson_mut_obj_add_arr(r->doc, r->top, "per_node_numa");
	for (size_t i = 0; i < t->nr_rows; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);

		json_kept_u64(r->doc, obj, "node", t, t->rows[i], KTD_NUMA_NODE, UINT32_MAX);
		for (unsigned int c = KTD_NUMA_HIT; c < KTD_NUMA_NR_COLS; c++)
			json_kept_u64(r->doc, obj, t->desc->cols[c], t, t->rows[i], c, UINT64_MAX);
	}
}
