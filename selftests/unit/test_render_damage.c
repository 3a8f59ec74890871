// SPDX-License-Identifier: GPL-2.0-only
/*
 * Damaged BTF blobs: whatever comes out must be JSON that ktstr can read, and must come
 * to an end. KTDUMP_DAMAGE=N tries N of them; for hours there are fuzz targets.
 */
#include <bpf/libbpf.h>
#include <stdlib.h>

#include "render_test.h"

#define USER 0x100000000000ULL
#define KERN 0xffffc90000008000ULL
#define NODES 3000	/* that each value may take, so that thousands do not take long */

static uint64_t seed = 88172645463325252ULL;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 16) % below;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* Every kind, types that point back to themselves, masks, and what pointers are for. */
static struct btf *healthy(void)
{
	struct btf *b = btf__new_empty();
	int u8, u32, u64, flag, chr, en, en64, fl, arr, flex, fwd, in, node, pn, mask, td, proto, v[3];

	u8 = btf__add_int(b, "u8", 1, 0);
	u32 = btf__add_int(b, "u32", 4, 0);
	u64 = btf__add_int(b, "u64", 8, BTF_INT_SIGNED);
	btf__add_int(b, "u128", 16, 0);
	flag = btf__add_int(b, "_Bool", 1, BTF_INT_BOOL);
	chr = btf__add_int(b, "char", 1, BTF_INT_CHAR);
	en = btf__add_enum(b, "e", 4);
	btf__add_enum_value(b, "A", 1);
	btf__add_enum_value(b, "B", 2);
	btf__add_enum_value(b, "C", 8);
	en64 = btf__add_enum64(b, "e64", 8, true);
	btf__add_enum64_value(b, "BIG", 1ULL << 40);
	fl = btf__add_float(b, "double", 8);
	td = btf__add_typedef(b, "t", btf__add_const(b, btf__add_volatile(b, u32)));
	arr = btf__add_array(b, u32, td, 4);
	arr = btf__add_array(b, u32, arr, 2);
	flex = btf__add_array(b, u32, chr, 0);
	fwd = btf__add_fwd(b, "node", BTF_FWD_STRUCT);
	proto = btf__add_func_proto(b, u32);
	btf__add_func_param(b, "p", u32);
	btf__add_func(b, "f", BTF_FUNC_STATIC, proto);
	pn = btf__add_ptr(b, btf__add_type_tag(b, "address_space(1)", fwd));
	in = btf__add_union(b, NULL, 8);
	btf__add_field(b, "whole", u64, 0, 0);
	btf__add_field(b, "byte", u8, 8, 0);
	btf__add_struct(b, "cpumask", 8);
	mask = btf__type_cnt(b) - 1;
	btf__add_field(b, "bits", u64, 0, 0);
	node = btf__add_struct(b, "node", 96);
	btf__add_field(b, "next", pn, 0, 0);
	btf__add_field(b, NULL, in, 64, 0);
	btf__add_field(b, "arr", arr, 128, 0);
	btf__add_field(b, "mask", mask, 384, 0);
	btf__add_field(b, "e", en, 448, 3);
	btf__add_field(b, "flag", flag, 451, 1);
	btf__add_field(b, "e64", en64, 512, 0);
	btf__add_field(b, "f", fl, 576, 0);
	btf__add_field(b, "pm", btf__type_cnt(b), 640, 0);
	btf__add_field(b, "c", chr, 704, 0);
	btf__add_field(b, "tail", flex, 768, 0);
	btf__add_ptr(b, mask);
	v[0] = btf__add_var(b, "one", BTF_VAR_STATIC, node);
	v[1] = btf__add_var(b, "two", BTF_VAR_STATIC, btf__add_restrict(b, pn));
	v[2] = btf__add_var(b, "three", BTF_VAR_STATIC, arr);
	btf__add_datasec(b, ".data", 160);
	btf__add_datasec_var_info(b, v[0], 0, 104);
	btf__add_datasec_var_info(b, v[1], 104, 8);
	btf__add_datasec_var_info(b, v[2], 112, 32);
	btf__add_decl_tag(b, "tag", node, -1);
	return b;
}

static uint32_t odd_number(uint32_t cnt)
{
	static const uint32_t odd[] = {
		0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 4095, 4096, 65535,
		0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff, 0x01000000, 0x20000000, 0x40000001,
	};

	switch (rnd(4)) {
	case 0:
		return odd[rnd(ARRAY_SIZE(odd))];
	case 1:
		return seed >> 32;
	default:
		return rnd(cnt + 1);
	}
}

/* Cut, bits turned over, words replaced; the header's lengths mostly remain right. */
static void damage(uint8_t *blob, uint32_t *size, uint32_t cnt)
{
	struct btf_header *h = (struct btf_header *)blob;
	unsigned int n = 1 + rnd(6);

	for (unsigned int i = 0; i < n; i++) {
		uint32_t at = sizeof(*h) + rnd(*size - sizeof(*h));

		switch (rnd(8)) {
		case 0:
			blob[at] ^= 1 << rnd(8);
			break;
		case 1:
			blob[rnd(sizeof(*h))] ^= 1 << rnd(8);
			break;
		case 2:
			if (h->type_len > 64 && h->type_len < *size)
				h->type_len -= 4 * rnd(8);
			break;
		case 3:
			*size -= rnd(*size / 8 + 1);
			if (*size < sizeof(*h) + 8)
				*size = sizeof(*h) + 8;
			break;
		default:
			at = sizeof(*h) + 4 * rnd((h->type_len < *size ? h->type_len : *size) / 4 - 6);
			if (at + 4 <= *size) {
				uint32_t v = odd_number(cnt);

				memcpy(blob + at, &v, 4);
			}
		}
	}
}

/*
 * What libbpf of today refuses, and one of tomorrow or yesterday may not. The number of
 * members stays: that they lie in the blob is what no library can leave unchecked.
 */
static void damage_types(struct btf *b)
{
	uint32_t cnt = btf__type_cnt(b);

	for (unsigned int i = 0; i < 1 + rnd(8); i++) {
		struct btf_type *t = (struct btf_type *)btf__type_by_id(b, 1 + rnd(cnt - 1));
		unsigned int m = btf_vlen(t) ? rnd(btf_vlen(t)) : 0;

		if (rnd(4) == 0) {
			t->name_off = odd_number(cnt);
			continue;
		}
		if (rnd(3) == 0) {
			t->size = odd_number(cnt);	/* or .type */
			continue;
		}
		if (rnd(6) == 0) {
			t->info ^= 1u << 31;
			continue;
		}
		switch (btf_kind(t)) {
		case BTF_KIND_INT:
			*(uint32_t *)(t + 1) = odd_number(cnt) & rnd(0x10000000);
			break;
		case BTF_KIND_ARRAY:
			if (rnd(2))
				btf_array(t)->type = odd_number(cnt);
			else
				btf_array(t)->nelems = odd_number(cnt);
			break;
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			if (!btf_vlen(t))
				break;
			if (rnd(3) == 0)
				btf_members(t)[m].offset = odd_number(cnt);
			else if (rnd(2))
				btf_members(t)[m].type = odd_number(cnt);
			else
				btf_members(t)[m].name_off = rnd(2) ? 0 : odd_number(cnt);
			break;
		case BTF_KIND_DATASEC:
			if (!btf_vlen(t))
				break;
			if (rnd(3) == 0)
				btf_var_secinfos(t)[m].type = odd_number(cnt);
			else if (rnd(2))
				btf_var_secinfos(t)[m].offset = odd_number(cnt);
			else
				btf_var_secinfos(t)[m].size = odd_number(cnt);
			break;
		}
	}
}

static bool any_fwd(void *ctx, const char *name, bool is_union, const struct btf **btf_ret,
		    uint32_t *id_ret)
{
	const struct btf *b = ctx;

	*btf_ret = b;
	*id_ret = (strlen(name) * 7 + is_union) % (btf__type_cnt(b) + 2);
	return strlen(name) % 2 == 0;
}

static bool any_object(void *ctx, uint64_t kva, struct render_object *ret)
{
	(void)ctx;
	*ret = (struct render_object){ .kind = "task", .kind_len = 4, .name = "\xff\xfe x", .name_len = 4,
		.has_pid = true, .pid = -5, .has_id = true, .id = kva };
	return kva & 8;
}

static void assert_same(const char *a, const char *b)
{
	size_t i = 0, from;

	while (a[i] && a[i] == b[i])
		i++;
	from = i > 600 ? i - 600 : 0;
	if (a[i] != b[i])
		fail_msg("%.700s\nis not\n%.700s", a + from, b + from);
}

static const struct arena arena = { .user = USER, .kern = KERN };

/* By the address, so that it is the same each time. */
static bool any_slot(void *ctx, uint64_t kva, struct render_slot *ret)
{
	const struct btf *b = ctx;

	*ret = (struct render_slot){
		.btf = b, .id = kva / 8 % (btf__type_cnt(b) + 2), .skip = kva & 16 ? 8 : 0,
		.shown = !(kva & 0x30),
	};
	return kva & 8;
}

static void render_all(const struct btf *b, struct bulk *bulk, const uint8_t *bytes)
{
	struct render_field fields[2];
	uint32_t cnt = btf__type_cnt(b);
	_cleanup_free_ struct render *r = calloc(1, sizeof(*r)), *fresh = malloc(sizeof(*r));

	assert_true(r && fresh);
	r->bulk = bulk;
	r->nr_cpu_ids = odd_number(1000);
	r->arenas = &arena;
	r->nr_arenas = 1;
	r->slot = any_slot;
	r->object = any_object;
	r->resolve_fwd = any_fwd;
	r->ctx = (void *)b;
	fields[0] = (struct render_field){ .offset = 0, .btf = b, .btf_id = rnd(cnt + 1) };
	fields[1] = (struct render_field){ .offset = 8 * rnd(20), .btf = b, .btf_id = rnd(cnt + 1) };
	r->fields = fields;
	r->nr_fields = 2;
	for (uint32_t id = 0; id <= cnt; id++) {
		size_t len = rnd(4) ? 160 : rnd(160);
		/* So that a byte too much is noticed. */
		_cleanup_free_ uint8_t *data = malloc(len ? len : 1);
		_cleanup_free_ char *text = NULL, *warm = NULL, *cold = NULL;
		uint64_t size;

		memcpy(data, bytes, len);
		/* Pointers into the arena, to objects that are there. */
		for (size_t at = 0; at + 8 <= len; at += 8) {
			uint64_t p = USER + 0x1000 + 8 * rnd(100);

			if (rnd(3) == 0)
				memcpy(data + at, &p, 8);
		}
		r->nodes = RENDER_MAX_TOTAL - NODES;
		text = show_nested(r, b, id, data, len, rnd(3) ? 0 : rnd(JSONW_MAX_DEPTH));
		/* What was kept of other values must not show in this one. */
		r->nodes = RENDER_MAX_TOTAL - NODES;
		warm = written(r, b, id, data, len, 3);
		memcpy(fresh, r, offsetof(struct render, fwd));
		memset(&fresh->fwd, 0, sizeof(*fresh) - offsetof(struct render, fwd));
		fresh->nodes = RENDER_MAX_TOTAL - NODES;
		cold = written(fresh, b, id, data, len, 3);
		assert_same(warm, cold);
		render_type_size(b, id, &size);
	}
}

static struct bulk *image(void)
{
	struct bulk *b = bulk_create("/tmp", 1 << 20);
	uint64_t page[512];

	assert_non_null(b);
	for (size_t i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = rnd(2) ? USER + 0x1000 + 8 * rnd(512) : seed;
	assert_int_equal(bulk_add_mem(b, KERN + 0x1000, page, sizeof(page)), 0);
	return b;
}

static unsigned int tries(unsigned int n)
{
	const char *s = getenv("KTDUMP_DAMAGE");

	return s ? (unsigned int)atoi(s) : n;
}

static void test_blobs(void **state)
{
	struct btf *b = healthy();
	struct bulk *bulk = image();
	unsigned int taken = 0, n = tries(800);
	uint8_t bytes[160];
	const void *raw;
	uint32_t size;

	(void)state;
	raw = btf__raw_data(b, &size);
	assert_non_null(raw);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = rnd(256);
	render_all(b, bulk, bytes);
	for (unsigned int i = 0; i < n; i++) {
		_cleanup_free_ uint8_t *blob = malloc(size);
		uint32_t len = size;
		struct btf *bad;

		memcpy(blob, raw, size);
		damage(blob, &len, btf__type_cnt(b));
		bad = btf__new(blob, len);
		if (!bad)
			continue;
		taken++;
		render_all(bad, bulk, bytes);
		btf__free(bad);
	}
	print_message("# %u of %u damaged blobs were taken by libbpf and rendered\n", taken, n);
	assert_true(taken > n / 20);
	bulk_destroy(bulk);
	btf__free(b);
}

static void test_types(void **state)
{
	struct btf *b = healthy();
	struct bulk *bulk = image();
	uint8_t bytes[160];
	const void *raw;
	uint32_t size;

	(void)state;
	raw = btf__raw_data(b, &size);
	assert_non_null(raw);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = rnd(256);
	for (unsigned int i = 0, n = tries(400); i < n; i++) {
		struct btf *bad = btf__new(raw, size);

		assert_non_null(bad);
		damage_types(bad);
		render_all(bad, bulk, bytes);
		btf__free(bad);
	}
	bulk_destroy(bulk);
	btf__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blobs),
		cmocka_unit_test(test_types),
	};

	libbpf_set_print(quiet);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
