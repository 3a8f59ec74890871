// SPDX-License-Identifier: GPL-2.0-only
#include "nofault.h"

/*
 * Nine of ten reads are of one number, for which copy_from_kernel_nofault() takes three
 * times as many instructions as this. Its checks are the same.
 */
static bool read_number(void *dst, const void *src, size_t len)
{
	pagefault_disable();
	switch (len) {
	case 8:
		__get_kernel_nofault(dst, src, u64, err_fault);
		break;
	case 4:
		__get_kernel_nofault(dst, src, u32, err_fault);
		break;
	case 2:
		__get_kernel_nofault(dst, src, u16, err_fault);
		break;
	default:
		__get_kernel_nofault(dst, src, u8, err_fault);
		break;
	}
	pagefault_enable();
	return true;

err_fault:
	pagefault_enable();
	return false;
}

bool ktd_read(void *dst, unsigned long addr, size_t len)
{
	const void *src = (const void *)addr;
	bool ok;

	if (!addr)
		return false;
	ktd_fault_note_read(addr, len);
	if (len <= sizeof(u64) && is_power_of_2(len) && ktd_is_kernel(addr))
		ok = read_number(dst, src, len);
	else
		ok = !copy_from_kernel_nofault(dst, src, len);
	if (ok)
		ktd_fault_read(dst, len);
	return ok;
}
