// SPDX-License-Identifier: MIT
/* What stops did to blocked calls is counted: all in all, and by call. */
#include "counts.h"

static struct ps_call_count *counts_of(struct ps_calls *calls, int32_t number)
{
	static struct ps_call_count elsewhere;

	for (int i = 0; i < calls->kinds; i++)
		if (calls->by_call[i].number == number)
			return &calls->by_call[i];
	if (calls->kinds == PS_CALL_KINDS)
		return &elsewhere;
	calls->by_call[calls->kinds] = (struct ps_call_count){ .number = number };
	return &calls->by_call[calls->kinds++];
}

void count_restarted(struct ps_calls *calls, long number)
{
	calls->restarted++;
	counts_of(calls, number)->restarted++;
}

void count_lengthened(struct ps_calls *calls, long number)
{
	calls->lengthened++;
	counts_of(calls, number)->lengthened++;
}

void ps_count_cut(struct ps_calls *calls, long number)
{
	calls->cut++;
	counts_of(calls, number)->cut++;
}

void ps_add_calls(struct ps_calls *to, const struct ps_calls *from)
{
	to->restarted += from->restarted;
	to->lengthened += from->lengthened;
	to->cut += from->cut;
	for (int i = 0; i < from->kinds; i++) {
		const struct ps_call_count *more = &from->by_call[i];
		struct ps_call_count *count = counts_of(to, more->number);

		count->restarted += more->restarted;
		count->lengthened += more->lengthened;
		count->cut += more->cut;
	}
}
