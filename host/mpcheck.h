/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KTC_MPCHECK_H
#define KTC_MPCHECK_H

#include <stddef.h>
#include <stdint.h>

/* Deepest nesting of arrays inside a row, the row itself included. */
#define MPCHECK_MAX_DEPTH 8

/*
 * Look through a payload before it is unpacked: whole arrays only, none nested
 * deeper than MPCHECK_MAX_DEPTH, no element count that the bytes cannot hold, no
 * row longer than max_row bytes. Returns 0 and the number of objects, or
 * -EBADMSG / -EMSGSIZE and in *why_ret what is wrong.
 */
int mpcheck(const void *data, size_t len, size_t max_row, size_t *objects_ret,
	    const char **why_ret);

#endif
