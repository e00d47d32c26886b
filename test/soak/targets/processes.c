// SPDX-License-Identifier: MIT
/* Kinds that have children, or become others: each wait gives their own children, and SIGCHLD comes for these alone. */
#include <sched.h>
#include <spawn.h>
#include "kinds.h"

extern char **environ;

static volatile sig_atomic_t deaths, strangers;
static volatile pid_t own_child;

/* One SIGCHLD may stand for several; there is one child at a time. */
static void on_death(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	deaths = deaths + 1;
	if (own_child && info->si_pid != own_child)
		strangers = strangers + 1;
}

static void listen(void)
{
	struct sigaction action = { .sa_sigaction = on_death, .sa_flags = SA_SIGINFO | SA_RESTART };

	sigaction(SIGCHLD, &action, NULL);
}

/* Wait for @child, which ends with @code, and then for any: there is none. */
static void wait_for(pid_t child, int code, int deaths_before)
{
	uint64_t before = excuse();
	int status = 0;
	pid_t got = draw(2) ? waitpid(child, &status, 0) : wait(&status);

	if (got < 0)
		harm("wait for a child: %s", strerror(errno));
	else if (got != child)
		harm("wait gave a child that is not its own");
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		harm("a child ended otherwise than it should");
	got = waitpid(-1, &status, WNOHANG);
	if (got >= 0 || errno != ECHILD)
		harm(got > 0 ? "there was a second child to wait for" : "there is a child that nobody made");
	/* The signal is there when wait() has returned, or comes at once. */
	for (int64_t began_ns = now_ns(); deaths == deaths_before && now_ns() - began_ns < 5 * SECOND_NS;)
		nap_ms(1);
	if (deaths == deaths_before)
		HARM_UNLESS_EXCUSED(before, "SIGCHLD was lost");
	if (deaths > deaths_before + 1)
		harm("SIGCHLD came twice");
	if (strangers) {
		harm("SIGCHLD came for a child that is not its own");
		strangers = 0;
	}
}

void fork_and_wait(void)
{
	listen();
	ready();
	for (;; turn()) {
		int code = draw(100), seen = deaths;
		sigset_t child, old;
		pid_t pid;

		sigemptyset(&child);
		sigaddset(&child, SIGCHLD);
		sigprocmask(SIG_BLOCK, &child, &old);
		pid = fork();
		if (!pid) {
			born();
			nap_ms(draw(8));
			_exit(code);
		}
		own_child = pid;
		sigprocmask(SIG_SETMASK, &old, NULL);
		if (pid < 0) {
			harm("fork failed: %s", strerror(errno));
			nap_ms(50);
			continue;
		}
		wait_for(pid, code, seen);
		nap_ms(15 + draw(20));
	}
}

static void fork_wait(const char *argument)
{
	(void)argument;
	fork_and_wait();
}

/* vfork() and exec(), and posix_spawn(), which is the same: the parent stands still until the child has executed. */
static void vfork_exec(const char *argument)
{
	(void)argument;
	listen();
	ready();
	for (;; turn()) {
		int code = draw(100), seen = deaths, err = 0;
		char text[8];
		char *const arguments[] = { "target", draw(4) ? "exit" : "slow-exit", text, NULL };
		pid_t pid;

		snprintf(text, sizeof(text), "%d", code);
		own_child = 0;
		if (draw(2)) {
			err = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ);
		} else {
			pid = vfork();
			if (!pid) {
				const struct timespec nap = { .tv_nsec = 3 * MS_NS };

				nanosleep(&nap, NULL);
				execve("/proc/self/exe", arguments, environ);
				_exit(127);
			}
			err = pid < 0 ? errno : 0;
		}
		if (err) {
			harm("a program could not be started: %s", strerror(err));
			continue;
		}
		own_child = pid;
		wait_for(pid, code, seen);
		own_child = 0;
		nap_ms(40);
	}
}

/* Becomes itself again and again, in another thread too. What it was in a former life is in the page. */
static void exec_self(const char *argument)
{
	if (page->state[0] && page->state[0] != (uint64_t)self)
		harm("exec() changed the process");
	page->state[0] = self;
	ready();
	for (int i = 0; i < 5; i++) {
		turn();
		nap_ms(8 + draw(16));
	}
	execl("/proc/self/exe", "target", "exec-self", page_path, argument, NULL);
	harm("exec failed: %s", strerror(errno));
	_exit(4);
}

/* A child stops itself, and goes on when it was continued and its parent has seen it. */
struct stopping { volatile uint64_t count, seen; };

static pid_t start_stopping(struct stopping *shared)
{
	pid_t child = fork();

	need(child >= 0, "fork");
	if (child)
		return child;
	born();
	for (uint64_t round = 0;; round++) {
		raise(SIGSTOP);
		while (shared->seen <= round)
			nap_ms(1);
		shared->count = round + 1;
	}
}

/* False: it is not what it should be, which was said. */
static bool stays_stopped(pid_t child, const struct stopping *shared, uint64_t round)
{
	uint64_t before = excuse();
	int status;

	if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status)) {
		HARM_UNLESS_EXCUSED(before, "the parent of a stopping process was told of something else");
		return false;
	}
	ready();
	for (int i = 0; i < 20; i++) {
		before = excuse();
		nap_ms(10);
		if (shared->count != round || waitpid(child, &status, WUNTRACED | WCONTINUED | WNOHANG)) {
			HARM_UNLESS_EXCUSED(before, "a stopped process went on, or changed its state");
			return false;
		}
	}
	before = excuse();
	kill(child, SIGCONT);
	if (waitpid(child, &status, WCONTINUED) != child || !WIFCONTINUED(status)) {
		HARM_UNLESS_EXCUSED(before, "the parent of a continued process was told of something else");
		return false;
	}
	return true;
}

static void stopped(const char *argument)
{
	struct stopping *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)argument;
	need(shared != MAP_FAILED, "mmap");
	for (;;) {
		pid_t child;

		shared->count = shared->seen = 0;
		child = start_stopping(shared);
		page->pid = child;
		for (uint64_t round = 0; stays_stopped(child, shared, round); turn())
			shared->seen = ++round;
		page->pid = 0;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
}

/* The first process of a pid namespace, with children. */
static void pid1(const char *argument)
{
	pid_t first;

	(void)argument;
	need(!unshare(CLONE_NEWPID), "unshare(CLONE_NEWPID)");
	first = fork();
	need(first >= 0, "fork");
	if (first) {
		int status;

		page->pid = first;
		if (waitpid(first, &status, 0) != first)
			harm("waitpid: %s", strerror(errno));
		if (WIFSIGNALED(status)) {
			signal(WTERMSIG(status), SIG_DFL);
			kill(self, WTERMSIG(status));
		}
		_exit(WEXITSTATUS(status));
	}
	born();
	while (!page->pid)
		nap_ms(1);
	fork_and_wait();
}

/* Has asked that its next child begin a pid namespace, and has none yet: that child must be the next it makes. */
static void newpid(const char *argument)
{
	int status;

	(void)argument;
	for (;; turn()) {
		pid_t one = fork();

		need(one >= 0, "fork");
		if (!one) {
			pid_t two;

			born();
			if (unshare(CLONE_NEWPID))
				_exit(3);
			__atomic_store_n(&page->pid, self, __ATOMIC_RELEASE);
			__atomic_store_n(&page->ready, 1, __ATOMIC_RELEASE);
			nap_ms(60 + draw(60));
			two = fork();
			if (!two)
				_exit(getpid() == 1 ? 0 : 6);
			if (two < 0)
				harm("fork after unshare(CLONE_NEWPID) failed: %s", strerror(errno));
			else if (waitpid(two, &status, 0) != two || !WIFEXITED(status) || WEXITSTATUS(status))
				harm("the first child of a new pid namespace is not its process 1");
			_exit(0);
		}
		if (waitpid(one, &status, 0) != one)
			harm("waitpid: %s", strerror(errno));
		page->pid = 0;
		if (WIFSIGNALED(status)) {
			signal(WTERMSIG(status), SIG_DFL);
			kill(self, WTERMSIG(status));
		}
		if (WEXITSTATUS(status) == 3)
			unable("unshare(CLONE_NEWPID) is not allowed");
	}
}

const struct kind process_kinds[] = {
	{ "fork-wait", fork_wait }, { "vfork-exec", vfork_exec }, { "exec-self", exec_self }, { "stopped", stopped },
	{ "pid1", pid1 }, { "newpid", newpid }, { 0 },
};
