// SPDX-License-Identifier: MIT
/*
 * plenty KIND COUNT: much of something that is little memory. Words: 1 where it
 * is, 2 its bytes, 3 a descriptor of its file (-1: none), 4 an errno where this
 * kernel has no such thing. Its first page and its last are filled with 'b' and 'e'.
 *
 * regions: COUNT regions of a page each, side by side; all pages are filled
 * dontfork: the same, which a fork leaves out
 * private, executable, shared: a memfd of COUNT MiB, mapped so
 * cutoff: the same, mapped privately, and then cut off behind its first page
 * guard: anonymous memory of COUNT MiB, all of it guards (MADV_GUARD_INSTALL) but its first page and its last
 * zeros: anonymous memory of COUNT MiB, all of which was read, and never written to but for those two
 */
#include "target.h"

#define PAGE	4096UL
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif

static void fill_ends(char *memory, size_t length)
{
	memset(memory, 'b', PAGE);
	memset(memory + length - PAGE, 'e', PAGE);
}

static char *regions(size_t count, bool hidden)
{
	size_t length = count * PAGE;
	char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED, "mmap");
	madvise(memory, length, MADV_NOHUGEPAGE);
	memset(memory, 'p', length);
	fill_ends(memory, length);
	for (size_t i = 0; i < count; i += 2)
		need(!mprotect(memory + i * PAGE, PAGE, PROT_READ), "mprotect");
	need(!hidden || !madvise(memory, length, MADV_DONTFORK), "madvise");
	return memory;
}

static char *sparse(const char *kind, size_t length)
{
	bool shared = !strcmp(kind, "shared");
	int fd = memfd_create("plenty", 0);
	char *memory;

	need(fd >= 0 && !ftruncate(fd, length), "memfd");
	memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(memory != MAP_FAILED, "mmap");
	fill_ends(memory, length);
	word[3] = fd;
	if (shared)
		return memory;
	munmap(memory, length);
	memory = mmap(NULL, length, PROT_READ | (strcmp(kind, "executable") ? PROT_WRITE : PROT_EXEC), MAP_PRIVATE, fd, 0);
	need(memory != MAP_FAILED, "mmap");
	need(strcmp(kind, "cutoff") || !ftruncate(fd, PAGE), "ftruncate");
	return memory;
}

static char *anonymous(const char *kind, size_t length)
{
	char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	volatile char sum = 0;

	need(memory != MAP_FAILED, "mmap");
	madvise(memory, length, MADV_NOHUGEPAGE);
	if (!strcmp(kind, "guard") && madvise(memory + PAGE, length - 2 * PAGE, MADV_GUARD_INSTALL))
		word[4] = errno;
	else if (!strcmp(kind, "zeros"))
		for (size_t at = 0; at < length; at += PAGE)
			sum += memory[at];
	fill_ends(memory, length);
	return memory;
}

int main(int argc, char **argv)
{
	need(argc == 3, "plenty KIND COUNT");
	const char *kind = argv[1];
	size_t count = atol(argv[2]);
	bool many = !strcmp(kind, "regions") || !strcmp(kind, "dontfork");
	size_t length = many ? count * PAGE : count << 20;

	word[3] = -1;
	if (many)
		word[1] = (long)regions(count, !strcmp(kind, "dontfork"));
	else if (!strcmp(kind, "guard") || !strcmp(kind, "zeros"))
		word[1] = (long)anonymous(kind, length);
	else
		word[1] = (long)sparse(kind, length);
	word[2] = length;
	ready();
	for (;;)
		pause();
}
