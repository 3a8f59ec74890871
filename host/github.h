/* SPDX-License-Identifier: GPL-2.0-only */
/* What a workflow run on GitHub shows of a report, by its environment variables. */
#ifndef KTC_GITHUB_H
#define KTC_GITHUB_H

#include <stdbool.h>
#include <yyjson.h>

/* False: github_announce() would do nothing. */
bool github_listens(void);

/*
 * GITHUB_ACTIONS: an ::error line on standard error. GITHUB_STEP_SUMMARY: a table is
 * appended to the file of that name. doc is the report (the contents of maps are not
 * looked at), path where it lies, headline one line of text. What cannot be written is
 * warned about and otherwise no error.
 */
void github_announce(yyjson_val *report, const char *path, const char *headline);

#endif
