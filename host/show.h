/* SPDX-License-Identifier: GPL-2.0-only */
/* "ktcollect show": a report for a person. */
#ifndef KTC_SHOW_H
#define KTC_SHOW_H

#include <stddef.h>
#include <yyjson.h>

/* The command; argv[0] is its name. Returns the exit status. */
int show_main(int argc, char **argv);

/*
 * The whole file when it looks like JSON, with a 0 behind it; the caller frees it. NULL when
 * it is something else (a recorded stream) or cannot be read.
 */
char *show_read_json(const char *path, size_t *len_ret);

/*
 * The report in that file, "-" for standard input; the caller frees it. NULL when there is
 * none: that was said.
 */
yyjson_doc *show_load(const char *path);

/*
 * A command whose only option is where to write its view of one report: argv[0] is its name,
 * suffix takes the place of ".json" where no file is named, write() is given the report.
 * Returns the exit status.
 */
int show_to_file(int argc, char **argv, const char *usage, const char *suffix,
		 int (*write)(yyjson_val *report, const char *path));

#endif
