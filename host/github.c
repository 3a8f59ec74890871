// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "github.h"
#include "log.h"

/* As workflow commands want it. */
static void print_escaped(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '%' || *s == '\n' || *s == '\r')
			fprintf(f, "%%%02X", *s);
		else if ((unsigned char)*s >= 0x20)
			fputc(*s, f);
	}
}

/* A cell's text: the guest must not end the cell, or write HTML or links. */
static void print_cell(FILE *f, const char *s)
{
	fputs("| ", f);
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			fputc(' ', f);
		else if (strchr("|`*_[]<>&\\~@#!:", *s))
			fprintf(f, "&#%d;", *s);
		else
			fputc(*s, f);
	}
	fputc(' ', f);
}

static void row(FILE *f, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	fprintf(f, "| %s ", name);
	print_cell(f, value);
	fputs("|\n", f);
}

static void print_table(FILE *f, yyjson_val *report, const char *path, const char *headline)
{
	yyjson_val *freeze = yyjson_ptr_get(report, "/ktdump/freeze");
	yyjson_val *missing = yyjson_ptr_get(report, "/ktdump/missing");
	char buf[96];

	fputs("\n| sched_ext failure ", f);
	print_cell(f, headline);
	fputs("|\n| --- | --- |\n", f);
	row(f, "scheduler", yyjson_get_str(yyjson_ptr_get(report, "/ktdump/schedulers/0/name")));
	row(f, "exit", yyjson_get_str(yyjson_ptr_get(report, "/ktdump/trigger/exit_kind_name")));
	row(f, "when", yyjson_get_str(yyjson_ptr_get(report, "/ktdump/trigger/time")));
	row(f, "kernel", yyjson_get_str(yyjson_ptr_get(report, "/ktdump/kernel/release")));
	if (freeze) {
		snprintf(buf, sizeof(buf), "%.3f ms, %llu of %llu other CPUs parked",
			 yyjson_get_uint(yyjson_obj_get(freeze, "held_ns")) / 1e6,
			 (unsigned long long)yyjson_get_uint(yyjson_obj_get(freeze, "cpus_parked")),
			 (unsigned long long)yyjson_get_uint(yyjson_obj_get(freeze, "cpus_targeted")));
		row(f, "freeze", buf);
	}
	if (yyjson_arr_size(missing)) {
		snprintf(buf, sizeof(buf), "%zu%s", yyjson_arr_size(missing),
			 yyjson_get_bool(yyjson_ptr_get(report, "/ktdump/incomplete")) ?
			 ", the report is INCOMPLETE" : "");
		row(f, "missing", buf);
	}
	row(f, "report", path);
}

static void append_summary(const char *file, yyjson_val *report, const char *path,
			   const char *headline)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "a");

	if (f)
		print_table(f, report, path, headline);
	if (!f && fd >= 0)
		close(fd);
	if (!f || fclose(f))
		log_warn("cannot write the summary %s: %s", file, strerror(errno));
}

bool github_listens(void)
{
	const char *summary = getenv("GITHUB_STEP_SUMMARY");

	return getenv("GITHUB_ACTIONS") || (summary && *summary);
}

void github_announce(yyjson_val *report, const char *path, const char *headline)
{
	const char *summary = getenv("GITHUB_STEP_SUMMARY");

	if (getenv("GITHUB_ACTIONS")) {
		fputs("::error title=sched_ext scheduler failed::", stderr);
		print_escaped(stderr, headline);
		fputs(", report: ", stderr);
		print_escaped(stderr, path);
		fputc('\n', stderr);
	}
	if (summary && *summary)
		append_summary(summary, report, path, headline);
}
