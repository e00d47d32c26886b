// SPDX-License-Identifier: MIT
/* What was done to the target when, and for how long at most its locks were held meanwhile. */
#include "precopy.h"

void ps_end_part(int64_t at_ns)
{
	struct ps_precopy *told = precopy.told;
	struct ps_spell *spell;

	if (!told->spells.count)
		return;
	spell = &told->spells.spell[told->spells.count - 1];
	spell->end_ns = at_ns;
	spell->longest_step_ns = precopy.pace.longest_ns;
	if (spell->longest_step_ns > told->longest_step_ns)
		told->longest_step_ns = spell->longest_step_ns;
	precopy.pace.longest_ns = 0;
}

void ps_begin_part(enum ps_precopy_part part, int64_t at_ns)
{
	struct ps_spells *spells = &precopy.told->spells;

	if (spells->count == PS_PRECOPY_SPELLS)
		return;
	ps_end_part(at_ns);
	spells->spell[spells->count++] = (struct ps_spell){
		.part = part, .stopped = part == PS_PART_FIRST_STOP || part == PS_PART_SECOND_STOP, .start_ns = at_ns,
	};
}

enum ps_precopy_part ps_part_under_way(void)
{
	const struct ps_spells *spells = &precopy.told->spells;

	return spells->count ? spells->spell[spells->count - 1].part : PS_PART_FIRST_STOP;
}
