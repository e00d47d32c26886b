// SPDX-License-Identifier: MIT
/*
 * syscall - create_proc_snap(), the paper's own way: a patched kernel duplicates
 * the target for us (kernel-patch/README.md)
 *
 * The target is not stopped, traced or signalled, and nothing happens in its
 * name. What it may notice is that a page fault, mmap() or the like of its own
 * waits while the kernel holds its mmap_lock: the kernel says for how long.
 *
 * The duplicate is our child: SIGKILL and wait4() end it, and if this process
 * is killed, the kernel ends it. Its tasks, one for each thread of the target,
 * are parked in the kernel. They may be traced, and that is how the registers
 * that they carry are read, when it costs the target nothing any more.
 */
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "procsnap.h"

#define END_NS		(60 * PS_NSEC_PER_SEC)

_Static_assert(sizeof(struct proc_snap_args) == PROC_SNAP_ARGS_SIZE_VER1,
	"struct proc_snap_args has grown: 0 has to ask for nothing new");

static int failed(pid_t target, int err)
{
	struct ps_identity identity;
	int probe = ps_snap_probe();

	if (probe)
		return probe;
	if (target <= 0)
		return ps_fail(err, "%d is no process id: give a positive number", target);
	if (ps_identify(target, &identity))
		return ps_fail(-ESRCH,
			"there is no process %d, or it has ended: check the pid (in a container, that of procsnap's own pid "
			"namespace)", target);
	switch (err) {
	case -EINVAL:
		if (identity.kernel_thread)
			return ps_fail(err, "process %d is a kernel thread: it has no memory of its own to take", target);
		return ps_fail(err, "process %d is a snapshot itself: take one of the process that it is of", target);
	case -ESRCH:
		if (identity.tgid != target)
			return ps_fail(err, "%d is a thread of process %d: name the process", target, identity.tgid);
		return ps_fail(err, "process %d has ended, and is only kept until its parent takes note (a zombie)", target);
	case -EPERM:
	case -EACCES:
		return ps_fail(err, PS_NO_PERMISSION, target);
	case -EAGAIN:
		return ps_fail(err,
			"procsnap may not have as many more processes as process %d has threads: its RLIMIT_NPROC or pids "
			"cgroup (pids.max) forbids it; or the process makes threads faster than they can be taken: try again",
			target);
	case -ENOMEM:
		return ps_fail(err,
			"there is not enough memory to duplicate process %d: vm.overcommit_memory=2 or procsnap's memory cgroup "
			"forbids it",
			target);
	case -E2BIG:
	case -EFAULT:
		return ps_fail(err,
			"this kernel's create_proc_snap2() is another than procsnap's (%s): build both from one version of "
			"procsnap",
			strerror(-err));
	default:
		return ps_fail(err, "create_proc_snap() of process %d failed: %s", target, strerror(-err));
	}
}

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * PS_NSEC_PER_SEC + now.tv_nsec;
}

/*
 * The kernel tells moments by CLOCK_MONOTONIC. Just after one, the clocks' distance is the same within some
 * nanoseconds.
 */
static int64_t to_raw(int64_t moment_ns)
{
	int64_t before = ps_now_ns(), monotonic = monotonic_ns();

	return moment_ns - monotonic + (before + ps_now_ns()) / 2;
}

/* The plain call does not tell which tasks it made. The first is the first thread's; whose the others are is not known.
 */
static int list_tasks(struct ps_snapshot *snapshot)
{
	pid_t tids[PS_MAX_THREADS];
	int count = ps_list_threads(snapshot->pid, tids, PS_MAX_THREADS);

	for (int i = 0; i < count; i++)
		snapshot->thread[i].snap_tid = tids[i];
	if (count > 0)
		snapshot->thread[0].target_tid = snapshot->target;
	return count;
}

int ps_snap(pid_t target, bool plain, struct ps_snapshot *snapshot)
{
	const struct sched_param other = { 0 };
	struct proc_snap_args *args = &snapshot->told;
	int64_t start;
	long pid;

	*snapshot = (struct ps_snapshot){ .target = target };	/* written to: no page of it is missing in the call */
	args->target = target;
	args->threads = (uintptr_t)snapshot->thread;
	args->nr_threads = PS_MAX_THREADS;
	ps_at(PS_STEP_CHECKED);
	start = ps_now_ns();
	pid = plain ? syscall(PS_SYS_CREATE_PROC_SNAP, target) : syscall(PS_SYS_CREATE_PROC_SNAP2, args, sizeof(*args));
	snapshot->take_ns = ps_now_ns() - start;
	if (pid < 0)
		return failed(target, -errno);
	snapshot->pid = pid;
	ps_at(PS_STEP_RELEASED);
	if (plain) {
		snapshot->pause_ns = snapshot->take_ns;
		snapshot->threads = snapshot->listed = list_tasks(snapshot);
	} else {
		snapshot->pause_ns = args->locked_ns;
		snapshot->moment_ns = to_raw(args->moment_ns);
		snapshot->threads = args->nr_threads;
		snapshot->listed = snapshot->threads < PS_MAX_THREADS ? snapshot->threads : PS_MAX_THREADS;
	}
	/*
	 * They have our priority, and giving back its memory would keep a real-time target from its CPU where
	 * there is one only.
	 */
	for (int i = 0; i < snapshot->listed; i++)
		sched_setscheduler(snapshot->thread[i].snap_tid, SCHED_OTHER, &other);
	ps_at(PS_STEP_HELD);
	return 0;
}

/* Not spinning: it takes a CPU for the task to stop, and there may be one only. */
static int attach(pid_t tid, int64_t timeout_ns)
{
	int err, status;

	if (ptrace(PTRACE_SEIZE, tid, 0, 0) || ptrace(PTRACE_INTERRUPT, tid, 0, 0))
		return ps_fail(-errno, "the duplicate's task %d cannot be traced: %s", tid, strerror(errno));
	err = ps_wait_stop(tid, timeout_ns, 0, &status);
	return err ? ps_fail(err, "the duplicate's task %d did not stop: was it ended by somebody else?", tid) : 0;
}

static int read_task(pid_t tid, struct ps_registers *out)
{
	struct iovec general = { &out->general, sizeof(out->general) }, xstate = { out->xstate, sizeof(out->xstate) };

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &general))
		return ps_fail(-errno, "the registers that task %d carries cannot be read: %s", tid, strerror(errno));
	if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &xstate))
		xstate.iov_len = 0;
	out->xstate_bytes = xstate.iov_len;
	return 0;
}

int ps_snapshot_registers(const struct ps_snapshot *snapshot, int64_t timeout_ns, struct ps_registers *out, int max)
{
	int count = 0, err = 0;

	while (count < snapshot->listed && count < max && !err) {
		const struct proc_snap_thread *thread = &snapshot->thread[count];
		bool attached = thread->snap_tid == snapshot->pid && snapshot->attached_by == gettid();

		if (!attached)
			err = attach(thread->snap_tid, timeout_ns);
		if (!err)
			err = read_task(thread->snap_tid, &out[count]);
		if (!attached)
			ptrace(PTRACE_DETACH, thread->snap_tid, 0, 0);
		out[count].tid = thread->target_tid;
		out[count].flags = thread->flags;
		out[count].skew_ns = thread->registers_ns - snapshot->told.moment_ns;
		count++;
	}
	return err ? err : count;
}

int ps_snapshot_attach(struct ps_snapshot *snapshot, int64_t timeout_ns)
{
	int err;

	if (snapshot->attached_by == gettid())
		return 0;
	err = attach(snapshot->pid, timeout_ns);
	if (!err)
		snapshot->attached_by = gettid();
	return err;
}

void ps_snapshot_end(struct ps_snapshot *snapshot, struct ps_ended *ended)
{
	int64_t start = ps_now_ns();
	int err, status;

	*ended = (struct ps_ended){ 0 };
	kill(snapshot->pid, SIGKILL);
	ended->kill_ns = ps_now_ns() - start;
	ps_at(PS_STEP_KILLED);
	/* Giving back its memory takes as long as it is large; if its cgroup is frozen, it ends when that is thawed. */
	do
		err = ps_wait_stop(snapshot->pid, END_NS, 0, &status);
	while (!err && ps_now_ns() - start < END_NS);
	ended->reap_ns = ps_now_ns() - start;
	ps_at(PS_STEP_BURIED);
	snapshot->pid = 0;
}
