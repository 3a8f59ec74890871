/* SPDX-License-Identifier: GPL-2.0-only */
/* A report against the schemas in docs/, which are part of the program. */
#ifndef KTC_SCHEMA_H
#define KTC_SCHEMA_H

#include <stdio.h>
#include <yyjson.h>

#include "util.h"

/* Where in a report: a chain up to the top, on the stack of who goes down. */
struct place {
	const struct place *up;	/* NULL: the top, which has neither key nor index */
	yyjson_val *key;	/* of an object's member; NULL: @index of a list */
	size_t index;
};

/* What is wrong with one file, a line each. */
struct problems {
	FILE *out;
	const char *file;	/* its name, for the lines */
	size_t nr;		/* so far; the first PROBLEMS_SHOWN have a line */
	unsigned int silent;	/* above 0: something is tried, nothing is said */
};

#define PROBLEMS_SHOWN 64

/* Says "FILE: JSON pointer: what", which may have text of a guest in it. */
void problem(struct problems *p, const struct place *at, const char *fmt, ...) __printf(3, 4);

enum schema_id { SCHEMA_REPORT, SCHEMA_KTDUMP, NR_SCHEMAS };

/*
 * Checks @v against a schema, or against the definition @part of it. Of the report's schema
 * also the order of the keys and what ktstr leaves out when it is empty. @v must not be
 * nested deeper than what show_load() takes. 0 or -ENOMEM.
 */
int schema_check(enum schema_id id, const char *part, yyjson_val *v, const struct place *at,
		 struct problems *p);

#endif
