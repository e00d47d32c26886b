// SPDX-License-Identifier: MIT
/*
 * What harms a target on purpose, so that the soak's detectors are seen to work,
 * and rivals that are no harm:
 * sabotage register PID		changes r12 (rbx where it is not in a call)
 * sabotage cut PID			stops and lets go, as a debugger does: calls that were blocked return EINTR
 * sabotage forge PID RESULT		the call in which it is blocked returns that
 * sabotage steal PID			takes away the next signal
 * sabotage twin PID SECONDS		makes it fork(), and keeps the child stopped
 * sabotage poke PID ADDRESS		changes a byte
 * sabotage signal PID SIGNAL		one that nobody expects
 * sabotage call PID NUMBER A B C D	makes it execute a system call
 * sabotage keep PID FD SECONDS		holds a descriptor of its
 * sabotage rival PID MS		seizes it, and looks on: whoever else wants to trace it is refused
 * sabotage burn SECONDS		keeps a CPU busy
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t tids[1000];
static int count;

static int failed(const char *what)
{
	perror(what);
	return 1;
}

static int seize_all(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	folder = opendir(path);
	if (!folder)
		return failed(path);
	while ((entry = readdir(folder)) && count < 1000)
		if (atoi(entry->d_name) && !ptrace(PTRACE_SEIZE, atoi(entry->d_name), 0, PTRACE_O_TRACESYSGOOD))
			tids[count++] = atoi(entry->d_name);
	closedir(folder);
	return count ? 0 : failed("PTRACE_SEIZE");
}

static void stop(pid_t tid)
{
	int status;

	ptrace(PTRACE_INTERRUPT, tid, 0, 0);
	while (waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status) && status >> 16 != PTRACE_EVENT_STOP)
		ptrace(PTRACE_CONT, tid, 0, (long)WSTOPSIG(status));
}

static int change_registers(void)
{
	for (int i = 0; i < count; i++) {
		struct user_regs_struct regs;

		stop(tids[i]);
		if (!ptrace(PTRACE_GETREGS, tids[i], 0, &regs)) {
			regs.r12 ^= 1;
			regs.r10 ^= 1;
			regs.r15 ^= 1;
			ptrace(PTRACE_SETREGS, tids[i], 0, &regs);
		}
		ptrace(PTRACE_DETACH, tids[i], 0, 0);
	}
	return 0;
}

static int cut(void)
{
	for (int i = 0; i < count; i++) {
		stop(tids[i]);
		ptrace(PTRACE_DETACH, tids[i], 0, 0);
	}
	return 0;
}

/* A thread that is blocked in a call, the first one first. */
static int forge(pid_t tid, long result)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	for (int tries = 0; tries < 2000; tries++) {
		struct user_regs_struct regs;

		if (ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD))
			return failed("PTRACE_SEIZE");
		stop(tid);
		if (ptrace(PTRACE_GETREGS, tid, 0, &regs))
			return failed("PTRACE_GETREGS");
		/* EINTR, or what has the kernel restart it: ERESTARTSYS and the others. */
		if ((long)regs.orig_rax >= 0 &&
			((long)regs.rax == -EINTR || ((long)regs.rax <= -512 && (long)regs.rax >= -516))) {
			regs.rax = result;
			regs.orig_rax = -1;
			ptrace(PTRACE_SETREGS, tid, 0, &regs);
			return ptrace(PTRACE_DETACH, tid, 0, 0) ? failed("PTRACE_DETACH") : 0;
		}
		ptrace(PTRACE_DETACH, tid, 0, 0);
		nanosleep(&nap, NULL);
	}
	return 1;
}

static int steal(void)
{
	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0)
			return failed("waitpid");
		if (!WIFSTOPPED(status) || status >> 16)
			continue;
		ptrace(PTRACE_CONT, tid, 0, 0);
		return 0;		/* our end lets all go */
	}
}

static int poke(pid_t pid, uint64_t address)
{
	uint8_t byte;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	if (fd < 0 || pread(fd, &byte, 1, address) != 1)
		return failed(path);
	byte ^= 1;
	return pwrite(fd, &byte, 1, address) == 1 ? 0 : failed(path);
}

static void next_stop(pid_t tid)
{
	int status;

	ptrace(PTRACE_SYSCALL, tid, 0, 0);
	while (waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status) && WSTOPSIG(status) != (SIGTRAP | 0x80))
		ptrace(PTRACE_SYSCALL, tid, 0, 0);
}

/* At its next call, in place of it: that one it then makes again. */
static int call(pid_t tid, const long *arguments, long *result)
{
	struct user_regs_struct regs, old;

	stop(tid);
	next_stop(tid);
	if (ptrace(PTRACE_GETREGS, tid, 0, &old))
		return failed("PTRACE_GETREGS");
	regs = old;
	regs.orig_rax = arguments[0];
	regs.rdi = arguments[1];
	regs.rsi = arguments[2];
	regs.rdx = arguments[3];
	regs.r10 = arguments[4];
	ptrace(PTRACE_SETREGS, tid, 0, &regs);
	next_stop(tid);
	ptrace(PTRACE_GETREGS, tid, 0, &regs);
	*result = regs.rax;
	old.rax = old.orig_rax;
	old.rip -= 2;
	ptrace(PTRACE_SETREGS, tid, 0, &old);
	return ptrace(PTRACE_DETACH, tid, 0, 0) ? failed("PTRACE_DETACH") : 0;
}

static int twin(pid_t pid, int seconds)
{
	const long fork_call[5] = { SYS_fork };
	long child;
	int err;

	/* The child is traced from its first moment, and does not run. */
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK))
		return failed("PTRACE_SEIZE");
	err = call(pid, fork_call, &child);
	if (err || child <= 0)
		return 1;
	sleep(seconds);
	kill(child, SIGKILL);
	return 0;
}

static int keep(pid_t pid, int fd, int seconds)
{
	int process = syscall(SYS_pidfd_open, pid, 0);

	if (process < 0 || syscall(SYS_pidfd_getfd, process, fd, 0) < 0)
		return failed("pidfd_getfd");
	sleep(seconds);
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Signals that it gets are handed on meanwhile. */
static int watch(int64_t ms)
{
	const struct timespec nap = { .tv_nsec = 1000000 };

	for (int64_t until = now_ns() + ms * 1000000; now_ns() < until; nanosleep(&nap, NULL)) {
		int status;
		pid_t tid;

		while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
			if (WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_STOP)
				ptrace(WSTOPSIG(status) == SIGTRAP ? PTRACE_CONT : PTRACE_LISTEN, tid, 0, 0);
			else if (WIFSTOPPED(status))
				ptrace(PTRACE_CONT, tid, 0, (long)WSTOPSIG(status));
	}
	return 0;
}

int main(int argc, char **argv)
{
	pid_t pid = argc > 2 ? atoi(argv[2]) : 0;
	long arguments[5] = { 0 }, result;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 3; i < argc && i < 8; i++)
		arguments[i - 3] = strtol(argv[i], NULL, 0);
	if (pid <= 0)
		return 2;
	if (!strcmp(argv[1], "register"))
		return seize_all(pid) ?: change_registers();
	if (!strcmp(argv[1], "cut"))
		return seize_all(pid) ?: cut();
	if (!strcmp(argv[1], "poke"))
		return poke(pid, arguments[0]);
	if (!strcmp(argv[1], "signal"))
		return kill(pid, arguments[0]) ? failed("kill") : 0;
	if (!strcmp(argv[1], "call"))
		return ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) ? failed("PTRACE_SEIZE")
																   : call(pid, arguments, &result);
	if (!strcmp(argv[1], "twin"))
		return twin(pid, arguments[0]);
	if (!strcmp(argv[1], "forge"))
		return forge(pid, arguments[0]);
	if (!strcmp(argv[1], "steal"))
		return seize_all(pid) ?: steal();
	if (!strcmp(argv[1], "keep"))
		return keep(pid, arguments[0], arguments[1]);
	if (!strcmp(argv[1], "rival"))
		return seize_all(pid) ?: watch(arguments[0]);
	if (!strcmp(argv[1], "burn"))
		for (int64_t until = now_ns() + pid * 1000000000LL; now_ns() < until;)
			;
	return 0;
}
