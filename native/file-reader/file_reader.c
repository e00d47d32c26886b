// SPDX-License-Identifier: MIT
/*
 * A process that reads files in another one's place, since a read may never come back: a page of a file on a file
 * server that does not answer makes whoever asks for it wait in the kernel, and not even SIGKILL ends that on all
 * kernels. Who asks stays free, and lets go of this process when it takes too long.
 *
 * Standard input has requests: struct request, then its path. Standard output has replies in the same order: struct
 * reply, then its bytes. A file stays open until another path is asked for; `#N` is descriptor N, which it was given:
 * to open /proc/PID/mem once more could lead to another program's memory. It ends with its standard input, and with
 * the process that has started it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The same in acquire/evidence/file-reader.ts. */
struct request {
	uint64_t offset;
	uint32_t length;	/* 0: what stat(2) says of the file, instead of its bytes */
	uint32_t path_bytes;
};

struct reply {
	int32_t error;	/* errno; 0: none */
	uint32_t length;	/* of the bytes that follow; fewer than asked for at the end of the file */
};

/* Of a file as it was when it was opened. */
struct about {
	uint64_t size, inode;
};

#define MOST_BYTES (1u << 20)

static char opened[PATH_MAX];
static int fd = -1;

static int whole(int (*some)(void *at, size_t bytes), void *at, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		int count = some((char *)at + done, bytes - done);

		if (count <= 0)
			return -1;
		done += (size_t)count;
	}
	return 0;
}

static int from_input(void *at, size_t bytes)
{
	return (int)TEMP_FAILURE_RETRY(read(STDIN_FILENO, at, bytes));
}

static int to_output(void *at, size_t bytes)
{
	return (int)TEMP_FAILURE_RETRY(write(STDOUT_FILENO, at, bytes));
}

/* A descriptor, or -errno. O_NONBLOCK: to open a pipe must not wait for its other end. */
static int open_file(const char *path)
{
	if (path[0] == '#')
		return atoi(path + 1);
	if (fd >= 0 && strcmp(path, opened) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	strcpy(opened, path);
	return fd;
}

static struct reply serve(const struct request *request, const char *path, char *room)
{
	struct reply reply = { 0 };
	int file = open_file(path);
	ssize_t count;

	if (file < 0)
		return (struct reply){ .error = -file };
	if (request->length == 0) {
		struct stat st;

		if (fstat(file, &st) < 0)
			return (struct reply){ .error = errno };
		*(struct about *)room = (struct about){
			.size = (uint64_t)st.st_size, .inode = st.st_ino,
		};
		reply.length = sizeof(struct about);
		return reply;
	}
	count = TEMP_FAILURE_RETRY(pread(file, room, request->length, (off_t)request->offset));
	if (count < 0)
		reply.error = errno;
	else
		reply.length = (uint32_t)count;
	return reply;
}

int main(int argc, char **argv)
{
	static char room[MOST_BYTES] __attribute__((aligned(4096)));
	static char path[PATH_MAX];
	struct request request;

	/* Who has started it may have ended before this: then nobody is left to tell. */
	if (argc != 2 || prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != atoi(argv[1])) {
		fprintf(stderr, "procsnap-reader: it is started by procsnap, with its pid\n");
		return 2;
	}
	while (whole(from_input, &request, sizeof(request)) == 0) {
		struct reply reply;

		if (request.length > MOST_BYTES || request.path_bytes >= PATH_MAX)
			return 1;
		if (whole(from_input, path, request.path_bytes) < 0)
			break;
		path[request.path_bytes] = '\0';
		reply = serve(&request, path, room);
		if (whole(to_output, &reply, sizeof(reply)) < 0 || whole(to_output, room, reply.length) < 0)
			break;
	}
	return 0;
}
