// SPDX-License-Identifier: MIT
/*
 * memory.c - make and measure the memory of a target program
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"

#define HUGE_BYTES	((size_t)2 << 20)

/*
 * smaps_rollup and not statm: it walks the page tables, while statm up to
 * Linux 6.16 adds per-CPU counters that may be 128 KiB per CPU behind.
 */
static size_t rollup_bytes(const char *field)
{
	static const char path[] = "/proc/self/smaps_rollup";
	char text[4096];
	const char *found;
	ssize_t length = -1;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (length < 0)
		fail(EXIT_FAILURE, "%s: %s", path, strerror(errno));
	text[length] = '\0';

	found = strstr(text, field);
	if (!found)
		fail(EXIT_FAILURE, "%s: has no line \"%s\"", path, field);
	return strtoul(found + strlen(field), NULL, 10) * 1024;
}

size_t huge_bytes(void)
{
	return rollup_bytes("\nAnonHugePages:");
}

static char *map_anonymous(size_t bytes)
{
	char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED)
		fail(EXIT_FAILURE, "no memory for a region of %zu KiB: %s",
		     bytes / 1024, strerror(errno));
	return start;
}

/* a huge page needs its own alignment: map 2 MiB more and give the edges back */
static char *map_aligned(size_t bytes)
{
	char *start = map_anonymous(bytes + HUGE_BYTES);
	size_t head = -(uintptr_t)start % HUGE_BYTES;

	if (head)
		munmap(start, head);
	munmap(start + head + bytes, HUGE_BYTES - head);
	return start + head;
}

struct region region_make(size_t bytes, enum pages pages)
{
	uint64_t value = 0;
	uint64_t *word;
	char *start;

	if (pages == PAGES_THP) {
		start = map_aligned(bytes);
		if (madvise(start, bytes, MADV_HUGEPAGE) < 0)
			fail(EXIT_FAILURE, "this kernel has no transparent huge pages: %s",
			     strerror(errno));
	} else {
		start = map_anonymous(bytes);
		/* EINVAL: a kernel without huge pages gives what is wanted anyway */
		if (madvise(start, bytes, MADV_NOHUGEPAGE) < 0 && errno != EINVAL)
			fail(EXIT_FAILURE, "MADV_NOHUGEPAGE: %s", strerror(errno));
	}

	/* a fault less for each page; EINVAL before Linux 5.14, where the stores below take them */
	if (madvise(start, bytes, MADV_POPULATE_WRITE) < 0 && errno != EINVAL)
		fail(EXIT_FAILURE, "no memory for a region of %zu KiB: %s",
		     bytes / 1024, strerror(errno));

	/* odd, so never zero; multiples of a large odd number, so no two words are alike */
	for (word = (uint64_t *)start; word < (uint64_t *)(start + bytes); word++) {
		*word = value | 1;
		value += 2 * 0x9e3779b97f4a7c15;
	}
	return (struct region){ .start = start, .bytes = bytes };
}

struct region region_fill_rss(size_t rss, enum pages pages)
{
	size_t own;

	rollup_bytes("\nRss:");		/* the first call brings in what it needs itself */
	own = rollup_bytes("\nRss:");
	if (rss < own + PAGE_BYTES)
		fail(EXIT_USAGE, "--rss: %zu KiB is too small; the program alone has %zu KiB",
		     rss / 1024, own / 1024);
	return region_make(rss - own, pages);
}
