// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the kernel treats in ways of its own (huge, swapped out, merged,
 * watched, pinned): the duplicate has them, and the target keeps what it has.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frozen.h"

/* --- huge pages --- */

static void thp(void *unused)
{
	long *at = map_aligned_huge(4 * HUGE_PAGE);

	(void)unused;
	if (madvise(at, 4 * HUGE_PAGE, MADV_HUGEPAGE))
		unable(errno);
	fill_and_change(at, 4 * HUGE_PAGE);
}

static void test_thp(void)
{
	void *at;

	if (!begin(thp, NULL, "THP"))
		return;
	at = (void *)word[ADDRESS];
	is(smaps_kib(target, "AnonHugePages", at), 8192, "THP: the target has huge pages");
	take();
	is(smaps_kib(target, "AnonHugePages", at), 8192, "THP: the target keeps them");
	is(smaps_kib(dup_pid, "AnonHugePages", at), 8192, "THP: the duplicate has them too");
	ok(args.pages_shared >= 2048, "THP: each counts as 512 pages");
	frozen(4 * HUGE_PAGE);
	finish();
}

static void hugetlb(void *sharing)
{
	long *at = mmap(NULL, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE,
			(long)sharing | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (at == MAP_FAILED)
		unable(errno);
	fill_and_change(at, 2 * HUGE_PAGE);
}

static void test_hugetlb(void)
{
	long got;

	write_text("/proc/sys/vm/nr_hugepages", "6");
	if (meminfo("HugePages_Total:") < 6) {
		skip("hugetlb", "no pool of huge pages");
		return;
	}
	if (begin_and_take(hugetlb, (void *)MAP_PRIVATE, "hugetlb")) {
		frozen(2 * HUGE_PAGE);
		finish();
	}
	if (begin_and_take(hugetlb, (void *)MAP_SHARED, "hugetlb, shared")) {
		go_on();
		ok(filled(dup_pid, 2 * HUGE_PAGE, AFTER), "hugetlb, shared: goes on changing");
		finish();
	}
	ok(UNTIL(meminfo("HugePages_Free:") == 6), "hugetlb: the pool has all of them back");
	/* no page left for a copy: the target must not pay for it with its life */
	write_text("/proc/sys/vm/nr_hugepages", "2");
	if (begin_and_take(hugetlb, (void *)MAP_PRIVATE, "hugetlb, short pool")) {
		/* not by process_vm_readv(), which pins: for that, a shared page is copied first */
		ok(first_long() == BEFORE, "hugetlb, short pool: content is there");
		ok(go_on(), "hugetlb, short pool: the target can write");
		ok(filled(target, 2 * HUGE_PAGE, AFTER), "hugetlb, short pool: what it wants");
		got = first_long();
		ok(got == -1 || got == BEFORE, "hugetlb, short pool: the duplicate has lost it, or has it as it was");
		note("hugetlb, short pool: the duplicate's page %s", got == -1 ? "is lost, reading says so" : "is kept");
		finish();
	}
	ok(UNTIL(meminfo("HugePages_Free:") == meminfo("HugePages_Total:")), "hugetlb: none is lost");
	is(meminfo("HugePages_Rsvd:"), 0, "hugetlb: nor reserved");
	write_text("/proc/sys/vm/nr_hugepages", "0");
	is(meminfo("HugePages_Total:"), 0, "hugetlb: the pool can be given back");
}

/* --- swap --- */

#define SWAPPED	(1024 * PAGE)

static void swapped(void *unused)
{
	long *at = map_private(SWAPPED);

	(void)unused;
	madvise(at, SWAPPED, MADV_NOHUGEPAGE);
	fill(at, SWAPPED, BEFORE);
	madvise(at, SWAPPED, MADV_PAGEOUT);
	change(at, SWAPPED);
}

/* An area in memory; NULL if there is no device for it. */
static const char *begin_swap(void)
{
	static const char *const devices[] = { "/dev/zram0", "/dev/ram0" };
	char command[128];
	size_t i;

	write_text("/sys/block/zram0/disksize", "67108864");
	for (i = 0; i < 2; i++) {
		snprintf(command, sizeof(command), "mkswap %s >/dev/null 2>&1", devices[i]);
		if (!access(devices[i], W_OK) && !system(command) && !swapon(devices[i], 0))
			return devices[i];
	}
	return NULL;
}

static void begin_swapped(const char *what)
{
	begin(swapped, NULL, what);
	UNTIL(status_number(target, "VmSwap") > 2048);
}

static void test_swap(void)
{
	const char *device = begin_swap();
	long out;

	if (!device) {
		skip("swap", "neither /dev/zram0 nor /dev/ram0 to swap to");
		return;
	}
	begin_swapped("swap");
	out = smaps_kib(target, "Swap", (void *)word[ADDRESS]);
	ok(out > 2048, "swap: %ld KiB of the target are out", out);
	take();
	is(smaps_kib(target, "Swap", (void *)word[ADDRESS]), out, "swap: nothing was read in for it");
	is(smaps_kib(dup_pid, "Swap", (void *)word[ADDRESS]), out, "swap: the duplicate's are out too");
	frozen(SWAPPED);
	finish();

	begin_swapped("swap, switched off");
	take();
	end_target(target);
	ok(swapoff(device) == 0, "swapoff with a duplicate that has pages there");
	ok(filled(dup_pid, SWAPPED, BEFORE), "swapoff: they are read in for it");
	is(snap_end(dup_pid), 0, "swapoff: it ends");
	is(meminfo("SwapTotal:") - meminfo("SwapFree:"), 0, "swap: none is in use");
	write_text("/sys/block/zram0/reset", "1");
}

/* --- KSM --- */

#define MERGED	(256 * PAGE)

static void mergeable(void *unused)
{
	long *at = map_private(MERGED);
	size_t i;

	(void)unused;
	if (madvise(at, MERGED, MADV_MERGEABLE))
		unable(errno);
	/* all pages alike, unlike those of fill() */
	for (i = 0; i < MERGED / sizeof(long); i++)
		at[i] = BEFORE;
	ready(at);
	for (i = 0; i < MERGED / sizeof(long); i++)
		at[i] = AFTER;
	ready(at);
}

static bool all_are(pid_t pid, long value)
{
	static long copy[MERGED / sizeof(long)];
	size_t i;

	if (read_memory(pid, (void *)word[ADDRESS], copy, MERGED) != MERGED)
		return false;
	for (i = 0; i < MERGED / sizeof(long); i++)
		if (copy[i] != value)
			return false;
	return true;
}

static long sharing(void)
{
	char text[32];

	return slurp("/sys/kernel/mm/ksm/pages_sharing", text, sizeof(text)) < 0 ? -1 : atol(text);
}

static void test_ksm(void)
{
	if (!begin(mergeable, NULL, "KSM"))
		return;
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "1");
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "2000");
	write_text("/sys/kernel/mm/ksm/run", "1");
	ok(UNTIL(sharing() > 200), "KSM: the target's pages are merged");
	take();
	ok(all_are(dup_pid, BEFORE), "KSM: content is there");
	pause_ms(100);
	ok(go_on(), "KSM: the target goes on");
	ok(all_are(target, AFTER), "KSM: the target has changed it");
	ok(all_are(dup_pid, BEFORE), "KSM: and the duplicate has not");
	ok(write_text("/sys/kernel/mm/ksm/run", "2"), "KSM: all can be unmerged while it lives");
	ok(all_are(dup_pid, BEFORE), "KSM: nor is it changed by that");
	finish();
	write_text("/sys/kernel/mm/ksm/run", "0");
}

/* --- userfaultfd --- */

#define WATCHED	(16 * PAGE)
enum { TOUCHED = FREE, HEARD };

static int fault_fd;
static char *missing;

static void *touch(void *unused)
{
	(void)unused;
	/* blocks until the monitor has answered */
	word[TOUCHED] = 1 + missing[PAGE];
	return NULL;
}

static void faulting(void *mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect protect = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	struct uffdio_zeropage zero = { };
	struct uffd_msg message;
	pthread_t thread;
	struct pollfd poll_fd;

	(void)mode;
	fault_fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fault_fd < 0)
		unable(errno);
	if (ioctl(fault_fd, UFFDIO_API, &api))
		unable(errno);
	missing = map_private(WATCHED);
	fill((long *)missing, PAGE, BEFORE);
	range.range.start = (long)missing;
	range.range.len = WATCHED;
	if (ioctl(fault_fd, UFFDIO_REGISTER, &range))
		unable(errno);
	protect.range.start = (long)missing;
	protect.range.len = PAGE;
	if (ioctl(fault_fd, UFFDIO_WRITEPROTECT, &protect))
		unable(errno);
	pthread_create(&thread, NULL, touch, NULL);
	poll_fd = (struct pollfd){ fault_fd, POLLIN, 0 };
	poll(&poll_fd, 1, patience_s() * 1000);
	if (read(fault_fd, &message, sizeof(message)) != sizeof(message))
		die("no fault");
	/* it stays blocked in its fault over the snapshot */
	ready(missing);
	poll_fd.revents = 0;
	word[HEARD] = poll(&poll_fd, 1, 50);
	zero.range.start = (long)missing + PAGE;
	zero.range.len = PAGE;
	if (ioctl(fault_fd, UFFDIO_ZEROPAGE, &zero))
		die("zeropage");
	pthread_join(thread, NULL);
	ready(missing);
}

static void test_userfaultfd(void)
{
	double begun;
	long value;
	void *at;

	word[TOUCHED] = word[HEARD] = 0;
	if (!begin(faulting, NULL, "userfaultfd"))
		return;
	at = (void *)word[ADDRESS];
	begun = now();
	take();
	ok(now() - begun < patience_s(), "userfaultfd: the monitor does not hold it up");
	ok(smaps_flag(target, at, "um") == 1 && smaps_flag(target, at, "uw") == 1,
	   "userfaultfd: the target's region is watched");
	ok(smaps_flag(dup_pid, at, "um") == 0 && smaps_flag(dup_pid, at, "uw") == 0,
	   "userfaultfd: the duplicate's is not");
	is(peek(dup_pid, at), BEFORE, "userfaultfd: a page that is write-protected is there");
	begun = now();
	is(read_memory(dup_pid, at + 2 * PAGE, &value, 8), 8, "userfaultfd: one that is missing can be read");
	ok(!value && now() - begun < patience_s(), "userfaultfd: as zeroes, and nobody is asked");
	is(word[TOUCHED], 0, "userfaultfd: the target's fault still waits");
	ok(go_on(), "userfaultfd: and is answered by its monitor");
	is(word[HEARD], 0, "userfaultfd: who heard of no fork");
	finish();
}

/* --- pinned pages --- */

#define PINNED	(8 * PAGE)

static void pinned(void *unused)
{
	long *at = map_private(PINNED);
	int ring;

	(void)unused;
	madvise(at, PINNED, MADV_NOHUGEPAGE);
	fill(at, PINNED, BEFORE);
	ring = pin(at, PINNED);
	if (ring < 0)
		unable(-ring);
	change(at, PINNED);
}

/* The number of the page frame; 0 if there is none. */
static uint64_t frame(pid_t pid)
{
	uint64_t entry = 0;

	read_of(pid, "pagemap", word[ADDRESS] / PAGE * 8, &entry, sizeof(entry));
	return entry & ((1UL << 55) - 1);
}

static void test_pinned(void)
{
	uint64_t before;

	if (!begin(pinned, NULL, "pinned pages"))
		return;
	before = frame(target);
	take();
	ok(args.pages_copied >= 8 && (long)args.pages_copied <= 8 + in_batches(),
	   "pinned pages: counted as copied: %lld", (long long)args.pages_copied);
	ok(frame(dup_pid) != before, "pinned pages: the duplicate has others");
	frozen(PINNED);
	ok(before && frame(target) == before, "pinned pages: the target keeps its own");
	finish();
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_thp();
	test_hugetlb();
	test_swap();
	test_ksm();
	test_userfaultfd();
	test_pinned();
	return tap_end();
}
