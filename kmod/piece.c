// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bytes of maps into the buffer: MEM rows, and a stream of records in RECORD
 * rows. Bytes are copied once, from where they are to where they are sent from.
 */
#include <linux/timekeeping.h>
#include <linux/unaligned.h>

#include "content.h"

/* Bytes that a row costs beside its data: struct ktd_rec, numbers, padding. */
#define ROW_COST	48
/* What is certainly free for data in a row. */
#define ROW_DATA	(KTD_ROW_MAX - ROW_COST)

/* The first 15 elements or pieces are for free: no small map is cut by a slow clock. */
bool ktd_late(struct ktd_content *ct)
{
	if (ct->late || ++ct->ticks % 16)
		return ct->late;
	ct->late = ktime_get_mono_fast_ns() >= ct->deadline_ns;
	return ct->late;
}

bool ktd_cut(struct ktd_content *ct, const char *what, u64 limit)
{
	if (!ct->cut) {
		ct->cut = what;
		ct->limit = limit;
	}
	return false;
}

bool ktd_cut_late(struct ktd_content *ct)
{
	return ktd_cut(ct, "deadline", (ct->deadline_ns - ct->start_ns) / NSEC_PER_USEC);
}

/* Bytes of the map's share that are left. */
static size_t left(const struct ktd_content *ct)
{
	const struct ktd_sink *s = &ct->c->sink;
	size_t pos = ct->row ? ct->row - s->buf + ct->row_len : s->pos;

	return pos < ct->end ? ct->end - pos : 0;
}

void ktd_row_close(struct ktd_content *ct)
{
	if (!ct->row)
		return;
	ktd_bin_end(&ct->c->sink, ct->row_len);
	ct->row = NULL;
}

static bool row_open(struct ktd_content *ct, u16 table, const u64 *nums, u32 nr)
{
	ct->row = ktd_bin_begin(&ct->c->sink, table, nums, nr, &ct->row_room);
	ct->row_len = 0;
	return ct->row;
}

/*
 * Reads as much of [src, src + len) as can be read in one go: all, or up to the end
 * of the first page, or nothing. *@n: the bytes that this answer is about.
 */
static bool read_some(u8 *dst, unsigned long src, size_t len, size_t *n)
{
	size_t page = min_t(size_t, len, PAGE_SIZE - offset_in_page(src));

	*n = len;
	if (ktd_read(dst, src, len))
		return true;
	*n = page;
	return page < len && ktd_read(dst, src, page);
}

u64 ktd_mem_from(struct ktd_content *ct, unsigned long kva, unsigned long src, u64 len)
{
	u64 taken = 0;
	size_t n;

	while (len) {
		u64 num = kva;

		if (ktd_late(ct)) {
			ktd_cut_late(ct);
			break;
		}
		if (ct->row && (ct->c->sink.bin_table != KTD_TBL_MEM || ct->row_len == ct->row_room ||
				ct->row_kva + ct->row_len != kva))
			ktd_row_close(ct);
		if (left(ct) < (ct->row ? 8 : ROW_COST + 8)) {
			ktd_cut(ct, "bytes", ct->bytes_max);
			break;
		}
		if (!ct->row) {
			if (!row_open(ct, KTD_TBL_MEM, &num, 1)) {
				ktd_cut(ct, "full", 0);
				break;
			}
			ct->row_kva = kva;
		}
		n = min_t(u64, len, min(ct->row_room - ct->row_len, left(ct)));
		if (read_some(ct->row + ct->row_len, src, n, &n)) {
			ct->row_len += n;
			taken += n;
		}
		kva += n;
		src += n;
		len -= n;
	}
	return taken;
}

static bool records_open(struct ktd_content *ct)
{
	const u64 nums[] = { ct->map, ct->off };

	if (!row_open(ct, KTD_TBL_RECORD, nums, ARRAY_SIZE(nums)))
		return false;
	/* all parts of a record are padded to 8 bytes: no number spans two rows */
	ct->row_room = round_down(ct->row_room, 8);
	return true;
}

bool ktd_record_begin(struct ktd_content *ct, unsigned long kva, u32 index, u32 extra,
		      u64 body)
{
	u64 len = sizeof(struct ktd_record) + body;
	struct ktd_record rec = {
		.kva = cpu_to_le64(kva), .len = cpu_to_le32(len),
		.index = cpu_to_le32(index), .extra = cpu_to_le32(extra),
	};

	if (ct->cut)
		return false;
	if (ct->taken >= ktd_max_map_entries)
		return ktd_cut(ct, "entries", ktd_max_map_entries);
	if (ktd_late(ct))
		return ktd_cut_late(ct);
	/* whole records only: all rows that it may need */
	if (len + (len / ROW_DATA + 2) * ROW_COST > left(ct))
		return ktd_cut(ct, "bytes", ct->bytes_max);

	if (ct->row && (ct->c->sink.bin_table != KTD_TBL_RECORD ||
			ct->row_room - ct->row_len < sizeof(rec)))
		ktd_row_close(ct);
	if (!ct->row && !records_open(ct))
		return ktd_cut(ct, "full", 0);
	ct->rec = ct->row + ct->row_len;
	ct->rec_flags = 0;
	memcpy(ct->rec, &rec, sizeof(rec));
	ct->row_len += sizeof(rec);
	ct->off += sizeof(rec);
	return true;
}

/* @src 0: zeroes. */
static bool records_put(struct ktd_content *ct, unsigned long src, u64 len)
{
	bool ok = true;
	size_t n;

	for (; len; len -= n) {
		u8 *dst;

		if (ct->row && ct->row_len == ct->row_room)
			ktd_row_close(ct);
		if (!ct->row && !records_open(ct))
			return false;	/* ktd_record_begin() made sure that it fits */
		dst = ct->row + ct->row_len;
		n = min_t(u64, len, ct->row_room - ct->row_len);
		if (!src) {
			memset(dst, 0, n);
		} else {
			if (!read_some(dst, src, n, &n)) {
				memset(dst, 0, n);
				ok = false;
			}
			src += n;
		}
		ct->row_len += n;
		ct->off += n;
	}
	return ok;
}

void ktd_record_read(struct ktd_content *ct, unsigned long kva, u32 len, u32 bad)
{
	if (!records_put(ct, kva, len) || !kva)
		ct->rec_flags |= bad;
	records_put(ct, 0, ktd_pad(len) - len);
}

bool ktd_record_read_all(struct ktd_content *ct, unsigned long kva, u32 len)
{
	u8 *dst = ct->row + ct->row_len;

	if (ct->row_room - ct->row_len < len || !ktd_read(dst, kva, len))
		return false;
	ct->row_len += len;
	ct->off += len;
	return true;
}

/* The place where the number is, which stays where it is. */
static u8 *put_u64(struct ktd_content *ct, u64 v)
{
	u8 *at;

	if (ct->row && ct->row_len == ct->row_room)
		ktd_row_close(ct);
	if (!ct->row && !records_open(ct))
		return NULL;
	at = ct->row + ct->row_len;
	put_unaligned_le64(v, at);
	ct->row_len += sizeof(v);
	ct->off += sizeof(v);
	return at;
}

void ktd_record_u64(struct ktd_content *ct, u64 v)
{
	put_u64(ct, v);
}

void ktd_record_percpu(struct ktd_content *ct, unsigned long pptr, u32 len)
{
	unsigned int cpu;

	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		unsigned long kva = cpu_possible(cpu) ? ktd_percpu(pptr, cpu) : 0;
		u8 *at = put_u64(ct, kva);

		if (!records_put(ct, kva, len) || (!kva && cpu_possible(cpu))) {
			ct->rec_flags |= KTD_RECORD_VALUE_BAD;
			if (at)
				put_unaligned_le64(0, at);
		}
		records_put(ct, 0, ktd_pad(len) - len);
	}
}

void ktd_record_end(struct ktd_content *ct)
{
	ct->taken++;
	if (!ct->rec_flags)
		return;
	ct->unreadable++;
	put_unaligned_le32(ct->rec_flags, ct->rec + offsetof(struct ktd_record, flags));
}

static const struct ktd_table fact_table = { .id = KTD_TBL_FACT, .nr = KTD_FACT_NR_COLS };

void ktd_fact(struct ktd_content *ct, const char *name, u64 value)
{
	struct ktd_sink *s = &ct->c->sink;
	struct ktd_row *r;

	ktd_row_close(ct);
	r = ktd_row_begin(s, &fact_table);
	ktd_set_u(r, KTD_FACT_MAP_KVA, ct->map);
	ktd_set_str(r, KTD_FACT_NAME, name);
	ktd_set_u(r, KTD_FACT_VALUE, value);
	ktd_row_end(s, &fact_table);
}
