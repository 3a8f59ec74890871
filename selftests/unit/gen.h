/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest for tests: frames with rows, packed by msgpack-c. */
#ifndef GEN_H
#define GEN_H

#include <endian.h>
#include <stdarg.h>
#include <string.h>
#include <msgpack.h>

#include "crc32c.h"
#include "tables.h"
#include "util.h"
#include "wire.h"

struct gen {
	uint8_t *buf;
	size_t len, room;
	uint32_t seq;
	uint64_t rows, bytes;
	msgpack_sbuffer payload;
	msgpack_packer pk;
};

static inline void gen_init(struct gen *g)
{
	memset(g, 0, sizeof(*g));
	msgpack_sbuffer_init(&g->payload);
	msgpack_packer_init(&g->pk, &g->payload, msgpack_sbuffer_write);
}

static inline void gen_deinit(struct gen *g)
{
	msgpack_sbuffer_destroy(&g->payload);
	free(g->buf);
}

static inline void gen_str(struct gen *g, const char *s)
{
	msgpack_pack_str(&g->pk, strlen(s));
	msgpack_pack_str_body(&g->pk, s, strlen(s));
}

/* A row; one letter per value: s string, u uint64_t, i int, b bool, n nil, a list of one address. */
static inline void gen_row(struct gen *g, const char *fmt, ...)
{
	va_list ap;

	msgpack_pack_array(&g->pk, strlen(fmt));
	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		switch (*fmt) {
		case 's':
			gen_str(g, va_arg(ap, const char *));
			break;
		case 'u':
			msgpack_pack_uint64(&g->pk, va_arg(ap, uint64_t));
			break;
		case 'i':
			msgpack_pack_int(&g->pk, va_arg(ap, int));
			break;
		case 'b':
			if (va_arg(ap, int))
				msgpack_pack_true(&g->pk);
			else
				msgpack_pack_false(&g->pk);
			break;
		case 'a':
			msgpack_pack_array(&g->pk, 1);
			msgpack_pack_uint64(&g->pk, va_arg(ap, uint64_t));
			break;
		default:
			msgpack_pack_nil(&g->pk);
		}
	}
	va_end(ap);
	g->rows++;
}

/* The rows packed so far become a frame. */
static inline void gen_frame(struct gen *g, uint8_t type, uint16_t table, uint32_t snapshot)
{
	struct ktd_frame_hdr h = {
		.magic = htole32(KTD_WIRE_MAGIC),
		.version = KTD_WIRE_VERSION,
		.type = type,
		.table = htole16(table),
		.len = htole32(g->payload.size),
		.seq = htole32(g->seq++),
		.snapshot = htole32(snapshot),
	};

	h.crc = htole32(crc32c(crc32c(0, &h, sizeof(h)), g->payload.data, g->payload.size));
	while (g->len + sizeof(h) + g->payload.size > g->room) {
		g->room = g->room ? g->room * 2 : 4096;
		g->buf = realloc(g->buf, g->room);
	}
	memcpy(g->buf + g->len, &h, sizeof(h));
	g->len += sizeof(h);
	if (g->payload.size)
		memcpy(g->buf + g->len, g->payload.data, g->payload.size);
	g->len += g->payload.size;
	g->bytes += g->payload.size;
	msgpack_sbuffer_clear(&g->payload);
}

/* Hello, a snapshot with a scheduler, a run queue, a queue and two tasks, end. */
static inline void gen_sample(struct gen *g)
{
	const uint64_t b = 1ull << 63;

	gen_row(g, "sssss", "module_version", "boot_id", "release", "hz", "pending");
	gen_row(g, "sssii", "0.1.0", "0123-boot", "7.3", 1000, 1);
	gen_frame(g, KTD_FRAME_HELLO, KTD_TBL_HELLO, 0);
	g->rows = g->bytes = 0;
	gen_row(g, "sssss", "trigger", "sched_kva", "exit_kind", "jiffies", "stack");
	gen_row(g, "suiua", "exit", (uint64_t)0x1000, 1026, (uint64_t)5000, (uint64_t)0xffff0010);
	gen_frame(g, KTD_FRAME_BEGIN, KTD_TBL_BEGIN, 1);
	gen_row(g, "ssss", "kva", "root", "name", "bypass_depth");
	gen_row(g, "ubsi", (uint64_t)0x1000, 1, "simple", -1);
	gen_frame(g, KTD_FRAME_ROWS, KTD_TBL_SCHED, 1);
	gen_row(g, "sssss", "cpu", "kva", "scx_nr_running", "curr_pid", "runnable_end");
	gen_row(g, "iuiis", 0, (uint64_t)0x2000, 2, 11, "ok");
	gen_frame(g, KTD_FRAME_ROWS, KTD_TBL_RQ, 1);
	gen_row(g, "ssssssss", "kva", "origin", "cpu", "node", "id", "nr", "seq", "end");
	gen_row(g, "usinuiis", (uint64_t)0x3000, "local", 0, b | 2, 1, 7, "ok");
	gen_frame(g, KTD_FRAME_ROWS, KTD_TBL_DSQ, 1);
	gen_row(g, "sss", "list", "owner_kva", "tasks");
	gen_row(g, "sua", "runnable", (uint64_t)0x2000, (uint64_t)0x4000);
	gen_row(g, "sua", "dsq", (uint64_t)0x3000, (uint64_t)0x5000);
	gen_frame(g, KTD_FRAME_ROWS, KTD_TBL_LIST, 1);
	gen_row(g, "ssssssss", "kva", "on_scx_tasks", "runnable_on", "pid", "comm", "sched_class",
		"scx_runnable_at", "state");
	gen_row(g, "ubiissui", (uint64_t)0x4000, 1, 0, 11, "one", "ext", (uint64_t)2000, 0);
	gen_row(g, "ubnisssi", (uint64_t)0x5000, 1, 12, "two", "fair", "wrong type", 2);
	gen_frame(g, KTD_FRAME_ROWS, KTD_TBL_TASK, 1);
	gen_row(g, "ss", "addr", "name");
	gen_row(g, "us", (uint64_t)0xffff0010, "scx_vexit+0x10/0x20");
	gen_frame(g, KTD_FRAME_ROWS, KTD_TBL_SYMBOL, 1);
	{
		uint64_t rows = g->rows, bytes = g->bytes;

		gen_row(g, "ss", "rows", "bytes");
		gen_row(g, "uu", rows, bytes);
	}
	gen_frame(g, KTD_FRAME_END, KTD_TBL_END, 1);
}

#endif
