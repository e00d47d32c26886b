// SPDX-License-Identifier: MIT
/* /proc/PID/mem, proc_pid_mem(5): as the paper reads it (section 5.4), and kept open. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ways.h"

static int open_mem(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* open, lseek, read, close each time. */
static ssize_t read_paper(struct ps_reader *reader, uint64_t address, void *buffer, size_t length)
{
	int fd = open_mem(reader->pid);
	size_t done = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -errno;
	errno = 0;
	if (lseek(fd, address, SEEK_SET) < 0 && errno) {	/* addresses from 2^63 on come back as they are, negative */
		got = -errno;
		close(fd);
		return got;
	}
	/* One read() reads it all; a second only where a region ends. */
	do {
		got = read(fd, (char *)buffer + done, length - done);
		if (got > 0)
			done += got;
	} while (got > 0 && done < length);
	if (got < 0 && !done)
		done = -errno;
	close(fd);
	return done;
}

static int open_kept(struct ps_reader *reader)
{
	reader->fd = open_mem(reader->pid);
	if (reader->fd < 0)
		return ps_fail(-errno, "the memory of process %d cannot be opened, /proc/%d/mem: %s", reader->pid, reader->pid,
			strerror(errno));
	return 0;
}

static ssize_t read_kept(struct ps_reader *reader, uint64_t address, void *buffer, size_t length)
{
	size_t done = 0;

	if (address > INT64_MAX)	/* the kernel's half; to pread() it would be a negative offset */
		return -EIO;
	while (done < length) {
		ssize_t got = pread(reader->fd, (char *)buffer + done, length - done, address + done);

		if (got <= 0)
			return done ? (ssize_t)done : got ? -errno : 0;
		done += got;
	}
	return done;
}

const struct ps_way_ops ps_proc_mem_paper = { .read = read_paper };
const struct ps_way_ops ps_proc_mem = { .open = open_kept, .read = read_kept };
