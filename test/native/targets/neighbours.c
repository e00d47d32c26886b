// SPDX-License-Identifier: MIT
/*
 * neighbours KIND: what a take meets beside the threads that it has looked at.
 *   worker    an init of a pid namespace and its child, which waits: words 1, 2
 *             their pids (outside), 3 how the child ended
 *   starting  threads come and go, under a filter that kills on restart_syscall(2):
 *             word 1 counts them
 *   relay     each thread makes the next one and ends: word 1 counts them
 *   addressee a thread that blocks all signals makes children; their SIGCHLD are for
 *             the first thread, as long as that one can have them. Word 1 counts how
 *             often the calls of two others failed with EINTR: never, but for a take;
 *             2 counts the children
 *   zombie    a thread of a child (word 1 its pid) has ended, and its tracer, which is
 *             the parent, takes no note
 *   blocking  both threads block SIGUSR1 and wait
 *   uring     a worker of io_uring waits for a FIFO's other end: word 1 the
 *             result of its operation, 2 how many were completed
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include "target.h"

static pid_t outer_pid(void)
{
	char link[16] = "";

	return readlink("/proc/self", link, sizeof(link) - 1) > 0 ? atoi(link) : 0;
}

static void worker(void)
{
	int status;
	pid_t child;

	need(!unshare(CLONE_NEWPID), "unshare");
	child = fork();
	if (child) {
		waitpid(child, &status, 0);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	word[1] = outer_pid();
	child = fork();
	if (!child) {
		struct epoll_event event;

		word[2] = outer_pid();
		ready();
		epoll_wait(epoll_create1(0), &event, 1, 60000);
		_exit(0);
	}
	waitpid(child, &status, 0);
	word[3] = WIFSIGNALED(status) ? WTERMSIG(status) : -1;
	pause();
}

static void *wait_for_nothing(void *unused)
{
	int poll = epoll_create1(0);
	struct epoll_event event;

	for (;;)
		if (epoll_wait(poll, &event, 1, 20) < 0)
			__atomic_fetch_add(&word[1], 1, __ATOMIC_RELAXED);
	return unused;
}

static void *make_children(void *unused)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	/* A thread that is being made blocks signals in its maker, too. */
	while (!word[0])
		usleep(1000);
	for (;; word[2]++) {
		pid_t child = vfork();

		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
		usleep(1000);
	}
	return unused;
}

static void addressee(void)
{
	pthread_t thread;

	for (int i = 0; i < 2; i++)
		need(!pthread_create(&thread, NULL, wait_for_nothing, NULL), "pthread_create");
	need(!pthread_create(&thread, NULL, make_children, NULL), "pthread_create");
	ready();
	for (;;)
		usleep(20000);
}

static void *end_when_told(void *unused)
{
	word[2] = gettid();
	while (!word[3])
		usleep(1000);
	return unused;
}

static bool is_zombie(pid_t pid, pid_t tid)
{
	char path[64], text[256] = "", *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	file = fopen(path, "re");
	need(file && fgets(text, sizeof(text), file), path);
	fclose(file);
	end = strrchr(text, ')');
	return end && end[2] == 'Z';
}

static void zombie(void)
{
	pid_t child = fork();

	if (!child) {
		pthread_t thread;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		need(!pthread_create(&thread, NULL, end_when_told, NULL), "pthread_create");
		for (;;)
			pause();
	}
	while (!word[2])
		usleep(1000);
	need(!ptrace(PTRACE_SEIZE, (pid_t)word[2], 0, 0), "PTRACE_SEIZE");
	word[3] = 1;
	while (!is_zombie(child, word[2]))
		usleep(1000);
	word[1] = child;
	ready();
	for (;;)
		pause();
}

static void *wait_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void blocking(void)
{
	sigset_t blocked;
	pthread_t thread;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	need(!pthread_create(&thread, NULL, wait_for_ever, NULL), "pthread_create");
	ready();
	wait_for_ever(NULL);
}

static void *nap(void *unused)
{
	const struct timespec time = { .tv_nsec = 5000000 };

	(void)unused;
	for (int i = 0; i < 2; i++)
		need(!nanosleep(&time, NULL), "nanosleep");
	add(1, 1);
	return NULL;
}

static void starting(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_restart_syscall, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };
	pthread_attr_t attributes;
	pthread_t thread;

	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	ready();
	for (int i = 0;; i++) {
		need(!pthread_create(&thread, &attributes, nap, NULL), "pthread_create");
		if (!(i % 4))
			usleep(300);
	}
}

static pthread_attr_t detached;

static void *next(void *unused)
{
	pthread_t thread;

	add(1, 1);
	while (pthread_create(&thread, &detached, next, unused))
		;
	return NULL;
}

static void relay(void)
{
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&detached, 64 << 10);
	next(NULL);
	ready();
	for (;;)
		pause();
}

static void uring(void)
{
	struct io_uring_params params = { 0 };
	char fifo[] = "/tmp/procsnap-fifo-XXXXXX";
	struct io_uring_sqe *queue;
	struct io_uring_cqe *done;
	uint8_t *submit, *complete;
	uint32_t *head, *tail;
	int ring = syscall(SYS_io_uring_setup, 4, &params);

	if (ring < 0) {
		printf("io_uring is not here: %s\n", strerror(errno));
		return;
	}
	submit = mmap(NULL, params.sq_off.array + params.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		IORING_OFF_SQ_RING);
	complete = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED,
		ring, IORING_OFF_CQ_RING);
	queue = mmap(NULL, params.sq_entries * sizeof(*queue), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	need(submit != MAP_FAILED && complete != MAP_FAILED && queue != MAP_FAILED, "mmap of a ring");
	done = (void *)(complete + params.cq_off.cqes);
	head = (void *)(complete + params.cq_off.head);
	tail = (void *)(complete + params.cq_off.tail);
	need(mkdtemp(fifo) && !rmdir(fifo) && !mkfifo(fifo, 0600), fifo);
	queue[0] = (struct io_uring_sqe){
		.opcode = IORING_OP_OPENAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)fifo,
		.open_flags = O_RDONLY,
		.flags = IOSQE_ASYNC,
	};
	*(uint32_t *)(submit + params.sq_off.array) = 0;
	__atomic_store_n((uint32_t *)(submit + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	need(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) == 1, "io_uring_enter");
	usleep(100000);			/* the worker waits by now */
	ready();
	while (getchar() == EOF)
		;
	/* The one end is opened by us: then the worker's is, too. */
	if (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE))
		need(open(fifo, O_WRONLY) >= 0, fifo);
	while (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE))
		usleep(1000);
	unlink(fifo);
	printf("%d\n", done[0].res);
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";

	if (!strcmp(kind, "worker"))
		worker();
	else if (!strcmp(kind, "starting"))
		starting();
	else if (!strcmp(kind, "relay"))
		relay();
	else if (!strcmp(kind, "addressee"))
		addressee();
	else if (!strcmp(kind, "zombie"))
		zombie();
	else if (!strcmp(kind, "blocking"))
		blocking();
	else if (!strcmp(kind, "uring"))
		uring();
	return 0;
}
