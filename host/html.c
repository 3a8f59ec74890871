// SPDX-License-Identifier: GPL-2.0-only
/*
 * "ktcollect html": page.html with the report in it. The page makes everything from the
 * data and asks no network for anything.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "html.h"
#include "json.h"
#include "show.h"
#include "view.h"
#include "view_text.h"

/* host/page.html, from the compiler's search path. */
__asm__(".pushsection .rodata\n"
	"html_page: .incbin \"page.html\"\n"
	"html_page_end: .byte 0\n"
	".popsection\n");
extern const char html_page[], html_page_end[];

/* JavaScript's numbers are exact up to here. */
#define EXACT (1ULL << 53)

static const char usage[] =
	"Usage: ktcollect html [OPTION]... REPORT\n"
	"Make a page of a failure report (of ktcollect or ktstr): one file that needs no\n"
	"network and opens from disk.\n"
	"\n"
	"  -o, --output FILE        where to (default: REPORT with .html for .json;\n"
	"                           \"-\" is standard output)\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 success, 1 not a report or it cannot be written, 2 wrong usage.\n";

static void put_string(FILE *f, yyjson_val *str)
{
	json_print_text(f, yyjson_get_str(str), yyjson_get_len(str));
}

static void put_leaf(FILE *f, yyjson_val *v)
{
	_cleanup_free_ char *json = NULL;

	if (yyjson_is_str(v)) {
		put_string(f, v);
	} else if (yyjson_is_uint(v)) {
		fprintf(f, yyjson_get_uint(v) > EXACT ? "\"%" PRIu64 "\"" : "%" PRIu64, yyjson_get_uint(v));
	} else if (yyjson_is_sint(v)) {
		fprintf(f, yyjson_get_sint(v) < -(int64_t)EXACT ? "\"%" PRId64 "\"" : "%" PRId64,
			yyjson_get_sint(v));
	} else {
		json = yyjson_val_write(v, 0, NULL);
		fputs(json ? json : "null", f);
	}
}

/* Pages of an arena are shown as a picture: how much of each is used. */
static bool put_page(FILE *f, yyjson_val *obj)
{
	yyjson_val *bytes = yyjson_obj_get(obj, "bytes"), *b;
	size_t i, max, used = 0;

	if (!yyjson_is_arr(bytes) || !yyjson_obj_get(obj, "user_addr"))
		return false;
	yyjson_arr_foreach(bytes, i, max, b)
		used += yyjson_get_uint(b) != 0;
	fputs("{\"user_addr\":", f);
	put_leaf(f, yyjson_obj_get(obj, "user_addr"));
	fprintf(f, ",\"len\":%zu,\"used\":%zu}", yyjson_arr_size(bytes), used);
	return true;
}

/* The caller has made sure that it is not too deep. */
static void put_value(FILE *f, yyjson_val *v)
{
	yyjson_val *key, *child;
	size_t i, max;

	if (yyjson_is_arr(v)) {
		fputc('[', f);
		yyjson_arr_foreach(v, i, max, child) {
			if (i)
				fputc(',', f);
			put_value(f, child);
		}
		fputc(']', f);
	} else if (!yyjson_is_obj(v)) {
		put_leaf(f, v);
	} else if (!put_page(f, v)) {
		fputc('{', f);
		yyjson_obj_foreach(v, i, max, key, child) {
			if (i)
				fputc(',', f);
			put_string(f, key);
			fputc(':', f);
			put_value(f, child);
		}
		fputc('}', f);
	}
}

/*
 * While a browser reads a script, it makes its text anew with each block that comes: a page of
 * 50 MB opens in half of the time when its pieces are no longer than a block.
 */
#define PIECE 60000

struct pieces {
	FILE *f;
	size_t len;	/* of the last one */
};

/* Ends one wherever it is full, but not within a character. */
static ssize_t put_pieces(void *ctx, const char *s, size_t len)
{
	struct pieces *p = ctx;
	size_t at = 0, n;

	for (; at < len; at += n) {
		if (p->len >= PIECE && (s[at] & 0xc0) != 0x80) {
			fputs("</script>\n<script class=\"report\" type=\"application/json\">", p->f);
			p->len = 0;
		}
		n = p->len < PIECE ? PIECE - p->len : 1;
		if (n > len - at)
			n = len - at;
		if (fwrite(s + at, 1, n, p->f) != n)
			return 0;
		p->len += n;
	}
	return len;
}

static void put_report(FILE *f, yyjson_val *report)
{
	struct pieces p = { .f = f };
	FILE *to = fopencookie(&p, "w", (cookie_io_functions_t){ .write = put_pieces });

	/* Without memory for that, one piece is right, too. */
	put_value(to ? to : f, report);
	if (to)
		fclose(to);
}

/* The page from @p up to this mark; returns what is behind it. */
static const char *put_page_to(FILE *f, const char *p, const char *mark)
{
	const char *end = memmem(p, html_page_end - p, mark, strlen(mark));

	fwrite(p, 1, end - p, f);
	return end + strlen(mark);
}

static void write_page(FILE *f, yyjson_val *report)
{
	_cleanup_free_ char *bug = view_bug_summary(report);
	const char *p = html_page;

	p = put_page_to(f, p, "/*BUG*/");
	json_print_text(f, bug ? bug : "", bug ? strlen(bug) : 0);
	p = put_page_to(f, p, "/*REPORT*/");
	put_report(f, report);
	fwrite(p, 1, html_page_end - p, f);
}

int html_write(yyjson_val *report, const char *path)
{
	return view_write(path, report, write_page);
}

int html_main(int argc, char **argv)
{
	return show_to_file(argc, argv, usage, ".html", html_write);
}
