// SPDX-License-Identifier: MIT
/*
 * changing resident MIB	has so much memory, touched, and does what word 3 says: 1 exec() of a program with little
 *				memory, 2 exit, 3 make children again and again.
 * changing scattered PARTS	writes to one page in each of so many parts of 2 MiB, over and over.
 * Word 1 counts turns.
 */
#include "target.h"

#define PART	(2UL << 20)

static char *map(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	need(memory != MAP_FAILED, "mmap");
	madvise(memory, size, MADV_NOHUGEPAGE);
	return memory;
}

static void scatter(size_t parts)
{
	char *memory = map(parts * PART);

	for (bool said = false;; said = true) {
		for (size_t i = 0; i < parts; i++)
			memory[i * PART]++;
		add(1, 1);
		if (!said)
			ready();
	}
}

static void do_as_told(char *program)
{
	pid_t child;

	switch (word[3]) {
	case 1:
		execl(program, program, "resident", "1", NULL);
		break;
	case 2:
		_exit(0);
	case 3:
		child = fork();
		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	size_t amount = argc == 3 ? atol(argv[2]) : 0;

	need(amount, "changing resident MIB, or scattered PARTS");
	if (!strcmp(argv[1], "scattered"))
		scatter(amount);
	memset(map(amount << 20), 1, amount << 20);
	ready();
	for (;;) {
		if (amount > 1)
			do_as_told("/proc/self/exe");
		add(1, 1);
		usleep(500);
	}
}
