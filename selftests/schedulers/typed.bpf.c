// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data per task and per cgroup in an arena, in trees of slots as the allocator of the
 * scx schedulers lays them out; beside them what else is kept in arenas. What is where is
 * written down in tests/typed.py. Slots are not used again. Ends with an error when
 * the task "trigger" wants to run.
 */
#include "scx.h"

#define __arena __attribute__((address_space(1)))

#define FANOUT		512
#define REGION_PAGES	128
#define NR_MANY		4200

/* The verifier checks what global functions say of their parameters. */
#define __in_arena __attribute__((btf_decl_tag("arg:arena")))
#define __trusted __attribute__((btf_decl_tag("arg:trusted")))

void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, u32 pages, int node,
				    u64 flags) __ksym;
struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__ulong(map_extra, 0x1ull << 44);
} arena SEC(".maps");

/* The allocator: names and members that its readers go by. */

struct sdt_id {
	s32 idx, genn;
};

struct sdt_data {
	struct sdt_id tid;
	u64 payload[];
};

struct sdt_chunk;

struct sdt_desc {
	u64 allocated[FANOUT / 64];
	u64 nr_free;
	struct sdt_chunk __arena *chunk;
};

struct sdt_chunk {
	union {
		struct sdt_desc __arena *descs[FANOUT];
		struct sdt_data __arena *data[FANOUT];
	};
};

struct sdt_pool {
	u64 next;
	u64 elem_size;
};

struct scx_allocator {
	struct sdt_pool pool;
	struct sdt_desc __arena *root;
};

struct scx_static {
	u64 max_alloc_bytes;
	void __arena *memory;
	u64 off;
};

/* What is in the arena. */

struct ty_node {
	u64 key;
	struct ty_node __arena *next;
};

struct ty_tree {
	u64 key;
	struct ty_tree __arena *left, *right;
};

struct typed_cgrp {
	u64 magic;
	u64 cgid;
	u64 list;		/* ty_node */
	struct sdt_data __arena *first;
	u64 nr;
};

struct typed_task_ctx {
	u64 magic;
	u32 pid;
	u32 kind;
	u64 task;		/* task_struct */
	u64 group;		/* typed_cgrp */
	struct ty_node __arena *list;
	struct ty_node __arena *ring;
	struct ty_node __arena *dangling;
	struct ty_tree __arena *tree;
	void __arena *slot;	/* of the group, header and all */
};

/* Known by how it is used. */
struct ty_leaf {
	u64 key;
	u32 small;
	u16 shorter;
	u16 pad;
	u64 left;
};

struct ty_many {
	u64 nr;
	u64 twice;
};

/* There are others of its size, and nothing tells them apart. */
struct vague_one {
	u64 a, b, c;
};

struct vague_two {
	u64 x, y, z;
};

struct scx_allocator typed_task_allocator;
struct {
	u64 before;
	struct scx_allocator typed_cgrp_allocator;
} nested;
struct scx_allocator ty_many_allocator;
struct scx_allocator vague_allocator;
struct scx_static typed_static;
struct ty_many many_model;		/* so that the types are in BTF */
struct ty_leaf leaf_model;
struct vague_one vague_one;
struct vague_two vague_two;
u64 nr_tasks;			/* slots that are in use */
u64 nr_groups;
u64 nr_misses;			/* there was no room */

u64 region;
u64 used;
struct ty_node __arena *list, *ring, *dangling;
struct ty_tree __arena *tree;
struct typed_cgrp __arena *first_group;
struct sdt_data __arena *beyond;	/* a slot behind those that are shown */
u64 leaf, total;

struct task_value {
	struct sdt_id tid;
	struct sdt_data __arena *data;
};

struct cgrp_value {
	struct sdt_id tid;
	u64 more;
	struct sdt_data __arena *data;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_value);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct cgrp_value);
} groups SEC(".maps");

/* 0: a slot that is shown, 1: one that is not, 2: a slot that was freed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, struct task_value);
} some SEC(".maps");

struct kptrs {
	u64 tag;
	struct bpf_cpumask __kptr *mask;
	struct task_struct __kptr *task;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct kptrs);
} kptrs SEC(".maps");

struct note {
	u64 leaf;		/* ty_leaf, by what a function does that it is given to */
	u64 stamp;		/* a number */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, u32);
	__type(value, struct note);
} notes SEC(".maps");

/* An address, as what it is for is the caller's business. */
static __noinline u64 take(u64 size)
{
	u64 at = __sync_fetch_and_add(&used, size);

	/* A program that looks into an arena has to name it. */
	asm volatile("" :: "r"(&arena));
	if (!region || at + size > REGION_PAGES * 4096) {
		__sync_fetch_and_add(&nr_misses, 1);
		return 0;
	}
	return region + at;
}

static struct sdt_desc __arena *new_desc(void)
{
	struct sdt_desc __arena *desc = (struct sdt_desc __arena *)take(sizeof(*desc));
	struct sdt_chunk __arena *chunk = (struct sdt_chunk __arena *)take(sizeof(*chunk));

	if (!desc || !chunk)
		return NULL;
	desc->nr_free = FANOUT;
	desc->chunk = chunk;
	return desc;
}

static __noinline int prepare(struct scx_allocator *a, u64 size, u32 leaves)
{
	struct sdt_desc __arena *root = new_desc(), *middle = new_desc();
	u32 i;

	if (!root || !middle)
		return -ENOMEM;
	root->chunk->descs[0] = middle;
	for (i = 0; i < 10; i++)
		if (i < leaves)
			middle->chunk->descs[i] = new_desc();
	a->pool.elem_size = sizeof(struct sdt_data) + size;
	a->root = root;
	return 0;
}

static __noinline struct sdt_desc __arena *leaf_of(struct scx_allocator *a, u64 idx)
{
	struct sdt_desc __arena *root = a->root;

	if (!root || idx >= FANOUT * FANOUT)
		return NULL;
	return root->chunk->descs[0]->chunk->descs[idx / FANOUT];
}

static __noinline struct sdt_data __arena *new_slot(struct scx_allocator *a)
{
	u64 idx = __sync_fetch_and_add(&a->pool.next, 1), pos = idx % FANOUT;
	struct sdt_desc __arena *leaf = leaf_of(a, idx);
	struct sdt_data __arena *data = (struct sdt_data __arena *)take(a->pool.elem_size);

	if (!leaf || !data)
		return NULL;
	data->tid.idx = idx;
	data->tid.genn = 3;
	leaf->chunk->data[pos] = data;
	__sync_fetch_and_add(&leaf->nr_free, -1);
	__sync_fetch_and_or(&leaf->allocated[pos / 64], 1ull << (pos % 64));
	return data;
}

static __noinline int free_slot(struct scx_allocator *a, u64 idx)
{
	struct sdt_desc __arena *leaf = leaf_of(a, idx);
	u64 pos = idx % FANOUT;

	asm volatile("" :: "r"(&arena));
	if (!leaf)
		return 0;
	__sync_fetch_and_and(&leaf->allocated[pos / 64], ~(1ull << (pos % 64)));
	__sync_fetch_and_add(&leaf->nr_free, 1);
	return 0;
}

static __noinline struct ty_node __arena *new_node(u64 key, struct ty_node __arena *next)
{
	struct ty_node __arena *n = (struct ty_node __arena *)take(sizeof(*n));

	if (!n)
		return NULL;
	n->key = key;
	n->next = next;
	return n;
}

static __noinline struct ty_tree __arena *new_tree(u64 key, struct ty_tree __arena *left,
					struct ty_tree __arena *right)
{
	struct ty_tree __arena *t = (struct ty_tree __arena *)take(sizeof(*t));

	if (!t)
		return NULL;
	t->key = key;
	t->left = left;
	t->right = right;
	return t;
}

static __noinline int build(void)
{
	struct ty_node __arena *other;

	list = new_node(1, new_node(2, new_node(3, NULL)));
	ring = new_node(101, NULL);
	other = new_node(102, ring);
	if (ring)
		ring->next = other;
	tree = new_tree(20, new_tree(10, NULL, NULL), new_tree(30, NULL, NULL));
	leaf = take(sizeof(struct ty_leaf));
	/* Behind the end of the arena's pages. */
	dangling = (struct ty_node __arena *)(region + 0x800000);
	typed_static.memory = (void __arena *)take(4096);
	typed_static.max_alloc_bytes = 4096;
	typed_static.off = 96;
	return 0;
}

static int add_many(u32 i, void *ctx)
{
	struct sdt_data __arena *data = new_slot(&ty_many_allocator);
	struct ty_many __arena *m = (struct ty_many __arena *)data->payload;
	struct task_value v = {};
	u32 key = i == 5 ? 0 : i == 4150 ? 1 : 2;

	if (!data)
		return 1;
	m->nr = i;
	m->twice = 2 * i;
	v.data = data;
	if (i == 5 || i == 4150 || i == 100)
		bpf_map_update_elem(&some, &key, &v, BPF_ANY);
	if (i == 4150)
		beyond = data;
	if (i == 100)
		free_slot(&ty_many_allocator, i);
	return 0;
}

__noinline int fill_group(struct typed_cgrp __arena *g __in_arena, struct cgroup *cgrp __trusted)
{
	struct ty_node __arena *n = list;

	if (!g)
		return 0;
	g->magic = 0x6772700000000001;
	g->cgid = cgrp->kn->id;
	g->list = (u64)n;
	if (!first_group)
		first_group = g;
	g->first = (struct sdt_data __arena *)((char __arena *)first_group - sizeof(struct sdt_data));
	g->nr = __sync_fetch_and_add(&nr_groups, 1);
	return 0;
}

__noinline int fill_task(struct typed_task_ctx __arena *t __in_arena,
			 struct task_struct *p __trusted)
{
	struct typed_cgrp __arena *g = first_group;

	if (!t)
		return 0;
	t->magic = 0x7461736b00000001;
	t->pid = p->pid;
	t->kind = p->pid & 3;
	t->task = (u64)p;
	t->group = (u64)g;
	t->list = list;
	t->ring = ring;
	t->dangling = dangling;
	t->tree = tree;
	if (g)
		t->slot = (char __arena *)g - sizeof(struct sdt_data);
	__sync_fetch_and_add(&nr_tasks, 1);
	return 0;
}

static __noinline u64 use_leaf(struct ty_leaf __arena *l)
{
	asm volatile("" :: "r"(&arena));
	l->small = 0x33;
	l->shorter = 0x44;
	l->left += 5;
	return l->key + 1;
}

static __noinline void use_notes(void)
{
	struct note fresh = {}, *v;
	u32 key = 1;

	/* By arithmetic, so that nothing is known of it. */
	fresh.leaf = (region & ~0xffffffffull) | (leaf & 0xffffffff);
	fresh.stamp = bpf_ktime_get_ns();
	bpf_map_update_elem(&notes, &key, &fresh, BPF_ANY);
	v = bpf_map_lookup_elem(&notes, &key);
	if (v && v->leaf)
		total += use_leaf((struct ty_leaf __arena *)v->leaf);
}

static __noinline void keep_task(struct task_struct *p)
{
	u32 key = 0;
	struct kptrs *k = bpf_map_lookup_elem(&kptrs, &key);
	struct task_struct *old;

	p = k ? bpf_task_acquire(p) : NULL;
	if (!p)
		return;
	old = bpf_kptr_xchg(&k->task, p);
	if (old)
		bpf_task_release(old);
}

static __noinline int keep_mask(void)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();
	struct kptrs *k;
	u32 key = 0;

	if (!mask)
		return -ENOMEM;
	bpf_cpumask_set_cpu(0, mask);
	bpf_cpumask_set_cpu(2, mask);
	k = bpf_map_lookup_elem(&kptrs, &key);
	if (k) {
		k->tag = 0x6b;
		mask = bpf_kptr_xchg(&k->mask, mask);
	}
	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}

s32 SCX_OP(typed_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return pick_cpu(p, prev_cpu, wake_flags);
}

void SCX_OP(typed_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (named(p, "trigger")) {
		keep_task(p);
		use_notes();
		scx_error("typed data is there");
	}
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

s32 SCX_OP_SLEEPABLE(typed_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_value *v = bpf_task_storage_get(&tasks, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct sdt_data __arena *data;

	if (!v)
		return -ENOMEM;
	data = new_slot(&typed_task_allocator);
	if (!data)
		return 0;
	v->tid.idx = data->tid.idx;
	v->tid.genn = data->tid.genn;
	v->data = data;
	return fill_task((struct typed_task_ctx __arena *)data->payload, p);
}

void SCX_OP(typed_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	struct task_value *v = bpf_task_storage_get(&tasks, p, NULL, 0);

	if (!v || !v->data)
		return;
	v->data = NULL;
	free_slot(&typed_task_allocator, v->tid.idx);
	__sync_fetch_and_add(&nr_tasks, -1);
}

s32 SCX_OP_SLEEPABLE(typed_cgroup_init, struct cgroup *cgrp, struct scx_cgroup_init_args *args)
{
	struct cgrp_value *v = bpf_cgrp_storage_get(&groups, cgrp, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct sdt_data __arena *data;

	if (!v)
		return -ENOMEM;
	data = new_slot(&nested.typed_cgrp_allocator);
	if (!data)
		return 0;
	v->tid.idx = data->tid.idx;
	v->data = data;
	return fill_group((struct typed_cgrp __arena *)data->payload, cgrp);
}

s32 SCX_OP_SLEEPABLE(typed_init)
{
	struct sdt_data __arena *data;

	region = (u64)bpf_arena_alloc_pages(&arena, NULL, REGION_PAGES, -1, 0);
	if (!region)
		return -ENOMEM;
	if (prepare(&typed_task_allocator, sizeof(struct typed_task_ctx), 8) ||
	    prepare(&nested.typed_cgrp_allocator, sizeof(struct typed_cgrp), 1) ||
	    prepare(&ty_many_allocator, sizeof(struct ty_many), 9) ||
	    prepare(&vague_allocator, sizeof(struct vague_one), 1))
		return -ENOMEM;
	nested.before = 1;
	build();
	bpf_loop(NR_MANY, add_many, NULL, 0);
	data = new_slot(&vague_allocator);
	if (data)
		data->payload[0] = 0x76;
	return keep_mask();
}

void SCX_OP(typed_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops typed = {
	.select_cpu	= (void *)typed_select_cpu,
	.enqueue	= (void *)typed_enqueue,
	.init_task	= (void *)typed_init_task,
	.exit_task	= (void *)typed_exit_task,
	.cgroup_init	= (void *)typed_cgroup_init,
	.init		= (void *)typed_init,
	.exit		= (void *)typed_exit,
	.timeout_ms	= 20000,
	.name		= "typed",
};
