// SPDX-License-Identifier: GPL-2.0-only
/*
 * "ktcollect trace": what a report knows over time, in the JSON form that Perfetto's UI and its
 * trace_processor open ("Trace Event Format"). A track per CPU, of who ran on it; counter
 * tracks; what happened at one moment as instants. Times are the guest's CLOCK_MONOTONIC.
 */
#include <inttypes.h>
#include <string.h>

#include "collector.h"
#include "json.h"
#include "show.h"
#include "trace.h"
#include "view.h"

#define MAX_CPUS	8192
#define MAX_CONTENDED	256	/* tasks that wait for locks at the same time */
#define MAX_NAME	64	/* bytes of a task's or counter's name */

static const char usage[] =
	"Usage: ktcollect trace [OPTION]... REPORT\n"
	"Make a trace of a failure report (of ktcollect or ktstr) for Perfetto\n"
	"(https://ui.perfetto.dev or trace_processor): who ran on each CPU, wakeups, event\n"
	"counters, lengths of queues, the freeze.\n"
	"\n"
	"  -o, --output FILE        where to (default: REPORT with .trace.json for .json;\n"
	"                           \"-\" is standard output)\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 success, 1 not a report or it cannot be written, 2 wrong usage.\n";

/* Groups of tracks; Perfetto calls them processes. */
enum track_group { GROUP_CPUS = 1, GROUP_COUNTERS, GROUP_QUEUES, GROUP_LOCKS };

static const char *const group_names[] = {
	[GROUP_CPUS] = "CPUs", [GROUP_COUNTERS] = "Event counters", [GROUP_QUEUES] = "Queue lengths",
	[GROUP_LOCKS] = "Lock contention",
};

struct running {
	uint64_t since;
	yyjson_val *comm;
	int64_t pid, prio;
	bool known;		/* who runs */
	bool from_before;	/* since when is not known */
	bool named;		/* the track has its name */
};

struct waiting {
	uint64_t since, cpu;
	yyjson_val *lock;
	int64_t pid;
};

struct trace {
	FILE *f;
	yyjson_val *top, *kt;	/* the report, or the late half of a dual one */
	yyjson_val *early;	/* NULL: there is none */
	bool more;		/* an event was written */
	bool groups[ARRAY_SIZE(group_names)];
	struct running *cpus;	/* MAX_CPUS */
	struct waiting waiting[MAX_CONTENDED];
	size_t nr_waiting;
	uint64_t begin, end;	/* of the scheduler's timeline, ns */
};

/* --------------------------------------------------------------------- events */

/* The beginning of an event; what belongs to it follows, then end_event(). */
static void begin_event(struct trace *t, char phase, enum track_group group, uint64_t track)
{
	if (!t->groups[group]) {
		t->groups[group] = true;
		fprintf(t->f, "%s{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{\"name\":\"%s\"}},\n"
			"{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":%d,\"args\":{\"sort_index\":%d}}",
			t->more ? ",\n" : "\n", group, group_names[group], group, group);
		t->more = true;
	}
	fprintf(t->f, "%s{\"ph\":\"%c\",\"pid\":%d,\"tid\":%" PRIu64, t->more ? ",\n" : "\n", phase, group, track);
	t->more = true;
}

static void end_event(struct trace *t)
{
	fputc('}', t->f);
}

/* Microseconds with the nanoseconds behind the point. */
static void put_time(struct trace *t, const char *key, uint64_t ns)
{
	fprintf(t->f, ",\"%s\":%" PRIu64 ".%03u", key, ns / 1000, (unsigned int)(ns % 1000));
}

/* The first bytes of a name, whole characters. */
static void put_text(struct trace *t, const char *key, const char *s)
{
	size_t n = strnlen(s, MAX_NAME);

	while (s[n] && n && (s[n] & 0xc0) == 0x80)
		n--;
	fprintf(t->f, ",\"%s\":", key);
	json_print_text(t->f, s, n);
}

static void put_name(struct trace *t, const char *what, const char *comm, int64_t pid)
{
	char buf[MAX_NAME + 64];
	size_t n = strnlen(comm, MAX_NAME - 32);

	while (comm[n] && n && (comm[n] & 0xc0) == 0x80)
		n--;
	snprintf(buf, sizeof(buf), "%s%.*s[%" PRId64 "]", what, (int)n, comm, pid);
	put_text(t, "name", buf);
}

static void counter(struct trace *t, enum track_group group, const char *name, uint64_t ns, int64_t value)
{
	begin_event(t, 'C', group, 0);
	put_time(t, "ts", ns);
	put_text(t, "name", name);
	fprintf(t->f, ",\"args\":{\"value\":%" PRId64 "}", value);
	end_event(t);
}

static int64_t snum(yyjson_val *obj, const char *key)
{
	return yyjson_get_sint(yyjson_obj_get(obj, key));
}

/* ----------------------------------------------------------- the scheduler's timeline */

/* A CPU's track; NULL when there can be no such CPU. */
static struct running *track(struct trace *t, uint64_t cpu)
{
	struct running *r = cpu < MAX_CPUS ? &t->cpus[cpu] : NULL;

	if (!r || r->named)
		return r;
	r->named = true;
	/* Perfetto takes thread 0 for something else. */
	begin_event(t, 'M', GROUP_CPUS, cpu + 1);
	fprintf(t->f, ",\"name\":\"thread_name\",\"args\":{\"name\":\"CPU %" PRIu64 "\"}", cpu);
	end_event(t);
	begin_event(t, 'M', GROUP_CPUS, cpu + 1);
	fprintf(t->f, ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%" PRIu64 "}", cpu);
	end_event(t);
	return r;
}

/* Who ran until now. The idle task leaves a gap. @state: -1 when it is not known. */
static void put_run(struct trace *t, uint64_t cpu, const struct running *r, uint64_t until, int64_t state)
{
	if (!r->known || !r->pid || until < r->since)
		return;
	begin_event(t, 'X', GROUP_CPUS, cpu + 1);
	put_time(t, "ts", r->since);
	put_time(t, "dur", until - r->since);
	put_name(t, "", r->comm ? yyjson_get_str(r->comm) : "", r->pid);
	fprintf(t->f, ",\"args\":{\"pid\":%" PRId64 ",\"prio\":%" PRId64, r->pid, r->prio);
	if (state >= 0)
		fprintf(t->f, ",\"state after\":%" PRId64, state);
	if (r->from_before)
		fputs(",\"began\":\"before the timeline\"", t->f);
	fputc('}', t->f);
	end_event(t);
}

static yyjson_val *text_of(yyjson_val *obj, const char *key)
{
	yyjson_val *v = yyjson_obj_get(obj, key);

	return yyjson_is_str(v) ? v : NULL;
}

static void on_switch(struct trace *t, yyjson_val *e, uint64_t ns, uint64_t cpu)
{
	struct running *r = track(t, cpu);

	if (!r)
		return;
	if (!r->known) {
		r->since = t->begin;
		r->from_before = r->known = true;
		r->pid = snum(e, "prev_pid");
		r->prio = snum(e, "prev_prio");
		r->comm = text_of(e, "prev_comm");
	}
	/* Somebody else is switched away from: what was between is lost. */
	put_run(t, cpu, r, ns, r->pid == snum(e, "prev_pid") ? snum(e, "prev_state") : -1);
	r->since = ns;
	r->from_before = false;
	r->pid = snum(e, "next_pid");
	r->prio = snum(e, "next_prio");
	r->comm = text_of(e, "next_comm");
}

/* Numbers of an event as arguments of an instant. */
static void instant(struct trace *t, yyjson_val *e, const char *what, uint64_t ns, uint64_t cpu)
{
	static const char *const keys[] = {
		"prio", "target_cpu", "orig_cpu", "dest_cpu", "old_prio", "new_prio",
	};
	bool any = false;

	if (!track(t, cpu))
		return;
	begin_event(t, 'i', GROUP_CPUS, cpu + 1);
	put_time(t, "ts", ns);
	put_name(t, what, str(e, "comm"), snum(e, "pid"));
	fputs(",\"s\":\"t\",\"args\":{", t->f);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!is_num(e, keys[i]))
			continue;
		fprintf(t->f, "%s\"%s\":%" PRId64, any ? "," : "", keys[i], snum(e, keys[i]));
		any = true;
	}
	fputc('}', t->f);
	end_event(t);
}

static void put_contention(struct trace *t, const struct waiting *w, uint64_t until, bool ended)
{
	char lock[32] = "";

	if (yyjson_is_uint(w->lock))
		snprintf(lock, sizeof(lock), "0x%" PRIx64, yyjson_get_uint(w->lock));
	/* Each wait is a track of its own: waits of one CPU need not lie within each other. */
	begin_event(t, 'b', GROUP_LOCKS, w->cpu + 1);
	put_time(t, "ts", w->since);
	fprintf(t->f, ",\"cat\":\"lock\",\"id\":%" PRId64, w->pid);
	put_name(t, "waits for a lock: ", "pid ", w->pid);
	fprintf(t->f, ",\"args\":{\"cpu\":%" PRIu64, w->cpu);
	put_text(t, "lock", yyjson_is_str(w->lock) ? yyjson_get_str(w->lock) : lock);
	fprintf(t->f, ",\"ended\":%s}", ended ? "true" : "false");
	end_event(t);
	begin_event(t, 'e', GROUP_LOCKS, w->cpu + 1);
	put_time(t, "ts", until);
	fprintf(t->f, ",\"cat\":\"lock\",\"id\":%" PRId64, w->pid);
	put_name(t, "waits for a lock: ", "pid ", w->pid);
	end_event(t);
}

static void on_contention(struct trace *t, yyjson_val *e, uint64_t ns, uint64_t cpu, bool begins)
{
	yyjson_val *lock = yyjson_obj_get(e, "lock");
	int64_t pid = snum(e, "pid");

	for (size_t i = 0; i < t->nr_waiting; i++) {
		struct waiting *w = &t->waiting[i];

		if (w->pid != pid || !yyjson_equals(w->lock, lock))
			continue;
		put_contention(t, w, ns, !begins);
		*w = t->waiting[--t->nr_waiting];
		break;
	}
	/* What has no room is left out. The end of what began before the timeline is no news. */
	if (begins && t->nr_waiting < MAX_CONTENDED && cpu < MAX_CPUS)
		t->waiting[t->nr_waiting++] = (struct waiting){ ns, cpu, lock, pid };
}

struct event_ref {
	uint64_t ns;
	size_t place;
	yyjson_val *event;
};

static int by_time(const void *a, const void *b)
{
	const struct event_ref *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void put_event(struct trace *t, yyjson_val *e, uint64_t ns)
{
	static const struct {
		const char *kind, *what;
	} instants[] = {
		{ "wakeup", "wakes " }, { "migrate", "migrates " }, { "pi_boost", "boosts " },
	};
	const char *kind = str(e, "kind");
	uint64_t cpu = is_num(e, "cpu") ? num(e, "cpu") : MAX_CPUS;

	if (!strcmp(kind, "switch"))
		on_switch(t, e, ns, cpu);
	else if (!strcmp(kind, "contention_begin") || !strcmp(kind, "contention_end"))
		on_contention(t, e, ns, cpu, !strcmp(kind, "contention_begin"));
	for (size_t i = 0; i < ARRAY_SIZE(instants); i++)
		if (!strcmp(kind, instants[i].kind))
			instant(t, e, instants[i].what, ns, cpu);
}

static void sched_timeline(struct trace *t)
{
	_cleanup_free_ struct event_ref *refs = NULL;
	yyjson_val *arr = yyjson_obj_get(yyjson_obj_get(t->kt, "sched_timeline"), "events"), *e;
	size_t i, max, nr = 0;

	refs = calloc(yyjson_arr_size(arr) + 1, sizeof(*refs));
	if (!refs)
		return;
	yyjson_arr_foreach(arr, i, max, e)
		if (is_num(e, "ns"))
			refs[nr++] = (struct event_ref){ num(e, "ns"), i, e };
	if (!nr)
		return;
	qsort(refs, nr, sizeof(*refs), by_time);
	t->begin = refs[0].ns;
	t->end = num(yyjson_obj_get(t->kt, "trigger"), "mono_ns");
	if (t->end < refs[nr - 1].ns)
		t->end = refs[nr - 1].ns;
	for (i = 0; i < nr; i++)
		put_event(t, refs[i].event, refs[i].ns);
	for (i = 0; i < MAX_CPUS; i++)
		put_run(t, i, &t->cpus[i], t->end, -1);
	for (i = 0; i < t->nr_waiting; i++)
		put_contention(t, &t->waiting[i], t->end, false);
}

/* ------------------------------------------------------------------ counters */

/* Those that are not zero all the time, by name, then by time. */
static void event_counters(struct trace *t)
{
	yyjson_val *arr = yyjson_obj_get(t->top, "event_counter_timeline"), *sample, *key, *v;
	size_t i, k, max, kmax;

	yyjson_obj_foreach(yyjson_arr_get_last(arr), k, kmax, key, v) {
		const char *name = yyjson_get_str(key);
		bool any = false;

		if (!strcmp(name, "elapsed_ms"))
			continue;
		yyjson_arr_foreach(arr, i, max, sample)
			any |= snum(sample, name) != 0;
		if (!any)
			continue;
		yyjson_arr_foreach(arr, i, max, sample)
			if (num(sample, "elapsed_ms") < UINT64_MAX / 1000000)
				counter(t, GROUP_COUNTERS, name, num(sample, "elapsed_ms") * 1000000,
					snum(sample, name));
	}
}

/* The moment of a report; of one of ktstr the last sample of its counters. */
static uint64_t moment(yyjson_val *top)
{
	yyjson_val *trigger = yyjson_obj_get(yyjson_obj_get(top, "ktdump"), "trigger");
	yyjson_val *sample = yyjson_arr_get_last(yyjson_obj_get(top, "event_counter_timeline"));
	uint64_t ms = num(sample, "elapsed_ms");

	if (is_num(trigger, "mono_ns"))
		return num(trigger, "mono_ns");
	return ms < UINT64_MAX / 1000000 ? ms * 1000000 : 0;
}

static uint64_t length_in(yyjson_val *top, yyjson_val *queue)
{
	yyjson_val *arr = yyjson_obj_get(top, "dsq_states"), *q;
	size_t i, max;

	yyjson_arr_foreach(arr, i, max, q)
		if (num(q, "id") == num(queue, "id") && !strcmp(str(q, "origin"), str(queue, "origin")))
			return num(q, "nr");
	return 0;
}

/* Their lengths are known when a report was made, twice in a dual one. */
static void queue_lengths(struct trace *t)
{
	yyjson_val *arr = yyjson_obj_get(t->top, "dsq_states"), *q;
	size_t i, max;

	yyjson_arr_foreach(arr, i, max, q) {
		uint64_t early = t->early ? length_in(t->early, q) : 0;
		char name[MAX_NAME];

		if (!early && !num(q, "nr"))
			continue;
		if (!strcmp(str(q, "origin"), "user"))
			snprintf(name, sizeof(name), "user 0x%" PRIx64, num(q, "id"));
		else
			snprintf(name, sizeof(name), "%.48s", str(q, "origin"));
		if (t->early)
			counter(t, GROUP_QUEUES, name, moment(t->early), early);
		counter(t, GROUP_QUEUES, name, moment(t->top), num(q, "nr"));
	}
}

/* -------------------------------------------------------------------- the freeze */

static void freeze(struct trace *t, yyjson_val *top, const char *what)
{
	yyjson_val *kt = yyjson_obj_get(top, "ktdump"), *trigger = yyjson_obj_get(kt, "trigger");
	yyjson_val *exit = yyjson_arr_get_first(yyjson_obj_get(kt, "exits"));

	begin_event(t, 'i', GROUP_CPUS, is_num(trigger, "cpu") ? num(trigger, "cpu") % MAX_CPUS + 1 : 0);
	put_time(t, "ts", moment(top));
	put_text(t, "name", what);
	fputs(",\"s\":\"g\",\"args\":{\"held_ns\":", t->f);
	fprintf(t->f, "%" PRIu64, num(yyjson_obj_get(kt, "freeze"), "held_ns"));
	put_text(t, "exit", str(trigger, "exit_kind_name"));
	put_text(t, "reason", str(exit, "reason"));
	put_text(t, "message", str(exit, "msg"));
	put_text(t, "task", str(trigger, "comm"));
	fputc('}', t->f);
	end_event(t);
}

/* What each CPU was at when it stood still. */
static void at_the_end(struct trace *t)
{
	yyjson_val *arr = yyjson_obj_get(t->kt ? t->kt : t->top, t->kt ? "rqs" : "rq_scx_states"), *rq;
	size_t i, max;

	yyjson_arr_foreach(arr, i, max, rq) {
		uint64_t cpu = is_num(rq, "cpu") ? num(rq, "cpu") : MAX_CPUS;

		if (!track(t, cpu))
			continue;
		begin_event(t, 'i', GROUP_CPUS, cpu + 1);
		put_time(t, "ts", moment(t->top));
		put_name(t, "frozen in ", str(rq, "curr_comm"), snum(rq, "curr_pid"));
		fputs(",\"s\":\"t\"", t->f);
		end_event(t);
	}
}

static void write_trace(FILE *f, yyjson_val *report)
{
	_cleanup_free_ struct running *cpus = calloc(MAX_CPUS, sizeof(*cpus));
	struct trace t = { .f = f, .top = report, .cpus = cpus };
	yyjson_val *timeline;

	if (!strcmp(str(report, "schema"), "dual")) {
		t.top = yyjson_obj_get(report, "late");
		t.early = yyjson_obj_get(report, "early");
		if (strcmp(str(t.early, "schema"), "single"))
			t.early = NULL;
	}
	t.kt = yyjson_obj_get(t.top, "ktdump");
	timeline = yyjson_obj_get(t.kt, "sched_timeline");
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", f);
	if (cpus) {
		sched_timeline(&t);
		event_counters(&t);
		queue_lengths(&t);
		at_the_end(&t);
		if (t.early)
			freeze(&t, t.early, "early freeze");
		freeze(&t, t.top, "freeze");
	}
	fputs("\n],\"otherData\":{\"made by\":\"ktcollect " KTC_VERSION "\"", f);
	if (is_num(timeline, "lost"))
		fprintf(f, ",\"lost events\":\"%" PRIu64 "\"", num(timeline, "lost"));
	fputs("}}\n", f);
}

int trace_write(yyjson_val *report, const char *path)
{
	return view_write(path, report, write_trace);
}

int trace_main(int argc, char **argv)
{
	return show_to_file(argc, argv, usage, ".trace.json", trace_write);
}
