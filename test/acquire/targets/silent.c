// SPDX-License-Identifier: MIT
/*
 * silent FOLDER: a file system in user space (FUSE) with one file, `f`, of 64 pages. Once it has been told so, a line
 * on its standard input, it answers no read any more. Says `ready` on a line when it is mounted, and goes with its
 * standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (64 * 4096)

static int fd;

static void reply(uint64_t unique, int error, const void *content, size_t bytes)
{
	static char room[1 << 18];
	struct fuse_out_header *head = (void *)room;

	*head = (struct fuse_out_header){ .len = sizeof(*head) + bytes, .error = error, .unique = unique };
	memcpy(room + sizeof(*head), content, bytes);
	if (write(fd, room, head->len) < 0 && errno != ENOENT)
		perror("write");
}

static struct fuse_attr about(uint64_t node)
{
	return (struct fuse_attr){ .ino = node, .mode = node == 1 ? S_IFDIR | 0755 : S_IFREG | 0755, .nlink = 1,
				   .size = node == 1 ? 0 : SIZE, .blksize = 4096 };
}

static void serve(struct fuse_in_header *in, void *argument, bool silent)
{
	struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = 65536 };
	struct fuse_entry_out entry = { .nodeid = 2, .attr_valid = 100, .entry_valid = 100, .attr = about(2) };
	struct fuse_attr_out attributes = { .attr_valid = 100, .attr = about(in->nodeid) };
	struct fuse_open_out open = { .open_flags = FOPEN_KEEP_CACHE };
	struct fuse_read_in *wanted = argument;
	static char content[1 << 17];

	switch (in->opcode) {
	case FUSE_INIT:
		return reply(in->unique, 0, &init, sizeof(init));
	case FUSE_LOOKUP:
		return strcmp(argument, "f") ? reply(in->unique, -ENOENT, NULL, 0)
					     : reply(in->unique, 0, &entry, sizeof(entry));
	case FUSE_GETATTR:
		return reply(in->unique, 0, &attributes, sizeof(attributes));
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		return reply(in->unique, 0, &open, sizeof(open));
	case FUSE_READ:
		if (silent)
			return;
		memset(content, 'F', sizeof(content));
		return reply(in->unique, 0, content, wanted->offset >= SIZE ? 0 : wanted->size);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
		return reply(in->unique, 0, NULL, 0);
	default:
		return reply(in->unique, -ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static char request[1 << 18], options[100], line[100];
	bool silent = false;

	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", fd);
	if (argc != 2 || fd < 0 || mount("silent", argv[1], "fuse.silent", 0, options)) {
		perror("silent: no FUSE");
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct pollfd sources[] = { { .fd = fd, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
		ssize_t got;

		poll(sources, 2, -1);
		if (sources[1].revents) {
			if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
				break;
			silent = true;
		}
		if (!sources[0].revents)
			continue;
		got = read(fd, request, sizeof(request));
		if (got < 0 && errno != EINTR && errno != ENOENT)
			break;
		if (got > 0)
			serve((void *)request, request + sizeof(struct fuse_in_header), silent);
	}
	umount2(argv[1], MNT_DETACH);
	return 0;
}
