// SPDX-License-Identifier: GPL-2.0-only
/* Numbers to names, by the enumerations of the guest's kernel. */
#include <string.h>

#include "report.h"

const msgpack_object *report_enum(const struct report *r, const char *enumeration, uint64_t value)
{
	const struct table *t = report_table(r, KTD_TBL_ENUM);

	for (size_t i = 0; i < t->nr_rows && i < REPORT_MAX_LIST; i++) {
		const msgpack_object *name;
		uint64_t v;

		if (!row_u64(t, t->rows[i], KTD_ENUM_VALUE, &v) && v == value &&
		    row_str_is(t, t->rows[i], KTD_ENUM_ENUM, enumeration) &&
		    !row_get(t, t->rows[i], KTD_ENUM_NAME, &name) &&
		    name->type == MSGPACK_OBJECT_STR)
			return name;
	}
	return NULL;
}

void report_add_enum(struct report *r, yyjson_mut_val *obj, const char *key,
		     const char *enumeration, uint64_t value)
{
	const msgpack_object *name = report_enum(r, enumeration, value);

	yyjson_mut_obj_add_val(r->doc, obj, key,
			       name ? json_value(r->doc, name) : yyjson_mut_null(r->doc));
}

static bool name_ends(const msgpack_object *name, const char *end)
{
	size_t len = strlen(end);

	return name->via.str.size > len &&
	       !memcmp(name->via.str.ptr + name->via.str.size - len, end, len);
}

static bool shift_of(const msgpack_object *shift, const msgpack_object *mask)
{
	size_t stem = mask->via.str.size - strlen("MASK");

	return name_ends(shift, "_SHIFT") && shift->via.str.size == stem + strlen("SHIFT") &&
	       !memcmp(shift->via.str.ptr, mask->via.str.ptr, stem);
}

/* The name of an enumerator of this enumeration, NULL when it is of another. */
static const msgpack_object *enumerator(const struct table *t, row_t row, const char *enumeration,
					uint64_t *value_ret)
{
	const msgpack_object *name;

	if (!row_str_is(t, row, KTD_ENUM_ENUM, enumeration) ||
	    row_u64(t, row, KTD_ENUM_VALUE, value_ret) ||
	    row_get(t, row, KTD_ENUM_NAME, &name) || name->type != MSGPACK_OBJECT_STR)
		return NULL;
	return name;
}

/* A mask that has a shift makes a field of several bits. */
static void load_fields(const struct table *t, size_t nr_rows, const char *enumeration,
			struct flag_names *f)
{
	unsigned int masks = 0;

	/* A kernel has two or three masks; for thousands this would be too much work. */
	for (size_t i = 0; i < nr_rows && masks < ARRAY_SIZE(f->fields); i++) {
		uint64_t mask, ignored;
		const msgpack_object *name = enumerator(t, t->rows[i], enumeration, &mask), *shift;
		bool field = false;

		if (!name || !name_ends(name, "_MASK"))
			continue;
		masks++;
		for (size_t k = 0; k < nr_rows && !field; k++) {
			shift = enumerator(t, t->rows[k], enumeration, &ignored);
			field = shift && shift_of(shift, name);
		}
		if (field)
			f->fields[f->nr_fields++] = (struct flag_name){ mask, name };
	}
}

void flags_load(const struct report *r, const char *enumeration, struct flag_names *f)
{
	const struct table *t = report_table(r, KTD_TBL_ENUM);
	size_t nr_rows = t->nr_rows < REPORT_MAX_LIST ? t->nr_rows : REPORT_MAX_LIST;

	f->nr_bits = f->nr_fields = 0;
	load_fields(t, nr_rows, enumeration, f);
	for (size_t i = 0; i < nr_rows && f->nr_bits < ARRAY_SIZE(f->bits); i++) {
		uint64_t v;
		const msgpack_object *name = enumerator(t, t->rows[i], enumeration, &v);

		if (name && !name_ends(name, "_MASK") && !name_ends(name, "_SHIFT") &&
		    !name_ends(name, "_BITS"))
			f->bits[f->nr_bits++] = (struct flag_name){ v, name };
	}
}

/*
 * The field that a value belongs to, 0 for none. Of the values that are 0 only the
 * task state's has a name worth saying.
 */
static uint64_t field_of(const struct flag_names *f, const struct flag_name *bit)
{
	for (size_t m = 0; m < f->nr_fields; m++) {
		bool state = mp_str_is(f->fields[m].name, "SCX_TASK_STATE_MASK");

		if (bit->value ? !(bit->value & ~f->fields[m].value) :
				 state && mp_str_is(bit->name, "SCX_TASK_NONE"))
			return f->fields[m].value;
	}
	return 0;
}

yyjson_mut_val *flags_add(struct report *r, yyjson_mut_val *obj, const char *key, uint64_t flags,
			  const struct flag_names *f)
{
	yyjson_mut_val *arr;

	if (!f->nr_bits)
		return NULL;
	arr = yyjson_mut_obj_add_arr(r->doc, obj, key);
	for (size_t i = 0; i < f->nr_bits; i++) {
		uint64_t v = f->bits[i].value, mask = field_of(f, &f->bits[i]);
		bool single = v && !(v & (v - 1));

		/* Several bits outside a field are a sum of other enumerators. */
		if (mask ? (flags & mask) == v : single && (flags & v))
			yyjson_mut_arr_append(arr, json_value(r->doc, f->bits[i].name));
	}
	return arr;
}

static int by_enum_name(const void *a, const void *b)
{
	const msgpack_object *x = *(const msgpack_object *const *)a;
	const msgpack_object *y = *(const msgpack_object *const *)b;
	uint32_t min = x->via.str.size < y->via.str.size ? x->via.str.size : y->via.str.size;
	int d = min ? memcmp(x->via.str.ptr, y->via.str.ptr, min) : 0;

	return d ? d : (x->via.str.size > y->via.str.size) - (x->via.str.size < y->via.str.size);
}

/* {"scx_exit_kind": [{"name": …, "value": …}]}, enumerations by name. */
void enums_detail(struct report *r)
{
	_cleanup_free_ const msgpack_object **names = NULL;
	const struct table *t = report_table(r, KTD_TBL_ENUM);
	yyjson_mut_val *obj, *arr;
	size_t nr = 0, unique = 0;

	names = calloc(t->nr_rows + 1, sizeof(*names));
	if (!names || !t->nr_rows)
		return;
	for (size_t i = 0; i < t->nr_rows; i++)
		if (!row_get(t, t->rows[i], KTD_ENUM_ENUM, &names[nr]) &&
		    names[nr]->type == MSGPACK_OBJECT_STR)
			nr++;
	qsort(names, nr, sizeof(*names), by_enum_name);
	for (size_t i = 0; i < nr; i++)
		if (!i || by_enum_name(&names[unique - 1], &names[i]))
			names[unique++] = names[i];
	/* A kernel has a dozen; a guest that claims thousands gets no quadratic work. */
	if (unique > 64)
		unique = 64;
	obj = yyjson_mut_obj_add_obj(r->doc, r->ktdump, "enums");
	for (size_t e = 0; e < unique; e++) {
		yyjson_mut_val *key = json_value(r->doc, names[e]);

		/* Different bytes may become equal text. */
		if (!key || yyjson_mut_obj_getn(obj, yyjson_mut_get_str(key), yyjson_mut_get_len(key)))
			continue;
		arr = yyjson_mut_arr(r->doc);
		for (size_t i = 0; i < t->nr_rows; i++) {
			const msgpack_object *o;
			yyjson_mut_val *one;

			if (row_get(t, t->rows[i], KTD_ENUM_ENUM, &o) ||
			    o->type != MSGPACK_OBJECT_STR || by_enum_name(&o, &names[e]))
				continue;
			one = yyjson_mut_arr_add_obj(r->doc, arr);
			json_add_col(r->doc, one, t, t->rows[i], KTD_ENUM_NAME, "name");
			json_add_col(r->doc, one, t, t->rows[i], KTD_ENUM_VALUE, "value");
		}
		yyjson_mut_obj_add(obj, key, arr);
	}
}
