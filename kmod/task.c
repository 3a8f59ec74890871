// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks, once each: first those met on run queues and DSQs, then the rest of
 * the global scx_tasks list (kernel/sched/ext/ext.c), which holds every task
 * from fork to its end whether or not a scheduler is loaded.
 */
#include <linux/pid.h>

#include "capture.h"

enum { B_TASK, B_ENT, B_LEADER, B_PARENT, B_SIGNAL, B_CRED, B_DSQ };

static const struct ktd_col task_src[KTD_TASK_NR_COLS] = {
	[KTD_TASK_PID] = KTD_COL(B_TASK, TASK_PID),
	[KTD_TASK_TGID] = KTD_COL(B_TASK, TASK_TGID),
	[KTD_TASK_COMM] = KTD_COL(B_TASK, TASK_COMM),
	[KTD_TASK_GROUP_LEADER_PID] = KTD_COL(B_LEADER, TASK_PID),
	[KTD_TASK_REAL_PARENT_PID] = KTD_COL(B_PARENT, TASK_PID),
	[KTD_TASK_REAL_PARENT_COMM] = KTD_COL(B_PARENT, TASK_COMM),
	[KTD_TASK_NR_THREADS] = KTD_COL(B_SIGNAL, SIGNAL_NR_THREADS),
	[KTD_TASK_PRIO] = KTD_COL(B_TASK, TASK_PRIO),
	[KTD_TASK_STATIC_PRIO] = KTD_COL(B_TASK, TASK_STATIC_PRIO),
	[KTD_TASK_NORMAL_PRIO] = KTD_COL(B_TASK, TASK_NORMAL_PRIO),
	[KTD_TASK_RT_PRIORITY] = KTD_COL(B_TASK, TASK_RT_PRIORITY),
	[KTD_TASK_POLICY] = KTD_COL(B_TASK, TASK_POLICY),
	[KTD_TASK_CORE_COOKIE] = KTD_COL(B_TASK, TASK_CORE_COOKIE),
	[KTD_TASK_NVCSW] = KTD_COL(B_TASK, TASK_NVCSW),
	[KTD_TASK_NIVCSW] = KTD_COL(B_TASK, TASK_NIVCSW),
	[KTD_TASK_SIGNAL_NVCSW] = KTD_COL(B_SIGNAL, SIGNAL_NVCSW),
	[KTD_TASK_SIGNAL_NIVCSW] = KTD_COL(B_SIGNAL, SIGNAL_NIVCSW),
	[KTD_TASK_UTIME] = KTD_COL(B_TASK, TASK_UTIME),
	[KTD_TASK_STIME] = KTD_COL(B_TASK, TASK_STIME),
	[KTD_TASK_UID] = KTD_COL(B_CRED, CRED_UID),
	[KTD_TASK_GID] = KTD_COL(B_CRED, CRED_GID),
	[KTD_TASK_STATE] = KTD_COL(B_TASK, TASK_STATE),
	[KTD_TASK_EXIT_STATE] = KTD_COL(B_TASK, TASK_EXIT_STATE),
	[KTD_TASK_TASK_FLAGS] = KTD_COL(B_TASK, TASK_FLAGS),
	[KTD_TASK_ON_CPU] = KTD_COL(B_TASK, TASK_ON_CPU),
	[KTD_TASK_ON_RQ] = KTD_COL(B_TASK, TASK_ON_RQ),
	[KTD_TASK_CPU] = KTD_COL(B_TASK, TASK_CPU),
	[KTD_TASK_MIGRATION_DISABLED] = KTD_COL(B_TASK, TASK_MIGRATION_DISABLED),
	[KTD_TASK_NR_CPUS_ALLOWED] = KTD_COL(B_TASK, TASK_NR_CPUS_ALLOWED),
	[KTD_TASK_PI_BLOCKED_ON] = KTD_COL(B_TASK, TASK_PI_BLOCKED_ON),
	[KTD_TASK_BLOCKED_ON] = KTD_COL(B_TASK, TASK_BLOCKED_ON),
	[KTD_TASK_SUM_EXEC_RUNTIME] = KTD_COL(B_TASK, TASK_SUM_EXEC),
	[KTD_TASK_SCX_SCHED] = KTD_COL(B_ENT, ENT_SCHED),
	[KTD_TASK_SCX_DSQ] = KTD_COL(B_ENT, ENT_DSQ),
	[KTD_TASK_SCX_DSQ_ID] = KTD_COL(B_DSQ, DSQ_ID),
	[KTD_TASK_SCX_DSQ_FLAGS] = KTD_COL(B_ENT, ENT_DSQ_FLAGS),
	[KTD_TASK_SCX_DSQ_SEQ] = KTD_COL(B_ENT, ENT_DSQ_SEQ),
	[KTD_TASK_SCX_DSQ_VTIME] = KTD_COL(B_ENT, ENT_DSQ_VTIME),
	[KTD_TASK_SCX_OPS_STATE] = KTD_COL(B_ENT, ENT_OPS_STATE),
	[KTD_TASK_SCX_OPS_QSEQ] = KTD_COL(B_ENT, ENT_OPS_QSEQ),
	[KTD_TASK_SCX_FLAGS] = KTD_COL(B_ENT, ENT_FLAGS),
	[KTD_TASK_SCX_WEIGHT] = KTD_COL(B_ENT, ENT_WEIGHT),
	[KTD_TASK_SCX_SLICE] = KTD_COL(B_ENT, ENT_SLICE),
	[KTD_TASK_SCX_STICKY_CPU] = KTD_COL(B_ENT, ENT_STICKY_CPU),
	[KTD_TASK_SCX_HOLDING_CPU] = KTD_COL(B_ENT, ENT_HOLDING_CPU),
	[KTD_TASK_SCX_SELECTED_CPU] = KTD_COL(B_ENT, ENT_SELECTED_CPU),
	[KTD_TASK_SCX_RUNNABLE_CPU] = KTD_COL(B_ENT, ENT_RUNNABLE_CPU),
	[KTD_TASK_SCX_RUNNABLE_AT] = KTD_COL(B_ENT, ENT_RUNNABLE_AT),
	[KTD_TASK_SCX_RESCUE_AT] = KTD_COL(B_ENT, ENT_RESCUE_AT),
	[KTD_TASK_SCX_DDSP_DSQ_ID] = KTD_COL(B_ENT, ENT_DDSP_DSQ_ID),
	[KTD_TASK_SCX_DDSP_ENQ_FLAGS] = KTD_COL(B_ENT, ENT_DDSP_ENQ_FLAGS),
	[KTD_TASK_SCX_DDSP_SLICE] = KTD_COL(B_ENT, ENT_DDSP_SLICE),
	[KTD_TASK_SCX_DDSP_VTIME] = KTD_COL(B_ENT, ENT_DDSP_VTIME),
	[KTD_TASK_SCX_DISALLOW] = KTD_COL(B_ENT, ENT_DISALLOW),
	[KTD_TASK_SCX_TID] = KTD_COL(B_ENT, ENT_TID),
	[KTD_TASK_SCX_REENQ_CNT] = KTD_COL(B_ENT, ENT_REENQ_CNT),
	[KTD_TASK_SCX_REENQ_REASON_CAPS] = KTD_COL(B_ENT, ENT_REENQ_CAPS),
	[KTD_TASK_SCX_REENQ_REASON_CID] = KTD_COL(B_ENT, ENT_REENQ_CID),
	[KTD_TASK_SCX_SLICE_OOB] = KTD_COL(B_ENT, ENT_SLICE_OOB),
	[KTD_TASK_SCX_KF_MASK] = KTD_COL(B_ENT, ENT_KF_MASK),
};

static const struct ktd_table task_table = {
	.id = KTD_TBL_TASK, .nr = KTD_TASK_NR_COLS, .src = task_src,
};

const char *ktd_class_name(unsigned long class)
{
	static const struct {
		enum ktd_symbol	sym;
		const char	*name;
	} classes[] = {
		{ KTD_SYM_EXT_CLASS, "ext" }, { KTD_SYM_FAIR_CLASS, "fair" },
		{ KTD_SYM_RT_CLASS, "rt" }, { KTD_SYM_DL_CLASS, "dl" },
		{ KTD_SYM_IDLE_CLASS, "idle" }, { KTD_SYM_STOP_CLASS, "stop" },
	};
	unsigned int i;

	for (i = 0; class && i < ARRAY_SIZE(classes); i++) {
		if (ktd_sym[classes[i].sym] == class)
			return classes[i].name;
	}
	return NULL;
}

/* Root namespace number of signal->pids[type], 0 when there is none. */
static u32 signal_pid(unsigned long signal, enum pid_type type)
{
	unsigned long pids = ktd_at(signal, KTD_M_SIGNAL_PIDS);
	unsigned long pid = pids ? ktd_read_ul(pids + type * sizeof(long)) : 0;

	return ktd_get(ktd_at(pid, KTD_M_PID_NUMBERS), KTD_M_UPID_NR);
}

/*
 * Who holds the lock that @p waits for: rt_mutex_owner() (kernel/locking/rtmutex_common.h),
 * __mutex_owner() (mutex.c); the low bits of both words are flags. 0: nobody, unknown.
 */
static unsigned long lock_owner(unsigned long p)
{
	unsigned long waiter = ktd_get(p, KTD_M_TASK_PI_BLOCKED_ON);

	if (waiter)
		return ktd_get(ktd_get(waiter, KTD_M_WAITER_LOCK), KTD_M_RT_MUTEX_OWNER) & ~1ul;
	return ktd_get(ktd_get(p, KTD_M_TASK_BLOCKED_ON), KTD_M_MUTEX_OWNER) & ~7ul;
}

static void capture_task(struct ktd_capture *c, const struct ktd_task *t)
{
	unsigned long p = t->kva, ent = ktd_at(p, KTD_M_TASK_SCX);
	unsigned long signal = ktd_get(p, KTD_M_TASK_SIGNAL);
	struct ktd_row *r = ktd_row_begin(&c->sink, &task_table);
	const char *class;
	u32 len = BITS_TO_LONGS(nr_cpu_ids) * sizeof(long);

	r->base[B_TASK] = p;
	r->base[B_ENT] = ent;
	r->base[B_LEADER] = ktd_get(p, KTD_M_TASK_GROUP_LEADER);
	r->base[B_PARENT] = ktd_get(p, KTD_M_TASK_REAL_PARENT);
	r->base[B_SIGNAL] = signal;
	r->base[B_CRED] = ktd_get(p, KTD_M_TASK_REAL_CRED);
	r->base[B_DSQ] = ktd_get(ent, KTD_M_ENT_DSQ);

	ktd_set_u(r, KTD_TASK_KVA, p);
	ktd_set_b(r, KTD_TASK_ON_SCX_TASKS, t->on_scx_tasks);
	if (t->runnable_on >= 0)
		ktd_set_u(r, KTD_TASK_RUNNABLE_ON, t->runnable_on);
	if (t->curr_on >= 0)
		ktd_set_u(r, KTD_TASK_CURR_ON, t->curr_on);
	if (signal) {		/* gone late in exit */
		ktd_set_u(r, KTD_TASK_PGID, signal_pid(signal, PIDTYPE_PGID));
		ktd_set_u(r, KTD_TASK_SID, signal_pid(signal, PIDTYPE_SID));
	}
	ktd_set_u(r, KTD_TASK_LOCK_OWNER, lock_owner(p));
	class = ktd_class_name(ktd_get(p, KTD_M_TASK_SCHED_CLASS));
	if (class)
		ktd_set_str(r, KTD_TASK_SCHED_CLASS, class);
	if (len <= sizeof(c->scratch) &&
	    ktd_read(c->scratch, ktd_get(p, KTD_M_TASK_CPUS_PTR), len))
		ktd_set_bin(r, KTD_TASK_CPUS_MASK, c->scratch, len);
	ktd_row_end(&c->sink, &task_table);
}

static void walk_scx_tasks(struct ktd_capture *c)
{
	struct ktd_queue_walk w = {
		.list = "scx_tasks", .owner = ktd_sym[KTD_SYM_SCX_TASKS],
		.head = ktd_sym[KTD_SYM_SCX_TASKS], .cap = ktd_max_tasks,
		.node_off = ktd_off.place[KTD_M_TASK_SCX].off +
			    ktd_off.place[KTD_M_ENT_TASKS_NODE].off,
		.runnable_on = -1, .scx_tasks = true,
	};

	if (!w.head) {
		ktd_missing(c, KTD_TBL_TASK, "symbol scx_tasks not found: only queued tasks");
		return;
	}
	ktd_walk_queue(c, &w);
	if (!strcmp(w.end, "cap"))
		ktd_missing(c, KTD_TBL_TASK, "scx_tasks walk ended at the task limit (max_tasks)");
	else if (strcmp(w.end, "ok"))
		ktd_missing(c, KTD_TBL_TASK, "scx_tasks not walked whole");
}

void ktd_cap_task(struct ktd_capture *c)
{
	u32 queued = c->nr_tasks, i;

	if (ktd_off.group_missing[KTD_GRP_TASK] || ktd_off.group_missing[KTD_GRP_ENTITY]) {
		ktd_missing(c, KTD_TBL_TASK, "offsets missing: see the offset groups");
		return;
	}
	ktd_table_begin(&c->sink, &task_table);
	walk_scx_tasks(c);
	if (c->tasks_full)
		ktd_missing(c, KTD_TBL_TASK, "more tasks than max_tasks");
	for (i = 0; i < c->nr_tasks && !ktd_expired(c) && !c->sink.full; i++)
		capture_task(c, &c->task[i]);
	if (i < c->nr_tasks) {
		c->sink.stat[KTD_TBL_TASK].seen += c->nr_tasks - i;
		ktd_missing(c, KTD_TBL_TASK, i < queued ?
			    "not even all queued tasks were taken (deadline or full buffer)" :
			    "only the queued tasks were taken (deadline or full buffer)");
	}
}
