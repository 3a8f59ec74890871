// SPDX-License-Identifier: GPL-2.0-only
/* What a process can do once it is in the sandbox: tried by children that end in it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "sandbox.h"

static char dir[] = "/tmp/ktsandbox.XXXXXX";

/* Goes on in the child; a line for each thing that is not as it should be. */
static int wrong;

static void expect(const char *what, long ret, int err)
{
	int got = ret < 0 ? errno : 0;

	if (got == err)
		return;
	fprintf(stderr, "# %s: %s, expected %s\n", what, strerror(got), strerror(err));
	wrong++;
}
#define EXPECT(call, err) do { errno = 0; expect(#call, (long)(call), err); } while (0)

/* No leak check at the end: it would want a thread. */
static void in_child(void (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		fn();
		_exit(wrong);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void put_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chdir(dir) || mkdir("in", 0700) || mkdir("out", 0700))
		return -1;
	put_file("in/there");
	put_file("out/there");
	put_file("out/log");
	put_file("out/stream");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return system("rm -rf \"$PWD\"");
}

static void enter(void)
{
	struct sandbox b;

	sandbox_init(&b);
	sandbox_allow_dir(&b, "in");
	sandbox_allow_file(&b, "/dev/null");
	sandbox_allow_write(&b, "out/log");
	sandbox_allow_read(&b, "out/stream");
	sandbox_allow_file(&b, "not/there/at/all");
	expect("enter", sandbox_enter(&b), 0);
	sandbox_deinit(&b);
}

static void use_files(void)
{
	enter();
	EXPECT(open("in/new.part", O_WRONLY | O_CREAT | O_TRUNC, 0600), 0);
	EXPECT(rename("in/new.part", "in/new"), 0);
	EXPECT(rename("in/new", "in/there"), 0);
	EXPECT(open("in", O_TMPFILE | O_RDWR, 0600), 0);
	EXPECT(fsync(open("in", O_RDONLY | O_DIRECTORY)), 0);
	EXPECT(truncate("in/there", 0), 0);
	EXPECT(open("in/next", O_WRONLY | O_CREAT, 0600), 0);
	EXPECT(unlink("in/there"), 0);
	EXPECT(open("/dev/null", O_WRONLY), 0);
	EXPECT(open("out/log", O_WRONLY | O_APPEND), 0);
	EXPECT(open("out/stream", O_RDONLY), 0);

	EXPECT(open("out/new", O_WRONLY | O_CREAT, 0600), EACCES);
	EXPECT(open("in/../out/there", O_WRONLY), EACCES);
	EXPECT(open("out/there", O_RDONLY), EACCES);
	EXPECT(open("/etc/passwd", O_RDONLY), EACCES);
	EXPECT(open("out/log", O_RDONLY), EACCES);
	EXPECT(open("out/stream", O_WRONLY), EACCES);
	EXPECT(open("out", O_TMPFILE | O_RDWR, 0600), EACCES);
	EXPECT(truncate("out/there", 0), EACCES);
	EXPECT(unlink("out/there"), EACCES);
	EXPECT(rename("in/next", "out/next"), EACCES);
	EXPECT(mkdir("in/dir", 0700), EACCES);
	EXPECT(symlink("/etc/passwd", "in/link"), EPERM);
	EXPECT(link("in/next", "in/other"), EPERM);
	EXPECT(chmod("out/there", 0777), EPERM);
}

static void files(void **state)
{
	(void)state;
	/* What asks for its version. */
	if (syscall(444, NULL, 0, 1) < 3)
		skip();
	in_child(use_files);
	assert_int_equal(access("out/new", F_OK), -1);
}

static void use_calls(void)
{
	char *argv[] = { "/bin/true", NULL }, buf[4];
	int pair[2];

	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	enter();
	EXPECT(execve(argv[0], argv, argv + 1), EPERM);
	EXPECT(fork(), EPERM);
	EXPECT(socket(AF_INET, SOCK_STREAM, 0), EPERM);
	EXPECT(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
	EXPECT(bind(pair[0], NULL, 0), EPERM);
	EXPECT(connect(pair[0], NULL, 0), EPERM);
	EXPECT(kill(getppid(), 0), EPERM);
	EXPECT(ptrace(PTRACE_ATTACH, getppid(), 0, 0), EPERM);
	EXPECT(setuid(getuid()), EPERM);
	EXPECT(mount("none", "in", "tmpfs", 0, NULL), EPERM);
	EXPECT(syscall(SYS_bpf, 0, NULL, 0), EPERM);
	EXPECT(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0), EPERM);
	EXPECT(syscall(SYS_io_uring_setup, 1, NULL), EPERM);
	EXPECT(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
	EXPECT(syscall(SYS_finit_module, -1, "", 0), EPERM);
	EXPECT(ioctl(pair[0], TIOCSTI, "x"), EPERM);
#ifdef __x86_64__
	/* The other ABI of this CPU is no way round. */
	EXPECT(syscall(0x40000000 | SYS_getpid), EPERM);
#endif
	EXPECT(send(pair[0], "abc", 3, MSG_NOSIGNAL), 0);
	EXPECT(recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT), 0);
	EXPECT(shutdown(pair[0], SHUT_WR), 0);
	EXPECT(ioctl(pair[1], FIONREAD, buf), 0);
	free(malloc(64 << 20));
}

static void calls(void **state)
{
	(void)state;
	in_child(use_calls);
}

static void look_at_status(void)
{
	unsigned long long caps = ~0ull;
	int privs = -1, seccomp = -1;
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	enter();
	/* Read after: the file was opened before. */
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "NoNewPrivs: %d", &privs);
		sscanf(line, "Seccomp: %d", &seccomp);
		sscanf(line, "CapEff: %llx", &caps);
	}
	expect("NoNewPrivs", privs == 1 ? 0 : -1, 0);
	expect("Seccomp", seccomp == 2 ? 0 : -1, 0);
	/* CAP_DAC_OVERRIDE at most. */
	expect("CapEff", caps & ~2ull ? -1 : 0, 0);
}

static void status(void **state)
{
	(void)state;
	in_child(look_at_status);
}

static void use_view(void)
{
	sandbox_enter_view("in/page.html");
	EXPECT(open("/etc/passwd", O_RDONLY), 0);
	EXPECT(open("out/there", O_RDONLY), 0);
	EXPECT(open("in/page.html.part", O_WRONLY | O_CREAT, 0600), 0);
	EXPECT(open("out/there", O_WRONLY), EACCES);
	EXPECT(socket(AF_INET, SOCK_STREAM, 0), EPERM);
}

static void view(void **state)
{
	(void)state;
	if (syscall(444, NULL, 0, 1) < 1)
		skip();
	in_child(use_view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(calls),
		cmocka_unit_test(status),
		cmocka_unit_test(view),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
