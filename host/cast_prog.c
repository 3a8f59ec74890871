// SPDX-License-Identifier: GPL-2.0-only
/* A program: its functions and blocks, and the walk until nothing changes. */
#include <errno.h>
#include <string.h>

#include "cast_impl.h"

/* A step is about an instruction that is looked at. */
#define STEPS_PER_INSN	256		/* of one program in one pass */
#define STEPS_MIN	(1 << 20)

static bool is_wide(const struct bpf_insn *in)
{
	return in->code == (BPF_LD | BPF_IMM | BPF_DW);
}

static bool is_jump(const struct bpf_insn *in)
{
	return BPF_CLASS(in->code) == BPF_JMP || BPF_CLASS(in->code) == BPF_JMP32;
}

static bool is_sub_call(const struct bpf_insn *in)
{
	return in->code == (BPF_JMP | BPF_CALL) && in->src_reg == BPF_PSEUDO_CALL;
}

#define NOWHERE INT64_MIN

/* Where a jump goes that is no call and no exit. */
static int64_t jump_target(const struct bpf_insn *in, size_t pc)
{
	if (in->code == (BPF_JMP32 | BPF_JA))
		return (int64_t)pc + 1 + in->imm;
	switch (BPF_OP(in->code)) {
	case BPF_CALL:
	case BPF_EXIT:
	case JUMP_TAIL_CALL:
		return NOWHERE;
	}
	return (int64_t)pc + 1 + in->off;
}

/*
 * Where a subprogram begins that is called here. Of off and imm one is the distance, the
 * other the number of the subprogram: which, depends on the kernel. -1: neither.
 */
static int64_t call_target(const struct cast_prog *p, const struct bpf_insn *in, size_t pc)
{
	if (!p->linked)
		return (int64_t)pc + 1 + in->imm;
	if (in->off >= 0 && (size_t)in->off < p->nr_funcs &&
	    p->funcs[in->off].insn == (int64_t)pc + 1 + in->imm)
		return p->funcs[in->off].insn;
	/* The distance has been cut to 16 bits. */
	if (in->imm >= 0 && (size_t)in->imm < p->nr_funcs &&
	    (int16_t)(p->funcs[in->imm].insn - pc - 1) == in->off)
		return p->funcs[in->imm].insn;
	return -1;
}

#define IS_LEADER	1
#define IS_FUNC		2
#define IS_SECOND	4	/* half of a wide instruction */

static bool mark(uint8_t *marks, size_t nr, int64_t pc, uint8_t what)
{
	if (pc < 0 || (uint64_t)pc >= nr)
		return false;
	marks[pc] |= what;
	return true;
}

/* False: this is no program. */
static bool scan(const struct cast_prog *p, uint8_t *marks)
{
	for (size_t i = 0; i < p->nr_funcs; i++) {
		if (!mark(marks, p->nr, p->funcs[i].insn, IS_FUNC))
			return false;
	}
	mark(marks, p->nr, 0, IS_FUNC);
	for (size_t pc = 0; pc < p->nr; pc++) {
		const struct bpf_insn *in = &p->insns[pc];
		int64_t to;

		if (is_wide(in)) {
			if (pc + 1 >= p->nr)
				return false;
			if (in->src_reg == PSEUDO_FUNC && !p->linked)
				mark(marks, p->nr, (int64_t)pc + in->imm + 1, IS_FUNC);
			marks[++pc] |= IS_SECOND;
			continue;
		}
		if (is_sub_call(in) && !mark(marks, p->nr, call_target(p, in, pc), IS_FUNC))
			return false;
		if (!is_jump(in))
			continue;
		/* A jump to an address in a register could go anywhere. */
		if (BPF_OP(in->code) == BPF_JA && BPF_SRC(in->code) == BPF_X)
			return false;
		to = jump_target(in, pc);
		if (to != NOWHERE && !mark(marks, p->nr, to, IS_LEADER))
			return false;
		if (BPF_OP(in->code) != BPF_CALL && BPF_OP(in->code) != JUMP_TAIL_CALL &&
		    pc + 1 < p->nr)
			marks[pc + 1] |= IS_LEADER;
	}
	for (size_t pc = 0; pc < p->nr; pc++) {
		if ((marks[pc] & IS_SECOND) && marks[pc] != IS_SECOND)
			return false;
	}
	return true;
}

static int count_parts(struct walk *w, const uint8_t *marks)
{
	const struct cast_prog *p = &w->p->in;

	for (size_t pc = 0; pc < p->nr; pc++) {
		w->nr_funcs += (marks[pc] & IS_FUNC) != 0;
		w->nr_blocks += (marks[pc] & (IS_FUNC | IS_LEADER)) != 0;
		w->nr_calls += !(marks[pc] & IS_SECOND) &&
			       p->insns[pc].code == (BPF_JMP | BPF_CALL);
	}
	w->block_of = calloc(p->nr, sizeof(*w->block_of));
	w->call_of = calloc(p->nr, sizeof(*w->call_of));
	w->funcs = calloc(w->nr_funcs, sizeof(*w->funcs));
	w->blocks = calloc(w->nr_blocks, sizeof(*w->blocks));
	w->queue = calloc(w->nr_blocks, sizeof(*w->queue));
	w->calls = calloc(w->nr_calls + 1, sizeof(*w->calls));
	return w->block_of && w->call_of && w->funcs && w->blocks && w->queue && w->calls ?
	       0 : -ENOMEM;
}

static uint32_t func_at(const struct walk *w, uint32_t pc)
{
	size_t lo = 0, hi = w->nr_funcs;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->funcs[mid].start <= pc)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* By their names, as long as they return something that a pointer fits in. */
static uint8_t gives(const struct btf *btf, const struct btf_type *func)
{
	const char *name = cast_name_at(btf, func->name_off);
	const struct btf_type *proto = btf__type_by_id(btf, func->type);
	uint8_t what = !strcmp(name, "scx_alloc_internal") ? GIVES_SLOT :
		       !strcmp(name, "scx_static_alloc_internal") ? GIVES_BYTES : GIVES_NOTHING;
	uint64_t size;

	if (!what || !proto || !btf_is_func_proto(proto) || !proto->type ||
	    !cast_size_of(btf, proto->type, &size) || size != sizeof(uint64_t))
		return GIVES_NOTHING;
	return what;
}

static void name_funcs(struct walk *w)
{
	const struct cast_prog *p = &w->p->in;

	for (size_t i = 0; i < p->nr_funcs; i++) {
		struct func *f = &w->funcs[func_at(w, p->funcs[i].insn)];
		const struct btf_type *t = p->btf ? btf__type_by_id(p->btf, p->funcs[i].id) : NULL;

		f->id = p->funcs[i].id;
		f->global = t && btf_is_func(t) && btf_vlen(t) == BTF_FUNC_GLOBAL;
		f->gives = t && btf_is_func(t) ? gives(p->btf, t) : GIVES_NOTHING;
	}
}

/* Blocks, functions and calls. */
static int divide(struct walk *w, const uint8_t *marks)
{
	const struct cast_prog *p = &w->p->in;
	size_t block = 0, func = 0, nr_call = 0;
	int err = count_parts(w, marks);

	if (err)
		return err;
	for (size_t pc = 0; pc < p->nr; pc++) {
		if (marks[pc] & IS_FUNC) {
			if (func)
				w->funcs[func - 1].end = pc;
			w->funcs[func++] = (struct func){ .start = pc, .end = p->nr };
		}
		if (marks[pc] & (IS_FUNC | IS_LEADER)) {
			if (block)
				w->blocks[block - 1].end = pc;
			w->blocks[block++] = (struct block){
				.start = pc, .end = p->nr, .func = func - 1,
			};
			w->block_of[pc] = block;
		}
	}
	name_funcs(w);
	block = 0;
	for (size_t pc = 0; pc < p->nr && !w->error; pc++) {
		const struct bpf_insn *in = &p->insns[pc];
		struct call *k = &w->calls[nr_call];

		if (w->block_of[pc])
			block = w->block_of[pc] - 1;
		if ((marks[pc] & IS_SECOND) || in->code != (BPF_JMP | BPF_CALL))
			continue;
		w->call_of[pc] = ++nr_call;
		k->block = block;
		if (is_sub_call(in)) {
			k->kind = CALL_SUB;
			k->func = func_at(w, call_target(p, in, pc));
			k->next = w->funcs[k->func].calls;
			w->funcs[k->func].calls = nr_call;
		} else {
			cast_classify(w, k, pc, in);
		}
	}
	return w->error;
}

static void restart(struct walk *w)
{
	for (size_t i = 0; i < w->nr_blocks; i++) {
		free(w->blocks[i].in);
		w->blocks[i].in = NULL;
		w->blocks[i].queued = false;
	}
	for (size_t i = 0; i < w->nr_funcs; i++) {
		w->funcs[i].entered = false;
		w->funcs[i].returns = false;
	}
	w->reached = 0;
	w->head = 0;
	w->nr_queue = 0;
}

static void settle(struct walk *w)
{
	struct state st = {};

	st.r[1] = (struct val){ .kind = V_CTX };
	st.r[FP_REG] = (struct val){ .kind = V_FRAME };
	w->funcs[0].entered = true;
	cast_flow(w, &st, 0);
	while (w->nr_queue && !w->error) {
		uint32_t b = w->queue[w->head];

		w->head = (w->head + 1) % w->nr_blocks;
		w->nr_queue--;
		w->blocks[b].queued = false;
		cast_walk_block(w, b);
	}
}

static void walk_deinit(struct walk *w)
{
	for (size_t i = 0; w->blocks && i < w->nr_blocks; i++)
		free(w->blocks[i].in);
	free(w->block_of);
	free(w->call_of);
	free(w->funcs);
	free(w->blocks);
	free(w->queue);
	free(w->calls);
}

int cast_walk_prog(struct casts *c, size_t nr)
{
	_cleanup_(walk_deinit) struct walk w = { .c = c, .nr_prog = nr };
	_cleanup_free_ uint8_t *marks = NULL;
	struct prog *p = &c->progs[nr];
	int64_t steps = STEPS_MIN + STEPS_PER_INSN * (int64_t)p->in.nr;
	bool leaked;

	if (steps > c->steps)
		steps = c->steps;
	w.p = p;
	w.steps = steps;
	marks = calloc(p->in.nr, 1);
	if (!marks)
		return -ENOMEM;
	if (!scan(&p->in, marks))
		return -EINVAL;
	w.error = divide(&w, marks);
	do {
		leaked = w.leaked;
		restart(&w);
		settle(&w);
	} while (w.leaked != leaked && !w.error);
	w.record = true;
	for (size_t i = 0; i < w.nr_blocks && !w.error; i++) {
		if (w.blocks[i].in)
			cast_walk_block(&w, i);
	}
	c->steps -= steps - (w.steps > 0 ? w.steps : 0);
	return w.error;
}
