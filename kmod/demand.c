// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest asks by writing to /sys/module/ktdump/parameters/snapshot: a file of
 * debugfs would be neither there on every kernel nor writable under lockdown.
 */
#include <linux/moduleparam.h>
#include <linux/mutex.h>

#include "demand.h"
#include "trigger.h"

#define WAITING_MAX	2	/* not acknowledged; more would be in the way of an exit */

static DEFINE_MUTEX(asked);
static bool is_open;

int ktd_demand(const char *who)
{
	struct ktd_trigger trig = { .kind = "demand", .hook = who, .sch = ktd_scx_root() };

	if (ktd_buffer_waiting() >= WAITING_MAX)
		return -EBUSY;
	return ktd_snapshot_living(&trig) ? 0 : -EBUSY;
}

void ktd_demand_interval(void)
{
	/* one that cannot be taken is left out, not made up for */
	if (ktd_scx_root())
		ktd_demand("interval");
}

void ktd_demand_open(bool open)
{
	mutex_lock(&asked);
	is_open = open;
	mutex_unlock(&asked);
}

static int snapshot_set(const char *val, const struct kernel_param *kp)
{
	int ret;

	/* insmod sets parameters before anything is ready */
	mutex_lock(&asked);
	ret = is_open ? ktd_demand("parameter snapshot") : -EAGAIN;
	mutex_unlock(&asked);
	return ret;
}

static const struct kernel_param_ops snapshot_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = snapshot_set,
};
module_param_cb(snapshot, &snapshot_ops, NULL, 0200);
MODULE_PARM_DESC(snapshot, "written to: take a snapshot now, the scheduler goes on");
