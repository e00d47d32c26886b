// SPDX-License-Identifier: MIT
/*
 * Is the image the target as of the moment? Of each page, one of these must hold:
 *  - it was looked at in the stop;
 *  - it is in the image, and still protected as it was before it was read;
 *  - it is not there, and not in the image.
 * All else may have changed before the moment or after it, and nobody can tell:
 * the image is ambiguous. Another pass follows, and another stop, which looks at
 * the whole chunk of each such page.
 *
 * Not seen: who got hold of a page before it was protected, and writes to it
 * without the page table afterwards. Where that may take long (O_DIRECT, io_uring,
 * AIO) the preflight refuses; process_vm_writev(2) holds a page for microseconds.
 */
#include <errno.h>
#include <string.h>
#include "precopy.h"

#define RUNS	512

int ps_begin_check(void)
{
	for (int i = 0; i < precopy.image.chunks; i++) {
		memset(precopy.image.chunk[i].seen, 0, sizeof(page_set));
		memset(precopy.image.chunk[i].clean, 0, sizeof(page_set));
	}
	ps_begin_at_first_span();
	return 0;
}

static int see(const struct scan_run *run)
{
	bool clean = is_protected(run);

	for (uint64_t at = run->start; at < run->end; at += PAGE) {
		struct chunk *chunk = ps_chunk_at(&precopy.image, at, true);

		if (!chunk)
			return ps_fail(-ENOMEM, "there is no memory to note which pages the target has");
		add_page(chunk->seen, page_of(at));
		if (clean)
			add_page(chunk->clean, page_of(at));
	}
	return 0;
}

/* What lies in no region of the moment is not of the image. */
static void restrict_to_spans(struct chunk *chunk, page_set in_spans)
{
	struct span *spans = precopy.spans.span;
	uint64_t end = chunk->address + CHUNK;

	memset(in_spans, 0, sizeof(page_set));
	for (int i = ps_first_span_behind(chunk->address); i < precopy.spans.count && spans[i].start < end; i++)
		for (uint64_t at = spans[i].start > chunk->address ? spans[i].start : chunk->address;
		     at < spans[i].end && at < end; at += PAGE)
			add_page(in_spans, page_of(at));
	for (unsigned int word = 0; word < WORDS; word++)
		chunk->have[word] &= in_spans[word];
}

/* They are protected, so they can be read now; else no pass would find them. */
static int keep(struct chunk *chunk, unsigned int word, uint64_t pages)
{
	int err = 0;

	for (; pages && !err; pages &= pages - 1) {
		uint64_t at = chunk->address + (64 * word + __builtin_ctzll(pages)) * PAGE;

		err = ps_keep_pages(at, at + PAGE);
	}
	return err;
}

static int count_ambiguous(struct chunk *chunk)
{
	page_set in_spans;
	int err = 0;

	restrict_to_spans(chunk, in_spans);
	for (unsigned int word = 0; word < WORDS && !err; word++) {
		uint64_t have = chunk->have[word], seen = chunk->seen[word], clean = chunk->clean[word];
		uint64_t right = chunk->known[word] | (have & clean) | (~have & ~seen);

		if (~right & in_spans[word])
			chunk->doubtful = true;
		precopy.told->ambiguous_pages += __builtin_popcountll(~right & in_spans[word]);
		err = keep(chunk, word, ~have & clean & ~right & in_spans[word]);
	}
	return err;
}

static int judge(void)
{
	int err = 0;

	precopy.told->ambiguous_pages = 0;
	for (int i = 0; i < precopy.image.chunks && !err; i++)
		err = count_ambiguous(&precopy.image.chunk[i]);
	return err ? err : 1;
}

int ps_go_on_with_check(void)
{
	const struct span *span = &precopy.spans.span[precopy.at_span];
	struct scan_run runs[RUNS];
	uint64_t end, walked;
	int got, err = 0;

	if (precopy.at_span >= precopy.spans.count)
		return judge();
	ps_at(PS_STEP_CHECKING);
	end = ps_step_end(&precopy.pace, precopy.at, span->end);
	ps_begin_look(&precopy.pace);
	got = ps_scan(precopy.pagemap, SCAN_LOOK, precopy.at, end, runs, RUNS, &walked);
	ps_end_look(&precopy.pace, end - precopy.at);
	if (got < 0)
		return ps_scan_failed(got);
	for (int i = 0; i < got && !err; i++)
		err = see(&runs[i]);
	precopy.at = walked;
	if (!err && precopy.at >= span->end)
		ps_next_span();
	return err;
}
