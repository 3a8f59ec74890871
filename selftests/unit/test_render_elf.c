// SPDX-License-Identifier: GPL-2.0-only
/* Rendering of what a compiler makes: the variables of types.bpf.c, from its BTF and bytes. */
#include <bpf/libbpf.h>
#include <stdlib.h>

#include "render_test.h"

#define UINT(bits, v) "{'kind':'uint','bits':" #bits ",'value':" #v "}"
#define SINT(bits, v) "{'kind':'int','bits':" #bits ",'value':" #v "}"
#define BOOL(v) "{'kind':'bool','value':" #v "}"
#define FLOAT(bits, v) "{'kind':'float','bits':" #bits ",'value':" #v "}"
#define BYTES(hex) "{'kind':'bytes','hex':'" hex "'}"
#define ENUM(bits, v, variant, is_signed) \
	"{'kind':'enum','bits':" #bits ",'value':" #v ",'variant':" variant ",'is_signed':" #is_signed "}"
#define ARRAY(len, elements) "{'kind':'array','len':" #len ",'elements':[" elements "]}"
#define MEMBER(name, value) "{'name':'" name "','value':" value "}"
#define STRUCT(name, members) "{'kind':'struct','type_name':" name ",'members':[" members "]}"
#define NULLPTR "{'kind':'ptr','value':0}"

#define INNER(a, b, c, d0, d1) STRUCT("'inner'", MEMBER("a", UINT(32, a)) "," \
	MEMBER("b", UINT(8, b)) "," MEMBER("c", UINT(16, c)) "," \
	MEMBER("d", ARRAY(2, UINT(8, d0) "," UINT(8, d1))))

static const struct {
	const char *name, *node;
} wanted[] = {
	{ "v_u8", UINT(8, 254) },
	{ "v_s8", SINT(8, -2) },
	{ "v_char", SINT(8, 107) },	/* clang's BTF does not say "char" */
	{ "v_u16", UINT(16, 65244) },
	{ "v_s16", SINT(16, -300) },
	{ "v_u32", UINT(32, 4275878552) },
	{ "v_s32", SINT(32, -70000) },
	{ "v_u64", UINT(64, 18364758544493064720) },
	{ "v_s64", SINT(64, -9223372036854775808) },
	{ "v_u128", BYTES("88 77 66 55 44 33 22 11 ef cd ab 89 67 45 23 01") },
	{ "v_true", BOOL(true) },
	{ "v_qualified", UINT(32, 7) },
	{ "v_float", FLOAT(32, 1.5) },
	{ "v_double", FLOAT(64, -0.1) },
	{ "v_inf", BYTES("00 00 00 00 00 00 f0 7f") },
	{ "v_plain", ENUM(32, 2147483647, "'PLAIN_BIG'", false) },
	{ "v_unnamed", ENUM(32, 5, "null", false) },
	{ "v_neg", ENUM(32, -7, "'NEG'", true) },
	{ "v_flags", ENUM(32, 133, "'F_A|F_C|F_Z'", false) },
	{ "v_wide", ENUM(64, 20015998343868, "'W_HUGE'", false) },
	{ "v_widesigned", ENUM(64, -20015998343868, "'WS_MIN'", true) },
	{ "v_tiny", ENUM(8, 255, "'TINY_MAX'", false) },
	{ "v_array", ARRAY(3, UINT(16, 1) "," UINT(16, 2) "," UINT(16, 3)) },
	{ "v_matrix", ARRAY(2, ARRAY(3, SINT(32, 1) "," SINT(32, 2) "," SINT(32, 3)) ","
			    ARRAY(3, SINT(32, -1) "," SINT(32, -2) "," SINT(32, -3))) },
	{ "v_text", ARRAY(4, SINT(8, 97) "," SINT(8, 98) "," SINT(8, 99) "," SINT(8, 0)) },
	{ "v_inner", INNER(1, 2, 772, 4, 3) },
	{ "v_inners", ARRAY(2, INNER(1, 0, 0, 0, 0) "," INNER(2, 3, 4, 4, 0)) },
	{ "v_union", STRUCT("null", MEMBER("word", UINT(32, 67305985)) ","
		MEMBER("byte", ARRAY(4, UINT(8, 1) "," UINT(8, 2) "," UINT(8, 3) "," UINT(8, 4)))) },
	{ "v_bits", STRUCT("'bits'", MEMBER("three", UINT(3, 5)) "," MEMBER("minus", SINT(5, -9)) ","
		MEMBER("yes", BOOL(true)) "," MEMBER("one", ENUM(4, 1, "'PLAIN_ONE'", false)) ","
		MEMBER("neg", ENUM(5, -7, "'NEG'", true)) "," MEMBER("across", UINT(40, 737894400291)) ","
		MEMBER("last", UINT(1, 1)) "," MEMBER("after", UINT(32, 9))) },
	{ "v_packed", STRUCT("'packed'", MEMBER("a", UINT(8, 1)) ","
		MEMBER("b", UINT(64, 578437695752307201)) "," MEMBER("c", UINT(16, 3))) },
	{ "v_flex", STRUCT("'flex'", MEMBER("nr", UINT(32, 3)) ","
		MEMBER("item", ARRAY(3, UINT(16, 10) "," UINT(16, 20) "," UINT(16, 30)))) },
	{ "v_noflex", STRUCT("'flex'", MEMBER("nr", UINT(32, 1)) "," MEMBER("item", ARRAY(0, ""))) },
	{ "v_mask", "{'kind':'cpu_list','cpus':'0,4-7,64'}" },
	{ "v_node", STRUCT("'node'", MEMBER("next", NULLPTR) "," MEMBER("fn", NULLPTR) ","
		MEMBER("missing", NULLPTR) "," MEMBER("any", "{'kind':'ptr','value':4660}")) },
	{ "v_hollow", STRUCT("null", MEMBER("nothing", STRUCT("'empty'", "")) ","
		MEMBER("after", UINT(8, 4))) },
};

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static void test_data(void **state)
{
	const char *top = getenv("KTDUMP_TOP");
	char dir[] = "/tmp/render-XXXXXX", cmd[1024], path[256];
	_cleanup_free_ char *got = NULL;
	struct bpf_object *obj;
	struct bpf_map *map;
	struct render r = {};
	unsigned int nr = 0;
	yyjson_val *list, *m;
	const struct btf *btf;
	yyjson_doc *doc;
	size_t size, i, max;
	const void *data;
	int id;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/types.o", dir);
	snprintf(cmd, sizeof(cmd), "clang -g -O2 -target bpf -c %s/selftests/unit/types.bpf.c -o %s",
		 top ? top : ".", path);
	assert_int_equal(system(cmd), 0);
	libbpf_set_print(quiet);
	obj = bpf_object__open_file(path, NULL);
	unlink(path);
	rmdir(dir);
	assert_non_null(obj);
	btf = bpf_object__btf(obj);
	assert_non_null(btf);
	id = btf__find_by_name_kind(btf, ".data", BTF_KIND_DATASEC);
	assert_true(id > 0);
	map = bpf_object__find_map_by_name(obj, ".data");
	assert_non_null(map);
	data = bpf_map__initial_value(map, &size);
	assert_non_null(data);

	got = show(&r, btf, id, data, size);
	doc = yyjson_read(got, strlen(got), 0);
	assert_string_equal(str_of(yyjson_doc_get_root(doc), "type_name"), ".data");
	list = yyjson_obj_get(yyjson_doc_get_root(doc), "members");
	yyjson_arr_foreach(list, i, max, m) {
		_cleanup_free_ char *node = yyjson_val_write(yyjson_obj_get(m, "value"), 0, NULL);
		_cleanup_free_ char *want = NULL;
		const char *name = str_of(m, "name");

		for (size_t k = 0; k < ARRAY_SIZE(wanted); k++)
			if (!strcmp(wanted[k].name, name))
				want = strdup(wanted[k].node);
		if (!want)
			fail_msg("%s is not expected: %s", name, node);
		for (char *p = want; *p; p++)
			if (*p == '\'')
				*p = '"';
		if (strcmp(node, want))
			fail_msg("%s\ngot  %s\nwant %s", name, node, want);
		nr++;
	}
	assert_int_equal(nr, ARRAY_SIZE(wanted));
	yyjson_doc_free(doc);

	/* However short the section is, every variable has its place in the report. */
	for (size_t len = 0; len < size; len++) {
		_cleanup_free_ uint8_t *part = malloc(len ? len : 1);
		_cleanup_free_ char *text = NULL;

		memcpy(part, data, len);
		text = show(&r, btf, id, part, len);
		doc = yyjson_read(text, strlen(text), 0);
		list = yyjson_obj_get(yyjson_doc_get_root(doc), "members");
		assert_int_equal(yyjson_arr_size(list), ARRAY_SIZE(wanted));
		yyjson_doc_free(doc);
		r.nodes = 0;
	}
	bpf_object__close(obj);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
