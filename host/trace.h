/* SPDX-License-Identifier: GPL-2.0-only */
/* "ktcollect trace": a report for Perfetto. */
#ifndef KTC_TRACE_H
#define KTC_TRACE_H

#include <yyjson.h>

/* Writes the trace of a report that show_load() took, as view_write() does. */
int trace_write(yyjson_val *report, const char *path);

/* The command; argv[0] is its name. Returns the exit status. */
int trace_main(int argc, char **argv);

#endif
