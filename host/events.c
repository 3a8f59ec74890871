// SPDX-License-Identifier: GPL-2.0-only
/* sched_ext's event counters, by the names this kernel gives them. */
#include "report.h"

static void add_counters(struct report *r, yyjson_mut_val *obj, row_t row, bool with_kva)
{
	const struct table *t = report_table(r, KTD_TBL_EVENT);

	for (unsigned int i = 0; i < t->width; i++) {
		const msgpack_object *name = &t->header->via.array.ptr[i];
		yyjson_mut_val *key;

		if (!with_kva && (int)i == t->where[KTD_EVENT_SCHED_KVA])
			continue;
		key = json_value(r->doc, name);
		if (key && !yyjson_mut_obj_getn(obj, yyjson_mut_get_str(key), yyjson_mut_get_len(key)))
			yyjson_mut_obj_add(obj, key, json_value(r->doc, &row->via.array.ptr[i]));
	}
}

void events_detail(struct report *r, yyjson_mut_val *sched, uint64_t kva)
{
	const struct table *t = report_table(r, KTD_TBL_EVENT);

	for (size_t i = 0; i < t->nr_rows && i < REPORT_MAX_LIST; i++) {
		uint64_t owner;

		if (row_u64(t, t->rows[i], KTD_EVENT_SCHED_KVA, &owner) || owner != kva)
			continue;
		add_counters(r, yyjson_mut_obj_add_obj(r->doc, sched, "event_counters"), t->rows[i],
			     false);
		return;
	}
}

/* COUNTER: ktstr's probe has fifteen; what ours has no counter for is 0. */
void counters_report(struct report *r)
{
	static const struct {
		const char *key;
		unsigned int col;
	} others[] = {
		{ "probe_count", COLS_END },
		{ "kprobe_returns", COLS_END },
		{ "meta_miss", COLS_END },
		{ "ringbuf_drops", COLS_END },
		{ "timeline_count", KTD_COUNTER_TIMELINE_COUNT },
		{ "timeline_drops", KTD_COUNTER_TIMELINE_DROPS },
		{ "pi_count", KTD_COUNTER_PI_COUNT },
		{ "pi_orphan_fexits", COLS_END },
		{ "pi_class_change_count", KTD_COUNTER_PI_CLASS_CHANGE_COUNT },
		{ "pi_drops", KTD_COUNTER_PI_DROPS },
		{ "lock_contend_count", KTD_COUNTER_LOCK_CONTEND_COUNT },
		{ "lock_contend_drops", KTD_COUNTER_LOCK_CONTEND_DROPS },
		{ "preempt_disable_count", COLS_END },
		{ "preempt_enable_count", COLS_END },
	};
	const struct table *t = report_table(r, KTD_TBL_COUNTER);
	row_t counters = snapshot_single(r->snap, KTD_TBL_COUNTER), row = counters;
	yyjson_mut_val *obj;
	uint64_t count;

	if (!row || row_u64(t, row, KTD_COUNTER_TRIGGER_COUNT, &count)) {
		row = snapshot_single(r->snap, KTD_TBL_BEGIN);
		if (!row || row_u64(report_table(r, KTD_TBL_BEGIN), row, KTD_BEGIN_TRIGGER_COUNT,
				    &count))
			return;
	}
	obj = yyjson_mut_obj_add_obj(r->doc, r->top, "probe_counters");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		json_add_u64(r->doc, obj, others[i].key, counters && others[i].col != COLS_END ?
			     row_u64_or(t, counters, others[i].col, 0) : 0);
	json_add_u64(r->doc, obj, "trigger_count", count);
}

/* FIRING: every exit that the hook saw of late, captured or not. */
void firings_detail(struct report *r)
{
	static const unsigned int special[] = { KTD_FIRING_EXIT_KIND, COLS_END };
	const struct table *t = report_table(r, KTD_TBL_FIRING);
	yyjson_mut_val *arr;

	if (!t->nr_rows)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "firings");
	for (size_t i = 0; i < t->nr_rows && i < REPORT_MAX_LIST; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
		uint64_t kind;

		if (json_add_col(r->doc, obj, t, t->rows[i], KTD_FIRING_EXIT_KIND, "exit_kind") &&
		    !row_u64(t, t->rows[i], KTD_FIRING_EXIT_KIND, &kind))
			report_add_enum(r, obj, "exit_kind_name", "scx_exit_kind", kind);
		json_add_cols(r->doc, obj, t, t->rows[i], special);
	}
}
