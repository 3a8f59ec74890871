// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has changed between the early and the late snapshot of one exit. Everything is
 * bounded: lists are cut, with the whole number beside them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

#define MAX_ROWS	256	/* per list */
#define MAX_LEAVES	128	/* per map */
#define MAX_ALL_LEAVES	4096
#define MAX_TEXT	(64u << 20)	/* of all maps that are compared */
#define MAX_DEPTH	120
#define PATH_MAX_LEN	256

struct diff {
	struct report *early, *late;
	yyjson_mut_doc *doc;
	yyjson_mut_val *obj;
};

static yyjson_mut_val *add_list(struct diff *d, const char *key)
{
	return yyjson_mut_obj_add_arr(d->doc, d->obj, key);
}

/* The early row with this address. */
static row_t early_row(const struct diff *d, enum ktd_table_id id, const struct kva_ref *refs,
		       size_t nr, uint64_t kva)
{
	return kva ? report_row(report_table(d->early, id), refs, nr, kva) : NULL;
}

/* ----------------------------------------------------------------- counters */

/* The value under the same name in the early row of the same scheduler, else 0. */
static int64_t early_counter(const struct diff *d, uint64_t kva, const msgpack_object *name)
{
	const struct table *t = report_table(d->early, KTD_TBL_EVENT);

	for (size_t i = 0; i < t->nr_rows; i++) {
		if (row_u64_or(t, t->rows[i], KTD_EVENT_SCHED_KVA, 0) != kva)
			continue;
		for (unsigned int c = 0; c < t->width; c++) {
			const msgpack_object *n = &t->header->via.array.ptr[c];
			const msgpack_object *v = &t->rows[i]->via.array.ptr[c];

			if (n->via.str.size == name->via.str.size &&
			    !memcmp(n->via.str.ptr, name->via.str.ptr, n->via.str.size))
				return v->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
				       v->type == MSGPACK_OBJECT_NEGATIVE_INTEGER ? v->via.i64 : 0;
		}
	}
	return 0;
}

static void counters(struct diff *d)
{
	const struct table *t = report_table(d->late, KTD_TBL_EVENT);
	yyjson_mut_val *arr = add_list(d, "counters");

	for (size_t i = 0; i < t->nr_rows && i < 64; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(d->doc, arr), *values;
		uint64_t kva = row_u64_or(t, t->rows[i], KTD_EVENT_SCHED_KVA, 0);

		json_add_u64(d->doc, obj, "sched_kva", kva);
		values = yyjson_mut_obj_add_obj(d->doc, obj, "counters");
		for (unsigned int c = 0; c < t->width; c++) {
			const msgpack_object *v = &t->rows[i]->via.array.ptr[c];
			const msgpack_object *name = &t->header->via.array.ptr[c];
			yyjson_mut_val *key;
			int64_t delta;

			if ((int)c == t->where[KTD_EVENT_SCHED_KVA] ||
			    (v->type != MSGPACK_OBJECT_POSITIVE_INTEGER &&
			     v->type != MSGPACK_OBJECT_NEGATIVE_INTEGER))
				continue;
			delta = (int64_t)((uint64_t)v->via.i64 - (uint64_t)early_counter(d, kva, name));
			key = json_value(d->doc, name);
			if (delta && key && !yyjson_mut_obj_getn(values, yyjson_mut_get_str(key),
								 yyjson_mut_get_len(key)))
				yyjson_mut_obj_add(values, key, yyjson_mut_sint(d->doc, delta));
		}
	}
}

/* ------------------------------------------------------------ queues and CPUs */

static void add_queue(struct diff *d, yyjson_mut_val *arr, const struct report *r, row_t row,
		      const uint64_t *early_nr, const uint64_t *late_nr)
{
	const struct table *t = report_table(r, KTD_TBL_DSQ);
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(d->doc, arr);
	char origin[48];

	json_add_u64(d->doc, obj, "kva", row_u64_or(t, row, KTD_DSQ_KVA, 0));
	if (dsq_origin(r, row, origin, sizeof(origin)))
		json_add_text(d->doc, obj, "origin", origin, strlen(origin));
	json_add_u64(d->doc, obj, "id", row_u64_or(t, row, KTD_DSQ_ID, 0));
	if (early_nr)
		json_add_u64(d->doc, obj, "early_nr", *early_nr);
	else
		yyjson_mut_obj_add_null(d->doc, obj, "early_nr");
	if (late_nr)
		json_add_u64(d->doc, obj, "late_nr", *late_nr);
	else
		yyjson_mut_obj_add_null(d->doc, obj, "late_nr");
}

static void queues(struct diff *d)
{
	const struct table *t = report_table(d->late, KTD_TBL_DSQ);
	const struct table *te = report_table(d->early, KTD_TBL_DSQ);
	yyjson_mut_val *arr = add_list(d, "dsqs");
	uint64_t changed = 0, was, is;

	for (size_t i = 0; i < t->nr_rows; i++) {
		uint64_t kva = row_u64_or(t, t->rows[i], KTD_DSQ_KVA, 0);
		row_t e = early_row(d, KTD_TBL_DSQ, d->early->dsqs, d->early->nr_dsqs, kva);

		is = row_u64_or(t, t->rows[i], KTD_DSQ_NR, 0);
		was = e ? row_u64_or(te, e, KTD_DSQ_NR, 0) : 0;
		if (e && was == is)
			continue;
		if (changed++ < MAX_ROWS)
			add_queue(d, arr, d->late, t->rows[i], e ? &was : NULL, &is);
	}
	for (size_t i = 0; i < te->nr_rows; i++) {
		uint64_t kva = row_u64_or(te, te->rows[i], KTD_DSQ_KVA, 0);

		if (report_find(d->late->dsqs, d->late->nr_dsqs, kva) != SIZE_MAX)
			continue;
		was = row_u64_or(te, te->rows[i], KTD_DSQ_NR, 0);
		if (changed++ < MAX_ROWS)
			add_queue(d, arr, d->early, te->rows[i], &was, NULL);
	}
	json_add_u64(d->doc, d->obj, "dsqs_changed", changed);
}

static void run_queues(struct diff *d)
{
	const struct table *t = report_table(d->late, KTD_TBL_RQ);
	const struct table *te = report_table(d->early, KTD_TBL_RQ);
	yyjson_mut_val *arr = add_list(d, "rqs");

	for (size_t i = 0; i < t->nr_rows && i < te->nr_rows && i < REPORT_MAX_CPUS; i++) {
		row_t l = t->rows[i], e = te->rows[i];
		yyjson_mut_val *obj;
		uint64_t cpu;

		/* Both go through the possible CPUs in order. */
		if (row_u64(t, l, KTD_RQ_CPU, &cpu) || row_u64_or(te, e, KTD_RQ_CPU, ~0ull) != cpu)
			continue;
		obj = yyjson_mut_arr_add_obj(d->doc, arr);
		json_add_u64(d->doc, obj, "cpu", cpu);
		json_add_i64(d->doc, obj, "switches",
			     row_u64_or(t, l, KTD_RQ_NR_SWITCHES, 0) -
			     row_u64_or(te, e, KTD_RQ_NR_SWITCHES, 0));
		json_add_col(d->doc, obj, te, e, KTD_RQ_CURR_PID, "early_pid");
		json_add_col(d->doc, obj, t, l, KTD_RQ_CURR_PID, "late_pid");
	}
}

/* -------------------------------------------------------------------- tasks */

static uint64_t switches(const struct table *t, row_t row)
{
	return row_u64_or(t, row, KTD_TASK_NVCSW, 0) + row_u64_or(t, row, KTD_TASK_NIVCSW, 0);
}

/* Columns that say where a task is. */
static const struct {
	unsigned int col;
	const char *early, *late;
} places[] = {
	{ KTD_TASK_CPU, "early_cpu", "late_cpu" },
	{ KTD_TASK_RUNNABLE_ON, "early_runnable_on", "late_runnable_on" },
	{ KTD_TASK_SCX_DSQ, "early_dsq", "late_dsq" },
	{ KTD_TASK_STATE, "early_state", "late_state" },
};

static bool moved(const struct table *te, row_t e, const struct table *t, row_t l)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (row_u64_or(te, e, places[i].col, ~0ull) != row_u64_or(t, l, places[i].col, ~0ull))
			return true;
	return false;
}

static yyjson_mut_val *add_task(struct diff *d, yyjson_mut_val *arr, row_t row)
{
	const struct table *t = report_table(d->late, KTD_TBL_TASK);
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(d->doc, arr);

	json_add_col(d->doc, obj, t, row, KTD_TASK_KVA, "kva");
	json_add_col(d->doc, obj, t, row, KTD_TASK_PID, "pid");
	json_add_col(d->doc, obj, t, row, KTD_TASK_COMM, "comm");
	return obj;
}

static void add_moved(struct diff *d, yyjson_mut_val *arr, row_t e, row_t l)
{
	const struct table *t = report_table(d->late, KTD_TBL_TASK);
	const struct table *te = report_table(d->early, KTD_TBL_TASK);
	yyjson_mut_val *obj = add_task(d, arr, l);

	json_add_i64(d->doc, obj, "switches", switches(t, l) - switches(te, e));
	json_add_i64(d->doc, obj, "run_ns", row_u64_or(t, l, KTD_TASK_SUM_EXEC_RUNTIME, 0) -
					    row_u64_or(te, e, KTD_TASK_SUM_EXEC_RUNTIME, 0));
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (row_u64_or(te, e, places[i].col, ~0ull) == row_u64_or(t, l, places[i].col, ~0ull))
			continue;
		json_add_col(d->doc, obj, te, e, places[i].col, places[i].early);
		json_add_col(d->doc, obj, t, l, places[i].col, places[i].late);
	}
}

/* Waiting both times, and not on a CPU in between. */
static bool stuck(const struct table *te, row_t e, const struct table *t, row_t l)
{
	uint64_t at, cpu;

	return !row_u64(t, l, KTD_TASK_RUNNABLE_ON, &cpu) &&
	       !row_u64(te, e, KTD_TASK_RUNNABLE_ON, &cpu) &&
	       !row_u64(t, l, KTD_TASK_SCX_RUNNABLE_AT, &at) && at &&
	       row_u64_or(te, e, KTD_TASK_SCX_RUNNABLE_AT, 0) == at &&
	       switches(te, e) == switches(t, l);
}

static void tasks(struct diff *d)
{
	const struct table *t = report_table(d->late, KTD_TBL_TASK);
	const struct table *te = report_table(d->early, KTD_TBL_TASK);
	uint64_t nr_stuck = 0, nr_moved = 0, nr_new = 0, nr_gone = 0;
	yyjson_mut_val *still = add_list(d, "stuck"), *others = add_list(d, "tasks");

	for (size_t i = 0; i < t->nr_rows; i++) {
		row_t l = t->rows[i];
		row_t e = early_row(d, KTD_TBL_TASK, d->early->tasks, d->early->nr_tasks,
				    row_u64_or(t, l, KTD_TASK_KVA, 0));

		/* An address may have been used again. */
		if (!e || row_u64_or(te, e, KTD_TASK_PID, 0) != row_u64_or(t, l, KTD_TASK_PID, 0)) {
			nr_new++;
		} else if (stuck(te, e, t, l)) {
			if (nr_stuck++ < MAX_ROWS)
				add_task(d, still, l);
		} else if (switches(te, e) != switches(t, l) || moved(te, e, t, l)) {
			if (nr_moved++ < MAX_ROWS)
				add_moved(d, others, e, l);
		}
	}
	for (size_t i = 0; i < te->nr_rows; i++) {
		row_t l = report_row(t, d->late->tasks, d->late->nr_tasks,
				     row_u64_or(te, te->rows[i], KTD_TASK_KVA, 0));

		nr_gone += !l || row_u64_or(te, te->rows[i], KTD_TASK_PID, 0) !=
				 row_u64_or(t, l, KTD_TASK_PID, 0);
	}
	json_add_u64(d->doc, d->obj, "tasks_stuck", nr_stuck);
	json_add_u64(d->doc, d->obj, "tasks_changed", nr_moved);
	json_add_u64(d->doc, d->obj, "tasks_new", nr_new);
	json_add_u64(d->doc, d->obj, "tasks_gone", nr_gone);
}

/* --------------------------------------------------------------------- maps */

struct map_diff {
	struct diff *d;
	yyjson_mut_val *leaves;
	uint64_t changed;		/* leaves of this map */
	size_t *room;			/* leaves that may still be listed */
	char path[PATH_MAX_LEN];
	size_t len;
};

/* Adds to the path; returns what to go back to. A path that is too long is cut. */
static size_t __printf(2, 3) enter(struct map_diff *m, const char *fmt, ...)
{
	size_t before = m->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(m->path + m->len, sizeof(m->path) - m->len, fmt, ap);
	va_end(ap);
	m->len = before + n < sizeof(m->path) ? before + n : sizeof(m->path) - 1;
	return before;
}

static void leave(struct map_diff *m, size_t before)
{
	m->len = before;
	m->path[before] = '\0';
}

static const char *text(yyjson_val *v, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(v, key));

	return s ? s : "";
}

/* What a node shows as one value. */
static yyjson_val *leaf_of(yyjson_val *n)
{
	static const char *const keys[] = { "value", "cpus", "hex", "reason" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		yyjson_val *v = yyjson_obj_get(n, keys[i]);

		if (v && !yyjson_is_ctn(v))
			return v;
	}
	return NULL;
}

static void add_leaf(struct map_diff *m, yyjson_val *e, yyjson_val *l)
{
	yyjson_mut_doc *doc = m->d->doc;
	yyjson_mut_val *obj;

	if (m->changed++ >= MAX_LEAVES || !*m->room)
		return;
	--*m->room;
	obj = yyjson_mut_arr_add_obj(doc, m->leaves);
	json_add_text(doc, obj, "path", m->path, m->len);
	yyjson_mut_obj_add_val(doc, obj, "early", e && !yyjson_is_ctn(e) ?
			       yyjson_val_mut_copy(doc, e) : yyjson_mut_null(doc));
	yyjson_mut_obj_add_val(doc, obj, "late", l && !yyjson_is_ctn(l) ?
			       yyjson_val_mut_copy(doc, l) : yyjson_mut_null(doc));
}

static void compare_nodes(struct map_diff *m, yyjson_val *e, yyjson_val *l, unsigned int depth);

/* Lists whose places are the same both times. */
static void compare_places(struct map_diff *m, yyjson_val *e, yyjson_val *l, bool named,
			   unsigned int depth)
{
	yyjson_arr_iter ie, il;
	yyjson_val *x, *y;
	size_t i = 0;

	yyjson_arr_iter_init(e, &ie);
	yyjson_arr_iter_init(l, &il);
	while ((x = yyjson_arr_iter_next(&ie)) && (y = yyjson_arr_iter_next(&il))) {
		size_t before;

		if (named) {
			before = enter(m, "%s%s", m->len ? "." : "", text(y, "name"));
			x = yyjson_obj_get(x, "value");
			y = yyjson_obj_get(y, "value");
		} else {
			before = enter(m, "[%zu]", i++);
		}
		compare_nodes(m, x, y, depth + 1);
		leave(m, before);
	}
}

static void compare_nodes(struct map_diff *m, yyjson_val *e, yyjson_val *l, unsigned int depth)
{
	const char *kind = text(l, "kind");

	if ((!e && !l) || depth > MAX_DEPTH || yyjson_equals(e, l))
		return;
	if (!strcmp(kind, text(e, "kind"))) {
		yyjson_val *x = yyjson_obj_get(e, "deref"), *y = yyjson_obj_get(l, "deref");

		if (!strcmp(kind, "struct")) {
			compare_places(m, yyjson_obj_get(e, "members"), yyjson_obj_get(l, "members"),
				       true, depth);
			return;
		}
		if (!strcmp(kind, "array")) {
			compare_places(m, yyjson_obj_get(e, "elements"),
				       yyjson_obj_get(l, "elements"), false, depth);
			return;
		}
		if (!strcmp(kind, "truncated")) {
			compare_nodes(m, yyjson_obj_get(e, "partial"), yyjson_obj_get(l, "partial"),
				      depth + 1);
			return;
		}
		/* The pointer is the same: what it points to is not. */
		if (x && y && yyjson_equals(leaf_of(e), leaf_of(l))) {
			size_t before = enter(m, "->");

			compare_nodes(m, x, y, depth + 1);
			leave(m, before);
			return;
		}
	}
	add_leaf(m, leaf_of(e), leaf_of(l));
}

/* An entry of a hash by its key; for people the key as number where it is one. */
static size_t enter_key(struct map_diff *m, yyjson_val *entry)
{
	yyjson_val *key = leaf_of(yyjson_obj_get(entry, "key"));

	if (yyjson_is_uint(key))
		return enter(m, "[%llu]", (unsigned long long)yyjson_get_uint(key));
	if (yyjson_is_sint(key))
		return enter(m, "[%lld]", (long long)yyjson_get_sint(key));
	return enter(m, "[%s]", text(entry, "key_hex"));
}

struct entry_ref {
	const char *key;
	yyjson_val *entry;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct entry_ref *)a)->key, ((const struct entry_ref *)b)->key);
}

/* Entries by key; NULL without memory. */
static struct entry_ref *load_entries(yyjson_val *arr, size_t *nr_ret)
{
	struct entry_ref *v = calloc(yyjson_arr_size(arr) + 1, sizeof(*v));
	yyjson_val *entry;
	size_t i, max;

	*nr_ret = v ? yyjson_arr_size(arr) : 0;
	if (!v)
		return NULL;
	yyjson_arr_foreach(arr, i, max, entry)
		v[i] = (struct entry_ref){ text(entry, "key_hex"), entry };
	qsort(v, *nr_ret, sizeof(*v), by_key);
	return v;
}

static void compare_values(struct map_diff *m, yyjson_val *e, yyjson_val *l)
{
	yyjson_val *x = yyjson_obj_get(e, "per_cpu"), *y = yyjson_obj_get(l, "per_cpu");

	if (y) {
		compare_places(m, x, y, false, 0);
		return;
	}
	x = yyjson_obj_get(e, "value");
	y = yyjson_obj_get(l, "value");
	if (y)
		compare_nodes(m, x, y, 0);
	else if (!yyjson_equals(yyjson_obj_get(e, "value_hex"), yyjson_obj_get(l, "value_hex")))
		add_leaf(m, yyjson_obj_get(e, "value_hex"), yyjson_obj_get(l, "value_hex"));
}

static void compare_entries(struct map_diff *m, yyjson_val *e, yyjson_val *l)
{
	_cleanup_free_ struct entry_ref *ve = NULL, *vl = NULL;
	size_t nr_e, nr_l, i = 0, k = 0;

	ve = load_entries(e, &nr_e);
	vl = load_entries(l, &nr_l);
	while (i < nr_e || k < nr_l) {
		int order = i == nr_e ? 1 : k == nr_l ? -1 : strcmp(ve[i].key, vl[k].key);
		yyjson_val *x = order <= 0 ? ve[i++].entry : NULL;
		yyjson_val *y = order >= 0 ? vl[k++].entry : NULL;
		size_t before = enter_key(m, y ? y : x);

		if (x && y)
			compare_values(m, x, y);
		else
			add_leaf(m, yyjson_obj_get(x, "value_hex"), yyjson_obj_get(y, "value_hex"));
		leave(m, before);
	}
}

/* Numbers that stand in an object by their names. */
static void compare_numbers(struct map_diff *m, yyjson_val *e, yyjson_val *l)
{
	size_t i, max;
	yyjson_val *key, *val;

	yyjson_obj_foreach(l, i, max, key, val) {
		yyjson_val *was = yyjson_obj_get(e, yyjson_get_str(key));
		size_t before;

		if (yyjson_is_ctn(val) || yyjson_equals(was, val))
			continue;
		before = enter(m, "%s%s", m->len ? "." : "", yyjson_get_str(key));
		add_leaf(m, was, val);
		leave(m, before);
	}
}

/* Pages by address: which of them are different, not how. */
static void compare_pages(struct map_diff *m, yyjson_val *e, yyjson_val *l)
{
	yyjson_arr_iter ie, il;
	yyjson_val *x, *y;

	yyjson_arr_iter_init(e, &ie);
	yyjson_arr_iter_init(l, &il);
	x = yyjson_arr_iter_next(&ie);
	y = yyjson_arr_iter_next(&il);
	while (x || y) {
		yyjson_val *ax = yyjson_obj_get(x, "user_addr"), *ay = yyjson_obj_get(y, "user_addr");
		bool in_e = x && (!y || yyjson_get_uint(ax) <= yyjson_get_uint(ay));
		bool in_l = y && (!x || yyjson_get_uint(ay) <= yyjson_get_uint(ax));
		size_t before = enter(m, "page 0x%llx",
				      (unsigned long long)yyjson_get_uint(in_l ? ay : ax));

		if (!in_e || !in_l || !yyjson_equals(x, y))
			add_leaf(m, in_e ? ax : NULL, in_l ? ay : NULL);
		leave(m, before);
		x = in_e ? yyjson_arr_iter_next(&ie) : x;
		y = in_l ? yyjson_arr_iter_next(&il) : y;
	}
}

static void compare_map(struct map_diff *m, yyjson_val *e, yyjson_val *l)
{
	static const char *const keyed[] = { "entries", "percpu_hash_entries" };
	static const char *const placed[] = { "array_entries", "percpu_entries" };
	static const char *const facts[] = { "ringbuf", "arena", "fd_array", "bloom_filter" };
	yyjson_val *x, *y;

	/* With one element it is the only one there is. */
	if (!yyjson_obj_get(l, "array_entries"))
		compare_nodes(m, yyjson_obj_get(e, "value"), yyjson_obj_get(l, "value"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keyed); i++)
		compare_entries(m, yyjson_obj_get(e, keyed[i]), yyjson_obj_get(l, keyed[i]));
	for (size_t i = 0; i < ARRAY_SIZE(placed); i++) {
		yyjson_arr_iter ie, il;

		yyjson_arr_iter_init(yyjson_obj_get(e, placed[i]), &ie);
		yyjson_arr_iter_init(yyjson_obj_get(l, placed[i]), &il);
		while ((x = yyjson_arr_iter_next(&ie)) && (y = yyjson_arr_iter_next(&il))) {
			size_t before = enter(m, "[%llu]", (unsigned long long)
					      yyjson_get_uint(yyjson_obj_get(y, "key")));

			/* A key that could not be read is not there: no more to compare. */
			if (!yyjson_equals(yyjson_obj_get(x, "key"), yyjson_obj_get(y, "key")))
				break;
			compare_values(m, x, y);
			leave(m, before);
		}
		leave(m, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		compare_numbers(m, yyjson_obj_get(e, facts[i]), yyjson_obj_get(l, facts[i]));
	x = yyjson_obj_get(yyjson_obj_get(e, "arena"), "pages");
	y = yyjson_obj_get(yyjson_obj_get(l, "arena"), "pages");
	compare_pages(m, x, y);
}

static void add_map(struct diff *d, yyjson_mut_val *arr, row_t row, const struct map_diff *m,
		    const char *skipped)
{
	const struct table *t = report_table(d->late, KTD_TBL_MAP);
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(d->doc, arr);

	json_add_col(d->doc, obj, t, row, KTD_MAP_KVA, "map_kva");
	json_add_col(d->doc, obj, t, row, KTD_MAP_ID, "id");
	json_add_col(d->doc, obj, t, row, KTD_MAP_NAME, "name");
	if (skipped) {
		yyjson_mut_obj_add_str(d->doc, obj, "skipped", skipped);
		return;
	}
	json_add_u64(d->doc, obj, "leaves_changed", m->changed);
	yyjson_mut_obj_add_val(d->doc, obj, "leaves", m->leaves);
}

static void doc_free_p(yyjson_doc **doc)
{
	yyjson_doc_free(*doc);
}

/* Nothing of the map was left out: what is not there was not there in the guest. */
static bool whole(const struct report *r, uint64_t kva)
{
	const struct table *t = report_table(r, KTD_TBL_CONTENT);
	row_t row = report_row(t, r->contents, r->nr_contents, kva);
	const char *s;
	size_t len;

	return row && !row_str(t, row, KTD_CONTENT_FORM, &s, &len) &&
	       row_str(t, row, KTD_CONTENT_CUT, &s, &len) &&
	       !row_u64_or(t, row, KTD_CONTENT_UNREADABLE, 0);
}

/* NULL: nothing to say about it; "" it was compared; else why not. */
static const char *compare_row(struct map_diff *m, struct map_texts *te, struct map_texts *tl,
			       uint64_t kva, size_t *text_left)
{
	_cleanup_(doc_free_p) yyjson_doc *e = NULL, *l = NULL;
	size_t len_e = 0, len_l = 0;
	const char *a, *b;

	if (report_find(m->d->early->maps_by_kva, m->d->early->nr_maps, kva) == SIZE_MAX)
		return "it was not there in the early snapshot";
	if (!whole(m->d->early, kva) || !whole(m->d->late, kva))
		return "not whole in both";
	if (!*text_left)
		return "too much in all";
	a = map_text(te, kva, &len_e);
	b = map_text(tl, kva, &len_l);
	if (!a || !b)
		return "too large";
	*text_left -= len_e + len_l < *text_left ? len_e + len_l : *text_left;
	if (len_e == len_l && !memcmp(a, b, len_e))
		return NULL;
	e = yyjson_read(a, len_e, 0);
	l = yyjson_read(b, len_l, 0);
	if (!e || !l)
		return "no memory";
	compare_map(m, yyjson_doc_get_root(e), yyjson_doc_get_root(l));
	return m->changed ? "" : NULL;
}

static void maps(struct diff *d)
{
	_cleanup_(map_texts_destroy_p) struct map_texts *te = map_texts_create(d->early);
	_cleanup_(map_texts_destroy_p) struct map_texts *tl = map_texts_create(d->late);
	_cleanup_free_ row_t *rows = report_sorted(d->late, KTD_TBL_MAP, KTD_MAP_ID);
	const struct table *t = report_table(d->late, KTD_TBL_MAP);
	size_t room = MAX_ALL_LEAVES, text_left = MAX_TEXT;
	yyjson_mut_val *arr = add_list(d, "maps");

	for (size_t i = 0; te && tl && rows && i < t->nr_rows && i < REPORT_MAX_LIST; i++) {
		struct map_diff m = { .d = d, .leaves = yyjson_mut_arr(d->doc), .room = &room };
		uint64_t kva = row_u64_or(t, rows[i], KTD_MAP_KVA, 0);
		const char *why = kva ? compare_row(&m, te, tl, kva, &text_left) : NULL;

		if (why)
			add_map(d, arr, rows[i], &m, *why ? why : NULL);
	}
}

yyjson_mut_val *difference(struct report *early, struct report *late)
{
	struct diff d = {
		.early = early, .late = late, .doc = late->doc, .obj = yyjson_mut_obj(late->doc),
	};
	const struct table *te = report_table(early, KTD_TBL_BEGIN), *t = report_table(late, KTD_TBL_BEGIN);
	row_t e = snapshot_single(early->snap, KTD_TBL_BEGIN);
	row_t l = snapshot_single(late->snap, KTD_TBL_BEGIN);

	if (e && l)
		json_add_i64(d.doc, d.obj, "elapsed_ns", row_u64_or(t, l, KTD_BEGIN_MONO_NS, 0) -
							 row_u64_or(te, e, KTD_BEGIN_MONO_NS, 0));
	json_add_i64(d.doc, d.obj, "elapsed_jiffies", late->jiffies - early->jiffies);
	counters(&d);
	queues(&d);
	run_queues(&d);
	tasks(&d);
	maps(&d);
	return d.obj;
}
