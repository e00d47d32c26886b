// SPDX-License-Identifier: GPL-2.0
/* Random treatment of a duplicate, and its end. */
#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

void maltreat(pid_t pid)
{
	static char buffer[16384];
	struct iovec local = { buffer, chance(sizeof(buffer)) }, remote = { NULL, local.iov_len };
	struct iovec vector = { buffer, sizeof(buffer) };
	cpu_set_t cpus;
	char path[64];
	unsigned long from = 0;
	int fd;

	switch (chance(14)) {
	case 0:
		kill(pid, chance(65));
		break;
	case 1:
		if (trace_stop(pid) >= 0) {
			ptrace(PTRACE_GETREGSET, pid, chance(2) ? NT_X86_XSTATE : NT_PRSTATUS, &vector);
			if (chance(2))
				ptrace(PTRACE_SETREGSET, pid, chance(2) ? NT_X86_XSTATE : NT_PRSTATUS,
				       &vector);
			if (chance(2))
				ptrace(PTRACE_POKEUSER, pid, chance(27) * 8, chance(0));
			/* refused if there is no such signal: then it has not gone on */
			if (!ptrace(chance(2) ? PTRACE_CONT : PTRACE_SINGLESTEP, pid, 0, chance(65)) &&
			    chance(2))
				trace_again(pid);
			if (chance(2))
				trace_detach(pid);
		}
		break;
	case 2:
		if (slurp_of(pid, "maps", buffer, sizeof(buffer)) > 0 && sscanf(buffer, "%lx-", &from) == 1) {
			remote.iov_base = (void *)from;
			process_vm_readv(pid, &local, 1, &remote, 1, 0);
			process_vm_writev(pid, &local, 1, &remote, 1, 0);
		}
		break;
	case 3:
		slurp_of(pid, (const char *[]){ "smaps", "status", "stat", "auxv", "environ", "cmdline",
			 "wchan", "stack", "syscall", "cgroup", "mountinfo", "numa_maps", "io", "limits",
			 "sched", "personality", "oom_score" }[chance(17)], buffer, sizeof(buffer));
		break;
	case 4:
		setpriority(PRIO_PROCESS, pid, chance(40) - 20);
		break;
	case 5:
		CPU_ZERO(&cpus);
		CPU_SET(chance(2), &cpus);
		sched_setaffinity(pid, sizeof(cpus), &cpus);
		sched_setscheduler(pid, chance(2) ? SCHED_OTHER : SCHED_FIFO,
				   &(struct sched_param){ .sched_priority = 0 });
		break;
	case 6:
		snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		fd = open(path, O_RDWR);
		if (fd >= 0) {
			if (pread(fd, buffer, 64, chance(1UL << 47)) < 0 ||
			    pwrite(fd, buffer, 64, 0x400000) < 0)
				errno = 0;
			close(fd);
		}
		break;
	case 7:
		setpgid(pid, chance(2) ? 0 : getpid());
		break;
	case 8:
		snprintf(path, sizeof(path), "/proc/%d/clear_refs", pid);
		write_text(path, "%lu", 1 + chance(5));
		break;
	case 9:
		snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
		write_text(path, "%ld", (long)chance(2000) - 1000);
		break;
	case 10:
		prlimit(pid, chance(16), &(struct rlimit){ 1000, 1000 }, NULL);
		break;
	case 11:
		fd = syscall(SYS_pidfd_open, pid, 0);
		if (fd >= 0) {
			remote.iov_base = (void *)0x400000;
			syscall(SYS_process_madvise, fd, &remote, 1, chance(26), 0);
			if (chance(4) == 0)
				kill(pid, SIGKILL);
			syscall(SYS_process_mrelease, fd, 0);
			close(fd);
		}
		break;
	case 12:
		syscall(SYS_migrate_pages, pid, 0, NULL, NULL);
		syscall(SYS_kcmp, pid, getpid(), chance(8), 0, 0);
		break;
	}
}

void end_maltreated(pid_t pid)
{
	double end = now() + patience_s();
	int status;
	pid_t got;

	kill(pid, SIGKILL);
	do {
		got = waitpid(pid, &status, __WALL | WNOHANG);
		if (got == pid && WIFSTOPPED(status))
			got = 0;
		if (!got)
			sched_yield();
	} while (!got && now() < end);
	/* one that was killed while it was waited for to stop has been reaped by that */
	if (got < 0 && kill(pid, 0))
		return;
	if (got != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		note("duplicate %d ended with %x (%d)", pid, status, got);
		word[WRONG_END]++;
	}
}
