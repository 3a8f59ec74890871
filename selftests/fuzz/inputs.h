/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inputs of the targets cast and render: a head, then the parts whose lengths it has, in
 * its order. The unit tests write what they look at in this form when KTDUMP_SEEDS names a
 * directory.
 *
 * BTF is types and strings without a header: that one never is what is wrong.
 */
#ifndef INPUTS_H
#define INPUTS_H

#include <stdio.h>
#include <string.h>
#include <bpf/btf.h>

#include "cast.h"

struct btf_part {
	const void *types, *strings;
	uint32_t types_len, strings_len;
};

static inline struct btf_part btf_part(const struct btf *b)
{
	uint32_t size;
	const struct btf_header *h = b ? btf__raw_data(b, &size) : NULL;
	const uint8_t *p = (const uint8_t *)h;

	if (!h)
		return (struct btf_part){};
	p += h->hdr_len;
	return (struct btf_part){ p + h->type_off, p + h->str_off, h->type_len, h->str_len };
}

/* NULL when libbpf does not take it. */
static inline struct btf *btf_from_part(const struct btf_part *part)
{
	struct btf_header h = {
		.magic = BTF_MAGIC, .version = BTF_VERSION, .hdr_len = sizeof(h),
		.type_len = part->types_len & ~3U, .str_off = part->types_len & ~3U,
		.str_len = part->strings_len + 2,
	};
	uint8_t *blob = calloc(1, sizeof(h) + h.type_len + h.str_len), *strings;
	struct btf *b;

	if (!blob)
		return NULL;
	strings = blob + sizeof(h) + h.type_len;
	memcpy(blob, &h, sizeof(h));
	memcpy(blob + sizeof(h), part->types, h.type_len);
	memcpy(strings, part->strings, part->strings_len);
	/* The first is empty, the last one ends. */
	strings[0] = '\0';
	b = btf__new(blob, sizeof(h) + h.type_len + h.str_len);
	free(blob);
	return b;
}

/* One per seed; KTDUMP_SEEDS is set. */
static inline FILE *seed_open(void)
{
	static unsigned int nr;
	char path[512];

	snprintf(path, sizeof(path), "%s/%05u", getenv("KTDUMP_SEEDS"), nr++);
	return fopen(path, "w");
}

/* ------------------------------------------------------------------------- render */

struct render_head {
	uint16_t id, patches;
	uint16_t value, image, strings;	/* bytes; types are what is left */
	uint8_t flags, outer, field, pad;
};

/* Makes of loaded BTF what libbpf of today refuses, and one of tomorrow may not. */
struct render_patch {
	uint16_t id;
	uint8_t what, member;
	uint32_t value;
};

static inline void render_seed(const struct btf *b, uint32_t id, const void *value, size_t len)
{
	struct btf_part part = btf_part(b);
	struct render_head h = { .id = id, .value = len, .strings = part.strings_len };
	FILE *f;

	if (len > 4096 || part.types_len > 16384 || part.strings_len > 8192)
		return;
	f = seed_open();
	if (!f)
		return;
	fwrite(&h, sizeof(h), 1, f);
	fwrite(value, 1, len, f);
	fwrite(part.strings, 1, part.strings_len, f);
	fwrite(part.types, 1, part.types_len, f);
	fclose(f);
}

/* --------------------------------------------------------------------------- cast */

struct cast_head {
	uint8_t flags;
	uint8_t maps, funcs, calls;	/* how many */
	uint16_t insns, ctx_proto;
	uint16_t own_types, own_strings, kernel_types, kernel_strings;	/* bytes */
};

struct cast_map_part {
	uint64_t kva, values;	/* addresses of it and of its first value */
	uint32_t len, value_type, type, value_size;
};

struct cast_func_part {
	uint16_t insn, id;
};

struct cast_call_part {		/* what a call of this number calls */
	int32_t imm;
	char name[28];
};

enum { CAST_LINKED = 1, CAST_SPLIT = 2 };

static inline void cast_seed(const struct cast_prog *p, const struct cast_map_part *maps,
			     const struct cast_call_part *calls, unsigned int nr_calls)
{
	struct btf_part own = btf_part(p->btf), kernel = btf_part(p->kernel);
	struct cast_head h = {
		.flags = p->linked ? CAST_LINKED : 0, .maps = p->nr_maps, .funcs = p->nr_funcs,
		.calls = nr_calls, .insns = p->nr, .ctx_proto = p->ctx_proto,
		.own_types = own.types_len, .own_strings = own.strings_len,
		.kernel_types = kernel.types_len, .kernel_strings = kernel.strings_len,
	};
	FILE *f = p->nr > 1024 ? NULL : seed_open();

	if (!f)
		return;
	fwrite(&h, sizeof(h), 1, f);
	fwrite(maps, sizeof(*maps), h.maps, f);
	for (unsigned int i = 0; i < h.funcs; i++)
		fwrite(&(struct cast_func_part){ p->funcs[i].insn, p->funcs[i].id },
		       sizeof(struct cast_func_part), 1, f);
	fwrite(calls, sizeof(*calls), h.calls, f);
	fwrite(p->insns, sizeof(*p->insns), p->nr, f);
	fwrite(own.types, 1, own.types_len, f);
	fwrite(own.strings, 1, own.strings_len, f);
	fwrite(kernel.types, 1, kernel.types_len, f);
	fwrite(kernel.strings, 1, kernel.strings_len, f);
	fclose(f);
}

#endif
