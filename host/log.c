// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

enum log_level log_level = LOG_NORMAL;
static bool progress_shown;

static void clear_progress(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}

/* Text may quote a guest: no control character may reach the terminal. */
static void put_clean(char *line)
{
	for (unsigned char *p = (unsigned char *)line; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
	fputs(line, stderr);
}

static void __attribute__((format(printf, 2, 0)))
vlog(const char *prefix, const char *fmt, va_list ap)
{
	char line[1024];

	vsnprintf(line, sizeof(line), fmt, ap);
	clear_progress();
	fprintf(stderr, "ktcollect: %s", prefix);
	put_clean(line);
	fputc('\n', stderr);
}

#define DEFINE_LOG(name, prefix, min)			\
	void name(const char *fmt, ...)			\
	{						\
		va_list ap;				\
							\
		va_start(ap, fmt);			\
		if (log_level >= (min))			\
			vlog(prefix, fmt, ap);		\
		va_end(ap);				\
	}

DEFINE_LOG(log_err, "error: ", LOG_ERR_ONLY)
DEFINE_LOG(log_warn, "warning: ", LOG_NORMAL)
DEFINE_LOG(log_info, "", LOG_NORMAL)
DEFINE_LOG(log_debug, "", LOG_VERBOSE)

void log_progress(const char *fmt, ...)
{
	char line[128];
	va_list ap;

	if (log_level < LOG_NORMAL || !isatty(STDERR_FILENO))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	clear_progress();
	put_clean(line);
	fflush(stderr);
	progress_shown = true;
}
