// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is different in a later report. Made from the JSON, so that it does for files too, and
 * for those of ktstr. Everything is bounded: lists are cut, with the whole number beside them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "difference.h"
#include "json.h"
#include "view.h"

#define MAX_SCHEDS	64
#define MAX_CPUS	8192
#define MAX_MAPS	4096
#define NAME_MAX_LEN	48

struct diff {
	yyjson_val *early, *late;	/* the reports */
	yyjson_val *ekt, *lkt;		/* their "ktdump"; NULL in those of ktstr */
	yyjson_mut_doc *doc;
	yyjson_mut_val *obj;
	bool same_boot;
};

static yyjson_mut_val *add_list(struct diff *d, const char *key)
{
	return yyjson_mut_obj_add_arr(d->doc, d->obj, key);
}

static void copy(struct diff *d, yyjson_mut_val *obj, const char *key, yyjson_val *v)
{
	if (v)
		yyjson_mut_obj_add_val(d->doc, obj, key, yyjson_val_mut_copy(d->doc, v));
}

/* The lists under this key of "ktdump", or under another of the top level when there are none. */
static void lists(const struct diff *d, const char *ours, const char *ktstrs, yyjson_val **e,
		  yyjson_val **l)
{
	*e = yyjson_obj_get(d->ekt, ours);
	*l = yyjson_obj_get(d->lkt, ours);
	if (!ktstrs || (*e && *l))
		return;
	*e = yyjson_obj_get(d->early, ktstrs);
	*l = yyjson_obj_get(d->late, ktstrs);
}

/* ---------------------------------------------------------- who is who in both */

/* By address and number in one boot, else by number and name. */
struct ref {
	uint64_t a, b;
	char name[NAME_MAX_LEN];
	size_t place;		/* equal ones stay in their order */
	yyjson_val *v;
};

struct refs {
	struct ref *refs;
	size_t nr;
};

static void refs_deinit(struct refs *r)
{
	free(r->refs);
}

static int compare(const struct ref *x, const struct ref *y)
{
	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	if (x->b != y->b)
		return x->b < y->b ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int by_key(const void *a, const void *b)
{
	const struct ref *x = a, *y = b;
	int ret = compare(x, y);

	return ret ? ret : x->place < y->place ? -1 : x->place > y->place;
}

static void fill_refs(struct refs *r, const struct diff *d, yyjson_val *arr,
		      void (*key)(const struct diff *d, struct ref *r))
{
	yyjson_val *v;
	size_t i, max;

	r->refs = calloc(yyjson_arr_size(arr) + 1, sizeof(*r->refs));
	r->nr = 0;
	if (!r->refs)
		return;
	yyjson_arr_foreach(arr, i, max, v) {
		r->refs[i] = (struct ref){ .v = v, .place = i };
		key(d, &r->refs[i]);
	}
	r->nr = max;
	qsort(r->refs, r->nr, sizeof(*r->refs), by_key);
}

/* Goes through both; one of *e and *l is NULL when the other has no such thing. */
struct walk {
	struct refs e, l;
	size_t i, k;
};

static void walk_deinit(struct walk *w)
{
	refs_deinit(&w->e);
	refs_deinit(&w->l);
}

static void walk_init(struct walk *w, const struct diff *d, yyjson_val *e, yyjson_val *l,
		      void (*key)(const struct diff *d, struct ref *r))
{
	*w = (struct walk){};
	fill_refs(&w->e, d, e, key);
	fill_refs(&w->l, d, l, key);
}

static bool walk_next(struct walk *w, yyjson_val **e, yyjson_val **l)
{
	int order;

	if (w->i == w->e.nr && w->k == w->l.nr)
		return false;
	order = w->i == w->e.nr ? 1 : w->k == w->l.nr ? -1 : compare(&w->e.refs[w->i], &w->l.refs[w->k]);
	*e = order <= 0 ? w->e.refs[w->i++].v : NULL;
	*l = order >= 0 ? w->l.refs[w->k++].v : NULL;
	return true;
}

/* The same scheduler, by its name when the boot is another. */
static void sched_key(const struct diff *d, struct ref *r)
{
	if (d->same_boot)
		r->a = num(r->v, "kva");
	else
		snprintf(r->name, sizeof(r->name), "%s", str(r->v, "name"));
}

/* As dsq_states calls it: "local cpu 3". */
static void queue_name(yyjson_val *q, char *buf, size_t size)
{
	const char *origin = str(q, "origin");

	if (is_num(q, "cpu"))
		snprintf(buf, size, "%.16s cpu %" PRIu64, origin, num(q, "cpu"));
	else if (is_num(q, "node"))
		snprintf(buf, size, "%.16s node %" PRIu64, origin, num(q, "node"));
	else
		snprintf(buf, size, "%s", origin);
}

static void queue_key(const struct diff *d, struct ref *r)
{
	if (d->same_boot && num(r->v, "kva")) {
		r->a = num(r->v, "kva");
		return;
	}
	r->b = num(r->v, "id");
	queue_name(r->v, r->name, sizeof(r->name));
}

/* An address may have been used again: the pid must be the same too. */
static void task_key(const struct diff *d, struct ref *r)
{
	r->b = yyjson_get_uint(yyjson_obj_get(r->v, "pid"));
	if (d->same_boot && num(r->v, "kva"))
		r->a = num(r->v, "kva");
	else
		snprintf(r->name, sizeof(r->name), "%s", str(r->v, "comm"));
}

static void cpu_key(const struct diff *d, struct ref *r)
{
	(void)d;
	r->a = num(r->v, "cpu");
}

/* ----------------------------------------------------------------- counters */

static void add_counters(struct diff *d, yyjson_mut_val *arr, uint64_t kva, yyjson_val *e, yyjson_val *l)
{
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(d->doc, arr), *values;
	yyjson_val *key, *v;
	size_t i, max;

	json_add_u64(d->doc, obj, "sched_kva", kva);
	values = yyjson_mut_obj_add_obj(d->doc, obj, "counters");
	yyjson_obj_foreach(l, i, max, key, v) {
		const char *name = yyjson_get_str(key);
		int64_t delta;

		if (!yyjson_is_int(v) || !strcmp(name, "elapsed_ms"))
			continue;
		delta = (int64_t)(yyjson_get_uint(v) - yyjson_get_uint(yyjson_obj_get(e, name)));
		if (delta)
			yyjson_mut_obj_add(values, yyjson_mut_strncpy(d->doc, name, yyjson_get_len(key)),
					   yyjson_mut_sint(d->doc, delta));
	}
}

static void counters(struct diff *d)
{
	_cleanup_(walk_deinit) struct walk w = {};
	yyjson_mut_val *arr = add_list(d, "counters");
	yyjson_val *e, *l;
	size_t nr = 0;

	if (!d->lkt) {
		e = yyjson_arr_get_last(yyjson_obj_get(d->early, "event_counter_timeline"));
		l = yyjson_arr_get_last(yyjson_obj_get(d->late, "event_counter_timeline"));
		if (e && l)
			add_counters(d, arr, num(yyjson_obj_get(d->late, "scx_sched_state"), "sched_kva"), e, l);
		return;
	}
	walk_init(&w, d, yyjson_obj_get(d->ekt, "schedulers"), yyjson_obj_get(d->lkt, "schedulers"),
		  sched_key);
	while (walk_next(&w, &e, &l))
		if (yyjson_obj_get(l, "event_counters") && nr++ < MAX_SCHEDS)
			add_counters(d, arr, num(l, "kva"), yyjson_obj_get(e, "event_counters"),
				     yyjson_obj_get(l, "event_counters"));
}

/* ------------------------------------------------------------ queues and CPUs */

static void add_nr(struct diff *d, yyjson_mut_val *obj, const char *key, yyjson_val *q)
{
	if (q)
		json_add_u64(d->doc, obj, key, num(q, "nr"));
	else
		yyjson_mut_obj_add_null(d->doc, obj, key);
}

static void queues(struct diff *d)
{
	_cleanup_(walk_deinit) struct walk w = {};
	yyjson_mut_val *arr = add_list(d, "dsqs"), *obj;
	yyjson_val *e, *l;
	uint64_t changed = 0;
	char name[NAME_MAX_LEN];

	lists(d, "dsqs", "dsq_states", &e, &l);
	walk_init(&w, d, e, l, queue_key);
	while (walk_next(&w, &e, &l)) {
		if ((e && l && num(e, "nr") == num(l, "nr")) || changed++ >= DIFFERENCE_MAX_ROWS)
			continue;
		obj = yyjson_mut_arr_add_obj(d->doc, arr);
		json_add_u64(d->doc, obj, "kva", num(l ? l : e, "kva"));
		queue_name(l ? l : e, name, sizeof(name));
		if (*name)
			json_add_text(d->doc, obj, "origin", name, strlen(name));
		json_add_u64(d->doc, obj, "id", num(l ? l : e, "id"));
		add_nr(d, obj, "early_nr", e);
		add_nr(d, obj, "late_nr", l);
	}
	json_add_u64(d->doc, d->obj, "dsqs_changed", changed);
}

static void run_queues(struct diff *d)
{
	_cleanup_(walk_deinit) struct walk w = {};
	yyjson_mut_val *arr = add_list(d, "rqs"), *obj;
	yyjson_val *e, *l;
	size_t nr = 0;

	lists(d, "rqs", "rq_scx_states", &e, &l);
	walk_init(&w, d, e, l, cpu_key);
	while (walk_next(&w, &e, &l)) {
		if (!e || !l || !is_num(l, "cpu") || nr++ >= MAX_CPUS)
			continue;
		obj = yyjson_mut_arr_add_obj(d->doc, arr);
		json_add_u64(d->doc, obj, "cpu", num(l, "cpu"));
		json_add_i64(d->doc, obj, "switches", num(l, "nr_switches") - num(e, "nr_switches"));
		copy(d, obj, "early_pid", yyjson_obj_get(e, "curr_pid"));
		copy(d, obj, "late_pid", yyjson_obj_get(l, "curr_pid"));
	}
}

/* -------------------------------------------------------------------- tasks */

static uint64_t switches(yyjson_val *task)
{
	return num(task, "nvcsw") + num(task, "nivcsw");
}

/* What says where a task is. */
static const struct {
	const char *key, *early, *late;
	bool scx;	/* in "scx" */
	bool address;	/* another boot has others */
} places[] = {
	{ "cpu", "early_cpu", "late_cpu", false, false },
	{ "runnable_on", "early_runnable_on", "late_runnable_on", false, false },
	{ "dsq", "early_dsq", "late_dsq", true, true },
	{ "state", "early_state", "late_state", false, false },
};

static yyjson_val *place(yyjson_val *task, size_t i)
{
	return yyjson_obj_get(places[i].scx ? yyjson_obj_get(task, "scx") : task, places[i].key);
}

static bool place_is_same(const struct diff *d, yyjson_val *e, yyjson_val *l, size_t i)
{
	yyjson_val *x = place(e, i), *y = place(l, i);

	if (places[i].address && !d->same_boot)
		return !yyjson_get_uint(x) == !yyjson_get_uint(y);
	return x == y || yyjson_equals(x, y);
}

static bool moved(const struct diff *d, yyjson_val *e, yyjson_val *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!place_is_same(d, e, l, i))
			return true;
	return false;
}

static yyjson_mut_val *add_task(struct diff *d, yyjson_mut_val *arr, yyjson_val *task)
{
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(d->doc, arr);

	json_add_u64(d->doc, obj, "kva", num(task, "kva"));
	copy(d, obj, "pid", yyjson_obj_get(task, "pid"));
	copy(d, obj, "comm", yyjson_obj_get(task, "comm"));
	return obj;
}

static void add_moved(struct diff *d, yyjson_mut_val *arr, yyjson_val *e, yyjson_val *l)
{
	yyjson_mut_val *obj = add_task(d, arr, l);

	json_add_i64(d->doc, obj, "switches", switches(l) - switches(e));
	json_add_i64(d->doc, obj, "run_ns", num(l, "sum_exec_runtime") - num(e, "sum_exec_runtime"));
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (place_is_same(d, e, l, i))
			continue;
		copy(d, obj, places[i].early, place(e, i));
		copy(d, obj, places[i].late, place(l, i));
	}
}

/* Waiting both times, and not on a CPU in between. */
static bool stuck(const struct diff *d, yyjson_val *e, yyjson_val *l)
{
	uint64_t at = num(yyjson_obj_get(l, "scx"), "runnable_at");

	return d->same_boot && is_num(l, "runnable_on") && is_num(e, "runnable_on") && at &&
	       num(yyjson_obj_get(e, "scx"), "runnable_at") == at && switches(e) == switches(l);
}

static void tasks(struct diff *d)
{
	_cleanup_(walk_deinit) struct walk w = {};
	yyjson_mut_val *still = add_list(d, "stuck"), *others = add_list(d, "tasks");
	yyjson_mut_val *new = yyjson_mut_arr(d->doc), *gone = yyjson_mut_arr(d->doc);
	uint64_t nr_stuck = 0, nr_moved = 0, nr_new = 0, nr_gone = 0;
	yyjson_val *e, *l;

	lists(d, "tasks", "task_enrichments", &e, &l);
	walk_init(&w, d, e, l, task_key);
	while (walk_next(&w, &e, &l)) {
		if (!e) {
			if (nr_new++ < DIFFERENCE_MAX_ROWS)
				add_task(d, new, l);
		} else if (!l) {
			if (nr_gone++ < DIFFERENCE_MAX_ROWS)
				add_task(d, gone, e);
		} else if (stuck(d, e, l)) {
			if (nr_stuck++ < DIFFERENCE_MAX_ROWS)
				add_task(d, still, l);
		} else if (switches(e) != switches(l) || moved(d, e, l)) {
			if (nr_moved++ < DIFFERENCE_MAX_ROWS)
				add_moved(d, others, e, l);
		}
	}
	json_add_u64(d->doc, d->obj, "tasks_stuck", nr_stuck);
	json_add_u64(d->doc, d->obj, "tasks_changed", nr_moved);
	json_add_u64(d->doc, d->obj, "tasks_new", nr_new);
	json_add_u64(d->doc, d->obj, "tasks_gone", nr_gone);
	yyjson_mut_obj_add_val(d->doc, d->obj, "new", new);
	yyjson_mut_obj_add_val(d->doc, d->obj, "gone", gone);
}

/* ------------------------------------------------------------------- the state */

static void set_prefix(struct leaves *m, const char *prefix)
{
	snprintf(m->path, sizeof(m->path), "%s", prefix);
	m->len = strlen(m->path);
}

static yyjson_val *first_exit(yyjson_val *kt)
{
	return yyjson_arr_get_first(yyjson_obj_get(kt, "exits"));
}

/* Why each scheduler ended; of one failure the early snapshot does not know it yet. */
static void exits(struct diff *d, struct leaves *m)
{
	static const char *const keys[] = { "kind_name", "reason", "msg", "exit_code" };
	yyjson_mut_val *obj;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		yyjson_val *e = yyjson_obj_get(first_exit(d->ekt), keys[i]);
		yyjson_val *l = yyjson_obj_get(first_exit(d->lkt), keys[i]);

		if (!e || !l || yyjson_equals(e, l))
			continue;
		m->changed++;
		obj = yyjson_mut_arr_add_obj(d->doc, m->list);
		set_prefix(m, "exit.");
		snprintf(m->path + m->len, sizeof(m->path) - m->len, "%s", keys[i]);
		json_add_text(d->doc, obj, "path", m->path, sizeof(m->path));
		copy(d, obj, "early", e);
		copy(d, obj, "late", l);
	}
}

/* Facts of the schedulers and of the exit that are not what they were. */
static void state(struct diff *d)
{
	_cleanup_(walk_deinit) struct walk w = {};
	size_t room = LEAVES_MAX, nr = 0;
	struct leaves m = {
		.doc = d->doc, .list = add_list(d, "state"), .room = &room, .no_addresses = !d->same_boot,
	};
	yyjson_val *e, *l;

	if (!d->same_boot)
		exits(d, &m);
	set_prefix(&m, "scx_sched_state");
	e = yyjson_obj_get(d->early, "scx_sched_state");
	l = yyjson_obj_get(d->late, "scx_sched_state");
	if (!d->lkt && e && l)
		leaves_of_object(&m, e, l);
	walk_init(&w, d, yyjson_obj_get(d->ekt, "schedulers"), yyjson_obj_get(d->lkt, "schedulers"),
		  sched_key);
	while (walk_next(&w, &e, &l) && nr++ < MAX_SCHEDS) {
		set_prefix(&m, str(l ? l : e, "name"));
		if (e && l)
			leaves_of_object(&m, e, l);
	}
	json_add_u64(d->doc, d->obj, "state_changed", m.changed);
}

/* ---------------------------------------------------------------------- the whole */

void difference_add_map(yyjson_mut_doc *doc, yyjson_mut_val *maps, uint64_t kva, yyjson_mut_val *id,
			yyjson_mut_val *name, const struct leaves *m, const char *skipped)
{
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(doc, maps);

	json_add_u64(doc, obj, "map_kva", kva);
	if (id)
		yyjson_mut_obj_add_val(doc, obj, "id", id);
	yyjson_mut_obj_add_val(doc, obj, "name", name ? name : yyjson_mut_null(doc));
	if (skipped) {
		yyjson_mut_obj_add_strcpy(doc, obj, "skipped", skipped);
		return;
	}
	json_add_u64(doc, obj, "leaves_changed", m->changed);
	yyjson_mut_obj_add_val(doc, obj, "leaves", m->list);
}

static void map_key(const struct diff *d, struct ref *r)
{
	if (d->same_boot && num(r->v, "map_kva")) {
		r->a = num(r->v, "map_kva");
		return;
	}
	r->b = num(r->v, "map_type");
	snprintf(r->name, sizeof(r->name), "%s", str(r->v, "name"));
}

/* Something of the map was left out, as far as "ktdump" tells. */
static bool is_cut(yyjson_val *kt, yyjson_val *map)
{
	yyjson_val *rows = yyjson_obj_get(kt, "maps"), *row;
	size_t i, max;

	yyjson_arr_foreach(rows, i, max, row) {
		yyjson_val *content = yyjson_obj_get(row, "content");

		if (num(row, "kva") == num(map, "map_kva"))
			return *str(content, "cut") || num(content, "unreadable");
	}
	return false;
}

static void maps(struct diff *d)
{
	_cleanup_(walk_deinit) struct walk w = {};
	yyjson_mut_val *arr = add_list(d, "maps");
	size_t room = DIFFERENCE_MAX_LEAVES, nr = 0;
	yyjson_val *e, *l;

	walk_init(&w, d, yyjson_obj_get(d->early, "maps"), yyjson_obj_get(d->late, "maps"), map_key);
	while (walk_next(&w, &e, &l) && nr < MAX_MAPS) {
		struct leaves m = {
			.doc = d->doc, .list = yyjson_mut_arr(d->doc), .room = &room,
			.no_addresses = !d->same_boot,
		};
		const char *skipped = NULL;

		if (!e)
			skipped = "it was not there";
		else if (!l)
			skipped = "it is not there any more";
		else if (is_cut(d->ekt, e) || is_cut(d->lkt, l))
			skipped = "not whole in both";
		else
			leaves_of_map(&m, e, l);
		if (!skipped && !m.changed)
			continue;
		nr++;
		difference_add_map(d->doc, arr, num(l ? l : e, "map_kva"), NULL,
				   yyjson_val_mut_copy(d->doc, yyjson_obj_get(l ? l : e, "name")), &m,
				   skipped);
	}
}

bool difference_same_boot(yyjson_val *early, yyjson_val *late)
{
	yyjson_val *e = yyjson_obj_get(yyjson_obj_get(early, "ktdump"), "kernel");
	yyjson_val *l = yyjson_obj_get(yyjson_obj_get(late, "ktdump"), "kernel");
	const char *boot = str(l, "boot_id");

	/* Those of ktstr do not tell; its addresses are those of one VM as a rule. */
	if (!*boot && !*str(e, "boot_id"))
		return num(yyjson_obj_get(early, "scx_sched_state"), "sched_kva") ==
		       num(yyjson_obj_get(late, "scx_sched_state"), "sched_kva");
	return !strcmp(str(e, "boot_id"), boot);
}

yyjson_mut_val *difference(yyjson_mut_doc *doc, yyjson_val *early, yyjson_val *late, bool with_maps)
{
	struct diff d = {
		.early = early, .late = late, .doc = doc, .obj = yyjson_mut_obj(doc),
		.ekt = yyjson_obj_get(early, "ktdump"), .lkt = yyjson_obj_get(late, "ktdump"),
		.same_boot = difference_same_boot(early, late),
	};
	yyjson_val *e = yyjson_obj_get(d.ekt, "trigger"), *l = yyjson_obj_get(d.lkt, "trigger");

	if (d.same_boot && e && l)
		json_add_i64(doc, d.obj, "elapsed_ns", num(l, "mono_ns") - num(e, "mono_ns"));
	if (d.same_boot && d.lkt)
		json_add_i64(doc, d.obj, "elapsed_jiffies", num(l, "jiffies") - num(e, "jiffies"));
	state(&d);
	counters(&d);
	queues(&d);
	run_queues(&d);
	tasks(&d);
	if (with_maps)
		maps(&d);
	return d.obj;
}
