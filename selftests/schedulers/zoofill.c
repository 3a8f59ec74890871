// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads the map zoo, fills its maps and attaches the scheduler.
 *
 *   zoofill [--foreign N] [--pages N] zoo.bpf.o
 *
 * --foreign N   also makes a hash map of N elements that no program uses
 * --pages N     the arena has so many pages more
 *
 * Output, one line each:
 *   facts {...}           what only this run knows: ids, addresses, owners
 *   attached zoo
 *   exit kind=K ...       on SIGUSR1 it makes the scheduler fail
 * It then keeps all maps as they are until SIGTERM.  Exit code: 0 it was attached, 1 not.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_xdp.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "loader.h"
#include "zoo.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE 4096

static struct bpf_object *obj;
static volatile sig_atomic_t stop, fail;
static int nr_cpus;
static const char *step = "";

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		fail = 1;
	else
		stop = 1;
}

/* Everything here is expected to work. */
static long must(long ret, const char *what)
{
	if (ret < 0)
		die("%s%s: %s", step, what, strerror(errno));
	return ret;
}

static struct bpf_map *map(const char *name)
{
	struct bpf_map *m = bpf_object__find_map_by_name(obj, name);

	if (!m)
		die("no map %s", name);
	return m;
}

static int map_fd(const char *name)
{
	step = name;
	return bpf_map__fd(map(name));
}

static void put(const char *name, const void *key, const void *value)
{
	must(bpf_map_update_elem(map_fd(name), key, value, BPF_ANY), ": update");
}

/* ------------------------------------------------------------------ values */

static void fill_all(struct zoo_all *v, u64 seed)
{
	static const enum zoo_color colors[] = { ZOO_RED, ZOO_GREEN, ZOO_BLUE, ZOO_MOST };
	static const enum zoo_flag flags[] = { ZOO_FLAG_ONE, ZOO_FLAG_TWO, ZOO_FLAG_TOP, 4 };
	static const enum zoo_tiny tinies[] = { ZOO_TINY_NEG, ZOO_TINY_ZERO, ZOO_TINY_FIVE, 6 };
	static const enum zoo_wide wides[] = { ZOO_WIDE_NEG, ZOO_WIDE_ZERO, ZOO_WIDE_POS, -5 };
	static const enum zoo_uwide uwides[] = { ZOO_UWIDE_ONE, ZOO_UWIDE_TOP, 0, -1ULL };
	static const enum zoo_step steps[] = { ZOO_DOWN, ZOO_STAY, ZOO_UP, -7 };
	u64 n = 0;
#define NEXT() zoo_mix(seed, n++)

	memset(v, 0, sizeof(*v));
	v->ints.a8 = NEXT();
	v->ints.a16 = NEXT();
	v->ints.a32 = NEXT();
	v->ints.a64 = NEXT();
	v->ints.b8 = NEXT();
	v->ints.b16 = NEXT();
	v->ints.b32 = NEXT();
	v->ints.b64 = NEXT();
	v->ints.c = NEXT();
	v->ints.yes = true;
	v->ints.no = false;
	v->ints.a128 = (__int128)((unsigned __int128)NEXT() << 64);
	v->ints.a128 |= NEXT();
	v->ints.b128 = (unsigned __int128)NEXT() << 64;
	v->ints.b128 |= NEXT();

	v->bits.a = NEXT();
	v->bits.b = NEXT();
	v->bits.c = NEXT();
	v->bits.d = NEXT();
	v->bits.e = NEXT();
	v->bits.f = NEXT();
	v->bits.g = NEXT();
	v->bits.step = steps[NEXT() % 4];
	v->bits.mode = NEXT() % 4;
	v->bits.on = true;
	v->bits.off = false;
	v->bits.tail = NEXT();

	v->enums.color = colors[NEXT() % 4];
	v->enums.odd_color = 100 + NEXT() % 100;
	v->enums.flag = flags[NEXT() % 4];
	v->enums.tiny = tinies[NEXT() % 4];
	v->enums.wide = wides[NEXT() % 4];
	v->enums.uwide = uwides[NEXT() % 4];

	v->anon_first = NEXT();
	v->anon_word = NEXT();
	v->nameless.x = NEXT();
	v->nameless.inner.deep = NEXT();
	v->nameless.inner.deeper[0] = NEXT();
	v->nameless.inner.deeper[1] = NEXT();
	v->u.whole = NEXT();
	v->packed.a = NEXT();
	v->packed.b = NEXT();
	v->packed.c = NEXT();
	v->packed.d = NEXT();
	for (int i = 0; i < 3; i++) {
		v->pairs[i].left = NEXT();
		v->pairs[i].right = NEXT();
	}
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 3; j++)
			v->grid[i][j] = NEXT();
	snprintf(v->text, sizeof(v->text), "text %u \\ \"", (unsigned int)(NEXT() % 1000));
	for (int i = 0; i < 5; i++)
		v->raw[i] = NEXT();
	for (int i = 0; i < 3; i++)
		v->flags[i] = NEXT() & 1;
	*(volatile zoo_typedef *)&v->qualified = NEXT();
	/* Never inside the arena's window, never a kernel address. */
	v->ptr = (void *)(uintptr_t)(NEXT() >> 32);
	v->self = NULL;
	v->fn = (int (*)(int))(uintptr_t)(NEXT() >> 32);
#undef NEXT
}

static struct zoo_small small(u64 seed)
{
	struct zoo_small v;

	memset(&v, 0, sizeof(v));
	zoo_small(&v, seed);
	return v;
}

static void fill_plain(void)
{
	struct zoo_all all;
	struct zoo_small s;
	u8 raw[16];

	for (u32 k = 0; k < N_MULTI; k++) {
		fill_all(&all, zoo_seed(ZOO_ARRAY_MULTI, 0, k));
		put("z_array_multi", &k, &all);
	}
	fill_all(&all, zoo_seed(ZOO_ARRAY, 0, 0));
	put("z_array", &(u32){ 0 }, &all);
	for (u32 k = 0; k < N_MMAP; k++) {
		s = small(zoo_seed(ZOO_ARRAY_MMAP, 0, k));
		put("z_array_mmap", &k, &s);
	}
	for (u32 k = 0; k < 2; k++) {
		for (size_t i = 0; i < sizeof(raw); i++)
			raw[i] = 16 * k + i;
		put("z_array_untyped", &k, raw);
		raw[0] = k;
		put("z_hash_untyped", raw, raw + 3);
	}
	for (u32 k = 0; k < N_HASH; k++) {
		fill_all(&all, zoo_seed(ZOO_HASH, 0, k));
		put("z_hash", &(struct zoo_key){ k, -(s32)k }, &all);
	}
	for (u64 k = 0; k < N_HASH_NOPRE; k++) {
		s = small(zoo_seed(ZOO_HASH_NOPRE, 0, k));
		put("z_hash_nopre", &(u64){ k << 40 | k }, &s);
	}
	for (u32 k = 0; k < N_LRU; k++) {
		s = small(zoo_seed(ZOO_LRU, 0, k));
		put("z_lru", &k, &s);
	}
	for (u32 k = 0; k < N_BIG; k++) {
		s = small(zoo_seed(ZOO_BIG, 0, k));
		put("z_big", &k, &s);
	}
	/* Deleted elements stay in memory; nobody may see them. */
	for (u32 k = N_BIG; k < N_BIG + 10; k++) {
		s = small(zoo_seed(ZOO_BIG, 0, k));
		put("z_big", &k, &s);
		must(bpf_map_delete_elem(map_fd("z_big"), &k), ": delete");
	}
	for (u32 k = 0; k < N_LPM; k++) {
		/* Nested prefixes: 10.0.0.0/8, 10.1.0.0/9, ... and a default route. */
		struct zoo_lpm_key key = { k ? 7 + k : 0, { k ? 10 : 0, k, k * 7, k * 13 } };

		s = small(zoo_seed(ZOO_LPM, 0, k));
		put("z_lpm", &key, &s);
	}
	for (u64 k = 0; k < N_BLOOM; k++) {
		u64 v = zoo_mix(zoo_seed(ZOO_BLOOM, 0, k), 0);

		must(bpf_map_update_elem(map_fd("z_bloom"), NULL, &v, BPF_ANY), ": push");
	}
}

static void fill_percpu(void)
{
	static const struct {
		const char *name;
		enum zoo_map nr;
		u32 count;
	} maps[] = {
		{ "z_percpu_array", ZOO_PERCPU_ARRAY, N_PERCPU_ARRAY },
		{ "z_percpu_hash", ZOO_PERCPU_HASH, N_PERCPU_HASH },
		{ "z_pcpu_hash_np", ZOO_PERCPU_HASH_NOPRE, N_PERCPU_HASH },
		{ "z_lru_percpu", ZOO_LRU_PERCPU, N_PERCPU_HASH },
	};
	struct zoo_small values[nr_cpus];

	_Static_assert(sizeof(struct zoo_small) % 8 == 0, "per-CPU values lie 8 bytes apart");
	for (size_t m = 0; m < ARRAY_SIZE(maps); m++) {
		for (u32 k = 0; k < maps[m].count; k++) {
			for (int cpu = 0; cpu < nr_cpus; cpu++)
				values[cpu] = small(zoo_seed(maps[m].nr, cpu, k));
			put(maps[m].name, &k, values);
		}
	}
}

/* Pushed: 8, taken: 3, pushed: 3.  So the queue's ring has gone past its end. */
static void fill_queues(void)
{
	static const struct {
		const char *name;
		enum zoo_map nr;
	} maps[] = { { "z_queue", ZOO_QUEUE }, { "z_stack", ZOO_STACK } };
	struct zoo_small s;

	for (size_t m = 0; m < ARRAY_SIZE(maps); m++) {
		int fd = map_fd(maps[m].name);

		for (u32 i = 0; i < QUEUE_ROOM + 3; i++) {
			if (i == QUEUE_ROOM)
				for (int j = 0; j < 3; j++)
					must(bpf_map_lookup_and_delete_elem(fd, NULL, &s), ": pop");
			s = small(zoo_seed(maps[m].nr, 0, i));
			must(bpf_map_update_elem(fd, NULL, &s, BPF_ANY), ": push");
		}
	}
}

static void fill_sections(void)
{
	struct zoo_pair *pairs;
	size_t size;

	fill_all(variable(obj, "bss_all", &size), zoo_seed(ZOO_BSS, 0, 0));
	pairs = variable(obj, "bss_pairs", &size);
	for (int i = 0; i < 4; i++) {
		pairs[i].left = zoo_mix(zoo_seed(ZOO_BSS, 0, 1), i);
		pairs[i].right = zoo_mix(zoo_seed(ZOO_BSS, 0, 2), i);
	}
	zoo_small(variable(obj, "x_small", &size), zoo_seed(ZOO_DATA_X, 0, 0));
}

/* Pages with holes between them, and a list through three of them that ends in itself. */
struct node {
	u64 value;
	u64 next;
	struct zoo_small small;
};

static u64 arena_page(u32 i)
{
	static const u32 far[] = { 5000, 6000, ARENA_MAX_PAGES - 1 };

	if (i >= ARENA_PAGES - 3)
		return far[i - (ARENA_PAGES - 3)];
	return i + i / 3 + 1;
}

static char *fill_arena(void)
{
	size_t size;
	char *base = bpf_map__initial_value(map("z_arena"), &size);
	struct node *head = NULL;

	if (!base)
		die("the arena is not mapped");
	for (u32 i = 0; i < ARENA_PAGES; i++) {
		u64 *page = (u64 *)(base + arena_page(i) * PAGE);
		u64 first = zoo_mix(zoo_seed(ZOO_ARENA, 0, i), 0);

		for (u32 w = 0; w < PAGE / 8; w++)
			page[w] = first + w * 0x9e3779b97f4a7c15ULL;
	}
	for (u32 i = 3; i-- > 0;) {
		struct node *n = (struct node *)(base + arena_page(i) * PAGE);

		n->value = i;
		n->next = (uintptr_t)(head ?: (void *)(base + arena_page(0) * PAGE));
		n->small = small(zoo_seed(ZOO_ARENA, 1, i));
		head = n;
	}
	*(struct node **)variable(obj, "arena_head", &size) = head;
	return base;
}

/* ------------------------------------------------- programs that fill maps */

static int program_fd(const char *name)
{
	struct bpf_program *p = bpf_object__find_program_by_name(obj, name);

	if (!p)
		die("no program %s", name);
	return bpf_program__fd(p);
}

static int run(const char *name, void *ctx, u32 size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ctx, .ctx_size_in = size);

	step = name;
	must(bpf_prog_test_run_opts(program_fd(name), &opts), ": run");
	return opts.retval;
}

static int nothing(void *ctx, void *data, size_t size)
{
	(void)ctx;
	(void)data;
	(void)size;
	return 0;
}

struct ring_args {
	u32 first, count, discard_every;
};

static void fill_ringbufs(void)
{
	struct ring_buffer *rb = ring_buffer__new(map_fd("z_ringbuf"), nothing, NULL, NULL);
	struct user_ring_buffer *urb = user_ring_buffer__new(map_fd("z_user_ringbuf"), NULL);
	int n;

	if (!rb || !urb)
		die("ring buffers: %s", strerror(errno));
	n = run("zoo_produce", &(struct ring_args){ 0, RING_CONSUMED, 7 }, sizeof(struct ring_args));
	if (n != RING_CONSUMED)
		die("zoo_produce: %d records", n);
	/* Those thrown away are not counted. */
	n = ring_buffer__consume(rb);
	if (n != RING_CONSUMED - RING_CONSUMED / 7)
		die("ring_buffer__consume: %d", n);
	ring_buffer__free(rb);
	/* Three to read, one thrown away, two to read. */
	run("zoo_produce", &(struct ring_args){ 1000, 3, 0 }, sizeof(struct ring_args));
	run("zoo_produce", &(struct ring_args){ 1003, 1, 1 }, sizeof(struct ring_args));
	run("zoo_produce", &(struct ring_args){ 1004, 2, 0 }, sizeof(struct ring_args));

	for (u32 i = 0; i < USER_RING_DRAINED + 5; i++) {
		struct zoo_event *e;

		if (i == USER_RING_DRAINED) {
			n = run("zoo_drain", NULL, 0);
			if (n != USER_RING_DRAINED)
				die("zoo_drain: %d", n);
		}
		e = user_ring_buffer__reserve(urb, sizeof(*e));
		if (!e)
			die("user_ring_buffer__reserve: %s", strerror(errno));
		zoo_event(e, zoo_seed(ZOO_USER_RINGBUF, 0, 0), i);
		if (i == USER_RING_DRAINED + 2)
			user_ring_buffer__discard(urb, e);
		else
			user_ring_buffer__submit(urb, e);
	}
	/* Frees only what is here in user space. */
	user_ring_buffer__free(urb);
}

static void fill_stacks(void)
{
	struct bpf_link *link;
	size_t size;
	u32 *tgid = variable(obj, "stack_tgid", &size), *skip = variable(obj, "stack_skip", &size);
	s64 *kernel = variable(obj, "stack_id", &size), *user = variable(obj, "user_stack_id", &size);

	link = bpf_program__attach(bpf_object__find_program_by_name(obj, "zoo_sys_enter"));
	if (!link)
		die("zoo_sys_enter: %s", strerror(errno));
	/* Both may want the same bucket: then the one of the kernel begins a frame later. */
	for (*skip = 0; *skip < 3 && *user < 0; ++*skip) {
		u32 key = *kernel;

		if (*kernel >= 0)
			must(bpf_map_delete_elem(map_fd("z_stack_trace"), &key), ": delete");
		*kernel = -1;
		*tgid = getpid();
		for (int i = 0; i < 3; i++)
			syscall(SYS_getppid);
		*tgid = 0;
	}
	*skip = 0;
	bpf_link__destroy(link);
}

/* ------------------------------------- owners, and slots that hold an object */

static bool more;	/* a comma is due in the facts */

static void fact(const char *name)
{
	printf("%s\"%s\": ", more ? ", " : "", name);
	more = true;
}

static void fact_u64(const char *name, u64 v)
{
	fact(name);
	printf("%llu", v);
}

static void fact_list(const char *name, const u64 *v, size_t n)
{
	fact(name);
	for (size_t i = 0; i < n; i++)
		printf("%s%llu", i ? ", " : "[", v[i]);
	putchar(']');
}

static int pids[N_OWNERS];
static u64 cgroup_ids[N_OWNERS];
static int cgroup_fds[N_OWNERS];
static u64 inode_numbers[N_OWNERS], cookies[N_OWNERS];

static u64 inode_of(int fd)
{
	struct stat st;

	must(fstat(fd, &st), ": fstat");
	return st.st_ino;
}

static u64 cookie(int fd)
{
	u64 v = 0;
	socklen_t len = sizeof(v);

	must(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &v, &len), ": SO_COOKIE");
	return v;
}

static void make_owners(void)
{
	for (int i = 0; i < N_OWNERS; i++) {
		char path[64];
		struct zoo_small s;
		int fd;

		pids[i] = must(fork(), "fork");
		if (!pids[i]) {
			snprintf(path, sizeof(path), "zoo-owner-%d", i);
			prctl(PR_SET_NAME, path);
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		fd = must(syscall(SYS_pidfd_open, pids[i], 0), "pidfd_open");
		s = small(zoo_seed(ZOO_TASK, 0, i));
		put("z_task", &fd, &s);

		snprintf(path, sizeof(path), "/sys/fs/cgroup/zoo-%d", i);
		if (mkdir(path, 0755) && errno != EEXIST)
			die("%s: %s", path, strerror(errno));
		cgroup_fds[i] = must(open(path, O_RDONLY | O_DIRECTORY), path);
		cgroup_ids[i] = inode_of(cgroup_fds[i]);
		s = small(zoo_seed(ZOO_CGRP, 0, i));
		put("z_cgrp", &cgroup_fds[i], &s);

		snprintf(path, sizeof(path), "/tmp/zoo-inode-%d", i);
		fd = must(open(path, O_RDWR | O_CREAT, 0600), path);
		inode_numbers[i] = inode_of(fd);
		s = small(zoo_seed(ZOO_INODE, 0, i));
		put("z_inode", &fd, &s);

		fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");
		cookies[i] = cookie(fd);
		s = small(zoo_seed(ZOO_SK, 0, i));
		put("z_sk", &fd, &s);
	}
	fact_list("pids", (u64[]){ pids[0], pids[1], pids[2], pids[3] }, N_OWNERS);
	fact_list("cgroups", cgroup_ids, N_OWNERS);
	fact_list("inodes", inode_numbers, N_OWNERS);
	fact_list("socks", cookies, N_OWNERS);
}

/* The old cgroup storage: elements come with the programs that use them. */
static void fill_cgroup_storage(void)
{
	struct bpf_program *p = bpf_object__find_program_by_name(obj, "zoo_egress");
	struct zoo_small values[nr_cpus];

	for (int i = 0; i < 2; i++) {
		struct bpf_cgroup_storage_key key = { cgroup_ids[i], BPF_CGROUP_INET_EGRESS };
		struct zoo_small s = small(zoo_seed(ZOO_CGROUP_STORAGE, 0, i));

		if (!bpf_program__attach_cgroup(p, cgroup_fds[i]))
			die("zoo_egress: %s", strerror(errno));
		put("z_cgroup_st", &key, &s);
		for (int cpu = 0; cpu < nr_cpus; cpu++)
			values[cpu] = small(zoo_seed(ZOO_PERCPU_CGROUP_STORAGE, cpu, i));
		put("z_pcpu_cgrp_st", &key, values);
	}
}

static u32 prog_id(int fd)
{
	struct bpf_prog_info info = {};
	u32 len = sizeof(info);

	must(bpf_prog_get_info_by_fd(fd, &info, &len), "bpf_prog_get_info_by_fd");
	return info.id;
}

static u32 map_id(int fd)
{
	struct bpf_map_info info = {};
	u32 len = sizeof(info);

	must(bpf_map_get_info_by_fd(fd, &info, &len), "bpf_map_get_info_by_fd");
	return info.id;
}

/* A map of u32 to struct zoo_small, with the types of the one that libbpf made. */
static int create_small(enum bpf_map_type type, const char *name, u32 max_entries, u32 flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
	struct bpf_map_info info = {};
	u32 len = sizeof(info);

	must(bpf_map_get_info_by_fd(map_fd("z_lru"), &info, &len), ": info");
	opts.btf_fd = must(bpf_btf_get_fd_by_id(info.btf_id), ": BTF");
	opts.btf_key_type_id = info.btf_key_type_id;
	opts.btf_value_type_id = info.btf_value_type_id;
	return bpf_map_create(type, name, 4, sizeof(struct zoo_small), max_entries, &opts);
}

/* A socket of its own port on the loopback device. */
static int bound(int type)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = must(socket(AF_INET, type, 0), "socket"), one = 1;

	must(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), "SO_REUSEPORT");
	must(bind(fd, (void *)&addr, sizeof(addr)), "bind");
	if (type == SOCK_STREAM)
		must(listen(fd, 1), "listen");
	return fd;
}

static void fill_slots(void)
{
	u64 ids[8], socks[2];
	int xsk;

	for (u32 i = 0; i < 2; i++) {
		u32 key = 2 * i + 1;
		int fd = program_fd("zoo_tail");

		put("z_prog_array", &key, &fd);
		ids[i] = prog_id(fd);
	}
	fact_list("prog_array", ids, 2);

	for (u32 cpu = 0; cpu < (u32)nr_cpus && cpu < 8; cpu++) {
		struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
						.config = PERF_COUNT_SW_BPF_OUTPUT };
		int fd = must(syscall(SYS_perf_event_open, &attr, -1, cpu, -1, 0), "perf_event_open");

		put("z_perf_array", &cpu, &fd);
	}
	for (u32 i = 0; i < N_OWNERS; i++)
		put("z_cgroup_array", &(u32){ 7 - i }, &cgroup_fds[i]);
	/* The loopback device. */
	put("z_devmap", &(u32){ 1 }, &(u32){ 1 });
	put("z_devmap", &(u32){ 6 }, &(u32){ 1 });
	put("z_devmap_hash", &(u32){ 100 }, &(u32){ 1 });
	put("z_devmap_hash", &(u32){ 70000 }, &(u32){ 1 });
	put("z_cpumap", &(u32){ 0 }, &(u32){ 192 });
	put("z_cpumap", &(u32){ 2 }, &(u32){ 128 });

	for (u32 i = 0; i < 2; i++) {
		u64 fd = bound(SOCK_STREAM);

		put("z_sockmap", &(u32){ 5 * i }, &fd);
		socks[i] = cookie(fd);
	}
	fact_list("sockmap", socks, 2);
	for (u32 i = 0; i < 2; i++) {
		u64 fd = bound(SOCK_DGRAM);

		put("z_sockhash", &(u32){ 1000 + i }, &fd);
		socks[i] = cookie(fd);
	}
	fact_list("sockhash", socks, 2);
	for (u32 i = 0; i < 2; i++) {
		u64 fd = bound(SOCK_DGRAM);

		put("z_reuseport", &(u32){ 3 * i }, &fd);
		socks[i] = cookie(fd);
	}
	fact_list("reuseport", socks, 2);
	xsk = must(socket(AF_XDP, SOCK_RAW, 0), "AF_XDP");
	must(setsockopt(xsk, SOL_XDP, XDP_RX_RING, &(int){ 64 }, sizeof(int)), "XDP_RX_RING");
	put("z_xskmap", &(u32){ 2 }, &xsk);

	for (u32 i = 0; i < N_INNER; i++) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "z_inner%u", i);
		fd = must(create_small(BPF_MAP_TYPE_ARRAY, name, 2, 0), "inner map");
		for (u32 k = 0; k < 2; k++) {
			struct zoo_small s = small(zoo_seed(ZOO_INNER, i, k));

			must(bpf_map_update_elem(fd, &k, &s, BPF_ANY), "inner map");
		}
		put("z_array_of_maps", &(u32){ 2 * i }, &fd);
		put("z_hash_of_maps", &(u32){ 100 * i }, &fd);
		ids[i] = map_id(fd);
	}
	fact_list("inner", ids, N_INNER);
}

/* ------------------------------ map types that libbpf cannot name in an object */

static int skipped(const char *name, int fd)
{
	if (fd < 0) {
		fprintf(stderr, "zoofill: %s: this kernel does not make it: %s\n", name, strerror(errno));
		printf("%s\"%s\": %d", more ? ", " : "", name, errno);
		more = true;
	}
	return fd;
}

static void fill_newest(void)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_insn_array_value target = {};
	union bpf_attr attr = {};
	int fd, fds[1];

	fact("skipped");
	putchar('{');
	more = false;
	fd = skipped("z_rhash", create_small(BPF_MAP_TYPE_RHASH, "z_rhash", 128, BPF_F_NO_PREALLOC));
	for (u32 k = 0; fd >= 0 && k < N_RHASH; k++) {
		struct zoo_small s = small(zoo_seed(ZOO_RHASH, 0, k));

		step = "z_rhash";
		must(bpf_map_update_elem(fd, &k, &s, BPF_ANY), ": update");
	}

	fd = skipped("z_insn_array", bpf_map_create(BPF_MAP_TYPE_INSN_ARRAY, "z_insn_array", 4,
						    sizeof(target), 2, NULL));
	if (fd >= 0) {
		step = "z_insn_array";
		for (u32 k = 0; k < 2; k++) {
			target.orig_off = k + 1;
			must(bpf_map_update_elem(fd, &k, &target, BPF_ANY), ": update");
		}
		must(bpf_map_freeze(fd), ": freeze");
		fds[0] = fd;
		attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
		attr.insns = (uintptr_t)insns;
		attr.insn_cnt = ARRAY_SIZE(insns);
		attr.license = (uintptr_t)"GPL";
		attr.fd_array = (uintptr_t)fds;
		attr.fd_array_cnt = 1;
		must(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), ": program");
	}
	putchar('}');
	more = true;
}

static void fill_foreign(u32 n)
{
	struct zoo_small *values = calloc(1000, sizeof(*values));
	u32 keys[1000];
	int fd = must(create_small(BPF_MAP_TYPE_HASH, "foreign", n, 0), "foreign map");

	if (!values)
		die("memory");
	for (u32 k = 0; k < n;) {
		u32 count = n - k < 1000 ? n - k : 1000;

		for (u32 i = 0; i < count; i++) {
			keys[i] = k + i;
			values[i] = small(zoo_seed(ZOO_FOREIGN, 0, k + i));
		}
		must(bpf_map_update_batch(fd, keys, values, &count, NULL), "foreign map");
		k += count;
	}
	free(values);
	fact_u64("foreign", map_id(fd));
}

/* What the kernel itself says about the stacks that it took. */
static void print_stacks(void)
{
	static const char * const names[] = { "stack_id", "user_stack_id", "build_id_stack_id" };
	u64 buf[16 * 4];
	size_t size;

	for (int i = 0; i < 3; i++) {
		s64 *id = variable(obj, names[i], &size);
		u32 key = *id;

		if (*id < 0)
			die("%s: %lld", names[i], *id);
		fact_u64(names[i], *id);
		memset(buf, 0, sizeof(buf));
		must(bpf_map_lookup_elem(map_fd(i < 2 ? "z_stack_trace" : "z_stack_bid"), &key, buf),
		     ": lookup");
		fact_list(i == 0 ? "stack" : i == 1 ? "user_stack" : "build_id_stack", buf, i < 2 ? 16 : 64);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "foreign", required_argument, NULL, 'f' },
		{ "pages", required_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' },
		{ }
	};
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct sigaction sa = { .sa_handler = on_signal };
	volatile struct exit_record *record;
	struct bpf_link *link;
	s32 *kptr_pids;
	u64 *kptr_cgroups;
	u32 foreign = 0, pages = 0;
	bool told = false;
	size_t size;
	char *arena;
	int c;

	while ((c = getopt_long(argc, argv, "f:p:v", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			foreign = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			pages = strtoul(optarg, NULL, 0);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	if (optind + 1 != argc) {
		fputs("usage: zoofill [--foreign N] [--pages N] zoo.bpf.o\n", stderr);
		return 2;
	}
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	libbpf_set_print(print_libbpf);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);

	obj = bpf_object__open_file(argv[optind], NULL);
	if (!obj)
		die("%s: cannot open it: %s", argv[optind], strerror(errno));
	if (pages && bpf_map__set_max_entries(map("z_arena"), ARENA_MAX_PAGES + pages))
		die("z_arena: %s", strerror(errno));
	/* What is read-only later. */
	fill_all(variable(obj, "rodata_all", &size), zoo_seed(ZOO_RODATA, 0, 0));
	if (bpf_object__load(obj))
		die("%s: the kernel refused it: %s", argv[optind], strerror(errno));
	nr_cpus = must(libbpf_num_possible_cpus(), "libbpf_num_possible_cpus");

	printf("facts {");
	fact_u64("cpus", nr_cpus);
	fill_plain();
	fill_percpu();
	fill_queues();
	fill_sections();
	arena = fill_arena();
	/* For benchmarks, behind what the tests know. */
	for (u32 i = 0; i < pages; i++)
		memset(arena + (size_t)(ARENA_MAX_PAGES + i) * PAGE, i, PAGE);
	fill_ringbufs();
	fill_stacks();
	make_owners();
	fill_cgroup_storage();
	fill_slots();
	fill_newest();
	if (foreign)
		fill_foreign(foreign);
	kptr_pids = variable(obj, "kptr_pids", &size);
	kptr_cgroups = variable(obj, "kptr_cgroups", &size);
	for (int i = 0; i < N_KPTR; i++) {
		kptr_pids[i] = pids[i % N_OWNERS];
		kptr_cgroups[i] = cgroup_ids[i % N_OWNERS];
	}
	record = variable(obj, "exit_record", &size);

	link = bpf_map__attach_struct_ops(ops_map(obj));
	if (!link) {
		fprintf(stderr, "scxrun: attach failed: %s; fill_error %d\n", strerror(errno),
			*(s32 *)variable(obj, "fill_error", &size));
		if (record->seen)
			print_exit((const struct exit_record *)record);
		return 1;
	}
	print_stacks();
	fact_u64("arena", (uintptr_t)arena);
	fact_u64("arena_page", *(u64 *)variable(obj, "arena_page", &size));
	fact_u64("ops", map_id(bpf_map__fd(ops_map(obj))));
	printf("}\nattached %s\n", bpf_map__name(ops_map(obj)));
	fflush(stdout);

	while (!stop) {
		nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
		if (fail == 1) {
			fail = 2;
			*(u32 *)variable(obj, "want_fail", &size) = 1;
		}
		if (record->seen && !told) {
			told = true;
			print_exit((const struct exit_record *)record);
		}
	}
	for (int i = 0; i < N_OWNERS; i++)
		kill(pids[i], SIGKILL);
	return 0;
}
