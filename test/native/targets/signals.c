// SPDX-License-Identifier: MIT
/*
 * signals: counts what its handlers get; sleeps in between as pause() does.
 * Words: 1 real-time signals, 2 those out of order, 3 SIGUSR1, 4 SIGCONT,
 * 5 turns of the main loop, 6 the last number.
 * signals send PID: sends numbered real-time signals until word 2 is set.
 * Words: 1 sent.
 */
#include "target.h"

static void on_numbered(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (info->si_value.sival_int != word[6] + 1)
		add(2, 1);
	word[6] = info->si_value.sival_int;
	add(1, 1);
}

static void on_other(int sig)
{
	add(sig == SIGUSR1 ? 3 : 4, 1);
}

static int send_all(pid_t pid)
{
	for (int i = 1; !word[2]; i++) {
		/* EAGAIN: the queue is full, as it is where the target is stopped for long. */
		while (sigqueue(pid, SIGRTMIN, (union sigval){ .sival_int = i }) && errno == EAGAIN)
			sched_yield();
		if (i % 8 == 0)
			usleep(50);
		add(1, 1);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction numbered = { .sa_sigaction = on_numbered, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigaction other = { .sa_handler = on_other, .sa_flags = SA_RESTART };
	bool busy = argc > 1 && !strcmp(argv[1], "busy");

	if (argc == 3) {
		ready();
		return send_all(atoi(argv[2]));
	}
	sigaction(SIGRTMIN, &numbered, NULL);
	sigaction(SIGUSR1, &other, NULL);
	sigaction(SIGCONT, &other, NULL);
	ready();
	for (;;) {
		add(5, 1);
		if (!busy)
			usleep(500);
	}
}
