/* SPDX-License-Identifier: GPL-2.0-only */
/* "ktcollect html": a report as one page for a browser. */
#ifndef KTC_HTML_H
#define KTC_HTML_H

#include <yyjson.h>

/* Makes the page of a report that show_load() took, as view_write() does. */
int html_write(yyjson_val *report, const char *path);

/* The command; argv[0] is its name. Returns the exit status. */
int html_main(int argc, char **argv);

#endif
