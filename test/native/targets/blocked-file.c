// SPDX-License-Identifier: MIT
/* Blocked in read() and write() of what is no socket, and on locks of files. */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <termios.h>
#include "blocked.h"

static char path[64];

static long block_read(int ms)
{
	char bytes[256];
	long result = raw(read(pair[0], bytes, sizeof(bytes)));

	(void)ms;
	return result > 0 ? 1 : result;
}

static void make_timer(void)
{
	pair[0] = timerfd_create(CLOCK_MONOTONIC, 0);
}

static void fire_timer(void)
{
	struct itimerspec soon = { .it_value = { 0, 1 } };

	need(!timerfd_settime(pair[0], 0, &soon, NULL), "timerfd_settime");
}

static void make_eventfd(void)
{
	pair[0] = pair[1] = eventfd(0, 0);
}

static void write_event(void)
{
	need(!eventfd_write(pair[1], 1), "eventfd_write");
}

static void make_signalfd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pair[0] = signalfd(-1, &set, 0);
}

static void make_inotify(void)
{
	pair[0] = inotify_init1(0);
	need(inotify_add_watch(pair[0], folder, IN_CREATE) >= 0, "inotify_add_watch");
}

static void create_file(void)
{
	snprintf(path, sizeof(path), "%s/new", folder);
	need(open(path, O_CREAT | O_WRONLY, 0600) >= 0, path);
}

static void make_tty(void)
{
	pair[1] = posix_openpt(O_RDWR | O_NOCTTY);
	need(pair[1] >= 0 && !grantpt(pair[1]) && !unlockpt(pair[1]), "posix_openpt");
	pair[0] = open(ptsname(pair[1]), O_RDWR | O_NOCTTY);
}

static void write_line(void)
{
	need(write(pair[1], "x\n", 2) == 2, "write");
}

/* Where nothing comes, such a read ends after VTIME, which has one byte: tenths of a second. */
static long block_read_vtime(int ms)
{
	struct termios settings;

	need(!tcgetattr(pair[0], &settings), "tcgetattr");
	cfmakeraw(&settings);
	settings.c_cc[VMIN] = 0;
	settings.c_cc[VTIME] = ms < 0 ? 255 : ms / 100;
	need(!tcsetattr(pair[0], TCSANOW, &settings), "tcsetattr");
	return block_read(ms);
}

static void fill_pipe(void)
{
	char block[4096] = { 0 };

	make_pipe();
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	while (write(pair[1], block, sizeof(block)) > 0)
		;
	fcntl(pair[1], F_SETFL, 0);
}

static long block_write(int ms)
{
	(void)ms;
	return raw(write(pair[1], "x", 1));
}

static void drain_pipe(void)
{
	static char block[1 << 20];

	need(read(pair[0], block, sizeof(block)) > 0, "read");
}

static void make_fifo(void)
{
	snprintf(path, sizeof(path), "%s/fifo", folder);
	need(!mkfifo(path, 0600), "mkfifo");
}

static long block_open(int ms)
{
	int fd = open(path, O_RDONLY);

	(void)ms;
	return fd < 0 ? -errno : 0;
}

static void open_fifo(void)
{
	need(open(path, O_WRONLY) >= 0, "open");
}

static int lock_file(void)
{
	int fd;

	snprintf(path, sizeof(path), "%s/lock", folder);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	need(fd >= 0, path);
	return fd;
}

static int whole(int fd, int command)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, command, &lock);
}

static void take_flock(void) { need(!flock(lock_file(), LOCK_EX), "flock"); }
static void take_posix(void) { need(!whole(lock_file(), F_SETLK), "F_SETLK"); }
static void take_ofd(void) { need(!whole(lock_file(), F_OFD_SETLK), "F_OFD_SETLK"); }
static void leave(void) { _exit(0); }
static long block_flock(int ms) { (void)ms; return raw(flock(lock_file(), LOCK_EX)); }
static long block_posix(int ms) { (void)ms; return raw(whole(lock_file(), F_SETLKW)); }
static long block_ofd(int ms) { (void)ms; return raw(whole(lock_file(), F_OFD_SETLKW)); }

const struct kind file_kinds[] = {
	{ "read-pipe", make_pipe, NULL, block_read, write_byte, 1, 0 },
	{ "read-timerfd", make_timer, NULL, block_read, fire_timer, 1, 0 },
	{ "read-eventfd", make_eventfd, NULL, block_read, write_event, 1, 0 },
	{ "read-signalfd", make_signalfd, NULL, block_read, signal_target, 1, 0 },
	{ "read-inotify", make_inotify, NULL, block_read, create_file, 1, 0 },
	{ "read-tty", make_tty, NULL, block_read, write_line, 1, 0 },
	{ "read-vtime", make_tty, NULL, block_read_vtime, write_line, 1, 0 },
	{ "write-pipe", fill_pipe, NULL, block_write, drain_pipe, 1, 0 },
	{ "open-fifo", make_fifo, NULL, block_open, open_fifo, 0, 0 },
	{ "flock", NULL, take_flock, block_flock, leave, 0, 0 },
	{ "setlkw", NULL, take_posix, block_posix, leave, 0, 0 },
	{ "ofd-setlkw", NULL, take_ofd, block_ofd, leave, 0, 0 },
	{ NULL, NULL, NULL, NULL, NULL, 0, 0 },
};
