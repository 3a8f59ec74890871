// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event counters per instance: per-CPU s64 members of scx_event_stats, summed.
 * Which counters there are is the kernel's business; they travel by name.
 */
#include "capture.h"

unsigned long ktd_event_stats(unsigned long sch, unsigned int cpu)
{
	unsigned long pcpu;

	if (ktd_have(KTD_M_SCH_EVENT_STATS))
		return ktd_percpu(ktd_get(sch, KTD_M_SCH_EVENT_STATS), cpu);
	pcpu = ktd_percpu(ktd_get(sch, KTD_M_SCH_PCPU), cpu);
	return ktd_at(pcpu, KTD_M_PCPU_EVENT_STATS);
}

static void sum_events(unsigned long sch, struct ktd_row *r)
{
	unsigned int cpu;
	u32 i;

	for_each_possible_cpu(cpu) {
		unsigned long stats = ktd_event_stats(sch, cpu);

		if (!stats)
			continue;
		for (i = 0; i < ktd_off.nr_events; i++) {
			s64 one;

			if (ktd_read(&one, stats + ktd_off.event[i].off, sizeof(one)))
				ktd_add_s(r, KTD_EVENT_NR_COLS + i, one);
		}
	}
}

void ktd_cap_events(struct ktd_capture *c)
{
	struct ktd_table table = {
		.id = KTD_TBL_EVENT, .nr = KTD_EVENT_NR_COLS + ktd_off.nr_events,
		.events = KTD_EVENT_NR_COLS,
	};
	struct ktd_row *r;
	u32 i;

	if (!ktd_off.nr_events) {
		ktd_missing(c, KTD_TBL_EVENT, "this kernel has no scx event counters");
		return;
	}
	ktd_table_begin(&c->sink, &table);
	for (i = 0; i < c->nr_scheds; i++) {
		if (ktd_expired(c)) {
			ktd_missing(c, KTD_TBL_EVENT, "deadline reached: not all instances");
			break;
		}
		r = ktd_row_begin(&c->sink, &table);
		ktd_set_u(r, KTD_EVENT_SCHED_KVA, c->sched[i]);
		sum_events(c->sched[i], r);
		ktd_row_end(&c->sink, &table);
	}
}
