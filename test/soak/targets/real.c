// SPDX-License-Identifier: MIT
/*
 * Real programs, which know nothing of a page: each line of output is a turn,
 * or begins with "harm: "; a program without output has to end as it should.
 */
#include "kinds.h"

static pid_t start(const char *command, int *from)
{
	int ends[2];
	pid_t pid;

	need(!pipe2(ends, O_CLOEXEC), "pipe");
	pid = fork();
	need(pid >= 0, "fork");
	if (!pid) {
		born();
		dup2(ends[1], 1);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	close(ends[1]);
	*from = ends[0];
	return pid;
}

static void check_end(pid_t pid, bool lasting)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		harm("waitpid: %s", strerror(errno));
	else if (WIFSIGNALED(status))
		harm("the program was ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127)
		unable("the program is not there");
	else if (lasting || WEXITSTATUS(status))
		harm("the program ended with code %d", WEXITSTATUS(status));
}

/* The command goes on for ever, and says so. */
static void program(const char *argument)
{
	for (;;) {
		char line[256];
		int from;
		pid_t pid = start(argument, &from);
		FILE *lines = fdopen(from, "r");

		page->pid = pid;
		while (fgets(line, sizeof(line), lines)) {
			page->ready = 1;
			line[strcspn(line, "\n")] = 0;
			if (!strncmp(line, "harm: ", 6)) {
				uint64_t before = page->state[0];

				HARM_UNLESS_EXCUSED(before, "%s", line + 6);
			}
			page->state[0] = excuse();
			turn();
		}
		page->pid = 0;
		fclose(lines);
		check_end(pid, true);
	}
}

/* sleep(1) takes as long as it was told. */
static void sleeper(const char *argument)
{
	for (;; turn()) {
		int64_t seconds = strtol(argument, NULL, 10), began_ns = now_ns();
		char command[32];
		uint64_t before = excuse();
		int from;
		pid_t pid;

		snprintf(command, sizeof(command), "exec sleep %lld", (long long)seconds);
		pid = start(command, &from);
		page->pid = pid;
		page->ready = 1;
		check_end(pid, false);
		page->pid = 0;
		close(from);
		check_time("sleep(1)", began_ns, seconds * SECOND_NS, before);
	}
}

const struct kind real_kinds[] = { { "program", program }, { "sleeper", sleeper }, { 0 } };
