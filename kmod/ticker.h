/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The clock of everything that happens without an exit: timers in hard-irq
 * context, so they go on while no task and no kworker gets a CPU.
 */
#ifndef KTD_TICKER_H
#define KTD_TICKER_H

void ktd_ticker_init(void);
/* Waits until none runs any more. May sleep. */
void ktd_ticker_exit(void);

#endif
