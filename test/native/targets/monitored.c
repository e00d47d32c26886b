// SPDX-License-Identifier: MIT
/*
 * monitored: a process with a userfaultfd monitor that is told of each fork(),
 * and is another process; the monitored one has closed the descriptor. The
 * monitor is the parent, and reads what it is told, which lets the clone() go
 * on, while word 2 is set. Words: 1 turns of the first thread (turns.h), 3 the
 * monitored process, 4 turns that found a register changed, 5 turns of its second
 * thread, 6 events that were read, 7 another pid, 8 the monitored one has ended,
 * 9 and 10 are used to begin, 11 turns.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include "turns.h"

#define BYTES	(1UL << 20)

static struct turns self;

static void *second(void *arg)
{
	while (!usleep(300))
		add(5, 1);
	return arg;
}

static void be_monitored(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK };
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = { .range = { (uint64_t)memory, BYTES }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	pthread_t thread;
	sigset_t some;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range)) {
		printf("userfaultfd(2) with UFFD_FEATURE_EVENT_FORK: %s\n", strerror(errno));
		exit(3);
	}
	sigemptyset(&some);
	sigaddset(&some, SIGUSR2);
	sigprocmask(SIG_BLOCK, &some, NULL);
	word[9] = fd;
	while (!word[10])
		usleep(1000);
	close(fd);
	need(!pthread_create(&thread, NULL, second, NULL), "pthread_create");
	set_turns(&self, 1);
	self.own = (void *)&word[1];
	self.total = (void *)&word[11];
	self.call = SYS_getpid;
	word[3] = getpid();
	ready();
	for (;;) {
		turns(&self, 20);
		if (self.result != word[3])
			word[7] = self.result;
		word[4] = self.bad;
		usleep(100);
	}
}

int main(void)
{
	struct uffd_msg message;
	int fd, pidfd, status;
	pid_t pid = fork();

	if (!pid)
		be_monitored();
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	while (!word[9]) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return 3;
		usleep(1000);
	}
	fd = syscall(SYS_pidfd_getfd, pidfd, (int)word[9], 0);
	need(fd >= 0, "pidfd_getfd");
	word[10] = 1;
	for (;; usleep(500)) {
		if (word[2] && read(fd, &message, sizeof(message)) == sizeof(message)) {
			if (message.event == UFFD_EVENT_FORK)
				close(message.arg.fork.ufd);
			add(6, 1);
		}
		if (!word[8] && waitpid(pid, &status, WNOHANG) == pid)
			word[8] = 1;
	}
}
