// SPDX-License-Identifier: GPL-2.0-only
/* What the CPUs ran before the freeze: switches, wakeups, migrations, boosts, contention. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "wire.h"

#define MAX_EVENTS 65536	/* in a report; the newest */

_Static_assert(sizeof(struct ktd_sched_event) == 64, "layout of the wire");

struct event {
	uint64_t ns;
	uint64_t cpu;
	struct ktd_sched_event raw;
};

struct events {
	struct event *v;
	size_t nr;
	uint64_t lost;
	uint64_t window_ms;
};

static const char *const kinds[KTD_SCHED_NR_KINDS] = {
	[KTD_SCHED_SWITCH] = "switch",
	[KTD_SCHED_WAKEUP] = "wakeup",
	[KTD_SCHED_MIGRATE] = "migrate",
	[KTD_SCHED_PI_BOOST] = "pi_boost",
	[KTD_SCHED_CONTENTION_BEGIN] = "contention_begin",
	[KTD_SCHED_CONTENTION_END] = "contention_end",
};

static void events_deinit(struct events *e)
{
	free(e->v);
}

/* By time; those of one CPU that have the same, in their order. */
static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;
	int32_t order = le32toh(x->raw.seq) - le32toh(y->raw.seq);

	if (x->ns != y->ns)
		return x->ns > y->ns ? 1 : -1;
	if (x->cpu != y->cpu)
		return x->cpu > y->cpu ? 1 : -1;
	return (order > 0) - (order < 0);
}

static uint64_t add_capped(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

/* A row's events; those of kinds that nobody knows here are counted as lost. */
static void take_row(struct events *e, const struct table *t, row_t row)
{
	uint64_t cpu = row_u64_or(t, row, KTD_SCHED_TIMELINE_CPU, 0);
	const uint8_t *data;
	size_t len;

	if (row_bin(t, row, KTD_SCHED_TIMELINE_DATA, &data, &len))
		return;
	for (; len >= sizeof(struct ktd_sched_event); len -= sizeof(struct ktd_sched_event)) {
		struct event *one = &e->v[e->nr];

		memcpy(&one->raw, data, sizeof(one->raw));
		data += sizeof(one->raw);
		if (one->raw.kind >= KTD_SCHED_NR_KINDS || !kinds[one->raw.kind]) {
			e->lost = add_capped(e->lost, 1);
			continue;
		}
		one->ns = le64toh(one->raw.ns);
		one->cpu = cpu;
		e->nr++;
	}
}

static int load(const struct table *t, struct events *e)
{
	uint64_t last_cpu = UINT64_MAX, cpu, n;
	size_t room = 1, len;
	const uint8_t *data;

	for (size_t i = 0; i < t->nr_rows; i++)
		if (!row_bin(t, t->rows[i], KTD_SCHED_TIMELINE_DATA, &data, &len))
			room += len / sizeof(struct ktd_sched_event);
	e->v = calloc(room, sizeof(*e->v));
	if (!e->v)
		return -1;
	for (size_t i = 0; i < t->nr_rows; i++) {
		row_t row = t->rows[i];

		cpu = row_u64_or(t, row, KTD_SCHED_TIMELINE_CPU, 0);
		/* All rows of a CPU say the same. */
		if (cpu != last_cpu)
			e->lost = add_capped(e->lost,
					     row_u64_or(t, row, KTD_SCHED_TIMELINE_LOST, 0));
		last_cpu = cpu;
		n = row_u64_or(t, row, KTD_SCHED_TIMELINE_WINDOW_MS, 0);
		if (n > e->window_ms)
			e->window_ms = n;
		take_row(e, t, row);
	}
	qsort(e->v, e->nr, sizeof(*e->v), by_time);
	return 0;
}

static void add_s16(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, uint16_t v)
{
	json_add_i64(doc, obj, key, (int16_t)le16toh(v));
}

static void add_s32(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, uint32_t v)
{
	json_add_i64(doc, obj, key, (int32_t)le32toh(v));
}

static void add_event(struct report *r, yyjson_mut_val *arr, const struct event *one)
{
	yyjson_mut_val *obj = yyjson_mut_arr_add_obj(r->doc, arr);
	const struct ktd_sched_event *e = &one->raw;
	yyjson_mut_doc *doc = r->doc;

	json_add_u64(doc, obj, "ns", one->ns);
	json_add_u64(doc, obj, "cpu", one->cpu);
	yyjson_mut_obj_add_str(doc, obj, "kind", kinds[e->kind]);
	if (e->kind == KTD_SCHED_SWITCH) {
		add_s32(doc, obj, "prev_pid", e->pid);
		json_add_text(doc, obj, "prev_comm", e->comm, sizeof(e->comm));
		json_add_u64(doc, obj, "prev_state", le32toh(e->arg));
		add_s16(doc, obj, "prev_prio", e->prio);
		add_s32(doc, obj, "next_pid", e->other);
		json_add_text(doc, obj, "next_comm", e->other_comm, sizeof(e->other_comm));
		add_s16(doc, obj, "next_prio", e->other_prio);
		return;
	}
	add_s32(doc, obj, "pid", e->pid);
	switch (e->kind) {
	case KTD_SCHED_CONTENTION_BEGIN:
		json_add_u64(doc, obj, "lock", le64toh(e->lock));
		json_add_u64(doc, obj, "flags", le32toh(e->arg));
		return;
	case KTD_SCHED_CONTENTION_END:
		json_add_u64(doc, obj, "lock", le64toh(e->lock));
		add_s32(doc, obj, "flags", e->arg);
		return;
	default:
		json_add_text(doc, obj, "comm", e->comm, sizeof(e->comm));
	}
	if (e->kind == KTD_SCHED_WAKEUP) {
		add_s16(doc, obj, "prio", e->prio);
		json_add_u64(doc, obj, "target_cpu", le32toh(e->other));
	} else if (e->kind == KTD_SCHED_MIGRATE) {
		json_add_u64(doc, obj, "orig_cpu", le32toh(e->arg));
		json_add_u64(doc, obj, "dest_cpu", le32toh(e->other));
	} else {
		add_s16(doc, obj, "old_prio", e->prio);
		add_s16(doc, obj, "new_prio", e->other_prio);
	}
}

void sched_timeline_detail(struct report *r)
{
	_cleanup_(events_deinit) struct events e = {};
	const struct table *t = report_table(r, KTD_TBL_SCHED_TIMELINE);
	yyjson_mut_val *obj, *arr;
	size_t first = 0;

	if (!t->header || load(t, &e))
		return;
	if (e.nr > MAX_EVENTS) {
		first = e.nr - MAX_EVENTS;
		e.lost = add_capped(e.lost, first);
	}
	obj = yyjson_mut_obj_add_obj(r->doc, r->ktdump, "sched_timeline");
	yyjson_mut_obj_add_str(r->doc, obj, "clock", "mono");
	json_add_u64(r->doc, obj, "window_ms", e.window_ms);
	json_add_u64(r->doc, obj, "lost", e.lost);
	arr = yyjson_mut_obj_add_arr(r->doc, obj, "events");
	for (size_t i = first; i < e.nr; i++)
		add_event(r, arr, &e.v[i]);
}
