// SPDX-License-Identifier: GPL-2.0-only
/* From a stream to a report, with streams that are damaged in thousands of ways. */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <yyjson.h>

#include "gen.h"
#include "log.h"
#include "report.h"
#include "session.h"
#include "view_text.h"

#define NR_MUTATIONS 400

/* In place of output.c: keep the JSON. */
static char *last_json;
static size_t last_len;
static unsigned int nr_written;
static bool as_early;	/* each snapshot is its own early one: the dual form */

struct written *written_find(struct collector *c, const struct snapshot *s)
{
	(void)c, (void)s;
	return NULL;
}

int output_write(struct collector *c, struct snapshot *s)
{
	const struct report_form form = { as_early ? s : early_find(c, s), as_early };
	struct report_summary summary;
	FILE *f;

	free(last_json);
	f = open_memstream(&last_json, &last_len);
	assert_int_equal(report_write(s, &form, f, &summary), 0);
	fclose(f);
	assert_non_null(summary.headline);
	report_summary_deinit(&summary);
	nr_written++;
	return 0;
}

void output_early_alone(struct collector *c, const struct snapshot *s)
{
	(void)c, (void)s;
}

uint64_t now_ms(void)
{
	return 0;
}

static struct options opts = { .max_bytes = 1 << 22, .grace = 5 };
static struct collector collector = { .opts = &opts };

/* What a recorded stream becomes; the number of reports. */
static unsigned int replay(const uint8_t *data, size_t len, size_t piece)
{
	struct session *s = session_create(&collector, -1, "test", false);
	int err = 0;

	nr_written = 0;
	while (len && !err) {
		size_t n = piece < len ? piece : len;
		uint8_t *copy = malloc(n);

		memcpy(copy, data, n);
		err = session_feed(s, copy, n);
		free(copy);
		data += n;
		len -= n;
	}
	session_end(s, "end of test");
	orphan_expire(&collector, 0, true);
	early_expire(&collector, 0, true);
	assert_int_equal(collector.nr_sessions, 0);
	assert_int_equal(collector.nr_orphans, 0);
	return nr_written;
}

static yyjson_doc *parsed(void)
{
	yyjson_doc *doc = yyjson_read(last_json, last_len, 0);

	assert_non_null(doc);
	return doc;
}

static void assert_json(yyjson_doc *doc, const char *pointer, const char *want)
{
	yyjson_val *v = yyjson_doc_ptr_get(doc, pointer);
	char *text = v ? yyjson_val_write(v, 0, NULL) : NULL;

	if (!text || strcmp(text, want))
		print_error("%s: %s, not %s\n", pointer, text ? text : "absent", want);
	assert_non_null(text);
	assert_string_equal(text, want);
	free(text);
}

static void test_sample(void **state)
{
	yyjson_doc *doc;
	struct gen g;

	(void)state;
	gen_init(&g);
	gen_sample(&g);
	assert_int_equal(replay(g.buf, g.len, 50), 1);
	doc = parsed();
	assert_json(doc, "/schema", "\"single\"");
	assert_json(doc, "/maps", "[]");
	assert_json(doc, "/ktdump/incomplete", "false");
	assert_json(doc, "/ktdump/missing", "[]");
	assert_json(doc, "/scx_sched_state",
		    "{\"aborting\":false,\"bypass_depth\":-1,\"exit_kind\":1026,"
		    "\"source\":\"live\",\"sched_kva\":4096}");
	assert_json(doc, "/dsq_states",
		    "[{\"id\":9223372036854775810,\"origin\":\"local cpu 0\",\"nr\":1,\"seq\":7,"
		    "\"task_kvas\":[20480]}]");
	assert_json(doc, "/rq_scx_states",
		    "[{\"cpu\":0,\"nr_running\":2,\"flags\":0,\"cpu_released\":false,"
		    "\"ops_qseq\":0,\"curr_pid\":11,\"runnable_task_kvas\":[16384]}]");
	assert_json(doc, "/task_enrichments/1/comm", "\"two\"");
	assert_json(doc, "/task_enrichments/1/pi_boosted_out_of_scx", "false");
	assert_json(doc, "/ktdump/tasks/0/scx/runnable_age_ms", "3000");
	assert_json(doc, "/ktdump/tasks/1/scx/runnable_age_ms", "null");
	assert_json(doc, "/ktdump/trigger/stack/0/symbol", "\"scx_vexit+0x10/0x20\"");
	assert_json(doc, "/prog_runtime_stats_unavailable", "\"prog accessor unavailable\"");
	assert_json(doc, "/per_node_numa_unavailable",
		    "\"no NUMA walker (host-side walker pending)\"");
	assert_null(yyjson_doc_ptr_get(doc, "/scx_walker_unavailable"));
	assert_null(yyjson_doc_ptr_get(doc, "/is_placeholder"));
	yyjson_doc_free(doc);
	gen_deinit(&g);
}

static void test_dual(void **state)
{
	yyjson_doc *doc;
	struct gen g;

	(void)state;
	gen_init(&g);
	gen_sample(&g);
	as_early = true;
	assert_int_equal(replay(g.buf, g.len, 500), 1);
	as_early = false;
	doc = parsed();
	assert_json(doc, "/schema", "\"dual\"");
	assert_true(yyjson_equals(yyjson_doc_ptr_get(doc, "/early"), yyjson_doc_ptr_get(doc, "/late")));
	assert_json(doc, "/ktdump/difference/elapsed_jiffies", "0");
	assert_json(doc, "/ktdump/difference/dsqs_changed", "0");
	assert_json(doc, "/ktdump/difference/tasks_new", "0");
	assert_json(doc, "/ktdump/difference/maps", "[]");
	yyjson_doc_free(doc);
	gen_deinit(&g);
}

/* ktstr leaves empty lists out. */
static void test_cpu_without_number(void **state)
{
	struct snapshot *s = snapshot_create("test", "boot", 1, 1 << 20);
	const char *why = NULL;
	yyjson_doc *doc;
	struct gen g;

	(void)state;
	gen_init(&g);
	gen_row(&g, "sss", "cpu", "parked", "ip");
	gen_row(&g, "bbu", 1, 1, (uint64_t)0xffff0010);
	assert_int_equal(snapshot_add(s, KTD_TBL_CPU, g.payload.data, g.payload.size, &why), 0);
	assert_int_equal(output_write(&collector, s), 0);
	doc = parsed();
	assert_json(doc, "/ktdump/cpus/0/ip", "4294901776");
	assert_null(yyjson_doc_ptr_get(doc, "/vcpu_regs"));
	yyjson_doc_free(doc);
	gen_deinit(&g);
	snapshot_destroy(s);
}

static void test_texts(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *out;
	} cases[] = {
		{ "plain", 5, "\"plain\"" },
		{ NULL, 0, "\"\"" },		/* as msgpack-c gives an empty text */
		{ "cut\0off", 7, "\"cut\"" },
		{ "\xff\xfe", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xc3\xa9", 2, "\"\xc3\xa9\"" },
		{ "\xc3", 1, "\"\xef\xbf\xbd\"" },
		{ "\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf0\x9f\x90\xa7", 4, "\"\xf0\x9f\x90\xa7\"" },
		{ "\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\x1b[2J\n", 5, "\"\\u001B[2J\\n\"" },
	};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = yyjson_mut_val_write(json_text(doc, cases[i].in, cases[i].len), 0, NULL);

		assert_string_equal(text, cases[i].out);
		free(text);
	}
	yyjson_mut_doc_free(doc);
}

/* Fixed seed: a failure can be seen again. */
static uint32_t seed = 12345;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % below;
}

/* Give every frame that still looks like one a right checksum and number again. */
static void repair(uint8_t *buf, size_t len)
{
	uint32_t seq = 0;

	for (size_t off = 0; off + sizeof(struct ktd_frame_hdr) <= len;) {
		struct ktd_frame_hdr h;
		size_t payload;

		memcpy(&h, buf + off, sizeof(h));
		payload = le32toh(h.len);
		if (payload > len - off - sizeof(h))
			return;
		h.seq = htole32(seq++);
		h.crc = 0;
		h.crc = htole32(crc32c(crc32c(0, &h, sizeof(h)), buf + off + sizeof(h), payload));
		memcpy(buf + off, &h, sizeof(h));
		off += sizeof(h) + payload;
	}
}

static void test_mutations(void **state)
{
	unsigned int reports = 0;
	FILE *null = fopen("/dev/null", "w");
	struct gen g;

	(void)state;
	gen_init(&g);
	gen_sample(&g);
	for (int i = 0; i < NR_MUTATIONS; i++) {
		size_t len = g.len, changes = 1 + rnd(8);
		uint8_t *buf = malloc(len);

		memcpy(buf, g.buf, len);
		while (changes--) {
			size_t at = rnd(len);

			switch (rnd(4)) {
			case 0:
				buf[at] = rnd(256);
				break;
			case 1:
				buf[at] ^= 1 << rnd(8);
				break;
			case 2:
				buf[at] = "\xc0\xc4\xca\xcf\xd3\xdc\xdd\xdf\x9f\xff"[rnd(10)];
				break;
			case 3:
				buf[at] = buf[rnd(len)];
				break;
			}
		}
		/* Three of four reach the code behind the checksum. */
		if (rnd(4))
			repair(buf, len);
		if (!rnd(8))
			len = rnd(len);
		as_early = !rnd(3);
		if (replay(buf, len, 1 + rnd(2000))) {
			yyjson_doc_free(parsed());
			assert_int_equal(view_text(last_json, last_len, null), 0);
			reports++;
		}
		free(buf);
	}
	as_early = false;
	fclose(null);
	gen_deinit(&g);
	assert_true(reports > NR_MUTATIONS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_dual),
		cmocka_unit_test(test_cpu_without_number),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_mutations),
	};
	int failed;

	log_level = LOG_ERR_ONLY;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(last_json);
	return failed;
}
