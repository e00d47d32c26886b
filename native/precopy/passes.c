// SPDX-License-Identifier: MIT
/*
 * A pass: all pages that were written to since the last one are protected, then
 * read, so that a later write is seen. The first pass finds every page.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "precopy.h"

#define RUNS	256

void ps_list_chunk(struct chunk *chunk)
{
	if (chunk->listed)
		return;
	if (precopy.touched_count == MOST_TOUCHED) {
		precopy.too_many = true;
		return;
	}
	chunk->listed = true;
	precopy.touched[precopy.touched_count++] = chunk - precopy.image.chunk;
}

static void note_fault(uint64_t address)
{
	struct chunk *chunk = ps_chunk_at(&precopy.image, address, true);

	if (!chunk)	/* it is found written to, and not looked at, by the check */
		return;
	add_page(chunk->faulted, page_of(address));
	ps_list_chunk(chunk);
}

void ps_note_faults(void)
{
	if (ps_drain_faults(note_fault))
		return;
	precopy.too_many = true;
	for (int i = 0; i < precopy.image.chunks; i++)
		memset(precopy.image.chunk[i].faulted, 0xff, sizeof(page_set));
}

int ps_read_pages(uint64_t start, void *room, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t got = pread(precopy.mem, (char *)room + done, length - done, start + done);

		if (got <= 0)
			return -EIO;
		done += got;
	}
	return 0;
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

/*
 * Where a protected page of a private file mapping was given up, the page that
 * comes there next is protected from its beginning until it is written to, and
 * what the image has is of the one before. It has come by a fault, since what
 * faults without the log (get_user_pages) goes on until it is written to: so what
 * has faulted and is protected is read again. A fault is logged before it is seen
 * to: of a page that is not there yet, the next stop looks at all of its chunk.
 */
static int read_faulted(struct chunk *chunk)
{
	uint64_t at = chunk->address, end = ps_end_of_look(at + CHUNK), any = 0;
	struct scan_run runs[RUNS];
	int err = 0;

	for (unsigned int word = 0; word < WORDS; word++)
		any |= chunk->faulted[word] &= chunk->have[word];
	while (any && at < end && !err) {
		int got = ps_scan(precopy.pagemap, SCAN_LOOK, at, end, runs, RUNS, &at);

		if (got < 0)
			return ps_scan_failed(got);
		for (int i = 0; i < got; i++)
			for (uint64_t page = runs[i].start; page < runs[i].end && !err; page += PAGE) {
				if (is_protected(&runs[i]) && has_page(chunk->faulted, page_of(page)))
					err = ps_keep_pages(page, page + PAGE);
				remove_page(chunk->faulted, page_of(page));	/* read, or found written to by the pass */
			}
	}
	for (unsigned int word = 0; word < WORDS; word++)
		if (chunk->faulted[word])
			ps_list_chunk(chunk);
	return err;
}

int ps_begin_pass(void)
{
	int err = ps_read_spans();

	precopy.image.corrects = precopy.told->passes > 0;
	/* What was touched until now is found written to. */
	ps_note_faults();
	precopy.touched_count = 0;
	precopy.too_many = false;
	for (int i = 0; i < precopy.image.chunks; i++) {
		precopy.image.chunk[i].listed = false;
		if (precopy.image.chunk[i].doubtful)
			ps_list_chunk(&precopy.image.chunk[i]);
		err = err ? err : read_faulted(&precopy.image.chunk[i]);
	}
	ps_begin_at_first_span();
	precopy.found_before = precopy.found;
	precopy.found = 0;
	precopy.told->passes++;
	return err;
}

/* Some pages of a region: protect and read those that were written to. */
static int arm(const struct span *span)
{
	struct scan_run runs[RUNS];
	uint64_t end = ps_part_end(precopy.at, span->end), walked;
	int err = 0, got;

	ps_begin_step(&precopy.pace, 1);
	got = ps_scan(precopy.pagemap, SCAN_ARM, precopy.at, end, runs, RUNS, &walked);
	ps_end_step(&precopy.pace, end - precopy.at);
	if (got < 0)
		return ps_scan_failed(got);
	if (got)
		ps_at(PS_STEP_PROTECTING);
	for (int i = 0; i < got && !err; i++) {
		precopy.found += (runs[i].end - runs[i].start) / PAGE;
		err = ps_keep_pages(runs[i].start, runs[i].end);
	}
	/* A kernel that cannot protect a huge page of 1 GiB says neither that it did nor that it did not. */
	if (!got && walked <= precopy.at)
		return ps_fail(-ENOTSUP, "the huge page at 0x%llx of process %d cannot be protected by this kernel",
			       (unsigned long long)precopy.at, precopy.target);
	precopy.at = walked;
	return err;
}

/* New, or moved: its protection begins now. In the first pass all are asked for, lest another's be taken for ours. */
static int see_to_registration(const struct span *span)
{
	struct scan_run run;
	uint64_t walked;

	if (precopy.told->passes > 1 &&
	    ps_scan(precopy.pagemap, SCAN_OPEN, span->start, span->end, &run, 1, &walked) <= 0)
		return 0;
	return ps_register_span(span);
}

int ps_go_on_with_pass(void)
{
	const struct span *span = &precopy.spans.span[precopy.at_span];
	int err = 0;

	ps_note_faults();
	if (precopy.at_span >= precopy.spans.count)
		return 1;
	/* Regions are in order: what comes next is of the last place, or a new one; else its chunk is called corrected. */
	if (precopy.told->passes == 1)
		precopy.told->whole_bytes = precopy.image.places * CHUNK;
	if (precopy.at == span->start)
		err = see_to_registration(span);
	if (!err && precopy.at < span->end)
		err = arm(span);
	if (!err && precopy.at >= span->end)
		ps_next_span();
	return err;
}
