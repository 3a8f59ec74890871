// SPDX-License-Identifier: GPL-2.0-only
#include <linux/io.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <asm/apic.h>

#include "faults.h"
#include "trigger.h"

#define SCRATCH		0x3ff	/* UART_SCR of the port at 0x3f8 */
#define HELD		0x48
#define LOOKED		0x52

int ktd_fault_no_park = -1;
bool ktd_fault_no_beat;
bool ktd_fault_soft_perf;
module_param_named(soft_perf, ktd_fault_soft_perf, bool, 0444);
MODULE_PARM_DESC(soft_perf, "fault injection, see kmod/faults.h");

static int slow_ms, hold_ms;
static DEFINE_PER_CPU(bool, nmi_wanted);
static bool half_event;

bool ktd_fault_nmi(void)
{
	if (!this_cpu_read(nmi_wanted))
		return false;
	this_cpu_write(nmi_wanted, false);
	ktd_exit_fired(0, KTD_EXIT_ERROR, "fault injection", NULL);
	return true;
}

void ktd_fault_slow(void)
{
	u64 end = ktime_get_mono_fast_ns() + (u64)slow_ms * NSEC_PER_MSEC;

	while (slow_ms && ktime_get_mono_fast_ns() < end)
		cpu_relax();
}

u64 ktd_fault_hold_ns(void)
{
	return (u64)hold_ms * NSEC_PER_MSEC;
}

void ktd_fault_hold(void)
{
	u64 end = ktime_get_mono_fast_ns() + ktd_fault_hold_ns();

	if (!hold_ms)
		return;
	outb(HELD, SCRATCH);
	while (inb(SCRATCH) != LOOKED && ktime_get_mono_fast_ns() < end)
		cpu_relax();
	outb(0, SCRATCH);
}

static atomic_t arrived;

/* With all others, as nearly at once as the machine can. */
static void fire_together(void *unused)
{
	u64 end = ktime_get_mono_fast_ns() + 100 * NSEC_PER_MSEC;

	atomic_inc(&arrived);
	while (atomic_read(&arrived) < num_online_cpus() && ktime_get_mono_fast_ns() < end)
		cpu_relax();
	ktd_exit_fired(0, KTD_EXIT_ERROR, "fault injection", NULL);
}

static void fire(void *unused)
{
	ktd_exit_fired(0, KTD_EXIT_ERROR, "fault injection", NULL);
}

static void fire_nmi(void)
{
	this_cpu_write(nmi_wanted, true);
	apic->send_IPI(smp_processor_id(), NMI_VECTOR);
	/* delivered within a few instructions; under emulation within a few µs */
	while (this_cpu_read(nmi_wanted))
		cpu_relax();
}

void ktd_fault_half_event(void)
{
	if (READ_ONCE(half_event) && xchg(&half_event, false))
		fire_nmi();
}

static int fault_set(const char *val, const struct kernel_param *kp)
{
	int n;

	if (sscanf(val, "no_park=%d", &n) == 1) {
		ktd_fault_no_park = n;
	} else if (sscanf(val, "slow_ms=%d", &n) == 1 && n >= 0 && n <= 1000) {
		slow_ms = n;
	} else if (sscanf(val, "hold_ms=%d", &n) == 1 && n >= 0 && n <= 4000) {
		hold_ms = n;	/* cap_ns has 32 bits */
	} else if (sysfs_streq(val, "no_beat")) {
		ktd_fault_no_beat = true;
	} else if (sysfs_streq(val, "half_event")) {
		WRITE_ONCE(half_event, true);
	} else if (sysfs_streq(val, "fire_irq")) {
		atomic_set(&arrived, 0);
		on_each_cpu(fire_together, NULL, 1);
	} else if (sysfs_streq(val, "fire_nmi")) {
		preempt_disable();
		fire_nmi();
		preempt_enable();
	} else if (sysfs_streq(val, "fire")) {
		preempt_disable();
		fire(NULL);
		preempt_enable();
	} else {
		return -EINVAL;
	}
	return 0;
}

static const struct kernel_param_ops fault_ops = { .set = fault_set };
module_param_cb(fault, &fault_ops, NULL, 0200);
MODULE_PARM_DESC(fault, "fault injection, see kmod/faults.h");
