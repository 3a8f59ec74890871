/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/ktdump: the snapshots that wait for a collector, as the bytes that it would get.
 * For guests without vsock: what is read there, ktcollect renders from a file.
 */
#ifndef KTD_STREAM_H
#define KTD_STREAM_H

/* 0 or an error. May sleep. */
int ktd_stream_init(void);
/* Nobody has it open: that would hold the module. May sleep. */
void ktd_stream_exit(void);

/* Sender: makes the bytes when somebody has opened the file. */
void ktd_stream_poll(void);

#endif
