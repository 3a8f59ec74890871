// SPDX-License-Identifier: GPL-2.0-only
/* One screen about a failure: what died, why, who waits, what every CPU did. */
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "view.h"
#include "view_text.h"

#define WIDTH VIEW_WIDTH
#define MAX_WAITING 8		/* rows per list; the JSON has all of them */
#define MAX_CPUS 16
#define MAX_QUEUES 8
#define MAX_OTHERS 6
#define MAX_FRAMES 8
#define MAX_TASKS 16
#define MAX_MAPS 24
#define MAX_SPARKS 48
#define MAX_HINTS 4		/* of one kind */
#define EXIT_ERROR_CLASS 1024	/* enum scx_exit_kind: errors begin here */
#define EXIT_STALL 1026
#define LONG_MS 100		/* who waits less is no news */

struct task_ref {
	uint64_t kva;
	yyjson_val *task;
	int64_t age;
};

struct view {
	FILE *out;
	struct view_options opts;
	yyjson_val *top, *kt;
	yyjson_val *dual;	/* the report that has top as a half */
	struct task_ref *tasks;
	size_t nr_tasks;
	struct cpu_ref *cpus;
	size_t nr_cpus;
	bool found;	/* what was asked for */
};

struct cpu_ref {
	uint64_t nr;
	yyjson_val *rq, *cpu;	/* in "rqs", "cpus"; may be missing */
	size_t waiting;		/* on its runnable list, not running */
	int64_t longest_ms;	/* of these */
};

/* ----------------------------------------------------------------- printing */

static void __printf(2, 3) line(struct view *v, const char *fmt, ...)
{
	char buf[2048];
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	len = strlen(buf);
	while (len && buf[len - 1] == ' ')
		buf[--len] = '\0';
	put(v->out, buf, v->opts.all ? SIZE_MAX : WIDTH);
	fputc('\n', v->out);
}

/* "  label     text", long text goes on below the text. */
static void field(struct view *v, const char *label, const char *text)
{
	const size_t indent = 12, room = WIDTH - indent;
	bool first = true;

	while (*text || first) {
		size_t n = strcspn(text, "\n"), cut;
		char buf[WIDTH + 1];

		cut = n;
		if (n > room) {
			for (cut = room; cut && text[cut] != ' '; cut--)
				;
			if (!cut)
				cut = room;
		}
		snprintf(buf, sizeof(buf), "%.*s", (int)cut, text);
		line(v, "  %-9s %s", first ? label : "", buf);
		first = false;
		text += cut;
		text += strspn(text, "\n ");
	}
}

static void heading(struct view *v, const char *text)
{
	view_heading(v->out, text);
}

/* How many rows of a list are shown. */
static size_t cap(const struct view *v, size_t max)
{
	return v->opts.all ? SIZE_MAX : max;
}

/* ------------------------------------------------------------------ reading */

static int by_kva(const void *a, const void *b)
{
	const struct task_ref *x = a, *y = b;

	return (x->kva > y->kva) - (x->kva < y->kva);
}

static int by_age(const void *a, const void *b)
{
	const struct task_ref *x = a, *y = b;

	return (x->age < y->age) - (x->age > y->age);
}

static int load_tasks(struct view *v)
{
	yyjson_val *arr = yyjson_obj_get(v->kt, "tasks"), *task;
	size_t i, max;

	v->tasks = calloc(yyjson_arr_size(arr) + 1, sizeof(*v->tasks));
	if (!v->tasks)
		return -ENOMEM;
	yyjson_arr_foreach(arr, i, max, task) {
		yyjson_val *age = yyjson_obj_get(yyjson_obj_get(task, "scx"),
						 "runnable_age_jiffies");

		v->tasks[v->nr_tasks++] = (struct task_ref){
			.kva = num(task, "kva"),
			.task = task,
			.age = yyjson_is_int(age) ? yyjson_get_sint(age) : INT64_MIN,
		};
	}
	qsort(v->tasks, v->nr_tasks, sizeof(*v->tasks), by_kva);
	return 0;
}

static yyjson_val *find_task(const struct view *v, uint64_t kva)
{
	struct task_ref key = { .kva = kva }, *t;

	t = bsearch(&key, v->tasks, v->nr_tasks, sizeof(key), by_kva);
	return t ? t->task : NULL;
}

/* Milliseconds since it became runnable, INT64_MIN when it does not wait. */
static int64_t age_ms(yyjson_val *task)
{
	yyjson_val *age = yyjson_obj_get(yyjson_obj_get(task, "scx"), "runnable_age_ms");

	return yyjson_is_int(age) && !is_num(task, "curr_on") ? yyjson_get_sint(age) : INT64_MIN;
}

static struct cpu_ref *find_cpu(const struct view *v, uint64_t nr)
{
	size_t lo = 0, hi = v->nr_cpus;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->cpus[mid].nr < nr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < v->nr_cpus && v->cpus[lo].nr == nr ? &v->cpus[lo] : NULL;
}

static int by_nr(const void *a, const void *b)
{
	const struct cpu_ref *x = a, *y = b;

	return (x->nr > y->nr) - (x->nr < y->nr);
}

static int load_cpus(struct view *v)
{
	yyjson_val *rqs = yyjson_obj_get(v->kt, "rqs"), *cpus = yyjson_obj_get(v->kt, "cpus"), *o;
	struct cpu_ref *c;
	size_t i, max;

	v->cpus = calloc(yyjson_arr_size(rqs) + 1, sizeof(*v->cpus));
	if (!v->cpus)
		return -ENOMEM;
	yyjson_arr_foreach(rqs, i, max, o)
		if (is_num(o, "cpu"))
			v->cpus[v->nr_cpus++] = (struct cpu_ref){
				.nr = num(o, "cpu"), .rq = o, .longest_ms = INT64_MIN,
			};
	qsort(v->cpus, v->nr_cpus, sizeof(*v->cpus), by_nr);
	yyjson_arr_foreach(cpus, i, max, o) {
		c = is_num(o, "cpu") ? find_cpu(v, num(o, "cpu")) : NULL;
		if (c)
			c->cpu = o;
	}
	for (i = 0; i < v->nr_tasks; i++) {
		int64_t ms = age_ms(v->tasks[i].task);

		if (!is_num(v->tasks[i].task, "runnable_on") || ms == INT64_MIN)
			continue;
		c = find_cpu(v, num(v->tasks[i].task, "runnable_on"));
		if (!c)
			continue;
		c->waiting++;
		if (ms > c->longest_ms)
			c->longest_ms = ms;
	}
	return 0;
}

/* ----------------------------------------------------------------- sections */

static yyjson_val *cause(const struct view *v)
{
	yyjson_val *arr = yyjson_obj_get(v->kt, "schedulers"), *sched;
	uint64_t kva = num(yyjson_obj_get(v->top, "scx_sched_state"), "sched_kva");
	size_t i, max;

	yyjson_arr_foreach(arr, i, max, sched)
		if (num(sched, "kva") == kva)
			return sched;
	return yyjson_arr_get_first(arr);
}

static void view_freeze(struct view *v)
{
	yyjson_val *f = yyjson_obj_get(v->kt, "freeze");
	char buf[256];
	int n;

	if (!f)
		return;
	n = snprintf(buf, sizeof(buf), "%llu of %llu other CPUs parked in %.3f ms, held %.3f ms",
		     (unsigned long long)num(f, "cpus_parked"),
		     (unsigned long long)num(f, "cpus_targeted"),
		     num(f, "rendezvous_ns") / 1e6, num(f, "held_ns") / 1e6);
	if (is_num(f, "bytes"))
		n += snprintf(buf + n, sizeof(buf) - n, ", %.0f KiB captured",
			      num(f, "bytes") / 1024.0);
	if (is_num(f, "truncated_at_us"))
		snprintf(buf + n, sizeof(buf) - n, ", OUT OF TIME after %.3f ms",
			 num(f, "truncated_at_us") / 1e3);
	field(v, "freeze", buf);
}

/* enum scx_exit_kind, which only reports of ours tell by name. */
static const char *exit_kind_name(uint64_t kind)
{
	static const struct {
		uint64_t kind;
		const char *name;
	} names[] = {
		{ 1, "SCX_EXIT_DONE" }, { 64, "SCX_EXIT_UNREG" }, { 65, "SCX_EXIT_UNREG_BPF" },
		{ 66, "SCX_EXIT_UNREG_KERN" }, { 67, "SCX_EXIT_SYSRQ" }, { 1024, "SCX_EXIT_ERROR" },
		{ 1025, "SCX_EXIT_ERROR_BPF" }, { 1026, "SCX_EXIT_ERROR_STALL" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].kind == kind)
			return names[i].name;
	return "?";
}

/* dsq_states has "local cpu 3" for a queue; what it has no place for is in "dsqs". */
static void name_queue(yyjson_val *q, char *buf, size_t size)
{
	const char *origin = str(q, "origin");

	if (!strcmp(origin, "user"))
		snprintf(buf, size, "user 0x%llx", (unsigned long long)num(q, "id"));
	else if (is_num(q, "cpu"))
		snprintf(buf, size, "%s cpu %llu", origin, (unsigned long long)num(q, "cpu"));
	else
		snprintf(buf, size, "%s", origin);
}

/* --------------------------------------------------------------- the first line */

static const char *name_of(yyjson_val *task, char *buf, size_t size)
{
	snprintf(buf, size, "%s[%lld]", str(task, "comm"),
		 (long long)yyjson_get_sint(yyjson_obj_get(task, "pid")));
	return buf;
}

/* "worker[12] failed to run for 5.0s": that task, else the one that waits longest. */
static yyjson_val *stalled_task(const struct view *v, const char *msg)
{
	const char *end = strstr(msg, "] failed to run"), *p = end;
	yyjson_val *longest = NULL;
	long long pid = -1;

	while (p && p > msg && p[-1] >= '0' && p[-1] <= '9')
		p--;
	if (p && p > msg && p[-1] == '[')
		pid = strtoll(p, NULL, 10);
	for (size_t i = 0; i < v->nr_tasks; i++) {
		yyjson_val *task = v->tasks[i].task;

		if (pid >= 0 && yyjson_get_sint(yyjson_obj_get(task, "pid")) == pid)
			return task;
		if (age_ms(task) != INT64_MIN && (!longest || age_ms(task) > age_ms(longest)))
			longest = task;
	}
	return longest;
}

/* " at the head of DSQ user 0x7 (3 waiting)"; nothing when it is on no queue. */
static void say_place(const struct view *v, yyjson_val *task, char *buf, size_t size)
{
	yyjson_val *arr = yyjson_obj_get(v->top, "dsq_states"), *q, *kva;
	char name[48];
	size_t i, k, max, kmax;

	*buf = '\0';
	yyjson_arr_foreach(arr, i, max, q) {
		yyjson_arr_foreach(yyjson_obj_get(q, "task_kvas"), k, kmax, kva) {
			if (!num(task, "kva") || yyjson_get_uint(kva) != num(task, "kva"))
				continue;
			name_queue(q, name, sizeof(name));
			if (k)
				snprintf(buf, size, " behind %zu on DSQ %s", k, name);
			else
				snprintf(buf, size, " at the head of DSQ %s (%zu waiting)", name, kmax);
			return;
		}
	}
	if (!strcmp(str(yyjson_obj_get(task, "scx"), "ops_state_name"), "SCX_OPSS_QUEUED"))
		snprintf(buf, size, ", kept by the BPF scheduler on no DSQ");
}

/* Who made a task wait: another class on its CPU, a queue nobody takes from, the scheduler itself. */
static void blame_stall(const struct view *v, yyjson_val *task, char *buf, size_t size)
{
	const struct cpu_ref *c = NULL;
	char name[64], curr[64], place[128];
	const char *class;

	if (is_num(task, "runnable_on"))
		c = find_cpu(v, num(task, "runnable_on"));
	class = c ? str(c->rq, "curr_class") : "";
	snprintf(curr, sizeof(curr), "%s[%lld]", c ? str(c->rq, "curr_comm") : "",
		 c ? (long long)yyjson_get_sint(yyjson_obj_get(c->rq, "curr_pid")) : 0);
	name_of(task, name, sizeof(name));
	say_place(v, task, place, sizeof(place));
	if (!strcmp(class, "rt") || !strcmp(class, "dl") || !strcmp(class, "stop"))
		snprintf(buf, size, "CPU %llu: it runs %s task %s while %s waits for %.3f s%s",
			 (unsigned long long)c->nr, class, curr, name, age_ms(task) / 1e3, place);
	else
		snprintf(buf, size, "task %s: it waits for %.3f s%s%s%s%s", name, age_ms(task) / 1e3, place,
			 c ? strcmp(class, "idle") ? ", its CPU runs " : ", its CPU " : "",
			 c ? strcmp(class, "idle") ? curr : "idles" : "", "");
}

/* The BPF program in a backtrace: "bpf_prog_TAG_NAME+0x…". */
static bool say_program(yyjson_val *bt, char *buf, size_t size)
{
	static const char prefix[] = "bpf_prog_";
	yyjson_val *f;
	size_t i, max;

	yyjson_arr_foreach(bt, i, max, f) {
		const char *sym = str(f, "symbol");
		const char *name = strncmp(sym, prefix, strlen(prefix)) ? NULL :
				   strchr(sym + strlen(prefix), '_');

		if (!name)
			continue;
		snprintf(buf, size, " in BPF program %.*s", (int)strcspn(name + 1, "+"), name + 1);
		return true;
	}
	return false;
}

static void blame_error(const struct view *v, yyjson_val *exit, char *buf, size_t size)
{
	yyjson_val *trigger = yyjson_obj_get(v->kt, "trigger");
	char program[96] = "";

	if (!say_program(yyjson_obj_get(exit, "bt"), program, sizeof(program)))
		say_program(yyjson_obj_get(trigger, "stack"), program, sizeof(program));
	snprintf(buf, size, "task %s[%lld] on CPU %llu: it raised the error%s", str(trigger, "comm"),
		 (long long)yyjson_get_sint(yyjson_obj_get(trigger, "pid")),
		 (unsigned long long)num(trigger, "cpu"), program);
}

/* Scheduler, reason, whom we hold for the culprit and why: what one wants to know first. */
static bool say_bug(const struct view *v, char *buf, size_t size)
{
	yyjson_val *exit = yyjson_arr_get_first(yyjson_obj_get(v->kt, "exits"));
	yyjson_val *trigger = yyjson_obj_get(v->kt, "trigger");
	yyjson_val *hint = yyjson_arr_get_first(yyjson_obj_get(yyjson_obj_get(v->kt, "verdicts"), "hints"));
	uint64_t kind = is_num(exit, "kind") ? num(exit, "kind") : is_num(trigger, "exit_kind") ?
			num(trigger, "exit_kind") : num(yyjson_obj_get(v->top, "scx_sched_state"), "exit_kind");
	const char *name = str(cause(v), "name"), *reason = str(exit, "reason");
	yyjson_val *task = NULL;
	char blame[400] = "";

	/* A scheduler that goes on, or was only switched off, has no bug. */
	if (kind < EXIT_ERROR_CLASS || (trigger && strcmp(str(trigger, "trigger"), "exit")))
		return false;
	if (trigger || exit) {
		task = kind == EXIT_STALL ? stalled_task(v, str(exit, "msg")) : NULL;
		if (*str(hint, "text"))
			snprintf(blame, sizeof(blame), "%.300s", str(hint, "text"));
		else if (task)
			blame_stall(v, task, blame, sizeof(blame));
		else if (trigger && kind != EXIT_STALL)
			blame_error(v, exit, blame, sizeof(blame));
	}
	snprintf(buf, size, "%s%.64s%s%.200s%s%.300s%s%s", *name ? "scheduler " : "", name, *name ? ": " : "",
		 *reason ? reason : exit_kind_name(kind), *str(exit, "msg") ? ", " : "", str(exit, "msg"),
		 *blame ? "; culprit " : "", blame);
	return true;
}

static void view_bug(struct view *v)
{
	struct view_line l = { .out = v->out, .all = v->opts.all };
	char buf[1000];

	if (!say_bug(v, buf, sizeof(buf)))
		return;
	view_wrap(&l, "BUG SUMMARY: %s", buf);
	fputc('\n', v->out);
}

/* What a dual report says of its other half. */
static void view_early(struct view *v)
{
	const char *why = str(v->dual, "early_skipped_reason");
	char buf[256];

	if (!v->dual || v->opts.early)
		return;
	if (!is_num(v->dual, "early_threshold_jiffies") && !yyjson_obj_get(v->dual, "early")) {
		field(v, "early", *why ? why : "absent");
		return;
	}
	snprintf(buf, sizeof(buf), "a snapshot when the longest wait was %llu of %llu jiffies (--early shows it)",
		 (unsigned long long)num(v->dual, "early_max_age_jiffies"),
		 (unsigned long long)num(v->dual, "early_threshold_jiffies"));
	field(v, "early", buf);
}

static void view_head(struct view *v)
{
	yyjson_val *exit = yyjson_arr_get_first(yyjson_obj_get(v->kt, "exits"));
	yyjson_val *trigger = yyjson_obj_get(v->kt, "trigger");
	yyjson_val *kernel = yyjson_obj_get(v->kt, "kernel");
	yyjson_val *state = yyjson_obj_get(v->top, "scx_sched_state");
	const char *name = str(cause(v), "name");
	const char *kind = str(exit, "kind_name");
	uint64_t number;
	char buf[512];

	if (!*kind)
		kind = str(trigger, "exit_kind_name");
	number = is_num(exit, "kind") ? num(exit, "kind") :
		 is_num(trigger, "exit_kind") ? num(trigger, "exit_kind") : num(state, "exit_kind");
	view_bug(v);
	if (!strcmp(str(trigger, "trigger"), "early"))
		line(v, "sched_ext scheduler \"%s\" half-way into a stall: waiting for %llu jiffies, %llu at most",
		     *name ? name : "?", (unsigned long long)num(trigger, "age_jiffies"),
		     2 * (unsigned long long)num(trigger, "age_threshold_jiffies"));
	else if (!strcmp(str(trigger, "trigger"), "demand"))
		line(v, "sched_ext scheduler \"%s\" on demand: it goes on", *name ? name : "(none)");
	else
		line(v, "sched_ext scheduler%s%s%s ended: %s (kind %llu)", *name ? " \"" : "", name,
		     *name ? "\"" : "", *kind ? kind : exit_kind_name(number), (unsigned long long)number);
	if (yyjson_get_bool(yyjson_obj_get(v->top, "is_placeholder")))
		field(v, "EMPTY", str(v->top, "scx_walker_unavailable"));
	if (*str(exit, "reason"))
		field(v, "reason", str(exit, "reason"));
	if (*str(exit, "msg"))
		field(v, "message", str(exit, "msg"));
	if (num(exit, "exit_code")) {
		snprintf(buf, sizeof(buf), "0x%llx", (unsigned long long)num(exit, "exit_code"));
		field(v, "exit code", buf);
	}
	if (trigger) {
		snprintf(buf, sizeof(buf), "%s on CPU %llu in %s context%s, task %s[%lld], by %s",
			 str(trigger, "time"), (unsigned long long)num(trigger, "cpu"),
			 str(trigger, "context"),
			 yyjson_get_bool(yyjson_obj_get(trigger, "irqs_off")) ?
			 " (interrupts off)" : "", str(trigger, "comm"),
			 (long long)yyjson_get_sint(yyjson_obj_get(trigger, "pid")),
			 str(trigger, "hook"));
		field(v, "when", buf);
	}
	if (kernel) {
		snprintf(buf, sizeof(buf), "%s %s, %llu CPUs, %llu nodes; ktdump %s",
			 str(kernel, "release"), str(kernel, "machine"),
			 (unsigned long long)num(kernel, "nr_cpus"),
			 (unsigned long long)num(kernel, "nr_nodes"), str(v->kt, "module_version"));
		field(v, "kernel", buf);
	}
	view_freeze(v);
	view_early(v);
}

static void describe_queue(yyjson_val *task, char *buf, size_t size)
{
	yyjson_val *where = yyjson_obj_get(task, "where"), *one, *scx = yyjson_obj_get(task, "scx");
	size_t i, max;

	snprintf(buf, size, "-");
	yyjson_arr_foreach(where, i, max, one) {
		if (strcmp(str(one, "list"), "dsq"))
			continue;
		if (!strcmp(str(one, "origin"), "user") || !*str(one, "origin"))
			snprintf(buf, size, "user 0x%llx", (unsigned long long)num(one, "id"));
		else
			snprintf(buf, size, "%s", str(one, "origin"));
		return;
	}
	/* On no queue: the BPF scheduler has it, or it is on its way. */
	if (*str(scx, "ops_state_name"))
		snprintf(buf, size, "- %s", str(scx, "ops_state_name") + strlen("SCX_OPSS_"));
}

static void view_top_frames(struct view *v, yyjson_val *stack, const char *indent)
{
	char buf[512] = "";
	size_t i, max, n = 0;
	yyjson_val *f;

	yyjson_arr_foreach(stack, i, max, f) {
		const char *sym = str(f, "symbol");

		if (i == 5 || n >= WIDTH)
			break;
		n += snprintf(buf + n, sizeof(buf) - n, "%s%.*s", i ? " < " : "",
			      (int)(strcspn(sym, "+") < 80 ? strcspn(sym, "+") : 80), sym);
	}
	if (n)
		line(v, "%s%s", indent, buf);
}

static void view_waiting(struct view *v)
{
	_cleanup_free_ struct task_ref *t = calloc(v->nr_tasks + 1, sizeof(*t));
	size_t nr = 0;
	char title[96];

	if (!t)
		return;
	for (size_t i = 0; i < v->nr_tasks; i++)
		if (v->tasks[i].age != INT64_MIN)
			t[nr++] = v->tasks[i];
	if (!nr)
		return;
	qsort(t, nr, sizeof(*t), by_age);
	snprintf(title, sizeof(title), "Longest waiting (%zu runnable of %zu tasks)", nr, v->nr_tasks);
	heading(v, title);
	line(v, "  %7s %-15s %10s %5s %-18s %9s %6s  %s", "PID", "COMM", "WAITED", "CLASS", "QUEUE",
	     "SLICE", "ON", "CPUS");
	for (size_t i = 0; i < nr && i < cap(v, MAX_WAITING); i++) {
		yyjson_val *task = t[i].task, *scx = yyjson_obj_get(task, "scx");
		yyjson_val *age = yyjson_obj_get(scx, "runnable_age_ms");
		char queue[64], waited[32], slice[32], on[16];

		describe_queue(task, queue, sizeof(queue));
		if (yyjson_is_int(age))
			snprintf(waited, sizeof(waited), "%.3f s", yyjson_get_sint(age) / 1e3);
		else
			snprintf(waited, sizeof(waited), "%lld j", (long long)t[i].age);
		snprintf(slice, sizeof(slice), "%.3fms", num(scx, "slice") / 1e6);
		snprintf(on, sizeof(on), is_num(task, "runnable_on") ? "rq %llu" : "",
			 (unsigned long long)num(task, "runnable_on"));
		line(v, "  %7lld %-15s %10s %5s %-18s %9s %6s  %s",
		     (long long)yyjson_get_sint(yyjson_obj_get(task, "pid")), str(task, "comm"),
		     waited, str(task, "sched_class"), queue, slice, on, str(task, "cpus_allowed"));
		view_top_frames(v, yyjson_obj_get(task, "stack"), "          ");
	}
	if (nr > cap(v, MAX_WAITING))
		line(v, "          … and %zu more", nr - MAX_WAITING);
}

/* Is there anything to say beyond "idle"? */
static bool cpu_is_news(const struct view *v, const struct cpu_ref *c)
{
	yyjson_val *trigger = yyjson_obj_get(v->kt, "trigger");

	return c->waiting || strcmp(str(c->rq, "curr_class"), "idle") || num(c->rq, "scx_nr_running") ||
	       yyjson_is_false(yyjson_obj_get(c->cpu, "parked")) ||
	       yyjson_get_bool(yyjson_obj_get(c->rq, "torn")) ||
	       (is_num(trigger, "cpu") && num(trigger, "cpu") == c->nr);
}

/* Those that did not arrive, then by the longest wait, then those that run something. */
static int by_news(const void *a, const void *b)
{
	const struct cpu_ref *x = *(const struct cpu_ref *const *)a;
	const struct cpu_ref *y = *(const struct cpu_ref *const *)b;
	bool gone_x = yyjson_is_false(yyjson_obj_get(x->cpu, "parked"));
	bool gone_y = yyjson_is_false(yyjson_obj_get(y->cpu, "parked"));

	if (gone_x != gone_y)
		return gone_x ? -1 : 1;
	if (x->longest_ms != y->longest_ms)
		return x->longest_ms < y->longest_ms ? 1 : -1;
	return by_nr(x, y);
}

static int by_place(const void *a, const void *b)
{
	return by_nr(*(const struct cpu_ref *const *)a, *(const struct cpu_ref *const *)b);
}

static void view_cpu(struct view *v, const struct cpu_ref *c)
{
	yyjson_val *trigger = yyjson_obj_get(v->kt, "trigger");
	const char *at, *lock = "";
	char curr[64], place[64], wait[24] = "";

	/* Without the function's size. */
	snprintf(place, sizeof(place), "%.*s", (int)strcspn(str(c->cpu, "ip_symbol"), "/"),
		 str(c->cpu, "ip_symbol"));
	at = place;
	snprintf(curr, sizeof(curr), "%s[%lld]", str(c->rq, "curr_comm"),
		 (long long)yyjson_get_sint(yyjson_obj_get(c->rq, "curr_pid")));
	if (c->longest_ms != INT64_MIN)
		snprintf(wait, sizeof(wait), "%.3f s", c->longest_ms / 1e3);
	if (yyjson_is_false(yyjson_obj_get(c->cpu, "online")))
		at = "(offline)";
	else if (yyjson_is_false(yyjson_obj_get(c->cpu, "parked")))
		at = "(DID NOT ARRIVE)";
	else if (yyjson_get_bool(yyjson_obj_get(c->cpu, "user")))
		at = "(user mode)";
	if (*str(c->rq, "lock_held_by"))
		lock = " (locked)";
	else if (num(c->rq, "lock"))
		lock = " (TORN)";
	line(v, "%c %3llu %-21s %-5s %3llu %4llu %3llu %3llu %4zu %8s  %s%s",
	     is_num(trigger, "cpu") && num(trigger, "cpu") == c->nr ? '>' : ' ',
	     (unsigned long long)c->nr, curr, str(c->rq, "curr_class"),
	     (unsigned long long)num(c->rq, "scx_nr_running"),
	     (unsigned long long)num(c->rq, "fair_nr"), (unsigned long long)num(c->rq, "rt_nr"),
	     (unsigned long long)num(c->rq, "dl_nr"), c->waiting, wait, at, lock);
}

static void view_cpus(struct view *v)
{
	_cleanup_free_ struct cpu_ref **news = calloc(v->nr_cpus + 1, sizeof(*news));
	size_t nr = 0, shown;

	if (!news || !v->nr_cpus)
		return;
	for (size_t i = 0; i < v->nr_cpus; i++)
		if (cpu_is_news(v, &v->cpus[i]))
			news[nr++] = &v->cpus[i];
	shown = nr < cap(v, MAX_CPUS) ? nr : MAX_CPUS;
	qsort(news, nr, sizeof(*news), by_news);
	qsort(news, shown, sizeof(*news), by_place);
	heading(v, "CPUs (> raised the exit)");
	line(v, "  %3s %-21s %-5s %3s %4s %3s %3s %4s %8s  %s", "CPU", "RUNNING", "CLASS", "EXT", "FAIR",
	     "RT", "DL", "WAIT", "LONGEST", "AT");
	for (size_t i = 0; i < shown; i++)
		view_cpu(v, news[i]);
	if (nr > shown)
		line(v, "      … and %zu more that run something or have tasks waiting", nr - shown);
	if (v->nr_cpus > nr)
		line(v, "      %s%zu idle with nothing waiting", nr ? "and " : "", v->nr_cpus - nr);
}

/* ------------------------------------------------------------------- queues */

struct queue_ref {
	yyjson_val *queue, *kvas;
	int64_t head_ms;	/* how long its first task has waited */
};

static int by_head(const void *a, const void *b)
{
	const struct queue_ref *x = a, *y = b;

	return (x->head_ms < y->head_ms) - (x->head_ms > y->head_ms);
}

/* Queues with tasks, the longest-waiting head first. NULL without memory. */
static struct queue_ref *load_queues(const struct view *v, size_t *nr_ret)
{
	yyjson_val *lists[] = { yyjson_obj_get(v->top, "dsq_states"), yyjson_obj_get(v->kt, "dsqs") };
	struct queue_ref *ret;
	yyjson_val *q;
	size_t i, max;

	*nr_ret = 0;
	ret = calloc(yyjson_arr_size(lists[0]) + yyjson_arr_size(lists[1]) + 1, sizeof(*ret));
	for (int pass = 0; ret && pass < 2; pass++) {
		yyjson_arr_foreach(lists[pass], i, max, q) {
			yyjson_val *kvas = yyjson_obj_get(q, "task_kvas"), *head;

			/* Without task_kvas it was in the first list. */
			if ((!num(q, "nr") && !yyjson_arr_size(kvas)) || (pass && !kvas))
				continue;
			head = find_task(v, yyjson_get_uint(yyjson_arr_get_first(kvas)));
			ret[(*nr_ret)++] = (struct queue_ref){
				q, kvas, head ? age_ms(head) : INT64_MIN
			};
		}
	}
	if (ret)
		qsort(ret, *nr_ret, sizeof(*ret), by_head);
	return ret;
}

static void view_queue(struct view *v, const struct queue_ref *q)
{
	char buf[512], name[48], wait[24] = "";
	size_t i, max;
	yyjson_val *kva;
	int n;

	name_queue(q->queue, name, sizeof(name));
	if (q->head_ms != INT64_MIN)
		snprintf(wait, sizeof(wait), "%.3f s", q->head_ms / 1e3);
	n = snprintf(buf, sizeof(buf), "  %-22s %4llu %9s ", name,
		     (unsigned long long)num(q->queue, "nr"), wait);
	yyjson_arr_foreach(q->kvas, i, max, kva) {
		yyjson_val *task = find_task(v, yyjson_get_uint(kva));

		if (n > WIDTH)
			break;
		if (task)
			n += snprintf(buf + n, sizeof(buf) - n, " %s[%lld]", str(task, "comm"),
				      (long long)yyjson_get_sint(yyjson_obj_get(task, "pid")));
		else
			n += snprintf(buf + n, sizeof(buf) - n, " 0x%llx",
				      (unsigned long long)yyjson_get_uint(kva));
	}
	line(v, "%s", buf);
}

static void view_queues(struct view *v)
{
	size_t nr, shown;
	_cleanup_free_ struct queue_ref *q = load_queues(v, &nr);

	if (!q || !nr)
		return;
	shown = nr < cap(v, MAX_QUEUES) ? nr : MAX_QUEUES;
	heading(v, "Queues that hold tasks, first to run first");
	line(v, "  %-22s %4s %9s  %s", "QUEUE", "NR", "HEAD", "TASKS");
	for (size_t i = 0; i < shown; i++)
		view_queue(v, &q[i]);
	if (nr > shown)
		line(v, "  … and %zu more", nr - shown);
}

static void view_scheds(struct view *v)
{
	yyjson_val *arr = yyjson_obj_get(v->kt, "schedulers"), *s;
	size_t i, max;

	if (!yyjson_arr_size(arr))
		return;
	heading(v, "Schedulers");
	yyjson_arr_foreach(arr, i, max, s) {
		uint64_t level = num(s, "level");
		const char *kind = str(s, "exit_kind_name");

		if (i == cap(v, MAX_OTHERS)) {
			line(v, "  … and %zu more", yyjson_arr_size(arr) - i);
			break;
		}
		line(v, "  %*s%s%s%s  bypass %lld%s  timeout %llu ms%s%s", (int)(level < 16 ? 2 * level : 32),
		     "", str(s, "name"), *str(s, "cgrp_path") ? " " : "", str(s, "cgrp_path"),
		     (long long)yyjson_get_sint(yyjson_obj_get(s, "bypass_depth")),
		     yyjson_get_bool(yyjson_obj_get(s, "aborting")) ? "  aborting" : "",
		     (unsigned long long)num(s, "timeout_ms"), *kind ? "  " : "", kind);
	}
}

/* What the report has of the failed scheduler's maps; the values are in the JSON. */
static void view_maps(struct view *v)
{
	uint64_t owner = num(yyjson_obj_get(v->kt, "trigger"), "sched_kva");
	yyjson_val *arr = yyjson_obj_get(v->kt, "maps"), *m;
	size_t i, max, nr = 0, foreign = 0;

	yyjson_arr_foreach(arr, i, max, m) {
		yyjson_val *c = yyjson_obj_get(m, "content");
		const char *cut = str(c, "cut"), *error = str(c, "error");

		if (num(m, "owner_sched") != owner || !owner) {
			foreign++;
			continue;
		}
		if (!nr++)
			heading(v, "Maps");
		if (nr > cap(v, MAX_MAPS))
			continue;
		line(v, "  %-15s %-21s %7llu of %-7llu %9llu B%s%s%s%s", str(m, "name"),
		     str(m, "map_type_name"), (unsigned long long)num(c, "taken"),
		     (unsigned long long)num(c, "seen"), (unsigned long long)num(c, "bytes"),
		     *cut ? "  CUT: " : "", cut, *error ? "  " : "", error);
	}
	if (nr > cap(v, MAX_MAPS))
		line(v, "  … and %zu more", nr - MAX_MAPS);
	if (foreign) {
		if (!nr)
			heading(v, "Maps");
		line(v, "  %zu map%s of others", foreign, foreign == 1 ? "" : "s");
	}
}

/* -------------------------------------------------------------------- hints */

/* The first line opens the section. */
static void __printf(3, 4) hint(struct view *v, bool *any, const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	if (!*any)
		heading(v, "What stands out");
	*any = true;
	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	line(v, "  %s", buf);
}

/* Does "0-2,5" contain the CPU? True when it cannot be told. */
static bool allowed_on(yyjson_val *task, uint64_t cpu)
{
	const char *p = yyjson_get_str(yyjson_obj_get(task, "cpus_allowed"));

	if (!p)
		return true;
	while (*p) {
		char *end;
		uint64_t first = strtoull(p, &end, 10), last = first;

		if (*end == '-')
			last = strtoull(end + 1, &end, 10);
		if (cpu >= first && cpu <= last)
			return true;
		if (*end != ',')
			break;
		p = end + 1;
	}
	return false;
}

static void hint_more(struct view *v, size_t nr, const char *what)
{
	if (nr > cap(v, MAX_HINTS))
		line(v, "  … and %zu more %s", nr - MAX_HINTS, what);
}

/* Who kept tasks off a CPU, and what says so. */
static void hint_verdicts(struct view *v, bool *any)
{
	yyjson_val *arr = yyjson_obj_get(yyjson_obj_get(v->kt, "verdicts"), "hints"), *h, *e;
	size_t i, max, k, nr;

	yyjson_arr_foreach(arr, i, max, h) {
		if (i == cap(v, MAX_HINTS))
			break;
		hint(v, any, "%s", str(h, "text"));
		yyjson_arr_foreach(yyjson_obj_get(h, "evidence"), k, nr, e)
			line(v, "    %s", yyjson_is_str(e) ? yyjson_get_str(e) : "");
	}
	hint_more(v, yyjson_arr_size(arr), "such CPUs");
}

/* CPUs that idle while tasks wait for them. */
static void hint_cpus(struct view *v, bool *any)
{
	size_t idle = 0, waiting = 0;
	char idlers[128] = "";
	int64_t longest = 0;

	for (size_t i = 0; i < v->nr_cpus; i++) {
		struct cpu_ref *c = &v->cpus[i];

		if (!c->waiting || c->longest_ms < LONG_MS || strcmp(str(c->rq, "curr_class"), "idle"))
			continue;
		if (++idle <= MAX_HINTS)
			snprintf(idlers + strlen(idlers), sizeof(idlers) - strlen(idlers), "%s%llu",
				 idle > 1 ? ", " : "", (unsigned long long)c->nr);
		waiting += c->waiting;
		if (c->longest_ms > longest)
			longest = c->longest_ms;
	}
	if (idle)
		hint(v, any, "CPU%s %s%s: idle, with %zu scx task%s on %s runnable list%s, the longest %.3f s",
		     idle > 1 ? "s" : "", idlers, idle > MAX_HINTS ? " …" : "", waiting,
		     waiting == 1 ? "" : "s", idle > 1 ? "their" : "its", idle > 1 ? "s" : "",
		     longest / 1e3);
}

/* Queues whose first task has waited long, the worst ones. */
static void hint_queues(struct view *v, bool *any)
{
	size_t nr, late = 0;
	_cleanup_free_ struct queue_ref *q = load_queues(v, &nr);

	while (q && late < nr && q[late].head_ms >= LONG_MS) {
		yyjson_val *head = find_task(v, yyjson_get_uint(yyjson_arr_get_first(q[late].kvas)));
		char task[48], queue[48];

		if (late < MAX_HINTS) {
			name_queue(q[late].queue, queue, sizeof(queue));
			hint(v, any, "DSQ %s: %llu waiting, its head %s for %.3f s", queue,
			     (unsigned long long)num(q[late].queue, "nr"),
			     name_of(head, task, sizeof(task)), q[late].head_ms / 1e3);
		}
		late++;
	}
	hint_more(v, late, "such queues");
}

/* Runnable, on no queue and not running: only the BPF scheduler knows of them. */
static void hint_held(struct view *v, bool *any)
{
	yyjson_val *oldest = NULL;
	size_t nr = 0;
	char name[48];

	for (size_t i = 0; i < v->nr_tasks; i++) {
		yyjson_val *task = v->tasks[i].task, *scx = yyjson_obj_get(task, "scx");

		if (age_ms(task) < LONG_MS || num(scx, "dsq") ||
		    strcmp(str(scx, "ops_state_name"), "SCX_OPSS_QUEUED"))
			continue;
		nr++;
		if (!oldest || age_ms(task) > age_ms(oldest))
			oldest = task;
	}
	if (oldest)
		hint(v, any, "%zu task%s on no DSQ: queued in the BPF scheduler, the longest %s for %.3f s", nr,
		     nr == 1 ? "" : "s", name_of(oldest, name, sizeof(name)), age_ms(oldest) / 1e3);
}

/* On the queue of a CPU on which it must not run. */
static void hint_affinity(struct view *v, bool *any)
{
	size_t nr = 0;

	for (size_t i = 0; i < v->nr_tasks; i++) {
		yyjson_val *task = v->tasks[i].task, *where = yyjson_obj_get(task, "where"), *w;
		size_t k, max;

		yyjson_arr_foreach(where, k, max, w) {
			const char *origin = str(w, "origin");
			bool local = !strncmp(origin, "local cpu ", 10);
			uint64_t cpu = local ? strtoull(origin + 10, NULL, 10) : num(w, "cpu");
			char name[48];

			if ((!local && strcmp(str(w, "list"), "runnable")) || allowed_on(task, cpu))
				continue;
			if (++nr <= MAX_HINTS)
				hint(v, any, "%s is on %s CPU %llu, but may run only on %s",
				     name_of(task, name, sizeof(name)),
				     local ? "the local DSQ of" : "the runnable list of",
				     (unsigned long long)cpu, str(task, "cpus_allowed"));
		}
	}
	hint_more(v, nr, "such tasks");
}

/* What the data says by itself; no guesses. */
static void view_hints(struct view *v)
{
	yyjson_val *freeze = yyjson_obj_get(v->kt, "freeze");
	bool any = false;

	hint_verdicts(v, &any);
	hint_cpus(v, &any);
	hint_queues(v, &any);
	hint_held(v, &any);
	hint_affinity(v, &any);
	if (yyjson_arr_size(yyjson_obj_get(freeze, "cpus_missing")))
		hint(v, &any, "%zu CPU%s did not answer the NMI: no registers, and what %s did meanwhile is unknown",
		     yyjson_arr_size(yyjson_obj_get(freeze, "cpus_missing")),
		     yyjson_arr_size(yyjson_obj_get(freeze, "cpus_missing")) == 1 ? "" : "s",
		     yyjson_arr_size(yyjson_obj_get(freeze, "cpus_missing")) == 1 ? "it" : "they");
}

/* Reports of ktstr give their reasons under names of their own. */
static void view_unavailable(struct view *v)
{
	static const char *const keys[] = {
		"scx_walker_unavailable", "task_enrichments_unavailable", "prog_runtime_stats_unavailable",
		"per_node_numa_unavailable", "sdt_alloc_unavailable",
	};
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!*str(v->top, keys[i]))
			continue;
		if (!any)
			heading(v, "Missing");
		any = true;
		line(v, "  %.*s: %s", (int)(strlen(keys[i]) - strlen("_unavailable")), keys[i], str(v->top, keys[i]));
	}
}

static void view_missing(struct view *v)
{
	yyjson_val *arr = yyjson_obj_get(v->kt, "missing"), *m;
	size_t i, max;

	if (!v->kt)
		view_unavailable(v);
	if (!yyjson_arr_size(arr))
		return;
	heading(v, yyjson_get_bool(yyjson_obj_get(v->kt, "incomplete")) ?
		"Missing (INCOMPLETE report)" : "Missing");
	yyjson_arr_foreach(arr, i, max, m) {
		if (i == cap(v, MAX_OTHERS)) {
			line(v, "  … and %zu more", yyjson_arr_size(arr) - i);
			break;
		}
		line(v, "  %s: %s", str(m, "section"), str(m, "reason"));
	}
}

static void view_backtrace(struct view *v)
{
	yyjson_val *exit = yyjson_arr_get_first(yyjson_obj_get(v->kt, "exits"));
	yyjson_val *bt = yyjson_obj_get(exit, "bt"), *f;
	const char *title = "Backtrace of the exit";
	size_t i, max;

	if (!yyjson_arr_size(bt)) {
		bt = yyjson_obj_get(yyjson_obj_get(v->kt, "trigger"), "stack");
		title = "Backtrace of the trigger";
	}
	if (!yyjson_arr_size(bt))
		return;
	heading(v, title);
	yyjson_arr_foreach(bt, i, max, f) {
		if (i == cap(v, MAX_FRAMES)) {
			line(v, "  … and %zu more", yyjson_arr_size(bt) - i);
			break;
		}
		line(v, "  %s", str(f, "symbol"));
	}
}

/* ------------------------------------------------------- contents, single things */

static void begin_line(struct view *v, struct view_line *l)
{
	*l = (struct view_line){ .out = v->out, .all = v->opts.all };
}

static yyjson_val *map_facts(const struct view *v, uint64_t kva)
{
	yyjson_val *arr = yyjson_obj_get(v->kt, "maps"), *m;
	size_t i, max;

	yyjson_arr_foreach(arr, i, max, m)
		if (kva && num(m, "kva") == kva)
			return m;
	return NULL;
}

/* Of the scheduler that failed, or those asked for. A report of ktstr does not tell them apart. */
static bool map_is_wanted(const struct view *v, yyjson_val *m)
{
	uint64_t owner = num(yyjson_obj_get(v->kt, "trigger"), "sched_kva");
	yyjson_val *facts;

	if (v->opts.map)
		return !fnmatch(v->opts.map, str(m, "name"), 0);
	facts = map_facts(v, num(m, "map_kva"));
	return v->opts.all || !owner || !facts || num(facts, "owner_sched") == owner;
}

static void view_contents(struct view *v)
{
	yyjson_val *arr = yyjson_obj_get(v->top, "maps"), *m;
	size_t i, max, nr = 0, others = 0;
	struct view_line l;

	yyjson_arr_foreach(arr, i, max, m) {
		if (!map_is_wanted(v, m)) {
			others++;
			continue;
		}
		if (!nr++)
			heading(v, "Maps");
		begin_line(v, &l);
		l.indent = 1;
		fputs("  ", v->out);
		l.col = 2;
		view_map(&l, m);
		fputc('\n', v->out);
	}
	if (others && nr && !v->opts.map)
		line(v, "  and %zu map%s of others (--all)", others, others == 1 ? "" : "s");
	v->found |= nr;
}

static void view_allocations(struct view *v)
{
	yyjson_val *ranges = yyjson_obj_get(yyjson_obj_get(v->top, "scx_static_ranges"), "ranges");
	struct view_line l;

	if (!yyjson_arr_size(yyjson_obj_get(v->top, "sdt_allocations")) && !yyjson_arr_size(ranges))
		return;
	heading(v, "Allocations");
	begin_line(v, &l);
	l.indent = 1;
	view_allocs(&l, v->top);
}

static void outline_of(struct view *v, const char *title, yyjson_val *val)
{
	struct view_line l;

	if (!val)
		return;
	v->found = true;
	heading(v, title);
	begin_line(v, &l);
	view_outline(&l, val);
	fputc('\n', v->out);
}

static void view_task(struct view *v)
{
	yyjson_val *arr = yyjson_obj_get(v->top, "task_enrichments"), *t;
	char title[128], *end;
	long long pid = strtoll(v->opts.task, &end, 10);
	bool by_pid = *v->opts.task && !*end;
	size_t i, max;

	if (v->nr_tasks)
		arr = yyjson_obj_get(v->kt, "tasks");
	yyjson_arr_foreach(arr, i, max, t) {
		if (by_pid ? yyjson_get_sint(yyjson_obj_get(t, "pid")) != pid :
		    fnmatch(v->opts.task, str(t, "comm"), 0))
			continue;
		snprintf(title, sizeof(title), "Task %s[%lld]", str(t, "comm"),
			 (long long)yyjson_get_sint(yyjson_obj_get(t, "pid")));
		outline_of(v, title, t);
	}
}

/* What every list of CPUs says about one. */
static void view_one_cpu(struct view *v)
{
	static const char *const lists[] = { "cpus", "rqs" }, *const tops[] = { "per_cpu_time", "rq_scx_states" };
	char title[64];
	size_t i, max;
	yyjson_val *o;

	for (unsigned int k = 0; k < 2 * ARRAY_SIZE(lists); k++) {
		const char *name = k < ARRAY_SIZE(lists) ? lists[k] : tops[k - ARRAY_SIZE(lists)];
		yyjson_val *arr = yyjson_obj_get(k < ARRAY_SIZE(lists) ? v->kt : v->top, name);

		yyjson_arr_foreach(arr, i, max, o) {
			if (!is_num(o, "cpu") || num(o, "cpu") != (uint64_t)v->opts.cpu)
				continue;
			snprintf(title, sizeof(title), "CPU %lld in %s", (long long)v->opts.cpu, name);
			outline_of(v, title, o);
		}
	}
}

static void view_programs(struct view *v)
{
	yyjson_val *arr = yyjson_obj_get(v->top, "prog_runtime_stats"), *p;
	size_t i, max, shown = 0;

	yyjson_arr_foreach(arr, i, max, p) {
		uint64_t cnt = num(p, "cnt"), misses = num(p, "misses");

		if (!cnt && !v->opts.all)
			continue;
		if (!shown++) {
			heading(v, "Programs (with kernel.bpf_stats_enabled)");
			line(v, "  %-20s %12s %14s %12s %8s", "NAME", "RUNS", "NS", "NS/RUN", "MISSES");
		}
		line(v, "  %-20s %12llu %14llu %12.3f %8llu", str(p, "name"), (unsigned long long)cnt,
		     (unsigned long long)num(p, "nsecs"), cnt ? (double)num(p, "nsecs") / cnt : 0.0,
		     (unsigned long long)misses);
	}
}

/* In reports of ktstr; ours have more to say about tasks. */
static void view_enrichments(struct view *v)
{
	yyjson_val *arr = yyjson_obj_get(v->top, "task_enrichments"), *t;
	size_t i, max;

	if (v->nr_tasks || !yyjson_arr_size(arr))
		return;
	heading(v, "Tasks");
	line(v, "  %7s %-15s %5s %6s %4s %10s %10s  %s", "PID", "COMM", "CLASS", "WEIGHT", "PRIO", "NVCSW", "NIVCSW",
	     "PARENT");
	yyjson_arr_foreach(arr, i, max, t) {
		const char *lock = str(t, "lock_slowpath_match");

		if (i == cap(v, MAX_TASKS)) {
			line(v, "  … and %zu more", yyjson_arr_size(arr) - i);
			break;
		}
		line(v, "  %7lld %-15s %5s %6llu %4lld %10llu %10llu  %s%s%s",
		     (long long)yyjson_get_sint(yyjson_obj_get(t, "pid")), str(t, "comm"), str(t, "sched_class"),
		     (unsigned long long)num(t, "weight"), (long long)yyjson_get_sint(yyjson_obj_get(t, "prio")),
		     (unsigned long long)num(t, "nvcsw"), (unsigned long long)num(t, "nivcsw"),
		     str(t, "real_parent_comm"), *lock ? "  in " : "", lock);
	}
}

/* Every leaf of the report, but for the maps, which are above. */
static void view_rest(struct view *v)
{
	yyjson_val *key, *val;
	size_t i, max;

	yyjson_obj_foreach(v->top, i, max, key, val)
		if (strcmp(yyjson_get_str(key), "maps"))
			outline_of(v, yyjson_get_str(key), val);
}

/* ------------------------------------------------------------------ counters */

/* Eight heights between the least and the largest; one height when all are the same. */
static void sparkline(yyjson_val *samples, const char *key, char *buf, size_t size)
{
	size_t nr = yyjson_arr_size(samples), skip = nr > MAX_SPARKS ? nr - MAX_SPARKS : 0, i, max, n = 0;
	int64_t lo = INT64_MAX, hi = 0;
	yyjson_val *s;

	yyjson_arr_foreach(samples, i, max, s) {
		int64_t val = yyjson_get_sint(yyjson_obj_get(s, key));

		if (i < skip)
			continue;
		val = val < 0 ? 0 : val;
		lo = val < lo ? val : lo;
		hi = val > hi ? val : hi;
	}
	yyjson_arr_foreach(samples, i, max, s) {
		int64_t val = yyjson_get_sint(yyjson_obj_get(s, key));
		unsigned int height = hi ? 4 : 0;

		if (i < skip || n + 4 > size)
			continue;
		val = val < 0 ? 0 : val;
		if (hi > lo)
			height = (double)(val - lo) * 7 / (hi - lo);
		n += snprintf(buf + n, size - n, "\xe2\x96%c", 0x81 + height);
	}
	buf[n] = '\0';
}

static void view_timeline(struct view *v)
{
	yyjson_val *samples = yyjson_obj_get(v->top, "event_counter_timeline"), *s, *key, *val;
	yyjson_val *last = yyjson_arr_get_last(samples);
	uint64_t first = num(yyjson_arr_get_first(samples), "elapsed_ms");
	char title[96], sparks[3 * MAX_SPARKS + 1];
	size_t i, max, k, nr, shown = 0;

	yyjson_obj_foreach(last, k, nr, key, val) {
		const char *name = yyjson_get_str(key);
		bool any = v->opts.all;

		yyjson_arr_foreach(samples, i, max, s)
			any |= yyjson_get_sint(yyjson_obj_get(s, name)) != 0;
		if (!any || !strcmp(name, "elapsed_ms"))
			continue;
		if (!shown++) {
			snprintf(title, sizeof(title), "Event counters, %zu samples of %.3f s",
				 yyjson_arr_size(samples), (num(last, "elapsed_ms") - first) / 1e3);
			heading(v, title);
		}
		sparkline(samples, name, sparks, sizeof(sparks));
		line(v, "  %-30.30s %s  %lld", name, sparks, (long long)yyjson_get_sint(val));
	}
}

/* Without samples over time, what each scheduler's counters had come to. */
static void view_events(struct view *v)
{
	yyjson_val *arr = yyjson_obj_get(v->kt, "schedulers"), *sched, *key, *val;
	size_t i, max, k, nr;
	char title[96];

	view_timeline(v);
	yyjson_arr_foreach(arr, i, max, sched) {
		bool any = false;

		if (i && yyjson_arr_size(yyjson_obj_get(v->top, "event_counter_timeline")) && i >= cap(v, MAX_OTHERS))
			break;
		yyjson_obj_foreach(yyjson_obj_get(sched, "event_counters"), k, nr, key, val) {
			if (!v->opts.all && !yyjson_get_sint(val))
				continue;
			if (!any) {
				snprintf(title, sizeof(title), "Event counters of %.60s", str(sched, "name"));
				heading(v, title);
			}
			any = true;
			line(v, "  %-40.40s %lld", yyjson_get_str(key), (long long)yyjson_get_sint(val));
		}
	}
}

/* Reports of ktstr say less of their CPUs than ours. */
static void view_ktstr_cpus(struct view *v)
{
	yyjson_val *rqs = yyjson_obj_get(v->top, "rq_scx_states"), *regs = yyjson_obj_get(v->top, "vcpu_regs");
	size_t i, max;
	yyjson_val *rq;

	if (v->kt || !yyjson_arr_size(rqs))
		return;
	heading(v, "CPUs");
	line(v, "  %3s %-25s %3s  %-18s", "CPU", "RUNNING", "EXT", "IP");
	yyjson_arr_foreach(rqs, i, max, rq) {
		yyjson_val *r = yyjson_arr_get(regs, num(rq, "cpu"));
		char curr[64], ip[24] = "";

		if (i == cap(v, MAX_CPUS)) {
			line(v, "      … and %zu more", max - i);
			break;
		}
		snprintf(curr, sizeof(curr), "%s[%lld]", str(rq, "curr_comm"),
			 (long long)yyjson_get_sint(yyjson_obj_get(rq, "curr_pid")));
		if (is_num(r, "instruction_pointer"))
			snprintf(ip, sizeof(ip), "0x%llx", (unsigned long long)num(r, "instruction_pointer"));
		line(v, "  %3llu %-25.25s %3llu  %s", (unsigned long long)num(rq, "cpu"), curr,
		     (unsigned long long)num(rq, "nr_running"), ip);
	}
}

/* ------------------------------------------------------------- early against late */

/* One line of names, or of whatever fn puts into the buffer, the first of a list. */
static void view_some(struct view *v, const char *title, yyjson_val *arr, uint64_t nr,
		      void (*fn)(struct view *v, yyjson_val *item, char *buf, size_t size))
{
	char buf[512];
	yyjson_val *item;
	size_t i, max, len = 0;

	if (!nr)
		return;
	buf[0] = '\0';
	yyjson_arr_foreach(arr, i, max, item) {
		char one[160];

		fn(v, item, one, sizeof(one));
		if (i == MAX_OTHERS || len + strlen(one) + 2 > WIDTH - 24)
			break;
		len += snprintf(buf + len, sizeof(buf) - len, "%s%s", i ? ", " : "", one);
	}
	line(v, "  %-9s %s%s", title, buf, nr > i ? ", …" : "");
}

static void say_task(struct view *v, yyjson_val *item, char *buf, size_t size)
{
	(void)v;
	name_of(item, buf, size);
}

static void say_count(yyjson_val *item, const char *key, char *buf, size_t size)
{
	if (is_num(item, key))
		snprintf(buf, size, "%llu", (unsigned long long)num(item, key));
	else
		snprintf(buf, size, "none");
}

static void say_queue(struct view *v, yyjson_val *item, char *buf, size_t size)
{
	char early[24], late[24];

	(void)v;
	say_count(item, "early_nr", early, sizeof(early));
	say_count(item, "late_nr", late, sizeof(late));
	snprintf(buf, size, "%s 0x%llx: %s to %s", str(item, "origin"),
		 (unsigned long long)num(item, "id"), early, late);
}

static void say_leaf(struct view *v, yyjson_val *item, char *buf, size_t size)
{
	char text[2][40];
	static const char *const keys[] = { "early", "late" };

	(void)v;
	for (size_t i = 0; i < 2; i++) {
		yyjson_val *val = yyjson_obj_get(item, keys[i]);

		if (yyjson_is_str(val))
			snprintf(text[i], sizeof(text[i]), "%.32s", yyjson_get_str(val));
		else if (yyjson_is_uint(val))
			snprintf(text[i], sizeof(text[i]), "%llu",
				 (unsigned long long)yyjson_get_uint(val));
		else if (yyjson_is_int(val))
			snprintf(text[i], sizeof(text[i]), "%lld", (long long)yyjson_get_sint(val));
		else if (yyjson_is_bool(val))
			snprintf(text[i], sizeof(text[i]), "%s",
				 yyjson_get_bool(val) ? "true" : "false");
		else
			snprintf(text[i], sizeof(text[i]), "%s", val && !yyjson_is_null(val) ? "…" : "none");
	}
	snprintf(buf, size, "%.48s: %s to %s", str(item, "path"), text[0], text[1]);
}

/* The first scheduler's counters that have moved. */
static void view_counters(struct view *v, yyjson_val *diff)
{
	yyjson_val *sched = yyjson_arr_get_first(yyjson_obj_get(diff, "counters")), *key, *val;
	size_t i, max;

	yyjson_obj_foreach(yyjson_obj_get(sched, "counters"), i, max, key, val) {
		if (i == MAX_OTHERS)
			break;
		line(v, "  %-9s %s %+lld", i ? "" : "counters", yyjson_get_str(key),
		     (long long)yyjson_get_sint(val));
	}
}

/* What happened since the early snapshot, of a dual report. */
static void view_difference(struct view *v)
{
	yyjson_val *diff = yyjson_obj_get(yyjson_obj_get(v->dual, "ktdump"), "difference");
	yyjson_val *maps = yyjson_obj_get(diff, "maps"), *map;
	size_t i, max, shown = 0;
	char title[80];

	if (!diff)
		return;
	snprintf(title, sizeof(title), "Since half-time, %.3f s before", num(diff, "elapsed_ns") / 1e9);
	heading(v, title);
	view_some(v, "stuck", yyjson_obj_get(diff, "stuck"), num(diff, "tasks_stuck"), say_task);
	view_some(v, "ran", yyjson_obj_get(diff, "tasks"), num(diff, "tasks_changed"), say_task);
	view_some(v, "queues", yyjson_obj_get(diff, "dsqs"), num(diff, "dsqs_changed"), say_queue);
	view_counters(v, diff);
	yyjson_arr_foreach(maps, i, max, map) {
		if (!num(map, "leaves_changed") || shown++ == MAX_OTHERS)
			continue;
		view_some(v, str(map, "name"), yyjson_obj_get(map, "leaves"),
			  num(map, "leaves_changed"), say_leaf);
	}
}

/* ---------------------------------------------------------------------- the whole */

static const struct section {
	const char *name;
	void (*view)(struct view *v);
	bool more;	/* not on the one screen */
} sections[] = {
	{ "summary", view_head, false },
	{ "hints", view_hints, false },
	{ "waiting", view_waiting, false },
	{ "tasks", view_enrichments, true },
	{ "cpus", view_cpus, false },
	{ "cpus", view_ktstr_cpus, false },
	{ "queues", view_queues, false },
	{ "difference", view_difference, false },
	{ "schedulers", view_scheds, false },
	{ "counters", view_events, true },
	{ "map-list", view_maps, false },
	{ "maps", view_contents, true },
	{ "allocations", view_allocations, true },
	{ "programs", view_programs, true },
	{ "missing", view_missing, false },
	{ "backtrace", view_backtrace, false },
};

bool view_has_section(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		if (!strcmp(sections[i].name, name))
			return true;
	return false;
}

static bool is_wanted(const struct view *v, const struct section *s)
{
	for (size_t i = 0; i < v->opts.nr_sections; i++)
		if (!strcmp(v->opts.sections[i], s->name))
			return true;
	/* The list says less than the contents. */
	return !v->opts.nr_sections && (v->opts.contents ? s->view != view_maps : !s->more);
}

static int view_sections(struct view *v)
{
	if (v->opts.map) {
		view_contents(v);
	} else if (v->opts.task) {
		view_task(v);
	} else if (v->opts.cpu >= 0) {
		view_one_cpu(v);
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
			if (is_wanted(v, &sections[i]))
				sections[i].view(v);
		if (v->opts.all && !v->opts.nr_sections)
			view_rest(v);
		return 0;
	}
	return v->found ? 0 : -ENOENT;
}

static int view_init(struct view *v, yyjson_val *top, const struct view_options *opts)
{
	int err;

	v->opts = *opts;
	v->top = top;
	if (!strcmp(str(top, "schema"), "dual")) {
		v->dual = top;
		v->top = yyjson_obj_get(top, opts->early ? "early" : "late");
	} else if (opts->early) {
		return -ENOENT;
	}
	if (strcmp(str(v->top, "schema"), "single"))
		return opts->early && yyjson_is_null(v->top) ? -ENOENT : -EBADMSG;
	v->kt = yyjson_obj_get(v->top, "ktdump");
	err = load_tasks(v);
	return err ? err : load_cpus(v);
}

char *view_bug_summary(yyjson_val *top)
{
	const struct view_options opts = { .cpu = -1 };
	char buf[1000] = "";
	struct view v = {};

	if (!view_init(&v, top, &opts))
		say_bug(&v, buf, sizeof(buf));
	free(v.tasks);
	free(v.cpus);
	return strdup(buf);
}

int view_show(yyjson_val *top, FILE *out, const struct view_options *opts)
{
	struct view v = { .out = out };
	int err = view_init(&v, top, opts);

	if (!err)
		err = view_sections(&v);
	fflush(out);
	free(v.tasks);
	free(v.cpus);
	return err;
}

int view_report(yyjson_val *top, FILE *out)
{
	return view_show(top, out, &(struct view_options){ .cpu = -1 });
}

int view_text(const char *json, size_t len, FILE *out)
{
	yyjson_doc *doc = yyjson_read(json, len, 0);
	int err = view_report(yyjson_doc_get_root(doc), out);

	yyjson_doc_free(doc);
	return err;
}
