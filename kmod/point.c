// SPDX-License-Identifier: GPL-2.0-only
/*
 * What BPF programs print passes the kernel's tracepoint bpf_trace_printk. A kfunc would
 * need a module with BTF, and a program that calls it could not be loaded without the
 * module nor the module be unloaded before it; a line of text is there on every kernel and
 * harmless without us.
 *
 * The probe runs where the program does: with a runqueue lock held, in hard IRQs or NMIs.
 * The capture is made for that, so it is taken at once: it shows the state at this point.
 */
#include <linux/ctype.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>

#include "counter.h"
#include "demand.h"
#include "ktdump.h"
#include "point.h"

#define PREFIX		"ktdump:snapshot "
#define HOOK		"point "
#define NAME_MAX_LEN	31

static struct tracepoint *printk_tp;
static atomic64_t next_ns;	/* CLOCK_MONOTONIC: not before that */

const char *ktd_point_lost(void)
{
	return printk_tp ? NULL : "this kernel has no tracepoint bpf_trace_printk";
}

/* False: no name. A line end behind it does no harm. */
static bool copy_name(char *to, const char *from)
{
	unsigned int i;

	for (i = 0; isalnum(from[i]) || (from[i] && strchr("_-.:", from[i])); i++) {
		if (i == NAME_MAX_LEN)
			return false;
		to[i] = from[i];
	}
	to[i] = '\0';
	return i && (!from[i] || from[i] == '\n');
}

/* One of them at a time, and no sooner than point_ms after the last. */
static bool is_time(void)
{
	u64 now = ktime_get_mono_fast_ns();
	s64 next = atomic64_read(&next_ns);

	return now >= next &&
	       atomic64_try_cmpxchg(&next_ns, &next, now + (u64)ktd_point_ms * NSEC_PER_MSEC);
}

static void on_printk(void *data, const char *text)
{
	char hook[sizeof(HOOK) + NAME_MAX_LEN] = HOOK;

	if (strncmp(text, PREFIX, strlen(PREFIX)) ||
	    !copy_name(hook + strlen(HOOK), text + strlen(PREFIX)))
		return;
	preempt_disable_notrace();
	if (is_time() && !ktd_demand(hook))
		atomic64_inc(&ktd_counters.point);
	else
		atomic64_inc(&ktd_counters.point_skipped);
	preempt_enable_notrace();
}

static void find_printk(struct tracepoint *tp, void *priv)
{
	if (!strcmp(tp->name, "bpf_trace_printk"))
		printk_tp = tp;
}

void ktd_point_init(void)
{
	for_each_kernel_tracepoint(find_printk, NULL);
	if (printk_tp && tracepoint_probe_register(printk_tp, on_printk, NULL))
		printk_tp = NULL;
}

void ktd_point_exit(void)
{
	if (printk_tp)
		tracepoint_probe_unregister(printk_tp, on_printk, NULL);
}
