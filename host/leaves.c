// SPDX-License-Identifier: GPL-2.0-only
/* Which values of a map, or of any object, are not what they were. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "leaves.h"
#include "view.h"

#define MAX_DEPTH 120

/* Adds to the path; returns what to go back to. A path that is too long is cut. */
static size_t __printf(2, 3) enter(struct leaves *m, const char *fmt, ...)
{
	size_t before = m->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(m->path + m->len, sizeof(m->path) - m->len, fmt, ap);
	va_end(ap);
	m->len = before + n < sizeof(m->path) ? before + n : sizeof(m->path) - 1;
	return before;
}

static void leave(struct leaves *m, size_t before)
{
	m->len = before;
	m->path[before] = '\0';
}

/* What a node shows as one value. */
static yyjson_val *leaf_of(yyjson_val *n)
{
	static const char *const keys[] = { "value", "cpus", "hex", "reason" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		yyjson_val *v = yyjson_obj_get(n, keys[i]);

		if (v && !yyjson_is_ctn(v))
			return v;
	}
	return NULL;
}

static void add_leaf(struct leaves *m, yyjson_val *e, yyjson_val *l)
{
	yyjson_mut_doc *doc = m->doc;
	yyjson_mut_val *obj;

	if (m->changed++ >= LEAVES_MAX || !*m->room)
		return;
	--*m->room;
	obj = yyjson_mut_arr_add_obj(doc, m->list);
	json_add_text(doc, obj, "path", m->path, m->len);
	yyjson_mut_obj_add_val(doc, obj, "early", e && !yyjson_is_ctn(e) ?
			       yyjson_val_mut_copy(doc, e) : yyjson_mut_null(doc));
	yyjson_mut_obj_add_val(doc, obj, "late", l && !yyjson_is_ctn(l) ?
			       yyjson_val_mut_copy(doc, l) : yyjson_mut_null(doc));
}

static void compare_nodes(struct leaves *m, yyjson_val *e, yyjson_val *l, unsigned int depth);

/* Lists whose places are the same both times. */
static void compare_places(struct leaves *m, yyjson_val *e, yyjson_val *l, bool named,
			   unsigned int depth)
{
	yyjson_arr_iter ie, il;
	yyjson_val *x, *y;
	size_t i = 0;

	yyjson_arr_iter_init(e, &ie);
	yyjson_arr_iter_init(l, &il);
	while ((x = yyjson_arr_iter_next(&ie)) && (y = yyjson_arr_iter_next(&il))) {
		size_t before;

		if (named) {
			before = enter(m, "%s%s", m->len ? "." : "", str(y, "name"));
			x = yyjson_obj_get(x, "value");
			y = yyjson_obj_get(y, "value");
		} else {
			before = enter(m, "[%zu]", i++);
		}
		compare_nodes(m, x, y, depth + 1);
		leave(m, before);
	}
}

static void compare_nodes(struct leaves *m, yyjson_val *e, yyjson_val *l, unsigned int depth)
{
	const char *kind = str(l, "kind");

	if ((!e && !l) || depth > MAX_DEPTH || yyjson_equals(e, l))
		return;
	if (!strcmp(kind, str(e, "kind"))) {
		yyjson_val *x = yyjson_obj_get(e, "deref"), *y = yyjson_obj_get(l, "deref");

		if (!strcmp(kind, "struct")) {
			compare_places(m, yyjson_obj_get(e, "members"), yyjson_obj_get(l, "members"),
				       true, depth);
			return;
		}
		if (!strcmp(kind, "array")) {
			compare_places(m, yyjson_obj_get(e, "elements"),
				       yyjson_obj_get(l, "elements"), false, depth);
			return;
		}
		if (!strcmp(kind, "truncated")) {
			compare_nodes(m, yyjson_obj_get(e, "partial"), yyjson_obj_get(l, "partial"),
				      depth + 1);
			return;
		}
		/* The pointer is the same: what it points to is not. */
		if (x && y && yyjson_equals(leaf_of(e), leaf_of(l))) {
			size_t before = enter(m, "->");

			compare_nodes(m, x, y, depth + 1);
			leave(m, before);
			return;
		}
	}
	add_leaf(m, leaf_of(e), leaf_of(l));
}

/* An entry of a hash by its key; for people the key as number where it is one. */
static size_t enter_key(struct leaves *m, yyjson_val *entry)
{
	yyjson_val *key = leaf_of(yyjson_obj_get(entry, "key"));

	if (yyjson_is_uint(key))
		return enter(m, "[%llu]", (unsigned long long)yyjson_get_uint(key));
	if (yyjson_is_sint(key))
		return enter(m, "[%lld]", (long long)yyjson_get_sint(key));
	return enter(m, "[%s]", str(entry, "key_hex"));
}

struct entry_ref {
	const char *key;
	yyjson_val *entry;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct entry_ref *)a)->key, ((const struct entry_ref *)b)->key);
}

/* Entries by key; NULL without memory. */
static struct entry_ref *load_entries(yyjson_val *arr, size_t *nr_ret)
{
	struct entry_ref *v = calloc(yyjson_arr_size(arr) + 1, sizeof(*v));
	yyjson_val *entry;
	size_t i, max;

	*nr_ret = v ? yyjson_arr_size(arr) : 0;
	if (!v)
		return NULL;
	yyjson_arr_foreach(arr, i, max, entry)
		v[i] = (struct entry_ref){ str(entry, "key_hex"), entry };
	qsort(v, *nr_ret, sizeof(*v), by_key);
	return v;
}

static void compare_values(struct leaves *m, yyjson_val *e, yyjson_val *l)
{
	yyjson_val *x = yyjson_obj_get(e, "per_cpu"), *y = yyjson_obj_get(l, "per_cpu");

	if (y) {
		compare_places(m, x, y, false, 0);
		return;
	}
	x = yyjson_obj_get(e, "value");
	y = yyjson_obj_get(l, "value");
	if (y)
		compare_nodes(m, x, y, 0);
	else if (!yyjson_equals(yyjson_obj_get(e, "value_hex"), yyjson_obj_get(l, "value_hex")))
		add_leaf(m, yyjson_obj_get(e, "value_hex"), yyjson_obj_get(l, "value_hex"));
}

static void compare_entries(struct leaves *m, yyjson_val *e, yyjson_val *l)
{
	_cleanup_free_ struct entry_ref *ve = NULL, *vl = NULL;
	size_t nr_e, nr_l, i = 0, k = 0;

	ve = load_entries(e, &nr_e);
	vl = load_entries(l, &nr_l);
	while (i < nr_e || k < nr_l) {
		int order = i == nr_e ? 1 : k == nr_l ? -1 : strcmp(ve[i].key, vl[k].key);
		yyjson_val *x = order <= 0 ? ve[i++].entry : NULL;
		yyjson_val *y = order >= 0 ? vl[k++].entry : NULL;
		size_t before = enter_key(m, y ? y : x);

		if (x && y)
			compare_values(m, x, y);
		else
			add_leaf(m, yyjson_obj_get(x, "value_hex"), yyjson_obj_get(y, "value_hex"));
		leave(m, before);
	}
}

void leaves_of_object(struct leaves *m, yyjson_val *e, yyjson_val *l)
{
	size_t i, max;
	yyjson_val *key, *val;

	yyjson_obj_foreach(l, i, max, key, val) {
		yyjson_val *was = yyjson_obj_get(e, yyjson_get_str(key));
		size_t before;

		if (yyjson_is_ctn(val) || yyjson_equals(was, val) ||
		    (m->no_addresses && yyjson_get_uint(val) >> 63 && yyjson_get_uint(was) >> 63))
			continue;
		before = enter(m, "%s%s", m->len ? "." : "", yyjson_get_str(key));
		add_leaf(m, was, val);
		leave(m, before);
	}
}

/* Pages by address: which of them are different, not how. */
static void compare_pages(struct leaves *m, yyjson_val *e, yyjson_val *l)
{
	yyjson_arr_iter ie, il;
	yyjson_val *x, *y;

	yyjson_arr_iter_init(e, &ie);
	yyjson_arr_iter_init(l, &il);
	x = yyjson_arr_iter_next(&ie);
	y = yyjson_arr_iter_next(&il);
	while (x || y) {
		yyjson_val *ax = yyjson_obj_get(x, "user_addr"), *ay = yyjson_obj_get(y, "user_addr");
		bool in_e = x && (!y || yyjson_get_uint(ax) <= yyjson_get_uint(ay));
		bool in_l = y && (!x || yyjson_get_uint(ay) <= yyjson_get_uint(ax));
		size_t before = enter(m, "page 0x%llx",
				      (unsigned long long)yyjson_get_uint(in_l ? ay : ax));

		if (!in_e || !in_l || !yyjson_equals(x, y))
			add_leaf(m, in_e ? ax : NULL, in_l ? ay : NULL);
		leave(m, before);
		x = in_e ? yyjson_arr_iter_next(&ie) : x;
		y = in_l ? yyjson_arr_iter_next(&il) : y;
	}
}

void leaves_of_map(struct leaves *m, yyjson_val *e, yyjson_val *l)
{
	static const char *const keyed[] = { "entries", "percpu_hash_entries" };
	static const char *const placed[] = { "array_entries", "percpu_entries" };
	static const char *const facts[] = { "ringbuf", "arena", "fd_array", "bloom_filter" };
	yyjson_val *x, *y;

	/* With one element it is the only one there is. */
	if (!yyjson_obj_get(l, "array_entries"))
		compare_nodes(m, yyjson_obj_get(e, "value"), yyjson_obj_get(l, "value"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keyed); i++)
		compare_entries(m, yyjson_obj_get(e, keyed[i]), yyjson_obj_get(l, keyed[i]));
	for (size_t i = 0; i < ARRAY_SIZE(placed); i++) {
		yyjson_arr_iter ie, il;

		yyjson_arr_iter_init(yyjson_obj_get(e, placed[i]), &ie);
		yyjson_arr_iter_init(yyjson_obj_get(l, placed[i]), &il);
		while ((x = yyjson_arr_iter_next(&ie)) && (y = yyjson_arr_iter_next(&il))) {
			size_t before = enter(m, "[%llu]", (unsigned long long)
					      yyjson_get_uint(yyjson_obj_get(y, "key")));

			/* A key that could not be read is not there: no more to compare. */
			if (!yyjson_equals(yyjson_obj_get(x, "key"), yyjson_obj_get(y, "key")))
				break;
			compare_values(m, x, y);
			leave(m, before);
		}
		leave(m, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		leaves_of_object(m, yyjson_obj_get(e, facts[i]), yyjson_obj_get(l, facts[i]));
	x = yyjson_obj_get(yyjson_obj_get(e, "arena"), "pages");
	y = yyjson_obj_get(yyjson_obj_get(l, "arena"), "pages");
	compare_pages(m, x, y);
}
