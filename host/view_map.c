// SPDX-License-Identifier: GPL-2.0-only
/* Maps and allocations as text: tables where entries are alike, CPUs together that agree. */
#include <inttypes.h>
#include <string.h>

#include "map.h"
#include "view.h"

#define MAX_ROWS	16	/* entries of a map, if not all */
#define MAX_COLUMNS	12
#define CELL		32
#define MAX_PCS		8
#define MAX_INDICES	16

static size_t limit(const struct view_line *l, size_t nr)
{
	return l->all || nr < MAX_ROWS ? nr : MAX_ROWS;
}

static void view_more(struct view_line *l, size_t nr, size_t shown)
{
	if (shown == nr)
		return;
	view_newline(l);
	view_print(l, "… and %zu more", nr - shown);
}

/* ------------------------------------------------------------------------ tables */

struct table_view {
	const char *name[MAX_COLUMNS];
	size_t width[MAX_COLUMNS];
	unsigned int nr, nr_key;
	bool right[MAX_COLUMNS];
};

static yyjson_val *member_value(yyjson_val *node, size_t i)
{
	return yyjson_obj_get(yyjson_arr_get(yyjson_obj_get(node, "members"), i), "value");
}

/* Adds the columns of a key or value; false: it does not fit a table. */
static bool add_columns(struct table_view *t, yyjson_val *node, const char *name)
{
	yyjson_val *members = yyjson_obj_get(node, "members"), *m;
	size_t i, max;

	if (view_is_flat(node)) {
		if (t->nr == MAX_COLUMNS)
			return false;
		t->name[t->nr++] = name;
		return true;
	}
	if (strcmp(str(node, "kind"), "struct") || !yyjson_arr_size(members))
		return false;
	yyjson_arr_foreach(members, i, max, m) {
		if (t->nr == MAX_COLUMNS || !*str(m, "name"))
			return false;
		t->name[t->nr++] = str(m, "name");
	}
	return true;
}

/* The text of column @i; false: not one line, not this structure, too long. */
static bool cell(const struct table_view *t, yyjson_val *entry, unsigned int i, char buf[CELL])
{
	bool key = i < t->nr_key;
	yyjson_val *node = yyjson_obj_get(entry, key ? "key" : "value"), *v = node;
	unsigned int nth = key ? i : i - t->nr_key;

	if (!view_is_flat(node)) {
		yyjson_val *members = yyjson_obj_get(node, "members");

		if (yyjson_arr_size(members) != (key ? t->nr_key : t->nr - t->nr_key) ||
		    strcmp(str(yyjson_arr_get(members, nth), "name"), t->name[i]))
			return false;
		v = member_value(node, nth);
	} else if (nth) {
		return false;
	}
	return view_inline(v, buf, CELL);
}

/* All entries have the same plain members: a line each. False: nothing was written. */
static bool entry_table(struct view_line *l, yyjson_val *entries)
{
	size_t nr = yyjson_arr_size(entries), shown = limit(l, nr), i, max, width = 0;
	yyjson_val *first = yyjson_arr_get_first(entries), *e;
	struct table_view t = {};
	char buf[CELL];

	if (nr < 2 || !add_columns(&t, yyjson_obj_get(first, "key"), "key"))
		return false;
	t.nr_key = t.nr;
	if (!add_columns(&t, yyjson_obj_get(first, "value"), "value"))
		return false;
	for (unsigned int c = 0; c < t.nr; c++)
		t.width[c] = strlen(t.name[c]);
	yyjson_arr_foreach(entries, i, max, e) {
		if (yyjson_obj_get(e, "payload"))
			return false;
		for (unsigned int c = 0; i < shown && c < t.nr; c++) {
			if (!cell(&t, e, c, buf))
				return false;
			if (strlen(buf) > t.width[c])
				t.width[c] = strlen(buf);
		}
	}
	for (unsigned int c = 0; c < t.nr; c++)
		width += t.width[c] + 2;
	if (2 * (l->indent + 1) + width + 3 > VIEW_WIDTH)
		return false;
	l->indent++;
	view_newline(l);
	for (unsigned int c = 0; c < t.nr; c++)
		view_print(l, "%s%*s", !c ? "" : c == t.nr_key ? " | " : "  ", (int)t.width[c], t.name[c]);
	yyjson_arr_foreach(entries, i, max, e) {
		if (i == shown)
			break;
		view_newline(l);
		for (unsigned int c = 0; c < t.nr; c++) {
			cell(&t, e, c, buf);
			view_print(l, "%s%*s", !c ? "" : c == t.nr_key ? " | " : "  ", (int)t.width[c], buf);
		}
	}
	view_more(l, nr, shown);
	l->indent--;
	return true;
}

/* ----------------------------------------------------------------------- entries */

/* With "all" the bytes too, where there is a rendered side. */
static void raw(struct view_line *l, yyjson_val *entry, const char *key, const char *hex)
{
	if (!l->all || !yyjson_is_obj(yyjson_obj_get(entry, key)) || !*str(entry, hex))
		return;
	view_newline(l);
	view_print(l, "%s: ", hex);
	view_put(l, str(entry, hex));
}

/* The rendered node, else its bytes. */
static void value_or_hex(struct view_line *l, yyjson_val *entry, const char *key, const char *hex)
{
	yyjson_val *node = yyjson_obj_get(entry, key);

	if (node && !yyjson_is_null(node)) {
		view_value(l, node);
	} else {
		view_put(l, str(entry, hex));
		view_put(l, " (raw)");
	}
}

static void entries(struct view_line *l, yyjson_val *arr)
{
	size_t nr = yyjson_arr_size(arr), shown = limit(l, nr), i, max;
	yyjson_val *e;

	if (!l->all && entry_table(l, arr))
		return;
	l->indent++;
	yyjson_arr_foreach(arr, i, max, e) {
		if (i == shown)
			break;
		view_newline(l);
		if (!*str(e, "key_hex")) {
			/* a queue or stack */
			view_print(l, "[%zu] ", i);
			value_or_hex(l, e, "value", "value_hex");
			continue;
		}
		view_put(l, "entry: key=");
		value_or_hex(l, e, "key", "key_hex");
		l->indent++;
		raw(l, e, "key", "key_hex");
		view_newline(l);
		view_put(l, "value: ");
		value_or_hex(l, e, "value", "value_hex");
		raw(l, e, "value", "value_hex");
		if (yyjson_obj_get(e, "payload")) {
			view_newline(l);
			view_put(l, ".data ");
			view_value(l, yyjson_obj_get(e, "payload"));
		}
		l->indent--;
	}
	view_more(l, nr, shown);
	l->indent--;
}

static void array_entries(struct view_line *l, yyjson_val *arr)
{
	size_t nr = yyjson_arr_size(arr), shown = limit(l, nr), i, max;
	yyjson_val *e;

	l->indent++;
	yyjson_arr_foreach(arr, i, max, e) {
		if (i == shown)
			break;
		view_newline(l);
		view_print(l, "key %" PRIu64 ": ", num(e, "key"));
		view_value(l, yyjson_obj_get(e, "value"));
	}
	view_more(l, nr, shown);
	l->indent--;
}

/* CPUs that agree share a line: "cpus [0-2, 5]: …". */
static void per_cpu(struct view_line *l, yyjson_val *arr)
{
	_cleanup_free_ bool *done = calloc(yyjson_arr_size(arr) + 1, sizeof(*done));
	size_t nr = yyjson_arr_size(arr), i, max;
	yyjson_val *v;

	if (!done)
		return;
	l->indent++;
	yyjson_arr_foreach(arr, i, max, v) {
		yyjson_val *w = v;
		size_t same = 1, from = i, j;
		char cpus[VIEW_WIDTH / 2] = "", one[32];

		if (done[i])
			continue;
		/* Ranges of all that are equal to this one. */
		for (j = i + 1; j <= nr; j++) {
			bool equal = false;

			if (j < nr) {
				w = unsafe_yyjson_get_next(w);
				equal = !done[j] && yyjson_equals(v, w);
			}
			if (equal) {
				done[j] = true;
				if (from == SIZE_MAX)
					from = j;
				same++;
				continue;
			}
			if (from == SIZE_MAX)
				continue;
			snprintf(one, sizeof(one), from + 1 == j ? "%s%zu" : "%s%zu-%zu", *cpus ? ", " : "",
				 from, j - 1);
			if (strlen(cpus) + strlen(one) + 4 < sizeof(cpus))
				strcat(cpus, one);
			else if (cpus[strlen(cpus) - 1] != '.')
				strcat(cpus, "..");
			from = SIZE_MAX;
		}
		view_newline(l);
		if (same == nr && nr > 1)
			view_put(l, "all CPUs: ");
		else
			view_print(l, same > 1 ? "cpus [%s]: " : "cpu %s: ", cpus);
		if (yyjson_is_null(v))
			view_put(l, "<unmapped>");
		else
			view_value(l, v);
	}
	l->indent--;
}

static void percpu_entries(struct view_line *l, yyjson_val *arr, bool hash)
{
	size_t nr = yyjson_arr_size(arr), shown = limit(l, nr), i, max;
	yyjson_val *e;

	l->indent++;
	yyjson_arr_foreach(arr, i, max, e) {
		if (i == shown)
			break;
		view_newline(l);
		if (hash) {
			view_put(l, "entry: key=");
			value_or_hex(l, e, "key", "key_hex");
			l->indent++;
			raw(l, e, "key", "key_hex");
			l->indent--;
		} else {
			view_print(l, "key %" PRIu64 ":", num(e, "key"));
		}
		per_cpu(l, yyjson_obj_get(e, "per_cpu"));
	}
	view_more(l, nr, shown);
	l->indent--;
}

/* ------------------------------------------------------------------- other forms */

static bool page_is_zero(yyjson_val *page)
{
	yyjson_val *b;
	size_t i, max;

	yyjson_arr_foreach(yyjson_obj_get(page, "bytes"), i, max, b)
		if (yyjson_get_uint(b))
			return false;
	return true;
}

/* 32 bytes on a line; lines of zeros are left out. */
static void arena_page(struct view_line *l, yyjson_val *p)
{
	yyjson_val *bytes = yyjson_obj_get(p, "bytes"), *b;
	unsigned char row[32];
	size_t i, max, k, n = 0;

	view_newline(l);
	view_print(l, "page 0x%" PRIx64, num(p, "user_addr"));
	l->indent++;
	yyjson_arr_foreach(bytes, i, max, b) {
		row[n++] = yyjson_get_uint(b);
		if (n < sizeof(row) && i + 1 < max)
			continue;
		for (k = 0; k < n && !row[k]; k++)
			;
		if (k < n) {
			view_newline(l);
			view_print(l, "+%03zx:", i + 1 - n);
			for (k = 0; k < n; k++)
				view_print(l, "%s%02x", k % 4 ? "" : " ", row[k]);
		}
		n = 0;
	}
	l->indent--;
}

static void view_arena(struct view_line *l, yyjson_val *a)
{
	yyjson_val *pages = yyjson_obj_get(a, "pages"), *p;
	size_t i, max, filled = 0;
	uint64_t bytes = 0;

	yyjson_arr_foreach(pages, i, max, p) {
		filled += !page_is_zero(p);
		bytes += yyjson_arr_size(yyjson_obj_get(p, "bytes"));
	}
	view_newline(l);
	view_print(l, "arena: %zu pages captured (%" PRIu64 " KiB), %zu non-zero",
		   yyjson_arr_size(pages), bytes / 1024, filled);
	if (yyjson_get_bool(yyjson_obj_get(a, "truncated")))
		view_print(l, " (truncated, %" PRIu64 " declared)", num(a, "declared_pages"));
	if (!l->all)
		return;
	l->indent++;
	view_newline(l);
	view_print(l, "user_vm_start=0x%" PRIx64 " kern_vm_start=0x%" PRIx64 " declared_pages=%" PRIu64,
		   num(a, "user_vm_start"), num(a, "kern_vm_start"), num(a, "declared_pages"));
	yyjson_arr_foreach(pages, i, max, p)
		arena_page(l, p);
	l->indent--;
}

static void view_ringbuf(struct view_line *l, yyjson_val *map)
{
	yyjson_val *rb = yyjson_obj_get(map, "ringbuf"), *recs = yyjson_obj_get(map, "ringbuf_records"), *r;
	uint64_t size = num(rb, "capacity"), pending = num(rb, "pending_bytes");
	size_t nr = yyjson_arr_size(recs), shown = limit(l, nr), i, max;
	char pos[48];

	view_newline(l);
	snprintf(pos, sizeof(pos), is_num(rb, "pending_pos") ? ", pending_pos=%" PRIu64 : "", num(rb, "pending_pos"));
	view_wrap(l, "ringbuf: capacity=%" PRIu64 "B, pending=%" PRIu64 "B (%" PRIu64 "%%), consumer_pos=%" PRIu64
		  ", producer_pos=%" PRIu64 "%s", size, pending, !size || pending >= size ? 100 : pending * 100 / size,
		  num(rb, "consumer_pos"), num(rb, "producer_pos"), pos);
	l->indent++;
	yyjson_arr_foreach(recs, i, max, r) {
		if (i == shown)
			break;
		view_newline(l);
		view_print(l, "at %" PRIu64 ": %" PRIu64 " bytes%s%s  ", num(r, "pos"), num(r, "len"),
			   yyjson_get_bool(yyjson_obj_get(r, "busy")) ? ", not submitted" : "",
			   yyjson_get_bool(yyjson_obj_get(r, "discarded")) ? ", discarded" : "");
		if (strlen(str(r, "hex")) + l->col <= VIEW_WIDTH || l->all)
			view_put(l, str(r, "hex"));
		else
			view_print(l, "%.*s …", (int)((VIEW_WIDTH - l->col - 2) / 3 * 3), str(r, "hex"));
	}
	view_more(l, nr, shown);
	l->indent--;
}

static void view_stacks(struct view_line *l, yyjson_val *st)
{
	yyjson_val *arr = yyjson_obj_get(st, "entries"), *e, *pc;
	size_t nr = yyjson_arr_size(arr), shown = limit(l, nr), i, max, k, kmax;

	view_newline(l);
	view_print(l, "stack_trace: %zu of %" PRIu64 " buckets populated%s", nr, num(st, "n_buckets"),
		   yyjson_get_bool(yyjson_obj_get(st, "truncated")) ? " (truncated)" : "");
	l->indent++;
	yyjson_arr_foreach(arr, i, max, e) {
		yyjson_val *pcs = yyjson_obj_get(e, "pcs");

		if (i == shown)
			break;
		view_newline(l);
		view_print(l, "bucket %" PRIu64 ": nr=%" PRIu64, num(e, "bucket_id"), num(e, "nr"));
		l->indent++;
		yyjson_arr_foreach(pcs, k, kmax, pc) {
			if (k == MAX_PCS && !l->all) {
				view_print(l, ", +%zu more", yyjson_arr_size(pcs) - k);
				break;
			}
			view_put(l, k ? "," : " pcs=[");
			if (l->col + 20 > VIEW_WIDTH)
				view_newline(l);
			view_print(l, "%s0x%" PRIx64, k ? " " : "", yyjson_get_uint(pc));
		}
		if (yyjson_arr_size(pcs))
			view_put(l, "]");
		if (l->all && *str(e, "data_hex")) {
			view_newline(l);
			view_put(l, str(e, "data_hex"));
		}
		l->indent--;
	}
	view_more(l, nr, shown);
	l->indent--;
}

static void view_slots(struct view_line *l, yyjson_val *map)
{
	yyjson_val *fd = yyjson_obj_get(map, "fd_array"), *slots = yyjson_obj_get(map, "slots"), *s, *n;
	size_t i, max, shown;

	if (!slots)
		slots = yyjson_obj_get(fd, "slots");
	view_newline(l);
	view_print(l, "fd_array: %" PRIu64 " of %" PRIu64 " slots populated%s", num(fd, "populated"),
		   num(fd, "scanned"), yyjson_get_bool(yyjson_obj_get(fd, "truncated")) ? " (slots truncated)" : "");
	if (!yyjson_arr_size(slots)) {
		yyjson_val *indices = yyjson_obj_get(fd, "indices");

		yyjson_arr_foreach(indices, i, max, n) {
			if (i == MAX_INDICES && !l->all) {
				view_print(l, ", +%zu more", yyjson_arr_size(indices) - i);
				break;
			}
			view_print(l, "%s%" PRIu64, i ? ", " : " indices=[", yyjson_get_uint(n));
		}
		if (yyjson_arr_size(indices))
			view_put(l, "]");
		return;
	}
	shown = limit(l, yyjson_arr_size(slots));
	l->indent++;
	yyjson_arr_foreach(slots, i, max, s) {
		yyjson_val *object = yyjson_obj_get(s, "object");

		if (i == shown)
			break;
		view_newline(l);
		if (is_num(s, "index"))
			view_print(l, "[%" PRIu64 "]", num(s, "index"));
		else
			view_print(l, "[%s]", str(s, "key_hex"));
		if (yyjson_is_obj(object)) {
			view_print(l, " %s", str(object, "kind"));
			if (is_num(object, "id"))
				view_print(l, " %" PRIu64, num(object, "id"));
			view_print(l, " %s", str(object, "name"));
		} else {
			static const char *const ids[] = { "prog_id", "map_id", "ifindex", "id" };

			for (unsigned int k = 0; k < ARRAY_SIZE(ids); k++)
				if (is_num(s, ids[k]))
					view_print(l, " %s=%" PRIu64, ids[k], num(s, ids[k]));
		}
		view_print(l, " at 0x%" PRIx64, num(s, "kva"));
	}
	view_more(l, yyjson_arr_size(slots), shown);
	l->indent--;
}

static void links(struct view_line *l, yyjson_val *ops)
{
	yyjson_val *arr = yyjson_obj_get(ops, "links"), *e;
	size_t i, max;

	if (!yyjson_is_obj(ops))
		return;
	view_newline(l);
	view_print(l, "struct_ops: %s", str(ops, "state_name"));
	l->indent++;
	yyjson_arr_foreach(arr, i, max, e) {
		view_newline(l);
		view_print(l, "%-16s %s", str(e, "name"), str(e, "prog"));
		if (is_num(e, "prog_id"))
			view_print(l, " (program %" PRIu64 ")", num(e, "prog_id"));
	}
	l->indent--;
}

void view_map(struct view_line *l, yyjson_val *m)
{
	const char *type = map_type_name(num(m, "map_type"));
	yyjson_val *v;
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, num(m, "map_type"));
	view_print(l, "map %s (type=%s, value_size=%" PRIu64 ", max_entries=%" PRIu64 ")", str(m, "name"),
		   type ? type : number, num(m, "value_size"), num(m, "max_entries"));
	l->indent++;
	if (*str(m, "error")) {
		view_newline(l);
		view_put(l, "[error: ");
		view_words(l, str(m, "error"));
		view_put(l, "]");
	}
	v = yyjson_obj_get(m, "value");
	if (yyjson_is_obj(v) && !yyjson_obj_get(m, "array_entries")) {
		view_newline(l);
		view_value(l, v);
	}
	l->indent--;
	if (yyjson_obj_get(m, "array_entries"))
		array_entries(l, yyjson_obj_get(m, "array_entries"));
	if (yyjson_arr_size(yyjson_obj_get(m, "entries")))
		entries(l, yyjson_obj_get(m, "entries"));
	percpu_entries(l, yyjson_obj_get(m, "percpu_entries"), false);
	percpu_entries(l, yyjson_obj_get(m, "percpu_hash_entries"), true);
	l->indent++;
	if (yyjson_is_obj(yyjson_obj_get(m, "arena")))
		view_arena(l, yyjson_obj_get(m, "arena"));
	if (yyjson_is_obj(yyjson_obj_get(m, "ringbuf")))
		view_ringbuf(l, m);
	if (yyjson_is_obj(yyjson_obj_get(m, "stack_trace")))
		view_stacks(l, yyjson_obj_get(m, "stack_trace"));
	if (yyjson_is_obj(yyjson_obj_get(m, "fd_array")))
		view_slots(l, m);
	links(l, yyjson_obj_get(m, "struct_ops"));
	l->indent--;
}

void view_allocs(struct view_line *l, yyjson_val *top)
{
	yyjson_val *arr = yyjson_obj_get(top, "sdt_allocations"), *ranges, *a, *e;
	size_t i, max, k, kmax;

	yyjson_arr_foreach(arr, i, max, a) {
		yyjson_val *ents = yyjson_obj_get(a, "entries");
		size_t nr = yyjson_arr_size(ents), shown = limit(l, nr);
		char skipped[48];

		view_newline(l);
		snprintf(skipped, sizeof(skipped), num(a, "skipped_subtrees") ? " (%" PRIu64 " subtrees skipped)" : "",
			 num(a, "skipped_subtrees"));
		view_wrap(l, "sdt_alloc %s (elem_size=%" PRIu64 ", target_type_id=%" PRIu64 "%s%s): %zu live%s%s",
			  str(a, "allocator_name"), num(a, "elem_size"), num(a, "target_type_id"),
			  *str(a, "payload_type_reason") ? ", reason=" : "", str(a, "payload_type_reason"), nr,
			  yyjson_get_bool(yyjson_obj_get(a, "truncated")) ? " (truncated)" : "", skipped);
		l->indent++;
		yyjson_arr_foreach(ents, k, kmax, e) {
			if (k == shown)
				break;
			view_newline(l);
			view_value(l, yyjson_obj_get(e, "payload"));
		}
		view_more(l, nr, shown);
		l->indent--;
	}
	ranges = yyjson_obj_get(top, "scx_static_ranges");
	yyjson_arr_foreach(yyjson_obj_get(ranges, "ranges"), i, max, a) {
		view_newline(l);
		view_print(l, "scx_static %s [0x%" PRIx64 "..0x%" PRIx64 ") cap=%" PRIu64,
			   str(a, "instance_name"), num(a, "start_low32"),
			   num(a, "start_low32") + num(a, "size"), num(a, "capacity"));
	}
	if (num(ranges, "skipped")) {
		view_newline(l);
		view_print(l, "scx_static: %" PRIu64 " instance(s) skipped", num(ranges, "skipped"));
	}
	fputc('\n', l->out);
}
