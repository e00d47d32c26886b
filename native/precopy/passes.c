// SPDX-License-Identifier: MIT
/*
 * A pass: all pages that were written to since the last one are protected, then
 * read, so that a later write is seen. The first pass finds every page.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "precopy.h"

#define RUNS	256

static void list(struct chunk *chunk)
{
	int room = precopy.touched_room ? 2 * precopy.touched_room : 1024;
	int32_t *more;

	if (precopy.touched_count == precopy.touched_room) {
		more = realloc(precopy.touched, room * sizeof(*more));
		if (!more)
			return;		/* its pages are found written to and not logged, by the check */
		precopy.touched = more;
		precopy.touched_room = room;
	}
	chunk->listed = true;
	precopy.touched[precopy.touched_count++] = chunk - precopy.image.chunk;
}

static void note_fault(uint64_t address, bool present, void *arg)
{
	struct chunk *chunk = ps_chunk_at(&precopy.image, address, true);

	(void)present;
	(void)arg;
	if (!chunk)
		return;
	if (!chunk->listed)
		list(chunk);
	add_page(chunk->faulted, page_of(address));
}

int64_t ps_faulted_pages(void)
{
	int64_t pages = 0;

	for (int i = 0; i < precopy.touched_count; i++)
		for (unsigned int word = 0; word < WORDS; word++)
			pages += __builtin_popcountll(precopy.image.chunk[precopy.touched[i]].faulted[word]);
	return pages;
}

void ps_note_faults(void)
{
	ps_drain_faults(note_fault, NULL);
}

int ps_keep_pages(uint64_t start, uint64_t end)
{
	static uint8_t buffer[256 << 10];

	for (uint64_t at = start; at < end;) {
		uint64_t border = at - at % CHUNK + CHUNK, to = end < border ? end : border;
		size_t want = to - at < sizeof(buffer) ? to - at : sizeof(buffer);
		ssize_t got = pread(precopy.mem, buffer, want, at);
		int err;

		if (!got)
			return ps_fail(-ESRCH, "process %d ended, or called exec(), while it was being copied", precopy.target);
		got -= got > 0 ? got % (ssize_t)PAGE : 0;
		if (got <= 0) {		/* the target has given it up since */
			struct chunk *chunk = ps_chunk_at(&precopy.image, at, false);

			if (chunk)
				remove_page(chunk->have, page_of(at));
			at += PAGE;
			continue;
		}
		err = ps_image_keep(&precopy.image, at, buffer, got);
		if (err)
			return err;
		precopy.told->bytes_read += got;
		at += got;
	}
	return 0;
}

int ps_begin_pass(void)
{
	int err = ps_read_spans();

	/* What was touched until now is found written to. */
	ps_note_faults();
	precopy.forks = ps_logged_forks();
	for (int i = 0; i < precopy.touched_count; i++) {
		struct chunk *chunk = &precopy.image.chunk[precopy.touched[i]];

		memset(chunk->faulted, 0, sizeof(chunk->faulted));
		chunk->listed = false;
	}
	precopy.touched_count = 0;
	precopy.at_span = 0;
	precopy.at = precopy.spans.count ? precopy.spans.span[0].start : 0;
	precopy.found_before = precopy.found;
	precopy.found = 0;
	precopy.told->passes++;
	return err;
}

/*
 * A huge page is protected as one, at the price of one page: in parts it would
 * have to be split.
 */
static uint64_t arm_end(uint64_t at, uint64_t end)
{
	uint64_t to = ps_step_end(&precopy.pace, at, end), whole = at - at % CHUNK + CHUNK;

	return to < whole && whole <= end && at % CHUNK == 0 && ps_is_huge(precopy.pagemap, at) ? whole : to;
}

/* Some pages of a region: protect and read those that were written to. */
static int arm(const struct span *span)
{
	struct scan_run runs[RUNS];
	uint64_t walked;
	int64_t start = ps_now_ns();
	int err = 0, got = ps_scan(precopy.pagemap, SCAN_ARM, precopy.at, arm_end(precopy.at, span->end), runs, RUNS,
				   &walked);

	ps_step_took(&precopy.pace, ps_now_ns() - start);
	if (got < 0)
		return ps_fail(got, "the page table of process %d cannot be looked at: %s", precopy.target, strerror(-got));
	if (got)
		ps_at(PS_STEP_PROTECTING);
	for (int i = 0; i < got && !err; i++) {
		precopy.found += (runs[i].end - runs[i].start) / PAGE;
		err = ps_keep_pages(runs[i].start, runs[i].end);
	}
	precopy.at = walked;
	return err;
}

/* New, or moved: its protection begins now. Where it cannot, all of it is read in the stop. */
static void see_to_registration(const struct span *span)
{
	struct scan_run run;
	uint64_t walked;

	if (ps_scan(precopy.pagemap, SCAN_UNREGISTERED, span->start, span->end, &run, 1, &walked) > 0)
		ps_register_span(span);
}

int ps_go_on_with_pass(void)
{
	const struct span *span = &precopy.spans.span[precopy.at_span];
	int err = 0;

	ps_note_faults();
	if (precopy.at_span >= precopy.spans.count)
		return 1;
	if (precopy.at == span->start)
		see_to_registration(span);
	if (precopy.at < span->end)
		err = arm(span);
	if (!err && precopy.at >= span->end) {
		precopy.at_span++;
		precopy.at = precopy.at_span < precopy.spans.count ? span[1].start : 0;
	}
	return err;
}
