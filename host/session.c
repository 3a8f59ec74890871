// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"
#include "session.h"

/* With the first bytes: who only connects leaves no file behind. */
static void open_record(struct session *s)
{
	_cleanup_free_ char *name = NULL;
	const char *path = s->c->opts->record;

	if (!path || s->received)
		return;
	if (s->c->nr_records == s->c->opts->max_reports) {
		log_warn("%u connections were recorded, no more are (--max-reports)", s->c->nr_records);
		return;
	}
	if (++s->c->nr_records == 1)
		name = strdup(path);
	else if (asprintf(&name, "%s-%u", path, s->c->nr_records) < 0)
		name = NULL;
	if (!name)
		return;
	s->record_fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (s->record_fd < 0)
		log_warn("cannot record to %s: %s", name, strerror(errno));
}

/* Recording is a help, not the job: after an error the session goes on without. */
static void record(struct session *s, const uint8_t *data, size_t len)
{
	const struct options *o = s->c->opts;

	open_record(s);
	/* One snapshot has room in it, and whatever belongs to it. */
	if (s->record_fd >= 0 && s->received + len > o->max_bytes + o->max_disk) {
		log_warn("recording stopped: more than --max-bytes and --max-disk together");
		close(s->record_fd);
		s->record_fd = -1;
	}
	while (s->record_fd >= 0 && len) {
		ssize_t n = write(s->record_fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_warn("recording stopped: %s", strerror(errno));
			close(s->record_fd);
			s->record_fd = -1;
			return;
		}
		data += n;
		len -= n;
	}
}

struct session *session_create(struct collector *c, int fd, const char *origin, bool answers)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->origin = strdup(origin);
	if (!s->origin) {
		free(s);
		return NULL;
	}
	s->c = c;
	s->fd = fd;
	s->answers = answers;
	s->record_fd = -1;
	s->heard_ms = now_ms();
	frame_reader_init(&s->reader);
	s->next = c->sessions;
	c->sessions = s;
	c->nr_sessions++;
	return s;
}

bool session_wants_write(const struct session *s)
{
	return s->out_sent < s->out_len;
}

int session_flush(struct session *s)
{
	while (session_wants_write(s)) {
		ssize_t n = send(s->fd, (uint8_t *)s->out + s->out_sent, s->out_len - s->out_sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return -errno;
		s->out_sent += n;
	}
	s->out_len = s->out_sent = 0;
	return 0;
}

static int queue_answer(struct session *s, uint8_t type, uint16_t table, uint32_t snapshot)
{
	if (!s->answers)
		return 0;
	if (s->out_len + sizeof(s->out[0]) > sizeof(s->out)) {
		log_warn("%s: does not read what it is sent", s->origin);
		return -ENOBUFS;
	}
	frame_fill_header(&s->out[s->out_len / sizeof(s->out[0])], type, table, s->out_seq++,
			  snapshot);
	s->out_len += sizeof(s->out[0]);
	return 0;
}

static int answer(struct session *s, uint8_t type, uint32_t snapshot)
{
	int err = queue_answer(s, type, 0, snapshot);

	return err || !s->answers ? err : session_flush(s);
}

static struct snapshot *new_snapshot(struct session *s, uint32_t number)
{
	const struct options *o = s->c->opts;
	struct snapshot *snap = snapshot_create(s->origin, s->boot_id, number, o->max_bytes);

	if (!snap)
		return NULL;
	snap->spool_dir = o->spool_dir;
	snap->max_disk = o->max_disk;
	snap->cache = s->c->btf_cache;
	snap->sched_obj = s->c->sched_obj;
	snap->guess_types = o->guess_types;
	return snap;
}

static void unlink_snapshot(struct session *s, struct snapshot *snap)
{
	for (struct snapshot **p = &s->snaps; *p; p = &(*p)->next) {
		if (*p == snap) {
			*p = snap->next;
			snap->next = NULL;
			s->nr_snaps--;
			return;
		}
	}
}

static void __printf(2, 3) fail(struct session *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(s->reader.why, sizeof(s->reader.why), "frame %u: ", s->reader.next_seq - 1);
	va_start(ap, fmt);
	vsnprintf(s->reader.why + n, sizeof(s->reader.why) - n, fmt, ap);
	va_end(ap);
	s->reader.error = -EBADMSG;
}

static int on_hello(struct session *s, const struct frame *f)
{
	_cleanup_snapshot_ struct snapshot *tmp = NULL;
	const char *why = NULL, *str;
	const struct table *t;
	row_t row;
	uint64_t load;
	size_t len;
	int err;

	if (s->hello_done) {
		fail(s, "a second hello");
		return -EBADMSG;
	}
	/* The tables of a throw-away snapshot are the quickest way to read it. */
	tmp = snapshot_create(s->origin, "", 0, 1 << 20);
	s->hello = malloc(f->len ? f->len : 1);
	if (!tmp || !s->hello)
		return -ENOMEM;
	err = snapshot_add(tmp, KTD_TBL_HELLO, f->payload, f->len, &why);
	if (err) {
		fail(s, "hello: %s", why ? why : strerror(-err));
		return err;
	}
	memcpy(s->hello, f->payload, f->len);
	s->hello_len = f->len;
	t = &tmp->tables[KTD_TBL_HELLO];
	row = snapshot_single(tmp, KTD_TBL_HELLO);
	if (row && !row_str(t, row, KTD_HELLO_BOOT_ID, &str, &len))
		/* numbers start anew with every load of the module */
		snprintf(s->boot_id, sizeof(s->boot_id), "%.*s.%llx", (int)(len < 40 ? len : 40), str,
			 (unsigned long long)(row_u64(t, row, KTD_HELLO_LOAD_NS, &load) ? 0 : load));
	s->announced = row && row_u64_or(t, row, KTD_HELLO_PENDING, 0);
	s->hello_done = true;
	early_guest(s->c, s->origin, s->boot_id, true);
	log_debug("%s: guest says hello, boot %s", s->origin, s->boot_id);
	err = answer(s, KTD_FRAME_HELLO, 0);
	if (err || !s->c->opts->take || !s->answers)
		return err;
	/* A guest that comes back with something was asked before its connection broke. */
	if (s->c->taking && s->announced)
		return 0;
	s->c->taking = true;
	return answer(s, KTD_FRAME_TAKE, 0);
}

/* The guest sends it anew, so another connection that had it is a dead one. */
static void drop_elsewhere(struct session *s, uint32_t number)
{
	for (struct session *o = s->c->sessions; o; o = o->next) {
		struct snapshot *snap, *next;

		if (strcmp(o->origin, s->origin) || strcmp(o->boot_id, s->boot_id))
			continue;
		for (snap = o->snaps; snap; snap = next) {
			next = snap->next;
			if (snap->number == number) {
				unlink_snapshot(o, snap);
				snapshot_destroy(snap);
			}
		}
	}
	orphan_supersede(s->c, s->origin, s->boot_id, number);
}

static struct snapshot *find_snapshot(struct session *s, uint32_t number)
{
	struct snapshot *snap = s->snaps;

	while (snap && snap->number != number)
		snap = snap->next;
	return snap;
}

/* What snapshots take: all of them, and those of one guest. */
struct use {
	const char *guest;
	uint64_t memory, own_memory, disk, own_disk;
};

static void count_use(struct use *u, const struct snapshot *snap)
{
	for (; snap; snap = snap->next) {
		uint64_t memory = snapshot_memory(snap), disk = bulk_size(snap->bulk);
		bool own = !strcmp(snap->origin, u->guest);

		u->memory += memory;
		u->disk += disk;
		u->own_memory += own ? memory : 0;
		u->own_disk += own ? disk : 0;
	}
}

/*
 * A guest may have as much as is left free: so there is something left for the next one,
 * whatever the others do.
 */
static bool has_its_share(uint64_t own, uint64_t all, uint64_t max)
{
	max = max > UINT64_MAX / MAX_BYTES_FACTOR ? UINT64_MAX : max * MAX_BYTES_FACTOR;
	return all >= max || own >= max - all;
}

static int add(struct session *s, struct snapshot *snap, uint16_t table, const struct frame *f)
{
	struct use u = { .guest = s->origin };
	const char *why = NULL;
	int err;

	/* Many connections must not get what one may not have. */
	for (struct session *o = s->c->sessions; o; o = o->next) {
		u.memory += o->kept.memory;
		if (!strcmp(o->origin, s->origin))
			u.own_memory += o->kept.memory;
		count_use(&u, o->snaps);
	}
	count_use(&u, s->c->orphans);
	count_use(&u, s->c->earlies);
	if (has_its_share(u.own_memory, u.memory, s->c->opts->max_bytes))
		snap->max_memory = snap->memory;
	if (snap->max_disk && has_its_share(u.own_disk, u.disk, snap->max_disk))
		snap->disk_full = true;
	err = snapshot_add(snap, table, f->payload, f->len, &why);
	if (err)
		fail(s, "%s", why ? why : strerror(-err));
	return err;
}

static int on_begin(struct session *s, const struct frame *f)
{
	_cleanup_snapshot_ struct snapshot *snap = NULL;
	struct written *w;
	const char *why;
	int err;

	s->announced = false;
	if (f->snapshot > s->last_begun)
		s->last_begun = f->snapshot;
	drop_elsewhere(s, f->snapshot);
	if (!f->snapshot || s->nr_snaps == MAX_IN_PROGRESS) {
		fail(s, f->snapshot ? "too many snapshots at once" : "a snapshot without number");
		return -EBADMSG;
	}
	snap = new_snapshot(s, f->snapshot);
	if (!snap)
		return -ENOMEM;
	w = written_find(s->c, snap);
	snap->known = w && w->complete;
	err = snapshot_add(snap, KTD_TBL_HELLO, s->hello, s->hello_len, &why);
	if (err)
		return err;
	log_info("%s: snapshot %u of boot %.8s%s", s->origin, f->snapshot, s->boot_id,
		 snap->known ? " again" : "");
	snap->begun_ms = now_ms();
	err = add(s, snap, KTD_TBL_BEGIN, f);
	snap->next = s->snaps;
	s->snaps = snap;
	s->nr_snaps++;
	snap = NULL;
	return err;
}

/*
 * What the guest need not send is not asked for. A recording is to be complete, so that
 * what is made from it does not depend on what a cache has.
 */
static int on_offer(struct session *s, struct snapshot *snap)
{
	size_t nr = snap->known ? 0 : snap->tables[KTD_TBL_BTF].nr_rows;
	int err = 0;

	for (size_t i = 0; i < nr && i <= UINT16_MAX && !err; i++) {
		struct blob *blob = snapshot_btf(snap, i);

		if (!blob || blob->wanted || blob->whole || blob->error)
			continue;
		if (blob_from_blobs(blob, &s->kept) ||
		    (s->fd >= 0 && s->record_fd < 0 && blob_from_cache(blob, snap->cache)))
			continue;
		blob->wanted = true;
		err = queue_answer(s, KTD_FRAME_WANT, i, snap->number);
	}
	return err ? err : answer(s, KTD_FRAME_GO, snap->number);
}

static int on_end(struct session *s, struct snapshot *snap, const struct frame *f)
{
	uint32_t number = snap->number;
	bool early, asked;
	int err;

	if (!snap->known) {
		err = add(s, snap, KTD_TBL_END, f);
		if (err)
			return err;
		snapshot_end(snap);
		log_debug("%s: snapshot %u: %" PRIu64 " bytes in %" PRIu64 " ms", s->origin,
			  number, snap->bytes, now_ms() - snap->begun_ms);
		err = output_write(s->c, snap);
		if (err)	/* no ACK: the guest keeps it and tries again */
			return err;
	}
	/* A live guest without recording is served by the cache. */
	if (s->fd < 0 || s->record_fd >= 0 || !s->c->btf_cache)
		blobs_keep(&s->kept, &snap->blobs);
	unlink_snapshot(s, snap);
	early = snapshot_is(snap, "early");
	asked = snapshot_was_asked(snap);
	if (early && !snap->known)
		early_hold(s->c, snap);
	else
		snapshot_destroy(snap);
	err = answer(s, KTD_FRAME_ACK, number);
	s->c->once_done |= s->c->opts->take ? asked : !early;
	return err;
}

static int on_frame(struct session *s, const struct frame *f)
{
	struct snapshot *snap;

	if (f->type == KTD_FRAME_HELLO)
		return on_hello(s, f);
	if (!s->hello_done) {
		fail(s, "the guest did not say hello");
		return -EPROTO;
	}
	if (f->type == KTD_FRAME_BEGIN)
		return on_begin(s, f);
	if (f->type != KTD_FRAME_ROWS && f->type != KTD_FRAME_END && f->type != KTD_FRAME_OFFER) {
		log_debug("%s: frame of unknown type %u skipped", s->origin, f->type);
		return 0;
	}
	snap = find_snapshot(s, f->snapshot);
	if (!snap) {
		fail(s, "snapshot %u has not begun", f->snapshot);
		return -EPROTO;
	}
	if (f->type == KTD_FRAME_END)
		return on_end(s, snap, f);
	if (f->type == KTD_FRAME_OFFER)
		return on_offer(s, snap);
	return snap->known ? 0 : add(s, snap, f->table, f);
}

/* Recorded streams may stand one behind the other in a file. */
static bool next_recording(struct session *s, const uint8_t *data, size_t len)
{
	struct ktd_frame_hdr h;

	if (s->fd >= 0 || !s->hello_done || s->reader.fill || len < sizeof(h))
		return false;
	memcpy(&h, data, sizeof(h));
	return h.type == KTD_FRAME_HELLO && !h.seq;
}

static void forget_connection(struct session *s, const char *why)
{
	char tail[sizeof(s->reader.why)];
	struct snapshot *snap;

	frame_reader_tail(&s->reader, tail, sizeof(tail));
	if (!tail[0] && (s->snaps || s->announced)) {
		/* A recording tells where it ends, but not why: the report says no more. */
		snprintf(tail, sizeof(tail), "frame %u at byte %llu: the stream ends here",
			 s->reader.next_seq, (unsigned long long)s->reader.offset);
		log_info("%s: %s", s->origin, why);
	}
	if (s->announced || (s->hello_done && s->reader.error &&
			     frame_reader_peek_type(&s->reader) == KTD_FRAME_BEGIN)) {
		snap = new_snapshot(s, 0);
		if (snap && s->hello) {
			const char *ignored;

			snapshot_add(snap, KTD_TBL_HELLO, s->hello, s->hello_len, &ignored);
		}
		if (snap) {
			snapshot_why(snap, "%s", tail);
			orphan_add(s->c, snap);
		}
	}
	while ((snap = s->snaps)) {
		unlink_snapshot(s, snap);
		snapshot_why(snap, "%s", tail);
		if (snap->known)
			snapshot_destroy(snap);
		else
			orphan_add(s->c, snap);
	}
	if (s->hello_done)
		early_guest(s->c, s->origin, s->boot_id, false);
	if (s->reader.error)
		log_warn("%s: %s", s->origin, tail);
	free(s->hello);
	s->hello = NULL;
	blobs_deinit(&s->kept);
	s->hello_done = s->announced = false;
	frame_reader_init(&s->reader);
}

int session_feed(struct session *s, const uint8_t *data, size_t len)
{
	int ret;

	record(s, data, len);
	s->received += len;
	while (len) {
		struct frame f;

		if (next_recording(s, data, len))
			forget_connection(s, "the connection ended");
		ret = frame_reader_next(&s->reader, &data, &len, &f);
		if (ret == -EPROTONOSUPPORT && !s->hello_done)
			answer(s, KTD_FRAME_REFUSE, 0);
		if (ret < 0)
			return ret;
		if (!ret)
			break;
		s->heard_ms = now_ms();
		ret = on_frame(s, &f);
		if (ret)
			return ret;
	}
	if (s->snaps)
		log_progress("snapshot %u: %.1f MiB", s->snaps->number,
			     s->received / (1024.0 * 1024.0));
	return 0;
}

void session_end(struct session *s, const char *why)
{
	struct collector *c = s->c;

	forget_connection(s, why);
	for (struct session **p = &c->sessions; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			break;
		}
	}
	c->nr_sessions--;
	log_debug("%s: connection closed: %s", s->origin, why);
	if (s->fd >= 0)
		close(s->fd);
	if (s->record_fd >= 0)
		close(s->record_fd);
	free(s->origin);
	free(s);
}

/* As a person calls it: "5" for "vsock cid 5", "v" or "v_19284" for "unix v_19284". */
static bool is_guest(const struct session *s, const char *name)
{
	const char *path = strncmp(s->origin, "unix ", 5) ? "" : s->origin + 5;
	size_t len = strlen(name);

	if (!strncmp(s->origin, "vsock cid ", 10))
		return !strcmp(s->origin + 10, name);
	return !strncmp(path, name, len) &&
	       (!path[len] || (path[len] == '_' && !strchr(path + len, '/')));
}

void sessions_take(struct collector *c, const char *guest,
		   void (*asked)(void *ctx, const struct session *s), void *ctx)
{
	unsigned int nr = 0;

	for (struct session *s = c->sessions; s; s = s->next) {
		if (!s->hello_done || !s->answers || s->draining || (guest && !is_guest(s, guest)))
			continue;
		/* One that cannot be sent to is noticed when it is read. */
		if (answer(s, KTD_FRAME_TAKE, 0))
			continue;
		nr++;
		if (asked)
			asked(ctx, s);
	}
	log_info("asked %u guest%s for a snapshot", nr, nr == 1 ? "" : "s");
}
