// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the map zoo has not: objects that programs make, with kptrs, a list and a tree to
 * them; an arena with holes and reserved pages; a ring buffer that writes over what is
 * old; pointers that nobody may follow.  A task named "trigger*" makes it fail.
 */
#include "scx.h"

#define __arena __attribute__((address_space(1)))
#define __contains(type, member) __attribute__((btf_decl_tag("contains:" #type ":" #member)))
#define PAGE_SIZE 4096

struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_set_cpu(u32 cpu, struct bpf_cpumask *mask) __ksym;
void *bpf_obj_new_impl(u64 local_type_id, void *meta) __ksym;
void bpf_obj_drop_impl(void *obj, void *meta) __ksym;
void *bpf_percpu_obj_new_impl(u64 local_type_id, void *meta) __ksym;
void bpf_percpu_obj_drop_impl(void *obj, void *meta) __ksym;
int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta,
			    u64 off) __ksym;
int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			bool (less)(struct bpf_rb_node *a, const struct bpf_rb_node *b),
			void *meta, u64 off) __ksym;
void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, u32 pages, int node,
				    u64 flags) __ksym;
void bpf_arena_free_pages(void *map, void __arena *at, u32 pages) __ksym;
int bpf_arena_reserve_pages(void *map, void __arena *at, u32 pages) __ksym __weak;

#define new_object(type) \
	((struct type *)bpf_obj_new_impl(bpf_core_type_id_local(struct type), NULL))

/* Flags, and what only looks like them. */
enum obj_flag { OBJ_A = 1, OBJ_B = 2, OBJ_C = 4, OBJ_D = 8, OBJ_TOP = 1u << 31 };
enum obj_count { OBJ_ONE = 1, OBJ_TWO, OBJ_THREE, OBJ_FOUR };

struct item {
	u64 id;
	enum obj_flag flags;
	struct bpf_cpumask __kptr *mask;
	char text[12];
};

struct bead {
	u64 nr;
	struct bpf_list_node link;
	u32 behind;
};

struct leaf {
	s32 key;
	struct bpf_rb_node rb;
	u32 behind;
};

struct each {
	u64 a;
	u32 b;
};

struct holder {
	u64 before;
	struct item __kptr *item;
	struct each __percpu_kptr *each;
	struct bpf_spin_lock lock;
	struct bpf_list_head list __contains(bead, link);
	struct bpf_rb_root tree __contains(leaf, rb);
	struct task_struct __kptr_untrusted *task;
	u64 after;
};

struct masked {
	u32 tag;
	struct bpf_cpumask __kptr *mask;
};

#define MAP(name_, type_, max_, key_, value_, flags_)		\
	struct {						\
		__uint(type, BPF_MAP_TYPE_##type_);		\
		__uint(max_entries, max_);			\
		__uint(map_flags, flags_);			\
		__type(key, key_);				\
		__type(value, value_);				\
	} name_ SEC(".maps")

MAP(o_array, ARRAY, 3, u32, struct holder, 0);
MAP(o_hash, HASH, 8, u64, struct holder, BPF_F_NO_PREALLOC);
MAP(o_percpu, PERCPU_ARRAY, 2, u32, struct masked, 0);
MAP(o_percpu_hash, PERCPU_HASH, 4, u16, struct masked, 0);
MAP(o_lru, LRU_HASH, 64, u32, struct masked, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_RB_OVERWRITE);
} o_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 64);
	__ulong(map_extra, 0x2ull << 44);
} o_arena SEC(".maps");

struct far {
	u64 first;
	struct far __arena *next;
	u32 more[4];
};

/* In .bss, beside what the names tell. */
struct far __arena *whole;
struct far __arena *edge;
struct far __arena *hole;
struct task_struct *raw_task;
const struct cpumask *raw_mask;
struct not_here *nowhere;
u64 wide[4100];
s32 error;

enum obj_flag two_flags = OBJ_A | OBJ_TOP, odd_flags = OBJ_A | 32, one_flag = OBJ_C;
enum obj_count five = 5, six = 6, three = OBJ_THREE;
struct cpumask mask_value = { .bits = { 0xd } };

static struct item *new_item(u64 id)
{
	struct item *item = new_object(item);
	struct bpf_cpumask *mask;

	if (!item)
		return NULL;
	item->id = id;
	item->flags = OBJ_B | OBJ_D;
	__builtin_memcpy(item->text, "an item", 8);
	mask = bpf_cpumask_create();
	if (mask) {
		bpf_cpumask_set_cpu(id & 3, mask);
		mask = bpf_kptr_xchg(&item->mask, mask);
		if (mask)
			bpf_cpumask_release(mask);
	}
	return item;
}

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct leaf, rb)->key < container_of(b, struct leaf, rb)->key;
}

static int fill_holder(struct holder *h, u64 id)
{
	struct item *item = new_item(id);
	struct each *each;
	int i;

	if (!item)
		return -1;
	item = bpf_kptr_xchg(&h->item, item);
	if (item)
		bpf_obj_drop_impl(item, NULL);
	each = bpf_percpu_obj_new_impl(bpf_core_type_id_local(struct each), NULL);
	if (!each)
		return -2;
	each = bpf_kptr_xchg(&h->each, each);
	if (each)
		bpf_percpu_obj_drop_impl(each, NULL);
	h->before = 0xb0b0 + id;
	h->after = 0xafaf + id;
	h->task = bpf_get_current_task_btf();
	for (i = 0; i < 3; i++) {
		struct bead *bead = new_object(bead);
		struct leaf *leaf;

		if (!bead)
			return -3;
		bead->nr = id * 10 + i;
		bpf_spin_lock(&h->lock);
		bpf_list_push_back_impl(&h->list, &bead->link, NULL, 0);
		bpf_spin_unlock(&h->lock);
		leaf = new_object(leaf);
		if (!leaf)
			return -4;
		leaf->key = 2 - i;
		bpf_spin_lock(&h->lock);
		bpf_rbtree_add_impl(&h->tree, &leaf->rb, less, NULL, 0);
		bpf_spin_unlock(&h->lock);
	}
	return 0;
}

static void fill_masked(struct masked *m, u32 tag)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();

	if (!m || !mask) {
		if (mask)
			bpf_cpumask_release(mask);
		error = -5;
		return;
	}
	m->tag = tag;
	bpf_cpumask_set_cpu(tag & 3, mask);
	mask = bpf_kptr_xchg(&m->mask, mask);
	if (mask)
		bpf_cpumask_release(mask);
}

/* With more than it holds. */
static __noinline void fill_ring(void)
{
	u32 i;

	for (i = 0; i < 150; i++) {
		u32 *rec = bpf_ringbuf_reserve(&o_ring, 52, 0);

		if (!rec)
			continue;
		rec[0] = i;
		rec[12] = ~i;
		if (i % 5)
			bpf_ringbuf_submit(rec, BPF_RB_NO_WAKEUP);
		else
			bpf_ringbuf_discard(rec, BPF_RB_NO_WAKEUP);
	}
}

static int fill_arena(void)
{
	void __arena *at = bpf_arena_alloc_pages(&o_arena, NULL, 12, -1, 0);

	if (!at)
		return -6;
	whole = at + 100;
	whole->first = 1;
	whole->next = whole;
	/* The page behind this one goes away. */
	edge = at + 4 * PAGE_SIZE - 16;
	edge->first = 2;
	edge->next = whole;
	hole = at + 4 * PAGE_SIZE + 8;
	bpf_arena_free_pages(&o_arena, at + 4 * PAGE_SIZE, 3);
	/* In the midst of what is free: allocated, but without a page. */
	if (bpf_ksym_exists(bpf_arena_reserve_pages) &&
	    bpf_arena_reserve_pages(&o_arena, at + 30 * PAGE_SIZE, 2))
		return -7;
	return 0;
}

s32 SCX_OP_SLEEPABLE(objects_init)
{
	struct holder *h, empty = {};
	struct masked none = {};
	u32 i;

	/* The verifier cannot count in a variable whose address is taken. */
	for (i = 0; i < 2 && !error; i++) {
		u64 key = 0x100000000ull + i;
		u32 index = i;

		h = bpf_map_lookup_elem(&o_array, &index);
		if (h)
			error = fill_holder(h, i);
		bpf_map_update_elem(&o_hash, &key, &empty, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&o_hash, &key);
		if (h && !error)
			error = fill_holder(h, 100 + i);
	}
	for (i = 0; i < 3; i++) {
		u16 small = 0xff00 + i;
		u32 key = i;

		bpf_map_update_elem(&o_lru, &key, &none, BPF_NOEXIST);
		fill_masked(bpf_map_lookup_elem(&o_lru, &key), i);
		bpf_map_update_elem(&o_percpu_hash, &small, &none, BPF_NOEXIST);
	}
	fill_ring();
	raw_task = bpf_get_current_task_btf();
	raw_mask = raw_task->cpus_ptr;
	wide[4095] = 1;
	wide[4099] = 2;
	return error ?: fill_arena();
}

void SCX_OP(objects_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (named(p, "trigger"))
		scx_error("ktdump selftest: objects");
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

/* Of this CPU alone; for another CPU a value cannot be had for writing. */
void SCX_OP(objects_running, struct task_struct *p)
{
	u16 small = 0xff00;
	u32 zero = 0;
	struct masked *m = bpf_map_lookup_elem(&o_percpu, &zero);

	if (m && !m->tag)
		fill_masked(m, 0x70 + bpf_get_smp_processor_id());
	m = bpf_map_lookup_elem(&o_percpu_hash, &small);
	if (m && !m->tag)
		fill_masked(m, 0x80 + bpf_get_smp_processor_id());
}

void SCX_OP(objects_exit, struct scx_exit_info *ei)
{
	record_exit(ei);
}

SEC(".struct_ops.link")
struct sched_ext_ops objects = {
	.enqueue	= (void *)objects_enqueue,
	.running	= (void *)objects_running,
	.init		= (void *)objects_init,
	.exit		= (void *)objects_exit,
	.flags		= SCX_OPS_ENQ_LAST,
	.name		= "objects",
};
