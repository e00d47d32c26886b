/* SPDX-License-Identifier: MIT */
/* What memory a process has, and what a file: without bringing any of it in, or making any. For an evidence's plan. */
#ifndef PROCSNAP_PAGES_H
#define PROCSNAP_PAGES_H
#include <stddef.h>
#include "pagemap.h"

/* Runs in order, which grow as they are found; free(run) when done. */
struct ps_runs { struct scan_run *run; size_t count, room; };

/*
 * Each of these goes on from @start to @end until CLOCK_MONOTONIC_RAW is @until_ns, but comes some way in any case;
 * @walked is how far. 0, -ENOMEM, or what the kernel gives.
 *
 * Pages in [@start, @end) that the process has, in memory or swapped out, with those categories of FILE, PRESENT,
 * SWAPPED and PFNZERO that they are of; neighbours of one kind are one run. The process's mmap_lock is held for
 * @most_pages of them at a time. @pagemap: its file in /proc, open. -ESRCH: it has ended. -ENOTTY: this kernel has no
 * PAGEMAP_SCAN.
 */
int ps_pages_scan(int pagemap, uint64_t start, uint64_t end, uint64_t most_pages, int64_t until_ns,
		  struct ps_runs *runs, uint64_t *walked);
/* The same, entry by entry, on any kernel: it takes long for much that is not there, and never says PFNZERO. */
int ps_pages_read(int pagemap, uint64_t start, uint64_t end, int64_t until_ns, struct ps_runs *runs, uint64_t *walked);
/* What of a file is no hole, in bytes; up to its end. Of a file system that cannot tell: all of it. */
int ps_file_parts(int fd, uint64_t start, uint64_t end, int64_t until_ns, struct ps_runs *runs, uint64_t *walked);

#endif
