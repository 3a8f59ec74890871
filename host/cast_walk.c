// SPDX-License-Identifier: GPL-2.0-only
/* What instructions do to what is known about registers and stack. */
#include <errno.h>
#include <string.h>

#include "cast_impl.h"

#define MODE_MEM	0x60
#define MODE_ATOMIC	0xc0
#define MODE_ARENA	0xa0	/* BPF_PROBE_MEM32 */
#define MODE_ARENA_ATOMIC 0xe0
#define ADDR_SPACE_CAST	1	/* in off of a move */
#define ADDR_PERCPU	(-1)
#define LOAD_ACQ	0x100
#define STORE_REL	0x110
#define STEPS_JOIN	8
#define MAX_BLOCKS	32768	/* that are reached, of one program */

static const struct val unknown = { .kind = V_UNKNOWN };
static const struct val number = { .kind = V_NUM };

static struct val constant(int64_t v)
{
	if (v < INT32_MIN || v > INT32_MAX)
		return number;
	return (struct val){ .kind = V_CONST, .off = v };
}

static bool val_equal(const struct val *a, const struct val *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool is_zero(const struct val *v)
{
	return v->kind == V_CONST && !v->off;
}

/* A pointer to type id; unknown when it is nothing that has members. */
static struct val pointer_to(struct walk *w, uint32_t btf, uint32_t id)
{
	const struct btf_type *t = id ? render_peel(w->c->types[btf].btf, &id) : NULL;
	uint32_t k;

	if (!t || (!cast_is_composite(t) && btf_kind(t) != BTF_KIND_FWD))
		return unknown;
	k = cast_is_composite(t) ? cast_canonical(w, btf, id) : 0;
	if (k)
		return (struct val){ .kind = V_PTR, .btf = w->p->kernel, .id = k };
	return (struct val){ .kind = V_PTR, .btf = btf, .id = id };
}

static struct val task_pointer(struct walk *w)
{
	uint32_t id = cast_names_find(&w->c->names, "task_struct", 11, BTF_KIND_STRUCT);

	return id ? (struct val){ .kind = V_PTR, .btf = w->p->kernel, .id = id } : unknown;
}

/* A pointer to a value of a map, off bytes into it; also to sections of variables. */
static struct val value_of(struct walk *w, uint32_t map, uint64_t off)
{
	const struct cast_map *m = &w->p->in.maps[map];
	uint32_t id = m->value_type;
	const struct btf_type *t = m->btf && id ? render_peel(m->btf, &id) : NULL;
	struct val v = { .kind = V_PTR, .id = id, .off = off };

	if (!t || off > INT32_MAX)
		return unknown;
	for (v.btf = 0; v.btf < w->c->nr_types; v.btf++) {
		if (w->c->types[v.btf].btf == m->btf)
			return v;
	}
	return unknown;
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/* What it is certainly a multiple of; 0 stands for the number 0. */
static uint64_t step_of(const struct val *v)
{
	if (v->kind == V_CONST)
		return v->off < 0 ? -(int64_t)v->off : v->off;
	return v->ext ? v->ext : 1;
}

static struct val multiple_of(uint64_t n)
{
	struct val v = number;

	if (!n)
		return constant(0);
	v.ext = n <= INT32_MAX ? n : 1;
	return v;
}

static bool is_number(const struct val *v)
{
	return v->kind == V_NUM || v->kind == V_CONST;
}

static bool is_pointer(const struct val *v)
{
	return v->kind >= V_PTR;
}

/* Two ways meet. */
static struct val join(struct walk *w, const struct val *a, const struct val *b)
{
	if (val_equal(a, b))
		return *a;
	if (is_number(a) && is_number(b))
		return multiple_of(gcd(step_of(a), step_of(b)));
	/* A null pointer is one of every kind. */
	if (is_zero(a) && is_pointer(b) && b->kind != V_FRAME)
		return *b;
	if (is_zero(b) && is_pointer(a) && a->kind != V_FRAME)
		return *a;
	if (a->kind == V_FRAME && b->kind == V_FRAME)
		return (struct val){ .kind = V_FRAME, .low = 1 };
	if (a->kind == V_FRAME || b->kind == V_FRAME)
		w->leaked = true;
	if (a->kind == V_PTR && b->kind == V_PTR && a->btf == b->btf && a->id == b->id &&
	    a->off == b->off && a->low == b->low) {
		struct val v = *a;

		/* The same type from two places. */
		v.arena &= b->arena;
		v.ext = a->ext == b->ext ? a->ext : 0;
		return v;
	}
	return unknown;
}
/* --------------------------------------------------------------------- memory access */

/* The plain u64 at off in what v points to; UINT32_MAX when there is none. */
static uint32_t field_at(struct walk *w, const struct val *v, int64_t off, uint32_t size)
{
	const struct btf *btf = w->c->types[v->btf].btf;
	struct spot at;

	if (v->kind != V_PTR || off < 0 || v->btf == w->p->kernel)
		return UINT32_MAX;
	if (size != 8) {
		/* A part of one. */
		if (!cast_locate(w, btf, 0, 0, v->id, off & ~7LL, 8, 0, &at))
			return UINT32_MAX;
	} else if (!cast_locate(w, btf, 0, 0, v->id, off, 8, 0, &at)) {
		return UINT32_MAX;
	}
	if (!at.owner || !cast_is_u64(at.leaf))
		return UINT32_MAX;
	return cast_class_of(w, v->btf, at.owner, at.off);
}

static struct val load_typed(struct walk *w, const struct val *v, int64_t off)
{
	const struct btf *btf = w->c->types[v->btf].btf;
	struct spot at;
	struct val p;

	if (off < 0 || !cast_locate(w, btf, 0, 0, v->id, off, 8, 0, &at))
		return unknown;
	switch (btf_kind(at.leaf)) {
	case BTF_KIND_PTR:
		p = pointer_to(w, v->btf, at.leaf->type);
		/* Pointers in an arena may be of its own or not. */
		return p;
	case BTF_KIND_INT:
		if (!cast_is_u64(at.leaf))
			return number;
		if (v->btf == w->p->kernel || !at.owner)
			return unknown;
		return cast_value_from(w, cast_class_of(w, v->btf, at.owner, at.off));
	default:
		return number;
	}
}

/* Parameter nr of a struct_ops function or an attached one. */
static struct val argument(struct walk *w, int64_t off)
{
	const struct btf *btf = w->p->in.ctx_btf;
	const struct btf_type *t, *ptr;
	uint32_t id;

	if (!btf || off < 0 || off % 8)
		return unknown;
	t = btf__type_by_id(btf, w->p->in.ctx_proto);
	if (!t || !btf_is_func_proto(t) || off / 8 >= btf_vlen(t))
		return unknown;
	id = btf_params(t)[off / 8].type;
	ptr = id ? render_peel(btf, &id) : NULL;
	if (!ptr)
		return unknown;
	return btf_is_ptr(ptr) ? pointer_to(w, w->p->ctx_btf, ptr->type) : number;
}

static struct val *slot_of(struct walk *w, int64_t off)
{
	if (off >= 0 || off % 8 || off < -8 * NR_SLOTS)
		return NULL;
	return &w->st.s[-off / 8 - 1];
}

/* Bytes from off on are something else now. */
static void forget(struct walk *w, int64_t off, int64_t len)
{
	for (int i = 0; i < NR_SLOTS; i++) {
		int64_t from = -8 * (i + 1);

		if (from < off + len && from + 8 > off)
			w->st.s[i] = unknown;
	}
}

static void forget_frame(struct walk *w)
{
	for (int i = 0; i < NR_SLOTS; i++)
		w->st.s[i] = unknown;
}

static bool is_arena(uint8_t code)
{
	switch (BPF_MODE(code)) {
	case MODE_ARENA:
	case MODE_ARENA_ATOMIC:
		return true;
	case MODE_ATOMIC:	/* of a load: sign-extending */
		return BPF_CLASS(code) == BPF_LDX;
	}
	return false;
}

static uint32_t size_of_code(uint8_t code)
{
	switch (BPF_SIZE(code)) {
	case BPF_B:
		return 1;
	case BPF_H:
		return 2;
	case BPF_W:
		return 4;
	}
	return 8;
}

/* The evidence in an access itself. */
static void note_use(struct walk *w, const struct val *base, int64_t off, uint32_t size, bool arena)
{
	uint32_t from = cast_source_of(base);

	if (w->record && from != UINT32_MAX)
		cast_note_access(w, from, base->off + off, size, arena);
}

static struct val load(struct walk *w, const struct bpf_insn *in)
{
	struct val *base = &w->st.r[in->src_reg], *s;
	uint32_t size = size_of_code(in->code);
	int64_t off = (int64_t)base->off + in->off;

	note_use(w, base, in->off, size, is_arena(in->code));
	if (size != 8)
		return number;
	switch (base->kind) {
	case V_FRAME:
		s = base->low ? NULL : slot_of(w, off);
		return s ? *s : unknown;
	case V_CTX:
		return argument(w, off);
	case V_PTR:
		return load_typed(w, base, off);
	case V_PERCPU:
		if (!base->off && !in->off)
			return (struct val){ .kind = V_PERCPU, .ext = base->ext, .off = 1 };
		return unknown;
	case V_CPU_CONST:
		/* current_task is the only one of 8 bytes that the verifier inlines. */
		return in->off ? unknown : task_pointer(w);
	default:
		return unknown;
	}
}

/* What is stored where a pointer belongs is one. */
static void note_pointer(struct walk *w, const struct val *base, int64_t off, uint32_t class)
{
	const struct btf *btf = w->c->types[base->btf].btf;
	struct spot at;
	struct val p;

	if (off < 0 || !cast_locate(w, btf, 0, 0, base->id, off, 8, 0, &at) ||
	    btf_kind(at.leaf) != BTF_KIND_PTR)
		return;
	p = pointer_to(w, base->btf, at.leaf->type);
	if (p.kind == V_PTR)
		cast_note_type(w->c, &w->c->classes[class], p.btf, p.id);
}

/* v of size bytes to base + off. */
static void store(struct walk *w, const struct val *base, int32_t insn_off, uint32_t size,
		  const struct val *v, bool arena)
{
	int64_t off = (int64_t)base->off + insn_off;
	uint32_t class;
	struct val *s;

	note_use(w, base, insn_off, size, arena);
	switch (base->kind) {
	case V_FRAME:
		if (base->low) {
			forget_frame(w);
			break;
		}
		forget(w, off, size);
		s = size == 8 ? slot_of(w, off) : NULL;
		if (s)
			*s = *v;
		break;
	case V_PTR:
		if (!w->record)
			break;
		if (size == 8 && !v->off && cast_source_of(v) != UINT32_MAX)
			note_pointer(w, base, off, cast_source_of(v));
		class = field_at(w, base, off, size);
		if (class == UINT32_MAX)
			break;
		if (size == 8)
			cast_note_store(w, class, v);
		else if (!is_zero(v))
			w->c->classes[class].number = true;
		break;
	case V_UNKNOWN:
		if (w->leaked)
			forget_frame(w);
		break;
	default:
		break;
	}
	if (base->kind != V_FRAME && v->kind == V_FRAME)
		w->leaked = true;
}

static void atomic(struct walk *w, const struct bpf_insn *in)
{
	const struct val base = w->st.r[in->dst_reg], src = w->st.r[in->src_reg];
	uint32_t size = size_of_code(in->code), class;
	bool arena = is_arena(in->code);
	struct val old = unknown;

	if (in->imm == LOAD_ACQ) {
		struct bpf_insn ld = *in;

		ld.code = BPF_LDX | BPF_SIZE(in->code) | (arena ? MODE_ARENA : MODE_MEM);
		w->st.r[in->dst_reg] = load(w, &ld);
		return;
	}
	if (in->imm == STORE_REL) {
		store(w, &base, in->off, size, &src, arena);
		return;
	}
	if (base.kind == V_PTR && size == 8)
		old = load_typed(w, &base, (int64_t)base.off + in->off);
	else if (size != 8)
		old = number;
	if (in->imm == BPF_XCHG || in->imm == BPF_CMPXCHG) {
		/* It may or may not take place on the stack. */
		if (base.kind == V_FRAME)
			store(w, &base, in->off, size, &unknown, arena);
		else
			store(w, &base, in->off, size, &src, arena);
	} else {
		store(w, &base, in->off, size, &unknown, arena);
		class = w->record ? field_at(w, &base, (int64_t)base.off + in->off, size) :
				    UINT32_MAX;
		if (class != UINT32_MAX)
			w->c->classes[class].number = true;
		old = old.kind == V_PTR ? unknown : old;
	}
	if (in->imm == BPF_CMPXCHG)
		w->st.r[0] = old;
	else if (in->imm & BPF_FETCH)
		w->st.r[in->src_reg] = old;
}
/* ------------------------------------------------------------------------ arithmetic */

/* A pointer and a constant. */
static struct val shifted(struct walk *w, const struct val *v, int64_t by)
{
	struct val ret = *v;
	int64_t off = v->off + by;

	if (off < INT32_MIN || off > INT32_MAX)
		return unknown;
	ret.off = off;
	switch (v->kind) {
	case V_CONST:
		return constant(off);
	case V_NUM:
		return multiple_of(gcd(step_of(v), by < 0 ? -by : by));
	case V_ELEM:
		/* From the element to its value; nothing else is done with one. */
		if (by <= 0)
			return unknown;
		if (w->p->in.maps[v->ext].type == BPF_MAP_TYPE_PERCPU_HASH ||
		    w->p->in.maps[v->ext].type == BPF_MAP_TYPE_LRU_PERCPU_HASH)
			return (struct val){ .kind = V_PERCPU, .ext = v->ext };
		return value_of(w, v->ext, 0);
	case V_PTR:
	case V_CLASS:
	case V_FRAME:
	case V_CTX:
	case V_MAP:
		return ret;
	default:
		return unknown;
	}
}

/* A pointer and a number that is a multiple of something. */
static struct val indexed(struct walk *w, const struct val *v, const struct val *index)
{
	uint64_t step = step_of(index), off = v->off, stride;
	const struct cast_map *m;
	uint32_t id = v->id;

	if (index->kind == V_CONST)
		return shifted(w, v, index->off);
	switch (v->kind) {
	case V_FRAME:
		return (struct val){ .kind = V_FRAME, .low = 1 };
	case V_PTR:
		if (v->off < 0 || !cast_element_at(w, w->c->types[v->btf].btf, &id, &off, step))
			return unknown;
		return (struct val){ .kind = V_PTR, .low = v->low, .arena = v->arena,
				     .btf = v->btf, .id = id, .off = off };
	case V_MAP:
		m = &w->p->in.maps[v->ext];
		stride = ((uint64_t)m->value_size + 7) & ~7ULL;
		if (v->off <= 0)
			return unknown;
		if (m->type == BPF_MAP_TYPE_ARRAY && stride && step % stride == 0)
			return value_of(w, v->ext, 0);
		if (m->type == BPF_MAP_TYPE_PERCPU_ARRAY && step % 8 == 0)
			return (struct val){ .kind = V_PERCPU, .ext = v->ext };
		return unknown;
	default:
		return unknown;
	}
}

static struct val add(struct walk *w, const struct val *a, const struct val *b)
{
	if (is_number(a) && is_number(b)) {
		if (a->kind == V_CONST && b->kind == V_CONST)
			return constant((int64_t)a->off + b->off);
		return multiple_of(gcd(step_of(a), step_of(b)));
	}
	if (is_pointer(a) && is_number(b))
		return indexed(w, a, b);
	if (is_number(a) && is_pointer(b))
		return indexed(w, b, a);
	if (a->kind == V_FRAME || b->kind == V_FRAME)
		w->leaked = true;
	return unknown;
}

static struct val scaled(const struct val *a, const struct val *b)
{
	uint64_t n;

	if (a->kind == V_CONST && b->kind == V_CONST)
		return constant((int64_t)a->off * b->off);
	/* Whatever it was: a product is no pointer. */
	n = b->kind == V_CONST ? step_of(b) : 1;
	if (is_number(a) && __builtin_mul_overflow(n, step_of(a), &n))
		n = 1;
	return multiple_of(n);
}

static void move(struct walk *w, const struct bpf_insn *in, const struct val *src)
{
	struct val *dst = &w->st.r[in->dst_reg], v = *src;
	bool wide = BPF_CLASS(in->code) == BPF_ALU64;

	if (BPF_SRC(in->code) == BPF_K) {
		*dst = constant(wide ? (int64_t)in->imm : (int64_t)(uint32_t)in->imm);
		return;
	}
	if (wide && in->off == ADDR_PERCPU) {
		if (v.kind == V_PERCPU && v.off == 1)
			*dst = value_of(w, v.ext, 0);
		else
			*dst = v.kind == V_CONST ? (struct val){ .kind = V_CPU_CONST } : unknown;
		return;
	}
	if (wide && in->off == ADDR_SPACE_CAST && in->imm) {
		/* Into user space's view of an arena, or out of it when no one verified it. */
		uint32_t from = cast_source_of(&v);

		if (w->record && from != UINT32_MAX)
			w->c->classes[from].arena = true;
		if (v.kind == V_UNKNOWN)
			v = cast_value_from(w, cast_class_of(w, w->nr_prog, 0,
							     in - w->p->in.insns));
		else if (v.kind == V_PTR)
			v.arena = 1;
		else if (v.kind != V_CLASS && !is_zero(&v))
			v = unknown;
		v.low = in->imm == 1;
		*dst = v;
		return;
	}
	if (in->off) {		/* sign-extended */
		*dst = number;
		return;
	}
	if (!wide) {
		switch (v.kind) {
		case V_CONST:
			v = constant((uint32_t)v.off);
			break;
		case V_NUM:
			break;
		case V_PTR:
		case V_CLASS:
			/* How the kernel's side looks at an arena; an access to it will tell. */
			v.low = 1;
			break;
		default:
			v = v.kind == V_UNKNOWN ? unknown : number;
		}
	}
	*dst = v;
}

static void alu(struct walk *w, const struct bpf_insn *in)
{
	const struct val imm = constant(in->imm);
	const struct val src = BPF_SRC(in->code) == BPF_X ? w->st.r[in->src_reg] : imm;
	struct val *dst = &w->st.r[in->dst_reg], by;
	bool wide = BPF_CLASS(in->code) == BPF_ALU64;
	struct val old = *dst;

	switch (BPF_OP(in->code)) {
	case BPF_MOV:
		move(w, in, &src);
		return;
	case BPF_ADD:
		/* 32 bits are enough where the lower half is all there is. */
		if (!wide && is_pointer(&old) && !old.low)
			*dst = unknown;
		else if (!wide && is_pointer(&src) && !src.low)
			*dst = unknown;
		else
			*dst = add(w, &old, &src);
		break;
	case BPF_SUB:
		if (src.kind == V_CONST && (wide || old.low || is_number(&old)))
			*dst = shifted(w, &old, -(int64_t)src.off);
		else if (old.kind == V_FRAME && is_number(&src))
			*dst = (struct val){ .kind = V_FRAME, .low = 1 };
		else
			*dst = is_number(&old) && is_number(&src) ? number : unknown;
		break;
	case BPF_MUL:
		*dst = scaled(&old, &src);
		break;
	case BPF_LSH:
		by = src.kind == V_CONST && src.off >= 0 && src.off < 31 ?
		     constant(1LL << src.off) : number;
		*dst = scaled(&old, &by);
		break;
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		*dst = is_number(&old) && is_number(&src) ? number : unknown;
		break;
	default:
		*dst = number;
		break;
	}
	if (!wide && dst->kind == V_CONST)
		*dst = constant((uint32_t)dst->off);
	if (old.kind == V_FRAME && dst->kind != V_FRAME)
		w->leaked = true;
}
/* ----------------------------------------------------------------------------- calls */

static bool name_is(const struct cast_name *n, const char *s)
{
	return n->len == strlen(s) && !memcmp(n->s, s, n->len);
}

static bool name_begins(const struct cast_name *n, const char *s)
{
	return n->len >= strlen(s) && !memcmp(n->s, s, strlen(s));
}

static bool name_has(const struct cast_name *n, const char *s)
{
	return memmem(n->s, n->len, s, strlen(s));
}

/* What a kernel function is declared to return. */
static void declared(struct walk *w, struct call *call, const struct cast_name *n)
{
	const struct btf *btf = w->p->in.kernel ? w->p->in.kernel : w->p->in.btf;
	uint32_t index = w->p->in.kernel ? w->p->kernel : w->p->btf, id;
	const struct btf_type *t, *ret;
	struct val v;

	if (w->p->in.kernel) {
		id = cast_names_find(&w->c->names, n->s, n->len, BTF_KIND_FUNC);
	} else {
		char name[128];
		int found;

		if (n->len >= sizeof(name))
			return;
		memcpy(name, n->s, n->len);
		name[n->len] = '\0';
		found = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
		id = found > 0 ? found : 0;
	}
	t = id ? btf__type_by_id(btf, id) : NULL;
	t = t && btf_is_func(t) ? btf__type_by_id(btf, t->type) : NULL;
	if (!t || !btf_is_func_proto(t))
		return;
	call->proto = t;
	call->proto_btf = index;
	id = t->type;
	ret = id ? render_peel(btf, &id) : NULL;
	if (!ret)
		return;
	if (!btf_is_ptr(ret)) {
		call->kind = CALL_NUMBER;
		return;
	}
	v = pointer_to(w, index, ret->type);
	if (v.kind != V_PTR)
		return;
	call->kind = CALL_TYPED;
	call->btf = v.btf;
	call->id = v.id;
}

void cast_classify(struct walk *w, struct call *call, size_t pc, const struct bpf_insn *in)
{
	struct cast_name n;

	call->kind = CALL_UNKNOWN;
	if (!w->p->in.callee || !w->p->in.callee(w->p->in.ctx, pc, in, &n))
		return;
	if (in->src_reg == BPF_PSEUDO_KFUNC_CALL) {
		declared(w, call, &n);
		if (name_begins(&n, "bpf_arena_alloc_pages"))
			call->kind = CALL_ALLOC;
		return;
	}
	call->reads = name_has(&n, "_elem") || name_has(&n, "_storage_");
	if (name_is(&n, "__htab_map_lookup_elem"))
		call->kind = CALL_ELEM;
	else if (name_begins(&n, "__"))
		return;
	else if (name_has(&n, "_lookup_elem") || name_has(&n, "_lookup_percpu_elem") ||
		 name_has(&n, "_storage_get"))
		call->kind = CALL_LOOKUP;
	else if (name_has(&n, "_update_elem"))
		call->kind = CALL_UPDATE;
	else if (name_begins(&n, "bpf_ktime_get") || name_is(&n, "bpf_jiffies64") ||
		 name_is(&n, "bpf_get_smp_processor_id") || name_has(&n, "_prandom_u32"))
		call->kind = CALL_NUMBER;
	else if (name_begins(&n, "bpf_get_current_task")) {
		const struct val task = task_pointer(w);

		call->id = task.id;
		call->btf = task.btf;
		call->kind = task.kind == V_PTR ? CALL_TYPED : CALL_UNKNOWN;
	}
}

/* What a function may have written where r1 to r5 point to. */
static void clobber(struct walk *w, const struct call *call)
{
	for (int i = 1; i <= 5; i++) {
		const struct val v = w->st.r[i];
		const struct btf_type *t = NULL;
		const struct btf *btf;
		uint64_t size = 0;
		uint32_t id;

		if (v.kind != V_FRAME || call->reads)
			continue;
		if (v.low || call->kind == CALL_SUB) {
			forget_frame(w);
			return;
		}
		if (call->proto && i <= btf_vlen(call->proto)) {
			btf = w->c->types[call->proto_btf].btf;
			id = btf_params(call->proto)[i - 1].type;
			t = id ? render_peel(btf, &id) : NULL;
			/* A buffer of bytes has its length in another argument. */
			if (!t || !btf_is_ptr(t) || !cast_size_of(btf, t->type, &size) ||
			    size < 4 || size > 8 * NR_SLOTS)
				size = 0;
		}
		forget(w, v.off, size ? (int64_t)size : -(int64_t)v.off);
	}
	if (w->leaked)
		forget_frame(w);
}

void cast_queue_block(struct walk *w, uint32_t b)
{
	if (w->blocks[b].queued)
		return;
	w->blocks[b].queued = true;
	w->queue[(w->head + w->nr_queue++) % w->nr_blocks] = b;
}

static bool join_into(struct walk *w, struct val *to, const struct val *from)
{
	struct val v = join(w, to, from);

	if (val_equal(&v, to))
		return false;
	*to = v;
	return true;
}

/* The state goes on at instruction pc. */
void cast_flow(struct walk *w, const struct state *st, uint32_t pc)
{
	struct block *b;
	bool changed = false;
	uint32_t nr;

	if (w->record || w->error || pc >= w->p->in.nr || !w->block_of[pc])
		return;
	nr = w->block_of[pc] - 1;
	b = &w->blocks[nr];
	if (!cast_spend(w, STEPS_JOIN))
		return;
	if (!b->in) {
		if (w->reached++ >= MAX_BLOCKS) {
			w->error = -E2BIG;
			return;
		}
		b->in = malloc(sizeof(*b->in));
		if (!b->in) {
			w->error = -ENOMEM;
			return;
		}
		*b->in = *st;
		cast_queue_block(w, nr);
		return;
	}
	for (int i = 0; i < NR_REGS; i++)
		changed |= join_into(w, &b->in->r[i], &st->r[i]);
	for (int i = 0; i < NR_SLOTS; i++)
		changed |= join_into(w, &b->in->s[i], &st->s[i]);
	if (changed)
		cast_queue_block(w, nr);
}

/* A function begins with these arguments. */
static void enter(struct walk *w, uint32_t nr, const struct val *args)
{
	struct func *f = &w->funcs[nr];
	struct state st = {};

	for (int i = 0; i < 5; i++) {
		struct val v = args[i];

		/* The frame of another function, or its context. */
		if (v.kind == V_FRAME)
			v = unknown;
		if (f->entered)
			join_into(w, &f->args[i], &v);
		else
			f->args[i] = v;
		st.r[1 + i] = f->args[i];
	}
	f->entered = true;
	st.r[FP_REG] = (struct val){ .kind = V_FRAME };
	cast_flow(w, &st, f->start);
}

/* What a function's parameters are declared to be. */
static void declared_args(struct walk *w, const struct func *f, struct val *args)
{
	const struct btf *btf = w->p->in.btf;
	const struct btf_type *t = btf && f->id ? btf__type_by_id(btf, f->id) : NULL;

	for (int i = 0; i < 5; i++)
		args[i] = unknown;
	t = t && btf_is_func(t) ? btf__type_by_id(btf, t->type) : NULL;
	if (!t || !btf_is_func_proto(t))
		return;
	for (int i = 0; i < 5 && i < btf_vlen(t); i++) {
		uint32_t id = btf_params(t)[i].type;
		const struct btf_type *p = id ? render_peel(btf, &id) : NULL;

		if (p && btf_is_ptr(p))
			args[i] = pointer_to(w, w->p->btf, p->type);
	}
}

/* A field's value is what the function says that it takes. */
static void note_args(struct walk *w, const struct val *declared_as)
{
	for (int i = 0; i < 5; i++) {
		const struct val *v = &w->st.r[1 + i];
		uint32_t from = cast_source_of(v);

		if (from != UINT32_MAX && !v->off && declared_as[i].kind == V_PTR)
			cast_note_type(w->c, &w->c->classes[from], declared_as[i].btf,
				       declared_as[i].id);
	}
}

/* False: it does not come back, as far as is known now. */
static bool call_sub(struct walk *w, const struct call *call)
{
	struct func *f = &w->funcs[call->func];
	struct val args[5];

	/*
	 * The compiler changes the parameters of static functions as it likes; what a
	 * global one says about them the verifier has checked.
	 */
	if (f->global)
		declared_args(w, f, args);
	else
		memcpy(args, &w->st.r[1], sizeof(args));
	if (w->record && f->global)
		note_args(w, args);
	if (!w->record)
		enter(w, call->func, args);
	clobber(w, call);
	if (!f->returns)
		return false;
	w->st.r[0] = f->ret;
	return true;
}

/* What was stored on the stack becomes a value of the map. */
static void update(struct walk *w)
{
	const struct val map = w->st.r[1], from = w->st.r[3];
	const struct cast_map *m;
	struct val to;

	if (!w->record || map.kind != V_MAP || map.off || from.kind != V_FRAME || from.low)
		return;
	m = &w->p->in.maps[map.ext];
	to = value_of(w, map.ext, 0);
	for (uint32_t off = 0; to.kind == V_PTR && off + 8 <= m->value_size; off += 8) {
		const struct val *s = slot_of(w, (int64_t)from.off + off);

		if (s && s->kind != V_UNKNOWN)
			store(w, &to, off, 8, s, false);
	}
}

/*
 * What an allocator returned, of which its instructions say ret. size: its first argument.
 * Of functions that are not global it is not known that they still have one.
 */
static struct val given(struct walk *w, size_t pc, const struct func *f, const struct val *ret,
			const struct val *size)
{
	uint32_t class = cast_class_of(w, w->nr_prog, 0, pc), bytes = 0;
	struct val v = *ret;

	if (f->gives == GIVES_SLOT && v.kind == V_PTR && !v.off && !v.low) {
		v.arena = 1;
		return v;
	}
	if (f->gives == GIVES_BYTES && f->global && size->kind == V_CONST && size->off > 0)
		bytes = size->off;
	if (w->record && class != UINT32_MAX) {
		w->c->classes[class].arena = true;
		cast_note_size(&w->c->classes[class], bytes);
		if (bytes && cast_add_size(w->c, bytes))
			w->error = -ENOMEM;
	}
	return cast_value_from(w, class);
}

static bool call(struct walk *w, size_t pc)
{
	const struct call *k = &w->calls[w->call_of[pc] - 1];
	const struct val first = w->st.r[1];
	struct val ret = unknown;
	bool back = true;

	switch (k->kind) {
	case CALL_SUB:
		back = call_sub(w, k);
		ret = w->st.r[0];
		if (back && w->funcs[k->func].gives)
			ret = given(w, pc, &w->funcs[k->func], &ret, &first);
		break;
	case CALL_LOOKUP:
		if (w->st.r[1].kind == V_MAP && !w->st.r[1].off) {
			uint32_t type = w->p->in.maps[w->st.r[1].ext].type;

			if (type != BPF_MAP_TYPE_ARRAY_OF_MAPS && type != BPF_MAP_TYPE_HASH_OF_MAPS)
				ret = value_of(w, w->st.r[1].ext, 0);
		}
		break;
	case CALL_ELEM:
		if (w->st.r[1].kind == V_MAP && !w->st.r[1].off &&
		    w->p->in.maps[w->st.r[1].ext].type != BPF_MAP_TYPE_HASH_OF_MAPS)
			ret = (struct val){ .kind = V_ELEM, .ext = w->st.r[1].ext };
		break;
	case CALL_UPDATE:
		update(w);
		break;
	case CALL_ALLOC: {
		uint32_t class = cast_class_of(w, w->nr_prog, 0, pc);

		if (w->record && class != UINT32_MAX) {
			w->c->classes[class].arena = true;
			cast_note_size(&w->c->classes[class], 0);
		}
		ret = cast_value_from(w, class);
		break;
	}
	case CALL_TYPED:
		ret = (struct val){ .kind = V_PTR, .btf = k->btf, .id = k->id };
		break;
	case CALL_NUMBER:
		ret = number;
		break;
	}
	if (k->kind != CALL_SUB)
		clobber(w, k);
	w->st.r[0] = ret;
	for (int i = 1; i <= 5; i++)
		w->st.r[i] = unknown;
	return back;
}
/* ------------------------------------------------------------------- instructions */

static void constant64(struct walk *w, size_t pc, const struct bpf_insn *in)
{
	struct val *dst = &w->st.r[in->dst_reg];
	uint64_t v = (uint32_t)in[0].imm | (uint64_t)(uint32_t)in[1].imm << 32;
	struct cast_place at;

	if (in->src_reg == PSEUDO_FUNC) {
		int64_t to = (int64_t)pc + in->imm + 1;
		struct val args[5];

		*dst = unknown;
		for (size_t i = 0; !w->record && i < w->nr_funcs; i++) {
			if (w->funcs[i].start != to)
				continue;
			declared_args(w, &w->funcs[i], args);
			enter(w, i, args);
		}
		return;
	}
	*dst = v > INT32_MAX ? unknown : constant(v);
	if (!w->p->in.place || !w->p->in.place(w->p->in.ctx, pc, v, &at) ||
	    at.map >= w->p->in.nr_maps)
		return;
	if (at.value) {
		const struct cast_map *m = &w->p->in.maps[at.map];
		uint64_t stride = ((uint64_t)m->value_size + 7) & ~7ULL;

		*dst = stride ? value_of(w, at.map, at.off % stride) : unknown;
	} else {
		*dst = (struct val){ .kind = V_MAP, .ext = at.map };
	}
}

static void leave(struct walk *w)
{
	struct func *f = &w->funcs[w->func];
	struct val v = w->st.r[0];

	if (w->record)
		return;
	if (v.kind == V_FRAME)
		v = unknown;
	if (!f->returns) {
		f->ret = v;
		f->returns = true;
	} else if (!join_into(w, &f->ret, &v)) {
		return;
	}
	for (uint32_t i = f->calls; i; i = w->calls[i - 1].next) {
		if (w->blocks[w->calls[i - 1].block].in)
			cast_queue_block(w, w->calls[i - 1].block);
	}
}

static void branch(struct walk *w, size_t pc, const struct bpf_insn *in)
{
	struct state taken = w->st;

	if (BPF_CLASS(in->code) == BPF_JMP && BPF_SRC(in->code) == BPF_K && !in->imm) {
		bool null = is_zero(&taken.r[in->dst_reg]);

		if (BPF_OP(in->code) == BPF_JEQ) {
			taken.r[in->dst_reg] = constant(0);
			/* What would be read through it there is nothing, and would stay so. */
			if (null) {
				cast_flow(w, &taken, pc + 1 + in->off);
				return;
			}
		} else if (BPF_OP(in->code) == BPF_JNE) {
			w->st.r[in->dst_reg] = constant(0);
			if (null) {
				cast_flow(w, &w->st, pc + 1);
				return;
			}
		}
	}
	cast_flow(w, &taken, pc + 1 + in->off);
	cast_flow(w, &w->st, pc + 1);
}

/* False: the block ends here. */
static bool jump(struct walk *w, size_t pc, const struct bpf_insn *in)
{
	bool wide = BPF_CLASS(in->code) == BPF_JMP;

	switch (BPF_OP(in->code)) {
	case BPF_JA:
		cast_flow(w, &w->st, pc + 1 + (wide ? in->off : in->imm));
		return false;
	case BPF_EXIT:
		leave(w);
		return false;
	case BPF_CALL:
		if (w->call_of[pc])
			return call(w, pc);
		forget_frame(w);
		/* fall through */
	case JUMP_TAIL_CALL:
		for (int i = 0; i <= 5; i++)
			w->st.r[i] = unknown;
		return true;
	default:
		branch(w, pc, in);
		return false;
	}
}

void cast_walk_block(struct walk *w, uint32_t nr)
{
	const struct block *b = &w->blocks[nr];
	const struct bpf_insn *insns = w->p->in.insns;

	w->st = *b->in;
	w->func = b->func;
	for (size_t pc = b->start; pc < b->end; pc++) {
		const struct bpf_insn *in = &insns[pc];
		const struct val imm = constant(in->imm);

		if (!cast_spend(w, 1))
			return;
		switch (BPF_CLASS(in->code)) {
		case BPF_ALU:
		case BPF_ALU64:
			alu(w, in);
			break;
		case BPF_LD:
			if (in->code == (BPF_LD | BPF_IMM | BPF_DW)) {
				constant64(w, pc, in);
				pc++;
			} else {
				w->st.r[0] = number;
			}
			break;
		case BPF_LDX:
			w->st.r[in->dst_reg] = load(w, in);
			break;
		case BPF_ST:
			if (BPF_MODE(in->code) != MODE_ATOMIC)	/* a barrier */
				store(w, &w->st.r[in->dst_reg], in->off, size_of_code(in->code),
				      &imm, is_arena(in->code));
			break;
		case BPF_STX:
			if (BPF_MODE(in->code) == MODE_ATOMIC ||
			    BPF_MODE(in->code) == MODE_ARENA_ATOMIC) {
				atomic(w, in);
			} else {
				const struct val v = w->st.r[in->src_reg];

				store(w, &w->st.r[in->dst_reg], in->off, size_of_code(in->code),
				      &v, is_arena(in->code));
			}
			break;
		default:
			if (!jump(w, pc, in))
				return;
		}
		w->st.r[FP_REG] = (struct val){ .kind = V_FRAME };
	}
	cast_flow(w, &w->st, b->end);
}
