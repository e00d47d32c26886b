// SPDX-License-Identifier: MIT
/*
 * Memory of 'k' that a fork leaves out (MADV_DONTFORK). Words: 1 where it is, 2 its bytes.
 *   left-out plain BYTES	it may be read and written to
 *   left-out none BYTES	the process may not read it itself now (PROT_NONE)
 *   left-out deep BYTES	a file is mapped below it whose path is some 20,000 bytes long: folders of the working one
 */
#include <fcntl.h>
#include <sys/stat.h>
#include "target.h"

#define PAGE	4096L
#define DEPTH	80
#define NAME	250

/* Its folders go again at once: it is shown with its path all the same. */
static void map_deep_file(char *at)
{
	char name[NAME + 1];
	int file;

	memset(name, 'd', NAME);
	name[NAME] = 0;
	for (int i = 0; i < DEPTH; i++)
		need(!mkdir(name, 0700) && !chdir(name), "mkdir");
	file = open("file", O_RDWR | O_CREAT, 0600);
	need(file >= 0 && !ftruncate(file, PAGE), "file");
	need(mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0) == at, "mmap");
	close(file);
	need(!unlink("file"), "unlink");
	for (int i = 0; i < DEPTH; i++)
		need(!chdir("..") && !rmdir(name), "rmdir");
}

int main(int argc, char **argv)
{
	need(argc == 3, "left-out KIND BYTES");
	long bytes = atol(argv[2]);
	char *below = mmap(NULL, 2 * PAGE + bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *at = below + 2 * PAGE;

	need(below != MAP_FAILED && !mprotect(at, bytes, PROT_READ | PROT_WRITE), "mmap");
	memset(at, 'k', bytes);
	need(!madvise(at, bytes, MADV_DONTFORK), "madvise");
	if (!strcmp(argv[1], "none"))
		need(!mprotect(at, bytes, PROT_NONE), "mprotect");
	if (!strcmp(argv[1], "deep"))
		map_deep_file(below);
	word[1] = (long)at;
	word[2] = bytes;
	ready();
	for (;;)
		pause();
}
