// SPDX-License-Identifier: GPL-2.0-only
/* Every scheduler instance: the root, its sub-schedulers, and the one exiting. */
#include "capture.h"

#define CGRP_PATH_MAX	256

static const struct ktd_col sched_src[KTD_SCHED_NR_COLS] = {
	[KTD_SCHED_NAME] = KTD_COL(0, SCH_NAME),
	[KTD_SCHED_LEVEL] = KTD_COL(0, SCH_LEVEL),
	[KTD_SCHED_ID] = KTD_COL(0, SCH_ID),
	[KTD_SCHED_SUB_CGROUP_ID] = KTD_COL(0, SCH_SUB_CGROUP_ID),
	[KTD_SCHED_OPS_FLAGS] = KTD_COL(0, SCH_OPS_FLAGS),
	[KTD_SCHED_TIMEOUT_MS] = KTD_COL(0, SCH_TIMEOUT_MS),
	[KTD_SCHED_EXIT_DUMP_LEN] = KTD_COL(0, SCH_EXIT_DUMP_LEN),
	[KTD_SCHED_IS_CID_TYPE] = KTD_COL(0, SCH_IS_CID_TYPE),
	[KTD_SCHED_SLICE_DFL] = KTD_COL(0, SCH_SLICE_DFL),
	[KTD_SCHED_DSP_MAX_BATCH] = KTD_COL(0, SCH_DSP_MAX_BATCH),
	[KTD_SCHED_BYPASS_DEPTH] = KTD_COL_OR_SYM(0, SCH_BYPASS_DEPTH, SCX_BYPASS_DEPTH, 4),
	[KTD_SCHED_BYPASS_TIMESTAMP] = KTD_COL(0, SCH_BYPASS_TIMESTAMP),
	[KTD_SCHED_BYPASS_DSP_ENABLE_DEPTH] = KTD_COL(0, SCH_BYPASS_DSP_EN),
	[KTD_SCHED_ABORTING] = KTD_COL_OR_SYM(0, SCH_ABORTING, SCX_ABORTING, 1),
	[KTD_SCHED_DEAD] = KTD_COL(0, SCH_DEAD),
	[KTD_SCHED_LINKED] = KTD_COL(0, SCH_LINKED),
	[KTD_SCHED_SUB_ATTACHED] = KTD_COL(0, SCH_SUB_ATTACHED),
	[KTD_SCHED_DUMP_DISABLED] = KTD_COL(0, SCH_DUMP_DISABLED),
	[KTD_SCHED_WARNED_ZERO_SLICE] = KTD_COL(0, SCH_WARNED_ZERO_SLICE),
	[KTD_SCHED_WATCHDOG_TIMEOUT] =
		KTD_COL_OR_SYM(0, SCH_WATCHDOG_TIMEOUT, SCX_WATCHDOG_TIMEOUT, 8),
	[KTD_SCHED_EXIT_KIND] = KTD_COL(0, SCH_EXIT_KIND),
	[KTD_SCHED_EXIT_INFO] = KTD_COL(0, SCH_EXIT_INFO),
	[KTD_SCHED_ARENA_MAP] = KTD_COL(0, SCH_ARENA_MAP),
	[KTD_SCHED_ARENA_KERN_BASE] = KTD_COL(0, SCH_ARENA_KERN_BASE),
	[KTD_SCHED_NR_PSHARDS] = KTD_COL(0, SCH_NR_PSHARDS),
};

static const struct ktd_table sched_table = {
	.id = KTD_TBL_SCHED, .nr = KTD_SCHED_NR_COLS, .src = sched_src,
};

static void note_sched(struct ktd_capture *c, unsigned long sch)
{
	u32 i;

	if (!sch)
		return;
	for (i = 0; i < c->nr_scheds; i++) {
		if (c->sched[i] == sch)
			return;
	}
	if (i == KTD_SCHEDS_MAX) {
		ktd_missing(c, KTD_TBL_SCHED, "more than 64 scheduler instances");
		return;
	}
	c->sched[c->nr_scheds++] = sch;
}

/* scx_sched_all links every instance, parents before children (since 7.1). */
static void find_scheds(struct ktd_capture *c)
{
	struct ktd_walk w;

	note_sched(c, ktd_scx_root());
	if (ktd_sym[KTD_SYM_SCX_SCHED_ALL] && ktd_have(KTD_M_SCH_ALL)) {
		ktd_walk_init(&w, ktd_sym[KTD_SYM_SCX_SCHED_ALL], KTD_SCHEDS_MAX);
		while (ktd_walk_next(&w))
			note_sched(c, w.node - ktd_off.place[KTD_M_SCH_ALL].off);
	}
	/* one that fails in init is not linked yet */
	note_sched(c, c->trig.sch);
}

/* ancestors[level] is the instance itself, ancestors[level - 1] its parent. */
static unsigned long sched_parent(unsigned long sch)
{
	u32 level = ktd_get(sch, KTD_M_SCH_LEVEL);
	unsigned long ancestors = ktd_at(sch, KTD_M_SCH_ANCESTORS);

	if (!ancestors || !level || level > KTD_SCHEDS_MAX)
		return 0;
	return ktd_read_ul(ancestors + (level - 1) * sizeof(long));
}

void ktd_cap_sched(struct ktd_capture *c)
{
	char path[CGRP_PATH_MAX];
	unsigned long kva;
	struct ktd_row *r;
	u32 i;

	ktd_table_begin(&c->sink, &sched_table);
	find_scheds(c);
	for (i = 0; i < c->nr_scheds; i++) {
		r = ktd_row_begin(&c->sink, &sched_table);
		r->base[0] = c->sched[i];
		ktd_set_u(r, KTD_SCHED_KVA, c->sched[i]);
		ktd_set_b(r, KTD_SCHED_ROOT, c->sched[i] == ktd_scx_root());
		ktd_set_u(r, KTD_SCHED_PARENT_KVA, sched_parent(c->sched[i]));
		kva = ktd_get(c->sched[i], KTD_M_SCH_CGRP_PATH);
		if (kva)
			ktd_set_strn(r, KTD_SCHED_CGRP_PATH, path,
				     ktd_read_str(path, kva, sizeof(path)));
		ktd_row_end(&c->sink, &sched_table);
	}
}
