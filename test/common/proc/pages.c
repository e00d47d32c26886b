// SPDX-License-Identifier: MIT
/*
 * pages FILE: has known pages of four regions, prints their addresses (private
 * anonymous, shared anonymous, private of the file, a large one), then sleeps
 * until its parent has ended.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAGE	4096L
#define PAGES	64
/* More than one read of the pagemap tells. */
#define LARGE	(300000 * PAGE)

static char *map(long bytes, int flags, int fd)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);

	if (at == MAP_FAILED)
		_exit(1);
	madvise(at, bytes, MADV_NOHUGEPAGE);
	return at;
}

int main(int argc, char **argv)
{
	char *own = map(PAGES * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1),
		 *shared = map(PAGES * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
	char *file = map(PAGES * PAGE, MAP_PRIVATE, open(argv[argc - 1], O_RDONLY)),
		 *large = map(LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	const long touched[] = { 0, 131070, 131071, 131072, 131073, 262143, 262144, 299999 };
	volatile char sum = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < PAGES; i++) {
		if (i % 3 == 0)
			own[i * PAGE] = shared[i * PAGE] = 1;
		if (i % 8 < 2)
			file[i * PAGE] = 1;
		sum += file[i * PAGE];
	}
	for (unsigned int i = 0; i < sizeof(touched) / sizeof(*touched); i++)
		large[touched[i] * PAGE] = 1;
	printf("%ld %ld %ld %ld\n", (long)own, (long)shared, (long)file, (long)large);
	fflush(stdout);
	for (;;)
		pause();
}
