// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arenas: pages that user space and BPF programs share. Which of them are there says
 * the kernel's own tree of free ranges, turned inside out; a page is read through the
 * linear map, for a load from the arena's own address could make the kernel map a
 * page there (7.2 and later repair such faults) and change what is captured.
 */
#include <linux/bpf.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include "content.h"

#define ARENA_SPAN	SZ_4G
/* Holes behind the last page that the kernel counts, before the search ends. */
#define HOLES_MAX	512
#define RANGES_MAX	(1u << 20)

struct arena {
	unsigned long	user, kern;	/* address of page 0; of the 4 GiB in the kernel */
	unsigned long	scratch;	/* struct page */
	u64		declared;	/* pages */
	u64		counted;	/* by the kernel, 0 unknown */
	u64		populated, reserved, scratched;
	u64		taken;
	u32		holes;		/* in a row */
	bool		whole;		/* no page was left unseen */
};

/* bpf_arena_get_kern_vm_start(): in the middle of two guards of 64 KiB together. */
static unsigned long kern_start(unsigned long map)
{
	unsigned long vm = ktd_get(map, KTD_M_ARENA_KERN_VM);
	unsigned long start = ktd_get(vm, KTD_M_VM_ADDR);
	unsigned long size = ktd_get(vm, KTD_M_VM_SIZE);
	unsigned long guard = round_up(SZ_64K, 2 * PAGE_SIZE) / 2;

	/* vmalloc_to_page() wants addresses of its own kind */
	if (size < ARENA_SPAN + 2 * guard || !is_vmalloc_addr((void *)start) ||
	    !is_vmalloc_addr((void *)(start + ARENA_SPAN + 2 * guard - 1)))
		return 0;
	return start + guard;
}

static void take_page(struct ktd_content *ct, struct arena *a, unsigned long kva,
		      struct page *page)
{
	a->holes = 0;
	if ((unsigned long)page == a->scratch) {
		a->scratched++;
		return;
	}
	a->populated++;
	if (ct->cut)
		return;		/* counted all the same */
	if (a->taken == ktd_max_arena_pages) {
		ktd_cut(ct, "entries", ktd_max_arena_pages);
		return;
	}
	/* a page that does not fit whole does not count: the cut says so */
	if (ktd_mem_from(ct, kva, (unsigned long)page_address(page), PAGE_SIZE) == PAGE_SIZE)
		a->taken++;
	else if (!ct->cut)
		ct->unreadable++;
}

/* Pages [first, end) are allocated or reserved. False: enough. */
static bool take_range(struct ktd_content *ct, struct arena *a, u64 first, u64 end)
{
	u64 i;

	for (i = first; i < end; i++) {
		unsigned long kva = a->kern + (u32)(a->user + i * PAGE_SIZE);
		struct page *page;

		if (ktd_late(ct)) {
			ktd_cut_late(ct);
			return false;
		}
		page = vmalloc_to_page((void *)kva);
		if (page) {
			take_page(ct, a, kva, page);
			continue;
		}
		a->reserved++;
		if (a->counted && a->populated >= a->counted && ++a->holes >= HOLES_MAX)
			return false;
	}
	return true;
}

static void take_pages(struct ktd_content *ct, struct arena *a)
{
	unsigned long node = ktd_get(ct->map, KTD_M_ARENA_LEFTMOST);
	u64 next = 0;		/* first page that no range so far tells about */
	u32 n;

	for (n = 0; node && n < RANGES_MAX; n++, node = ktd_rb_next(node)) {
		unsigned long range = node - ktd_off.place[KTD_M_RANGE_NODE].off;
		u64 start = ktd_get(range, KTD_M_RANGE_START);
		u64 last = ktd_get(range, KTD_M_RANGE_LAST);

		if (ktd_late(ct)) {
			ktd_cut_late(ct);
			return;
		}
		if (start < next || last < start || last >= a->declared) {
			ct->error = "the tree of free ranges is broken: not all pages were met";
			return;
		}
		if (!take_range(ct, a, next, start))
			return;
		next = last + 1;
	}
	a->whole = take_range(ct, a, next, a->declared);
}

void ktd_take_arena(struct ktd_content *ct)
{
	struct arena a = {
		.user = ktd_get(ct->map, KTD_M_ARENA_USER_START),
		.kern = kern_start(ct->map),
		.scratch = ktd_get(ct->map, KTD_M_ARENA_SCRATCH),
		.counted = ktd_get(ct->map, KTD_M_ARENA_NR_PAGES),
		.declared = min_t(u64, ct->max_entries, ARENA_SPAN / PAGE_SIZE),
	};

	ct->form = KTD_FORM_ARENA;
	if (!a.kern)
		ct->error = "the arena has no kernel mapping";
	else if (ktd_off.group_missing[KTD_GRP_ARENA_TREE])
		ct->error = "this kernel has no tree of free arena ranges: pages were not searched for";
	else
		take_pages(ct, &a);
	ct->seen = a.populated;
	ct->taken = a.taken;

	ktd_fact(ct, "user_vm_start", a.user);
	ktd_fact(ct, "user_vm_end", ktd_get(ct->map, KTD_M_ARENA_USER_END));
	ktd_fact(ct, "kern_vm_start", a.kern);
	ktd_fact(ct, "declared_pages", a.declared);
	ktd_fact(ct, "populated_pages", a.populated);
	if (a.whole)
		ktd_fact(ct, "reserved_pages", a.reserved);
	if (ktd_have(KTD_M_ARENA_NR_PAGES))
		ktd_fact(ct, "nr_pages", a.counted);
	if (ktd_have(KTD_M_ARENA_SCRATCH))
		ktd_fact(ct, "scratch_pages", a.scratched);
	ktd_fact(ct, "page_size", PAGE_SIZE);
}
