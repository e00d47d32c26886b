/* SPDX-License-Identifier: MIT */
/* Which pages a process has, and which were written to since they were protected: PAGEMAP_SCAN of pagemap(5), 6.7. */
#ifndef PROCSNAP_SCAN_H
#define PROCSNAP_SCAN_H
#include "core/pagemap.h"
#include "procsnap.h"

#define PAGE		4096UL
#define CHUNK		((uint64_t)PS_PRECOPY_CHUNK_BYTES)

enum scan_kind {
	SCAN_ARM,		/* pages that were written to, of regions that are registered: protect them */
	SCAN_LOOK,		/* pages that the process has, with WRITTEN and WPALLOWED; nothing is done to them */
	SCAN_UNREGISTERED,	/* those of regions that are not registered, or are not any more: mremap(2) */
	SCAN_STALE,		/* of these, pages that look protected still, and are not */
	SCAN_REGISTERED,	/* any page of a region that is registered, with whichever userfaultfd(2) */
	SCAN_OPEN,		/* any page of a region that is not */
};

/*
 * The target's pages of no file in [@start, @end), which are in memory or swapped out; neighbours of one kind are one
 * run. How many runs, or a negative errno; @walked is how far it has come. Of a target that has ended, or has another
 * program, no page is found. @pagemap: /proc/PID/pagemap, open.
 */
int ps_scan(int pagemap, enum scan_kind kind, uint64_t start, uint64_t end, struct scan_run *runs, int max,
	    uint64_t *walked);
static inline bool is_protected(const struct scan_run *run)
{
	return (run->categories & (PAGE_IS_WRITTEN | PAGE_IS_WPALLOWED)) == PAGE_IS_WPALLOWED;
}

/* Does a huge page begin at @address, or go on there? */
bool ps_is_huge(int pagemap, uint64_t address);

#endif
