// SPDX-License-Identifier: MIT
/* Gathering, the cheapest first: what cannot be duplicated anyway is not looked at any further. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/living.h"
#include "facts.h"

#define POLICY_DEADLINE		6
#define FLAG_RESET_ON_FORK	1

/* sched_getattr(2) has no wrapper in older libraries; its first fields are all that is wanted. */
struct attributes { uint32_t size, policy; uint64_t flags; uint8_t rest[104]; };

/*
 * The ELF auxiliary vector is pairs of words of the program's own size: AT_PHENT
 * (4) is 56 in a 64-bit program, 32 in a 32-bit one. Not /proc/PID/exe: to open it
 * is to open the file, which may be of a file server that does not answer.
 */
static bool is_32_bit(pid_t pid)
{
	uint32_t words[2 * 64];
	ssize_t got = ps_small_read((char *)words, sizeof(words), "/proc/%d/auxv", pid);

	for (int i = 0; i + 1 < got / (ssize_t)sizeof(*words) && words[i]; i += 2)
		if (words[i] == 4 && words[i + 1] == 32)
			return true;
	return false;
}

void ps_gather_identity(pid_t pid, struct ps_facts *facts)
{
	struct ps_identity tracer;
	int maps;

	memset(facts, 0, sizeof(*facts));
	facts->pid = pid;
	facts->user_limit = facts->fork_events = facts->direct = facts->direct_any = facts->io_uring = -1;
	facts->own = pid == getpid() || pid == getppid() || pid == ps_requester;
	if (pid <= 0 || facts->own)
		return;
	facts->gone = ps_identify(pid, &facts->identity);
	if (facts->gone || facts->identity.kernel_thread || facts->identity.tgid != pid)
		return;
	facts->first = ps_living_thread(pid);
	facts->zombie = facts->first < 0;
	/* A first thread that has ended is traced by nobody. */
	if (!facts->zombie && facts->first != pid && ps_identify(facts->first, &tracer) == 0)
		facts->identity.tracer = tracer.tracer;
	/*
	 * By us: a call of its first thread is followed. By a tracer that only stays for that: it lets go when it
	 * is asked to.
	 */
	if (facts->identity.tracer && facts->identity.tracer != gettid() && !ps_lets_go(facts->identity.tracer)) {
		/* TracerPid names a thread. */
		facts->tracer = ps_identify(facts->identity.tracer, &tracer) ? facts->identity.tracer : tracer.tgid;
		return;
	}
	if (facts->zombie)
		return;
	/* Anybody may open this one who may trace; to open it takes no lock. */
	maps = ps_small_open("/proc/%d/maps", facts->first);
	facts->denied = maps == -EACCES || maps == -EPERM;
	if (maps >= 0)
		close(maps);
	facts->is_32_bit = is_32_bit(facts->first);
}

#define EXEC_NS		(2 * 1000 * 1000LL)

/* version 1 tells the state of a cgroup as its parents make it; version 2 in cgroup.events, when all are frozen. */
static void look_frozen(const char *folder, bool version_2, void *arg)
{
	struct ps_facts *facts = arg;
	char text[256];

	if (*facts->frozen)
		return;
	if (!version_2) {
		if (ps_small_read(text, sizeof(text), "%s/freezer.state", folder) > 0 && strncmp(text, "THAWED", 6))
			snprintf(facts->frozen, PS_PATH, "%.270s/freezer.state", folder);
	} else if ((ps_small_read(text, sizeof(text), "%s/cgroup.freeze", folder) > 0 && *text == '1') ||
		   (ps_small_read(text, sizeof(text), "%s/cgroup.events", folder) > 0 && ps_line_number(text, "frozen") == 1)) {
		snprintf(facts->frozen, PS_PATH, "%.270s/cgroup.freeze", folder);
	}
}

/* What a link in /proc/PID/ns leads to, in brackets; NULL, and errno. */
static const char *namespace_of(const struct ps_facts *facts, const char *kind, char name[64])
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", facts->first, kind);
	length = readlink(path, name, 63);
	name[length > 0 ? length : 0] = 0;
	return length > 0 ? strchr(name, '[') : NULL;
}

/*
 * unshare(CLONE_NEWPID) and CLONE_NEWTIME are of no effect until the next child,
 * which would be the duplicate. Without a first process there is no pid
 * namespace that could be named: ENOENT, though the link is there.
 */
/* One that is ending has none of its namespaces but the pid namespace any more. */
static bool has_no_namespace_for_children(const struct ps_facts *facts)
{
	char a[64], b[64];

	return namespace_of(facts, "pid", a) && !namespace_of(facts, "pid_for_children", b) && errno == ENOENT &&
		namespace_of(facts, "uts", a);
}

static void gather_namespaces(struct ps_facts *facts)
{
	char a[64], b[64];
	const char *own, *next;

	facts->new_pid_pending = has_no_namespace_for_children(facts);
	/* Looks so for a moment where another thread's exec() ends the first one. */
	if (facts->new_pid_pending) {
		ps_sleep(EXEC_NS);
		facts->new_pid_pending = has_no_namespace_for_children(facts);
	}
	own = namespace_of(facts, "time", a);
	next = namespace_of(facts, "time_for_children", b);
	facts->new_time_pending = own && next && strcmp(own, next);
}

static void gather_scheduling(struct ps_facts *facts)
{
	struct attributes attributes = { .size = sizeof(attributes) };
	cpu_set_t cpus;

	if (!syscall(SYS_sched_getattr, facts->first, &attributes, sizeof(attributes), 0))
		facts->deadline = attributes.policy == POLICY_DEADLINE && !(attributes.flags & FLAG_RESET_ON_FORK);
	facts->cpus =
		sched_getaffinity(facts->first, sizeof(cpus), &cpus) ? (int)sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&cpus);
}

/* All threads of a user; only where the machine has so many at all. */
static int64_t processes_of(uid_t user)
{
	struct dirent *entry;
	int64_t count = 0;
	DIR *dir = opendir("/proc");

	while (dir && (entry = readdir(dir))) {
		char text[4096], words[64];

		if (!isdigit((unsigned char)*entry->d_name) ||
		    ps_small_read(text, sizeof(text), "/proc/%s/status", entry->d_name) <= 0 ||
		    !ps_line_words(text, "Uid", words, sizeof(words)) || (uid_t)strtoul(words, NULL, 10) != user)
			continue;
		count += ps_line_number(text, "Threads");
	}
	if (dir)
		closedir(dir);
	return count;
}

static void gather_user(struct ps_facts *facts, const char *status)
{
	char words[64] = "", text[4096];
	uint64_t capabilities = 0, limit;
	const char *at;

	if (ps_line_words(status, "CapEff", words, sizeof(words)))
		capabilities = strtoull(words, NULL, 16);
	if (capabilities & (1ULL << CAP_SYS_RESOURCE | 1ULL << CAP_SYS_ADMIN) ||
	    !ps_line_words(status, "Uid", words, sizeof(words)) || !strtoul(words, NULL, 10))
		return;
	/* Not prlimit(2): of another user's process that wants CAP_SYS_RESOURCE. "unlimited" is no number. */
	ps_small_read(text, sizeof(text), "/proc/%d/limits", facts->first);
	at = strstr(text, "Max processes");
	if (!at || sscanf(at, "Max processes %lu", &limit) != 1)
		return;
	/* "0.00 0.01 0.05 1/234 5678": of 234 threads on the machine no user can have more. */
	ps_small_read(text, sizeof(text), "/proc/loadavg");
	at = strchr(text, '/');
	if (!at || strtoull(at + 1, NULL, 10) + 1 < limit)
		return;
	facts->user_limit = limit;
	facts->user_processes = processes_of(strtoul(words, NULL, 10));
}

static bool has_capability(int number)
{
	char text[4096], words[64] = "";

	ps_small_read(text, sizeof(text), "/proc/self/status");
	return ps_line_words(text, "CapEff", words, sizeof(words)) && strtoull(words, NULL, 16) >> number & 1;
}

static void gather_status(struct ps_facts *facts)
{
	char text[8192];

	ps_small_read(text, sizeof(text), "/proc/%d/status", facts->first);
	facts->threads = ps_line_number(text, "Threads");
	facts->resident = ps_line_number(text, "VmRSS");
	facts->anonymous = ps_line_number(text, "RssAnon");
	facts->swapped = ps_line_number(text, "VmSwap");
	facts->tables = ps_line_number(text, "VmPTE");
	facts->data = ps_line_number(text, "VmData") + ps_line_number(text, "VmStk");
	facts->huge = ps_line_number(text, "HugetlbPages");
	facts->filtered = ps_line_number(text, "Seccomp") == 2;
	facts->may_suspend = has_capability(CAP_SYS_ADMIN);
	gather_user(facts, text);
}

void ps_gather(pid_t pid, struct ps_facts *facts)
{
	ps_gather_identity(pid, facts);
	if (facts->first <= 0 || facts->tracer || facts->denied || facts->is_32_bit)
		return;
	ps_cgroup_forget();
	facts->kernel = ps_kernel_version();
	gather_status(facts);
	gather_scheduling(facts);
	/* Of a thread that has ended, version 1 names the root. */
	ps_cgroup_levels(facts->first, "freezer", look_frozen, facts);
	ps_cgroup_levels(facts->first, "", look_frozen, facts);
	gather_namespaces(facts);
	/* Threads of a frozen cgroup sleep as if they never woke. */
	if (!*facts->frozen)
		ps_gather_waiting(facts);
	ps_limits_open(facts->first, &facts->limits);
	ps_gather_descriptors(facts);
	/* A thread that sleeps so may hold the lock that these wait for. */
	if (!facts->stuck)
		ps_gather_mappings(facts);
	facts->complete = true;
}
