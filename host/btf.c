// SPDX-License-Identifier: GPL-2.0-only
/* The guest's BTF in libbpf's hands, each when it is first asked for. */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <bpf/libbpf.h>
#include <linux/btf.h>

#include "report.h"

struct report_btf {
	bool tried;
	struct btf *btf;
	char why[128];		/* that it is not there */
};

int btfs_init(struct report *r)
{
	libbpf_set_print(NULL);	/* what it says about broken BTF is for developers */
	r->btfs = calloc(report_nr_btfs(r) + 1, sizeof(*r->btfs));
	return r->btfs ? 0 : -ENOMEM;
}

void btfs_deinit(struct report *r)
{
	/* Those that are split before the one they stand on. */
	for (size_t i = 0; r->btfs && i < report_nr_btfs(r); i++) {
		if (r->btfs[i].btf && btf__base_btf(r->btfs[i].btf)) {
			btf__free(r->btfs[i].btf);
			r->btfs[i].btf = NULL;
		}
	}
	for (size_t i = 0; r->btfs && i < report_nr_btfs(r); i++)
		btf__free(r->btfs[i].btf);
	free(r->btfs);
}

size_t report_nr_btfs(const struct report *r)
{
	return report_table(r, KTD_TBL_BTF)->nr_rows;
}

#define BTF_HEADER_MIN	24	/* newer headers go on behind str_len */

/* libbpf trusts hdr_len: sections could begin within the bytes and end behind them. */
static bool header_is_sound(const struct blob *b)
{
	struct btf_header h;
	uint64_t room;

	if (b->size < BTF_HEADER_MIN)
		return false;
	memcpy(&h, b->data, BTF_HEADER_MIN);
	/* Of the guest's byte order, which is that of the wire. */
	if (le16toh(h.magic) != BTF_MAGIC || le32toh(h.hdr_len) < BTF_HEADER_MIN ||
	    le32toh(h.hdr_len) > b->size)
		return false;
	room = b->size - le32toh(h.hdr_len);
	return (uint64_t)le32toh(h.type_off) + le32toh(h.type_len) <= room &&
	       (uint64_t)le32toh(h.str_off) + le32toh(h.str_len) <= room;
}

static struct btf *load(struct report *r, size_t i, char *why, size_t size)
{
	const struct table *t = report_table(r, KTD_TBL_BTF);
	const char *text = "no reason given", *base_why;
	struct btf *btf, *base = NULL;
	const struct blob *b = NULL;
	const uint8_t *hash;
	size_t len = strlen(text), hash_len;

	if (row_bin(t, t->rows[i], KTD_BTF_HASH, &hash, &hash_len)) {
		row_str(t, t->rows[i], KTD_BTF_ERROR, &text, &len);
		snprintf(why, size, "BTF not captured: %.*s", (int)len, text);
		return NULL;
	}
	if (hash_len == BTF_HASH_BYTES)
		b = blobs_find(&r->snap->blobs, hash);
	if (!b || !b->whole) {
		snprintf(why, size, "BTF not there: %s", b && b->error ? b->error : b && b->fill ?
			 "the stream ends within it" : "the guest did not send it");
		return NULL;
	}
	if (row_bool_or(t, t->rows[i], KTD_BTF_SPLIT, false)) {
		base = (struct btf *)report_kernel_btf(r, &base_why);
		if (!base) {
			snprintf(why, size, "BTF needs the kernel's: %.80s", base_why);
			return NULL;
		}
	}
	btf = header_is_sound(b) ? btf__new_split(b->data, b->size, base) : NULL;
	if (!btf)
		snprintf(why, size, "BTF cannot be read");
	return btf;
}

static const struct btf *get(struct report *r, size_t i, const char **why_ret)
{
	struct report_btf *b = &r->btfs[i];
	char why[sizeof(b->why)] = "";

	if (!b->tried) {
		/* Read when the kernel's own claims to be split. */
		snprintf(b->why, sizeof(b->why), "it stands on itself");
		b->tried = true;
		b->btf = load(r, i, why, sizeof(why));
		memcpy(b->why, why, sizeof(why));
	}
	if (!b->btf && why_ret)
		*why_ret = b->why;
	return b->btf;
}

const struct btf *report_btf(struct report *r, uint64_t btf_kva, const char **why_ret)
{
	const struct table *t = report_table(r, KTD_TBL_BTF);
	uint64_t kva;

	for (size_t i = 0; i < t->nr_rows; i++)
		if (!row_u64(t, t->rows[i], KTD_BTF_KVA, &kva) && kva == btf_kva)
			return get(r, i, why_ret);
	if (why_ret)
		*why_ret = btf_kva ? "the guest does not know this BTF" :
				     "the guest did not send its kernel's BTF";
	return NULL;
}

const struct btf *report_kernel_btf(struct report *r, const char **why_ret)
{
	return report_btf(r, 0, why_ret);
}

const struct btf *report_prog_btf(struct report *r, size_t i)
{
	const struct table *t = report_table(r, KTD_TBL_BTF);

	return row_bool_or(t, t->rows[i], KTD_BTF_KERNEL, false) ? NULL : get(r, i, NULL);
}
