// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "difference.h"
#include "report.h"

/* ------------------------------------------------------------------ look-up */

static int by_kva(const void *a, const void *b)
{
	const struct kva_ref *x = a, *y = b;

	if (x->kva != y->kva)
		return x->kva > y->kva ? 1 : -1;
	return (x->row > y->row) - (x->row < y->row);
}

static int by_owner(const void *a, const void *b)
{
	const struct list_ref *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind > y->kind ? 1 : -1;
	if (x->owner != y->owner)
		return x->owner > y->owner ? 1 : -1;
	return (x->row > y->row) - (x->row < y->row);
}

static int index_kvas(const struct table *t, unsigned int col, struct kva_ref **ret, size_t *nr_ret)
{
	struct kva_ref *v = calloc(t->nr_rows + 1, sizeof(*v));
	size_t nr = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_rows; i++) {
		v[nr].row = i;
		if (!row_u64(t, t->rows[i], col, &v[nr].kva) && v[nr].kva)
			nr++;
	}
	qsort(v, nr, sizeof(*v), by_kva);
	*ret = v;
	*nr_ret = nr;
	return 0;
}

static int index_lists(struct report *r)
{
	static const char *const names[NR_LISTS] = { "runnable", "dsq", "scx_tasks" };
	const struct table *t = report_table(r, KTD_TBL_LIST);

	r->lists = calloc(t->nr_rows + 1, sizeof(*r->lists));
	if (!r->lists)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_rows; i++) {
		struct list_ref *l = &r->lists[r->nr_lists];

		l->row = i;
		while (l->kind < NR_LISTS &&
		       !row_str_is(t, t->rows[i], KTD_LIST_LIST, names[l->kind]))
			l->kind++;
		if (l->kind < NR_LISTS && !row_u64(t, t->rows[i], KTD_LIST_OWNER_KVA, &l->owner))
			r->nr_lists++;
		else
			l->kind = 0;
	}
	qsort(r->lists, r->nr_lists, sizeof(*r->lists), by_owner);
	return 0;
}

/* What maps_write() looks up. */
static int index_maps(struct report *r)
{
	const struct {
		enum ktd_table_id id;
		unsigned int col;
		struct kva_ref **ret;
		size_t *nr_ret;
	} tables[] = {
		{ KTD_TBL_MAP, KTD_MAP_KVA, &r->maps_by_kva, &r->nr_maps },
		{ KTD_TBL_CONTENT, KTD_CONTENT_MAP_KVA, &r->contents, &r->nr_contents },
		{ KTD_TBL_FACT, KTD_FACT_MAP_KVA, &r->facts, &r->nr_facts },
		{ KTD_TBL_FIELD, KTD_FIELD_MAP_KVA, &r->fields, &r->nr_fields },
		{ KTD_TBL_OBJECT, KTD_OBJECT_KVA, &r->objects, &r->nr_objects },
		{ KTD_TBL_SCHED, KTD_SCHED_KVA, &r->scheds, &r->nr_scheds },
		{ KTD_TBL_PROG, KTD_PROG_ID, &r->progs_by_id, &r->nr_progs_by_id },
		{ KTD_TBL_PROG, KTD_PROG_KVA, &r->progs_by_kva, &r->nr_progs_by_kva },
		{ KTD_TBL_INSN, KTD_INSN_PROG_KVA, &r->insns, &r->nr_insns },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		int err = index_kvas(report_table(r, tables[i].id), tables[i].col, tables[i].ret,
				     tables[i].nr_ret);

		if (err)
			return err;
	}
	return 0;
}

row_t *report_sorted(const struct report *r, enum ktd_table_id id, unsigned int col)
{
	_cleanup_free_ struct kva_ref *v = NULL;
	const struct table *t = report_table(r, id);
	const msgpack_object **ret;

	v = calloc(t->nr_rows + 1, sizeof(*v));
	ret = calloc(t->nr_rows + 1, sizeof(*ret));
	if (!v || !ret) {
		free(ret);
		return NULL;
	}
	for (size_t i = 0; i < t->nr_rows; i++)
		v[i] = (struct kva_ref){ row_u64_or(t, t->rows[i], col, UINT64_MAX), i };
	qsort(v, t->nr_rows, sizeof(*v), by_kva);
	for (size_t i = 0; i < t->nr_rows; i++)
		ret[i] = t->rows[v[i].row];
	return ret;
}

/* The first one that is not below kva. */
static size_t first_ref(const struct kva_ref *refs, size_t nr, uint64_t kva)
{
	size_t lo = 0, hi = nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (refs[mid].kva < kva)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t report_find(const struct kva_ref *refs, size_t nr, uint64_t kva)
{
	size_t i = first_ref(refs, nr, kva);

	return i < nr && refs[i].kva == kva ? refs[i].row : SIZE_MAX;
}

size_t report_range(const struct kva_ref *refs, size_t nr, uint64_t kva, size_t *first_ret)
{
	size_t lo = first_ref(refs, nr, kva), n = 0;

	*first_ret = lo;
	while (lo + n < nr && refs[lo + n].kva == kva)
		n++;
	return n;
}

row_t report_row(const struct table *t, const struct kva_ref *refs, size_t nr, uint64_t kva)
{
	size_t i = report_find(refs, nr, kva);

	return i < t->nr_rows ? t->rows[i] : NULL;
}

size_t report_list(const struct report *r, enum list_kind kind, uint64_t owner,
		   size_t *first_ret)
{
	const struct list_ref key = { .kind = kind, .owner = owner };
	size_t lo = 0, hi = r->nr_lists, nr = 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (by_owner(&r->lists[mid], &key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*first_ret = lo;
	while (lo + nr < r->nr_lists && r->lists[lo + nr].kind == kind &&
	       r->lists[lo + nr].owner == owner)
		nr++;
	return nr;
}

yyjson_mut_val *report_task_kvas(struct report *r, enum list_kind kind, uint64_t owner,
				 size_t max, bool *cut_ret)
{
	const struct table *t = report_table(r, KTD_TBL_LIST);
	yyjson_mut_val *arr = yyjson_mut_arr(r->doc);
	size_t first, rows = report_list(r, kind, owner, &first), total = 0;

	for (size_t k = first; k < first + rows; k++) {
		const msgpack_object *kvas;
		size_t nr = 0;

		row_array(t, t->rows[r->lists[k].row], KTD_LIST_TASKS, &kvas, &nr);
		for (size_t i = 0; i < nr; i++) {
			if (kvas[i].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
				continue;
			if (total++ < max)
				yyjson_mut_arr_add_uint(r->doc, arr, kvas[i].via.u64);
		}
	}
	if (cut_ret && total > max)
		*cut_ret = true;
	return arr;
}

yyjson_mut_val *report_stack(struct report *r, const msgpack_object *pcs, size_t nr)
{
	yyjson_mut_val *arr = yyjson_mut_arr(r->doc);

	for (size_t i = 0; i < nr; i++) {
		yyjson_mut_val *frame;
		char buf[600];
		size_t len;

		if (pcs[i].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
			continue;
		frame = yyjson_mut_arr_add_obj(r->doc, arr);
		len = symbol_format(&r->symbols, pcs[i].via.u64, buf, sizeof(buf));
		json_add_u64(r->doc, frame, "addr", pcs[i].via.u64);
		json_add_text(r->doc, frame, "symbol", buf, len);
	}
	return arr;
}

bool report_lost_table(const struct report *r, enum ktd_table_id id)
{
	return (!r->snap->ended || r->snap->full) && !report_table(r, id)->header;
}

/* ---------------------------------------------------------- ktstr's own part */

static void placeholder_report(struct report *r)
{
	static const char *const keys[] = {
		"sdt_alloc_unavailable", "prog_runtime_stats_unavailable",
		"per_node_numa_unavailable", "task_enrichments_unavailable",
		"scx_walker_unavailable",
	};
	const char *why = r->snap->why[0] ? r->snap->why : "the guest sent no data";

	yyjson_mut_obj_add_arr(r->doc, r->top, "maps");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_add_text(r->doc, r->top, keys[i], why, strlen(why));
	yyjson_mut_obj_add_bool(r->doc, r->top, "is_placeholder", true);
}

static void single_report(struct report *r)
{
	const struct table *freeze = report_table(r, KTD_TBL_FREEZE);
	row_t row = snapshot_single(r->snap, KTD_TBL_FREEZE);

	r->maps = yyjson_mut_obj_add_arr(r->doc, r->top, "maps");
	regs_report(r);
	sdt_report(r);
	scx_static_report(r);
	sdt_report_reason(r);
	progs_report(r);
	cputime_report(r);
	numa_report(r);
	tasks_report(r);
	timeline_report(r);
	rqs_report(r);
	dsqs_report(r);
	sched_report(r);
	perf_report(r);
	if (row)
		json_opt_u64(r->doc, r->top, "dump_truncated_at_us", freeze, row,
			     KTD_FREEZE_TRUNCATED_AT_US, UINT64_MAX);
	counters_report(r);
}

/* -------------------------------------------------------- the key "ktdump" */

static void add_time(struct report *r, yyjson_mut_val *obj, const char *key, uint64_t real_ns)
{
	time_t t = real_ns / 1000000000;
	char day[32], buf[64];
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm))
		return;
	snprintf(buf, sizeof(buf), "%s.%06uZ", day, (unsigned int)(real_ns % 1000000000 / 1000));
	yyjson_mut_obj_add_strcpy(r->doc, obj, key, buf);
}

static void kernel_detail(struct report *r)
{
	static const unsigned int special[] = {
		KTD_HELLO_MODULE_VERSION, KTD_HELLO_NR_CPU_IDS, KTD_HELLO_NR_NODE_IDS,
		KTD_HELLO_BUFFER_BYTES, KTD_HELLO_PENDING, KTD_HELLO_LOST, COLS_END
	};
	const struct table *t = report_table(r, KTD_TBL_HELLO);
	row_t row = snapshot_single(r->snap, KTD_TBL_HELLO);
	yyjson_mut_val *kernel, *module;

	if (!row)
		return;
	kernel = yyjson_mut_obj_add_obj(r->doc, r->ktdump, "kernel");
	json_add_cols(r->doc, kernel, t, row, special);
	json_add_col(r->doc, kernel, t, row, KTD_HELLO_NR_CPU_IDS, "nr_cpus");
	json_add_col(r->doc, kernel, t, row, KTD_HELLO_NR_NODE_IDS, "nr_nodes");
	module = yyjson_mut_obj_add_obj(r->doc, r->ktdump, "module");
	json_add_col(r->doc, module, t, row, KTD_HELLO_BUFFER_BYTES, "buffer_bytes");
	json_add_col(r->doc, module, t, row, KTD_HELLO_PENDING, "pending");
	json_add_col(r->doc, module, t, row, KTD_HELLO_LOST, "lost");
}

static void trigger_detail(struct report *r)
{
	static const unsigned int special[] = {
		KTD_BEGIN_EXIT_KIND, KTD_BEGIN_STACK, KTD_BEGIN_TRIGGER, COLS_END
	};
	const struct table *t = report_table(r, KTD_TBL_BEGIN);
	row_t row = snapshot_single(r->snap, KTD_TBL_BEGIN);
	const msgpack_object *pcs;
	yyjson_mut_val *obj;
	uint64_t v;
	size_t nr;

	if (!row)
		return;
	obj = yyjson_mut_obj_add_obj(r->doc, r->ktdump, "trigger");
	json_add_col(r->doc, obj, t, row, KTD_BEGIN_TRIGGER, "trigger");
	if (json_add_col(r->doc, obj, t, row, KTD_BEGIN_EXIT_KIND, "exit_kind") &&
	    !row_u64(t, row, KTD_BEGIN_EXIT_KIND, &v))
		report_add_enum(r, obj, "exit_kind_name", "scx_exit_kind", v);
	json_add_cols(r->doc, obj, t, row, special);
	if (!row_u64(t, row, KTD_BEGIN_REAL_NS, &v))
		add_time(r, obj, "time", v);
	if (!row_u64(t, row, KTD_BEGIN_ENABLE_STATE, &v))
		report_add_enum(r, obj, "enable_state_name", "scx_enable_state", v);
	if (!row_array(t, row, KTD_BEGIN_STACK, &pcs, &nr))
		yyjson_mut_obj_add_val(r->doc, obj, "stack", report_stack(r, pcs, nr));
}

static void freeze_detail(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_FREEZE);
	row_t row = snapshot_single(r->snap, KTD_TBL_FREEZE);

	if (row)
		json_add_cols(r->doc, yyjson_mut_obj_add_obj(r->doc, r->ktdump, "freeze"), t, row,
			      NULL);
}

static void counters_detail(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_COUNTER);
	row_t row = snapshot_single(r->snap, KTD_TBL_COUNTER);

	if (row)
		json_add_cols(r->doc, yyjson_mut_obj_add_obj(r->doc, r->ktdump, "counters"), t,
			      row, NULL);
}

void report_add_missing(struct report *r, const char *section, const char *reason)
{
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, r->missing);

	yyjson_mut_obj_add_strcpy(r->doc, obj, "section", section);
	json_add_text(r->doc, obj, "reason", reason, strlen(reason));
}

void torn_note(struct torn *t, const char *fmt, ...)
{
	char name[32];
	va_list ap;
	int n;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	t->nr++;
	if (t->nr_named == 8)
		return;
	n = snprintf(t->names + t->len, sizeof(t->names) - t->len, "%s%s", t->nr_named ? ", " : "",
		     name);
	if (n < 0 || t->len + n >= sizeof(t->names)) {
		t->names[t->len] = '\0';
		return;
	}
	t->len += n;
	t->nr_named++;
}

void torn_report(struct report *r, const char *section, const struct torn *t)
{
	char reason[320], more[32] = "";

	if (!t->nr)
		return;
	if (t->nr > t->nr_named)
		snprintf(more, sizeof(more), " and %zu more", t->nr - t->nr_named);
	snprintf(reason, sizeof(reason), "torn: lock of %s %s%s was held", t->what, t->names, more);
	report_add_missing(r, section, reason);
}

/* Other sections add to it what they find. */
static void missing_detail(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_MISSING);

	r->missing = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "missing");
	if (r->snap->why[0])
		report_add_missing(r, "stream", r->snap->why);
	for (size_t i = 0; i < t->nr_rows; i++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, r->missing);

		json_add_col(r->doc, obj, t, t->rows[i], KTD_MISSING_TABLE, "section");
		json_add_col(r->doc, obj, t, t->rows[i], KTD_MISSING_REASON, "reason");
	}
}

static void unknown_detail(struct report *r)
{
	yyjson_mut_val *obj = yyjson_mut_obj_add_obj(r->doc, r->ktdump, "unknown"), *arr;
	uint64_t bad = 0, repeated = 0;

	for (int id = 1; id < KTD_TBL_MAX; id++) {
		bad += r->snap->tables[id].bad_rows;
		repeated += r->snap->tables[id].repeated_headers;
	}
	json_add_u64(r->doc, obj, "tables", r->snap->unknown_tables);
	json_add_u64(r->doc, obj, "frames", r->snap->unknown_frames);
	json_add_u64(r->doc, obj, "columns", r->snap->unknown_columns);
	json_add_u64(r->doc, obj, "bad_rows", bad);
	json_add_u64(r->doc, obj, "repeated_headers", repeated);
	arr = yyjson_mut_obj_add_arr(r->doc, obj, "names");
	for (unsigned int i = 0; i < r->snap->nr_unknown_names; i++)
		yyjson_mut_arr_append(arr, json_text(r->doc, r->snap->unknown_names[i],
						     strlen(r->snap->unknown_names[i])));
}

static void ktdump_detail(struct report *r)
{
	const struct table *hello = report_table(r, KTD_TBL_HELLO);
	row_t row = snapshot_single(r->snap, KTD_TBL_HELLO);

	r->ktdump = yyjson_mut_obj_add_obj(r->doc, r->top, "ktdump");
	json_add_u64(r->doc, r->ktdump, "format", 1);
	yyjson_mut_obj_add_str(r->doc, r->ktdump, "collector_version", KTC_VERSION);
	if (row)
		json_add_col(r->doc, r->ktdump, hello, row, KTD_HELLO_MODULE_VERSION,
			     "module_version");
	json_add_u64(r->doc, r->ktdump, "snapshot", r->snap->number);
	yyjson_mut_obj_add_bool(r->doc, r->ktdump, "incomplete", !snapshot_complete(r->snap));
	missing_detail(r);
	kernel_detail(r);
	trigger_detail(r);
	exits_detail(r);
	verdicts_detail(r);
	freeze_detail(r);
	counters_detail(r);
	firings_detail(r);
	timeline_detail(r);
	sched_timeline_detail(r);
	scheds_detail(r);
	rqs_detail(r);
	dsqs_detail(r);
	tasks_detail(r);
	regs_detail(r);
	cputime_detail(r);
	progs_detail(r);
	code_detail(r);
	maps_detail(r);
	sdt_detail(r);
	btfs_detail(r);
	enums_detail(r);
	if (report_table(r, KTD_TBL_SECTION)->header)
		yyjson_mut_obj_add_val(r->doc, r->ktdump, "sections",
				       json_rows(r->doc, report_table(r, KTD_TBL_SECTION), NULL));
	unknown_detail(r);
}

/* -------------------------------------------------------------------- result */

/* NULL for none and for "" */
static const char *text_of(yyjson_mut_val *obj, const char *key)
{
	yyjson_mut_val *v = obj ? yyjson_mut_obj_get(obj, key) : NULL;

	return v && yyjson_mut_is_str(v) && yyjson_mut_get_len(v) ? yyjson_mut_get_str(v) : NULL;
}

static char *headline(struct report *r)
{
	yyjson_mut_val *exits = yyjson_mut_obj_get(r->ktdump, "exits");
	yyjson_mut_val *exit = exits ? yyjson_mut_arr_get_first(exits) : NULL;
	yyjson_mut_val *trigger = yyjson_mut_obj_get(r->ktdump, "trigger");
	const char *reason = text_of(exit, "reason"), *msg = text_of(exit, "msg");
	const char *what = text_of(trigger, "exit_kind_name");
	char *ret;

	if (reason)
		what = reason;
	if (!what)
		what = "sched_ext failure";
	return asprintf(&ret, "%s%s%s", what, msg ? ": " : "", msg ? msg : "") < 0 ? NULL : ret;
}

/* yyjson's adding functions fail quietly: remember that memory ran out. */
static void *counted_malloc(void *ctx, size_t size)
{
	void *p = malloc(size);

	if (!p)
		*(bool *)ctx = true;
	return p;
}

static void *counted_realloc(void *ctx, void *ptr, size_t old_size, size_t size)
{
	void *p = realloc(ptr, size);

	(void)old_size;
	if (!p)
		*(bool *)ctx = true;
	return p;
}

static void counted_free(void *ctx, void *ptr)
{
	(void)ctx;
	free(ptr);
}

static void report_deinit(struct report *r)
{
	sdt_destroy(r->sdt);
	payload_types_destroy(r->payload_types);
	free(r->regions);
	free(r->arenas);
	casts_free(r->casts);
	btfs_deinit(r);
	yyjson_mut_doc_free(r->doc);
	symbols_deinit(&r->symbols);
	free(r->tasks);
	free(r->stacks);
	free(r->dsqs);
	free(r->cpus_by_task);
	free(r->lists);
	free(r->rq_locks);
	free(r->maps_by_kva);
	free(r->contents);
	free(r->facts);
	free(r->fields);
	free(r->objects);
	free(r->scheds);
	free(r->progs_by_id);
	free(r->progs_by_kva);
	free(r->insns);
}

static int report_init(struct report *r)
{
	const struct snapshot *s = r->snap;
	row_t begin = snapshot_single(s, KTD_TBL_BEGIN), hello = snapshot_single(s, KTD_TBL_HELLO);

	if (symbols_init(&r->symbols, s) || index_lists(r) || index_maps(r) || btfs_init(r) ||
	    index_kvas(report_table(r, KTD_TBL_TASK), KTD_TASK_KVA, &r->tasks, &r->nr_tasks) ||
	    index_kvas(report_table(r, KTD_TBL_STACK), KTD_STACK_TASK_KVA, &r->stacks,
		       &r->nr_stacks) ||
	    index_kvas(report_table(r, KTD_TBL_DSQ), KTD_DSQ_KVA, &r->dsqs, &r->nr_dsqs) ||
	    index_kvas(report_table(r, KTD_TBL_CPU), KTD_CPU_TASK_KVA, &r->cpus_by_task,
		       &r->nr_cpus_by_task) || rqs_index(r))
		return -ENOMEM;
	if (begin)
		row_u64(report_table(r, KTD_TBL_BEGIN), begin, KTD_BEGIN_JIFFIES, &r->jiffies);
	if (hello)
		row_u64(report_table(r, KTD_TBL_HELLO), hello, KTD_HELLO_HZ, &r->hz);
	return 0;
}

/* Everything but the contents of maps. */
static void build_document(struct report *r)
{
	r->top = yyjson_mut_obj(r->doc);
	yyjson_mut_doc_set_root(r->doc, r->top);
	yyjson_mut_obj_add_str(r->doc, r->top, "schema", "single");
	if (snapshot_has_data(r->snap))
		single_report(r);
	else
		placeholder_report(r);
	ktdump_detail(r);
}

/*
 * The maps have their place near the top. What they find to be missing still gets into
 * the document, which comes behind them.
 */
static void write_single(struct report *r, struct jsonw *w)
{
	yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(r->top);
	yyjson_mut_val *key;

	jsonw_obj(w);
	while ((key = yyjson_mut_obj_iter_next(&it))) {
		yyjson_mut_val *val = yyjson_mut_obj_iter_get_val(key);

		jsonw_key(w, yyjson_mut_get_str(key));
		if (val == r->maps)
			maps_write(r, w);
		else if (r->sdt && val == r->sdt_list)
			sdt_write(r, w);
		else
			jsonw_val(w, val);
	}
	jsonw_obj_end(w);
}

/*
 * The value of ktdump.difference, in the document of late. That of early, which has been
 * written, is given up for it. NULL without memory.
 */
static yyjson_mut_val *dual_difference(struct report *early, struct report *late)
{
	yyjson_mut_val *maps = dual_maps(early, late), *ret = NULL;
	yyjson_doc *e = yyjson_mut_doc_imut_copy(early->doc, NULL), *l;

	yyjson_mut_doc_free(early->doc);
	early->doc = NULL;
	l = e ? yyjson_mut_doc_imut_copy(late->doc, NULL) : NULL;
	if (l)
		ret = difference(late->doc, yyjson_doc_get_root(e), yyjson_doc_get_root(l), false);
	if (ret)
		yyjson_mut_obj_add_val(late->doc, ret, "maps", maps);
	yyjson_doc_free(e);
	yyjson_doc_free(l);
	return ret;
}

/* ktstr leaves out what is 0; a guest need not have said it. */
static void put_jiffies(struct jsonw *w, const char *key, uint64_t jiffies)
{
	if (!jiffies)
		return;
	jsonw_key(w, key);
	jsonw_u64(w, jiffies);
}

/* *difference_ret: NULL without an early one. */
static int write_dual(struct report *late, struct report *early, struct jsonw *w,
		       yyjson_mut_val **difference_ret)
{
	struct dual_facts f;

	dual_facts(late->snap, early ? early->snap : NULL, &f);
	jsonw_obj(w);
	jsonw_key(w, "schema");
	jsonw_word(w, "dual");
	if (early || f.copy) {
		jsonw_key(w, "early");
		write_single(early ? early : late, w);
	}
	jsonw_key(w, "late");
	write_single(late, w);
	if (early || f.copy) {
		put_jiffies(w, "early_max_age_jiffies", f.age);
		put_jiffies(w, "early_threshold_jiffies", f.threshold);
	} else {
		jsonw_key(w, "early_skipped_reason");
		jsonw_str(w, f.reason);
	}
	if (early) {
		*difference_ret = dual_difference(early, late);
		if (!*difference_ret)
			return -ENOMEM;
		jsonw_key(w, "ktdump");
		jsonw_obj(w);
		jsonw_key(w, "difference");
		jsonw_val(w, *difference_ret);
		jsonw_obj_end(w);
	}
	jsonw_obj_end(w);
	return 0;
}

static int prepare(struct report *r, const struct snapshot *s, const yyjson_alc *alc)
{
	r->snap = s;
	r->bulk = s->bulk;
	r->doc = yyjson_mut_doc_new(alc);
	if (!r->doc || report_init(r))
		return -ENOMEM;
	build_document(r);
	return 0;
}

/* An exit of the error class, and an early snapshot or the wish for this form. */
static bool is_dual(const struct snapshot *s, const struct report_form *form)
{
	row_t row = snapshot_single(s, KTD_TBL_BEGIN);

	return form && (form->early || form->dual) && snapshot_is(s, "exit") &&
	       row_u64_or(&s->tables[KTD_TBL_BEGIN], row, KTD_BEGIN_EXIT_KIND, 0) >= 1024;
}

/* The parts of the report for those who show it, without the contents of maps. */
static int summarize(struct report *late, const struct report *early, bool dual,
		     yyjson_mut_val *diff, struct report_summary *ret)
{
	yyjson_mut_val *top = late->top, *kt;
	struct dual_facts f;

	if (dual) {
		dual_facts(late->snap, early ? early->snap : NULL, &f);
		top = yyjson_mut_obj(late->doc);
		yyjson_mut_obj_add_str(late->doc, top, "schema", "dual");
		yyjson_mut_obj_add_val(late->doc, top, "late", late->top);
		if (early || f.copy) {
			yyjson_mut_obj_add_uint(late->doc, top, "early_max_age_jiffies", f.age);
			yyjson_mut_obj_add_uint(late->doc, top, "early_threshold_jiffies", f.threshold);
		} else {
			yyjson_mut_obj_add_strcpy(late->doc, top, "early_skipped_reason", f.reason);
		}
		kt = yyjson_mut_obj_add_obj(late->doc, top, "ktdump");
		if (diff)
			yyjson_mut_obj_add_val(late->doc, kt, "difference", diff);
		yyjson_mut_doc_set_root(late->doc, top);
	}
	ret->headline = headline(late);
	ret->doc = yyjson_mut_doc_imut_copy(late->doc, NULL);
	if (!ret->headline || !ret->doc) {
		report_summary_deinit(ret);
		return -ENOMEM;
	}
	ret->report = yyjson_doc_get_root(ret->doc);
	if (dual)
		ret->report = yyjson_obj_get(ret->report, "late");
	return 0;
}

int report_write(const struct snapshot *s, const struct report_form *form, FILE *out,
		 struct report_summary *ret)
{
	_cleanup_(report_deinit) struct report late = {}, early = {};
	bool no_memory = false, dual = is_dual(s, form);
	yyjson_alc alc = { counted_malloc, counted_realloc, counted_free, &no_memory };
	const struct snapshot *e = dual ? form->early : NULL;
	yyjson_mut_val *diff = NULL;
	struct jsonw w;
	int err;

	/* The early one first: the verdicts of the late one look at it. */
	late.early = e ? &early : NULL;
	if ((e && prepare(&early, e, &alc)) || prepare(&late, s, &alc) || no_memory)
		return -ENOMEM;
	jsonw_init(&w, out);
	if (dual)
		no_memory |= !!write_dual(&late, e ? &early : NULL, &w, &diff);
	else
		write_single(&late, &w);
	err = jsonw_finish(&w);
	if (err || no_memory)
		return err ? err : -ENOMEM;
	return ret ? summarize(&late, e ? &early : NULL, dual, diff, ret) : 0;
}

void report_summary_deinit(struct report_summary *s)
{
	free(s->headline);
	yyjson_doc_free(s->doc);
	*s = (struct report_summary){};
}
