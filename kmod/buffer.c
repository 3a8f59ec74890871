// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "buffer.h"

static u8 *ring;
static size_t ring_size;
static size_t head;		/* offset behind the newest snapshot; leader only */
static struct ktd_snapshot *snaps;
static u32 produced, consumed;	/* counts; index modulo KTD_SNAPSHOTS_MAX */

int ktd_buffer_init(void)
{
	ring_size = (size_t)ktd_buf_mib << 20;
	/* vmalloc() would rather have other processes killed than fail */
	if (ring_size >> PAGE_SHIFT > si_mem_available() / 2)
		return -ENOMEM;
	ring = vzalloc(ring_size);
	snaps = kvcalloc(KTD_SNAPSHOTS_MAX, sizeof(*snaps), GFP_KERNEL);
	if (ring && snaps)
		return 0;
	ktd_buffer_exit();
	return -ENOMEM;
}

void ktd_buffer_exit(void)
{
	u32 i;

	for (i = 0; snaps && i < KTD_SNAPSHOTS_MAX; i++)
		kvfree(snaps[i].late);
	kvfree(snaps);
	vfree(ring);
	snaps = NULL;
	ring = NULL;
}

/*
 * The largest contiguous room. With waiting snapshots, the oldest starting at
 * tail, [tail, head) is taken or, once head has wrapped, all but [head, tail).
 */
struct ktd_snapshot *ktd_buffer_reserve(u8 **room, size_t *size, bool exit)
{
	u32 oldest = smp_load_acquire(&consumed);	/* pairs with ktd_buffer_pop() */
	u32 waiting = produced - oldest;
	size_t start, len, tail;
	struct ktd_snapshot *snap;

	if (waiting >= KTD_SNAPSHOTS_MAX)
		return NULL;
	tail = waiting ? snaps[oldest % KTD_SNAPSHOTS_MAX].rows - ring : 0;
	if (!waiting) {
		start = 0;
		len = ring_size;
	} else if (head <= tail) {
		start = head;
		len = tail - head;
	} else if (ring_size - head >= tail) {
		start = head;
		len = ring_size - head;
	} else {
		start = 0;
		len = tail;
	}
	/* whatever is taken of a living scheduler, its end must find room */
	if (!exit)
		len = ALIGN_DOWN(len / 2, 8);
	if (len < KTD_SNAPSHOT_MIN)
		return NULL;

	snap = &snaps[produced % KTD_SNAPSHOTS_MAX];
	memset(snap, 0, sizeof(*snap));
	snap->nr = produced + 1;
	snap->rows = ring + start;
	*room = snap->rows;
	*size = len;
	return snap;
}

void ktd_buffer_commit(struct ktd_snapshot *snap)
{
	head = snap->rows - ring + ALIGN(snap->rows_len, 8);
	/* the rows before the count; pairs with ktd_buffer_waiting() */
	smp_store_release(&produced, produced + 1);
}

unsigned int ktd_buffer_waiting(void)
{
	/* pairs with ktd_buffer_commit() */
	return smp_load_acquire(&produced) - consumed;
}

struct ktd_snapshot *ktd_buffer_peek(unsigned int i)
{
	if (i >= ktd_buffer_waiting())
		return NULL;
	return &snaps[(consumed + i) % KTD_SNAPSHOTS_MAX];
}

void ktd_buffer_pop(void)
{
	struct ktd_snapshot *snap = ktd_buffer_peek(0);

	if (!snap)
		return;
	kvfree(snap->late);
	snap->late = NULL;
	/* the sender is done with the rows; pairs with ktd_buffer_reserve() */
	smp_store_release(&consumed, consumed + 1);
}

u32 ktd_buffer_next_nr(void)
{
	return READ_ONCE(produced) + 1;
}
