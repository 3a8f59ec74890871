/* SPDX-License-Identifier: GPL-2.0-only */
/* Mutations of streams that know frames and msgpack, for the targets that read streams. */
#ifndef STREAM_H
#define STREAM_H

#include "fuzz.h"

/*
 * One mutation of an input whose stream begins behind prefix bytes. Numbers and checksums
 * of frames mostly become right again.
 */
size_t stream_mutate(uint8_t *data, size_t size, size_t max, size_t prefix, unsigned int seed);

/*
 * Gives each frame the number that is due and a right checksum. A hello with number 0
 * still begins a stream of its own, if several stand one behind the other.
 */
void stream_repair(uint8_t *stream, size_t size);

#endif
