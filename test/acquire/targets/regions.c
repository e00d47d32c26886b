// SPDX-License-Identifier: MIT
/*
 * regions FILE: memory of all kinds. The n-th region's word at offset o is
 * (n + 1) << 56 | o, in those of its pages that are written to, and the first 16
 * have more such than the later. Words: from 16 on, in pairs, where the n-th region
 * is (0: this machine has none) and how many pages it has. It sleeps in read();
 * each byte it reads has it look at its memory: 1 looks, 2 wrong words, 3 the sum
 * of all words, 4 where its struct rseq is.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stddef.h>
#include "target.h"

extern const ptrdiff_t __rseq_offset __attribute__((weak));

#define PAGE	4096
#define HUGE	(2 << 20)
#define RW	(PROT_READ | PROT_WRITE)
#define PRIVATE	(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

/* The test has the same list. */
enum { ANON, HEAP, SHARED_ANON, SHARED_MEMFD, FILE_MODIFIED, FILE_UNREAD, DONTFORK, WIPEONFORK, PROTNONE, SECRET,
	PARTLY_PAST_END, PAST_END, DEVICE, HUGETLB, THP, RESERVED, REGIONS };

static struct {
	char *at;
	long pages;
} region[REGIONS];

/* Whole huge pages, the first of them; otherwise a few among the first. */
static bool is_written(int n, long page)
{
	if (n == FILE_UNREAD || n == PARTLY_PAST_END || n == PAST_END || n == DEVICE)
		return false;
	if (n == HUGETLB || n == THP)
		return page < HUGE / PAGE;
	return page < 16 && (page % 5 == 1 || page % 5 == 2);
}

static uint64_t pattern(int n, long offset)
{
	return (n + 1ULL) << 56 | offset;
}

static void *have(int n, void *at, long pages)
{
	if (at == MAP_FAILED)
		return NULL;
	region[n].at = at;
	region[n].pages = pages;
	for (long offset = 0; offset < pages * PAGE; offset += 8)
		if (is_written(n, offset / PAGE))
			*(uint64_t *)(region[n].at + offset) = pattern(n, offset);
	return at;
}

static void *map(int n, long pages, int flags, int file, long offset)
{
	void *at = mmap(NULL, pages * PAGE, RW, flags, file, offset);

	/* Where huge pages are given to everybody, a word would bring 512 pages. */
	if (at != MAP_FAILED && !(flags & MAP_HUGETLB))
		madvise(at, pages * PAGE, MADV_NOHUGEPAGE);
	return have(n, at, pages);
}

static void files(const char *path)
{
	int file = open(path, O_RDONLY), shared = memfd_create("shared", 0), brief = memfd_create("brief", 0);
	int secret = syscall(SYS_memfd_secret, 0);
	char page[PAGE];

	need(file >= 0 && !ftruncate(shared, 8 * PAGE), path);
	map(SHARED_MEMFD, 8, MAP_SHARED, shared, 0);
	map(FILE_MODIFIED, 1024, MAP_PRIVATE, file, 0);
	map(FILE_UNREAD, 256, MAP_PRIVATE, file, 512 * PAGE);
	memset(page, 'b', sizeof(page));
	need(write(brief, page, sizeof(page)) == sizeof(page), "write");
	map(PARTLY_PAST_END, 4, MAP_PRIVATE, brief, 0);
	map(PAST_END, 2, MAP_PRIVATE, brief, 8 * PAGE);
	if (secret >= 0 && !ftruncate(secret, 8 * PAGE))
		map(SECRET, 8, MAP_SHARED, secret, 0);
}

static void device(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr) };
	int event = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (event >= 0)
		map(DEVICE, 2, MAP_SHARED, event, 0);
}

static void huge(void)
{
	char *room = mmap(NULL, 3 * HUGE, RW, PRIVATE, -1, 0);
	char *aligned = (char *)(((uintptr_t)room + HUGE - 1) & ~(uintptr_t)(HUGE - 1));

	need(room != MAP_FAILED, "mmap");
	madvise(aligned, HUGE, MADV_HUGEPAGE);	/* a kernel that has none gives small ones */
	have(THP, aligned, HUGE / PAGE);
	map(HUGETLB, 2 * HUGE / PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
}

/* Like others, it cannot read what it protected but by way of the kernel. */
static void look(int memory)
{
	uint64_t words[PAGE / 8];

	for (int n = 0; n < REGIONS; n++)
		for (long page = 0; region[n].at && page < region[n].pages; page++) {
			if (!is_written(n, page))
				continue;
			if (n == SECRET)
				memcpy(words, region[n].at + page * PAGE, PAGE);
			else
				need(pread(memory, words, PAGE, (off_t)region[n].at + page * PAGE) == PAGE, "pread");
			for (int i = 0; i < PAGE / 8; i++) {
				add(2, words[i] != pattern(n, page * PAGE + i * 8));
				add(3, words[i]);
			}
		}
}

int main(int argc, char **argv)
{
	int memory = open("/proc/self/mem", O_RDONLY);
	char byte;

	need(argc == 2, "regions FILE");
	map(ANON, 8, PRIVATE, -1, 0);
	have(HEAP, aligned_alloc(PAGE, 8 * PAGE), 8);
	map(SHARED_ANON, 8, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	map(DONTFORK, 8, PRIVATE, -1, 0);
	map(WIPEONFORK, 8, PRIVATE, -1, 0);
	map(PROTNONE, 8, PRIVATE, -1, 0);
	map(RESERVED, 16384, PRIVATE, -1, 0);
	files(argv[1]);
	device();
	huge();
	need(!madvise(region[DONTFORK].at, 8 * PAGE, MADV_DONTFORK), "MADV_DONTFORK");
	need(!madvise(region[WIPEONFORK].at, 8 * PAGE, MADV_WIPEONFORK), "MADV_WIPEONFORK");
	need(!mprotect(region[PROTNONE].at, 8 * PAGE, PROT_NONE), "mprotect");
	for (int n = 0; n < REGIONS; n++) {
		word[16 + 2 * n] = (long)region[n].at;
		word[17 + 2 * n] = region[n].pages;
	}
	word[4] = (long)pthread_self() + (&__rseq_offset ? __rseq_offset : 0);
	ready();
	while (syscall(SYS_read, 0, &byte, 1) == 1) {
		look(memory);
		add(1, 1);
	}
}
