// SPDX-License-Identifier: MIT
/* Waiting for tracees: waitpid(2), asleep or spinning, always with an end. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include "queue_clock.h"
#include "wait.h"

/* With more threads there is hardly a CPU where none of them has run last, and asking takes its time. */
#define FEW_THREADS	64
/* So often a wait that spins sees to calls that are followed. */
#define SERVE_NS	(1000 * 1000LL)
/* While the target lives, ptrace stops raise SIGCHLD in the tracer, which all its threads block. */
#define NAP_NS		(2 * 1000 * 1000LL)

void ps_nap(void)
{
	const struct timespec time = { .tv_nsec = NAP_NS };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(&child, NULL, &time);
	/* The news may be of a call that is followed, and whose thread stands still until it is seen to. */
	ps_follow_run();
}

int ps_wait_stop(pid_t tid, int64_t timeout_ns, int64_t spin_ns, int *status)
{
	int64_t start = ps_now_ns(), waited = 0, next = SERVE_NS;

	for (;;) {
		pid_t got = waitpid(tid, status, __WALL | WNOHANG);

		if (got < 0)
			return -ESRCH;
		if (got > 0)
			return WIFSTOPPED(*status) ? 0 : -ESRCH;
		waited = ps_now_ns() - start;
		if (waited > timeout_ns)
			return -ETIMEDOUT;
		if (waited >= spin_ns) {
			ps_nap();
		} else if (waited > next) {
			ps_follow_run();
			next = waited + SERVE_NS;
		}
	}
}

static cpu_set_t own_cpus;
static bool moved;

static void move_to(struct ps_stop *stop, const cpu_set_t *cpus, int64_t spin_ns)
{
	if (!CPU_EQUAL(cpus, &own_cpus)) {
		moved = !sched_setaffinity(0, sizeof(*cpus), cpus);
		if (!moved)
			return;
	}
	stop->spin_ns = spin_ns;
}

void ps_choose_cpu(struct ps_stop *stop, const pid_t *tids, int count)
{
	cpu_set_t own, theirs, one;

	stop->spin_ns = 0;
	ps_restore_cpu();	/* another process is held, and was stopped from elsewhere */
	if (sched_getaffinity(0, sizeof(own), &own))
		return;
	own_cpus = own;
	for (int i = 0; i < count && CPU_COUNT(&own); i++)
		if (!sched_getaffinity(tids[i], sizeof(theirs), &theirs)) {
			CPU_AND(&one, &own, &theirs);
			CPU_XOR(&own, &own, &one);
		}
	if (CPU_COUNT(&own)) {
		move_to(stop, &own, PS_SPIN_NS);
		return;
	}
	own = own_cpus;
	for (int i = 0; i < count && count <= FEW_THREADS; i++) {
		int cpu = ps_last_cpu(stop->pid, tids[i]);

		if (cpu >= 0)
			CPU_CLR(cpu, &own);
	}
	if (CPU_COUNT(&own) && count <= FEW_THREADS)
		move_to(stop, &own, PS_SHORT_SPIN_NS);
}

void ps_restore_cpu(void)
{
	if (moved)
		sched_setaffinity(0, sizeof(own_cpus), &own_cpus);
	moved = false;
}
