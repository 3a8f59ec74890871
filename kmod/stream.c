// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots belong to the sender thread, so it is the one that copies them: at open(),
 * all at once, so that whoever reads slowly is in nobody's way. One reader at a time.
 *
 * A device and not a file of debugfs, which is not on every kernel and, like
 * /proc/kcore, closed under lockdown. Kernel memory is what is in here: the same rule.
 */
#include <linux/capability.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/security.h>
#include <linux/uaccess.h>

#include "blob.h"
#include "channel.h"
#include "stream.h"

#define PIECE_BYTES	(256u << 10)	/* allocated at a time */

struct piece {
	struct list_head	list;
	size_t			len;
	u8			data[];
};

#define PIECE_ROOM	(PIECE_BYTES - sizeof(struct piece))

enum state { IDLE, WANTED, MAKING };

static atomic_t state = ATOMIC_INIT(IDLE);
static atomic_t is_open;
static DECLARE_COMPLETION(made);

/* The sender's while MAKING, then the reader's. */
static LIST_HEAD(pieces);
static int error;

static void drop(void)
{
	struct piece *p, *next;

	list_for_each_entry_safe(p, next, &pieces, list) {
		list_del(&p->list);
		kvfree(p);
	}
}

static struct piece *add_piece(void)
{
	struct piece *p;

	/* vmalloc() would rather have other processes killed than fail */
	if (si_mem_available() / 2 < PIECE_BYTES >> PAGE_SHIFT)
		return NULL;
	p = kvmalloc(PIECE_BYTES, GFP_KERNEL | __GFP_NORETRY);
	if (!p)
		return NULL;
	p->len = 0;
	list_add_tail(&p->list, &pieces);
	return p;
}

static int put_bytes(struct ktd_frames *f, const void *buf, size_t len)
{
	struct piece *p = list_empty(&pieces) ? NULL : list_last_entry(&pieces, struct piece, list);
	size_t n;

	for (; len; buf += n, len -= n) {
		if (!p || p->len == PIECE_ROOM)
			p = add_piece();
		if (!p)
			return -ENOMEM;
		n = min(len, PIECE_ROOM - p->len);
		memcpy(p->data + p->len, buf, n);
		p->len += n;
	}
	return 0;
}

/* One whole snapshot; the kernel's own BTF is with the first. */
static int make_snapshot(struct ktd_frames *f, const struct ktd_snapshot *snap, bool own)
{
	DECLARE_BITMAP(wanted, KTD_BTFS_MAX + 1);
	u32 offered;
	int ret;

	ret = ktd_frame_offer(f, snap, &offered);
	if (!ret)
		ret = ktd_frame_captured(f, snap);
	ktd_btf_want(snap, wanted, own);
	if (!ret)
		ret = ktd_btf_send(snap, wanted, f);
	return ret ?: ktd_frame_end(f, snap);
}

/* Those that are complete, oldest first. -ENODATA: there are none. */
static int make_stream(void)
{
	struct ktd_frames f = { .put = put_bytes };
	struct ktd_snapshot *snap;
	unsigned int i, nr = 0;
	int ret;

	ret = ktd_frames_init(&f);
	if (!ret)
		ret = ktd_frame_hello(&f);
	for (i = 0; !ret && (snap = ktd_buffer_peek(i)); i++) {
		if (snap->late)
			ret = make_snapshot(&f, snap, !nr++);
	}
	ktd_frames_exit(&f);
	if (!ret && !nr)
		ret = -ENODATA;
	if (ret)
		drop();
	return ret;
}

void ktd_stream_poll(void)
{
	if (atomic_cmpxchg(&state, WANTED, MAKING) != WANTED)
		return;
	error = make_stream();
	atomic_set(&state, IDLE);
	complete(&made);
}

/* Waits for the sender; a signal ends that unless it has begun. */
static int ask_sender(void)
{
	reinit_completion(&made);
	atomic_set(&state, WANTED);
	ktd_channel_wake();
	if (wait_for_completion_interruptible(&made)) {
		if (atomic_cmpxchg(&state, WANTED, IDLE) == WANTED)
			return -EINTR;
		wait_for_completion(&made);
	}
	return error;
}

static int dev_open(struct inode *inode, struct file *file)
{
	int ret = security_locked_down(LOCKDOWN_KCORE);

	if (!ret && !capable(CAP_SYS_ADMIN))
		ret = -EPERM;
	if (ret)
		return ret;
	if (atomic_cmpxchg(&is_open, 0, 1))
		return -EBUSY;
	ret = ask_sender();
	if (ret)
		atomic_set(&is_open, 0);
	return ret;
}

static ssize_t dev_read(struct file *file, char __user *to, size_t len, loff_t *pos)
{
	loff_t start = 0;
	struct piece *p;

	list_for_each_entry(p, &pieces, list) {
		if (*pos < start + p->len) {
			loff_t at = *pos - start;
			ssize_t n = simple_read_from_buffer(to, len, &at, p->data, p->len);

			if (n > 0)
				*pos += n;
			return n;
		}
		start += p->len;
	}
	return 0;
}

static int dev_release(struct inode *inode, struct file *file)
{
	drop();
	atomic_set(&is_open, 0);
	return 0;
}

static const struct file_operations stream_fops = {
	.owner		= THIS_MODULE,
	.open		= dev_open,
	.read		= dev_read,
	.release	= dev_release,
};

static struct miscdevice stream_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "ktdump",
	.fops	= &stream_fops,
	.mode	= 0400,
};

int ktd_stream_init(void)
{
	return misc_register(&stream_dev);
}

void ktd_stream_exit(void)
{
	misc_deregister(&stream_dev);
}
