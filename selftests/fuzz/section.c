// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rows of all tables, and what a report makes of them: the decoder, the getters, bulk data,
 * the nouns. Frames need not be whole ones; who ended what is the business of session.c.
 */
#include <errno.h>

#include "frame.h"
#include "log.h"
#include "mpcheck.h"
#include "report.h"
#include "schema.h"
#include "stream.h"

#define PREFIX 2	/* bytes before the stream */

enum { SMALL = 1, DUAL = 2, EARLY = 4, GUESS = 8, NO_CACHE = 16 };

bool __wrap_btf_hash_is(const uint8_t *hash, const uint8_t *data, size_t len);

bool __wrap_btf_hash_is(const uint8_t *hash, const uint8_t *data, size_t len)
{
	(void)data, (void)len;
	return hash[0] != 0xff;
}

/* What the check lets through the library must read, and find as much in it. */
static size_t count_objects(const msgpack_object *o)
{
	size_t n = 1;

	for (uint32_t i = 0; o->type == MSGPACK_OBJECT_ARRAY && i < o->via.array.size; i++)
		n += count_objects(&o->via.array.ptr[i]);
	return n;
}

static void check_decoder(const uint8_t *payload, size_t len)
{
	size_t objects, found = 0, off = 0;
	const char *why;
	msgpack_unpacked row;

	if (mpcheck(payload, len, KTD_ROW_MAX, &objects, &why))
		return;
	msgpack_unpacked_init(&row);
	while (off < len) {
		must(msgpack_unpack_next(&row, (const char *)payload, len, &off) > 0);
		must(row.data.type == MSGPACK_OBJECT_ARRAY);
		found += count_objects(&row.data);
	}
	msgpack_unpacked_destroy(&row);
	must(found == objects);
}

static struct snapshot *new_snapshot(unsigned int flags, uint32_t number)
{
	struct snapshot *s = snapshot_create("fuzz", "0123", number, flags & SMALL ? 1 << 14 : 1 << 22);

	must(s);
	s->spool_dir = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	s->max_disk = flags & SMALL ? 1 << 14 : 1 << 20;
	s->guess_types = flags & GUESS;
	return s;
}

/* Every frame into its snapshot: those with an odd number make the late one. */
static void feed(struct snapshot *late, struct snapshot *early, struct in in)
{
	while (in.left >= FRAME_HDR_LEN) {
		struct ktd_frame_hdr h;
		struct snapshot *s;
		size_t len = FRAME_HDR_LEN;
		const char *why = NULL;

		memcpy(&h, in_bytes(&in, &len), FRAME_HDR_LEN);
		len = h.len < KTD_FRAME_MAX_PAYLOAD ? h.len : KTD_FRAME_MAX_PAYLOAD;
		_cleanup_free_ uint8_t *payload = in_copy(&in, &len);

		check_decoder(payload, len);
		s = early && !(h.snapshot & 1) ? early : late;
		if (snapshot_add(s, h.table, payload, len, &why))
			continue;
		/* A guest is asked for its BTF one by one. */
		for (size_t i = 0; h.type == KTD_FRAME_OFFER && i < 8; i++)
			snapshot_btf(s, i);
		if (h.type == KTD_FRAME_END)
			snapshot_end(s);
	}
}

/* Whatever a guest says, ktstr can read the report. */
static void check_report(const char *json, size_t len)
{
	struct problems p = { .out = stderr, .file = "report" };
	const struct place at = {};
	yyjson_doc *doc = yyjson_read(json, len, 0);

	must(doc);
	must(!schema_check(SCHEMA_REPORT, NULL, yyjson_doc_get_root(doc), &at, &p));
	must(!p.nr);
	yyjson_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = { data, size };
	unsigned int flags = in_num(&in, PREFIX);
	_cleanup_snapshot_ struct snapshot *late = new_snapshot(flags, 1);
	_cleanup_snapshot_ struct snapshot *early = flags & EARLY ? new_snapshot(flags, 2) : NULL;
	const struct report_form form = { early, flags & DUAL };
	struct report_summary summary;
	_cleanup_free_ char *json = NULL;
	size_t len = 0;
	FILE *f;

	feed(late, early, in);
	f = open_memstream(&json, &len);
	must(f);
	must(!report_write(late, &form, f, &summary));
	fclose(f);
	must(summary.headline && summary.report);
	report_summary_deinit(&summary);
	check_report(json, len);
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	log_level = LOG_ERR_ONLY;
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	return stream_mutate(data, size, max, PREFIX, seed);
}
