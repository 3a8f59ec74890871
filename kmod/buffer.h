/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finished snapshots, oldest first, in one preallocated ring. The leader of a
 * freeze writes at the head, the sender thread frees at the tail; each side
 * owns its own index, so there is no lock.
 */
#ifndef KTD_BUFFER_H
#define KTD_BUFFER_H

#include "freeze.h"
#include "table.h"

#define KTD_SNAPSHOTS_MAX	64		/* waiting at one time */
#define KTD_SNAPSHOT_MIN	(128u << 10)	/* bytes; less room counts as lost */

struct ktd_snapshot {
	u32		nr;		/* number on the wire, from 1 */
	bool		exit;		/* of an exit, not of a living scheduler */
	u8		*rows;		/* captured while parked */
	size_t		rows_len;
	bool		full;
	u64		truncated_at_us; /* 0 = the deadline was not missed */
	struct ktd_freeze freeze;
	struct cpumask	missing_cpus;
	struct {
		u32	rows, seen;
		u64	bytes, ns;
	} stat[KTD_TBL_MAX];
	u32		nr_missing;
	struct {
		u16		table;
		const char	*reason;	/* constant text */
	} missing[KTD_TBL_MAX];

	/* made by the sender thread, owned by it; NULL until then */
	u8		*late;
	size_t		late_len;
};

int ktd_buffer_init(void);
void ktd_buffer_exit(void);

/*
 * Leader: the next snapshot with its room in @room/@size, NULL if none. That of an
 * @exit may take all there is, any other half of it.
 */
struct ktd_snapshot *ktd_buffer_reserve(u8 **room, size_t *size, bool exit);
/* Leader: keeps the first ->rows_len bytes and publishes the snapshot. */
void ktd_buffer_commit(struct ktd_snapshot *snap);

/* Sender: the @i-th waiting snapshot, oldest first; NULL past the last. */
struct ktd_snapshot *ktd_buffer_peek(unsigned int i);
/* Sender: forgets the oldest one. */
void ktd_buffer_pop(void);
unsigned int ktd_buffer_waiting(void);

/* The number that the next snapshot will get. Any context. */
u32 ktd_buffer_next_nr(void);

#endif
