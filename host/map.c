// SPDX-License-Identifier: GPL-2.0-only
/* BPF maps: what they are, and the list of them with their contents. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "map.h"
#include "payload_type.h"
#include "sdt_alloc.h"

/* How often all that was captured may be written; see spend() in map_content.c. */
#define BUDGET_FACTOR	4
#define BUDGET_MIN	(1u << 20)

void map_error(struct map *m, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	int n;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* The guest may have said the same. */
	if (strstr(m->error, text))
		return;
	n = snprintf(m->error + m->error_len, sizeof(m->error) - m->error_len, "%s%s",
		     m->error_len ? "; " : "", text);
	m->error_len += n;
	if (m->error_len >= sizeof(m->error))
		m->error_len = sizeof(m->error) - 1;
}

bool map_form_is(const struct map *m, const char *form)
{
	return m->form && m->form_len == strlen(form) && !memcmp(m->form, form, m->form_len);
}

static bool cut_is(const struct map *m, const char *cut)
{
	return m->cut_len == strlen(cut) && !memcmp(m->cut, cut, m->cut_len);
}

bool map_fact(const struct report *r, uint64_t kva, const char *name, uint64_t *ret)
{
	const struct table *t = report_table(r, KTD_TBL_FACT);
	size_t first, nr = report_range(r->facts, r->nr_facts, kva, &first);

	for (size_t i = first; i < first + nr; i++)
		if (row_str_is(t, t->rows[r->facts[i].row], KTD_FACT_NAME, name))
			return !row_u64(t, t->rows[r->facts[i].row], KTD_FACT_VALUE, ret);
	return false;
}

/* Of ktstr's own probes. A scheduler may have maps of such names too: those are shown. */
static bool is_tooling(const struct table *t, row_t row)
{
	static const char *const whole[] = {
		"probe_bp", "fentry_p", "func_meta_map", "probe_data", "probe_scratch",
		"ktstr_events",
	};
	static const char *const start[] = { "probe_bp.", "fentry_p." };
	const char *name;
	size_t len;

	if (row_str(t, row, KTD_MAP_NAME, &name, &len) ||
	    row_u64_or(t, row, KTD_MAP_OWNER_SCHED, 0))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		if (len == strlen(whole[i]) && !memcmp(name, whole[i], len))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(start); i++)
		if (len >= strlen(start[i]) && !memcmp(name, start[i], strlen(start[i])))
			return true;
	return false;
}

/* -------------------------------------------------------------------- contents */

static void load_content(const struct report *r, struct map *m)
{
	const struct table *t = report_table(r, KTD_TBL_CONTENT);
	row_t row = m->content;

	if (!row)
		return;
	row_str(t, row, KTD_CONTENT_FORM, &m->form, &m->form_len);
	row_str(t, row, KTD_CONTENT_CUT, &m->cut, &m->cut_len);
	m->values_kva = row_u64_or(t, row, KTD_CONTENT_VALUES_KVA, 0);
	m->stride = row_u64_or(t, row, KTD_CONTENT_STRIDE, 0);
	m->seen = row_u64_or(t, row, KTD_CONTENT_SEEN, 0);
	m->taken = row_u64_or(t, row, KTD_CONTENT_TAKEN, 0);
	m->unreadable = row_u64_or(t, row, KTD_CONTENT_UNREADABLE, 0);
	m->limit = row_u64_or(t, row, KTD_CONTENT_LIMIT, 0);
}

static uint64_t u32_of(const struct table *t, row_t row, unsigned int col)
{
	uint64_t v = row_u64_or(t, row, col, 0);

	return v <= UINT32_MAX ? v : 0;
}

void map_load(struct report *r, row_t row, struct map *m)
{
	const struct table *t = report_table(r, KTD_TBL_MAP);

	*m = (struct map){ .row = row, .name = "" };
	row_str(t, row, KTD_MAP_NAME, &m->name, &m->name_len);
	m->kva = row_u64_or(t, row, KTD_MAP_KVA, 0);
	m->type = u32_of(t, row, KTD_MAP_MAP_TYPE);
	m->key_size = u32_of(t, row, KTD_MAP_KEY_SIZE);
	m->value_size = u32_of(t, row, KTD_MAP_VALUE_SIZE);
	m->max_entries = u32_of(t, row, KTD_MAP_MAX_ENTRIES);
	m->flags = row_u64_or(t, row, KTD_MAP_MAP_FLAGS, 0);
	m->owner = row_u64_or(t, row, KTD_MAP_OWNER_SCHED, 0);
	m->content = report_row(report_table(r, KTD_TBL_CONTENT), r->contents, r->nr_contents,
				m->kva);
	/* Two maps at one address: one of the rows is not true. */
	if (report_row(t, r->maps_by_kva, r->nr_maps, m->kva) != row)
		m->content = NULL;
	load_content(r, m);
}

/* ktstr's texts for its own limits, ours for all others. */
static void cut_error(struct map *m)
{
	static const struct {
		const char *form, *text;
		uint64_t limit;
	} ktstr[] = {
		{ KTD_FORM_HASH, "hash map truncated at 4096 entries", 4096 },
		{ KTD_FORM_PERCPU_HASH, "percpu hash map truncated at 4096 entries", 4096 },
		{ KTD_FORM_STORAGE, "local_storage map truncated at 4096 entries", 4096 },
	};
	unsigned long long limit = m->limit;
	char why[64];

	if (!m->cut)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(ktstr); i++) {
		if (map_form_is(m, ktstr[i].form) && cut_is(m, "entries") &&
		    m->limit == ktstr[i].limit && m->taken == m->limit) {
			map_error(m, "%s", ktstr[i].text);
			return;
		}
	}
	if (map_form_is(m, KTD_FORM_PERCPU_ARRAY) && cut_is(m, "entries") && m->limit == 256) {
		map_error(m, "PERCPU_ARRAY truncated at 256 keys (max_entries=%llu)",
			  (unsigned long long)m->max_entries);
		return;
	}
	if (cut_is(m, "entries"))
		snprintf(why, sizeof(why), "limit of %llu entries", limit);
	else if (cut_is(m, "bytes"))
		snprintf(why, sizeof(why), "limit of %llu bytes", limit);
	else if (cut_is(m, "deadline") && !limit)
		snprintf(why, sizeof(why), "the deadline came before this map");
	else if (cut_is(m, "deadline"))
		snprintf(why, sizeof(why), "deadline after %llu us", limit);
	else if (cut_is(m, "full"))
		snprintf(why, sizeof(why), "no room in the guest's buffer");
	else if (cut_is(m, "loop"))
		snprintf(why, sizeof(why), "its list goes round in a circle");
	else
		snprintf(why, sizeof(why), "%.*s", (int)(m->cut_len < 32 ? m->cut_len : 32),
			 m->cut);
	if (m->form)
		map_error(m, "cut: %s, %llu of %llu elements taken", why,
			  (unsigned long long)m->taken, (unsigned long long)m->seen);
	else
		map_error(m, "cut: %s, nothing taken", why);
}

static void guest_error(const struct report *r, struct map *m)
{
	const struct table *t = report_table(r, KTD_TBL_CONTENT);
	const char *text;
	size_t len;

	if (m->content) {
		if (!row_str(t, m->content, KTD_CONTENT_ERROR, &text, &len) && len)
			map_error(m, "%.*s", (int)(len < 500 ? len : 500), text);
		return;
	}
	if (!m->kva)
		map_error(m, "contents not shown: its address is not known");
	else if (report_row(report_table(r, KTD_TBL_MAP), r->maps_by_kva, r->nr_maps, m->kva) != m->row)
		map_error(m, "contents not shown: its address is another map's");
	else if (!r->snap->ended || r->snap->full)
		map_error(m, "contents did not arrive: the stream ended before");
	else if (!t->header)
		map_error(m, "contents not captured: the guest's module sends map facts only");
	else
		map_error(m, "contents not captured");
}

static void write_map(struct map_writer *mw, struct map *m)
{
	struct jsonw *w = mw->w;

	jsonw_obj(w);
	jsonw_key(w, "name");
	jsonw_text(w, m->name, m->name_len);
	jsonw_key(w, "map_type");
	jsonw_u64(w, m->type);
	jsonw_key(w, "value_size");
	jsonw_u64(w, m->value_size);
	jsonw_key(w, "max_entries");
	jsonw_u64(w, m->max_entries);

	guest_error(mw->r, m);
	cut_error(m);
	if (m->form)
		map_btf_choose(mw->r, m);
	m->has_slot = mw->r->sdt && m->btf && sdt_member(m->btf, m->value_type, &m->slot_off);
	mw->nr_fields = m->form ? fields_load(mw->r, m->kva, mw->fields, MAP_MAX_FIELDS) : 0;
	map_content_write(mw, m);
	if (m->unreadable)
		map_error(m, "%llu %s unreadable", (unsigned long long)m->unreadable,
			  map_form_is(m, KTD_FORM_ARRAY) ? "keys" : "elements");
	if (m->broken)
		map_error(m, "%llu records are not what they should be",
			  (unsigned long long)m->broken);
	if (m->error_len) {
		jsonw_key(w, "error");
		jsonw_text(w, m->error, m->error_len);
	}
	map_content_write_more(mw, m);
	jsonw_key(w, "map_kva");
	jsonw_u64(w, m->kva);
	jsonw_obj_end(w);
}

static bool resolve_fwd(void *ctx, const char *name, bool is_union, const struct btf **btf_ret,
			uint32_t *id_ret)
{
	return map_btf_resolve_fwd(ctx, name, is_union, btf_ret, id_ret);
}

static bool find_object(void *ctx, uint64_t kva, struct render_object *ret)
{
	return object_find(((struct map_writer *)ctx)->r, kva, ret);
}

static bool find_slot(void *ctx, uint64_t kva, struct render_slot *ret)
{
	return sdt_slot(((struct map_writer *)ctx)->r->sdt, kva, ret);
}

static bool find_sized(void *ctx, const struct cast_hit *hit, struct render_sized *ret)
{
	struct payload_found found;
	bool known = payload_by_size(((struct map_writer *)ctx)->r, hit, &found);

	*ret = (struct render_sized){ found.btf, found.id, found.guess, found.why };
	return known;
}

static const char *find_region(void *ctx, uint64_t kva)
{
	return scx_static_name(((struct map_writer *)ctx)->r, kva);
}

static bool find_cast(void *ctx, const struct btf *btf, const struct btf_type *owner,
		      uint32_t off, struct cast_hit *ret)
{
	return casts_find(((struct map_writer *)ctx)->casts, btf, owner, off, ret);
}

static void set_guest(struct map_writer *mw)
{
	const struct table *t = report_table(mw->r, KTD_TBL_HELLO);
	row_t row = snapshot_single(mw->r->snap, KTD_TBL_HELLO);
	uint64_t v;

	mw->render.page_size = 4096;
	if (!row)
		return;
	if (!row_u64(t, row, KTD_HELLO_NR_CPU_IDS, &v) && v <= REPORT_MAX_CPUS)
		mw->render.nr_cpu_ids = v;
	if (!row_u64(t, row, KTD_HELLO_PAGE_SIZE, &v) && v >= 4096 && v <= 65536 && !(v & (v - 1)))
		mw->render.page_size = v;
}

int map_writer_init(struct map_writer *mw, struct report *r, struct jsonw *w)
{
	*mw = (struct map_writer){
		.r = r, .w = w, .bulk = r->bulk,
		.budget = r->snap->bytes * BUDGET_FACTOR + BUDGET_MIN,
		.render = {
			.out = w, .bulk = r->bulk, .resolve_fwd = resolve_fwd,
			.object = find_object, .ctx = mw,
		},
		.maps = report_sorted(r, KTD_TBL_MAP, KTD_MAP_ID),
	};
	if (!mw->maps)
		return -ENOMEM;
	if (report_table(r, KTD_TBL_CONTENT)->nr_rows)
		mw->render.kernel = report_kernel_btf(r, NULL);
	mw->casts = report_casts(r);
	if (mw->casts) {
		mw->render.cast = find_cast;
		mw->render.sized = find_sized;
	}
	if (r->nr_regions)
		mw->render.region = find_region;
	if (r->sdt)
		mw->render.slot = find_slot;
	set_guest(mw);
	mw->render.arenas = mw->arenas;
	return 0;
}

void map_writer_deinit(struct map_writer *mw)
{
	free(mw->maps);
	free(mw->buf);
	free(mw->fwd.refs);
}

/* Nothing for maps that are left out. */
static void write_row(struct map_writer *mw, row_t row)
{
	struct map m;

	if (is_tooling(report_table(mw->r, KTD_TBL_MAP), row))
		return;
	map_load(mw->r, row, &m);
	mw->render.nr_arenas = arenas_of_map(mw->r, &m, mw->arenas);
	write_map(mw, &m);
}

void maps_write(struct report *r, struct jsonw *w)
{
	_cleanup_free_ struct map_writer *mw = calloc(1, sizeof(*mw));

	jsonw_arr(w);
	if (mw && !map_writer_init(mw, r, w)) {
		for (size_t i = 0; i < report_table(r, KTD_TBL_MAP)->nr_rows; i++)
			write_row(mw, mw->maps[i]);
		map_writer_deinit(mw);
	} else if (!w->error) {
		w->error = -ENOMEM;
	}
	jsonw_arr_end(w);
}

struct map_texts {
	struct map_writer mw;
	struct jsonw w;
	char buf[MAP_TEXT_MAX];
};

struct map_texts *map_texts_create(struct report *r)
{
	struct map_texts *mt = malloc(sizeof(*mt));

	if (mt && map_writer_init(&mt->mw, r, &mt->w)) {
		free(mt);
		return NULL;
	}
	return mt;
}

void map_texts_destroy(struct map_texts *mt)
{
	if (mt)
		map_writer_deinit(&mt->mw);
	free(mt);
}

const char *map_text(struct map_texts *mt, uint64_t kva, size_t *len_ret)
{
	const struct report *r = mt->mw.r;
	row_t row = report_row(report_table(r, KTD_TBL_MAP), r->maps_by_kva, r->nr_maps, kva);
	FILE *f = row ? fmemopen(mt->buf, sizeof(mt->buf), "w") : NULL;
	int err;
	long len;

	if (!f)
		return NULL;
	jsonw_init(&mt->w, f);
	write_row(&mt->mw, row);
	err = jsonw_finish(&mt->w);
	len = ftell(f);
	if (fclose(f) || err || len < 2)
		return NULL;
	*len_ret = len;
	return mt->buf;
}

/* ------------------------------------------------------------------- under ktdump */

static void content_detail(struct report *r, yyjson_mut_val *obj, const struct map *m)
{
	static const unsigned int skip[] = { KTD_CONTENT_MAP_KVA, COLS_END };

	if (m->content)
		json_add_cols(r->doc, yyjson_mut_obj_add_obj(r->doc, obj, "content"),
			      report_table(r, KTD_TBL_CONTENT), m->content, skip);
}

static void facts_detail(struct report *r, yyjson_mut_val *obj, uint64_t kva)
{
	static const unsigned int skip[] = { KTD_FACT_MAP_KVA, COLS_END };
	const struct table *t = report_table(r, KTD_TBL_FACT);
	size_t first, nr = report_range(r->facts, r->nr_facts, kva, &first);
	yyjson_mut_val *arr;

	if (!nr)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, obj, "facts");
	for (size_t i = first; i < first + nr; i++)
		json_add_cols(r->doc, yyjson_mut_arr_add_obj(r->doc, arr), t,
			      t->rows[r->facts[i].row], skip);
}

/* The row of a BTF object, by its address; the kernel's own has none. */
static row_t btf_row(const struct table *t, uint64_t kva)
{
	for (size_t i = 0; i < t->nr_rows && i < REPORT_MAX_LIST; i++)
		if (row_u64_or(t, t->rows[i], KTD_BTF_KVA, UINT64_MAX) == kva)
			return t->rows[i];
	return NULL;
}

static void btf_of(struct report *r, yyjson_mut_val *obj, const struct map *m)
{
	const struct table *maps = report_table(r, KTD_TBL_MAP), *t = report_table(r, KTD_TBL_BTF);
	bool kernel = m->type == MAP_STRUCT_OPS;
	yyjson_mut_val *one;
	uint64_t kva = 0;
	row_t row;

	if (!kernel && row_u64(maps, m->row, KTD_MAP_BTF_KVA, &kva))
		return;
	if (!kva && !kernel && !row_u64_or(maps, m->row, KTD_MAP_BTF_KEY_TYPE_ID, 0) &&
	    !row_u64_or(maps, m->row, KTD_MAP_BTF_VALUE_TYPE_ID, 0))
		return;
	row = btf_row(t, kva);
	if (!row)
		return;
	one = yyjson_mut_obj_add_obj(r->doc, obj, "btf");
	json_add_col(r->doc, one, t, row, KTD_BTF_ID, "id");
	json_add_col(r->doc, one, t, row, KTD_BTF_NAME, "name");
	json_add_col(r->doc, one, t, row, KTD_BTF_HASH, "hash");
}

const char *map_type_name(uint64_t type)
{
	switch (type) {		/* younger than some versions of libbpf */
	case MAP_INSN_ARRAY:
		return "insn_array";
	case MAP_RHASH:
		return "rhash";
	}
	return type <= MAP_RHASH ? libbpf_bpf_map_type_str(type) : NULL;
}

static void map_detail(struct report *r, yyjson_mut_val *obj, row_t row)
{
	const struct table *t = report_table(r, KTD_TBL_MAP);
	const struct table *scheds = report_table(r, KTD_TBL_SCHED);
	row_t sched;
	struct map m;
	const char *type;

	map_load(r, row, &m);
	json_add_cols(r->doc, obj, t, row, NULL);
	type = map_type_name(m.type);
	if (type)
		yyjson_mut_obj_add_str(r->doc, obj, "map_type_name", type);
	sched = report_row(scheds, r->scheds, r->nr_scheds, m.owner);
	if (sched)
		json_add_col(r->doc, obj, scheds, sched, KTD_SCHED_NAME, "owner_sched_name");
	if (is_tooling(t, row))
		yyjson_mut_obj_add_bool(r->doc, obj, "left_out", true);
	btf_of(r, obj, &m);
	content_detail(r, obj, &m);
	if (m.content) {
		facts_detail(r, obj, m.kva);
		fields_detail(r, obj, m.kva);
	}
}

void maps_detail(struct report *r)
{
	const struct table *t = report_table(r, KTD_TBL_MAP);
	uint64_t left_out = 0;
	yyjson_mut_val *arr;

	if (!t->header)
		return;
	arr = yyjson_mut_obj_add_arr(r->doc, r->ktdump, "maps");
	for (size_t i = 0; i < t->nr_rows; i++) {
		map_detail(r, yyjson_mut_arr_add_obj(r->doc, arr), t->rows[i]);
		left_out += is_tooling(t, t->rows[i]);
	}
	json_add_u64(r->doc, r->ktdump, "maps_left_out", left_out);
}
