/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames of shared/wire.h, read piece by piece from a peer that may lie. */
#ifndef KTC_FRAME_H
#define KTC_FRAME_H

#include "util.h"
#include "wire.h"

#define FRAME_HDR_LEN	sizeof(struct ktd_frame_hdr)

struct frame {
	uint8_t type;
	uint16_t table;
	uint32_t len;
	uint32_t snapshot;
	const uint8_t *payload;	/* the reader's or in its caller's data: valid until the next call */
};

struct frame_reader {
	uint8_t buf[sizeof(struct ktd_frame_hdr) + KTD_FRAME_MAX_PAYLOAD];
	size_t fill;
	uint64_t offset;	/* of the current frame in the stream */
	uint32_t next_seq;	/* which is also the number of the current frame */
	int error;		/* sticky */
	char why[160];		/* says what was wrong, where */
};

void frame_reader_init(struct frame_reader *r);

/*
 * Consume bytes from *data until a frame is whole.
 * 1: *ret is a frame. 0: *len is 0 and more bytes are needed.
 * -EPROTO no frame, -EPROTONOSUPPORT other version, -EMSGSIZE too long,
 * -EBADMSG checksum, -EILSEQ frames missing before this one; r->why says it in
 * words and the reader gives the same error from then on.
 */
int frame_reader_next(struct frame_reader *r, const uint8_t **data, size_t *len,
		      struct frame *ret);

/* Text for a stream that ends here; empty when it ends between two frames. */
void frame_reader_tail(const struct frame_reader *r, char *buf, size_t size);

/* Type in the header of the frame in progress, 0 when it has not arrived. */
uint8_t frame_reader_peek_type(const struct frame_reader *r);

/* A frame without payload, as the collector sends it. */
void frame_fill_header(struct ktd_frame_hdr *hdr, uint8_t type, uint16_t table, uint32_t seq,
		       uint32_t snapshot);

#endif
