// SPDX-License-Identifier: GPL-2.0-only
/* Special fields of map values: kptrs, lists, trees, timers, locks. */
#include <stdlib.h>
#include <string.h>

#include "map.h"

static int by_offset(const void *a, const void *b)
{
	const struct render_field *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

size_t fields_load(struct report *r, uint64_t map_kva, struct render_field *ret, size_t max)
{
	const struct table *t = report_table(r, KTD_TBL_FIELD);
	size_t first, nr = report_range(r->fields, r->nr_fields, map_kva, &first), n = 0;

	for (size_t i = first; i < first + nr && n < max; i++) {
		row_t row = t->rows[r->fields[i].row];
		uint64_t offset, size, type, id, kva;

		if (row_u64(t, row, KTD_FIELD_OFFSET, &offset) || offset > UINT32_MAX ||
		    row_u64(t, row, KTD_FIELD_SIZE, &size) || size > UINT32_MAX ||
		    row_u64(t, row, KTD_FIELD_TYPE, &type) || type > UINT32_MAX)
			continue;
		ret[n] = (struct render_field){ .offset = offset, .size = size, .type = type };
		id = row_u64_or(t, row, KTD_FIELD_BTF_ID, 0);
		if (id && id <= UINT32_MAX && !row_u64(t, row, KTD_FIELD_BTF_KVA, &kva)) {
			ret[n].btf = report_btf(r, kva, NULL);
			ret[n].btf_id = ret[n].btf ? id : 0;
		}
		n++;
	}
	qsort(ret, n, sizeof(*ret), by_offset);
	return n;
}

void fields_detail(struct report *r, yyjson_mut_val *obj, uint64_t map_kva)
{
	static const unsigned int skip[] = { KTD_FIELD_MAP_KVA, COLS_END };
	const struct table *t = report_table(r, KTD_TBL_FIELD);
	size_t first, nr = report_range(r->fields, r->nr_fields, map_kva, &first);
	yyjson_mut_val *arr;

	if (!nr)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, obj, "fields");
	for (size_t i = first; i < first + nr && i < first + MAP_MAX_FIELDS; i++) {
		yyjson_mut_val *one = yyjson_mut_arr_add_obj(r->doc, arr);
		row_t row = t->rows[r->fields[i].row];
		const struct btf *btf;
		uint64_t type, kva, id;

		json_add_cols(r->doc, one, t, row, skip);
		if (!row_u64(t, row, KTD_FIELD_TYPE, &type))
			report_add_enum(r, one, "type_name", "btf_field_type", type);
		if (row_u64(t, row, KTD_FIELD_BTF_ID, &id) || !id || id > UINT32_MAX ||
		    row_u64(t, row, KTD_FIELD_BTF_KVA, &kva))
			continue;
		btf = report_btf(r, kva, NULL);
		if (btf && btf__type_by_id(btf, id)) {
			const char *name = btf__name_by_offset(btf, btf__type_by_id(btf, id)->name_off);

			if (name && *name)
				json_add_text(r->doc, one, "target", name, strlen(name));
		}
	}
}
