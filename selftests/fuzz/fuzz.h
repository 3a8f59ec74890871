/* SPDX-License-Identifier: GPL-2.0-only */
/* What fuzz targets share: cutting an input up, and saying what must be. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);

/* What does not hold is a finding, as a crash is. */
#define must(cond)									\
	do {										\
		if (!(cond)) {								\
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);	\
			abort();							\
		}									\
	} while (0)

/* What is left of an input; when nothing is, zeros come. */
struct in {
	const uint8_t *p;
	size_t left;
};

static inline const uint8_t *in_bytes(struct in *in, size_t *len)
{
	const uint8_t *p = in->p;

	if (*len > in->left)
		*len = in->left;
	in->p += *len;
	in->left -= *len;
	return p;
}

static inline uint64_t in_num(struct in *in, size_t bytes)
{
	uint64_t v = 0;
	const uint8_t *p = in_bytes(in, &bytes);

	memcpy(&v, p, bytes);
	return v;
}

/* A copy that ends where its last byte does, so that a read past it is seen. */
static inline uint8_t *in_copy(struct in *in, size_t *len)
{
	const uint8_t *p = in_bytes(in, len);
	uint8_t *copy = malloc(*len ? *len : 1);

	must(copy);
	memcpy(copy, p, *len);
	return copy;
}

/* For mutators: the same seed, the same mutation. */
struct dice {
	uint64_t state;
};

static inline uint32_t dice(struct dice *d, uint32_t below)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 7;
	d->state ^= d->state << 17;
	return below ? (d->state >> 16) % below : 0;
}

static inline struct dice dice_new(unsigned int seed)
{
	return (struct dice){ 88172645463325252ULL ^ ((uint64_t)seed << 20 | seed) };
}

#endif
