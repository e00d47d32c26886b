// SPDX-License-Identifier: MIT
/*
 * first-touch.c - what a minor fault costs: of fresh pages, and of used ones
 *
 * A region is touched page by page (4 KiB, never huge), given back, and as much is
 * touched again at once: the kernel then hands out the same pages. Where the first
 * time costs more, the hypervisor gives memory only when it is touched (or has
 * taken it back: free page reporting, a balloon). Where it does not, all of it was
 * there already. After --ms the first time ends, with what was touched by then.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"
#include "options.h"

#define AGAIN_MOST	(256LL << 20)	/* so much says what a page costs */

struct cost {
	int64_t	mean_ns;
	int64_t	median_ns;
};

static void *map(size_t bytes)
{
	void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		fail(EXIT_FAILURE, "no memory of %zu bytes: %s", bytes, strerror(errno));
	return start;
}

static int in_order(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

/* How many pages were touched until then; what each took is in `took_ns`. */
static size_t touch(size_t bytes, int64_t until_ns, int64_t *took_ns)
{
	volatile char *start = map(bytes);
	size_t pages = bytes / PAGE_BYTES, done = 0;
	int64_t last, now;

	madvise((void *)start, bytes, MADV_NOHUGEPAGE);
	last = now_ns();
	while (done < pages && last < until_ns) {
		start[done * PAGE_BYTES] = 1;
		now = now_ns();
		took_ns[done++] = now - last;
		last = now;
	}
	munmap((void *)start, bytes);
	return done;
}

static struct cost cost_of(int64_t *took_ns, size_t pages)
{
	int64_t sum = 0;

	qsort(took_ns, pages, sizeof(*took_ns), in_order);
	for (size_t i = 0; i < pages; i++)
		sum += took_ns[i];
	return (struct cost){ .mean_ns = sum / (int64_t)pages, .median_ns = took_ns[pages / 2] };
}

int main(int argc, char **argv)
{
	struct placement placement = PLACEMENT_INHERITED;
	int64_t bytes = 256 << 20, ms = 60 * 1000;
	const struct option_row rows[] = {
		{ "bytes", OPTION_SIZE, &bytes, PAGE_BYTES, 0, "so much memory is touched (256M)" },
		{ "ms", OPTION_NUMBER, &ms, 1, 3600 * 1000, "the first time takes so long at most (60000)" },
		PLACEMENT_OPTIONS(placement),
		OPTIONS_END,
	};
	struct cost fresh, again;
	int64_t *took_ns;
	size_t touched;

	die_with_parent(getppid());
	options_parse(argc, argv, rows, NULL);
	placement_apply(&placement);
	took_ns = map((size_t)bytes / PAGE_BYTES * sizeof(*took_ns));
	memset(took_ns, 1, (size_t)bytes / PAGE_BYTES * sizeof(*took_ns));

	touched = touch((size_t)bytes, now_ns() + ms * 1000 * 1000, took_ns);
	fresh = cost_of(took_ns, touched);
	again = cost_of(took_ns, touch(touched * PAGE_BYTES < AGAIN_MOST ? touched * PAGE_BYTES : AGAIN_MOST,
				       INT64_MAX, took_ns));
	printf("{\"bytes\":%zu,\"freshMeanNs\":%" PRId64 ",\"freshMedianNs\":%" PRId64 ",\"againMeanNs\":%" PRId64
	       ",\"againMedianNs\":%" PRId64 "}\n", touched * PAGE_BYTES, fresh.mean_ns, fresh.median_ns,
	       again.mean_ns, again.median_ns);
	return 0;
}
