/* SPDX-License-Identifier: GPL-2.0-only */
/* Values that are different in two reports, each with the path to it. */
#ifndef KTC_LEAVES_H
#define KTC_LEAVES_H

#include <yyjson.h>

#include "util.h"

#define LEAVES_MAX	128	/* of one map */
#define LEAVES_PATH_MAX	256

struct leaves {
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;	/* in doc: "path", "early", "late" of the first LEAVES_MAX */
	uint64_t changed;	/* all of them */
	size_t *room;		/* how many may still be listed, of all maps */
	char path[LEAVES_PATH_MAX];	/* what stands before each path; @len bytes */
	size_t len;
	bool no_addresses;	/* large numbers are those of another boot */
};

/* Two entries of a report's "maps". */
void leaves_of_map(struct leaves *m, yyjson_val *e, yyjson_val *l);
/* Members of @l that are no lists or objects, by their names. */
void leaves_of_object(struct leaves *m, yyjson_val *e, yyjson_val *l);

#endif
