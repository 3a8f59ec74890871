// SPDX-License-Identifier: GPL-2.0-only
/* Which numbers are pointers: instructions, BTF and maps, all from the input (inputs.h). */
#include <errno.h>
#include <bpf/libbpf.h>

#include "fuzz.h"
#include "inputs.h"

#define MAX_PARTS 256

struct program {
	struct cast_head head;
	struct cast_map_part parts[MAX_PARTS];
	struct cast_map maps[MAX_PARTS];
	struct cast_func_part func_parts[MAX_PARTS];
	struct cast_func funcs[MAX_PARTS];
	struct cast_call_part calls[MAX_PARTS];
	struct btf *own, *kernel;
	struct bpf_insn *insns;
	size_t nr;
};

static bool place(void *ctx, size_t pc, uint64_t v, struct cast_place *ret)
{
	const struct program *p = ctx;

	(void)pc;
	for (size_t i = 0; i < p->head.maps; i++) {
		const struct cast_map_part *m = &p->parts[i];

		if (v != m->kva && v - m->values >= m->len)
			continue;
		*ret = (struct cast_place){ .map = i, .value = v != m->kva,
					    .off = v != m->kva ? v - m->values : 0 };
		return true;
	}
	return false;
}

static bool callee(void *ctx, size_t pc, const struct bpf_insn *in, struct cast_name *ret)
{
	const struct program *p = ctx;

	(void)pc;
	for (size_t i = 0; i < p->head.calls; i++) {
		ret->s = p->calls[i].name;
		ret->len = strnlen(ret->s, sizeof(p->calls[i].name));
		if (p->calls[i].imm == in->imm && ret->len)
			return true;
	}
	return false;
}

static struct btf *in_btf(struct in *in, size_t types, size_t strings)
{
	struct btf_part part = { .types = in_bytes(in, &types) };

	part.strings = in_bytes(in, &strings);
	part.types_len = types;
	part.strings_len = strings;
	return btf_from_part(&part);
}

static void in_array(struct in *in, void *ret, size_t nr, size_t size)
{
	size_t len = nr * size;
	const uint8_t *p = in_bytes(in, &len);

	memcpy(ret, p, len);
}

static void load(struct in *in, struct program *p)
{
	size_t len, n = 0;

	in_array(in, &p->head, 1, sizeof(p->head));
	in_array(in, p->parts, p->head.maps, sizeof(*p->parts));
	in_array(in, p->func_parts, p->head.funcs, sizeof(*p->func_parts));
	in_array(in, p->calls, p->head.calls, sizeof(*p->calls));
	len = p->head.insns * sizeof(*p->insns);
	p->insns = (struct bpf_insn *)in_copy(in, &len);
	p->nr = len / sizeof(*p->insns);
	p->own = in_btf(in, p->head.own_types, p->head.own_strings);
	p->kernel = in_btf(in, p->head.kernel_types, p->head.kernel_strings);
	for (size_t i = 0; i < p->head.maps; i++)
		p->maps[i] = (struct cast_map){
			p->parts[i].value_type ? p->own : NULL, p->parts[i].value_type,
			p->parts[i].type, p->parts[i].value_size,
		};
	/* What reads them from the wire lets only ascending ones through. */
	for (size_t i = 0; i < p->head.funcs; i++)
		if (p->func_parts[i].insn < p->nr && (!n || p->func_parts[i].insn > p->funcs[n - 1].insn))
			p->funcs[n++] = (struct cast_func){ p->func_parts[i].insn, p->func_parts[i].id };
	p->head.funcs = n;
}

static void add(struct casts *c, struct program *p, size_t from, size_t nr)
{
	struct cast_prog prog = {
		.btf = p->own, .kernel = p->kernel, .insns = p->insns + from, .nr = nr,
		.funcs = p->funcs, .nr_funcs = from ? 0 : p->head.funcs,
		.linked = p->head.flags & CAST_LINKED, .ctx_btf = p->kernel,
		.ctx_proto = p->kernel ? p->head.ctx_proto : 0, .maps = p->maps,
		.nr_maps = p->head.maps, .place = place, .callee = callee, .ctx = p,
	};
	int err;

	while (prog.nr_funcs && prog.funcs[prog.nr_funcs - 1].insn >= nr)
		prog.nr_funcs--;
	err = casts_add(c, &prog);
	must(!err || err == -EINVAL || err == -E2BIG);
}

static void check_field(const struct casts *c, const struct cast_field *f)
{
	struct cast_hit hit;

	must(casts_find(c, f->btf, f->owner, f->off, &hit));
	must(hit.btf == f->hit.btf && hit.id == f->hit.id && hit.arena == f->hit.arena);
	must(btf__type_by_id(f->btf, f->owner_id) == f->owner);
	must(!hit.id || btf__type_by_id(hit.btf, hit.id));
	must(cast_type_name(f->btf, f->owner_id) && cast_type_name(hit.btf, hit.id));
	must(cast_member_name(f));
	for (uint32_t i = 0; i < hit.nr_accesses; i++)
		must(hit.accesses[i].size);
	for (uint32_t id = 0; id < 8; id++)
		cast_fits(&hit, f->btf, id);
}

static void check(const struct casts *c, const struct program *p)
{
	_cleanup_casts_ struct casts *twin = casts_new();
	const struct cast_field *f;
	const uint32_t *sizes;
	size_t nr, nr_sizes, nr_twin;

	f = casts_fields(c, &nr);
	for (size_t i = 0; i < nr; i++)
		check_field(c, &f[i]);
	sizes = casts_sizes(c, &nr_sizes);
	for (size_t i = 1; i < nr_sizes; i++)
		must(sizes[i - 1] < sizes[i]);
	must(twin && !casts_solve(twin));
	if (!casts_cover(c, p->own))
		return;
	must(!casts_adopt(twin, p->own, c));
	casts_fields(twin, &nr_twin);
	must(nr_twin <= nr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ struct program *p = calloc(1, sizeof(*p));
	_cleanup_casts_ struct casts *c = casts_new();
	struct in in = { data, size };
	size_t half;

	must(p && c);
	load(&in, p);
	if (p->own) {
		half = p->head.flags & CAST_SPLIT ? p->nr / 2 : p->nr;
		add(c, p, 0, half);
		if (half < p->nr)
			add(c, p, half, p->nr - half);
		must(!casts_solve(c));
		must(casts_left_out(c) <= 2);
		check(c, p);
	}
	free(p->insns);
	btf__free(p->own);
	btf__free(p->kernel);
	return p->own ? 0 : -1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	libbpf_set_print(NULL);
	return 0;
}
