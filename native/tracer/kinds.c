// SPDX-License-Identifier: MIT
#include "kinds.h"

/* Of a duplicate whose target is held, too, the target comes first: it has to run to end its duplicate. */
const struct kind *const kinds[] = { &processes, &duplicates, &snapshots, &copies, &precopies, NULL };
