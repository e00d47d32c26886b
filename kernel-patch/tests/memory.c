// SPDX-License-Identifier: GPL-2.0
/*
 * Memory as a program maps it: that the duplicate has it, that it stays as it was
 * when the target changes it (or is counted as memory that does not), and that
 * the figures say what was done.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "frozen.h"

#define BYTES	(16 * PAGE)

/* --- memory that stays as it was --- */

static void anonymous(void *advice)
{
	long *at = map_private(BYTES);

	fill(at, BYTES, BEFORE);
	madvise(at, BYTES, (long)advice);
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
	fill_and_change(at, BYTES);
}

static void on_stack(void *unused)
{
	long at[BYTES / sizeof(long)] __attribute__((aligned(4096)));

	(void)unused;
	fill_and_change(at, BYTES);
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

static int own_file(void)
{
	int fd = memfd_create("snap", 0);
	long *at;

	if (fd < 0 || ftruncate(fd, BYTES))
		unable(errno);
	at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		unable(errno);
	fill(at, BYTES, BEFORE + 1);
	munmap(at, BYTES);
	return fd;
}

static void private_file(void *unused)
{
	int fd = own_file();
	long *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	(void)unused;
	fill_and_change(at, BYTES);
}

static void test_frozen(void)
{
	static const struct {
		const char *name;
		void (*run)(void *);
		void *argument;
	} kinds[] = {
		{ "anonymous", anonymous, (void *)MADV_NORMAL }, { "mlocked", locked, NULL },
		{ "stack", on_stack, NULL }, { "read-only", read_only, NULL },
		{ "DONTFORK", anonymous, (void *)MADV_DONTFORK },
		{ "WIPEONFORK", anonymous, (void *)MADV_WIPEONFORK },
		{ "unmapped later", unmapped_later, NULL }, { "private file, written", private_file, NULL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!begin_and_take(kinds[i].run, kinds[i].argument, kinds[i].name))
			continue;
		ok((long)args.pages_copied <= in_batches(), "%s: by reference, %lld copied", kinds[i].name,
		   (long long)args.pages_copied);
		frozen(BYTES);
		finish();
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

static void test_no_access(void)
{
	long value;

	if (!begin_and_take(no_access, NULL, "PROT_NONE"))
		return;
	ok(first_long() == BEFORE, "PROT_NONE: its content is there for /proc/PID/mem");
	ok(read_memory(dup_pid, (void *)word[ADDRESS], &value, 8) < 0, "PROT_NONE: and it is still PROT_NONE");
	finish();
}

/* --- memory that goes on changing --- */

static void shared_anonymous(void *unused)
{
	long *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	fill_and_change(at, BYTES);
}

static void shared_file(void *unused)
{
	int fd = own_file();
	long *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)unused;
	fill_and_change(at, BYTES);
}

/* Opened for reading: the kernel takes VM_SHARED away, and still it changes. */
static void shared_read_only(void *unused)
{
	int fd = own_file(), reader;
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

	begin_and_take(anonymous, (void *)MADV_NORMAL, "base");
	base = args.regions_live;
	finish();
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!begin_and_take(kinds[i].run, NULL, kinds[i].name))
			continue;
		is(args.regions_live, base + 1, "%s: counted as one that goes on changing", kinds[i].name);
		ok(filled(dup_pid, BYTES, BEFORE), "%s: content is there", kinds[i].name);
		go_on();
		ok(filled(dup_pid, BYTES, AFTER), "%s: and goes on changing", kinds[i].name);
		finish();
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
		for (i = 0; i < ARRAY_SIZE(special); i++)
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

	begin(of_all_kinds, NULL, "figures");
	count_regions(target, &theirs);
	take();
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
	finish();
}

static void large(void *unused)
{
	long *at = map_private(32 << 20);

	(void)unused;
	madvise(at, 32 << 20, MADV_NOHUGEPAGE);
	fill_and_change(at, 32 << 20);
}

static void test_large(void)
{
	begin_and_take(large, NULL, "32 MiB");
	ok((long)args.pages_shared >= 8192 - in_batches() && args.pages_shared < 9216,
	   "32 MiB: pages_shared is %lld", (long long)args.pages_shared);
	frozen(32 << 20);
	finish();
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

	if (!begin_and_take(perf_mapping, NULL, "perf buffer"))
		return;
	count_regions(target, &theirs);
	count_regions(dup_pid, &ours);
	is(args.regions_left_out, 1, "perf buffer: counted as left out");
	is(args.regions_uncovered, 0, "perf buffer: and not as uncovered");
	is(ours.all, theirs.all - 1, "perf buffer: it is left out");
	is(args.regions_taken, ours.all, "perf buffer: and the others are taken");
	ok(read_memory(dup_pid, (void *)word[ADDRESS], &value, 8) < 0, "perf buffer: there is nothing");
	finish();
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
	return tap_end();
}
