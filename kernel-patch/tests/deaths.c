// SPDX-License-Identifier: GPL-2.0
/* The end of a duplicate's caller, which ends it, and of its target, which does not. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/snap.h"

enum { READY = 1, DUP, DONE };

static pid_t target;

static void take(void)
{
	word[DUP] = snap(target);
	if (word[DUP] <= 0)
		die("no duplicate: %ld", word[DUP]);
}

static void caller_exits(void *unused)
{
	(void)unused;
	take();
	wait_word(DONE, 1);
}

static void caller_changes_user(void *unused)
{
	(void)unused;
	take();
	become(1000);
	wait_word(DONE, 1);
}

static void caller_loses_privilege(void *unused)
{
	(void)unused;
	take();
	drop_capabilities();
	prctl(PR_SET_DUMPABLE, 0);
	wait_word(DONE, 1);
}

/* Whoever of the caller's threads may end it does. */
static void end_when_told(void)
{
	word[READY] = 1;
	wait_word(DONE, 1);
	if (!snap_end(word[DUP]))
		word[DONE] = 2;
}

static void *take_and(void *go_on)
{
	take();
	if (go_on)
		((void (*)(void))go_on)();
	return NULL;
}

/* Another thread takes it, and then does @go_on; or exits. */
static pthread_t take_by_thread(void (*go_on)(void))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, take_and, go_on))
		die("pthread_create");
	return thread;
}

static void caller_other_thread_takes(void *unused)
{
	(void)unused;
	take_by_thread(sleep_for_ever);
	wait_word(DONE, 1);
}

static void caller_thread_exits(void *unused)
{
	(void)unused;
	pthread_join(take_by_thread(NULL), NULL);
	end_when_told();
}

static void caller_main_thread_exits(void *unused)
{
	(void)unused;
	take_by_thread(end_when_told);
	pthread_exit(NULL);
}

static void caller_executes(void *thread)
{
	char text[32];
	char *argv[] = { OWN_PROGRAM, "--after-exec", text, NULL };
	char *none[] = { NULL };

	if (thread)
		pthread_join(take_by_thread(NULL), NULL);
	else
		take();
	snprintf(text, sizeof(text), "%ld", word[DUP]);
	execve(OWN_PROGRAM, argv, none);
}

/* What a caller that executed this program does with its duplicate. */
static int after_exec(pid_t dup)
{
	int status;

	pause_ms(50);
	if (kill(dup, 0) || !parked(dup))
		return 3;
	kill(dup, SIGKILL);
	return waitpid(dup, &status, 0) == dup && WIFSIGNALED(status) ? 0 : 4;
}

static pid_t begin_caller(void (*run)(void *), void *argument)
{
	pid_t caller;

	word[DUP] = word[DONE] = word[READY] = 0;
	caller = spawn(run, argument);
	UNTIL(word[DUP]);
	return caller;
}

/* Killed, and reaped by this process, which is who inherits orphans. */
static bool gone(pid_t pid)
{
	int status;
	pid_t got = 0;

	UNTIL((got = waitpid(pid, &status, WNOHANG)) != 0);
	return got < 0 ? kill(pid, 0) < 0 : got == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void test_callers_end(void)
{
	static const struct {
		void (*run)(void *);
		const char *name;
	} callers[] = {
		{ caller_exits, "caller" },
		{ caller_changes_user, "caller that changed its uid" },
		{ caller_loses_privilege, "caller without capabilities" },
		{ caller_other_thread_takes, "caller of which another thread took it" },
	};
	pid_t caller;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(callers); i++) {
		caller = begin_caller(callers[i].run, NULL);
		pause_ms(20);
		ok(kill(word[DUP], 0) == 0, "%s: it is there", callers[i].name);
		word[DONE] = 1;
		waitpid(caller, NULL, 0);
		ok(gone(word[DUP]), "%s exits: it is gone", callers[i].name);
		caller = begin_caller(callers[i].run, NULL);
		pause_ms(20);
		kill(caller, SIGKILL);
		waitpid(caller, NULL, 0);
		ok(gone(word[DUP]), "%s is killed: it is gone", callers[i].name);
	}
}

static void test_threads_end(void (*run)(void *), const char *thread, const char *heir)
{
	pid_t caller = begin_caller(run, NULL);

	wait_word(READY, 1);
	pause_ms(50);
	ok(at_rest(word[DUP]), "%s exits: it is there", thread);
	word[DONE] = 1;
	waitpid(caller, NULL, 0);
	is(word[DONE], 2, "and %s may end it", heir);
}

static void test_exec(bool by_thread)
{
	pid_t caller = begin_caller(caller_executes, (void *)by_thread);
	int status;

	waitpid(caller, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "the caller executes a program%s: it keeps it", by_thread ? ", another thread had taken it" : "");
	if (status)
		note("status %x", status);
	ok(gone(word[DUP]), "and ends it");
}

static void test_targets_end(void)
{
	struct timespec none = { };
	pid_t dup = snap(target);
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	end_target(target);
	pause_ms(20);
	ok(parked(dup), "the target's end leaves the duplicate");
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (sigtimedwait(&set, NULL, &none) > 0)
		;
	kill(dup, SIGKILL);
	ok(sigtimedwait(&set, &info, &(struct timespec){ patience_s(), 0 }) == SIGCHLD && info.si_pid == dup &&
	   info.si_code == CLD_KILLED && info.si_status == SIGKILL, "SIGCHLD says who, how, by what");
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	is(waitpid(dup, NULL, 0), dup, "it is reaped");
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--after-exec"))
		return after_exec(atoi(argv[2]));
	tap_begin(argc, argv);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		die("cannot begin");
	target = spawn(sleeper, NULL);
	test_callers_end();
	test_threads_end(caller_thread_exits, "the thread that took it", "another thread");
	test_threads_end(caller_main_thread_exits, "the first thread", "the one that took it");
	test_exec(false);
	test_exec(true);
	test_targets_end();
	return tap_end();
}
