/* SPDX-License-Identifier: MIT */
/*
 * How much of the target's page tables is held at once. Whoever changes page
 * protections holds a lock that the target's own mmap() and page faults wait
 * for, and on a machine whose hypervisor shadows page tables that costs 20 us a
 * page instead of 0.1: so a step is sized by what the last one took, not by bytes.
 */
#ifndef PROCSNAP_PACE_H
#define PROCSNAP_PACE_H
#include <stdint.h>

struct pace { uint64_t step_bytes; int64_t owed_ns; int64_t longest_ns; };

#define PACE_START	{ .step_bytes = 4096 }

/* The end of a step from @at: on a chunk's border where steps are of whole chunks. */
uint64_t ps_step_end(const struct pace *pace, uint64_t at, uint64_t end);
/* A step over @bytes took so long: the next one is larger or smaller, and the target gets time of its own. */
void ps_step_took(struct pace *pace, uint64_t bytes, int64_t took_ns);
/* The same of a mere look, which only mmap() and the like wait for: no nap, since time counts then. */
void ps_look_took(struct pace *pace, uint64_t bytes, int64_t took_ns);

#endif
