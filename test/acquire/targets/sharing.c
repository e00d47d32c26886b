// SPDX-License-Identifier: MIT
/*
 * sharing PRIVATE_MIB SHARED_MIB: private memory that is written once, and shared
 * memory every page of which is written over and over.
 */
#include "target.h"

#define PAGE	4096

int main(int argc, char **argv)
{
	need(argc == 3, "sharing PRIVATE_MIB SHARED_MIB");
	size_t own = atol(argv[1]) << 20, shared = atol(argv[2]) << 20;
	char *memory = mmap(NULL, own, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile long *common = mmap(NULL, shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED && common != MAP_FAILED, "mmap");
	for (size_t at = 0; at < own; at += PAGE)
		memset(memory + at, 1 + at / PAGE % 255, PAGE);
	for (long round = 1; ; round++) {
		for (size_t at = 0; at < shared / sizeof(*common); at += PAGE / sizeof(*common))
			common[at] = round;
		if (round == 1)
			ready();
		usleep(1000);
	}
}
