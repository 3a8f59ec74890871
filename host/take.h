/* SPDX-License-Identifier: GPL-2.0-only */
/* "ktcollect snapshot": one snapshot of a living scheduler, now. */
#ifndef KTC_TAKE_H
#define KTC_TAKE_H

/* The command; argv[0] is its name. Returns the exit status. */
int take_main(int argc, char **argv);

#endif
