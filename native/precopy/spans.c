// SPDX-License-Identifier: MIT
/* Which of the target's memory is copied, and that changes of it are seen: userfaultfd(2). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include "core/living.h"
#include "precopy.h"

#define RUNS	256

static int gone(void)
{
	return ps_fail(-ESRCH, "process %d ended, or called exec(), while it was being copied", precopy.target);
}

static int unreadable(void)
{
	return ps_fail(-errno, "/proc/%d/maps cannot be read: %s", precopy.target, strerror(errno));
}

/* In small pieces: the kernel fills one page at a time anyhow. */
static int read_all(void)
{
	ssize_t got;
	char *text;

	if (lseek(precopy.maps, 0, SEEK_SET) < 0)
		return unreadable();
	precopy.maps_bytes = 0;
	do {
		if (precopy.maps_room - precopy.maps_bytes < 8192) {
			text = realloc(precopy.maps_text, 2 * precopy.maps_room + 65536);
			if (!text)
				return ps_fail(-ENOMEM, "there is no memory for the list of regions");
			precopy.maps_text = text;
			precopy.maps_room = 2 * precopy.maps_room + 65536;
		}
		got = read(precopy.maps, precopy.maps_text + precopy.maps_bytes, precopy.maps_room - precopy.maps_bytes - 1);
		if (got < 0 && errno == ESRCH)
			return gone();
		if (got < 0)
			return unreadable();
		precopy.maps_bytes += got;
	} while (got > 0);
	precopy.maps_text[precopy.maps_bytes] = 0;
	return precopy.maps_bytes ? 0 : gone();
}

/*
 * A thread that has ended shows no regions, though its process may go on: another one shows the same, if the memory is
 * still there. No address below the lowest is ever mapped: 0 bytes say that it is gone.
 */
static bool reopen_maps(void)
{
	pid_t living = ps_living_thread(precopy.target);
	char path[32], byte;
	int maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", living);
	maps = living > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (maps < 0)
		return false;
	close(precopy.maps);
	precopy.maps = maps;
	return pread(precopy.mem, &byte, 1, 0) < 0 && errno == EIO;
}

static int read_maps(void)
{
	int err = read_all();

	return err == -ESRCH && reopen_maps() ? read_all() : err;
}

/*
 * Private memory, whatever file it is of: only pages of the target's own are read, which no device has any part in. The
 * kernel's own mappings are not looked at.
 */
static bool is_copied(const char *mode, const char *name)
{
	return mode[3] == 'p' && strncmp(name, "[vvar", 5) && strcmp(name, "[vsyscall]");
}

static int add_span(struct span span)
{
	struct spans *spans = &precopy.spans;
	int room = spans->room ? 2 * spans->room : 256;
	struct span *more;

	if (spans->count == spans->room) {
		more = realloc(spans->span, room * sizeof(*more));
		if (!more)
			return ps_fail(-ENOMEM, "there is no memory for the list of regions");
		spans->span = more;
		spans->room = room;
	}
	spans->span[spans->count++] = span;
	return 0;
}

int ps_read_spans(void)
{
	int err = read_maps();
	char *line, *next;
	uint64_t shown = 0;		/* up to there */
	bool joined = false;

	precopy.spans.count = 0;
	for (line = precopy.maps_text; !err && *line; line = next) {
		char mode[5] = "", *newline = strchrnul(line, '\n'), was = *newline;
		uint64_t start, end, inode = 0;
		int name = 0;

		*newline = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64 " %n", &start, &end, mode,
			   &inode, &name) >= 4) {
			bool copied = is_copied(mode, name ? line + name : "");

			/* A region that grew over its neighbour between two parts of the list is in it twice. */
			if (start < shown)
				start = shown;
			shown = end > shown ? end : shown;
			copied = copied && start < end;
			if (copied)
				err = add_span((struct span){ start, end, joined, inode != 0 });
			joined = copied;
		}
		*newline = was;
		next = was ? newline + 1 : newline;
	}
	return err;
}

uint64_t ps_part_end(uint64_t at, uint64_t end)
{
	uint64_t to = ps_step_end(&precopy.pace, at, end), whole = at - at % CHUNK + CHUNK;

	return to < whole && whole <= end && at % CHUNK == 0 && ps_is_huge(precopy.pagemap, at) ? whole : to;
}

int ps_first_span_behind(uint64_t address)
{
	int low = 0, high = precopy.spans.count;

	while (low < high) {
		int middle = (low + high) / 2;

		if (precopy.spans.span[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void go_to_span(int number)
{
	precopy.at_span = number;
	precopy.at = number < precopy.spans.count ? precopy.spans.span[number].start : 0;
}

void ps_begin_at_first_span(void)
{
	go_to_span(0);
}

void ps_next_span(void)
{
	go_to_span(precopy.at_span + 1);
}

uint64_t ps_end_of_look(uint64_t end)
{
	uint64_t last = precopy.spans.count ? precopy.spans.span[precopy.spans.count - 1].end : 0;

	return end < last ? end : last;
}

int ps_scan_failed(int err)
{
	if (err == -ESRCH)	/* its memory is gone */
		return ps_fail(err, "process %d ended, or called exec(), while it was being copied", precopy.target);
	return ps_fail(err, "the page table of process %d cannot be looked at: %s", precopy.target, strerror(-err));
}

int ps_unprotect(uint64_t start, uint64_t end)
{
	struct uffdio_writeprotect ask = { .range = { .start = start, .len = end - start } };
	int err;

	ps_begin_step(&precopy.pace, 1);
	err = ioctl(precopy.uffd, UFFDIO_WRITEPROTECT, &ask) ? -errno : 0;
	ps_end_step(&precopy.pace, end - start);
	return err;
}

/* In steps. */
static void unprotect_run(const struct scan_run *run)
{
	for (uint64_t at = run->start, end; at < run->end; at = end) {
		end = ps_part_end(at, run->end);
		ps_unprotect(at, end);
	}
}

/*
 * mremap(2) takes the registration from the region that comes to be, with all
 * that is merged into it, and leaves the marks of its pages: written to, such a
 * page has its mark still, and would look as if it was not, once its region is
 * registered again. So all marks go.
 */
static void forget_marks(const struct span *span)
{
	struct scan_run runs[RUNS];

	for (uint64_t at = span->start; at < span->end;) {
		uint64_t from = at, end = ps_step_end(&precopy.pace, at, span->end);
		int got;

		ps_begin_look(&precopy.pace);
		got = ps_scan(precopy.pagemap, SCAN_LOOK, from, end, runs, RUNS, &at);
		ps_end_look(&precopy.pace, end - from);
		if (got < 0)
			return;
		for (int i = 0; i < got; i++)
			if (is_protected(&runs[i]))
				unprotect_run(&runs[i]);
	}
}

/* What the image has of it may be of an earlier region with these addresses. */
static void forget_pages(const struct span *span)
{
	for (int i = 0; i < precopy.image.chunks; i++) {
		struct chunk *chunk = &precopy.image.chunk[i];

		if (chunk->address + CHUNK <= span->start || chunk->address >= span->end)
			continue;
		for (uint64_t at = chunk->address; at < chunk->address + CHUNK; at += PAGE)
			if (at >= span->start && at < span->end)
				remove_page(chunk->have, page_of(at));
	}
}

int ps_register_span(const struct span *span)
{
	struct uffdio_register ask = {
		.range = { .start = span->start, .len = span->end - span->start }, .mode = UFFDIO_REGISTER_MODE_WP,
	};
	int err;

	ps_begin_step(&precopy.pace, 1);
	err = ioctl(precopy.uffd, UFFDIO_REGISTER, &ask) ? -errno : 0;
	ps_end_step(&precopy.pace, 0);
	if (err == -EBUSY)
		return ps_fail(err,
			"memory of process %d at 0x%llx is registered with another userfaultfd, its own or another procsnap's: "
			"take a copy by inject, or later",
			precopy.target, (unsigned long long)span->start);
	if (err)
		return 0;
	/* Of hugetlbfs: what comes where a protected page was given up looks protected, and as if it had not changed. */
	if (!(ask.ioctls & 1ULL << _UFFDIO_ZEROPAGE)) {
		ioctl(precopy.uffd, UFFDIO_UNREGISTER, &ask.range);
		return 0;
	}
	if (precopy.told->passes > 1)
		forget_pages(span);
	forget_marks(span);
	return 0;
}
