// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kprobes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "symbols.h"

unsigned long ktd_sym[KTD_NR_SYMBOLS];

static const struct {
	const char *name;
	const char *lost;
} symbols[KTD_NR_SYMBOLS] = {
#define X(id, n, l) [KTD_SYM_##id] = { .name = n, .lost = l },
	KTD_SYMBOLS(X)
#undef X
};

const char *ktd_symbol_name(enum ktd_symbol sym)
{
	return symbols[sym].name;
}

const char *ktd_symbol_lost(enum ktd_symbol sym)
{
	return symbols[sym].lost;
}

/*
 * register_kprobe() looks the name up and notes the address before it refuses
 * a place that is not text, so the failed call answers the question
 * (kernel/kprobes.c). A name that is text after all is unregistered at once.
 */
static unsigned long symbol_find(const char *name)
{
	struct kprobe kp = { .symbol_name = name };

	if (!register_kprobe(&kp))
		unregister_kprobe(&kp);
	return (unsigned long)kp.addr;
}

bool ktd_symbol_probeable(const char *name)
{
	struct kprobe kp = { .symbol_name = name };

	if (register_kprobe(&kp))
		return false;
	unregister_kprobe(&kp);
	return true;
}

static int symbol_set(char *item)
{
	char *addr = strchr(item, ':');
	unsigned long val;
	int i;

	if (!addr)
		return -EINVAL;
	*addr++ = '\0';
	if (kstrtoul(addr, 16, &val) || !val)
		return -EINVAL;
	for (i = 0; i < KTD_NR_SYMBOLS; i++) {
		if (strcmp(symbols[i].name, item))
			continue;
		ktd_sym[i] = val;
		return 0;
	}
	return -EINVAL;
}

static int symbols_set(const char *given)
{
	char *copy = kstrdup(given, GFP_KERNEL);
	char *pos = copy, *item;
	int ret = 0;

	if (!copy)
		return -ENOMEM;
	while (!ret && (item = strsep(&pos, ",\n"))) {
		if (*item)
			ret = symbol_set(item);
	}
	kfree(copy);
	return ret;
}

int ktd_symbols_resolve(const char *given)
{
	int ret, i;

	if (given && *given) {
		ret = symbols_set(given);
		if (ret) {
			pr_err("parameter sym: expected name:hexaddress,... with names of kernel data that this module uses\n");
			return ret;
		}
	}
	for (i = 0; i < KTD_NR_SYMBOLS; i++) {
		unsigned long found = symbol_find(symbols[i].name);

		/* some of them are used without a net: idr_get_next() */
		if (ktd_sym[i] && found && ktd_sym[i] != found) {
			pr_err("parameter sym: %s is not at 0x%lx on this boot\n",
			       symbols[i].name, ktd_sym[i]);
			return -EINVAL;
		}
		ktd_sym[i] = ktd_sym[i] ?: found;
	}
	return 0;
}
