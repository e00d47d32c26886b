// SPDX-License-Identifier: MIT
/*
 * serve.c - commands from the control page
 *
 * A workload that has nothing to do sleeps in futex(): it must not take CPU
 * time from what is measured. The futexes are shared ones, as the requester
 * is another process.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "serve.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the futex word is the first half of a 64-bit field");

static void wake(int64_t *field)
{
	syscall(SYS_futex, field, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

struct control *control_map(void)
{
	struct control *control;
	struct stat stat;

	if (fstat(CONTROL_FD, &stat) < 0)
		fail(EXIT_USAGE, "no control page: file descriptor %d: %s",
		     CONTROL_FD, strerror(errno));
	if ((size_t)stat.st_size < sizeof(*control))
		fail(EXIT_USAGE, "no control page: file descriptor %d has %lld bytes, not %zu",
		     CONTROL_FD, (long long)stat.st_size, sizeof(*control));

	/* populated, so that no page of the log is missing in the middle of a measurement */
	control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, CONTROL_FD, 0);
	if (control == MAP_FAILED)
		fail(EXIT_USAGE, "no control page: cannot map file descriptor %d: %s",
		     CONTROL_FD, strerror(errno));
	close(CONTROL_FD);
	return control;
}

void control_ready(struct control *control, const void *region, size_t bytes)
{
	control->region_address = (int64_t)(uintptr_t)region;
	control->region_bytes = (int64_t)bytes;
	__atomic_store_n(&control->ready, getpid(), __ATOMIC_RELEASE);
	wake(&control->ready);
}

bool control_wait(struct control *control, const struct timespec *until)
{
	while (!control_pending(control)) {
		if (!syscall(SYS_futex, &control->command_seq, FUTEX_WAIT_BITSET,
			     (uint32_t)control->done_seq, until, NULL,
			     FUTEX_BITSET_MATCH_ANY))
			continue;
		if (errno == ETIMEDOUT)
			return false;
		/* EAGAIN: the command came first. EINTR: there is no handler that explains it */
		if (errno == EINTR)
			control->errors++;
		else if (errno != EAGAIN)
			fail(EXIT_FAILURE, "futex: %s", strerror(errno));
	}
	return true;
}

void control_done(struct control *control)
{
	/* only the requester raises command_seq, and only after it saw done_seq */
	__atomic_store_n(&control->done_seq, control->command_seq, __ATOMIC_RELEASE);
	wake(&control->done_seq);
}

/* The child of COMMAND_FORK: as few of its pages as possible may be copied. */
static _Noreturn void stay_still(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	for (;;)
		pause();
}

static void command_fork(struct control *control)
{
	pid_t parent = getpid();
	int64_t start;
	pid_t child;

	start = now_ns();
	child = fork();
	if (!child)
		stay_still(parent);
	control->result[0] = now_ns() - start;
	control->result[1] = child < 0 ? -errno : child;
}

static void command_reap(struct control *control)
{
	pid_t child = (pid_t)control->argument;
	int status = 0;
	pid_t reaped;

	while ((reaped = waitpid(child, &status, 0)) < 0 && errno == EINTR)
		control->errors++;
	control->result[0] = reaped < 0 ? -errno : 0;
	control->result[1] = status;
}

/*
 * Whatever keeps this process from running shows as a gap between two readings
 * of the clock: the pause as the target itself feels it.
 */
static void command_spin(struct control *control)
{
	int64_t largest = 0;
	int64_t before, after;
	bool stopped;

	control->largest_gap_ns = 0;
	control->largest_gap_end_ns = 0;
	control->spin_stop = 0;	/* before the answer: no requester sets it earlier */
	control->spinning = 1;
	control_done(control);

	before = now_ns();
	do {
		/* Before the clock: the requester may be done before this process runs again. */
		stopped = __atomic_load_n(&control->spin_stop, __ATOMIC_ACQUIRE);
		after = now_ns();
		if (after - before > largest) {
			largest = after - before;
			control->largest_gap_end_ns = after;
			__atomic_store_n(&control->largest_gap_ns, largest, __ATOMIC_RELEASE);
		}
		before = after;
	} while (!stopped);
	__atomic_store_n(&control->spinning, 0, __ATOMIC_RELEASE);
	wake(&control->spinning);
}

static void command_dirty(const struct control *control)
{
	volatile char *region = (volatile char *)(uintptr_t)control->region_address;

	for (int64_t at = 0; at < control->region_bytes; at += PAGE_BYTES)
		region[at] ^= 1;
}

void control_obey(struct control *control)
{
	switch (control->command) {
	case COMMAND_EXIT:
		control_done(control);
		exit(EXIT_SUCCESS);
	case COMMAND_FORK:
		command_fork(control);
		break;
	case COMMAND_REAP:
		command_reap(control);
		break;
	case COMMAND_SPIN:
		command_spin(control);
		return;		/* answered at its start; the next command may be there */
	case COMMAND_DIRTY:
		command_dirty(control);
		break;
	default:
		control->result[0] = -EOPNOTSUPP;
		control->errors++;
	}
	control_done(control);
}
