// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event counters of the root scheduler, summed over CPUs, as they were every
 * sample_ms. The ticker writes, the sender thread reads: it has time until the ring has
 * gone round, so that no freeze is longer for it.
 */
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>

#include "timeline.h"

#define NR_SAMPLES	512u
#define STATS_MAX	(KTD_EVENTS_MAX * sizeof(s64))

struct sample {
	u64		mono_ns;
	unsigned long	sch;
	s64		sum[];		/* ktd_off.nr_events */
};

static u8 *ring;
static size_t sample_size;
static u64 taken;			/* samples since load */

static struct sample *sample_at(u64 nr)
{
	return (struct sample *)(ring + nr % NR_SAMPLES * sample_size);
}

void ktd_timeline_sample(void)
{
	static s64 stats[STATS_MAX / sizeof(s64)];
	u32 size = ktd_off.strct[KTD_S_EVENT_STATS].size, i;
	unsigned long root = ktd_scx_root();
	struct sample *s = sample_at(taken);
	unsigned int cpu;

	if (!ring || !root || size > STATS_MAX)
		return;
	/* the count before the place is written over; pairs with ktd_timeline_rows() */
	smp_wmb();
	memset(s, 0, sample_size);
	for_each_possible_cpu(cpu) {
		if (!ktd_read(stats, ktd_event_stats(root, cpu), size))
			continue;
		for (i = 0; i < ktd_off.nr_events; i++)
			s->sum[i] += stats[ktd_off.event[i].off / sizeof(s64)];
	}
	s->mono_ns = ktime_get_mono_fast_ns();
	s->sch = root;
	/* whole before it counts; pairs with ktd_timeline_rows() */
	smp_store_release(&taken, taken + 1);
}

size_t ktd_timeline_bytes(void)
{
	return ring ? NR_SAMPLES * (sizeof(struct ktd_rec) + 32 + ktd_off.nr_events * 9) + 4096 : 0;
}

void ktd_timeline_rows(struct ktd_sink *s, u64 until)
{
	struct ktd_table table = {
		.id = KTD_TBL_TIMELINE, .nr = KTD_TIMELINE_NR_COLS + ktd_off.nr_events,
		.events = KTD_TIMELINE_NR_COLS,
	};
	u64 end = smp_load_acquire(&taken), nr;	/* pairs with ktd_timeline_sample() */
	u32 i;

	if (!ring)
		return;
	ktd_table_begin(s, &table);
	for (nr = end > NR_SAMPLES ? end - NR_SAMPLES : 0; nr < end; nr++) {
		const struct sample *one = sample_at(nr);
		struct ktd_row *r = ktd_row_begin(s, &table);
		u64 ns = one->mono_ns;

		ktd_set_u(r, KTD_TIMELINE_MONO_NS, ns);
		ktd_set_u(r, KTD_TIMELINE_SCHED_KVA, one->sch);
		for (i = 0; i < ktd_off.nr_events; i++)
			ktd_set_s(r, KTD_TIMELINE_NR_COLS + i, one->sum[i]);
		/* the ticker goes on: has it begun to write over this one meanwhile? */
		smp_rmb();
		if (READ_ONCE(taken) - nr >= NR_SAMPLES)
			continue;
		if (ns > until || !ktd_row_end(s, &table))
			break;
	}
}

int ktd_timeline_init(void)
{
	if (!ktd_sample_ms || !ktd_off.nr_events)
		return 0;
	sample_size = sizeof(struct sample) + ktd_off.nr_events * sizeof(s64);
	ring = vzalloc(array_size(NR_SAMPLES, sample_size));
	return ring ? 0 : -ENOMEM;
}

void ktd_timeline_exit(void)
{
	vfree(ring);
	ring = NULL;
}
