// SPDX-License-Identifier: MIT
/* rhythms: is native/precopy/rhythm.c right about threads whose times it is told? Says "ok", or what is wrong. */
#include <stdio.h>
#include <string.h>
#include "precopy/rhythm.h"

#define US	1000LL
#define MS	(1000 * US)
#define STEP	(50 * US)

static struct rhythm rhythm;
static int64_t at_ns;
static int wrong;

static void must(bool holds, const char *what)
{
	if (!holds && !wrong++)
		printf("%s\n", what);
}

static void begin(void)
{
	memset(&rhythm, 0, sizeof(rhythm));
	at_ns = MS;
	ps_rhythm_slept(&rhythm, at_ns);
}

/* It works, then sleeps; @at_ns is when it is due again. */
static void turn(int64_t busy_ns, int64_t sleep_ns)
{
	ps_rhythm_woke(&rhythm, at_ns);
	ps_rhythm_slept(&rhythm, at_ns + busy_ns);
	at_ns += busy_ns + sleep_ns;
}

static void turns(int count, int64_t busy_ns, int64_t sleep_ns)
{
	begin();
	while (count--)
		turn(busy_ns, sleep_ns);
}

static bool has(void)
{
	return ps_has_rhythm(&rhythm, at_ns);
}

static int64_t wait_at(int64_t now_ns, int64_t length_ns)
{
	return ps_rhythm_wait_ns(&rhythm, now_ns, length_ns);
}

/* It is asleep, and due at @at_ns: works for half a millisecond, sleeps as long. */
static void try_half(void)
{
	int64_t slept_ns = at_ns - MS / 2, wait_ns;

	must(has(), "sixteen like intervals are no rhythm");
	must(!wait_at(slept_ns, STEP), "in its sleep it is waited for");
	must(wait_at(at_ns - STEP, STEP) > 0, "it is not waited for where it wakes as the step ends");
	wait_ns = wait_at(at_ns - STEP, STEP);
	must(at_ns - STEP + wait_ns >= at_ns + MS / 2 - MS / 8 && at_ns - STEP + wait_ns <= at_ns + MS / 2 + MS / 8,
	     "the end of its next work is not when it is looked at again");
	must(!wait_at(slept_ns, MS / 2), "what takes longer than it ever sleeps is waited with");
	must(!wait_at(at_ns + 2 * MS, STEP) && !ps_has_rhythm(&rhythm, at_ns + 2 * MS), "it is silent, and has a rhythm");
	ps_rhythm_woke(&rhythm, at_ns);
	wait_ns = wait_at(at_ns, STEP);
	must(wait_ns >= MS / 2 - MS / 8 && wait_ns <= MS / 2 + MS / 8, "while it works it is not waited for its end");
	must(wait_at(at_ns + MS / 2, STEP) > 0, "it works longer than usual, and is not waited for");
	must(!wait_at(at_ns + 2 * MS, STEP), "it works without end, and is waited for");
}

int main(void)
{
	begin();
	must(!has() && !wait_at(at_ns, STEP), "of a thread of which nothing is known, a rhythm is");
	turns(4, MS / 2, MS / 2);
	must(!has(), "three intervals are a rhythm");
	for (int count = 5; count <= 40; count += 7) {
		turns(count, MS / 2, MS / 2);
		try_half();
	}
	turns(40, 20 * US, 60 * US);
	must(!has(), "a period of 80 us is one");
	turns(40, MS, 200 * MS);
	must(!has(), "a period of 201 ms is one");
	turns(40, 20 * MS, 70 * MS);
	must(has(), "a period of 90 ms is none");
	begin();
	for (int i = 0; i < 40; i++)
		turn(MS / 10, MS << i % 4);
	must(!has(), "intervals of 1 to 8 ms are a rhythm");
	turns(10, MS / 2, MS / 2);
	turn(MS / 2, MS * 3 / 2);
	for (int i = 0; i < 3; i++)
		turn(MS / 2, MS / 2);
	must(has(), "a period was missed, and there is no rhythm any more");
	begin();
	for (int i = 0; i < 20; i++) {
		turn(MS / 10, 20 * US);
		turn(MS / 4, 10 * US);
		turn(MS / 10, MS - MS / 20 * 9 - 30 * US);
	}
	must(has(), "a thread that waits for locks has lost its rhythm");
	must(!wait_at(at_ns - MS / 4, STEP), "a thread that waits for locks is never asleep");
	/* Kept from its CPU until 0.2 ms later than it should have begun: it is due in time all the same. */
	turns(10, MS / 10, MS * 9 / 10);
	ps_rhythm_woke(&rhythm, at_ns + MS / 5);
	ps_rhythm_slept(&rhythm, at_ns + MS / 5 + MS / 10);
	must(wait_at(at_ns + MS, STEP) > 0, "who was late once is expected to be late again");
	must(!wait_at(at_ns + MS / 2, STEP), "who was late once is awake until it is due");
	if (!wrong)
		puts("ok");
	return wrong != 0;
}
