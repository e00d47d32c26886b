// SPDX-License-Identifier: GPL-2.0
/* The fuzzer's targets, which do what they can to be in the way. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

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

void hostile(void *seed)
{
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	setrlimit(RLIMIT_AS, &(struct rlimit){ 512 << 20, 512 << 20 });
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	hostile_thread(seed);
}
