// SPDX-License-Identifier: GPL-2.0-only
#include "offsets.h"

enum need { REQ, IFS, OPT, ONE1, ONE2 };

struct member {
	const char	*strct;
	const char	*path;
	u8		group;
	u8		need;
};

static const struct member members[KTD_NR_MEMBERS] = {
#define X(id, grp, s, p, n) \
	[KTD_M_##id] = { .strct = s, .path = p, .group = KTD_GRP_##grp, .need = n },
	KTD_MEMBERS(X)
#undef X
};

static const char *const groups[KTD_NR_GROUPS] = {
#define X(id, name) [KTD_GRP_##id] = name,
	KTD_GROUPS(X)
#undef X
};

const char *ktd_group_name(enum ktd_group group)
{
	return groups[group];
}

const char *ktd_member_struct(enum ktd_member_id id)
{
	return members[id].strct;
}

const char *ktd_member_path(enum ktd_member_id id)
{
	return members[id].path;
}

static const char *const structs[KTD_NR_STRUCTS] = {
#define X(id, name) [KTD_S_##id] = name,
	KTD_STRUCTS(X)
#undef X
};

#define NAMES_MAX	128	/* distinct structs of both tables */

/* Of its struct at least one member is there. */
static bool has_struct(const struct ktd_offsets *o, const char *strct)
{
	unsigned int i;

	for (i = 1; i < KTD_NR_MEMBERS; i++) {
		if (o->have[i] && !strcmp(members[i].strct, strct))
			return true;
	}
	return false;
}

/* A ONEn line is only missed when none of its kind is there. */
static bool member_missed(const struct ktd_offsets *o, unsigned int id)
{
	const struct member *m = &members[id];
	unsigned int i;

	if (m->need == OPT || o->have[id])
		return false;
	if (m->need == REQ)
		return true;
	if (m->need == IFS)
		return has_struct(o, m->strct);
	for (i = 1; i < KTD_NR_MEMBERS; i++) {
		if (members[i].group == m->group && members[i].need == m->need &&
		    o->have[i])
			return false;
	}
	return true;
}

static void resolve_events(struct ktd_offsets *o, const struct ktd_btf *btf, u32 id)
{
	const char *name;
	u32 i, off;

	for (i = 0; i < KTD_EVENTS_MAX; i++) {
		name = ktd_btf_member_at(btf, id, i, &off);
		if (!name)
			break;
		scnprintf(o->event[i].name, sizeof(o->event[i].name), "%s", name);
		o->event[i].off = off;
	}
	o->nr_events = i;
}

static unsigned int name_index(const char **names, unsigned int *nr, const char *name)
{
	unsigned int n;

	for (n = 0; n < *nr && strcmp(names[n], name); n++)
		;
	if (n == *nr && n < NAMES_MAX)
		names[(*nr)++] = name;
	return n;
}

void ktd_offsets_resolve(struct ktd_offsets *o, const struct ktd_btf *btf)
{
	const char *names[NAMES_MAX];
	u32 ids[NAMES_MAX];
	unsigned int nr = 0, i, n;

	memset(o, 0, sizeof(*o));
	for (i = 0; i < KTD_NR_STRUCTS; i++)
		name_index(names, &nr, structs[i]);
	for (i = 1; i < KTD_NR_MEMBERS; i++)
		name_index(names, &nr, members[i].strct);
	ktd_btf_find_structs(btf, names, ids, nr);

	for (i = 0; i < KTD_NR_STRUCTS; i++) {
		o->strct[i].id = ids[i];
		if (ids[i])
			o->strct[i].size = ktd_btf_struct_size(btf, ids[i]);
	}
	for (i = 1; i < KTD_NR_MEMBERS; i++) {
		n = name_index(names, &nr, members[i].strct);
		if (n < nr && ids[n])
			o->have[i] = !ktd_btf_member(btf, ids[n], members[i].path,
						     &o->place[i]);
	}
	for (i = 1; i < KTD_NR_MEMBERS; i++) {
		if (member_missed(o, i))
			o->group_missing[members[i].group] = true;
	}
	resolve_events(o, btf, o->strct[KTD_S_EVENT_STATS].id);
}

int ktd_group_missing(const struct ktd_offsets *o, enum ktd_group group,
		      char *buf, size_t size)
{
	const char *last = NULL;
	unsigned int i;
	int len = 0;

	if (size)
		buf[0] = '\0';
	for (i = 1; i < KTD_NR_MEMBERS; i++) {
		if (members[i].group != group || !member_missed(o, i))
			continue;
		if (!last || strcmp(last, members[i].strct))
			len += scnprintf(buf + len, size - len, "%sstruct %s: ",
					 last ? "; " : "", members[i].strct);
		else
			len += scnprintf(buf + len, size - len, ", ");
		len += scnprintf(buf + len, size - len, "%s", members[i].path);
		last = members[i].strct;
	}
	return len;
}
