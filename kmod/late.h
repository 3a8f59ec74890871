/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is added to a snapshot after the CPUs run again: exit info, the kernel's
 * dump text, symbols, costs, what is missing. Sender thread only; may sleep.
 */
#ifndef KTD_LATE_H
#define KTD_LATE_H

#include "buffer.h"

/*
 * Makes the late part of every waiting snapshot whose schedulers are torn down
 * (or have had 10 s for it) and drops the references held on them. Call often.
 * True while something is still to be waited for.
 */
bool ktd_late_poll(void);

/* At unload: drops every reference, whatever state it is in. */
void ktd_late_exit(void);

/* Notes the enumerators that the host needs to decode flags. Load time. */
int ktd_enums_init(const struct ktd_btf *btf);
void ktd_enums_exit(void);

#endif
