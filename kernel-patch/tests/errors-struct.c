// SPDX-License-Identifier: GPL-2.0
/* The arguments of the second call: its structure, and what that points to. */
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "errors.h"

void test_struct(void)
{
	struct { struct proc_snap_args args; long more[2]; } longer = { };
	struct proc_snap_args args = { }, *edge, *readonly;
	struct proc_snap_thread *half;
	pid_t target = spawn(sleeper, NULL), dup;
	char *page = map_private(2 * PAGE);
	unsigned int bit, wrong = 0;
	size_t size;

	munmap(page + PAGE, PAGE);
	block_child_signal();
	forget_child_signal();

	is(sizeof(args), PROC_SNAP_ARGS_SIZE_VER1, "size of the structure");
	is(snap2(NULL, 0), -EINVAL, "the probe: NULL, 0");
	args.target = target;
	for (size = 0; size < PROC_SNAP_ARGS_SIZE_VER0; size++)
		wrong += snap2(&args, size) != -EINVAL;
	is(wrong, 0, "every size below the first version's");
	is(snap2(NULL, sizeof(args)), -EFAULT, "structure at NULL");
	is(snap2((void *)8, sizeof(args)), -EFAULT, "structure at 8");
	is(snap2((void *)-4096, sizeof(args)), -EFAULT, "structure in the kernel");
	edge = (void *)(page + PAGE - sizeof(args) + 8);
	is(snap2(edge, sizeof(args)), -EFAULT, "structure over the edge");
	is(snap2(&args, PAGE + 1), -E2BIG, "size over a page");
	is(snap2(&args, SIZE_MAX), -E2BIG, "size SIZE_MAX");

	longer.args = args;
	is(child_signal(), 0, "no SIGCHLD from calls without a structure");
	dup = snap2(&longer.args, sizeof(longer));
	ok(dup > 0, "a longer structure, zero where it is unknown");
	snap_end(dup);
	forget_child_signal();
	longer.args = args;
	longer.more[1] = 1L << 56;
	is(snap2(&longer.args, sizeof(longer)), -E2BIG, "a longer structure, its last byte not zero");

	for (bit = 1; bit < 64; bit++) {
		args.flags = 1ULL << bit;
		wrong += snap2(&args, sizeof(args)) != -EINVAL;
		args.flags |= PROC_SNAP_PIDFD;
		wrong += snap2(&args, sizeof(args)) != -EINVAL;
	}
	is(wrong, 0, "each unknown flag");

	memset(&args, 0, sizeof(args));
	args.target = target;
	args.nr_threads = 1;
	is(snap2(&args, sizeof(args)), -EINVAL, "room for threads, and no threads");
	is(child_signal(), 0, "no SIGCHLD from calls that are refused at once");
	/* What is refused when it has been made is a child that has ended, and tells so. */
	args.threads = 8;
	is(snap2(&args, sizeof(args)), -EFAULT, "threads at 8");
	args.threads = -4096ULL;
	is(snap2(&args, sizeof(args)), -EFAULT, "threads in the kernel");
	half = (void *)(page + PAGE - sizeof(*half) / 2);
	args.threads = (uintptr_t)half;
	is(snap2(&args, sizeof(args)), -EFAULT, "threads over the edge");
	args.threads = (uintptr_t)(page + PAGE - sizeof(*half));
	args.nr_threads = UINT_MAX;
	dup = snap2(&args, sizeof(args));
	ok(dup > 0 && args.nr_threads == 1, "room is what is said, used is what is needed");
	snap_end(dup);
	forget_child_signal();

	readonly = (void *)page;
	memset(readonly, 0, sizeof(*readonly));
	readonly->target = target;
	mprotect(page, PAGE, PROT_READ);
	is(snap2(readonly, sizeof(*readonly)), -EFAULT, "structure that cannot be written");
	is(child_signal(), 0, "no SIGCHLD from calls that failed");
	is(children(getpid()), 1, "no child from calls that failed");

	memset(&args, 0, sizeof(args));
	args.target = target;
	args.moment_ns = args.pages_shared = args.regions_left_out = ~0ULL;
	dup = snap2(&args, sizeof(args));
	ok(dup > 0 && args.moment_ns != ~0ULL && args.pages_shared != ~0ULL &&
	   args.regions_left_out == 0 && args.nr_threads == 1, "what is out is written, whatever was in");
	snap_end(dup);
	end_target(target);
}
