/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Snapshots as frames (shared/wire.h), for the collector and for the stream file. For
 * the sender thread alone: everything may sleep. 0, or an error of ->put or -ENOMEM.
 */
#ifndef KTD_FRAME_H
#define KTD_FRAME_H

#include "buffer.h"

struct ktd_frames {
	/* takes all of it, or fails */
	int	(*put)(struct ktd_frames *f, const void *buf, size_t len);
	u8	*frame;		/* the one being made: ktd_frame_kib */
	u32	seq;
	u64	rows, bytes;	/* of the snapshot that is under way */
};

/* With ->put set; frames are numbered from 0 on. */
int ktd_frames_init(struct ktd_frames *f);
void ktd_frames_exit(struct ktd_frames *f);

int ktd_frame_hello(struct ktd_frames *f);

/* A snapshot: these three in this order, BLOB rows of ktd_btf_send() before the last. */
int ktd_frame_offer(struct ktd_frames *f, const struct ktd_snapshot *snap, u32 *offered);
int ktd_frame_captured(struct ktd_frames *f, const struct ktd_snapshot *snap);
int ktd_frame_end(struct ktd_frames *f, const struct ktd_snapshot *snap);

/* Neighbouring rows of one table share a frame. */
int ktd_frame_rows(struct ktd_frames *f, const u8 *rows, size_t len, u32 snapshot);

#endif
