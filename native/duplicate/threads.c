// SPDX-License-Identifier: MIT
/* Stopping all threads of a process, and letting them go as they were: ptrace(2). */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "first_thread.h"
#include "late.h"
#include "seize.h"
#include "supervised.h"
#include "task_file.h"
#include "tids.h"
#include "wait.h"

/* No thread is waited for longer than this while there may be news of another. */
#define TURN_NS		(2 * 1000 * 1000LL)
/* How often a thread is looked at that cannot be stopped yet; nobody waits meanwhile. */
#define LOOK_NS		(1000 * 1000L)
/* What has ended needs a moment to be gone from the list. */
#define END_NS		(20 * 1000LL)
#define MAX_GONE	64
/* On a machine that is busy a stop may take too long by chance, and another does not. */
#define MAX_STOPS	4

/*
 * The threads of the stop that is being made: one at a time. Those that had ended
 * when they were to be seized are listed again; the workers are among the known.
 */
static struct tids known, ended, workers;
/* Those of the last listing that had ended, or seemed to. */
static pid_t gone[MAX_GONE];
static int gone_count;

bool ps_thread_lost;

void ps_prepare_stop(struct ps_stop *stop, struct ps_thread *room, pid_t pid, int64_t timeout_ns, int64_t limit_ns)
{
	*stop = (struct ps_stop){
		.pid = pid, .timeout_ns = timeout_ns, .limit_ns = limit_ns > 0 ? limit_ns : PS_STOP_LIMIT_NS,
		.pidfd = -1, .thread = room,
	};
}

/* For how long threads that are stopped may wait for the others: those take their time even where all are willing. */
static int64_t limit_ns(const struct ps_stop *stop)
{
	return stop->limit_ns + stop->threads * PS_STOP_LIMIT_THREAD_NS;
}

/* None is known yet: another stop begins. */
static void begin_listing(void)
{
	tids_clear(&known);
	tids_clear(&ended);
	tids_clear(&workers);
}

static void forget_thread(struct ps_stop *stop, int index)
{
	tids_remove(&known, stop->thread[index].tid);
	stop->thread[index] = stop->thread[--stop->threads];
}

/* It had ended when it was to be seized, or seemed to. */
static void forget_ended(struct ps_stop *stop, int index)
{
	pid_t tid = stop->thread[index].tid;

	tids_add(&ended, tid);
	if (gone_count < MAX_GONE)
		gone[gone_count++] = tid;
	forget_thread(stop, index);
}

/* exec() has given it the first thread's tid, if that one is none of those that are known: true. */
static bool rename_first(const struct ps_stop *stop, struct ps_thread *thread)
{
	if (tids_has(&known, stop->pid) || !ps_took_first_tid(stop->pid, thread->tid))
		return false;
	tids_remove(&known, thread->tid);
	thread->tid = stop->pid;
	tids_add(&known, thread->tid);
	return true;
}

/* ---- before the stop: the target runs ------------------------------------- */

static void wchan_of(pid_t pid, pid_t tid, char *name, size_t size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/wchan", pid, tid);
	file = fopen(path, "re");
	if (!file || !fgets(name, size, file))
		snprintf(name, size, "?");
	if (file)
		fclose(file);
}

/*
 * Workers of io_uring and of vhost are listed among the threads, and never run
 * the program's code: an interruption would end what they do for it, with an
 * error. include/linux/sched.h; the latter flag means something else before 6.4.
 */
#define PF_IO_WORKER	0x10
#define PF_USER_WORKER	0x4000

static unsigned int worker_flags(void)
{
	static unsigned int flags;
	struct utsname kernel;
	int major = 0, minor = 0;

	if (!flags && !uname(&kernel)) {
		sscanf(kernel.release, "%d.%d", &major, &minor);
		flags = major * 1000 + minor < 6004 ? PF_IO_WORKER : PF_IO_WORKER | PF_USER_WORKER;
	}
	return flags;
}

static bool is_worker(pid_t pid, pid_t tid)
{
	char path[64], stat[512] = "", *end;
	unsigned int flags = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, stat, sizeof(stat) - 1) > 0 && (end = strrchr(stat, ')')))
		sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags);
	close(fd);
	return flags & worker_flags();
}

/* Make a list of the threads that are not known yet; how many of them are new, and not only still listed. */
static int list_new(struct ps_stop *stop)
{
	static pid_t tids[PS_MAX_THREADS];
	int count = ps_list_threads(stop->pid, tids, PS_MAX_THREADS), found = 0;

	if (count > 0 && !stop->first_ns)
		ps_choose_cpu(stop, tids, count);
	stop->workers = gone_count = 0;
	for (int i = 0; i < count; i++) {
		if (tids_has(&known, tids[i])) {
			stop->workers += tids_has(&workers, tids[i]);
			continue;
		}
		if (stop->threads == PS_MAX_THREADS)
			return ps_fail(-E2BIG, "process %d has more than %d threads", stop->pid, PS_MAX_THREADS);
		tids_add(&known, tids[i]);
		if (is_worker(stop->pid, tids[i])) {
			tids_add(&workers, tids[i]);
			stop->workers++;
			continue;
		}
		found += !tids_has(&ended, tids[i]);
		stop->thread[stop->threads++] = (struct ps_thread){ .tid = tids[i], .waited_call = -1, .waited_ns = -1, .due_ns = -1 };
	}
	return count < 0 ? count : found;
}

static int waits_for_supervisor(const struct ps_stop *stop, pid_t tid)
{
	return ps_fail(-ETIMEDOUT, "thread %d of process %d waits for the supervisor of its seccomp filter (seccomp_unotify(2)), which would act "
		       "a second time if it were interrupted; nothing was touched: try again later", tid, stop->pid);
}

/*
 * What waits in the kernel and cannot be interrupted (the parent of a vfork(2),
 * a dead disk) does not stop, and the others would stand still for it: wait
 * until it has passed, while nobody is stopped. Notes which threads are sure to
 * stop at once, since they sleep.
 */
static int await_willing(struct ps_stop *stop, int first)
{
	int64_t start = ps_now_ns();
	char wchan[64];

	for (int i = first; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];
		int policy;
		char state;

		policy = sched_getscheduler(thread->tid);
		stop->real_time |= policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE;
		ps_note_wait(stop->pid, thread);
		if (thread->tracer && ps_ask_to_go(thread->tid, thread->tracer))
			ps_note_wait(stop->pid, thread);
		if (ps_await_supervisor(stop->pid, thread, start + stop->timeout_ns - ps_now_ns()))
			return waits_for_supervisor(stop, thread->tid);
		while ((state = task_state(stop->pid, thread->tid)) == 'D') {
			if (ps_now_ns() - start > stop->timeout_ns) {
				wchan_of(stop->pid, thread->tid, wchan, sizeof(wchan));
				return ps_fail(-ETIMEDOUT, "thread %d of process %d waits in the kernel and cannot be stopped (state D, in %s: vfork(2), "
					       "or a device or file server that does not answer); nothing was touched: try again later",
					       thread->tid, stop->pid, wchan);
			}
			ps_sleep(LOOK_NS);
			ps_note_wait(stop->pid, thread);
		}
		thread->asleep = state == 'S';
	}
	return 0;
}

/* -ESRCH: another process has the pid now. */
static int check_identity(const struct ps_stop *stop)
{
	if (stop->pidfd < 0 || !syscall(SYS_pidfd_send_signal, stop->pidfd, 0, NULL, 0) || errno == EPERM)
		return 0;
	return ps_fail(-ESRCH, "process %d has ended", stop->pid);
}

static int seize_new(struct ps_stop *stop, int first)
{
	int err = 0;

	ps_begin_seizing(stop, ps_now_ns() + (stop->first_ns ? stop->first_ns + limit_ns(stop) - ps_now_ns() : stop->timeout_ns));
	for (int i = first; i < stop->threads && !err;) {
		struct ps_thread *thread = &stop->thread[i];

		if (ps_is_late(thread->tid))
			err = ps_fail(-EBUSY, "thread %d of process %d has still not come to the stop of an earlier try: try again later",
				      thread->tid, stop->pid);
		else if (!ps_followed(thread->tid))
			err = ps_seize(stop, thread);
		else if (ps_follow_is_held(thread->tid))
			err = ps_fail(-EBUSY, "thread %d of process %d is in another stop", thread->tid, stop->pid);
		if (err == -ESRCH) {	/* it ended, or is a leader that did: a zombie has no registers */
			forget_ended(stop, i);
			err = 0;
		} else if (!err) {
			thread->seized = true;
			i++;
		}
	}
	ps_end_seizing();
	return err;
}

/* ---- the stop -------------------------------------------------------------- */

/*
 * Wait for an interrupted thread to stop; signals that come first are delivered
 * first. Such a stop may have begun as early as the thread was seized.
 */
static int await_stop(struct ps_stop *stop, struct ps_thread *thread, int64_t timeout_ns)
{
	int err, status;

	for (;;) {
		err = ps_wait_stop(thread->tid, timeout_ns, stop->spin_ns, &status);
		if (err == -ESRCH && rename_first(stop, thread))
			continue;
		if (err)
			return err;
		if (status >> 16 == PTRACE_EVENT_STOP)
			break;
		if (thread->seized_ns && thread->seized_ns < stop->first_ns)
			stop->first_ns = thread->seized_ns;
		if (ps_follow_pass(thread->tid, status))
			continue;
		ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);	/* again: a stop may clear one that is pending */
		/* Signal-delivery stop: the interruption is still pending and stops the thread before its handler runs. */
		ptrace(PTRACE_CONT, thread->tid, 0, (long)WSTOPSIG(status));	/* fails where it was killed: its death is waited for */
	}
	thread->stopped = true;
	return 0;
}

/* Was it killed in its stop? Then this takes note of its death, and its tid may go. */
static bool has_died(const struct ps_thread *thread)
{
	int status;
	pid_t got = waitpid(thread->tid, &status, __WALL | WNOHANG);

	return got < 0 || (got > 0 && !WIFSTOPPED(status));
}

/* Nothing but death ends a ptrace stop behind its tracer's back, and it comes to all threads: one shows it. */
static void note_deaths(struct ps_stop *stop, const struct ps_thread *except)
{
	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (thread == except || !thread->stopped)
			continue;
		if (!has_died(thread))
			return;
		thread->stopped = false;
		ps_follow_ended(thread->tid);
	}
}

/*
 * Signals stop a seized thread that is not interrupted yet, as it is to run on
 * while others are waited for: pass them on.
 */
static void pass_signals(struct ps_stop *stop, struct ps_thread *thread)
{
	int status;

	if (ps_followed(thread->tid) || waitpid(thread->tid, &status, __WALL | WNOHANG) != thread->tid || !WIFSTOPPED(status))
		return;
	if (thread->seized_ns < stop->first_ns)
		stop->first_ns = thread->seized_ns;
	if (status >> 16 != PTRACE_EVENT_STOP)
		ptrace(PTRACE_CONT, thread->tid, 0, (long)WSTOPSIG(status));
	else if (WSTOPSIG(status) == SIGTRAP)		/* SIGCONT has come */
		ptrace(PTRACE_CONT, thread->tid, 0, 0L);
	else						/* stopped by a signal, with all of its process */
		ptrace(PTRACE_LISTEN, thread->tid, 0, 0);
}

int ps_wait_running(struct ps_stop *stop, struct ps_thread *thread, int64_t timeout_ns, int *status)
{
	int64_t start = ps_now_ns(), turn;
	int err;

	do {
		turn = ps_now_ns();
		err = ps_wait_stop(thread->tid, TURN_NS, stop->spin_ns, status);
		/* The long spin is for all waits of a stop together: others may have no CPU but this. */
		if (stop->spin_ns > PS_SHORT_SPIN_NS)
			stop->spin_ns -= ps_now_ns() - turn;
		if (err != -ETIMEDOUT)
			return err;
		note_deaths(stop, thread);
	} while (ps_now_ns() - start < timeout_ns);
	return -ETIMEDOUT;
}

static int did_not_stop(const struct ps_stop *stop, pid_t tid, int64_t waited_ns)
{
	char wchan[64];

	wchan_of(stop->pid, tid, wchan, sizeof(wchan));
	return ps_fail(-ETIMEDOUT, "thread %d of process %d did not stop within %lld ms (state %c, in %s): it waits in the kernel, is ending, "
		       "or does not get to run; try again later, or allow more (--max-stop)",
		       tid, stop->pid, (long long)(waited_ns / 1000000), task_state(stop->pid, tid) ?: 'X', wchan);
}

/*
 * In turns: a thread that calls exec() or exit_group() kills the others and does
 * not stop before their tracer has taken note of each one's death.
 */
static int await_all(struct ps_stop *stop)
{
	int64_t start = ps_now_ns(), stopped_ns = 0, now;
	bool again = false, over = false;
	pid_t missing;

	do {
		missing = 0;
		for (int i = 0; i < stop->threads;) {
			struct ps_thread *thread = &stop->thread[i];
			int err = 0;

			over = over || (stopped_ns && ps_now_ns() - stop->first_ns > limit_ns(stop));
			if (thread->interrupted && !thread->stopped)
				err = await_stop(stop, thread, again || over ? 0 : TURN_NS);
			else if (thread->seized && !thread->interrupted)
				pass_signals(stop, thread);
			else if (thread->stopped && again && has_died(thread))
				err = -ESRCH;
			if (thread->stopped && !stopped_ns)
				stopped_ns = ps_now_ns();
			if (err == -ETIMEDOUT)
				missing = thread->tid;
			if (err && err != -ETIMEDOUT) {
				ps_follow_ended(thread->tid);
				forget_thread(stop, i);
			} else {
				i++;
			}
		}
		now = ps_now_ns();
		/* Nobody waits for a thread that is the only one. */
		over = over || (stopped_ns && now - stop->first_ns > limit_ns(stop));
		if (missing && (over || now - start > stop->timeout_ns))
			return did_not_stop(stop, missing, now - start);
		if (missing)
			ps_nap();
		again = true;
	} while (missing);
	return 0;
}

/*
 * In which order threads are interrupted. First those that may take their time,
 * while the others run on. Last the first thread of the process: signals that
 * are sent to the process are for it, as long as it runs, and another thread
 * that had one instead might see its call end.
 */
enum turn { BUSY, ASLEEP, FIRST_THREAD, TURNS };

static enum turn turn_of(const struct ps_stop *stop, const struct ps_thread *thread)
{
	return thread->tid == stop->pid ? FIRST_THREAD : thread->asleep ? ASLEEP : BUSY;
}

static int interrupt_new(struct ps_stop *stop, enum turn turn)
{
	bool any = false;

	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (!thread->seized || thread->interrupted || turn_of(stop, thread) != turn)
			continue;
		thread->interrupted = any = true;
		ps_follow_hold(thread->tid);
		ps_await_answer(stop->pid, thread, stop->first_ns ? stop->first_ns + limit_ns(stop) - ps_now_ns() : stop->timeout_ns,
				stop->spin_ns > PS_SHORT_SPIN_NS);
		ps_confirm_wait(stop->pid, thread);
		if (!stop->first_ns)
			stop->first_ns = ps_now_ns();
		ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
	}
	return any ? await_all(stop) : 0;
}

static int note_registers(struct ps_stop *stop)
{
	int err = 0;

	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (!thread->stopped)
			continue;
		thread->alone = stop->threads == 1;
		if (ptrace(PTRACE_GETREGS, thread->tid, 0, &thread->general)) {
			err = ps_fail(-ESRCH, "process %d ended, or called exec(), while it was being stopped", stop->pid);
		} else if (thread->general.cs != 0x33) {
			err = ps_fail(-ENOTSUP, "process %d runs 32-bit code: only 64-bit processes can be duplicated from outside", stop->pid);
		} else {
			thread->mended = thread->general;
			ps_mend_rseq(thread);
		}
	}
	return err;
}

/*
 * The links of /proc/PID/task are its threads, and two (fs/proc/base.c,
 * proc_task_getattr()): a quarter of the time of a listing, and the target waits.
 */
static int count_threads(pid_t pid)
{
	struct stat task;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return stat(path, &task) ? -errno : (int)task.st_nlink - 2;
}

/*
 * It has ended, and makes nothing any more, but is listed still: a first one as
 * long as others live, any as long as its tracer takes no note.
 */
static bool is_dead(pid_t pid, pid_t tid)
{
	char state = task_state(pid, tid);

	return state == 'Z' || state == 'X';
}

/*
 * A listing that has nothing new does not show it: one that meets a thread on its
 * way out ends there (fs/proc/base.c, next_tid()), and misses what that has made.
 */
static bool all_are_stopped(const struct ps_stop *stop)
{
	int others = count_threads(stop->pid) - stop->threads - stop->workers;

	for (int i = 0; others > 0 && i < gone_count; i++)
		others -= is_dead(stop->pid, gone[i]);
	return !others;
}

/* Killed by an exec() of a thread that was missed, which waits until their deaths are noted. */
static void forget_dead(struct ps_stop *stop)
{
	for (int i = stop->threads - 1; i >= 0; i--)
		if (stop->thread[i].stopped && has_died(&stop->thread[i])) {
			ps_follow_ended(stop->thread[i].tid);
			forget_thread(stop, i);
		}
}

/* One turn: the threads that are new are looked at, seized and stopped; how many were new, or -errno. */
static int stop_new(struct ps_stop *stop)
{
	int first = stop->threads, found = list_new(stop), err = found < 0 ? found : 0, failed = 0;

	if (!err && stop->threads > first && !stop->first_ns)
		err = await_willing(stop, first);
	if (!err)
		err = check_identity(stop);
	if (!err)
		err = seize_new(stop, first);
	/* One that had ended is new if it is a thread again: exec() by another has made it the first one. */
	found = found > stop->threads - first ? found : stop->threads - first;
	/* Seized is its struct, not its number: if the process still is the same one now, it was then. */
	if (!err)
		err = check_identity(stop);
	/* After a failure too: only a stopped thread can be let go. */
	for (enum turn turn = BUSY; turn < TURNS && !failed; turn++)
		failed = interrupt_new(stop, turn);
	return err ?: failed ?: found;
}

static int stop_once(struct ps_stop *stop)
{
	int64_t start = ps_now_ns();
	int err, got;
	bool more;

	begin_listing();
	/*
	 * A thread that is not stopped yet may start another, and end before it is
	 * seized. Workers come and go by themselves: their number may be another now.
	 */
	do {
		got = stop_new(stop);
		err = got < 0 ? got : 0;
		more = !err && ((got && stop->workers) || !all_are_stopped(stop));
		if (more && !got) {
			forget_dead(stop);
			ps_sleep(END_NS);
		}
		if (more && !stop->first_ns && ps_now_ns() - start > stop->timeout_ns)
			err = ps_fail(-ETIMEDOUT, "process %d is ending, and does not come to its end", stop->pid);
		else if (more && stop->first_ns && ps_now_ns() - stop->first_ns > limit_ns(stop))
			err = ps_fail(-ETIMEDOUT, "process %d makes threads so fast that they could not be stopped within %lld ms: try again later",
				      stop->pid, (long long)(limit_ns(stop) / 1000000));
	} while (more && !err);
	if (!err && !stop->threads)
		err = ps_fail(-ESRCH, "process %d ended", stop->pid);
	got = note_registers(stop);
	return err ? err : got;
}

/* 1 if it was killed meanwhile. */
static int let_thread_go(struct ps_stop *stop, struct ps_thread *thread)
{
	if (!thread->stopped)
		return 0;
	if (thread->changed)
		ptrace(PTRACE_SETREGS, thread->tid, 0, &thread->mended);
	if (thread->follow)
		ps_follow(stop->pid, thread);
	else if (!ptrace(PTRACE_DETACH, thread->tid, 0, 0))
		thread->stopped = false;
	return thread->stopped;
}

/* How many were killed meanwhile: their deaths have to be noted. */
static int let_go(struct ps_stop *stop, int except)
{
	int dead = 0, first = 0;
	int64_t before;
	bool stopped;

	while (first < stop->threads && stop->thread[first].tid != stop->pid)
		first++;
	if (first < stop->threads && first != except) {
		stopped = stop->thread[first].stopped;
		before = stop->threads > 1 ? ps_before_first(stop) : -1;
		dead += let_thread_go(stop, &stop->thread[first]);
		if (stop->threads > 1 && stopped && !stop->thread[first].stopped)
			ps_await_first(stop, &stop->thread[!first], before);
	}
	for (int i = 0; i < stop->threads; i++)
		if (i != except && i != first)
			dead += let_thread_go(stop, &stop->thread[i]);
	ps_restore_cpu();
	return dead;
}

void ps_release(struct ps_stop *stop, int except)
{
	int64_t start = ps_now_ns();
	int dead = let_go(stop, except);

	ps_follow_entered();
	/* Their parent, or an exec() of theirs, waits until we have taken note. */
	while (dead && ps_now_ns() - start < stop->timeout_ns) {
		for (int i = 0; i < stop->threads; i++)
			if (i != except && stop->thread[i].stopped && has_died(&stop->thread[i])) {
				stop->thread[i].stopped = false;
				dead--;
			}
		if (dead)
			ps_nap();
	}
	/* Giving back much memory takes long: late.c takes note of them. */
	for (int i = 0; dead && i < stop->threads; i++)
		if (i != except && stop->thread[i].stopped)
			ps_add_late(stop->pid, &stop->thread[i]);
}

void ps_note_deaths(struct ps_stop *stop)
{
	note_deaths(stop, NULL);
}

/* Let go of those that are stopped, as they were; the others stay in the list while they are pending. */
static void undo(struct ps_stop *stop)
{
	struct ps_calls none = { 0 }, *calls = stop->calls ? stop->calls : &none;

	note_registers(stop);
	for (int i = 0; i < stop->threads; i++)
		if (stop->thread[i].stopped)
			ps_mend_call(stop->pid, &stop->thread[i], calls);
	let_go(stop, -1);
	for (int i = stop->threads - 1; i >= 0; i--) {
		struct ps_thread *thread = &stop->thread[i];

		/* Killed in its stop: an exec() waits until its death, and that of all the others, is noted. */
		thread->pending |= thread->stopped;
		thread->stopped = false;
		if (!thread->pending)
			forget_thread(stop, i);
	}
}

/*
 * Where some did not stop in time, an interruption cannot be taken back: the
 * others go on, and each of these is let go when it stops, be it later than
 * @until_ns (late.c).
 */
static void undo_all(struct ps_stop *stop, int64_t until_ns)
{
	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		/* Those that were to come last: only a stopped thread can be let go. */
		if (thread->seized && !thread->interrupted) {
			thread->interrupted = true;
			ps_follow_hold(thread->tid);
			ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
		}
		thread->pending = thread->interrupted && !thread->stopped;
	}
	undo(stop);
	if (stop->first_ns)
		stop->undone_ns += ps_now_ns() - stop->first_ns;
	while (stop->threads && ps_now_ns() < until_ns) {
		for (int i = stop->threads - 1; i >= 0; i--) {
			int err = await_stop(stop, &stop->thread[i], 0);

			if (!err)
				stop->thread[i].pending = false;
			else if (err != -ETIMEDOUT) {
				ps_follow_ended(stop->thread[i].tid);
				forget_thread(stop, i);
			}
		}
		undo(stop);
		if (stop->threads)
			ps_nap();
	}
	for (int i = 0; i < stop->threads; i++)
		ps_add_late(stop->pid, &stop->thread[i]);
	stop->threads = 0;
}

int ps_stop_all(struct ps_stop *stop)
{
	const struct ps_stop wanted = *stop;
	int64_t until_ns = ps_now_ns() + stop->timeout_ns, undone_ns = 0;
	char why[256];
	int err;

	for (int tries = 0; tries < MAX_STOPS; tries++) {
		*stop = wanted;
		stop->undone_ns = undone_ns;
		err = stop_once(stop);
		if (!err) {
			stop->first_ns -= undone_ns;
			return 0;
		}
		snprintf(why, sizeof(why), "%s", ps_error());
		undo_all(stop, until_ns);
		undone_ns = stop->undone_ns;
		ps_fail(err, "%s", why);
		if (err != -ETIMEDOUT || ps_now_ns() > until_ns)
			break;
	}
	return err;
}

int ps_read_registers(const struct ps_stop *stop, struct ps_registers *out, int max)
{
	int count = 0;

	for (int i = 0; i < stop->threads && count < max; i++) {
		struct iovec area = { out[count].xstate, sizeof(out[count].xstate) };

		if (ptrace(PTRACE_GETREGSET, stop->thread[i].tid, NT_X86_XSTATE, &area))
			area.iov_len = 0;
		out[count].tid = stop->thread[i].tid;
		out[count].skew_ns = out[count].flags = 0;
		out[count].general = stop->thread[i].general;
		out[count++].xstate_bytes = area.iov_len;
	}
	return count;
}
