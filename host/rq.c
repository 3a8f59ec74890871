// SPDX-License-Identifier: GPL-2.0-only
/* Run queues. */
#include <errno.h>

#include "report.h"

void rqs_report(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_RQ);
	yyjson_mut_val *arr;

	if (!t->nr_rows)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->top, "rq_scx_states");
	for (size_t i = 0; i < t->nr_rows; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
		row_t row = t->rows[i];
		const msgpack_object *end;
		bool cut = false;

		json_kept_u64(r->doc, obj, "cpu", t, row, KTD_RQ_CPU, UINT32_MAX);
		json_kept_u64(r->doc, obj, "nr_running", t, row, KTD_RQ_SCX_NR_RUNNING, UINT32_MAX);
		json_kept_u64(r->doc, obj, "flags", t, row, KTD_RQ_SCX_FLAGS, UINT32_MAX);
		yyjson_mut_obj_add_bool(r->doc, obj, "cpu_released",
					row_bool_or(t, row, KTD_RQ_SCX_CPU_RELEASED, false));
		json_kept_u64(r->doc, obj, "ops_qseq", t, row, KTD_RQ_SCX_OPS_QSEQ, UINT64_MAX);
		json_opt_u64(r->doc, obj, "kick_sync", t, row, KTD_RQ_SCX_KICK_SYNC, UINT64_MAX);
		json_opt_u64(r->doc, obj, "nr_immed", t, row, KTD_RQ_SCX_NR_IMMED, UINT32_MAX);
		json_opt_u64(r->doc, obj, "rq_clock", t, row, KTD_RQ_SCX_CLOCK, UINT64_MAX);
		json_opt_i32(r->doc, obj, "curr_pid", t, row, KTD_RQ_CURR_PID);
		json_opt_text(r->doc, obj, "curr_comm", t, row, KTD_RQ_CURR_COMM);
		yyjson_mut_obj_add_val(r->doc, obj, "runnable_task_kvas",
				       report_task_kvas(r, LIST_RUNNABLE,
							row_u64_or(t, row, KTD_RQ_KVA, 0),
							REPORT_MAX_LIST, &cut));
		if (!row_get(t, row, KTD_RQ_RUNNABLE_END, &end) && !mp_str_is(end, "ok"))
			cut = true;
		if (cut)
			yyjson_mut_obj_add_bool(r->doc, obj, "runnable_truncated", true);
	}
}

/*
 * A run queue whose lock is held by a CPU that was parked may be in the middle of a
 * change. The lock does not say who holds it, but the kernel raises exits under that
 * of its own CPU, and stalls under that of the CPU where the task waits: those two
 * are whole.
 */
static enum rq_lock classify_lock(const struct report *r, uint64_t cpu)
{
	const struct table *t = report_table(r, KTD_TBL_BEGIN), *et = report_table(r, KTD_TBL_EXIT);
	row_t begin = snapshot_single(r->snap, KTD_TBL_BEGIN);
	row_t exit = snapshot_single(r->snap, KTD_TBL_EXIT);
	const msgpack_object *kind_name;
	uint64_t kind;

	/* A timer's interrupt or a task that asks holds none. */
	if (!begin || !snapshot_is(r->snap, "exit") ||
	    !row_bool_or(t, begin, KTD_BEGIN_IRQS_OFF, false) ||
	    row_str_is(t, begin, KTD_BEGIN_CONTEXT, "nmi"))
		return RQ_HELD;
	if (row_u64_or(t, begin, KTD_BEGIN_CPU, UINT64_MAX) == cpu)
		return RQ_TRIGGER;
	if (!exit || row_u64(et, exit, KTD_EXIT_KIND, &kind) ||
	    row_u64_or(et, exit, KTD_EXIT_EXIT_CPU, UINT64_MAX) != cpu)
		return RQ_HELD;
	kind_name = report_enum(r, "scx_exit_kind", kind);
	return kind_name && mp_str_is(kind_name, "SCX_EXIT_ERROR_STALL") ? RQ_TRIGGER : RQ_HELD;
}

int rqs_index(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_RQ);

	r->rq_locks = calloc(REPORT_MAX_CPUS, sizeof(*r->rq_locks));
	if (!r->rq_locks)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_rows; i++) {
		uint64_t cpu, lock;

		if (!row_u64(t, t->rows[i], KTD_RQ_CPU, &cpu) && cpu < REPORT_MAX_CPUS &&
		    !row_u64(t, t->rows[i], KTD_RQ_LOCK, &lock) && lock && !r->rq_locks[cpu])
			r->rq_locks[cpu] = classify_lock(r, cpu);
	}
	return 0;
}

enum rq_lock rq_lock_of(const struct report *r, uint64_t cpu)
{
	return cpu < REPORT_MAX_CPUS ? r->rq_locks[cpu] : RQ_FREE;
}

static void add_rq(struct report *r, yyjson_mut_val *arr, row_t row, const struct flag_names *f)
{
	const struct table *t = report_table(r, KTD_TBL_RQ);
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
	enum rq_lock lock = rq_lock_of(r, row_u64_or(t, row, KTD_RQ_CPU, UINT64_MAX));
	uint64_t flags;

	json_add_cols(r->doc, obj, t, row, NULL);
	if (!row_u64(t, row, KTD_RQ_SCX_FLAGS, &flags))
		flags_add(r, obj, "scx_flag_names", flags, f);
	if (lock == RQ_TRIGGER)
		yyjson_mut_obj_add_str(r->doc, obj, "lock_held_by", "trigger");
	else if (lock == RQ_HELD)
		yyjson_mut_obj_add_bool(r->doc, obj, "torn", true);
}

void rqs_detail(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_RQ);
	struct torn torn = { .what = "run queue of CPU" };
	struct flag_names flags;
	yyjson_mut_val *arr;

	if (!t->header)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "rqs");
	flags_load(r, "scx_rq_flags", &flags);
	for (size_t i = 0; i < t->nr_rows; i++) {
		uint64_t cpu;

		add_rq(r, arr, t->rows[i], &flags);
		if (!row_u64(t, t->rows[i], KTD_RQ_CPU, &cpu) && rq_lock_of(r, cpu) == RQ_HELD)
			torn_note(&torn, "%llu", (unsigned long long)cpu);
	}
	torn_report(r, "rq", &torn);
}
