// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>
#include <string.h>

#include "json.h"
#include "utf8.h"

yyjson_mut_val *json_text(yyjson_mut_doc *doc, const char *s, size_t len)
{
	_cleanup_free_ char *buf = NULL;
	size_t out = 0;

	len = len ? strnlen(s, len) : 0;	/* none may be nowhere */
	buf = malloc(len * 3 + 1);
	if (!buf)
		return NULL;
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len((const unsigned char *)s + i, len - i);

		if (n) {
			memcpy(buf + out, s + i, n);
			out += n;
			i += n;
		} else {
			memcpy(buf + out, UTF8_REPLACEMENT, UTF8_REPLACEMENT_LEN);
			out += UTF8_REPLACEMENT_LEN;
			i++;
		}
	}
	return yyjson_mut_strncpy(doc, buf, out);
}

void json_add_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, const char *s,
		   size_t len)
{
	yyjson_mut_obj_add_val(doc, obj, key, json_text(doc, s, len));
}

void json_print_text(FILE *f, const char *s, size_t len)
{
	size_t from = 0;

	fputc('"', f);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];
		bool quoted = c == '"' || c == '\\';

		if (!quoted && c >= 0x20 && c != '<' && c != '>' && c != '&' && c != 0x7f)
			continue;
		/* All that may stay as it is at once: reports have megabytes of it. */
		fwrite(s + from, 1, i - from, f);
		from = i + 1;
		fprintf(f, quoted ? "\\%c" : "\\u%04x", c);
	}
	fwrite(s + from, 1, len - from, f);
	fputc('"', f);
}

void json_puts(FILE *f, const char *json)
{
	const unsigned char *p = (const unsigned char *)json;

	for (; *p; p++) {
		if (*p == 0x7f)
			fputs("\\u007f", f);
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			fprintf(f, "\\u%04x", *++p);
		else
			fputc(*p, f);
	}
	fputc('\n', f);
}

yyjson_mut_val *json_hex(yyjson_mut_doc *doc, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	_cleanup_free_ char *buf = malloc(len * 3 + 1);
	size_t out = 0;

	if (!buf)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (i)
			buf[out++] = ' ';
		buf[out++] = digits[data[i] >> 4];
		buf[out++] = digits[data[i] & 15];
	}
	return yyjson_mut_strncpy(doc, buf, out);
}

/* No deep recursion: mpcheck() bounds the nesting of what a guest sends. */
yyjson_mut_val *json_value(yyjson_mut_doc *doc, const msgpack_object *o)
{
	yyjson_mut_val *arr;

	switch (o->type) {
	case MSGPACK_OBJECT_BOOLEAN:
		return yyjson_mut_bool(doc, o->via.boolean);
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		return yyjson_mut_uint(doc, o->via.u64);
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		return yyjson_mut_sint(doc, o->via.i64);
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		return isfinite(o->via.f64) ? yyjson_mut_real(doc, o->via.f64) : yyjson_mut_null(doc);
	case MSGPACK_OBJECT_STR:
		return json_text(doc, o->via.str.ptr, o->via.str.size);
	case MSGPACK_OBJECT_BIN:
		return json_hex(doc, (const uint8_t *)o->via.bin.ptr, o->via.bin.size);
	case MSGPACK_OBJECT_ARRAY:
		arr = yyjson_mut_arr(doc);
		for (uint32_t i = 0; i < o->via.array.size; i++)
			yyjson_mut_arr_append(arr, json_value(doc, &o->via.array.ptr[i]));
		return arr;
	default:
		return yyjson_mut_null(doc);
	}
}

void json_add_u64(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, uint64_t v)
{
	yyjson_mut_obj_add_uint(doc, obj, key, v);
}

void json_add_i64(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, int64_t v)
{
	if (v < 0)
		yyjson_mut_obj_add_sint(doc, obj, key, v);
	else
		yyjson_mut_obj_add_uint(doc, obj, key, v);
}

bool json_add_col(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct table *t, row_t row,
		  unsigned int col, const char *key)
{
	if (!table_has(t, col))
		return false;
	yyjson_mut_obj_add_val(doc, obj, key,
			       json_value(doc, &row->via.array.ptr[t->where[col]]));
	return true;
}

void json_add_cols(yyjson_mut_doc *doc, yyjson_mut_val *obj, const struct table *t, row_t row,
		   const unsigned int *skip)
{
	for (unsigned int c = 0; c < t->desc->nr_cols; c++) {
		const unsigned int *s = skip;

		while (s && *s != COLS_END && *s != c)
			s++;
		if (s && *s == c)
			continue;
		json_add_col(doc, obj, t, row, c, t->desc->cols[c]);
	}
}

yyjson_mut_val *json_rows(yyjson_mut_doc *doc, const struct table *t, const unsigned int *skip)
{
	yyjson_mut_val *arr = yyjson_mut_arr(doc);

	for (size_t i = 0; i < t->nr_rows; i++)
		json_add_cols(doc, yyjson_mut_arr_add_obj(doc, arr), t, t->rows[i], skip);
	return arr;
}

bool json_opt_u64(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		  const struct table *t, row_t row, unsigned int col, uint64_t max)
{
	uint64_t v;

	if (row_u64(t, row, col, &v) || v > max)
		return false;
	return yyjson_mut_obj_add_uint(doc, obj, key, v);
}

bool json_opt_i32(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		  const struct table *t, row_t row, unsigned int col)
{
	int64_t v;

	if (row_i64(t, row, col, &v) || v < INT32_MIN || v > INT32_MAX)
		return false;
	json_add_i64(doc, obj, key, v);
	return true;
}

bool json_opt_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		   const struct table *t, row_t row, unsigned int col)
{
	const char *s;
	size_t len;

	if (row_str(t, row, col, &s, &len))
		return false;
	json_add_text(doc, obj, key, s, len);
	return true;
}

void json_kept_u64(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		   const struct table *t, row_t row, unsigned int col, uint64_t max)
{
	if (!json_opt_u64(doc, obj, key, t, row, col, max))
		yyjson_mut_obj_add_uint(doc, obj, key, 0);
}

void json_kept_i32(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		   const struct table *t, row_t row, unsigned int col)
{
	if (!json_opt_i32(doc, obj, key, t, row, col))
		yyjson_mut_obj_add_uint(doc, obj, key, 0);
}

void json_kept_text(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key,
		    const struct table *t, row_t row, unsigned int col)
{
	if (!json_opt_text(doc, obj, key, t, row, col))
		yyjson_mut_obj_add_str(doc, obj, key, "");
}
