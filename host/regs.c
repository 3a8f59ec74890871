// SPDX-License-Identifier: GPL-2.0-only
/* Registers and stacks of the CPUs, as they stood when they were parked. */
#include "report.h"

static bool cpu_index(const struct table *t, row_t row, uint64_t *ret)
{
	return !row_u64(t, row, KTD_CPU_CPU, ret) && *ret < REPORT_MAX_CPUS;
}

row_t *regs_by_cpu(const struct report *r)
{
	row_t *by_cpu = calloc(REPORT_MAX_CPUS, sizeof(*by_cpu));
	const struct table *t = report_table(r, KTD_TBL_CPU);
	uint64_t cpu;

	for (size_t i = 0; by_cpu && i < t->nr_rows; i++)
		if (cpu_index(t, t->rows[i], &cpu) && !by_cpu[cpu])
			by_cpu[cpu] = t->rows[i];
	return by_cpu;
}

uint64_t regs_nr_cpus(const struct report *r, const row_t *by_cpu)
{
	row_t hello = snapshot_single(r->snap, KTD_TBL_HELLO);
	uint64_t nr = REPORT_MAX_CPUS, ids;

	while (nr && (!by_cpu || !by_cpu[nr - 1]))
		nr--;
	if (hello && !row_u64(report_table(r, KTD_TBL_HELLO), hello, KTD_HELLO_NR_CPU_IDS, &ids) &&
	    ids > nr && ids <= REPORT_MAX_CPUS)
		nr = ids;
	return nr;
}

/* Index is the CPU; a CPU that was not parked has null. */
void regs_report(struct report *r)
{
	_cleanup_free_ row_t *by_cpu = regs_by_cpu(r);
	const struct table *t = report_table(r, KTD_TBL_CPU);
	uint64_t nr = regs_nr_cpus(r, by_cpu), cpu;
	yyjson_mut_val *arr;

	/* rows there may be whose CPU is none */
	if (!by_cpu || !t->nr_rows || !nr)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->top, "vcpu_regs");
	for (cpu = 0; cpu < nr; cpu++) {
		yyjson_mut_val *obj;
		uint64_t ip;

		if (!by_cpu[cpu] || !row_bool_or(t, by_cpu[cpu], KTD_CPU_PARKED, true) ||
		    row_u64(t, by_cpu[cpu], KTD_CPU_IP, &ip)) {
			yyjson_mut_arr_add_null(r->doc, arr);
			continue;
		}
		obj = yyjson_mut_arr_add_obj(r->doc, arr);
		json_add_u64(r->doc, obj, "instruction_pointer", ip);
		json_kept_u64(r->doc, obj, "stack_pointer", t, by_cpu[cpu], KTD_CPU_SP, UINT64_MAX);
		json_kept_u64(r->doc, obj, "page_table_root", t, by_cpu[cpu], KTD_CPU_CR3,
			      UINT64_MAX);
	}
}

void regs_detail(struct report *r)
{
	static const unsigned int special[] = { KTD_CPU_STACK, COLS_END };
	const struct table *t = report_table(r, KTD_TBL_CPU);
	yyjson_mut_val *arr;

	if (!t->header)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "cpus");
	for (size_t i = 0; i < t->nr_rows; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
		const msgpack_object *pcs;
		uint64_t ip;
		size_t nr;

		json_add_cols(r->doc, obj, t, t->rows[i], special);
		if (!row_u64(t, t->rows[i], KTD_CPU_IP, &ip) &&
		    !row_bool_or(t, t->rows[i], KTD_CPU_USER, false)) {
			char buf[600];
			size_t len = symbol_format(&r->symbols, ip, buf, sizeof(buf));

			json_add_text(r->doc, obj, "ip_symbol", buf, len);
		}
		if (!row_array(t, t->rows[i], KTD_CPU_STACK, &pcs, &nr))
			yyjson_mut_obj_add_val(r->doc, obj, "stack", report_stack(r, pcs, nr));
	}
}
