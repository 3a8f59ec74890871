// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report from anywhere to the reader of reports and all views: text, page, trace,
 * difference, schema. Whatever is in it, no control character gets through to a terminal,
 * nothing ends the page's script, and a trace is JSON.
 *
 * An input is a byte that chooses, a report, and maybe a 0 and a second report.
 */
#include <getopt.h>
#include <sys/mman.h>

#include "diff.h"
#include "fuzz.h"
#include "html.h"
#include "log.h"
#include "show.h"
#include "trace.h"
#include "validate.h"
#include "view.h"
#include "view_text.h"

enum { DIFF_JSON = 1, ALL = 2, EARLY = 4, ONE_CPU = 8, ONE_TASK = 16, ONE_MAP = 32 };

struct file {			/* in memory, with a name for those who open it */
	int fd;
	char path[32];
};

static void file_make(struct file *f, const uint8_t *data, size_t size)
{
	f->fd = memfd_create("report", MFD_CLOEXEC);
	must(f->fd >= 0);
	must(write(f->fd, data, size) == (ssize_t)size);
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->fd);
}

/* ----------------------------------------------------------------- what came of it */

struct text {
	char *s;
	size_t len;
	FILE *f;
};

static void text_begin(struct text *t)
{
	t->f = open_memstream(&t->s, &t->len);
	must(t->f);
}

static void text_end(struct text *t)
{
	must(!fclose(t->f));
	free(t->s);
}

/* Controls move the cursor, and so do those of C1. */
static void check_terminal(const struct text *t)
{
	for (size_t i = 0; i < t->len; i++) {
		uint8_t c = t->s[i];

		must(c >= 0x20 || c == '\n');
		must(c != 0x7f);
		must(c != 0xc2 || i + 1 == t->len || (uint8_t)t->s[i + 1] < 0x80 ||
		     (uint8_t)t->s[i + 1] >= 0xa0);
	}
}

static unsigned int count(const struct text *t, const char *what)
{
	unsigned int n = 0;

	for (const char *p = t->s; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void check_page(const struct text *t)
{
	static unsigned int ends, comments;

	/* As many as the first page had: none comes from a report. */
	if (!ends) {
		ends = count(t, "</script");
		comments = count(t, "<!--");
	}
	must(ends && count(t, "</script") == ends && count(t, "<!--") == comments);
	must(strlen(t->s) == t->len);
}

static void check_trace(const struct text *t)
{
	yyjson_doc *doc = yyjson_read(t->s, t->len, 0);

	must(doc);
	yyjson_doc_free(doc);
}

/* -------------------------------------------------------------------------- views */

/* The writers take a path; "-" is standard output, which is ours. */
static void written(int (*write)(yyjson_val *report, const char *path), yyjson_val *top,
		    void (*check)(const struct text *t))
{
	FILE *old = stdout;
	struct text t;

	text_begin(&t);
	stdout = t.f;
	must(!write(top, "-"));
	stdout = old;
	fflush(t.f);
	check(&t);
	text_end(&t);
}

static void shown(yyjson_val *top, const struct view_options *o)
{
	struct text t;

	text_begin(&t);
	if (o)
		view_show(top, t.f, o);
	else
		must(!view_report(top, t.f));
	fflush(t.f);
	check_terminal(&t);
	text_end(&t);
}

static void command(int (*run)(int argc, char **argv), char **argv)
{
	FILE *old = stdout;
	struct text t;
	int argc = 0;

	while (argv[argc])
		argc++;
	text_begin(&t);
	stdout = t.f;
	optind = 0;
	run(argc, argv);
	stdout = old;
	fflush(t.f);
	check_terminal(&t);
	text_end(&t);
}

static void view_all(const char *path, unsigned int flags)
{
	struct view_options o = {
		.contents = true, .all = flags & ALL, .early = flags & EARLY,
		.cpu = flags & ONE_CPU ? 1 : -1, .task = flags & ONE_TASK ? "*1*" : NULL,
		.map = flags & ONE_MAP ? "*s*" : NULL,
	};
	yyjson_doc *doc = show_load(path);
	yyjson_val *top = yyjson_doc_get_root(doc);
	_cleanup_free_ char *bug = NULL;

	if (!doc)
		return;
	shown(top, NULL);
	shown(top, &o);
	bug = view_bug_summary(top);
	must(bug);
	written(html_write, top, check_page);
	written(trace_write, top, check_trace);
	yyjson_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = { data, size };
	unsigned int flags = in_num(&in, 1);
	const uint8_t *zero = in.left ? memchr(in.p, 0, in.left) : NULL;
	size_t len = zero ? (size_t)(zero - in.p) : in.left;
	struct file a, b = { .fd = -1 };

	file_make(&a, in.p, len);
	view_all(a.path, flags);
	command(validate_main, (char *[]){ "validate", a.path, NULL });
	if (zero) {
		file_make(&b, zero + 1, in.left - len - 1);
		view_all(b.path, flags);
	}
	command(diff_main, (char *[]){ "diff", flags & DIFF_JSON ? "--json" : "--all", a.path,
				       zero ? b.path : NULL, NULL });
	close(a.fd);
	if (zero)
		close(b.fd);
	return 0;
}

/* ----------------------------------------------------------------------- mutations */

struct tree {			/* a report that is being changed */
	yyjson_mut_doc *doc;
	yyjson_mut_val *nodes[4096], *keys[4096];	/* with the key of each, NULL none */
	yyjson_mut_val *parents[4096];
	unsigned int nr;
	struct dice d;
};

static void collect(struct tree *t, yyjson_mut_val *parent, yyjson_mut_val *key, yyjson_mut_val *v,
		    unsigned int depth)
{
	yyjson_mut_val *child, *k;
	size_t i, max;

	if (depth > 100)
		return;
	/* Of very many each has the same chance. */
	if (parent) {
		unsigned int at = t->nr < ARRAY_SIZE(t->nodes) ? t->nr : dice(&t->d, t->nr + 1);

		t->nr++;
		if (at < ARRAY_SIZE(t->nodes)) {
			t->nodes[at] = v;
			t->keys[at] = key;
			t->parents[at] = parent;
		}
	}
	if (yyjson_mut_is_arr(v)) {
		yyjson_mut_arr_foreach(v, i, max, child)
			collect(t, v, NULL, child, depth + 1);
	} else if (yyjson_mut_is_obj(v)) {
		yyjson_mut_obj_foreach(v, i, max, k, child)
			collect(t, v, k, child, depth + 1);
	}
}

static yyjson_mut_val *odd_value(struct tree *t)
{
	static const char *const texts[] = {
		"", "single", "dual", "\x1b[2J", "\xc2\x9b", "</script><!--", "0x10", "%s%n", "a\nb", "exit", "ptr",
		"\xf0\x9f\x90\xa7\xf0\x9f\x90\xa7\xf0\x9f\x90\xa7",
	};
	uint64_t v = (1ULL << dice(&t->d, 64)) + dice(&t->d, 5) - 2;

	switch (dice(&t->d, 10)) {
	case 0:
		return yyjson_mut_null(t->doc);
	case 1:
		return yyjson_mut_bool(t->doc, dice(&t->d, 2));
	case 2:
		return yyjson_mut_real(t->doc, (double)(int64_t)v / 7);
	case 3:
		return yyjson_mut_arr(t->doc);
	case 4:
		return yyjson_mut_obj(t->doc);
	case 5:
		return yyjson_mut_sint(t->doc, (int64_t)(0 - v));
	case 6:
	case 7:
		return yyjson_mut_str(t->doc, texts[dice(&t->d, ARRAY_SIZE(texts))]);
	default:
		return yyjson_mut_uint(t->doc, v);
	}
}

static yyjson_mut_val *mutated_text(struct tree *t, yyjson_mut_val *v)
{
	char buf[256];
	size_t len = yyjson_mut_get_len(v) < sizeof(buf) / 2 ? yyjson_mut_get_len(v) : sizeof(buf) / 2;

	memcpy(buf, yyjson_mut_get_str(v), len);
	return yyjson_mut_strncpy(t->doc, buf, LLVMFuzzerMutate((uint8_t *)buf, len, sizeof(buf)));
}

/* Gives a list another length. */
static void edit_list(struct tree *t, yyjson_mut_val *arr)
{
	unsigned int n = 1 + dice(&t->d, 3);

	if (dice(&t->d, 2)) {
		yyjson_mut_arr_remove(arr, 0);
		return;
	}
	while (n-- && yyjson_mut_arr_get_first(arr))
		yyjson_mut_arr_append(arr, yyjson_mut_val_mut_copy(t->doc, yyjson_mut_arr_get_first(arr)));
}

static void put_value(struct tree *t, unsigned int i, yyjson_mut_val *with)
{
	yyjson_mut_val *parent = t->parents[i], *child;
	size_t n, max;

	if (t->keys[i]) {
		yyjson_mut_obj_replace(parent, t->keys[i], with);
		return;
	}
	yyjson_mut_arr_foreach(parent, n, max, child) {
		if (child != t->nodes[i])
			continue;
		yyjson_mut_arr_replace(parent, n, with);
		return;
	}
}

static void edit_tree(struct tree *t)
{
	unsigned int nr = t->nr < ARRAY_SIZE(t->nodes) ? t->nr : ARRAY_SIZE(t->nodes);
	unsigned int i = dice(&t->d, nr), other = dice(&t->d, nr);

	if (!nr)
		return;
	switch (dice(&t->d, 8)) {
	case 0:
		if (t->keys[i])
			yyjson_mut_obj_remove(t->parents[i], t->keys[i]);
		break;
	case 1:
	case 2:
		put_value(t, i, yyjson_mut_val_mut_copy(t->doc, t->nodes[other]));
		break;
	case 3:
		if (yyjson_mut_is_arr(t->nodes[i]))
			edit_list(t, t->nodes[i]);
		break;
	case 4:
		if (yyjson_mut_is_str(t->nodes[i]))
			put_value(t, i, mutated_text(t, t->nodes[i]));
		break;
	default:
		put_value(t, i, odd_value(t));
	}
}

/* One report of the input. Its new length, 0: it is none. */
static size_t mutate_json(uint8_t *data, size_t size, size_t max, struct dice *d)
{
	_cleanup_free_ struct tree *t = malloc(sizeof(*t));
	yyjson_doc *doc = yyjson_read((const char *)data, size, 0);
	_cleanup_free_ char *json = NULL;
	size_t len = 0;

	if (!t || !doc) {
		yyjson_doc_free(doc);
		return 0;
	}
	t->doc = yyjson_doc_mut_copy(doc, NULL);
	yyjson_doc_free(doc);
	must(t->doc);
	t->d = *d;
	for (unsigned int n = 1 + dice(&t->d, 3); n; n--) {
		t->nr = 0;
		collect(t, NULL, NULL, yyjson_mut_doc_get_root(t->doc), 0);
		edit_tree(t);
	}
	json = yyjson_mut_write(t->doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);
	yyjson_mut_doc_free(t->doc);
	if (!json || len > max)
		return 0;
	memcpy(data, json, len);
	return len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	struct dice d = dice_new(seed);
	uint8_t *second = size > 1 ? memchr(data + 1, 0, size - 1) : NULL;
	size_t len = 0;

	if (!size || dice(&d, 16) == 0)
		return LLVMFuzzerMutate(data, size, max);
	if (dice(&d, 8) == 0)
		data[0] = dice(&d, 256);
	if (!second) {
		len = mutate_json(data + 1, size - 1, max - 1, &d);
		return len ? 1 + len : LLVMFuzzerMutate(data, size, max);
	}
	/* The later one. */
	second++;
	len = mutate_json(second, data + size - second, data + max - second, &d);
	return len ? (size_t)(second - data) + len : LLVMFuzzerMutate(data, size, max);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	log_level = LOG_ERR_ONLY - 1;
	return 0;
}
