// SPDX-License-Identifier: GPL-2.0
/*
 * Pages to which somebody else has a reference, and may write: what is written
 * there after the snapshot has to reach the target, whatever the target itself
 * writes meanwhile. And where they are copied for that, the copies are as of the
 * moment like all other pages.
 * --rounds=N (150)
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/loop.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "frozen.h"

#define BUFFER	(4 * PAGE)
enum { OTHER = FREE, GOT, WROTE };

/* --- a page in a pipe: held by FOLL_GET on every kernel --- */

enum kind { SMALL, HIDDEN, THP, HUGETLB };

static char *buffer_of(enum kind kind)
{
	char *at;

	if (kind == HUGETLB) {
		at = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		if (at == MAP_FAILED)
			unable(errno);
		return memset(at, 1, HUGE_PAGE);
	}
	if (kind == THP) {
		at = map_aligned_huge(HUGE_PAGE);
		madvise(at, HUGE_PAGE, MADV_HUGEPAGE);
		memset(at, 1, HUGE_PAGE);
		if (smaps_kib(getpid(), "AnonHugePages", at) < 2048)
			unable(ENOMEM);
		return at;
	}
	at = map_private(BUFFER);
	madvise(at, BUFFER, MADV_NOHUGEPAGE);
	memset(at, 1, BUFFER);
	if (kind == HIDDEN)
		madvise(at, BUFFER, MADV_DONTFORK);
	return at;
}

/* What is written to a page in a pipe is read from it: unless there are two of it. */
static void piped(void *kind)
{
	char *at = buffer_of((enum kind)(long)kind), got = 0;
	struct iovec page = { at, PAGE };
	int ends[2];

	if (pipe(ends) || vmsplice(ends[1], &page, 1, 0) != PAGE)
		unable(errno);
	ready(at);
	at[0] = 2;
	if (read(ends[0], &got, 1) != 1)
		die("nothing in the pipe");
	word[GOT] = got;
	ready(at);
}

static char first_byte(pid_t pid)
{
	char value = 0;

	read_of(pid, "mem", word[ADDRESS], &value, 1);
	return value;
}

static void test_piped(enum kind kind, const char *what)
{
	if (!begin(piped, (void *)(long)kind, what))
		return;
	take();
	ok(args.pages_copied > 0, "%s: copied (%lld pages)", what, (long long)args.pages_copied);
	is(first_byte(dup_pid), 1, "%s: content is there", what);
	go_on();
	is(word[GOT], 2, "%s: the pipe has what the target wrote after the snapshot", what);
	is(first_byte(target), 2, "%s: and so has the target", what);
	is(first_byte(dup_pid), 1, "%s: and the duplicate has not", what);
	finish();
}

/* --- direct I/O that is under way --- */

#define FILE_PATH	"/tmp/snap-held"

static void *direct_read(void *at)
{
	int fd = open(FILE_PATH, O_RDONLY | O_DIRECT);

	/* as open(2) asks of who may fork meanwhile */
	word[GOT] = fd < 0 ? -errno : read(fd, at, BUFFER / 2);
	close(fd);
	return NULL;
}

/* Half of each page is read into, the rest is the target's to write. */
static void reading(void *hidden)
{
	char *at = buffer_of(hidden ? HIDDEN : SMALL);
	pthread_t thread;
	size_t i, wrong = 0;

	if (pthread_create(&thread, NULL, direct_read, at))
		unable(errno);
	ready(at);
	for (i = 0; i < BUFFER; i += PAGE)
		at[i + PAGE - 1] = 3;
	word[WROTE] = 1;
	pthread_join(thread, NULL);
	for (i = 0; i < BUFFER / 2; i++)
		wrong += at[i] != FUSE_BYTE && !(i % PAGE == PAGE - 1);
	for (i = BUFFER / 2; i < BUFFER; i++)
		wrong += at[i] != (i % PAGE == PAGE - 1 ? 3 : 1);
	word[OTHER] = wrong;
	ready(at);
}

static void test_direct(bool hidden, const char *what)
{
	char page[PAGE];
	size_t i, changed = 0;

	word[GOT] = word[WROTE] = 0;
	if (!fuse_begin(FILE_PATH)) {
		skip(what, "no FUSE");
		return;
	}
	if (begin(reading, hidden ? "" : NULL, what)) {
		ok(fuse_await_read(), "%s: it is under way", what);
		take();
		word[COMMAND]++;
		ok(UNTIL(word[WROTE]), "%s: the target writes to these pages", what);
		fuse_answer();
		ok(UNTIL(word[READY] == 2), "%s: the read ends", what);
		is(word[GOT], BUFFER / 2, "%s: with all bytes", what);
		is(word[OTHER], 0, "%s: which are in the target's buffer", what);
		read_of(dup_pid, "mem", word[ADDRESS], page, PAGE);
		for (i = 0; i < PAGE; i++)
			changed += page[i] != 1;
		is(changed, 0, "%s: and not in the duplicate's", what);
		finish();
	}
	fuse_end(FILE_PATH);
}

/* --- the same against a block device, many times over --- */

#define SECTOR	512
#define READS	128
#define IMAGE	"/tmp/snap-image"

static char device_path[64];

static bool make_device(void)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), image, device, number;
	char *content;

	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0)
		return false;
	close(control);
	snprintf(device_path, sizeof(device_path), "/dev/loop%d", number);
	image = open(IMAGE, O_RDWR | O_CREAT | O_TRUNC, 0600);
	content = malloc(READS * PAGE);
	memset(content, FUSE_BYTE, READS * PAGE);
	if (write(image, content, READS * PAGE) != (ssize_t)(READS * PAGE))
		die("no room for %s", IMAGE);
	free(content);
	device = open(device_path, O_RDWR | O_CLOEXEC);
	if (device < 0 || ioctl(device, LOOP_SET_FD, image))
		return false;
	close(device);
	close(image);
	return true;
}

static void end_device(void)
{
	int device = open(device_path, O_RDWR | O_CLOEXEC);

	ioctl(device, LOOP_CLR_FD, 0);
	close(device);
	unlink(IMAGE);
}

static struct iocb blocks[READS], *list[READS];

static void start_reads(aio_context_t context, int fd, char *at)
{
	long i, begun = 0, now;

	for (i = 0; i < READS; i++) {
		at[i * PAGE] = 0;
		blocks[i] = (struct iocb){
			.aio_fildes = fd, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_nbytes = SECTOR,
			.aio_buf = (uintptr_t)at + i * PAGE, .aio_offset = i * PAGE,
		};
		list[i] = &blocks[i];
	}
	while (begun < READS) {
		now = syscall(SYS_io_submit, context, READS - begun, list + begun);
		if (now <= 0)
			die("io_submit");
		begun += now;
	}
}

/* Reads a sector into each page of a buffer that MADV_DONTFORK hides, and writes beside it. */
static void reader(void *unused)
{
	static struct io_event events[READS];
	aio_context_t context = 0;
	char *at = map_private(READS * PAGE);
	int fd = open(device_path, O_RDONLY | O_DIRECT);
	long i, done, now;

	(void)unused;
	madvise(at, READS * PAGE, MADV_NOHUGEPAGE);
	madvise(at, READS * PAGE, MADV_DONTFORK);
	memset(at, 1, READS * PAGE);
	if (fd < 0 || syscall(SYS_io_setup, READS, &context))
		unable(errno);
	ready(at);
	for (;;) {
		start_reads(context, fd, at);
		for (i = 0; i < READS; i++)
			at[i * PAGE + PAGE / 2]++;
		for (done = 0; done < READS; done += now) {
			now = syscall(SYS_io_getevents, context, 1, READS - done, events, NULL);
			if (now <= 0)
				die("io_getevents");
		}
		for (i = 0; i < READS; i++)
			word[OTHER] += at[i * PAGE] != FUSE_BYTE || at[i * PAGE + SECTOR - 1] != FUSE_BYTE;
		word[GOT]++;
	}
}

static void test_device(void)
{
	static const char what[] = "AIO on a block device";
	long rounds = option("rounds", 150), i, copied = 0, turns;

	word[GOT] = word[OTHER] = 0;
	if (!make_device()) {
		skip(what, "no loop device");
		return;
	}
	if (begin(reader, NULL, what)) {
		word[COMMAND]++;
		wait_word(GOT, 1);
		for (i = 0; i < rounds; i++) {
			turns = word[GOT];
			dup_pid = snap_figures(target, &args, NULL, 0);
			if (dup_pid <= 0)
				die("%s: errno %d", what, -dup_pid);
			copied += args.pages_copied;
			/* The duplicate is there until after the reads of that moment. */
			if (!UNTIL(word[GOT] > turns + 1))
				die("%s: the target does not go on", what);
			if (snap_end(dup_pid))
				die("%s: it does not end", what);
		}
		is(word[OTHER], 0, "%s: no read of the target's is lost", what);
		note("%s: %ld snapshots, %ld times %d reads, %ld pages copied", what, rounds,
		     word[GOT], READS, copied);
		end_target(target);
	}
	end_device();
}

/* --- copies are of the moment --- */

/* At no time is the copied page ahead of the shared one by more than 1, or behind it. */
static void counting(void *unused)
{
	volatile long *shared = map_private(64 * PAGE), *held;
	long n;

	(void)unused;
	madvise((void *)shared, 64 * PAGE, MADV_NOHUGEPAGE);
	memset((void *)shared, 0, 64 * PAGE);
	held = shared + PAGE / sizeof(long);
	if (pin((void *)held, PAGE) < 0)
		unable(ENOSYS);
	word[READY] = 1;
	word[ADDRESS] = (long)shared;
	for (n = 1;; n++) {
		*held = n;
		*shared = n;
	}
}

static void test_moment(void)
{
	static const char what[] = "a pinned page";
	long rounds = option("rounds", 150), i, torn = 0, copied = 0, both[2], frozen_at;

	if (!begin(counting, NULL, what))
		return;
	wait_word(ADDRESS, 1);
	for (i = 0; i < rounds; i++) {
		dup_pid = snap_figures(target, &args, NULL, 0);
		if (dup_pid <= 0)
			die("%s: errno %d", what, -dup_pid);
		copied += args.pages_copied > 0;
		if (read_of(dup_pid, "mem", word[ADDRESS], &both[0], 8) != 8 ||
		    read_of(dup_pid, "mem", word[ADDRESS] + PAGE, &both[1], 8) != 8)
			die("%s: cannot be read", what);
		torn += both[1] < both[0] || both[1] > both[0] + 1;
		frozen_at = both[1];
		read_of(dup_pid, "mem", word[ADDRESS] + PAGE, &both[1], 8);
		torn += both[1] != frozen_at;
		if (snap_end(dup_pid))
			die("%s: it does not end", what);
	}
	is(copied, rounds, "%s: copied each time", what);
	is(torn, 0, "%s: its copy is as of the moment", what);
	end_target(target);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	hurry();
	test_piped(SMALL, "a page in a pipe");
	test_piped(HIDDEN, "a page in a pipe, DONTFORK");
	test_piped(THP, "a THP in a pipe");
	write_text("/proc/sys/vm/nr_hugepages", "8");
	test_piped(HUGETLB, "hugetlb in a pipe");
	write_text("/proc/sys/vm/nr_hugepages", "0");
	test_direct(false, "O_DIRECT");
	test_direct(true, "O_DIRECT, DONTFORK");
	test_device();
	test_moment();
	return tap_end();
}
