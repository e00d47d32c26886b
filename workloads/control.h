/* SPDX-License-Identifier: MIT */
/*
 * control.h - how the harness talks to a workload
 *
 * One page of memory, shared between requester and workload: the requester
 * passes it as file descriptor 3 (a memfd) and the workload maps it shared.
 * It is the only memory of a workload that a duplicate shares with it, and a
 * duplicate never runs, so nobody else ever writes here.
 *
 * A command is a sequence number: the requester writes code and argument, adds
 * one to `command_seq` and wakes the futex; the workload does the command,
 * writes result[], stores the same number in `done_seq` and wakes that futex.
 * Every field is 64 bits wide so that JavaScript reads it as BigInt64Array.
 */
#ifndef PROCSNAP_CONTROL_H
#define PROCSNAP_CONTROL_H

#include <stdint.h>

#define CONTROL_FD	3
#define CONTROL_RESULTS	8
#define CONTROL_PASSES	4096	/* length of the ring of passes, a power of two */

enum control_command {
	COMMAND_NONE = 0,
	COMMAND_EXIT = 1,	/* end with status 0 */
	COMMAND_FORK = 2,	/* result: [0] duration of fork() in ns, [1] child's pid or -errno;
				 * the child never runs on: it blocks in pause() */
	COMMAND_REAP = 3,	/* argument: pid to waitpid(); result: [0] 0 or -errno, [1] status */
	COMMAND_SPIN = 4,	/* read the clock in a loop until `spin_stop` is not 0, keep the
				 * largest gap between two readings; answers (done_seq) at the START
				 * of the loop, and sets `spinning` to 0 when it has left it */
	COMMAND_UPDATE = 5,	/* updater only: one pass over the region now, outside the period;
				 * result: [0] duration in ns, [1] minor faults it took */
	COMMAND_DIRTY = 6,	/* write to each 4 KiB page of the region: what an earlier duplicate
				 * has left write-protected is the workload's own again */
};

struct control_pass {		/* one update of the region by the updater */
	int64_t	start_ns;	/* CLOCK_MONOTONIC_RAW */
	int64_t	duration_ns;
};

struct control {
	int64_t	ready;			/* the workload's pid, once it is set up */
	int64_t	command_seq;		/* futex word: the low 32 bits */
	int64_t	command;
	int64_t	argument;
	int64_t	done_seq;		/* futex word: the low 32 bits */
	int64_t	result[CONTROL_RESULTS];
	int64_t	region_address;		/* start and length of the workload's own private region */
	int64_t	region_bytes;
	int64_t	spin_stop;
	int64_t	spinning;
	int64_t	largest_gap_ns;		/* of the last COMMAND_SPIN, updated while it spins */
	int64_t	largest_gap_end_ns;	/* when it ended, CLOCK_MONOTONIC_RAW */
	int64_t	counter;		/* a workload's own progress: passes, writes, calls */
	int64_t	errors;			/* what a workload saw go wrong (a lost signal, an EINTR...) */
	int64_t	spare[11];
	struct control_pass passes[CONTROL_PASSES];	/* updater: passes[counter % CONTROL_PASSES] */
};

/* ticker: its log follows, from the next whole page on; ticks[counter % CONTROL_TICKS] */
#define CONTROL_TICKS	(128 << 10)	/* two minutes of 1 kHz, a power of two */
#define CONTROL_TICKS_OFFSET	((sizeof(struct control) + 4095) & ~(size_t)4095)

struct control_tick {		/* one period of the ticker */
	int64_t	due_ns;		/* CLOCK_MONOTONIC_RAW, as the next two: when it should have begun */
	int64_t	began_ns;
	int64_t	ended_ns;
	int64_t	faults;		/* minor ones, of the ticker in all by then */
};

#endif
