// SPDX-License-Identifier: MIT
/*
 * identity woken: a call with a timeout of 600 ms is woken after 200 ms, and the
 * next one, the same from the same place, lasts 900 ms. Prints
 * "RESULT CHANGED RESULT CHANGED NANOSECONDS" of the two.
 * identity loop: the same call with 20 ms again and again; words: 1 calls,
 * 2 argument registers that had changed, 3 wrong results, 4 longest in
 * microseconds. No C library between the call and its registers.
 */
#include <sys/epoll.h>
#include "target.h"

static int epoll, ends[2];
static struct epoll_event event;

static long wait_ms(long ms, int *changed)
{
	register long timeout __asm__("r10") = ms;
	register long e __asm__("r8") = 0x1234;
	register long f __asm__("r9") = 0x5678;
	long a = epoll, b = (long)&event, c = 1, result = SYS_epoll_wait;

	__asm__ volatile("syscall"
					 : "+a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(timeout), "+r"(e), "+r"(f)
					 :
					 : "rcx", "r11", "memory");
	*changed = (a != epoll) + (b != (long)&event) + (c != 1) + (timeout != ms) + (e != 0x1234) + (f != 0x5678);
	return result;
}

static void wake_once(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	usleep(200000);
	need(write(ends[1], "x", 1) == 1, "write");
	_exit(0);
}

static void woken(void)
{
	int changed[2];
	long result[2];
	int64_t start;
	char byte;

	if (!fork())
		wake_once();
	ready();
	result[0] = wait_ms(600, &changed[0]);
	need(read(ends[0], &byte, 1) == 1, "read");
	start = now_ns();
	result[1] = wait_ms(900, &changed[1]);
	printf("%ld %d %ld %d %lld\n", result[0], changed[0], result[1], changed[1], (long long)(now_ns() - start));
}

int main(int argc, char **argv)
{
	struct epoll_event wanted = { .events = EPOLLIN };
	int changed;

	epoll = epoll_create1(0);
	need(!pipe(ends) && !epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &wanted), "epoll");
	if (argc > 1 && !strcmp(argv[1], "woken")) {
		woken();
		return 0;
	}
	ready();
	for (;;) {
		int64_t start = now_ns(), took;
		long result = wait_ms(20, &changed);

		took = (now_ns() - start) / 1000;
		add(1, 1);
		add(2, changed);
		add(3, result != 0);
		if (took > word[4])
			word[4] = took;
	}
}
