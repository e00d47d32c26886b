// SPDX-License-Identifier: MIT
/*
 * holding WHAT [FILE]: has something that lasts as long as anybody holds it.
 *   flock		an exclusive flock() of FILE, which it maps, shared
 *   flock-private	the same, mapped private: 100 files FILE.0, FILE.1 ...
 *   ofd-private	an open file description's lock, mapped private
 *   uring		standard output, only registered with an io_uring
 *   shm		a SysV segment that is to go with its last user; word 1 is its id
 *   seal		a memfd that is mapped; when word 2 is set it is unmapped and
 *			sealed against writing: word 3 is 1, or -errno
 *   posix-exec		a POSIX lock of FILE, and replaces itself all the time: word 1
 *			programs so far, word 2 how often the lock had gone
 */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/file.h>
#include <sys/shm.h>
#include "target.h"

#define PAGE		4096
#define LOCKED_FILES	100
#define LOCK_FD		10	/* kept over exec() */
#define LOOK_FD		11

static int locked_file(const char *path, bool ofd, int sharing)
{
	struct flock all = { .l_type = F_WRLCK };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	need(fd >= 0 && !ftruncate(fd, PAGE), path);
	need(!(ofd ? fcntl(fd, F_OFD_SETLK, &all) : flock(fd, LOCK_EX | LOCK_NB)), "lock");
	need(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, sharing, fd, 0) != MAP_FAILED, "mmap");
	return fd;
}

static void register_output(void)
{
	struct io_uring_params params = { 0 };
	int output = 1, ring = syscall(SYS_io_uring_setup, 8, &params);

	if (ring < 0) {
		printf("io_uring_setup(): %s\n", strerror(errno));
		exit(3);
	}
	need(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING) != MAP_FAILED, "mmap");
	need(!syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &output, 1), "io_uring_register");
	close(output);
}

static void seal(void)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	void *memory;

	need(fd >= 0 && !ftruncate(fd, PAGE), "memfd_create");
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(memory != MAP_FAILED, "mmap");
	ready();
	while (!word[2])
		usleep(500);
	munmap(memory, PAGE);
	word[3] = fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) ? -errno : 1;
}

/*
 * Only by another descriptor's own lock can a process see its POSIX locks. No descriptor may be closed: that
 * drops them.
 */
static void exec_with_lock(char **argv)
{
	struct flock lock = { .l_type = F_WRLCK }, look = { .l_type = F_WRLCK };

	if (!word[1])
		need(dup2(open(argv[2], O_RDWR | O_CREAT, 0600), LOCK_FD) == LOCK_FD &&
		     dup2(open(argv[2], O_RDWR), LOOK_FD) == LOOK_FD && !fcntl(LOCK_FD, F_SETLK, &lock), "lock");
	need(!fcntl(LOOK_FD, F_OFD_GETLK, &look), "F_OFD_GETLK");
	if (look.l_type == F_UNLCK) {
		add(2, 1);
		need(!fcntl(LOCK_FD, F_SETLK, &lock), "lock");
	}
	add(1, 1);
	ready();
	execv("/proc/self/exe", argv);
	need(false, "execv");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char path[512];
	int id;

	if (!strcmp(what, "flock")) {
		locked_file(argv[2], false, MAP_SHARED);
	} else if (!strcmp(what, "flock-private")) {
		for (int i = 0; i < LOCKED_FILES; i++) {
			snprintf(path, sizeof(path), "%s.%d", argv[2], i);
			locked_file(path, false, MAP_PRIVATE);
		}
	} else if (!strcmp(what, "ofd-private")) {
		locked_file(argv[2], true, MAP_PRIVATE);
	} else if (!strcmp(what, "uring")) {
		register_output();
	} else if (!strcmp(what, "shm")) {
		id = shmget(IPC_PRIVATE, PAGE, 0600);
		need(id >= 0 && shmat(id, NULL, 0) != (void *)-1 && !shmctl(id, IPC_RMID, NULL), "shmat");
		word[1] = id;
	} else if (!strcmp(what, "seal")) {
		seal();
	} else {
		exec_with_lock(argv);
	}
	ready();
	for (;;)
		pause();
}
