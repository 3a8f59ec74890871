// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crc32c.h"
#include "frame.h"

void frame_reader_init(struct frame_reader *r)
{
	r->fill = 0;
	r->offset = 0;
	r->next_seq = 0;
	r->error = 0;
	r->why[0] = '\0';
}

static int __printf(3, 4) fail(struct frame_reader *r, int error, const char *fmt, ...)
{
	va_list ap;
	int n;

	n = snprintf(r->why, sizeof(r->why), "frame %u at byte %llu: ", r->next_seq,
		     (unsigned long long)r->offset);
	va_start(ap, fmt);
	vsnprintf(r->why + n, sizeof(r->why) - n, fmt, ap);
	va_end(ap);
	r->error = error;
	return error;
}

static int check_header(struct frame_reader *r, const struct ktd_frame_hdr *h)
{
	if (le32toh(h->magic) != KTD_WIRE_MAGIC)
		return fail(r, -EPROTO, "no frame starts here (0x%08x)", le32toh(h->magic));
	if (h->version != KTD_WIRE_VERSION)
		return fail(r, -EPROTONOSUPPORT, "wire version %u, only %u is understood",
			    h->version, KTD_WIRE_VERSION);
	if (le32toh(h->len) > KTD_FRAME_MAX_PAYLOAD)
		return fail(r, -EMSGSIZE, "%u bytes of payload, at most %u are allowed",
			    le32toh(h->len), KTD_FRAME_MAX_PAYLOAD);
	return 0;
}

static bool fill_up_to(struct frame_reader *r, size_t want, const uint8_t **data, size_t *len)
{
	size_t n = want > r->fill ? want - r->fill : 0;

	if (n > *len)
		n = *len;
	memcpy(r->buf + r->fill, *data, n);
	r->fill += n;
	*data += n;
	*len -= n;
	return r->fill >= want;
}

int frame_reader_next(struct frame_reader *r, const uint8_t **data, size_t *len,
		      struct frame *ret)
{
	const uint8_t *payload = r->buf + sizeof(struct ktd_frame_hdr);
	struct ktd_frame_hdr h;
	uint32_t crc, size;
	int err;

	if (r->error)
		return r->error;
	if (!*len && r->fill < sizeof(h))
		return 0;
	if (!fill_up_to(r, sizeof(h), data, len))
		return 0;
	memcpy(&h, r->buf, sizeof(h));
	err = check_header(r, &h);
	if (err)
		return err;

	size = le32toh(h.len);
	if (r->fill == sizeof(h) && size <= *len) {
		/* It is whole where it is: no copy. */
		payload = *data;
		*data += size;
		*len -= size;
	} else if (!fill_up_to(r, sizeof(h) + size, data, len)) {
		return 0;
	}

	crc = le32toh(h.crc);
	h.crc = 0;
	if (crc32c(crc32c(0, &h, sizeof(h)), payload, size) != crc)
		return fail(r, -EBADMSG, "checksum does not match");
	if (le32toh(h.seq) != r->next_seq)
		return fail(r, -EILSEQ, "sequence number %u where %u was due", le32toh(h.seq),
			    r->next_seq);

	*ret = (struct frame){
		.type = h.type,
		.table = le16toh(h.table),
		.len = size,
		.snapshot = le32toh(h.snapshot),
		.payload = payload,
	};
	r->next_seq++;
	r->offset += sizeof(h) + size;
	r->fill = 0;
	return 1;
}

void frame_reader_tail(const struct frame_reader *r, char *buf, size_t size)
{
	if (r->error)
		snprintf(buf, size, "%s", r->why);
	else if (r->fill)
		snprintf(buf, size, "frame %u at byte %llu: the stream ends after %zu bytes of it",
			 r->next_seq, (unsigned long long)r->offset, r->fill);
	else
		buf[0] = '\0';
}

uint8_t frame_reader_peek_type(const struct frame_reader *r)
{
	struct ktd_frame_hdr h;

	if (r->fill < sizeof(h))
		return 0;
	memcpy(&h, r->buf, sizeof(h));
	return le32toh(h.magic) == KTD_WIRE_MAGIC ? h.type : 0;
}

void frame_fill_header(struct ktd_frame_hdr *hdr, uint8_t type, uint16_t table, uint32_t seq,
		       uint32_t snapshot)
{
	*hdr = (struct ktd_frame_hdr){
		.magic = htole32(KTD_WIRE_MAGIC),
		.version = KTD_WIRE_VERSION,
		.type = type,
		.table = htole16(table),
		.seq = htole32(seq),
		.snapshot = htole32(snapshot),
	};
	hdr->crc = htole32(crc32c(0, hdr, sizeof(*hdr)));
}
