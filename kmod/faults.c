// SPDX-License-Identifier: GPL-2.0-only
#include <linux/io.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/poison.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/apic.h>

#include "faults.h"
#include "trigger.h"

#define SCRATCH		0x3ff	/* UART_SCR of the port at 0x3f8 */
#define HELD		0x48
#define LOOKED		0x52

bool ktd_fault_no_beat;
bool ktd_fault_soft_perf;
module_param_named(soft_perf, ktd_fault_soft_perf, bool, 0444);
MODULE_PARM_DESC(soft_perf, "fault injection, see kmod/faults.h");

#ifndef KTD_GRACE_MS
#define KTD_GRACE_MS	0
#endif

static int no_park = -1, slow_ms, hold_ms, grace_ms = KTD_GRACE_MS;
static DEFINE_PER_CPU(bool, nmi_wanted);
static bool half_event;

bool ktd_fault_nmi(void)
{
	if (!this_cpu_read(nmi_wanted))
		return false;
	this_cpu_write(nmi_wanted, false);
	ktd_exit_fired(0, KTD_EXIT_ERROR, "fault injection", NULL);
	return true;
}

bool ktd_fault_ignores(int cpu)
{
	return no_park == cpu || no_park == -2;
}

void ktd_fault_slow(void)
{
	u64 end = ktime_get_mono_fast_ns() + (u64)slow_ms * NSEC_PER_MSEC;

	while (slow_ms && ktime_get_mono_fast_ns() < end)
		cpu_relax();
}

u64 ktd_fault_grace_ns(void)
{
	return (u64)(hold_ms + grace_ms) * NSEC_PER_MSEC;
}

void ktd_fault_hold(void)
{
	u64 end = ktime_get_mono_fast_ns() + (u64)hold_ms * NSEC_PER_MSEC;

	if (!hold_ms)
		return;
	outb(HELD, SCRATCH);
	while (inb(SCRATCH) != LOOKED && ktime_get_mono_fast_ns() < end)
		cpu_relax();
	outb(0, SCRATCH);
}

/* The reads of one capture. Written by its leader only, while all others stand still. */
static struct read {
	unsigned long	addr;
	size_t		len;
} *reads;
static u32 reads_max, nr_reads, reads_lost;
static u8 *replay_to;
static size_t replay_room;	/* bytes at replay_to */
static bool replay_wanted;
bool ktd_fault_recording;
static char replayed[96] = "none";
module_param_string(replayed, replayed, sizeof(replayed), 0444);
MODULE_PARM_DESC(replayed, "fault injection, see kmod/faults.h");

void ktd_fault_add_read(unsigned long addr, size_t len)
{
	if (!addr)
		return;
	if (nr_reads == reads_max || len > replay_room) {
		reads_lost++;
		return;
	}
	reads[nr_reads++] = (struct read){ addr, len };
}

void ktd_fault_record(void)
{
	nr_reads = 0;
	reads_lost = 0;
	ktd_fault_recording = READ_ONCE(replay_wanted);
}

/* One after another into a ring of memory, as the capture writes its rows. */
void ktd_fault_replay(void)
{
	u64 start = ktime_get_mono_fast_ns(), bytes = 0;
	size_t to = 0;
	u32 i;

	if (!ktd_fault_recording)
		return;
	ktd_fault_recording = false;
	replay_wanted = false;
	for (i = 0; i < nr_reads; i++) {
		if (to + reads[i].len > replay_room)
			to = 0;
		copy_from_kernel_nofault(replay_to + to, (void *)reads[i].addr, reads[i].len);
		to += reads[i].len;
		bytes += reads[i].len;
	}
	scnprintf(replayed, sizeof(replayed), "reads=%u bytes=%llu ns=%llu lost=%u", nr_reads,
		  bytes, ktime_get_mono_fast_ns() - start, reads_lost);
}

/* Task context; once. */
static int replay_init(u32 nr)
{
	replay_room = 32 << 20;
	replay_to = vzalloc(replay_room);
	reads = vzalloc(array_size(nr, sizeof(*reads)));
	if (!reads || !replay_to) {
		ktd_fault_exit();
		return -ENOMEM;
	}
	reads_max = nr;
	return 0;
}

void ktd_fault_exit(void)
{
	vfree(reads);
	vfree(replay_to);
	reads = NULL;
	replay_to = NULL;
	reads_max = 0;
}

static atomic_t arrived;

/* With all others, as nearly at once as the machine can. */
static void fire_together(void *unused)
{
	u64 end = ktime_get_mono_fast_ns() + 100 * NSEC_PER_MSEC;

	atomic_inc(&arrived);
	while (atomic_read(&arrived) < num_online_cpus() && ktime_get_mono_fast_ns() < end)
		cpu_relax();
	ktd_exit_fired(0, KTD_EXIT_ERROR, "fault injection", NULL);
}

static void fire(void *unused)
{
	ktd_exit_fired(0, KTD_EXIT_ERROR, "fault injection", NULL);
}

static void fire_nmi(void)
{
	this_cpu_write(nmi_wanted, true);
	apic->send_IPI(smp_processor_id(), NMI_VECTOR);
	/* delivered within a few instructions; under emulation within a few µs */
	while (this_cpu_read(nmi_wanted))
		cpu_relax();
}

void ktd_fault_half_event(void)
{
	if (READ_ONCE(half_event) && xchg(&half_event, false))
		fire_nmi();
}

static size_t room;

size_t ktd_fault_room(size_t size)
{
	return room ? min(size, room) : size;
}

static struct {
	char		list[16], kind[8];
	u32		at;
	bool		on;
	unsigned long	node, first;	/* of the list that is walked now */
} bad;

void ktd_fault_walk(const char *list)
{
	bad.on = list && !strcmp(list, bad.list);
	bad.node = 0;
}

unsigned long ktd_fault_next(unsigned long head, unsigned long node, u32 steps,
			     unsigned long next)
{
	if (!bad.on)
		return next;
	if (!steps)
		bad.first = next;
	if (steps == bad.at)
		bad.node = node;
	/* by its address: whoever comes back finds the same */
	if (node != bad.node)
		return next;
	switch (bad.kind[0]) {
	case 's':
		return node;
	case 'f':
		return bad.first;
	case 'u':
		return PAGE_SIZE;
	case 'p':
		return (unsigned long)LIST_POISON1;
	case 't':
		return (unsigned long)ktd_fault_next;
	default:
		return bad.kind[0] == 'n' ? 0 : bad.kind[1] == 'e' ? head : VMALLOC_END + 1;
	}
}

static u32 lie_every;
static u64 lie_state, last_word;
bool ktd_fault_lying;

/* xorshift64 */
static u64 random_word(void)
{
	lie_state ^= lie_state << 13;
	lie_state ^= lie_state >> 7;
	lie_state ^= lie_state << 17;
	return lie_state;
}

void ktd_fault_lie(bool on)
{
	ktd_fault_lying = on && lie_every;
}

void ktd_fault_lie_about(void *dst, size_t len)
{
	size_t n = min(len, sizeof(u64)), at = 0;
	u64 word = 0, r;

	r = random_word();
	if (len > sizeof(u64))
		at = r % (len - sizeof(u64));
	memcpy(&word, dst + at, n);
	swap(word, last_word);
	if (r >> 32 < U32_MAX / lie_every) {
		/* word: what was read before, which makes circles and crossed lists */
		const u64 lies[] = {
			word, word, last_word ^ BIT_ULL(r % 64), last_word + 8, 0, ~0ull,
			r % 65536, random_word(), (unsigned long)LIST_POISON1, VMALLOC_END + 1,
		};

		memcpy(dst + at, &lies[random_word() % ARRAY_SIZE(lies)], n);
	}
}

static int fault_set(const char *val, const struct kernel_param *kp)
{
	int n;

	if (sscanf(val, "no_park=%d", &n) == 1) {
		no_park = n;
	} else if (sscanf(val, "slow_ms=%d", &n) == 1 && n >= 0 && n <= 1000) {
		slow_ms = n;
	} else if (sscanf(val, "hold_ms=%d", &n) == 1 && n >= 0 && n <= 4000) {
		hold_ms = n;	/* cap_ns has 32 bits */
	} else if (sscanf(val, "grace_ms=%d", &n) == 1 && n >= 0 && n <= 4000) {
		grace_ms = n;
	} else if (sscanf(val, "replay=%d", &n) == 1 && n > 0 && n <= 64 << 20) {
		if (!reads && replay_init(n))
			return -ENOMEM;
		strscpy(replayed, "none");
		/* filled before it is used; pairs with ktd_fault_record() */
		smp_store_release(&replay_wanted, true);
	} else if (sscanf(val, "room=%zu", &room) == 1) {
		return 0;
	} else if (sscanf(val, "walk=%15[^,],%7[^,],%u", bad.list, bad.kind, &bad.at) == 3) {
		return 0;
	} else if (sscanf(val, "lie=%u,%llu", &lie_every, &lie_state) == 2) {
		lie_state |= 1;
	} else if (sysfs_streq(val, "no_beat")) {
		ktd_fault_no_beat = true;
	} else if (sysfs_streq(val, "half_event")) {
		WRITE_ONCE(half_event, true);
	} else if (sysfs_streq(val, "fire_irq")) {
		atomic_set(&arrived, 0);
		on_each_cpu(fire_together, NULL, 1);
	} else if (sysfs_streq(val, "fire_nmi")) {
		preempt_disable();
		fire_nmi();
		preempt_enable();
	} else if (sysfs_streq(val, "fire")) {
		preempt_disable();
		fire(NULL);
		preempt_enable();
	} else {
		return -EINVAL;
	}
	return 0;
}

static const struct kernel_param_ops fault_ops = { .set = fault_set };
module_param_cb(fault, &fault_ops, NULL, 0200);
MODULE_PARM_DESC(fault, "fault injection, see kmod/faults.h");
