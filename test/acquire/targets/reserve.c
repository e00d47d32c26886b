// SPDX-License-Identifier: MIT
/*
 * reserve MIB TOUCHED_MIB STEP: so much memory in one region, of whose beginning
 * it touches every STEP-th page, TOUCHED_MIB in all. Words: 1 where the region is.
 */
#include "target.h"

#define PAGE	4096

int main(int argc, char **argv)
{
	need(argc == 4, "reserve MIB TOUCHED_MIB STEP");
	size_t length = atol(argv[1]) << 20, pages = (atol(argv[2]) << 20) / PAGE, step = atol(argv[3]);
	char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	need(memory != MAP_FAILED, "mmap");
	madvise(memory, length, MADV_NOHUGEPAGE);
	for (size_t page = 0; page < pages; page++)
		memset(memory + page * step * PAGE, 1 + page % 255, PAGE);
	word[1] = (long)memory;
	ready();
	for (;;)
		pause();
}
