// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asked of a collector that runs, by its control socket, or of a guest that connects to
 * this very process.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "control.h"
#include "log.h"
#include "take.h"

#define DEFAULT_TIMEOUT 60	/* seconds */

static const char usage[] =
	"Usage: ktcollect snapshot --control PATH [--guest GUEST] [OPTION]...\n"
	"       ktcollect snapshot --vsock-cid CID|--uds PATH [-o FILE] [OPTION]...\n"
	"Take a snapshot in a guest now; its scheduler goes on. Prints the report's path.\n"
	"\n"
	"Of guests of a collector that runs:\n"
	"      --control PATH       its control socket (ktcollect --control PATH)\n"
	"      --guest GUEST        only of this one: its CID, or the PATH of --uds\n"
	"                           (default: of all that are connected)\n"
	"\n"
	"Or where none runs, of the first guest that connects:\n"
	"      --vsock-cid CID|any  listen on AF_VSOCK, admit only this guest\n"
	"      --uds PATH           listen on Unix socket PATH_PORT\n"
	"      --port PORT          vsock port (default 19284)\n"
	"  -o, --output FILE|DIR    report file, or directory (default .)\n"
	"      --text               print the report as text on standard output\n"
	"\n"
	"      --timeout SECONDS    wait so long (default 60)\n"
	"      --no-sandbox         keep access to what is not needed\n"
	"  -q, --quiet              errors only\n"
	"  -v, --verbose            say more\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 success, 1 error, 2 wrong usage, 124 no report in time.\n";

enum {
	OPT_CONTROL = 256, OPT_GUEST, OPT_VSOCK_CID, OPT_UDS, OPT_PORT, OPT_TEXT, OPT_TIMEOUT,
	OPT_NO_SANDBOX,
};

static const struct option long_options[] = {
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "guest", required_argument, NULL, OPT_GUEST },
	{ "vsock-cid", required_argument, NULL, OPT_VSOCK_CID },
	{ "uds", required_argument, NULL, OPT_UDS },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "output", required_argument, NULL, 'o' },
	{ "text", no_argument, NULL, OPT_TEXT },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "no-sandbox", no_argument, NULL, OPT_NO_SANDBOX },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{}
};

static int call(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int ret;

	if (fd < 0 || strlen(path) >= sizeof(sa.sun_path)) {
		log_err("%s: %s", path, fd < 0 ? strerror(errno) : "path is too long for a Unix socket");
		return -1;
	}
	strcpy(sa.sun_path, path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		log_err("%s: %s, does a collector run with --control?", path, strerror(errno));
		return -1;
	}
	ret = fd;
	fd = -1;
	return ret;
}

/* -1: go on; otherwise the exit status. */
static int understand(const char *line)
{
	if (!strncmp(line, "report ", 7)) {
		puts(line + 7);
		fflush(stdout);
		return -1;
	}
	if (!strncmp(line, "asked ", 6)) {
		log_info("asked %s guest(s)", line + 6);
		return -1;
	}
	if (!strcmp(line, "done"))
		return EXIT_OK;
	log_err("the collector says: %s", strncmp(line, "error ", 6) ? line : line + 6);
	return EXIT_ERROR;
}

static int listen_to(int fd, double timeout)
{
	uint64_t until = now_ms() + (uint64_t)(timeout * 1000), now;
	char buf[CONTROL_LINE_MAX];
	size_t fill = 0;

	while ((now = now_ms()) < until) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t ms = until - now;
		char *end;
		ssize_t n;

		if (poll(&p, 1, ms < 60000 ? (int)ms : 60000) <= 0)
			continue;
		n = recv(fd, buf + fill, sizeof(buf) - 1 - fill, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_err("the collector ended the conversation");
			return EXIT_ERROR;
		}
		fill += n;
		while ((end = memchr(buf, '\n', fill))) {
			int ret;

			*end++ = '\0';
			ret = understand(buf);
			if (ret >= 0)
				return ret;
			fill -= end - buf;
			memmove(buf, end, fill);
		}
	}
	log_err("no report came within %g seconds", timeout);
	return EXIT_TIMED_OUT;
}

static int ask_collector(const char *control, const char *guest, double timeout)
{
	_cleanup_close_ int fd = call(control);
	char line[CONTROL_LINE_MAX];
	int n;

	if (fd < 0)
		return EXIT_ERROR;
	n = snprintf(line, sizeof(line), guest ? "snapshot %s\n" : "snapshot\n", guest);
	if (n >= (int)sizeof(line) || (guest && strchr(guest, '\n'))) {
		log_err("--guest: wrong value");
		return EXIT_USAGE;
	}
	if (send(fd, line, n, MSG_NOSIGNAL) != n) {
		log_err("%s: %s", control, strerror(errno));
		return EXIT_ERROR;
	}
	return listen_to(fd, timeout);
}

static int refuse(const char *option)
{
	log_err("%s: wrong value \"%s\"", option, optarg);
	return EXIT_USAGE;
}

int take_main(int argc, char **argv)
{
	const char *control = NULL, *guest = NULL, *uds[1];
	struct options o = options_default();
	int opt;

	o.uds = uds;
	o.take = o.once = true;
	o.timeout = DEFAULT_TIMEOUT;
	while ((opt = getopt_long(argc, argv, "o:qvh", long_options, NULL)) != -1) {
		switch (opt) {
		case OPT_CONTROL:
			control = optarg;
			break;
		case OPT_GUEST:
			guest = optarg;
			break;
		case OPT_VSOCK_CID:
			if (!parse_cid(optarg, &o))
				return refuse("--vsock-cid");
			break;
		case OPT_UDS:
			uds[0] = optarg;
			o.nr_uds = 1;
			break;
		case OPT_PORT:
			if (!parse_port(optarg, &o))
				return refuse("--port");
			break;
		case 'o':
			if (!*optarg)
				return refuse("--output");
			o.output = optarg;
			break;
		case OPT_TEXT:
			o.text = true;
			break;
		case OPT_TIMEOUT:
			if (!parse_seconds(optarg, &o.timeout) || !o.timeout)
				return refuse("--timeout");
			break;
		case OPT_NO_SANDBOX:
			o.no_sandbox = true;
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
		default:
			fputs("Try 'ktcollect snapshot --help'.\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc || !control == !(o.have_vsock || o.nr_uds) || (guest && !control)) {
		log_err("give either --control PATH, with --guest or without, or --vsock-cid or --uds");
		fputs("Try 'ktcollect snapshot --help'.\n", stderr);
		return EXIT_USAGE;
	}
	return control ? ask_collector(control, guest, o.timeout) : collect(&o);
}
