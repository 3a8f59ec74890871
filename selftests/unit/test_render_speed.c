// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a scalar costs: per second, and in instructions where valgrind is there. With a
 * number as argument it renders that often and tells nothing, which is what is counted.
 */
#include <stdlib.h>
#include <time.h>

#include "render_test.h"

#define TASKS 256
#define LEAVES (TASKS * 19)
/* bpftool's dumper takes about 1300 for each, and its lines are half as many. */
#define MOST_INSTRUCTIONS 500

static const char *self;

struct task {
	uint64_t vtime, deadline, runtime, last_run;
	int32_t pid, cpu;
	uint32_t weight, flags;
	bool enabled;
	uint8_t prio;
	uint32_t hist[8];
	uint32_t slices;
};

static int add_tasks(struct btf *btf)
{
	int u8 = btf__add_int(btf, "u8", 1, 0), u32 = btf__add_int(btf, "u32", 4, 0);
	int u64 = btf__add_typedef(btf, "u64", btf__add_int(btf, "unsigned long", 8, 0));
	int s32 = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	int flag = btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL);
	int hist = btf__add_array(btf, u32, u32, 8);
	int id = btf__add_struct(btf, "task", sizeof(struct task));

#define ADD(name, type) btf__add_field(btf, #name, type, offsetof(struct task, name) * 8, 0)
	ADD(vtime, u64);
	ADD(deadline, u64);
	ADD(runtime, u64);
	ADD(last_run, u64);
	ADD(pid, s32);
	ADD(cpu, s32);
	ADD(weight, u32);
	ADD(flags, u32);
	ADD(enabled, flag);
	ADD(prio, u8);
	ADD(hist, hist);
	ADD(slices, u32);
#undef ADD
	return btf__add_array(btf, u32, id, TASKS);
}

static ssize_t count(void *cookie, const char *buf, size_t size)
{
	(void)buf;
	*(uint64_t *)cookie += size;
	return size;
}

/* Bytes of the text. */
static uint64_t render_tasks(unsigned int times)
{
	static struct task tasks[TASKS];
	struct btf *btf = btf__new_empty();
	uint64_t bytes = 0;
	FILE *f = fopencookie(&bytes, "w", (cookie_io_functions_t){ .write = count });
	struct render *r = calloc(1, sizeof(*r));
	struct jsonw w;
	int id;

	assert_true(btf && f && r);
	id = add_tasks(btf);
	assert_true(id > 0);
	for (unsigned int i = 0; i < TASKS; i++) {
		struct task *t = &tasks[i];

		t->vtime = 1000000007ULL * (i + 9000);
		t->deadline = t->vtime + 20000000;
		t->runtime = 77777ULL * i;
		t->last_run = 12345678901234ULL + i;
		t->pid = 100 + i;
		t->cpu = (int)(i % 8) - 1;
		t->weight = 100;
		t->enabled = i & 1;
		t->prio = 120;
		t->slices = i * i;
		for (unsigned int k = 0; k < 8; k++)
			t->hist[k] = i * k;
	}
	jsonw_init(&w, f);
	r->out = &w;
	jsonw_arr(&w);
	for (unsigned int i = 0; i < times; i++) {
		r->nodes = 0;
		render_value(r, btf, id, (uint8_t *)tasks, sizeof(tasks));
	}
	jsonw_arr_end(&w);
	assert_int_equal(jsonw_finish(&w), 0);
	fclose(f);
	free(r);
	btf__free(btf);
	return bytes;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void test_time(void **state)
{
	uint64_t one = render_tasks(1), ten = render_tasks(10);
	double began;

	(void)state;
	/* The text of each is the same, however much is known by then: 3 levels more or less. */
	assert_true(one > LEAVES * 60);
	assert_true(ten / 10 > one - 64 && ten / 10 < one + 64);
	began = seconds();
	render_tasks(100);
	print_message("# %.0f scalars per second, %.0f bytes each\n",
		      100 * LEAVES / (seconds() - began), (double)one / LEAVES);
}

/* 0: cannot be counted. */
static inline unsigned long long instructions(unsigned int times)
{
	unsigned long long n = 0;
	char cmd[600], line[200];
	FILE *p;

	snprintf(cmd, sizeof(cmd),
		 "valgrind --tool=callgrind --callgrind-out-file=/dev/null '%s' %u 2>&1", self, times);
	p = popen(cmd, "r");
	if (!p)
		return 0;
	while (fgets(line, sizeof(line), p))
		if (strstr(line, "Collected : "))
			n = strtoull(strstr(line, "Collected : ") + 12, NULL, 10);
	pclose(p);
	return n;
}

static void test_instructions(void **state)
{
	unsigned long long some = 0, more = 0, each;

	(void)state;
#ifndef __SANITIZE_ADDRESS__
	if (!system("command -v valgrind >/dev/null 2>&1")) {
		some = instructions(2);
		more = instructions(12);
	}
#endif
	if (!some || more <= some) {
		print_message("# valgrind is not there to count instructions\n");
		skip();
	}
	each = (more - some) / (10 * LEAVES);
	print_message("# %llu instructions for a scalar\n", each);
	assert_in_range(each, 20, MOST_INSTRUCTIONS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_instructions),
	};

	self = argv[0];
	if (argc > 1)
		return !render_tasks(atoi(argv[1]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
