/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the module share: parameters, symbols, offsets, and the
 * life of one capture.
 *
 *   trigger.c   an exit hook fires           any context, NMI included
 *   freeze.c    parks the other CPUs          "
 *   capture.c   runs the sections             "     (CPUs parked)
 *   content.c   one of them: contents of maps "
 *   buffer.c    keeps finished snapshots      written above, read below
 *   late.c      exit info, symbols            sender thread, may sleep
 *   blob.c      BTF: copied above, hashed     sender thread, may sleep
 *   channel.c   sends, waits for the ACK      sender thread, may sleep
 *   stream.c    the same into a file          sender thread, may sleep
 *   ticker.c    early, timeline, demand       timer, hard IRQ
 *   point.c     what BPF programs ask for     any context
 *   sched_timeline.c  rings of scheduler events  tracepoints, any context
 */
#ifndef KTD_KTDUMP_H
#define KTD_KTDUMP_H

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/sched.h>
#include <linux/types.h>

#include "offsets.h"

#define KTD_VERSION		"0.1.0"

#define KTD_STACK_DEPTH		64	/* return addresses per stack */
#define KTD_SCHEDS_MAX		64	/* instances of the sub-scheduler tree */

/* Parameters, checked by main.c before anything else runs. */
extern unsigned int ktd_cid;
extern unsigned int ktd_port;
extern unsigned int ktd_freeze_max_ms;
extern unsigned int ktd_buf_mib;
extern unsigned int ktd_frame_kib;
extern unsigned int ktd_max_tasks;
extern unsigned int ktd_max_list;
extern unsigned int ktd_max_stacks;
extern unsigned int ktd_max_maps;
extern unsigned int ktd_max_map_entries;
extern unsigned int ktd_max_map_kib;
extern unsigned int ktd_max_arena_pages;
extern unsigned int ktd_early_percent;
extern unsigned int ktd_sample_ms;
extern unsigned int ktd_interval_ms;
extern unsigned int ktd_point_ms;
extern unsigned int ktd_sched_timeline_kib;
extern unsigned int ktd_sched_timeline_ms;
extern unsigned int ktd_max_code_kib;
extern bool ktd_trigger_any;

/* This kernel's layout; read-only once init is over. */
extern struct ktd_offsets ktd_off;

static inline bool ktd_have(enum ktd_member_id m)
{
	return ktd_off.have[m];
}

/* Address of a member; 0 when the object or the member is not there. */
static inline unsigned long ktd_at(unsigned long base, enum ktd_member_id m)
{
	return base && ktd_have(m) ? base + ktd_off.place[m].off : 0;
}

#endif
