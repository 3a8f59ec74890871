// SPDX-License-Identifier: GPL-2.0-only
/*
 * Early snapshots between their own END and that of their exit. The guest forgets what
 * is acknowledged, so the report of its own is on disk before; what stays in memory is
 * only for the dual report.
 */
#include <string.h>

#include "collector.h"
#include "log.h"

#define MAX_EARLIES_PER_GUEST 4	/* so that nobody displaces those of others */

static bool same_guest(const struct snapshot *s, const char *origin, const char *boot_id)
{
	return !strcmp(s->origin, origin) && !strcmp(s->boot_id, boot_id);
}

static void alone(struct collector *c, struct snapshot *s)
{
	if (!s->joined)
		output_early_alone(c, s);
	early_drop(c, s);
}

static unsigned int nr_of_guest(const struct collector *c, const char *origin,
				struct snapshot **oldest_ret)
{
	unsigned int nr = 0;

	for (struct snapshot *s = c->earlies; s; s = s->next) {
		if (strcmp(s->origin, origin))
			continue;
		if (!nr++)
			*oldest_ret = s;
	}
	return nr;
}

void early_hold(struct collector *c, struct snapshot *s)
{
	struct snapshot **p = &c->earlies, *oldest = NULL;

	if (nr_of_guest(c, s->origin, &oldest) == MAX_EARLIES_PER_GUEST)
		alone(c, oldest);
	else if (c->nr_earlies == MAX_EARLIES)
		alone(c, c->earlies);
	while (*p)
		p = &(*p)->next;
	s->deadline_ms = UINT64_MAX;
	s->next = NULL;
	*p = s;
	c->nr_earlies++;
}

struct snapshot *early_find(const struct collector *c, const struct snapshot *exit)
{
	uint32_t number = snapshot_is(exit, "exit") ? snapshot_early(exit) : 0;
	struct snapshot *s = number ? c->earlies : NULL;

	while (s && (s->number != number || !same_guest(s, exit->origin, exit->boot_id)))
		s = s->next;
	return s;
}

void early_drop(struct collector *c, struct snapshot *s)
{
	struct snapshot **p = &c->earlies;

	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	c->nr_earlies--;
	snapshot_destroy(s);
}

void early_guest(struct collector *c, const char *origin, const char *boot_id, bool there)
{
	for (struct snapshot *s = c->earlies; s; s = s->next)
		if (same_guest(s, origin, boot_id) && !s->joined)
			s->deadline_ms = there ? UINT64_MAX :
					 now_ms() + (uint64_t)(c->opts->grace * 1000);
}

void early_expire(struct collector *c, uint64_t now, bool all)
{
	struct snapshot *s = c->earlies, *next;

	for (; s; s = next) {
		next = s->next;
		if (all || s->deadline_ms <= now)
			alone(c, s);
	}
}

int64_t early_next_ms(const struct collector *c, uint64_t now)
{
	uint64_t first = UINT64_MAX;

	for (struct snapshot *s = c->earlies; s; s = s->next)
		if (s->deadline_ms < first)
			first = s->deadline_ms;
	if (first == UINT64_MAX)
		return -1;
	return first > now ? (int64_t)(first - now) : 0;
}
