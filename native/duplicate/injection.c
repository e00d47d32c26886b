// SPDX-License-Identifier: MIT
/*
 * One system call in the target's name: it is stopped, made to execute the call
 * from an instruction that it already has, and put back exactly as it was.
 *
 * Between MASKED and UNMASKED the target has registers and a signal mask that
 * are not its own. If the tracer is killed there (SIGKILL, nothing else can),
 * the kernel lets the target go as it is, and it is lost: that is window_ns.
 * The requester is another process: its death harms nothing, at any step.
 */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "injection.h"
#include "instruction.h"

#define INSTRUCTION	0x050f		/* "syscall", little-endian */
#define MAX_CALLS	1000		/* with stops and continuations arriving all the time */
#define LONG_NS		(60 * PS_NSEC_PER_SEC)	/* clone() of a large process takes long; only death ends it early */

/* @stop: of which @thread is; NULL for a process of one thread that is no target. */
static int next_call_stop(struct ps_stop *stop, struct ps_thread *thread, int64_t timeout_ns)
{
	int64_t start = ps_now_ns();
	int err, status;
	long sig = 0;

	do {
		if (ptrace(PTRACE_SYSCALL, thread->tid, 0, sig))
			return -ESRCH;
		err = stop ? ps_wait_running(stop, thread, timeout_ns, &status) :
			     ps_wait_stop(thread->tid, timeout_ns, false, &status);
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

int ps_next_call_stop(pid_t tid, int64_t timeout_ns)
{
	struct ps_thread thread = { .tid = tid };

	return next_call_stop(NULL, &thread, timeout_ns);
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
	err = next_call_stop(&in->stop, thread, in->timeout_ns);
	if (err == -ETIMEDOUT) {
		/* It does not get to run (a frozen cgroup); it does get to stop, and must be put back. */
		ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
		err = ps_wait_running(&in->stop, thread, LONG_NS, &status);
		return err ? err : -EBUSY;
	}
	if (err)
		return err;
	ps_at(PS_STEP_ENTERED);
	start = ps_now_ns();
	err = next_call_stop(&in->stop, thread, LONG_NS);
	*took_ns = ps_now_ns() - start;
	if (err || ptrace(PTRACE_GETREGS, thread->tid, 0, &after))
		return err ? err : -ESRCH;
	*result = after.rax;
	return 0;
}

int ps_inject_call(struct injection *in, long number, const long arguments[4], long *result, int64_t *took_ns)
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

void ps_put_back(struct injection *in)
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
		ps_mend_call(in->target, &in->stop.thread[i], &in->calls);
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
	if (ps_identify(tid, &identity))
		return ps_fail(-ESRCH, "process %d ended", in->target);
	if (!identity.seccomp)
		return 0;
	return ps_fail(-EACCES, "process %d has a seccomp filter, and suspending it wants CAP_SYS_ADMIN: run as root", in->target);
}

static struct ps_thread thread_room[PS_MAX_THREADS];

int ps_begin_injection(struct injection *in, pid_t target, int64_t timeout_ns)
{
	static pid_t known;		/* where the last target had its instruction: looking is slow */
	static uint64_t instruction;
	int err;

	*in = (struct injection){ .target = target, .timeout_ns = timeout_ns, .stop.thread = thread_room };
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		if (known != target) {
			known = 0;
			err = ps_find_instruction(target, &instruction);
			if (err)
				return err;
			known = target;
		}
		err = ps_stop_all(&in->stop, target, timeout_ns);
		if (err)
			return err;
		in->calls = (struct ps_calls){ 0 };
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
	return ps_changing(target);
}
