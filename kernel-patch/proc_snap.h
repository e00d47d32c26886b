/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * create_proc_snap(), create_proc_snap2(): duplicate another process,
 * copy-on-write, into a child of the caller that never runs user code.
 */
#ifndef _UAPI_LINUX_PROC_SNAP_H
#define _UAPI_LINUX_PROC_SNAP_H

#include <linux/types.h>

/* proc_snap_args.flags */
#define PROC_SNAP_PIDFD		0x1ULL	/* @target is a pidfd, not a pid */

/* proc_snap_thread.flags */
#define PROC_SNAP_RUNNING	0x1U	/* was on a CPU when its registers were read */
#define PROC_SNAP_PARTIAL	0x2U	/* had dynamic state (AMX), which is not taken */

/* A thread of the target, and the parked task that carries its registers. */
struct proc_snap_thread {
	__s32		target_tid;	/* pids as the caller's pid namespace has them */
	__s32		snap_tid;
	__u32		flags;
	__u32		__reserved;
	__aligned_u64	registers_ns;	/* CLOCK_MONOTONIC: when they were read */
};

struct proc_snap_args {
	/* in */
	__aligned_u64	flags;
	__aligned_u64	threads;	/* array of struct proc_snap_thread, or 0 */
	__s32		target;
	__u32		nr_threads;	/* in: room in @threads; out: threads taken */
	/* out */
	__aligned_u64	moment_ns;	/* CLOCK_MONOTONIC: no private page changed after */
	__aligned_u64	lock_wait_ns;	/* waited for the target's locks */
	/*
	 * Held its mmap_lock for so long: a thread that waited for that has stalled
	 * no longer than this and, without max_wait_ns, lock_wait_ns.
	 */
	__aligned_u64	locked_ns;
	__aligned_u64	registers_skew_ns; /* from @moment_ns to the last thread's registers */
	__aligned_u64	pages_shared;	/* resident pages taken by reference, of PAGE_SIZE */
	__aligned_u64	pages_copied;	/* pages that others held, so were copied at once */
	__aligned_u64	regions_taken;	/* regions that the duplicate has, as of the moment */
	__aligned_u64	regions_live;	/* of these, MAP_SHARED or special: they go on changing */
	__aligned_u64	regions_uncovered; /* of these, fork() would have hidden or wiped them */
	__aligned_u64	regions_left_out; /* a driver forbids it, or a socket or device owns them */
	/* in, since version 1 */
	__aligned_u64	max_wait_ns;	/* only try for the locks, and so long; 0: queue for them */
	__aligned_u64	max_pinned;	/* copy no more pages at once than these; 0: no limit */
};

#define PROC_SNAP_ARGS_SIZE_VER0 104	/* sizeof first published struct */
#define PROC_SNAP_ARGS_SIZE_VER1 120	/* max_wait_ns, max_pinned */

#endif /* _UAPI_LINUX_PROC_SNAP_H */
