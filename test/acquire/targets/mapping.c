// SPDX-License-Identifier: MIT
/*
 * mapping PATH [exec]: has mapped the file at PATH, private and read only, and looked at nothing of it. `ready` on a
 * line, then waits for the end of its standard input.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = argc < 2 ? -1 : open(argv[1], O_RDONLY);
	struct stat st;
	char byte;

	if (fd < 0 || fstat(fd, &st) ||
	    mmap(NULL, st.st_size, PROT_READ | (argc > 2 ? PROT_EXEC : 0), MAP_PRIVATE, fd, 0) == MAP_FAILED) {
		perror("mapping");
		return 1;
	}
	close(fd);
	printf("ready\n");
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}
