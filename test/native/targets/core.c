// SPDX-License-Identifier: MIT
/*
 * core WHAT: parts of the native core in a process of their own, where they are
 * to meet what a whole take meets by chance only. Says "ok", or what it did instead.
 *   untraced	a duplicate that nobody here traces any more is to be buried, and still lives
 *	rests	what is asked for again of a call that has done a part, waiting or not
 *	ring	the same of an io_uring_enter(), of which it matters whether its wait was over
 *	later	a call whose earlier one of the same kind was looked at, which had no timeout
 *	unread	an io_uring_enter() of a ring whose completions cannot be counted
 *	stopped	a SIGSTOP comes when there is no time left for the injected call
 *	continued	the same, and then a SIGCONT
 *	room	others are seen to while room is made for a copy
 *	too-large	a copy for which there is no room is refused, with figures
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "duplicate/burial.h"
#include "duplicate/followed.h"
#include "duplicate/injected_call.h"

static const char *untraced(void)
{
	struct ps_duplicate duplicate = { .target = getppid(), .inner_pid = 1 };
	struct ps_ended ended = { 0 };
	int ends[2], err;

	if (pipe(ends))
		return "pipe() failed";
	if (!fork()) {		/* so that it is no child of ours */
		pid_t pid = fork();

		if (pid)
			_exit(write(ends[1], &pid, sizeof(pid)) < 0);
		prctl(PR_SET_PDEATHSIG, 0);
		pause();
	}
	wait(NULL);
	if (read(ends[0], &duplicate.pid, sizeof(duplicate.pid)) != sizeof(duplicate.pid))
		return "read() failed";
	err = ps_bury(&duplicate, -1, 20 * 1000 * 1000, 0, &ended);
	kill(duplicate.pid, SIGKILL);
	if (err != -ETIMEDOUT || !ps_burying(duplicate.pid))
		return "one that lives is taken for buried";
	while (ps_burying(duplicate.pid)) {
		usleep(1000);
		ps_burial_run();
	}
	return "ok";
}

static const char *stopped(bool continued)
{
	pid_t pid = fork();
	struct ps_patience patience = { pid, -1, PS_NSEC_PER_SEC, 0 };
	struct ps_identity identity = { 0 };
	struct injection in;
	int64_t took_ns;
	long result;
	int err;

	if (!pid)
		for (;;)
			pause();
	usleep(20000);
	if (ps_begin_injection(&in, &patience))
		return ps_error();
	in.timeout_ns = 0;
	kill(pid, SIGSTOP);
	err = ps_inject_call(&in, SYS_getpid, (const long[4]){ 0 }, &result, &took_ns);
	if (continued)
		kill(pid, SIGCONT);
	ps_put_back(&in);
	ps_release(&in.stop, -1);
	usleep(20000);
	ps_identify(pid, &identity);
	kill(pid, SIGKILL);
	if (err != -EBUSY)
		return "the call was made, or failed for another reason";
	if (identity.state != (continued ? 'S' : 'T'))
		return continued ? "it is stopped, though SIGCONT has come since" : "it is not stopped: SIGSTOP was lost";
	return "ok";
}

#define PART	300
#define WHOLE	1000
static char bytes[WHOLE];

/* Of this process's own. */
static enum rest rest_of(long number, struct user_regs_struct regs, bool asleep)
{
	return ps_rest(getpid(), ps_find_call(number), &regs, number == SYS_sendmmsg ? 1 : PART, asleep);
}

static const char *rests(void)
{
	struct iovec parts[2] = { { bytes, PART }, { bytes + PART, WHOLE - PART } };
	struct mmsghdr messages[2] = { { { .msg_iov = parts, .msg_iovlen = 1 }, PART } };
	int sockets[2], pipes[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) || pipe(pipes))
		return "there are no descriptors";
	const struct {
		const char *name;
		long number;
		struct user_regs_struct regs;
		unsigned long long dont_wait_r10, dont_wait_r9;
	} calls[] = {
		{ "write", SYS_write, { .rdi = pipes[1], .rdx = WHOLE }, 0, 0 },
		{ "sendto", SYS_sendto, { .rdi = sockets[0], .rdx = WHOLE }, MSG_DONTWAIT, 0 },
		{ "recvfrom", SYS_recvfrom, { .rdi = sockets[0], .rdx = WHOLE, .r10 = MSG_WAITALL }, MSG_DONTWAIT, 0 },
		{ "writev", SYS_writev, { .rdi = pipes[1], .rsi = (long)parts, .rdx = 2 }, 0, 0 },
		{ "pwritev2", SYS_pwritev2, { .rdi = pipes[1], .rsi = (long)parts, .rdx = 2 }, 0, RWF_NOWAIT },
		{ "sendmmsg", SYS_sendmmsg, { .rdi = sockets[0], .rsi = (long)messages, .rdx = 2 }, MSG_DONTWAIT, 0 },
		{ "sendfile", SYS_sendfile, { .rdi = sockets[0], .r10 = WHOLE }, 0, 0 },
		{ "splice", SYS_splice, { .rdi = pipes[0], .rdx = sockets[0], .r8 = WHOLE }, 0, 0 },
	};
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		struct user_regs_struct regs = calls[i].regs;

		if (rest_of(calls[i].number, regs, true) != REST_SET)
			return calls[i].name;
		regs.r10 |= calls[i].dont_wait_r10;
		regs.r9 |= calls[i].dont_wait_r9;
		if ((calls[i].dont_wait_r10 || calls[i].dont_wait_r9) && rest_of(calls[i].number, regs, true) != REST_NONE)
			return calls[i].name;
	}
	fcntl(sockets[0], F_SETFL, O_NONBLOCK);
	fcntl(pipes[1], F_SETFL, O_NONBLOCK);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (rest_of(calls[i].number, calls[i].regs, true) != REST_NONE)
			return calls[i].name;
	return "ok";
}

static const char *ring(void)
{
	struct io_uring_params params = { 0 };
	int fd = syscall(SYS_io_uring_setup, 4, &params);
	const struct call *call = ps_find_call(SYS_io_uring_enter);
	struct user_regs_struct regs = { .rdi = fd, .rsi = 1, .rdx = 1, .r10 = IORING_ENTER_GETEVENTS }, waits = regs;
	struct io_uring_sqe *entry;
	uint8_t *queue;

	if (fd < 0)
		return "not here";
	queue =
		mmap(NULL, params.sq_off.array + 4 * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	entry = mmap(NULL, 4 * sizeof(*entry), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	waits.rsi = 0;
	if (ps_rest(getpid(), call, &waits, 0, true) != REST_SET)
		return "a wait alone that was interrupted is not made again";
	if (ps_rest(getpid(), call, &regs, 1, false) != REST_CUT)
		return "one that may have got what it waited for waits again";
	if (ps_rest(getpid(), call, &regs, 1, true) != REST_SET || regs.rsi)
		return "one that was interrupted does not wait again, or submits again";
	if (ps_completions(getpid(), call, &regs) != 0)
		return "completions are counted before there is one";
	*entry = (struct io_uring_sqe){ .opcode = IORING_OP_NOP };
	*(int *)(queue + params.sq_off.tail) = 1;
	if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return "io_uring_enter() failed";
	regs.rsi = 1;
	if (ps_completions(getpid(), call, &regs) != 1)
		return "a completion is not counted";
	if (ps_rest(getpid(), call, &regs, 1, true) != REST_NONE)
		return "one that has what it waited for waits again";
	/* Followed for the rest, which is a wait for two; it was looked at before the one completion, or after it. */
	regs.rdx = 2;
	regs.orig_rax = call->number;
	struct followed followed = { .pid = getpid(), .call = call, .number = call->number, .regs = regs, .done = 1 };

	if (ps_progress(&followed, &regs) != CUT)
		return "one that is followed, and may have got what it waited for, waits again";
	followed.completions = 1;
	if (ps_progress(&followed, &regs) != CUT_SHORT)
		return "one that is followed, and cannot have got what it waited for, does not wait again";
	followed.completions = 0;
	followed.alone = true;
	if (ps_progress(&followed, &regs) != CUT_SHORT)
		return "one that is followed, of the only thread, does not wait again";
	return "ok";
}

/* What a stop does to a call of this process's child, whose registers are these. */
static struct ps_calls mended(struct ps_thread thread, const struct user_regs_struct *regs)
{
	struct ps_calls counts = { 0 };

	thread.tid = fork();
	if (!thread.tid)
		for (;;)
			pause();
	thread.general = thread.mended = *regs;
	ps_mend_call(thread.tid, &thread, &counts);
	ps_follow_ended(thread.tid);
	kill(thread.tid, SIGKILL);
	waitpid(thread.tid, NULL, 0);
	return counts;
}

static const char *later(void)
{
	const struct user_regs_struct regs = { .orig_rax = SYS_epoll_wait, .rax = -EINTR, .r10 = 1000 };
	const struct ps_thread seen = { .waited_call = SYS_epoll_wait, .asleep = true, .waited_ns = -1, .due_ns = -1,
					.timeout_ns = -1, .switches = -1, .slices = -1, .noted = true };
	struct ps_calls counts = mended(seen, &regs);

	return counts.restarted == 1 && counts.lengthened == 1 ? "ok" : "its timeout begins anew, and is not counted";
}

static const char *unread(void)
{
	const struct user_regs_struct regs = { .orig_rax = SYS_io_uring_enter, .rax = 1, .rdi = -1, .rsi = 1, .rdx = 1,
					       .r10 = IORING_ENTER_GETEVENTS };
	struct ps_thread seen = { .waited_call = SYS_io_uring_enter, .asleep = true, .waited_ns = -1, .due_ns = -1,
				  .timeout_ns = -1, .switches = -1, .slices = -1, .completions = -1, .noted = true };
	struct ps_calls counts = mended(seen, &regs);

	if (counts.cut != 1 || counts.restarted)
		return "it waits again, though another thread may have taken what it waited for";
	seen.alone = true;
	counts = mended(seen, &regs);
	return counts.restarted == 1 && !counts.cut ? "ok" : "it does not wait again, though there is no other thread";
}

static pid_t being_copied;
static int looks, looks_in_stop;

static void count_looks(void)
{
	struct ps_identity identity = { 0 };

	looks++;
	if (!ps_identify(being_copied, &identity) && identity.tracer)
		looks_in_stop++;
}

static const char *room(void)
{
	struct ps_copy copy;
	int err;

	being_copied = fork();
	if (!being_copied) {
		mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (;;)
			pause();
	}
	usleep(20000);
	ps_meanwhile = count_looks;
	err = ps_stop_copy(being_copied, PS_NSEC_PER_SEC, 0, &copy, NULL, 0);
	ps_meanwhile = NULL;
	kill(being_copied, SIGKILL);
	if (err)
		return ps_error();
	ps_copy_free(&copy);
	/* 64 MiB, in steps of 4 MiB. */
	return looks - looks_in_stop >= 16 ? "ok" : "nobody is seen to while room is made for a copy";
}

static const char *too_large(void)
{
	struct ps_copy copy;
	pid_t pid = fork();
	int err;

	if (!pid) {
		mmap(NULL, 1UL << 42, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		for (;;)
			pause();
	}
	usleep(20000);
	err = ps_stop_copy(pid, PS_NSEC_PER_SEC, 0, &copy, NULL, 0);
	kill(pid, SIGKILL);
	if (err != -ENOMEM)
		return "it is not refused";
	return strstr(ps_error(), "MemAvailable") ? "ok" : ps_error();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	alarm(30);
	if (!strcmp(what, "untraced"))
		puts(untraced());
	if (!strcmp(what, "rests"))
		puts(rests());
	if (!strcmp(what, "ring"))
		puts(ring());
	if (!strcmp(what, "later"))
		puts(later());
	if (!strcmp(what, "unread"))
		puts(unread());
	if (!strcmp(what, "stopped"))
		puts(stopped(false));
	if (!strcmp(what, "continued"))
		puts(stopped(true));
	if (!strcmp(what, "room"))
		puts(room());
	if (!strcmp(what, "too-large"))
		puts(too_large());
	return 0;
}
