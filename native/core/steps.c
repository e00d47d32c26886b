// SPDX-License-Identifier: MIT
#include "procsnap.h"

const char *const ps_step_names[PS_STEPS] = {
	"none", "checked", "stopped", "registers", "masked", "injected", "entered", "cloned",
	"restored", "unmasked", "released", "held", "killed", "buried",
	"protecting", "moment", "checking", "unprotecting", "unregistering",
};

const char *const ps_part_names[PS_PARTS] = {
	"first stop", "first pass", "further passes", "second stop", "check", "unprotecting", "unregistering",
};

void (*ps_step_hook)(enum ps_step step);

void ps_at(enum ps_step step)
{
	if (ps_step_hook)
		ps_step_hook(step);
}
