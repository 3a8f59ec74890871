// SPDX-License-Identifier: GPL-2.0-only
/* Dispatch queues. */
#include <stdio.h>
#include <string.h>

#include "report.h"

/* Kinds that ktstr knows, in its order; the rest goes under "ktdump" alone. */
static const char *const kinds[] = { "local", "bypass", "global", "user" };
#define KIND_GLOBAL 2
#define KIND_USER 3

struct queue {
	unsigned int kind;
	uint64_t place;		/* CPU, node, or order of arrival */
	row_t row;
};

static int by_place(const void *a, const void *b)
{
	const struct queue *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind > y->kind ? 1 : -1;
	return (x->place > y->place) - (x->place < y->place);
}

static bool classify(const struct table *t, row_t row, size_t nr, struct queue *ret)
{
	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++) {
		if (!row_str_is(t, row, KTD_DSQ_ORIGIN, kinds[k]))
			continue;
		*ret = (struct queue){ .kind = k, .place = nr, .row = row };
		if (k == KIND_USER)
			return true;
		return !row_u64(t, row, k == KIND_GLOBAL ? KTD_DSQ_NODE : KTD_DSQ_CPU, &ret->place);
	}
	return false;
}

bool dsq_origin(const struct report *r, row_t row, char *buf, size_t size)
{
	const struct table *t = report_table(r, KTD_TBL_DSQ);
	struct queue q;
	const char *s;
	uint64_t place;
	size_t len;

	if (classify(t, row, 0, &q)) {
		if (q.kind == KIND_USER)
			snprintf(buf, size, "user");
		else
			snprintf(buf, size, "%s %s %llu", kinds[q.kind],
				 q.kind == KIND_GLOBAL ? "node" : "cpu",
				 (unsigned long long)q.place);
		return true;
	}
	if (row_str(t, row, KTD_DSQ_ORIGIN, &s, &len))
		return false;
	if (!row_u64(t, row, KTD_DSQ_CPU, &place))
		snprintf(buf, size, "%.*s cpu %llu", (int)(len < 16 ? len : 16), s,
			 (unsigned long long)place);
	else
		snprintf(buf, size, "%.*s", (int)(len < 16 ? len : 16), s);
	return true;
}

/* The enumeration mixes ids with flags of equal value: SCX_DSQ_INVALID is one flag alone. */
static const msgpack_object *find_id_name(const struct report *r, uint64_t id)
{
	const struct table *t = report_table(r, KTD_TBL_ENUM);
	static const char flag[] = "SCX_DSQ_FLAG_";

	for (size_t i = 0; i < t->nr_rows && i < REPORT_MAX_LIST; i++) {
		const msgpack_object *name;
		uint64_t v;

		if (row_u64(t, t->rows[i], KTD_ENUM_VALUE, &v) || v != id ||
		    !row_str_is(t, t->rows[i], KTD_ENUM_ENUM, "scx_dsq_id_flags") ||
		    row_get(t, t->rows[i], KTD_ENUM_NAME, &name) ||
		    name->type != MSGPACK_OBJECT_STR)
			continue;
		if (name->via.str.size < sizeof(flag) ||
		    memcmp(name->via.str.ptr, flag, sizeof(flag) - 1))
			return name;
	}
	return NULL;
}

void dsq_add_id_name(struct report *r, yyjson_mut_val *obj, const char *key, uint64_t id)
{
	const uint64_t builtin = 1ull << 63, local_on = 1ull << 62;
	const msgpack_object *name;
	char buf[64];

	if (!(id & builtin)) {
		yyjson_mut_obj_add_str(r->doc, obj, key, "user");
	} else if (id & local_on) {
		snprintf(buf, sizeof(buf), "SCX_DSQ_LOCAL_ON|%u", (uint32_t)id);
		yyjson_mut_obj_add_strcpy(r->doc, obj, key, buf);
	} else {
		name = find_id_name(r, id);
		yyjson_mut_obj_add_val(r->doc, obj, key,
				       name ? json_value(r->doc, name) : yyjson_mut_null(r->doc));
	}
}

void dsqs_report(struct report *r)
{
	_cleanup_free_ struct queue *v = NULL;
	const struct table *t = report_table(r, KTD_TBL_DSQ);
	yyjson_mut_val *arr;
	size_t nr = 0;

	v = calloc(t->nr_rows + 1, sizeof(*v));
	if (!v)
		return;
	for (size_t i = 0; i < t->nr_rows; i++)
		nr += classify(t, t->rows[i], i, &v[nr]);
	if (!nr)
		return;
	qsort(v, nr, sizeof(*v), by_place);
	arr = yyjson_mut_obj_add_arr(r->doc, r->top, "dsq_states");
	for (size_t i = 0; i < nr; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
		row_t row = v[i].row;
		const msgpack_object *end;
		bool cut = false;
		char origin[64];

		dsq_origin(r, row, origin, sizeof(origin));
		json_kept_u64(r->doc, obj, "id", t, row, KTD_DSQ_ID, UINT64_MAX);
		yyjson_mut_obj_add_strcpy(r->doc, obj, "origin", origin);
		json_kept_u64(r->doc, obj, "nr", t, row, KTD_DSQ_NR, UINT32_MAX);
		json_kept_u64(r->doc, obj, "seq", t, row, KTD_DSQ_SEQ, UINT32_MAX);
		yyjson_mut_obj_add_val(r->doc, obj, "task_kvas",
				       report_task_kvas(r, LIST_DSQ, row_u64_or(t, row, KTD_DSQ_KVA, 0),
							REPORT_MAX_LIST, &cut));
		if (!row_get(t, row, KTD_DSQ_END, &end) && !mp_str_is(end, "ok"))
			cut = true;
		if (cut)
			yyjson_mut_obj_add_bool(r->doc, obj, "truncated", true);
	}
}

/* A CPU's own queues (these live in its run queue) change under the run queue's lock. */
static bool queue_torn(const struct report *r, row_t row)
{
	static const char *const of_rq[] = { "local", "reject", "rescue", "deferred" };
	const struct table *t = report_table(r, KTD_TBL_DSQ);
	uint64_t lock = 0, cpu;

	row_u64(t, row, KTD_DSQ_LOCK, &lock);
	if (lock || row_u64(t, row, KTD_DSQ_CPU, &cpu) || rq_lock_of(r, cpu) != RQ_HELD)
		return lock;
	for (size_t i = 0; i < ARRAY_SIZE(of_rq); i++)
		if (row_str_is(t, row, KTD_DSQ_ORIGIN, of_rq[i]))
			return true;
	return false;
}

void dsqs_detail(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_DSQ);
	struct torn torn = { .what = "DSQ" };
	yyjson_mut_val *arr;

	if (!t->header)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "dsqs");
	for (size_t i = 0; i < t->nr_rows; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr), *kvas;
		row_t row = t->rows[i];
		struct queue q;
		bool cut = false;
		uint64_t id = 0;

		json_add_cols(r->doc, obj, t, row, NULL);
		if (!row_u64(t, row, KTD_DSQ_ID, &id))
			dsq_add_id_name(r, obj, "id_name", id);
		if (queue_torn(r, row))
			yyjson_mut_obj_add_bool(r->doc, obj, "torn", true);
		if (row_u64_or(t, row, KTD_DSQ_LOCK, 0))
			torn_note(&torn, "0x%llx", (unsigned long long)id);
		kvas = report_task_kvas(r, LIST_DSQ, row_u64_or(t, row, KTD_DSQ_KVA, 0), SIZE_MAX,
					&cut);
		/* Those with a place in dsq_states are not said twice, unless cut there. */
		if (!classify(t, row, 0, &q) || yyjson_mut_arr_size(kvas) > REPORT_MAX_LIST)
			yyjson_mut_obj_add_val(r->doc, obj, "task_kvas", kvas);
	}
	torn_report(r, "dsq", &torn);
}
