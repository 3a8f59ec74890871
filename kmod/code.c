// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions of BPF programs as the verifier left them: what it was told to be a map
 * is an address now, calls of the kernel are relative to __bpf_call_base, accesses to
 * arenas have a mode of their own. A program with subprograms keeps all of them behind
 * each other, as it does for those who ask for a dump (bpf_jit_subprogs()). The host
 * finds out from them which numbers are pointers.
 */
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/hash.h>
#include <linux/idr.h>

#include "content.h"

#define PROGS_MAX	65536
#define INSNS_MAX	(1u << 20)	/* the kernel takes no more */
#define CODE_COST	256		/* bytes of a CODE row, without func_info */
#define TARGETS_BITS	11
#define TARGETS_MAX	(1u << (TARGETS_BITS - 1))

static const struct ktd_table code_table = { .id = KTD_TBL_CODE, .nr = KTD_CODE_NR_COLS };
static const struct ktd_table insn_table = { .id = KTD_TBL_INSN, .nr = KTD_INSN_NR_COLS };

/* Kernel functions that programs call, to be named later. One leader, one capture. */
static struct {
	u64	addr[TARGETS_MAX];
	u32	nr;
	u16	slot[1 << TARGETS_BITS];	/* index + 1 into addr */
} targets;

static void note_target(u64 addr)
{
	u32 at = hash_long(addr, TARGETS_BITS);

	for (;; at++) {
		u16 *slot = &targets.slot[at % ARRAY_SIZE(targets.slot)];

		if (!*slot) {
			if (targets.nr == TARGETS_MAX)
				return;
			targets.addr[targets.nr++] = addr;
			*slot = targets.nr;
			return;
		}
		if (targets.addr[*slot - 1] == addr)
			return;
	}
}

static void note_calls(const u8 *data, size_t len)
{
	struct bpf_insn insn;
	size_t pos;

	for (pos = 0; pos + sizeof(insn) <= len; pos += sizeof(insn)) {
		memcpy(&insn, data + pos, sizeof(insn));
		if (insn.code == (BPF_JMP | BPF_CALL) && insn.src_reg != BPF_PSEUDO_CALL)
			note_target((unsigned long)__bpf_call_base + insn.imm);
	}
}

struct code {
	unsigned long	prog;
	u32		len, taken;	/* instructions */
	const char	*cut, *error;
	u64		limit;
};

static void cut(struct code *k, const char *what, u64 limit)
{
	k->cut = what;
	k->limit = limit;
}

static void take_insns(struct ktd_capture *c, struct code *k, size_t limit)
{
	unsigned long from = ktd_at(k->prog, KTD_M_PROG_INSNSI);
	u64 len = (u64)k->len * sizeof(struct bpf_insn), pos = 0;

	while (pos < len) {
		const u64 nums[] = { k->prog, pos };
		size_t room, n;
		u8 *dst;

		if (ktd_expired(c))
			return cut(k, "deadline", 0);
		if (limit < pos + sizeof(struct bpf_insn))
			return cut(k, "bytes", limit);
		dst = ktd_bin_begin(&c->sink, KTD_TBL_INSN, nums, ARRAY_SIZE(nums), &room);
		if (!dst)
			return cut(k, "full", 0);
		n = round_down(min3(len - pos, (u64)room, (u64)limit - pos),
			       sizeof(struct bpf_insn));
		if (!ktd_read(dst, from + pos, n)) {
			k->error = "instructions unreadable";
			return;
		}
		note_calls(dst, n);
		ktd_bin_end(&c->sink, n);
		pos += n;
		k->taken = pos / sizeof(struct bpf_insn);
	}
}

static u32 read_func_info(struct ktd_capture *c, unsigned long aux)
{
	unsigned long from = ktd_get(aux, KTD_M_AUX_FUNC_INFO);
	u32 nr = ktd_get(aux, KTD_M_AUX_FUNC_INFO_CNT), i;

	nr = min_t(u32, nr, ARRAY_SIZE(c->scratch) / 2);
	for (i = 0; from && i < nr; i++) {
		struct bpf_func_info info;

		if (!ktd_read(&info, from + i * sizeof(info), sizeof(info)))
			break;
		c->scratch[2 * i] = info.insn_off;
		c->scratch[2 * i + 1] = info.type_id;
	}
	return 2 * i;
}

static void take_prog(struct ktd_capture *c, unsigned long prog, size_t limit)
{
	unsigned long aux = ktd_get(prog, KTD_M_PROG_AUX), btf = ktd_get(aux, KTD_M_AUX_BTF);
	struct code k = { .prog = prog, .len = ktd_get(prog, KTD_M_PROG_LEN) };
	struct ktd_row *r;

	if (k.len > INSNS_MAX)
		k.error = "more instructions than the kernel allows";
	else
		take_insns(c, &k, limit);
	r = ktd_row_begin(&c->sink, &code_table);
	ktd_set_u(r, KTD_CODE_PROG_KVA, prog);
	ktd_set_u(r, KTD_CODE_BTF_KVA, btf ? ktd_btf_kva(btf) : 0);
	ktd_set_u(r, KTD_CODE_CALL_BASE, (unsigned long)__bpf_call_base);
	ktd_set_u(r, KTD_CODE_INSNS, k.len);
	ktd_set_u(r, KTD_CODE_TAKEN, k.taken);
	if (k.cut) {
		ktd_set_str(r, KTD_CODE_CUT, k.cut);
		ktd_set_u(r, KTD_CODE_LIMIT, k.limit);
	}
	if (k.error)
		ktd_set_str(r, KTD_CODE_ERROR, k.error);
	ktd_set_arr(r, KTD_CODE_FUNC_INFO, c->scratch, read_func_info(c, aux));
	ktd_row_end(&c->sink, &code_table);
}

/*
 * Schedulers' programs first; each may take half of what is left, so that a giant does
 * not leave nothing to the others. idr_get_next() takes no lock (lib/idr.c).
 */
void ktd_cap_code(struct ktd_capture *c)
{
	struct idr *idr = (struct idr *)ktd_sym[KTD_SYM_PROG_IDR];
	size_t start = c->sink.pos, all, used;
	int pass, id, n;
	void *prog;

	if (!idr || ktd_off.group_missing[KTD_GRP_PROG] || !ktd_have(KTD_M_PROG_LEN) ||
	    !ktd_have(KTD_M_PROG_INSNSI)) {
		ktd_missing(c, KTD_TBL_CODE, idr ? "offsets missing: see the offset groups" :
						   "symbol prog_idr not found");
		return;
	}
	/* contents of maps are worth more */
	all = min_t(size_t, (size_t)ktd_max_code_kib << 10, (c->sink.end - start) / 8);
	targets.nr = 0;
	memset(targets.slot, 0, sizeof(targets.slot));
	ktd_table_begin(&c->sink, &insn_table);
	ktd_table_begin(&c->sink, &code_table);
	for (pass = 0; pass < 2; pass++) {
		for (id = 0, n = 0; n < PROGS_MAX && (prog = idr_get_next(idr, &id)); id++, n++) {
			u32 type = ktd_get((unsigned long)prog, KTD_M_PROG_TYPE);

			if ((type == BPF_PROG_TYPE_STRUCT_OPS) != !pass)
				continue;
			used = c->sink.pos - start + CODE_COST;
			if (ktd_expired(c) || c->sink.full) {
				ktd_missing(c, KTD_TBL_CODE, "not all programs were taken (deadline or buffer)");
				goto out;
			}
			take_prog(c, (unsigned long)prog, used < all ? (all - used) / 2 : 0);
		}
	}
out:
	ktd_rec_private(&c->sink, KTD_PRIVATE_PCS, targets.addr, targets.nr * sizeof(u64));
}
