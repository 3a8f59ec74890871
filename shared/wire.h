/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The wire between ktdump.ko (guest) and a collector (host): frames.
 *
 * One stream connection. The guest speaks first (HELLO), the collector answers
 * with a HELLO of its own. A snapshot is BEGIN, any number of ROWS frames, END;
 * the collector sends ACK once the report is safely on disk, and only then does
 * the guest forget the snapshot. See docs/wire.md.
 *
 * All integers in the header are little endian. The payload of a guest frame is
 * a sequence of whole msgpack arrays: rows of one table (see tables.h). A row
 * never spans two frames. Frames from the collector carry no payload, so the
 * guest contains no msgpack reader.
 */
#ifndef KTD_SHARED_WIRE_H
#define KTD_SHARED_WIRE_H

#ifdef __KERNEL__
#include <linux/types.h>
typedef __le16 ktd_le16;
typedef __le32 ktd_le32;
typedef __le64 ktd_le64;
#else
#include <stdint.h>
typedef uint16_t ktd_le16;
typedef uint32_t ktd_le32;
typedef uint64_t ktd_le64;
#endif

#define KTD_WIRE_MAGIC		0x3144544bu	/* "KTD1" in stream order */
#define KTD_WIRE_VERSION	1

#define KTD_DEFAULT_CID		2u		/* VMADDR_CID_HOST */
#define KTD_DEFAULT_PORT	19284u

/*
 * Payload limit. virtio-vsock builds larger packets as non-linear buffers,
 * which some vhost-user backends refuse, so no frame may exceed 28 KiB in all.
 */
#define KTD_FRAME_MAX_PAYLOAD	(28u * 1024u - 24u)
#define KTD_FRAME_DEFAULT	(16u * 1024u)	/* whole frame, bytes */

/* No single row is larger than this, so that it fits a default frame. */
#define KTD_ROW_MAX		(KTD_FRAME_DEFAULT - 64u)

enum ktd_frame_type {
	KTD_FRAME_HELLO	= 1,	/* both ways; guest: rows of KTD_TBL_HELLO */
	KTD_FRAME_BEGIN	= 2,	/* guest: rows of KTD_TBL_BEGIN */
	KTD_FRAME_ROWS	= 3,	/* guest: rows of the table in .table */
	KTD_FRAME_END	= 4,	/* guest: rows of KTD_TBL_END */
	KTD_FRAME_ACK	= 5,	/* collector: snapshot .snapshot is written */
	KTD_FRAME_REFUSE = 6,	/* collector: version not understood, will close */
	/*
	 * BTF is large and the same from snapshot to snapshot. After the BTF rows of
	 * a snapshot the guest sends OFFER and goes on; the collector answers with a
	 * WANT for each row whose bytes it lacks, then GO. These come as BLOB rows
	 * before END; without GO in time none do.
	 */
	KTD_FRAME_OFFER	= 7,	/* guest: no payload */
	KTD_FRAME_WANT	= 8,	/* collector: .table = number of the BTF row, from 0 */
	KTD_FRAME_GO	= 9,	/* collector */
	KTD_FRAME_TAKE	= 10,	/* collector: take a snapshot now, no answer but that */
};

/* Every frame starts with this header. */
struct ktd_frame_hdr {
	ktd_le32	magic;		/* KTD_WIRE_MAGIC */
	uint8_t		version;	/* KTD_WIRE_VERSION */
	uint8_t		type;		/* enum ktd_frame_type */
	ktd_le16	table;		/* enum ktd_table_id */
	ktd_le32	len;		/* payload bytes after this header */
	ktd_le32	seq;		/* per connection and direction, from 0 */
	ktd_le32	snapshot;	/* snapshot number, from 1; 0 = none */
	/*
	 * CRC-32C (Castagnoli; initial value and final xor ~0, as in iSCSI)
	 * over this header with crc 0, then the payload.
	 */
	ktd_le32	crc;
};

/*
 * RECORD rows: the elements of one map behind each other, each with this header
 * and padded to 8 bytes. What follows the header depends on CONTENT.form; each
 * part of it is padded to 8 bytes too:
 *
 *   hash		key, value
 *   percpu_hash	key, then a struct ktd_record_cpu and a value per CPU
 *   percpu_array	a struct ktd_record_cpu and a value per CPU; .index = key
 *   storage		u64 owner kva, value (task, cgroup, inode and sk storage)
 *   slots		u64 pointer; .index = slot, .extra = id of a map or program,
 *			ifindex of a device, 0 unknown; only slots that hold something
 *   slots_hash		key, u64 pointer; .extra as above
 *   stack		addresses (u64) or struct bpf_stack_build_id; .index = bucket,
 *			.extra = number of entries
 *   queue		value; oldest first, as pop() of a queue would give them
 *
 * Keys have key_size, values value_size bytes. Per CPU: nr_cpu_ids of them in
 * order. What could not be read is zero and has its bit in .flags; a value on a
 * CPU that could not be read has the address 0.
 */
struct ktd_record {
	ktd_le64	kva;		/* of the element, 0 unknown */
	ktd_le32	len;		/* with this header and all padding */
	ktd_le32	flags;		/* KTD_RECORD_* */
	ktd_le32	index;
	ktd_le32	extra;
};

#define KTD_RECORD_KEY_BAD	1u
#define KTD_RECORD_VALUE_BAD	2u

struct ktd_record_cpu {
	ktd_le64	kva;		/* of the value on this CPU, 0 unreadable */
};

/* SCHED_TIMELINE.data: one behind the other, oldest first. 64 bytes, a cache line. */
struct ktd_sched_event {
	ktd_le64	ns;		/* CLOCK_MONOTONIC */
	ktd_le32	seq;		/* number on its CPU, from 1; low 32 bits */
	uint8_t		kind;		/* enum ktd_sched_event_kind */
	uint8_t		pad;
	ktd_le16	prio;		/* prev's; wakeup; pi_boost: before. Signed */
	ktd_le32	pid;		/* prev's; the task; contention: who waits */
	ktd_le32	other;		/* switch: next's pid; wakeup: CPU; migrate: to which CPU */
	ktd_le32	arg;		/* switch: prev_state; migrate: from which CPU; flags, ret */
	ktd_le16	other_prio;	/* next's; pi_boost: after. Signed */
	ktd_le16	pad2;
	char		comm[16];	/* of pid; contention: not set */
	union {
		char		other_comm[16];	/* next's */
		ktd_le64	lock;		/* contention: its address */
	};
};

/* Numbers are part of the wire: append only. */
enum ktd_sched_event_kind {
	KTD_SCHED_SWITCH = 1,
	KTD_SCHED_WAKEUP,
	KTD_SCHED_MIGRATE,
	KTD_SCHED_PI_BOOST,
	KTD_SCHED_CONTENTION_BEGIN,
	KTD_SCHED_CONTENTION_END,
	KTD_SCHED_NR_KINDS,
};

/* CONTENT.form. With these the content is in MEM rows: */
#define KTD_FORM_ARRAY		"array"		/* values_kva + n * stride */
#define KTD_FORM_STRUCT_OPS	"struct_ops"	/* values_kva; and "slots": its programs */
#define KTD_FORM_ARENA		"arena"		/* pages at kern_vm_start + low 32 bits */
#define KTD_FORM_RINGBUF	"ringbuf"	/* facts, pending bytes from data_kva on */
#define KTD_FORM_BLOOM		"bloom"		/* facts, bits at values_kva */
/* and with these in RECORD rows: */
#define KTD_FORM_HASH		"hash"
#define KTD_FORM_PERCPU_HASH	"percpu_hash"
#define KTD_FORM_PERCPU_ARRAY	"percpu_array"
#define KTD_FORM_STORAGE	"storage"
#define KTD_FORM_SLOTS		"slots"
#define KTD_FORM_SLOTS_HASH	"slots_hash"
#define KTD_FORM_STACK		"stack"
#define KTD_FORM_QUEUE		"queue"

#endif /* KTD_SHARED_WIRE_H */
