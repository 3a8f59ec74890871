// SPDX-License-Identifier: GPL-2.0-only
/*
 * A whole stream of a hostile guest through the collector, as it comes from a socket or
 * from a recording, cut anywhere: reports, early ones, what is left of broken connections,
 * and the views beside each report.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "log.h"
#include "schema.h"
#include "session.h"
#include "show.h"
#include "stream.h"

#define PREFIX 4	/* bytes before the stream */

enum { ANSWERS = 1, DUAL = 2, VIEWS = 4, TEXT = 8, GUESS = 16, SMALL = 32, SPLIT = 64, TAKE = 128 };

static char dir[64];	/* where reports go */

bool __wrap_btf_hash_is(const uint8_t *hash, const uint8_t *data, size_t len);

bool __wrap_btf_hash_is(const uint8_t *hash, const uint8_t *data, size_t len)
{
	(void)data, (void)len;
	return hash[0] != 0xff;
}

/* A connection, and its other end where the collector answers. */
struct guest {
	struct session *s;
	int fd;
};

static void connect_guest(struct collector *c, bool answers, struct guest *ret)
{
	int fds[2] = { -1, -1 };

	if (answers)
		must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	ret->s = session_create(c, fds[0], "fuzz", answers);
	must(ret->s);
	ret->fd = fds[1];
}

/* What the collector says is whole frames. */
static void listen_to(struct guest *g)
{
	struct ktd_frame_hdr h;
	ssize_t n;

	while (g->fd >= 0 && (n = recv(g->fd, &h, sizeof(h), MSG_DONTWAIT)) > 0) {
		must(n == sizeof(h));
		must(h.type != KTD_FRAME_ROWS && !h.len);
	}
}

static void feed(struct guest *g, struct in *in, size_t len, size_t piece)
{
	int err = 0;

	for (size_t n; len && in->left && !err; len -= n) {
		n = piece < len ? piece : len;
		_cleanup_free_ uint8_t *copy = in_copy(in, &n);

		err = session_feed(g->s, copy, n);
		listen_to(g);
	}
}

static void disconnect(struct guest *g)
{
	session_end(g->s, "the input ends here");
	if (g->fd >= 0)
		close(g->fd);
}

/* What is on disk can be read by ktstr, and no half file is. Empties the directory. */
static void check_files(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	must(d);
	while ((e = readdir(d))) {
		struct problems p = { .out = stderr, .file = e->d_name };
		const struct place at = {};
		char path[400];
		yyjson_doc *doc;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		must(!strstr(path, ".part"));
		if (strstr(path, ".json") && !strstr(path, ".trace.")) {
			doc = show_load(path);
			must(doc);
			must(!schema_check(SCHEMA_REPORT, NULL, yyjson_doc_get_root(doc), &at, &p));
			must(!p.nr);
			yyjson_doc_free(doc);
		}
		unlink(path);
	}
	closedir(d);
}

static void serve(struct collector *c, struct in *in, unsigned int flags, size_t piece, size_t cut)
{
	struct guest a, b;

	connect_guest(c, flags & ANSWERS, &a);
	feed(&a, in, flags & SPLIT ? cut : SIZE_MAX, piece);
	if (flags & SPLIT) {
		connect_guest(c, flags & ANSWERS, &b);
		feed(&b, in, SIZE_MAX, piece);
		sessions_take(c, NULL, NULL, NULL);
		disconnect(&b);
	}
	disconnect(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = { data, size };
	unsigned int flags = in_num(&in, 1);
	size_t piece = 1 + in_num(&in, 1) * 16, cut = in_num(&in, PREFIX - 2) % (size + 1), len = in.left;
	_cleanup_free_ uint8_t *stream = in_copy(&in, &len);
	struct options o = {
		.output = dir, .spool_dir = dir, .max_bytes = flags & SMALL ? 1 << 14 : 1 << 22,
		.max_disk = flags & SMALL ? 1 << 14 : 1 << 20, .max_reports = 6, .grace = 5,
		.text = flags & TEXT, .show = flags & VIEWS, .html = flags & VIEWS,
		.trace = flags & VIEWS, .dual = flags & DUAL, .guess_types = flags & GUESS,
		.take = flags & TAKE,
	};
	struct collector c = { .opts = &o };

	stream_repair(stream, len);
	in = (struct in){ stream, len };
	serve(&c, &in, flags, piece, cut);
	must(!c.nr_sessions && !c.sessions);
	orphan_expire(&c, 0, true);
	early_expire(&c, 0, true);
	views_make(&c);
	must(!c.nr_orphans && !c.nr_earlies);
	must(c.nr_reports <= o.max_reports);
	written_free(&c);
	check_files();
	return 0;
}

static void leave(void)
{
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	log_level = LOG_ERR_ONLY - 1;
	snprintf(dir, sizeof(dir), "%s/ktdump-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	must(mkdtemp(dir));
	atexit(leave);
	must(freopen("/dev/null", "w", stdout));
	unsetenv("GITHUB_ACTIONS");
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	return stream_mutate(data, size, max, PREFIX, seed);
}
