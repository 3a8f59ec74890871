// SPDX-License-Identifier: GPL-2.0-only
/* scx_exit_info of every scheduler that ended, and the kernel's own dump. */
#include <string.h>

#include "report.h"

struct piece {
	uint64_t off;
	const uint8_t *text;
	size_t len;
};

static int by_off(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

/* What scx_dump_state() puts at the end of a dump that was too long for its buffer. */
static bool kernel_truncated(const char *text, size_t len)
{
	static const char marker[] = "\n\n~~~~ TRUNCATED ~~~~\n";

	while (len && !text[len - 1])
		len--;
	return len >= sizeof(marker) - 1 &&
	       !memcmp(text + len - (sizeof(marker) - 1), marker, sizeof(marker) - 1);
}

/* A gap is said in the text; an overlap keeps what came first. */
static void add_dump(struct report *r, yyjson_mut_val *obj, uint64_t kva)
{
	_cleanup_free_ struct piece *v = NULL;
	_cleanup_free_ char *buf = NULL;
	static const char gap[] = "\n[ktcollect: text is missing here]\n";
	const struct table *t = report_table(r, KTD_TBL_TEXT);
	size_t nr = 0, total = 0, out = 0;
	uint64_t end = 0;

	v = calloc(t->nr_rows + 1, sizeof(*v));
	if (!v)
		return;
	for (size_t i = 0; i < t->nr_rows; i++) {
		uint64_t owner;

		if (row_u64(t, t->rows[i], KTD_TEXT_SCHED_KVA, &owner) || owner != kva ||
		    row_u64(t, t->rows[i], KTD_TEXT_OFF, &v[nr].off) || v[nr].off > UINT32_MAX)
			continue;
		if (row_bin(t, t->rows[i], KTD_TEXT_TEXT, &v[nr].text, &v[nr].len) &&
		    row_str(t, t->rows[i], KTD_TEXT_TEXT, (const char **)&v[nr].text, &v[nr].len))
			continue;
		total += v[nr++].len + sizeof(gap);
	}
	if (!nr)
		return;
	qsort(v, nr, sizeof(*v), by_off);
	buf = malloc(total);
	if (!buf)
		return;
	for (size_t i = 0; i < nr; i++) {
		size_t skip = 0;

		if (v[i].off > end) {
			memcpy(buf + out, gap, sizeof(gap) - 1);
			out += sizeof(gap) - 1;
		} else {
			skip = end - v[i].off;
		}
		if (skip >= v[i].len)
			continue;
		memcpy(buf + out, v[i].text + skip, v[i].len - skip);
		out += v[i].len - skip;
		end = v[i].off + v[i].len;
	}
	json_add_text(r->doc, obj, "dump", buf, out);
	if (kernel_truncated(buf, out))
		yyjson_mut_obj_add_bool(r->doc, obj, "dump_truncated", true);
}

static void add_exit(struct report *r, yyjson_mut_val *arr, row_t row)
{
	static const unsigned int special[] = { KTD_EXIT_BT, COLS_END };
	const struct table *t = report_table(r, KTD_TBL_EXIT);
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
	const msgpack_object *pcs;
	uint64_t v;
	size_t nr;

	json_add_cols(r->doc, obj, t, row, special);
	if (!row_u64(t, row, KTD_EXIT_KIND, &v))
		report_add_enum(r, obj, "kind_name", "scx_exit_kind", v);
	if (!row_array(t, row, KTD_EXIT_BT, &pcs, &nr))
		yyjson_mut_obj_add_val(r->doc, obj, "bt", report_stack(r, pcs, nr));
	if (!row_u64(t, row, KTD_EXIT_SCHED_KVA, &v))
		add_dump(r, obj, v);
}

/* The one that set off the snapshot comes first. */
void exits_detail(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_EXIT);
	row_t begin = snapshot_single(r->snap, KTD_TBL_BEGIN);
	uint64_t cause = 0, kva;
	yyjson_mut_val *arr;

	if (!t->header)
		return;
	if (begin)
		row_u64(report_table(r, KTD_TBL_BEGIN), begin, KTD_BEGIN_SCHED_KVA, &cause);
	arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "exits");
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < t->nr_rows && i < REPORT_MAX_LIST; i++) {
			kva = row_u64_or(t, t->rows[i], KTD_EXIT_SCHED_KVA, 0);
			if ((cause && kva == cause) == !pass)
				add_exit(r, arr, t->rows[i]);
		}
}
