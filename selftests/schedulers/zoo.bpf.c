// SPDX-License-Identifier: GPL-2.0-only
/*
 * The map zoo: a scheduler with a map of every type, which zoofill loads, fills and
 * makes fail.  What only BPF programs can put into maps is filled here: kptrs, ring
 * buffer records, stacks, a page of the arena.  The record that is still busy when the
 * scheduler ends is reserved by ops.enqueue(), which then calls scx_bpf_error().
 */
#include "scx.h"
#include "zoo.h"

#define __arena __attribute__((address_space(1)))

struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
struct cgroup *bpf_cgroup_from_id(u64 id) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;
void *bpf_obj_new_impl(u64 local_type_id, void *meta) __ksym;
void bpf_obj_drop_impl(void *obj, void *meta) __ksym;
void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, u32 pages, int node,
				    u64 flags) __ksym;

#define MAP(name_, type_, max_, ...)				\
	struct {						\
		__uint(type, BPF_MAP_TYPE_##type_);		\
		__uint(max_entries, max_);			\
		__VA_ARGS__					\
	} name_ SEC(".maps")
#define KV(k, v) __type(key, k); __type(value, v);
#define SIZES(k, v) __uint(key_size, k); __uint(value_size, v);
#define FLAGS(f) __uint(map_flags, f);

MAP(z_array, ARRAY, 1, KV(u32, struct zoo_all));
MAP(z_array_multi, ARRAY, N_MULTI, KV(u32, struct zoo_all));
MAP(z_array_mmap, ARRAY, N_MMAP, KV(u32, struct zoo_small) FLAGS(BPF_F_MMAPABLE));
MAP(z_array_untyped, ARRAY, 2, SIZES(4, 13));
MAP(z_percpu_array, PERCPU_ARRAY, N_PERCPU_ARRAY, KV(u32, struct zoo_small));
MAP(z_hash, HASH, 64, KV(struct zoo_key, struct zoo_all));
MAP(z_hash_nopre, HASH, 128, KV(u64, struct zoo_small) FLAGS(BPF_F_NO_PREALLOC));
MAP(z_hash_untyped, HASH, 8, SIZES(5, 11));
MAP(z_hash_empty, HASH, 8, KV(u32, u64));
MAP(z_lru, LRU_HASH, 1024, KV(u32, struct zoo_small));
MAP(z_percpu_hash, PERCPU_HASH, 32, KV(u32, struct zoo_small));
MAP(z_pcpu_hash_np, PERCPU_HASH, 32, KV(u32, struct zoo_small) FLAGS(BPF_F_NO_PREALLOC));
MAP(z_lru_percpu, LRU_PERCPU_HASH, 1024, KV(u32, struct zoo_small));
MAP(z_big, HASH, 16384, KV(u32, struct zoo_small));

MAP(z_task, TASK_STORAGE, 0, KV(int, struct zoo_small) FLAGS(BPF_F_NO_PREALLOC));
MAP(z_cgrp, CGRP_STORAGE, 0, KV(int, struct zoo_small) FLAGS(BPF_F_NO_PREALLOC));
MAP(z_inode, INODE_STORAGE, 0, KV(int, struct zoo_small) FLAGS(BPF_F_NO_PREALLOC));
MAP(z_sk, SK_STORAGE, 0, KV(int, struct zoo_small) FLAGS(BPF_F_NO_PREALLOC));
MAP(z_cgroup_st, CGROUP_STORAGE, 0, KV(struct bpf_cgroup_storage_key, struct zoo_small));
MAP(z_pcpu_cgrp_st, PERCPU_CGROUP_STORAGE, 0, KV(struct bpf_cgroup_storage_key, struct zoo_small));

MAP(z_ringbuf, RINGBUF, RING_BYTES);
MAP(z_user_ringbuf, USER_RINGBUF, RING_BYTES);
/* So many buckets that two stacks hardly ever want the same one. */
MAP(z_stack_trace, STACK_TRACE, 4096, SIZES(4, 16 * 8));
MAP(z_stack_bid, STACK_TRACE, 64, SIZES(4, 16 * 32) FLAGS(BPF_F_STACK_BUILD_ID));
MAP(z_queue, QUEUE, QUEUE_ROOM, __type(value, struct zoo_small););
MAP(z_stack, STACK, STACK_ROOM, __type(value, struct zoo_small););
MAP(z_bloom, BLOOM_FILTER, 100, __type(value, u64); __uint(map_extra, 4););
MAP(z_lpm, LPM_TRIE, 64, KV(struct zoo_lpm_key, struct zoo_small) FLAGS(BPF_F_NO_PREALLOC));

MAP(z_prog_array, PROG_ARRAY, 8, SIZES(4, 4));
MAP(z_perf_array, PERF_EVENT_ARRAY, 8, SIZES(4, 4));
MAP(z_cgroup_array, CGROUP_ARRAY, 8, SIZES(4, 4));
MAP(z_devmap, DEVMAP, 8, SIZES(4, 4));
MAP(z_devmap_hash, DEVMAP_HASH, 8, SIZES(4, 4));
MAP(z_cpumap, CPUMAP, 4, SIZES(4, 4));
MAP(z_sockmap, SOCKMAP, 8, SIZES(4, 8));
MAP(z_sockhash, SOCKHASH, 8, SIZES(4, 8));
MAP(z_xskmap, XSKMAP, 8, SIZES(4, 4));
MAP(z_reuseport, REUSEPORT_SOCKARRAY, 8, SIZES(4, 8));

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct zoo_small);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, u32);
	__array(values, struct inner);
} z_array_of_maps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, u32);
	__array(values, struct inner);
} z_hash_of_maps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ARENA_MAX_PAGES);
	__ulong(map_extra, 0x1ull << 44);
} z_arena SEC(".maps");

/* An object of the program's own, which holds a further one of the kernel's. */
struct local {
	s32 minus;
	struct bpf_cpumask __kptr *mask;
	u64 end;
};

struct kptrs {
	u32 tag;
	struct bpf_cpumask __kptr *mask;
	struct task_struct __kptr *task;
	struct cgroup __kptr *cgrp;
	struct local __kptr *local;
	u64 end;
};

MAP(z_kptr, ARRAY, N_KPTR, KV(u32, struct kptrs));
/* A lock and a timer: special fields that no reader may see inside of. */
struct special {
	u64 before;
	struct bpf_spin_lock lock;
	u32 between;
	struct bpf_timer timer;
	u64 after;
};

MAP(z_special, ARRAY, 1, KV(u32, struct special));

/* Nodes of a list in the arena, each in a page of its own. */
struct zoo_node {
	u64 value;
	struct zoo_node __arena *next;
	struct zoo_small small;
};

/* .bss: filled by the loader, but for what the names tell. */
struct zoo_all bss_all;
struct zoo_pair bss_pairs[4];
struct zoo_node __arena *arena_head;
void __arena *arena_page;
s32 kptr_pids[N_KPTR];
u64 kptr_cgroups[N_KPTR];
s32 fill_error;
u32 stack_tgid, stack_skip;
s64 stack_id = -1, user_stack_id = -1, build_id_stack_id = -1;
u32 want_fail;
u32 ring_produced;

/* .data */
s64 data_neg = -1234567890123456789;
u64 data_big = 0xfedcba9876543210;
char data_text[32] = "quote \" back \\ tab \t end";
struct {
	u32 nr;
	struct zoo_pair pairs[];
} data_flex = { 3, { { 1, -1 }, { 2, -2 }, { 3, -3 } } };
enum zoo_color data_color = ZOO_RED;
enum zoo_uwide data_uwide = ZOO_UWIDE_TOP;

/* .data.float: bpftool gives up at the first one */
double f_double SEC(".data.float") = 3.141592653589793;
float f_float SEC(".data.float") = -0.15625f;
double f_doubles[3] SEC(".data.float") = { 1e300, -0.0, 5e-324 };
float f_nan SEC(".data.float") = __builtin_nanf("");
double f_inf SEC(".data.float") = -__builtin_inf();
s16 f_last SEC(".data.float") = -3;

/* .rodata, frozen by libbpf */
const volatile struct zoo_all rodata_all = {};
const volatile s32 rodata_neg = -42;
const volatile char rodata_name[] = "zoo\x01\xff";

/* .data.x */
struct zoo_small x_small SEC(".data.x") = {};
s32 x_neg SEC(".data.x") = -77;
static u64 x_static SEC(".data.x") = 0x0123456789abcdef;

/* Makes the map one of the program's, whatever it does with it. */
#define USE(map) asm volatile("" : : "r"(&map))

s32 SCX_OP(zoo_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return pick_cpu(p, prev_cpu, wake_flags);
}

static void die(void)
{
	struct zoo_event *e = bpf_ringbuf_reserve(&z_ringbuf, sizeof(*e), 0);

	if (!e) {
		scx_error("ktdump selftest: no room for a record");
		return;
	}
	zoo_event(e, zoo_seed(ZOO_RINGBUF, 0, 0), 0xb051);
	scx_error("ktdump selftest: the zoo is open, %d records", (u64)ring_produced);
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

void SCX_OP(zoo_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (want_fail && __sync_lock_test_and_set(&want_fail, 0) == 1)
		die();
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

/* Programs that may not sleep can use any map. */
void SCX_OP(zoo_running, struct task_struct *p)
{
	struct zoo_small *s = bpf_task_storage_get(&z_task, p, NULL, 0);

	if (s && !s->a)
		x_static++;
	USE(z_array);
	USE(z_array_multi);
	USE(z_array_mmap);
	USE(z_array_untyped);
	USE(z_percpu_array);
	USE(z_hash);
	USE(z_hash_nopre);
	USE(z_hash_untyped);
	USE(z_hash_empty);
	USE(z_lru);
	USE(z_percpu_hash);
	USE(z_pcpu_hash_np);
	USE(z_lru_percpu);
	USE(z_big);
	USE(z_queue);
	USE(z_stack);
	USE(z_bloom);
	USE(z_lpm);
	USE(z_array_of_maps);
	USE(z_hash_of_maps);
	USE(x_small);
	USE(rodata_neg);
	USE(data_neg);
	USE(f_last);
}

static int fill_local(struct kptrs *v, u32 i)
{
	struct local *local = bpf_obj_new_impl(bpf_core_type_id_local(struct local), NULL);
	struct bpf_cpumask *mask;

	if (!local)
		return -8;
	local->minus = -(s32)i;
	local->end = zoo_mix(zoo_seed(ZOO_KPTR, 0, i), 1);
	mask = bpf_cpumask_create();
	if (!mask) {
		bpf_obj_drop_impl(local, NULL);
		return -9;
	}
	bpf_cpumask_set_cpu(i & 1, mask);
	mask = bpf_kptr_xchg(&local->mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
	local = bpf_kptr_xchg(&v->local, local);
	if (local)
		bpf_obj_drop_impl(local, NULL);
	return 0;
}

static int fill_kptr(u32 i)
{
	struct kptrs *v = bpf_map_lookup_elem(&z_kptr, &i);
	struct bpf_cpumask *mask;
	struct task_struct *task;
	struct cgroup *cgrp;

	if (!v)
		return -2;
	v->tag = 0x4b505452 + i;
	v->end = zoo_mix(zoo_seed(ZOO_KPTR, 0, i), 0);
	/* The last one stays empty. */
	if (i == N_KPTR - 1)
		return 0;
	mask = bpf_cpumask_create();
	if (!mask)
		return -3;
	bpf_cpumask_set_cpu(i, mask);
	bpf_cpumask_set_cpu(3, mask);
	mask = bpf_kptr_xchg(&v->mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
	task = bpf_task_from_pid(kptr_pids[i & (N_KPTR - 1)]);
	if (!task)
		return -4;
	task = bpf_kptr_xchg(&v->task, task);
	if (task)
		bpf_task_release(task);
	cgrp = bpf_cgroup_from_id(kptr_cgroups[i & (N_KPTR - 1)]);
	if (!cgrp)
		return -5;
	cgrp = bpf_kptr_xchg(&v->cgrp, cgrp);
	if (cgrp)
		bpf_cgroup_release(cgrp);
	return fill_local(v, i);
}

static int fill_arena(void)
{
	struct zoo_node __arena *n = bpf_arena_alloc_pages(&z_arena, NULL, 1, -1, 0);

	if (!n)
		return -6;
	n->value = 0xa6e9a;
	n->next = arena_head;
	arena_page = n;
	return 0;
}

/* A spinlock sleeps on PREEMPT_RT, where no program may start a timer. */
struct spinlock___rt {
	struct rt_mutex_base lock;
} __attribute__((preserve_access_index));

s32 SCX_OP_SLEEPABLE(zoo_init)
{
	struct special *s;
	u32 i, zero = 0;

	for (i = 0; i < N_KPTR && !fill_error; i++)
		fill_error = fill_kptr(i);
	if (!fill_error)
		fill_error = fill_arena();
	s = bpf_map_lookup_elem(&z_special, &zero);
	if (s) {
		s->before = 1;
		s->between = 2;
		s->after = 3;
		/* CLOCK_MONOTONIC */
		if (!bpf_core_field_exists(struct spinlock___rt, lock) &&
		    bpf_timer_init(&s->timer, &z_special, 1))
			fill_error = -7;
	}
	return fill_error;
}

void SCX_OP(zoo_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

/* Called by the loader: n records, of which every seventh is thrown away. */
struct ring_args {
	u32 first, count, discard_every;
};

SEC("syscall") int zoo_produce(struct ring_args *args)
{
	u32 i, first = args->first, count = args->count, every = args->discard_every;

	for (i = 0; i < 128 && i < count; i++) {
		struct zoo_event *e = bpf_ringbuf_reserve(&z_ringbuf, sizeof(*e), 0);

		if (!e)
			return i;
		zoo_event(e, zoo_seed(ZOO_RINGBUF, 0, 0), first + i);
		if (every && i % every == every - 1)
			bpf_ringbuf_discard(e, BPF_RB_NO_WAKEUP);
		else
			bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
		ring_produced++;
	}
	return i;
}

static long drained(struct bpf_dynptr *dynptr, void *ctx)
{
	return 0;
}

SEC("syscall") int zoo_drain(void *ctx)
{
	return bpf_user_ringbuf_drain(&z_user_ringbuf, drained, NULL, BPF_RB_NO_WAKEUP);
}

/* The stacks of the loader, which calls getppid() three times for it. */
SEC("raw_tp/sys_enter") int zoo_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	if (!stack_tgid || bpf_get_current_pid_tgid() >> 32 != stack_tgid || ctx->args[1] != 110)
		return 0;
	if (stack_id < 0)
		stack_id = bpf_get_stackid(ctx, &z_stack_trace, stack_skip & BPF_F_SKIP_FIELD_MASK);
	else if (user_stack_id < 0)
		user_stack_id = bpf_get_stackid(ctx, &z_stack_trace, BPF_F_USER_STACK);
	else if (build_id_stack_id < 0)
		build_id_stack_id = bpf_get_stackid(ctx, &z_stack_bid, BPF_F_USER_STACK);
	return 0;
}

/* For the program array, which takes one type of programs; never run. */
SEC("raw_tp/sys_exit") int zoo_tail(struct bpf_raw_tracepoint_args *ctx)
{
	bpf_tail_call(ctx, &z_prog_array, 5);
	return 0;
}

/* The old cgroup storage has one value per cgroup where such a program is attached. */
SEC("cgroup_skb/egress") int zoo_egress(struct __sk_buff *skb)
{
	struct zoo_small *a = bpf_get_local_storage(&z_cgroup_st, 0);
	struct zoo_small *b = bpf_get_local_storage(&z_pcpu_cgrp_st, 0);

	if (a->c == b->c && a->a == 1)
		return 0;
	return 1;
}

/* A string literal makes .rodata.str1.1, which has no type. */
SEC("syscall") int zoo_string(void *ctx)
{
	char name[8] = "zoo";

	return bpf_strncmp(name, sizeof(name), "lit\x01\"\\ \xc3\xa9");
}

SEC(".struct_ops.link")
struct sched_ext_ops zoo = {
	.select_cpu	= (void *)zoo_select_cpu,
	.enqueue	= (void *)zoo_enqueue,
	.running	= (void *)zoo_running,
	.init		= (void *)zoo_init,
	.exit		= (void *)zoo_exit,
	.flags		= SCX_OPS_ENQ_LAST,
	.timeout_ms	= 20000,
	.name		= "zoo",
};
