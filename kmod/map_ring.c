// SPDX-License-Identifier: GPL-2.0-only
/* Ring buffers, the kernel's and user space's: positions, and what nobody has read. */
#include <linux/bpf.h>

#include "content.h"

/* False, with a reason, when the word cannot be read. */
static bool word(struct ktd_content *ct, unsigned long rb, enum ktd_member_id m, u64 *v,
		 const char *otherwise)
{
	*v = 0;
	if (ktd_read(v, ktd_at(rb, m), sizeof(unsigned long)))
		return true;
	ct->error = otherwise;
	return false;
}

void ktd_take_ringbuf(struct ktd_content *ct)
{
	unsigned long rb = ktd_get(ct->map, KTD_M_RBMAP_RB);
	u64 mask, consumer, producer, pending, over, from, len;

	ct->form = KTD_FORM_RINGBUF;
	if (!rb) {
		ct->error = "RINGBUF rb pointer NULL: bpf_ringbuf_alloc failed at map create time (out of memory or numa mismatch); the map exists but has no backing ring data area";
		return;
	}
	if (!word(ct, rb, KTD_M_RB_MASK, &mask,
		  "RINGBUF rb->mask unmapped during freeze (rb pointer torn or unmapped)") ||
	    !word(ct, rb, KTD_M_RB_CONSUMER, &consumer,
		  "RINGBUF rb->consumer_pos unmapped (consumer page absent)") ||
	    !word(ct, rb, KTD_M_RB_PRODUCER, &producer,
		  "RINGBUF rb->producer_pos unmapped (producer page absent)"))
		return;
	ktd_fact(ct, "mask", mask);
	ktd_fact(ct, "consumer_pos", consumer);
	ktd_fact(ct, "producer_pos", producer);
	if (ktd_have(KTD_M_RB_PENDING) &&
	    word(ct, rb, KTD_M_RB_PENDING, &pending,
		 "RINGBUF rb->pending_pos unmapped (producer page absent)"))
		ktd_fact(ct, "pending_pos", pending);

	from = consumer;
	if (ktd_have(KTD_M_RB_OVERWRITE)) {
		bool mode = ktd_get(rb, KTD_M_RB_OVERWRITE_MODE);

		over = ktd_get(rb, KTD_M_RB_OVERWRITE);
		ktd_fact(ct, "overwrite_pos", over);
		ktd_fact(ct, "overwrite_mode", mode);
		/* what is older has been written over */
		if (mode && over - consumer <= producer - consumer)
			from = over;
	}
	len = producer - from;
	ct->seen = len;
	if (mask & (mask + 1) || len > mask + 1) {
		ct->error = "positions that do not fit the ring: pending bytes were not taken";
		return;
	}
	/* the data is mapped twice, so that no record wraps round */
	ct->values_kva = ktd_at(rb, KTD_M_RB_DATA) + (from & mask);
	ktd_fact(ct, "data_kva", ct->values_kva);
	ct->taken = ktd_mem(ct, ct->values_kva, len);
	ktd_fact(ct, "pending_taken", ct->taken);
}
