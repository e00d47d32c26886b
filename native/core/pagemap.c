// SPDX-License-Identifier: MIT
#include <errno.h>
#include "pagemap.h"

int ps_pagemap_scan(int pagemap, struct scan_argument *arg)
{
	const struct scan_run *found = (const struct scan_run *)(uintptr_t)arg->vec;
	int got;

	arg->size = sizeof(*arg);
	got = ioctl(pagemap, PAGEMAP_SCAN, arg);
	if (got < 0 && errno == EINVAL && arg->category_mask & PAGE_IS_GUARD) {
		arg->category_mask &= ~(uint64_t)PAGE_IS_GUARD;
		arg->category_inverted &= ~(uint64_t)PAGE_IS_GUARD;
		got = ioctl(pagemap, PAGEMAP_SCAN, arg);
	}
	if (got < 0)
		return -errno;
	/*
	 * Where the kernel's own buffer was full and the walk then came to its end, walk_end is still that of the buffer
	 * (fs/proc/task_mmu.c, do_pagemap_scan(): "isn't set when ret is zero"), and some runs would be found again.
	 */
	if (got && found[got - 1].end > arg->walk_end)
		arg->walk_end = found[got - 1].end;
	return got;
}
