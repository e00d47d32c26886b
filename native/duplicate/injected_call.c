// SPDX-License-Identifier: MIT
/* One call, made by a thread that is stopped: let run to where the call begins, and from there to its end. */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dispatch.h"
#include "injected_call.h"
#include "stranded.h"

#define MAX_CALLS	1000		/* with stops and continuations arriving all the time */
#define TRAP_FLAG	0x100UL		/* of eflags: a single step */
#define LONG_NS		(60 * PS_NSEC_PER_SEC)
#define LOOK_NS		(20 * 1000 * 1000LL)	/* so often it is looked at whether the call still runs */

static bool runs(pid_t tid)
{
	struct ps_identity identity;

	return !ps_identify(tid, &identity) && identity.state == 'R';
}

/*
 * Wait for the next stop of a thread that was let run while others wait for it.
 * As long as it runs, or would if it had a CPU, it will come. -ETIMEDOUT: it has
 * slept for the stop's limit, waiting for somebody who may be among those that
 * are stopped; or @most_ns are over.
 */
static int await_thread(struct injection *in, struct ps_thread *thread, int64_t most_ns, int *status)
{
	int64_t start = ps_now_ns(), slept_since = 0, now;
	int err;

	for (;;) {
		err = ps_wait_running(&in->stop, thread, LOOK_NS, status);
		if (err != -ETIMEDOUT)
			return err;
		now = ps_now_ns();
		if (runs(thread->tid))
			slept_since = 0;
		else if (!slept_since)
			slept_since = now;
		if ((slept_since && now - slept_since > in->stop.limit_ns) || now - start > most_ns)
			return -ETIMEDOUT;
	}
}

/* To the next system-call stop of the target's first thread. */
static int next_call_stop(struct injection *in, struct ps_thread *thread, int64_t most_ns)
{
	int64_t start = ps_now_ns();
	int err, status;
	long sig = 0;

	do {
		if (ptrace(PTRACE_SYSCALL, thread->tid, 0, sig))
			return -ESRCH;
		err = await_thread(in, thread, most_ns, &status);
		if (err)
			return err;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 0;
		if (in->dispatch_unknown && WSTOPSIG(status) == SIGSYS)
			return on_sigsys(in, thread->tid) ?: -EAGAIN;
		/*
		 * Other stops are passed over. SIGSTOP cannot be masked: delivered, it
		 * stops the target from when it is let go until a SIGCONT, which may
		 * come any time.
		 */
		sig = status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
	} while (ps_now_ns() - start < most_ns);
	thread->signal = sig;
	return ps_fail(
		-EBUSY, "process %d is sent so many signals that it does not get to make a call: try again later", in->target);
}

/* The same, in a duplicate. */
static int next_stop_of_duplicate(pid_t tid, int64_t timeout_ns)
{
	int64_t start = ps_now_ns();
	int err, status;
	long sig = 0;

	do {
		if (ptrace(PTRACE_SYSCALL, tid, 0, sig))
			return -ESRCH;
		err = ps_wait_stop(tid, timeout_ns, 0, &status);
		if (err)
			return err;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 0;
		sig = status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
	} while (ps_now_ns() - start < timeout_ns);
	return -EBUSY;
}

/* Registers with which a thread makes a call when it goes on, from where it has the instruction. */
static void set_call(struct user_regs_struct *regs, uint64_t instruction, long number, const long arguments[4])
{
	regs->rip = instruction;
	regs->rax = number;
	regs->orig_rax = -1;
	regs->rdi = arguments[0];
	regs->rsi = arguments[1];
	regs->rdx = arguments[2];
	regs->r10 = arguments[3];
	regs->eflags &= ~TRAP_FLAG;
}

int ps_call_in_duplicate(const struct ps_duplicate *duplicate, long number, const long arguments[4], int64_t timeout_ns)
{
	struct user_regs_struct regs = duplicate->first.general;
	int err;

	set_call(&regs, duplicate->instruction, number, arguments);
	if (ptrace(PTRACE_SETREGS, duplicate->pid, 0, &regs))
		return -ESRCH;
	err = next_stop_of_duplicate(duplicate->pid, timeout_ns);
	return err ? err : next_stop_of_duplicate(duplicate->pid, timeout_ns);
}

/*
 * It has not come to the call in time: it is frozen, or others keep its CPU. An
 * interruption stops it before the call, so that it can be put back, if it gets
 * to run at all. By then it may have come to the call after all (0): put back
 * there, the kernel would make the call whose number is among its registers.
 */
static int give_up_call(struct injection *in, struct ps_thread *thread, bool cloning)
{
	int64_t start = ps_now_ns();
	int err, status;

	ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
	do {
		err = await_thread(in, thread, in->timeout_ns, &status);
		if (err == -ETIMEDOUT)
			break;
		if (err || WSTOPSIG(status) == (SIGTRAP | 0x80))
			return err;
		if (in->dispatch_unknown && WSTOPSIG(status) == SIGSYS)
			return on_sigsys(in, thread->tid) ?: -EAGAIN;
		if (status >> 16 == PTRACE_EVENT_STOP)
			return ps_fail(-EBUSY, "process %d does not get to run: its cgroup is frozen, or others keep its CPU; "
				       "try when it runs again", in->target);
		if (ptrace(PTRACE_SYSCALL, thread->tid, 0, (long)WSTOPSIG(status)))
			return -ESRCH;
	} while (ps_now_ns() - start < in->timeout_ns);
	return ps_strand(in, cloning);
}

static int call(struct injection *in, struct ps_thread *thread, const struct user_regs_struct *regs, long *result,
		int64_t *took_ns)
{
	bool cloning = regs->rax == SYS_clone;
	struct user_regs_struct after;
	int64_t start;
	int err;

	if (ptrace(PTRACE_SETREGS, thread->tid, 0, regs))
		return -ESRCH;
	ps_at(PS_STEP_INJECTED);
	err = next_call_stop(in, thread, in->timeout_ns);
	if (err == -ETIMEDOUT)
		err = give_up_call(in, thread, cloning);
	if (err)
		return err;
	ps_at(PS_STEP_ENTERED);
	start = ps_now_ns();
	/* A clone() of a large process runs for long. */
	err = next_call_stop(in, thread, LONG_NS);
	*took_ns = ps_now_ns() - start;
	if (err == -ETIMEDOUT)
		return ps_strand(in, cloning);
	if (err || ptrace(PTRACE_GETREGS, thread->tid, 0, &after))
		return err ? err : -ESRCH;
	*result = after.rax;
	return 0;
}

int ps_inject_call(struct injection *in, long number, const long arguments[4], long *result, int64_t *took_ns)
{
	/* SIGSYS is let through only where it is the one way to see that the call was dispatched. */
	uint64_t all = in->dispatch_unknown ? ~(1ULL << (SIGSYS - 1)) : ~0ULL;
	struct ps_thread *thread = &in->stop.thread[0];
	struct user_regs_struct regs = thread->general;
	int err;

	/* Without this, signals that come in between are lost: they would end the injected call. */
	if (!in->masked) {
		in->window_start = ps_now_ns();
		if (ptrace(PTRACE_SETSIGMASK, thread->tid, sizeof(all), &all))
			return -ESRCH;
		in->masked = true;
	}
	ps_at(PS_STEP_MASKED);
	set_call(&regs, in->instruction, number, arguments);
	regs.r8 = regs.r9 = 0;
	regs.rbp = regs.rbx = regs.r12 = regs.r13 = regs.r14 = regs.r15 = NOWHERE;
	for (int tries = 0; tries < MAX_CALLS; tries++) {
		err = call(in, thread, &regs, result, took_ns);
		if (err == -EAGAIN)	/* a signal came instead, and is kept for later */
			continue;
		if (err || *result != -513)	/* ERESTARTNOINTR: a stop was pending, nothing was done */
			break;
	}
	return err;
}
