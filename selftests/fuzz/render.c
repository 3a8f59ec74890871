// SPDX-License-Identifier: GPL-2.0-only
/*
 * BTF and the bytes of a value: what comes out must be a RenderedValue, the same each time,
 * and must come to an end. Services of the renderer answer by what they are asked, so that
 * they too are part of the input.
 *
 * An input is as inputs.h has it: patches, the value, what is on a page of an arena, BTF.
 */
#include <bpf/libbpf.h>

#include "fuzz.h"
#include "render_test.h"

#define USER 0x100000000000ULL
#define KERN 0xffffc90000008000ULL
#define NODES 3000	/* that each value may take, so that none takes long */
#define MAX_PATCHES 64
#define MAX_IDS 3	/* types that are tried, from the one on that is asked for */

enum { FIELDS = 1, KERNEL = 2, NO_SERVICES = 4, BIG_MASK = 8 };

/* A number of members that is not right is what no library can leave unchecked. */
static void patch_one(struct btf *b, const struct render_patch *p)
{
	struct btf_type *t = (struct btf_type *)btf__type_by_id(b, 1 + p->id % (btf__type_cnt(b) - 1));
	unsigned int m = btf_vlen(t) ? p->member % btf_vlen(t) : 0;

	if (p->what % 4 == 0)
		t->name_off = p->value;
	else if (p->what % 4 == 1)
		t->size = p->value;	/* or .type */
	else if (btf_is_int(t))
		*(uint32_t *)(t + 1) = p->value & 0xfffffff;
	else if (btf_is_array(t))
		*(p->what & 4 ? &btf_array(t)->type : &btf_array(t)->nelems) = p->value;
	else if (btf_is_composite(t) && btf_vlen(t))
		*(p->what & 4 ? &btf_members(t)[m].type : &btf_members(t)[m].offset) = p->value;
	else if (btf_is_datasec(t) && btf_vlen(t))
		((uint32_t *)&btf_var_secinfos(t)[m])[p->what / 4 % 3] = p->value;
	else
		t->info ^= 1u << 31;
}

/* ----------------------------------------------------------------------- services */

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
		.has_pid = kva & 16, .pid = -5, .has_id = kva & 32, .id = kva };
	return kva & 8;
}

static bool any_slot(void *ctx, uint64_t kva, struct render_slot *ret)
{
	const struct btf *b = ctx;

	*ret = (struct render_slot){
		.btf = b, .id = kva / 8 % (btf__type_cnt(b) + 2), .skip = kva & 16 ? 8 : 0,
		.shown = !(kva & 0x30), .allocator = kva & 64 ? "some" : NULL, .pos = kva,
		.inside = (kva & 0x180) == 0x180,
	};
	return kva & 8;
}

static bool any_sized(void *ctx, const struct cast_hit *hit, struct render_sized *ret)
{
	const struct btf *b = ctx;

	*ret = (struct render_sized){
		.btf = b, .id = hit->size % (btf__type_cnt(b) + 2), .guess = hit->size & 8, .why = "fuzz",
	};
	return hit->size & 1;
}

static const char *any_region(void *ctx, uint64_t kva)
{
	(void)ctx;
	return kva & 8 ? "region" : NULL;
}

static bool any_cast(void *ctx, const struct btf *btf, const struct btf_type *owner, uint32_t off,
		     struct cast_hit *ret)
{
	uint32_t n = btf__type_cnt(btf) + 2, v = owner->size + off / 8;

	(void)ctx;
	*ret = (struct cast_hit){
		.btf = btf, .id = v % 3 ? v % n : 0, .arena = v & 1, .shape = v & 2, .size = v,
	};
	return v % 5 < 3;
}

static const struct arena arena = { .user = USER, .kern = KERN };

/* ------------------------------------------------------------------------- target */

static void render_one(struct render *r, const struct btf *b, uint32_t id, const uint8_t *data,
		       size_t len, unsigned int outer)
{
	_cleanup_free_ struct render *fresh = malloc(sizeof(*fresh));
	_cleanup_free_ char *text = NULL, *warm = NULL, *cold = NULL;
	uint64_t size;

	must(fresh);
	r->nodes = RENDER_MAX_TOTAL - NODES;
	text = show_nested(r, b, id, data, len, outer);
	/* What was kept of other values must not show in this one. */
	r->nodes = RENDER_MAX_TOTAL - NODES;
	warm = written(r, b, id, data, len, 3);
	*fresh = *r;
	memset(fresh->texts, 0, sizeof(fresh->texts));
	memset(fresh->fwd, 0, sizeof(fresh->fwd));
	fresh->nodes = RENDER_MAX_TOTAL - NODES;
	cold = written(fresh, b, id, data, len, 3);
	must(!strcmp(warm, cold));
	render_type_size(b, id, &size);
}

static void set_services(struct render *r, const struct render_head *h, struct btf *b)
{
	r->nr_cpu_ids = h->flags & BIG_MASK ? 8192 : h->flags >> 4;
	r->arenas = &arena;
	r->nr_arenas = 1;
	r->ctx = b;
	if (h->flags & KERNEL)
		r->kernel = b;
	if (h->flags & NO_SERVICES)
		return;
	r->slot = any_slot;
	r->object = any_object;
	r->resolve_fwd = any_fwd;
	r->sized = any_sized;
	r->region = any_region;
	r->cast = any_cast;
}

static void render_ids(const struct render_head *h, struct btf *b, struct bulk *bulk, const uint8_t *value,
		       size_t len)
{
	const struct render_field fields[] = {
		{ .offset = h->field & ~7, .size = 8, .type = 1u << (h->outer & 31), .btf = b, .btf_id = h->id },
		{ .offset = 256, .btf = b, .btf_id = h->field },
	};
	_cleanup_free_ struct render *r = calloc(1, sizeof(*r));
	uint32_t cnt = btf__type_cnt(b);

	must(r);
	r->bulk = bulk;
	set_services(r, h, b);
	r->fields = fields;
	r->nr_fields = h->flags & FIELDS ? 2 : 0;
	for (uint32_t i = 0; i < MAX_IDS && i <= cnt; i++)
		render_one(r, b, (h->id + i) % (cnt + 1), value, len, h->outer % JSONW_MAX_DEPTH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = { data, size };
	size_t len = sizeof(struct render_head), image_len, value_len;
	_cleanup_free_ uint8_t *value = NULL;
	struct render_patch patches[MAX_PATCHES] = {};
	const uint8_t *image;
	struct bulk *bulk;
	struct render_head h = {};
	struct btf_part part;
	struct btf *b;

	memcpy(&h, in_bytes(&in, &len), len);
	len = h.patches % MAX_PATCHES * sizeof(*patches);
	memcpy(patches, in_bytes(&in, &len), len);
	value_len = h.value;
	value = in_copy(&in, &value_len);
	image_len = h.image % 4096;
	image = in_bytes(&in, &image_len);
	len = h.strings;
	part.strings = in_bytes(&in, &len);
	part.strings_len = len;
	part.types = in.p;
	part.types_len = in.left;
	b = btf_from_part(&part);
	if (!b)
		return -1;
	for (unsigned int i = 0; i < h.patches % MAX_PATCHES && btf__type_cnt(b) > 1; i++)
		patch_one(b, &patches[i]);
	bulk = bulk_create(access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", 1 << 20);
	must(bulk);
	must(!bulk_add_mem(bulk, KERN + 0x1000, image, image_len));
	render_ids(&h, b, bulk, value, value_len);
	bulk_destroy(bulk);
	btf__free(b);
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	libbpf_set_print(NULL);
	return 0;
}
