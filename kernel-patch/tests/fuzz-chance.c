// SPDX-License-Identifier: GPL-2.0
/* The fuzzer's random numbers: what it does is told by its seed. */
#include "fuzz.h"

static __thread unsigned long state;

unsigned long chance(unsigned long below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? state % below : state;
}

void begin_chance(unsigned long seed)
{
	state = seed * 0x9e3779b97f4a7c15UL + 88172645463325252UL;
	chance(0);
}
