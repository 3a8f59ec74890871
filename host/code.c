// SPDX-License-Identifier: GPL-2.0-only
/* Instructions of programs, and what they tell about fields that BTF calls numbers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "payload_type.h"
#include "report.h"
#include "sched_obj.h"

#define PROG_TYPE_STRUCT_OPS 27
#define MAP_TYPE_STRUCT_OPS 26
#define MAX_FUNCS 4096

struct range {			/* values of an array */
	uint64_t start, end;
	uint32_t map;
};

struct program {
	struct bpf_insn *insns;
	struct cast_func *funcs;
};

struct code {
	struct report *r;
	struct cast_map *maps;		/* as r->maps_by_kva */
	struct range *ranges;
	size_t nr_ranges;
	struct program *progs;		/* by row of CODE */
	uint64_t call_base;		/* of the program that is asked about: the same for all */
};

static void code_deinit(struct code *k)
{
	size_t nr = report_table(k->r, KTD_TBL_CODE)->nr_rows;

	for (size_t i = 0; k->progs && i < nr; i++) {
		free(k->progs[i].insns);
		free(k->progs[i].funcs);
	}
	free(k->progs);
	free(k->maps);
	free(k->ranges);
}

static uint32_t u32_of(const struct table *t, row_t row, unsigned int col)
{
	uint64_t v = row_u64_or(t, row, col, 0);

	return v <= UINT32_MAX ? v : 0;
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int load_maps(struct code *k)
{
	const struct table *t = report_table(k->r, KTD_TBL_MAP);
	const struct table *contents = report_table(k->r, KTD_TBL_CONTENT);
	struct report *r = k->r;

	k->maps = calloc(r->nr_maps + 1, sizeof(*k->maps));
	k->ranges = calloc(r->nr_maps + 1, sizeof(*k->ranges));
	if (!k->maps || !k->ranges)
		return -ENOMEM;
	for (size_t i = 0; i < r->nr_maps; i++) {
		row_t row = t->rows[r->maps_by_kva[i].row];
		row_t content = report_row(contents, r->contents, r->nr_contents,
					   r->maps_by_kva[i].kva);
		struct cast_map *m = &k->maps[i];
		struct range *range = &k->ranges[k->nr_ranges];
		uint64_t size;

		m->type = u32_of(t, row, KTD_MAP_MAP_TYPE);
		m->value_size = u32_of(t, row, KTD_MAP_VALUE_SIZE);
		m->value_type = u32_of(t, row, KTD_MAP_BTF_VALUE_TYPE_ID);
		if (m->value_type && m->type != MAP_TYPE_STRUCT_OPS)
			m->btf = report_btf(r, row_u64_or(t, row, KTD_MAP_BTF_KVA, 0), NULL);
		if (!content || !row_str_is(contents, content, KTD_CONTENT_FORM, KTD_FORM_ARRAY))
			continue;
		range->map = i;
		range->start = row_u64_or(contents, content, KTD_CONTENT_VALUES_KVA, 0);
		if (range->start &&
		    !__builtin_mul_overflow(row_u64_or(contents, content, KTD_CONTENT_STRIDE, 0),
					    row_u64_or(t, row, KTD_MAP_MAX_ENTRIES, 0), &size) &&
		    !__builtin_add_overflow(range->start, size, &range->end))
			k->nr_ranges++;
	}
	qsort(k->ranges, k->nr_ranges, sizeof(*k->ranges), by_start);
	return 0;
}

/* A 64-bit constant is what the verifier made of a map. */
static bool place(void *ctx, size_t pc, uint64_t value, struct cast_place *ret)
{
	const struct code *k = ctx;
	size_t first, lo = 0, hi = k->nr_ranges;

	(void)pc;
	if (!(value >> 63))
		return false;
	if (report_range(k->r->maps_by_kva, k->r->nr_maps, value, &first)) {
		*ret = (struct cast_place){ .map = first };
		return true;
	}
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (k->ranges[mid].start <= value)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || value >= k->ranges[lo - 1].end)
		return false;
	*ret = (struct cast_place){
		.map = k->ranges[lo - 1].map, .value = true,
		.off = value - k->ranges[lo - 1].start,
	};
	return true;
}

static bool callee(void *ctx, size_t pc, const struct bpf_insn *insn, struct cast_name *ret)
{
	const struct code *k = ctx;

	(void)pc;
	return k->call_base && symbol_function(&k->r->symbols, k->call_base + (int64_t)insn->imm,
					       &ret->s, &ret->len);
}

/* Pieces from the first instruction on, as far as they follow each other. */
static size_t load_insns(struct code *k, uint64_t prog, struct program *ret)
{
	const struct table *t = report_table(k->r, KTD_TBL_INSN);
	size_t first, nr = report_range(k->r->insns, k->r->nr_insns, prog, &first), fill = 0;
	const uint8_t *data;
	uint64_t off;
	size_t len;

	for (int pass = 0; pass < 2; pass++) {
		fill = 0;
		for (size_t i = first; i < first + nr; i++) {
			row_t row = t->rows[k->r->insns[i].row];

			if (row_u64(t, row, KTD_INSN_OFF, &off) || off != fill ||
			    row_bin(t, row, KTD_INSN_DATA, &data, &len) ||
			    len > CAST_MAX_INSNS * sizeof(*ret->insns) - fill)
				break;
			if (pass)
				memcpy((uint8_t *)ret->insns + fill, data, len);
			fill += len;
		}
		if (!fill)
			return 0;
		if (!pass)
			ret->insns = malloc(fill);
		if (!ret->insns)
			return 0;
	}
	return fill / sizeof(*ret->insns);
}

static size_t load_funcs(const struct table *t, row_t row, size_t nr_insns, struct program *ret)
{
	const msgpack_object *v;
	size_t len, n = 0;

	if (row_array(t, row, KTD_CODE_FUNC_INFO, &v, &len) || len / 2 > MAX_FUNCS)
		return 0;
	ret->funcs = calloc(len / 2 + 1, sizeof(*ret->funcs));
	for (size_t i = 0; ret->funcs && i + 1 < len; i += 2) {
		if (v[i].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
		    v[i + 1].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
		    v[i].via.u64 >= nr_insns || v[i + 1].via.u64 > UINT32_MAX ||
		    (n && v[i].via.u64 <= ret->funcs[n - 1].insn))
			return 0;
		ret->funcs[n++] = (struct cast_func){ v[i].via.u64, v[i + 1].via.u64 };
	}
	return n;
}

/* The parameters of a struct_ops program are those of the member that it is for. */
static uint32_t ops_proto(const struct report *r, uint64_t kva, const struct btf *kernel)
{
	const struct table *t = report_table(r, KTD_TBL_PROG);
	row_t row = report_row(t, r->progs_by_kva, r->nr_progs_by_kva, kva);
	const struct btf_type *ops, *m;
	uint64_t off;

	if (!row || row_u64_or(t, row, KTD_PROG_TYPE, 0) != PROG_TYPE_STRUCT_OPS ||
	    row_u64(t, row, KTD_PROG_MEMBER_OFF, &off))
		return 0;
	ops = btf__type_by_id(kernel, u32_of(t, row, KTD_PROG_ATTACH_BTF_ID));
	if (!ops || !btf_is_struct(ops))
		return 0;
	for (unsigned int i = 0; i < btf_vlen(ops); i++) {
		if (btf_member_bit_offset(ops, i) != off * 8)
			continue;
		m = btf__type_by_id(kernel, btf_members(ops)[i].type);
		if (!m || !btf_is_ptr(m))
			return 0;
		off = m->type;
		m = btf__type_by_id(kernel, off);
		return m && btf_is_func_proto(m) ? off : 0;
	}
	return 0;
}

static int add_prog(struct code *k, struct casts *casts, size_t nr, const struct btf *kernel)
{
	const struct table *t = report_table(k->r, KTD_TBL_CODE);
	struct program *prog = &k->progs[nr];
	uint64_t kva = row_u64_or(t, t->rows[nr], KTD_CODE_PROG_KVA, 0);
	uint64_t btf_kva = row_u64_or(t, t->rows[nr], KTD_CODE_BTF_KVA, 0);
	struct cast_prog p = {
		.kernel = kernel, .linked = true, .ctx_btf = kernel, .maps = k->maps,
		.nr_maps = k->r->nr_maps, .place = place, .callee = callee, .ctx = k,
	};

	p.btf = btf_kva ? report_btf(k->r, btf_kva, NULL) : NULL;
	/* Half a program says half the truth. */
	if (!p.btf || prog->insns || row_u64_or(t, t->rows[nr], KTD_CODE_INSNS, 0) !=
				     row_u64_or(t, t->rows[nr], KTD_CODE_TAKEN, 1))
		return -EINVAL;
	p.nr = load_insns(k, kva, prog);
	if (!p.nr || p.nr != row_u64_or(t, t->rows[nr], KTD_CODE_INSNS, 0))
		return -EINVAL;
	p.insns = prog->insns;
	p.nr_funcs = load_funcs(t, t->rows[nr], p.nr, prog);
	p.funcs = prog->funcs;
	p.ctx_proto = ops_proto(k->r, kva, kernel);
	return casts_add(casts, &p);
}

static int add_progs(struct code *k, struct casts *casts)
{
	const struct table *t = report_table(k->r, KTD_TBL_CODE);
	/* Without it offsets of kernel types in programs' BTF are another kernel's. */
	const struct btf *kernel = t->nr_rows ? report_kernel_btf(k->r, NULL) : NULL;
	int err = kernel ? load_maps(k) : 0;

	k->progs = calloc(t->nr_rows + 1, sizeof(*k->progs));
	if (err || !k->progs)
		return -ENOMEM;
	for (size_t i = 0; kernel && i < t->nr_rows; i++) {
		uint64_t base = row_u64_or(t, t->rows[i], KTD_CODE_CALL_BASE, 0);

		if (!k->call_base)
			k->call_base = base;
		if (base == k->call_base && add_prog(k, casts, i, kernel) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

/* What an object file knows about programs whose instructions did not come. */
static int adopt(struct report *r, struct casts *casts)
{
	int err = 0;

	for (size_t i = 0; r->snap->sched_obj && i < report_nr_btfs(r) && !err; i++) {
		const struct btf *btf = report_prog_btf(r, i);
		const struct casts *from = btf && !casts_cover(casts, btf) ?
					   sched_obj_match(r->snap->sched_obj, btf) : NULL;

		if (from)
			err = casts_adopt(casts, btf, from);
	}
	return err;
}

const struct casts *report_casts(struct report *r)
{
	_cleanup_(code_deinit) struct code k = { .r = r };
	_cleanup_casts_ struct casts *casts = NULL;

	if (r->casts_tried ||
	    (!report_table(r, KTD_TBL_CODE)->nr_rows && !r->snap->sched_obj))
		return r->casts;
	r->casts_tried = true;
	casts = casts_new();
	if (!casts || add_progs(&k, casts) || casts_solve(casts) || adopt(r, casts))
		return NULL;
	r->casts = casts;
	casts = NULL;
	return r->casts;
}

/* ---------------------------------------------------------------------- ktdump.code */

static void add_name(struct report *r, yyjson_mut_val *obj, const char *key, const char *s)
{
	if (*s)
		yyjson_mut_obj_add_val(r->doc, obj, key, json_text(r->doc, s, strlen(s)));
	else
		yyjson_mut_obj_add_null(r->doc, obj, key);
}

/* What it points to, and how that is known. */
static const char *target_of(struct report *r, const struct cast_field *f, const char **by_ret)
{
	struct payload_found found;

	*by_ret = f->hit.shape ? "shape" : f->hit.id ? "type" : "use";
	if (f->hit.id || !f->hit.arena || !payload_by_size(r, &f->hit, &found))
		return cast_type_name(f->hit.btf, f->hit.id);
	*by_ret = found.guess ? "guess" : "size";
	return cast_type_name(found.btf, found.id);
}

static void casts_detail(struct report *r, const struct casts *casts)
{
	yyjson_mut_val *arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "casts");
	const struct cast_field *f;
	size_t nr;

	f = casts_fields(casts, &nr);
	for (size_t i = 0; i < nr; i++, f++) {
		yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
		const char *by, *target = target_of(r, f, &by);

		add_name(r, obj, "type", cast_type_name(f->btf, f->owner_id));
		add_name(r, obj, "member", cast_member_name(f));
		json_add_u64(r->doc, obj, "offset", f->off);
		add_name(r, obj, "target", target);
		yyjson_mut_obj_add_bool(r->doc, obj, "arena", f->hit.arena);
		yyjson_mut_obj_add_str(r->doc, obj, "by", by);
		if (f->hit.size)
			json_add_u64(r->doc, obj, "size", f->hit.size);
	}
	if (casts_left_out(casts)) {
		char why[80];

		snprintf(why, sizeof(why), "%zu programs take too long to analyse, or are none",
			 casts_left_out(casts));
		report_add_missing(r, "casts", why);
	}
}

void code_detail(struct report *r)
{
	/* The parts of BTF mean something in there only. */
	static const unsigned int skip[] = {
		KTD_CODE_BTF_KVA, KTD_CODE_CALL_BASE, KTD_CODE_FUNC_INFO, COLS_END,
	};
	const struct table *t = report_table(r, KTD_TBL_CODE);
	const struct casts *casts = report_casts(r);

	if (t->header)
		yyjson_mut_obj_add_val(r->doc, r->ktdump, "code", json_rows(r->doc, t, skip));
	if (casts)
		casts_detail(r, casts);
}
