/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket of a running collector, a Unix stream socket of lines of text.
 * "ktcollect snapshot" says "snapshot" or "snapshot GUEST" and is told "asked N", then
 * "report PATH" for each guest and "done", or "error TEXT".
 */
#ifndef KTC_CONTROL_H
#define KTC_CONTROL_H

#include "collector.h"

#define CONTROL_LINE_MAX 5120	/* a path and a word */

/* Listens there, for this user only. 0, or -errno with a line on stderr. */
int control_open(struct collector *c, const char *path);
void control_close(struct collector *c);

/* epoll says that there is something for `what`; false when that is nothing of control's. */
bool control_serve(struct collector *c, void *what);

/* A snapshot that was asked for is a report on disk: whoever waits for it is told. */
void control_report(struct collector *c, const struct snapshot *s, const char *path);

#endif
