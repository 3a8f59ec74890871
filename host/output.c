// SPDX-License-Identifier: GPL-2.0-only
/* Reports on disk: names that no guest chooses, whole files or none. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "control.h"
#include "github.h"
#include "log.h"
#include "report.h"
#include "view.h"
#include "view_text.h"

#define MAX_LEFT 256	/* reports of one name that earlier runs left in a directory */

static bool same_guest(const struct written *w, const struct snapshot *s)
{
	return !strcmp(w->origin, s->origin) && !strcmp(w->boot_id, s->boot_id);
}

/* A placeholder (number 0) gives way to whatever comes from that guest. */
struct written *written_find(struct collector *c, const struct snapshot *s)
{
	struct written *w;

	for (w = c->written; w; w = w->next)
		if (same_guest(w, s) && w->number == s->number)
			return w;
	for (w = c->written; w; w = w->next)
		if (same_guest(w, s) && !w->number)
			return w;
	return NULL;
}

static struct written *written_add(struct collector *c, const struct snapshot *s)
{
	struct written *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->origin = strdup(s->origin);
	w->boot_id = strdup(s->boot_id);
	w->number = s->number;
	if (!w->origin || !w->boot_id) {
		free(w->origin);
		free(w->boot_id);
		free(w);
		return NULL;
	}
	w->next = c->written;
	c->written = w;
	return w;
}

void written_free(struct collector *c)
{
	while (c->written) {
		struct written *w = c->written;

		c->written = w->next;
		free(w->origin);
		free(w->boot_id);
		free(w->path);
		free(w->failure);
		free(w->text);
		free(w);
	}
}

bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int sync_directory_of(const char *path)
{
	_cleanup_close_ int fd = -1;
	char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	return fd < 0 || fsync(fd) ? -errno : 0;
}

/* Somebody is told what is in the reports. For all others the summary costs too much. */
static bool summary_wanted(const struct collector *c)
{
	return c->opts->text || c->opts->junit || github_listens();
}

/*
 * Readers see the old file, the new file or none, never a part of it. A device or a pipe
 * is written to: a file in its place would be no favour (/dev/null least of all).
 */
static int write_file(const struct collector *c, const char *path, const struct snapshot *s,
		      struct report_summary *ret)
{
	_cleanup_free_ char *part = NULL;
	const struct report_form form = { early_find(c, s), c->opts->dual };
	bool special = is_special(path);
	int fd, err;
	FILE *f;

	if (asprintf(&part, special ? "%s" : "%s.part", path) < 0) {
		part = NULL;
		return -ENOMEM;
	}
	fd = open(part, special ? O_WRONLY | O_CLOEXEC :
				  O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		if (!special)
			unlink(part);
		return -ENOMEM;
	}
	/* The report's writer has a buffer, and flushes it. */
	setvbuf(f, NULL, _IONBF, 0);
	err = report_write(s, &form, f, summary_wanted(c) ? ret : NULL);
	if (!err && !special && fsync(fd))
		err = -errno;
	if (fclose(f) && !err)
		err = -errno;
	if (!err && !special && rename(part, path))
		err = -errno;
	if (err) {
		if (!special)
			unlink(part);
		report_summary_deinit(ret);
	} else if (!special) {
		sync_directory_of(path);	/* not every file system can */
	}
	return err;
}

static bool taken(const struct collector *c, const char *path)
{
	for (struct written *w = c->written; w; w = w->next)
		if (w->path && !strcmp(w->path, path))
			return true;
	return false;
}

/* "a.json", 2 -> "a-2.json" */
static char *numbered(const char *path, unsigned int n)
{
	const char *slash = strrchr(path, '/');
	const char *dot = strrchr(slash ? slash : path, '.');
	int stem = dot && dot[1] ? (int)(dot - path) : (int)strlen(path);
	char *ret;

	if (n < 2)
		return strdup(path);
	return asprintf(&ret, "%.*s-%u%s", stem, path, n, path + stem) < 0 ? NULL : ret;
}

/* The guest's clock when it is believable: a report sent again gets the same name. */
static time_t name_time(const struct snapshot *s)
{
	uint64_t ns = 0;
	row_t row = snapshot_single(s, KTD_TBL_BEGIN);

	if (row)
		row_u64(&s->tables[KTD_TBL_BEGIN], row, KTD_BEGIN_REAL_NS, &ns);
	ns /= 1000000000;
	return ns > 1000000000 && ns < 10000000000 ? (time_t)ns : time(NULL);
}

static char *name_in_directory(const char *dir, const struct snapshot *s)
{
	char boot[9] = "unknown", when[32], *ret;
	time_t t = name_time(s);
	unsigned int n = 0;
	struct tm tm;

	for (const char *p = s->boot_id; *p && n < 8; p++)
		if ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f'))
			boot[n++] = *p;
	if (n)
		boot[n] = '\0';
	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	if (asprintf(&ret, "%s%sktdump-%s-%s-%u.json", strcmp(dir, ".") ? dir : "",
		     !strcmp(dir, ".") || dir[strlen(dir) - 1] == '/' ? "" : "/", when, boot,
		     s->number) < 0)
		return NULL;
	return ret;
}

/*
 * A collector that was killed may have had the whole snapshot: its report has the same
 * name, and what is now only a part of it does not take its place.
 */
static bool must_stay(const struct collector *c, const char *path, const struct snapshot *s)
{
	return c->opts->output_is_dir && !s->ended && !access(path, F_OK);
}

static char *choose_path(struct collector *c, const struct snapshot *s)
{
	_cleanup_free_ char *base = NULL;
	const char *out = c->opts->output;
	char *path = NULL;

	if (c->opts->output_is_dir)
		base = name_in_directory(out, s);
	else
		base = strdup(out);
	if (!base)
		return NULL;
	for (unsigned int n = 1; n <= c->nr_reports + 1 + MAX_LEFT; n++) {
		free(path);
		path = numbered(base, n);
		if (!path || (!taken(c, path) && !must_stay(c, path, s)))
			return path;
	}
	return path;
}

static void announce(const struct collector *c, const struct snapshot *s, const char *path)
{
	FILE *f = c->opts->text ? stderr : stdout;

	if (log_level >= LOG_NORMAL || !c->opts->text)
		fprintf(f, "%s\n", path);
	fflush(f);
	if (s->why[0])
		log_warn("%s: partial report: %s", path, s->why);
}

/* Under a new name. */
static int write_new(struct collector *c, const struct snapshot *s,
		     struct report_summary *summary_ret, struct written **ret)
{
	_cleanup_free_ char *path = choose_path(c, s);
	struct written *w;
	int err;

	err = path ? write_file(c, path, s, summary_ret) : -ENOMEM;
	if (err) {
		log_err("cannot write %s: %s", path ? path : "a report", strerror(-err));
		return err;
	}
	w = written_add(c, s);
	if (!w)
		return -ENOMEM;
	w->path = path;
	path = NULL;
	c->nr_reports++;
	if (c->nr_reports == 2 && !c->opts->output_is_dir)
		log_info("%s is taken, the second report is %s", c->opts->output, w->path);
	*ret = w;
	return 0;
}

/*
 * Over what came before of the same snapshot, of its early one, or of its guest's
 * placeholder.
 */
static int write_again(const struct collector *c, const struct snapshot *s,
		       struct report_summary *summary_ret, struct written *w)
{
	int err = write_file(c, w->path, s, summary_ret);

	if (err) {
		log_err("cannot write %s: %s", w->path, strerror(-err));
		return err;
	}
	w->number = s->number;
	log_info("%s is replaced by what came later", w->path);
	return 0;
}

/*
 * The early one has a file already, which becomes the dual report. That snapshot and
 * this one are both remembered.
 */
static struct written *take_over(struct collector *c, const struct snapshot *early,
				 const struct snapshot *s)
{
	struct written *e = early ? written_find(c, early) : NULL, *w;

	if (!e || !e->path)
		return NULL;
	w = written_add(c, s);
	if (!w)
		return NULL;
	w->path = e->path;
	e->path = NULL;
	return w;
}

/* For --junit, which is written at the end: the summary as text. */
static void remember_failure(struct written *w, const struct report_summary *summary)
{
	size_t len;
	FILE *f;

	free(w->failure);
	free(w->text);
	w->text = NULL;
	w->failure = strdup(summary->headline);
	f = open_memstream(&w->text, &len);
	if (f) {
		view_report(yyjson_doc_get_root(summary->doc), f);
		fclose(f);
	}
}

/* What a person or a workflow is told. */
static void tell(struct collector *c, const struct snapshot *s, struct written *w,
		 const struct report_summary *summary)
{
	announce(c, s, w->path);
	w->due = true;
	if (!snapshot_is(s, "demand")) {
		c->nr_failures++;
		if (summary_wanted(c))
			github_announce(summary->report, w->path, summary->headline);
		if (c->opts->junit)
			remember_failure(w, summary);
	}
	junit_write(c);
	if (c->opts->text)
		view_report(yyjson_doc_get_root(summary->doc), stdout);
}

static unsigned int nr_of_guest(const struct collector *c, const char *origin)
{
	unsigned int nr = 0;

	for (struct written *w = c->written; w; w = w->next)
		nr += w->path && !strcmp(w->origin, origin);
	return nr;
}

int output_write(struct collector *c, struct snapshot *s)
{
	_cleanup_(report_summary_deinit) struct report_summary summary = {};
	struct snapshot *early = early_find(c, s);
	struct written *w = written_find(c, s);
	int err;

	if (w && w->complete && w->number == s->number)
		return 0;
	if (!w)
		w = take_over(c, early, s);
	if (!w && nr_of_guest(c, s->origin) >= c->opts->max_reports) {
		log_err("%s: %u reports were written, no more are (--max-reports)", s->origin,
			c->opts->max_reports);
		return -EDQUOT;
	}
	err = w ? write_again(c, s, &summary, w) : write_new(c, s, &summary, &w);
	if (err) {
		c->failed = true;
		return err;
	}
	w->complete = s->ended;
	c->nr_complete += w->complete;
	if (w->complete)
		control_report(c, s, w->path);
	if (snapshot_is(s, "early") && s->ended)
		log_info("%s: half-way into a stall; it waits for what comes of it", w->path);
	else
		tell(c, s, w, &summary);
	if (early && s->ended) {
		early_drop(c, early);
	} else if (early) {
		early->joined = true;
		early->deadline_ms = UINT64_MAX;
	}
	return 0;
}

void output_early_alone(struct collector *c, const struct snapshot *s)
{
	_cleanup_(report_summary_deinit) struct report_summary summary = {};
	struct written *w = written_find(c, s);

	if (w && w->path && !write_again(c, s, &summary, w))
		tell(c, s, w, &summary);
}
