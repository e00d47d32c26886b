// SPDX-License-Identifier: MIT
/*
 * hazards MODE [ARGUMENT ...]: what the preflight is to see. Word 1 counts turns; word 2 is a tid, a pid or an errno.
 *   writer MIB THREADS [CGROUP]	joins that cgroup, and writes to one page after the other of so much memory, while
 * word 3 is set grow MIB		takes so much memory when word 3 is set, a MiB in a millisecond; word 5: done new-pid,
 * new-time	has called unshare(), and made no child since; word 3: make one, word 4: what fork() gave userfaultfd	has
 * one that wants to be told of fork() vfork		its thread of word 2 waits in vfork() until word 3 is set supervised
 * its thread of word 2 waits for a supervisor that answers when word 3 is set deadline		runs under SCHED_DEADLINE
 *   huge PAGES FLAGS	has so many huge pages of 2 MiB, written to, mapped with these further flags; writes when word 3
 * is set direct FILE	has it open with O_DIRECT locked FILE	holds a flock(2) on it sysv		has a System V segment
 *   io-uring		has an io_uring
 *   aio		has an io_setup(2) context
 *   no-stack ADDRESS	its stack pointer points there, while it makes turns
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/shm.h>
#include "target.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static char *memory;
static size_t size;
static int threads, listener = -1;

static void make_turns_on(uint64_t stack)
{
	ready();
	asm volatile("mov %0, %%rsp\n1:	lock incq (%1)\n	pause\n	jmp 1b" : : "r"(stack), "r"(&word[1]));
	__builtin_unreachable();
}

static void *write_on(void *arg)
{
	size_t share = size / threads, from = (size_t)arg * share;

	for (;;) {
		for (size_t i = from; i < from + share; i += 4096) {
			while (!word[3])
				usleep(1000);
			memory[i]++;
		}
		add(1, 1);
	}
	return NULL;
}

static void write_all(int mib, int count, const char *group)
{
	char path[512], pid[16];
	pthread_t thread;
	int fd;

	if (group) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", group);
		fd = open(path, O_WRONLY);
		need(fd >= 0 && write(fd, pid, snprintf(pid, sizeof(pid), "%d", getpid())) > 0 && !close(fd), "cgroup.procs");
	}
	size = (size_t)mib << 20;
	threads = count;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(memory != MAP_FAILED, "mmap");
	madvise(memory, size, MADV_NOHUGEPAGE);
	memset(memory, 1, size);
	for (long i = 1; i < count; i++)
		need(!pthread_create(&thread, NULL, write_on, (void *)i), "pthread_create");
	ready();
	write_on(NULL);
}

static void grow(int mib)
{
	ready();
	while (!word[3])
		usleep(1000);
	for (int i = 0; i < mib; i++) {
		memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		need(memory != MAP_FAILED, "mmap");
		memset(memory, 1, 1 << 20);
		usleep(1000);
	}
	word[5] = 1;
	for (;;)
		pause();
}

static void *make_child(void *arg)
{
	pid_t child;

	word[2] = gettid();
	child = vfork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!word[3])
			usleep(1000);
		_exit(0);
	}
	add(1, 1);
	return arg;
}

/* getppid() is what the supervisor is asked about. */
static void *ask(void *arg)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	word[2] = gettid();
	listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	need(listener >= 0, "seccomp");
	word[4] = syscall(SYS_getppid);
	word[5] = 1;
	return arg;
}

static void supervise(void)
{
	struct seccomp_notif asked;
	struct seccomp_notif_resp answer = { 0 };
	pthread_t thread;

	need(!pthread_create(&thread, NULL, ask, NULL), "pthread_create");
	while (__atomic_load_n(&listener, __ATOMIC_ACQUIRE) < 0)
		usleep(1000);
	memset(&asked, 0, sizeof(asked));
	need(!ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked), "SECCOMP_IOCTL_NOTIF_RECV");
	ready();
	while (!word[3])
		usleep(1000);
	answer.id = asked.id;
	answer.val = 77;
	need(!ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer), "SECCOMP_IOCTL_NOTIF_SEND");
}

static void open_userfaultfd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		word[2] = errno;
}

static void set_deadline(void)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attributes = {
		.size = sizeof(attributes),
		.policy = 6,
		.runtime = 10000000,
		.deadline = 30000000,
		.period = 30000000,
	};

	if (syscall(SYS_sched_setattr, 0, &attributes, 0))
		word[2] = errno;
}

static void map_huge(int pages, int flags)
{
	size = (size_t)pages << 21;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | flags, -1, 0);
	if (memory == MAP_FAILED) {
		word[2] = errno;
		return;
	}
	memset(memory, 7, size);
}

static void fork_when_asked(void)
{
	pid_t child;

	ready();
	while (!word[3])
		usleep(1000);
	child = fork();
	if (!child)
		_exit(0);
	word[4] = child < 0 ? -errno : child;
	word[5] = 1;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	struct io_uring_params params = { 0 };
	aio_context_t context = 0;
	pthread_t thread;

	if (!strcmp(mode, "writer") && argc >= 4)
		write_all(atoi(argv[2]), atoi(argv[3]), argv[4]);
	if (!strcmp(mode, "grow") && argc == 3)
		grow(atoi(argv[2]));
	if (!strcmp(mode, "new-pid") || !strcmp(mode, "new-time")) {
		if (unshare(!strcmp(mode, "new-pid") ? CLONE_NEWPID : CLONE_NEWTIME))
			word[2] = errno;
		fork_when_asked();
	}
	if (!strcmp(mode, "userfaultfd"))
		open_userfaultfd();
	if (!strcmp(mode, "vfork"))
		need(!pthread_create(&thread, NULL, make_child, NULL), "pthread_create");
	if (!strcmp(mode, "supervised"))
		supervise();
	if (!strcmp(mode, "deadline"))
		set_deadline();
	if (!strcmp(mode, "huge") && argc == 4)
		map_huge(atoi(argv[2]), strcmp(argv[3], "noreserve") ? 0 : MAP_NORESERVE);
	if (!strcmp(mode, "no-stack") && argc == 3)
		make_turns_on(strtoull(argv[2], NULL, 0));
	if (!strcmp(mode, "direct") && argc == 3 && open(argv[2], O_RDWR | O_CREAT | O_DIRECT, 0600) < 0)
		word[2] = errno;
	if (!strcmp(mode, "locked") && argc == 3)
		need(!flock(open(argv[2], O_RDWR | O_CREAT, 0600), LOCK_EX), "flock");
	if (!strcmp(mode, "sysv")) {
		int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);

		need(id >= 0 && shmat(id, NULL, 0) != (void *)-1 && !shmctl(id, IPC_RMID, NULL), "shmget");
	}
	if (!strcmp(mode, "io-uring") && syscall(SYS_io_uring_setup, 4, &params) < 0)
		word[2] = errno;
	if (!strcmp(mode, "aio") && syscall(SYS_io_setup, 4, &context))
		word[2] = errno;
	ready();
	for (;;) {
		if (memory && size && word[3])
			for (size_t i = 0; i < size; i += 2UL << 20)
				memory[i]++;
		add(1, 1);
		usleep(500);
	}
}
