/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sender: one SCHED_FIFO thread that keeps a vsock connection to the
 * collector, makes late parts, sends snapshots and forgets those that the
 * collector acknowledged. It depends on nothing that a dead scheduler would
 * have to run, but for virtio-vsock's own kworkers.
 */
#ifndef KTD_CHANNEL_H
#define KTD_CHANNEL_H

int ktd_channel_init(void);
/* Stops the thread; at most about a second. May sleep. */
void ktd_channel_exit(void);

/* From hard-irq context or softer. */
void ktd_channel_wake(void);

#endif
