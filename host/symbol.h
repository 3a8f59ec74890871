/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses to names, from what the guest sent. */
#ifndef KTC_SYMBOL_H
#define KTC_SYMBOL_H

#include "snapshot.h"

struct symbol {
	uint64_t start, end;	/* end == start: that address alone */
	const char *name;
	size_t len;
};

struct symbols {
	struct symbol *exact, *ranges;
	size_t nr_exact, nr_ranges;
};

int symbols_init(struct symbols *sym, const struct snapshot *s);
void symbols_deinit(struct symbols *sym);

/* "name+0xoff/0xsize [module]", or the address; bytes are the guest's. Returns the length. */
size_t symbol_format(const struct symbols *sym, uint64_t addr, char *buf, size_t size);


/* The function of the kernel itself that begins at this address; false: none is known. */
bool symbol_function(const struct symbols *sym, uint64_t addr, const char **name_ret,
		     size_t *len_ret);

#endif
