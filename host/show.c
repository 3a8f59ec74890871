// SPDX-License-Identifier: GPL-2.0-only
/* "ktcollect show": a report for a person, whole or a part of it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "collector.h"
#include "json.h"
#include "jsonw.h"
#include "log.h"
#include "sandbox.h"
#include "show.h"
#include "view.h"
#include "view_text.h"

/* ktstr's reader takes no more; what is much deeper would need more stack than there is. */
#define MAX_NESTING JSONW_MAX_DEPTH

static const char usage[] =
	"Usage: ktcollect show [OPTION]... REPORT\n"
	"Show a failure report (of ktcollect or ktstr) as text. \"-\" is standard input.\n"
	"\n"
	"      --section NAME       only this section (may be repeated): summary, hints,\n"
	"                           waiting, tasks, cpus, queues, difference, schedulers,\n"
	"                           counters, map-list, maps, allocations, programs,\n"
	"                           missing, backtrace\n"
	"      --map GLOB           only the maps with such names\n"
	"      --task PID|GLOB      only such tasks, with all that is known about them\n"
	"      --cpu N              only this CPU\n"
	"      --json POINTER       the value at this JSON pointer, as JSON (\"\" is all)\n"
	"      --early              the early snapshot of a dual report\n"
	"      --all                everything: all rows, all columns, zeros, other maps\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 success, 1 not a report or it has no such thing, 2 wrong usage.\n";

enum { OPT_SECTION = 256, OPT_MAP, OPT_TASK, OPT_CPU, OPT_JSON, OPT_EARLY, OPT_ALL };

static const struct option long_options[] = {
	{ "section", required_argument, NULL, OPT_SECTION },
	{ "map", required_argument, NULL, OPT_MAP },
	{ "task", required_argument, NULL, OPT_TASK },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "json", required_argument, NULL, OPT_JSON },
	{ "early", no_argument, NULL, OPT_EARLY },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "help", no_argument, NULL, 'h' },
	{}
};

/* All of standard input. */
static char *read_stdin(size_t *len_ret)
{
	size_t size = 1 << 16, len = 0, n;
	char *buf = malloc(size), *more;

	while (buf && (n = fread(buf + len, 1, size - len, stdin))) {
		len += n;
		if (len < size)
			continue;
		size *= 2;
		more = realloc(buf, size);
		if (!more)
			free(buf);
		buf = more;
	}
	*len_ret = len;
	return buf;
}

static bool is_deeper(yyjson_val *v, unsigned int levels)
{
	yyjson_val *child, *key;
	size_t i, max;

	if (!yyjson_is_ctn(v))
		return false;
	if (!levels)
		return true;
	if (yyjson_is_arr(v)) {
		yyjson_arr_foreach(v, i, max, child)
			if (yyjson_is_ctn(child) && is_deeper(child, levels - 1))
				return true;
		return false;
	}
	yyjson_obj_foreach(v, i, max, key, child)
		if (is_deeper(child, levels - 1))
			return true;
	return false;
}

static bool is_report(yyjson_val *top)
{
	const char *schema = yyjson_get_str(yyjson_obj_get(top, "schema"));

	if (schema && !strcmp(schema, "dual")) {
		top = yyjson_obj_get(top, "late");
		schema = yyjson_get_str(yyjson_obj_get(top, "schema"));
	}
	return schema && !strcmp(schema, "single");
}

static int show_json(yyjson_doc *doc, const char *pointer)
{
	_cleanup_free_ char *json = NULL;
	yyjson_val *v = yyjson_doc_ptr_get(doc, pointer);

	if (v)
		json = yyjson_val_write(v, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);
	if (!json) {
		log_err("the report has no %s", pointer);
		return EXIT_ERROR;
	}
	json_puts(stdout, json);
	return EXIT_OK;
}

yyjson_doc *show_load(const char *path)
{
	size_t len = 0;
	_cleanup_free_ char *json = strcmp(path, "-") ? show_read_json(path, &len) : read_stdin(&len);
	yyjson_read_err bad = {};
	yyjson_doc *doc;

	if (!json) {
		log_err("%s: %s", path, access(path, R_OK) ? strerror(errno) : "not a report");
		return NULL;
	}
	doc = yyjson_read_opts(json, len, 0, NULL, &bad);
	if (!doc)
		log_err("%s: not a report: %s at byte %zu", path, bad.msg, bad.pos);
	else if (is_deeper(yyjson_doc_get_root(doc), MAX_NESTING))
		log_err("%s: not a report: more than %d levels deep", path, MAX_NESTING);
	else if (!is_report(yyjson_doc_get_root(doc)))
		log_err("%s: not a report: no \"schema\" that says single or dual", path);
	else
		return doc;
	yyjson_doc_free(doc);
	return NULL;
}

static int show(const char *path, const struct view_options *o, const char *pointer)
{
	yyjson_doc *doc = show_load(path);
	int ret;

	if (!doc)
		return EXIT_ERROR;
	if (pointer) {
		ret = show_json(doc, pointer);
	} else {
		ret = view_show(yyjson_doc_get_root(doc), stdout, o);
		if (ret == -ENOENT)
			log_err("%s: the report has no such thing", path);
		else if (ret)
			log_err("%s: %s", path, strerror(-ret));
		ret = ret ? EXIT_ERROR : EXIT_OK;
	}
	yyjson_doc_free(doc);
	return ret;
}

char *show_read_json(const char *path, size_t *len_ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *buf = NULL;
	char head[256] = "", *ret;
	struct stat st;
	size_t len = 0;

	/* A recording may be larger than memory: a look at its beginning must do. */
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
	    pread(fd, head, sizeof(head) - 1, 0) <= 0 || head[strspn(head, " \t\r\n")] != '{')
		return NULL;
	buf = calloc(1, st.st_size + 1);
	if (!buf)
		return NULL;
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + len, st.st_size - len);

		if (n <= 0)
			break;
		len += n;
	}
	*len_ret = len;
	ret = buf;
	buf = NULL;
	return ret;
}


int show_main(int argc, char **argv)
{
	_cleanup_free_ const char **sections = calloc(argc, sizeof(*sections));
	struct view_options o = { .sections = sections, .contents = true, .cpu = -1 };
	const char *pointer = NULL;
	char *end;
	int opt;

	if (!sections)
		return EXIT_ERROR;
	while ((opt = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (opt) {
		case OPT_SECTION:
			if (!view_has_section(optarg)) {
				log_err("--section: there is no section \"%s\"", optarg);
				return EXIT_USAGE;
			}
			sections[o.nr_sections++] = optarg;
			break;
		case OPT_MAP:
			o.map = optarg;
			break;
		case OPT_TASK:
			o.task = optarg;
			break;
		case OPT_CPU:
			errno = 0;
			o.cpu = strtoll(optarg, &end, 10);
			if (errno || end == optarg || *end || o.cpu < 0) {
				log_err("--cpu: wrong value \"%s\"", optarg);
				return EXIT_USAGE;
			}
			break;
		case OPT_JSON:
			pointer = optarg;
			break;
		case OPT_EARLY:
			o.early = true;
			break;
		case OPT_ALL:
			o.all = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		default:
			fputs("Try 'ktcollect show --help'.\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 1) {
		log_err(argc == optind ? "show: which report?" : "show: one report at a time");
		fputs("Try 'ktcollect show --help'.\n", stderr);
		return EXIT_USAGE;
	}
	return show(argv[optind], &o, pointer);
}

int show_to_file(int argc, char **argv, const char *help, const char *suffix,
		 int (*write)(yyjson_val *report, const char *path))
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	_cleanup_free_ char *name = NULL;
	const char *output = NULL;
	yyjson_doc *doc;
	int opt, err;

	while ((opt = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (opt) {
		case 'o':
			output = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_OK;
		default:
			fprintf(stderr, "Try 'ktcollect %s --help'.\n", argv[0]);
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 1) {
		log_err(argc == optind ? "%s: which report?" : "%s: one report at a time", argv[0]);
		fprintf(stderr, "Try 'ktcollect %s --help'.\n", argv[0]);
		return EXIT_USAGE;
	}
	if (!output) {
		name = view_path(argv[optind], suffix);
		output = name;
	}
	if (output)
		sandbox_enter_view(strcmp(output, "-") ? output : NULL);
	doc = output ? show_load(argv[optind]) : NULL;
	if (!doc)
		return EXIT_ERROR;
	err = write(yyjson_doc_get_root(doc), output);
	yyjson_doc_free(doc);
	if (err)
		log_err("%s: %s", output, strerror(-err));
	return err ? EXIT_ERROR : EXIT_OK;
}
