/* SPDX-License-Identifier: MIT */
/*
 * The log that the kernel writes of an event into memory that we share with it: perf_event_open(2), "MMAP layout". All
 * records here are a header and one number more, such as a time or an address.
 */
#ifndef PROCSNAP_RING_H
#define PROCSNAP_RING_H
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	struct perf_event_mmap_page *head;	/* NULL: there is none */
	size_t	bytes;				/* of records: a power of two, of whole pages */
};

typedef void ring_visit(const struct perf_event_header *header, uint64_t number, void *arg);

/* The log of the event @fd; or a negative errno. */
int ps_map_ring(struct ring *ring, int fd, size_t bytes);
/* Also where there is none. */
void ps_unmap_ring(struct ring *ring);
/* Visit what was written since the last time. False: there may have been more, for which there was no room. */
bool ps_drain_ring(const struct ring *ring, ring_visit *visit, void *arg);

#endif
