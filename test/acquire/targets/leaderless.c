// SPDX-License-Identifier: MIT
/*
 * leaderless [kept]: a process whose first thread ends, at once or when word 6 is set; word 8 is how many microseconds
 * after that. Others go on: one that counts in word 1 (its tid is word 3), until word 7 is set; one that waits for the
 * end (word 4); and two in calls with a timeout of 2 seconds, again and again: a recv() whose socket has it, and a
 * sigtimedwait() that has it in memory. Words 10 and 11 are how many milliseconds the longest of each has lasted, 12
 * and 13 how many there were. Words 2 and 5 are where private memory is, of one byte 'L', and a page that a fork leaves
 * out.
 */
#include <pthread.h>
#include <sys/socket.h>
#include "target.h"

#define BYTES	65536

static void *count(void *arg)
{
	word[3] = gettid();
	while (!word[7] && !usleep(500))
		add(1, 1);
	return arg;
}

static void *stay(void *arg)
{
	word[4] = gettid();
	for (;;)
		pause();
	return arg;
}

/* The longest that one call of a kind has lasted, and how many there were. */
static void note(int kind, int64_t begun_ns)
{
	int64_t lasted_ms = (now_ns() - begun_ns) / 1000000;

	if (lasted_ms > word[10 + kind])
		word[10 + kind] = lasted_ms;
	add(12 + kind, 1);
}

static void *receive(void *arg)
{
	const struct timeval limit = { 2, 0 };
	int pair[2];
	char byte;

	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	need(!setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), "setsockopt");
	add(9, 1);
	for (int64_t begun_ns = now_ns(); recv(pair[0], &byte, 1, 0) < 0 && errno == EAGAIN; begun_ns = now_ns())
		note(0, begun_ns);
	need(false, "recv");
	return arg;
}

static void *wait_long(void *arg)
{
	const struct timespec limit = { 2, 0 };
	sigset_t none;

	sigemptyset(&none);
	add(9, 1);
	for (int64_t begun_ns = now_ns(); sigtimedwait(&none, NULL, &limit) < 0 && errno == EAGAIN; begun_ns = now_ns())
		note(1, begun_ns);
	need(false, "sigtimedwait");
	return arg;
}

int main(int argc, char **argv)
{
	static void *(*const all[])(void *) = { count, stay, receive, wait_long };
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *hidden = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	(void)argv;
	need(memory != MAP_FAILED && hidden != MAP_FAILED && !madvise(hidden, 4096, MADV_DONTFORK), "mmap");
	memset(memory, 'L', BYTES);
	memset(hidden, 'H', 4096);
	word[2] = (long)memory;
	word[5] = (long)hidden;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		need(!pthread_create(&thread, NULL, all[i], NULL), "pthread_create");
	while (word[9] < 2 || !word[3] || !word[4])
		usleep(500);
	ready();
	while (argc > 1 && !word[6])
		usleep(500);
	if (word[8])
		usleep(word[8]);
	pthread_exit(NULL);
}
