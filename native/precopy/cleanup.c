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

/*
 * The kernel walks over what is unregistered though nothing is protected in it
 * any more, and page faults in that region wait. In parts the region is two for a
 * moment, over which mremap(2) fails: so what takes no more steps than this is
 * unregistered in one.
 */
#define WHOLE_STEPS	4

static bool unregistering;

int ps_begin_cleanup(void)
{
	unregistering = false;
	/* What the target has mapped by now. If that cannot be known, closing the userfaultfd does all of it at once. */
	if (precopy.uffd < 0 || ps_read_spans())
		precopy.spans.count = 0;
	ps_begin_at_first_span();
	return 0;
}

/* What fails on a region that was unmapped meanwhile is left for the end of the descriptor. */
static int unregister(uint64_t start, uint64_t end)
{
	struct uffdio_range range = { .start = start, .len = end - start };
	uint64_t times = (range.len - 1) / precopy.pace.step_bytes + 1;
	int err;

	ps_begin_step(&precopy.pace, times < WHOLE_STEPS ? times : WHOLE_STEPS);
	err = ioctl(precopy.uffd, UFFDIO_UNREGISTER, &range) ? -errno : 0;
	ps_end_step(&precopy.pace, end - start);
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
		ps_begin_at_first_span();
		return 0;
	}
	ps_at(unregistering ? PS_STEP_UNREGISTERING : PS_STEP_UNPROTECTING);
	/*
	 * Linux 6.12 stops with a BUG, the lock of the target's mappings held, where the last part of a file's mapping is
	 * unregistered and so merged with the part before it: userfaultfd_unregister() meets that once more, and does not
	 * expect it without a registration. The end of the descriptor (userfaultfd_release()) has no such check.
	 */
	if (unregistering && span->of_file) {
		ps_next_span();
		return 0;
	}
	end = ps_part_end(precopy.at, span->end);
	if (unregistering && span->end - precopy.at <= WHOLE_STEPS * precopy.pace.step_bytes)
		end = span->end;
	if (!unregistering && precopy.at == span->start)
		see_to_stale(span);
	if (!unregistering)
		ps_unprotect(precopy.at, end);
	else if (unregister(precopy.at, end))
		unregister(precopy.at, span->end);
	precopy.at = end;
	if (precopy.at >= span->end)
		ps_next_span();
	return 0;
}

bool ps_is_unregistering(void)
{
	return unregistering;
}
