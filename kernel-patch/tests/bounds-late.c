// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that are made after they were counted: so many are taken, and with one
 * more the call fails. The call is held up in between, as somebody reads a page of
 * the target's that comes from a file whose server does not answer, and so has the
 * target's mmap_lock.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bounds.h"

#define FILE_PATH	"/tmp/snap-late"
/* What the kernel takes of late threads: so many, or as many as were counted. */
#define LATE		64

enum { READY = 1, ADDRESS, COMMAND, MADE, CALLED, TAKEN, ANSWER };

/*
 * A thread that only sleeps. Neither its maker nor it needs a lock or a page that
 * the target has not got: it uses no stack.
 */
static long make_thread(void)
{
	register long none asm("r10") = 0;
	register long tls asm("r8") = 0;
	long ret;

	asm volatile("	syscall\n"
		     "	test	%%rax, %%rax\n"
		     "	jnz	2f\n"
		     "1:	mov	%[pause], %%eax\n"
		     "	syscall\n"
		     "	jmp	1b\n"
		     "2:\n"
		     : "=a"(ret)
		     : "a"(SYS_clone), "D"(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
					   CLONE_THREAD | CLONE_SYSVSEM),
		       "S"(0), "d"(0), "r"(none), "r"(tls), [pause] "i"(SYS_pause)
		     : "rcx", "r11", "cc", "memory");
	return ret;
}

static void making(void *early)
{
	int fd = open(FILE_PATH, O_RDONLY);
	void *at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	struct stat status;
	long threads;

	/* its size is not known before it was asked for, and beyond it nothing can be read */
	if (fd < 0 || at == MAP_FAILED || madvise(at, PAGE, MADV_RANDOM) || fstat(fd, &status))
		die("the file cannot be mapped");
	for (threads = 1; threads < (long)early; threads++)
		make_thread();
	word[ADDRESS] = (long)at;
	word[READY] = 1;
	while (!word[COMMAND])
		usleep(1000);
	while (word[MADE] < word[COMMAND] && make_thread() > 0)
		word[MADE]++;
	sleep_for_ever();
}

static void reading(void *target)
{
	char byte;

	read_of((long)target, "mem", word[ADDRESS], &byte, 1);
	sleep_for_ever();
}

static void calling(void *target)
{
	struct proc_snap_args args;
	pid_t dup = snap_figures((long)target, &args, NULL, 0);

	word[TAKEN] = args.nr_threads;
	word[ANSWER] = children(getpid());
	word[CALLED] = dup;
	if (dup > 0)
		snap_end(dup);
	sleep_for_ever();
}

static void late(long early, long made, bool taken)
{
	struct proc_snap_args args;
	pid_t target, reader, caller, dup;
	char what[64];

	snprintf(what, sizeof(what), "%ld threads and %ld late ones", early, made);
	if (!fuse_begin(FILE_PATH)) {
		skip(what, "no FUSE");
		return;
	}
	word[READY] = word[COMMAND] = word[MADE] = word[CALLED] = 0;
	target = spawn(making, (void *)early);
	wait_word(READY, 1);
	reader = spawn(reading, (void *)(long)target);
	ok(fuse_await_read(), "%s: somebody has the target's lock", what);
	caller = spawn(calling, (void *)(long)target);
	ok(await_state(caller, "D"), "%s: the call waits for it", what);
	word[COMMAND] = made;
	ok(UNTIL(word[MADE] == made), "%s: and the target makes them", what);
	is(word[CALLED], 0, "%s: while it waits", what);
	fuse_answer();
	ok(UNTIL(word[CALLED]), "%s: the call returns", what);
	if (taken) {
		ok(word[CALLED] > 0, "%s: a duplicate", what);
		is(word[TAKEN], early + made, "%s: of all of them", what);
	} else {
		is(word[CALLED], -EAGAIN, "%s: given up", what);
		is(word[ANSWER], 0, "%s: and nothing is left", what);
	}
	is(threads_of(target), early + made, "%s: the target has all of them", what);
	dup = snap_figures(target, &args, NULL, 0);
	ok(dup > 0 && args.nr_threads == early + made, "%s: taken once they are there", what);
	snap_end(dup);
	end_target(caller);
	end_target(reader);
	end_target(target);
	fuse_end(FILE_PATH);
}

void test_late(void)
{
	late(1, LATE, true);
	late(1, LATE + 1, false);
	late(100, 100, true);
	late(100, 101, false);
}
