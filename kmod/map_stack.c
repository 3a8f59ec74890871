// SPDX-License-Identifier: GPL-2.0-only
/* Stack traces: a bucket per stack. */
#include <linux/bpf.h>

#include "content.h"

void ktd_take_stacks(struct ktd_content *ct)
{
	u32 entry = ct->flags & BPF_F_STACK_BUILD_ID ? sizeof(struct bpf_stack_build_id) :
						       sizeof(u64);
	u32 n = ktd_get(ct->map, KTD_M_SM_N_BUCKETS), deepest = ct->value_size / entry, i;

	ct->form = KTD_FORM_STACK;
	for (i = 0; i < n; i++) {
		unsigned long bucket = ktd_read_ul(ktd_at(ct->map, KTD_M_SM_BUCKETS) +
						   i * sizeof(long));
		u32 nr, len;

		if (ktd_late(ct)) {
			ktd_cut_late(ct);
			break;
		}
		if (!bucket)
			continue;
		ct->seen++;
		nr = ktd_get(bucket, KTD_M_SMB_NR);
		len = min(nr, deepest) * entry;
		if (!ktd_record_begin(ct, bucket, i, nr, len))
			continue;	/* goes on counting */
		ktd_record_read(ct, ktd_at(bucket, KTD_M_SMB_DATA), len,
				KTD_RECORD_VALUE_BAD);
		ktd_record_end(ct);
	}
	ktd_fact(ct, "n_buckets", n);
}
