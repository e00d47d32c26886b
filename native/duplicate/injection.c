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
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "injection.h"
#include "instruction.h"
#include "stranded.h"
#include "task_file.h"

#define INSTRUCTION	0x050f		/* "syscall", little-endian */
#define MAX_CALLS	1000		/* with stops and continuations arriving all the time */
#define LONG_NS		(60 * PS_NSEC_PER_SEC)
#define LOOK_NS		(20 * 1000 * 1000LL)	/* so often it is looked at whether the call still runs */

/* Syscall user dispatch, prctl(2): PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG is there since Linux 6.4. */
#define GET_DISPATCH	0x4211
#define DISPATCHED	2		/* si_code SYS_USER_DISPATCH */
#define REFUSED		(-ENOTSUP)

static int refuse_dispatch(pid_t pid)
{
	return ps_fail(REFUSED,
		"process %d uses syscall user dispatch (Wine and others do, prctl(2)): a call made in its name would be "
		"taken for one of its own, and end it; use the patched kernel's system call instead",
		pid);
}

/* A signal that could not be held back, or tells that the call was dispatched to the target's own handler. */
static int on_sigsys(struct injection *in, pid_t tid)
{
	siginfo_t info = { 0 };

	ptrace(PTRACE_GETSIGINFO, tid, 0, &info);
	if (info.si_code == DISPATCHED)
		return refuse_dispatch(in->target);
	in->sigsys = true;	/* another's: sent again when it can be delivered */
	return 0;
}

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

int ps_next_call_stop(pid_t tid, int64_t timeout_ns)
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
	err = ps_next_call_stop(duplicate->pid, timeout_ns);
	return err ? err : ps_next_call_stop(duplicate->pid, timeout_ns);
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

/* Has it been let go on since it was stopped? SIGCONT waits, since it is blocked like all others. */
static bool is_continued(pid_t pid, pid_t tid)
{
	char status[4096];

	read_task_file(pid, tid, "status", status, sizeof(status));
	return (task_number(status, "\nSigPnd:", 16) | task_number(status, "\nShdPnd:", 16)) & 1LL << (SIGCONT - 1);
}

/* A signal that was taken off the thread, and that it did not get to take: while all are blocked. */
static void send_again(struct injection *in, struct ps_thread *thread)
{
	if (thread->signal && !(thread->signal == SIGSTOP && is_continued(in->target, thread->tid)))
		syscall(SYS_tgkill, in->target, thread->tid, thread->signal);
	thread->signal = 0;
}

void ps_put_back(struct injection *in)
{
	struct ps_thread *thread = &in->stop.thread[0];

	if (!in->masked)
		return;
	ptrace(PTRACE_SETREGS, thread->tid, 0, &thread->mended);
	thread->changed = false;
	ps_at(PS_STEP_RESTORED);
	send_again(in, thread);
	ptrace(PTRACE_SETSIGMASK, thread->tid, sizeof(in->mask), &in->mask);
	in->window_ns = ps_now_ns() - in->window_start;
	in->masked = false;
	if (in->sigsys)
		syscall(SYS_tgkill, in->target, thread->tid, SIGSYS);
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
	return ps_fail(
		-EACCES, "process %d has a seccomp filter, and suspending it wants CAP_SYS_ADMIN: run as root", in->target);
}

static int check_dispatch(struct injection *in)
{
	struct { uint64_t mode, selector, offset, length; } dispatch = { 0 };

	if (ptrace(GET_DISPATCH, in->stop.thread[0].tid, sizeof(dispatch), &dispatch) < 0)
		in->dispatch_unknown = true;
	return dispatch.mode ? refuse_dispatch(in->target) : 0;
}

/* Let the target go on, with nothing done. For how long it has stood still in vain, this time and before. */
static int64_t give_up_stop(struct injection *in)
{
	ps_release(&in->stop, -1);
	in->stop.undone_ns = ps_now_ns() - in->stop.first_ns;
	return in->stop.undone_ns;
}

static struct ps_thread thread_room[PS_MAX_THREADS];

int ps_begin_injection(struct injection *in, const struct ps_patience *patience)
{
	static pid_t known;		/* where the last target had its instruction: looking is slow */
	static uint64_t instruction;
	pid_t target = patience->target;
	int64_t undone_ns = 0;
	int err;

	*in = (struct injection){ .target = target, .timeout_ns = patience->timeout_ns };
	if (ps_stranded())
		return ps_fail(
			-EBUSY, "this tracer still waits for a thread of process %d to come back from the kernel", ps_stranded());
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		if (known != target) {
			known = 0;
			err = ps_find_instruction(target, &instruction);
			if (err)
				return err;
			known = target;
		}
		ps_prepare_stop(&in->stop, thread_room, target, patience->timeout_ns, patience->limit_ns);
		in->stop.pidfd = patience->pidfd;
		in->stop.calls = &in->calls;
		err = ps_stop_all(&in->stop);
		in->stop.undone_ns += undone_ns;
		if (err)
			return err;
		in->stop.first_ns -= undone_ns;
		mend_calls(in);
		if ((ptrace(PTRACE_PEEKTEXT, in->stop.thread[0].tid, instruction, 0) & 0xffff) == INSTRUCTION &&
		    !ptrace(PTRACE_GETSIGMASK, in->stop.thread[0].tid, sizeof(in->mask), &in->mask)) {
			in->instruction = instruction;
			err = check_dispatch(in);
			if (!err)
				err = suspend_seccomp(in);
			if (err)
				give_up_stop(in);
			return err;
		}
		undone_ns = give_up_stop(in);	/* it has called exec since, or the pid is another process */
		known = 0;
	}
	return ps_changing(target);
}
