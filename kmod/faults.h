/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault injection for the tests; a normal build contains none of it. With
 * KTDUMP_FAULTS=y the writable parameter fault= takes:
 *
 *   no_park=CPU   that CPU ignores the rendezvous (-1: none, -2: all)
 *   slow_ms=N     the leader spends N ms more while the others are parked
 *   hold_ms=N     all stay parked after the capture until the host has looked, N ms
 *                 at most; the limits of a freeze grow by as much (0: no hold)
 *   grace_ms=N    the limits of a freeze grow by N ms, for machines that are too slow for
 *                 what shall be measured (at first by KTDUMP_GRACE_MS of the build, or 0)
 *   replay=N      the next capture notes its no-fault reads, N at most, and does them again
 *                 before the CPUs are released: the parameter "replayed" then says how
 *                 many reads and bytes that were, how many ns they took, and how many
 *                 reads found no place
 *   no_beat       the watchdog's time stamp cannot be read when ages are looked at
 *   half_event    an exit from NMI that hits a CPU while it writes the next event of the
 *                 scheduler timeline
 *   room=N        a snapshot has N bytes of room (0: what there is)
 *   walk=L,K,N    in every list L (runnable, dsq, scx_tasks) the N-th node, from 1, leads
 *                 to K: null, self, first (a circle), head (the rest is lost), user,
 *                 hole (nothing is mapped there), poison, text (readable, no list)
 *   lie=N,SEED    of the words read in a capture about every N-th is false (0: none)
 *   fire          an exit, from task context
 *   fire_irq      one on every CPU at once, from hard IRQ
 *   fire_nmi      one from NMI, on this CPU
 *
 * and at load
 *
 *   soft_perf=1   software events in place of the hardware counters
 *
 * A hold is announced in the scratch register of the first serial port, which
 * nobody uses and a host can read and write: 0x48 while it lasts, 0x52 from the
 * host ends it, 0 when the time was up. A port needs no lock in any context.
 *
 * Injected exits name no instance, as on kernels that have no instance object.
 */
#ifndef KTD_FAULTS_H
#define KTD_FAULTS_H

#include <linux/types.h>

#ifdef KTDUMP_FAULTS
extern bool ktd_fault_no_beat;
extern bool ktd_fault_soft_perf;
/* In the NMI handler: true if this NMI was one to inject. */
bool ktd_fault_nmi(void);
/* Whether @cpu, asked to park, does not. */
bool ktd_fault_ignores(int cpu);
/* In the capture, CPUs parked. */
void ktd_fault_slow(void);
/* What the limits of a freeze grow by. */
u64 ktd_fault_grace_ns(void);
/* Behind the capture, CPUs parked. */
void ktd_fault_hold(void);
/* In the middle of an event. */
void ktd_fault_half_event(void);
/* Around the sections of a capture, CPUs parked. */
void ktd_fault_record(void);
void ktd_fault_replay(void);
/* Frees what it needed; may sleep. */
void ktd_fault_exit(void);
extern bool ktd_fault_recording;
void ktd_fault_add_read(unsigned long addr, size_t len);
static inline void ktd_fault_note_read(unsigned long addr, size_t len)
{
	if (unlikely(ktd_fault_recording))
		ktd_fault_add_read(addr, len);
}
/* Of the @size bytes for a snapshot. */
size_t ktd_fault_room(size_t size);
/* Around the walk over a list; NULL: behind it. */
void ktd_fault_walk(const char *list);
/* What the node at @node, met after @steps, shall point to instead of @next. */
unsigned long ktd_fault_next(unsigned long head, unsigned long node, u32 steps,
			     unsigned long next);
/* Around a capture; a word that was read there. */
void ktd_fault_lie(bool on);
extern bool ktd_fault_lying;
void ktd_fault_lie_about(void *dst, size_t len);
/* Not a call per read: benchmarks count with this module. */
static inline void ktd_fault_read(void *dst, size_t len)
{
	if (unlikely(ktd_fault_lying))
		ktd_fault_lie_about(dst, len);
}
#else
#define ktd_fault_no_beat	false
#define ktd_fault_soft_perf	false
static inline bool ktd_fault_nmi(void) { return false; }
static inline bool ktd_fault_ignores(int cpu) { return false; }
static inline void ktd_fault_slow(void) { }
static inline u64 ktd_fault_grace_ns(void) { return 0; }
static inline void ktd_fault_hold(void) { }
static inline void ktd_fault_half_event(void) { }
static inline void ktd_fault_record(void) { }
static inline void ktd_fault_replay(void) { }
static inline void ktd_fault_exit(void) { }
static inline void ktd_fault_note_read(unsigned long addr, size_t len) { }
static inline size_t ktd_fault_room(size_t size) { return size; }
static inline void ktd_fault_walk(const char *list) { }
static inline unsigned long ktd_fault_next(unsigned long head, unsigned long node, u32 steps,
					   unsigned long next)
{
	return next;
}
static inline void ktd_fault_lie(bool on) { }
static inline void ktd_fault_read(void *dst, size_t len) { }
#endif

#endif
