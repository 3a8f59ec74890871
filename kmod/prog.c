// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF programs: struct_ops ones with their run statistics, all with the range
 * of their machine code, so that the host can name addresses in stacks after
 * the programs are gone. Subprograms have an id of nil.
 */
#include <linux/bpf.h>
#include <linux/idr.h>

#include "capture.h"

#define PROGS_MAX	65536
#define SUBPROGS_MAX	256
#define USED_MAPS_MAX	64

enum { B_PROG, B_AUX };

static const struct ktd_col prog_src[KTD_PROG_NR_COLS] = {
	[KTD_PROG_NAME] = KTD_COL(B_AUX, AUX_NAME),
	[KTD_PROG_TYPE] = KTD_COL(B_PROG, PROG_TYPE),
	[KTD_PROG_KSYM] = KTD_COL(B_AUX, AUX_KSYM_NAME),
	[KTD_PROG_KSYM_START] = KTD_COL(B_AUX, AUX_KSYM_START),
	[KTD_PROG_KSYM_END] = KTD_COL(B_AUX, AUX_KSYM_END),
	[KTD_PROG_VERIFIED_INSNS] = KTD_COL(B_AUX, AUX_VERIFIED_INSNS),
	[KTD_PROG_ATTACH_BTF_ID] = KTD_COL(B_AUX, AUX_ATTACH_BTF_ID),
	[KTD_PROG_MEMBER_OFF] = KTD_COL(B_AUX, AUX_MEMBER_OFF),
};

static const struct ktd_table prog_table = {
	.id = KTD_TBL_PROG, .nr = KTD_PROG_NR_COLS, .src = prog_src,
};

static void set_stats(struct ktd_row *r, unsigned long prog)
{
	unsigned long stats = ktd_get(prog, KTD_M_PROG_STATS);
	u64 cnt = 0, nsecs = 0, misses = 0;
	unsigned int cpu;

	ktd_set_b(r, KTD_PROG_HAS_STATS, stats);
	if (!stats)
		return;
	for_each_possible_cpu(cpu) {
		unsigned long st = ktd_percpu(stats, cpu);

		cnt += ktd_get(st, KTD_M_STATS_CNT);
		nsecs += ktd_get(st, KTD_M_STATS_NSECS);
		misses += ktd_get(st, KTD_M_STATS_MISSES);
	}
	ktd_set_u(r, KTD_PROG_CNT, cnt);
	ktd_set_u(r, KTD_PROG_NSECS, nsecs);
	ktd_set_u(r, KTD_PROG_MISSES, misses);
}

static void set_used_maps(struct ktd_capture *c, struct ktd_row *r, unsigned long aux)
{
	/* the pointer first: a table that grows is swapped before its count */
	unsigned long maps = ktd_get(aux, KTD_M_AUX_USED_MAPS);
	u32 nr = min_t(u32, ktd_get(aux, KTD_M_AUX_USED_MAP_CNT), USED_MAPS_MAX);
	u32 i;

	for (i = 0; maps && i < nr; i++)
		c->scratch[i] = ktd_read_ul(maps + i * sizeof(long));
	ktd_set_arr(r, KTD_PROG_USED_MAPS, c->scratch, maps ? nr : 0);
}

static void capture_prog(struct ktd_capture *c, unsigned long prog, bool sub)
{
	unsigned long aux = ktd_get(prog, KTD_M_PROG_AUX);
	struct ktd_row *r = ktd_row_begin(&c->sink, &prog_table);

	r->base[B_PROG] = prog;
	r->base[B_AUX] = aux;
	ktd_set_u(r, KTD_PROG_KVA, prog);
	if (sub) {
		ktd_set_b(r, KTD_PROG_HAS_STATS, false);
	} else {
		ktd_set_u(r, KTD_PROG_ID, ktd_get(aux, KTD_M_AUX_ID));
		set_stats(r, prog);
		set_used_maps(c, r, aux);
	}
	ktd_row_end(&c->sink, &prog_table);
}

/* aux->func[0] is the program itself. */
static void capture_subprogs(struct ktd_capture *c, unsigned long prog)
{
	unsigned long aux = ktd_get(prog, KTD_M_PROG_AUX);
	unsigned long func = ktd_get(aux, KTD_M_AUX_FUNC);
	u32 nr = ktd_get(aux, KTD_M_AUX_FUNC_CNT), i;

	for (i = 1; func && i < nr && i < SUBPROGS_MAX && !ktd_expired(c); i++) {
		unsigned long sub = ktd_read_ul(func + i * sizeof(long));

		if (sub)
			capture_prog(c, sub, true);
	}
}

/* idr_get_next() is a pure radix-tree walk: no lock (lib/idr.c). */
void ktd_cap_prog(struct ktd_capture *c)
{
	struct idr *idr = (struct idr *)ktd_sym[KTD_SYM_PROG_IDR];
	void *prog;
	int id, n;

	if (!idr || ktd_off.group_missing[KTD_GRP_PROG]) {
		ktd_missing(c, KTD_TBL_PROG, idr ? "offsets missing: see the offset groups" :
						   "symbol prog_idr not found");
		return;
	}
	ktd_table_begin(&c->sink, &prog_table);
	for (id = 0, n = 0; (prog = idr_get_next(idr, &id)); id++, n++) {
		if (ktd_expired(c) || n == PROGS_MAX) {
			ktd_missing(c, KTD_TBL_PROG, "deadline, or more than 65536 programs");
			break;
		}
		capture_prog(c, (unsigned long)prog, false);
		capture_subprogs(c, (unsigned long)prog);
	}
}
