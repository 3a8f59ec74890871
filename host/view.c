// SPDX-License-Identifier: GPL-2.0-only
/* Lines of text, and any JSON as an outline. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "view.h"

size_t put(FILE *out, const char *s, size_t max)
{
	size_t col = 0;

	for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
		if ((*p & 0xc0) != 0x80 && col++ >= max)
			return max;
		/* C1 controls are c2 80 to c2 9f. */
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
			fputc('?', out);
			p++;
		} else {
			fputc(*p < 0x20 || *p == 0x7f ? '?' : *p, out);
		}
	}
	return col;
}

void view_put(struct view_line *l, const char *s)
{
	l->col += put(l->out, s, SIZE_MAX);
}

void view_print(struct view_line *l, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	view_put(l, buf);
}

void view_words(struct view_line *l, const char *s)
{
	char word[VIEW_WIDTH];
	bool first = true;

	l->indent++;
	while (*s) {
		size_t n = strcspn(s, " ");

		if (n >= sizeof(word))
			n = sizeof(word) - 1;
		/* not in the middle of a character */
		while (s[n] && n > 1 && (s[n] & 0xc0) == 0x80)
			n--;
		memcpy(word, s, n);
		word[n] = '\0';
		s += n;
		/* one more for what closes a bracket */
		if (!first && l->col + n + 2 > VIEW_WIDTH)
			view_newline(l);
		else if (!first)
			view_put(l, " ");
		first = false;
		view_put(l, word);
		s += strspn(s, " ");
	}
	l->indent--;
}

void view_wrap(struct view_line *l, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	view_words(l, buf);
}

void view_newline(struct view_line *l)
{
	fprintf(l->out, "\n%*s", 2 * (int)l->indent, "");
	l->col = 2 * l->indent;
}

void view_heading(FILE *out, const char *text)
{
	const char *no = getenv("NO_COLOR");
	bool bold = isatty(fileno(out)) && (!no || !*no);

	fprintf(out, "\n%s", bold ? "\033[1m" : "");
	put(out, text, VIEW_WIDTH);
	fprintf(out, "%s\n", bold ? "\033[0m" : "");
}

bool is_special(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode);
}

char *view_path(const char *report, const char *suffix)
{
	size_t len = strlen(report);
	char *ret;

	if (!strcmp(report, "-"))
		return strdup(report);
	if (len > 5 && !strcmp(report + len - 5, ".json"))
		len -= 5;
	return asprintf(&ret, "%.*s%s", (int)len, report, suffix) < 0 ? NULL : ret;
}

int view_write(const char *path, yyjson_val *top, void (*fn)(FILE *f, yyjson_val *top))
{
	_cleanup_free_ char *part = NULL;
	bool special = !strcmp(path, "-") || is_special(path);
	FILE *f = stdout;
	int err = 0;

	if (asprintf(&part, special ? "%s" : "%s.part", path) < 0) {
		part = NULL;
		return -ENOMEM;
	}
	if (strcmp(path, "-"))
		f = fopen(part, "we");
	if (!f)
		return -errno;
	fn(f, top);
	if (fflush(f) || ferror(f))
		err = -EIO;
	if (f != stdout && fclose(f) && !err)
		err = -errno;
	if (!err && !special && rename(part, path))
		err = -errno;
	if (err && !special)
		unlink(part);
	return err;
}

static void leaf(struct view_line *l, yyjson_val *v)
{
	_cleanup_free_ char *json = NULL;

	if (yyjson_is_str(v)) {
		view_put(l, yyjson_get_str(v));
		return;
	}
	json = yyjson_val_write(v, 0, NULL);
	view_put(l, json ? json : "?");
}

static bool is_leaf(yyjson_val *v)
{
	return !yyjson_is_ctn(v) || !yyjson_get_len(v);
}

/* Numbers and short texts stand beside each other. */
static void list(struct view_line *l, yyjson_val *arr)
{
	size_t i, max;
	yyjson_val *v;

	view_put(l, "[");
	yyjson_arr_foreach(arr, i, max, v) {
		if (i)
			view_put(l, l->col < VIEW_WIDTH - 24 ? ", " : ",");
		if (l->col >= VIEW_WIDTH - 22)
			view_newline(l);
		leaf(l, v);
	}
	view_put(l, "]");
}

static bool is_list(yyjson_val *arr)
{
	size_t i, max;
	yyjson_val *v;

	yyjson_arr_foreach(arr, i, max, v)
		if (!is_leaf(v))
			return false;
	return true;
}

void view_outline(struct view_line *l, yyjson_val *v)
{
	yyjson_val *key, *child;
	size_t i, max;

	l->indent++;
	if (is_leaf(v)) {
		view_put(l, " ");
		leaf(l, v);
	} else if (yyjson_is_obj(v)) {
		yyjson_obj_foreach(v, i, max, key, child) {
			view_newline(l);
			view_put(l, yyjson_get_str(key));
			view_outline(l, child);
		}
	} else if (is_list(v)) {
		view_put(l, " ");
		list(l, v);
	} else {
		yyjson_arr_foreach(v, i, max, child) {
			view_newline(l);
			view_print(l, "[%zu]", i);
			view_outline(l, child);
		}
	}
	l->indent--;
}
