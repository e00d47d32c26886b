// SPDX-License-Identifier: MIT
/*
 * states MODE: word 1 counts turns; word 3 those of a duplicate that runs.
 *   idle		one thread
 *   leaderless		the first thread has ended, another one goes on
 *   zombie		word 2 is the pid of a child that has ended, and is not waited for
 *   threaded		word 2 is the tid of a second thread
 *   limited		an ordinary user that may have no further process
 */
#include <pthread.h>
#include <sys/resource.h>
#include "target.h"

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

	if (!strcmp(mode, "leaderless") || !strcmp(mode, "threaded")) {
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
	turn(NULL);
}
