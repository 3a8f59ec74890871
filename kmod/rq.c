// SPDX-License-Identifier: GPL-2.0-only
/* Run queues of every possible CPU and the tasks on their runnable_list. */
#include <linux/sched/clock.h>

#include "capture.h"

enum { B_RQ, B_SCX, B_CURR, B_STOP };

static const struct ktd_col rq_src[KTD_RQ_NR_COLS] = {
	[KTD_RQ_LOCK] = KTD_COL(B_RQ, RQ_LOCK),
	[KTD_RQ_ONLINE] = KTD_COL(B_RQ, RQ_ONLINE),
	[KTD_RQ_NR_RUNNING] = KTD_COL(B_RQ, RQ_NR_RUNNING),
	[KTD_RQ_NR_SWITCHES] = KTD_COL(B_RQ, RQ_NR_SWITCHES),
	[KTD_RQ_NR_IOWAIT] = KTD_COL(B_RQ, RQ_NR_IOWAIT),
	[KTD_RQ_CLOCK] = KTD_COL(B_RQ, RQ_CLOCK),
	[KTD_RQ_CLOCK_TASK] = KTD_COL(B_RQ, RQ_CLOCK_TASK),
	[KTD_RQ_PREV_STEAL_TIME] = KTD_COL(B_RQ, RQ_PREV_STEAL),
	[KTD_RQ_CURR] = KTD_COL(B_RQ, RQ_CURR),
	[KTD_RQ_DONOR] = KTD_COL(B_RQ, RQ_DONOR),
	[KTD_RQ_IDLE] = KTD_COL(B_RQ, RQ_IDLE),
	[KTD_RQ_STOP] = KTD_COL(B_RQ, RQ_STOP),
	[KTD_RQ_STOP_ON_RQ] = KTD_COL(B_STOP, TASK_ON_RQ),
	[KTD_RQ_CURR_PID] = KTD_COL(B_CURR, TASK_PID),
	[KTD_RQ_CURR_COMM] = KTD_COL(B_CURR, TASK_COMM),
	[KTD_RQ_CURR_LAST_ARRIVAL] = KTD_COL(B_CURR, TASK_LAST_ARRIVAL),
	[KTD_RQ_RT_NR] = KTD_COL(B_RQ, RQ_RT_NR),
	[KTD_RQ_DL_NR] = KTD_COL(B_RQ, RQ_DL_NR),
	[KTD_RQ_SCX_NR_RUNNING] = KTD_COL(B_SCX, SRQ_NR_RUNNING),
	[KTD_RQ_SCX_FLAGS] = KTD_COL(B_SCX, SRQ_FLAGS),
	[KTD_RQ_SCX_CPU_RELEASED] = KTD_COL(B_SCX, SRQ_CPU_RELEASED),
	[KTD_RQ_SCX_OPS_QSEQ] = KTD_COL(B_SCX, SRQ_OPS_QSEQ),
	[KTD_RQ_SCX_KICK_SYNC] = KTD_COL(B_SCX, SRQ_KICK_SYNC),
	[KTD_RQ_SCX_PNT_SEQ] = KTD_COL(B_SCX, SRQ_PNT_SEQ),
	[KTD_RQ_SCX_NR_IMMED] = KTD_COL(B_SCX, SRQ_NR_IMMED),
	[KTD_RQ_SCX_CLOCK] = KTD_COL(B_SCX, SRQ_CLOCK),
	[KTD_RQ_SCX_CPUPERF_TARGET] = KTD_COL(B_SCX, SRQ_CPUPERF_TARGET),
	[KTD_RQ_SCX_IN_SELECT_CPU] = KTD_COL(B_SCX, SRQ_IN_SELECT_CPU),
	[KTD_RQ_SCX_KICK_SYNC_PENDING] = KTD_COL(B_SCX, SRQ_KICK_SYNC_PENDING),
	[KTD_RQ_SCX_SUB_DISPATCH_PREV] = KTD_COL(B_SCX, SRQ_SUB_DISPATCH_PREV),
	[KTD_RQ_SCX_REMOTE_ACTIVATE_SCH] = KTD_COL(B_SCX, SRQ_REMOTE_ACTIVATE_SCH),
	[KTD_RQ_RESCUE_CURR] = KTD_COL(B_SCX, SRQ_RESCUE_CURR),
	[KTD_RQ_RESCUE_BUDGET] = KTD_COL(B_SCX, SRQ_RESCUE_BUDGET),
	[KTD_RQ_RESCUE_SLICE] = KTD_COL(B_SCX, SRQ_RESCUE_SLICE),
	[KTD_RQ_RESCUE_KILL_AT] = KTD_COL(B_SCX, SRQ_RESCUE_KILL_AT),
};

static const struct ktd_table rq_table = {
	.id = KTD_TBL_RQ, .nr = KTD_RQ_NR_COLS, .src = rq_src,
};

static void capture_rq(struct ktd_capture *c, unsigned int cpu)
{
	unsigned long rq = ktd_rq(cpu);
	unsigned long scx = ktd_at(rq, KTD_M_RQ_SCX);
	unsigned long curr = ktd_get(rq, KTD_M_RQ_CURR);
	struct ktd_queue_walk w = {
		.list = "runnable", .owner = rq, .cap = ktd_max_list,
		.head = ktd_at(scx, KTD_M_SRQ_RUNNABLE), .runnable_on = cpu,
		.node_off = ktd_off.place[KTD_M_TASK_SCX].off +
			    ktd_off.place[KTD_M_ENT_RUNNABLE_NODE].off,
		.end = "no offsets",
	};
	struct ktd_task *t = curr ? ktd_task_note(c, curr) : NULL;
	enum ktd_member_id fair = ktd_have(KTD_M_RQ_FAIR_NR) ? KTD_M_RQ_FAIR_NR :
								KTD_M_RQ_FAIR_NR_OLD;
	const char *class;
	struct ktd_row *r;

	if (t)
		t->curr_on = cpu;
	if (w.head)
		ktd_walk_queue(c, &w);

	r = ktd_row_begin(&c->sink, &rq_table);
	r->base[B_RQ] = rq;
	r->base[B_SCX] = scx;
	r->base[B_CURR] = curr;
	r->base[B_STOP] = ktd_get(rq, KTD_M_RQ_STOP);
	ktd_set_u(r, KTD_RQ_CPU, cpu);
	ktd_set_u(r, KTD_RQ_KVA, rq);
	/* what update_rq_clock() would make of clock; without locks, also for other CPUs */
	ktd_set_u(r, KTD_RQ_CLOCK_NOW, sched_clock_cpu(cpu));
	class = ktd_class_name(ktd_get(curr, KTD_M_TASK_SCHED_CLASS));
	if (class)
		ktd_set_str(r, KTD_RQ_CURR_CLASS, class);
	if (ktd_have(fair))
		ktd_set_u(r, KTD_RQ_FAIR_NR, ktd_get(rq, fair));
	ktd_set_u(r, KTD_RQ_RUNNABLE_SEEN, w.seen);
	ktd_set_str(r, KTD_RQ_RUNNABLE_END, w.end);
	ktd_row_end(&c->sink, &rq_table);
}

void ktd_cap_rq(struct ktd_capture *c)
{
	unsigned int cpu;

	if (!ktd_sym[KTD_SYM_RUNQUEUES]) {
		ktd_missing(c, KTD_TBL_RQ, "symbol runqueues not found");
		return;
	}
	ktd_table_begin(&c->sink, &rq_table);
	for_each_possible_cpu(cpu) {
		if (ktd_expired(c)) {
			ktd_missing(c, KTD_TBL_RQ, "deadline reached: not all run queues");
			break;
		}
		capture_rq(c, cpu);
	}
}
