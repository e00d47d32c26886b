/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/pagemap as the kernel has it: its entries, and PAGEMAP_SCAN (pagemap(5), Linux 6.7), whose names and values
 * are of linux/fs.h, which headers before 6.7 do not have.
 */
#ifndef PROCSNAP_PAGEMAP_H
#define PROCSNAP_PAGEMAP_H
#include <stdint.h>
#include <sys/ioctl.h>

/* Categories of a page. */
#define PAGE_IS_WPALLOWED	(1 << 0)
#define PAGE_IS_WRITTEN		(1 << 1)
#define PAGE_IS_FILE		(1 << 2)
#define PAGE_IS_PRESENT		(1 << 3)
#define PAGE_IS_SWAPPED		(1 << 4)
#define PAGE_IS_PFNZERO		(1 << 5)
#define PAGE_IS_HUGE		(1 << 6)
#define PAGE_IS_GUARD		(1 << 8)	/* later than the call itself: -EINVAL where it is not known */

struct scan_run { uint64_t start, end, categories; };	/* struct page_region */

struct scan_argument {					/* struct pm_scan_arg */
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN		_IOWR('f', 16, struct scan_argument)
#define PM_SCAN_WP_MATCHING	(1 << 0)

/*
 * One such call: how many runs, or a negative errno. @arg->walk_end is how far it has come, behind all that it has
 * found. A kernel that does not know PAGE_IS_GUARD is asked again without it, and @arg is left so.
 */
int ps_pagemap_scan(int pagemap, struct scan_argument *arg);

/* Bits of an entry. */
#define ENTRY_PROTECTED		(1ULL << 57)
#define ENTRY_GUARD		(1ULL << 58)	/* Linux 6.15 */
#define ENTRY_OF_FILE		(1ULL << 61)
#define ENTRY_SWAPPED		(1ULL << 62)
#define ENTRY_PRESENT		(1ULL << 63)
#define ENTRY_PLACE		((1ULL << 55) - 1)	/* of what is swapped out; 0: without CAP_SYS_ADMIN it is not told */
#define ENTRY_SWAP_FILE		31ULL			/* of the place; the last one is that of all marks */

/*
 * The page table may have a mark where there is no page: of one that was
 * protected and given up, where a file is mapped or pages are of hugetlbfs; or a
 * guard (MADV_GUARD_INSTALL). It looks like a page that is swapped out.
 */
static inline int is_mark(uint64_t entry)
{
	return entry & ENTRY_GUARD || (entry & ENTRY_SWAPPED && (entry & ENTRY_SWAP_FILE) == ENTRY_SWAP_FILE);
}

#endif
