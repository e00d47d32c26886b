// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ring.h"

#define RECORD_BYTES	64		/* more than any record has */

int ps_map_ring(struct ring *ring, int fd, size_t bytes)
{
	void *head = mmap(NULL, sysconf(_SC_PAGESIZE) + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	*ring = (struct ring){ .head = head == MAP_FAILED ? NULL : head, .bytes = bytes };
	return ring->head ? 0 : -errno;
}

void ps_unmap_ring(struct ring *ring)
{
	if (ring->head)
		munmap(ring->head, sysconf(_SC_PAGESIZE) + ring->bytes);
	ring->head = NULL;
}

/* Records are of multiples of eight bytes, and may go on at the ring's beginning. */
static uint64_t number_at(const struct ring *ring, uint64_t at)
{
	uint64_t number;

	memcpy(&number, (const uint8_t *)ring->head + ring->head->data_offset + at % ring->bytes, sizeof(number));
	return number;
}

bool ps_drain_ring(const struct ring *ring, ring_visit *visit, void *arg)
{
	uint64_t at = ring->head->data_tail, end = __atomic_load_n(&ring->head->data_head, __ATOMIC_ACQUIRE);
	/* Only here is room made: where there was none for a record, there is none now. */
	bool full = end - at > ring->bytes - RECORD_BYTES;

	while (at < end) {
		struct perf_event_header header;
		uint64_t first = number_at(ring, at);

		memcpy(&header, &first, sizeof(header));
		visit(&header, number_at(ring, at + sizeof(header)), arg);
		at += header.size;
	}
	__atomic_store_n(&ring->head->data_tail, at, __ATOMIC_RELEASE);
	return !full;
}
