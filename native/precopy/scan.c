// SPDX-License-Identifier: MIT
#include <string.h>
#include <unistd.h>
#include "scan.h"

enum entry_kind { NO_PAGE, PAGE_CLEAN, PAGE_UNKNOWN };

/* PAGEMAP_SCAN shows a mark as a page that is swapped out, and protected if it was. What has changed is unknown. */
static enum entry_kind kind_of(uint64_t entry)
{
	if (!(entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) || is_mark(entry))
		return NO_PAGE;
	if (!(entry & ENTRY_PROTECTED) || entry & ENTRY_OF_FILE || (entry & ENTRY_SWAPPED && !(entry & ENTRY_PLACE)))
		return PAGE_UNKNOWN;
	return PAGE_CLEAN;
}

#define MOST_RUNS	512

struct kept { struct scan_run run[MOST_RUNS]; int count, max; };

static bool keep_run(struct kept *kept, uint64_t start, uint64_t end, uint64_t categories)
{
	struct scan_run *last = kept->count ? &kept->run[kept->count - 1] : NULL;

	if (last && last->end == start && last->categories == categories) {
		last->end = end;
		return true;
	}
	if (kept->count == kept->max)
		return false;
	kept->run[kept->count++] = (struct scan_run){ start, end, categories };
	return true;
}

/* Pages of a run that look swapped out. How far it has come; @run's start where the entries cannot be read. */
static uint64_t keep_swapped(int pagemap, const struct scan_run *run, struct kept *kept)
{
	uint64_t entries[512], categories = run->categories & ~(uint64_t)PAGE_IS_SWAPPED;

	for (uint64_t at = run->start; at < run->end;) {
		size_t pages = (run->end - at) / PAGE < 512 ? (run->end - at) / PAGE : 512;
		ssize_t got = pread(pagemap, entries, pages * sizeof(*entries), at / PAGE * sizeof(*entries));

		if (got < (ssize_t)sizeof(*entries))
			return at;
		for (size_t i = 0; i < got / sizeof(*entries); i++, at += PAGE) {
			enum entry_kind kind = kind_of(entries[i]);

			if (kind != NO_PAGE && !keep_run(kept, at, at + PAGE,
							 categories | (kind == PAGE_UNKNOWN ? PAGE_IS_WRITTEN : 0)))
				return at;
		}
	}
	return run->end;
}

static int without_marks(int pagemap, struct scan_run *runs, int got, int max, uint64_t *walked)
{
	static struct kept kept;

	kept.count = 0;
	kept.max = max < MOST_RUNS ? max : MOST_RUNS;
	for (int i = 0; i < got; i++) {
		uint64_t end = runs[i].end;

		if (runs[i].categories & PAGE_IS_SWAPPED)
			end = keep_swapped(pagemap, &runs[i], &kept);
		else if (!keep_run(&kept, runs[i].start, end, runs[i].categories))
			end = runs[i].start;
		if (end < runs[i].end) {	/* there is no more room */
			*walked = end;
			break;
		}
	}
	memcpy(runs, kept.run, kept.count * sizeof(*runs));
	return kept.count;
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
	if (kind == SCAN_LOOK || kind == SCAN_UNREGISTERED)
		arg.return_mask |= PAGE_IS_SWAPPED;
	got = ps_pagemap_scan(pagemap, &arg);
	*walked = got < 0 ? start : arg.walk_end;
	return got > 0 && arg.return_mask & PAGE_IS_SWAPPED ? without_marks(pagemap, runs, got, max, walked) : got;
}

bool ps_is_huge(int pagemap, uint64_t address)
{
	struct scan_run run;
	struct scan_argument arg = {
		.start = address, .end = address + PAGE, .vec = (uintptr_t)&run, .vec_len = 1,
		.category_mask = PAGE_IS_HUGE, .return_mask = PAGE_IS_HUGE,
	};

	return ps_pagemap_scan(pagemap, &arg) > 0;
}
