// SPDX-License-Identifier: MIT
/*
 * ended-size: the first thread of a process ends after its size was opened to be read, and so does not tell it any
 * more. What was left out of its fork is found all the same? Says "ok", or what is wrong.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "duplicate/left_out.h"

#define PAGE	4096L

static volatile struct { pid_t second, child; bool end; } *shared;
static pthread_barrier_t begun;

static void *wait_here(void *arg)
{
	shared->second = gettid();
	pthread_barrier_wait(&begun);
	for (;;)
		pause();
	return arg;
}

/* Two threads, memory that a fork leaves out, and a fork, which stands for a duplicate. */
static void be_target(void)
{
	pthread_t thread;
	pid_t target = getpid(), child;
	char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(memory, 'k', PAGE);
	madvise(memory, PAGE, MADV_DONTFORK);
	pthread_barrier_init(&begun, NULL, 2);
	pthread_create(&thread, NULL, wait_here, NULL);
	pthread_barrier_wait(&begun);
	child = fork();
	while (!child && getppid() == target)
		usleep(10000);
	if (!child)
		_exit(0);
	shared->child = child;
	while (!shared->end)
		usleep(1000);
	syscall(SYS_exit, 0);	/* this thread alone */
}

int main(void)
{
	static uint8_t room[1 << 20];
	struct ps_left_out left_out = { .room = room, .room_bytes = sizeof(room) };
	struct ps_identity identity = { 0 };
	struct injection in = { 0 };
	struct ps_thread thread;
	pid_t pid;

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (!pid)
		be_target();
	while (shared->child <= 0)
		usleep(1000);
	ps_prepare_left_out(pid, &left_out);
	shared->end = true;
	while (identity.state != 'Z' && !ps_look_at(pid, &identity))
		usleep(1000);
	thread.tid = shared->second;
	in.stop.thread = &thread;
	ps_keep_left_out(&in, shared->child, PS_NSEC_PER_SEC, &left_out);
	ps_note_left_out(shared->child, &left_out);
	if (left_out.total_bytes != PAGE)
		printf("%ld bytes were left out, it says\n", (long)left_out.total_bytes);
	else if (left_out.regions != 1 || left_out.page_bytes != PAGE || room[0] != 'k')
		puts("it was not found, or not copied");
	else
		puts("ok");
	kill(shared->child, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
