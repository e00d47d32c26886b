// SPDX-License-Identifier: MIT
/* rings: is a kernel's log read as it was written, past the ring's end too? Says "ok", or what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "precopy/ring.h"

#define OFFSET	4096
#define BYTES	4096UL

static struct ring ring = { .bytes = BYTES };
static uint64_t next, last;
static int visited, wrong;

static void must(bool holds, const char *what)
{
	if (!holds && !wrong++)
		printf("%s\n", what);
}

static void put(uint64_t number)
{
	memcpy((uint8_t *)ring.head + OFFSET + ring.head->data_head % BYTES, &number, sizeof(number));
	ring.head->data_head += sizeof(number);
}

/* As the kernel writes it: in parts of eight bytes, each of which may be the first in the ring again. */
static void write_record(uint16_t size)
{
	struct perf_event_header header = { .type = PERF_RECORD_SAMPLE, .size = size };
	uint64_t first;

	memcpy(&first, &header, sizeof(first));
	put(first);
	put(++last);
	for (int i = 2 * sizeof(uint64_t); i < size; i += sizeof(uint64_t))
		put(0);
}

static void visit(const struct perf_event_header *header, uint64_t number, void *arg)
{
	must(header->type == PERF_RECORD_SAMPLE && number == ++next, "a record is read wrongly, twice or not at all");
	must(arg == &next, "the visitor is not told for whom");
	visited++;
}

int main(void)
{
	ring.head = calloc(1, OFFSET + BYTES);
	ring.head->data_offset = OFFSET;
	for (int i = 0; i < 1000; i++) {
		int count = i % 50;

		visited = 0;
		for (int k = 0; k < count; k++)
			write_record(24);
		must(ps_drain_ring(&ring, visit, &next), "records are missed for which there was room");
		must(visited == count, "not all records were visited");
		must(ring.head->data_tail == ring.head->data_head, "no room is made");
	}
	while (ring.head->data_head - ring.head->data_tail <= BYTES - 24)
		write_record(24);
	must(!ps_drain_ring(&ring, visit, &next), "it is not seen that there was no more room");
	must(ps_drain_ring(&ring, visit, &next), "nor that there is again");
	if (!wrong)
		puts("ok");
}
