// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where guests come from (AF_VSOCK, the Unix sockets of user-mode VMMs, recorded
 * streams) and the one loop that serves all of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <linux/vm_sockets.h>

#include "control.h"
#include "log.h"
#include "session.h"

#define DRAIN_MS 500	/* time for a guest to read our last answer */

struct source {
	struct source *next;
	int fd;
	char *uds;		/* path to remove at exit */
	char *origin;		/* NULL: by the peer's CID */
};

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static int watch(struct collector *c, int op, int fd, void *what, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = what };

	return epoll_ctl(c->epoll_fd, op, fd, &ev) ? -errno : 0;
}

int collector_watch(struct collector *c, int fd, void *what)
{
	return watch(c, EPOLL_CTL_ADD, fd, what, EPOLLIN);
}

static int add_source(struct collector *c, int fd, const char *uds, const char *origin)
{
	struct source *src = calloc(1, sizeof(*src));

	if (!src) {
		close(fd);
		return -ENOMEM;
	}
	src->fd = fd;
	src->uds = uds ? strdup(uds) : NULL;
	src->origin = origin ? strdup(origin) : NULL;
	src->next = c->sources;
	c->sources = src;
	return watch(c, EPOLL_CTL_ADD, fd, src, EPOLLIN);
}

static void close_sources(struct collector *c)
{
	while (c->sources) {
		struct source *src = c->sources;

		c->sources = src->next;
		close(src->fd);
		if (src->uds)
			unlink(src->uds);
		free(src->uds);
		free(src->origin);
		free(src);
	}
}

static int listen_vsock(struct collector *c)
{
	struct sockaddr_vm sa = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = c->opts->port,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		log_err("no AF_VSOCK sockets here: %s (module vhost_vsock or vsock_loopback loaded?)",
			strerror(errno));
		return -errno;
	}
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, SOMAXCONN)) {
		int err = -errno;

		log_err("cannot listen on vsock port %u: %s", c->opts->port, strerror(errno));
		close(fd);
		return err;
	}
	log_info("listening on vsock port %u", c->opts->port);
	return add_source(c, fd, NULL, NULL);
}

/* A socket file nobody listens on was left by a collector that was killed. */
static int remove_stale(const char *path, const struct sockaddr_un *sa)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		log_err("%s exists and is not a socket", path);
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) || errno != ECONNREFUSED) {
		log_err("%s is in use, is another collector running?", path);
		return -EADDRINUSE;
	}
	return unlink(path) ? -errno : 0;
}

int listen_unix(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		log_err("%s: path is too long for a Unix socket", path);
		return -ENAMETOOLONG;
	}
	strcpy(sa.sun_path, path);
	err = remove_stale(path, &sa);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, SOMAXCONN)) {
		err = -errno;
		log_err("cannot listen on %s: %s", path, strerror(errno));
		close(fd);
		return err;
	}
	log_info("listening on %s", path);
	return fd;
}

static int listen_uds(struct collector *c, const char *base)
{
	_cleanup_free_ char *path = NULL, *origin = NULL;
	int fd;

	if (asprintf(&path, "%s_%u", base, c->opts->port) < 0 ||
	    asprintf(&origin, "unix %s", path) < 0)
		return -ENOMEM;
	fd = listen_unix(path);
	return fd < 0 ? fd : add_source(c, fd, path, origin);
}

static unsigned int nr_of(const struct collector *c, const char *origin)
{
	unsigned int nr = 0;

	for (struct session *s = c->sessions; s; s = s->next)
		nr += !strcmp(s->origin, origin);
	return nr;
}

/* The guest that has the most connections. */
static const char *busiest(const struct collector *c)
{
	const char *ret = NULL;
	unsigned int most = 0;

	for (struct session *s = c->sessions; s; s = s->next) {
		unsigned int nr = nr_of(c, s->origin);

		if (nr > most) {
			most = nr;
			ret = s->origin;
		}
	}
	return ret;
}

/* Better to end a than b: it has not said hello, or has been silent for longer. */
static bool is_idler(const struct session *a, const struct session *b)
{
	if (a->hello_done != b->hello_done)
		return !a->hello_done;
	return a->heard_ms <= b->heard_ms;
}

/*
 * A guest that was reset may leave connections behind which nobody ends. Those that a
 * snapshot is coming on stay; the one that can be spared is ended for the new one.
 */
static bool make_room(struct collector *c, const char *origin)
{
	struct session *idle = NULL;

	if (nr_of(c, origin) < MAX_SESSIONS_PER_GUEST) {
		if (c->nr_sessions < c->opts->max_connections)
			return true;
		origin = busiest(c);
	}
	for (struct session *s = c->sessions; s; s = s->next)
		if (!strcmp(s->origin, origin) && !s->snaps && !s->announced &&
		    (!idle || is_idler(s, idle)))
			idle = s;
	if (!idle)
		return false;
	session_end(idle, "too many connections");
	return true;
}

static void accept_guest(struct collector *c, struct source *src)
{
	struct sockaddr_storage ss = {};
	const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&ss;
	socklen_t len = sizeof(ss);
	char origin[32];
	struct session *s;
	int fd = accept4(src->fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (!src->origin && c->opts->vsock_cid != VMADDR_CID_ANY &&
	    vm->svm_cid != c->opts->vsock_cid) {
		log_warn("guest with CID %u was turned away", vm->svm_cid);
		close(fd);
		return;
	}
	snprintf(origin, sizeof(origin), "vsock cid %u", vm->svm_cid);
	if (!make_room(c, src->origin ? src->origin : origin)) {
		log_warn("%s: too many connections, one was turned away",
			 src->origin ? src->origin : origin);
		close(fd);
		return;
	}
	s = session_create(c, fd, src->origin ? src->origin : origin, true);
	if (!s) {
		close(fd);
		return;
	}
	if (watch(c, EPOLL_CTL_ADD, fd, s, EPOLLIN))
		session_end(s, "cannot watch it");
	else
		log_debug("%s: connected", s->origin);
}

/*
 * Close gently: with unread data in the socket a plain close would reset the
 * connection and could take our last answer with it.
 */
static void drain_session(struct session *s)
{
	shutdown(s->fd, SHUT_WR);
	s->draining = true;
	s->drain_until_ms = now_ms() + DRAIN_MS;
}

static void serve_session(struct collector *c, struct session *s, uint32_t events)
{
	uint8_t buf[64 * 1024];
	ssize_t n;

	if (events & EPOLLOUT && session_flush(s)) {
		session_end(s, "cannot send to it");
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			session_end(s, n ? "the connection broke" : "the guest closed the connection");
			return;
		}
		if (!s->draining && session_feed(s, buf, n))
			drain_session(s);
	}
	watch(c, EPOLL_CTL_MOD, s->fd, s,
	      session_wants_write(s) && !s->draining ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static int replay(struct collector *c, const char *path)
{
	_cleanup_close_ int file = -1;
	int fd = STDIN_FILENO;
	unsigned int before = c->nr_reports + c->nr_orphans;
	uint8_t buf[64 * 1024];
	struct session *s;
	bool damaged = false;
	ssize_t n;
	int ret = 0;

	if (strcmp(path, "-"))
		fd = file = open(path, O_RDONLY | O_CLOEXEC);
	else
		path = "standard input";
	if (fd < 0) {
		log_err("%s: %s", path, strerror(errno));
		return -errno;
	}
	s = session_create(c, -1, "recording", false);
	if (!s)
		return -ENOMEM;
	while (!ret && (n = read(fd, buf, sizeof(buf)))) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_err("%s: %s", path, strerror(errno));
			break;
		}
		ret = session_feed(s, buf, n);
	}
	damaged = ret || n < 0 || s->reader.fill || !s->received;
	session_end(s, "the recording ends here");
	if (damaged && before == c->nr_reports + c->nr_orphans) {
		log_err("%s: no snapshot could be read", path);
		c->nr_replays_damaged++;
	}
	return 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

/* Until when we wait for this one to go on; a guest that has nothing to send may be silent. */
static uint64_t patience(const struct session *s)
{
	if (s->draining)
		return s->drain_until_ms;
	if (!s->hello_done)
		return s->heard_ms + HELLO_MS;
	if (s->c->opts->silence > 0 && (s->snaps || s->announced))
		return s->heard_ms + (uint64_t)(s->c->opts->silence * 1000);
	return UINT64_MAX;
}

static int wait_ms(const struct collector *c, uint64_t now, uint64_t until)
{
	int64_t ms = earlier(orphan_next_ms(c, now), early_next_ms(c, now));

	if (until)
		ms = earlier(ms, until > now ? (int64_t)(until - now) : 0);
	for (struct session *s = c->sessions; s; s = s->next) {
		uint64_t end = patience(s);

		if (end != UINT64_MAX)
			ms = earlier(ms, end > now ? (int64_t)(end - now) : 0);
	}
	return ms > 60000 ? 60000 : (int)ms;
}

/* We may have been busy for long: what waits in the socket is no silence. */
static bool has_unread(const struct session *s)
{
	uint8_t byte;

	return recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

static void end_silent(struct collector *c, uint64_t now)
{
	struct session *s, *next;

	for (s = c->sessions; s; s = next) {
		next = s->next;
		if (patience(s) > now || (!s->draining && has_unread(s)))
			continue;
		if (!s->draining)
			log_warn("%s: silent for %llu s, its connection is ended", s->origin,
				 (unsigned long long)(now - s->heard_ms) / 1000);
		session_end(s, s->draining ? "it did not close" : "it was silent");
	}
}

/* --once: what the last answers need, no more. */
static void last_words(struct collector *c)
{
	uint64_t until = now_ms() + DRAIN_MS;
	uint8_t buf[64 * 1024];

	for (struct session *s = c->sessions; s; s = s->next) {
		session_flush(s);
		shutdown(s->fd, SHUT_WR);
	}
	while (c->sessions && now_ms() < until) {
		struct epoll_event ev;

		if (epoll_wait(c->epoll_fd, &ev, 1, until - now_ms()) <= 0)
			break;
		for (struct session *s = c->sessions, *next; s; s = next) {
			ssize_t n;

			next = s->next;
			n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
			if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
				session_end(s, "done");
		}
	}
}

/* Returns what asked us to stop: a signal number, or 0 for the time limit or --once. */
static int serve(struct collector *c, int signal_fd)
{
	uint64_t until = 0;

	if (c->opts->timeout > 0)
		until = now_ms() + (uint64_t)(c->opts->timeout * 1000);

	while (!(c->opts->once && c->once_done)) {
		struct epoll_event ev;
		uint64_t now = now_ms();
		int n;

		if (until && now >= until)
			return 0;
		/* One at a time: serving one may end another. */
		n = epoll_wait(c->epoll_fd, &ev, 1, wait_ms(c, now, until));
		now = now_ms();
		if (n == 1 && !ev.data.ptr) {
			struct signalfd_siginfo si;

			if (read(signal_fd, &si, sizeof(si)) != sizeof(si))
				continue;
			if (si.ssi_signo != SIGUSR1)
				return si.ssi_signo;
			sessions_take(c, NULL, NULL, NULL);
		} else if (n == 1 && !control_serve(c, ev.data.ptr)) {
			struct source *src = c->sources;

			while (src && src != ev.data.ptr)
				src = src->next;
			if (src)
				accept_guest(c, src);
			else
				serve_session(c, ev.data.ptr, ev.events);
		}
		end_silent(c, now);
		orphan_expire(c, now, false);
		early_expire(c, now, false);
		views_make(c);
	}
	return 0;
}

static int open_sources(struct collector *c)
{
	int err = 0;

	/* First: whoever sees that guests can connect may ask for them. */
	if (c->opts->control)
		err = control_open(c, c->opts->control);
	if (!err && c->opts->have_vsock)
		err = listen_vsock(c);
	for (unsigned int i = 0; !err && i < c->opts->nr_uds; i++)
		err = listen_uds(c, c->opts->uds[i]);
	return err;
}

static int exit_code(const struct collector *c, int sig, bool listening)
{
	if (c->failed)
		return EXIT_ERROR;
	/* What came beside it is not what was asked for. */
	if (c->nr_reports && !(c->opts->take && !c->once_done))
		return c->opts->fail_on_report && c->nr_failures ? EXIT_REPORT : EXIT_OK;
	if (c->nr_replays_damaged)
		return EXIT_ERROR;
	if (listening && !sig) {
		log_err("no report came within %g seconds", c->opts->timeout);
		return EXIT_TIMED_OUT;
	}
	if (!listening)
		log_info("the recording holds no snapshot");
	return EXIT_OK;
}

int collector_run(struct collector *c)
{
	_cleanup_close_ int signal_fd = -1;
	bool listening = c->opts->have_vsock || c->opts->nr_uds;
	sigset_t mask;
	int sig = 0;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGUSR1);
	signal(SIGPIPE, SIG_IGN);
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0) {
		log_err("epoll: %s", strerror(errno));
		return EXIT_ERROR;
	}
	/* Whoever sees a socket may end us: it is removed then. */
	sigprocmask(SIG_BLOCK, &mask, NULL);
	if (open_sources(c)) {
		control_close(c);
		close_sources(c);
		close(c->epoll_fd);
		return EXIT_ERROR;
	}
	if (collector_confine(c))
		c->failed = true;
	/* Reading, they simply end us; then they wait for the loop. */
	if (c->opts->nr_replay)
		sigprocmask(SIG_UNBLOCK, &mask, NULL);
	for (unsigned int i = 0; i < c->opts->nr_replay && !c->failed; i++)
		if (replay(c, c->opts->replay[i]))
			c->failed = true;
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (listening && !c->failed) {
		watch(c, EPOLL_CTL_ADD, signal_fd, NULL, EPOLLIN);
		sig = serve(c, signal_fd);
		if (sig)
			log_info("stopped by %s", sig == SIGINT ? "SIGINT" : "SIGTERM");
	}

	if (c->opts->once && c->once_done) {
		last_words(c);
		while (c->orphans) {
			struct snapshot *s = c->orphans;

			c->orphans = s->next;
			log_info("%s: snapshot %u is left to its guest (--once)", s->origin, s->number);
			snapshot_destroy(s);
		}
		for (struct session *s = c->sessions; s; s = s->next) {
			while (s->snaps) {
				struct snapshot *snap = s->snaps;

				s->snaps = snap->next;
				snapshot_destroy(snap);
			}
			s->announced = false;
		}
	}
	while (c->sessions)
		session_end(c->sessions, sig ? "the collector was stopped" : "the time was over");
	orphan_expire(c, 0, true);
	early_expire(c, 0, true);
	control_close(c);
	close_sources(c);
	close(c->epoll_fd);
	views_make(c);
	junit_write(c);
	written_free(c);
	return exit_code(c, sig, listening);
}
