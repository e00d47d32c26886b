// SPDX-License-Identifier: MIT
/*
 * Memory that a fork leaves out can be moved, or given up, as soon as the target
 * goes on: so it is looked for in the stop. A target that has none hardly pays
 * for that: the kernel counts the size of each address space, and takes what it
 * leaves out off the child's; so two numbers are read. Where they differ, both
 * lists of regions are read side by side until all is found; that is copied, the
 * smallest regions first, as far as time and room last. Only pages are read that
 * the target has in memory: nothing is brought in, and no driver is asked.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "core/living.h"
#include "left_out.h"

#define PAGE		4096UL
#define MOST_REGIONS	8192
#define MOST_RUNS	8192
#define TEXT_BYTES	(1UL << 20)
#define LINE_BYTES	8192UL		/* of maps; of a longer one, with a very deep path, only so much is looked at */
#define TOUCHED_BYTES	(1UL << 20)
#define PIECE_BYTES	(128UL << 10)	/* read at once: then the clock is looked at */
#define ENTRIES		512		/* of pagemap, read at once */
#define PRESENT		(1ULL << 63)

struct maps {
	int	fd;
	size_t	at, have;
	bool	in_long_line;
	char	bytes[2 * LINE_BYTES];
};

struct found { struct ps_left_out_region region; const char *text; };

static struct maps of_target, of_child;
static struct found found[MOST_REGIONS];
static struct ps_left_out_run runs[MOST_RUNS];
static char texts[TEXT_BYTES];

static int open_file(pid_t pid, const char *name)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Files that tell the sizes of target and child; and what the target's was in its stop, in pages. */
static int size_fd = -1, childs_fd = -1;
static int64_t size;

static void close_file(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* In pages; -1: not known; 0: it was of a thread that has ended since. */
static int64_t read_size(int fd)
{
	char text[128];
	ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (got <= 0)
		return -1;
	text[got] = 0;
	return strtoll(text, NULL, 10);
}

static int64_t read_size_of(pid_t pid, int *fd)
{
	close_file(fd);
	*fd = open_file(pid, "statm");
	return read_size(*fd);
}

/* @child, which has not run, and of which nothing was unmapped. */
static void compare(pid_t child, struct ps_left_out *left_out)
{
	int64_t childs = read_size_of(child, &childs_fd);

	left_out->total_bytes = childs > 0 && size > childs ? (size - childs) * PAGE : 0;
}

/* A first touch of memory may be slow: of what is copied nearly always enough, and of what is needed for it. */
static void touch(void *start, size_t bytes)
{
	volatile uint8_t *memory = start;

	for (size_t at = 0; at < bytes; at += PAGE)
		memory[at] = memory[at];
}

void ps_prepare_left_out(pid_t target, const struct ps_left_out *left_out)
{
	pid_t living = ps_living_thread(target);

	touch(left_out->room, left_out->room_bytes < TOUCHED_BYTES ? left_out->room_bytes : TOUCHED_BYTES);
	touch(&of_target, sizeof(of_target));
	touch(&of_child, sizeof(of_child));
	touch(found, PAGE);
	touch(runs, PAGE);
	touch(texts, PAGE);
	close_file(&childs_fd);
	close_file(&size_fd);
	size_fd = living > 0 ? open_file(living, "statm") : -1;
}

void ps_note_left_out(pid_t child, struct ps_left_out *left_out)
{
	if (childs_fd < 0)
		compare(child, left_out);
	/* Not in the stop. */
	close_file(&childs_fd);
	close_file(&size_fd);
}

/* The next line, with a 0 in place of its end; NULL: there is none. */
static char *next_line(struct maps *maps)
{
	for (;;) {
		char *line = maps->bytes + maps->at, *end = memchr(line, '\n', maps->have - maps->at);
		ssize_t got;

		if (end) {
			*end = 0;
			maps->at = end + 1 - maps->bytes;
			if (!maps->in_long_line)
				return line;
			maps->in_long_line = false;
			continue;
		}
		if (!maps->at && maps->have == sizeof(maps->bytes)) {
			maps->bytes[maps->have - 1] = 0;
			maps->have = 0;
			if (maps->in_long_line)
				continue;
			maps->in_long_line = true;
			return line;
		}
		memmove(maps->bytes, line, maps->have - maps->at);
		maps->have -= maps->at;
		maps->at = 0;
		got = read(maps->fd, maps->bytes + maps->have, sizeof(maps->bytes) - maps->have);
		if (got <= 0)
			return NULL;
		maps->have += got;
	}
}

static bool parse(const char *line, uint64_t *start, uint64_t *end)
{
	char *rest;

	*start = strtoull(line, &rest, 16);
	if (*rest != '-')
		return false;
	*end = strtoull(rest + 1, &rest, 16);
	return *rest == ' ';
}

static bool is_private(const char *line)
{
	return strchr(line, ' ')[4] == 'p';
}

static bool add(struct ps_left_out *left_out, uint64_t start, uint64_t end, const char *line)
{
	size_t length = strlen(line);

	if (left_out->regions == MOST_REGIONS || left_out->text_bytes + length > TEXT_BYTES)
		return false;
	memcpy(texts + left_out->text_bytes, line, length);
	found[left_out->regions++] = (struct found){
		.region = { .start = start, .end = end, .runs = -1, .text_bytes = length },
		.text = texts + left_out->text_bytes,
	};
	left_out->text_bytes += length;
	left_out->found_bytes += end - start;
	return true;
}

/* The child has the target's regions, but for those that were left out. */
static void find(pid_t target, pid_t child, int64_t until_ns, struct ps_left_out *left_out)
{
	uint64_t start, end, childs = 0, childs_end;
	char *line;

	of_target = (struct maps){ .fd = open_file(target, "maps") };
	of_child = (struct maps){ .fd = open_file(child, "maps") };
	while (left_out->found_bytes < left_out->total_bytes && ps_now_ns() < until_ns) {
		line = next_line(&of_target);
		if (!line || !parse(line, &start, &end))
			break;
		while (childs < start) {
			char *other = next_line(&of_child);

			if (!other || !parse(other, &childs, &childs_end))
				childs = UINT64_MAX;
		}
		if (childs != start && !add(left_out, start, end, line))
			break;
	}
	if (of_target.fd >= 0)
		close(of_target.fd);
	if (of_child.fd >= 0)
		close(of_child.fd);
}

/* Not what the kernel itself or a driver may share with the target: "00:00 0 " or a path is before the name. */
static bool is_copied(const char *line)
{
	int at = 0;

	if (is_private(line))
		return true;
	sscanf(line, "%*s %*s %*s %*s %*s %n", &at);
	return at && (!line[at] || line[at] == '/' || line[at] == '[');
}

static int by_size(const void *a, const void *b)
{
	const struct ps_left_out_region *one = a, *other = b;
	uint64_t first = one->end - one->start, second = other->end - other->start;

	return first < second ? -1 : first > second;
}

/* The pages that it has in memory; false: they were not all found. */
static bool look(int pagemap, const struct ps_left_out_region *region, int64_t until_ns, struct ps_left_out *left_out,
		 size_t room)
{
	uint64_t entry[ENTRIES], wanted = left_out->page_bytes;
	int first = left_out->runs;

	for (uint64_t at = region->start; at < region->end;) {
		uint64_t count = (region->end - at) / PAGE < ENTRIES ? (region->end - at) / PAGE : ENTRIES;
		ssize_t got = pread(pagemap, entry, count * sizeof(*entry), at / PAGE * sizeof(*entry));

		if (got < (ssize_t)sizeof(*entry) || ps_now_ns() > until_ns)
			return false;
		for (size_t i = 0; i < got / sizeof(*entry); i++, at += PAGE) {
			if (!(entry[i] & PRESENT))
				continue;
			wanted += PAGE;
			if (wanted > room)
				return false;
			if (left_out->runs > first && runs[left_out->runs - 1].end == at)
				runs[left_out->runs - 1].end = at + PAGE;
			else if (left_out->runs == MOST_RUNS)
				return false;
			else
				runs[left_out->runs++] = (struct ps_left_out_run){ at, at + PAGE };
		}
	}
	return true;
}

/*
 * process_vm_readv(2) refuses what the target itself may not read now (PROT_NONE), and what is a driver's. Of private
 * memory, which is none, the tracer reads all the same: proc(5), mem.
 */
static bool read_piece(pid_t tid, int mem, uint64_t from, size_t bytes, uint8_t *to)
{
	struct iovec local = { to, bytes }, remote = { (void *)from, bytes };

	if (process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)bytes)
		return true;
	return mem >= 0 && pread(mem, to, bytes, from) == (ssize_t)bytes;
}

static bool read_runs(pid_t tid, int mem, int first, int64_t until_ns, struct ps_left_out *left_out, uint8_t *room)
{
	for (int i = first; i < left_out->runs; i++) {
		for (uint64_t at = runs[i].start; at < runs[i].end;) {
			size_t bytes = runs[i].end - at < PIECE_BYTES ? runs[i].end - at : PIECE_BYTES;

			if (ps_now_ns() > until_ns || !read_piece(tid, mem, at, bytes, room + left_out->page_bytes))
				return false;
			left_out->page_bytes += bytes;
			at += bytes;
		}
	}
	return true;
}

/* A region is copied as a whole, or not at all. */
static void copy(pid_t tid, int64_t until_ns, struct ps_left_out *left_out)
{
	size_t room = left_out->room_bytes < PS_LEFT_OUT_BYTES ? left_out->room_bytes : PS_LEFT_OUT_BYTES;
	int pagemap = open_file(tid, "pagemap"), mem = open_file(tid, "mem");

	qsort(found, left_out->regions, sizeof(*found), by_size);
	for (int i = 0; i < left_out->regions && pagemap >= 0 && ps_now_ns() < until_ns; i++) {
		struct ps_left_out_region *region = &found[i].region;
		int first = left_out->runs;
		uint64_t before = left_out->page_bytes;

		if (is_copied(found[i].text) && look(pagemap, region, until_ns, left_out, room) &&
		    read_runs(tid, is_private(found[i].text) ? mem : -1, first, until_ns, left_out, left_out->room)) {
			region->runs = left_out->runs - first;
		} else {
			left_out->runs = first;
			left_out->page_bytes = before;
		}
	}
	if (pagemap >= 0)
		close(pagemap);
	if (mem >= 0)
		close(mem);
}

void ps_keep_left_out(const struct injection *in, pid_t child, int64_t budget_ns, struct ps_left_out *left_out)
{
	pid_t tid = in->stop.thread[0].tid;
	int64_t until_ns = ps_now_ns() + budget_ns;

	size = read_size(size_fd);
	if (size <= 0)
		size = read_size_of(tid, &size_fd);
	if (child)
		compare(child, left_out);
	if (!left_out->total_bytes)
		return;
	find(tid, child, until_ns, left_out);
	copy(tid, until_ns, left_out);
}

size_t ps_write_left_out(const struct ps_left_out *left_out, uint8_t *to, size_t size)
{
	size_t runs_at = left_out->regions * sizeof(found->region), texts_at = runs_at + left_out->runs * sizeof(*runs);

	if (texts_at + left_out->text_bytes > size)
		return 0;
	for (int i = 0; i < left_out->regions; i++) {
		memcpy(to + i * sizeof(found[i].region), &found[i].region, sizeof(found[i].region));
		memcpy(to + texts_at, found[i].text, found[i].region.text_bytes);
		texts_at += found[i].region.text_bytes;
	}
	memcpy(to + runs_at, runs, left_out->runs * sizeof(*runs));
	return texts_at;
}
