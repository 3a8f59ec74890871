// SPDX-License-Identifier: GPL-2.0-only
/*
 * msgpack-c allocates what an array header claims before it has seen one
 * element, so a frame of 28 KiB could ask for gigabytes. This runs the library's
 * own parser once with call-backs that build nothing and only count.
 */
#include <errno.h>
#include <stdint.h>

#include "mpcheck.h"
#include "util.h"

struct check_user {
	size_t budget;		/* elements that may still be announced */
	size_t objects;
};

static inline int leaf(struct check_user *u, int *o)
{
	u->objects++;
	*o = 0;
	return 0;
}

static inline int check_root(struct check_user *u)
{
	(void)u;
	return 0;
}

static inline int check_nil(struct check_user *u, int *o)
{
	return leaf(u, o);
}

static inline int check_true(struct check_user *u, int *o)
{
	return leaf(u, o);
}

static inline int check_false(struct check_user *u, int *o)
{
	return leaf(u, o);
}

#define CHECK_VALUE(name, type)							\
	static inline int check##name(struct check_user *u, type v, int *o)	\
	{									\
		(void)v;							\
		return leaf(u, o);						\
	}
CHECK_VALUE(_uint8, uint8_t)
CHECK_VALUE(_uint16, uint16_t)
CHECK_VALUE(_uint32, uint32_t)
CHECK_VALUE(_uint64, uint64_t)
CHECK_VALUE(_int8, int8_t)
CHECK_VALUE(_int16, int16_t)
CHECK_VALUE(_int32, int32_t)
CHECK_VALUE(_int64, int64_t)
CHECK_VALUE(_float, float)
CHECK_VALUE(_double, double)

#define CHECK_BYTES(name)							\
	static inline int check##name(struct check_user *u, const char *b,	\
				      const char *p, unsigned int l, int *o)	\
	{									\
		(void)b, (void)p, (void)l;					\
		return leaf(u, o);						\
	}
CHECK_BYTES(_str)
CHECK_BYTES(_bin)
CHECK_BYTES(_ext)

static inline int check_array(struct check_user *u, unsigned int n, int *o)
{
	if (n > u->budget)
		return -1;
	u->budget -= n;
	u->objects++;
	*o = 1;
	return 0;
}

static inline int check_array_item(struct check_user *u, int *c, int o)
{
	(void)u, (void)c, (void)o;
	return 0;
}

/* The contract has no maps. */
static inline int check_map(struct check_user *u, unsigned int n, int *o)
{
	(void)u, (void)n, (void)o;
	return -1;
}

static inline int check_map_item(struct check_user *u, int *c, int k, int v)
{
	(void)u, (void)c, (void)k, (void)v;
	return -1;
}

#define MSGPACK_EMBED_STACK_SIZE MPCHECK_MAX_DEPTH
#define msgpack_unpack_struct(name)	struct check_parser ## name
#define msgpack_unpack_func(ret, name)	static inline ret check_parser ## name
#define msgpack_unpack_callback(name)	check ## name
#define msgpack_unpack_object		int
#define msgpack_unpack_user		struct check_user
struct check_parser_context;
#define MSGPACK_UNPACK_PARSE_ERROR	(-1)
#define MSGPACK_UNPACK_NOMEM_ERROR	(-2)
#include <msgpack/unpack_define.h>
#include <msgpack/unpack_template.h>

int mpcheck(const void *data, size_t len, size_t max_row, size_t *objects_ret,
	    const char **why_ret)
{
	size_t off = 0, objects = 0;

	while (off < len) {
		struct check_parser_context ctx;
		size_t start = off;
		int ret;

		ctx.user = (struct check_user){ .budget = len - off };
		check_parser_init(&ctx);
		ret = check_parser_execute(&ctx, data, len, &off);
		if (ret <= 0) {
			*why_ret = ret ? "a row is not well-formed" : "a row is cut short";
			return -EBADMSG;
		}
		if (!check_parser_data(&ctx)) {
			*why_ret = "a row is not an array";
			return -EBADMSG;
		}
		if (off - start > max_row) {
			*why_ret = "a row is too long";
			return -EMSGSIZE;
		}
		objects += ctx.user.objects;
	}
	*objects_ret = objects;
	return 0;
}
