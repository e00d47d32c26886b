// SPDX-License-Identifier: MIT
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "first_thread.h"
#include "followed.h"
#include "task_file.h"
#include "wait.h"

/* include/linux/errno.h of the kernel: codes by which it makes a call again, or returns EINTR if a handler is to run first. */
#define ERESTARTSYS		512
#define ERESTARTNOINTR		513
#define ERESTARTNOHAND		514
#define ERESTART_RESTARTBLOCK	516

#define CALL_STOP	(SIGTRAP | 0x80)
/* News comes by SIGCHLD; should some be lost, this is how long it takes to find out. */
#define LOOK_NS		PS_NSEC_PER_SEC
/* How long a call that is made again may take to begin: longer only where the thread does not get to run. */
#define ENTER_NS	(2 * 1000 * 1000LL)
/* For so long a thread gives way to the first one of its process, and so often it is looked at then. */
#define KEEP_NS		(10 * 1000 * 1000LL)
#define KEPT_LOOK_NS	(50 * 1000LL)
#define BUCKETS		4096

static struct followed pool[PS_MAX_THREADS];
static int used_up_to, count, held_count;
static int16_t bucket[BUCKETS], unused;		/* from 1 */

struct followed *ps_find_followed(pid_t tid)
{
	for (int i = bucket[tid % BUCKETS]; i; i = pool[i - 1].next)
		if (pool[i - 1].tid == tid)
			return &pool[i - 1];
	return NULL;
}

bool ps_followed(pid_t tid)
{
	return ps_find_followed(tid);
}

struct followed *ps_new_followed(pid_t pid, pid_t tid)
{
	int i = unused ? unused - 1 : used_up_to;

	if (i == PS_MAX_THREADS)
		return NULL;
	if (unused)
		unused = pool[i].next;
	else
		used_up_to++;
	pool[i] = (struct followed){ .pid = pid, .tid = tid, .next = bucket[tid % BUCKETS], .deadline_ns = INT64_MAX };
	bucket[tid % BUCKETS] = i + 1;
	count++;
	return &pool[i];
}

void ps_hold_followed(struct followed *followed, bool held)
{
	held_count += held - followed->held;
	followed->held = held;
}

void ps_drop_followed(struct followed *followed)
{
	int16_t *link = &bucket[followed->tid % BUCKETS];

	while (*link != followed - pool + 1)
		link = &pool[*link - 1].next;
	*link = followed->next;
	ps_hold_followed(followed, false);
	followed->tid = 0;
	followed->next = unused;
	unused = followed - pool + 1;
	if (!--count)
		used_up_to = unused = 0;
}

struct followed *ps_next_followed(const struct followed *last)
{
	for (int i = last ? last - pool + 1 : 0; i < used_up_to; i++)
		if (pool[i].tid)
			return &pool[i];
	return NULL;
}

bool ps_any_followed(void)
{
	return count;
}

bool ps_all_are_held(void)
{
	return count == held_count;
}

/* ---- what a stop shows of the call ------------------------------------------ */

static bool is_interrupted(const struct followed *followed, long result)
{
	return result == -EINTR || result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
	       (result == -ERESTART_RESTARTBLOCK && followed->anew);
}

/*
 * It has not got what it waits for, and waits again if it is made again. An
 * io_uring_enter() returns 0 both if it got that and if it was interrupted with a
 * part of it; if it got it, another thread may have taken it by now.
 */
static bool is_waiting(const struct followed *followed)
{
	if (followed->call->rest != SUBMITTED || followed->alone)
		return true;
	return followed->completions >= 0 &&
	       ps_completions(followed->pid, followed->call, &followed->regs) == followed->completions;
}

enum progress ps_progress(const struct followed *followed, const struct user_regs_struct *regs)
{
	struct user_regs_struct rest = followed->regs;
	long result = regs->rax;

	if (regs->rsp != followed->regs.rsp)
		return ELSEWHERE;
	if (regs->rip == followed->regs.rip - 2 && result == followed->number)
		return NOT_ENTERED;
	if (regs->rip != followed->regs.rip || (long)regs->orig_rax != followed->number)
		return ELSEWHERE;
	if (is_interrupted(followed, result))
		return INTERRUPTED;
	if (result < 0 || !followed->call)
		return RETURNED;
	switch (ps_rest(followed->pid, followed->call, &rest, followed->done + result, is_waiting(followed))) {
	case REST_SET:
		return CUT_SHORT;
	case REST_ANEW:
		return INTERRUPTED;
	case REST_CUT:
		return CUT;
	default:
		return RETURNED;
	}
}

/* What has come is looked for before the time: a call whose time is over is made all the same, and has nothing if it is interrupted in it. */
bool ps_is_over(const struct followed *followed)
{
	return followed->due && !followed->entering;
}

void ps_finish(const struct followed *followed, struct user_regs_struct *regs)
{
	bool interrupted = regs->rip != followed->regs.rip || is_interrupted(followed, regs->rax);
	/* What was put there so that it is made again is not how it was interrupted. */
	bool found = regs->rip == followed->regs.rip && (long)regs->rax != -ERESTARTNOHAND;
	long result = found || !interrupted ? (long)regs->rax : followed->code;
	int64_t done = followed->done + (interrupted || result < 0 ? 0 : result);

	*regs = followed->regs;
	regs->orig_rax = -1;
	if (done)
		regs->rax = done;
	else if (interrupted && ps_is_over(followed))
		regs->rax = followed->expired;
	else
		regs->rax = result == -ERESTART_RESTARTBLOCK ? -ERESTARTNOHAND : result;
	/* How it was interrupted is for the kernel to make a result of: it knows whether a handler runs. */
	if (interrupted && !done && !ps_is_over(followed))
		regs->orig_rax = followed->number;
}

void ps_again(struct followed *followed, struct user_regs_struct *regs)
{
	long result = regs->rax;

	if (result > 0)
		followed->done += result;
	else if (result < 0 && result != -ERESTARTNOHAND)
		followed->code = result;
	*regs = followed->regs;
	if (followed->done)
		ps_rest(followed->pid, followed->call, regs, followed->done, true);
	followed->completions = followed->call ? ps_completions(followed->pid, followed->call, &followed->regs) : -1;
	regs->orig_rax = followed->number;
	regs->rax = !followed->done && (result == -ERESTARTSYS || result == -ERESTARTNOINTR) ? result : -ERESTARTNOHAND;
}

/* ---- letting it go on, and seeing it stop ------------------------------------ */

static void resume(struct followed *followed, int sig)
{
	ptrace(PTRACE_SYSCALL, followed->tid, 0, (long)sig);	/* it fails where it was killed: its death is news to come */
}

static void interrupt(struct followed *followed)
{
	followed->interrupting = !ptrace(PTRACE_INTERRUPT, followed->tid, 0, 0);
}

static void let_go(struct followed *followed, int sig)
{
	if (!ptrace(PTRACE_DETACH, followed->tid, 0, (long)sig))
		ps_drop_followed(followed);
}

/* Its call has ended too early because it is traced, or was interrupted by us, and no request is there to be told. */
static void note_cut(const struct followed *followed, enum progress progress)
{
	if (progress == CUT && !followed->leaving && !ps_is_over(followed))
		ps_count_cut(&ps_untold_of(followed->pid)->calls, followed->number);
}

/* Its call is over, or nobody follows it any more. */
static void finish(struct followed *followed, struct user_regs_struct *regs, int sig)
{
	ps_finish(followed, regs);
	ptrace(PTRACE_SETREGS, followed->tid, 0, regs);
	let_go(followed, sig);
}

static void make_again(struct followed *followed, struct user_regs_struct *regs)
{
	ps_again(followed, regs);
	ptrace(PTRACE_SETREGS, followed->tid, 0, regs);
	followed->entering = true;
}

/* When its call is due is left behind (ps_inherited()). False: that cannot be written. */
static bool bequeath(const struct followed *followed)
{
	static int handed;
	const struct ps_inheritance left = {
		followed->tid, followed->number, followed->deadline_ns, task_slices(followed->pid, followed->tid),
	};

	if (followed->deadline_ns == INT64_MAX)
		return true;		/* it is never due */
	/* The oldest are overwritten. */
	if (pwrite(PS_INHERITANCE_FD, &left, sizeof(left), handed % PS_MAX_THREADS * sizeof(left)) != sizeof(left))
		return false;
	handed++;
	return true;
}

/* Its call is made again, as if it was for the first time. */
static void hand_over(struct followed *followed, struct user_regs_struct *regs, enum progress progress)
{
	if (progress != NOT_ENTERED)
		make_again(followed, regs);
	let_go(followed, 0);
}

static uint64_t signal_set(const char *status, const char *key)
{
	return task_number(status, key, 16);
}

enum disposition { IGNORED, STOPS, CAUGHT };	/* or ends the process: nobody will see the call's result */

static enum disposition disposition(const struct followed *followed, int sig)
{
	uint64_t bit = 1ULL << (sig - 1);
	char status[4096];

	read_task_file(followed->pid, followed->tid, "status", status, sizeof(status));
	if (signal_set(status, "\nSigCgt:") & bit && *status)
		return CAUGHT;
	if (signal_set(status, "\nSigIgn:") & bit || sig == SIGCHLD || sig == SIGCONT || sig == SIGURG || sig == SIGWINCH)
		return IGNORED;
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU ? STOPS : CAUGHT;
}

/* A signal that the thread is about to take, and that has ended the call. */
static bool signal_waits(const struct followed *followed)
{
	char status[4096];

	if (!read_task_file(followed->pid, followed->tid, "status", status, sizeof(status)))
		return false;
	return (signal_set(status, "\nSigPnd:") | signal_set(status, "\nShdPnd:")) & ~signal_set(status, "\nSigBlk:");
}

/* Less than it asked for is what these never return by themselves, but at an end or an error, which come again at once. */
static bool returns_all(const struct call *call)
{
	return call->rest == BYTES || call->rest == BYTES_AT || call->rest == RANDOM || call->rest == RECEIVED ||
	       call->rest == SENT_FILE || call->rest == COPIED_RANGE;
}

/* A stop for a signal, or that of a process that was stopped by one (@sig 0): the call is over, or is made again after an ignored one. */
static void on_signal(struct followed *followed, struct user_regs_struct *regs, int sig)
{
	enum progress progress = ps_progress(followed, regs);
	enum disposition does = sig ? disposition(followed, sig) : STOPS;

	if (progress == ELSEWHERE) {
		let_go(followed, sig);
	} else if (progress == CUT || progress == RETURNED || does != IGNORED || followed->leaving ||
		   ps_is_over(followed)) {
		/* A signal that is not ignored would have ended it without us, too. */
		if (does == IGNORED)
			note_cut(followed, progress);
		finish(followed, regs, sig);
	} else {
		if (progress != NOT_ENTERED)
			make_again(followed, regs);
		if (followed->handed)
			interrupt(followed);	/* again: this stop has cleared that one */
		resume(followed, sig);
	}
}

static void on_interrupt(struct followed *followed, struct user_regs_struct *regs)
{
	enum progress progress = ps_progress(followed, regs);

	followed->interrupting = false;
	if (progress == ELSEWHERE) {
		let_go(followed, 0);
	} else if (progress == NOT_ENTERED && !followed->leaving && !followed->handed) {
		resume(followed, 0);
	} else if (progress == CUT || progress == RETURNED || ps_is_over(followed) || followed->leaving) {
		note_cut(followed, progress);
		finish(followed, regs, 0);
	} else if (followed->handed && progress != CUT_SHORT && bequeath(followed)) {
		hand_over(followed, regs, progress);
	} else {
		/*
		 * Of one that has done a part its result has to be put right at its end; and of one whose time could not
		 * be left behind that would begin anew, without being counted. They stay, and who asks is told so.
		 */
		followed->handed = false;
		if (progress != NOT_ENTERED)
			make_again(followed, regs);
		resume(followed, 0);
	}
}

static bool is_entry(const struct followed *followed)
{
	struct __ptrace_syscall_info info = { 0 };

	ptrace(PTRACE_GET_SYSCALL_INFO, followed->tid, sizeof(info), &info);
	return info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

/*
 * At the call's end it is not known yet what has ended it: an interruption and a
 * signal show themselves in the stop after this one.
 */
static void on_call_stop(struct followed *followed, struct user_regs_struct *regs)
{
	enum progress progress;

	if (is_entry(followed)) {
		followed->entering = false;
		if ((long)regs->orig_rax != followed->number || regs->rip != followed->regs.rip) {
			let_go(followed, 0);
			return;
		}
		if (followed->due || followed->handed)
			interrupt(followed);
		resume(followed, 0);
		return;
	}
	progress = ps_progress(followed, regs);
	if (progress == CUT_SHORT && !followed->interrupting && !returns_all(followed->call) && !signal_waits(followed))
		progress = RETURNED;
	if (progress == CUT && !followed->interrupting && !signal_waits(followed))
		progress = RETURNED;
	if (progress == ELSEWHERE) {
		let_go(followed, 0);
	} else if (progress == RETURNED || ((followed->due || followed->leaving) && progress != NOT_ENTERED)) {
		finish(followed, regs, 0);
	} else {
		followed->entering = true;
		interrupt(followed);	/* again, if it was: a stop clears an interruption that is pending */
		resume(followed, 0);
	}
}

static void on_stop(struct followed *followed, int status)
{
	struct user_regs_struct regs;
	bool event = status >> 16 == PTRACE_EVENT_STOP;
	int sig = WSTOPSIG(status);

	if (ptrace(PTRACE_GETREGS, followed->tid, 0, &regs))
		return;			/* it is being killed */
	if (!event && sig == CALL_STOP)
		on_call_stop(followed, &regs);
	else if (event && sig == SIGTRAP)
		on_interrupt(followed, &regs);
	else
		on_signal(followed, &regs, event ? 0 : sig);
}

/* It gives way no longer: what it has stopped for. */
static void go_on_from_stop(struct followed *followed)
{
	followed->kept_ns = 0;
	on_stop(followed, followed->kept_status);
}

/* Whatever has happened to it; false: nothing. */
static bool see_to(struct followed *followed)
{
	pid_t got;

	if (!followed->kept_ns) {
		got = waitpid(followed->tid, &followed->kept_status, __WALL | WNOHANG);
		if (!got)
			return false;
		if (got < 0 || !WIFSTOPPED(followed->kept_status)) {
			ps_drop_followed(followed);	/* killed, or another thread's exec() has taken its tid */
			return true;
		}
		followed->kept_ns = ps_now_ns() + KEEP_NS;
	}
	if (ps_now_ns() < followed->kept_ns && ps_is_for_first(followed->pid, followed->tid))
		return false;
	go_on_from_stop(followed);
	return true;
}

/* Its time is over; it is not interrupted while it gives way. */
static bool is_due(const struct followed *followed, int64_t now)
{
	static pid_t asked_pid;
	static int64_t asked_ns;
	static bool for_first;

	if (followed->deadline_ns > now)
		return false;
	/* Of many that are due at once one is asked. */
	if (asked_pid != followed->pid || asked_ns != now) {
		for_first = ps_is_for_first(followed->pid, 0);
		asked_pid = followed->pid;
		asked_ns = now;
	}
	return !for_first || followed->tid == followed->pid || now - followed->deadline_ns > KEEP_NS;
}

void ps_follow_run(void)
{
	int64_t now = ps_now_ns();

	if (ps_all_are_held())
		return;
	for (struct followed *followed = NULL; (followed = ps_next_followed(followed));) {
		while (followed->tid && !followed->held && see_to(followed))
			;
		if (followed->tid && !followed->held && !followed->due && is_due(followed, now)) {
			followed->due = true;
			if (!followed->entering)	/* else when it is in its call */
				interrupt(followed);
		}
	}
}

int64_t ps_follow_next_ns(void)
{
	int64_t now = ps_now_ns(), next = ps_any_followed() ? now + LOOK_NS : INT64_MAX;
	bool gives_way = false;

	for (const struct followed *followed = NULL; (followed = ps_next_followed(followed));) {
		if (followed->held)
			continue;
		if (!followed->due && followed->deadline_ns < next)
			next = followed->deadline_ns;
		gives_way |= followed->kept_ns || (!followed->due && followed->deadline_ns <= now);
	}
	if (gives_way)
		next = now + KEPT_LOOK_NS;
	return next;
}

/* ---- what a take does with those that are followed ---------------------------- */

void ps_follow_hold(pid_t tid)
{
	struct followed *followed = ps_find_followed(tid);

	if (followed && followed->kept_ns)
		go_on_from_stop(followed);
	/* Where its call was over it has been let go, and is listed and seized anew. */
	followed = ps_find_followed(tid);
	if (followed)
		ps_hold_followed(followed, true);
}

bool ps_follow_is_held(pid_t tid)
{
	const struct followed *followed = ps_find_followed(tid);

	return followed && followed->held;
}

void ps_follow_ended(pid_t tid)
{
	struct followed *followed = ps_find_followed(tid);

	if (followed)
		ps_drop_followed(followed);
}

bool ps_follow_pass(pid_t tid, int status)
{
	struct followed *followed = ps_find_followed(tid);
	struct user_regs_struct regs;
	int sig = WSTOPSIG(status);

	if (!followed || ptrace(PTRACE_GETREGS, tid, 0, &regs))
		return false;
	if (sig == CALL_STOP) {
		sig = 0;
		if (is_entry(followed)) {
			followed->entering = false;
		} else if (ps_progress(followed, &regs) == RETURNED) {
			ps_finish(followed, &regs);
			ptrace(PTRACE_SETREGS, tid, 0, &regs);
			ps_drop_followed(followed);
		}
	} else if (disposition(followed, sig) != IGNORED) {
		if (ps_progress(followed, &regs) != ELSEWHERE) {
			ps_finish(followed, &regs);
			ptrace(PTRACE_SETREGS, tid, 0, &regs);
		}
		ps_drop_followed(followed);
	}
	ptrace(PTRACE_INTERRUPT, tid, 0, 0);	/* again: this stop has cleared that one */
	return !ptrace(PTRACE_CONT, tid, 0, (long)sig);
}

/* Stopped with all of its process, by SIGSTOP or the like? Then it must not go on, and its call is over, signal(7). */
static bool is_job_stopped(pid_t tid)
{
	siginfo_t info = { 0 };

	return !ptrace(PTRACE_GETSIGINFO, tid, 0, &info) && info.si_code >> 8 == PTRACE_EVENT_STOP && info.si_signo != SIGTRAP;
}

void ps_follow(pid_t pid, struct ps_thread *thread)
{
	struct followed *followed = ps_find_followed(thread->tid);
	struct __ptrace_syscall_info info = { 0 };
	struct user_regs_struct regs;

	(void)pid;
	if (!followed) {
		thread->stopped = !!ptrace(PTRACE_DETACH, thread->tid, 0, 0);
		return;
	}
	ps_hold_followed(followed, false);
	/* The filter that was suspended for the injected call is in force again. */
	if (ptrace(PTRACE_SETOPTIONS, thread->tid, 0, PTRACE_O_TRACESYSGOOD) || ptrace(PTRACE_GETREGS, thread->tid, 0, &regs)) {
		ps_drop_followed(followed);
		return;		/* killed: the caller takes note */
	}
	thread->stopped = false;
	if (is_job_stopped(thread->tid)) {
		finish(followed, &regs, 0);
		return;
	}
	/* The kernel looks for codes of restart only on its way from an interruption: not from the end of the injected call. */
	ptrace(PTRACE_GET_SYSCALL_INFO, thread->tid, sizeof(info), &info);
	if (info.op != PTRACE_SYSCALL_INFO_NONE)
		interrupt(followed);
	followed->entering = true;
	resume(followed, 0);
}

void ps_follow_entered(void)
{
	int64_t start = ps_now_ns();
	bool entering;

	do {
		ps_follow_run();
		entering = false;
		for (const struct followed *followed = NULL; !entering && (followed = ps_next_followed(followed));)
			entering = followed->entering && !followed->held;
		if (entering)
			ps_nap();
	} while (entering && ps_now_ns() - start < ENTER_NS);
}

/*
 * Left in its call as it sleeps there, a thread is as if nobody had been there.
 * Not so on its way into it or out of it: an interruption would end it. And of a
 * call that has done a part the rest's result alone would be wrong: it is ended
 * with what it has. How many have to be waited for.
 */
static int prepare_to_leave(void)
{
	int left = 0;

	for (struct followed *followed = NULL; (followed = ps_next_followed(followed));) {
		if (followed->held)
			continue;
		if (followed->done && !followed->leaving)
			interrupt(followed);
		followed->leaving |= followed->done > 0;
		left += followed->leaving || followed->due || followed->entering || followed->interrupting ||
			followed->kept_ns;
	}
	return left;
}

void ps_follow_hand_over(pid_t pid)
{
	/* Of a call that has done a part the rest's result alone would be wrong: who asks is told that it is traced. */
	for (const struct followed *followed = NULL; (followed = ps_next_followed(followed));)
		if (followed->pid == pid && followed->done)
			return;
	for (struct followed *followed = NULL; (followed = ps_next_followed(followed));) {
		if (followed->pid != pid || followed->held || followed->handed)
			continue;
		followed->handed = true;
		interrupt(followed);
	}
	ps_follow_run();
}

void ps_follow_leave(int64_t limit_ns)
{
	int64_t start = ps_now_ns();

	ps_follow_run();
	while (prepare_to_leave() && ps_now_ns() - start < limit_ns) {
		ps_nap();
		ps_follow_run();
	}
	for (struct followed *followed = NULL; (followed = ps_next_followed(followed));)
		ps_drop_followed(followed);
}
