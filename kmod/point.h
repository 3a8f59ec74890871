/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Named points: a BPF scheduler (or any BPF program) asks for a snapshot with
 *
 *	bpf_printk("ktdump:snapshot NAME");
 *
 * NAME: up to 31 letters, digits and any of "_-.:".
 */
#ifndef KTD_POINT_H
#define KTD_POINT_H

void ktd_point_init(void);
/* ktd_trigger_exit(), which must follow, waits until no probe runs any more. */
void ktd_point_exit(void);

/* Why points are not seen, constant text; NULL: they are. */
const char *ktd_point_lost(void);

#endif
