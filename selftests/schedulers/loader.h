/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs share that load the schedulers of this directory. */
#ifndef KTDUMP_SELFTESTS_LOADER_H
#define KTDUMP_SELFTESTS_LOADER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

/* As in scx.h. */
struct exit_record {
	uint32_t seen;
	uint32_t kind;
	int64_t code;
	char reason[64];
	char msg[512];
};

/*
 * Debian 13's static libelf (0.192) wants these from a library that is not
 * packaged.  They serve elf_getdata_rawchunk() alone, which nobody calls here.
 */
__attribute__((weak)) void eu_search_tree_init(void *tree)
{
	(void)tree;
}

__attribute__((weak)) void eu_search_tree_fini(void *tree, void (*free_node)(void *))
{
	(void)tree;
	(void)free_node;
}

static bool verbose;

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("scxrun: ", stderr);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_DEBUG || (level == LIBBPF_INFO && !verbose))
		return 0;
	return vfprintf(stderr, fmt, ap);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/*
 * Where a global variable lives: in the map's initial value before the load, in
 * its mapped memory after it.
 */
static void *variable(struct bpf_object *obj, const char *name, size_t *size)
{
	static const char * const sections[] = { ".rodata", ".data", ".bss", ".data.x" };
	const struct btf *btf = bpf_object__btf(obj);

	for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++) {
		int id = btf__find_by_name_kind(btf, sections[s], BTF_KIND_DATASEC);
		const struct btf_type *sec;
		const struct btf_var_secinfo *v;
		struct bpf_map *map;

		if (id < 0)
			continue;
		sec = btf__type_by_id(btf, id);
		v = btf_var_secinfos(sec);
		for (int i = 0; i < btf_vlen(sec); i++, v++) {
			const struct btf_type *var = btf__type_by_id(btf, v->type);

			if (strcmp(btf__name_by_offset(btf, var->name_off), name))
				continue;
			bpf_object__for_each_map(map, obj) {
				size_t map_size;
				char *value;

				/* Map names begin with the object's: "dsq.bss". */
				if (!bpf_map__is_internal(map) ||
				    !ends_with(bpf_map__name(map), sections[s]))
					continue;
				value = bpf_map__initial_value(map, &map_size);
				if (!value || v->offset + v->size > map_size)
					continue;
				*size = v->size;
				return value + v->offset;
			}
		}
	}
	return NULL;
}

static struct bpf_map *ops_map(struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			return map;
	die("the object has no struct_ops map");
	return NULL;
}

static void print_exit(const struct exit_record *r)
{
	printf("exit kind=%u code=%lld reason=\"%s\" msg=\"%s\"\n", r->kind, (long long)r->code,
	       r->reason, r->msg);
	fflush(stdout);
}

#endif
