// SPDX-License-Identifier: MIT
/*
 * churn exec	replaces itself again and again, at times from a second thread,
 *		and sometimes waits in epoll_wait(). Words: 1 programs so far,
 *		2 what it saw and should not have.
 * churn exit	has children that live for a moment. Words: 1 children that
 *		ended as they should, 2 the others, 3 the pid of the current one.
 * churn threads	has threads that live for a moment. Words: 1 threads so far.
 */
#include <pthread.h>
#include <sys/epoll.h>
#include "target.h"

static char *const again[] = { "churn", "exec", NULL };

static void *exec_again(void *arg)
{
	(void)arg;
	execv("/proc/self/exe", again);
	add(2, 1);
	return NULL;
}

static void *sit(void *arg)
{
	while (pause() < 0)
		;
	return arg;
}

static void *live_briefly(void *arg)
{
	usleep((long)arg % 500);
	add(1, 1);
	return NULL;
}

static void churn_programs(void)
{
	int64_t turn = word[1] + 1;
	struct epoll_event event;
	pthread_t thread;

	word[1] = turn;
	ready();
	if (turn % 4 == 3 && epoll_wait(epoll_create1(EPOLL_CLOEXEC), &event, 1, 2) < 0)
		add(2, 1);
	if (turn % 4 == 1) {
		for (int i = 0; i < 3; i++)
			need(!pthread_create(&thread, NULL, sit, NULL), "pthread_create");
		need(!pthread_create(&thread, NULL, exec_again, NULL), "pthread_create");
		sit(NULL);
	}
	exec_again(NULL);
}

static void churn_children(void)
{
	for (unsigned int i = 0;; i++) {
		pid_t child = fork();
		int status = 0;

		need(child >= 0, "fork");
		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			word[3] = getpid();
			ready();
			if (i % 3)
				usleep(i % 7 * 1000);	/* some for longer than a look at them takes */
			_exit(7);
		}
		if (waitpid(-1, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7)
			add(1, 1);
		else
			add(2, 1);
	}
}

static void churn_threads(void)
{
	pthread_t thread[4];

	ready();
	for (long i = 0;; i += 7) {
		for (int k = 0; k < 4; k++)
			need(!pthread_create(&thread[k], NULL, live_briefly, (void *)(i + k * 131)), "pthread_create");
		for (int k = 0; k < 4; k++)
			pthread_join(thread[k], NULL);
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "exec"))
		churn_programs();
	else if (!strcmp(mode, "exit"))
		churn_children();
	else
		churn_threads();
}
