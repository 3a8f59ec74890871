// SPDX-License-Identifier: GPL-2.0-only
/* CPU time and softirq counts (include/linux/kernel_stat.h, kernel/sched/cputime.c). */
#include <linux/interrupt.h>
#include <linux/kernel_stat.h>
#include <linux/timekeeping.h>

#include "capture.h"

static const struct ktd_table cputime_table = {
	.id = KTD_TBL_CPUTIME, .nr = KTD_CPUTIME_NR_COLS,
};

/*
 * Idle and iowait of a CPU in nohz idle are only added up when it leaves idle;
 * since 7.2 the open part is kept in kernel_cpustat (idle_entrytime). No
 * seqcount here: a parked writer would never finish.
 */
static u64 open_idle(unsigned long stat, bool iowait, unsigned int cpu)
{
	unsigned long steal = ktd_at(stat, KTD_M_CPUSTAT_IDLE_STEAL);
	bool waits = ktd_get(ktd_rq(cpu), KTD_M_RQ_NR_IOWAIT) > 0;
	u8 idle = 0;
	s64 open;

	if (!ktd_have(KTD_M_CPUSTAT_IDLE_ENTRY) || waits != iowait)
		return 0;
	if (!ktd_read(&idle, ktd_at(stat, KTD_M_CPUSTAT_IDLE_ELAPSE), sizeof(idle)) || !idle)
		return 0;
	open = ktime_get_mono_fast_ns() - ktd_get(stat, KTD_M_CPUSTAT_IDLE_ENTRY);
	if (steal)
		open -= ktd_read_ul(steal + iowait * sizeof(u64));
	return open > 0 ? open : 0;
}

static void capture_cpu(struct ktd_capture *c, unsigned int cpu)
{
	unsigned long stat = (unsigned long)&per_cpu(kernel_cpustat, cpu);
	const struct kernel_stat *ks = &per_cpu(kstat, cpu);
	unsigned long arr = ktd_at(stat, KTD_M_CPUSTAT);
	unsigned long tick = ktd_percpu(ktd_sym[KTD_SYM_TICK_CPU_SCHED], cpu);
	struct ktd_row *r = ktd_row_begin(&c->sink, &cputime_table);
	u64 *cpustat = c->scratch, *softirqs = c->scratch + NR_STATS;
	unsigned int i;

	BUILD_BUG_ON(NR_STATS + NR_SOFTIRQS > ARRAY_SIZE(c->scratch));
	for (i = 0; i < NR_STATS; i++)
		cpustat[i] = arr ? ktd_read_ul(arr + i * sizeof(u64)) : 0;
	cpustat[CPUTIME_IDLE] += open_idle(stat, false, cpu);
	cpustat[CPUTIME_IOWAIT] += open_idle(stat, true, cpu);
	for (i = 0; i < NR_SOFTIRQS; i++)
		softirqs[i] = READ_ONCE(ks->softirqs[i]);

	ktd_set_u(r, KTD_CPUTIME_CPU, cpu);
	if (arr)
		ktd_set_arr(r, KTD_CPUTIME_CPUSTAT, cpustat, NR_STATS);
	ktd_set_arr(r, KTD_CPUTIME_SOFTIRQS, softirqs, NR_SOFTIRQS);
	ktd_set_u(r, KTD_CPUTIME_IRQS_SUM, READ_ONCE(ks->irqs_sum));
	if (ktd_have(KTD_M_TICK_IOWAIT) && tick)
		ktd_set_u(r, KTD_CPUTIME_IOWAIT_SLEEPTIME_NS,
			  ktd_get(tick, KTD_M_TICK_IOWAIT));
	else if (ktd_have(KTD_M_CPUSTAT_IDLE_ENTRY) && arr)
		ktd_set_u(r, KTD_CPUTIME_IOWAIT_SLEEPTIME_NS, cpustat[CPUTIME_IOWAIT]);
	ktd_row_end(&c->sink, &cputime_table);
}

void ktd_cap_cputime(struct ktd_capture *c)
{
	unsigned int cpu;

	ktd_table_begin(&c->sink, &cputime_table);
	for_each_possible_cpu(cpu) {
		if (ktd_expired(c)) {
			ktd_missing(c, KTD_TBL_CPUTIME, "capture deadline reached");
			break;
		}
		capture_cpu(c, cpu);
	}
}
