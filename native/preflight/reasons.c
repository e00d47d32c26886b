// SPDX-License-Identifier: MIT
/* The table of reasons: what speaks against a duplicate, or is to be known before. Pure: facts in, texts out. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "facts.h"

/* What the target must still be able to do beside a duplicate: start one process, map some memory. */
#define PROCESSES_LEFT	1
#define COMMIT_LEFT_KIB	16384

static bool say(struct ps_reason *reason, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static bool say(struct ps_reason *reason, int code, const char *format, ...)
{
	va_list args;

	reason->code = code;
	va_start(args, format);
	vsnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
	return true;
}

struct size { char text[32]; };

static struct size size_of(int64_t kib)
{
	struct size size;

	if (kib >= 10 << 20)
		snprintf(size.text, sizeof(size.text), "%lld GiB", (long long)kib >> 20);
	else if (kib >= 10 << 10)
		snprintf(size.text, sizeof(size.text), "%lld MiB", (long long)kib >> 10);
	else
		snprintf(size.text, sizeof(size.text), "%lld KiB", (long long)kib);
	return size;
}

/* The end of a long path is what names it. */
static const char *end_of(const char *path, size_t most)
{
	size_t length = strlen(path);

	return length <= most ? path : path + length - most;
}
#define FILE_OF(limit)	end_of((limit)->file, 90)

/* ---- what is no target ---------------------------------------------------- */

static bool bad_pid(const struct ps_facts *f, struct ps_reason *r)
{
	return f->pid <= 0 && say(r, -EINVAL, "%d is no process id: give a positive number", f->pid);
}

static bool own(const struct ps_facts *f, struct ps_reason *r)
{
	return f->own && say(r, -EINVAL, "process %d is procsnap itself: it cannot duplicate its own requester", f->pid);
}

static bool gone(const struct ps_facts *f, struct ps_reason *r)
{
	return f->gone &&
		say(r, -ESRCH, "there is no process %d, or it has ended: check the pid (in a container, that of procsnap's own "
			"pid namespace)", f->pid);
}

static bool kernel_thread(const struct ps_facts *f, struct ps_reason *r)
{
	return f->identity.kernel_thread &&
		say(r, -EINVAL, "process %d is a kernel thread: it has no memory of its own to take", f->pid);
}

static bool thread(const struct ps_facts *f, struct ps_reason *r)
{
	return f->identity.tgid > 0 && f->identity.tgid != f->pid &&
	       say(r, -EINVAL, "%d is a thread of process %d: name the process", f->pid, f->identity.tgid);
}

static bool traced(const struct ps_facts *f, struct ps_reason *r)
{
	return f->tracer &&
		say(r, -EBUSY, "process %d is traced by process %d (a debugger, strace?): end that first", f->pid, f->tracer);
}

static bool zombie(const struct ps_facts *f, struct ps_reason *r)
{
	return f->zombie &&
		say(r, -ESRCH, "process %d has ended, and is only kept until its parent takes note (a zombie)", f->pid);
}

static bool denied(const struct ps_facts *f, struct ps_reason *r)
{
	return f->denied && say(r, -EPERM, PS_NO_PERMISSION, f->pid);
}

static bool is_32_bit(const struct ps_facts *f, struct ps_reason *r)
{
	return f->is_32_bit &&
		say(r, -ENOTSUP, "process %d runs 32-bit code: only 64-bit processes can be duplicated from outside", f->pid);
}

/* ---- threads -------------------------------------------------------------- */

static bool deadline(const struct ps_facts *f, struct ps_reason *r)
{
	return f->deadline &&
		say(r, -EAGAIN,
			"thread %d runs under SCHED_DEADLINE, and the kernel lets such threads make no process: give it another "
			"policy, or SCHED_FLAG_RESET_ON_FORK (chrt --reset-on-fork)",
			f->first);
}

static bool frozen(const struct ps_facts *f, struct ps_reason *r)
{
	return *f->frozen &&
		say(r, -EBUSY, "process %d is frozen by its cgroup (%s): thaw it first", f->pid, end_of(f->frozen, 100));
}

static bool stuck(const struct ps_facts *f, struct ps_reason *r)
{
	return f->stuck &&
		say(r, -ETIMEDOUT,
			"thread %d of process %d waits in %s, and nothing can stop it there (state D: vfork(2), or a disk or "
			"file server that does not answer): try when it has gone on",
			f->stuck, f->pid, f->stuck_in);
}

static bool supervised(const struct ps_facts *f, struct ps_reason *r)
{
	return f->supervised &&
		say(r, -EBUSY,
			"thread %d of process %d waits for its seccomp supervisor, which a stop would have asked a second time: "
			"try when that has answered",
			f->supervised, f->pid);
}

static bool filtered(const struct ps_facts *f, struct ps_reason *r)
{
	return f->filtered && !f->may_suspend &&
		say(r, -EACCES, "process %d has a seccomp filter, and suspending it wants CAP_SYS_ADMIN: run as root", f->pid);
}

static bool new_pid(const struct ps_facts *f, struct ps_reason *r)
{
	return f->new_pid_pending &&
		say(r, -EBUSY,
			"process %d has called unshare(CLONE_NEWPID), and the duplicate would be process 1 of the new "
			"namespace: take it when it has made its first child",
			f->pid);
}

static bool new_time(const struct ps_facts *f, struct ps_reason *r)
{
	return f->new_time_pending &&
		say(r, -EBUSY,
			"process %d has called unshare(CLONE_NEWTIME), and a duplicate would end the time in which the new "
			"clocks can be set: take it when it has made its first child",
			f->pid);
}

static bool fork_events(const struct ps_facts *f, struct ps_reason *r)
{
	return f->fork_events >= 0 &&
		say(r, -EBUSY,
			"descriptor %d of process %d is a userfaultfd with UFFD_FEATURE_EVENT_FORK: clone() waits until its "
			"monitor has read the event, which it cannot while it is stopped",
			f->fork_events, f->pid);
}

/* ---- memory --------------------------------------------------------------- */

static bool unseen(const struct ps_facts *f, struct ps_reason *r)
{
	return f->limits.out_of_reach &&
		say(r, -EACCES,
			"the memory limits of process %d cannot be seen: its cgroup is in no cgroup file system here. Mount it, "
			"or run in the machine's own cgroup namespace (nsenter --cgroup --mount -t 1)",
			f->pid);
}

/* Room for all that can be written, or for the clone and for the time until the watch has ended it. */
static bool too_little(const struct ps_facts *f, const struct ps_limit *limit, struct ps_reason *r, const char *hint)
{
	struct ps_cost cost;
	int64_t need;

	if (!limit)
		return false;
	ps_cost_of(f, &cost);
	need = cost.clone + cost.reserve;
	if (f->limits.oom_group || need > cost.growth)
		need = cost.growth;
	if (limit->room >= need)
		return false;
	return say(r, -ENOMEM,
		"%s: %s used of %s, %s of that reclaimable; a duplicate needs %s, else process %d may be killed: %s",
		FILE_OF(limit), size_of(limit->used).text, size_of(limit->limit).text, size_of(limit->reclaimable).text,
		size_of(need).text, f->pid, hint);
}

static bool memory_cgroup(const struct ps_facts *f, struct ps_reason *r)
{
	return too_little(f, ps_tightest(&f->limits, PS_CGROUP_MEMORY, 0), r,
			  f->limits.oom_group ? "raise it (memory.oom.group)" : "raise it for the time");
}

static bool machine_memory(const struct ps_facts *f, struct ps_reason *r)
{
	return too_little(f, ps_tightest(&f->limits, PS_MACHINE_MEMORY, 0), r, "free some");
}

static bool commit(const struct ps_facts *f, struct ps_reason *r)
{
	const struct ps_limit *limit = ps_tightest(&f->limits, PS_COMMIT, 0);

	return limit && limit->room < f->data + COMMIT_LEFT_KIB &&
		say(r, -ENOMEM,
			"vm.overcommit_memory is 2: %s of the CommitLimit of %s are taken; a duplicate of process %d takes %s more",
			size_of(limit->used).text, size_of(limit->limit).text, f->pid, size_of(f->data).text);
}

static bool processes(const struct ps_facts *f, struct ps_reason *r)
{
	const struct ps_limit *limit = ps_tightest(&f->limits, PS_PROCESSES, 0);

	return limit && limit->room < 1 + PROCESSES_LEFT &&
		say(r, -EAGAIN,
			"%s: %lld of %lld processes are there; a duplicate is one more, and one must be left for process %d: "
			"raise it",
			FILE_OF(limit), (long long)limit->used, (long long)limit->limit, f->pid);
}

static bool user_processes(const struct ps_facts *f, struct ps_reason *r)
{
	return f->user_limit >= 0 && f->user_limit - f->user_processes < 1 + PROCESSES_LEFT &&
		say(r, -EAGAIN,
			"RLIMIT_NPROC of process %d is %lld, and its user has %lld: a duplicate is one more, and one must be "
			"left for it: raise it (prlimit --nproc)",
			f->pid, (long long)f->user_limit, (long long)f->user_processes);
}

static bool hugetlb(const struct ps_facts *f, struct ps_reason *r)
{
	for (int i = 0; i < f->huge_sizes; i++) {
		const struct ps_huge *huge = &f->huge_size[i];
		const struct ps_limit *pool = ps_tightest(&f->limits, PS_HUGE_PAGES, huge->page_kib);

		if (!huge->unreserved_kib || !pool || pool->room >= huge->unreserved_kib)
			continue;
		return say(r, -ENOMEM,
			"process %d has %s of huge pages with MAP_NORESERVE, and %s has room for %s: its next write would be a "
			"SIGBUS: raise that",
			f->pid, size_of(huge->unreserved_kib).text, FILE_OF(pool), size_of(pool->room).text);
	}
	return false;
}

/* ---- to be known ---------------------------------------------------------- */

static bool tight(const struct ps_facts *f, struct ps_reason *r)
{
	const struct ps_limit *group = ps_tightest(&f->limits, PS_CGROUP_MEMORY, 0);
	const struct ps_limit *machine = ps_tightest(&f->limits, PS_MACHINE_MEMORY, 0);
	const struct ps_limit *limit = group && (!machine || group->room < machine->room) ? group : machine;
	struct ps_cost cost;

	if (!limit || too_little(f, limit, r, ""))
		return false;
	ps_cost_of(f, &cost);
	return limit->room < cost.growth + cost.reserve &&
		say(r, 0,
			"%s: room for %s, and a duplicate may cost up to %s: it is ended when less than %s are left, and what "
			"was read until then is kept",
			FILE_OF(limit), size_of(limit->room).text, size_of(cost.growth).text, size_of(cost.reserve).text);
}

static bool nested(const struct ps_facts *f, struct ps_reason *r)
{
	return f->limits.nested &&
		say(r, 0, "procsnap runs in a cgroup namespace (a container): limits above that are not seen");
}

static bool hugetlb_reserved(const struct ps_facts *f, struct ps_reason *r)
{
	for (int i = 0; i < f->huge_sizes; i++) {
		const struct ps_huge *huge = &f->huge_size[i];
		const struct ps_limit *pool = ps_tightest(&f->limits, PS_HUGE_PAGES, huge->page_kib);

		if (!huge->reserved_kib || !pool || pool->room >= huge->reserved_kib + huge->unreserved_kib)
			continue;
		return say(r, 0,
			"the pool of huge pages of %s has %s free, and process %d has %s: those that it writes to may be taken "
			"from the duplicate, and cannot be read then",
			size_of(huge->page_kib).text, size_of(pool->room).text, f->pid, size_of(huge->reserved_kib).text);
	}
	return false;
}

static bool direct(const struct ps_facts *f, struct ps_reason *r)
{
	const char *why = f->direct_remote ? "its file system" : "a kernel before 6.5";

	if (f->direct >= 0)
		return say(r, 0,
			"descriptor %d of process %d is open with O_DIRECT: what is being read into its memory at that moment "
			"may go to the duplicate, and be lost to it (%s does not pin pages)",
			f->direct, f->pid, why);
	return f->kernel && f->kernel < 6005 && (f->aio || f->io_uring >= 0) &&
		say(r, 0,
			"process %d has %s: a direct read into its memory that is under way may go to the duplicate, and be "
			"lost to it (%s does not pin pages)",
			f->pid, f->aio ? "an io_setup(2) context" : "an io_uring", why);
}

static bool held(const struct ps_facts *f, struct ps_reason *r)
{
	char what[64];

	if (!f->sysv && !f->locks && f->io_uring < 0)
		return false;
	snprintf(what, sizeof(what), "%s%s%s", f->locks ? ", flock(2) locks" : "", f->sysv ? ", System V segments" : "",
		 f->io_uring >= 0 ? ", an io_uring" : "");
	return say(r, 0,
		"process %d has %s: if it ends while it is duplicated, these stay until the duplicate has let go of shared "
		"mappings",
		f->pid, what + 2);
}

static bool hidden(const struct ps_facts *f, struct ps_reason *r)
{
	return f->descriptors_hidden &&
		say(r, 0,
			"the descriptors of process %d were not all looked at: whether it has a userfaultfd or direct reads is "
			"not known",
			f->pid);
}

static bool unseen_writes(const struct ps_facts *f, struct ps_reason *r)
{
	const char *what = f->io_uring >= 0 ? "an io_uring" : f->aio ? "an io_setup(2) context" :
		f->direct_any >= 0 ? "a descriptor that is open with O_DIRECT" : NULL;

	return what && say(r, -ENOTSUP,
		"process %d has %s: what a device writes into its memory for that is not seen; take a copy by inject",
		f->pid, what);
}

static bool shares_memory(const struct ps_facts *f, struct ps_reason *r)
{
	return f->sharer && say(r, -ENOTSUP,
		"process %d shares the memory of process %d without being a thread of it (CLONE_VM), and would write to it in "
		"the stop: stop it for the time (kill -STOP %d)",
		f->sharer, f->pid, f->sharer);
}

static bool sharing_unknown(const struct ps_facts *f, struct ps_reason *r)
{
	return f->sharing_unknown && !f->sharer && say(r, 0,
		"whether another process shares the memory of process %d (CLONE_VM), and would write to it in the stop, is not "
		"known: not all processes of this machine could be looked at within 200 ms",
		f->pid);
}

/*
 * What is no target is told alone; of the rest, everything. In this order: the first refusal is the one that
 * take tells. What is for both purposes speaks against any stop, or against one call made in the target.
 */
#define FOR_BOTH (PS_FOR_INJECT | PS_FOR_PRECOPY)
static const struct {
	const char *name;
	bool (*applies)(const struct ps_facts *, struct ps_reason *);
} no_target[] = {
	{ "bad-pid", bad_pid }, { "own-process", own }, { "no-process", gone }, { "kernel-thread", kernel_thread },
	{ "thread", thread }, { "traced", traced }, { "zombie", zombie }, { "no-permission", denied },
	{ "32-bit", is_32_bit },
};

static const struct {
	const char *name;
	bool (*applies)(const struct ps_facts *, struct ps_reason *);
	int purposes;
} reasons[] = {
	{ "frozen", frozen, FOR_BOTH },
	{ "uninterruptible", stuck, FOR_BOTH },
	{ "seccomp-supervisor", supervised, FOR_BOTH },
	{ "seccomp-filter", filtered, FOR_BOTH },
	{ "deadline", deadline, PS_FOR_INJECT },
	{ "new-pid-namespace", new_pid, PS_FOR_INJECT },
	{ "new-time-namespace", new_time, PS_FOR_INJECT },
	{ "userfaultfd", fork_events, PS_FOR_INJECT },
	{ "cgroup-unseen", unseen, PS_FOR_INJECT },
	{ "memory-cgroup", memory_cgroup, PS_FOR_INJECT },
	{ "machine-memory", machine_memory, PS_FOR_INJECT },
	{ "commit-limit", commit, PS_FOR_INJECT },
	{ "pids-cgroup", processes, PS_FOR_INJECT },
	{ "user-processes", user_processes, PS_FOR_INJECT },
	{ "hugetlb", hugetlb, PS_FOR_INJECT },
	{ "memory-tight", tight, PS_FOR_INJECT },
	{ "hugetlb-reserved", hugetlb_reserved, PS_FOR_INJECT },
	{ "direct-io", direct, PS_FOR_INJECT },
	{ "held", held, PS_FOR_INJECT },
	{ "descriptors-hidden", hidden, FOR_BOTH },
	{ "cgroup-namespace", nested, PS_FOR_INJECT },
	{ "unseen-writes", unseen_writes, PS_FOR_PRECOPY },
	{ "shares-memory", shares_memory, FOR_BOTH },
	{ "sharing-unknown", sharing_unknown, FOR_BOTH },
};

#define COUNT(table)	(int)(sizeof(table) / sizeof(*(table)))

int ps_judge(const struct ps_facts *facts, enum ps_purpose purpose, struct ps_reason *found, int max)
{
	int count = 0;

	for (int i = 0; i < COUNT(no_target); i++)
		if (no_target[i].applies(facts, found)) {
			snprintf(found->name, sizeof(found->name), "%s", no_target[i].name);
			return 1;
		}
	for (int i = 0; facts->complete && i < COUNT(reasons) && count < max; i++) {
		if (!(reasons[i].purposes & purpose) || !reasons[i].applies(facts, &found[count]))
			continue;
		snprintf(found[count].name, sizeof(found[count].name), "%s", reasons[i].name);
		count++;
	}
	return count;
}
