// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "render.h"

/*
 * A node opens at least one level. These are the levels that a node needs so that
 * whatever is in it has one left.
 */
#define ROOM_STRUCT	4U	/* the node, its list, a member, the member's value */
#define ROOM_ARRAY	3U
#define ROOM_TRUNCATED	2U

/* What the beginning of a member takes at most, all of its names escaped. */
#define TEXT_ROOM	8192
#define TEXT_DEPTH	24	/* deeper ones do not fit into struct render_text */

/* From the list that an item is in to the list that is in the item. */
#define ELEMENT_LEVELS	2
#define MEMBER_LEVELS	3

#define GUESS		"a guess, by size"	/* ktdump_label */

#define MAX_NAME	511	/* the kernel takes no longer ones either */
#define MAX_MASK_BYTES	1024	/* no kernel has more than 8192 CPUs */
#define MAX_MASK_TEXT	(MAX_MASK_BYTES * 8 * 4)	/* at most 2731 times "1234-1235," */

enum text_kind {
	TEXT_NONE,
	TEXT_UINT,
	TEXT_INT,
	TEXT_BOOL,
	TEXT_SAME,	/* more than digits depends on the value */
	TEXT_STRUCT,
	TEXT_ARRAY,
};

struct walk {
	struct render *r;
	struct jsonw *out;
	const uint8_t *top;	/* the value that was asked for */
	size_t top_len;
	uint64_t nodes;		/* that may still be written; 0: no more */
	/* The member or element that is being written, from there on in out->buf. */
	struct {
		const void *key;	/* NULL: its text is not to be kept */
		uint64_t off, nodes;
		unsigned int depth, levels;	/* JSON levels that a list in it opens */
		size_t from;
	} item;
	/* The scalar that was written last, and where its value lies in out->buf. */
	struct {
		enum text_kind kind;
		unsigned int size, shift, bits;
		uint64_t value;
		size_t at, end;
	} leaf;
	/* Too large for the frames of the recursion. */
	uint8_t (*chase)[RENDER_MAX_CHASE];	/* one for each pointer on the path */
	char *text;				/* MAX_MASK_TEXT */
	char label[160];	/* of the pointer that is being written; "" none */
};

struct target {			/* what a pointer points to */
	const struct btf *btf;
	const struct btf_type *t;
	uint32_t id;
	uint32_t skip;		/* bytes before it */
	uint64_t size;
	bool by_slot;		/* the allocator knew what it is */
};

static void typed(struct walk *w, const struct btf *btf, const struct btf_type *t, uint32_t id,
		  const uint8_t *data, size_t len, unsigned int depth);

/* ------------------------------------------------------------------ BTF */

/* "" when there is none. */
static const char *name_at(const struct btf *btf, uint32_t off)
{
	const char *name = off ? btf__name_by_offset(btf, off) : NULL;

	return name ? name : "";
}

const struct btf_type *render_peel(const struct btf *btf, uint32_t *id)
{
	for (int hops = 0; hops <= RENDER_MAX_HOPS; hops++) {
		const struct btf_type *t = btf__type_by_id(btf, *id);

		if (!t)
			return NULL;
		switch (btf_kind(t)) {
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG:
		case BTF_KIND_DECL_TAG:
			*id = t->type;
			break;
		default:
			return t;
		}
	}
	return NULL;
}

/* Of a peeled type. */
static bool size_of(const struct btf *btf, const struct btf_type *t, uint64_t *ret)
{
	uint64_t n = 1;

	/* An array may, in bad BTF, have itself as element. */
	for (int dims = 0; t && dims <= RENDER_MAX_HOPS; dims++) {
		uint32_t id;

		switch (btf_kind(t)) {
		case BTF_KIND_INT:
		case BTF_KIND_FLOAT:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			return !__builtin_mul_overflow(n, t->size, ret);
		case BTF_KIND_PTR:
			return !__builtin_mul_overflow(n, sizeof(uint64_t), ret);
		case BTF_KIND_ARRAY:
			if (__builtin_mul_overflow(n, btf_array(t)->nelems, &n))
				return false;
			id = btf_array(t)->type;
			t = render_peel(btf, &id);
			break;
		default:
			return false;
		}
	}
	return false;
}

bool render_type_size(const struct btf *btf, uint32_t id, uint64_t *ret)
{
	return size_of(btf, render_peel(btf, &id), ret);
}

static inline uint64_t load(const uint8_t *data, size_t len)
{
	uint64_t v = 0;

	/* A length that the compiler knows is no call. */
	switch (len) {
	case 1:
		return data[0];
	case 4:
		memcpy(&v, data, 4);
		break;
	case 8:
		memcpy(&v, data, 8);
		break;
	default:
		memcpy(&v, data, len);
	}
	return le64toh(v);
}

static uint64_t low_bits(unsigned int n)
{
	return n < 64 ? (1ULL << n) - 1 : UINT64_MAX;
}

static int64_t sign_extend(uint64_t v, unsigned int bits)
{
	uint64_t sign = bits ? 1ULL << (bits - 1) : 0;

	return (int64_t)((v ^ sign) - sign);
}

/* ----------------------------------------------------------- small nodes */

static void open_node(struct jsonw *out, const char *kind)
{
	jsonw_obj(out);
	jsonw_key(out, "kind");
	jsonw_word(out, kind);
}

static void name_text(struct jsonw *out, const char *s)
{
	jsonw_text(out, s, strnlen(s, MAX_NAME));
}

static void __printf(2, 3) unsupported(struct walk *w, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	open_node(w->out, "unsupported");
	jsonw_key(w->out, "reason");
	jsonw_str(w->out, why);
	jsonw_obj_end(w->out);
}

static void too_deep(struct walk *w)
{
	unsupported(w, "left out: JSON would be nested deeper than %d levels", JSONW_MAX_DEPTH);
}

/* False: nothing more may be written but a node that says so. */
static bool spend(struct walk *w, uint64_t nodes)
{
	if (nodes >= w->nodes || w->out->error) {
		w->nodes = 0;
		return false;
	}
	w->nodes -= nodes;
	return true;
}

static void left_out(struct walk *w)
{
	if (w->r->nodes + RENDER_MAX_NODES > RENDER_MAX_TOTAL)
		unsupported(w, "left out: the budget of %u nodes for all values is spent", RENDER_MAX_TOTAL);
	else
		unsupported(w, "left out: the budget of %u nodes for one value is spent", RENDER_MAX_NODES);
}

/* False: a node says why there is none. */
static bool may_render(struct walk *w, unsigned int depth)
{
	/* A line far to the right is a long one. */
	if (!spend(w, 1 + w->out->depth / 16))
		left_out(w);
	else if (depth >= RENDER_MAX_DEPTH)
		unsupported(w, "render depth %d exceeded", RENDER_MAX_DEPTH);
	else
		return true;
	return false;
}

/* The scalar that was just written comes from these bits of size bytes. */
static void leaf_is(struct walk *w, enum text_kind kind, unsigned int size, unsigned int shift,
		    unsigned int bits, uint64_t value)
{
	w->leaf.kind = size <= sizeof(value) ? kind : TEXT_NONE;
	w->leaf.size = size;
	w->leaf.shift = shift;
	w->leaf.bits = bits;
	w->leaf.value = value;
}

static void uint_node(struct walk *w, unsigned int bits, uint64_t v)
{
	open_node(w->out, "uint");
	jsonw_key(w->out, "bits");
	jsonw_u64(w->out, bits);
	jsonw_key(w->out, "value");
	w->leaf.at = w->out->fill;
	jsonw_u64(w->out, v);
	w->leaf.end = w->out->fill;
	jsonw_obj_end(w->out);
}

static void int_node(struct walk *w, unsigned int bits, int64_t v)
{
	open_node(w->out, "int");
	jsonw_key(w->out, "bits");
	jsonw_u64(w->out, bits);
	jsonw_key(w->out, "value");
	w->leaf.at = w->out->fill;
	jsonw_i64(w->out, v);
	w->leaf.end = w->out->fill;
	jsonw_obj_end(w->out);
}

static void bool_node(struct walk *w, bool v)
{
	open_node(w->out, "bool");
	jsonw_key(w->out, "value");
	w->leaf.at = w->out->fill;
	jsonw_bool(w->out, v);
	w->leaf.end = w->out->fill;
	jsonw_obj_end(w->out);
}

static void char_node(struct walk *w, uint8_t v)
{
	open_node(w->out, "char");
	jsonw_key(w->out, "value");
	w->leaf.at = w->out->fill;
	jsonw_u64(w->out, v);
	w->leaf.end = w->out->fill;
	jsonw_obj_end(w->out);
}

void render_bytes(struct render *r, const uint8_t *data, size_t len)
{
	open_node(r->out, "bytes");
	jsonw_key(r->out, "hex");
	jsonw_hex(r->out, data, len);
	jsonw_obj_end(r->out);
}

/* Inside a value: many members may lie over the same bytes. */
static void bytes_node(struct walk *w, const uint8_t *data, size_t len)
{
	if (spend(w, len / 32))
		render_bytes(w->r, data, len);
	else
		left_out(w);
}

/* The partial node is due next, then the end of this object; false: nothing is. */
static bool open_truncated(struct walk *w, uint64_t needed, uint64_t had)
{
	if (jsonw_room(w->out) < ROOM_TRUNCATED) {
		too_deep(w);
		return false;
	}
	open_node(w->out, "truncated");
	jsonw_key(w->out, "needed");
	jsonw_u64(w->out, needed);
	jsonw_key(w->out, "had");
	jsonw_u64(w->out, had);
	jsonw_key(w->out, "partial");
	return true;
}

static void short_scalar(struct walk *w, uint64_t needed, const uint8_t *data, size_t len)
{
	if (!open_truncated(w, needed, len))
		return;
	bytes_node(w, data, len);
	jsonw_obj_end(w->out);
}

/* --------------------------------------------------------------- scalars */

static void int_value(struct walk *w, const struct btf_type *t, const uint8_t *data, size_t len)
{
	unsigned int enc = btf_int_encoding(t), off = btf_int_offset(t), bits = btf_int_bits(t);
	uint32_t size = t->size;
	uint64_t v;

	if (len < size) {
		short_scalar(w, size, data, len);
		return;
	}
	if (enc & BTF_INT_BOOL) {
		uint32_t i = 0;

		/* Also a wide one costs what its bytes cost. */
		if (!spend(w, size / 32)) {
			left_out(w);
			return;
		}
		while (i < size && !data[i])
			i++;
		bool_node(w, i < size);
		leaf_is(w, TEXT_BOOL, size, 0, size * 8, 0);
		return;
	}
	if ((enc & BTF_INT_CHAR) && size == 1) {
		char_node(w, data[0]);
		leaf_is(w, TEXT_UINT, 1, 0, 8, 0);
		return;
	}
	if (size > sizeof(v)) {
		bytes_node(w, data, size);
		return;
	}
	v = load(data, size);
	/* Part of its bytes: an old bit-field, or _BitInt. */
	if (!bits || off + bits > size * 8) {
		off = 0;
		bits = size * 8;
	}
	v = (v >> (off & 63)) & low_bits(bits);
	if (enc & BTF_INT_SIGNED)
		int_node(w, bits, sign_extend(v, bits));
	else
		uint_node(w, bits, v);
	leaf_is(w, enc & BTF_INT_SIGNED ? TEXT_INT : TEXT_UINT, size, off, bits, 0);
}

static uint64_t enumerator(const struct btf_type *t, unsigned int i, uint32_t *name_off)
{
	if (btf_kind(t) == BTF_KIND_ENUM64) {
		const struct btf_enum64 *e = btf_enum64(t) + i;

		*name_off = e->name_off;
		return btf_enum64_value(e);
	}
	*name_off = btf_enum(t)[i].name_off;
	return btf_kflag(t) ? (uint64_t)(int64_t)btf_enum(t)[i].val : (uint32_t)btf_enum(t)[i].val;
}

/*
 * "A|B" when the type looks like a set of flags: every bit that is set has a name of
 * its own. A counter (1, 2, 3 …) has single bits too, so 1 and 2 alone or a 3 beside
 * them say that it is none. Returns the length, 0 when these are no flags.
 */
static size_t flag_names(const struct btf *btf, const struct btf_type *t, uint64_t raw,
			 uint64_t mask, char *buf, size_t size)
{
	uint64_t singles = 0;
	bool three = false;
	uint32_t name_off;
	size_t out = 0;

	for (unsigned int i = 0; i < btf_vlen(t); i++) {
		uint64_t v = enumerator(t, i, &name_off) & mask;

		three |= v == 3;
		if (!(v & (v - 1)))
			singles |= v;
	}
	if (!(raw & (raw - 1)) || (raw & ~singles) ||
	    ((singles & 3) == 3 && (three || singles == 3)))
		return 0;
	for (unsigned int i = 0; i < btf_vlen(t) && raw; i++) {
		uint64_t v = enumerator(t, i, &name_off) & mask;
		const char *s;
		size_t len;

		/* Each bit once, though it may have several names. */
		if ((v & (v - 1)) || !(v & raw))
			continue;
		raw &= ~v;
		s = name_at(btf, name_off);
		len = strlen(s);
		if (!len || out + 1 + len > size)
			return 0;
		if (out)
			buf[out++] = '|';
		memcpy(buf + out, s, len);
		out += len;
	}
	return out;
}

/* raw: the value's bits, nothing above them. */
static void enum_node(struct walk *w, const struct btf *btf, const struct btf_type *t,
		      unsigned int size, unsigned int shift, unsigned int bits, uint64_t raw)
{
	uint64_t mask = low_bits(bits);
	bool is_signed = btf_kflag(t);
	struct jsonw *out = w->out;
	const char *found = NULL;

	if (!spend(w, btf_vlen(t) / 64)) {
		left_out(w);
		return;
	}
	for (unsigned int i = 0; i < btf_vlen(t); i++) {
		uint32_t name_off;

		/* A negative one has more bits set in BTF than the type has. */
		if (((enumerator(t, i, &name_off) ^ raw) & mask) == 0) {
			found = name_at(btf, name_off);
			break;
		}
	}
	open_node(out, "enum");
	jsonw_key(out, "bits");
	jsonw_u64(out, bits);
	jsonw_key(out, "value");
	jsonw_i64(out, is_signed ? sign_extend(raw, bits) : (int64_t)raw);
	jsonw_key(out, "variant");
	if (found && *found) {
		name_text(out, found);
	} else {
		char flags[1024];
		size_t len = found ? 0 : flag_names(btf, t, raw, mask, flags, sizeof(flags));

		if (len)
			jsonw_text(out, flags, len);
		else
			jsonw_null(out);
	}
	jsonw_key(out, "is_signed");
	jsonw_bool(out, is_signed);
	w->leaf.at = w->leaf.end = out->fill;
	jsonw_obj_end(out);
	leaf_is(w, TEXT_SAME, size, shift, bits, raw);
}

static void enum_value(struct walk *w, const struct btf *btf, const struct btf_type *t,
			const uint8_t *data, size_t len)
{
	if (len < t->size)
		short_scalar(w, t->size, data, len);
	else if (t->size > sizeof(uint64_t))
		bytes_node(w, data, t->size);
	else
		enum_node(w, btf, t, t->size, 0, t->size * 8, load(data, t->size));
}

static void float_value(struct walk *w, const struct btf_type *t, const uint8_t *data, size_t len)
{
	uint32_t size = t->size;
	double d;

	if (size != sizeof(float) && size != sizeof(double)) {
		unsupported(w, "unsupported float size %u", size);
		return;
	}
	if (len < size) {
		short_scalar(w, size, data, len);
		return;
	}
	if (size == sizeof(float)) {
		uint32_t u = (uint32_t)load(data, size);
		float f;

		memcpy(&f, &u, sizeof(f));
		d = f;
	} else {
		uint64_t u = load(data, size);

		memcpy(&d, &u, sizeof(d));
	}
	/* JSON has no infinity, and ktstr cannot read the null that it writes for one. */
	if (!isfinite(d)) {
		bytes_node(w, data, size);
		return;
	}
	open_node(w->out, "float");
	jsonw_key(w->out, "bits");
	jsonw_u64(w->out, size * 8);
	jsonw_key(w->out, "value");
	jsonw_real(w->out, d);
	jsonw_obj_end(w->out);
}

/* t: the peeled type of the member, bit: from data on. */
static void bitfield_node(struct walk *w, const struct btf *btf, const struct btf_type *t,
		     const uint8_t *data, size_t len, uint64_t bit, unsigned int width,
		     unsigned int depth)
{
	unsigned int shift = bit % 8, cover = (shift + width + 7) / 8;
	uint64_t first = bit / 8, raw;
	size_t had = first < len ? len - first : 0;

	if (!may_render(w, depth))
		return;
	if (!width || width > 64) {
		unsupported(w, "bitfield width %u out of range", width);
		return;
	}
	data += had ? first : len;
	if (had < cover) {
		short_scalar(w, cover, data, had);
		return;
	}
	raw = load(data, cover < 8 ? cover : 8) >> shift;
	if (cover > 8)
		raw |= (uint64_t)data[8] << (64 - shift);
	raw &= low_bits(width);

	switch (btf_kind(t)) {
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		enum_node(w, btf, t, cover, shift, width, raw);
		return;
	case BTF_KIND_INT:
		if (btf_int_encoding(t) & BTF_INT_BOOL) {
			bool_node(w, raw);
			leaf_is(w, TEXT_BOOL, cover, shift, width, 0);
			return;
		}
		if (btf_int_encoding(t) & BTF_INT_SIGNED) {
			int_node(w, width, sign_extend(raw, width));
			leaf_is(w, TEXT_INT, cover, shift, width, 0);
			return;
		}
		break;
	}
	uint_node(w, width, raw);
	leaf_is(w, TEXT_UINT, cover, shift, width, 0);
}

/* ------------------------------------------------------------- CPU masks */

/* Bytes of a mask that can have CPUs in them. */
static size_t mask_bytes(const struct render *r)
{
	uint64_t words = ((uint64_t)r->nr_cpu_ids + 63) / 64;

	return words && words < MAX_MASK_BYTES / 8 ? words * 8 : MAX_MASK_BYTES;
}

/* A word of a mask that is a pointer rather, so far as the CPUs that there are tell. */
static bool no_mask_word(const struct render *r, uint64_t word, size_t nr)
{
	return word >> 56 == 0xff && word != UINT64_MAX &&
	       (!r->nr_cpu_ids || (nr + 1) * 64 > r->nr_cpu_ids);
}

static void cpu_list(struct walk *w, const uint8_t *data, size_t len)
{
	uint64_t limit = w->r->nr_cpu_ids ? w->r->nr_cpu_ids : UINT32_MAX;
	size_t max = mask_bytes(w->r), n = 0;
	char *text = w->text;
	int64_t first = -1;	/* of the run that is open */
	uint64_t cpu = 0;

	if (!spend(w, len / 32)) {
		left_out(w);
		return;
	}
	for (size_t i = 0; i * 8 + 8 <= (len < max ? len : max); i++) {
		uint64_t word = load(data + i * 8, 8);

		if (no_mask_word(w->r, word, i))
			break;
		if (!word && first < 0)
			continue;
		for (cpu = i * 64; cpu < i * 64 + 64; cpu++) {
			bool set = cpu < limit && ((word >> (cpu % 64)) & 1);

			if (set && first < 0) {
				first = cpu;
				n += sprintf(text + n, "%s%" PRIu64, n ? "," : "", cpu);
			} else if (!set && first >= 0) {
				if (cpu - first > 1)
					n += sprintf(text + n, "-%" PRIu64, cpu - 1);
				first = -1;
			}
		}
	}
	if (first >= 0 && cpu - first > 1)
		n += sprintf(text + n, "-%" PRIu64, cpu - 1);
	open_node(w->out, "cpu_list");
	jsonw_key(w->out, "cpus");
	jsonw_text(w->out, text, n);
	jsonw_obj_end(w->out);
}

/* Structs that are masks: where the bits are. */
static bool is_mask(const char *type, uint64_t size, uint64_t *from, uint64_t *to)
{
	*from = 0;
	*to = size;
	if (type[0] == 'c')
		return !strcmp(type, "cpumask") || !strcmp(type, "cpumask_t");
	if (type[0] == 'l')
		return !strcmp(type, "llc_cpumask");
	if (type[0] == 's') {
		*from = 8;	/* the id comes first */
		return !strcmp(type, "scx_bitmap");
	}
	if (type[0] != 'b' || strcmp(type, "bpf_cpumask"))
		return false;
	/* The count of users comes last. */
	if (size > 8)
		*to = size - 8;
	return true;
}

/* False: too few bytes, show it as the struct that it is. */
static bool mask_struct(struct walk *w, const struct btf_type *t, const char *type,
			const uint8_t *data, size_t len)
{
	uint64_t from, to, end = len < t->size ? len : t->size, needed;

	if (!is_mask(type, t->size, &from, &to) || end < from + 8)
		return false;
	if (end > to)
		end = to;
	needed = from + mask_bytes(w->r);
	if (needed > to)
		needed = to;
	if (end >= needed) {
		cpu_list(w, data + from, end - from);
	} else if (open_truncated(w, t->size, len)) {
		cpu_list(w, data + from, end - from);
		jsonw_obj_end(w->out);
	}
	return true;
}

/* ------------------------------------------------------ structs and arrays */

/*
 * Most of the text of a report is the same for every value that a member has. So it is
 * kept when it is written first, and then written as it is: scalars but for their value,
 * structs and arrays as far as their list.
 */
static inline struct render_text *text_of(const struct walk *w, const void *key, unsigned int depth)
{
	/* Members are 12 bytes apart. */
	size_t i = (uintptr_t)key / 4 + depth * 41;

	return &w->r->texts[i % ARRAY_SIZE(w->r->texts)];
}

/* Known, and all of it is there. */
static inline bool has_text(const struct walk *w, const struct render_text *x, const void *key,
			    size_t len, unsigned int depth)
{
	return x->key == key && x->depth == w->out->depth && x->off <= len &&
	       x->size <= len - x->off && depth < RENDER_MAX_DEPTH;
}

/* The kept text as far as a value; TEXT_ROOM is left. */
static inline char *begin_text(struct walk *w, const struct render_text *x)
{
	struct jsonw *out = w->out;
	char *p = jsonw_reserve(out, 1 + sizeof(x->text) + JSONW_DIGITS);

	*p = ',';
	p += out->full[x->depth];
	out->full[x->depth] = true;
	return (char *)memcpy(p, x->text, x->head) + x->head;
}

static inline uint64_t value_of(const struct render_text *x, const uint8_t *data)
{
	return (load(data, x->size) >> x->shift) & x->mask;
}

/* False: not the value that it is for, or nothing more may be written. */
static inline bool may_write(struct walk *w, const struct render_text *x, uint64_t v)
{
	return (x->kind != TEXT_SAME || v == x->value) && spend(w, x->cost);
}

static inline char *put_value(char *p, const struct render_text *x, uint64_t v)
{
	switch (x->kind) {
	case TEXT_UINT:
		return jsonw_digits(p, v, false);
	case TEXT_INT:
		v = sign_extend(v, x->bits);
		return (int64_t)v < 0 ? jsonw_digits(p, -v, true) : jsonw_digits(p, v, false);
	case TEXT_BOOL:
		memcpy(p, v ? "true" : "false", 5);
		return p + (v ? 4 : 5);
	}
	return p;
}

static inline bool write_scalar(struct walk *w, const struct render_text *x, const uint8_t *data)
{
	uint64_t v = value_of(x, data + x->off);
	char *p;

	if (!may_write(w, x, v))
		return false;
	p = put_value(begin_text(w, x), x, v);
	memcpy(p, x->text + x->head, x->tail);
	w->out->fill = p + x->tail - w->out->buf;
	return true;
}

/* Many elements, at most nr: between two values always stands the same. How many it were. */
static uint64_t write_scalars(struct walk *w, const struct render_text *x, const uint8_t *data,
			      uint64_t nr)
{
	char between[sizeof(x->text) + 1], *p;
	size_t len = x->tail + 1 + x->head;
	uint64_t i;

	memcpy(between, x->text + x->head, x->tail);
	between[x->tail] = ',';
	memcpy(between + x->tail + 1, x->text, x->head);
	for (i = 0; i < nr; i++, data += x->size) {
		uint64_t v = value_of(x, data);

		if (!may_write(w, x, v))
			break;
		if (i)
			p = (char *)memcpy(jsonw_reserve(w->out, len + JSONW_DIGITS), between, len) + len;
		else
			p = begin_text(w, x);
		w->out->fill = put_value(p, x, v) - w->out->buf;
	}
	if (i) {
		p = jsonw_reserve(w->out, x->tail);
		memcpy(p, between, x->tail);
		w->out->fill += x->tail;
	}
	return i;
}

/* False: nothing more may be written. */
static bool write_opening(struct walk *w, const struct render_text *x, unsigned int levels)
{
	struct jsonw *out = w->out;

	if (!spend(w, x->cost))
		return false;
	out->fill = begin_text(w, x) - out->buf;
	while (levels--)
		out->full[out->depth++] = true;
	out->full[out->depth] = false;
	return true;
}

/* From here on until the next such call: one member or element. */
static void begin_item(struct walk *w, const void *key, uint64_t off, unsigned int levels)
{
	w->leaf.kind = TEXT_NONE;
	w->item.key = w->out->depth <= TEXT_DEPTH ? key : NULL;
	w->item.off = off;
	w->item.depth = w->out->depth;
	w->item.levels = levels;
	w->item.nodes = w->nodes;
	w->item.from = jsonw_reserve(w->out, TEXT_ROOM) - w->out->buf;
}

/* What was written of the item, without the bytes from at to end. */
static struct render_text *keep_text(struct walk *w, enum text_kind kind, size_t at, size_t end)
{
	const struct jsonw *out = w->out;
	size_t from = w->item.from + (out->buf[w->item.from] == ',');
	struct render_text *x = text_of(w, w->item.key, w->item.depth);
	size_t head = at - from, tail = out->fill - end;

	if (out->error || head + tail > sizeof(x->text))
		return NULL;
	memcpy(x->text, out->buf + from, head);
	memcpy(x->text + head, out->buf + end, tail);
	x->key = w->item.key;
	x->off = w->item.off;
	x->cost = w->item.nodes - w->nodes;
	x->kind = kind;
	x->depth = w->item.depth;
	x->head = head;
	x->tail = tail;
	return x;
}

/* The item is complete; when it was one scalar its text is kept. */
static void end_item(struct walk *w)
{
	struct render_text *x;

	if (w->leaf.kind != TEXT_NONE && w->item.key) {
		x = keep_text(w, w->leaf.kind, w->leaf.at, w->leaf.end);
		if (x) {
			x->size = w->leaf.size;
			x->shift = w->leaf.shift;
			x->bits = w->leaf.bits;
			x->mask = low_bits(w->leaf.bits);
			x->value = w->leaf.value;
		}
	}
	w->item.key = NULL;
}

/*
 * A list was opened. It is the item's own when it is no deeper than that: a wrapper or a
 * pointer between them would be a level more.
 */
static void keep_opening(struct walk *w, enum text_kind kind, const struct btf_type *t,
			 uint32_t id, uint64_t size, uint64_t elem_size, uint32_t nr)
{
	const struct jsonw *out = w->out;
	struct render_text *x;

	if (!w->item.key || out->depth != w->item.depth + w->item.levels)
		return;
	x = keep_text(w, kind, out->fill, out->fill);
	if (!x)
		return;
	x->size = size;
	x->t = t;
	x->id = id;
	x->elem_size = elem_size;
	x->nr = nr;
}

static void element_list(struct walk *w, const struct btf *btf, const struct btf_type *t,
			 uint32_t id, uint64_t size, uint64_t nr, const uint8_t *data,
			 size_t len, unsigned int depth);
static void members(struct walk *w, const struct btf *btf, const struct btf_type *t,
		    const uint8_t *data, size_t len, unsigned int depth);

/* A struct or an array that is complete, by its kept text. */
static bool write_list(struct walk *w, const struct btf *btf, const struct render_text *x,
		       unsigned int levels, const uint8_t *data, unsigned int depth)
{
	/* What is in it may need the place for another text. */
	uint64_t size = x->size, elem_size = x->elem_size;
	const struct btf_type *t = x->t;
	uint32_t id = x->id, nr = x->nr;

	data += x->off;
	if (!write_opening(w, x, levels))
		return false;
	if (x->kind == TEXT_STRUCT)
		members(w, btf, t, data, size, depth);
	else
		element_list(w, btf, t, id, elem_size, nr, data, size, depth);
	jsonw_arr_end(w->out);
	jsonw_obj_end(w->out);
	if (levels == MEMBER_LEVELS)
		jsonw_obj_end(w->out);
	return true;
}

/* A member by its kept text. False: it must be written otherwise, and nothing was. */
static inline bool write_member(struct walk *w, const struct btf *btf, const void *key,
				const uint8_t *data, size_t len, unsigned int depth)
{
	const struct render_text *x = text_of(w, key, w->out->depth);

	if (!has_text(w, x, key, len, depth))
		return false;
	return x->kind < TEXT_STRUCT ? write_scalar(w, x, data) :
				       write_list(w, btf, x, MEMBER_LEVELS, data, depth);
}

/* size: of the type; len: what there is of it. */
static void sliced(struct walk *w, const struct btf *btf, const struct btf_type *t, uint32_t id,
		   uint64_t size, const uint8_t *data, size_t len, unsigned int depth)
{
	/* All others say it themselves. */
	if (len < size && btf_kind(t) == BTF_KIND_ARRAY) {
		if (!open_truncated(w, size, len))
			return;
		typed(w, btf, t, id, data, len, depth);
		jsonw_obj_end(w->out);
		return;
	}
	typed(w, btf, t, id, data, len, depth);
}

static void element_list(struct walk *w, const struct btf *btf, const struct btf_type *t,
			 uint32_t id, uint64_t size, uint64_t nr, const uint8_t *data,
			 size_t len, unsigned int depth)
{
	if (nr > RENDER_MAX_ELEMENTS)
		nr = RENDER_MAX_ELEMENTS;
	while (nr) {
		const struct render_text *x = text_of(w, t, w->out->depth);
		uint64_t done = 0;

		if (size > len) {
			sliced(w, btf, t, id, size, data, len, depth + 1);
			break;
		}
		if (has_text(w, x, t, size, depth + 1) && x->kind >= TEXT_STRUCT) {
			done = write_list(w, btf, x, ELEMENT_LEVELS, data, depth + 1);
		} else if (has_text(w, x, t, size, depth + 1)) {
			done = write_scalars(w, x, data, size && len / size < nr ? len / size : nr);
			if (!w->nodes) {
				left_out(w);
				break;
			}
		}
		if (!done) {
			begin_item(w, t, 0, ELEMENT_LEVELS);
			typed(w, btf, t, id, data, size, depth + 1);
			end_item(w);
			done = 1;
		}
		if (!w->nodes)
			break;
		data += done * size;
		len -= done * size;
		nr -= done;
	}
}

static void elements(struct walk *w, const struct btf *btf, const struct btf_type *t, uint32_t id,
		     uint64_t size, uint64_t nr, const uint8_t *data, size_t len,
		     unsigned int depth)
{
	uint64_t whole;

	if (jsonw_room(w->out) < ROOM_ARRAY) {
		too_deep(w);
		return;
	}
	open_node(w->out, "array");
	jsonw_key(w->out, "len");
	jsonw_u64(w->out, nr);
	jsonw_key(w->out, "elements");
	jsonw_arr(w->out);
	if (!__builtin_mul_overflow(size, nr, &whole) && whole == len)
		keep_opening(w, TEXT_ARRAY, t, id, len, size, nr);
	element_list(w, btf, t, id, size, nr, data, len, depth);
	jsonw_arr_end(w->out);
	jsonw_obj_end(w->out);
}

/* tail: len bytes are there for a flexible array, which ends a struct. */
static void array_node(struct walk *w, const struct btf *btf, const struct btf_type *t,
		  const uint8_t *data, size_t len, bool tail, unsigned int depth)
{
	uint32_t id = btf_array(t)->type, nr = btf_array(t)->nelems;
	const struct btf_type *elem = id ? render_peel(btf, &id) : NULL;
	uint64_t size;

	if (!btf_array(t)->type)
		unsupported(w, "array element type id not resolvable");
	else if (!elem)
		unsupported(w, "array element type not resolvable");
	else if (!size_of(btf, elem, &size))
		unsupported(w, "array element size not resolvable");
	else if (nr || !size || !len)
		elements(w, btf, elem, id, size, nr, data, len, depth);
	else if (tail)
		elements(w, btf, elem, id, size, len / size, data, len / size * size, depth);
	else
		unsupported(w, "flex array (BTF len=0); runtime length not representable in BTF, %zu bytes available at site",
			    len);
}

static void cast_node(struct walk *w, const struct cast_hit *hit, const uint8_t *data,
		      unsigned int depth);

/* A number that the programs use as a pointer: off bytes into owner. */
static bool is_cast(const struct walk *w, const struct btf *btf, const struct btf_type *owner,
		    const struct btf_type *t, uint64_t off, struct cast_hit *hit)
{
	return btf_kind(t) == BTF_KIND_INT && t->size == 8 && !btf_int_encoding(t) &&
	       off <= UINT32_MAX && w->r->cast(w->r->ctx, btf, owner, off, hit);
}

/* The same for a member or variable that may be an array of such. len: all of it. */
static bool has_cast(struct walk *w, const struct btf *btf, const struct btf_type *owner,
		     const struct btf_type *t, uint64_t off, size_t len)
{
	const struct btf_type *elem = t;
	struct cast_hit hit;
	uint32_t id;

	if (!w->r->cast)
		return false;
	if (btf_kind(t) == BTF_KIND_ARRAY) {
		id = btf_array(t)->type;
		elem = render_peel(btf, &id);
	}
	if (!elem || len % 8 || len / 8 > RENDER_MAX_ELEMENTS || !spend(w, len / 1024))
		return false;
	for (uint64_t at = 0; at < len; at += 8)
		if (is_cast(w, btf, owner, elem, off + at, &hit))
			return true;
	return false;
}

/* One that has a cast. */
static void cast_member(struct walk *w, const struct btf *btf, const struct btf_type *owner,
			const struct btf_type *t, uint64_t off, const uint8_t *data, size_t len,
			unsigned int depth)
{
	const struct btf_type *elem;
	struct cast_hit hit;
	uint32_t id;

	if (is_cast(w, btf, owner, t, off, &hit)) {
		cast_node(w, &hit, data, depth);
		return;
	}
	if (jsonw_room(w->out) < ROOM_ARRAY) {
		too_deep(w);
		return;
	}
	if (!may_render(w, depth))
		return;
	id = btf_array(t)->type;
	elem = render_peel(btf, &id);
	open_node(w->out, "array");
	jsonw_key(w->out, "len");
	jsonw_u64(w->out, btf_array(t)->nelems);
	jsonw_key(w->out, "elements");
	jsonw_arr(w->out);
	for (uint64_t at = 0; at < len && w->nodes; at += 8) {
		if (is_cast(w, btf, owner, elem, off + at, &hit))
			cast_node(w, &hit, data + at, depth + 1);
		else
			typed(w, btf, elem, id, data + at, 8, depth + 1);
	}
	jsonw_arr_end(w->out);
	jsonw_obj_end(w->out);
}

static void open_member(struct walk *w, const char *s)
{
	jsonw_obj(w->out);
	jsonw_key(w->out, "name");
	name_text(w->out, s);
	jsonw_key(w->out, "value");
}

static void bad_member(struct walk *w, const char *s, const char *why)
{
	open_member(w, s);
	if (spend(w, 1))
		unsupported(w, "%s", why);
	else
		left_out(w);
	jsonw_obj_end(w->out);
}

static bool is_composite(const struct btf_type *t)
{
	return btf_kind(t) == BTF_KIND_STRUCT || btf_kind(t) == BTF_KIND_UNION;
}

static bool is_flexible(const struct btf_type *t)
{
	return btf_kind(t) == BTF_KIND_ARRAY && !btf_array(t)->nelems;
}

/* The members of t into the list that is open. len > t->size: more bytes follow. */
static void members(struct walk *w, const struct btf *btf, const struct btf_type *t,
		    const uint8_t *data, size_t len, unsigned int depth)
{
	const struct btf_member *m = btf_members(t);
	bool kflag = btf_kflag(t), is_union = btf_kind(t) == BTF_KIND_UNION;
	unsigned int vlen = btf_vlen(t);
	/* Otherwise members are left out, or the last one is longer than it is. */
	bool whole = len == t->size;

	for (unsigned int i = 0; i < vlen && w->nodes; i++, m++) {
		const struct btf_type *mt;
		uint64_t bit, off, size, first, lo, hi;
		unsigned int width;
		size_t left, n;
		uint32_t id = m->type;
		const char *s;

		if (whole && write_member(w, btf, m, data, len, depth + 1))
			continue;
		bit = kflag ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
		width = kflag ? BTF_MEMBER_BITFIELD_SIZE(m->offset) : 0;
		s = name_at(btf, m->name_off);
		off = bit / 8;
		if (len < t->size && off >= len)
			continue;	/* the wrapper says how much is missing */
		mt = id ? render_peel(btf, &id) : NULL;
		if (!mt) {
			bad_member(w, s, id ? "member type modifiers unresolvable" :
					      "member has no type id");
			continue;
		}
		first = bit;
		if (!width && btf_kind(mt) == BTF_KIND_INT &&
		    (btf_int_bits(mt) != mt->size * 8 || btf_int_offset(mt)) && !kflag) {
			/* As it was before BTF had a flag for it. */
			width = btf_int_bits(mt);
			first += btf_int_offset(mt);
			/* 128 bit on a byte: as bytes, below. */
			if (width > 64 && bit % 8 == 0)
				width = 0;
		}
		if (width) {
			begin_item(w, m, first / 8, MEMBER_LEVELS);
			open_member(w, s);
			bitfield_node(w, btf, mt, data, len, first, width, depth + 1);
			jsonw_obj_end(w->out);
			end_item(w);
			continue;
		}
		if (bit % 8) {
			char why[80];

			snprintf(why, sizeof(why), "non-bitfield member at non-byte bit offset %" PRIu64,
				 bit);
			bad_member(w, s, why);
			continue;
		}
		if (!size_of(btf, mt, &size)) {
			bad_member(w, s, "member type size unresolvable");
			continue;
		}
		left = off < len ? len - off : 0;
		n = left < size ? left : size;
		/* What follows the struct belongs to the flexible array at its end. */
		if (len > t->size && (is_union || i == vlen - 1) &&
		    (is_composite(mt) || is_flexible(mt)))
			n = left;

		if (!*s && is_composite(mt) && n >= size && depth + 1 < RENDER_MAX_DEPTH &&
		    !is_mask(name_at(btf, mt->name_off), size, &lo, &hi) && spend(w, 1)) {
			members(w, btf, mt, data + (left ? off : len), n, depth + 1);
			continue;
		}
		if (n == size && has_cast(w, btf, t, mt, off, n)) {
			begin_item(w, NULL, off, MEMBER_LEVELS);
			open_member(w, s);
			cast_member(w, btf, t, mt, off, data + off, n, depth + 1);
			jsonw_obj_end(w->out);
			continue;
		}
		begin_item(w, n > size ? NULL : m, off, MEMBER_LEVELS);
		open_member(w, s);
		if (n > size && is_flexible(mt) && depth + 1 < RENDER_MAX_DEPTH)
			array_node(w, btf, mt, data + off, n, true, depth + 1);
		else
			sliced(w, btf, mt, id, size, data + (left ? off : len), n, depth + 1);
		jsonw_obj_end(w->out);
		end_item(w);
	}
}

static void open_struct(struct walk *w, const char *type)
{
	open_node(w->out, "struct");
	jsonw_key(w->out, "type_name");
	if (*type)
		name_text(w->out, type);
	else
		jsonw_null(w->out);
	jsonw_key(w->out, "members");
	jsonw_arr(w->out);
}

static void struct_node(struct walk *w, const struct btf *btf, const struct btf_type *t,
		      const uint8_t *data, size_t len, unsigned int depth)
{
	const char *type = name_at(btf, t->name_off);
	bool cut = len < t->size;

	if (mask_struct(w, t, type, data, len))
		return;
	if (jsonw_room(w->out) < ROOM_STRUCT + cut) {
		too_deep(w);
		return;
	}
	if (cut)
		open_truncated(w, t->size, len);
	open_struct(w, type);
	if (len == t->size)
		keep_opening(w, TEXT_STRUCT, t, 0, len, 0, 0);
	members(w, btf, t, data, len, depth);
	jsonw_arr_end(w->out);
	jsonw_obj_end(w->out);
	if (cut)
		jsonw_obj_end(w->out);
}

static void datasec_node(struct walk *w, const struct btf *btf, const struct btf_type *t,
		    const uint8_t *data, size_t len, unsigned int depth)
{
	const struct btf_var_secinfo *v = btf_var_secinfos(t);

	if (jsonw_room(w->out) < ROOM_STRUCT) {
		too_deep(w);
		return;
	}
	open_struct(w, name_at(btf, t->name_off));
	for (unsigned int i = 0; i < btf_vlen(t) && w->nodes; i++, v++) {
		const struct btf_type *var = btf__type_by_id(btf, v->type), *vt;
		size_t left = v->offset < len ? len - v->offset : 0;
		const char *s;
		uint64_t size;
		uint32_t id;

		if (!var) {
			bad_member(w, "", "datasec var type not resolvable");
			continue;
		}
		if (btf_kind(var) != BTF_KIND_VAR) {
			char why[80];

			snprintf(why, sizeof(why), "datasec entry resolved to non-Var (kind %u)",
				 btf_kind(var));
			bad_member(w, "", why);
			continue;
		}
		s = name_at(btf, var->name_off);
		id = var->type;
		vt = id ? render_peel(btf, &id) : NULL;
		if (!vt) {
			bad_member(w, s, "var underlying type id not resolvable");
			continue;
		}
		if (!size_of(btf, vt, &size))
			size = v->size;
		open_member(w, s);
		/* A variable may be larger than its type: a flexible array with a value. */
		if (size == v->size && left >= size && has_cast(w, btf, t, vt, v->offset, size))
			cast_member(w, btf, t, vt, v->offset, data + v->offset, size, depth + 1);
		else
			sliced(w, btf, vt, id, size, data + (left ? v->offset : len),
			       left < v->size ? left : v->size, depth + 1);
		jsonw_obj_end(w->out);
	}
	jsonw_arr_end(w->out);
	jsonw_obj_end(w->out);
}

/* -------------------------------------------------------------- pointers */

static void __printf(2, 3) skipped(struct walk *w, const char *fmt, ...)
{
	char why[MAX_NAME + 160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	jsonw_key(w->out, "deref_skipped_reason");
	jsonw_str(w->out, why);
}

static void add_label(struct render *r, const char *text, size_t len)
{
	jsonw_key(r->out, "ktdump_label");
	jsonw_text(r->out, text, len);
}

static void label(struct render *r, uint64_t kva)
{
	struct render_object o = {};
	char text[400];
	size_t n = 0;

	/* The kernel's half of all addresses. */
	if (!r->object || !(kva >> 63) || !r->object(r->ctx, kva, &o))
		return;
	if (o.kind)
		n = snprintf(text, sizeof(text), "%.*s", o.kind_len < 64 ? (int)o.kind_len : 64,
			     o.kind);
	if (o.has_pid)
		n += snprintf(text + n, sizeof(text) - n, " %" PRId64, o.pid);
	if (o.has_id)
		n += snprintf(text + n, sizeof(text) - n, " %" PRIu64, o.id);
	if (o.name && o.name_len)
		n += snprintf(text + n, sizeof(text) - n, " %.*s",
			      o.name_len < 256 ? (int)o.name_len : 256, o.name);
	add_label(r, text, n);
}

void render_ptr(struct render *r, uint64_t value)
{
	open_node(r->out, "ptr");
	jsonw_key(r->out, "value");
	jsonw_u64(r->out, value);
	label(r, value);
	jsonw_obj_end(r->out);
}

/* The body of forward declaration id in the same BTF, 0 when there is none. */
static uint32_t find_body(struct walk *w, const struct btf *btf, const struct btf_type *fwd,
			  uint32_t id)
{
	unsigned int kind = btf_kflag(fwd) ? BTF_KIND_UNION : BTF_KIND_STRUCT;
	unsigned int slot = id % ARRAY_SIZE(w->r->fwd);
	const char *wanted = name_at(btf, fwd->name_off);
	uint32_t cnt = btf__type_cnt(btf), found = 0;

	if (w->r->fwd[slot].btf == btf && w->r->fwd[slot].id == id)
		return w->r->fwd[slot].found;
	/* One of hundreds of thousands of types: looking for many costs. */
	if (!spend(w, cnt / 64))
		return 0;
	for (uint32_t i = 1; i < cnt && !found; i++) {
		const struct btf_type *t = btf__type_by_id(btf, i);

		if (t && btf_kind(t) == kind && !strcmp(name_at(btf, t->name_off), wanted))
			found = i;
	}
	w->r->fwd[slot].btf = btf;
	w->r->fwd[slot].id = id;
	w->r->fwd[slot].found = found;
	return found;
}

/* Types that say nothing about what an allocator has put there. */
static bool is_opaque(const struct btf_type *t, const char *type)
{
	return btf_kind(t) == BTF_KIND_FWD || btf_kind(t) == BTF_KIND_UNKN ||
	       (is_composite(t) && !strcmp(type, "sdt_data"));
}

static void in_the_middle(struct walk *w, const struct render_slot *slot)
{
	skipped(w, "arena chase: %u bytes into slot %u of %.*s; neither it nor its payload begins there",
		slot->inside, slot->pos, MAX_NAME, slot->allocator);
}

/*
 * False: a reason was written. what: "arena chase" and such. slot: what is allocated there,
 * NULL for nothing that is known.
 */
static bool find_target(struct walk *w, const char *what, const struct btf *btf, uint32_t id,
			const struct render_slot *slot, struct target *ret)
{
	struct target g = { .btf = btf, .id = id };
	const char *type, *kind;

	g.t = render_peel(btf, &g.id);
	if (!g.t) {
		skipped(w, "%s target type id %u unresolvable", what, id);
		return false;
	}
	id = g.id;
	kind = btf_kflag(g.t) ? "union" : "struct";
	type = name_at(btf, g.t->name_off);
	if (btf_kind(g.t) == BTF_KIND_FWD && *type) {
		bool is_union = btf_kflag(g.t);

		g.id = find_body(w, btf, g.t, id);
		if (g.id) {
			g.t = btf__type_by_id(btf, g.id);
		} else if ((!slot || slot->inside) && w->r->resolve_fwd &&
			   w->r->resolve_fwd(w->r->ctx, type, is_union, &g.btf, &g.id)) {
			g.t = render_peel(g.btf, &g.id);
			if (!g.t || !is_composite(g.t)) {
				skipped(w, "%s: cross-BTF Fwd type id %u unresolved in sibling BTF",
					what, g.id);
				return false;
			}
		}
	}
	if (slot && slot->inside && is_opaque(g.t, type)) {
		in_the_middle(w, slot);
		return false;
	}
	if (slot && !slot->inside && is_opaque(g.t, type)) {
		g = (struct target){ .btf = slot->btf, .id = slot->id, .skip = slot->skip,
				     .by_slot = true };
		g.t = render_peel(g.btf, &g.id);
		if (!g.t) {
			skipped(w, "%s target type id %u unresolvable", what, slot->id);
			return false;
		}
	}
	switch (btf_kind(g.t)) {
	case BTF_KIND_FWD:
		if (*type)
			skipped(w, "%s target %s %.*s (type id %u) is a forward declaration; body not in this BTF",
				what, kind, MAX_NAME, type, id);
		else
			skipped(w, "%s target type id %u is an anonymous %s forward declaration; body not in this BTF",
				what, id, kind);
		return false;
	case BTF_KIND_FUNC:
		skipped(w, "%s target type id %u is a function (BTF_KIND_FUNC); functions have no storage size",
			what, id);
		return false;
	case BTF_KIND_FUNC_PROTO:
		skipped(w, "%s target type id %u is a function prototype (BTF_KIND_FUNC_PROTO); prototypes have no storage size",
			what, id);
		return false;
	case BTF_KIND_DATASEC:
		skipped(w, "%s target type id %u is a datasec (BTF_KIND_DATASEC); not a pointer chase target",
			what, id);
		return false;
	case BTF_KIND_VAR:
		skipped(w, "%s target type id %u is a var (BTF_KIND_VAR); not a pointer chase target",
			what, id);
		return false;
	case BTF_KIND_UNKN:
		skipped(w, "%s target type id %u is void; chasing a void* requires runtime type info",
			what, id);
		return false;
	default:
		break;
	}
	if (!size_of(g.btf, g.t, &g.size)) {
		skipped(w, "%s target type id %u has unresolvable size", what, id);
		return false;
	}
	if (!g.size) {
		skipped(w, "%s target type id %u BTF size is 0 (incomplete type)", what, id);
		return false;
	}
	*ret = g;
	return true;
}

/* What is at a place of the image; value: the pointer to it. */
static void object_at(struct walk *w, const struct target *g, uint64_t value,
		      const struct arena_place *at, unsigned int depth)
{
	uint64_t max = at->len > g->skip ? at->len - g->skip : 0, kva;
	struct render *r = w->r;
	size_t want = g->size < RENDER_MAX_CHASE ? g->size : RENDER_MAX_CHASE, have = 0;
	uint8_t *buf;

	if (r->path_len >= RENDER_MAX_PATH)
		return;
	buf = w->chase[r->path_len];
	if (at->kva && !__builtin_add_overflow(at->kva, g->skip, &kva))
		have = bulk_have(r->bulk, kva, want < max ? want : max);
	if (!have || bulk_read(r->bulk, kva, buf, have)) {
		if (at->whole && at->kva)
			skipped(w, "arena read failed (cross-page boundary or unmapped page); needed %zu bytes from 0x%"
				PRIx64, g->skip + want, value);
		else
			skipped(w, "not captured: %zu bytes from 0x%" PRIx64 " (not mapped, or not in the snapshot)",
				g->skip + want, value);
		return;
	}
	r->path[r->path_len++] = value;
	jsonw_key(w->out, "deref");
	sliced(w, g->btf, g->t, g->id, g->size, buf, have, depth + 1);
	r->path_len--;
}

static void kernel_object(struct walk *w, const struct target *g, uint64_t value,
			  unsigned int depth)
{
	struct arena_place at = { .kva = value, .len = UINT64_MAX - value };

	object_at(w, g, value, &at, depth);
}

/* The bits at kva; the kernel has as many of them as CPUs are possible. */
static void mask_at(struct walk *w, uint64_t kva)
{
	struct render *r = w->r;
	size_t want = mask_bytes(r), have = bulk_have(r->bulk, kva, want);
	uint8_t buf[MAX_MASK_BYTES];

	if (!r->nr_cpu_ids && have)
		want = have & ~(size_t)7;
	if (!have || bulk_read(r->bulk, kva, buf, have)) {
		skipped(w, "not captured: %zu bytes of the cpumask at 0x%" PRIx64, want, kva);
		return;
	}
	if (have < 8) {
		skipped(w, "cpumask kptr read returned %zu bytes; need at least 8", have);
		return;
	}
	if (no_mask_word(r, load(buf, 8), 0)) {
		skipped(w, "cpumask kptr plausibility gate rejected: bits[0] top byte is 0xff at 0x%"
			PRIx64 " (likely freed slab object)", kva);
		return;
	}
	jsonw_key(w->out, "deref");
	if (have >= want) {
		cpu_list(w, buf, want);
	} else if (open_truncated(w, want, have)) {
		cpu_list(w, buf, have);
		jsonw_obj_end(w->out);
	}
}

/* What the kernel knows about the pointer at data. */
static const struct render_field *find_field(const struct walk *w, const uint8_t *data)
{
	size_t lo = 0, hi = w->r->fields ? w->r->nr_fields : 0;
	uintptr_t off = (uintptr_t)data - (uintptr_t)w->top;

	/* Only the value itself has such fields, not what its pointers lead to. */
	if (off >= w->top_len)
		return NULL;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->r->fields[mid].offset == off)
			return &w->r->fields[mid];
		if (w->r->fields[mid].offset < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static void kernel_pointer(struct walk *w, const struct btf *btf, uint32_t id,
			   const uint8_t *data, uint64_t value, unsigned int depth)
{
	const struct render_field *f = w->r->nr_fields ? find_field(w, data) : NULL;
	const struct btf_type *t;
	const char *type = "";
	struct target g;
	uint64_t size;

	if (f && f->btf && f->btf_id) {
		btf = f->btf;
		id = f->btf_id;
	} else {
		f = NULL;
	}
	t = render_peel(btf, &id);
	if (t && (is_composite(t) || btf_kind(t) == BTF_KIND_FWD))
		type = name_at(btf, t->name_off);
	if (!strcmp(type, "cpumask") || !strcmp(type, "bpf_cpumask")) {
		mask_at(w, value);
	} else if (f && f->btf != w->r->kernel) {
		/* An object of the program's own, which only this pointer holds. */
		if (find_target(w, "kptr", btf, id, NULL, &g))
			kernel_object(w, &g, value, depth);
	} else if (size_of(btf, t, &size) && !size) {
		skipped(w, "pointee BTF size is 0 (incomplete type)");
	}
}

/* The programs' own mark for it, where the compiler passes it on. */
static bool arena_tag(const struct btf *btf, uint32_t id)
{
	for (int hops = 0; hops <= RENDER_MAX_HOPS; hops++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (!t || (btf_kind(t) != BTF_KIND_TYPE_TAG && btf_kind(t) != BTF_KIND_CONST &&
			   btf_kind(t) != BTF_KIND_VOLATILE && btf_kind(t) != BTF_KIND_TYPEDEF))
			return false;
		if (btf_kind(t) == BTF_KIND_TYPE_TAG) {
			const char *tag = name_at(btf, t->name_off);

			if (!strcmp(tag, "arena") || !strcmp(tag, "address_space(1)"))
				return true;
		}
		id = t->type;
	}
	return false;
}

/* The value decides; one of 32 bits only where the programs say that it is such a pointer. */
static bool in_arena(const struct render *r, const struct btf *btf, uint32_t id, uint64_t value,
		     struct arena_place *at)
{
	return r->nr_arenas &&
	       arena_find(r->arenas, r->nr_arenas, value,
			  value <= UINT32_MAX && arena_tag(btf, id), at);
}

/* False: a reason was written, or there is nothing to follow with. */
static bool may_follow(struct walk *w, uint64_t value)
{
	struct render *r = w->r;

	for (unsigned int i = 0; i < r->path_len; i++) {
		if (r->path[i] == value) {
			skipped(w, "cycle → 0x%" PRIx64, value);
			return false;
		}
	}
	if (!r->bulk)
		return false;
	if (!jsonw_room(w->out)) {
		skipped(w, "left out: JSON would be nested deeper than %d levels", JSONW_MAX_DEPTH);
		return false;
	}
	return true;
}

/* Memory of which no type says what it is. False: the reason was written. */
static bool deferred_target(struct walk *w, const struct cast_hit *hit, uint64_t value,
			    bool allocated, struct render_slot *slot, bool *guess_ret)
{
	struct render_sized sized = { .why = "not looked for" };

	if (slot->inside) {
		in_the_middle(w, slot);
		return false;
	}
	if (slot->id)
		return true;
	/* A slot of nobody knows what has no size of its own. */
	if (!allocated && w->r->sized && w->r->sized(w->r->ctx, hit, &sized)) {
		*slot = (struct render_slot){ .btf = sized.btf, .id = sized.id };
		*guess_ret = sized.guess;
		return true;
	}
	if (!allocated && hit->size)
		skipped(w, "arena chase: STX-flow path tagged slot as Arena with deferred resolve; alloc_size=%u fallback unresolved (%s)",
			hit->size, sized.why);
	else
		skipped(w, "arena chase: STX-flow path tagged slot as Arena with deferred resolve; bridge had no entry for 0x%"
			PRIx64, value);
	return false;
}

/* Own keys come last. */
static void put_label(struct walk *w)
{
	if (*w->label)
		add_label(w->r, w->label, strlen(w->label));
	*w->label = '\0';
}

/* Nobody knows what is there, but who gave it out. */
static void label_region(struct walk *w, const struct arena_place *at)
{
	const char *name = at->kva && w->r->region ? w->r->region(w->r->ctx, at->kva) : NULL;

	if (name)
		snprintf(w->label, sizeof(w->label), "in scx_static %s", name);
}

/*
 * hit: a number that is used as a pointer; NULL: a pointer to type id. Whether it was found
 * out what is there by something else than its type.
 */
static bool arena_object(struct walk *w, const struct btf *btf, uint32_t id,
			 const struct cast_hit *hit, uint64_t value,
			 const struct arena_place *at, unsigned int depth)
{
	struct render_slot slot = {};
	bool allocated = at->kva && w->r->slot && w->r->slot(w->r->ctx, at->kva, &slot);
	bool guess = false;
	struct target g;

	if (allocated && slot.shown) {
		skipped(w, "already rendered in sdt_allocations");
		return false;
	}
	if (hit && !hit->id) {
		if (!deferred_target(w, hit, value, allocated, &slot, &guess)) {
			label_region(w, at);
			return false;
		}
		/* Of nothing, then. */
		btf = slot.btf;
	}
	if (!find_target(w, "arena chase", btf, id, slot.id || slot.inside ? &slot : NULL, &g)) {
		label_region(w, at);
		return false;
	}
	object_at(w, &g, value, at, depth);
	if (guess)
		snprintf(w->label, sizeof(w->label), GUESS);
	return g.by_slot && !guess;
}

/* The annotation, NULL for none. */
static const char *follow(struct walk *w, const struct btf *btf, const struct btf_type *t,
			  const uint8_t *data, uint64_t value, unsigned int depth)
{
	struct arena_place at;

	if (may_follow(w, value)) {
		if (in_arena(w->r, btf, t->type, value, &at))
			return arena_object(w, btf, t->type, NULL, value, &at, depth) ?
			       "sdt_alloc" : NULL;
		kernel_pointer(w, btf, t->type, data, value, depth);
	}
	label(w->r, value);
	return NULL;
}

/* Of the kernel's memory only what the guest thought of is there. */
static void kernel_cast(struct walk *w, const struct cast_hit *hit, uint64_t value,
			unsigned int depth)
{
	const struct btf_type *t;
	uint32_t id = hit->id;
	uint8_t first[8];
	const char *type;
	struct target g;

	if (!id) {
		skipped(w, "kernel cast target unresolved (analyzer hinted Arena with deferred resolve, but runtime value 0x%"
			PRIx64 " fell outside the arena window)", value);
		return;
	}
	t = render_peel(hit->btf, &id);
	type = t ? name_at(hit->btf, t->name_off) : "";
	if (!strcmp(type, "cpumask") || !strcmp(type, "bpf_cpumask")) {
		mask_at(w, value);
		return;
	}
	if (!find_target(w, "kernel cast", hit->btf, hit->id, NULL, &g))
		return;
	if (!(value >> 63)) {
		skipped(w, "kernel read_kva failed at 0x%" PRIx64 " (unmapped page or no PTE); needed %"
			PRIu64 " bytes (cast analysis may have flagged a non-pointer field)",
			value, g.size);
		return;
	}
	if (g.size >= sizeof(first) && !bulk_read(w->r->bulk, value, first, sizeof(first)) &&
	    load(first, sizeof(first)) >> 56 == 0xff) {
		skipped(w, "kernel cast plausibility gate rejected: first qword top byte is 0xff at 0x%"
			PRIx64 " (likely freed slab object freelist pointer)", value);
		return;
	}
	kernel_object(w, &g, value, depth);
}

static void cast_node(struct walk *w, const struct cast_hit *hit, const uint8_t *data,
		      unsigned int depth)
{
	uint64_t value = load(data, sizeof(value));
	struct render *r = w->r;
	bool arena = hit->arena, by_slot = false;
	struct arena_place at;

	if (!may_render(w, depth))
		return;
	open_node(w->out, "ptr");
	jsonw_key(w->out, "value");
	jsonw_u64(w->out, value);
	/* Where it points to is seen best by its value. */
	if (value)
		arena = r->nr_arenas &&
			arena_find(r->arenas, r->nr_arenas, value, hit->arena, &at);
	if (value && may_follow(w, value)) {
		if (arena)
			by_slot = arena_object(w, hit->btf, hit->id, hit, value, &at, depth);
		else
			kernel_cast(w, hit, value, depth);
	}
	jsonw_key(w->out, "cast_annotation");
	if (by_slot)
		jsonw_str(w->out, "cast→arena (sdt_alloc)");
	else
		jsonw_str(w->out, arena ? "cast→arena" : "cast→kernel");
	put_label(w);
	if (value && !arena)
		label(w->r, value);
	jsonw_obj_end(w->out);
}

static void ptr_node(struct walk *w, const struct btf *btf, const struct btf_type *t,
		    const uint8_t *data, size_t len, unsigned int depth)
{
	uint64_t value;

	if (len < sizeof(value)) {
		short_scalar(w, sizeof(value), data, len);
		return;
	}
	value = load(data, sizeof(value));
	open_node(w->out, "ptr");
	jsonw_key(w->out, "value");
	jsonw_u64(w->out, value);
	if (value) {
		const char *note = follow(w, btf, t, data, value, depth);

		if (note) {
			jsonw_key(w->out, "cast_annotation");
			jsonw_word(w->out, note);
		}
		put_label(w);
	}
	w->leaf.at = w->leaf.end = w->out->fill;
	jsonw_obj_end(w->out);
	/* Only null is the same wherever it is met. */
	leaf_is(w, value ? TEXT_NONE : TEXT_SAME, sizeof(value), 0, 64, 0);
}

/* ------------------------------------------------------------------- all */

/* One node. t: peeled, of id. len may differ from the size of the type. */
static void typed(struct walk *w, const struct btf *btf, const struct btf_type *t, uint32_t id,
		  const uint8_t *data, size_t len, unsigned int depth)
{
	if (!may_render(w, depth))
		return;
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		int_value(w, t, data, len);
		break;
	case BTF_KIND_PTR:
		ptr_node(w, btf, t, data, len, depth);
		break;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		enum_value(w, btf, t, data, len);
		break;
	case BTF_KIND_FLOAT:
		float_value(w, t, data, len);
		break;
	case BTF_KIND_ARRAY:
		array_node(w, btf, t, data, len, false, depth);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		struct_node(w, btf, t, data, len, depth);
		break;
	case BTF_KIND_DATASEC:
		datasec_node(w, btf, t, data, len, depth);
		break;
	case BTF_KIND_VAR:
		id = t->type;
		t = id ? render_peel(btf, &id) : NULL;
		if (t)
			typed(w, btf, t, id, data, len, depth + 1);
		else
			unsupported(w, "var type id not resolvable");
		break;
	case BTF_KIND_FWD:
		unsupported(w, "forward declaration: type body not in BTF");
		break;
	case BTF_KIND_FUNC:
	case BTF_KIND_FUNC_PROTO:
		unsupported(w, "function type: no value bytes to render");
		break;
	case BTF_KIND_UNKN:
		unsupported(w, "void: no value bytes to render");
		break;
	default:
		unsupported(w, "BTF kind %u of type id %u is not known", btf_kind(t), id);
	}
}

void render_value(struct render *r, const struct btf *btf, uint32_t id, const uint8_t *data,
		  size_t len)
{
	uint8_t chase[RENDER_MAX_PATH][RENDER_MAX_CHASE];
	char text[MAX_MASK_TEXT];
	struct walk w = {
		.r = r, .out = r->out, .top = data, .top_len = len, .nodes = RENDER_MAX_NODES,
		.chase = chase, .text = text,
	};
	const struct btf_type *t;
	uint32_t peeled = id;
	uint64_t granted;

	if (!btf || !id) {
		render_bytes(r, data, len);
		return;
	}
	r->path_len = 0;
	if (r->nodes + RENDER_MAX_NODES > RENDER_MAX_TOTAL)
		w.nodes = r->nodes < RENDER_MAX_TOTAL ? RENDER_MAX_TOTAL - r->nodes : 0;
	granted = w.nodes;
	if (!data)
		data = (const uint8_t *)"";
	t = render_peel(btf, &peeled);
	if (!t)
		unsupported(&w, "could not peel modifiers from type id %u", id);
	else
		typed(&w, btf, t, peeled, data, len, 0);
	r->nodes += granted - w.nodes;
}
