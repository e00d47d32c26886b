/* SPDX-License-Identifier: MIT */
/*
 * How much of the target's page tables is held at once, and how often. Whoever
 * changes page protections holds a lock that the target's own mmap() and page
 * faults wait for, and on a machine whose hypervisor shadows page tables that
 * costs 20 us a page instead of 0.1: so a step is sized by what the last one took,
 * not by bytes. Between steps the target has at least as long without us as the
 * last one took; what is read and written meanwhile counts, since that holds
 * nothing for long.
 *
 * Where threads of the target sleep in a rhythm (switches.h), a step falls into
 * their sleep: then even an expensive one makes nobody late. For that it waits two
 * periods at most; and with all its waits a copy takes no more than three times as
 * long as without, and two periods. What cannot be had in that time is not waited
 * for.
 *
 * A step has the tracer's own priority, since others wait for its end. All else
 * that a copy does while its target runs takes turns with everybody: at SCHED_FIFO
 * it would keep an ordinary target from a CPU for seconds.
 */
#ifndef PROCSNAP_PACE_H
#define PROCSNAP_PACE_H
#include "procsnap.h"

struct pace {
	uint64_t step_bytes;
	int64_t	 begun_ns, ended_ns;	/* of the last step */
	int64_t	 longest_ns;
	int	 priority;		/* SCHED_FIFO, of the tracer; 0: it has none */
	int64_t	 first_ns;		/* the copy began */
	struct ps_steps steps;
};

void ps_pace_begin(struct pace *pace);
/* The end of a step from @at: on a chunk's border where steps are of whole chunks. */
uint64_t ps_step_end(const struct pace *pace, uint64_t at, uint64_t end);
/*
 * A step: the target has had its time first, and sleeps now if it does so in a rhythm, for as long as @times steps may
 * take.
 */
void ps_begin_step(struct pace *pace, unsigned int times);
/* One that only looks: nobody but mmap() and the like waits for it, so it does not wait either: time counts then. */
void ps_begin_look(struct pace *pace);
/* It was over @bytes: the next one is larger or smaller. */
void ps_end_step(struct pace *pace, uint64_t bytes);
void ps_end_look(struct pace *pace, uint64_t bytes);
/* The tracer's own priority: for what somebody stands still. */
void ps_hurry(const struct pace *pace);
/* None. A thread whose call is followed (blocked.c) may wait for us, as it would for any other load, once. */
void ps_take_turns(const struct pace *pace);

#endif
