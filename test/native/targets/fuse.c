// SPDX-License-Identifier: MIT
/*
 * fuse FOLDER CALL: mounts a file system of one file there, and has a thread read
 * it, by read() or pread().
 * Its server answers no READ before word 5 is set, but answers a FUSE_INTERRUPT
 * with EINTR for the READ, as several libraries do. Words: 1 reads under way,
 * 2 FLUSH requests, 3 INTERRUPT requests, 4 the result of the read, 6 it has
 * returned. Prints why where it cannot.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "target.h"

static const char *folder;
static int file;

static void reply(int dev, uint64_t unique, int error, const void *body, size_t length)
{
	struct {
		struct fuse_out_header head;
		char body[256];
	} out = { { sizeof(out.head) + length, error, unique }, { 0 } };

	memcpy(out.body, body, length);
	need(write(dev, &out, out.head.len) > 0 || errno == ENOENT, "write");
}

static void answer(int dev, const struct fuse_in_header *in, uint64_t *reading)
{
	struct fuse_attr attr = {
		.ino = in->nodeid, .size = 100, .nlink = 1, .mode = in->nodeid == 1 ? S_IFDIR | 0755 : S_IFREG | 0644
	};
	struct fuse_init_out init = { .major = 7,
		.minor = 31,
		.max_write = 65536,
		.max_background = 8,
		.congestion_threshold = 6,
		.time_gran = 1,
		.max_pages = 16 };
	struct fuse_open_out open = { .fh = 1, .open_flags = FOPEN_DIRECT_IO };
	struct fuse_attr_out about = { .attr = attr };
	struct fuse_entry_out entry = { .nodeid = 2, .attr = attr };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(dev, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		entry.attr.ino = 2;
		entry.attr.mode = S_IFREG | 0644;
		reply(dev, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		reply(dev, in->unique, 0, &about, sizeof(about));
		break;
	case FUSE_OPEN:
		reply(dev, in->unique, 0, &open, sizeof(open));
		break;
	case FUSE_READ:
		*reading = in->unique;
		add(1, 1);
		break;
	case FUSE_INTERRUPT:
		add(3, 1);
		if (*reading)
			reply(dev, *reading, -EINTR, "", 0);
		*reading = 0;
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		break;
	case FUSE_FLUSH:
		add(2, 1);
		/* fall through */
	default:
		reply(dev, in->unique, in->opcode == FUSE_FLUSH || in->opcode == FUSE_RELEASE ? 0 : -ENOSYS, "", 0);
	}
}

static void serve(int dev)
{
	static char in[1 << 20];
	uint64_t reading = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fcntl(dev, F_SETFL, O_NONBLOCK);
	for (;;) {
		if (word[5] && reading) {
			reply(dev, reading, 0, "ten bytes.", 10);
			reading = 0;
		}
		if (read(dev, in, sizeof(in)) > 0)
			answer(dev, (struct fuse_in_header *)in, &reading);
		else if (errno == ENODEV)
			_exit(0);
		else
			usleep(500);
	}
}

static void *read_file(void *arg)
{
	char bytes[100];
	long got = !strcmp(arg, "read") ? read(file, bytes, sizeof(bytes)) : pread(file, bytes, sizeof(bytes), 0);

	word[4] = got < 0 ? -errno : got;
	word[6] = 1;
	return NULL;
}

static void unmount(void)
{
	umount2(folder, MNT_DETACH | MNT_FORCE);
}

int main(int argc, char **argv)
{
	int dev = open("/dev/fuse", O_RDWR);
	char options[128], path[256], byte;
	pthread_t thread;

	need(argc == 3, "fuse FOLDER CALL");
	folder = argv[1];
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", dev);
	if (dev < 0 || mount("procsnap-test", folder, "fuse", 0, options)) {
		printf("there is no FUSE here, or no right to mount: %s\n", strerror(errno));
		return 0;
	}
	atexit(unmount);
	if (!fork())
		serve(dev);
	close(dev);
	snprintf(path, sizeof(path), "%s/file", folder);
	file = open(path, O_RDONLY);
	need(file >= 0, path);
	need(!pthread_create(&thread, NULL, read_file, argv[2]), "pthread_create");
	while (!word[1])
		usleep(1000);
	ready();
	/* Until the test's end. */
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
