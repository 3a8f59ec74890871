/* SPDX-License-Identifier: GPL-2.0-only */
/* "ktcollect validate": whether reports are what docs/report.md says. */
#ifndef KTC_VALIDATE_H
#define KTC_VALIDATE_H

/* The command; argv[0] is its name. Returns the exit status. */
int validate_main(int argc, char **argv);

#endif
