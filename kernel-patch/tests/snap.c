// SPDX-License-Identifier: GPL-2.0
/* What all tests of create_proc_snap() share. */
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "snap.h"

volatile long *word;
static int tests, failures, arguments_count;
static char **arguments;
static char folder[PATH_MAX];

pid_t snap(pid_t pid)
{
	long result = syscall(NR_CREATE_PROC_SNAP, pid);

	return result < 0 ? -errno : result;
}

pid_t snap2(struct proc_snap_args *args, size_t size)
{
	long result = syscall(NR_CREATE_PROC_SNAP2, args, size);

	return result < 0 ? -errno : result;
}

pid_t snap_figures(pid_t pid, struct proc_snap_args *args,
		   struct proc_snap_thread *threads, unsigned int nr)
{
	memset(args, 0, sizeof(*args));
	args->target = pid;
	args->threads = (uintptr_t)threads;
	args->nr_threads = nr;
	return snap2(args, sizeof(*args));
}

int snap_end(pid_t dup)
{
	int status = 0;

	if (dup <= 0 || kill(dup, SIGKILL) || waitpid(dup, &status, 0) != dup)
		return -1;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : -1;
}

/* --- TAP --- */

static void say(const char *before, const char *text, va_list values, const char *after)
{
	char line[2048];

	vsnprintf(line, sizeof(line), text, values);
	printf("%s%s%s\n", before, line, after);
	fflush(stdout);
}

bool ok(bool holds, const char *name, ...)
{
	char before[40];
	va_list values;

	snprintf(before, sizeof(before), "%sok %d - ", holds ? "" : "not ", ++tests);
	failures += !holds;
	va_start(values, name);
	say(before, name, values, "");
	va_end(values);
	return holds;
}

bool is(long found, long expected, const char *name, ...)
{
	char text[1024];
	va_list values;

	va_start(values, name);
	vsnprintf(text, sizeof(text), name, values);
	va_end(values);
	ok(found == expected, "%s", text);
	if (found != expected)
		note("%s: found %ld, expected %ld", text, found, expected);
	return found == expected;
}

void skip(const char *name, const char *reason, ...)
{
	char before[512];
	va_list values;

	snprintf(before, sizeof(before), "ok %d - %s # SKIP ", ++tests, name);
	va_start(values, reason);
	say(before, reason, values, "");
	va_end(values);
}

void note(const char *text, ...)
{
	va_list values;

	va_start(values, text);
	say("# ", text, values, "");
	va_end(values);
}

void die(const char *text, ...)
{
	va_list values;
	char after[80];

	snprintf(after, sizeof(after), " (pid %d, errno %d)", getpid(), errno);
	va_start(values, text);
	say("Bail out! ", text, values, after);
	va_end(values);
	exit(1);
}

void tap_begin(int argc, char **argv)
{
	ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);

	arguments = argv;
	arguments_count = argc;
	if (length > 0)
		*strrchr(folder, '/') = 0;
	word = mmap(NULL, WORDS * sizeof(long), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (word == MAP_FAILED)
		die("no shared memory");
	if (snap2(NULL, 0) == -ENOSYS) {
		printf("1..0 # SKIP this kernel has no create_proc_snap2()\n");
		exit(4);
	}
}

int tap_end(void)
{
	is(children(getpid()), 0, "no child of the test is left");
	printf("1..%d\n", tests);
	return failures ? 1 : 0;
}

long option(const char *name, long otherwise)
{
	size_t length = strlen(name);
	int i;

	for (i = 1; i < arguments_count; i++)
		if (!strncmp(arguments[i], "--", 2) &&
		    !strncmp(arguments[i] + 2, name, length) && arguments[i][2 + length] == '=')
			return atol(arguments[i] + 3 + length);
	return otherwise;
}

const char *own_folder(void)
{
	return folder;
}

/* --- processes --- */

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
	char path[PATH_MAX + 64];
	char *argv[] = { (char *)program->name, "one", "two words", "", NULL };
	char *const none[] = { NULL };

	snprintf(path, sizeof(path), "%s%s%s", *program->name == '/' ? "" : folder,
		 *program->name == '/' ? "" : "/", program->name);
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

/* --- /proc --- */

ssize_t slurp(const char *path, char *buffer, size_t room)
{
	ssize_t got, length = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (length < (ssize_t)room - 1) {
		got = read(fd, buffer + length, room - 1 - length);
		if (got < 0)
			length = -errno;
		if (got <= 0)
			break;
		length += got;
	}
	close(fd);
	if (length >= 0)
		buffer[length] = 0;
	return length;
}

ssize_t slurp_of(pid_t pid, const char *file, char *buffer, size_t room)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return slurp(path, buffer, room);
}

const char *status_of(pid_t pid, const char *key)
{
	static char text[8192];
	char *line, *end;
	size_t length = strlen(key);

	if (slurp_of(pid, "status", text, sizeof(text)) < 0)
		return "";
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) || line[length] != ':')
			continue;
		line += length + 1;
		line += strspn(line, " \t");
		end = strchr(line, '\n');
		if (end)
			*end = 0;
		return line;
	}
	return "";
}

long status_number(pid_t pid, const char *key)
{
	const char *text = status_of(pid, key);

	return *text ? atol(text) : -1;
}

char state_of(pid_t pid)
{
	return *status_of(pid, "State");
}

bool await_state(pid_t pid, const char *states)
{
	return UNTIL(state_of(pid) && strchr(states, state_of(pid)));
}

static long stat_field(pid_t pid, int field)
{
	char text[2048], *at;

	if (slurp_of(pid, "stat", text, sizeof(text)) < 0)
		return -1;
	at = strrchr(text, ')');
	for (field -= 2; at && field > 0; field--)
		at = strchr(at + 1, ' ');
	return at ? atol(at) : -1;
}

static long switches(pid_t pid)
{
	return status_number(pid, "voluntary_ctxt_switches") +
	       status_number(pid, "nonvoluntary_ctxt_switches");
}

bool at_rest(pid_t pid)
{
	long before;

	if (!UNTIL(state_of(pid) == 'S'))
		return false;
	before = switches(pid);
	pause_ms(3);
	return before >= 0 && switches(pid) == before && state_of(pid) == 'S';
}

long meminfo(const char *key)
{
	char text[8192], *at;

	if (slurp("/proc/meminfo", text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, key);
	return at ? atol(at + strlen(key) + 1) : 0;
}

static int numbers(const char *path, int (*each)(int))
{
	DIR *all = opendir(path);
	struct dirent *entry;
	int sum = 0;

	while (all && (entry = readdir(all)))
		if (isdigit(*entry->d_name))
			sum += each(atoi(entry->d_name));
	if (all)
		closedir(all);
	return sum;
}

static pid_t children_of;

static int thread_children(int tid)
{
	char path[64], text[16384], *at;
	int count = 0;

	snprintf(path, sizeof(path), "task/%d/children", tid);
	if (slurp_of(children_of, path, text, sizeof(text)) < 0)
		return 0;
	for (at = text; *at; at++)
		count += *at == ' ';
	return count;
}

int children(pid_t pid)
{
	char path[64];

	children_of = pid;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return numbers(path, thread_children);
}

static int one(int number)
{
	(void)number;
	return 1;
}

static int process_tasks(int pid)
{
	char path[64];

	if (stat_field(pid, 9) & 0x00200000)	/* PF_KTHREAD */
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return numbers(path, one);
}

int user_tasks(void)
{
	return numbers("/proc", process_tasks);
}

int threads_of(pid_t pid)
{
	return status_number(pid, "Threads");
}

/* Calls @each for the lines of the region holding @address, or of all. */
static long smaps(pid_t pid, const void *address, const char *key, const char *flag)
{
	unsigned long start, end, at = (unsigned long)address;
	char path[64], line[1024];
	bool inside = !address;
	long sum = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && address)
			inside = at >= start && at < end;
		if (!inside || strncmp(line, key, strlen(key)) || line[strlen(key)] != ':')
			continue;
		if (!flag)
			sum += atol(line + strlen(key) + 1);
		else if (strstr(line + strlen(key) + 1, flag))
			sum = 1;
	}
	fclose(file);
	return sum;
}

long smaps_kib(pid_t pid, const char *key, const void *address)
{
	return smaps(pid, address, key, NULL);
}

int smaps_flag(pid_t pid, const void *address, const char *flag)
{
	char padded[8];

	snprintf(padded, sizeof(padded), " %s ", flag);
	return smaps(pid, address, "VmFlags", padded);
}

bool write_text(const char *path, const char *text, ...)
{
	char line[512];
	va_list values;
	int fd, length;
	bool done;

	va_start(values, text);
	length = vsnprintf(line, sizeof(line), text, values);
	va_end(values);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = write(fd, line, length) == length;
	close(fd);
	return done;
}

long read_memory(pid_t pid, const void *address, void *into, size_t bytes)
{
	struct iovec local = { into, bytes }, remote = { (void *)address, bytes };
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

	return got < 0 ? -errno : got;
}

long peek(pid_t pid, const void *address)
{
	long value, got = read_memory(pid, address, &value, sizeof(value));

	if (got != sizeof(value))
		die("cannot read %p of process %d: %ld", address, pid, got);
	return value;
}

/* --- ptrace --- */

static int await_stop(pid_t tid)
{
	double end = now() + PATIENCE_MS / 1000.0;
	int status;
	pid_t got;

	do {
		got = waitpid(tid, &status, __WALL | WNOHANG);
		if (got < 0)
			return -errno;
		if (got == tid)
			return WIFSTOPPED(status) ? status >> 8 : -ESRCH;
		pause_ms(1);
	} while (now() < end);
	return -ETIMEDOUT;
}

int trace_again(pid_t tid)
{
	return ptrace(PTRACE_INTERRUPT, tid, 0, 0) ? -errno : await_stop(tid);
}

int trace_stop(pid_t tid)
{
	return ptrace(PTRACE_SEIZE, tid, 0, 0) ? -errno : trace_again(tid);
}

void trace_detach(pid_t tid)
{
	ptrace(PTRACE_DETACH, tid, 0, 0);
}

long get_regset(pid_t tid, int type, void *into, size_t room)
{
	struct iovec vector = { into, room };

	return ptrace(PTRACE_GETREGSET, tid, type, &vector) ? -errno : (long)vector.iov_len;
}

long get_regs(pid_t tid, struct user_regs_struct *regs)
{
	return get_regset(tid, NT_PRSTATUS, regs, sizeof(*regs));
}

/* --- cgroups --- */

#define CGROUPS	"/sys/fs/cgroup"

const char *cgroup_root(void)
{
	static bool tried, there;

	if (tried)
		return there ? CGROUPS : NULL;
	tried = true;
	if (access(CGROUPS "/cgroup.procs", W_OK))
		mount("cgroup2", CGROUPS, "cgroup2", 0, NULL);
	there = !access(CGROUPS "/cgroup.procs", W_OK);
	write_text(CGROUPS "/cgroup.subtree_control", "+pids");
	write_text(CGROUPS "/cgroup.subtree_control", "+memory");
	return there ? CGROUPS : NULL;
}

bool cgroup_make(const char *name)
{
	char path[PATH_MAX];

	if (!cgroup_root())
		return false;
	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	rmdir(path);
	return !mkdir(path, 0755);
}

bool cgroup_write(const char *name, const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", name, file);
	return write_text(path, "%s", text);
}

long cgroup_read(const char *name, const char *file)
{
	char path[PATH_MAX], text[64];

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", name, file);
	return slurp(path, text, sizeof(text)) < 0 ? -1 : atol(text);
}

long cgroup_stat(const char *name, const char *file, const char *key)
{
	char path[PATH_MAX], text[8192], *at;
	size_t length = strlen(key);

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", name, file);
	if (slurp(path, text, sizeof(text)) < 0)
		return -1;
	for (at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, key, length) && at[length] == ' ')
			return atol(at + length + 1);
	}
	return -1;
}

bool cgroup_enter(const char *name, pid_t pid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", name);
	return write_text(path, "%d", pid);
}

void cgroup_remove(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	if (!UNTIL(!rmdir(path) || errno == ENOENT))
		note("cgroup %s is still in use", name);
}

/* --- the rest --- */

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

void pause_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

void *map_private(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		die("no memory for %zu bytes", bytes);
	return at;
}

void *map_aligned_huge(size_t bytes)
{
	uintptr_t at = (uintptr_t)map_private(bytes + HUGE_PAGE);

	return (void *)((at + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
}
