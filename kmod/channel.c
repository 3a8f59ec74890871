// SPDX-License-Identifier: GPL-2.0-only
#include <linux/crc32c.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/net.h>
#include <linux/sched/mm.h>
#include <linux/swait.h>
#include <linux/vm_sockets.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "blob.h"
#include "channel.h"
#include "demand.h"
#include "frame.h"
#include "late.h"
#include "stream.h"

#define SEND_TIMEOUT	(HZ / 2)	/* one sendmsg; rmmod waits that long */
#define STALL_LIMIT	(30 * HZ)	/* no byte taken for so long: reconnect */
#define ANSWER_LIMIT	(30 * HZ)	/* no HELLO or ACK for so long: reconnect */
#define GO_LIMIT	(20 * HZ)	/* no GO for so long: without BTF */
#define IDLE_POLL	(HZ / 5)	/* looks for a lost peer */
#define BUSY_POLL	(HZ / 50 + 1)	/* looks for ACKs, torn-down schedulers */
#define BACKOFF_MIN	(HZ / 10)
#define BACKOFF_MAX	(2 * HZ)

static struct task_struct *sender;
/* Of the simple kind, whose lock is a raw one: on PREEMPT_RT too a hard IRQ may wake. */
static DECLARE_SWAIT_QUEUE_HEAD(wake_wait);
static bool woken;

/* How far the next snapshot has got. */
enum stage {
	STAGE_BEGIN,		/* nothing is sent */
	STAGE_OFFERED,		/* BEGIN, BTF rows, OFFER */
	STAGE_CAPTURED,		/* all that was captured: what BTF does the collector want? */
	STAGE_LATE,		/* all but the late part is sent */
};

/* Everything below belongs to the sender thread. */
static struct {
	struct socket		*sock;
	bool			greeted;	/* the collector's HELLO has come */
	struct ktd_frame_hdr	rx;
	size_t			rx_len;
	unsigned int		sent;		/* waiting snapshots sent whole */
	enum stage		stage;		/* of the next one */
	u32			offered;	/* its BTF rows */
	bool			go;		/* the collector has said which of them it wants */
	unsigned long		asked;		/* jiffies since when only that is waited for */
	DECLARE_BITMAP(wanted, KTD_BTFS_MAX + 1);
	unsigned long		backoff;
	unsigned long		heard;		/* jiffies of the last answer, or of the question */
} conn;

void ktd_channel_wake(void)
{
	WRITE_ONCE(woken, true);
	swake_up_one(&wake_wait);
}

static void disconnect(void)
{
	if (!conn.sock)
		return;
	kernel_sock_shutdown(conn.sock, SHUT_RDWR);
	sock_release(conn.sock);
	conn.sock = NULL;
	conn.sent = 0;
	conn.stage = STAGE_BEGIN;
}

/*
 * Whole buffer or an error. vsock blocks while the peer gives no credit; a peer
 * that takes nothing for STALL_LIMIT counts as lost.
 */
static int send_all(struct ktd_frames *f, const void *buf, size_t len)
{
	unsigned long last = jiffies;
	size_t done = 0;

	while (done < len) {
		struct msghdr msg = { .msg_flags = MSG_NOSIGNAL };
		struct kvec vec = { .iov_base = (void *)buf + done, .iov_len = len - done };
		unsigned int flags = memalloc_noreclaim_save();
		int n = kernel_sendmsg(conn.sock, &msg, &vec, 1, vec.iov_len);

		memalloc_noreclaim_restore(flags);
		if (n > 0) {
			done += n;
			last = jiffies;
			continue;
		}
		if (kthread_should_stop())
			return -EINTR;
		if (n != -EAGAIN && n != -EINTR)
			return n ?: -EPIPE;
		if (time_after(jiffies, last + STALL_LIMIT))
			return -ETIMEDOUT;
	}
	return 0;
}

static struct ktd_frames out = { .put = send_all };

static int send_offer(const struct ktd_snapshot *snap)
{
	bitmap_zero(conn.wanted, KTD_BTFS_MAX + 1);
	return ktd_frame_offer(&out, snap, &conn.offered);
}

/*
 * BTF behind what was captured: it is large, and should the guest die now, the state is
 * worth more. Nor does the report depend on an answer: where a realtime task keeps the
 * CPU of the work that receives, none arrives.
 */
static int send_btf(const struct ktd_snapshot *snap)
{
	if (conn.go)
		return ktd_btf_send(snap, conn.wanted, &out);
	if (conn.offered)
		pr_info("snapshot %u goes without BTF: the collector did not say which it wants\n",
			snap->nr);
	return 0;
}

/* The late part follows when the teardown is over. */
static int send_snapshots(void)
{
	struct ktd_snapshot *snap;
	int ret;

	while ((snap = ktd_buffer_peek(conn.sent))) {
		if (conn.stage == STAGE_BEGIN) {
			ret = send_offer(snap);
			if (ret)
				return ret;
			conn.stage = STAGE_OFFERED;
			conn.go = false;
		}
		if (conn.stage == STAGE_OFFERED) {
			ret = ktd_frame_captured(&out, snap);
			if (ret)
				return ret;
			conn.stage = STAGE_CAPTURED;
			conn.asked = jiffies;
			/* the answer may be there already, to be received */
			ktd_channel_wake();
			return 0;
		}
		if (conn.stage == STAGE_CAPTURED) {
			if (!conn.go && time_before(jiffies, conn.asked + GO_LIMIT))
				return 0;
			ret = send_btf(snap);
			if (ret)
				return ret;
			conn.stage = STAGE_LATE;
		}
		if (!snap->late)
			return 0;
		ret = ktd_frame_end(&out, snap);
		if (ret)
			return ret;
		conn.stage = STAGE_BEGIN;
		conn.sent++;
		conn.heard = jiffies;
	}
	return 0;
}

static int handle_frame(const struct ktd_frame_hdr *h)
{
	struct ktd_frame_hdr plain = *h;
	struct ktd_snapshot *oldest = ktd_buffer_peek(0);
	struct ktd_snapshot *next = ktd_buffer_peek(conn.sent);
	u32 nr = le32_to_cpu(h->snapshot);
	bool offered = conn.stage == STAGE_CAPTURED && !conn.go && next && next->nr == nr;

	plain.crc = 0;
	if (h->magic != cpu_to_le32(KTD_WIRE_MAGIC) || h->len ||
	    le32_to_cpu(h->crc) != ~crc32c(~0, &plain, sizeof(plain))) {
		pr_warn_once("the collector sent a damaged frame\n");
		return -EPROTO;
	}
	switch (h->type) {
	case KTD_FRAME_HELLO:
		if (h->version != KTD_WIRE_VERSION) {
			pr_warn_once("the collector speaks wire version %u, this module %u\n",
				     h->version, KTD_WIRE_VERSION);
			return -EPROTO;
		}
		conn.greeted = true;
		return 0;
	case KTD_FRAME_ACK:
		/* only what was sent whole, oldest first, can be acknowledged */
		if (conn.sent && oldest && oldest->nr == nr) {
			ktd_buffer_pop();
			conn.sent--;
		}
		return 0;
	case KTD_FRAME_WANT:
		if (offered && le16_to_cpu(h->table) < conn.offered)
			__set_bit(le16_to_cpu(h->table), conn.wanted);
		else
			pr_warn_once("the collector wants BTF that was not offered\n");
		return 0;
	case KTD_FRAME_GO:
		if (offered)
			conn.go = true;
		return 0;
	case KTD_FRAME_TAKE:
		if (ktd_demand("collector"))
			pr_warn_ratelimited("no snapshot for the collector: those before are still on their way\n");
		return 0;
	case KTD_FRAME_REFUSE:
		pr_warn_once("the collector refused wire version %u: use a ktcollect of version %s\n",
			     KTD_WIRE_VERSION, KTD_VERSION);
		return -EPROTO;
	default:
		return 0;	/* a newer collector's business */
	}
}

/* Reads what is there. 0, or an error when the peer is gone or unintelligible. */
static int receive(void)
{
	for (;;) {
		struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
		struct kvec vec = {
			.iov_base = (u8 *)&conn.rx + conn.rx_len,
			.iov_len = sizeof(conn.rx) - conn.rx_len,
		};
		int n = kernel_recvmsg(conn.sock, &msg, &vec, 1, vec.iov_len, msg.msg_flags);

		if (n == -EAGAIN)
			return 0;
		if (n <= 0)
			return n ?: -ECONNRESET;
		conn.rx_len += n;
		if (conn.rx_len < sizeof(conn.rx))
			continue;
		conn.rx_len = 0;
		conn.heard = jiffies;
		n = handle_frame(&conn.rx);
		if (n)
			return n;
	}
}

static int set_connect_timeout(struct socket *sock)
{
	struct __kernel_sock_timeval tv = { .tv_sec = 1 };

	return sock->ops->setsockopt(sock, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW,
				     KERNEL_SOCKPTR(&tv), sizeof(tv));
}

static int try_connect(void)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = ktd_cid, .svm_port = ktd_port,
	};
	int ret;

	ret = sock_create_kern(&init_net, AF_VSOCK, SOCK_STREAM, 0, &conn.sock);
	if (ret) {
		conn.sock = NULL;
		return ret;
	}
	set_connect_timeout(conn.sock);
	conn.sock->sk->sk_sndtimeo = SEND_TIMEOUT;
	out.seq = 0;
	conn.rx_len = 0;
	conn.greeted = false;
	conn.heard = jiffies;
	/* its address type changed its name in 6.19, not its layout */
	ret = kernel_connect(conn.sock, (void *)&addr, sizeof(addr), 0);
	if (!ret)
		ret = ktd_frame_hello(&out);
	if (ret)
		disconnect();
	return ret;
}

/*
 * A vsock back end may lose a connection and not tell the guest
 * (vhost-device-vsock, when the collector is killed with data unread).
 */
static bool unanswered(void)
{
	return (!conn.greeted || conn.sent) &&
	       time_after(jiffies, conn.heard + ANSWER_LIMIT);
}

static void sleep_for(unsigned long timeout)
{
	swait_event_interruptible_timeout_exclusive(wake_wait,
						    READ_ONCE(woken) || kthread_should_stop(),
						    timeout);
	WRITE_ONCE(woken, false);
}

static int sender_thread(void *unused)
{
	unsigned long next_try = jiffies;

	sched_set_fifo(current);
	conn.backoff = BACKOFF_MIN;
	while (!kthread_should_stop()) {
		bool busy = ktd_late_poll();

		ktd_stream_poll();
		if (!conn.sock && time_after_eq(jiffies, next_try)) {
			if (try_connect()) {
				conn.backoff = min(2 * conn.backoff, BACKOFF_MAX);
				next_try = jiffies + conn.backoff;
			} else {
				conn.backoff = BACKOFF_MIN;
			}
		}
		if (conn.sock && (receive() || (conn.greeted && send_snapshots()) ||
				  unanswered())) {
			disconnect();
			next_try = jiffies + conn.backoff;
		}
		sleep_for(busy || (conn.sock && ktd_buffer_waiting()) ? BUSY_POLL :
			  conn.sock ? IDLE_POLL : BACKOFF_MIN);
	}
	disconnect();
	return 0;
}

int ktd_channel_init(void)
{
	int ret = ktd_frames_init(&out);

	if (ret)
		return ret;
	sender = kthread_run(sender_thread, NULL, "ktdump");
	if (IS_ERR(sender)) {
		ktd_frames_exit(&out);
		return PTR_ERR(sender);
	}
	return 0;
}

void ktd_channel_exit(void)
{
	kthread_stop(sender);
	ktd_frames_exit(&out);
}
