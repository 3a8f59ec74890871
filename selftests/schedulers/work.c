// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks with known names for the scheduler tests.
 *
 *   work spin NAME COUNT [CPU]     threads that use the CPU all the time
 *   work yield NAME COUNT [CPU]    threads that call sched_yield() all the time
 *   work clock NAME COUNT [CPU]    threads that read CLOCK_MONOTONIC all the time
 *   work sleepers NAME COUNT [CPU] threads that wake up 100 times a second
 *   work hog NAME COUNT [CPU]      as spin, with SCHED_FIFO, priority 50; without a CPU,
 *                                  each has one of its own, from 0 on
 *   work wake NAME COUNT [CPU]     threads that sleep until all are there and are
 *                                  then woken once, one by one, in the order of
 *                                  the "task I TID" lines; prints "woken" then
 *   work pi NAME [CPU]             NAME-low holds a lock and uses the CPU, and
 *                                  NAME-high, of SCHED_FIFO, waits for the lock;
 *                                  prints "task 0 TID" (low), "task 1 TID" (high)
 *   work once NAME                 one task of that name that runs a moment
 *   work now                       CLOCK_MONOTONIC in nanoseconds
 *   work kthreads                  on PREEMPT_RT: raises threads that stand for interrupts
 *                                  above all of these
 *   work vsock PORT BYTES CHUNK [sum]  sends BYTES to the host in pieces of CHUNK, "sum":
 *                                  with a CRC32C of each; prints the nanoseconds until
 *                                  the host has closed the connection
 *
 * WORK_SECONDS in the environment: a signal ends it after so long, for what nothing else
 * could end because nothing else gets a CPU.
 *
 * A NAME of more than one thread gets a number: victim0, victim1, ...  All but
 * "once", "now", "kthreads" and "vsock" stay until they are killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <glob.h>
#include <linux/futex.h>
#include <linux/vm_sockets.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "crc32c.h"

enum kind { SPIN, YIELD, SLEEPERS, WAKE, HOG, CLOCK, NR_KINDS };

struct worker {
	pthread_t thread;
	int tid;
	uint32_t go;
	char name[16];
};

static enum kind kind;
static int pi_tid;

static void die(const char *what)
{
	fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long futex(uint32_t *at, int op, uint32_t val)
{
	return syscall(SYS_futex, at, op, val, NULL, NULL, 0);
}

static void nap(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long vsock_ns(unsigned int port, long long bytes, size_t chunk, bool sum)
{
	struct sockaddr_vm to = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	char *buf = calloc(1, chunk);
	long long start;

	if (fd < 0 || !buf || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("no connection to the host");
	start = now_ns();
	/* First how much: vhost-device-vsock keeps a half-closed connection to itself. */
	if (send(fd, &bytes, sizeof(bytes), 0) != sizeof(bytes))
		die("the host takes nothing");
	while (bytes > 0) {
		size_t len = bytes < (long long)chunk ? (size_t)bytes : chunk;
		ssize_t n;

		if (sum)
			*(uint32_t *)buf = crc32c(0, buf, len);
		n = send(fd, buf, len, 0);
		if (n < 0)
			die("the host takes nothing");
		bytes -= n;
	}
	if (read(fd, buf, 1))
		die("the host did not take it all");
	return now_ns() - start;
}

/*
 * What interrupts do elsewhere threads of priority 1 do on PREEMPT_RT: timers, RCU, irq_work.
 * Realtime tasks, and the kernel's own that attaches a scheduler, must not keep these off.
 */
static void raise_kthreads(void)
{
	static const char * const names[] = { "ktimers/", "rcuc/", "irq_work/" };
	glob_t found;

	if (glob("/proc/[0-9]*/comm", 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *f = fopen(found.gl_pathv[i], "r");
		char comm[16] = "";
		int pid = 0;

		if (!f)
			continue;
		if (!fgets(comm, sizeof(comm), f) || sscanf(found.gl_pathv[i], "/proc/%d", &pid) != 1)
			comm[0] = '\0';
		fclose(f);
		for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
			if (!strncmp(comm, names[k], strlen(names[k])) &&
			    sched_setscheduler(pid, SCHED_FIFO, &(struct sched_param){ .sched_priority = 60 }))
				die("cannot raise the priority of a kernel thread");
	}
	globfree(&found);
}

static void *worker(void *arg)
{
	struct worker *w = arg;
	volatile unsigned long n = 0;

	__atomic_store_n(&w->tid, (int)gettid(), __ATOMIC_SEQ_CST);
	/*
	 * The name comes from outside and only while this thread sleeps: from
	 * then on the scheduler may never let it run again.
	 */
	while (!__atomic_load_n(&w->go, __ATOMIC_SEQ_CST))
		futex(&w->go, FUTEX_WAIT_PRIVATE, 0);

	if (kind == HOG && sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 50 }))
		die("cannot become a realtime task");
	for (;;) {
		switch (kind) {
		case SPIN:
		case HOG:
			n++;
			break;
		case YIELD:
			sched_yield();
			break;
		case CLOCK:
			now_ns();
			break;
		case NR_KINDS:
			break;
		case SLEEPERS:
		case WAKE:
			nap(10);
			break;
		}
	}
	return NULL;
}

/* Is the thread off the CPU, sleeping? */
static int asleep(int tid)
{
	char path[64], line[256];
	const char *p;
	FILE *f;
	int yes = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fgets(line, sizeof(line), f)) {
		p = strrchr(line, ')');
		yes = p && p[1] == ' ' && p[2] == 'S';
	}
	fclose(f);
	return yes;
}

static void pin_task(int tid, long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(tid, sizeof(set), &set))
		die("cannot use that CPU");
}

static void pin(long cpu)
{
	pin_task(0, cpu);
}

static pthread_mutex_t lock;

static void *pi_high(void *arg)
{
	struct sched_param high = { .sched_priority = 10 };

	prctl(PR_SET_NAME, arg);
	__atomic_store_n(&pi_tid, (int)gettid(), __ATOMIC_SEQ_CST);
	if (sched_setscheduler(0, SCHED_FIFO, &high))
		die("cannot become a realtime task");
	pthread_mutex_lock(&lock);
	return NULL;
}

/* Does not return: the boost stays as long as the lock is held. */
static void pi(const char *name)
{
	pthread_mutexattr_t attr;
	pthread_t thread;
	char low[16], high[16];
	volatile unsigned long n = 0;

	snprintf(low, sizeof(low), "%.9s-low", name);
	snprintf(high, sizeof(high), "%.9s-high", name);
	prctl(PR_SET_NAME, low);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&lock, &attr);
	pthread_mutex_lock(&lock);
	errno = pthread_create(&thread, NULL, pi_high, high);
	if (errno)
		die("cannot make a thread");
	while (!__atomic_load_n(&pi_tid, __ATOMIC_SEQ_CST) || !asleep(pi_tid))
		nap(5);
	printf("task 0 %d\ntask 1 %d\n", (int)gettid(), pi_tid);
	fflush(stdout);
	for (;;)
		n++;
}

int main(int argc, char **argv)
{
	static const char * const kinds[] = { "spin", "yield", "sleepers", "wake", "hog", "clock" };
	const char *name;
	struct worker *w;
	pthread_attr_t attr;
	size_t k;
	long n;

	if (getenv("WORK_SECONDS"))
		alarm(atoi(getenv("WORK_SECONDS")));
	if (argc == 2 && !strcmp(argv[1], "now")) {
		printf("%lld\n", now_ns());
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "kthreads")) {
		raise_kthreads();
		return 0;
	}
	if ((argc == 5 || argc == 6) && !strcmp(argv[1], "vsock")) {
		printf("%lld\n", vsock_ns(atoi(argv[2]), atoll(argv[3]), atoll(argv[4]), argc == 6));
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "once")) {
		prctl(PR_SET_NAME, argv[2]);
		/*
		 * Woken so often under its name: one that wakes to an idle CPU goes there
		 * by itself, and no scheduler sees it.
		 */
		for (n = 0; n < 20; n++)
			nap(10);
		return 0;
	}
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "pi")) {
		if (argc == 4)
			pin(atol(argv[3]));
		pi(argv[2]);
	}
	for (k = 0; argc >= 4 && k < NR_KINDS && strcmp(argv[1], kinds[k]); k++)
		;
	n = argc >= 4 ? atol(argv[3]) : 0;
	if (argc < 4 || argc > 5 || k == NR_KINDS || n < 1) {
		fputs("usage: work spin|yield|clock|sleepers|wake|hog NAME COUNT [CPU], work pi NAME [CPU], work once NAME, work now, work kthreads\n",
		      stderr);
		return 2;
	}
	kind = k;
	name = argv[2];
	/* Waking on the same CPU puts the task into its queue before it returns. */
	if (argc == 5)
		pin(atol(argv[4]));
	else if (kind == WAKE)
		pin(0);
	else if (kind == HOG)
		pin(n - 1);

	w = calloc(n, sizeof(*w));
	if (!w)
		die("memory");
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	for (long i = 0; i < n; i++) {
		if (n == 1)
			snprintf(w[i].name, sizeof(w[i].name), "%.15s", name);
		else
			snprintf(w[i].name, sizeof(w[i].name), "%.10s%ld", name, i % 100000);
		errno = pthread_create(&w[i].thread, &attr, worker, &w[i]);
		if (errno)
			die("cannot make a thread");
	}
	for (long i = 0; i < n; i++) {
		while (!__atomic_load_n(&w[i].tid, __ATOMIC_SEQ_CST) || !asleep(w[i].tid))
			nap(5);
		pthread_setname_np(w[i].thread, w[i].name);
		/*
		 * One that is woken behind another hog might never become one, and this
		 * thread must not be where the first ones run.
		 */
		if (kind == HOG && argc == 4)
			pin_task(w[i].tid, i);
	}
	/* from when they run, not from when there was time to make them */
	if (getenv("WORK_SECONDS"))
		alarm(atoi(getenv("WORK_SECONDS")));
	for (long i = 0; i < n; i++) {
		printf("task %ld %d\n", i, w[i].tid);
		if (kind == WAKE)
			fflush(stdout);
	}
	for (long i = 0; i < n; i++) {
		__atomic_store_n(&w[i].go, 1, __ATOMIC_SEQ_CST);
		futex(&w[i].go, FUTEX_WAKE_PRIVATE, 1);
	}
	printf("woken\n");
	fflush(stdout);
	for (;;)
		pause();
}
