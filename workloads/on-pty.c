// SPDX-License-Identifier: MIT
/*
 * on-pty.c - run a command as if on a terminal: on-pty bash --norc -i
 *
 * The paper's target is an interactive bash, and bash is only interactive on a
 * terminal that somebody reads. This program is that somebody: it waits for the
 * prompt, prints the command's pid, and hangs up when its own stdin ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common.h"
#include "options.h"

#define QUIET_MS	100	/* this long without output: the prompt is complete */
#define PROMPT_MS	30000	/* generous: an emulated guest starts a shell slowly */
#define HANG_UP_MS	1000

struct session {
	const char	*name;
	pid_t		command;
	int		master;
	int		child_signal;	/* signalfd of SIGCHLD */
	bool		*set_up;	/* shared with the child: it came as far as its exec */
};

static int64_t now_ms(void)
{
	return now_ns() / 1000000;
}

static int open_master(char *slave_path, size_t size)
{
	static const struct winsize window = { .ws_row = 24, .ws_col = 80 };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) || unlockpt(master) ||
	    ptsname_r(master, slave_path, size))
		fail(EXIT_FAILURE, "no pseudo terminal: %s", strerror(errno));
	ioctl(master, TIOCSWINSZ, &window);	/* readline wants a size */
	return master;
}

static int open_child_signal(sigset_t *before)
{
	sigset_t child;
	int fd;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, before);
	fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fail(EXIT_FAILURE, "signalfd: %s", strerror(errno));
	return fd;
}

static _Noreturn void run_command(char **argv, const char *slave_path, bool *set_up)
{
	int fd, error_fd;

	setsid();
	fd = open(slave_path, O_RDWR);	/* a session's first: its controlling terminal */
	error_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd < 0)
		fail(EXIT_USAGE, "%s: %s", slave_path, strerror(errno));
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);

	*set_up = true;
	execvp(argv[0], argv);
	*set_up = false;
	dprintf(error_fd, "%s: cannot run %s: %s\n", program_invocation_short_name,
		argv[0], strerror(errno));
	_exit(EXIT_USAGE);
}

static struct session start(char **argv, const struct placement *placement)
{
	struct session session = { .name = argv[0] };
	pid_t parent = getpid();
	char slave_path[64];
	sigset_t mask;

	session.set_up = mmap(NULL, sizeof(bool), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (session.set_up == MAP_FAILED)
		fail(EXIT_FAILURE, "mmap: %s", strerror(errno));
	session.child_signal = open_child_signal(&mask);
	session.master = open_master(slave_path, sizeof(slave_path));

	session.command = fork();
	if (session.command < 0)
		fail(EXIT_FAILURE, "fork: %s", strerror(errno));
	if (!session.command) {
		die_with_parent(parent);
		placement_apply(placement);
		sigprocmask(SIG_SETMASK, &mask, NULL);
		run_command(argv, slave_path, session.set_up);
	}
	return session;
}

/* wait so long for the command's end; its status, or -1 while it lives */
static int wait_end(const struct session *session, int timeout_ms)
{
	struct pollfd signal = { .fd = session->child_signal, .events = POLLIN };
	int64_t deadline = now_ms() + timeout_ms;
	struct signalfd_siginfo info;
	int64_t left;
	int status;

	for (;;) {
		if (waitpid(session->command, &status, WNOHANG) == session->command)
			return status;
		left = deadline - now_ms();
		if (left <= 0)
			return -1;
		if (poll(&signal, 1, (int)left) > 0 &&
		    read(session->child_signal, &info, sizeof(info)) < 0)
			return -1;
	}
}

/* The kernel sends SIGHUP as the master closes. */
static _Noreturn void hang_up(const struct session *session, int exit_status)
{
	close(session->master);
	if (wait_end(session, HANG_UP_MS) < 0) {
		kill(session->command, SIGKILL);
		wait_end(session, HANG_UP_MS);
	}
	exit(exit_status);
}

static _Noreturn void ended_early(const struct session *session, int status)
{
	if (!*session->set_up)
		exit(EXIT_USAGE);	/* the child has said why */
	if (WIFSIGNALED(status))
		fail(EXIT_FAILURE, "%s ended early: killed by signal %d (%s)", session->name,
		     WTERMSIG(status), strsignal(WTERMSIG(status)));
	fail(EXIT_FAILURE, "%s ended early: exit status %d", session->name,
	     WEXITSTATUS(status));
}

/* Our stdin is the terminal's keyboard. False at its end. */
static bool pass_input(const struct session *session)
{
	char bytes[256];
	ssize_t length = read(STDIN_FILENO, bytes, sizeof(bytes));

	return length > 0 && write(session->master, bytes, (size_t)length) == length;
}

/* wait for whatever comes next; true if the command wrote something */
static bool pump(struct session *session, int timeout_ms)
{
	struct pollfd events[] = {
		{ .fd = session->child_signal, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = session->master, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	char output[4096];
	int status;

	if (poll(events, 3, timeout_ms) <= 0)
		return false;
	if (events[0].revents && read(session->child_signal, &info, sizeof(info)) > 0) {
		status = wait_end(session, 0);
		if (status >= 0)
			ended_early(session, status);
	}
	if (events[1].revents && !pass_input(session))
		hang_up(session, EXIT_SUCCESS);
	return events[2].revents && read(session->master, output, sizeof(output)) > 0;
}

static void wait_for_prompt(struct session *session)
{
	int64_t deadline = now_ms() + PROMPT_MS;
	int64_t last_output = INT64_MAX;	/* none yet */

	while (last_output > now_ms() - QUIET_MS) {
		if (now_ms() > deadline) {
			fprintf(stderr, "%s: %s shows no prompt after %d s\n",
				program_invocation_short_name, session->name,
				PROMPT_MS / 1000);
			hang_up(session, EXIT_FAILURE);
		}
		if (pump(session, QUIET_MS))
			last_output = now_ms();
	}
}

int main(int argc, char **argv)
{
	struct placement placement = PLACEMENT_INHERITED;
	const struct option_row rows[] = {
		PLACEMENT_OPTIONS(placement),
		OPTIONS_END,
	};
	struct session session;
	int command;

	die_with_parent(getppid());
	command = options_parse(argc, argv, rows, "COMMAND [ARGUMENT]...");
	if (command == argc)
		fail(EXIT_USAGE, "which command? see --help");

	session = start(argv + command, &placement);
	wait_for_prompt(&session);
	dprintf(STDOUT_FILENO, "%d\n", (int)session.command);
	for (;;)
		pump(&session, -1);
}
