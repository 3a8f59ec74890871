// SPDX-License-Identifier: GPL-2.0-only
/* The command line. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <linux/vm_sockets.h>

#include "btf_cache.h"
#include "collector.h"
#include "diff.h"
#include "html.h"
#include "log.h"
#include "sandbox.h"
#include "sched_obj.h"
#include "show.h"
#include "take.h"
#include "trace.h"
#include "validate.h"
#include "view.h"
#include "view_text.h"

#define MOST_CONNECTIONS 65536

static const char usage[] =
	"Usage: ktcollect [OPTION]... [FILE]...\n"
	"       ktcollect snapshot [OPTION]...      (ktcollect snapshot --help)\n"
	"       ktcollect show [OPTION]... REPORT   (ktcollect show --help)\n"
	"       ktcollect diff [OPTION]... REPORT LATER | DUAL\n"
	"       ktcollect html [OPTION]... REPORT   (ktcollect html --help)\n"
	"       ktcollect trace [OPTION]... REPORT  (ktcollect trace --help)\n"
	"       ktcollect validate REPORT...        (ktcollect validate --help)\n"
	"Receive failure snapshots from guests that run ktdump.ko and write reports.\n"
	"\n"
	"Where from (any number of these):\n"
	"      --vsock-cid CID|any  listen on AF_VSOCK, admit only this guest\n"
	"      --uds PATH           listen on Unix socket PATH_PORT, as Firecracker,\n"
	"                           cloud-hypervisor and vhost-device-vsock connect to\n"
	"      --port PORT          vsock port (default 19284)\n"
	"      FILE, -              a recorded stream; a report is shown as text\n"
	"\n"
	"Where to:\n"
	"  -o, --output FILE|DIR    report file, or directory for named ones (default .)\n"
	"      --dual               dual form of failures also without early snapshot,\n"
	"                           with the reason why there is none\n"
	"      --text               print each report as text on standard output\n"
	"      --show               beside each report its text, with maps (NAME.txt)\n"
	"      --html               beside each report its page (NAME.html)\n"
	"      --trace              beside each report its trace (NAME.trace.json)\n"
	"      --junit FILE         the result of the run as JUnit XML\n"
	"      --record FILE        keep the raw stream (next connection: FILE-2)\n"
	"      --control PATH       Unix socket for 'ktcollect snapshot'\n"
	"\n"
	"When to stop:\n"
	"      --once               after the first report\n"
	"      --timeout SECONDS    after this time; exit status 124 when no report came\n"
	"      --grace SECONDS      wait this long for a guest whose connection broke\n"
	"                           before a partial report is written (default 5)\n"
	"      --fail-on-report     exit status 3 when a scheduler failed\n"
	"\n"
	"Limits:\n"
	"      --max-bytes N[K|M|G] memory for one snapshot (default 512M)\n"
	"      --max-disk N[K|M|G]  contents of maps of one snapshot, in a file without\n"
	"                           name where the reports go (default 8G)\n"
	"      --max-reports N      files written for one guest in one run (default 256)\n"
	"      --max-connections N  connections at once (default 256), 16 of one guest\n"
	"      --silence SECONDS    a guest that is silent in the middle of a snapshot is\n"
	"                           taken for gone after this time (default 300, 0 never)\n"
	"      --btf-cache DIR|none keep the types of guests' kernels and programs there\n"
	"                           (default $XDG_CACHE_HOME/ktdump/btf)\n"
	"\n"
	"      --sched-obj FILE     the scheduler or its BPF object: which numbers are\n"
	"                           pointers, when the guest sends no instructions\n"
	"      --guess-types        show what pointers may lead to, by size and name\n"
	"\n"
	"      --no-sandbox         keep access to files and system calls that are not\n"
	"                           needed to serve guests\n"
	"  -q, --quiet              errors only\n"
	"  -v, --verbose            say more\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"Exit status: 0 success, 1 error, 2 wrong usage, 3 a scheduler failed\n"
	"(--fail-on-report), 124 no report in time. SIGUSR1: ask all connected guests\n"
	"for a snapshot; their schedulers go on.\n";

enum {
	OPT_VSOCK_CID = 256, OPT_UDS, OPT_PORT, OPT_TEXT, OPT_RECORD, OPT_ONCE, OPT_TIMEOUT,
	OPT_GRACE, OPT_FAIL_ON_REPORT, OPT_DUAL, OPT_MAX_BYTES, OPT_MAX_DISK, OPT_MAX_REPORTS,
	OPT_BTF_CACHE, OPT_SCHED_OBJ, OPT_GUESS_TYPES, OPT_SHOW, OPT_HTML, OPT_TRACE, OPT_JUNIT,
	OPT_CONTROL, OPT_MAX_CONNECTIONS, OPT_SILENCE, OPT_NO_SANDBOX,
};

static const struct option long_options[] = {
	{ "vsock-cid", required_argument, NULL, OPT_VSOCK_CID },
	{ "uds", required_argument, NULL, OPT_UDS },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "output", required_argument, NULL, 'o' },
	{ "text", no_argument, NULL, OPT_TEXT },
	{ "show", no_argument, NULL, OPT_SHOW },
	{ "html", no_argument, NULL, OPT_HTML },
	{ "trace", no_argument, NULL, OPT_TRACE },
	{ "junit", required_argument, NULL, OPT_JUNIT },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "grace", required_argument, NULL, OPT_GRACE },
	{ "dual", no_argument, NULL, OPT_DUAL },
	{ "fail-on-report", no_argument, NULL, OPT_FAIL_ON_REPORT },
	{ "max-bytes", required_argument, NULL, OPT_MAX_BYTES },
	{ "max-disk", required_argument, NULL, OPT_MAX_DISK },
	{ "btf-cache", required_argument, NULL, OPT_BTF_CACHE },
	{ "sched-obj", required_argument, NULL, OPT_SCHED_OBJ },
	{ "guess-types", no_argument, NULL, OPT_GUESS_TYPES },
	{ "max-reports", required_argument, NULL, OPT_MAX_REPORTS },
	{ "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
	{ "silence", required_argument, NULL, OPT_SILENCE },
	{ "no-sandbox", no_argument, NULL, OPT_NO_SANDBOX },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{}
};

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	bool only_reads;	/* prints on standard output */
} commands[] = {
	{ "snapshot", take_main, false }, { "show", show_main, true }, { "diff", diff_main, true },
	{ "html", html_main, false }, { "trace", trace_main, false },
	{ "validate", validate_main, true },
};

static int run_command(size_t i, int argc, char **argv)
{
	if (commands[i].only_reads)
		sandbox_enter_view(NULL);
	return commands[i].run(argc, argv);
}

static bool parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	char *end;
	uint64_t v;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno || *end || v > max)
		return false;
	*ret = v;
	return true;
}

static bool parse_size(const char *s, uint64_t *ret)
{
	_cleanup_free_ char *copy = strdup(s);
	size_t len = strlen(s);
	int shift = 0;
	uint64_t v;

	if (!copy || !len)
		return false;
	switch (s[len - 1]) {
	case 'G':
		shift += 10;	/* fall through */
	case 'M':
		shift += 10;	/* fall through */
	case 'K':
		shift += 10;
		copy[len - 1] = '\0';
	}
	if (!parse_u64(copy, UINT64_MAX >> shift, &v) || !v)
		return false;
	*ret = v << shift;
	return true;
}

bool parse_seconds(const char *s, double *ret)
{
	char *end;
	double v = strtod(s, &end);

	if (end == s || *end || !(v >= 0) || v > 1e9)
		return false;
	*ret = v;
	return true;
}

bool parse_cid(const char *s, struct options *o)
{
	uint64_t v = VMADDR_CID_ANY;

	if (strcmp(s, "any") && !parse_u64(s, UINT32_MAX - 1, &v))
		return false;
	o->have_vsock = true;
	o->vsock_cid = v;
	return true;
}

bool parse_port(const char *s, struct options *o)
{
	uint64_t v;

	if (!parse_u64(s, UINT32_MAX - 1, &v))
		return false;
	o->port = v;
	return true;
}

static int bad_value(const char *option, const char *value)
{
	log_err("%s: wrong value \"%s\"", option, value);
	return EXIT_USAGE;
}

/* -1: go on; otherwise the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	uint64_t v;
	int opt;

	while ((opt = getopt_long(argc, argv, "o:qvhV", long_options, NULL)) != -1) {
		switch (opt) {
		case OPT_VSOCK_CID:
			if (!parse_cid(optarg, o))
				return bad_value("--vsock-cid", optarg);
			break;
		case OPT_UDS:
			if (!*optarg)
				return bad_value("--uds", optarg);
			o->uds[o->nr_uds++] = optarg;
			break;
		case OPT_PORT:
			if (!parse_port(optarg, o))
				return bad_value("--port", optarg);
			break;
		case 'o':
			if (!*optarg)
				return bad_value("--output", optarg);
			o->output = optarg;
			break;
		case OPT_TEXT:
			o->text = true;
			break;
		case OPT_SHOW:
			o->show = true;
			break;
		case OPT_HTML:
			o->html = true;
			break;
		case OPT_TRACE:
			o->trace = true;
			break;
		case OPT_JUNIT:
			if (!*optarg)
				return bad_value("--junit", optarg);
			o->junit = optarg;
			break;
		case OPT_RECORD:
			o->record = optarg;
			break;
		case OPT_CONTROL:
			if (!*optarg)
				return bad_value("--control", optarg);
			o->control = optarg;
			break;
		case OPT_ONCE:
			o->once = true;
			break;
		case OPT_TIMEOUT:
			if (!parse_seconds(optarg, &o->timeout))
				return bad_value("--timeout", optarg);
			break;
		case OPT_GRACE:
			if (!parse_seconds(optarg, &o->grace))
				return bad_value("--grace", optarg);
			break;
		case OPT_FAIL_ON_REPORT:
			o->fail_on_report = true;
			break;
		case OPT_DUAL:
			o->dual = true;
			break;
		case OPT_MAX_BYTES:
			if (!parse_size(optarg, &o->max_bytes))
				return bad_value("--max-bytes", optarg);
			break;
		case OPT_MAX_DISK:
			if (!parse_size(optarg, &o->max_disk))
				return bad_value("--max-disk", optarg);
			break;
		case OPT_BTF_CACHE:
			if (!*optarg)
				return bad_value("--btf-cache", optarg);
			o->btf_cache = optarg;
			break;
		case OPT_SCHED_OBJ:
			o->sched_obj = optarg;
			break;
		case OPT_GUESS_TYPES:
			o->guess_types = true;
			break;
		case OPT_MAX_REPORTS:
			if (!parse_u64(optarg, INT_MAX, &v) || !v)
				return bad_value("--max-reports", optarg);
			o->max_reports = v;
			break;
		case OPT_MAX_CONNECTIONS:
			if (!parse_u64(optarg, MOST_CONNECTIONS, &v) || !v)
				return bad_value("--max-connections", optarg);
			o->max_connections = v;
			break;
		case OPT_SILENCE:
			if (!parse_seconds(optarg, &o->silence))
				return bad_value("--silence", optarg);
			break;
		case OPT_NO_SANDBOX:
			o->no_sandbox = true;
			break;
		case 'q':
			log_level = LOG_ERR_ONLY;
			break;
		case 'v':
			log_level = LOG_VERBOSE;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		case 'V':
			printf("ktcollect %s\n", KTC_VERSION);
			return EXIT_OK;
		default:
			fputs("Try 'ktcollect --help'.\n", stderr);
			return EXIT_USAGE;
		}
	}
	return -1;
}

/* Reports among the arguments are shown; what is left are recordings. */
static int show_reports(struct options *o, bool *shown_ret)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < o->nr_replay; i++) {
		_cleanup_free_ char *json = NULL;
		size_t len = 0;

		if (strcmp(o->replay[i], "-"))
			json = show_read_json(o->replay[i], &len);
		if (!json) {
			o->replay[left++] = o->replay[i];
			continue;
		}
		*shown_ret = true;
		if (view_text(json, len, stdout)) {
			log_err("%s: not a report", o->replay[i]);
			return EXIT_ERROR;
		}
	}
	o->nr_replay = left;
	return -1;
}

static int prepare_output(const struct options *o)
{
	size_t len = strlen(o->output);

	if (o->output[len - 1] == '/' && mkdir(o->output, 0777) && errno != EEXIST) {
		log_err("cannot make directory %s: %s", o->output, strerror(errno));
		return EXIT_ERROR;
	}
	return -1;
}

struct options options_default(void)
{
	return (struct options){
		.port = KTD_DEFAULT_PORT,
		.output = ".",
		.max_bytes = 512ull << 20,
		.max_disk = 8ull << 30,
		.max_reports = 256,
		.max_connections = 256,
		.grace = 5,
		.silence = 300,
	};
}

/* A connection with its recording and what its snapshots spool. */
#define FILES_PER_CONNECTION	(2 + MAX_IN_PROGRESS)

/* No guest may use up the descriptors that another one needs. */
static void raise_file_limit(struct options *o)
{
	uint64_t spare = 64 + MAX_ORPHANS + MAX_EARLIES;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur == RLIM_INFINITY)
		return;
	spare += (uint64_t)o->max_connections * FILES_PER_CONNECTION;
	if (l.rlim_cur >= spare)
		return;
	o->max_connections = l.rlim_cur / (2 * FILES_PER_CONNECTION) + 1;
	log_warn("%llu open files are allowed: at most %u connections at once",
		 (unsigned long long)l.rlim_cur, o->max_connections);
}

/*
 * A report takes more room than what it is made from: if it fits there, so does this.
 * Beside a device or a pipe nobody keeps files.
 */
static const char *spool_dir(const struct options *o, char *output)
{
	const char *tmp = getenv("TMPDIR");

	if (o->output_is_dir)
		return o->output;
	if (is_special(o->output))
		return tmp && *tmp ? tmp : "/var/tmp";
	return dirname(output);
}

int collect(struct options *o)
{
	_cleanup_free_ char *output = strdup(o->output);
	struct collector c = { .opts = o };
	int ret = prepare_output(o);

	if (ret >= 0)
		return ret;
	if (!output)
		return EXIT_ERROR;
	o->output_is_dir = is_directory(o->output);
	o->spool_dir = spool_dir(o, output);
	raise_file_limit(o);
	if (o->sched_obj) {
		c.sched_obj = sched_obj_open(o->sched_obj);
		if (!c.sched_obj)
			return EXIT_ERROR;
		sched_obj_log(c.sched_obj, o->sched_obj);
	}
	c.btf_cache = btf_cache_open(o->btf_cache);
	ret = collector_run(&c);
	btf_cache_close(c.btf_cache);
	sched_obj_close(c.sched_obj);
	return ret;
}

int main(int argc, char **argv)
{
	_cleanup_free_ const char **uds = calloc(argc, sizeof(*uds));
	_cleanup_free_ const char **replay = calloc(argc, sizeof(*replay));
	struct options o = options_default();
	bool shown = false;
	int ret;

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return run_command(i, argc - 1, argv + 1);
	if (!uds || !replay)
		return EXIT_ERROR;
	o.uds = uds;
	o.replay = replay;
	ret = parse_options(argc, argv, &o);
	if (ret >= 0)
		return ret;
	while (optind < argc)
		replay[o.nr_replay++] = argv[optind++];
	ret = show_reports(&o, &shown);
	if (ret >= 0)
		return ret;
	if (!o.have_vsock && !o.nr_uds && !o.nr_replay) {
		if (shown)
			return EXIT_OK;
		log_err("nothing to read: give --vsock-cid, --uds or a recorded stream");
		fputs("Try 'ktcollect --help'.\n", stderr);
		return EXIT_USAGE;
	}
	return collect(&o);
}
