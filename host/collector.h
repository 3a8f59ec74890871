/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of one run of ktcollect, and what its parts say to each other. */
#ifndef KTC_COLLECTOR_H
#define KTC_COLLECTOR_H

#include "snapshot.h"
#include "util.h"

/* With a socket and a file of map contents for each 1024 descriptors are enough. */
#define MAX_SESSIONS		384	/* connections at once */
#define MAX_SESSIONS_PER_SOURCE	288	/* all guests of AF_VSOCK are one source */
#define MAX_IN_PROGRESS		4	/* unfinished snapshots per connection */
#define MAX_BYTES_FACTOR	4	/* all snapshots in progress: times --max-bytes */
#define MAX_ORPHANS		64	/* unfinished snapshots without connection */
#define MAX_EARLIES		16	/* early snapshots that wait for their late one */

enum exit_code {
	EXIT_OK = 0,
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_REPORT = 3,	/* --fail-on-report and there was one of a failure */
	EXIT_TIMED_OUT = 124,
};

struct options {
	bool have_vsock;
	uint32_t vsock_cid;	/* VMADDR_CID_ANY admits every guest */
	uint32_t port;
	const char **uds;
	unsigned int nr_uds;
	const char **replay;
	unsigned int nr_replay;
	const char *record;
	const char *output;
	uint64_t max_bytes, max_disk;	/* for one snapshot */
	const char *spool_dir;		/* for what is too much to be kept in memory */
	const char *btf_cache;		/* NULL: default; "none" */
	const char *sched_obj;		/* NULL none */
	bool guess_types;
	unsigned int max_reports;
	double grace, timeout;	/* seconds; timeout 0: none */
	const char *junit;	/* NULL none */
	bool once, fail_on_report, text, dual;
	bool show, html, trace;	/* views beside each report */
	bool take;		/* ask every guest for a snapshot, once means: until one has come */
	const char *control;	/* control socket, NULL none */
};

/* A report that was written; remembered so that none is written twice. */
struct written {
	struct written *next;
	char *origin, *boot_id;
	uint32_t number;
	bool complete;
	char *path;
	char *failure, *text;	/* of a scheduler that died: headline and summary; else NULL */
	bool due;		/* its views are to be made */
};

struct source;
struct session;

struct collector {
	const struct options *opts;
	int epoll_fd;
	struct source *sources;
	struct session *sessions;
	unsigned int nr_sessions, nr_records, nr_replays_damaged;
	struct snapshot *orphans;	/* wait for their guest to come back */
	unsigned int nr_orphans;
	struct snapshot *earlies;	/* written, but wait for their late one */
	unsigned int nr_earlies;
	struct written *written;
	struct btf_cache *btf_cache;
	struct sched_obj *sched_obj;
	struct control *control;	/* NULL none */
	unsigned int nr_reports;	/* files on disk, replaced ones once */
	unsigned int nr_complete, nr_failures;	/* of these: of schedulers that died */
	bool taking;			/* a guest was asked (take) */
	bool once_done;
	bool failed;			/* some report could not be written */
};

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t now_ms(void);

/* session.c */
/*
 * The session takes fd over (-1 for a replay) and is itself owned by the collector
 * until session_end(). NULL without memory; fd is then still the caller's.
 */
struct session *session_create(struct collector *c, struct source *src, int fd,
			       const char *origin, bool answers);
/* Bytes from the peer. Not 0 (negative errno): the session is to be ended. */
int session_feed(struct session *s, const uint8_t *data, size_t len);
/* Send what waits to be sent, without blocking. 0, also when some is left; else -errno. */
int session_flush(struct session *s);
bool session_wants_write(const struct session *s);
/* Lets unfinished snapshots wait for a reconnection and frees the session. */
void session_end(struct session *s, const char *why);
/*
 * Ask every guest that is connected, or the one with this CID or Unix socket, for a
 * snapshot. asked, where it is not NULL, hears of each of them.
 */
void sessions_take(struct collector *c, const char *guest,
		   void (*asked)(void *ctx, const struct session *s), void *ctx);

/* orphan.c */
/* Takes the snapshot over. */
void orphan_add(struct collector *c, struct snapshot *s);
/* The guest sends this snapshot (again): what waited is superseded. */
void orphan_supersede(struct collector *c, const char *origin, const char *boot_id,
		      uint32_t number);
/* Write those whose time is over, or all. */
void orphan_expire(struct collector *c, uint64_t now, bool all);
/* Milliseconds until the next one is due, -1 when none waits. */
int64_t orphan_next_ms(const struct collector *c, uint64_t now);

/* early.c */
/*
 * An early snapshot that is safe on disk as a report of its own: it waits for the one of
 * the exit, to be written again as a part of that. Takes the snapshot over.
 */
void early_hold(struct collector *c, struct snapshot *s);
/* The one that belongs to this exit, NULL when it is not here. */
struct snapshot *early_find(const struct collector *c, const struct snapshot *exit);
/* It has become part of a complete report. */
void early_drop(struct collector *c, struct snapshot *s);
/* The guest's connection ended, or is there again: how long its early ones wait. */
void early_guest(struct collector *c, const char *origin, const char *boot_id, bool there);
/* Those whose time is over, or all, stay reports of their own. */
void early_expire(struct collector *c, uint64_t now, bool all);
/* Milliseconds until the next one is due, -1 when none is. */
int64_t early_next_ms(const struct collector *c, uint64_t now);

/* output.c */
bool is_directory(const char *path);
/* What was written of this snapshot, or its guest's placeholder; NULL for nothing. */
struct written *written_find(struct collector *c, const struct snapshot *s);
/*
 * Make the report, put it on disk, announce it. 0 when it is safe there; else -errno,
 * c->failed is set unless it was one report too many (-EDQUOT).
 */
int output_write(struct collector *c, struct snapshot *s);
/* An early report is announced only when no late one will come. */
void output_early_alone(struct collector *c, const struct snapshot *s);
void written_free(struct collector *c);

/* beside.c */
/* Makes the views that are due; after the guest has its answer, they may take a while. */
void views_make(struct collector *c);
/* Writes --junit anew, with all that is known so far. */
void junit_write(struct collector *c);

/* ktcollect.c */
struct options options_default(void);
/* Values of options; false when they are wrong. */
bool parse_cid(const char *s, struct options *o);
bool parse_port(const char *s, struct options *o);
bool parse_seconds(const char *s, double *ret);
/* One run with these options. The exit status. */
int collect(struct options *o);

/* listen.c */
/*
 * A listening socket at this path, in place of one that nobody listens on. The caller's
 * to close and unlink; -errno with a line on stderr.
 */
int listen_unix(const char *path);
/* Have the loop say when that descriptor can be read. 0 or -errno. */
int collector_watch(struct collector *c, int fd, void *what);
/* Serves all sources until it is time to stop. The exit status. */
int collector_run(struct collector *c);

#endif
