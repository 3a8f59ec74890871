// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hook runs wherever a scheduler may die: in NMI, under rq locks, with IRQs
 * on or off (kernel/sched/ext/ext.c, callers of scx_claim_exit()). It only
 * reads, sends NMIs, and queues one hard irq_work that wakes the sender.
 */
#include <linux/irq_work.h>
#include <linux/kobject.h>
#include <linux/kprobes.h>
#include <linux/ptrace.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>

#include "channel.h"
#include "counter.h"
#include "early.h"
#include "trace.h"
#include "trigger.h"

struct ktd_counters ktd_counters;
struct ktd_claim ktd_claims[KTD_CLAIMS_MAX];
struct ktd_firing ktd_firings[KTD_FIRINGS_MAX];

static struct tracepoint *exit_tp;
static struct kprobe exit_kp;
static const char *hook_name = "none";

static void wake_sender(struct irq_work *work)
{
	ktd_channel_wake();
}

static struct irq_work wake_work = IRQ_WORK_INIT_HARD(wake_sender);

const char *ktd_trigger_hook(void)
{
	return hook_name;
}

/* kobject_get_unless_zero() is atomic; a kobject that init has not reached is left alone. */
static bool sched_pin(unsigned long sch)
{
	struct kobject *kobj = (struct kobject *)ktd_at(sch, KTD_M_SCH_KOBJ);

	return kobj && kobj->state_initialized && kobject_get_unless_zero(kobj);
}

void ktd_claim_put(struct ktd_claim *claim)
{
	if (claim->pinned)
		kobject_put((struct kobject *)ktd_at(claim->sch, KTD_M_SCH_KOBJ));
	claim->pinned = false;
	claim->ready = false;
	claim->since = 0;
	/* all of it before it can be taken again; pairs with cmpxchg in claim_get() */
	smp_store_release(&claim->sch, 0);
}

/* NULL: this exit was claimed before, or there is no place. */
static struct ktd_claim *claim_get(unsigned long sch, u32 kind)
{
	struct ktd_claim *mine = NULL;
	unsigned int i;

	for (i = 0; i < KTD_CLAIMS_MAX; i++) {
		if (READ_ONCE(ktd_claims[i].sch) == sch)
			return NULL;
	}
	for (i = 0; i < KTD_CLAIMS_MAX && !mine; i++) {
		if (!cmpxchg(&ktd_claims[i].sch, 0, sch))
			mine = &ktd_claims[i];
	}
	if (!mine)
		return NULL;
	/* two CPUs may get here for one instance: the lower entry stays */
	for (i = 0; &ktd_claims[i] < mine; i++) {
		if (READ_ONCE(ktd_claims[i].sch) == sch) {
			WRITE_ONCE(mine->sch, 0);
			return NULL;
		}
	}
	mine->kind = kind;
	mine->snapshot = 0;
	mine->pinned = sched_pin(sch);
	return mine;
}

static const char *context_name(void)
{
	return in_nmi() ? "nmi" : in_hardirq() ? "hardirq" :
	       in_serving_softirq() ? "softirq" : "task";
}

/* NULL: capture it; else why not. */
static const char *exit_unwanted(u32 kind)
{
	if (kind >= KTD_EXIT_ERROR) {
		atomic64_inc(&ktd_counters.error);
		return NULL;
	}
	atomic64_inc(&ktd_counters.clean);
	if (kind == KTD_EXIT_PARENT) {
		atomic64_inc(&ktd_counters.parent);
		return "parent";
	}
	return ktd_trigger_any ? NULL : "clean";
}

static void note_firing(const struct ktd_trigger *trig, const char *fate, u32 snapshot)
{
	u64 nr = trig->trigger_count - 1;
	struct ktd_firing *f = &ktd_firings[nr % KTD_FIRINGS_MAX];

	WRITE_ONCE(f->nr, 0);
	f->mono_ns = trig->mono_ns;
	f->sch = trig->sch;
	f->kind = trig->exit_kind;
	f->cpu = raw_smp_processor_id();
	f->snapshot = snapshot;
	f->fate = fate;
	/* filled before it counts; pairs with late_firings() */
	smp_store_release(&f->nr, nr + 1);
}

/* From here on the sender may read the exit's info for @snapshot (0: lost). */
static void claim_ready(struct ktd_claim *claim, u32 snapshot)
{
	if (!claim)
		return;
	claim->snapshot = snapshot;
	/* the claim before the sign; pairs with late.c */
	smp_store_release(&claim->ready, true);
}

/* The leader's part. The claim is ready before the sender can see the snapshot. */
static void capture_exit(const struct ktd_trigger *trig, struct ktd_claim *claim)
{
	struct ktd_snapshot *snap = ktd_capture(trig);

	note_firing(trig, snap ? "captured" : "lost", snap ? snap->nr : 0);
	claim_ready(claim, snap ? snap->nr : 0);
	if (!snap)
		return;
	atomic64_inc(&ktd_counters.captured);
	trace_capture(snap, trig);
	ktd_buffer_commit(snap);
}

/* The part of a CPU that finds another one capturing: it belongs to that one. */
static void join_exit(const struct ktd_trigger *trig, struct ktd_claim *claim, u32 snapshot)
{
	note_firing(trig, "nested", snapshot);
	claim_ready(claim, snapshot);
	atomic64_inc(&ktd_counters.nested);
	ktd_freeze_join(trig->regs);
}

void ktd_exit_fired(unsigned long sch, u32 kind, const char *hook, struct pt_regs *regs)
{
	struct ktd_trigger trig = {
		.kind = "exit",
		.exit = true,
		.hook = hook,
		.regs = regs,
		.context = context_name(),
		.sch = sch,
		.exit_kind = kind,
		.preempt_count = preempt_count(),
		.irqs_off = irqs_disabled(),
		.trigger_count = atomic64_inc_return(&ktd_counters.trigger),
		.mono_ns = ktime_get_mono_fast_ns(),
	};
	const char *unwanted = exit_unwanted(kind);
	struct ktd_claim *claim = NULL;
	unsigned long flags;
	u32 snapshot;
	bool lead;

	if (!unwanted && sch) {
		claim = claim_get(sch, kind);
		if (!claim)
			unwanted = "repeat";
	}
	if (unwanted) {
		note_firing(&trig, unwanted, 0);
		if (kind < KTD_EXIT_ERROR)
			ktd_early_forget(sch);
		return;
	}

	local_irq_save(flags);
	do {
		/* before the try: it is that of a leader who is still there after it */
		snapshot = ktd_buffer_next_nr();
		lead = ktd_freeze_lead(true);
	} while (!lead && ktd_freeze_wait(regs, trig.mono_ns));
	if (lead) {
		ktd_early_take(sch, &trig.early);
		capture_exit(&trig, claim);
		ktd_freeze_unlead();
	} else {
		ktd_early_forget(sch);
		join_exit(&trig, claim, snapshot);
	}
	local_irq_restore(flags);
	irq_work_queue(&wake_work);
}

u32 ktd_snapshot_living(struct ktd_trigger *trig)
{
	struct ktd_snapshot *snap;
	unsigned long flags;
	u32 nr = 0;

	trig->context = context_name();
	trig->preempt_count = preempt_count();
	trig->irqs_off = irqs_disabled();
	trig->trigger_count = atomic64_read(&ktd_counters.trigger);
	trig->mono_ns = ktime_get_mono_fast_ns();
	local_irq_save(flags);
	if (ktd_freeze_lead(false)) {
		snap = ktd_capture(trig);
		if (snap) {
			nr = snap->nr;
			trace_capture(snap, trig);
			ktd_buffer_commit(snap);
		}
		ktd_freeze_unlead();
	}
	local_irq_restore(flags);
	if (nr)
		irq_work_queue(&wake_work);
	return nr;
}

/* The type by its name: a kCFI kernel compares it with the tracepoint's. */
struct scx_sched;

static void exit_tracepoint(void *data, struct scx_sched *sch, u32 kind)
{
	/* since 7.0 probes run preemptible in general; this one never should */
	preempt_disable_notrace();
	ktd_exit_fired((unsigned long)sch, kind, hook_name, NULL);
	preempt_enable_notrace();
}

/* Kernels without the tracepoint: which function, and which argument is what. */
static const struct hook {
	const char	*symbol;
	s8		sch_arg;	/* -1: there is no instance object */
	s8		kind_arg;
	bool		all;		/* every exit passes here */
} hooks[] = {
	{ "scx_claim_exit",	0, 1, true },	/* 7.1, 7.2 */
	{ "scx_vexit",		0, 1, false },	/* 6.16, 6.17, 6.19, 7.0 */
	{ "scx_exit",		0, 1, false },	/* 6.18 */
	{ "scx_ops_exit_kind",	-1, 0, false },	/* 6.12 to 6.15 */
};

static const struct hook *exit_hook;

static int exit_kprobe(struct kprobe *p, struct pt_regs *regs)
{
	unsigned long sch = 0;

	if (exit_hook->sch_arg >= 0)
		sch = regs_get_kernel_argument(regs, exit_hook->sch_arg);
	/* the entry comes before the kernel's own check for a claimed exit */
	if (!ktd_get(sch, KTD_M_SCH_EXIT_KIND))
		ktd_exit_fired(sch, regs_get_kernel_argument(regs, exit_hook->kind_arg),
			       hook_name, regs);
	return 0;
}

/*
 * The disable worker is behind every exit, on every kernel, before anything is
 * torn down: the backup for what the functions above do not see (plain
 * unregistering and SysRq until 7.0), or the only hook.
 */
static int worker_kprobe(struct kprobe *p, struct pt_regs *regs)
{
	unsigned long sch = regs_get_kernel_argument(regs, 0) -
			    ktd_off.place[KTD_M_SCH_DISABLE_WORK].off;
	u32 kind = ktd_get(sch, KTD_M_SCH_EXIT_KIND);

	if (kind <= KTD_EXIT_DONE)
		return 0;
	if (!exit_hook || kind == KTD_EXIT_UNREG || kind == KTD_EXIT_SYSRQ)
		ktd_exit_fired(sch, kind, "kprobe scx_disable_workfn", regs);
	return 0;
}

static struct kprobe worker_kp = {
	.symbol_name = "scx_disable_workfn",
	.pre_handler = worker_kprobe,
};

static bool worker_on;

u64 ktd_trigger_missed(void)
{
	return exit_kp.nmissed + worker_kp.nmissed;
}

static void find_exit_tp(struct tracepoint *tp, void *priv)
{
	if (!strcmp(tp->name, "sched_ext_exit"))
		exit_tp = tp;
}

static int attach_tracepoint(void)
{
	int ret;

	for_each_kernel_tracepoint(find_exit_tp, NULL);
	if (!exit_tp)
		return -ENOENT;
	hook_name = "tracepoint sched_ext_exit";
	ret = tracepoint_probe_register(exit_tp, exit_tracepoint, NULL);
	if (ret)
		exit_tp = NULL;
	return ret;
}

static int attach_worker(void)
{
	int ret = -ENOENT;

	if (ktd_have(KTD_M_SCH_DISABLE_WORK))
		ret = register_kprobe(&worker_kp);
	worker_on = !ret;
	return ret;
}

static int attach_kprobe(void)
{
	static char name[48];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		exit_hook = &hooks[i];
		scnprintf(name, sizeof(name), "kprobe %s", exit_hook->symbol);
		hook_name = name;
		exit_kp = (struct kprobe){
			.symbol_name = exit_hook->symbol,
			.pre_handler = exit_kprobe,
		};
		if (register_kprobe(&exit_kp))
			continue;
		if (!exit_hook->all && attach_worker())
			pr_warn("scx_disable_workfn cannot be probed: clean exits are not counted\n");
		return 0;
	}
	exit_hook = NULL;
	return -ENOENT;
}

int ktd_trigger_init(const char *which)
{
	bool any = !strcmp(which, "auto");
	int ret = -EINVAL;

	if (any || !strcmp(which, "tracepoint"))
		ret = attach_tracepoint();
	if ((any && ret) || !strcmp(which, "kprobe"))
		ret = attach_kprobe();
	if ((any && ret) || !strcmp(which, "worker")) {
		hook_name = "kprobe scx_disable_workfn";
		ret = attach_worker();
	}
	return ret;
}

void ktd_trigger_exit(void)
{
	if (exit_tp)
		tracepoint_probe_unregister(exit_tp, exit_tracepoint, NULL);
	/* point.c's probe too */
	tracepoint_synchronize_unregister();
	if (exit_hook)
		unregister_kprobe(&exit_kp);
	if (worker_on)
		unregister_kprobe(&worker_kp);
	irq_work_sync(&wake_work);
}
