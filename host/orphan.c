// SPDX-License-Identifier: GPL-2.0-only
/* Snapshots whose connection broke: their guest may come back and send again. */
#include <errno.h>
#include <string.h>

#include "collector.h"
#include "log.h"

static bool same_guest(const struct snapshot *s, const char *origin, const char *boot_id)
{
	return !strcmp(s->origin, origin) && !strcmp(s->boot_id, boot_id);
}

/* An announced snapshot (number 0) stands for any of that guest. */
void orphan_supersede(struct collector *c, const char *origin, const char *boot_id,
		      uint32_t number)
{
	struct snapshot **p = &c->orphans;

	while (*p) {
		struct snapshot *s = *p;

		if (same_guest(s, origin, boot_id) && (s->number == number || !s->number)) {
			*p = s->next;
			c->nr_orphans--;
			snapshot_destroy(s);
		} else {
			p = &s->next;
		}
	}
}

static void give_up(struct collector *c, struct snapshot *s)
{
	c->nr_orphans--;
	if (!output_write(c, s))
		c->once_done = true;
	snapshot_destroy(s);
}

void orphan_add(struct collector *c, struct snapshot *s)
{
	struct snapshot **p = &c->orphans;

	orphan_supersede(c, s->origin, s->boot_id, s->number);
	if (c->nr_orphans == MAX_ORPHANS) {
		struct snapshot *oldest = c->orphans;

		c->orphans = oldest->next;
		give_up(c, oldest);
	}
	s->deadline_ms = now_ms() + (uint64_t)(c->opts->grace * 1000);
	while (*p)
		p = &(*p)->next;
	s->next = NULL;
	*p = s;
	c->nr_orphans++;
	log_info("%s: snapshot %u is not complete (%s)", s->origin, s->number, s->why);
}

void orphan_expire(struct collector *c, uint64_t now, bool all)
{
	while (c->orphans && (all || c->orphans->deadline_ms <= now)) {
		struct snapshot *s = c->orphans;

		c->orphans = s->next;
		give_up(c, s);
	}
}

int64_t orphan_next_ms(const struct collector *c, uint64_t now)
{
	if (!c->orphans)
		return -1;
	return c->orphans->deadline_ms > now ? (int64_t)(c->orphans->deadline_ms - now) : 0;
}
