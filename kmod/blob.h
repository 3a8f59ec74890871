/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The BTF that maps and programs refer to, and the kernel's own: copied while
 * parked, sent by content hash to a collector that asks for it.
 */
#ifndef KTD_BLOB_H
#define KTD_BLOB_H

#include <crypto/sha2.h>

#include "buffer.h"
#include "frame.h"

#define KTD_BTF_PATH	"/sys/kernel/btf/vmlinux"
#define KTD_BTFS_MAX	512	/* in one snapshot, besides the kernel's own */

/* One BTF object in a snapshot: a private record. */
struct ktd_blob {
	unsigned long	kva;		/* struct btf */
	u32		id;
	u32		size;		/* bytes, in data[] unless ->own or ->error */
	bool		kernel, split;
	bool		own;		/* the kernel's own: not copied */
	bool		hashed;		/* sender: hash[] is valid */
	const char	*error;		/* why it was not copied: constant text */
	char		name[64];
	u8		hash[SHA256_DIGEST_SIZE];
	u8		data[];
};

/*
 * Opens and hashes the kernel's own BTF. Returns the bytes in vmalloc memory, which
 * the caller frees, or an error. ktd_blob_exit() in either case.
 */
void *ktd_blob_init(size_t *size);
void ktd_blob_exit(void);

/*
 * Sender: the BTF rows of @snap in a sink that the caller frees (kvfree), and
 * how many. Hashes what has no hash yet. NULL: no memory, or the thread shall
 * stop.
 */
struct ktd_sink *ktd_btf_rows(const struct ktd_snapshot *snap, u32 *nr);

/*
 * Sender: BLOB rows of the BTF rows whose bit is set in @wanted, as frames; those with
 * equal bytes once.
 */
int ktd_btf_send(const struct ktd_snapshot *snap, const unsigned long *wanted,
		 struct ktd_frames *f);

/* Sets the bits of all rows; @own: of the kernel's own too. */
void ktd_btf_want(const struct ktd_snapshot *snap, unsigned long *wanted, bool own);

#endif
