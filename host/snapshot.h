/* SPDX-License-Identifier: GPL-2.0-only */
/* All tables of one snapshot, while it arrives and after. */
#ifndef KTC_SNAPSHOT_H
#define KTC_SNAPSHOT_H

#include "blob.h"
#include "bulk.h"
#include "table.h"
#include "wire.h"

#define SNAPSHOT_MAX_UNKNOWN 32		/* unknown names remembered */

struct snapshot {
	struct snapshot *next;
	char *origin;			/* where it came from, for people */
	char *boot_id;			/* "" when the guest sent none */
	uint32_t number;		/* 0: announced only, its BEGIN never came */
	struct table tables[KTD_TBL_MAX];
	msgpack_zone *zone;

	/* For the contents of maps; what is not set has a default. */
	const char *spool_dir;
	uint64_t max_disk;		/* 0: no limit */
	struct btf_cache *cache;
	const struct sched_obj *sched_obj;	/* --sched-obj, NULL none */
	bool guess_types;
	struct bulk *bulk;		/* MEM and RECORD rows; NULL before the first */
	struct blobs blobs;		/* BTF */
	size_t nr_announced;		/* BTF rows that blobs knows about */
	msgpack_zone *scratch;		/* rows that do not stay */

	uint64_t rows, bytes;		/* as END counts them: BEGIN and ROWS frames */
	uint64_t memory, max_memory;	/* of the zone */
	bool ended;			/* END arrived */
	bool full;			/* max_memory reached, the rest was left out */
	bool disk_full;			/* the same of what goes into the file */
	bool known;			/* was written before: only acknowledge it again */
	bool joined;			/* early, and in a dual report whose late part broke off */
	char why[256];			/* why it is not complete, "" when it is */

	uint16_t unknown_ids[SNAPSHOT_MAX_UNKNOWN];	/* tables, the first of them */
	uint64_t unknown_tables, unknown_frames, unknown_columns;
	char *unknown_names[SNAPSHOT_MAX_UNKNOWN];
	unsigned int nr_unknown_names;

	uint64_t begun_ms;		/* when BEGIN came */
	uint64_t deadline_ms;		/* when to give up waiting for a reconnection */
};

struct snapshot *snapshot_create(const char *origin, const char *boot_id, uint32_t number,
				 uint64_t max_memory);
void snapshot_destroy(struct snapshot *s);
static inline void snapshot_destroy_p(struct snapshot **s)
{
	snapshot_destroy(*s);
}
#define _cleanup_snapshot_ _cleanup_(snapshot_destroy_p)

/* Bytes that it takes, the zone, BTF and the index of the file. */
uint64_t snapshot_memory(const struct snapshot *s);

/*
 * Take the rows of one frame. 0 also when rows were left out for want of room
 * (s->full). -EBADMSG with *why_ret when the payload is not what it must be,
 * -ENOMEM.
 */
int snapshot_add(struct snapshot *s, uint16_t table, const void *payload, size_t len,
		 const char **why_ret);

/*
 * The BTF of row nr: NULL when that row has no hash, or is one too many. It may be there
 * already, in whole or in part.
 */
struct blob *snapshot_btf(struct snapshot *s, size_t nr);

/* After END: compare its totals with what came. Sets s->ended, and s->why if they differ. */
void snapshot_end(struct snapshot *s);

/* Note why the snapshot is incomplete; the first reason stays. */
void snapshot_why(struct snapshot *s, const char *fmt, ...) __printf(2, 3);

static inline bool snapshot_complete(const struct snapshot *s)
{
	return s->ended && !s->why[0];
}

/* Anything beside the trigger? */
bool snapshot_has_data(const struct snapshot *s);

/* What set it off, as BEGIN has it: "exit", "early" or "demand". */
bool snapshot_is(const struct snapshot *s, const char *trigger);
/* The guest took it because the collector wanted it (TAKE). */
bool snapshot_was_asked(const struct snapshot *s);
/* Number of the early snapshot of the exit that this one shows, 0 none. */
uint32_t snapshot_early(const struct snapshot *s);

/* The single row of a table that has one, or NULL. */
row_t snapshot_single(const struct snapshot *s, enum ktd_table_id id);

#endif
