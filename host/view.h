/* SPDX-License-Identifier: GPL-2.0-only */
/* What the views for people share: they read the JSON, so that files of others work too. */
#ifndef KTC_VIEW_H
#define KTC_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <yyjson.h>

#include "util.h"

#define VIEW_WIDTH 100

/* A line that is being made: it knows how much of it is used. */
struct view_line {
	FILE *out;
	unsigned int indent;	/* levels of two blanks, of lines that begin now */
	size_t col;		/* code points in this line so far */
	bool all;		/* nothing is left out */
};

static inline const char *str(yyjson_val *obj, const char *key)
{
	const char *s = yyjson_get_str(yyjson_obj_get(obj, key));

	return s ? s : "";
}

static inline uint64_t num(yyjson_val *obj, const char *key)
{
	return yyjson_get_uint(yyjson_obj_get(obj, key));
}

static inline bool is_num(yyjson_val *obj, const char *key)
{
	return yyjson_is_int(yyjson_obj_get(obj, key));
}

/*
 * Text of a guest, which must not move the cursor: at most @max code points, controls as
 * question marks. Returns the code points written.
 */
size_t put(FILE *out, const char *s, size_t max);

/* The same into the line, all of it. */
void view_put(struct view_line *l, const char *s);
/* The same word by word, on as many lines as it takes. */
void view_words(struct view_line *l, const char *s);
void view_wrap(struct view_line *l, const char *fmt, ...) __printf(2, 3);
void view_print(struct view_line *l, const char *fmt, ...) __printf(2, 3);
/* Begins a line, after the end of the one before. */
void view_newline(struct view_line *l);

/* Something else than a file is at that path: a device, a pipe, a directory. */
bool is_special(const char *path);
/* "r.json", ".html" -> "r.html"; "-" stays. The caller frees it; NULL without memory. */
char *view_path(const char *report, const char *suffix);
/*
 * Writes a view of @top into a file, whole or not at all, or to standard output ("-").
 * 0 or a negative errno.
 */
int view_write(const char *path, yyjson_val *top, void (*fn)(FILE *f, yyjson_val *top));

/* Bold on a terminal, unless NO_COLOR says otherwise. */
void view_heading(FILE *out, const char *text);

/* A RenderedValue as ktstr shows it, from here in the line on. */
void view_value(struct view_line *l, yyjson_val *node);
/* Whether it fits on one line of @size - 1 bytes; its text is in @buf then. */
bool view_inline(yyjson_val *node, char *buf, size_t size);
/* A number, a name: nothing that has an inside. */
bool view_is_flat(yyjson_val *node);

/* An entry of "maps" with its contents. */
void view_map(struct view_line *l, yyjson_val *map);
/* "sdt_allocations", "scx_static_ranges". */
void view_allocs(struct view_line *l, yyjson_val *top);

/* Any JSON as an outline: a line per leaf, keys above their insides. */
void view_outline(struct view_line *l, yyjson_val *v);

#endif
