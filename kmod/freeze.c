// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protocol, per CPU slot: the leader writes ->pending = epoch and ++nmi_sent,
 * then sends an NMI. The target's handler claims one NMI (++nmi_seen), notes
 * its registers, publishes ->parked = epoch and spins until released == epoch
 * or its own deadline. A handler that arrives after the release still claims
 * its NMI: an unclaimed one would be an "unknown NMI", which may panic.
 *
 * Models in the kernel: kgdb_roundup_cpus(), nmi_shootdown_cpus().
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/nmi.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>
#include <linux/timekeeping.h>
#include <asm/apic.h>
#include <asm/nmi.h>
#include <asm/special_insns.h>
#include <asm/unwind.h>

#include "faults.h"
#include "freeze.h"

#define NO_LEADER	(-1)
#define LEAD_EXIT	BIT(30)		/* beside the CPU: it captures an exit */
#define PARK_LIMIT_NS	((u64)KTD_FREEZE_LIMIT_MS * NSEC_PER_MSEC)
/* A clock may be a device that all CPUs share: who only waits looks seldom. */
#define SPINS_PER_LOOK	4096
#define GONE_WAIT_NS	(50 * NSEC_PER_MSEC)

static struct ktd_cpu_slot *slots;
static struct cpumask targets;
static atomic_t leader = ATOMIC_INIT(NO_LEADER);
static u32 epoch;		/* written by the leader only */
static u32 released;		/* epoch that may leave */
u64 ktd_late_nmi;

const struct ktd_cpu_slot *ktd_freeze_slot(unsigned int cpu)
{
	return &slots[cpu];
}

static notrace void slot_note_task(struct ktd_cpu_slot *slot)
{
	struct task_struct *p = current;

	slot->task = (unsigned long)p;
	slot->pid = p->pid;
	memcpy(slot->comm, p->comm, sizeof(slot->comm));
	slot->comm[sizeof(slot->comm) - 1] = '\0';
	slot->cr3 = __read_cr3();
	ktd_perf_read(&slot->perf);
}

/* The interrupted context of an NMI. */
static notrace void slot_note_regs(struct ktd_cpu_slot *slot, struct pt_regs *regs)
{
	struct unwind_state st;
	u32 nr = 0;

	slot_note_task(slot);
	slot->ip = regs->ip;
	slot->sp = regs->sp;
	slot->flags = regs->flags;
	slot->user = user_mode(regs);
	if (!slot->user) {
		for (unwind_start(&st, current, regs, NULL);
		     !unwind_done(&st) && nr < KTD_STACK_DEPTH;
		     unwind_next_frame(&st)) {
			unsigned long pc = unwind_get_return_address(&st);

			if (!pc)
				break;
			slot->pcs[nr++] = pc;
		}
	}
	slot->nr_pcs = nr;
}

/* This CPU's own context: the caller of the hook, without our own frames. */
static notrace noinline void slot_note_self(struct ktd_cpu_slot *slot)
{
	u32 nr = stack_trace_save(slot->pcs, KTD_STACK_DEPTH, 0), own = 0;

	while (own < nr && within_module(slot->pcs[own], THIS_MODULE))
		own++;
	memmove(slot->pcs, slot->pcs + own, (nr - own) * sizeof(*slot->pcs));
	slot->nr_pcs = nr - own;
	slot_note_task(slot);
	slot->ip = slot->nr_pcs ? slot->pcs[0] : 0;
	slot->sp = current_stack_pointer;
	slot->flags = native_save_fl();
	slot->user = false;
}

/* This CPU from inside a hook; @regs: a kprobe's, NULL where there are none. */
static notrace void slot_note_hook(struct ktd_cpu_slot *slot, struct pt_regs *regs)
{
	if (regs)
		slot_note_regs(slot, regs);
	else
		slot_note_self(slot);
}

/*
 * Spins until epoch @e is released. Leaves on its own when the time is up, so
 * nothing of the machine depends on the leader.
 */
static notrace void park_spin(struct ktd_cpu_slot *slot, u32 e)
{
	/* twice: the capture may take as much longer, and the hold comes after it */
	u64 limit = PARK_LIMIT_NS + 2 * ktd_fault_grace_ns();
	u64 start = ktime_get_mono_fast_ns();
	u32 i;

	slot->arrive_ns = start;
	WRITE_ONCE(slot->parked, e);
	/* the slot before the sign that it is filled; pairs with count_missing() */
	smp_store_release(&slot->captured_epoch, e);
	/*
	 * Pairs with ktd_freeze_release(). Whoever was away while a later epoch was
	 * released as well leaves too: a virtual CPU may lose its host CPU here.
	 */
	for (i = 1; (s32)(smp_load_acquire(&released) - e) < 0; i++) {
		cpu_relax();
		if (i % SPINS_PER_LOOK)
			continue;
		if (ktime_get_mono_fast_ns() - start > limit) {
			WRITE_ONCE(slot->gave_up, e);
			break;
		}
	}
	WRITE_ONCE(slot->parked, 0);
}
NOKPROBE_SYMBOL(park_spin);

static notrace int freeze_nmi(unsigned int type, struct pt_regs *regs)
{
	int cpu = raw_smp_processor_id();
	struct ktd_cpu_slot *slot = &slots[cpu];
	u32 e, open;

	if (ktd_fault_nmi())
		return NMI_HANDLED;
	open = READ_ONCE(slot->nmi_sent) - slot->nmi_seen;
	if (!open)
		return NMI_DONE;
	/*
	 * NMIs coalesce, so that not all that were sent arrive. But only one can be
	 * latched while this one is served: more than one open debt is void.
	 */
	slot->nmi_seen += open > 2 ? open - 1 : 1;
	smp_rmb();	/* pairs with the write barrier before sending */
	e = READ_ONCE(slot->pending);
	if (!e || e != READ_ONCE(epoch) || e == READ_ONCE(released)) {
		ktd_late_nmi++;
		return NMI_HANDLED;
	}
	if (ktd_fault_ignores(cpu))
		return NMI_HANDLED;
	WRITE_ONCE(slot->pending, 0);
	slot_note_regs(slot, regs);
	park_spin(slot, e);
	return NMI_HANDLED;
}
NOKPROBE_SYMBOL(freeze_nmi);

/*
 * Own nmiaction instead of register_nmi_handler(): max_duration silences the
 * "took too long" line for this handler, whose whole purpose is to take long.
 */
static struct nmiaction freeze_action = {
	.list		= LIST_HEAD_INIT(freeze_action.list),
	.handler	= freeze_nmi,
	.flags		= NMI_FLAG_FIRST,
	.name		= "ktdump",
	.max_duration	= U64_MAX,
};

static bool leads(int who, unsigned int cpu)
{
	return who != NO_LEADER && (who & ~LEAD_EXIT) == cpu;
}

bool ktd_freeze_lead(bool exit)
{
	int me = raw_smp_processor_id() | (exit ? LEAD_EXIT : 0);

	return atomic_cmpxchg(&leader, NO_LEADER, me) == NO_LEADER;
}

bool ktd_freeze_wait(struct pt_regs *regs, u64 since)
{
	u64 limit = 2 * (PARK_LIMIT_NS + ktd_fault_grace_ns());
	int who = atomic_read(&leader);

	if (ktime_get_mono_fast_ns() - since > limit)
		return false;
	if (who == NO_LEADER)
		return true;
	if (leads(who, raw_smp_processor_id()) || who & LEAD_EXIT)
		return false;
	ktd_freeze_join(regs);
	cpu_relax();
	return true;
}

void ktd_freeze_join(struct pt_regs *regs)
{
	struct ktd_cpu_slot *slot = &slots[raw_smp_processor_id()];
	u32 e;

	if (leads(atomic_read(&leader), raw_smp_processor_id()))
		return;		/* an NMI that hit the leader itself */
	e = READ_ONCE(slot->pending);
	if (!e || e != READ_ONCE(epoch) || e == READ_ONCE(released))
		return;		/* not asked for, or already over */
	WRITE_ONCE(slot->pending, 0);
	slot_note_hook(slot, regs);
	park_spin(slot, e);
}

/*
 * An NMI may have interrupted this CPU between its writes of ICR2 and ICR.
 * x2APIC has one register and no such gap.
 */
static void send_nmi(unsigned int cpu)
{
	bool split = in_nmi() && !x2apic_enabled();
	u32 icr2 = split ? native_apic_mem_read(APIC_ICR2) : 0;

	slots[cpu].nmi_sent++;
	smp_wmb();	/* slot before NMI */
	apic->send_IPI(cpu, NMI_VECTOR);
	if (split)
		native_apic_mem_write(APIC_ICR2, icr2);
}

/* CPUs of this epoch that are online and not (yet) parked. */
static u32 count_missing(u32 e, bool resend)
{
	unsigned int cpu;
	u32 missing = 0;

	for_each_cpu(cpu, &targets) {
		/* pairs with park_spin() */
		if (smp_load_acquire(&slots[cpu].captured_epoch) == e || !cpu_online(cpu))
			continue;
		missing++;
		if (resend)
			send_nmi(cpu);
	}
	return missing;
}

/*
 * Whoever is parked may hold any lock, and one of them is in the way of a clock that is said
 * to be safe in NMI: read_hpet() (arch/x86/kernel/hpet.c) waits for the CPU that reads the
 * counter, unless it is called in NMI. So the leader counts as in NMI while others stand still.
 */
static void leader_in_nmi(bool yes)
{
	if (yes)
		__preempt_count_add(NMI_OFFSET);
	else
		__preempt_count_sub(NMI_OFFSET);
	barrier();
}

void ktd_freeze_park(struct ktd_freeze *f, struct pt_regs *regs)
{
	unsigned int cpu, self = raw_smp_processor_id();
	u32 e = epoch + 1 ? epoch + 1 : 1;
	u32 missing;
	u64 wait, until;

	memset(f, 0, sizeof(*f));
	f->epoch = e;
	f->cap_ns = ktd_freeze_max_ms * NSEC_PER_MSEC + ktd_fault_grace_ns();
	wait = f->cap_ns / 2;

	/* a copy: the mask may change while CPUs come and go */
	cpumask_copy(&targets, cpu_online_mask);
	cpumask_clear_cpu(self, &targets);

	for_each_cpu(cpu, &targets) {
		slots[cpu].pending = e;
		f->targeted++;
	}
	f->start_ns = ktime_get_mono_fast_ns();
	until = f->start_ns + wait / 2;
	leader_in_nmi(true);
	WRITE_ONCE(epoch, e);
	smp_wmb();	/* epoch and pending before any NMI */
	for_each_cpu(cpu, &targets)
		send_nmi(cpu);

	slot_note_hook(&slots[self], regs);
	slots[self].arrive_ns = ktime_get_mono_fast_ns();
	slots[self].captured_epoch = e;
	for (missing = f->targeted; missing;) {
		u64 now;

		cpu_relax();
		missing = count_missing(e, false);
		now = ktime_get_mono_fast_ns();
		if (!missing || now < until)
			continue;
		if (f->resent)
			break;
		/* even a leader that was away for long itself asks once more */
		f->resent = count_missing(e, true);
		until = now + wait / 2;
	}
	smp_mb();	/* parked CPUs' last writes before our reads; pairs with park_spin() */
	for_each_cpu(cpu, &targets)
		f->parked += READ_ONCE(slots[cpu].parked) == e;
	f->parked_ns = ktime_get_mono_fast_ns();
}

void ktd_freeze_release(struct ktd_freeze *f)
{
	unsigned int cpu;
	u32 left = 1;

	f->released_ns = ktime_get_mono_fast_ns();
	/* our reads before their next step; pairs with park_spin() */
	smp_store_release(&released, f->epoch);
	leader_in_nmi(false);
	while (left) {
		left = 0;
		for_each_cpu(cpu, &targets)
			left += READ_ONCE(slots[cpu].parked) == f->epoch;
		f->gone_ns = ktime_get_mono_fast_ns();
		if (f->gone_ns - f->released_ns > GONE_WAIT_NS)
			break;
		cpu_relax();
	}
	for_each_cpu(cpu, &targets)
		f->gave_up += READ_ONCE(slots[cpu].gave_up) == f->epoch;
}

void ktd_freeze_unlead(void)
{
	atomic_set_release(&leader, NO_LEADER);
}

/* Nodes and caches do not change, so the trigger path need not look for them. */
static void slots_set_topology(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		unsigned long info = (unsigned long)&cpu_data(cpu);

		slots[cpu].node = cpu_to_node(cpu);
		slots[cpu].llc_id = ktd_have(KTD_M_CPU_LLC) && cpu_online(cpu) ?
				    *(u32 *)(info + ktd_off.place[KTD_M_CPU_LLC].off) : BAD_APICID;
	}
}

/* May sleep. Behind the table of members. 0 or a negative errno. */
int ktd_freeze_init(void)
{
	int ret;

	slots = kvcalloc(nr_cpu_ids, sizeof(*slots), GFP_KERNEL);
	if (!slots)
		return -ENOMEM;
	slots_set_topology();
	ret = __register_nmi_handler(NMI_LOCAL, &freeze_action);
	if (ret) {
		kvfree(slots);
		slots = NULL;
	}
	return ret;
}

/* The hooks are gone by now, so no new epoch can start. */
void ktd_freeze_exit(void)
{
	u64 end = ktime_get_mono_fast_ns() + KTD_FREEZE_LIMIT_MS * NSEC_PER_MSEC;

	/* a leader or an NMI still on its way */
	while (atomic_read(&leader) != NO_LEADER && ktime_get_mono_fast_ns() < end)
		cpu_relax();
	/* an NMI that came late would find no handler and be "unknown" */
	msleep(20);
	unregister_nmi_handler(NMI_LOCAL, freeze_action.name);
	kvfree(slots);
	slots = NULL;
}
