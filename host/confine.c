// SPDX-License-Identifier: GPL-2.0-only
/* What a run of ktcollect still needs once it listens; the rest is given up. */
#include <string.h>

#include "btf_cache.h"
#include "collector.h"
#include "log.h"
#include "sandbox.h"

/* The summary's directory also has files by which a workflow can be steered. */
static void allow_summary(struct sandbox *b)
{
	const char *path = getenv("GITHUB_STEP_SUMMARY");

	if (!path || !*path)
		return;
	if (access(path, F_OK))
		sandbox_allow_file(b, path);
	else
		sandbox_allow_write(b, path);
}

int collector_confine(const struct collector *c)
{
	_cleanup_sandbox_ struct sandbox b = { .rules = -1 };
	const struct options *o = c->opts;
	const char *cache;
	int err;

	if (o->no_sandbox)
		return 0;
	cache = btf_cache_prepare(c->btf_cache);
	sandbox_init(&b);
	/* The same but for a device. */
	sandbox_allow_dir(&b, o->spool_dir);
	if (!o->output_is_dir)
		sandbox_allow_file(&b, o->output);
	if (cache)
		sandbox_allow_dir(&b, cache);
	if (o->record)
		sandbox_allow_file(&b, o->record);
	if (o->junit)
		sandbox_allow_file(&b, o->junit);
	allow_summary(&b);
	for (unsigned int i = 0; i < o->nr_replay; i++)
		sandbox_allow_read(&b, o->replay[i]);
	for (unsigned int i = 0; i < o->nr_uds; i++)
		sandbox_allow_unlink(&b, o->uds[i]);
	if (o->control)
		sandbox_allow_unlink(&b, o->control);
	err = sandbox_enter(&b);
	if (err)
		log_err("cannot give up privileges: %s (--no-sandbox goes on without)", strerror(-err));
	return err;
}
