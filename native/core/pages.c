// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include "pages.h"
#include "procsnap.h"

#define PAGE	4096UL
#define ENTRIES	(1 << 15)	/* 128 MiB of addresses a read; the kernel holds the lock for 2 MiB at a time */
/* So long the lock of a target's mappings may be held for one look: then more of its addresses are looked at. */
#define SHORT_NS	200000
#define MOST_SPAN	(1ULL << 46)
#define SCANNED	4096

static bool add_run(struct ps_runs *runs, uint64_t start, uint64_t end, uint64_t categories)
{
	struct scan_run *last = runs->count ? &runs->run[runs->count - 1] : NULL;

	if (last && last->end == start && last->categories == categories) {
		last->end = end;
		return true;
	}
	if (runs->count == runs->room) {
		size_t room = runs->room ? 2 * runs->room : 1024;

		last = realloc(runs->run, room * sizeof(*last));
		if (!last)
			return false;
		runs->run = last;
		runs->room = room;
	}
	runs->run[runs->count++] = (struct scan_run){ start, end, categories };
	return true;
}

static uint64_t categories_of(uint64_t entry)
{
	if (is_mark(entry))
		return 0;
	return (entry & ENTRY_PRESENT ? PAGE_IS_PRESENT : 0) | (entry & ENTRY_SWAPPED ? PAGE_IS_SWAPPED : 0) |
		(entry & ENTRY_OF_FILE ? PAGE_IS_FILE : 0);
}

/* Up to @end, or as far as @entries have room. How far, or a negative errno. */
static int64_t read_entries(int pagemap, uint64_t *entries, uint64_t start, uint64_t end, struct ps_runs *runs)
{
	size_t pages = (end - start) / PAGE < ENTRIES ? (end - start) / PAGE : ENTRIES;
	ssize_t got = pread(pagemap, entries, pages * sizeof(*entries), start / PAGE * sizeof(*entries));

	if (got < (ssize_t)sizeof(*entries))
		return got < 0 ? -errno : -ESRCH;
	for (size_t i = 0; i < got / sizeof(*entries); i++, start += PAGE) {
		uint64_t categories = categories_of(entries[i]);

		if (categories & (PAGE_IS_PRESENT | PAGE_IS_SWAPPED) && !add_run(runs, start, start + PAGE, categories))
			return -ENOMEM;
	}
	return start;
}

int ps_pages_read(int pagemap, uint64_t start, uint64_t end, int64_t until_ns, struct ps_runs *runs, uint64_t *walked)
{
	uint64_t *entries = malloc(ENTRIES * sizeof(*entries));
	int64_t at = entries ? (int64_t)start : -ENOMEM;

	while (at >= 0 && (uint64_t)at < end) {
		at = read_entries(pagemap, entries, at, end, runs);
		if (at >= 0)
			*walked = at;
		if (ps_now_ns() > until_ns)
			break;
	}
	free(entries);
	return at < 0 ? at : 0;
}

/* A run that looks swapped out: which of it are pages, its entries tell. */
static int add_swapped(int pagemap, uint64_t *entries, const struct scan_run *run, struct ps_runs *runs)
{
	for (int64_t at = run->start; (uint64_t)at < run->end;) {
		at = read_entries(pagemap, entries, at, run->end, runs);
		if (at < 0)
			return at;
	}
	return 0;
}

int ps_pages_scan(int pagemap, uint64_t start, uint64_t end, uint64_t most_pages, int64_t until_ns,
		  struct ps_runs *runs, uint64_t *walked)
{
	struct scan_run *found = malloc(SCANNED * sizeof(*found));
	uint64_t *entries = malloc(ENTRIES * sizeof(*entries)), entry;
	struct scan_argument arg = {
		.start = start, .end = end, .vec = (uintptr_t)found, .vec_len = SCANNED,
		.max_pages = most_pages, .category_mask = PAGE_IS_GUARD, .category_inverted = PAGE_IS_GUARD,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_FILE | PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_PFNZERO,
	};
	uint64_t span = most_pages * PAGE;
	int got = found && entries ? 0 : -ENOMEM;

	while (got >= 0 && arg.start < end) {
		int64_t begun_ns = ps_now_ns();

		/* Empty page tables are walked without a pause, and under the lock, and do not count as pages. */
		arg.end = most_pages && end - arg.start > span ? arg.start + span : end;
		got = ps_pagemap_scan(pagemap, &arg);
		if (ps_now_ns() - begun_ns < SHORT_NS)
			span = span < MOST_SPAN ? 2 * span : span;
		else if (span > most_pages * PAGE)
			span /= 2;
		for (int i = 0, count = got; i < count && got >= 0; i++) {
			if (found[i].categories & PAGE_IS_SWAPPED)
				got = add_swapped(pagemap, entries, &found[i], runs);
			else if (!add_run(runs, found[i].start, found[i].end, found[i].categories))
				got = -ENOMEM;
		}
		if (got >= 0)
			*walked = arg.start = arg.walk_end;
		if (ps_now_ns() > until_ns)
			break;
	}
	/* Of a process that has ended, no page is found. */
	if (got >= 0 && pread(pagemap, &entry, sizeof(entry), start / PAGE * sizeof(entry)) <= 0)
		got = -ESRCH;
	free(found);
	free(entries);
	return got < 0 ? got : 0;
}

int ps_file_parts(int fd, uint64_t start, uint64_t end, int64_t until_ns, struct ps_runs *runs, uint64_t *walked)
{
	for (*walked = start; *walked < end && ps_now_ns() < until_ns;) {
		off_t data = lseek(fd, *walked, SEEK_DATA), hole;

		if (data < 0 && errno != ENXIO)
			return -errno;
		if (data >= 0 && (uint64_t)data < *walked)	/* no file: a device, which says what it likes */
			return -EINVAL;
		hole = data < 0 || (uint64_t)data >= end ? (off_t)end : lseek(fd, data, SEEK_HOLE);
		if (hole <= data)	/* it was cut off meanwhile */
			hole = end;
		else if (data >= 0 && (uint64_t)data < end &&
			 !add_run(runs, data, (uint64_t)hole < end ? (uint64_t)hole : end, 0))
			return -ENOMEM;
		*walked = hole;
	}
	return 0;
}
