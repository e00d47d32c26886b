// SPDX-License-Identifier: MIT
/*
 * held FILE [hide]: memory that a duplicate may not hold. FILE, of 8 pages, is locked (flock(2)) and mapped privately;
 * a memory file of 8 pages, each of which has content, is mapped shared, and its pages 1 and 2 are touched. Pages 1 and
 * 2 of each are written to. `hide`: of another shared memory file, which a fork leaves out, as well. Words: 1 and on
 * where they are; 0 where there is none.
 */
#include <fcntl.h>
#include <sys/file.h>
#include "target.h"

#define PAGE	4096
#define PAGES	8

static char *map(int file, int flags)
{
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, file, 0);

	need(memory != MAP_FAILED, "mmap");
	for (int page = 1; page <= 2; page++)
		memset(memory + page * PAGE, 'a' + page, PAGE);
	return memory;
}

static int memory_file(void)
{
	int file = memfd_create("held", 0);
	char page[PAGE];

	memset(page, 'm', sizeof(page));
	for (int i = 0; i < PAGES; i++)
		need(write(file, page, sizeof(page)) == sizeof(page), "write");
	return file;
}

int main(int argc, char **argv)
{
	int file;

	need(argc == 2 || argc == 3, "held FILE [hide]");
	file = open(argv[1], O_RDWR);
	need(file >= 0 && !flock(file, LOCK_EX), argv[1]);
	word[1] = (long)map(file, MAP_PRIVATE);
	word[2] = (long)map(memory_file(), MAP_SHARED);
	if (argc == 3) {
		word[3] = (long)map(memory_file(), MAP_SHARED);
		need(!madvise((void *)word[3], PAGES * PAGE, MADV_DONTFORK), "madvise");
	}
	ready();
	for (;;)
		pause();
}
