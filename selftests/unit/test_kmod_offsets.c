// SPDX-License-Identifier: GPL-2.0-only
/*
 * The offset table against the BTF of every sched_ext kernel that the build
 * root holds (KTDUMP_BTF_DIR, default /opt/kernels/RELEASE/btf): each place
 * must be where libbpf says it is. Prints which member is where on which
 * kernel.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>
#include <cmocka.h>

#include "../../kmod/offsets.h"

#define KERNELS_MAX	32

static struct kernel {
	char			release[64];
	void			*blob;
	size_t			size;
	struct ktd_offsets	off;
} kernels[KERNELS_MAX];
static unsigned int nr_kernels;

static void *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	void *p;
	long n;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	p = malloc(n);
	assert_non_null(p);
	assert_int_equal(fread(p, 1, n, f), n);
	fclose(f);
	*size = n;
	return p;
}

static int load_kernels(void **state)
{
	const char *dir = getenv("KTDUMP_BTF_DIR");
	char pattern[256];
	glob_t g;
	size_t i;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/*/btf", dir ? dir : "/opt/kernels");
	if (glob(pattern, 0, NULL, &g))
		return 0;
	for (i = 0; i < g.gl_pathc && nr_kernels < KERNELS_MAX; i++) {
		struct kernel *k = &kernels[nr_kernels++];
		const char *rel = g.gl_pathv[i] + strlen(pattern) - strlen("*/btf");
		struct ktd_btf btf;

		snprintf(k->release, sizeof(k->release), "%.*s", (int)strcspn(rel, "/"), rel);
		k->blob = read_file(g.gl_pathv[i], &k->size);
		assert_int_equal(ktd_btf_init(&btf, k->blob, k->size), 0);
		ktd_offsets_resolve(&k->off, &btf);
		ktd_btf_exit(&btf);
	}
	globfree(&g);
	return 0;
}

static int free_kernels(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < nr_kernels; i++)
		free(kernels[i].blob);
	return 0;
}

static __s32 peel(const struct btf *btf, __s32 id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (btf_is_mod(t) || btf_is_typedef(t)) {
		id = t->type;
		t = btf__type_by_id(btf, id);
	}
	return id;
}

/* The same question asked of libbpf. Bits from the start, -1 for no such path. */
static long libbpf_bits(const struct btf *btf, __s32 id, const char *path)
{
	size_t len = strcspn(path, ".");
	const struct btf_type *t = btf__type_by_id(btf, id);
	unsigned int i;

	if (!btf_is_composite(t))
		return -1;
	for (i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = btf_members(t) + i;
		const char *name = btf__name_by_offset(btf, m->name_off);
		long here = btf_member_bit_offset(t, i), in;

		if (*name && (strncmp(name, path, len) || name[len]))
			continue;
		if (*name && !path[len])
			return here;
		in = libbpf_bits(btf, peel(btf, m->type), *name ? path + len + 1 : path);
		if (in >= 0)
			return here + in;
		if (*name)
			return -1;
	}
	return -1;
}

static void places_agree_with_libbpf(void **state)
{
	unsigned int k, id;

	(void)state;
	if (!nr_kernels)
		skip();
	for (k = 0; k < nr_kernels; k++) {
		struct btf *btf = btf__new(kernels[k].blob, kernels[k].size);
		const struct ktd_offsets *o = &kernels[k].off;

		assert_non_null(btf);
		for (id = 1; id < KTD_NR_MEMBERS; id++) {
			const char *s = ktd_member_struct(id), *p = ktd_member_path(id);
			__s32 type = btf__find_by_name_kind(btf, s, BTF_KIND_STRUCT);
			long bits = type > 0 ? libbpf_bits(btf, type, p) : -1;

			if ((bits >= 0) != o->have[id])
				fail_msg("%s: %s.%s: libbpf says %ld, the table %d",
					 kernels[k].release, s, p, bits, o->have[id]);
			if (bits >= 0)
				assert_int_equal(bits, o->place[id].off * 8L +
						       o->place[id].bit_off);
		}
		btf__free(btf);
	}
}

/* From 6.16 on no group may be missing: that is what the module is for. */
static void no_group_is_missing(void **state)
{
	char why[512];
	unsigned int k, g;

	(void)state;
	if (!nr_kernels)
		skip();
	for (k = 0; k < nr_kernels; k++) {
		for (g = 0; g < KTD_NR_GROUPS; g++) {
			if (ktd_group_missing(&kernels[k].off, g, why, sizeof(why)))
				fail_msg("%s: group %s: %s", kernels[k].release,
					 ktd_group_name(g), why);
			assert_false(kernels[k].off.group_missing[g]);
		}
	}
}

static void print_table(void **state)
{
	unsigned int k, id;

	(void)state;
	if (!nr_kernels)
		skip();
	printf("# %-48s", "byte offset on");
	for (k = 0; k < nr_kernels; k++)
		printf(" %7.*s", (int)strcspn(kernels[k].release, "+"), kernels[k].release);
	printf("\n");
	for (id = 1; id < KTD_NR_MEMBERS; id++) {
		printf("# %-22s %-25s", ktd_member_struct(id), ktd_member_path(id));
		for (k = 0; k < nr_kernels; k++) {
			if (kernels[k].off.have[id])
				printf(" %7u", kernels[k].off.place[id].off);
			else
				printf(" %7s", "-");
		}
		printf("\n");
	}
	printf("# %-48s", "scx_event_stats: counters");
	for (k = 0; k < nr_kernels; k++)
		printf(" %7u", kernels[k].off.nr_events);
	printf("\n");
}

/* A group is named with its members when the BTF lacks them. */
static void missing_group_is_named(void **state)
{
	struct ktd_offsets o;
	struct ktd_btf btf;
	struct btf *b = btf__new_empty();
	const void *data;
	char why[512];
	__u32 size;
	int u32id;

	(void)state;
	u32id = btf__add_int(b, "unsigned int", 4, 0);
	btf__add_struct(b, "rq", 8);
	btf__add_field(b, "nr_running", u32id, 0, 0);
	data = btf__raw_data(b, &size);
	assert_int_equal(ktd_btf_init(&btf, data, size), 0);
	ktd_offsets_resolve(&o, &btf);
	assert_true(o.have[KTD_M_RQ_NR_RUNNING]);
	assert_true(o.group_missing[KTD_GRP_RQ]);
	ktd_group_missing(&o, KTD_GRP_RQ, why, sizeof(why));
	assert_string_equal(why, "struct rq: curr, scx");
	ktd_group_missing(&o, KTD_GRP_LNODE, why, sizeof(why));
	assert_string_equal(why, "struct scx_dsq_list_node: node, flags");
	ktd_btf_exit(&btf);
	btf__free(b);
}

/* A kernel without a type of map lacks nothing; one with half of its struct does. */
static void unknown_map_types(void **state)
{
	struct ktd_offsets o;
	struct ktd_btf btf;
	struct btf *b = btf__new_empty();
	const void *data;
	char why[512];
	__u32 size;
	int u32id;

	(void)state;
	u32id = btf__add_int(b, "unsigned int", 4, 0);
	btf__add_struct(b, "bpf_dtab", 8);
	btf__add_field(b, "n_buckets", u32id, 0, 0);
	btf__add_struct(b, "bucket", 24);
	btf__add_field(b, "head", u32id, 64, 0);
	data = btf__raw_data(b, &size);
	assert_int_equal(ktd_btf_init(&btf, data, size), 0);
	ktd_offsets_resolve(&o, &btf);
	assert_false(o.group_missing[KTD_GRP_RHTAB]);
	assert_false(o.have[KTD_M_RHTAB_HT]);
	assert_true(o.group_missing[KTD_GRP_DEVMAP]);
	ktd_group_missing(&o, KTD_GRP_DEVMAP, why, sizeof(why));
	assert_string_equal(why, "struct bpf_dtab: netdev_map, dev_index_head");
	assert_int_equal(o.strct[KTD_S_BUCKET].size, 24);
	assert_int_equal(o.strct[KTD_S_LS_BUCKET].id, 0);
	ktd_btf_exit(&btf);
	btf__free(b);
}

/* A member narrower than expected elsewhere keeps its own width and kind. */
static void width_and_kind(void **state)
{
	struct ktd_offsets o;
	struct ktd_btf btf;
	struct btf *b = btf__new_empty();
	int s8id, u8id, chr, arr, bits, word, raw;
	const void *data;
	__u32 size;

	(void)state;
	s8id = btf__add_int(b, "signed char", 1, BTF_INT_SIGNED);
	u8id = btf__add_int(b, "unsigned char", 1, 0);
	chr = btf__add_int(b, "char", 1, BTF_INT_SIGNED);
	bits = btf__add_int(b, "unsigned int", 4, 0);
	arr = btf__add_array(b, bits, chr, 16);
	btf__add_struct(b, "task_struct", 64);
	btf__add_field(b, "prio", s8id, 8, 0);
	btf__add_field(b, "on_cpu", u8id, 16, 0);
	btf__add_field(b, "comm", arr, 64, 0);
	btf__add_field(b, "policy", bits, 32 + 3, 5);
	/* With DEBUG_SPINLOCK a lock is more than its word. */
	word = btf__add_struct(b, "qspinlock", 4);
	btf__add_field(b, "val", bits, 0, 0);
	raw = btf__add_struct(b, "raw_spinlock", 12);
	btf__add_field(b, "raw_lock", word, 0, 0);
	btf__add_field(b, "magic", bits, 32, 0);
	btf__add_field(b, "owner_cpu", bits, 64, 0);
	btf__add_struct(b, "scx_dispatch_q", 24);
	btf__add_field(b, "lock", raw, 64, 0);
	data = btf__raw_data(b, &size);
	assert_int_equal(ktd_btf_init(&btf, data, size), 0);
	ktd_offsets_resolve(&o, &btf);
	assert_int_equal(o.place[KTD_M_TASK_PRIO].kind, KTD_KIND_INT);
	assert_int_equal(o.place[KTD_M_TASK_PRIO].size, 1);
	assert_int_equal(o.place[KTD_M_TASK_ON_CPU].kind, KTD_KIND_UINT);
	assert_int_equal(o.place[KTD_M_TASK_ON_CPU].size, 1);
	assert_int_equal(o.place[KTD_M_TASK_ON_CPU].off, 2);
	assert_int_equal(o.place[KTD_M_TASK_COMM].kind, KTD_KIND_STR);
	assert_int_equal(o.place[KTD_M_TASK_COMM].size, 16);
	assert_int_equal(o.place[KTD_M_TASK_POLICY].off, 4);
	assert_int_equal(o.place[KTD_M_TASK_POLICY].bit_off, 3);
	assert_int_equal(o.place[KTD_M_TASK_POLICY].bit_size, 5);
	assert_int_equal(o.place[KTD_M_TASK_POLICY].size, 1);
	assert_int_equal(o.place[KTD_M_DSQ_LOCK].kind, KTD_KIND_UINT);
	assert_int_equal(o.place[KTD_M_DSQ_LOCK].off, 8);
	assert_int_equal(o.place[KTD_M_DSQ_LOCK].size, 4);
	ktd_btf_exit(&btf);
	btf__free(b);
}

static void find(void *ctx, const char *name, u64 value)
{
	u64 *found = ctx;

	if (!strcmp(name, "NEG"))
		*found = value;
}

static void enumerators(void **state)
{
	struct btf *b = btf__new_empty();
	struct ktd_btf btf;
	const void *data;
	u64 found = 0;
	__u32 size;

	(void)state;
	btf__add_enum(b, "flags", 4);
	btf__add_enum_value(b, "ONE", 1);
	btf__add_enum_value(b, "NEG", INT32_MIN);
	btf__add_enum64(b, "ids", 8, false);
	btf__add_enum64_value(b, "NEG", 1ULL << 63 | 2);
	data = btf__raw_data(b, &size);
	assert_int_equal(ktd_btf_init(&btf, data, size), 0);
	assert_int_equal(ktd_btf_enum(&btf, "flags", find, &found), 2);
	assert_true(found == 0x80000000u);
	assert_int_equal(ktd_btf_enum(&btf, "ids", find, &found), 1);
	assert_true(found == (1ULL << 63 | 2));
	assert_int_equal(ktd_btf_enum(&btf, "nothing", find, &found), 0);
	ktd_btf_exit(&btf);
	btf__free(b);
}

/* A blob cut anywhere, or with any byte changed, is refused or harmless. */
static void damaged_blobs(void **state)
{
	struct btf *b = btf__new_empty();
	struct ktd_offsets o;
	struct ktd_btf btf;
	const void *data;
	__u32 size, i;
	u8 *copy;
	int id;

	(void)state;
	id = btf__add_int(b, "unsigned int", 4, 0);
	btf__add_struct(b, "rq", 8);
	btf__add_field(b, "nr_running", id, 0, 0);
	btf__add_typedef(b, "loop", 3);
	data = btf__raw_data(b, &size);
	for (i = 0; i < size; i++) {
		/* exactly i bytes, so that a read behind the end is seen */
		copy = malloc(i ? i : 1);
		memcpy(copy, data, i);
		if (!ktd_btf_init(&btf, copy, i))
			ktd_offsets_resolve(&o, &btf);
		ktd_btf_exit(&btf);
		free(copy);
	}
	for (i = 0; i < size * 8; i++) {
		copy = malloc(size);
		memcpy(copy, data, size);
		copy[i / 8] ^= 1 << i % 8;
		if (!ktd_btf_init(&btf, copy, size))
			ktd_offsets_resolve(&o, &btf);
		ktd_btf_exit(&btf);
		free(copy);
	}
	btf__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_agree_with_libbpf),
		cmocka_unit_test(no_group_is_missing),
		cmocka_unit_test(print_table),
		cmocka_unit_test(missing_group_is_named),
		cmocka_unit_test(unknown_map_types),
		cmocka_unit_test(width_and_kind),
		cmocka_unit_test(enumerators),
		cmocka_unit_test(damaged_blobs),
	};

	return cmocka_run_group_tests(tests, load_kernels, free_kernels);
}
