// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pointers in fields that BTF calls u64, and numbers that look like them. What each
 * field is, and what is behind it, is written down in tests/casts.py. Ends with an
 * error when the task "trigger" wants to run.
 */
#include "scx.h"

#define __arena __attribute__((address_space(1)))

void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, u32 pages, int node,
				    u64 flags) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
	__ulong(map_extra, 0x1ull << 44);
} arena SEC(".maps");

/* In the arena; known by its pointers in BTF. */
struct ct_node {
	u64 magic;
	u64 count;
	u32 kind;
	struct ct_node __arena *peer;
	u64 up;			/* ct_node */
};

/* In the arena; known by how it is used. */
struct ct_leaf {
	u64 magic;
	u32 small;
	u16 shorter;
	u16 pad;
	u64 left;
};

/* Value of an array: kernel memory. */
struct ct_record {
	u64 magic;
	u64 value;
	u64 home;		/* ct_record: itself */
};

struct ct_entry {
	u64 task;		/* task_struct */
	u64 node;		/* ct_node */
	u64 stamp;		/* a number */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, struct ct_record);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, struct ct_entry);
} entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, u32);
	__type(value, struct ct_entry);
} copies SEC(".maps");

struct ct_own {
	u64 self;		/* task_struct */
	u64 entry;		/* ct_entry */
	u64 runs;		/* a number */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ct_own);
} own SEC(".maps");

struct ct_holder {
	u64 task;		/* task_struct */
	u64 node;		/* ct_node in the arena, from a typed pointer */
	u64 leaf;		/* ct_leaf in the arena, by its members */
	u64 raw;		/* in the arena, nobody looks at it */
	u64 record;		/* ct_record */
	u64 copied;		/* what record has */
	u64 number;		/* numbers all of them */
	u64 counter;
	u64 bits;
	u64 either;		/* a task or a record */
	u64 mixed;		/* a task or a number */
	u64 middle;		/* into a record */
	u64 half;		/* the lower half of an address */
};

struct ct_holder holder;
u64 last_task;			/* task_struct */
u64 nr_seen;			/* a number */
struct ct_node __arena *root;
struct ct_leaf leaf_model;	/* so that the type is in BTF */

/* What is in memory, although the compiler knows it. */
static __always_inline u64 again(const u64 *v)
{
	return *(const volatile u64 *)v;
}

static __noinline void keep_task(struct ct_entry *e, struct task_struct *p)
{
	if (e)
		e->task = (u64)p;
}

static __always_inline void put(u64 *to, u64 v)
{
	*(volatile u64 *)to = v;
}

static __noinline void build(void)
{
	struct ct_node __arena *n, *peer;
	char __arena *page;

	page = bpf_arena_alloc_pages(&arena, NULL, 1, -1, 0);
	if (!page)
		return;
	root = (struct ct_node __arena *)page;
	n = root;
	peer = (struct ct_node __arena *)(page + 256);
	n->magic = 0x1111000000000001;
	n->count = 11;
	n->kind = 1;
	n->peer = peer;
	peer->magic = 0x1111000000000002;
	peer->count = 22;
	peer->kind = 2;
	holder.leaf = (u64)(page + 512);
	holder.raw = (u64)(page + 1024);
}

static __noinline void use_leaf(void)
{
	struct ct_leaf __arena *l = (struct ct_leaf __arena *)holder.leaf;

	/* A program that looks into an arena has to name it. */
	asm volatile("" :: "r"(&arena));
	if (!l)
		return;
	l->magic = 0x2222000000000001;
	l->small = 0x33;
	l->shorter = 0x44;
	l->left += 5;
}

static __noinline void use_nodes(void)
{
	struct ct_node __arena *n = root, *peer;

	asm volatile("" :: "r"(&arena));
	if (!n)
		return;
	peer = n->peer;
	if (peer)
		peer->up = (u64)n;
	holder.node = (u64)n;
}

static __noinline void fill_records(struct task_struct *p)
{
	u32 key = 2, other = 3;
	struct ct_record *r = bpf_map_lookup_elem(&records, &key);
	struct ct_record *s = bpf_map_lookup_elem(&records, &other);

	if (!r || !s)
		return;
	r->magic = 0x5555000000000001;
	r->value = 77;
	r->home = (u64)r;
	holder.record = (u64)r;
	holder.copied = again(&holder.record);
	holder.middle = (u64)&s->value;
	holder.half = (u32)again(&holder.record);
	if (p->pid & 1) {
		put(&holder.either, (u64)s);
		put(&holder.mixed, p->pid);
	} else {
		put(&holder.either, (u64)p);
		put(&holder.mixed, (u64)p);
	}
}

static __noinline void fill_entries(struct task_struct *p)
{
	struct ct_entry fresh = {}, *e;
	u32 key = 7;

	fresh.stamp = bpf_ktime_get_ns();
	fresh.node = (u64)root;
	bpf_map_update_elem(&entries, &key, &fresh, BPF_ANY);
	e = bpf_map_lookup_elem(&entries, &key);
	if (e)
		keep_task(e, p);
	fresh.task = (u64)p;
	bpf_map_update_elem(&copies, &key, &fresh, BPF_ANY);
}

s32 SCX_OP(casts_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return pick_cpu(p, prev_cpu, wake_flags);
}

void SCX_OP(casts_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct ct_own *o;
	u32 key = 7;

	if (named(p, "trigger")) {
		holder.task = (u64)p;
		last_task = (u64)p;
		fill_records(p);
		fill_entries(p);
		use_leaf();
		use_nodes();
		o = bpf_task_storage_get(&own, p, NULL, 0);
		if (o) {
			o->self = (u64)p;
			o->entry = (u64)bpf_map_lookup_elem(&entries, &key);
			o->runs += 3;
		}
		holder.number = bpf_ktime_get_ns();
		holder.bits = enq_flags * 3;
		scx_error("casts are there");
	}
	__sync_fetch_and_add(&holder.counter, 1);
	nr_seen++;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

/* Not in enqueue(): on PREEMPT_RT the kernel would take a task's pi_lock inside of an rq's lock. */
s32 SCX_OP_SLEEPABLE(casts_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&own, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -ENOMEM;
}

s32 SCX_OP_SLEEPABLE(casts_init)
{
	build();
	return 0;
}

void SCX_OP(casts_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops casts = {
	.select_cpu	= (void *)casts_select_cpu,
	.enqueue	= (void *)casts_enqueue,
	.init_task	= (void *)casts_init_task,
	.init		= (void *)casts_init,
	.exit		= (void *)casts_exit,
	.timeout_ms	= 20000,
	.name		= "casts",
};
