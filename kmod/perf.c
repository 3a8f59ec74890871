// SPDX-License-Identifier: GPL-2.0-only
/*
 * perf_event_read_local() (kernel/events/core.c), which may be called in NMI, is not
 * exported. What it does for an event of its own CPU is done here: ask the event's PMU,
 * then take the count.
 */
#include <linux/percpu.h>
#include <linux/perf_event.h>
#include <linux/timekeeping.h>

#include "faults.h"
#include "ktdump.h"
#include "perf.h"

static const char *missing = "no hardware counters: switched off (perf=0)";

#ifdef CONFIG_PERF_EVENTS

struct cpu_events {
	struct perf_event	*event[KTD_NR_PERF];	/* all or none */
	u64			since_ns;
};

static DEFINE_PER_CPU(struct cpu_events, cpu_events);

static const u64 hardware[KTD_NR_PERF] = {
	PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_INSTRUCTIONS, PERF_COUNT_HW_CACHE_MISSES,
	PERF_COUNT_HW_BRANCH_MISSES,
};

/* For machines without a PMU, in tests: what every kernel can count. */
static const u64 software[KTD_NR_PERF] = {
	PERF_COUNT_SW_CPU_CLOCK, PERF_COUNT_SW_CPU_CLOCK, PERF_COUNT_SW_CONTEXT_SWITCHES,
	PERF_COUNT_SW_DUMMY,
};

static void release(struct cpu_events *e)
{
	unsigned int i;

	for (i = 0; i < KTD_NR_PERF; i++) {
		if (e->event[i])
			perf_event_release_kernel(e->event[i]);
		e->event[i] = NULL;
	}
}

static int create(struct cpu_events *e, unsigned int cpu)
{
	unsigned int i;

	for (i = 0; i < KTD_NR_PERF; i++) {
		struct perf_event_attr attr = {
			.type = ktd_fault_soft_perf ? PERF_TYPE_SOFTWARE : PERF_TYPE_HARDWARE,
			.size = sizeof(attr),
			.config = ktd_fault_soft_perf ? software[i] : hardware[i],
			/* all the time or not at all: no share of it has to be scaled up */
			.pinned = 1,
		};
		struct perf_event *event;

		event = perf_event_create_kernel_counter(&attr, cpu, NULL, NULL, NULL);
		if (IS_ERR(event)) {
			release(e);
			return PTR_ERR(event);
		}
		e->event[i] = event;
	}
	e->since_ns = ktime_get_mono_fast_ns();
	return 0;
}

void ktd_perf_init(void)
{
	unsigned int cpu;
	int err = 0;

	for_each_online_cpu(cpu) {
		int ret = create(per_cpu_ptr(&cpu_events, cpu), cpu);

		err = err ?: ret;
		missing = ret ? missing : NULL;
	}
	if (missing)
		missing = err == -ENOENT || err == -EOPNOTSUPP || err == -ENODEV ?
			  "no hardware counters: this machine has no PMU" :
			  "no hardware counters: perf has refused them";
}

void ktd_perf_exit(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		release(per_cpu_ptr(&cpu_events, cpu));
}

void ktd_perf_read(struct ktd_perf *ret)
{
	struct cpu_events *e = this_cpu_ptr(&cpu_events);
	unsigned int i;

	ret->counting = false;
	for (i = 0; i < KTD_NR_PERF; i++) {
		struct perf_event *event = e->event[i];

		/* of a CPU that came later; pushed out; or of a CPU that was away */
		if (!event || READ_ONCE(event->state) != PERF_EVENT_STATE_ACTIVE)
			return;
		/* a stopped one is up to date, and on its way to another counter perhaps */
		if (!(event->hw.state & PERF_HES_STOPPED))
			event->pmu->read(event);
		ret->count[i] = local64_read(&event->count);
	}
	ret->time_ns = ktime_get_mono_fast_ns() - e->since_ns;
	ret->counting = true;
}

#else

void ktd_perf_init(void)
{
	missing = "no hardware counters: a kernel without CONFIG_PERF_EVENTS";
}

void ktd_perf_exit(void)
{
}

void ktd_perf_read(struct ktd_perf *ret)
{
	ret->counting = false;
}

#endif

const char *ktd_perf_missing(void)
{
	return missing;
}
