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
#include <sys/syscall.h>
#include <unistd.h>
#include "dispatch.h"
#include "injection.h"
#include "instruction.h"
#include "stranded.h"
#include "task_file.h"

#define INSTRUCTION	0x050f		/* "syscall", little-endian */

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
