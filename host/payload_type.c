// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "payload_type.h"

#define MAX_CANDIDATES	1024
#define MAX_FIELDS	256	/* that are asked for, of all programs */
#define MAX_GUESSES	64
/* Types that are looked at to find out about sizes, of one report. */
#define MAX_LOOKS	(64U << 20)

static const char *name_of(const struct btf *btf, const struct btf_type *t)
{
	const char *name = t->name_off ? btf__name_by_offset(btf, t->name_off) : NULL;

	return name ? name : "";
}

/* What vmlinux.h brings into a program's BTF is the kernel's, not what its allocator is for. */
struct kernel_struct {
	const char *name;
	uint32_t size;
};

struct kernel_structs {
	struct kernel_struct *v;	/* by name and size */
	size_t nr;
};

struct by_size {		/* an answer, for one field */
	struct cast_hit hit;
	struct payload_found found;
	char why[64];
};

struct guess {			/* what may have been allocated with this size */
	const struct btf *btf;
	uint32_t id, size;
};

struct payload_types {
	struct kernel_structs kernel;
	struct by_size fields[MAX_FIELDS];
	size_t nr_fields;
	struct guess guesses[MAX_GUESSES];
	size_t nr_guesses;
	bool guessed;		/* guesses are there */
	uint64_t looks;		/* that are left */
};

static int by_struct(const void *a, const void *b)
{
	const struct kernel_struct *x = a, *y = b;
	int ret = strcmp(x->name, y->name);

	return ret ? ret : (x->size > y->size) - (x->size < y->size);
}

/* Without the kernel's BTF, or memory, there are none. */
static void kernel_structs_load(const struct btf *kernel, struct kernel_structs *ret)
{
	uint32_t nr = kernel ? btf__type_cnt(kernel) : 0;

	ret->v = calloc(nr + 1, sizeof(*ret->v));
	for (uint32_t id = 1; ret->v && id < nr; id++) {
		const struct btf_type *t = btf__type_by_id(kernel, id);

		if (t && btf_is_struct(t) && t->name_off)
			ret->v[ret->nr++] = (struct kernel_struct){ name_of(kernel, t), t->size };
	}
	if (ret->nr)
		qsort(ret->v, ret->nr, sizeof(*ret->v), by_struct);
}

/* Of the allocator itself: scx_sdt has one that is as large as its payload. */
static bool is_allocators(const char *name)
{
	static const char *const names[] = {
		"scx_alloc_stats", "scx_allocator", "scx_static", "sdt_chunk", "sdt_data",
		"sdt_desc", "sdt_id", "sdt_pool",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Structs of the payload's size. */
struct candidates {
	const struct btf *btf;
	uint32_t ids[MAX_CANDIDATES];
	size_t nr;		/* may be more than are in ids */
};

static void candidates_load(const struct btf *btf, uint64_t size, const struct kernel_structs *kernel,
			    struct candidates *ret)
{
	const struct btf *base = btf__base_btf(btf);
	uint32_t nr = btf__type_cnt(btf);

	ret->btf = btf;
	ret->nr = 0;
	for (uint32_t id = base ? btf__type_cnt(base) : 1; id < nr; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const struct kernel_struct key = { t ? name_of(btf, t) : "", size };

		if (!t || !btf_is_struct(t) || t->size != size || !*key.name ||
		    is_allocators(key.name) ||
		    (kernel->nr &&
		     bsearch(&key, kernel->v, kernel->nr, sizeof(key), by_struct)))
			continue;
		if (ret->nr < MAX_CANDIDATES)
			ret->ids[ret->nr] = id;
		ret->nr++;
	}
}

/* The only one whose name is, or ends in, this; 0: there are none, or several. */
static uint32_t only(const struct candidates *c, const char *name, bool end)
{
	size_t len = strlen(name);
	uint32_t id = 0;

	for (size_t i = 0; i < c->nr && i < MAX_CANDIDATES; i++) {
		const char *s = name_of(c->btf, btf__type_by_id(c->btf, c->ids[i]));
		size_t have = strlen(s);

		if (end ? have < len || strcmp(s + have - len, name) : strcmp(s, name))
			continue;
		if (id)
			return 0;
		id = c->ids[i];
	}
	return id;
}

static bool ends_in(const char *s, size_t len, const char *end)
{
	return len >= strlen(end) && !memcmp(s + len - strlen(end), end, strlen(end));
}

void payload_stem(const char *allocator, char *buf, size_t size)
{
	const char *dot = strrchr(allocator, '.');
	size_t len;

	if (dot)
		allocator = dot + 1;
	len = strcspn(allocator, "[");
	if (ends_in(allocator, len, "_allocator"))
		len -= strlen("_allocator");
	snprintf(buf, size, "%.*s", (int)len, allocator);
}

const char *payload_short_stem(const char *stem)
{
	return strncmp(stem, "scx_", 4) ? stem : stem + 4;
}

static struct payload_types *get(struct report *r)
{
	struct payload_types *p = r->payload_types;

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->looks = MAX_LOOKS;
	kernel_structs_load(report_kernel_btf(r, NULL), &p->kernel);
	r->payload_types = p;
	return p;
}

void payload_types_destroy(struct payload_types *p)
{
	if (p)
		free(p->kernel.v);
	free(p);
}

/* The one that is named as the allocator is, or as usual; 0: none, or several. */
static uint32_t by_names(const struct candidates *c, const char *allocator)
{
	static const struct {
		const char *name;
		bool end;
	} usual[] = {
		{ "task_ctx", false }, { "_arena_ctx", true }, { "_task_ctx", true },
		{ "_ctx", true },
	};
	char stem[200];
	uint32_t id;

	payload_stem(allocator, stem, sizeof(stem));
	id = only(c, stem, false);
	if (!id)
		id = only(c, payload_short_stem(stem), false);
	for (size_t i = 0; i < ARRAY_SIZE(usual) && !id; i++)
		id = only(c, usual[i].name, usual[i].end);
	/* Of too many it is not known whether it is the only one. */
	return c->nr > MAX_CANDIDATES ? 0 : id;
}

static void no_type(const struct candidates *c, uint64_t size, char *why, size_t why_size)
{
	if (c->nr)
		snprintf(why, why_size, "ambiguous: %zu candidates", c->nr);
	else
		snprintf(why, why_size, "no candidate of size %" PRIu64, size);
}

uint32_t payload_type(struct report *r, const struct btf *btf, uint64_t size,
		      const char *allocator, char *why, size_t why_size)
{
	const struct payload_types *p = get(r);
	struct candidates c;
	uint32_t id;

	*why = '\0';
	if (!size) {
		snprintf(why, why_size, "payload_size == 0");
		return 0;
	}
	if (!p) {
		snprintf(why, why_size, "out of memory");
		return 0;
	}
	candidates_load(btf, size, &p->kernel, &c);
	id = c.nr == 1 ? c.ids[0] : by_names(&c, allocator);
	if (!id)
		no_type(&c, size, why, why_size);
	return id;
}

/* ------------------------------------------------------------------ by size only */

static bool may_look(struct payload_types *p, const struct btf *btf)
{
	uint32_t nr = btf__type_cnt(btf);

	if (p->looks < nr)
		return false;
	p->looks -= nr;
	return true;
}

static void add_guess(struct payload_types *p, const struct btf *btf, uint32_t id, uint32_t size)
{
	const char *name = name_of(btf, btf__type_by_id(btf, id));

	for (size_t i = 0; i < p->nr_guesses; i++) {
		const struct guess *g = &p->guesses[i];

		if (!strcmp(name_of(g->btf, btf__type_by_id(g->btf, g->id)), name))
			return;
	}
	if (p->nr_guesses < MAX_GUESSES)
		p->guesses[p->nr_guesses++] = (struct guess){ btf, id, size };
}

static void guesses_of_size(struct report *r, struct payload_types *p, uint32_t size)
{
	for (size_t i = 0; i < report_nr_btfs(r); i++) {
		const struct btf *btf = report_prog_btf(r, i);
		struct candidates c;

		if (!btf || !may_look(p, btf))
			continue;
		candidates_load(btf, size, &p->kernel, &c);
		if (c.nr == 1) {
			add_guess(p, btf, c.ids[0], size);
			return;
		}
		for (size_t n = 0; n < c.nr && n < MAX_CANDIDATES; n++) {
			const char *name = name_of(btf, btf__type_by_id(btf, c.ids[n]));

			if (!strcmp(name, "task_ctx") || ends_in(name, strlen(name), "_ctx"))
				add_guess(p, btf, c.ids[n], size);
		}
	}
}

/* Of this size, or 0: of any. The only one there is. */
static const struct guess *find_guess(struct report *r, struct payload_types *p, uint32_t size)
{
	const struct casts *casts = report_casts(r);
	const struct guess *found = NULL;

	if (casts && !p->guessed) {
		size_t nr;
		const uint32_t *sizes = casts_sizes(casts, &nr);

		for (size_t i = 0; i < nr; i++)
			guesses_of_size(r, p, sizes[i]);
		p->guessed = true;
	}
	for (size_t i = 0; i < p->nr_guesses; i++) {
		if (size && p->guesses[i].size != size)
			continue;
		if (found)
			return NULL;
		found = &p->guesses[i];
	}
	/* There may be more that had no room. */
	return p->nr_guesses < MAX_GUESSES ? found : NULL;
}

static void guess(struct report *r, struct payload_types *p, const struct candidates *c,
		  struct by_size *b)
{
	const struct guess *g;

	b->found.id = c->nr ? by_names(c, "") : 0;
	b->found.btf = b->hit.btf;
	if (!b->found.id) {
		g = find_guess(r, p, b->hit.size);
		b->found.id = g ? g->id : 0;
		b->found.btf = g ? g->btf : NULL;
	}
	b->found.guess = true;
}

static void find_by_size(struct report *r, struct payload_types *p, struct by_size *b)
{
	struct candidates c = { .btf = b->hit.btf };
	uint32_t size = b->hit.size;

	b->found.why = b->why;
	/* What is the kernel's in there could not be told. */
	if (!p->kernel.nr) {
		snprintf(b->why, sizeof(b->why), "the kernel's types are not known");
		return;
	}
	if (size && !may_look(p, b->hit.btf)) {
		snprintf(b->why, sizeof(b->why), "too many types");
		return;
	}
	if (size) {
		candidates_load(b->hit.btf, size, &p->kernel, &c);
		no_type(&c, size, b->why, sizeof(b->why));
	}
	if (c.nr == 1) {
		b->found.btf = b->hit.btf;
		b->found.id = c.ids[0];
	} else if (r->snap->guess_types) {
		guess(r, p, &c, b);
	}
	if (b->found.id && !cast_fits(&b->hit, b->found.btf, b->found.id)) {
		b->found.id = 0;
		snprintf(b->why, sizeof(b->why), "it is used as something else");
	}
}

bool payload_by_size(struct report *r, const struct cast_hit *hit, struct payload_found *ret)
{
	struct payload_types *p = get(r);
	struct by_size *b = NULL;

	*ret = (struct payload_found){ .why = "too many fields" };
	if (hit->vague)
		ret->why = "it is used as something else";
	if (!p || hit->vague || (!hit->size && !r->snap->guess_types))
		return false;
	for (size_t i = 0; i < p->nr_fields && !b; i++)
		if (p->fields[i].hit.btf == hit->btf && p->fields[i].hit.size == hit->size &&
		    p->fields[i].hit.accesses == hit->accesses)
			b = &p->fields[i];
	if (!b) {
		if (p->nr_fields == MAX_FIELDS)
			return false;
		b = &p->fields[p->nr_fields++];
		b->hit = *hit;
		find_by_size(r, p, b);
	}
	*ret = b->found;
	return ret->id;
}
