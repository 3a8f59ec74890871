// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rendered values as text, as ktstr shows them: what fits on a line stands on one, what is
 * zero is left out, arrays tell only what is not.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "view.h"

#define MAX_ZERO_DEPTH	16
#define MAX_GROUPS	24	/* lines of an array, runs of numbers, if not all */
#define MAX_BYTES	48
#define CELLS		3	/* plain members on one line */

enum kind {
	K_INT, K_UINT, K_BOOL, K_CHAR, K_FLOAT, K_ENUM, K_STRUCT, K_ARRAY, K_CPU_LIST, K_PTR, K_BYTES,
	K_TRUNCATED, K_UNSUPPORTED, K_NONE,
};

static enum kind kind_of(yyjson_val *n)
{
	static const char *const names[] = {
		"int", "uint", "bool", "char", "float", "enum", "struct", "array", "cpu_list", "ptr",
		"bytes", "truncated", "unsupported",
	};
	const char *s = str(n, "kind");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names) && strcmp(s, names[i]); i++)
		;
	return i;
}

/* ------------------------------------------------------------ text that may not fit */

struct text {
	char *buf;
	size_t len, size;
	bool over;	/* it does not fit, or needs lines of its own */
};

/* Control characters become question marks when the text is printed. */
static void add(struct text *t, const char *s)
{
	size_t n = strlen(s);

	if (t->over || n >= t->size - t->len) {
		t->over = true;
		return;
	}
	memcpy(t->buf + t->len, s, n + 1);
	t->len += n;
}

static void __printf(2, 3) addf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->over)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->size - t->len)
		t->over = true;
	else
		t->len += n;
}

static void add_number(struct text *t, yyjson_val *v)
{
	if (yyjson_is_uint(v))
		addf(t, "%" PRIu64, yyjson_get_uint(v));
	else if (yyjson_is_sint(v))
		addf(t, "%" PRId64, yyjson_get_sint(v));
	else if (yyjson_is_str(v))
		add(t, yyjson_get_str(v));
	else
		add(t, "?");
}

static void add_float(struct text *t, yyjson_val *v)
{
	double d = yyjson_get_num(v);
	char buf[32];

	if (!yyjson_is_num(v)) {
		/* JSON has no word for them. */
		add(t, yyjson_is_str(v) ? yyjson_get_str(v) : "not a number");
		return;
	}
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(buf, sizeof(buf), "%.*g", digits, d);
		if (strtod(buf, NULL) == d)
			break;
	}
	add(t, buf);
}

/* ------------------------------------------------------------------- what to show */

static bool is_zero(yyjson_val *n, unsigned int depth)
{
	yyjson_val *v = yyjson_obj_get(n, "value"), *child;
	size_t i, max;

	if (depth > MAX_ZERO_DEPTH)
		return false;
	switch (kind_of(n)) {
	case K_INT:
	case K_UINT:
	case K_CHAR:
	case K_ENUM:
		return yyjson_is_int(v) && !yyjson_get_uint(v);
	case K_FLOAT:
		return yyjson_is_num(v) && yyjson_get_num(v) == 0;
	case K_BOOL:
		return !yyjson_get_bool(v);
	case K_PTR:
		return yyjson_is_int(v) && !yyjson_get_uint(v) && !yyjson_obj_get(n, "deref");
	case K_CPU_LIST:
		return !*str(n, "cpus");
	case K_STRUCT:
		yyjson_arr_foreach(yyjson_obj_get(n, "members"), i, max, child)
			if (!is_zero(yyjson_obj_get(child, "value"), depth + 1))
				return false;
		return true;
	case K_ARRAY:
		yyjson_arr_foreach(yyjson_obj_get(n, "elements"), i, max, child)
			if (!is_zero(child, depth + 1))
				return false;
		return true;
	default:
		return false;
	}
}

bool view_is_flat(yyjson_val *n)
{
	switch (kind_of(n)) {
	case K_PTR:
		return !yyjson_obj_get(n, "deref") && !yyjson_obj_get(n, "deref_skipped_reason");
	case K_STRUCT:
	case K_ARRAY:
	case K_TRUNCATED:
	case K_BYTES:
	case K_UNSUPPORTED:
	case K_NONE:
		return false;
	default:
		return true;
	}
}

/* Elements without an inside. */
static bool is_plain_array(yyjson_val *elements)
{
	yyjson_val *e;
	size_t i, max;

	yyjson_arr_foreach(elements, i, max, e) {
		enum kind k = kind_of(e);

		if (!view_is_flat(e) && k != K_BYTES && k != K_UNSUPPORTED)
			return false;
	}
	return true;
}

/* The first @max characters if this is a text, its length otherwise -1. */
static ssize_t text_of(yyjson_val *n, char *buf, size_t size)
{
	yyjson_val *elements = yyjson_obj_get(n, "elements"), *e;
	bool ended = false;
	size_t i, max, len = 0;

	if (kind_of(n) != K_ARRAY || yyjson_arr_size(elements) < 2)
		return -1;
	yyjson_arr_foreach(elements, i, max, e) {
		enum kind k = kind_of(e);
		uint64_t c = num(e, "value");

		if ((k != K_CHAR && ((k != K_INT && k != K_UINT) || num(e, "bits") != 8)) ||
		    !is_num(e, "value") || (c && c != '\n' && c != '\t' && (c < 0x20 || c > 0x7e)) || (!c && !i))
			return -1;
		ended |= !c;
		if (!ended && len + 1 < size)
			buf[len++] = c;
	}
	buf[len] = '\0';
	return len;
}

struct member {
	const char *name;
	yyjson_val *value;
};

struct members {
	struct member *m;
	size_t nr, size;
};

static void members_done(struct members *ms)
{
	free(ms->m);
}
#define _cleanup_members_ _cleanup_(members_done)

/* Those worth a word; members of anonymous structs and unions are the outer one's. */
static void collect(struct members *ms, yyjson_val *n, bool all)
{
	yyjson_val *arr = yyjson_obj_get(n, "members"), *m;
	size_t i, max;

	yyjson_arr_foreach(arr, i, max, m) {
		yyjson_val *v = yyjson_obj_get(m, "value");
		const char *name = str(m, "name");

		if (!*name && kind_of(v) == K_STRUCT) {
			collect(ms, v, all);
			continue;
		}
		if (!all && is_zero(v, 0))
			continue;
		if (ms->nr == ms->size) {
			size_t size = ms->size ? 2 * ms->size : 16;
			struct member *more = reallocarray(ms->m, size, sizeof(*more));

			if (!more)
				return;
			ms->m = more;
			ms->size = size;
		}
		ms->m[ms->nr++] = (struct member){ *name ? name : "<anon>", v };
	}
}

/* -------------------------------------------------------------------- on one line */

static void inline_value(struct text *t, yyjson_val *n, bool in_array);

static void inline_string(struct text *t, const char *s)
{
	add(t, "\"");
	for (; *s; s++)
		addf(t, *s == '\n' ? "\\n" : *s == '\t' ? "\\t" : *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
	add(t, "\"");
}

/* "[1, 2, 3]", or where much is zero, runs: "[[2]=7  [5..7]={1, 2, 3}]". */
static void inline_array(struct text *t, yyjson_val *n)
{
	yyjson_val *elements = yyjson_obj_get(n, "elements"), *e;
	size_t nr = yyjson_arr_size(elements), i, max, zero = 0;
	uint64_t len = num(n, "len");
	bool open = false, any = false, was_zero = true;
	char text[VIEW_WIDTH + 1];

	if (!nr) {
		add(t, "[]");
		return;
	}
	if (text_of(n, text, sizeof(text)) >= 0) {
		inline_string(t, text);
		return;
	}
	if (is_zero(n, 0)) {
		addf(t, "[all %" PRIu64 " zero]", len);
		return;
	}
	yyjson_arr_foreach(elements, i, max, e)
		zero += is_zero(e, 0);
	add(t, "[");
	yyjson_arr_foreach(elements, i, max, e) {
		bool is = is_zero(e, 0);

		if (t->over)
			return;
		if (!zero) {
			if (i)
				add(t, ", ");
			inline_value(t, e, true);
			continue;
		}
		if (!is && was_zero) {
			yyjson_val *next = e;
			size_t last = i;

			while (last + 1 < nr && last - i < VIEW_WIDTH &&
			       !is_zero(next = unsafe_yyjson_get_next(next), 0))
				last++;
			if (any)
				add(t, "  ");
			open = last > i;
			if (open)
				addf(t, "[%zu..%zu]={", i, last);
			else
				addf(t, "[%zu]=", i);
			any = true;
		} else if (!is) {
			add(t, ", ");
		}
		if (!is)
			inline_value(t, e, true);
		else if (!was_zero && open)
			add(t, "}");
		was_zero = is;
	}
	if (zero && !was_zero && open)
		add(t, "}");
	if (nr < len)
		addf(t, " /* %zu of %" PRIu64 " shown */", nr, len);
	add(t, "]");
}

static void inline_struct(struct text *t, yyjson_val *n)
{
	_cleanup_members_ struct members ms = {};

	collect(&ms, n, false);
	add(t, str(n, "type_name"));
	add(t, "{");
	for (size_t i = 0; i < ms.nr && !t->over; i++) {
		addf(t, "%s%s=", i ? ", " : "", ms.m[i].name);
		inline_value(t, ms.m[i].value, false);
	}
	add(t, "}");
}

static void inline_ptr(struct text *t, yyjson_val *n)
{
	const char *why = str(n, "deref_skipped_reason");
	yyjson_val *to = yyjson_obj_get(n, "deref");

	addf(t, "0x%" PRIx64, num(n, "value"));
	if (*str(n, "ktdump_label"))
		addf(t, " (%s)", str(n, "ktdump_label"));
	if (*str(n, "cast_annotation"))
		addf(t, " (%s)", str(n, "cast_annotation"));
	if (to) {
		add(t, " → ");
		inline_value(t, to, false);
	} else if (!strncmp(why, "cycle ", 6)) {
		add(t, " [cycle]");
	} else if (*why) {
		addf(t, " [chase: %s]", why);
	}
}

static void inline_value(struct text *t, yyjson_val *n, bool in_array)
{
	yyjson_val *v = yyjson_obj_get(n, "value");
	uint64_t c;

	if (t->over)
		return;
	switch (kind_of(n)) {
	case K_UINT:
		if (in_array && num(n, "bits") >= 32 && yyjson_is_uint(v)) {
			addf(t, "0x%" PRIx64, yyjson_get_uint(v));
			break;
		} /* fall through */
	case K_INT:
		add_number(t, v);
		break;
	case K_BOOL:
		add(t, yyjson_get_bool(v) ? "true" : "false");
		break;
	case K_CHAR:
		c = yyjson_get_uint(v);
		addf(t, c >= 0x20 && c <= 0x7e ? "'%c'" : "0x%02x", (unsigned int)c & 0xff);
		break;
	case K_FLOAT:
		add_float(t, v);
		break;
	case K_ENUM:
		if (*str(n, "variant"))
			addf(t, "%s (", str(n, "variant"));
		/* The number is signed in any case; the enumeration need not be. */
		if (yyjson_is_sint(v) && yyjson_is_false(yyjson_obj_get(n, "is_signed")))
			addf(t, "%" PRIu64, num(n, "bits") == 32 ? (uint32_t)yyjson_get_sint(v) :
			     (uint64_t)yyjson_get_sint(v));
		else
			add_number(t, v);
		if (*str(n, "variant"))
			add(t, ")");
		break;
	case K_STRUCT:
		inline_struct(t, n);
		break;
	case K_ARRAY:
		inline_array(t, n);
		break;
	case K_CPU_LIST:
		addf(t, "cpus={%s}", str(n, "cpus"));
		break;
	case K_PTR:
		inline_ptr(t, n);
		break;
	case K_BYTES:
		add(t, str(n, "hex"));
		break;
	case K_TRUNCATED:
		addf(t, "<truncated needed=%" PRIu64 " had=%" PRIu64 ">", num(n, "needed"), num(n, "had"));
		if (num(n, "had")) {
			add(t, " ");
			inline_value(t, yyjson_obj_get(n, "partial"), in_array);
		}
		break;
	case K_UNSUPPORTED:
		addf(t, "<unsupported: %s>", str(n, "reason"));
		break;
	case K_NONE:
		add(t, n && !yyjson_is_null(n) ? "<?>" : "<unreadable>");
		break;
	}
}

bool view_inline(yyjson_val *n, char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };

	buf[0] = '\0';
	inline_value(&t, n, false);
	return !t.over;
}

/* ------------------------------------------------------------------- on many lines */

/* Plain members, some on a line; then each of the others. */
static void block_struct(struct view_line *l, yyjson_val *n)
{
	_cleanup_members_ struct members ms = {};
	const char *name = str(n, "type_name");
	char cell[2 * VIEW_WIDTH], value[VIEW_WIDTH];
	size_t i, cells = 0;

	collect(&ms, n, l->all);
	view_print(l, "%s:", *name ? name : "struct");
	l->indent++;
	for (i = 0; i < ms.nr; i++) {
		if (!view_is_flat(ms.m[i].value) || !view_inline(ms.m[i].value, value, sizeof(value)))
			continue;
		snprintf(cell, sizeof(cell), "%s=%s", ms.m[i].name, value);
		if (!cells || cells == CELLS || l->col + 3 + strlen(cell) > VIEW_WIDTH) {
			view_newline(l);
			cells = 0;
		} else {
			/* Columns, so that the eye finds its way. */
			size_t at = 2 * l->indent + cells * 30;

			view_print(l, "%*s", l->col + 2 < at ? (int)(at - l->col) : 2, "");
		}
		view_put(l, cell);
		cells++;
	}
	for (i = 0; i < ms.nr; i++) {
		if (view_is_flat(ms.m[i].value) && view_inline(ms.m[i].value, value, sizeof(value)))
			continue;
		view_newline(l);
		view_print(l, "%s ", ms.m[i].name);
		view_value(l, ms.m[i].value);
	}
	l->indent--;
}

/* Numbers that need more than a line. */
static void wrapped_array(struct view_line *l, yyjson_val *n)
{
	yyjson_val *elements = yyjson_obj_get(n, "elements"), *e;
	size_t i, max, shown = 0, left = 0;
	bool gap = false;
	char cell[VIEW_WIDTH];
	struct text t = { .buf = cell, .size = sizeof(cell) };

	view_put(l, "[");
	l->indent++;
	yyjson_arr_foreach(elements, i, max, e) {
		if (!l->all && is_zero(e, 0)) {
			gap = true;
			continue;
		}
		if (!l->all && shown == 8 * MAX_GROUPS) {
			left++;
			continue;
		}
		t.len = 0;
		t.over = false;
		if (gap || !i)
			addf(&t, "[%zu]=", i);
		inline_value(&t, e, true);
		if (shown++)
			view_put(l, ",");
		if (l->col + strlen(cell) + 3 > VIEW_WIDTH)
			view_newline(l);
		else if (shown > 1)
			view_put(l, " ");
		view_put(l, t.over ? "…" : cell);
		gap = false;
	}
	l->indent--;
	if (left)
		view_print(l, " … %zu more", left);
	if (yyjson_arr_size(elements) < num(n, "len"))
		view_print(l, " /* %zu of %" PRIu64 " shown */", yyjson_arr_size(elements), num(n, "len"));
	view_put(l, "]");
}

/* A line for each group of equal neighbours; those that are zero vanish. */
static void block_array(struct view_line *l, yyjson_val *n)
{
	yyjson_val *elements = yyjson_obj_get(n, "elements"), *e, *first = NULL;
	size_t nr = yyjson_arr_size(elements), i, max, from = 0, groups = 0;

	view_put(l, "[");
	l->indent++;
	yyjson_arr_foreach(elements, i, max, e) {
		yyjson_val *next = i + 1 < nr ? unsafe_yyjson_get_next(e) : NULL;

		if (!first) {
			first = e;
			from = i;
		}
		if (next && yyjson_equals(first, next))
			continue;
		if (l->all || !is_zero(first, 0)) {
			if (!l->all && groups++ == MAX_GROUPS) {
				view_newline(l);
				view_print(l, "… elements [%zu] to [%zu]", from, nr - 1);
				break;
			}
			view_newline(l);
			if (from == i)
				view_print(l, "[%zu] ", i);
			else
				view_print(l, "[%zu-%zu] ", from, i);
			view_value(l, first);
		}
		first = NULL;
	}
	l->indent--;
	view_newline(l);
	view_put(l, "]");
	if (nr < num(n, "len"))
		view_print(l, " /* %zu of %" PRIu64 " shown */", nr, num(n, "len"));
}

static void long_bytes(struct view_line *l, const char *hex)
{
	size_t bytes = (strlen(hex) + 1) / 3, shown = l->all || bytes <= MAX_BYTES ? bytes : MAX_BYTES, i;

	l->indent++;
	for (i = 0; i < shown; i++) {
		if (i && i % 16 == 0)
			view_newline(l);
		view_print(l, "%.2s ", hex + 3 * i);
	}
	if (shown < bytes)
		view_print(l, "… %zu bytes", bytes);
	l->indent--;
}

void view_value(struct view_line *l, yyjson_val *n)
{
	char buf[4 * VIEW_WIDTH];
	size_t room = l->col < VIEW_WIDTH ? VIEW_WIDTH - l->col : 0;
	yyjson_val *to;

	/* With "all" zeros are shown, which lines of their own do. */
	if ((!l->all || (kind_of(n) != K_STRUCT && kind_of(n) != K_ARRAY)) &&
	    view_inline(n, buf, room + 1 < sizeof(buf) ? room + 1 : sizeof(buf))) {
		view_put(l, buf);
		return;
	}
	switch (kind_of(n)) {
	case K_STRUCT:
		block_struct(l, n);
		break;
	case K_ARRAY:
		if (text_of(n, buf, sizeof(buf)) >= 0 || is_zero(n, 0)) {
			if (view_inline(n, buf, sizeof(buf)))
				view_put(l, buf);
			else
				wrapped_array(l, n);
		} else if (is_plain_array(yyjson_obj_get(n, "elements"))) {
			wrapped_array(l, n);
		} else {
			block_array(l, n);
		}
		break;
	case K_PTR:
		to = yyjson_obj_get(n, "deref");
		view_print(l, "0x%" PRIx64, num(n, "value"));
		if (*str(n, "ktdump_label"))
			view_print(l, " (%s)", str(n, "ktdump_label"));
		if (*str(n, "cast_annotation"))
			view_print(l, " (%s)", str(n, "cast_annotation"));
		if (to) {
			view_put(l, " → ");
			view_value(l, to);
		} else if (*str(n, "deref_skipped_reason")) {
			view_print(l, " [chase: %s]", str(n, "deref_skipped_reason"));
		}
		break;
	case K_BYTES:
		long_bytes(l, str(n, "hex"));
		break;
	case K_TRUNCATED:
		view_print(l, "<truncated needed=%" PRIu64 " had=%" PRIu64 "> ", num(n, "needed"), num(n, "had"));
		if (num(n, "had"))
			view_value(l, yyjson_obj_get(n, "partial"));
		break;
	default:
		if (view_inline(n, buf, sizeof(buf)))
			view_put(l, buf);
		else
			view_print(l, "%s", str(n, kind_of(n) == K_CPU_LIST ? "cpus" : "reason"));
		break;
	}
}
