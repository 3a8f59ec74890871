// SPDX-License-Identifier: GPL-2.0-only
/* "ktcollect diff": what is different in a later report, by meaning. */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "collector.h"
#include "diff.h"
#include "difference.h"
#include "json.h"
#include "log.h"
#include "show.h"
#include "view.h"

#define MAX_ROWS 16	/* of a list; --all shows what --json has */
#define SHOWN 40	/* of a value or a name */

static const char usage[] =
	"Usage: ktcollect diff [OPTION]... REPORT LATER\n"
	"       ktcollect diff [OPTION]... DUAL\n"
	"What is different in a later report, or in the late half of a dual one: tasks, queues,\n"
	"CPUs, counters, state, values of maps. Reports of ktcollect or ktstr; one of the two may\n"
	"be \"-\", standard input.\n"
	"\n"
	"      --all                all rows of each list (256 at most)\n"
	"      --json               as JSON: ktdump.difference of docs/report.md\n"
	"      --exit-code          exit status 3 when there is a difference\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 success, 1 not a report, 2 wrong usage, 3 different (--exit-code).\n";

enum { OPT_ALL = 256, OPT_JSON, OPT_EXIT_CODE };

static const struct option long_options[] = {
	{ "all", no_argument, NULL, OPT_ALL },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "exit-code", no_argument, NULL, OPT_EXIT_CODE },
	{ "help", no_argument, NULL, 'h' },
	{}
};

struct out {
	yyjson_val *diff;
	yyjson_val *early, *late;	/* the reports */
	size_t max;		/* rows of a list */
	bool open;		/* the list has its heading */
	size_t shown, left;
};

/* ----------------------------------------------------------------------- text */

static void begin(struct out *o)
{
	o->open = false;
	o->shown = o->left = 0;
}

/* One line of a list, which has its heading before the first. */
static void __printf(3, 4) row(struct out *o, const char *title, const char *fmt, ...)
{
	struct view_line l = { .out = stdout, .indent = 1, .col = 2 };
	char buf[1024];
	va_list ap;

	if (!o->open)
		view_heading(stdout, title);
	o->open = true;
	if (o->shown == o->max) {
		o->left++;
		return;
	}
	o->shown++;
	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	fputs("  ", stdout);
	view_words(&l, buf);
	fputc('\n', stdout);
}

/* @nr: how many there are, of which the report may have the first only. */
static void end(struct out *o, uint64_t nr)
{
	if (nr > o->shown + o->left)
		o->left = nr - o->shown;
	if (o->left)
		printf("  … and %zu more\n", o->left);
}

static const char *value(yyjson_val *v, char *buf, size_t size)
{
	const char *s = yyjson_get_str(v);

	if (s) {
		size_t n = strnlen(s, SHOWN);

		while (s[n] && n && (s[n] & 0xc0) == 0x80)
			n--;
		snprintf(buf, size, "%.*s%s", (int)n, s, s[n] ? "…" : "");
	} else if (yyjson_is_uint(v)) {
		/* Addresses, sizes of 64 bits. */
		snprintf(buf, size, yyjson_get_uint(v) >> 48 ? "0x%" PRIx64 : "%" PRIu64, yyjson_get_uint(v));
	} else if (yyjson_is_sint(v)) {
		snprintf(buf, size, "%" PRId64, yyjson_get_sint(v));
	} else if (yyjson_is_real(v)) {
		snprintf(buf, size, "%g", yyjson_get_real(v));
	} else if (yyjson_is_bool(v)) {
		snprintf(buf, size, "%s", yyjson_get_bool(v) ? "true" : "false");
	} else {
		snprintf(buf, size, "none");
	}
	return buf;
}

static void leaves(struct out *o, yyjson_val *list, const char *title)
{
	char early[4 * SHOWN], late[4 * SHOWN];
	yyjson_val *leaf;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, leaf)
		row(o, title, "%.200s: %s to %s", str(leaf, "path"),
		    value(yyjson_obj_get(leaf, "early"), early, sizeof(early)),
		    value(yyjson_obj_get(leaf, "late"), late, sizeof(late)));
}

static void show_state(struct out *o)
{
	begin(o);
	leaves(o, yyjson_obj_get(o->diff, "state"), "Schedulers");
	end(o, num(o->diff, "state_changed"));
}

static void show_counters(struct out *o)
{
	yyjson_val *list = yyjson_obj_get(o->diff, "counters"), *sched, *key, *v;
	size_t i, max, k, kmax;

	begin(o);
	yyjson_arr_foreach(list, i, max, sched)
		yyjson_obj_foreach(yyjson_obj_get(sched, "counters"), k, kmax, key, v)
			row(o, "Event counters", "%.60s %+" PRId64, yyjson_get_str(key), yyjson_get_sint(v));
	end(o, 0);
}

static void show_queues(struct out *o)
{
	yyjson_val *list = yyjson_obj_get(o->diff, "dsqs"), *q;
	char early[4 * SHOWN], late[4 * SHOWN];
	size_t i, max;

	begin(o);
	yyjson_arr_foreach(list, i, max, q)
		row(o, "Queues", "%.60s 0x%" PRIx64 ": %s to %s", str(q, "origin"), num(q, "id"),
		    value(yyjson_obj_get(q, "early_nr"), early, sizeof(early)),
		    value(yyjson_obj_get(q, "late_nr"), late, sizeof(late)));
	end(o, num(o->diff, "dsqs_changed"));
}

static bool cpu_differs(yyjson_val *c)
{
	yyjson_val *e = yyjson_obj_get(c, "early_pid"), *l = yyjson_obj_get(c, "late_pid");

	return yyjson_get_sint(yyjson_obj_get(c, "switches")) || (e != l && !yyjson_equals(e, l));
}

static void show_cpus(struct out *o)
{
	yyjson_val *list = yyjson_obj_get(o->diff, "rqs"), *c;
	char early[4 * SHOWN], late[4 * SHOWN];
	size_t i, max;

	begin(o);
	yyjson_arr_foreach(list, i, max, c)
		if (cpu_differs(c))
			row(o, "CPUs", "CPU %" PRIu64 ": %+" PRId64 " switches, pid %s to %s", num(c, "cpu"),
			    yyjson_get_sint(yyjson_obj_get(c, "switches")),
			    value(yyjson_obj_get(c, "early_pid"), early, sizeof(early)),
			    value(yyjson_obj_get(c, "late_pid"), late, sizeof(late)));
	end(o, 0);
}

static void task_name(yyjson_val *t, char *buf, size_t size)
{
	snprintf(buf, size, "%.40s[%" PRId64 "]", str(t, "comm"), yyjson_get_sint(yyjson_obj_get(t, "pid")));
}

static void show_names(struct out *o, const char *title, const char *key, const char *count)
{
	yyjson_val *list = yyjson_obj_get(o->diff, key), *t;
	char name[64];
	size_t i, max;

	begin(o);
	yyjson_arr_foreach(list, i, max, t) {
		task_name(t, name, sizeof(name));
		row(o, title, "%s", name);
	}
	end(o, num(o->diff, count));
}

/* A task's queue by its name; the difference has the address. */
static const char *queue(yyjson_val *report, yyjson_val *kva, char *buf, size_t size)
{
	yyjson_val *list = yyjson_obj_get(yyjson_obj_get(report, "ktdump"), "dsqs"), *q;
	size_t i, max;

	if (!yyjson_get_uint(kva))
		return "none";
	yyjson_arr_foreach(list, i, max, q) {
		if (num(q, "kva") != yyjson_get_uint(kva))
			continue;
		if (is_num(q, "cpu"))
			snprintf(buf, size, "%.20s cpu %" PRIu64, str(q, "origin"), num(q, "cpu"));
		else
			snprintf(buf, size, "%.20s 0x%" PRIx64, str(q, "origin"), num(q, "id"));
		return buf;
	}
	return value(kva, buf, size);
}

static void show_moved(struct out *o)
{
	enum { QUEUE = 1 };
	static const char *const places[][3] = {
		{ "CPU", "early_cpu", "late_cpu" },
		[QUEUE] = { "queue", "early_dsq", "late_dsq" },
		{ "runnable on", "early_runnable_on", "late_runnable_on" },
		{ "state", "early_state", "late_state" },
	};
	yyjson_val *list = yyjson_obj_get(o->diff, "tasks"), *t;
	char early[4 * SHOWN], late[4 * SHOWN];
	size_t i, max;

	begin(o);
	yyjson_arr_foreach(list, i, max, t) {
		char buf[512], name[64];
		int n;

		task_name(t, name, sizeof(name));
		n = snprintf(buf, sizeof(buf), "%s: %+" PRId64 " switches, ran %.3f ms", name,
			     yyjson_get_sint(yyjson_obj_get(t, "switches")),
			     yyjson_get_sint(yyjson_obj_get(t, "run_ns")) / 1e6);
		for (size_t k = 0; k < ARRAY_SIZE(places); k++) {
			yyjson_val *e = yyjson_obj_get(t, places[k][1]), *l = yyjson_obj_get(t, places[k][2]);

			if (e || l)
				n += snprintf(buf + n, sizeof(buf) - n, ", %s %s to %s", places[k][0],
					      k == QUEUE ? queue(o->early, e, early, sizeof(early)) :
					      value(e, early, sizeof(early)),
					      k == QUEUE ? queue(o->late, l, late, sizeof(late)) :
					      value(l, late, sizeof(late)));
			if (n >= (int)sizeof(buf) - 1)
				break;
		}
		row(o, "Tasks that ran or moved", "%s", buf);
	}
	end(o, num(o->diff, "tasks_changed"));
}

static void show_maps(struct out *o)
{
	yyjson_val *list = yyjson_obj_get(o->diff, "maps"), *m;
	char title[80];
	size_t i, max;

	yyjson_arr_foreach(list, i, max, m) {
		snprintf(title, sizeof(title), "Map %.60s", str(m, "name"));
		begin(o);
		if (*str(m, "skipped"))
			row(o, title, "not compared: %s", str(m, "skipped"));
		leaves(o, yyjson_obj_get(m, "leaves"), title);
		end(o, num(m, "leaves_changed"));
	}
}

static bool differs(yyjson_val *diff)
{
	static const char *const counts[] = {
		"state_changed", "dsqs_changed", "tasks_changed", "tasks_new", "tasks_gone",
	};
	yyjson_val *list, *one;
	size_t i, max;

	for (i = 0; i < ARRAY_SIZE(counts); i++)
		if (num(diff, counts[i]))
			return true;
	list = yyjson_obj_get(diff, "counters");
	yyjson_arr_foreach(list, i, max, one)
		if (yyjson_obj_size(yyjson_obj_get(one, "counters")))
			return true;
	list = yyjson_obj_get(diff, "rqs");
	yyjson_arr_foreach(list, i, max, one)
		if (cpu_differs(one))
			return true;
	return yyjson_arr_size(yyjson_obj_get(diff, "maps"));
}

static void show_text(yyjson_val *diff, yyjson_val *early, yyjson_val *late, bool all)
{
	struct out o = { .diff = diff, .early = early, .late = late, .max = all ? SIZE_MAX : MAX_ROWS };

	if (is_num(diff, "elapsed_ns"))
		printf("%.3f s later, of the same boot\n", yyjson_get_sint(yyjson_obj_get(diff, "elapsed_ns")) / 1e9);
	show_state(&o);
	show_names(&o, "Tasks that wait and did not run", "stuck", "tasks_stuck");
	show_queues(&o);
	show_cpus(&o);
	show_moved(&o);
	show_names(&o, "New tasks", "new", "tasks_new");
	show_names(&o, "Tasks that are gone", "gone", "tasks_gone");
	show_counters(&o);
	show_maps(&o);
	if (!differs(diff))
		puts("no difference");
}

/* ------------------------------------------------------------------- the command */

static yyjson_val *late_of(yyjson_doc *doc)
{
	yyjson_val *top = yyjson_doc_get_root(doc);

	return strcmp(str(top, "schema"), "dual") ? top : yyjson_obj_get(top, "late");
}

/* Prints the difference; returns the exit status. */
static int diff(yyjson_val *early, yyjson_val *late, bool all, bool json, bool exit_code)
{
	_cleanup_free_ char *text = NULL;
	yyjson_mut_doc *mut = yyjson_mut_doc_new(NULL);
	yyjson_doc *doc = NULL;
	int ret = EXIT_ERROR;

	if (mut) {
		yyjson_mut_doc_set_root(mut, difference(mut, early, late, true));
		doc = yyjson_mut_doc_imut_copy(mut, NULL);
	}
	yyjson_mut_doc_free(mut);
	if (doc && json)
		text = yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);
	if (!doc || (json && !text)) {
		log_err("no memory");
	} else {
		if (json)
			json_puts(stdout, text);
		else
			show_text(yyjson_doc_get_root(doc), early, late, all);
		ret = exit_code && differs(yyjson_doc_get_root(doc)) ? EXIT_REPORT : EXIT_OK;
	}
	yyjson_doc_free(doc);
	return fflush(stdout) ? EXIT_ERROR : ret;
}

static int diff_files(int nr, char **paths, bool all, bool json, bool exit_code)
{
	yyjson_doc *a = show_load(paths[0]), *b = NULL;
	yyjson_val *early = NULL;
	int ret = EXIT_ERROR;

	if (a && nr == 2) {
		b = show_load(paths[1]);
		if (b)
			ret = diff(late_of(a), late_of(b), all, json, exit_code);
	} else if (a) {
		if (!strcmp(str(yyjson_doc_get_root(a), "schema"), "dual"))
			early = yyjson_obj_get(yyjson_doc_get_root(a), "early");
		if (strcmp(str(early, "schema"), "single"))
			log_err("%s: has no early snapshot to compare with, give another report", paths[0]);
		else
			ret = diff(early, late_of(a), all, json, exit_code);
	}
	yyjson_doc_free(a);
	yyjson_doc_free(b);
	return ret;
}

int diff_main(int argc, char **argv)
{
	bool all = false, json = false, exit_code = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (opt) {
		case OPT_ALL:
			all = true;
			break;
		case OPT_JSON:
			json = true;
			break;
		case OPT_EXIT_CODE:
			exit_code = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		default:
			fputs("Try 'ktcollect diff --help'.\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (argc - optind < 1 || argc - optind > 2) {
		log_err("diff: give two reports, or a dual one");
		fputs("Try 'ktcollect diff --help'.\n", stderr);
		return EXIT_USAGE;
	}
	return diff_files(argc - optind, argv + optind, all, json, exit_code);
}
