// SPDX-License-Identifier: MIT
/* What stops did that belong to no request, by target: the end of one target's duplicate is not to tell another's. */
#include "procsnap.h"

#define MAX_TARGETS	256

static struct {
	pid_t	target;			/* 0: of those for which there was no room */
	struct ps_untold untold;
} table[MAX_TARGETS + 1];
static int count;

struct ps_untold *ps_untold_of(pid_t target)
{
	for (int i = 0; i < count; i++)
		if (table[i].target == target)
			return &table[i].untold;
	if (count == MAX_TARGETS)
		return &table[MAX_TARGETS].untold;
	table[count].target = target;
	table[count].untold = (struct ps_untold){ 0 };
	return &table[count++].untold;
}

static void tell(struct ps_untold *from, struct ps_calls *calls, int64_t *pause_ns)
{
	ps_add_calls(calls, &from->calls);
	*pause_ns += from->pause_ns;
	*from = (struct ps_untold){ 0 };
}

void ps_tell_untold(pid_t target, struct ps_calls *calls, int64_t *pause_ns)
{
	for (int i = count - 1; i >= 0; i--) {
		if (target && table[i].target != target)
			continue;
		tell(&table[i].untold, calls, pause_ns);
		table[i] = table[--count];
	}
	if (!target)
		tell(&table[MAX_TARGETS].untold, calls, pause_ns);
}
