// SPDX-License-Identifier: MIT
#include <sched.h>
#include "pace.h"
#include "scan.h"

#define LONG_NS		(50 * 1000LL)
#define SHORT_NS	(20 * 1000LL)
#define LARGEST		(4UL << 20)	/* what is not there takes no time, and all may be there in the next step */

void ps_pace_begin(struct pace *pace)
{
	struct sched_param param = { 0 };

	*pace = (struct pace){ .step_bytes = PAGE };
	if (sched_getscheduler(0) == SCHED_FIFO && !sched_getparam(0, &param))
		pace->priority = param.sched_priority;
}

void ps_hurry(const struct pace *pace)
{
	if (pace->priority)
		sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = pace->priority });
}

void ps_take_turns(const struct pace *pace)
{
	if (pace->priority)
		sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 });
}

uint64_t ps_step_end(const struct pace *pace, uint64_t at, uint64_t end)
{
	uint64_t to = at + pace->step_bytes;

	if (pace->step_bytes >= CHUNK)
		to -= to % CHUNK;
	return to < end ? to : end;
}

void ps_begin_look(struct pace *pace)
{
	ps_hurry(pace);
	pace->begun_ns = ps_now_ns();
}

void ps_begin_step(struct pace *pace)
{
	int64_t took_ns = pace->ended_ns - pace->begun_ns, free_ns = ps_now_ns() - pace->ended_ns;

	ps_hurry(pace);		/* before the nap, or its end would wait for others on a busy CPU */
	if (free_ns < took_ns)
		ps_sleep(took_ns - free_ns);
	pace->begun_ns = ps_now_ns();
}

void ps_end_step(struct pace *pace, uint64_t bytes)
{
	int64_t took_ns;

	pace->ended_ns = ps_now_ns();
	ps_take_turns(pace);
	took_ns = pace->ended_ns - pace->begun_ns;
	if (took_ns > pace->longest_ns)
		pace->longest_ns = took_ns;
	if (took_ns > LONG_NS && pace->step_bytes > PAGE)
		pace->step_bytes /= took_ns > 4 * LONG_NS && pace->step_bytes > 4 * PAGE ? 4 : 2;
	else if (took_ns < SHORT_NS && bytes >= pace->step_bytes && pace->step_bytes < LARGEST)
		pace->step_bytes *= 2;
}
