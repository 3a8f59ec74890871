// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls are refused by a list of those that nobody needs here, not allowed by one
 * of those that somebody does: which ones a C library makes is its own affair and
 * changes. What is on the list leads out of this process: programs, other processes,
 * sockets, the kernel's insides, owners and modes of files. Which files can be opened,
 * Landlock decides.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "log.h"
#include "sandbox.h"

/* ------------------------------------------------------------------- Landlock */

/* From <linux/landlock.h>, which not every distribution has; the numbers are everywhere the same. */
#define NR_CREATE_RULESET	444
#define NR_ADD_RULE		445
#define NR_RESTRICT_SELF	446
#define CREATE_RULESET_VERSION	1u
#define RULE_PATH_BENEATH	1

#define WRITE_FILE	(1ull << 1)
#define READ_FILE	(1ull << 2)
#define READ_DIR	(1ull << 3)
#define REMOVE_FILE	(1ull << 5)
#define MAKE_REG	(1ull << 8)
#define TRUNCATE	(1ull << 14)

struct path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/* Those that a version of it knows about. */
static uint64_t all_rights(long version)
{
	uint64_t rights = (1ull << 13) - 1;

	if (version >= 2)
		rights |= 1ull << 13;	/* to another directory */
	if (version >= 3)
		rights |= TRUNCATE;
	if (version >= 5)
		rights |= 1ull << 15;	/* ioctl() on devices */
	return rights;
}

void sandbox_init(struct sandbox *b)
{
	long version = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);

	b->rules = -1;
	b->handled = version < 1 ? 0 : all_rights(version);
	if (b->handled)
		b->rules = syscall(NR_CREATE_RULESET, &b->handled, sizeof(b->handled), 0);
	if (b->rules < 0)
		log_debug("no Landlock here (%s): files are not restricted", strerror(errno));
}

void sandbox_deinit(struct sandbox *b)
{
	close_p(&b->rules);
	b->rules = -1;
}

/* What is not there cannot be allowed; whoever wants to open it is told why it fails. */
static void allow(struct sandbox *b, const char *path, uint64_t rights)
{
	_cleanup_close_ int fd = b->rules < 0 ? -1 : open(path, O_PATH | O_CLOEXEC);
	struct path_beneath rule = { .parent_fd = fd };
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return;
	if (!S_ISDIR(st.st_mode))
		rights &= WRITE_FILE | READ_FILE | TRUNCATE;
	rule.allowed = rights & b->handled;
	if (syscall(NR_ADD_RULE, b->rules, RULE_PATH_BENEATH, &rule, 0))
		log_debug("sandbox: %s: %s", path, strerror(errno));
}

static void allow_parent(struct sandbox *b, const char *path, uint64_t rights)
{
	_cleanup_free_ char *copy = strdup(path);

	if (copy)
		allow(b, dirname(copy), rights);
}

#define DIR_RIGHTS (READ_FILE | READ_DIR | WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE)

void sandbox_allow_dir(struct sandbox *b, const char *dir)
{
	allow(b, dir, DIR_RIGHTS);
}

void sandbox_allow_file(struct sandbox *b, const char *path)
{
	struct stat st;

	if (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		sandbox_allow_write(b, path);
	else
		allow_parent(b, path, DIR_RIGHTS);
}

void sandbox_allow_write(struct sandbox *b, const char *path)
{
	allow(b, path, WRITE_FILE | TRUNCATE);
}

void sandbox_allow_read(struct sandbox *b, const char *path)
{
	allow(b, path, READ_FILE);
}

void sandbox_allow_unlink(struct sandbox *b, const char *path)
{
	allow_parent(b, path, REMOVE_FILE);
}

/* -------------------------------------------------------------------- seccomp */

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OUR_ARCH AUDIT_ARCH_RISCV64
#elif defined(__s390x__)
#define OUR_ARCH AUDIT_ARCH_S390X
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define OUR_ARCH AUDIT_ARCH_PPC64LE
#else
#define OUR_ARCH 0
#endif

#define X32_BIT 0x40000000u	/* calls of the other x86-64 ABI */

#define N(name) __NR_##name,
static const unsigned int refused[] = {
	/* Programs and processes. Nothing here starts a thread either. */
	N(execve) N(execveat) N(clone) N(ptrace) N(process_vm_readv) N(process_vm_writev) N(kcmp)
	N(kill) N(tkill) N(rt_sigqueueinfo) N(rt_tgsigqueueinfo) N(unshare) N(setns) N(personality)
#ifdef __NR_fork
	N(fork) N(vfork)
#endif
#ifdef __NR_clone3
	N(clone3)
#endif
#ifdef __NR_pidfd_open
	N(pidfd_open) N(pidfd_send_signal)
#endif
#ifdef __NR_pidfd_getfd
	N(pidfd_getfd)
#endif
#ifdef __NR_process_madvise
	N(process_madvise)
#endif
	/* The sockets that are listened on are there. */
	N(socket) N(socketpair) N(connect) N(bind) N(listen)
	/* Who we are. */
	N(setuid) N(setgid) N(setreuid) N(setregid) N(setresuid) N(setresgid) N(setfsuid) N(setfsgid)
	N(setgroups) N(capset)
	/* What Landlock does not ask about. */
	N(fchmod) N(fchmodat) N(fchown) N(fchownat) N(setxattr) N(lsetxattr) N(fsetxattr)
	N(removexattr) N(lremovexattr) N(fremovexattr) N(mknodat) N(linkat) N(symlinkat)
	N(open_by_handle_at)
#ifdef __NR_chmod
	N(chmod) N(chown) N(lchown) N(mknod) N(link) N(symlink)
#endif
#ifdef __NR_fchmodat2
	N(fchmodat2)
#endif
#ifdef __NR_setxattrat
	N(setxattrat) N(removexattrat)
#endif
#ifdef __NR_file_setattr
	N(file_setattr)
#endif
	/* The system. */
	N(mount) N(umount2) N(pivot_root) N(chroot) N(swapon) N(swapoff) N(quotactl) N(acct)
	N(init_module) N(finit_module) N(delete_module) N(kexec_load) N(reboot) N(syslog)
	N(sethostname) N(setdomainname) N(settimeofday) N(clock_settime) N(clock_adjtime) N(adjtimex)
	N(vhangup) N(bpf) N(perf_event_open) N(userfaultfd) N(add_key) N(request_key) N(keyctl)
	N(fanotify_init)
#ifdef __NR_kexec_file_load
	N(kexec_file_load)
#endif
#ifdef __NR_open_tree
	N(open_tree) N(move_mount) N(fsopen) N(fsconfig) N(fsmount) N(fspick)
#endif
#ifdef __NR_mount_setattr
	N(mount_setattr)
#endif
#ifdef __NR_open_tree_attr
	N(open_tree_attr)
#endif
#ifdef __NR_quotactl_fd
	N(quotactl_fd)
#endif
#ifdef __NR_io_uring_setup
	N(io_uring_setup) N(io_uring_enter) N(io_uring_register)
#endif
#ifdef __NR_iopl
	N(iopl) N(ioperm)
#endif
#ifdef __NR_modify_ldt
	N(modify_ldt)
#endif
};
#undef N

#ifdef __s390x__
#define LOW_WORD 4
#else
#define LOW_WORD 0
#endif
#define LOAD(off) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (off))
#define IF(op, value, yes, no) BPF_JUMP(BPF_JMP | (op) | BPF_K, (value), (yes), (no))
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int refuse_calls(void)
{
	static const struct sock_filter head[] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		IF(BPF_JEQ, OUR_ARCH, 1, 0),
		REFUSE,
		LOAD(offsetof(struct seccomp_data, nr)),
#ifdef __x86_64__
		IF(BPF_JGE, X32_BIT, 0, 1),
		REFUSE,
#endif
	}, tail[] = {
		/* A terminal must not be made to type. */
		IF(BPF_JEQ, __NR_ioctl, 1, 0),
		ALLOW,
		LOAD(offsetof(struct seccomp_data, args[1]) + LOW_WORD),
		IF(BPF_JEQ, TIOCSTI, 1, 0),
		IF(BPF_JEQ, 0x541c, 0, 1),	/* TIOCLINUX, which can paste */
		REFUSE,
		ALLOW,
	};
	struct sock_filter code[ARRAY_SIZE(head) + 2 * ARRAY_SIZE(refused) + ARRAY_SIZE(tail)];
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };
	struct sock_filter *p = code;

	memcpy(p, head, sizeof(head));
	p += ARRAY_SIZE(head);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		*p++ = (struct sock_filter)IF(BPF_JEQ, refused[i], 0, 1);
		*p++ = (struct sock_filter)REFUSE;
	}
	memcpy(p, tail, sizeof(tail));
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) ? -errno : 0;
}

/* ----------------------------------------------------------------- privileges */

/*
 * Of root's only the one to write where its directory belongs to somebody else: whoever
 * starts this as root in a user's directory expects the report there.
 */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, caps))
		return -errno;
	caps[0].permitted &= 1u << CAP_DAC_OVERRIDE;
	caps[1].permitted = 0;
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		caps[i].effective &= caps[i].permitted;
		caps[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, caps) ? -errno : 0;
}

int sandbox_enter(struct sandbox *b)
{
	int err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	err = drop_capabilities();
	if (err)
		return err;
	if (b->rules >= 0 && syscall(NR_RESTRICT_SELF, b->rules, 0))
		return -errno;
	err = OUR_ARCH ? refuse_calls() : -EINVAL;
	if (err != -EINVAL)
		return err;
	log_debug("no seccomp filters here: system calls are not restricted");
	return 0;
}

void sandbox_enter_view(const char *output)
{
	_cleanup_sandbox_ struct sandbox b;
	int err;

	sandbox_init(&b);
	allow(&b, "/", READ_FILE | READ_DIR);
	if (output)
		sandbox_allow_file(&b, output);
	err = sandbox_enter(&b);
	if (err)
		log_debug("cannot give up privileges: %s", strerror(-err));
}
