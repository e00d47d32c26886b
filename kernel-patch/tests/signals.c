// SPDX-License-Identifier: GPL-2.0
/* Signals: which of them end a duplicate, and who hears of it. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "signals.h"

static void test_ignored(void)
{
	static const int some[] = { SIGCONT, SIGTERM, SIGUSR1, SIGSEGV, SIGINT, SIGCHLD, SIGSTOP };
	pid_t target = spawn(sleeper, NULL), dup = snap(target);
	int signal, status, wrong = 0;
	siginfo_t info;
	size_t i;

	ok(dup > 0 && parked(dup), "a parked duplicate");
	for (i = 0; i < ARRAY_SIZE(some); i++) {
		is(kill(dup, some[i]), 0, "signal %d can be sent", some[i]);
		pause_ms(5);
		if (some[i] == SIGSTOP) {
			kill(dup, SIGCONT);
			/* stops and goes on may be told of; an end may not */
			pause_ms(5);
			waitpid(dup, &status, WNOHANG | WUNTRACED | WCONTINUED);
			waitpid(dup, &status, WNOHANG | WUNTRACED | WCONTINUED);
		}
		ok(parked(dup), "signal %d leaves it parked", some[i]);
	}
	for (signal = 1; signal <= 64; signal++)
		if (signal != SIGKILL && signal != SIGSTOP && signal != 32 && signal != 33)
			wrong += kill(dup, signal) != 0;
	kill(dup, SIGCONT);
	pause_ms(20);
	ok(!wrong && parked(dup), "all signals at once leave it parked");
	for (signal = 1; signal <= 64; signal++)
		if (signal != SIGKILL && signal != SIGSTOP)
			syscall(SYS_tgkill, dup, dup, signal);
	kill(dup, SIGCONT);
	pause_ms(20);
	ok(parked(dup), "so do all that are for its thread");

	is(waitpid(dup, &status, WNOHANG | WUNTRACED), 0, "waitpid(WNOHANG): it lives");
	is(kill(dup, SIGKILL), 0, "SIGKILL can be sent");
	is(waitid(P_PID, dup, &info, WEXITED | WNOWAIT), 0, "waitid(WNOWAIT)");
	ok(info.si_code == CLD_KILLED && info.si_status == SIGKILL, "it was killed");
	is(state_of(dup), 'Z', "a zombie, as any child");
	is(waitpid(dup, &status, 0), dup, "waitpid");
	ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status says SIGKILL");
	ok(!WCOREDUMP(status), "no core");
	is(kill(dup, 0), -1, "it is gone");

	dup = snap(target);
	kill(dup, SIGSTOP);
	pause_ms(10);
	is(snap_end(dup), 0, "SIGKILL ends a stopped one");
	dup = snap(target);
	is(kill(dup, SIGKILL), 0, "SIGKILL at once");
	is(waitpid(-1, &status, 0), dup, "waitpid(-1)");
	dup = snap(target);
	is(waitpid(dup, &status, WNOHANG | __WCLONE), -1, "no clone child: __WCLONE does not find it");
	kill(dup, SIGKILL);
	is(waitpid(dup, &status, __WALL), dup, "__WALL finds it");
	end_target(target);
}

static int heard;

static void count_child(int signal)
{
	(void)signal;
	heard++;
}

static void listening(void *unused)
{
	struct sigaction action = { .sa_handler = count_child };
	int signal;

	(void)unused;
	for (signal = 1; signal <= 64; signal++)
		sigaction(signal, &action, NULL);
	word[READY] = 1;
	for (;;) {
		pause();
		word[CHILD_SIGNALS] = heard;
		word[WAITED] = waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD ? 1 : 2;
	}
}

static void test_told(void)
{
	struct sigaction action = { .sa_handler = count_child, .sa_flags = SA_RESTART };
	pid_t target = spawn(listening, NULL), dup;
	int i;

	wait_word(READY, 1);
	sigaction(SIGCHLD, &action, NULL);
	heard = 0;
	for (i = 1; i <= 20; i++) {
		dup = snap(target);
		if (children(target))
			break;
		snap_end(dup);
	}
	is(i, 21, "the target has no child");
	is(heard, 20, "one SIGCHLD for each end, to the caller");
	is(word[CHILD_SIGNALS], 0, "the target heard nothing");
	kill(target, SIGUSR1);
	wait_word(WAITED, 1);
	is(word[CHILD_SIGNALS], 1, "and does hear what it is sent");
	is(word[WAITED], 1, "wait() gives it ECHILD");
	signal(SIGCHLD, SIG_IGN);
	dup = snap(target);
	kill(dup, SIGKILL);
	ok(UNTIL(kill(dup, 0)), "where the caller ignores SIGCHLD it is reaped by itself");
	signal(SIGCHLD, SIG_DFL);
	end_target(target);
}

#define FROZEN	"snap-frozen"

static bool freeze(bool frozen)
{
	cgroup_write(FROZEN, "cgroup.freeze", frozen ? "1" : "0");
	return UNTIL(cgroup_stat(FROZEN, "cgroup.events", "frozen") == frozen);
}

static void test_freezer(void)
{
	pid_t target = spawn(sleeper, NULL), dup;

	if (!cgroup_make(FROZEN)) {
		skip("cgroup freezer", "no cgroup v2");
		end_target(target);
		return;
	}
	dup = snap(target);
	ok(cgroup_enter(FROZEN, dup), "into a cgroup");
	ok(freeze(true), "it can be frozen");
	ok(freeze(false), "and thawed");
	ok(parked(dup), "and is parked then");
	freeze(true);
	is(snap_end(dup), 0, "SIGKILL ends a frozen one");
	freeze(false);

	cgroup_enter(FROZEN, target);
	freeze(true);
	dup = snap(target);
	ok(dup > 0, "a frozen target can be taken");
	is(snap_end(dup), 0, "its duplicate is not frozen");
	is(cgroup_stat(FROZEN, "cgroup.events", "frozen"), 1, "and it stays frozen");
	freeze(false);
	end_target(target);
	cgroup_remove(FROZEN);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_ignored();
	test_told();
	test_sleepers();
	test_alarms();
	test_freezer();
	return tap_end();
}
