/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads of kernel memory that may be broken, freed or in the middle of an
 * update, and bounded walks over it. Any context, NMI included; no locks.
 */
#ifndef KTD_NOFAULT_H
#define KTD_NOFAULT_H

#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <asm/page.h>
#include <asm/processor.h>
#include <asm/vsyscall.h>

#include "faults.h"
#include "ktdump.h"

/* False when not all of [@addr, @addr + @len) can be read; @dst is undefined then. */
bool ktd_read(void *dst, unsigned long addr, size_t len);

/* Behind these no member of a kernel object begins. */
#define KTD_OFF_MAX		SZ_1M

/*
 * What copy_from_kernel_nofault_allowed() (arch/x86/mm/maccess.c) says of all addresses from
 * @addr to @addr + KTD_OFF_MAX. False also for some that it would allow.
 */
static inline bool ktd_is_kernel(unsigned long addr)
{
	return (long)addr < 0 && addr < VSYSCALL_ADDR - KTD_OFF_MAX - PAGE_SIZE &&
	       __is_canonical_address(addr, boot_cpu_data.x86_virt_bits);
}

/*
 * A number of @size bytes, four or eight, zero-extended, less than KTD_OFF_MAX behind an
 * address for which ktd_is_kernel() holds. Between pagefault_disable() and -_enable().
 */
static __always_inline bool ktd_read_plain(u64 *v, unsigned long addr, u32 size)
{
	const void *src = (const void *)addr;
	u32 half;

	ktd_fault_note_read(addr, size);
	if (size == sizeof(u64)) {
		__get_kernel_nofault(v, src, u64, err_fault);
	} else {
		__get_kernel_nofault(&half, src, u32, err_fault);
		*v = half;
	}
	ktd_fault_read(v, size);
	return true;

err_fault:
	return false;
}

/* The word at @addr, 0 when unreadable. */
static inline unsigned long ktd_read_ul(unsigned long addr)
{
	unsigned long v;

	return ktd_read(&v, addr, sizeof(v)) ? v : 0;
}

/*
 * A member's value, zero-extended from the width that this kernel gives it (on_cpu
 * is one byte on some, four on others); 0 when it is not there or unreadable.
 */
static inline u64 ktd_get(unsigned long base, enum ktd_member_id m)
{
	u64 v = 0;
	u32 size = ktd_off.place[m].size;

	if (size > sizeof(v) || !ktd_read(&v, ktd_at(base, m), size))
		return 0;
	return v;
}

/*
 * A string of at most @size - 1 bytes; always terminated. Returns its length,
 * what was readable if the end was not.
 */
static inline size_t ktd_read_str(char *dst, unsigned long addr, size_t size)
{
	size_t len;

	for (len = 0; len < size - 1; len++) {
		if (!ktd_read(&dst[len], addr + len, 1) || !dst[len])
			break;
	}
	dst[len] = '\0';
	return len;
}

/*
 * Walk over a struct list_head ring:
 *
 *	struct ktd_walk w;
 *
 *	for (ktd_walk_init(&w, head, cap); ktd_walk_next(&w); )
 *		use w.node;
 *	w.end says why it ended.
 *
 * With ktd_walk_chain() it walks a chain from the pointer at @first to a NULL or,
 * as hlist_nulls have it, to a pointer with bit 0 set.
 *
 * A list that was changed half-way or is broken ends the walk: a node that
 * points to itself, a ring that does not come back to its head (Brent's
 * algorithm: one comparison a step), an unreadable node, the cap.
 */
struct ktd_walk {
	unsigned long	head;		/* 0: a chain, not a ring */
	unsigned long	node;
	unsigned long	last;		/* a chain's end mark */
	unsigned long	mark;		/* Brent: the node to meet again */
	u32		steps;
	u32		power;
	u32		cap;
	const char	*end;		/* "ok", "cap", "loop" or "fault" */
};

static inline void ktd_walk_init(struct ktd_walk *w, unsigned long head, u32 cap)
{
	*w = (struct ktd_walk){
		.head = head, .node = head, .mark = head, .power = 1, .cap = cap,
		.end = "ok",
	};
}

static inline void ktd_walk_chain(struct ktd_walk *w, unsigned long first, u32 cap)
{
	ktd_walk_init(w, first, cap);
	w->head = 0;
}

static inline bool ktd_walk_next(struct ktd_walk *w)
{
	unsigned long next;
	bool ok = ktd_read(&next, w->node, sizeof(next));

	if (ok)
		next = ktd_fault_next(w->head, w->node, w->steps, next);
	if (!ok || (w->head && !next)) {
		w->end = "fault";
		return false;
	}
	if (next == w->head || (!w->head && next & 1)) {
		w->last = next;
		return false;
	}
	if (next == w->mark || next == w->node) {
		w->end = "loop";
		return false;
	}
	if (w->steps >= w->cap) {
		w->end = "cap";
		return false;
	}
	w->node = next;
	if (++w->steps == w->power) {
		w->mark = next;
		w->power *= 2;
	}
	return true;
}

#endif
