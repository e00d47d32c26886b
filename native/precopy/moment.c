// SPDX-License-Identifier: MIT
/*
 * The moment: all threads stand still, and what has changed since the last pass
 * is read. Nothing here grows with the size of the target, only with what it has
 * written to since, with its threads and its regions.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "precopy.h"

#define LAST_BYTES	((size_t)PS_PRECOPY_LAST_PAGES * PAGE)
#define MOST_PIECES	PS_PRECOPY_LAST_PAGES
#define RUNS		512
#define MOST_THREADS	64		/* of whose pages two are looked at: 1 us each */

/* What is read in the stop goes into the image when the target runs again. */
static struct {
	uint8_t	*bytes;			/* in memory before the stop */
	size_t	 used;
	int	 pieces;
	struct iovec piece[MOST_PIECES], place[MOST_PIECES];	/* in the target, and here */
} last;

static int64_t until_ns;		/* so long the stop may last */

int ps_prepare_moment(void)
{
	if (!last.bytes) {
		last.bytes = mmap(NULL, LAST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (last.bytes == MAP_FAILED) {
			last.bytes = NULL;
			return ps_fail(-ENOMEM, "there is no memory for what is read in the stop: %zu MiB", LAST_BYTES >> 20);
		}
	}
	last.used = last.pieces = 0;
	for (int i = 0; i < precopy.image.chunks; i++)
		memset(precopy.image.chunk[i].known, 0, sizeof(page_set));
	return 0;
}

void ps_forget_moment(void)
{
	if (last.bytes)
		munmap(last.bytes, LAST_BYTES);
	last.bytes = NULL;
}

static int too_much(void)
{
	return ps_fail(-E2BIG,
		"process %d writes to its memory faster than it can be read: more than %zu MiB were left for the stop, in "
		"which all that it has of hugetlbfs is read",
		precopy.target, LAST_BYTES >> 20);
}

/* Of one chunk: it is read with all the others, which costs less than one by one. */
static int want(uint64_t start, uint64_t end)
{
	size_t length = end - start;

	if (length > LAST_BYTES - last.used || last.pieces == MOST_PIECES)
		return too_much();
	last.place[last.pieces] = (struct iovec){ last.bytes + last.used, length };
	last.piece[last.pieces++] = (struct iovec){ (void *)start, length };
	last.used += length;
	return 0;
}

/* @tid: a thread that lives, since by one that has ended nothing can be read. */
static int read_wanted(pid_t tid)
{
	for (int at = 0, count; at < last.pieces; at += count) {
		ssize_t length = 0;

		count = last.pieces - at < IOV_MAX ? last.pieces - at : IOV_MAX;
		for (int i = at; i < at + count; i++)
			length += last.piece[i].iov_len;
		/* Its memory is still what it was when that was opened: the stop has seen its regions. */
		if (process_vm_readv(tid, &last.place[at], count, &last.piece[at], count, 0) == length)
			continue;
		for (int i = at; i < at + count; i++)
			if (ps_read_pages((uintptr_t)last.piece[i].iov_base, last.place[i].iov_base, last.piece[i].iov_len))
				return ps_fail(-EIO, "pages of process %d cannot be read, such as one that the hardware has lost",
					       precopy.target);
	}
	return 0;
}

/* Pages in [start, end), which are of one chunk and of one kind, as far as they are in @wanted. */
static int want_pages(const page_set wanted, uint64_t start, uint64_t end)
{
	uint64_t from = 0;
	int err = 0;

	for (uint64_t at = start; at <= end && !err; at += PAGE) {
		bool in = at < end && has_page(wanted, page_of(at));

		if (in && !from)
			from = at;
		if (!in && from) {
			err = want(from, at);
			from = 0;
		}
	}
	return err;
}

/* The pages of @wanted as they are now: those that the target has are read, if they are not as they were protected. */
static int look_at_chunk(struct chunk *chunk, const page_set wanted)
{
	struct scan_run runs[RUNS];
	unsigned int first = CHUNK_PAGES, end = 0;
	uint64_t walked;
	page_set had;
	int got, err = 0;

	for (unsigned int page = 0; page < CHUNK_PAGES; page++)
		if (has_page(wanted, page)) {
			first = page < first ? page : first;
			end = page + 1;
		}
	if (!end)
		return 0;
	got = ps_scan(precopy.pagemap, SCAN_LOOK, chunk->address + first * PAGE,
		      ps_end_of_look(chunk->address + end * PAGE), runs, RUNS, &walked);
	if (got < 0)
		return ps_scan_failed(got);
	for (unsigned int word = 0; word < WORDS; word++) {
		had[word] = chunk->have[word] & ~chunk->faulted[word];
		chunk->known[word] |= wanted[word];
		chunk->have[word] &= ~wanted[word];
	}
	for (int i = 0; i < got && !err; i++) {
		bool clean = is_protected(&runs[i]);
		page_set unread;

		memcpy(unread, wanted, sizeof(unread));
		for (uint64_t at = runs[i].start; clean && at < runs[i].end; at += PAGE)
			if (has_page(wanted, page_of(at)) && has_page(had, page_of(at))) {
				add_page(chunk->have, page_of(at));
				remove_page(unread, page_of(at));
			}
		err = want_pages(unread, runs[i].start, runs[i].end);
	}
	return err;
}

static bool is_late(void)
{
	return ps_now_ns() > until_ns;
}

static int look_at_touched(void)
{
	page_set all;
	int err = 0;

	ps_note_faults();
	if (precopy.too_many)
		return too_much();
	memset(all, 0xff, sizeof(all));
	for (int i = 0; i < precopy.touched_count && !err; i++)
		err = is_late() ? too_much() : look_at_chunk(&precopy.image.chunk[precopy.touched[i]], all);
	return err;
}

static int look_at_run(uint64_t start, uint64_t end)
{
	int err = 0;

	for (uint64_t at = start; at < end && !err;) {
		struct chunk *chunk = ps_chunk_at(&precopy.image, at, true);
		uint64_t to = at - at % CHUNK + CHUNK < end ? at - at % CHUNK + CHUNK : end;
		page_set wanted = { 0 };

		if (!chunk)
			return ps_fail(-ENOMEM, "there is no memory to note which pages the copy has");
		if (is_late())
			return too_much();
		for (uint64_t page = at; page < to; page += PAGE)
			if (!has_page(chunk->known, page_of(page))) {
				add_page(wanted, page_of(page));
				add_page(chunk->known, page_of(page));
			}
		err = want_pages(wanted, at, to);
		at = to;
	}
	return err;
}

/* Memory that was moved, or mapped anew, since the last pass; and what cannot be registered. */
static int look_at_unregistered(void)
{
	const struct span *span = precopy.spans.span;
	struct scan_run runs[RUNS];
	int err = 0, got;

	for (int first = 0, next; first < precopy.spans.count && !err; first = next) {
		uint64_t at = span[first].start;

		for (next = first + 1; next < precopy.spans.count && span[next].joined; next++)
			;
		while (at < span[next - 1].end && !err) {
			got = ps_scan(precopy.pagemap, SCAN_UNREGISTERED, at, span[next - 1].end, runs, RUNS, &at);
			if (got < 0)
				return ps_scan_failed(got);
			for (int i = 0; i < got && !err; i++)
				err = look_at_run(runs[i].start, runs[i].end);
		}
	}
	return err;
}

static int look_at_page(uint64_t address)
{
	int span = ps_first_span_behind(address);
	page_set wanted = { 0 };
	struct chunk *chunk;

	/* A stack pointer may point anywhere. */
	if (span == precopy.spans.count || address < precopy.spans.span[span].start)
		return 0;
	chunk = ps_chunk_at(&precopy.image, address, true);
	if (!chunk)
		return ps_fail(-ENOMEM, "there is no memory to note which pages the copy has");
	if (has_page(chunk->known, page_of(address)))
		return 0;
	add_page(wanted, page_of(address));
	return look_at_chunk(chunk, wanted);
}

/*
 * What threads write to as soon as they go on, be they idle otherwise: their
 * stacks, and where the kernel notes their CPU (rseq(2)). Not looked at here, it
 * would be ambiguous, for which all of them would be stopped once more.
 */
static int look_at_threads(const struct ps_stop *stop, const struct ps_registers *registers, int count)
{
	int err = 0;

	for (int i = 0; i < count && i < MOST_THREADS && !err; i++)
		err = look_at_page(registers[i].general.rsp);
	for (int i = 0; i < stop->threads && i < MOST_THREADS && !err; i++)
		if (stop->thread[i].rseq_address)
			err = look_at_page(stop->thread[i].rseq_address);
	return err;
}

static int look(const struct ps_stop *stop, const struct ps_registers *registers, int count)
{
	char first;
	int err = ps_read_spans();

	if (!err)
		err = look_at_touched();
	if (!err)
		err = look_at_threads(stop, registers, count);
	if (!err)
		err = look_at_unregistered();
	if (!err)
		err = read_wanted(stop->thread[0].tid);
	/* A process that was killed in its stop shows no pages, and no regions either. */
	if (!err && pread(precopy.maps, &first, 1, 0) != 1)
		err = ps_fail(-ESRCH, "process %d ended while it was being copied", precopy.target);
	return err;
}

int ps_take_moment(int64_t timeout_ns, int64_t limit_ns, struct ps_registers *registers, int max_registers)
{
	static struct ps_thread room[PS_MAX_THREADS];
	struct ps_precopy *told = precopy.told;
	struct ps_stop stop;
	int err;

	if (precopy.too_many)
		return too_much();
	ps_prepare_stop(&stop, room, precopy.target, timeout_ns, limit_ns);
	stop.pidfd = precopy.pidfd;
	stop.calls = &told->calls;
	err = ps_stop_all(&stop);
	if (err) {
		if (stop.undone_ns > told->longest_pause_ns)
			told->longest_pause_ns = stop.undone_ns;
		return err;
	}
	for (int i = 0; i < stop.threads; i++)
		ps_mend_call(precopy.target, &stop.thread[i], &told->calls);
	told->moment_ns = ps_now_ns();
	told->threads = stop.threads;
	told->registers = ps_read_registers(&stop, registers, max_registers);
	ps_at(PS_STEP_MOMENT);
	until_ns = told->moment_ns + stop.limit_ns;
	err = look(&stop, registers, told->registers);
	ps_release(&stop, -1);
	ps_take_turns(&precopy.pace);
	told->stop_ns = stop.first_ns;
	told->pause_ns = ps_now_ns() - stop.first_ns;
	if (told->pause_ns > told->longest_pause_ns)
		told->longest_pause_ns = told->pause_ns;
	told->last_pages = last.used / PAGE;
	for (int i = 0; i < last.pieces && !err; i++)
		err = ps_image_keep(&precopy.image, (uintptr_t)last.piece[i].iov_base, last.place[i].iov_base,
				    last.piece[i].iov_len);
	return err;
}
