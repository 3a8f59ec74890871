// SPDX-License-Identifier: GPL-2.0-only
/* Bytes to the frame reader: in what pieces they come makes no difference. */
#include "crc32c.h"
#include "frame.h"
#include "stream.h"

struct outcome {
	unsigned int nr;
	uint32_t sum;		/* of all frames */
	int err;
	char tail[200];
};

static void read_all(const uint8_t *data, size_t len, size_t piece, struct outcome *ret)
{
	static struct frame_reader r;
	struct in in = { data, len };

	memset(ret, 0, sizeof(*ret));
	frame_reader_init(&r);
	while (in.left && ret->err >= 0) {
		size_t n = piece, left;
		_cleanup_free_ uint8_t *copy = in_copy(&in, &n);
		const uint8_t *p = copy;
		struct frame f;

		left = n;
		while ((ret->err = frame_reader_next(&r, &p, &left, &f)) > 0) {
			ret->nr++;
			must(f.len <= KTD_FRAME_MAX_PAYLOAD);
			ret->sum = crc32c(ret->sum, &f.type, sizeof(f.type));
			ret->sum = crc32c(ret->sum, &f.table, sizeof(f.table));
			ret->sum = crc32c(ret->sum, &f.snapshot, sizeof(f.snapshot));
			ret->sum = crc32c(ret->sum, f.payload, f.len);
		}
		must(ret->err < 0 || !left);
		must(r.fill <= sizeof(r.buf));
	}
	frame_reader_peek_type(&r);
	frame_reader_tail(&r, ret->tail, sizeof(ret->tail));
	must(ret->err >= 0 || ret->tail[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = { data, size };
	size_t piece = 1 + in_num(&in, 1);
	struct outcome whole, pieces;

	read_all(in.p, in.left, SIZE_MAX, &whole);
	read_all(in.p, in.left, piece, &pieces);
	must(!memcmp(&whole, &pieces, sizeof(whole)));
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	return stream_mutate(data, size, max, 1, seed);
}
