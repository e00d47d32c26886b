// SPDX-License-Identifier: MIT
/*
 * dispatch [later]: has all of its system calls dispatched to itself (prctl(2),
 * PR_SET_SYSCALL_USER_DISPATCH), but those made in one place, as Wine does.
 * With "later", from when word 3 is set.
 * Words: 1 turns, 2 SIGSYS that its handler got, 4 it has begun.
 */
#include "target.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH	59
#define PR_SYS_DISPATCH_ON		1
#endif

long call_from_here(long number, long first, long second);
extern char call_from_here_end[];
__asm__(
"	.text\n"
"call_from_here:\n"
"	mov %rdi, %rax\n	mov %rsi, %rdi\n	mov %rdx, %rsi\n"
"	syscall\n"
"	ret\n"
"call_from_here_end:\n"
);

static char blocked;

static void on_sigsys(int sig)
{
	(void)sig;
	add(2, 1);
	blocked = 0;
}

int main(int argc, char **argv)
{
	const struct timespec nap = { .tv_nsec = 300000 };
	char *from = (char *)call_from_here;

	signal(SIGSYS, on_sigsys);
	if (argc > 1 && !strcmp(argv[1], "later"))
		ready();
	while (word[0] && !word[3])
		usleep(1000);
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, from, call_from_here_end - from, &blocked)) {
		printf("prctl(PR_SET_SYSCALL_USER_DISPATCH): %s\n", strerror(errno));
		return 3;
	}
	blocked = 1;
	word[4] = 1;
	ready();
	for (;;) {
		call_from_here(SYS_nanosleep, (long)&nap, 0);
		add(1, 1);
	}
}
