// SPDX-License-Identifier: MIT
/*
 * family: a parent and the target, its child. Words:
 *   1 SIGCHLDs in the parent		2 in the target
 *   3 the target's pid			4 turns of the target
 *   5 what wait() returned that was not ECHILD, while it had no child
 *   6 set by the test: have a child and wait for it; 7 its exit code, then
 *   8 changes of state that the parent's waitpid() told of
 *   9 set by the test: setns() to the own mount namespace; 10 result + 1, or -errno
 *  11 set by the test: close standard output
 */
#include <fcntl.h>
#include "target.h"

static void in_parent(int sig) { (void)sig; add(1, 1); }
static void in_target(int sig) { (void)sig; add(2, 1); }

static void have_child(void)
{
	int status = 0;
	pid_t child = fork();

	if (!child) {
		usleep(2000);
		_exit(9);
	}
	word[6] = 0;
	word[7] = waitpid(-1, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void live(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, in_target);
	word[3] = getpid();
	ready();
	for (;; usleep(300)) {
		if (word[6])
			have_child();
		if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
			add(5, 1);
		if (word[9]) {
			word[9] = 0;
			word[10] = setns(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), CLONE_NEWNS) ? -errno : 1;
		}
		if (word[11])
			close(1);
		add(4, 1);
	}
}

int main(void)
{
	int status;
	pid_t child;

	signal(SIGCHLD, in_parent);
	child = fork();
	if (!child)
		live();
	close(1);
	for (;;)
		if (waitpid(child, &status, WUNTRACED | WCONTINUED) == child)
			add(8, 1);
}
