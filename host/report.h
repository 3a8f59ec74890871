/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the tables of a snapshot to the report. The top level of the JSON has the
 * form that ktstr reads; everything else lives under its key "ktdump"
 * (docs/report.md). Each noun has a file of the name it has in the module.
 */
#ifndef KTC_REPORT_H
#define KTC_REPORT_H

#include <bpf/btf.h>

#include "arena.h"
#include "bulk.h"
#include "cast.h"
#include "json.h"
#include "jsonw.h"
#include "snapshot.h"
#include "symbol.h"

#define REPORT_MAX_CPUS 8192
#define REPORT_MAX_LIST 4096	/* of tasks, and of task addresses per queue */

struct kva_ref {		/* row of an object by its address */
	uint64_t kva;
	size_t row;
};

enum list_kind {		/* what a LIST row is about */
	LIST_RUNNABLE,
	LIST_DSQ,
	LIST_SCX_TASKS,
	NR_LISTS,
};

struct list_ref {		/* LIST rows by kind and owner, in order of arrival */
	enum list_kind kind;
	uint64_t owner;
	size_t row;
};

struct report_arena {
	uint64_t map_kva, owner;
	struct arena arena;
};

struct report {
	const struct snapshot *snap;
	const struct report *early;	/* the same scheduler half-way into its stall, or NULL */
	yyjson_mut_doc *doc;
	yyjson_mut_val *top, *ktdump, *missing;
	yyjson_mut_val *maps;	/* stands where maps_write() writes; NULL: nothing to write */
	struct symbols symbols;
	struct kva_ref *tasks, *stacks, *dsqs, *cpus_by_task;
	size_t nr_tasks, nr_stacks, nr_dsqs, nr_cpus_by_task;
	struct list_ref *lists;
	size_t nr_lists;
	uint8_t *rq_locks;	/* enum rq_lock by CPU */
	uint64_t jiffies, hz;	/* 0 unknown */
	struct kva_ref *maps_by_kva, *contents, *facts, *fields, *objects, *scheds, *progs_by_id;
	size_t nr_maps, nr_contents, nr_facts, nr_fields, nr_objects, nr_scheds, nr_progs_by_id;
	struct bulk *bulk;	/* MEM and RECORD rows; NULL when there are none */
	struct report_btf *btfs;	/* by row of BTF, see btf.c */
	struct kva_ref *progs_by_kva, *insns;
	size_t nr_progs_by_kva, nr_insns;
	struct casts *casts;		/* see report_casts() */
	bool casts_tried;
	struct static_region *regions;	/* of the arenas, see scx_static.c */
	size_t nr_regions;
	struct payload_types *payload_types;	/* see payload_type.h */
	struct report_arena *arenas;	/* see arenas_of_map() */
	size_t nr_arenas;
	bool arenas_known;
	struct sdt *sdt;		/* NULL: there are no allocators */
	yyjson_mut_val *sdt_list;	/* as maps, for sdt_write() */
};

/* Beside the snapshot itself. */
struct report_form {
	const struct snapshot *early;	/* the same scheduler half-way into its stall, or NULL */
	bool dual;			/* dual also without one: it says why there is none */
};

/* What is worth to be looked at once more when a report is written. */
struct report_summary {
	yyjson_doc *doc;	/* the report, without what maps_write() writes and early */
	yyjson_val *report;	/* its single form: the late one of a dual report */
	char *headline;		/* one line of plain text */
};

/*
 * The report of a snapshot as JSON. 0, -ENOMEM, -ELOOP when it is nested too deep for
 * its readers, or the error of out. *ret, when it is not NULL, is the caller's to deinit.
 */
int report_write(const struct snapshot *s, const struct report_form *form, FILE *out,
		 struct report_summary *ret);
void report_summary_deinit(struct report_summary *s);

static inline const struct table *report_table(const struct report *r, enum ktd_table_id id)
{
	return &r->snap->tables[id];
}

/*
 * The rows of a table by an unsigned column, those without a value last. The caller
 * frees the array; NULL without memory.
 */
row_t *report_sorted(const struct report *r, enum ktd_table_id id, unsigned int col);

/* Where an object's row stands in its table, SIZE_MAX when it is not there. */
size_t report_find(const struct kva_ref *refs, size_t nr, uint64_t kva);
/* All rows with this address: *first_ret is an index into refs; their number. */
size_t report_range(const struct kva_ref *refs, size_t nr, uint64_t kva, size_t *first_ret);
/* The row itself, NULL when it is not there. */
row_t report_row(const struct table *t, const struct kva_ref *refs, size_t nr, uint64_t kva);

/* Name of an enumerator, or NULL; it lives as long as the snapshot. */
const msgpack_object *report_enum(const struct report *r, const char *enumeration,
				  uint64_t value);
/* key: the name, null when the guest's kernel has none for this value. */
void report_add_enum(struct report *r, yyjson_mut_val *obj, const char *key,
		     const char *enumeration, uint64_t value);

struct flag_name {
	uint64_t value;
	const msgpack_object *name;
};

struct flag_names {		/* an enumeration of flags; lives as long as the snapshot */
	struct flag_name bits[128], fields[8];
	size_t nr_bits, nr_fields;
};

void flags_load(const struct report *r, const char *enumeration, struct flag_names *f);
/* key: the names of the bits that are set. NULL, and no key, without the enumeration. */
yyjson_mut_val *flags_add(struct report *r, yyjson_mut_val *obj, const char *key, uint64_t flags,
			  const struct flag_names *f);

/* One entry of "missing"; both texts are copied. */
void report_add_missing(struct report *r, const char *section, const char *reason);

struct torn {			/* what was found locked, for one entry of "missing" */
	const char *what;
	char names[160];	/* the first of them, with commas */
	size_t len, nr, nr_named;
};

void torn_note(struct torn *t, const char *fmt, ...) __printf(2, 3);
/* Says it when there was any. */
void torn_report(struct report *r, const char *section, const struct torn *t);

/* The LIST rows of one owner: *first_ret is an index into r->lists; their number. */
size_t report_list(const struct report *r, enum list_kind kind, uint64_t owner,
		   size_t *first_ret);
/* Addresses on one queue, in order. *cut_ret is set when there are more than max. */
yyjson_mut_val *report_task_kvas(struct report *r, enum list_kind kind, uint64_t owner,
				 size_t max, bool *cut_ret);
/* Frames with symbols; what is no address is left out. */
yyjson_mut_val *report_stack(struct report *r, const msgpack_object *pcs, size_t nr);

/* The reason text that more than one place needs. */
#define TEXT_PREREQUISITES "dump prerequisites unavailable"
/* The stream broke before this table came; the guest may well have had it. */
bool report_lost_table(const struct report *r, enum ktd_table_id id);

/*
 * BTF of the guest, loaded when it is first asked for; it lives as long as the report.
 * NULL with *why_ret (may be NULL) a text that lives as long: not captured, not sent,
 * damaged. btf_kva 0 is the kernel's own.
 */
const struct btf *report_btf(struct report *r, uint64_t btf_kva, const char **why_ret);
const struct btf *report_kernel_btf(struct report *r, const char **why_ret);
/*
 * Every BTF that is not the kernel's or a module's, for types that are only declared in
 * one and defined in another: i from 0 to report_nr_btfs() - 1, NULL for the others and
 * for those that cannot be loaded.
 */
size_t report_nr_btfs(const struct report *r);
const struct btf *report_prog_btf(struct report *r, size_t i);

/*
 * Which numbers are pointers, found out when it is first asked for; NULL when the guest
 * sent no instructions.
 */
const struct casts *report_casts(struct report *r);

/*
 * The list of maps with their contents, the value of the top level's key "maps". It is
 * written while the rest of the report lies ready; what does not fit in memory never is.
 */
void maps_write(struct report *r, struct jsonw *w);

/* The same for what allocators have given out: value of the key "sdt_allocations". */
void sdt_write(struct report *r, struct jsonw *w);
void sdt_destroy(struct sdt *s);
void payload_types_destroy(struct payload_types *p);

/*
 * Single maps, as maps_write() writes them; text of up to MAP_TEXT_MAX, which lives until
 * the next call. NULL when it is longer, or there is no such map.
 */
#define MAP_TEXT_MAX (4u << 20)
struct map_texts;
struct map_texts *map_texts_create(struct report *r);
void map_texts_destroy(struct map_texts *mt);
static inline void map_texts_destroy_p(struct map_texts **mt)
{
	map_texts_destroy(*mt);
}
const char *map_text(struct map_texts *mt, uint64_t kva, size_t *len_ret);

/* 0 or -ENOMEM. */
int btfs_init(struct report *r);
void btfs_deinit(struct report *r);

/*
 * The keys of a dual report, but for those that both forms have. early is NULL when
 * there is none.
 */
struct dual_facts {
	bool copy;			/* the late one is old enough to be the early one too */
	uint64_t age, threshold;	/* of early, or of its copy; jiffies */
	char reason[200];		/* why there is none */
};
void dual_facts(const struct snapshot *late, const struct snapshot *early, struct dual_facts *ret);
/* Which of the maps have changed, in the document of late: "maps" of ktdump.difference. */
yyjson_mut_val *dual_maps(struct report *early, struct report *late);

/* ktstr's keys, in the order in which it writes them. */
void regs_report(struct report *r);
void perf_report(struct report *r);
void sdt_report(struct report *r);
void scx_static_report(struct report *r);
/* The variable whose region this address of the kernel's is in, what of it is used; or NULL. */
const char *scx_static_name(const struct report *r, uint64_t kva);
void sdt_report_reason(struct report *r);
void progs_report(struct report *r);
void cputime_report(struct report *r);
void numa_report(struct report *r);
void tasks_report(struct report *r);
void rqs_report(struct report *r);
void dsqs_report(struct report *r);
void sched_report(struct report *r);
void timeline_report(struct report *r);
void firings_detail(struct report *r);
void timeline_detail(struct report *r);
void sched_timeline_detail(struct report *r);
void counters_report(struct report *r);

/* Under "ktdump", in this order. */
void exits_detail(struct report *r);
void verdicts_detail(struct report *r);
void scheds_detail(struct report *r);
void events_detail(struct report *r, yyjson_mut_val *sched, uint64_t kva);
void rqs_detail(struct report *r);
void dsqs_detail(struct report *r);
void tasks_detail(struct report *r);
void regs_detail(struct report *r);
void cputime_detail(struct report *r);
void progs_detail(struct report *r);
void code_detail(struct report *r);
void maps_detail(struct report *r);
void sdt_detail(struct report *r);
void btfs_detail(struct report *r);
void enums_detail(struct report *r);

/* Rows of CPU by their number, REPORT_MAX_CPUS; to be freed, NULL without memory. */
row_t *regs_by_cpu(const struct report *r);
/* How many CPUs there are. */
uint64_t regs_nr_cpus(const struct report *r, const row_t *by_cpu);

/* How a run queue's lock was found. */
enum rq_lock {
	RQ_FREE,
	RQ_TRIGGER,	/* held, in all likelihood by the trigger itself */
	RQ_HELD,	/* held by a CPU that was parked in the middle of it */
};
enum rq_lock rq_lock_of(const struct report *r, uint64_t cpu);
/* Fills r->rq_locks. 0 or -ENOMEM. */
int rqs_index(struct report *r);

/* How long a task on a runnable list has waited; false when it is on none or not known. */
bool task_age_ms(const struct report *r, row_t task, int64_t *ret);
/* The kernel's lock function that a task on a CPU was met in, by ktstr's name; NULL none. */
const char *task_lock_slowpath(const struct report *r, uint64_t kva);

/* "local cpu 3", "user", …: false when the row does not say. */
bool dsq_origin(const struct report *r, row_t row, char *buf, size_t size);
/* "SCX_DSQ_LOCAL", "SCX_DSQ_LOCAL_ON|3", "user" */
void dsq_add_id_name(struct report *r, yyjson_mut_val *obj, const char *key, uint64_t id);

#endif
