/* SPDX-License-Identifier: GPL-2.0-only */
/* Rendering in tests: the text of a node, and whether it is one that ktstr can read. */
#ifndef RENDER_TEST_H
#define RENDER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "render.h"
#include "../fuzz/inputs.h"

static const char *str_of(yyjson_val *obj, const char *key)
{
	return yyjson_get_str(yyjson_obj_get(obj, key));
}

static bool is_number(yyjson_val *obj, const char *key, bool is_signed)
{
	yyjson_val *v = yyjson_obj_get(obj, key);

	if (is_signed)
		return yyjson_is_sint(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) <= INT64_MAX);
	return yyjson_is_uint(v);
}

/* keys: those that the kind has, blank before and behind each. */
static bool has_only(yyjson_val *obj, const char *keys)
{
	yyjson_obj_iter it = yyjson_obj_iter_with(obj);
	yyjson_val *key;

	while ((key = yyjson_obj_iter_next(&it))) {
		char word[64];

		snprintf(word, sizeof(word), " %s ", yyjson_get_str(key));
		if (!strstr(keys, word))
			return false;
	}
	return true;
}

/* NULL: this is a RenderedValue; else what is wrong with it. nodes counts. */
static const char *bad_node(yyjson_val *v, unsigned int *nodes)
{
	const char *kind = str_of(v, "kind"), *why = NULL;
	yyjson_val *list, *item;
	size_t i, max;

	++*nodes;
	if (!kind)
		return "no kind";
	if (!strcmp(kind, "int") || !strcmp(kind, "uint"))
		return has_only(v, " kind bits value ") && is_number(v, "bits", false) &&
		       is_number(v, "value", kind[0] == 'i') ? NULL : "int";
	if (!strcmp(kind, "bool"))
		return has_only(v, " kind value ") && yyjson_is_bool(yyjson_obj_get(v, "value")) ?
		       NULL : "bool";
	if (!strcmp(kind, "char"))
		return has_only(v, " kind value ") && is_number(v, "value", false) &&
		       yyjson_get_uint(yyjson_obj_get(v, "value")) < 256 ? NULL : "char";
	if (!strcmp(kind, "float"))
		return has_only(v, " kind bits value ") && is_number(v, "bits", false) &&
		       yyjson_is_num(yyjson_obj_get(v, "value")) ? NULL : "float";
	if (!strcmp(kind, "enum")) {
		yyjson_val *variant = yyjson_obj_get(v, "variant");

		return has_only(v, " kind bits value variant is_signed ") &&
		       is_number(v, "bits", false) && is_number(v, "value", true) &&
		       (yyjson_is_str(variant) || yyjson_is_null(variant)) &&
		       yyjson_is_bool(yyjson_obj_get(v, "is_signed")) ? NULL : "enum";
	}
	if (!strcmp(kind, "bytes")) {
		const char *hex = str_of(v, "hex");

		if (!hex || !has_only(v, " kind hex "))
			return "bytes";
		return strspn(hex, "0123456789abcdef ") == strlen(hex) &&
		       (!*hex || strlen(hex) % 3 == 2) ? NULL : "hex";
	}
	if (!strcmp(kind, "cpu_list")) {
		const char *cpus = str_of(v, "cpus");

		return cpus && has_only(v, " kind cpus ") &&
		       strspn(cpus, "0123456789-,") == strlen(cpus) ? NULL : "cpu_list";
	}
	if (!strcmp(kind, "unsupported"))
		return has_only(v, " kind reason ") && str_of(v, "reason") ? NULL : "unsupported";
	if (!strcmp(kind, "truncated")) {
		if (!has_only(v, " kind needed had partial ") || !is_number(v, "needed", false) ||
		    !is_number(v, "had", false))
			return "truncated";
		return bad_node(yyjson_obj_get(v, "partial"), nodes);
	}
	if (!strcmp(kind, "ptr")) {
		yyjson_val *deref = yyjson_obj_get(v, "deref");
		yyjson_val *reason = yyjson_obj_get(v, "deref_skipped_reason");
		yyjson_val *label = yyjson_obj_get(v, "ktdump_label");

		if (!has_only(v, " kind value deref deref_skipped_reason cast_annotation ktdump_label ") ||
		    !is_number(v, "value", false) || (deref && reason) ||
		    (reason && !yyjson_is_str(reason)) || (label && !yyjson_is_str(label)))
			return "ptr";
		return deref ? bad_node(deref, nodes) : NULL;
	}
	if (!strcmp(kind, "array")) {
		list = yyjson_obj_get(v, "elements");
		if (!has_only(v, " kind len elements ") || !is_number(v, "len", false) ||
		    !yyjson_is_arr(list) || yyjson_arr_size(list) > 4096)
			return "array";
		yyjson_arr_foreach(list, i, max, item)
			if (!why)
				why = bad_node(item, nodes);
		return why;
	}
	if (!strcmp(kind, "struct")) {
		yyjson_val *type = yyjson_obj_get(v, "type_name");

		list = yyjson_obj_get(v, "members");
		if (!has_only(v, " kind type_name members ") || !yyjson_is_arr(list) ||
		    !(yyjson_is_str(type) || yyjson_is_null(type)))
			return "struct";
		yyjson_arr_foreach(list, i, max, item) {
			if (why)
				break;
			if (!has_only(item, " name value ") || !str_of(item, "name"))
				return "member";
			why = bad_node(yyjson_obj_get(item, "value"), nodes);
		}
		return why;
	}
	return "unknown kind";
}

static char *written(struct render *r, const struct btf *btf, uint32_t id, const void *data,
		     size_t len, unsigned int outer)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	struct jsonw w;

	assert_non_null(f);
	jsonw_init(&w, f);
	r->out = &w;
	for (unsigned int i = 0; i < outer; i++)
		jsonw_arr(&w);
	render_value(r, btf, id, data, len);
	for (unsigned int i = 0; i < outer; i++)
		jsonw_arr_end(&w);
	assert_int_equal(w.depth, 0);
	assert_int_equal(jsonw_finish(&w), 0);
	fclose(f);
	r->out = NULL;
	return text;
}

/*
 * The node on one line. outer: that many arrays around it. Also appended to the file
 * that KTDUMP_RENDER_DUMP names, for a check against the schema.
 */
static char *show_nested(struct render *r, const struct btf *btf, uint32_t id, const void *data,
			 size_t len, unsigned int outer)
{
	const char *dump = getenv("KTDUMP_RENDER_DUMP");
	_cleanup_free_ char *text = NULL, *again = NULL;
	char *line = NULL;
	uint64_t spent = r->nodes;
	unsigned int nodes = 0;
	yyjson_doc *doc;
	yyjson_val *v;
	const char *why;
	size_t size;
	FILE *f;

	if (getenv("KTDUMP_SEEDS"))
		render_seed(btf, id, data, len);
	text = written(r, btf, id, data, len, outer);
	size = strlen(text);
	/* Now it knows the types. */
	r->nodes = spent;
	again = written(r, btf, id, data, len, outer);
	assert_string_equal(text, again);

	doc = yyjson_read(text, size, 0);
	if (!doc)
		fail_msg("no JSON: %.300s", text);
	v = yyjson_doc_get_root(doc);
	for (unsigned int i = 0; i < outer; i++) {
		assert_int_equal(yyjson_arr_size(v), 1);
		v = yyjson_arr_get_first(v);
	}
	why = bad_node(v, &nodes);
	if (why)
		fail_msg("no RenderedValue, %s: %.300s", why, text);
	assert_true(nodes <= 3 * RENDER_MAX_NODES);
	line = yyjson_val_write(v, 0, NULL);
	assert_non_null(line);
	yyjson_doc_free(doc);
	if (dump && outer < 100 && size < 1 << 20) {
		f = fopen(dump, "a");
		assert_non_null(f);
		fprintf(f, "%s\n", line);
		fclose(f);
	}
	return line;
}

static inline char *show(struct render *r, const struct btf *btf, uint32_t id, const void *data,
			 size_t len)
{
	return show_nested(r, btf, id, data, len, 0);
}

/* want: the node with ' for ". */
static inline void expect_at(struct render *r, const struct btf *btf, uint32_t id, const void *data,
		      size_t len, const char *want, const char *file, int line)
{
	_cleanup_free_ char *got = show(r, btf, id, data, len);
	_cleanup_free_ char *quoted = strdup(want);

	for (char *p = quoted; *p; p++)
		if (*p == '\'')
			*p = '"';
	if (strcmp(got, quoted))
		print_error("got  %s\nwant %s\n", got, quoted);
	_assert_true(!strcmp(got, quoted), "the node is as it must be", file, line);
}

#define expect(r, btf, id, data, len, want) \
	expect_at(r, btf, id, data, len, want, __FILE__, __LINE__)

#endif
