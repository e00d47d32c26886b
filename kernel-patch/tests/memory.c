// SPDX-License-Identifier: GPL-2.0
/*
 * Every kind of memory: that the duplicate has it, that it stays as it was when
 * the target changes it (or is counted as memory that does not), that the
 * target keeps what it has, and that the figures say what was done.
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/snap.h"

enum { READY = 1, COMMAND, ADDRESS, OTHER, FAILED };
#define BEFORE	0x6265666f7265L
#define AFTER	0x6166746572L

static pid_t target, dup_pid;
static struct proc_snap_args args;

/* Fill each page so that one page in another's place shows. */
static void fill(volatile long *at, size_t bytes, long with)
{
	size_t i;

	for (i = 0; i < bytes / sizeof(long); i += PAGE / sizeof(long))
		at[i] = with + i;
}

static bool filled(pid_t pid, long address, size_t bytes, long with)
{
	long *copy = malloc(bytes);
	size_t i, wrong = 0;

	if (read_memory(pid, (void *)address, copy, bytes) != (long)bytes)
		wrong++;
	for (i = 0; !wrong && i < bytes / sizeof(long); i += PAGE / sizeof(long))
		wrong += copy[i] != with + (long)i;
	free(copy);
	return !wrong;
}

/* In the target: done with making it. Returns when it is told to go on. */
static void ready(const volatile void *address)
{
	word[ADDRESS] = (long)address;
	word[READY]++;
	while (word[COMMAND] < word[READY])
		pause_ms(1);
}

/* In the target: cannot be made here. */
static void unable(long why)
{
	word[FAILED] = why ? why : -1;
	word[READY] = 1;
	for (;;)
		pause();
}

static bool begin(void (*run)(void *), const char *what)
{
	word[READY] = word[COMMAND] = word[FAILED] = word[OTHER] = 0;
	target = spawn(run, NULL);
	wait_word(READY, 1);
	if (word[FAILED]) {
		skip(what, "cannot be had here (errno %ld)", word[FAILED]);
		end_target(target);
		return false;
	}
	return true;
}

static void take(const char *what)
{
	dup_pid = snap_figures(target, &args, NULL, 0);
	ok(dup_pid > 0, "%s: a duplicate", what);
	if (dup_pid <= 0)
		die("errno %d", -dup_pid);
}

static bool go_on(void)
{
	long step = ++word[COMMAND];

	return UNTIL(word[READY] > step);
}

static void finish(const char *what)
{
	is(snap_end(dup_pid), 0, "%s: it ends", what);
	ok(state_of(target) && state_of(target) != 'Z', "%s: the target lives", what);
	end_target(target);
}

/* Taken, then changed by the target: the duplicate's is as before. */
static void frozen(const char *what, size_t bytes)
{
	ok(filled(dup_pid, word[ADDRESS], bytes, BEFORE), "%s: content is there", what);
	ok(go_on(), "%s: the target goes on", what);
	ok(filled(target, word[ADDRESS], bytes, AFTER), "%s: the target has changed it", what);
	ok(filled(dup_pid, word[ADDRESS], bytes, BEFORE), "%s: and the duplicate has not", what);
}

/* --- anonymous memory --- */

#define BYTES	(16 * PAGE)

static void change(long *at, size_t bytes)
{
	ready(at);
	fill(at, bytes, AFTER);
	ready(at);
}

static void plain(void *unused)
{
	long *at = map_private(BYTES);

	(void)unused;
	fill(at, BYTES, BEFORE);
	change(at, BYTES);
}

static void locked(void *unused)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	long *at = map_private(BYTES);

	(void)unused;
	setrlimit(RLIMIT_MEMLOCK, &none);
	if (mlock(at, BYTES))
		unable(errno);
	fill(at, BYTES, BEFORE);
	change(at, BYTES);
}

static void on_stack(void *unused)
{
	long at[BYTES / sizeof(long)] __attribute__((aligned(4096)));

	(void)unused;
	fill(at, BYTES, BEFORE);
	change(at, BYTES);
}

static void read_only(void *unused)
{
	long *at = map_private(BYTES);

	(void)unused;
	fill(at, BYTES, BEFORE);
	mprotect(at, BYTES, PROT_READ);
	ready(at);
	mprotect(at, BYTES, PROT_READ | PROT_WRITE);
	fill(at, BYTES, AFTER);
	ready(at);
}

static void hidden(void *advice)
{
	long *at = map_private(BYTES);

	(void)advice;
	fill(at, BYTES, BEFORE);
	madvise(at, BYTES, MADV_DONTFORK);
	change(at, BYTES);
}

static void wiped(void *unused)
{
	long *at = map_private(BYTES);

	(void)unused;
	fill(at, BYTES, BEFORE);
	madvise(at, BYTES, MADV_WIPEONFORK);
	change(at, BYTES);
}

static void unmapped_later(void *unused)
{
	long *at = map_private(BYTES);

	(void)unused;
	fill(at, BYTES, BEFORE);
	ready(at);
	munmap(at, BYTES);
	if (mmap(at, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		die("mmap");
	fill(at, BYTES, AFTER);
	ready(at);
}

static int own_file(size_t bytes, bool shared)
{
	int fd = memfd_create("snap", 0);
	long *at;

	(void)shared;
	if (fd < 0 || ftruncate(fd, bytes))
		unable(errno);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		unable(errno);
	fill(at, bytes, BEFORE + 1);
	munmap(at, bytes);
	return fd;
}

static void private_file(void *unused)
{
	int fd = own_file(BYTES, false);
	long *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	(void)unused;
	fill(at, BYTES, BEFORE);
	change(at, BYTES);
}

static const struct {
	const char *name;
	void (*run)(void *);
} frozen_kinds[] = {
	{ "anonymous", plain }, { "mlocked", locked }, { "stack", on_stack }, { "read-only", read_only },
	{ "DONTFORK", hidden }, { "WIPEONFORK", wiped }, { "unmapped later", unmapped_later },
	{ "private file, written", private_file },
};

static void test_frozen(void)
{
	size_t i;

	for (i = 0; i < sizeof(frozen_kinds) / sizeof(*frozen_kinds); i++) {
		const char *name = frozen_kinds[i].name;

		if (!begin(frozen_kinds[i].run, name))
			continue;
		take(name);
		is(args.pages_copied, 0, "%s: by reference, none copied", name);
		frozen(name, BYTES);
		finish(name);
	}
}

static void no_access(void *unused)
{
	long *at = map_private(BYTES);

	(void)unused;
	fill(at, BYTES, BEFORE);
	mprotect(at, BYTES, PROT_NONE);
	ready(at);
}

/* By /proc/PID/mem; -1 if it cannot be read. */
static long read_file(pid_t pid, long address)
{
	char path[64];
	long value;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY);
	if (pread(fd, &value, sizeof(value), address) != sizeof(value))
		value = -1;
	close(fd);
	return value;
}

static void test_no_access(void)
{
	long value;

	if (!begin(no_access, "PROT_NONE"))
		return;
	take("PROT_NONE");
	ok(read_file(dup_pid, word[ADDRESS]) == BEFORE,
	   "PROT_NONE: its content is there for /proc/PID/mem");
	ok(read_memory(dup_pid, (void *)word[ADDRESS], &value, 8) < 0, "PROT_NONE: and it is still PROT_NONE");
	finish("PROT_NONE");
}

/* --- memory that goes on changing --- */

static void shared_anonymous(void *unused)
{
	long *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	fill(at, BYTES, BEFORE);
	change(at, BYTES);
}

static void shared_file(void *unused)
{
	int fd = own_file(BYTES, true);
	long *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)unused;
	fill(at, BYTES, BEFORE);
	change(at, BYTES);
}

/* Opened for reading: the kernel takes VM_SHARED away, and still it changes. */
static void shared_read_only(void *unused)
{
	int fd = own_file(BYTES, true), reader;
	char path[64];
	long *at, *writer;

	(void)unused;
	writer = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY);
	at = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, reader, 0);
	if (at == MAP_FAILED)
		unable(errno);
	fill(writer, BYTES, BEFORE);
	munmap(writer, BYTES);
	ready(at);
	writer = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fill(writer, BYTES, AFTER);
	ready(at);
}

static void test_live(void)
{
	static const struct {
		const char *name;
		void (*run)(void *);
	} kinds[] = {
		{ "shared anonymous", shared_anonymous }, { "shared file", shared_file },
		{ "shared file, opened for reading", shared_read_only },
	};
	long base;
	size_t i;

	begin(plain, "base");
	take("base");
	base = args.regions_live;
	finish("base");
	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (!begin(kinds[i].run, kinds[i].name))
			continue;
		take(kinds[i].name);
		is(args.regions_live, base + 1, "%s: counted as one that goes on changing", kinds[i].name);
		ok(filled(dup_pid, word[ADDRESS], BYTES, BEFORE), "%s: content is there", kinds[i].name);
		go_on();
		ok(filled(dup_pid, word[ADDRESS], BYTES, AFTER), "%s: and goes on changing", kinds[i].name);
		finish(kinds[i].name);
	}
}

/* --- the figures --- */

static void of_all_kinds(void *unused)
{
	long *at;
	int i;

	(void)unused;
	for (i = 0; i < 3; i++) {
		fill(at = map_private(BYTES), BYTES, BEFORE);
		mprotect((char *)at + PAGE, PAGE, PROT_READ);
	}
	fill(at = map_private(BYTES), BYTES, BEFORE);
	madvise(at, PAGE, MADV_DONTFORK);
	madvise((char *)at + 4 * PAGE, PAGE, MADV_WIPEONFORK);
	madvise((char *)at + 8 * PAGE, PAGE, MADV_DONTFORK);
	madvise((char *)at + 8 * PAGE, PAGE, MADV_WIPEONFORK);
	mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ready(at);
}

struct regions {
	long all, live, uncovered;
};

/* Count them as proc_snap.h defines them, from the flags that smaps shows. */
static void count_regions(pid_t pid, struct regions *found)
{
	static const char *const special[] = { " ms ", " sh ", " io ", " pf ", " mm " };
	char path[64], line[1024];
	FILE *file;
	size_t i;

	memset(found, 0, sizeof(*found));
	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strstr(line, "[vsyscall]")) {
			/* the kernel's, no region of the process */
			while (fgets(line, sizeof(line), file) && strncmp(line, "VmFlags", 7))
				;
			continue;
		}
		if (strncmp(line, "VmFlags:", 8))
			continue;
		found->all++;
		for (i = 0; i < sizeof(special) / sizeof(*special); i++)
			if (strstr(line, special[i])) {
				found->live++;
				break;
			}
		found->uncovered += strstr(line, " dc ") || strstr(line, " wf ");
	}
	if (file)
		fclose(file);
}

static void test_figures(void)
{
	struct regions ours, theirs;
	long rss;

	begin(of_all_kinds, "figures");
	count_regions(target, &theirs);
	take("figures");
	rss = smaps_kib(dup_pid, "Rss", NULL);
	count_regions(dup_pid, &ours);
	is(ours.all, theirs.all, "figures: the duplicate has all regions");
	is(args.regions_taken, ours.all, "figures: regions_taken");
	is(args.regions_live, ours.live, "figures: regions_live");
	is(args.regions_uncovered, 3, "figures: regions_uncovered");
	is(ours.uncovered, 3, "figures: as smaps shows");
	is(args.regions_left_out, 0, "figures: regions_left_out");
	is((args.pages_shared + args.pages_copied) * 4, rss, "figures: pages are the duplicate's Rss");
	ok(rss <= smaps_kib(target, "Rss", NULL), "figures: which is not over the target's");
	note("figures: %lld regions, %lld live; %lld pages shared, target's Rss %ld KiB; lock wait %lld us, held %lld us",
	     (long long)args.regions_taken, (long long)args.regions_live, (long long)args.pages_shared,
	     smaps_kib(target, "Rss", NULL), (long long)args.lock_wait_ns / 1000,
	     (long long)args.locked_ns / 1000);
	finish("figures");
}

static void large(void *unused)
{
	char *at = map_private(32 << 20);

	(void)unused;
	madvise(at, 32 << 20, MADV_NOHUGEPAGE);
	fill((long *)at, 32 << 20, BEFORE);
	change((long *)at, 32 << 20);
}

static void test_large(void)
{
	begin(large, "32 MiB");
	take("32 MiB");
	ok(args.pages_shared >= 8192 && args.pages_shared < 9216, "32 MiB: pages_shared is %lld",
	   (long long)args.pages_shared);
	frozen("32 MiB", 32 << 20);
	finish("32 MiB");
}

static void perf_mapping(void *unused)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	void *at;

	(void)unused;
	if (fd < 0)
		unable(errno);
	at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		unable(errno);
	ready(at);
}

static void test_left_out(void)
{
	struct regions ours, theirs;
	long value;

	if (!begin(perf_mapping, "perf buffer"))
		return;
	take("perf buffer");
	count_regions(target, &theirs);
	count_regions(dup_pid, &ours);
	is(args.regions_left_out, 1, "perf buffer: counted as left out");
	is(args.regions_uncovered, 0, "perf buffer: and not as uncovered");
	is(ours.all, theirs.all - 1, "perf buffer: it is left out");
	is(args.regions_taken, ours.all, "perf buffer: and the others are taken");
	ok(read_memory(dup_pid, (void *)word[ADDRESS], &value, 8) < 0, "perf buffer: there is nothing");
	finish("perf buffer");
}

/* --- huge pages --- */

static void thp(void *unused)
{
	long *at = map_aligned_huge(4 * HUGE_PAGE);

	(void)unused;
	if (madvise(at, 4 * HUGE_PAGE, MADV_HUGEPAGE))
		unable(errno);
	fill(at, 4 * HUGE_PAGE, BEFORE);
	change(at, 4 * HUGE_PAGE);
}

static void test_thp(void)
{
	void *at;

	if (!begin(thp, "THP"))
		return;
	at = (void *)word[ADDRESS];
	is(smaps_kib(target, "AnonHugePages", at), 8192, "THP: the target has huge pages");
	take("THP");
	is(smaps_kib(target, "AnonHugePages", at), 8192, "THP: the target keeps them");
	is(smaps_kib(dup_pid, "AnonHugePages", at), 8192, "THP: the duplicate has them too");
	ok(args.pages_shared >= 2048, "THP: each counts as 512 pages");
	frozen("THP", 4 * HUGE_PAGE);
	finish("THP");
}

static void hugetlb(void *unused)
{
	long *at = mmap(NULL, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	(void)unused;
	if (at == MAP_FAILED)
		unable(errno);
	fill(at, 2 * HUGE_PAGE, BEFORE);
	change(at, 2 * HUGE_PAGE);
}

static void hugetlb_shared(void *unused)
{
	long *at = mmap(NULL, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	(void)unused;
	if (at == MAP_FAILED)
		unable(errno);
	fill(at, 2 * HUGE_PAGE, BEFORE);
	change(at, 2 * HUGE_PAGE);
}

static void test_hugetlb(void)
{
	long got;

	write_text("/proc/sys/vm/nr_hugepages", "6");
	if (meminfo("HugePages_Total:") < 6) {
		skip("hugetlb", "no pool of huge pages");
		return;
	}
	if (begin(hugetlb, "hugetlb")) {
		take("hugetlb");
		frozen("hugetlb", 2 * HUGE_PAGE);
		finish("hugetlb");
	}
	if (begin(hugetlb_shared, "hugetlb, shared")) {
		take("hugetlb, shared");
		go_on();
		ok(filled(dup_pid, word[ADDRESS], 2 * HUGE_PAGE, AFTER), "hugetlb, shared: goes on changing");
		finish("hugetlb, shared");
	}
	ok(UNTIL(meminfo("HugePages_Free:") == 6), "hugetlb: the pool has all of them back");
	/* no page left for a copy: the target must not pay for it with its life */
	write_text("/proc/sys/vm/nr_hugepages", "2");
	if (begin(hugetlb, "hugetlb, short pool")) {
		take("hugetlb, short pool");
		/* not by process_vm_readv(), which pins: for that, a shared page is copied first */
		ok(read_file(dup_pid, word[ADDRESS]) == BEFORE, "hugetlb, short pool: content is there");
		ok(go_on(), "hugetlb, short pool: the target can write");
		ok(filled(target, word[ADDRESS], 2 * HUGE_PAGE, AFTER), "hugetlb, short pool: what it wants");
		got = read_file(dup_pid, word[ADDRESS]);
		ok(got == -1 || got == BEFORE, "hugetlb, short pool: the duplicate has lost it, or has it as it was");
		note("hugetlb, short pool: the duplicate's page %s", got == -1 ? "is lost, reading says so" : "is kept");
		finish("hugetlb, short pool");
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

static void test_swap(void)
{
	const char *device = begin_swap();
	long out;

	if (!device) {
		skip("swap", "neither /dev/zram0 nor /dev/ram0 to swap to");
		return;
	}
	begin(swapped, "swap");
	UNTIL(status_number(target, "VmSwap") > 2048);
	out = smaps_kib(target, "Swap", (void *)word[ADDRESS]);
	ok(out > 2048, "swap: %ld KiB of the target are out", out);
	take("swap");
	is(smaps_kib(target, "Swap", (void *)word[ADDRESS]), out, "swap: nothing was read in for it");
	is(smaps_kib(dup_pid, "Swap", (void *)word[ADDRESS]), out, "swap: the duplicate's are out too");
	frozen("swap", SWAPPED);
	finish("swap");

	begin(swapped, "swap");
	UNTIL(status_number(target, "VmSwap") > 2048);
	take("swap, switched off");
	end_target(target);
	ok(swapoff(device) == 0, "swapoff with a duplicate that has pages there");
	ok(filled(dup_pid, word[ADDRESS], SWAPPED, BEFORE), "swapoff: they are read in for it");
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
	if (!begin(mergeable, "KSM"))
		return;
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "1");
	write_text("/sys/kernel/mm/ksm/pages_to_scan", "2000");
	write_text("/sys/kernel/mm/ksm/run", "1");
	ok(UNTIL(sharing() > 200), "KSM: the target's pages are merged");
	take("KSM");
	ok(all_are(dup_pid, BEFORE), "KSM: content is there");
	pause_ms(100);
	ok(go_on(), "KSM: the target goes on");
	ok(all_are(target, AFTER), "KSM: the target has changed it");
	ok(all_are(dup_pid, BEFORE), "KSM: and the duplicate has not");
	ok(write_text("/sys/kernel/mm/ksm/run", "2"), "KSM: all can be unmerged while it lives");
	ok(all_are(dup_pid, BEFORE), "KSM: nor is it changed by that");
	finish("KSM");
	write_text("/sys/kernel/mm/ksm/run", "0");
}

/* --- userfaultfd --- */

static int fault_fd;
static char *missing;

static void *touch(void *unused)
{
	(void)unused;
	/* blocks until the monitor has answered */
	word[OTHER + 10] = missing[PAGE];
	word[OTHER + 11] = 1;
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
	missing = map_private(BYTES);
	fill((long *)missing, PAGE, BEFORE);
	range.range.start = (long)missing;
	range.range.len = BYTES;
	if (ioctl(fault_fd, UFFDIO_REGISTER, &range))
		unable(errno);
	protect.range.start = (long)missing;
	protect.range.len = PAGE;
	if (ioctl(fault_fd, UFFDIO_WRITEPROTECT, &protect))
		unable(errno);
	pthread_create(&thread, NULL, touch, NULL);
	poll_fd = (struct pollfd){ fault_fd, POLLIN, 0 };
	poll(&poll_fd, 1, 10000);
	if (read(fault_fd, &message, sizeof(message)) != sizeof(message))
		die("no fault");
	/* it stays blocked in its fault over the snapshot */
	ready(missing);
	poll_fd.revents = 0;
	word[OTHER + 12] = poll(&poll_fd, 1, 50);
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

	word[OTHER + 11] = word[OTHER + 12] = 0;
	if (!begin(faulting, "userfaultfd"))
		return;
	at = (void *)word[ADDRESS];
	begun = now();
	take("userfaultfd");
	ok(now() - begun < 5, "userfaultfd: the monitor does not hold it up");
	ok(smaps_flag(target, at, "um") == 1 && smaps_flag(target, at, "uw") == 1,
	   "userfaultfd: the target's region is watched");
	ok(smaps_flag(dup_pid, at, "um") == 0 && smaps_flag(dup_pid, at, "uw") == 0,
	   "userfaultfd: the duplicate's is not");
	is(peek(dup_pid, at), BEFORE, "userfaultfd: a page that is write-protected is there");
	begun = now();
	is(read_memory(dup_pid, at + 2 * PAGE, &value, 8), 8, "userfaultfd: one that is missing can be read");
	ok(!value && now() - begun < 5, "userfaultfd: as zeroes, at once");
	is(word[OTHER + 11], 0, "userfaultfd: the target's fault still waits");
	ok(go_on(), "userfaultfd: and is answered by its monitor");
	is(word[OTHER + 12], 0, "userfaultfd: who heard of no fork");
	finish("userfaultfd");
}

/* --- pinned pages --- */

#define PINNED	(8 * PAGE)

static void pinned(void *unused)
{
	struct io_uring_params params = { };
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct iovec buffer;
	int fd;

	(void)unused;
	setrlimit(RLIMIT_MEMLOCK, &none);
	fd = syscall(SYS_io_uring_setup, 4, &params);
	if (fd < 0)
		unable(errno);
	buffer.iov_base = map_private(PINNED);
	buffer.iov_len = PINNED;
	madvise(buffer.iov_base, PINNED, MADV_NOHUGEPAGE);
	fill(buffer.iov_base, PINNED, BEFORE);
	if (syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &buffer, 1))
		unable(errno);
	change(buffer.iov_base, PINNED);
}

static uint64_t frame(pid_t pid, long address)
{
	uint64_t entry = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	if (pread(fd, &entry, 8, address / PAGE * 8) != 8)
		entry = 0;
	close(fd);
	return entry & ((1UL << 55) - 1);
}

static void test_pinned(void)
{
	uint64_t before;

	if (!begin(pinned, "pinned pages"))
		return;
	before = frame(target, word[ADDRESS]);
	take("pinned pages");
	is(args.pages_copied, 8, "pinned pages: counted as copied");
	ok(frame(dup_pid, word[ADDRESS]) != before, "pinned pages: the duplicate has others");
	frozen("pinned pages", PINNED);
	ok(before && frame(target, word[ADDRESS]) == before, "pinned pages: the target keeps its own");
	finish("pinned pages");
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_frozen();
	test_no_access();
	test_live();
	test_figures();
	test_large();
	test_left_out();
	test_thp();
	test_hugetlb();
	test_swap();
	test_ksm();
	test_userfaultfd();
	test_pinned();
	return tap_end();
}
