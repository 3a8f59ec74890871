// SPDX-License-Identifier: GPL-2.0-only
/* struct_ops maps: the kernel's side of the value, and the programs behind it. */
#include <linux/bpf.h>

#include "content.h"

#define LINKS_MAX	1024

unsigned long ktd_scx_ops_priv(unsigned long map)
{
	unsigned long st_ops = ktd_get(ktd_get(map, KTD_M_ST_DESC), KTD_M_DESC_ST_OPS);
	unsigned long data = ktd_at(map, KTD_M_ST_DATA);
	char name[32];

	ktd_read_str(name, ktd_get(st_ops, KTD_M_ST_OPS_NAME), sizeof(name));
	if (!strcmp(name, "sched_ext_ops"))
		return ktd_at(data, KTD_M_OPS_PRIV);
	if (!strcmp(name, "sched_ext_ops_cid"))
		return ktd_at(data, KTD_M_OPS_CID_PRIV);
	return 0;
}

/* links[] is packed: one per function that is there, and some may be NULL. */
void ktd_struct_ops_progs(unsigned long map, void *ctx,
			  void (*fn)(void *ctx, unsigned long link, unsigned long prog))
{
	unsigned long links = ktd_get(map, KTD_M_ST_LINKS), link, prog;
	u32 nr = min_t(u32, ktd_get(map, KTD_M_ST_FUNCS_CNT), LINKS_MAX), i;

	for (i = 0; links && i < nr; i++) {
		link = ktd_read_ul(links + i * sizeof(long));
		prog = ktd_get(link, KTD_M_LINK_PROG);
		if (prog)
			fn(ctx, link, prog);
	}
}

/* A program's expected_attach_type is the number of the member it stands in for. */
static void take_link(void *ctx, unsigned long link, unsigned long prog)
{
	struct ktd_content *ct = ctx;
	u32 id = ktd_get(ktd_get(prog, KTD_M_PROG_AUX), KTD_M_AUX_ID);

	ct->seen++;
	if (!ktd_record_begin(ct, link, ktd_get(prog, KTD_M_PROG_ATTACH_TYPE), id, sizeof(u64)))
		return;
	ktd_record_u64(ct, link);
	ktd_record_end(ct);
	ktd_target(ct, KTD_TARGET_PROG, prog);
}

void ktd_take_struct_ops(struct ktd_content *ct)
{
	unsigned long kvalue = ktd_at(ct->map, KTD_M_ST_KVALUE);
	unsigned long data = ktd_at(ct->map, KTD_M_ST_DATA);
	unsigned long priv = ktd_scx_ops_priv(ct->map);

	ct->form = KTD_FORM_STRUCT_OPS;
	ct->values_kva = data;
	ct->stride = ct->value_size > data - kvalue ? ct->value_size - (data - kvalue) : 0;
	ktd_fact(ct, "state", ktd_get(ct->map, KTD_M_ST_STATE));
	ktd_fact(ct, "kvalue_kva", kvalue);
	ktd_fact(ct, "funcs_cnt", ktd_get(ct->map, KTD_M_ST_FUNCS_CNT));
	if (priv)
		ktd_fact(ct, "priv", ktd_read_ul(priv));
	if (ktd_mem(ct, kvalue, ct->value_size) < ct->value_size && !ct->cut)
		ct->error = "STRUCT_OPS value unreadable: value region unmapped. Live-host backend reads via BPF_MAP_LOOKUP_ELEM at key=0.";
	ktd_struct_ops_progs(ct->map, ct, take_link);
}
