// SPDX-License-Identifier: MIT
/* Facts, judged: before a duplicate is made, and for who only wants to know. */
#include <errno.h>
#include <string.h>
#include "facts.h"
#include "preflight.h"

/* Of the last target; its limits are open for the watch. */
static struct ps_facts facts;

int ps_check_target(pid_t pid)
{
	struct ps_facts identity;
	struct ps_reason reason;

	ps_gather_identity(pid, &identity);
	/* Whether it may be traced, the attempt tells; a zombie's memory is looked for by who needs it. */
	identity.denied = identity.zombie = false;
	if (!ps_judge(&identity, PS_FOR_INJECT, &reason, 1))
		return 0;
	return ps_fail(reason.code, "%s", reason.text);
}

int ps_preflight(pid_t target, enum ps_purpose purpose, struct ps_preflight *preflight)
{
	const struct ps_limit *group, *machine;
	struct ps_cost cost;

	ps_limits_close(&facts.limits);
	ps_gather(target, &facts);
	/* One that waits for the child of its vfork(2) shares its memory until then, and is refused for that. */
	if (facts.complete && !facts.stuck)
		ps_gather_sharing(&facts);
	memset(preflight, 0, sizeof(*preflight));
	preflight->reasons = ps_judge(&facts, purpose, preflight->reason, PS_MAX_REASONS);
	preflight->headroom_kib = -1;
	preflight->pause_ns = -1;
	if (facts.complete) {
		ps_cost_of(&facts, &cost);
		group = ps_tightest(&facts.limits, PS_CGROUP_MEMORY, 0);
		machine = ps_tightest(&facts.limits, PS_MACHINE_MEMORY, 0);
		preflight->threads = facts.threads;
		preflight->resident_kib = facts.resident;
		preflight->tables_kib = facts.tables;
		preflight->growth_kib = purpose == PS_FOR_INJECT ? cost.growth : 0;
		if (group || machine)
			preflight->headroom_kib = group && (!machine || group->room < machine->room) ? group->room : machine->room;
	}
	for (int i = 0; i < preflight->reasons; i++)
		if (preflight->reason[i].code)
			return ps_fail(preflight->reason[i].code, "%s", preflight->reason[i].text);
	return 0;
}

const struct ps_facts *ps_facts_of(pid_t target)
{
	struct ps_preflight preflight;

	if (facts.pid != target || !facts.complete)
		ps_preflight(target, PS_FOR_INJECT, &preflight);
	return &facts;
}

struct ps_limits *ps_limits_for_watch(void)
{
	return &facts.limits;
}

int64_t ps_anonymous_kib(void)
{
	return facts.complete ? facts.anonymous : 0;
}
