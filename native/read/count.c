// SPDX-License-Identifier: MIT
/*
 * Which system calls does one ps_read() make? Not computed: counted by an
 * observer. A child reads @length bytes of a process of its own with the very
 * function that is timed, and every system call that it makes between two
 * markers stops it (PTRACE_SYSCALL) and is counted by its number.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "procsnap.h"

#define MARKER	SYS_getppid		/* called by nothing else here */

static void read_watched(enum ps_way way, size_t length, uint8_t *memory, uint8_t *buffer)
{
	struct ps_reader reader;
	int status;
	pid_t victim;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	victim = fork();		/* has the same memory at the same address */
	if (!victim) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	ptrace(PTRACE_SEIZE, victim, 0, 0);
	ptrace(PTRACE_INTERRUPT, victim, 0, 0);
	waitpid(victim, &status, __WALL);
	status = ps_reader_open(&reader, way, victim);
	if (!status && way == PS_WAY_MEMCPY)
		ps_read(&reader, 0, buffer, length);	/* its first round makes its source */
	if (!status) {
		syscall(MARKER);
		status = ps_read(&reader, (uint64_t)memory, buffer, length) == (ssize_t)length &&
			 (way == PS_WAY_MEMCPY || !memcmp(memory, buffer, length)) ? 0 : 1;
		syscall(MARKER);
	}
	kill(victim, SIGKILL);
	_exit(status ? 1 : 0);
}

static int watch(pid_t child, uint32_t *calls, int max)
{
	bool entry = true, counting = false;
	struct user_regs_struct regs;
	int status;

	if (waitpid(child, &status, __WALL) != child || !WIFSTOPPED(status))
		return -ECHILD;
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (int sig = 0;; sig = 0) {
		ptrace(PTRACE_SYSCALL, child, 0, (long)sig);
		if (waitpid(child, &status, __WALL) != child)
			return -ECHILD;
		if (WIFEXITED(status))
			return WEXITSTATUS(status) || counting ? -EIO : 0;
		if (WIFSIGNALED(status))
			return -EIO;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			sig = WSTOPSIG(status);
			continue;
		}
		if (entry && !ptrace(PTRACE_GETREGS, child, 0, &regs)) {
			if (regs.orig_rax == MARKER)
				counting = !counting;
			else if (counting && (long)regs.orig_rax >= 0 && (long)regs.orig_rax < max)
				calls[regs.orig_rax]++;
		}
		entry = !entry;
	}
}

int ps_count_calls(enum ps_way way, size_t length, uint32_t *calls, int max)
{
	uint8_t *memory;
	pid_t child;
	int err;

	memset(calls, 0, max * sizeof(*calls));
	if ((ssize_t)length < 1)
		return ps_fail(
			-EINVAL, "the system calls of reading 1 or more bytes can be counted, not of %zd", (ssize_t)length);
	memory = mmap(NULL, length * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return ps_fail(-ENOMEM, "there is no memory to count the system calls of reading %zu bytes", length);
	memset(memory, 0xa5, length);
	child = fork();
	if (!child)
		read_watched(way, length, memory, memory + length);
	err = child < 0 ? -errno : watch(child, calls, max);
	if (child > 0 && err) {
		kill(child, SIGKILL);
		waitpid(child, NULL, __WALL);
	}
	munmap(memory, length * 2);
	return err ? ps_fail(err, "the system calls of reading %zu bytes could not be counted", length) : 0;
}
