/* SPDX-License-Identifier: GPL-2.0-only */
/* Helpers on yyjson's mutable documents: text and values that a guest sent. */
#ifndef KTC_JSON_H
#define KTC_JSON_H

#include <stdio.h>
#include <yyjson.h>

#include "table.h"

void json_add_text(struct yyjson_mut_doc *doc, struct yyjson_mut_val *obj, const char *key,
		   const char *s, size_t len);
/* Valid UTF-8 (bad bytes become U+FFFD), cut at the first NUL. */
yyjson_mut_val *json_text(yyjson_mut_doc *doc, const char *s, size_t len);
/* A JSON string that may also stand in a script element: nothing in it can end that. */
void json_print_text(FILE *f, const char *s, size_t len);

/*
 * Prints JSON, and a newline, such that a terminal is not told anything by it: DEL and the
 * controls from U+0080 on, which JSON has no quarrel with, are escaped.
 */
void json_puts(FILE *f, const char *json);
/* Lowercase hex, one blank between bytes. */
yyjson_mut_val *json_hex(yyjson_mut_doc *doc, const uint8_t *data, size_t len);
/* Any value as it came: integers exact, bin as hex, nil as null. */
yyjson_mut_val *json_value(yyjson_mut_doc *doc, const msgpack_object *o);

/* Key must outlive the document. */
void json_add_u64(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, uint64_t v);
void json_add_i64(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, int64_t v);

/*
 * Columns by their own names; skip is a list of column numbers that ends with
 * COLS_END. Columns this kernel lacks are left out, nil becomes null.
 */
#define COLS_END (~0u)
void json_add_cols(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct table *t, row_t row,
		   const unsigned int *skip);
/* One column under its own name; false when the kernel lacks it. */
bool json_add_col(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct table *t, row_t row,
		  unsigned int col, const char *key);
/* The rows of a table as a list of objects. */
yyjson_mut_val *json_rows(yyjson_mut_doc *doc, const struct table *t, const unsigned int *skip);

/*
 * Values of ktstr's form: what is absent, nil, of a wrong type or out of range
 * is written as 0 or "" by _kept, and left out by _opt.
 */
void json_kept_u64(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		   const struct table *t, row_t row, unsigned int col, uint64_t max);
void json_kept_i32(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		   const struct table *t, row_t row, unsigned int col);
void json_kept_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		    const struct table *t, row_t row, unsigned int col);
bool json_opt_u64(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		  const struct table *t, row_t row, unsigned int col, uint64_t max);
bool json_opt_i32(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		  const struct table *t, row_t row, unsigned int col);
bool json_opt_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		   const struct table *t, row_t row, unsigned int col);

#endif
