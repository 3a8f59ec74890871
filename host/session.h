/* SPDX-License-Identifier: GPL-2.0-only */
/* One connection of one guest. */
#ifndef KTC_SESSION_H
#define KTC_SESSION_H

#include "collector.h"
#include "frame.h"

#define SESSION_OUT_MAX (BLOBS_MAX + 16)	/* answers waiting to be sent */

struct session {
	struct session *next;
	struct collector *c;
	int fd;			/* -1 for a replay */
	char *origin;
	bool answers;		/* the peer can hear us */
	bool draining;		/* done with it, reading only until it closes */
	uint64_t drain_until_ms;
	uint64_t heard_ms;	/* when it connected, or sent its last whole frame */
	struct frame_reader reader;
	uint64_t received;

	bool hello_done;
	uint32_t last_begun;	/* highest number of a snapshot */
	bool announced;		/* a snapshot was to come, none has begun yet */
	uint8_t *hello;		/* payload, goes into every snapshot */
	size_t hello_len;
	char boot_id[64];		/* boot id and load of the module */

	/*
	 * BTF of earlier snapshots of this connection. What a recording holds need not be
	 * sent again while it lasts, cache or not.
	 */
	struct blobs kept;

	struct snapshot *snaps;
	unsigned int nr_snaps;

	int record_fd;
	uint32_t out_seq;
	struct ktd_frame_hdr out[SESSION_OUT_MAX];
	size_t out_len, out_sent;	/* bytes */
};

#endif
