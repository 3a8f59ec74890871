/* SPDX-License-Identifier: GPL-2.0-only */
/* What is different in a later report, by meaning; docs/report.md has the form. */
#ifndef KTC_DIFFERENCE_H
#define KTC_DIFFERENCE_H

#include <yyjson.h>

#include "leaves.h"

#define DIFFERENCE_MAX_ROWS	256	/* per list */
#define DIFFERENCE_MAX_LEAVES	4096	/* of all maps */

/*
 * Of two single reports of ktcollect or ktstr, in @doc. Things are the same by their address
 * when both are of one boot, else by their names. @with_maps: also of the contents of maps, as
 * far as the reports have them. NULL without memory.
 */
yyjson_mut_val *difference(yyjson_mut_doc *doc, yyjson_val *early, yyjson_val *late, bool with_maps);

/* Whether both are of one boot of one guest, so that addresses mean the same. */
bool difference_same_boot(yyjson_val *early, yyjson_val *late);

/*
 * Adds an entry about a map to the list "maps": its leaves, or why it was not compared.
 * @id and @name are NULL for none.
 */
void difference_add_map(yyjson_mut_doc *doc, yyjson_mut_val *maps, uint64_t kva, yyjson_mut_val *id,
			yyjson_mut_val *name, const struct leaves *m, const char *skipped);

#endif
