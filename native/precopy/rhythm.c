// SPDX-License-Identifier: MIT
#include <string.h>
#include "rhythm.h"

#define SHORTEST_NS	(100 * 1000LL)	/* a period; in a shorter one there is no room for a step */
#define LONGEST_NS	(100 * 1000 * 1000LL)
#define SHORTEST_SLEEP_NS (50 * 1000LL)	/* what is shorter is a wait for a lock, such as one that a step holds */
#define FEWEST		4		/* intervals */
#define LATE_WAKES	4		/* one of so many in a row is in time */
#define LOOK_NS		(50 * 1000LL)	/* between two looks at a thread that works longer than usual */

static int64_t median(const int64_t *numbers, int count)
{
	int64_t sorted[RHYTHM_WAKES];

	for (int i = 0, at; i < count; i++) {
		for (at = i; at > 0 && sorted[at - 1] > numbers[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = numbers[i];
	}
	return sorted[count / 2];
}

/* Most of the intervals are much the same. */
static int64_t period_of(const struct rhythm *rhythm)
{
	int64_t interval_ns[RHYTHM_WAKES], usual_ns;
	int count = rhythm->wakes - 1, alike = 0;

	if (count < FEWEST)
		return 0;
	for (int i = 0; i < count; i++)
		interval_ns[i] = rhythm->woke_ns[i] - rhythm->woke_ns[i + 1];
	usual_ns = median(interval_ns, count);
	if (usual_ns < SHORTEST_NS || usual_ns > LONGEST_NS)
		return 0;
	for (int i = 0; i < count; i++)
		alike += interval_ns[i] >= usual_ns - usual_ns / 4 && interval_ns[i] <= usual_ns + usual_ns / 4;
	return alike * 3 >= count * 2 ? usual_ns : 0;
}

void ps_rhythm_woke(struct rhythm *rhythm, int64_t at_ns)
{
	rhythm->asleep = false;
	if (rhythm->wakes && at_ns - rhythm->slept_ns < SHORTEST_SLEEP_NS)
		return;
	if (rhythm->wakes < RHYTHM_WAKES)
		rhythm->wakes++;
	memmove(rhythm->woke_ns + 1, rhythm->woke_ns, (RHYTHM_WAKES - 1) * sizeof(*rhythm->woke_ns));
	memmove(rhythm->busy_ns + 1, rhythm->busy_ns, (RHYTHM_WAKES - 1) * sizeof(*rhythm->busy_ns));
	rhythm->woke_ns[0] = at_ns;
	rhythm->period_ns = period_of(rhythm);
	if (rhythm->period_ns)
		rhythm->usual_busy_ns = median(rhythm->busy_ns + 1, rhythm->wakes - 1);
}

void ps_rhythm_slept(struct rhythm *rhythm, int64_t at_ns)
{
	rhythm->asleep = true;
	rhythm->slept_ns = at_ns;
	rhythm->busy_ns[0] = at_ns - rhythm->woke_ns[0];
}

bool ps_has_rhythm(const struct rhythm *rhythm, int64_t now_ns)
{
	/* Silent for so long, it has lost it: it sleeps for something else, works on, or has ended. */
	return rhythm->period_ns && now_ns - rhythm->woke_ns[0] < 2 * rhythm->period_ns;
}

/* A busy machine lets it wake too late now and then, but not too early: the earliest that its last wake-ups tell. */
static int64_t next_wake_ns(const struct rhythm *rhythm)
{
	int64_t next_ns = rhythm->woke_ns[0] + rhythm->period_ns;

	for (int i = 1; i < LATE_WAKES; i++) {
		int64_t told_ns = rhythm->woke_ns[i] + (i + 1) * rhythm->period_ns;

		/* What lies too far from it is of another rhythm, or a period was missed. */
		if (told_ns < next_ns && told_ns > rhythm->woke_ns[0] + rhythm->period_ns * 3 / 4)
			next_ns = told_ns;
	}
	return next_ns - rhythm->period_ns / 16;
}

int64_t ps_rhythm_wait_ns(const struct rhythm *rhythm, int64_t now_ns, int64_t length_ns)
{
	int64_t next_ns, sleeps_ns;

	if (!ps_has_rhythm(rhythm, now_ns))
		return 0;
	if (rhythm->period_ns - rhythm->period_ns / 16 - rhythm->usual_busy_ns < length_ns)
		return 0;
	next_ns = next_wake_ns(rhythm);
	if (rhythm->asleep && now_ns + length_ns <= next_ns)
		return 0;
	sleeps_ns = (rhythm->asleep ? next_ns : rhythm->woke_ns[0]) + rhythm->usual_busy_ns;
	if (sleeps_ns - now_ns > LOOK_NS)
		return sleeps_ns - now_ns;
	return rhythm->period_ns / 16 > LOOK_NS ? rhythm->period_ns / 16 : LOOK_NS;
}
