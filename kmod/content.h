/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contents of BPF maps. content.c goes over the maps and shares out the buffer and
 * the time, piece.c writes, the map_*.c files and arena.c know one kind of map each,
 * chase.c follows what values point to.
 *
 * A map's file takes element after element until one of the functions here says no;
 * what stopped it is noted by then. It may go on counting.
 */
#ifndef KTD_CONTENT_H
#define KTD_CONTENT_H

#include "capture.h"

/* Types that the oldest supported headers do not know. */
#define MAP_TYPE_INSN_ARRAY	34	/* since 6.19 */
#define MAP_TYPE_RHASH		35	/* since 7.2 */

#define KTD_NO_RINGBUF \
	"RINGBUF state unreadable: BTF lacks bpf_ringbuf_map / bpf_ringbuf (kernel built without ringbuf, or BTF stripped). Wire format remains consumer_pos/producer_pos/mask/pending_pos but the struct field offsets are not resolved on this kernel."

#define KTD_FIELDS_MAX		16	/* BTF_FIELDS_MAX is 11 */
#define KTD_LATER_MAX		256
#define KTD_TOLD_BITS		14
#define KTD_LPM_LEVELS		2056	/* LPM_DATA_SIZE_MAX * 8 and some */

/* What hides behind a pointer. */
enum ktd_target_kind {
	KTD_TARGET_NONE,	/* of no use */
	KTD_TARGET_TASK,	/* these are told by an OBJECT row */
	KTD_TARGET_CGROUP,
	KTD_TARGET_INODE,
	KTD_TARGET_SOCK,
	KTD_TARGET_MAP,
	KTD_TARGET_PROG,
	KTD_TARGET_MEM,		/* this by its bytes */
};

struct ktd_target {
	unsigned long	kva;
	u8		kind;		/* enum ktd_target_kind */
	u8		depth;		/* pointers followed up to here */
	u32		size;		/* bytes, of MEM */
	unsigned long	btf;		/* its type, for what it points to itself */
	u32		btf_id;
};

struct ktd_content {
	struct ktd_capture	*c;

	/* the map */
	unsigned long		map;
	u32			type, key_size, value_size, max_entries, flags;

	/* the CONTENT row */
	const char		*form;
	unsigned long		values_kva;
	u32			stride;
	u64			seen, taken, unreadable;
	const char		*cut;		/* NULL: whole */
	u64			limit;
	const char		*error;
	char			text[112];	/* an error text with a number in it */

	/* what the map may take */
	size_t			end;		/* of its elements, offset in the buffer */
	size_t			chase_end;	/* of what they point to, at or behind end */
	u64			bytes_max;
	u64			start_ns, deadline_ns;
	u32			ticks;
	bool			late;

	/* the open row */
	u8			*row;		/* NULL: none */
	size_t			row_len, row_room;
	unsigned long		row_kva;	/* MEM: of its first byte */

	/* the record stream */
	u64			off;
	u8			*rec;		/* header of the record being written */
	u32			rec_flags;

	/* pointers in values */
	u32			nr_fields;
	struct ktd_target	field[KTD_FIELDS_MAX];	/* kva: offset in the value */
	struct ktd_target	later[KTD_LATER_MAX];
	u32			nr_later;
	u32			chased;

	/* addresses told already, in this snapshot */
	unsigned long		*told;		/* a hash table of 1 << KTD_TOLD_BITS */
	u32			nr_told;

	u64			lpm[KTD_LPM_LEVELS];
};

int ktd_content_init(void);
void ktd_content_exit(void);
/* Behind the freeze: forgets what was told, for the next capture. */
void ktd_content_clean(void);

/* piece.c */

/* True once the map's time is over; reads the clock every 16th call. */
bool ktd_late(struct ktd_content *ct);

/* Notes that the content ends here; the first one counts. Always false. */
bool ktd_cut(struct ktd_content *ct, const char *what, u64 limit);
/* The same for want of time. */
bool ktd_cut_late(struct ktd_content *ct);

/*
 * MEM rows for [kva, kva + len), read at @src: what is readable of it, as far as
 * the map's share goes. Returns the bytes taken.
 */
u64 ktd_mem_from(struct ktd_content *ct, unsigned long kva, unsigned long src, u64 len);

static inline u64 ktd_mem(struct ktd_content *ct, unsigned long kva, u64 len)
{
	return ktd_mem_from(ct, kva, kva, len);
}

/*
 * A record: begin (false: nothing more of this map is taken), then exactly @body
 * bytes with the functions below it, each padded to 8 bytes, then end.
 */
bool ktd_record_begin(struct ktd_content *ct, unsigned long kva, u32 index, u32 extra,
		      u64 body);
/* @len bytes at @kva; @bad is set in the record's flags if they cannot be read. */
void ktd_record_read(struct ktd_content *ct, unsigned long kva, u32 len, u32 bad);
/* The same in one go for several parts at once; false: do it part by part. */
bool ktd_record_read_all(struct ktd_content *ct, unsigned long kva, u32 len);
void ktd_record_u64(struct ktd_content *ct, u64 v);
/* A struct ktd_record_cpu and a value per CPU. */
void ktd_record_percpu(struct ktd_content *ct, unsigned long pptr, u32 len);
void ktd_record_end(struct ktd_content *ct);

static inline u64 ktd_pad(u64 len)
{
	return ALIGN(len, 8);
}

static inline u64 ktd_percpu_bytes(u32 len)
{
	return nr_cpu_ids * (sizeof(struct ktd_record_cpu) + ktd_pad(len));
}

/* Ends the open row, before any other kind of row. */
void ktd_row_close(struct ktd_content *ct);

void ktd_fact(struct ktd_content *ct, const char *name, u64 value);

/* chase.c */

/* FIELD rows; and which fields are pointers worth following. */
void ktd_fields(struct ktd_content *ct);
/* Notes what the value at @kva points to. */
void ktd_chase_value(struct ktd_content *ct, unsigned long kva);
/* Notes an object that deserves a row of its own. */
void ktd_target(struct ktd_content *ct, enum ktd_target_kind kind, unsigned long kva);
/* Writes what was noted. */
void ktd_chase(struct ktd_content *ct);

/* The kva under which BTF rows know this struct btf: 0 for the kernel's own. */
unsigned long ktd_btf_kva(unsigned long btf);

/* The next node of an rb-tree in order, 0 at the end or where the tree is broken. */
unsigned long ktd_rb_next(unsigned long node);

/* One function per kind of map. */
void ktd_take_array(struct ktd_content *ct);
void ktd_take_percpu_array(struct ktd_content *ct);
void ktd_take_insn_array(struct ktd_content *ct);
void ktd_take_queue(struct ktd_content *ct);
void ktd_take_bloom(struct ktd_content *ct);
void ktd_take_htab(struct ktd_content *ct);
void ktd_take_rhtab(struct ktd_content *ct);
void ktd_take_lpm(struct ktd_content *ct);
void ktd_take_storage(struct ktd_content *ct);
void ktd_take_cgroup_storage(struct ktd_content *ct);
void ktd_take_struct_ops(struct ktd_content *ct);
void ktd_take_slots(struct ktd_content *ct);
void ktd_take_devmap_hash(struct ktd_content *ct);
void ktd_take_sockhash(struct ktd_content *ct);
void ktd_take_ringbuf(struct ktd_content *ct);
void ktd_take_stacks(struct ktd_content *ct);
void ktd_take_arena(struct ktd_content *ct);

/* Where a struct_ops map of a sched_ext scheduler says whose it is; 0: another kind. */
unsigned long ktd_scx_ops_priv(unsigned long map);

/* Calls @fn for every program of a struct_ops map. */
void ktd_struct_ops_progs(unsigned long map, void *ctx,
			  void (*fn)(void *ctx, unsigned long link, unsigned long prog));

#endif
