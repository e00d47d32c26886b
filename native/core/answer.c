// SPDX-License-Identifier: MIT
/*
 * An answer to a signal that waits neither for JavaScript, which may be in the middle of something long, nor for a CPU,
 * which a process of the lowest priority may not get for seconds beside others that never rest.
 *
 * It is heard in two ways. A thread that is in the middle of something runs the handler, which answers and hands on to
 * the handler that was there before. And a thread of its own, to which no lower priority is given, sees in a
 * signalfd(2) that a signal is there for which the others have had no CPU yet. It leaves it to them, but answers in
 * their stead, and gives them back the priority that this process had in the beginning.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "procsnap.h"

#define STACK_BYTES	(128 << 10)	/* readdir(3) has its buffer elsewhere */

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

static struct {
	char	text[256];
	size_t	length;
	atomic_bool heard;		/* a signal came */
	atomic_bool silent;		/* the text is not so any more */
	void	(*next[NSIG])(int);	/* the handlers that were there before */
	int	pending;		/* a signalfd(2): a signal is there, and nobody has taken it */
	int	taken;			/* an eventfd(2): the handler has run */
	_Atomic pid_t thread;
} answer = { .pending = -1, .taken = -1 };

/* A signal is there; the first one is answered. Also in a signal handler. */
static void hear(void)
{
	int error = errno;

	/* Nothing can be done where nobody hears it. */
	if (!atomic_exchange(&answer.heard, true) && !answer.silent &&
		write(STDERR_FILENO, answer.text, answer.length) < 0)
		errno = error;
	errno = error;
}

static void on_signal(int number)
{
	uint64_t one = 1;
	int error = errno;

	hear();
	if (write(answer.taken, &one, sizeof(one)) < 0)
		errno = error;
	errno = error;
	answer.next[number](number);
}

/* Of all threads; without the right to it they stay as they are. */
static void set_back_priority(int nice)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;

	while (tasks && (task = readdir(tasks)))
		if (atoi(task->d_name))
			setpriority(PRIO_PROCESS, atoi(task->d_name), nice);
	if (tasks)
		closedir(tasks);
}

static void *watch(void *begun)
{
	struct pollfd polled[] = { { answer.pending, POLLIN, 0 }, { answer.taken, POLLIN, 0 } };
	int nice = getpriority(PRIO_PROCESS, 0);

	/* Without the right to it, the priority that it was started with has to do. */
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	answer.thread = gettid();
	eventfd_write(*(int *)begun, 1);
	while (poll(polled, 2, -1) < 0)
		;
	set_back_priority(nice);	/* first: who reads standard error may let it wait */
	hear();
	return NULL;
}

/* Only those that have a handler: the others end this process by themselves, or are ignored. */
static int handle_signals(void)
{
	struct sigaction action;
	sigset_t heard;

	sigemptyset(&heard);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaction(signals[i], NULL, &action))
			return -errno;
		if (action.sa_flags & SA_SIGINFO || action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
			continue;
		sigaddset(&heard, signals[i]);
		answer.next[signals[i]] = action.sa_handler;
		action.sa_handler = on_signal;
		if (sigaction(signals[i], &action, NULL))
			return -errno;
	}
	return signalfd(answer.pending, &heard, SFD_CLOEXEC) < 0 ? -errno : 0;
}

static int start_watching(void)
{
	int begun = eventfd(0, EFD_CLOEXEC), err;
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;
	uint64_t count;

	if (begun < 0)
		return -errno;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES > PTHREAD_STACK_MIN ? STACK_BYTES : PTHREAD_STACK_MIN);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&thread, &attributes, watch, &begun);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	while (!err && eventfd_read(begun, &count))
		;
	close(begun);
	return err;
}

pid_t ps_answer_signals(const char *text)
{
	sigset_t none;
	int err;

	if (answer.thread)
		return -EALREADY;
	answer.length = snprintf(answer.text, sizeof(answer.text), "%s%s", isatty(STDERR_FILENO) ? "\r\x1b[K" : "", text);
	if (answer.length >= sizeof(answer.text))
		return -ENAMETOOLONG;
	sigemptyset(&none);
	answer.pending = signalfd(-1, &none, SFD_CLOEXEC);
	answer.taken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (answer.pending < 0 || answer.taken < 0)
		return -errno;
	err = start_watching();
	if (!err)
		err = handle_signals();
	return err ? err : answer.thread;
}

void ps_stop_answering(void)
{
	answer.silent = true;
}

bool ps_signal_answered(void)
{
	return answer.heard;
}
