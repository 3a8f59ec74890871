// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel does with an object's instructions when it loads them is done here as
 * far as the analysis needs it: each program with all of .text behind it, calls and
 * references to maps, variables and functions by the relocations.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <bpf/libbpf.h>
#include <gelf.h>

#include "log.h"
#include "sched_obj.h"

#define OBJS_SECTION	".bpf.objs"
#define MAX_FILE	(1ULL << 30)
#define MAX_OBJS	64
#define MAX_SECTIONS	4096
#define MAX_MAPS	4096
#define MAX_PROGS	4096
#define PSEUDO_FUNC	4

#ifndef R_BPF_64_64
#define R_BPF_64_64 1
#endif

struct section {
	const char *name;
	const struct bpf_insn *insns;	/* of functions; NULL: something else */
	size_t nr;
	Elf_Scn *rel;
	uint32_t map;			/* + 1; of variables */
};

struct ref {				/* what an instruction refers to */
	size_t pc;			/* in the program that is being made */
	bool map, value;
	uint32_t index;
	uint64_t off;
	const char *name;		/* of a kernel function */
};

struct func_sym {
	uint32_t sec, insn, nr;		/* of instructions */
	const char *name;
	bool global;
	uint32_t id;			/* BTF_KIND_FUNC */
	uint32_t proto;			/* of the struct_ops member that it is for */
};

struct program {
	struct bpf_insn *insns;
	struct cast_func *funcs;
	struct ref *refs;
	size_t nr_refs;
};

struct object {
	struct bpf_object *bpf;
	const struct btf *btf;
	Elf *elf;
	struct section *secs;
	size_t nr_secs;
	uint32_t text;			/* 0 none */
	Elf_Data *syms;
	size_t nr_syms, strs;
	struct func_sym *funcs;
	size_t nr_funcs;
	struct cast_map maps[MAX_MAPS];
	char *map_names[MAX_MAPS];	/* those in .maps; in libbpf's hands */
	size_t nr_maps;
	struct program *progs;
	size_t nr_progs;
	struct casts *casts;
};

struct sched_obj {
	char *data;
	struct object *objs[MAX_OBJS];
	size_t nr;
};

/* --------------------------------------------------------------------- helper names */

static const char *const helpers[] = {
#define NAME(fn, nr, ...) [nr] = "bpf_" #fn,
	___BPF_FUNC_MAPPER(NAME)
#undef NAME
};

static bool callee(void *ctx, size_t pc, const struct bpf_insn *in, struct cast_name *ret)
{
	const struct program *p = ctx;

	ret->s = NULL;
	if (in->src_reg == BPF_PSEUDO_KFUNC_CALL) {
		for (size_t i = 0; i < p->nr_refs; i++)
			if (p->refs[i].pc == pc)
				ret->s = p->refs[i].name;
	} else if (in->imm > 0 && (size_t)in->imm < ARRAY_SIZE(helpers)) {
		ret->s = helpers[in->imm];
	}
	ret->len = ret->s ? strlen(ret->s) : 0;
	return ret->s;
}

static bool place(void *ctx, size_t pc, uint64_t value, struct cast_place *ret)
{
	const struct program *p = ctx;

	(void)value;
	for (size_t i = 0; i < p->nr_refs; i++) {
		if (p->refs[i].pc != pc || !p->refs[i].map)
			continue;
		*ret = (struct cast_place){ p->refs[i].index, p->refs[i].value, p->refs[i].off };
		return true;
	}
	return false;
}

/* ---------------------------------------------------------------------------- parts */

static const char *sym_at(const struct object *o, size_t i, GElf_Sym *sym)
{
	return gelf_getsym(o->syms, i, sym) ? elf_strptr(o->elf, o->strs, sym->st_name) : NULL;
}

static int load_sections(struct object *o)
{
	size_t shstrs, nr;
	GElf_Shdr sh;

	if (elf_getshdrnum(o->elf, &nr) || elf_getshdrstrndx(o->elf, &shstrs) || nr > MAX_SECTIONS)
		return -EINVAL;
	o->secs = calloc(nr + 1, sizeof(*o->secs));
	if (!o->secs)
		return -ENOMEM;
	o->nr_secs = nr;
	for (size_t i = 1; i < nr; i++) {
		Elf_Scn *scn = elf_getscn(o->elf, i);
		Elf_Data *data = scn && gelf_getshdr(scn, &sh) ? elf_getdata(scn, NULL) : NULL;
		struct section *s = &o->secs[i];

		if (!scn || !data)
			continue;
		s->name = elf_strptr(o->elf, shstrs, sh.sh_name);
		if (sh.sh_type == SHT_SYMTAB) {
			o->syms = data;
			o->nr_syms = data->d_size / sizeof(Elf64_Sym);
			o->strs = sh.sh_link;
		} else if (sh.sh_type == SHT_REL && sh.sh_info < nr) {
			o->secs[sh.sh_info].rel = scn;
		} else if (sh.sh_type == SHT_PROGBITS && (sh.sh_flags & SHF_EXECINSTR) &&
			   data->d_buf && (uintptr_t)data->d_buf % 8 == 0) {
			s->insns = data->d_buf;
			s->nr = data->d_size / sizeof(*s->insns);
			if (s->name && !strcmp(s->name, ".text"))
				o->text = i;
		}
	}
	return o->syms ? 0 : -EINVAL;
}

static int load_maps(struct object *o)
{
	struct bpf_map *m;

	bpf_object__for_each_map(m, o->bpf) {
		struct cast_map *c = &o->maps[o->nr_maps];

		if (o->nr_maps == MAX_MAPS)
			return -E2BIG;
		o->map_names[o->nr_maps++] = (char *)bpf_map__name(m);
		c->btf = o->btf;
		c->value_type = bpf_map__btf_value_type_id(m);
		c->type = bpf_map__type(m);
		c->value_size = bpf_map__value_size(m);
	}
	/* Sections of variables: the analysis treats each as the value of a map. */
	for (size_t i = 1; i < o->nr_secs; i++) {
		struct section *s = &o->secs[i];
		int id = s->name && !s->insns ?
			 btf__find_by_name_kind(o->btf, s->name, BTF_KIND_DATASEC) : 0;

		if (id <= 0 || !strcmp(s->name, ".maps"))
			continue;
		if (o->nr_maps == MAX_MAPS)
			return -E2BIG;
		o->map_names[o->nr_maps] = NULL;
		o->maps[o->nr_maps] = (struct cast_map){
			.btf = o->btf, .value_type = id, .type = BPF_MAP_TYPE_ARRAY,
			.value_size = btf__type_by_id(o->btf, id)->size,
		};
		s->map = ++o->nr_maps;
	}
	return 0;
}

static int load_funcs(struct object *o)
{
	GElf_Sym sym;

	o->funcs = calloc(o->nr_syms + 1, sizeof(*o->funcs));
	if (!o->funcs)
		return -ENOMEM;
	for (size_t i = 0; i < o->nr_syms; i++) {
		const char *name = sym_at(o, i, &sym);
		struct func_sym *f = &o->funcs[o->nr_funcs];
		int id;

		if (!name || GELF_ST_TYPE(sym.st_info) != STT_FUNC || sym.st_shndx >= o->nr_secs ||
		    !o->secs[sym.st_shndx].insns || sym.st_value % 8 || !sym.st_size ||
		    sym.st_value / 8 >= o->secs[sym.st_shndx].nr ||
		    sym.st_size / 8 > o->secs[sym.st_shndx].nr - sym.st_value / 8)
			continue;
		id = btf__find_by_name_kind(o->btf, name, BTF_KIND_FUNC);
		*f = (struct func_sym){
			.sec = sym.st_shndx, .insn = sym.st_value / 8, .nr = sym.st_size / 8,
			.name = name, .id = id > 0 ? id : 0,
		};
		o->nr_funcs++;
	}
	return 0;
}

static const struct func_sym *func_at(const struct object *o, uint32_t sec, uint64_t insn)
{
	for (size_t i = 0; i < o->nr_funcs; i++)
		if (o->funcs[i].sec == sec && o->funcs[i].insn == insn)
			return &o->funcs[i];
	return NULL;
}

/* The function type of the member at off of a struct_ops variable, 0 none. */
static uint32_t ops_member(const struct btf *btf, uint32_t datasec, uint64_t off)
{
	const struct btf_type *t = btf__type_by_id(btf, datasec), *p;
	const struct btf_var_secinfo *v = btf_var_secinfos(t);

	for (unsigned int i = 0; i < btf_vlen(t); i++) {
		const struct btf_type *var = btf__type_by_id(btf, v[i].type), *ops;

		if (v[i].offset > off || off - v[i].offset >= v[i].size || !btf_is_var(var))
			continue;
		ops = btf__type_by_id(btf, btf__resolve_type(btf, var->type));
		for (unsigned int m = 0; ops && btf_is_struct(ops) && m < btf_vlen(ops); m++) {
			if (btf_member_bit_offset(ops, m) != (off - v[i].offset) * 8)
				continue;
			p = btf__type_by_id(btf, btf_members(ops)[m].type);
			if (!p || !btf_is_ptr(p))
				return 0;
			off = p->type;
			p = btf__type_by_id(btf, off);
			return p && btf_is_func_proto(p) ? off : 0;
		}
	}
	return 0;
}

/* What struct_ops variables say about the functions in them. */
static void load_ops(struct object *o)
{
	for (size_t s = 1; s < o->nr_secs; s++) {
		Elf_Data *data = o->secs[s].rel ? elf_getdata(o->secs[s].rel, NULL) : NULL;
		uint32_t datasec;
		GElf_Rel rel;
		GElf_Sym sym;

		if (!data || !o->secs[s].name || strncmp(o->secs[s].name, ".struct_ops", 11) ||
		    !o->secs[s].map)
			continue;
		datasec = o->maps[o->secs[s].map - 1].value_type;
		for (int i = 0; gelf_getrel(data, i, &rel); i++) {
			struct func_sym *f;

			if (!sym_at(o, GELF_R_SYM(rel.r_info), &sym))
				continue;
			f = (struct func_sym *)func_at(o, sym.st_shndx, sym.st_value / 8);
			if (f)
				f->proto = ops_member(o->btf, datasec, rel.r_offset);
		}
	}
}

/* -------------------------------------------------------------------------- programs */

/* Instruction pc of the program that is made stands at section sec, instruction at. */
static void relocate(struct object *o, struct program *p, size_t pc, size_t base_text,
		     const GElf_Rel *rel)
{
	struct bpf_insn *in = &p->insns[pc];
	struct ref *r = &p->refs[p->nr_refs];
	GElf_Sym sym;
	const char *name = sym_at(o, GELF_R_SYM(rel->r_info), &sym);
	bool local = name && sym.st_shndx && sym.st_shndx < o->nr_secs;

	*r = (struct ref){ .pc = pc };
	if (in->code == (BPF_JMP | BPF_CALL)) {
		int64_t to = (int64_t)sym.st_value / 8 + in->imm + 1;

		if (local && sym.st_shndx == o->text) {
			in->imm = (int64_t)base_text + to - (int64_t)pc - 1;
		} else {
			in->src_reg = BPF_PSEUDO_KFUNC_CALL;
			r->name = local ? NULL : name;
			p->nr_refs += r->name != NULL;
		}
		return;
	}
	if (in->code != (BPF_LD | BPF_IMM | BPF_DW) || GELF_R_TYPE(rel->r_info) != R_BPF_64_64 ||
	    !local)
		return;
	if (sym.st_shndx == o->text) {
		in->src_reg = PSEUDO_FUNC;
		in->imm = (int64_t)base_text + ((int64_t)sym.st_value + in->imm) / 8 -
			  (int64_t)pc - 1;
		return;
	}
	for (size_t m = 0; m < o->nr_maps; m++) {
		if (o->map_names[m] && !strcmp(o->map_names[m], name)) {
			r->map = true;
			r->index = m;
		}
	}
	if (o->secs[sym.st_shndx].map) {
		r->map = r->value = true;
		r->index = o->secs[sym.st_shndx].map - 1;
		r->off = sym.st_value + (uint32_t)in->imm;
	}
	p->nr_refs += r->map;
}

static void relocate_part(struct object *o, struct program *p, uint32_t sec, size_t first, size_t nr,
			  size_t base, size_t base_text)
{
	Elf_Data *data = o->secs[sec].rel ? elf_getdata(o->secs[sec].rel, NULL) : NULL;
	GElf_Rel rel;

	for (int i = 0; data && gelf_getrel(data, i, &rel); i++) {
		uint64_t insn = rel.r_offset / 8;

		if (rel.r_offset % 8 == 0 && insn >= first && insn - first < nr)
			relocate(o, p, base + insn - first, base_text, &rel);
	}
}

static size_t nr_relocs(const struct object *o, uint32_t sec)
{
	Elf_Data *data = o->secs[sec].rel ? elf_getdata(o->secs[sec].rel, NULL) : NULL;

	return data ? data->d_size / sizeof(Elf64_Rel) : 0;
}

static int by_insn(const void *a, const void *b)
{
	const struct cast_func *x = a, *y = b;

	return (x->insn > y->insn) - (x->insn < y->insn);
}

static int add_prog(struct object *o, const struct func_sym *f)
{
	struct program *p = &o->progs[o->nr_progs];
	const struct section *text = o->text ? &o->secs[o->text] : NULL;
	size_t nr_text = text ? text->nr : 0, n = 0;
	struct cast_prog prog = {
		.btf = o->btf, .maps = o->maps, .nr_maps = o->nr_maps, .place = place,
		.callee = callee, .ctx = p, .ctx_btf = o->btf, .ctx_proto = f->proto,
	};
	int err;

	p->insns = calloc(f->nr + nr_text, sizeof(*p->insns));
	p->funcs = calloc(o->nr_funcs + 1, sizeof(*p->funcs));
	p->refs = calloc(nr_relocs(o, f->sec) + nr_relocs(o, o->text) + 1, sizeof(*p->refs));
	o->nr_progs++;
	if (!p->insns || !p->funcs || !p->refs)
		return -ENOMEM;
	memcpy(p->insns, o->secs[f->sec].insns + f->insn, f->nr * sizeof(*p->insns));
	if (text)
		memcpy(p->insns + f->nr, text->insns, nr_text * sizeof(*p->insns));
	relocate_part(o, p, f->sec, f->insn, f->nr, 0, f->nr);
	if (text)
		relocate_part(o, p, o->text, 0, nr_text, f->nr, f->nr);
	p->funcs[n++] = (struct cast_func){ 0, f->id };
	for (size_t i = 0; text && i < o->nr_funcs; i++)
		if (o->funcs[i].sec == o->text)
			p->funcs[n++] = (struct cast_func){ f->nr + o->funcs[i].insn, o->funcs[i].id };
	qsort(p->funcs, n, sizeof(*p->funcs), by_insn);
	prog.insns = p->insns;
	prog.nr = f->nr + nr_text;
	prog.funcs = p->funcs;
	prog.nr_funcs = n;
	err = casts_add(o->casts, &prog);
	return err == -ENOMEM ? err : 0;
}

static void object_close(struct object *o)
{
	if (!o)
		return;
	casts_free(o->casts);
	for (size_t i = 0; o->progs && i < o->nr_progs; i++) {
		free(o->progs[i].insns);
		free(o->progs[i].funcs);
		free(o->progs[i].refs);
	}
	free(o->progs);
	free(o->funcs);
	free(o->secs);
	if (o->elf)
		elf_end(o->elf);
	bpf_object__close(o->bpf);
	free(o);
}

static int analyse(struct object *o)
{
	int err = load_sections(o);

	if (!err)
		err = load_maps(o);
	if (!err)
		err = load_funcs(o);
	if (err)
		return err;
	load_ops(o);
	o->casts = casts_new();
	o->progs = calloc(MAX_PROGS, sizeof(*o->progs));
	if (!o->casts || !o->progs)
		return -ENOMEM;
	for (size_t i = 0; i < o->nr_funcs && !err; i++) {
		if (o->funcs[i].sec != o->text && o->nr_progs < MAX_PROGS)
			err = add_prog(o, &o->funcs[i]);
	}
	return err ? err : casts_solve(o->casts);
}

/* NULL: it is none, or without BTF. */
static struct object *object_open(char *data, size_t len)
{
	struct object *o;

	if (len < sizeof(Elf64_Ehdr) || memcmp(data, ELFMAG, SELFMAG) ||
	    data[EI_CLASS] != ELFCLASS64 || ((Elf64_Ehdr *)data)->e_machine != EM_BPF)
		return NULL;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	o->bpf = bpf_object__open_mem(data, len, NULL);
	o->btf = o->bpf ? bpf_object__btf(o->bpf) : NULL;
	o->elf = o->btf ? elf_memory(data, len) : NULL;
	if (o->elf && !analyse(o))
		return o;
	object_close(o);
	return NULL;
}

/* ------------------------------------------------------------------------------ file */

static char *read_file(const char *path, size_t *len_ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st)) {
		log_err("%s: %s", path, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > MAX_FILE) {
		log_err("%s: no object file", path);
		return NULL;
	}
	data = malloc(st.st_size + 1);
	while (data && len < (size_t)st.st_size) {
		ssize_t n = read(fd, data + len, st.st_size - len);

		if (n <= 0)
			break;
		len += n;
	}
	*len_ret = len;
	return data;
}

static void add_object(struct sched_obj *o, char *data, size_t len)
{
	if (o->nr == MAX_OBJS)
		return;
	o->objs[o->nr] = object_open(data, len);
	o->nr += o->objs[o->nr] != NULL;
}

/* Objects that an executable has in it: one for each symbol, or one in all. */
static void add_embedded(struct sched_obj *o, Elf *elf, size_t len)
{
	size_t shstrs, nr, target = 0, nr_syms;
	Elf_Data *syms = NULL;
	GElf_Shdr sh, found = {};
	bool any = false;
	GElf_Sym sym;

	if (elf_getshdrnum(elf, &nr) || elf_getshdrstrndx(elf, &shstrs))
		return;
	for (size_t i = 1; i < nr && i < MAX_SECTIONS; i++) {
		Elf_Scn *scn = elf_getscn(elf, i);
		const char *name = scn && gelf_getshdr(scn, &sh) ?
				   elf_strptr(elf, shstrs, sh.sh_name) : NULL;

		if (name && !strcmp(name, OBJS_SECTION) && sh.sh_type == SHT_PROGBITS) {
			target = i;
			found = sh;
		} else if (name && sh.sh_type == SHT_SYMTAB) {
			syms = elf_getdata(scn, NULL);
		}
	}
	if (!target || found.sh_offset > len || found.sh_size > len - found.sh_offset)
		return;
	nr_syms = syms ? syms->d_size / sizeof(Elf64_Sym) : 0;
	for (size_t i = 0; i < nr_syms; i++) {
		uint64_t off;

		if (!gelf_getsym(syms, i, &sym) || sym.st_shndx != target || !sym.st_size ||
		    GELF_ST_TYPE(sym.st_info) != STT_OBJECT)
			continue;
		any = true;
		/* Of an executable values are addresses. */
		off = sym.st_value - found.sh_addr;
		if (off <= found.sh_size && sym.st_size <= found.sh_size - off)
			add_object(o, o->data + found.sh_offset + off, sym.st_size);
	}
	if (!any)
		add_object(o, o->data + found.sh_offset, found.sh_size);
}

struct sched_obj *sched_obj_open(const char *path)
{
	struct sched_obj *o = calloc(1, sizeof(*o));
	size_t len = 0;
	Elf *elf;

	if (!o)
		return NULL;
	libbpf_set_print(NULL);
	elf_version(EV_CURRENT);
	o->data = read_file(path, &len);
	if (!o->data) {
		free(o);
		return NULL;
	}
	add_object(o, o->data, len);
	elf = o->nr ? NULL : elf_memory(o->data, len);
	if (elf) {
		add_embedded(o, elf, len);
		elf_end(elf);
	}
	if (o->nr)
		return o;
	log_err("%s: no BPF object with BTF, nor an executable that has one in " OBJS_SECTION, path);
	sched_obj_close(o);
	return NULL;
}

void sched_obj_close(struct sched_obj *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->nr; i++)
		object_close(o->objs[i]);
	free(o->data);
	free(o);
}

void sched_obj_log(const struct sched_obj *o, const char *path)
{
	for (size_t i = 0; i < o->nr; i++) {
		const struct cast_field *f;
		size_t nr;

		f = casts_fields(o->objs[i]->casts, &nr);
		log_debug("%s: object %zu: %zu programs, %zu left out, %zu fields are pointers", path, i,
			  o->objs[i]->nr_progs, casts_left_out(o->objs[i]->casts), nr);
		for (size_t n = 0; n < nr; n++, f++) {
			const char *target = cast_type_name(f->hit.btf, f->hit.id);
			char size[32] = "";

			if (f->hit.size)
				snprintf(size, sizeof(size), ", %u bytes", f->hit.size);
			log_debug("%s: %s.%s at %u: %s%s%s", path, cast_type_name(f->btf, f->owner_id),
				  cast_member_name(f), f->off, *target ? target : "?",
				  f->hit.arena ? " in the arena" : "", size);
		}
	}
}

/* ----------------------------------------------------------------------------- match */

static bool same_type(const struct btf *a, const struct btf *b, uint32_t id)
{
	const struct btf_type *x = btf__type_by_id(a, id), *y = btf__type_by_id(b, id);

	/* The kernel is told the sizes of sections later than the file is. */
	return x && y && x->info == y->info && (btf_is_datasec(x) || x->size == y->size) &&
	       !strcmp(btf__name_by_offset(a, x->name_off), btf__name_by_offset(b, y->name_off));
}

/* Ids of the object mean the same in this BTF: all that are used do. */
static bool same_btf(const struct object *o, const struct btf *btf)
{
	const struct cast_field *f;
	size_t nr;

	if (btf__base_btf(btf) || btf__type_cnt(btf) != btf__type_cnt(o->btf))
		return false;
	f = casts_fields(o->casts, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (!same_type(o->btf, btf, f[i].owner_id) ||
		    (f[i].hit.id && !same_type(o->btf, btf, f[i].hit.id)))
			return false;
	}
	return true;
}

const struct casts *sched_obj_match(const struct sched_obj *o, const struct btf *btf)
{
	for (size_t i = 0; i < o->nr; i++)
		if (same_btf(o->objs[i], btf))
			return o->objs[i]->casts;
	return NULL;
}
