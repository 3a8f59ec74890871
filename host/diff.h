/* SPDX-License-Identifier: GPL-2.0-only */
/* "ktcollect diff": what is different in a later report. */
#ifndef KTC_DIFF_H
#define KTC_DIFF_H

/* The command; argv[0] is its name. Returns the exit status. */
int diff_main(int argc, char **argv);

#endif
