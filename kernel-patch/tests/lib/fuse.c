// SPDX-License-Identifier: GPL-2.0
/*
 * A file whose reads are answered when the test says so: a FUSE file system that
 * is one file, served by a thread.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snap.h"

static int device = -1;
static volatile int asked, allowed;
static char request[1 << 17], answer[1 << 16];

static void reply(const struct fuse_in_header *in, int error, const void *body, size_t bytes)
{
	struct fuse_out_header *out = (void *)answer;

	*out = (struct fuse_out_header){ sizeof(*out) + (error ? 0 : bytes), error, in->unique };
	if (!error && bytes)
		memcpy(out + 1, body, bytes);
	if (write(device, answer, out->len) < 0 && errno != ENOENT)
		die("fuse: cannot answer request %u", in->opcode);
}

static void answer_read(const struct fuse_in_header *in)
{
	const struct fuse_read_in *read_in = (const void *)(in + 1);
	static char content[1 << 15];

	asked++;
	while (allowed < asked)
		pause_ms(1);
	memset(content, FUSE_BYTE, sizeof(content));
	reply(in, 0, content, read_in->size < sizeof(content) ? read_in->size : sizeof(content));
}

static void *serve(void *unused)
{
	const struct fuse_in_header *in = (const void *)request;
	struct fuse_attr attr = { .ino = 1, .size = 1 << 20, .mode = S_IFREG | 0644, .nlink = 1, .blksize = 4096 };
	struct fuse_attr_out attr_out = { .attr_valid = 1, .attr = attr };
	struct fuse_open_out open_out = { .open_flags = FOPEN_DIRECT_IO };
	struct fuse_init_out init_out = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 1 << 16 };

	(void)unused;
	while (read(device, request, sizeof(request)) > 0)
		switch (in->opcode) {
		case FUSE_INIT:
			reply(in, 0, &init_out, sizeof(init_out));
			break;
		case FUSE_GETATTR:
			reply(in, 0, &attr_out, sizeof(attr_out));
			break;
		case FUSE_OPEN:
			reply(in, 0, &open_out, sizeof(open_out));
			break;
		case FUSE_READ:
			answer_read(in);
			break;
		case FUSE_FLUSH:
		case FUSE_RELEASE:
			reply(in, 0, NULL, 0);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break;
		default:
			reply(in, -ENOSYS, NULL, 0);
		}
	return NULL;
}

bool fuse_begin(const char *path)
{
	char options[128];
	pthread_t thread;
	int fd = open(path, O_CREAT | O_RDWR, 0644);

	if (fd >= 0)
		close(fd);
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return false;
	snprintf(options, sizeof(options), "fd=%d,rootmode=100644,user_id=0,group_id=0", device);
	if (mount("snap-test", path, "fuse", 0, options)) {
		close(device);
		return false;
	}
	asked = allowed = 0;
	if (pthread_create(&thread, NULL, serve, NULL))
		die("pthread_create");
	pthread_detach(thread);
	return true;
}

bool fuse_await_read(void)
{
	return UNTIL(asked > allowed);
}

void fuse_answer(void)
{
	allowed++;
}

void fuse_end(const char *path)
{
	umount2(path, MNT_DETACH);
	unlink(path);
	close(device);
}
