// SPDX-License-Identifier: GPL-2.0-only
/* The form is that of YYJSON_WRITE_PRETTY_TWO_SPACES, to the byte. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "jsonw.h"
#include "utf8.h"

static void write_out(struct jsonw *w, const char *s, size_t len)
{
	if (fwrite_unlocked(s, 1, len, w->out) != len && !w->error)
		w->error = errno ? -errno : -EIO;
}

void jsonw_flush(struct jsonw *w)
{
	write_out(w, w->buf, w->fill);
	w->fill = 0;
}

static inline void put(struct jsonw *w, const char *s, size_t len)
{
	if (len > sizeof(w->buf) - w->fill) {
		jsonw_flush(w);
		if (len > sizeof(w->buf)) {
			write_out(w, s, len);
			return;
		}
	}
	memcpy(w->buf + w->fill, s, len);
	w->fill += len;
}

static inline void put_char(struct jsonw *w, char c)
{
	*jsonw_reserve(w, 1) = c;
	w->fill++;
}

#define LINE_ROOM (2 + 2 * JSONW_MAX_DEPTH + 32)

/* A line end and what stands before the next value; LINE_ROOM of room at p. */
static inline char *new_line(const struct jsonw *w, char *p)
{
	size_t len = 2 * w->depth;

	*p++ = '\n';
	/* In steps that are all alike, so the last one may write more than counts. */
	for (size_t i = 0; i < len; i += 32)
		memset(p + i, ' ', 32);
	return p + len;
}

/*
 * Where this value goes, with what stands between it and what came before: LINE_ROOM and
 * more bytes of room are left. NULL: write no more.
 */
static inline char *begin_value(struct jsonw *w, size_t more)
{
	char *p = jsonw_reserve(w, LINE_ROOM + more);

	if (w->error)
		return NULL;
	if (w->keyed) {
		w->keyed = false;
		return p;
	}
	if (!w->depth)
		return p;
	*p = ',';
	p += w->full[w->depth];
	w->full[w->depth] = true;
	return new_line(w, p);
}

static inline void end_value(struct jsonw *w, char *p)
{
	w->fill = p - w->buf;
}

void jsonw_init(struct jsonw *w, FILE *out)
{
	*w = (struct jsonw){ .out = out };
}

int jsonw_finish(struct jsonw *w)
{
	if (w->error)
		return w->error;
	put_char(w, '\n');
	jsonw_flush(w);
	if (fflush(w->out) && !w->error)
		w->error = errno ? -errno : -EIO;
	return w->error;
}

/* The same where text of any length follows. */
static bool begin(struct jsonw *w)
{
	char *p = begin_value(w, 0);

	if (p)
		end_value(w, p);
	return p;
}

static void open_level(struct jsonw *w, char c)
{
	char *p = begin_value(w, 1);

	if (!p)
		return;
	if (w->depth == JSONW_MAX_DEPTH) {
		w->error = -ELOOP;
		return;
	}
	*p++ = c;
	w->full[++w->depth] = false;
	end_value(w, p);
}

static void close_level(struct jsonw *w, char c)
{
	char *p = jsonw_reserve(w, LINE_ROOM + 1);

	if (w->error)
		return;
	if (w->full[w->depth--])
		p = new_line(w, p);
	*p++ = c;
	end_value(w, p);
}

void jsonw_obj(struct jsonw *w)
{
	open_level(w, '{');
}

void jsonw_obj_end(struct jsonw *w)
{
	close_level(w, '}');
}

void jsonw_arr(struct jsonw *w)
{
	open_level(w, '[');
}

void jsonw_arr_end(struct jsonw *w)
{
	close_level(w, ']');
}

void jsonw_key(struct jsonw *w, const char *key)
{
	size_t len = strlen(key);
	char *p = begin_value(w, len + 4);

	if (!p)
		return;
	*p++ = '"';
	memcpy(p, key, len);
	memcpy(p + len, "\": ", 3);
	end_value(w, p + len + 3);
	w->keyed = true;
}

void jsonw_word(struct jsonw *w, const char *word)
{
	size_t len = strlen(word);
	char *p = begin_value(w, len + 2);

	if (!p)
		return;
	*p++ = '"';
	memcpy(p, word, len);
	p[len] = '"';
	end_value(w, p + len + 1);
}

static void put_escaped(struct jsonw *w, unsigned char c)
{
	static const char short_form[] = "\bb\tt\nn\ff\rr\"\"\\\\";
	static const char digits[] = "0123456789ABCDEF";
	char buf[6] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };

	for (const char *p = short_form; *p; p += 2) {
		if (c == (unsigned char)*p) {
			buf[1] = p[1];
			put(w, buf, 2);
			return;
		}
	}
	put(w, buf, sizeof(buf));
}

/* How many bytes from there on need neither an escape nor a look at their UTF-8. */
static inline size_t plain_run(const char *s, size_t len)
{
	const uint64_t ones = UINT64_MAX / 255, tops = ones << 7;
	size_t i = 0;

	/* Eight at once: a byte that may be special leaves its top bit set. */
	for (uint64_t v, quote, slash; len - i >= sizeof(v); i += sizeof(v)) {
		memcpy(&v, s + i, sizeof(v));
		quote = v ^ ones * '"';
		slash = v ^ ones * '\\';
		if ((v | (v - ones * 0x20) | (quote - ones) | (slash - ones)) & tops)
			break;
	}
	while (i < len && (signed char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')
		i++;
	return i;
}

/* A string of the document or of the guest, with its quotes. */
static void put_text(struct jsonw *w, const char *s, size_t len)
{
	size_t from = 0, i = 0;

	put_char(w, '"');
	while (i < len) {
		unsigned char c;
		size_t n;

		i += plain_run(s + i, len - i);
		if (i == len)
			break;
		c = s[i];
		n = utf8_len((const unsigned char *)s + i, len - i);
		if (n > 1) {
			i += n;
			continue;
		}
		put(w, s + from, i - from);
		if (n)
			put_escaped(w, c);
		else
			put(w, UTF8_REPLACEMENT, UTF8_REPLACEMENT_LEN);
		from = ++i;
	}
	put(w, s + from, len - from);
	put_char(w, '"');
}

void jsonw_text(struct jsonw *w, const char *s, size_t len)
{
	if (begin(w))
		put_text(w, s, strnlen(s, len));
}

void jsonw_str(struct jsonw *w, const char *s)
{
	if (begin(w))
		put_text(w, s, strlen(s));
}

#define TEN(d) d "0" d "1" d "2" d "3" d "4" d "5" d "6" d "7" d "8" d "9"

/* The two digits of v, which end there. */
static inline char *pair(char *end, uint32_t v)
{
	static const char pairs[] = TEN("0") TEN("1") TEN("2") TEN("3") TEN("4")
				    TEN("5") TEN("6") TEN("7") TEN("8") TEN("9");

	return memcpy(end - 2, pairs + 2 * v, 2);
}

static inline char *four(char *end, uint32_t v)
{
	return pair(pair(end, v % 100), v / 100);
}

char *jsonw_digits(char *p, uint64_t v, bool negative)
{
	char buf[40], *d = buf + 20;
	uint32_t low;

	if (negative)
		*p++ = '-';
	if (v < 10) {
		*p = '0' + v;
		return p + 1;
	}
	/* Eight and four at once: to divide 32 bits takes half as long as 64. */
	for (; v > UINT32_MAX; v /= 100000000) {
		low = v % 100000000;
		d = four(four(d, low % 10000), low / 10000);
	}
	for (low = v; low >= 10000; low /= 10000)
		d = four(d, low % 10000);
	if (low >= 100) {
		d = pair(d, low % 100);
		low /= 100;
	}
	if (low >= 10)
		d = pair(d, low);
	else
		*--d = '0' + low;
	/* Always 20: no call, and what is too much will be overwritten. */
	memcpy(p, d, 20);
	return p + (buf + 20 - d);
}

void jsonw_u64(struct jsonw *w, uint64_t v)
{
	char *p = begin_value(w, JSONW_DIGITS);

	if (p)
		end_value(w, jsonw_digits(p, v, false));
}

void jsonw_i64(struct jsonw *w, int64_t v)
{
	char *p = begin_value(w, JSONW_DIGITS);

	if (p)
		end_value(w, jsonw_digits(p, v < 0 ? -(uint64_t)v : (uint64_t)v, v < 0));
}

void jsonw_bool(struct jsonw *w, bool v)
{
	if (begin(w))
		put(w, v ? "true" : "false", v ? 4 : 5);
}

void jsonw_null(struct jsonw *w)
{
	if (begin(w))
		put(w, "null", 4);
}

void jsonw_real(struct jsonw *w, double v)
{
	char room[512], *text = NULL;
	yyjson_val val = {};
	yyjson_alc alc;
	size_t len;

	if (!begin(w))
		return;
	yyjson_set_real(&val, v);
	if (isfinite(v) && yyjson_alc_pool_init(&alc, room, sizeof(room)))
		text = yyjson_val_write_opts(&val, 0, &alc, &len, NULL);
	if (text)
		put(w, text, len);
	else
		put(w, "null", 4);
}

/*
 * What a byte becomes, of a size that is copied at once: what is too much will be
 * overwritten.
 */
static char hex_of[256][4];
static struct {
	char text[7];
	uint8_t len;
} number_of[256];

static void __attribute__((constructor)) fill_bytes(void)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned int i = 0; i < 256; i++) {
		memcpy(hex_of[i], (char []){ digits[i >> 4], digits[i & 15], ' ', 0 }, 4);
		number_of[i].len = sprintf(number_of[i].text, "%u, ", i);
	}
}

#define BYTES_AT_ONCE	1024	/* their text takes less than half of the buffer */

void jsonw_hex(struct jsonw *w, const uint8_t *data, size_t len)
{
	if (!begin(w))
		return;
	put_char(w, '"');
	while (len) {
		size_t n = len < BYTES_AT_ONCE ? len : BYTES_AT_ONCE;
		char *p = jsonw_reserve(w, 8 * BYTES_AT_ONCE);

#pragma GCC unroll 8
		for (size_t i = 0; i < n; i++, p += 3)
			memcpy(p, hex_of[data[i]], 4);
		data += n;
		len -= n;
		/* No blank behind the last one. */
		end_value(w, len ? p : p - 1);
	}
	put_char(w, '"');
}

void jsonw_bytes(struct jsonw *w, const uint8_t *data, size_t len)
{
	if (!begin(w))
		return;
	put_char(w, '[');
	while (len) {
		size_t n = len < BYTES_AT_ONCE ? len : BYTES_AT_ONCE;
		char *p = jsonw_reserve(w, 8 * BYTES_AT_ONCE);

#pragma GCC unroll 8
		for (size_t i = 0; i < n; i++) {
			memcpy(p, &number_of[data[i]], 8);
			p += number_of[data[i]].len;
		}
		data += n;
		len -= n;
		end_value(w, len ? p : p - 2);
	}
	put_char(w, ']');
}

static void put_array(struct jsonw *w, yyjson_mut_val *val)
{
	yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(val);
	yyjson_mut_val *item;

	jsonw_arr(w);
	while ((item = yyjson_mut_arr_iter_next(&it)) && !w->error)
		jsonw_val(w, item);
	jsonw_arr_end(w);
}

static void put_object(struct jsonw *w, yyjson_mut_val *val)
{
	yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(val);
	yyjson_mut_val *key;

	jsonw_obj(w);
	while ((key = yyjson_mut_obj_iter_next(&it)) && begin(w)) {
		put_text(w, yyjson_mut_get_str(key), yyjson_mut_get_len(key));
		put(w, ": ", 2);
		w->keyed = true;
		jsonw_val(w, yyjson_mut_obj_iter_get_val(key));
	}
	jsonw_obj_end(w);
}

void jsonw_val(struct jsonw *w, yyjson_mut_val *val)
{
	switch (yyjson_mut_get_tag(val)) {
	case YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_FALSE:
	case YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_TRUE:
		jsonw_bool(w, yyjson_mut_get_bool(val));
		return;
	case YYJSON_TYPE_NUM | YYJSON_SUBTYPE_UINT:
		jsonw_u64(w, yyjson_mut_get_uint(val));
		return;
	case YYJSON_TYPE_NUM | YYJSON_SUBTYPE_SINT:
		jsonw_i64(w, yyjson_mut_get_sint(val));
		return;
	case YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL:
		jsonw_real(w, yyjson_mut_get_real(val));
		return;
	}
	if (yyjson_mut_is_str(val)) {
		if (begin(w))
			put_text(w, yyjson_mut_get_str(val), yyjson_mut_get_len(val));
	} else if (yyjson_mut_is_arr(val)) {
		put_array(w, val);
	} else if (yyjson_mut_is_obj(val)) {
		put_object(w, val);
	} else {
		jsonw_null(w);
	}
}
