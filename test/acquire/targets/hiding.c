// SPDX-License-Identifier: MIT
/*
 * Memory that a taker might overlook. Words: 1 where it is, 2 how many pages it has.
 *   hiding file|data FILE PAGE...	FILE, mapped privately to be written to, `file`: as code too, `data`: with 2 pages
 *				more than it has; these pages are all 'w'
 *   hiding shared FILE		FILE, mapped shared
 *   hiding moving BYTES ADVICE [shared]	so many bytes of 'k', with that madvise(2) (dontfork, wipeonfork), that are
 *				never for 0.2 ms where they were before; 3 and 4: somewhere in there
 *   hiding huge PAGES		huge pages of 'h'; again and again a number is written to the first byte of each
 */
#include <fcntl.h>
#include <sys/stat.h>
#include "target.h"

#define PAGE	4096
#define HUGE	(2L << 20)
#define PLACES	4096L
#define RW	(PROT_READ | PROT_WRITE)

static char *have(char *at, long bytes)
{
	need(at != MAP_FAILED, "mmap");
	word[1] = (long)at;
	word[2] = bytes / PAGE;
	return at;
}

static void map_file(int count, char **argv, int protection, int flags, long more)
{
	int file = open(argv[0], O_RDWR);
	struct stat found;
	long bytes;
	char *at;

	need(file >= 0 && !fstat(file, &found), argv[0]);
	bytes = S_ISREG(found.st_mode) ? (found.st_size + PAGE - 1) / PAGE * PAGE + more * PAGE : 4 * PAGE;
	at = have(mmap(NULL, bytes, protection, flags, file, 0), bytes);
	for (int i = 1; i < count; i++)
		memset(at + atol(argv[i]) * PAGE, 'w', PAGE);
	close(file);
	ready();
	for (;;)
		pause();
}

static void move(long bytes, int advice, int flags)
{
	const struct timespec rest = { 0, 200000 };
	char *all = mmap(NULL, PLACES * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *at;

	need(all != MAP_FAILED, "mmap");
	word[3] = (long)all;
	word[4] = (long)all + PLACES * bytes;
	at = have(mmap(all, bytes, RW, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0), bytes);
	memset(at, 'k', bytes);
	need(!madvise(at, bytes, advice), "madvise");
	ready();
	for (long place = 1;; place++) {
		at = mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, all + place % PLACES * bytes);
		need(at != MAP_FAILED, "mremap");
		word[1] = (long)at;
		nanosleep(&rest, NULL);
	}
}

static void huge(long pages)
{
	const struct timespec rest = { 0, 100000 };
	char *at = have(mmap(NULL, pages * HUGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0), pages * HUGE);

	memset(at, 'h', pages * HUGE);
	ready();
	for (char number = 0;; number++, nanosleep(&rest, NULL))
		for (long page = 0; page < pages; page++)
			at[page * HUGE] = number;
}

int main(int argc, char **argv)
{
	need(argc > 2, "hiding WHAT ...");
	if (!strcmp(argv[1], "file"))
		map_file(argc - 2, argv + 2, RW | PROT_EXEC, MAP_PRIVATE, 0);
	if (!strcmp(argv[1], "data"))
		map_file(argc - 2, argv + 2, RW, MAP_PRIVATE, 2);
	if (!strcmp(argv[1], "shared"))
		map_file(argc - 2, argv + 2, RW, MAP_SHARED, 0);
	if (!strcmp(argv[1], "moving"))
		move(atol(argv[2]), strcmp(argv[3], "dontfork") ? MADV_WIPEONFORK : MADV_DONTFORK,
		     argc > 4 ? MAP_SHARED : MAP_PRIVATE);
	if (!strcmp(argv[1], "huge"))
		huge(atol(argv[2]));
}
