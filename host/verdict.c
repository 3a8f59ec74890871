// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who kept sched_ext tasks off the CPUs. A scheduler looks guilty of a stall also when
 * another class, or a task that a lock has lifted into one, never let its tasks run.
 *
 * A CPU is kept when a task of a higher class has been on it for at least half as long as
 * the task in question waits. That it was there at half-time and ran since, of which the
 * early snapshot tells, counts as well: a short break does not end that. A waiting
 * task is a victim when it stands in the local queue of such a CPU or may run on no other
 * ones. Whatever could have run elsewhere is the scheduler's to explain, no hint is made of it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define LONG_MS		100	/* who waits less is no news */
#define MAX_HINTS	64
#define MAX_VICTIMS	8	/* named per hint; and as many waiters for a lock */
#define FIRST_NORMAL	100	/* prio: MAX_RT_PRIO */

struct cpu {
	row_t rq;		/* NULL: no row */
	row_t curr;		/* its TASK row, NULL none */
	const char *class;	/* NULL unknown */
	bool higher;		/* than ext */
	bool boosted;		/* by priority inheritance */
	bool have_ns, have_steal;
	uint64_t on_cpu_ns;	/* since it got the CPU */
	uint64_t steal_ns;	/* since the early snapshot */
	bool stayed;		/* at half-time as well, of the same class */
	uint64_t ran_ns;	/* since then */
	size_t waiting, victims, local;
	int64_t longest_ms, victim_ms;
	row_t victim[MAX_VICTIMS];	/* by how long they wait */
	int64_t victim_age[MAX_VICTIMS];
};

struct verdicts {
	struct report *r;
	yyjson_mut_doc *doc;
	struct cpu *cpus;
	uint64_t nr_cpus;
	uint64_t elapsed_ns;	/* since the early snapshot, 0 none */
};

static const struct table *rq_table(const struct verdicts *v)
{
	return report_table(v->r, KTD_TBL_RQ);
}

static const struct table *task_table(const struct verdicts *v)
{
	return report_table(v->r, KTD_TBL_TASK);
}

static const char *class_of(const struct table *t, row_t row, unsigned int col, bool *higher_ret)
{
	/* The order of the kernel, highest first. */
	static const char *const classes[] = { "stop", "dl", "rt", "fair", "ext", "idle" };

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (row_str_is(t, row, col, classes[i])) {
			*higher_ret = i < 4;
			return classes[i];
		}
	return NULL;
}

static row_t rq_of(const struct report *r, uint64_t cpu)
{
	const struct table *t = report_table(r, KTD_TBL_RQ);

	for (size_t i = 0; i < t->nr_rows; i++)
		if (row_u64_or(t, t->rows[i], KTD_RQ_CPU, UINT64_MAX) == cpu)
			return t->rows[i];
	return NULL;
}

static bool steal_of(const struct report *r, uint64_t cpu, uint64_t *ret)
{
	const struct table *t = report_table(r, KTD_TBL_CPUTIME);
	const msgpack_object *v;
	size_t nr;

	for (size_t i = 0; i < t->nr_rows; i++) {
		if (row_u64_or(t, t->rows[i], KTD_CPUTIME_CPU, UINT64_MAX) != cpu)
			continue;
		/* CPUTIME_STEAL */
		if (row_array(t, t->rows[i], KTD_CPUTIME_CPUSTAT, &v, &nr) || nr < 8 ||
		    v[7].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
			return false;
		*ret = v[7].via.u64;
		return true;
	}
	return false;
}

static uint64_t grown(const struct table *t, row_t row, const struct table *te, row_t early,
		      unsigned int col)
{
	uint64_t is = row_u64_or(t, row, col, 0), was = row_u64_or(te, early, col, 0);

	return is > was ? is - was : 0;
}

/* What the early snapshot says about this CPU and its task. */
static void look_back(const struct verdicts *v, uint64_t nr)
{
	const struct report *e = v->r->early;
	const struct table *t = rq_table(v), *te = report_table(e, KTD_TBL_RQ);
	const struct table *tasks = report_table(e, KTD_TBL_TASK);
	struct cpu *c = &v->cpus[nr];
	uint64_t kva = row_u64_or(t, c->rq, KTD_RQ_CURR, 0), was, is;
	row_t rq = rq_of(e, nr), task;

	if (steal_of(e, nr, &was) && steal_of(v->r, nr, &is)) {
		c->have_steal = true;
		c->steal_ns = is > was ? is - was : 0;
	}
	if (!rq || !kva || !c->curr || !c->class || row_u64_or(te, rq, KTD_RQ_CURR, 0) != kva ||
	    row_u64_or(te, rq, KTD_RQ_CURR_PID, 0) != row_u64_or(t, c->rq, KTD_RQ_CURR_PID, 0) ||
	    !row_str_is(te, rq, KTD_RQ_CURR_CLASS, c->class))
		return;
	task = report_row(tasks, e->tasks, e->nr_tasks, kva);
	if (!task)
		return;
	c->stayed = true;
	c->ran_ns = grown(task_table(v), c->curr, tasks, task, KTD_TASK_SUM_EXEC_RUNTIME);
}

static void look_at(const struct verdicts *v, uint64_t nr, row_t rq)
{
	const struct table *t = rq_table(v), *tasks = task_table(v);
	struct cpu *c = &v->cpus[nr];
	uint64_t kva = row_u64_or(t, rq, KTD_RQ_CURR, 0), now, since;
	int64_t prio, normal;

	c->rq = rq;
	c->longest_ms = c->victim_ms = INT64_MIN;
	c->class = class_of(t, rq, KTD_RQ_CURR_CLASS, &c->higher);
	c->curr = kva ? report_row(tasks, v->r->tasks, v->r->nr_tasks, kva) : NULL;
	if (!row_u64(t, rq, KTD_RQ_CURR_LAST_ARRIVAL, &since) && since &&
	    !row_u64(t, rq, KTD_RQ_CLOCK_NOW, &now) && now >= since &&
	    kva != row_u64_or(t, rq, KTD_RQ_IDLE, 0)) {
		c->have_ns = true;
		c->on_cpu_ns = now - since;
	}
	c->boosted = c->curr && !row_i64(tasks, c->curr, KTD_TASK_PRIO, &prio) &&
		     !row_i64(tasks, c->curr, KTD_TASK_NORMAL_PRIO, &normal) &&
		     prio < normal && normal >= FIRST_NORMAL;
	if (v->elapsed_ns)
		look_back(v, nr);
}

/* Kept by a higher class, as seen by somebody who waits for so long. */
static bool is_kept(const struct verdicts *v, uint64_t nr, int64_t age_ms)
{
	const struct cpu *c = nr < v->nr_cpus ? &v->cpus[nr] : NULL;

	if (!c || !c->rq || !c->higher)
		return false;
	if (c->stayed && c->ran_ns >= v->elapsed_ns / 2)
		return true;
	return c->have_ns && c->on_cpu_ns / 1000000 >= LONG_MS &&
	       (int64_t)(c->on_cpu_ns / 1000000) >= age_ms / 2;
}

/* All CPUs that it may use are kept; those that are not there do not count. */
static bool all_kept(const struct verdicts *v, row_t task, int64_t age_ms)
{
	const uint8_t *bits;
	size_t len, nr = 0;

	if (row_bin(task_table(v), task, KTD_TASK_CPUS_MASK, &bits, &len))
		return false;
	for (uint64_t cpu = 0; cpu < v->nr_cpus && cpu < len * 8; cpu++) {
		if (!(bits[cpu / 8] >> cpu % 8 & 1) || !v->cpus[cpu].rq ||
		    !row_bool_or(rq_table(v), v->cpus[cpu].rq, KTD_RQ_ONLINE, true))
			continue;
		if (!is_kept(v, cpu, age_ms))
			return false;
		nr++;
	}
	return nr;
}

/* The CPU in whose local queue it stands, UINT64_MAX: in none. */
static uint64_t local_cpu(const struct verdicts *v, row_t task)
{
	const struct table *t = report_table(v->r, KTD_TBL_DSQ);
	uint64_t kva = row_u64_or(task_table(v), task, KTD_TASK_SCX_DSQ, 0);
	row_t dsq = kva ? report_row(t, v->r->dsqs, v->r->nr_dsqs, kva) : NULL;

	return dsq && row_str_is(t, dsq, KTD_DSQ_ORIGIN, "local") ?
	       row_u64_or(t, dsq, KTD_DSQ_CPU, UINT64_MAX) : UINT64_MAX;
}

static void note_victim(struct cpu *c, row_t task, int64_t age_ms, bool local)
{
	size_t at = c->victims < MAX_VICTIMS ? c->victims : MAX_VICTIMS;

	c->victims++;
	c->local += local;
	if (age_ms > c->victim_ms)
		c->victim_ms = age_ms;
	if (at == MAX_VICTIMS && age_ms <= c->victim_age[--at])
		return;
	for (; at && c->victim_age[at - 1] < age_ms; at--) {
		c->victim[at] = c->victim[at - 1];
		c->victim_age[at] = c->victim_age[at - 1];
	}
	c->victim[at] = task;
	c->victim_age[at] = age_ms;
}

static void judge_task(const struct verdicts *v, row_t task)
{
	const struct table *t = task_table(v);
	uint64_t cpu, curr, local;
	struct cpu *c;
	int64_t ms;

	if (row_u64(t, task, KTD_TASK_RUNNABLE_ON, &cpu) || cpu >= v->nr_cpus ||
	    !row_u64(t, task, KTD_TASK_CURR_ON, &curr) || !task_age_ms(v->r, task, &ms))
		return;
	c = &v->cpus[cpu];
	c->waiting++;
	if (ms > c->longest_ms)
		c->longest_ms = ms;
	if (ms < LONG_MS || !row_str_is(t, task, KTD_TASK_SCHED_CLASS, "ext"))
		return;
	local = local_cpu(v, task);
	if (is_kept(v, local, ms))
		note_victim(&v->cpus[local], task, ms, true);
	else if (local == UINT64_MAX && is_kept(v, cpu, ms) && all_kept(v, task, ms))
		note_victim(c, task, ms, false);
}

/* -------------------------------------------------------------------- output */

/* Of the right type, else null: these come from the guest as they are. */
static void add_u64(const struct verdicts *v, yyjson_mut_val *obj, const char *key,
		    const struct table *t, row_t row, unsigned int col)
{
	uint64_t nr;

	if (row_u64(t, row, col, &nr))
		yyjson_mut_obj_add_null(v->doc, obj, key);
	else
		json_add_u64(v->doc, obj, key, nr);
}

static void add_i64(const struct verdicts *v, yyjson_mut_val *obj, const char *key,
		    const struct table *t, row_t row, unsigned int col)
{
	int64_t nr;

	if (row_i64(t, row, col, &nr))
		yyjson_mut_obj_add_null(v->doc, obj, key);
	else
		json_add_i64(v->doc, obj, key, nr);
}

static void add_text(const struct verdicts *v, yyjson_mut_val *obj, const char *key,
		     const struct table *t, row_t row, unsigned int col)
{
	const char *s;
	size_t len;

	if (row_str(t, row, col, &s, &len))
		yyjson_mut_obj_add_null(v->doc, obj, key);
	else
		json_add_text(v->doc, obj, key, s, len);
}

/* Who is on a CPU. */
static void add_curr(const struct verdicts *v, yyjson_mut_val *obj, const struct cpu *c)
{
	const struct table *t = rq_table(v);

	add_u64(v, obj, "task_kva", t, c->rq, KTD_RQ_CURR);
	add_i64(v, obj, "pid", t, c->rq, KTD_RQ_CURR_PID);
	add_text(v, obj, "comm", t, c->rq, KTD_RQ_CURR_COMM);
}

static void add_ns(const struct verdicts *v, yyjson_mut_val *obj, const char *key, bool have,
		   uint64_t ns)
{
	if (have)
		json_add_u64(v->doc, obj, key, ns);
	else
		yyjson_mut_obj_add_null(v->doc, obj, key);
}

static void add_cpu(const struct verdicts *v, yyjson_mut_val *arr, uint64_t nr)
{
	const struct table *t = rq_table(v);
	const struct cpu *c = &v->cpus[nr];
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(v->doc, arr), *counts;
	const char *lock = task_lock_slowpath(v->r, row_u64_or(t, c->rq, KTD_RQ_CURR, 0));
	uint64_t steal = 0;
	bool have_steal = steal_of(v->r, nr, &steal);

	json_add_u64(v->doc, obj, "cpu", nr);
	add_curr(v, obj, c);
	add_text(v, obj, "class", t, c->rq, KTD_RQ_CURR_CLASS);
	yyjson_mut_obj_add_bool(v->doc, obj, "boosted", c->boosted);
	add_ns(v, obj, "on_cpu_ns", c->have_ns, c->on_cpu_ns);
	if (lock)
		yyjson_mut_obj_add_str(v->doc, obj, "lock_slowpath", lock);
	counts = yyjson_mut_obj_add_obj(v->doc, obj, "runnable");
	add_u64(v, counts, "stop", t, c->rq, KTD_RQ_STOP_ON_RQ);
	add_u64(v, counts, "dl", t, c->rq, KTD_RQ_DL_NR);
	add_u64(v, counts, "rt", t, c->rq, KTD_RQ_RT_NR);
	add_u64(v, counts, "fair", t, c->rq, KTD_RQ_FAIR_NR);
	add_u64(v, counts, "ext", t, c->rq, KTD_RQ_SCX_NR_RUNNING);
	json_add_u64(v->doc, obj, "waiting", c->waiting);
	if (c->waiting)
		json_add_i64(v->doc, obj, "longest_ms", c->longest_ms);
	add_ns(v, obj, "steal_ns", have_steal, steal);
	if (!v->elapsed_ns)
		return;
	add_ns(v, obj, "steal_since_early_ns", c->have_steal, c->steal_ns);
	yyjson_mut_obj_add_bool(v->doc, obj, "there_early", c->stayed);
	add_ns(v, obj, "ran_since_early_ns", c->stayed, c->ran_ns);
}

static void evidence(const struct verdicts *v, yyjson_mut_val *arr, const char *fmt, ...)
	__printf(3, 4);

static void evidence(const struct verdicts *v, yyjson_mut_val *arr, const char *fmt, ...)
{
	char buf[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n > 0)
		yyjson_mut_arr_append(arr, json_text(v->doc, buf, strlen(buf)));
}

static const char *name_of(const struct table *t, row_t row, unsigned int comm, unsigned int pid,
			   char *buf, size_t size)
{
	const char *s = "?";
	size_t len = 1;
	int64_t nr = 0;

	row_str(t, row, comm, &s, &len);
	row_i64(t, row, pid, &nr);
	snprintf(buf, size, "%.*s[%lld]", (int)(len < 32 ? len : 32), s, (long long)nr);
	return buf;
}

static void add_task(const struct verdicts *v, yyjson_mut_val *arr, row_t task)
{
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(v->doc, arr);
	const struct table *t = task_table(v);

	add_u64(v, obj, "kva", t, task, KTD_TASK_KVA);
	add_i64(v, obj, "pid", t, task, KTD_TASK_PID);
	add_text(v, obj, "comm", t, task, KTD_TASK_COMM);
	add_text(v, obj, "class", t, task, KTD_TASK_SCHED_CLASS);
}

/* Those who wait for a lock that the task of this CPU holds. */
static void add_lock_waiters(const struct verdicts *v, yyjson_mut_val *obj, yyjson_mut_val *ev,
			     const struct cpu *c)
{
	const struct table *t = task_table(v);
	uint64_t kva = row_u64_or(rq_table(v), c->rq, KTD_RQ_CURR, 0);
	yyjson_mut_val *arr = NULL;
	char name[64];
	size_t nr = 0;

	for (size_t i = 0; kva && i < t->nr_rows && nr < MAX_VICTIMS; i++) {
		if (row_u64_or(t, t->rows[i], KTD_TASK_LOCK_OWNER, 0) != kva)
			continue;
		if (!nr++) {
			arr = yyjson_mut_obj_add_arr(v->doc, obj, "lock_waiters");
			evidence(v, ev, "it holds a lock that %s waits for",
				 name_of(t, t->rows[i], KTD_TASK_COMM, KTD_TASK_PID, name,
					 sizeof(name)));
		}
		add_task(v, arr, t->rows[i]);
	}
}

static void add_evidence(const struct verdicts *v, yyjson_mut_val *ev, const struct cpu *c)
{
	const struct table *t = task_table(v);
	char name[64];

	if (c->have_ns)
		evidence(v, ev, "on the CPU for %.3f s without a break", c->on_cpu_ns / 1e9);
	if (c->stayed)
		evidence(v, ev, "there at half-time as well, ran %.3f of the %.3f s since",
			 c->ran_ns / 1e9, v->elapsed_ns / 1e9);
	if (c->boosted)
		evidence(v, ev, "made %s by priority inheritance, its own priority is %lld", c->class,
			 (long long)row_u64_or(t, c->curr, KTD_TASK_NORMAL_PRIO, 0));
	name_of(t, c->victim[0], KTD_TASK_COMM, KTD_TASK_PID, name, sizeof(name));
	if (c->local)
		evidence(v, ev, "%zu of them in the local queue of the CPU", c->local);
	if (c->victims > c->local)
		evidence(v, ev, "%zu of them may run only on CPUs that are kept like this",
			 c->victims - c->local);
	evidence(v, ev, "%s waits for %.3f s", name, c->victim_ms / 1e3);
}

static void add_hint(const struct verdicts *v, yyjson_mut_val *arr, uint64_t nr)
{
	const struct table *t = rq_table(v);
	const struct cpu *c = &v->cpus[nr];
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(v->doc, arr), *ev, *victims;
	char name[64], text[256];

	name_of(t, c->rq, KTD_RQ_CURR_COMM, KTD_RQ_CURR_PID, name, sizeof(name));
	snprintf(text, sizeof(text), "CPU %llu: %s task %s%s kept %zu scx task%s off it, the longest for %.3f s",
		 (unsigned long long)nr, c->class, name, c->boosted ? ", lifted by a lock," : "",
		 c->victims, c->victims == 1 ? "" : "s", c->victim_ms / 1e3);
	yyjson_mut_obj_add_str(v->doc, obj, "kind", c->boosted ? "lock_holder" : "higher_class");
	json_add_text(v->doc, obj, "text", text, strlen(text));
	json_add_u64(v->doc, obj, "cpu", nr);
	add_curr(v, obj, c);
	yyjson_mut_obj_add_str(v->doc, obj, "class", c->class);
	ev = yyjson_mut_arr(v->doc);
	add_evidence(v, ev, c);
	add_lock_waiters(v, obj, ev, c);
	yyjson_mut_obj_add_val(v->doc, obj, "evidence", ev);
	json_add_u64(v->doc, obj, "nr_victims", c->victims);
	victims = yyjson_mut_obj_add_arr(v->doc, obj, "victims");
	for (size_t i = 0; i < c->victims && i < MAX_VICTIMS; i++)
		add_task(v, victims, c->victim[i]);
}

/* The host of the guest had the CPU for most of the time. */
static void add_steal_hint(const struct verdicts *v, yyjson_mut_val *arr, uint64_t nr)
{
	const struct cpu *c = &v->cpus[nr];
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(v->doc, arr), *ev;
	char text[160];

	snprintf(text, sizeof(text), "CPU %llu: the host took it for %.3f of the last %.3f s while %zu scx task%s waited",
		 (unsigned long long)nr, c->steal_ns / 1e9, v->elapsed_ns / 1e9, c->waiting,
		 c->waiting == 1 ? "" : "s");
	yyjson_mut_obj_add_str(v->doc, obj, "kind", "steal");
	yyjson_mut_obj_add_strcpy(v->doc, obj, "text", text);
	json_add_u64(v->doc, obj, "cpu", nr);
	ev = yyjson_mut_obj_add_arr(v->doc, obj, "evidence");
	evidence(v, ev, "steal time since half-time, as the guest counts it");
}

static uint64_t elapsed_since(const struct report *r, const struct report *early)
{
	const struct table *t = report_table(r, KTD_TBL_BEGIN);
	row_t late = snapshot_single(r->snap, KTD_TBL_BEGIN), was;

	was = early ? snapshot_single(early->snap, KTD_TBL_BEGIN) : NULL;
	return late && was ? grown(t, late, report_table(early, KTD_TBL_BEGIN), was,
				   KTD_BEGIN_MONO_NS) : 0;
}

void verdicts_detail(struct report *r)
{
	_cleanup_free_ struct cpu *cpus = calloc(REPORT_MAX_CPUS, sizeof(*cpus));
	struct verdicts v = { .r = r, .doc = r->doc, .cpus = cpus };
	const struct table *t = report_table(r, KTD_TBL_RQ), *tasks = report_table(r, KTD_TBL_TASK);
	yyjson_mut_val *obj, *arr;
	uint64_t cpu;

	if (!cpus || !t->nr_rows)
		return;
	v.elapsed_ns = elapsed_since(r, r->early);
	for (size_t i = 0; i < t->nr_rows; i++) {
		if (row_u64(t, t->rows[i], KTD_RQ_CPU, &cpu) || cpu >= REPORT_MAX_CPUS || cpus[cpu].rq)
			continue;
		look_at(&v, cpu, t->rows[i]);
		if (cpu >= v.nr_cpus)
			v.nr_cpus = cpu + 1;
	}
	for (size_t i = 0; i < tasks->nr_rows; i++)
		judge_task(&v, tasks->rows[i]);
	obj = yyjson_mut_obj_add_obj(r->doc, r->ktdump, "verdicts");
	arr = yyjson_mut_obj_add_arr(r->doc, obj, "cpus");
	for (cpu = 0; cpu < v.nr_cpus; cpu++)
		if (cpus[cpu].rq)
			add_cpu(&v, arr, cpu);
	arr = yyjson_mut_obj_add_arr(r->doc, obj, "hints");
	for (cpu = 0; cpu < v.nr_cpus && yyjson_mut_arr_size(arr) < MAX_HINTS; cpu++)
		if (cpus[cpu].victims)
			add_hint(&v, arr, cpu);
	for (cpu = 0; cpu < v.nr_cpus && yyjson_mut_arr_size(arr) < MAX_HINTS; cpu++)
		if (v.elapsed_ns && cpus[cpu].longest_ms >= LONG_MS && cpus[cpu].have_steal &&
		    cpus[cpu].steal_ns >= v.elapsed_ns / 2)
			add_steal_hint(&v, arr, cpu);
}
