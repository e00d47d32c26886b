// SPDX-License-Identifier: MIT
/*
 * inject - a still duplicate of any process, on a kernel as it is
 *
 * The target is stopped, made to execute one clone() from an instruction that
 * it already has, and put back exactly as it was; nothing is written to its
 * memory. What the flags are for:
 *   CLONE_PTRACE	the child is ours before it can run, with no stop of the
 *			target for it
 *   CLONE_FILES	the child holds no descriptors of its own: pipes and
 *			sockets close when the target closes them. drop_files()
 *			then gives it an empty table, so that they also close
 *			when the target ends or calls exec()
 *   exit signal 0	the target sees no SIGCHLD, and its wait() does not see
 *			the child
 * The child would stay in the target's list of children when it has ended:
 * ps_end() has the target wait for it, by a second injection.
 * Not CLONE_FS: while it is shared, setns() fails in the target, and exec() of a
 * set-user-id program does not change the user.
 *
 * Between MASKED and UNMASKED the target has registers and a signal mask that
 * are not its own. If the tracer is killed there (SIGKILL, nothing else can),
 * the kernel lets the target go as it is, and it is lost: that is window_ns.
 * The requester is another process: its death harms nothing, at any step.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/living.h"
#include "procsnap.h"

#define CLONE_STILL	(CLONE_PTRACE | CLONE_FILES)
/*
 * If the tracer dies before it holds the child, the child would run: with this
 * in all registers that may point somewhere, the stack's and the frame's
 * pointers first, it faults at its first instruction that uses memory. The
 * vDSO's first "syscall" is followed by "leave": a true frame pointer would let
 * the child return into the target's code. The true registers are put back when
 * the child is held.
 */
#define NOWHERE		16
#define INSTRUCTION	0x050f		/* "syscall", little-endian */
#define TRAP_FLAG	0x100UL		/* of eflags: a single step */
#define MAX_TRIES	3
#define MAX_CALLS	1000		/* with stops and continuations arriving all the time */
#define LONG_NS		(60 * PS_NSEC_PER_SEC)	/* clone() of a large process takes long; only death ends it early */

/* ---- where the target has a "syscall" instruction ------------------------- */

static int changing(pid_t pid)
{
	return ps_fail(-EAGAIN, "process %d changed its program again and again: try later", pid);
}

struct search {
	pid_t	 pid;
	bool	 vdso_only;
	int	 regions, unread;
	uint64_t found;
};

static int search_region(const struct ps_region *region, void *arg)
{
	struct search *search = arg;
	uint8_t bytes[8192];

	search->regions++;
	if (!region->executable || !region->readable || !strcmp(region->name, "[vsyscall]") ||
	    (search->vdso_only && strcmp(region->name, "[vdso]")))
		return 0;
	for (uint64_t at = region->start; at < region->end; at += sizeof(bytes) - 1) {
		size_t want = region->end - at < sizeof(bytes) ? region->end - at : sizeof(bytes);
		struct iovec local = { bytes, want }, remote = { (void *)at, want };
		ssize_t got = process_vm_readv(search->pid, &local, 1, &remote, 1, 0);

		search->unread += got < 0;
		for (ssize_t i = 0; i + 1 < got; i++)
			if (bytes[i] == 0x0f && bytes[i + 1] == 0x05) {
				search->found = at + i;
				return 1;
			}
	}
	return 0;
}

/* The vDSO first: it is in memory in any case, so that looking does not page anything in. */
static int find_instruction(pid_t pid, uint64_t *address)
{
	struct search search = { 0 };
	int found = 0;

	/* Again if nothing is found: it may be in the midst of exec(). */
	for (int pass = 0; pass < 2 * MAX_TRIES; pass++) {
		if (pass > 1)
			usleep(1000);
		search = (struct search){ .pid = ps_living_thread(pid), .vdso_only = pass % 2 == 0 };
		found = search.pid < 0 ? search.pid : ps_for_regions(search.pid, search_region, &search);
		*address = search.found;
		if (found > 0)
			return 0;
		if (found < 0 && found != -ENOENT && found != -ESRCH)
			return found;
	}
	if (search.pid < 0)
		return search.pid;
	if (found || !search.regions)
		return ps_fail(-ESRCH, "process %d ended", pid);
	if (search.unread)
		return changing(pid);
	return ps_fail(-ENOEXEC, "process %d has no syscall instruction in executable memory that may be read", pid);
}

/* ---- one system call in the target's name ---------------------------------- */

struct injection {
	pid_t	 target;
	int64_t	 timeout_ns;
	uint64_t instruction;
	struct ps_stop stop;
	int	 restarted, lengthened;		/* blocked calls */
	long	 options;			/* of ptrace */
	uint64_t mask;				/* the target's own */
	int64_t	 window_start, window_ns;
	bool	 masked;
};

/* From a stop to the next system-call stop. */
static int next_call_stop(pid_t tid, int64_t timeout_ns, bool spin)
{
	int64_t start = ps_now_ns();
	int err, status;
	long sig = 0;

	do {
		if (ptrace(PTRACE_SYSCALL, tid, 0, sig))
			return -ESRCH;
		err = ps_wait_stop(tid, timeout_ns, spin, &status);
		if (err)
			return err;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 0;
		/*
		 * Other stops are passed over. SIGSTOP cannot be masked: delivered, it
		 * stops the target from when it is let go until a SIGCONT, which may
		 * come any time.
		 */
		sig = status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
	} while (ps_now_ns() - start < timeout_ns);
	return -EBUSY;
}

static int call(struct injection *in, struct ps_thread *thread, const struct user_regs_struct *regs, long *result,
		int64_t *took_ns)
{
	struct user_regs_struct after;
	int64_t start;
	int err, status;

	if (ptrace(PTRACE_SETREGS, thread->tid, 0, regs))
		return -ESRCH;
	ps_at(PS_STEP_INJECTED);
	err = next_call_stop(thread->tid, in->timeout_ns, true);
	if (err == -ETIMEDOUT) {
		/* It does not get to run (a frozen cgroup); it does get to stop, and must be put back. */
		ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
		err = ps_wait_stop(thread->tid, LONG_NS, true, &status);
		return err ? err : -EBUSY;
	}
	if (err)
		return err;
	ps_at(PS_STEP_ENTERED);
	start = ps_now_ns();
	err = next_call_stop(thread->tid, LONG_NS, true);
	*took_ns = ps_now_ns() - start;
	if (err || ptrace(PTRACE_GETREGS, thread->tid, 0, &after))
		return err ? err : -ESRCH;
	*result = after.rax;
	return 0;
}

/* Make @number(@arguments) happen in the target's first thread. The thread keeps its registers and mask. */
static int inject_call(struct injection *in, long number, const long arguments[4], long *result, int64_t *took_ns)
{
	static const uint64_t all = ~0ULL;
	struct ps_thread *thread = &in->stop.thread[0];
	struct user_regs_struct regs = thread->general;
	int err;

	/* Without this, signals that come in between are lost: they would end the injected call. */
	in->window_start = ps_now_ns();
	if (ptrace(PTRACE_SETSIGMASK, thread->tid, sizeof(all), &all))
		return -ESRCH;
	in->masked = true;
	ps_at(PS_STEP_MASKED);
	regs.rip = in->instruction;
	regs.rax = number;
	regs.orig_rax = -1;
	regs.rdi = arguments[0];
	regs.rsi = arguments[1];
	regs.rdx = arguments[2];
	regs.r10 = arguments[3];
	regs.r8 = regs.r9 = 0;
	regs.rbp = regs.rbx = regs.r12 = regs.r13 = regs.r14 = regs.r15 = NOWHERE;
	regs.eflags &= ~TRAP_FLAG;
	for (int tries = 0; tries < MAX_CALLS; tries++) {
		err = call(in, thread, &regs, result, took_ns);
		if (err || *result != -513)	/* ERESTARTNOINTR: a stop was pending, nothing was done */
			break;
	}
	return err;
}

static void put_back(struct injection *in)
{
	struct ps_thread *thread = &in->stop.thread[0];

	if (!in->masked)
		return;
	ptrace(PTRACE_SETREGS, thread->tid, 0, &thread->mended);
	thread->changed = false;
	ps_at(PS_STEP_RESTORED);
	ptrace(PTRACE_SETSIGMASK, thread->tid, sizeof(in->mask), &in->mask);
	in->window_ns = ps_now_ns() - in->window_start;
	ps_at(PS_STEP_UNMASKED);
}

static void mend_calls(struct injection *in)
{
	for (int i = 0; i < in->stop.threads; i++)
		in->restarted += ps_mend_call(in->target, &in->stop.thread[i], &in->lengthened);
}

/*
 * A seccomp filter that kills on clone() would kill the target. It is suspended
 * while the target is stopped, not before: else its own calls would pass.
 */
static int suspend_seccomp(struct injection *in)
{
	struct ps_identity identity;
	pid_t tid = in->stop.thread[0].tid;

	in->options = PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP;
	if (!ptrace(PTRACE_SETOPTIONS, tid, 0, in->options))
		return 0;
	in->options = PTRACE_O_TRACESYSGOOD;
	if (!ps_identify(tid, &identity) && !identity.seccomp)
		return 0;
	return ps_fail(-EACCES, "process %d has a seccomp filter, and suspending it wants CAP_SYS_ADMIN: run as root", in->target);
}

static struct ps_thread thread_room[PS_MAX_THREADS];

/* Stop the target, with its instruction found and checked, and its blocked calls mended. */
static int begin(struct injection *in, pid_t target, int64_t timeout_ns)
{
	static pid_t known;		/* where the last target had its instruction: looking is slow */
	static uint64_t instruction;
	int err;

	*in = (struct injection){ .target = target, .timeout_ns = timeout_ns, .stop.thread = thread_room };
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		if (known != target) {
			err = find_instruction(target, &instruction);
			if (err)
				return err;
			known = target;
		}
		err = ps_stop_all(&in->stop, target, timeout_ns);
		if (err)
			return err;
		mend_calls(in);
		if ((ptrace(PTRACE_PEEKTEXT, in->stop.thread[0].tid, instruction, 0) & 0xffff) == INSTRUCTION &&
		    !ptrace(PTRACE_GETSIGMASK, in->stop.thread[0].tid, sizeof(in->mask), &in->mask)) {
			in->instruction = instruction;
			err = suspend_seccomp(in);
			if (err)
				ps_release(&in->stop, -1);
			return err;
		}
		ps_release(&in->stop, -1);	/* it has called exec since, or the pid is another process */
		known = 0;
	}
	return changing(target);
}

/* ---- the duplicate --------------------------------------------------------- */

/*
 * The child shares the target's table of descriptors: if the target ended or
 * called exec(), it would keep them open. The only system call that it makes.
 */
static void drop_files(const struct ps_duplicate *duplicate, const struct injection *in)
{
	struct user_regs_struct regs = in->stop.thread[0].general;

	regs.rip = in->instruction;
	regs.rax = SYS_close_range;
	regs.orig_rax = -1;
	regs.rdi = 0;
	regs.rsi = ~0U;
	regs.rdx = CLOSE_RANGE_UNSHARE;
	regs.eflags &= ~TRAP_FLAG;
	if (!ptrace(PTRACE_SETREGS, duplicate->pid, 0, &regs) && !next_call_stop(duplicate->pid, in->timeout_ns, false))
		next_call_stop(duplicate->pid, in->timeout_ns, false);
}

/*
 * Where it was moved to another CPU before it stopped, the kernel has written
 * that CPU's number into the duplicate's struct rseq, as it does for a thread
 * that runs. That is not what the target had at the moment: put back. The page
 * is the duplicate's own.
 */
static void restore_rseq(const struct ps_duplicate *duplicate, const struct ps_thread *thread)
{
	uint8_t now[sizeof(thread->rseq)];
	struct iovec local = { now, thread->rseq_bytes }, remote = { (void *)thread->rseq_address, thread->rseq_bytes };

	if (!thread->rseq_bytes || process_vm_readv(duplicate->pid, &local, 1, &remote, 1, 0) != (ssize_t)thread->rseq_bytes ||
	    !memcmp(now, thread->rseq, thread->rseq_bytes))
		return;
	local.iov_base = (void *)thread->rseq;
	if (process_vm_writev(duplicate->pid, &local, 1, &remote, 1, 0) < 0)
		return;		/* a region that is read-only by now: the copy then shows what the kernel wrote */
}

/* Wait for the child that clone() made, and see that it never runs and does no harm. */
static int hold(struct ps_duplicate *duplicate, const struct injection *in, int cpu)
{
	struct sched_param other = { 0 };
	cpu_set_t cpus;
	int err, status;

	/* It has the target's CPU and priority, and would die with them, in the target's way. */
	sched_setscheduler(duplicate->pid, SCHED_OTHER, &other);
	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		sched_setaffinity(duplicate->pid, sizeof(cpus), &cpus);
	}
	err = ps_wait_stop(duplicate->pid, in->timeout_ns + PS_NSEC_PER_SEC, false, &status);
	if (err)
		return err;
	ptrace(PTRACE_SETOPTIONS, duplicate->pid, 0, in->options | PTRACE_O_EXITKILL);
	drop_files(duplicate, in);
	ptrace(PTRACE_SETREGS, duplicate->pid, 0, &in->stop.thread[0].general);
	ptrace(PTRACE_SETSIGMASK, duplicate->pid, sizeof(in->mask), &in->mask);
	restore_rseq(duplicate, &in->stop.thread[0]);
	ps_at(PS_STEP_HELD);
	return 0;
}

/*
 * The child's pid in our namespace; what clone() returned is in the target's.
 * CLONE_PTRACE attached it, so it is the one tracee that we do not know.
 */
static bool is_own_thread(const struct injection *in, pid_t pid)
{
	for (int i = 0; i < in->stop.threads; i++)
		if (in->stop.thread[i].tid == pid)
			return true;
	return false;
}

static pid_t find_child(const struct injection *in, long inner_pid)
{
	struct ps_identity identity;

	if (!is_own_thread(in, inner_pid) && !ps_identify(inner_pid, &identity) && identity.tracer == gettid())
		return inner_pid;
	for (int64_t start = ps_now_ns(); ps_now_ns() - start < in->timeout_ns + PS_NSEC_PER_SEC;) {
		siginfo_t info = { 0 };

		if (!waitid(P_ALL, 0, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL) && info.si_pid &&
		    !is_own_thread(in, info.si_pid))
			return info.si_pid;
	}
	return 0;
}

static int clone_failed(pid_t target, long result)
{
	switch (result) {
	case -EAGAIN:
		return ps_fail(result, "process %d may have no further child: RLIMIT_NPROC, its pids cgroup (pids.max) "
			       "or SCHED_DEADLINE forbids it", target);
	case -ENOMEM:
		return ps_fail(result, "there is not enough memory to duplicate process %d: vm.overcommit_memory=2 or its memory cgroup forbids it", target);
	default:
		return ps_fail(result, "clone() in process %d failed: %s", target, strerror(-result));
	}
}

/* The target was killed in between: a child that it may have made is ours alone to end. */
static void end_stray_child(void)
{
	int64_t start = ps_now_ns();
	int status;

	while (ps_now_ns() - start < PS_NSEC_PER_SEC) {
		siginfo_t info = { 0 };

		if (waitid(P_ALL, 0, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL))
			return;		/* there is none */
		if (!info.si_pid)
			continue;
		kill(info.si_pid, SIGKILL);
		waitpid(info.si_pid, &status, __WALL | WNOHANG);
	}
}

static int call_failed(pid_t target, int err)
{
	if (err == -EBUSY)
		return ps_fail(err, "process %d does not get to run: its cgroup is frozen, or others keep its CPU; try when it runs again", target);
	return ps_fail(err, "process %d ended while it was being duplicated", target);
}

int ps_inject(pid_t target, int cpu, int64_t timeout_ns, struct ps_duplicate *duplicate,
	      struct ps_registers *registers, int max_registers)
{
	const long arguments[4] = { CLONE_STILL, NOWHERE, 0, 0 };
	struct ps_ended ended;
	struct injection in;
	int64_t start = ps_now_ns();
	long result = 0;
	int err;

	*duplicate = (struct ps_duplicate){ .target = target };
	err = ps_check_target(target);
	if (err)
		return err;
	ps_at(PS_STEP_CHECKED);
	err = begin(&in, target, timeout_ns);
	if (err)
		return err;
	ps_at(PS_STEP_STOPPED);
	duplicate->threads = in.stop.threads;
	duplicate->restarted_calls = in.restarted;
	duplicate->lengthened_timeouts = in.lengthened;
	if (registers)
		duplicate->registers = ps_read_registers(&in.stop, registers, max_registers);
	ps_at(PS_STEP_REGISTERS);

	err = inject_call(&in, SYS_clone, arguments, &result, &duplicate->clone_ns);
	duplicate->moment_ns = ps_now_ns();
	if (!err && result > 0)
		ps_at(PS_STEP_CLONED);
	put_back(&in);
	ps_release(&in.stop, -1);
	duplicate->pause_ns = ps_now_ns() - in.stop.first_ns;
	duplicate->window_ns = in.window_ns;
	ps_at(PS_STEP_RELEASED);
	if (err) {
		end_stray_child();
		return call_failed(target, err);
	}
	if (result < 0)
		return clone_failed(target, result);

	duplicate->inner_pid = result;
	duplicate->pid = find_child(&in, result);
	if (!duplicate->pid)
		return ps_fail(-ECHILD, "the duplicate of process %d was ended by somebody else", target);
	err = hold(duplicate, &in, cpu);
	if (err)
		ps_end(duplicate, timeout_ns, &ended);
	duplicate->take_ns = ps_now_ns() - start;
	return err ? ps_fail(err, "the duplicate of process %d was ended by somebody else", target) : 0;
}

/* The ended duplicate is the target's child: have the target wait for it. */
static int bury(const struct ps_duplicate *duplicate, int64_t timeout_ns, struct ps_ended *ended)
{
	const long arguments[4] = { duplicate->inner_pid, 0, __WALL | WNOHANG, 0 };
	struct injection in;
	int64_t took_ns;
	long result = 0;
	int err;

	err = begin(&in, duplicate->target, timeout_ns);
	if (err)
		return err == -ESRCH ? 0 : err;		/* no target, no child of it */
	err = inject_call(&in, SYS_wait4, arguments, &result, &took_ns);
	put_back(&in);
	ps_release(&in.stop, -1);
	ended->pause_ns = ps_now_ns() - in.stop.first_ns;
	ps_at(PS_STEP_BURIED);
	if (err == -ESRCH || result == -ECHILD || result == duplicate->inner_pid)
		return 0;
	return ps_fail(err ? err : -EBUSY, "the ended duplicate %d stays in the process table until process %d ends",
		       duplicate->pid, duplicate->target);
}

int ps_end(struct ps_duplicate *duplicate, int64_t timeout_ns, struct ps_ended *ended)
{
	int64_t start = ps_now_ns();
	int err = 0, status;

	*ended = (struct ps_ended){ 0 };
	kill(duplicate->pid, SIGKILL);
	ended->kill_ns = ps_now_ns() - start;
	ps_at(PS_STEP_KILLED);
	/* Ended is when its memory has been given back, and that takes as long as the target is large. */
	while (waitpid(duplicate->pid, &status, __WALL) == duplicate->pid && WIFSTOPPED(status))
		;
	err = bury(duplicate, timeout_ns, ended);
	ended->reap_ns = ps_now_ns() - start;
	return err;
}
