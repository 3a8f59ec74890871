/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * JSON that is written as it is made, so that a report may be larger than memory.
 * Two blanks per level, like ktstr's files. Errors are sticky: ask once, at the end.
 */
#ifndef KTC_JSONW_H
#define KTC_JSONW_H

#include <stdio.h>
#include <yyjson.h>

#include "util.h"

#define JSONW_MAX_DEPTH	127	/* open arrays and objects that ktstr's reader takes */

struct jsonw {
	FILE *out;
	unsigned int depth;
	bool full[JSONW_MAX_DEPTH + 1];	/* by level: it has an element already */
	bool keyed;			/* a key was written, its value is due */
	int error;			/* first one, negative errno; 0 so far */
	size_t fill;			/* of buf, which goes to out when it is full */
	char buf[64 * 1024];
};

/* Writes to out, which stays the caller's, but nobody else may before jsonw_finish(). */
void jsonw_init(struct jsonw *w, FILE *out);
/* Line end and flush. 0 or the first error: -EIO …, -ELOOP nested too deep. */
int jsonw_finish(struct jsonw *w);

void jsonw_obj(struct jsonw *w);
void jsonw_obj_end(struct jsonw *w);
void jsonw_arr(struct jsonw *w);
void jsonw_arr_end(struct jsonw *w);
/* Constant text of the project's own, which needs no escapes: a key, a value. */
void jsonw_key(struct jsonw *w, const char *key);
void jsonw_word(struct jsonw *w, const char *word);

/* Text from anywhere: bad UTF-8 becomes U+FFFD; ends at len or the first NUL. */
void jsonw_text(struct jsonw *w, const char *s, size_t len);
void jsonw_str(struct jsonw *w, const char *s);
void jsonw_u64(struct jsonw *w, uint64_t v);
void jsonw_i64(struct jsonw *w, int64_t v);
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
/* Shortest text that reads back as v; v is finite. */
void jsonw_real(struct jsonw *w, double v);
/* "0a 1b ff" */
void jsonw_hex(struct jsonw *w, const uint8_t *data, size_t len);
/* [10, 27, 255] on one line: one number per line would be four times as long. */
void jsonw_bytes(struct jsonw *w, const uint8_t *data, size_t len);
/* Buffered text to out. */
void jsonw_flush(struct jsonw *w);

/*
 * For text that is known to be right because this writer made it before: len bytes of
 * room at the returned place, which is buf + fill. len: at most half of buf.
 */
static inline char *jsonw_reserve(struct jsonw *w, size_t len)
{
	if (len > sizeof(w->buf) - w->fill)
		jsonw_flush(w);
	return w->buf + w->fill;
}

/* The digits of v at p, behind a sign when negative; JSONW_DIGITS of room. Returns their end. */
#define JSONW_DIGITS 24
char *jsonw_digits(char *p, uint64_t v, bool negative);
/* A part that was made with yyjson. */
void jsonw_val(struct jsonw *w, yyjson_mut_val *val);

/* How many more levels may be opened. */
static inline unsigned int jsonw_room(const struct jsonw *w)
{
	return JSONW_MAX_DEPTH - w->depth;
}

#endif
