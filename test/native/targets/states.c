// SPDX-License-Identifier: MIT
/*
 * states MODE: word 1 counts turns; word 3 those of a duplicate that runs.
 *   idle		one thread
 *   framed		one thread, nearly always in a function that has a frame pointer
 *   leaderless		the first thread has ended, another one goes on
 *   zombie		word 2 is the pid of a child that has ended, and is not waited for
 *   threaded		word 2 is the tid of a second thread
 *   large		threaded, with 128 MiB in small pages: a copy takes a while
 *   limited		an ordinary user that may have no further process
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "target.h"

#define LARGE_BYTES	(128UL << 20)

/* With a true frame pointer, "leave" and "ret" lead from anywhere in here to the caller. */
static __attribute__((noinline, optimize("no-omit-frame-pointer"))) void spin(void)
{
	for (volatile int i = 0; i < 50000; i++)
		;
}

static void turn_framed(void)
{
	pid_t self = getpid();

	ready();
	for (;;) {
		spin();
		add(getpid() == self ? 1 : 3, 1);
	}
}

static void *turn(void *arg)
{
	pid_t self = getpid();

	word[2] = gettid();
	ready();
	while (!usleep(500))
		add(getpid() == self ? 1 : 3, 1);
	return arg;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "idle";
	pthread_t thread;
	pid_t child;

	if (!strcmp(mode, "large")) {
		char *memory = mmap(NULL, LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		need(memory != MAP_FAILED, "mmap");
		madvise(memory, LARGE_BYTES, MADV_NOHUGEPAGE);
		memset(memory, 1, LARGE_BYTES);
	}
	if (!strcmp(mode, "leaderless") || !strcmp(mode, "threaded") || !strcmp(mode, "large")) {
		need(!pthread_create(&thread, NULL, turn, NULL), "pthread_create");
		if (!strcmp(mode, "leaderless"))
			pthread_exit(NULL);
		for (;;)
			pause();
	}
	if (!strcmp(mode, "zombie")) {
		child = fork();
		if (!child)
			_exit(0);
		waitid(P_PID, child, NULL, WEXITED | WNOWAIT);
		word[2] = child;
		ready();
		for (;;)
			pause();
	}
	if (!strcmp(mode, "limited")) {
		struct rlimit none = { 1, 1 };

		need(!setrlimit(RLIMIT_NPROC, &none) && !setgid(65534) && !setuid(65534), "setuid");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	if (!strcmp(mode, "framed"))
		turn_framed();
	turn(NULL);
}
