// SPDX-License-Identifier: MIT
/* Kinds that hold locks: what they hold stays held, and is free as soon as they give it up or end. */
#include <sys/file.h>
#include "kinds.h"

static char *lock_path(void)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s.lock", page_path);
	return path;
}

/* Does another process see the file locked by us? */
static bool others_see_it(int fd)
{
	int status = 0;
	pid_t asker = fork();

	if (!asker) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

		_exit(fcntl(fd, F_GETLK, &lock) || lock.l_type == F_UNLCK || lock.l_pid != self);
	}
	while (waitpid(asker, &status, 0) < 0 && errno == EINTR)
		;
	return asker > 0 && WIFEXITED(status) && !WEXITSTATUS(status);
}

/* A POSIX lock is the process's: it outlives exec(), which this does all the time. */
static void posix_lock(const char *argument)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	char descriptor[16];
	int fd = atoi(argument);

	if (!fd) {
		fd = open(lock_path(), O_RDWR | O_CREAT, 0600);
		need(fd >= 0 && !fcntl(fd, F_SETLK, &lock), "a POSIX lock");
		page->handle[0] = fd;
	}
	ready();
	for (int i = 0; i < 3; i++) {
		if (!others_see_it(fd)) {
			harm("a POSIX lock was lost");
			fcntl(fd, F_SETLK, &lock);
		}
		turn();
		nap_ms(15 + draw(30));
	}
	snprintf(descriptor, sizeof(descriptor), "%d", fd);
	execl("/proc/self/exe", "target", "posix-lock", page_path, descriptor, NULL);
	harm("exec failed: %s", strerror(errno));
	_exit(4);
}

/*
 * A service that locks a file, maps it, and is started anew as soon as it has
 * ended: the next one gets the lock, for a process that has ended holds none.
 */
static void restarted(const char *argument)
{
	(void)argument;
	for (;; turn()) {
		pid_t service = fork();
		int status;

		need(service >= 0, "fork");
		if (!service) {
			uint64_t before = excuse();
			int64_t began_ns = now_ns();
			int fd = open(lock_path(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

			born();
			if (fd < 0 || ftruncate(fd, 4096))
				_exit(3);
			while (flock(fd, LOCK_EX | LOCK_NB)) {
				if (now_ns() - began_ns > 2 * SECOND_NS) {
					HARM_UNLESS_EXCUSED(before, "the lock of a process that has ended is still held after 2 s");
					_exit(0);
				}
				nap_ms(2);
			}
			if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
				_exit(3);
			close(fd);		/* the mapping keeps the file open, and with it the lock */
			page->handle[0] = self;
			page->pid = self;
			__atomic_store_n(&page->ready, 1, __ATOMIC_RELEASE);
			nap_ms(50 + draw(100));
			_exit(0);
		}
		if (waitpid(service, &status, 0) != service)
			harm("waitpid: %s", strerror(errno));
		page->pid = 0;
		if (WIFSIGNALED(status)) {
			signal(WTERMSIG(status), SIG_DFL);
			kill(self, WTERMSIG(status));
		}
		if (WEXITSTATUS(status) == 3)
			unable("a file cannot be locked and mapped: %s", lock_path());
	}
}

/* Two that wait for each other's lock, in the kernel. */
static void queued(const char *argument)
{
	pid_t other = fork();
	int fd = open(lock_path(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)argument;
	need(fd >= 0 && other >= 0, "flock");
	if (!other)
		born();
	else
		ready();
	for (;; nap_ms(2 + draw(8))) {
		uint64_t before = excuse(), others;
		bool whole = draw(2);
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

		if (whole ? flock(fd, LOCK_EX) : fcntl(fd, F_OFD_SETLKW, &lock)) {
			HARM_UNLESS_EXCUSED(before, "waiting for a lock failed: %s", strerror(errno));
			continue;
		}
		others = __atomic_fetch_add(&page->state[whole], 1, __ATOMIC_SEQ_CST);
		if (others)
			harm("two processes have the same lock");
		nap_ms(2 + draw(8));
		__atomic_fetch_sub(&page->state[whole], 1, __ATOMIC_SEQ_CST);
		lock.l_type = F_UNLCK;
		if (whole ? flock(fd, LOCK_UN) : fcntl(fd, F_OFD_SETLK, &lock))
			harm("unlocking failed: %s", strerror(errno));
		if (other)
			turn();
	}
}

const struct kind lock_kinds[] = { { "posix-lock", posix_lock }, { "lock-restart", restarted },
	{ "lock-queue", queued }, { 0 } };
