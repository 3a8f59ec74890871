/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --sched-obj: a scheduler's object file, or an executable that has such files in its
 * section .bpf.objs. What their instructions tell about numbers that are pointers serves
 * for guests that did not send theirs.
 */
#ifndef KTC_SCHED_OBJ_H
#define KTC_SCHED_OBJ_H

#include "cast.h"

struct sched_obj;

/* NULL, with the reason on standard error. */
struct sched_obj *sched_obj_open(const char *path);
void sched_obj_close(struct sched_obj *o);

/*
 * What is known about the types of this BTF, NULL when it is not that of one of the
 * objects. Ids mean the same, addresses of types do not: see casts_adopt().
 */
const struct casts *sched_obj_match(const struct sched_obj *o, const struct btf *btf);

/* What was found, for -v. */
void sched_obj_log(const struct sched_obj *o, const char *path);

#endif
