// SPDX-License-Identifier: GPL-2.0-only
/*
 * As much of JSON Schema as docs/report.schema.json and docs/ktdump.schema.json use, so that there is
 * one description of a report. A keyword that is not known here is an error of the build's
 * tests (test_validate.py), not of a report.
 */
#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdarg.h>
#include <string.h>

#include "schema.h"
#include "view.h"

/* From the compiler's search path. */
__asm__(".pushsection .rodata\n"
	"schema_report: .incbin \"report.schema.json\"\n"
	"schema_report_end: .byte 0\n"
	"schema_ktdump: .incbin \"ktdump.schema.json\"\n"
	"schema_ktdump_end: .byte 0\n"
	".popsection\n");
extern const char schema_report[], schema_report_end[], schema_ktdump[], schema_ktdump_end[];

#define MAX_PATTERNS 16
#define SHOWN 60	/* code points of a name or a value */

struct pattern {
	const char *text;	/* in the schema */
	regex_t regex;
};

struct checker {
	struct problems *p;
	yyjson_val *root;
	bool ordered;		/* keys stand in the schema's order, empty values are left out */
	struct pattern patterns[MAX_PATTERNS];
	size_t nr_patterns;
	int error;
};

/* ----------------------------------------------------------------- problems */

static void put_place(FILE *f, const struct place *at)
{
	const char *s;
	size_t n;

	if (!at || !at->up)
		return;
	put_place(f, at->up);
	fputc('/', f);
	if (!at->key) {
		fprintf(f, "%zu", at->index);
		return;
	}
	s = yyjson_get_str(at->key);
	n = strnlen(s, 4 * SHOWN);
	while (s[n] && n && (s[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '~')
			fputs("~0", f);
		else if (s[i] == '/')
			fputs("~1", f);
		else
			fputc(s[i], f);
	}
	if (s[n])
		fputs("…", f);
}

void problem(struct problems *p, const struct place *at, const char *fmt, ...)
{
	_cleanup_free_ char *line = NULL;
	size_t len;
	va_list ap;
	FILE *f;

	p->nr++;
	if (p->silent || p->nr > PROBLEMS_SHOWN)
		return;
	f = open_memstream(&line, &len);
	if (!f)
		return;
	fprintf(f, "%s: ", p->file);
	if (at && at->up)
		put_place(f, at);
	else
		fputs("\"\"", f);
	fputs(": ", f);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	if (fclose(f))
		return;
	put(p->out, line, SIZE_MAX);
	fputc('\n', p->out);
}

/* The value for a line; the buffer is the caller's. */
static const char *shown(yyjson_val *v, char *buf, size_t size)
{
	static const char *const containers[] = { "a list", "an object" };

	if (yyjson_is_ctn(v))
		return containers[yyjson_is_obj(v)];
	if (yyjson_is_str(v)) {
		const char *s = yyjson_get_str(v);
		size_t n = strnlen(s, size - 8);

		while (s[n] && n && (s[n] & 0xc0) == 0x80)
			n--;
		snprintf(buf, size, "\"%.*s\"%s", (int)n, s, s[n] ? "…" : "");
	} else if (yyjson_is_uint(v)) {
		snprintf(buf, size, "%" PRIu64, yyjson_get_uint(v));
	} else if (yyjson_is_sint(v)) {
		snprintf(buf, size, "%" PRId64, yyjson_get_sint(v));
	} else if (yyjson_is_real(v)) {
		snprintf(buf, size, "%g", yyjson_get_real(v));
	} else if (yyjson_is_bool(v)) {
		return yyjson_get_bool(v) ? "true" : "false";
	} else {
		return "null";
	}
	return buf;
}

/* ------------------------------------------------------------------ keywords */

static bool is_type(yyjson_val *v, const char *type)
{
	switch (*type) {
	case 'o':
		return yyjson_is_obj(v);
	case 'a':
		return yyjson_is_arr(v);
	case 's':
		return yyjson_is_str(v);
	case 'b':
		return yyjson_is_bool(v);
	case 'i':
		return yyjson_is_int(v);
	case 'n':
		return type[2] == 'm' ? yyjson_is_num(v) : yyjson_is_null(v);
	}
	return false;
}

static void check_type(struct checker *c, yyjson_val *type, yyjson_val *v, const struct place *at)
{
	char names[64] = "", buf[SHOWN];
	size_t i, max, n = 0;
	yyjson_val *one;

	if (yyjson_is_str(type)) {
		if (!is_type(v, yyjson_get_str(type)))
			problem(c->p, at, "%s is not of type %s", shown(v, buf, sizeof(buf)),
				yyjson_get_str(type));
		return;
	}
	yyjson_arr_foreach(type, i, max, one) {
		if (is_type(v, yyjson_get_str(one)))
			return;
		if (n < sizeof(names))
			n += snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", yyjson_get_str(one));
	}
	problem(c->p, at, "%s is of none of the types %s", shown(v, buf, sizeof(buf)), names);
}

/* -1, 0 or 1, of integers and reals. */
static int compare(yyjson_val *a, yyjson_val *b)
{
	double x, y;

	if (yyjson_is_uint(a) && yyjson_is_uint(b))
		return (yyjson_get_uint(a) > yyjson_get_uint(b)) - (yyjson_get_uint(a) < yyjson_get_uint(b));
	if (yyjson_is_int(a) && yyjson_is_int(b)) {
		bool neg_a = yyjson_is_sint(a), neg_b = yyjson_is_sint(b);

		if (neg_a != neg_b)
			return neg_a ? -1 : 1;
		return (yyjson_get_sint(a) > yyjson_get_sint(b)) - (yyjson_get_sint(a) < yyjson_get_sint(b));
	}
	x = yyjson_get_num(a);
	y = yyjson_get_num(b);
	return (x > y) - (x < y);
}

static bool matches(struct checker *c, const char *text, const char *s)
{
	struct pattern *p = c->patterns;

	while (p < c->patterns + c->nr_patterns && p->text != text)
		p++;
	if (p == c->patterns + c->nr_patterns) {
		if (c->nr_patterns == MAX_PATTERNS ||
		    regcomp(&p->regex, text, REG_EXTENDED | REG_NOSUB)) {
			c->error = -ENOMEM;
			return true;
		}
		p->text = text;
		c->nr_patterns++;
	}
	return !regexec(&p->regex, s, 0, NULL, 0);
}

static size_t code_points(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void check_schema(struct checker *c, yyjson_val *schema, yyjson_val *v, const struct place *at);

static void check_string(struct checker *c, const char *key, yyjson_val *arg, yyjson_val *v,
			 const struct place *at)
{
	const char *s = yyjson_get_str(v);
	char buf[SHOWN];

	if (!strcmp(key, "pattern") && (strlen(s) != yyjson_get_len(v) || !matches(c, yyjson_get_str(arg), s)))
		problem(c->p, at, "%s does not look like %s", shown(v, buf, sizeof(buf)),
			yyjson_get_str(arg));
	else if (!strcmp(key, "minLength") && code_points(s) < yyjson_get_uint(arg))
		problem(c->p, at, "is shorter than %" PRIu64, yyjson_get_uint(arg));
	else if (!strcmp(key, "maxLength") && code_points(s) > yyjson_get_uint(arg))
		problem(c->p, at, "is longer than %" PRIu64, yyjson_get_uint(arg));
}

static void check_array(struct checker *c, const char *key, yyjson_val *arg, yyjson_val *v,
			const struct place *at)
{
	struct place item = { .up = at };
	yyjson_val *child;
	size_t max;

	if (!strcmp(key, "items")) {
		yyjson_arr_foreach(v, item.index, max, child)
			check_schema(c, arg, child, &item);
	} else if (!strcmp(key, "minItems") && yyjson_arr_size(v) < yyjson_get_uint(arg)) {
		problem(c->p, at, "has fewer than %" PRIu64 " elements", yyjson_get_uint(arg));
	} else if (!strcmp(key, "maxItems") && yyjson_arr_size(v) > yyjson_get_uint(arg)) {
		problem(c->p, at, "has more than %" PRIu64 " elements", yyjson_get_uint(arg));
	}
}

/* What ktstr does not write at all then. */
static void check_omitted(struct checker *c, yyjson_val *schema, yyjson_val *v, const struct place *at)
{
	const char *when = yyjson_get_str(yyjson_obj_get(schema, "x-omit-when"));
	char buf[SHOWN];

	if (!when || c->p->silent)
		return;
	if ((!strcmp(when, "none") && yyjson_is_null(v)) ||
	    (!strcmp(when, "empty") && ((yyjson_is_str(v) || yyjson_is_arr(v)) && !yyjson_get_len(v))) ||
	    (!strcmp(when, "false") && yyjson_is_false(v)) ||
	    (!strcmp(when, "zero") && yyjson_is_num(v) && yyjson_get_num(v) == 0))
		problem(c->p, at, "%s should be left out", shown(v, buf, sizeof(buf)));
}

/* Place of the key in the schema, SIZE_MAX when it is not there. */
static size_t rank(yyjson_val *properties, yyjson_val *key, yyjson_val **schema_ret)
{
	yyjson_val *k, *v;
	size_t i, max;

	yyjson_obj_foreach(properties, i, max, k, v) {
		if (!yyjson_equals(k, key))
			continue;
		*schema_ret = v;
		return i;
	}
	return SIZE_MAX;
}

static void check_properties(struct checker *c, yyjson_val *schema, yyjson_val *v,
			     const struct place *at)
{
	/* What has a type describes an object, the rest says more about one. */
	bool ordered = c->ordered && !c->p->silent && yyjson_obj_get(schema, "type");
	yyjson_val *properties = yyjson_obj_get(schema, "properties");
	bool unknown = false;
	size_t i, max, last = 0;
	yyjson_val *child;
	struct place member = { .up = at };

	yyjson_obj_foreach(v, i, max, member.key, child) {
		yyjson_val *sub = NULL;
		size_t r = rank(properties, member.key, &sub);

		if (r == SIZE_MAX) {
			unknown = true;
			continue;
		}
		if (ordered && r < last)
			problem(c->p, &member, "the key is out of order");
		else if (ordered && unknown)
			problem(c->p, &member, "an unknown key stands before this one");
		if (r > last)
			last = r;
		if (c->ordered)
			check_omitted(c, sub, child, &member);
		check_schema(c, sub, child, &member);
	}
}

static void check_object(struct checker *c, const char *key, yyjson_val *arg, yyjson_val *schema,
			 yyjson_val *v, const struct place *at)
{
	yyjson_val *properties = yyjson_obj_get(schema, "properties"), *child, *ignored;
	struct place member = { .up = at };
	size_t i, max;

	if (!strcmp(key, "properties")) {
		check_properties(c, schema, v, at);
	} else if (!strcmp(key, "required")) {
		yyjson_arr_foreach(arg, i, max, child)
			if (!yyjson_obj_getn(v, yyjson_get_str(child), yyjson_get_len(child)))
				problem(c->p, at, "has no \"%s\"", yyjson_get_str(child));
	} else if (!strcmp(key, "additionalProperties")) {
		yyjson_obj_foreach(v, i, max, member.key, child)
			if (rank(properties, member.key, &ignored) == SIZE_MAX)
				check_schema(c, arg, child, &member);
	}
}

static bool is_among(yyjson_val *list, yyjson_val *v)
{
	yyjson_val *one;
	size_t i, max;

	yyjson_arr_foreach(list, i, max, one)
		if (yyjson_equals(one, v))
			return true;
	return false;
}

static void check_value(struct checker *c, const char *key, yyjson_val *arg, yyjson_val *v,
			const struct place *at)
{
	char buf[SHOWN], want[SHOWN];

	if (!strcmp(key, "type"))
		check_type(c, arg, v, at);
	else if (!strcmp(key, "const") && !yyjson_equals(arg, v))
		problem(c->p, at, "%s should be %s", shown(v, buf, sizeof(buf)), shown(arg, want, sizeof(want)));
	else if (!strcmp(key, "enum") && !is_among(arg, v))
		problem(c->p, at, "%s is not one of the known values", shown(v, buf, sizeof(buf)));
	else if (!strcmp(key, "minimum") && yyjson_is_num(v) && compare(v, arg) < 0)
		problem(c->p, at, "%s is below %s", shown(v, buf, sizeof(buf)), shown(arg, want, sizeof(want)));
	else if (!strcmp(key, "maximum") && yyjson_is_num(v) && compare(v, arg) > 0)
		problem(c->p, at, "%s is above %s", shown(v, buf, sizeof(buf)), shown(arg, want, sizeof(want)));
}

static yyjson_val *definition(const struct checker *c, const char *name)
{
	return yyjson_obj_get(yyjson_obj_get(c->root, "$defs"), name);
}

/* Whether the value is as the schema says; nothing is said about it. */
static bool holds(struct checker *c, yyjson_val *schema, yyjson_val *v, const struct place *at)
{
	size_t nr = c->p->nr;
	bool ret;

	c->p->silent++;
	check_schema(c, schema, v, at);
	c->p->silent--;
	ret = c->p->nr == nr;
	c->p->nr = nr;
	return ret;
}

/* Each reference leads to a definition that goes down in the value before it refers to itself. */
static void check_schema(struct checker *c, yyjson_val *schema, yyjson_val *v, const struct place *at)
{
	yyjson_val *key, *arg, *one;
	size_t i, k, max, kmax;

	yyjson_obj_foreach(schema, i, max, key, arg) {
		const char *name = yyjson_get_str(key);

		if (!strcmp(name, "$ref")) {
			check_schema(c, definition(c, strrchr(yyjson_get_str(arg), '/') + 1), v, at);
		} else if (!strcmp(name, "allOf")) {
			yyjson_arr_foreach(arg, k, kmax, one)
				check_schema(c, one, v, at);
		} else if (!strcmp(name, "if")) {
			one = yyjson_obj_get(schema, holds(c, arg, v, at) ? "then" : "else");
			if (one)
				check_schema(c, one, v, at);
		} else {
			check_value(c, name, arg, v, at);
			if (yyjson_is_str(v))
				check_string(c, name, arg, v, at);
			else if (yyjson_is_arr(v))
				check_array(c, name, arg, v, at);
			else if (yyjson_is_obj(v))
				check_object(c, name, arg, schema, v, at);
		}
	}
}

int schema_check(enum schema_id id, const char *part, yyjson_val *v, const struct place *at,
		 struct problems *p)
{
	static const struct {
		const char *begin, *end;
	} texts[] = {
		[SCHEMA_REPORT] = { schema_report, schema_report_end },
		[SCHEMA_KTDUMP] = { schema_ktdump, schema_ktdump_end },
	};
	yyjson_doc *doc = yyjson_read(texts[id].begin, texts[id].end - texts[id].begin, 0);
	struct checker c = { .p = p, .root = yyjson_doc_get_root(doc), .ordered = id == SCHEMA_REPORT };

	if (!doc)
		return -ENOMEM;
	check_schema(&c, part ? definition(&c, part) : c.root, v, at);
	for (size_t i = 0; i < c.nr_patterns; i++)
		regfree(&c.patterns[i].regex);
	yyjson_doc_free(doc);
	return c.error;
}
