// SPDX-License-Identifier: GPL-2.0-only
/* Tasks: ktstr's enrichments, and the whole sched_ext entity. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

#define SLOWPATH_BYTES 4096	/* how far into the function a PC may be */

struct ordered {
	enum { GROUP_LISTED, GROUP_UNLISTED, GROUP_RUNNABLE, GROUP_OTHER } group;
	uint64_t place;		/* on the scx_tasks list; CPU of the runnable list */
	size_t seq;
	row_t row;
};

static int by_order(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;

	if (x->group != y->group)
		return x->group > y->group ? 1 : -1;
	if (x->place != y->place)
		return x->place > y->place ? 1 : -1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* Places on the global scx_tasks list; whoever comes twice has the first. */
static void place_listed(const struct report *r, struct ordered *v)
{
	const struct table *t = report_table(r, KTD_TBL_LIST);
	uint64_t place = 0;

	for (size_t k = 0; k < r->nr_lists; k++) {
		const msgpack_object *kvas;
		size_t nr = 0;

		if (r->lists[k].kind != LIST_SCX_TASKS)
			continue;
		row_array(t, t->rows[r->lists[k].row], KTD_LIST_TASKS, &kvas, &nr);
		for (size_t i = 0; i < nr; i++, place++) {
			size_t row;

			if (kvas[i].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
				continue;
			row = report_find(r->tasks, r->nr_tasks, kvas[i].via.u64);
			if (row == SIZE_MAX || v[row].group == GROUP_LISTED)
				continue;
			v[row].group = GROUP_LISTED;
			v[row].place = place;
		}
	}
}

/*
 * Order of the global scx_tasks list (of which rows may be missing), then what only
 * runnable lists had, by CPU, then the rest. To be freed, NULL without memory.
 */
static struct ordered *order_tasks(const struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_TASK);
	struct ordered *v = calloc(t->nr_rows + 1, sizeof(*v));

	if (!v)
		return NULL;
	for (size_t i = 0; i < t->nr_rows; i++) {
		v[i] = (struct ordered){ .group = GROUP_OTHER, .seq = i, .row = t->rows[i] };
		if (row_bool_or(t, t->rows[i], KTD_TASK_ON_SCX_TASKS, false))
			v[i].group = GROUP_UNLISTED;
		else if (!row_u64(t, t->rows[i], KTD_TASK_RUNNABLE_ON, &v[i].place))
			v[i].group = GROUP_RUNNABLE;
	}
	place_listed(r, v);
	qsort(v, t->nr_rows, sizeof(*v), by_order);
	return v;
}

/* ------------------------------------------------------------ lock slow path */

static const char *slowpath_of_symbol(const char *name, size_t len)
{
	static const struct {
		const char *symbol, *text;
	} known[] = {
		{ "native_queued_spin_lock_slowpath", "queued_spin_lock_slowpath" },
		{ "__pv_queued_spin_lock_slowpath", "queued_spin_lock_slowpath" },
		{ "resilient_queued_spin_lock_slowpath", "queued_spin_lock_slowpath" },
		{ "queued_spin_lock_slowpath", "queued_spin_lock_slowpath" },
		{ "rwsem_down_read_slowpath", "rwsem_down_read_slowpath" },
		{ "rwsem_down_write_slowpath", "rwsem_down_write_slowpath" },
	};
	static const char mutex[] = "__mutex_lock";

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (len == strlen(known[i].symbol) && !memcmp(name, known[i].symbol, len))
			return known[i].text;
	if (len >= sizeof(mutex) - 1 && !memcmp(name, mutex, sizeof(mutex) - 1))
		return "mutex_lock_slowpath";
	return NULL;
}

static const char *slowpath_of_pc(const struct report *r, uint64_t pc)
{
	char buf[600], *plus;
	size_t base;

	symbol_format(&r->symbols, pc, buf, sizeof(buf));
	plus = strstr(buf, "+0x");
	if (!plus || strtoull(plus + 1, NULL, 16) >= SLOWPATH_BYTES)
		return NULL;
	/* Compilers add suffixes: name.isra.0, name.constprop.0 */
	base = strcspn(buf, ".+");
	return slowpath_of_symbol(buf, base);
}

const char *task_lock_slowpath(const struct report *r, uint64_t kva)
{
	const struct table *t = report_table(r, KTD_TBL_CPU);
	row_t cpu = kva ? report_row(t, r->cpus_by_task, r->nr_cpus_by_task, kva) : NULL;
	const msgpack_object *pcs;
	const char *text = NULL;
	uint64_t ip;
	size_t nr = 0;

	if (!cpu)
		return NULL;
	if (!row_u64(t, cpu, KTD_CPU_IP, &ip))
		text = slowpath_of_pc(r, ip);
	row_array(t, cpu, KTD_CPU_STACK, &pcs, &nr);
	for (size_t i = 0; !text && i < nr; i++)
		if (pcs[i].type == MSGPACK_OBJECT_POSITIVE_INTEGER)
			text = slowpath_of_pc(r, pcs[i].via.u64);
	return text;
}

/* ---------------------------------------------------------- ktstr's own part */

static bool known_class(const struct table *t, row_t row)
{
	static const char *const classes[] = { "fair", "rt", "dl", "idle", "stop", "ext" };

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (row_str_is(t, row, KTD_TASK_SCHED_CLASS, classes[i]))
			return true;
	return false;
}

static void add_enrichment(struct report *r, yyjson_mut_val *arr, row_t row)
{
	const struct table *t = report_table(r, KTD_TBL_TASK);
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
	yyjson_mut_doc *doc = r->doc;
	const char *slowpath;
	bool boosted;
	uint64_t cpu;

	json_kept_i32(doc, obj, "pid", t, row, KTD_TASK_PID);
	json_kept_i32(doc, obj, "tgid", t, row, KTD_TASK_TGID);
	json_kept_text(doc, obj, "comm", t, row, KTD_TASK_COMM);
	json_opt_i32(doc, obj, "group_leader_pid", t, row, KTD_TASK_GROUP_LEADER_PID);
	json_opt_i32(doc, obj, "real_parent_pid", t, row, KTD_TASK_REAL_PARENT_PID);
	json_opt_text(doc, obj, "real_parent_comm", t, row, KTD_TASK_REAL_PARENT_COMM);
	json_opt_i32(doc, obj, "pgid", t, row, KTD_TASK_PGID);
	json_opt_i32(doc, obj, "sid", t, row, KTD_TASK_SID);
	json_opt_i32(doc, obj, "nr_threads", t, row, KTD_TASK_NR_THREADS);
	json_kept_u64(doc, obj, "weight", t, row, KTD_TASK_SCX_WEIGHT, UINT32_MAX);
	json_kept_i32(doc, obj, "prio", t, row, KTD_TASK_PRIO);
	json_kept_i32(doc, obj, "static_prio", t, row, KTD_TASK_STATIC_PRIO);
	json_kept_i32(doc, obj, "normal_prio", t, row, KTD_TASK_NORMAL_PRIO);
	json_kept_u64(doc, obj, "rt_priority", t, row, KTD_TASK_RT_PRIORITY, UINT32_MAX);
	if (known_class(t, row))
		json_opt_text(doc, obj, "sched_class", t, row, KTD_TASK_SCHED_CLASS);
	json_opt_u64(doc, obj, "core_cookie", t, row, KTD_TASK_CORE_COOKIE, UINT64_MAX);
	boosted = !row_u64(t, row, KTD_TASK_RUNNABLE_ON, &cpu) && known_class(t, row) &&
		  !row_str_is(t, row, KTD_TASK_SCHED_CLASS, "ext");
	yyjson_mut_obj_add_bool(doc, obj, "pi_boosted_out_of_scx", boosted);
	json_kept_u64(doc, obj, "nvcsw", t, row, KTD_TASK_NVCSW, UINT64_MAX);
	json_kept_u64(doc, obj, "nivcsw", t, row, KTD_TASK_NIVCSW, UINT64_MAX);
	json_opt_u64(doc, obj, "signal_nvcsw", t, row, KTD_TASK_SIGNAL_NVCSW, UINT64_MAX);
	json_opt_u64(doc, obj, "signal_nivcsw", t, row, KTD_TASK_SIGNAL_NIVCSW, UINT64_MAX);
	slowpath = task_lock_slowpath(r, row_u64_or(t, row, KTD_TASK_KVA, 0));
	if (slowpath)
		yyjson_mut_obj_add_str(doc, obj, "lock_slowpath_match", slowpath);
	json_kept_u64(doc, obj, "utime", t, row, KTD_TASK_UTIME, UINT64_MAX);
	json_kept_u64(doc, obj, "stime", t, row, KTD_TASK_STIME, UINT64_MAX);
}

void tasks_report(struct report *r)
{
	_cleanup_free_ struct ordered *v = NULL;
	const struct table *t = report_table(r, KTD_TBL_TASK);
	yyjson_mut_val *arr;

	if (!t->nr_rows) {
		yyjson_mut_obj_add_str(r->doc, r->top, "task_enrichments_unavailable",
				       t->header ? "task walker yielded zero tasks" :
				       report_lost_table(r, KTD_TBL_TASK) ? TEXT_PREREQUISITES :
				       "no task walker available");
		return;
	}
	v = order_tasks(r);
	if (!v)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->top, "task_enrichments");
	for (size_t i = 0; i < t->nr_rows && i < REPORT_MAX_LIST; i++)
		add_enrichment(r, arr, v[i].row);
}

/* -------------------------------------------------------------------- detail */

/* "0-2,5" from a little endian bitmap. */
static void add_cpu_list(struct report *r, yyjson_mut_val *obj, row_t row)
{
	_cleanup_free_ char *buf = NULL;
	const struct table *t = report_table(r, KTD_TBL_TASK);
	row_t hello = snapshot_single(r->snap, KTD_TBL_HELLO);
	uint64_t nr_cpus = UINT64_MAX;
	const uint8_t *bits;
	size_t len, nr, out = 0;

	if (row_bin(t, row, KTD_TASK_CPUS_MASK, &bits, &len) || len > 1024)
		return;
	buf = calloc(1, len * 8 * 6 + 16);
	if (!buf)
		return;
	/* The kernel keeps bits set for CPUs that cannot exist. */
	if (hello)
		row_u64(report_table(r, KTD_TBL_HELLO), hello, KTD_HELLO_NR_CPU_IDS, &nr_cpus);
	nr = len * 8 < nr_cpus ? len * 8 : nr_cpus;
	for (size_t i = 0; i < nr; i++) {
		size_t first = i;

		if (!(bits[i / 8] >> i % 8 & 1))
			continue;
		while (i + 1 < nr && bits[(i + 1) / 8] >> (i + 1) % 8 & 1)
			i++;
		out += i > first ? sprintf(buf + out, "%s%zu-%zu", out ? "," : "", first, i) :
				   sprintf(buf + out, "%s%zu", out ? "," : "", first);
	}
	yyjson_mut_obj_add_strcpy(r->doc, obj, "cpus_allowed", buf);
}

/* As ps prints it: of all bits that it shows the highest one counts. */
static char state_letter(uint64_t state, uint64_t exit_state)
{
	const uint64_t idle = 0x402, rtlock_wait = 0x1000, frozen = 0x8000, shown = 0x7f;
	uint64_t bits = (state | exit_state) & shown;

	if (state & (rtlock_wait | frozen))
		return 'D';
	if ((state & idle) == idle)
		return 'I';
	return "RSDTtXZP"[bits ? 64 - __builtin_clzll(bits) : 0];
}

static void add_flags(struct report *r, yyjson_mut_val *scx, uint64_t flags,
		      const struct flag_names *f)
{
	yyjson_mut_val *arr = flags_add(r, scx, "flag_names", flags, f);

	for (size_t m = 0; arr && m < f->nr_fields; m++) {
		uint64_t mask = f->fields[m].value;
		const msgpack_object *name;

		if (!mask || !mp_str_is(f->fields[m].name, "SCX_TASK_STATE_MASK"))
			continue;
		name = report_enum(r, "scx_task_state", (flags & mask) >> __builtin_ctzll(mask));
		if (name)
			yyjson_mut_arr_append(arr, json_value(r->doc, name));
	}
}

static void add_ops_state(struct report *r, yyjson_mut_val *scx, uint64_t ops_state)
{
	static const char *const names[] = {
		"SCX_OPSS_NONE", "SCX_OPSS_QUEUEING", "SCX_OPSS_QUEUED", "SCX_OPSS_DISPATCHING",
	};

	/* The rest is a sequence number: ops_qseq of the run queue when it was queued. */
	yyjson_mut_obj_add_str(r->doc, scx, "ops_state_name", names[ops_state & 3]);
	json_add_u64(r->doc, scx, "ops_state_qseq", ops_state >> 2);
}

/* In jiffies, on a runnable list. */
static bool age_jiffies(const struct report *r, row_t row, int64_t *ret)
{
	const struct table *t = report_table(r, KTD_TBL_TASK);
	uint64_t at, cpu;

	if (!r->jiffies || row_u64(t, row, KTD_TASK_RUNNABLE_ON, &cpu) ||
	    row_u64(t, row, KTD_TASK_SCX_RUNNABLE_AT, &at))
		return false;
	*ret = (int64_t)(r->jiffies - at);
	return true;
}

bool task_age_ms(const struct report *r, row_t task, int64_t *ret)
{
	int64_t age;

	if (!age_jiffies(r, task, &age) || !r->hz || r->hz > 10000 || age <= -(1ll << 50) ||
	    age >= 1ll << 50)
		return false;
	*ret = age * 1000 / (int64_t)r->hz;
	return true;
}

static void add_age(struct report *r, yyjson_mut_val *scx, row_t row)
{
	int64_t age;

	if (age_jiffies(r, row, &age))
		json_add_i64(r->doc, scx, "runnable_age_jiffies", age);
	else
		yyjson_mut_obj_add_null(r->doc, scx, "runnable_age_jiffies");
	if (task_age_ms(r, row, &age))
		json_add_i64(r->doc, scx, "runnable_age_ms", age);
	else
		yyjson_mut_obj_add_null(r->doc, scx, "runnable_age_ms");
}

struct task_flags {		/* enumerations, looked up once per report */
	struct flag_names ent, enq;
};

static void add_scx(struct report *r, yyjson_mut_val *obj, row_t row, const struct task_flags *f)
{
	const struct table *t = report_table(r, KTD_TBL_TASK);
	yyjson_mut_val *scx = yyjson_mut_obj_add_obj(r->doc, obj, "scx");
	uint64_t v;

	/* Under their kernel names: the columns without "scx_". */
	for (unsigned int c = KTD_TASK_SCX_SCHED; c < KTD_TASK_NR_COLS; c++) {
		const char *name = t->desc->cols[c];

		json_add_col(r->doc, scx, t, row, c, !strncmp(name, "scx_", 4) ? name + 4 : name);
	}
	if (!row_u64(t, row, KTD_TASK_SCX_FLAGS, &v))
		add_flags(r, scx, v, &f->ent);
	if (!row_u64(t, row, KTD_TASK_SCX_OPS_STATE, &v))
		add_ops_state(r, scx, v);
	if (!row_u64(t, row, KTD_TASK_SCX_DSQ, &v) && v &&
	    !row_u64(t, row, KTD_TASK_SCX_DSQ_ID, &v))
		dsq_add_id_name(r, scx, "dsq_id_name", v);
	if (!row_u64(t, row, KTD_TASK_SCX_DDSP_DSQ_ID, &v))
		dsq_add_id_name(r, scx, "ddsp_dsq_id_name", v);
	if (!row_u64(t, row, KTD_TASK_SCX_DDSP_ENQ_FLAGS, &v))
		flags_add(r, scx, "ddsp_enq_flag_names", v, &f->enq);
	add_age(r, scx, row);
}

/* A waiting task is on a runnable list, and often on a queue at the same time. */
static void add_where(struct report *r, yyjson_mut_val *obj, row_t row)
{
	const struct table *t = report_table(r, KTD_TBL_TASK);
	const struct table *dsqs = report_table(r, KTD_TBL_DSQ);
	yyjson_mut_val *arr = yyjson_mut_obj_add_arr(r->doc, obj, "where"), *one;
	uint64_t v;
	row_t dsq;

	if (!row_u64(t, row, KTD_TASK_CURR_ON, &v)) {
		one = yyjson_mut_arr_add_obj(r->doc, arr);
		yyjson_mut_obj_add_str(r->doc, one, "list", "curr");
		json_add_u64(r->doc, one, "cpu", v);
	}
	if (!row_u64(t, row, KTD_TASK_RUNNABLE_ON, &v)) {
		one = yyjson_mut_arr_add_obj(r->doc, arr);
		yyjson_mut_obj_add_str(r->doc, one, "list", "runnable");
		json_add_u64(r->doc, one, "cpu", v);
	}
	if (!row_u64(t, row, KTD_TASK_SCX_DSQ, &v) && v) {
		char origin[64];

		one = yyjson_mut_arr_add_obj(r->doc, arr);
		yyjson_mut_obj_add_str(r->doc, one, "list", "dsq");
		json_add_u64(r->doc, one, "dsq_kva", v);
		dsq = report_row(dsqs, r->dsqs, r->nr_dsqs, v);
		if (dsq && dsq_origin(r, dsq, origin, sizeof(origin)))
			json_add_text(r->doc, one, "origin", origin, strlen(origin));
		if (!row_u64(t, row, KTD_TASK_SCX_DSQ_ID, &v)) {
			json_add_u64(r->doc, one, "id", v);
			dsq_add_id_name(r, one, "id_name", v);
		}
	}
}

static void add_task(struct report *r, yyjson_mut_val *arr, row_t row, const struct task_flags *f)
{
	const struct table *t = report_table(r, KTD_TBL_TASK);
	const struct table *st = report_table(r, KTD_TBL_STACK);
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
	const msgpack_object *pcs;
	row_t stack;
	uint64_t v;
	size_t nr;

	for (unsigned int c = 0; c < KTD_TASK_SCX_SCHED; c++)
		if (c != KTD_TASK_CPUS_MASK)
			json_add_col(r->doc, obj, t, row, c, t->desc->cols[c]);
	add_cpu_list(r, obj, row);
	if (!row_u64(t, row, KTD_TASK_STATE, &v)) {
		uint64_t ended = row_u64_or(t, row, KTD_TASK_EXIT_STATE, 0);
		char letter[2] = { state_letter(v, ended) };

		yyjson_mut_obj_add_strcpy(r->doc, obj, "state_letter", letter);
	}
	add_where(r, obj, row);
	add_scx(r, obj, row, f);
	v = row_u64_or(t, row, KTD_TASK_KVA, 0);
	stack = v ? report_row(st, r->stacks, r->nr_stacks, v) : NULL;
	if (stack && !row_array(st, stack, KTD_STACK_STACK, &pcs, &nr))
		yyjson_mut_obj_add_val(r->doc, obj, "stack", report_stack(r, pcs, nr));
}

/* Stacks of tasks that have no row. */
static void add_other_stacks(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_STACK);
	const struct table *tasks = report_table(r, KTD_TBL_TASK);
	yyjson_mut_val *arr = NULL, *obj;

	for (size_t i = 0; i < t->nr_rows; i++) {
		uint64_t kva = row_u64_or(t, t->rows[i], KTD_STACK_TASK_KVA, 0);
		const msgpack_object *pcs;
		size_t nr;

		if (kva && report_row(tasks, r->tasks, r->nr_tasks, kva))
			continue;
		if (!arr)
			arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "stacks");
		obj = yyjson_mut_arr_add_obj(r->doc, arr);
		json_add_col(r->doc, obj, t, t->rows[i], KTD_STACK_TASK_KVA, "task_kva");
		if (!row_array(t, t->rows[i], KTD_STACK_STACK, &pcs, &nr))
			yyjson_mut_obj_add_val(r->doc, obj, "stack", report_stack(r, pcs, nr));
	}
}

void tasks_detail(struct report *r)
{
	_cleanup_free_ struct ordered *v = NULL;
	const struct table *t = report_table(r, KTD_TBL_TASK);
	struct task_flags flags;
	yyjson_mut_val *arr;

	if (t->header) {
		v = order_tasks(r);
		if (!v)
			return;
		flags_load(r, "scx_ent_flags", &flags.ent);
		flags_load(r, "scx_enq_flags", &flags.enq);
		arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "tasks");
		for (size_t i = 0; i < t->nr_rows; i++)
			add_task(r, arr, v[i].row, &flags);
	}
	add_other_stacks(r);
}
