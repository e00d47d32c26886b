// SPDX-License-Identifier: MIT
/*
 * Nothing stays in the target: no page protected, no region registered. First
 * the pages, in steps, under the lock for reading; what is unregistered, under
 * the lock for writing, then has nothing left to do.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include "precopy.h"

/* With nothing left to unprotect in it, a walk over so much takes some 50 us. */
#define UNREGISTER_BYTES	(64UL << 20)

static bool unregistering;

static void begin_at_first(void)
{
	precopy.at_span = 0;
	precopy.at = precopy.spans.count ? precopy.spans.span[0].start : 0;
}

int ps_begin_cleanup(void)
{
	unregistering = false;
	/* What the target has mapped by now. If that cannot be known, closing the userfaultfd does all of it at once. */
	if (precopy.uffd < 0 || ps_read_spans())
		precopy.spans.count = 0;
	begin_at_first();
	return 0;
}

/* What fails on a region that was unmapped meanwhile is left for the end of the descriptor. */
static int unregister(uint64_t start, uint64_t end)
{
	struct uffdio_range range = { .start = start, .len = end - start };
	int64_t begun = ps_now_ns();
	int err = ioctl(precopy.uffd, UFFDIO_UNREGISTER, &range) ? -errno : 0;

	ps_step_took(&precopy.pace, end - start, ps_now_ns() - begun);
	return err;
}

/* Marks of pages in a region that has lost its registration: nobody but us would take them away. */
static void see_to_stale(const struct span *span)
{
	struct scan_run run;
	uint64_t walked;

	if (ps_scan(precopy.pagemap, SCAN_STALE, span->start, span->end, &run, 1, &walked) > 0)
		ps_register_span(span);
}

int ps_go_on_with_cleanup(void)
{
	const struct span *span = &precopy.spans.span[precopy.at_span];
	uint64_t end;

	if (precopy.at_span >= precopy.spans.count) {
		if (unregistering || !precopy.spans.count)
			return 1;
		unregistering = true;
		begin_at_first();
		return 0;
	}
	ps_at(unregistering ? PS_STEP_UNREGISTERING : PS_STEP_UNPROTECTING);
	end = ps_step_end(&precopy.pace, precopy.at, span->end);
	/* In parts the region is several for a moment, over which mremap(2) fails: only where it would take long in one. */
	if (unregistering && end < precopy.at + UNREGISTER_BYTES)
		end = precopy.at + UNREGISTER_BYTES < span->end ? precopy.at + UNREGISTER_BYTES : span->end;
	/* Not in the midst of a huge page, of either kind. */
	if (end < span->end && end % CHUNK && (end = precopy.at - precopy.at % CHUNK + CHUNK) > span->end)
		end = span->end;
	if (!unregistering && precopy.at == span->start)
		see_to_stale(span);
	if (!unregistering)
		ps_unprotect(precopy.at, end);
	else if (unregister(precopy.at, end))
		unregister(precopy.at, span->end);
	precopy.at = end;
	if (precopy.at >= span->end) {
		precopy.at_span++;
		precopy.at = precopy.at_span < precopy.spans.count ? span[1].start : 0;
	}
	return 0;
}
