// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/ioctl.h>
#include "scan.h"

/* struct pm_scan_arg of linux/fs.h, which headers before 6.7 do not have. */
struct scan_argument {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN		_IOWR('f', 16, struct scan_argument)
#define PM_SCAN_WP_MATCHING	(1 << 0)

static int scan(int pagemap, struct scan_argument *arg)
{
	int got;

	arg->size = sizeof(*arg);
	got = ioctl(pagemap, PAGEMAP_SCAN, arg);
	return got < 0 ? -errno : got;
}

int ps_scan(int pagemap, enum scan_kind kind, uint64_t start, uint64_t end, struct scan_run *runs, int max,
	    uint64_t *walked)
{
	struct scan_argument arg = {
		.start = start, .end = end, .vec = (uintptr_t)runs, .vec_len = max,
		/* Pages of a file are the file's: what becomes the process's own is written to, and so seen. */
		.category_inverted = PAGE_IS_FILE, .category_mask = PAGE_IS_FILE,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_WPALLOWED | PAGE_IS_WRITTEN,
	};
	int got;

	/*
	 * Not PM_SCAN_CHECK_WPASYNC: where a region is not registered, what was protected before it would be lost with the
	 * error.
	 */
	if (kind == SCAN_ARM) {
		arg.flags = PM_SCAN_WP_MATCHING;
		arg.category_mask |= PAGE_IS_WRITTEN | PAGE_IS_WPALLOWED;
	}
	/* Whole regions are passed over where all are registered: this does not grow with their size. */
	if (kind == SCAN_UNREGISTERED || kind == SCAN_STALE) {
		arg.category_inverted |= PAGE_IS_WPALLOWED;
		arg.category_mask |= PAGE_IS_WPALLOWED;
	}
	if (kind == SCAN_STALE) {
		arg.category_inverted |= PAGE_IS_WRITTEN;
		arg.category_mask |= PAGE_IS_WRITTEN;
	}
	if (kind == SCAN_REGISTERED || kind == SCAN_OPEN) {
		arg.category_mask = PAGE_IS_WPALLOWED;
		arg.category_inverted = kind == SCAN_OPEN ? PAGE_IS_WPALLOWED : 0;
	}
	got = scan(pagemap, &arg);
	*walked = got < 0 ? start : arg.walk_end;
	return got;
}

bool ps_is_huge(int pagemap, uint64_t address)
{
	struct scan_run run;
	struct scan_argument arg = {
		.start = address, .end = address + PAGE, .vec = (uintptr_t)&run, .vec_len = 1,
		.category_mask = PAGE_IS_HUGE, .return_mask = PAGE_IS_HUGE,
	};

	return scan(pagemap, &arg) > 0;
}
