// SPDX-License-Identifier: GPL-2.0-only
/* Hardware counters, which stand beside the registers of their CPU. */
#include "report.h"

/* Index is the CPU, null where nothing counts; the module says why. */
void perf_report(struct report *r)
{
	_cleanup_free_ row_t *by_cpu = regs_by_cpu(r);
	static const struct {
		const char *key;
		unsigned int col;
	} keys[] = {
		{ "cycles", KTD_CPU_CYCLES }, { "instructions", KTD_CPU_INSTRUCTIONS },
		{ "cache_misses", KTD_CPU_CACHE_MISSES }, { "branch_misses", KTD_CPU_BRANCH_MISSES },
		/* Pinned events: they count all the time or not at all. */
		{ "time_enabled_ns", KTD_CPU_COUNTING_NS }, { "time_running_ns", KTD_CPU_COUNTING_NS },
	};
	const struct table *t = report_table(r, KTD_TBL_CPU);
	uint64_t nr = regs_nr_cpus(r, by_cpu), v;
	yyjson_mut_val *arr;

	if (!by_cpu || !table_has(t, KTD_CPU_COUNTING_NS) || !nr)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->top, "vcpu_perf_at_freeze");
	for (uint64_t cpu = 0; cpu < nr; cpu++) {
		yyjson_mut_val *obj;

		if (!by_cpu[cpu] || row_u64(t, by_cpu[cpu], KTD_CPU_COUNTING_NS, &v)) {
			yyjson_mut_arr_add_null(r->doc, arr);
			continue;
		}
		obj = yyjson_mut_arr_add_obj(r->doc, arr);
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			json_kept_u64(r->doc, obj, keys[i].key, t, by_cpu[cpu], keys[i].col, UINT64_MAX);
	}
}
