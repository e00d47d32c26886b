// SPDX-License-Identifier: MIT
/*
 * Not a way of reading but the floor under all of them: the same number of
 * bytes copied within this process, from memory of its own.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "ways.h"

static ssize_t copy(struct ps_reader *reader, uint64_t address, void *buffer, size_t length)
{
	static void *source;
	static size_t size;

	(void)reader;
	(void)address;
	if (size < length) {	/* the first, warm-up round */
		if (source)
			munmap(source, size);
		source = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (source == MAP_FAILED) {
			source = NULL;
			size = 0;
			return -ENOMEM;
		}
		memset(source, 0x5a, length);	/* written: else every page would be the one zero page */
		size = length;
	}
	memcpy(buffer, source, length);
	return length;
}

const struct ps_way_ops ps_memcpy = { .read = copy };
