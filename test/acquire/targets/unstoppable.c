// SPDX-License-Identifier: MIT
/*
 * unstoppable: a process that its own parent traces, so that nobody else can stop it; it goes by word 1, its pid. It
 * writes one number to the first and to the last page of 16 MiB of private memory, at word 2, again and again: both
 * are never further apart than 1. Words 3 a page that a fork leaves out ('H'), 4 a page that it gives up when word 6 is
 * set; then it maps another one, whose address is word 5.
 */
#include <sys/ptrace.h>
#include "target.h"

#define BYTES	(16 << 20)

static char *map(size_t bytes, char fill)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED, "mmap");
	memset(memory, fill, bytes);
	return memory;
}

static void run(void)
{
	char *memory = map(BYTES, 'M'), *hidden = map(4096, 'H'), *given_up = map(4096, 'G');
	volatile int64_t *first = (int64_t *)memory, *last = (int64_t *)(memory + BYTES - 4096);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	need(!madvise(hidden, 4096, MADV_DONTFORK), "madvise");
	word[2] = (long)memory;
	word[3] = (long)hidden;
	word[4] = (long)given_up;
	*first = *last = 0;
	for (;;) {
		*first += 1;
		*last += 1;
		if (word[6] && !word[5]) {
			munmap(given_up, 4096);
			/* A length of its own, and writable for nobody: no neighbour is joined to it. */
			word[5] = (long)mmap((void *)0x300000000000, 12288, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		}
		if (!(*first % 4096)) {
			word[1] = getpid();
			usleep(1);
		}
	}
}

int main(void)
{
	pid_t child = fork();
	int status;

	if (!child)
		run();
	need(child > 0 && !ptrace(PTRACE_SEIZE, child, 0, 0), "ptrace");
	while (!word[1])
		usleep(500);
	ready();
	while (waitpid(child, &status, __WALL) == child && WIFSTOPPED(status))
		ptrace(PTRACE_CONT, child, 0, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
}
