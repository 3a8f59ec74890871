// SPDX-License-Identifier: GPL-2.0-only
/* Kernel objects that values of maps point to. */
#include "map.h"

/* Tasks have a table of their own; those that values point to are in both. */
static bool task_find(const struct report *r, uint64_t kva, struct render_object *ret)
{
	const struct table *t = report_table(r, KTD_TBL_TASK);
	row_t row = kva ? report_row(t, r->tasks, r->nr_tasks, kva) : NULL;

	if (!row)
		return false;
	*ret = (struct render_object){ .kva = kva, .kind = "task", .kind_len = 4, .name = "" };
	row_str(t, row, KTD_TASK_COMM, &ret->name, &ret->name_len);
	ret->has_pid = !row_i64(t, row, KTD_TASK_PID, &ret->pid);
	return true;
}

bool object_find(const struct report *r, uint64_t kva, struct render_object *ret)
{
	const struct table *t = report_table(r, KTD_TBL_OBJECT);
	row_t row = kva ? report_row(t, r->objects, r->nr_objects, kva) : NULL;

	if (!row)
		return task_find(r, kva, ret);
	*ret = (struct render_object){ .kva = kva, .kind = "", .name = "" };
	row_str(t, row, KTD_OBJECT_KIND, &ret->kind, &ret->kind_len);
	row_str(t, row, KTD_OBJECT_NAME, &ret->name, &ret->name_len);
	ret->has_pid = !row_i64(t, row, KTD_OBJECT_PID, &ret->pid);
	ret->has_id = !row_u64(t, row, KTD_OBJECT_ID, &ret->id);
	return true;
}

void object_write(struct map_writer *mw, uint64_t kva)
{
	struct render_object o;

	if (!object_find(mw->r, kva, &o))
		return;
	jsonw_key(mw->w, "object");
	jsonw_obj(mw->w);
	jsonw_key(mw->w, "kind");
	jsonw_text(mw->w, o.kind, o.kind_len);
	if (o.name_len) {
		jsonw_key(mw->w, "name");
		jsonw_text(mw->w, o.name, o.name_len);
	}
	if (o.has_pid) {
		jsonw_key(mw->w, "pid");
		jsonw_i64(mw->w, o.pid);
	}
	if (o.has_id) {
		jsonw_key(mw->w, "id");
		jsonw_u64(mw->w, o.id);
	}
	jsonw_obj_end(mw->w);
}
