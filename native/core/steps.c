// SPDX-License-Identifier: MIT
#include "procsnap.h"

const char *const ps_step_names[PS_STEPS] = {
	"none", "checked", "stopped", "registers", "masked", "injected", "entered", "cloned",
	"restored", "unmasked", "released", "held", "killed", "buried",
};
