// SPDX-License-Identifier: GPL-2.0-only
/*
 * NUMA counters per node. The kernel folds the per-CPU part only when somebody
 * reads (mm/vmstat.c, fold_vm_numa_events()), so both parts are summed here.
 */
#include <linux/mmzone.h>

#include "capture.h"

static const struct ktd_table numa_table = { .id = KTD_TBL_NUMA, .nr = KTD_NUMA_NR_COLS };

#ifdef CONFIG_NUMA
static void sum_zone(const struct zone *zone, u64 *sum)
{
	unsigned int cpu, i;

	if (!zone->present_pages)
		return;
	for (i = 0; i < NR_VM_NUMA_EVENT_ITEMS; i++) {
		sum[i] += atomic_long_read(&zone->vm_numa_event[i]);
		for_each_possible_cpu(cpu) {
			const struct per_cpu_zonestat *pz =
				per_cpu_ptr(zone->per_cpu_zonestats, cpu);

			sum[i] += READ_ONCE(pz->vm_numa_event[i]);
		}
	}
}

void ktd_cap_numa(struct ktd_capture *c)
{
	static const u8 col[NR_VM_NUMA_EVENT_ITEMS] = {
		[NUMA_HIT] = KTD_NUMA_HIT,
		[NUMA_MISS] = KTD_NUMA_MISS,
		[NUMA_FOREIGN] = KTD_NUMA_FOREIGN,
		[NUMA_INTERLEAVE_HIT] = KTD_NUMA_INTERLEAVE_HIT,
		[NUMA_LOCAL] = KTD_NUMA_LOCAL,
		[NUMA_OTHER] = KTD_NUMA_OTHER,
	};
	int node, i;

	ktd_table_begin(&c->sink, &numa_table);
	for_each_online_node(node) {
		u64 sum[NR_VM_NUMA_EVENT_ITEMS] = {};
		struct ktd_row *r;

		if (ktd_expired(c)) {
			ktd_missing(c, KTD_TBL_NUMA, "capture deadline reached");
			break;
		}
		for (i = 0; i < MAX_NR_ZONES; i++)
			sum_zone(&NODE_DATA(node)->node_zones[i], sum);
		r = ktd_row_begin(&c->sink, &numa_table);
		ktd_set_u(r, KTD_NUMA_NODE, node);
		for (i = 0; i < NR_VM_NUMA_EVENT_ITEMS; i++)
			ktd_set_u(r, col[i], sum[i]);
		ktd_row_end(&c->sink, &numa_table);
	}
}
#else
void ktd_cap_numa(struct ktd_capture *c)
{
	ktd_table_begin(&c->sink, &numa_table);
	ktd_missing(c, KTD_TBL_NUMA, "this kernel is built without CONFIG_NUMA");
}
#endif
