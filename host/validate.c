// SPDX-License-Identifier: GPL-2.0-only
/*
 * "ktcollect validate": the schemas, and what they cannot say: no key twice, integers without
 * fraction, addresses that lead to rows, maps whose sizes, counts and nodes agree, and what
 * the halves of a dual report have to do with each other. check_report.py of the tests
 * checks the same and shares nothing with it.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "collector.h"
#include "difference.h"
#include "log.h"
#include "map.h"
#include "schema.h"
#include "show.h"
#include "validate.h"
#include "view.h"

static const char usage[] =
	"Usage: ktcollect validate [OPTION]... REPORT...\n"
	"Check failure reports (of ktcollect or ktstr). What is wrong is printed, one line per\n"
	"problem: file, JSON pointer, what. \"-\" is standard input.\n"
	"\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 all are right, 1 one is not or cannot be read, 2 wrong usage.\n";

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{}
};

#define MAX_PAGE	(1u << 16)	/* bytes of an arena's page */
#define ARENA_SIZE	(1ull << 32)

/* --------------------------------------------------------------- any JSON value */

static int by_text(const void *a, const void *b)
{
	return strcmp(yyjson_get_str(*(yyjson_val *const *)a), yyjson_get_str(*(yyjson_val *const *)b));
}

static void check_keys(struct problems *p, yyjson_val *obj, const struct place *at)
{
	_cleanup_free_ yyjson_val **keys = calloc(yyjson_obj_size(obj) + 1, sizeof(*keys));
	yyjson_val *v;
	size_t i, max;

	if (!keys)
		return;
	yyjson_obj_foreach(obj, i, max, keys[i], v)
		;
	qsort(keys, max, sizeof(*keys), by_text);
	for (i = 1; i < max; i++)
		if (yyjson_equals(keys[i - 1], keys[i])) {
			struct place member = { .up = at, .key = keys[i] };

			problem(p, &member, "the key is there twice");
		}
}

/* No key twice, no number with a fraction but where floats are. */
static void check_json(struct problems *p, yyjson_val *v, const struct place *at, bool real)
{
	struct place child = { .up = at };
	yyjson_val *one;
	size_t i, max;

	if (yyjson_is_real(v) && !real) {
		problem(p, at, "%.17g is written with a fraction or exponent, or is too large",
			yyjson_get_real(v));
	} else if (yyjson_is_arr(v)) {
		yyjson_arr_foreach(v, child.index, max, one)
			if (yyjson_is_ctn(one) || yyjson_is_real(one))
				check_json(p, one, &child, false);
	} else if (yyjson_is_obj(v)) {
		bool is_float = !strcmp(str(v, "kind"), "float");

		check_keys(p, v, at);
		yyjson_obj_foreach(v, i, max, child.key, one)
			check_json(p, one, &child, is_float && yyjson_equals_str(child.key, "value"));
	}
}

/* -------------------------------------------------------------------- values */

/* The length in bytes of text that the schema has found to be hex. */
static uint64_t hex_len(yyjson_val *hex)
{
	return (yyjson_get_len(hex) + 1) / 3;
}

static bool is_hex(const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if (i % 3 == 2 ? s[i] != ' ' : !strchr("0123456789abcdef", s[i]))
			return false;
	return !len || len % 3 == 2;
}

static void check_node(struct problems *p, yyjson_val *n, const struct place *at, bool literals);

static void check_child(struct problems *p, yyjson_val *n, const char *name, const struct place *up)
{
	struct place at = { .up = up };
	yyjson_val *key, *v;
	size_t i, max;

	yyjson_obj_foreach(n, i, max, key, v)
		if (yyjson_equals_str(key, name)) {
			at.key = key;
			check_node(p, v, &at, false);
		}
}

/* The list under this key, and its place; false when there is none. */
static bool list_at(yyjson_val *obj, const char *name, struct place *at, yyjson_val **list_ret)
{
	yyjson_val *key, *v;
	size_t i, max;

	yyjson_obj_foreach(obj, i, max, key, v) {
		if (!yyjson_equals_str(key, name))
			continue;
		at->key = key;
		*list_ret = v;
		return true;
	}
	*list_ret = NULL;
	return false;
}

static void check_members(struct problems *p, yyjson_val *n, const struct place *up)
{
	struct place at = { .up = up }, item = { .up = &at };
	yyjson_val *list, *one;
	size_t max;

	list_at(n, "members", &at, &list);
	yyjson_arr_foreach(list, item.index, max, one)
		check_child(p, one, "value", &item);
}

static void check_elements(struct problems *p, yyjson_val *n, const struct place *up)
{
	struct place at = { .up = up }, item = { .up = &at };
	yyjson_val *list, *one;
	size_t max;

	list_at(n, "elements", &at, &list);
	if (yyjson_arr_size(list) > num(n, "len"))
		problem(p, up, "%zu elements of %" PRIu64, yyjson_arr_size(list), num(n, "len"));
	yyjson_arr_foreach(list, item.index, max, one)
		check_node(p, one, &item, false);
}

/* @literals: the map of string literals, whose bytes are text. */
static void check_node(struct problems *p, yyjson_val *n, const struct place *at, bool literals)
{
	const char *kind = str(n, "kind");
	uint64_t bits = num(n, "bits"), value = num(n, "value");

	if (!strcmp(kind, "uint")) {
		if (bits < 64 && value >> bits)
			problem(p, at, "%" PRIu64 " does not fit %" PRIu64 " bits", value, bits);
	} else if (!strcmp(kind, "struct")) {
		check_members(p, n, at);
	} else if (!strcmp(kind, "array")) {
		check_elements(p, n, at);
	} else if (!strcmp(kind, "ptr")) {
		if (yyjson_obj_get(n, "deref") && yyjson_obj_get(n, "deref_skipped_reason"))
			problem(p, at, "the pointer was followed and was not");
		check_child(p, n, "deref", at);
	} else if (!strcmp(kind, "bytes")) {
		if (!literals && !is_hex(str(n, "hex")))
			problem(p, at, "the bytes are not hex");
	} else if (!strcmp(kind, "truncated")) {
		if (num(n, "had") >= num(n, "needed"))
			problem(p, at, "%" PRIu64 " bytes of %" PRIu64 " are not too few", num(n, "had"),
				num(n, "needed"));
		check_child(p, n, "partial", at);
	}
}

/* ---------------------------------------------------------------------- maps */

/* A map with its row in "ktdump"; none in a report of ktstr. */
struct map_check {
	yyjson_val *map, *row, *content;
	bool has_error;
	uint64_t nr_cpus;	/* 0: not known */
	const struct place *at;
	struct problems *p;
};

/* Storages have their owner's address in place of the key. */
static bool is_storage(uint64_t type)
{
	return type == MAP_SK_STORAGE || type == MAP_INODE_STORAGE ||
	       type == MAP_TASK_STORAGE || type == MAP_CGRP_STORAGE;
}

/* Sizes are the map's, unless an error of the map says that something is wrong. */
static void check_size(const struct map_check *m, yyjson_val *entry, const char *key, uint64_t size,
		       const struct place *at)
{
	yyjson_val *hex = yyjson_obj_get(entry, key);
	uint64_t n = hex_len(hex);

	if (hex && (m->has_error ? n > size : n != size))
		problem(m->p, at, "%s has %" PRIu64 " bytes of %" PRIu64, key, n, size);
}

static void check_entry(const struct map_check *m, yyjson_val *e, const struct place *at)
{
	struct place per_cpu = { .up = at }, item = { .up = &per_cpu };
	static const char *const nodes[] = { "key", "value", "payload" };
	yyjson_val *list, *one;
	size_t max;

	if (m->row) {
		check_size(m, e, "key_hex", is_storage(num(m->map, "map_type")) ? 8 :
			   num(m->row, "key_size"), at);
		check_size(m, e, "value_hex", num(m->map, "value_size"), at);
	}
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		check_child(m->p, e, nodes[i], at);
	if (!list_at(e, "per_cpu", &per_cpu, &list))
		return;
	yyjson_arr_foreach(list, item.index, max, one)
		check_node(m->p, one, &item, false);
	if (m->nr_cpus && (max > m->nr_cpus || (!m->has_error && max != m->nr_cpus)))
		problem(m->p, at, "values of %zu CPUs, there are %" PRIu64, max, m->nr_cpus);
}

/* The keys of a list go up, without one twice, and stay below @limit. */
static void check_ascending(const struct map_check *m, yyjson_val *list, const char *key, uint64_t limit,
			    const struct place *at)
{
	uint64_t last = 0;
	yyjson_val *e;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, e) {
		uint64_t v = num(e, key);

		if ((i && v <= last) || v >= limit) {
			problem(m->p, at, "%s %" PRIu64 " of entry %zu is out of %s", key, v, i,
				v >= limit ? "range" : "order");
			return;
		}
		last = v;
	}
}

/* As many as "content" says. */
static void check_taken(const struct map_check *m, yyjson_val *list, const struct place *at)
{
	yyjson_val *taken = yyjson_obj_get(m->content, "taken");
	size_t nr = yyjson_arr_size(list);

	if (yyjson_is_int(taken) && nr != yyjson_get_uint(taken) &&
	    !(m->has_error && nr < yyjson_get_uint(taken)))
		problem(m->p, at, "%zu entries, %" PRIu64 " were taken", nr, yyjson_get_uint(taken));
}

static void check_lists(const struct map_check *m)
{
	static const char *const names[] = { "entries", "percpu_entries", "percpu_hash_entries" };
	struct place at = { .up = m->at }, item = { .up = &at };
	yyjson_val *list, *e;
	size_t max;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!list_at(m->map, names[i], &at, &list))
			continue;
		yyjson_arr_foreach(list, item.index, max, e)
			check_entry(m, e, &item);
		check_taken(m, list, &at);
		if (i == 1)
			check_ascending(m, list, "key", num(m->map, "max_entries"), &at);
	}
}

static void check_array_entries(const struct map_check *m)
{
	struct place at = { .up = m->at }, item = { .up = &at };
	yyjson_val *list, *e, *c = m->content;
	size_t max;

	if (!list_at(m->map, "array_entries", &at, &list))
		return;
	check_ascending(m, list, "key", num(m->map, "max_entries"), &at);
	if (!*str(c, "cut") && !num(c, "unreadable") && !*str(c, "error") &&
	    yyjson_arr_size(list) != num(m->map, "max_entries") &&
	    !strstr(str(m->map, "error"), "not all keys are there"))
		problem(m->p, &at, "%zu keys of %" PRIu64, yyjson_arr_size(list), num(m->map, "max_entries"));
	yyjson_arr_foreach(list, item.index, max, e)
		check_child(m->p, e, "value", &item);
}

static void check_stacks(const struct map_check *m)
{
	yyjson_val *st = yyjson_obj_get(m->map, "stack_trace"), *list = yyjson_obj_get(st, "entries"), *e;
	bool cut = yyjson_get_bool(yyjson_obj_get(st, "truncated"));
	size_t i, max;

	if (!st)
		return;
	check_ascending(m, list, "bucket_id", num(st, "n_buckets"), m->at);
	check_taken(m, list, m->at);
	yyjson_arr_foreach(list, i, max, e) {
		yyjson_val *pcs = yyjson_obj_get(e, "pcs");
		size_t nr = yyjson_arr_size(pcs);

		if (pcs && nr * 8 != hex_len(yyjson_obj_get(e, "data_hex")))
			problem(m->p, m->at, "the pcs of stack %zu are not its data_hex", i);
		if (!cut && nr && nr != num(e, "nr"))
			problem(m->p, m->at, "stack %zu has %zu of %" PRIu64 " pcs", i, nr, num(e, "nr"));
	}
}

static void check_slots(const struct map_check *m)
{
	yyjson_val *f = yyjson_obj_get(m->map, "fd_array"), *slots = yyjson_obj_get(f, "slots"), *s;
	yyjson_val *indices = yyjson_obj_get(f, "indices");
	uint64_t type = num(m->map, "map_type");
	size_t i, max;

	if (!f)
		return;
	if (num(f, "populated") > num(f, "scanned"))
		problem(m->p, m->at, "%" PRIu64 " slots are populated, %" PRIu64 " were looked at",
			num(f, "populated"), num(f, "scanned"));
	if (!m->row)
		return;
	check_taken(m, slots, m->at);
	if (!yyjson_get_bool(yyjson_obj_get(f, "truncated")) && !m->has_error &&
	    num(f, "populated") != yyjson_arr_size(slots))
		problem(m->p, m->at, "%zu slots of %" PRIu64, yyjson_arr_size(slots), num(f, "populated"));
	if (type == MAP_SOCKHASH || type == MAP_DEVMAP_HASH || m->has_error)
		return;
	yyjson_arr_foreach(slots, i, max, s)
		if (!yyjson_equals(yyjson_arr_get(indices, i), yyjson_obj_get(s, "index")))
			break;
	if (i < max || max != yyjson_arr_size(indices))
		problem(m->p, m->at, "the indices are not those of the slots");
}

static void check_arena(const struct map_check *m)
{
	yyjson_val *arena = yyjson_obj_get(m->map, "arena"), *pages = yyjson_obj_get(arena, "pages"), *page;
	size_t i, max;

	check_ascending(m, pages, "user_addr", UINT64_MAX, m->at);
	yyjson_arr_foreach(pages, i, max, page) {
		if (num(page, "user_addr") - num(arena, "user_vm_start") >= ARENA_SIZE)
			problem(m->p, m->at, "page 0x%" PRIx64 " is outside of the arena", num(page, "user_addr"));
		if (yyjson_arr_size(yyjson_obj_get(page, "bytes")) > MAX_PAGE)
			problem(m->p, m->at, "page 0x%" PRIx64 " is larger than a page", num(page, "user_addr"));
	}
}

static void check_ringbuf(const struct map_check *m)
{
	yyjson_val *r = yyjson_obj_get(m->map, "ringbuf"), *e;
	yyjson_val *records = yyjson_obj_get(m->map, "ringbuf_records");
	size_t i, max;

	if (!r)
		return;
	if (num(r, "pending_bytes") != num(r, "producer_pos") - num(r, "consumer_pos"))
		problem(m->p, m->at, "pending_bytes is not between the positions");
	yyjson_arr_foreach(records, i, max, e) {
		yyjson_val *hex = yyjson_obj_get(e, "hex");
		bool cut = yyjson_get_bool(yyjson_obj_get(e, "truncated"));
		uint64_t n = hex_len(hex), len = num(e, "len");

		if (!yyjson_is_str(hex) || !is_hex(yyjson_get_str(hex)) || (cut ? n >= len : n != len))
			problem(m->p, m->at, "record %zu has %" PRIu64 " bytes of %" PRIu64, i, n, len);
	}
}

static void check_map(const struct map_check *m)
{
	static const char *const contents[] = {
		"value", "entries", "percpu_entries", "percpu_hash_entries", "arena", "ringbuf",
		"stack_trace", "fd_array",
	};
	const char *name = str(m->map, "name"), *form = str(m->content, "form");
	const char *literals = ".rodata.str1.1";
	struct place value = { .up = m->at };
	yyjson_val *taken = yyjson_obj_get(m->content, "taken"), *node;
	size_t nr = 0, len = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(contents); i++)
		nr += yyjson_obj_get(m->map, contents[i]) != NULL;
	if (nr > 1)
		problem(m->p, m->at, "more than one kind of content");
	if (list_at(m->map, "value", &value, &node))
		check_node(m->p, node, &value, len >= strlen(literals) &&
			   !strcmp(name + len - strlen(literals), literals));
	check_lists(m);
	check_array_entries(m);
	check_stacks(m);
	check_slots(m);
	check_arena(m);
	check_ringbuf(m);
	if (yyjson_is_int(taken) && strcmp(form, "ringbuf") && strcmp(form, "bloom") &&
	    yyjson_get_uint(taken) > (num(m->content, "seen") ? num(m->content, "seen") : 1))
		problem(m->p, m->at, "%" PRIu64 " taken of %" PRIu64, yyjson_get_uint(taken),
			num(m->content, "seen"));
}

/* Ascending by id, those without one behind them. */
static int by_id(const void *a, const void *b)
{
	yyjson_val *x = *(yyjson_val *const *)a, *y = *(yyjson_val *const *)b;

	if (is_num(x, "id") != is_num(y, "id"))
		return is_num(x, "id") ? -1 : 1;
	if (num(x, "id") != num(y, "id"))
		return num(x, "id") < num(y, "id") ? -1 : 1;
	return x < y ? -1 : x > y;
}

static int check_maps(struct problems *p, yyjson_val *top, const struct place *up)
{
	yyjson_val *kt = yyjson_obj_get(top, "ktdump"), *rows = yyjson_obj_get(kt, "maps"), *row, *list;
	_cleanup_free_ yyjson_val **sorted = calloc(yyjson_arr_size(rows) + 1, sizeof(*sorted));
	struct map_check m = { .p = p, .nr_cpus = num(yyjson_obj_get(kt, "kernel"), "nr_cpus") };
	struct place at = { .up = up }, item = { .up = &at };
	size_t i, max, nr = 0;

	if (!sorted)
		return -ENOMEM;
	yyjson_arr_foreach(rows, i, max, row)
		if (!yyjson_get_bool(yyjson_obj_get(row, "left_out")))
			sorted[nr++] = row;
	qsort(sorted, nr, sizeof(*sorted), by_id);
	if (!list_at(top, "maps", &at, &list))
		return 0;
	if (kt && nr != yyjson_arr_size(list)) {
		problem(p, &at, "%zu maps, ktdump has %zu", yyjson_arr_size(list), nr);
		return 0;
	}
	if (num(kt, "maps_left_out") != yyjson_arr_size(rows) - nr)
		problem(p, up, "ktdump's maps_left_out is %" PRIu64 ", that of its maps %zu",
			num(kt, "maps_left_out"), yyjson_arr_size(rows) - nr);
	m.at = &item;
	yyjson_arr_foreach(list, item.index, max, m.map) {
		m.row = kt ? sorted[item.index] : NULL;
		m.content = yyjson_obj_get(m.row, "content");
		m.has_error = *str(m.map, "error");
		if (kt && num(m.map, "map_kva") != num(m.row, "kva"))
			problem(p, &item, "ktdump has another map there");
		check_map(&m);
	}
	return 0;
}

/* ----------------------------------------------------------------- addresses */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Something of the tasks was left out, so that an address may lead nowhere. */
static bool tasks_are_cut(yyjson_val *kt)
{
	yyjson_val *list = yyjson_obj_get(kt, "missing"), *one;
	size_t i, max;

	if (yyjson_get_bool(yyjson_obj_get(kt, "incomplete")))
		return true;
	yyjson_arr_foreach(list, i, max, one)
		if (!strcmp(str(one, "section"), "task") || !strcmp(str(one, "section"), "list"))
			return true;
	list = yyjson_obj_get(kt, "sections");
	yyjson_arr_foreach(list, i, max, one)
		if (!strcmp(str(one, "table"), "task") &&
		    !yyjson_equals(yyjson_obj_get(one, "seen"), yyjson_obj_get(one, "rows")))
			return true;
	return false;
}

static void check_kvas(struct problems *p, yyjson_val *list, const char *key, const uint64_t *kvas,
		       size_t nr, const struct place *at)
{
	struct place item = { .up = at };
	yyjson_val *one, *kva;
	size_t i, max, imax;

	yyjson_arr_foreach(list, item.index, max, one) {
		yyjson_val *refs = yyjson_obj_get(one, key);

		yyjson_arr_foreach(refs, i, imax, kva) {
			uint64_t v = yyjson_get_uint(kva);

			if (!bsearch(&v, kvas, nr, sizeof(v), by_value))
				problem(p, &item, "task 0x%" PRIx64 " has no row", v);
		}
	}
}

static int check_addresses(struct problems *p, yyjson_val *top, const struct place *up)
{
	yyjson_val *kt = yyjson_obj_get(top, "ktdump"), *tasks = yyjson_obj_get(kt, "tasks"), *t, *list;
	_cleanup_free_ uint64_t *kvas = calloc(yyjson_arr_size(tasks) + 1, sizeof(*kvas));
	struct place at = { .up = up }, kt_at = { .up = up }, dsqs_at = { .up = &kt_at };
	size_t i, max;

	if (!kvas)
		return -ENOMEM;
	list_at(top, "ktdump", &kt_at, &kt);
	if (!tasks || tasks_are_cut(kt))
		return 0;
	yyjson_arr_foreach(tasks, i, max, t)
		kvas[i] = num(t, "kva");
	qsort(kvas, max, sizeof(*kvas), by_value);
	if (list_at(top, "rq_scx_states", &at, &list))
		check_kvas(p, list, "runnable_task_kvas", kvas, max, &at);
	if (list_at(top, "dsq_states", &at, &list))
		check_kvas(p, list, "task_kvas", kvas, max, &at);
	if (list_at(kt, "dsqs", &dsqs_at, &list))
		check_kvas(p, list, "task_kvas", kvas, max, &dsqs_at);
	return 0;
}

/* ---------------------------------------------------------------- the whole */

static int check_single(struct problems *p, yyjson_val *top, const struct place *at)
{
	struct place kt_at = { .up = at };
	yyjson_val *kt, *key, *v, *last = NULL;
	size_t nr = p->nr, i, max;
	int err;

	if (!list_at(top, "ktdump", &kt_at, &kt))
		return check_maps(p, top, at);
	err = schema_check(SCHEMA_KTDUMP, NULL, kt, &kt_at, p);
	yyjson_obj_foreach(top, i, max, key, v)
		last = key;
	if (!yyjson_equals_str(last, "ktdump"))
		problem(p, &kt_at, "is not the last key");
	/* What is not built as it should be need not be asked what it means. */
	if (err || p->nr > nr)
		return err;
	err = check_addresses(p, top, at);
	return err ? err : check_maps(p, top, at);
}

static uint64_t trigger_num(yyjson_val *top, const char *key)
{
	return num(yyjson_obj_get(yyjson_obj_get(top, "ktdump"), "trigger"), key);
}

static const char *trigger_of(yyjson_val *top)
{
	return str(yyjson_obj_get(yyjson_obj_get(top, "ktdump"), "trigger"), "trigger");
}

/* What both halves have to do with each other; of ktstr's only what ktstr says. */
static int check_dual(struct problems *p, yyjson_val *top, const struct place *at)
{
	yyjson_val *early = yyjson_obj_get(top, "early"), *late = yyjson_obj_get(top, "late");
	uint64_t age = num(top, "early_max_age_jiffies"), threshold = num(top, "early_threshold_jiffies");
	yyjson_val *ekt = yyjson_obj_get(early, "ktdump"), *lkt = yyjson_obj_get(late, "ktdump");
	struct place kt_at = { .up = at }, diff_at = { .up = &kt_at };
	yyjson_val *kt, *diff;

	if (!early != !!yyjson_obj_get(top, "early_skipped_reason"))
		problem(p, at, early ? "an early snapshot and a reason for its absence" :
			"neither an early snapshot nor a reason for its absence");
	if (!early != (!age && !threshold) || (early && (age < threshold || !threshold)))
		problem(p, at, "the early snapshot's age %" PRIu64 " and threshold %" PRIu64 " do not fit",
			age, threshold);
	if (!lkt)
		return 0;
	if (strcmp(trigger_of(late), "exit"))
		problem(p, at, "the late snapshot is not that of an exit");
	if (!early || num(ekt, "snapshot") == num(lkt, "snapshot"))
		return 0;
	if (strcmp(trigger_of(early), "early"))
		problem(p, at, "the early snapshot is no early one");
	if (num(ekt, "snapshot") != trigger_num(late, "early_snapshot"))
		problem(p, at, "the early snapshot is that of another exit");
	if (!difference_same_boot(early, late))
		problem(p, at, "the snapshots are of two guests");
	if (!trigger_num(early, "mono_ns") || trigger_num(early, "mono_ns") >= trigger_num(late, "mono_ns"))
		problem(p, at, "the early snapshot is the later one");
	if (!list_at(top, "ktdump", &kt_at, &kt) || !list_at(kt, "difference", &diff_at, &diff)) {
		problem(p, at, "has no difference between the snapshots");
		return 0;
	}
	return schema_check(SCHEMA_KTDUMP, "difference", diff, &diff_at, p);
}

static int check_report(struct problems *p, yyjson_val *top)
{
	const struct place at = {};
	struct place half = { .up = &at };
	yyjson_val *single;
	int err;

	check_json(p, top, &at, false);
	err = schema_check(SCHEMA_REPORT, NULL, top, &at, p);
	if (err || p->nr)
		return err;
	if (strcmp(str(top, "schema"), "dual"))
		return check_single(p, top, &at);
	err = check_dual(p, top, &at);
	if (!err && list_at(top, "early", &half, &single))
		err = check_single(p, single, &half);
	if (!err && list_at(top, "late", &half, &single))
		err = check_single(p, single, &half);
	return err;
}

static int validate(const char *path)
{
	struct problems p = { .out = stdout, .file = path };
	yyjson_doc *doc = show_load(path);
	int err;

	if (!doc)
		return EXIT_ERROR;
	err = check_report(&p, yyjson_doc_get_root(doc));
	yyjson_doc_free(doc);
	if (p.nr > PROBLEMS_SHOWN)
		printf("%s: … and %zu more\n", path, p.nr - PROBLEMS_SHOWN);
	if (err)
		log_err("%s: %s", path, strerror(-err));
	return err || p.nr ? EXIT_ERROR : EXIT_OK;
}

int validate_main(int argc, char **argv)
{
	int opt, ret = EXIT_OK;

	while ((opt = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return EXIT_OK;
		}
		fputs("Try 'ktcollect validate --help'.\n", stderr);
		return EXIT_USAGE;
	}
	if (optind == argc) {
		log_err("validate: which reports?");
		fputs("Try 'ktcollect validate --help'.\n", stderr);
		return EXIT_USAGE;
	}
	for (; optind < argc; optind++)
		if (validate(argv[optind]) != EXIT_OK)
			ret = EXIT_ERROR;
	if (fflush(stdout))
		ret = EXIT_ERROR;
	return ret;
}
