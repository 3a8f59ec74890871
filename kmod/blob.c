// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own BTF is the same all the time and large, so it is not copied
 * but read again from its file when a collector lacks it. Programs' BTF may be
 * gone with the programs, so that is copied, and hashed when the CPUs run again.
 */
#include <linux/bpf.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/idr.h>
#include <linux/kthread.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "blob.h"
#include "capture.h"

#define OWN_MAX		(64u << 20)
#define BLOB_MAX	(32u << 20)
#define BLOB_PIECE	(KTD_ROW_MAX - 64)	/* in one row */
#define ROW_ROOM	512			/* for one BTF row */
#define OBJECTS_MAX	65536			/* maps or programs looked at */
#define FIELDS_MAX	64			/* of one map's values; the kernel has 11 */
#define SLOTS_BITS	10

static_assert((1 << SLOTS_BITS) >= 2 * KTD_BTFS_MAX);

static const struct ktd_table btf_table = { .id = KTD_TBL_BTF, .nr = KTD_BTF_NR_COLS };
static const struct ktd_table blob_table = { .id = KTD_TBL_BLOB, .nr = KTD_BLOB_NR_COLS };

static const struct ktd_table missing_table = {
	.id = KTD_TBL_MISSING, .nr = KTD_MISSING_NR_COLS,
};

/*
 * The file stays open while the module is loaded: the sender could not open it, for
 * a kernel thread need not see /sys (on 7.3 it does not).
 */
static struct {
	struct file *file;
	size_t	size;
	u8	hash[SHA256_DIGEST_SIZE];
} own;

/* While parked: distinct BTF objects in order of discovery. One leader. */
static struct {
	unsigned long	kva[KTD_BTFS_MAX];
	u32		nr;
	u16		slot[1 << SLOTS_BITS];	/* index + 1 into kva */
} found;

/* The whole file in vmalloc memory. */
static void *read_own(size_t *size)
{
	loff_t pos = 0, len;
	void *buf;
	ssize_t n;

	len = i_size_read(file_inode(own.file));
	if (len <= 0 || len > OWN_MAX)
		return ERR_PTR(-EFBIG);
	buf = vmalloc(len);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	while (pos < len) {
		n = kernel_read(own.file, buf + pos, len - pos, &pos);
		if (n <= 0) {
			vfree(buf);
			return ERR_PTR(n ?: -EIO);
		}
	}
	*size = len;
	return buf;
}

void *ktd_blob_init(size_t *size)
{
	struct file *f = filp_open(KTD_BTF_PATH, O_RDONLY, 0);
	void *data;

	if (IS_ERR(f))
		return ERR_CAST(f);
	own.file = f;
	data = read_own(&own.size);
	if (IS_ERR(data))
		return data;
	sha256(data, own.size, own.hash);
	*size = own.size;
	return data;
}

void ktd_blob_exit(void)
{
	if (own.file)
		filp_close(own.file, NULL);
	own.file = NULL;
}

static void note(struct ktd_capture *c, unsigned long btf)
{
	u32 at = hash_long(btf, SLOTS_BITS);

	if (!btf)
		return;
	for (;; at++) {
		u16 *slot = &found.slot[at % ARRAY_SIZE(found.slot)];

		if (!*slot) {
			if (found.nr == KTD_BTFS_MAX) {
				ktd_missing(c, KTD_TBL_BTF, "more than 512 BTF objects");
				return;
			}
			found.kva[found.nr++] = btf;
			*slot = found.nr;
			return;
		}
		if (found.kva[*slot - 1] == btf)
			return;
	}
}

/*
 * The types of what kptrs, lists and trees in a map's values hold. Those of uptrs
 * (since 6.13) are in the map's own BTF.
 */
static void note_fields(struct ktd_capture *c, unsigned long record)
{
	struct btf_record head;
	struct btf_field f;
	u32 i;

	/* a map whose fields could not be parsed has an error pointer here */
	if (!ktd_read(&head, record, sizeof(head)))
		return;
	for (i = 0; i < head.cnt && i < FIELDS_MAX; i++) {
		if (!ktd_read(&f, record + offsetof(struct btf_record, fields[i]), sizeof(f)))
			return;
		if (f.type & BPF_KPTR)
			note(c, (unsigned long)f.kptr.btf);
		else if (f.type & BPF_GRAPH_ROOT)
			note(c, (unsigned long)f.graph_root.btf);
	}
}

static void find_in_maps(struct ktd_capture *c)
{
	struct idr *idr = (struct idr *)ktd_sym[KTD_SYM_MAP_IDR];
	void *map;
	int id, n;

	for (id = 0, n = 0; idr && n < OBJECTS_MAX && (map = idr_get_next(idr, &id)); id++, n++) {
		if (ktd_expired(c))
			return;
		note(c, ktd_get((unsigned long)map, KTD_M_MAP_BTF));
		note_fields(c, ktd_get((unsigned long)map, KTD_M_MAP_RECORD));
	}
}

static void find_in_progs(struct ktd_capture *c)
{
	struct idr *idr = (struct idr *)ktd_sym[KTD_SYM_PROG_IDR];
	void *prog;
	int id, n;

	for (id = 0, n = 0; idr && n < OBJECTS_MAX && (prog = idr_get_next(idr, &id)); id++, n++) {
		if (ktd_expired(c))
			return;
		note(c, ktd_get(ktd_get((unsigned long)prog, KTD_M_PROG_AUX), KTD_M_AUX_BTF));
	}
}

/* In pieces: a large one must not outlast the deadline. NULL or why not. */
static const char *copy_data(struct ktd_capture *c, struct ktd_blob *b, unsigned long from)
{
	u32 pos, len;

	for (pos = 0; pos < b->size; pos += len) {
		if (ktd_expired(c))
			return "deadline reached";
		len = min_t(u32, b->size - pos, PAGE_SIZE);
		if (!ktd_read(b->data + pos, from + pos, len))
			return "unreadable";
	}
	return NULL;
}

/* One object into the buffer; its bytes if they fit into what is left of @share. */
static void keep(struct ktd_capture *c, unsigned long btf, size_t *share)
{
	u32 size = ktd_get(btf, KTD_M_BTF_DATA_SIZE);
	size_t room = sizeof(struct ktd_blob);
	const char *error = NULL;
	struct ktd_blob *b;
	bool kernel, split, bytes;

	kernel = ktd_get(btf, KTD_M_BTF_KERNEL);
	split = ktd_get(btf, KTD_M_BTF_BASE);
	bytes = !kernel || split;
	c->sink.stat[KTD_TBL_BTF].seen++;
	if (bytes && !size)
		error = "unreadable";
	else if (bytes && size > BLOB_MAX)
		error = "larger than 32 MiB";
	else if (bytes && size > *share)
		error = "does not fit a quarter of the buffer (buf_mib)";
	if (bytes && !error)
		room += size;
	b = ktd_private_begin(&c->sink, room);
	if (!b) {
		ktd_missing(c, KTD_TBL_BTF, "buffer full (buf_mib): BTF objects are left out");
		return;
	}
	*b = (struct ktd_blob){
		.kva = btf, .id = ktd_get(btf, KTD_M_BTF_ID), .size = size,
		.kernel = kernel, .split = split, .own = !bytes, .error = error,
	};
	ktd_read_str(b->name, ktd_at(btf, KTD_M_BTF_NAME), sizeof(b->name));
	if (bytes && !error) {
		b->error = copy_data(c, b, ktd_get(btf, KTD_M_BTF_DATA));
		if (b->error)
			room = sizeof(*b);
	}
	ktd_private_end(&c->sink, KTD_PRIVATE_BTF, room);
	*share -= min(*share, room);
	c->sink.stat[KTD_TBL_BTF].bytes += room;
	c->sink.stat[KTD_TBL_BTF].rows++;
}

/* From last to first: the scheduler under test was loaded last, as a rule. */
static void keep_range(struct ktd_capture *c, u32 first, u32 end, size_t *share)
{
	while (end-- > first) {
		if (ktd_expired(c)) {
			ktd_missing(c, KTD_TBL_BTF, "deadline reached: BTF objects are left out");
			return;
		}
		keep(c, found.kva[end], share);
	}
}

/* Maps need BTF to be shown, programs have it for their names and lines: maps first. */
void ktd_cap_btf(struct ktd_capture *c)
{
	size_t share = (c->sink.end - c->sink.pos) / 4;
	u32 of_maps;

	if (ktd_off.group_missing[KTD_GRP_BTF]) {
		ktd_missing(c, KTD_TBL_BTF, "offsets missing: see the offset groups");
		return;
	}
	found.nr = 0;
	memset(found.slot, 0, sizeof(found.slot));
	find_in_maps(c);
	of_maps = found.nr;
	find_in_progs(c);
	keep_range(c, 0, of_maps, &share);
	keep_range(c, of_maps, found.nr, &share);
}

/* ---------------------------------------------------------- the sender thread */

/* The first object of @snap behind @b, NULL: from the start. */
static struct ktd_blob *next_blob(const struct ktd_snapshot *snap, const struct ktd_blob *b)
{
	const struct ktd_rec *rec = b ? ktd_rec_next((const struct ktd_rec *)b - 1) :
					(const struct ktd_rec *)snap->rows;

	for (; (const u8 *)rec < snap->rows + snap->rows_len; rec = ktd_rec_next(rec)) {
		if (rec->table == KTD_TBL_NONE && rec->kind == KTD_PRIVATE_BTF)
			return (struct ktd_blob *)(rec + 1);
	}
	return NULL;
}

static void hash(struct ktd_blob *b)
{
	if (b->hashed || b->error)
		return;
	if (b->own)
		memcpy(b->hash, own.hash, sizeof(b->hash));
	else
		sha256(b->data, b->size, b->hash);
	b->hashed = true;
}

static void btf_row(struct ktd_sink *s, const struct ktd_blob *b)
{
	struct ktd_row *r = ktd_row_begin(s, &btf_table);

	ktd_set_u(r, KTD_BTF_KVA, b->kva);
	if (b->id)
		ktd_set_u(r, KTD_BTF_ID, b->id);
	ktd_set_str(r, KTD_BTF_NAME, b->name);
	ktd_set_b(r, KTD_BTF_KERNEL, b->kernel);
	ktd_set_b(r, KTD_BTF_SPLIT, b->split);
	ktd_set_u(r, KTD_BTF_SIZE, b->size);
	if (b->hashed)
		ktd_set_bin(r, KTD_BTF_HASH, b->hash, sizeof(b->hash));
	if (b->error)
		ktd_set_str(r, KTD_BTF_ERROR, b->error);
	ktd_row_end(s, &btf_table);
}

struct ktd_sink *ktd_btf_rows(const struct ktd_snapshot *snap, u32 *nr)
{
	struct ktd_blob *b, vmlinux = {
		.size = own.size, .kernel = true, .own = true, .name = "vmlinux",
	};
	struct ktd_sink *s;
	size_t size;

	*nr = 1;
	for (b = next_blob(snap, NULL); b; b = next_blob(snap, b))
		(*nr)++;
	size = (*nr + 1) * ROW_ROOM;
	s = kvzalloc(sizeof(*s) + size, GFP_KERNEL);
	if (!s)
		return NULL;
	ktd_sink_init(s, s + 1, size);
	ktd_table_begin(s, &btf_table);
	hash(&vmlinux);
	btf_row(s, &vmlinux);
	for (b = next_blob(snap, NULL); b; b = next_blob(snap, b)) {
		if (kthread_should_stop()) {
			kvfree(s);
			return NULL;
		}
		hash(b);
		btf_row(s, b);
	}
	return s;
}

struct sender {
	struct ktd_frames *frames;
	u32		snapshot;
	struct ktd_sink	sink;
	u8		rows[2 * KTD_ROW_MAX];
};

static int flush(struct sender *o)
{
	int ret = ktd_frame_rows(o->frames, o->sink.buf, o->sink.pos, o->snapshot);

	o->sink.pos = 0;
	return ret;
}

static int send_bytes(struct sender *o, const u8 *data, u32 size, const u8 *sum)
{
	struct ktd_row *r;
	u32 pos, len;
	int ret = 0;

	for (pos = 0; pos < size && !ret; pos += len) {
		len = min_t(u32, size - pos, BLOB_PIECE);
		r = ktd_row_begin(&o->sink, &blob_table);
		ktd_set_bin(r, KTD_BLOB_HASH, sum, SHA256_DIGEST_SIZE);
		ktd_set_u(r, KTD_BLOB_OFF, pos);
		ktd_set_bin(r, KTD_BLOB_DATA, data + pos, len);
		ktd_row_end(&o->sink, &blob_table);
		ret = flush(o);
	}
	return ret;
}

/* A late word about what was promised and cannot be sent. */
static int send_regret(struct sender *o, const char *reason)
{
	struct ktd_row *r;

	pr_warn_once("%s: %s\n", KTD_BTF_PATH, reason);
	ktd_table_begin(&o->sink, &missing_table);
	r = ktd_row_begin(&o->sink, &missing_table);
	ktd_set_str(r, KTD_MISSING_TABLE, ktd_table_name(KTD_TBL_BTF));
	ktd_set_str(r, KTD_MISSING_REASON, reason);
	ktd_row_end(&o->sink, &missing_table);
	return flush(o);
}

static int send_own(struct sender *o)
{
	u8 sum[SHA256_DIGEST_SIZE];
	size_t size = 0;
	void *data = read_own(&size);
	int ret;

	if (IS_ERR(data))
		return send_regret(o, "the kernel's own BTF cannot be read any more");
	sha256(data, size, sum);
	if (memcmp(sum, own.hash, sizeof(sum)))
		ret = send_regret(o, "the kernel's own BTF is not what it was at load");
	else
		ret = send_bytes(o, data, size, sum);
	vfree(data);
	return ret;
}

/* Several loaders of one program bring the same bytes. */
static bool sent_before(const struct ktd_snapshot *snap, const unsigned long *wanted,
			const struct ktd_blob *b)
{
	const struct ktd_blob *other;
	int nr = 1;

	for (other = next_blob(snap, NULL); other != b; other = next_blob(snap, other)) {
		if (test_bit(nr++, wanted) && other->hashed &&
		    !memcmp(other->hash, b->hash, sizeof(b->hash)))
			return true;
	}
	return false;
}

void ktd_btf_want(const struct ktd_snapshot *snap, unsigned long *wanted, bool own)
{
	const struct ktd_blob *b;
	int nr = 1;

	bitmap_zero(wanted, KTD_BTFS_MAX + 1);
	if (own)
		__set_bit(0, wanted);
	for (b = next_blob(snap, NULL); b; b = next_blob(snap, b), nr++) {
		if (own || !b->own)
			__set_bit(nr, wanted);
	}
}

int ktd_btf_send(const struct ktd_snapshot *snap, const unsigned long *wanted,
		 struct ktd_frames *f)
{
	struct sender *o = kvzalloc(sizeof(*o), GFP_KERNEL);
	bool vmlinux = test_bit(0, wanted);
	struct ktd_blob *b;
	int ret = 0, nr = 1;

	if (!o)
		return -ENOMEM;
	o->frames = f;
	o->snapshot = snap->nr;
	ktd_sink_init(&o->sink, o->rows, sizeof(o->rows));
	ktd_table_begin(&o->sink, &blob_table);
	for (b = next_blob(snap, NULL); b && !ret; b = next_blob(snap, b)) {
		if (!test_bit(nr++, wanted))
			continue;
		vmlinux |= b->own;
		if (b->hashed && !b->own && !sent_before(snap, wanted, b))
			ret = send_bytes(o, b->data, b->size, b->hash);
	}
	if (!ret && vmlinux)
		ret = send_own(o);
	kvfree(o);
	return ret;
}
