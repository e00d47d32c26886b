// SPDX-License-Identifier: GPL-2.0
/* Processes of a test: targets, and children that do something as someone else. */
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "snap.h"

volatile long *word;

void share_words(void)
{
	word = mmap(NULL, WORDS * sizeof(long), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (word == MAP_FAILED)
		die("no shared memory");
}

void wait_word(int index, long at_least)
{
	if (!UNTIL(word[index] >= at_least))
		die("word %d is %ld, and never was %ld", index, word[index], at_least);
}

pid_t spawn(void (*run)(void *), void *argument)
{
	pid_t parent = getpid(), child;

	fflush(stdout);
	child = fork();
	if (child < 0)
		die("fork");
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpriority(PRIO_PROCESS, 0, 0);
	if (getppid() != parent)
		_exit(1);
	run(argument);
	fflush(stdout);
	_exit(0);
}

struct program {
	const char *name;
	char *const *environment;
	int ready;
};

static void execute(void *argument)
{
	struct program *program = argument;
	char own[PATH_MAX] = "", path[PATH_MAX + 64];
	char *argv[] = { (char *)program->name, "one", "two words", "", NULL };
	char *const none[] = { NULL };

	if (readlink("/proc/self/exe", own, sizeof(own) - 1) < 0)
		own[0] = 0;
	snprintf(path, sizeof(path), "%s/%s", dirname(own), program->name);
	execve(path, argv, program->environment ? program->environment : none);
	/* the pipe closes at exec; this text says that there was none */
	if (write(program->ready, "x", 1) != 1)
		_exit(126);
	_exit(127);
}

pid_t spawn_program(const char *name, char *const *environment)
{
	struct program program = { name, environment, -1 };
	int ends[2];
	pid_t pid;
	char c;

	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	program.ready = ends[1];
	pid = spawn(execute, &program);
	close(ends[1]);
	if (read(ends[0], &c, 1) != 0) {
		close(ends[0]);
		waitpid(pid, NULL, 0);
		return -1;
	}
	close(ends[0]);
	return pid;
}

void hurry(void)
{
	/* where there is one CPU it must not keep the targets from it */
	setpriority(PRIO_PROCESS, 0, sysconf(_SC_NPROCESSORS_ONLN) == 1 ? -5 : -20);
}

void on_cpu(long index)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((index + cpus) % cpus, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void end_target(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, __WALL) == pid && !WIFEXITED(status) && !WIFSIGNALED(status))
		;
}

void sleep_for_ever(void)
{
	for (;;)
		pause();
}

void sleeper(void *unused)
{
	(void)unused;
	sleep_for_ever();
}

static void *sleep_thread(void *unused)
{
	(void)unused;
	sleep_for_ever();
}

void add_threads(int count)
{
	pthread_attr_t attr;
	pthread_t thread;

	/* as many as a test may want */
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (; count > 0; count--)
		if (pthread_create(&thread, &attr, sleep_thread, NULL))
			die("pthread_create");
	pthread_attr_destroy(&attr);
}

long in_child(long (*run)(void *), void *argument)
{
	volatile long *result = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long value = -ENOTRECOVERABLE;
	int status;
	pid_t pid;

	if (result == MAP_FAILED)
		die("no shared memory");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		*result = run(argument);
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		value = *result;
	munmap((void *)result, PAGE);
	return value;
}

void become(uid_t uid)
{
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		die("cannot become uid %d", uid);
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void set_capabilities(uint64_t set)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)set, (uint32_t)set, 0 },
		{ (uint32_t)(set >> 32), (uint32_t)(set >> 32), 0 },
	};

	if (syscall(SYS_capset, &header, data))
		die("capset");
}

void become_capable(uid_t uid, int capability)
{
	prctl(PR_SET_KEEPCAPS, 1);
	become(uid);
	set_capabilities(1ULL << capability);
	prctl(PR_SET_DUMPABLE, 1);
}

void drop_capabilities(void)
{
	set_capabilities(0);
	prctl(PR_SET_DUMPABLE, 1);
}
