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
 *			sockets close when the target closes them
 *   CLONE_FS		nor a working directory
 *   exit signal 0	the target sees no SIGCHLD, and its wait() does not see
 *			the child
 * The child would stay in the target's list of children when it has ended:
 * ps_end() has the target wait for it, by a second injection.
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
#include "procsnap.h"

#define CLONE_STILL	(CLONE_PTRACE | CLONE_FILES | CLONE_FS)
/*
 * If the tracer dies before it holds the child, the child would run: on this
 * stack, which is in no process's memory, it faults at its first instruction
 * that uses it. The true stack pointer is put back when the child is held.
 */
#define NO_STACK	16
#define INSTRUCTION	0x050f		/* "syscall", little-endian */
#define MAX_TRIES	3

void (*ps_step_hook)(enum ps_step step);

static void at(enum ps_step step)
{
	if (ps_step_hook)
		ps_step_hook(step);
}

/* ---- where the target has a "syscall" instruction ------------------------- */

static int search_region(const struct ps_region *region, void *arg)
{
	uint64_t *found = ((void **)arg)[0];
	bool vdso_only = ((void **)arg)[1];
	pid_t pid = *(pid_t *)((void **)arg)[2];
	uint8_t bytes[8192];

	if (!region->executable || !region->readable || !strcmp(region->name, "[vsyscall]") ||
	    (vdso_only && strcmp(region->name, "[vdso]")))
		return 0;
	for (uint64_t at = region->start; at < region->end; at += sizeof(bytes) - 1) {
		size_t want = region->end - at < sizeof(bytes) ? region->end - at : sizeof(bytes);
		struct iovec local = { bytes, want }, remote = { (void *)at, want };
		ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);

		for (ssize_t i = 0; i + 1 < got; i++)
			if (bytes[i] == 0x0f && bytes[i + 1] == 0x05) {
				*found = at + i;
				return 1;
			}
	}
	return 0;
}

/* The vDSO first: it is in memory in any case, so that looking does not page anything in. */
static int find_instruction(pid_t pid, uint64_t *address)
{
	bool vdso_only = true;

	for (int pass = 0; pass < 2; pass++, vdso_only = false) {
		void *arg[] = { address, vdso_only ? &vdso_only : NULL, &pid };
		int err = ps_for_regions(pid, search_region, arg);

		if (err)
			return err < 0 ? err : 0;
	}
	return ps_fail(-ENOEXEC, "process %d has no syscall instruction in executable memory that may be read", pid);
}

/* ---- one system call in the target's name ---------------------------------- */

struct injection {
	pid_t	 target;
	int64_t	 timeout_ns;
	uint64_t instruction;
	struct ps_stop stop;
	uint64_t mask;			/* the target's own */
	int64_t	 window_start, window_ns;
	bool	 masked;
};

/* From a stop to the next system-call stop; an interruption that is still pending is passed over. */
static int next_call_stop(struct injection *in, struct ps_thread *thread)
{
	int err, status;

	for (int tries = 0; tries < 16; tries++) {
		if (ptrace(PTRACE_SYSCALL, thread->tid, 0, 0))
			return -ESRCH;
		/* clone() of a large process takes long; only death ends it early. */
		err = ps_wait_stop(thread->tid, in->timeout_ns + 60 * PS_NSEC_PER_SEC, &status);
		if (err)
			return err;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 0;
		/* SIGSTOP cannot be masked: taken off, and sent again when all is put back. */
		if (status >> 16 != PTRACE_EVENT_STOP)
			thread->signal = WSTOPSIG(status);
	}
	return -EAGAIN;
}

static int call(struct injection *in, struct ps_thread *thread, const struct user_regs_struct *regs, long *result,
		int64_t *took_ns)
{
	struct user_regs_struct after;
	int64_t start;
	int err;

	if (ptrace(PTRACE_SETREGS, thread->tid, 0, regs))
		return -ESRCH;
	at(PS_STEP_INJECTED);
	err = next_call_stop(in, thread);
	if (err)
		return err;
	at(PS_STEP_ENTERED);
	start = ps_now_ns();
	err = next_call_stop(in, thread);
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
	at(PS_STEP_MASKED);
	regs.rip = in->instruction;
	regs.rax = number;
	regs.orig_rax = -1;
	regs.rdi = arguments[0];
	regs.rsi = arguments[1];
	regs.rdx = arguments[2];
	regs.r10 = arguments[3];
	regs.r8 = regs.r9 = 0;
	regs.eflags &= ~0x100UL;	/* TF: no single step */
	for (int tries = 0; tries < MAX_TRIES; tries++) {
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
	at(PS_STEP_RESTORED);
	ptrace(PTRACE_SETSIGMASK, thread->tid, sizeof(in->mask), &in->mask);
	in->window_ns = ps_now_ns() - in->window_start;
	at(PS_STEP_UNMASKED);
}

static struct ps_thread thread_room[PS_MAX_THREADS];

/* Stop the target, with its instruction found and checked. */
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
		errno = 0;
		if ((ptrace(PTRACE_PEEKTEXT, in->stop.thread[0].tid, instruction, 0) & 0xffff) == INSTRUCTION &&
		    !ptrace(PTRACE_GETSIGMASK, in->stop.thread[0].tid, sizeof(in->mask), &in->mask)) {
			in->instruction = instruction;
			return 0;
		}
		ps_release(&in->stop, -1);	/* it has called exec since, or the pid is another process */
		known = 0;
	}
	return ps_fail(-EAGAIN, "process %d changed its program again and again: try later", target);
}

static int mend_calls(struct injection *in, int *lengthened)
{
	int mended = 0;

	for (int i = 0; i < in->stop.threads; i++)
		mended += ps_mend_call(in->target, &in->stop.thread[i], lengthened);
	return mended;
}

/* ---- the duplicate --------------------------------------------------------- */

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
	err = ps_wait_stop(duplicate->pid, in->timeout_ns + PS_NSEC_PER_SEC, &status);
	if (err)
		return ps_fail(err, "the duplicate of process %d was ended by somebody else", in->target);
	ptrace(PTRACE_SETOPTIONS, duplicate->pid, 0, PTRACE_O_EXITKILL);
	ptrace(PTRACE_SETREGS, duplicate->pid, 0, &in->stop.thread[0].general);
	ptrace(PTRACE_SETSIGMASK, duplicate->pid, sizeof(in->mask), &in->mask);
	at(PS_STEP_HELD);
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

int ps_inject(pid_t target, int cpu, int64_t timeout_ns, struct ps_duplicate *duplicate,
	      struct ps_registers *registers, int max_registers)
{
	const long arguments[4] = { CLONE_STILL, NO_STACK, 0, 0 };
	struct injection in;
	int64_t start = ps_now_ns();
	long result = 0;
	int err;

	*duplicate = (struct ps_duplicate){ .target = target };
	err = ps_check_target(target);
	if (err)
		return err;
	at(PS_STEP_CHECKED);
	err = begin(&in, target, timeout_ns);
	if (err)
		return err;
	at(PS_STEP_STOPPED);
	duplicate->threads = in.stop.threads;
	duplicate->restarted_calls = mend_calls(&in, &duplicate->lengthened_timeouts);
	if (registers)
		duplicate->registers = ps_read_registers(&in.stop, registers, max_registers);
	at(PS_STEP_REGISTERS);

	err = inject_call(&in, SYS_clone, arguments, &result, &duplicate->clone_ns);
	duplicate->moment_ns = ps_now_ns();
	if (!err && result > 0)
		at(PS_STEP_CLONED);
	put_back(&in);
	ps_release(&in.stop, -1);
	duplicate->pause_ns = ps_now_ns() - in.stop.first_ns;
	duplicate->window_ns = in.window_ns;
	at(PS_STEP_RELEASED);
	if (err)
		return ps_fail(err, "process %d ended while it was being duplicated", target);
	if (result < 0)
		return clone_failed(target, result);

	duplicate->inner_pid = result;
	duplicate->pid = find_child(&in, result);
	if (!duplicate->pid)
		return ps_fail(-ECHILD, "the duplicate of process %d was ended by somebody else", target);
	err = hold(duplicate, &in, cpu);
	duplicate->take_ns = ps_now_ns() - start;
	return err;
}

/* The ended duplicate is the target's child: have the target wait for it. */
static int bury(const struct ps_duplicate *duplicate, int64_t timeout_ns, struct ps_ended *ended)
{
	const long arguments[4] = { duplicate->inner_pid, 0, __WALL | WNOHANG, 0 };
	struct injection in;
	int err, lengthened = 0;
	int64_t took_ns;
	long result = 0;

	err = begin(&in, duplicate->target, timeout_ns);
	if (err)
		return err == -ESRCH ? 0 : err;		/* no target, no child of it */
	mend_calls(&in, &lengthened);
	err = inject_call(&in, SYS_wait4, arguments, &result, &took_ns);
	put_back(&in);
	ps_release(&in.stop, -1);
	ended->pause_ns = ps_now_ns() - in.stop.first_ns;
	at(PS_STEP_BURIED);
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
	at(PS_STEP_KILLED);
	/* Ended is when its memory has been given back, and that takes as long as the target is large. */
	while (waitpid(duplicate->pid, &status, __WALL) == duplicate->pid && WIFSTOPPED(status))
		;
	err = bury(duplicate, timeout_ns, ended);
	ended->reap_ns = ps_now_ns() - start;
	return err;
}
