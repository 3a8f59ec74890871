// SPDX-License-Identifier: GPL-2.0-only
/* Maps whose values lie behind each other: arrays, queues and stacks, bloom filters. */
#include <linux/bitops.h>
#include <linux/bpf.h>

#include "content.h"

/* @n values of @stride bytes from @kva on, as memory. */
static void take_values(struct ktd_content *ct, unsigned long kva, u32 stride, u32 n)
{
	u32 i, take = min(n, ktd_max_map_entries);
	u64 bytes;

	ct->form = KTD_FORM_ARRAY;
	ct->values_kva = kva;
	ct->stride = stride;
	ct->seen = n;
	if (!stride || !kva) {
		ct->error = "ARRAY value region unreadable (unmapped page?)";
		return;
	}
	bytes = ktd_mem(ct, kva, (u64)take * stride);
	ct->taken = bytes / stride;
	if (ct->cut) {
		take = ct->taken;
	} else {
		ct->unreadable = take - ct->taken;
		if (take < n)
			ktd_cut(ct, "entries", ktd_max_map_entries);
	}
	if (!bytes && !ct->cut)
		ct->error = "ARRAY value region unreadable (unmapped page?)";
	for (i = 0; ct->nr_fields && i < take && !ktd_late(ct); i++)
		ktd_chase_value(ct, kva + (u64)i * stride);
}

/* With BPF_F_MMAPABLE the allocation begins earlier, but value[] is where it says. */
void ktd_take_array(struct ktd_content *ct)
{
	take_values(ct, ktd_at(ct->map, KTD_M_ARR_VALUE), ktd_get(ct->map, KTD_M_ARR_ELEM_SIZE),
		    ct->max_entries);
}

void ktd_take_insn_array(struct ktd_content *ct)
{
	take_values(ct, ktd_at(ct->map, KTD_M_INSN_VALUES), ktd_off.strct[KTD_S_INSN_VALUE].size,
		    ct->max_entries);
}

void ktd_take_percpu_array(struct ktd_content *ct)
{
	unsigned long pptrs = ktd_at(ct->map, KTD_M_ARR_PPTRS);
	unsigned int cpu;
	u32 i;

	ct->form = KTD_FORM_PERCPU_ARRAY;
	ct->seen = ct->max_entries;
	for (i = 0; i < ct->max_entries; i++) {
		unsigned long pptr = ktd_read_ul(pptrs + i * sizeof(long));

		if (!ktd_record_begin(ct, 0, i, 0, ktd_percpu_bytes(ct->value_size)))
			break;
		ktd_record_percpu(ct, pptr, ct->value_size);
		ktd_record_end(ct);
		for_each_possible_cpu(cpu) {
			if (ct->nr_fields)
				ktd_chase_value(ct, ktd_percpu(pptr, cpu));
		}
	}
}

/*
 * A ring of size = max_entries + 1 elements. Both kinds grow at the head; a stack is
 * popped there too, a queue at the tail. So the oldest comes first in both.
 */
void ktd_take_queue(struct ktd_content *ct)
{
	unsigned long elements = ktd_at(ct->map, KTD_M_QS_ELEMENTS);
	u32 head = ktd_get(ct->map, KTD_M_QS_HEAD);
	u32 tail = ktd_get(ct->map, KTD_M_QS_TAIL);
	u32 size = ktd_get(ct->map, KTD_M_QS_SIZE), i;

	ktd_fact(ct, "head", head);
	ktd_fact(ct, "tail", tail);
	ktd_fact(ct, "size", size);
	ct->form = KTD_FORM_QUEUE;
	if (!size || head >= size || tail >= size) {
		ct->error = "head or tail is outside of the ring";
		return;
	}
	ct->seen = (head + size - tail) % size;
	for (i = tail; i != head; i = i + 1 == size ? 0 : i + 1) {
		unsigned long kva = elements + (u64)i * ct->value_size;

		if (!ktd_record_begin(ct, kva, i, 0, ktd_pad(ct->value_size)))
			break;
		ktd_record_read(ct, kva, ct->value_size, KTD_RECORD_VALUE_BAD);
		ktd_record_end(ct);
	}
}

void ktd_take_bloom(struct ktd_content *ct)
{
	unsigned long bits = ktd_at(ct->map, KTD_M_BLOOM_BITS);
	u32 mask = ktd_get(ct->map, KTD_M_BLOOM_MASK);
	u64 *buf = ct->c->scratch;
	u64 bytes = BITS_TO_LONGS((u64)mask + 1) * sizeof(long), pos, set = 0;
	size_t n, i;

	ct->form = KTD_FORM_BLOOM;
	ct->values_kva = bits;
	ktd_fact(ct, "bitset_mask", mask);
	ktd_fact(ct, "nr_hash_funcs", ktd_get(ct->map, KTD_M_BLOOM_NR_HASH));
	ktd_fact(ct, "hash_seed", ktd_get(ct->map, KTD_M_BLOOM_SEED));
	ktd_fact(ct, "bitset_bytes", bytes);
	for (pos = 0; pos < bytes && !ktd_late(ct); pos += n) {
		n = min_t(u64, bytes - pos, sizeof(ct->c->scratch));
		if (!ktd_read(buf, bits + pos, n)) {
			ct->unreadable++;
			break;
		}
		for (i = 0; i < n / sizeof(*buf); i++)
			set += hweight64(buf[i]);
	}
	if (pos >= bytes)
		ktd_fact(ct, "popcount", set);
	ktd_mem(ct, bits, bytes);
}
