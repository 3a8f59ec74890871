// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dispatch queues of all kinds and the tasks on them, in queue order. List
 * order is dispatch order for vtime queues too (scx_dispatch_enqueue()), so the
 * rb-tree needs no walk.
 */
#include "capture.h"
#include "rht.h"

#define RHT_BUCKETS_MAX		65536
#define RHT_ELEMS_MAX		8192

static const struct ktd_col dsq_src[KTD_DSQ_NR_COLS] = {
	[KTD_DSQ_ID] = KTD_COL(0, DSQ_ID),
	[KTD_DSQ_NR] = KTD_COL(0, DSQ_NR),
	[KTD_DSQ_SEQ] = KTD_COL(0, DSQ_SEQ),
	[KTD_DSQ_LOCK] = KTD_COL(0, DSQ_LOCK),
	[KTD_DSQ_FIRST_TASK] = KTD_COL(0, DSQ_FIRST_TASK),
	[KTD_DSQ_PRIQ] = KTD_COL(0, DSQ_PRIQ),
};

static const struct ktd_table dsq_table = {
	.id = KTD_TBL_DSQ, .nr = KTD_DSQ_NR_COLS, .src = dsq_src,
};

struct dsq {
	unsigned long	kva;		/* struct scx_dispatch_q */
	unsigned long	sch;
	const char	*origin;
	int		cpu;		/* -1 none */
	int		node;		/* -1 none */
};

static void capture_dsq(struct ktd_capture *c, const struct dsq *d)
{
	struct ktd_queue_walk w = {
		.list = "dsq", .owner = d->kva, .cap = ktd_max_list,
		.head = ktd_at(d->kva, KTD_M_DSQ_LIST), .dsq = true, .runnable_on = -1,
		.node_off = ktd_off.place[KTD_M_TASK_SCX].off +
			    ktd_off.place[KTD_M_ENT_DSQ_LIST].off +
			    ktd_off.place[KTD_M_LNODE_NODE].off,
	};
	bool deferred = d->origin[0] == 'd';
	struct ktd_row *r;

	if (!d->kva)
		return;
	if (deferred)		/* a bare list head, not a scx_dispatch_q */
		w.head = d->kva;
	ktd_walk_queue(c, &w);

	r = ktd_row_begin(&c->sink, &dsq_table);
	r->base[0] = deferred ? 0 : d->kva;
	ktd_set_u(r, KTD_DSQ_KVA, d->kva);
	ktd_set_u(r, KTD_DSQ_SCHED_KVA, d->sch);
	ktd_set_str(r, KTD_DSQ_ORIGIN, d->origin);
	if (d->cpu >= 0)
		ktd_set_u(r, KTD_DSQ_CPU, d->cpu);
	if (d->node >= 0)
		ktd_set_u(r, KTD_DSQ_NODE, d->node);
	ktd_set_u(r, KTD_DSQ_SEEN, w.seen);
	ktd_set_u(r, KTD_DSQ_CURSORS, w.cursors);
	ktd_set_str(r, KTD_DSQ_END, w.end);
	ktd_row_end(&c->sink, &dsq_table);
}

/* Queues that live in struct scx_rq. */
static void capture_rq_dsqs(struct ktd_capture *c, const char *origin,
			    enum ktd_member_id member)
{
	unsigned int cpu;

	if (!ktd_have(member) || !ktd_sym[KTD_SYM_RUNQUEUES])
		return;
	for_each_possible_cpu(cpu) {
		unsigned long scx = ktd_at(ktd_rq(cpu), KTD_M_RQ_SCX);
		struct dsq d = {
			.kva = ktd_at(scx, member), .origin = origin, .cpu = cpu, .node = -1,
		};

		if (ktd_expired(c))
			return;
		d.sch = ktd_get(d.kva, KTD_M_DSQ_SCHED);
		if (member == KTD_M_SRQ_DEFERRED)
			d.sch = 0;
		capture_dsq(c, &d);
	}
}

static void capture_bypass(struct ktd_capture *c, unsigned long sch)
{
	unsigned long pcpu = ktd_get(sch, KTD_M_SCH_PCPU);
	unsigned int cpu;

	if (!pcpu || !ktd_have(KTD_M_PCPU_BYPASS_DSQ))
		return;
	for_each_possible_cpu(cpu) {
		struct dsq d = {
			.kva = ktd_at(ktd_percpu(pcpu, cpu), KTD_M_PCPU_BYPASS_DSQ),
			.sch = sch, .origin = "bypass", .cpu = cpu, .node = -1,
		};

		if (ktd_expired(c))
			return;
		capture_dsq(c, &d);
	}
}

/* One per NUMA node: behind pnode[] since 7.1, global_dsqs[] before. */
static void capture_global(struct ktd_capture *c, unsigned long sch)
{
	bool pnode = ktd_have(KTD_M_SCH_PNODE) && ktd_have(KTD_M_PNODE_GLOBAL_DSQ);
	unsigned long arr = ktd_get(sch, pnode ? KTD_M_SCH_PNODE :
							    KTD_M_SCH_GLOBAL_DSQS);
	unsigned int node;

	for (node = 0; arr && node < nr_node_ids && !ktd_expired(c); node++) {
		unsigned long kva = ktd_read_ul(arr + node * sizeof(long));
		struct dsq d = {
			.sch = sch, .origin = "global", .cpu = -1, .node = node,
			.kva = pnode ? ktd_at(kva, KTD_M_PNODE_GLOBAL_DSQ) : kva,
		};

		capture_dsq(c, &d);
	}
}

static void capture_user(struct ktd_capture *c, unsigned long sch)
{
	unsigned long ht = ktd_at(sch, KTD_M_SCH_DSQ_HASH);
	u32 head_off = ktd_get(ht, KTD_M_RHT_HEAD_OFFSET), elems = 0;
	unsigned long node;
	struct ktd_rht w;

	for (ktd_rht_init(&w, ht, RHT_BUCKETS_MAX); ktd_rht_step(&w, &node);) {
		struct dsq d = {
			.kva = node - head_off, .sch = sch, .origin = "user",
			.cpu = -1, .node = -1,
		};

		if (ktd_expired(c))
			return;
		if (!node)
			continue;
		if (elems++ == RHT_ELEMS_MAX) {
			ktd_missing(c, KTD_TBL_DSQ, "more than 8192 user DSQs");
			return;
		}
		capture_dsq(c, &d);
	}
	if (w.end[0] == 'l')
		ktd_missing(c, KTD_TBL_DSQ, "a DSQ hash chain longer than 1024");
	else if (w.end[0] == 's')
		ktd_missing(c, KTD_TBL_DSQ, "DSQ hash table is implausibly large");
}

void ktd_cap_dsq(struct ktd_capture *c)
{
	u32 i;

	if (ktd_off.group_missing[KTD_GRP_DSQ] || ktd_off.group_missing[KTD_GRP_LNODE] ||
	    ktd_off.group_missing[KTD_GRP_ENTITY]) {
		ktd_missing(c, KTD_TBL_DSQ, "offsets missing: see the offset groups");
		return;
	}
	ktd_table_begin(&c->sink, &dsq_table);
	capture_rq_dsqs(c, "local", KTD_M_SRQ_LOCAL_DSQ);
	capture_rq_dsqs(c, "bypass", KTD_M_SRQ_BYPASS_DSQ);
	capture_rq_dsqs(c, "reject", KTD_M_SRQ_REJECT_DSQ);
	capture_rq_dsqs(c, "rescue", KTD_M_SRQ_RESCUE_DSQ);
	capture_rq_dsqs(c, "deferred", KTD_M_SRQ_DEFERRED);
	for (i = 0; i < c->nr_scheds; i++) {
		capture_bypass(c, c->sched[i]);
		capture_global(c, c->sched[i]);
		if (!ktd_off.group_missing[KTD_GRP_RHT])
			capture_user(c, c->sched[i]);
	}
	if (c->expired)
		ktd_missing(c, KTD_TBL_DSQ, "capture deadline reached while walking DSQs");
}
