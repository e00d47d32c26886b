// SPDX-License-Identifier: GPL-2.0
/*
 * A duplicate does not keep the target from what it may do only while nobody has
 * mapped something of its: a socket's ring, a memfd that is to be sealed. And what
 * the target keeps from others is kept from them in the duplicate.
 * --rounds=N (40)
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frozen.h"

enum { RESULT = FREE, SECRET, WHEN, BEFORE_IT, AFTER_IT, WITHIN };
#define TABLES	1500

/* --- a packet socket's ring --- */

static void ring(void *unused)
{
	struct tpacket_req size = { PAGE, 4, 2048, 8 }, none = { };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	void *at;

	(void)unused;
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &size, sizeof(size)))
		unable(errno);
	at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		unable(errno);
	ready(at);
	munmap(at, 4 * PAGE);
	word[RESULT] = setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &none, sizeof(none)) ? -errno : 0;
	ready(at);
}

static void test_ring(void)
{
	static const char what[] = "a packet socket's ring";

	if (!begin_and_take(ring, NULL, what))
		return;
	is(args.regions_left_out, 1, "%s: counted as left out", what);
	ok(go_on(), "%s: the target goes on", what);
	is(word[RESULT], 0, "%s: it can be given back while there is a duplicate", what);
	finish();
}

/* --- a memfd that can be sealed --- */

#define BYTES	(4 * PAGE)

static void sealing(void *flags)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING | (unsigned int)(long)flags);
	size_t bytes = flags ? HUGE_PAGE : BYTES;
	long *at;

	if (fd < 0 || ftruncate(fd, bytes))
		unable(errno);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		unable(errno);
	fill(at, BYTES, BEFORE);
	ready(at);
	fill(at, BYTES, AFTER);
	munmap(at, bytes);
	word[RESULT] = fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) ? -errno : 0;
	ready(at);
}

static void test_seals(long flags, const char *what)
{
	if (!begin_and_take(sealing, (void *)flags, what))
		return;
	ok(filled(dup_pid, BYTES, BEFORE), "%s: the duplicate has its content", what);
	ok(go_on(), "%s: the target goes on", what);
	is(word[RESULT], 0, "%s: it can be sealed while there is a duplicate", what);
	ok(filled(dup_pid, BYTES, AFTER), "%s: which goes on showing what it is now", what);
	is(smaps_flag(dup_pid, (void *)word[ADDRESS], "wr"), 0, "%s: and has it read-only", what);
	finish();
}

/* --- what the target hides for a while --- */

static void *map_and_unmap(void *unused)
{
	char *at = map_sparse(64);

	(void)unused;
	/* each holds the lock that the snapshot waits for */
	for (;;) {
		mprotect(at, 64 * HUGE_PAGE, PROT_READ);
		mprotect(at, 64 * HUGE_PAGE, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

#define HOLDS	0x736563726574L

static void hiding(void *unused)
{
	volatile long *secret = map_private(PAGE);
	pthread_t thread;
	int i;

	(void)unused;
	become(1000);
	*secret = 0;
	for (i = 0; i < 2; i++)
		pthread_create(&thread, NULL, map_and_unmap, NULL);
	word[ADDRESS] = (long)secret;
	word[READY] = 1;
	for (;;) {
		prctl(PR_SET_DUMPABLE, 0);
		*secret = HOLDS;
		sched_yield();
		*secret = 0;
		prctl(PR_SET_DUMPABLE, 1);
		pause_ms(1);
	}
}

/* As the target's own user, who may trace it whenever it is dumpable. */
static long peeping(void *rounds)
{
	double end = now() + patience_s() / 2;
	long seen = 0, value;

	become(1000);
	while (word[SECRET] < (long)rounds && now() < end) {
		dup_pid = snap(target);
		if (dup_pid <= 0)
			continue;
		word[SECRET]++;
		if (read_memory(dup_pid, (void *)word[ADDRESS], &value, 8) == 8)
			seen += value == HOLDS;
		snap_end(dup_pid);
	}
	return seen;
}

static void test_dumpable(void)
{
	static const char what[] = "not dumpable for a while";

	word[SECRET] = 0;
	if (!begin(hiding, NULL, what))
		return;
	is(in_child(peeping, (void *)option("rounds", 40)), 0, "%s: nothing of it is seen", what);
	ok(word[SECRET] > 0, "%s: in %ld duplicates", what, word[SECRET]);
	end_target(target);
}

/*
 * Not dumpable when the copy begins, and dumpable before it ends: as in between there
 * is no moment that is known from outside, the target does it at a time that it is
 * told, and what did not fall into the copy does not count.
 */
static void allowing(void *unused)
{
	(void)unused;
	map_sparse(TABLES);
	become(1000);
	for (;;) {
		prctl(PR_SET_DUMPABLE, 0);
		ready(word);
		while (now_ns() < (uint64_t)word[WHEN])
			;
		word[BEFORE_IT] = now_ns();
		prctl(PR_SET_DUMPABLE, 1);
		word[AFTER_IT] = now_ns();
		ready(word);
	}
}

/* Only root's are the files of what is not dumpable. */
static bool shut(pid_t pid)
{
	struct stat status;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	return !stat(path, &status) && status.st_uid == 0;
}

/* As the target's own user, who may trace it also when it is not. */
static long open_ones(void *what)
{
	double end = now() + patience_s() / 2;
	uint64_t usual = 20000000, called;
	long tries, open = 0;

	become_capable(1000, CAP_SYS_PTRACE);
	for (tries = 0; word[WITHIN] < 5 && now() < end; tries++) {
		called = now_ns();
		word[WHEN] = called + usual / 8 * (1 + tries % 7);
		word[COMMAND]++;
		dup_pid = snap_figures(target, &args, NULL, 0);
		if (dup_pid < 0)
			die("no duplicate: %d", dup_pid);
		usual = now_ns() - called;
		called = now_ns();
		UNTIL(word[READY] == word[COMMAND] + 1);
		/* the lock was held for so long before the call returned, or earlier */
		if (called - args.locked_ns < (uint64_t)word[BEFORE_IT] && (uint64_t)word[AFTER_IT] < args.moment_ns) {
			word[WITHIN]++;
			open += !shut(dup_pid);
		}
		snap_end(dup_pid);
		go_on();
	}
	note("%s: %ld tries", (char *)what, tries);
	return open;
}

static void test_allowed(void)
{
	static char what[] = "dumpable at the end of the copy only";

	word[WITHIN] = 0;
	if (!begin(allowing, NULL, what))
		return;
	is(in_child(open_ones, what), 0, "%s: the duplicate is not", what);
	ok(word[WITHIN] > 0, "%s: it was %ld times", what, word[WITHIN]);
	end_target(target);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_ring();
	test_seals(0, "a memfd");
	write_text("/proc/sys/vm/nr_hugepages", "4");
	test_seals(MFD_HUGETLB, "a memfd of huge pages");
	write_text("/proc/sys/vm/nr_hugepages", "0");
	test_dumpable();
	test_allowed();
	return tap_end();
}
