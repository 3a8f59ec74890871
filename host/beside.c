// SPDX-License-Identifier: GPL-2.0-only
/* What is written beside a report: its views, and the result of the run as JUnit has it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "collector.h"
#include "html.h"
#include "log.h"
#include "show.h"
#include "trace.h"
#include "utf8.h"
#include "view.h"
#include "view_text.h"

static void write_text(FILE *f, yyjson_val *report)
{
	view_show(report, f, &(struct view_options){ .contents = true, .cpu = -1 });
}

static int show_write(yyjson_val *report, const char *path)
{
	return view_write(path, report, write_text);
}

static void make_views(struct collector *c, const char *report)
{
	const struct {
		bool wanted;
		const char *suffix;
		int (*write)(yyjson_val *report, const char *path);
	} views[] = {
		{ c->opts->show, ".txt", show_write },
		{ c->opts->html, ".html", html_write },
		{ c->opts->trace, ".trace.json", trace_write },
	};
	yyjson_doc *doc = NULL;
	struct stat st;

	if (is_special(report))
		return;
	/* It is read whole, which takes several times its size. */
	if (stat(report, &st) || (uint64_t)st.st_size > c->opts->max_bytes) {
		log_warn("%s: too large for its views (--max-bytes), make them where there is more memory", report);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(views); i++) {
		_cleanup_free_ char *path = NULL;
		int err = -ENOMEM;

		if (!views[i].wanted)
			continue;
		if (!doc)
			doc = show_load(report);
		path = view_path(report, views[i].suffix);
		if (doc && path)
			err = views[i].write(yyjson_doc_get_root(doc), path);
		if (!err)
			continue;
		log_err("cannot write %s: %s", path ? path : "a view", strerror(-err));
		c->failed = true;
	}
	yyjson_doc_free(doc);
}

void views_make(struct collector *c)
{
	if (!c->opts->show && !c->opts->html && !c->opts->trace)
		return;
	for (struct written *w = c->written; w; w = w->next) {
		if (!w->due || !w->path)
			continue;
		w->due = false;
		make_views(c, w->path);
	}
}

/* ---------------------------------------------------------------------- JUnit */

/* Text of a guest: XML has no way at all to write most control characters. */
static void put_xml(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (strchr("&<>\"'", *s)) {
			fprintf(f, "&#%d;", *s);
		} else if ((unsigned char)*s < 0x20 && *s != '\n') {
			fputc('?', f);
		} else if (!strncmp(s, "\xef\xbf\xbe", 3) || !strncmp(s, "\xef\xbf\xbf", 3)) {
			/* U+FFFE and U+FFFF are no characters. */
			fputs(UTF8_REPLACEMENT, f);
			s += 2;
		} else {
			fputc(*s, f);
		}
	}
}

static void put_case(FILE *f, const struct written *w)
{
	fputs("  <testcase classname=\"ktcollect\" name=\"", f);
	put_xml(f, w->path);
	if (!w->failure) {
		fputs("\"/>\n", f);
		return;
	}
	fputs("\">\n    <failure type=\"sched_ext\" message=\"", f);
	put_xml(f, w->failure);
	fputs("\">", f);
	put_xml(f, w->text ? w->text : "");
	fputs("</failure>\n  </testcase>\n", f);
}

/* The newest is the first of the list. */
static void put_cases(FILE *f, const struct written *w)
{
	const struct written *last = NULL;

	while (last != w) {
		const struct written *one = w;

		while (one->next != last)
			one = one->next;
		if (one->path)
			put_case(f, one);
		last = one;
	}
}

static void put_junit(FILE *f, const struct collector *c)
{
	unsigned int nr = 0, failures = 0;

	for (struct written *w = c->written; w; w = w->next) {
		nr += w->path != NULL;
		failures += w->path && w->failure;
	}
	fprintf(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuite name=\"ktcollect\" tests=\"%u\" failures=\"%u\" errors=\"0\">\n", nr ? nr : 1, failures);
	if (nr)
		put_cases(f, c->written);
	else
		fputs("  <testcase classname=\"ktcollect\" name=\"no scheduler failed\"/>\n", f);
	fputs("</testsuite>\n", f);
}

void junit_write(struct collector *c)
{
	const char *path = c->opts->junit;
	_cleanup_free_ char *part = NULL;
	bool special;
	FILE *f;

	if (!path)
		return;
	special = is_special(path);
	if (asprintf(&part, special ? "%s" : "%s.part", path) < 0)
		part = NULL;
	f = part ? fopen(part, "we") : NULL;
	if (f)
		put_junit(f, c);
	if (!f || fclose(f) || (!special && rename(part, path))) {
		log_err("cannot write %s: %s", path, strerror(errno));
		c->failed = true;
	}
}
