// SPDX-License-Identifier: MIT
#include <sched.h>
#include "pace.h"
#include "scan.h"
#include "switches.h"

#define LONG_NS		(50 * 1000LL)
#define SHORT_NS	(20 * 1000LL)
#define LARGEST		(4UL << 20)	/* what is not there takes no time, and all may be there in the next step */
#define MOST_PERIODS	2		/* that a step waits for a sleep */
#define WAITING_SHARE	2		/* so many times as long as all else may take, all steps may wait */
#define LONGEST_NAP_NS	(1000 * 1000LL)	/* threads of other targets may have to be seen to */

void ps_pace_begin(struct pace *pace)
{
	struct sched_param param = { 0 };

	*pace = (struct pace){ .step_bytes = PAGE, .first_ns = ps_now_ns() };
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

/* Until all threads that sleep in a rhythm do so for @length_ns more, or nothing is to be gained by it. */
static void await_sleep(struct pace *pace, int64_t length_ns)
{
	int64_t begun_ns = ps_now_ns(), now_ns = begun_ns, wait_ns, patience_ns, others_ns;

	for (;;) {
		ps_note_switches();
		wait_ns = ps_switches_wait_ns(now_ns, length_ns);
		if (!wait_ns)
			break;
		patience_ns = MOST_PERIODS * ps_longest_period_ns(now_ns);
		others_ns = begun_ns - pace->first_ns - pace->steps.waited_ns;
		if (now_ns - begun_ns + wait_ns > patience_ns ||
		    pace->steps.waited_ns + now_ns - begun_ns + wait_ns > patience_ns + WAITING_SHARE * others_ns)
			break;
		ps_sleep(wait_ns < LONGEST_NAP_NS ? wait_ns : LONGEST_NAP_NS);
		now_ns = ps_now_ns();
	}
	pace->steps.waited_ns += now_ns - begun_ns;
	pace->steps.waits += now_ns > begun_ns;
}

void ps_begin_look(struct pace *pace)
{
	ps_hurry(pace);
	ps_note_switches();	/* there may be no step for long, and not much room for them */
	pace->begun_ns = ps_now_ns();
}

void ps_begin_step(struct pace *pace, unsigned int times)
{
	int64_t took_ns = pace->ended_ns - pace->begun_ns, free_ns = ps_now_ns() - pace->ended_ns;

	ps_hurry(pace);		/* before the nap, or its end would wait for others on a busy CPU */
	if (free_ns < took_ns)
		ps_sleep(took_ns - free_ns);
	/* Steps are sized to take that at most; what the last one took may be due to whoever kept us from the CPU. */
	await_sleep(pace, times * LONG_NS);
	pace->begun_ns = ps_now_ns();
}

void ps_end_look(struct pace *pace, uint64_t bytes)
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

void ps_end_step(struct pace *pace, uint64_t bytes)
{
	ps_end_look(pace, bytes);
	ps_note_switches();
	pace->steps.made++;
	pace->steps.in_rhythm += ps_longest_period_ns(pace->ended_ns) > 0;
	pace->steps.awake += ps_any_was_awake(pace->begun_ns, pace->ended_ns);
}
