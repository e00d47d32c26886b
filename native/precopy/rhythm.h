/* SPDX-License-Identifier: MIT */
/*
 * When does a thread that wakes at regular times wake next? Told when it has
 * woken and gone to sleep, this knows whether it has a rhythm, and so whether
 * something that takes a while would end before it wakes. Pure. All times are
 * nanoseconds of one clock.
 */
#ifndef PROCSNAP_RHYTHM_H
#define PROCSNAP_RHYTHM_H
#include <stdbool.h>
#include <stdint.h>

#define RHYTHM_WAKES	17		/* sixteen intervals */

struct rhythm {				/* of one thread; all zero: nothing is known of it */
	int	wakes;			/* how many are known, at most RHYTHM_WAKES */
	int64_t	woke_ns[RHYTHM_WAKES];	/* the latest first */
	int64_t	busy_ns[RHYTHM_WAKES];	/* after each, until it slept again; of the latest only while it sleeps */
	int64_t	slept_ns;		/* when it last went to sleep */
	bool	asleep;
	int64_t	period_ns;		/* between two wake-ups; 0: it has no rhythm */
	int64_t	usual_busy_ns;
};

/* After less than 50 us it has not slept. */
void ps_rhythm_woke(struct rhythm *rhythm, int64_t at_ns);
/* By itself: a thread that others keep from its CPU is awake. */
void ps_rhythm_slept(struct rhythm *rhythm, int64_t at_ns);
/* It has one, and has kept to it until now. */
bool ps_has_rhythm(const struct rhythm *rhythm, int64_t now_ns);
/*
 * For how long to wait, and then look again, until something of @length_ns ends while it sleeps. 0: now is the time; or
 * it has no rhythm, or never sleeps for so long, so that waiting is of no use.
 */
int64_t ps_rhythm_wait_ns(const struct rhythm *rhythm, int64_t now_ns, int64_t length_ns);

#endif
