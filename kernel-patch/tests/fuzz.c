// SPDX-License-Identifier: GPL-2.0
/*
 * Random arguments of both calls, random treatment of what they return, and
 * targets that do what they can to be in the way; the callers are killed now
 * and then. What must hold: few errnos, nothing is left, the kernel lives.
 * --seconds=N (10) --seed=N (printed)
 */
#include <elf.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/snap.h"

#define HOSTILE	6
#define CALLERS	2
enum { STOP = 1, CALLS = 16, TAKEN, WRONG_ERRNO, WRONG_LEFT, WRONG_END, PIDS = 32, LAST = 48, ERRNOS = 64 };

static __thread unsigned long state;

static unsigned long chance(unsigned long below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? state % below : state;
}

static void begin_chance(unsigned long seed)
{
	state = seed * 0x9e3779b97f4a7c15UL + 88172645463325252UL;
	chance(0);
}

/* --- targets --- */

static void nothing(int signal)
{
	(void)signal;
}

static void map_something(void)
{
	static __thread char *maps[8];
	static __thread size_t sizes[8];
	int i = chance(8);

	if (maps[i]) {
		switch (chance(4)) {
		case 0:
			mprotect(maps[i], sizes[i] / 2, chance(8) & 7);
			return;
		case 1:
			madvise(maps[i], sizes[i], chance(26));
			return;
		case 2:
			mlock(maps[i], sizes[i]);
			return;
		}
		munmap(maps[i], sizes[i]);
		maps[i] = NULL;
		return;
	}
	sizes[i] = PAGE << chance(11);
	maps[i] = mmap(NULL, sizes[i], PROT_READ | PROT_WRITE,
		       (chance(2) ? MAP_PRIVATE : MAP_SHARED) | MAP_ANONYMOUS |
		       (chance(4) ? 0 : MAP_POPULATE) | (chance(8) ? 0 : MAP_GROWSDOWN), -1, 0);
	if (maps[i] == MAP_FAILED)
		maps[i] = NULL;
	else if (chance(2))
		memset(maps[i], 1, sizes[i]);
}

/* A region nobody answers for, and a fork event nobody reads. */
static void watch_something(void)
{
	struct uffdio_api api = { .api = UFFD_API,
		.features = chance(2) ? UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP : 0 };
	struct uffdio_register range = { .mode = 1 + chance(3) };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	char *at;

	if (fd < 0)
		return;
	at = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at != MAP_FAILED && !ioctl(fd, UFFDIO_API, &api)) {
		range.range.start = (long)at;
		range.range.len = 16 * PAGE;
		ioctl(fd, UFFDIO_REGISTER, &range);
	}
	if (chance(4))
		close(fd);
}

static void pin_something(void)
{
	char *at = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = pin(at, 16 * PAGE);

	if (fd < 0) {
		munmap(at, 16 * PAGE);
		return;
	}
	mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (chance(3))
		close(fd);
	if (chance(2))
		munmap(at, 16 * PAGE);
}

static void *brief(void *unused)
{
	return unused;
}

static void *hostile_thread(void *seed);

static void fork_something(void)
{
	pid_t child = chance(3) ? fork() : vfork();

	if (!child)
		_exit(0);
	if (child < 0)
		return;
	if (chance(4) == 0) {
		ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL);
		ptrace(PTRACE_INTERRUPT, child, 0, 0);
	}
	if (chance(2))
		kill(child, SIGKILL);
	waitpid(child, NULL, __WALL);
}

static void hostile_step(void)
{
	char *argv[] = { OWN_PROGRAM, "--hostile", NULL }, *none[] = { NULL };
	struct rlimit limit;
	pthread_t thread;

	switch (chance(40)) {
	case 0:
		if (chance(20) == 0)
			_exit(0);
		break;
	case 1:
		if (chance(10) == 0)
			execve(OWN_PROGRAM, argv, none);
		break;
	case 2: case 3:
		if (!pthread_create(&thread, NULL, brief, NULL))
			pthread_detach(thread);
		break;
	case 4:
		if (threads_of(getpid()) < 6 &&
		    !pthread_create(&thread, NULL, hostile_thread, (void *)chance(0)))
			pthread_detach(thread);
		break;
	case 5: case 6:
		fork_something();
		break;
	case 7:
		watch_something();
		break;
	case 8:
		pin_something();
		break;
	case 9:
		prctl(PR_SET_DUMPABLE, chance(2));
		break;
	case 10:
		kill(getpid(), SIGUSR1 + chance(2) * (SIGUSR2 - SIGUSR1));
		break;
	case 11:
		setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 500 }, { 0, 500 } }, NULL);
		break;
	case 12:
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
		break;
	case 13:
		limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
		setrlimit(RLIMIT_MEMLOCK, &limit);
		mlockall(chance(2) ? MCL_FUTURE : MCL_CURRENT | 4);
		munlockall();
		break;
	case 14:
		if (chance(200) == 0)
			*(volatile int *)0 = 0;
		break;
	case 15:
		if (chance(30) == 0)
			kill(getpid(), SIGSTOP);
		break;
	case 16:
		sched_yield();
		break;
	case 17:
		if (chance(30) == 0)
			pthread_exit(NULL);
		break;
	case 18:
		/* itself, and its partners */
		snap_end(snap(chance(2) ? getpid() : word[PIDS + chance(HOSTILE)]));
		break;
	case 19:
		prctl(PR_SET_NAME, (char[16]){ (char)chance(256), (char)chance(256), 0 });
		break;
	default:
		map_something();
	}
}

static void *hostile_thread(void *seed)
{
	begin_chance((unsigned long)seed);
	for (;;)
		hostile_step();
	return NULL;
}

static void hostile(void *seed)
{
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	setrlimit(RLIMIT_AS, &(struct rlimit){ 512 << 20, 512 << 20 });
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	hostile_thread(seed);
}

/* --- callers --- */

static bool allowed(int error)
{
	switch (error) {
	case EINVAL: case ESRCH: case EBADF: case E2BIG: case EFAULT: case EAGAIN: case ENOMEM:
		return true;
	}
	return false;
}

static int some_pidfd(void)
{
	if (chance(4) == 0)
		return (int)chance(2) ? (int)chance(0) : (int)chance(8);
	return syscall(SYS_pidfd_open, (pid_t)word[PIDS + chance(HOSTILE)], 0);
}

static pid_t some_pid(void)
{
	switch (chance(16)) {
	case 0: return chance(0);
	case 1: return 0;
	case 2: return -1;
	case 3: return getpid();
	case 4: return chance(300);
	case 5: return word[LAST + chance(CALLERS)];
	case 6: return word[PIDS + chance(HOSTILE)] + chance(20);
	}
	return word[PIDS + chance(HOSTILE)];
}

static char *edge;	/* end of a page, then nothing; a page that cannot be written */
static char *readonly;

static pid_t random_call(void)
{
	struct proc_snap_thread threads[16];
	struct proc_snap_args args = { }, *at = &args;
	size_t size = sizeof(args);
	int fd = -1;
	pid_t result;

	if (chance(3) == 0)
		return snap(some_pid());
	args.target = some_pid();
	if (chance(3) == 0) {
		args.flags = PROC_SNAP_PIDFD;
		args.target = fd = some_pidfd();
	}
	if (chance(10) == 0)
		args.flags |= 1UL << chance(64);
	switch (chance(8)) {
	case 0: args.threads = 8; args.nr_threads = 1; break;
	case 1: args.threads = (long)edge - chance(64); args.nr_threads = chance(4); break;
	case 2: args.threads = chance(0); args.nr_threads = chance(0); break;
	case 3: args.threads = (long)readonly; args.nr_threads = 4; break;
	case 4: case 5: args.threads = (long)threads; args.nr_threads = chance(17); break;
	}
	switch (chance(16)) {
	case 0: size = chance(256); break;
	case 1: size = chance(0); break;
	case 2: size = PAGE + chance(2); break;
	}
	switch (chance(16)) {
	case 0: at = NULL; break;
	case 1: at = (void *)chance(0); break;
	case 2: at = (void *)(edge - chance(200)); break;
	case 3:
		mprotect(readonly, PAGE, PROT_READ | PROT_WRITE);
		memcpy(readonly, &args, sizeof(args));
		mprotect(readonly, PAGE, PROT_READ);
		at = (void *)readonly;
		break;
	}
	if (size > sizeof(args) && at == &args)
		size = sizeof(args);
	result = snap2(at, size);
	if (fd > 2 + CALLERS)
		close(fd);
	return result;
}

static void maltreat(pid_t pid)
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

static void end_maltreated(pid_t pid)
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

static void calling(void *seed)
{
	pid_t held[4] = { }, result;
	int i, more, status;

	begin_chance((unsigned long)seed);
	setpriority(PRIO_PROCESS, 0, -15);
	edge = (char *)map_private(2 * PAGE) + PAGE;
	munmap(edge, PAGE);
	readonly = map_private(PAGE);
	mprotect(readonly, PAGE, PROT_READ);
	while (!word[STOP]) {
		result = random_call();
		__sync_fetch_and_add(&word[CALLS], 1);
		if (result < 0) {
			__sync_fetch_and_add(&word[ERRNOS - result], 1);
			if (!allowed(-result))
				word[WRONG_ERRNO]++;
			for (i = more = 0; i < 4; i++)
				more += held[i] > 0;
			if (!more && waitpid(-1, &status, WNOHANG | __WALL) != -1) {
				note("errno %d, and a child is there", -result);
				word[WRONG_LEFT]++;
			}
			continue;
		}
		__sync_fetch_and_add(&word[TAKEN], 1);
		word[LAST + (unsigned long)seed % CALLERS] = result;
		i = chance(4);
		if (held[i])
			end_maltreated(held[i]);
		held[i] = result;
		for (more = chance(6); more > 0; more--)
			maltreat(held[chance(4)] ? held[i] : result);
		if (chance(2)) {
			end_maltreated(result);
			held[i] = 0;
		}
	}
	/* some are left to end with their caller */
}

int main(int argc, char **argv)
{
	pid_t callers[CALLERS], gone;
	unsigned long seed, seconds, before, calls;
	long i, deaths = 0, ends = 0, stuck = 0;
	int tasks_before, status;
	double end, look;

	if (argc == 2 && !strcmp(argv[1], "--hostile")) {
		word = map_private(WORDS * sizeof(long));
		hostile((void *)(long)getpid());
	}
	tap_begin(argc, argv);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	seconds = option("seconds", 10);
	seed = option("seed", time(NULL) ^ getpid());
	note("--seed=%lu", seed);
	begin_chance(seed);
	tasks_before = user_tasks();

	for (i = 0; i < HOSTILE; i++)
		word[PIDS + i] = spawn(hostile, (void *)chance(0));
	for (i = 0; i < CALLERS; i++)
		callers[i] = spawn(calling, (void *)(chance(0) / CALLERS * CALLERS + i));
	end = now() + seconds;
	look = now() + patience_s();
	calls = 0;
	while (now() < end) {
		pause_ms(1 + chance(20));
		for (i = 0; i < HOSTILE; i++)
			if (chance(10) == 0)
				kill(word[PIDS + i], chance(20) ? SIGCONT : SIGKILL);
		if (chance(20) == 0)
			kill(callers[chance(CALLERS)], SIGKILL);
		while ((gone = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
			ends++;
			for (i = 0; i < HOSTILE; i++)
				if (word[PIDS + i] == gone)
					word[PIDS + i] = spawn(hostile, (void *)chance(0));
			for (i = 0; i < CALLERS; i++)
				if (callers[i] == gone) {
					deaths++;
					callers[i] = spawn(calling, (void *)(chance(0) / CALLERS * CALLERS + i));
				}
		}
		if (now() > look) {
			before = calls;
			calls = word[CALLS];
			stuck += calls == before;
			look = now() + patience_s();
		}
	}
	word[STOP] = 1;
	for (i = 0; i < CALLERS; i++)
		ok(UNTIL(waitpid(callers[i], &status, WNOHANG) == callers[i]), "caller %ld comes to its end", i);
	for (i = 0; i < HOSTILE; i++)
		kill(word[PIDS + i], SIGKILL);
	ok(UNTIL(waitpid(-1, &status, WNOHANG | __WALL) == -1 && errno == ECHILD), "everything ends");
	is(word[WRONG_ERRNO], 0, "only allowed errnos");
	is(word[WRONG_LEFT], 0, "nothing is left of a call that failed");
	is(word[WRONG_END], 0, "every duplicate ends by SIGKILL");
	is(stuck, 0, "calls go on");
	ok(word[TAKEN] > 0, "some succeed");
	ok(UNTIL(user_tasks() <= tasks_before), "no task is left over");
	note("%ld calls, %ld duplicates, %ld callers killed, %ld ends", word[CALLS], word[TAKEN], deaths, ends);
	for (i = 1; i < 200; i++)
		if (word[ERRNOS + i])
			note("errno %ld: %ld times%s", i, word[ERRNOS + i], allowed(i) ? "" : " (not allowed)");
	return tap_end();
}
