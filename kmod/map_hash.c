// SPDX-License-Identifier: GPL-2.0-only
/* Maps of keys and values: the hash tables and the trie. */
#include <linux/bpf.h>

#include "content.h"
#include "rht.h"

#define BUCKETS_MAX	(1u << 27)	/* more would be nonsense */
#define CHAIN_MAX	65536

/* The sum of the map's per-CPU element counts; 0 if it has none. */
static u64 elem_count(const struct ktd_content *ct)
{
	unsigned long count = ktd_get(ct->map, KTD_M_MAP_ELEM_COUNT);
	unsigned int cpu;
	s64 sum = 0, n;

	if (!count)
		return 0;
	for_each_possible_cpu(cpu) {
		if (ktd_read(&n, ktd_percpu(count, cpu), sizeof(n)))
			sum += n;
	}
	return max_t(s64, sum, 0);
}

static bool is_percpu(const struct ktd_content *ct)
{
	return ct->type == BPF_MAP_TYPE_PERCPU_HASH || ct->type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static u64 pair_bytes(const struct ktd_content *ct)
{
	return ktd_pad(ct->key_size) + (is_percpu(ct) ? ktd_percpu_bytes(ct->value_size) :
					ct->type == BPF_MAP_TYPE_HASH_OF_MAPS ? sizeof(u64) :
					ktd_pad(ct->value_size));
}

/*
 * One element of a hash table: the value stands behind the key, or a pointer to it.
 * Both are padded to 8 bytes there as in a record (htab_map_alloc()).
 */
static void take_pair(struct ktd_content *ct, unsigned long elem, unsigned long key)
{
	unsigned long value = key + ktd_pad(ct->key_size), ptr = 0;
	bool of_maps = ct->type == BPF_MAP_TYPE_HASH_OF_MAPS;
	unsigned int cpu;
	u32 id = 0;

	ct->seen++;
	if (ct->cut)
		return;
	if (of_maps || is_percpu(ct))
		ptr = ktd_read_ul(value);
	if (of_maps)
		id = ktd_get(ptr, KTD_M_MAP_ID);
	if (!ktd_record_begin(ct, elem, 0, id, pair_bytes(ct)))
		return;
	if (of_maps) {
		ktd_record_read(ct, key, ct->key_size, KTD_RECORD_KEY_BAD);
		ktd_record_u64(ct, ptr);
	} else if (is_percpu(ct)) {
		ktd_record_read(ct, key, ct->key_size, KTD_RECORD_KEY_BAD);
		ktd_record_percpu(ct, ptr, ct->value_size);
	} else if (!ktd_record_read_all(ct, key, pair_bytes(ct))) {
		ktd_record_read(ct, key, ct->key_size, KTD_RECORD_KEY_BAD);
		ktd_record_read(ct, value, ct->value_size, KTD_RECORD_VALUE_BAD);
	}
	ktd_record_end(ct);
	if (of_maps) {
		ktd_target(ct, KTD_TARGET_MAP, ptr);
	} else if (ct->nr_fields && !is_percpu(ct)) {
		ktd_chase_value(ct, value);
	} else if (ct->nr_fields) {
		for_each_possible_cpu(cpu)
			ktd_chase_value(ct, ktd_percpu(ptr, cpu));
	}
}

static void set_form(struct ktd_content *ct)
{
	ct->form = is_percpu(ct) ? KTD_FORM_PERCPU_HASH :
		   ct->type == BPF_MAP_TYPE_HASH_OF_MAPS ? KTD_FORM_SLOTS_HASH : KTD_FORM_HASH;
}

/*
 * The end mark of a chain is the number of its bucket: another one means that an
 * element was on its way to another bucket.
 */
static void take_bucket(struct ktd_content *ct, unsigned long head, u32 bucket)
{
	struct ktd_walk w;

	for (ktd_walk_chain(&w, head, CHAIN_MAX); ktd_walk_next(&w) && !ct->late;) {
		unsigned long elem = w.node - ktd_off.place[KTD_M_HELEM_NODE].off;

		ktd_late(ct);
		take_pair(ct, elem, ktd_at(elem, KTD_M_HELEM_KEY));
	}
	if (w.end[0] == 'l' || w.end[0] == 'c')
		ktd_cut(ct, "loop", bucket);
	else if (w.end[0] == 'f')
		ct->unreadable++;
	else if (!ct->late && w.last >> 1 != bucket)
		ct->error = ct->error ?: "an element was being moved while the CPUs were parked";
}

void ktd_take_htab(struct ktd_content *ct)
{
	unsigned long buckets = ktd_get(ct->map, KTD_M_HTAB_BUCKETS);
	u32 nr = min_t(u32, ktd_get(ct->map, KTD_M_HTAB_N_BUCKETS), BUCKETS_MAX);
	u32 stride = ktd_off.strct[KTD_S_BUCKET].size, i, n, j;
	u8 *buf = (u8 *)ct->c->scratch;
	u64 count = elem_count(ct);

	set_form(ct);
	ktd_fact(ct, "n_buckets", nr);
	if (ktd_get(ct->map, KTD_M_MAP_ELEM_COUNT))
		ktd_fact(ct, "count", count);
	for (i = 0; buckets && i < nr && !ktd_late(ct); i += n) {
		unsigned long at = buckets + (u64)i * stride;

		/* most are empty: many at a time */
		n = min_t(u32, nr - i, sizeof(ct->c->scratch) / stride);
		if (!ktd_read(buf, at, (size_t)n * stride)) {
			ct->unreadable += n;
			continue;
		}
		for (j = 0; j < n; j++) {
			unsigned long head;

			memcpy(&head, buf + j * stride + ktd_off.place[KTD_M_BUCKET_HEAD].off,
			       sizeof(head));
			if (head && !(head & 1))
				take_bucket(ct, ktd_at(at + (u64)j * stride, KTD_M_BUCKET_HEAD),
					    i + j);
		}
	}
	if (ct->late) {
		ktd_cut_late(ct);
		ct->seen = max(ct->seen, count);
	}
}

void ktd_take_rhtab(struct ktd_content *ct)
{
	unsigned long node, data;
	struct ktd_rht w;

	set_form(ct);
	ktd_fact(ct, "count", ktd_get(ct->map, KTD_M_RHTAB_NELEMS));
	ktd_rht_init(&w, ktd_at(ct->map, KTD_M_RHTAB_HT), BUCKETS_MAX);
	while (!ktd_late(ct) && ktd_rht_step(&w, &node)) {
		if (!node)
			continue;
		node -= ktd_off.place[KTD_M_RHELEM_NODE].off;
		data = ktd_at(node, KTD_M_RHELEM_DATA);
		take_pair(ct, node, data);
	}
	if (ct->late) {
		ktd_cut_late(ct);
		ct->seen = max_t(u64, ct->seen, ktd_get(ct->map, KTD_M_RHTAB_NELEMS));
	} else if (w.end[0] != 'o') {
		ktd_cut(ct, "loop", 0);
	}
}

#define TNODE_INTERMEDIATE	1	/* LPM_TREE_NODE_FLAG_IM: without a value */

/* A key is u32 prefixlen and the data; in a node they do not stand together. */
static void take_lpm_node(struct ktd_content *ct, unsigned long node, u32 prefixlen,
			  u32 data_size)
{
	unsigned long data = ktd_at(node, KTD_M_TNODE_DATA);
	u8 key[4 + 256];

	ct->seen++;
	if (ct->cut || !ktd_record_begin(ct, node, 0, 0, ktd_pad(4 + data_size) +
							 ktd_pad(ct->value_size)))
		return;
	memcpy(key, &prefixlen, 4);
	if (ktd_read(key + 4, data, data_size))
		ktd_record_read(ct, (unsigned long)key, 4 + data_size, KTD_RECORD_KEY_BAD);
	else
		ktd_record_read(ct, 0, 4 + data_size, KTD_RECORD_KEY_BAD);
	ktd_record_read(ct, data + data_size, ct->value_size, KTD_RECORD_VALUE_BAD);
	ktd_record_end(ct);
	if (ct->nr_fields)
		ktd_chase_value(ct, data + data_size);
}

/*
 * Depth first, left before right: in the order of the keys. A child's prefix is
 * longer than its parent's, so the stack cannot grow without an end; the number of
 * visits is bounded for a trie that goes round in circles nevertheless.
 */
void ktd_take_lpm(struct ktd_content *ct)
{
	u64 data_size = ktd_get(ct->map, KTD_M_LPM_DATA_SIZE);
	u64 visits = 2 * (u64)ct->max_entries + 2;
	u32 depth = 0, i;

	ct->form = KTD_FORM_HASH;
	if (ktd_have(KTD_M_LPM_N_ENTRIES))
		ktd_fact(ct, "n_entries", ktd_get(ct->map, KTD_M_LPM_N_ENTRIES));
	if (data_size > 256 || data_size + 4 != ct->key_size) {
		ct->error = "the trie's data_size does not fit its key_size";
		return;
	}
	ct->lpm[depth++] = ktd_get(ct->map, KTD_M_LPM_ROOT);
	while (depth) {
		unsigned long node = ct->lpm[--depth];
		u32 prefixlen;

		if (!node)
			continue;
		if (ktd_late(ct)) {
			ktd_cut_late(ct);
			break;
		}
		if (!visits-- || depth + 2 > ARRAY_SIZE(ct->lpm)) {
			ktd_cut(ct, "loop", 0);
			break;
		}
		prefixlen = ktd_get(node, KTD_M_TNODE_PREFIXLEN);
		if (!(ktd_get(node, KTD_M_TNODE_FLAGS) & TNODE_INTERMEDIATE))
			take_lpm_node(ct, node, prefixlen, data_size);
		for (i = 2; i--;)
			ct->lpm[depth++] = ktd_read_ul(ktd_at(node, KTD_M_TNODE_CHILD) +
						       i * sizeof(long));
	}
}
