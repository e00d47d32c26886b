// SPDX-License-Identifier: MIT
/*
 * again: shared memory at one address, all of one byte, 'A', and so much private memory at lower addresses that nobody
 * who reads in order of address has read the shared memory soon. When it reads a byte it executes itself: then the byte
 * there is 'B'. Words: 1 where the shared memory is, 2 how often it has executed.
 */
#include "target.h"

#define AT	((char *)0x200000000000)
#define BYTES	(8 << 20)
#define LOWER	((char *)0x100000000000)
#define LOWER_BYTES	(48 << 20)

int main(int argc, char **argv)
{
	char *lower =
		mmap(LOWER, LOWER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	char *memory = mmap(AT, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
		 byte;

	need(memory == AT && lower == LOWER, "mmap");
	memset(lower, 'L', LOWER_BYTES);
	memset(memory, argc == 1 ? 'A' : 'B', BYTES);
	word[1] = (long)memory;
	add(2, 1);
	ready();
	if (read(0, &byte, 1) == 1)
		execl("/proc/self/exe", argv[0], "again", NULL);
}
