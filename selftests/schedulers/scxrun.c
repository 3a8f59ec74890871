// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads one of the schedulers of this directory and stays until it ends.
 *
 *   scxrun [--set NAME=VALUE]... [--cgroup PATH] [--duration S] FILE.bpf.o
 *
 * NAME is a global variable of the scheduler, or ops.MEMBER for a member of its
 * struct sched_ext_ops (ops.timeout_ms, ops.exit_dump_len, ops.name, ...).
 * --cgroup attaches it as a sub-scheduler of that cgroup.
 *
 * Output, one line each:
 *   attached NAME
 *   exit kind=K code=C reason="..." msg="..."
 *   fifo I PID TASK / prio I PID TASK VTIME     what "dsq" recorded
 *   many I PID TASK DSQ                         what "manyq" recorded
 * Exit code: 0 it was attached and has ended, 1 it could not be attached, 2 bad
 * usage.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "loader.h"

/* As in dsq.bpf.c and manyq.bpf.c. */
struct row {
	uint64_t task;
	uint64_t vtime;
	uint32_t pid;
	uint32_t pad;
};

static volatile sig_atomic_t stop, show;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		show = 1;
	else
		stop = 1;
}

/* A member of the sched_ext_ops of the object. */
static void *ops_member(struct bpf_object *obj, const char *name, size_t *size)
{
	static const char * const types[] = { "sched_ext_ops", "sched_ext_ops_cid" };
	const struct btf *btf = bpf_object__btf(obj);
	size_t map_size;
	char *value = bpf_map__initial_value(ops_map(obj), &map_size);

	for (int t = 0; value && t < 2; t++) {
		int id = btf__find_by_name_kind(btf, types[t], BTF_KIND_STRUCT);
		const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(btf, id);

		/* Both types are in the object when one mentions the other. */
		if (!type || type->size != map_size)
			continue;
		for (int i = 0; i < btf_vlen(type); i++) {
			const struct btf_member *m = btf_members(type) + i;

			if (strcmp(btf__name_by_offset(btf, m->name_off), name))
				continue;
			*size = btf__resolve_size(btf, m->type);
			return value + btf_member_bit_offset(type, i) / 8;
		}
	}
	return NULL;
}

static void store(const char *name, void *at, size_t size, const char *text)
{
	unsigned long long v;
	char *end;

	if (size > 8) {
		snprintf(at, size, "%s", text);
		return;
	}
	errno = 0;
	v = strtoull(text, &end, 0);
	if (errno || *end || end == text)
		die("--set %s=%s: not a number", name, text);
	memcpy(at, &v, size);
}

static void set(struct bpf_object *obj, char *arg)
{
	char *eq = strchr(arg, '=');
	size_t size = 0;
	void *at;

	if (!eq)
		die("--set %s: NAME=VALUE is wanted", arg);
	*eq = '\0';
	at = !strncmp(arg, "ops.", 4) ? ops_member(obj, arg + 4, &size) : variable(obj, arg, &size);
	if (!at)
		die("--set %s: this scheduler, or this kernel, has no such variable", arg);
	store(arg, at, size, eq + 1);
}

static void print_rows(struct bpf_object *obj, const char *name, const char *count, bool vtime)
{
	size_t size, csize;
	const struct row *rows = variable(obj, name, &size);
	const uint32_t *nr = variable(obj, count, &csize);

	if (!rows || !nr)
		return;
	for (uint32_t i = 0; i < *nr && i < size / sizeof(*rows); i++) {
		printf("%s %u %u 0x%llx", name, i, rows[i].pid, (unsigned long long)rows[i].task);
		if (vtime)
			printf(" %llu", (unsigned long long)rows[i].vtime);
		putchar('\n');
	}
}

static void print_record(struct bpf_object *obj)
{
	print_rows(obj, "fifo", "nr_fifo", false);
	print_rows(obj, "prio", "nr_prio", true);
	print_rows(obj, "many", "nr_many", true);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "set", required_argument, NULL, 's' },
		{ "cgroup", required_argument, NULL, 'c' },
		{ "duration", required_argument, NULL, 'd' },
		{ "verbose", no_argument, NULL, 'v' },
		{ }
	};
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct sigaction sa = { .sa_handler = on_signal };
	volatile struct exit_record *record;
	const char *cgroup = NULL;
	double duration = 0, waited = 0;
	struct bpf_object *obj;
	struct bpf_link *link;
	char *sets[32];
	int nr_sets = 0, c;
	size_t size;

	while ((c = getopt_long(argc, argv, "s:c:d:v", options, NULL)) != -1) {
		switch (c) {
		case 's':
			if (nr_sets == 32)
				die("too many --set");
			sets[nr_sets++] = optarg;
			break;
		case 'c':
			cgroup = optarg;
			break;
		case 'd':
			duration = atof(optarg);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	if (optind + 1 != argc) {
		fputs("usage: scxrun [--set NAME=VALUE]... [--cgroup PATH] [--duration S] FILE.bpf.o\n",
		      stderr);
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
	for (int i = 0; i < nr_sets; i++)
		set(obj, sets[i]);
	if (cgroup) {
		struct stat st;
		char id[80];

		if (stat(cgroup, &st))
			die("%s: %s", cgroup, strerror(errno));
		/* A cgroup's id is the inode number of its directory. */
		snprintf(id, sizeof(id), "ops.sub_cgroup_id=%llu", (unsigned long long)st.st_ino);
		set(obj, id);
	}

	if (bpf_object__load(obj))
		die("%s: the kernel refused it: %s", argv[optind], strerror(errno));
	record = variable(obj, "exit_record", &size);
	if (!record || size != sizeof(*record))
		die("%s has no exit_record", argv[optind]);

	link = bpf_map__attach_struct_ops(ops_map(obj));
	if (!link) {
		fprintf(stderr, "scxrun: attach failed: %s\n", strerror(errno));
		/* ops.exit() has run by then, if the kernel got that far. */
		if (record->seen)
			print_exit((const struct exit_record *)record);
		return 1;
	}
	printf("attached %s\n", bpf_map__name(ops_map(obj)));
	fflush(stdout);

	while (!stop && !record->seen && (!duration || waited < duration)) {
		nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
		waited += 0.02;
		if (show) {
			show = 0;
			print_record(obj);
		}
	}

	/* Of a scheduler that has ended, this removes what is left of it. */
	bpf_link__destroy(link);
	for (int i = 0; i < 500 && !record->seen; i++)
		usleep(20 * 1000);
	if (record->seen)
		print_exit((const struct exit_record *)record);
	else
		printf("exit unknown: ops.exit() was not called within 10 s\n");
	print_record(obj);
	return 0;
}
