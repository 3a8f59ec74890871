// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ages come from where the kernel's watchdog takes them: the runnable lists
 * (check_rq_for_timeouts()) and its own time stamp (scx_tick()). They are read
 * without the rq locks: interrupts are off here, which holds off RCU, so a task
 * that is met on a list stays a task_struct until the walk is over. A list that
 * changes under the walk ends it; the next check is not far.
 */
#include <linux/jiffies.h>

#include "early.h"
#include "faults.h"
#include "trigger.h"

#define LIST_CAP	256	/* the longest waiting are near the head */
#define AGE_MAX		86400000ull	/* a time stamp older than that is none */

#define TASK_QUEUED	1u	/* SCX_TASK_QUEUED */
#define TASK_RESET	4u	/* SCX_TASK_RESET_RUNNABLE_AT: the stamp is not its own */

/* What is known about a scheduler. The ticker makes entries, the hook takes them. */
struct watch {
	unsigned long	sch;		/* 0 = free; written last */
	u64		now;		/* age at this check */
	bool		beat;		/* it is the watchdog's, not a task's */
	bool		calm;		/* below the threshold since the snapshot */
	unsigned long	taken;		/* jiffies of the snapshot */
	struct ktd_early e;
};

static struct watch watches[KTD_SCHEDS_MAX];
static const char *no_ages;		/* why they cannot be read, NULL: they can */

struct ages {
	void	(*seen)(struct ages *a, unsigned long sch, u64 age);
	unsigned long	now;		/* jiffies */
	bool		beat;		/* what is seen now is the watchdog's */
	unsigned long	root;
	unsigned long	of;		/* for age_of() */
	u64		max;
};

static void walk_rq(struct ages *a, unsigned int cpu)
{
	unsigned long head = ktd_at(ktd_at(ktd_rq(cpu), KTD_M_RQ_SCX), KTD_M_SRQ_RUNNABLE);
	struct ktd_walk w;

	if (!head)
		return;
	for (ktd_walk_init(&w, head, LIST_CAP); ktd_walk_next(&w);) {
		unsigned long ent = w.node - ktd_off.place[KTD_M_ENT_RUNNABLE_NODE].off;
		u32 flags = ktd_get(ent, KTD_M_ENT_FLAGS);
		unsigned long at = ktd_get(ent, KTD_M_ENT_RUNNABLE_AT);
		long age = a->now - at;

		if (at && age > 0 && (flags & (TASK_QUEUED | TASK_RESET)) == TASK_QUEUED)
			a->seen(a, ktd_get(ent, KTD_M_ENT_SCHED) ?: a->root, age);
	}
}

/*
 * The watchdog comes by every half timeout, as exactly as timers of that length are
 * (an eighth late) and as soon as its worker gets a CPU. Its time stamp is an age
 * only when it is overdue, else every healthy scheduler would reach its half-time.
 */
static u64 heartbeat_age(const struct ages *a)
{
	unsigned long stamp = ktd_read_ul(ktd_sym[KTD_SYM_SCX_WATCHDOG_TIMESTAMP]);
	u64 half = ktd_watchdog_timeout(a->root) / 2;
	long age = a->now - stamp;

	if (!stamp || !half || age <= 0 || age > AGE_MAX || ktd_fault_no_beat)
		return 0;
	return age > half + half / 8 + max_t(u64, half / 8, HZ / 4) ? age : 0;
}

static void look(struct ages *a)
{
	unsigned int cpu;

	a->root = ktd_scx_root();
	if (!a->root)
		return;
	for_each_online_cpu(cpu)
		walk_rq(a, cpu);
	a->beat = true;
	a->seen(a, a->root, heartbeat_age(a));
}

static void age_of(struct ages *a, unsigned long sch, u64 age)
{
	if (sch == a->of)
		a->max = max(a->max, age);
}

u64 ktd_early_age(unsigned long sch, unsigned long now)
{
	struct ages a = { .seen = age_of, .now = now, .of = sch };

	if (!no_ages)
		look(&a);
	return a.max;
}

static u64 threshold(unsigned long sch)
{
	return ktd_watchdog_timeout(sch) * ktd_early_percent / 100;
}

static struct watch *find(unsigned long sch)
{
	unsigned int i;

	for (i = 0; i < KTD_SCHEDS_MAX; i++) {
		if (READ_ONCE(watches[i].sch) == sch)
			return &watches[i];
	}
	return NULL;
}

static struct watch *watch_of(unsigned long sch)
{
	struct watch *w = find(sch);

	/* one that ends already was, or will be, the hook's */
	if (w || ktd_get(sch, KTD_M_SCH_EXIT_KIND))
		return w;
	w = find(0);
	if (!w)
		return NULL;
	w->now = 0;
	w->calm = false;
	w->e = (struct ktd_early){ .threshold = threshold(sch) };
	/* filled before it can be found; pairs with ktd_early_take() */
	smp_store_release(&w->sch, sch);
	return w;
}

static void note(struct ages *a, unsigned long sch, u64 age)
{
	struct watch *w = watch_of(sch);

	if (!w || age <= w->now)
		return;
	w->now = age;
	w->beat = a->beat;
}

static void fire(struct watch *w)
{
	struct ktd_trigger trig = {
		.kind = "early", .hook = w->beat ? "watchdog heartbeat" : "runnable age",
		.sch = w->sch,
		.early = { .age = w->now, .threshold = w->e.threshold },
	};

	w->calm = false;
	w->taken = jiffies;
	w->e.snapshot = ktd_snapshot_living(&trig);
	w->e.error = w->e.snapshot ? NULL :
		     "no room in the guest's buffer, or another capture, at half-time";
}

/*
 * The stall that it shows is over. A later one has no part in it when all that waits
 * now has come since: what is older than the watchdog's timeout would have ended the
 * scheduler. Until then it may be the first half of what comes, and there is no other.
 */
static bool is_stale(const struct watch *w, unsigned long now)
{
	return w->e.snapshot && w->calm && now - w->taken > ktd_watchdog_timeout(w->sch);
}

void ktd_early_check(void)
{
	struct ages a = { .seen = note, .now = jiffies };
	unsigned int i;

	if (no_ages || !ktd_early_percent)
		return;
	for (i = 0; i < KTD_SCHEDS_MAX; i++)
		watches[i].now = 0;
	look(&a);
	for (i = 0; i < KTD_SCHEDS_MAX; i++) {
		struct watch *w = &watches[i];

		/* an exit that the hook did not see */
		if (!a.root)
			WRITE_ONCE(w->sch, 0);
		if (!w->sch)
			continue;
		w->calm |= w->now < w->e.threshold;
		if (is_stale(w, a.now)) {
			w->e.snapshot = 0;
			w->e.age = 0;
		}
		w->e.age = max(w->e.age, w->now);
		if (w->e.threshold && !w->e.snapshot && w->now >= w->e.threshold &&
		    !ktd_get(w->sch, KTD_M_SCH_EXIT_KIND))
			fire(w);
	}
}

void ktd_early_take(unsigned long sch, struct ktd_early *ret)
{
	struct watch *w;

	sch = sch ?: ktd_scx_root();
	w = sch ? find(sch) : NULL;
	*ret = w ? w->e : (struct ktd_early){ .threshold = threshold(sch) };
	if (w && is_stale(w, jiffies))
		ret->snapshot = 0;
	if (no_ages)
		ret->error = no_ages;
	else if (!ktd_early_percent)
		ret->error = "switched off in the guest (early_percent=0)";
	else if (!ret->threshold)
		ret->error = "the watchdog's timeout is not known";
	if (w)
		WRITE_ONCE(w->sch, 0);
}

void ktd_early_forget(unsigned long sch)
{
	struct watch *w = sch ? find(sch) : NULL;

	if (w)
		WRITE_ONCE(w->sch, 0);
}

void ktd_early_init(void)
{
	if (!ktd_sym[KTD_SYM_RUNQUEUES])
		no_ages = "symbol runqueues not found";
	else if (!ktd_sym[KTD_SYM_SCX_ROOT])
		no_ages = "symbol scx_root not found";
	else if (ktd_off.group_missing[KTD_GRP_RQ] || ktd_off.group_missing[KTD_GRP_SCX_RQ] ||
		 ktd_off.group_missing[KTD_GRP_ENTITY])
		no_ages = "the kernel's BTF lacks members of rq, scx_rq or sched_ext_entity";
}
