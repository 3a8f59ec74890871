// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"

/* Lines at once, and a second: a guest makes us say things, and stderr may be a file. */
#define LINES_BURST	500
#define LINES_PER_SECOND 10

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

/* False when it is one line too many; those are counted. */
static bool may_speak(void)
{
	static unsigned int spoken, left_out;
	static time_t since;
	struct timespec now;
	unsigned int less;

	if (log_level >= LOG_VERBOSE)
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	less = now.tv_sec - since > LINES_BURST ? spoken : (now.tv_sec - since) * LINES_PER_SECOND;
	since = now.tv_sec;
	spoken -= less < spoken ? less : spoken;
	if (spoken == LINES_BURST) {
		left_out++;
		return false;
	}
	spoken++;
	if (left_out)
		fprintf(stderr, "ktcollect: %u messages were left out here\n", left_out);
	left_out = 0;
	return true;
}

static void __attribute__((format(printf, 2, 0)))
vlog(const char *prefix, const char *fmt, va_list ap)
{
	char line[1024];

	if (!may_speak())
		return;
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
