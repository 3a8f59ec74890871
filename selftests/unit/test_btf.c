// SPDX-License-Identifier: GPL-2.0-only
/* BTF from BLOB rows to libbpf: the kernel's, split, absent, damaged in thousands of ways. */
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <openssl/sha.h>
#include <linux/btf.h>

#include "gen.h"
#include "log.h"
#include "report.h"

#define NR_MUTATIONS 3000
#define PROG 0xffff8880000a0000ull

static struct snapshot *snap;
static struct report report;
static bool header_sent;

static void add(enum ktd_table_id id, struct gen *g)
{
	const char *why = NULL;

	assert_int_equal(snapshot_add(snap, id, g->payload.data, g->payload.size, &why), 0);
	msgpack_sbuffer_clear(&g->payload);
}

static void pack_bin(struct gen *g, const void *data, size_t len)
{
	msgpack_pack_bin(&g->pk, len);
	msgpack_pack_bin_body(&g->pk, data, len);
}

static void start(void)
{
	snap = snapshot_create("test", "boot", 1, 64 << 20);
	assert_non_null(snap);
	header_sent = false;
}

static void btf_row(struct gen *g, uint64_t kva, bool kernel, bool split, uint64_t size,
		    const uint8_t *hash)
{
	if (!header_sent)
		gen_row(g, "sssssss", "kva", "name", "kernel", "split", "size", "hash", "error");
	header_sent = true;
	msgpack_pack_array(&g->pk, 7);
	msgpack_pack_uint64(&g->pk, kva);
	gen_str(g, kernel ? "vmlinux" : "");
	if (kernel)
		msgpack_pack_true(&g->pk);
	else
		msgpack_pack_false(&g->pk);
	if (split)
		msgpack_pack_true(&g->pk);
	else
		msgpack_pack_false(&g->pk);
	msgpack_pack_uint64(&g->pk, size);
	if (hash)
		pack_bin(g, hash, BTF_HASH_BYTES);
	else
		msgpack_pack_nil(&g->pk);
	gen_str(g, hash ? "" : "the guest's reason");
	add(KTD_TBL_BTF, g);
}

static void blob_rows(struct gen *g, const uint8_t *hash, const uint8_t *data, size_t len)
{
	gen_row(g, "sss", "hash", "off", "data");
	for (size_t off = 0; off < len;) {
		size_t n = len - off < 5000 ? len - off : 5000;

		msgpack_pack_array(&g->pk, 3);
		pack_bin(g, hash, BTF_HASH_BYTES);
		msgpack_pack_uint64(&g->pk, off);
		pack_bin(g, data + off, n);
		off += n;
		add(KTD_TBL_BLOB, g);
	}
}

/* A row and its bytes. */
static void send_btf(struct gen *g, uint64_t kva, bool kernel, bool split, const void *data, size_t len)
{
	uint8_t hash[BTF_HASH_BYTES];

	SHA256(data, len, hash);
	btf_row(g, kva, kernel, split, len, hash);
	blob_rows(g, hash, data, len);
}

static void look(void)
{
	report = (struct report){ .snap = snap };
	assert_int_equal(btfs_init(&report), 0);
}

static void stop(void)
{
	btfs_deinit(&report);
	snapshot_destroy(snap);
}

static struct btf *make_kernel(void)
{
	struct btf *b = btf__new_empty();
	char name[32];
	int id;

	id = btf__add_int(b, "int", 4, BTF_INT_SIGNED);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "struct_%d", i);
		btf__add_struct(b, name, 8);
		btf__add_field(b, "a", id, 0, 0);
		btf__add_field(b, "b", i ? id + 1 : id, 32, 0);
		btf__add_ptr(b, id);
		btf__add_array(b, id, id, i);
	}
	btf__add_enum(b, "color", 4);
	btf__add_enum_value(b, "RED", 1);
	return b;
}

static void test_kernel_and_split(void **state)
{
	struct btf *kernel = make_kernel(), *split = btf__new_empty_split(kernel);
	const struct btf *got;
	const char *why = NULL;
	const void *data;
	struct gen g;
	uint32_t len;
	int id;

	(void)state;
	gen_init(&g);
	start();
	data = btf__raw_data(kernel, &len);
	send_btf(&g, 0, true, false, data, len);
	id = btf__add_struct(split, "of_the_program", 8);
	btf__add_field(split, "base", btf__find_by_name(kernel, "int"), 0, 0);
	data = btf__raw_data(split, &len);
	send_btf(&g, PROG, false, true, data, len);
	look();
	assert_int_equal(report_nr_btfs(&report), 2);
	got = report_btf(&report, PROG, &why);
	if (!got)
		print_error("%s\n", why);
	assert_non_null(got);
	assert_int_equal(btf__find_by_name(got, "of_the_program"), id);
	assert_ptr_equal(btf__base_btf(got), report_kernel_btf(&report, &why));
	assert_ptr_equal(report_btf(&report, 0, NULL), report_kernel_btf(&report, NULL));
	assert_ptr_equal(report_prog_btf(&report, 1), got);
	assert_null(report_prog_btf(&report, 0));
	assert_true(btf__find_by_name(got, "struct_7") > 0);
	assert_null(why);
	stop();
	btf__free(split);
	btf__free(kernel);
	gen_deinit(&g);
}

static void assert_why(uint64_t kva, const char *want)
{
	for (int again = 0; again < 2; again++) {
		const char *why = NULL;

		assert_null(report_btf(&report, kva, &why));
		assert_non_null(why);
		assert_string_equal(why, want);
		assert_null(report_btf(&report, kva, NULL));
	}
}

static void test_reasons(void **state)
{
	static const uint8_t hash[6][BTF_HASH_BYTES] = { "", "1", "2", "3", "4", "5" };
	struct gen g;

	(void)state;
	gen_init(&g);
	start();
	look();
	assert_int_equal(report_nr_btfs(&report), 0);
	assert_why(0, "the guest did not send its kernel's BTF");
	assert_why(PROG, "the guest does not know this BTF");
	btfs_deinit(&report);

	btf_row(&g, 1, false, false, 1000, NULL);
	btf_row(&g, 2, false, false, 1000, hash[1]);
	btf_row(&g, 3, false, false, 6000, hash[2]);
	blob_rows(&g, hash[2], (const uint8_t[5000]){}, 5000);
	btf_row(&g, 4, false, false, 5000, hash[3]);
	blob_rows(&g, hash[3], (const uint8_t[5000]){}, 5000);
	btf_row(&g, 5, false, false, 65ull << 20, hash[4]);
	btf_row(&g, 6, false, false, UINT64_MAX, hash[5]);
	send_btf(&g, 7, false, false, "too short", 9);
	send_btf(&g, 8, false, true, "split", 5);
	look();
	assert_why(1, "BTF not captured: the guest's reason");
	assert_why(2, "BTF not there: the guest did not send it");
	assert_why(3, "BTF not there: the stream ends within it");
	assert_why(4, "BTF not there: its bytes are not those of the hash");
	assert_why(5, "BTF not there: larger than 64 MiB");
	assert_why(6, "BTF not there: larger than 64 MiB");
	assert_why(7, "BTF cannot be read");
	assert_why(8, "BTF needs the kernel's: the guest did not send its kernel's BTF");
	for (size_t i = 0; i < report_nr_btfs(&report); i++)
		assert_null(report_prog_btf(&report, i));
	stop();

	/* The kernel's own claims to stand on the kernel's own. */
	start();
	send_btf(&g, 0, true, true, "split", 5);
	look();
	assert_why(0, "BTF needs the kernel's: it stands on itself");
	stop();

	/* No room for it. */
	start();
	snap->max_memory = 100000;
	btf_row(&g, 1, false, false, 200000, hash[1]);
	look();
	snapshot_btf(snap, 0);
	assert_why(1, "BTF not there: no room (--max-bytes)");
	stop();
	gen_deinit(&g);
}

static uint32_t seed = 2718;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

/* Its hash is right, since the guest makes that too. */
static void test_mutations(void **state)
{
	struct btf *kernel = make_kernel();
	unsigned int loaded = 0;
	const uint8_t *data;
	struct gen g;
	uint32_t len;

	(void)state;
	gen_init(&g);
	data = btf__raw_data(kernel, &len);
	for (int i = 0; i < NR_MUTATIONS; i++) {
		uint32_t n = rnd(20) ? len : rnd(len);
		uint8_t *bad = malloc(n + 1);
		const struct btf *got;

		memcpy(bad, data, n);
		for (uint32_t k = rnd(6); n && k; k--) {
			/* The header is worth more attention than the rest. */
			uint32_t at = rnd(rnd(3) && n > 24 ? 24 : n);

			bad[at] = rnd(3) ? rnd(256) : (const uint8_t[]){ 0, 255, 127, 128 }[rnd(4)];
		}
		start();
		send_btf(&g, 0, true, false, bad, n);
		free(bad);
		look();
		got = report_kernel_btf(&report, NULL);
		if (got) {
			/* What a renderer does first. */
			for (uint32_t id = 0; id < btf__type_cnt(got); id++) {
				const struct btf_type *t = btf__type_by_id(got, id);

				btf__name_by_offset(got, t->name_off);
				btf__resolve_size(got, id);
			}
			loaded++;
		}
		stop();
	}
	assert_true(loaded > NR_MUTATIONS / 20);
	assert_true(loaded < NR_MUTATIONS);
	btf__free(kernel);
	gen_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_and_split),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_mutations),
	};

	log_level = LOG_ERR_ONLY;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
