// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machine code that the kernel makes for BPF beside programs: trampolines, and what
 * calls the operations of a struct_ops. It goes away with its scheduler, so its names
 * cannot be asked for when the CPUs run again.
 */
#include "capture.h"

#define IMAGES_MAX	4096

static const struct ktd_col image_src[KTD_IMAGE_NR_COLS] = {
	[KTD_IMAGE_START] = KTD_COL(0, KSYM_START),
	[KTD_IMAGE_END] = KTD_COL(0, KSYM_END),
	[KTD_IMAGE_NAME] = KTD_COL(0, KSYM_NAME),
};

static const struct ktd_table image_table = {
	.id = KTD_TBL_IMAGE, .nr = KTD_IMAGE_NR_COLS, .src = image_src,
};

/* The list of bpf_ksym_add(); programs are on it too, and have rows of their own. */
void ktd_cap_image(struct ktd_capture *c)
{
	unsigned long head = ktd_sym[KTD_SYM_BPF_KALLSYMS];
	struct ktd_walk w;

	if (!head || ktd_off.group_missing[KTD_GRP_KSYM]) {
		ktd_missing(c, KTD_TBL_IMAGE, head ? "offsets missing: see the offset groups" :
						     "symbol bpf_kallsyms not found");
		return;
	}
	ktd_table_begin(&c->sink, &image_table);
	for (ktd_walk_init(&w, head, IMAGES_MAX); !ktd_expired(c) && ktd_walk_next(&w);) {
		unsigned long ksym = w.node - ktd_off.place[KTD_M_KSYM_LNODE].off;
		struct ktd_row *r;

		if (ktd_get(ksym, KTD_M_KSYM_PROG))
			continue;
		r = ktd_row_begin(&c->sink, &image_table);
		r->base[0] = ksym;
		ktd_row_end(&c->sink, &image_table);
	}
	if (c->expired || strcmp(w.end, "ok"))
		ktd_missing(c, KTD_TBL_IMAGE, c->expired ? "deadline" : w.end);
}
