// SPDX-License-Identifier: MIT
/*
 * scanned: one look at this process's own pages by PAGEMAP_SCAN, at more runs than the kernel's own buffer takes (512).
 * Says "ok", what is wrong, or "not here" where this kernel has no such call.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "core/pagemap.h"

#define PAGE	4096UL
#define RUNS	700
#define ROOM	4096

int main(void)
{
	size_t length = 2 * RUNS * PAGE;
	char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int pagemap = open("/proc/self/pagemap", O_RDONLY), got;
	static struct scan_run found[ROOM];
	struct scan_argument arg = {
		.start = (uintptr_t)memory, .end = (uintptr_t)memory + length, .vec = (uintptr_t)found, .vec_len = ROOM,
		.category_mask = PAGE_IS_GUARD, .category_inverted = PAGE_IS_GUARD,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
	};

	madvise(memory, length, MADV_NOHUGEPAGE);
	for (int i = 0; i < RUNS; i++)
		memory[2 * i * PAGE] = 's';
	got = ps_pagemap_scan(pagemap, &arg);
	if (got == -ENOTTY)
		puts("not here");
	else if (got != RUNS)
		printf("%d runs of %d were found\n", got, RUNS);
	else if (arg.walk_end < found[RUNS - 1].end)
		printf("it says that it came to page %ld, and has found page %ld\n",
		       (long)((arg.walk_end - arg.start) / PAGE), (long)((found[RUNS - 1].start - arg.start) / PAGE));
	else
		puts("ok");
}
