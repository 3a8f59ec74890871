// SPDX-License-Identifier: GPL-2.0-only
/* Values of all sorts of types: test_render_elf.c has what each of them must become. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define VAR __attribute__((used))

VAR u8 v_u8 = 0xfe;
VAR signed char v_s8 = -2;
VAR char v_char = 'k';
VAR u16 v_u16 = 0xfedc;
VAR short v_s16 = -300;
VAR u32 v_u32 = 0xfedcba98;
VAR int v_s32 = -70000;
VAR u64 v_u64 = 0xfedcba9876543210;
VAR long long v_s64 = (-9223372036854775807LL - 1);
VAR unsigned __int128 v_u128 = ((unsigned __int128)0x0123456789abcdef << 64) | 0x1122334455667788;
VAR _Bool v_true = 1;
VAR volatile u32 v_qualified = 7;
VAR float v_float = 1.5f;
VAR double v_double = -0.1;
VAR double v_inf = __builtin_inf();

enum plain { PLAIN_ZERO, PLAIN_ONE, PLAIN_BIG = 0x7fffffff };
enum negative { NEG = -7, POS = 7 };
enum flags { F_A = 1, F_B = 2, F_C = 4, F_Z = 0x80 };
enum wide { W_SMALL = 1, W_HUGE = 0x123456789abcULL };
enum widesigned { WS_MIN = -0x123456789abcLL, WS_ONE = 1 };
enum __attribute__((packed)) tiny { TINY_A = 1, TINY_MAX = 255 };

VAR enum plain v_plain = PLAIN_BIG;
VAR enum plain v_unnamed = (enum plain)5;
VAR enum negative v_neg = NEG;
VAR enum flags v_flags = (enum flags)(F_A | F_C | F_Z);
VAR enum wide v_wide = W_HUGE;
VAR enum widesigned v_widesigned = WS_MIN;
VAR enum tiny v_tiny = TINY_MAX;

VAR u16 v_array[3] = { 1, 2, 3 };
VAR int v_matrix[2][3] = { { 1, 2, 3 }, { -1, -2, -3 } };
VAR char v_text[4] = "abc";

struct inner {
	u32 a;
	struct {
		u8 b;
		union {
			u16 c;
			u8 d[2];
		};
	};
};

VAR struct inner v_inner = { .a = 1, .b = 2, .c = 0x0304 };
VAR struct inner v_inners[2] = { { .a = 1 }, { .a = 2, .b = 3, .c = 4 } };
VAR union {
	u32 word;
	u8 byte[4];
} v_union = { .word = 0x04030201 };

struct bits {
	u32 three : 3;
	int minus : 5;
	_Bool yes : 1;
	enum plain one : 4;
	enum negative neg : 5;
	u64 across : 40;
	u64 : 3;
	u64 last : 1;
	u32 after;
};

VAR struct bits v_bits = {
	.three = 5, .minus = -9, .yes = 1, .one = PLAIN_ONE, .neg = NEG, .across = 0xabcdef0123,
	.last = 1, .after = 9,
};

struct __attribute__((packed)) packed {
	u8 a;
	u64 b;
	u16 c;
};

VAR struct packed v_packed = { 1, 0x0807060504030201, 3 };

struct flex {
	u32 nr;
	u16 item[];
};

VAR struct flex v_flex = { .nr = 3, .item = { 10, 20, 30 } };
VAR struct flex v_noflex = { .nr = 1 };

struct cpumask {
	unsigned long bits[2];
};

VAR struct cpumask v_mask = { { 0xf1, 1 } };

struct node {
	struct node *next;
	void (*fn)(int arg);
	const struct missing *missing;
	void *any;
};

VAR struct node v_node = { .any = (void *)0x1234 };

struct empty {};
VAR struct {
	struct empty nothing;
	u8 after;
} v_hollow = { .after = 4 };
