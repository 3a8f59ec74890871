/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages for people. They go to stderr only; stdout is for results. */
#ifndef KTC_LOG_H
#define KTC_LOG_H

#include "util.h"

enum log_level { LOG_ERR_ONLY = -1, LOG_NORMAL = 0, LOG_VERBOSE = 1 };

extern enum log_level log_level;

void log_err(const char *fmt, ...) __printf(1, 2);
void log_warn(const char *fmt, ...) __printf(1, 2);
void log_info(const char *fmt, ...) __printf(1, 2);
void log_debug(const char *fmt, ...) __printf(1, 2);
/* One line that is overwritten in place; nothing unless stderr is a terminal. */
void log_progress(const char *fmt, ...) __printf(1, 2);

#endif
