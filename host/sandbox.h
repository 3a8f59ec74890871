/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this process gives up for good before it looks at what a guest has sent: files by
 * name other than those it was told of (Landlock), system calls that it has no use for
 * (seccomp), privileges.
 */
#ifndef KTC_SANDBOX_H
#define KTC_SANDBOX_H

#include "util.h"

struct sandbox {
	int rules;		/* -1: this kernel has no Landlock, or not any more */
	uint64_t handled;	/* rights that are asked for from now on */
};

void sandbox_init(struct sandbox *b);
void sandbox_deinit(struct sandbox *b);
#define _cleanup_sandbox_ _cleanup_(sandbox_deinit)

/* Files below this directory: to be read, made, replaced and removed. */
void sandbox_allow_dir(struct sandbox *b, const char *dir);
/*
 * A file that is made at this path with others beside it (NAME.part): its directory, or,
 * where a device or a pipe is, that.
 */
void sandbox_allow_file(struct sandbox *b, const char *path);
/* A file that is there: to be written to, or only read. */
void sandbox_allow_write(struct sandbox *b, const char *path);
void sandbox_allow_read(struct sandbox *b, const char *path);
/* A file in the directory of this path may be removed. */
void sandbox_allow_unlink(struct sandbox *b, const char *path);

/*
 * From here on. What the kernel does not have is left out, with a line for --verbose;
 * -errno when something else stands in the way.
 */
int sandbox_enter(struct sandbox *b);
/* For a view of a report: any file may be read, only this one be made; NULL: none. */
void sandbox_enter_view(const char *output);

#endif
