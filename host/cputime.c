// SPDX-License-Identifier: GPL-2.0-only
/* CPU time, soft interrupts, interrupts. */
#include "report.h"

#define NR_SOFTIRQS 10

static uint64_t element(const msgpack_object *v, size_t nr, size_t i)
{
	return i < nr && v[i].type == MSGPACK_OBJECT_POSITIVE_INTEGER ? v[i].via.u64 : 0;
}

void cputime_report(struct report *r)
{
	/* Both ktstr's order and the kernel's enum cpu_usage_stat. */
	static const char *const keys[] = {
		"cpustat_user_ns", "cpustat_nice_ns", "cpustat_system_ns", "cpustat_softirq_ns",
		"cpustat_irq_ns", "cpustat_idle_ns", "cpustat_iowait_ns", "cpustat_steal_ns",
	};
	const struct table *t = report_table(r, KTD_TBL_CPUTIME);
	yyjson_mut_val *arr, *soft;

	if (!t->nr_rows)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->top, "per_cpu_time");
	for (size_t i = 0; i < t->nr_rows; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
		const msgpack_object *v = NULL;
		size_t nr = 0;

		json_kept_u64(r->doc, obj, "cpu", t, t->rows[i], KTD_CPUTIME_CPU, UINT32_MAX);
		row_array(t, t->rows[i], KTD_CPUTIME_CPUSTAT, &v, &nr);
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			json_add_u64(r->doc, obj, keys[k], element(v, nr, k));
		nr = 0;
		row_array(t, t->rows[i], KTD_CPUTIME_SOFTIRQS, &v, &nr);
		soft = yyjson_mut_obj_add_arr(r->doc, obj, "softirqs");
		for (size_t k = 0; k < NR_SOFTIRQS; k++)
			yyjson_mut_arr_add_uint(r->doc, soft, element(v, nr, k));
		json_kept_u64(r->doc, obj, "irqs_sum", t, t->rows[i], KTD_CPUTIME_IRQS_SUM,
			      UINT64_MAX);
		json_opt_u64(r->doc, obj, "iowait_sleeptime_ns", t, t->rows[i],
			     KTD_CPUTIME_IOWAIT_SLEEPTIME_NS, UINT64_MAX);
	}
}

/* What ktstr's form has no key for: guest time. */
void cputime_detail(struct report *r)
{
	static const unsigned int special[] = {
		KTD_CPUTIME_SOFTIRQS, KTD_CPUTIME_IRQS_SUM, KTD_CPUTIME_IOWAIT_SLEEPTIME_NS, COLS_END
	};
	const struct table *t = report_table(r, KTD_TBL_CPUTIME);

	if (t->nr_rows)
		yyjson_mut_obj_add_val(r->doc, r->ktdump, "cputime", json_rows(r->doc, t, special));
}
