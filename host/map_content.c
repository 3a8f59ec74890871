// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contents of a map, in ktstr's form by type. All numbers are the guest's: what does
 * not fit together is left out and counted.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "map.h"
#include "sdt_alloc.h"

#define RINGBUF_BUSY	(1u << 31)
#define RINGBUF_DISCARD	(1u << 30)
#define RINGBUF_HEAD	8		/* u32 length and flags, u32 page offset */
#define BUILD_ID_BYTES	32		/* struct bpf_stack_build_id */

static uint64_t padded(uint64_t n)
{
	return (n + 7) & ~7ull;
}

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static void key_u64(struct jsonw *w, const char *key, uint64_t v)
{
	jsonw_key(w, key);
	jsonw_u64(w, v);
}

static void key_true(struct jsonw *w, const char *key)
{
	jsonw_key(w, key);
	jsonw_bool(w, true);
}

static void key_hex(struct jsonw *w, const char *key, const uint8_t *data, size_t len)
{
	jsonw_key(w, key);
	jsonw_hex(w, data, len);
}

/*
 * Content costs disk space. The same memory or records under several names must not
 * multiply it; honest snapshots stay far below.
 */
static bool spend(struct map_writer *mw, struct map *m, uint64_t bytes)
{
	if (bytes <= mw->budget) {
		mw->budget -= bytes;
		return true;
	}
	if (mw->budget) {
		mw->budget = 0;
		map_error(m, "the rest was left out: more content than was captured");
	}
	return false;
}

/* The first len bytes from kva on, as far as they go without a gap: their number. */
static size_t load(struct map_writer *mw, struct map *m, uint64_t kva, uint64_t len)
{
	size_t have;

	if (!mw->bulk || !len || len - 1 > UINT64_MAX - kva)
		return 0;
	have = bulk_have(mw->bulk, kva, len < MAP_MAX_VALUE ? len : MAP_MAX_VALUE);
	if (!have || !spend(mw, m, have))
		return 0;
	if (have > mw->room) {
		uint8_t *buf = realloc(mw->buf, have);

		if (!buf)
			return 0;
		mw->buf = buf;
		mw->room = have;
	}
	return bulk_read(mw->bulk, kva, mw->buf, have) ? 0 : have;
}

static void unsupported(struct jsonw *w, const char *reason)
{
	jsonw_obj(w);
	jsonw_key(w, "kind");
	jsonw_str(w, "unsupported");
	jsonw_key(w, "reason");
	jsonw_str(w, reason);
	jsonw_obj_end(w);
}

/* A node for a whole value, or for as much as there is of it. */
static void value_node(struct map_writer *mw, const struct map *m, uint32_t type,
		       const uint8_t *data, size_t len, uint64_t declared)
{
	if (len < declared && (!m->btf || !type)) {
		jsonw_obj(mw->w);
		jsonw_key(mw->w, "kind");
		jsonw_str(mw->w, "truncated");
		key_u64(mw->w, "needed", declared);
		key_u64(mw->w, "had", len);
		jsonw_key(mw->w, "partial");
		render_bytes(&mw->render, data, len);
		jsonw_obj_end(mw->w);
		return;
	}
	mw->render.fields = mw->fields;
	mw->render.nr_fields = mw->nr_fields;
	render_value(&mw->render, m->btf, type, data, len);
	mw->render.nr_fields = 0;
}

/* -------------------------------------------------------------- record streams */

struct records {
	struct map_writer *mw;
	struct map *m;
	struct bulk_cursor cursor;
	const char *key;	/* of the list, which is opened by its first entry */
	uint64_t broken;
	bool open;
};

static struct records records_of(struct map_writer *mw, struct map *m, const char *key)
{
	struct records rs = { .mw = mw, .m = m, .key = key };

	bulk_records(mw->bulk, m->kva, &rs.cursor);
	return rs;
}

static const struct bulk_record *records_next(struct records *rs)
{
	int ret = bulk_record_next(&rs->cursor);

	if (ret == 1)
		return spend(rs->mw, rs->m, rs->cursor.rec.len) ? &rs->cursor.rec : NULL;
	if (ret == -EBADMSG)
		map_error(rs->m, "what follows is not a record");
	else if (ret)
		map_error(rs->m, "records cannot be read: %s", strerror(-ret));
	return NULL;
}

/* Records of slots, keys and buckets come in order, each once. next: the lowest one allowed. */
static bool in_order(const struct bulk_record *rec, uint64_t *next, uint64_t end)
{
	if (rec->index < *next || rec->index >= end)
		return false;
	*next = (uint64_t)rec->index + 1;
	return true;
}

static void entry_begin(struct records *rs)
{
	if (!rs->open) {
		jsonw_key(rs->mw->w, rs->key);
		jsonw_arr(rs->mw->w);
		rs->open = true;
	}
	jsonw_obj(rs->mw->w);
}

static void records_end(struct records *rs)
{
	if (rs->open)
		jsonw_arr_end(rs->mw->w);
	bulk_records_end(&rs->cursor);
}

/* Key and what is behind it; false when the record has no room for it. */
static bool split(const struct map *m, const struct bulk_record *rec, const uint8_t **rest_ret,
		  uint64_t *len_ret)
{
	uint64_t key = padded(m->key_size);

	if (key > rec->len)
		return false;
	*rest_ret = rec->data + key;
	*len_ret = rec->len - key;
	return true;
}

static void write_key(struct map_writer *mw, const struct map *m, const struct bulk_record *rec)
{
	if (rec->flags & KTD_RECORD_KEY_BAD) {
		jsonw_key(mw->w, "key");
		unsupported(mw->w, "key not readable");
		key_hex(mw->w, "key_hex", NULL, 0);
		return;
	}
	if (m->btf && m->key_type) {
		jsonw_key(mw->w, "key");
		render_value(&mw->render, m->btf, m->key_type, rec->data, m->key_size);
	}
	key_hex(mw->w, "key_hex", rec->data, m->key_size);
}

/* always: a value without a type is shown as bytes. */
static void write_value(struct map_writer *mw, const struct map *m, const struct bulk_record *rec,
			const uint8_t *data, uint64_t len, bool always)
{
	if (rec->flags & KTD_RECORD_VALUE_BAD) {
		jsonw_key(mw->w, "value");
		unsupported(mw->w, "value not readable");
		key_hex(mw->w, "value_hex", NULL, 0);
		return;
	}
	if (len > m->value_size)
		len = m->value_size;
	if (always || (m->btf && m->value_type) || len < m->value_size) {
		jsonw_key(mw->w, "value");
		value_node(mw, m, m->value_type, data, len, m->value_size);
	}
	key_hex(mw->w, "value_hex", data, len);
}

/* What the value's pointer to a slot leads to. */
static void write_payload(struct map_writer *mw, struct map *m, const struct bulk_record *rec,
			  const uint8_t *value, uint64_t len)
{
	struct sdt_payload p;
	size_t have;

	if (!m->has_slot || rec->flags & KTD_RECORD_VALUE_BAD || len < sizeof(uint64_t) ||
	    m->slot_off > len - sizeof(uint64_t) ||
	    !sdt_payload_find(mw->r->sdt, m, mw->arenas, mw->render.nr_arenas,
			      load64(value + m->slot_off), &p))
		return;
	have = load(mw, m, p.kva, p.size);
	if (have < p.size)
		return;
	jsonw_key(mw->w, "payload");
	render_value(&mw->render, p.btf, p.id, mw->buf, have);
}

static void write_hash(struct map_writer *mw, struct map *m)
{
	struct records rs = records_of(mw, m, "entries");
	const struct bulk_record *rec;

	while ((rec = records_next(&rs))) {
		const uint8_t *value;
		uint64_t len;

		if (!split(m, rec, &value, &len)) {
			m->broken++;
			continue;
		}
		m->broken += len < m->value_size;
		entry_begin(&rs);
		write_key(mw, m, rec);
		write_value(mw, m, rec, value, len, false);
		write_payload(mw, m, rec, value, len);
		jsonw_obj_end(mw->w);
	}
	records_end(&rs);
}

/* No keys: an entry without one says so by its empty key_hex. */
static void write_queue(struct map_writer *mw, struct map *m)
{
	struct records rs = records_of(mw, m, "entries");
	const struct bulk_record *rec;

	while ((rec = records_next(&rs))) {
		m->broken += rec->len < m->value_size;
		entry_begin(&rs);
		key_hex(mw->w, "key_hex", NULL, 0);
		write_value(mw, m, rec, rec->data, rec->len, false);
		jsonw_obj_end(mw->w);
	}
	records_end(&rs);
}

static void write_storage(struct map_writer *mw, struct map *m)
{
	struct records rs = records_of(mw, m, "entries");
	const struct bulk_record *rec;

	while ((rec = records_next(&rs))) {
		if (rec->len < sizeof(uint64_t)) {
			m->broken++;
			continue;
		}
		m->broken += rec->len - sizeof(uint64_t) < m->value_size;
		entry_begin(&rs);
		jsonw_key(mw->w, "key");
		if (rec->flags & KTD_RECORD_KEY_BAD)
			unsupported(mw->w, "owner not readable");
		else
			render_ptr(&mw->render, load64(rec->data));
		key_hex(mw->w, "key_hex", rec->data,
			rec->flags & KTD_RECORD_KEY_BAD ? 0 : sizeof(uint64_t));
		write_value(mw, m, rec, rec->data + sizeof(uint64_t),
			    rec->len - sizeof(uint64_t), true);
		write_payload(mw, m, rec, rec->data + sizeof(uint64_t),
			      rec->len - sizeof(uint64_t));
		jsonw_obj_end(mw->w);
	}
	records_end(&rs);
}

/* A value per CPU: null where it could not be read. */
static void write_per_cpu(struct map_writer *mw, struct map *m, const uint8_t *data, uint64_t len)
{
	uint64_t each = sizeof(struct ktd_record_cpu) + padded(m->value_size);
	uint64_t nr = mw->render.nr_cpu_ids;

	if (nr && len < nr * each)
		m->broken++;
	if (!nr || len < nr * each)
		nr = len / each;
	jsonw_key(mw->w, "per_cpu");
	jsonw_arr(mw->w);
	for (uint64_t cpu = 0; cpu < nr; cpu++, data += each) {
		if (load64(data))
			value_node(mw, m, m->value_type, data + sizeof(struct ktd_record_cpu),
				   m->value_size, m->value_size);
		else
			jsonw_null(mw->w);
	}
	jsonw_arr_end(mw->w);
}

static void write_percpu_hash(struct map_writer *mw, struct map *m)
{
	struct records rs = records_of(mw, m, "percpu_hash_entries");
	const struct bulk_record *rec;

	while ((rec = records_next(&rs))) {
		const uint8_t *values;
		uint64_t len;

		if (!split(m, rec, &values, &len)) {
			m->broken++;
			continue;
		}
		entry_begin(&rs);
		write_key(mw, m, rec);
		/* Only then there is nothing per CPU at all. */
		write_per_cpu(mw, m, values, rec->flags & KTD_RECORD_VALUE_BAD && !len ? 0 : len);
		jsonw_obj_end(mw->w);
	}
	records_end(&rs);
}

static void write_percpu_array(struct map_writer *mw, struct map *m)
{
	struct records rs = records_of(mw, m, "percpu_entries");
	const struct bulk_record *rec;
	uint64_t next = 0;

	while ((rec = records_next(&rs))) {
		if (!in_order(rec, &next, m->max_entries)) {
			m->broken++;
			continue;
		}
		entry_begin(&rs);
		key_u64(mw->w, "key", rec->index);
		write_per_cpu(mw, m, rec->data, rec->len);
		jsonw_obj_end(mw->w);
	}
	records_end(&rs);
}

/* The syscall gives the id of the inner map; so does the value here. */
static void write_hash_of_maps(struct map_writer *mw, struct map *m)
{
	struct records rs = records_of(mw, m, "entries");
	unsigned long long unknown = 0;
	const struct bulk_record *rec;

	while ((rec = records_next(&rs))) {
		const uint8_t *rest;
		uint64_t len, ptr;
		uint32_t id = htole32(rec->extra);

		if (!split(m, rec, &rest, &len) || len < sizeof(ptr)) {
			m->broken++;
			continue;
		}
		ptr = load64(rest);
		unknown += !rec->extra;
		entry_begin(&rs);
		write_key(mw, m, rec);
		jsonw_key(mw->w, "value");
		if (rec->extra) {
			jsonw_obj(mw->w);
			jsonw_key(mw->w, "kind");
			jsonw_str(mw->w, "uint");
			key_u64(mw->w, "bits", 32);
			key_u64(mw->w, "value", rec->extra);
			jsonw_obj_end(mw->w);
		} else {
			unsupported(mw->w, "id of the inner map not readable");
		}
		key_hex(mw->w, "value_hex", (const uint8_t *)&id,
			rec->extra && m->value_size == sizeof(id) ? sizeof(id) : 0);
		key_u64(mw->w, "kva", ptr);
		object_write(mw, ptr);
		jsonw_obj_end(mw->w);
	}
	records_end(&rs);
	if (unknown)
		map_error(m, "%llu inner maps without an id", unknown);
}

/* ------------------------------------------------------------ slots of pointers */

static const char *slot_id_key(const struct map *m)
{
	switch (m->type) {
	case MAP_DEVMAP:
	case MAP_DEVMAP_HASH:
		return "ifindex";
	case MAP_PROG_ARRAY:
		return "prog_id";
	case MAP_ARRAY_OF_MAPS:
		return "map_id";
	}
	return "id";
}

/* One of a slot's records that makes sense; .rest and .len: what is behind the key. */
static const struct bulk_record *slots_next(struct records *rs, bool hash, uint64_t *next,
					    const uint8_t **rest_ret, uint64_t *len_ret)
{
	const struct bulk_record *rec;

	while ((rec = records_next(rs))) {
		*rest_ret = rec->data;
		*len_ret = rec->len;
		if (hash ? split(rs->m, rec, rest_ret, len_ret) :
			   in_order(rec, next, rs->m->max_entries)) {
			if (*len_ret >= sizeof(uint64_t))
				break;
		}
		rs->broken++;
	}
	return rec;
}

static void write_indices(struct map_writer *mw, struct map *m)
{
	struct records rs = records_of(mw, m, "indices");
	const struct bulk_record *rec;
	uint64_t next = 0, len;
	const uint8_t *rest;

	while ((rec = slots_next(&rs, false, &next, &rest, &len))) {
		if (!rs.open) {
			jsonw_key(mw->w, rs.key);
			jsonw_arr(mw->w);
			rs.open = true;
		}
		jsonw_u64(mw->w, rec->index);
	}
	records_end(&rs);
}

static void write_slots(struct map_writer *mw, struct map *m, bool hash)
{
	uint64_t records = 0, populated, scanned = 0, next = 0, len;
	struct records rs = records_of(mw, m, "slots");
	const struct bulk_record *rec;
	struct jsonw *w = mw->w;
	const uint8_t *rest;

	while (slots_next(&rs, hash, &next, &rest, &len))
		records++;
	m->broken = rs.broken;
	records_end(&rs);

	/* The guest goes on counting where it takes no more. */
	populated = m->cut && m->seen > records ? m->seen : records;
	map_fact(mw->r, m->kva, "slots", &scanned);
	if (scanned < populated)
		scanned = populated;
	jsonw_key(w, "fd_array");
	jsonw_obj(w);
	key_u64(w, "populated", populated <= UINT32_MAX ? populated : UINT32_MAX);
	key_u64(w, "scanned", scanned <= UINT32_MAX ? scanned : UINT32_MAX);
	if (!hash)
		write_indices(mw, m);
	if (m->cut)
		key_true(w, "truncated");
	if (!hash && populated > records)
		key_true(w, "indices_truncated");

	next = 0;
	rs = records_of(mw, m, "slots");
	while ((rec = slots_next(&rs, hash, &next, &rest, &len))) {
		entry_begin(&rs);
		if (hash)
			write_key(mw, m, rec);
		else
			key_u64(w, "index", rec->index);
		if (rec->extra)
			key_u64(w, slot_id_key(m), rec->extra);
		key_u64(w, "kva", load64(rest));
		object_write(mw, load64(rest));
		jsonw_obj_end(w);
	}
	records_end(&rs);
	jsonw_obj_end(w);
}

/* ----------------------------------------------------------------------- arrays */

static bool name_ends(const struct map *m, const char *end)
{
	size_t len = strlen(end);

	return m->name_len >= len && !memcmp(m->name + m->name_len - len, end, len);
}

/* ktstr's special case: text with \xHH for what cannot be printed. */
static void write_strings(struct map_writer *mw, const uint8_t *data, size_t len)
{
	_cleanup_free_ char *text = malloc(4 * len + 1);
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; text && i < len; i++) {
		if (data[i] >= 0x20 && data[i] <= 0x7e) {
			text[n++] = data[i];
			continue;
		}
		text[n++] = '\\';
		text[n++] = 'x';
		text[n++] = digits[data[i] >> 4];
		text[n++] = digits[data[i] & 15];
	}
	jsonw_obj(mw->w);
	jsonw_key(mw->w, "kind");
	jsonw_str(mw->w, "bytes");
	jsonw_key(mw->w, "hex");
	jsonw_text(mw->w, text ? text : "", n);
	jsonw_obj_end(mw->w);
}

/* Bytes from the first value to the end of the last one; 0 when that makes no sense. */
static uint64_t array_span(const struct map *m)
{
	uint64_t span, end;

	if (!m->max_entries || !m->value_size || m->stride < m->value_size ||
	    __builtin_mul_overflow(m->max_entries - 1, m->stride, &span) ||
	    __builtin_add_overflow(span, m->value_size, &span) ||
	    __builtin_add_overflow(m->values_kva, span, &end))
		return 0;
	return span;
}

/* The guest says that it took all, and yet it is not there. */
static bool array_has_holes(struct map_writer *mw, const struct map *m)
{
	uint64_t span = array_span(m);

	return !m->cut && !m->unreadable && m->value_size &&
	       (!span || !mw->bulk || bulk_have(mw->bulk, m->values_kva, span) < span);
}

/* The value of key 0, which for the sections of a program is all of the map. */
static void write_array(struct map_writer *mw, struct map *m)
{
	size_t len = load(mw, m, m->values_kva, m->value_size);

	if (!len && m->value_size) {
		map_error(m, "ARRAY value region unreadable (unmapped page?)");
		return;
	}
	jsonw_key(mw->w, "value");
	if (m->max_entries <= 1 && name_ends(m, ".rodata.str1.1"))
		write_strings(mw, mw->buf, len);
	else
		value_node(mw, m, m->value_type, mw->buf, len, m->value_size);
	if (len < m->value_size)
		map_error(m, "only the first %zu of %llu bytes were captured", len,
			  (unsigned long long)m->value_size);
	if (m->max_entries > 1 && array_has_holes(mw, m))
		map_error(m, "not all keys are there");
	/* What ktstr says of its key "value"; all others are in array_entries. */
	if (m->max_entries > 1 && m->type == MAP_ARRAY)
		map_error(m, "multi-entry ARRAY: only key 0 of %llu shown",
			  (unsigned long long)m->max_entries);
}

/* From one captured range to the next, whatever max_entries says. */
static void write_array_entries(struct map_writer *mw, struct map *m)
{
	uint64_t pos = m->values_kva, end = pos + array_span(m), stop, start;
	bool open = false;

	if (m->max_entries <= 1 || !mw->bulk)
		return;
	while (pos < end && bulk_next(mw->bulk, pos, &start, &stop)) {
		uint64_t key = ((start > pos ? start : pos) - m->values_kva) / m->stride;
		size_t len;

		if (start >= end)
			break;
		pos = m->values_kva + key * m->stride;
		len = load(mw, m, pos, m->value_size);
		if (!mw->budget)
			break;
		if (len) {
			if (!open) {
				jsonw_key(mw->w, "array_entries");
				jsonw_arr(mw->w);
				open = true;
			}
			jsonw_obj(mw->w);
			key_u64(mw->w, "key", key);
			jsonw_key(mw->w, "value");
			value_node(mw, m, m->value_type, mw->buf, len, m->value_size);
			jsonw_obj_end(mw->w);
		}
		if (key + 1 == m->max_entries)
			break;
		pos += m->stride;
	}
	if (open)
		jsonw_arr_end(mw->w);
}

/* ------------------------------------------------------------------- struct_ops */

/* The member "data" of the type that wraps the operations; NULL when there is none. */
static const struct btf_member *wrapped_data(const struct map *m, uint32_t *off_ret)
{
	const struct btf_type *t = m->btf ? btf__type_by_id(m->btf, m->value_type) : NULL;

	if (!t || !btf_is_struct(t))
		return NULL;
	for (unsigned int i = 0; i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(m->btf, btf_members(t)[i].name_off);
		uint32_t bits = btf_member_bit_offset(t, i);

		if (!name || strcmp(name, "data") || bits % 8 || bits / 8 > m->value_size)
			continue;
		*off_ret = bits / 8;
		return &btf_members(t)[i];
	}
	return NULL;
}

static void write_struct_ops(struct map_writer *mw, struct map *m)
{
	uint32_t off = 0;
	const struct btf_member *data = wrapped_data(m, &off);
	size_t len = load(mw, m, m->values_kva, m->value_size - off);

	if (!len) {
		map_error(m, "STRUCT_OPS value unreadable: value region unmapped. Live-host backend reads via BPF_MAP_LOOKUP_ELEM at key=0.");
		return;
	}
	if (m->btf && !data)
		map_error(m, "shown as bytes: its wrapper type has no member data");
	jsonw_key(mw->w, "value");
	value_node(mw, m, data ? data->type : 0, mw->buf, len, data ? m->value_size - off : len);
	if (data && len < m->value_size - off)
		map_error(m, "only the first %zu of %llu bytes were captured", len,
			  (unsigned long long)m->value_size - off);
}

/* Which program is behind which operation. */
static void write_links(struct map_writer *mw, struct map *m)
{
	uint32_t off;
	const struct btf_member *data = wrapped_data(m, &off);
	uint32_t id = data ? data->type : 0;
	const struct btf_type *ops = NULL;
	struct records rs = records_of(mw, m, "links");
	const struct table *t = report_table(mw->r, KTD_TBL_PROG);
	const struct bulk_record *rec;
	struct jsonw *w = mw->w;
	uint64_t v;

	for (int hops = 0; data && hops < RENDER_MAX_HOPS; hops++) {
		ops = btf__type_by_id(m->btf, id);
		if (!ops || !(btf_is_mod(ops) || btf_is_typedef(ops)))
			break;
		id = ops->type;
	}
	jsonw_key(w, "struct_ops");
	jsonw_obj(w);
	if (map_fact(mw->r, m->kva, "state", &v)) {
		const msgpack_object *name = report_enum(mw->r, "bpf_struct_ops_state", v);

		key_u64(w, "state", v);
		if (name) {
			jsonw_key(w, "state_name");
			jsonw_text(w, name->via.str.ptr, name->via.str.size);
		}
	}
	while ((rec = records_next(&rs))) {
		const char *name = NULL;
		size_t len;
		row_t prog;

		if (rec->len < sizeof(uint64_t)) {
			m->broken++;
			continue;
		}
		entry_begin(&rs);
		key_u64(w, "member", rec->index);
		if (ops && btf_is_struct(ops) && rec->index < btf_vlen(ops))
			name = btf__name_by_offset(m->btf, btf_members(ops)[rec->index].name_off);
		if (name) {
			jsonw_key(w, "name");
			jsonw_str(w, name);
		}
		key_u64(w, "kva", load64(rec->data));
		prog = report_row(t, mw->r->progs_by_id, mw->r->nr_progs_by_id, rec->extra);
		if (rec->extra)
			key_u64(w, "prog_id", rec->extra);
		if (prog && !row_str(t, prog, KTD_PROG_NAME, &name, &len)) {
			jsonw_key(w, "prog");
			jsonw_text(w, name, len);
		}
		jsonw_obj_end(w);
	}
	records_end(&rs);
	jsonw_obj_end(w);
}

/* ---------------------------------------------------------------------- ringbuf */

struct ringbuf {
	uint64_t mask, consumer, producer, pending, data_kva, taken;
};

static bool ringbuf_facts(struct map_writer *mw, struct map *m, struct ringbuf *rb)
{
	const struct {
		const char *name, *error;
		uint64_t *where;
	} facts[] = {
		{ "mask", "RINGBUF rb->mask unmapped during freeze (rb pointer torn or unmapped)",
		  &rb->mask },
		{ "consumer_pos", "RINGBUF rb->consumer_pos unmapped (consumer page absent)",
		  &rb->consumer },
		{ "producer_pos", "RINGBUF rb->producer_pos unmapped (producer page absent)",
		  &rb->producer },
		{ "pending_pos", "RINGBUF rb->pending_pos unmapped (producer page absent)",
		  &rb->pending },
	};

	for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
		if (!map_fact(mw->r, m->kva, facts[i].name, facts[i].where)) {
			/* The guest knows better. */
			if (!m->error_len)
				map_error(m, "%s", facts[i].error);
			return false;
		}
	}
	if (rb->mask == UINT64_MAX) {
		map_error(m, "RINGBUF rb->mask = u64::MAX (capacity would wrap to 0); likely a corrupted read of bpf_ringbuf.mask");
		return false;
	}
	rb->data_kva = rb->taken = 0;
	map_fact(mw->r, m->kva, "data_kva", &rb->data_kva);
	map_fact(mw->r, m->kva, "pending_taken", &rb->taken);
	return true;
}

static void write_ringbuf(struct map_writer *mw, struct map *m)
{
	struct jsonw *w = mw->w;
	struct ringbuf rb;

	if (!ringbuf_facts(mw, m, &rb))
		return;
	jsonw_key(w, "ringbuf");
	jsonw_obj(w);
	key_u64(w, "capacity", rb.mask + 1);
	key_u64(w, "consumer_pos", rb.consumer);
	key_u64(w, "producer_pos", rb.producer);
	key_u64(w, "pending_pos", rb.pending);
	key_u64(w, "pending_bytes", rb.producer - rb.consumer);
	jsonw_obj_end(w);
}

/* Records that nobody has consumed yet; data_kva is where the oldest of them begins. */
static void write_ringbuf_records(struct map_writer *mw, struct map *m)
{
	struct jsonw *w = mw->w;
	struct map quiet = *m;		/* errors of the positions were told */
	uint64_t pos, off, mode = 0, over;
	struct ringbuf rb;

	if (!ringbuf_facts(mw, &quiet, &rb) || !rb.data_kva || !rb.taken)
		return;
	pos = rb.consumer;
	map_fact(mw->r, m->kva, "overwrite_mode", &mode);
	/* What is older than this has been written over. */
	if (mode && map_fact(mw->r, m->kva, "overwrite_pos", &over) &&
	    over - pos <= rb.producer - pos)
		pos = over;
	jsonw_key(w, "ringbuf_records");
	jsonw_arr(w);
	for (off = 0; off < rb.taken && off <= rb.mask && mw->budget; ) {
		uint8_t head[RINGBUF_HEAD];
		uint64_t len, have;

		if (off > UINT64_MAX - rb.data_kva ||
		    bulk_read(mw->bulk, rb.data_kva + off, head, sizeof(head)))
			break;
		len = load32(head) & ~(RINGBUF_BUSY | RINGBUF_DISCARD);
		have = load(mw, m, rb.data_kva + off + RINGBUF_HEAD, len);
		jsonw_obj(w);
		key_u64(w, "pos", pos + off);
		key_u64(w, "len", len);
		if (load32(head) & RINGBUF_BUSY)
			key_true(w, "busy");
		if (load32(head) & RINGBUF_DISCARD)
			key_true(w, "discarded");
		key_hex(w, "hex", mw->buf, have);
		if (have < len)
			key_true(w, "truncated");
		jsonw_obj_end(w);
		if (have < len)
			break;
		off += padded(len + RINGBUF_HEAD);
	}
	jsonw_arr_end(w);
}

/* ------------------------------------------------------------------ stack traces */

static void write_stacks(struct map_writer *mw, struct map *m)
{
	uint64_t each = m->flags & MAP_F_STACK_BUILD_ID ? BUILD_ID_BYTES : sizeof(uint64_t);
	struct records rs = records_of(mw, m, "entries");
	uint64_t n_buckets = m->max_entries, next = 0;
	const struct bulk_record *rec;
	bool truncated = m->cut;
	struct jsonw *w = mw->w;

	map_fact(mw->r, m->kva, "n_buckets", &n_buckets);
	jsonw_key(w, "stack_trace");
	jsonw_obj(w);
	key_u64(w, "n_buckets", n_buckets <= UINT32_MAX ? n_buckets : UINT32_MAX);
	jsonw_key(w, rs.key);
	jsonw_arr(w);
	rs.open = true;
	while ((rec = records_next(&rs))) {
		uint64_t nr = rec->extra;

		if (!in_order(rec, &next, n_buckets)) {
			m->broken++;
			continue;
		}
		if (rec->flags & KTD_RECORD_VALUE_BAD)
			nr = 0;
		if (nr > rec->len / each)
			nr = rec->len / each;
		truncated |= nr < rec->extra;
		entry_begin(&rs);
		key_u64(w, "bucket_id", rec->index);
		key_u64(w, "nr", rec->extra);
		if (each == sizeof(uint64_t) && nr) {
			jsonw_key(w, "pcs");
			jsonw_arr(w);
			for (uint64_t i = 0; i < nr; i++)
				jsonw_u64(w, load64(rec->data + i * each));
			jsonw_arr_end(w);
		}
		key_hex(w, "data_hex", rec->data, nr * each);
		jsonw_obj_end(w);
	}
	records_end(&rs);
	if (truncated)
		key_true(w, "truncated");
	jsonw_obj_end(w);
}

/* ------------------------------------------------------------------------ arena */

static void write_page(struct map_writer *mw, struct map *m, bool *open, uint64_t user_addr,
		       uint64_t kva, uint64_t len)
{
	size_t have = load(mw, m, kva, len);
	struct jsonw *w = mw->w;

	if (!have)
		return;
	if (!*open) {
		jsonw_key(w, "pages");
		jsonw_arr(w);
		*open = true;
	}
	jsonw_obj(w);
	key_u64(w, "user_addr", user_addr);
	jsonw_key(w, "bytes");
	jsonw_bytes(w, mw->buf, have);
	jsonw_obj_end(w);
}

/* Pages whose kernel address is in [pos, end). The lower halves of both addresses are equal. */
static void write_page_range(struct map_writer *mw, struct map *m, bool *open, uint64_t pos,
			     uint64_t end, uint64_t kern, uint64_t user, uint64_t page_size)
{
	uint64_t start, stop;

	while (pos < end && mw->budget && bulk_next(mw->bulk, pos, &start, &stop)) {
		uint64_t off, next;

		if (start > pos)
			pos = start;
		if (pos >= end)
			break;
		off = pos - kern;
		next = kern + (off / page_size + 1) * page_size;
		if (next > stop)
			next = stop;
		write_page(mw, m, open, user + (uint32_t)(off - user), pos, next - pos);
		pos = next;
	}
}

/* In the order of user addresses, which begin anywhere in the 4 GiB. */
static void write_pages(struct map_writer *mw, struct map *m, uint64_t kern, uint64_t user,
			uint64_t page_size)
{
	uint64_t end, first;
	bool open = false;

	if (!kern || !mw->bulk || __builtin_add_overflow(kern, ARENA_SPAN, &end))
		return;
	first = kern + (uint32_t)user;
	write_page_range(mw, m, &open, first, end, kern, user, page_size);
	write_page_range(mw, m, &open, kern, first, kern, user, page_size);
	if (open)
		jsonw_arr_end(mw->w);
}

static void write_arena(struct map_writer *mw, struct map *m)
{
	static const char *const more[] = {
		"user_vm_end", "populated_pages", "nr_pages", "scratch_pages", "reserved_pages",
		"page_size",
	};
	uint64_t page_size = mw->render.page_size, kern = 0, user = 0, declared, span, v;
	struct jsonw *w = mw->w;

	if (map_fact(mw->r, m->kva, "page_size", &v) && v && v <= MAP_MAX_VALUE)
		page_size = v;
	map_fact(mw->r, m->kva, "kern_vm_start", &kern);
	map_fact(mw->r, m->kva, "user_vm_start", &user);
	if (!map_form_is(m, KTD_FORM_ARENA)) {
		if (!m->error_len)
			map_error(m, "arena BTF offsets unavailable (kernel lacks struct bpf_arena?)");
		if (!user)
			return;
		kern = 0;
	}
	span = m->max_entries * page_size;	/* 32 bits times less than 2^25 */
	declared = (span < ARENA_SPAN ? span : ARENA_SPAN) / page_size;
	map_fact(mw->r, m->kva, "declared_pages", &declared);

	jsonw_key(w, "arena");
	jsonw_obj(w);
	write_pages(mw, m, kern, user, page_size);
	if (m->cut)
		key_true(w, "truncated");
	key_u64(w, "declared_pages", declared);
	if (span > ARENA_SPAN)
		key_true(w, "span_capped");
	key_u64(w, "kern_vm_start", kern);
	key_u64(w, "user_vm_start", user);
	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (map_fact(mw->r, m->kva, more[i], &v))
			key_u64(w, more[i], v);
	jsonw_obj_end(w);
}

/* ----------------------------------------------------------------- bloom filter */

static void write_bloom(struct map_writer *mw, struct map *m)
{
	static const char *const names[] = {
		"bitset_mask", "nr_hash_funcs", "hash_seed", "popcount", "bitset_bytes",
	};
	uint64_t bytes = 0, off = 0, v;
	struct jsonw *w = mw->w;

	jsonw_key(w, "bloom_filter");
	jsonw_obj(w);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (map_fact(mw->r, m->kva, names[i], &v))
			key_u64(w, names[i], v);
	if (map_fact(mw->r, m->kva, "bitset_bytes", &bytes)) {
		size_t have = load(mw, m, m->values_kva, bytes);

		key_hex(w, "bitset_hex", mw->buf, have);
		off = have;
	}
	if (off < bytes)
		key_true(w, "truncated");
	jsonw_obj_end(w);
}

/* ------------------------------------------------------------------------- all */

/* What ktstr says of types that it does not read, and why for those that we do not. */
static void nothing(struct map *m)
{
	const char *text = NULL;

	if (m->error_len)
		return;
	switch (m->type) {
	case MAP_RINGBUF:
	case MAP_USER_RINGBUF:
		text = "RINGBUF state unreadable: BTF lacks bpf_ringbuf_map / bpf_ringbuf (kernel built without ringbuf, or BTF stripped). Wire format remains consumer_pos/producer_pos/mask/pending_pos but the struct field offsets are not resolved on this kernel.";
		break;
	case MAP_STACK_TRACE:
		text = "STACK_TRACE bucket array unreadable: BTF lacks bpf_stack_map / stack_map_bucket. Each non-null bucket pointer would carry `nr` u64 PCs (or bpf_stack_build_id records when BPF_F_STACK_BUILD_ID is set on the map); resolve the offsets to render.";
		break;
	case MAP_STRUCT_OPS:
		text = "STRUCT_OPS value unreadable: bpf_struct_ops_map BTF offsets unresolved (kernel without struct_ops support, or vmlinux BTF stripped of bpf_struct_ops_map / bpf_struct_ops_value).";
		break;
	case MAP_ARRAY:
		text = "ARRAY value region unreadable (unmapped page?)";
		break;
	case MAP_CGROUP_STORAGE:
	case MAP_PERCPU_CGROUP_STORAGE:
		text = "deprecated cgroup-attached storage; use CGRP_STORAGE on newer kernels";
		break;
	case MAP_INSN_ARRAY:
		text = "INSN_ARRAY stores BPF instruction targets used by the verifier for indirect jumps; values are kernel-side program data";
		break;
	}
	if (text)
		map_error(m, "%s", text);
	else if (m->type > MAP_RHASH || !m->type)
		map_error(m, "unknown map_type %llu (kernel newer than dump renderer; update render_map dispatch)",
			  (unsigned long long)m->type);
	else
		map_error(m, "contents not captured");
}

static const struct {
	const char *form;
	void (*write)(struct map_writer *mw, struct map *m);
	void (*more)(struct map_writer *mw, struct map *m);
} forms[] = {
	{ KTD_FORM_ARRAY, write_array, write_array_entries },
	{ KTD_FORM_STRUCT_OPS, write_struct_ops, write_links },
	{ KTD_FORM_RINGBUF, write_ringbuf, write_ringbuf_records },
	{ KTD_FORM_BLOOM, NULL, write_bloom },
	{ KTD_FORM_HASH, write_hash, NULL },
	{ KTD_FORM_PERCPU_HASH, write_percpu_hash, NULL },
	{ KTD_FORM_PERCPU_ARRAY, write_percpu_array, NULL },
	{ KTD_FORM_STORAGE, write_storage, NULL },
	{ KTD_FORM_STACK, write_stacks, NULL },
	{ KTD_FORM_QUEUE, write_queue, NULL },
};

void map_content_write(struct map_writer *mw, struct map *m)
{
	if (m->type == MAP_ARENA) {
		write_arena(mw, m);
		return;
	}
	if (!m->form) {
		nothing(m);
		return;
	}
	if (map_form_is(m, KTD_FORM_SLOTS)) {
		write_slots(mw, m, false);
		return;
	}
	if (map_form_is(m, KTD_FORM_SLOTS_HASH)) {
		if (m->type == MAP_HASH_OF_MAPS)
			write_hash_of_maps(mw, m);
		else
			write_slots(mw, m, true);
		return;
	}
	if (m->type == MAP_BLOOM_FILTER)
		map_error(m, "BLOOM_FILTER is a probabilistic set; no key enumeration is possible");
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (!map_form_is(m, forms[i].form))
			continue;
		if (forms[i].write)
			forms[i].write(mw, m);
		return;
	}
	map_error(m, "content of a form that this version does not know");
}

void map_content_write_more(struct map_writer *mw, struct map *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (m->type != MAP_ARENA && map_form_is(m, forms[i].form) && forms[i].more)
			forms[i].more(mw, m);
}
