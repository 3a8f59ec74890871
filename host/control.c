// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "control.h"
#include "log.h"
#include "session.h"

#define MAX_CLIENTS 16
#define MAX_WAITS 256	/* guests that one client waits for */

/* A guest that was asked. */
struct wait {
	char *origin, *boot_id;
	uint32_t after;		/* what it began before does not count */
	bool over;
};

struct client {
	struct client *next;
	int fd;
	char line[CONTROL_LINE_MAX];
	size_t fill;
	bool asked;
	struct wait waits[MAX_WAITS];
	unsigned int nr_waits, nr_left;
};

struct control {
	int fd;
	char *path;
	struct client *clients;
	unsigned int nr_clients;
};

int control_open(struct collector *c, const char *path)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	mode_t mask;

	if (!ctl)
		return -ENOMEM;
	/* Whoever may connect gets to know of reports and may stop the guests for a moment. */
	mask = umask(0177);
	ctl->fd = listen_unix(path);
	umask(mask);
	if (ctl->fd < 0) {
		int err = ctl->fd;

		free(ctl);
		return err;
	}
	ctl->path = strdup(path);
	c->control = ctl;
	return ctl->path ? collector_watch(c, ctl->fd, ctl) : -ENOMEM;
}

static void drop(struct control *ctl, struct client *cl)
{
	for (struct client **p = &ctl->clients; *p; p = &(*p)->next) {
		if (*p == cl) {
			*p = cl->next;
			break;
		}
	}
	for (unsigned int i = 0; i < cl->nr_waits; i++) {
		free(cl->waits[i].origin);
		free(cl->waits[i].boot_id);
	}
	close(cl->fd);
	free(cl);
	ctl->nr_clients--;
}

void control_close(struct collector *c)
{
	struct control *ctl = c->control;

	if (!ctl)
		return;
	while (ctl->clients)
		drop(ctl, ctl->clients);
	close(ctl->fd);
	if (ctl->path)
		unlink(ctl->path);
	free(ctl->path);
	free(ctl);
	c->control = NULL;
}

/* A few lines fit into the socket; who does not read them is not waited for. */
static void __printf(2, 3) say(struct client *cl, const char *fmt, ...)
{
	char buf[CONTROL_LINE_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf) - 1, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(buf) - 1)
		return;
	buf[n++] = '\n';
	if (send(cl->fd, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
		log_debug("control: an answer was not taken");
}

static void note_asked(void *ctx, const struct session *s)
{
	struct client *cl = ctx;
	struct wait *w = &cl->waits[cl->nr_waits];

	/* A connection that is dead without knowing it stands beside the new one. */
	for (unsigned int i = 0; i < cl->nr_waits; i++)
		if (!strcmp(cl->waits[i].origin, s->origin) &&
		    !strcmp(cl->waits[i].boot_id, s->boot_id))
			return;
	if (cl->nr_waits == MAX_WAITS)
		return;
	*w = (struct wait){ strdup(s->origin), strdup(s->boot_id), s->last_begun, false };
	if (!w->origin || !w->boot_id) {
		free(w->origin);
		free(w->boot_id);
		return;
	}
	cl->nr_waits++;
	cl->nr_left++;
}

/* False when it is to be dropped. */
static bool obey(struct collector *c, struct client *cl, const char *line)
{
	static const char word[] = "snapshot";
	size_t len = strlen(word);

	if (cl->asked || strncmp(line, word, len) || (line[len] && line[len] != ' ')) {
		say(cl, "error what is that?");
		return false;
	}
	cl->asked = true;
	sessions_take(c, line[len] ? line + len + 1 : NULL, note_asked, cl);
	if (!cl->nr_waits) {
		say(cl, "error no such guest is connected");
		return false;
	}
	say(cl, "asked %u", cl->nr_waits);
	return true;
}

/* False when it is to be dropped. */
static bool serve(struct collector *c, struct client *cl)
{
	ssize_t n = recv(cl->fd, cl->line + cl->fill, sizeof(cl->line) - 1 - cl->fill, MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	cl->fill += n;
	cl->line[cl->fill] = '\0';
	end = strchr(cl->line, '\n');
	if (!end)
		return cl->fill < sizeof(cl->line) - 1 && strlen(cl->line) == cl->fill;
	*end = '\0';
	cl->fill = 0;
	return obey(c, cl, cl->line);
}

static void accept_client(struct collector *c)
{
	struct control *ctl = c->control;
	int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *cl;

	if (fd < 0)
		return;
	cl = ctl->nr_clients < MAX_CLIENTS ? calloc(1, sizeof(*cl)) : NULL;
	if (!cl) {
		log_warn("control: too many connections, one was turned away");
		close(fd);
		return;
	}
	cl->fd = fd;
	cl->next = ctl->clients;
	ctl->clients = cl;
	ctl->nr_clients++;
	if (collector_watch(c, fd, cl))
		drop(ctl, cl);
}

bool control_serve(struct collector *c, void *what)
{
	struct control *ctl = c->control;
	struct client *cl = ctl ? ctl->clients : NULL;

	if (ctl && what == ctl) {
		accept_client(c);
		return true;
	}
	while (cl && cl != what)
		cl = cl->next;
	if (cl && !serve(c, cl))
		drop(ctl, cl);
	return cl;
}

void control_report(struct collector *c, const struct snapshot *s, const char *path)
{
	struct control *ctl = c->control;
	char full[PATH_MAX];
	struct client *next;

	if (!ctl || !snapshot_was_asked(s))
		return;
	/* Who asks stands elsewhere. */
	if (!realpath(path, full))
		snprintf(full, sizeof(full), "%s", path);
	for (struct client *cl = ctl->clients; cl; cl = next) {
		next = cl->next;
		for (unsigned int i = 0; i < cl->nr_waits; i++) {
			struct wait *w = &cl->waits[i];

			if (w->over || s->number <= w->after || strcmp(w->origin, s->origin) ||
			    strcmp(w->boot_id, s->boot_id))
				continue;
			w->over = true;
			cl->nr_left--;
			say(cl, "report %s", full);
		}
		if (!cl->asked || cl->nr_left)
			continue;
		say(cl, "done");
		drop(ctl, cl);
	}
}
