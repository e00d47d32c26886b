// SPDX-License-Identifier: MIT
/*
 * changes MODE [PATH]: writes its count to the first word of one page after the
 * other of an area, round and round, so that what each page must hold follows
 * from the count alone (changes.ts); meanwhile the kernel, or the program, does
 * to that memory what MODE says. Says in hexadecimal: COUNTER AREA PAGES. Word 1
 * is the count, word 2 an errno where that cannot be done here.
 *   plain		nothing
 *   swap		pages are swapped out, and in
 *   ksm		every second page has the same content all the time, and is merged
 *   stack		the stack grows down to pages that were never there
 *   locked		mlockall(), with memory that comes and goes
 *   brk		the heap grows page by page, and is given up at the end of each round
 *   free		pages are given up by MADV_FREE: each holds what it did, or zeros
 *   huge		transparent huge pages
 *   file PATH		a private mapping of a file that is cut to nothing in each round, beside one that ends in the midst
 *   dropped PATH		the same, given up by MADV_DONTNEED
 *   hugetlb		a page of hugetlbfs, given up by MADV_DONTNEED in each round and there again before it is
 *			written to, by a fault or by the kernel alone; beside it so much that a copy takes some time
 *   guarded		every second page is a guard (MADV_GUARD_INSTALL), others become one in each round
 *   denied		each page may be read by nobody once it is written to (PROT_NONE)
 *   regions		each page is a region, some of them mapped anew before they are written to
 * Or it has, while it writes:
 *   filtered		a seccomp filter that kills it at userfaultfd(2), close(2) and pidfd_getfd(2)
 *   strict		seccomp(2)'s strict mode, which kills it at all but read(2) and write(2)
 *   user, dumpable	another user's rights, and a memory that others may not, or may read
 *   powerless		no capability, as root
 *   no-space, no-files	used up its RLIMIT_AS, its RLIMIT_NOFILE
 *   leaderless		no first thread any more
 *   vforks		children by vfork(2) that write in its place
 *   shared, orphaned	a process that shares its memory and writes to it, a child or not
 *   shared-leaderless	the same, whose first thread has ended
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/resource.h>
#include "target.h"

#define PAGE		4096L
#define PAGES		256L
#define SCRATCH_BYTES	(64 * PAGE)
#define STACK_PAGES	1800L		/* of the 8 MiB that a stack may have */
#define FREED_PAGES	8
#define POPULATE_READ	22		/* MADV_POPULATE_READ, Linux 5.14 */
#define GUARD_INSTALL	102		/* MADV_GUARD_INSTALL and MADV_GUARD_REMOVE, Linux 6.13 */
#define GUARD_REMOVE	103

static volatile uint64_t *counter;
static long pages = PAGES;
static char *area, *scratch;
static const char *mode;
static int file = -1;

static bool is(const char *name)
{
	return !strcmp(mode, name);
}

static void *map(long count, int protection)
{
	void *got = mmap(NULL, count * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(got != MAP_FAILED, "mmap");
	return got;
}

static void map_at(void *address, size_t bytes)
{
	need(mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED,
	     "mmap");
}

static char *page_at(long page)
{
	if (is("regions"))
		return area + 2 * page * PAGE;
	return area + (is("stack") ? pages - 1 - page : page) * PAGE;
}

/* Before page @page is written to. */
static void before(uint64_t count, long page)
{
	if (is("brk"))
		need((page || !brk(area)) && !brk(area + (page + 1) * PAGE), "brk");
	if (is("file") && !page) {
		need(!ftruncate(file, 0), "ftruncate");
		usleep(1000);
		need(!ftruncate(file, pages * PAGE), "ftruncate");
	}
	if (is("dropped") && !page)
		need(!madvise(area, pages * PAGE, MADV_DONTNEED), "madvise");
	if (is("hugetlb") && !page) {
		usleep(20000);
		need(!madvise(area, pages * PAGE, MADV_DONTNEED), "madvise");
		if (count / pages % 2)
			(void)*(volatile char *)area;
		else
			need(!madvise(area, pages * PAGE, POPULATE_READ), "MADV_POPULATE_READ");
		usleep(20000);
	}
	if (is("guarded") && !page)	/* what was there is gone */
		need(!madvise(area, pages * PAGE, GUARD_INSTALL) && !madvise(area, pages * PAGE, GUARD_REMOVE), "madvise");
	if (is("denied"))
		need(!mprotect(page_at(page), PAGE, PROT_READ | PROT_WRITE), "mprotect");
	if (is("regions") && count % 8 == 0)
		map_at(page_at(page), PAGE);
}

static void after(uint64_t count)
{
	char *some = area + count / 64 * FREED_PAGES % pages * PAGE;

	if (is("denied"))
		need(!mprotect(page_at(count % pages), PAGE, PROT_NONE), "mprotect");
	if (count % 64)
		return;
	if (is("swap"))
		madvise(area + count % pages * PAGE, 64 * PAGE, MADV_PAGEOUT);
	if (is("locked"))
		map_at(scratch, SCRATCH_BYTES);
	if (is("free"))
		need(!madvise(some, FREED_PAGES * PAGE, MADV_FREE), "madvise");
	if (is("free") && count % 128 == 0)	/* now, and not when memory is wanted */
		madvise(some, FREED_PAGES * PAGE, MADV_PAGEOUT);
}

/* Without a call: in strict mode that is the end. */
static void spin(void)
{
	for (volatile int i = 0; i < 100000; i++)
		;
}

static void step(uint64_t count)
{
	long page = count % pages;

	before(count, page);
	*(volatile uint64_t *)page_at(page) = is("ksm") && page % 2 ? 1 : count;
	*counter = count;
	after(count);
	word[1] = count;
}

/* Some steps by a child that has the same memory, for which the thread waits. */
static void step_in_child(void)
{
	pid_t child = vfork();

	if (!child) {
		for (int i = 0; i < 16; i++)
			step(*counter + 1);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void *write_on(void *arg)
{
	for (;;) {
		uint64_t count = *counter + 1;

		step(count);
		if (is("vforks") && count % 32 == 16)
			step_in_child();
		if (count % 32 == 0 && is("strict"))
			spin();
		else if (count % 32 == 0 || (is("stack") && count < (uint64_t)pages))
			usleep(200);
	}
	return arg;
}

static void filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_getfd, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
	need(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	need(!syscall(SYS_capset, &head, none), "capset");
}

static void map_file(const char *path)
{
	int other = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	need(file >= 0 && !ftruncate(file, pages * PAGE), path);
	area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	need(area != MAP_FAILED, "mmap");
	need(other >= 0 && !ftruncate(other, 10 * PAGE), "O_TMPFILE");
	scratch = mmap(NULL, SCRATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, other, 0);
	need(scratch != MAP_FAILED, "mmap");
	scratch[9 * PAGE] = 1;
}

static void map_area(const char *path)
{
	char here;

	if (is("stack")) {
		pages = STACK_PAGES;
		/* 64 pages further down: nothing has been there. */
		area = (char *)((uintptr_t)&here & -PAGE) - (64 + pages) * PAGE;
	} else if (is("brk")) {
		area = (char *)(((uintptr_t)sbrk(0) + PAGE - 1) & -PAGE);
	} else if (is("file") || is("dropped")) {
		map_file(path);
	} else if (is("huge")) {
		area = map(4 * PAGES, PROT_READ | PROT_WRITE);
		area += -(uintptr_t)area % (2L << 20);
		pages = 2 * PAGES;
		word[2] = madvise(area, pages * PAGE, MADV_HUGEPAGE) ? errno : 0;
	} else if (is("hugetlb")) {
		pages = 2 * PAGES;
		area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		need(area != MAP_FAILED, "mmap");
		memset(map(32 * PAGES, PROT_READ | PROT_WRITE), 1, 32 * PAGES * PAGE);
	} else if (is("regions")) {
		pages = 1000;
		area = map(2 * pages, PROT_NONE);
		for (long page = 0; page < pages; page++)
			map_at(page_at(page), PAGE);
	} else {
		area = map(pages, PROT_READ | PROT_WRITE);
	}
	if (is("ksm"))
		word[2] = madvise(area, pages * PAGE, MADV_MERGEABLE) ? errno : 0;
	if (is("guarded")) {
		scratch = map(SCRATCH_BYTES / PAGE, PROT_READ | PROT_WRITE);
		for (long at = 0; at < SCRATCH_BYTES; at += 2 * PAGE)
			word[2] = madvise(scratch + at, PAGE, GUARD_INSTALL) ? errno : word[2];
		for (long at = PAGE; at < SCRATCH_BYTES; at += 2 * PAGE)
			scratch[at] = 1;
	}
	for (long page = 0; is("huge") && page < pages; page++)
		*(volatile uint64_t *)page_at(page) = 0;
}

static void become(void)
{
	struct rlimit none = { 0, 0 };

	if (is("locked")) {
		scratch = map(SCRATCH_BYTES / PAGE, PROT_READ | PROT_WRITE);
		word[2] = mlockall(MCL_CURRENT | MCL_FUTURE) ? errno : 0;
	}
	if (is("user") || is("dumpable"))
		need(!setgid(65534) && !setuid(65534) && !prctl(PR_SET_DUMPABLE, is("dumpable")), "setuid");
	if (is("powerless"))
		drop_capabilities();
	if (is("no-space"))
		need(!setrlimit(RLIMIT_AS, &none), "RLIMIT_AS");
	if (is("no-files")) {
		need(!getrlimit(RLIMIT_NOFILE, &none), "RLIMIT_NOFILE");
		none.rlim_cur = dup(1);
		close(none.rlim_cur);
		need(!setrlimit(RLIMIT_NOFILE, &none), "RLIMIT_NOFILE");
	}
	if (is("filtered"))
		filter();
	if (is("strict"))
		need(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT), "PR_SET_SECCOMP");
}

static int share(void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_on(arg);
	return 0;
}

/* A process whose first thread ends, while another one writes on. */
static int share_leaderless(void *arg)
{
	clone(share, (char *)arg - 8 * PAGE, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, NULL);
	syscall(SYS_exit, 0);
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	mode = argc > 1 ? argv[1] : "";
	counter = map(1, PROT_READ | PROT_WRITE);
	map_area(argc > 2 ? argv[2] : NULL);
	printf("%lx %lx %lx\n", (long)counter, (long)area, pages);
	ready();
	if (is("shared") || is("orphaned") || is("shared-leaderless")) {
		char *stack = map(16, PROT_READ | PROT_WRITE);
		int relation = is("orphaned") ? CLONE_PARENT : 0;

		word[3] = clone(is("shared-leaderless") ? share_leaderless : share, stack + 16 * PAGE,
				CLONE_VM | SIGCHLD | relation, is("shared-leaderless") ? stack + 16 * PAGE : NULL);
		need(word[3] > 0, "clone");
		for (;;)
			pause();
	}
	if (is("leaderless")) {
		need(!pthread_create(&thread, NULL, write_on, NULL), "pthread_create");
		pthread_exit(NULL);
	}
	become();
	write_on(NULL);
}
