// SPDX-License-Identifier: GPL-2.0-only
#include <linux/crc32c.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/utsname.h>

#include "blob.h"
#include "counter.h"
#include "frame.h"

static char boot_id[40];
static u64 load_ns;		/* tells one load of the module from the next */

static const struct ktd_table hello_table = { .id = KTD_TBL_HELLO, .nr = KTD_HELLO_NR_COLS };
static const struct ktd_table end_table = { .id = KTD_TBL_END, .nr = KTD_END_NR_COLS };

/* Sends f->frame, whose payload is already in place. */
static int send_frame(struct ktd_frames *f, u8 type, u16 table, u32 snapshot, u32 payload)
{
	struct ktd_frame_hdr *h = (struct ktd_frame_hdr *)f->frame;

	*h = (struct ktd_frame_hdr){
		.magic = cpu_to_le32(KTD_WIRE_MAGIC),
		.version = KTD_WIRE_VERSION,
		.type = type,
		.table = cpu_to_le16(table),
		.len = cpu_to_le32(payload),
		.seq = cpu_to_le32(f->seq++),
		.snapshot = cpu_to_le32(snapshot),
	};
	h->crc = cpu_to_le32(~crc32c(~0, f->frame, sizeof(*h) + payload));
	return f->put(f, f->frame, sizeof(*h) + payload);
}

static u8 frame_type(u16 table)
{
	return table == KTD_TBL_HELLO ? KTD_FRAME_HELLO :
	       table == KTD_TBL_BEGIN ? KTD_FRAME_BEGIN :
	       table == KTD_TBL_END ? KTD_FRAME_END : KTD_FRAME_ROWS;
}

int ktd_frame_rows(struct ktd_frames *f, const u8 *rows, size_t len, u32 snapshot)
{
	size_t max = ktd_frame_kib * 1024 - sizeof(struct ktd_frame_hdr);
	const struct ktd_rec *rec;
	u16 table = KTD_TBL_NONE;
	size_t fill = 0;
	int ret;

	ktd_for_each_rec(rec, rows, len) {
		if (rec->table == KTD_TBL_NONE)
			continue;
		if (fill && (rec->table != table || fill + rec->len > max)) {
			ret = send_frame(f, frame_type(table), table, snapshot, fill);
			if (ret)
				return ret;
			fill = 0;
		}
		table = rec->table;
		memcpy(f->frame + sizeof(struct ktd_frame_hdr) + fill, rec + 1, rec->len);
		fill += rec->len;
		if (table != KTD_TBL_END) {
			f->rows++;
			f->bytes += rec->len;
		}
	}
	return fill ? send_frame(f, frame_type(table), table, snapshot, fill) : 0;
}

int ktd_frame_hello(struct ktd_frames *f)
{
	struct ktd_sink *s = kvzalloc(sizeof(*s) + 2048, GFP_KERNEL);
	struct ktd_row *r;
	int ret;

	if (!s)
		return -ENOMEM;
	ktd_sink_init(s, s + 1, 2048);
	ktd_table_begin(s, &hello_table);
	r = ktd_row_begin(s, &hello_table);
	ktd_set_str(r, KTD_HELLO_MODULE_VERSION, KTD_VERSION);
	ktd_set_str(r, KTD_HELLO_RELEASE, init_utsname()->release);
	ktd_set_str(r, KTD_HELLO_BUILD, init_utsname()->version);
	ktd_set_str(r, KTD_HELLO_MACHINE, init_utsname()->machine);
	ktd_set_str(r, KTD_HELLO_BOOT_ID, boot_id);
	ktd_set_u(r, KTD_HELLO_LOAD_NS, load_ns);
	ktd_set_u(r, KTD_HELLO_HZ, HZ);
	ktd_set_u(r, KTD_HELLO_PAGE_SIZE, PAGE_SIZE);
	ktd_set_u(r, KTD_HELLO_NR_CPU_IDS, nr_cpu_ids);
	ktd_set_u(r, KTD_HELLO_NR_NODE_IDS, nr_node_ids);
	ktd_set_u(r, KTD_HELLO_BUFFER_BYTES, (u64)ktd_buf_mib << 20);
	ktd_set_u(r, KTD_HELLO_PENDING, ktd_buffer_waiting());
	ktd_set_u(r, KTD_HELLO_LOST, atomic64_read(&ktd_counters.lost));
	ktd_row_end(s, &hello_table);
	ret = s->full ? -ENOSPC : ktd_frame_rows(f, s->buf, s->pos, 0);
	kvfree(s);
	return ret;
}

static int send_end(struct ktd_frames *f, u32 snapshot)
{
	struct ktd_sink *s = kvzalloc(sizeof(*s) + 256, GFP_KERNEL);
	struct ktd_row *r;
	int ret;

	if (!s)
		return -ENOMEM;
	ktd_sink_init(s, s + 1, 256);
	ktd_table_begin(s, &end_table);
	r = ktd_row_begin(s, &end_table);
	ktd_set_u(r, KTD_END_ROWS, f->rows);
	ktd_set_u(r, KTD_END_BYTES, f->bytes);
	ktd_row_end(s, &end_table);
	ret = ktd_frame_rows(f, s->buf, s->pos, snapshot);
	kvfree(s);
	return ret;
}

/* Length of the BEGIN rows, which come before everything else. */
static size_t begin_len(const struct ktd_snapshot *snap)
{
	const struct ktd_rec *rec;

	ktd_for_each_rec(rec, snap->rows, snap->rows_len) {
		if (rec->table != KTD_TBL_BEGIN)
			break;
	}
	return (const u8 *)rec - snap->rows;
}

int ktd_frame_offer(struct ktd_frames *f, const struct ktd_snapshot *snap, u32 *offered)
{
	struct ktd_sink *s;
	int ret;

	f->rows = 0;
	f->bytes = 0;
	ret = ktd_frame_rows(f, snap->rows, begin_len(snap), snap->nr);
	if (ret)
		return ret;
	s = ktd_btf_rows(snap, offered);
	if (!s)
		return -ENOMEM;
	ret = ktd_frame_rows(f, s->buf, s->pos, snap->nr);
	kvfree(s);
	if (!ret)
		ret = send_frame(f, KTD_FRAME_OFFER, KTD_TBL_NONE, snap->nr, 0);
	return ret;
}

int ktd_frame_captured(struct ktd_frames *f, const struct ktd_snapshot *snap)
{
	size_t begin = begin_len(snap);

	return ktd_frame_rows(f, snap->rows + begin, snap->rows_len - begin, snap->nr);
}

int ktd_frame_end(struct ktd_frames *f, const struct ktd_snapshot *snap)
{
	int ret = ktd_frame_rows(f, snap->late, snap->late_len, snap->nr);

	return ret ?: send_end(f, snap->nr);
}

static void read_boot_id(void)
{
	struct file *f = filp_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
	loff_t pos = 0;
	ssize_t n;

	strscpy(boot_id, "unknown");
	if (IS_ERR(f))
		return;
	n = kernel_read(f, boot_id, sizeof(boot_id) - 1, &pos);
	boot_id[n > 0 ? n : 0] = '\0';
	strim(boot_id);
	filp_close(f, NULL);
}

int ktd_frames_init(struct ktd_frames *f)
{
	if (!load_ns) {
		read_boot_id();
		load_ns = ktime_get_boottime_ns();
	}
	f->seq = 0;
	f->frame = kvmalloc(ktd_frame_kib * 1024, GFP_KERNEL);
	return f->frame ? 0 : -ENOMEM;
}

void ktd_frames_exit(struct ktd_frames *f)
{
	kvfree(f->frame);
	f->frame = NULL;
}
