/* SPDX-License-Identifier: GPL-2.0-only */
/* "ktcollect html": a report as one page for a browser. */
#ifndef KTC_HTML_H
#define KTC_HTML_H

/* The command; argv[0] is its name. Returns the exit status. */
int html_main(int argc, char **argv);

#endif
