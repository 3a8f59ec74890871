// SPDX-License-Identifier: GPL-2.0-only
/* Registers and stack of every possible CPU, from the slots of the rendezvous. */
#include "capture.h"

static const struct ktd_table cpu_table = { .id = KTD_TBL_CPU, .nr = KTD_CPU_NR_COLS };

static void set_perf(struct ktd_row *r, const struct ktd_perf *perf)
{
	unsigned int i;

	BUILD_BUG_ON(KTD_CPU_COUNTING_NS - KTD_CPU_CYCLES != KTD_NR_PERF);
	if (!perf->counting)
		return;
	for (i = 0; i < KTD_NR_PERF; i++)
		ktd_set_u(r, KTD_CPU_CYCLES + i, perf->count[i]);
	ktd_set_u(r, KTD_CPU_COUNTING_NS, perf->time_ns);
}

static void set_slot(struct ktd_capture *c, struct ktd_row *r,
		     const struct ktd_cpu_slot *slot)
{
	u32 i;

	ktd_set_u(r, KTD_CPU_IP, slot->ip);
	ktd_set_u(r, KTD_CPU_SP, slot->sp);
	ktd_set_u(r, KTD_CPU_CR3, slot->cr3);
	ktd_set_u(r, KTD_CPU_FLAGS, slot->flags);
	ktd_set_b(r, KTD_CPU_USER, slot->user);
	ktd_set_u(r, KTD_CPU_TASK_KVA, slot->task);
	ktd_set_s(r, KTD_CPU_PID, slot->pid);
	ktd_set_str(r, KTD_CPU_COMM, slot->comm);
	ktd_set_u(r, KTD_CPU_ARRIVE_NS, slot->arrive_ns > c->freeze->start_ns ?
		  slot->arrive_ns - c->freeze->start_ns : 0);
	for (i = 0; i < slot->nr_pcs; i++)
		c->stack[i] = slot->pcs[i];
	ktd_set_arr(r, KTD_CPU_STACK, c->stack, slot->nr_pcs);
	set_perf(r, &slot->perf);
	if (!slot->perf.counting && !ktd_perf_missing())
		ktd_missing(c, KTD_TBL_CPU, "a CPU without hardware counters: not counting");
	ktd_note_pcs(c, slot->pcs, slot->nr_pcs);
	if (!slot->user)
		ktd_note_pcs(c, &slot->ip, 1);
}

void ktd_cap_regs(struct ktd_capture *c)
{
	unsigned int cpu;

	ktd_table_begin(&c->sink, &cpu_table);
	if (ktd_perf_missing())
		ktd_missing(c, KTD_TBL_CPU, ktd_perf_missing());
	for_each_possible_cpu(cpu) {
		const struct ktd_cpu_slot *slot = ktd_freeze_slot(cpu);
		bool parked = slot->captured_epoch == c->freeze->epoch &&
			      !cpumask_test_cpu(cpu, &c->snap->missing_cpus);
		struct ktd_row *r = ktd_row_begin(&c->sink, &cpu_table);

		ktd_set_u(r, KTD_CPU_CPU, cpu);
		ktd_set_b(r, KTD_CPU_ONLINE, cpu_online(cpu));
		ktd_set_b(r, KTD_CPU_PARKED, parked);
		if (slot->node != NUMA_NO_NODE)
			ktd_set_u(r, KTD_CPU_NODE, slot->node);
		if (slot->llc_id != BAD_APICID)
			ktd_set_u(r, KTD_CPU_LLC_ID, slot->llc_id);
		if (parked)
			set_slot(c, r, slot);
		else if (cpu_online(cpu))
			ktd_missing(c, KTD_TBL_CPU, "CPU not parked: no registers, the rest may be torn");
		ktd_row_end(&c->sink, &cpu_table);
		if (ktd_expired(c))
			break;
	}
	if (c->sink.stat[KTD_TBL_CPU].seen < num_possible_cpus())
		ktd_missing(c, KTD_TBL_CPU, "deadline reached: not all CPUs");
}
