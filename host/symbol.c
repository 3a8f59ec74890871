// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "symbol.h"

static int by_start(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* The last symbol that starts at or below addr. */
static const struct symbol *find(const struct symbol *v, size_t nr, uint64_t addr)
{
	size_t lo = 0, hi = nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &v[lo - 1] : NULL;
}

static void add_ranges(struct symbols *sym, const struct table *t, unsigned int start,
		       unsigned int end, unsigned int name)
{
	for (size_t i = 0; i < t->nr_rows; i++) {
		struct symbol *e = &sym->ranges[sym->nr_ranges];

		if (!row_u64(t, t->rows[i], start, &e->start) &&
		    !row_u64(t, t->rows[i], end, &e->end) && e->start < e->end &&
		    !row_str(t, t->rows[i], name, &e->name, &e->len) && e->len)
			sym->nr_ranges++;
	}
}

int symbols_init(struct symbols *sym, const struct snapshot *s)
{
	const struct table *st = &s->tables[KTD_TBL_SYMBOL];
	const struct table *pt = &s->tables[KTD_TBL_PROG], *it = &s->tables[KTD_TBL_IMAGE];

	*sym = (struct symbols){
		.exact = calloc(st->nr_rows + 1, sizeof(*sym->exact)),
		.ranges = calloc(pt->nr_rows + it->nr_rows + 1, sizeof(*sym->ranges)),
	};
	if (!sym->exact || !sym->ranges) {
		symbols_deinit(sym);
		return -ENOMEM;
	}
	for (size_t i = 0; i < st->nr_rows; i++) {
		struct symbol *e = &sym->exact[sym->nr_exact];

		if (!row_u64(st, st->rows[i], KTD_SYMBOL_ADDR, &e->start) &&
		    !row_str(st, st->rows[i], KTD_SYMBOL_NAME, &e->name, &e->len) && e->len) {
			e->end = e->start;
			sym->nr_exact++;
		}
	}
	add_ranges(sym, pt, KTD_PROG_KSYM_START, KTD_PROG_KSYM_END, KTD_PROG_KSYM);
	add_ranges(sym, it, KTD_IMAGE_START, KTD_IMAGE_END, KTD_IMAGE_NAME);
	qsort(sym->exact, sym->nr_exact, sizeof(*sym->exact), by_start);
	qsort(sym->ranges, sym->nr_ranges, sizeof(*sym->ranges), by_start);
	return 0;
}

void symbols_deinit(struct symbols *sym)
{
	free(sym->exact);
	free(sym->ranges);
	*sym = (struct symbols){};
}

size_t symbol_format(const struct symbols *sym, uint64_t addr, char *buf, size_t size)
{
	const struct symbol *e = find(sym->ranges, sym->nr_ranges, addr);
	int n;

	/* Programs first: a kernel without their names sends bare addresses. */
	if (e && addr < e->end) {
		n = snprintf(buf, size, "%.*s+0x%llx/0x%llx", (int)(e->len < 256 ? e->len : 256),
			     e->name, (unsigned long long)(addr - e->start),
			     (unsigned long long)(e->end - e->start));
	} else {
		e = find(sym->exact, sym->nr_exact, addr);
		if (e && e->start == addr)
			n = snprintf(buf, size, "%.*s", (int)(e->len < 512 ? e->len : 512), e->name);
		else
			n = snprintf(buf, size, "0x%llx", (unsigned long long)addr);
	}
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

bool symbol_function(const struct symbols *sym, uint64_t addr, const char **name_ret,
		     size_t *len_ret)
{
	static const char begin[] = "+0x0/";
	const struct symbol *e = find(sym->exact, sym->nr_exact, addr);
	const char *plus;

	if (!e || e->start != addr)
		return false;
	plus = memmem(e->name, e->len, begin, strlen(begin));
	/* A module's has its name behind it. */
	if (!plus || plus == e->name || memchr(plus, '[', e->name + e->len - plus))
		return false;
	*name_ret = e->name;
	*len_ret = plus - e->name;
	return true;
}
