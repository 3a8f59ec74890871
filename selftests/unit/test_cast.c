// SPDX-License-Identifier: GPL-2.0-only
/* Which numbers are pointers: instructions by hand, what contradicts, and damaged ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include <bpf/libbpf.h>

#include "cast.h"
#include "../fuzz/inputs.h"

#ifdef __SANITIZE_ADDRESS__
#define ROUNDS 2500
#else
#define ROUNDS 20000
#endif

/* ------------------------------------------------------------------- instructions */

#define INSN(c, d, s, o, i) \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV(d, s)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV32(d, s)	INSN(BPF_ALU | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOVI(d, i)	INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define PERCPU(d, s)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, -1, 0)
#define CAST_USER(d, s)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 1, 1 << 16)
#define ADDI(d, i)	INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define ADD(d, s)	INSN(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define MULI(d, i)	INSN(BPF_ALU64 | BPF_MUL | BPF_K, d, 0, 0, i)
#define LSHI(d, i)	INSN(BPF_ALU64 | BPF_LSH | BPF_K, d, 0, 0, i)
#define LDX(d, s, o)	INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define LDXW(d, s, o)	INSN(BPF_LDX | BPF_MEM | BPF_W, d, s, o, 0)
#define STX(d, s, o)	INSN(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)
#define STXW(d, s, o)	INSN(BPF_STX | BPF_MEM | BPF_W, d, s, o, 0)
#define STI(d, o, i)	INSN(BPF_ST | BPF_MEM | BPF_DW, d, 0, o, i)
#define ATOMIC(d, s, o, op) INSN(BPF_STX | BPF_ATOMIC | BPF_DW, d, s, o, op)
/* Of an arena, as the verifier marks them. */
#define ALD(d, s, o)	INSN(BPF_LDX | 0xa0 | BPF_DW, d, s, o, 0)
#define AST(d, s, o)	INSN(BPF_STX | 0xa0 | BPF_DW, d, s, o, 0)
#define ASTW(d, s, o)	INSN(BPF_STX | 0xa0 | BPF_W, d, s, o, 0)
#define JA(o)		INSN(BPF_JMP | BPF_JA, 0, 0, o, 0)
#define JEQI(d, i, o)	INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define JNEI(d, i, o)	INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, i)
#define JGEI(d, i, o)	INSN(BPF_JMP | BPF_JGE | BPF_K, d, 0, o, i)
#define HELPER(n)	INSN(BPF_JMP | BPF_CALL, 0, 0, 0, n)
#define KFUNC(n)	INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, n)
#define SUB(rel)	INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, rel)
#define EXIT()		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define IMM64(d, s, v) \
	INSN(BPF_LD | BPF_IMM | BPF_DW, d, s, 0, (int32_t)(uint32_t)(v)), \
	INSN(0, 0, 0, 0, (int32_t)((uint64_t)(v) >> 32))
/* Constants that the test's place() knows. */
#define MAP_AT(n)	(0xffff800000000000ULL + (n) * 0x100000ULL)
#define VALUE_AT(n, off) (MAP_AT(n) + 0x80000 + (off))
#define MAP(d, n)	IMM64(d, 0, MAP_AT(n))
#define VALUE(d, n, off) IMM64(d, 0, VALUE_AT(n, off))

enum { HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY, BSS, NR_MAPS };

static const char *const functions[] = {
	"bpf_map_lookup_elem", "bpf_map_update_elem", "__htab_map_lookup_elem",
	"bpf_task_storage_get", "bpf_ktime_get_ns", "bpf_probe_read_kernel", "task_of",
	"bpf_arena_alloc_pages", "count_of", "fill", NULL, "other_of",
};
enum {
	LOOKUP, UPDATE, HTAB_LOOKUP, STORAGE_GET, KTIME, PROBE_READ, TASK_OF, ALLOC, COUNT_OF,
	FILL, UNNAMED, OTHER_OF,
};

static struct btf *kernel, *own;
static struct cast_map maps[NR_MAPS];
static struct cast_func funcs[8];
static struct casts *casts;

/* Types: of the kernel, and of the program. */
static int k_task, k_other, k_proto;
static int u64, u32, s64, val, node, leaf, twin, inner, uni, outer, sect, f_static, f_global,
	   own_task, own_node_ptr, f_bytes, f_bytes_static, f_bytes_int, f_slot,
	   f_slot_typed;

static bool place(void *ctx, size_t pc, uint64_t v, struct cast_place *ret)
{
	uint64_t n = (v - MAP_AT(0)) / 0x100000, off = (v - MAP_AT(0)) % 0x100000;

	(void)ctx;
	(void)pc;
	if (v < MAP_AT(0) || n >= NR_MAPS || (off && off < 0x80000))
		return false;
	*ret = (struct cast_place){ .map = n, .value = off, .off = off ? off - 0x80000 : 0 };
	return true;
}

static bool callee(void *ctx, size_t pc, const struct bpf_insn *in, struct cast_name *ret)
{
	(void)ctx;
	(void)pc;
	if (in->imm < 0 || (size_t)in->imm >= ARRAY_SIZE(functions) || !functions[in->imm])
		return false;
	ret->s = functions[in->imm];
	ret->len = strlen(ret->s);
	return true;
}

static int id_of(int id)
{
	assert_true(id > 0);
	return id;
}

static void field(struct btf *btf, const char *name, int type, uint32_t byte)
{
	assert_int_equal(btf__add_field(btf, name, type, byte * 8, 0), 0);
}

static int func(struct btf *btf, const char *name, enum btf_func_linkage linkage, int ret, int arg)
{
	int proto = id_of(btf__add_func_proto(btf, ret));

	if (arg)
		assert_int_equal(btf__add_func_param(btf, "a", arg), 0);
	return id_of(btf__add_func(btf, name, linkage, proto));
}

static void make_kernel(void)
{
	int k_u64, task_ptr, other_ptr, k_node;

	kernel = btf__new_empty();
	k_u64 = id_of(btf__add_int(kernel, "u64", 8, 0));
	k_other = id_of(btf__add_struct(kernel, "other", 16));
	field(kernel, "x", k_u64, 0);
	field(kernel, "y", k_u64, 8);
	other_ptr = id_of(btf__add_ptr(kernel, k_other));
	k_task = id_of(btf__add_struct(kernel, "task_struct", 32));
	field(kernel, "state", k_u64, 0);
	field(kernel, "other", other_ptr, 8);
	field(kernel, "pid", k_u64, 16);
	task_ptr = id_of(btf__add_ptr(kernel, k_task));
	/* Nothing to do with the program's struct of that name. */
	k_node = id_of(btf__add_struct(kernel, "node", 8));
	field(kernel, "nothing", k_u64, 0);
	assert_true(k_node > 0);
	k_proto = id_of(btf__add_func_proto(kernel, 0));
	assert_int_equal(btf__add_func_param(kernel, "p", task_ptr), 0);
	assert_int_equal(btf__add_func_param(kernel, "flags", k_u64), 0);
	assert_int_equal(btf__add_func_param(kernel, "o", other_ptr), 0);
	func(kernel, "task_of", BTF_FUNC_STATIC, task_ptr, k_u64);
	func(kernel, "other_of", BTF_FUNC_STATIC, other_ptr, k_u64);
	func(kernel, "count_of", BTF_FUNC_STATIC, k_u64, k_u64);
	func(kernel, "fill", BTF_FUNC_STATIC, 0, id_of(btf__add_ptr(kernel, k_other)));
	func(kernel, "bpf_arena_alloc_pages", BTF_FUNC_STATIC, id_of(btf__add_ptr(kernel, 0)), 0);
}

static void make_own(void)
{
	int array, task_ptr, vars[4];

	own = btf__new_empty();
	u64 = id_of(btf__add_int(own, "u64", 8, 0));
	u32 = id_of(btf__add_int(own, "u32", 4, 0));
	s64 = id_of(btf__add_int(own, "s64", 8, BTF_INT_SIGNED));
	node = id_of(btf__add_struct(own, "node", 24));
	field(own, "magic", u64, 0);
	field(own, "up", u64, 8);
	field(own, "left", u64, 16);
	own_node_ptr = id_of(btf__add_ptr(own, node));
	leaf = id_of(btf__add_struct(own, "leaf", 16));
	field(own, "a", u64, 0);
	field(own, "b", u32, 8);
	field(own, "c", u32, 12);
	inner = id_of(btf__add_struct(own, NULL, 16));
	field(own, "deep", u64, 8);
	uni = id_of(btf__add_union(own, "uni", 8));
	field(own, "u", u64, 0);
	field(own, "s", s64, 0);
	array = id_of(btf__add_array(own, u32, u64, 2));
	val = id_of(btf__add_struct(own, "val", 80));
	field(own, "a", u64, 0);
	field(own, "b", u64, 8);
	field(own, "s", s64, 16);
	field(own, "n", own_node_ptr, 24);
	field(own, "", inner, 32);
	field(own, "arr", array, 48);
	field(own, "uni", uni, 64);
	field(own, "w", u32, 72);
	/* Of these there are two of one kind. */
	twin = id_of(btf__add_struct(own, "twin", 32));
	field(own, "x", u64, 0);
	field(own, "y", u64, 24);
	id_of(btf__add_struct(own, "twin_too", 32));
	field(own, "x", u64, 0);
	field(own, "y", u64, 24);
	/* What the program thinks of a type of the kernel; offsets are another kernel's. */
	own_task = id_of(btf__add_struct(own, "task_struct", 8));
	field(own, "pid", u64, 0);
	task_ptr = id_of(btf__add_ptr(own, own_task));
	outer = id_of(btf__add_struct(own, "outer", 16));
	field(own, "task", task_ptr, 0);
	field(own, "number", u64, 8);
	f_static = func(own, "helped", BTF_FUNC_STATIC, 0, own_node_ptr);
	f_global = func(own, "global", BTF_FUNC_GLOBAL, 0, own_node_ptr);
	f_bytes = func(own, "scx_static_alloc_internal", BTF_FUNC_GLOBAL, u64, u64);
	f_bytes_static = func(own, "scx_static_alloc_internal", BTF_FUNC_STATIC, u64, u64);
	f_bytes_int = func(own, "scx_static_alloc_internal", BTF_FUNC_GLOBAL, u32, u64);
	f_slot = func(own, "scx_alloc_internal", BTF_FUNC_GLOBAL, u64, u64);
	f_slot_typed = func(own, "scx_alloc_internal", BTF_FUNC_GLOBAL, u64, own_node_ptr);
	/* A section must be the last type while it gets its variables. */
	vars[0] = id_of(btf__add_var(own, "g_num", BTF_VAR_GLOBAL_ALLOCATED, u64));
	vars[1] = id_of(btf__add_var(own, "g_val", BTF_VAR_GLOBAL_ALLOCATED, val));
	vars[2] = id_of(btf__add_var(own, "g_outer", BTF_VAR_GLOBAL_ALLOCATED, outer));
	vars[3] = id_of(btf__add_var(own, "g_root", BTF_VAR_GLOBAL_ALLOCATED, own_node_ptr));
	sect = id_of(btf__add_datasec(own, ".bss", 128));
	assert_int_equal(btf__add_datasec_var_info(own, vars[0], 0, 8), 0);
	assert_int_equal(btf__add_datasec_var_info(own, vars[1], 8, 80), 0);
	assert_int_equal(btf__add_datasec_var_info(own, vars[2], 96, 16), 0);
	assert_int_equal(btf__add_datasec_var_info(own, vars[3], 112, 8), 0);
}

static int begin(void **state)
{
	(void)state;
	make_kernel();
	make_own();
	maps[HASH] = (struct cast_map){ own, val, BPF_MAP_TYPE_HASH, 80 };
	maps[ARRAY] = (struct cast_map){ own, node, BPF_MAP_TYPE_ARRAY, 24 };
	maps[PERCPU_HASH] = (struct cast_map){ own, val, BPF_MAP_TYPE_PERCPU_HASH, 80 };
	maps[PERCPU_ARRAY] = (struct cast_map){ own, node, BPF_MAP_TYPE_PERCPU_ARRAY, 24 };
	maps[BSS] = (struct cast_map){ own, sect, BPF_MAP_TYPE_ARRAY, 128 };
	memset(funcs, 0, sizeof(funcs));
	return 0;
}

static int end(void **state)
{
	(void)state;
	casts_free(casts);
	casts = NULL;
	btf__free(kernel);
	btf__free(own);
	return 0;
}

static struct cast_prog program(const struct bpf_insn *insns, size_t nr, size_t nr_funcs)
{
	return (struct cast_prog){
		.btf = own, .kernel = kernel, .insns = insns, .nr = nr, .funcs = funcs,
		.nr_funcs = nr_funcs, .ctx_btf = kernel, .ctx_proto = k_proto, .maps = maps,
		.nr_maps = NR_MAPS, .place = place, .callee = callee,
	};
}

static void write_seed(const struct cast_prog *p)
{
	struct cast_call_part calls[ARRAY_SIZE(functions)] = {};
	struct cast_map_part parts[NR_MAPS];

	if (!getenv("KTDUMP_SEEDS"))
		return;
	for (size_t i = 0; i < NR_MAPS; i++)
		parts[i] = (struct cast_map_part){
			MAP_AT(i), VALUE_AT(i, 0), 0x80000, maps[i].value_type, maps[i].type,
			maps[i].value_size,
		};
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		calls[i].imm = i;
		if (functions[i])
			strncpy(calls[i].name, functions[i], sizeof(calls[i].name) - 1);
	}
	cast_seed(p, parts, calls, ARRAY_SIZE(functions));
}

static void solve(const struct bpf_insn *insns, size_t nr, size_t nr_funcs)
{
	struct cast_prog p = program(insns, nr, nr_funcs);

	write_seed(&p);
	casts_free(casts);
	casts = casts_new();
	assert_non_null(casts);
	assert_int_equal(casts_add(casts, &p), 0);
	assert_int_equal(casts_solve(casts), 0);
}

#define RUN(...) do { \
	const struct bpf_insn insns_[] = { __VA_ARGS__ }; \
	solve(insns_, ARRAY_SIZE(insns_), 0); \
	assert_int_equal(casts_left_out(casts), 0); \
} while (0)
#define RUN_FUNCS(nr, ...) do { \
	const struct bpf_insn insns_[] = { __VA_ARGS__ }; \
	solve(insns_, ARRAY_SIZE(insns_), nr); \
	assert_int_equal(casts_left_out(casts), 0); \
} while (0)

static size_t nr_found(void)
{
	size_t nr;

	casts_fields(casts, &nr);
	return nr;
}

/* The field is a pointer to type id of btf. */
static bool found(int owner, uint32_t off, const struct btf *btf, uint32_t id, bool arena)
{
	struct cast_hit hit;

	return casts_find(casts, own, btf__type_by_id(own, owner), off, &hit) &&
	       hit.btf == btf && hit.id == id && hit.arena == arena;
}

#define is(...) assert_true(found(__VA_ARGS__))
#define only(...) do { \
	assert_true(found(__VA_ARGS__)); \
	assert_int_equal(nr_found(), 1); \
} while (0)

#define NONE() assert_int_equal(nr_found(), 0)
#define TASK(owner, off) only(owner, off, kernel, k_task, false)

/* Registers by what they hold, as most programs below begin. */
#define R6_IS_TASK LDX(6, 1, 0)
#define R7_IS_VAL MOV(2, 10), ADDI(2, -4), MAP(1, HASH), HELPER(LOOKUP), JNEI(0, 0, 1), EXIT(), MOV(7, 0)

/* -------------------------------------------------------------------------- tests */

static void test_stored(void **state)
{
	(void)state;
	RUN(R6_IS_TASK, VALUE(2, BSS, 0), STX(2, 6, 0), EXIT());
	TASK(sect, 0);
	RUN(R6_IS_TASK, R7_IS_VAL, STX(7, 6, 8), EXIT());
	TASK(val, 8);
	/* A pointer that was read from a kernel object. */
	RUN(R6_IS_TASK, LDX(8, 6, 8), R7_IS_VAL, STX(7, 8, 0), EXIT());
	only(val, 0, kernel, k_other, false);
	/* Into what is a pointer, a signed number, or a smaller one there is nothing to find. */
	RUN(R6_IS_TASK, R7_IS_VAL, STX(7, 6, 16), STX(7, 6, 24), STXW(7, 6, 72), EXIT());
	NONE();
	/* An argument that is a number. */
	RUN(LDX(6, 1, 8), R7_IS_VAL, STX(7, 6, 0), EXIT());
	NONE();
	/* Nowhere: beyond the value, before it, across two members. */
	RUN(R6_IS_TASK, R7_IS_VAL, STX(7, 6, 80), STX(7, 6, -8), STX(7, 6, 4), EXIT());
	NONE();
}

static void test_places(void **state)
{
	(void)state;
	/* The innermost aggregate counts, an element of an array has its own offset. */
	RUN(R6_IS_TASK, R7_IS_VAL, STX(7, 6, 40), STX(7, 6, 56), EXIT());
	is(inner, 8, kernel, k_task, false);
	is(val, 56, kernel, k_task, false);
	assert_int_equal(nr_found(), 2);
	/* Members of a union that are not the same. */
	RUN(R6_IS_TASK, R7_IS_VAL, STX(7, 6, 64), EXIT());
	NONE();
	/* In a variable of a section. */
	RUN(R6_IS_TASK, VALUE(2, BSS, 8), STX(2, 6, 8), EXIT());
	TASK(val, 8);
	/* The address of a variable, in another one. */
	RUN(VALUE(2, BSS, 8), VALUE(3, BSS, 0), STX(3, 2, 0), EXIT());
	only(sect, 0, own, val, false);
	/* An element of an array of structs, wherever it is; of numbers it is unknown which. */
	RUN(R6_IS_TASK, LDX(3, 1, 8), MULI(3, 24), VALUE(2, ARRAY, 0), ADD(2, 3), STX(2, 6, 8), EXIT());
	NONE();
}

static void test_lookups(void **state)
{
	(void)state;
	/* As the kernel inlines them. */
	RUN(R6_IS_TASK, MAP(1, HASH), HELPER(HTAB_LOOKUP), JEQI(0, 0, 1), ADDI(0, 56), JEQI(0, 0, 1),
	    STX(0, 6, 0), EXIT());
	TASK(val, 0);
	RUN(R6_IS_TASK, MAP(1, ARRAY), ADDI(1, 296), LDXW(0, 10, -4), JGEI(0, 4, 3), MULI(0, 24),
	    ADD(0, 1), JA(1), MOVI(0, 0), JEQI(0, 0, 1), STX(0, 6, 8), EXIT());
	TASK(node, 8);
	/* Another step than the values have. */
	RUN(R6_IS_TASK, MAP(1, ARRAY), ADDI(1, 296), LDXW(0, 10, -4), JGEI(0, 4, 3), MULI(0, 20),
	    ADD(0, 1), JA(1), MOVI(0, 0), JEQI(0, 0, 1), STX(0, 6, 8), EXIT());
	NONE();
	RUN(R6_IS_TASK, MAP(1, PERCPU_HASH), HELPER(HTAB_LOOKUP), JEQI(0, 0, 3), ADDI(0, 56),
	    LDX(0, 0, 0), PERCPU(0, 0), JEQI(0, 0, 1), STX(0, 6, 0), EXIT());
	TASK(val, 0);
	RUN(R6_IS_TASK, MAP(1, PERCPU_ARRAY), ADDI(1, 296), LDXW(0, 10, -4), JGEI(0, 4, 5), LSHI(0, 3),
	    ADD(0, 1), LDX(0, 0, 0), PERCPU(0, 0), JA(1), MOVI(0, 0), JEQI(0, 0, 1), STX(0, 6, 8),
	    EXIT());
	TASK(node, 8);
	RUN(R6_IS_TASK, MOV(2, 6), MAP(1, HASH), HELPER(STORAGE_GET), JEQI(0, 0, 1), STX(0, 6, 0), EXIT());
	TASK(val, 0);
	/* Of a map nobody knows. */
	RUN(R6_IS_TASK, IMM64(1, 0, 0xffff900000000000ULL), HELPER(LOOKUP), JEQI(0, 0, 1), STX(0, 6, 0),
	    EXIT());
	NONE();
	/* Values of a map have an address, too. */
	RUN(R7_IS_VAL, VALUE(2, BSS, 0), STX(2, 7, 0), EXIT());
	only(sect, 0, own, val, false);
	/* The kernel's idea of the current task, inlined. */
	RUN(MOVI(0, 4096), PERCPU(0, 0), LDX(0, 0, 0), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT());
	TASK(sect, 0);
}

static void test_functions(void **state)
{
	(void)state;
	RUN(KFUNC(TASK_OF), JEQI(0, 0, 3), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT());
	TASK(sect, 0);
	RUN(KFUNC(COUNT_OF), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT());
	NONE();
	RUN(KFUNC(UNNAMED), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT());
	NONE();
	/* After a call r1 to r5 are nothing any more. */
	RUN(LDX(3, 1, 0), KFUNC(COUNT_OF), VALUE(2, BSS, 0), STX(2, 3, 0), EXIT());
	NONE();
}

static void test_stack(void **state)
{
	(void)state;
	RUN(R6_IS_TASK, STX(10, 6, -16), MOVI(6, 0), LDX(3, 10, -16), VALUE(2, BSS, 0), STX(2, 3, 0), EXIT());
	TASK(sect, 0);
	/* By another register, and not where it was written over. */
	RUN(R6_IS_TASK, MOV(8, 10), ADDI(8, -24), STX(8, 6, 8), LDX(3, 10, -16), VALUE(2, BSS, 0),
	    STX(2, 3, 0), EXIT());
	TASK(sect, 0);
	RUN(R6_IS_TASK, STX(10, 6, -16), STXW(10, 6, -12), LDX(3, 10, -16), VALUE(2, BSS, 0),
	    STX(2, 3, 0), EXIT());
	NONE();
	RUN(R6_IS_TASK, STX(10, 6, -16), MOV(8, 10), LDXW(4, 10, -100), ADD(8, 4), STX(8, 4, 0),
	    LDX(3, 10, -16), VALUE(2, BSS, 0), STX(2, 3, 0), EXIT());
	NONE();
	/* A function writes to what it is given: all above it, or as much as it says. */
	RUN(R6_IS_TASK, STX(10, 6, -16), MOV(1, 10), ADDI(1, -32), HELPER(PROBE_READ), LDX(3, 10, -16),
	    VALUE(2, BSS, 0), STX(2, 3, 0), EXIT());
	NONE();
	RUN(R6_IS_TASK, STX(10, 6, -16), MOV(1, 10), ADDI(1, -32), KFUNC(FILL), LDX(3, 10, -16),
	    VALUE(2, BSS, 0), STX(2, 3, 0), EXIT());
	TASK(sect, 0);
	RUN(R6_IS_TASK, STX(10, 6, -24), MOV(1, 10), ADDI(1, -32), KFUNC(FILL), LDX(3, 10, -24),
	    VALUE(2, BSS, 0), STX(2, 3, 0), EXIT());
	NONE();
	/* An address of the stack that may be something else as well. */
	RUN(R6_IS_TASK, STX(10, 6, -16), R7_IS_VAL, MOV(8, 10), ADDI(8, -16), LDXW(3, 7, 72),
	    JEQI(3, 5, 1), MOV(8, 7), STI(8, 0, 5), LDX(3, 10, -16), VALUE(2, BSS, 0), STX(2, 3, 0),
	    EXIT());
	NONE();
	/* A value of a map comes from there. */
	RUN(R6_IS_TASK, STX(10, 6, -80), STI(10, -72, 0), MOV(2, 10), ADDI(2, -4), MOV(3, 10),
	    ADDI(3, -80), MAP(1, HASH), HELPER(UPDATE), EXIT());
	TASK(val, 0);
}

static void test_branches(void **state)
{
	(void)state;
	/* The same from both sides; a null pointer is one. */
	RUN(R6_IS_TASK, LDX(3, 1, 8), JEQI(3, 1, 2), MOV(4, 6), JA(1), MOV(4, 6), VALUE(2, BSS, 0),
	    STX(2, 4, 0), EXIT());
	TASK(sect, 0);
	RUN(R6_IS_TASK, LDX(3, 1, 8), JEQI(3, 1, 2), MOV(4, 6), JA(1), MOVI(4, 0), VALUE(2, BSS, 0),
	    STX(2, 4, 0), EXIT());
	TASK(sect, 0);
	/* Different ones. */
	RUN(R6_IS_TASK, LDX(5, 1, 16), LDX(3, 1, 8), JEQI(3, 1, 2), MOV(4, 6), JA(1), MOV(4, 5),
	    VALUE(2, BSS, 0), STX(2, 4, 0), EXIT());
	NONE();
	RUN(R6_IS_TASK, LDX(3, 1, 8), JEQI(3, 1, 2), MOV(4, 6), JA(1), MOV(4, 3), VALUE(2, BSS, 0),
	    STX(2, 4, 0), EXIT());
	NONE();
}

static void test_loops(void **state)
{
	(void)state;
	/* The register is another thing when the loop comes round. */
	RUN(R6_IS_TASK, LDX(8, 1, 16), LDX(9, 1, 8), VALUE(2, BSS, 0), STX(2, 6, 0), MOV(6, 8),
	    ADDI(9, -1), JNEI(9, 0, -6), EXIT());
	NONE();
	RUN(R6_IS_TASK, LDX(9, 1, 8), VALUE(2, BSS, 0), STX(2, 6, 0), ADDI(9, -1), JNEI(9, 0, -5), EXIT());
	TASK(sect, 0);
	/* It never ends. */
	RUN(R6_IS_TASK, VALUE(2, BSS, 0), STX(2, 6, 0), ADDI(6, 8), JA(-5), EXIT());
	NONE();
	RUN(JA(-1));
	NONE();
}

static void test_conflicts(void **state)
{
	(void)state;
	RUN(R6_IS_TASK, LDX(8, 1, 16), VALUE(2, BSS, 0), STX(2, 6, 0), STX(2, 8, 0), EXIT());
	NONE();
	RUN(R6_IS_TASK, VALUE(2, BSS, 0), STX(2, 6, 0), STI(2, 0, 1), EXIT());
	NONE();
	RUN(R6_IS_TASK, VALUE(2, BSS, 0), STX(2, 6, 0), STI(2, 0, 0), EXIT());
	TASK(sect, 0);
	RUN(R6_IS_TASK, VALUE(7, BSS, 0), STX(7, 6, 0), HELPER(KTIME), STX(7, 0, 0), EXIT());
	NONE();
	RUN(R6_IS_TASK, VALUE(2, BSS, 0), STX(2, 6, 0), STXW(2, 1, 4), EXIT());
	NONE();
	RUN(R6_IS_TASK, VALUE(2, BSS, 0), STX(2, 6, 0), MOVI(3, 1), ATOMIC(2, 3, 0, BPF_ADD), EXIT());
	NONE();
	RUN(R6_IS_TASK, VALUE(2, BSS, 0), STX(2, 6, 0), LDX(3, 2, 0), ADDI(3, 1), STX(2, 3, 0), EXIT());
	NONE();
	/* Exchanged for a pointer of the same kind. */
	RUN(R6_IS_TASK, VALUE(2, BSS, 0), STX(2, 6, 0), ATOMIC(2, 6, 0, BPF_XCHG), EXIT());
	TASK(sect, 0);
	/* Into the middle of an object, the lower half, the stack, a map. */
	RUN(R6_IS_TASK, VALUE(2, BSS, 0), ADDI(6, 8), STX(2, 6, 0), EXIT());
	NONE();
	RUN(R6_IS_TASK, VALUE(2, BSS, 0), MOV32(6, 6), STX(2, 6, 0), EXIT());
	NONE();
	RUN(VALUE(2, BSS, 0), STX(2, 10, 0), EXIT());
	NONE();
	RUN(VALUE(2, BSS, 0), MAP(3, HASH), STX(2, 3, 0), EXIT());
	NONE();
	/* In one place it is one thing, in another program or place another. */
	RUN(R6_IS_TASK, LDX(8, 1, 16), R7_IS_VAL, STX(7, 6, 0), VALUE(2, BSS, 8), STX(2, 8, 0), EXIT());
	NONE();
}

static void test_flow(void **state)
{
	(void)state;
	/* From field to field, and what is then behind it. */
	RUN(R6_IS_TASK, R7_IS_VAL, STX(7, 6, 0), LDX(3, 7, 0), STX(7, 3, 8), EXIT());
	is(val, 0, kernel, k_task, false);
	is(val, 8, kernel, k_task, false);
	assert_int_equal(nr_found(), 2);
	RUN(R6_IS_TASK, R7_IS_VAL, STX(7, 6, 0), LDX(3, 7, 0), LDX(4, 3, 8), STX(7, 4, 8), EXIT());
	is(val, 0, kernel, k_task, false);
	is(val, 8, kernel, k_other, false);
	/* What contradicts goes the same way. */
	RUN(R6_IS_TASK, R7_IS_VAL, STX(7, 6, 0), STI(7, 0, 3), LDX(3, 7, 0), STX(7, 3, 8), EXIT());
	NONE();
	/* And when it is found out only by what the field was taken for. */
	RUN(R6_IS_TASK, R7_IS_VAL, STX(7, 6, 0), LDX(3, 7, 0), LDX(4, 3, 8), STX(7, 4, 0), EXIT());
	NONE();
	/* A field that is stored where a pointer belongs. */
	RUN(R7_IS_VAL, LDX(3, 7, 0), VALUE(2, BSS, 112), STX(2, 3, 0), EXIT());
	only(val, 0, own, node, false);
}

static void test_types_of_the_kernel(void **state)
{
	(void)state;
	/* g_outer.task is a task_struct as the program knows it. */
	RUN(VALUE(2, BSS, 96), LDX(3, 2, 0), VALUE(4, BSS, 0), STX(4, 3, 0), EXIT());
	TASK(sect, 0);
	/* Its members are where the kernel has them. */
	RUN(VALUE(2, BSS, 96), LDX(3, 2, 0), LDX(3, 3, 8), VALUE(4, BSS, 0), STX(4, 3, 0), EXIT());
	only(sect, 0, kernel, k_other, false);
	/* That the kernel has a struct node does not matter. */
	RUN(VALUE(2, BSS, 112), LDX(3, 2, 0), VALUE(4, BSS, 0), STX(4, 3, 0), EXIT());
	only(sect, 0, own, node, false);
}

static void test_arena(void **state)
{
	(void)state;
	/* Known by the members that are touched: 8 bytes at 0, 4 at 8 and 12. */
	RUN(KFUNC(ALLOC), JEQI(0, 0, 7), MOV32(1, 0), MOVI(3, 0), AST(1, 3, 0), ASTW(1, 3, 8),
	    VALUE(2, BSS, 0), STX(2, 0, 0), EXIT());
	only(sect, 0, own, leaf, true);
	/* Through the field itself. */
	RUN(VALUE(2, BSS, 0), LDX(1, 2, 0), MOV32(1, 1), MOVI(3, 0), AST(1, 3, 0), ASTW(1, 3, 12), EXIT());
	only(sect, 0, own, leaf, true);
	/* Too little is known, or there are two: into the arena, to something. */
	RUN(VALUE(2, BSS, 0), LDX(1, 2, 0), MOV32(1, 1), MOVI(3, 0), AST(1, 3, 0), EXIT());
	only(sect, 0, own, 0, true);
	RUN(VALUE(2, BSS, 0), LDX(1, 2, 0), MOV32(1, 1), MOVI(3, 0), AST(1, 3, 0), AST(1, 3, 24), EXIT());
	only(sect, 0, own, 0, true);
	/* Nothing has members there. */
	RUN(VALUE(2, BSS, 0), LDX(1, 2, 0), MOV32(1, 1), MOVI(3, 0), AST(1, 3, 0), AST(1, 3, 320), EXIT());
	only(sect, 0, own, 0, true);
	/* An access of another kind is no evidence, a cast to user space is. */
	RUN(VALUE(2, BSS, 0), LDX(1, 2, 0), MOV32(1, 1), LDX(3, 1, 0), STXW(1, 3, 8), EXIT());
	NONE();
	RUN(VALUE(2, BSS, 0), LDX(1, 2, 0), CAST_USER(3, 1), EXIT());
	only(sect, 0, own, 0, true);
	/* A number is none, however it is used. */
	RUN(VALUE(2, BSS, 0), LDX(1, 2, 0), MOV32(1, 1), MOVI(3, 0), AST(1, 3, 0), ASTW(1, 3, 12),
	    STI(2, 0, 9), EXIT());
	NONE();
	/* Typed, but used beyond its end. */
	RUN(VALUE(2, BSS, 112), LDX(3, 2, 0), VALUE(4, BSS, 0), STX(4, 3, 0), LDX(1, 4, 0), MOV32(1, 1),
	    AST(1, 3, 4096), EXIT());
	NONE();
	/* Null on one way: nothing is read on that one, which says nothing about the other. */
	RUN(MAP(1, HASH), HELPER(HTAB_LOOKUP), JEQI(0, 0, 1), ADDI(0, 56), JEQI(0, 0, 5),
	    LDX(1, 0, 0), JEQI(1, 0, 3), MOV32(1, 1), MOVI(3, 0), AST(1, 3, 0), EXIT());
	only(val, 0, own, 0, true);
	RUN(MAP(1, HASH), HELPER(HTAB_LOOKUP), JEQI(0, 0, 1), ADDI(0, 56), JNEI(0, 0, 1), EXIT(),
	    LDX(1, 0, 0), JEQI(1, 0, 3), MOV32(1, 1), MOVI(3, 0), AST(1, 3, 0), EXIT());
	only(val, 0, own, 0, true);
	/* A part of what was allocated: in the arena, but not what is at its beginning. */
	RUN(KFUNC(ALLOC), JEQI(0, 0, 8), MOV32(1, 0), MOVI(3, 0), AST(1, 3, 0), ASTW(1, 3, 8),
	    ADDI(0, 256), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT());
	only(sect, 0, own, 0, true);
}

static void test_subprograms(void **state)
{
	(void)state;
	/* What callers bring, and what comes back. */
	RUN(LDX(1, 1, 0), SUB(1), EXIT(),
	    VALUE(2, BSS, 0), STX(2, 1, 0), EXIT());
	TASK(sect, 0);
	RUN(LDX(1, 1, 0), SUB(4), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(),
	    MOV(0, 1), EXIT());
	TASK(sect, 0);
	/* They do not agree. */
	RUN(MOV(6, 1), LDX(1, 6, 0), SUB(3), LDX(1, 6, 16), SUB(1), EXIT(),
	    VALUE(2, BSS, 0), STX(2, 1, 0), EXIT());
	NONE();
	/* r6 to r9 are the callers' own, r1 to r5 are gone. */
	RUN(LDX(6, 1, 0), LDX(5, 1, 0), SUB(5), VALUE(2, BSS, 0), STX(2, 6, 0), STX(2, 5, 8), EXIT(),
	    MOVI(6, 1), EXIT());
	TASK(sect, 0);
	/* The stack of a caller is not the callee's, which may write to it. */
	RUN(R6_IS_TASK, STX(10, 6, -8), MOV(1, 10), ADDI(1, -8), SUB(5), LDX(3, 10, -8), VALUE(2, BSS, 0),
	    STX(2, 3, 0), EXIT(),
	    STI(1, 0, 5), EXIT());
	NONE();
	/* It does not come back at all, or only by calling itself. */
	RUN(LDX(6, 1, 0), SUB(4), VALUE(2, BSS, 0), STX(2, 6, 0), EXIT(),
	    JA(-1));
	NONE();
	RUN(LDX(6, 1, 0), SUB(4), VALUE(2, BSS, 0), STX(2, 6, 0), EXIT(),
	    MOVI(0, 0), JEQI(1, 0, 1), SUB(-3), EXIT());
	TASK(sect, 0);
	/* BTF is believed for global functions: the compiler may not change those. */
	funcs[0] = (struct cast_func){ 0, 0 };
	funcs[1] = (struct cast_func){ 3, f_global };
	RUN_FUNCS(2, MOVI(1, 0), SUB(1), EXIT(),
		  VALUE(2, BSS, 0), STX(2, 1, 0), EXIT());
	only(sect, 0, own, node, false);
	funcs[1].id = f_static;
	RUN_FUNCS(2, LDXW(1, 10, -4), SUB(1), EXIT(),
		  VALUE(2, BSS, 0), STX(2, 1, 0), EXIT());
	NONE();
	/* A field that is given to one. */
	funcs[1] = (struct cast_func){ 5, f_global };
	RUN_FUNCS(2, VALUE(2, BSS, 0), LDX(1, 2, 0), SUB(1), EXIT(),
		  EXIT());
	only(sect, 0, own, node, false);
	/* A callback, which is only named. */
	funcs[1] = (struct cast_func){ 3, f_static };
	RUN_FUNCS(2, IMM64(2, 4, 2), EXIT(),
		  VALUE(2, BSS, 0), STX(2, 1, 0), EXIT());
	only(sect, 0, own, node, false);
}

/* As the kernel leaves calls behind: one number is the distance, one counts functions. */
static void test_linked(void **state)
{
	struct bpf_insn insns[] = {
		LDX(1, 1, 0), SUB(1), EXIT(),
		VALUE(2, BSS, 0), STX(2, 1, 0), EXIT(),
	};
	struct cast_prog p = program(insns, ARRAY_SIZE(insns), 2);

	(void)state;
	funcs[1] = (struct cast_func){ 3, f_static };
	p.linked = true;
	for (int i = 0; i < 3; i++) {
		insns[1].off = 1;
		insns[1].imm = 1;
		if (i == 2)
			insns[1].imm = 7;
		casts_free(casts);
		casts = casts_new();
		assert_int_equal(casts_add(casts, &p), 0);
		assert_int_equal(casts_solve(casts), 0);
		assert_int_equal(casts_left_out(casts), i == 2);
		if (i < 2)
			TASK(sect, 0);
		else
			NONE();
	}
}

/* The field leads into an arena, to what so many bytes were allocated for. */
static bool sized(int owner, uint32_t off, uint32_t size)
{
	struct cast_hit hit;

	return casts_find(casts, own, btf__type_by_id(own, owner), off, &hit) && hit.arena &&
	       !hit.id && hit.size == size;
}

#define SIZED(owner, off, size) do { \
	assert_true(sized(owner, off, size)); \
	assert_int_equal(nr_found(), 1); \
} while (0)
#define SIZES(...) do { \
	const uint32_t sizes_[] = { __VA_ARGS__ }; \
	size_t nr_; \
	const uint32_t *found_ = casts_sizes(casts, &nr_); \
	assert_int_equal(nr_, ARRAY_SIZE(sizes_)); \
	assert_memory_equal(found_, sizes_, sizeof(sizes_)); \
} while (0)
/* r0 = the function at the end, with so many bytes: rel is the distance to there. */
#define GET(size, rel) MOVI(1, size), SUB(rel)
#define GIVER MOV(0, 1), EXIT()

static void test_allocators(void **state)
{
	size_t nr;

	(void)state;
	funcs[1] = (struct cast_func){ 6, f_bytes };
	RUN_FUNCS(2, GET(24, 4), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 24);
	SIZES(24);
	/* Whose arguments the compiler may have changed. */
	funcs[1].id = f_bytes_static;
	RUN_FUNCS(2, GET(24, 4), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 0);
	casts_sizes(casts, &nr);
	assert_int_equal(nr, 0);
	funcs[1].id = f_slot;
	RUN_FUNCS(2, GET(24, 4), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 0);
	/* Its own instructions say what it returns. */
	funcs[1].id = f_slot_typed;
	RUN_FUNCS(2, GET(24, 4), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(), GIVER);
	only(sect, 0, own, node, true);
	/* Another function of that name: no pointer fits into what it returns. */
	funcs[1].id = f_bytes_int;
	RUN_FUNCS(2, GET(24, 4), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(), GIVER);
	NONE();
	funcs[1].id = f_static;
	RUN_FUNCS(2, GET(24, 4), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(), GIVER);
	NONE();
	/* Not a number that is known; nothing; less than nothing. */
	funcs[1].id = f_bytes;
	RUN_FUNCS(2, LDX(1, 1, 8), SUB(4), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 0);
	RUN_FUNCS(2, GET(0, 4), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 0);
	RUN_FUNCS(2, GET(-8, 4), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 0);
	/* A part of it. */
	funcs[1].insn = 7;
	RUN_FUNCS(2, GET(24, 5), ADDI(0, 8), VALUE(2, BSS, 0), STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 0);
	/* One of two sizes, by the way that was taken. */
	funcs[1].insn = 9;
	RUN_FUNCS(2, LDX(3, 1, 8), MOVI(1, 24), JEQI(3, 5, 1), MOVI(1, 32), SUB(4), VALUE(2, BSS, 0),
		  STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 0);
	RUN_FUNCS(2, LDX(3, 1, 8), MOVI(1, 24), JEQI(3, 5, 1), MOVI(1, 24), SUB(4), VALUE(2, BSS, 0),
		  STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 24);
}

/* Several allocations for one field, and one for several. */
static void test_sizes(void **state)
{
	struct cast_hit hit;

	(void)state;
	funcs[1] = (struct cast_func){ 9, f_bytes };
	RUN_FUNCS(2, GET(24, 7), VALUE(7, BSS, 0), STX(7, 0, 0), GET(24, 2), STX(7, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 24);
	SIZES(24);
	RUN_FUNCS(2, GET(32, 7), VALUE(7, BSS, 0), STX(7, 0, 0), GET(24, 2), STX(7, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 0);
	SIZES(24, 32);
	/* The third is what the first was. */
	funcs[1].insn = 12;
	RUN_FUNCS(2, GET(32, 10), VALUE(7, BSS, 0), STX(7, 0, 0), GET(24, 5), STX(7, 0, 0), GET(32, 2),
		  STX(7, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 0);
	/* Beside pages, or a slot of another allocator. */
	funcs[1].insn = 8;
	RUN_FUNCS(2, GET(24, 6), VALUE(7, BSS, 0), STX(7, 0, 0), KFUNC(ALLOC), STX(7, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 0);
	funcs[1].insn = 9;
	funcs[2] = (struct cast_func){ 11, f_slot };
	RUN_FUNCS(3, GET(24, 7), VALUE(7, BSS, 0), STX(7, 0, 0), GET(24, 4), STX(7, 0, 0), EXIT(), GIVER, GIVER);
	SIZED(sect, 0, 0);
	/* What else is stored there says that it is none. */
	funcs[1].insn = 7;
	RUN_FUNCS(2, GET(24, 5), VALUE(7, BSS, 0), STX(7, 0, 0), STI(7, 0, 5), EXIT(), GIVER);
	NONE();
	/* From field to field; two ways into one. */
	funcs[1].insn = 14;
	RUN_FUNCS(2, R7_IS_VAL, GET(24, 4), STX(7, 0, 0), LDX(3, 7, 0), STX(7, 3, 8), EXIT(), GIVER);
	assert_true(sized(val, 0, 24) && sized(val, 8, 24));
	funcs[1].insn = 17;
	RUN_FUNCS(2, R7_IS_VAL, GET(24, 7), STX(7, 0, 0), GET(16, 4), STX(7, 0, 8), LDX(3, 7, 0),
		  STX(7, 3, 8), EXIT(), GIVER);
	assert_true(sized(val, 0, 24) && sized(val, 8, 0));
	/* By way of the stack. */
	funcs[1].insn = 12;
	RUN_FUNCS(2, GET(24, 10), STX(10, 0, -80), STI(10, -72, 0), MOV(2, 10), ADDI(2, -4), MOV(3, 10),
		  ADDI(3, -80), MAP(1, HASH), HELPER(UPDATE), EXIT(), GIVER);
	SIZED(val, 0, 24);
	/* A shape that has no room in it is another's. */
	funcs[1].insn = 10;
	RUN_FUNCS(2, GET(16, 8), MOV32(1, 0), MOVI(3, 0), AST(1, 3, 0), ASTW(1, 3, 8), VALUE(2, BSS, 0),
		  STX(2, 0, 0), EXIT(), GIVER);
	only(sect, 0, own, leaf, true);
	RUN_FUNCS(2, GET(12, 8), MOV32(1, 0), MOVI(3, 0), AST(1, 3, 0), ASTW(1, 3, 8), VALUE(2, BSS, 0),
		  STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 12);
	/* Where it is accessed: a node has 8 bytes at 0 and 16, a leaf has not. */
	RUN_FUNCS(2, GET(99, 8), MOV32(1, 0), MOVI(3, 0), AST(1, 3, 0), AST(1, 3, 16), VALUE(2, BSS, 0),
		  STX(2, 0, 0), EXIT(), GIVER);
	SIZED(sect, 0, 99);
	assert_true(casts_find(casts, own, btf__type_by_id(own, sect), 0, &hit));
	assert_true(!hit.vague && cast_fits(&hit, own, node) && !cast_fits(&hit, own, leaf));
	/* In front of it as well: it is no object's beginning. */
	RUN_FUNCS(2, GET(24, 8), MOV32(1, 0), MOVI(3, 0), AST(1, 3, 0), AST(1, 3, -8), VALUE(2, BSS, 0),
		  STX(2, 0, 0), EXIT(), GIVER);
	assert_true(casts_find(casts, own, btf__type_by_id(own, sect), 0, &hit) && !hit.id && hit.vague);
}

#define BAD(...) do { \
	const struct bpf_insn insns_[] = { __VA_ARGS__ }; \
	solve(insns_, ARRAY_SIZE(insns_), 0); \
	assert_int_equal(casts_left_out(casts), 1); \
	NONE(); \
} while (0)

static void test_no_programs(void **state)
{
	static struct bpf_insn many[CAST_MAX_INSNS + 1];
	struct cast_prog p = program(many, 0, 0);

	(void)state;
	BAD(JA(1), EXIT());
	BAD(JA(-2), EXIT());
	BAD(JA(0), INSN(BPF_LD | BPF_IMM | BPF_DW, 1, 0, 0, 0));
	BAD(JA(1), IMM64(1, 0, 5), EXIT());
	BAD(SUB(100), EXIT());
	/* It could go anywhere. */
	BAD(INSN(BPF_JMP | BPF_JA | BPF_X, 1, 0, 0, 0), EXIT());
	casts_free(casts);
	casts = casts_new();
	assert_int_equal(casts_add(casts, &p), -EINVAL);
	p.nr = ARRAY_SIZE(many);
	assert_int_equal(casts_add(casts, &p), -E2BIG);
	p.nr = 1;
	p.btf = NULL;
	assert_int_equal(casts_add(casts, &p), -EINVAL);
	assert_int_equal(casts_solve(casts), 0);
	NONE();
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* The largest program, all of it branches that keep changing: it is given up in time. */
static void test_endless(void **state)
{
	static struct bpf_insn insns[1 << 17];
	double from;

	(void)state;
	insns[0] = R6_IS_TASK;
	for (size_t i = 1; i < ARRAY_SIZE(insns) - 1; i++) {
		switch (i % 4) {
		case 0:
			insns[i] = STX(10, 6, -8 * (int)(1 + i % 64));
			break;
		case 1:
			insns[i] = JEQI(6, 5, (int16_t)(i > 20000 ? -20000 : 20000));
			break;
		case 2:
			insns[i] = LDX(6, 10, -8 * (int)(1 + i % 61));
			break;
		default:
			insns[i] = ADDI(6, 1);
		}
		if (i + 20004 > ARRAY_SIZE(insns) && i % 4 == 1)
			insns[i].off = -20000;
	}
	insns[ARRAY_SIZE(insns) - 1] = EXIT();
	from = seconds();
	solve(insns, ARRAY_SIZE(insns), 0);
	assert_true(seconds() - from < 60);
}

/* --------------------------------------------------------------------- damaged ones */

static const struct bpf_insn sample[] = {
	R6_IS_TASK, R7_IS_VAL, STX(7, 6, 0), LDX(3, 7, 0), LDX(4, 3, 8), STX(7, 4, 8),
	MOV(1, 7), MOV(2, 6), SUB(34),
	MAP(1, ARRAY), ADDI(1, 296), LDXW(0, 10, -4), JGEI(0, 4, 3), MULI(0, 24), ADD(0, 1), JA(1),
	MOVI(0, 0), JEQI(0, 0, 1), STX(0, 6, 8), STX(10, 6, -80), STI(10, -72, 0), MOV(2, 10),
	ADDI(2, -4), MOV(3, 10), ADDI(3, -80), MAP(1, HASH), HELPER(UPDATE), KFUNC(ALLOC),
	JEQI(0, 0, 6), MOV32(1, 0), AST(1, 0, 0), ASTW(1, 0, 8), VALUE(2, BSS, 0), STX(2, 0, 0),
	ALD(3, 1, 0), CAST_USER(4, 3), EXIT(),
	STX(1, 2, 40), IMM64(2, 4, 1), EXIT(),
	VALUE(2, BSS, 0), LDX(3, 2, 0), ATOMIC(2, 3, 8, BPF_XCHG), JNEI(3, 7, -3), EXIT(),
};

static uint64_t random_state;

static uint32_t roll(uint32_t n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (random_state >> 33) % n;
}

static void flip(void *p, size_t len)
{
	for (uint32_t n = 1 + roll(4); n; n--)
		((uint8_t *)p)[roll(len)] ^= 1 << roll(8);
}

/* Bytes of BTF with some bits the other way; NULL when libbpf will not have it. */
static struct btf *damaged(const struct btf *from)
{
	const struct btf_header *h;
	uint8_t *copy;
	struct btf *btf;
	uint32_t len;
	const void *data = btf__raw_data(from, &len);

	copy = malloc(len);
	memcpy(copy, data, len);
	h = data;
	flip(copy + h->hdr_len + h->type_off, h->type_len);
	btf = btf__new(copy, len);
	free(copy);
	return btf;
}

static void test_damage(void **state)
{
	struct bpf_insn insns[ARRAY_SIZE(sample)];
	double from = seconds(), longest = 0;
	size_t found = 0, damaged_btfs = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct cast_prog p = program(insns, ARRAY_SIZE(insns), 3);
		struct cast_map copy[NR_MAPS];
		struct btf *btf = NULL, *k = NULL;
		double start = seconds();

		random_state = i;
		memcpy(insns, sample, sizeof(insns));
		if (i)
			flip(insns, sizeof(insns));
		funcs[1] = (struct cast_func){ ARRAY_SIZE(sample) - 11, i % 2 ? f_bytes : f_static };
		funcs[2] = (struct cast_func){ ARRAY_SIZE(sample) - 6, f_global };
		memcpy(copy, maps, sizeof(copy));
		if (i % 3 == 1) {
			btf = damaged(own);
			for (int m = 0; btf && m < NR_MAPS; m++)
				copy[m].btf = btf;
			p.btf = btf ? btf : own;
			p.maps = copy;
		}
		if (i % 3 == 2) {
			k = damaged(kernel);
			p.kernel = p.ctx_btf = k ? k : kernel;
		}
		damaged_btfs += btf || k;
		casts_free(casts);
		casts = casts_new();
		casts_add(casts, &p);
		assert_int_equal(casts_solve(casts), 0);
		found += nr_found();
		if (!i)
			assert_true(nr_found() >= 4);
		casts_free(casts);
		casts = NULL;
		btf__free(btf);
		btf__free(k);
		if (seconds() - start > longest)
			longest = seconds() - start;
	}
	print_message("%d rounds, %zu with damaged BTF, %zu findings, %.1f s, the longest %.3f s\n",
		      ROUNDS, damaged_btfs, found, seconds() - from, longest);
	assert_true(damaged_btfs > ROUNDS / 10);
	assert_true(longest < 10);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_stored),
		TEST(test_places),
		TEST(test_lookups),
		TEST(test_functions),
		TEST(test_stack),
		TEST(test_branches),
		TEST(test_loops),
		TEST(test_conflicts),
		TEST(test_flow),
		TEST(test_types_of_the_kernel),
		TEST(test_arena),
		TEST(test_subprograms),
		TEST(test_linked),
		TEST(test_allocators),
		TEST(test_sizes),
		TEST(test_no_programs),
		TEST(test_endless),
		TEST(test_damage),
	};

	libbpf_set_print(NULL);
	if (getenv("KTDUMP_SEEDS"))	/* it makes none, and takes long */
		cmocka_set_skip_filter("test_damage");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
