/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A look into the running kernel's own BTF, at load time only.
 *
 * The kernel's BTF functions are not exported and must not be called by
 * address (IBT seals them), so this walks the blob of /sys/kernel/btf/vmlinux
 * itself. Process context, may sleep (vmalloc). Compiled for userland too: the
 * unit tests run it over every kernel's BTF and compare with libbpf.
 */
#ifndef KTD_BTF_H
#define KTD_BTF_H

#include "compat.h"

struct ktd_btf {
	const u8	*data;		/* the blob; owned by the caller */
	size_t		size;
	const u8	*types;		/* type section */
	u32		types_len;
	const char	*strs;		/* string section, NUL-terminated at its end */
	u32		strs_len;
	u32		*offs;		/* type id -> offset in the type section */
	u32		nr_types;	/* ids 1 .. nr_types - 1 */
};

/* How the bytes of a member become a value. */
enum ktd_kind {
	KTD_KIND_NONE,		/* a struct: only its place is of use */
	KTD_KIND_UINT,
	KTD_KIND_INT,
	KTD_KIND_BOOL,
	KTD_KIND_PTR,
	KTD_KIND_STR,		/* char array, NUL-terminated or full */
};

struct ktd_place {
	u32	off;		/* bytes from the start of the outer struct */
	u32	size;		/* bytes */
	u8	bit_off;	/* bit-field: first bit in the bytes at off */
	u8	bit_size;	/* bit-field: width; 0 = not a bit-field */
	u8	kind;		/* enum ktd_kind */
};

/*
 * Index a BTF blob. @btf refers to @data until ktd_btf_exit(). Returns 0,
 * -EINVAL for a damaged blob, -ENOMEM.
 */
int ktd_btf_init(struct ktd_btf *btf, const void *data, size_t size);
void ktd_btf_exit(struct ktd_btf *btf);

/*
 * Type ids of @nr structs by name into @ids; 0 = there is none. Of several with
 * one name the largest counts. One pass over all types.
 */
void ktd_btf_find_structs(const struct ktd_btf *btf, const char *const *names,
			  u32 *ids, unsigned int nr);

/* Size in bytes of struct @id. */
u32 ktd_btf_struct_size(const struct ktd_btf *btf, u32 id);

/*
 * Place of @path ("scx.nr_running", through anonymous members too) in struct
 * @id. Returns 0 or -ENOENT; @ret untouched on failure.
 */
int ktd_btf_member(const struct ktd_btf *btf, u32 id, const char *path,
		   struct ktd_place *ret);

/* Name and byte offset of member @idx of struct @id, NULL past the last. */
const char *ktd_btf_member_at(const struct ktd_btf *btf, u32 id, u32 idx, u32 *off);

/*
 * Calls @fn for every enumerator of the enum named @name; values arrive
 * zero-extended from the enum's own width. Returns how many there were.
 */
u32 ktd_btf_enum(const struct ktd_btf *btf, const char *name,
		 void (*fn)(void *ctx, const char *name, u64 value), void *ctx);

#endif
