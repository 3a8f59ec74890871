// SPDX-License-Identifier: GPL-2.0-only
/* Event counters over time. */
#include <string.h>

#include "report.h"

#define NR_NAMES 13

/* ktstr's names in its order, and those that kernels gave the same counter. */
static const struct {
	const char *key;
	const char *kernel[2];
} names[NR_NAMES] = {
	{ "select_cpu_fallback", { "SCX_EV_SELECT_CPU_FALLBACK" } },
	{ "dispatch_local_dsq_offline", { "SCX_EV_DISPATCH_LOCAL_DSQ_OFFLINE" } },
	{ "dispatch_keep_last", { "SCX_EV_DISPATCH_KEEP_LAST" } },
	{ "enq_skip_exiting", { "SCX_EV_ENQ_SKIP_EXITING" } },
	{ "enq_skip_migration_disabled", { "SCX_EV_ENQ_SKIP_MIGRATION_DISABLED" } },
	{ "reenq_immed", { "SCX_EV_REENQ_IMMED" } },
	/* renamed in 7.3 */
	{ "reenq_local_repeat", { "SCX_EV_REENQ_LOCAL_REPEAT", "SCX_EV_REENQ_REPEAT" } },
	/* renamed before 6.16 */
	{ "refill_slice_dfl", { "SCX_EV_REFILL_SLICE_DFL", "SCX_EV_ENQ_SLICE_DFL" } },
	{ "bypass_duration", { "SCX_EV_BYPASS_DURATION" } },
	{ "bypass_dispatch", { "SCX_EV_BYPASS_DISPATCH" } },
	{ "bypass_activate", { "SCX_EV_BYPASS_ACTIVATE" } },
	{ "insert_not_owned", { "SCX_EV_INSERT_NOT_OWNED" } },
	{ "sub_bypass_dispatch", { "SCX_EV_SUB_BYPASS_DISPATCH" } },
};

/* Which of ktstr's names a column is, NR_NAMES none. */
static unsigned int name_of(const msgpack_object *col)
{
	for (unsigned int i = 0; i < NR_NAMES; i++)
		for (unsigned int k = 0; k < ARRAY_SIZE(names[i].kernel); k++) {
			const char *name = names[i].kernel[k];

			if (name && strlen(name) == col->via.str.size &&
			    !memcmp(name, col->via.str.ptr, col->via.str.size))
				return i;
		}
	return NR_NAMES;
}

static bool is_counter(const struct table *t, unsigned int col)
{
	for (unsigned int c = 0; c < t->desc->nr_cols; c++)
		if (t->where[c] == (int)col)
			return false;
	return true;
}

static int64_t value(const msgpack_object *o)
{
	if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		return o->via.u64 > INT64_MAX ? INT64_MAX : (int64_t)o->via.u64;
	return o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? o->via.i64 : 0;
}

struct sample {
	uint64_t ns;
	row_t row;
};

static int by_time(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

/* The samples by time, without those that have none; NULL without memory. */
static struct sample *load(const struct table *t, size_t *nr_ret)
{
	struct sample *v = calloc(t->nr_rows + 1, sizeof(*v));

	*nr_ret = 0;
	for (size_t i = 0; v && i < t->nr_rows && *nr_ret < REPORT_MAX_LIST; i++) {
		v[*nr_ret].row = t->rows[i];
		if (!row_u64(t, t->rows[i], KTD_TIMELINE_MONO_NS, &v[*nr_ret].ns))
			++*nr_ret;
	}
	if (v)
		qsort(v, *nr_ret, sizeof(*v), by_time);
	return v;
}

void timeline_report(struct report *r)
{
	_cleanup_free_ struct sample *v = NULL;
	const struct table *t = report_table(r, KTD_TBL_TIMELINE);
	unsigned int known = 0;
	yyjson_mut_val *arr;
	size_t nr;

	for (unsigned int i = 0; i < t->width; i++)
		known += name_of(&t->header->via.array.ptr[i]) < NR_NAMES;
	if (!known || !t->nr_rows)
		return;
	v = load(t, &nr);
	if (!v || !nr)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->top, "event_counter_timeline");
	for (size_t i = 0; i < nr; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
		int64_t sum[NR_NAMES + 1] = {};

		for (unsigned int c = 0; c < t->width; c++)
			sum[name_of(&t->header->via.array.ptr[c])] =
				value(&v[i].row->via.array.ptr[c]);
		json_add_u64(r->doc, obj, "elapsed_ms", v[i].ns / 1000000);
		for (unsigned int k = 0; k < NR_NAMES; k++)
			json_add_i64(r->doc, obj, names[k].key, sum[k]);
	}
}

/* What the other form has no place for. */
void timeline_detail(struct report *r)
{
	_cleanup_free_ struct sample *v = NULL;
	const struct table *t = report_table(r, KTD_TBL_TIMELINE);
	yyjson_mut_val *arr;
	size_t nr;

	if (!t->nr_rows)
		return;
	v = load(t, &nr);
	arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "timeline");
	for (size_t i = 0; v && i < nr; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr), *counters;

		json_add_col(r->doc, obj, t, v[i].row, KTD_TIMELINE_MONO_NS, "mono_ns");
		json_add_col(r->doc, obj, t, v[i].row, KTD_TIMELINE_SCHED_KVA, "sched_kva");
		counters = yyjson_mut_obj_add_obj(r->doc, obj, "counters");
		for (unsigned int c = 0; c < t->width; c++) {
			const msgpack_object *name = &t->header->via.array.ptr[c];
			yyjson_mut_val *key;

			if (!is_counter(t, c) || name_of(name) < NR_NAMES)
				continue;
			key = json_value(r->doc, name);
			if (key && !yyjson_mut_obj_getn(counters, yyjson_mut_get_str(key),
							yyjson_mut_get_len(key)))
				yyjson_mut_obj_add(counters, key,
						   json_value(r->doc, &v[i].row->via.array.ptr[c]));
		}
	}
}
