/* SPDX-License-Identifier: MIT */
/*
 * procsnap.h - still copies of running processes, on a kernel as it is
 *
 * The whole C interface. Linux, x86-64. Functions return 0 (or a count) on
 * success and -errno on failure; ps_error() then says what went wrong, at which
 * step, and what to do. All times are nanoseconds of CLOCK_MONOTONIC_RAW.
 *
 * Whoever calls ps_stop_all() becomes the tracer of the target's threads until
 * ps_release(): ptrace belongs to a THREAD, so take, read by PEEKTEXT and end
 * must come from one thread. If that thread ends, the kernel lets go of
 * everything it traced; a duplicate is then killed (PTRACE_O_EXITKILL).
 */
#ifndef PROCSNAP_H
#define PROCSNAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>
#include "../kernel-patch/proc_snap.h"

/* ---- core: clock, errors, /proc ---------------------------------------- */

#define PS_NSEC_PER_SEC	1000000000LL

int64_t ps_now_ns(void);
int64_t ps_clock_resolution_ns(void);
/* Median time of one ps_now_ns(), of @rounds pairs of readings. */
int64_t ps_clock_overhead_ns(unsigned int rounds);

/*
 * Write @text to standard error at the first SIGINT, SIGTERM or SIGHUP from now on that has a handler, whatever the
 * other threads do and however low their priority is; they get back the one that they have now, where that is allowed.
 * The signal stays theirs. The thread that sees to it, which is to keep its own priority; or a negative errno,
 * -EALREADY: once is enough.
 */
pid_t ps_answer_signals(const char *text);
/* No more: what it would say is not so any more. */
void ps_stop_answering(void);
bool ps_signal_answered(void);

/*
 * While something takes its time, threads of other targets may stand still until
 * they are seen to: whoever waits without need of a signal, or reads much, lets
 * this be done in between. NULL: nothing to see to.
 */
extern void (*ps_meanwhile)(void);
void ps_see_to_others(void);
/* Sleep for @ns, and see to them. */
void ps_sleep(int64_t ns);

/* Set the text that ps_error() returns, and return @code (a negative errno). */
int ps_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *ps_error(void);

/* Whoever asked this process for its work: no target. 0: nobody else. */
extern pid_t ps_requester;

#define PS_NO_PERMISSION                                                                                               \
	"no permission to trace process %d: run as root or with CAP_SYS_PTRACE, or lower kernel.yama.ptrace_scope"

/* Of the running kernel: 6012 is Linux 6.12. */
int ps_kernel_version(void);

/*
 * The device of the kernel's own file system for memfd_secret(2), as /proc/PID/maps writes it: no other file has it.
 * false: this kernel has none, or does not let us make one.
 */
bool ps_secret_device(char *text, size_t size);

struct ps_region {			/* a line of /proc/PID/maps, proc_pid_maps(5) */
	uint64_t start, end;
	bool	readable, writable, executable, shared;
	uint32_t major, minor;		/* of its file's device */
	uint64_t inode;			/* 0: it is of no file */
	char	name[80];		/* cut off where it is longer */
};

/* Call @visit for each region until it returns not 0; that value is returned. */
int ps_for_regions(pid_t pid, int (*visit)(const struct ps_region *, void *), void *arg);

struct ps_identity {			/* what /proc says of a process before it is touched */
	bool	kernel_thread;
	char	state;			/* R, S, D, T, t, Z ... of the thread group's leader */
	pid_t	tgid;
	pid_t	parent;
	pid_t	tracer;			/* 0: not traced */
	int	seccomp;		/* 0 none, 1 strict, 2 filter */
	uint64_t started;		/* in ticks since the boot: with its number, which process it is */
};

/* state, parent, started and kernel_thread alone, for half the time. -ESRCH if there is no such process. */
int ps_look_at(pid_t pid, struct ps_identity *identity);
/* All of it. -ESRCH if there is no such process. */
int ps_identify(pid_t pid, struct ps_identity *identity);
/* 0 if @pid is a process that may be asked for; a clear error otherwise. */
int ps_check_target(pid_t pid);
/* The pids in /proc/PID/task, at most @max; their number. */
int ps_list_threads(pid_t pid, pid_t *tids, int max);
/* The number after @key (such as "se.exec_start") in a /proc file, or -ENOENT; fractions become @scale-ths. */
int64_t ps_proc_number(const char *path, const char *key, int64_t scale);

/* ---- registers and threads ---------------------------------------------- */

#define PS_MAX_THREADS	16384		/* tables are of that size, and take memory only where they are used */
#define PS_STOP_LIMIT_NS	(50 * 1000 * 1000LL)
#define PS_STOP_LIMIT_THREAD_NS	(100 * 1000LL)	/* more, for each thread */
#define PS_XSTATE_BYTES	11264		/* AMX included: 11,008 bytes on today's processors */

struct ps_registers {			/* one thread's registers at the moment of the copy */
	int32_t	 tid;
	uint32_t xstate_bytes;
	int64_t	 skew_ns;		/* how long after the moment they were read, where the target was not stopped */
	uint32_t flags;			/* PROC_SNAP_RUNNING, PROC_SNAP_PARTIAL; 0 where it was stopped */
	struct user_regs_struct general;
	uint8_t	 xstate[PS_XSTATE_BYTES];
};

/* What a stop did to calls that the target was blocked in: all in all, and by call. */
#define PS_CALL_KINDS	64		/* further calls are in the sums only */
struct ps_calls {
	int32_t	restarted;		/* put back, so that the target does not see the stop */
	int32_t	lengthened;		/* among these: the timeout may begin anew */
	int32_t	cut;			/* returned early, with less than asked for, and could not be put back */
	int32_t	kinds;			/* entries of @by_call that are used */
	struct ps_call_count { int32_t number, restarted, lengthened, cut; } by_call[PS_CALL_KINDS];
};

void ps_add_calls(struct ps_calls *to, const struct ps_calls *from);
/* Of stops that belong to no request: of threads that came late to theirs, and for burials that are tried again. */
struct ps_untold { struct ps_calls calls; int64_t pause_ns; };
/* That of @target, to be added to. */
struct ps_untold *ps_untold_of(pid_t target);
/* Add to @calls and @pause_ns what has not been told of @target (0: of all), which is told by that. */
void ps_tell_untold(pid_t target, struct ps_calls *calls, int64_t *pause_ns);

/*
 * A component of the XSAVE area that PTRACE_GETREGSET gives: AVX, AVX-512 ... Where
 * it lies is the processor's choice, not the architecture's.
 */
struct ps_xsave_component { uint32_t number, bytes, offset; };
#define PS_XSAVE_COMPONENTS 62

/* All that this machine's processors have beyond x87 and SSE, at most @max; their number. */
int ps_xsave_components(struct ps_xsave_component *out, int max);

struct ps_thread {
	pid_t	tid;
	bool	asleep;			/* before the stop: it will stop at once */
	bool	seized;
	bool	stopped;		/* in a ptrace stop */
	bool	interrupted;		/* PTRACE_INTERRUPT was sent */
	bool	pending;		/* that is waited for when the others have been let go */
	bool	changed;		/* `mended` differs from what the thread has */
	bool	follow;			/* it stays traced until its call is over: ps_follow() lets it go on */
	int64_t	seized_ns;		/* when it was seized: a signal may have stopped it from then on */
	int	signal;			/* taken off the thread, to be sent again: a SIGSTOP, which cannot be blocked */
	struct user_regs_struct general;	/* as found */
	struct user_regs_struct mended;		/* to be put back */
	/* struct rseq as found: the kernel writes there when a thread, or its duplicate, changes its CPU. */
	uint64_t rseq_address;
	uint32_t rseq_bytes;
	uint8_t	rseq[32];
	/* Of a blocked call, seen before the stop: */
	long	waited_call;		/* its number, or -1 */
	int64_t	noted_ns;		/* when it was looked at */
	int64_t	waited_ns;		/* how long it had waited then; -1: cannot be told */
	int64_t	due_ns;			/* when its time is over, where that was inherited; -1: it was not */
	int64_t	timeout_ns;		/* as its arguments say, -1: they do not */
	int64_t	switches, slices;	/* voluntary switches, and how often it was on a CPU, at that time; -1: not known */
	int64_t	completions;		/* of the io_uring that it waits for, at that time; -1: not known */
	pid_t	tracer;			/* who traces it, 0: nobody */
	bool	alone;			/* the process has no other thread of its own */
	bool	noted;			/* ps_note_wait() has looked at it, and `filtered` is known */
	bool	filtered;		/* it has a seccomp filter */
	bool	supervised;		/* a supervisor was seen to act for it, seccomp_unotify(2) */
};

struct ps_stop {			/* a target with all of its threads stopped */
	pid_t	pid;
	int	threads;
	bool	real_time;		/* a thread has a real-time policy, sched(7) */
	int	workers;		/* the kernel's, for io_uring and the like: in the last listing, and let be */
	int64_t	first_ns;		/* when the first thread was interrupted; earlier by undone_ns once all are stopped */
	int64_t	let_go_ns;		/* when ps_release() has let the last thread go */
	int64_t	undone_ns;		/* for how long the target was stopped before that, in vain */
	int64_t	timeout_ns;		/* how long to wait until the target can be stopped: it runs meanwhile */
	int64_t	limit_ns;		/* how long threads that are stopped may wait for others to stop */
	struct ps_calls *calls;		/* what stops that were undone did is added here; NULL: nowhere */
	int	pidfd;			/* of the process that is meant, or -1: a later one with its pid is let be */
	int64_t	spin_ns;		/* how long a wait may spin on this thread's CPU before it sleeps (duplicate/wait.h) */
	struct ps_thread *thread;	/* PS_MAX_THREADS of them */
};

/* @limit_ns: 0 is PS_STOP_LIMIT_NS. stop->pidfd may be set afterwards. */
void ps_prepare_stop(struct ps_stop *stop, struct ps_thread *room, pid_t pid, int64_t timeout_ns, int64_t limit_ns);
/*
 * Stop all threads of the process and note their registers, mended so that no
 * blocked call will return EINTR and no restartable sequence goes on where it
 * must abort. On failure nothing is left stopped. -ETIMEDOUT: a thread waits in
 * the kernel (vfork(2), a dead disk). If that was only found when others were
 * stopped, ps_thread_lost is set: the thread stays seized until the CALLING
 * THREAD ends, so end it.
 */
int ps_stop_all(struct ps_stop *stop);
/* While a process is held: if it was killed, its parent waits until its threads' deaths are noted. */
void ps_note_deaths(struct ps_stop *stop);
extern bool ps_thread_lost;
/* Put every thread's registers back and let it go; thread @except is left alone (-1: none). */
void ps_release(struct ps_stop *stop, int except);
/* Write all threads' registers to @out, at most @max; their number. */
int ps_read_registers(const struct ps_stop *stop, struct ps_registers *out, int max);
/*
 * Wait for @tid to stop: 0 and its wait status, -ETIMEDOUT, or -ESRCH. Spins for
 * @spin_ns, while a target waits: a sleep costs it 20 to 60 us. Not for a
 * duplicate: it may need the very CPU that a real-time tracer would spin on.
 */
int ps_wait_stop(pid_t tid, int64_t timeout_ns, int64_t spin_ns, int *status);
/*
 * The same for a thread of @stop that was let run while the others are stopped.
 * If the process is killed, the death of its first thread is told only when the
 * others' deaths were noted: that is done.
 */
int ps_wait_running(struct ps_stop *stop, struct ps_thread *thread, int64_t timeout_ns, int *status);

/* ---- blocked calls -------------------------------------------------------- */

/* Before the stop: note how long @thread has waited, if it is in a call that a stop may end. */
void ps_note_wait(pid_t pid, struct ps_thread *thread);
/* Right before the interruption: if it has not slept on since, how long it had waited says nothing. */
void ps_confirm_wait(pid_t pid, struct ps_thread *thread);
/* At the stop: change thread->mended so that the call goes on, and count it. */
void ps_mend_call(pid_t pid, struct ps_thread *thread, struct ps_calls *calls);
/*
 * A call whose end must be seen, to put registers back or because its time is
 * over before the kernel thinks so, is followed: its thread stays traced by the
 * calling thread until the call is over. ps_release() calls ps_follow() where
 * thread->follow is set; ps_followed() says whether @tid is traced for that.
 */
void ps_follow(pid_t pid, struct ps_thread *thread);
bool ps_followed(pid_t tid);
/* Is @tracer a procsnap whose requester has gone, and which only stays for calls that it follows? */
bool ps_lets_go(pid_t tracer);
/* Such a one is asked to let all threads of @tid's process go. True: it has let @tid go. */
bool ps_ask_to_go(pid_t tid, pid_t tracer);
/*
 * What it leaves behind of each, in a file that it has open as this descriptor:
 * in which call the thread is, when that is due, and how often it had been on a
 * CPU by then.
 */
struct ps_inheritance { int32_t tid, number; int64_t deadline_ns, slices; };
#define PS_INHERITANCE_FD	3
/* Of @tid, or NULL. */
const struct ps_inheritance *ps_inherited(pid_t tid);
/* Another tracer takes process @pid over: each of its threads is let go, in its call, as soon as it can be. */
void ps_follow_hand_over(pid_t pid);
/* When the next followed call is due, or INT64_MAX; and see to those that are due, or have stopped. */
int64_t ps_follow_next_ns(void);
void ps_follow_run(void);
/* A take is about to interrupt @tid: if it is followed, its stops are for ps_follow_pass() now. */
void ps_follow_hold(pid_t tid);
bool ps_follow_is_held(pid_t tid);
/* @tid has ended, and its death was noted elsewhere. */
void ps_follow_ended(pid_t tid);
/*
 * A thread that is followed has stopped, but not yet for the interruption that
 * @tid's stop waits for: its call is seen to, and it goes on. False: it is not
 * followed, or gone.
 */
bool ps_follow_pass(pid_t tid, int status);
/* After a release: those that were let go on are back in their calls, or all but (2 ms at most). */
void ps_follow_entered(void);
/*
 * Before the calling thread or process ends, which lets go of all: calls that have
 * done a part return that, and are waited for no longer than @limit_ns; the others
 * go on, with a timeout that may end later.
 */
void ps_follow_leave(int64_t limit_ns);
/* Such as "epoll_wait", or "syscall 999". */
const char *ps_call_name(long number);
/* At the stop: a restartable sequence (rseq(2)) that was cut off goes on at its abort address. */
void ps_mend_rseq(struct ps_thread *thread);

/* ---- duplicates ----------------------------------------------------------- */

enum ps_step {				/* where a take or an end is; tests name them */
	PS_STEP_NONE, PS_STEP_CHECKED, PS_STEP_STOPPED, PS_STEP_REGISTERS,
	PS_STEP_MASKED, PS_STEP_INJECTED, PS_STEP_ENTERED, PS_STEP_CLONED,
	PS_STEP_RESTORED, PS_STEP_UNMASKED, PS_STEP_RELEASED, PS_STEP_HELD,
	PS_STEP_KILLED, PS_STEP_BURIED,
	/* Of precopy, in their order; those of its first stop are as above. */
	PS_STEP_PROTECTING, PS_STEP_MOMENT, PS_STEP_CHECKING, PS_STEP_UNPROTECTING, PS_STEP_UNREGISTERING,
	PS_STEPS
};
extern const char *const ps_step_names[PS_STEPS];
extern void (*ps_step_hook)(enum ps_step step);	/* called at each step; NULL: none */
void ps_at(enum ps_step step);

/*
 * What a fork leaves out (MADV_DONTFORK), as of the moment. It is found and copied while the target stands still, for
 * PS_LEFT_OUT_NS or as long as the fork itself took, whichever is longer; so much of it at most.
 */
#define PS_LEFT_OUT_NS		(5 * 1000000LL)
#define PS_LEFT_OUT_BYTES	(8UL << 20)

/* @runs: of pages that were copied, one region's after the other's; -1: it was not. @text_bytes: its line of maps. */
struct ps_left_out_region { uint64_t start, end; int32_t runs; uint32_t text_bytes; };
struct ps_left_out_run { uint64_t start, end; };

struct ps_left_out {
	uint8_t	 *room;			/* for the pages: the caller's, of so many bytes */
	size_t	 room_bytes;
	uint64_t total_bytes, found_bytes;	/* of addresses: the total is known also where not all was found */
	size_t	 page_bytes, text_bytes;
	int32_t	 regions, runs;
};

/*
 * Regions, runs and lines of the last duplicate's, one after the other; how many bytes. 0: there are none, or there is
 * not so much room.
 */
size_t ps_write_left_out(const struct ps_left_out *left_out, uint8_t *to, size_t size);

struct ps_duplicate {
	pid_t	 pid;			/* in our pid namespace */
	pid_t	 target;
	pid_t	 inner_pid;		/* in the target's pid namespace: for its wait4() */
	int	 target_fd;		/* pidfd_open(2) of the target: a later process with its pid is let be */
	int32_t	 threads;
	int64_t	 take_ns, pause_ns, window_ns, clone_ns, moment_ns;
	struct ps_calls calls;
	bool	 shares_files;		/* the target's table of descriptors, until the target lets go of it */
	struct ps_thread first;		/* the target's first thread, as the duplicate is shown */
	uint64_t mask, instruction;	/* its signal mask; where it has a "syscall" instruction */
	int32_t	 dropped;		/* regions that it has no more: shared ones, and of locked files */
	int32_t	 registers;		/* how many were written */
};

/*
 * inject: one clone() in the target, as if it had called it, and everything put
 * back. The child never runs a user instruction. @registers may be NULL.
 * @cpu: CPU that the duplicate may use when it is ended, -1: any.
 * @timeout_ns: for how long to wait until the target can be stopped, while it
 * runs; @limit_ns: how long threads that are stopped may wait for others (0:
 * PS_STOP_LIMIT_NS). @left_out: with room for what the duplicate will not have; may be NULL.
 */
int ps_inject(pid_t target, int cpu, int64_t timeout_ns, int64_t limit_ns, struct ps_duplicate *duplicate,
	      struct ps_registers *registers, int max_registers, struct ps_left_out *left_out);

/*
 * A duplicate that still shares the target's descriptors (shares_files) drops
 * them as soon as the target has ended or called exec(): to be called often.
 */
void ps_see_to_files(struct ps_duplicate *duplicate);

struct ps_ended { int64_t kill_ns, reap_ns, pause_ns; struct ps_calls calls; };
/*
 * End a duplicate of ps_inject() and take it off the target's list of children.
 * It is ended in any case; not 0: it stays on that list for now, and ps_error()
 * says why; ps_burial_run() tries again.
 */
int ps_end(struct ps_duplicate *duplicate, int64_t timeout_ns, int64_t limit_ns, struct ps_ended *ended);

/*
 * syscall: create_proc_snap() of a patched kernel (kernel-patch/). The target is
 * not stopped by us, not traced, and not told. The duplicate is our own child,
 * with one parked task for each thread of the target.
 */
#define PS_SYS_CREATE_PROC_SNAP		600
#define PS_SYS_CREATE_PROC_SNAP2	601

/* 0 if this kernel has it; otherwise a negative errno, and ps_error() says why not and what to do. */
int ps_snap_probe(void);

struct ps_snapshot {
	pid_t	 pid, target;
	pid_t	 attached_by;		/* the thread that traces the duplicate's first task, for PEEKTEXT; 0: none */
	int32_t	 threads;		/* of the target */
	int32_t	 listed;		/* of these, in @thread */
	int64_t	 take_ns;		/* the system call alone */
	int64_t	 pause_ns;		/* as the kernel tells it: how long at most the target can have waited */
	int64_t	 moment_ns;		/* CLOCK_MONOTONIC_RAW, converted from the kernel's CLOCK_MONOTONIC */
	struct proc_snap_args told;
	struct proc_snap_thread thread[PS_MAX_THREADS];
};

/*
 * @plain: the paper's call, create_proc_snap(), which tells nothing but the pid:
 * then pause_ns is take_ns, moment_ns 0, and the target's tids are not known.
 */
int ps_snap(pid_t target, bool plain, struct ps_snapshot *snapshot);
/* From the parked tasks, at any time before the end: the target has no part in it. Their number, or -errno. */
int ps_snapshot_registers(const struct ps_snapshot *snapshot, int64_t timeout_ns, struct ps_registers *out, int max);
/* PEEKTEXT wants a tracer: become that of the duplicate's first task, until its end. */
int ps_snapshot_attach(struct ps_snapshot *snapshot, int64_t timeout_ns);
void ps_snapshot_end(struct ps_snapshot *snapshot, struct ps_ended *ended);

/* stop: the classical way. The copy is kept in memory: */
struct ps_copy {
	uint8_t	*bytes;
	size_t	 size, used;
	int	 regions, max_regions;
	struct { uint64_t address, length; size_t offset; } *region;
	int64_t	 take_ns, pause_ns;
	int64_t	 unreadable;		/* bytes of private, readable regions that gave an error */
	int32_t	 threads, registers;
	struct ps_calls calls;
};
int ps_stop_copy(pid_t target, int64_t timeout_ns, int64_t limit_ns, struct ps_copy *copy,
		 struct ps_registers *registers, int max_registers);
void ps_copy_free(struct ps_copy *copy);

/*
 * precopy: the target's memory is copied while it runs, and what it has changed
 * since is read in a stop that does not grow with its size. No process is made.
 * Two stops: one to set it up, one that is the moment. native/precopy/.
 */
#define PS_PRECOPY_CHUNK_BYTES	(2 << 20)	/* of one page table: kept together, and told of together */
#define PS_PRECOPY_LAST_PAGES	2048	/* that may be left for the stop */

/* 0 if this kernel has all that it needs, and this process may use it; else ps_error() says what is missing. */
int ps_precopy_probe(void);

enum ps_precopy_phase { PS_PRECOPY_PASSES, PS_PRECOPY_CHECK, PS_PRECOPY_CLEANUP, PS_PRECOPY_DONE };

/*
 * What was done to the target when: each of these ends where the next one begins.
 * Protecting and reading take turns, every step, so a pass is both. The check and
 * what follows may come several times, where an attempt was in vain.
 */
enum ps_precopy_part {
	PS_PART_FIRST_STOP,		/* from the first thread's interruption until the last one goes on */
	PS_PART_FIRST_PASS,		/* registering, and of every page protecting and reading */
	PS_PART_FURTHER_PASSES,		/* all of them until the next stop */
	PS_PART_SECOND_STOP,		/* as the first; each that was to be the moment */
	PS_PART_CHECK,			/* with the writing of what was read in the stop */
	PS_PART_UNPROTECTING,
	PS_PART_UNREGISTERING,		/* and the end of the userfaultfd */
	PS_PARTS
};
extern const char *const ps_part_names[PS_PARTS];	/* such as "first stop" */

/* More than there can be: three for each attempt, and four. */
#define PS_PRECOPY_SPELLS	64
struct ps_spells {
	int32_t	count;
	struct ps_spell {
		int32_t	part;			/* enum ps_precopy_part */
		int32_t	stopped;		/* all threads stand still */
		int64_t	start_ns, end_ns;
		int64_t	longest_step_ns;	/* of its steps that held the lock of the target's mappings */
	} spell[PS_PRECOPY_SPELLS];
};

/* Steps that held the lock of the target's mappings. */
struct ps_steps {
	int64_t	made;
	int64_t	waits, waited_ns;	/* that waited for the sleep of a thread that has a rhythm; and in all for how long */
	int64_t	in_rhythm;		/* in which a thread had one */
	int64_t	awake;			/* and of these, in which such a thread was awake for a part of it at least */
};

struct ps_precopy {
	enum ps_precopy_phase phase;
	int32_t	 passes, attempts;		/* over all memory; stops that were to be the moment */
	int32_t	 threads, registers;
	int64_t	 begun_ns, take_ns;		/* begun; from there until nothing was left in the target */
	int64_t	 setup_pause_ns, pause_ns;	/* of the first stop, and of the last */
	int64_t	 stop_ns;			/* when the last one began */
	int64_t	 longest_pause_ns;		/* of all stops */
	int64_t	 window_ns;			/* of the first: for how long the target's registers were not its own */
	int64_t	 moment_ns;
	int64_t	 resident_bytes;		/* of the target, when it was begun: about so much is read */
	int64_t	 bytes_read, copy_bytes;	/* read in all; and what the image has */
	int64_t	 written_pages;			/* that the last whole pass found written to since the one before */
	int64_t	 last_pages;			/* read in the last stop */
	int64_t	 ambiguous_pages;		/* of the last check */
	int64_t	 longest_step_ns;		/* of the steps that hold the lock of the target's mappings */
	struct ps_steps steps;
	int	 image_file, index_file;	/* descriptors of this process; the second when it is done */
	/*
	 * Of the image's file. What is before it has been kept once: it changes in chunks alone that the index calls
	 * corrected.
	 */
	int64_t	 whole_bytes;
	struct ps_calls calls;
	struct ps_spells spells;
};

/*
 * One at a time. The set-up; @folder: where the copy is kept until the end, in a
 * file without a name, "": in memory; @most_bytes: more than that it may not
 * take there, 0: as much as there is. On failure nothing is left in the target,
 * but for -EIO: a descriptor could not be closed there. @told is filled in then, too.
 */
int ps_precopy_begin(pid_t target, const char *folder, int64_t most_bytes, int64_t timeout_ns, int64_t limit_ns,
		     struct ps_precopy *told);
/* Some more of it, for about @budget_ns. On failure ps_precopy_end() has to follow. -E2BIG: too much, of any kind. */
int ps_precopy_go_on(int64_t budget_ns, int64_t timeout_ns, int64_t limit_ns, struct ps_registers *registers,
		     int max_registers);
/* The copy is given up. Where it was not done, nothing stays in the target. */
void ps_precopy_end(void);
/*
 * What it costs on this machine to protect one page that is there, and to take
 * that back, in nanoseconds: tried on 2 MiB of this process's own. A negative errno.
 */
int ps_precopy_calibrate(int64_t *protect_ns, int64_t *unprotect_ns);

/* ---- preflight ------------------------------------------------------------ */

/*
 * What can be seen before anything is done to a target: what a copy would cost,
 * and what speaks against it. Nothing is touched.
 */
#define PS_MAX_REASONS	32
struct ps_reason {
	int32_t	code;			/* negative errno: a take is refused; 0: a note, for the user to know */
	char	name[28];		/* one word for scripts, such as "memory-cgroup" */
	char	text[224];		/* what, where, the figures, and what to do */
};

/* What is to be done to the target: a reason may speak against one and not against another. */
enum ps_purpose { PS_FOR_INJECT = 1, PS_FOR_PRECOPY = 2 };

struct ps_preflight {
	int32_t	reasons;
	struct ps_reason reason[PS_MAX_REASONS];
	int32_t	threads;
	int64_t	resident_kib, tables_kib;	/* of the target: memory, and page tables that a duplicate has as well */
	int64_t	growth_kib;		/* at most, while a duplicate is there: what the target may write to, and the tables */
	int64_t	headroom_kib;		/* of the tightest limit; -1: there is none */
	int64_t	pause_ns;		/* estimated: the stop and the clone, or the longest of the stops */
};

/* 0: nothing speaks against it; otherwise the first refusal's code, and ps_error() is its text. */
int ps_preflight(pid_t target, enum ps_purpose purpose, struct ps_preflight *preflight);

/*
 * While a duplicate is there: its limits are looked at again and again, more
 * often where there is less room. ps_watch_run() is true when the duplicate has
 * to be ended now, so that the target is not harmed; ps_error() then says why.
 */
void ps_watch_begin(const struct ps_duplicate *duplicate);
/*
 * After ps_preflight(): is there so little room that the watch must begin before
 * the target goes on? A busy machine may keep us from a CPU for 50 ms then.
 */
bool ps_watch_is_tight(pid_t target);
void ps_watch_end(void);
int64_t ps_watch_next_ns(void);		/* INT64_MAX: there is nothing to watch */
bool ps_watch_run(void);

/* ---- reading -------------------------------------------------------------- */

enum ps_way { PS_WAY_PROC_MEM_PAPER, PS_WAY_PROC_MEM, PS_WAY_PEEK, PS_WAY_VM_READV, PS_WAY_MEMCPY, PS_WAYS };
const char *ps_way_name(enum ps_way way);	/* such as "proc-mem-paper" */

struct ps_reader {			/* a process's memory, ready to be read in one of the ways */
	enum ps_way way;
	pid_t	pid;
	int	fd;			/* PS_WAY_PROC_MEM keeps /proc/PID/mem open */
};
int ps_reader_open(struct ps_reader *reader, enum ps_way way, pid_t pid);
void ps_reader_close(struct ps_reader *reader);
/* Bytes read (short where the region ends), or -errno. PEEK wants the caller to be the tracer. */
ssize_t ps_read(struct ps_reader *reader, uint64_t address, void *buffer, size_t length);

/*
 * The system calls that ps_read() really makes, told by an observer (ptrace)
 * that watches it read @length bytes: calls[number] times each, up to @max.
 */
int ps_count_calls(enum ps_way way, size_t length, uint32_t *calls, int max);

#endif
