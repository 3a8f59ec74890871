// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pass over the contents of BPF maps: which file knows a type, in which order the
 * maps come, and how much of the buffer and of the time each may use.
 */
#include <linux/bpf.h>
#include <linux/sort.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>

#include "content.h"

/* Kept back for CONTENT and FACT rows, beside what the contents themselves cost. */
#define ROWS_RESERVE	1024		/* bytes per map */
/* A small map gets this much time although its share would be less. */
#define TIME_FLOOR_NS	(2 * NSEC_PER_MSEC)

static struct ktd_content *content;	/* one leader, one capture */

static const struct kind {
	void		(*take)(struct ktd_content *ct);
	u16		probe;		/* enum ktd_member_id: the type is known by it */
	u8		group;
	const char	*lacks;		/* error text of a kernel without those */
} kinds[] = {
#define KIND(type, fn, m, grp, ...) \
	[type] = { .take = ktd_take_##fn, .probe = KTD_M_##m, .group = KTD_GRP_##grp, __VA_ARGS__ }
	KIND(BPF_MAP_TYPE_HASH, htab, HTAB_BUCKETS, HTAB),
	KIND(BPF_MAP_TYPE_ARRAY, array, ARR_VALUE, ARRAY),
	KIND(BPF_MAP_TYPE_PROG_ARRAY, slots, ARR_PTRS, ARRAY),
	KIND(BPF_MAP_TYPE_PERF_EVENT_ARRAY, slots, ARR_PTRS, ARRAY),
	KIND(BPF_MAP_TYPE_PERCPU_HASH, htab, HTAB_BUCKETS, HTAB),
	KIND(BPF_MAP_TYPE_PERCPU_ARRAY, percpu_array, ARR_PPTRS, ARRAY),
	KIND(BPF_MAP_TYPE_STACK_TRACE, stacks, SM_BUCKETS, STACKMAP,
	     .lacks = "STACK_TRACE bucket array unreadable: BTF lacks bpf_stack_map / stack_map_bucket. Each non-null bucket pointer would carry `nr` u64 PCs (or bpf_stack_build_id records when BPF_F_STACK_BUILD_ID is set on the map); resolve the offsets to render."),
	KIND(BPF_MAP_TYPE_CGROUP_ARRAY, slots, ARR_PTRS, ARRAY),
	KIND(BPF_MAP_TYPE_LRU_HASH, htab, HTAB_BUCKETS, HTAB),
	KIND(BPF_MAP_TYPE_LRU_PERCPU_HASH, htab, HTAB_BUCKETS, HTAB),
	KIND(BPF_MAP_TYPE_LPM_TRIE, lpm, LPM_ROOT, LPM),
	KIND(BPF_MAP_TYPE_ARRAY_OF_MAPS, slots, ARR_PTRS, ARRAY),
	KIND(BPF_MAP_TYPE_HASH_OF_MAPS, htab, HTAB_BUCKETS, HTAB),
	KIND(BPF_MAP_TYPE_DEVMAP, slots, DTAB_NETDEVS, DEVMAP),
	KIND(BPF_MAP_TYPE_SOCKMAP, slots, STAB_SOCKS, SOCKMAP),
	KIND(BPF_MAP_TYPE_CPUMAP, slots, CPUMAP_ENTRIES, CPUMAP),
	KIND(BPF_MAP_TYPE_XSKMAP, slots, XSKMAP_SOCKS, XSKMAP),
	KIND(BPF_MAP_TYPE_SOCKHASH, sockhash, SHTAB_BUCKETS, SOCKMAP),
	KIND(BPF_MAP_TYPE_CGROUP_STORAGE, cgroup_storage, CGS_LIST, CGSTOR),
	KIND(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, slots, REUSE_SOCKS, REUSEPORT),
	KIND(BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, cgroup_storage, CGS_LIST, CGSTOR),
	KIND(BPF_MAP_TYPE_QUEUE, queue, QS_ELEMENTS, QUEUE),
	KIND(BPF_MAP_TYPE_STACK, queue, QS_ELEMENTS, QUEUE),
	KIND(BPF_MAP_TYPE_SK_STORAGE, storage, LS_BUCKETS, STORAGE),
	KIND(BPF_MAP_TYPE_DEVMAP_HASH, devmap_hash, DTAB_HEADS, DEVMAP),
	KIND(BPF_MAP_TYPE_STRUCT_OPS, struct_ops, ST_KVALUE, STRUCT_OPS,
	     .lacks = "STRUCT_OPS value unreadable: bpf_struct_ops_map BTF offsets unresolved (kernel without struct_ops support, or vmlinux BTF stripped of bpf_struct_ops_map / bpf_struct_ops_value)."),
	KIND(BPF_MAP_TYPE_RINGBUF, ringbuf, RBMAP_RB, RINGBUF, .lacks = KTD_NO_RINGBUF),
	KIND(BPF_MAP_TYPE_INODE_STORAGE, storage, LS_BUCKETS, STORAGE),
	KIND(BPF_MAP_TYPE_TASK_STORAGE, storage, LS_BUCKETS, STORAGE),
	KIND(BPF_MAP_TYPE_BLOOM_FILTER, bloom, BLOOM_BITS, BLOOM),
	KIND(BPF_MAP_TYPE_USER_RINGBUF, ringbuf, RBMAP_RB, RINGBUF, .lacks = KTD_NO_RINGBUF),
	KIND(BPF_MAP_TYPE_CGRP_STORAGE, storage, LS_BUCKETS, STORAGE),
	KIND(BPF_MAP_TYPE_ARENA, arena, ARENA_KERN_VM, ARENA,
	     .lacks = "arena BTF offsets unavailable (kernel lacks struct bpf_arena?)"),
	KIND(MAP_TYPE_INSN_ARRAY, insn_array, INSN_VALUES, INSN_ARRAY),
	KIND(MAP_TYPE_RHASH, rhtab, RHTAB_HT, RHTAB),
#undef KIND
};

/* Maps of test tooling, by name; report-format and the collector leave them out too. */
static bool is_tooling(unsigned long map)
{
	static const char *const names[] = {
		"probe_bp", "fentry_p", "func_meta_map", "probe_data", "probe_scratch",
		"ktstr_events",
	};
	char name[BPF_OBJ_NAME_LEN];
	unsigned int i;

	ktd_read_str(name, ktd_at(map, KTD_M_MAP_NAME), sizeof(name));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return !strncmp(name, "probe_bp.", 9) || !strncmp(name, "fentry_p.", 9);
}

/* A guess at the bytes of a map's content, rather high. */
static u64 estimate(unsigned long map)
{
	u32 type = ktd_get(map, KTD_M_MAP_TYPE);
	u64 value = ALIGN(ktd_get(map, KTD_M_MAP_VALUE_SIZE), 8);
	u64 key = ALIGN(ktd_get(map, KTD_M_MAP_KEY_SIZE), 8) + sizeof(struct ktd_record);
	u64 max = ktd_get(map, KTD_M_MAP_MAX_ENTRIES), pages;
	u64 n = min_t(u64, max, ktd_max_map_entries);

	switch (type) {
	case BPF_MAP_TYPE_ARRAY:
		return n * value;
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		return n * (key + (value + 8) * nr_cpu_ids);
	case BPF_MAP_TYPE_ARENA:
		pages = ktd_have(KTD_M_ARENA_NR_PAGES) ? ktd_get(map, KTD_M_ARENA_NR_PAGES) : max;
		return min_t(u64, pages, ktd_max_arena_pages) * PAGE_SIZE;
	case BPF_MAP_TYPE_RINGBUF:
	case BPF_MAP_TYPE_USER_RINGBUF:
		return max;
	case BPF_MAP_TYPE_BLOOM_FILTER:
		return max * ktd_get(map, KTD_M_MAP_EXTRA) / 4;
	case BPF_MAP_TYPE_STRUCT_OPS:
		return value;
	case BPF_MAP_TYPE_TASK_STORAGE:
	case BPF_MAP_TYPE_CGRP_STORAGE:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case BPF_MAP_TYPE_SK_STORAGE:
		/* as many as there are owners: say, a thousand */
		return 1000 * (key + value);
	default:
		return n * (key + value);
	}
}

static const struct ktd_table content_table = {
	.id = KTD_TBL_CONTENT, .nr = KTD_CONTENT_NR_COLS,
};

static u64 content_bytes(const struct ktd_sink *s)
{
	return s->stat[KTD_TBL_MEM].bytes + s->stat[KTD_TBL_RECORD].bytes;
}

static void content_row(struct ktd_content *ct, u64 bytes)
{
	struct ktd_sink *s = &ct->c->sink;
	struct ktd_row *r = ktd_row_begin(s, &content_table);
	u64 now = ktime_get_mono_fast_ns();

	ktd_set_u(r, KTD_CONTENT_MAP_KVA, ct->map);
	if (ct->form)
		ktd_set_str(r, KTD_CONTENT_FORM, ct->form);
	if (ct->values_kva)
		ktd_set_u(r, KTD_CONTENT_VALUES_KVA, ct->values_kva);
	if (ct->stride)
		ktd_set_u(r, KTD_CONTENT_STRIDE, ct->stride);
	ktd_set_u(r, KTD_CONTENT_SEEN, ct->seen);
	ktd_set_u(r, KTD_CONTENT_TAKEN, ct->taken);
	ktd_set_u(r, KTD_CONTENT_UNREADABLE, ct->unreadable);
	ktd_set_u(r, KTD_CONTENT_BYTES, bytes);
	ktd_set_u(r, KTD_CONTENT_NS, now - ct->start_ns);
	if (ct->cut) {
		ktd_set_str(r, KTD_CONTENT_CUT, ct->cut);
		ktd_set_u(r, KTD_CONTENT_LIMIT, ct->limit);
	}
	if (ct->error)
		ktd_set_str(r, KTD_CONTENT_ERROR, ct->error);
	ktd_row_end(s, &content_table);
	/* the overall deadline may never be missed then, but the report shall say so */
	if (ct->cut && ct->cut[0] == 'd') {
		ktd_truncated(ct->c, now);
		ktd_missing(ct->c, KTD_TBL_CONTENT, "contents of maps were cut for want of time");
	}
}

static void take_known(struct ktd_content *ct)
{
	const struct kind *k = ct->type < ARRAY_SIZE(kinds) ? &kinds[ct->type] : NULL;

	if (!k || !k->take) {
		scnprintf(ct->text, sizeof(ct->text),
			  "unknown map_type %u (kernel newer than dump renderer; update render_map dispatch)",
			  ct->type);
		ct->error = ct->text;
	} else if (is_tooling(ct->map)) {
		ct->error = "own tooling: left out";
	} else if (!ktd_have(k->probe) || ktd_off.group_missing[k->group]) {
		ct->error = k->lacks ?: "offsets missing: see the offset groups";
	} else {
		ktd_fields(ct);
		/* what its values point to shall not be lost behind the values */
		if (ct->nr_fields)
			ct->end -= (ct->end - ct->c->sink.pos) / 4;
		k->take(ct);
		ktd_chase(ct);
	}
}

/* One map, with @bytes and @ns to spend. */
static void take_map(struct ktd_capture *c, unsigned long map, u64 bytes, u64 ns)
{
	struct ktd_content *ct = content;
	u64 before = content_bytes(&c->sink);

	ct->map = map;
	ct->type = ktd_get(map, KTD_M_MAP_TYPE);
	ct->key_size = ktd_get(map, KTD_M_MAP_KEY_SIZE);
	ct->value_size = ktd_get(map, KTD_M_MAP_VALUE_SIZE);
	ct->max_entries = ktd_get(map, KTD_M_MAP_MAX_ENTRIES);
	ct->flags = ktd_get(map, KTD_M_MAP_FLAGS);
	ct->form = NULL;
	ct->values_kva = 0;
	ct->stride = 0;
	ct->seen = 0;
	ct->taken = 0;
	ct->unreadable = 0;
	ct->cut = NULL;
	ct->limit = 0;
	ct->error = NULL;
	ct->bytes_max = bytes;
	ct->chase_end = c->sink.pos + bytes;
	ct->end = ct->chase_end;
	ct->start_ns = ktime_get_mono_fast_ns();
	ct->deadline_ns = ct->start_ns + ns;
	ct->ticks = 0;
	ct->late = false;
	ct->row = NULL;
	ct->off = 0;
	ct->nr_fields = 0;
	ct->nr_later = 0;
	ct->chased = 0;
	if (ns)
		take_known(ct);
	else
		ktd_cut(ct, "deadline", c->freeze->cap_ns / NSEC_PER_USEC);
	content_row(ct, content_bytes(&c->sink) - before);
}

static int by_estimate(const void *a, const void *b)
{
	const struct ktd_map *x = a, *y = b;

	return x->estimate < y->estimate ? -1 : x->estimate > y->estimate;
}

/*
 * Max-min fair: small maps first, each may use an equal part of what is left; what it
 * does not need is shared out among the larger ones behind it.
 */
static void take_maps(struct ktd_capture *c, struct ktd_map *map, u32 nr, size_t end,
		      u64 deadline_ns)
{
	u64 now, ns, bytes, cap = ktd_max_map_kib ? (u64)ktd_max_map_kib << 10 : U64_MAX;
	u32 i;

	sort(map, nr, sizeof(*map), by_estimate, NULL);
	for (i = 0; i < nr && !ktd_expired(c) && !c->sink.full; i++) {
		now = ktime_get_mono_fast_ns();
		ns = now < deadline_ns ? deadline_ns - now : 0;
		ns = max(ns / (nr - i), min_t(u64, ns, TIME_FLOOR_NS));
		bytes = c->sink.pos < end ? end - c->sink.pos : 0;
		take_map(c, map[i].kva, min(bytes / (nr - i), cap), ns);
	}
	if (i < nr)
		ktd_missing(c, KTD_TBL_CONTENT, "not all maps were taken (deadline)");
}

/* What the sections behind the owned maps and the addresses of stacks may need. */
static size_t behind_bytes(const struct ktd_capture *c)
{
	return 16384 + (size_t)nr_cpu_ids * 512 + 2ul * c->max_pcs * (sizeof(u64) + 1);
}

/*
 * Contents may use what is free but for rows of all maps, for what comes behind them,
 * and for a part that is left to the snapshots after this one.
 */
static void content_class(struct ktd_capture *c, bool owned)
{
	size_t room = c->sink.end - c->sink.pos;
	size_t reserve = behind_bytes(c) + (size_t)c->nr_maps * ROWS_RESERVE + room / 16;
	u64 slack = c->freeze->cap_ns / (owned ? 8 : 32);
	u32 first, nr;

	/* those of the class in front; the others' order does not matter */
	for (first = 0, nr = 0; first < c->nr_maps; first++) {
		if (!c->map[first].owner == !owned) {
			swap(c->map[nr], c->map[first]);
			nr++;
		}
	}
	take_maps(c, c->map, nr, c->sink.end - min(reserve, room / 2), c->deadline_ns - slack);
}

void ktd_cap_owned_content(struct ktd_capture *c)
{
	static const struct ktd_table tables[] = {
		{ .id = KTD_TBL_MEM, .nr = KTD_MEM_NR_COLS },
		{ .id = KTD_TBL_RECORD, .nr = KTD_RECORD_NR_COLS },
		{ .id = KTD_TBL_CONTENT, .nr = KTD_CONTENT_NR_COLS },
		{ .id = KTD_TBL_FACT, .nr = KTD_FACT_NR_COLS },
		{ .id = KTD_TBL_FIELD, .nr = KTD_FIELD_NR_COLS },
		{ .id = KTD_TBL_OBJECT, .nr = KTD_OBJECT_NR_COLS },
	};
	u32 i;

	content->c = c;
	content->nr_told = 0;
	for (i = 0; i < c->nr_maps; i++)
		c->map[i].estimate = estimate(c->map[i].kva);
	/* their rows come between each other */
	for (i = 0; i < ARRAY_SIZE(tables); i++)
		ktd_table_begin(&c->sink, &tables[i]);
	content_class(c, true);
}

void ktd_cap_foreign_content(struct ktd_capture *c)
{
	content_class(c, false);
}

void ktd_content_clean(void)
{
	memset(content->told, 0, sizeof(*content->told) << KTD_TOLD_BITS);
}

int ktd_content_init(void)
{
	content = vzalloc(sizeof(*content));
	if (!content)
		return -ENOMEM;
	content->told = vzalloc(sizeof(*content->told) << KTD_TOLD_BITS);
	if (content->told)
		return 0;
	ktd_content_exit();
	return -ENOMEM;
}

void ktd_content_exit(void)
{
	if (!content)
		return;
	vfree(content->told);
	vfree(content);
	content = NULL;
}
