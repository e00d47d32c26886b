// SPDX-License-Identifier: MIT
/* The copy that is being made: one at a time. All files of precopy/ work on it. */
#include "precopy.h"

struct precopy precopy = {
	.pidfd = -1, .uffd = -1, .mem = -1, .pagemap = -1, .maps = -1, .index = -1, .image = { .file = -1 },
};
