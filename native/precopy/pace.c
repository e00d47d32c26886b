// SPDX-License-Identifier: MIT
#include "pace.h"
#include "scan.h"

#define LONG_NS		(50 * 1000LL)
#define SHORT_NS	(20 * 1000LL)
#define LARGEST		(4UL << 20)	/* what is not there takes no time, and all may be there in the next step */
#define NAP_NS		(50 * 1000LL)

uint64_t ps_step_end(const struct pace *pace, uint64_t at, uint64_t end)
{
	uint64_t to = at + pace->step_bytes;

	if (pace->step_bytes >= CHUNK)
		to -= to % CHUNK;
	return to < end ? to : end;
}

void ps_look_took(struct pace *pace, uint64_t bytes, int64_t took_ns)
{
	if (took_ns > pace->longest_ns)
		pace->longest_ns = took_ns;
	if (took_ns > LONG_NS && pace->step_bytes > PAGE)
		pace->step_bytes /= took_ns > 4 * LONG_NS && pace->step_bytes > 4 * PAGE ? 4 : 2;
	else if (took_ns < SHORT_NS && bytes >= pace->step_bytes && pace->step_bytes < LARGEST)
		pace->step_bytes *= 2;
}

void ps_step_took(struct pace *pace, uint64_t bytes, int64_t took_ns)
{
	ps_look_took(pace, bytes, took_ns);
	pace->owed_ns += took_ns;
	if (pace->owed_ns < LONG_NS)
		return;
	/* A nap as long as what it is for: at most half of the time is ours. */
	ps_sleep(pace->owed_ns > NAP_NS ? pace->owed_ns : NAP_NS);
	pace->owed_ns = 0;
}
