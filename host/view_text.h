/* SPDX-License-Identifier: GPL-2.0-only */
/* A report as text for a person. It is made from the JSON, so that files work too. */
#ifndef KTC_VIEW_TEXT_H
#define KTC_VIEW_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <yyjson.h>

struct view_options {
	const char **sections;	/* only these; none: all that fit the rest */
	size_t nr_sections;
	bool contents;		/* the contents of maps too, not only their list */
	bool all;		/* nothing is left out */
	bool early;		/* the early one of a dual report */
	const char *map;	/* only maps whose name matches */
	const char *task;	/* only tasks with this pid, or whose name matches */
	int64_t cpu;		/* only this CPU; -1: not asked for */
};

bool view_has_section(const char *name);

/* -EBADMSG when it is not a report, -ENOENT when it has not what was asked for. */
int view_show(yyjson_val *top, FILE *out, const struct view_options *opts);
/* The first line of view_show() without its name, "" when there is no bug. The caller frees it. */
char *view_bug_summary(yyjson_val *top);
/* One screen of a report; the contents of maps may be missing. */
int view_report(yyjson_val *top, FILE *out);
int view_text(const char *json, size_t len, FILE *out);

#endif
