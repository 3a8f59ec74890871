// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
/*
 * The functions that only compute: to ask the library for an algorithm by its name makes it
 * read its configuration and set up all that it knows, as much work as a small report.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "btf_cache.h"
#include "log.h"

#define SUFFIX		".btf"
#define NAME_LEN	(2 * BTF_HASH_BYTES + sizeof(SUFFIX) - 1)
#define TRIM_EVERY	64	/* files; to look at all of them takes a while */
#define STALE_SECONDS	3600	/* a .part file that nobody finishes any more */

struct btf_cache {
	char *dir;
	bool warned;
	unsigned int untrimmed;	/* files stored since it was looked at how many there are */
};

static void __printf(2, 3) warn_once(struct btf_cache *c, const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	if (c->warned)
		return;
	c->warned = true;
	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	log_warn("BTF cache: %s", buf);
}

static char *default_dir(void)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *ret;

	/* Relative paths are to be ignored, says the standard. */
	if (base && base[0] == '/')
		return asprintf(&ret, "%s/ktdump/btf", base) < 0 ? NULL : ret;
	if (home && home[0] == '/')
		return asprintf(&ret, "%s/.cache/ktdump/btf", home) < 0 ? NULL : ret;
	return NULL;
}

struct btf_cache *btf_cache_open(const char *dir)
{
	struct btf_cache *c;

	if (dir && !strcmp(dir, "none"))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->untrimmed = TRIM_EVERY;
	c->dir = dir ? strdup(dir) : default_dir();
	if (!c->dir) {
		free(c);
		return NULL;
	}
	return c;
}

void btf_cache_close(struct btf_cache *c)
{
	if (!c)
		return;
	free(c->dir);
	free(c);
}

bool btf_hash_is(const uint8_t hash[static BTF_HASH_BYTES], const uint8_t *data, size_t len)
{
	uint8_t own[SHA256_DIGEST_LENGTH];
	SHA256_CTX ctx;

	return SHA256_Init(&ctx) && SHA256_Update(&ctx, data, len) && SHA256_Final(own, &ctx) &&
		!memcmp(hash, own, sizeof(own));
}

static void name_of(const uint8_t *hash, char name[static NAME_LEN + 1])
{
	for (size_t i = 0; i < BTF_HASH_BYTES; i++)
		sprintf(name + 2 * i, "%02x", hash[i]);
	strcat(name, SUFFIX);
}

static int open_dir(struct btf_cache *c)
{
	return open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* And those above it. */
static int make_dir(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0777) && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(copy, 0777) && errno != EEXIST ? -errno : 0;
}

const char *btf_cache_prepare(struct btf_cache *c)
{
	/* Whoever stores something is told what is wrong. */
	if (c)
		make_dir(c->dir);
	return c ? c->dir : NULL;
}

static int read_all(int fd, uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = read(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		buf += n;
		len -= n;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= n;
	}
	return 0;
}

uint8_t *btf_cache_load(struct btf_cache *c, const uint8_t hash[static BTF_HASH_BYTES],
			size_t max, size_t *len_ret)
{
	_cleanup_close_ int dir = c ? open_dir(c) : -1, fd = -1;
	_cleanup_free_ uint8_t *buf = NULL;
	char name[NAME_LEN + 1];
	struct stat st;
	uint8_t *ret;

	if (dir < 0)
		return NULL;
	name_of(hash, name);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (uint64_t)st.st_size > max || st.st_size > BTF_MAX_BYTES)
		return NULL;
	buf = malloc(st.st_size);
	if (!buf || read_all(fd, buf, st.st_size))
		return NULL;
	if (!btf_hash_is(hash, buf, st.st_size)) {
		warn_once(c, "%s/%s is damaged and is removed", c->dir, name);
		unlinkat(dir, name, 0);
		return NULL;
	}
	/* The time says when it was last of use. */
	utimensat(dir, name, NULL, AT_SYMLINK_NOFOLLOW);
	*len_ret = st.st_size;
	ret = buf;
	buf = NULL;
	return ret;
}

struct file {
	char name[NAME_LEN + 1];
	uint64_t size;
	struct timespec used;
};

static int by_use(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec > y->used.tv_sec ? 1 : -1;
	return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

/* Only files that this program makes are touched. */
static bool is_ours(const char *name)
{
	return strspn(name, "0123456789abcdef") == 2 * BTF_HASH_BYTES &&
	       !strncmp(name + 2 * BTF_HASH_BYTES, SUFFIX, sizeof(SUFFIX) - 1);
}

/* Remove the oldest until the rest is small enough. */
static void trim(int dir)
{
	_cleanup_free_ struct file *files = NULL;
	size_t nr = 0, room = 0;
	uint64_t sum = 0;
	struct dirent *e;
	DIR *d;
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d = fd < 0 ? NULL : fdopendir(fd);
	while (d && (e = readdir(d))) {
		struct stat st;

		if (!is_ours(e->d_name) || fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (strlen(e->d_name) != NAME_LEN) {
			if (st.st_mtime < time(NULL) - STALE_SECONDS)
				unlinkat(dir, e->d_name, 0);
			continue;
		}
		if (nr == room) {
			struct file *v = reallocarray(files, room + 64, sizeof(*v));

			if (!v)
				break;
			files = v;
			room += 64;
		}
		strcpy(files[nr].name, e->d_name);
		files[nr].size = st.st_size;
		files[nr++].used = st.st_mtim;
		sum += st.st_size;
	}
	if (d)
		closedir(d);
	if (sum <= BTF_CACHE_MAX_BYTES && nr <= BTF_CACHE_MAX_FILES)
		return;
	qsort(files, nr, sizeof(*files), by_use);
	for (size_t i = 0; i < nr && (sum > BTF_CACHE_MAX_BYTES || nr - i > BTF_CACHE_MAX_FILES); i++) {
		if (!unlinkat(dir, files[i].name, 0))
			sum -= files[i].size;
	}
}

void btf_cache_store(struct btf_cache *c, const uint8_t hash[static BTF_HASH_BYTES],
		     const uint8_t *data, size_t len)
{
	_cleanup_close_ int dir = -1, fd = -1;
	char name[NAME_LEN + 1], part[NAME_LEN + 32];
	int err;

	if (!c || len > BTF_MAX_BYTES)
		return;
	err = make_dir(c->dir);
	if (!err) {
		dir = open_dir(c);
		err = dir < 0 ? -errno : 0;
	}
	if (err) {
		warn_once(c, "%s: %s", c->dir, strerror(-err));
		return;
	}
	name_of(hash, name);
	/* Several collectors may share the directory. */
	snprintf(part, sizeof(part), "%s.%d.part", name, getpid());
	fd = openat(dir, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	err = fd < 0 ? -errno : write_all(fd, data, len);
	if (!err && renameat(dir, part, dir, name))
		err = -errno;
	if (err) {
		warn_once(c, "cannot write %s/%s: %s", c->dir, name, strerror(-err));
		unlinkat(dir, part, 0);
		return;
	}
	/* A guest may send a thousand small ones. */
	if (++c->untrimmed < TRIM_EVERY && len < BTF_CACHE_MAX_BYTES / 1024)
		return;
	c->untrimmed = 0;
	trim(dir);
}
