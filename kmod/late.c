// SPDX-License-Identifier: GPL-2.0-only
/*
 * At the moment of an exit scx_exit_info is still empty: the kernel fills it,
 * then writes its dump, then tears down (scx_vexit(), scx_disable_workfn()). A
 * reference on the instance keeps it readable until that is over.
 */
#include <linux/jiffies.h>
#include <linux/kallsyms.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include "counter.h"
#include "late.h"
#include "nofault.h"
#include "point.h"
#include "sched_timeline.h"
#include "timeline.h"
#include "trigger.h"

#define TEARDOWN_WAIT		(10 * HZ)
#define MSG_MAX			1024	/* SCX_EXIT_MSG_LEN */
#define REASON_MAX		128
#define BT_MAX			64	/* SCX_EXIT_BT_LEN */
#define DUMP_MAX		(4u << 20)
#define DUMP_DEFAULT		32768	/* SCX_EXIT_DUMP_DFL_LEN */
#define TEXT_PIECE		8192
#define LATE_BASE		(128u << 10)
#define SCX_DISABLED		3	/* enum scx_enable_state */

static const char *const enum_names[] = {
	"scx_exit_kind", "scx_ent_flags", "scx_ops_state", "scx_rq_flags",
	"scx_dsq_id_flags", "scx_enable_state", "scx_exit_flags", "scx_opi_flags",
	"scx_ops_flags", "scx_enq_flags", "scx_ent_dsq_flags", "scx_task_state",
	"btf_field_type", "bpf_struct_ops_state",
};

struct enumerator {
	u8	of;		/* index into enum_names */
	char	name[47];
	u64	value;
};

static struct enumerator *enumerators;
static u32 nr_enumerators, max_enumerators, enum_now;

static const struct ktd_table exit_table = { .id = KTD_TBL_EXIT, .nr = KTD_EXIT_NR_COLS };
static const struct ktd_table text_table = { .id = KTD_TBL_TEXT, .nr = KTD_TEXT_NR_COLS };

static const struct ktd_table symbol_table = {
	.id = KTD_TBL_SYMBOL, .nr = KTD_SYMBOL_NR_COLS,
};

static const struct ktd_table enum_table = { .id = KTD_TBL_ENUM, .nr = KTD_ENUM_NR_COLS };

static const struct ktd_table firing_table = {
	.id = KTD_TBL_FIRING, .nr = KTD_FIRING_NR_COLS,
};

static const struct ktd_table counter_table = {
	.id = KTD_TBL_COUNTER, .nr = KTD_COUNTER_NR_COLS,
};

static const struct ktd_table freeze_table = {
	.id = KTD_TBL_FREEZE, .nr = KTD_FREEZE_NR_COLS,
};

static const struct ktd_table section_table = {
	.id = KTD_TBL_SECTION, .nr = KTD_SECTION_NR_COLS,
};

static const struct ktd_table missing_table = {
	.id = KTD_TBL_MISSING, .nr = KTD_MISSING_NR_COLS,
};

static void count_enumerator(void *ctx, const char *name, u64 value)
{
	max_enumerators++;
}

static void note_enumerator(void *ctx, const char *name, u64 value)
{
	struct enumerator *e;

	if (nr_enumerators == max_enumerators)
		return;
	e = &enumerators[nr_enumerators++];
	e->of = enum_now;
	strscpy(e->name, name, sizeof(e->name));
	e->value = value;
}

int ktd_enums_init(const struct ktd_btf *btf)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(enum_names); i++)
		ktd_btf_enum(btf, enum_names[i], count_enumerator, NULL);
	enumerators = kvcalloc(max_enumerators + 1, sizeof(*enumerators), GFP_KERNEL);
	if (!enumerators)
		return -ENOMEM;
	for (enum_now = 0; enum_now < ARRAY_SIZE(enum_names); enum_now++)
		ktd_btf_enum(btf, enum_names[enum_now], note_enumerator, NULL);
	return 0;
}

void ktd_enums_exit(void)
{
	kvfree(enumerators);
	enumerators = NULL;
}

/*
 * Teardown is over when the disable worker has taken the exit over, and the
 * instance is no longer the root or linked below one.
 */
static bool torn_down(const struct ktd_claim *claim)
{
	unsigned long sch = claim->sch;
	u8 linked = 0;

	if (ktd_get(sch, KTD_M_SCH_EXIT_KIND) != KTD_EXIT_DONE)
		return false;
	if (ktd_scx_root() == sch)
		return false;
	ktd_read(&linked, ktd_at(sch, KTD_M_SCH_LINKED), sizeof(linked));
	return !linked;
}

static bool claim_done(struct ktd_claim *claim)
{
	if (!claim->since)
		claim->since = get_jiffies_64();
	return !claim->pinned || torn_down(claim) ||
	       time_after64(get_jiffies_64(), claim->since + TEARDOWN_WAIT);
}

static bool claim_of(const struct ktd_claim *claim, const struct ktd_snapshot *snap)
{
	/* pairs with ktd_exit_fired() */
	return smp_load_acquire(&claim->ready) && claim->snapshot == snap->nr;
}

/* How much room the exit's texts need. */
static size_t claim_bytes(const struct ktd_claim *claim)
{
	u32 len = ktd_get(claim->sch, KTD_M_SCH_EXIT_DUMP_LEN);

	return 2 * (min_t(u32, len ?: DUMP_DEFAULT, DUMP_MAX) + TEXT_PIECE);
}

static u32 late_text(struct ktd_sink *s, unsigned long sch, unsigned long dump)
{
	char *piece = kmalloc(TEXT_PIECE + 1, GFP_KERNEL);
	u32 off = 0, len;
	struct ktd_row *r;

	while (piece && dump && off < DUMP_MAX) {
		len = ktd_read_str(piece, dump + off, TEXT_PIECE + 1);
		if (!len)
			break;
		r = ktd_row_begin(s, &text_table);
		ktd_set_u(r, KTD_TEXT_SCHED_KVA, sch);
		ktd_set_u(r, KTD_TEXT_OFF, off);
		ktd_set_bin(r, KTD_TEXT_TEXT, piece, len);
		if (!ktd_row_end(s, &text_table))
			break;
		off += len;
	}
	kfree(piece);
	return off;
}

struct pcs {
	u64	*v;
	u32	nr, max;
};

static void pcs_add(struct pcs *p, const void *from, u32 nr)
{
	nr = min(nr, p->max - p->nr);
	memcpy(p->v + p->nr, from, nr * sizeof(*p->v));
	p->nr += nr;
}

static void late_exit(struct ktd_sink *s, struct ktd_claim *claim, struct pcs *pcs)
{
	unsigned long ei = ktd_get(claim->sch, KTD_M_SCH_EXIT_INFO);
	char *msg = kmalloc(MSG_MAX, GFP_KERNEL);
	char reason[REASON_MAX];
	unsigned long bt_at;
	u64 bt[BT_MAX];
	u32 nr, dumped;
	struct ktd_row *r;

	if (!claim->pinned)
		ei = 0;
	dumped = late_text(s, claim->sch, ktd_get(ei, KTD_M_EI_DUMP));
	r = ktd_row_begin(s, &exit_table);
	ktd_set_u(r, KTD_EXIT_SCHED_KVA, claim->sch);
	ktd_set_b(r, KTD_EXIT_COMPLETE, claim->pinned && torn_down(claim));
	/* until the kernel wrote its own, the kind is what the hook was told */
	nr = ktd_get(ei, KTD_M_EI_KIND);
	ktd_set_u(r, KTD_EXIT_KIND, nr ?: claim->kind);
	if (ei) {
		ktd_set_s(r, KTD_EXIT_EXIT_CODE,
			  (s64)ktd_get(ei, KTD_M_EI_EXIT_CODE));
		if (ktd_have(KTD_M_EI_EXIT_CPU))
			ktd_set_s(r, KTD_EXIT_EXIT_CPU,
				  (s32)ktd_get(ei, KTD_M_EI_EXIT_CPU));
		if (ktd_have(KTD_M_EI_FLAGS))
			ktd_set_u(r, KTD_EXIT_FLAGS, ktd_get(ei, KTD_M_EI_FLAGS));
		ktd_set_strn(r, KTD_EXIT_REASON, reason,
			     ktd_read_str(reason, ktd_get(ei, KTD_M_EI_REASON),
					  sizeof(reason)));
		if (msg)
			ktd_set_strn(r, KTD_EXIT_MSG, msg,
				     ktd_read_str(msg, ktd_get(ei, KTD_M_EI_MSG),
						  MSG_MAX));
		nr = min_t(u32, ktd_get(ei, KTD_M_EI_BT_LEN), BT_MAX);
		bt_at = ktd_get(ei, KTD_M_EI_BT);
		if (ktd_read(bt, bt_at, nr * sizeof(*bt))) {
			ktd_set_arr(r, KTD_EXIT_BT, bt, nr);
			pcs_add(pcs, bt, nr);
		}
		ktd_set_u(r, KTD_EXIT_DUMP_BYTES, dumped);
	}
	ktd_row_end(s, &exit_table);
	kfree(msg);
}

static int cmp_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void late_symbols(struct ktd_sink *s, struct pcs *pcs)
{
	char *name = kmalloc(KSYM_SYMBOL_LEN, GFP_KERNEL);
	struct ktd_row *r;
	u32 i;

	ktd_table_begin(s, &symbol_table);
	sort(pcs->v, pcs->nr, sizeof(*pcs->v), cmp_u64, NULL);
	for (i = 0; name && i < pcs->nr; i++) {
		if (i && pcs->v[i] == pcs->v[i - 1])
			continue;
		sprint_symbol(name, pcs->v[i]);
		if (!strncmp(name, "0x", 2))
			continue;	/* BPF programs are the host's to name */
		r = ktd_row_begin(s, &symbol_table);
		ktd_set_u(r, KTD_SYMBOL_ADDR, pcs->v[i]);
		ktd_set_str(r, KTD_SYMBOL_NAME, name);
		ktd_row_end(s, &symbol_table);
	}
	kfree(name);
}

static void late_enums(struct ktd_sink *s)
{
	struct ktd_row *r;
	u32 i;

	ktd_table_begin(s, &enum_table);
	for (i = 0; i < nr_enumerators; i++) {
		r = ktd_row_begin(s, &enum_table);
		ktd_set_str(r, KTD_ENUM_ENUM, enum_names[enumerators[i].of]);
		ktd_set_str(r, KTD_ENUM_NAME, enumerators[i].name);
		ktd_set_u(r, KTD_ENUM_VALUE, enumerators[i].value);
		ktd_row_end(s, &enum_table);
	}
}

static void late_counters(struct ktd_sink *s)
{
	struct ktd_sched_counts sched;
	struct ktd_row *r;

	ktd_sched_timeline_counts(&sched);
	ktd_table_begin(s, &counter_table);
	r = ktd_row_begin(s, &counter_table);
	ktd_set_u(r, KTD_COUNTER_TRIGGER_COUNT, atomic64_read(&ktd_counters.trigger));
	ktd_set_u(r, KTD_COUNTER_ERROR_COUNT, atomic64_read(&ktd_counters.error));
	ktd_set_u(r, KTD_COUNTER_CLEAN_COUNT, atomic64_read(&ktd_counters.clean));
	ktd_set_u(r, KTD_COUNTER_PARENT_COUNT, atomic64_read(&ktd_counters.parent));
	ktd_set_u(r, KTD_COUNTER_CAPTURED, atomic64_read(&ktd_counters.captured));
	ktd_set_u(r, KTD_COUNTER_NESTED, atomic64_read(&ktd_counters.nested));
	ktd_set_u(r, KTD_COUNTER_LOST, atomic64_read(&ktd_counters.lost));
	ktd_set_u(r, KTD_COUNTER_LATE_NMI, READ_ONCE(ktd_late_nmi));
	ktd_set_u(r, KTD_COUNTER_PROBE_MISSED, ktd_trigger_missed());
	ktd_set_u(r, KTD_COUNTER_TIMELINE_COUNT, sched.timeline);
	ktd_set_u(r, KTD_COUNTER_TIMELINE_DROPS, sched.timeline_drops);
	ktd_set_u(r, KTD_COUNTER_PI_COUNT, sched.pi);
	ktd_set_u(r, KTD_COUNTER_PI_CLASS_CHANGE_COUNT, sched.pi_class_changes);
	ktd_set_u(r, KTD_COUNTER_PI_DROPS, sched.pi_drops);
	ktd_set_u(r, KTD_COUNTER_LOCK_CONTEND_COUNT, sched.lock_contend);
	ktd_set_u(r, KTD_COUNTER_LOCK_CONTEND_DROPS, sched.lock_contend_drops);
	ktd_set_u(r, KTD_COUNTER_POINT_COUNT, atomic64_read(&ktd_counters.point));
	ktd_set_u(r, KTD_COUNTER_POINT_SKIPPED, atomic64_read(&ktd_counters.point_skipped));
	ktd_row_end(s, &counter_table);
}

/* The ring oldest first. An entry that is being rewritten has the wrong number. */
static void late_firings(struct ktd_sink *s)
{
	u64 count = atomic64_read(&ktd_counters.trigger), nr;
	struct ktd_row *r;

	ktd_table_begin(s, &firing_table);
	for (nr = count > KTD_FIRINGS_MAX ? count - KTD_FIRINGS_MAX : 0; nr < count; nr++) {
		const struct ktd_firing *f = &ktd_firings[nr % KTD_FIRINGS_MAX];

		/* pairs with note_firing() */
		if (smp_load_acquire(&f->nr) != nr + 1)
			continue;
		r = ktd_row_begin(s, &firing_table);
		ktd_set_u(r, KTD_FIRING_MONO_NS, f->mono_ns);
		ktd_set_u(r, KTD_FIRING_SCHED_KVA, f->sch);
		ktd_set_u(r, KTD_FIRING_EXIT_KIND, f->kind);
		ktd_set_u(r, KTD_FIRING_CPU, f->cpu);
		ktd_set_str(r, KTD_FIRING_FATE, f->fate);
		if (f->snapshot)
			ktd_set_u(r, KTD_FIRING_SNAPSHOT, f->snapshot);
		ktd_row_end(s, &firing_table);
	}
}

static void late_freeze(struct ktd_sink *s, const struct ktd_snapshot *snap)
{
	const struct ktd_freeze *f = &snap->freeze;
	u64 missing[64], siblings[2 * KTD_CLAIMS_MAX];
	u32 nr = 0, nr_sib = 0, i;
	struct ktd_row *r;
	unsigned int cpu;

	for_each_cpu(cpu, &snap->missing_cpus) {
		if (nr < ARRAY_SIZE(missing))
			missing[nr++] = cpu;
	}
	for (i = 0; i < KTD_CLAIMS_MAX; i++) {
		if (!claim_of(&ktd_claims[i], snap))
			continue;
		siblings[nr_sib++] = ktd_claims[i].sch;
		siblings[nr_sib++] = ktd_claims[i].kind;
	}
	ktd_table_begin(s, &freeze_table);
	r = ktd_row_begin(s, &freeze_table);
	ktd_set_u(r, KTD_FREEZE_RENDEZVOUS_NS, f->parked_ns - f->start_ns);
	ktd_set_u(r, KTD_FREEZE_HELD_NS, f->released_ns - f->start_ns);
	ktd_set_u(r, KTD_FREEZE_RELEASE_NS, f->gone_ns - f->released_ns);
	ktd_set_u(r, KTD_FREEZE_CPUS_TARGETED, f->targeted);
	ktd_set_u(r, KTD_FREEZE_CPUS_PARKED, f->parked);
	ktd_set_arr(r, KTD_FREEZE_CPUS_MISSING, missing, nr);
	ktd_set_u(r, KTD_FREEZE_RESENT, f->resent);
	ktd_set_u(r, KTD_FREEZE_GAVE_UP, f->gave_up);
	ktd_set_u(r, KTD_FREEZE_CAP_NS, f->cap_ns);
	if (snap->truncated_at_us)
		ktd_set_u(r, KTD_FREEZE_TRUNCATED_AT_US, snap->truncated_at_us);
	ktd_set_u(r, KTD_FREEZE_BYTES, snap->rows_len);
	ktd_set_arr(r, KTD_FREEZE_EXITS, siblings, nr_sib);
	ktd_row_end(s, &freeze_table);
}

static void late_sections(struct ktd_sink *s, const struct ktd_snapshot *snap)
{
	struct ktd_row *r;
	u32 i;

	ktd_table_begin(s, &section_table);
	for (i = 1; i < KTD_TBL_MAX; i++) {
		if (!snap->stat[i].seen && !snap->stat[i].ns)
			continue;
		r = ktd_row_begin(s, &section_table);
		ktd_set_str(r, KTD_SECTION_TABLE, ktd_table_name(i));
		ktd_set_u(r, KTD_SECTION_ROWS, snap->stat[i].rows);
		ktd_set_u(r, KTD_SECTION_SEEN, snap->stat[i].seen);
		ktd_set_u(r, KTD_SECTION_BYTES, snap->stat[i].bytes);
		ktd_set_u(r, KTD_SECTION_NS, snap->stat[i].ns);
		ktd_row_end(s, &section_table);
	}
}

static void missing_row(struct ktd_sink *s, const char *what, const char *reason)
{
	struct ktd_row *r = ktd_row_begin(s, &missing_table);

	ktd_set_str(r, KTD_MISSING_TABLE, what);
	ktd_set_str(r, KTD_MISSING_REASON, reason);
	ktd_row_end(s, &missing_table);
}

static void late_missing(struct ktd_sink *s, const struct ktd_snapshot *snap)
{
	char what[64], why[512];
	u32 i;

	ktd_table_begin(s, &missing_table);
	for (i = 0; i < KTD_NR_GROUPS; i++) {
		if (!ktd_off.group_missing[i])
			continue;
		scnprintf(what, sizeof(what), "offsets:%s", ktd_group_name(i));
		ktd_group_missing(&ktd_off, i, why, sizeof(why));
		missing_row(s, what, why);
	}
	for (i = 0; i < KTD_NR_SYMBOLS; i++) {
		if (ktd_sym[i] || !*ktd_symbol_lost(i))
			continue;
		scnprintf(what, sizeof(what), "symbol:%s", ktd_symbol_name(i));
		missing_row(s, what, ktd_symbol_lost(i));
	}
	if (ktd_point_lost())
		missing_row(s, "point", ktd_point_lost());
	for (i = 0; i < snap->nr_missing; i++)
		missing_row(s, ktd_table_name(snap->missing[i].table), snap->missing[i].reason);
}

static bool holds_pcs(const struct ktd_rec *rec)
{
	return rec->table == KTD_TBL_NONE && rec->kind == KTD_PRIVATE_PCS;
}

/* Addresses that the capture kept for us, and room for @extra more. */
static int collect_pcs(const struct ktd_snapshot *snap, struct pcs *pcs, u32 extra)
{
	const struct ktd_rec *rec;

	pcs->nr = 0;
	pcs->max = extra;
	ktd_for_each_rec(rec, snap->rows, snap->rows_len) {
		if (holds_pcs(rec))
			pcs->max += rec->len / sizeof(u64);
	}
	pcs->v = kvmalloc_array(pcs->max, sizeof(*pcs->v), GFP_KERNEL);
	if (!pcs->v)
		return -ENOMEM;
	ktd_for_each_rec(rec, snap->rows, snap->rows_len) {
		if (holds_pcs(rec))
			pcs_add(pcs, rec + 1, rec->len / sizeof(u64));
	}
	return 0;
}

static void tell(const struct ktd_snapshot *snap)
{
	char text[160];

	scnprintf(text, sizeof(text),
		  "snapshot %u: %zu bytes, %u of %u other CPUs parked, held %llu us%s",
		  snap->nr, snap->rows_len, snap->freeze.parked, snap->freeze.targeted,
		  (snap->freeze.released_ns - snap->freeze.start_ns) / NSEC_PER_USEC,
		  snap->truncated_at_us || snap->full ? ", cut" : "");
	/* of a living scheduler there may be ten in a second */
	if (snap->exit)
		pr_info("%s\n", text);
	else
		pr_debug("%s\n", text);
}

static int late_build(struct ktd_snapshot *snap)
{
	struct ktd_sink *s = kvzalloc(sizeof(*s), GFP_KERNEL);
	size_t size = LATE_BASE + nr_enumerators * 128;
	struct pcs pcs = {};
	int ret = -ENOMEM, i;
	u8 *buf = NULL;

	if (!s || collect_pcs(snap, &pcs, BT_MAX * KTD_CLAIMS_MAX))
		goto out;
	for (i = 0; i < KTD_CLAIMS_MAX; i++) {
		if (claim_of(&ktd_claims[i], snap))
			size += claim_bytes(&ktd_claims[i]);
	}
	size += pcs.max * (size_t)96 + ktd_timeline_bytes();
	buf = vzalloc(size);
	if (!buf)
		goto out;
	ktd_sink_init(s, buf, size);

	ktd_table_begin(s, &exit_table);
	ktd_table_begin(s, &text_table);
	for (i = 0; i < KTD_CLAIMS_MAX; i++) {
		if (claim_of(&ktd_claims[i], snap))
			late_exit(s, &ktd_claims[i], &pcs);
	}
	late_symbols(s, &pcs);
	ktd_timeline_rows(s, snap->freeze.start_ns);
	late_enums(s);
	late_counters(s);
	late_firings(s);
	late_freeze(s, snap);
	late_sections(s, snap);
	late_missing(s, snap);
	tell(snap);
	snap->late_len = s->pos;
	snap->late = buf;
	ret = 0;
out:
	kvfree(pcs.v);
	kvfree(s);
	return ret;
}

/* An exit that belongs to no waiting snapshot: only its reference is left. */
static bool orphan(const struct ktd_claim *claim)
{
	struct ktd_snapshot *snap;
	unsigned int i;

	for (i = 0; (snap = ktd_buffer_peek(i)); i++) {
		if (snap->nr == claim->snapshot && !snap->late)
			return false;
	}
	return true;
}

bool ktd_late_poll(void)
{
	struct ktd_snapshot *snap;
	bool waiting = false;
	unsigned int i, k;

	for (i = 0; (snap = ktd_buffer_peek(i)); i++) {
		bool done = true;

		if (snap->late)
			continue;
		for (k = 0; k < KTD_CLAIMS_MAX; k++) {
			if (claim_of(&ktd_claims[k], snap) && !claim_done(&ktd_claims[k]))
				done = false;
		}
		if (!done || late_build(snap)) {
			waiting = true;
			continue;
		}
		for (k = 0; k < KTD_CLAIMS_MAX; k++) {
			if (claim_of(&ktd_claims[k], snap))
				ktd_claim_put(&ktd_claims[k]);
		}
	}
	for (k = 0; k < KTD_CLAIMS_MAX; k++) {
		struct ktd_claim *claim = &ktd_claims[k];

		/* pairs with ktd_exit_fired() */
		if (!claim->sch || !smp_load_acquire(&claim->ready) || !orphan(claim))
			continue;
		if (claim_done(claim))
			ktd_claim_put(claim);
		else
			waiting = true;
	}
	return waiting;
}

void ktd_late_exit(void)
{
	unsigned int k;

	for (k = 0; k < KTD_CLAIMS_MAX; k++) {
		if (ktd_claims[k].sch)
			ktd_claim_put(&ktd_claims[k]);
	}
}
