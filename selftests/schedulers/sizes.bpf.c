// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of an arena that the allocators of the scx schedulers give out, kept in fields
 * that BTF calls u64. Only looked at as an object file: what each field is, is written
 * down in tests/casts.py.
 */
#include "scx.h"

#define __arena __attribute__((address_space(1)))

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
	__ulong(map_extra, 0x1ull << 44);
} arena SEC(".maps");

struct sdt_data {
	u64 tid;
	u64 payload[];
};

struct scx_allocator {
	struct sdt_data __arena *next;
};

struct scx_static {
	u64 max_alloc_bytes;
	void __arena *memory;
	u64 off;
};

struct sz_holder {
	u64 one;		/* 40 bytes */
	u64 many;		/* so many as the caller wants */
	u64 either;		/* 40 or 48 bytes */
	u64 slot;		/* sdt_data */
	u64 number;
};

struct sz_copy {
	u64 one;		/* what a holder's has */
};

struct scx_allocator slots;
struct scx_static region;
struct sz_holder holder;
struct sz_copy copy;

__weak u64 scx_static_alloc_internal(size_t bytes, size_t alignment)
{
	u64 addr = (u64)region.memory + region.off, padding = -addr & (alignment - 1);

	asm volatile("" :: "r"(&arena));
	if (region.off + padding + bytes > region.max_alloc_bytes)
		return 0;
	region.off += padding + bytes;
	return addr + padding;
}

__weak u64 scx_alloc_internal(struct scx_allocator *alloc)
{
	struct sdt_data __arena *data;

	asm volatile("" :: "r"(&arena));
	if (!alloc)
		return 0;
	data = alloc->next;
	return (u64)data;
}

s32 SCX_OP_SLEEPABLE(sizes_init)
{
	u64 wanted = bpf_get_prandom_u32();

	holder.one = scx_static_alloc_internal(40, 8);
	holder.many = scx_static_alloc_internal(wanted, 8);
	if (wanted & 1)
		holder.either = scx_static_alloc_internal(40, 8);
	else
		holder.either = scx_static_alloc_internal(48, 8);
	holder.slot = scx_alloc_internal(&slots);
	holder.number = wanted;
	*(volatile u64 *)&copy.one = *(volatile u64 *)&holder.one;
	return 0;
}
